"""A model's logs as tables in an engine, reduced there, so that only aggregates reach the notebook.

The one module that knows Ibis and DuckDB. Rules:

- **Canonical names inside.** The model file's column names are mapped at the door; a column that the
  model file names and the table lacks, or that has the wrong type, is an error before anything runs.
- **Times are epoch seconds in UTC** inside the engine: every backend can do arithmetic on them. Naive
  timestamps are refused unless the model file says ``timezone: UTC``.
- **A latency counts only if it is a finite number, not negative, and below `LARGEST`**; what does not count
  is counted (`ModelData.integrity`), never dropped in silence.
- **Files that are read as one table must agree** on the columns that are used: no engine may turn a text
  into a number, or a time without a zone into one with, because another file beside it has it so.
- **Nothing is written**, to any source, ever.

Reductions keep to operations that most SQL engines have: group by, count, sum, and quantiles (exact
where the engine can, approximate and said so where it cannot).
"""

from __future__ import annotations

import glob
import hashlib
import json
import math
import sys
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbnb.config import expand_env
from rbnb.errors import DataError, UsageError
from rbnb.model import Material, Window
from rbnb.scope import Scope, parse_spans, resolve_scope
from rbnb.text import visible
from rbnb.times import format_time, parse_duration, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import ibis.expr.types as ir
    import pandas as pd

    from rbnb.inventory import Log, ModelFile, PredictionLog

__all__ = ["Extent", "ModelData", "Span"]

#: Seconds in a week; epoch 0 was a Thursday, so weeks are counted from there, which is as good as any day.
WEEK = 604_800
DAY = 86_400

#: No latency in any unit is as large; it is a marker such as the largest integer, and its square would overflow.
LARGEST = 1e18

#: How a time ends that says its zone.
_NAMES_ZONE = r"\d:\d\d(:\d\d([.,]\d+)?)?\s*([Zz]|UTC|[+-]\d\d(:?\d\d)?)\s*$"

_READERS = {".parquet": "read_parquet", ".csv": "read_csv", ".json": "read_json", ".jsonl": "read_json"}
_HASH_LIMIT = 256 * 2**20
#: Rows of the request log that are kept in memory rather than read again for each reduction.
_HOLD_LIMIT = 3_000_000


@dataclass(frozen=True, slots=True)
class Extent:
    """What the request log holds: first and last time, rows, and rows that cannot be used."""

    first: datetime | None
    last: datetime | None
    rows: int
    future: int


@dataclass(frozen=True, slots=True)
class Span:
    """Rows between two epoch seconds, optionally only at some seconds of each `period`.

    Parameters
    ----------
    start, end
        Epoch seconds, half open.
    period
        Seconds after which hours repeat (a week or a day), or 0 for every row.
    slots
        Pairs of seconds into the period, half open; only rows inside one count.
    weekdays
        With a period of a day: keep only weekdays (True), weekends (False), or both (None).
    leave_out
        Spans of epoch seconds that do not count, such as earlier incidents.
    """

    start: int
    end: int
    period: int = 0
    slots: tuple[tuple[int, int], ...] = ()
    weekdays: bool | None = None
    leave_out: tuple[tuple[int, int], ...] = ()


class ModelData:
    """The logs of one model.

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
        self._held: tuple[int, int, ir.Table] | None = None
        self._all_rows: int | None = None

    @cached_property
    def requests(self) -> ir.Table:
        """The request log under canonical names, one column each for what is mapped.

        Raises
        ------
        DataError
            If the table or a mapped column is missing or has the wrong type.
        """
        log = self.model.logs.predictions
        table = self._open("predictions", log)
        columns = log.columns
        canonical = {"epoch": self._epoch(table, columns.timestamp, log, "predictions")}
        if columns.latency_ms:
            canonical["raw_latency"] = self._number(table, columns.latency_ms, "columns.latency_ms")
        for name, key in (("status", "status_code"), ("payload", "payload_size")):
            if column := getattr(columns, key):
                canonical[name] = self._number(table, column, f"columns.{key}")
        for name, key in (("request_id", "request_id"), ("version", "model_version")):
            if column := getattr(columns, key):
                canonical[name] = self._column(table, column, f"columns.{key}").cast("string")
        for stage in log.stages:
            canonical[f"stage_{stage}"] = self._number(table, stage, "stages")
        for segment in log.segments:
            canonical[f"segment_{segment}"] = (
                self._column(table, segment, "segments").cast("string").fill_null("(none)")
            )
        named = table.select(**canonical)
        return _with_valid_latency(named) if columns.latency_ms else named

    def extent(self, now: datetime) -> Extent:
        """Measure what the request log holds; rows stamped after `now` are counted, not used.

        Raises
        ------
        DataError
            If the table cannot be read.
        """
        table = self.requests
        past = table.epoch <= int(now.timestamp())
        row = self._row(
            table.aggregate(
                first=table.epoch.min(where=past),
                last=table.epoch.max(where=past),
                rows=table.count(),
                future=table.count(where=~past),
            )
        )
        self._all_rows = int(row["rows"])
        return Extent(_moment(row["first"]), _moment(row["last"]), int(row["rows"]), int(row["future"]))

    def hold(self, start: int, end: int) -> None:
        """Keep the rows between two epoch seconds in the engine's memory, where they are few and it is DuckDB.

        Every later reduction within that span then reads memory, not files; the numbers are the same.
        """
        if self._held is not None or self.requests.get_backend().name != "duckdb":
            return
        rows = self._all_rows
        if rows is None or rows > _HOLD_LIMIT:
            rows = self._count(self.requests, "epoch", start, end)
        if rows <= _HOLD_LIMIT:
            self._held = (start, end, self._fetch(self._window(start, end).cache))

    def _source(self, start: int, end: int) -> ir.Table:
        """Return the smallest table that has every row between two epoch seconds."""
        if self._held is not None and self._held[0] <= start and end <= self._held[1]:
            return self._held[2]
        return self.requests

    def check(self) -> dict[str, list[str]]:
        """Open every table that the model file maps, and return the columns used of each.

        Raises
        ------
        DataError
            Naming the table or column that is missing, unreadable or of the wrong type.
        """
        opened = {"predictions": list(self.requests.columns)}
        logs = self.model.logs
        if logs.metrics is not None:
            opened["metrics"] = list(self._metrics().columns)
        if logs.changes is not None:
            opened["changes"] = list(self._changes(logs.changes).columns)
        if logs.dependencies is not None:
            opened["dependencies"] = list(self._calls(logs.dependencies).columns)
        return opened

    def scope(
        self, *, clock: datetime, at: str, window: str, bucket: str, reference: str, leave_out: str, as_of: str = ""
    ) -> tuple[Extent, Scope]:
        """Work out what a run looks at; texts as they stand in a template's parameters.

        Rows stamped after `clock` are from the future. Freshness is judged as of `as_of`; where that is empty,
        a time that a person asked for is its own, and else the clock is.

        Raises
        ------
        DataError
            If the log cannot be read or holds nothing.
        UsageError
            If a time or a duration cannot be read.
        """
        log = self.model.logs.predictions
        if log.columns.latency_ms is None:
            raise DataError(
                f"{self.model.name}: no measured column is mapped",
                hint="name it under logs.predictions.columns.latency_ms in the model file",
            )
        asked = parse_time(as_of or at) if as_of or at else clock
        now = min(asked, clock)
        extent = self.extent(clock)
        if at:
            _check_end(parse_time(at), clock, extent)
        chosen = resolve_scope(
            first=extent.first,
            last=extent.last,
            rows=extent.rows,
            now=now,
            at=at,
            window=window,
            bucket=bucket,
            reference=self._reference(reference),
            per_row=log.columns.request_id is None,
            leave_out=parse_spans(leave_out),
        )
        return extent, chosen

    def _reference(self, text: str) -> timedelta | Window | None:
        if text:
            return parse_duration(text)
        own = self.model.reference
        return Window(own.start, own.end) if own.start and own.end else own.window

    def series(self, start: int, end: int, bucket: int) -> pd.DataFrame:
        """Reduce the log to one row a bucket that holds requests.

        Parameters
        ----------
        start, end
            Epoch seconds, half open; `start` should be a multiple of `bucket`.
        bucket
            Seconds.

        Returns
        -------
        DataFrame
            ``bucket`` (epoch seconds), ``n``, ``measured``, ``nulls``, ``broken``, ``errors``, ``p50``, ``p95``,
            ``p99``, ``total`` (sum of latency).
        """
        return self._rows(self._series(self._window(start, end), bucket))

    def series_query(self, start: int, end: int, bucket: int) -> str:
        """Return the query of `series` in the engine's own SQL, over the log itself and not what is held of it."""
        import ibis

        table = self.requests.filter((self.requests.epoch >= start) & (self.requests.epoch < end))
        return str(ibis.to_sql(self._series(table, bucket)))

    def _series(self, table: ir.Table, bucket: int) -> ir.Table:
        table = table.mutate(bucket=(table.epoch // bucket) * bucket)
        measures = {"n": table.count(), **self._latency_measures(table)}
        if "status" in table.columns:
            measures["errors"] = table.count(where=table.status >= 500)
        return table.group_by("bucket").aggregate(**measures).order_by("bucket")

    def _latency_measures(self, table: ir.Table) -> dict[str, Any]:
        if "latency" not in table.columns:
            return {}
        return {
            "measured": table.latency.count(),
            "nulls": table.count(where=table.raw_latency.isnull()),
            "broken": table.count(where=table.raw_latency.notnull() & table.latency.isnull()),
            "p50": self._quantile(table.latency, 0.5),
            "p95": self._quantile(table.latency, 0.95),
            "p99": self._quantile(table.latency, 0.99),
            "total": table.latency.sum(),
        }

    def count(self, span: Span) -> int:
        """Count the rows of a span that have a usable latency."""
        table = self._span(span)
        return int(self._row(table.aggregate(n=table.latency.count()))["n"])

    def quantiles(self, span: Span, levels: Sequence[float]) -> list[float | None]:
        """Return latency quantiles over a span, one for each level, None where it holds no latency."""
        return self._quantiles(self._span(span), "latency", levels)

    def _quantiles(self, table: ir.Table, column: str, levels: Sequence[float]) -> list[float | None]:
        values = table[column]
        if self._exact(table):
            found = self._row(table.aggregate(q=values.quantile(list(levels))))["q"]
            row = [None] * len(levels) if found is None else list(found)
        else:
            measures = {f"q{i}": values.approx_quantile(level) for i, level in enumerate(levels)}
            row = list(self._row(table.aggregate(**measures)).values())
        return [None if value is None or math.isnan(value) else float(value) for value in row]

    def exceeding(self, ends: int, thresholds: Mapping[str, float], lookbacks: Mapping[str, int]) -> pd.DataFrame:
        """Count requests, slow ones and errors over several spans that end together, in one pass.

        Parameters
        ----------
        ends
            Epoch second at which every span ends.
        thresholds
            Name of a threshold to latency in the log's unit; a request above it is slow.
        lookbacks
            Name of a span to its length in seconds.

        Returns
        -------
        DataFrame
            One row a span: ``span``, ``n``, ``errors``, ``measured`` and one column a threshold.
        """
        longest = max(lookbacks.values())
        table = self._window(ends - longest, ends)
        measures: dict[str, Any] = {}
        for name, seconds in lookbacks.items():
            inside = table.epoch >= ends - seconds
            measures[f"{name}|n"] = table.count(where=inside)
            if "latency" in table.columns:
                measures[f"{name}|measured"] = table.count(where=inside & table.latency.notnull())
                for label, limit in thresholds.items():
                    measures[f"{name}|{label}"] = table.count(where=inside & (table.latency > limit))
            if "status" in table.columns:
                measures[f"{name}|errors"] = table.count(where=inside & (table.status >= 500))
        row = self._row(table.aggregate(**measures))
        import pandas as pd

        records: dict[str, dict[str, Any]] = {name: {"span": name} for name in lookbacks}
        for key, value in row.items():
            name, _, measure = str(key).partition("|")
            records[name][measure] = int(value)
        return pd.DataFrame(list(records.values()))

    def integrity(self, start: int, end: int, *, leave_out: tuple[tuple[int, int], ...] = ()) -> dict[str, Any]:
        """Count rows, unusable latencies and repeated request ids between two epoch seconds.

        Parameters
        ----------
        start, end
            Epoch seconds, half open.
        leave_out
            Spans of epoch seconds that do not count.

        Returns
        -------
        dict
            ``rows``; with a latency ``nulls``, ``broken``, ``lowest`` and ``highest`` (None where none is usable);
            with request ids ``ids`` (different ones) and ``with_id``.
        """
        table = self._span(Span(start, end, leave_out=leave_out))
        measures = {"rows": table.count()}
        if "latency" in table.columns:
            measures["nulls"] = table.count(where=table.raw_latency.isnull())
            measures["broken"] = table.count(where=table.raw_latency.notnull() & table.latency.isnull())
            measures |= {"lowest": table.latency.min(), "highest": table.latency.max()}
        if "request_id" in table.columns:
            measures["ids"] = table.request_id.nunique()
            measures["with_id"] = table.request_id.count()
        row = self._row(table.aggregate(**measures))
        return {str(key): value if key in ("lowest", "highest") else int(value) for key, value in row.items()}

    def cells(self, spans: Mapping[str, Span], segments: Sequence[str], slow_above: float) -> pd.DataFrame:
        """Reduce spans to one row a combination of segments, from which every slice can be summed.

        Parameters
        ----------
        spans
            Label to rows; each row of the result carries its label in ``period``.
        segments
            Segment columns, as the model file names them.
        slow_above
            Latency in the log's unit; requests above it are counted as ``slow``.

        Returns
        -------
        DataFrame
            ``period``, one column a segment, ``n``, ``total``, ``squares``, ``slow``, and for each stage
            ``<stage>|total`` and ``<stage>|squares``.
        """
        table = self._labelled(spans)
        table = table.filter(table.latency.notnull())
        measures = {
            "n": table.count(),
            "total": table.latency.sum(),
            "squares": (table.latency * table.latency).sum(),
            "slow": table.count(where=table.latency > slow_above),
        }
        for stage in self.model.logs.predictions.stages:
            values = table[f"stage_{stage}"]
            measures[f"{stage}|total"] = values.sum()
            measures[f"{stage}|squares"] = (values * values).sum()
        keys = {"period": table.period} | {name: table[f"segment_{name}"] for name in segments}
        return self._rows(table.group_by(**keys).aggregate(**measures).order_by(list(keys)))

    def _labelled(self, spans: Mapping[str, Span]) -> ir.Table:
        """Return the rows of several spans that do not overlap, with the label of theirs in ``period``."""
        import ibis

        start, end = min(s.start for s in spans.values()), max(s.end for s in spans.values())
        table = self._source(start, end)
        cases = [(self._inside(table, "epoch", span), label) for label, span in spans.items()]
        return table.mutate(period=ibis.cases(*cases)).filter(lambda t: t.period.notnull())

    def payload(self, spans: Mapping[str, Span], edges: Sequence[float]) -> pd.DataFrame:
        """Reduce spans to one row a payload bin: ``period``, ``bin``, ``n``, ``total`` of latency."""
        import ibis

        table = self._labelled(spans)
        table = table.filter(table.latency.notnull() & table.payload.notnull())
        steps: list[Any] = [ibis.ifelse(table.payload >= edge, 1, 0) for edge in edges]
        table = table.mutate(bin=sum(steps[1:], start=steps[0]) if steps else ibis.literal(0))
        return self._rows(table.group_by("period", "bin").aggregate(n=table.count(), total=table.latency.sum()))

    def payload_edges(self, span: Span, levels: Sequence[float]) -> list[float]:
        """Return distinct quantiles of the payload size over a span."""
        found = self._quantiles(self._span(span), "payload", levels)
        return sorted({value for value in found if value is not None})

    def changes(self, start: int, end: int) -> pd.DataFrame | None:
        """Return changes between two epoch seconds (time, kind, what, who, link, segment), or None if not logged."""
        log = self.model.logs.changes
        if log is None:
            return None
        table = self._changes(log)
        inside = table.filter((table.time >= start) & (table.time < end))
        return self._rows(inside.order_by(["time", "what"]))

    @cached_property
    def dependencies(self) -> list[tuple[str, str]]:
        """The call graph as (caller, callee); empty if none is mapped."""
        log = self.model.logs.dependencies
        if log is None:
            return []
        frame = self._rows(self._calls(log).distinct().order_by(["caller", "callee"]))
        return list(frame.itertuples(index=False, name=None))

    def _changes(self, log: Log) -> ir.Table:
        return self._canonical("changes", log, ("kind", "what"), ("who", "link", "segment"))

    def _calls(self, log: Log) -> ir.Table:
        table = self._open("dependencies", log)
        pair = {
            name: self._column(table, log.columns.get(name, name), f"dependencies.columns.{name}").cast("string")
            for name in ("caller", "callee")
        }
        return table.select(**pair)

    @cached_property
    def metric_table(self) -> ir.Table | None:
        """The infrastructure series under canonical names, or None if there are none."""
        log = self.model.logs.metrics
        if log is None:
            return None
        table = self._canonical("metrics", log, ("component", "metric"), ("segment",), numbers=("value",))
        return table.filter(table.value.notnull() & ~table.value.isnan() & ~table.value.isinf())

    def metric_series(self, start: int, end: int) -> pd.DataFrame:
        """Return the raw series between two epoch seconds: time, component, metric, segment, value."""
        table = self._metrics()
        inside = table.filter((table.time >= start) & (table.time < end))
        return self._rows(inside.order_by(["component", "metric", "time"]))

    def metric_baseline(self, span: Span, period: int, slot: int) -> pd.DataFrame:
        """Return what is usual for each series at each slot of a period.

        Parameters
        ----------
        span
            The reference.
        period, slot
            Seconds; a week in hours is ``604800, 3600``. A period of 0 is one slot for all.

        Returns
        -------
        DataFrame
            ``component``, ``metric``, ``slot``, ``n``, ``q10``, ``q50``, ``q90``.
        """
        import ibis

        table = self._left_out(self._metrics(), "time", span)
        number = (table.time % period) // slot if period else ibis.literal(0)
        table = table.mutate(slot=number.cast("int64"))
        grouped = table.group_by("component", "metric", "slot").aggregate(
            n=table.count(),
            q10=self._quantile(table.value, 0.1),
            q50=self._quantile(table.value, 0.5),
            q90=self._quantile(table.value, 0.9),
        )
        return self._rows(grouped).sort_values(["component", "metric", "slot"], ignore_index=True)

    def materials(self, window: Window, reference: Window) -> list[Material]:
        """Describe each source that a run reads: which window, how many rows in it, and a digest of its content."""
        whole = Window(reference.start, window.end)
        start, end = int(whole.start.timestamp()), int(whole.end.timestamp())
        found = [
            self._material(
                "predictions", self.model.logs.predictions, whole, self._count(self.requests, "epoch", start, end)
            )
        ]
        if self.model.logs.metrics is not None:
            found.append(
                self._material(
                    "metrics", self.model.logs.metrics, whole, self._count(self._metrics(), "time", start, end)
                )
            )
        if self.model.logs.changes is not None:
            rows = self.changes(start, end)
            found.append(self._material("changes", self.model.logs.changes, whole, 0 if rows is None else len(rows)))
        if self.model.logs.dependencies is not None:
            edges = len(self.dependencies)
            found.append(self._material("dependencies", self.model.logs.dependencies, None, edges))
        return found

    @property
    def exact_quantiles(self) -> bool:
        """Whether the request log's engine computes exact quantiles."""
        return self._exact(self.requests)

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

    def _window(self, start: int, end: int) -> ir.Table:
        table = self._source(start, end)
        return table.filter((table.epoch >= start) & (table.epoch < end))

    def _span(self, span: Span) -> ir.Table:
        return self._left_out(self._source(span.start, span.end), "epoch", span)

    def _left_out(self, table: ir.Table, column: str, span: Span) -> ir.Table:
        return table.filter(self._inside(table, column, span))

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

    def _metrics(self) -> ir.Table:
        if self.metric_table is None:
            raise DataError("this model has no metrics table", hint="map logs.metrics in the model file")
        return self.metric_table

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

    def _open(self, source: str, log: Log | PredictionLog) -> ir.Table:
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
        if files[0].suffix == ".parquet":
            _check_agreement(self.model.name, source, names, _mapped(log))
        table: ir.Table = getattr(connection, _READERS[files[0].suffix])(names, table_name=source)
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


def _check_end(end: datetime, clock: datetime, extent: Extent) -> None:
    """Refuse a window that cannot hold data, whatever is in the log.

    Raises
    ------
    UsageError
        If it ends in the future, or before the log begins.
    """
    if end > clock:
        raise UsageError(f"{format_time(end)} is in the future", hint=f"now is {format_time(clock)} for these logs")
    if extent.first is not None and end <= extent.first:
        raise UsageError(
            f"{format_time(end)} is before the request log begins", hint=f"its first row is {format_time(extent.first)}"
        )


def _mapped(log: Log | PredictionLog) -> list[str]:
    """Return the columns of a table that are used, the time first."""
    if isinstance(log.columns, dict):
        return [log.columns.get("time", "time"), *(v for k, v in log.columns.items() if k != "time")]
    named = [value for key, value in log.columns.model_dump().items() if value and key != "timestamp"]
    return [log.columns.timestamp, *named, *getattr(log, "stages", []), *getattr(log, "segments", [])]


def _check_agreement(model: str, source: str, names: Sequence[str], used: Sequence[str]) -> None:
    """Hold the schemas of parquet files against the first, for the columns that are used.

    Raises
    ------
    DataError
        Naming the column and two files that differ in it.
    """
    import pyarrow.parquet as pq

    first: dict[str, tuple[str, str]] = {}
    for name in names if len(names) > 1 else ():
        schema = pq.read_schema(name)
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


def _with_valid_latency(table: ir.Table) -> ir.Table:
    import ibis

    raw = table.raw_latency
    valid = raw.notnull() & ~raw.isnan() & ~raw.isinf() & (raw >= 0) & (raw < LARGEST)
    return table.mutate(latency=ibis.ifelse(valid, raw, ibis.null("float64")))


def _moment(epoch: float | None) -> datetime | None:
    if epoch is None or math.isnan(epoch):
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(epoch))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return visible(lines[0], 300) if lines else type(error).__name__
