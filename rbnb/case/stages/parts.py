"""Small pieces that the views of several stages share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbnb.model import Finding, Window

__all__ = ["fact", "is_context", "listed", "span"]


def fact(label: str, value: Any, kind: str = "text", link: str = "") -> dict[str, Any]:  # noqa: ANN401
    """Return one line of facts."""
    return {"label": label, "value": value, "kind": kind} | ({"link": link} if link else {})


def span(window: Window) -> str:
    """Write a window so that a day is said once."""
    start, end = window.start, window.end
    if start.date() == end.date():
        return f"{start:%a %d %b %Y, %H:%M}–{end:%H:%M} UTC"
    return f"{start:%a %d %b %Y, %H:%M} – {end:%a %d %b, %H:%M} UTC"


def listed(items: Sequence[str], most: int = 4) -> str:
    """Join a few items, and say how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return "; ".join(items[:most]) + more


def is_context(finding: Finding) -> bool:
    """Tell whether a finding has no threshold and only gives context."""
    return finding.threshold.startswith("none")
