"""Whether the people whom the rules demand have approved exactly this plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rbnb.catalog import APPROVALS
from rbnb.errors import RefusedError
from rbnb.incidents.approval_rules import load_approval_rules, rule_for
from rbnb.incidents.approvals import nobody_checks, standing

if TYPE_CHECKING:
    from rbnb.actions.plan import ActionPlan
    from rbnb.config import Places
    from rbnb.incidents import Actor, Incident, State
    from rbnb.incidents.approvals import Standing

__all__ = ["approvals_of", "approved"]


def approvals_of(places: Places, incident: Incident, state: State, plan: ActionPlan, executor: str) -> Standing:
    """Return what the approvals of a plan come to, if `executor` carried it out now.

    An action whose catalog entry demands more people than is usual for its risk gets them, whatever the rules say.
    """
    rules = load_approval_rules(places.policy_file("approvals"))
    demanded = plan.rendered.approvals
    at_least = demanded if demanded > APPROVALS.get(plan.risk, 0) else 0
    rule = rule_for(rules, plan.environment, plan.severity, plan.risk, plan.way, at_least=at_least)
    return standing(
        state.entries,
        plan.action,
        plan.digest,
        rule,
        requester=plan.requester,
        executor=executor,
        now=state.now(incident.clock),
        directory=incident.directory,
        check_signature=nobody_checks,
    )


def approved(places: Places, incident: Incident, state: State, plan: ActionPlan, actor: Actor) -> list[dict[str, Any]]:
    """Return who approved a plan, for the record.

    Raises
    ------
    RefusedError
        If the approvals that its rule demands are not there, or somebody said no.
    """
    found = approvals_of(places, incident, state, plan, actor.id)
    if not found.met:
        others = "".join(f"\n      {why}" for why in found.why_not)
        raise RefusedError(
            f"it needs {found.missing} (rule “{found.rule.name}”)",
            hint=f"rbnb approve {incident.name} {plan.action}, for plan {plan.digest[:19]}{others}",
        )
    return [{"entry": one.seq, "by": one.person, "identity": one.identity, "key": one.key} for one in found.given]
