"""Latency: how much slower than usual, which part of the request, and whether load or payload explain it.

Pure functions over aggregates that an engine has already computed. Rules: each returns `Signal`s with
their n, method and 95 % interval, or ``None`` as the value with the reason; nothing here knows a
threshold that decides a verdict (the numbers that define an episode are arguments, set by policy).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Signal
from rbnb.signals.intervals import ratio_interval, share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

__all__ = [
    "BURN_PAIRS",
    "burn_rates",
    "equal_load",
    "equal_mix",
    "quantile_ratio",
    "stage_excess",
    "tail_only",
]

#: SLO burn-rate windows: name, long and short window in seconds. Both must burn for an alarm.
#: Google, The Site Reliability Workbook, chapter 5, "Alerting on SLOs".
BURN_PAIRS = (("1h", 3_600, 300), ("6h", 21_600, 1_800), ("1d", 86_400, 7_200), ("3d", 259_200, 21_600))

_Z95 = 1.959964


def quantile_ratio(
    name: str,
    level: float,
    current: Sequence[float | None],
    reference: Sequence[float | None],
    counts: tuple[int, int],
    *,
    where: str = "",
    method: str = "",
) -> Signal:
    """Compare a latency quantile with the reference at the same hours, as a ratio with its interval.

    Source: own definition: ratio of two quantiles; Conover (1999), Practical Nonparametric Statistics, 3.2, for the
    order-statistic intervals of each.

    Parameters
    ----------
    current, reference
        The quantile and the two quantiles that bound it (`quantile_levels`), in the log's unit.
    counts
        Requests behind each.

    Returns
    -------
    Signal
        Unit ``ratio``; the interval combines both sides' order-statistic intervals on the log scale.

    Examples
    --------
    >>> s = quantile_ratio("latency_p50", 0.5, (20.0, 19.0, 21.0), (10.0, 9.5, 10.5), (500, 5000))
    >>> round(s.value, 2), tuple(round(x, 2) for x in s.interval)
    (2.0, (1.86, 2.15))
    """
    n_current, n_reference = counts
    # with fewer, even the largest of all lies above the true quantile less often than 97.5 %
    needed = max(math.ceil(math.log(0.025) / math.log(level)), 10)
    unit, text = "ratio", f"{method or 'quantile over the same hours'}; n reference {n_reference:,}"
    if reference[0] == 0:
        reason = "the reference quantile is 0, so nothing can be a multiple of it; log latency in finer steps"
        return Signal(name, None, unit, n_current, text, where=where, reason=reason)
    if min(counts) < needed or None in current or None in reference:
        reason = f"{min(counts):,} requests are too few for this quantile ({needed:,} needed)"
        return Signal(name, None, unit, n_current, text, where=where, reason=reason)
    value, low, high = (math.log(max(float(x or 0.0), 1e-9)) for x in current)
    base, base_low, base_high = (math.log(max(float(x or 0.0), 1e-9)) for x in reference)
    middle = value - base
    down = math.hypot(value - low, base_high - base)
    up = math.hypot(high - value, base - base_low)
    interval = (math.exp(middle - down), math.exp(middle + up))
    return Signal(name, math.exp(middle), unit, n_current, text, interval, where, reference=1.0)


def burn_rates(kind: str, spans: pd.DataFrame, bad: str, of: str, budget: float) -> list[Signal]:
    """Return the SLO burn rate of each standard pair of windows: the smaller of its long and short window.

    Source: Site Reliability Workbook (2018), ch. 5; Wilson (1927), JASA 22, 209, for the interval; unit ``burn
    rate``.

    Parameters
    ----------
    kind
        ``latency`` or ``availability``: signals are named ``burn_<kind>_1h`` and so on.
    spans
        One row a span, named ``1h.long``, ``1h.short`` …, with the columns `bad` and `of` (counts).
    budget
        Share of requests that may be bad.

    Notes
    -----
    A burn rate of 1 uses up the whole budget exactly over the SLO's period. The interval is Wilson's over
    the budget, of whichever window is the smaller. Site Reliability Workbook, chapter 5.

    Examples
    --------
    >>> import pandas as pd
    >>> names = [f"{name}.{part}" for name, _, _ in BURN_PAIRS for part in ("long", "short")]
    >>> spans = pd.DataFrame({"span": names, "slow": 20, "n": 1000})
    >>> {round(s.value, 2) for s in burn_rates("latency", spans, "slow", "n", 0.01)}
    {2.0}
    """
    rows = spans.set_index("span")
    signals = []
    for name, long, short in BURN_PAIRS:
        rates = [
            share("", int(rows.loc[f"{name}.{w}", bad]), int(rows.loc[f"{name}.{w}", of])) for w in ("long", "short")
        ]
        least = min(rates, key=lambda s: s.value if s.value is not None else -1.0)
        method = f"share of bad requests over a budget of {budget:.3%}, smaller of {long // 60} and {short // 60} min"
        label = f"burn_{kind}_{name}"
        if least.value is None or least.interval is None:
            signals.append(Signal(label, None, "burn rate", 0, method, reason="a window holds no requests"))
            continue
        interval = (least.interval[0] / budget, least.interval[1] / budget)
        signals.append(Signal(label, least.value / budget, "burn rate", least.n, method, interval, reference=1.0))
    return signals


def stage_excess(cells: pd.DataFrame, stages: Sequence[str]) -> list[Signal]:
    """Return for each stage its share of the extra time a request takes.

    Source: own definition: share of the extra mean time, unit ``share``, with a delta-method interval.

    Parameters
    ----------
    cells
        Rows with ``period`` (current or reference), ``n``, ``<stage>|total`` and ``<stage>|squares``.
    stages
        Columns of the log whose sum is the latency.

    Returns
    -------
    list of Signal
        ``stage_share`` with ``where`` = the stage; ``reference`` holds the usual mean in the log's unit.
        The interval is from the delta method on stage against rest.

    Examples
    --------
    >>> import pandas as pd
    >>> cells = pd.DataFrame(
    ...     {
    ...         "period": ["current", "reference"],
    ...         "n": [100, 100],
    ...         "queue|total": [3000.0, 1000.0],
    ...         "queue|squares": [91000.0, 11000.0],
    ...         "model|total": [1000.0, 1000.0],
    ...         "model|squares": [11000.0, 11000.0],
    ...     }
    ... )
    >>> [(s.where, round(s.value, 2)) for s in stage_excess(cells, ["queue", "model"])]
    [('queue', 1.0), ('model', 0.0)]
    """
    current, reference = (
        cells[cells["period"] == period].sum(numeric_only=True) for period in ("current", "reference")
    )
    n_c, n_r = int(current.get("n", 0)), int(reference.get("n", 0))
    if min(n_c, n_r) < 2:
        return [
            Signal("stage_share", None, "share", n_c, "mean per stage", where=s, reason="too few requests")
            for s in stages
        ]
    excess: dict[str, tuple[float, float]] = {}
    for stage in stages:
        mean_c, var_c = _moments(current, stage, n_c)
        mean_r, var_r = _moments(reference, stage, n_r)
        excess[stage] = (mean_c - mean_r, var_c / n_c + var_r / n_r)
    total = sum(value for value, _ in excess.values())
    spread = math.sqrt(sum(variance for _, variance in excess.values()))
    if total <= _Z95 * spread:
        reason = "requests take no longer than usual on average, so there is no excess to divide"
        return [Signal("stage_share", None, "share", n_c, "mean per stage", where=s, reason=reason) for s in stages]
    return [
        Signal(
            "stage_share",
            excess[stage][0] / total,
            "share",
            n_c,
            f"extra mean time in this stage over all stages; usual mean {reference[f'{stage}|total'] / n_r:,.1f}",
            ratio_interval(excess[stage], _rest(excess, stage)),
            stage,
        )
        for stage in stages
    ]


def _moments(sums: pd.Series, name: str, n: int) -> tuple[float, float]:
    mean = float(sums[f"{name}|total"]) / n
    return mean, max(float(sums[f"{name}|squares"]) / n - mean * mean, 0.0)


def _rest(parts: Mapping[str, tuple[float, float]], out: str) -> tuple[float, float]:
    others = [value for name, value in parts.items() if name != out]
    return sum(v for v, _ in others), sum(s for _, s in others)


def tail_only(p50: Signal, p95: Signal) -> Signal:
    """Return 0 when all requests are slower by the same factor, 1 when only the slowest are.

    Source: own definition, unit ``share``.

    Computed as 1 − log(p50 ratio) / log(p95 ratio), clipped to 0 … 1.

    Examples
    --------
    >>> all_slower = Signal("latency_p50", 2.0, "ratio", 900, ""), Signal("latency_p95", 2.0, "ratio", 900, "")
    >>> tail_only(*all_slower).value
    0.0
    """
    method = "1 − log p50 ratio / log p95 ratio"
    if p50.value is None or p95.value is None or p95.value <= 1.05:
        return Signal("tail_only", None, "share", p95.n, method, reason="the tail is not slower than usual")
    value = 1 - math.log(max(p50.value, 1e-9)) / math.log(p95.value)
    return Signal("tail_only", min(max(value, 0.0), 1.0), "share", p95.n, method)


def equal_load(
    load: ArrayLike,
    latency: ArrayLike,
    usual: ArrayLike,
    reference_load: ArrayLike,
    reference_latency: ArrayLike,
    *,
    seed: int,
    neighbours: int = 30,
) -> Signal:
    """Return the share of the excess that remains against reference buckets of equal load.

    Source: own definition: excess against reference buckets of equal load, unit ``share``; Efron (1979), Annals of
    Statistics 7, 1, for the bootstrap.

    Parameters
    ----------
    load, latency, usual
        For each slow bucket: requests, mean latency, and what is usual at that hour.
    reference_load, reference_latency
        The same for reference buckets.
    seed
        Of the bootstrap over slow buckets.

    Returns
    -------
    Signal
        ``excess_at_equal_load``: near 1, load does not explain it; near 0, load does. Undefined where the load
        was never seen in the reference: then nobody can tell.

    Examples
    --------
    >>> load, latency = np.full(40, 100.0), np.full(40, 10.0)
    >>> s = equal_load(load, latency * 2, latency, load, latency, seed=0)
    >>> s.value, s.interval
    (1.0, (1.0, 1.0))
    """
    name, method = "excess_at_equal_load", f"{neighbours} reference buckets nearest in load, bootstrap over buckets"
    now, slow, expected = (np.asarray(x, dtype=np.float64) for x in (load, latency, usual))
    ref_load, ref_latency = (np.asarray(x, dtype=np.float64) for x in (reference_load, reference_latency))
    good = np.isfinite(ref_latency) & (ref_load > 0)
    order = np.lexsort((ref_latency[good], ref_load[good]))
    ref_load, ref_latency = ref_load[good][order], ref_latency[good][order]
    known = np.isfinite(slow) & np.isfinite(expected) & (now > 0)
    order = np.lexsort((expected[known], slow[known], now[known]))
    now, slow, expected = (x[known][order] for x in (now, slow, expected))
    if len(now) < 2 or len(ref_load) < neighbours:
        return Signal(name, None, "share", len(now), method, reason="too few buckets to compare at equal load")
    nearest = np.argsort(np.abs(np.log(ref_load)[None, :] - np.log(now)[:, None]), axis=1, kind="stable")[
        :, :neighbours
    ]
    gap = np.abs(np.log(np.median(ref_load[nearest], axis=1) / now))
    if float(np.median(gap)) > math.log(1.15):
        reason = f"the load ({np.median(now):,.0f} requests a bucket) was never seen in the reference"
        return Signal(name, None, "share", len(now), method, reason=reason)
    at_load = slow - np.median(ref_latency[nearest], axis=1)
    raw = slow - expected
    if float((raw * now).sum()) <= 0:
        return Signal(name, None, "share", len(now), method, reason="there is no excess to compare")
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, len(now), (500, len(now)))
    with np.errstate(invalid="ignore", divide="ignore"):
        samples = (at_load * now)[picks].sum(axis=1) / (raw * now)[picks].sum(axis=1)
    low, high = np.nanquantile(samples, (0.025, 0.975))
    value = float((at_load * now).sum() / (raw * now).sum())
    interval = (min(float(low), value), max(float(high), value))
    missing = len(known) - len(now)
    told = (
        f"{missing:,} of {len(known):,} buckets without latency, load or a usual value not counted" if missing else ""
    )
    return Signal(name, value, "share", len(now), method, interval, "", 1.0, told)


def equal_mix(bins: pd.DataFrame) -> Signal:
    """Return the share of the excess that remains when the payload mix is held equal.

    Source: own definition: share of an excess (unit ``share``) that direct standardisation over payload sizes
    leaves.

    Parameters
    ----------
    bins
        One row a period (current or reference) and payload bin: ``period``, ``bin``, ``n``, ``total``.

    Returns
    -------
    Signal
        ``excess_at_equal_payload``; undefined where bins of the window are missing from the reference.

    Examples
    --------
    >>> import pandas as pd
    >>> bins = pd.DataFrame(
    ...     {
    ...         "period": ["current", "reference"] * 2,
    ...         "bin": [0, 0, 1, 1],
    ...         "n": [100, 100, 100, 100],
    ...         "total": [2000.0, 1000.0, 4000.0, 2000.0],
    ...     }
    ... )
    >>> equal_mix(bins).value
    1.0
    """
    name, method = "excess_at_equal_payload", "direct standardisation over payload deciles of the reference"
    table = bins.pivot_table(index="bin", columns="period", values=["n", "total"], aggfunc="sum", fill_value=0)
    if not {("n", "current"), ("n", "reference")} <= set(table.columns):
        return Signal(name, None, "share", 0, method, reason="one of the two periods holds no payload sizes")
    n_c, n_r = table["n", "current"], table["n", "reference"]
    n = int(n_c.sum())
    covered = n_c[n_r >= 20].sum() / max(n, 1)
    if n < 20 or covered < 0.9:
        reason = f"only {covered:.0%} of requests have a payload size known from the reference"
        return Signal(name, None, "share", n, method, reason=reason)
    use = n_r >= 20
    mean_r = table["total", "reference"][use] / n_r[use]
    observed = table["total", "current"][use].sum() / n_c[use].sum()
    at_mix = float((mean_r * n_c[use]).sum() / n_c[use].sum())
    overall = float(table["total", "reference"].sum() / n_r.sum())
    if observed - overall <= 0:
        return Signal(name, None, "share", n, method, reason="there is no excess to compare")
    return Signal(name, float((observed - at_mix) / (observed - overall)), "share", n, method, reference=1.0)
