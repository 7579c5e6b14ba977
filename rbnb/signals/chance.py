"""How likely chance alone is: tails and quantiles of the usual distributions, and the price of many tests.

Written out because a runbook's kernel does not import scipy, which costs it half a second; each function
is held against scipy in the tests. Rules: a tail is computed directly, never as one minus its complement
where digits would be lost; nothing here knows a threshold.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "Z95",
    "chi2_quantile",
    "chi2_tail",
    "holm",
    "kolmogorov_tail",
    "normal_tail",
    "overdispersion",
    "t_quantile",
]

#: Normal quantile of a two-sided 95 % interval.
Z95 = 1.959964
_STEPS = 500
_TINY = 1e-300


def normal_tail(z: float) -> float:
    """Return the chance of a normal deviate at least as far from 0 as `z`, on either side.

    Examples
    --------
    >>> round(normal_tail(1.959964), 4)
    0.05
    """
    return math.erfc(abs(z) / math.sqrt(2))


def chi2_tail(x: float, df: float) -> float:
    """Return the chance that a chi-squared variable with `df` degrees of freedom exceeds `x`.

    The incomplete gamma function by series below the mean and by continued fraction above it; Abramowitz &
    Stegun (1964), 6.5.29 and 6.5.31.

    Examples
    --------
    >>> round(chi2_tail(16.919, 9), 4)
    0.05
    """
    if df <= 0 or not x > 0:
        return 1.0
    a, y = df / 2, x / 2
    scale = math.exp(a * math.log(y) - y - math.lgamma(a)) if y < 1e6 else 0.0
    return max(1.0 - scale * _series(a, y), 0.0) if y < a + 1 else scale * _fraction(a, y)


def _series(a: float, y: float) -> float:
    term = total = 1 / a
    for k in range(1, _STEPS):
        term *= y / (a + k)
        total += term
        if term < total * 1e-15:
            break
    return total


def _fraction(a: float, y: float) -> float:
    b = y + 1 - a
    c, d = 1 / _TINY, 1 / b
    value = d
    for k in range(1, _STEPS):
        step = -k * (k - a)
        b += 2
        d = 1 / (step * d + b or _TINY)
        c = b + step / c or _TINY
        value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return value


def chi2_quantile(level: float, df: float) -> float:
    """Return the value that a chi-squared variable stays below with chance `level`.

    Examples
    --------
    >>> round(chi2_quantile(0.95, 9), 3)
    16.919
    """
    if df <= 0:
        return 0.0
    low, high = 0.0, df + 20 * math.sqrt(2 * df) + 60
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if chi2_tail(middle, df) > 1 - level else (low, middle)
    return (low + high) / 2


def t_quantile(level: float, df: float) -> float:
    """Return a quantile of Student's t by the expansion around the normal; `df` of at least 3.

    Abramowitz & Stegun (1964), 26.7.5.

    Examples
    --------
    >>> round(t_quantile(0.975, 13), 2)
    2.16
    """
    z, v = NormalDist().inv_cdf(level), max(df, 3.0)
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    g4 = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + g1 / v + g2 / v**2 + g3 / v**3 + g4 / v**4


def kolmogorov_tail(distance: float, n: int, m: int) -> float:
    """Return the asymptotic chance of a two-sample Kolmogorov-Smirnov distance at least this large.

    With Stephens' correction for small samples: Stephens (1970), JRSS B 32, 115.

    Examples
    --------
    >>> round(kolmogorov_tail(0.043, 2000, 2000), 2)
    0.05
    """
    root = math.sqrt(n * m / (n + m))
    x = (root + 0.12 + 0.11 / root) * distance
    if x < 0.2:
        return 1.0
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101))
    return min(max(math.fsum(terms), 0.0), 1.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected so that the chance of any false alarm among them stays as stated.

    Holm (1979), Scandinavian Journal of Statistics 6, 65.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.5])
    [0.03, 0.08, 0.5]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, worst = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        worst = max(worst, min(p_values[i] * (len(p_values) - rank), 1.0))
        corrected[i] = worst
    return corrected


def overdispersion(counts: NDArray[np.float64], groups: Sequence[int] = ()) -> tuple[float, float]:
    """Return by how much stretches of the same thing differ more than chance, and over how many rows.

    Parameters
    ----------
    counts
        One row a stretch (a day), one column a bin.
    groups
        For each stretch the kind it is compared with, such as weekday or weekend; all alike if empty.

    Returns
    -------
    tuple of float
        Pearson's chi-squared of homogeneity within the groups over its degrees of freedom, 1 where chance explains
        it or no group has two stretches to say anything; and the mean number of rows of a stretch.

    Notes
    -----
    Real days differ: taken as independent draws, ten thousand rows a day would call every day unusual.
    McCullagh & Nelder (1989), Generalized Linear Models, 4.5.

    Examples
    --------
    >>> import numpy as np
    >>> overdispersion(np.array([[50, 50], [90, 10], [10, 90]]))[0] > 30
    True
    """
    table = np.asarray(counts, dtype=np.float64)
    table = table.reshape(len(table), -1)
    kinds = np.asarray(groups) if len(groups) else np.zeros(len(table))
    rows = table.sum(axis=1)
    statistic, freedom = 0.0, 0
    for kind in np.unique(kinds):
        part = table[(kinds == kind) & (rows > 0)]
        part = part[:, part.sum(axis=0) > 0]
        if part.shape[0] < 2 or part.shape[1] < 2:
            continue
        expected = part.sum(axis=1, keepdims=True) * part.sum(axis=0, keepdims=True) / part.sum()
        statistic += float(((part - expected) ** 2 / expected).sum())
        freedom += (part.shape[0] - 1) * (part.shape[1] - 1)
    size = float(rows[rows > 0].mean()) if (rows > 0).any() else 0.0
    # what chance alone would give in 95 of 100 logs says nothing about days
    return (statistic / freedom if freedom and statistic > chi2_quantile(0.95, freedom) else 1.0), size
