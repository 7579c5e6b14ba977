"""What the model's owner declares of its answers, held against the log: calibration, monotone and invariant inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rbnb.signals.consistency.calibration import calibration_bias, calibration_error
from rbnb.signals.consistency.metamorphic import invariance_violations, monotone_violations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rbnb.diagnoses.consistency.measure import OutputInconsistency
    from rbnb.model import Signal

__all__ = ["calibration_signals", "declared_signals", "labels_of"]

#: Labels a version or host needs to be looked at by itself.
_OWN = 300


def labels_of(found: OutputInconsistency) -> NDArray[np.float64]:
    """Return 1 where the label is the positive one, 0 where it is another, NaN where it is not known."""
    if "target" not in found.rows:
        return np.full(len(found.rows), np.nan)
    target = found.rows["target"]
    gone = target.isna().to_numpy()
    texts = [_text(value) for value in target.astype(object).where(~gone, None)]
    positive = _text(found.data.model.positive_label)
    return np.where(gone, np.nan, np.array([float(text == positive) for text in texts]))


def _text(value: object) -> str:
    """Return a label as text, so that 1, 1.0, True and "1" are the same."""
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (int, float, np.integer, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def calibration_signals(found: OutputInconsistency) -> list[Signal]:
    """Return calibration error and bias of the window, over all and by version and host."""
    if found.data.model.task != "binary" or "target" not in found.rows:
        return []
    labels, scores = labels_of(found), found.scores
    now = found.current
    signals = [
        calibration_error(scores[now], labels[now], seed=found.seed),
        calibration_bias(scores[now], labels[now]),
    ]
    for column in [name for name in ("version", found.host) if name and name in found.rows]:
        values = found.rows[column].astype(object).to_numpy()
        for value in sorted({str(v) for v in values[now] if v is not None}):
            inside = now & np.asarray(values == value, dtype=np.bool_) & np.isfinite(labels)
            if inside.sum() >= _OWN:
                where = f"{column.removeprefix('segment_')}={value}"
                signals.append(calibration_bias(scores[inside], labels[inside], where=where))
    return signals


def declared_signals(found: OutputInconsistency) -> list[Signal]:
    """Return the share of logged pairs that break what the model file declares of an input."""
    model, columns = found.data.model, list(found.kinds)
    rows = found.clean[found.current].reset_index(drop=True)
    tolerance = {"relative": model.tolerance.relative, "absolute": model.tolerance.absolute}
    signals = [
        monotone_violations(rows, f"feature_{name}", direction, columns, **tolerance)
        for name, direction in model.monotone.items()
        if f"feature_{name}" in columns
    ]
    return signals + [
        invariance_violations(rows, f"feature_{name}", columns, **tolerance)
        for name in model.invariant
        if f"feature_{name}" in columns
    ]
