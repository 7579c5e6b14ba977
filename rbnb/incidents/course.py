"""The course of an incident as people steer it: acknowledge, assign, grade, move, reopen.

Rules:

- **Who may do it, and in which status**, is `Incident.allow`'s to say. What follows here is about the step itself.
- **Each step is decided on what stands before its entry** (`Ledger.append_when`): of two who do the same at once, one
  does it and the other is told; who tries what somebody else has just made impossible is refused.
- **A step that is refused says why, what would be needed, and is on the ledger.** What is merely mistyped is an error
  and leaves nothing.
- **Doing again what stands already adds nothing** and is no error: people press twice.
- By hand an incident moves forward one status at a time, and back as far as nothing on record holds it. Whatever is
  done by hand carries its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rbnb.errors import NotFoundError, RbnbError, UsageError
from rbnb.incidents.state import STATUSES, fold
from rbnb.ledger import Entry
from rbnb.people import APPROVER, COMMANDER, ROLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rbnb.incidents import Actor, Incident, State

__all__ = [
    "LEVELS",
    "NotNowError",
    "Step",
    "acknowledge",
    "assign",
    "reason",
    "reopen",
    "set_severity",
    "set_status",
    "take_step",
]

LEVELS = ("SEV1", "SEV2", "SEV3", "SEV4")
_LONGEST = 4000


@dataclass(frozen=True, slots=True)
class Step:
    """What became of a step: its entry, and whether it is new or had been taken already."""

    entry: Entry
    new: bool


class NotNowError(RbnbError):
    """A step that cannot be taken on what stands; `take_step` turns it into a refusal."""


class _AlreadyError(RbnbError):
    """The step had been taken."""

    def __init__(self, entry: Entry) -> None:
        super().__init__("this had been done")
        self.entry = entry


def take_step(
    incident: Incident,
    operation: str,
    make: Callable[[State, Actor], tuple[str, dict[str, Any]]],
    *,
    subject: str = "",
) -> Step:
    """Record one step, decided on the state that stands before its entry.

    Parameters
    ----------
    operation
        One of `rbnb.authority.OPERATIONS`.
    make
        Returns kind and body of the entry; raises `NotNowError` where the step cannot be taken.
    subject
        What it is about, for the record of a refusal.

    Raises
    ------
    RefusedError
        If it may not be done, or not now; that is on the ledger then.
    """
    actor = incident.allow(operation, subject=subject)

    def rule(entries: Sequence[Entry]) -> tuple[str, dict[str, Any]]:
        state = fold(incident.name, entries)
        acting = incident.actor(state)
        if why := incident.why_not(operation, acting, state):
            raise NotNowError(why)
        return make(state, acting)

    try:
        return Step(incident.ledger.append_when(rule, by=actor.id), new=True)
    except _AlreadyError as done:
        return Step(done.entry, new=False)
    except NotNowError as no:
        incident.refuse(operation, actor, no.message, subject=subject, hint=no.hint)


def reason(because: str, *, needed_for: str) -> str:
    """Return a reason without blanks around it.

    Raises
    ------
    UsageError
        If there is none, or it is too long.
    """
    told = because.strip()
    if not told:
        raise UsageError(f"{needed_for} needs a reason", hint='say it with --because "…"')
    if len(told) > _LONGEST:
        raise UsageError(f"the reason has {len(told):,} characters", hint=f"at most {_LONGEST:,}; link to the rest")
    return told


def acknowledge(incident: Incident) -> Step:
    """Put on record that somebody is looking at it; each person once, until it is opened again."""

    def make(state: State, actor: Actor) -> tuple[str, dict[str, Any]]:
        for entry in reversed(state.entries):
            if entry.kind == "incident.reopened":
                break
            if entry.kind == "incident.acknowledged" and entry.by == actor.id:
                raise _AlreadyError(entry)
        return "incident.acknowledged", {}

    return take_step(incident, "acknowledge", make)


def assign(incident: Incident, role: str, person: str) -> Step:
    """Give somebody a role in the incident.

    Parameters
    ----------
    role
        One of `rbnb.people.ROLES`; a blank or ``-`` stands for ``_``.
    person
        Somebody whom rbnb.toml names, however spelled.

    Raises
    ------
    NotFoundError
        If there is no such role or person.
    RefusedError
        If they were revoked, or would become an approver without being one by rbnb.toml.
    """
    role = role.strip().lower().replace("-", "_").replace(" ", "_")
    if role not in ROLES:
        raise NotFoundError("role", role, ROLES)
    found = incident.directory.resolve(person)
    if found is None:
        raise NotFoundError("person", person, [p.id for p in incident.directory.people()], where="rbnb.toml")

    def make(state: State, _: Actor) -> tuple[str, dict[str, Any]]:
        if found.revoked:
            raise NotNowError(f"{found.id} was revoked in rbnb.toml")
        if role == APPROVER and APPROVER not in found.roles:
            raise NotNowError(
                f"{found.id} is no approver by rbnb.toml, and nobody becomes one in an incident",
                hint="whoever keeps rbnb.toml adds them under [roles] approver",
            )
        if found.id == next(reversed(state.people.get(role, ())), None):
            raise _AlreadyError(_last(state, "incident.assigned", person=found.id, role=role))
        return "incident.assigned", {"role": role, "person": found.id}

    return take_step(incident, "assign", make, subject=f"{role} {found.id}")


def _last(state: State, kind: str, **body: str) -> Entry:
    matching = (
        entry
        for entry in reversed(state.entries)
        if entry.kind == kind and all(entry.body.get(key) == value for key, value in body.items())
    )
    return next(matching)


def set_severity(incident: Incident, level: str, because: str) -> Step:
    """Set how bad it is; every time that depends on it moves.

    Worse may say whoever may grade at all; milder only the incident commander, because fewer people have to approve
    what is done then.

    Raises
    ------
    NotFoundError
        If there is no such level.
    UsageError
        If there is no reason.
    RefusedError
        If this person may not, or may not say that it is milder; the refusal is on record.
    """
    level = level.strip().upper()
    if level not in LEVELS:
        raise NotFoundError("severity", level, LEVELS)
    told = reason(because, needed_for="a severity")

    def make(state: State, actor: Actor) -> tuple[str, dict[str, Any]]:
        said = [entry for entry in state.entries if entry.kind == "severity.set"]
        if said and said[-1].body.get("level") == level:
            raise _AlreadyError(said[-1])
        if state.severity and level > state.severity and COMMANDER not in actor.roles:
            raise NotNowError(
                f"it is {state.severity}, and only an incident commander may say that it is milder",
                hint="fewer people have to approve what is done then; anybody in the incident may say that it is worse",
            )
        return "severity.set", {"level": level, "because": told, "was": state.severity or None}

    return take_step(incident, "severity", make, subject=level)


def set_status(incident: Incident, status: str, because: str) -> Step:
    """Say by hand how far the incident has come.

    Parameters
    ----------
    status
        open, contained, remediated or monitoring.
    because
        What makes it so: nothing on record does.

    Raises
    ------
    NotFoundError
        If there is no such status.
    UsageError
        If there is no reason, or the status is ``closed``, which has a command of its own.
    RefusedError
        If a status would be passed over, or what is on record says otherwise.
    """
    status = status.strip().lower()
    if status == "closed":
        name = incident.name
        raise UsageError(
            "an incident is closed with its resolution", hint=f"rbnb close {name} --resolution … --because …"
        )
    if status not in STATUSES:
        raise NotFoundError("status", status, STATUSES[:4])
    told = reason(because, needed_for="a status that is set by hand")

    def make(state: State, _: Actor) -> tuple[str, dict[str, Any]]:
        if state.status == status:
            raise NotNowError(f"it is {status} already", hint=f"see since when with `rbnb status {incident.name}`")
        _check_order(state, status, incident.name)
        body = {"status": status, "because": told, "was": state.status, "accepted": state.accepted}
        _check_effect(state, status, body, incident.name)
        return "status.set", body

    return take_step(incident, "status", make, subject=status)


def _check_order(state: State, status: str, name: str) -> None:
    now, asked = STATUSES.index(state.status), STATUSES.index(status)
    if asked > now + 1:
        before = STATUSES[now + 1]
        raise NotNowError(
            f"it is {state.status}, and {before} comes before {status}",
            hint=f'rbnb act {name} ACTION, or rbnb status {name} {before} --because "…"'
            if before == "contained"
            else f'rbnb accept {name}, or rbnb status {name} {before} --because "…"',
        )


def _check_effect(state: State, status: str, body: dict[str, Any], name: str) -> None:
    """See that the entry would make the incident what it says."""
    last = state.entries[-1]
    drafted = Entry(last.seq + 1, "status.set", last.at, last.by, body, last.digest, "0" * 64)
    comes_to = fold(state.incident, [*state.entries, drafted]).status
    if comes_to == status:
        return
    standing = [attempt.action for attempt in state.attempts if attempt.stands]
    if standing:
        raise NotNowError(
            f"what is on record makes it {comes_to}: {', '.join(standing)} stands",
            hint=f"take it back first: rbnb rollback {name} {standing[-1]}",
        )
    raise NotNowError(
        f"what is on record makes it {comes_to}",
        hint=f"see what with `rbnb show {name} --timeline`; to measure anew: rbnb accept {name}",
    )


def reopen(incident: Incident, because: str) -> Step:
    """Open a closed incident again; its times begin anew.

    Raises
    ------
    UsageError
        If there is no reason.
    RefusedError
        If it is not closed.
    """
    told = reason(because, needed_for="opening an incident again")
    return take_step(incident, "reopen", lambda _state, _actor: ("incident.reopened", {"because": told}))
