"""What broken data comes to in a few words: the facts a policy's sentences are filled from, and the headline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rbnb.diagnoses.quality.hypotheses import clock, hypotheses, worded

if TYPE_CHECKING:
    from rbnb.diagnoses.quality.measure import DataQuality

__all__ = ["course", "criteria", "facts", "headline", "since"]


def facts(quality: DataQuality) -> dict[str, object]:
    """Return the values for the placeholders of a policy's texts."""
    return {
        "onset": _moment(quality.onset),
        "ended": _moment(quality.ended),
        "where": _where(quality),
        "what": _what(quality),
        "column": _column(quality),
        "how_many": f"{int(quality.touched.sum()):,}",
        "change": _change(quality),
    }


def _change(quality: DataQuality) -> str:
    """Say the change that fits best, with what speaks for it; nothing where none is supported."""
    kinds = ("source", "feature", "partition")
    made = [c for c in hypotheses(quality) if c.status == "supported" and c.kind not in kinds and c.at is not None]
    logged = [c for c in made if " at " in c.name]
    return f"{logged[0].name}, {logged[0].evidence}" if logged else ""


def _where(quality: DataQuality) -> str:
    if quality.troubles:
        return quality.troubles[0].where
    return quality.arrivals.lacks[0].where if quality.arrivals.lacks else ""


def _column(quality: DataQuality) -> str:
    if quality.schema:
        return quality.schema[0].feature
    return " and ".join(quality.troubles[0].features) if quality.troubles else ""


def _what(quality: DataQuality) -> str:
    """Say the surest thing that is wrong in one sentence."""
    if quality.schema:
        one = quality.schema[0]
        return f"{one.feature} {one.what}"
    if quality.troubles:
        trouble = quality.troubles[0]
        return f"{trouble.suspicion.feature} {trouble.suspicion.what}: {worded(quality, trouble)}"
    if quality.arrivals.lacks:
        lack = quality.arrivals.lacks[0]
        if lack.stopped:
            return f"the log has stopped: nothing came where {lack.expected:,.0f} requests are usual"
        return f"{lack.where or 'the log'}: {lack.held:,.0f} requests where {lack.expected:,.0f} are usual"
    return ""


def since(quality: DataQuality) -> str:
    """Return in plain words since when, and whether it is over; empty where nothing was found."""
    if quality.onset is None:
        return "No start could be made out." if quality.found else ""
    start = f"Since {_moment(quality.onset):%A, %d %B %Y, %H:%M} UTC"
    if quality.ended is None:
        return f"{start}. It is still going on."
    return f"{start}; over since {clock(quality, quality.ended)} UTC."


def headline(quality: DataQuality) -> list[str]:
    """Return the one or two lines a paged engineer reads first; empty where nothing was found."""
    if not quality.found:
        return []
    lines = [_what(quality)]
    touched = next((s for s in quality.impact if s.name == "requests_touched"), None)
    if touched is not None and touched.value:
        more = len({name for t in quality.troubles for name in t.features}) - 1
        beside = f"; {more} more column{'s' if more > 1 else ''} affected" if more > 0 else ""
        lines.append(f"{touched.value:.1%} of requests since then carry a wrong value{beside}")
    return lines


def course(quality: DataQuality) -> dict[str, Any]:
    """Return onset, end and whether it is still going on, for the record."""
    onset = quality.onset
    return {
        "onset": _moment(onset),
        "ended": _moment(quality.ended),
        "ongoing": None if onset is None else quality.ended is None,
    }


def criteria(quality: DataQuality) -> list[tuple[str, str]]:
    """Return what must hold beside the checks that fired: the owner's rules, and what happens to scored requests."""
    rules = [(f"rule {rule.name}", f"holds in every row: {rule.check}") for rule in quality.data.model.rules]
    n = int(quality.touched.sum())
    if n:
        rules.append(("requests scored on wrong data", f"{n:,} listed, rescored or written off by a person"))
    return rules


def _moment(epoch: int | None) -> datetime | None:
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC)
