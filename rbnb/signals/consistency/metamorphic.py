"""What must hold between two answers: more of this input never lowers the score, that input never moves it.

Checked on logged requests that differ in nothing but the input in question, or on pairs made by changing it and
asking the model again (`perturbations`). Rules: the model file declares what must hold; a difference within the
tolerance is none; where no such pair is logged the check is undefined, and says so. Chen et al. (2018), Metamorphic
testing: a review of challenges and opportunities, ACM Computing Surveys 51, 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Signal
from rbnb.signals.consistency.repeats import differs, fingerprints
from rbnb.signals.intervals import share

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Places = NDArray[np.int64]

__all__ = ["broken_pairs", "invariance_violations", "monotone_violations", "neighbours", "perturbations"]


def neighbours(rows: pd.DataFrame, feature: str, columns: Sequence[str]) -> tuple[Places, Places]:
    """Return pairs of rows that differ in `feature` and in none of the other `columns`; the smaller value first."""
    others = [name for name in columns if name != feature]
    usable = np.flatnonzero(rows[feature].notna().to_numpy())
    part = rows.iloc[usable]
    keys = fingerprints(part, others) if others else np.zeros(len(part), dtype=np.uint64)
    values = (
        part[feature].to_numpy() if part[feature].dtype != object else part[feature].astype(str).to_numpy(dtype=object)
    )
    rank = np.unique(values, return_inverse=True)[1]
    order = np.lexsort((rank, keys))
    step = (keys[order][1:] == keys[order][:-1]) & (rank[order][1:] != rank[order][:-1])
    return usable[order[:-1][step]].astype(np.int64), usable[order[1:][step]].astype(np.int64)


def broken_pairs(low: Floats, high: Floats, direction: str, relative: float, absolute: float) -> Flags:
    """Return which pairs break a declaration, given the scores at the lower and the higher value.

    Parameters
    ----------
    low, high
        Scores.
    direction
        ``increasing``, ``decreasing`` or ``invariant``.
    relative, absolute
        Tolerance of `rbnb.signals.consistency.repeats.differs`.

    Examples
    --------
    >>> import numpy as np
    >>> broken_pairs(np.array([0.2, 0.2]), np.array([0.3, 0.1]), "increasing", 1e-5, 1e-8).tolist()
    [False, True]
    """
    apart = differs(low, high, relative, absolute)
    if direction == "invariant":
        return apart
    with np.errstate(invalid="ignore"):
        wrong = high < low if direction == "increasing" else high > low
    return np.asarray(apart & wrong, dtype=np.bool_)


def _violations(
    name: str,
    rows: pd.DataFrame,
    feature: str,
    columns: Sequence[str],
    direction: str,
    relative: float,
    absolute: float,
) -> Signal:
    place = f"feature={feature.removeprefix('feature_')}"
    method = f"logged pairs that differ in this input alone; declared {direction}"
    first, second = neighbours(rows, feature, columns)
    if not len(first):
        return Signal(name, None, "share", 0, method, where=place, reason="no logged pair differs in this input alone")
    scores = rows["score"].to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = broken_pairs(scores[first], scores[second], direction, relative, absolute)
    return share(name, int(wrong.sum()), len(first), where=place, method=method, reference=0.0)


def monotone_violations(
    rows: pd.DataFrame,
    feature: str,
    direction: str,
    columns: Sequence[str],
    *,
    relative: float = 1e-5,
    absolute: float = 1e-8,
) -> Signal:
    """Return the share of logged pairs in which the score moves against the declared direction.

    Source: Chen et al. (1998), Metamorphic testing, for the idea; the share of logged pairs that break the
    relation, unit ``share``, is an own definition, with the interval of Wilson (1927), JASA 22, 209.

    Parameters
    ----------
    rows
        With ``score`` and `columns`.
    feature
        The input that is declared.
    direction
        ``increasing`` or ``decreasing``.
    columns
        All inputs.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"feature_a": [1.0, 2.0, 3.0], "score": [0.1, 0.3, 0.2]})
    >>> s = monotone_violations(rows, "feature_a", "increasing", ["feature_a"])
    >>> s.value, s.n
    (0.5, 2)
    """
    return _violations("monotone_violation", rows, feature, columns, direction, relative, absolute)


def invariance_violations(
    rows: pd.DataFrame, feature: str, columns: Sequence[str], *, relative: float = 1e-5, absolute: float = 1e-8
) -> Signal:
    """Return the share of logged pairs in which the score moves with an input that must not matter.

    Source: Chen et al. (1998), Metamorphic testing, for the idea; the share of logged pairs that break the
    relation, unit ``share``, is an own definition, with the interval of Wilson (1927), JASA 22, 209.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"feature_a": [1.0, 2.0, 3.0], "score": [0.1, 0.1, 0.2]})
    >>> s = invariance_violations(rows, "feature_a", ["feature_a"])
    >>> s.value, s.n
    (0.5, 2)
    """
    return _violations("invariance_violation", rows, feature, columns, "invariant", relative, absolute)


def perturbations(rows: pd.DataFrame, feature: str, *, numerical: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return two tables of the same requests, one with a lower and one with a higher value of an input.

    The values are the input's own quartiles, or the two commonest categories: nothing that was never served.
    """
    values = rows[feature].dropna()
    if numerical:
        low, high = (float(x) for x in np.quantile(values.to_numpy(dtype=np.float64), [0.25, 0.75]))
        if low == high:
            low, high = float(values.min()), float(values.max())
        return rows.assign(**{feature: low}), rows.assign(**{feature: high})
    counts = values.astype(str).value_counts()
    names = sorted(counts.index, key=lambda name: (-int(counts[name]), name))[:2]
    return rows.assign(**{feature: names[0]}), rows.assign(**{feature: names[-1]})
