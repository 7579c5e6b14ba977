"""Charts of shares: which stage of a request carries the excess, and which segment explains it.

Rules: the name stands above its bar and the numbers beside it, so that a long name costs no width and a
phone can show it; at most eight rows, and the caption says how many there were.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.plots.canvas import BAND, BLUE, GRID, INK, MUTED, RED, Canvas, Figure
from rbnb.plots.scales import floats, number, share, ticks_between
from rbnb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["segment_ranking", "stage_excess"]

_ROWS = 8
_ROW, _TOP, _BOTTOM, _SIDE = 32, 24, 20, 6


def _sheet(rows: int, title: str) -> Canvas:
    return Canvas((_TOP + _BOTTOM + _ROW * max(rows, 1)) / 72, title)


def _rows(canvas: Canvas, rows: int, low: float, high: float) -> Any:  # noqa: ANN401 - matplotlib is untyped
    """Return axes in which row i lies at y = -i."""
    axes = canvas.axes(_SIDE, _BOTTOM, _SIDE, _TOP)
    axes.set_ylim(0.45 - max(rows, 1), 0.45)
    axes.set_xlim(low, high)
    return axes


def _scale(canvas: Canvas, axes: Any, ticks: Sequence[tuple[float, str]]) -> None:  # noqa: ANN401
    low, high = axes.get_xlim()
    rows = np.arange(round(0.45 - axes.get_ylim()[0]))
    for value, label in ticks:
        axes.vlines([value] * len(rows), -rows - 0.42, -rows - 0.06, color=GRID, lw=0.8, zorder=0)
        part = (value - low) / (high - low)
        align = "left" if part < 0.03 else "right" if part > 0.97 else "center"
        canvas.text(axes, value, 0, label, align=align, shift=(0, -14), across="axes")


def _row_text(canvas: Canvas, axes: Any, row: int, name: str, told: str, *, strong: bool) -> None:  # noqa: ANN401
    left, right = axes.get_xlim()
    canvas.text(axes, left, -row, name, color=INK, weight="bold" if strong else "normal", shift=(0, 2), limit=34)
    canvas.text(axes, right, -row, told, color=INK if strong else MUTED, align="right", shift=(0, 2), limit=44)


def stage_excess(
    stages: Sequence[str], reference: Iterable[float | None], current: Iterable[float | None], unit: str = "ms"
) -> Figure:
    """Draw each stage of a request as it usually is and as it is now, so that the one that carries the excess shows.

    Parameters
    ----------
    stages
        Names, in the order a request passes them.
    reference, current
        Time spent in each stage, in `unit`; None where it was not measured.
    unit
        The unit of both.
    """
    then, now = floats(reference), floats(current)
    excess = now - then
    total = float(np.nansum(np.clip(excess, 0, None)))
    worst = int(np.nanargmax(excess)) if np.isfinite(excess).any() else -1
    known = [value for value in (*then, *now) if math.isfinite(value)]
    top = 1.03 * (max(known, default=0.0) or 1.0)
    with _sheet(len(stages), f"Time in each stage, {unit}") as canvas:
        axes = _rows(canvas, len(stages), 0, top)
        _scale(canvas, axes, [(value, number(value)) for value in ticks_between(0, top)])
        for i, stage in enumerate(stages):
            _row_text(canvas, axes, i, stage, _stage_told(then[i], now[i], total, unit), strong=i == worst)
            if math.isfinite(excess[i]):
                color = RED if i == worst else BLUE
                axes.plot([then[i], now[i]], [-i - 0.24] * 2, color=color, lw=3.2, zorder=2, solid_capstyle="butt")
                axes.plot([then[i]], [-i - 0.24], marker="o", ms=6, mfc="#ffffff", mec=MUTED, mew=1.4, zorder=3)
                axes.plot([now[i]], [-i - 0.24], marker="o", ms=6.5, color=color, mec="none", zorder=4, clip_on=False)
        told = "; ".join(f"{one_line(s, 34)} {_stage_told(then[i], now[i], total, unit)}" for i, s in enumerate(stages))
        return canvas.finish(f"Time in each stage, usual and now. {told or 'no data'}.", "Hollow: usual. Filled: now.")


def _stage_told(then: float, now: float, total: float, unit: str) -> str:
    if not math.isfinite(now - then):
        return "not measured"
    part = f" · {share((now - then) / total)} of the excess" if now > then and total > 0 else ""
    return f"{number(then)} → {number(now)} {unit}{part}"


def segment_ranking(
    wheres: Sequence[str],
    explains: Iterable[float | None],
    intervals: Sequence[tuple[float, float] | None],
    traffic: Iterable[float | None],
) -> Figure:
    """Draw how much of the excess each segment explains, against its share of requests.

    Parameters
    ----------
    wheres
        Segments such as ``zone=b``; ``""`` is everywhere. The first eight are drawn, in the order given.
    explains
        Share of the excess each explains, 0 to 1.
    intervals
        95 % interval of each share, or None.
    traffic
        Share of all requests each has, 0 to 1.
    """
    names = [where or "everywhere" for where in wheres[:_ROWS]]
    parts, of_all = floats(explains)[:_ROWS], floats(traffic)[:_ROWS]
    ends = [*parts, *of_all, *(end for pair in intervals[:_ROWS] if pair for end in pair)]
    low, high = float(np.nanmin([*ends, 0.0])), float(np.nanmax([*ends, 1.0])) + 0.005
    with _sheet(len(names), "Share of the excess each segment explains") as canvas:
        axes = _rows(canvas, len(names), low, high)
        _scale(canvas, axes, [(value, share(value)) for value in ticks_between(low, high)])
        for i, name in enumerate(names):
            _row_text(canvas, axes, i, name, _segment_told(parts[i], of_all[i]), strong=i == 0)
            _segment_bar(axes, i, parts[i], intervals[i], of_all[i])
        more = f" The first {len(names)} of {len(wheres)}." if len(wheres) > len(names) else ""
        told = "; ".join(f"{one_line(name, 34)}: {_segment_told(parts[i], of_all[i])}" for i, name in enumerate(names))
        return canvas.finish(
            f"Bar chart of segments by how much of the excess they explain. {told or 'no data'}.",
            "Bar: share of the excess. Thin line: 95 % interval. Upright tick: share of requests; a bar far "
            f"beyond its tick is where the trouble sits.{more}",
        )


def _segment_told(part: float, of_all: float) -> str:
    first = f"explains {share(part)}" if math.isfinite(part) else "not measured"
    return first + (f" · {share(of_all)} of requests" if math.isfinite(of_all) else "")


def _segment_bar(axes: Any, row: int, part: float, interval: tuple[float, float] | None, of_all: float) -> None:  # noqa: ANN401
    at = -row - 0.24
    if math.isfinite(part):
        axes.barh(at, part, height=0.24, color=RED if row == 0 else BAND, zorder=2, lw=0)
    if interval is not None and np.isfinite(interval).all():
        axes.plot(interval, [at] * 2, color=INK, lw=1.2, zorder=3, clip_on=False, solid_capstyle="butt")
    if math.isfinite(of_all):
        axes.plot([of_all] * 2, [at - 0.18, at + 0.18], color=BLUE, lw=2.2, zorder=4, clip_on=False)
