"""What is usual of every bucket of a long series at once: `rbnb.signals.baseline.seasonal_expectation` on a grid.

The same numbers as that function gives for every bucket of the series itself, hour held against other days or weeks
and never against its own; since the buckets lie on a grid, neighbours are found by counting, so that months take
seconds. tests/test_baselines.py holds the two against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rbnb.signals.baseline import DAY, WEEK, Expectation, seasonal_period

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rbnb.baselines.windows import Floats, Hours

__all__ = ["usual_on_grid"]

#: As in `seasonal_expectation`: the hour's half width in seconds, buckets that must back it, the least spread.
_HALF, _ENOUGH, _FLOOR = 3_600, 12, 0.02
#: Numbers that are gathered at a time.
_AT_ONCE = 4_000_000


def usual_on_grid(times: Hours, values: Floats, usable: NDArray[np.bool_]) -> Expectation:
    """Return what is usual at each bucket of a series.

    Parameters
    ----------
    times
        Start of each bucket in epoch seconds, evenly spaced without gaps.
    values
        One number a bucket; what is not positive and finite does not count.
    usable
        Buckets that may be learned from.
    """
    step = int(times[1] - times[0]) if len(times) > 1 else _HALF
    good = np.isfinite(values) & (values > 0) & usable
    log = np.where(good, np.log(np.where(good, values, 1.0)), np.nan)
    held = times[good]
    season = seasonal_period(float(held[-1] - held[0])) if len(held) else 0
    table = np.full((len(times), 5), np.nan)
    table[:, 4] = 0
    left = np.arange(len(times))
    for period in [one for one in (WEEK, DAY) if one <= season]:
        rows = _beside(log, left, period // step, _HALF // step)
        table[left] = rows
        left = left[rows[:, 4] < _ENOUGH]
    if len(left):
        table[left] = _rows(log[None, :])
    low, middle, high = np.exp(table[:, 1]), np.exp(table[:, 0]), np.exp(table[:, 2])
    name = {WEEK: "hour of week", DAY: "hour of day", 0: "all hours"}[season]
    return Expectation(middle, low, high, table[:, 3], table[:, 4].astype(np.int64), name)


def _beside(log: Floats, targets: Hours, period: int, half: int) -> Floats:
    """Return the statistics of each target's neighbours at the same hour of other periods."""
    reach = len(log) // period + 1
    near = np.arange(-half, half + 1)
    offsets = np.concatenate([turn * period + near for turn in range(-reach, reach + 1) if turn])
    found = np.empty((len(targets), 5))
    many = max(_AT_ONCE // len(offsets), 1)
    for start in range(0, len(targets), many):
        index = targets[start : start + many, None] + offsets[None, :]
        inside = (index >= 0) & (index < len(log))
        found[start : start + many] = _rows(np.where(inside, log[np.where(inside, index, 0)], np.nan))
    return found


def _rows(near: Floats) -> Floats:
    """Return for each row middle, tenth, nine tenths, spread and count of what is not NaN."""
    ordered = np.sort(near, axis=1)
    n = np.isfinite(ordered).sum(axis=1)
    low, middle, high = (_quantile(ordered, n, level) for level in (0.1, 0.5, 0.9))
    away = np.sort(np.abs(near - middle[:, None]), axis=1)
    mad = 1.4826 * _quantile(away, n, 0.5)
    scale = np.maximum(np.maximum(mad, (high - middle) / 1.2816), _FLOOR)
    return np.column_stack([middle, low, high, scale, n])


def _quantile(ordered: Floats, n: NDArray[np.int64], level: float) -> Floats:
    """Return the quantile of the first `n` of each ordered row, between neighbours as numpy does; NaN of none."""
    place = level * np.maximum(n - 1, 0)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(n - 1, 0))
    rows = np.arange(len(ordered))
    low, high = ordered[rows, below], ordered[rows, above]
    return np.asarray(low + (place - below) * (high - low), dtype=np.float64)
