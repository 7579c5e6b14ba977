"""How the measurements of a latency spike are shown: tables and figures, nothing measured, nothing judged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from rbnb import plots
from rbnb.view import Table, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbnb.diagnoses.latency.measure import LatencySpike
    from rbnb.model import Cause
    from rbnb.plots import Figure
    from rbnb.signals.latency.components import ComponentShift

__all__ = [
    "change_table",
    "component_figure",
    "component_table",
    "hypothesis_table",
    "latency_figure",
    "load_figure",
    "segment_figure",
    "segment_table",
    "stage_figure",
]

_MOST_PANELS = 4


def latency_figure(spike: LatencySpike) -> Figure:
    """Draw latency over time with the usual range, the onset and the objective."""
    detection = spike.detection
    column = "p50" if "p95" not in detection.usual else "p95"
    usual = detection.usual[column]
    label = spike.log.columns.latency_ms or "latency"
    series = (
        {label: detection.frame["p50"].to_numpy()}
        if column == "p50"
        else {name: detection.frame[name].to_numpy() for name in ("p50", "p95")}
    )
    limits = spike.data.model.slo.latency_ms
    return plots.latency_over_time(
        _times(detection.times),
        series,
        (usual.low, usual.middle, usual.high),
        _moment(detection.episode.onset) if detection.episode else None,
        _moment(detection.episode.ended) if detection.episode and detection.episode.ended else None,
        (spike.scope.window.start, spike.scope.window.end),
        max(limits.values()) if limits else None,
        spike.log.unit,
        baseline_of=column if column == "p95" else "",
    )


def stage_figure(spike: LatencySpike) -> Figure | None:
    """Draw the mean time in each stage, usual and now; None if stages are not logged."""
    if not spike.log.stages:
        return None
    means = {}
    for period in ("reference", "current"):
        sums = spike.cells[spike.cells["period"] == period].sum(numeric_only=True)
        n = float(sums.get("n", 0))
        means[period] = [float(sums[f"{stage}|total"]) / n if n else None for stage in spike.log.stages]
    return plots.stage_excess(spike.log.stages, means["reference"], means["current"], spike.log.unit)


def segment_figure(spike: LatencySpike) -> Figure | None:
    """Draw the segments that explain more of the excess than their share; None if none does."""
    ranked = spike.segments[:6]
    if not ranked:
        return None
    return plots.segment_ranking(
        [s.where for s in ranked],
        [s.explains for s in ranked],
        [s.interval for s in ranked],
        [s.traffic for s in ranked],
    )


def segment_table(spike: LatencySpike) -> Table:
    """List the segments that stand the correction for multiplicity."""
    heads = columns(
        "segment|code", "explains|share", "95 % from|share", "to|share", "share of requests|share", "requests|number"
    )
    rows = tuple(
        (
            s.where,
            s.explains,
            s.interval[0] if s.interval else None,
            s.interval[1] if s.interval else None,
            s.traffic,
            s.n,
        )
        for s in spike.segments[:8]
    )
    note = (
        f"{spike.slices_tried} slices tried, one and two columns deep, corrected with Bonferroni; "
        "the rest explain no more than their share of requests. More than 100 % means that the others got faster."
    )
    return Table("Who is affected: segments by share of the extra time", heads, rows, note)


def load_figure(spike: LatencySpike) -> Figure | None:
    """Draw latency against load, usual and now; None for a series without requests."""
    if spike.load.value is None:
        return None
    start, end = spike.stretch
    frame, times = spike.frame, spike.times
    now = (times >= start) & (times < end)
    past = np.flatnonzero((times >= spike.scope.reference_start) & (times < spike.scope.reference_end))
    past = past[:: max(len(past) // 250, 1)]
    per_minute = frame["n"].to_numpy(dtype=float) / (spike.scope.bucket / 60)
    mean = frame["mean"].to_numpy(dtype=float)
    return plots.load_comparison(per_minute[past], mean[past], per_minute[now], mean[now], spike.log.unit)


def change_table(spike: LatencySpike, causes: Sequence[Cause]) -> Table:
    """List what was changed before the onset, with where each stands as a hypothesis."""
    heads = columns("time|time", "kind", "what", "reaches|code", "who", "as a cause|status", "because")
    told = {cause.at: cause for cause in causes}
    rows = []
    for row in [] if spike.changes is None else spike.changes.to_dict("records"):
        at = _moment(int(row["time"]))
        cause = told.get(at)
        rows.append(
            (
                at,
                row["kind"],
                row["what"],
                row["segment"] or "everywhere",
                row["who"],
                cause.status if cause else None,
                cause.evidence if cause else "",
            )
        )
    hours = f"{spike.settings.change_hours:g}"
    note = "" if rows else f"no change is logged in the {hours} hours before the onset"
    return Table(f"Changes in the {hours} hours before", heads, tuple(rows), note)


def component_table(spike: LatencySpike) -> Table:
    """List the series that left their usual range, with whose symptom each is."""
    heads = columns(
        "component|code", "metric", "times usual|number", "robust z|number", "since|time", "serves|code", "role"
    )
    rows = tuple(
        (s.component, s.metric, s.ratio, s.z, _moment(s.onset), s.segment or "everyone", _role(spike, s))
        for s in spike.shifts[:12]
    )
    series = len(spike.readings[["component", "metric"]].drop_duplicates()) if spike.data.model.logs.metrics else 0
    note = f"{series} series examined, {len(spike.shifts)} out of their usual range for this hour."
    return Table("Infrastructure and dependencies", heads, rows, note)


def _role(spike: LatencySpike, shift: ComponentShift) -> str:
    below = spike.symptoms.get(shift.component, [])
    return f"symptom of {', '.join(below[:2])}" if below else "deepest: nothing it calls is out of range"


def component_figure(spike: LatencySpike) -> Figure | None:
    """Draw the series that moved most, causes before symptoms; None if none moved."""
    ordered = sorted(spike.shifts, key=lambda s: (bool(spike.symptoms.get(s.component)), -abs(s.z)))
    items = []
    baseline, period, slot = spike.metric_baseline if ordered else (None, 0, 0)
    for shift in ordered[:_MOST_PANELS]:
        series = spike.readings
        series = series[(series["component"] == shift.component) & (series["metric"] == shift.metric)]
        assert baseline is not None  # noqa: S101 - there are shifts, so there is a baseline
        usual = baseline[(baseline["component"] == shift.component) & (baseline["metric"] == shift.metric)].set_index(
            "slot"
        )
        time = series["time"].to_numpy(dtype=np.int64)
        slots = (time % period) // slot if period else np.zeros(len(time), dtype=np.int64)
        low, high = (usual[name].reindex(slots).to_numpy(dtype=float) for name in ("q10", "q90"))
        items.append(
            (f"{shift.component} {shift.metric}", _times(time), series["value"].to_numpy(dtype=float), low, high)
        )
    if not items:
        return None
    onset = spike.detection.episode.onset if spike.detection.episode else None
    window = (spike.scope.window.start, spike.scope.window.end)
    return plots.metric_panel(items, _moment(onset) if onset is not None else None, window)


def hypothesis_table(causes: Sequence[Cause]) -> Table:
    """List the hypotheses in their order, with where each stands and why."""
    heads = columns("rank|number", "hypothesis", "where|code", "stands|status", "explains|share", "evidence")
    rows = tuple((c.rank, c.name, c.where or "everywhere", c.status, c.explains, c.evidence) for c in causes)
    note = "" if rows else "there is no excess to explain, so there is nothing to suspect"
    return Table("Ranked hypotheses", heads, rows, note)


def _times(epochs: Sequence[int] | np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> list[datetime]:
    return [_moment(int(epoch)) for epoch in epochs]


def _moment(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)
