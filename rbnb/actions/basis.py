"""What an action rests on: the decision, the run it names, and whether both still are what they were.

Rules: a decision is good for the very record it names, byte for byte; a run that completed later and came to another
verdict, or proposes something else, calls for a new decision; what cannot be read is never taken as unchanged.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rbnb.errors import RefusedError
from rbnb.model import RunStatus

if TYPE_CHECKING:
    from rbnb.incidents import Incident, RunState, State
    from rbnb.ledger import Entry

__all__ = ["Basis", "decided_basis", "newest_basis"]


@dataclass(frozen=True, slots=True)
class Basis:
    """The evidence an action rests on.

    Parameters
    ----------
    run
        Its name.
    digest
        ``sha256:…`` of its run.json.
    record
        What stands in it.
    decision
        The decision; None for a dry run before anybody has decided.
    """

    run: str
    digest: str
    record: dict[str, Any]
    decision: Entry | None = None


def decided_basis(incident: Incident, state: State, action: str) -> Basis:
    """Return the evidence of the decision that chose an action.

    Raises
    ------
    RefusedError
        If no standing decision chooses it, its evidence has changed, or later evidence says something else.
    """
    decision = state.decision
    if decision is None or decision.body.get("kind") != "action" or decision.body.get("choice") != action:
        chosen = f"the decision that stands is {decision.body.get('choice')}" if decision else "nobody has decided"
        raise RefusedError(
            f"no decision chooses {action}: {chosen}",
            hint=f'decide first: rbnb decide {incident.name} {action} --because "…"',
        )
    run = next((run for run in state.runs if run.run == decision.body.get("run")), None)
    if run is None:
        raise RefusedError(f"the decision names the run {decision.body.get('run')}, which this incident does not have")
    basis = _read(incident, run, decision)
    if basis.digest != decision.body.get("record"):
        raise RefusedError(
            f"the record of {run.run} is not the one that was decided on: its digest differs",
            hint=f"`rbnb verify {incident.name}` tells what differs; run the runbook again and decide on that",
        )
    _check_later(incident, state, basis)
    return basis


def newest_basis(incident: Incident, state: State) -> Basis:
    """Return the evidence of the last run that completed, for what changes nothing and needs no decision.

    Raises
    ------
    RefusedError
        If no run has completed, or its record is not what was recorded.
    """
    completed = [run for run in state.runs if run.status == RunStatus.COMPLETED]
    if not completed:
        raise RefusedError(f"no run of {incident.name} has completed", hint="run the runbook first")
    return _read(incident, completed[-1], None)


def _check_later(incident: Incident, state: State, basis: Basis) -> None:
    names = [run.run for run in state.runs]
    for run in state.runs[names.index(basis.run) + 1 :]:
        if run.status != RunStatus.COMPLETED:
            continue
        later = _read(incident, run, None).record
        for what, before, now in (
            ("finds", basis.record.get("verdict"), later.get("verdict")),
            ("proposes", _proposed(basis.record), _proposed(later)),
        ):
            if before != now:
                raise RefusedError(
                    f"{run.run} completed later and {what} {now}, where the decision rests on {before}",
                    hint=f"look at {run.run} and decide again on that",
                )


def _proposed(record: dict[str, Any]) -> str:
    proposal = record.get("proposal") or {}
    return str(proposal.get("action", "none"))


def _read(incident: Incident, run: RunState, decision: Entry | None) -> Basis:
    recorded = next((str(a["sha256"]) for a in run.body.get("artifacts", []) if a.get("path") == "run.json"), "")
    path = incident.folder / "runs" / run.run / "run.json"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RefusedError(f"the record of {run.run} cannot be read: {error.strerror}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != recorded:
        raise RefusedError(
            f"the record of {run.run} is not the one that was recorded; its evidence has changed since",
            hint=f"`rbnb verify {incident.name}` tells what differs; run the runbook again and decide on that",
        )
    record: dict[str, Any] = json.loads(content)
    return Basis(run.run, f"sha256:{digest}", record, decision)
