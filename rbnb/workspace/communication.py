"""Telling those concerned."""

from __future__ import annotations

from rbnb.workspace.base import Base

__all__ = ["Communication"]


class Communication(Base):
    """Telling those concerned."""
