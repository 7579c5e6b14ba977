"""Return to service: acceptance, and watching."""

from __future__ import annotations

from rbnb.workspace.base import Base

__all__ = ["Acceptance"]


class Acceptance(Base):
    """Return to service: acceptance, and watching."""
