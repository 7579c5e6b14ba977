"""Broken data: what reaches the model is not what there is.

The model scores what it is served, so its answers follow the broken values; log and offline store hold
them too. What turns out is unchanged. `where` is mostly one upstream feed, such as ``source=partner-a``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import pandas as pd

from rbnb.errors import UsageError
from rbnb.simulate.faults.base import Fault

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rbnb.simulate.business import Business, Column
    from rbnb.simulate.world import World

__all__ = [
    "Duplicated",
    "Infinite",
    "MissingRows",
    "Nulls",
    "Quality",
    "Renamed",
    "RuleBroken",
    "Sentinel",
    "StaleLog",
    "Stuck",
    "Swapped",
    "TextNumbers",
    "TimeShift",
    "UnitChange",
    "Unseen",
]


@dataclass(frozen=True, kw_only=True)
class Quality(Fault):
    """What all broken data has in common; `feature` is the input, empty takes the weightiest fitting one."""

    feature: str = ""

    mode: ClassVar[str] = "data_quality"

    def settled(self, business: Business) -> Self:
        """Return the fault with its input named."""
        return replace(self, feature=self.feature or self.usual(business))

    def usual(self, business: Business) -> str:
        """Return the input that is taken when none is named."""
        return business.importance()[0]

    def serve(self, world: World) -> None:
        """Break some values of the input."""
        rows = self.chance(world, self.share)
        column = world.served[self.feature].copy()
        column[rows] = self.broken(column[rows])
        world.served[self.feature] = column

    @property
    def share(self) -> float:
        """The share of the requests hit that is broken: all, unless a kind of fault says otherwise."""
        return 1.0

    def broken(self, values: Column) -> Column:
        """Return what the model gets for these values."""
        return values


@dataclass(frozen=True, kw_only=True)
class Nulls(Quality):
    """An input is missing in 0.05, 0.3 or 0.8 of the requests hit. Harmful where the input has weight."""

    kind: ClassVar[str] = "nulls"
    sizes: ClassVar[tuple[float, float, float]] = (0.05, 0.3, 0.8)

    @property
    def share(self) -> float:
        """The share that is missing."""
        return self.amount

    def broken(self, values: Column) -> Column:
        """Return nothing."""
        return np.full(len(values), None if values.dtype == object else np.nan, dtype=values.dtype)


@dataclass(frozen=True, kw_only=True)
class UnitChange(Quality):
    """A number arrives multiplied by 10, 100 or 1000, as after cents for euros; harmful."""

    kind: ClassVar[str] = "unit"
    sizes: ClassVar[tuple[float, float, float]] = (10.0, 100.0, 1000.0)

    def usual(self, business: Business) -> str:
        """Return the weightiest number of a size, not a share or a count."""
        return business.importance("lognormal")[0]

    def broken(self, values: Column) -> Column:
        """Return the values in the wrong unit."""
        return np.round(values * self.amount, 4)


@dataclass(frozen=True, kw_only=True)
class TimeShift(Quality):
    """An hour of the day is in another timezone: 1, 3 or 9 hours late. Without a name: the first hour there is."""

    kind: ClassVar[str] = "timezone"
    sizes: ClassVar[tuple[float, float, float]] = (1.0, 3.0, 9.0)

    def usual(self, business: Business) -> str:
        """Return the first hour of the day."""
        return next(one.name for one in business.numbers if one.kind == "hour")

    def broken(self, values: Column) -> Column:
        """Return the hours of the other timezone."""
        return (values + self.amount) % 24


@dataclass(frozen=True, kw_only=True)
class Renamed(Quality):
    """In 0.1, 0.5 or all of the requests hit a category's values are written otherwise; the model knows none of them.

    `how` is ``case`` (lower case becomes upper), ``space`` (a blank behind) or ``codes`` (numbers). Values
    without letters look the same in upper case, so choose another way for them.
    """

    how: str = "case"
    spelling: tuple[tuple[str, str], ...] = ()

    kind: ClassVar[str] = "encoding"
    sizes: ClassVar[tuple[float, float, float]] = (0.1, 0.5, 1.0)

    @property
    def share(self) -> float:
        """The share that is written otherwise."""
        return self.amount

    def settled(self, business: Business) -> Self:
        """Return the fault with its input and the other spelling of each value."""
        feature = self.feature or business.strongest()
        known = list(business.category(feature).shares)
        ways = {
            "case": [name.upper() for name in known],
            "space": [f"{name} " for name in known],
            "codes": [str(number) for number in range(len(known))],
        }
        if self.how not in ways:
            raise UsageError(f"a category is not renamed by {self.how!r}", hint=f"known: {', '.join(ways)}")
        return replace(self, feature=feature, spelling=tuple(zip(known, ways[self.how], strict=True)))

    def broken(self, values: Column) -> Column:
        """Return the other spellings."""
        renamed = dict(self.spelling)
        return np.array([renamed.get(value, value) for value in values], dtype=object)


@dataclass(frozen=True, kw_only=True)
class Unseen(Quality):
    """A value that was never there, `value`, takes 0.02, 0.1 or 0.4 of the requests hit."""

    value: str = "unknown"

    kind: ClassVar[str] = "unseen"
    sizes: ClassVar[tuple[float, float, float]] = (0.02, 0.1, 0.4)

    @property
    def share(self) -> float:
        """The share with the new value."""
        return self.amount

    def usual(self, business: Business) -> str:
        """Return the category with the strongest effects."""
        return business.strongest()

    def broken(self, values: Column) -> Column:
        """Return the new value."""
        return np.full(len(values), self.value, dtype=object)


@dataclass(frozen=True, kw_only=True)
class Stuck(Quality):
    """An input has one and the same value, the first of the time hit, in 0.3, 0.8 or all of the requests hit."""

    kind: ClassVar[str] = "stuck"
    sizes: ClassVar[tuple[float, float, float]] = (0.3, 0.8, 1.0)

    @property
    def share(self) -> float:
        """The share that is stuck."""
        return self.amount

    def broken(self, values: Column) -> Column:
        """Return the first value that is there."""
        there = values[~pd.isna(values)]
        return np.full(len(values), there[0], dtype=values.dtype) if len(there) else values


@dataclass(frozen=True, kw_only=True)
class TextNumbers(Quality):
    """A number is written as text in 0.05, 0.3 or all of the requests hit; the model takes it as missing.

    When such a log is written to files, the whole column is text.
    """

    kind: ClassVar[str] = "type"
    sizes: ClassVar[tuple[float, float, float]] = (0.05, 0.3, 1.0)

    def serve(self, world: World) -> None:
        """Write the numbers as text."""
        rows = self.chance(world, self.amount)
        column = world.served[self.feature].astype(object)
        column[rows] = [None if np.isnan(value) else f"{value:g}" for value in column[rows]]
        world.served[self.feature] = column


@dataclass(frozen=True, kw_only=True)
class RuleBroken(Quality):
    """A count exceeds the one that includes it, by one, in 0.02, 0.1 or 0.5 of the requests hit.

    Each value alone looks usual. Without names: the first such pair.
    """

    other: str = ""

    kind: ClassVar[str] = "rule"
    sizes: ClassVar[tuple[float, float, float]] = (0.02, 0.1, 0.5)

    def settled(self, business: Business) -> Self:
        """Return the fault with both counts named."""
        pair = next(one for one in business.numbers if one.over and self.other in {"", one.name})
        return replace(self, feature=pair.over, other=pair.name)

    def serve(self, world: World) -> None:
        """Put the part above the whole."""
        rows = self.chance(world, self.amount)
        column = world.served[self.feature].copy()
        column[rows] = world.served[self.other][rows] + 1
        world.served[self.feature] = column


@dataclass(frozen=True, kw_only=True)
class Swapped(Quality):
    """Two numbers stand in each other's column, in all requests hit. Without names: the two weightiest."""

    other: str = ""

    kind: ClassVar[str] = "swapped"
    sizes: ClassVar[tuple[float, float, float]] = (1.0, 1.0, 1.0)

    def settled(self, business: Business) -> Self:
        """Return the fault with both inputs named."""
        first, second, *_ = business.importance()
        return replace(self, feature=self.feature or first, other=self.other or second)

    def serve(self, world: World) -> None:
        """Swap the columns."""
        rows = self.hits(world)
        one, two = world.served[self.feature], world.served[self.other]
        world.served[self.feature] = np.where(rows, two, one)
        world.served[self.other] = np.where(rows, one, two)


@dataclass(frozen=True, kw_only=True)
class Sentinel(Nulls):
    """A number is `value` instead of missing, in 0.02, 0.1 or 0.4 of the requests hit."""

    value: float = -999.0

    kind: ClassVar[str] = "sentinel"
    sizes: ClassVar[tuple[float, float, float]] = (0.02, 0.1, 0.4)

    def broken(self, values: Column) -> Column:
        """Return the number that means missing."""
        return np.full(len(values), self.value)


@dataclass(frozen=True, kw_only=True)
class Infinite(Sentinel):
    """A number is infinite, as after a division by zero, in 0.005, 0.05 or 0.3 of the requests hit."""

    value: float = np.inf

    kind: ClassVar[str] = "infinite"
    sizes: ClassVar[tuple[float, float, float]] = (0.005, 0.05, 0.3)


@dataclass(frozen=True, kw_only=True)
class _Rows(Fault):
    """Whole requests are lost or doubled in the log."""

    mode: ClassVar[str] = "data_quality"

    def cause(self) -> dict[str, str]:
        """Return what is to be found: the part of the log."""
        return {"kind": self.kind, "name": self.where.partition("=")[2] or "log", "where": self.where}


@dataclass(frozen=True, kw_only=True)
class Duplicated(_Rows):
    """Requests are in the log twice, with the same id: 0.03, 0.15 or 0.5 of those hit."""

    kind: ClassVar[str] = "duplicates"
    sizes: ClassVar[tuple[float, float, float]] = (0.03, 0.15, 0.5)

    def log(self, world: World, table: pd.DataFrame) -> pd.DataFrame:
        """Write some rows twice."""
        times = 1 + _of(table, self.chance(world, self.amount)).astype(np.int64)
        return table.loc[table.index.repeat(times)]


@dataclass(frozen=True, kw_only=True)
class MissingRows(_Rows):
    """Requests are not in the log: 0.3, 0.7 or all of those hit. With `where` one feed or partition is missing."""

    kind: ClassVar[str] = "missing"
    sizes: ClassVar[tuple[float, float, float]] = (0.3, 0.7, 1.0)

    def log(self, world: World, table: pd.DataFrame) -> pd.DataFrame:
        """Leave rows out."""
        return table[~_of(table, self.chance(world, self.amount))]


@dataclass(frozen=True, kw_only=True)
class StaleLog(_Rows):
    """The log stops at `onset` although requests go on, everywhere or in `where`; size has no meaning."""

    kind: ClassVar[str] = "stale"

    def log(self, world: World, table: pd.DataFrame) -> pd.DataFrame:
        """Leave out what came later."""
        return table[~_of(table, self.hits(world))]


def _of(table: pd.DataFrame, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the choice for the rows that are still in the table; its index is the request's number."""
    return np.asarray(rows[table.index.to_numpy()], dtype=np.bool_)
