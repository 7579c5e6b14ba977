"""Who may do what, in which state of an incident: a table, read from `policies/authority.yaml`.

Rules: what is not in the table is not allowed to anybody; a role that is denied wins over every role that is allowed;
the reason for a refusal says what would be needed. Pure: who somebody is, and what state an incident is in, is
worked out elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from rbnb.config import Settings, parse_settings, read_yaml
from rbnb.people import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["ANYONE", "OPERATIONS", "STATES", "Authority", "Permission", "load_authority", "permitted"]

#: Whoever is there, also somebody whom rbnb.toml does not name.
ANYONE = "anyone"

#: Everything in an incident that needs a permission.
OPERATIONS = (
    "note",
    "acknowledge",
    "assign",
    "severity",
    "status",
    "decide",
    "approve",
    "reject",
    "dry_run",
    "act",
    "rollback",
    "accept",
    "watch",
    "release",
    "update",
    "governance",
    "close",
    "reopen",
)

#: The states an incident can be in; one whose ledger is damaged allows nothing.
STATES = ("open", "contained", "remediated", "monitoring", "closed")

RoleName = Literal["anyone", "incident_commander", "responder", "approver", "scribe", "stakeholder"]
StateName = Literal["open", "contained", "remediated", "monitoring", "closed"]


class Permission(Settings):
    """Who may do one thing, and when."""

    roles: Annotated[list[RoleName], Field(min_length=1)]
    deny: list[RoleName] = Field(default_factory=list)
    states: Annotated[list[StateName], Field(min_length=1)]


class Authority(Settings):
    """`policies/authority.yaml`."""

    name: Literal["authority"]
    version: str
    operations: dict[str, Permission]

    @model_validator(mode="after")
    def _known_operations(self) -> Authority:
        if unknown := sorted(set(self.operations) - set(OPERATIONS)):
            raise ValueError(f"{unknown[0]} is no operation; known are {', '.join(OPERATIONS)}")
        return self


def load_authority(path: Path) -> Authority:
    """Read the table.

    Raises
    ------
    ConfigError
        If the file is unreadable, or a key, role or state is unknown.
    """
    return parse_settings(Authority, read_yaml(path), path)


def permitted(table: Authority, operation: str, roles: Iterable[str], status: str) -> str:
    """Tell why somebody may not do something, or "" if they may.

    Parameters
    ----------
    operation
        One of `OPERATIONS`.
    roles
        What the person holds, from rbnb.toml and in the incident.
    status
        Of the incident.

    Examples
    --------
    >>> rule = Permission(roles=["responder"], deny=["stakeholder"], states=["open"])
    >>> table = Authority(name="authority", version="1", operations={"act": rule})
    >>> permitted(table, "act", ["responder"], "open")
    ''
    >>> permitted(table, "act", ["responder", "stakeholder"], "open")
    'a stakeholder may not act'
    >>> permitted(table, "close", ["responder"], "open")
    'nobody may close here'
    """
    rule = table.operations.get(operation)
    doing = _WORDS.get(operation, operation)
    if rule is None:
        return f"nobody may {doing} here"
    held = set(roles)
    if denied := [role for role in ROLES if role in held and role in rule.deny]:
        return f"{_named(denied[:1])} may not {doing}"
    if status not in rule.states:
        return f"the incident is {status}; to {doing} it must be {' or '.join(rule.states)}"
    if ANYONE in rule.roles or held & set(rule.roles):
        return ""
    return f"only {_named(rule.roles)} may {doing}"


_WORDS = {
    "assign": "assign a role",
    "severity": "set the severity",
    "status": "set the status",
    "dry_run": "try an action",
    "rollback": "roll back",
    "release": "release a held rollout",
    "update": "write an update",
    "governance": "answer for risk and rules",
}


def _named(roles: Iterable[str]) -> str:
    named = [f"{'an' if role[0] in 'aeio' else 'a'} {role.replace('_', ' ')}" for role in roles]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"
