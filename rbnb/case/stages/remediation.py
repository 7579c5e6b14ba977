"""Remediation and monitoring: when it counts as over, and what to watch from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rbnb.case.stages.parts import fact, is_context
from rbnb.policy import show
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
    """Show the known-good state and the acceptance criteria: what fired, and what the model file asks for."""
    fired = [f for f in findings if f.status in ("breach", "warning") and not is_context(f)]
    rows: list[tuple[Any, ...]] = [
        (
            f.signal,
            show(f.value, f.unit),
            f"no longer: {f.threshold}",
            "the same check, in two windows that follow each other",
        )
        for f in fired
    ]
    rows += [(name, "see above", limit, "two windows at comparable load") for name, limit in criteria]
    rows += [
        (
            f"fairness by {name}",
            "not measured by this runbook",
            "no group worse off than before",
            "the same checks by group",
        )
        for name in model.governance.fairness_segments
    ]
    if not any(f.signal.startswith("performance") for f in findings):
        how = "data_drift, once labels have arrived"
        rows.append(("quality of decisions", "not measured by this runbook", "no worse than before", how))
    good = Facts(
        (
            fact("Known good version", model.known_good_version),
            fact("Runs now", model.version or None),
            fact("Rollback plan", "the rollback command of the action that was taken; then this runbook again"),
        ),
        "Known-good state",
    )
    heads = columns("criterion|code", "now|number", "must be", "how it is checked")
    return [
        good,
        Table("Acceptance criteria", heads, tuple(rows), "It counts as over when all are met, with numbers on record."),
    ]


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
    note = f"Review meeting within {format_duration(level.review_within)} ({severity.level})."
    return [Table("What to watch from here on", heads, tuple(rows), note)]
