"""Charts of data quality: the share of wrong rows over time, and how requests arrived.

Rules: one line a trouble, at most four, named at its end; the share of a bucket without rows is a gap; the
usual number of requests is a grey line, and a lack is where the line falls below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.plots.canvas import BLUE, INK, MUTED, RED, SERIES, Canvas, Figure
from rbnb.plots.lines import _label_marks, _line, _mark, _span, _time_axis
from rbnb.plots.scales import clock, floats, number, seconds, share, ticks_between
from rbnb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

__all__ = ["arrivals_over_time", "wrong_over_time"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 34, 34
_LINES = 4


def wrong_over_time(
    times: Sequence[datetime],
    shares: Mapping[str, Iterable[float | None]],
    onset: datetime | None,
    ended: datetime | None = None,
    window: tuple[datetime, datetime] | None = None,
) -> Figure:
    """Draw which share of rows is wrong in each bucket of time.

    Parameters
    ----------
    times
        Start of each bucket.
    shares
        Name of a trouble to the share of wrong rows in each bucket, 0 to 1, None where no row came. The first four
        are drawn.
    onset, ended, window
        What is marked.
    """
    x = seconds(times)
    drawn = [(name, floats(values)) for name, values in shares.items()][:_LINES]
    top = max([float(np.nanmax(y)) for _, y in drawn if np.isfinite(y).any()] + [0.01]) * 1.08
    span = _span(x, onset, ended, window)
    with Canvas(2.1 + 0.17 * len(drawn), "Share of rows that are wrong") as canvas:
        axes = canvas.axes(_LEFT, _BOTTOM + 12 * len(drawn), _RIGHT, _TOP)
        axes.set_ylim(0, min(top, 1.05))
        _mark(axes, span)
        canvas.value_axis(axes, [(value, share(value)) for value in ticks_between(0, min(top, 1.05))])
        for (_, y), color in zip(drawn, SERIES, strict=False):
            _line(axes, x, y, color)
        _label_marks(canvas, axes, span)
        _time_axis(canvas, axes, span)
        _legend(canvas, [name for name, _ in drawn])
        told = "; ".join(f"{one_line(name, 60)} up to {share(float(np.nanmax(y)))}" for name, y in drawn if y.size)
        when = f", since {clock(span.onset)} UTC" if span.onset is not None else ""
        return canvas.finish(
            f"Share of wrong rows over time{when}. {told or 'nothing is wrong'}.",
            "Each line: rows that are wrong in one way, of the rows of that slice. Gaps: no rows came.",
        )


def _legend(canvas: Canvas, names: Sequence[str]) -> None:
    """Name each line below the axes, in its colour, with a dash before it."""
    for i, (name, color) in enumerate(zip(names, SERIES, strict=False)):
        canvas.text(None, 6, 4 + 12 * (len(names) - 1 - i), f"— {name}", color=color, weight="bold", limit=84)


def arrivals_over_time(
    times: Sequence[datetime],
    held: Iterable[float | None],
    usual: Iterable[float | None],
    onset: datetime | None,
    ended: datetime | None = None,
    window: tuple[datetime, datetime] | None = None,
) -> Figure:
    """Draw how many requests came in each bucket, against what is usual at these hours.

    Parameters
    ----------
    times
        Start of each bucket.
    held, usual
        Requests that came, and those usual; None where that is not known.
    onset, ended, window
        What is marked: a lack of requests, or the window.
    """
    x, y, expected = seconds(times), floats(held), floats(usual)
    known = np.concatenate([y[np.isfinite(y)], expected[np.isfinite(expected)], [1.0]])
    top, span = float(known.max()) * 1.1, _span(x, onset, ended, window)
    with Canvas(2.1, "Requests in each bucket") as canvas:
        axes = canvas.axes(_LEFT, _BOTTOM, _RIGHT + 38, _TOP)
        axes.set_ylim(0, top)
        _mark(axes, span)
        canvas.value_axis(axes, [(value, number(value)) for value in ticks_between(0, top)])
        _line(axes, x, expected, MUTED, width=2.2)
        _line(axes, x, y, RED if onset is not None else BLUE)
        _end_label(canvas, axes, span.end, expected, "usual", MUTED)
        _label_marks(canvas, axes, span)
        _time_axis(canvas, axes, span)
        total, normal = float(np.nansum(y)), float(np.nansum(expected))
        of = f" where {number(normal)} are usual" if normal > 0 else ""
        return canvas.finish(
            f"Requests over time: {number(total)} came{of}.", "Grey: usual at these hours. Coloured: what came."
        )


def _end_label(canvas: Canvas, axes: Any, end: float, values: Any, text: str, color: str = INK) -> None:  # noqa: ANN401
    there = values[np.isfinite(values)]
    if len(there):
        canvas.text(axes, end, float(there[-1]), text, color=color, shift=(4, -3), limit=10)
