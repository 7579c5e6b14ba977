"""Intervals that every kind of measurement uses: of a share, of a quantile, of a part of a whole.

Each is 95 % unless another width is asked for, and each says where it comes from.
"""

from __future__ import annotations

import math

from rbnb.model import Signal
from rbnb.signals.chance import Z95

__all__ = ["quantile_levels", "ratio_interval", "share", "wilson"]


def wilson(count: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Return the Wilson score interval of a share; 0 to 1 where there is nothing.

    Wilson (1927), JASA 22, 209.

    Examples
    --------
    >>> tuple(round(x, 4) for x in wilson(5, 100))
    (0.0215, 0.1118)
    """
    if n <= 0:
        return 0.0, 1.0
    p, z2 = count / n, z * z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return (max(middle - half, 0.0) if count > 0 else 0.0), (min(middle + half, 1.0) if count < n else 1.0)


def share(
    name: str, count: int, n: int, *, where: str = "", method: str = "", reference: float | None = None
) -> Signal:
    """Return a share with its Wilson 95 % interval; undefined when n is 0.

    Source: Wilson (1927), JASA 22, 209; unit ``share``.

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
    return Signal(name, count / n, "share", n, method, wilson(count, n), where, reference)


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
    half = Z95 * math.sqrt(n * level * (1 - level))
    low, high = math.ceil(n * level - half), math.ceil(n * level + half)
    return max(low - 1, 0) / (n - 1), min(high - 1, n - 1) / (n - 1)


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
    half = Z95 * math.sqrt(variance)
    return value - half, value + half
