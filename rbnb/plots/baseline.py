"""The week as it was learned: for each signal the history an hour, what is usual, and where the limit lies.

Rules: the same as of every figure here; history is drawn from its lowest to its highest healthy value an hour,
so that nothing is thinned away; windows that were left out are drawn apart and in their own colour.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.plots.canvas import BAND, BLUE, GRID, INK, MUTED, RED, Canvas, Figure
from rbnb.plots.scales import floats, number, ticks_between
from rbnb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Panel", "baseline_week"]

_LEFT, _RIGHT, _ROW, _TOP, _BOTTOM = 52, 18, 74, 22, 22
_PANELS = 3
_PATH = re.compile(r'(?<= d=")[^"]*')
_DIGIT = re.compile(r"(\.\d)\d+")
_SPACES = re.compile(r"\s+([LM])\s+")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class Panel:
    """One signal: 168 numbers each for what is usual and its limits, and the history behind them.

    Parameters
    ----------
    label
        Name and unit.
    usual, low, high
        In the signal's unit; `low` or `high` is None where there is no limit on that side.
    history
        Hour of the week and value of each healthy window.
    left_out
        The same of the windows that were left out.
    policy
        The number that the policy gives for all hours, or None.
    """

    label: str
    usual: Iterable[float]
    low: Iterable[float] | None
    high: Iterable[float] | None
    history: tuple[Sequence[int], Sequence[float]]
    left_out: tuple[Sequence[int], Sequence[float]]
    policy: float | None


def baseline_week(title: str, panels: Sequence[Panel]) -> Figure:
    """Draw the week of up to three signals under each other.

    Parameters
    ----------
    title
        Whose baseline, and which version.
    panels
        In the order to be drawn.
    """
    shown = panels[:_PANELS]
    height = (_TOP + _BOTTOM + _ROW * max(len(shown), 1)) / 72
    with Canvas(height, title) as canvas:
        for i, panel in enumerate(shown):
            axes = canvas.axes(_LEFT, _BOTTOM + _ROW * (len(shown) - 1 - i) + 8, _RIGHT, _TOP + _ROW * i + 16)
            _draw(canvas, axes, panel)
            if i == len(shown) - 1:
                for day, name in enumerate(_DAYS):
                    canvas.text(axes, 24 * day + 12, 0, name, align="center", shift=(0, -13), across="axes")
        told = "; ".join(_told(panel) for panel in shown) or "nothing was learned"
        more = f" The first {len(shown)} of {len(panels)}." if len(panels) > len(shown) else ""
        figure = canvas.finish(
            f"{len(shown)} charts over the hours of a week, Monday to Sunday, UTC. {told}.",
            "Blue strokes: the history of each hour, lowest to highest. Grey: from what is usual to the learned limit. "
            f"Dashed: the policy's number. Red: windows left out, such as incidents.{more}",
        )
        return replace(figure, svg=_PATH.sub(_shorter, figure.svg))


def _shorter(path: re.Match[str]) -> str:
    """Write a path to the tenth of a point, without needless spaces: a week has many points."""
    return _SPACES.sub(r"\1", _DIGIT.sub(r"\1", path[0]))


def _told(panel: Panel) -> str:
    parts = []
    for word, limit in (("lower", panel.low), ("upper", panel.high)):
        if limit is not None:
            values = floats(limit)
            parts.append(f"{word} limit {number(float(np.nanmin(values)))} to {number(float(np.nanmax(values)))}")
    return f"{one_line(panel.label, 58)}: {', '.join(parts)}"


def _draw(canvas: Canvas, axes: Any, panel: Panel) -> None:  # noqa: ANN401 - matplotlib is untyped
    hours, usual = np.arange(168) + 0.5, floats(panel.usual)
    bounds = [floats(limit) for limit in (panel.low, panel.high) if limit is not None]
    drawn = [usual, *bounds, floats(panel.history[1]), floats([panel.policy] if panel.policy is not None else [])]
    values = np.concatenate(drawn)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    out = floats(panel.left_out[1])
    if np.isfinite(out).any():  # an incident may stand out, and may not flatten everything else
        high = max(high, min(float(np.nanmax(out)), high + (high - low)))
    room = 0.08 * ((high - low) or abs(high) or 1.0)
    axes.set_xlim(0, 168)
    axes.set_ylim(low - room, high + room)
    for day in range(8):
        axes.axvline(24 * day, color=GRID, lw=0.8, zorder=0)
    lower, upper = (usual if limit is None else floats(limit) for limit in (panel.low, panel.high))
    axes.fill_between(hours, lower, upper, color=BAND, alpha=0.30, lw=0, zorder=1)
    for limit in bounds:
        axes.plot(hours, limit, color=INK, lw=1.0, zorder=4)
    if panel.policy is not None:
        axes.axhline(panel.policy, color=MUTED, lw=1.0, ls=(0, (5, 3)), zorder=3)
    _strokes(axes, *panel.history, BLUE, 0.35)
    _strokes(axes, panel.left_out[0], np.clip(out, low - room, high + room), RED, 0.65)
    canvas.text(axes, 0, 1, panel.label, color=INK, weight="bold", across="axes", shift=(0, 4))
    for value in ticks_between(low, high, most=3):
        canvas.text(axes, 0, value, number(value), align="right", shift=(-6, -3))


def _strokes(axes: Any, hours: Sequence[int], values: Iterable[float], color: str, across: float) -> None:  # noqa: ANN401
    """Draw for each hour a stroke from the lowest to the highest of its values, all as one line with gaps."""
    hour, value = np.asarray(hours, dtype=np.int64), floats(values)
    hour, value = hour[np.isfinite(value)], value[np.isfinite(value)]
    x, y, least = [], [], 0.004 * float(np.ptp(axes.get_ylim()))
    for one in np.unique(hour):
        own = value[hour == one]
        x += [one + across, one + across, np.nan]
        y += [own.min(), max(own.max(), own.min() + least), np.nan]
    axes.plot(x, y, color=color, lw=1.4, solid_capstyle="round", zorder=3)
