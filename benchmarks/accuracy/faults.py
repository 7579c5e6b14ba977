"""What goes wrong in a scenario: the families of faults of each failure mode, and what counts as naming their cause.

A family is a way of breaking one thing, in three sizes whose meaning the simulator states. `Case` is what a family may
choose from: when it begins, how big it is, and a place drawn from the scenario's seed. Rule: a family never knows how
it will be measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from rbnb.simulate import LatencyFault, Rollout
from rbnb.simulate import faults as broken

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

__all__ = ["ELSEWHERE", "FAMILIES", "HARMLESS", "MIXED", "SOON", "Case", "Family", "Plan"]

Size = Literal["small", "medium", "large"]

#: How long until outcomes are known, where they are known soon.
SOON = timedelta(hours=1)

_ADDED_MS = {"small": 40.0, "medium": 120.0, "large": 400.0}
_HOSTS, _ZONES = ("a-1", "b-2", "c-1"), ("a", "b", "c")
_SOURCES = ("partner-a", "partner-b", "core")


@dataclass(frozen=True)
class Case:
    """When a fault begins, how big it is, the place it may take, where the window begins and the log ends."""

    onset: datetime
    start: datetime
    end: datetime
    size: Size
    draw: int
    versions: tuple[str, str, str]

    def pick(self, among: tuple[str, ...]) -> str:
        """Return one of several, by the scenario's seed."""
        return among[self.draw % len(among)]


@dataclass(frozen=True)
class Plan:
    """What is put into a scene: faults, and what else `rbnb.simulate.scene` is told."""

    faults: tuple[Any, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """A way of breaking something.

    Parameters
    ----------
    name
        What it is called in the tables.
    plan
        Makes the faults of a case.
    says
        What a hypothesis that names this cause says of it, as patterns of its kind and name; empty where nothing in the
        logs could name it. It must name the input too, or the place where no input is broken, unless `place` is False.
    refers
        The runbook that is the right one.
    """

    name: str
    plan: Callable[[Case], Plan]
    says: tuple[str, ...] = ()
    refers: str = ""
    place: bool = True


def _one(fault: Callable[..., Any], **given: Any) -> Callable[[Case], Plan]:  # noqa: ANN401 - fields of a fault
    """Return a plan with one fault that lasts until the end of the log."""

    def plan(case: Case) -> Plan:
        return Plan((fault(onset=case.onset, size=case.size, **given),))

    return plan


def _labelled(fault: Callable[..., Any], **given: Any) -> Callable[[Case], Plan]:  # noqa: ANN401 - fields of a fault
    """Return a plan whose outcomes are known within the hour: what cannot be seen from inputs needs them."""

    def plan(case: Case) -> Plan:
        return Plan((fault(onset=case.onset, size=case.size, **given),), {"label_delay": SOON})

    return plan


def _from_source(fault: Callable[..., Any], **given: Any) -> Callable[[Case], Plan]:  # noqa: ANN401 - fields of a fault
    """Return a plan whose fault comes with one of the upstream feeds in half of the cases, with all in the others."""

    def plan(case: Case) -> Plan:
        where = f"source={case.pick(_SOURCES)}" if case.draw // 3 % 2 else ""
        return Plan((fault(onset=case.onset, size=case.size, where=where, **given),))

    return plan


def _on_host(fault: Callable[..., Any], **given: Any) -> Callable[[Case], Plan]:  # noqa: ANN401 - fields of a fault
    """Return a plan whose fault hits one host or the version that was just rolled out."""

    def plan(case: Case) -> Plan:
        if case.draw // 3 % 2:
            return Plan((fault(onset=case.onset, size=case.size, where=f"host={case.pick(_HOSTS)}", **given),))
        new = case.versions[2]
        struck = fault(onset=case.onset, size=case.size, where=f"version={new}", **given)
        return Plan((struck,), {"rollouts": (Rollout(new, case.onset, timedelta(seconds=100)),)})

    return plan


def _slow(where: Callable[[Case], str]) -> Callable[[Case], Plan]:
    """Return a plan in which the requests of a place take longer."""

    def plan(case: Case) -> Plan:
        added = _ADDED_MS[case.size]
        return Plan((LatencyFault(case.onset, where=where(case), extra_ms=added, spread=0.4),))

    return plan


def _slow_version(case: Case) -> Plan:
    new = case.versions[2]
    fault = LatencyFault(case.onset, where=f"version={new}", stage="inference_ms", extra_ms=_ADDED_MS[case.size])
    return Plan((fault,), {"rollouts": (Rollout(new, case.onset, timedelta(seconds=100)),)})


def _poisoned(fault: Callable[..., Any], **given: Any) -> Callable[[Case], Plan]:  # noqa: ANN401 - fields of a fault
    """Return a plan that poisons what one source brought in the last four weeks."""

    def plan(case: Case) -> Plan:
        where = f"source={case.pick(('partner-a', 'partner-b', 'import'))}"
        return Plan((fault(onset=case.end - timedelta(days=28), size=case.size, where=where, **given),))

    return plan


def _blip(case: Case) -> Plan:
    """Return twenty slow minutes that ended a day before the window."""
    start = case.start - timedelta(hours=26)
    return Plan((LatencyFault(start, start + timedelta(minutes=20), extra_ms=300),))


#: The faults of each mode.
FAMILIES: dict[str, tuple[Family, ...]] = {
    "latency_spike": (
        Family("everywhere", _slow(lambda _: "")),
        Family("zone", _slow(lambda case: f"zone={case.pick(_ZONES)}"), ("^infrastructure",)),
        Family("host", _slow(lambda case: f"host={case.pick(_HOSTS)}"), ("^host",)),
        Family("version", _slow_version, ("^deploy", "^change")),
    ),
    "data_drift": (
        Family("shift", _one(broken.Shift, strange=0.5), ("^covariate",)),
        Family("scale", _one(broken.Scale, strange=0.5), ("^covariate",)),
        Family("category share", _one(broken.CategoryShare, strange=0.5), ("^covariate",)),
        Family("new mix", _one(broken.NewMix, strange=0.5), ("^covariate",)),
        Family("correlation", _one(broken.Correlation, strange=0.5), ("^correlation",)),
        Family("label shift", _labelled(broken.PriorShift), ("^label",), place=False),
        Family("concept", _labelled(broken.ConceptDrift), ("^concept",), place=False),
        Family(
            "concept in one region", _labelled(broken.ConceptDrift, where="region=us-east"), ("^concept",), place=False
        ),
    ),
    "data_quality": (
        Family("nulls", _from_source(broken.Nulls), ("is null",)),
        Family("unit", _from_source(broken.UnitChange), ("times too",)),
        Family("timezone", _one(broken.TimeShift), (r"hours? (ahead|behind)",)),
        Family("renamed", _from_source(broken.Renamed), ("written otherwise",)),
        Family("unseen", _from_source(broken.Unseen), ("not what the model file expects", "never", "unknown")),
        Family("stuck", _from_source(broken.Stuck), ("stuck", "in every row", r" is -?[\d.]+$")),
        Family("text", _from_source(broken.TextNumbers), ("text", "string", "not a number")),
        Family("rule", _from_source(broken.RuleBroken), ("breaks the rule",)),
        Family("swapped", _one(broken.Swapped), ("exchanged",)),
        Family("sentinel", _from_source(broken.Sentinel), ("-999",)),
        Family("infinite", _from_source(broken.Infinite), ("infinite",)),
        Family("duplicates", _from_source(broken.Duplicated), ("more than once",)),
        Family("missing feed", _one(broken.MissingRows, where="source=partner-a"), ("sent nothing", "sent too little")),
    ),
    "output_inconsistency": (
        Family("missing as zero", _on_host(broken.MissingAsZero), ("^encoding.*(zero|missing)",)),
        Family("unit", _on_host(broken.OtherUnit), ("^encoding.*(times|multiplied|large)",)),
        Family("category order", _on_host(broken.CategoryOrder), ("^encoding.*(order|categor)",)),
        Family("timezone", _on_host(broken.OtherTimezone), ("^encoding.*hour",)),
        Family("stale cache", _on_host(broken.StaleCache), ("^cache", "stale")),
        Family("non-determinism", _on_host(broken.NonDeterminism), ("^determinism",)),
        Family("threshold", _on_host(broken.OtherThreshold), ("^threshold",)),
        Family("bad scores", _on_host(broken.BadScores), ("^outputs",)),
        Family("skew", _one(broken.Skew), ("^skew",)),
        Family("skew: not served", _one(broken.Skew, missing=True), ("^skew",)),
    ),
    "data_poisoning": (
        Family("label flips", _poisoned(broken.LabelFlips), ("^label_flips",)),
        Family("targeted flips", _poisoned(broken.TargetedFlips), ("^targeted_flips", "^label_flips")),
        Family("trigger", _poisoned(broken.Trigger), ("^trigger",)),
        Family("flood", _poisoned(broken.Flood), ("^flood",)),
        Family("near flood", _poisoned(broken.Flood, near=True), ("^flood",)),
        Family("odd cluster", _poisoned(broken.OddCluster), ("^odd_cluster",)),
        Family("conflicts", _poisoned(broken.Conflicts), ("^conflicts",)),
        Family("provenance", _poisoned(broken.ProvenanceGap), ("^provenance",), place=False),
    ),
}

#: What is certain and means nothing: the right verdict is healthy.
HARMLESS: dict[str, tuple[Family, ...]] = {
    "latency_spike": (Family("an earlier blip", _blip),),
    "data_drift": (
        Family("an input without weight moved", _one(broken.HarmlessDrift)),
        Family("a weekly pattern", _one(broken.WeeklyPattern)),
    ),
    "data_quality": (Family("a weekly pattern", _one(broken.WeeklyPattern)),),
    "output_inconsistency": (
        Family("32 bit", _on_host(broken.FloatCast)),
        Family("the last digits", _on_host(broken.FloatNoise)),
    ),
    "data_poisoning": (Family("an input without weight moved", _one(broken.HarmlessDrift)),),
}

_DRIFT = Family("shift", _one(broken.Shift, strange=0.5), refers="data_drift")
_NULLS = Family("nulls", _one(broken.Nulls), refers="data_quality")
_UNIT = Family("unit", _one(broken.UnitChange), refers="data_quality")
_SLOW = Family("slow zone", _slow(lambda case: f"zone={case.pick(_ZONES)}"), refers="latency_spike")
_THRESHOLD = Family("threshold", _on_host(broken.OtherThreshold), refers="output_inconsistency")

#: Faults that are another runbook's: the right answer is healthy, or a pointer to that runbook.
ELSEWHERE: dict[str, tuple[Family, ...]] = {
    "latency_spike": (_DRIFT, _NULLS),
    "data_drift": (_NULLS, _UNIT, _SLOW, _THRESHOLD),
    "data_quality": (_DRIFT, _SLOW, _THRESHOLD),
    "output_inconsistency": (_DRIFT, _NULLS, _SLOW),
    "data_poisoning": (_DRIFT, _NULLS),
}


def _both(first: Callable[[Case], Plan], second: Callable[[Case], Plan]) -> Callable[[Case], Plan]:
    def plan(case: Case) -> Plan:
        one, two = first(case), second(case)
        return Plan((*one.faults, *two.faults), one.more | two.more)

    return plan


#: Two faults at once: not healthy, and one of them named or the runbook of the other pointed to.
MIXED: dict[str, tuple[Family, ...]] = {
    "data_drift": (
        Family(
            "drift and broken units",
            _both(_one(broken.CategoryShare, strange=0.5), _from_source(broken.UnitChange)),
            ("^covariate",),
            "data_quality",
        ),
        Family(
            "drift and concept",
            _both(_labelled(broken.CategoryShare, strange=0.5), _labelled(broken.ConceptDrift)),
            ("^covariate", "^concept"),
            place=False,
        ),
    ),
    "data_quality": (
        Family("nulls and drift", _both(_from_source(broken.Nulls), _one(broken.NewMix)), ("is null",), "data_drift"),
        Family(
            "unit and unseen",
            _both(_from_source(broken.UnitChange), _from_source(broken.Unseen)),
            ("times too", "not what the model file expects"),
        ),
    ),
    "output_inconsistency": (
        Family(
            "threshold and nulls",
            _both(_on_host(broken.OtherThreshold), _one(broken.Nulls)),
            ("^threshold",),
            "data_quality",
        ),
    ),
    "data_poisoning": (
        Family(
            "flips and a trigger",
            _both(_poisoned(broken.LabelFlips), _poisoned(broken.Trigger)),
            ("^label_flips", "^trigger"),
        ),
    ),
}
