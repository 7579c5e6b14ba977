"""What a drift comes to in a few words: the facts a policy's sentences are filled from, and the headline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rbnb.diagnoses.drift.hypotheses import hypotheses, named
from rbnb.times import format_duration

if TYPE_CHECKING:
    from rbnb.diagnoses.drift.measure import DataDrift
    from rbnb.model import Signal

__all__ = ["course", "criteria", "facts", "headline", "since"]

_NAMES = {"auc": "ranking (AUC)", "accuracy": "right decisions", "brier": "error of the chances (Brier)",
          "mean_error": "mean error", "log_loss": "log loss"}  # fmt: skip


def facts(drift: DataDrift) -> dict[str, object]:
    """Return the values for the placeholders of a policy's texts."""
    if drift.empty:
        return {}
    course = drift.course if drift.found else None
    return {
        "onset": _moment(course.onset) if course and course.onset else None,
        "ended": _moment(course.ended) if course and course.ended else None,
        "where": _where(drift),
        "moved": _moved(drift),
        "moved_plain": _moved_plain(drift),
        "performance_plain": _performance_plain(drift),
        "performance": _performance(drift),
        "estimate": _estimate(drift),
        "season": drift.rows.matched[1],
        "labels": _labels(drift),
    }


def _where(drift: DataDrift) -> str:
    """Return the slice that is worse than the whole, else the one that explains half of what got worse."""
    if drift.local:
        return drift.local
    return drift.segments[0].where if drift.segments and drift.segments[0].explains >= 0.5 else ""


def _signal(signals: list[Signal], name: str) -> Signal | None:
    return next((s for s in signals if s.name == name and s.value is not None), None)


def _moved(drift: DataDrift) -> str:
    parts = []
    shift, decision = (_signal(drift.outcome.prediction, name) for name in ("score_shift", "decision_shift"))
    if shift is not None:
        parts.append(f"scores {shift.value:+.2g} sd")
    if decision is not None:
        parts.append(f"decisions {decision.reason.removesuffix('; up').removesuffix('; down')}")
    parts += [named(one) for one in (drift.used or drift.moved)[:2]]
    pair = drift.together[1]
    if pair.interval is not None and pair.interval[0] > 0.1:
        parts.append(pair.reason.replace("feature=", ""))
    return "; ".join(parts) or "nothing that could be measured"


def _moved_plain(drift: DataDrift) -> str:
    """Return what moved for somebody who knows no statistics: the inputs by name, and which way."""
    told = []
    for one in (drift.used or drift.moved)[:2]:
        name = one.name.removeprefix("feature=").replace("_", " ")
        shift = next((s.value for s in one.others if s.name == "feature_location"), None)
        clear = shift is not None and abs(shift) >= 0.1
        way = ("higher than" if (shift or 0.0) > 0 else "lower than") if clear else "not as"
        told.append(f"“{name}” is {way} usual")
    return " and ".join(told) or "what comes in or out is not as usual"


def _performance_plain(drift: DataDrift) -> str:
    """Return how right the model is for somebody who knows no statistics; of a hundred decisions, where known."""
    then, now = drift.outcome.realised.get("accuracy", (None, None))
    if then is None or now is None or then.value is None or now.value is None:
        return _performance(drift)
    return f"of 100 decisions {now.value * 100:.0f} are right, where {then.value * 100:.0f} were before"


def _performance(drift: DataDrift) -> str:
    lag = drift.rows.labelled.lag if drift.rows.labelled else 0
    told = [
        f"{_NAMES[name]} {_number(then.value)} → {_number(now.value)}"
        for name, (then, now) in drift.outcome.realised.items()
        if name != "log_loss" and then.value is not None and now.value is not None
    ]
    days = f" (outcomes of {format_duration(timedelta(seconds=lag))} earlier)" if lag else ""
    return (", ".join(told) + days) if told else "not measured, as outcomes are not known yet"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _labels(drift: DataDrift) -> str:
    known = drift.rows.labelled
    if known is None:
        return "no outcomes are logged"
    part = drift.outcome.coverage.value or 0.0
    if known.lag:
        return f"outcomes come {format_duration(timedelta(seconds=known.lag))} late, and {part:.0%} of them are known"
    return f"{part:.0%} of the outcomes that usually come are known"


def _estimate(drift: DataDrift) -> str:
    """Return what is expected without outcomes, with how far such estimates were off, and what they are blind to."""
    auc, accuracy = (_signal(drift.outcome.estimated, f"estimated_{name}") for name in ("auc", "accuracy"))
    error = _signal(drift.outcome.estimated, "estimate_error")
    parts = [
        f"{word} {signal.value:.3g} ({signal.interval[0]:.3g} to {signal.interval[1]:.3g})"
        for word, signal in (("AUC", auc), ("accuracy", accuracy))
        if signal is not None and signal.value is not None and signal.interval is not None
    ]
    if not parts:
        return "Performance cannot be estimated either"
    off = (
        f"; on days of the reference such estimates were off by {error.value:.2g}"
        if error and error.value is not None
        else ""
    )
    return f"Estimated from scores alone: {', '.join(parts)}{off}; blind to a change in what inputs mean"


def since(drift: DataDrift) -> str:
    """Return in plain words since when, and whether it is over; empty where nothing was found."""
    if not drift.found:
        return ""
    course = drift.course
    if course.onset is None:
        return "No start could be made out."
    start = f"Since {_moment(course.onset):%A, %d %B %Y, %H:%M} UTC"
    return (
        f"{start}; over since {_clock(course.ended, drift)} UTC." if course.ended else f"{start}. It is still going on."
    )


def headline(drift: DataDrift) -> list[str]:
    """Return the one or two lines a paged engineer reads first; empty where nothing was found."""
    if not drift.found:
        return []
    course, best = drift.course, next((c for c in hypotheses(drift) if c.status == "supported"), None)
    when = f"since {_clock(course.onset, drift)} UTC" if course.onset else "over the window"
    if course.onset and course.ended:
        when = f"from {_clock(course.onset, drift)} to {_clock(course.ended, drift)} UTC, over"
    first = f"{best.kind} drift: {best.name}" if best and best.kind in ("covariate", "concept", "label") else None
    first = first or (best.name if best else "predictions moved")
    if drift.local:
        return [f"performance fell in {drift.local}, {when}", drift.slice_drop.reason]
    return [f"{first}, {when}", _performance(drift) if drift.outcome.realised else _moved(drift)]


def course(drift: DataDrift) -> dict[str, Any]:
    """Return onset, end and whether it is still going on, for the record."""
    found = drift.course if drift.found else None
    onset = found.onset if found else None
    return {
        "onset": _moment(onset) if onset else None,
        "ended": _moment(found.ended) if found and found.ended else None,
        "ongoing": None if found is None or onset is None else found.ended is None,
    }


def criteria(drift: DataDrift) -> list[tuple[str, str]]:
    """Return what must hold beside the checks that fired: performance as in the reference, and no slice far worse."""
    told = (
        [
            (
                f"realised {name}",
                f"{_number(then.value)} or {'more' if name in ('auc', 'accuracy') else 'less'}, as in the reference",
            )
            for name, (then, _) in drift.outcome.realised.items()
            if then.value is not None and name != "log_loss"
        ]
        if not drift.empty
        else []
    )
    return [*told, ("drift of inputs and scores", "within what days differ, in two windows that follow each other"),
            ("segments", "none more than a fifth worse than in the reference")]  # fmt: skip


def _moment(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def _clock(epoch: int, drift: DataDrift) -> str:
    moment = _moment(epoch)
    same_day = moment.date() == drift.scope.window.end.date()
    return f"{moment:%H:%M}" if same_day else f"{moment:%Y-%m-%d %H:%M}"
