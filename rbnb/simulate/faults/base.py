"""What every fault has in common: when, where, how big, and where in the making of a scene it strikes.

A scene is made in steps, and each kind of fault changes one of them: what arrives (`arrive`), what usually
follows from it (`concept`), what turned out (`settle`), what the model is served (`serve`), what the
offline store does not know of (`skew`), what is answered (`answer`), which rows reach the log (`log`), and the training
table (`teach`). Rules: a fault changes only the rows of its time and segment; it draws from a stream of its
own; `size` is small, medium, large or the number itself, and its class says what that means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from rbnb.errors import UsageError
from rbnb.simulate.streams import stream
from rbnb.simulate.traffic import millis
from rbnb.times import format_time

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.simulate.business import Business
    from rbnb.simulate.training import Lessons
    from rbnb.simulate.world import World

__all__ = ["SIZES", "Fault", "Size"]

SIZES = ("small", "medium", "large")
Size = Literal["small", "medium", "large"] | float


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong, or looks as if.

    Parameters
    ----------
    onset, end
        When; no end means it is still going on at the end of the data.
    where
        The segment it hits, ``host=b-1`` or ``region=apac & channel=web``; ``""`` is everywhere.
    size
        small, medium or large, or the number that stands behind them.
    """

    onset: datetime
    end: datetime | None = None
    where: str = ""
    size: Size = "medium"

    mode: ClassVar[str] = ""
    kind: ClassVar[str] = ""
    sizes: ClassVar[tuple[float, float, float]] = (0.0, 0.0, 0.0)
    harmless: ClassVar[bool] = False

    @property
    def amount(self) -> float:
        """The number that stands behind the size."""
        if isinstance(self.size, str):
            if self.size not in SIZES:
                raise UsageError(f"a fault is not {self.size!r}", hint=f"size is {', '.join(SIZES)} or a number")
            return self.sizes[SIZES.index(self.size)]
        return float(self.size)

    def settled(self, business: Business) -> Self:  # noqa: ARG002 - some kinds need it
        """Return the fault with everything named that was left to the business."""
        return self

    def touches(self) -> tuple[str, ...]:
        """Return the inputs it changes."""
        named = [getattr(self, name, "") for name in ("feature", "other")]
        return tuple(name for name in named if name)

    def cause(self) -> dict[str, str]:
        """Return what is to be found: kind, name, where."""
        return {"kind": self.kind, "name": next(iter(self.touches()), self.where), "where": self.where}

    def during(self, at: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which times are within the fault's."""
        hit = at >= millis(self.onset)
        if self.end is not None:
            hit &= at < millis(self.end)
        return hit

    def hits(self, world: World) -> NDArray[np.bool_]:
        """Return which requests are of its time and segment."""
        return self.during(world.at) & world.within(self.where)

    def chance(self, world: World, share: float) -> NDArray[np.bool_]:
        """Return a random `share` of the requests hit."""
        return self.hits(world) & (self.stream(world.seed).random(len(world.at)) < share)

    def stream(self, seed: int, *names: str) -> np.random.Generator:
        """Return this fault's own random numbers."""
        return stream(seed, "fault", type(self).__name__, self.where, *self.touches(), *names)

    def told(self) -> dict[str, Any]:
        """Return the fault as the truth file has it."""
        return {
            "fault": type(self).__name__,
            "mode": self.mode,
            "harmless": self.harmless,
            "onset": format_time(self.onset),
            "ended": format_time(self.end) if self.end else None,
            "size": self.amount,
            "cause": self.cause(),
            "features": list(self.touches()),
        }

    def arrive(self, world: World) -> None:
        """Change what arrives: `world.z` and the categories in `world.inputs`."""

    def concept(self, world: World) -> None:
        """Change what usually follows: `world.odds`."""

    def settle(self, world: World) -> None:
        """Change what turned out: `world.inputs` together with `world.label`."""

    def serve(self, world: World) -> None:
        """Change what the model is served and the log and the offline store hold: `world.served`."""

    def skew(self, world: World) -> None:
        """Change what the model is served and the offline store does not know of: `world.served`."""

    def answer(self, world: World) -> None:
        """Change `world.score` or `world.threshold`."""

    def log(self, world: World, table: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG002 - some kinds need it
        """Change which rows are in the log, and how."""
        return table

    def teach(self, lessons: Lessons) -> None:
        """Change the training table."""
