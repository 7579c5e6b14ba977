"""Approving, rejecting, and taking back what was said: recorded on what stands before the entry.

Rules:

- **What is recorded as an approval is one that counts**: before it is recorded it is weighed with the rest
  (`rbnb.incidents.approvals.standing`), and what would not count is refused; the refusal is on the ledger.
- **It is of what was shown.** If what would be done has changed since, nothing is approved.
- **After a rejection nobody else's approval is taken**, so that of many who approve and reject at once, the order of
  the ledger says what became of it.
- Saying again what stands already adds nothing.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rbnb.config import shipped
from rbnb.errors import RbnbError, RefusedError
from rbnb.incidents.approval_rules import load_approval_rules, rule_for
from rbnb.incidents.approvals import standing
from rbnb.incidents.course import NotNowError, Step, reason, take_step
from rbnb.incidents.signing import check_of, sign
from rbnb.incidents.statements import GIVEN, LONGEST_SIGNING, REJECTED, WITHDRAWN, statement_of
from rbnb.ledger import Entry
from rbnb.text import one_line
from rbnb.times import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from rbnb.incidents import Actor, Incident, State
    from rbnb.incidents.approvals import Rule, Standing

__all__ = ["Matter", "Said", "approve", "reject", "standing_of", "withdraw"]

_NOBODY, _NAME_THEM = "rbnb.toml does not name them", "name them under [people], with their role under [roles]"
#: The operation of `rbnb.authority` for each kind; who may reject may also take back what they said.
_OPERATIONS = {GIVEN: "approve", REJECTED: "reject", WITHDRAWN: "reject"}


@dataclass(frozen=True, slots=True)
class Matter:
    """What is put to approval.

    Parameters
    ----------
    subject, plan
        An action or ``close``, and the digest of exactly what would be done.
    requester
        Who decided on it; "" where that is not known yet.
    environment, severity, risk, way, at_least
        What its rule goes by (`rule_for`).
    missing
        The values nobody gave.
    """

    subject: str
    plan: str
    requester: str
    environment: str
    severity: str
    risk: str
    way: str = "execute"
    at_least: int = 0
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """What a person says about a matter.

    Parameters
    ----------
    subject
        An action or ``close``.
    matter_of
        Returns what that is in a state; raises RefusedError where it cannot be planned.
    because
        The reason; a rejection needs one.
    key
        What to sign with; None signs nothing.
    plan
        The digest that the person has seen; "" takes what it is now.
    """

    subject: str
    matter_of: Callable[[State], Matter]
    because: str = ""
    key: Path | None = None
    plan: str = ""


class _AlreadyError(RbnbError):
    """It was said before, and stands."""

    def __init__(self, entry: Entry) -> None:
        super().__init__("this was said before")
        self.entry = entry


def standing_of(incident: Incident, state: State, matter: Matter, executor: str = "") -> Standing:
    """Return what the approvals of a matter come to, if `executor` did it now.

    Raises
    ------
    UnprovableError
        If its rule demands signatures and none can be checked here.
    """
    return _Scales(incident).weigh(state, matter, executor)


class _Scales:
    """The rules and the keys of a workspace, read once."""

    def __init__(self, incident: Incident) -> None:
        places = incident.places
        self.incident = incident
        self.rules = load_approval_rules(
            places.policy_file("approvals") if places else shipped("policies") / "approvals.yaml"
        )
        self.check = check_of(places, incident.directory)

    def rule(self, matter: Matter) -> Rule:
        """Return what a matter demands."""
        asked = (matter.environment, matter.severity, matter.risk, matter.way)
        return rule_for(self.rules, *asked, at_least=matter.at_least)

    def weigh(self, state: State, matter: Matter, executor: str = "") -> Standing:
        """Return what the approvals of a matter come to."""
        return standing(
            state.entries,
            matter.subject,
            matter.plan,
            self.rule(matter),
            requester=matter.requester,
            executor=executor,
            now=self.incident.clock(),
            directory=self.incident.directory,
            check_signature=self.check,
        )


def approve(incident: Incident, said: Said) -> Step:
    """Approve something, for as long as its rule says.

    Raises
    ------
    RefusedError
        If this person's approval would not count, or it has changed since it was seen; that is on the ledger.
    UsageError
        If it cannot be signed.
    UnprovableError
        If it is signed, or has to be, and no signature can be checked here.
    """
    return _say(incident, GIVEN, said)


def reject(incident: Incident, said: Said) -> Step:
    """Reject something: nobody can do it until this is taken back or it has changed.

    Raises
    ------
    UsageError
        If there is no reason, or it cannot be signed.
    RefusedError
        If this person may not.
    """
    reason(said.because, needed_for="a rejection")
    return _say(incident, REJECTED, said)


def withdraw(incident: Incident, said: Said) -> Step:
    """Take back what this person approved or rejected.

    Raises
    ------
    RefusedError
        If nothing of theirs stands, or they signed it and do not sign this.
    """
    return _say(incident, WITHDRAWN, said)


def _say(incident: Incident, kind: str, said: Said) -> Step:
    operation = _OPERATIONS[kind]
    actor = incident.allow(operation, subject=said.subject)
    scales = _Scales(incident)
    try:
        body = _signed(scales, kind, said, actor)
    except NotNowError as no:
        incident.refuse(operation, actor, no.message, subject=said.subject, hint=no.hint)
    except _AlreadyError as done:
        return Step(done.entry, new=False)

    def make(state: State, acting: Actor) -> tuple[str, dict[str, Any]]:
        matter = _matter(said, state, body["plan"])
        _check(scales, kind, state, matter, acting, body)
        return kind, body

    try:
        return take_step(incident, operation, make, subject=said.subject)
    except _AlreadyError as done:
        return Step(done.entry, new=False)


def _matter(said: Said, state: State, seen: str) -> Matter:
    """Return what it is now, if it is what was seen."""
    try:
        matter = said.matter_of(state)
    except RefusedError as error:
        raise NotNowError(error.message, hint=error.hint) from None
    if seen and matter.plan != seen:
        raise NotNowError(
            f"what would be done is not what was shown: it is {matter.plan} now",
            hint=f"look at it again: rbnb approve {state.incident} {said.subject}",
        )
    return matter


def _signed(scales: _Scales, kind: str, said: Said, actor: Actor) -> dict[str, Any]:
    """Return the body of the entry, signed where there is a key, after everything but the signature was checked."""
    incident = scales.incident
    state = incident.state()
    matter = _matter(said, state, said.plan)
    at = state.now(incident.clock)
    expires_at = format_time(at + scales.rule(matter).expires) if kind == GIVEN else ""
    because = said.because.strip() and reason(said.because, needed_for="an approval")
    about = (matter.subject, matter.plan, actor.id, format_time(at), expires_at, because)
    body = {
        "subject": matter.subject,
        "plan": matter.plan,
        "identity": "asserted",
        "key": "",
        "signature": "",
        "statement": statement_of(incident.name, kind, *about),
        "at": format_time(at),
        "expires_at": expires_at,
        "because": because,
    }
    if said.key is None:
        _check(scales, kind, state, matter, actor, body)
        return body
    return {**body, **_proof(scales, actor, body["statement"], said.key, at)}


def _proof(scales: _Scales, actor: Actor, statement: str, key: Path, at: datetime) -> dict[str, str]:
    person = scales.incident.directory.resolve(actor.id)
    if person is None:
        raise NotNowError(_NOBODY, hint=_NAME_THEM)
    signature = sign(statement, key)
    proof = scales.check(person, statement, signature, at)
    if proof.why_not:
        raise NotNowError(proof.why_not, hint="the key has to stand in the file of allowed signers, for them alone")
    return {"identity": "verified", "key": proof.key, "signature": signature}


def _check(scales: _Scales, kind: str, state: State, matter: Matter, actor: Actor, body: dict[str, Any]) -> None:
    """Refuse what would not count; stop where it is said already."""
    if scales.incident.directory.resolve(actor.id) is None:
        raise NotNowError(_NOBODY, hint=_NAME_THEM)
    if kind == GIVEN and matter.missing:
        raise NotNowError(
            f"nobody has said what {', '.join(matter.missing)} is, so nobody knows what would be done",
            hint=f"decide again with --set {matter.missing[0]}=…, or put it into the model file",
        )
    if state.now(scales.incident.clock) - parse_time(body["at"]) > LONGEST_SIGNING:
        raise NotNowError("it was signed too long ago", hint="approve it again")
    before = scales.weigh(state, matter)
    after = scales.weigh(_with(state, kind, actor, body), matter)
    {GIVEN: _check_given, REJECTED: _check_rejected, WITHDRAWN: _check_withdrawn}[kind](
        before, after, state, actor, body
    )


def _with(state: State, kind: str, actor: Actor, body: dict[str, Any]) -> State:
    """Return the state as it would be with one entry more."""
    last = state.entries[-1]
    entry = Entry(last.seq + 1, kind, parse_time(body["at"]), actor.id, body, last.digest, "0" * 64)
    return dataclasses.replace(state, entries=(*state.entries, entry))


def _check_given(before: Standing, after: Standing, state: State, actor: Actor, body: dict[str, Any]) -> None:
    others = [one for one in before.rejected if one.person != actor.id]
    if others:
        raise NotNowError(
            f"{others[0].person} rejected it ({one_line(others[0].because, 200)})",
            hint=f"they can take it back: rbnb reject {state.incident} {body['subject']} --withdraw",
        )
    for one in before.given:
        if one.person == actor.id and one.identity in ("verified", body["identity"]):
            raise _AlreadyError(_entry(state, one.seq))
    mine = next((one for one in after.given if one.seq == state.entries[-1].seq + 1), None)
    if mine is None:
        why = after.why_not[-1].partition(": ")[2] if after.why_not else "it would not count"
        hint = "sign it: --key, or RBNB_SSH_KEY" if "signature" in why else ""
        raise NotNowError(f"their approval would not count: {why}", hint=hint)


def _check_rejected(before: Standing, after: Standing, state: State, actor: Actor, body: dict[str, Any]) -> None:
    for one in before.rejected:
        if one.person == actor.id and (one.signed or body["identity"] == "asserted"):
            raise _AlreadyError(_entry(state, one.seq))
    if not any(one.person == actor.id for one in after.rejected):
        raise NotNowError("their rejection would not count")


def _check_withdrawn(before: Standing, after: Standing, state: State, actor: Actor, body: dict[str, Any]) -> None:
    if actor.id not in (*before.by, *(one.person for one in before.rejected)):
        raise NotNowError(
            "nothing they said about it stands", hint=f"see what does: rbnb pending {state.incident}, {body['subject']}"
        )
    if any(one.person == actor.id for one in after.rejected):
        raise NotNowError("their rejection was signed, or has to be", hint="sign this as well: --key, or RBNB_SSH_KEY")


def _entry(state: State, seq: int) -> Entry:
    return next(entry for entry in state.entries if entry.seq == seq)
