"""Who vouches for the rows of a training table: the questions of provenance, each with the rows that fail it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Signal
from rbnb.signals.intervals import share
from rbnb.signals.poisoning.provenance import out_of_order, repeated_ids, unknown_batches, unnamed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rbnb.diagnoses.poisoning.table import Training

    Mask = NDArray[np.bool_]

__all__ = ["Vouched", "gap_share", "vouching"]


@dataclass(frozen=True, slots=True, eq=False)
class Vouched:
    """One question of provenance.

    Parameters
    ----------
    rows
        Which rows fail it.
    signal
        Their share.
    told
        What is held against them.
    gap
        Whether nobody vouches for a row that fails it.
    """

    rows: Mask
    signal: Signal
    told: str
    gap: bool


def vouching(table: Training, lineage: Sequence[tuple[str, str, float]] | None) -> list[Vouched]:
    """Ask every question that the table and the lineage can answer; the others are undefined, with the reason."""
    found = []
    for name, values in (("source", table.source), ("batch", table.batch)):
        if name in table.has:
            found.append(Vouched(*unnamed(values, name), f"names no {name}", gap=True))
        else:
            nothing = np.zeros(len(table.labels), dtype=bool)
            signal = Signal(f"no_{name}_share", None, "share", 0, f"rows that name no {name}", reason="none is mapped")
            found.append(Vouched(nothing, signal, "", gap=False))
    listed = {batch: when for _, batch, when in lineage or []} if "batch" in table.has else {}
    absent, unlisted = unknown_batches(table.cells, listed)
    of_absent = np.isin(np.array(table.batch, dtype=str), absent)
    found.append(Vouched(of_absent, unlisted, "is of a batch that no version lists", gap=True))
    if "id" in table.has:
        found.append(Vouched(*repeated_ids(table.ids), "bears the id of another row", gap=False))
    found.append(Vouched(*out_of_order(table.cells, table.epoch), "is stamped into another batch's time", gap=False))
    return found


def gap_share(table: Training, rows: Mask) -> Signal:
    """Return the share of rows that lack a source, a batch or a batch that is listed, together."""
    method = "rows without source, without batch, or of a batch that no version lists"
    if not table.has & {"source", "batch"}:
        reason = "neither source nor batch is mapped"
        return Signal("provenance_gap_share", None, "share", len(rows), method, reason=reason)
    return share("provenance_gap_share", int(rows.sum()), len(rows), method=method)
