"""A model's logs as if only one segment's requests had been logged, so that every check can be done again on them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from rbnb.data import ModelData

if TYPE_CHECKING:
    from pathlib import Path

    from rbnb.inventory import ModelFile

__all__ = ["SegmentData"]


class SegmentData(ModelData):
    """The request log of one segment; the tables beside it stay as they are.

    Parameters
    ----------
    model, folder
        As for `ModelData`.
    where
        The segment: ``zone=b`` or ``zone=b & channel=web``, of columns that the model file maps as segments.
    """

    def __init__(self, model: ModelFile, folder: Path, where: str) -> None:
        super().__init__(model, folder)
        self.where = where

    @cached_property
    def requests(self) -> Any:  # noqa: ANN401 - an Ibis table
        """The request log of the segment, as latencies."""
        return self._of_segment(super().requests)

    @cached_property
    def scored(self) -> Any:  # noqa: ANN401 - an Ibis table
        """The request log of the segment, as features, scores and outcomes."""
        return self._of_segment(super().scored)

    def _of_segment(self, table: Any) -> Any:  # noqa: ANN401 - an Ibis table
        for part in self.where.split("&"):
            column, _, value = part.strip().partition("=")
            table = table.filter(table[f"segment_{column}"] == value)
        return table
