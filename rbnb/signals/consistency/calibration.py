"""Does a score of 0.7 mean that it happens seven times in ten? Where labels are known, by version or place.

Rules: bins hold equally many rows; the expected calibration error is biased upwards in small samples, so what a
calibrated model would show by chance is subtracted; only rows with a finite score and a label count.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Signal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["calibration_bias", "calibration_error", "reliability"]

_FEWEST, _DRAWS = 100, 100


def reliability(scores: Floats, labels: Floats, bins: int = 10) -> list[tuple[float, float, int]]:
    """Return mean score, observed rate and count of each of `bins` equally filled bins.

    Examples
    --------
    >>> import numpy as np
    >>> reliability(np.array([0.1, 0.1, 0.9, 0.9]), np.array([0.0, 0.0, 1.0, 1.0]), 2)
    [(0.1, 0.0, 2), (0.9, 1.0, 2)]
    """
    order = np.lexsort((labels, scores))
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return [(float(scores[part].mean()), float(labels[part].mean()), len(part)) for part in parts]


def _ece(scores: Floats, labels: Floats, bins: int) -> float:
    return sum(abs(mean - rate) * n for mean, rate, n in reliability(scores, labels, bins)) / len(scores)


def calibration_error(scores: Floats, labels: Floats, *, where: str = "", bins: int = 10, seed: int = 0) -> Signal:
    """Return the expected calibration error beyond what a calibrated model shows by chance.

    Source: Naeini et al. (2015), AAAI, for the error; Spiegelhalter (1986), Statistics in Medicine 5, 421, for the
    test; what chance adds is taken off by own simulation.

    Parameters
    ----------
    scores, labels
        Probabilities, and 0 or 1.
    where
        Version or place.
    bins
        Equally filled.
    seed
        Of the simulation of chance and of the bootstrap.

    Returns
    -------
    Signal
        ``calibration_error``, unit ``share``, with a bootstrap interval; ``reason`` tells the p-value of
        Spiegelhalter's test. Naeini et al. (2015), AAAI; Spiegelhalter (1986), Statistics in Medicine 5, 421.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.tile([1.0, 0.0], 200)
    >>> s = calibration_error(np.linspace(0.6, 1.0, 400), labels)
    >>> 0.2 < s.value < 0.3, s.unit
    (True, 'share')
    """
    name, there = "calibration_error", np.isfinite(scores) & np.isfinite(labels)
    p, y = scores[there], labels[there]
    method = f"{bins} equally filled bins, minus chance; bootstrap"
    if len(p) < _FEWEST:
        return Signal(name, None, "share", len(p), method, where=where, reason=f"{len(p):,} labels are too few")
    order = np.lexsort((y, p))
    p, y = p[order], y[order]
    rng = np.random.default_rng(seed)
    inside = np.clip(p, 0.0, 1.0)
    chance = float(np.mean([_ece(p, (rng.random(len(p)) < inside).astype(float), bins) for _ in range(_DRAWS)]))
    drawn = [rng.integers(0, len(p), len(p)) for _ in range(_DRAWS)]
    found = _ece(p, y, bins)
    # a resampled ECE carries the chance twice
    again = np.array([_ece(p[pick], y[pick], bins) for pick in drawn])
    half = 1.959964 * float(again.std())
    value = max(found - chance, 0.0)
    low, high = max(found - chance - half, 0.0), found - chance + half
    z = float(
        ((y - p) * (1 - 2 * p)).sum() / math.sqrt(max(float(((1 - 2 * p) ** 2 * inside * (1 - inside)).sum()), 1e-12))
    )
    told = "; ".join(filter(None, (f"Spiegelhalter's z {z:+.1f}", _left_out(there))))
    return Signal(name, value, "share", len(p), method, (low, max(high, value)), where, 0.0, told)


def _left_out(there: NDArray[np.bool_]) -> str:
    """Return in words how many rows lack a score or a label, or nothing if none does."""
    missing = int((~there).sum())
    return f"{missing:,} of {len(there):,} rows without score or label not counted" if missing else ""


def calibration_bias(scores: Floats, labels: Floats, *, where: str = "") -> Signal:
    """Return mean score minus observed rate, with its interval: positive where the score promises too much.

    Source: own definition: mean score minus observed rate (unit ``share``), with the normal interval of a mean.

    Examples
    --------
    >>> import numpy as np
    >>> s = calibration_bias(np.full(200, 0.7), np.r_[np.ones(100), np.zeros(100)])
    >>> round(s.value, 2), s.interval[0] > 0.1
    (0.2, True)
    """
    name, method = "calibration_bias", "mean score minus observed rate"
    there = np.isfinite(scores) & np.isfinite(labels)
    gap = scores[there] - labels[there]
    if len(gap) < _FEWEST:
        return Signal(name, None, "share", len(gap), method, where=where, reason=f"{len(gap):,} labels are too few")
    middle, half = float(gap.mean()), 1.959964 * float(gap.std(ddof=1)) / math.sqrt(len(gap))
    return Signal(name, middle, "share", len(gap), method, (middle - half, middle + half), where, 0.0, _left_out(there))
