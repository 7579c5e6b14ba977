"""Charts of a training table: where suspect rows are from over time, and how each source's labels moved.

Rules: one row a source, its batches from left to right in the order they came; how full a square is says how large a
share of the batch is suspect, and the caption and the alternative text say the same in words.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rbnb.plots.canvas import GRID, INK, MUTED, RED, Canvas, Figure
from rbnb.plots.scales import share
from rbnb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["suspect_map"]

_SOURCES, _BATCHES = 8, 40
_ROW, _TOP, _BOTTOM = 34, 26, 22


def suspect_map(sources: Sequence[str], batches: Sequence[str], shares: Mapping[tuple[str, str], float]) -> Figure:
    """Draw the share of suspect rows by source and batch.

    Parameters
    ----------
    sources
        The worst first; the first eight are drawn.
    batches
        In the order of time; the last forty are drawn.
    shares
        By source and batch, 0 to 1; a pair that is missing has no rows.
    """
    drawn, columns = list(sources[:_SOURCES]), list(batches[-_BATCHES:])
    height = (_TOP + _BOTTOM + _ROW * max(len(drawn), 1)) / 72
    with Canvas(height, "Share of suspect rows by source and batch") as canvas:
        axes = canvas.axes(6, _BOTTOM, 6, _TOP)
        axes.set_xlim(0, max(len(columns), 1))
        axes.set_ylim(-max(len(drawn), 1), 0)
        for row, source in enumerate(drawn):
            canvas.text(axes, 0, -row, source, color=INK, shift=(0, -10), limit=34)
            worst = max((shares.get((source, batch), 0.0) for batch in columns), default=0.0)
            told = f"at most {share(worst)}" if worst > 0 else "none"
            canvas.text(axes, len(columns), -row, told, align="right", shift=(0, -10), limit=30)
            for place, batch in enumerate(columns):
                _square(axes, place, row, shares.get((source, batch), math.nan))
        if columns:
            canvas.text(axes, 0, -len(drawn), columns[0], shift=(0, -14), limit=30)
            canvas.text(axes, len(columns), -len(drawn), columns[-1], align="right", shift=(0, -14), limit=30)
        told = "; ".join(_told(source, columns, shares) for source in drawn)
        more = f" The last {len(columns)} of {len(batches)} batches." if len(batches) > len(columns) else ""
        return canvas.finish(
            f"Map of suspect training rows by source and batch. {told or 'no data'}.",
            "One line a source, batches from left to right as they came. The higher a box is filled, the larger the "
            f"share of its rows that is suspect; no box, no rows.{more}",
        )


def _square(axes: object, place: int, row: int, value: float) -> None:
    """Draw one batch: an outline, filled from below to its share."""
    if math.isnan(value):
        return
    low, high = -row - 0.92, -row - 0.46
    axes.bar(place + 0.5, high - low, bottom=low, width=0.84, color="none", edgecolor=GRID, lw=0.8)  # type: ignore[attr-defined]
    if value > 0:
        filled = max(value, 0.06) * (high - low)
        axes.bar(place + 0.5, filled, bottom=low, width=0.84, color=RED if value >= 0.02 else MUTED, lw=0)  # type: ignore[attr-defined]


def _told(source: str, batches: Sequence[str], shares: Mapping[tuple[str, str], float]) -> str:
    hit = [batch for batch in batches if shares.get((source, batch), 0.0) >= 0.02]
    if not hit:
        return f"{one_line(source, 30)}: none to speak of"
    worst = max(shares[source, batch] for batch in hit)
    return f"{one_line(source, 30)}: up to {share(worst)}, in {len(hit)} batches, first {one_line(hit[0], 30)}"
