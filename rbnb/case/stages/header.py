"""The header: which model, which time, who is responsible, where the incident stands and what is due.

Rule: the header of a first run holds nothing that depends on when it was run, so that the same data give the same
notebook. Once there is something to tell, it is told as of the last entry of the ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rbnb.case.stages.parts import fact, span
from rbnb.incidents import fold
from rbnb.incidents.timers import Timetable, open_items, remaining
from rbnb.view import Facts, Table, columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rbnb.config import Places, WorkspaceFile
    from rbnb.incidents import State
    from rbnb.inventory import ModelFile
    from rbnb.ledger import Entry
    from rbnb.scope import Scope
    from rbnb.templates import Template
    from rbnb.view import View

__all__ = ["header_facts", "links", "responsibility_facts", "standing_views"]


def header_facts(model: ModelFile, scope: Scope, template: Template, parameters: Mapping[str, Any]) -> Facts:
    """Say which model, which runbook, and which time."""
    return Facts(
        (
            fact("Model", f"{model.name} {model.version}".strip()),
            fact("What it does", model.description or None),
            fact("Environment", model.environment),
            fact("Known good version", model.known_good_version),
            fact("Registry", model.registry, kind="code"),
            fact("Runbook", f"{template.name} {template.version}"),
            fact("Incident", str(parameters.get("incident", "")) or "none: run outside an incident"),
            fact("Window", span(scope.window)),
            fact("Reference", span(scope.reference)),
            fact("Peak load", _peak(model, scope)),
        ),
        "What this is about",
    )


def _peak(model: ModelFile, scope: Scope) -> str | None:
    peak = model.peak_window
    if peak is None:
        return None
    inside = peak.touches(scope.window.start, scope.window.end)
    return f"{peak.days} {peak.start}–{peak.end} UTC; the window {'falls into it' if inside else 'lies outside it'}"


def responsibility_facts(model: ModelFile, workspace: WorkspaceFile, severity: str) -> Facts:
    """Say who is responsible."""
    roles = [
        fact(role.replace("_", " ").capitalize(), ", ".join(held.people) or None)
        for role, held in workspace.roles.items()
    ]
    on_call = model.on_call
    return Facts(
        (
            fact("Owner", model.owner or None),
            fact("On call", on_call.rotation if on_call else None),
            fact("Escalation", " → ".join(on_call.escalation) if on_call and on_call.escalation else None),
            fact("Severity", severity or "computed at triage"),
            *roles,
        ),
        "Who is responsible",
    )


def links(model: ModelFile) -> Facts | None:
    """List the model's links, or nothing."""
    if not model.links:
        return None
    items = tuple(fact(name.replace("_", " ").capitalize(), url, link=url) for name, url in model.links.items())
    return Facts(items, "Links")


def standing_views(entries: Sequence[Entry], places: Places) -> list[View]:
    """Show where the incident stands and what is due, as its ledger has it; nothing outside an incident.

    Parameters
    ----------
    entries
        The ledger so far.
    """
    if not entries:
        return []
    state = fold("", entries)
    if all(entry.kind in ("incident.opened", "run.started") for entry in entries):
        due = "counted from when it was detected, by severity: see Governance below, and rbnb due"
        return [Facts((fact("Status", "open: nothing has been done yet"), fact("Due", due)), "Where it stands")]
    return [_standing(state), *_due(state, places)]


def _standing(state: State) -> Facts:
    since = getattr(state.times, state.status, None) or state.times.detected
    named = [fact(role.replace("_", " ").capitalize(), ", ".join(people)) for role, people in state.people.items()]
    return Facts(
        (
            fact("Status", state.status),
            fact("Since", since, kind="time"),
            fact("Severity", state.severity or None),
            fact("Acknowledged by", state.acknowledged_by or None),
            *named,
            *([fact("Rollout on hold", state.held)] if state.held else []),
        ),
        "Where it stands",
    )


def _due(state: State, places: Places) -> list[View]:
    last = state.highest_time
    if last is None:
        return []
    rows = tuple((item.what, item.due, remaining(item)) for item in open_items(Timetable(places).of(state, last)))
    note = f"As of {last:%a %d %b %Y, %H:%M} UTC, the last entry of the ledger; now: rbnb due"
    return [Table("What is due", columns("what", "by|time", "then"), rows, note)] if rows else []
