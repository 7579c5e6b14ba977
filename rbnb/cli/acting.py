"""Do what was decided and approved, and undo it."""

from __future__ import annotations

__all__: list[str] = []
