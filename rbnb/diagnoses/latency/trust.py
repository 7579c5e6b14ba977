"""Can a latency log be taken at its word: a meter that is stuck, a reference that is damaged or hardly there.

What is normal is learned from the reference, so that damage there can hide an incident as well as damage
in the window can. Rules: stretches that are left out of the reference do not count; nothing is judged here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rbnb.model import Signal
from rbnb.signals.intervals import share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rbnb.diagnoses.latency.measure import LatencySpike

__all__ = ["latency_drop", "reference_trust"]


def reference_trust(spike: LatencySpike, window: Mapping[str, float | None], buckets: int) -> list[Signal]:
    """Return what else says whether the log can be trusted.

    Parameters
    ----------
    spike
        The measurements of a run.
    window
        What `ModelData.integrity` counted in the window.
    buckets
        Buckets of the reference that hold usable latencies.
    """
    scope = spike.scope
    past = spike.data.integrity(scope.reference_start, scope.reference_end, leave_out=scope.leave_out)
    rows = int(past["rows"] or 0)
    unusable = int((past.get("nulls") or 0) + (past.get("broken") or 0))
    found = [
        Signal("reference_buckets", float(buckets), "count", buckets, "buckets of the reference with usable latencies"),
        share("reference_unusable_share", unusable, rows, method="reference rows whose latency cannot be used"),
        _range(spike.log.unit, window, past),
    ]
    if "ids" in past:
        with_id, ids = int(past["with_id"] or 0), int(past["ids"] or 0)
        method = "reference rows that repeat a request id"
        found.append(share("reference_duplicate_share", with_id - ids, with_id, method=method))
    return found


def _range(unit: str, window: Mapping[str, float | None], past: Mapping[str, float | None]) -> Signal:
    method = "largest minus smallest latency, in the window or the reference, whichever is less"
    ends = [(part.get("lowest"), part.get("highest")) for part in (window, past)]
    spans = [high - low for low, high in ends if low is not None and high is not None]
    n = int(window["rows"] or 0)
    if len(spans) < len(ends):
        return Signal("latency_range", None, unit, n, method, reason="the window or the reference holds no latency")
    return Signal("latency_range", min(spans), unit, n, method)


def latency_drop(median: Signal) -> Signal:
    """Return the ratio of medians once more, to be judged for being low."""
    return replace(median, name="latency_drop")
