"""Drift that no single column shows: features that used to go together and no longer do.

Two measures. The change of correlations names the pair and has an interval; it works on normal scores (each
column through the reference's ranks), so that no outlier and no change of a single column's scale is taken
for a change of how columns go together. The reconstruction error of principal components sees the whole at
once, categories included, and names nothing. Rules: what is missing counts as the middle; real days differ
more than chance, and that spread is part of the intervals.
"""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.model import Signal
from rbnb.signals.chance import Z95
from rbnb.signals.drift.bins import make_bins, numbers
from rbnb.signals.drift.effects import between_chunks, mean_shift

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["correlation_change", "normal_scores", "reconstruction_shift"]

_FEWEST = 50
_GRID = 199
_LEVELS = (np.arange(_GRID) + 0.5) / _GRID
_DEVIATES = np.array([NormalDist().inv_cdf(level) for level in _LEVELS])
#: Share of the variance that the components kept must hold; NannyML's default.
_KEPT = 0.65
_CATEGORIES = 8
#: Rows of a side that components are found on; more would only cost time.
_ROWS = 10_000


def normal_scores(reference: Any, values: Any) -> Floats:  # noqa: ANN401 - any columns
    """Return each value as the normal deviate with the rank it would have in the reference; missing is 0.

    van der Waerden (1952).

    Examples
    --------
    >>> normal_scores(range(1001), [500, None]).round(2).tolist()
    [0.0, 0.0]
    """
    known, column = numbers(reference).finite, numbers(values).column
    if not len(known):
        return np.zeros(len(column))
    known = known if np.all(known[1:] >= known[:-1]) else np.sort(known)
    below = np.searchsorted(known, column, side="left")
    upto = np.searchsorted(known, column, side="right")
    rank = np.clip(((below + upto) / 2 + 0.5) / (len(known) + 1), 0.5 / (len(known) + 1), 1 - 0.5 / (len(known) + 1))
    return np.where(np.isnan(column), 0.0, np.interp(rank, _LEVELS, _DEVIATES))


def correlation_change(
    reference: Mapping[str, Any],
    current: Mapping[str, Any],
    *,
    chunks: Sequence[NDArray[np.int64]] = (),
    name: str = "correlation_change",
) -> Signal:
    """Measure the pair of numerical columns whose correlation has certainly changed most.

    Source: Fisher (1921), Metron 1, 3, for the z transformation.

    Parameters
    ----------
    reference, current
        Columns by name; those that either side lacks are left out.
    chunks
        Rows of the reference, a stretch each, for the spread between days.

    Returns
    -------
    Signal
        Unit ``correlation``: the absolute difference, its interval from Fisher's z (1921), Metron 1, 3, after
        Bonferroni over all pairs; ``where`` names the pair, the reason both correlations.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=1000), rng.normal(size=1000)
    >>> s = correlation_change({"a": a, "b": a + b}, {"a": a, "b": b * 2**0.5})
    >>> s.where, round(s.value, 1)
    ('feature=a & feature=b', 0.7)
    """
    names = [key for key in reference if key in current]
    method = "correlation of normal scores, Fisher's z, Bonferroni over all pairs"
    sides = [_table(names, reference, reference), _table(names, reference, current)]
    n, m = len(sides[0]), len(sides[1])
    live = [i for i in range(len(names)) if all(side[:, i].std() > 0 for side in sides if len(side))]
    if len(live) < 2 or min(n, m) < _FEWEST:
        reason = "two numerical columns that vary are needed" if len(live) < 2 else f"{min(n, m):,} rows on one side"
        return Signal(name, None, "correlation", m, method, reason=reason)
    pairs = list(itertools.combinations(live, 2))
    then, now = _correlations(sides[0], pairs), _correlations(sides[1], pairs)
    spread = _pair_spread(sides[0], pairs, chunks)
    error = math.sqrt(1 / (n - 3) + 1 / (m - 3) + spread**2 * (1 + 1 / max(len(chunks), 1)))
    half = NormalDist().inv_cdf(1 - 0.025 / len(pairs)) * error
    size = np.asarray(np.abs(np.arctanh(now) - np.arctanh(then)))
    # on the scale of correlations, a step of z is worth 1 - r²
    worth = 1 - ((now + then) / 2) ** 2
    certain = np.maximum(size - half, 0.0) * worth
    best = int(np.lexsort((size * worth, certain))[-1])
    i, j = pairs[best]
    value = float(abs(now[best] - then[best]))
    scale = value / float(size[best]) if size[best] else float(worth[best])
    interval = (max(float(size[best]) - half, 0.0) * scale, min((float(size[best]) + half) * scale, 2.0))
    where = f"feature={names[i]} & feature={names[j]}"
    reason = f"{then[best]:.2f} → {now[best]:.2f}"
    method = f"{method} ({len(pairs)}); n reference {n:,}"
    return Signal(name, value, "correlation", m, method, interval, where, 0.0, reason)


def _table(names: Sequence[str], reference: Mapping[str, Any], side: Mapping[str, Any]) -> Floats:
    columns = [normal_scores(reference[key], side[key]) for key in names]
    return np.column_stack(columns) if columns else np.zeros((0, 0))


def _correlations(table: Floats, pairs: Sequence[tuple[int, int]]) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = np.atleast_2d(np.nan_to_num(np.corrcoef(table, rowvar=False)))
    return np.asarray(np.clip([matrix[i, j] for i, j in pairs], -0.999, 0.999), dtype=np.float64)


def _pair_spread(table: Floats, pairs: Sequence[tuple[int, int]], chunks: Sequence[NDArray[np.int64]]) -> float:
    """Return the standard deviation of Fisher's z between stretches beyond chance, over all pairs."""
    used = [rows for rows in chunks if len(rows) >= _FEWEST]
    if len(used) < 3:
        return 0.0
    z = np.array([np.arctanh(_correlations(table[rows], pairs)) for rows in used])
    chance = float(np.mean([1 / (len(rows) - 3) for rows in used]))
    return math.sqrt(max(float(z.var(axis=0, ddof=1).mean()) - chance, 0.0))


def reconstruction_shift(
    reference: Mapping[str, Any],
    current: Mapping[str, Any],
    kinds: Mapping[str, str],
    *,
    chunks: Sequence[NDArray[np.int64]] = (),
    stretches: float = 1.0,
    name: str = "reconstruction_shift",
) -> Signal:
    """Measure how much worse (or better) the reference's principal components describe the window.

    Source: Qahtan et al. (2015), KDD, A PCA-Based Change Detection Framework.

    Parameters
    ----------
    reference, current
        Columns by name.
    kinds
        ``numerical`` or ``categorical``, by name.
    chunks
        Rows of the reference, a stretch each.
    stretches
        How many the window holds.

    Returns
    -------
    Signal
        Unit ``sd``: the change of the mean distance between a row and its reconstruction from the components
        that hold 65 % of the variance, in standard deviations of that distance in the reference.

    Notes
    -----
    Qahtan et al. (2015), KDD, "A PCA-Based Change Detection Framework"; NannyML's reconstruction error.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=1000), rng.normal(size=1000)
    >>> kinds = {"a": "numerical", "b": "numerical"}
    >>> reconstruction_shift({"a": a, "b": a + b / 3}, {"a": a, "b": b}, kinds).value > 0.5
    True
    """
    method = f"distance to the reconstruction from principal components that hold {_KEPT:.0%} of the variance"
    names = [key for key in reference if key in current]
    sides = [_design(names, reference, side, kinds) for side in (reference, current)]
    step = max(max((len(values) for values in reference.values()), default=0) // _ROWS, 1)
    m = len(sides[1])
    if len(names) < 2 or min(len(sides[0]), m) < _FEWEST:
        reason = "two columns are needed" if len(names) < 2 else f"{min(len(sides[0]), m):,} rows on one side"
        return Signal(name, None, "sd", m, method, reason=reason)
    middle, deviation = sides[0].mean(axis=0), sides[0].std(axis=0)
    live = deviation > 0
    standard = [(side[:, live] - middle[live]) / deviation[live] for side in sides]
    if not live.any():
        return Signal(name, None, "sd", m, method, reason="no column varies in the reference")
    values, vectors = np.linalg.eigh(np.cov(standard[0], rowvar=False).reshape(live.sum(), live.sum()))
    share = np.cumsum(values[::-1]) / values.sum()
    kept = vectors[:, ::-1][:, : int(np.searchsorted(share, _KEPT)) + 1]
    before, now = (np.linalg.norm(side - side @ kept @ kept.T, axis=1) for side in standard)
    if not before.std() > 1e-9:
        return Signal(name, None, "sd", m, method, reason="the components describe the reference without a rest")
    # every so many rows are taken, so a row's place is its number over the step
    used = [before[rows[rows % step == 0] // step] for rows in chunks]
    used = [part for part in used if len(part) >= 20]
    means = np.array([part.mean() for part in used])
    errors = np.array([part.std() / math.sqrt(len(part)) for part in used])
    spread = between_chunks(means, errors) if used else (0.0, Z95)
    shift = mean_shift(before, now, spread=spread, stretches=(stretches, float(max(len(used), 1))), name=name)
    return Signal(name, shift.value, "sd", m, method, shift.interval, "", 0.0, shift.reason)


def _design(
    names: Sequence[str], reference: Mapping[str, Any], side: Mapping[str, Any], kinds: Mapping[str, str]
) -> Floats:
    """Return one column a number and one a frequent category, of every so many rows."""
    columns: list[Floats] = []
    for key in names:
        base, values = (_thinned(part[key]) for part in (reference, side))
        if kinds.get(key) != "categorical":
            columns.append(normal_scores(base, values))
            continue
        bins = make_bins(base, "categorical")
        places = bins.place(values)
        columns += [(places == i).astype(np.float64) for i in range(min(len(bins.categories), _CATEGORIES))]
    return np.column_stack(columns) if columns else np.zeros((0, 0))


def _thinned(values: Any) -> Any:  # noqa: ANN401 - any column
    step = max(len(values) // _ROWS, 1)
    return values.iloc[::step] if hasattr(values, "iloc") else np.asarray(values)[::step]
