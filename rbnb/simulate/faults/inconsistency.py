"""Inconsistent answers: the same inputs, another score or decision.

The inputs in the log stay as they are; only what some hosts or versions make of them changes. `where` is
mostly one host or version, such as ``version=7.2.0`` or ``host=b-2``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from rbnb.simulate.faults.base import Fault
from rbnb.simulate.world import blank

if TYPE_CHECKING:
    from rbnb.simulate.business import Business, Column
    from rbnb.simulate.world import World

__all__ = [
    "BadScores",
    "CategoryOrder",
    "FloatCast",
    "FloatNoise",
    "Inconsistency",
    "MissingAsZero",
    "NonDeterminism",
    "OtherThreshold",
    "OtherTimezone",
    "OtherUnit",
    "Skew",
    "StaleCache",
]


@dataclass(frozen=True, kw_only=True)
class Inconsistency(Fault):
    """What all have in common; the cause is the segment."""

    mode: ClassVar[str] = "output_inconsistency"

    def cause(self) -> dict[str, str]:
        """Return what is to be found: kind and segment."""
        return {"kind": self.kind, "name": self.where.partition("=")[2] or "everywhere", "where": self.where}


@dataclass(frozen=True, kw_only=True)
class Misread(Inconsistency):
    """The requests hit are scored as if one input were another value; `feature` empty takes the usual one."""

    feature: str = ""

    def settled(self, business: Business) -> Self:
        """Return the fault with its input named."""
        return replace(self, feature=self.feature or self.usual(business))

    def usual(self, business: Business) -> str:
        """Return the input that is taken when none is named."""
        return business.importance()[0]

    def answer(self, world: World) -> None:
        """Score the requests hit on what is read instead."""
        rows = self.hits(world)
        inputs = world.frame(world.served, rows)
        inputs[self.feature] = self.read(inputs[self.feature].to_numpy())
        world.score[rows] = world.scored(inputs)

    def read(self, values: Column) -> Column:
        """Return what the model takes the values for."""
        return values


@dataclass(frozen=True, kw_only=True)
class MissingAsZero(Misread):
    """A missing number is taken for zero instead of the average.

    Without a name: the one for which zero says most, of those with natural nulls. How many answers it
    changes is the input's own share of nulls; size has no meaning.
    """

    kind: ClassVar[str] = "missing_as_zero"

    def usual(self, business: Business) -> str:
        """Return the number with nulls for which zero says most."""
        zero = np.zeros(1)
        return max((one for one in business.numbers if one.nulls), key=lambda one: abs(one.odds(zero)[0])).name

    def read(self, values: Column) -> Column:
        """Return zeros for nulls."""
        return np.nan_to_num(values, nan=0.0)


@dataclass(frozen=True, kw_only=True)
class OtherUnit(Misread):
    """A number is read 2, 10 or 100 times too large."""

    kind: ClassVar[str] = "unit"
    sizes: ClassVar[tuple[float, float, float]] = (2.0, 10.0, 100.0)

    def usual(self, business: Business) -> str:
        """Return the weightiest number of a size, not a share or a count."""
        return business.importance("lognormal")[0]

    def read(self, values: Column) -> Column:
        """Return the values in the wrong unit."""
        return values * self.amount


@dataclass(frozen=True, kw_only=True)
class CategoryOrder(Misread):
    """A category's values are numbered in another order, so each is taken for another: 2, 4 or all are exchanged.

    The ones exchanged are those with the largest effects, each with the next. Without a name: the category
    with the strongest effects.
    """

    kind: ClassVar[str] = "category_order"
    sizes: ClassVar[tuple[float, float, float]] = (2.0, 4.0, 1000.0)

    taken: tuple[tuple[str, str], ...] = ()

    def settled(self, business: Business) -> Self:
        """Return the fault with its input and what each value is taken for."""
        category = business.category(self.feature or business.strongest())
        ranked = sorted(category.shares, key=lambda one: -abs(category.effects.get(one, 0.0)))
        moved = ranked[: max(2, int(self.amount))]
        return replace(self, feature=category.name, taken=tuple(zip(moved, [*moved[1:], moved[0]], strict=True)))

    def read(self, values: Column) -> Column:
        """Return each value's neighbour."""
        taken = dict(self.taken)
        return np.array([taken.get(value, value) for value in values], dtype=object)


@dataclass(frozen=True, kw_only=True)
class OtherTimezone(Misread):
    """The hour of the day is read 1, 3 or 9 hours late."""

    kind: ClassVar[str] = "timezone"
    sizes: ClassVar[tuple[float, float, float]] = (1.0, 3.0, 9.0)

    def usual(self, business: Business) -> str:
        """Return the first hour of the day."""
        return next(one.name for one in business.numbers if one.kind == "hour")

    def read(self, values: Column) -> Column:
        """Return the hours of the other timezone."""
        return (values + self.amount) % 24


@dataclass(frozen=True, kw_only=True)
class StaleCache(Misread):
    """0.05, 0.3 or 0.9 of the requests hit are scored on the input of an earlier request."""

    kind: ClassVar[str] = "stale_cache"
    sizes: ClassVar[tuple[float, float, float]] = (0.05, 0.3, 0.9)

    def read(self, values: Column) -> Column:
        """Return for some the value of the request fifty before."""
        stale = self.stream(len(values)).random(len(values)) < self.amount
        return np.where(stale, np.roll(values, 50), values)


@dataclass(frozen=True, kw_only=True)
class FloatCast(Inconsistency):
    """The score is computed in 32 bit: it differs by some 1e-8. Harmless; size has no meaning."""

    kind: ClassVar[str] = "float_cast"
    harmless: ClassVar[bool] = True

    def answer(self, world: World) -> None:
        """Round the scores to 32 bit."""
        rows = self.hits(world)
        world.score[rows] = world.score[rows].astype(np.float32).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class FloatNoise(Inconsistency):
    """Every score differs by a relative 1e-12, 1e-9 or 1e-7, as from another order of summing. Harmless."""

    kind: ClassVar[str] = "float_noise"
    harmless: ClassVar[bool] = True
    sizes: ClassVar[tuple[float, float, float]] = (1e-12, 1e-9, 1e-7)

    def answer(self, world: World) -> None:
        """Add noise in the last digits."""
        rows = self.hits(world)
        noise = self.stream(world.seed).uniform(-1, 1, int(rows.sum()))
        world.score[rows] *= 1 + self.amount * noise


@dataclass(frozen=True, kw_only=True)
class NonDeterminism(Inconsistency):
    """Each answer has noise of 0.01, 0.05 or 0.15 (standard deviation of the score): asked again, it differs."""

    kind: ClassVar[str] = "non_determinism"
    sizes: ClassVar[tuple[float, float, float]] = (0.01, 0.05, 0.15)

    def answer(self, world: World) -> None:
        """Add noise, within 0 and 1."""
        rows = self.hits(world)
        noise = self.stream(world.seed).normal(0, self.amount, int(rows.sum()))
        world.score[rows] = np.round(np.clip(world.score[rows] + noise, 0.0, 1.0), 6)


@dataclass(frozen=True, kw_only=True)
class OtherThreshold(Inconsistency):
    """Decisions are made at a threshold 0.02, 0.1 or 0.25 lower; the scores are right."""

    kind: ClassVar[str] = "threshold"
    sizes: ClassVar[tuple[float, float, float]] = (0.02, 0.1, 0.25)

    def answer(self, world: World) -> None:
        """Lower the threshold."""
        world.threshold[self.hits(world)] -= self.amount


@dataclass(frozen=True, kw_only=True)
class BadScores(Inconsistency):
    """0.002, 0.02 or 0.1 of the answers hit are no probabilities: in turn missing, 1.5 and -0.5."""

    kind: ClassVar[str] = "bad_scores"
    sizes: ClassVar[tuple[float, float, float]] = (0.002, 0.02, 0.1)

    def answer(self, world: World) -> None:
        """Put impossible scores."""
        rows = self.chance(world, self.amount)
        world.score[rows] = np.resize([np.nan, 1.5, -0.5], int(rows.sum()))


@dataclass(frozen=True, kw_only=True)
class Skew(Misread):
    """The model is served another value of an input than the offline store works out: training-serving skew.

    A number is 0.25, 0.6 or 1.2 standard deviations higher in all requests hit; with `missing` it is not
    served at all. The log holds what was served, `recomputed` what should have been.
    """

    missing: bool = False

    kind: ClassVar[str] = "skew"
    sizes: ClassVar[tuple[float, float, float]] = (0.25, 0.6, 1.2)

    def cause(self) -> dict[str, str]:
        """Return what is to be found: the input."""
        return {"kind": self.kind, "name": self.feature, "where": self.where}

    def skew(self, world: World) -> None:
        """Change what is served."""
        rows, column = self.hits(world), world.served[self.feature]
        if self.missing:
            world.served[self.feature] = blank(column, rows)
            return
        number = world.business.number(self.feature)
        moved = number.value(number.standard(column[rows]) + self.amount)
        world.served[self.feature] = column.copy()
        world.served[self.feature][rows] = np.where(np.isnan(column[rows]), np.nan, moved)

    def answer(self, world: World) -> None:
        """Answer what was served: nothing more to change."""
