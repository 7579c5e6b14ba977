"""How the measurements of a drift are shown: tables and figures, nothing measured, nothing judged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rbnb import plots
from rbnb.plots.drift import distribution, feature_ranking
from rbnb.signals.drift.bins import make_bins
from rbnb.signals.drift.distances import psi_by_chance
from rbnb.times import format_duration
from rbnb.view import Note, Table, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from rbnb.diagnoses.drift.measure import DataDrift
    from rbnb.model import Cause
    from rbnb.plots import Figure

__all__ = [
    "change_table",
    "course_figure",
    "estimate_note",
    "feature_figure",
    "feature_frame",
    "feature_table",
    "feature_views",
    "hypothesis_table",
    "performance_table",
    "score_figure",
    "segment_figure",
    "segment_table",
]


def score_figure(drift: DataDrift) -> Figure | None:
    """Draw the scores then and now; None without scores."""
    if drift.empty or drift.outcome.scores is None:
        return None
    before, now, _ = drift.outcome.scores
    bins = make_bins(before)
    q, p = bins.count(before), bins.count(now)
    keep = [i for i in range(len(q)) if q[i] + p[i]]
    names = [bins.names[i] for i in keep]
    return distribution("Score", names, [q[i] / max(q.sum(), 1) for i in keep], [p[i] / max(p.sum(), 1) for i in keep])


def course_figure(drift: DataDrift) -> Figure | None:
    """Draw what was followed, hour by hour, with what is usual and the onset; None where nothing drifted."""
    if drift.empty or not drift.found or not len(drift.course.times):
        return None
    course = drift.course
    late = course.times >= drift.scope.start - 3 * (drift.scope.end - drift.scope.start)
    times = [_moment(int(t)) for t in course.times[late]]
    usual = course.usual[late]
    window = (drift.scope.window.start, drift.scope.window.end)
    onset, ended = (None if at is None else _moment(at) for at in (course.onset, course.ended))
    return plots.latency_over_time(
        times, {course.what: course.level[late]}, (usual, usual, usual), onset, ended, window, None, "",
        measure=f"{course.what}: how unlike the reference",
    )  # fmt: skip


def feature_figure(drift: DataDrift) -> Figure | None:
    """Draw the inputs by how far they moved; None without inputs."""
    if drift.empty or not drift.features.all:
        return None
    found = list(drift.features.all.values())
    n = len(drift.rows.matched[0])
    chance = [psi_by_chance(n, max(one.psi.n, 1), len(one.bins.names) - 2) for one in found]
    reaches = [one.reach.value if one.reach else None for one in found]
    return feature_ranking(
        [one.name for one in found],
        [one.psi.value for one in found],
        chance,
        reaches,
        [one in drift.used for one in found],
    )


def feature_table(drift: DataDrift) -> Table:
    """List every input with its distances, apart by location, scale, shape and category, those that matter first."""
    heads = columns(
        "input|code", "PSI|number", "chance|number", "KS|number", "Jensen-Shannon|number", "Wasserstein|number|sd",
        "middle|number|sd", "spread|number|×", "shape|number", "category", "moved the score|number|sd",
        "of the score|share",
    )  # fmt: skip
    rows = [] if drift.empty else [_feature_row(one) for one in drift.features.all.values()]
    rows += [
        (name, None, None, None, None, None, None, None, None, why, None, None)
        for name, why in drift.data.broken_features.items()
    ]
    note = (
        f"Against {drift.rows.matched[1]}. Chance: how often an unchanged input would look so, over all inputs (Holm). "
        "PSI is the primary distance: it reads numbers and categories alike, and has a known size by chance. "
        "The last columns are the input's own part, others held equal, by an additive surrogate"
    ) if not drift.empty else "there are no rows"  # fmt: skip
    fit = None if drift.empty else drift.features.surrogate
    note += f" that explains {fit.r2:.0%} of the score." if fit else "."
    return Table("Inputs, by how far the score moved through them", heads, tuple(rows), note)


def _feature_row(one: object) -> tuple[object, ...]:
    from rbnb.diagnoses.drift.features import FeatureDrift

    assert isinstance(one, FeatureDrift)  # noqa: S101 - told to the type checker
    told = {signal.name.removeprefix("feature_"): signal for signal in one.others}
    numbers = [
        told[key].value if key in told else None for key in ("ks", "js", "wasserstein", "location", "scale", "shape")
    ]
    category = told["category"].reason.partition(";")[0] if "category" in told else ""
    reach = one.reach.value if one.reach else None
    return (one.name, one.psi.value, one.p, *numbers, category, reach, one.share)


def feature_frame(drift: DataDrift) -> pd.DataFrame:
    """Return the table of inputs as evidence: one row an input and bin, with its share then and now."""
    import pandas as pd

    rows = []
    for one in [] if drift.empty else drift.features.all.values():
        q, p = one.bins.count(drift.features.matched[one.name]), one.bins.count(drift.features.current[one.name])
        rows += [(one.name, name, int(q[i]), int(p[i]), one.p) for i, name in enumerate(one.bins.names)]
    return pd.DataFrame(rows, columns=["feature", "bin", "reference", "current", "p"])


def feature_views(drift: DataDrift) -> list[Figure]:
    """Draw the two inputs that matter most, then and now."""
    if drift.empty:
        return []
    found = []
    for one in (drift.used or drift.moved)[:2]:
        q, p = one.bins.count(drift.features.matched[one.name]), one.bins.count(drift.features.current[one.name])
        keep = [i for i in range(len(q)) if q[i] + p[i]]
        shares = [[part[i] / max(part.sum(), 1) for i in keep] for part in (q, p)]
        found.append(distribution(one.name, [one.bins.names[i] for i in keep], *shares))
    return found


def performance_table(drift: DataDrift) -> Table:
    """List each performance number then and now, with its interval."""
    heads = columns("measure", "reference|number", "now|number", "95 % from|number", "to|number", "outcomes|number")
    rows = [] if drift.empty else [
        (name.replace("_", " "), then.value, now.value, *(now.interval or (None, None)), now.n)
        for name, (then, now) in drift.outcome.realised.items()
    ]  # fmt: skip
    lag = drift.rows.labelled.lag if not drift.empty and drift.rows.labelled else 0
    note = (
        f"Outcomes of {format_duration(timedelta(seconds=lag))} earlier: those of the window are not known yet."
        if lag
        else ""
    )
    return Table("Realised performance", heads, tuple(rows), note if rows else "no outcomes are known for the window")


def estimate_note(drift: DataDrift) -> Note | None:
    """Say what an estimate without outcomes is worth here, and what it cannot see; None where outcomes are known."""
    if drift.empty or (drift.outcome.realised and not (drift.rows.labelled and drift.rows.labelled.lag)):
        return None
    return Note(
        "Realised performance of this window is not measured. An estimate from scores holds only while the same score "
        "means the same chance: a change in what inputs mean (concept drift) cannot be seen from inputs or scores.",
        "warning",
    )


def segment_figure(drift: DataDrift) -> Figure | None:
    """Draw the segments that hold more of what got worse than their share; None if none does."""
    ranked = [] if drift.empty else drift.segments[:6]
    if not ranked:
        return None
    return plots.segment_ranking([s.where for s in ranked], [s.explains for s in ranked],
                                 [s.interval for s in ranked], [s.traffic for s in ranked])  # fmt: skip


def segment_table(drift: DataDrift) -> Table:
    """List the segments that stand the correction for multiplicity."""
    heads = columns(
        "segment|code", "holds|share", "95 % from|share", "to|share", "share of requests|share", "requests|number"
    )
    ranked = [] if drift.empty else drift.segments[:8]
    rows = tuple((s.where, s.explains, *(s.interval or (None, None)), s.traffic, s.n) for s in ranked)
    tried = 0 if drift.empty else drift.slices_tried
    note = f"{tried} slices tried, one and two columns deep, corrected with Bonferroni; others hold only their share"
    return Table("Who is affected: segments by share of what got worse", heads, rows, note)


def change_table(drift: DataDrift, causes: Sequence[Cause]) -> Table:
    """List what was changed around the onset, with where each stands as a hypothesis."""
    heads = columns("time|time", "kind", "what", "reaches|code", "who", "as a cause|status", "because")
    told = {(cause.at, cause.name): cause for cause in causes if cause.kind == "change"}
    rows = []
    known = None if drift.empty else drift.changes
    for row in [] if known is None else known.to_dict("records"):
        at = _moment(int(row["time"]))
        cause = told.get((at, str(row["what"])))
        rows.append((at, row["kind"], row["what"], row["segment"] or "everywhere", row["who"],
                     cause.status if cause else None, cause.evidence if cause else ""))  # fmt: skip
    hours = f"{drift.settings.change_hours:g}"
    return Table(
        f"Changes in the {hours} hours before",
        heads,
        tuple(rows),
        "" if rows else "no change is logged around that time",
    )


def hypothesis_table(causes: Sequence[Cause]) -> Table:
    """List the hypotheses in their order, with where each stands and why."""
    heads = columns("rank|number", "kind", "hypothesis", "where|code", "stands|status", "explains|share", "evidence")
    rows = tuple((c.rank, c.kind, c.name, c.where or "everywhere", c.status, c.explains, c.evidence) for c in causes)
    return Table("Ranked hypotheses", heads, rows, "" if rows else "nothing moved, so there is nothing to suspect")


def _moment(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)
