"""Containment: the proposal with its commands and rollback, the alternatives, and who is told what."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rbnb.case.stages.parts import fact
from rbnb.catalog import described
from rbnb.times import format_duration
from rbnb.view import Commands, Facts, Note, Table, columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rbnb.catalog import RenderedAction, RenderedStep
    from rbnb.governance import Communication
    from rbnb.model import Severity
    from rbnb.policy import Decision
    from rbnb.view import View

__all__ = ["containment", "proposal_record"]


def containment(
    decision: Decision,
    severity: Severity,
    options: Mapping[str, RenderedAction],
    needed: Mapping[str, int],
    communication: Communication,
) -> list[View]:
    """Show the proposal with its commands, the alternatives, and the communication plan.

    Parameters
    ----------
    needed
        By action, how many people have to approve it.
    """
    shown: list[View] = []
    proposal = decision.proposal
    if proposal is None:
        shown.append(Note("Nothing is proposed.", "ok" if decision.verdict.name == "healthy" else "info"))
    for name, action in options.items():
        if proposal is not None and name == proposal.action:
            shown.append(Note(f"Proposed: {action.title.lower()}. {proposal.because}", "warning"))
            shown.append(_action_facts(action))
            shown.append(_action_commands(f"{action.title}: the exact commands", action))
    others = {name: action for name, action in options.items() if proposal is None or name != proposal.action}
    if others:
        shown.append(_alternatives(others, needed))
    shown.append(_told(severity, communication, decision.colour))
    return shown


def _told(severity: Severity, communication: Communication, colour: str) -> Table:
    heads = columns("who", "is told", "by", "through", "how often")
    rows = tuple(
        (
            name,
            audience.told,
            audience.by.replace("_", " "),
            audience.through,
            f"every {format_duration(audience.cadence(severity.level))}",
        )
        for name, audience in communication.audiences.items()
        if name in communication.told(severity.level)
    )
    return Table(f"Communication plan, status {colour}", heads, rows)


def _action_facts(action: RenderedAction) -> Facts:
    return Facts(
        (
            fact("Objective", action.objective),
            fact("Expected outcome", action.expected_outcome),
            fact("Platform", action.variant),
            fact("Target", action.target),
            fact("Risk", action.risk),
            fact("Blast radius", action.blast_radius),
            fact("Preconditions", " ".join(step.text for step in action.preconditions) or None),
            fact("Safety check", action.safety_check),
            fact("By hand", action.manual),
            fact("Values to fill in", "; ".join(f"<{name}>: {action.help[name]}" for name in action.missing) or "none"),
            fact("Secrets, from the environment", ", ".join(action.secrets.values()) or "none"),
        )
    )


def _action_commands(title: str, action: RenderedAction) -> Commands:
    checks = [("precondition", step) for step in action.preconditions if step.display]
    tries = action.dry_run is None or not action.dry_run.only_shows
    steps = [
        ("state before", action.snapshot),
        ("dry run" if tries else "look first", action.dry_run),
        ("execute", action.execute),
        ("verify", action.verify),
        ("roll back", action.rollback),
        ("verify the rollback", action.rollback_verify),
    ]
    items = tuple(
        {"label": label, "command": step.display, "note": _note(step)}
        for label, step in [*checks, *steps]
        if step is not None
    )
    return Commands(title, items)


def _note(step: RenderedStep) -> str:
    if not step.patience:
        return step.text
    every, patience = (format_duration(timedelta(seconds=seconds)) for seconds in (step.every, step.patience))
    return f"{step.text} Holds when {described(step.tolerance)}; asked every {every}, for {patience} at the longest."


def _alternatives(others: Mapping[str, RenderedAction], needed: Mapping[str, int]) -> Table:
    heads = columns("action|code", "on", "what it is for", "risk", "approvals|number", "command|code", "rollback|code")
    rows = tuple(
        (
            name,
            a.variant,
            a.objective,
            a.risk,
            needed[name],
            a.execute.display if a.execute else "",
            a.rollback.display if a.rollback else "",
        )
        for name, a in others.items()
    )
    return Table("Alternatives", heads, rows, "Nothing is executed here; a person decides.")


def proposal_record(
    decision: Decision, options: Mapping[str, RenderedAction], needed: Mapping[str, int]
) -> dict[str, Any] | None:
    """Return the proposal as it stands in the record."""
    proposal = decision.proposal
    if proposal is None:
        return None
    action = options.get(proposal.action)
    return {
        "action": proposal.action,
        "because": proposal.because,
        "where": proposal.where,
        "values": dict(action.values) if action else {},
        "missing": list(action.missing) if action else [],
        "approvals": needed.get(proposal.action, 1),
        "escalate_to": proposal.escalate_to,
        "command": action.execute.display if action and action.execute else "",
        "rollback": action.rollback.display if action and action.rollback else "",
    }
