"""Learning: the questions for the review, with what this run can say to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.view import Table, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbnb.inventory import ModelFile
    from rbnb.model import Finding
    from rbnb.policy import Decision
    from rbnb.view import View

__all__ = ["learning"]


def learning(model: ModelFile, findings: Sequence[Finding], decision: Decision) -> list[View]:
    """Show the questions for the review, with what this run can say to them."""
    warned = [f.signal for f in findings if f.status == "warning"]
    unknown = [f.signal for f in findings if f.status == "undefined"]
    rows = (
        ("Who or what noticed first, and could it have been sooner?", "compare the onset with when the page went out"),
        (
            "Did the verdict hold up?",
            f"it was {decision.verdict.name}, by way of {' → '.join(b.node for b in decision.branch)}",
        ),
        ("Which thresholds should move?", f"near the limit: {', '.join(warned) or 'none'}"),
        ("What could not be measured, and should be?", ", ".join(unknown) or "see the list of what was not measured"),
        ("What went well by luck?", ""),
        ("Which change request or experiment belongs to this?", model.links.get("change_requests", "")),
    )
    return [Table("Questions for the review", columns("question", "what this run says"), rows)]
