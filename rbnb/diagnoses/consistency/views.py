"""How inconsistent answers are shown: tables and figures, nothing measured, nothing judged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from rbnb import plots
from rbnb.diagnoses.consistency.channels import member
from rbnb.plots.consistency import flips_by_distance
from rbnb.signals.consistency.calibration import reliability
from rbnb.signals.consistency.expected import to_link
from rbnb.signals.intervals import share
from rbnb.view import Table, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from rbnb.diagnoses.consistency.measure import OutputInconsistency
    from rbnb.model import Cause
    from rbnb.plots import Figure

__all__ = [
    "change_table",
    "distance_figure",
    "encoding_table",
    "example_frame",
    "hypothesis_table",
    "reliability_table",
    "replay_table",
    "segment_table",
    "skew_table",
    "threshold_table",
    "wrong_figure",
]

_BINS = 9


def wrong_figure(found: OutputInconsistency) -> Figure | None:
    """Draw the share of wrong answers over time, in the place that leads and elsewhere; None if nothing is wrong."""
    lead = found.lead
    if lead is None:
        return None
    epochs = found.rows["epoch"].to_numpy(dtype=np.int64)
    size = 3600
    start = found.scope.start - (found.scope.end - found.scope.start)
    grid = np.arange(start - start % size, found.scope.end, size)
    place = member(found.rows, lead.where)
    wrong = lead.wrong.astype(float)
    series = {lead.where.replace("=", " ") or "all": _hourly(epochs[place], wrong[place], grid, size)}
    if lead.where:
        series["others"] = _hourly(epochs[~place], wrong[~place], grid, size)
    stretch = lead.stretch
    return plots.latency_over_time(
        [_moment(int(at)) for at in grid],
        series,
        None,
        _moment(stretch.onset) if stretch else None,
        _moment(stretch.ended) if stretch and stretch.ended else None,
        (found.scope.window.start, found.scope.window.end),
        None,
        "% of requests",
        measure="Answers that are not what they should be",
    )


def _hourly(
    epochs: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    wrong: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    grid: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    size: int,
) -> list[float | None]:
    slots = (epochs - grid[0]) // size
    keep = (slots >= 0) & (slots < len(grid))
    n = np.bincount(slots[keep], minlength=len(grid))
    total = np.bincount(slots[keep], weights=wrong[keep], minlength=len(grid))
    return [100 * float(t) / int(k) if k else None for t, k in zip(total, n, strict=True)]


def segment_table(found: OutputInconsistency) -> Table:
    """List the places that hold more than their share of what is wrong."""
    heads = columns(
        "place|code", "holds|share", "95 % from|share", "to|share", "share of requests|share", "requests|number"
    )
    rows = tuple((s.where, s.explains, *(s.interval or (None, None)), s.traffic, s.n) for s in found.segments[:8])
    note = "corrected with Bonferroni" if rows else "no place holds more than its share of what is wrong"
    return Table("Who is affected: places by share of the wrong answers", heads, rows, note)


def threshold_table(found: OutputInconsistency) -> Table:
    """List the threshold that decisions show, by version and host."""
    heads = columns(
        "place|code", "threshold|number", "between|number", "and|number", "not explained|number", "decisions|number"
    )
    rows = tuple(
        (cut.where, cut.value, _finite(cut.low), _finite(cut.high), cut.wrong, cut.n) for cut in found.cuts[:16]
    )
    rule = found.data.model.decision
    note = (
        f"the model file says {rule.threshold:g}" if rule else "the model file gives no threshold (decision.threshold)"
    )
    return Table("Which threshold do decisions follow?", heads, rows, note)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def skew_table(found: OutputInconsistency) -> Table:
    """List the inputs with the share that differs from the recomputed value, exactly and beyond the tolerance."""
    heads = columns(
        "input|code", "differs at all|share", "beyond tolerance|share", "usual|share", "joined|number", "what it is"
    )
    if found.skew is None:
        return Table("Served against recomputed inputs", heads, (), "nothing was recomputed (logs.recomputed)")
    by = {(s.name, s.where): s for s in found.skew.signals}
    named = {one.feature: one for one in found.skew.encodings}
    rows = []
    for (name, where), exact in by.items():
        if name != "skew_exact":
            continue
        beyond, feature = by["skew_share", where], where.partition("=")[2]
        what = f"{named[feature].detail} ({named[feature].explains:.0%})" if feature in named else ""
        rows.append((feature, exact.value, beyond.value, beyond.reference, beyond.n, what))
    rows.sort(key=lambda row: -(row[2] or 0.0))
    note = "in excess of the reference; a difference within the tolerance is none"
    return Table("Served against recomputed inputs", heads, tuple(rows[:12]), note)


def encoding_table(found: OutputInconsistency) -> Table:
    """List the misreadings of an input that would explain the scores."""
    heads = columns("input|code", "misread as", "explains|share", "requests|number")
    rows = tuple((one.feature, one.detail, one.explains, one.n) for one in found.encodings[:6])
    note = "share of the unexplained variance of the scores that goes away if the input is read that way"
    return Table(
        "Which misreading of an input would lead to these scores?", heads, rows, note if rows else "none was found"
    )


def distance_figure(found: OutputInconsistency) -> Figure | None:
    """Draw flipped decisions by distance from the threshold; None without an expected score or decisions."""
    rule, model = found.data.model.decision, found.usable
    if rule is None or model is None or "prediction" not in found.rows:
        return None
    rows = found.clean[found.current]
    scores = rows["score"].to_numpy(dtype=np.float64)
    said = rows["prediction"].astype(str).to_numpy() == rule.positive
    expected = model.predict(rows) >= float(to_link(np.array([rule.threshold]), odds=found.probability)[0])
    known = np.isfinite(scores)
    gap = (scores - rule.threshold)[known]
    if len(gap) < 2 * _BINS:
        return None
    reach = float(np.quantile(np.abs(gap), 0.98)) or 1.0
    edges = np.linspace(-reach, reach, _BINS + 1)
    slot = np.clip(np.digitize(gap, edges) - 1, 0, _BINS - 1)
    n = np.bincount(slot, minlength=_BINS)
    wrong = np.bincount(slot, weights=(said != expected)[known].astype(float), minlength=_BINS)
    each = [share("", int(w), int(k)) for w, k in zip(wrong, n, strict=True)]
    return flips_by_distance(edges.tolist(), [s.value for s in each], [s.interval for s in each], n.tolist())


def reliability_table(found: OutputInconsistency) -> Table:
    """List mean score and observed rate by bin, where labels are known."""
    from rbnb.diagnoses.consistency.declared import labels_of

    heads = columns("mean score|number", "observed|share", "95 % from|share", "to|share", "requests|number")
    labels, scores = labels_of(found), found.scores
    use = found.current & np.isfinite(labels) & np.isfinite(scores)
    if use.sum() < 100:
        return Table("Do scores mean what they say?", heads, (), f"{int(use.sum()):,} labels in the window are too few")
    rows = []
    for mean, rate, n in reliability(scores[use], labels[use]):
        interval = share("", round(rate * n), n).interval or (None, None)
        rows.append((mean, rate, *interval, n))
    return Table(
        "Do scores mean what they say?", heads, tuple(rows), "equally filled bins of the window's labelled requests"
    )


def replay_table(found: OutputInconsistency) -> Table:
    """List the smallest pair that shows the difference, or the largest differences of the replay."""
    replay, pair = found.replayed, found.replayed.minimal
    if pair is not None:
        heads = columns("input|code", "one request", "the other", "suffices")
        names = [name.removeprefix("feature_") for name in found.kinds]
        rows: list[tuple[object, ...]] = [
            (name, _shown(a), _shown(b), "yes" if name == pair.feature else "")
            for name, a, b in zip(names, pair.passing, pair.failing, strict=True)
        ]
        rows.append(("score, current model", pair.passing_scores[0], pair.failing_scores[0], ""))
        rows.append(("score, known-good model", pair.passing_scores[1], pair.failing_scores[1], ""))
        note = f"{pair.tried} changed requests were asked; " + (
            f"{pair.feature} alone makes the two models disagree" if pair.feature else "no single input suffices"
        )
        return Table("The smallest pair that shows the difference", heads, tuple(rows), note)
    heads = columns("request|code", "score in the log|number", "current model|number", "known-good model|number")
    note = (
        "; ".join(f"{one.what}: {one.why}" for one in replay.not_measured) or f"{replay.compared} requests, all alike"
    )
    return Table("Replay: largest differences", heads, replay.examples, note)


def _shown(value: object) -> str:
    return "missing" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def change_table(found: OutputInconsistency, causes: Sequence[Cause]) -> Table:
    """List what was changed before the onset, with where each stands as a hypothesis."""
    heads = columns("time|time", "kind", "what", "reaches|code", "who", "as a cause|status", "because")
    told = {cause.at: cause for cause in causes if cause.at is not None}
    rows = []
    for row in [] if found.changes is None else found.changes.to_dict("records"):
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
    hours = f"{found.settings.change_hours:g}"
    note = "" if rows else f"no change is logged in the {hours} hours before"
    return Table(f"Changes in the {hours} hours before", heads, tuple(rows), note)


def hypothesis_table(causes: Sequence[Cause]) -> Table:
    """List the hypotheses in their order, with where each stands and why."""
    heads = columns("rank|number", "hypothesis", "where|code", "stands|status", "explains|share", "evidence")
    rows = tuple((c.rank, c.name, c.where or "everywhere", c.status, c.explains, c.evidence) for c in causes)
    note = "" if rows else "nothing differs, so there is nothing to suspect"
    return Table("Ranked hypotheses", heads, rows, note)


def example_frame(found: OutputInconsistency) -> pd.DataFrame:
    """Return the requests that are marked wrong, at most 500, with inputs and outputs, as evidence."""
    lead = found.lead
    keep = (lead.wrong & found.current) if lead is not None else np.zeros(len(found.rows), dtype=np.bool_)
    frame = found.rows[keep].head(500).reset_index(drop=True)
    for name in frame.columns:
        if frame[name].dtype == object:
            frame[name] = frame[name].map(lambda value: None if value is None else str(value))
    return frame


def _moment(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)
