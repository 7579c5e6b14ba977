"""Tables to parquet, the same bytes every time.

Rules: column types are stated, never guessed; nothing that varies (times, host names, pandas metadata)
is written; each column has the encoding that makes it small. The bytes depend on the version of
pyarrow, which the lock file pins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = ["TIME", "write_daily", "write_table"]

TIME = pa.timestamp("ms", tz="UTC")

# Columns whose next value is close to the one before: their differences are stored.
_DELTA = {"ts": "DELTA_BINARY_PACKED", "time": "DELTA_BINARY_PACKED", "id": "DELTA_BYTE_ARRAY"}


def write_table(table: pd.DataFrame, types: dict[str, Any], path: Path, *, level: int = 19) -> Path:
    """Write the columns named in `types`, in that order, compressed as hard as `level` (1 to 19); return `path`."""
    columns = [pa.array(table[name], type=kind, from_pandas=True) for name, kind in types.items()]
    content = pa.Table.from_arrays(columns, schema=pa.schema(list(types.items())))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        content,
        path,
        compression="zstd",
        compression_level=level,
        use_dictionary=[name for name in types if name not in _DELTA],
        column_encoding={name: encoding for name, encoding in _DELTA.items() if name in types},
        data_page_version="2.0",
        store_schema=False,
        version="2.6",
        write_statistics=[name for name in ("ts", "time") if name in types],
    )
    return path


def write_daily(table: pd.DataFrame, types: dict[str, Any], folder: Path, *, by: str, level: int = 19) -> list[Path]:
    """Write one file a day (UTC) of the time column `by`, named ``2026-11-19.parquet``."""
    days = table[by].dt.floor("D")
    return [
        write_table(rows, types, folder / f"{day:%Y-%m-%d}.parquet", level=level)
        for day, rows in table.groupby(days, sort=True)
    ]
