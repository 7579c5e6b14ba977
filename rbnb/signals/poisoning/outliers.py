"""Rows that lie where no other source or batch has any: out of the distribution, and together.

Rules: how far out a row lies is its distance to the nearest rows of a bounded sample of *other* batches, so that a
cluster cannot vouch for itself; far is beyond the upper quartile by three interquartile ranges (Tukey's far
out). An honest new population lies far out too: what marks a planted cluster is that it is tight, or bears one label.

Sources: Tukey (1977), Exploratory Data Analysis; Ramaswamy et al. (2000), Efficient algorithms for mining outliers,
for the distance to the k-th neighbour; Chen et al. (2018), arXiv 1811.03728, for planted clusters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Signal
from rbnb.signals.intervals import share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["cluster_shape", "far_out", "foreign_distance"]

#: Rows in the sample that all are held against, the neighbour whose distance counts, and rows held at once.
_SAMPLE, _NEIGHBOUR, _CHUNK = 1_500, 3, 4_000


def foreign_distance(space: Floats, batches: Sequence[str], seed: int) -> Floats:
    """Return for each row the distance to its third nearest neighbour in a sample of other batches.

    NaN where fewer than three rows of the sample are of other batches.
    """
    n = len(space)
    _, own = np.unique(np.asarray(batches, dtype=str), return_inverse=True)
    rng = np.random.default_rng(seed)
    picked = np.sort(rng.choice(n, min(_SAMPLE, n), replace=False)) if n else np.zeros(0, dtype=np.int64)
    sample = space[picked].astype(np.float32)
    square = (sample * sample).sum(axis=1)
    found = np.full(n, np.nan)
    if len(picked) <= _NEIGHBOUR:
        return found
    for start in range(0, n, _CHUNK):
        part = space[start : start + _CHUNK].astype(np.float32)
        distance = (part * part).sum(axis=1)[:, None] + square[None, :] - 2 * (part @ sample.T)
        distance[own[start : start + _CHUNK][:, None] == own[picked][None, :]] = np.inf
        near = np.partition(distance, _NEIGHBOUR - 1, axis=1)[:, _NEIGHBOUR - 1]
        found[start : start + _CHUNK] = np.where(np.isfinite(near), np.sqrt(np.maximum(near, 0.0)), np.nan)
    return found


def far_out(distance: Floats) -> tuple[Mask, Floats, Signal]:
    """Return which rows lie far out, how far each lies over the limit (1 is on it), and their share.

    Source: Tukey (1977), Exploratory Data Analysis, for the limit; Ramaswamy et al. (2000), for the distance; unit
    ``share``.

    Examples
    --------
    >>> far_out(np.array([1.0, 1.1, 0.9, 1.2, 9.0] * 10))[2].value
    0.2
    """
    method = f"distance to the third nearest of {_SAMPLE:,} sampled rows of other batches, beyond Q3 + 3 IQR"
    known = distance[np.isfinite(distance)]
    if len(known) < 30:
        reason = "fewer than 30 rows that have rows of other batches to be compared with"
        none = Signal("outlier_share", None, "share", len(known), method, reason=reason)
        return np.zeros(len(distance), dtype=bool), np.zeros(len(distance)), none
    low, high = np.quantile(known, (0.25, 0.75))
    limit = float(high + 3 * (high - low)) or 1.0
    score = np.where(np.isfinite(distance), distance / limit, 0.0)
    return score > 1, score, share("outlier_share", int((score > 1).sum()), len(known), method=method)


def cluster_shape(space: Floats, inside: Mask, labels: Ints, usual: Floats, where: str) -> tuple[Signal, Signal]:
    """Return how tight rows that lie far out together are, and how pure in one label.

    Source: own definition; Chen et al. (2018), arXiv 1811.03728, for planted clusters.

    Parameters
    ----------
    space
        All rows.
    inside
        The rows that lie far out together.
    labels
        Class codes of all rows.
    usual
        Distance of each row to its nearest neighbour (`nearest_distance` of `duplicates`).
    where
        What to call them.

    Returns
    -------
    tuple of Signal
        ``cluster_tightness`` (unit ``ratio``): the median distance within, of at most 500 rows, over the median
        distance to the nearest neighbour in the table; below 1 the rows of a cluster lie closer to each other than
        ordinary neighbours. ``cluster_purity`` (unit ``share``): the share that bears its commonest label.

    Examples
    --------
    >>> space = np.r_[np.arange(30.0), np.full(10, 99.0)][:, None]
    >>> labels = np.r_[np.zeros(30, dtype=int), np.ones(10, dtype=int)]
    >>> tight, pure = cluster_shape(space, labels == 1, labels, np.ones(40), "cluster=1")
    >>> tight.value, pure.value
    (0.0, 1.0)
    """
    rows = np.flatnonzero(inside)
    method = "median distance between its rows over the median distance to the nearest neighbour of all rows"
    known = usual[np.isfinite(usual) & ~inside]
    if len(rows) < 8 or not len(known) or float(np.median(known)) <= 0:
        reason = "fewer than eight rows, or no usual distance"
        none = Signal("cluster_tightness", None, "ratio", len(rows), method, where=where, reason=reason)
        return none, Signal("cluster_purity", None, "share", len(rows), method, where=where, reason=reason)
    picked = rows[:: max(len(rows) // 500, 1)]
    middle = np.median(space[picked], axis=0)
    spread = float(np.median(np.sqrt(((space[picked] - middle) ** 2).sum(axis=1))))
    tight = Signal("cluster_tightness", spread / float(np.median(known)), "ratio", len(rows), method, where=where)
    most = int(np.bincount(labels[rows]).max())
    return tight, share("cluster_purity", most, len(rows), where=where, method="rows that bear its commonest label")
