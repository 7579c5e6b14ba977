"""From what callers hold to what can be drawn: times, gaps, thinning, and the numbers on an axis.

Rules: a naive `datetime` is refused (numpy's ``datetime64`` has no zone and is UTC by convention);
a value that is missing or not finite is NaN, which is a gap; thinning keeps the lowest and highest
point of each stretch, so that no spike disappears.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "clock",
    "floats",
    "log_ticks",
    "number",
    "seconds",
    "share",
    "thin",
    "ticks_between",
    "time_ticks",
    "with_gaps",
]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_STEPS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000)
_THOUSANDS = "\u202f"


def second(moment: Any) -> float:  # noqa: ANN401 - datetime, Timestamp or datetime64
    """Return one time as seconds since 1970 in UTC.

    Raises
    ------
    ValueError
        If it is a `datetime` without a zone.
    """
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError("a naive time cannot be drawn: say its zone")
        return moment.timestamp()
    return float(np.datetime64(moment, "ms").astype(np.int64)) / 1000


def seconds(times: Iterable[Any]) -> Floats:
    """Return times as seconds since 1970 in UTC; see `second`."""
    if isinstance(times, np.ndarray) and times.dtype.kind == "M":
        return times.astype("datetime64[ms]").astype(np.int64) / 1000.0
    return np.array([second(moment) for moment in times], dtype=float)


def floats(values: Iterable[Any]) -> Floats:
    """Return numbers as an array in which all that is missing or not finite is NaN.

    Examples
    --------
    >>> floats([1, None, float("inf")])
    array([ 1., nan, nan])
    """
    out = np.array([math.nan if value is None else float(value) for value in values], dtype=float)
    out[~np.isfinite(out)] = math.nan
    return out


def with_gaps(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Put a NaN wherever the step in `x` is more than half again the usual one, so that no line crosses it."""
    if len(x) < 3:
        return x, y
    step = np.diff(x)
    at = np.flatnonzero(step > 1.5 * np.median(step)) + 1
    return np.insert(x, at, x[at - 1] + 1e-3), np.insert(y, at, math.nan)


def thin(x: Floats, y: Floats, most: int = 260) -> tuple[Floats, Floats]:
    """Keep at most about `most` points: of each stretch its lowest, its highest, and its gap if it has one."""
    if len(x) <= most:
        return x, y
    keep: set[int] = {0, len(x) - 1}
    for part in np.array_split(np.arange(len(x)), most // 2):
        missing = np.isnan(y[part])
        if missing.any():
            keep.add(int(part[missing.argmax()]))
        if not missing.all():
            keep.update((int(part[np.nanargmin(y[part])]), int(part[np.nanargmax(y[part])])))
    order = sorted(keep)
    return x[order], y[order]


def number(value: float) -> str:
    """Write a number for reading: three or four digits that count, thin spaces between thousands.

    Examples
    --------
    >>> number(1140.4), number(0.00123), number(12), number(86.04)
    ('1\u202f140', '0.00123', '12', '86')
    """
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}".replace(",", _THOUSANDS).replace("-", "−")
    return f"{value:.3g}".replace("-", "−")


def share(value: float) -> str:
    """Write a share of 1 as a percentage.

    Examples
    --------
    >>> share(0.4136), share(0.004)
    ('41\u202f%', '0.4\u202f%')
    """
    percent = 100 * value
    digits = 0 if abs(percent) >= 1 or percent == 0 else 1
    return f"{percent:.{digits}f}{_THOUSANDS}%".replace("-", "−")


def clock(at: float, *, day: bool = False) -> str:
    """Write seconds since 1970 as a time in UTC, with its day if asked.

    Examples
    --------
    >>> clock(1795356300.0, day=True)
    'Sun 22 Nov 14:05'
    """
    moment = datetime.fromtimestamp(at, UTC)
    return f"{_day(moment)} {moment:%H:%M}" if day else f"{moment:%H:%M}"


def _day(moment: datetime) -> str:
    return f"{_DAYS[moment.weekday()]} {moment.day} {_MONTHS[moment.month - 1]}"


def time_ticks(start: float, end: float, most: int = 6) -> list[tuple[float, str, str]]:
    """Return places on a time axis with their clock time and, where the day is new, the day."""
    span = max(end - start, 60.0)
    step = next((step for step in _STEPS if span / step <= most), _STEPS[-1])
    ticks: list[tuple[float, str, str]] = []
    seen = ""
    for at in np.arange(math.ceil(start / step) * step, end + 1, step):
        moment = datetime.fromtimestamp(float(at), UTC)
        day = _day(moment)
        ticks.append((float(at), f"{moment:%H:%M}" if step < 86400 else day, day if day != seen else ""))
        seen = day
    return ticks if step < 86400 else [(at, day, "") for at, day, _ in ticks]


def ticks_between(low: float, high: float, most: int = 4) -> list[float]:
    """Return round values between `low` and `high`, in steps of 1, 2 or 5 times a power of ten.

    Examples
    --------
    >>> ticks_between(0, 1140)
    [0.0, 500.0, 1000.0]
    """
    span = high - low
    if not span > 0:
        return [low]
    magnitude = 10.0 ** math.floor(math.log10(span / most))
    step = next((k * magnitude for k in (1, 2, 5, 10) if span / (k * magnitude) <= most), 10 * magnitude)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return round values on a log axis: decades, with their 2 and 5 where there are few.

    Examples
    --------
    >>> log_ticks(18, 1300)
    [20.0, 50.0, 100.0, 200.0, 500.0, 1000.0]
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps: Sequence[int] = (1, 2, 5) if high / low < 500 else (1,)
    return [k * 10.0**d for d in decades for k in steps if low <= k * 10.0**d <= high]
