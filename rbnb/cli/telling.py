"""Tell those concerned how it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rbnb.cli.app import AsJson, app, complain, open_workspace, out_json

if TYPE_CHECKING:
    from rbnb.communication import Sent, Told, UpdateDue

__all__ = ["update"]

#: Written, but not with its receiver.
_NOT_ARRIVED = 1


@app.command()
def update(
    incident: Annotated[str, typer.Argument(help="INC-…")],
    audience: Annotated[
        str, typer.Option(help="responders, stakeholders, leadership, regulators, or one of your own.")
    ] = "",
    note: Annotated[str, typer.Option(help="What you add, in your words.")] = "",
    next_step: Annotated[str, typer.Option("--next", help="What happens next, in your words.")] = "",
    send: Annotated[bool, typer.Option("--send", help="Send it through the audience's channel of rbnb.toml.")] = False,
    resend: Annotated[bool, typer.Option("--resend", help="Write nothing; send what did not arrive before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fill an update for an audience from the record, show it, put it on record, and send it if asked to."""
    from rbnb.errors import UsageError

    if resend and (note or next_step or send):
        raise UsageError("--resend writes nothing, so it takes no --note, --next or --send", hint="leave them out")
    if not resend and not audience:
        raise UsageError("for whom?", hint=f"rbnb update {incident} --audience stakeholders")
    workspace = open_workspace()
    if resend:
        sent = workspace.resend(incident, audience)
        _show_sent(incident, sent, as_json=as_json)
    else:
        told = workspace.update(incident, audience, note=note, next_step=next_step, send=send)
        _show_told(incident, told, workspace.updates_due(incident), as_json=as_json)
        sent = list(told.sent)
    if not all(one.delivery.sent for one in sent):
        raise typer.Exit(_NOT_ARRIVED)


def _show_told(incident: str, told: Told, due: list[UpdateDue], *, as_json: bool) -> None:
    from rbnb.communication import shown
    from rbnb.terminal import show_lines

    written = told.written
    if as_json:
        about = {**written.about, "incident": incident, "key": written.key, "path": written.path}
        recorded = {"recorded": not written.unrecorded, "why_not_recorded": written.unrecorded}
        owed = [{"audience": one.audience, "number": one.number, "by": one.by_role, "at": one.at} for one in due]
        sent = [_plain(one) for one in told.sent]
        out_json({**about, **recorded, "text": written.text, "sent": sent, "due": owed})
    else:
        where = f"on record: {incident}/{written.path}" if not written.unrecorded else "not on record"
        show_lines([*shown(written).split("\n"), "", where, *map(_line, told.sent), *map(_due_line, due)])
    _complain([*([written.unrecorded] if written.unrecorded else []), *_lacking(told.sent)], incident)
    _complain_of_sending(told.sent, incident)


def _show_sent(incident: str, sent: list[Sent], *, as_json: bool) -> None:
    from rbnb.terminal import show_lines

    if as_json:
        out_json({"incident": incident, "sent": [_plain(one) for one in sent]})
    else:
        show_lines([_line(one) for one in sent] or [f"{incident}: nothing waits to be sent"])
    _complain(_lacking(sent), incident)
    _complain_of_sending(sent, incident)


def _plain(one: Sent) -> dict[str, Any]:
    delivery = one.delivery
    return {
        "audience": one.audience,
        "number": one.number,
        "key": one.key,
        "arrived": delivery.sent,
        "through": delivery.through,
        "tries": delivery.tries,
        "status": delivery.status,
        "why": delivery.why,
        "recorded": not one.unrecorded,
    }


def _line(one: Sent) -> str:
    how = f"sent through {one.delivery.through}" if one.delivery.sent else f"NOT sent: {one.delivery.why}"
    return f"update {one.number} for {one.audience}: {how}"


def _due_line(one: UpdateDue) -> str:
    from rbnb.times import format_time

    role = one.by_role.replace("_", " ")
    return f"next: update {one.number} for {one.audience}, from the {role}, by {format_time(one.at)}"


def _lacking(sent: list[Sent] | tuple[Sent, ...]) -> list[str]:
    return list(dict.fromkeys(one.unrecorded for one in sent if one.unrecorded))


def _complain(unrecorded: list[str], incident: str) -> None:
    for why in dict.fromkeys(unrecorded):
        complain(
            f"{incident}: the record lacks this update: {why}", "mend that, and write down by hand whom you told what"
        )


def _complain_of_sending(sent: list[Sent] | tuple[Sent, ...], incident: str) -> None:
    if failed := [one for one in sent if not one.delivery.sent]:
        kept = all(not one.unrecorded for one in failed)
        hint = f"it is kept: rbnb update {incident} --resend" if kept else "it is not kept: tell them another way"
        complain(f"{incident}: {len(failed)} of {len(sent)} did not arrive: {failed[-1].delivery.why}", hint)
