"""The request log as it really is: what each file holds, how full each column is, and rows before any cleaning.

Where `Rows` hands out features that can be used, this hands out those that cannot be trusted as well. Rules:

- **No column can take another down.** A column that is missing, of another type, or half text is read as far
  as it goes; what does not go is counted.
- **Counts are exact**, made in the engine over every row of a span; rows are a repeatable sample above a
  limit, and say of how many.
- **A text that should be a number is tried as one**: `number_<name>` holds what could be read, `text_<name>`
  what was there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rbnb.data.source import Source, _kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import ibis.expr.types as ir
    import pandas as pd

    from rbnb.data.spans import Span

__all__ = ["FileSchema", "Profiles"]

#: Parts of the hash that thins rows: one in a million can be told apart.
_PARTS = 1_000_000


@dataclass(frozen=True, slots=True)
class FileSchema:
    """What one file of the log holds.

    Parameters
    ----------
    name
        File name without its folder.
    rows
        How many rows it has.
    kinds
        Column to what it holds: ``a number``, ``text``, ``bool``, ``a time with a zone`` …
    first, last
        Epoch seconds of its oldest and newest row where the file says so, else None.
    """

    name: str
    rows: int
    kinds: Mapping[str, str] = field(default_factory=dict)
    first: int | None = None
    last: int | None = None


class Profiles(Source):
    """Schemas, exact counts and raw rows of the request log."""

    @cached_property
    def _raw_log(self) -> ir.Table:
        return self._open("predictions", self.model.logs.predictions)

    @cached_property
    def file_schemas(self) -> list[FileSchema]:
        """The files of the request log with what each holds, oldest first; empty where it is no set of files.

        Only the footers of parquet files are read; other files have one schema for all.
        """
        log = self.model.logs.predictions
        files = self._files(log) or []
        found = [_schema(path, log.columns.timestamp) for path in files if path.suffix == ".parquet"]
        return sorted(found, key=lambda file: (file.first is None, file.first or 0, file.name))

    @cached_property
    def column_types(self) -> dict[str, str]:
        """Every column of the log as the engine reads it, mapped or not, with the engine's name of its type."""
        table = self._raw_log
        return {name: str(table[name].type()) for name in table.columns}

    @cached_property
    def _declared_kinds(self) -> dict[str, str]:
        mapped = self.model.logs.predictions.features
        return dict.fromkeys(mapped.numerical, "numerical") | dict.fromkeys(mapped.categorical, "categorical")

    @cached_property
    def extra_columns(self) -> list[str]:
        """Columns of the log that the model file does not map."""
        log = self.model.logs.predictions
        named = {value for value in log.columns.model_dump().values() if value}
        named |= {*log.stages, *log.segments, *self._declared_kinds}
        return [name for name in self._raw_log.columns if name not in named]

    @cached_property
    def raw(self) -> ir.Table:
        """The request log under canonical names with every declared feature that is there at all.

        A numerical feature is ``number_<name>``, and beside it ``text_<name>`` where the log holds it as text; a
        categorical one is ``text_<name>``. Unmapped columns come as ``extra_<name>`` where they are numbers or text.
        """
        log, table = self.model.logs.predictions, self._raw_log
        columns = log.columns
        chosen: dict[str, Any] = {"epoch": self._epoch(table, columns.timestamp, log, "predictions")}
        held = {name: column for name, column in columns.model_dump().items() if column in table.columns}
        for name, key in (("request_id", "request_id"), ("version", "model_version"), ("prediction", "prediction")):
            if key in held:
                chosen[name] = table[held[key]].cast("string")
        for name, key in (("score", "prediction_proba"), ("status", "status_code")):
            if key in held:
                chosen[name] = _as_number(table[held[key]])
        for segment in log.segments:
            if segment in table.columns:
                chosen[f"segment_{segment}"] = table[segment].cast("string").fill_null("(none)")
        for name, kind in self._declared_kinds.items():
            if name in table.columns:
                chosen |= _feature(name, kind, table[name])
        return table.select(**chosen, **self._unmapped(table))

    def _unmapped(self, table: ir.Table) -> dict[str, Any]:
        found = {f"extra_{name}": table[name] for name in self.extra_columns}
        numbers = {key: column.cast("float64") for key, column in found.items() if column.type().is_numeric()}
        return numbers | {key: column for key, column in found.items() if column.type().is_string()}

    def raw_rows(self, span: Span, *, limit: int = 200_000) -> pd.DataFrame:
        """Fetch rows as they are, by time; above `limit` a sample by a hash of the request id, the same every time.

        Returns
        -------
        DataFrame
            The columns of `raw`; ``attrs["of"]`` is how many rows the span holds.
        """
        table = self._left_out(self.raw, "epoch", span)
        of = int(self._row(table.aggregate(n=table.count()))["n"])
        if of > limit:
            key = table.request_id if "request_id" in table.columns else table.epoch.cast("string")
            table = table.filter(key.hash().abs() % _PARTS < int(limit / of * _PARTS))
        order = [name for name in ("epoch", "request_id") if name in table.columns]
        frame = self._rows(table.order_by(order))
        frame.attrs["of"] = of
        return frame

    def raw_query(self, span: Span) -> str:
        """Return the query behind `raw_rows`, in the engine's own SQL."""
        import ibis

        return str(ibis.to_sql(self._left_out(self.raw, "epoch", span)))

    def column_counts(self, span: Span) -> dict[str, dict[str, Any]]:
        """Count each declared feature exactly over every row of a span.

        Returns
        -------
        dict
            By feature: ``rows``, ``nulls``, ``distinct`` and for a numerical one ``nan``, ``infinite``, ``unreadable``
            (text that is no number), ``lowest`` and ``highest`` (of what is finite, None where nothing is).
        """
        table = self._left_out(self.raw, "epoch", span)
        measures: dict[str, Any] = {"rows": table.count()}
        for name in self._declared_kinds:
            measures |= _measures(table, name)
        row = self._row(table.aggregate(**measures))
        found: dict[str, dict[str, Any]] = {}
        for key, value in row.items():
            if "|" in key:
                name, _, measure = key.rpartition("|")
                found.setdefault(name, {"rows": int(row["rows"])})[measure] = _plain(value)
        return found

    def volume(self, start: int, end: int, bucket: int, by: str = "") -> pd.DataFrame:
        """Count requests by bucket of time, optionally by one segment column as well.

        Returns
        -------
        DataFrame
            ``bucket`` (epoch seconds), ``value`` (of the segment, "" without one), ``n`` and where mapped ``errors``.
        """
        import ibis

        table = self.raw.filter((self.raw.epoch >= start) & (self.raw.epoch < end))
        value = table[f"segment_{by}"] if by else ibis.literal("")
        table = table.mutate(bucket=(table.epoch // bucket) * bucket, value=value)
        measures = {"n": table.count()}
        if "status" in table.columns:
            measures["errors"] = table.count(where=table.status >= 500)
        return self._rows(table.group_by(["bucket", "value"]).aggregate(**measures).order_by(["bucket", "value"]))

    def repeated_rows(self, span: Span) -> dict[str, int]:
        """Count exactly the rows of a span, how many name an id, how many ids there are, and how many rows differ.

        Returns
        -------
        dict
            ``rows``, ``distinct`` (rows that differ in anything but time), and where ids are mapped ``with_id``
            and ``ids``.
        """
        table = self._left_out(self.raw, "epoch", span)
        measures = {"rows": table.count()}
        if "request_id" in table.columns:
            measures |= {"with_id": table.request_id.count(), "ids": table.request_id.nunique()}
        found = {key: int(value) for key, value in self._row(table.aggregate(**measures)).items()}
        inputs = [name for name in table.columns if name.startswith(("number_", "text_", "segment_"))]
        if inputs:
            alike = table.select(*inputs).distinct()
            found["distinct"] = int(self._row(alike.aggregate(n=alike.count()))["n"])
        return found


def _feature(name: str, kind: str, column: Any) -> dict[str, Any]:  # noqa: ANN401 - an Ibis value
    """Return the columns of `Profiles.raw` that a declared feature becomes."""
    dtype = column.type()
    if dtype.is_nested() or dtype.is_binary():
        return {}
    if kind == "categorical":
        return {f"text_{name}": column.cast("string")}
    if dtype.is_string():
        return {f"number_{name}": _as_number(column), f"text_{name}": column}
    return {f"number_{name}": _as_number(column)}


def _as_number(column: Any) -> Any:  # noqa: ANN401 - an Ibis value
    dtype = column.type()
    if dtype.is_timestamp():
        return column.epoch_seconds().cast("float64")
    if dtype.is_boolean():
        return column.cast("int8").cast("float64")
    return column.try_cast("float64") if not dtype.is_numeric() else column.cast("float64")


def _measures(table: ir.Table, name: str) -> dict[str, Any]:
    number, text = f"number_{name}", f"text_{name}"
    found: dict[str, Any] = {}
    if number in table.columns:
        value = table[number]
        finite = value.notnull() & ~value.isnan() & ~value.isinf()
        held = table[text] if text in table.columns else value
        found = {
            "nulls": table.count(where=held.isnull()),
            "nan": table.count(where=value.isnan()),
            "infinite": table.count(where=value.isinf()),
            "distinct": value.nunique(),
            "lowest": value.min(where=finite),
            "highest": value.max(where=finite),
            "unreadable": table.count(where=held.notnull() & value.isnull()),
        }
    elif text in table.columns:
        found = {"nulls": table.count(where=table[text].isnull()), "distinct": table[text].nunique()}
    return {f"{name}|{key}": measure for key, measure in found.items()}


def _plain(value: Any) -> Any:  # noqa: ANN401 - a number of the engine
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value


def _schema(path: Path, time: str) -> FileSchema:
    """Read the footer of a parquet file: its columns, and the times its statistics give."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema, footer = file.schema_arrow, file.metadata
        kinds = {name: _kind(schema.field(name).type) for name in schema.names}
        first, last = _times(footer, schema.names.index(time)) if time in kinds else (None, None)
        return FileSchema(path.name, footer.num_rows, kinds, first, last)


def _times(footer: Any, column: int) -> tuple[int | None, int | None]:  # noqa: ANN401 - a parquet footer
    """Return the first and last time of a column from its statistics; None where the file keeps none."""
    held: Sequence[Any] = [footer.row_group(i).column(column).statistics for i in range(footer.num_row_groups)]
    held = [each for each in held if each is not None and each.has_min_max]
    if not held:
        return None, None
    lowest, highest = min(each.min for each in held), max(each.max for each in held)
    if not hasattr(lowest, "timestamp"):
        return None, None
    return _epoch(lowest), _epoch(highest)


def _epoch(moment: Any) -> int:  # noqa: ANN401 - a datetime, with or without a zone
    from datetime import UTC

    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
