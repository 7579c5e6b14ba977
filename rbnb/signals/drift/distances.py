"""How far a column has moved from its reference: four distances, and location, scale, shape and categories apart.

The primary distance is the population stability index over bins of the reference, because it reads numbers
and categories alike, gives what is missing a bin of its own, has a known size under pure chance, and shares
its bins with the effect on the score (`rbnb.signals.drift.effects`), so that the same shift is measured once. It
says too little about a single category that is halved, or about a pure change of scale, so these are measured
by themselves. Kolmogorov-Smirnov, Jensen-Shannon and Wasserstein stand beside it, for those who know them.

Rules: every distance is told with the size it would have by chance alone at these row counts; what is
missing, infinite or never seen before is counted; a column without values gives no number, and a reason.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.model import Signal
from rbnb.signals.chance import Z95, chi2_quantile, chi2_tail
from rbnb.signals.drift.bins import Bins, labels, make_bins, numbers
from rbnb.signals.intervals import quantile_levels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "category_fold",
    "jensen_shannon",
    "kolmogorov_smirnov",
    "location_shift",
    "psi_by_chance",
    "scale_fold",
    "shape_distance",
    "shift_p_value",
    "stability_index",
    "wasserstein",
]

#: Added to every bin, so that an empty one has a logarithm. Jeffreys' prior of a multinomial.
_PRIOR = 0.5
#: Fewest values on either side for a distance to mean anything.
_FEWEST = 20
#: Fewest expected rows of a category for its own interval.
_PER_CATEGORY = 10
#: Asymptotic 95 % quantile of the Kolmogorov-Smirnov distance, times the root of n m / (n + m).
_KS95 = 1.3581
#: Normal interquartile range in standard deviations.
_IQR = 1.349


def _undefined(name: str, unit: str, n: int, method: str, where: str, reason: str) -> Signal:
    return Signal(name, None, unit, n, method, where=where, reason=reason)


def _too_few(reference: int, current: int) -> str:
    if min(reference, current) >= _FEWEST:
        return ""
    which = "the reference" if reference < current else "the window"
    return f"{which} holds {min(reference, current):,} usable values, {_FEWEST} are needed"


def _used(reference: NDArray[np.int64], current: NDArray[np.int64]) -> tuple[Floats, Floats]:
    used = (reference + current) > 0
    return reference[used].astype(float), current[used].astype(float)


def psi_by_chance(n_reference: int, n_current: int, bins: int, inflation: float = 1.0) -> float:
    """Return what the population stability index stays below in 95 of 100 cases when nothing has changed.

    ``(1/N + 1/M)`` times the 95 % quantile of chi-squared with one less than `bins` degrees of freedom;
    Yurdakul & Naranjo (2020), Journal of Risk Model Validation 14(4).

    Parameters
    ----------
    n_reference, n_current
        Rows on each side.
    bins
        Bins that hold anything.
    inflation
        By how much days differ more than chance (`rbnb.signals.chance.overdispersion`).

    Examples
    --------
    >>> round(psi_by_chance(500, 500, 10), 3)
    0.068
    """
    if min(n_reference, n_current) < 1 or bins < 2:
        return 0.0
    return inflation * (1 / n_reference + 1 / n_current) * chi2_quantile(0.95, bins - 1)


def shift_p_value(reference: NDArray[np.int64], current: NDArray[np.int64], inflation: float = 1.0) -> float:
    """Return how likely two rows of counts differ so much by chance: Pearson's test of homogeneity.

    Parameters
    ----------
    reference, current
        Rows in each bin.
    inflation
        By how much stretches of the reference differ more than chance; the statistic is divided by it.

    Examples
    --------
    >>> import numpy as np
    >>> shift_p_value(np.array([50, 50]), np.array([90, 10])) < 0.001
    True
    """
    before, now = _pooled(*_used(np.asarray(reference), np.asarray(current)))
    if len(before) < 2 or not before.sum() or not now.sum():
        return 1.0
    total = before + now
    statistic = 0.0
    for part in (before, now):
        expected = total * part.sum() / total.sum()
        statistic += float(((part - expected) ** 2 / expected).sum())
    return chi2_tail(statistic / max(inflation, 1.0), len(total) - 1)


def _pooled(before: Floats, now: Floats) -> tuple[Floats, Floats]:
    """Put bins in which either side expects fewer than five rows into one; Cochran (1954), Biometrics 10, 417."""
    n, m = before.sum(), now.sum()
    small = (before + now) * min(n, m) < 5 * (n + m)
    if small.sum() < 2:
        return before, now
    return tuple(np.append(part[~small], part[small].sum()) for part in (before, now))  # type: ignore[return-value]


def stability_index(
    reference: Any,  # noqa: ANN401 - any column
    current: Any,  # noqa: ANN401 - any column
    *,
    kind: str = "numerical",
    bins: Bins | int = 10,
    inflation: float = 1.0,
    name: str = "psi",
    where: str = "",
) -> Signal:
    """Measure the population stability index over bins that hold equally many of the reference.

    Source: Siddiqi (2006), Credit Risk Scorecards, ch. 9; Yurdakul & Naranjo (2020), Journal of Risk Model
    Validation 14(4), for its size by chance.

    Parameters
    ----------
    reference, current
        The column, of any type.
    kind
        ``numerical`` or ``categorical``.
    bins
        How many, or bins that were made before.
    inflation
        By how much days differ more than chance; widens the interval and what counts as chance.

    Returns
    -------
    Signal
        Unit ``psi``; the interval is for the index without what chance adds to it (delta method, and the
        spread under no change). The method tells the 95 % value by chance.

    Notes
    -----
    Siddiqi (2006), Credit Risk Scorecards, ch. 9, for the index and its bands 0.1 and 0.25, which were
    made without regard to row counts; `psi_by_chance` says what chance alone gives.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(1000.0)
    >>> stability_index(x, x).value, stability_index(x, x + 200).value > 0.2
    (0.0, True)
    """
    chosen = make_bins(reference, kind, bins) if isinstance(bins, int) else bins
    before, now = _used(chosen.count(reference), chosen.count(current))
    n, m = int(before.sum()), int(now.sum())
    if few := _too_few(n, m):
        return _undefined(name, "psi", m, "population stability index", where, few)
    if len(before) < 2:
        reason = "every value, before and now, is the same or missing"
        return _undefined(name, "psi", m, "population stability index", where, reason)
    p, q = ((part + _PRIOR) / (part.sum() + _PRIOR * len(part)) for part in (now, before))
    log = np.log(p / q)
    value = float(((p - q) * log).sum())
    half, bias = _psi_spread(p, q, log, (m, n), inflation)
    interval = (max(value - bias - half, 0.0), max(value, value - bias + half))
    chance = psi_by_chance(n, m, len(before), inflation)
    method = f"PSI over {len(before)} bins of the reference; by chance alone below {chance:.3g}; n reference {n:,}"
    return Signal(name, value, "psi", m, method, interval, where, 0.0, _missing_note(chosen, current, m))


def _psi_spread(p: Floats, q: Floats, log: Floats, rows: tuple[int, int], inflation: float) -> tuple[float, float]:
    m, n = rows
    slope_p, slope_q = log + (p - q) / p, -log - (p - q) / q
    variance = _multinomial(p, slope_p) / m + _multinomial(q, slope_q) / n
    each = (1 / m + 1 / n) * inflation
    return Z95 * math.sqrt(inflation * variance + 2 * (len(p) - 1) * each**2), (len(p) - 1) * each


def _multinomial(share: Floats, slope: Floats) -> float:
    return float((share * slope**2).sum() - (share * slope).sum() ** 2)


def _missing_note(bins: Bins, current: Any, n: int) -> str:  # noqa: ANN401 - any column
    counted = dict(zip(bins.names[-2:], bins.count(current)[-2:].tolist(), strict=True))
    parts = [f"{count:,} of {n:,} {name.strip('()')}" for name, count in counted.items() if count]
    return f"each with a bin of its own: {', '.join(parts)}" if parts else ""


def kolmogorov_smirnov(reference: Any, current: Any, *, name: str = "ks", where: str = "") -> Signal:  # noqa: ANN401
    """Measure the largest distance between the two distribution functions.

    Source: Kolmogorov (1933); Smirnov (1948), Annals of Mathematical Statistics 19, 279.

    Returns
    -------
    Signal
        Unit ``distance`` (0 to 1), the interval from the asymptotic distribution of the distance, which is
        wider than it need be. Kolmogorov (1933); Smirnov (1948), Annals of Mathematical Statistics 19, 279.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(100.0)
    >>> kolmogorov_smirnov(x, x + 50).value
    0.5
    """
    before, now = numbers(reference), numbers(current)
    return _ks(before.finite, now.finite, name, where, now.note(), "Kolmogorov-Smirnov")


def _ks(before: Floats, now: Floats, name: str, where: str, note: str, method: str) -> Signal:
    n, m = len(before), len(now)
    if few := _too_few(n, m):
        return _undefined(name, "distance", m, method, where, few)
    value = ks_distance(before, now)
    half = _KS95 * math.sqrt(1 / n + 1 / m)
    method = f"{method}; by chance alone below {half:.3g}; n reference {n:,}"
    return Signal(
        name, value, "distance", m, method, (max(value - half, 0.0), min(value + half, 1.0)), where, 0.0, note
    )


def ks_distance(before: Floats, now: Floats) -> float:
    """Return the largest distance between two empirical distribution functions."""
    points = np.sort(np.concatenate([before, now]))
    below = [np.searchsorted(np.sort(part), points, side="right") / len(part) for part in (before, now)]
    return float(np.abs(below[0] - below[1]).max())


def jensen_shannon(
    reference: Any,  # noqa: ANN401 - any column
    current: Any,  # noqa: ANN401 - any column
    *,
    kind: str = "numerical",
    bins: Bins | int = 10,
    name: str = "js",
    where: str = "",
) -> Signal:
    """Measure the Jensen-Shannon distance (base 2, 0 to 1) over bins of the reference.

    Source: Lin (1991), IEEE Transactions on Information Theory 37, 145; unit ``distance``.

    Lin (1991), IEEE Transactions on Information Theory 37, 145. It has no interval: what it is by chance
    alone is told in the method.

    Examples
    --------
    >>> jensen_shannon(["a"] * 50, ["b"] * 50, kind="categorical").value
    1.0
    """
    chosen = make_bins(reference, kind, bins) if isinstance(bins, int) else bins
    before, now = _used(chosen.count(reference), chosen.count(current))
    n, m = int(before.sum()), int(now.sum())
    one = "every value, before and now, is the same or missing" if len(before) < 2 else ""
    few = _too_few(n, m) or one
    if few:
        return _undefined(name, "distance", m, "Jensen-Shannon distance", where, few)
    p, q = now / m, before / n
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.nansum(np.where(x > 0, x * np.log2(x / middle), 0.0)) for x in (p, q)]
    value = math.sqrt(max(float(sum(parts)) / 2, 0.0))
    chance = math.sqrt((1 / n + 1 / m) * chi2_quantile(0.95, len(p) - 1) / (8 * math.log(2)))
    method = f"Jensen-Shannon over {len(p)} bins, base 2; by chance alone below {chance:.3g}; n reference {n:,}"
    return Signal(name, value, "distance", m, method, None, where, 0.0, _missing_note(chosen, current, m))


def wasserstein(reference: Any, current: Any, *, name: str = "wasserstein", where: str = "") -> Signal:  # noqa: ANN401
    """Measure the earth mover's distance in robust standard deviations of the reference.

    Source: Ramdas, Trillos & Cuturi (2017), Entropy 19(2), 47; the robust scale is an own choice; unit ``sd``.

    The mean distance between equal quantiles, over the reference's interquartile range / 1.349: a standard
    deviation would let one wild value hide a shift of all the others. It has no interval.
    Ramdas, Trillos & Cuturi (2017), Entropy 19(2), 47.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(1000.0)
    >>> round(wasserstein(x, x + 370.0).value, 2)
    1.0
    """
    before, now = numbers(reference), numbers(current)
    method, m = "Wasserstein distance over the reference's spread", len(now.finite)
    if few := _too_few(len(before.finite), m):
        return _undefined(name, "sd", m, method, where, few)
    spread = robust_spread(before.finite)
    if not spread:
        return _undefined(name, "sd", m, method, where, "half of the reference is one value: there is no spread")
    points = np.sort(np.concatenate([before.finite, now.finite]))
    below = [
        np.searchsorted(np.sort(part), points[:-1], side="right") / len(part) for part in (before.finite, now.finite)
    ]
    value = float((np.abs(below[0] - below[1]) * np.diff(points)).sum()) / spread
    method = f"{method} (interquartile range / 1.349); n reference {len(before.finite):,}"
    return Signal(name, value, "sd", m, method, None, where, 0.0, now.note())


def robust_spread(values: Floats) -> float:
    """Return the interquartile range in normal standard deviations."""
    low, high = np.quantile(values, (0.25, 0.75))
    return float(high - low) / _IQR


def location_shift(reference: Any, current: Any, *, name: str = "location_shift", where: str = "") -> Signal:  # noqa: ANN401
    """Measure how far the median has moved, in robust standard deviations of the reference.

    Source: own definition: difference of medians over the robust scale (unit ``sd``);
    Conover (1999), 3.2, for the intervals of
    the medians.

    The interval combines both medians' order-statistic intervals: Conover (1999), 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(1000.0)
    >>> round(location_shift(x, x + 370.0).value, 2)
    1.0
    """
    before, now = numbers(reference), numbers(current)
    method, m = "median against median, over interquartile range / 1.349", len(now.finite)
    if few := _too_few(len(before.finite), m):
        return _undefined(name, "sd", m, method, where, few)
    spread = robust_spread(before.finite)
    if not spread:
        return _undefined(name, "sd", m, method, where, "half of the reference is one value: there is no spread")
    (a, a_error), (b, b_error) = _median(before.finite), _median(now.finite)
    value, half = (b - a) / spread, Z95 * math.hypot(a_error, b_error) / spread
    method = f"{method}; n reference {len(before.finite):,}"
    return Signal(name, value, "sd", m, method, (value - half, value + half), where, 0.0, now.note())


def _median(values: Floats) -> tuple[float, float]:
    low, high = quantile_levels(len(values), 0.5)
    middle, under, over = np.quantile(values, (0.5, low, high))
    return float(middle), float(over - under) / (2 * Z95)


def scale_fold(reference: Any, current: Any, *, name: str = "scale_fold", where: str = "") -> Signal:  # noqa: ANN401
    """Measure how many times wider or narrower the values scatter around their median; 1 is unchanged.

    Source: Brown & Forsythe (1974), JASA 69, 364, for distances from the median; the ratio, unit ``ratio``, is an
    own definition.

    The ratio of mean distances from the median, the larger over the smaller, after values far beyond the
    reference are pulled in; its interval from the delta method on the log scale. Whether wider or narrower
    stands in the reason. Brown & Forsythe (1974), JASA 69, 364, for distances from the median.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(-500.0, 501.0)
    >>> s = scale_fold(x, 2 * x)
    >>> round(s.value, 2), s.reason
    (2.0, 'wider')
    """
    before, now = numbers(reference), numbers(current)
    method, m = "mean distance from the median, larger over smaller", len(now.finite)
    if few := _too_few(len(before.finite), m):
        return _undefined(name, "ratio", m, method, where, few)
    low, high = _far(before.finite)
    parts = [_deviation(np.clip(part, low, high)) for part in (before.finite, now.finite)]
    if not parts[0][0] or not parts[1][0]:
        return _undefined(name, "ratio", m, method, where, "the values do not scatter at all, before or now")
    log = math.log(parts[1][0] / parts[0][0])
    half = Z95 * math.hypot(parts[0][1], parts[1][1])
    direction = "wider" if log > 0 else "narrower" if log < 0 else ""
    interval = (math.exp(max(abs(log) - half, 0.0)), math.exp(abs(log) + half))
    reason = "; ".join(filter(None, (direction, now.note())))
    method = f"{method}; n reference {len(before.finite):,}"
    return Signal(name, math.exp(abs(log)), "ratio", m, method, interval, where, 1.0, reason)


def _far(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, (0.01, 0.99))
    return float(low - 3 * (high - low)), float(high + 3 * (high - low))


def _deviation(values: Floats) -> tuple[float, float]:
    away = np.abs(values - np.median(values))
    mean = float(away.mean())
    return mean, float(away.std()) / (mean * math.sqrt(len(away))) if mean else 0.0


def shape_distance(reference: Any, current: Any, *, name: str = "shape_distance", where: str = "") -> Signal:  # noqa: ANN401
    """Measure what differs once location and scale are made equal: Kolmogorov-Smirnov of what is left.

    Source: own definition: the distance of Smirnov (1948), Annals of Mathematical Statistics 19, 279, after
    location and scale are made equal; unit ``distance``.

    Each side is centred on its median and divided by its interquartile range.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(1000.0)
    >>> shape_distance(x, 3 * x + 7).value
    0.0
    """
    before, now = numbers(reference), numbers(current)
    method = "Kolmogorov-Smirnov after equal median and interquartile range"
    sides = [before.finite, now.finite]
    if few := _too_few(len(sides[0]), len(sides[1])):
        return _undefined(name, "distance", len(sides[1]), method, where, few)
    if not all(robust_spread(side) for side in sides):
        reason = "half of the values are one value: there is no spread to make equal"
        return _undefined(name, "distance", len(sides[1]), method, where, reason)
    # rounded, so that the same numbers in other units stay the same
    made_equal = [np.round((side - np.median(side)) / robust_spread(side), 9) for side in sides]
    return _ks(made_equal[0], made_equal[1], name, where, now.note(), method)


def category_fold(reference: Any, current: Any, *, name: str = "category_fold", where: str = "") -> Signal:  # noqa: ANN401
    """Measure the category whose share certainly changed most: how many times more or fewer; 1 is unchanged.

    Source: Katz et al. (1978), Biometrics 34, 469, for the interval; the choice of the category is an own
    definition; unit ``ratio``.

    One class of ten that loses half its share is hardly seen by any distance over all classes. The interval
    of the ratio of shares (Katz et al., 1978, Biometrics 34, 469) is widened by Bonferroni for having looked
    at every category; which category it is, and its two shares, stands in the reason.

    Examples
    --------
    >>> s = category_fold(["a", "b"] * 500, ["a", "b", "b", "b"] * 250)
    >>> s.value, s.reason
    (2.0, 'a: 50 % → 25 %')
    """
    then, today = labels(reference), labels(current)
    before = {k: v for k, v in _counted(then).items() if k is not None}
    now = {k: v for k, v in _counted(today).items() if k is not None}
    n, m = sum(before.values()), sum(now.values())
    method = "share of a category, larger over smaller, the most certain of all; Katz interval, Bonferroni"
    if few := _too_few(n, m):
        return _undefined(name, "ratio", m, method, where, few)
    rows = [(category, before.get(category, 0), now.get(category, 0)) for category in sorted({*before, *now})]
    rows = [row for row in rows if (row[1] + row[2]) * min(n, m) / (n + m) >= _PER_CATEGORY]
    if not rows:
        reason = f"no category holds {_PER_CATEGORY} rows"
        return _undefined(name, "ratio", m, method, where, reason)
    z = NormalDist().inv_cdf(1 - 0.025 / len(rows))
    found = [(category, *_fold(a, n, b, m), a, b) for category, a, b in rows]
    category, log, error, a, b = max(found, key=lambda row: (abs(row[1]) - z * row[2], row[0]))
    interval = (math.exp(max(abs(log) - z * error, 0.0)), math.exp(abs(log) + z * error))
    nulls = len(today) - m
    note = f"; {nulls:,} missing of {len(today):,} not counted" if nulls else ""
    reason = f"{category}: {100 * a / n:.3g} % → {100 * b / m:.3g} %{note}"
    method = f"{method} over {len(rows)}; n reference {n:,}"
    return Signal(name, math.exp(abs(log)), "ratio", m, method, interval, where, 1.0, reason)


def _counted(values: NDArray[np.object_]) -> dict[Any, int]:
    import pandas as pd

    return {key: int(count) for key, count in pd.Series(values, dtype=object).value_counts(dropna=False).items()}


def _fold(before: int, n: int, now: int, m: int) -> tuple[float, float]:
    """Return the log of the ratio of two shares and its standard error; half a row is added where one is 0."""
    extra = 0.5 if not before or not now else 0.0
    p, q = (now + extra) / (m + extra), (before + extra) / (n + extra)
    variance = (1 - p) / (now + extra) + (1 - q) / (before + extra)
    return math.log(p / q), math.sqrt(max(variance, 1e-12))
