"""The incident's course: acknowledge, assign, grade, move, close, reopen, and what is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rbnb.cli.app import FOUND, AsJson, app, complain, indented, open_workspace, out_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbnb.incidents.course import Step
    from rbnb.incidents.timers import Due
    from rbnb.workspace import Workspace

__all__ = ["ack", "assign", "close", "due", "reopen", "severity", "show_or_set_status"]

Incident = Annotated[str, typer.Argument(help="INC-…")]
Because = Annotated[str, typer.Option("--because", "-b", help="Why, in a sentence.")]


@app.command()
def ack(incident: Incident, as_json: AsJson = False) -> None:
    """Acknowledge an incident: say that you are looking at it."""
    workspace = open_workspace()
    _say(workspace, incident, workspace.acknowledge(incident), as_json=as_json)


@app.command()
def assign(
    incident: Incident,
    role: Annotated[str, typer.Argument(help="incident_commander, responder, approver, scribe or stakeholder.")],
    person: Annotated[str, typer.Argument(help="Somebody whom rbnb.toml names.")],
    as_json: AsJson = False,
) -> None:
    """Give somebody a role in an incident."""
    workspace = open_workspace()
    _say(workspace, incident, workspace.assign(incident, role, person), as_json=as_json)


@app.command()
def severity(
    incident: Incident,
    level: Annotated[str, typer.Argument(help="SEV1 (worst) to SEV4.")],
    because: Because,
    as_json: AsJson = False,
) -> None:
    """Set how bad an incident is; every time that depends on it moves."""
    workspace = open_workspace()
    _say(workspace, incident, workspace.set_severity(incident, level, because), as_json=as_json)


@app.command("status")
def show_or_set_status(
    incident: Incident,
    status: Annotated[
        str, typer.Argument(help="open, contained, remediated or monitoring, to set it by hand; else it is shown.")
    ] = "",
    because: Because = "",
    as_json: AsJson = False,
) -> None:
    """Show how far an incident has come and what is due, or set its status by hand."""
    workspace = open_workspace()
    if status:
        _say(workspace, incident, workspace.set_status(incident, status, because), as_json=as_json)
    else:
        _show_status(workspace, incident, as_json=as_json)


@app.command()
def close(
    incident: Incident,
    resolution: Annotated[
        str, typer.Option(help="genuine_fixed, transient, infrastructure, false_alarm or duplicate.")
    ],
    because: Because,
    of: Annotated[str, typer.Option(help="For a duplicate: the incident that goes on, INC-….")] = "",
    as_json: AsJson = False,
) -> None:
    """Close an incident that met its acceptance, or that somebody else lets pass."""
    workspace = open_workspace()
    _say(workspace, incident, workspace.close(incident, resolution, because, of=of), as_json=as_json)


@app.command()
def reopen(incident: Incident, because: Because, as_json: AsJson = False) -> None:
    """Open a closed incident again; its times begin anew."""
    workspace = open_workspace()
    _say(workspace, incident, workspace.reopen(incident, because), as_json=as_json)


@app.command()
def due(
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Leave with 3 when something is overdue, so that cron can page.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what is due or overdue across all incidents, soonest first; leave with 6 if a ledger is damaged."""
    from rbnb.errors import IntegrityError
    from rbnb.incidents.timers import remaining
    from rbnb.terminal import columns_of, show_lines

    found = open_workspace().due()
    if as_json:
        out_json({"due": found.items, "damaged": found.damaged})
    else:
        damaged = [["", name, "its ledger is damaged: nobody can say what is due", "", ""] for name in found.damaged]
        rows = [[_mark(i), i.incident, i.what, remaining(i), i.command] for i in found.items]
        show_lines(columns_of([*damaged, *rows]) if damaged or rows else ["nothing is due"])
    if found.damaged:
        name = found.damaged[0]
        complain(f"the ledger of {', '.join(found.damaged)} is damaged", f"see what differs with `rbnb verify {name}`")
    if exit_code and found.overdue:
        raise typer.Exit(FOUND)
    if found.damaged:
        raise typer.Exit(IntegrityError.exit_code)


def _mark(item: Due) -> str:
    return "OVERDUE" if item.status == "overdue" else "due"


def _say(workspace: Workspace, incident: str, step: Step, *, as_json: bool) -> None:
    """Say what is on record now, and what is due next."""
    from rbnb.incidents.timeline import tell_one
    from rbnb.incidents.timers import open_items
    from rbnb.terminal import show_lines
    from rbnb.times import format_time

    entry, state = step.entry, workspace.incident(incident).state()
    if as_json:
        told = {"seq": entry.seq, "at": entry.at, "kind": entry.kind, "by": entry.by, "body": entry.body}
        out_json({"incident": incident, "status": state.status, "severity": state.severity, "new": step.new} | told)
        return
    already = "" if step.new else f"nothing was added; this is on record since {format_time(entry.at)}: "
    level = f", {state.severity}" if state.severity else ""
    lines = [f"{incident} ({state.status}{level}): {already}{tell_one(entry).text}"]
    show_lines([*lines, *_due_lines(open_items(workspace.timers(incident))[:1])])


def _due_lines(items: Sequence[Due]) -> list[str]:
    from rbnb.incidents.timers import remaining
    from rbnb.terminal import columns_of

    return indented(columns_of([[_mark(item), item.what, remaining(item), item.command] for item in items]))


def _show_status(workspace: Workspace, incident: str, *, as_json: bool) -> None:
    from rbnb.incidents.timers import open_items
    from rbnb.model import to_plain
    from rbnb.terminal import columns_of, show_lines
    from rbnb.text import visible

    case = workspace.incident(incident)
    case.settle()
    unexplained = workspace.unexplained(incident)
    state, timers = case.state(), workspace.timers(incident)
    times = to_plain(state.times)
    if as_json:
        keys = ("incident", "model", "template", "environment", "severity", "status", "resolution", "held")
        plain = {key: getattr(state, key) or None for key in keys}
        people = {role: list(names) for role, names in state.people.items()}
        out_json(plain | {"times": times, "people": people, "timers": timers, "unexplained": unexplained})
        return
    facts = [["status", state.status], ["severity", f"{state.severity or 'not graded'}  {state.severity_because}"]]
    facts += [[name, at] for name, at in times.items() if at]
    facts += [[role.replace("_", " "), ", ".join(names)] for role, names in state.people.items()]
    facts += [["rollout on hold", state.held]] if state.held else []
    told = _due_lines(open_items(timers)) or ["  nothing"]
    cut_off = ["", "to be explained", *indented(visible(line) for line in unexplained)] if unexplained else []
    show_lines([f"{incident}  {state.model}", *indented(columns_of(facts)), *cut_off, "", "due", *told])
