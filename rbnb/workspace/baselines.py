"""Thresholds learned from a model's history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rbnb.incidents import user
from rbnb.workspace.base import Base

if TYPE_CHECKING:
    from rbnb.baselines import Asked

__all__ = ["Baselines"]


class Baselines(Base):
    """What is done with baselines."""

    def baseline(self, asked: Asked) -> dict[str, Any]:
        """Learn thresholds from a model's history and write them, known incidents left out; return what was learned.

        Raises
        ------
        UsageError
            If a name or a time is wrong, or the baseline that is there was changed by hand.
        DataError
            If history is too short, or nothing can be learned from it.
        """
        from rbnb.baselines import walk_history, write_baseline
        from rbnb.baselines.telling import summary_of

        walked = walk_history(self.places, asked, self._episodes({"model": asked.model}))
        written = write_baseline(walked, self.places.baselines, rate=asked.rate, now=self.clock(), by=user())
        return {**summary_of(written), "file": self.shown(written.path), "plot": self.shown(written.plot)}

    def review_baseline(self, asked: Asked) -> dict[str, Any]:
        """Return what learned thresholds would have done in a model's history, and write nothing."""
        from rbnb.baselines import review_baseline, walk_history

        walked = walk_history(self.places, asked, self._episodes({"model": asked.model}))
        return review_baseline(walked, self.places, asked.rate)
