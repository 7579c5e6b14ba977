"""When an incident counts as over: what a model file asks for, and whether a measured number meets it.

The one place that knows, for the notebook that announces the criteria and for `rbnb accept` that measures them.
Rules:

- **Doubt counts against returning to service.** A threshold that pages is held against the careful end of an
  interval; a limit that lets a model back is held against the other end. Only the objective (latency, availability)
  is held against the number itself, because it is about the requests that were served and not about others.
- **What was not measured is not met**, whatever a policy lets an undefined number count as.
- A check that fired has to be ok again by the policy that judged it; where its value still reaches the limit and only
  its interval does not, or the interval still holds the value at which it fired, that is too little to say so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rbnb.policy.texts import show

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rbnb.inventory import ModelFile, QualityLimit
    from rbnb.model import Finding, Signal

__all__ = ["Asked", "Outcome", "asked_of", "held", "held_again", "worst"]

Outcome = Literal["met", "not met", "undefined"]
Source = Literal["check", "quality", "latency", "availability", "fairness", "data"]
Way = Literal["at least", "at most", "worse by at most"]

#: How much worse quality may be where the model file says nothing: what data_drift calls a breach.
_WORSE_BY = {"accuracy": 0.05, "mean_error": 0.2}
#: So many times too wide, an interval takes more rows than anybody waits for.
_HOPELESS = 30.0
_ORDER: tuple[Outcome, ...] = ("met", "undefined", "not met")


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing a model file asks for before its model returns to service.

    Parameters
    ----------
    source, name
        What kind it is, and what is measured: ``accuracy``, ``latency_p99``, ``selection by region``.
    way, limit
        Which side of which number it has to be on; to be on the limit is enough.
    unit
        As of a signal.
    column, fewest
        For fairness: the segment column, and how many rows a group has to have.
    """

    source: Source
    name: str
    way: Way
    limit: float
    unit: str
    column: str = ""
    fewest: int = 0

    @property
    def text(self) -> str:
        """The limit in words."""
        if self.way != "worse by at most":
            return f"{self.way} {show(self.limit, self.unit)}"
        than = "further apart than in the reference" if self.source == "fairness" else "worse than in the reference"
        return f"at most {show(self.limit, self.unit)} {than}"


def asked_of(model: ModelFile) -> list[Asked]:
    """Return what a model file asks for: objective, quality, fairness; what it cannot be asked is left out.

    Examples
    --------
    >>> from rbnb.inventory import ModelFile
    >>> log = {"table": "log.parquet", "columns": {"timestamp": "ts", "latency_ms": "ms"}}
    >>> file = {"name": "m", "logs": {"predictions": log}, "slo": {"latency_ms": {"p99": 250}}}
    >>> [(one.name, one.text) for one in asked_of(ModelFile.model_validate(file))]
    [('latency_p99', 'at most 250 ms')]
    """
    return [*_objective(model), *_quality(model), *_fairness(model)]


def _objective(model: ModelFile) -> list[Asked]:
    wanted, log = model.acceptance, model.logs.predictions
    limits = wanted.latency or model.slo.latency_ms
    found = [Asked("latency", f"latency_{name}", "at most", limit, log.unit) for name, limit in limits.items()]
    share = wanted.availability or model.slo.availability
    if share is not None and (wanted.availability is not None or log.columns.status_code is not None):
        found.append(Asked("availability", "availability", "at least", share, "share"))
    return found


def _quality(model: ModelFile) -> list[Asked]:
    found: list[Asked] = []
    for name, limit in model.acceptance.quality.items():
        found += _limits(name, limit)
    return found or _quality_unasked(model)


def _limits(name: str, limit: QualityLimit) -> list[Asked]:
    unit = "share" if name == "accuracy" else "auc" if name == "auc" else ""
    sides: list[tuple[Way, float | None]] = [("at least", limit.min), ("at most", limit.max)]
    found = [Asked("quality", name, way, number, unit) for way, number in sides if number is not None]
    if limit.worse_by is not None:
        of = "auc" if name == "auc" else "share"
        found.append(Asked("quality", name, "worse by at most", limit.worse_by, of))
    return found


def _quality_unasked(model: ModelFile) -> list[Asked]:
    """Return the one number that is looked at where the model file says nothing, if outcomes are logged at all."""
    columns = model.logs.predictions.columns
    if columns.target is None or model.task == "series":
        return []
    name = "mean_error" if model.task == "regression" else "accuracy"
    known = columns.prediction or columns.prediction_proba
    return [Asked("quality", name, "worse by at most", _WORSE_BY[name], "share")] if known else []


def _fairness(model: ModelFile) -> list[Asked]:
    wanted = model.acceptance.fairness
    by = wanted.by or model.governance.fairness_segments
    return [
        Asked("fairness", f"{measure} by {column}", "worse by at most", wanted.worse_by, "share", column, wanted.fewest)
        for column in by
        for measure in wanted.measures
    ]


def held(asked: Asked, signal: Signal) -> tuple[Outcome, str]:
    """Return whether a measured number meets what is asked, and why not where it does not.

    Examples
    --------
    >>> from rbnb.model import Signal
    >>> asked = Asked("quality", "accuracy", "worse by at most", 0.05, "share")
    >>> held(asked, Signal("accuracy_drop", 0.01, "share", 900, "m", (-0.01, 0.03)))
    ('met', '')
    >>> held(asked, Signal("accuracy_drop", 0.01, "share", 90, "m", (-0.05, 0.07)))[0]
    'undefined'
    >>> held(asked, Signal("accuracy_drop", None, "share", 0, "m", reason="no outcome is known yet"))
    ('undefined', 'no outcome is known yet')
    """
    if not signal.defined or signal.value is None:
        return "undefined", signal.reason or "it was not measured"
    if asked.source in ("latency", "availability"):
        return _served(asked, signal, signal.value)
    return _estimated(asked, signal, signal.value)


def _ends(asked: Asked, signal: Signal, value: float) -> tuple[float, float, float, float]:
    """Return limit, value and interval so that smaller is better."""
    sign = -1.0 if asked.way == "at least" else 1.0
    low, high = sorted(sign * end for end in signal.interval) if signal.interval else (sign * value, sign * value)
    return sign * asked.limit, sign * value, low, high


def _served(asked: Asked, signal: Signal, measured: float) -> tuple[Outcome, str]:
    """Judge what was counted over the requests that were served: the number itself counts."""
    limit, value, low, _ = _ends(asked, signal, measured)
    if value <= limit:
        return "met", ""
    if low > limit or not signal.interval:
        return "not met", ""
    return "undefined", _too_few(asked, signal, "it may be chance")


def _estimated(asked: Asked, signal: Signal, measured: float) -> tuple[Outcome, str]:
    """Judge what was estimated from the rows: all of its interval has to be on the right side."""
    limit, value, _, high = _ends(asked, signal, measured)
    if value > limit:
        return "not met", signal.reason
    if high <= limit:
        return "met", ""
    if limit == value or not math.isfinite(high):
        return "undefined", _too_few(asked, signal, "it is on the limit")
    far = (high - value) / (limit - value)
    more = f"about {far**2:,.1f} times as many" if far < _HOPELESS else "very many more"
    return "undefined", _too_few(asked, signal, f"{more} rows would settle it")


def _too_few(asked: Asked, signal: Signal, told: str) -> str:
    low, high = signal.interval or (None, None)
    span = f"{show(low, asked.unit)} to {show(high, asked.unit)}"
    return f"too few rows to be sure: the 95 % interval is {span}; {told}"


def held_again(
    finding: Finding, by_value: Finding, *, before: float | None = None, may_warn: bool = False
) -> tuple[Outcome, str]:
    """Return whether a check that fired is ok again, and why not where it is not.

    Parameters
    ----------
    finding
        The signal as the policy judges it.
    by_value
        The same with its value in place of the careful end of its interval.
    before
        Its value when it fired: rows so few that their interval still holds it cannot tell that it is over.
    may_warn
        Whether a warning is enough: it is about the data and not the model, and was no more than that before.
    """
    if finding.value is None or finding.status == "undefined":
        return "undefined", finding.reason or "it was not measured"
    if finding.status == "warning" and may_warn:
        return "met", "a warning, as before: it is about the data, not about the model"
    if finding.status != "ok":
        return "not met", f"still {finding.status}"
    if by_value.status == "breach":
        return "undefined", f"{show(finding.value, finding.unit)} reaches the limit, and too few rows say it is chance"
    low, high = finding.interval or (math.inf, -math.inf)
    if before is not None and low <= before <= high:
        span = f"{show(low, finding.unit)} to {show(high, finding.unit)}"
        return "undefined", f"too few rows: the 95 % interval {span} holds {show(before, finding.unit)}, when it fired"
    return "met", ""


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the worst of several outcomes; of none it is undefined, because nothing was measured.

    Examples
    --------
    >>> worst(["met", "undefined"]), worst([])
    ('undefined', 'undefined')
    """
    return max(outcomes, key=_ORDER.index, default="undefined")
