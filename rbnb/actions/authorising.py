"""Whether the people whom the rules demand have approved exactly this plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rbnb.actions.plan import canonical_digest
from rbnb.errors import RefusedError
from rbnb.incidents.consenting import Matter, standing_of
from rbnb.incidents.statements import UnprovableError

if TYPE_CHECKING:
    from rbnb.actions.plan import ActionPlan
    from rbnb.incidents import Actor, Attempt, Incident, State

__all__ = ["approved", "matter_of", "rollback_matter"]


def matter_of(plan: ActionPlan) -> Matter:
    """Return what a plan puts to approval.

    An action whose catalog entry demands more people than is usual for its risk gets them, whatever the rules say.
    """
    return Matter(
        subject=plan.action,
        plan=plan.digest,
        requester=plan.requester,
        environment=plan.environment,
        severity=plan.severity,
        risk=plan.risk,
        way=plan.way,
        at_least=plan.rendered.demanded,
        missing=plan.missing,
    )


def rollback_matter(state: State, attempt: Attempt) -> Matter:
    """Return what undoing an attempt puts to approval: exactly the steps that were recorded before it ran."""
    body = attempt.body
    content = {"rolls back": attempt.id, "incident": state.incident, "plan": attempt.plan, "files": body.get("files")}
    return Matter(
        subject=attempt.action,
        plan=canonical_digest(content),
        requester=str(body.get("requester", "")),
        environment=str(body.get("environment", "")),
        severity=state.severity,
        risk=str(body.get("risk", "")),
        way="rollback",
    )


def approved(incident: Incident, state: State, matter: Matter, actor: Actor) -> list[dict[str, Any]]:
    """Return who approved something, for the record.

    Raises
    ------
    RefusedError
        If the approvals that its rule demands are not there, somebody said no, or no signature can be checked here.
    """
    try:
        found = standing_of(incident, state, matter, actor.id)
    except UnprovableError as error:
        raise RefusedError(error.message, hint=error.hint) from None
    if not found.met:
        others = "".join(f"\n      {why}" for why in found.why_not)
        raise RefusedError(
            f"it needs {found.missing} (rule “{found.rule.name}”)",
            hint=f"rbnb approve {incident.name} {matter.subject}, for plan {matter.plan[:19]}…{others}",
        )
    return [{"entry": one.seq, "by": one.person, "identity": one.identity, "key": one.key} for one in found.given]
