"""Risk, and the rules an incident may touch."""

from __future__ import annotations

__all__: list[str] = []
