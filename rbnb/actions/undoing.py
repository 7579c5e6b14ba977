"""Rolling back what an incident has done, to the state that was kept before.

Rules:

- **It returns to what was seen, not to what somebody remembers**: the values are those of the snapshot, in steps that
  were put together and recorded before the action ran; a change of the catalog since changes nothing here. The files
  are held against their digests first.
- **It needs a responder or an incident commander, and no approval of its own** unless a rule of the workspace asks for
  one: what is restored is what was there before, those who approved the action have seen this very rollback in its
  plan, and waiting for people while damage goes on is the greater risk.
- What is rolled back is the last time that is in force, or whose effect nobody knows: also one that failed halfway.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rbnb.actions.authorising import approved, rollback_matter
from rbnb.actions.carrying import Order, Report, carry_out, new_mark
from rbnb.actions.keeping import attempt_folder, read_kept
from rbnb.actions.readiness import may_execute
from rbnb.actions.recovering import about, settle_attempts
from rbnb.actions.refusing import refuse
from rbnb.actions.stepping import missing_program, steps_for
from rbnb.catalog import RenderedRequest, RenderedStep
from rbnb.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rbnb.config import Places
    from rbnb.incidents import Attempt, Incident, State

__all__ = ["kept_plan", "kept_step", "roll_back", "undoable"]

#: What may be rolled back: its effect is there, or nobody knows.
_IN_EFFECT = ("done", "held", "not_held", "failed", "timed_out", "interrupted")


def roll_back(
    places: Places, incident: Incident, action: str, *, on_step: Callable[[str], None] = lambda _: None
) -> Report:
    """Undo the last time an action was executed in an incident.

    Raises
    ------
    RefusedError
        If there is nothing to undo, it is going on, or this person may not; the refusal is on record.
    IntegrityError
        If the state before is not what was kept; nothing was done.
    LedgerError
        If it cannot be recorded.
    """
    settle_attempts(incident)
    actor = incident.allow("rollback", subject=action)
    try:
        state = incident.state()
        attempt = undoable(state, action)
        approved(incident, state, rollback_matter(state, attempt), actor)
        plan = kept_plan(incident, attempt)
        step = _possible(places, incident, action, kept_step(plan, "rollback"))
        steps = steps_for(incident, dict(plan["secrets"]), new_mark(incident))
        folder = attempt_folder(incident, f"{action}-rollback")
        order = Order(
            action,
            "rollback",
            step,
            kept_step(plan, "rollback_verify"),
            folder,
            steps.mark,
            _body(attempt, plan),
            _still(incident, action, attempt),
            on_step,
        )
        return carry_out(incident, actor, order, steps)
    except RefusedError as error:
        refuse(incident, "rollback", actor, action, error)
        raise


def _possible(places: Places, incident: Incident, action: str, step: RenderedStep | None) -> RenderedStep:
    if step is None:
        raise RefusedError(f"{action} has no rollback on record", hint="undo it by hand")
    hint = f'when it was done: rbnb rollback {incident.name} {action} --by-hand --because "…"'
    may_execute(places, [step.text, f"  {step.display}"], hint)
    if why := missing_program(step):
        raise RefusedError(why, hint=f"by hand: {step.display}")
    return step


def undoable(state: State, action: str) -> Attempt:
    """Return the execution that a rollback would undo.

    Raises
    ------
    RefusedError
        If there is none, or an attempt is going on, or an earlier rollback was cut off and is not explained.
    """
    own = [attempt for attempt in state.attempts if attempt.action == action]
    for attempt in own:
        if attempt.status == "running" or (attempt.way == "rollback" and attempt.status == "interrupted"):
            why = "is going on" if attempt.status == "running" else "was cut off, and nobody has said what became of it"
            raise RefusedError(f"attempt {attempt.id} {why}", hint="\n      ".join(about(state.incident, attempt)))
    done = [attempt for attempt in own if attempt.way != "rollback" and attempt.status in _IN_EFFECT]
    if not done:
        raise RefusedError(f"{action} is not in force here: there is nothing to roll back", hint="rbnb show tells more")
    if done[-1].way != "execute":
        raise RefusedError(
            f"attempt {done[-1].id} was done by hand, so rbnb has no state to return to",
            hint="undo it by hand, and put it on record with --by-hand",
        )
    return done[-1]


def _still(incident: Incident, action: str, attempt: Attempt) -> Callable[[State], None]:
    def may(state: State) -> None:
        """Ask again on what stands right before the intent."""
        if why := incident.why_not("rollback", incident.actor(state), state):
            raise RefusedError(why)
        approved(incident, state, rollback_matter(state, attempt), incident.actor(state))
        if undoable(state, action).id != attempt.id:
            raise RefusedError("what would be undone has changed meanwhile", hint="look at it again, and try again")

    return may


def kept_plan(incident: Incident, attempt: Attempt) -> dict[str, Any]:
    """Return the action as it was recorded before it ran; every file of it must be what was recorded."""
    contents = {file["path"]: read_kept(incident, file) for file in attempt.body.get("files", [])}
    plan = next((content for path, content in contents.items() if str(path).endswith("/plan.json")), None)
    if plan is None:
        raise RefusedError(f"attempt {attempt.id} has no plan on record, so its rollback is not known")
    resolved: dict[str, Any] = json.loads(plan)["resolved"]
    return resolved


def kept_step(plan: dict[str, Any], name: str) -> RenderedStep | None:
    """Return a step of an action as it was recorded."""
    plain = plan.get(name)
    if plain is None:
        return None
    request = RenderedRequest(**plain["request"]) if plain.get("request") else None
    return RenderedStep(**{**plain, "argv": tuple(plain["argv"]), "request": request})


def _body(attempt: Attempt, plan: dict[str, Any]) -> dict[str, Any]:
    same = ("plan", "variant", "phase", "risk", "environment", "target", "decision", "run", "snapshot")
    steps = {name: plan.get(name) for name in ("rollback", "rollback_verify")}
    return {"undoes": attempt.id, **{key: attempt.body.get(key) for key in same}, "steps": steps}
