"""The header: which model, which time, who is responsible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rbnb.case.stages.parts import fact, span
from rbnb.view import Facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rbnb.config import WorkspaceFile
    from rbnb.inventory import ModelFile
    from rbnb.scope import Scope
    from rbnb.templates import Template

__all__ = ["header_facts", "links", "responsibility_facts"]


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
