"""Latency against load, to tell a slower model from more traffic.

Rules: at most 300 marks, thinned evenly along the load so that the rare high loads stay; hollow is usual,
filled is now; a line joins the medians of equal parts of each, so that the eye has something to compare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.plots.canvas import BLUE, GRID, MUTED, RED, Canvas, Figure
from rbnb.plots.scales import floats, log_ticks, number, ticks_between

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["load_comparison"]

_MARKS = 140  # each, usual and now


def _pairs(load: Iterable[float | None], latency: Iterable[float | None]) -> tuple[Floats, Floats]:
    """Return the complete pairs, sorted by load."""
    x, y = floats(load), floats(latency)
    there = np.isfinite(x) & np.isfinite(y)
    order = np.lexsort((y[there], x[there]))
    return x[there][order], y[there][order]


def _every(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    if len(x) <= _MARKS:
        return x, y
    at = np.unique(np.linspace(0, len(x) - 1, _MARKS).round().astype(int))
    return x[at], y[at]


def _medians(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return the medians of up to six equal parts along the load."""
    parts = [part for part in np.array_split(np.arange(len(x)), min(6, max(1, len(x) // 8))) if len(part)]
    return np.array([np.median(x[p]) for p in parts]), np.array([np.median(y[p]) for p in parts])


def load_comparison(
    load_ref: Iterable[float | None],
    latency_ref: Iterable[float | None],
    load_now: Iterable[float | None],
    latency_now: Iterable[float | None],
    unit: str = "ms",
    *,
    load_unit: str = "requests per minute",
) -> Figure:
    """Draw latency against load, usual and now, so that more traffic is not mistaken for a slower model.

    Parameters
    ----------
    load_ref, latency_ref
        Load in `load_unit` and latency in `unit` of each bucket of the reference; shape (n,).
    load_now, latency_now
        The same of the window examined; shape (m,).
    unit, load_unit
        Units for the axes.
    """
    then, now = _pairs(load_ref, latency_ref), _pairs(load_now, latency_now)
    every = np.concatenate([then[1], now[1]])
    values = every if len(every) else np.array([0.0, 1.0])
    log = bool(values.min() > 0 and values.max() > 10 * values.min())
    with Canvas(2.75, f"Latency, {unit}" + (" (log scale)" if log else "")) as canvas:
        axes = canvas.axes(52, 36, 46, 26)
        axes.set_yscale("log" if log else "linear")
        axes.set_ylim(values.min() / 1.2 if log else 0, values.max() * (1.25 if log else 1.08))
        _load_axis(canvas, axes, np.concatenate([then[0], now[0]]), load_unit)
        places = log_ticks(*axes.get_ylim()) if log else ticks_between(*axes.get_ylim())
        canvas.value_axis(axes, [(value, number(value)) for value in places])
        _cloud(canvas, axes, "usual", then, BLUE, hollow=True)
        _cloud(canvas, axes, "now", now, RED, hollow=False)
        return canvas.finish(
            f"Scatter chart of latency against load. {_told('Usual', then, unit)} {_told('Now', now, unit)}",
            "Hollow: usual. Filled: now. Lines join medians. Where both have the same load, the distance "
            "between them is not explained by traffic.",
        )


def _load_axis(canvas: Canvas, axes: Any, loads: Floats, load_unit: str) -> None:  # noqa: ANN401 - matplotlib is untyped
    low, high = (float(loads.min()), float(loads.max())) if len(loads) else (0.0, 1.0)
    room = 0.04 * ((high - low) or abs(high) or 1.0)
    axes.set_xlim(low - room, high + room)
    axes.axhline(axes.get_ylim()[0], color=MUTED, lw=1.0, clip_on=False)
    for value in ticks_between(low, high, most=5):
        axes.axvline(value, color=GRID, lw=0.6, zorder=0)
        canvas.text(axes, value, 0, number(value), align="center", shift=(0, -13), across="axes")
    canvas.text(axes, (low + high) / 2, 0, load_unit, align="center", shift=(0, -27), across="axes")


def _cloud(canvas: Canvas, axes: Any, name: str, pairs: tuple[Floats, Floats], color: str, *, hollow: bool) -> None:  # noqa: ANN401
    x, y = _every(*pairs)
    if not len(x):
        return
    face = "none" if hollow else color
    axes.plot(x, y, ls="", marker="o", ms=3.2, mfc=face, mec=color, mew=0.7, alpha=0.55, zorder=2)
    mx, my = _medians(*pairs)
    axes.plot(mx, my, color=color, lw=2.0, zorder=4)
    canvas.text(axes, axes.get_xlim()[1], my[-1], name, color=color, weight="bold", shift=(5, -3))


def _told(when: str, pairs: tuple[Floats, Floats], unit: str) -> str:
    if not len(pairs[0]):
        return f"{when}: no data."
    x, y = (float(np.median(values)) for values in pairs)
    return f"{when}: median {number(y)} {unit} at a median load of {number(x)}, {len(pairs[0])} buckets."
