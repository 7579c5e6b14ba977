"""What a check says in plain words, made fit for those outside: only words of the policy, numbers and times leave.

A record's plain sentences were filled from data: a component, a column, a group, a change. Here each sentence is laid
over the sentence of the policy it came from, and what fills a gap leaves only if it is a number, a time, a duration,
or one of the texts listed under ``words.said``. Everything else is withheld: left out where the sentence reads on
without it, else replaced by a word of ours, else left out with its sentence. A text that does not fit the policy does
not leave at all. So a name that is not expected cannot slip through, whatever it looks like.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rbnb.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbnb.governance.audiences import Words

__all__ = ["outside", "said_time"]

_GAP = re.compile(r"\{([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?)\}")
_NUMBER = r"[<>≤≥]?[ \u202f]?[-+−]?\d[\d.,\u202f]{0,20}"
_UNITS = r"(?:[ \u202f]?(?:%|ms|s|min|h|d|×|percent|seconds|minutes|hours|days))?"
_SAFE = re.compile(
    rf"(?:{_NUMBER}{_UNITS}(?: {_NUMBER}{_UNITS}){{0,2}}(?: to {_NUMBER}{_UNITS})?"
    r"|\d{4}-\d\d-\d\d \d\d:\d\d UTC|not known|not measured|no interval|everywhere|yes|no)"
)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC")
_MILLISECONDS = re.compile(r"(\d[\d\u202f,]*(?:\.\d+)?)[ \u202f]ms\b")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December")  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WITHHELD = "\ue000"
_LONGEST = 2000  # characters of a text that is looked at


def outside(text: str, sentences: Sequence[str], words: Words) -> str:
    """Return a filled text fit for those outside, or "" if it does not fit the sentences it should come from.

    Parameters
    ----------
    text
        As the record has it.
    sentences
        Of the policy, with their gaps, in order; each may be absent.

    Examples
    --------
    >>> from rbnb.governance.audiences import Words
    >>> words = Words(severity={}, status={}, instead={"column": "an input"})
    >>> outside("Slow since 2026-11-19 14:05 UTC: host-17.", ["Slow since {onset}: {x}."], words)
    'Slow since Thursday, 19 November 2026, 14:05 UTC.'
    >>> outside("card_number is missing.", ["{column} is missing."], words)
    'An input is missing.'
    """
    pattern = " ?".join(_pattern(number, sentence, words) for number, sentence in enumerate(sentences))
    found = re.fullmatch(pattern, text, re.DOTALL) if sentences and len(text) <= _LONGEST else None
    if found is None:
        return ""
    told = [
        _filled(number, one, found, words) for number, one in enumerate(sentences) if found[f"s{number}"] is not None
    ]
    return _readable(" ".join(one for one in told if one))


def _pattern(number: int, sentence: str, words: Words) -> str:
    """Return a sentence that may be absent as a pattern: the group ``s0``, its gaps the groups ``s0_0``, ``s0_1`` …."""
    parts = _GAP.split(sentence)
    pattern = re.escape(parts[0])
    for gap, (name, literal) in enumerate(zip(parts[1::2], parts[2::2], strict=True)):
        # what may go out is looked for first, so that gaps side by side are told apart
        known = [*(_said(text) for text in words.said.get(name, [])), _SAFE.pattern]
        pattern += f"(?P<s{number}_{gap}>{'|'.join(known)}|.{{0,300}}?){re.escape(literal)}"
    return f"(?P<s{number}>{pattern})?"


def _filled(number: int, sentence: str, found: re.Match[str], words: Words) -> str:
    parts = _GAP.split(sentence)
    told = parts[0]
    for gap, (name, literal) in enumerate(zip(parts[1::2], parts[2::2], strict=True)):
        told += _allowed(name, found[f"s{number}_{gap}"], words) + literal
    return _without(told, words)


def _allowed(name: str, value: str, words: Words) -> str:
    if _SAFE.fullmatch(value) or any(re.fullmatch(_said(text), value) for text in words.said.get(name, [])):
        return value
    return f"{_WITHHELD}{name}{_WITHHELD}"


def _said(text: str) -> str:
    """Return a text that may go out as a pattern, in which # is a number."""
    return re.escape(text).replace(r"\#", f"(?:{_NUMBER})")


def _without(told: str, words: Words) -> str:
    """Leave out what is withheld after a colon or a comma where the sentence reads on; else say it vaguely.

    A sentence for which there is no such word is left out whole.
    """
    gap = f"{_WITHHELD}([^{_WITHHELD}]*){_WITHHELD}"
    told = re.sub(rf"[:,] {gap}(?=[.,;]|$)", "", told)
    told = re.sub(gap, lambda found: words.instead.get(found[1], _WITHHELD), told)
    return " ".join(sentence for sentence in re.split(r"(?<=[.!?]) ", told) if _WITHHELD not in sentence)


def _readable(told: str) -> str:
    told = _MOMENT.sub(lambda found: said_time(f"{found[1]}T{found[2]}:00Z"), told)
    told = _MILLISECONDS.sub(_seconds, told)
    return re.sub(r"(^|[.!?] )([a-z])", lambda found: found[1] + found[2].upper(), told)


def _seconds(found: re.Match[str]) -> str:
    number = float(found[1].replace("\u202f", "").replace(",", "")) / 1000
    return f"{number:.1f} seconds" if number >= 1 else f"{number:.2g} seconds"


def said_time(moment: Any) -> str:  # noqa: ANN401 - a time, or its text in a record
    """Write a time as one says it, with its zone; "" if it is none.

    Examples
    --------
    >>> said_time("2026-11-19T14:05:00Z"), said_time(None)
    ('Thursday, 19 November 2026, 14:05 UTC', '')
    """
    if not moment:
        return ""
    at = parse_time(moment) if isinstance(moment, str) else moment
    return f"{_DAYS[at.weekday()]}, {at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M} UTC"
