"""How bad it is: the impact that a policy's rules read from the findings, times what makes it weigh more or less.

``severity = impact × criticality × duration × peak``: the impact is the first rule of the runbook's policy that
applies (SEV4 counts 0, SEV3 2, SEV2 4, SEV1 8), the factors are in `severity.yaml`, and the product is read on the
same scale. So no factor makes an incident out of nothing, and each number is told in the reasons.

A severity given by a person stands, and says so; what was computed is kept beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from rbnb.config import Duration, Settings, parse_settings, read_yaml
from rbnb.errors import ParameterError
from rbnb.model import Cause, Finding, Severity
from rbnb.policy.conditions import answer, undefined_in
from rbnb.policy.deciding import evidence_of, texts_scope
from rbnb.policy.grammar import LEVELS, Policy
from rbnb.policy.texts import fill
from rbnb.times import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Circumstances", "Weights", "grade", "load_weights"]

#: What each level counts as an impact, and from where a product is read as it.
_POINTS = {"SEV1": 8.0, "SEV2": 4.0, "SEV3": 2.0, "SEV4": 0.0}

Factor = Annotated[float, Field(gt=0, le=4, strict=False)]
Criticality = Literal["low", "medium", "high", "critical"]


class LastingPart(Settings):
    """From a duration on, its factor."""

    from_: Annotated[Duration, Field(alias="from")]
    times: Factor


class Weights(Settings):
    """`severity.yaml`: the factors, and why.

    Parameters
    ----------
    criticality
        By what the model file says of the model.
    duration
        The last entry that was reached counts; before the first it is 1.
    peak
        When the window reaches into the model's peak load.
    """

    source: str
    criticality: dict[Criticality, Factor]
    duration: Annotated[list[LastingPart], Field(min_length=1)]
    peak: Factor

    @model_validator(mode="after")
    def _whole(self) -> Weights:
        missing = [name for name in ("low", "medium", "high", "critical") if name not in self.criticality]
        if missing:
            raise ValueError(f"criticality says nothing of {', '.join(missing)}")
        starts = [entry.from_ for entry in self.duration]
        if starts != sorted(starts):
            raise ValueError("duration must go up")
        return self


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the findings do not say: how much depends on the model, how long it has lasted, and the time of the week."""

    criticality: Criticality = "medium"
    lasted: timedelta | None = None
    at_peak: bool = False


def load_weights(path: Path) -> Weights:
    """Read and check `severity.yaml`.

    Raises
    ------
    ConfigError
        Naming the file, the key and what is allowed.
    """
    return parse_settings(Weights, read_yaml(path), path)


def grade(
    policy: Policy,
    findings: Sequence[Finding],
    hypotheses: Sequence[Cause],
    given: str | None,
    weights: Weights | None = None,
    circumstances: Circumstances | None = None,
) -> Severity:
    """Say how bad it is, unless a person has said it.

    A rule that reads what was not measured does not apply, and the reasons say that it could not be told.

    Parameters
    ----------
    given
        SEV1 to SEV4 when a person has said so.
    weights, circumstances
        Without them the impact alone counts.

    Raises
    ------
    ParameterError
        If `given` is not one of SEV1 to SEV4.
    """
    if given is not None and given not in LEVELS:
        raise ParameterError(f"{given!r} is not a severity", hint=f"use one of {', '.join(LEVELS)}")
    impact, reasons = _impact(policy, findings, hypotheses)
    level = impact
    told: tuple[str, ...] = ()
    if weights is not None and circumstances is not None and _POINTS[impact]:
        level, told = _weighed(impact, weights, circumstances)
    computed = Severity(level, (reasons[0], *told, *reasons[1:]))
    return computed if given is None else _by_hand(given, computed)


def _impact(policy: Policy, findings: Sequence[Finding], hypotheses: Sequence[Cause]) -> tuple[str, tuple[str, ...]]:
    evidence = evidence_of(policy, findings, hypotheses)
    scope = texts_scope(policy, evidence, None, {})
    doubts: list[str] = []
    for rule in policy.severity:
        applies = True if rule.when is None else answer(rule.when, evidence)
        if applies:
            return rule.level, (fill(rule.because, scope), *dict.fromkeys(doubts))
        if applies is None and rule.when is not None:
            missing = ", ".join(signal for signal, _ in undefined_in(rule.when, evidence))
            doubts.append(f"whether it is {rule.level} could not be told: {missing} not measured")
    raise AssertionError("the last severity rule applies always; load_policy holds that")


def _weighed(impact: str, weights: Weights, circumstances: Circumstances) -> tuple[str, tuple[str, ...]]:
    lasted = circumstances.lasted or timedelta(0)
    long = [1.0, *(entry.times for entry in weights.duration if lasted >= entry.from_)][-1]
    critical, peak = weights.criticality[circumstances.criticality], weights.peak if circumstances.at_peak else 1.0
    product = _POINTS[impact] * critical * long * peak
    level = next((name for name, points in _POINTS.items() if points and product >= points), "SEV4")
    length = f"lasting {format_duration(lasted)}" if circumstances.lasted is not None else "of unknown duration"
    told = (
        f"impact {impact} ({_POINTS[impact]:g}) × criticality {circumstances.criticality} ({critical:g}) × {length} "
        f"({long:g}) × {'at' if circumstances.at_peak else 'outside'} peak load ({peak:g}) = {product:g}, {level}"
    )
    return level, (told,)


def _by_hand(given: str, computed: Severity) -> Severity:
    first, *rest = computed.reasons
    return Severity(given, (f"{given} was given by a person", f"computed was {computed.level}: {first}", *rest))
