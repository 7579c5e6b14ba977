"""Where and since when: which slice of the traffic holds the rows that are wrong, and from which bucket on.

Rows are marked wrong by another signal (an output that differs, a residual beyond the usual). Rules: a slice is
one column = value; place and time are looked for together, because a place that was right until an hour ago is
still the place; everywhere is a candidate like any other; all tests of slices are corrected with Bonferroni.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import SegmentShare
from rbnb.signals.intervals import share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

__all__ = ["Stretch", "rank_places", "stretch_of", "stretch_of_gain", "worst_place"]

#: Rows a slice needs to be named.
_FEWEST = 8
#: Log likelihood ratio from which a stretch is believed: 20 to 1.
_SURE = 3.0
#: By how much a place must be better than one that is named before it.
_BETTER = 0.5
#: The same for its end, which is looked for where the evidence happens to be thinnest: 400 to 1.
_OVER = 6.0
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Stretch:
    """From when to when rows are wrong, in epoch seconds; `ended` is None while it goes on.

    `strength` is the log likelihood ratio of the stretch against nothing having changed.
    """

    onset: int
    ended: int | None
    strength: float


def stretch_of(wrong: Flags, epochs: NDArray[np.int64], bucket: int, usual: float, *, end: int) -> Stretch | None:
    """Find the stretch of buckets in which rows are wrong more often than usual.

    The stretch with the largest sum of log likelihood ratios (Bernoulli, usual against the rate inside it), by
    the maximum-subarray scan; the rate inside is estimated twice more from the stretch that was found. Siegmund
    (1985), Sequential Analysis, 2.6, for the statistic; Bentley (1984), CACM 27, 865, for the scan.

    Parameters
    ----------
    wrong, epochs
        Of each row, in any order.
    bucket
        Seconds.
    usual
        Share of rows that is wrong when nothing is.
    end
        Epoch second at which the window ends.

    Returns
    -------
    Stretch or None
        None if no stretch is at least 3 in log likelihood ratio.

    Examples
    --------
    >>> import numpy as np
    >>> times = np.arange(0, 36000, 10)
    >>> stretch_of(times >= 18000, times, 3600, 0.001, end=36000).onset
    18000
    """
    if not len(wrong) or not wrong.any():
        return None
    # the same floor for every place, however few rows it has: their strengths are compared
    usual = min(max(usual, 1e-5), 0.5)
    rate, found = max(float(wrong.mean()), 2 * usual), None
    for _ in range(3):
        rate = min(max(rate, 1.5 * usual), 1 - 1e-6)
        gain = np.where(wrong, math.log(rate / usual), math.log((1 - rate) / (1 - usual)))
        found = stretch_of_gain(gain, epochs, bucket, end=end)
        if found is None:
            return None
        inside = (epochs >= found.onset) & (epochs < (found.ended or end))
        rate = float(wrong[inside].mean())
    return found


def stretch_of_gain(gain: Floats, epochs: NDArray[np.int64], bucket: int, *, end: int) -> Stretch | None:
    """Find the stretch of buckets with the largest sum of log likelihood ratios given row by row; see `stretch_of`.

    Examples
    --------
    >>> import numpy as np
    >>> stretch_of_gain(np.array([-1.0, 2.0, 2.0, -9.0]), np.array([0, 60, 120, 180]), 60, end=240)
    Stretch(onset=60, ended=180, strength=4.0)
    """
    if not len(gain):
        return None
    slots = epochs // bucket
    first = int(slots.min())
    each = np.asarray(np.bincount(slots - first, weights=gain), dtype=np.float64)
    low, high, strength = _best_run(each)
    if strength < _SURE:
        return None
    ended = (first + high) * bucket
    over = ended < end and -float(each[high:].sum()) >= _OVER
    return Stretch((first + low) * bucket, ended if over else None, strength)


def _best_run(gain: Floats) -> tuple[int, int, float]:
    """Return the half-open run with the largest sum."""
    total = np.concatenate([[0.0], np.cumsum(gain)])
    lowest = np.minimum.accumulate(total)
    high = int(np.argmax(total - lowest))
    low = int(np.flatnonzero(total[: high + 1] == lowest[high])[-1])
    return low, high, float(total[high] - lowest[high])


def worst_place(
    wrong: Flags,
    members: Mapping[str, Flags],
    epochs: NDArray[np.int64],
    bucket: int,
    usual: float,
    *,
    end: int,
) -> tuple[str, Stretch | None]:
    """Return the place, and the stretch of time in it, that explain best which rows are wrong.

    Of each place the likeliest stretch is found, and the place whose stretch has the largest likelihood ratio is
    taken: it holds most of what is wrong and least of what is not. An earlier place is kept unless a later one
    is better by more than `_BETTER`, so that of two that say the same the first is named.

    Parameters
    ----------
    wrong, epochs
        Of each row of window and reference.
    members
        By place, which rows lie in it; those that should be named first come first.
    bucket, usual, end
        As for `stretch_of`.

    Examples
    --------
    >>> import numpy as np
    >>> times = np.arange(0, 36000, 10)
    >>> there = times % 20 == 0
    >>> places = {"zone=a": there, "zone=b": ~there, "": np.ones(len(times), dtype=bool)}
    >>> worst_place((times >= 18000) & there, places, times, 3600, 0.001, end=36000)[0]
    'zone=a'
    """
    best: tuple[str, Stretch | None] = ("", None)
    for where, member in members.items():
        if member.sum() < _FEWEST:
            continue
        found = stretch_of(wrong[member], epochs[member], bucket, usual, end=end)
        if found is not None and (best[1] is None or found.strength > best[1].strength + _BETTER):
            best = (where, found)
    return best


def rank_places(wrong: Flags, members: Mapping[str, Flags], usual: float, *, alpha: float = 0.05) -> list[SegmentShare]:
    """Rank slices by how much of what is wrong they hold beyond their share of the rows.

    Parameters
    ----------
    wrong, members
        Of the window alone; by place, which rows lie in it.
    usual
        Share of rows that is wrong when nothing is.
    alpha
        Family-wise error rate over all slices (Bonferroni).

    Returns
    -------
    list of SegmentShare
        Those with more than their share, best first; ``explains`` is the share of the wrong rows beyond the usual.
    """
    total = float(wrong.sum()) - usual * len(wrong)
    if total <= 0 or not members:
        return []
    limit = alpha / len(members)
    found = [_slice(where, member, wrong, usual, total, limit) for where, member in members.items()]
    kept = [one for one in found if one is not None]
    return sorted(kept, key=lambda one: (-one.score, one.where))


def _slice(where: str, member: Flags, wrong: Flags, usual: float, total: float, alpha: float) -> SegmentShare | None:
    n, of = int(member.sum()), len(wrong)
    if n < _FEWEST or n == of:
        return None
    hits = int((wrong & member).sum())
    rest = (int(wrong.sum()) - hits) / (of - n)
    pooled = float(wrong.mean())
    spread = math.sqrt(max(pooled * (1 - pooled), 1e-12) * (1 / n + 1 / (of - n)))
    if 1 - _NORMAL.cdf((hits / n - rest) / spread) >= alpha:
        return None
    rate = share("", hits, n)
    low, high = rate.interval or (0.0, 1.0)
    ends = tuple(min(max((end - usual) * n / total, 0.0), 1.0) for end in (low, high))
    explains = min(max((hits - usual * n) / total, 0.0), 1.0)
    traffic = n / of
    return SegmentShare(where, explains, (ends[0], ends[1]), n, traffic, (explains - traffic) / (1 - traffic))
