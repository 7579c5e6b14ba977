"""History cut into windows: at every full hour, what a run would have looked at, and whether it counts.

Rules: a window is as long as the runbook's own; one that touches a known incident or a stretch that was left out
is kept, marked, and never learned from; a number that a window does not have is NaN, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rbnb.policy.learned import hour_of_week

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rbnb.model import Signal
    from rbnb.policy import Threshold

    Floats = NDArray[np.float64]
    Hours = NDArray[np.int64]
    Flags = NDArray[np.bool_]
    Spans = Sequence[tuple[int, int]]

__all__ = ["HOUR", "WEEK_HOURS", "Measured", "Walk", "alarms", "touching", "windows_of"]

HOUR, WEEK_HOURS = 3_600, 168


@dataclass(frozen=True, slots=True)
class Measured:
    """One signal over all windows.

    Parameters
    ----------
    signal, where, unit
        As in `rbnb.model.Signal`.
    value, low, high
        One number a window, with the ends of its interval (the value itself where it has none); NaN where undefined.
    """

    signal: str
    where: str
    unit: str
    value: Floats
    low: Floats
    high: Floats

    def compared(self, threshold: Threshold) -> Floats:
        """Return the number that a run holds against the threshold: the careful end, or the value."""
        if threshold.compare == "value":
            return self.value
        return self.low if threshold.direction == "above" else self.high

    @classmethod
    def of(cls, signals: Sequence[Signal]) -> Measured:
        """Gather one signal's values over the windows, in their order."""
        rows = [_numbers(signal) for signal in signals]
        table = np.array(rows, dtype=np.float64).reshape(-1, 3)
        first = signals[0]
        return cls(first.name, first.where, first.unit, *table.T)


def _numbers(signal: Signal) -> tuple[float, float, float]:
    if signal.value is None or not signal.defined:
        return (np.nan, np.nan, np.nan)
    low, high = signal.interval or (signal.value, signal.value)
    return (signal.value, low, high)


@dataclass(frozen=True, slots=True)
class Walk:
    """The windows of one runbook and what was measured in each.

    Parameters
    ----------
    runbook
        Its name.
    length
        Of a window, in seconds.
    end
        Epoch second at which each window ends: a full hour.
    counts
        Whether a window may be learned from: it touches nothing that is left out.
    measured
        The signals.
    missing
        Signals that could not be measured in any window, and why.
    """

    runbook: str
    length: int
    end: Hours
    counts: Flags
    measured: tuple[Measured, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def hour(self) -> Hours:
        """The hour of the week in which each window ends."""
        return np.array([hour_of_week(float(end)) for end in self.end], dtype=np.int64)

    def touching(self, spans: Spans) -> Flags:
        """Return which windows overlap any of the spans (epoch seconds, half open)."""
        return touching(self.end - self.length, self.end, spans)


def touching(start: Hours, end: Hours, spans: Spans) -> Flags:
    """Return which stretches overlap any of the spans."""
    found = np.zeros(len(end), dtype=np.bool_)
    for low, high in spans:
        found |= (start < high) & (end > low)
    return found


def windows_of(first: int, last: int, length: int) -> Hours:
    """Return the end of each window that fits between two epoch seconds, one at every full hour.

    Examples
    --------
    >>> windows_of(1800, 4 * 3600 + 60, 7200).tolist()
    [10800, 14400]
    """
    start = -(-(first + length) // HOUR) * HOUR
    return np.arange(start, last + 1, HOUR, dtype=np.int64)


def alarms(compared: Floats, limits: Floats, direction: str) -> Flags:
    """Return which windows reach their limit; what is undefined reaches nothing."""
    with np.errstate(invalid="ignore"):
        return np.asarray(compared >= limits if direction == "above" else compared <= limits, dtype=np.bool_)
