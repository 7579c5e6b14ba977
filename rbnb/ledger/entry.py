"""One entry of a ledger: its fields, and its bytes.

Rules: bytes are strict JSON in UTF-8, one line; digests are of these bytes as they lie on the disk,
never of JSON written anew; what does not have exactly the fields of its format is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from rbnb.errors import LedgerError, UsageError
from rbnb.model import to_plain
from rbnb.times import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

__all__ = ["FORMAT", "GENESIS", "MAX_BYTES", "Draft", "Entry", "entry_name", "parse_entry", "seq_of"]

#: The number of the format this module writes and reads.
FORMAT = 1

#: What the first entry names as the digest before it.
GENESIS = "0" * 64

#: The size an entry may have; what is larger is kept as a file, and its digest is recorded.
MAX_BYTES = 4 * 1024 * 1024

_KIND = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[0-9]{6,18}\.json")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_KEYS = ("format", "seq", "kind", "at", "by", "previous", "body")
_STEPPED = "clock_stepped_back"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it was read or written.

    Parameters
    ----------
    seq
        Its number, from 1 and without gaps.
    kind
        What happened, in dotted lower case, such as ``run.started``.
    at
        When, in UTC, by the clock of the one who wrote it.
    by
        Who or what caused it.
    body
        The facts, as strict JSON holds them.
    previous
        The digest of the entry before, or `GENESIS`.
    digest
        The sha256 of this entry's raw bytes.
    clock_stepped_back
        By how many seconds `at` lies before the entry before; 0 where the clock went forward.
    """

    seq: int
    kind: str
    at: datetime
    by: str
    body: dict[str, Any]
    previous: str
    digest: str
    clock_stepped_back: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be recorded, before it has a number."""

    kind: str
    by: str
    body: bytes

    @classmethod
    def of(cls, kind: str, body: Mapping[str, Any], by: str) -> Draft:
        """Check what is to be recorded, and turn its facts into JSON.

        Raises
        ------
        LedgerError
            If it is not what an entry can hold.
        """
        if not _KIND.fullmatch(kind):
            raise LedgerError(f"{kind!r} is not a kind of entry", hint="write it like run.started")
        if not by.strip():
            raise LedgerError(f"{kind}: nobody is named as the one who did it", hint="say who or what did it")
        try:
            size = len(_json(by))
            facts = _json(to_plain(dict(body)))
        except (TypeError, ValueError, RecursionError) as error:
            raise LedgerError(f"{kind}: cannot be recorded as JSON ({error})", hint="nothing was done") from error
        if len(facts) + size > MAX_BYTES - 4096:
            raise LedgerError(f"{kind}: is too large to record", hint="keep it as a file and record its digest")
        return cls(kind, by.strip(), facts)

    def following(self, tail: Entry | None, now: datetime) -> tuple[int, bytes]:
        """Return the number and the bytes of the entry if it comes after `tail`."""
        header: dict[str, Any] = {
            "format": FORMAT,
            "seq": tail.seq + 1 if tail else 1,
            "kind": self.kind,
            "at": format_time(now),
            "by": self.by,
            "previous": tail.digest if tail else GENESIS,
        }
        back = int((tail.at - parse_time(header["at"])).total_seconds()) if tail else 0
        if back > 0:
            header[_STEPPED] = back
        return header["seq"], b'%s, "body": %s}\n' % (_json(header)[:-1], self.body)


def entry_name(seq: int) -> str:
    """Return the file name of an entry; names grow beyond six digits, and order is by number.

    Examples
    --------
    >>> entry_name(7), entry_name(1_000_000)
    ('000007.json', '1000000.json')
    """
    return f"{seq:06d}.json"


def seq_of(name: str) -> int:
    """Return the number an entry's file name stands for; 0 if it is not the name of an entry."""
    seq = int(name.removesuffix(".json")) if _NAME.fullmatch(name) else 0
    return seq if entry_name(seq) == name else 0


def _json(thing: object) -> bytes:
    return json.dumps(thing, ensure_ascii=False, allow_nan=False).encode()


def parse_entry(raw: bytes, seq: int) -> Entry:
    """Read the bytes of entry `seq`; a ValueError says what is wrong with them."""
    fields = _fields(raw)
    if type(fields.get("format")) is not int or fields["format"] != FORMAT:
        raise ValueError(f"has the format {fields.get('format')!r:.40}, and this version reads {FORMAT}")
    if fields.keys() - {_STEPPED} != set(_KEYS):
        raise ValueError(f"must have the keys {', '.join(_KEYS)}, and no others")
    for key, value in fields.items():
        if not _SHAPES[key](value):
            raise ValueError(f"has a wrong {key}: {value!r:.80}")
    if fields["seq"] != seq:
        raise ValueError(f"holds the entry with the number {fields['seq']}")
    return Entry(
        seq=seq,
        kind=fields["kind"],
        at=parse_time(fields["at"]),
        by=fields["by"],
        body=fields["body"],
        previous=fields["previous"],
        digest=hashlib.sha256(raw).hexdigest(),
        clock_stepped_back=fields.get(_STEPPED, 0),
    )


def _fields(raw: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(raw.decode(), object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(fields, dict):
        raise ValueError("is not a JSON object")  # noqa: TRY004 - the content is wrong, not a caller's type
    return fields


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("has a key that stands there twice")
    return fields


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"is not strict JSON: {text}")


def _is_time(value: object) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        parse_time(value)
    except UsageError:
        return False
    return True


def _matches(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_positive(value: object) -> bool:
    return type(value) is int and value > 0


_SHAPES: dict[str, Callable[[object], bool]] = {
    "format": _is_positive,
    "seq": _is_positive,
    "kind": _matches(_KIND),
    "at": _is_time,
    "by": lambda value: isinstance(value, str) and bool(value.strip()),
    "previous": _matches(_DIGEST),
    "body": lambda value: isinstance(value, dict),
    _STEPPED: _is_positive,
}
