"""What scores promise against what happens: calibration, performance estimated without outcomes, and concept drift.

Where outcomes are not known yet, performance can be estimated from calibrated scores: if a row's chance of
being positive is 0.8, deciding "positive" is right with chance 0.8. Rules: the calibration is learned on the
reference, so the estimate holds only while the same score still means the same chance; where that has
changed (concept drift) the estimate is blind to it, and nothing without outcomes can see it. How far the
estimate was off in the reference, on days it was not calibrated on, is part of its interval.

Bialek, Kuberski, Perrakis & Bifet (2024), "Estimating Model Performance Under Covariate Shift Without Labels",
arXiv 2401.08348; Guillory et al. (2021), arXiv 2107.03315, for differences of confidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.model import Signal
from rbnb.signals.chance import Z95
from rbnb.signals.drift.bins import numbers
from rbnb.signals.drift.distances import ks_distance
from rbnb.signals.drift.performance import usable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Calibrator",
    "calibrate",
    "concept_shift",
    "estimated_accuracy",
    "estimated_auc",
    "odds_offset",
    "within_outcome_shift",
]

#: Groups of equal scores before calibration; more would follow single rows.
_GROUPS = 400
_EDGE = 1e-4
_FEWEST = 50


@dataclass(frozen=True, slots=True)
class Calibrator:
    """A score to a chance, never falling: between the knots it is drawn straight."""

    scores: Floats
    chances: Floats

    def __call__(self, scores: Any) -> Floats:  # noqa: ANN401 - any column
        """Return the chance that each score stands for; NaN where there is no score."""
        values = numbers(scores).column
        placed = np.interp(values, self.scores, self.chances)
        return np.where(np.isfinite(values), placed, np.nan)


def calibrate(scores: Any, targets: Any) -> Calibrator | None:  # noqa: ANN401 - any columns
    """Learn which chance a score stands for: isotonic regression by pooling adjacent violators.

    Ayer et al. (1955), Annals of Mathematical Statistics 26, 641; Zadrozny & Elkan (2002), KDD, for scores.

    Returns
    -------
    Calibrator or None
        None where fewer than 50 rows have both, or only one outcome occurs.

    Examples
    --------
    >>> import numpy as np
    >>> learned = calibrate(np.repeat([0.2, 0.4, 0.9], 40), np.tile([0, 0, 0, 1], 30))
    >>> learned([0.1, 0.9]).tolist()
    [0.25, 0.25]
    """
    score, target, _ = usable(scores, targets)
    if len(score) < _FEWEST or target.min() == target.max():
        return None
    order = np.argsort(score, kind="stable")
    score, target = score[order], target[order]
    kinds, first = np.unique(score, return_index=True)
    if len(kinds) > _GROUPS:
        edges = np.unique(np.searchsorted(score, np.quantile(score, np.arange(_GROUPS) / _GROUPS)))
        first = np.unique(np.concatenate([[0], edges]))
    weights = np.diff(np.append(first, len(score))).astype(np.float64)
    means = np.add.reduceat(target, first) / weights
    places = np.add.reduceat(score, first) / weights
    return Calibrator(places, _pooled(means, weights))


def _pooled(means: Floats, weights: Floats) -> Floats:
    """Return the never-falling numbers nearest to `means` in weighted squares."""
    blocks: list[list[float]] = []
    for mean, weight in zip(means.tolist(), weights.tolist(), strict=True):
        blocks.append([mean, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            value, mass, size = blocks.pop()
            before = blocks[-1]
            before[0] = (before[0] * before[1] + value * mass) / (before[1] + mass)
            before[1] += mass
            before[2] += size
    return np.repeat([block[0] for block in blocks], [int(block[2]) for block in blocks])


def estimated_accuracy(
    chances: Any,  # noqa: ANN401 - a column of chances
    positive: Any,  # noqa: ANN401 - a column of yes and no
    *,
    doubt: float = 0.0,
    name: str = "estimated_accuracy",
    where: str = "",
) -> Signal:
    """Estimate the share of right decisions without knowing one outcome.

    Source: Bialek et al. (2024), arXiv 2401.08348; unit ``share``.

    Parameters
    ----------
    chances
        The calibrated chance that each row is positive.
    positive
        Whether the decision was positive.
    doubt
        Standard error of the estimate itself, as seen in the reference.

    Returns
    -------
    Signal
        With the interval in which the accuracy of these rows is expected: which way each turns out, which
        rows came, and `doubt`. Bialek et al. (2024), arXiv 2401.08348.

    Examples
    --------
    >>> round(estimated_accuracy([0.9, 0.2] * 50, [1, 0] * 50).value, 2)
    0.85
    """
    chance, decided, note = usable(chances, positive)
    method = "mean chance that the decision is right, from calibrated scores (confidence-based)"
    if len(chance) < _FEWEST:
        reason = f"{len(chance):,} rows have a score and a decision, {_FEWEST} are needed"
        return Signal(name, None, "share", len(chance), method, where=where, reason=reason)
    right = np.where(decided > 0.5, chance, 1 - chance)
    value, n = float(right.mean()), len(right)
    variance = (float((right * (1 - right)).mean()) + float(right.var())) / n
    half = Z95 * math.hypot(math.sqrt(variance), doubt)
    interval = (max(value - half, 0.0), min(value + half, 1.0))
    return Signal(name, value, "share", n, method, interval, where, reason=note)


def estimated_auc(
    scores: Any,  # noqa: ANN401 - a column of scores
    chances: Any,  # noqa: ANN401 - a column of chances
    *,
    doubt: float = 0.0,
    name: str = "estimated_auc",
    where: str = "",
) -> Signal:
    """Estimate the area under the ROC curve without knowing one outcome.

    Source: Hanley & McNeil (1982), Radiology 143, 29, for the interval; Bialek et al. (2024), arXiv 2401.08348, for
    the estimate without outcomes; unit ``auc``.

    Each row counts as positive with its chance and as negative with the rest. The interval is Hanley &
    McNeil's (1982), Radiology 143, 29, for so many expected outcomes, with `doubt`.

    Examples
    --------
    >>> import numpy as np
    >>> s = np.tile([0.1, 0.9], 100)
    >>> round(estimated_auc(s, s).value, 2)
    0.9
    """
    score, chance, note = usable(scores, chances)
    method = "pairs in the right order, weighted with calibrated chances (confidence-based)"
    positive, negative = float(chance.sum()), float((1 - chance).sum())
    if len(score) < _FEWEST or min(positive, negative) < 10:
        reason = f"{positive:,.0f} positive and {negative:,.0f} negative outcomes expected, 10 of each are needed"
        return Signal(name, None, "auc", len(score), method, where=where, reason=reason)
    _, place = np.unique(score, return_inverse=True)
    below = np.bincount(place, weights=1 - chance)
    under = (np.cumsum(below) - below / 2)[place]
    own = float((chance * (1 - chance)).sum()) / 2
    pairs = positive * negative - 2 * own
    value = (float((chance * under).sum()) - own) / pairs
    q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
    top = value * (1 - value) + (positive - 1) * (q1 - value**2) + (negative - 1) * (q2 - value**2)
    half = Z95 * math.hypot(math.sqrt(max(top, 0.0) / (positive * negative)), doubt)
    interval = (max(value - half, 0.0), min(value + half, 1.0))
    return Signal(name, value, "auc", len(score), method, interval, where, reason=note)


def odds_offset(chances: Floats, rate: float) -> Floats:
    """Return chances whose odds are all multiplied by the one number that makes their mean `rate`.

    That is what a change of the base rate alone does to calibrated chances: Saerens, Latinne & Decaestecker
    (2002), Neural Computation 14, 21.

    Examples
    --------
    >>> import numpy as np
    >>> odds_offset(np.array([0.5, 0.5]), 0.2).round(3).tolist()
    [0.2, 0.2]
    """
    kept = np.clip(chances, _EDGE, 1 - _EDGE)
    logit, low, high = np.log(kept / (1 - kept)), -15.0, 15.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = float((1 / (1 + np.exp(-(logit + middle)))).mean())
        low, high = (middle, high) if mean < rate else (low, middle)
    return np.asarray(1 / (1 + np.exp(-(logit + low))), dtype=np.float64)


def concept_shift(
    reference: tuple[Any, Any],
    current: tuple[Any, Any],
    *,
    inflation: float = 1.0,
    name: str = "concept_shift",
    where: str = "",
) -> Signal:
    """Measure how far outcomes at an equal chance differ from the reference: what a score means has changed.

    Source: own definition: root mean square difference of outcome rates, with the ideas of Cox (1958) and Bröcker
    (2012) given below.

    Parameters
    ----------
    reference, current
        Chances and outcomes, then and now; the chances from one calibrator, so that they can be compared.
    inflation
        By how much days differ more than chance.

    Returns
    -------
    Signal
        Unit ``share``: the root of the mean squared difference of outcome rates over ten bins of the
        chance, without what chance adds to it; its interval from the variance of that mean.

    Notes
    -----
    Cox (1958), Biometrika 45, 562, for holding outcomes against what was predicted; the removal of the part
    due to chance as in Bröcker (2012), Climate Dynamics 39, 655.

    Examples
    --------
    >>> import numpy as np
    >>> p = np.repeat([0.2, 0.6], 500)
    >>> then, now = np.tile([1, 0, 0, 0, 0], 200), np.tile([1, 1, 0, 0, 0], 200)
    >>> round(concept_shift((p, then), (p, now)).value, 2)
    0.2
    """
    (p, y, _), (q, z, note) = usable(*reference), usable(*current)
    method = "outcome rates at equal chance, ten bins, root mean square without chance"
    if min(len(p), len(q)) < _FEWEST:
        reason = f"{min(len(p), len(q)):,} rows have score and outcome on one side, {_FEWEST} are needed"
        return Signal(name, None, "share", len(q), method, where=where, reason=reason)
    edges = np.unique(np.quantile(np.concatenate([p, q]), np.arange(1, 10) / 10))
    sides = [_rates(np.searchsorted(edges, a), b, len(edges) + 1) for a, b in ((p, y), (q, z))]
    enough = (sides[0][0] >= 5) & (sides[1][0] >= 5)
    weight = np.where(enough, sides[1][0], 0.0)
    if not weight.sum():
        reason = "no bin of the score holds five rows on both sides"
        return Signal(name, None, "share", len(q), method, where=where, reason=reason)
    weight = weight / weight.sum()
    difference = np.where(enough, sides[1][1] - sides[0][1], 0.0)
    both = (sides[0][0] * sides[0][1] + sides[1][0] * sides[1][1] + 0.5) / (sides[0][0] + sides[1][0] + 1)
    chance = inflation * both * (1 - both) * sum(1 / np.maximum(side[0], 1.0) for side in sides)
    square = float((weight * (difference**2 - chance)).sum())
    spread = weight**2 * (2 * chance**2 + 4 * chance * np.maximum(difference**2 - chance, 0.0))
    half = Z95 * math.sqrt(float(spread.sum()))
    interval = (math.sqrt(max(square - half, 0.0)), math.sqrt(max(square + half, 0.0)))
    value = math.sqrt(max(square, 0.0))
    signed = float((weight * difference).sum())
    reason = "; ".join(filter(None, (f"on average {signed:+.3f}", note)))
    return Signal(name, value, "share", len(q), f"{method}; n reference {len(p):,}", interval, where, 0.0, reason)


def _rates(places: NDArray[np.int64], targets: Floats, size: int) -> tuple[Floats, Floats]:
    counts = np.bincount(places, minlength=size).astype(np.float64)
    return counts, np.bincount(places, weights=targets, minlength=size) / np.maximum(counts, 1.0)


def within_outcome_shift(
    reference: tuple[Any, Any], current: tuple[Any, Any], *, name: str = "within_outcome_shift", where: str = ""
) -> Signal:
    """Measure how far the scores of rows with the same outcome have moved: the larger of two distances.

    Source: Smirnov (1948), Annals of Mathematical Statistics 19, 279; Lipton, Wang & Smola (2018), arXiv
    1802.03916; unit ``distance``.

    Where only the base rate has changed (label shift), positive rows still score as positive rows did.
    Kolmogorov-Smirnov by outcome, with its asymptotic interval; Lipton, Wang & Smola (2018), arXiv 1802.03916,
    for what label shift leaves unchanged.

    Examples
    --------
    >>> import numpy as np
    >>> s, y = np.arange(200.0), np.tile([0, 1], 100)
    >>> within_outcome_shift((s, y), (s, y)).value
    0.0
    """
    (p, y, _), (q, z, note) = usable(*reference), usable(*current)
    method, found = "Kolmogorov-Smirnov of scores with the same outcome, the larger of both", []
    for outcome in (0, 1):
        before, now = p[(y > 0.5) == bool(outcome)], q[(z > 0.5) == bool(outcome)]
        if min(len(before), len(now)) >= 20:
            half = 1.3581 * math.sqrt(1 / len(before) + 1 / len(now))
            found.append((ks_distance(before, now), half, outcome))
    if not found:
        reason = "neither outcome has 20 rows on both sides"
        return Signal(name, None, "distance", len(q), method, where=where, reason=reason)
    value, half, outcome = max(found, key=lambda item: item[0] - item[1])
    reason = "; ".join(filter(None, (f"outcome {outcome}", note)))
    interval = (max(value - half, 0.0), min(value + half, 1.0))
    return Signal(name, value, "distance", len(q), method, interval, where, 0.0, reason)
