"""Governance: risk, what is due, who reviews, and the rules that may be touched with what answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rbnb.case.stages.parts import fact, is_context
from rbnb.governance import (
    NOT_LEGAL_ADVICE,
    assess,
    due,
    load_compliance,
    load_response,
    load_risk,
    reviewer_name,
)
from rbnb.incidents.checklist import read_checklist
from rbnb.policy import show
from rbnb.view import Facts, Note, Table, columns

if TYPE_CHECKING:
    from datetime import datetime

    from rbnb.case.core import Case
    from rbnb.incidents.checklist import Checked, Checklist
    from rbnb.view import View

__all__ = ["governance", "risk_of"]

_NOT_KNOWN = "not known"


def risk_of(case: Case) -> dict[str, Any]:
    """Return the risk as the run can tell it, for the record."""
    troubled = case.decision.verdict.name not in ("healthy", "inconclusive")
    proposal = case.decision.proposal
    return assess(
        grid=load_risk(case.places.policy_file("risk")),
        harm=f"{case.policy.harm} ({case.model.name})" if troubled else "",
        affected=case.policy.affected,
        findings=case.findings,
        segments=case.segments,
        severity=case.severity.level,
        ongoing=case.ongoing,
        mitigations=[proposal.action] if proposal else [],
    )


def governance(case: Case) -> list[View]:
    """Show the risk, what is due, who reviews which check, and the rules that may be touched."""
    checklist = _checklist(case)
    shown: list[View | None] = [
        _risk_facts(case),
        _timers(case),
        _reviewers(case),
        _rules(checklist),
        _questions(checklist),
    ]
    return [view for view in shown if view is not None]


def _risk_facts(case: Case) -> Facts:
    risk, proposal = case.risk, case.decision.proposal
    none = _NOT_KNOWN if case.decision.verdict.name == "inconclusive" else "none found"
    rows = (
        fact("Harm", risk["harm"] or none),
        fact("Who is affected", _number(risk["affected"])),
        fact("For how long", _number(risk["duration"])),
        fact("Where", ", ".join(risk["segments"]) or "no segment stands out"),
        fact("Likelihood", _likelihood(risk)),
        fact("Severity", f"{case.severity.level}: {'; '.join(case.severity.reasons)}"),
        fact("Level of risk", _words(risk["level"])),
        fact("Mitigation", ", ".join(risk["mitigations"]) or "none proposed"),
        fact("What remains", "not known: a person says so with rbnb risk"),
        fact("Data it handles", ", ".join(case.model.governance.data) or "not said in the model file"),
        fact("Approvals the proposal needs", case.needed.get(proposal.action) if proposal else "none"),
    )
    return Facts(rows, "Risk")


def _level(case: Case) -> Any:  # noqa: ANN401 - one of the levels of response.yaml
    response = load_response(case.places.policy_file("response"))
    return response.levels[case.severity.level]  # type: ignore[index]


def _words(value: str | None) -> str:
    return value.replace("_", " ") if value else _NOT_KNOWN


def _likelihood(risk: dict[str, Any]) -> str:
    if risk["likelihood"] is None:
        return f"{_NOT_KNOWN}: a person says so with rbnb risk"
    return f"{_words(risk['likelihood'])}: {risk['likelihood_because']}"


def _number(measured: dict[str, Any] | None) -> str:
    """Write a number with n and interval, or that it is not known."""
    if measured is None:
        return _NOT_KNOWN
    where = f" in {measured['where']}" if measured["where"] else ""
    span = measured["interval"]
    bounds = f", 95 % interval {show(span[0], measured['unit'])} to {show(span[1], measured['unit'])}" if span else ""
    return f"{measured['signal']} {show(measured['value'], measured['unit'])}{where} (n {measured['n']:,}{bounds})"


def _timers(case: Case) -> Table:
    dates = tuple(due(_level(case), case.scope.window.end))
    note = "counted from the end of the window, when it was detected"
    return Table(f"Due at {case.severity.level}", columns("what", "by|time"), dates, note)


def _reviewers(case: Case) -> Table | None:
    """Show who reviews the checks that fired and have a kind of reviewer."""
    grid, owners = load_risk(case.places.policy_file("risk")), case.places.file.owners
    fired = dict.fromkeys(f.signal for f in case.findings if f.status in ("breach", "warning") and not is_context(f))
    kinds = [(name, grid.reviewer(name)) for name in fired]
    rows = tuple(
        (name, kind or "none in particular", reviewer_name(owners, kind, name))
        for name, kind in kinds
        if kind or name in owners.checks
    )
    return Table("Who reviews these checks", columns("check|code", "review", "who"), rows) if rows else None


def _checklist(case: Case) -> Checklist:
    record = {
        "findings": case.findings,
        "causes": case.causes,
        "materials": getattr(case, "materials", []),
        "proposal": case.decision.proposal,
        "severity": case.severity,
        "risk": case.risk,
        "not_measured": case.not_measured,
    }
    times: dict[str, datetime | None] = {"detected": case.scope.window.end}
    return read_checklist(
        load_compliance(case.places.policy_files("compliance")),
        case.model,
        case.history,
        record,
        times=times,
        owners=case.places.file.owners,
        severity=case.severity.level or "",
    )


def _rules(checklist: Checklist) -> Table:
    heads = columns("item|code", "in our words", "applies", "due|time", "what answers it", "what is missing", "review")
    return Table("Rules this may touch", heads, tuple(map(_row, checklist.items)), _dates(checklist))


def _row(one: Checked) -> tuple[Any, ...]:
    applies = one.verdict.applies
    asks = one.verdict.why if applies in ("unknown", "not yet") else ""
    return (
        one.item.id,
        one.item.text.strip(),
        f"{applies}: {asks}" if asks else applies,
        one.clock.due_at if one.clock else None,
        "; ".join(one.answered) or "nothing yet",
        "; ".join(one.missing) or "nothing",
        one.reviewer or None,
    )


def _dates(checklist: Checklist) -> str:
    if not checklist.items:
        return f"{NOT_LEGAL_ADVICE} The model file names no framework, and no personal data."
    dated = "; ".join(f"{one['title']} checked on {one['checked_on']}" for one in checklist.frameworks)
    return f"{NOT_LEGAL_ADVICE} {dated}. Clocks run from detection."


def _questions(checklist: Checklist) -> Note | None:
    if not checklist.open:
        return None
    told = "; ".join(f"{name}: {question}" for name, question in checklist.open.items())
    return Note(f"A person must say (rbnb compliance INC NAME yes|no --because …): {told}")
