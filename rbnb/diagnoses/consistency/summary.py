"""What inconsistent answers come to in a few words: facts for a policy's sentences, headline, since when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rbnb.diagnoses.consistency.hypotheses import hypotheses

if TYPE_CHECKING:
    from rbnb.diagnoses.consistency.measure import OutputInconsistency

__all__ = ["course", "criteria", "facts", "headline", "since"]


def facts(found: OutputInconsistency) -> dict[str, object]:
    """Return the values for the placeholders of a policy's texts."""
    stretch = found.lead.stretch if found.lead else None
    served = [s for s in found.inputs if s.name == "input_nulls"]
    nulls = max(served, key=lambda s: s.interval[0] if s.interval else -1.0, default=None)
    return {
        "onset": _moment(stretch.onset) if stretch else None,
        "ended": _moment(stretch.ended) if stretch and stretch.ended else None,
        "where": found.lead.where if found.lead else "",
        "what": _what(found),
        "compared": next(s.method for s in found.integrity if s.name == "comparisons"),
        "broken_input": nulls.where.partition("=")[2] if nulls is not None else "",
    }


def _what(found: OutputInconsistency) -> str:
    causes = hypotheses(found)
    return causes[0].name if causes else "nothing"


def criteria(found: OutputInconsistency) -> list[tuple[str, str]]:
    """Return what must hold, beside the checks that fired, before this counts as over."""
    tolerance = found.data.model.tolerance
    return [
        (
            "the same request, asked again",
            f"the same score within {tolerance.relative:g} relative, on every host and version",
        ),
        (
            "replay against the known-good model",
            "no difference beyond the tolerance, or one that its owner has agreed to",
        ),
    ]


def headline(found: OutputInconsistency) -> list[str]:
    """Return the one line a paged engineer reads first; empty where nothing was found."""
    if not found.found:
        return []
    value = found.affected.value
    share = f"{value:.1%} of requests wrong" if value else "answers differ"
    where = found.lead.where if found.lead and found.lead.where else "everywhere"
    return [f"{share}, {where}, {_when(found)}: {_what(found)}"]


def _when(found: OutputInconsistency) -> str:
    stretch = found.lead.stretch if found.lead else None
    if stretch is None:
        return "since when is not known"
    since = _clock(stretch.onset, found)
    return (
        f"from {since} to {_clock(stretch.ended, found)} UTC, over"
        if stretch.ended
        else f"since {since} UTC, still going on"
    )


def _clock(epoch: int, found: OutputInconsistency) -> str:
    moment = _moment(epoch)
    return f"{moment:%H:%M}" if moment.date() == found.scope.window.end.date() else f"{moment:%Y-%m-%d %H:%M}"


def since(found: OutputInconsistency) -> str:
    """Return in plain words since when, and whether it is over; empty where nothing was found."""
    if not found.found:
        return ""
    stretch = found.lead.stretch if found.lead else None
    if stretch is None:
        return "No start could be made out."
    start = f"Since {_moment(stretch.onset):%A, %d %B %Y, %H:%M} UTC"
    return (
        f"{start}; over since {_clock(stretch.ended, found)} UTC."
        if stretch.ended
        else f"{start}. It is still going on."
    )


def course(found: OutputInconsistency) -> dict[str, Any]:
    """Return onset, end and whether it is still going on, for the record."""
    stretch = found.lead.stretch if found.lead else None
    return {
        "onset": _moment(stretch.onset) if stretch else None,
        "ended": _moment(stretch.ended) if stretch and stretch.ended else None,
        "ongoing": None if stretch is None else stretch.ended is None,
    }


def _moment(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)
