"""Tell those concerned how it stands."""

from __future__ import annotations

__all__: list[str] = []
