"""What a change of thresholds would have done: the same history, held against the old limits and the new.

Rules: nothing is written; the limits of today are what a run would use now (the model file's number, else the
baseline's, else the policy's), those proposed are what `rbnb baseline` would write; a false alarm is a window that
breaches and touches nothing that is left out; an incident is missed by a signal that breaches in no window that
touches it; where no incident is known, misses are not known, and never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.baselines.learning import Limits, learned_limits
from rbnb.baselines.windows import WEEK_HOURS, alarms
from rbnb.model import Window
from rbnb.policy import is_policy, load_policy, overrides_for
from rbnb.policy.learned import DAYS, read_baseline, why_not_used
from rbnb.times import format_time

if TYPE_CHECKING:
    from rbnb.baselines.history import LeftOut, Walked
    from rbnb.baselines.windows import Flags, Floats, Walk
    from rbnb.config import Places

__all__ = ["NO_INCIDENT", "review_baseline"]

NO_INCIDENT = "not known, no incident on record"


@dataclass(frozen=True, slots=True)
class _Change:
    """One signal's limits as they are and as proposed, and which windows each would have alarmed in."""

    limits: Limits
    which: str
    source: str
    old: Floats
    new: Floats
    alarms_old: Flags
    alarms_new: Flags


def review_baseline(walked: Walked, places: Places, rate: float) -> dict[str, Any]:
    """Hold a walked history against today's limits and against those that would be learned from it.

    Returns
    -------
    dict
        ``model``, ``history`` (start, end, windows, healthy), ``incidents``, ``misses`` (a sentence),
        ``changes`` (one a signal: from, to, false alarms and misses under each), ``any`` (of all signals that
        breach together) and ``not_reviewed`` (signal to reason).
    """
    found, missing = learned_limits(walked, rate)
    walk = walked.walk
    changes = [_change(one, walk, _today(one, walked, places)) for one in found] if walk is not None else []
    incidents = [(one, inside) for one in walked.incidents if walk and (inside := _windows(walk, one)).any()]
    healthy = walk.counts if walk is not None else np.zeros(0, dtype=np.bool_)
    breaching = [change for change in changes if change.which == "breach"]
    together = [
        _count(_either([getattr(c, side) for c in breaching], len(healthy)), healthy, incidents)
        for side in ("alarms_old", "alarms_new")
    ]
    return {
        "model": walked.model.name,
        "history": {
            "start": _time(walked.span[0]),
            "end": _time(walked.span[1]),
            "windows": len(healthy),
            "healthy": int(healthy.sum()),
            "window_seconds": walk.length if walk is not None else None,
        },
        "incidents": [
            {"start": _time(one.start), "end": _time(one.end), "why": one.why, "windows": int(inside.sum())}
            for one, inside in incidents
        ],
        "misses": f"counted over {len(incidents)} known incidents" if incidents else NO_INCIDENT,
        "changes": [_told(change, healthy, incidents) for change in changes],
        "any": {"from": together[0], "to": together[1]},
        "not_reviewed": dict(sorted(missing.items())),
    }


def _windows(walk: Walk, incident: LeftOut) -> Flags:
    return walk.touching([(incident.start, incident.end)])


def _either(flags: list[Flags], n: int) -> Flags:
    return np.any(flags, axis=0) if flags else np.zeros(n, dtype=np.bool_)


def _today(one: Limits, walked: Walked, places: Places) -> tuple[str, Floats]:
    """Return where today's number is from, and the number an hour of the week."""
    which = _which(one)
    name, policy = one.measured.signal, walked.policy
    files = [places.policy_file(other) for other in places.policy_names()]
    own = overrides_for(
        policy, walked.model.thresholds, lambda: [load_policy(file) for file in files if is_policy(file)]
    )
    for key in (f"{name}.{which}", name if which == "breach" else ""):
        if key in own:
            return "model file", np.full(WEEK_HOURS, float(own[key]))
    learned = _baseline(one, which, walked, places)
    if learned is not None:
        return learned
    return "policy", np.full(WEEK_HOURS, float(getattr(one.threshold, which)))


def _baseline(one: Limits, which: str, walked: Walked, places: Places) -> tuple[str, Floats] | None:
    """Return the limits of the baseline that is there, if a run would use them."""
    found = read_baseline(places.baselines / f"{walked.model.name}.yaml", walked.model.name)
    if found is None or walked.walk is None:
        return None
    window = Window(_moment(0), _moment(walked.walk.length))
    for learned in found.thresholds:
        if learned.runbook != walked.policy.name or why_not_used(found, learned, walked.model, walked.policy, window):
            continue
        for signal in learned.signals:
            hours = getattr(signal, which)
            if (signal.signal, signal.where) == (one.measured.signal, one.measured.where) and hours is not None:
                return f"baseline v{found.version}", np.array([x for day in DAYS for x in hours[day]])
    return None


def _which(one: Limits) -> str:
    return "breach" if "breach" in one.numbers else "warning"


def _change(one: Limits, walk: Walk, today: tuple[str, Floats]) -> _Change:
    which, (source, old) = _which(one), today
    compared, new = one.measured.compared(one.threshold), one.numbers[which]
    direction = one.threshold.direction
    under_old, under_new = (alarms(compared, limits[walk.hour], direction) for limits in (old, new))
    return _Change(one, which, source, old, new, under_old, under_new)


def _told(change: _Change, healthy: Flags, incidents: list[tuple[LeftOut, Flags]]) -> dict[str, Any]:
    before, after = (_count(flags, healthy, incidents) for flags in (change.alarms_old, change.alarms_new))
    note = "the model file's own number wins: change it there" if change.source == "model file" else ""
    return {
        "signal": change.limits.measured.signal,
        "where": change.limits.measured.where,
        "unit": change.limits.measured.unit,
        "direction": change.limits.threshold.direction,
        "which": change.which,
        "from": {"source": change.source, **_range(change.old), **before},
        "to": {**_range(change.new), "held_by_rails": change.limits.held, **after},
        "windows": int((np.isfinite(change.limits.measured.value) & healthy).sum()),
        "note": note,
    }


def _range(limits: Floats) -> dict[str, float]:
    low, middle, high = (float(f"{x:.5g}") for x in np.quantile(limits, (0.0, 0.5, 1.0)))
    return {"lowest": low, "middle": middle, "highest": high}


def _count(flags: Flags, healthy: Flags, incidents: list[tuple[LeftOut, Flags]]) -> dict[str, Any]:
    missed = sum(1 for _, inside in incidents if not (flags & inside).any())
    return {"false_alarms": int((flags & healthy).sum()), "missed": missed if incidents else None}


def _moment(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def _time(epoch: int) -> str:
    return format_time(_moment(epoch))
