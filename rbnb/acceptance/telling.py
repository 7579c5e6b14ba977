"""What a person at a terminal reads of an acceptance: before and after side by side, and what is missing.

Rules: the verdict comes first; "undefined" is never written so that it could be read as met; every criterion that is
not met says why; the words say what to do next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.acceptance.fired import described
from rbnb.acceptance.recording import condensed, told_windows
from rbnb.policy import show
from rbnb.policy.returning import worst

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbnb.acceptance.accepting import Measured
    from rbnb.acceptance.criteria import Criterion

__all__ = ["HEADS", "acceptance_rows", "head_lines", "reason_lines", "tail_lines"]

HEADS = ["criterion", "scenario", "when it fired", "now", "95 % interval", "n", "must be", "result"]

_VERDICTS = {"met": "MET", "not met": "NOT MET", "undefined": "NOT MET: it cannot be told yet"}


def head_lines(incident: str, found: Measured) -> list[str]:
    """Return the verdict, and which rows it rests on."""
    counts = {name: sum(one.outcome == name for one in condensed(found.criteria)) for name in _VERDICTS}
    told = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    return [
        f"{incident}   {found.model}   return to service: {_VERDICTS[found.outcome]}",
        f"criteria: {told}",
        f"rows count from {described(found.fresh)}; {told_windows(found)} of {found.windows_asked}",
    ]


def acceptance_rows(found: Measured) -> list[list[str]]:
    """Return one row a criterion and scenario, those that are not met first."""
    order = ("not met", "undefined", "met")
    return [_row(one) for one in sorted(condensed(found.criteria), key=lambda one: order.index(one.outcome))]


def _row(one: Criterion) -> list[str]:
    low, high = one.interval or (None, None)
    return [
        _named(one),
        one.scenario.replace("_", " "),
        show(one.before, one.unit) if one.before is not None else "–",
        show(one.value, one.unit) if one.value is not None else "–",
        f"{show(low, one.unit)} to {show(high, one.unit)}" if one.interval else "–",
        f"{one.n:,}",
        _must_be(one),
        one.outcome,
    ]


def _named(one: Criterion) -> str:
    return f"{one.name} in {one.where}" if one.where else one.name


def _must_be(one: Criterion) -> str:
    if one.source != "check":
        return one.limit
    limits = one.limit.partition(", by the ")[0].partition(";")[0]
    if one.met and one.why:  # a warning about the data that may stay one
        return f"no breach: {limits}"
    return f"no longer {limits}"


def reason_lines(found: Measured) -> list[str]:
    """Return why each criterion that is not met is not, the same reason once."""
    reasons: dict[str, list[str]] = {}
    for one in condensed(found.criteria):
        if not one.met and one.why:
            reasons.setdefault(one.why, []).append(_named(one))
    lines = [f"{_listed(names)}: {why}" for why, names in reasons.items()]
    moved = [one for one in condensed(found.criteria) if one.limit_before and one.scenario == "all"]
    lines += [
        f"{_named(one)}: the limit was “{one.limit_before}” when it fired, and is “{one.limit}” now" for one in moved
    ]
    return lines


def _listed(names: Sequence[str], most: int = 3) -> str:
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - most} more" if len(unique) > most else ""
    return ", ".join(unique[:most]) + more


def tail_lines(incident: str, found: Measured, evidence: str) -> list[str]:
    """Return what was not looked at, where all numbers are, and what comes next."""
    absent = [f"not looked at: {one.title} ({one.why})" for one in found.scenarios if one.why]
    after = {
        "met": f"next: rbnb watch {incident}, then rbnb close {incident} --resolution …",
        "not met": f"next: find out why; then measure again: rbnb accept {incident}",
        "undefined": f"next: more rows, or longer windows: rbnb accept {incident} --window …",
    }
    return [*absent, f"all numbers: {evidence}", after[worst([found.outcome])]]
