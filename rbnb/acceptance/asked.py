"""What the model file asks for, measured over fresh rows: the objective, the quality of decisions, fairness.

Rules: the objective is counted over the requests that were served; quality is that of outcomes where they are known
and an estimate where they are not yet, and says which; outcomes of an earlier day are bad news at most and never an
all-clear, so they are not used here at all.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rbnb.acceptance.fairness import gap_growth
from rbnb.data import Span
from rbnb.errors import DataError, ParameterError
from rbnb.model import Signal
from rbnb.signals.chance import Z95
from rbnb.signals.intervals import quantile_levels, share

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from rbnb.acceptance.measuring import Checks, Stretch
    from rbnb.policy.returning import Asked

__all__ = ["Objectives"]


class Objectives:
    """The numbers that a model file asks for, over one stretch of fresh rows.

    Parameters
    ----------
    checks
        Of the runbook data_drift, which knows how quality is measured.
    stretch
        The rows.
    """

    def __init__(self, checks: Checks, stretch: Stretch) -> None:
        self.checks = checks
        self.stretch = stretch

    def measured(self, asked: Iterable[Asked]) -> list[tuple[Asked, Signal]]:
        """Return each thing asked with its number; what cannot be measured says why."""
        measure = {
            "latency": self._latency,
            "availability": self._availability,
            "quality": self._quality,
            "fairness": self._fairness,
        }
        found = []
        for one in asked:
            try:
                signal = measure[one.source](one)
            except (DataError, ParameterError) as error:
                signal = _none(one, error.message)
            found.append((one, signal))
        return found

    @property
    def _span(self) -> Span:
        window = self.stretch.window
        return Span(int(window.start.timestamp()), int(window.end.timestamp()))

    def _latency(self, asked: Asked) -> Signal:
        data, method = self.stretch.data, "quantile of the requests served, interval of its rank"
        if data.model.logs.predictions.columns.latency_ms is None:
            return _none(asked, "no measured column is mapped (columns.latency_ms)")
        level, n = int(asked.name.rpartition("_p")[2]) / 100, data.count(self._span)
        needed = math.ceil(1 / (1 - level))
        if n < needed:
            return _none(asked, f"{n:,} requests have no {level:.0%} quantile to speak of, {needed:,} are needed", n)
        low, high = quantile_levels(n, level)
        value, first, last = data.quantiles(self._span, (level, low, high))
        top = math.inf if last is None or math.ceil(n * level + Z95 * math.sqrt(n * level * (1 - level))) > n else last
        interval = None if first is None or not math.isfinite(top) else (first, top)
        reason = "" if interval else "too few requests for an upper end of its interval"
        return Signal(asked.name, value, asked.unit, n, method, interval, reason=reason)

    def _availability(self, asked: Asked) -> Signal:
        data, span = self.stretch.data, self._span
        if data.model.logs.predictions.columns.status_code is None:
            return _none(asked, "no status is mapped (columns.status_code)")
        row = data.exceeding(span.end, {}, {"all": span.end - span.start}).iloc[0]
        n, errors = int(row["n"]), int(row["errors"])
        needed = math.ceil(1 / (1 - asked.limit) - 1e-9)
        if n < needed:
            return _none(asked, f"{n:,} requests cannot show {asked.limit:.4%}, {needed:,} are needed", n)
        return share(asked.name, n - errors, n, method="requests answered below status 500, Wilson interval")

    @cached_property
    def _drift(self) -> Any:  # noqa: ANN401 - the measurements of data_drift
        return self.checks.diagnosis(self.stretch)

    @property
    def _outcomes_known(self) -> bool:
        known = self._drift.rows.labelled
        return known is not None and not known.lag and bool(self._drift.outcome.realised)

    def _quality(self, asked: Asked) -> Signal:
        if self._drift.empty:
            return _none(asked, "the fresh windows or the reference hold no rows")
        outcome, relative = self._drift.outcome, asked.way == "worse by at most"
        if self._outcomes_known:
            named = {signal.name: signal for signal in outcome.performance}
            named |= {name: now for name, (_, now) in outcome.realised.items()}
            name = asked.name if not relative else _changed(asked.name)
        else:
            named = {signal.name: signal for signal in outcome.estimated}
            name = f"estimated_{asked.name if not relative else _changed(asked.name)}"
        found: Signal | None = named.get(name)
        if found is not None:
            return found
        return _none(asked, f"outcomes are not known yet, and {asked.name} cannot be estimated without them")

    def _fairness(self, asked: Asked) -> Signal:
        model = self.stretch.data.model
        if asked.column not in model.logs.predictions.segments:
            return _none(asked, f"{asked.column} is no segment column (logs.predictions.segments)")
        if model.task != "binary":
            return _none(asked, "only for a model that decides between two")
        drift = self._drift
        if drift.empty:
            return _none(asked, "the fresh windows or the reference hold no rows")
        if asked.name.startswith("accuracy"):
            if not self._outcomes_known:
                return _none(asked, "outcomes are not known yet")
            sides = [(frame, drift.outcome.right(frame)) for frame in (drift.rows.judged, drift.outcome.labelled)]
        else:
            frames = (drift.rows.reference.iloc[drift.rows.matched[0]], drift.rows.window)
            sides = [(frame, self._selected(frame)) for frame in frames]
        if any(hits is None for _, hits in sides):
            return _none(asked, "no decision is mapped (columns.prediction)")
        (then, now) = ((frame[f"segment_{asked.column}"].to_numpy(), hits) for frame, hits in sides)
        return gap_growth(asked.name, asked.column, then, now, fewest=asked.fewest)

    def _selected(self, frame: pd.DataFrame) -> Any:  # noqa: ANN401 - an array or None
        decided = self._drift.outcome.decision(frame)
        return None if decided is None else self._drift.outcome.positive(decided)


def _changed(name: str) -> str:
    return f"{name}_{'drop' if name in ('accuracy', 'auc') else 'rise'}"


def _none(asked: Asked, why: str, n: int = 0) -> Signal:
    return Signal(asked.name, None, asked.unit, n, "", reason=why)
