"""What a shift means for the prediction: how far scores and decisions moved.

Rules: in standard deviations of the reference's scores, so that models can be compared; real days differ more than
chance, so the spread between days is part of every interval.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.model import Signal
from rbnb.signals.chance import Z95, t_quantile
from rbnb.signals.drift.bins import numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["between_chunks", "mean_shift", "share_shift"]

_FEWEST = 20


def between_chunks(values: Floats, errors: Floats) -> tuple[float, float]:
    """Return the spread between stretches beyond chance, and the factor that makes a 95 % interval of it.

    Parameters
    ----------
    values, errors
        A number a stretch of the reference, and its standard error by chance.

    Returns
    -------
    tuple of float
        Standard deviation between stretches (0 where chance explains all of it, or there are fewer than
        three), and Student's 97.5 % quantile for so many. DerSimonian & Laird (1986), Controlled Clinical
        Trials 7, 177, in its unweighted form.

    Examples
    --------
    >>> import numpy as np
    >>> spread, factor = between_chunks(np.array([0.0, 10.0, 20.0]), np.array([0.1, 0.1, 0.1]))
    >>> round(spread)
    10
    """
    known = np.isfinite(values) & np.isfinite(errors)
    value, error = values[known], errors[known]
    if len(value) < 3:
        return 0.0, Z95
    variance = float(value.var(ddof=1)) - float((error**2).mean())
    return math.sqrt(max(variance, 0.0)), t_quantile(0.975, len(value) - 1)


def widened(error: float, spread: tuple[float, float], stretches: tuple[float, float]) -> float:
    """Return half a 95 % interval: chance, and the spread between stretches on both sides.

    Parameters
    ----------
    error
        Standard error by chance.
    spread
        As from `between_chunks`.
    stretches
        How many the current side and the reference hold.
    """
    each = spread[0] ** 2 * sum(1 / max(count, 1.0) for count in stretches)
    return math.sqrt((Z95 * error) ** 2 + spread[1] ** 2 * each)


def mean_shift(
    reference: Any,  # noqa: ANN401 - any column
    current: Any,  # noqa: ANN401 - any column
    *,
    spread: tuple[float, float] = (0.0, Z95),
    stretches: tuple[float, float] = (1.0, 1.0),
    name: str = "score_shift",
    where: str = "",
) -> Signal:
    """Measure how far the mean has moved, in standard deviations of the reference.

    Source: Welch (1947), Biometrika 34, 28, for the interval; the widening by stretches is an own definition.

    Parameters
    ----------
    reference, current
        Scores, or any number.
    spread
        Between stretches of the reference, in the column's unit, as from `between_chunks`.
    stretches
        How many stretches the current side and the reference hold.

    Returns
    -------
    Signal
        Unit ``sd``; Welch's interval, widened by the spread between stretches.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(1000.0)
    >>> s = mean_shift(x, x + x.std())
    >>> round(s.value, 2), round(s.interval[0], 2)
    (1.0, 0.91)
    """
    before, now = numbers(reference), numbers(current)
    a, b = before.finite, now.finite
    method = "change of the mean over the reference's standard deviation"
    if min(len(a), len(b)) < _FEWEST:
        reason = f"{min(len(a), len(b)):,} usable values on one side, {_FEWEST} are needed"
        return Signal(name, None, "sd", len(b), method, where=where, reason=reason)
    deviation = float(a.std())
    if not deviation:
        reason = "every value in the reference is the same"
        return Signal(name, None, "sd", len(b), method, where=where, reason=reason)
    value = float(b.mean() - a.mean()) / deviation
    error = math.sqrt(float(a.var()) / len(a) + float(b.var()) / len(b))
    half = widened(error, spread, stretches) / deviation
    method = f"{method}; n reference {len(a):,}"
    return Signal(name, value, "sd", len(b), method, (value - half, value + half), where, 0.0, now.note())


def share_shift(
    reference: Any,  # noqa: ANN401 - a column of yes and no
    current: Any,  # noqa: ANN401 - a column of yes and no
    *,
    spread: tuple[float, float] = (0.0, Z95),
    stretches: tuple[float, float] = (1.0, 1.0),
    name: str = "decision_shift",
    where: str = "",
) -> Signal:
    """Measure how far a share has moved, as a difference of shares.

    Source: Agresti & Caffo (2000), The American Statistician 54, 280; the widening by stretches is an own
    definition.

    Parameters
    ----------
    reference, current
        1 and 0 (or true and false); NaN where it is not known.
    spread, stretches
        As for `mean_shift`.

    Returns
    -------
    Signal
        Unit ``share``; Agresti & Caffo (2000), The American Statistician 54, 280, widened by the spread.

    Examples
    --------
    >>> s = share_shift([1, 0] * 100, [1, 1, 1, 0] * 50)
    >>> s.value, tuple(round(x, 2) for x in s.interval)
    (0.25, (0.16, 0.34))
    """
    before, now = numbers(reference), numbers(current)
    a, b = before.finite, now.finite
    method = "difference of shares, Agresti-Caffo interval"
    if min(len(a), len(b)) < _FEWEST:
        reason = f"{min(len(a), len(b)):,} usable values on one side, {_FEWEST} are needed"
        return Signal(name, None, "share", len(b), method, where=where, reason=reason)
    value = float(b.mean() - a.mean())
    p, q = ((part.sum() + 1) / (len(part) + 2) for part in (a, b))
    error = math.sqrt(p * (1 - p) / (len(a) + 2) + q * (1 - q) / (len(b) + 2))
    half, middle = widened(error, spread, stretches), float(q - p)
    interval = (min(middle - half, value), max(middle + half, value))
    reason = "; ".join(filter(None, (f"{a.mean():.3g} → {b.mean():.3g}", now.note())))
    return Signal(name, value, "share", len(b), f"{method}; n reference {len(a):,}", interval, where, 0.0, reason)
