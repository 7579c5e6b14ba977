"""One thing that has to hold before a model returns to service, on one stretch of rows, and what was measured of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rbnb.policy.returning import held_again, worst

if TYPE_CHECKING:
    from rbnb.acceptance.fired import Fired
    from rbnb.acceptance.measuring import Again
    from rbnb.acceptance.scenarios import Scenario
    from rbnb.model import Finding, Signal, Window
    from rbnb.policy.returning import Asked, Outcome

__all__ = ["Criterion", "absent", "of_asked", "of_check", "undone"]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that has to hold, on one stretch of rows: what was measured, and whether it does.

    `before` is the value in the run in which a check fired; `source` is check, data, latency, availability, quality
    or fairness.
    """

    name: str
    where: str
    source: str
    runbook: str
    scenario: str
    limit: str
    value: float | None
    unit: str
    interval: tuple[float, float] | None
    n: int
    window: Window | None
    outcome: Outcome
    why: str = ""
    before: float | None = None
    reference: float | None = None
    limit_before: str = ""

    @property
    def met(self) -> bool:
        """Whether it holds; what is undefined does not."""
        return self.outcome == "met"


def of_check(fired: Fired, again: Again, scenario: str) -> Criterion:
    """Return whether a check that fired is ok again; in several places, as the worst of them."""
    if again.why:
        return undone(fired, scenario, again.window, again.why, again.n)
    pairs = again.of(fired.signal, fired.where)
    if not pairs:
        return undone(fired, scenario, again.window, "this check gives no result on these rows", again.n)
    may_warn = fired.status == "warning" and fired.signal in again.about_data
    judged = [(held_again(*pair, before=fired.value, may_warn=may_warn), pair[0]) for pair in pairs]
    outcome = worst(one[0][0] for one in judged)
    (_, why), finding = next(one for one in judged if one[0][0] == outcome)
    return _from_finding(fired, finding, scenario, again.window, outcome, why)


def _from_finding(
    fired: Fired, finding: Finding, scenario: str, window: Window, outcome: Outcome, why: str
) -> Criterion:
    return Criterion(
        fired.signal,
        fired.where,
        "check",
        fired.template,
        scenario,
        finding.threshold,
        finding.value,
        finding.unit,
        finding.interval,
        finding.n,
        window,
        outcome,
        why,
        fired.value,
        finding.reference,
        fired.threshold if _limits(fired.threshold) != _limits(finding.threshold) else "",
    )


def _limits(threshold: str) -> str:
    """Return the numbers of a threshold, without which end of an interval they are held against."""
    return threshold.partition(", by the ")[0]


def undone(fired: Fired, scenario: str, window: Window | None, why: str, n: int = 0) -> Criterion:
    """Return a check that fired and could not be done again, with why."""
    return Criterion(
        fired.signal,
        fired.where,
        "check",
        fired.template,
        scenario,
        fired.threshold,
        None,
        fired.unit,
        None,
        n,
        window,
        "undefined",
        why,
        fired.value,
    )


def of_asked(
    asked: Asked, signal: Signal | None, scenario: str, window: Window | None, outcome: Outcome, why: str
) -> Criterion:
    """Return what the model file asks for, with what was measured of it."""
    return Criterion(
        asked.name if signal is None or not signal.name.startswith("estimated_") else f"{asked.name} (estimated)",
        "",
        asked.source,
        "",
        scenario,
        asked.text,
        signal.value if signal else None,
        asked.unit,
        signal.interval if signal else None,
        signal.n if signal else 0,
        window,
        outcome,
        why,
    )


def absent(scenario: Scenario) -> Criterion:
    """Say that a scenario which the model file demands could not be looked at."""
    return Criterion(
        f"scenario {scenario.title}",
        scenario.where,
        "data",
        "",
        scenario.name,
        "has rows to look at",
        None,
        "count",
        None,
        0,
        None,
        "undefined",
        scenario.why,
    )
