"""Measure drift: is it the same data, what moved, does the prediction mind, who is hit, since when.

The steps follow the runbook: integrity, prediction, performance (known, then estimated), inputs alone and
together, segments, course. Each is computed once, the first time it is asked for. Rules:

- What the model file does not map is told in `not_measured`, with what to map.
- An input that is broken is told and takes no other down; broken data is no drift.
- What was sampled says of how many.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from rbnb.data import Span
from rbnb.diagnoses.drift.course import Course, follow, likelihood
from rbnb.diagnoses.drift.features import FeatureDrift, Features
from rbnb.diagnoses.drift.outcome import Outcome
from rbnb.diagnoses.drift.places import in_slice, ranked, served_shift, worst_slice
from rbnb.diagnoses.drift.rows import Compared
from rbnb.diagnoses.drift.trust import amounts, gate
from rbnb.model import NotMeasured, Signal
from rbnb.signals.drift.bins import make_bins
from rbnb.signals.intervals import share

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.data import Extent, ModelData
    from rbnb.model import SegmentShare
    from rbnb.scope import Scope

__all__ = ["DataDrift", "DriftSettings"]

_HOUR = 3_600
#: Part of a slice's performance that must certainly be lost to follow it.
_WORTH = 0.05


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """The numbers that define what is measured; policy may set each of them under ``settings``.

    Parameters
    ----------
    alpha
        Chance of calling any input of an unchanged log drifted.
    reach_min
        Standard deviations of the score that a drifted input must have moved it to count as used.
    reach_large
        The same for an input whose shift is large by itself.
    share_min
        Share of the score's variance from which on an input counts as used.
    enough
        Rows that a reference at the same hours need not exceed before a wider one is taken.
    sample
        Rows of either side that are fetched; more are thinned.
    change_hours
        How long before the onset a change is suspected.
    slice_min
        Share of the rows that a slice must hold for its own performance to count.
    """

    alpha: float = 0.01
    reach_min: float = 0.05
    reach_large: float = 0.02
    share_min: float = 0.02
    enough: float = 1000.0
    sample: float = 200_000.0
    change_hours: float = 24.0
    slice_min: float = 0.05


class DataDrift:
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
        What counts as drifted.
    seed
        Kept for the record; nothing here is drawn at random.
    """

    Settings: ClassVar[type[DriftSettings]] = DriftSettings

    def __init__(self, data: ModelData, scope: Scope, extent: Extent, settings: DriftSettings, seed: int) -> None:
        self.data = data
        self.scope = scope
        self.extent = extent
        self.settings = settings
        self.seed = seed
        self.log = data.model.logs.predictions
        self.rows = Compared(data, scope, settings.enough, int(settings.sample))
        self.features = Features(self.rows, dict(data.features))
        self.outcome = Outcome(self.rows, self.features, data.model)

    @property
    def not_measured(self) -> list[NotMeasured]:
        """What could not be measured, and what that would take."""
        columns, known = self.log.columns, None if self.empty else self.rows.labelled
        absent = [
            (not self.data.features, "drift of inputs", "no features mapped (logs.predictions.features)"),
            (columns.prediction_proba is None, "scores", "no column mapped (columns.prediction_proba)"),
            (columns.prediction is None, "decisions", "no column mapped (columns.prediction)"),
            (columns.target is None, "realised performance", "no column mapped (columns.target)"),
            (not self.log.segments, "segments", "no segment columns mapped (logs.predictions.segments)"),
        ]
        found = [NotMeasured(what, why) for missing, what, why in absent if missing]
        if columns.target is not None and not self.empty and not self.outcome.realised:
            part = known.coverage if known else 0.0
            found.append(NotMeasured("realised performance", f"{part:.0%} of the outcomes that usually come are known"))
        if not self.empty and (not self.outcome.realised or (known and known.lag)):
            what = "concept drift in the window" if self.outcome.realised else "concept drift"
            found.append(NotMeasured(what, "it cannot be seen from inputs and scores; it needs outcomes"))
        found += [NotMeasured(f"feature {name}", why) for name, why in self.data.broken_features.items()]
        if not self.empty and not self.same_hours:
            found.append(NotMeasured("the season of the year", "the reference holds no earlier year"))
        return found

    @property
    def same_hours(self) -> bool:
        """Whether the window is held against the same hours of other days."""
        return self.rows.matched[1] != "the whole reference"

    # can the data be trusted

    @cached_property
    def integrity(self) -> list[Signal]:
        """Is it enough, is it fresh, and is it still the same data."""
        found = amounts(self)
        return found if self.empty else [*found, *gate(self)]

    @property
    def empty(self) -> bool:
        """Whether the window or the reference holds no row at all, so that nothing can be compared."""
        return not len(self.rows.window) or not len(self.rows.reference)

    # what moved

    @property
    def prediction(self) -> list[Signal]:
        """How far scores and decisions have moved, and how many requests got another score."""
        return [] if self.empty else [*self.outcome.prediction, self.moved_share]

    @cached_property
    def moved_share(self) -> Signal:
        """Which part of the requests got a score unlike those of the reference: total variation, less chance."""
        method = "half the summed difference of score shares over bins of the reference, less chance"
        if self.outcome.scores is None:
            return Signal("moved_share", None, "share", 0, method, reason="no score is mapped")
        before, now, _ = self.outcome.scores
        bins = make_bins(before)
        q, p = bins.count(before), bins.count(now)
        n, m = max(int(q.sum()), 1), max(int(p.sum()), 1)
        distance = float(np.abs(p / m - q / n).sum()) / 2
        each = (q + p) / (n + m)
        chance = float(np.sqrt(2 / np.pi * each * (1 - each) * (1 / n + 1 / m)).sum()) / 2
        return Signal("moved_share", max(distance - chance, 0.0), "share", m, method)

    @cached_property
    def moved(self) -> list[FeatureDrift]:
        """The inputs that have certainly moved, those that moved scores most first."""
        return self.features.moved(self.settings.alpha)

    @cached_property
    def used(self) -> list[FeatureDrift]:
        """Those of them that the prediction minds; of a large shift, even a little."""
        least = self.settings
        return [one for one in self.moved if one.reach and one.reach.value is not None
                and one.reach.value >= (least.reach_large if one.large else least.reach_min)]  # fmt: skip

    @cached_property
    def inputs(self) -> list[Signal]:
        """Drift of each input, and of all together."""
        if self.empty:
            return []
        drifted = share("drifted_share", len(self.moved), len(self.features.kinds),
                        method=f"inputs that certainly moved, Holm at {self.settings.alpha:g}")  # fmt: skip
        each = [
            signal for one in self.features.all.values() for signal in (one.psi, *([one.reach] if one.reach else []))
        ]
        return [drifted, self.input_drift, self.used_drift, *self.together, *each]

    @property
    def input_drift(self) -> Signal:
        """The largest certain shift of an input, whether or not the prediction minds."""
        n, method = len(self.rows.window), "largest stability index of an input that certainly moved"
        if not self.features.kinds:
            return Signal("input_drift", None, "psi", 0, method, reason="no input can be measured")
        top = max(self.moved, key=lambda one: one.psi.value or 0.0, default=None)
        if top is None:
            return Signal("input_drift", 0.0, "psi", n, method)
        return Signal("input_drift", top.psi.value, "psi", n, method, top.psi.interval, reason=top.name)

    @property
    def used_drift(self) -> Signal:
        """How far the score has certainly moved through one input that counts as used, or 0."""
        n, method = len(self.rows.window), "largest reach of an input that certainly moved and that the score minds"
        if self.features.surrogate is None:
            reason = "needs inputs and scores" if self.features.kinds else "no input can be measured"
            return Signal("used_drift", None, "sd", n, method, reason=reason)
        top = self.used[0].reach if self.used else None
        if top is None:
            return Signal("used_drift", 0.0, "sd", n, method)
        return Signal("used_drift", top.value, "sd", n, method, top.interval, reason=self.used[0].name)

    @cached_property
    def together(self) -> list[Signal]:
        """Inputs that used to go together and no longer do."""
        if self.empty:
            return []
        used = self.features.used_correlation(self.settings.share_min)
        return [self.features.correlation, used, self.features.reconstruction]

    # where

    @cached_property
    def served(self) -> Signal:
        """The version or host whose scores differ at equal inputs, more than they do in the reference."""
        return served_shift(self)

    @cached_property
    def slice_drop(self) -> Signal:
        """By how much performance fell in the slice where it certainly fell most; its reason names the slice."""
        return worst_slice(self)

    @property
    def worse_slice(self) -> str:
        """The slice in which performance certainly fell by a part worth a word; empty where there is none."""
        found = self.slice_drop
        return found.reason.partition(":")[0] if found.interval and found.interval[0] >= _WORTH else ""

    @property
    def local(self) -> str:
        """The slice that is certainly worse than the whole has become; empty where the whole is as bad, or none is."""
        of = {"auc_drop": "auc", "accuracy_drop": "accuracy", "mean_error_rise": "mean_error"}
        whole = [
            (s.value or 0.0) / ((then.value or 1.0) if s.name == "auc_drop" else 1.0)
            for s in self.outcome.performance
            if s.name in of and (then := self.outcome.realised.get(of[s.name], (s, s))[0])
        ]
        found = self.slice_drop
        stands_out = found.interval is not None and found.interval[0] > max(whole, default=0.0)
        return self.worse_slice if stands_out else ""

    @cached_property
    def _ranked(self) -> tuple[list[SegmentShare], int]:
        return ranked(self) if not self.empty and self.found else ([], 0)

    @property
    def segments(self) -> list[SegmentShare]:
        """Slices that hold more of what got worse than their share of the requests, best first."""
        return self._ranked[0]

    @property
    def slices_tried(self) -> int:
        """How many slices the correction for multiplicity counts."""
        return self._ranked[1]

    @property
    def segment_signal(self) -> list[Signal]:
        """The best slice as a signal."""
        method = f"share of what got worse, {self.slices_tried} slices tried, Bonferroni"
        if not self.segments:
            reason = "no slice holds more than its share" if self.found else "there is nothing to divide"
            return [Signal("segment_explains", None, "share", len(self.rows.window), method, reason=reason)]
        best = self.segments[0]
        found = Signal("segment_explains", best.explains, "share", best.n, method, best.interval, best.where)
        return [replace(found, reference=best.traffic)]

    # since when

    @property
    def worse(self) -> bool:
        """Whether outcomes say that the model has certainly got worse."""
        return any(s.interval is not None and s.interval[0] > 0.02 for s in self.outcome.performance)

    @property
    def found(self) -> bool:
        """Whether there is something to explain: predictions, performance or used inputs have certainly moved."""
        if self.empty:
            return False
        if self.worse or self.worse_slice or self.used or any((s.value or 0) > 0.1 for s in (self.served,)):
            return True
        if any(s.interval and s.interval[0] >= 0.1 for s in self.together[1:2]):
            return True
        limits = {"score_shift_abs": 0.05, "decision_shift": 0.01}
        return any(s.interval and s.name in limits and s.interval[0] > limits[s.name] for s in self.outcome.prediction)

    @cached_property
    def course(self) -> Course:
        """Since when, followed on what drifted most."""
        options = []
        window, reference = self.rows.window, self.rows.reference
        times = np.concatenate([f["epoch"].to_numpy(dtype=np.int64) for f in (reference, window)])
        for one in self.used[:2] or self.moved[:1]:
            weights = likelihood(
                one.bins,
                one.bins.count(self.features.matched[one.name]),
                one.bins.count(self.features.current[one.name]),
            )
            values = np.concatenate(
                [weights[one.bins.place(f[f"feature_{one.name}"].to_numpy())] for f in (reference, window)]
            )
            options.append(self._follow(one.name, times, values))
        if self.outcome.scores is not None:
            before, now, whole = self.outcome.scores
            bins = make_bins(before)
            weights = likelihood(bins, bins.count(before), bins.count(now))
            options.append(
                self._follow("score", times, np.concatenate([weights[bins.place(part)] for part in (whole, now)]))
            )
        loss = self._loss_course
        if loss is not None and (not self.used or loss.onset is not None):
            options.append(loss)
        if not options:
            return Course("nothing", None, None, np.array([], dtype=np.int64), np.array([]), np.array([]))
        return max(options, key=lambda course: course.z)

    def _follow(self, what: str, times: NDArray[np.int64], values: NDArray[np.float64]) -> Course:
        return follow(what, times, values, start=self.scope.start, end=self.scope.end, bucket=self.scope.bucket)

    @property
    def _loss_course(self) -> Course | None:
        frame, before = self.outcome.labelled, self.rows.judged
        if frame is None or not (self.worse or self.worse_slice):
            return None
        if self.local:
            before, frame = (in_slice(side, self.local) for side in (before, frame))
        then, now = self.outcome.loss(before), self.outcome.loss(frame)
        if then is None or now is None:
            return None
        times = np.concatenate([f["epoch"].to_numpy(dtype=np.int64) for f in (before, frame)])
        lag = self.rows.labelled.lag if self.rows.labelled else 0
        return follow("loss", times, np.concatenate([then, now]), start=self.scope.start - lag,
                      end=self.scope.end - lag, bucket=self.scope.bucket)  # fmt: skip

    @property
    def lasting(self) -> list[Signal]:
        """How long it has lasted, and whether it is over."""
        course = self.course if self.found else None
        if course is None or course.onset is None:
            reason = "no beginning could be made out" if self.found else "nothing has drifted"
            return [Signal("duration", None, "minutes", 0, "end minus onset", reason=reason),
                    Signal("recovered", None, "flag", 0, "what follows is like before", reason=reason)]  # fmt: skip
        end = course.ended or self.scope.end
        n = len(course.times)
        return [
            Signal("duration", (end - course.onset) / 60, "minutes", n, f"end minus onset of {course.what}"),
            Signal("recovered", 0.0 if course.ended is None else 1.0, "flag", n, "what follows is like before"),
        ]

    @cached_property
    def changes(self) -> pd.DataFrame | None:
        """What was changed around the onset, newest first; None if changes are not logged."""
        onset = self.course.onset if self.found and self.course.onset else self.scope.start
        lookback = int(timedelta(hours=self.settings.change_hours).total_seconds())
        frame = self.data.changes(onset - lookback, min(onset + 2 * _HOUR, self.scope.end))
        return None if frame is None else frame.sort_values("time", ascending=False, ignore_index=True)

    @property
    def signals(self) -> list[Signal]:
        """Everything that policy judges."""
        if self.empty:
            return self.integrity
        found = [*self.integrity, *self.prediction, self.outcome.coverage, *self.outcome.performance]
        found += [self.slice_drop, *self.outcome.meaning, *self.outcome.estimated, *self.inputs, self.served]
        return [*found, *self.segment_signal, *self.lasting]

    @property
    def query(self) -> str:
        """The rows behind every number, in the engine's own SQL."""
        return self.data.raw_query(Span(self.scope.reference_start, self.scope.end))
