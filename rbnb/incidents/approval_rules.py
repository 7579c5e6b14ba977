"""How many people must approve what: the rules of `policies/approvals.yaml`, and which of them fits.

Rules about the rules: the first that fits counts; the last must fit everything, so that an environment, a severity or
a risk that nobody thought of is met by a rule; a workspace's own file replaces the one that comes with rbnb whole.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from rbnb.config import Duration, Settings, parse_settings, read_yaml

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

__all__ = ["WAYS", "ApprovalRule", "ApprovalRules", "Rule", "load_approval_rules", "rule_for"]

#: What can be put to approval: doing an action, undoing one, closing an incident without acceptance.
WAYS = ("execute", "rollback", "close")

RoleName = Literal["incident_commander", "responder", "approver", "scribe", "stakeholder"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What one thing demands.

    Parameters
    ----------
    people
        How many different people must approve; 0 needs none, and a rejection still stands in its way.
    roles
        One of them is enough; held by rbnb.toml.
    verified
        Whether only signed approvals count.
    expires
        How long an approval is good for.
    name
        The rule's own, for people.
    """

    people: int
    roles: tuple[str, ...]
    verified: bool
    expires: timedelta
    name: str = ""


class ApprovalRule(Settings):
    """One rule of the file: what it is for, and what it demands."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    environment: list[str] = Field(default_factory=list)
    severity: list[Literal["SEV1", "SEV2", "SEV3", "SEV4"]] = Field(default_factory=list)
    risk: list[Literal["low", "medium", "high"]] = Field(default_factory=list)
    way: list[Literal["execute", "rollback", "close"]] = Field(default_factory=list)
    people: Annotated[int, Field(ge=0, le=9)]
    roles: Annotated[list[RoleName], Field(min_length=1)]
    verified: bool = False
    expires: Duration

    def fits(self, environment: str, severity: str, risk: str, way: str) -> bool:
        """Tell whether this rule is for such a thing."""
        asked = ((self.environment, environment), (self.severity, severity), (self.risk, risk), (self.way, way))
        return all(not named or _plain(value) in map(_plain, named) for named, value in asked)


class ApprovalRules(Settings):
    """`policies/approvals.yaml`."""

    name: Literal["approvals"]
    version: str
    rules: Annotated[list[ApprovalRule], Field(min_length=1)]

    @model_validator(mode="after")
    def _the_last_fits_all(self) -> ApprovalRules:
        last = self.rules[-1]
        if last.environment or last.severity or last.risk or last.way:
            raise ValueError(
                f"the last rule ({last.name}) must fit everything: leave out environment, severity, risk and way"
            )
        return self


def load_approval_rules(path: Path) -> ApprovalRules:
    """Read the rules.

    Raises
    ------
    ConfigError
        If the file is unreadable, a key or value is unknown, or the last rule does not fit everything.
    """
    return parse_settings(ApprovalRules, read_yaml(path), path)


def rule_for(
    rules: ApprovalRules, environment: str, severity: str, risk: str, way: str = "execute", *, at_least: int = 0
) -> Rule:
    """Return what something demands: the first rule that fits.

    Parameters
    ----------
    environment
        Where; capitals and blanks around it do not matter.
    severity
        Of the incident; "" where nobody has graded it, which only rules without a severity fit.
    risk
        Of the action; "" where it has none.
    way
        One of `WAYS`.
    at_least
        How many people the action itself demands.

    Examples
    --------
    >>> from datetime import timedelta
    >>> any_other = {"people": 2, "roles": ["approver"], "expires": timedelta(hours=2)}
    >>> trial = {"environment": ["test"], "people": 0, "roles": ["approver"], "expires": timedelta(hours=2)}
    >>> told = [{"name": "trial", **trial}, {"name": "any other", **any_other}]
    >>> rules = ApprovalRules.model_validate({"name": "approvals", "version": "1", "rules": told})
    >>> rule_for(rules, "Test", "SEV1", "high").people, rule_for(rules, "prod", "SEV1", "low").people
    (0, 2)
    """
    found = next(rule for rule in rules.rules if rule.fits(environment, severity, risk, way))
    rule = Rule(found.people, tuple(found.roles), found.verified, found.expires, found.name)
    return dataclasses.replace(rule, people=max(rule.people, at_least))


def _plain(value: str) -> str:
    return value.strip().casefold()
