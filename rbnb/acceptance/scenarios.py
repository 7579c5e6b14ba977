"""Which rows a return to service is measured on: fresh windows, and several ways of looking at them.

Rules: a window is fresh only if it begins after the last thing that was done; windows follow each other without a
gap and end with the newest data; a scenario that the fresh rows do not hold is said, never passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from rbnb.model import Window

if TYPE_CHECKING:
    from rbnb.inventory import PeakWindow

__all__ = ["NAMES", "Scenario", "fresh_windows", "newest_part", "peak_part"]

#: What each scenario is called for a person.
NAMES = {
    "all": "all traffic",
    "peak": "peak load hours",
    "worst_segment": "the segment where it was worst",
    "newest": "the newest rows",
}
#: Which part of the fresh rows counts as the newest.
_NEWEST = 4
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way of looking at the fresh rows; `why` says why it could not be looked at."""

    name: str
    title: str
    window: Window | None
    n: int = 0
    where: str = ""
    why: str = ""
    wanted: bool = False


def fresh_windows(end: datetime, length: timedelta, count: int, since: datetime) -> list[Window]:
    """Return the fresh windows that end at `end`, oldest first; at most `count`, fewer where time was too short.

    Examples
    --------
    >>> end = datetime(2026, 11, 19, 16, tzinfo=UTC)
    >>> found = fresh_windows(end, timedelta(hours=1), 3, datetime(2026, 11, 19, 13, 30, tzinfo=UTC))
    >>> [f"{one.start:%H:%M}" for one in found]
    ['14:00', '15:00']
    """
    windows = [Window(end - length * (k + 1), end - length * k) for k in range(count)]
    return [one for one in reversed(windows) if one.start >= since]


def newest_part(window: Window, bucket: int) -> Window | None:
    """Return the last quarter of a window in whole buckets; None if that is fewer than two."""
    seconds = int(window.length.total_seconds()) // _NEWEST // bucket * bucket
    return Window(window.end - timedelta(seconds=seconds), window.end) if seconds >= 2 * bucket else None


def peak_part(window: Window, peak: PeakWindow | None, bucket: int) -> Window | None:
    """Return the latest stretch of peak hours in a window, in whole buckets; None if it holds no two buckets of it."""
    if peak is None:
        return None
    day = window.end.date() + timedelta(days=1)
    while day >= window.start.date() - timedelta(days=1):
        if _on(day.weekday(), peak):
            begins, ends = (datetime.combine(day, time.fromisoformat(t), UTC) for t in (peak.start, peak.end))
            ends += timedelta(days=1) if ends <= begins else timedelta(0)
            start, end = max(begins, window.start), min(ends, window.end)
            if (end - start).total_seconds() >= 2 * bucket:
                return _whole(start, end, bucket)
        day -= timedelta(days=1)
    return None


def _on(weekday: int, peak: PeakWindow) -> bool:
    first, _, last = peak.days.partition("-")
    low, high = _DAYS.index(first), _DAYS.index(last or first)
    return low <= weekday <= high if low <= high else weekday >= low or weekday <= high


def _whole(start: datetime, end: datetime, bucket: int) -> Window | None:
    first, last = -(-int(start.timestamp()) // bucket) * bucket, int(end.timestamp()) // bucket * bucket
    if last - first < 2 * bucket:
        return None
    return Window(datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC))
