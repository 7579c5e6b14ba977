"""A refusal, put on record and raised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.errors import RefusedError

if TYPE_CHECKING:
    from rbnb.incidents import Actor, Incident

__all__ = ["refuse"]


def refuse(incident: Incident, operation: str, actor: Actor, action: str, error: RefusedError) -> None:
    """Put a refusal on record.

    Raises
    ------
    RefusedError
        With who wanted what; an error that carries more than words is left for the caller to raise as it is.
    """
    if type(error) is RefusedError:
        incident.refuse(operation, actor, error.message, subject=action, hint=error.hint)
    body = {"operation": operation, "subject": action, "why": error.message, "spelled": actor.spelled}
    incident.ledger.append(f"{operation}.refused", body, by=actor.id)
