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

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

__all__ = [
    "BURN_PAIRS",
    "burn_rates",
    "equal_load",
    "equal_mix",
    "quantile_levels",
    "quantile_ratio",
    "ratio_interval",
    "share",
    "stage_excess",
    "tail_only",
]

#: SLO burn-rate windows: name, long and short window in seconds. Both must burn for an alarm.
#: Google, The Site Reliability Workbook, chapter 5, "Alerting on SLOs".
BURN_PAIRS = (("1h", 3_600, 300), ("6h", 21_600, 1_800), ("1d", 86_400, 7_200), ("3d", 259_200, 21_600))

_Z95 = 1.959964


def quantile_levels(n: int, level: float) -> tuple[float, float]:
    """Return the levels whose quantiles bound the quantile at `level` with 95 % confidence.

    The rank of the true quantile among n values is binomial; its normal approximation, rounded up to whole
    ranks. An engine that interpolates puts rank r at level (r − 1) / (n − 1).
    Conover (1999), Practical Nonparametric Statistics, 3.2.

    Examples
    --------
    >>> low, high = quantile_levels(1000, 0.99)
    >>> round(low, 4), round(high, 4)
    (0.984, 0.997)
    """
    if n < 2:
        return 0.0, 1.0
    half = _Z95 * math.sqrt(n * level * (1 - level))
    low, high = math.ceil(n * level - half), math.ceil(n * level + half)
    return max(low - 1, 0) / (n - 1), min(high - 1, n - 1) / (n - 1)


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


def share(
    name: str, count: int, n: int, *, where: str = "", method: str = "", reference: float | None = None
) -> Signal:
    """Return a share with its Wilson 95 % interval; undefined when n is 0.

    Wilson (1927), JASA 22, 209.

    Examples
    --------
    >>> s = share("errors", 5, 100)
    >>> s.value, tuple(round(x, 4) for x in s.interval)
    (0.05, (0.0215, 0.1118))
    """
    method = method or "count over n, Wilson interval"
    if n <= 0:
        return Signal(name, None, "share", 0, method, where=where, reason="there is nothing to take a share of")
    p, z2 = count / n, _Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    interval = (max(middle - half, 0.0) if count else 0.0, min(middle + half, 1.0) if count < n else 1.0)
    return Signal(name, p, "share", n, method, interval, where, reference)


def burn_rates(kind: str, spans: pd.DataFrame, bad: str, of: str, budget: float) -> list[Signal]:
    """Return the SLO burn rate of each standard pair of windows: the smaller of its long and short window.

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


def ratio_interval(part: tuple[float, float], rest: tuple[float, float]) -> tuple[float, float]:
    """Return the 95 % interval of part / (part + rest), each given as (value, variance) and independent.

    Delta method; the interval may leave 0 to 1 when the whole is small, which says how little is known.

    Examples
    --------
    >>> tuple(round(x, 3) for x in ratio_interval((9.0, 0.01), (1.0, 0.01)))
    (0.882, 0.918)
    """
    total = part[0] + rest[0]
    value = part[0] / total
    variance = (rest[0] ** 2 * part[1] + part[0] ** 2 * rest[1]) / total**4
    half = _Z95 * math.sqrt(variance)
    return value - half, value + half


def tail_only(p50: Signal, p95: Signal) -> Signal:
    """Return 0 when all requests are slower by the same factor, 1 when only the slowest are.

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
    """
    name, method = "excess_at_equal_load", f"{neighbours} reference buckets nearest in load, bootstrap over buckets"
    now, slow, expected = (np.asarray(x, dtype=np.float64) for x in (load, latency, usual))
    ref_load, ref_latency = (np.asarray(x, dtype=np.float64) for x in (reference_load, reference_latency))
    good = np.isfinite(ref_latency) & (ref_load > 0)
    ref_load, ref_latency = ref_load[good], ref_latency[good]
    known = np.isfinite(slow) & np.isfinite(expected) & (now > 0)
    now, slow, expected = now[known], slow[known], expected[known]
    if len(now) < 2 or len(ref_load) < neighbours:
        return Signal(name, None, "share", len(now), method, reason="too few buckets to compare at equal load")
    nearest = np.argsort(np.abs(np.log(ref_load)[None, :] - np.log(now)[:, None]), axis=1)[:, :neighbours]
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
    return Signal(name, value, "share", len(now), method, (float(low), float(high)), reference=1.0)


def equal_mix(bins: pd.DataFrame) -> Signal:
    """Return the share of the excess that remains when the payload mix is held equal.

    Parameters
    ----------
    bins
        One row a period (current or reference) and payload bin: ``period``, ``bin``, ``n``, ``total``.

    Returns
    -------
    Signal
        ``excess_at_equal_payload``; undefined where bins of the window are missing from the reference.
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
