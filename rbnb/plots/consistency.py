"""Charts of answers that differ: how many decisions flip at each distance from the threshold.

Rules: a bin is a dot with its interval, the count stands below its name, and a bin without requests is a gap; the
threshold is where the distance is 0 and is marked, because that is where flips are expected first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rbnb.plots.canvas import GRID, INK, MUTED, RED, Canvas, Figure
from rbnb.plots.scales import floats, number, share, ticks_between

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["flips_by_distance"]


def flips_by_distance(
    edges: Sequence[float],
    shares: Iterable[float | None],
    intervals: Sequence[tuple[float, float] | None],
    counts: Sequence[int],
) -> Figure:
    """Draw the share of decisions that are not what they should be, by how far the score is from the threshold.

    Parameters
    ----------
    edges
        Of the bins of score minus threshold, in the score's unit; one more than there are bins.
    shares
        0 to 1 for each bin, None where it is empty.
    intervals
        95 % interval of each share, or None.
    counts
        Decisions in each bin.
    """
    parts = floats(shares)
    ends = [end for pair in intervals if pair for end in pair]
    top = 1.08 * max([*ends, *[float(p) for p in parts if math.isfinite(p)], 0.01])
    with Canvas(2.5, "Decisions that differ, by distance from the threshold") as canvas:
        axes = canvas.axes(52, 48, 16, 30)
        axes.set_xlim(-0.5, len(parts) - 0.5)
        axes.set_ylim(0, top)
        canvas.value_axis(axes, [(value, share(value)) for value in ticks_between(0, top)])
        axes.axhline(0, color=MUTED, lw=1.0, clip_on=False)
        for i, part in enumerate(parts):
            _dot(axes, i, part, intervals[i])
            canvas.text(
                axes, i, 0, f"{number((edges[i] + edges[i + 1]) / 2)}", align="center", shift=(0, -13), across="axes"
            )
            canvas.text(axes, i, 0, f"n {counts[i]:,}", align="center", shift=(0, -25), across="axes")
        at = float(np.interp(0.0, edges, np.arange(len(edges)) - 0.5))
        axes.axvline(at, color=INK, lw=1.0, ls=(0, (5, 3)), zorder=3)
        canvas.text(axes, at, 1, "threshold", align="center", shift=(0, 4), across="axes")
        canvas.text(
            axes, (len(parts) - 1) / 2, 0, "score minus threshold", align="center", shift=(0, -39), across="axes"
        )
        told = "; ".join(
            f"at {number((edges[i] + edges[i + 1]) / 2)} {share(part)} of {counts[i]:,}"
            for i, part in enumerate(parts)
            if math.isfinite(part)
        )
        return canvas.finish(
            f"Dot chart of the share of decisions that differ, by score minus threshold: {told or 'no data'}.",
            "Dot: share of decisions that the expected score would not have led to. Line: 95 % interval. Flips only at "
            "the threshold are small differences; flips far from it are other answers.",
        )


def _dot(axes: object, place: int, part: float, interval: tuple[float, float] | None) -> None:
    if not math.isfinite(part):
        return
    draw = axes.plot  # type: ignore[attr-defined]
    if interval is not None:
        draw([place, place], list(interval), color=GRID, lw=5, zorder=2, solid_capstyle="butt")
        draw([place, place], list(interval), color=INK, lw=1.0, zorder=3)
    draw([place], [part], marker="o", ms=6, color=RED, mec="none", zorder=4, clip_on=False)
