"""What suspect rows do, held against rows that can be trusted; and labels that are wrong everywhere alike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Signal
from rbnb.signals.poisoning.counterfactual import compare_models, refit, trigger_effect
from rbnb.signals.poisoning.flips import find_flipped
from rbnb.signals.poisoning.groups import Group, make_cells
from rbnb.signals.poisoning.label_errors import fit_model, predict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rbnb.diagnoses.poisoning.measure import Poisoning
    from rbnb.diagnoses.poisoning.table import Training

    Mask = NDArray[np.bool_]
    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

__all__ = ["effect", "noise_share"]


def effect(found: Poisoning) -> list[Signal]:
    """Return what the suspect rows do to a model: fitted with them and without; nothing where there are none."""
    table = found.table
    if table is None or not found.usable or not found.suspects_mask.any():
        return []
    suspect = found.suspects_mask
    matrix, labels, on, held_out = _yardstick(found, suspect)
    models = refit(
        table.matrix[~held_out],
        table.labels[~held_out],
        suspect[~held_out],
        table.encoding.is_categorical(),
        found.seed,
    )
    if models is None:
        return []
    classes = len(table.classes)
    signals = compare_models(models, matrix, labels, classes=classes, on=on, seed=found.seed)
    for trigger in found.taught.triggers:
        plain = matrix[labels != trigger.label]
        marked = plain.copy()
        for j in _mark_columns(table, trigger.rows):
            marked[:, j] = np.nanmedian(table.matrix[trigger.rows, j])
        signals.append(
            trigger_effect(models, plain, marked, trigger.label, classes=classes, where=trigger.where, seed=found.seed)
        )
    return signals


def _yardstick(found: Poisoning, suspect: Mask) -> tuple[Floats, Ints, str, Mask]:
    """Return rows to compare on: checked ones, else a third of the rows of batches and sources not suspect."""
    table = found.table
    assert table is not None  # noqa: S101 - asked only of a usable table
    nothing = np.zeros(len(suspect), dtype=bool)
    if found.trusted is not None and len(found.trusted[1]) >= 50:
        return *found.trusted, "rows whose label was checked by hand", nothing
    touched = np.unique(table.cells.of_row[suspect])
    clean = np.flatnonzero(~np.isin(table.cells.of_row, touched))
    picked = np.sort(np.random.default_rng(found.seed).permutation(clean)[: len(clean) // 3])
    held_out = nothing.copy()
    held_out[picked] = True
    told = "rows of sources and batches that are not suspect, as no checked rows are mapped"
    return table.matrix[picked], table.labels[picked], told, held_out


def _mark_columns(table: Training, rows: Mask) -> list[int]:
    """Return the columns in which the rows of a trigger agree and the others do not."""
    found = []
    for j in range(table.matrix.shape[1]):
        value = np.nanmedian(table.matrix[rows, j]) if not np.isnan(table.matrix[rows, j]).all() else math.nan
        if (table.matrix[rows, j] == value).mean() > 0.9 and (table.matrix[~rows, j] == value).mean() < 0.5:
            found.append(j)
    return found


def noise_share(found: Poisoning) -> Signal:
    """Return the share of labels changed everywhere alike, which only checked rows can show."""
    method = "labels of the whole table against those of checked rows at the same predicted probability"
    if found.trusted is None or found.table is None:
        reason = "no checked rows are mapped (logs.trusted)"
        return Signal("noise_share", None, "share", 0, method, reason=reason)
    matrix, labels = found.trusted
    table, keep = found.table, ~found.suspects_mask
    if len(labels) < 200:
        reason = f"{len(labels)} checked rows are too few (200 needed)"
        return Signal("noise_share", None, "share", len(labels), method, reason=reason)
    model = fit_model(table.matrix[keep], table.labels[keep], table.encoding.is_categorical(), found.seed)
    both = np.concatenate([found.taught.probabilities[keep], predict(model, matrix, len(table.classes))])
    kind = ["training"] * int(keep.sum()) + ["trusted"] * len(labels)
    cells = make_cells(kind, ["all"] * len(kind), np.zeros(len(kind)))
    whole = Group("table", "", np.array([name == "training" for name in cells.source]), (), math.nan)
    blamed, _ = find_flipped(
        np.concatenate([table.labels[keep], labels]), both, cells, [whole], alpha=found.settings.alpha, least=0.0
    )
    if not blamed:
        return Signal("noise_share", 0.0, "share", len(kind), method)
    interval = (max(blamed[0].interval[0], 0.0), blamed[0].interval[1])
    return Signal("noise_share", blamed[0].share, "share", len(kind), method, interval)
