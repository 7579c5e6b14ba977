"""Doing a runbook's checks again on other rows: the same measurements, the same thresholds, the same judging.

Rules: a runbook's measurements, settings, thresholds, model-file overrides and learned limits are those of a run;
everything since the onset is left out of what counts as normal; what cannot be measured on rows that are too few,
missing or unreadable is a reason and no error, because the result is then "undefined".
"""

from __future__ import annotations

import dataclasses
import importlib
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rbnb.errors import ConfigError, DataError, ParameterError
from rbnb.model import Signal
from rbnb.policy import is_policy, load_policy, overrides_for, show
from rbnb.policy.learned import InUse, baseline_in_use, judge_learned
from rbnb.scope import DEFAULT_REFERENCE
from rbnb.times import format_time, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from rbnb.config import Places
    from rbnb.data import Extent, ModelData
    from rbnb.diagnoses import Diagnosis
    from rbnb.inventory import ModelFile
    from rbnb.model import Finding, Window
    from rbnb.policy import Policy
    from rbnb.scope import Scope

__all__ = ["KINDS", "Again", "Checks", "Logs", "Stretch"]

#: Where the measurements of each runbook are; loaded when first asked for, because they load pandas.
KINDS = {
    "latency_spike": ("rbnb.diagnoses.latency", "LatencySpike"),
    "data_drift": ("rbnb.diagnoses.drift", "DataDrift"),
    "data_poisoning": ("rbnb.diagnoses.poisoning", "Poisoning"),
    "output_inconsistency": ("rbnb.diagnoses.consistency", "OutputInconsistency"),
    "data_quality": ("rbnb.diagnoses.quality", "DataQuality"),
}

#: Not among a runbook's own integrity checks, and yet only about what is known: how many outcomes are there already.
_ABOUT_DATA = ("label_coverage",)


@dataclass(frozen=True, slots=True)
class Logs:
    """A model's logs, and what counts as now for them."""

    model: ModelFile
    folder: Path
    now: datetime


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows to look at: which window, of all requests or of one segment, as of when.

    `leave_out` are spans that do not count as normal, the incident first.
    """

    window: Window
    data: ModelData
    as_of: datetime
    leave_out: tuple[tuple[datetime, datetime], ...] = ()
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Again:
    """What checks found when they were done again; `why` is set where they could not be done at all.

    `about_data` names the signals that say how far the data can be trusted, and nothing of the model; `unfit` those of
    them that make the rows impossible to judge.
    """

    window: Window
    findings: tuple[Finding, ...] = ()
    by_value: tuple[Finding, ...] = ()
    about_data: frozenset[str] = frozenset()
    why: str = ""
    n: int = 0
    unfit: tuple[str, ...] = ()

    def of(self, signal: str, where: str) -> list[tuple[Finding, Finding]]:
        """Return the findings of a signal in a place, else of that signal in any place, each with that by value."""
        both = [pair for pair in zip(self.findings, self.by_value, strict=True) if pair[0].signal == signal]
        return [pair for pair in both if pair[0].where == where] or both


@dataclass
class Checks:
    """The checks of one runbook, with the numbers that a run of this model judges by.

    Parameters
    ----------
    places
        The workspace.
    logs
        The model.
    template
        Name of the runbook.
    parameters
        Of the run in which they fired: bucket, reference, seed, replay.
    """

    places: Places
    logs: Logs
    template: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether rbnb knows how this runbook measures; a runbook of one's own is only known to its notebook."""
        return self.template in KINDS

    @cached_property
    def policy(self) -> Policy:
        """The policy that judges."""
        return load_policy(self.places.policy_file(self.template))

    @cached_property
    def kind(self) -> type[Diagnosis]:
        """The class that measures."""
        module, name = KINDS[self.template]
        kind: type[Diagnosis] = getattr(importlib.import_module(module), name)
        return kind

    @cached_property
    def _overrides(self) -> dict[str, float]:
        model = self.logs.model

        def others() -> list[Policy]:
            files = [self.places.policy_file(name) for name in self.places.policy_names()]
            return [load_policy(file) for file in files if is_policy(file)]

        return overrides_for(self.policy, model.thresholds, others, overrides_from=f"{model.name}.yaml")

    def scope(self, stretch: Stretch) -> tuple[Extent, Scope]:
        """Work out what a run over a stretch looks at.

        Raises
        ------
        DataError, ParameterError
            If there is nothing to look at, or the stretch is too short for two buckets.
        """
        own = [str(self.parameters.get("leave_out", "")), *(_span(*span) for span in stretch.leave_out)]
        return stretch.data.scope(
            clock=self.logs.now,
            at=format_time(stretch.window.end),
            as_of=format_time(stretch.as_of),
            window=_seconds(stretch.window.length),
            bucket=str(self.parameters.get("bucket") or "auto"),
            reference=self._reference(stretch),
            leave_out=",".join(filter(None, own)),
        )

    def _reference(self, stretch: Stretch) -> str:
        """Return how far the reference reaches back: as far before the onset as that of a run before its window."""
        fixed, given = self.logs.model.reference, str(self.parameters.get("reference") or "")
        if not stretch.leave_out or (not given and fixed.start is not None):
            return given
        own = parse_duration(given) if given else fixed.window or DEFAULT_REFERENCE
        since = stretch.window.start - stretch.leave_out[0][0]
        return _seconds(own + max(since, timedelta(0)))

    def diagnosis(self, stretch: Stretch) -> Diagnosis:
        """Return the measurements of a stretch, each made when it is first asked for.

        Raises
        ------
        DataError, ParameterError
            As `scope`.
        ConfigError
            If the policy has a setting that this runbook does not know.
        """
        extent, scope = self.scope(stretch)
        known = {one.name for one in dataclasses.fields(self.kind.Settings)}
        for name in self.policy.settings:
            if name not in known:
                raise ConfigError(self.places.policy_file(self.template), f"settings.{name}", "is no setting")
        settings = self.kind.Settings(**self.policy.settings)
        found = self.kind(stretch.data, scope, extent, settings, int(self.parameters.get("seed", 0)))
        ask = getattr(found, "ask", None)
        return ask(int(self.parameters.get("replay", 0))) if ask is not None else found

    def again(self, stretch: Stretch, components: Sequence[str] = ()) -> Again:
        """Do the checks on a stretch and judge them, by their intervals and by their values.

        Parameters
        ----------
        components
            Components whose own readings are judged as well, each as ``component_anomaly`` in its place.
        """
        try:
            found: Any = self.diagnosis(stretch)
            if bad := self._not_fit(found, stretch):
                told = "; ".join(f"{one.signal} {_shown(one)}" for one in bad[:3])
                unfit = tuple(one.signal for one in bad)
                return Again(stretch.window, why=f"the rows cannot be judged: {told}", unfit=unfit)
            again = _readings(found, components)
            asked = {(one.name, one.where) for one in again}
            signals: list[Signal] = [*(one for one in found.signals if (one.name, one.where) not in asked), *again]
        except (DataError, ParameterError) as error:
            return Again(stretch.window, why=error.message)
        findings = self._judged(signals, self.policy, stretch)
        by_value = self._judged(signals, _by_value(self.policy), stretch)
        rows = next((s.n for s in signals if s.name in ("rows_current", "training_rows")), 0)
        about = frozenset([*_ABOUT_DATA, *(one.name for one in found.integrity)])
        return Again(stretch.window, tuple(findings), tuple(by_value), about, n=rows)

    def _not_fit(self, found: Any, stretch: Stretch) -> list[Finding]:  # noqa: ANN401 - a diagnosis
        """Return what makes the rows of a stretch impossible to judge."""
        judged = self._judged(found.integrity, self.policy, stretch)
        return [one for one in judged if one.status in ("breach", "undefined") and one.signal in self.policy.thresholds]

    def _judged(self, signals: Sequence[Signal], policy: Policy, stretch: Stretch) -> list[Finding]:
        name = f"{self.logs.model.name}.yaml"
        return judge_learned(signals, policy, self._overrides, self._learned(stretch), overrides_from=name)

    def _learned(self, stretch: Stretch) -> InUse:
        """Return the learned limits that hold for a stretch; what is usual of all requests says nothing of some."""
        if not stretch.whole:
            return InUse()
        path = self.places.baselines / f"{self.logs.model.name}.yaml"
        return baseline_in_use(path, self.logs.model, self.policy, stretch.window)


def _readings(found: Any, components: Sequence[str]) -> list[Signal]:  # noqa: ANN401 - a diagnosis
    """Return how far each component is from its usual range for most of the time.

    A run looks for the worst moment, to find a suspect; whether a suspect has come back is another question, and the
    worst of many readings would often say no by chance.
    """
    if not components:
        return []
    from rbnb.signals.latency.components import typical_distance

    baseline, period, slot = found.metric_baseline
    measured = typical_distance(found.readings, baseline, period=period, slot=slot, since=found.scope.start)
    signals = []
    for name in components:
        distance, n = measured.get(name, (None, 0))
        reason = "" if n else "the metrics table holds nothing of it for these rows"
        method = "median reading against the usual range of this hour of week, the worst of its series"
        signals.append(Signal("component_anomaly", distance, "robust z", n, method, where=name, reason=reason))
    return signals


def _shown(finding: Finding) -> str:
    if finding.value is None:
        return f"is undefined ({finding.reason})"
    return f"is {show(finding.value, finding.unit)} ({finding.threshold})"


def _seconds(length: timedelta) -> str:
    return f"{int(length.total_seconds())}s"


def _span(start: datetime, end: datetime) -> str:
    return f"{format_time(start)}/{format_time(end)}"


def _by_value(policy: Policy) -> Policy:
    """Return a policy that takes numbers at their word, for telling chance from a recovery."""
    thresholds = {name: one.model_copy(update={"compare": "value"}) for name, one in policy.thresholds.items()}
    return dataclasses.replace(policy, thresholds=thresholds)
