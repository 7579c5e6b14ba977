"""Outputs by themselves: scores that cannot be, and decisions that do not follow from their score.

Rules: a probability lies between 0 and 1, anything else within what the reference held (with room); a missing
score is counted apart from one out of range; a decision is compared with the rule of the model file where there is
one, and else with the threshold that the reference's own decisions show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Signal
from rbnb.signals.consistency.repeats import excess_share

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

__all__ = [
    "Cut",
    "cuts_by",
    "decision_gap",
    "effective_threshold",
    "invalid_scores",
    "repeated_scores",
    "score_shift",
    "usual_range",
]

#: Seconds within which an answer may come from a cache.
_HOUR = 3_600
#: Different scores to different inputs below which equal scores mean nothing.
_DISTINCT = 0.9


@dataclass(frozen=True, slots=True)
class Cut:
    """The threshold that decisions show: the best cut, and the span of scores within which it may lie.

    Parameters
    ----------
    where
        Version or place.
    value, low, high
        In the score's unit.
    wrong
        Decisions that no threshold explains.
    n
        Decisions.
    """

    where: str
    value: float
    low: float
    high: float
    wrong: int
    n: int


def usual_range(scores: Floats, *, probability: bool) -> tuple[float, float]:
    """Return the range in which scores may lie: 0 to 1, or what was seen with as much room again on either side.

    Examples
    --------
    >>> import numpy as np
    >>> usual_range(np.array([10.0, 20.0]), probability=False)
    (0.0, 30.0)
    """
    if probability:
        return 0.0, 1.0
    finite = scores[np.isfinite(scores)]
    if not len(finite):
        return -np.inf, np.inf
    low, high = float(finite.min()), float(finite.max())
    return low - (high - low), high + (high - low)


def invalid_scores(scores: Floats, current: Flags, *, probability: bool) -> tuple[list[Signal], Flags]:
    """Return how many scores are missing or cannot be, in excess of the reference, and which.

    Source: own definition: share of rows (unit ``share``) beyond that of the reference, with the interval of
    Newcombe (1998), Statistics in Medicine 17, 873.

    Parameters
    ----------
    scores
        Of window and reference.
    current
        Which lie in the window.
    probability
        Whether scores are probabilities.

    Examples
    --------
    >>> scores = np.array([0.2, 0.4, 0.6, 0.8, np.nan, 1.7, 0.5, 0.1])
    >>> signals, wrong = invalid_scores(scores, np.arange(8) >= 4, probability=True)
    >>> [(s.name, s.value) for s in signals], int(wrong.sum())
    ([('score_missing', 0.25), ('score_out_of_range', 0.25)], 2)
    """
    low, high = usual_range(scores[~current], probability=probability)
    gone = np.isnan(scores)
    with np.errstate(invalid="ignore"):
        outside = ~gone & ~((scores >= low) & (scores <= high))
    n, m = int(current.sum()), int((~current).sum())
    found = [
        excess_share(name, int(flags[current].sum()), n, (int(flags[~current].sum()), m), method=told)
        for name, flags, told in (
            ("score_missing", gone, "scores that are null or not a number"),
            ("score_out_of_range", outside, f"scores outside {low:g} to {high:g}, or infinite"),
        )
    ]
    return found, gone | outside


def effective_threshold(scores: Floats, positive: Flags, where: str = "") -> Cut | None:
    """Return the threshold that explains the decisions best, at or above which a score is positive.

    None where there are fewer than ten decisions, or all are the same.

    Examples
    --------
    >>> import numpy as np
    >>> scores = np.linspace(0, 1, 101)
    >>> cut = effective_threshold(scores, scores >= 0.5)
    >>> cut.wrong, round(cut.low, 2), round(cut.high, 2)
    (0, 0.49, 0.5)
    """
    there = np.isfinite(scores)
    x, y = scores[there], positive[there]
    if len(x) < 10 or y.all() or not y.any():
        return None
    order = np.lexsort((y, x))
    x, y = x[order], y[order]
    edges = np.flatnonzero(np.diff(x) > 0) + 1
    # a cut before position i makes all before it negative
    below = np.concatenate([[0], np.cumsum(y)])
    places = np.concatenate([[0], edges, [len(x)]])
    errors = below[places] + (len(x) - places) - (y.sum() - below[places])
    best = int(places[int(errors.argmin())])
    low = float(x[best - 1]) if best else float("-inf")
    high = float(x[best]) if best < len(x) else float("inf")
    middle = (low + high) / 2 if np.isfinite([low, high]).all() else (high if np.isfinite(high) else low)
    return Cut(where, float(middle), low, high, int(errors.min()), len(x))


def decision_gap(
    scores: Floats, positive: Flags, decided: Flags, current: Flags, threshold: float | None
) -> tuple[Signal, Flags, Cut | None]:
    """Return how often the decision does not follow from the score, in excess of the reference, and where.

    Source: own definition: share of decisions (unit ``share``) beyond that of the reference, with the interval of
    Newcombe (1998), Statistics in Medicine 17, 873.

    Parameters
    ----------
    scores
        Of window and reference.
    positive
        Whether the decision was the positive one.
    decided
        Whether there was a decision that can be read.
    current
        Which rows lie in the window.
    threshold
        Of the model file; None takes what the reference's decisions show.

    Examples
    --------
    >>> scores, yes = np.array([0.2, 0.9, 0.2, 0.9]), np.array([False, True, True, True])
    >>> current = np.array([False, False, True, True])
    >>> signal, wrong, _ = decision_gap(scores, yes, np.ones(4, dtype=bool), current, 0.5)
    >>> signal.value, wrong.tolist()
    (0.5, [False, False, True, False])
    """
    usable = decided & np.isfinite(scores)
    cut = effective_threshold(scores[usable & ~current], positive[usable & ~current])
    limit = threshold if threshold is not None else cut.value if cut else None
    n = int((usable & current).sum())
    if limit is None or not n:
        reason = (
            "no decisions in the window" if limit is not None else "no threshold is given, and the reference shows none"
        )
        nothing = np.zeros(len(scores), dtype=np.bool_)
        return Signal("decision_mismatch", None, "share", n, "decision against score", reason=reason), nothing, cut
    if threshold is None and cut is not None:
        says = np.where(scores >= cut.high, True, np.where(scores <= cut.low, False, positive))  # noqa: FBT003 - flags
    else:
        says = scores >= limit
    wrong = np.asarray(usable & (says != positive), dtype=np.bool_)
    source = "the model file's" if threshold is not None else "the reference's own"
    method = f"decisions that differ from score against {source} threshold {limit:.4g}"
    usual = (int(wrong[~current].sum()), int((usable & ~current).sum()))
    signal = excess_share("decision_mismatch", int(wrong[current].sum()), n, usual, method=method)
    if missing := int(current.sum()) - n:
        told = f"{missing:,} of {int(current.sum()):,} without a finite score or a decision not counted"
        signal = replace(signal, reason=told)
    return signal, wrong, cut


def repeated_scores(rows: pd.DataFrame, keys: NDArray[np.uint64], current: Flags) -> tuple[Signal, Flags]:
    """Return how often a score is exactly that of a request of the hour before with other inputs, beyond the usual.

    Source: own definition: share of rows (unit ``share``) beyond that of the reference, with the interval of
    Newcombe (1998), Statistics in Medicine 17, 873.

    An answer taken from a cache for the wrong request looks like this. Scores that are rounded, or that many
    requests share anyway, are usual; the reference says how usual.

    Parameters
    ----------
    rows
        Window and reference, with ``epoch`` and ``score``.
    keys
        `rbnb.signals.consistency.repeats.fingerprints` of the inputs.
    current
        Which rows lie in the window.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = np.r_[np.linspace(0, 1, 1000), np.full(100, 0.1234)]
    >>> rows = pd.DataFrame({"epoch": np.arange(1100) * 60, "score": scores})
    >>> signal, flags = repeated_scores(rows, np.arange(1100, dtype=np.uint64), np.arange(1100) >= 1000)
    >>> signal.value, int(flags.sum())
    (0.99, 99)
    """
    scores, epochs = rows["score"].to_numpy(dtype=np.float64, na_value=np.nan), rows["epoch"].to_numpy(dtype=np.int64)
    order = np.lexsort((keys, epochs, scores))
    same = (scores[order][1:] == scores[order][:-1]) & (keys[order][1:] != keys[order][:-1])
    same &= epochs[order][1:] - epochs[order][:-1] <= _HOUR
    flags = np.zeros(len(rows), dtype=np.bool_)
    flags[order[1:][same]] = True
    n, m = int(current.sum()), int((~current).sum())
    method = "scores exactly equal to that of a request of the hour before with other inputs"
    if _coarse(scores[~current], keys[~current]):
        reason = "scores are rounded or few, so that many requests share one anyway"
        return Signal("score_repeated", None, "share", n, method, reason=reason), np.zeros(len(rows), dtype=np.bool_)
    # how often two scores meet by chance grows with the rows an hour, of which the reference may hold a sample
    denser = max(_hourly(epochs[current]) / max(_hourly(epochs[~current]), 1e-9), 1.0) if m else 1.0
    usual = (min(round(int(flags[~current].sum()) * denser), m), m)
    return excess_share("score_repeated", int(flags[current].sum()), n, usual, method=method), flags


def _coarse(scores: Floats, keys: NDArray[np.uint64]) -> bool:
    """Return whether requests with different inputs share a score often: a tenth fewer scores than inputs."""
    there = np.isfinite(scores)
    inputs = len(np.unique(keys[there]))
    return bool(inputs) and len(np.unique(scores[there])) < _DISTINCT * inputs


def _hourly(epochs: NDArray[np.int64]) -> float:
    """Return rows an hour, over the hours that hold any."""
    return len(epochs) / max(len(np.unique(epochs // _HOUR)), 1)


def score_shift(scores: Floats, current: Flags) -> Signal:
    """Return how far the mean score moved, in standard deviations of the reference, with its interval.

    Source: own definition: difference of means over the standard deviation of the reference; interval as in Welch
    (1947), Biometrika 34, 28.

    Unit ``ratio``. The interval is that of Welch's difference of means.

    Examples
    --------
    >>> scores = np.r_[np.tile([0.0, 1.0], 50), np.tile([0.5, 1.5], 50)]
    >>> round(score_shift(scores, np.arange(200) >= 100).value, 2)
    1.0
    """
    name, method = "score_shift", "difference of mean scores over the reference's standard deviation"
    now, past = scores[current & np.isfinite(scores)], scores[~current & np.isfinite(scores)]
    missing = int(current.sum()) - len(now)
    if len(now) < 10 or len(past) < 10 or float(past.std()) == 0:
        return Signal(name, None, "ratio", len(now), method, reason="too few scores, or all the same")
    spread = float(past.std())
    value = abs(float(now.mean() - past.mean())) / spread
    told = f"{missing:,} of {int(current.sum()):,} without a finite score not counted" if missing else ""
    half = 1.959964 * float(np.sqrt(now.var() / len(now) + past.var() / len(past))) / spread
    return Signal(name, value, "ratio", len(now), method, (max(value - half, 0.0), value + half), "", 0.0, told)


def cuts_by(scores: Floats, positive: Flags, usable: Flags, labels: NDArray[np.object_], column: str) -> list[Cut]:
    """Return the threshold that the decisions of each version or host show, in the order of their names."""
    names: Sequence[str] = sorted({str(label) for label in labels if label is not None})
    found = []
    for name in names:
        inside = usable & np.asarray(labels == name, dtype=np.bool_)
        cut = effective_threshold(scores[inside], positive[inside], f"{column}={name}")
        if cut is not None:
            found.append(cut)
    return found
