"""Doing what was decided and approved: planned, tried, done, verified, and undone.

The rules stand where they are kept:

- `plan`: exactly what would happen, and the digest by which it is approved.
- `basis`: the decision and the evidence it rests on, and whether both still are what they were.
"""

from __future__ import annotations

from rbnb.actions.plan import ActionPlan, attempts_of, plan_action

__all__ = ["ActionPlan", "attempts_of", "plan_action"]
