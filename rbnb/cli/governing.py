"""Risk, and the rules an incident may touch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rbnb.cli.app import AsJson, app, indented, open_workspace, out_json

if TYPE_CHECKING:
    from rbnb.incidents.checklist import Checked, Checklist
    from rbnb.ledger import Entry

__all__ = ["compliance", "risk"]

Incident = Annotated[str, typer.Argument(help="INC-…")]
Because = Annotated[str, typer.Option("--because", "-b", help="Why, in a sentence.")]


@app.command()
def compliance(
    incident: Incident,
    item: Annotated[str, typer.Argument(help="An item such as 'GDPR-33(1)', or a fact such as serious_incident.")] = "",
    applies: Annotated[str, typer.Argument(help="yes, no or unknown.")] = "",
    because: Because = "",
    met: Annotated[bool, typer.Option("--met", help="What the item asks for was done; this ends its clock.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show which rules an incident may touch, what answers them, and their clocks; or answer one. No legal advice."""
    workspace = open_workspace()
    if item:
        _say(incident, workspace.answer(incident, item, applies, because, met=met), as_json=as_json)
        return
    checklist = workspace.checklist(incident)
    if as_json:
        out_json({"incident": incident, **_plain(checklist)})
    else:
        _show(incident, checklist)


@app.command()
def risk(
    incident: Incident,
    likelihood: Annotated[str, typer.Option(help="very_low, low, moderate, high or very_high.")] = "",
    residual: Annotated[str, typer.Option(help="What remains once this is over, in a sentence.")] = "",
    mitigation: Annotated[
        list[str], typer.Option("--mitigation", help="What is done against it; may be given again.")
    ] = [],  # noqa: B006 - typer reads it, nobody changes it
    because: Because = "",
    as_json: AsJson = False,
) -> None:
    """Show the risk of an incident, or put a person's assessment of it on record."""
    workspace = open_workspace()
    if likelihood or residual or mitigation or because:
        entry = workspace.assess_risk(
            incident, likelihood=likelihood, residual=residual, mitigations=mitigation, because=because
        )
        _say(incident, entry, as_json=as_json)
    elif as_json:
        out_json(workspace.risk(incident))
    else:
        _show_risk(workspace.risk(incident))


def _say(incident: str, entry: Entry, *, as_json: bool) -> None:
    from rbnb.incidents.timeline import tell_one
    from rbnb.terminal import show_lines

    if as_json:
        told = {"seq": entry.seq, "at": entry.at, "kind": entry.kind, "by": entry.by, "body": entry.body}
        out_json({"incident": incident, **told})
        return
    show_lines([f"{incident}: {tell_one(entry).text}"])


def _plain(checklist: Checklist) -> dict[str, Any]:
    from rbnb.governance import NOT_LEGAL_ADVICE

    return {
        "note": NOT_LEGAL_ADVICE,
        "frameworks": list(checklist.frameworks),
        "facts": checklist.facts,
        "open": checklist.open,
        "items": [_plain_item(one) for one in checklist.items],
    }


def _plain_item(one: Checked) -> dict[str, Any]:
    return {
        "id": one.item.id,
        "framework": one.item.framework,
        "text": one.item.text.strip(),
        "applies": one.verdict.applies,
        "why": one.verdict.why,
        "evidence": [
            {"needs": e.needs, "where": e.where, "entries": e.seqs, "missing": e.missing} for e in one.evidence
        ],
        "clock": one.clock,
        "met": one.met,
        "reviewer": one.reviewer or None,
    }


def _show(incident: str, checklist: Checklist) -> None:
    from rbnb.governance import NOT_LEGAL_ADVICE
    from rbnb.terminal import show_lines

    lines = [f"{incident}  {NOT_LEGAL_ADVICE}"]
    if not checklist.items:
        lines.append("no item: the model file names no framework, and no personal data")
    for about in checklist.frameworks:
        review = "; a lawyer has not looked at it" if about["legal_review"] else ""
        lines += ["", f"{about['title']}: {about['version']}, checked on {about['checked_on']}{review}"]
        for one in checklist.items:
            if one.item.framework == about["name"]:
                lines += _item_lines(one)
    if checklist.open:
        lines += ["", "a person must say (rbnb compliance INC NAME yes|no --because …; role: in the model file)"]
        lines += indented(f"{name}: {question}" for name, question in checklist.open.items())
    show_lines(lines)


def _item_lines(one: Checked) -> list[str]:
    from rbnb.text import one_line
    from rbnb.times import format_time

    lines = [f"  {one.item.id}  {one.verdict.applies}  {one.item.text.strip()}"]
    lines.append(f"      {one.verdict.why}")
    if one.verdict.applies in ("no", "not yet"):
        return lines
    lines += [f"      due {format_time(one.clock.due_at)}"] if one.clock else []
    lines += [f"      met {format_time(one.met)}"] if one.met else []
    lines += [f"      have: {one_line(text, 200)}" for text in one.answered]
    lines += [f"      missing: {one_line(text, 200)}" for text in one.missing]
    lines += [f"      review: {one_line(one.reviewer, 80)}"] if one.reviewer else []
    return lines


def _show_risk(told: dict[str, Any]) -> None:
    from rbnb.terminal import columns_of, show_lines

    run, person = told["from_run"], told["assessed"]
    lines = [f"{told['incident']}  {told['run'] or 'no run has left a record'}"]
    lines += indented(columns_of([[name.replace("_", " "), _worded(value)] for name, value in (run or {}).items()]))
    keys = ("likelihood", "severity", "level", "mitigations", "residual", "because")
    who = f"assessed by {person['by']}, entry {person['seq']}" if person else "nobody has assessed it yet"
    lines += ["", who, *indented(columns_of([[key, _worded(person[key])] for key in keys] if person else []))]
    show_lines(lines)


def _worded(value: object) -> str:
    """Write a value for a person; what is not there is not known, never 0."""
    if isinstance(value, dict):
        span = value.get("interval")
        bounds = f", 95 % interval {span[0]:g} to {span[1]:g}" if span and None not in span else ""
        return f"{value['signal']} {value['value']:g} {value['unit']} (n {value['n']:,}{bounds})"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value).replace("_", " ") if value not in (None, "") else "not known"
