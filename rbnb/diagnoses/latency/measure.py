"""Measure a latency spike: is it real, since when, for whom, in which part of the request, beside what.

The steps follow the runbook: integrity, detection, comparison, burn rates, segments, stages, load and
payload, changes, components. Each is computed once, from aggregates, the first time it is asked for. Rules:

- What the model file does not map is told in `not_measured`, with what to map.
- Everything is compared at the same hours: the same hours of the week, or wider where these hold too few
  requests, and the choice is told in each signal's method.
- The stretch that is examined is the episode if one was found, else the whole window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from rbnb.data import Span
from rbnb.diagnoses.latency.trust import latency_drop, reference_trust
from rbnb.errors import DataError
from rbnb.model import NotMeasured, Signal
from rbnb.signals.baseline import DAY, WEEK, fewer, seasonal_expectation, seasonal_period
from rbnb.signals.intervals import quantile_levels, share
from rbnb.signals.latency.components import ComponentShift, component_shifts, deepest
from rbnb.signals.latency.episode import Episode, detect_episode, persistence
from rbnb.signals.latency.slowness import (
    BURN_PAIRS,
    burn_rates,
    equal_load,
    equal_mix,
    quantile_ratio,
    stage_excess,
    tail_only,
)
from rbnb.signals.segments import rank_segments

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.data import Extent, ModelData
    from rbnb.model import SegmentShare
    from rbnb.scope import Scope
    from rbnb.signals.baseline import Expectation

__all__ = ["Detection", "LatencySettings", "LatencySpike"]

#: Seconds of a slot of the infrastructure baseline.
_SLOT = 3_600
#: How many times the requests of the stretch its reference should hold before a wider one is taken.
_TIMES_CURRENT = 1.5
_QUANTILES = (("latency_p50", 0.5), ("latency_p95", 0.95), ("latency_p99", 0.99))


@dataclass(frozen=True, slots=True)
class LatencySettings:
    """The numbers that define what is measured; policy may set each of them under ``settings``.

    Parameters
    ----------
    z_min, ratio_min
        A bucket is slow from this many robust deviations above the usual, and this many times it.
    component_z_min
        A component's reading is out from this many robust deviations.
    change_hours
        How long before the onset a change is suspected.
    fit_minutes
        How far a component's onset may lie from the latency's.
    enough
        Requests that a reference at the same hours need not exceed; where the stretch itself holds few, one and a
        half times as many as it holds are enough. With fewer, wider hours are taken.
    """

    z_min: float = 4.0
    ratio_min: float = 1.2
    component_z_min: float = 5.0
    change_hours: float = 6.0
    fit_minutes: float = 15.0
    enough: float = 1000.0


@dataclass(frozen=True, slots=True)
class Detection:
    """The series with what is usual, and the episode if there is one."""

    signal: Signal
    episode: Episode | None
    times: NDArray[np.int64]
    frame: pd.DataFrame
    usual: Mapping[str, Expectation]


class LatencySpike:
    """The measurements of one run; without a measured column there are none, and that is an error.

    Parameters
    ----------
    data
        The model's logs.
    scope
        Window, reference, bucket.
    extent
        What the log holds.
    settings
        What counts as slow.
    seed
        For the bootstrap.
    """

    Settings = LatencySettings

    def __init__(self, data: ModelData, scope: Scope, extent: Extent, settings: LatencySettings, seed: int) -> None:
        self.data = data
        self.scope = scope
        self.extent = extent
        self.settings = settings
        self.seed = seed
        self.log = data.model.logs.predictions
        if self.log.columns.latency_ms is None:
            raise DataError(
                f"{data.model.name}: no measured column is mapped",
                hint="name it under logs.predictions.columns.latency_ms in the model file",
            )
        self._counted: dict[Span, int] = {}

    @cached_property
    def not_measured(self) -> list[NotMeasured]:
        """What the model file does not map, and what that would have shown."""
        columns, logs, slo = self.log.columns, self.data.model.logs, self.data.model.slo
        absent = [
            (not self.log.stages, "stages of a request", "no stages mapped (logs.predictions.stages)"),
            (not self.log.segments, "segments", "no segment columns mapped (logs.predictions.segments)"),
            (self.one_a_bucket, "load", "each bucket holds one measurement, so how many requests came is not known"),
            (columns.payload_size is None, "payload size", "no column mapped (columns.payload_size)"),
            (columns.status_code is None, "error rate", "no column mapped (columns.status_code)"),
            (columns.request_id is None, "duplicate requests", "no column mapped (columns.request_id)"),
            (not slo.latency_ms, "latency burn rate", "no objective given (slo.latency_ms)"),
            (
                slo.availability is None or columns.status_code is None,
                "availability burn rate",
                "needs slo.availability and columns.status_code",
            ),
            (logs.changes is None, "changes", "no table mapped (logs.changes)"),
            (logs.metrics is None, "infrastructure and dependencies", "no table mapped (logs.metrics)"),
            (logs.dependencies is None, "call graph", "no table mapped (logs.dependencies)"),
        ]
        return [NotMeasured(what, why) for missing, what, why in absent if missing]

    @cached_property
    def integrity(self) -> list[Signal]:
        """Can the numbers below be trusted: enough rows, fresh, complete, clean."""
        counts = self.data.integrity(self.scope.start, self.scope.end)
        rows = counts["rows"]
        reference = int(self.frame["measured"][self._in_reference].sum())
        holds = int(self.frame["measured"][self._in_window].gt(0).sum())
        buckets = int(self._in_window.sum())
        found = [
            Signal("rows_current", float(rows), "count", rows, "rows in the window"),
            Signal("rows_reference", float(reference), "count", reference, "usable rows in the reference"),
            share("coverage", holds, buckets, method="buckets of the window that hold usable latencies"),
            self._data_age,
            share("null_share", counts.get("nulls", 0), rows, method="latency is null"),
            share("non_finite_share", counts.get("broken", 0), rows, method="latency is infinite, NaN or negative"),
            share("future_share", self.extent.future, self.extent.rows, method="rows stamped after the clock"),
        ]
        if "ids" in counts:
            repeated = counts["with_id"] - counts["ids"]
            found.append(share("duplicate_share", repeated, counts["with_id"], method="rows that repeat a request id"))
        known = int((self.frame["measured"][self._in_reference] > 0).sum())
        return found + reference_trust(self, counts, known)

    @property
    def _data_age(self) -> Signal:
        last = self.extent.last or self.scope.now
        if last <= self.scope.now:
            covers = self.scope.bucket if self.one_a_bucket else 0
            age, method = (self.scope.now - last).total_seconds() / 60 - covers / 60, "clock minus newest row"
        else:
            held = self.times[self.frame["n"].to_numpy() > 0]
            newest = float(held[-1]) + self.scope.bucket if len(held) else float(self.times[0])
            age, method = (self.scope.end - newest) / 60, "end of the window minus newest bucket with data"
        return Signal("data_age", max(age, 0.0), "minutes", self.extent.rows, method)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a bucket from the reference's start to the window's end; NaN where no request came."""
        import pandas as pd

        size = self.scope.bucket
        start = min(self.scope.reference_start, self._context_start)
        self.data.hold(min(start, self.scope.end - BURN_PAIRS[-1][1]), self.scope.end)
        raw = self.data.series(start, self.scope.end, size).set_index("bucket")
        grid = pd.RangeIndex(start - start % size, self.scope.end, size, name="bucket")
        frame = raw.reindex(grid)
        counts = [name for name in ("n", "measured", "nulls", "broken", "errors") if name in frame]
        frame[counts] = frame[counts].fillna(0)
        frame["mean"] = frame["total"].astype(float) / frame["measured"].where(frame["measured"] > 0)
        return frame

    @property
    def query(self) -> str:
        """The query behind `frame`, in the engine's own SQL."""
        return self.data.series_query(self.scope.reference_start, self.scope.end, self.scope.bucket)

    @cached_property
    def times(self) -> NDArray[np.int64]:
        """Start of each bucket of `frame`, in epoch seconds."""
        return np.asarray(self.frame.index, dtype=np.int64)

    @property
    def _context_start(self) -> int:
        return self.scope.start - max(6 * 3600, 2 * (self.scope.end - self.scope.start))

    @property
    def _in_window(self) -> NDArray[np.bool_]:
        return (self.times >= self.scope.start) & (self.times < self.scope.end)

    @cached_property
    def _in_reference(self) -> NDArray[np.bool_]:
        inside = (self.times >= self.scope.reference_start) & (self.times < self.scope.reference_end)
        for low, high in self.scope.leave_out:
            inside &= ~((self.times >= low) & (self.times < high))
        return inside

    def usual(self, column: str, targets: NDArray[np.int64]) -> Expectation:
        """Return what the reference leads one to expect of a column of `frame` at each target bucket."""
        values = self.frame[column].to_numpy(dtype=float)
        inside = self._in_reference
        return seasonal_expectation(self.times[inside], values[inside], targets)

    @cached_property
    def detection(self) -> Detection:
        """Since when, and is it still going on."""
        seen = self.times >= self._context_start
        times, frame = self.times[seen], self.frame[seen]
        columns = ("p50",) if self.one_a_bucket else ("p50", "p95")
        counts, usual_counts = frame["measured"].to_numpy(dtype=float), self.usual("measured", times).middle
        usual = {column: fewer(self.usual(column, times), counts, usual_counts) for column in columns}
        series = {column: (frame[column].to_numpy(dtype=float), usual[column]) for column in columns}
        past, period = self._in_reference, seasonal_period(self._reference_length)
        inflation = {
            c: persistence(self.times[past], self.frame[c].to_numpy(dtype=float)[past], period) for c in columns
        }
        detect = partial(
            detect_episode,
            times,
            series,
            since=self.scope.start,
            z_min=self.settings.z_min,
            ratio_min=self.settings.ratio_min,
            inflation=inflation,
        )
        signal, episode = detect()
        if episode is not None and not episode.sure and not self._confirmed(episode):
            signal, episode = detect(only_sure=True)
        return Detection(signal, episode, times, frame, usual)

    def _confirmed(self, episode: Episode) -> bool:
        """Whether the requests of a stretch are slower, all taken together: half way to what counts as large."""
        spans, name = self._spans_of(episode.onset, episode.ended or self.scope.end)
        if self.one_a_bucket:
            return False
        return any(
            ratio.interval is not None and ratio.interval[0] >= math.sqrt(self.settings.ratio_min)
            for ratio in self._ratios(self._quantiles_of(spans), self._counts_of(spans), name)
        )

    @cached_property
    def one_a_bucket(self) -> bool:
        """Whether buckets hold one measurement each, so that a tail within a bucket means nothing."""
        measured = self.frame["measured"]
        return float(measured[measured > 0].median() if (measured > 0).any() else 0) < 3

    @property
    def stretch(self) -> tuple[int, int]:
        """The span that is examined: the episode, or the whole window."""
        episode = self.detection.episode
        if episode is None:
            return self.scope.start, self.scope.end
        return episode.onset, episode.ended or self.scope.end

    @cached_property
    def spans(self) -> tuple[dict[str, Span], str]:
        """The rows that are compared, current and reference, and how the reference was chosen.

        What is examined is left out of its own reference: an episode may have begun before the window.
        """
        return self._spans_of(*self.stretch)

    def _spans_of(self, start: int, end: int) -> tuple[dict[str, Span], str]:
        current = Span(start, end)
        left_out = (*self.scope.leave_out, (start, end))
        needed = min(self.settings.enough, _TIMES_CURRENT * self._count(current))
        options = [
            (replace(self._at_hours(start, end, period, weekdays), leave_out=left_out), name)
            for period, weekdays, name in _comparable(start)
        ]
        if seasonal_period(self._reference_length) != WEEK:
            options = options[1:]
        first, last = self.scope.reference_start, self.scope.reference_end
        options.append((Span(first, last, leave_out=left_out), "all hours of the reference"))
        for span, name in options:
            if self._count(span) >= needed:
                return {"current": current, "reference": span}, name
        return {"current": current, "reference": options[-1][0]}, options[-1][1]

    @property
    def _reference_length(self) -> float:
        held = self.times[self._in_reference & (self.frame["measured"].to_numpy() > 0)]
        return float(held[-1] - held[0]) if len(held) else 0.0

    def _at_hours(self, start: int, end: int, period: int, weekdays: bool | None) -> Span:  # noqa: FBT001
        first, last = start % period, start % period + min(end - start, period)
        slots = ((first, min(last, period)), (0, last - period)) if last > period else ((first, last),)
        return Span(self.scope.reference_start, self.scope.reference_end, period, slots, weekdays)

    @cached_property
    def quantiles(self) -> dict[str, dict[str, tuple[float | None, ...]]]:
        """Current and reference latency quantiles with the two that bound each, in the log's unit."""
        return self._quantiles_of(self.spans[0])

    def _quantiles_of(self, spans: Mapping[str, Span]) -> dict[str, dict[str, tuple[float | None, ...]]]:
        found: dict[str, dict[str, tuple[float | None, ...]]] = {}
        for period, n in self._counts_of(spans).items():
            levels = [x for _, level in _QUANTILES for x in (level, *quantile_levels(n, level))]
            values = self.data.quantiles(spans[period], levels)
            found[period] = {name: tuple(values[3 * i : 3 * i + 3]) for i, (name, _) in enumerate(_QUANTILES)}
        return found

    @cached_property
    def counts(self) -> dict[str, int]:
        """Usable requests in the stretch and in its reference."""
        return self._counts_of(self.spans[0])

    def _count(self, span: Span) -> int:
        if span not in self._counted:
            self._counted[span] = self.data.count(span)
        return self._counted[span]

    def _counts_of(self, spans: Mapping[str, Span]) -> dict[str, int]:
        return {period: self._count(span) for period, span in spans.items()}

    def _ratios(
        self, quantiles: Mapping[str, Mapping[str, tuple[float | None, ...]]], counts: Mapping[str, int], name: str
    ) -> list[Signal]:
        both = (counts["current"], counts["reference"])
        method = f"{'exact' if self.data.exact_quantiles else 'approximate'} quantile, against {name}"
        return [
            quantile_ratio(key, level, quantiles["current"][key], quantiles["reference"][key], both, method=method)
            for key, level in _QUANTILES
        ]

    @cached_property
    def comparison(self) -> list[Signal]:
        """How much slower: quantiles, share of slow requests, errors, traffic."""
        ratios = self._ratios(self.quantiles, self.counts, self.spans[1])
        return [*ratios, latency_drop(ratios[0]), tail_only(ratios[0], ratios[1]), self._slow_share, *self._traffic]

    @property
    def _slow_share(self) -> Signal:
        method = "requests slower than 99 % of the reference at the same hours"
        limit = self.quantiles["reference"]["latency_p99"][0]
        current = self.cells[self.cells["period"] == "current"]
        if limit is None:
            return Signal("slow_share", None, "share", 0, method, reason="no reference to say what slow is")
        return share("slow_share", int(current["slow"].sum()), int(current["n"].sum()), method=method, reference=0.01)

    @property
    def _traffic(self) -> list[Signal]:
        start, end = self.stretch
        inside = (self.times >= start) & (self.times < end)
        n = self.frame["n"].to_numpy(dtype=float)[inside]
        usual = self.usual("n", self.times[inside]).middle
        known = np.isfinite(usual)
        method = "requests a bucket over the usual at this hour, median"
        ratio = float(np.median(n[known] / usual[known])) if known.any() else None
        reason = "" if known.any() else "no reference at this hour"
        found = [
            Signal("throughput", ratio, "ratio", int(n.sum()), method, reference=1.0, reason=reason),
            Signal("throughput_drop", ratio, "ratio", int(n.sum()), method, reference=1.0, reason=reason),
        ]
        if "errors" in self.frame:
            errors = self.frame["errors"].to_numpy(dtype=float)
            past = self._in_reference
            usual_rate = float(errors[past].sum() / max(self.frame["n"].to_numpy(dtype=float)[past].sum(), 1.0))
            found.append(
                share(
                    "error_rate",
                    int(errors[inside].sum()),
                    int(n.sum()),
                    method="status 500 and above",
                    reference=usual_rate,
                )
            )
        return found

    @cached_property
    def burn(self) -> list[Signal]:
        """How fast the error budget is used up, over the four standard pairs of windows."""
        slo = self.data.model.slo
        lookbacks = {
            f"{name}.{which}": s for name, long, short in BURN_PAIRS for which, s in (("long", long), ("short", short))
        }
        limits = {f"over_{name}": limit for name, limit in slo.latency_ms.items()}
        available = slo.availability is not None and self.log.columns.status_code is not None
        if not limits and not available:
            return []
        spans = self.data.exceeding(self.scope.end, limits, lookbacks)
        found: list[Signal] = []
        if slo.latency_ms:
            strictest = max(slo.latency_ms, key=lambda name: int(name[1:]))
            found += burn_rates("latency", spans, f"over_{strictest}", "measured", 1 - int(strictest[1:]) / 100)
        if available and slo.availability is not None:
            found += burn_rates("availability", spans, "errors", "n", 1 - slo.availability)
        return found

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row a period and combination of segments; every slice is a sum over it."""
        limit = self.quantiles["reference"]["latency_p99"][0]
        return self.data.cells(self.spans[0], self.log.segments, limit if limit is not None else float("inf"))

    @cached_property
    def segments(self) -> list[SegmentShare]:
        """Slices that explain more of the excess than their share of the traffic, best first."""
        return self._ranked[0]

    @property
    def slices_tried(self) -> int:
        """How many slices the correction for multiplicity counts."""
        return self._ranked[1]

    @cached_property
    def _ranked(self) -> tuple[list[SegmentShare], int]:
        if not self.log.segments or not self.found:
            return [], 0
        return rank_segments(self.cells, self.log.segments)

    @property
    def found(self) -> bool:
        """Whether there is something to explain: an episode, or requests certainly slower than usual."""
        return self.detection.episode is not None or any(
            signal.interval is not None and signal.interval[0] >= self.settings.ratio_min
            for signal in self.comparison
            if signal.name in ("latency_p50", "latency_p95", "latency_p99")
        )

    @property
    def segment_signal(self) -> list[Signal]:
        """The best slice as a signal."""
        if not self.log.segments:
            return []
        method = f"share of the extra time, {self.slices_tried} slices tried, Bonferroni"
        if not self.segments:
            reason = "no slice explains more than its share" if self.found else "there is no excess to explain"
            return [Signal("segment_explains", None, "share", self.counts["current"], method, reason=reason)]
        best = self.segments[0]
        return [
            Signal("segment_explains", best.explains, "share", best.n, method, best.interval, best.where, best.traffic)
        ]

    @cached_property
    def stages(self) -> list[Signal]:
        """Which part of the request carries the excess."""
        return stage_excess(self.cells, self.log.stages) if self.log.stages and self.found else []

    @cached_property
    def load(self) -> Signal:
        """What remains of the excess at equal load."""
        start, end = self.stretch
        inside = (self.times >= start) & (self.times < end) & (self.frame["measured"].to_numpy() > 0)
        past = self._in_reference & ~((self.times >= start) & (self.times < end))
        column = "p50" if self.one_a_bucket else "mean"
        values = self.frame[column].to_numpy(dtype=float)
        n = self.frame["n"].to_numpy(dtype=float)
        if self.one_a_bucket:
            reason = "each bucket holds one measurement, so the load is not known"
            return Signal("excess_at_equal_load", None, "share", int(inside.sum()), "equal load", reason=reason)
        usual = self.usual(column, self.times[inside]).middle
        return equal_load(n[inside], values[inside], usual, n[past], values[past], seed=self.seed)

    @cached_property
    def payload(self) -> list[Signal]:
        """What remains of the excess at equal payload mix."""
        if self.log.columns.payload_size is None or not self.found:
            return []
        spans, _ = self.spans
        edges = self.data.payload_edges(spans["reference"], [i / 10 for i in range(1, 10)])
        return [equal_mix(self.data.payload(spans, edges))]

    @cached_property
    def changes(self) -> pd.DataFrame | None:
        """What was changed in the hours before the onset, newest first; None if changes are not logged."""
        start, end = self.stretch
        lookback = int(self.settings.change_hours * 3600)
        frame = self.data.changes(start - lookback, min(start + 2 * self.scope.bucket, end))
        return None if frame is None else frame.sort_values("time", ascending=False, ignore_index=True)

    @cached_property
    def edges(self) -> list[tuple[str, str]]:
        """The call graph as (caller, callee); empty if none is mapped."""
        return self.data.dependencies

    @cached_property
    def readings(self) -> pd.DataFrame:
        """Infrastructure series over the window and the hours before it."""
        return self.data.metric_series(self._context_start, self.scope.end)

    @cached_property
    def metric_baseline(self) -> tuple[pd.DataFrame, int, int]:
        """What is usual for each series, with the period and slot in seconds that number its rows."""
        scope = self.scope
        period = seasonal_period(scope.reference_end - scope.reference_start)
        if not period:
            whole = Span(scope.reference_start, scope.reference_end, leave_out=scope.leave_out)
            return self.data.metric_baseline(whole, 0, _SLOT), 0, _SLOT
        first, last = self._context_start // _SLOT * _SLOT, -(-scope.end // _SLOT) * _SLOT
        return self.data.metric_baseline(self._at_hours(first, last, period, None), period, _SLOT), period, _SLOT

    @cached_property
    def shifts(self) -> list[ComponentShift]:
        """Components that left their usual range in the window, strongest first."""
        if self.data.model.logs.metrics is None:
            return []
        baseline, period, slot = self.metric_baseline
        since = min(self.scope.start, self.stretch[0])
        return component_shifts(
            self.readings, baseline, period=period, slot=slot, since=since, z_min=self.settings.component_z_min
        )

    @cached_property
    def symptoms(self) -> dict[str, list[str]]:
        """For each shifted component the shifted components it depends on; roots have none."""
        return deepest(sorted({shift.component for shift in self.shifts}), self.edges)

    @property
    def component_signal(self) -> list[Signal]:
        """The strongest shift as a signal."""
        if self.data.model.logs.metrics is None:
            return []
        method = "second largest of 3 readings against the usual range of this hour of week"
        if not self.shifts:
            n = len(self.readings)
            reason = "" if n else "the metrics table holds nothing for the window"
            return [Signal("component_anomaly", 0.0 if n else None, "robust z", n, method, reason=reason)]
        top = self.shifts[0]
        return [Signal("component_anomaly", abs(top.z), "robust z", top.n, method, where=top.component)]

    @property
    def course(self) -> list[Signal]:
        """How long it has lasted, and whether it is over."""
        episode = self.detection.episode
        if episode is None:
            reason = "no stretch of slow buckets was found"
            return [
                Signal("duration", None, "minutes", 0, "end minus onset", reason=reason),
                Signal(
                    "recovered",
                    None,
                    "flag",
                    0,
                    "buckets after it are 20 times likelier under the usual level",
                    reason=reason,
                ),
            ]
        start, end = self.stretch
        over = 1.0 if episode.ended is not None else 0.0
        return [
            Signal("duration", (end - start) / 60, "minutes", episode.buckets, "end minus onset"),
            Signal(
                "recovered",
                over,
                "flag",
                episode.buckets,
                "buckets after it are 20 times likelier under the usual level",
            ),
        ]

    @property
    def signals(self) -> list[Signal]:
        """Everything that policy judges."""
        found = [*self.integrity, self.detection.signal, *self.course]
        if self.counts["current"] and self.counts["reference"]:
            found += [*self.comparison, *self.burn, *self.segment_signal, *self.stages, *self.payload]
            found += [self.load] if self.found else []
        return found + self.component_signal


def _comparable(start: int) -> list[tuple[int, bool | None, str]]:
    weekday = (start // DAY) % 7 not in (2, 3)
    kind = "weekdays" if weekday else "weekends"
    return [
        (WEEK, None, "the same hours of the week"),
        (DAY, weekday, f"the same hours on {kind}"),
        (DAY, None, "the same hours of the day"),
    ]
