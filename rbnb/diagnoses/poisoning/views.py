"""How the measurements of a training table are shown: tables and figures, nothing measured, nothing judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rbnb.plots.poisoning import suspect_map
from rbnb.view import Facts, Table, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbnb.diagnoses.poisoning.measure import Poisoning
    from rbnb.model import Cause
    from rbnb.plots import Figure

__all__ = [
    "hypothesis_table",
    "radius_facts",
    "segment_table",
    "source_table",
    "suspect_figure",
    "suspect_table",
]

_SHOWN = 15


def source_table(found: Poisoning) -> Table:
    """List the sources with their rows, label rate and suspect rows, worst first."""
    heads = columns(
        "source|code", "rows|number", "batches|number", "commonest label|code", "of it|share", "suspect|share"
    )
    rows = []
    table = found.table
    if table is not None and found.usable:
        source, suspect = np.array(table.source, dtype=str), found.evidence.score >= 0.5
        for name in np.unique(source):
            inside = source == name
            counts = np.bincount(table.labels[inside], minlength=len(table.classes))
            batches = len({table.batch[i] for i in np.flatnonzero(inside)})
            n = int(inside.sum())
            label, held = table.classes[int(counts.argmax())], float(counts.max()) / n
            rows.append((str(name), n, batches, label, held, float(suspect[inside].mean())))
    rows.sort(key=lambda row: (-row[-1], row[0]))
    note = "" if rows else "there is no usable training table"
    return Table("Where the rows are from", heads, tuple(rows), note)


def suspect_figure(found: Poisoning) -> Figure | None:
    """Draw the share of suspect rows by source and batch; None where there are none."""
    table = found.table
    if table is None or not found.usable or not len(found.suspect_rows):
        return None
    suspect = np.bincount(
        table.cells.of_row, weights=(found.evidence.score >= 0.5).astype(float), minlength=len(table.cells.size)
    )
    each = zip(table.cells.source, table.cells.batch, suspect / np.maximum(table.cells.size, 1), strict=True)
    shares = {(source, batch): float(value) for source, batch, value in each}
    held = {name: sum(suspect[i] for i, s in enumerate(table.cells.source) if s == name) for name in table.cells.source}
    sources = sorted(held, key=lambda name: (-held[name], name))
    order = np.argsort(np.where(np.isnan(table.cells.when), np.inf, table.cells.when), kind="stable")
    batches = list(dict.fromkeys(table.cells.batch[i] for i in order))
    return suspect_map(sources, batches, shares)


def segment_table(found: Poisoning) -> Table:
    """List what the suspect rows share."""
    heads = columns("they share|code", "of the suspect rows|share", "95 % from|share", "to|share", "of all rows|share")
    rows = tuple(
        (s.where, s.explains, s.interval[0] if s.interval else None, s.interval[1] if s.interval else None, s.traffic)
        for s in found.segments[:8]
    )
    note = "sources, batches and values in which suspect rows are more frequent than their share of the table"
    return Table("What the suspect rows share", heads, rows, note if rows else "there are no suspect rows")


def suspect_table(found: Poisoning) -> Table:
    """List the worst suspect rows; all of them are kept as evidence."""
    heads = columns("row|code", "score|share", "source|code", "batch|code", "label|code", "held against it")
    frame = found.suspect_rows
    rows = tuple(frame.head(_SHOWN).itertuples(index=False, name=None))
    note = (
        f"The first {len(rows)} of {len(frame):,}; all are in evidence/suspect_rows.parquet. They are to be kept as "
        "they are, out of training: nothing is deleted. A single row may be honest; it is their number that is not."
        if rows
        else "no row has anything held against it"
    )
    return Table("Suspect rows", heads, rows, note)


def radius_facts(found: Poisoning) -> Facts:
    """Say which versions learned from the suspect batches, and which did not."""
    touched = found.reach["touched"]
    told = (
        ", ".join(f"{version} ({n} suspect batches)" for version, n in touched.items())
        if isinstance(touched, dict)
        else ""
    )
    serving = {True: "yes", False: "no", None: "not known"}[found.reach["serving_touched"]]  # type: ignore[index]
    items = (
        {"label": "Batches with suspect rows", "value": ", ".join(found.suspect_batches) or "none", "kind": "code"},
        {"label": "Versions trained on them", "value": told or "none known", "kind": "text"},
        {"label": "Serves now", "value": found.serving_version or None, "kind": "code"},
        {"label": "Was it trained on them", "value": serving, "kind": "text"},
        {"label": "Last version before, without any", "value": found.reach["clean"] or "none known", "kind": "code"},
    )
    return Facts(items, "How far it reached")


def hypothesis_table(causes: Sequence[Cause]) -> Table:
    """List the hypotheses in their order, with where each stands and why."""
    heads = columns("rank|number", "hypothesis", "where|code", "stands|status", "explains|share", "evidence")
    rows = tuple((c.rank, c.name, c.where or "everywhere", c.status, c.explains, c.evidence) for c in causes)
    note = "" if rows else "nothing stands out in one place, so there is nobody to suspect"
    return Table("Ranked hypotheses", heads, rows, note)
