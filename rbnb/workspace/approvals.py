"""Who approved what."""

from __future__ import annotations

from rbnb.workspace.base import Base

__all__ = ["Approvals"]


class Approvals(Base):
    """Who approved what."""
