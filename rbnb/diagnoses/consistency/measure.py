"""Measure whether a model still answers the same to the same.

The steps follow the runbook: integrity, outputs by themselves, decisions against scores, repeated requests, served
against recomputed inputs, scores against what inputs used to lead to, calibration, declared properties, replay. Each
is computed once, the first time it is asked for. Rules:

- What cannot be compared is told in `not_measured`; how many ways of comparing there were is a signal itself, so
  that nothing is called healthy of which nothing was compared.
- A difference within the model file's tolerance is none. One that matters is larger than a share of the usual
  spread of scores (`ConsistencySettings.material`), or changes the decision.
- Everything is held against the reference: what differed there too is usual.
- A score that cannot be one is counted once, as such, and then left out of the other comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from rbnb.data import Span
from rbnb.diagnoses.consistency.channels import Channel, locate, locate_pairs, member, places
from rbnb.diagnoses.consistency.declared import calibration_signals, declared_signals
from rbnb.diagnoses.consistency.replaying import Replay, run_replay
from rbnb.model import NotMeasured, Signal
from rbnb.scope import describe
from rbnb.signals.consistency.departures import Departure, departure_signal, departure_stretch, departures
from rbnb.signals.consistency.encoding import Encoding, explain_scores
from rbnb.signals.consistency.expected import ScoreModel, fit_score_model, supported, to_link
from rbnb.signals.consistency.outputs import (
    Cut,
    cuts_by,
    decision_gap,
    invalid_scores,
    repeated_scores,
    score_shift,
)
from rbnb.signals.consistency.repeats import Pairs, excess_share, fingerprints, pair_repeats, repeat_signals
from rbnb.signals.consistency.skew import Skew, measure_skew
from rbnb.signals.intervals import share

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.data import Extent, ModelData
    from rbnb.model import SegmentShare
    from rbnb.scope import Scope
    from rbnb.signals.consistency.places import Stretch

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

__all__ = ["ConsistencySettings", "OutputInconsistency"]

_REFERENCE_ROWS, _WINDOW_ROWS = 60_000, 200_000
#: Places whose stretch is looked for where only expected scores tell.
_MOST_PLACES = 8
#: Log likelihood ratio from which they overrule the few repeats.
_CLEAR = 10.0
#: Standard deviations of the score below which a single score is not called unexplained.
_FAR = 0.1
#: Column names that say where a request was served; tried first, in this order.
_SERVED_AT = ("version", "host", "node", "instance", "machine", "pod", "replica", "zone", "rack", "cluster")


@dataclass(frozen=True, slots=True)
class ConsistencySettings:
    """The numbers that define what is measured; policy may set each of them under ``settings``.

    Parameters
    ----------
    material
        Share of the standard deviation of usual scores that two scores may be apart without it mattering.
    explains_min
        Share of the score that inputs must explain for the expected score to be used.
    enough_pairs, enough_joined, enough_rows
        Pairs, joined requests and rows of the window from which a way of comparing counts.
    share_min, departure_min
        From which careful share, or departure in standard deviations, something counts as found and is explained.
    change_hours
        How long before the onset a change is suspected.
    """

    material: float = 0.02
    explains_min: float = 0.6
    enough_pairs: float = 20.0
    enough_joined: float = 50.0
    enough_rows: float = 200.0
    share_min: float = 0.0003
    departure_min: float = 0.02
    change_hours: float = 6.0


class OutputInconsistency:
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
        What counts as different.
    seed
        For samples and simulated chance.
    """

    Settings: ClassVar[type[ConsistencySettings]] = ConsistencySettings

    def __init__(self, data: ModelData, scope: Scope, extent: Extent, settings: ConsistencySettings, seed: int) -> None:
        self.data = data
        self.scope = scope
        self.extent = extent
        self.settings = settings
        self.seed = seed
        self.log = data.model.logs.predictions
        self.asked = 0

    def ask(self, requests: int) -> OutputInconsistency:
        """Set how many logged requests are replayed; 0, as it is at first, touches no endpoint."""
        self.asked = requests
        return self

    # What there is to compare.

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Rows of the reference and the window, with ``score`` always there and impossible scores still in it."""
        import pandas as pd

        scope = self.scope
        past = Span(scope.reference_start, scope.reference_end, leave_out=scope.leave_out)
        now = Span(scope.start, scope.end)
        parts = [self.data.rows(past, limit=_REFERENCE_ROWS), self.data.rows(now, limit=_WINDOW_ROWS)]
        frame = pd.concat(parts, ignore_index=True)
        if "score" not in frame:
            frame["score"] = np.nan
        frame["score"] = frame["score"].astype(np.float64)
        return frame

    @cached_property
    def current(self) -> Flags:
        """Which of `rows` lie in the window."""
        epochs = self.rows["epoch"].to_numpy(dtype=np.int64)
        return np.asarray((epochs >= self.scope.start) & (epochs < self.scope.end), dtype=np.bool_)

    @property
    def kinds(self) -> dict[str, str]:
        """The inputs of `rows` that can be used, with what they are."""
        return {f"feature_{name}": kind for name, kind in self.data.features.items() if f"feature_{name}" in self.rows}

    @property
    def probability(self) -> bool:
        """Whether the score is a probability."""
        return self.data.model.task != "regression"

    @cached_property
    def columns(self) -> list[str]:
        """Where to look for a place: the version, then where requests were served, then the other segments."""
        segments = [name for name in self.rows.columns if name.startswith("segment_") and name != "segment_version"]
        order = {f"segment_{name}": i for i, name in enumerate(_SERVED_AT)}
        segments.sort(key=lambda name: (order.get(name, len(order)), name))
        return (["version"] if "version" in self.rows else []) + segments

    @cached_property
    def places(self) -> dict[str, Flags]:
        """By place, which of `rows` lie in it; everywhere is the last."""
        return places(self.rows, self.columns, self.current)

    @property
    def host(self) -> str:
        """The column that names the replica; "" if none is logged."""
        return next((f"segment_{n}" for n in _SERVED_AT[1:7] if f"segment_{n}" in self.rows), "")

    @property
    def _span(self) -> tuple[int, int]:
        return self.scope.bucket, self.scope.end

    @cached_property
    def integrity(self) -> list[Signal]:
        """Can the numbers below be trusted: enough rows, fresh, and something to compare."""
        now, past = int(self.current.sum()), int((~self.current).sum())
        held = self.rows["epoch"].to_numpy(dtype=np.int64)[self.current]
        hours = max((self.scope.end - self.scope.start) // 3600, 1)
        covered = len(np.unique((held - self.scope.start) * hours // max(self.scope.end - self.scope.start, 1)))
        scored = int(np.isfinite(self.rows["score"].to_numpy(dtype=np.float64)[self.current]).sum())
        return [
            Signal("rows_current", float(now), "count", now, "rows in the window"),
            Signal("rows_reference", float(past), "count", past, "rows of the reference that were fetched"),
            Signal("scored_rows", float(scored), "count", now, "rows in the window with a finite score"),
            share("coverage", covered, hours, method="hours of the window, or as many parts of it, that hold rows"),
            self._data_age,
            share("future_share", self.extent.future, self.extent.rows, method="rows stamped after the clock"),
            self._ways,
        ]

    @property
    def _data_age(self) -> Signal:
        last = self.extent.last or self.scope.now
        held = self.rows["epoch"].to_numpy(dtype=np.int64)[self.current]
        if last <= self.scope.now:
            age, method = (self.scope.now - last).total_seconds() / 60, "clock minus newest row"
        else:
            newest = float(held.max()) if len(held) else float(self.scope.start)
            age, method = (self.scope.end - newest) / 60, "end of the window minus newest row in it"
        return Signal("data_age", max(age, 0.0), "minutes", self.extent.rows, method)

    @property
    def _ways(self) -> Signal:
        """How many ways of comparing answers had enough to go by."""
        pairs = int(self.current[self.pairs.second].sum()) if self.pairs is not None else 0
        joined = int((self.skew.joined & self.current).sum()) if self.skew is not None else 0
        ways = {
            "repeats": pairs >= self.settings.enough_pairs,
            "recomputed inputs": joined >= self.settings.enough_joined,
            "expected scores": self.usable is not None,
            "replay": self.replayed.compared > 0,
        }
        names = ", ".join(name for name, there in ways.items() if there) or "none"
        return Signal("comparisons", float(sum(ways.values())), "count", int(self.current.sum()), f"usable: {names}")

    @cached_property
    def not_measured(self) -> list[NotMeasured]:
        """What could not be compared, and what that would have taken."""
        columns, logs = self.log.columns, self.data.model.logs
        absent = [
            (columns.prediction_proba is None, "scores", "no column mapped (columns.prediction_proba)"),
            (columns.prediction is None, "decisions", "no column mapped (columns.prediction)"),
            (columns.model_version is None, "versions", "no column mapped (columns.model_version)"),
            (not self.host, "replicas", "no segment names a host (logs.predictions.segments)"),
            (not self.kinds, "repeats and expected scores", "no features mapped (logs.predictions.features)"),
            (logs.recomputed is None, "training–serving skew", "no table mapped (logs.recomputed)"),
            (columns.target is None, "calibration", "no labels mapped (columns.target)"),
            (logs.changes is None, "changes", "no table mapped (logs.changes)"),
            (not self.data.model.monotone, "monotonicity", "none declared (monotone)"),
            (not self.data.model.invariant, "invariance", "none declared (invariant)"),
        ]
        found = [NotMeasured(what, why) for missing, what, why in absent if missing]
        found += [NotMeasured(f"feature {name}", why) for name, why in self.data.broken_features.items()]
        if self.kinds and self.fitted is not None and self.usable is None:
            found.append(
                NotMeasured("expected scores", f"inputs explain only {self.fitted[0].explained:.0%} of the score")
            )
        return [*found, *self.replayed.not_measured]

    @property
    def query(self) -> str:
        """What was read, in words."""
        names = ", ".join(str(name) for name in self.rows.columns)
        spans = describe(self.scope)
        return (
            f"-- {names}\n-- of the prediction log, {spans['reference']} (at most {_REFERENCE_ROWS:,} rows)\n"
            f"-- and {spans['window']} (at most {_WINDOW_ROWS:,} rows), thinned by hash"
        )

    # The checks.

    @cached_property
    def _outputs(self) -> tuple[list[Signal], Flags]:
        scores = self.rows["score"].to_numpy(dtype=np.float64)
        if self.log.columns.prediction_proba is None:
            return [], np.zeros(len(scores), dtype=np.bool_)
        return invalid_scores(scores, self.current, probability=self.probability)

    @cached_property
    def _invalid(self) -> Signal:
        """Scores that are missing and scores that cannot be, together: few of each may be certain as one."""
        wrong, now, past = self._outputs[1], self.current, ~self.current
        usual = (int(wrong[past].sum()), int(past.sum()))
        told = "scores that are missing or cannot be"
        return excess_share("score_invalid", int(wrong[now].sum()), int(now.sum()), usual, method=told)

    @property
    def outputs(self) -> list[Signal]:
        """Whether scores are possible, and decisions follow from them."""
        both = [self._invalid] if self._outputs[0] else []
        return [*self._outputs[0], *both, self._decisions[0]]

    @cached_property
    def clean(self) -> pd.DataFrame:
        """`rows` with impossible scores taken out (NaN)."""
        return self.rows.assign(score=self.rows["score"].where(~self._outputs[1]))

    @property
    def scores(self) -> Floats:
        """Possible scores of window and reference."""
        return np.asarray(self.clean["score"].to_numpy(dtype=np.float64))

    @cached_property
    def _positive(self) -> tuple[Flags, Flags]:
        """Whether the decision was the positive one, and whether it can be read."""
        rule = self.data.model.decision
        if "prediction" not in self.rows:
            nothing = np.zeros(len(self.rows), dtype=np.bool_)
            return nothing, nothing
        said = self.rows["prediction"].astype(object)
        texts = said.where(said.notna(), "").astype(str).to_numpy(dtype=object)
        yes = rule.positive if rule else self.data.model.positive_label
        no = {rule.negative} if rule else set(texts) - {yes, ""}
        decided = np.asarray([text == yes or text in no for text in texts], dtype=np.bool_)
        return np.asarray(texts == yes, dtype=np.bool_), decided & bool(len(no) == 1 or rule)

    @cached_property
    def _decisions(self) -> tuple[Signal, Flags, Cut | None]:
        rule = self.data.model.decision
        threshold = rule.threshold if rule else None
        positive, decided = self._positive
        return decision_gap(self.scores, positive, decided, self.current, threshold)

    @cached_property
    def cuts(self) -> list[Cut]:
        """The threshold that decisions of the window show, by version and host."""
        positive, decided = self._positive
        found: list[Cut] = []
        for column in [name for name in ("version", self.host) if name and name in self.rows]:
            labels = self.rows[column].astype(object).to_numpy()
            found += cuts_by(self.scores, positive, decided & self.current, labels, column.removeprefix("segment_"))
        return found

    @cached_property
    def material(self) -> float:
        """How far two scores may be apart without it mattering, in the score's unit."""
        past = self.scores[~self.current & np.isfinite(self.scores)]
        return self.settings.material * float(past.std()) if len(past) else 0.0

    @cached_property
    def pairs(self) -> Pairs | None:
        """Requests with equal inputs; None if no inputs are logged."""
        if not self.kinds:
            return None
        tolerance = self.data.model.tolerance
        found = pair_repeats(
            self.clean,
            list(self.kinds),
            relative=tolerance.relative,
            absolute=tolerance.absolute,
            material=self.material,
        )
        gone = self._outputs[1]
        return found.where(~gone[found.first] & ~gone[found.second])

    @cached_property
    def repeats(self) -> list[Signal]:
        """How often the same request was answered differently."""
        if self.pairs is None:
            return []
        found = repeat_signals(self.clean, self.pairs, self.current, host=self.host)
        keys = fingerprints(self.rows, list(self.kinds))
        return [*found, repeated_scores(self.clean, keys, self.current)[0]]

    @cached_property
    def skew(self) -> Skew | None:
        """Served against recomputed inputs; None if none are recomputed."""
        table = self.data.table("recomputed")
        if table is None or "request_id" not in self.rows:
            return None
        tolerance = self.data.model.tolerance
        kinds = {name.removeprefix("feature_"): kind for name, kind in self.kinds.items()}
        return measure_skew(
            self.rows, table, kinds, self.current, relative=tolerance.relative, absolute=tolerance.absolute
        )

    @cached_property
    def _skew_rows(self) -> Signal:
        skew = self.skew
        if skew is None:
            return Signal(
                "skew_requests", None, "share", 0, "served against recomputed", reason="nothing was recomputed"
            )
        now, past = skew.joined & self.current, skew.joined & ~self.current
        usual = (int(skew.wrong[past].sum()), int(past.sum()))
        method = "requests of which an input differs from the recomputed one"
        return excess_share("skew_requests", int(skew.wrong[now].sum()), int(now.sum()), usual, method=method)

    @cached_property
    def fitted(self) -> tuple[ScoreModel, NDArray[np.int64]] | None:
        """What scores should be, and the reference rows it was not fitted to (places in `rows`)."""
        past = np.flatnonzero(~self.current)
        found = fit_score_model(self.clean.iloc[past], self.kinds, odds=self.probability)
        return None if found is None else (found[0], past[found[1]])

    @cached_property
    def usable(self) -> ScoreModel | None:
        """`fitted`, where inputs explain enough of the score and the window holds enough rows."""
        enough = int((self.current & np.isfinite(self.scores)).sum()) >= self.settings.enough_rows
        if self.fitted is None or not enough or self.fitted[0].explained < self.settings.explains_min:
            return None
        return self.fitted[0]

    @cached_property
    def residuals(self) -> Floats:
        """Score minus expected score of each of `rows`, on the link scale; NaN where nothing can be expected."""
        if self.usable is None:
            return np.full(len(self.rows), np.nan)
        known = supported(self.clean, self.kinds, ~self.current)
        return np.where(known, self.usable.residuals(self.clean), np.nan)

    @cached_property
    def departures(self) -> list[Departure]:
        """Places and inputs in which scores depart from what is expected, strongest first."""
        if self.usable is None or self.fitted is None:
            return []
        held, now = self.fitted[1], np.flatnonzero(self.current)
        both = (self.residuals[now], self.residuals[held])
        return departures(self.usable, self.clean.iloc[now], self.clean.iloc[held], self.columns, residuals=both)

    @cached_property
    def departure(self) -> Signal:
        """The largest departure."""
        return departure_signal(self.departures, self.usable)

    @cached_property
    def _unexplained(self) -> tuple[Signal, Flags]:
        """How many scores lie beyond what inputs ever led to in the reference."""
        name, method = (
            "score_unexplained",
            "scores further from the expected one than all but 1 in 2,000 used to be, by half",
        )
        nothing = np.zeros(len(self.rows), dtype=np.bool_)
        if self.fitted is None or self.usable is None:
            return Signal(name, None, "share", 0, method, reason="what scores should be is not known"), nothing
        held, left = self.fitted[1], np.abs(self.residuals)
        past = ~self.current & np.isfinite(left)
        # what is certain and small is no fault: a tenth of the usual spread of scores at least
        limit = max(1.5 * float(np.quantile(left[past], 0.9995)), _FAR * self.usable.scale)
        wrong = np.asarray(np.nan_to_num(left, nan=0.0) > limit, dtype=np.bool_)
        known = np.isfinite(left)
        now, usual = known & self.current, (int(wrong[held].sum()), int(known[held].sum()))
        return excess_share(name, int(wrong[now].sum()), int(now.sum()), usual, method=method), wrong

    @property
    def unexplained(self) -> Signal:
        """The share of scores far from what their inputs lead to."""
        return self._unexplained[0]

    @cached_property
    def flips(self) -> list[Signal]:
        """Decisions that differ from what the expected score leads to, in excess of the reference."""
        positive, decided = self._positive
        cut = self._decisions[2]
        rule = self.data.model.decision
        limit = rule.threshold if rule else cut.value if cut else None
        name, method = "expected_flips", "decisions that the expected score would not have led to"
        if self.usable is None or self.fitted is None or limit is None or not (decided & self.current).any():
            return [Signal(name, None, "share", 0, method, reason="needs decisions and what scores should be")]
        expected = self.usable.predict(self.clean) >= float(to_link(np.array([limit]), odds=self.probability)[0])
        wrong = (expected != positive) & decided
        now, held = self.current & decided, self.fitted[1][decided[self.fitted[1]]]
        usual = (int(wrong[held].sum()), len(held))
        return [excess_share(name, int(wrong[now].sum()), int(now.sum()), usual, method=method)]

    @cached_property
    def calibration(self) -> list[Signal]:
        """Whether scores mean what they say, by version and host, where labels are known."""
        return calibration_signals(self)

    @cached_property
    def declared(self) -> list[Signal]:
        """Whether the score moves, or does not move, as the model file declares."""
        return declared_signals(self)

    @cached_property
    def replayed(self) -> Replay:
        """What the current and the known-good model answer to logged requests."""
        return run_replay(self)

    # What it comes to.

    @cached_property
    def channels(self) -> list[Channel]:
        """The checks that found something, the most specific first."""
        found: list[Channel] = []
        rows, current, span = self.clean, self.current, self._span
        for name, signal, wrong in self._marks:
            if signal.interval is not None and signal.interval[0] >= self.settings.share_min:
                found.append(locate(name, signal, wrong, rows, self.places, current, span))
        if self._departs:
            found.append(self._departure_channel)
        repeats = next((s for s in self.repeats if s.name == "repeat_material"), None)
        if (
            repeats is not None
            and self.pairs is not None
            and repeats.interval is not None
            and repeats.interval[0] >= self.settings.share_min
        ):
            found.append(self._repeats_channel(repeats, self.pairs))
        return found

    @property
    def _marks(self) -> list[tuple[str, Signal, Flags]]:
        signals, invalid = self._outputs
        marks: list[tuple[str, Signal, Flags]] = []
        if signals:
            marks.append(("outputs", self._invalid, invalid))
        marks.append(("decisions", self._decisions[0], self._decisions[1]))
        if self.skew is not None:
            marks.append(("skew", self._skew_rows, self.skew.wrong))
        marks.append(("unexplained", *self._unexplained))
        return marks

    @property
    def _departs(self) -> bool:
        low = self.departure.interval[0] if self.departure.interval else 0.0
        return low >= self.settings.departure_min

    @property
    def _departure_channel(self) -> Channel:
        best, stretch = self._strongest(self.settings.departure_min)
        return Channel("departure", self.departure, best.where, stretch, (), self._unexplained[1])

    def _strongest(self, least: float) -> tuple[Departure, Stretch | None]:
        """Of each place take the strongest departure, and of these the one whose stretch explains most."""
        model = self.usable
        assert model is not None  # noqa: S101 - there are departures, so there is a model
        strongest: dict[str, Departure] = {}
        for one in self.departures:
            if one.low >= least:
                strongest.setdefault(one.where, one)
        best, stretch = self.departures[0], None
        for one in list(strongest.values())[:_MOST_PLACES]:
            inside = member(self.clean, one.where)
            rows, left = self.clean[inside], self.residuals[inside]
            found = departure_stretch(one, model, rows, left, self.scope.bucket, end=self.scope.end)
            if found is not None and (stretch is None or found.strength > stretch.strength):
                best, stretch = one, found
        return best, stretch

    def _repeats_channel(self, signal: Signal, pairs: Pairs) -> Channel:
        """Repeats are few: where they alone tell, expected scores may still know the place better."""
        channel = locate_pairs(signal, pairs, self.clean, self.places, self.current, self._span)
        if not self.departures:
            return channel
        best, stretch = self._strongest(0.0)
        if stretch is None or stretch.strength < max(_CLEAR, channel.stretch.strength if channel.stretch else 0.0):
            return channel
        return replace(channel, where=best.where, stretch=stretch)

    @property
    def found(self) -> bool:
        """Whether any check found something to explain."""
        return bool(self.channels) or self.replayed.differs

    @property
    def lead(self) -> Channel | None:
        """The check whose place and onset are told: the most specific one that found something."""
        if not self.channels:
            return None
        return self.channels[0]

    @property
    def segments(self) -> list[SegmentShare]:
        """Places that hold more than their share of wrong answers, best first."""
        ranked = next((list(channel.segments) for channel in self.channels if channel.segments), [])
        return ranked[:12]

    @property
    def stretch(self) -> tuple[int, int]:
        """The span in which answers are wrong, or the whole window."""
        found = self.lead.stretch if self.lead is not None else None
        return (found.onset, found.ended or self.scope.end) if found else (self.scope.start, self.scope.end)

    @cached_property
    def encodings(self) -> list[Encoding]:
        """Changes of an input that would explain the scores of the place and stretch, best first."""
        if self.usable is None or not self.channels or self.lead is None:
            return []
        where = self.lead.where
        epochs = self.rows["epoch"].to_numpy(dtype=np.int64)
        inside = member(self.rows, where) & (epochs >= self.stretch[0]) & (epochs < self.stretch[1])
        return explain_scores(self.usable, self.clean[inside], list(self.kinds), seed=self.seed)

    @cached_property
    def changes(self) -> pd.DataFrame | None:
        """What was changed in the hours before the onset, newest first; None if changes are not logged."""
        start, end = self.stretch
        lookback = int(self.settings.change_hours * 3600)
        frame = self.data.changes(start - lookback, min(start + 2 * self.scope.bucket, end))
        return None if frame is None else frame.sort_values("time", ascending=False, ignore_index=True)

    @property
    def course(self) -> list[Signal]:
        """How long it has lasted, whether it is over, and how many requests it touches."""
        channel = self.lead
        found = channel.stretch if channel is not None else None
        reason = "no stretch of wrong answers was found"
        method = "log likelihood ratio of buckets, largest run"
        if found is None:
            flags = [
                Signal("duration", None, "minutes", 0, method, reason=reason),
                Signal("recovered", None, "flag", 0, method, reason=reason),
            ]
        else:
            start, end = self.stretch
            n = int(channel.wrong.sum()) if channel is not None else 0
            flags = [
                Signal("duration", (end - start) / 60, "minutes", n, method),
                Signal("recovered", 1.0 if found.ended is not None else 0.0, "flag", n, method),
            ]
        return [*flags, self.affected]

    @property
    def affected(self) -> Signal:
        """The share of requests whose answer is wrong, by the check that leads."""
        name = "affected_share"
        if self.lead is None:
            n = int(self.current.sum())
            return (
                Signal(name, 0.0, "share", n, "no check found a wrong answer")
                if n
                else Signal(name, None, "share", 0, "share of requests", reason="the window holds no rows")
            )
        if self.lead.name == "departure":
            place = member(self.rows, self.lead.where)
            epochs = self.rows["epoch"].to_numpy(dtype=np.int64)
            hit = place & self.current & (epochs >= self.stretch[0]) & (epochs < self.stretch[1])
            best = next(one for one in self.departures if one.where == self.lead.where)
            moved = np.abs(best.shifts) > 0.5 * best.size * (self.usable.scale if self.usable else 1.0)
            hit[hit] &= moved[best.coder.codes(self.rows.loc[hit, best.feature])]
            wrong = hit | (self._unexplained[1] & self.current)
            return share(
                name, int(wrong.sum()), int(self.current.sum()), method="requests in place, time and bins that depart"
            )
        signal = self.lead.signal
        return Signal(name, signal.value, "share", signal.n, signal.method, signal.interval, reference=0.0)

    @cached_property
    def shift(self) -> Signal:
        """How far the mean score moved, whether or not inputs explain it."""
        return score_shift(self.scores, self.current)

    @cached_property
    def inputs(self) -> list[Signal]:
        """Whether served inputs themselves look broken: nulls in excess of the reference, by input."""
        broken = len(self.data.broken_features)
        found = [Signal("broken_inputs", float(broken), "count", broken, "mapped features that cannot be used")]
        now, past = self.current, ~self.current
        for column in self.kinds:
            gone = self.rows[column].isna().to_numpy()
            usual = (int(gone[past].sum()), int(past.sum()))
            where = f"feature={column.removeprefix('feature_')}"
            found.append(
                excess_share(
                    "input_nulls", int(gone[now].sum()), int(now.sum()), usual, method="served nulls", where=where
                )
            )
        return found

    @property
    def signals(self) -> list[Signal]:
        """Everything that policy judges."""
        if not len(self.rows):
            return self.integrity
        found = [*self.integrity, *self.outputs, *self.repeats]
        if self.skew is not None:
            found += [self._skew_rows, *self.skew.signals]
        found += [self.departure, self._unexplained[0], *self.flips, *self.calibration, *self.declared]
        return [*found, *self.replayed.signals, self.shift, *self.inputs, *self.course]
