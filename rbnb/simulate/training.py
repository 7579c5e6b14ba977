"""The training side of a scene: the table a model learns from, which version learned what, and checked rows.

Rules: a training row has an id, the time it was ingested, the source it came from and the batch it is part
of; batches are five days long. Its outcome follows from its inputs as in production. Versions learn all
batches that were complete when they were trained. Trusted rows were checked by hand and are no part of
the training table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rbnb.simulate.business import Business, probability
from rbnb.simulate.streams import stream
from rbnb.simulate.traffic import millis
from rbnb.simulate.world import World, become, draw_inputs, pick

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rbnb.simulate.business import Column
    from rbnb.simulate.faults.base import Fault
    from rbnb.simulate.traffic import Floats, Millis

__all__ = ["BATCH", "Lessons", "batches", "lessons", "lineage", "moments", "trusted"]

BATCH = timedelta(days=5)
_BATCHES = 14
_LAST = timedelta(days=1)

# How long before the end each version was trained, oldest first.
_TRAINED = (timedelta(days=33), timedelta(days=4), timedelta(hours=9))


@dataclass(slots=True)
class Lessons:
    """The training table while it is made; faults change it in place.

    Parameters
    ----------
    business, seed
        What it is about, and the seed.
    table
        ``row``, ``ingested`` (ms since 1970), ``source``, ``batch``, the inputs, ``label``.
    poisoned
        The ids of the rows that a fault changed or added.
    """

    business: Business
    seed: int
    table: pd.DataFrame
    poisoned: list[str] = field(default_factory=list)

    def add(self, rows: pd.DataFrame) -> None:
        """Append rows under new ids and count them as poisoned."""
        first = len(self.table) + 1
        rows = rows.assign(row=[f"tr-{number:06d}" for number in range(first, first + len(rows))])
        self.table = pd.concat([self.table, rows], ignore_index=True)
        self.poisoned += rows["row"].tolist()


def lessons(business: Business, n: int, end: datetime, faults: Iterable[Fault], seed: int, *, uneven: bool) -> Lessons:
    """Make the training table of `n` rows, with the faults; `uneven` lets one source bring other requests."""
    rng = stream(seed, "training")
    at = moments(n, end, rng)
    source = pick(rng, business.sources, n)
    unlike = (source == list(business.sources)[-1]) * 0.6 if uneven else np.zeros(n)
    table = _rows(business, at, seed + 1, unlike)
    table.insert(0, "row", [f"tr-{number:06d}" for number in range(1, n + 1)])
    table.insert(1, "ingested", at)
    table.insert(2, "source", source)
    table.insert(3, "batch", batches(at, end))
    made = Lessons(business, seed, table)
    for fault in faults:
        fault.teach(made)
    made.table = made.table.sort_values(["ingested", "row"], ignore_index=True)
    return made


def trusted(business: Business, n: int, end: datetime, seed: int) -> pd.DataFrame:
    """Draw `n` rows whose label was checked: ``row``, ``checked`` (ms since 1970), the inputs, ``label``."""
    rng = stream(seed, "trusted")
    at = np.sort(rng.integers(millis(end - timedelta(days=60)), millis(end - timedelta(days=2)), n))
    table = _rows(business, at, seed + 2, np.zeros(n))
    table.insert(0, "row", [f"ck-{number:05d}" for number in range(1, n + 1)])
    table.insert(1, "checked", at)
    return table


def lineage(versions: tuple[str, str, str], end: datetime) -> pd.DataFrame:
    """Return which version was trained on which batch and when: ``version``, ``batch``, ``time``."""
    last = end - _LAST
    rows = []
    for version, before in zip(versions, _TRAINED, strict=True):
        trained = end - before
        for number in range(_BATCHES):
            start = last - (_BATCHES - number) * BATCH
            if start + BATCH <= trained:
                rows.append((version, _name(start), millis(trained)))
    return pd.DataFrame(rows, columns=["version", "batch", "time"])


def _rows(business: Business, at: Millis, seed: int, unlike: Floats) -> pd.DataFrame:
    z, values = draw_inputs(business, at, seed)
    z[business.importance()[1]] += unlike
    world = World(business, seed, at, pd.DataFrame(index=range(len(at))), np.arange(len(at)), z, values)
    become(world)
    label = stream(seed, "labels").random(len(at)) < probability(world.odds)
    return world.frame(world.inputs).assign(label=label.astype(np.int8))


def moments(n: int, end: datetime, rng: np.random.Generator) -> Millis:
    """Draw when `n` training rows were ingested, in order."""
    last = end - _LAST
    return np.sort(rng.integers(millis(last - _BATCHES * BATCH), millis(last), n))


def batches(at: Millis, end: datetime) -> Column:
    """Return the batch each time falls in."""
    starts = [end - _LAST - (_BATCHES - number) * BATCH for number in range(_BATCHES)]
    place = np.searchsorted([millis(start) for start in starts], at, side="right") - 1
    return np.array([_name(start) for start in starts], dtype=object)[place]


def _name(start: datetime) -> str:
    return f"batch-{start:%Y-%m-%d}"
