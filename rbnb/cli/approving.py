"""Approve or reject what is to be done, and list what waits for it."""

from __future__ import annotations

__all__: list[str] = []
