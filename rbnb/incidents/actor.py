"""Who acts: the name that is asserted, as the workspace knows it.

A name is asserted by RBNB_USER or the login name, and proves nothing by itself; what must be proved is signed
(`rbnb.incidents.signing`). Rules: somebody whom rbnb.toml does not name holds no role, nor does somebody who was
revoked; approvers come from rbnb.toml alone, so that nobody mints one in an incident; while rbnb.toml names nobody
at all, whoever is there is responder and incident commander, and nobody an approver.
"""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rbnb.people import APPROVER
from rbnb.text import one_line

if TYPE_CHECKING:
    from rbnb.incidents.state import State
    from rbnb.people import Directory

__all__ = ["Actor", "identify", "user"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who does something.

    Parameters
    ----------
    id
        The name that entries carry.
    roles
        What they hold, by rbnb.toml and in the incident.
    known
        Whether rbnb.toml names them.
    spelled
        As they were asserted.
    """

    id: str
    roles: tuple[str, ...]
    known: bool
    spelled: str


def user() -> str:
    """Return who is asserted to act: RBNB_USER, else the login name."""
    try:
        return os.environ.get("RBNB_USER") or getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def identify(spelled: str, directory: Directory, state: State) -> Actor:
    """Return who is meant by a spelling, with the roles they hold in an incident."""
    person = directory.resolve(spelled)
    named = one_line(spelled, 64).strip() or "unknown"
    if person is None:
        return Actor(named, () if directory else ("incident_commander", "responder"), known=False, spelled=named)
    if person.revoked:
        return Actor(person.id, (), known=True, spelled=named)
    assigned = (role for role in state.roles_of(person.id) if role != APPROVER)
    return Actor(person.id, tuple(dict.fromkeys((*person.roles, *assigned))), known=True, spelled=named)
