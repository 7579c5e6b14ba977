"""Charts over time: the latency itself, and the infrastructure series beside it.

Rules: the incident is the shaded stretch from its onset to its end (or to the end of the window, while
it goes on); without an onset the window that was examined is shaded grey; the usual range is a grey
band; missing buckets are gaps and a lone bucket is a dot.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.plots.canvas import BAND, GRID, INK, MUTED, RED, SERIES, Canvas, Figure
from rbnb.plots.scales import clock, floats, log_ticks, number, second, seconds, thin, ticks_between, time_ticks
from rbnb.plots.scales import with_gaps as gapped
from rbnb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["latency_over_time", "metric_panel"]

_LEFT, _RIGHT = 52, 46
_PANELS = 6


@dataclass(frozen=True, slots=True)
class _Span:
    """The time axis: its ends, and what is marked on it, in seconds."""

    start: float
    end: float
    onset: float | None
    ended: float | None
    window: tuple[float, float] | None

    @property
    def incident(self) -> tuple[float, float] | None:
        """From onset to end, or to the end of the picture."""
        if self.onset is None:
            return None
        return self.onset, self.ended if self.ended is not None else self.end


def _span(x: Floats, onset: datetime | None, ended: datetime | None, window: tuple[datetime, datetime] | None) -> _Span:
    step = float(np.median(np.diff(x))) if len(x) > 1 else 60.0
    edges = (second(window[0]), second(window[1])) if window else None
    return _Span(
        float(x.min()) if len(x) else (edges or (0.0, 60.0))[0],
        float(x.max()) + step if len(x) else (edges or (0.0, 60.0))[1],
        None if onset is None else second(onset),
        None if ended is None else second(ended),
        edges,
    )


def _mark(axes: Any, span: _Span) -> None:  # noqa: ANN401 - matplotlib is untyped
    """Shade the incident, or the window that was examined, and draw its edges."""
    axes.set_xlim(span.start, span.end)
    if span.incident:
        axes.axvspan(*span.incident, color=RED, alpha=0.10, lw=0, zorder=0)
        axes.axvline(span.incident[0], color=RED, lw=1.4, zorder=3)
        if span.ended is not None:
            axes.axvline(span.ended, color=RED, lw=1.2, ls=(0, (1.5, 2)), zorder=3)
    elif span.window:
        axes.axvspan(*span.window, color=BAND, alpha=0.14, lw=0, zorder=0)


def _label_marks(canvas: Canvas, axes: Any, span: _Span) -> None:  # noqa: ANN401
    """Say above the axes what the marks are, on the side where there is room."""
    if span.incident is None:
        if span.window:
            middle = (max(span.window[0], span.start) + min(span.window[1], span.end)) / 2
            canvas.text(axes, middle, 1, "window examined", align="center", shift=(0, 4), across="axes")
        return
    onset = span.incident[0]
    late = onset > span.start + 0.6 * (span.end - span.start)
    text = f"onset {clock(onset)}"
    canvas.text(axes, onset, 1, text, color=RED, align="right" if late else "left", shift=(0, 4), across="axes")
    if span.ended is not None and span.ended - onset > 0.3 * (span.end - span.start):
        text = f"ended {clock(span.ended)}"
        canvas.text(axes, span.ended, 1, text, color=RED, align="right", shift=(0, 4), across="axes")


def _time_axis(canvas: Canvas, axes: Any, span: _Span) -> None:  # noqa: ANN401
    """Write clock times under the axes, and below them the day, with UTC once."""
    axes.axhline(axes.get_ylim()[0], color=MUTED, lw=1.0, clip_on=False)
    ticks = time_ticks(span.start, span.end)
    width = span.end - span.start
    said_at = span.start
    for i, (at, label, day) in enumerate(ticks):
        canvas.text(axes, at, 0, label, align="center", shift=(0, -13), across="axes")
        if i == 0 or (day and at - said_at > 0.3 * width):
            said_at = at
            below = f"{day} UTC".strip() if i == 0 else day
            canvas.text(axes, at, 0, below, align="center", shift=(0, -27), across="axes")


def _line(axes: Any, x: Floats, y: Floats, color: str, width: float = 1.6, most: int = 260) -> None:  # noqa: ANN401
    """Draw a line with gaps; a value between two gaps is a dot."""
    x, y = gapped(x, y)
    x, y = thin(x, y, most)
    axes.plot(x, y, color=color, lw=width, solid_capstyle="round", zorder=4)
    there = np.isfinite(y)
    alone = there & ~np.r_[False, there[:-1]] & ~np.r_[there[1:], False]
    if alone.any():
        axes.plot(x[alone], y[alone], ls="", marker="o", ms=2.6, color=color, mec="none", zorder=4)


def _band(axes: Any, x: Floats, low: Floats, high: Floats, most: int = 200) -> None:  # noqa: ANN401
    """Shade the usual range."""
    if len(x) > most:
        every = int(np.ceil(len(x) / most))
        x, low, high = x[::every], low[::every], high[::every]
    axes.fill_between(x, low, high, color=BAND, alpha=0.30, lw=0, zorder=1)


def _limits(values: Floats, *, log: bool) -> tuple[float, float]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if log:
        return low / 1.15, high * 1.25
    low = 0.0 if 0 <= low < 0.6 * high else low
    room = 0.08 * ((high - low) or abs(high) or 1.0)
    return low - (0 if low == 0 else room), high + room


def _spread(places: Sequence[float], least: float) -> list[float]:
    """Move places (in points) up as little as keeps them `least` apart."""
    out = list(places)
    order = sorted(range(len(out)), key=lambda i: out[i])
    for below, above in pairwise(order):
        out[above] = max(out[above], out[below] + least)
    return out


def _name_series(canvas: Canvas, axes: Any, series: Sequence[tuple[str, Floats]], end: float) -> None:  # noqa: ANN401
    """Write each series' name at its last value, right of the axes."""
    canvas.sheet.draw_without_rendering()
    last = [(label, y[np.isfinite(y)][-1], color) for (label, y), color in zip(series, SERIES * 9, strict=False)]
    points = [axes.transData.transform((end, value))[1] * 72 / canvas.sheet.dpi for _, value, _ in last]
    for (label, value, color), point, moved in zip(last, points, _spread(points, 13), strict=True):
        canvas.text(axes, end, value, label, color=color, weight="bold", shift=(5, moved - point - 3), limit=8)


def _before_and_after(x: Floats, y: Floats, span: _Span, unit: str) -> str:
    """Say in words what a series does at the onset."""
    inside = (x >= span.incident[0]) & (x < span.incident[1]) if span.incident else np.zeros(len(x), dtype=bool)
    before, during = y[~inside & np.isfinite(y)], y[inside & np.isfinite(y)]
    if not len(before) or not len(during):
        some = before if len(before) else during
        return f"about {_middle(some, unit)} throughout" if len(some) else "without data"
    return f"about {_middle(before, unit)} before and {_middle(during, unit)} during the incident"


def _middle(values: Floats, unit: str) -> str:
    return f"{number(float(np.median(values)))} {unit}".rstrip()


def latency_over_time(
    times: Sequence[datetime] | NDArray[Any],
    series: Mapping[str, Iterable[float | None]],
    baseline: tuple[Any, Any, Any] | None,
    onset: datetime | None,
    ended: datetime | None,
    window: tuple[datetime, datetime] | None,
    slo: float | None = None,
    unit: str = "ms",
    *,
    measure: str = "Latency",
    baseline_of: str = "",
) -> Figure:
    """Draw a measure over time with its usual range, the incident and the SLO.

    Parameters
    ----------
    times
        The start of each bucket, aware (or ``datetime64``, read as UTC); shape (n,).
    series
        Label such as ``p99`` to n values in `unit`; None and NaN are gaps. The highest is drawn in the
        strongest colour.
    baseline
        Lowest, middle and highest usual value in `unit`, each one number or n of them.
    onset, ended
        When it began and ended, where known.
    window
        The stretch that was examined.
    slo
        The limit promised, in `unit`.
    unit, measure
        What is drawn and its unit, for the title.
    baseline_of
        Which series the baseline belongs to.
    """
    x = seconds(times)
    rows = [(one_line(label, 24), floats(values)) for label, values in series.items()]
    rows = [(label, y) for label, y in rows if np.isfinite(y).any()]
    rows.sort(key=lambda row: -float(np.nanmedian(row[1])))
    span = _span(x, onset, ended, window)
    usual = None if baseline is None else [np.broadcast_to(floats(np.atleast_1d(b)), x.shape) for b in baseline]
    drawn = [y for _, y in rows] + [y for y in usual or [] if np.isfinite(y).any()]
    drawn += [np.array([float(slo)])] if slo is not None and rows else []
    values = np.concatenate(drawn) if drawn else np.array([0.0, 1.0])
    log = bool(np.nanmin(values) > 0 and np.nanmax(values) > 10 * np.nanmin(values))
    title = f"{measure}, {unit}" + (" (log scale)" if log else "")
    with Canvas(2.75, title) as canvas:
        axes = canvas.axes(_LEFT, 36, _RIGHT, 36)
        axes.set_yscale("log" if log else "linear")
        axes.set_ylim(*_limits(values, log=log))
        _mark(axes, span)
        places = log_ticks(*axes.get_ylim()) if log else ticks_between(*axes.get_ylim())
        canvas.value_axis(axes, [(value, number(value)) for value in places])
        if usual is not None:
            _band(axes, x, usual[0], usual[2])
            axes.plot(*thin(x, usual[1]), color=BAND, lw=1.0, zorder=2)
        for (_, y), color in zip(reversed(rows), reversed((SERIES * 9)[: len(rows)]), strict=True):
            _line(axes, x, y, color)
        if slo is not None:
            axes.axhline(slo, color=INK, lw=1.0, ls=(0, (5, 3)), zorder=3)
            canvas.text(axes, span.start, slo, f"SLO {number(slo)} {unit}", color=INK, shift=(4, 4))
        _label_marks(canvas, axes, span)
        _time_axis(canvas, axes, span)
        _name_series(canvas, axes, rows, span.end)
        if not rows:
            canvas.text(axes, (span.start + span.end) / 2, 0.5, "no data", align="center", across="axes")
        told = "; ".join(f"{label} {_before_and_after(x, y, span, unit)}" for label, y in rows) or "no data"
        ends = f"{clock(span.start, day=True)} to {clock(span.end, day=True)} UTC"
        return canvas.finish(
            f"Line chart of {measure} from {ends}: {told}.", _latency_caption(span, usual is not None, baseline_of, slo)
        )


def _latency_caption(span: _Span, has_baseline: bool, baseline_of: str, slo: float | None) -> str:  # noqa: FBT001
    parts = []
    if span.incident:
        going_on = "shaded to the end of the picture" if span.ended is None else f"ended {clock(span.ended)}"
        parts.append(f"Onset {clock(span.incident[0], day=True)} UTC, {going_on}.")
    elif span.window:
        parts.append("No onset was found; the window examined is shaded.")
    if has_baseline:
        of = f" of {one_line(baseline_of, 24)}" if baseline_of else ""
        parts.append(f"Grey band: the usual range{of} for this hour and weekday.")
    if slo is not None:
        parts.append("Dashed: the SLO.")
    return " ".join(parts)


def metric_panel(
    items: Sequence[tuple[str, Sequence[datetime] | NDArray[Any], Iterable[float | None], Any, Any]],
    onset: datetime | None,
    window: tuple[datetime, datetime] | None,
) -> Figure:
    """Draw infrastructure series under each other on one time axis, in the order given: the cause first.

    Parameters
    ----------
    items
        For each series its label (with unit), n times, n values, and the lowest and highest usual value
        (one number, n of them, or None). The first six are drawn.
    onset
        When the incident began, where known.
    window
        The stretch that was examined.
    """
    shown = [(one_line(label, 58), seconds(t), floats(v), low, high) for label, t, v, low, high in items[:_PANELS]]
    every = np.concatenate([x for _, x, *_ in shown]) if shown else np.array([])
    span = _span(np.unique(every), onset, None, window)
    row, top, bottom = 50, 24, 34
    with Canvas((top + bottom + row * max(len(shown), 1)) / 72, "Infrastructure, cause first") as canvas:
        axes = None
        for i, (label, x, y, low, high) in enumerate(shown):
            under = bottom + row * (len(shown) - 1 - i)
            axes = canvas.axes(_LEFT, under + 4, _RIGHT, top + row * i + 14)
            _one_panel(canvas, axes, span, label, x, y, low, high)
            if i == 0 and span.onset is not None:
                _label_onset_at_top(canvas, span)
        if axes is not None:
            _time_axis(canvas, axes, span)
        more = f" The first {len(shown)} of {len(items)}." if len(items) > len(shown) else ""
        told = "; ".join(f"{label}: {_before_and_after(x, y, span, '')}" for label, x, y, *_ in shown)
        return canvas.finish(
            f"{len(shown)} line charts over the same time, the likeliest cause first. {told or 'no data'}.",
            f"Infrastructure around the onset, the likeliest cause first. Grey band: usual range.{more}",
        )


def _label_onset_at_top(canvas: Canvas, span: _Span) -> None:
    from rbnb.plots.canvas import WIDTH

    assert span.onset is not None  # noqa: S101 - told to the type checker; the caller asks
    part = (span.onset - span.start) / (span.end - span.start)
    x = _LEFT + part * (72 * WIDTH - _LEFT - _RIGHT)
    align = "right" if part > 0.6 else "left"
    canvas.text(None, x, 72 * canvas.height - 13, f"onset {clock(span.onset)}", color=RED, align=align)


def _one_panel(
    canvas: Canvas,
    axes: Any,  # noqa: ANN401 - matplotlib is untyped
    span: _Span,
    label: str,
    x: Floats,
    y: Floats,
    low: Any,  # noqa: ANN401 - a number, an array or None
    high: Any,  # noqa: ANN401
) -> None:
    """Draw one strip: its name above, lowest and highest value left, the last value right."""
    bounds = [np.broadcast_to(floats(np.atleast_1d(b)), x.shape) for b in (low, high) if b is not None]
    values = np.concatenate([y, *bounds]) if np.isfinite(y).any() else np.array([0.0, 1.0])
    axes.set_ylim(*_limits(values, log=False))
    _mark(axes, span)
    axes.axhline(axes.get_ylim()[0], color=GRID, lw=0.8, clip_on=False)
    if len(bounds) == 2:
        _band(axes, x, bounds[0], bounds[1], most=60)
    _line(axes, x, y, SERIES[1], most=130)
    canvas.text(axes, span.start, 1, label, color=INK, weight="bold", across="axes", shift=(0, 3))
    there = y[np.isfinite(y)]
    if not len(there):
        canvas.text(axes, span.start, 0.3, "no data", across="axes", shift=(4, 0))
        return
    low_end, high_end = axes.get_ylim()
    ticks = ticks_between(low_end, high_end, most=2)
    for value in ticks:
        canvas.text(axes, span.start, value, number(value), align="right", shift=(-6, -3))
    canvas.text(axes, span.end, there[-1], number(float(there[-1])), color=SERIES[1], weight="bold", shift=(5, -3))
