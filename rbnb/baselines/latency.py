"""Every window of history, measured as a latency_spike run would have measured it, without running it.

The log is reduced twice: to a histogram of latencies an hour, from which the quantiles of any hours can be put
together, and to the buckets of a run, from which comes how far they are from what is usual. Rules:

- **The same functions as in a run** (`rbnb.signals`), over the same choice of reference: the same hours of the
  week, or wider where these hold too few requests. Where a window has less than two weeks before it, the first
  two weeks of the history stand in. Left-out stretches and the window itself are in no reference.
- **What differs is said**: quantiles are known to within 1 %; a whole window is compared, where a run looks at the
  episode in it; what is usual of a bucket is learned from both sides of it; an episode that takes requests to be
  confirmed does not count.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rbnb.baselines.usual import usual_on_grid
from rbnb.baselines.windows import HOUR, Measured, Walk, touching, windows_of
from rbnb.model import Signal
from rbnb.signals.baseline import WEEK, Expectation, fewer, seasonal_period
from rbnb.signals.intervals import quantile_levels, share
from rbnb.signals.latency.episode import detect_episode, persistence
from rbnb.signals.latency.slowness import quantile_ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.baselines.windows import Floats, Hours, Spans
    from rbnb.data.hourly import Hourly
    from rbnb.diagnoses.latency.measure import LatencySettings

__all__ = ["SIGNALS", "walk_latency"]

#: What is learned of a latency_spike run; docs/baselines.md says why these and no others.
SIGNALS = (
    "latency_p50",
    "latency_p95",
    "latency_p99",
    "slow_share",
    "latency_anomaly",
    "error_rate",
    "throughput",
    "throughput_drop",
)
_QUANTILES = (("latency_p50", 0.5), ("latency_p95", 0.95), ("latency_p99", 0.99))
#: Width of a bin on the natural log scale: a quantile is known to within half of it, 1 %.
_WIDTH = 0.02
#: How many times the requests of a window its reference should hold before a wider one is taken, as in a run.
_TIMES_CURRENT = 1.5
_REFERENCE_HOURS = 14 * 24


def walk_latency(
    data: Hourly, span: tuple[int, int], *, length: int, bucket: int, leave_out: Spans, settings: LatencySettings
) -> Walk:
    """Measure the latency signals in a window at every full hour.

    Parameters
    ----------
    data
        The model's logs; a latency must be mapped.
    span
        Epoch seconds between which history is walked.
    length, bucket
        Of a window and of a bucket in it, in seconds.
    leave_out
        Known incidents and other stretches that are not learned from.
    settings
        As the policy sets them.
    """
    data.hold(*span)
    ends = windows_of(*span, length)
    walk = Walk("latency_spike", length, ends, ~touching(ends - length, ends, leave_out))
    bins = _Bins.of(data, span, leave_out, settings.enough)
    rows = [bins.signals(int(end), length) for end in ends]
    found = [Measured.of(column) for column in zip(*rows, strict=True)]
    series = _Series(data.series(span[0] - span[0] % bucket, span[1], bucket), span, bucket, leave_out, settings)
    found += series.signals(ends, length)
    kept = tuple(one for one in found if np.isfinite(one.value).any())
    missing = {one.signal: "undefined in every window" for one in found if not np.isfinite(one.value).any()}
    if "errors" not in series.frame:
        missing["error_rate"] = "no column mapped (columns.status_code)"
    return replace(walk, measured=kept, missing=missing)


class _Bins:
    """Latencies of history as counts an hour and bin.

    Parameters
    ----------
    counts
        One row an hour, one column a bin.
    edges
        Lower edge of each bin on the log scale.
    first
        Hours since 1970 of the first row.
    out
        Rows that no reference may use.
    enough
        Requests that a reference need not exceed.
    """

    def __init__(
        self, counts: NDArray[np.int64], edges: Floats, first: int, out: NDArray[np.bool_], enough: float
    ) -> None:
        self.counts = counts
        self.edges = edges
        self.first = first
        self.out = out
        self.enough = enough
        self.rows = counts.sum(axis=1)
        held = np.flatnonzero((self.rows > 0) & ~out)
        self.weekly = bool(len(held)) and seasonal_period(float(held[-1] - held[0]) * HOUR) == WEEK
        self.absolute = first + np.arange(len(counts))

    @classmethod
    def of(cls, data: Hourly, span: tuple[int, int], leave_out: Spans, enough: float) -> _Bins:
        """Reduce the log."""
        frame = data.latency_bins(*span, _WIDTH)
        first, last = span[0] // HOUR, -(-span[1] // HOUR)
        lowest = int(frame["bin"].min()) if len(frame) else 0
        highest = int(frame["bin"].max()) if len(frame) else 0
        counts = np.zeros((last - first, highest - lowest + 1), dtype=np.int64)
        counts[frame["hour"].to_numpy() // HOUR - first, frame["bin"].to_numpy() - lowest] = frame["n"]
        starts = (first + np.arange(last - first)) * HOUR
        out = touching(starts, starts + HOUR, leave_out)
        edges = np.asarray(np.arange(lowest, highest + 2) * _WIDTH, dtype=np.float64)
        return cls(counts, edges, first, out, enough)

    def signals(self, end: int, length: int) -> list[Signal]:
        """Return the ratios of quantiles and the share of slow requests of one window."""
        stop = end // HOUR - self.first
        inside = np.arange(max(stop - -(-length // HOUR), 0), stop)
        current = self.counts[inside].sum(axis=0)
        reference = self._reference(inside, int(current.sum()))
        n = (int(current.sum()), int(reference.sum()))
        found = [
            quantile_ratio(name, level, self._three(current, level), self._three(reference, level), n)
            for name, level in _QUANTILES
        ]
        limit = self.quantile(reference, [0.99])[0]
        slow = 0 if limit is None else round(self._above(current, limit))
        found.append(share("slow_share", slow, n[0] if limit is not None else 0))
        return found

    def _reference(self, inside: Hours, n: int) -> NDArray[np.int64]:
        """Return the counts of the reference: the narrowest of the run's own choices that holds enough."""
        start = int(inside[0]) if len(inside) else 0
        first = max(start - _REFERENCE_HOURS, 0)
        last = min(max(start, first + _REFERENCE_HOURS), len(self.counts))
        usable = np.zeros(len(self.counts), dtype=np.bool_)
        usable[first:last] = True
        usable &= ~self.out
        usable[inside] = False
        needed = min(self.enough, _TIMES_CURRENT * n)
        chosen = usable
        for option in self._options(inside):
            chosen = usable & option
            if self.rows[chosen].sum() >= needed:
                break
        return np.asarray(self.counts[chosen].sum(axis=0), dtype=np.int64)

    def _options(self, inside: Hours) -> Iterator[NDArray[np.bool_]]:
        slots = self.absolute[inside]
        of_day = np.isin(self.absolute % 24, slots % 24)
        # hour 0 of the epoch was a Thursday: days 2 and 3 of its week are Saturday and Sunday
        weekend = np.isin(self.absolute // 24 % 7, (2, 3))
        if self.weekly:
            yield np.isin(self.absolute % 168, slots % 168)
        yield of_day & (weekend == (int(slots[0]) // 24 % 7 in (2, 3)))
        yield of_day
        yield np.ones(len(self.absolute), dtype=np.bool_)

    def _three(self, counts: NDArray[np.int64], level: float) -> Sequence[float | None]:
        return self.quantile(counts, (level, *quantile_levels(int(counts.sum()), level)))

    def quantile(self, counts: NDArray[np.int64], levels: Sequence[float]) -> list[float | None]:
        """Return quantiles of binned latencies, between neighbours as numpy does; None without any.

        The values of a bin are taken to lie evenly in it on the log scale.
        """
        total = int(counts.sum())
        if not total:
            return [None] * len(levels)
        upto = np.cumsum(counts)
        place = np.asarray(levels, dtype=np.float64) * (total - 1)
        low = np.floor(place).astype(np.int64)
        below, above = (self._ordered(counts, upto, rank) for rank in (low, np.minimum(low + 1, total - 1)))
        return [float(value) for value in below + (place - low) * (above - below)]

    def _ordered(self, counts: NDArray[np.int64], upto: NDArray[np.int64], rank: NDArray[np.int64]) -> Floats:
        """Return the latencies of these ranks, from 0 up."""
        at = np.searchsorted(upto, rank, side="right")
        into = (rank - (upto[at] - counts[at]) + 0.5) / counts[at]
        return np.asarray(np.exp(self.edges[at] + into * _WIDTH), dtype=np.float64)

    def _above(self, counts: NDArray[np.int64], limit: float) -> float:
        place = (np.log(limit) - self.edges[0]) / _WIDTH
        at = int(np.clip(np.floor(place), 0, len(counts) - 1))
        return float(counts[at + 1 :].sum() + (1 - (place - at)) * counts[at])


class _Series:
    """History as buckets of a run: how far each is from what is usual, how many requests, how many errors."""

    def __init__(
        self, raw: pd.DataFrame, span: tuple[int, int], bucket: int, leave_out: Spans, settings: LatencySettings
    ) -> None:
        import pandas as pd

        start = span[0] - span[0] % bucket
        grid = pd.RangeIndex(start, span[1] - span[1] % bucket, bucket, name="bucket")
        frame = raw.set_index("bucket").reindex(grid)
        counts = [name for name in ("n", "measured", "errors") if name in frame]
        frame[counts] = frame[counts].fillna(0)
        self.frame = frame
        self.times = np.asarray(frame.index, dtype=np.int64)
        self.usable = np.ones(len(self.times), dtype=np.bool_)
        for low, high in leave_out:
            self.usable &= ~((self.times >= low) & (self.times < high))
        self.settings = settings
        measured = frame["measured"]
        one_each = float(measured[measured > 0].median() if (measured > 0).any() else 0) < 3
        self.columns = ("p50",) if one_each else ("p50", "p95")

    def _values(self, column: str) -> Floats:
        return np.asarray(self.frame[column].to_numpy(dtype=float), dtype=np.float64)

    def _usual(self, column: str) -> Expectation:
        return usual_on_grid(self.times, self._values(column), self.usable)

    def signals(self, ends: Hours, length: int) -> list[Measured]:
        """Return the anomaly, the traffic and the error rate of each window."""
        usual_n = self._usual("n")
        spots = [
            (int(np.searchsorted(self.times, end - length)), int(np.searchsorted(self.times, end))) for end in ends
        ]
        anomaly = self._anomalies(ends, length, usual_n)
        traffic = [self._throughput(low, high, usual_n) for low, high in spots]
        found = [Measured.of(anomaly), Measured.of(traffic)]
        found.append(Measured.of([replace(signal, name="throughput_drop") for signal in traffic]))
        if "errors" in self.frame:
            n, errors = self._values("n"), self._values("errors")
            rates = [share("error_rate", int(errors[low:high].sum()), int(n[low:high].sum())) for low, high in spots]
            found.append(Measured.of(rates))
        return found

    def _throughput(self, low: int, high: int, usual: Expectation) -> Signal:
        n, middle = self._values("n")[low:high], usual.middle[low:high]
        known = np.isfinite(middle)
        ratio = float(np.median(n[known] / middle[known])) if known.any() else None
        return Signal("throughput", ratio, "ratio", int(n.sum()), "median over buckets", reference=1.0)

    def _anomalies(self, ends: Hours, length: int, usual_n: Expectation) -> list[Signal]:
        """Look for an episode in each window with a run's own detector, the hours before it as its context."""
        usual = {c: fewer(self._usual(c), self._values("measured"), usual_n.middle) for c in self.columns}
        held = self.times[self.usable & (self._values("measured") > 0)]
        period = seasonal_period(float(held[-1] - held[0])) if len(held) else 0
        past = self.usable
        inflation = {c: persistence(self.times[past], self._values(c)[past], period) for c in self.columns}
        context = max(6 * HOUR, 2 * length)
        found = []
        for end in ends:
            seen = slice(*np.searchsorted(self.times, (end - length - context, end)))
            series = {c: (self._values(c)[seen], _cut(usual[c], seen)) for c in self.columns}
            signal, _ = detect_episode(
                self.times[seen],
                series,
                since=int(end) - length,
                z_min=self.settings.z_min,
                ratio_min=self.settings.ratio_min,
                inflation=inflation,
                only_sure=True,
            )
            found.append(signal)
        return found


def _cut(usual: Expectation, seen: slice) -> Expectation:
    return replace(
        usual,
        middle=usual.middle[seen],
        low=usual.low[seen],
        high=usual.high[seen],
        scale=usual.scale[seen],
        n=usual.n[seen],
    )
