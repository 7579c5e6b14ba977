"""A model's logs as tables in an engine, reduced there, so that only aggregates reach the notebook.

The one room that knows Ibis and DuckDB. Rules:

- **Canonical names inside.** The model file's column names are mapped at the door; a column that the
  model file names and the table lacks, or that has the wrong type, is an error before anything runs.
- **Times are epoch seconds in UTC** inside the engine: every backend can do arithmetic on them. Naive
  timestamps are refused unless the model file says ``timezone: UTC``.
- **A latency counts only if it is a finite number, not negative, and below `LARGEST`**; what does not count
  is counted (`ModelData.integrity`), never dropped in silence.
- **Files that are read as one table must agree** on the columns that are used: no engine may turn a text
  into a number, or a time without a zone into one with, because another file beside it has it so.
- **Nothing is written**, to any source, ever.

A room of mixins over one `Source`: `Requests` (latency), `Rows` (features, scores, labels), `Profiles` (counts a
column) and `Surroundings` (changes, metrics, calls); `ModelData` is all of them.

Reductions keep to operations that most SQL engines have: group by, count, sum, and quantiles (exact
where the engine can, approximate and said so where it cannot).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.data.profile import Profiles
from rbnb.data.requests import LARGEST, Requests
from rbnb.data.rows import TABLES, Rows
from rbnb.data.spans import DAY, WEEK, Extent, Span
from rbnb.data.surroundings import Surroundings
from rbnb.errors import UsageError
from rbnb.model import Window
from rbnb.scope import Scope, parse_spans, resolve_scope
from rbnb.times import format_time, parse_duration, parse_time

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from rbnb.model import Material

__all__ = ["DAY", "LARGEST", "WEEK", "Extent", "ModelData", "Span"]


class ModelData(Requests, Surroundings, Rows, Profiles):
    """The logs of one model.

    Parameters
    ----------
    model
        The model file.
    folder
        The folder the model file is in; relative tables start there.
    """

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
        opened |= {name: list(table.columns) for name in TABLES if (table := self.table_columns(name)) is not None}
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
        asked = parse_time(as_of or at) if as_of or at else clock
        now = min(asked, clock)
        extent = self.extent(clock)
        if at:
            _check_end(parse_time(at), clock, extent)
        chosen = resolve_scope(
            first=extent.first,
            last=extent.last,
            rows=extent.rows - extent.future,
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

    def materials(self, window: Window, reference: Window) -> list[Material]:
        """Describe each source that a run reads: which window, how many rows in it, and a digest of its content."""
        whole = Window(reference.start, window.end)
        start, end = int(whole.start.timestamp()), int(whole.end.timestamp())
        logs = self.model.logs
        found = [
            self._material("predictions", logs.predictions, whole, self._count(self.requests, "epoch", start, end))
        ]
        if logs.metrics is not None:
            found.append(
                self._material("metrics", logs.metrics, whole, self._count(self._metrics(), "time", start, end))
            )
        if logs.changes is not None:
            rows = self.changes(start, end)
            found.append(self._material("changes", logs.changes, whole, 0 if rows is None else len(rows)))
        if logs.dependencies is not None:
            edges = len(self.dependencies)
            found.append(self._material("dependencies", logs.dependencies, None, edges))
        # of the tables that only some runbooks read, those that this run has read
        found += [self._material(name, getattr(logs, name), None, len(table)) for name, table in self.tables.items()]
        return found


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
