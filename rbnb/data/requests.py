"""The request log as latencies: series, quantiles, cells of segments, all reduced in the engine."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rbnb.data.source import Source
from rbnb.data.spans import Extent, Span, moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import ibis.expr.types as ir
    import pandas as pd

    from rbnb.inventory import ModelFile

__all__ = ["Requests"]

#: No latency in any unit is as large; it is a marker such as the largest integer, and its square would overflow.
LARGEST = 1e18

#: Rows of the request log that are kept in memory rather than read again for each reduction.
_HOLD_LIMIT = 3_000_000


class Requests(Source):
    """The request log, one row a request or a measurement."""

    def __init__(self, model: ModelFile, folder: Path) -> None:
        super().__init__(model, folder)
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
        return Extent(moment(row["first"]), moment(row["last"]), int(row["rows"]), int(row["future"]))

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

    @property
    def exact_quantiles(self) -> bool:
        """Whether the request log's engine computes exact quantiles."""
        return self._exact(self.requests)

    def _window(self, start: int, end: int) -> ir.Table:
        table = self._source(start, end)
        return table.filter((table.epoch >= start) & (table.epoch < end))

    def _span(self, span: Span) -> ir.Table:
        return self._left_out(self._source(span.start, span.end), "epoch", span)


def _with_valid_latency(table: ir.Table) -> ir.Table:
    import ibis

    raw = table.raw_latency
    valid = raw.notnull() & ~raw.isnan() & ~raw.isinf() & (raw >= 0) & (raw < LARGEST)
    return table.mutate(latency=ibis.ifelse(valid, raw, ibis.null("float64")))
