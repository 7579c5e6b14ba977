"""How often rbnb is right: a labelled grid of simulated scenarios, and a year of real flights.

`scenarios` says what is tried, `faults` what goes wrong in it, `run` lets the runbook's own diagnosis and policy
judge one scenario without a kernel, `score` counts, `flights` does the same with real data, and `report` writes
docs/accuracy.md. Rules:

- **Seeds for developing are never the seeds of the final figures** (`scenarios.SEEDS`).
- **Nothing is tuned to a scenario**: every one is judged by the policy that ships, with the template's defaults.
- **An error is a failure that is counted**, never a scenario left out.
- **No number in the report is typed by hand.**
"""
