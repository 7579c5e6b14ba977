"""One way of telling wrong answers from right ones, reduced to: how many, where, since when.

Each check of outputs marks rows (an impossible score, an input that differs from the recomputed one) or pairs of
rows (equal inputs, unequal scores). A `Channel` holds the marks of one check; place and stretch are worked
out from them in the same way for all. Rules: a row of the reference may be marked too, and says what is usual;
the place is the window's slice that divides marked from unmarked best, everywhere if none is clearly better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbnb.signals.consistency_places import Stretch, rank_places, stretch_of, worst_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.model import SegmentShare, Signal
    from rbnb.signals.consistency_repeats import Pairs

    Flags = NDArray[np.bool_]

__all__ = ["Channel", "locate", "locate_pairs", "member"]


@dataclass(frozen=True, slots=True)
class Channel:
    """What one check found.

    Parameters
    ----------
    name
        ``outputs``, ``decisions``, ``skew``, ``departure``, ``unexplained`` or ``repeats``.
    signal
        The share of requests, or of pairs, that are wrong.
    where
        The place, "" for everywhere.
    stretch
        Since when, if that can be made out.
    segments
        Places that hold more than their share.
    wrong
        The marked rows of window and reference; for pairs, the later ones.
    """

    name: str
    signal: Signal
    where: str
    stretch: Stretch | None
    segments: tuple[SegmentShare, ...]
    wrong: Flags


def member(rows: pd.DataFrame, where: str) -> Flags:
    """Return which rows lie in a place, given as ``column=value``; segment columns are ``segment_<name>``."""
    inside = np.ones(len(rows), dtype=np.bool_)
    for part in where.split(" & ") if where else []:
        column, _, value = part.partition("=")
        name = column if column in rows else f"segment_{column}"
        inside &= rows[name].astype(str).to_numpy() == value if name in rows else False
    return inside


def locate(
    name: str,
    signal: Signal,
    wrong: Flags,
    rows: pd.DataFrame,
    columns: Sequence[str],
    current: Flags,
    span: tuple[int, int],
) -> Channel:
    """Find place, stretch and segments of marked rows.

    Parameters
    ----------
    name, signal
        Of the channel.
    wrong
        Marks of window and reference.
    rows, columns, current
        The rows, where to look, and which lie in the window.
    span
        Bucket in seconds, and the epoch second at which the window ends.
    """
    where, _ = worst_place(wrong, rows, columns, current)
    usual = float(wrong[~current].mean()) if (~current).any() else 0.0
    inside = member(rows, where)
    stretch = _stretch(wrong[inside], rows["epoch"].to_numpy(dtype=np.int64)[inside], usual, span)
    ranked = rank_places(wrong[current], rows[current], columns, usual)
    return Channel(name, signal, where, stretch, tuple(ranked), wrong)


def _stretch(wrong: Flags, epochs: NDArray[np.int64], usual: float, span: tuple[int, int]) -> Stretch | None:
    return stretch_of(wrong, epochs, span[0], max(usual, 1e-4), end=span[1])


def locate_pairs(
    signal: Signal, pairs: Pairs, rows: pd.DataFrame, columns: Sequence[str], current: Flags, span: tuple[int, int]
) -> Channel:
    """Find the place and the stretch that divide pairs that agree from pairs that do not.

    A pair speaks against a place if one of its requests was answered there, in the window, and the other was not.
    Where answers differ even within a place, that is where they are not repeatable: a pair inside counts as well.
    """
    epochs = rows["epoch"].to_numpy(dtype=np.int64)
    wrong = np.zeros(len(rows), dtype=np.bool_)
    wrong[pairs.second[pairs.material]] = True
    where = _pair_place(pairs, rows, columns, current)
    inside = member(rows, where)
    touched = inside[pairs.first] | inside[pairs.second]
    later = np.where(inside[pairs.second], epochs[pairs.second], epochs[pairs.first])
    usual_rows = ~current[pairs.second]
    usual = float(pairs.material[usual_rows].mean()) if usual_rows.any() else 0.0
    stretch = _stretch(pairs.material[touched], later[touched], usual, span)
    return Channel("repeats", signal, where, stretch, (), wrong)


def _pair_place(pairs: Pairs, rows: pd.DataFrame, columns: Sequence[str], current: Flags) -> str:
    best, where = 0.0, ""
    everywhere = current[pairs.second]
    candidates = [("", everywhere)]
    for column in columns:
        if column not in rows:
            continue
        values = rows[column].astype(object).to_numpy()
        for value in sorted({str(v) for v in values[current] if v is not None}):
            inside = np.asarray(values == value, dtype=np.bool_) & current
            touched = inside[pairs.first] | inside[pairs.second]
            candidates.append((f"{column.removeprefix('segment_')}={value}", touched))
    for name, touched in candidates:
        score = _agreement(pairs.material, touched)
        if score > best * (1.1 if where or not name else 1.25) + 1e-9:
            best, where = score, name
    return where


def _agreement(wrong: Flags, touched: Flags) -> float:
    """Return the phi coefficient; where every pair is touched, how many are wrong."""
    if not wrong.any() or not touched.any():
        return 0.0
    if touched.all():
        return float(wrong.mean())
    a, b = wrong.astype(float), touched.astype(float)
    spread = float(a.std() * b.std())
    return float(((a - a.mean()) * (b - b.mean())).mean()) / spread if spread else float(wrong.mean())
