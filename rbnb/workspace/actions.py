"""Doing what was decided and approved."""

from __future__ import annotations

from rbnb.workspace.base import Base

__all__ = ["Actions"]


class Actions(Base):
    """Doing what was decided and approved."""
