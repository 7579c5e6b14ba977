"""A scene to files, laid out as the sample fleet is: a folder of logs, a model file, and the truth apart.

Rule: column types follow from the tables; a column in which some numbers are text is text as a whole,
because a log store has one type a column.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from rbnb.simulate.files import TIME, write_daily, write_table
from rbnb.simulate.model_file import model_file

if TYPE_CHECKING:
    from pathlib import Path

    from pandas._typing import DtypeObj

    from rbnb.simulate.scene import Scene

__all__ = ["TABLES", "column_types", "write_scene", "write_text"]

#: The tables of a scene that are one file each.
TABLES = ("training", "lineage", "trusted", "recomputed", "changes", "metrics", "dependencies")


def write_scene(scene: Scene, folder: Path, name: str, *, level: int) -> list[Path]:
    """Write model file, logs and truth of `scene` below `folder`; return what was written."""
    logs = folder / name
    table = _as_stored(scene.predictions)
    written = write_daily(table, column_types(table), logs / "predictions", by="ts", level=level)
    for part in TABLES:
        table = _as_stored(getattr(scene, part))
        written.append(write_table(table, column_types(table), logs / f"{part}.parquet", level=level))
    written.append(write_text(folder / "models" / f"{name}.yaml", model_file(scene, name)))
    truth = {"model": name, **scene.truth}
    written.append(write_text(folder / "truth" / f"{name}.json", json.dumps(truth, indent=2) + "\n"))
    return written


def write_text(path: Path, text: str) -> Path:
    """Write text and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def column_types(table: pd.DataFrame) -> dict[str, Any]:
    """Return the parquet type of each column."""
    return {str(name): _type(table[name].dtype) for name in table}


def _type(kind: DtypeObj) -> pa.DataType:
    if isinstance(kind, pd.DatetimeTZDtype):
        return TIME
    if pd.api.types.is_bool_dtype(kind):
        return pa.bool_()
    if pd.api.types.is_integer_dtype(kind):
        return pa.int8() if kind.itemsize == 1 else pa.int64()
    return pa.float64() if pd.api.types.is_float_dtype(kind) else pa.string()


def _as_stored(table: pd.DataFrame) -> pd.DataFrame:
    mixed = [name for name in table if table[name].dtype == object]
    return table.assign(**{name: [_said(value) for value in table[name]] for name in mixed})


def _said(value: object) -> str | None:
    if value is None or value != value:  # noqa: PLR0124 - only NaN differs from itself
        return None
    return value if isinstance(value, str) else f"{value:g}"
