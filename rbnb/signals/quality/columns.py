"""What may be wrong with a column, row by row: a list of suspicions that a scan then holds against time and place.

Each suspicion marks rows, in what is examined and in the reference, by the same test. Rules:

- A test says what is odd about a row, never how many odd rows are too many.
- What can only be odd by comparison (a range, a value that repeats) needs a reference of a few hundred
  values; what is odd in itself (null, infinite, -999, against what the owner expects) does not.
- **A shift is no fault.** The learned range is far wider than any smooth drift reaches, and a value that repeats
  counts only where its neighbours do not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Marks = NDArray[np.bool_]

__all__ = ["MARKERS", "Suspicion", "learned_range", "numerical_suspicions", "repeated_values"]

#: Numbers that people write in place of a missing one.
MARKERS = frozenset(
    [-1.0, -9.0, -99.0, -999.0, -9999.0, -99999.0, -999999.0, 99.0, 999.0, 9999.0, 99999.0, 999999.0, 0.0,
     2147483647.0, -2147483648.0, 65535.0, -32768.0, 1e9, -1e9, 1e10, 3.4028234663852886e38]
)  # fmt: skip
#: Markers that no quantity takes by nature, so that they are odd without any reference.
_NEVER = frozenset([-99.0, -999.0, -9999.0, -99999.0, -999999.0, 2147483647.0, -2147483648.0, -32768.0])
#: Values a reference needs before a range or a repeat can be learned from it.
_LEARN = 200
#: Times a value must be as frequent as any of its neighbours to stand out.
_STANDS_OUT = 5


@dataclass(frozen=True, slots=True)
class Suspicion:
    """One way in which rows of a column may be wrong.

    Parameters
    ----------
    kind
        null, non_finite, unreadable, negative, range, marker, stuck, precision, expect, unit, clock, swap, unseen,
        encoding, vanished, rule or duplicate.
    feature
        The column, two joined by ``+`` for a swap.
    what
        In words, such as ``is null`` or ``is 100 times too large``.
    now, then
        Which rows it marks, in what is examined and in the reference.
    sensitivity
        Share of truly affected rows that the mark can see.
    factor
        For a unit, what values were multiplied by; for a clock, hours.
    declared
        Whether the owner said so in the model file: then no reference is needed.
    other
        The value or column concerned.
    touches
        Whether marked rows are themselves what is wrong; a category that vanished marks all the others.
    details
        The columns concerned where `feature` is no column, as for a rule.
    tried
        Among how many of its kind this one was chosen for its looks; what is certain has to be surer by as much.
    """

    kind: str
    feature: str
    what: str
    now: Marks
    then: Marks
    sensitivity: float = 1.0
    factor: float | None = None
    declared: bool = False
    other: str = ""
    touches: bool = True
    details: tuple[str, ...] = field(default=())
    tried: int = 1


def numerical_suspicions(
    name: str,
    now: Floats,
    then: Floats,
    *,
    unreadable: tuple[Marks, Marks] | None = None,
    groups: Sequence[Marks] = (),
) -> list[Suspicion]:
    """Return what may be wrong with a numerical column by itself.

    Parameters
    ----------
    now, then
        Values with NaN where there is none, in what is examined and in the reference.
    unreadable
        Rows that hold a text which is no number.
    groups
        Rows to look at apart for a value that repeats, such as one source or the last hours.

    Examples
    --------
    >>> import numpy as np
    >>> then = np.linspace(1, 100, 1000)
    >>> now = np.append(then[:500], [np.nan, np.inf, -999.0, -999.0])
    >>> found = numerical_suspicions("x", now, then)
    >>> [(s.kind, int(s.now.sum())) for s in found]
    [('null', 1), ('non_finite', 1), ('negative', 2), ('range', 0), ('precision', 7)]
    """
    odd = unreadable or (np.zeros(len(now), bool), np.zeros(len(then), bool))
    found = [
        Suspicion("null", name, "is null", np.isnan(now) & ~odd[0], np.isnan(then) & ~odd[1]),
        Suspicion("non_finite", name, "is infinite", np.isinf(now), np.isinf(then)),
    ]
    if odd[0].any():
        found.append(Suspicion("unreadable", name, "is a text that is no number", *odd))
    repeated = repeated_values(now, then, groups)
    found += [_repeat(name, value, now, then) for value in repeated]
    known = then[np.isfinite(then)]
    if len(known) < _LEARN:
        return found
    # what is set apart as a marker is not told a second time as out of range
    marked = np.isin(now, repeated)
    return found + _learned(name, now, then, known, marked)


def _learned(name: str, now: Floats, then: Floats, known: Floats, marked: Marks) -> list[Suspicion]:
    found = []
    with np.errstate(invalid="ignore"):
        if known.min() >= 0:
            found.append(Suspicion("negative", name, "is negative", (now < 0) & ~marked, then < 0))
        low, high = learned_range(known)
        outside = np.isfinite(now) & ((now < low) | (now > high)) & ~marked
        if known.min() >= 0:
            outside &= now >= 0
        text = f"lies outside {low:.4g} to {high:.4g}, far beyond all that was seen"
        found.append(Suspicion("range", name, text, outside, (then < low) | (then > high)))
    if found_whole := _whole(name, now, then, known):
        found.append(found_whole)
    return found


def learned_range(known: Floats) -> tuple[float, float]:
    """Return a range that reaches as far again beyond the outermost thousandth as that lies from the middle.

    On the log scale where all values are positive and skewed. A normal variable would have to drift by three
    standard deviations before one row in a hundred left it.

    Examples
    --------
    >>> import numpy as np
    >>> low, high = learned_range(np.linspace(0.0, 1.0, 1001))
    >>> (low, high)
    (0.0, 1.0)
    """
    low, middle, high = np.quantile(known, (0.001, 0.5, 0.999))
    least, most = float(known.min()), float(known.max())
    if least >= 0 and most <= 1 and most > 0.5:
        # a share or a flag: nothing lies beyond
        return 0.0, 1.0
    if least > 0 and high / middle > 2 * middle / low * 0.5 and high / middle > 3:
        return float(low * (low / middle)), float(max(high * (high / middle), most))
    below, above = float(low - (middle - low)), float(high + (high - middle))
    return (max(min(below, least), 0.0) if least >= 0 else min(below, least)), max(above, most)


def repeated_values(now: Floats, then: Floats, groups: Sequence[Marks] = (), most: int = 8) -> list[float]:
    """Return values that repeat far more often than those beside them, and more often than they used to.

    Parameters
    ----------
    groups
        Rows to look at apart.
    most
        How many are returned, the most frequent first.

    Examples
    --------
    >>> import numpy as np
    >>> then = np.random.default_rng(1).normal(50, 10, 1000).round(1)
    >>> now = np.concatenate([then[:300], np.full(40, 0.0)])
    >>> repeated_values(now, then)
    [0.0]
    """
    usual = then[np.isfinite(then)]
    values, counts = np.unique(usual, return_counts=True)
    found: dict[float, int] = {}
    for rows in (np.ones(len(now), bool), *groups):
        held = now[rows]
        held = held[np.isfinite(held)]
        if len(held) < 12:
            continue
        seen, times = np.unique(held, return_counts=True)
        order = np.argsort(-times)[:6]
        for at in order.tolist():
            least = 6 if float(seen[at]) in MARKERS else 10
            if times[at] >= max(least, 0.002 * len(held)) and _stands_out(seen, times, at, len(held), values, counts):
                value = float(seen[at])
                found[value] = max(found.get(value, 0), int(times[at]))
    return sorted(found, key=lambda value: -found[value])[:most]


def _stands_out(
    seen: Floats, times: NDArray[np.int64], at: int, n: int, values: Floats, counts: NDArray[np.int64]
) -> bool:
    value, share = float(seen[at]), times[at] / n
    total = int(counts.sum())
    if total < _LEARN:
        return value in _NEVER
    place = int(np.searchsorted(values, value))
    known = int(counts[place]) if place < len(values) and values[place] == value else 0
    usual = known / total
    if share < 2 * usual + 0.002:
        return False
    if share >= 0.95:
        return usual < 0.8
    if len(values) <= 12:
        # a column of few values has no neighbours to compare with; one it never took is odd, another share is drift
        return known == 0 and (value in MARKERS or value < values[0] or value > values[-1])
    beside = times[max(at - 3, 0) : at].tolist() + times[at + 1 : at + 4].tolist()
    near = float(max(beside, default=1))
    # the same for the reference: a value may always have stood out, as 0 does in a count
    before = counts[max(place - 3, 0) : place].tolist() + counts[place + (known > 0) : place + 4].tolist()
    usually = known / max(float(max(before, default=1)), 1.0) if known else 0.0
    rare = usual < 0.02 or share > usual + 0.1 or value in MARKERS
    return bool(times[at] / near >= _STANDS_OUT * max(usually, 1.0) and rare)


def _repeat(name: str, value: float, now: Floats, then: Floats) -> Suspicion:
    shown = f"{value:g}"
    # any of the values could have been the one that repeats; the known markers are few
    tried = len(MARKERS) if value in MARKERS else len(np.unique(now[np.isfinite(now)]))
    return Suspicion("marker", name, f"is {shown}", now == value, then == value, other=repr(value), tried=tried)


def _whole(name: str, now: Floats, then: Floats, known: Floats) -> Suspicion | None:
    """Suspect that fractions were cut off: whole numbers where hardly any were whole."""
    if np.mean(known == np.floor(known)) > 0.3 or np.median(np.abs(known)) < 1:
        return None
    with np.errstate(invalid="ignore"):
        marks = [np.isfinite(v) & (v == np.floor(v)) for v in (now, then)]
    return Suspicion("precision", name, "has lost its fractions", marks[0], marks[1])


def finite_log(values: Floats) -> Floats:
    """Return the decimal logarithm of sizes; NaN for 0 and what is not finite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log10(np.abs(values))
    return np.where(np.isfinite(found), found, math.nan)
