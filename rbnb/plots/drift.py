"""Charts of drift: which inputs moved and whether the score minds, and how a distribution looks then and now.

Rules: as in `rbnb.plots.bars`: the name stands above its bar, the numbers beside it; at most eight rows, and the
caption says how many there were; grey is before, colour is now, and red is what the score minds.
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

__all__ = ["distribution", "feature_ranking"]

_ROWS, _BINS = 8, 16
_ROW, _TOP, _BOTTOM, _SIDE = 32, 24, 20, 6


def _sheet(rows: int, title: str) -> Canvas:
    return Canvas((_TOP + _BOTTOM + _ROW * max(rows, 1)) / 72, title)


def _axes(canvas: Canvas, rows: int, high: float) -> Any:  # noqa: ANN401 - matplotlib is untyped
    """Return axes in which row i lies at y = -i, with a scale from 0."""
    axes = canvas.axes(_SIDE, _BOTTOM, _SIDE, _TOP)
    axes.set_ylim(0.45 - max(rows, 1), 0.45)
    axes.set_xlim(0, high)
    return axes


def _scale(canvas: Canvas, axes: Any, rows: int, labels: Sequence[tuple[float, str]]) -> None:  # noqa: ANN401
    high = axes.get_xlim()[1]
    at = -np.arange(max(rows, 1))
    for value, label in labels:
        axes.vlines([value] * len(at), at - 0.42, at - 0.06, color=GRID, lw=0.8, zorder=0)
        part = value / high
        align = "left" if part < 0.03 else "right" if part > 0.97 else "center"
        canvas.text(axes, value, 0, label, align=align, shift=(0, -14), across="axes")


def feature_ranking(
    names: Sequence[str],
    distances: Iterable[float | None],
    by_chance: Iterable[float | None],
    reaches: Iterable[float | None],
    minded: Sequence[bool],
) -> Figure:
    """Draw how far each input moved, against what chance alone gives, and whether the score minds.

    Parameters
    ----------
    names
        The inputs, those that matter most first; the first eight are drawn.
    distances, by_chance
        Stability index of each, and what it stays below in 95 of 100 cases by chance.
    reaches
        Standard deviations of the score that moved through it, or None.
    minded
        Whether it certainly moved and the score minds.
    """
    shown = list(names[:_ROWS])
    size, chance, reach = (floats(values)[: len(shown)] for values in (distances, by_chance, reaches))
    known = [value for value in (*size, *chance) if math.isfinite(value)]
    high = 1.05 * max(*known, 0.1) if known else 0.1
    with _sheet(len(shown), "How far inputs moved, stability index (PSI)") as canvas:
        axes = _axes(canvas, len(shown), high)
        _scale(canvas, axes, len(shown), [(value, number(value)) for value in ticks_between(0, high)])
        for i, name in enumerate(shown):
            told, strong = _told(size[i], reach[i]), minded[i]
            weight, tone = ("bold", INK) if strong else ("normal", MUTED)
            canvas.text(axes, 0, -i, name, color=INK, weight=weight, shift=(0, 2), limit=34)
            canvas.text(axes, high, -i, told, color=tone, align="right", shift=(0, 2), limit=44)
            if math.isfinite(size[i]):
                axes.barh(-i - 0.24, size[i], height=0.24, color=RED if strong else BAND, zorder=2, lw=0)
            if math.isfinite(chance[i]):
                axes.plot([chance[i]] * 2, [-i - 0.42, -i - 0.06], color=BLUE, lw=2.2, zorder=4, clip_on=False)
        spoken = "; ".join(f"{one_line(name, 34)} {_told(size[i], reach[i])}" for i, name in enumerate(shown))
        more = f" The first {len(shown)} of {len(names)}." if len(names) > len(shown) else ""
        return canvas.finish(
            f"Bar chart of inputs by how far they moved. {spoken or 'no data'}.",
            "Bar: stability index. Upright tick: what chance alone stays below. Red: it certainly moved, and the "
            f"score goes with it.{more}",
        )


def _told(size: float, reach: float) -> str:
    first = f"PSI {number(size)}" if math.isfinite(size) else "not measured"
    return first + (f" · score {number(reach)} sd" if math.isfinite(reach) else "")


def distribution(
    what: str, names: Sequence[str], before: Iterable[float | None], now: Iterable[float | None]
) -> Figure:
    """Draw the share of rows in each bin, then and now, side by side.

    Parameters
    ----------
    what
        What was counted, for the title.
    names
        The bins, in their order; the first sixteen are drawn.
    before, now
        Share of the rows in each, 0 to 1.
    """
    shown = [one_line(name, 16) for name in names[:_BINS]]
    then, today = floats(before)[: len(shown)], floats(now)[: len(shown)]
    known = [value for value in (*then, *today) if math.isfinite(value)]
    top = 1.08 * max(known, default=0.0) or 1.0
    with Canvas(2.4, f"{one_line(what, 40)}: share of requests") as canvas:
        axes = canvas.axes(44, 40, 10, 28)
        axes.set_xlim(-0.6, max(len(shown), 1) - 0.4)
        axes.set_ylim(0, top)
        canvas.value_axis(axes, [(value, share(value)) for value in ticks_between(0, top)])
        at = np.arange(len(shown))
        axes.bar(at - 0.2, np.nan_to_num(then), width=0.36, color=BAND, lw=0, zorder=2)
        axes.bar(at + 0.2, np.nan_to_num(today), width=0.36, color=BLUE, lw=0, zorder=2)
        for i in {0, len(shown) // 2, len(shown) - 1} if shown else ():
            align = "left" if i == 0 else "right" if i == len(shown) - 1 else "center"
            canvas.text(axes, i, 0, shown[i], align=align, shift=(0, -14), across="axes")
        change = np.nan_to_num(today - then)
        most = int(np.argmax(np.abs(change))) if len(change) else -1
        told = f"{shown[most]}: {share(then[most])} before, {share(today[most])} now" if most >= 0 else "no data"
        return canvas.finish(
            f"Paired bars of {one_line(what, 40)} over {len(shown)} bins. Largest change at {told}.",
            "Grey: the reference at the same hours. Blue: the window.",
        )
