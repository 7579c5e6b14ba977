"""Sentences with placeholders, filled without ever running anything.

A text in a policy may hold ``{latency_p99.value}`` (a field of a finding), ``{cause.name}`` (a field of
the cause that decided the branch) or ``{onset}`` (a fact the caller supplies). Rules:

- The grammar is one regular expression. There is no attribute access, no index and no format
  specification: a field is one of a written list, and anything else is refused when the file is read.
- Filling is one pass. A value that itself holds braces comes out as it is.
- Numbers are written for a reader, by their unit (`show`). What is not there is said to be
  "not measured" or "not known"; a sentence is never left with a hole.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rbnb.times import format_duration, format_time

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from rbnb.model import Cause, Finding

__all__ = ["CAUSE_FIELDS", "FINDING_FIELDS", "Scope", "close_to", "fill", "mistake_in", "show"]

FINDING_FIELDS = ("interval", "method", "n", "reason", "reference", "status", "threshold", "value", "where")
CAUSE_FIELDS = ("at", "evidence", "explains", "kind", "name", "score", "status", "where")

_PLACEHOLDER = re.compile(r"\{(?P<name>[a-z][a-z0-9_]*)(?:\.(?P<part>[a-z][a-z0-9_]*))?\}")
_THOUSANDS = "\u202f"  # narrow, and never broken at the end of a line
#: Units that say nothing a reader would miss: the signal's name says them.
_BARE = ("", "count", "robust z", "text", "psi", "auc", "distance", "brier", "correlation")
_LONGEST = 1e7  # minutes; beyond some twenty years a duration is a mistake, and is shown as a bare number


@dataclass(frozen=True, slots=True)
class Scope:
    """What placeholders may be filled from.

    Parameters
    ----------
    findings
        By signal name, the one that holds everywhere, or the first that holds in one place.
    cause
        The cause that decided the branch, if one did.
    facts
        What the caller supplied; a pair ``(number, unit)`` brings its own unit.
    units
        The declared unit of each fact.
    """

    findings: Mapping[str, Finding]
    cause: Cause | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)


def show(value: float | None, unit: str) -> str:
    """Write a number the way a person reads it, with its unit.

    Examples
    --------
    >>> show(0.413, "share"), show(2.44, "ratio"), show(95.0, "minutes"), show(None, "ms")
    ('41 %', '2.44×', '1 h 35 min', 'not measured')
    """
    if value is None or not math.isfinite(value):
        return "not measured"
    if unit == "share":
        return _percent(value)
    if unit in ("ratio", "burn rate"):
        return f"{_digits(value)}×"
    if unit in ("minutes", "min") and 0 <= value < _LONGEST:
        return format_duration(timedelta(minutes=value))
    if unit == "flag":
        return "yes" if value else "no"
    return _digits(value) if unit in _BARE else f"{_digits(value)} {unit}"


def _percent(share: float) -> str:
    if 0.1 <= share <= 0.99:
        return f"{share * 100:.0f} %"
    if 0.99 < share < 1:
        # what is missing counts here: 99.95 % must not become 100 %
        decimals = min(1 - math.floor(math.log10(100 * (1 - share))), 9)
        return f"{share * 100:.{decimals}f}".rstrip("0").rstrip(".") + " %"
    return f"{_digits(share * 100)} %"


def _digits(value: float) -> str:
    """Three significant digits below a hundred, whole numbers with thin thousands above."""
    if abs(value) >= 100:
        return f"{value:,.0f}".replace(",", _THOUSANDS)
    if value == 0 or abs(value) < 1e-4:
        return f"{value:.3g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def mistake_in(text: str, *, signals: Collection[str], facts: Collection[str]) -> str:
    """Return what is wrong with the placeholders of `text`, or an empty string.

    Examples
    --------
    >>> mistake_in("p99 is {latency_p99.valeu}", signals=["latency_p99"], facts=[])
    '{latency_p99.valeu} is not a placeholder; did you mean value?'
    """
    for found in _PLACEHOLDER.finditer(text):
        if problem := _unknown(found, signals, facts):
            return f"{found[0]} is not a placeholder; {problem}"
    rest = _PLACEHOLDER.sub("", text)
    if "{" in rest or "}" in rest:
        return "a brace may only stand around a placeholder, such as {latency_p99.value}"
    return ""


def _unknown(found: re.Match[str], signals: Collection[str], facts: Collection[str]) -> str:
    name, part = found["name"], found["part"]
    if part is None:
        known: Iterable[str] = facts
        wrong = name
    elif name == "cause" or name in signals:
        known = CAUSE_FIELDS if name == "cause" else FINDING_FIELDS
        wrong = part
    else:
        known = ["cause", *signals]
        wrong = name
    return "" if wrong in known else close_to(wrong, known)


def close_to(wrong: str, known: Iterable[str]) -> str:
    """Return ``did you mean …?`` where something is near, and what there is where nothing is."""
    names = sorted(known)
    close = difflib.get_close_matches(wrong, names, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(names)}" if names else "none is declared"


def fill(text: str, scope: Scope) -> str:
    """Put the values of `scope` into `text`, in one pass."""

    def value(found: re.Match[str]) -> str:
        name, part = found["name"], found["part"]
        if part is None:
            return _fact(scope.facts.get(name), scope.units.get(name, "text"))
        if name == "cause":
            return _of_cause(scope.cause, part)
        return _of_finding(scope.findings.get(name), part)

    return _PLACEHOLDER.sub(value, text)


def _fact(value: object, unit: str) -> str:
    if isinstance(value, tuple):
        number, own_unit = value
        return _fact(number, str(own_unit))
    if isinstance(value, (int, float)):
        return show(float(value), "flag" if isinstance(value, bool) else unit)
    if isinstance(value, datetime):
        return f"{format_time(value)[:16].replace('T', ' ')} UTC"
    if isinstance(value, timedelta):
        return format_duration(value)
    if value == "" and unit == "place":
        return "everywhere"
    return str(value) if value not in (None, "") else "not known"


def _of_cause(cause: Cause | None, part: str) -> str:
    if cause is None:
        return "not known"
    if part == "where":
        return cause.where or "everywhere"
    if part == "explains":
        return show(cause.explains, "share")
    if part == "score":
        return show(cause.score, "")
    return _fact(cause.at, "time") if part == "at" else str(getattr(cause, part)) or "not known"


def _of_finding(finding: Finding | None, part: str) -> str:
    if finding is None:
        return "not measured"
    if part in ("value", "reference"):
        return show(getattr(finding, part), finding.unit)
    if part == "interval":
        low, high = finding.interval or (None, None)
        return f"{show(low, finding.unit)} to {show(high, finding.unit)}" if low is not None else "no interval"
    if part == "n":
        return show(finding.n, "count")
    if part == "where":
        return finding.where or "everywhere"
    return str(getattr(finding, part)) or "not known"
