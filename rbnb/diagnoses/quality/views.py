"""How the measurements of broken data are shown: tables and figures, nothing measured, nothing judged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb import plots
from rbnb.diagnoses.quality.hypotheses import worded
from rbnb.plots.quality import arrivals_over_time, wrong_over_time
from rbnb.view import Note, Table, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from rbnb.diagnoses.quality.measure import DataQuality
    from rbnb.model import Cause
    from rbnb.plots import Figure
    from rbnb.view import View

__all__ = [
    "arrival_figure",
    "change_table",
    "column_table",
    "example_rows",
    "hypothesis_table",
    "schema_table",
    "segment_figure",
    "segment_table",
    "trouble_table",
    "wrong_figure",
]

_MOST = 12
_ROWS_A_POINT = 15


def trouble_table(quality: DataQuality) -> View:
    """List what is certainly wrong with the rows, the surest first."""
    if not quality.troubles:
        return Note("No column holds anything that is certainly wrong.", "ok" if quality.rows.learns else "info")
    heads = columns("column|code", "what is wrong", "how much, since when", "where|code", "rows|number", "and so")
    rows = tuple(
        (
            t.suspicion.feature,
            t.suspicion.what,
            worded(quality, t),
            t.where or "everywhere",
            int(t.rows.sum()),
            "; ".join(t.consequences[:2]),
        )
        for t in quality.troubles[:_MOST]
    )
    return Table("What is wrong with the rows", heads, rows, "Each is far beyond chance and beyond its usual rate.")


def schema_table(quality: DataQuality) -> View:
    """List the columns that are missing, renamed or of another type."""
    if not quality.schema:
        return Note(f"All {len(quality.kinds)} mapped columns are there and of the type they should be.", "ok")
    heads = columns("column|code", "what is wrong", "since|time", "first file|code")
    rows = tuple(
        (one.feature, one.what, _moment(one.onset), one.files[0] if one.files else None) for one in quality.schema
    )
    return Table("What is wrong with the columns", heads, rows)


def column_table(quality: DataQuality) -> Table:
    """List every declared column with what it holds, counted exactly over the window."""
    heads = columns(
        "column|code", "kind", "nulls|share", "not a number|number", "infinite|number", "different values|number",
        "lowest|number", "highest|number",
    )  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    for name, kind in quality.kinds.items():
        held = quality.counts.get(name)
        if held is None:
            rows.append((name, kind, None, None, None, None, None, None))
            continue
        share = held["nulls"] / held["rows"] if held["rows"] else None
        odd = (held.get("nan") or 0) + (held.get("unreadable") or 0) if kind == "numerical" else None
        rows.append(
            (name, kind, share, odd, held.get("infinite"), held["distinct"], held.get("lowest"), held.get("highest"))
        )
    return Table("Every column in the window", heads, tuple(rows), "A column without numbers is not in the log.")


def wrong_figure(quality: DataQuality) -> Figure | None:
    """Draw the share of wrong rows over time; None where nothing is wrong."""
    rows = quality.rows
    fresh = [t for t in quality.troubles if t.suspicion.touches][:4]
    if not fresh:
        return None
    shares = {}
    fewest = min(int(rows.within(trouble.where).sum()) for trouble in fresh)
    # as many buckets together as it takes for a share of their rows to mean something
    width = max(-(-_ROWS_A_POINT * rows.buckets // max(fewest, 1)), 1)
    points = -(-rows.buckets // width)
    for trouble in fresh:
        inside = rows.within(trouble.where)
        n = np.bincount(rows.place[inside] // width, minlength=points).astype(float)
        bad = np.bincount(rows.place[inside & trouble.suspicion.now] // width, minlength=points)
        name = f"{trouble.suspicion.feature} {trouble.suspicion.what}" + (f", {trouble.where}" if trouble.where else "")
        shares[name] = np.where(n > 0, bad / np.maximum(n, 1), np.nan).tolist()
    times = [_when(rows.start + i * width * rows.bucket) for i in range(points)]
    window = quality.scope.window
    return wrong_over_time(times, shares, _moment(quality.onset), _moment(quality.ended), (window.start, window.end))


def arrival_figure(quality: DataQuality) -> Figure:
    """Draw how requests arrived against what is usual at these hours."""
    arrivals, window = quality.arrivals, quality.scope.window
    lack = arrivals.lacks[0] if arrivals.lacks else None
    return arrivals_over_time(
        [_when(int(time)) for time in arrivals.times],
        arrivals.held.tolist(),
        arrivals.usual.tolist(),
        _moment(lack.onset) if lack else None,
        _moment(lack.ended) if lack else None,
        (window.start, window.end),
    )


def segment_table(quality: DataQuality) -> Table:
    """List the slices that hold more of the surest trouble than their share of the requests."""
    heads = columns("slice|code", "explains|share", "share of requests|share", "requests|number")
    rows = tuple((s.where, s.explains, s.traffic, s.n) for s in quality.segments[:8])
    note = "Slices of one and two columns, corrected with Bonferroni." if rows else "no slice stands out"
    return Table("Where it comes from: slices by share of the wrong rows", heads, rows, note)


def segment_figure(quality: DataQuality) -> Figure | None:
    """Draw the slices that stand out; None if none does."""
    ranked = quality.segments[:6]
    if not ranked:
        return None
    return plots.segment_ranking(
        [s.where for s in ranked],
        [s.explains for s in ranked],
        [s.interval for s in ranked],
        [s.traffic for s in ranked],
    )


def change_table(quality: DataQuality, causes: Sequence[Cause]) -> Table:
    """List what was changed before the onset, with where each stands as a hypothesis."""
    heads = columns("time|time", "kind", "what", "reaches|code", "who", "as a cause|status", "because")
    rows = []
    for row in [] if quality.changes is None else quality.changes.to_dict("records"):
        at = _when(int(row["time"]))
        cause = next((c for c in causes if c.at == at and c.name.startswith(str(row["what"]))), None)
        told = (cause.status, cause.evidence) if cause else (None, "")
        rows.append((at, row["kind"], row["what"], row["segment"] or "everywhere", row["who"], *told))
    hours = f"{quality.settings.change_hours:g}"
    note = "" if rows else f"no change is logged in the {hours} hours before"
    return Table(f"Changes in the {hours} hours before", heads, tuple(rows), note)


def hypothesis_table(causes: Sequence[Cause]) -> Table:
    """List the hypotheses in their order, with where each stands and why."""
    heads = columns("rank|number", "hypothesis", "where|code", "stands|status", "explains|share", "evidence")
    rows = tuple((c.rank, c.name, c.where or "everywhere", c.status, c.explains, c.evidence) for c in causes)
    return Table("Ranked hypotheses", heads, rows, "" if rows else "nothing is wrong, so there is nothing to suspect")


def example_rows(quality: DataQuality, most: int = 200) -> pd.DataFrame:
    """Return the first wrong rows as evidence: when, which request, which slice, the columns concerned and why."""
    import pandas as pd

    parts = []
    for trouble in quality.troubles[:6]:
        places = np.flatnonzero(trouble.rows)[:most]
        frame = quality.rows.now.iloc[places]
        held = {"epoch": frame["epoch"].to_numpy()}
        if "request_id" in frame:
            held["request_id"] = frame["request_id"].astype(str).to_numpy()
        column = next((c for c in (f"text_{trouble.features[0]}", f"number_{trouble.features[0]}") if c in frame), "")
        held["column"] = np.full(len(frame), trouble.suspicion.feature, dtype=object)
        held["value"] = frame[column].astype(str).to_numpy() if column else np.full(len(frame), "", dtype=object)
        held["why"] = np.full(len(frame), trouble.suspicion.what, dtype=object)
        parts.append(pd.DataFrame(held))
    return (
        pd.concat(parts, ignore_index=True)
        if parts
        else pd.DataFrame({"epoch": [], "column": [], "value": [], "why": []})
    )


def _when(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def _moment(epoch: int | None) -> datetime | None:
    return None if epoch is None else _when(epoch)
