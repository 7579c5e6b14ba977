"""What a person did outside rbnb, put on record; and a check of what is in force, that changes nothing.

Rules: what was done is recorded also where nobody had approved it, because a record that leaves it out would be
false; it then says so, in the entry and to the one who records it. Whether it took effect is asked of the probe where
rbnb may execute, and else is what the person says they saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rbnb.actions.authorising import approved, matter_of
from rbnb.actions.basis import decided_basis
from rbnb.actions.carrying import new_mark, step_plain, verified
from rbnb.actions.evidence import has_evidence, take_evidence
from rbnb.actions.plan import plan_action
from rbnb.actions.readiness import check_attempts, may_execute
from rbnb.actions.recovering import settle_attempts
from rbnb.actions.refusing import refuse
from rbnb.actions.stepping import steps_for
from rbnb.actions.undoing import kept_plan, kept_step
from rbnb.actions.verifying import Verification, verify
from rbnb.actions.whereabouts import here
from rbnb.errors import RefusedError, UsageError
from rbnb.incidents.state import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rbnb.actions.plan import ActionPlan
    from rbnb.config import Places
    from rbnb.incidents import Actor, Attempt, Incident, State
    from rbnb.ledger import Entry

__all__ = ["ByHand", "Checked", "check", "did_by_hand", "undid_by_hand"]

_LONGEST = 4000
#: An attempt whose check is put on record; of one that was cut off a person says first what became of it.
_RECORDED = ("done", "held", "not_held", "failed", "timed_out")


@dataclass(frozen=True, slots=True)
class ByHand:
    """What was put on record, and what the approvals lack; "" where they suffice."""

    attempt: int
    unapproved: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check has come to, of which attempt (0: of none), and whether it was put on record."""

    attempt: int
    found: Verification
    recorded: bool


def did_by_hand(
    places: Places, incident: Incident, action: str, because: str, *, values: dict[str, str] | None = None
) -> ByHand:
    """Record that a person did what was decided, outside rbnb.

    Parameters
    ----------
    because
        Why by hand, and what was seen afterwards.

    Raises
    ------
    UsageError
        If there is no reason.
    RefusedError
        If no decision chooses it, an attempt is going on or in force, or this person may not; that is on record.
    LedgerError
        If it cannot be recorded.
    """
    because = _reason(because)
    settle_attempts(incident)
    actor = incident.allow("act", subject=action)
    try:
        state = incident.state()
        check_attempts(state, action)
        plan = plan_action(places, incident, state, action, values)
        _secure(places, incident, state, plan, actor)
        unapproved = _unapproved(incident, state, plan, actor)
        number = _record(incident, actor, _started(places, incident, plan, values, because, unapproved))
    except RefusedError as error:
        refuse(incident, "act", actor, action, error)
        raise
    seen = Verification(held=True, seen=because, expected="what the person saw", tries=0, seconds=0.0)
    _end(incident, actor, number, action, "by_hand", because)
    incident.ledger.append(
        "action.verified", {**verified(number, action, "by_hand", seen), "by_hand": True}, by=actor.id
    )
    return ByHand(number, unapproved)


def undid_by_hand(incident: Incident, action: str, because: str) -> ByHand:
    """Record that a person undid an action outside rbnb.

    Raises
    ------
    UsageError
        If there is no reason.
    RefusedError
        If nothing of it is in force, or this person may not; that is on record.
    LedgerError
        If it cannot be recorded.
    """
    because = _reason(because)
    settle_attempts(incident)
    actor = incident.allow("rollback", subject=action)

    def rule(entries: Sequence[Entry]) -> tuple[str, dict[str, Any]]:
        state = fold(incident.name, entries)
        undone = _in_effect(state, action)
        head = {"attempt": _next(state), "action": action, "way": "rollback", "by_hand": True, "undoes": undone.id}
        same = {key: undone.body.get(key) for key in ("plan", "variant", "phase", "risk", "target", "decision")}
        return "action.started", {**head, **same, "because": because, **here("")}

    try:
        number = _record(incident, actor, rule)
    except RefusedError as error:
        refuse(incident, "rollback", actor, action, error)
        raise
    _end(incident, actor, number, action, "rollback", because)
    return ByHand(number, "")


def check(
    places: Places,
    incident: Incident,
    action: str,
    *,
    patient: bool = False,
    on_try: Callable[[int, str], None] = lambda _tries, _seen: None,
) -> Checked:
    """Ask the probe of an action whether it is in force now; nothing is changed.

    What is seen is put on record for an attempt that ended. Of one that was cut off it is only told, because a person
    says what became of it.

    Raises
    ------
    RefusedError
        If rbnb may not execute here, the action was never tried, or this person may not; that is on record.
    """
    settle_attempts(incident)
    actor = incident.allow("dry_run", subject=action)
    try:
        attempt = _last(incident.state(), action)
        plan = kept_plan(incident, attempt)
        probe = kept_step(plan, "rollback_verify" if attempt.way == "rollback" else "verify")
        if probe is None:
            raise RefusedError(f"attempt {attempt.id} has no check on record", hint="look at it by hand")  # noqa: TRY301
        may_execute(places, [probe.text, f"  {probe.display}"], "look at it by hand")
        steps = steps_for(incident, dict(plan["secrets"]), new_mark(incident))
    except RefusedError as error:
        refuse(incident, "dry_run", actor, action, error)
        raise
    found = verify(steps, probe, patient=patient, on_try=on_try)
    recorded = attempt.status in _RECORDED
    if recorded:
        body = verified(attempt.id, action, attempt.way, found)
        incident.ledger.append("action.verified", body, by=actor.id)
    return Checked(attempt.id, found, recorded)


def _reason(because: str) -> str:
    if not because.strip():
        raise UsageError("what was done by hand needs a reason", hint='say why and what was seen: --because "…"')
    if len(because) > _LONGEST:
        raise UsageError(f"the reason has {len(because):,} characters", hint=f"at most {_LONGEST:,}; link to the rest")
    return because.strip()


def _secure(places: Places, incident: Incident, state: State, plan: ActionPlan, actor: Actor) -> None:
    """Secure what is left of the evidence; the entry says that it comes after the fact."""
    if has_evidence(state.entries, plan.run):
        return
    basis = decided_basis(incident, state, plan.action)
    because = f"after {plan.action} was done by hand: what it changed is not as it was"
    take_evidence(incident, state, places, basis, by=actor.id, before=b"", because=because)


def _unapproved(incident: Incident, state: State, plan: ActionPlan, actor: Actor) -> str:
    try:
        approved(incident, state, matter_of(plan), actor)
    except RefusedError as error:
        return error.message
    return ""


def _started(
    places: Places,
    incident: Incident,
    plan: ActionPlan,
    values: dict[str, str] | None,
    because: str,
    unapproved: str,
) -> Callable[[Sequence[Entry]], tuple[str, dict[str, Any]]]:
    def rule(entries: Sequence[Entry]) -> tuple[str, dict[str, Any]]:
        state = fold(incident.name, entries)
        check_attempts(state, plan.action)
        if plan_action(places, incident, state, plan.action, values).digest != plan.digest:
            raise RefusedError("what was decided has changed meanwhile", hint="look at it again, and try again")
        return "action.started", {
            "attempt": _next(state),
            "action": plan.action,
            "way": "by_hand",
            "plan": plan.digest,
            "variant": plan.variant,
            "phase": _phase(plan),
            "risk": plan.risk,
            "environment": plan.environment,
            "target": plan.target,
            "decision": plan.decision_seq,
            "run": plan.run,
            "values": plan.rendered.values,
            "steps": {"execute": step_plain(plan.rendered.execute)},
            "because": because,
            "unapproved": unapproved,
            **here(""),
        }

    return rule


def _phase(plan: ActionPlan) -> str:
    """Return what it counts as: what only looks contains nothing."""
    only_looks = plan.rendered.execute is None and plan.rendered.verify is not None
    return "observation" if only_looks else plan.rendered.phase


def _next(state: State) -> int:
    return max((attempt.id for attempt in state.attempts), default=0) + 1


def _record(incident: Incident, actor: Actor, rule: Callable[[Sequence[Entry]], tuple[str, dict[str, Any]]]) -> int:
    return int(incident.ledger.append_when(rule, by=actor.id).body["attempt"])


def _end(incident: Incident, actor: Actor, number: int, action: str, way: str, because: str) -> None:
    body = {"attempt": number, "action": action, "way": way, "outcome": "done", "exit": None, "by_hand": True}
    incident.ledger.append("action.finished", {**body, "seen": because}, by=actor.id)


def _in_effect(state: State, action: str) -> Attempt:
    own = [attempt for attempt in state.attempts if attempt.action == action]
    if going_on := [attempt.id for attempt in own if attempt.status == "running"]:
        raise RefusedError(f"attempt {going_on[0]} is going on", hint="wait for its end")
    done = [a for a in own if a.way != "rollback" and a.status not in ("running", "not_done", "rolled_back")]
    if not done:
        raise RefusedError(f"{action} is not in force here: there is nothing to roll back", hint="rbnb show tells more")
    return done[-1]


def _last(state: State, action: str) -> Attempt:
    own = [attempt for attempt in state.attempts if attempt.action == action and attempt.body.get("files")]
    if not own:
        raise RefusedError(f"{action} was not executed by rbnb in this incident, so there is no check on record")
    return own[-1]
