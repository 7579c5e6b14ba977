"""Which slice of the traffic explains the excess.

Rules: a slice is one column = value, or two; the excess of a slice is what its requests take beyond
what the same slice usually takes; a slice must explain more than its share of the traffic, with the lower
end of the interval, after Bonferroni over every slice that was tried; two columns are named only
where they say clearly more than one. Rabanser et al. (2019), arXiv 1810.11953, for the correction.
"""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist
from typing import TYPE_CHECKING

from rbnb.model import SegmentShare
from rbnb.signals.latency import ratio_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["outside_excess", "rank_segments", "segment_mask"]

#: Reference requests a slice needs to be its own yardstick; below, the whole reference is.
_OWN_REFERENCE = 30
#: What a second column must add to the score to be worth naming.
_WORTH_NAMING = 0.1


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
        and how many slices were tried.
    """
    groups = [combo for size in range(1, depth + 1) for combo in itertools.combinations(columns, size)]
    tried: list[tuple[SegmentShare, float]] = []
    for combo in groups:
        tried += _slices(cells, combo, value)
    if not tried:
        return [], 0
    limit = alpha / len(tried)
    strong = [share for share, p in tried if p < limit and share.score > 0]
    strong.sort(key=lambda share: (-share.score, share.where.count("&"), share.where))
    return _parsimonious(strong), len(tried)


def _slices(cells: pd.DataFrame, combo: tuple[str, ...], value: str) -> list[tuple[SegmentShare, float]]:
    total, squares = (f"{value}|total", f"{value}|squares") if value else ("total", "squares")
    sums = cells.groupby(["period", *combo], observed=True)[["n", total, squares]].sum()
    if not {"current", "reference"} <= set(sums.index.get_level_values(0)):
        return []
    current, reference = sums.loc["current"], sums.loc["reference"]
    overall = reference.sum()
    parts = {}
    for key, row in current.iterrows():
        own = reference.loc[key] if key in reference.index and reference.loc[key, "n"] >= _OWN_REFERENCE else overall
        parts[key] = _excess(row, own, total, squares)
    whole = sum(v for v, _ in parts.values())
    requests = float(current["n"].sum())
    if whole <= 0 or len(parts) < 2:
        return []
    return [
        _share(
            combo, key, parts[key], (whole - parts[key][0], _others(parts, key)), float(current.loc[key, "n"]), requests
        )
        for key in parts
    ]


def _excess(row: pd.Series, own: pd.Series, total: str, squares: str) -> tuple[float, float]:
    """Return the extra time of a slice over all its requests, and the variance of that."""
    n, base_n = float(row["n"]), float(own["n"])
    mean, base = row[total] / n, own[total] / base_n
    spread = max(row[squares] / n - mean**2, 0.0) / n + max(own[squares] / base_n - base**2, 0.0) / base_n
    return float(n * (mean - base)), float(n * n * spread)


def _others(parts: dict[object, tuple[float, float]], key: object) -> float:
    return sum(variance for other, (_, variance) in parts.items() if other != key)


def _share(
    combo: tuple[str, ...],
    key: object,
    part: tuple[float, float],
    rest: tuple[float, float],
    n: float,
    requests: float,
) -> tuple[SegmentShare, float]:
    values = key if isinstance(key, tuple) else (key,)
    where = " & ".join(f"{column}={value}" for column, value in zip(combo, values, strict=True))
    explains = part[0] / (part[0] + rest[0])
    low, high = ratio_interval(part, rest)
    traffic = n / requests
    score = (low - traffic) / (1 - traffic) if traffic < 1 else 0.0
    each, others = part[0] / n, rest[0] / max(requests - n, 1.0)
    spread = math.sqrt(part[1] / n**2 + rest[1] / max(requests - n, 1.0) ** 2)
    p = 1 - NormalDist().cdf((each - others) / spread) if spread > 0 and n >= 5 else 1.0
    return SegmentShare(where, explains, (low, high), int(n), traffic, score), p


def _parsimonious(ranked: list[SegmentShare]) -> list[SegmentShare]:
    alone = {share.where: share.score for share in ranked if "&" not in share.where}
    return [
        share
        for share in ranked
        if "&" not in share.where
        or share.score > _WORTH_NAMING + max((alone.get(part, 0.0) for part in share.where.split(" & ")), default=0.0)
    ]


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
