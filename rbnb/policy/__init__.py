"""Policy: what turns measured signals into findings, a verdict, a severity and a proposal.

A policy is a YAML file (docs/policy.md): thresholds, a decision tree, severity rules, and the sentences
each conclusion is told in. Nothing here measures, draws or acts, and the same signals under the same
policy always give the same decision, so old signals can be judged again under a new policy. Rules:

- **Never a false all-clear.** What was not measured is unknown, unknown is neither yes nor no, and no
  path from an unknown answer leads to a healthy verdict; a file in which one does is refused.
- **Everything is checked when the file is read**: names, operators, placeholders, the shape of the tree.
- **Every step is recorded**: which question was asked, what it saw, which way it took.

The parts: `grammar` (what a policy is made of), `loading` and `tree` (reading and refusing), `conditions`
(yes, no, unknown), `texts` (sentences with placeholders), `judging`, `deciding` and `severity` (the work).
"""

from rbnb.policy.deciding import decide
from rbnb.policy.grammar import Decision, Policy, Threshold
from rbnb.policy.judging import effective_thresholds, judge, overrides_for
from rbnb.policy.loading import is_policy, load_policy
from rbnb.policy.severity import Circumstances, Weights, grade, load_weights
from rbnb.policy.texts import show

__all__ = [
    "Circumstances",
    "Decision",
    "Policy",
    "Threshold",
    "Weights",
    "decide",
    "effective_thresholds",
    "grade",
    "is_policy",
    "judge",
    "load_policy",
    "load_weights",
    "overrides_for",
    "show",
]
