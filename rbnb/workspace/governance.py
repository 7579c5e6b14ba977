"""Risk, and the rules an incident may touch."""

from __future__ import annotations

from rbnb.workspace.base import Base

__all__ = ["Governance"]


class Governance(Base):
    """Risk, and the rules an incident may touch."""
