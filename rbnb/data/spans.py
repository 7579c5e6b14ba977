"""Which rows are meant: a span of time, or the same hours of each week in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

__all__ = ["DAY", "WEEK", "Extent", "Span", "moment"]

#: Seconds in a week; epoch 0 was a Thursday, so weeks are counted from there, which is as good as any day.
WEEK = 604_800
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Extent:
    """What the request log holds: first and last time, rows, and rows that cannot be used."""

    first: datetime | None
    last: datetime | None
    rows: int
    future: int


@dataclass(frozen=True, slots=True)
class Span:
    """Rows between two epoch seconds, optionally only at some seconds of each `period`.

    Parameters
    ----------
    start, end
        Epoch seconds, half open.
    period
        Seconds after which hours repeat (a week or a day), or 0 for every row.
    slots
        Pairs of seconds into the period, half open; only rows inside one count.
    weekdays
        With a period of a day: keep only weekdays (True), weekends (False), or both (None).
    leave_out
        Spans of epoch seconds that do not count, such as earlier incidents.
    """

    start: int
    end: int
    period: int = 0
    slots: tuple[tuple[int, int], ...] = ()
    weekdays: bool | None = None
    leave_out: tuple[tuple[int, int], ...] = ()


def moment(epoch: float | None) -> datetime | None:
    """Return an epoch second as a time, or None where there is none."""
    if epoch is None or math.isnan(epoch):
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(epoch))
