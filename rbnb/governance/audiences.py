"""Who is told, and what they may hear: `policies/communication.yaml`, and the texts in `policies/updates/`.

Rules: each fact has a level that no file can lower (`LEVEL_OF`); an audience whose list holds a fact above its level is
refused when the file is read, not when it is too late; no colour of trouble is green.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator, model_validator

from rbnb.config import Duration, Name, Settings, parse_settings, read_yaml
from rbnb.errors import ConfigError, NotFoundError

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from rbnb.config import Places

__all__ = [
    "LEVELS",
    "LEVEL_OF",
    "Audience",
    "Communication",
    "Words",
    "load_communication",
    "may_hear",
    "template_of",
]

#: From what anybody may hear to what those who work on it may hear.
LEVELS = ("public", "internal", "restricted")

#: Every fact an update can hold, and the lowest level that may hear it.
LEVEL_OF = {
    "about": "public",
    "measured": "public",
    "unknown": "public",
    "what": "public",
    "before": "public",
    "since": "public",
    "how_bad": "public",
    "done": "public",
    "next_steps": "public",
    "note": "public",
    "environment": "internal",
    "version": "internal",
    "segments": "internal",
    "checks": "internal",
    "decisions": "internal",
    "acceptance": "internal",
    "times": "internal",
    "headline": "restricted",
    "verdict": "restricted",
    "signals": "restricted",
    "hypotheses": "restricted",
    "proposal": "restricted",
    "command": "restricted",
    "decisions_by": "restricted",
    "attempts": "restricted",
    "people": "restricted",
    "not_measured": "restricted",
    "held": "restricted",
}

_SEVERITIES = ("SEV1", "SEV2", "SEV3", "SEV4")
_UNGRADED = "SEV2"  # what nobody has graded yet is told as often as what is serious

LevelName = Literal["public", "internal", "restricted"]
SeverityName = Literal["SEV1", "SEV2", "SEV3", "SEV4"]
RoleName = Literal["incident_commander", "responder", "approver", "scribe"]


class Audience(Settings):
    """Somebody who is told: how much, by whom, how often."""

    level: LevelName
    by: RoleName
    told: str
    through: str = ""
    from_severity: SeverityName = "SEV4"
    every: dict[str, Duration]
    facts: list[str]

    @field_validator("every")
    @classmethod
    def _every_severity(cls, every: dict[str, timedelta]) -> dict[str, timedelta]:
        if set(every) != set(_SEVERITIES):
            raise ValueError(f"must say how often at {', '.join(_SEVERITIES)}, and at nothing else")
        return every

    @model_validator(mode="after")
    def _nothing_above_its_level(self) -> Audience:
        for fact in self.facts:
            if fact not in LEVEL_OF:
                raise ValueError(f"{fact} is no fact; known are {', '.join(sorted(LEVEL_OF))}")
            if not may_hear(self.level, LEVEL_OF[fact]):
                raise ValueError(f"{fact} is {LEVEL_OF[fact]}, and this audience may hear what is {self.level}")
        return self

    def cadence(self, severity: str) -> timedelta:
        """Return how long until the next update; what is not graded counts as serious."""
        return self.every.get(severity, self.every[_UNGRADED])


class Words(Settings):
    """What is said outside, in fixed words: the only names that leave."""

    severity: dict[SeverityName, str]
    status: dict[str, str]
    resolution: dict[str, str] = Field(default_factory=dict)
    verdict: dict[str, str] = Field(default_factory=dict)
    checks: dict[str, str] = Field(default_factory=dict)
    trouble: dict[str, str] = Field(default_factory=dict)
    measures: dict[str, str] = Field(default_factory=dict)
    instead: dict[str, str] = Field(default_factory=dict)
    said: dict[str, list[str]] = Field(default_factory=dict)


class Communication(Settings):
    """`policies/communication.yaml`."""

    name: Literal["communication"]
    version: str
    source: str
    smallest_group: Annotated[int, Field(ge=10)] = 10
    audiences: Annotated[dict[Name, Audience], Field(min_length=1)]
    colours: dict[SeverityName, Literal["red", "amber"]]
    called: dict[str, str] = Field(default_factory=dict)
    machines: list[str] = Field(default_factory=list)
    words: Words

    def audience(self, name: str) -> Audience:
        """Return one audience.

        Raises
        ------
        NotFoundError
            If there is none of that name.
        """
        if name not in self.audiences:
            raise NotFoundError("audience", name, self.audiences, where="policies/communication.yaml")
        return self.audiences[name]

    def told(self, severity: str) -> list[str]:
        """Return the audiences that are told at a severity; one that is not graded tells everybody."""
        return [name for name, one in self.audiences.items() if not severity or severity <= one.from_severity]


def may_hear(level: str, fact_level: str) -> bool:
    """Tell whether an audience of a level may hear a fact of a level.

    Examples
    --------
    >>> may_hear("internal", "public"), may_hear("internal", "restricted")
    (True, False)
    """
    return LEVELS.index(fact_level) <= LEVELS.index(level)


def load_communication(path: Path) -> Communication:
    """Read who is told what.

    Raises
    ------
    ConfigError
        If the file is unreadable, a key is wrong, or an audience would hear what is above its level.
    """
    return parse_settings(Communication, read_yaml(path), path)


def template_of(places: Places, audience: str) -> Path:
    """Return the text of an audience: the workspace's own, else the one that comes with rbnb.

    Raises
    ------
    ConfigError
        If there is none.
    """
    for folder in places.policies:
        path = folder / "updates" / f"{audience}.md.j2"
        if path.is_file():
            return path
    wanted = places.policies[0] / "updates" / f"{audience}.md.j2"
    raise ConfigError(
        wanted, "", "is missing", hint="write the text of this audience there; docs/communication.md tells how"
    )
