"""The decision record: what was proposed, decided, left open, and not measured; and how a person decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.case.stages.parts import fact
from rbnb.text import one_line, visible
from rbnb.view import Commands, Facts, Note, Table, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbnb.ledger import Entry
    from rbnb.model import NotMeasured, Severity
    from rbnb.policy import Decision
    from rbnb.view import View

__all__ = [
    "decision_facts",
    "decision_record",
    "how_it_stands",
    "nothing_to_record",
    "pending",
    "standing_line",
    "ways_to_decide",
]


def decision_record(
    decision: Decision, severity: Severity, history: Sequence[Entry], not_measured: Sequence[NotMeasured]
) -> list[View]:
    """Show the proposal, what was decided and turned down, what is open, and what was not measured."""
    proposal = decision.proposal
    made = _made(history)
    facts = Facts(
        (
            fact("Verdict", decision.verdict.name, kind="status"),
            fact("Severity", severity.level),
            fact("Proposed", proposal.action if proposal else "nothing", kind="code"),
            fact("Why", proposal.because if proposal else None),
            fact("Open", "a person's decision" if proposal and not made else "nothing"),
        ),
        "For decision",
    )
    missing = Table(
        "Not measured",
        columns("what", "why"),
        tuple((n.what, n.why) for n in not_measured),
        "" if not_measured else "everything this runbook knows was measured",
    )
    shown = [facts, _decided(made), _turned_down(made), _refused(history), missing]
    return [view for view in shown if view is not None]


def _made(history: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in history if entry.kind == "decision.made"]


def _decided(made: Sequence[Entry]) -> View | None:
    if not made:
        return None  # that one is pending is said below, with the ways to make it
    rows = tuple(
        (
            *(entry.at, one_line(entry.by), visible(entry.body.get("choice", ""))),
            *(visible(entry.body.get("because", "")), _proposal_line(entry), visible(entry.body.get("run", ""))),
            "stands" if entry is made[-1] else "superseded",
        )
        for entry in made
    )
    heads = columns("at|time", "by", "choice|code", "because", "proposal", "run|code", "now")
    return Table("Decisions", heads, rows)


def _turned_down(made: Sequence[Entry]) -> View | None:
    rejected = made[-1].body.get("rejected", []) if made else []
    rows = tuple((visible(one.get("option", "")), visible(one.get("because", ""))) for one in rejected)
    return Table("Turned down, and why", columns("option|code", "because"), rows) if rows else None


def _refused(history: Sequence[Entry]) -> View | None:
    refused = [entry for entry in history if entry.kind == "decide.refused"]
    rows = tuple(
        (entry.at, one_line(entry.by), visible(entry.body.get("subject", "")), visible(entry.body.get("why", "")))
        for entry in refused
    )
    return Table("Refused", columns("at|time", "by", "choice|code", "why"), rows) if rows else None


def _proposal_line(entry: Entry) -> str:
    what = "the run's verdict" if entry.body.get("kind") == "verdict" else "the proposal"
    if entry.body.get("follows_proposal"):
        return f"follows {what}"
    return f"overrides {what} ({visible(entry.body.get('proposed', 'none'))})"


def how_it_stands(entry: Entry) -> str:
    """Say how a decision relates to the proposal, to the one before, and to runs that go on."""
    parts = [f"it {_proposal_line(entry)}"]
    if before := entry.body.get("supersedes"):
        parts.append(f"it takes the place of entry {before}")
    parts += [f"{run} is still going on" for run in entry.body.get("going_on", [])]
    return "; ".join(parts)


def decision_facts(entry: Entry) -> Facts:
    """Show a decision that was put on record."""
    body = entry.body
    turned_down = [fact(f"Not {one['option']}", visible(one["because"])) for one in body.get("rejected", [])]
    values = [fact(f"With {name}", visible(value), kind="code") for name, value in body.get("values", {}).items()]
    return Facts(
        (
            fact("Decided", visible(body["choice"]), kind="code"),
            fact("Because", visible(body["because"])),
            *turned_down,
            *values,
            fact("By", one_line(entry.by)),
            fact("At", entry.at, kind="time"),
            fact("On record", f"entry {entry.seq} of the ledger; {how_it_stands(entry)}"),
            fact("Rests on", f"{body['run']}, its record {body['record']}"),
            fact("Executed", "nothing; approvals and the action itself come next"),
        ),
        "Decision",
    )


def standing_line(history: Sequence[Entry]) -> str:
    """Say which decision stands, or "" where there is none."""
    made = _made(history)
    if not made:
        return ""
    last = made[-1]
    return (
        f"{one_line(last.body.get('choice', ''))}, by {one_line(last.by)} (entry {last.seq}), "
        f"on run {one_line(last.body.get('run', ''))}"
    )


def pending(incident: str, proposed: str, history: Sequence[Entry]) -> Note:
    """Say that a decision is pending, or which one stands."""
    if standing := standing_line(history):
        return Note(f"Decided in {incident}: {standing}. A new decision takes its place.", "info")
    suggestion = f"{proposed} is proposed" if proposed != "none" else "nothing is proposed"
    return Note(f"Pending: no decision is on record in {incident}; {suggestion}. A person decides.", "warning")


def ways_to_decide(incident: str, proposed: str) -> Commands:
    """Show the two ways to decide: at a terminal, and in JupyterLab."""
    terminal = f'rbnb decide {incident} {proposed} --because "…" --reject OPTION --because "…"'
    items = (
        ("at a terminal: an action, a verdict or none; each --reject with its own --because", terminal),
        ("in JupyterLab: run the cells of a working copy, and the form stands here", f"rbnb lab {incident}"),
        ("there, in a cell, the same", f'case.decide("{proposed}", because="…", reject={{"OPTION": "…"}})'),
    )
    return Commands("Ways to decide", tuple({"label": label, "command": command} for label, command in items))


def nothing_to_record(template: str, model: str) -> Note:
    """Say that outside an incident no decision can be recorded."""
    return Note(
        "Pending: a decision, which cannot be recorded here, because this notebook belongs to no incident. "
        f"Start one with: rbnb run {template} --model {model}",
        "info",
    )
