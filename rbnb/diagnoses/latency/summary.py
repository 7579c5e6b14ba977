"""What a latency spike comes to in a few words: the facts a policy's sentences are filled from, and the headline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rbnb.diagnoses.latency.hypotheses import dominant_stage, hypotheses

if TYPE_CHECKING:
    from rbnb.diagnoses.latency.measure import LatencySpike

__all__ = ["course", "criteria", "facts", "headline", "since"]


_PLAIN = {
    "p99": "The slowest one in a hundred takes",
    "p95": "The slowest one in twenty takes",
    "p50": "A typical request takes",
}


def facts(spike: LatencySpike) -> dict[str, object]:
    """Return the values for the placeholders of a policy's texts; a number comes with its unit."""
    episode, stage = spike.detection.episode, dominant_stage(spike.stages)
    level, before, now = _level(spike)
    unit = spike.log.unit
    return {
        "onset": _moment(episode.onset) if episode else None,
        "ended": _moment(episode.ended) if episode and episode.ended else None,
        "where": spike.segments[0].where if spike.segments else "",
        "stage": stage.where if stage else "",
        "component": _component(spike),
        "level": level,
        "level_plain": _PLAIN.get(level, "The measured value is"),
        "level_from": (before, unit),
        "level_to": (now, unit),
    }


def _component(spike: LatencySpike) -> str:
    """Return what is in trouble: the supported component or place, else the component that stands out most."""
    for cause in hypotheses(spike):
        if cause.status == "supported" and cause.kind in ("dependency", "host", "infrastructure"):
            component, colon, _ = cause.name.partition(": ")
            return component if colon else cause.where
    roots = [shift.component for shift in spike.shifts if not spike.symptoms.get(shift.component)]
    return roots[0] if roots else ""


def since(spike: LatencySpike) -> str:
    """Return in plain words since when, and whether it is over; empty where nothing was found."""
    episode = spike.detection.episode
    if episode is None:
        return "No start could be made out." if spike.found else ""
    start = f"Since {_moment(episode.onset):%A, %d %B %Y, %H:%M} UTC"
    return (
        f"{start}; over since {_clock(episode.ended, spike)} UTC."
        if episode.ended
        else f"{start}. It is still going on."
    )


def _level(spike: LatencySpike) -> tuple[str, float | None, float | None]:
    """Return the highest quantile that both sides have enough requests for, and its two values."""
    for signal in reversed([s for s in spike.comparison if s.name.startswith("latency_p")]):
        if signal.value is not None:
            name = signal.name
            values = [spike.quantiles[period][name][0] for period in ("reference", "current")]
            return name.removeprefix("latency_"), values[0], values[1]
    return "latency", None, None


def headline(spike: LatencySpike) -> list[str]:
    """Return the one or two lines a paged engineer reads first; empty where nothing was found."""
    if not spike.found:
        return []
    level, before, now = _level(spike)
    change = (
        f"{level} {_short(before)} → {_short(now)} {spike.log.unit}"
        if before is not None and now is not None
        else "slower than usual"
    )
    return [f"{change} {_when(spike)}; {_who(spike)}"]


def _when(spike: LatencySpike) -> str:
    episode = spike.detection.episode
    if episode is None:
        return f"over the window to {spike.scope.window.end:%H:%M} UTC"
    since = _clock(episode.onset, spike)
    return (
        f"from {since} to {_clock(episode.ended, spike)} UTC, over"
        if episode.ended
        else f"since {since} UTC, still going on"
    )


def _who(spike: LatencySpike) -> str:
    slow = next((s for s in spike.comparison if s.name == "slow_share"), None)
    share = f"{slow.value:.0%} of requests slow" if slow and slow.value is not None else "share of requests not known"
    if not spike.segments:
        return f"{share}, in no particular segment" if spike.log.segments else share
    best = spike.segments[0]
    how_many = "all" if best.explains >= 0.9 else f"{best.explains:.0%} of the excess"
    return f"{share}, {how_many} in {best.where}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"


def _clock(epoch: int, spike: LatencySpike) -> str:
    moment = _moment(epoch)
    same_day = moment.date() == spike.scope.window.end.date()
    return f"{moment:%H:%M}" if same_day else f"{moment:%Y-%m-%d %H:%M}"


def _moment(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def course(spike: LatencySpike) -> dict[str, Any]:
    """Return onset, end and whether it is still going on, for the record."""
    episode = spike.detection.episode
    return {
        "onset": _moment(episode.onset) if episode else None,
        "ended": _moment(episode.ended) if episode and episode.ended else None,
        "ongoing": None if episode is None else episode.ended is None,
    }


def criteria(spike: LatencySpike) -> list[tuple[str, str]]:
    """Return what must hold beside the checks that fired: the objective of the model file."""
    unit = spike.log.unit
    return [(f"latency {name}", f"at most {limit:g} {unit}") for name, limit in spike.data.model.slo.latency_ms.items()]
