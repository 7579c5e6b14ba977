"""Values that are right but for their unit, their clock or their column: multiplied, shifted, or swapped.

Each is a question of two densities: how plausible is a value as it stands, and how plausible after the change is
undone. A row is marked where undoing makes it twenty times likelier, under the reference's own distribution; so
a part of the rows can be affected, and the marks can be scanned over time and slices like any others.
Rules: factors of less than four are left alone, as drift makes those too; the factor must leave the shape as
it was; a clock is only looked at where a column is tied to the time of the request.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rbnb.signals.quality.columns import Suspicion, finite_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Marks = NDArray[np.bool_]

__all__ = [
    "KNOWN_FACTORS",
    "clock_suspicion",
    "factor_name",
    "shape_kept",
    "swap_kept",
    "swap_suspicion",
    "unit_suspicion",
]

#: Factors between units people confuse: powers of ten; seconds, minutes, hours and days.
KNOWN_FACTORS = (10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e9, 60.0, 3600.0, 86400.0)
#: Factors below this are left alone.
_LEAST = 4.0
_LEARN = 200
#: Log odds from which a row is marked: twenty to one.
_ODDS = math.log(20.0)
_STEP = 0.04
#: Share of affected rows that a mark must be able to see.
_SEES = 0.25
#: The same for hours, where several zones may be usual and hide a shift from one to another.
_SEES_HOURS = 0.1
#: The same for two columns, which may overlap.
_SEES_SWAP = 0.3
#: How much better than a smooth change a mixture must explain what is seen, in total variation.
_BETTER = 0.01


class _Density:
    """A smoothed histogram of decimal logarithms, with a floor for what was never seen."""

    def __init__(self, logs: Floats) -> None:
        self.low = float(logs.min()) - 1.0
        self.size = int((float(logs.max()) + 1.0 - self.low) / _STEP) + 2
        counts = np.bincount(((logs - self.low) / _STEP).astype(int), minlength=self.size).astype(float)
        spread = float(np.std(logs))
        width = max(0.9 * spread * len(logs) ** -0.2 / _STEP, 0.75)
        reach = np.arange(-int(4 * width) - 1, int(4 * width) + 2)
        kernel = np.exp(-0.5 * (reach / width) ** 2)
        smooth = np.convolve(counts, kernel / kernel.sum(), mode="same")
        self.floor = 0.5 / len(logs) / 10
        self.log = np.log(np.maximum(smooth / len(logs), self.floor))

    def at(self, logs: Floats) -> Floats:
        """Return the log density at each place; NaN stays NaN."""
        place = np.floor((np.nan_to_num(logs, nan=self.low) - self.low) / _STEP)
        inside = (place >= 0) & (place < self.size)
        found = np.where(inside, self.log[np.clip(place, 0, self.size - 1).astype(int)], math.log(self.floor))
        return np.where(np.isnan(logs), np.nan, found)


def unit_suspicion(name: str, now: Floats, then: Floats, groups: Sequence[Marks] = ()) -> Suspicion | None:
    """Suspect that values were multiplied by a constant, in all rows or in some; None where no factor fits.

    Parameters
    ----------
    now, then
        Values, NaN where there is none; signs and zeros do not matter.
    groups
        Rows to look at apart, such as one source or the last hours.

    Returns
    -------
    Suspicion or None
        With the factor, and `sensitivity` the share of affected rows that can be told.

    Examples
    --------
    >>> import numpy as np
    >>> then = np.random.default_rng(1).lognormal(3, 0.5, 2000)
    >>> found = unit_suspicion("amount", np.append(then[:800], then[800:1000] * 100), then)
    >>> found.factor, bool(found.now.sum() > 180)
    (100.0, True)
    """
    logs, usual = finite_log(now), finite_log(then)
    known = usual[np.isfinite(usual)]
    # few values have no shape by which a factor could be told
    if len(known) < _LEARN or len(np.unique(known)) < 8:
        return None
    density = _Density(known)
    plain = density.at(logs)
    base, best = density.at(usual), None
    # every so many, so that a test of forty factors stays cheap
    sample = known[:: max(len(known) // 4000, 1)]
    for step in _candidates(logs, known, groups):
        with np.errstate(invalid="ignore"):
            marks = density.at(logs - step) - plain > _ODDS
        usually = float(np.mean(density.at(sample - step) - density.at(sample) > _ODDS)) * len(now)
        if int(marks.sum()) < usually + 2 * math.sqrt(usually) + 6:
            continue
        sees = float(np.mean(density.at(known) - density.at(known + step) > _ODDS))
        if sees < _SEES:
            continue
        gain = _gain(density, logs, plain, step, groups)
        if best is None or gain > best[0]:
            best = (gain, step, marks, sees)
    if best is None or best[0] < _ODDS:
        return None
    _, step, marks, sees = best
    with np.errstate(invalid="ignore"):
        before = density.at(usual - step) - base > _ODDS
    factor = _settled(step)
    return Suspicion("unit", name, f"is {factor_name(factor)}", marks, before, sees, factor, tried=50)


def _candidates(logs: Floats, known: Floats, groups: Sequence[Marks]) -> list[float]:
    """Return the logarithms of the factors to try: those known, and the ratio of medians where shapes agree."""
    steps = {sign * math.log10(factor) for factor in KNOWN_FACTORS for sign in (1, -1)}
    low, middle, high = np.quantile(known, (0.25, 0.5, 0.75))
    for rows in (np.ones(len(logs), bool), *groups):
        held = logs[rows & np.isfinite(logs)]
        if len(held) < 20:
            continue
        first, half, third = np.quantile(held, (0.25, 0.5, 0.75))
        same = abs((third - first) - (high - low)) < 0.25 * (high - low) + 0.02
        step = float(half - middle)
        near = any(abs(step - other) < _STEP for other in steps)
        if same and abs(step) >= math.log10(_LEAST) and not near:
            steps.add(step)
    return sorted(steps)


def _gain(density: _Density, logs: Floats, plain: Floats, step: float, groups: Sequence[Marks]) -> float:
    """Return the best log likelihood ratio of a mixture with the changed values, over all rows and over each group."""
    ratio = np.exp(np.clip(density.at(logs - step) - plain, -30, 30))
    return _best_gain(
        np.where(np.isfinite(ratio), ratio, 1.0), _together(groups, len(logs)), (0.02, 0.1, 0.3, 0.7, 0.98)
    )


def _together(groups: Sequence[Marks], n: int) -> Floats:
    """Return all rows, and each group, as the rows of one table."""
    return np.stack([np.ones(n, bool), *groups]).astype(np.float64)


def _best_gain(ratio: Floats, groups: Floats, shares: Sequence[float]) -> float:
    """Return the largest log likelihood ratio over groups and shares of a mixture, from the ratio of each row."""
    return max(float((groups @ np.log1p(share * (ratio - 1))).max()) for share in shares)


def _settled(step: float) -> float:
    """Return the factor of a step on the logarithmic scale, a known one in full."""
    for factor in KNOWN_FACTORS:
        for sign in (1, -1):
            if abs(step - sign * math.log10(factor)) < 1e-9:
                return factor if sign > 0 else 1 / factor
    return float(10**step)


def factor_name(factor: float) -> str:
    """Say a factor in words.

    Examples
    --------
    >>> factor_name(100.0), factor_name(0.001), factor_name(151.3)
    ('100 times too large', '1,000 times too small', '151 times too large, a constant factor as between currencies')
    """
    size = factor if factor >= 1 else 1 / factor
    text = f"{size:,.3g}" if size < 1000 else f"{size:,.0f}"
    known = any(abs(size / other - 1) < 1e-6 for other in KNOWN_FACTORS)
    odd = "" if known else ", a constant factor as between currencies"
    return f"{text} times too {'large' if factor >= 1 else 'small'}{odd}"


def shape_kept(now: ArrayLike, then: ArrayLike, factor: float) -> float:
    """Return how badly a mixture of usual and multiplied values explains what is seen: 0 fully, 1 not at all.

    Total variation between the histogram of `now` and the best mixture of `then` and ``then × factor``, over
    twenty bins of equal share in the mixture, less what chance brings. It is 1 where a smooth shift or a wider spread
    explains it as well: then nothing says that a unit changed.

    Examples
    --------
    >>> import numpy as np
    >>> then = np.random.default_rng(1).lognormal(3, 0.5, 4000)
    >>> shape_kept(then[:1000] * 100, then, 100.0) < 0.05 < 0.3 < shape_kept(then[:1000] ** 2, then, 100.0)
    True
    """
    seen, usual = finite_log(np.asarray(now, float)), finite_log(np.asarray(then, float))
    seen, usual = seen[np.isfinite(seen)], usual[np.isfinite(usual)]
    if len(seen) < 10 or len(usual) < _LEARN:
        return 1.0
    step = math.log10(factor)
    both = np.concatenate([usual, usual + step])
    edges = np.unique(np.quantile(both, np.arange(1, 20) / 20))
    plain, moved, held = (
        np.bincount(np.searchsorted(edges, v, side="right"), minlength=len(edges) + 1) / len(v)
        for v in (usual, usual + step, seen)
    )
    shares = np.linspace(0, 1, 101)[:, None]
    mixed = (1 - shares) * plain + shares * moved
    apart = 0.5 * np.abs(mixed - held).sum(axis=1)
    best = int(np.argmin(apart))
    chance = 0.5 * float(np.sqrt(2 / math.pi * mixed[best] * (1 - mixed[best]) / len(seen)).sum())
    misfit = max(float(apart[best]) - chance, 0.0)
    # a mixture that fits no better than a smooth shift or a wider spread is none
    smooth = max(_as_drift(held, usual, edges) - chance, 0.0)
    return 1.0 if smooth <= misfit + _BETTER else misfit


def _as_drift(held: Floats, usual: Floats, edges: Floats) -> float:
    """Return how badly the best smooth change explains a histogram: a shift of less than `_LEAST`, a wider spread."""
    sample = usual[:: max(len(usual) // 4000, 1)]
    middle, best = float(np.median(sample)), 1.0
    for spread in (0.7, 0.85, 1.0, 1.2, 1.45, 1.8):
        for shift in np.linspace(-math.log10(_LEAST), math.log10(_LEAST), 25):
            moved = (sample - middle) * spread + middle + shift
            bins = np.bincount(np.searchsorted(edges, moved, side="right"), minlength=len(edges) + 1)
            best = min(best, 0.5 * float(np.abs(bins / len(moved) - held).sum()))
    return best


def clock_suspicion(
    name: str, now: Floats, then: Floats, times: tuple[NDArray[np.int64], NDArray[np.int64]], groups: Sequence[Marks]
) -> Suspicion | None:
    """Suspect that an hour of the day, or a point in time, is off by whole hours; None where nothing says so.

    Parameters
    ----------
    now, then
        Hours (0 to 23), or seconds since 1970.
    times
        When the requests of each came, in seconds since 1970.
    groups
        Rows to look at apart.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(0, 40 * 86400, 1800); hour = (t // 3600 % 24).astype(float)
    >>> found = clock_suspicion("hour", (hour[1440:] - 2) % 24, hour[:1440], (t[1440:], t[:1440]), [])
    >>> found.factor, found.what
    (-2.0, 'is 2 hours behind')
    """
    hours = _offsets(now, then, times)
    if hours is None:
        return None
    current, usual, size = hours
    counts = np.bincount(usual[usual >= 0], minlength=size).astype(float)
    if counts.sum() < _LEARN or counts.max() / counts.sum() < 0.2:
        return None
    log = np.log((counts + 0.1) / (counts.sum() + 0.1 * size))
    steps = [step for step in range(-14, 15) if step] if size > 24 else [s for s in range(-11, 13) if s]
    best: tuple[float, int, Marks] | None = None
    together = _together(groups, len(current))
    for step in steps:
        odds = np.where(current >= 0, log[(current - step) % size] - log[current], 0.0)
        gain = _best_gain(np.exp(np.clip(odds, -30, 30)), together, (0.05, 0.5, 0.98))
        if gain > _ODDS and (best is None or gain > best[0]):
            best = (gain, step, odds > _ODDS)
    if best is None:
        return None
    _, step, marks = best
    before = np.where(usual >= 0, log[(usual - step) % size] - log[usual], 0.0) > _ODDS
    weight = counts / counts.sum()
    sees = float(weight[log - log[(np.arange(size) + step) % size] > _ODDS].sum())
    if sees < _SEES_HOURS:
        return None
    text = f"is {abs(step)} hour{'s' if abs(step) > 1 else ''} {'ahead' if step > 0 else 'behind'}"
    return Suspicion("clock", name, text, marks, before, sees, float(step))


def _offsets(
    now: Floats, then: Floats, times: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], int] | None:
    """Return hours between a column and the request's own time, as codes; -1 where there is none."""
    known = then[np.isfinite(then)]
    if len(known) < _LEARN:
        return None
    hour_like = known.min() >= 0 and known.max() <= 23.99 and len(np.unique(np.floor(known))) >= 18
    point_like = known.min() > 5e8 and known.max() < 5e9
    if not (hour_like or point_like):
        return None
    found = []
    for values, at in zip((now, then), times, strict=True):
        with np.errstate(invalid="ignore"):
            if hour_like:
                gap = np.floor(values) - at // 3600 % 24
                code = np.where(np.isfinite(values) & (values >= 0) & (values < 24), gap % 24, -1)
            else:
                gap = np.round((values - at) / 3600)
                code = np.where(np.isfinite(values) & (np.abs(gap) < 60), gap + 60, -1)
        found.append(np.nan_to_num(code, nan=-1).astype(np.int64))
    return found[0], found[1], 24 if hour_like else 121


def swap_suspicion(names: tuple[str, str], now: tuple[Floats, Floats], then: tuple[Floats, Floats]) -> Suspicion | None:
    """Suspect that two numerical columns were exchanged, in all rows or in some; None where they are too alike.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> a, b = rng.normal(5, 1, 2000), rng.normal(90, 9, 2000)
    >>> found = swap_suspicion(("a", "b"), (b[:200], a[:200]), (a, b))
    >>> int(found.now.sum())
    200
    """
    usual = [values[np.isfinite(values)] for values in then]
    if min(len(values) for values in usual) < _LEARN:
        return None
    edges = np.unique(np.concatenate([np.quantile(values, np.arange(1, 40) / 40) for values in usual]))
    if len(edges) < 2:
        return None
    logs = [_bins(values, edges) for values in usual]
    marks = _exchanged(now, logs, edges)
    if marks.sum() < 6:
        return None
    one, two = then
    sees = float(np.mean(_exchanged((two, one), logs, edges)))
    if sees < _SEES_SWAP:
        return None
    before = _exchanged(then, logs, edges)
    return Suspicion("swap", "+".join(names), f"{names[0]} and {names[1]} are exchanged", marks, before, sees)


def swap_kept(now: tuple[Floats, Floats], then: tuple[Floats, Floats]) -> float:
    """Return how badly an exchange of some rows explains two columns: 0 fully, 1 not at all.

    The larger of two total variations: each column against the best mixture of what it and the other usually hold,
    with the same share of exchanged rows in both, less what chance brings.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> a, b = rng.normal(5, 1, 4000), rng.normal(9, 1, 4000)
    >>> swap_kept((b[:900], a[:900]), (a, b)) < 0.05 < 0.3 < swap_kept((b[:900], b[:900]), (a, b))
    True
    """
    held = [values[np.isfinite(values)] for values in (*now, *then)]
    if min(len(values) for values in held) < 10:
        return 1.0
    edges = np.unique(np.concatenate([np.quantile(values, np.arange(1, 12) / 12) for values in held[2:]]))
    one, two, first, second = (
        np.bincount(np.searchsorted(edges, v, side="right"), minlength=len(edges) + 1) / len(v) for v in held
    )
    part = np.linspace(0, 1, 51)[:, None]
    apart = [
        0.5 * np.abs((1 - part) * own + part * other - seen).sum(axis=1)
        for seen, own, other in ((one, first, second), (two, second, first))
    ]
    chance = 0.5 * float(np.sqrt(2 / math.pi * first * (1 - first) / min(len(v) for v in held[:2])).sum())
    return max(float(np.maximum(*apart).min()) - chance, 0.0)


def _bins(values: Floats, edges: Floats) -> Floats:
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1) + 0.3
    return np.asarray(np.log(counts / counts.sum()), dtype=np.float64)


def _exchanged(pair: Iterable[Floats], logs: Sequence[Floats], edges: Floats) -> Marks:
    one, two = pair
    both = np.isfinite(one) & np.isfinite(two)
    first, second = (np.searchsorted(edges, np.nan_to_num(v), side="right") for v in (one, two))
    odds = logs[1][first] + logs[0][second] - logs[0][first] - logs[1][second]
    return np.asarray(both & (odds > _ODDS), dtype=bool)
