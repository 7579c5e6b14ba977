"""What is usual for this hour: a robust seasonal expectation, and how far a value is from it.

Rules: the reference is compared hour by hour (same hour of the week where two weeks are there, else the
same hour of the day, else everything); an hour is held against other days, never against its own, so that
an incident that began before the window is no yardstick for itself; medians and quantiles, not means, so
that an earlier incident in the reference cannot raise the bar; distances are taken on the log scale, where
latencies are roughly symmetric; a bucket without data stays without data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["DAY", "WEEK", "Expectation", "fewer", "robust_z", "seasonal_expectation", "seasonal_period", "sustained"]

DAY = 86_400
WEEK = 604_800

#: Log-scale spread below which differences are taken for rounding: 2 %.
_FLOOR = 0.02
#: Buckets that must back an expectation before the next wider period is used.
_ENOUGH = 12


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the reference leads one to expect at each target time.

    Parameters
    ----------
    middle, low, high
        Median, 10 % and 90 % quantile of the neighbouring reference buckets, in the values' unit; NaN without any.
    scale
        Robust spread on the log scale, at least 0.02.
    n
        Reference buckets behind each.
    period
        ``hour of week``, ``hour of day`` or ``all hours``: the narrowest that most targets could use.
    """

    middle: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    scale: NDArray[np.float64]
    n: NDArray[np.int64]
    period: str


def seasonal_period(span_seconds: float) -> int:
    """Return the season that a reference of this length can show: a week, a day, or 0 for none.

    Examples
    --------
    >>> seasonal_period(14 * 86400), seasonal_period(5 * 86400), seasonal_period(3600)
    (604800, 86400, 0)
    """
    if span_seconds >= 13.5 * DAY:
        return WEEK
    return DAY if span_seconds >= 1.9 * DAY else 0


def seasonal_expectation(
    times: ArrayLike,
    values: ArrayLike,
    targets: ArrayLike,
    *,
    half_width: int = 3600,
    leave_out: Sequence[tuple[int, int]] = (),
) -> Expectation:
    """Return what is usual at each target time, from reference buckets at the same hour.

    Parameters
    ----------
    times, values
        Reference buckets: epoch seconds, and a positive value each (NaN where there is no data).
    targets
        Epoch seconds to say something about.
    half_width
        Seconds to either side that count as the same hour.
    leave_out
        Pairs of epoch seconds that do not count, such as earlier incidents.

    Returns
    -------
    Expectation
        One row a target.

    Notes
    -----
    The spread is the larger of 1.4826 × MAD and the upper tenth's distance over its normal quantile, so that
    an hour in which the level usually jumps is given room. Rousseeuw & Croux (1993), JASA 88, 1273.

    Examples
    --------
    >>> import numpy as np
    >>> times = np.arange(0, 14 * 86400, 300)
    >>> usual = seasonal_expectation(times, np.where(times % 86400 < 43200, 10.0, 20.0), [14 * 86400 + 7200])
    >>> round(float(usual.middle[0]), 3), usual.period
    (10.0, 'hour of week')
    """
    time = np.asarray(times, dtype=np.int64)
    value = np.asarray(values, dtype=np.float64)
    good = np.isfinite(value) & (value > 0)
    for low, high in leave_out:
        good &= ~((time >= low) & (time < high))
    time, log = time[good], np.log(value[good])
    span = float(time.max() - time.min()) if len(time) else 0.0
    widest_first = {WEEK: (WEEK, DAY, 0), DAY: (DAY, 0), 0: (0,)}[seasonal_period(span)]
    rows = [_row(time, log, int(target), widest_first, half_width) for target in np.asarray(targets, dtype=np.int64)]
    table = np.array([row[:5] for row in rows], dtype=np.float64).reshape(-1, 5)
    periods = [row[5] for row in rows]
    name = {WEEK: "hour of week", DAY: "hour of day", 0: "all hours"}
    used = max(set(periods), key=periods.count) if periods else 0
    return Expectation(
        middle=np.exp(table[:, 0]),
        low=np.exp(table[:, 1]),
        high=np.exp(table[:, 2]),
        scale=table[:, 3],
        n=table[:, 4].astype(np.int64),
        period=name[used],
    )


def _row(
    time: NDArray[np.int64], log: NDArray[np.float64], target: int, periods: tuple[int, ...], half_width: int
) -> tuple[float, float, float, float, int, int]:
    near = log
    used = 0
    for period in periods:
        if period:
            away = np.abs(time - target)
            apart = np.minimum(away % period, period - away % period)
            near = log[(apart <= half_width) & (away > period // 2)]
        else:
            near = log
        used = period
        if len(near) >= _ENOUGH:
            break
    if not len(near):
        return (np.nan, np.nan, np.nan, np.nan, 0, used)
    low, middle, high = np.quantile(near, (0.1, 0.5, 0.9))
    mad = 1.4826 * float(np.median(np.abs(near - middle)))
    return (middle, low, high, max(mad, (high - middle) / 1.2816, _FLOOR), len(near), used)


def fewer(usual: Expectation, counts: ArrayLike, usual_counts: ArrayLike) -> Expectation:
    """Widen an expectation where a bucket rests on fewer requests than usual, whose quantiles scatter more.

    Parameters
    ----------
    usual
        One row a target.
    counts, usual_counts
        Requests in each target bucket, and how many are usual at that hour.

    Returns
    -------
    Expectation
        With `scale` grown by the square root of how many times fewer; never narrowed.

    Examples
    --------
    >>> usual = seasonal_expectation(range(0, 7200, 300), [10.0] * 24, [7200, 7500])
    >>> fewer(usual, [5, 40], [20, 20]).scale.tolist()
    [0.04, 0.02]
    """
    now, before = np.asarray(counts, dtype=np.float64), np.asarray(usual_counts, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.sqrt(before / np.maximum(now, 1.0))
    return replace(usual, scale=usual.scale * np.where(factor > 1, factor, 1.0))


def robust_z(values: ArrayLike, usual: Expectation) -> NDArray[np.float64]:
    """Return how many robust standard deviations each value lies above what is usual, on the log scale.

    Values that are not positive and finite, and targets without an expectation, give NaN.

    Examples
    --------
    >>> usual = seasonal_expectation(range(0, 7200, 300), [10.0] * 24, [7200])
    >>> bool(robust_z([20.0], usual)[0] > 30)
    True
    """
    value = np.asarray(values, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        log = np.where(value > 0, np.log(value), np.nan)
        return np.asarray((log - np.log(usual.middle)) / usual.scale, dtype=np.float64)


def sustained(z: ArrayLike, of: int = 3) -> NDArray[np.float64]:
    """Return for each bucket the second largest distance among it and the `of` − 1 after it.

    One wild bucket does not make an incident, two of three do; buckets without data count as unremarkable.

    Examples
    --------
    >>> sustained([0.0, 9.0, 0.0, 8.0, 0.0]).tolist()
    [0.0, 8.0, 0.0, 0.0, 0.0]
    """
    filled = np.where(np.isfinite(np.asarray(z, dtype=np.float64)), z, 0.0)
    padded = np.concatenate([filled, np.full(of - 1, -np.inf)])
    stacked = np.stack([padded[i : i + len(filled)] for i in range(of)])
    second = np.sort(stacked, axis=0)[-2] if len(filled) else filled
    return np.where(np.isfinite(second), second, 0.0)
