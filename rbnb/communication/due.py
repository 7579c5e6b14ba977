"""When each audience is to hear next, from the ledger: for `rbnb due` and the page.

Rules: an audience that was never told is due from detection on; one that was told, when its last update promised; a
grade that became worse since shortens the wait; a closed incident owes everybody one last update, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rbnb.times import parse_time

if TYPE_CHECKING:
    from datetime import datetime

    from rbnb.governance.audiences import Communication
    from rbnb.incidents import State

__all__ = ["UpdateDue", "updates_due"]


@dataclass(frozen=True, slots=True)
class UpdateDue:
    """An update that is owed.

    Parameters
    ----------
    at
        By when.
    by_role
        Who usually writes it.
    number
        Which one it will be.
    """

    audience: str
    at: datetime
    by_role: str
    number: int


def updates_due(state: State, table: Communication) -> list[UpdateDue]:
    """Return which updates are owed in an incident, soonest first.

    Parameters
    ----------
    table
        Who is told, and how often.
    """
    detected = state.times.detected or state.opened
    owed = []
    for name in table.told(state.severity):
        audience = table.audiences[name]
        told = [one for one in state.entries if one.kind == "update.written" and one.body.get("audience") == name]
        last = told[-1].at if told else detected
        if last is None or (state.status == "closed" and (not told or told[-1].body.get("status") == "closed")):
            continue
        start = state.times.closed if state.status == "closed" and state.times.closed else last
        at = start + audience.cadence(state.severity)
        promised = told[-1].body.get("next_due") if told else None
        if isinstance(promised, str) and promised:
            at = min(at, parse_time(promised))
        owed.append(UpdateDue(name, at, audience.by, len(told) + 1))
    return sorted(owed, key=lambda one: (one.at, one.audience))
