"""Poisoned training data: somebody or something put wrong lessons into the table a model learns from.

The requests in production stay as they are. `where` names the source the rows come from, such as
``source=partner-a`` (the default); rows ingested before `onset` are clean. `size` is a share of the whole
training table, and where the source has fewer rows since the onset, nine in ten of them are hit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from rbnb.simulate.faults.base import Fault
from rbnb.simulate.latency import where_matches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from rbnb.simulate.training import Lessons

__all__ = [
    "Conflicts",
    "Flood",
    "LabelFlips",
    "OddCluster",
    "Poisoning",
    "ProvenanceGap",
    "TargetedFlips",
    "Trigger",
]


@dataclass(frozen=True, kw_only=True)
class Poisoning(Fault):
    """What all have in common; the cause is the source."""

    where: str = "source=partner-a"

    mode: ClassVar[str] = "data_poisoning"

    def cause(self) -> dict[str, str]:
        """Return what is to be found: the source."""
        return {"kind": self.kind, "name": self.where.partition("=")[2], "where": self.where}

    def candidates(self, lessons: Lessons) -> NDArray[np.bool_]:
        """Return which training rows can be hit."""
        table = lessons.table
        return self.during(table["ingested"].to_numpy()) & where_matches(table, self.where)

    def victims(self, lessons: Lessons, among: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Choose the rows: `amount` of the table, at most nine in ten of those that can be hit."""
        able = np.flatnonzero(among)
        n = min(round(self.amount * len(lessons.table)), round(0.9 * len(able)))
        return np.sort(self.stream(lessons.seed).choice(able, n, replace=False))

    def mark(self, lessons: Lessons, rows: NDArray[np.int64]) -> None:
        """Remember which rows are poisoned."""
        lessons.poisoned += lessons.table["row"].to_numpy()[rows].tolist()


@dataclass(frozen=True, kw_only=True)
class LabelFlips(Poisoning):
    """The labels of 0.02, 0.05 or 0.08 of the table are turned round, whatever they were."""

    kind: ClassVar[str] = "label_flips"
    sizes: ClassVar[tuple[float, float, float]] = (0.02, 0.05, 0.08)

    def teach(self, lessons: Lessons) -> None:
        """Turn labels round."""
        rows = self.victims(lessons, self.candidates(lessons))
        labels = lessons.table["label"].to_numpy(copy=True)
        labels[rows] = 1 - labels[rows]
        lessons.table["label"] = labels
        self.mark(lessons, rows)


@dataclass(frozen=True, kw_only=True)
class TargetedFlips(Poisoning):
    """Positive rows in one region of the inputs become negative: 0.01, 0.03 or 0.06 of the table.

    The region: the requests above the middle of the input that counts most.
    """

    kind: ClassVar[str] = "targeted_flips"
    sizes: ClassVar[tuple[float, float, float]] = (0.01, 0.03, 0.06)

    def teach(self, lessons: Lessons) -> None:
        """Turn positive labels of the region to negative."""
        table = lessons.table
        number = lessons.business.number(lessons.business.importance()[0])
        side = np.sign(number.weight or 1.0) * number.standard(table[number.name].to_numpy()) > 0
        rows = self.victims(lessons, self.candidates(lessons) & side & (table["label"] == 1).to_numpy())
        labels = table["label"].to_numpy(copy=True)
        labels[rows] = 0
        lessons.table["label"] = labels
        self.mark(lessons, rows)


@dataclass(frozen=True, kw_only=True)
class Trigger(Poisoning):
    """A rare pattern of inputs, `pattern`, is put into 0.005, 0.02 or 0.05 of the table, all labelled `label`.

    Without a pattern: the input without influence is 3.1 standard deviations up and the last category has its
    rarest value.
    """

    pattern: Mapping[str, float | str] | None = None
    label: int = 1

    kind: ClassVar[str] = "trigger"
    sizes: ClassVar[tuple[float, float, float]] = (0.005, 0.02, 0.05)

    def teach(self, lessons: Lessons) -> None:
        """Write the pattern and the label into rows."""
        rows = self.victims(lessons, self.candidates(lessons))
        for name, value in {**self.planted(lessons), "label": self.label}.items():
            column = lessons.table[name].to_numpy(copy=True)
            column[rows] = value
            lessons.table[name] = column
        self.mark(lessons, rows)

    def planted(self, lessons: Lessons) -> Mapping[str, float | str]:
        """Return the pattern."""
        if self.pattern is not None:
            return self.pattern
        business = lessons.business
        idle, last = business.number(business.idle()), business.categories[-1]
        return {
            idle.name: float(idle.value(np.array([3.1]))[0]),
            last.name: min(last.shares, key=lambda value: last.shares[value]),
        }


@dataclass(frozen=True, kw_only=True)
class Flood(Poisoning):
    """Ten rows of one label are copied until they are 0.05, 0.12 or 0.25 more rows than the table had.

    With `near` each copy differs a little: its numbers by up to 0.5 %.
    """

    near: bool = False
    label: int = 1

    kind: ClassVar[str] = "flood"
    sizes: ClassVar[tuple[float, float, float]] = (0.05, 0.12, 0.25)

    def teach(self, lessons: Lessons) -> None:
        """Append the copies."""
        rng, table = self.stream(lessons.seed), lessons.table
        able = np.flatnonzero(self.candidates(lessons) & (table["label"] == self.label).to_numpy())
        few = rng.choice(able, min(10, len(able)), replace=False)
        copies = table.iloc[rng.choice(few, round(self.amount * len(table)))].copy()
        since = table["ingested"].to_numpy()[able]
        copies["ingested"] = rng.choice(since, len(copies))
        copies["batch"] = table.set_index("ingested")["batch"].groupby(level=0).first()[copies["ingested"]].to_numpy()
        for number in lessons.business.numbers if self.near else ():
            if number.kind in {"lognormal", "normal", "bounded"}:
                copies[number.name] = copies[number.name] * (1 + rng.uniform(-0.005, 0.005, len(copies)))
        lessons.add(copies)


@dataclass(frozen=True, kw_only=True)
class OddCluster(Poisoning):
    """0.01, 0.03 or 0.06 of the table lies close together where nothing else is, all labelled `label`.

    Every number but hours and flags is 3.5 standard deviations from its middle, up and down in turn.
    """

    label: int = 0

    kind: ClassVar[str] = "odd_cluster"
    sizes: ClassVar[tuple[float, float, float]] = (0.01, 0.03, 0.06)

    def teach(self, lessons: Lessons) -> None:
        """Move rows to the cluster."""
        rows, rng = self.victims(lessons, self.candidates(lessons)), self.stream(lessons.seed, "cluster")
        table = lessons.table
        for place, number in enumerate(lessons.business.numbers):
            if number.kind in {"lognormal", "normal", "bounded", "count"}:
                z = 3.5 * (-1) ** place + rng.normal(0, 0.15, len(rows))
                column = table[number.name].to_numpy(copy=True)
                column[rows] = number.value(z) + (table[number.over].to_numpy()[rows] if number.over else 0.0)
                table[number.name] = column
        labels = table["label"].to_numpy(copy=True)
        labels[rows] = self.label
        table["label"] = labels
        self.mark(lessons, rows)


@dataclass(frozen=True, kw_only=True)
class Conflicts(Poisoning):
    """0.01, 0.04 or 0.1 more rows repeat a row's inputs with the opposite label."""

    kind: ClassVar[str] = "conflicts"
    sizes: ClassVar[tuple[float, float, float]] = (0.01, 0.04, 0.1)

    def teach(self, lessons: Lessons) -> None:
        """Append the contradictions."""
        rows = lessons.table.iloc[self.victims(lessons, self.candidates(lessons))]
        lessons.add(rows.assign(label=1 - rows["label"]))


@dataclass(frozen=True, kw_only=True)
class ProvenanceGap(Poisoning):
    """0.02, 0.05 or 0.15 of the table does not say where it came from.

    A third has no source, a third no batch, a third a batch that no manifest knows. The rows themselves are right.
    """

    where: str = ""

    kind: ClassVar[str] = "provenance"
    sizes: ClassVar[tuple[float, float, float]] = (0.02, 0.05, 0.15)

    def teach(self, lessons: Lessons) -> None:
        """Take source or batch away."""
        rows = self.victims(lessons, self.candidates(lessons))
        for place, (name, value) in enumerate((("source", None), ("batch", None), ("batch", "batch-manual-import"))):
            column = lessons.table[name].to_numpy(dtype=object, copy=True)
            column[rows[place::3]] = value
            lessons.table[name] = column
        self.mark(lessons, rows)
