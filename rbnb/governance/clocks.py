"""The clocks of the law: what is due by when, so that `rbnb due` can list it.

Rules:

- **Awareness is detection.** The law counts from when somebody became aware; of the times on record, detection is the
  earlier one, so that no clock here runs later than it may. Counsel may count otherwise; this never gives more time.
- A worse case shortens the time (`Override`); while nobody has said whether it is the worse case, the item of that
  case has a clock of its own, marked.
- An item of which nobody has said whether it applies is listed with the words "unless it does not apply"; one that
  does not apply, or does not yet, is not.
- **Only a person ends a clock**, by saying that the item was met: that an update was sent to somebody does not show
  that an authority got what it asks for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rbnb.governance.compliance import applicability
from rbnb.governance.conditions import evaluate
from rbnb.times import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

    from rbnb.governance.compliance import ComplianceItem, Deadline
    from rbnb.governance.conditions import Fact

__all__ = ["Answers", "DueItem", "clock_of", "clocks"]


@dataclass(frozen=True, slots=True)
class DueItem:
    """One thing that a rule asks for: what, by when, and the id it comes from."""

    what: str
    due_at: datetime
    source: str
    item: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """What people answered on the ledger.

    Parameters
    ----------
    items
        Item id to yes, no or unknown.
    met
        Item id to when a person said it was met.
    facts_at
        Fact to when a person last answered yes to it.
    """

    items: Mapping[str, str] = field(default_factory=dict)
    met: Mapping[str, datetime] = field(default_factory=dict)
    facts_at: Mapping[str, datetime] = field(default_factory=dict)


def clocks(
    items: Iterable[ComplianceItem], facts: Mapping[str, Fact], aware: datetime | None, answers: Answers | None = None
) -> list[DueItem]:
    """Return what is due by these items, soonest first.

    Parameters
    ----------
    facts
        What is known, by name.
    aware
        When the incident was detected; None while that is not known, and then nothing can be counted.
    answers
        What people said.

    Examples
    --------
    >>> clocks([], {}, None)
    []
    """
    said = answers or Answers()
    if aware is None:
        return []
    found = [_clock(item, facts, aware, said) for item in items]
    return sorted((one for one in found if one is not None), key=lambda one: (one.due_at, one.source))


def _clock(item: ComplianceItem, facts: Mapping[str, Fact], aware: datetime, said: Answers) -> DueItem | None:
    if item.deadline is None or item.id in said.met:
        return None
    verdict = applicability(item, facts, said.items, aware.date())
    if verdict.applies in ("no", "not yet"):
        return None
    timed = clock_of(item.deadline, facts, aware, said)
    if timed is None:
        return None
    due_at, span, ref = timed
    by = f" by {ref}" if ref else ""
    unless = " (unless it does not apply)" if verdict.applies == "unknown" else ""
    what = f"{item.id}: {item.deadline.what or item.text.rstrip('.')}{unless}"
    return DueItem(
        what, due_at, f"{item.framework} {item.id}: {format_duration(span)} after {_since(item)}{by}", item.id
    )


def _since(item: ComplianceItem) -> str:
    after = item.deadline.after if item.deadline else "awareness"
    return "detection" if after == "awareness" else after


def clock_of(
    deadline: Deadline, facts: Mapping[str, Fact], aware: datetime, said: Answers
) -> tuple[datetime, timedelta, str] | None:
    """Return by when it is due, the span, and the item that shortened it; None where what starts it is not so yet."""
    kind, _, name = deadline.after.partition(" ")
    start = {"awareness": aware, "answered": said.facts_at.get(name), "met": said.met.get(name)}[kind]
    if start is None:
        return None
    shorter = [(one.max, one.ref) for one in deadline.overrides if evaluate(one.when, facts) is True]
    span, ref = min([(deadline.max, ""), *shorter])
    return start + span, span, ref
