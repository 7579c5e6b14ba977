"""Remediation and monitoring: when it counts as over, and what to watch from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rbnb.case.stages.parts import fact, is_context
from rbnb.policy import show
from rbnb.policy.returning import asked_of
from rbnb.times import format_duration
from rbnb.view import Facts, Table, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbnb.governance import Response
    from rbnb.inventory import ModelFile
    from rbnb.model import Cause, Finding, Severity
    from rbnb.view import View

__all__ = ["monitoring", "remediation"]


def remediation(model: ModelFile, findings: Sequence[Finding], criteria: Sequence[tuple[str, str]]) -> list[View]:
    """Show the known-good state and the criteria that `rbnb accept` measures: what fired, and what the model file asks.

    Parameters
    ----------
    criteria
        What this runbook adds for a person to look at: a name, and its limit in words.
    """
    good = Facts(
        (
            fact("Known good version", model.known_good_version),
            fact("Runs now", model.version or None),
            fact("Rollback plan", "the rollback command of the action that was taken; then this runbook again"),
        ),
        "Known-good state",
    )
    shown: list[View] = [good, _measured_again(model, findings)]
    asked = {one.name.replace("_", " ") for one in asked_of(model)}
    by_hand = [(name, limit) for name, limit in criteria if name not in asked]
    if by_hand:
        heads = columns("criterion", "must be")
        shown.append(Table("For a person to look at", heads, tuple(by_hand), "rbnb accept does not measure these."))
    return shown


def _measured_again(model: ModelFile, findings: Sequence[Finding]) -> Table:
    """List what `rbnb accept` measures, as it will judge it."""
    many = model.acceptance.windows
    often = f"in each of {many} fresh windows" if many > 1 else "in a fresh window"
    fired = [f for f in findings if f.status in ("breach", "warning") and not is_context(f)]
    rows: list[tuple[Any, ...]] = [
        (
            f.signal,
            f.where or "everywhere",
            show(f.value, f.unit),
            f"no longer: {f.threshold}",
            f"the same check, {often}, and in each scenario",
        )
        for f in fired
    ]
    rows += [(one.name, "everywhere", None, one.text, "over all fresh windows together") for one in asked_of(model)]
    heads = columns("criterion|code", "where|code", "now|number", "must be", "how it is checked")
    note = (
        "rbnb accept measures each of them on rows that came after the containment, with its interval; what cannot be "
        "told from those rows is not met."
    )
    return Table("Acceptance criteria", heads, tuple(rows), note)


def monitoring(
    findings: Sequence[Finding],
    causes: Sequence[Cause],
    severity: Severity,
    response: Response,
    watch: Sequence[str],
    otherwise: str,
) -> list[View]:
    """Show what to watch, how often, and what puts a rollout on hold."""
    level = response.levels[severity.level]  # type: ignore[index]
    often = format_duration(min(level.acknowledge, level.update_every))
    fired = dict.fromkeys(f.signal for f in findings if f.status == "breach" and not is_context(f))
    limits = {f.signal: f.threshold for f in findings}
    rows: list[tuple[Any, ...]] = [
        (name, f"every {often}", limits.get(name, ""), "the threshold is reached again") for name in list(fired)[:8]
    ]
    rows += [
        (c.name, f"every {often}", "its usual range for this hour", "it leaves that range")
        for c in causes
        if c.status == "supported"
    ]
    rows += [(name, f"every {often}", "", "it gets worse") for name in watch]
    if not rows:
        otherwise = otherwise or findings[0].signal if findings else "the model's owner decides"
        rows = [(otherwise, f"every {often}", limits.get(otherwise, ""), "the threshold is reached")]
    heads = columns("what|code", "how often", "limit", "puts a rollout on hold when")
    note = (
        "rbnb watch samples these on rows that came after the containment; what cannot be judged twice in a row holds "
        f"the rollout as well. Review meeting within {format_duration(level.review_within)} ({severity.level})."
    )
    return [Table("What to watch from here on", heads, tuple(rows), note)]
