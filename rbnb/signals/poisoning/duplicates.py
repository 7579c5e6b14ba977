"""Copies in a training table: the same row again, the same features with another label, and rows that nearly agree.

Rules: features are compared as they are logged; a missing value equals a missing value; the search for near
copies is bounded, as each row is held against rows of its own source near to it in time, in blocks of 3,000.

Sources: the limit for near copies, 0.13 times the median distance to the nearest neighbour, is that of cleanlab's
duplicate check; 5 % of copies is the limit of Deepchecks' data duplicates check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Signal
from rbnb.signals.intervals import share
from rbnb.signals.poisoning.training_rows import as_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["conflicting", "copies", "near_copies", "nearest_distance", "same_features"]

#: Distance to the nearest neighbour, over its median, below which two rows nearly agree.
NEAR = 0.13
_BLOCK = 3_000


def same_features(frame: pd.DataFrame, columns: Sequence[str]) -> Ints:
    """Return a number for each row, the same for rows whose features are all the same.

    Examples
    --------
    >>> import pandas as pd
    >>> same_features(pd.DataFrame({"a": [1.0, 2.0, 1.0], "b": ["x", "y", "x"]}), ["a", "b"]).tolist()
    [0, 1, 0]
    """
    if not columns or not len(frame):
        return np.arange(len(frame))
    codes = np.zeros(len(frame), dtype=np.int64)
    for name in columns:
        _, each = np.unique(np.array(as_texts(frame, name), dtype=object).astype(str), return_inverse=True)
        _, codes = np.unique(codes * (int(each.max()) + 1) + each, return_inverse=True)
    _, first, codes = np.unique(codes, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes]


def copies(same: Ints) -> tuple[Mask, Signal]:
    """Return which rows have another row with the same features, and the share of rows beyond the first of each.

    Source: own definition: share of equal rows, unit ``share``, with the interval of Wilson (1927), JASA 22, 209.

    Examples
    --------
    >>> copies(np.array([0, 1, 0]))[0].tolist()
    [True, False, True]
    """
    counts = np.bincount(same) if len(same) else np.zeros(0, dtype=np.int64)
    method = "rows whose features all equal those of an earlier row"
    return counts[same] > 1 if len(same) else np.zeros(0, dtype=bool), share(
        "copy_share", len(same) - len(counts), len(same), method=method
    )


def conflicting(same: Ints, labels: Ints) -> tuple[Mask, Signal]:
    """Return which rows have the features of another row and not its label, and their share.

    Source: own definition: share of rows, unit ``share``, with the interval of Wilson (1927), JASA 22, 209.

    A row is doubted only if its label is the rarer one among the rows with its features, or as rare.

    Examples
    --------
    >>> conflicting(np.array([0, 0, 0, 1]), np.array([1, 1, 0, 1]))[0].tolist()
    [False, False, True, False]
    """
    if not len(same):
        none = share("conflict_share", 0, 0, method="rows with the features of another row and another label")
        return np.zeros(0, dtype=bool), none
    table = np.zeros((int(same.max()) + 1, int(labels.max()) + 1), dtype=np.int64)
    np.add.at(table, (same, labels), 1)
    mixed = (table > 0).sum(axis=1) > 1
    top = table.max(axis=1)
    tied = (table == top[:, None]).sum(axis=1) > 1
    own = table[same, labels]
    doubted = mixed[same] & ((own < top[same]) | tied[same])
    rows = int(mixed[same].sum())
    return doubted, share(
        "conflict_share", rows, len(same), method="rows with the features of another row and another label"
    )


def nearest_distance(space: Floats, sources: Sequence[str], epoch: Floats) -> Floats:
    """Return for each row the distance to the nearest row of its source among those near to it in time.

    NaN for the only row of a source. Blocks of 3,000 rows bound the work to that many distances a row.
    """
    found = np.full(len(space), np.nan)
    names, of = np.unique(np.asarray(sources, dtype=str), return_inverse=True)
    for group in range(len(names)):
        rows = np.flatnonzero(of == group)
        rows = rows[np.argsort(np.where(np.isnan(epoch[rows]), np.inf, epoch[rows]), kind="stable")]
        parts = max(1, -(-len(rows) // _BLOCK))
        for block in np.array_split(rows, parts):
            if len(block) > 1:
                found[block] = _nearest(space[block].astype(np.float32))
    return found


def _nearest(block: NDArray[np.float32]) -> Floats:
    square = (block * block).sum(axis=1)
    distance = square[:, None] + square[None, :] - 2 * (block @ block.T)
    np.fill_diagonal(distance, np.inf)
    return np.asarray(np.sqrt(np.maximum(distance.min(axis=1), 0.0)), dtype=np.float64)


def near_copies(distance: Floats, exact: Mask) -> tuple[Mask, Signal]:
    """Return which rows nearly agree with another one without being equal, and their share.

    Source: the limit is that of cleanlab's near-duplicate check; the share, unit ``share``, has the interval of
    Wilson (1927), JASA 22, 209.

    Parameters
    ----------
    distance
        To the nearest neighbour (`nearest_distance`).
    exact
        Rows that have an equal (`copies`); they are counted there.

    Examples
    --------
    >>> near, signal = near_copies(np.r_[np.ones(38), 0.01, 0.01], np.zeros(40, dtype=bool))
    >>> int(near.sum()), signal.value
    (2, 0.05)
    """
    method = f"nearest neighbour of the source nearer than {NEAR} times the median, equal rows apart"
    known = np.isfinite(distance)
    n = int(known.sum())
    middle = float(np.median(distance[known & ~exact])) if (known & ~exact).any() else 0.0
    if n < 30 or middle <= 1e-6:
        reason = "fewer than 30 rows, or most rows are equal to another"
        return np.zeros(len(distance), dtype=bool), Signal("near_copy_share", None, "share", n, method, reason=reason)
    near = known & ~exact & (distance < NEAR * middle)
    return near, share("near_copy_share", int(near.sum()), n, method=method)
