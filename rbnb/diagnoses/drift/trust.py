"""Can a prediction log be taken at its word: enough of it, recent, and still the same data.

Rules: broken data is no drift, so it is asked first; a column is held against the reference's own habits;
what is wrong with one column is told of that column, and the worst of all once more as one number for policy.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from rbnb.data import DAY
from rbnb.model import Signal
from rbnb.signals.drift.distances import kolmogorov_smirnov
from rbnb.signals.drift.gate import missing_rise
from rbnb.signals.intervals import share

if TYPE_CHECKING:
    from rbnb.diagnoses.drift.measure import DataDrift

__all__ = ["amounts", "gate"]

_HOUR = 3_600
#: Distances from which on a column is unlike itself, and up to which it is like another.
_UNLIKE, _LIKE = 0.3, 0.1
_CHECKS = ("missing_rise", "unit_share", "renamed_share", "repeated_rise")


def amounts(drift: DataDrift) -> list[Signal]:
    """Return how much there is, how recent, and whether rows come twice or from the future.

    Parameters
    ----------
    drift
        The measurements of a run.
    """
    rows, extent = drift.rows, drift.extent
    before, now = rows.counts
    method = "hours of the window that hold rows, of those that usually do"
    hours = np.unique((rows.window["epoch"].to_numpy(dtype=np.int64) - drift.scope.start) // _HOUR)
    expected = _usual_hours(drift)
    return [
        Signal("rows_current", float(now), "count", now, f"rows in the window{_sampled(drift)}"),
        Signal("rows_reference", float(before), "count", before, "rows in the reference"),
        _volume(drift),
        share("coverage", min(len(hours), expected), expected, method=method),
        _age(drift),
        share("future_share", extent.future, extent.rows, method="rows stamped after the clock"),
        *_repeated(drift),
    ]


def _volume(drift: DataDrift) -> Signal:
    rows = drift.rows
    before, now = rows.counts
    if not len(rows.reference):
        return Signal("volume", None, "ratio", now, "rows over the usual", reason="the reference holds no rows")
    usual = len(rows.matched[0]) / rows.matched_days * rows.days * before / len(rows.reference)
    method = f"rows over the usual: {rows.matched[1]}"
    if not usual:
        return Signal("volume", None, "ratio", now, method, reason="the reference holds no rows at these hours")
    return Signal("volume", now / usual, "ratio", now, method, reference=1.0)


def _sampled(drift: DataDrift) -> str:
    of, held = drift.rows.counts[1], len(drift.rows.window)
    return f", measured on a sample of {held:,}" if held < of else ""


def _usual_hours(drift: DataDrift) -> int:
    """Return how many hours of the window hold rows on at least half of the reference's days."""
    times = drift.rows.reference["epoch"].to_numpy(dtype=np.int64)
    hours = int(max((drift.scope.end - drift.scope.start) // _HOUR, 1))
    if not len(times):
        return hours
    days = max(len(np.unique((times - drift.scope.start) // DAY)), 1)
    held = np.bincount(np.unique((times - drift.scope.start) // _HOUR) % 24, minlength=24)
    usual = set(np.flatnonzero(held >= days / 2).tolist())
    return sum(1 for hour in range(hours) if hour % 24 in usual) or hours


def _age(drift: DataDrift) -> Signal:
    """Return how old the newest row is: for the clock, or within a window that a person asked for."""
    times, last = drift.rows.window["epoch"], drift.extent.last
    newest = float(times.max()) if len(times) else float(drift.scope.start)
    if last is not None and last <= drift.scope.now:
        age, method = (drift.scope.now - last).total_seconds(), "clock minus newest row"
    else:
        age, method = drift.scope.end - newest, "end of the window minus newest row"
    return Signal("data_age", max(age, 0.0) / 60, "minutes", len(times), method)


def _repeated(drift: DataDrift) -> list[Signal]:
    if "request_id" not in drift.rows.window:
        return []
    ids = drift.rows.window["request_id"].dropna()
    return [share("duplicate_share", int(ids.duplicated().sum()), len(ids), method="rows that repeat a request id")]


def gate(drift: DataDrift) -> list[Signal]:
    """Return every check of whether a column is still itself, and the worst of each kind as one number.

    Parameters
    ----------
    drift
        The measurements of a run.
    """
    broken = drift.data.broken_features
    n = len(drift.data.features) + len(broken)
    reason = "; ".join(f"{name}: {why}" for name, why in broken.items())
    method = "mapped inputs that cannot be used"
    checks = [signal for one in drift.features.all.values() for signal in one.gate] + _score_gate(drift)
    worst = [_worst(name, [signal for signal in checks if signal.name == name]) for name in _CHECKS]
    told = [signal for signal in checks if (signal.value or 0) > 0.001]
    first = Signal("broken_features", float(len(broken)), "count", n, method, reason=reason)
    return [first, _swapped(drift), *worst, *told]


def _swapped(drift: DataDrift) -> Signal:
    """Count pairs of inputs that each look unlike themselves and like the other: columns that changed places."""
    then, now, kinds = drift.features.matched, drift.features.current, drift.features.kinds
    apart = []
    for one in drift.features.all.values():
        distance = next((s.value for s in one.others if s.name == "feature_ks"), None)
        if kinds[one.name] == "numerical" and distance is not None and distance >= _UNLIKE:
            apart.append(one.name)
    pairs = [(a, b) for a, b in itertools.combinations(apart, 2) if _alike(now[a], then[b]) and _alike(now[b], then[a])]
    method = f"pairs at a Kolmogorov-Smirnov distance of {_UNLIKE} to themselves and less than {_LIKE} to each other"
    told = ", ".join(f"{a} and {b}" for a, b in pairs)
    return Signal("swapped_features", float(len(pairs)), "count", len(kinds), method, reason=told)


def _alike(current: object, reference: object) -> bool:
    distance = kolmogorov_smirnov(reference, current).value
    return distance is not None and distance < _LIKE


def _score_gate(drift: DataDrift) -> list[Signal]:
    if drift.outcome.scores is None:
        return []
    before, now, _ = drift.outcome.scores
    return [missing_rise(before, now, where="column=score")]


def _worst(name: str, signals: list[Signal]) -> Signal:
    """Return the largest of some shares as one number that holds everywhere, naming where it was found."""
    known = [signal for signal in signals if signal.value is not None]
    if not known:
        reason = signals[0].reason if signals else "no such input is mapped"
        return Signal(f"worst_{name}", None, "share", 0, "the worst of all inputs", reason=reason)
    worst = max(known, key=lambda s: (s.interval[0] if s.interval else s.value or 0.0, s.value or 0.0))
    told = f"{worst.where}: {worst.reason}" if worst.reason else worst.where
    method = f"the worst of {len(known)} columns; {worst.method}"
    return Signal(f"worst_{name}", worst.value, "share", worst.n, method, worst.interval, reason=told)
