"""Where: the segments that hold what got worse, the one that fell most by itself, the version that answers otherwise.

Rules: what outcomes say comes before what scores say; a slice is asked about its own performance even where the whole
looks well; a version or host is singled out only against the others in
the same window, less what set it apart in the reference, so that no drift of the inputs is taken for its doing.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from rbnb.data import DAY
from rbnb.model import Signal
from rbnb.signals.drift.bins import labels
from rbnb.signals.drift.slices import Graded, segment_error_rise, segment_performance_drop
from rbnb.signals.drift.surrogate import unexplained
from rbnb.signals.segments import rank_segments

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.diagnoses.drift.measure import DataDrift
    from rbnb.model import SegmentShare

    Floats = NDArray[np.float64]

__all__ = ["in_slice", "ranked", "served_shift", "worst_slice"]

#: Values of a column up to which it is taken for a segment, and columns that are tried, alone and in pairs.
_VALUES, _COLUMNS = 40, 8
#: Fewest rows of a version or host.
_FEWEST = 30
#: Columns that say what served a request.
_SERVED_BY = ("host", "node", "instance", "machine", "pod", "zone", "version", "model_version", "replica", "server")


def ranked(drift: DataDrift) -> tuple[list[SegmentShare], int]:
    """Return the slices that hold more of what got worse than their share, best first, and how many were tried.

    Parameters
    ----------
    drift
        The measurements of a run.
    """
    sides = _what_got_worse(drift)
    if sides is None:
        return [], 0
    cells, columns = _cells(drift, sides)
    return rank_segments(cells, columns) if columns else ([], 0)


def _what_got_worse(drift: DataDrift) -> tuple[tuple[pd.DataFrame, Floats], tuple[pd.DataFrame, Floats]] | None:
    """Return reference and current rows, each with what a row costs, or with its score."""
    rows, outcome = drift.rows, drift.outcome
    if (drift.worse or drift.worse_slice) and outcome.labelled is not None:
        then, now = outcome.loss(rows.judged), outcome.loss(outcome.labelled)
        if then is not None and now is not None:
            return (rows.judged, then), (outcome.labelled, now)
    if outcome.scores is None:
        return None
    before, after, _ = outcome.scores
    sign = 1.0 if np.nanmean(after) >= np.nanmean(before) else -1.0
    return (rows.reference.iloc[rows.matched[0]], sign * before), (rows.window, sign * after)


def _cells(
    drift: DataDrift, sides: tuple[tuple[pd.DataFrame, Floats], tuple[pd.DataFrame, Floats]]
) -> tuple[pd.DataFrame, list[str]]:
    """Return one row a request with its segments and what it costs, and the segments' names."""
    import pandas as pd

    names = _dividing(drift, sides[1][0])
    parts = []
    for period, (frame, value) in zip(("reference", "current"), sides, strict=True):
        known = np.isfinite(value)
        part = pd.DataFrame({name: labels(frame[column].to_numpy())[known] for name, column in names.items()})
        parts.append(part.assign(period=period, n=1, total=value[known], squares=value[known] ** 2))
    cells = pd.concat(parts, ignore_index=True)
    return cells.astype(dict.fromkeys(names, "category")), list(names)


def _dividing(drift: DataDrift, now: pd.DataFrame) -> dict[str, str]:
    """Return the columns that divide the rows, by the name of the segment or categorical input."""
    names: dict[str, str] = {}
    for column in now.columns:
        kind, _, name = column.partition("_")
        text = kind == "segment" or (kind == "feature" and drift.features.kinds.get(name) == "categorical")
        if text and 1 < now[column].nunique() <= _VALUES and len(names) < _COLUMNS:
            names.setdefault(name, column)
    return names


def worst_slice(drift: DataDrift) -> Signal:
    """Measure by how much performance fell in the slice where it certainly fell most.

    Parameters
    ----------
    drift
        The measurements of a run.

    Returns
    -------
    Signal
        ``segment_performance_drop``, or ``segment_error_rise`` where numbers are predicted; the reason names the slice.
    """
    now, outcome = drift.outcome.labelled, drift.outcome
    name = "segment_error_rise" if outcome.number else "segment_performance_drop"
    if now is None or not outcome.realised:
        return Signal(name, None, "share", 0, "inside each slice", reason="outcomes are not known yet")
    names = _dividing(drift, now)
    before, after = (_graded(drift, side, names) for side in (drift.rows.judged, now))
    if outcome.number:
        return segment_error_rise(before, after, least=drift.settings.slice_min)
    spread, least = outcome.day_spread("auc"), drift.settings.slice_min
    return segment_performance_drop(before, after, spread=spread, least=least)


def in_slice(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the rows of one slice, ``column=value`` of a segment or a categorical input."""
    name, _, value = where.partition("=")
    column = f"segment_{name}" if f"segment_{name}" in frame else f"feature_{name}"
    return frame[labels(frame[column].to_numpy()) == value]


def _graded(drift: DataDrift, frame: pd.DataFrame, names: dict[str, str]) -> Graded:
    """Return what is known of how some rows turned out."""
    outcome = drift.outcome
    places = {name: labels(frame[column].to_numpy()) for name, column in names.items()}
    day = (frame["epoch"].to_numpy(dtype=np.int64) - drift.scope.start) // DAY
    if outcome.number:
        return Graded(places, day, error=outcome.loss(frame))
    score = outcome.score(frame) if drift.data.model.task == "binary" else None
    target = outcome.target(frame) if score is not None else None
    return Graded(places, day, right=outcome.right(frame), score=score, target=target)


def served_shift(drift: DataDrift) -> Signal:
    """Measure the version or host whose scores differ most at equal inputs from those of the others.

    Parameters
    ----------
    drift
        The measurements of a run.

    Returns
    -------
    Signal
        Unit ``sd``; the reason names the place.
    """
    method = "scores inside against outside, at equal inputs (additive surrogate), less the same in the reference"
    n = len(drift.rows.window)
    if drift.empty or drift.features.surrogate is None:
        return Signal("served_shift", None, "sd", n, method, reason="needs inputs and scores")
    places = _places(drift.rows.window)
    if not places:
        return Signal(
            "served_shift", None, "sd", n, method, reason="no version or host is mapped, or only one is there"
        )
    z = NormalDist().inv_cdf(1 - 0.025 / len(places))
    low, size, high, where = max(_gaps(drift, places, z))
    method = f"{method}; {len(places)} places, Bonferroni"
    return Signal("served_shift", size, "sd", n, method, (low, high), reason=where)


def _gaps(drift: DataDrift, places: list[tuple[str, str]], z: float) -> list[tuple[float, float, float, str]]:
    """Return for each place the careful end, the size and the far end of its difference, and its name."""
    fit, rows, outcome = drift.features.surrogate, drift.rows, drift.outcome
    assert fit is not None  # noqa: S101 - told to the type checker; the caller asks
    matched = rows.reference.iloc[rows.matched[0]]
    now = fit.rest(drift.features.current, outcome.score(rows.window))
    before = fit.rest(drift.features.matched, outcome.score(matched))
    found = []
    for column, value in places:
        gap, error = unexplained(now, labels(rows.window[column].to_numpy()) == value)
        there = labels(matched[column].to_numpy()) == value
        usual, doubt = unexplained(before, there) if there.sum() >= _FEWEST else (0.0, 0.0)
        size, half = abs(gap - usual), z * float(np.hypot(error, doubt))
        name = f"{column.removeprefix('segment_')}={value}"
        found.append((max(size - half, 0.0), size, size + half, name))
    return found


def _places(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the columns and values that say what served a request, where there is more than one."""
    found: dict[tuple[str, str], str] = {}
    for column in frame.columns:
        name = column.removeprefix("segment_")
        if name not in _SERVED_BY or (name == column and column != "version"):
            continue
        counts = frame[column].astype(str).value_counts()
        if 1 < len(counts) <= _VALUES:
            found |= {(name, str(value)): column for value, n in counts.items() if n >= _FEWEST}
    return [(column, value) for (_, value), column in found.items()]
