"""Where performance fell most: the worst slice, whatever the whole looks like.

A model that is as good as ever over all may fail a quarter of those it decides on. Rules: each slice is its own
yardstick, so a slice that was always hard is no finding; the interval is corrected for every slice and measure that
was looked at (Bonferroni), because the worst of many looks bad by chance; days of a slice differ as those of the
reference do; a slice that is nearly everything is no slice.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Signal
from rbnb.signals.chance import Z95
from rbnb.signals.drift.effects import between_chunks
from rbnb.signals.drift.performance import auc, drop, rise
from rbnb.signals.intervals import share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Graded", "segment_error_rise", "segment_performance_drop"]

#: Fewest rows of a slice on either side, and the share of the rows from which on it is no slice.
_FEWEST, _NEARLY_ALL = 30, 0.9
_PER_DAY = 10


@dataclass(frozen=True)
class Graded:
    """Rows whose outcome is known.

    Parameters
    ----------
    places
        By column that divides the rows: the value of each, as text or None.
    day
        The stretch each row belongs to.
    right
        1 where the decision turned out right, 0 where not; None without decisions.
    score, target
        The score, and 1 or 0 for what happened; None without scores.
    error
        How far a predicted number was off; None for classes.
    """

    places: dict[str, NDArray[np.object_]]
    day: NDArray[np.int64]
    right: Floats | None = None
    score: Floats | None = None
    target: Floats | None = None
    error: Floats | None = None
    rows: int = field(init=False)

    def __post_init__(self) -> None:
        """Count the rows."""
        object.__setattr__(self, "rows", len(self.day))


def segment_performance_drop(
    reference: Graded,
    current: Graded,
    *,
    spread: tuple[float, float] = (0.0, Z95),
    alpha: float = 0.05,
    least: float = 0.05,
) -> Signal:
    """Measure by how much performance fell in the slice where it certainly fell most, of what it was there.

    Source: own definition, after the slices of Chung et al. (2020), IEEE TKDE 32, 2284 (Slice Finder).

    Parameters
    ----------
    reference, current
        Rows then and now.
    spread
        Between stretches of the reference, of the area under the curve, as from
        `rbnb.signals.drift.effects.between_chunks`; that of right decisions is learned in each slice.
    alpha
        Chance that the interval misses in any slice.
    least
        Share of the rows that a slice must hold: a handful of decisions is looked at by day, not at night.

    Returns
    -------
    Signal
        Unit ``share``: of right decisions, or of the area under the curve, whichever fell more; its reason names the
        slice. Bonferroni over slices and measures, after Chung et al. (2020), IEEE TKDE 32, 2284 (Slice Finder).

    Examples
    --------
    >>> import numpy as np
    >>> where = {"zone": np.repeat(np.array(["a", "b"], dtype=object), 400)}
    >>> then = Graded(where, np.zeros(800, dtype=int), right=np.ones(800))
    >>> now = Graded(where, np.zeros(800, dtype=int), right=np.repeat([1.0, 0.5], 400))
    >>> s = segment_performance_drop(then, now)
    >>> s.value, s.reason
    (0.5, 'zone=b: right decisions 1 → 0.5')
    """
    found: list[Signal] = []
    for where, then, now in _slices(reference, current, least):
        if reference.right is not None and current.right is not None:
            found.append(_mean_change(where, (reference.right, then), (current.right, now), reference.day))
        if reference.score is not None and current.score is not None:
            sides = [auc(side.score[rows], side.target[rows], where=where)  # type: ignore[index]
                     for side, rows in ((reference, then), (current, now))]  # fmt: skip
            told = drop(*sides, name="ranking (AUC)", spread=spread, stretches=(1.0, _days(reference)))
            found.append(_relative(told, sides[0].value))
    return _worst("segment_performance_drop", found, alpha, current.rows)


def segment_error_rise(reference: Graded, current: Graded, *, alpha: float = 0.05, least: float = 0.05) -> Signal:
    """Measure by how much the mean error of predicted numbers rose in the slice where it certainly rose most.

    Source: own definition (unit ``share``), after the slices of Chung et al. (2020), IEEE TKDE 32, 2284 (Slice Finder).

    Parameters as for `segment_performance_drop`; relative to what the error was in that slice.

    Examples
    --------
    >>> import numpy as np
    >>> where = {"zone": np.repeat(np.array(["a", "b"], dtype=object), 400)}
    >>> then = Graded(where, np.zeros(800, dtype=int), error=np.tile([1.0, 3.0], 400))
    >>> now = Graded(where, np.zeros(800, dtype=int), error=np.repeat([1.0, 2.0], 400) * np.tile([1.0, 3.0], 400))
    >>> segment_error_rise(then, now).value
    1.0
    """
    found = []
    for where, then, now in _slices(reference, current, least):
        if reference.error is None or current.error is None:
            break
        sides = (reference.error, then), (current.error, now)
        found.append(_mean_change(where, *sides, reference.day, word="mean error", worse=1.0))
    return _worst("segment_error_rise", found, alpha, current.rows)


def _slices(reference: Graded, current: Graded, least: float) -> list[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Return each slice with enough rows on both sides that is not nearly everything."""
    found = []
    for column, values in current.places.items():
        before = reference.places.get(column)
        if before is None:
            continue
        for value in sorted({str(v) for v in values if v is not None}):
            then, now = (np.asarray(side == value, dtype=np.bool_) for side in (before, values))
            if min(then.sum(), now.sum()) >= _FEWEST and least <= now.mean() <= _NEARLY_ALL:
                found.append((f"{column}={value}", then, now))
    return found


def _days(side: Graded) -> float:
    return float(max(len(np.unique(side.day)), 1))


def _mean_change(
    where: str,
    before: tuple[Floats, NDArray[np.bool_]],
    after: tuple[Floats, NDArray[np.bool_]],
    day: NDArray[np.int64],
    word: str = "right decisions",
    worse: float = -1.0,
) -> Signal:
    """Return the relative change of a mean inside a slice, its days' own spread in the interval."""
    sides = [values[inside & np.isfinite(values)] for values, inside in (before, after)]
    signals = [_mean(side, word, where) for side in sides]
    days = day[before[1] & np.isfinite(before[0])]
    spread = _between(sides[0], days)
    measure = drop if worse < 0 else rise
    held = float(max(len(np.unique(days)), 1))
    return measure(*signals, name=word, spread=spread, stretches=(1.0, held), relative=True)


def _mean(values: Floats, word: str, where: str) -> Signal:
    n = len(values)
    if n < _FEWEST:
        return Signal(word, None, "share", n, "mean", where=where, reason=f"{n:,} rows are too few")
    if ((values == 0) | (values == 1)).all():
        return share(word, int(values.sum()), n, where=where)
    half = Z95 * float(values.std(ddof=1)) / n**0.5
    value = float(values.mean())
    return Signal(word, value, "", n, "mean", (value - half, value + half), where)


def _between(values: Floats, day: NDArray[np.int64]) -> tuple[float, float]:
    """Return how much the days of a slice differ beyond chance."""
    _, places = np.unique(day, return_inverse=True)
    counts = np.bincount(places).astype(np.float64)
    held = counts >= _PER_DAY
    means = np.bincount(places, weights=values) / np.maximum(counts, 1.0)
    errors = np.sqrt(float(values.var()) / np.maximum(counts, 1.0)) if len(values) else counts
    return between_chunks(means[held], errors[held])


def _relative(told: Signal, of: float | None) -> Signal:
    if told.value is None or told.interval is None or not of:
        return told
    low, high = told.interval
    return replace(told, value=told.value / of, interval=(low / of, high / of))


def _worst(name: str, found: list[Signal], alpha: float, n: int) -> Signal:
    """Return the slice whose careful end is worst, with the interval for as many as were looked at."""
    known = [one for one in found if one.value is not None and one.interval is not None]
    method = "relative change inside each slice against the same slice in the reference"
    if not known:
        return Signal(name, None, "share", n, method, reason="no slice has enough outcomes on both sides")
    factor = NormalDist().inv_cdf(1 - alpha / 2 / len(known)) / Z95
    each = [(one, one.value or 0.0, factor * (one.interval[1] - one.interval[0]) / 2) for one in known if one.interval]
    worst, value, half = max(each, key=lambda item: (item[1] - item[2], item[1]))
    method = f"{method}; {len(known)} looked at, Bonferroni"
    told = f"{worst.where}: {worst.name} {worst.reason}"
    return Signal(name, value, "share", worst.n, method, (value - half, value + half), reference=0.0, reason=told)
