"""Who approved what, and what waits for it.

What is put to approval is an action that was decided on, or closing an incident without acceptance. It is planned anew
whenever it is looked at, so that what people approve is what would be done now.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rbnb.errors import RefusedError
from rbnb.times import format_time
from rbnb.workspace.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rbnb.actions import ActionPlan
    from rbnb.incidents import Attempt, Incident, State
    from rbnb.incidents.approvals import Standing
    from rbnb.incidents.consenting import Matter
    from rbnb.incidents.course import Step

__all__ = ["Approvals", "Proposed", "Waiting"]


@dataclass(frozen=True, slots=True)
class Proposed:
    """What is put to approval, as a person reads it, and what its approvals come to.

    Parameters
    ----------
    facts
        What would be done, by name, in the order in which it is shown.
    """

    incident: str
    matter: Matter
    standing: Standing
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that was decided on and not done, or closing, and what it still needs.

    Parameters
    ----------
    status
        ``waiting`` for approvals, ``rejected``, ``approved`` and not done yet, or ``stuck``: it cannot be planned.
    needs
        What is missing, or why it is stuck; "" where it is approved.
    """

    incident: str
    subject: str
    status: str
    needs: str = ""
    risk: str = ""
    severity: str = ""
    plan: str = ""
    requester: str = ""
    approved_by: tuple[str, ...] = ()
    expires_at: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


class Approvals(Pages):
    """Who approved what."""

    def proposed(self, name: str, subject: str, *, undo: bool = False) -> Proposed:
        """Return exactly what would be approved now, and what its approvals come to; nothing is recorded.

        Parameters
        ----------
        subject
            An action, or ``close``.
        undo
            Whether it is about rolling the action back.

        Raises
        ------
        NotFoundError
            If there is no such incident or action.
        RefusedError
            If it cannot be planned: nobody decided on it, or what was decided on has changed.
        """
        incident = self.incident(name)
        return self._proposed(incident, incident.state(), subject, undo=undo)

    def approve(
        self, name: str, subject: str, because: str = "", *, key: str = "", plan: str = "", undo: bool = False
    ) -> Step:
        """Approve an action, its rollback, or closing; see `rbnb.incidents.consenting.approve`.

        Parameters
        ----------
        key
            The SSH key to sign with; "" is that of RBNB_SSH_KEY, or none.
        plan
            The digest of what was seen; "" takes what it is now.
        undo
            Whether it is about rolling the action back.
        """
        from rbnb.incidents.consenting import Said, approve

        with self.changing(name) as incident:
            said = Said(subject, self._matter_in(incident, subject, undo=undo), because, _key(key), plan)
            return approve(incident, said)

    def reject(self, name: str, subject: str, because: str, *, key: str = "", undo: bool = False) -> Step:
        """Reject an action, its rollback, or closing; see `rbnb.incidents.consenting.reject`."""
        from rbnb.incidents.consenting import Said, reject

        with self.changing(name) as incident:
            said = Said(subject, self._matter_in(incident, subject, undo=undo), because, _key(key))
            return reject(incident, said)

    def withdraw(self, name: str, subject: str, because: str = "", *, key: str = "", undo: bool = False) -> Step:
        """Take back one's approval or rejection; see `rbnb.incidents.consenting.withdraw`."""
        from rbnb.incidents.consenting import Said, withdraw

        with self.changing(name) as incident:
            said = Said(subject, self._matter_in(incident, subject, undo=undo), because, _key(key))
            return withdraw(incident, said)

    def pending(self, name: str = "") -> list[Waiting]:
        """Return what was decided on and not done, across all incidents or in one, and what it needs."""
        states = [self.incident(name).state()] if name else self.incidents()
        return [one for state in states if state.status != "closed" for one in self._waiting(state)]

    def _matter_in(self, incident: Incident, subject: str, *, undo: bool) -> Callable[[State], Matter]:
        return lambda state: self._matter(incident, state, subject, undo=undo)[0]

    def _matter(
        self, incident: Incident, state: State, subject: str, *, undo: bool = False
    ) -> tuple[Matter, dict[str, Any]]:
        """Return what is put to approval, and how a person reads it."""
        from rbnb.actions import plan_action
        from rbnb.actions.authorising import matter_of, rollback_matter
        from rbnb.actions.undoing import undoable
        from rbnb.incidents.closing import CLOSE, close_plan
        from rbnb.incidents.consenting import Matter

        if subject == CLOSE:
            plan = close_plan(state)
            return Matter(CLOSE, plan, "", state.environment, state.severity, "", "close"), _closing(state)
        if undo:
            attempt = undoable(state, subject)
            matter = rollback_matter(state, attempt)
            return matter, _undoing(incident, attempt, matter)
        planned = plan_action(self.places, incident, state, subject)
        return matter_of(planned), _facts(planned)

    def _proposed(self, incident: Incident, state: State, subject: str, *, undo: bool = False) -> Proposed:
        from rbnb.incidents.consenting import standing_of

        matter, facts = self._matter(incident, state, subject, undo=undo)
        return Proposed(incident.name, matter, standing_of(incident, state, matter), facts)

    def _consent(self, incident: Incident, state: State, plan: str, executor: str) -> Standing:
        """Return what the approvals of closing an incident come to, if `executor` closed it now."""
        from rbnb.incidents.closing import CLOSE
        from rbnb.incidents.consenting import standing_of

        matter, _ = self._matter(incident, state, CLOSE)
        return standing_of(incident, state, dataclasses.replace(matter, plan=plan, requester=executor), executor)

    def _waiting(self, state: State) -> list[Waiting]:
        from rbnb.incidents import join_incident

        if state.status == "damaged":
            return [Waiting(state.incident, "?", "stuck", "its ledger is damaged, so nobody can say what waits")]
        incident = join_incident(self.places.reports, state.incident, self.clock, self.places)
        return [self._look(incident, state, subject) for subject in _subjects(state)]

    def _look(self, incident: Incident, state: State, subject: str) -> Waiting:
        requester = state.decision.by if state.decision and subject == state.decision.body.get("choice") else ""
        try:
            found = self._proposed(incident, state, subject)
        except RefusedError as error:
            return Waiting(incident.name, subject, "stuck", error.message, severity=state.severity, requester=requester)
        return _told(found, state)


def _told(found: Proposed, state: State) -> Waiting:
    standing, matter = found.standing, found.matter
    status = "rejected" if standing.rejected else "approved" if standing.met else "waiting"
    ends = min((one.expires_at for one in standing.given), default=None)
    return Waiting(
        found.incident,
        matter.subject,
        status,
        standing.missing,
        matter.risk,
        state.severity,
        matter.plan,
        matter.requester,
        tuple(f"{one.person} ({one.identity})" for one in standing.given),
        format_time(ends) if ends else "",
        found.facts,
    )


def _subjects(state: State) -> list[str]:
    """Return what may wait: the action that was decided on and not begun since, and closing that was refused."""
    found = []
    decision = state.decision
    if decision is not None and decision.body.get("kind") == "action":
        choice = str(decision.body.get("choice", ""))
        later = [entry for entry in state.entries if entry.seq > decision.seq and entry.kind == "action.started"]
        if not any(entry.body.get("action") == choice and entry.body.get("way") != "rollback" for entry in later):
            found.append(choice)
    tried = next((entry.seq for entry in reversed(state.entries) if entry.kind == "close.refused"), 0)
    again = next((entry.seq for entry in reversed(state.entries) if entry.kind == "incident.reopened"), 0)
    if tried > again and not state.accepted:
        found.append("close")
    return found


def _facts(plan: ActionPlan) -> dict[str, Any]:
    """Return what a person has to know of an action to approve it."""
    shown = plan.rendered
    steps = {
        "before it": shown.snapshot,
        "command": shown.execute,
        "checked by": shown.verify,
        "rollback": shown.rollback,
    }
    facts: dict[str, Any] = {
        "action": f"{plan.action}, {shown.title}",
        "on": f"{plan.target} ({plan.variant})" if plan.variant else plan.target,
        "model": f"{plan.model} in {plan.environment}",
        "risk": f"{plan.risk}; severity {plan.severity or 'not graded'}",
        "reaches": shown.blast_radius,
        "expected": shown.expected_outcome,
        "stop if": shown.safety_check,
        "values": ", ".join(f"{name}={value}" for name, value in sorted(shown.values.items())),
        "not known": ", ".join(plan.missing),
    }
    facts |= {name: step.display or step.text for name, step in steps.items() if step}
    facts |= {
        "decided by": f"{plan.requester}, entry {plan.decision_seq}, on {plan.run}",
        "attempt": str(plan.attempt),
        "plan": plan.digest,
    }
    return {name: value for name, value in facts.items() if value}


def _key(named: str) -> Path | None:
    from rbnb.incidents.signing import key_path

    return key_path(named)


def _undoing(incident: Incident, attempt: Attempt, matter: Matter) -> dict[str, Any]:
    """Return what a person has to know of a rollback to approve it: the steps as they were recorded before."""
    from rbnb.actions.undoing import kept_plan, kept_step

    kept = kept_plan(incident, attempt)
    steps = {"command": kept_step(kept, "rollback"), "checked by": kept_step(kept, "rollback_verify")}
    facts: dict[str, Any] = {
        "action": f"rollback of {attempt.action}, attempt {attempt.id}",
        "on": str(attempt.body.get("target", "")),
        "risk": f"{matter.risk}; severity {matter.severity or 'not graded'}",
    }
    facts |= {name: step.display or step.text for name, step in steps.items() if step}
    return {**facts, "plan": matter.plan}


def _closing(state: State) -> dict[str, Any]:
    from rbnb.incidents.closing import close_plan

    measured = state.acceptance
    if measured is None:
        acceptance = "was not measured"
    else:
        acceptance = "was met" if measured.body.get("met") is True else "was measured and not met"
    return {
        "action": "close, the incident without acceptance",
        "model": f"{state.model} in {state.environment}" if state.environment else state.model,
        "status": state.status,
        "severity": state.severity or "not graded",
        "acceptance": acceptance,
        "plan": close_plan(state),
    }
