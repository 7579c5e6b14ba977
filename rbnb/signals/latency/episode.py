"""When it began to be slow, and whether it is over: a stretch of buckets that are slower than usual.

Rules: evidence adds up over buckets (Page's cumulative sum), so that a long moderate slowdown counts as
much as a short strong one, and one wild bucket does not count; what varies slowly by nature gathers
evidence more slowly; a stretch must be large as well as certain; it is over only when the buckets after
it are twenty times likelier under the usual than under the slow level, else it is still going on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Signal
from rbnb.signals.baseline import DAY, robust_z, sustained

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from rbnb.signals.baseline import Expectation

__all__ = ["Episode", "detect_episode", "persistence"]

#: What a bucket must exceed to count as evidence, as a share of `z_min`: 1 robust deviation for a `z_min` of 4.
_DRIFT = 0.25
#: Evidence at which a stretch counts, as a multiple of `z_min`: two certain buckets with one usual between them
#: reach it, one does not. Where no two of three neighbours are certain, it takes the second to be sure: by chance,
#: independent normal buckets reach it far less than once in 100,000 (Siegmund 1985, Sequential Analysis, 2.6).
_EVIDENCE, _SURE = 1.25, 2.0
#: Log odds at which it counts as over: 20 to 1.
_OVER = math.log(20)


@dataclass(frozen=True, slots=True)
class Episode:
    """A stretch in which the series is slower than usual.

    Parameters
    ----------
    onset
        Epoch second at which its first bucket starts.
    ended
        Epoch second at which normal buckets resume, or None while it goes on.
    peak
        Largest sustained distance (robust z).
    ratio
        Median of value over usual while it lasts.
    buckets
        How many buckets with data it holds.
    sure
        Whether the buckets alone are evidence enough; if not, the requests in it should confirm that it is slow.
    """

    onset: int
    ended: int | None
    peak: float
    ratio: float
    buckets: int
    sure: bool = True


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A stretch of one series: its first and last bucket, its evidence, and its pooled distance."""

    first: int
    last: int
    evidence: float
    pooled: float
    over: bool
    ratio: float
    sure: bool


def detect_episode(
    times: ArrayLike,
    series: Mapping[str, tuple[ArrayLike, Expectation]],
    *,
    since: int,
    z_min: float,
    ratio_min: float,
    quiet: int = 3,
    inflation: Mapping[str, float] | None = None,
    only_sure: bool = False,
) -> tuple[Signal, Episode | None]:
    """Find the worst stretch that is slower than usual and reaches into the window; one that goes on comes first.

    Source: Page (1954), Biometrika 41, 100; Ruzzo & Tompa (1999), ISMB 7, 234; Wald (1945), Ann. Math. Stat. 16,
    117; their combination is an own definition; unit ``robust z``.

    Parameters
    ----------
    times
        Start of each bucket in epoch seconds, evenly spaced, without gaps.
    series
        Name to values (NaN where there is no data) and what is usual at each time.
    since
        Start of the window; a stretch that ended before it is history and does not count.
    z_min, ratio_min
        A bucket is certainly slow from `z_min` robust deviations above the usual and `ratio_min` times it; more
        than that it does not count, so that it takes two.
    quiet
        Buckets with data that must follow before a stretch can be over.
    inflation
        By series, how much neighbouring buckets resemble each other (`persistence`); 1 is not at all.
    only_sure
        Leave out what the buckets alone do not prove.

    Returns
    -------
    tuple of Signal and Episode or None
        ``latency_anomaly`` and the stretch. The signal is the distance of the stretch as a whole or its largest
        sustained one (two of three buckets), whichever is greater, and at least `z_min`; without a stretch the
        largest sustained distance among buckets of the window that are large enough.

    Notes
    -----
    Each bucket adds its robust z, cut at 0 and at `z_min`, less a drift of `z_min` / 4; a stretch is a maximal
    scoring segment with evidence of 1.25 × `z_min` or more; it is sure if two of three neighbours in it are certainly
    slow, or from 2 × `z_min`. Page (1954), Biometrika 41, 100; Ruzzo & Tompa
    (1999), ISMB 7, 234. The end is decided as in Wald (1945), Ann. Math. Stat. 16, 117.

    Examples
    --------
    >>> from rbnb.signals.baseline import seasonal_expectation
    >>> times = np.arange(7200, 10800, 300)
    >>> usual = seasonal_expectation(range(0, 7200, 300), [10.0, 11.0] * 12, times)
    >>> series = {"p95": (np.r_[np.full(6, 10.0), np.full(6, 50.0)], usual)}
    >>> signal, episode = detect_episode(times, series, since=7200, z_min=4.0, ratio_min=1.3)
    >>> signal.value >= 4.0, episode.onset, episode.ended
    (True, 9000, None)
    """
    time = np.asarray(times, dtype=np.int64)
    inside = time >= since
    distance = {name: _distance(values, usual) for name, (values, usual) in series.items()}
    known = np.zeros(len(time), dtype=np.bool_)
    for z, _ in distance.values():
        known |= np.isfinite(z)
    n = int((known & inside).sum())
    method = (
        f"cumulative sum of robust distances, log scale, against {_periods(series)}; {', '.join(series)}; "
        f"only what is at least {ratio_min:g} times the usual"
    )
    if not n:
        reason = "no bucket of the window has both data and a reference"
        return Signal("latency_anomaly", None, "robust z", 0, method, reason=reason), None
    found: list[_Stretch] = []
    held = np.zeros(len(time))
    for name, (z, ratio) in distance.items():
        factor = max((inflation or {}).get(name, 1.0), 1.0)
        found += [
            s
            for s in _stretches(z, ratio, z_min, ratio_min, quiet, factor)
            if time[s.last] >= since and (s.sure or not only_sure)
        ]
        held = np.maximum(held, sustained(np.where(ratio >= ratio_min, z, np.minimum(z, 0.0))))
    if not found:
        peak = float(held[inside].max())
        return Signal("latency_anomaly", peak, "robust z", n, method, reference=0.0), None
    best = max(found, key=lambda s: (not s.over, s.evidence))
    episode = _episode(time, best, found, held, known)
    value = max(episode.peak, best.pooled, z_min)
    return Signal("latency_anomaly", value, "robust z", n, method, reference=0.0), episode


def _distance(values: ArrayLike, usual: Expectation) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return robust_z(values, usual), np.asarray(values, dtype=np.float64) / usual.middle


def _periods(series: Mapping[str, tuple[ArrayLike, Expectation]]) -> str:
    return " and ".join(sorted({f"the same {usual.period}" for _, usual in series.values()}))


def _stretches(
    z: NDArray[np.float64],
    ratio: NDArray[np.float64],
    z_min: float,
    ratio_min: float,
    quiet: int,
    inflation: float,
) -> list[_Stretch]:
    """Return the stretches of one series that are certain and large."""
    certain = (z >= z_min) & (ratio >= ratio_min)
    level = np.where(certain, z_min, np.clip(z / math.sqrt(inflation), -z_min, z_min))
    level[~np.isfinite(z)] = np.nan
    score = np.where(np.isfinite(level), np.maximum(level, 0.0) - _DRIFT * z_min, 0.0)
    found = []
    for first, last, evidence in _maximal(score):
        inside = slice(first, last + 1)
        paired = bool(sustained(certain[inside]).any())
        large = paired or float(np.nanmedian(ratio[inside])) >= ratio_min
        if large and evidence >= _EVIDENCE * z_min - 1e-9:
            sure = paired or evidence >= _SURE * z_min
            found.append(_stretch(level, ratio, (first, last, evidence), quiet, sure=sure))
    return found


def _stretch(
    level: NDArray[np.float64],
    ratio: NDArray[np.float64],
    segment: tuple[int, int, float],
    quiet: int,
    *,
    sure: bool,
) -> _Stretch:
    first, last, evidence = segment
    inside, after = level[first : last + 1], level[last + 1 :]
    inside, after = inside[np.isfinite(inside)], after[np.isfinite(after)]
    mean = float(inside.mean())
    odds = len(after) * mean * (mean / 2 - float(after.mean())) if len(after) else 0.0
    pooled = float(inside.sum() / math.sqrt(len(inside)))
    middle = float(np.nanmedian(ratio[first : last + 1]))
    return _Stretch(first, last, evidence, pooled, len(after) >= quiet and odds >= _OVER, middle, sure)


def _maximal(score: NDArray[np.float64]) -> list[tuple[int, int, float]]:
    """Return first index, last index and sum of every maximal scoring segment (Ruzzo & Tompa)."""
    # each candidate: first, last, sum before it, sum up to its end
    candidates: list[tuple[int, int, float, float]] = []
    total = 0.0
    for i, value in enumerate(score.tolist()):
        before, total = total, total + value
        if value <= 0:
            continue
        first = i
        while True:
            j = next((k for k in range(len(candidates) - 1, -1, -1) if candidates[k][2] < before), None)
            if j is None or candidates[j][3] >= total:
                candidates.append((first, i, before, total))
                break
            first, before = candidates[j][0], candidates[j][2]
            del candidates[j:]
    return [(first, last, upto - before) for first, last, before, upto in candidates]


def _episode(
    time: NDArray[np.int64],
    best: _Stretch,
    found: list[_Stretch],
    held: NDArray[np.float64],
    known: NDArray[np.bool_],
) -> Episode:
    """Date the stretch; another series that is slow at the same time may show that it lasts longer."""
    together = [s for s in found if s.first <= best.last + 1 and s.last >= best.first - 1]
    last = max(s.last for s in together)
    ended = int(time[last + 1]) if all(s.over for s in together) else None
    inside = slice(best.first, last + 1)
    sure = any(s.sure for s in together)
    return Episode(int(time[best.first]), ended, float(held[inside].max()), best.ratio, int(known[inside].sum()), sure)


def persistence(times: ArrayLike, values: ArrayLike, period: int, *, lags: int = 12) -> float:
    """Return how much neighbouring buckets resemble each other beyond the season: 1 if not at all, up to 1 + `lags`.

    It is the factor by which the variance of a sum over many buckets exceeds that of independent ones.

    Parameters
    ----------
    times, values
        Evenly spaced reference buckets: epoch seconds, and positive values (NaN where there is no data).
    period
        The season in seconds (`seasonal_period`), or 0.
    lags
        How many buckets back to look.

    Notes
    -----
    Autocorrelation of the logarithms about the median of their hour, cut at three robust deviations, with
    Bartlett's weights: Newey & West (1987), Econometrica 55, 703.

    Examples
    --------
    >>> steps = np.repeat(np.random.default_rng(1).normal(3, 0.2, 100), 12)
    >>> persistence(np.arange(1200) * 300, np.exp(steps), 0) > 5
    True
    """
    time, value = np.asarray(times, dtype=np.int64), np.asarray(values, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        log = np.where(value > 0, np.log(value), np.nan)
    if np.isfinite(log).sum() < 3 * lags:
        return 1.0 + lags
    rest = _off_season(time, log, period)
    spread = 1.4826 * float(np.nanmedian(np.abs(rest)))
    if spread <= 0:
        return 1.0
    rest = np.clip(rest, -3 * spread, 3 * spread)
    own = float(np.nanmean(rest**2))
    total = 1.0
    for lag in range(1, lags + 1):
        pairs = rest[:-lag] * rest[lag:]
        if np.isfinite(pairs).any():
            total += 2 * (1 - lag / (lags + 1)) * float(np.nanmean(pairs)) / own
    return min(max(total, 1.0), 1.0 + lags)


def _off_season(time: NDArray[np.int64], log: NDArray[np.float64], period: int) -> NDArray[np.float64]:
    """Return the distance of each value from the median of its hour."""
    import pandas as pd

    slot = (time % period) // 3600 if period else time // (1000 * DAY)
    series = pd.Series(log)
    return np.asarray(series - series.groupby(slot).transform("median"), dtype=np.float64)
