"""Tables of a model as an engine sees them: connect, open, check, fetch; errors that say what to do.

The rules of the whole room are kept here: credentials come from the environment, files that make up one
table must agree, times are aware, and nothing an engine raises reaches the user raw.
"""

from __future__ import annotations

import glob
import hashlib
import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbnb.config import expand_env
from rbnb.data.spans import DAY, Span
from rbnb.errors import DataError
from rbnb.model import Material, Window
from rbnb.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import ibis.expr.types as ir
    import pandas as pd

    from rbnb.inventory import Log, ModelFile, PredictionLog

__all__ = ["Source"]

#: How a time ends that says its zone.
_NAMES_ZONE = r"\d:\d\d(:\d\d([.,]\d+)?)?\s*([Zz]|UTC|[+-]\d\d(:?\d\d)?)\s*$"

_READERS = {".parquet": "read_parquet", ".csv": "read_csv", ".json": "read_json", ".jsonl": "read_json"}
_HASH_LIMIT = 256 * 2**20


class Source:
    """The tables of one model, and how they are opened.

    Parameters
    ----------
    model
        The model file.
    folder
        The folder the model file is in; relative tables start there.
    """

    def __init__(self, model: ModelFile, folder: Path) -> None:
        self.model = model
        self.folder = folder
        self._connections: dict[str, Any] = {}
        self._opened: dict[str, ir.Table] = {}

    def _open(self, source: str, log: Log | PredictionLog) -> ir.Table:
        if source not in self._opened:
            self._opened[source] = self._open_anew(source, log)
        return self._opened[source]

    def _open_anew(self, source: str, log: Log | PredictionLog) -> ir.Table:
        files = self._files(log)
        where = f"logs.{source}.table"
        if files is not None and not files:
            raise DataError(
                f"{self.model.name}: {where}: no file matches {log.table}",
                hint=f"paths are relative to {self.folder.name}/, the folder of the model file",
            )
        try:
            connection = self._connect(log.connection)
            if files is None:
                return connection.table(log.table)
            return self._read(connection, files, source, log)
        except DataError:
            raise
        except Exception as error:
            # each engine has errors of its own; none may reach the user raw
            raise DataError(
                f"{self.model.name}: {where}: {log.table} cannot be read: {_first_line(error)}",
                hint="check the file or table with `rbnb models check`, and whether it is still being written",
            ) from error

    def _read(self, connection: Any, files: Sequence[Path], source: str, log: Log | PredictionLog) -> ir.Table:  # noqa: ANN401 - an Ibis backend
        """Read files as one table, after making sure that they agree on what is used of them."""
        names = [str(path) for path in files]
        options: dict[str, Any] = {}
        if files[0].suffix == ".parquet" and not _check_agreement(self.model.name, source, names, _mapped(log)):
            # what the rest of the columns disagree in is told of each column, and stops nothing
            options["union_by_name"] = True
        table: ir.Table = getattr(connection, _READERS[files[0].suffix])(names, table_name=source, **options)
        if files[0].suffix == ".csv":
            self._check_zones(connection, names, source, log, table)
        return table

    def _check_zones(
        self,
        connection: Any,  # noqa: ANN401 - an Ibis backend
        names: Sequence[str],
        source: str,
        log: Log | PredictionLog,
        table: ir.Table,
    ) -> None:
        """Refuse text files in which only some times name a zone: the engine would take the rest for UTC."""
        column = _mapped(log)[0]
        if column not in table.columns or log.timezone is not None:
            return
        kind = table[column].type()
        if not kind.is_timestamp() or kind.timezone is None:
            return
        texts = connection.read_csv(list(names), types={column: "VARCHAR"})
        naive = int(self._row(texts.aggregate(n=texts.count(where=~texts[column].re_search(_NAMES_ZONE))))["n"])
        if naive:
            raise DataError(
                f"{self.model.name}: {source}: {naive:,} of the times in {column!r} name no zone, others do",
                hint=f"write them all with a zone; if all are UTC, say so: logs.{source}.timezone: UTC",
            )

    def _files(self, log: Log | PredictionLog) -> list[Path] | None:
        suffix = Path(log.table).suffix
        if not log.connection.startswith("duckdb://") or (suffix not in _READERS and "/" not in log.table):
            return None
        if suffix not in _READERS:
            raise DataError(
                f"{self.model.name}: {log.table} ends in {suffix or 'nothing'}; known are {', '.join(_READERS)}",
                hint="name files of one of these kinds; nothing else is opened",
            )
        pattern = str(self.folder / log.table)
        return [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207 - may be absolute

    def _connect(self, url: str) -> Any:  # noqa: ANN401 - an Ibis backend of any engine
        import ibis

        if url not in self._connections:
            expanded = expand_env(url, file=self.folder / f"{self.model.name}.yaml", key="connection")
            try:
                connection = ibis.duckdb.connect() if url == "duckdb://" else ibis.connect(expanded)
                if connection.name == "duckdb":
                    connection.raw_sql("SET TimeZone='UTC'")
                    if "ipykernel" not in sys.modules:  # in a kernel there is none to print, and setting it fails
                        connection.raw_sql("SET enable_progress_bar_print=false")
            except Exception as error:  # noqa: BLE001 - each engine has errors of its own
                raise DataError(
                    f"{self.model.name}: the connection {url} cannot be opened: {_first_line(error)}",
                    hint="check the address, the credentials in the environment, and whether the engine is up",
                ) from None
            self._connections[url] = connection
        return self._connections[url]

    def _column(self, table: ir.Table, column: str, key: str) -> Any:  # noqa: ANN401 - any Ibis value
        if column not in table.columns:
            known = ", ".join(table.columns[:20])
            raise DataError(
                f"{self.model.name}: {key}: there is no column {column!r} in the table",
                hint=f"its columns are {known}; mend the model file, or leave the key out",
            )
        return table[column]

    def _number(self, table: ir.Table, column: str, key: str) -> Any:  # noqa: ANN401 - any Ibis value
        values = self._column(table, column, key)
        if not values.type().is_numeric():
            raise DataError(
                f"{self.model.name}: {key}: column {column!r} is {values.type()}, not a number",
                hint="cast it where the log is written, or map another column",
            )
        return values.cast("float64")

    def _epoch(self, table: ir.Table, column: str, log: Log | PredictionLog, source: str) -> Any:  # noqa: ANN401
        values = self._column(table, column, f"{source}.columns")
        kind = values.type()
        if not kind.is_timestamp():
            raise DataError(
                f"{self.model.name}: {source}: column {column!r} is {kind}, not a timestamp",
                hint="write it as a timestamp with a zone",
            )
        if kind.timezone is None and log.timezone is None:
            raise DataError(
                f"{self.model.name}: {source}: the timestamps in {column!r} name no zone",
                hint=f"if they are UTC, say so in the model file: logs.{source}.timezone: UTC",
            )
        return values.epoch_seconds().cast("int64")

    def _canonical(
        self, source: str, log: Log, required: Sequence[str], optional: Sequence[str], numbers: Sequence[str] = ()
    ) -> ir.Table:
        import ibis

        table = self._open(source, log)
        key = f"{source}.columns"
        chosen = {"time": self._epoch(table, log.columns.get("time", "time"), log, source)}
        for name in required:
            chosen[name] = self._column(table, log.columns.get(name, name), f"{key}.{name}").cast("string")
        for name in numbers:
            chosen[name] = self._number(table, log.columns.get(name, name), f"{key}.{name}")
        for name in optional:
            column = log.columns.get(name, name)
            present = name in log.columns or column in table.columns
            chosen[name] = (
                self._column(table, column, f"{key}.{name}").cast("string").fill_null("")
                if present
                else ibis.literal("")
            )
        return table.select(**chosen)

    def _inside(self, table: ir.Table, column: str, span: Span) -> ir.BooleanValue:
        time = table[column]
        keep = (time >= span.start) & (time < span.end)
        if span.period and span.slots:
            into = time % span.period
            inside = [(into >= low) & (into < high) for low, high in span.slots]
            anywhere = inside[0]
            for condition in inside[1:]:
                anywhere = anywhere | condition
            keep = keep & anywhere
        if span.weekdays is not None:
            # Epoch 0 was a Thursday: days 2 and 3 of its week are Saturday and Sunday.
            weekend = ((time // DAY) % 7).isin([2, 3])
            keep = keep & (~weekend if span.weekdays else weekend)
        for low, high in span.leave_out:
            keep = keep & ~((time >= low) & (time < high))
        return keep

    def _left_out(self, table: ir.Table, column: str, span: Span) -> ir.Table:
        return table.filter(self._inside(table, column, span))

    def _count(self, table: ir.Table, column: str, start: int, end: int) -> int:
        inside = table.filter((table[column] >= start) & (table[column] < end))
        return int(self._row(inside.aggregate(n=inside.count()))["n"])

    def _material(self, source: str, log: Log | PredictionLog, window: Window | None, rows: int) -> Material:
        return Material(source=source, table=log.table, window=window, rows=rows, digest=self._digest(log))

    def _digest(self, log: Log | PredictionLog) -> str:
        files = self._files(log)
        if files is None:
            return "not taken: the table lives in an engine"
        if sum(path.stat().st_size for path in files) > _HASH_LIMIT:
            facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
            return "names-sizes-times:" + hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        whole = hashlib.sha256()
        for path in files:
            whole.update(f"{path.name}:{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        return "sha256:" + whole.hexdigest()

    def _exact(self, table: ir.Table) -> bool:
        import ibis.expr.operations as ops

        return bool(table.get_backend().has_operation(ops.Quantile))

    def _quantile(self, values: Any, level: float) -> Any:  # noqa: ANN401 - any Ibis value
        exact = self._exact(values.as_table())
        return values.quantile(level) if exact else values.approx_quantile(level)

    def _rows(self, expression: ir.Table) -> pd.DataFrame:
        return self._fetch(lambda: expression.to_pyarrow().to_pandas())

    def _row(self, expression: ir.Table) -> dict[str, Any]:
        """Return the one row of an expression, without the cost of importing pandas."""
        row: dict[str, Any] = self._fetch(lambda: expression.to_pyarrow_batches().read_all().to_pylist())[0]
        return row

    def _fetch(self, read: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the engine returns
        try:
            with warnings.catch_warnings():
                # ibis 12 asks duckdb for batches by a name that duckdb 1.5 is about to drop; it works
                warnings.simplefilter("ignore", DeprecationWarning)
                return read()
        except Exception as error:
            # each engine has errors of its own; none may reach the user raw
            raise DataError(
                f"{self.model.name}: reading the logs failed: {_first_line(error)}",
                hint="a file may be damaged or still being written: `rbnb models check` reads each table",
            ) from error


def _mapped(log: Log | PredictionLog) -> list[str]:
    """Return the columns of a table that are used, the time first."""
    if isinstance(log.columns, dict):
        return [log.columns.get("time", "time"), *(v for k, v in log.columns.items() if k != "time")]
    named = [value for key, value in log.columns.model_dump().items() if value and key != "timestamp"]
    return [log.columns.timestamp, *named, *getattr(log, "stages", []), *getattr(log, "segments", [])]


def _check_agreement(model: str, source: str, names: Sequence[str], used: Sequence[str]) -> bool:
    """Hold the schemas of parquet files against the first, and return whether they agree in every column.

    Raises
    ------
    DataError
        Naming a column that is used and two files that differ in it.
    """
    import pyarrow.parquet as pq

    first: dict[str, tuple[str, str]] = {}
    schemas = [(name, pq.read_schema(name)) for name in (names if len(names) > 1 else ())]
    for name, schema in schemas:
        for column in used:
            kind = _kind(schema.field(column).type) if column in schema.names else "absent"
            known, origin = first.setdefault(column, (kind, name))
            if known == "null":
                first[column] = (kind, name)
            elif kind not in (known, "null"):
                here, there = Path(name).name, Path(origin).name
                raise DataError(
                    f"{model}: {source}: column {column!r} is {kind} in {here} and {known} in {there}",
                    hint="files that make up one table must agree; write one of them again",
                )
    return all(schema.names == schemas[0][1].names and schema.types == schemas[0][1].types for _, schema in schemas)


def _kind(dtype: Any) -> str:  # noqa: ANN401 - an Arrow type
    """Return what a column holds as far as files have to agree on it; widths and precisions may differ."""
    import pyarrow.types as kinds

    if kinds.is_dictionary(dtype):
        return _kind(dtype.value_type)
    if kinds.is_timestamp(dtype):
        return "a time with a zone" if dtype.tz else "a time without a zone"
    if kinds.is_integer(dtype) or kinds.is_floating(dtype) or kinds.is_decimal(dtype):
        return "a number"
    if kinds.is_string(dtype) or kinds.is_large_string(dtype):
        return "text"
    return str(dtype)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return visible(lines[0], 300) if lines else type(error).__name__
