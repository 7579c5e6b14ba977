"""How values are said on the page: numbers, shares, times, statuses, links.

Rules: a missing value is "–", never 0; a time is in UTC and says so; a status has a sign and a word
besides its colour; an address becomes a link only if it is http or https; what is not of the kind it
should be is shown as the text it is.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rbnb.errors import UsageError
from rbnb.text import visible
from rbnb.times import parse_time

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["NOTHING", "PILLS", "cell", "number", "pill", "safe_link", "share", "text_of", "time_tag", "word"]

NOTHING = "–"
_THIN = "\u202f"
_LONG = 44  # characters, from which on a text wants room of its own
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LOOKS_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0\\\"'<>`\u2028\u2029]")

#: Status: its sign (readable without colour) and its tone.
PILLS = {
    "ok": ("✓", "good"),
    "healthy": ("✓", "good"),
    "done": ("✓", "good"),
    "warning": ("▲", "warn"),
    "transient": ("▲", "warn"),
    "breach": ("■", "bad"),
    "genuine": ("■", "bad"),
    "failed": ("■", "bad"),
    "infrastructure": ("◆", "bad"),
    "supported": ("●", "info"),
    "open": ("○", "info"),
    "pending": ("…", "info"),
    "refuted": ("✕", "none"),
    "undefined": ("?", "none"),
    "inconclusive": ("?", "none"),
    "not run": ("–", "none"),
}


def text_of(value: object, limit: int = 600) -> str:
    """Return any value as text for the page; nothing is "–"."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, (list, tuple)):
        return visible(", ".join(text_of(item) for item in value) or NOTHING, limit)
    if isinstance(value, dict):
        return visible(", ".join(f"{key} {text_of(item)}" for key, item in value.items()) or NOTHING, limit)
    return visible(value, limit)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def number(value: object) -> str:
    """Write a number with thin spaces between thousands, and no more digits than help.

    Examples
    --------
    >>> number(486210), number(1140.24), number(0.00163), number(None)
    ('486\u202f210', '1\u202f140', '0.00163', '–')
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return text_of(value)
    if not math.isfinite(value):
        return NOTHING
    size = abs(value)
    if isinstance(value, int) or size >= 1000 or value == int(value):
        text = f"{value:,.0f}" if size < 1e15 else f"{value:.3e}"
    elif size >= 100:
        text = f"{value:.1f}"
    else:
        text = f"{value:.3g}"
    return text.replace(",", _THIN).replace("-", "−")


def share(value: object) -> str:
    """Write a share of 1 as a percentage.

    Examples
    --------
    >>> share(0.414), share(0.0436), share(0.00001)
    ('41\u202f%', '4.4\u202f%', '<\u202f0.01\u202f%')
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return text_of(value)
    if not math.isfinite(value):
        return NOTHING
    percent = 100 * value
    size = abs(percent)
    if 0 < size < 0.01:
        return f"<{_THIN}0.01{_THIN}%"
    digits = 0 if size >= 10 or size == 0 else 1 if size >= 1 else 2
    return f"{percent:.{digits}f}{_THIN}%".replace("-", "−")


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return parse_time(value)
    except (UsageError, OverflowError):
        return None


def time_tag(value: object, *, short: bool = False) -> dict[str, str]:
    """Return a time as the page writes it: ``text`` for people, ``iso`` for programs ("" if it is no time).

    Examples
    --------
    >>> time_tag("2026-11-22T14:05:00Z")
    {'text': 'Sun 22 Nov 2026, 14:05 UTC', 'iso': '2026-11-22T14:05:00Z'}
    >>> time_tag("2026-11-22T14:03:10Z", short=True)["text"]
    '22 Nov 14:03:10'
    """
    moment = _moment(value)
    if moment is None:
        return {"text": text_of(value), "iso": ""}
    clock = f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
    day = f"{moment.day} {_MONTHS[moment.month - 1]}"
    iso = moment.isoformat().replace("+00:00", "Z")
    if short:
        return {"text": f"{day} {clock}", "iso": iso}
    return {"text": f"{_DAYS[moment.weekday()]} {day} {moment.year}, {clock} UTC", "iso": iso}


def pill(status: object) -> dict[str, str]:
    """Return a status with its sign and tone; one that is not known is grey and says what it says."""
    name = str(status)
    sign, tone = PILLS.get(name, ("?", "none"))
    return {"sign": sign, "tone": tone, "text": word(name)}


def word(name: object) -> str:
    """Write a name of ours, such as ``kernel_died``, as words."""
    return visible(name, 80).replace("_", " ")


def safe_link(address: object) -> str:
    """Return an address if it is plain http or https, and "" otherwise.

    Examples
    --------
    >>> safe_link("https://code.example/x?y=1"), safe_link("javascript:alert(1)"), safe_link("//evil.example")
    ('https://code.example/x?y=1', '', '')
    """
    if not isinstance(address, str) or len(address) > 2000 or _LOOKS_UNSAFE.search(address):
        return ""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return address if parts.scheme in ("http", "https") and parts.netloc else ""


def cell(value: Any, kind: str) -> dict[str, Any]:  # noqa: ANN401 - whatever a notebook holds
    """Return one value as the template draws it: its kind and text, and what that kind needs besides."""
    if value is None:
        right = kind in ("number", "share", "bar")
        return {"kind": "text", "text": NOTHING, "right": right, "missing": True, "long": False}
    text = text_of(value)
    shown: dict[str, Any] = {"kind": "text", "text": text, "right": False, "missing": False, "long": len(text) > _LONG}
    if kind == "number":
        shown.update(text=number(value), right=True)
    elif kind == "share":
        shown.update(text=share(value), right=True)
    elif kind == "bar" and _is_number(value) and math.isfinite(value):
        shown.update(kind="bar", text=share(value), percent=f"{100 * min(max(value, 0.0), 1.0):.1f}")
    elif kind == "time":
        shown.update(kind="time", **time_tag(value, short=True))
    elif kind == "status":
        shown.update(kind="status", **pill(value))
    elif kind == "code":
        shown.update(kind="code")
    return shown
