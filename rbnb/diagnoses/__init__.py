"""One module a failure mode: it joins the logs and the statistics into measurements and hypotheses.

A diagnosis measures step by step, each step once and only when asked; it judges nothing but hypotheses,
whose rules stand in one place (`latency_hypotheses`), and leaves findings and verdict to policy.
"""
