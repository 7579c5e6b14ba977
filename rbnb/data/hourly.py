"""The request log hour by hour, in one pass each: what a baseline is learned from.

Rules: latencies become a histogram an hour, in bins of equal width on the log scale, so that windows of any
hours can be put together afterwards and their quantiles known to within half a bin; what is null or broken is
counted beside them; nothing is sampled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rbnb.data import ModelData

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

__all__ = ["Hourly"]

_HOUR = 3_600
#: Latencies below this count as this: the logarithm of 0 is none.
_SMALLEST = 1e-9


class Hourly(ModelData):
    """A model's logs, with counts an hour."""

    def latency_bins(self, start: int, end: int, width: float) -> pd.DataFrame:
        """Count usable latencies by hour and by bin.

        Parameters
        ----------
        start, end
            Epoch seconds, half open.
        width
            Of a bin, on the natural log scale; bin b holds latencies from exp(b × width) up to the next.

        Returns
        -------
        DataFrame
            ``hour`` (epoch second at which it starts), ``bin``, ``n``; by hour and bin.
        """
        import ibis

        table = self._window(start, end)
        table = table.filter(table.latency.notnull())
        positive = ibis.greatest(table.latency, _SMALLEST)
        table = table.mutate(hour=_hour(table), bin=(positive.ln() / width).floor().cast("int64"))
        return self._rows(table.group_by("hour", "bin").aggregate(n=table.count()).order_by(["hour", "bin"]))

    def hourly_counts(self, start: int, end: int) -> pd.DataFrame:
        """Count rows and nulls a feature by hour, and add up scores.

        Returns
        -------
        DataFrame
            ``hour``, ``n``, ``null|<feature>`` for each usable feature; where mapped ``scores`` (how many are
            finite) and ``score`` (their sum); by hour.
        """
        table = self.scored
        table = table.filter((table.epoch >= start) & (table.epoch < end)).mutate(hour=_hour(table))
        measures: dict[str, Any] = {"n": table.count()}
        for name in self.features:
            measures[f"null|{name}"] = table.count(where=table[f"feature_{name}"].isnull())
        if "score" in table.columns:
            finite = table.score.notnull() & ~table.score.isnan() & ~table.score.isinf()
            measures |= {"scores": table.count(where=finite), "score": table.score.sum(where=finite)}
        return self._rows(table.group_by("hour").aggregate(**measures).order_by("hour"))


def _hour(table: ir.Table) -> Any:  # noqa: ANN401 - an Ibis value
    return (table.epoch // _HOUR) * _HOUR
