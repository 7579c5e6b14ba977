"""Whether groups are further apart than they used to be.

The gap of a group is how far its rate lies from that of all other rows. What is told is by how much the gap has
grown since the reference, for the group of which the most can be feared. Rules: a normal interval of 95 % for all
groups together (Bonferroni); a group that has too few rows on either side makes the whole undefined, unless it holds
less than one row in a hundred of the reference, which is said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.model import Signal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["gap_growth"]

#: A group with a smaller part of the reference than this is named and not waited for.
_RARE = 0.01


@dataclass(frozen=True, slots=True)
class _Gap:
    """How far a group lies from the rest, with the variance of that, and the rows of the group."""

    value: float
    variance: float
    n: int


def gap_growth(
    name: str,
    column: str,
    then: tuple[Any, Floats],
    now: tuple[Any, Floats],
    *,
    fewest: int,
) -> Signal:
    """Measure by how much the gap between a group and the rest has grown; the worst group's, positive is worse.

    Source: own definition: difference of absolute differences of shares, normal interval with Bonferroni's
    correction for the number of groups (Dunn (1961), JASA 56, 52); unit ``share``.

    Parameters
    ----------
    name, column
        Of the signal, and the column that the groups are the values of.
    then, now
        Group and 1, 0 or NaN of each row, in the reference and in the fresh windows; NaN rows do not count.
    fewest
        Rows that a group has to have on either side.

    Examples
    --------
    >>> import numpy as np
    >>> groups, even = np.array(["a", "b"] * 400), np.array([1.0, 1.0, 0.0, 0.0] * 200)
    >>> gap_growth("selection", "region", (groups, even), (groups, even), fewest=30).value
    0.0
    >>> apart = np.where(groups == "a", 1.0, 0.0)
    >>> gap_growth("selection", "region", (groups, even), (groups, apart), fewest=30).value
    1.0
    """
    before, after = _known(*then), _known(*now)
    method = f"growth of a group's distance from the rest by {column}, Bonferroni over groups, normal interval"
    n, total = len(after[1]), len(before[1])
    groups = [str(one) for one in np.unique(before[0])] if total else []
    rare = [one for one in groups if (before[0] == one).mean() < _RARE]
    asked = [one for one in groups if one not in rare]
    if len(asked) < 2:
        reason = f"{total:,} rows of the reference hold fewer than two groups that can be compared"
        return Signal(name, None, "share", n, method, reason=reason)
    z = NormalDist().inv_cdf(1 - 0.025 / len(asked))
    found: list[tuple[float, float, str]] = []
    for group in asked:
        old, new = _gap(group, *before), _gap(group, *after)
        if min(old.n, new.n) < fewest:
            which, rows = ("the fresh windows", new.n) if new.n < fewest else ("the reference", old.n)
            reason = f"{column}={group} has {rows:,} rows in {which}, and {fewest} are needed"
            return Signal(name, None, "share", n, method, reason=reason)
        grown = abs(new.value) - abs(old.value)
        found.append((grown, z * math.sqrt(old.variance + new.variance), group))
    grown, half, group = max(found, key=lambda one: one[0] + one[1])
    told = f"{column}={group}" + (f"; too rare to compare: {', '.join(rare)}" if rare else "")
    return Signal(name, grown, "share", n, method, (grown - half, grown + half), reason=told)


def _known(groups: Any, hits: Floats) -> tuple[NDArray[np.str_], Floats]:  # noqa: ANN401 - any column
    known = np.isfinite(hits)
    return np.asarray(groups, dtype=str)[known], hits[known]


def _gap(group: str, groups: NDArray[np.str_], hits: Floats) -> _Gap:
    own, rest = hits[groups == group], hits[groups != group]
    if not len(own) or not len(rest):
        return _Gap(0.0, math.inf, 0)
    p, q = float(own.mean()), float(rest.mean())
    return _Gap(p - q, _variance(p, len(own)) + _variance(q, len(rest)), min(len(own), len(rest)))


def _variance(share: float, n: int) -> float:
    """Return the variance of a share, with one more of each kind, so that 0 of few is not taken for certain."""
    eased = (share * n + 1) / (n + 2)
    return eased * (1 - eased) / n
