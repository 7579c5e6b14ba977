"""What the suspect rows share: which sources, batches and values hold more of them than their share of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import SegmentShare
from rbnb.signals.intervals import share
from rbnb.signals.poisoning.triggers import make_items

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rbnb.diagnoses.poisoning.measure import Poisoning

    Mask = NDArray[np.bool_]

__all__ = ["shared_values"]

_MOST = 12


def shared_values(found: Poisoning) -> list[SegmentShare]:
    """Return the sources, batches and values that suspect rows share, the most telling first.

    ``explains`` is the share of the suspect rows that lie there, with its Wilson interval, ``traffic`` the share of all
    rows, ``score`` how far the lower end of the first exceeds the second, over what is left of 1.
    """
    table = found.table
    if table is None or not found.usable:
        return []
    suspect = found.evidence.score >= 0.5
    if not suspect.any():
        return []
    named: list[tuple[str, Mask]] = []
    for column, values in (("source", table.source), ("batch", table.batch)):
        if column in table.has:
            texts = np.array(values, dtype=object).astype(str)
            named += [(f"{column}={name}", texts == name) for name in np.unique(texts[suspect])]
    items = make_items(table.frame, table.encoding)
    named += [(name, items.borne[:, i] > 0) for i, name in enumerate(items.names)]
    ranked = [one for where, rows in named if (one := _lift(where, rows, suspect)).score > 0]
    ranked.sort(key=lambda one: (-one.score, one.where))
    return ranked[:_MOST]


def _lift(where: str, rows: Mask, suspect: Mask) -> SegmentShare:
    inside, n = int((rows & suspect).sum()), int(suspect.sum())
    part = share("", inside, n)
    usual = float(rows.mean())
    low = part.interval[0] if part.interval else 0.0
    score = (low - usual) / (1 - usual) if usual < 1 else 0.0
    return SegmentShare(where, inside / n, part.interval, inside, usual, score)
