"""The decision record: what was proposed, decided, left open, and not measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.case.stages.parts import fact
from rbnb.view import Facts, Note, Table, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbnb.ledger import Entry
    from rbnb.model import NotMeasured, Severity
    from rbnb.policy import Decision
    from rbnb.view import View

__all__ = ["decision_record"]


def decision_record(
    decision: Decision, severity: Severity, history: Sequence[Entry], not_measured: Sequence[NotMeasured]
) -> list[View]:
    """Show the proposal, what was decided, what is open, and what was not measured."""
    proposal = decision.proposal
    made = [entry for entry in history if entry.kind == "decision.made"]
    rows = tuple((e.at, e.by, e.body.get("choice"), e.body.get("because")) for e in made)
    decided: View = (
        Table("Decisions", columns("at|time", "by", "choice|code", "because"), rows)
        if rows
        else Note("No decision is on record yet.")
    )
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
    return [facts, decided, missing]
