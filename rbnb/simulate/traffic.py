"""When requests arrive: a Poisson process whose rate has a daily and a weekly shape and a trend.

Rules: the rate is worked out first, one number a minute (`per_minute`), and everything that depends on
load (arrivals, queues, infrastructure metrics) reads that one array. Times are milliseconds since 1970
in UTC, sorted. A `Surge` multiplies the rate for a while: more traffic, not slower requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rbnb.simulate.streams import stream

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["MINUTE", "Floats", "Millis", "Surge", "Traffic", "arrivals", "hour_of_week", "millis", "per_minute"]

Floats = NDArray[np.float64]
Millis = NDArray[np.int64]

MINUTE = 60_000
_HOUR = 60 * MINUTE
_WEEK = 168 * _HOUR

# Relative rate at each full hour, UTC: nights quiet, an evening peak from 17 to 21, flatter at weekends.
_WEEKDAY = (45, 35, 30, 28, 30, 40, 60, 80, 95, 100, 105, 110, 115, 115, 110, 110, 130, 195, 215, 215, 200, 170, 95, 60)
_WEEKEND = (50, 40, 33, 28, 28, 30, 36, 48, 66, 80, 92, 100, 104, 100, 96, 96, 100, 114, 122, 122, 114, 96, 74, 56)


@dataclass(frozen=True, slots=True)
class Surge:
    """Traffic multiplied by `factor` from `onset` until `end`."""

    onset: datetime
    end: datetime
    factor: float


@dataclass(frozen=True, slots=True)
class Traffic:
    """How many requests arrive when.

    Parameters
    ----------
    start, end
        The span, whole minutes in UTC; `end` is not part of it.
    per_hour
        Mean requests an hour at the start of the span.
    trend_per_week
        Growth a week as a share, 0.03 for 3 %.
    seasonal
        1 for the full daily and weekly shape, 0 for a flat rate.
    wobble
        Standard deviation of what makes an hour differ from its shape, as a share.
    surges
        Spans with more or less traffic than usual.
    """

    start: datetime
    end: datetime
    per_hour: float = 220.0
    trend_per_week: float = 0.03
    seasonal: float = 1.0
    wobble: float = 0.03
    surges: tuple[Surge, ...] = ()


def millis(time: datetime) -> int:
    """Return `time` as milliseconds since 1970.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> millis(datetime(1970, 1, 2, tzinfo=UTC))
    86400000
    """
    return round(time.timestamp() * 1000)


def hour_of_week(at: Millis) -> Floats:
    """Return hours since Monday 00:00 UTC, 0 up to 168."""
    # 1970-01-01 was a Thursday
    return ((at + 72 * _HOUR) % _WEEK) / _HOUR


def per_minute(traffic: Traffic, seed: int) -> Floats:
    """Return the expected number of requests in each minute of the span."""
    first = millis(traffic.start)
    at = np.arange(first, millis(traffic.end), MINUTE, dtype=np.int64)
    rate = traffic.per_hour / 60 * (1 + traffic.seasonal * (_shape(at) - 1))
    rate *= (1 + traffic.trend_per_week) ** ((at - first) / _WEEK)
    hours = (at - first) // _HOUR
    noise = stream(seed, "traffic", "wobble").normal(0, traffic.wobble, int(hours[-1]) + 1)
    rate *= np.exp(noise)[hours]
    for surge in traffic.surges:
        rate[(at >= millis(surge.onset)) & (at < millis(surge.end))] *= surge.factor
    return np.asarray(rate, dtype=np.float64)


def arrivals(traffic: Traffic, rate: Floats, seed: int) -> Millis:
    """Draw the arrival times for the expected requests a minute in `rate`."""
    rng = stream(seed, "traffic", "arrivals")
    counts = rng.poisson(rate)
    minute = np.repeat(np.arange(len(rate), dtype=np.int64), counts)
    within = rng.integers(0, MINUTE, len(minute))
    return np.sort(millis(traffic.start) + minute * MINUTE + within)


def _shape(at: Millis) -> Floats:
    """Rate relative to the week's mean, a line from each full hour to the next."""
    week = np.array(_WEEKDAY * 5 + _WEEKEND * 2, dtype=np.float64)
    return np.asarray(np.interp(hour_of_week(at), np.arange(168), week / week.mean(), period=168), dtype=np.float64)
