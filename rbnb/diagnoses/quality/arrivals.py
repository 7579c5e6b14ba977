"""Did everything arrive: requests by hour against the same hours before, feeds that fell silent, a log that stopped.

Rules: what is usual is the same hour of the week, or of the day, in the reference; a lack is a stretch of time, sought
by the likelihood ratio of the Poisson over the scatter of the usual counts. A slice is held against what the others
sent at the same time, by its usual share at that hour. Where a request was served (host, zone, version) is balanced
by routers: such a slice lacks requests only if the whole does too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Signal
from rbnb.signals.baseline import seasonal_expectation
from rbnb.signals.quality.scan import scan

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    Counts = NDArray[np.float64]

__all__ = ["Arrivals", "Lack", "measure_arrivals", "served_at"]

_HOUR = 3600
#: Requests a slice must be expected to have in the window before its silence says anything.
_EXPECTED = 20.0
#: Slices are many, so each has to be surer by as much.
_OF_MANY = 1.5
_TRIED = (0.02, 0.15, 0.35, 0.6, 0.8)
_SERVED = ("host", "node", "instance", "machine", "pod", "zone", "availability_zone", "rack", "cluster", "datacenter",
           "version", "model_version", "replica")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lack:
    """A stretch in which fewer requests arrived than usual.

    `where` is the slice, ``""`` for all; `onset` and `ended` are epoch seconds, None where it goes on; `stopped`
    is true of a log that ended before the clock.
    """

    where: str
    onset: int
    ended: int | None
    held: float
    expected: float
    ratio: float
    stopped: bool = False

    @property
    def volume(self) -> float:
        """Requests over those usual."""
        return self.held / self.expected


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How requests arrived in the window, bucket by bucket, with what is usual and what is lacking."""

    times: NDArray[np.int64]
    held: Counts
    usual: Counts
    lacks: tuple[Lack, ...]
    signals: tuple[Signal, ...]


def served_at(column: str) -> bool:
    """Whether a column says where a request was served, rather than where it came from."""
    return column in _SERVED


def measure_arrivals(
    total: pd.DataFrame,
    parts: Mapping[str, pd.DataFrame],
    span: tuple[int, int, int],
    reference: tuple[int, int],
    *,
    leave_out: tuple[tuple[int, int], ...] = (),
    until: int = 0,
    certain: float = 10.0,
) -> Arrivals:
    """Measure volume, missing hours and silent slices.

    Parameters
    ----------
    total, parts
        As `Profiles.volume` returns them, in buckets, over reference and window; parts by segment column.
    span
        Start and end of the window and the bucket, in seconds.
    reference
        Start and end of the reference.
    until
        Epoch second up to which requests should have come; beyond the window it tells whether the log stopped.
    certain
        Log likelihood ratio from which a lack is no chance.
    """
    start, end, size = span
    times = np.arange(start, end, size, dtype=np.int64)
    held = _on(times, total)
    past = np.arange(reference[0] - reference[0] % _HOUR, reference[1], _HOUR, dtype=np.int64)
    hours = _on(past, total, _HOUR)
    inside = _usable(past, hours, leave_out)
    if int(inside.sum()) < 24 or hours[inside].sum() < 100:
        return Arrivals(times, held, np.full(len(times), np.nan), (), _undefined(held))
    usual, scatter = _usual(past[inside], hours[inside], times, size)
    lacks = _lacks("", times, held, usual, scatter, size, certain)
    silent, after = _silence(past[inside], hours[inside], end, until, scatter)
    for column, frame in parts.items():
        # where requests are served is balanced by routers: there a lack of one is a lack only if the whole lacks too
        if lacks or not served_at(column):
            lacks += _of_slices(column, frame, times, held, (past[inside], hours[inside]), size, _OF_MANY * certain)
    lacks.sort(key=lambda lack: -lack.ratio)
    kept = _narrowed(lacks)
    if silent.value is not None and silent.value / scatter >= certain:
        kept.insert(0, Lack("", end, None, 0.0, silent.value, silent.value / scatter, stopped=True))
    return Arrivals(times, held, usual, tuple(kept), (*_signals(held, usual, kept, size), silent, after))


def _usable(past: NDArray[np.int64], hours: Counts, leave_out: tuple[tuple[int, int], ...]) -> NDArray[np.bool_]:
    """Return the hours of the reference that count: from its first request on, and not left out."""
    there = np.flatnonzero(hours > 0)
    inside = np.zeros(len(past), bool)
    if len(there):
        inside[there[0] + 1 :] = True
    for low, high in leave_out:
        inside &= ~((past >= low - _HOUR) & (past < high))
    return inside


def _on(times: NDArray[np.int64], frame: pd.DataFrame, size: int = 0) -> Counts:
    """Return counts at each time, 0 where no request came."""
    if not len(times):
        return np.zeros(0)
    step = size or int(times[1] - times[0]) if len(times) > 1 else size or _HOUR
    place = (frame["bucket"].to_numpy(np.int64) - int(times[0])) // step
    good = (place >= 0) & (place < len(times))
    counts = frame["n"].to_numpy(np.float64)
    return np.bincount(place[good], counts[good], minlength=len(times)).astype(np.float64)


def _usual(past: NDArray[np.int64], hours: Counts, times: NDArray[np.int64], size: int) -> tuple[Counts, float]:
    """Return what is usual in each bucket of the window, and how much hours scatter about it beyond the Poisson."""
    targets = np.unique(times - times % _HOUR)
    middle = np.nan_to_num(seasonal_expectation(past, np.maximum(hours, 0.5), targets).middle, nan=0.0)
    usual = middle[np.searchsorted(targets, times - times % _HOUR)] * size / _HOUR
    own = seasonal_expectation(past, np.maximum(hours, 0.5), past).middle
    known = np.isfinite(own) & (own > 1)
    if known.sum() < 24:
        return usual, 1.0
    residual = (hours[known] - own[known]) ** 2 / own[known]
    # the median of a chi-squared with one degree of freedom is 0.455; robust against earlier incidents
    return usual, max(float(np.median(residual)) / 0.455, 1.0)


def _lacks(
    where: str, times: NDArray[np.int64], held: Counts, usual: Counts, scatter: float, size: int, certain: float
) -> list[Lack]:
    """Return the surest stretch with too few requests, if it is sure."""
    best: tuple[float, int, int] | None = None
    for rate in _TRIED:
        found = _run(held, usual, rate, scatter)
        best = found if best is None or found[0] > best[0] else best
    if best is None or best[0] < certain:
        return []
    # once more at the rate that was found, which is what dates its start best
    inside = slice(best[1], best[2] + 1)
    ratio, first, last = _run(held, usual, max(float(held[inside].sum() / usual[inside].sum()), 0.01), scatter)
    inside = slice(first, last + 1)
    ended = None if last >= len(times) - 1 else int(times[last]) + size
    return [Lack(where, int(times[first]), ended, float(held[inside].sum()), float(usual[inside].sum()), ratio)]


def _run(held: Counts, usual: Counts, rate: float, scatter: float) -> tuple[float, int, int]:
    """Return the run of buckets likeliest to have `rate` times the usual requests: its ratio, first and last."""
    gain = held * math.log(rate) + usual * (1 - rate)
    sums = np.concatenate([[0.0], np.cumsum(gain)])
    lowest = np.minimum.accumulate(sums[:-1])
    last = int(np.argmax(sums[1:] - lowest))
    first = int(np.argmin(sums[: last + 1]))
    return _ratio(float(held[first : last + 1].sum()), float(usual[first : last + 1].sum())) / scatter, first, last


def _ratio(held: float, expected: float) -> float:
    if held >= expected:
        return 0.0
    return (held * math.log(held / expected) if held else 0.0) + expected - held


def _of_slices(
    column: str,
    frame: pd.DataFrame,
    times: NDArray[np.int64],
    held: Counts,
    past: tuple[NDArray[np.int64], Counts],
    size: int,
    certain: float,
) -> list[Lack]:
    """Hold each slice against the others: its share of what came, by the binomial, against its usual share."""
    hours, counts = past
    found = []
    for value, rows in frame.groupby("value", observed=True, sort=True):
        usual = _on(np.arange(hours[0], hours[-1] + _HOUR, _HOUR), rows, _HOUR)[(hours - hours[0]) // _HOUR]
        share = float(usual.sum()) / max(float(counts.sum()), 1.0)
        if not 0 < share <= 0.95 or not _still_sent(rows, hours) or held.sum() * share < _EXPECTED:
            continue
        mine, by_hour = _on(times, rows), _shares_by_hour(hours, usual, counts, share)
        part = by_hour[times // _HOUR % 24]
        others = held - mine
        scatter = _scatter_of_share(hours, usual, counts, by_hour)
        stretch = scan(others[None, :], held[None, :], (1 - part)[None, :], scatter=scatter)
        if not stretch or stretch[0].ratio < certain:
            continue
        first, last, inside = stretch[0].first, stretch[0].last, slice(stretch[0].first, stretch[0].last + 1)
        expected = float((others * part / (1 - part))[inside].sum())
        ended = None if last >= len(times) - 1 else int(times[last]) + size
        had = float(mine[inside].sum())
        found.append(Lack(f"{column}={value}", int(times[first]), ended, had, expected, stretch[0].ratio))
    return found


def _shares_by_hour(hours: NDArray[np.int64], usual: Counts, counts: Counts, share: float) -> Counts:
    """Return the usual share of a slice at each hour of the day, with the hours beside it and a little of the whole."""
    of_day = hours // _HOUR % 24
    mine, whole = (np.bincount(of_day, values, minlength=24) for values in (usual, counts))
    mine, whole = (v + np.roll(v, 1) + np.roll(v, -1) for v in (mine, whole))
    return np.clip((mine + 50 * share) / (whole + 50), 1e-4, 0.95)


def _scatter_of_share(hours: NDArray[np.int64], usual: Counts, counts: Counts, by_hour: Counts) -> float:
    """Return how much more a share scatters from hour to hour than the binomial, at least 1; a tenth is trimmed."""
    part = by_hour[hours // _HOUR % 24]
    full = counts > 0
    chi = (usual[full] - counts[full] * part[full]) ** 2 / (counts[full] * part[full] * (1 - part[full]))
    return max(float(np.sort(chi)[: max(int(0.9 * len(chi)), 1)].mean()) / 0.6, 1.0)


def _still_sent(rows: pd.DataFrame, hours: NDArray[np.int64]) -> bool:
    """Whether a slice still sent requests late in the reference; one that was retired long ago is not missed."""
    late = rows[(rows["bucket"] > hours[-1] - 86_400) & (rows["bucket"] <= hours[-1])]
    return float(late["n"].sum()) >= 5


def _narrowed(lacks: list[Lack]) -> list[Lack]:
    """Keep of all lacks those that say where: the whole is left out where one slice lacks nearly as much.

    A source that is surer to lack than the whole comes first though it lacks less: a quiet day is no reason to overlook
    that one feed has stopped.
    """
    whole = next((lack for lack in lacks if not lack.where), None)
    if whole is None:
        return lacks[:4]
    missing = whole.expected - whole.held
    lower = [lack for lack in lacks if lack.where and lack.volume < whole.volume - 0.15]
    single = [lack for lack in lower if lack.expected - lack.held >= 0.6 * missing]
    if single:
        return (single + [lack for lack in lacks if lack not in single and lack.where])[:4]
    surer = [lack for lack in lower if lack.ratio > whole.ratio and not served_at(lack.where.partition("=")[0])]
    return [*surer[:3], whole]


def _silence(past: NDArray[np.int64], hours: Counts, end: int, until: int, scatter: float) -> tuple[Signal, Signal]:
    """Return how many requests should have come after the newest, and how many of these came."""
    method = "requests usual at these hours between the newest row and the clock"
    if until <= end:
        none = Signal("silence", 0.0, "count", 0, method, (0.0, 0.0))
        return none, Signal("silence_hours", 0.0, "minutes", 0, "time without a request")
    targets = np.arange(end - end % _HOUR, min(until, end + 14 * 86_400), _HOUR, dtype=np.int64)
    middle = np.nan_to_num(seasonal_expectation(past, np.maximum(hours, 0.5), targets).middle, nan=0.0)
    part = np.clip(np.minimum(targets + _HOUR, until) - np.maximum(targets, end), 0, _HOUR) / _HOUR
    expected = float((middle * part).sum())
    half = 1.96 * math.sqrt(expected * scatter)
    interval = (max(expected - half, 0.0), expected + half)
    return (
        Signal("silence", expected, "count", round(expected), method, interval),
        Signal("silence_hours", (until - end) / 60, "minutes", 1, "time without a request"),
    )


def _undefined(held: Counts) -> tuple[Signal, ...]:
    reason = "the reference does not show what is usual at these hours"
    return (
        Signal("volume", None, "ratio", int(held.sum()), "requests over those usual", reason=reason),
        Signal("volume_surge", None, "ratio", int(held.sum()), "requests over those usual", reason=reason),
        Signal("missing_buckets", None, "count", len(held), "buckets without a request", reason=reason),
        Signal("silence", None, "count", 0, "requests usual since the newest row", reason=reason),
    )


def _signals(held: Counts, usual: Counts, lacks: list[Lack], size: int) -> list[Signal]:
    method = "requests over those usual at these hours, in the stretch that lacks most, else over the window"
    n, expected, where = float(held.sum()), float(usual.sum()), ""
    lacks = [lack for lack in lacks if not lack.stopped]
    if lacks:
        n, expected, where = lacks[0].held, lacks[0].expected, lacks[0].where
    value = n / expected if expected > 0 else None
    spread = 1.96 * math.sqrt(max(n, 1.0)) / expected if expected > 0 else 0.0
    interval = None if value is None else (max(value - spread, 0.0), value + spread)
    whole = float(held.sum() / usual.sum()) if usual.sum() > 0 else None
    empty = (held == 0) & (usual >= 8)
    told = f"buckets of {size // 60} min without a request in which eight or more are usual"
    return [
        Signal("volume", value, "ratio", int(n), method, interval, where, 1.0),
        Signal(
            "volume_surge", whole, "ratio", int(held.sum()), "requests of the window over those usual", reference=1.0
        ),
        Signal("missing_buckets", float(empty.sum()), "count", len(held), told),
    ]
