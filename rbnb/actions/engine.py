"""Doing an action that was decided and approved, from the first check to the last.

The order is always the same, and each step is refused where the one before did not go well: may this person, now? ·
is what was decided on unchanged? · is anything missing, going on, or unexplained? · are the approvals there? ·
evidence is secured · preconditions · the state before is kept · dry run · **intent on record** · it is executed ·
outcome on record · it is checked · what was seen on record.

Whatever refuses it is on the ledger, and nothing was changed.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rbnb.actions.authorising import approved, matter_of
from rbnb.actions.basis import decided_basis
from rbnb.actions.before import Before, check_preconditions, rehearse, take_snapshot
from rbnb.actions.carrying import Order, Report, carry_out, new_mark, step_plain
from rbnb.actions.evidence import has_evidence, take_evidence
from rbnb.actions.keeping import attempt_folder, keep_json
from rbnb.actions.plan import plan_action
from rbnb.actions.readiness import check_attempts, check_plan
from rbnb.actions.recovering import settle_attempts
from rbnb.actions.refusing import refuse
from rbnb.actions.stepping import steps_for
from rbnb.errors import RefusedError
from rbnb.model import to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rbnb.actions.plan import ActionPlan
    from rbnb.actions.stepping import Steps
    from rbnb.config import Places
    from rbnb.incidents import Actor, Incident, State

__all__ = ["Asked", "act", "dry_run"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for.

    Parameters
    ----------
    action
        Its name.
    values
        Values by name, over those of the decision.
    variant
        The platform; "" is what the decision says, else what fits the model.
    on_step
        Called with what is going on, in a line.
    """

    action: str
    values: Mapping[str, str] = field(default_factory=dict)
    variant: str = ""
    on_step: Callable[[str], None] = field(default=lambda _: None)


def act(places: Places, incident: Incident, asked: Asked) -> Report:
    """Do what was decided and approved.

    Parameters
    ----------
    places
        The workspace.
    incident
        Where.
    asked
        What.

    Returns
    -------
    Report
        How it ended; `Report.held` tells whether it is in force.

    Raises
    ------
    RefusedError
        If it may not be done; nothing was changed, and the refusal is on record.
    LedgerError
        If it cannot be recorded; nothing ran, or the message says what did.
    """
    settle_attempts(incident)
    actor = incident.allow("act", subject=asked.action)
    try:
        plan = _ready(places, incident, incident.state(), asked, actor)
        steps = steps_for(incident, plan.rendered.secrets, new_mark(incident))
        _secure(places, incident, asked, actor, plan, steps)
        seen = check_preconditions(steps, plan.rendered, asked.on_step)
        folder = attempt_folder(incident, asked.action)
        before = take_snapshot(incident, steps, plan.rendered, folder)
        tried = _tried(incident, actor, plan, steps, before, folder, asked.on_step)
        order = _order(places, incident, asked, actor, plan, before, folder, steps)
        order = dataclasses.replace(order, body={**order.body, "preconditions": seen, "dry_run": tried})
        report = carry_out(incident, actor, order, steps)
    except RefusedError as error:
        refuse(incident, "act", actor, asked.action, error)
        raise
    return dataclasses.replace(report, undo=f"rbnb rollback {incident.name} {asked.action}")


def dry_run(places: Places, incident: Incident, asked: Asked) -> dict[str, Any]:
    """Look at the preconditions and the state before, and rehearse; nothing is changed. May come before a decision.

    Returns
    -------
    dict
        What was seen, as it stands in the entry ``action.tried``; `plan` names what was rehearsed.

    Raises
    ------
    RefusedError
        If it may not be done, or a precondition does not hold.
    """
    actor = incident.allow("dry_run", subject=asked.action)
    state = incident.state()
    decided = state.decision is not None and state.decision.body.get("choice") == asked.action
    try:
        plan = plan_action(places, incident, state, asked.action, asked.values, variant=asked.variant, decided=decided)
        check_plan(places, plan, way="dry_run")
        steps = steps_for(incident, plan.rendered.secrets, new_mark(incident))
        seen = check_preconditions(steps, plan.rendered, asked.on_step)
        folder = attempt_folder(incident, f"{asked.action}-dry")
        before = take_snapshot(incident, steps, plan.rendered, folder)
        body = {"preconditions": seen, "values": before.values}
        return {**body, **_tried(incident, actor, plan, steps, before, folder, asked.on_step)}
    except RefusedError as error:
        refuse(incident, "dry_run", actor, asked.action, error)
        raise


def _ready(places: Places, incident: Incident, state: State, asked: Asked, actor: Actor) -> ActionPlan:
    """Return the plan, if everything that can be known before anything runs allows it."""
    check_attempts(state, asked.action)
    plan = plan_action(places, incident, state, asked.action, asked.values, variant=asked.variant)
    check_plan(places, plan)
    approved(incident, state, matter_of(plan), actor)
    return plan


def _secure(places: Places, incident: Incident, asked: Asked, actor: Actor, plan: ActionPlan, steps: Steps) -> None:
    """Secure the evidence before the first action that rests on it."""
    state = incident.state()
    if has_evidence(state.entries, plan.run):
        return
    asked.on_step(f"securing the evidence of {plan.run}")
    before = b""
    if plan.rendered.snapshot is not None:
        seen = steps.take(plan.rendered.snapshot)
        before = f"{seen.told}\n\n{steps.scrubber.clean(seen.observed.text)}\n".encode(errors="replace")
    because = f"before {asked.action}, the first action that rests on {plan.run}"
    basis = decided_basis(incident, state, asked.action)
    take_evidence(incident, state, places, basis, by=actor.id, before=before, because=because)


def _tried(
    incident: Incident,
    actor: Actor,
    plan: ActionPlan,
    steps: Steps,
    before: Before,
    folder: str,
    on_step: Callable[[str], None],
) -> dict[str, Any]:
    """Rehearse, and record what was seen.

    Raises
    ------
    RefusedError
        If it did not go well.
    """
    tried = rehearse(incident, steps, before.resolved, folder, on_step)
    if not tried:
        return {}
    body = {"action": plan.action, "way": "execute", "plan": plan.digest, "variant": plan.variant, **tried}
    incident.ledger.append("action.tried", body, by=actor.id)
    if tried["outcome"] != "done":
        raise RefusedError(f"the dry run did not go well: {tried['seen']}", hint=tried["display"])
    return tried


def _order(
    places: Places,
    incident: Incident,
    asked: Asked,
    actor: Actor,
    plan: ActionPlan,
    before: Before,
    folder: str,
    steps: Steps,
) -> Order:
    resolved = before.resolved
    kept = keep_json(incident, f"{folder}/plan.json", {"plan": plan.content, "resolved": _resolved(before)})
    assert resolved.execute is not None  # noqa: S101 - `check_plan` has refused what executes nothing

    def may(state: State) -> None:
        """Ask everything again on what stands right before the intent."""
        if why := incident.why_not("act", incident.actor(state), state):
            raise RefusedError(why)
        if not has_evidence(state.entries, plan.run):
            raise RefusedError("its evidence was not secured", hint="try again")
        if _ready(places, incident, state, asked, actor).digest != plan.digest:
            raise RefusedError("what would be done has changed meanwhile", hint="look at it again, and try again")

    body = {
        "plan": plan.digest,
        "variant": plan.variant,
        "phase": resolved.phase,
        "risk": plan.risk,
        "environment": plan.environment,
        "target": plan.target,
        "decision": plan.decision_seq,
        "run": plan.run,
        "requester": plan.requester,
        "values": resolved.values,
        "steps": {name: step_plain(getattr(resolved, name)) for name in ("execute", "verify", "rollback")},
        "snapshot": {**{key: before.file.get(key) for key in ("path", "sha256")}, "values": before.values},
        "approvals": approved(incident, incident.state(), matter_of(plan), actor),
        "files": [kept, *([before.file] if before.file else [])],
    }
    return Order(
        asked.action, "execute", resolved.execute, resolved.verify, folder, steps.mark, body, may, asked.on_step
    )


def _resolved(before: Before) -> dict[str, Any]:
    """Return what a rollback needs later, whatever becomes of the catalog: its steps, with the snapshot's values."""
    plain: dict[str, Any] = to_plain(dataclasses.asdict(before.resolved))
    return plain
