"""A plain model of the model: which part of the score goes with which feature, the others held equal.

Features that go together share what each seems to do to the score. To say that a feature has moved and
changes nothing, its own part is needed: the logit of the score is fitted as a sum of one curve a feature
(normal score, its square, missing; one level a category) by least squares. It needs the log alone, no access
to the model. Rules: the share of the score it explains is told (`Surrogate.r2`) and nothing is claimed below
it; interactions are not in it.

Hastie & Tibshirani (1990), Generalized Additive Models, for the form; Craven & Shavlik (1996), NIPS, for
describing a model by a plainer one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.model import Signal
from rbnb.signals.chance import Z95
from rbnb.signals.drift.bins import Bins, make_bins, numbers
from rbnb.signals.drift.multivariate import normal_scores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Surrogate", "feature_effect", "feature_reach", "fit_surrogate", "unexplained"]

_FEWEST = 100
_EDGE = 1e-4
#: Rows the fit is made on; more would only cost time.
_ROWS = 6_000


@dataclass(frozen=True, slots=True)
class Surrogate:
    """The fitted curves.

    Parameters
    ----------
    kinds
        ``numerical`` or ``categorical``, by feature.
    base
        The reference's column, for normal scores, or its bins.
    weights
        By feature, one number a term of its curve.
    deviation
        Standard deviation of the (logit of the) score.
    r2
        Share of its variance that the sum of the curves explains.
    share
        By feature, the variance of its curve over that of the score.
    logit
        Whether scores are chances and their logit was fitted.
    """

    kinds: Mapping[str, str]
    base: Mapping[str, Any]
    weights: Mapping[str, Floats]
    deviation: float
    r2: float
    share: Mapping[str, float]
    logit: bool

    def part(self, name: str, values: Any) -> Floats:  # noqa: ANN401 - any column
        """Return what a feature's values add to the score, in standard deviations of it."""
        return np.asarray(_terms(self.base[name], values) @ self.weights[name] / self.deviation, dtype=np.float64)

    def rest(self, columns: Mapping[str, Any], scores: Any) -> Floats:  # noqa: ANN401 - any column
        """Return what the curves leave of each score, in standard deviations of it; NaN where there is no score."""
        whole = _scale(numbers(scores).column, logit=self.logit) / self.deviation
        for name in self.weights:
            whole = whole - self.part(name, columns[name])
        return whole


def fit_surrogate(columns: Mapping[str, Any], kinds: Mapping[str, str], scores: Any) -> Surrogate | None:  # noqa: ANN401
    """Fit the score of the reference as a sum of one curve a feature.

    Returns
    -------
    Surrogate or None
        None with fewer than 100 rows, no feature, or a score that does not vary.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=2000), rng.normal(size=2000)
    >>> fit = fit_surrogate({"a": a, "b": b}, {"a": "numerical", "b": "numerical"}, 1 / (1 + np.exp(-a)))
    >>> round(fit.r2, 1), round(fit.share["a"], 1), round(fit.share["b"], 1)
    (1.0, 1.0, 0.0)
    """
    score = numbers(scores).column
    known = np.flatnonzero(np.isfinite(score))
    known = known[:: max(len(known) // _ROWS, 1)]
    if len(known) < _FEWEST or not columns:
        return None
    inside = score[known]
    logit = bool(inside.min() >= 0 and inside.max() <= 1)
    target = _scale(inside, logit=logit)
    deviation = float(target.std())
    if deviation < 1e-9:
        return None
    base = {name: _base(values, kinds[name]) for name, values in columns.items()}
    blocks = {name: _terms(base[name], _rows(columns[name], known)) for name in columns}
    design = np.column_stack([np.ones(len(known)), *blocks.values()])
    # a little ridge, so that a column that says what another says has an answer
    gram = design.T @ design + 1e-3 * np.eye(design.shape[1])
    solved = np.linalg.solve(gram, design.T @ (target - target.mean()))
    weights, at = {}, 1
    for name, block in blocks.items():
        weights[name] = solved[at : at + block.shape[1]]
        at += block.shape[1]
    left = target - target.mean() - design @ solved
    share = {name: float((blocks[name] @ weights[name]).var()) / deviation**2 for name in blocks}
    return Surrogate(
        dict(kinds), base, weights, deviation, max(1 - float(left.var()) / deviation**2, 0.0), share, logit
    )


def _scale(scores: Floats, *, logit: bool) -> Floats:
    if not logit:
        return scores
    kept = np.clip(scores, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(kept / (1 - kept)), dtype=np.float64)


def _rows(values: Any, rows: NDArray[np.int64]) -> Any:  # noqa: ANN401 - any column
    return values.iloc[rows] if hasattr(values, "iloc") else np.asarray(values, dtype=object)[rows]


def _base(values: Any, kind: str) -> Any:  # noqa: ANN401 - sorted numbers, or bins
    return make_bins(values, "categorical") if kind == "categorical" else np.sort(numbers(values).finite)


def _terms(base: Any, values: Any) -> Floats:  # noqa: ANN401 - numbers or bins, any column
    if isinstance(base, Bins):
        places = base.place(values)
        return np.asarray(places[:, None] == np.arange(len(base.names)), dtype=np.float64)
    column = numbers(values).column
    z = normal_scores(base, column)
    return np.column_stack([z, np.where(np.isnan(column), 0.0, z**2 - 1), np.isnan(column)])


def feature_effect(
    reference: Floats, current: Floats, *, inflation: float = 1.0, name: str = "feature_effect", where: str = ""
) -> Signal:
    """Measure how far a feature's part of the score has moved on average, in standard deviations of the score.

    Source: own definition: shift of the mean of one part of an additive surrogate; Hastie & Tibshirani (1990),
    Generalized Additive Models, for its form; unit ``sd``.

    Parameters
    ----------
    reference, current
        The feature's part of each score (`Surrogate.part`).
    inflation
        By how much days differ more than chance.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 500)
    >>> round(feature_effect(x, x + 0.5).value, 2)
    0.5
    """
    method = "change of the mean of the feature's own part of the score (additive surrogate)"
    if min(len(reference), len(current)) < 20:
        return Signal(name, None, "sd", len(current), method, where=where, reason="fewer than 20 rows on one side")
    value = float(current.mean() - reference.mean())
    half = Z95 * _error(reference, current, inflation)
    return Signal(name, value, "sd", len(current), method, (value - half, value + half), where, 0.0)


def feature_reach(
    reference: Floats, current: Floats, *, inflation: float = 1.0, name: str = "feature_reach", where: str = ""
) -> Signal:
    """Measure how far scores have moved through one feature, whichever way: mean and spread both count.

    Source: own definition: Wasserstein distance of one part of an additive surrogate; Hastie & Tibshirani (1990),
    Generalized Additive Models, for its form; unit ``sd``.

    The Wasserstein distance between the feature's parts of the score then and now, in standard deviations of
    the score; at least the size of `feature_effect`. Its interval is that of the mean, which is wider than
    it need be.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 500)
    >>> round(feature_reach(x, 2 * x).value, 2)
    0.5
    """
    method = "Wasserstein distance of the feature's own part of the score (additive surrogate)"
    if min(len(reference), len(current)) < 20:
        return Signal(name, None, "sd", len(current), method, where=where, reason="fewer than 20 rows on one side")
    levels = (np.arange(400) + 0.5) / 400
    value = float(np.abs(np.quantile(current, levels) - np.quantile(reference, levels)).mean())
    half = Z95 * _error(reference, current, inflation)
    return Signal(name, value, "sd", len(current), method, (max(value - half, 0.0), value + half), where, 0.0)


def _error(reference: Floats, current: Floats, inflation: float) -> float:
    chance = float(reference.var()) / len(reference) + float(current.var()) / len(current)
    return math.sqrt(inflation * chance)


def unexplained(rest: Floats, inside: NDArray[np.bool_]) -> tuple[float, float]:
    """Return how much higher scores are inside a group than outside at equal inputs, and the standard error.

    Parameters
    ----------
    rest
        What the surrogate leaves of each score (`Surrogate.rest`).
    inside
        The rows of the group.

    Examples
    --------
    >>> import numpy as np
    >>> unexplained(np.array([0.0, 0, 1, 1]), np.array([False, False, True, True]))
    (1.0, 0.0)
    """
    known = np.isfinite(rest)
    one, other = rest[known & inside], rest[known & ~inside]
    if not len(one) or not len(other):
        return 0.0, math.inf
    return float(one.mean() - other.mean()), math.sqrt(float(one.var()) / len(one) + float(other.var()) / len(other))
