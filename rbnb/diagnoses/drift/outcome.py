"""What came out: scores, decisions, how they turned out, and how they are expected to turn out.

Rules: outcomes that are known beat every estimate; outcomes of an earlier day can bring bad news and never an
all-clear for today; an estimate is told with how far it was off in the reference, on days it was not calibrated
on; where no outcome is known at all, what a score means cannot be checked, and that is said.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.model import Signal
from rbnb.signals.chance import Z95
from rbnb.signals.drift import performance as perf
from rbnb.signals.drift.bins import labels, make_bins, numbers
from rbnb.signals.drift.calibration import (
    Calibrator,
    calibrate,
    concept_shift,
    estimated_accuracy,
    estimated_auc,
    odds_offset,
    within_outcome_shift,
)
from rbnb.signals.drift.distances import stability_index
from rbnb.signals.drift.effects import between_chunks, mean_shift, share_shift

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.diagnoses.drift.features import Features
    from rbnb.diagnoses.drift.rows import Compared
    from rbnb.inventory import ModelFile

    Floats = NDArray[np.float64]

__all__ = ["Outcome"]

#: Names of the numbers, and whether a larger one is better.
_MEASURES = ("auc", "accuracy", "brier", "log_loss", "mean_error")


class Outcome:
    """Scores, decisions and outcomes of one run.

    Parameters
    ----------
    rows
        The rows that are compared.
    features
        The inputs, for how much days differ.
    model
        The model file: task, decision, positive label.
    """

    def __init__(self, rows: Compared, features: Features, model: ModelFile) -> None:
        self.rows = rows
        self.features = features
        self.model = model

    @property
    def number(self) -> bool:
        """Whether the model predicts a number rather than a class."""
        return self.model.task in ("regression", "series")

    def score(self, frame: pd.DataFrame) -> Floats | None:
        """Return the scores, or the predicted numbers; None where neither is logged."""
        if "score" in frame:
            return numbers(frame["score"]).column
        if self.number and "prediction" in frame:
            return numbers(frame["prediction"]).column
        return None

    def decision(self, frame: pd.DataFrame) -> NDArray[np.object_] | None:
        """Return the decisions as text; from the score and the threshold where they are not logged."""
        if self.number:
            return None
        if "prediction" in frame:
            return labels(frame["prediction"])
        score, threshold = self.score(frame), self._threshold
        if score is None or threshold is None:
            return None
        decided = np.where(score >= threshold, self._positive[0], self._negative).astype(object)
        decided[~np.isfinite(score)] = None
        return np.asarray(decided, dtype=object)

    @property
    def _threshold(self) -> float | None:
        return self.model.decision.threshold if self.model.decision else None

    @property
    def _positive(self) -> tuple[str, ...]:
        """The texts that mean positive: the model file's own first."""
        own = [self.model.decision.positive] if self.model.decision else []
        return tuple(dict.fromkeys([*own, str(self.model.positive_label), "1", "True", "true"]))

    @property
    def _negative(self) -> str:
        return self.model.decision.negative if self.model.decision else "0"

    def positive(self, values: Any) -> Floats:  # noqa: ANN401 - decisions or outcomes
        """Return 1 for the positive class, 0 for others, NaN for nothing."""
        import pandas as pd

        codes, kinds = pd.factorize(labels(values), use_na_sentinel=True)
        known = np.array([*(float(str(kind) in self._positive) for kind in kinds), np.nan])
        return np.asarray(known[codes], dtype=np.float64)

    def target(self, frame: pd.DataFrame) -> Floats:
        """Return outcomes as numbers: 1 and 0 for classes, the value itself for a predicted number."""
        return numbers(frame["target"]).column if self.number else self.positive(frame["target"])

    # what came out

    @cached_property
    def scores(self) -> tuple[Floats, Floats, Floats] | None:
        """Scores at the same hours of the reference, in the window, and in the whole reference."""
        whole, now = self.score(self.rows.reference), self.score(self.rows.window)
        return None if whole is None or now is None else (whole[self.rows.matched[0]], now, whole)

    def _spread(self, values: Floats) -> tuple[float, float]:
        """Return how much the mean differs between days of a kind beyond chance."""
        means: list[float] = []
        errors: list[float] = []
        for kind in sorted({chunk.kind for chunk in self.rows.chunks}):
            days = [values[chunk.rows] for chunk in self.rows.chunks if chunk.kind == kind]
            days = [day for day in (day[np.isfinite(day)] for day in days) if len(day) >= 20]
            if len(days) < 2:
                continue
            each = np.array([day.mean() for day in days])
            # two days lie closer to their own mean than to what is usual
            means += list((each - each.mean()) * math.sqrt(len(days) / (len(days) - 1)))
            errors += [float(day.std()) / math.sqrt(len(day)) for day in days]
        return between_chunks(np.array(means), np.array(errors))

    @property
    def _stretches(self) -> tuple[float, float]:
        return self.rows.days, self.rows.matched_days

    @cached_property
    def prediction(self) -> list[Signal]:
        """How far scores and decisions have moved."""
        return [*self._score_signals(), *self._decision_signals()]

    def _score_signals(self) -> list[Signal]:
        if self.scores is None:
            reason = "no score is mapped (columns.prediction_proba)"
            return [Signal(name, None, "sd", 0, "scores", reason=reason) for name in ("score_shift", "score_shift_abs")]
        before, now, whole = self.scores
        shift = mean_shift(before, now, spread=self._spread(whole), stretches=self._stretches)
        bins = make_bins(before)
        inflation = self.features.inflation(bins.place(whole), len(bins.names))
        drift = stability_index(before, now, bins=bins, inflation=inflation, name="score_drift")
        season = mean_shift(whole, now, name="score_shift_any_hour")
        return [shift, sized(shift, "score_shift_abs"), sized(shift, "score_shift_far"), drift, season]

    def _decision_signals(self) -> list[Signal]:
        before, now = self.decision(self.rows.reference), self.decision(self.rows.window)
        if before is None or now is None:
            reason = (
                "a predicted number is no decision" if self.number else "no decision is mapped (columns.prediction)"
            )
            return [Signal("decision_shift", None, "share", 0, "decisions", reason=reason)]
        kinds = [kind for kind in np.unique(before[[v is not None for v in before]].astype(str)) if kind]
        if self.model.task == "binary":
            kinds = [kind for kind in kinds if kind in self._positive] or kinds[:1]
        found = [self._one_decision(kind, before, now) for kind in kinds[:20]]
        if not found:
            return [Signal("decision_shift", None, "share", 0, "decisions", reason="the reference holds no decision")]
        most = max(found, key=lambda s: min(map(abs, s.interval)) if s.interval and s.value else 0.0)
        return [most, replace(most, name="decision_shift_far")]

    def _one_decision(self, kind: str, before: NDArray[np.object_], now: NDArray[np.object_]) -> Signal:
        sides = [np.where([v is None for v in side], np.nan, (side == kind).astype(float)) for side in (before, now)]
        spread = self._spread(sides[0])
        matched = sides[0][self.rows.matched[0]]
        found = share_shift(matched, sides[1], spread=spread, stretches=self._stretches)
        return sized(found, "decision_shift", f"{kind}: {found.reason}")

    # how it turned out

    @cached_property
    def coverage(self) -> Signal:
        """Which part of the window's outcomes is known, of what usually is."""
        known, method = self.rows.labelled, "outcomes known in the window, over the share known in the reference"
        if known is None:
            return Signal(
                "label_coverage", 0.0, "share", len(self.rows.window), method, reason="no outcomes are logged"
            )
        part = known.coverage if not known.lag else self._in_window
        return Signal("label_coverage", min(part, 1.0), "share", len(self.rows.window), method)

    @property
    def _in_window(self) -> float:
        then = float(self.rows.judged["target"].notna().mean()) if len(self.rows.judged) else 0.0
        return float(self.rows.window["target"].notna().mean()) / then if then and len(self.rows.window) else 0.0

    @cached_property
    def labelled(self) -> pd.DataFrame | None:
        """The rows with known outcomes that are judged, or None if too few of the outcomes are known."""
        known = self.rows.labelled
        if known is None or known.coverage < 0.8 or not len(self.rows.judged):
            return None
        return known.frame[known.frame["target"].notna()]

    def measure(self, frame: pd.DataFrame) -> dict[str, Signal]:
        """Return every performance number that the task has, of some rows."""
        score, target = self.score(frame), self.target(frame)
        if self.number:
            return {"mean_error": perf.mean_error(score, target)} if score is not None else {}
        found = {}
        decided = self.decision(frame)
        if decided is not None:
            found["accuracy"] = self._accuracy(decided, frame["target"])
        if score is not None and self.model.task == "binary":
            found |= {"auc": perf.auc(score, target), "brier": perf.brier(score, target)}
            found["log_loss"] = perf.log_loss(score, target)
        return found

    def _accuracy(self, decided: Any, target: Any) -> Signal:  # noqa: ANN401 - any columns
        if self.model.task == "binary":
            return perf.accuracy(self.positive(decided), self.positive(target))
        return perf.accuracy(decided, target)

    def right(self, frame: pd.DataFrame) -> Floats | None:
        """Return 1 for each decision that turned out right, 0 for wrong, NaN for unknown; None without decisions."""
        decided = self.decision(frame)
        if decided is None or "target" not in frame:
            return None
        if self.model.task == "binary":
            said, was = self.positive(decided), self.positive(frame["target"])
            return np.where(np.isfinite(said) & np.isfinite(was), (said == was).astype(float), np.nan)
        target = labels(frame["target"])
        known = np.array([a is not None and b is not None for a, b in zip(decided, target, strict=True)], dtype=bool)
        return np.where(known, (decided == target).astype(float), np.nan)

    @cached_property
    def realised(self) -> dict[str, tuple[Signal, Signal]]:
        """Each performance number in the reference and now; empty where outcomes are not known."""
        if self.labelled is None:
            return {}
        then, now = self.measure(self.rows.judged), self.measure(self.labelled)
        return {name: (then[name], now[name]) for name in _MEASURES if name in then and name in now}

    @cached_property
    def daily(self) -> list[dict[str, Signal]]:
        """Each performance number on each day of the labelled reference."""
        return [self.measure(day) for day in self.rows.judged_days()]

    def day_spread(self, name: str) -> tuple[float, float]:
        """Return how much a performance number differs between days beyond chance."""
        days = [day[name] for day in self.daily if name in day and day[name].interval]
        values = np.array([day.value for day in days], dtype=np.float64)
        errors = np.array([(day.interval[1] - day.interval[0]) / (2 * Z95) for day in days if day.interval])
        return between_chunks(values, errors)

    @cached_property
    def performance(self) -> list[Signal]:
        """By how much each performance number has got worse."""
        if not self.realised:
            known = self.rows.labelled
            reason = "no outcome is logged (columns.target)" if known is None else (
                f"only {known.coverage:.0%} of the outcomes that usually come are known yet")  # fmt: skip
            names = ("mean_error_rise",) if self.number else ("auc_drop", "accuracy_drop", "brier_rise")
            return [Signal(name, None, "share", 0, "outcomes against predictions", reason=reason) for name in names]
        days = (self.rows.days, float(max(len(self.daily), 1)))
        found = []
        for name, (then, now) in self.realised.items():
            spread = self.day_spread(name)
            if name in ("auc", "accuracy"):
                relative = name == "accuracy"
                found.append(
                    perf.drop(then, now, name=f"{name}_drop", spread=spread, stretches=days, relative=relative)
                )
            else:
                found.append(perf.rise(then, now, name=f"{name}_rise", spread=spread, stretches=days))
        return found

    # what a score means

    @cached_property
    def calibrator(self) -> Calibrator | None:
        """From a score to a chance, as the labelled reference has it; None where there is none."""
        score = self.score(self.rows.judged) if self.model.task == "binary" and len(self.rows.judged) else None
        return None if score is None else calibrate(score, self.target(self.rows.judged))

    @cached_property
    def meaning(self) -> list[Signal]:
        """Whether outcomes come as often as before, at equal score, and with equal scores at equal outcome."""
        if self.labelled is None or self.calibrator is None:
            return []
        then, now = self.rows.judged, self.labelled
        (p, y), (q, z) = ((self.calibrator(self.score(side)), self.target(side)) for side in (then, now))
        days = (self.rows.days, float(max(len(self.daily), 1)))
        rates = np.array([self.target(day).mean() for day in self.rows.judged_days()])
        errors = np.array(
            [math.sqrt(max(r * (1 - r), 1e-9) / len(d)) for r, d in zip(rates, self.rows.judged_days(), strict=True)]
        )
        base = share_shift(y, z, spread=between_chunks(rates, errors), stretches=days, name="base_rate_shift")
        concept = concept_shift((p, y), (q, z))
        known = np.isfinite(z) & np.isfinite(q)
        offset = odds_offset(q[known], float(z[known].mean())) if known.any() and 0 < z[known].mean() < 1 else q[known]
        beyond = concept_shift((p, y), (offset, z[known]), name="concept_beyond_rate")
        scores = (self.score(then), self.score(now))
        return [base, concept, beyond, within_outcome_shift((scores[0], y), (scores[1], z))]

    # how it is expected to turn out

    @cached_property
    def _off(self) -> dict[str, Floats]:
        """How far estimates were off on single days of the reference, calibrated on the other days."""
        days = self.rows.judged_days()
        off: dict[str, list[tuple[float, float]]] = {"auc": [], "accuracy": []}
        for half in (0, 1):
            learn = [day for i, day in enumerate(days) if i % 2 != half]
            if not learn:
                continue
            score = np.concatenate([self.score(day) for day in learn])
            learned = calibrate(score, np.concatenate([self.target(day) for day in learn]))
            for i, day in enumerate(days):
                if learned is None or i % 2 != half:
                    continue
                told, was = self._estimates(day, learned), self.daily[i]
                for name, values in off.items():
                    a, b = (part[name].value if name in part else None for part in (told, was))
                    if a is not None and b is not None:
                        values.append((a - b, _error(was[name])))
        return {name: np.array(values).reshape(-1, 2) for name, values in off.items()}

    def _estimates(
        self, frame: pd.DataFrame, learned: Calibrator, doubt: dict[str, float] | None = None
    ) -> dict[str, Signal]:
        score = self.score(frame)
        if score is None:
            return {}
        chances, given = learned(score), doubt or {}
        found = {"auc": estimated_auc(score, chances, doubt=given.get("auc", 0.0))}
        decided = self.decision(frame)
        if decided is not None:
            found["accuracy"] = estimated_accuracy(chances, self.positive(decided), doubt=given.get("accuracy", 0.0))
        return found

    @cached_property
    def estimated(self) -> list[Signal]:
        """Performance as it is expected without outcomes, and how far such estimates were off before."""
        names = ("estimated_auc_drop", "estimated_accuracy_drop")
        if self.calibrator is None:
            reason = "needs scores with known outcomes in the reference" if self.model.task == "binary" else (
                "only for a score that is the chance of one of two outcomes")  # fmt: skip
            return [Signal(name, None, "share", 0, "confidence-based", reason=reason) for name in names]
        doubt = {name: _doubt(off, self.rows.days) for name, off in self._off.items()}
        now, then = self._estimates(self.rows.window, self.calibrator, doubt), self.measure(self.rows.judged)
        found = [*now.values()]
        for name, estimate in now.items():
            if name in then:
                relative = name == "accuracy"
                found.append(perf.drop(then[name], estimate, name=f"estimated_{name}_drop", relative=relative))
        off = self._off["auc" if len(self._off["auc"]) else "accuracy"]
        value = float(np.abs(off[:, 0]).mean()) if len(off) else None
        method = "mean distance of estimate and truth on days of the reference, calibrated on the other days"
        reason = "" if len(off) else "the labelled reference holds too few days"
        return [*found, Signal("estimate_error", value, "share", len(off), method, reason=reason)]

    # loss, row by row, for segments and the onset

    def loss(self, frame: pd.DataFrame) -> Floats | None:
        """Return what each row with a known outcome costs: squared or absolute error, or a wrong decision."""
        score, decided = self.score(frame), self.decision(frame)
        target = self.target(frame) if "target" in frame else None
        if target is None:
            return None
        if self.number:
            return None if score is None else np.abs(score - target)
        if score is not None and self.model.task == "binary":
            return np.asarray((score - target) ** 2, dtype=np.float64)
        if decided is None:
            return None
        return np.asarray(decided != labels(frame["target"]), dtype=np.float64)


def _doubt(off: Floats, days: float) -> float:
    """Return the standard error of an estimate from how far it was off on single days: always, and by the day."""
    if len(off) < 3:
        return 0.0
    scatter = max(float(off[:, 0].var(ddof=1) - (off[:, 1] ** 2).mean()), 0.0)
    return math.sqrt(float(off[:, 0].mean()) ** 2 + scatter / days)


def _error(signal: Signal) -> float:
    return (signal.interval[1] - signal.interval[0]) / (2 * Z95) if signal.interval else 0.0


def sized(signal: Signal, name: str, reason: str = "") -> Signal:
    """Return a signed change once more as its size, to be held against a limit whichever way it went."""
    if signal.value is None or signal.interval is None:
        return Signal(name, None, signal.unit, signal.n, signal.method, where=signal.where, reason=signal.reason)
    low, high = signal.interval
    least = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    most = max(abs(low), abs(high))
    way = "up" if signal.value > 0 else "down" if signal.value < 0 else ""
    told = "; ".join(filter(None, (reason or signal.reason, way)))
    return Signal(name, abs(signal.value), signal.unit, signal.n, signal.method, (least, most), signal.where, 0.0, told)
