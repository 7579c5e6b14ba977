"""Times and durations, one way to read and write each.

Rules: every time inside rbnb is an aware `datetime` in UTC; a naive one is refused at the door, never
guessed. Durations are read as ``2h``, ``90m``, ``14d`` or ISO 8601 (``P14D``, ``PT10M``) and are never
months or years, whose length varies. The clock is an argument, never a call deep inside.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from rbnb.errors import UsageError

__all__ = ["format_duration", "format_time", "parse_duration", "parse_time", "utc_now"]

_SHORT = re.compile(r"(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>s|m|min|h|d|w)", re.IGNORECASE)
_ISO = re.compile(r"P(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


def utc_now() -> datetime:
    """Return the time now, aware and in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def parse_duration(text: str) -> timedelta:
    """Read a positive duration such as ``2h``, ``90m``, ``14d`` or ``P14D``.

    Raises
    ------
    UsageError
        If the text is no duration, or the duration is not positive.

    Examples
    --------
    >>> parse_duration("2h"), parse_duration("P1DT30M")
    (datetime.timedelta(seconds=7200), datetime.timedelta(days=1, seconds=1800))
    """
    text = text.strip()
    short = _SHORT.fullmatch(text)
    seconds = 0.0
    if short:
        seconds = float(short["amount"]) * _SECONDS[short["unit"].lower()]
    elif iso := _ISO.fullmatch(text.upper()):
        seconds = sum(float(n or 0) * _SECONDS[unit] for unit, n in iso.groupdict().items())
    if not 0 < seconds <= 86400 * 3660:
        raise UsageError(
            f"{text!r} is not a duration", hint="write it as 2h, 90m, 14d, or in ISO 8601 as P14D or PT10M"
        )
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Write a duration as a person says it.

    Examples
    --------
    >>> format_duration(timedelta(minutes=115)), format_duration(timedelta(days=14))
    ('1 h 55 min', '14 d')
    """
    seconds = round(abs(duration.total_seconds()))
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [f"{n} {unit}" for n, unit in ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")) if n]
    return " ".join(parts[:2]) or "0 s"


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 time that says its zone, and return it in UTC.

    Raises
    ------
    UsageError
        If it is no time, or names no zone.

    Examples
    --------
    >>> parse_time("2026-11-19T15:05:00+01:00").isoformat()
    '2026-11-19T14:05:00+00:00'
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{text!r} is not a time", hint="write it as 2026-11-19T14:05:00Z") from None
    if moment.tzinfo is None:
        raise UsageError(f"the time {text!r} names no zone", hint=f"write {text.strip()}Z if it is UTC")
    return moment.astimezone(UTC)


def format_time(moment: datetime) -> str:
    """Write an aware time in UTC, to the second, with a Z.

    Raises
    ------
    ValueError
        If the time is naive.

    Examples
    --------
    >>> format_time(datetime(2026, 11, 19, 14, 5, tzinfo=UTC))
    '2026-11-19T14:05:00Z'
    """
    if moment.tzinfo is None:
        raise ValueError("a naive time cannot be written")
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
