"""The incident's course: acknowledge, assign, grade, move, close, and what is due."""

from __future__ import annotations

__all__: list[str] = []
