"""Return to service: acceptance, and watching."""

from __future__ import annotations

__all__: list[str] = []
