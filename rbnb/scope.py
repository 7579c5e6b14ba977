"""What a run looks at: the window, the reference it is held against, and the size of a bucket.

Rules: the window ends at the newest complete bucket unless a time is given; rows newer than the clock are
never used; the reference ends where the window begins, or leaves it out as it does earlier incidents; a
bucket is as small as the traffic allows, so that each holds enough requests to say something.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rbnb.errors import DataError, ParameterError, UsageError
from rbnb.model import Window
from rbnb.times import format_time, parse_duration, parse_time

__all__ = ["DEFAULT_REFERENCE", "Scope", "describe", "parse_spans", "resolve_scope"]

_BUCKETS = (300, 600, 900, 1800, 3600)
#: Requests a bucket should hold on average.
_PER_BUCKET = 8
DEFAULT_REFERENCE = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Scope:
    """The spans of one run, in UTC, aligned to the bucket (seconds).

    `now` is the clock that freshness is judged by: a time given by a person is its own clock.
    """

    window: Window
    reference: Window
    bucket: int
    now: datetime
    leave_out: tuple[tuple[int, int], ...] = ()

    @property
    def start(self) -> int:
        """First epoch second of the window."""
        return int(self.window.start.timestamp())

    @property
    def end(self) -> int:
        """Epoch second at which the window ends."""
        return int(self.window.end.timestamp())

    @property
    def reference_start(self) -> int:
        """First epoch second of the reference."""
        return int(self.reference.start.timestamp())

    @property
    def reference_end(self) -> int:
        """Epoch second at which the reference ends."""
        return int(self.reference.end.timestamp())


def resolve_scope(
    *,
    first: datetime | None,
    last: datetime | None,
    rows: int,
    now: datetime,
    at: str,
    window: str,
    bucket: str,
    reference: timedelta | Window | None,
    per_row: bool,
    leave_out: tuple[tuple[int, int], ...] = (),
) -> Scope:
    """Work out window, reference and bucket.

    Parameters
    ----------
    first, last
        Times of the oldest and newest row, or None where there is none.
    rows
        How many there are.
    now
        The clock; for a recording, its end.
    at
        When the window ends, or "" for the newest complete data.
    window, bucket
        Durations; bucket may be ``auto``.
    reference
        How far the reference reaches back before the window, or a fixed span.
    per_row
        Whether each row is a measurement of its own rather than one request among many.
    leave_out
        Earlier incidents as epoch seconds.

    Raises
    ------
    DataError
        If there is no row at all.
    ParameterError
        If the bucket is no divisor of an hour, or the window holds fewer than two buckets.
    """
    if first is None or last is None:
        raise DataError("the request log holds no rows up to now", hint="check the table and the clock of its writer")
    size = _bucket(bucket, first, last, rows, per_row=per_row)
    length = parse_duration(window)
    if length.total_seconds() < 2 * size:
        raise ParameterError(f"a window of {window} holds fewer than two buckets of {size // 60} min", hint="widen it")
    end = _aligned(parse_time(at), size) if at else _newest_complete(last, now, size)
    span = Window(_aligned(end - length, size), end)
    if isinstance(reference, Window):
        before = reference
        if before.start < span.end and before.end > span.start:
            leave_out = (*leave_out, (int(span.start.timestamp()), int(span.end.timestamp())))
    else:
        before = Window(_aligned(span.start - (reference or DEFAULT_REFERENCE), size), span.start)
    return Scope(span, before, size, now, leave_out)


def parse_spans(text: str) -> tuple[tuple[int, int], ...]:
    """Read spans written ``start/end,start/end`` in ISO 8601, as epoch seconds.

    Raises
    ------
    UsageError
        If a time is no time, or a span ends before it starts.

    Examples
    --------
    >>> parse_spans("2026-11-10T08:00:00Z/2026-11-10T09:00:00Z")
    ((1794297600, 1794301200),)
    """
    spans = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        first, _, last = part.partition("/")
        start, end = int(parse_time(first).timestamp()), int(parse_time(last).timestamp())
        if start >= end:
            raise UsageError(f"the span {part} ends before it starts", hint="write it as start/end")
        spans.append((start, end))
    return tuple(spans)


def _bucket(text: str, first: datetime, last: datetime, rows: int, *, per_row: bool) -> int:
    if text != "auto":
        seconds = int(parse_duration(text).total_seconds())
        if seconds < 10 or 3600 % seconds:
            raise ParameterError(f"a bucket of {text} does not divide an hour", hint="use 1m, 5m, 10m, 15m, 30m or 1h")
        return seconds
    rate = rows / max((last - first).total_seconds(), 1.0)
    if per_row:
        return next((size for size in _BUCKETS if rate * size >= 0.9), _BUCKETS[-1])
    return next((size for size in _BUCKETS if rate * size >= _PER_BUCKET), _BUCKETS[-1])


def _newest_complete(last: datetime, now: datetime, size: int) -> datetime:
    filled = _aligned(last, size) + timedelta(seconds=size)
    return filled if filled <= now else _aligned(last, size)


def _aligned(moment: datetime, size: int) -> datetime:
    seconds = int(moment.timestamp())
    return datetime.fromtimestamp(seconds - seconds % size, UTC)


def describe(scope: Scope) -> dict[str, str]:
    """Return the spans as text for a person."""
    return {
        "window": f"{format_time(scope.window.start)} to {format_time(scope.window.end)}",
        "reference": f"{format_time(scope.reference.start)} to {format_time(scope.reference.end)}",
        "bucket": f"{scope.bucket // 60} min" if scope.bucket >= 60 else f"{scope.bucket} s",
    }
