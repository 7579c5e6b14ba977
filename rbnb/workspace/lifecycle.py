"""The incident's course: acknowledge, assign, grade, move, close, and what is due."""

from __future__ import annotations

from rbnb.workspace.base import Base

__all__ = ["Lifecycle"]


class Lifecycle(Base):
    """The incident's course: acknowledge, assign, grade, move, close, and what is due."""
