"""Measure whether what reaches the model is what there is: arrival, schema, content, rules, and whom it touches.

The steps follow the runbook: enough rows, arrival, schema, columns, rules, impact. Each is computed once, the first
time it is asked for. Rules:

- Counts are exact and made in the engine; what needs the rows themselves (units, clocks, spellings, swaps) looks at
  a repeatable sample where there are more than `LIMIT`, and the interval covers that.
- Everything is held against the reference's own rate, slice by slice; without a reference only what is wrong in
  itself is looked at, and that is told.
- A distribution that moved as a whole is not broken data: it is measured only to point to the other runbook.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from rbnb.data import Span
from rbnb.diagnoses.quality.arrivals import Arrivals, Lack, measure_arrivals
from rbnb.diagnoses.quality.rows import LEARN, Compared
from rbnb.diagnoses.quality.schema import SchemaBreak, schema_breaks
from rbnb.diagnoses.quality.suspects import suspicions
from rbnb.diagnoses.quality.troubles import Trouble, find_troubles
from rbnb.model import NotMeasured, Signal
from rbnb.signals.quality.shares import distance, share_excess, shifted_decisions

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.data import Extent, ModelData
    from rbnb.model import SegmentShare
    from rbnb.scope import Scope

__all__ = ["KINDS", "LIMIT", "DataQuality", "QualitySettings"]

#: Rows of the window, and of the reference, that are looked at one by one.
LIMIT = 120_000

#: Kinds of broken content in the order they are told; each has a signal ``<kind>_excess``.
KINDS = (
    "null", "non_finite", "unreadable", "type", "negative", "range", "marker", "stuck", "precision", "unit", "clock",
    "swap", "unseen", "encoding", "vanished", "expect", "rule", "duplicate",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """The numbers that define what is measured; policy may set each of them under ``settings``.

    Parameters
    ----------
    certain
        Log likelihood ratio from which a stretch of wrong rows is no chance, after all columns, slices and stretches
        that are tried.
    certain_lack
        The same for requests that did not arrive in all; a slice, of which there are many, needs half as much again.
    change_hours
        How long before the onset a change is suspected.
    """

    certain: float = 18.0
    certain_lack: float = 10.0
    change_hours: float = 6.0


class DataQuality:
    """The measurements of one run.

    Parameters
    ----------
    data
        The model's logs.
    scope
        Window, reference, bucket.
    extent
        What the log holds.
    settings
        What counts as certain.
    seed
        Kept for the record; nothing here is drawn at random.
    """

    Settings = QualitySettings

    def __init__(self, data: ModelData, scope: Scope, extent: Extent, settings: QualitySettings, seed: int) -> None:
        self.data = data
        self.scope = scope
        self.extent = extent
        self.settings = settings
        self.seed = seed
        self.log = data.model.logs.predictions
        self._missed: list[NotMeasured] = []

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The declared features, numerical or categorical, whether they can be used or not."""
        mapped = self.log.features
        return dict.fromkeys(mapped.numerical, "numerical") | dict.fromkeys(mapped.categorical, "categorical")

    @property
    def window(self) -> Span:
        """The rows that are examined."""
        return Span(self.scope.start, self.scope.end)

    @property
    def reference(self) -> Span:
        """The rows they are held against."""
        return Span(self.scope.reference_start, self.scope.reference_end, leave_out=self.scope.leave_out)

    @cached_property
    def rows(self) -> Compared:
        """Rows of window and reference, side by side."""
        now = self.data.raw_rows(self.window, limit=LIMIT)
        then = self.data.raw_rows(self.reference, limit=LIMIT)
        return Compared(now, then, self.scope.start, self.scope.end, self.scope.bucket, self.log.segments)

    @cached_property
    def not_measured(self) -> list[NotMeasured]:
        """What could not be looked at, and what would have to be mapped."""
        columns, model = self.log.columns, self.data.model
        _ = self.troubles
        absent = [
            (not self.kinds, "columns", "no features mapped (logs.predictions.features)"),
            (not self.rows.learns, "comparison with the past", f"the reference holds fewer than {LEARN} rows"),
            (not self.log.segments, "slices", "no segment columns mapped (logs.predictions.segments)"),
            (columns.request_id is None, "duplicates", "no column mapped (columns.request_id)"),
            (columns.prediction is None, "effect on decisions", "no column mapped (columns.prediction)"),
            (model.logs.changes is None, "changes", "no table mapped (logs.changes)"),
            (not model.rules, "rules between columns", "none declared (rules)"),
        ]
        return [NotMeasured(what, why) for missing, what, why in absent if missing] + self._missed

    @cached_property
    def counts(self) -> dict[str, dict[str, float]]:
        """Each declared feature counted exactly over the window."""
        return self.data.column_counts(self.window)

    @cached_property
    def integrity(self) -> list[Signal]:
        """Is there enough to look at, and is it recent."""
        now, then = self.rows.now.attrs["of"], self.rows.then.attrs["of"]
        age = max((self.scope.now - (self.extent.last or self.scope.now)).total_seconds() / 60, 0.0)
        future = share_excess(
            "future_share",
            self.extent.future,
            self.extent.rows,
            0,
            0,
            method="rows stamped after the clock",
            reason=" ",
        )
        return [
            Signal("rows_current", float(now), "count", now, "rows in the window"),
            Signal("rows_reference", float(then), "count", then, "rows in the reference"),
            Signal("data_age", age, "minutes", self.extent.rows, "clock minus newest row"),
            replace(future, reason=""),
            *[s for s in self.arrivals.signals if s.name.startswith("silence")],
        ]

    @cached_property
    def arrivals(self) -> Arrivals:
        """Volume against what is usual at these hours, in all and by slice."""
        scope = self.scope
        first, size = scope.reference_start, self.rows.bucket
        total, parts = self._volume(""), {name: self._volume(name) for name in self.rows.segments}
        return measure_arrivals(
            total,
            parts,
            (scope.start, scope.end, size),
            (first, min(scope.reference_end, scope.start)),
            leave_out=scope.leave_out,
            until=int(scope.now.timestamp()),
            certain=self.settings.certain_lack,
        )

    def _volume(self, by: str) -> pd.DataFrame:
        # rows that are all there are counted as they lie in memory; of thinned ones the engine counts all
        held = self.rows.volume(by)
        if held is not None:
            return held
        return self.data.volume(self.scope.reference_start, self.scope.end, self.rows.bucket, by=by)

    @cached_property
    def schema(self) -> list[SchemaBreak]:
        """Columns that are missing, renamed or of another type."""
        span = self.scope.reference_start, self.scope.end
        return schema_breaks(
            self.kinds,
            self.data.column_types,
            self.data.extra_columns,
            self.data.file_schemas,
            (self.rows.now, self.rows.then),
            span,
        )

    @cached_property
    def troubles(self) -> list[Trouble]:
        """What is certainly wrong with the rows, the surest first."""
        model = self.data.model
        suspected = suspicions(self.rows, self.kinds, model.expect, model.rules, self._missed)
        found = find_troubles(self.rows, suspected, self.settings.certain)
        return [trouble for trouble in found if not self._by_schema(trouble)]

    def _by_schema(self, trouble: Trouble) -> bool:
        """Whether a trouble is only what a missing or renamed column looks like."""
        gone = {one.feature for one in self.schema if one.kind in ("missing", "renamed")}
        return trouble.kind in ("null", "vanished") and trouble.suspicion.feature in gone

    @cached_property
    def content(self) -> list[Signal]:
        """For each kind of broken content the worst column first; one that was looked for and not found is 0."""
        found: list[Signal] = []
        n, checked = len(self.rows.now), len(self.kinds)
        for kind in KINDS:
            mine = [replace(t.signal, name=f"{kind}_excess") for t in self.troubles if t.kind == kind]
            mine.sort(key=lambda s: -(s.interval[0] if s.interval else 0.0))
            if mine:
                found += mine[:12]
            elif not n:
                reason = "there are no rows to look at"
                found.append(Signal(f"{kind}_excess", None, "share", 0, "", reason=reason))
            elif checked:
                method = f"{checked} columns looked at, none is certainly wrong"
                found.append(Signal(f"{kind}_excess", 0.0, "share", n, method))
        return found

    @cached_property
    def schema_signals(self) -> list[Signal]:
        """How many mapped columns are missing, renamed or of another type, each with its name."""
        names = {"missing": "missing_columns", "renamed": "renamed_columns", "type": "type_changes"}
        found = []
        for kind, name in names.items():
            mine = [one for one in self.schema if one.kind == kind]
            where = "&".join(f" feature={one.feature} " for one in mine[:3]).strip() if mine else ""
            reason = "; ".join(f"{one.feature} {one.what}" for one in mine[:3])
            method = f"of {len(self.kinds)} mapped columns"
            found.append(Signal(name, float(len(mine)), "count", len(self.kinds), method, where=where, reason=reason))
        broken = sum(one.broken for one in self.schema if one.kind == "type")
        found.append(
            Signal("unusable_types", float(broken), "count", len(self.kinds), "mapped columns read as no number")
        )
        extra = [name for name in self.data.extra_columns if name not in {one.other for one in self.schema}]
        told = ", ".join(extra[:5])
        found.append(Signal("extra_columns", float(len(extra)), "count", len(extra), "not mapped", reason=told))
        constant = [name for name, held in self.counts.items() if held.get("distinct") == 1 and held["rows"] >= LEARN]
        told = ", ".join(constant[:5])
        found.append(
            Signal("constant_columns", float(len(constant)), "count", len(self.kinds), "one value in all", reason=told)
        )
        return found if self.rows.learns else [*found, self._null_share]

    @property
    def _null_share(self) -> Signal:
        """The emptiest column, for want of a reference that says how empty it usually is."""
        method = "largest share of nulls in a column, every row of the window counted"
        shares = {name: held["nulls"] / held["rows"] for name, held in self.counts.items() if held["rows"]}
        worst = max(shares, key=lambda name: shares[name], default="")
        if not worst:
            return Signal("null_share", None, "share", 0, method, reason="there are no rows to look at")
        place = f"feature={worst}" if shares[worst] else ""
        return Signal("null_share", shares[worst], "share", int(self.counts[worst]["rows"]), method, where=place)

    @cached_property
    def touched(self) -> NDArray[np.bool_]:
        """Which rows of the window are wrong in any way that is new."""
        marks = np.zeros(len(self.rows.now), bool)
        for trouble in self.troubles:
            if trouble.suspicion.touches and (not trouble.standing or trouble.suspicion.declared):
                marks |= trouble.rows
        epochs = self.rows.now["epoch"].to_numpy(np.int64)
        for one in self.schema:
            if one.kind != "type" or one.broken:
                marks |= epochs >= (one.onset or 0)
        return marks

    @cached_property
    def onset(self) -> int | None:
        """The first wrong row, in epoch seconds; None where nothing is wrong or nobody can tell since when."""
        known = [t.onset for t in self._leading if not t.standing]
        known += [one.onset for one in self.schema if one.onset is not None and one.kind != "extra"]
        if not known:
            known = [lack.onset for lack in self.arrivals.lacks[:1]]
        return min(known, default=None)

    @property
    def _leading(self) -> list[Trouble]:
        """The surest trouble and those that came with it; an older, weaker one does not date it."""
        fresh = [t for t in self.troubles if not t.standing]
        return [t for t in fresh if t.ratio >= 0.5 * fresh[0].ratio]

    @property
    def ended(self) -> int | None:
        """When it was over, in epoch seconds; None where it goes on, or nothing was found."""
        ends = [t.ended for t in self._leading] + [lack.ended for lack in self.arrivals.lacks]
        if not ends or self.schema or any(end is None for end in ends):
            return None
        return max(end for end in ends if end is not None)

    @property
    def found(self) -> bool:
        """Whether there is something to explain."""
        return bool(self.troubles or self.schema or self.arrivals.lacks)

    @cached_property
    def impact(self) -> list[Signal]:
        """How many requests are touched, and whether their decisions changed."""
        touched, n = self.touched, len(self.rows.now)
        epochs = self.rows.now["epoch"].to_numpy(np.int64)
        since = epochs >= (self.onset if self.onset is not None else self.scope.start)
        if self.ended is not None:
            since &= epochs < self.ended
        since |= touched
        # a log that has stopped is wrong from its end on; what came before is all there is to count
        since = since if since.any() else np.ones(n, bool)
        lack = next((lack for lack in self.arrivals.lacks if not lack.stopped), None)
        usual = float(self.arrivals.usual[self._stretch_of(lack)].sum()) if lack else float(self.arrivals.usual.sum())
        lost = Signal(
            "requests_missing",
            min((lack.expected - lack.held) / usual, 1.0) if lack and usual else 0.0,
            "share",
            n,
            "requests that did not arrive, of those usual in that stretch",
            where=lack.where if lack else "",
        )
        told = "requests with a wrong value, of those since the onset"
        whole = share_excess("requests_touched_window", int(touched.sum()), n, 0, 0, method="of the whole window")
        share = share_excess("requests_touched", int(touched.sum()), int(since.sum()), 0, 0, method=told)
        return [replace(share, reason=""), replace(whole, reason=""), lost, self._decisions, *self._course]

    def _stretch_of(self, lack: Lack) -> NDArray[np.bool_]:
        times = self.arrivals.times
        return np.asarray((times >= lack.onset) & (times < (lack.ended or self.scope.end)), dtype=bool)

    @property
    def _decisions(self) -> Signal:
        method = "positive decisions among touched requests minus those of such requests before"
        if "prediction" not in self.rows.now or not self.touched.any() or not self.rows.learns:
            reason = "no request is touched" if not self.touched.any() else "no decisions are logged"
            return Signal("decision_shift", None, "share", 0, method, reason=reason)
        yes = [
            frame["prediction"].astype(str).isin(self._positive).to_numpy(bool)
            for frame in (self.rows.now, self.rows.then)
        ]
        where = next((t.where for t in self.troubles), "")
        past = self.rows.within(where, then=True)
        past = past if int(past.sum()) >= 100 else np.ones(len(past), bool)
        return shifted_decisions(yes[0], self.touched, (int((yes[1] & past).sum()), int(past.sum())), method=method)

    @property
    def _positive(self) -> frozenset[str]:
        rule = self.data.model.decision
        return frozenset([rule.positive] if rule else [self.data.model.positive_label, "1", "1.0", "true", "True"])

    @property
    def _course(self) -> list[Signal]:
        if self.onset is None:
            reason = "nothing was found to last" if not self.found else "since when cannot be told"
            return [
                Signal("duration", None, "minutes", 0, "end minus onset", reason=reason),
                Signal("recovered", 0.0, "flag", 0, "rows after the stretch are as usual", reason=reason),
            ]
        end = self.ended or self.scope.end
        n = int(self.touched.sum())
        return [
            Signal("duration", max(end - self.onset, 0) / 60, "minutes", n, "end minus onset"),
            Signal("recovered", float(self.ended is not None), "flag", n, "rows after the stretch are as usual"),
        ]

    @cached_property
    def moved(self) -> list[Signal]:
        """How far predictions and, at most, a column moved as a whole; errors. Only to point to other runbooks."""
        found = []
        if "score" in self.rows.now:
            now, then = (frame["score"].to_numpy(float, na_value=np.nan) for frame in (self.rows.now, self.rows.then))
            found.append(distance("prediction_shift", now, then))
        if "status" in self.rows.now:
            bad = [int((frame["status"] >= 500).sum()) for frame in (self.rows.now, self.rows.then)]
            found.append(
                share_excess(
                    "error_rate", bad[0], len(self.rows.now), bad[1], len(self.rows.then), method="status 500 and above"
                )
            )
        return found

    @property
    def segments(self) -> list[SegmentShare]:
        """Slices that explain more of the surest trouble than their share of the requests, best first."""
        return list(self.troubles[0].segments) if self.troubles else []

    @cached_property
    def changes(self) -> pd.DataFrame | None:
        """What was changed in the hours before the onset, newest first; None if changes are not logged."""
        if self.onset is None:
            return self.data.changes(self.scope.start, self.scope.end)
        first = self.onset - int(self.settings.change_hours * 3600)
        frame = self.data.changes(first, min(self.onset + 2 * self.rows.bucket, self.scope.end))
        return None if frame is None else frame.sort_values("time", ascending=False, ignore_index=True)

    @property
    def query(self) -> str:
        """The query behind the rows, in the engine's own SQL."""
        return self.data.raw_query(self.window)

    @property
    def arrival_signals(self) -> list[Signal]:
        """How many requests came, against what is usual at these hours."""
        return [s for s in self.arrivals.signals if not s.name.startswith("silence")]

    @cached_property
    def signals(self) -> list[Signal]:
        """Everything that policy judges."""
        return [*self.integrity, *self.arrival_signals, *self.schema_signals, *self.content, *self.impact, *self.moved]
