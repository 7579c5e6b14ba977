"""How a team must respond at each severity: times, and who is told what.

Rule: durations run from detection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import field_validator

from rbnb.config import Duration, Settings, parse_settings, read_yaml

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

__all__ = ["Level", "Response", "due", "load_response"]


class Level(Settings):
    """What one severity demands, as spans from detection."""

    colour: Literal["green", "amber", "red", "grey"]
    acknowledge: Duration
    first_update: Duration
    contain: Duration
    escalate: Duration
    update_every: Duration
    review_within: Duration


class Response(Settings):
    """`policies/response.yaml`."""

    name: str
    version: str
    levels: dict[Literal["SEV1", "SEV2", "SEV3", "SEV4"], Level]

    @field_validator("levels")
    @classmethod
    def _every_level(cls, levels: dict[str, Level]) -> dict[str, Level]:
        if missing := [name for name in ("SEV1", "SEV2", "SEV3", "SEV4") if name not in levels]:
            raise ValueError(f"must say what {', '.join(missing)} demands")
        return levels


def load_response(path: Path) -> Response:
    """Read how a team responds.

    Raises
    ------
    ConfigError
        If the file is unreadable, or a key is unknown or wrong.
    """
    return parse_settings(Response, read_yaml(path), path)


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
