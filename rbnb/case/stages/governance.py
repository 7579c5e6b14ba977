"""Governance: risk, approvals, what is due, and the rules that may be touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.case.stages.parts import fact
from rbnb.governance import due
from rbnb.policy import show
from rbnb.times import format_duration
from rbnb.view import Facts, Table, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbnb.governance import Compliance, Response
    from rbnb.inventory import ModelFile
    from rbnb.model import Finding, Severity
    from rbnb.policy import Decision, Policy
    from rbnb.scope import Scope
    from rbnb.view import View

__all__ = ["governance"]


def governance(
    model: ModelFile,
    findings: Sequence[Finding],
    decision: Decision,
    severity: Severity,
    scope: Scope,
    response: Response,
    compliance: Compliance,
    policy: Policy,
) -> list[View]:
    """Show risk, approvals, what is due, and the rules that may be touched."""
    by_name = {f.signal: f for f in findings}
    touched, lasted = by_name.get(policy.affected), by_name.get("duration")
    level = response.levels[severity.level]  # type: ignore[index]
    risk = Facts(
        (
            fact(
                "Harm",
                f"{policy.harm} ({model.name})"
                if decision.verdict.name not in ("healthy", "inconclusive")
                else "none found",
            ),
            fact(
                "Who is affected",
                f"{policy.affected} {show(touched.value, touched.unit)}"
                if touched and touched.value is not None
                else "not known",
            ),
            fact("For how long", show(lasted.value, "minutes") if lasted and lasted.value is not None else "not known"),
            fact("Severity", f"{severity.level}: {'; '.join(severity.reasons)}"),
            fact("Mitigation", decision.proposal.action if decision.proposal else "none proposed", kind="code"),
            fact("Data it handles", ", ".join(model.governance.data) or None),
            fact("Approvals this severity asks for", level.approvers),
        ),
        "Risk",
    )
    dates = tuple((what, moment) for what, moment in due(level, scope.window.end))
    timers = Table(
        f"Due at {severity.level}",
        columns("what", "by|time"),
        dates,
        "counted from the end of the window, when it was detected",
    )
    items = compliance.touching(model.governance.frameworks, model.governance.data)
    rows = tuple((i.id, i.text, format_duration(i.deadline) if i.deadline else None, i.evidence) for i in items)
    heads = columns("item|code", "in our words", "clock", "what this record offers")
    note = f"Not legal advice; whether an item applies is for counsel to say. Checked on {compliance.checked_on}."
    return [risk, timers, Table("Rules this may touch", heads, rows, note)]
