"""Approve or reject what is to be done, and list what waits for it.

Rule: nobody approves what they have not seen. What would be done is shown first, whole; then, on a terminal, a person
is asked. A script says ``--yes``, and may say with ``--plan`` what it has seen.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rbnb.cli.app import AsJson, app, complain, indented, open_workspace, out_json

if TYPE_CHECKING:
    from rbnb.incidents.course import Step
    from rbnb.workspace.approvals import Proposed, Waiting

__all__ = ["approve", "pending", "reject"]

Incident = Annotated[str, typer.Argument(help="INC-…")]
Action = Annotated[str, typer.Argument(help="The action that was decided on, or close.")]
Key = Annotated[
    str,
    typer.Option(help="The SSH key to sign with, or the .pub of one in an agent. Default: RBNB_SSH_KEY, else none."),
]

Undo = Annotated[bool, typer.Option("--rollback", help="It is about rolling the action back.")]


@app.command()
def approve(
    incident: Incident,
    action: Action,
    because: Annotated[str, typer.Option("--because", "-b", help="Why, in a sentence.")] = "",
    key: Key = "",
    plan: Annotated[str, typer.Option(help="Approve only if this is still its digest, sha256:….")] = "",
    rollback: Undo = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Approve an action, or closing without acceptance: it shows exactly what, and asks."""
    workspace = open_workspace()
    shown = _look(incident, action, undo=rollback, as_json=as_json)
    if shown is not None and not yes:
        _ask(incident, action)
    seen = plan or (shown.matter.plan if shown else "")
    step = workspace.approve(incident, action, because, key=key, plan=seen, undo=rollback)
    _say(incident, action, step, as_json=as_json)


@app.command()
def reject(
    incident: Incident,
    action: Action,
    because: Annotated[str, typer.Option("--because", "-b", help="Why, in a sentence.")] = "",
    rollback: Undo = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take back what you approved or rejected.")] = False,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Reject an action, or closing: nobody can do it until you take that back, or it has changed."""
    workspace = open_workspace()
    if withdraw:
        step = workspace.withdraw(incident, action, because, key=key, undo=rollback)
    else:
        step = workspace.reject(incident, action, because, key=key, undo=rollback)
    _say(incident, action, step, as_json=as_json)


@app.command()
def pending(
    incident: Annotated[str, typer.Argument(metavar="[INC]", help="Only this incident.")] = "",
    as_json: AsJson = False,
) -> None:
    """List what was decided on and not done, and whose approval it needs."""
    from rbnb.model import to_plain
    from rbnb.terminal import columns_of, show_lines

    found = open_workspace().pending(incident)
    if as_json:
        out_json({"pending": [to_plain(one) for one in found]})
        return
    lines: list[str] = []
    for one in found:
        head = [one.incident, one.subject, one.status, f"risk {one.risk}" if one.risk else "", one.severity]
        lines += [*columns_of([head]), *indented(columns_of(_rows(one)))]
    show_lines(lines or ["nothing waits for approval"])


def _rows(one: Waiting) -> list[list[str]]:
    rows = [["needs", one.needs]] if one.needs else []
    rows += [["approved by", ", ".join(one.approved_by)]] if one.approved_by else []
    rows += [["good until", one.expires_at]] if one.expires_at else []
    rows += [["decided by", one.requester]] if one.requester else []
    command = {"approved": f"rbnb act {one.incident} {one.subject}"}
    if one.subject == "close":
        command = {"approved": f"rbnb close {one.incident} --resolution … --because …"}
    otherwise = {"waiting": f"rbnb approve {one.incident} {one.subject}", "stuck": f"rbnb show {one.incident}"}
    told = {**otherwise, **command}.get(one.status)
    return [*rows, ["next", told]] if told else rows


def _look(incident: str, subject: str, *, undo: bool, as_json: bool) -> Proposed | None:
    """Show what would be approved; None where it cannot be planned, which approving will say and record."""
    from rbnb.errors import RefusedError
    from rbnb.terminal import show_lines

    try:
        found = open_workspace().proposed(incident, subject, undo=undo)
    except RefusedError:
        return None
    facts = dict(found.facts)
    facts["needs"] = found.standing.missing or "nothing more"
    if found.standing.given:
        facts["approved by"] = ", ".join(f"{one.person} ({one.identity})" for one in found.standing.given)
    if not as_json:
        show_lines([f"{incident}  {subject}", *_whole(facts), ""])
    return found


def _whole(facts: dict[str, Any]) -> list[str]:
    """Return facts as lines, none of them cut: what is approved is read to its end."""
    from rbnb.text import visible

    longest = max(map(len, facts))
    lines = []
    for name, value in facts.items():
        first, *rest = visible(value, limit=200_000).splitlines() or [""]
        lines += [f"  {name:<{longest}}   {first}", *(f"  {'':<{longest}}   {more}" for more in rest)]
    return lines


def _ask(incident: str, subject: str) -> None:
    """Ask whether to go on.

    Raises
    ------
    UsageError
        If nobody is there to be asked.
    """
    from rbnb.errors import UsageError

    if not sys.stdin.isatty():
        raise UsageError("nobody is there to be asked", hint="look at what is shown, then say --yes")
    if not typer.confirm(f"approve {subject} in {incident}?", default=False, err=True):
        complain("not approved; nothing was recorded")
        raise typer.Exit(1)


def _say(incident: str, subject: str, step: Step, *, as_json: bool) -> None:
    from rbnb.incidents.timeline import tell_one
    from rbnb.terminal import columns_of, show_lines

    entry = step.entry
    waiting = next((one for one in open_workspace().pending(incident) if one.subject == subject), None)
    if as_json:
        told: dict[str, Any] = {"seq": entry.seq, "kind": entry.kind, "at": entry.at, "by": entry.by, "new": step.new}
        out_json({"incident": incident, **told, "body": entry.body, "pending": waiting})
        return
    already = "" if step.new else "nothing was added; this is on record: "
    rows = indented(columns_of(_rows(waiting))) if waiting else []
    show_lines([f"{incident}: {already}{tell_one(entry).text}", *rows])
