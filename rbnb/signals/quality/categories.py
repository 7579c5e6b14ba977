"""What may be wrong with a categorical column: values nobody knows, values that are gone, values written otherwise.

Rules: a value is unseen if the reference never held it, and how often that happens by itself is estimated from the
values the reference held once (Good 1953, Biometrika 40, 237); an unseen value that becomes a known one once case,
blanks and character sets are set aside is an encoding, not a category; a text such as ``null`` that the
reference never held is a missing value.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.signals.quality.columns import Suspicion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Marks = NDArray[np.bool_]

__all__ = ["categorical_suspicions", "plain_value", "renamed"]

_NULLS = frozenset({"", "null", "none", "nan", "n/a", "nil", "nat", "-", "--", "?", "<na>", "undefined", "#n/a"})
_LEARN = 200
#: Share a category must usually have for its disappearance to be looked at.
_MISSED = 0.02


def plain_value(text: str) -> str:
    """Return a value without what encodings change: case, blanks, accents as two characters, a mangled charset.

    Examples
    --------
    >>> plain_value("  München "), plain_value("MÃ¼nchen"), plain_value("3.0"), plain_value("pay_pal")
    ('munchen', 'munchen', '3', 'paypal')
    """
    for charset in ("cp1252", "latin-1"):
        try:
            text = text.encode(charset).decode("utf-8")
            break
        except (UnicodeEncodeError, UnicodeDecodeError):
            continue
    folded = unicodedata.normalize("NFKD", text).casefold().strip()
    folded = "".join(char for char in folded if not unicodedata.combining(char) and char != "�")
    folded = re.sub(r"^(-?\d+)\.0+$", r"\1", folded)
    return re.sub(r"[\W_]+", "", folded) or folded


def _is_null(values: NDArray[Any], known: frozenset[str]) -> Marks:
    """Return which values are missing, or are a word for missing that the reference does not use."""
    codes, kinds = _codes(values)
    missing = np.array([v is None or (v.strip().casefold() in _NULLS and v not in known) for v in kinds], dtype=bool)
    return missing[codes] if len(kinds) else np.zeros(0, dtype=bool)


def _codes(values: NDArray[Any]) -> tuple[NDArray[np.int64], list[str | None]]:
    import pandas as pd

    codes, kinds = pd.factorize(values, use_na_sentinel=False)
    return np.asarray(codes), [None if kind is None or kind != kind else str(kind) for kind in kinds]  # noqa: PLR0124


def categorical_suspicions(
    name: str, now: NDArray[Any], then: NDArray[Any], *, groups: Sequence[Marks] = ()
) -> list[Suspicion]:
    """Return what may be wrong with a categorical column.

    Parameters
    ----------
    now, then
        Texts with None where there is none.
    groups
        Rows to look at apart for a value that is all there is.

    Examples
    --------
    >>> import numpy as np
    >>> then = np.array(["card", "cash"] * 200, dtype=object)
    >>> now = np.array(["card", "CARD", "cash ", "crypto", None], dtype=object)
    >>> [(s.kind, s.now.tolist().count(True)) for s in categorical_suspicions("pay", now, then) if s.touches]
    [('null', 1), ('encoding', 2), ('unseen', 1)]
    """
    counts = _counted(then)
    known = frozenset(counts)
    missing, missed = _is_null(now, known), _is_null(then, frozenset())
    found = [Suspicion("null", name, "is null", missing, missed & _absent(then))]
    total = sum(counts.values())
    if total < _LEARN:
        return found
    return found + _new(name, now, missing, counts, len(then)) + _frozen(name, now, then, counts, groups)


def _absent(values: NDArray[Any]) -> Marks:
    codes, kinds = _codes(values)
    return np.array([kind is None for kind in kinds], dtype=bool)[codes] if len(kinds) else np.zeros(0, dtype=bool)


def _counted(values: NDArray[Any]) -> dict[str, int]:
    codes, kinds = _codes(values)
    times = np.bincount(codes, minlength=len(kinds)).tolist() if len(kinds) else []
    return {kind: times[i] for i, kind in enumerate(kinds) if kind is not None}


def _new(name: str, now: NDArray[Any], missing: Marks, counts: Mapping[str, int], rows: int) -> list[Suspicion]:
    codes, kinds = _codes(now)
    plain: dict[str, str] = {}
    for value in sorted(counts, key=lambda v: counts[v]):
        plain[plain_value(value)] = value
    new = [kind is not None and kind not in counts for kind in kinds]
    alike = [n and kind is not None and plain_value(kind) in plain for n, kind in zip(new, kinds, strict=True)]
    unseen = np.array(new, dtype=bool)[codes] & ~missing
    written = np.array(alike, dtype=bool)[codes] & ~missing
    # Good's estimate: what was seen once is as likely as what was never seen
    once = sum(1 for times in counts.values() if times == 1)
    usual = np.zeros(rows, dtype=bool)
    usual[:once] = True
    examples = [kind for kind, is_alike in zip(kinds, alike, strict=True) if is_alike and kind is not None]
    shown = ", ".join(f"{kind!r} for {plain[plain_value(kind)]!r}" for kind in examples[:2])
    found = []
    if examples:
        found.append(
            Suspicion("encoding", name, f"is written otherwise ({shown})", written, np.zeros(rows, bool), other=shown)
        )
    others = unseen & ~written
    held = np.bincount(codes[others], minlength=len(kinds))
    top = [kinds[i] for i in np.argsort(-held)[:3].tolist() if held[i]]
    text = ", ".join(repr(value) for value in top)
    what = f"holds values that were never there ({text})" if top else "holds values that were never there"
    return [*found, Suspicion("unseen", name, what, others, usual, other=top[0] or "" if top else "")]


def _frozen(
    name: str, now: NDArray[Any], then: NDArray[Any], counts: Mapping[str, int], groups: Sequence[Marks]
) -> list[Suspicion]:
    """Suspect values that are all there is, and values that are gone."""
    codes, kinds = _codes(now)
    total = sum(counts.values())
    alone: set[str] = set()
    for rows in (np.ones(len(now), bool), *groups):
        held = codes[rows]
        if len(held) < 20:
            continue
        times = np.bincount(held, minlength=len(kinds))
        top = kinds[int(np.argmax(times))]
        if times.max() >= 0.97 * len(held) and top is not None and counts.get(top, 0) < 0.7 * total:
            alone.add(top)
    found = [
        Suspicion("stuck", name, f"is {value!r} in every row", now == value, then == value, other=value)
        for value in sorted(alone)
    ]
    missed = [value for value, times in counts.items() if times >= _MISSED * total and value not in alone]
    for value in missed:
        text, there = f"never is {value!r} any more", (now != value, then != value)
        found.append(Suspicion("vanished", name, text, *there, other=value, touches=False))
    return found


def renamed(now: Mapping[str, int], then: Mapping[str, int]) -> dict[str, str]:
    """Return new values that took the place of old ones: as frequent as one that is gone, and no other is.

    Parameters
    ----------
    now, then
        Value to count.

    Examples
    --------
    >>> renamed({"web": 50, "app2": 30, "shop": 20}, {"web": 500, "app": 300, "shop": 200})
    {'app2': 'app'}
    """
    total, before = sum(now.values()), sum(then.values())
    gone = {
        v: c / before for v, c in then.items() if c >= _MISSED * before and now.get(v, 0) < 0.1 * c * total / before
    }
    new = {v: c / total for v, c in now.items() if v not in then and c >= _MISSED * total}
    found: dict[str, str] = {}
    for value, share in sorted(new.items(), key=lambda item: -item[1]):
        near = [old for old, usual in gone.items() if old not in found.values() and abs(share - usual) < 0.3 * usual]
        if near:
            found[value] = min(near, key=lambda old: abs(gone[old] - share))
    return found
