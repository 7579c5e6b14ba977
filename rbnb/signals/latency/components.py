"""Infrastructure and dependencies: which series moved, when, and which of them is the root.

Rules: each series is held against its own usual range for this hour; two of three readings must be far
out; a component whose callee is out as well is a symptom of it, so that the deepest anomalous component
outranks its callers; a cycle in the call graph is no reason to stop or to loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbnb.signals.baseline import sustained

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["ComponentShift", "component_shifts", "deepest", "descendants", "typical_distance"]

#: Spread below which a reading is taken for unchanged: 5 % of its usual value.
_FLOOR = 0.05


@dataclass(frozen=True, slots=True)
class ComponentShift:
    """One series of one component that left its usual range.

    Parameters
    ----------
    component, metric, segment
        Which series, and the segment the component serves ("" if all).
    z
        Largest sustained distance in robust deviations; negative when below the usual.
    ratio
        Median reading over the usual while it was out, or None where the usual is 0.
    onset
        Epoch second of the first reading that was out, which may lie before the window.
    n
        Readings in the window.
    """

    component: str
    metric: str
    segment: str
    z: float
    ratio: float | None
    onset: int
    n: int


def component_shifts(
    readings: pd.DataFrame, baseline: pd.DataFrame, *, period: int, slot: int, since: int, z_min: float
) -> list[ComponentShift]:
    """Find the series that left their usual range for this hour.

    Parameters
    ----------
    readings
        ``time`` (epoch seconds), ``component``, ``metric``, ``segment``, ``value``.
    baseline
        ``component``, ``metric``, ``slot``, ``n``, ``q10``, ``q50``, ``q90`` of the reference.
    period, slot
        Seconds that number the slots of `baseline`.
    since
        Readings before it are context and do not make a shift by themselves.
    z_min
        Robust deviations that count as out.

    Returns
    -------
    list of ComponentShift
        Strongest first. A series without a baseline is left out: `unmeasured` is for the caller to say.
    """
    frame = _beside_usual(readings, baseline, period, slot)
    if frame.empty:
        return []
    shifts = [
        shift
        for (component, metric), series in frame.groupby(["component", "metric"], observed=True, sort=True)
        if (shift := _shift(str(component), str(metric), series, since, z_min)) is not None
    ]
    return sorted(shifts, key=lambda shift: -abs(shift.z))


def typical_distance(
    readings: pd.DataFrame, baseline: pd.DataFrame, *, period: int, slot: int, since: int
) -> dict[str, tuple[float, int]]:
    """Return how far each component was from its usual range for most of the time, not at its worst.

    A single look at many readings finds some far out by chance; whether a component has come back is told by the
    middle one, which chance does not move.

    Parameters
    ----------
    readings, baseline, period, slot
        As for `component_shifts`.
    since
        Readings before it do not count.

    Returns
    -------
    dict
        By component: the distance of its median reading in robust deviations, of the series where that is largest,
        and how many readings of the component there were.
    """
    frame = _beside_usual(readings, baseline, period, slot)
    frame = frame[frame["time"] >= since] if len(frame) else frame
    if frame.empty:
        return {}
    frame = frame.assign(z=(frame["value"] - frame["q50"]) / _spread(frame))
    middle = frame.groupby(["component", "metric"], observed=True)["z"].median().abs().groupby("component").max()
    counted = frame.groupby("component", observed=True).size()
    return {str(name): (float(z), int(counted[name])) for name, z in middle.items()}


def _beside_usual(readings: pd.DataFrame, baseline: pd.DataFrame, period: int, slot: int) -> pd.DataFrame:
    """Return each reading beside what is usual for its series at its hour; without those that have no usual."""
    if readings.empty or baseline.empty:
        return readings.iloc[:0].assign(q50=[])
    frame = readings.assign(slot=(readings["time"] % period) // slot if period else 0)
    frame = frame.merge(baseline, on=["component", "metric", "slot"], how="left")
    return frame[frame["q50"].notna()]


def _shift(component: str, metric: str, series: pd.DataFrame, since: int, z_min: float) -> ComponentShift | None:
    time, value, usual = (series[name].to_numpy(dtype=float) for name in ("time", "value", "q50"))
    z = (value - usual) / _spread(series)
    best: ComponentShift | None = None
    for sign in (1.0, -1.0):
        held = sustained(sign * z)
        out = (sign * z >= z_min) & (time >= since)
        starts = np.flatnonzero((held >= z_min) & out)
        if not len(starts) or (best and abs(best.z) >= held[starts].max()):
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = (value / usual)[out & (usual != 0)]
        best = ComponentShift(
            component=component,
            metric=metric,
            segment=str(series["segment"].iloc[0]),
            z=float(sign * held[starts].max()),
            ratio=float(np.median(ratios)) if len(ratios) else None,
            onset=int(time[_began(sign * z >= z_min, int(starts[0]))]),
            n=int((time >= since).sum()),
        )
    return best


def _began(out: NDArray[np.bool_], start: int) -> int:
    """Follow a shift back to its first reading, over single readings that were not out."""
    while start and out[max(start - 2, 0) : start].any():
        start = max(start - 2, 0) + int(np.argmax(out[max(start - 2, 0) : start]))
    return start


def _spread(series: pd.DataFrame) -> NDArray[np.float64]:
    low, middle, high = (series[name].to_numpy(dtype=float) for name in ("q10", "q50", "q90"))
    spread = np.maximum((high - middle) / 1.2816, (middle - low) / 1.2816)
    floored: NDArray[np.float64] = np.maximum(spread, np.maximum(_FLOOR * np.abs(middle), 1e-9))
    return floored


def descendants(component: str, edges: Iterable[tuple[str, str]]) -> set[str]:
    """Return everything that a component calls, directly or through others.

    Examples
    --------
    >>> sorted(descendants("api", [("api", "features"), ("features", "store"), ("store", "api")]))
    ['features', 'store']
    """
    calls: dict[str, list[str]] = {}
    for caller, callee in edges:
        calls.setdefault(caller, []).append(callee)
    seen: set[str] = set()
    waiting = [component]
    while waiting:
        for callee in calls.get(waiting.pop(), []):
            if callee not in seen and callee != component:
                seen.add(callee)
                waiting.append(callee)
    return seen


def deepest(shifted: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Return for each shifted component the shifted components below it; the roots have none.

    Examples
    --------
    >>> deepest(["api", "store"], [("api", "store")])
    {'api': ['store'], 'store': []}
    """
    names = set(shifted)
    return {name: sorted(descendants(name, edges) & names - {name}) for name in shifted}
