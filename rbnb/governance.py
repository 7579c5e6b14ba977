"""How a team must respond, and which rules an incident may touch: read from files, told with their clocks.

Rules: durations run from detection; an item is listed when the model file names its framework, or when
the model handles personal data and the item is about that; nothing here decides whether a law applies,
and everything that is shown says so.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from rbnb.config import Duration, Settings, parse_settings, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Audience", "Compliance", "ComplianceItem", "Level", "Response", "due", "load_compliance", "load_response"]


class Level(Settings):
    """What one severity demands, as spans from detection."""

    colour: Literal["green", "amber", "red", "grey"]
    acknowledge: Duration
    first_update: Duration
    contain: Duration
    escalate: Duration
    update_every: Duration
    review_within: Duration
    approvers: Annotated[int, Field(ge=0, le=9)]


class Audience(Settings):
    """Who is told what, by whom."""

    who: str
    told: str
    by: str
    channel: str
    from_severity: Literal["SEV1", "SEV2", "SEV3", "SEV4"] = "SEV4"


class Response(Settings):
    """`policies/response.yaml`."""

    name: str
    version: str
    levels: dict[Literal["SEV1", "SEV2", "SEV3", "SEV4"], Level]
    audiences: list[Audience]

    @field_validator("levels")
    @classmethod
    def _every_level(cls, levels: dict[str, Level]) -> dict[str, Level]:
        if missing := [name for name in ("SEV1", "SEV2", "SEV3", "SEV4") if name not in levels]:
            raise ValueError(f"must say what {', '.join(missing)} demands")
        return levels

    def told(self, severity: str) -> list[Audience]:
        """Return who is told at this severity."""
        return [audience for audience in self.audiences if severity <= audience.from_severity]


class ComplianceItem(Settings):
    """One item of a framework in our own words."""

    id: str
    framework: str
    text: str
    evidence: str
    deadline: Duration | None = None


class Compliance(Settings):
    """`policies/compliance.yaml`."""

    name: str
    version: str
    checked_on: date
    items: list[ComplianceItem]

    def touching(self, frameworks: Iterable[str], data: Iterable[str]) -> list[ComplianceItem]:
        """Return the items of these frameworks, and of the data protection law when data are personal."""
        chosen = set(frameworks) | ({"gdpr"} if {"personal", "special"} & set(data) else set())
        return [item for item in self.items if item.framework in chosen]


def load_response(path: Path) -> Response:
    """Read how a team responds.

    Raises
    ------
    ConfigError
        If the file is unreadable, or a key is unknown or wrong.
    """
    return parse_settings(Response, read_yaml(path), path)


def load_compliance(path: Path) -> Compliance:
    """Read the compliance items.

    Raises
    ------
    ConfigError
        If the file is unreadable, or a key is unknown or wrong.
    """
    return parse_settings(Compliance, read_yaml(path), path)


def due(level: Level, detected: datetime) -> list[tuple[str, datetime]]:
    """Return what a severity demands and by when, soonest first.

    Parameters
    ----------
    detected
        Aware time from which the spans run.
    """
    spans = {
        "acknowledge": level.acknowledge,
        "first update": level.first_update,
        "escalate unless contained": level.escalate,
        "contain": level.contain,
        "review meeting": level.review_within,
    }
    return sorted(((what, detected + span) for what, span in spans.items()), key=lambda pair: pair[1])
