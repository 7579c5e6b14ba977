"""Doing what was decided and approved: planned, tried, done, verified, and undone.

The rules stand where they are kept:

- `plan`: exactly what would happen, and the digest by which it is approved.
- `basis`: the decision and the evidence it rests on, and whether both still are what they were.
- `engine`: the order of it all, from the first check to the last.
- `readiness`, `authorising`: why it may not be done.
- `evidence`, `before`: what is secured and read before anything changes.
- `carrying`, `stepping`, `verifying`: intent, execution, outcome, and whether it took effect.
- `processes`, `requesting`, `scrubbing`, `keeping`: programs, requests, their output without secrets, and its files.
- `undoing`, `by_hand`: rolling back; what was done outside rbnb.
- `recovering`, `whereabouts`: an attempt that was cut off.
"""

from __future__ import annotations

from rbnb.actions.authorising import matter_of, rollback_matter
from rbnb.actions.by_hand import ByHand, Checked, check, did_by_hand, undid_by_hand
from rbnb.actions.carrying import Report
from rbnb.actions.engine import Asked, act, dry_run
from rbnb.actions.plan import ActionPlan, attempts_of, plan_action
from rbnb.actions.readiness import ByHandError
from rbnb.actions.recovering import Explanation, explain, settle_attempts, unexplained
from rbnb.actions.undoing import roll_back

__all__ = [
    "ActionPlan",
    "Asked",
    "ByHand",
    "ByHandError",
    "Checked",
    "Explanation",
    "Report",
    "act",
    "attempts_of",
    "check",
    "did_by_hand",
    "dry_run",
    "explain",
    "matter_of",
    "plan_action",
    "roll_back",
    "rollback_matter",
    "settle_attempts",
    "undid_by_hand",
    "unexplained",
]
