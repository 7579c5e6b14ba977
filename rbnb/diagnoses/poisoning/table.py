"""The training table as the signals need it: labels as codes, features as numbers, sources, batches, times.

Rules: rows ingested after the window's end are counted and left out, as nobody could have trained on them; rows
without a label are counted and left out; a label that is a quantity is taken as above or below its median, and that
is said; a table of more rows than the limit is thinned by its rows' own digest, so that the same rows stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.signals.poisoning.groups import candidate_groups, make_cells
from rbnb.signals.poisoning.training_rows import as_numbers, as_texts, learn_encoding

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.signals.poisoning.groups import Cells, Group
    from rbnb.signals.poisoning.training_rows import Encoding

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["Training", "prepare"]

#: What a column of the table means to rbnb and is no feature.
_NOT_FEATURES = ("id", "epoch", "source", "batch", "label", "weight")
#: More different labels than this, and all of them numbers, are a quantity.
_MOST_CLASSES = 20


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """A training table, ready to be measured.

    Parameters
    ----------
    frame
        The rows that are used.
    rows, future, unlabelled
        Rows in the table, ingested after the window's end, and without a label.
    encoding, matrix
        How features became numbers, and the numbers.
    labels, classes
        Class codes of the rows, and the names of the classes.
    cut
        Where a quantity was cut in two; None where labels are classes.
    ids, source, batch, epoch
        Of each row; ids are row numbers where the table has none.
    cells, groups
        The rows by source and batch, and the groups to ask about.
    has
        Which of id, source, batch and epoch the table has.
    """

    frame: pd.DataFrame
    rows: int
    future: int
    unlabelled: int
    encoding: Encoding
    matrix: Floats
    labels: Ints
    classes: tuple[str, ...]
    cut: float | None
    ids: list[str]
    source: list[str]
    batch: list[str]
    epoch: Floats
    cells: Cells
    groups: list[Group]
    has: frozenset[str]

    def codes(self, frame: pd.DataFrame) -> tuple[Ints, Mask]:
        """Return another table's labels as codes, and which of its rows have a label that is known here."""
        if self.cut is not None:
            values = as_numbers(frame, "label")
            return (values > self.cut).astype(np.int64), np.isfinite(values)
        code = {name: i for i, name in enumerate(self.classes)}
        found = np.array([code.get(text, -1) for text in as_texts(frame, "label")], dtype=np.int64)
        return np.maximum(found, 0), found >= 0


def prepare(frame: pd.DataFrame, kinds: Mapping[str, str], end: int, limit: int) -> Training:
    """Make a training table ready.

    Parameters
    ----------
    frame
        As `ModelData.table` gives it.
    kinds
        The model's features, ``numerical`` or ``categorical``; where none is mapped every further column counts.
    end
        Rows ingested at or after this epoch second are left out.
    limit
        Rows that are used at most.
    """
    rows = len(frame)
    times = as_numbers(frame, "epoch")
    late = times >= end
    has_label = np.array([text != "(none)" for text in as_texts(frame, "label")], dtype=bool)
    kept = frame[~late & has_label]
    kept = _thinned(kept, limit).reset_index(drop=True)
    encoding = learn_encoding(kept, kinds or _guessed(kept))
    labels, classes, cut = _labels(kept)
    source, batch, epoch = as_texts(kept, "source"), as_texts(kept, "batch"), as_numbers(kept, "epoch")
    has = frozenset(name for name in ("id", "source", "batch", "epoch") if name in frame)
    cells = make_cells(source, batch if "batch" in has else _days(epoch), epoch)
    return Training(
        frame=kept,
        rows=rows,
        future=int(late.sum()),
        unlabelled=int((~has_label & ~late).sum()),
        encoding=encoding,
        matrix=encoding.matrix(kept),
        labels=labels,
        classes=classes,
        cut=cut,
        ids=as_texts(kept, "id") if "id" in has else [str(i) for i in range(len(kept))],
        source=source,
        batch=batch,
        epoch=epoch,
        cells=cells,
        groups=candidate_groups(cells) if len(kept) else [],
        has=has,
    )


def _thinned(frame: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Return the rows in an order of their own, at most `limit` of them, whatever order they came in."""
    from pandas.util import hash_pandas_object

    if not len(frame):
        return frame
    digest = hash_pandas_object(frame[sorted(frame.columns)].astype(str), index=False).to_numpy()
    order = np.argsort(digest, kind="stable")[:limit]
    return frame.iloc[order]


def _guessed(frame: pd.DataFrame) -> dict[str, str]:
    """Return every further column with the kind its values suggest."""
    import pandas as pd

    found = {}
    for name in frame.columns:
        if name not in _NOT_FEATURES:
            dtype = frame[name].dtype
            number = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
            found[str(name)] = "numerical" if number else "categorical"
    return found


def _labels(frame: pd.DataFrame) -> tuple[Ints, tuple[str, ...], float | None]:
    texts: Any = np.array(as_texts(frame, "label"), dtype=object).astype(str)
    names, codes = np.unique(texts, return_inverse=True)
    if len(names) > _MOST_CLASSES:
        values = as_numbers(frame, "label")
        if np.isfinite(values).all():
            cut = float(np.median(values))
            return (values > cut).astype(np.int64), (f"up to {cut:.4g}", f"above {cut:.4g}"), cut
    return codes.astype(np.int64), tuple(str(name) for name in names), None


def _days(epoch: Floats) -> list[str]:
    """Return days in the place of batches where the table names none."""
    return ["(none)" if np.isnan(t) else f"day {np.datetime64(int(t), 's').astype('datetime64[D]')}" for t in epoch]
