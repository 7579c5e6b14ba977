"""Limits for each hour of the week, learned so that a healthy window crosses one at a chosen rate.

Rules: medians and median deviations, so that an incident nobody recorded moves them little; an hour that was seen
only a few times leans on its neighbours in the day, and these on all hours; how far out the limit lies is learned
from weeks that the limit did not see; numbers are taken on a scale on which their spread is even.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbnb.baselines.windows import WEEK_HOURS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rbnb.baselines.windows import Floats, Hours

__all__ = ["ENOUGH", "Learned", "learn", "upper_end"]

#: Healthy windows without which nothing is learned: three days of them, so that each hour of the day was seen thrice.
ENOUGH = 72
#: How many times an hour must have been seen before its own numbers weigh as much as those it leans on; a spread
#: takes more values to be known than a level.
_LEAN, _LEAN_SPREAD = 4, 12
#: Values beyond a limit that are wanted before their own quantile is taken; with fewer the tail is extrapolated.
_BEYOND = 10
#: The least spread of an hour, as a share of that of all hours: a few values that agree by chance are no certainty.
_LEAST = 0.5
_WEEK = 604_800


@dataclass(frozen=True, slots=True)
class Learned:
    """One number for each of the 168 hours of the week.

    Parameters
    ----------
    usual
        The median, in the signal's unit.
    limits
        By rate of false alarms, the limit a healthy window crosses at that rate.
    n
        Windows behind it all.
    """

    usual: Floats
    limits: dict[float, Floats]
    n: int


@dataclass(frozen=True, slots=True)
class _Profile:
    """Level and spread of each hour of the week, on the even scale."""

    level: Floats
    scale: Floats


def learn(end: Hours, hour: Hours, value: Floats, *, unit: str, direction: str, rates: tuple[float, ...]) -> Learned:
    """Learn limits from healthy windows.

    Parameters
    ----------
    end
        Epoch second at which each window ends.
    hour
        Its hour of the week.
    value
        What was measured; not finite where undefined, which does not count.
    unit
        Ratios are taken as logarithms, shares as the arcsine of their root, counts as their root.
    direction
        ``above`` or ``below``: on which side the limit lies.
    rates
        Shares of healthy windows that may cross a limit, such as 0.005.

    Raises
    ------
    ValueError
        If there are fewer than `ENOUGH` finite values.

    Notes
    -----
    Shrinkage: an hour seen n times weighs n / (n + 4) against the same hour of the day on weekdays or weekends, and
    so on up to all hours; its spread n / (n + 12). The distance of the limit is the quantile of the residuals of
    each week under the profile of the other weeks; where fewer than ten residuals lie beyond it, the tail above
    their upper tenth is taken to fall off exponentially, its scale from the median excess (peaks over threshold;
    Pickands 1975, Ann. Stat. 3, 119). Variance stabilising: Anscombe (1948), Biometrika 35, 246.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> end = np.arange(3000) * 3600
    >>> ratios = rng.lognormal(0, 0.1, 3000)
    >>> found = learn(end, end // 3600 % 168, ratios, unit="ratio", direction="above", rates=(0.01,))
    >>> bool(abs(np.log(found.limits[0.01]).mean() - 0.233) < 0.02)
    True
    """
    known = np.isfinite(value)
    if known.sum() < ENOUGH:
        raise ValueError(f"{known.sum()} healthy windows, and {ENOUGH} are needed")
    sign = 1.0 if direction == "above" else -1.0
    forward, back = _SCALES.get(unit, (_same, _same))
    end, hour, even = end[known], hour[known], sign * forward(value[known])
    if (even == even[0]).all():
        same = back(np.full(WEEK_HOURS, sign * even[0]))
        return Learned(same, dict.fromkeys(rates, same), int(known.sum()))
    profile = _profile(hour, even)
    residuals = _residuals(end, hour, even)
    limits = {rate: back(sign * (profile.level + upper_end(residuals, rate) * profile.scale)) for rate in rates}
    return Learned(back(sign * profile.level), limits, int(known.sum()))


def upper_end(values: Floats, rate: float) -> float:
    """Return the value that a share `rate` of `values` exceeds, extrapolated where they are few.

    Examples
    --------
    >>> rng = np.random.default_rng(3)
    >>> bool(abs(upper_end(rng.exponential(1, 400), 0.001) - 6.9) < 1.5)  # the truth is ln 1000 = 6.9
    True
    """
    if len(values) * rate >= _BEYOND:
        return float(np.quantile(values, 1 - rate))
    tenth = float(np.quantile(values, 0.9))
    beyond = values[values > tenth] - tenth
    scale = float(np.median(beyond)) / math.log(2) if len(beyond) else 0.0
    return tenth + scale * max(math.log(0.1 / rate), 0.0)


def _residuals(end: Hours, hour: Hours, value: Floats) -> Floats:
    """Return how many spreads each value lies from its hour's level, as learned from the other weeks."""
    week = end // _WEEK
    weeks = np.unique(week)
    found = np.empty(len(value))
    for one in weeks:
        own = week == one
        others = ~own if (~own).sum() >= ENOUGH else np.ones(len(value), dtype=np.bool_)
        profile = _profile(hour[others], value[others])
        found[own] = (value[own] - profile.level[hour[own]]) / profile.scale[hour[own]]
    return found


def _profile(hour: Hours, value: Floats) -> _Profile:
    """Return level and spread of each hour of the week, leaning on wider hours where there is little."""
    level = _leaning(hour, value, _medians, _LEAN)
    rest = value - level[hour]
    whole = _spread(rest)
    if whole <= 0:
        # the same number nearly everywhere: what little there is of deviation is all there is to go by
        whole = max(float(np.quantile(np.abs(rest), 0.99)) / 2.3263, 1e-12)
    scale = _leaning(hour, rest, lambda rows: np.log(np.maximum(_mads(rows), _LEAST * whole)), _LEAN_SPREAD)
    return _Profile(level, np.exp(scale))


def _spread(rest: Floats) -> float:
    """Return a robust spread, the larger of what the middle and what the upper tenth say.

    For all hours together only: among the few values of one hour an incident nobody recorded is a tenth.
    """
    mad = float(_mads(rest[None, :])[0])
    return max(mad, (float(np.quantile(rest, 0.9)) - float(np.median(rest))) / 1.2816)


def _medians(rows: Floats) -> Floats:
    """Return the median of each row, leaving out NaN; NaN where there is nothing else."""
    ordered = np.sort(rows, axis=1)
    last = np.maximum(np.isfinite(ordered).sum(axis=1) - 1, 0)
    every = np.arange(len(rows))
    return np.asarray((ordered[every, last // 2] + ordered[every, (last + 1) // 2]) / 2, dtype=np.float64)


def _mads(rows: Floats) -> Floats:
    """Return 1.4826 × the median absolute deviation of each row, leaving out NaN."""
    return 1.4826 * _medians(np.abs(rows - _medians(rows)[:, None]))


def _leaning(hour: Hours, value: Floats, of: Callable[[Floats], Floats], lean: int) -> Floats:
    """Return a statistic of each hour of the week, shrunk towards the hour of the day and towards all hours.

    `of` takes rows, NaN where there is nothing, and returns one number a row.
    """
    table, seen = _by_hour(hour, value)
    everywhere = float(of(value[None, :])[0])
    days = table.reshape(7, 24, -1)
    kinds = [part.transpose(1, 0, 2).reshape(24, -1) for part in (days[:5], days[5:])]
    of_day = [_shrunk(of(part), np.isfinite(part).sum(axis=1), everywhere, lean) for part in kinds]
    near = np.concatenate([np.roll(table, step, axis=0) for step in (1, 0, -1)], axis=1)
    return _shrunk(of(near), seen, np.concatenate([of_day[0]] * 5 + [of_day[1]] * 2), lean)


def _by_hour(hour: Hours, value: Floats) -> tuple[Floats, Hours]:
    """Return one row an hour of the week with its values, NaN behind them, and how many there are."""
    seen = np.bincount(hour, minlength=WEEK_HOURS)
    order = np.argsort(hour, kind="stable")
    column = np.arange(len(hour)) - np.repeat(np.cumsum(seen) - seen, seen)
    table = np.full((WEEK_HOURS, max(int(seen.max()), 1)), np.nan)
    table[hour[order], column] = value[order]
    return table, seen


def _shrunk(found: Floats, seen: Hours, towards: Floats | float, lean: int) -> Floats:
    weight = seen / (seen + lean)
    return np.asarray(np.where(np.isfinite(found), weight * found + (1 - weight) * towards, towards), dtype=np.float64)


def _same(values: Floats) -> Floats:
    return values


def _log(values: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(values, 1e-9)), dtype=np.float64)


def _exp(values: Floats) -> Floats:
    return np.asarray(np.exp(values), dtype=np.float64)


def _arcsine(values: Floats) -> Floats:
    return np.asarray(np.arcsin(np.sqrt(np.clip(values, 0.0, 1.0))), dtype=np.float64)


def _sine(values: Floats) -> Floats:
    return np.asarray(np.sin(np.clip(values, 0.0, math.pi / 2)) ** 2, dtype=np.float64)


def _root(values: Floats) -> Floats:
    return np.asarray(np.sqrt(np.maximum(values, 0.0)), dtype=np.float64)


def _square(values: Floats) -> Floats:
    return np.asarray(np.maximum(values, 0.0) ** 2, dtype=np.float64)


#: By unit, the scale on which spread is even, and the way back.
_SCALES: dict[str, tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]] = {
    "ratio": (_log, _exp),
    "burn rate": (_log, _exp),
    "share": (_arcsine, _sine),
    "count": (_root, _square),
}
