"""One way of telling wrong answers from right ones, reduced to: how many, where, since when.

Each check of outputs marks rows (an impossible score, an input that differs from the recomputed one) or pairs of
rows (equal inputs, unequal scores). A `Channel` holds the marks of one check; place and stretch are worked
out from them in the same way for all. Rules: a row of the reference may be marked too, and says what is usual;
place and stretch are the pair that explains best which rows are marked, and everywhere is a place too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbnb.signals.consistency.places import Stretch, rank_places, worst_place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.model import SegmentShare, Signal
    from rbnb.signals.consistency.repeats import Pairs

    Flags = NDArray[np.bool_]

__all__ = ["Channel", "locate", "locate_pairs", "member", "places"]


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


def places(rows: pd.DataFrame, columns: Sequence[str], current: Flags) -> dict[str, Flags]:
    """Return by place which rows lie in it, in the order in which equals are named; everywhere is the last.

    A place is named only if it is seen in the window; of the values of a column there must be two at least.
    """
    found: dict[str, Flags] = {}
    for column in columns:
        values = rows[column].astype(object).to_numpy()
        texts = np.asarray(["" if value is None else str(value) for value in values], dtype=object)
        if len(set(texts)) < 2:
            continue
        for value in sorted(set(texts[current]) - {""}):
            found[f"{column.removeprefix('segment_')}={value}"] = np.asarray(texts == value, dtype=np.bool_)
    return {**found, "": np.ones(len(rows), dtype=np.bool_)}


def locate(
    name: str,
    signal: Signal,
    wrong: Flags,
    rows: pd.DataFrame,
    members: Mapping[str, Flags],
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
    rows, members, current
        The rows, the places to look in, and which rows lie in the window.
    span
        Bucket in seconds, and the epoch second at which the window ends.
    """
    usual = float(wrong[~current].mean()) if (~current).any() else 0.0
    epochs = rows["epoch"].to_numpy(dtype=np.int64)
    where, stretch = worst_place(wrong, members, epochs, span[0], max(usual, 1e-4), end=span[1])
    inside = {name: flags[current] for name, flags in members.items() if name}
    ranked = rank_places(wrong[current], inside, usual)
    return Channel(name, signal, where, stretch, tuple(ranked), wrong)


def locate_pairs(
    signal: Signal,
    pairs: Pairs,
    rows: pd.DataFrame,
    members: Mapping[str, Flags],
    current: Flags,
    span: tuple[int, int],
) -> Channel:
    """Find the place and the stretch that divide pairs that agree from pairs that do not.

    A pair speaks of a place if one of its requests was answered there; of everywhere if it was asked twice at all.
    """
    epochs = rows["epoch"].to_numpy(dtype=np.int64)
    wrong = np.zeros(len(rows), dtype=np.bool_)
    wrong[pairs.second[pairs.material]] = True
    before = ~current[pairs.second]
    usual = float(pairs.material[before].mean()) if before.any() else 0.0
    touched = {name: flags[pairs.first] | flags[pairs.second] for name, flags in members.items()}
    later = epochs[pairs.second]
    where, stretch = worst_place(pairs.material, touched, later, span[0], max(usual, 1e-3), end=span[1])
    return Channel("repeats", signal, where, stretch, (), wrong)
