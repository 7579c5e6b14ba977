"""What the approvals on record come to: pure, over the entries of a ledger.

Rules:

- **An approval is of exactly one thing**: it names the digest of it. Whatever changes makes another digest, for which
  nothing on record counts.
- **It says what it says in one line**, its statement, and that must equal what the entry says, byte for byte. The same
  statement counts once; one that was recorded long after it was made, does not count.
- **Different people.** One person counts once, and one key counts once. Who decided and who executes never count; nor
  does who is not named in rbnb.toml, was revoked there (also since), or holds none of the roles there. A role that
  was assigned in the incident does not count: nobody mints an approver.
- **Who says no wins**, as long as they do not take it back, for this very plan. What was signed is taken back only by
  something signed.
- **It expires**, judged by the latest time on the ledger or now, whichever is later, and by how much time has passed
  along the ledger: a clock that goes back revives nothing, and one that was ahead for a while does not make an
  approval last.
- **A signature is checked whenever it is counted**, so that a key that was removed no longer counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from rbnb.errors import UsageError
from rbnb.incidents.approval_rules import Rule, rule_for
from rbnb.incidents.statements import (
    GIVEN,
    LONGEST_SIGNING,
    REJECTED,
    VERBS,
    WITHDRAWN,
    CheckSignature,
    Proof,
    UnprovableError,
    nobody_checks,
    statement_of,
)
from rbnb.text import one_line
from rbnb.times import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rbnb.ledger import Entry
    from rbnb.people import Directory, Person

__all__ = [
    "GIVEN",
    "LONGEST_SIGNING",
    "REJECTED",
    "WITHDRAWN",
    "CheckSignature",
    "Given",
    "Proof",
    "Refusal",
    "Rule",
    "Standing",
    "UnprovableError",
    "nobody_checks",
    "rule_for",
    "standing",
    "statement_of",
]

#: What the body of an entry has, no more and no less.
_KEYS = frozenset({"subject", "plan", "identity", "key", "signature", "statement", "at", "expires_at", "because"})


@dataclass(frozen=True, slots=True)
class Given:
    """An approval that counts."""

    seq: int
    person: str
    at: datetime
    expires_at: datetime
    identity: str
    key: str
    because: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rejection that stands."""

    seq: int
    person: str
    because: str
    signed: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """What the approvals of one thing come to.

    Parameters
    ----------
    met
        Whether they suffice.
    given
        Those that count, in order.
    missing
        What is still needed, such as ``2 approvals: 1 given, 1 more from an approver``; "" where they suffice.
    why_not
        Why each of the others does not count.
    rejected
        The rejections that stand.
    """

    met: bool
    rule: Rule
    given: tuple[Given, ...] = ()
    missing: str = ""
    why_not: tuple[str, ...] = ()
    rejected: tuple[Refusal, ...] = ()

    @property
    def by(self) -> tuple[str, ...]:
        """Who gave those that count."""
        return tuple(one.person for one in self.given)


def standing(
    entries: Sequence[Entry],
    subject: str,
    plan: str,
    rule: Rule,
    *,
    requester: str,
    executor: str,
    now: datetime,
    directory: Directory,
    check_signature: CheckSignature = nobody_checks,
) -> Standing:
    """Return what the approvals of one thing come to.

    Parameters
    ----------
    entries
        All of the ledger, in order.
    subject, plan
        What it is: an action or ``close``, and the digest of exactly what would be done.
    rule
        What it demands (`rule_for`).
    requester, executor
        Who decided on it, and who would do it now; "" where nobody has or is known to.
    now
        As the clock reads; the times on the ledger are taken into account here.
    directory
        The people by rbnb.toml, as they are now.
    check_signature
        See `rbnb.incidents.signing`.

    Raises
    ------
    UnprovableError
        If the rule demands signatures and none can be checked here.
    """
    told = _Told(entries, subject, plan, rule, directory, check_signature, now)
    told.never = {_same(requester, directory): "decided on it", _same(executor, directory): "executes it"}
    for entry in entries:
        told.take(entry)
    return told.standing()


def _same(name: str, directory: Directory) -> str:
    person = directory.resolve(name)
    return person.id if person else name


@dataclass(slots=True)
class _Sound:
    """A statement that is what its entry says: until when it holds, and whether it is signed."""

    at: datetime
    expires_at: datetime | None
    signed: bool
    key: str


class _UnsoundError(Exception):
    """An entry that says nothing that counts, and why."""


@dataclass(slots=True)
class _Told:
    """What has been said about one plan, while the entries are read one by one."""

    entries: Sequence[Entry]
    subject: str
    plan: str
    rule: Rule
    directory: Directory
    check: CheckSignature
    now: datetime
    never: dict[str, str] = field(default_factory=dict)
    given: dict[str, Given] = field(default_factory=dict)
    rejected: dict[str, Refusal] = field(default_factory=dict)
    why_not: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    highest: datetime | None = None
    passed: timedelta = timedelta(0)
    before: datetime | None = None
    passed_at: dict[int, timedelta] = field(default_factory=dict)

    def take(self, entry: Entry) -> None:
        """Read one entry, and what it says about the plan."""
        self._go_on(entry)
        body = entry.body
        if entry.kind in VERBS and body.get("subject") == self.subject and body.get("plan") == self.plan:
            self._said(entry)

    def _go_on(self, entry: Entry) -> None:
        """Let the time pass that lies between this entry and the one before."""
        self.highest = max(self.highest, entry.at) if self.highest else entry.at
        self.passed += max(timedelta(0), entry.at - self.before) if self.before else timedelta(0)
        self.before = entry.at
        self.passed_at[entry.seq] = self.passed

    def _said(self, entry: Entry) -> None:
        person = self.directory.resolve(entry.by)
        if person is None or person.revoked:
            self._skip(entry, "was revoked in rbnb.toml" if person else "is not named in rbnb.toml")
            return
        if entry.kind != GIVEN:
            self.given.pop(person.id, None)
        if entry.kind == REJECTED:  # also one that was edited: what is unsound never lets anything happen
            signed = entry.body.get("identity") == "verified"
            self.rejected[person.id] = Refusal(entry.seq, person.id, str(entry.body.get("because", "")), signed)
            return
        try:
            sound = self._sound(entry, person)
            self._lift(person, sound)
            if entry.kind == GIVEN:
                self.given[person.id] = self._counting(entry, person, sound)
        except _UnsoundError as why:
            self._skip(entry, str(why))

    def _skip(self, entry: Entry, why: str) -> None:
        self.why_not.append(f"entry {entry.seq}, by {one_line(entry.by)}: {why}")

    def _lift(self, person: Person, sound: _Sound) -> None:
        """Take back what this person rejected, if what they say now weighs as much."""
        refusal = self.rejected.get(person.id)
        if refusal is None:
            return
        if (refusal.signed or self.rule.verified) and not sound.signed:
            raise _UnsoundError("does not take back the rejection: that needs a signature")
        del self.rejected[person.id]

    def _sound(self, entry: Entry, person: Person) -> _Sound:
        """Return the statement of an entry, if it is exactly what the entry says and was made when it was recorded."""
        body = entry.body
        if set(body) != _KEYS or not all(isinstance(value, str) for value in body.values()):
            raise _UnsoundError("is not written as rbnb writes it")
        stated = statement_of(
            self._incident, entry.kind, self.subject, self.plan, person.id, body["at"], body["expires_at"],
            body["because"],
        )  # fmt: skip
        if body["statement"] != stated:
            raise _UnsoundError("its statement is not what the entry says, or is about another incident")
        if stated in self.used:
            raise _UnsoundError("its statement was used before")
        self.used.add(stated)
        at = _time(body["at"])
        since = max(self.highest, entry.at) - at if self.highest else timedelta(0)
        if not timedelta(0) <= since <= LONGEST_SIGNING:
            raise _UnsoundError(f"was made at {body['at']}, and recorded long after or before")
        expires_at = _time(body["expires_at"]) if entry.kind == GIVEN else None
        signed, key = self._proved(entry, person, at)
        return _Sound(at, expires_at, signed, key)

    @property
    def _incident(self) -> str:
        return str(self.entries[0].body.get("incident", ""))

    def _proved(self, entry: Entry, person: Person, at: datetime) -> tuple[bool, str]:
        body = entry.body
        if body["identity"] == "asserted" and not body["signature"] and not body["key"]:
            return False, ""
        if body["identity"] != "verified" or not body["signature"]:
            raise _UnsoundError("its identity is neither asserted nor verified")
        try:
            proof = self.check(person, body["statement"], body["signature"], at)
        except UnprovableError:
            if self.rule.verified:
                raise
            return False, ""  # nothing is proved, so it counts as asserted
        if proof.why_not:
            raise _UnsoundError(proof.why_not)
        if proof.key != body["key"]:
            raise _UnsoundError("it names another key than the one that signed it")
        return True, proof.key

    def _counting(self, entry: Entry, person: Person, sound: _Sound) -> Given:
        """Return an approval that counts towards the rule, or say why it does not."""
        expires_at = sound.expires_at or sound.at
        if role := self.never.get(person.id):
            raise _UnsoundError(f"{role}, so it does not count")
        if not set(person.roles) & set(self.rule.roles):
            raise _UnsoundError(f"holds none of the roles by rbnb.toml that count here: {_any_of(self.rule.roles)}")
        if self.rule.verified and not sound.signed:
            raise _UnsoundError("is asserted, and this demands a signature")
        lasts = expires_at - sound.at
        if not timedelta(0) < lasts <= self.rule.expires:
            raise _UnsoundError("is for longer than an approval is good for")
        identity = "verified" if sound.signed else "asserted"
        because = str(entry.body["because"])
        return Given(entry.seq, person.id, sound.at, expires_at, identity, sound.key, because)

    def standing(self) -> Standing:
        """Return what it all comes to, now."""
        given = self._once_a_key([one for one in self.given.values() if not self._expired(one)])
        rejected = tuple(self.rejected.values())
        enough = len(given) >= self.rule.people
        missing = _missing(rejected, given, self.rule)
        return Standing(enough and not rejected, self.rule, given, missing, tuple(self.why_not), rejected)

    def _expired(self, one: Given) -> bool:
        ended = one.expires_at <= max(self.now, self.highest or self.now)
        passed = self.passed + max(timedelta(0), self.now - (self.before or self.now)) - self.passed_at[one.seq]
        if ended or passed >= one.expires_at - one.at:
            self.why_not.append(f"entry {one.seq}, by {one.person}: expired at {format_time(one.expires_at)}")
            return True
        return False

    def _once_a_key(self, given: list[Given]) -> tuple[Given, ...]:
        counted: dict[str, Given] = {}
        for one in sorted(given, key=lambda one: one.seq):
            owner = counted.setdefault(one.key or one.person, one)
            if owner is not one:
                self.why_not.append(f"entry {one.seq}, by {one.person}: signed with the key that {owner.person} used")
        return tuple(counted.values())


def _time(text: str) -> datetime:
    try:
        return parse_time(text)
    except UsageError:
        raise _UnsoundError("its time cannot be read") from None


def _missing(rejected: Sequence[Refusal], given: Sequence[Given], rule: Rule) -> str:
    if rejected:
        who = ", ".join(f"{one.person} ({one_line(one.because, 80)})" for one in rejected)
        return f"the rejection taken back that stands, by {who}"
    more = rule.people - len(given)
    if more <= 0:
        return ""
    signed = "signed " if rule.verified else ""
    count = f"{rule.people} {signed}approval{'' if rule.people == 1 else 's'}"
    return f"{count}: {len(given)} given, {more} more from {_any_of(rule.roles)}"


def _any_of(roles: Sequence[str]) -> str:
    named = [f"{'an' if role[0] in 'aeio' else 'a'} {role.replace('_', ' ')}" for role in roles]
    return " or ".join(named)
