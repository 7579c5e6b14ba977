"""A model's logs as acceptance sees them: without the incident itself, and of one segment where one is asked for.

Rule: what happened in the incident is hidden from every measurement, also from those that look at the hours before
their window, so that a recovery is never judged by the rows of the trouble.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from rbnb.data import ModelData

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import pandas as pd

    from rbnb.inventory import ModelFile

__all__ = ["FreshData"]


class FreshData(ModelData):
    """The request log without the rows of a span, and of one segment; of the tables beside it only readings are hidden.

    Parameters
    ----------
    model, folder
        As for `ModelData`.
    where
        The segment: ``zone=b`` or ``zone=b & channel=web``, of columns that the model file maps; "" is all of it.
    hidden
        From when to when rows are left out, as if nothing had been logged; None leaves out none.
    """

    def __init__(
        self, model: ModelFile, folder: Path, where: str = "", hidden: tuple[datetime, datetime] | None = None
    ) -> None:
        super().__init__(model, folder)
        self.where = where
        self.hidden = hidden

    @cached_property
    def requests(self) -> Any:  # noqa: ANN401 - an Ibis table
        """The request log as latencies."""
        return self._seen(super().requests)

    @cached_property
    def scored(self) -> Any:  # noqa: ANN401 - an Ibis table
        """The request log as features, scores and outcomes."""
        return self._seen(super().scored)

    def metric_series(self, start: int, end: int) -> pd.DataFrame:
        """Return the readings of components between two epoch seconds, without those of the hidden span."""
        frame = super().metric_series(start, end)
        if self.hidden is None:
            return frame
        low, high = (int(one.timestamp()) for one in self.hidden)
        return frame[(frame["time"] < low) | (frame["time"] >= high)].reset_index(drop=True)

    def _seen(self, table: Any) -> Any:  # noqa: ANN401 - an Ibis table
        for part in filter(None, self.where.split("&")):
            column, _, value = part.strip().partition("=")
            table = table.filter(table[f"segment_{column}"] == value)
        if self.hidden is not None:
            start, end = (int(one.timestamp()) for one in self.hidden)
            table = table.filter((table.epoch < start) | (table.epoch >= end))
        return table
