"""Data quality in numbers: how much more of the rows is wrong than the reference's own rate explains.

Pure functions over counts and arrays. Rules: every share stands beside the reference's own, and what is
reported is the excess with its interval, so that a column that is always a fifth empty is not an alarm; nothing
here knows a threshold that decides a verdict; what has no rows is undefined and says so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Signal
from rbnb.signals.intervals import wilson

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["distance", "share_excess", "shifted_decisions"]

_Z95 = 1.959964


def share_excess(
    name: str, bad: int, n: int, base_bad: int, base_n: int, *, where: str = "", method: str = "", reason: str = ""
) -> Signal:
    """Return the share of wrong rows minus the reference's own share.

    Source: Newcombe (1998), Statistics in Medicine 17, 873, method 10.

    Parameters
    ----------
    bad, n
        Wrong rows and rows in what is examined.
    base_bad, base_n
        The same in the reference; with `base_n` 0 nothing is usual, and the share itself is returned.
    reason
        What to mind when reading it.

    Returns
    -------
    Signal
        Unit ``share``; the interval is Newcombe's hybrid score interval for a difference of two proportions
        (Newcombe 1998, Statistics in Medicine 17, 873, method 10). Undefined without rows.

    Examples
    --------
    >>> s = share_excess("null_excess", 38, 100, 10, 1000)
    >>> round(s.value, 3), tuple(round(x, 3) for x in s.interval)
    (0.37, (0.281, 0.468))
    """
    method = method or "share of rows minus the reference's own, Newcombe interval"
    if n <= 0:
        return Signal(name, None, "share", 0, method, where=where, reason="there are no rows to look at")
    p, (low, high) = bad / n, wilson(bad, n)
    if base_n <= 0:
        return Signal(name, p, "share", n, method, (low, high), where, reason=reason or "there is no reference")
    q, (base_low, base_high) = base_bad / base_n, wilson(base_bad, base_n)
    down = math.hypot(p - low, base_high - q)
    up = math.hypot(high - p, q - base_low)
    return Signal(name, p - q, "share", n, method, (p - q - down, p - q + up), where, q, reason)


def distance(name: str, now: ArrayLike, then: ArrayLike, *, where: str = "", bins: int = 10) -> Signal:
    """Return how far a distribution moved: the share of rows that would have to be elsewhere.

    Source: total variation distance (textbook); what chance adds is taken off by an own definition.

    Total variation distance over bins that hold equal shares of the reference; rows without a value are a bin of
    their own, infinities fall into the outermost. What chance alone brings is taken off.

    Parameters
    ----------
    now, then
        Values; NaN where there is none.

    Returns
    -------
    Signal
        Unit ``share``. The interval is of the multinomial counts, from the delta method at the signs observed;
        its lower end is 0 where chance explains the whole distance.

    Examples
    --------
    >>> import numpy as np
    >>> distance("moved", np.arange(1000.0), np.arange(1000.0)).value
    0.0
    >>> distance("moved", np.arange(1000.0) + 500, np.arange(1000.0)).value > 0.4
    True
    """
    current, reference = np.asarray(now, dtype=float), np.asarray(then, dtype=float)
    method = f"total variation distance over {bins} bins of equal share in the reference, nulls a bin of their own"
    finite = reference[np.isfinite(reference)]
    if min(len(current), len(finite)) < 50:
        least = min(len(current), len(finite))
        return Signal(name, None, "share", least, method, where=where, reason=f"{least} rows are too few")
    edges = np.unique(np.quantile(finite, np.arange(1, bins) / bins))
    p, q = _shares(current, edges), _shares(reference, edges)
    n, m = len(current), len(reference)
    value = 0.5 * float(np.abs(p - q).sum())
    spread = p * (1 - p) / n + q * (1 - q) / m
    chance = 0.5 * float(np.sqrt(2 / math.pi * spread).sum())
    signs = np.sign(p - q)
    variance = 0.25 * float(
        (signs**2 * p).sum() / n - (signs * p).sum() ** 2 / n + (signs**2 * q).sum() / m - (signs * q).sum() ** 2 / m
    )
    half = _Z95 * math.sqrt(max(variance, 0.0))
    middle = math.sqrt(max(value**2 - chance**2, 0.0))
    return Signal(name, middle, "share", n, method, (max(middle - half, 0.0), min(middle + half, 1.0)), where)


def _shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    known = values[~np.isnan(values)]
    # at an edge belongs to the bin above it, so that a value that repeats is one bin
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return np.append(counts, len(values) - len(known)) / len(values)


def shifted_decisions(positive: ArrayLike, touched: ArrayLike, usual: tuple[int, int], *, method: str = "") -> Signal:
    """Return how much more, or less, often touched requests are decided positively than is usual.

    Source: own definition: difference of two shares, with the interval of Newcombe (1998), Statistics in Medicine
    17, 873.

    Parameters
    ----------
    positive, touched
        For each examined row: whether the decision was positive, and whether its inputs were touched.
    usual
        Positive decisions and rows in the reference, for requests like those touched.

    Returns
    -------
    Signal
        ``decision_shift``, unit ``share``: the difference of two proportions with Newcombe's interval; negative
        where fewer are positive.

    Examples
    --------
    >>> s = shifted_decisions([True] * 60 + [False] * 40, [True] * 100, (300, 1000))
    >>> round(s.value, 2), s.interval[0] > 0.19
    (0.3, True)
    """
    yes, hit = np.asarray(positive, dtype=bool), np.asarray(touched, dtype=bool)
    text = method or "positive decisions among touched requests minus the usual share, Newcombe interval"
    return share_excess("decision_shift", int((yes & hit).sum()), int(hit.sum()), *usual, method=text)
