"""Which slice of the traffic explains the excess.

Rules: a slice is one column = value, or two; the excess of a slice is what its requests take beyond
what the same slice usually takes; a slice must explain more than its share of the traffic, with the lower
end of the interval, after Bonferroni over every slice that was tried; among those the one that divides slow
from not slow best comes first, as in a regression tree; two columns are named only where they divide
clearly better than one. Rabanser et al. (2019), arXiv 1810.11953, for the correction; Breiman et al.
(1984), Classification and Regression Trees, for the order.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.model import SegmentShare
from rbnb.signals.intervals import ratio_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["outside_excess", "rank_segments", "segment_mask"]

#: Reference requests a slice needs to be its own yardstick; below, the whole reference is.
_OWN_REFERENCE = 30
#: How many times better than one column two must divide to be worth naming.
_WORTH_NAMING = 1.2
#: Requests a slice needs for its own mean and spread to mean something.
_FEWEST = 5


@dataclass(frozen=True, slots=True)
class _Slice:
    """A slice with the p-value of being slower than the rest, and how well it divides slow from not slow."""

    share: SegmentShare
    p: float
    strength: float


def segment_mask(cells: pd.DataFrame, where: str) -> pd.Series:
    """Return which rows of a cell table lie in a segment; an unknown column gives none of them.

    Examples
    --------
    >>> import pandas as pd
    >>> segment_mask(pd.DataFrame({"zone": ["a", "b"]}), "zone=b").tolist()
    [False, True]
    """
    inside = cells.iloc[:, 0].map(lambda _: True)
    for part in where.split(" & ") if where else []:
        column, _, value = part.partition("=")
        inside &= cells[column].astype(str) == value if column in cells.columns else False
    return inside.astype(bool)


def rank_segments(
    cells: pd.DataFrame, columns: Sequence[str], *, value: str = "", alpha: float = 0.05, depth: int = 2
) -> tuple[list[SegmentShare], int]:
    """Rank slices by how much of the excess they explain beyond their share of the traffic.

    Parameters
    ----------
    cells
        Rows with ``period`` (current or reference), `columns`, ``n``, ``total``, ``squares``
        (or ``<value>|total`` and ``<value>|squares``).
    columns
        Segment columns to try, alone and in pairs.
    value
        A stage, or "" for the whole latency.
    alpha
        Family-wise error rate over all slices tried.

    Returns
    -------
    tuple of list of SegmentShare and int
        Slices that stand the test, best first, with ``explains`` (share of the whole excess), its 95 %
        interval, ``n``, ``traffic`` (share of requests) and ``score`` = (low − traffic) / (1 − traffic);
        and how many slices were tried. The order is by the sum of squares between the slice and the rest.
    """
    groups = [combo for size in range(1, depth + 1) for combo in itertools.combinations(columns, size)]
    tried: list[_Slice] = []
    for combo in groups:
        tried += _slices(cells, combo, value)
    if not tried:
        return [], 0
    limit = alpha / len(tried)
    strong = [found for found in tried if found.p < limit and found.share.score > 0]
    strong.sort(key=lambda found: (-found.strength, found.share.where.count("&"), found.share.where))
    return _parsimonious(strong, {found.share.where: found.strength for found in tried}), len(tried)


def _slices(cells: pd.DataFrame, combo: tuple[str, ...], value: str) -> list[_Slice]:
    total, squares = (f"{value}|total", f"{value}|squares") if value else ("total", "squares")
    sums = cells.groupby(["period", *combo], observed=True)[["n", total, squares]].sum()
    if not {"current", "reference"} <= set(sums.index.get_level_values(0)):
        return []
    current, reference = sums.loc["current"], sums.loc["reference"]
    known = reference.reindex(current.index)
    enough = known["n"].to_numpy() >= _OWN_REFERENCE
    now = {name: current[name].to_numpy(dtype=float) for name in current.columns}
    own = {name: np.where(enough, known[name].to_numpy(dtype=float), float(reference[name].sum())) for name in now}
    values, variances = _excess(now, own, total, squares)
    whole, spread, requests = float(values.sum()), float(variances.sum()), float(current["n"].sum())
    if whole <= 0 or len(current) < 2:
        return []
    rows = zip(current.index, values.tolist(), variances.tolist(), current["n"].tolist(), strict=True)
    return [_share(combo, key, (v, s), (whole - v, spread - s), float(n), requests) for key, v, s, n in rows]


def _excess(now: Any, own: Any, total: str, squares: str) -> tuple[Any, Any]:  # noqa: ANN401 - one row or a table of them
    """Return the extra time of a slice over all its requests, and the variance of that."""
    n, base_n = now["n"], own["n"]
    mean, base = now[total] / n, own[total] / base_n
    spread = np.maximum(now[squares] / n - mean**2, 0.0) / n + np.maximum(own[squares] / base_n - base**2, 0.0) / base_n
    return n * (mean - base), n * n * spread


def _share(
    combo: tuple[str, ...],
    key: object,
    part: tuple[float, float],
    rest: tuple[float, float],
    n: float,
    requests: float,
) -> _Slice:
    values = key if isinstance(key, tuple) else (key,)
    where = " & ".join(f"{column}={value}" for column, value in zip(combo, values, strict=True))
    explains = part[0] / (part[0] + rest[0])
    low, high = ratio_interval(part, rest)
    traffic = n / requests
    score = (low - traffic) / (1 - traffic) if traffic < 1 else 0.0
    each, others = part[0] / n, rest[0] / max(requests - n, 1.0)
    spread = math.sqrt(part[1] / n**2 + rest[1] / max(requests - n, 1.0) ** 2)
    p = 1 - NormalDist().cdf((each - others) / spread) if spread > 0 and n >= _FEWEST else 1.0
    strength = traffic * (1 - traffic) * max(each - others - 1.959964 * spread, 0.0) ** 2
    return _Slice(SegmentShare(where, explains, (low, high), int(n), traffic, score), p, strength)


def _parsimonious(ranked: list[_Slice], strengths: dict[str, float]) -> list[SegmentShare]:
    """Leave out a slice of two columns unless it divides clearly better than either of them."""
    kept = []
    for found in ranked:
        parts = found.share.where.split(" & ")
        if len(parts) == 1 or found.strength > _WORTH_NAMING * max(strengths.get(part, 0.0) for part in parts):
            kept.append(found.share)
    return kept


def outside_excess(cells: pd.DataFrame, inside: str, within: str = "") -> tuple[float, float, float, int] | None:
    """Return the extra mean time of requests outside one segment, optionally only within another.

    It answers: those who share the change but not the trouble, are they slow?

    Parameters
    ----------
    cells
        As for `rank_segments`.
    inside
        The segment to leave out.
    within
        The segment to stay in; its current requests are compared with the whole reference outside `inside`.

    Returns
    -------
    tuple or None
        Excess per request in the log's unit, its 95 % interval, and the number of requests; None if there
        are fewer than 30 on either side.
    """
    outside = cells[~segment_mask(cells, inside)]
    current = outside[(outside["period"] == "current") & segment_mask(outside, within)]
    reference = outside[outside["period"] == "reference"]
    if current["n"].sum() < _OWN_REFERENCE or reference["n"].sum() < _OWN_REFERENCE:
        return None
    n = float(current["n"].sum())
    value, variance = _excess(
        current[["n", "total", "squares"]].sum(), reference[["n", "total", "squares"]].sum(), "total", "squares"
    )
    half = 1.959964 * math.sqrt(variance) / n
    return value / n, value / n - half, value / n + half, int(n)
