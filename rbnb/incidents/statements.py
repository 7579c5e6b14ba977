"""What a person says about something that waits for approval: one line of text, and how it is proved.

Rules: the line names the incident, the thing by its digest, the person, the verb and the times, so that it is good for
nothing else; it is ASCII, so that what a person signs hides nothing; whoever proves it says with which key.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from rbnb.errors import RbnbError

if TYPE_CHECKING:
    from datetime import datetime

    from rbnb.people import Person

__all__ = [
    "GIVEN",
    "LONGEST_SIGNING",
    "REJECTED",
    "VERBS",
    "WITHDRAWN",
    "CheckSignature",
    "Proof",
    "UnprovableError",
    "nobody_checks",
    "statement_of",
]

#: The kinds of entry, and the verb that the statement of each carries.
GIVEN, REJECTED, WITHDRAWN = "approval.given", "approval.rejected", "approval.withdrawn"
VERBS = {GIVEN: "approve", REJECTED: "reject", WITHDRAWN: "withdraw"}

#: Between making a statement and having it on the ledger: long enough to type a passphrase.
LONGEST_SIGNING = timedelta(minutes=10)


class UnprovableError(RbnbError):
    """No signature can be checked here: there is no ssh-keygen, or rbnb.toml names no allowed signers."""

    exit_code = 7


@dataclass(frozen=True, slots=True)
class Proof:
    """What checking a signature came to: the fingerprint of the key, or why it does not count."""

    key: str = ""
    why_not: str = ""


class CheckSignature(Protocol):
    """Checks that a person has signed a statement with a key that is allowed for them now."""

    def __call__(self, person: Person, statement: str, signature: str, at: datetime) -> Proof:
        """Return what it came to; raises UnprovableError where no signature can be checked at all."""


def nobody_checks(person: Person, statement: str, signature: str, at: datetime) -> Proof:  # noqa: ARG001 - a protocol
    """Check nothing, for where no signature can be.

    Raises
    ------
    UnprovableError
        Always.
    """
    raise UnprovableError(
        "signed approvals cannot be checked: rbnb.toml names no allowed signers",
        hint='name the file with everybody\'s keys: [identity] allowed_signers = "allowed_signers"',
    )


def statement_of(
    incident: str, kind: str, subject: str, plan: str, person: str, at: str, expires_at: str = "", because: str = ""
) -> str:
    """Return the one line that an approval says, and that is signed: JSON in ASCII, keys sorted, without blanks.

    Parameters
    ----------
    kind
        `GIVEN`, `REJECTED` or `WITHDRAWN`.
    subject, plan
        What it is about, and the digest of exactly that.
    person
        The id by rbnb.toml.
    at, expires_at
        As `rbnb.times.format_time` writes them.

    Examples
    --------
    >>> plan, at = "sha256:" + 64 * "0", "2026-11-22T12:00:00Z"
    >>> statement_of("INC-20261122-01", REJECTED, "throttle", plan, "cleo", at)[:74]
    '{"at":"2026-11-22T12:00:00Z","because":"","expires_at":"","format":1,"inci'
    """
    facts = {
        "at": at,
        "because": because,
        "expires_at": expires_at,
        "format": 1,
        "incident": incident,
        "person": person,
        "plan": plan,
        "subject": subject,
        "verb": VERBS[kind],
    }
    return json.dumps(facts, sort_keys=True, separators=(",", ":"))
