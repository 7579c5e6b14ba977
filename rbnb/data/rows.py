"""The request log as rows of features and scores, and the other tables that hold such rows.

Rules: a feature that is missing or of a type nobody can use never takes the others down: it is left
out and told in `Rows.broken_features`. Numbers come as float64 with NaN where there was none and infinities
kept; texts, booleans and everything else come as text with None where there was none. More rows than
`limit` are thinned by a hash of the row's time and id, so that the same rows are taken every time.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from rbnb.data.source import Source
from rbnb.data.spans import Extent, Span, moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import ibis.expr.types as ir
    import pandas as pd

    from rbnb.inventory import Log

__all__ = ["ROW_LIMIT", "TABLES", "Rows"]

#: Rows of a span that are fetched before they are thinned.
ROW_LIMIT = 200_000

FeatureKind = Literal["numerical", "categorical"]
TableName = Literal["training", "lineage", "trusted", "recomputed"]

#: Canonical columns of the tables beside the request log; `time` arrives as ``epoch``.
TABLES: dict[TableName, tuple[str, ...]] = {
    "training": ("id", "source", "batch", "label", "weight"),
    "lineage": ("version", "batch"),
    "trusted": ("id", "label"),
    "recomputed": ("request_id",),
}
#: Parts of the hash that thins rows: one in a million can be told apart.
_PARTS = 1_000_000


class Rows(Source):
    """Features, scores, decisions and labels, row by row."""

    @cached_property
    def _log_table(self) -> ir.Table:
        return self._open("predictions", self.model.logs.predictions)

    @cached_property
    def features(self) -> dict[str, FeatureKind]:
        """The mapped features that can be used, in the model file's order."""
        return {name: kind for name, kind in self._declared.items() if name not in self.broken_features}

    @cached_property
    def _declared(self) -> dict[str, FeatureKind]:
        mapped = self.model.logs.predictions.features
        declared: dict[str, FeatureKind] = dict.fromkeys(mapped.numerical, "numerical")
        return declared | dict.fromkeys(mapped.categorical, "categorical")

    @cached_property
    def broken_features(self) -> dict[str, str]:
        """The mapped features that cannot be used, and why."""
        table, found = self._log_table, {}
        for name, kind in self._declared.items():
            if name not in table.columns:
                found[name] = "the table has no such column"
                continue
            dtype = table[name].type()
            if kind == "numerical" and not (dtype.is_numeric() or dtype.is_boolean()):
                found[name] = f"is {dtype}, not a number"
            elif dtype.is_nested() or dtype.is_binary():
                found[name] = f"is {dtype}, which is no category"
        return found

    @cached_property
    def scored(self) -> ir.Table:
        """The request log under canonical names with features, score, decision and label.

        Raises
        ------
        DataError
            If the table, its time or a mapped column other than a feature is missing.
        """
        log, table = self.model.logs.predictions, self._log_table
        columns = log.columns
        chosen: dict[str, Any] = {"epoch": self._epoch(table, columns.timestamp, log, "predictions")}
        for name, key in (("request_id", "request_id"), ("version", "model_version")):
            if column := getattr(columns, key):
                chosen[name] = self._column(table, column, f"columns.{key}").cast("string")
        if columns.prediction_proba:
            chosen["score"] = self._number(table, columns.prediction_proba, "columns.prediction_proba")
        for name in ("prediction", "target"):
            if column := getattr(columns, name):
                chosen[name] = self._column(table, column, f"columns.{name}")
        for segment in log.segments:
            column = self._column(table, segment, "segments").cast("string")
            chosen[f"segment_{segment}"] = column.fill_null("(none)")
        for name, kind in self.features.items():
            chosen[f"feature_{name}"] = table[name].cast("float64" if kind == "numerical" else "string")
        return table.select(**chosen)

    def scored_extent(self, now: datetime) -> Extent:
        """Measure what the request log holds; rows stamped after `now` are counted, not used."""
        table = self.scored
        past = table.epoch <= int(now.timestamp())
        first, last = table.epoch.min(where=past), table.epoch.max(where=past)
        row = self._row(table.aggregate(first=first, last=last, rows=table.count(), future=table.count(where=~past)))
        return Extent(moment(row["first"]), moment(row["last"]), int(row["rows"]), int(row["future"]))

    def count_rows(self, span: Span) -> int:
        """Count the rows of a span, whatever they hold."""
        table = self._left_out(self.scored, "epoch", span)
        return int(self._row(table.aggregate(n=table.count()))["n"])

    def rows(self, span: Span, *, limit: int | None = ROW_LIMIT, columns: Sequence[str] = ()) -> pd.DataFrame:
        """Fetch rows of the request log.

        Parameters
        ----------
        span
            Which.
        limit
            Above so many they are thinned, the same way every time; None takes all.
        columns
            Only these, under their canonical names; all if empty.

        Returns
        -------
        DataFrame
            ``epoch``, and where mapped ``request_id``, ``version``, ``score``, ``prediction``, ``target``,
            ``segment_<name>``, ``feature_<name>``; by time. ``attrs["of"]`` is how many rows the span holds.
        """
        table = self._left_out(self.scored, "epoch", span)
        of = self.count_rows(span)
        if limit is not None and of > limit:
            table = self._thinned(table, limit / of)
        order = [name for name in ("epoch", "request_id") if name in table.columns]
        table = table.order_by(order)
        if columns:
            table = table.select(*dict.fromkeys(["epoch", *columns]))
        frame = _plain(self._rows(table))
        frame.attrs["of"] = of
        return frame

    def _thinned(self, table: ir.Table, share: float) -> ir.Table:
        key = table.request_id if "request_id" in table.columns else table.epoch.cast("string")
        return table.filter(key.hash().abs() % _PARTS < int(share * _PARTS))

    def table(self, name: TableName) -> pd.DataFrame | None:
        """Fetch a table beside the request log, or None if the model file maps none.

        Returns
        -------
        DataFrame
            The canonical columns that are mapped or present, ``epoch`` (seconds; NaN where null) if it has a
            time, and every other column under its own name.

        Raises
        ------
        DataError
            If the table cannot be read, or lacks a column that is mapped.
        """
        if name not in self.tables:
            table = self.table_columns(name)
            if table is None:
                return None
            frame = _plain(self._rows(table))
            order = [column for column in ("epoch", "id", "request_id") if column in frame]
            self.tables[name] = frame.sort_values(order, ignore_index=True, kind="stable") if order else frame
        return self.tables[name].copy()

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that have been fetched."""
        return {}

    def table_columns(self, name: TableName) -> ir.Table | None:
        """Return a table beside the request log under canonical names, before anything is fetched."""
        log: Log | None = getattr(self.model.logs, name)
        if log is None:
            return None
        table = self._open(name, log)
        chosen: dict[str, Any] = {}
        taken = set()
        for key in ("time", *TABLES[name]):
            column = log.columns.get(key, key)
            if key not in log.columns and column not in table.columns:
                continue
            found = self._column(table, column, f"{name}.columns.{key}")
            chosen["epoch" if key == "time" else key] = (
                self._epoch(table, column, log, name) if key == "time" else found
            )
            taken.add(column)
        chosen |= {column: table[column] for column in table.columns if column not in taken and column not in chosen}
        return table.select(**chosen)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Give every column of texts the object type with None where there was none."""
    import pandas as pd

    for name in frame.columns:
        values = frame[name]
        if isinstance(values.dtype, pd.StringDtype) or values.dtype == object:
            plain = values.astype(object)
            frame[name] = plain.where(plain.notna(), None)
    return frame
