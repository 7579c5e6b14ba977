"""Since when it has drifted, and whether it is over, hour by hour.

Rules: what is followed is what drifted most, as one number a row: how much likelier its value is in the window
than in the reference; what is usual at that hour is taken off; first hours are compared, then, around the
beginning, the run's own buckets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbnb.signals.drift.stretch import Stretch, find_stretch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rbnb.signals.drift.bins import Bins

    Floats = NDArray[np.float64]

__all__ = ["Course", "follow", "likelihood"]

_HOUR, _DAY = 3_600, 86_400
#: Standard errors that a stretch must lie off to be called one, and what follows off the stretch to be called its end.
_CERTAIN = 5.0
#: How much of the departure may be left for it to count as over.
_OVER = 0.4


@dataclass(frozen=True, slots=True)
class Course:
    """Onset and end in epoch seconds (no end while it goes on), and the series that shows it.

    Parameters
    ----------
    what
        What was followed.
    times, level, usual
        By bucket: its start, the mean of what was followed, and what is usual at its hour.
    """

    what: str
    onset: int | None
    ended: int | None
    times: NDArray[np.int64]
    level: Floats
    usual: Floats
    z: float = 0.0


def likelihood(bins: Bins, reference: NDArray[np.int64], current: NDArray[np.int64]) -> Floats:
    """Return for each bin how much likelier it is now than before, as a bounded logarithm.

    Parameters
    ----------
    bins
        What was counted.
    reference, current
        Rows in each bin.
    """
    p, q = ((part + 1) / (part.sum() + len(bins.names)) for part in (current, reference))
    return np.asarray(np.clip(np.log(p / q), -2.0, 2.0), dtype=np.float64)


def follow(what: str, times: NDArray[np.int64], values: Floats, *, start: int, end: int, bucket: int) -> Course:
    """Find the stretch in which a number a row departed from what is usual at its hour.

    Parameters
    ----------
    what
        What the number is.
    times, values
        Of every row of reference and window; NaN does not count.
    start, end
        The window, in epoch seconds.
    bucket
        Seconds of the run's own bucket.
    """
    known = np.isfinite(values)
    time, value = times[known], values[known]
    first = int(time.min()) if len(time) else start
    first -= (first - start) % _HOUR
    usual = _usual(time, value, start)
    left = value - usual[_slot(time, start)]
    places = (time - first) // _HOUR
    size = int(max((end - first) // _HOUR, 1))
    counts = np.bincount(places, minlength=size)[:size].astype(np.float64)
    sums = np.bincount(places, weights=left, minlength=size)[:size].astype(np.float64)
    grid = first + _HOUR * np.arange(size)
    before = time < start
    variance = float(left[before].var()) if before.any() else 0.0
    spread = _spread(sums, counts, variance, grid < start)
    since = int((start - first) // _HOUR)
    found = find_stretch(sums, counts, variance, since=since, spread=spread)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    shown = usual[_slot(grid, start)]
    if found is None or found.z < _CERTAIN:
        return Course(what, None, None, grid, means + shown, shown)
    ended = _ended(found, sums, counts, variance)
    onset = (
        _refined(int(grid[found.first]), time, left, bucket, found.departure)
        if bucket < _HOUR
        else int(grid[found.first])
    )
    return Course(what, onset, None if ended is None else int(grid[ended]), grid, means + shown, shown, found.z)


def _slot(times: NDArray[np.int64], start: int) -> NDArray[np.int64]:
    """Return hour of the day, weekdays and weekends apart."""
    weekend = np.isin((times // _DAY) % 7, (2, 3))
    return np.asarray(((times - start) // _HOUR) % 24 + 24 * weekend, dtype=np.int64)


def _usual(times: NDArray[np.int64], values: Floats, start: int) -> Floats:
    """Return the mean before the window for each hour and kind of day; the overall mean counts as thirty rows."""
    before = times < start
    slots = _slot(times[before], start)
    counts = np.bincount(slots, minlength=48).astype(np.float64)
    sums = np.bincount(slots, weights=values[before], minlength=48)
    whole = float(values[before].mean()) if before.any() else 0.0
    return np.asarray((sums + 30 * whole) / (counts + 30), dtype=np.float64)


def _spread(sums: Floats, counts: Floats, variance: float, before: NDArray[np.bool_]) -> float:
    """Return how much hours of the reference differ beyond chance, as a robust standard deviation."""
    used = before & (counts > 0)
    if used.sum() < 12 or variance <= 0:
        return 0.0
    means = sums[used] / counts[used]
    middle = float(np.median(np.abs(means - np.median(means)))) * 1.4826
    return float(np.sqrt(max(middle**2 - float(np.median(variance / counts[used])), 0.0)))


def _ended(found: Stretch, sums: Floats, counts: Floats, variance: float) -> int | None:
    """Return the bucket in which it was over, or None while what follows may still be like the stretch."""
    after = slice(found.last + 1, None)
    rows = float(counts[after].sum())
    if rows < 20 or len(counts) - found.last - 1 < 2:
        return None
    left, error = float(sums[after].sum()) / rows, float(np.sqrt(variance / rows))
    share = left / found.departure
    certain = (found.departure - left) * np.sign(found.departure) > _CERTAIN * error
    return found.last + 1 if share < _OVER and bool(certain) else None


def _refined(onset: int, time: NDArray[np.int64], left: Floats, bucket: int, departure: float) -> int:
    """Return the bucket near the hour found from which on rows look like the stretch rather than like before."""
    low, high = onset - 2 * _HOUR, onset + 2 * _HOUR
    near = (time >= low) & (time < high)
    size = (high - low) // bucket
    # the likelihood of each row under the shifted level against the usual one, added up from the right
    gain = np.bincount((time[near] - low) // bucket, weights=left[near] - departure / 2, minlength=size) * np.sign(
        departure
    )
    return int(low + bucket * int(np.argmax(np.cumsum(gain[::-1])[::-1])))
