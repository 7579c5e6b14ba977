"""What surrounds a model: changes that were made, infrastructure series, and who calls whom."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from rbnb.data.source import Source
from rbnb.errors import DataError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

    from rbnb.data.spans import Span
    from rbnb.inventory import Log

__all__ = ["Surroundings"]


class Surroundings(Source):
    """Changes, metrics and the call graph."""

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

    def _metrics(self) -> ir.Table:
        if self.metric_table is None:
            raise DataError("this model has no metrics table", hint="map logs.metrics in the model file")
        return self.metric_table

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
