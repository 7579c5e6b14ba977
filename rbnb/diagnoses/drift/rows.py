"""Which rows are compared: the window, the same hours in the reference, and the reference day by day.

Rules: a Thursday is held against Thursdays where the reference holds enough of them, else against days of its
kind, else against everything, and the choice is told in words; how much ordinary days differ is learned from
the reference, weekdays among weekdays; labels that come late are read where they are complete, and how long ago
that is, is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from rbnb.data import DAY, WEEK, Span

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.data import ModelData
    from rbnb.scope import Scope

__all__ = ["Chunk", "Compared", "Labelled"]

#: Fewest rows of a stretch that says how much days differ.
_PER_CHUNK = 30


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of the reference that make one stretch: a day, at the window's hours, and the kind it is compared with.

    The kind is the day of the week where the reference holds two weeks or more, else weekday (0) or weekend (1).
    """

    rows: NDArray[np.int64]
    kind: int


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows with known outcomes: where they were taken from, and how many seconds before the window."""

    frame: pd.DataFrame
    lag: int
    coverage: float


class Compared:
    """The rows of one run.

    Parameters
    ----------
    data
        The model's logs.
    scope
        Window and reference.
    enough
        Rows a reference at the same hours should hold before a wider one is taken.
    limit
        Rows of either side that are fetched before they are thinned.
    """

    def __init__(self, data: ModelData, scope: Scope, enough: float, limit: int) -> None:
        self.data = data
        self.scope = scope
        self.enough = enough
        self.limit = limit

    @cached_property
    def reference(self) -> pd.DataFrame:
        """Every row of the reference, or a repeatable sample."""
        scope = self.scope
        span = Span(scope.reference_start, scope.reference_end, leave_out=scope.leave_out)
        return self.data.rows(span, limit=self.limit)

    @cached_property
    def window(self) -> pd.DataFrame:
        """Every row of the window, or a repeatable sample."""
        return self.data.rows(Span(self.scope.start, self.scope.end), limit=self.limit)

    @property
    def counts(self) -> tuple[int, int]:
        """Rows of the reference and the window, before any sampling."""
        return tuple(int(frame.attrs.get("of", len(frame))) for frame in (self.reference, self.window))  # type: ignore[return-value]

    @cached_property
    def _times(self) -> NDArray[np.int64]:
        return np.asarray(self.reference["epoch"], dtype=np.int64)

    @cached_property
    def matched(self) -> tuple[NDArray[np.int64], str]:
        """The rows of the reference at the window's hours, and how these were chosen."""
        needed = min(self.enough, 1.5 * len(self.window))
        length = self.scope.end - self.scope.start
        held = self._times.max() - self._times.min() if len(self._times) else 0
        weekday = not _weekend(np.array([(self.scope.start + self.scope.end) // 2]))[0]
        options: list[tuple[NDArray[np.bool_], str]] = []
        if length < WEEK and held >= 6.5 * DAY:
            options.append((self._at(WEEK), "the same hours of the week"))
        if length <= DAY and held >= 1.9 * DAY:
            kind = "weekdays" if weekday else "weekends"
            options.append((self._at(DAY) & (_weekend(self._times) != weekday), f"the same hours on {kind}"))
            options.append((self._at(DAY), "the same hours of the day"))
        for mask, name in options:
            if mask.sum() >= needed:
                return np.flatnonzero(mask), name
        return np.arange(len(self._times)), "the whole reference"

    def _at(self, period: int) -> NDArray[np.bool_]:
        """Return which reference rows lie at the window's seconds of each period."""
        length = self.scope.end - self.scope.start
        if length >= period:
            return np.ones(len(self._times), dtype=np.bool_)
        return np.asarray((self._times - self.scope.start) % period < length, dtype=np.bool_)

    @cached_property
    def chunks(self) -> list[Chunk]:
        """The reference day by day at the window's hours; days count from the window's own beginning."""
        inside = np.flatnonzero(self._at(DAY))
        day = (self._times[inside] - self.scope.start) // DAY
        numbers = np.unique(day)
        found = []
        for number in numbers:
            rows = inside[day == number]
            middle = self.scope.start + int(number) * DAY + min(DAY, self.scope.end - self.scope.start) // 2
            kind = int(number) % 7 if len(numbers) >= 13 else int(_weekend(np.array([middle]))[0])
            if len(rows) >= _PER_CHUNK:
                found.append(Chunk(rows, kind))
        return found

    @property
    def days(self) -> float:
        """Stretches that the window holds: 1 up to a day."""
        return max((self.scope.end - self.scope.start) / DAY, 1.0)

    @property
    def matched_days(self) -> float:
        """Stretches that the matched part of the reference holds."""
        rows = self.matched[0]
        days = np.unique((self._times[rows] - self.scope.start) // DAY)
        return float(max(len(days), 1))

    @cached_property
    def labelled(self) -> Labelled | None:
        """The rows whose outcomes are known: the window's, or those of as long before as labels take to come."""
        if "target" not in self.window or "target" not in self.reference:
            return None
        usual = float(self._older(self.scope.start - self._delay)["target"].notna().mean() or 0.0)
        if not usual > 0:
            return None
        now = float(self.window["target"].notna().mean()) / usual if len(self.window) else 0.0
        if now >= 0.8 or not self._delay:
            return Labelled(self.window, 0, now)
        earlier = Span(self.scope.start - self._delay, self.scope.end - self._delay)
        frame = self.data.rows(earlier, limit=self.limit)
        then = float(frame["target"].notna().mean()) / usual if len(frame) else 0.0
        return Labelled(frame, self._delay, then) if then >= 0.8 else Labelled(self.window, 0, now)

    @property
    def _delay(self) -> int:
        delay = self.data.model.logs.predictions.label_delay
        return int(delay.total_seconds()) if delay else 0

    def _older(self, before: int) -> pd.DataFrame:
        older = self.reference[self.reference["epoch"] < before]
        return older if len(older) else self.reference

    @cached_property
    def judged(self) -> pd.DataFrame:
        """The reference that labelled rows are held against: what lies before them, with known outcomes."""
        lag = self.labelled.lag if self.labelled else 0
        frame = self._older(self.scope.start - lag) if lag else self.reference
        return frame[frame["target"].notna()] if "target" in frame else frame.iloc[:0]

    def judged_days(self) -> list[pd.DataFrame]:
        """Return the labelled reference day by day, those with enough rows."""
        day = (self.judged["epoch"].to_numpy(dtype=np.int64) - self.scope.start) // DAY
        parts = [self.judged[day == number] for number in np.unique(day)]
        return [part for part in parts if len(part) >= _PER_CHUNK]


def _weekend(times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which times lie on a Saturday or Sunday in UTC; epoch 0 was a Thursday."""
    return np.isin((times // DAY) % 7, (2, 3))
