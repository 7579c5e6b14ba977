"""What a conformance case is, which functions must have one, and how a table gets there and back through the engine.

A case knows how to make data that differ by a given size (0: identical tables), how a table becomes the arguments of
its function, and which properties do not apply to it, each with the reason. The suite asks nothing else.
"""

import copy
import importlib
import inspect
import math
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd

import rbnb.signals
from rbnb.model import Signal

#: Rows on each side of a table, unless a case says otherwise.
N = 400
PROPERTIES = (
    "untouched",
    "order",
    "repeatable",
    "quiet",
    "loud",
    "monotone",
    "nulls",
    "empty",
    "all null",
    "constant",
    "engines",
    "oracle",
    "coverage",
    "documented",
)


@dataclass(frozen=True)
class Case:
    """How one function is held to the contract.

    `given(size)` returns a table, which `take` turns into arguments, or without `take` the arguments themselves.
    `neutral` is the value of two identical tables; None where there is one table only, and size 0 is what others are
    held against. `blot` are the columns that may hold nothing, `flat` those that a constant may fill, `of` how many
    observations a table holds. `nothing` are the arguments that hold none. `simulate(random)` returns arguments and
    the truth, a number or what to call with the signal. `excuses` say why a property does not apply.
    """

    function: Callable[..., Any]
    given: Callable[[float], Any]
    take: Callable[[pd.DataFrame], tuple[Any, ...]] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    loud: float = 1.0
    neutral: float | None = 0.0
    main: str = ""
    blot: tuple[str, ...] = ()
    flat: tuple[str, ...] = ()
    of: Callable[[pd.DataFrame], int] = lambda table: int((table["side"] == "now").sum())
    nothing: tuple[Any, ...] | None = None
    reorder: Callable[[Any], Any] | None = None
    oracle: Callable[[Any], float] | None = None
    simulate: Callable[[np.random.Generator], tuple[tuple[Any, ...], Any]] | None = None
    times: int = 200
    excuses: Mapping[str, str] = field(default_factory=dict)

    def arguments(self, data: Any) -> tuple[Any, ...]:
        """Return what the function is called with."""
        return self.take(data) if self.take else data

    def call(self, *arguments: Any) -> list[Signal]:
        """Call the function and return its signals, whatever else it returns."""
        return signals(self.function(*arguments, **self.options))

    def measure(self, data: Any) -> list[Signal]:
        """Return the signals of a table, or of arguments."""
        return self.call(*self.arguments(data))

    def pick(self, found: list[Signal]) -> Signal:
        """Return the signal that the case is about."""
        return next(signal for signal in found if not self.main or signal.name == self.main)

    def value(self, size: float) -> Signal:
        """Return the signal that the case is about, at a size."""
        return self.pick(self.measure(self.given(size)))


def signals(found: Any) -> list[Signal]:
    """Return all signals in what a function returned, in their order."""
    if isinstance(found, Signal):
        return [found]
    if isinstance(found, (list, tuple)):
        return [signal for part in found for signal in signals(part)]
    if is_dataclass(found):
        return [signal for part in fields(found) for signal in signals(getattr(found, part.name))]
    return []


def public() -> dict[str, Any]:
    """Return every public name below `rbnb.signals`, wherever its module lies, by ``module.name`` of its home."""
    found = {}
    for each in pkgutil.walk_packages(rbnb.signals.__path__, "rbnb.signals."):
        module = importlib.import_module(each.name)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            found[f"{getattr(value, '__module__', each.name)}.{name}"] = value
    return found


def measures(value: Any) -> bool:
    """Return whether a public name is a function that returns signals: its annotation says so."""
    if not inspect.isfunction(value):
        return False
    told = str(inspect.get_annotations(value).get("return", ""))
    if re.search(r"\bSignal\b", told):
        return True
    # a type of its own that bears signals
    named = value.__globals__.get(told)
    return is_dataclass(named) and any(re.search(r"\bSignal\b", str(part.type)) for part in fields(named))


def key(function: Any) -> str:
    """Return the name under which `public` lists a function."""
    return f"{function.__module__}.{function.__name__}"


def copied(value: Any) -> Any:
    """Return a deep copy of arguments."""
    return copy.deepcopy(value)


def same(one: Any, other: Any) -> bool:  # noqa: PLR0911 - one a type
    """Return whether two arguments hold exactly the same, types included."""
    if isinstance(one, (pd.DataFrame, pd.Series)):
        return one.equals(other) and list(one.index) == list(other.index)
    if isinstance(one, np.ndarray):
        if one.dtype == object:
            return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if is_dataclass(one):
        return all(same(getattr(one, part.name), getattr(other, part.name)) for part in fields(one))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return type(one).__eq__(one, other) is True or type(one).__eq__ is object.__eq__


def close(one: float | None, other: float | None) -> bool:
    """Return whether two numbers agree but for rounding; nothing agrees with nothing."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-7, abs_tol=1e-9)


def alike(one: list[Signal], other: list[Signal]) -> bool:
    """Return whether two answers are the same, list order and rounding aside."""

    def told(found: list[Signal]) -> list[Signal]:
        return sorted(found, key=lambda signal: (signal.name, signal.where))

    return len(one) == len(other) and all(
        (a.name, a.where, a.n, a.unit, a.reason) == (b.name, b.where, b.n, b.unit, b.reason)
        and close(a.value, b.value)
        and (a.interval is None) == (b.interval is None)
        and all(close(x, y) for x, y in zip(a.interval or (), b.interval or (), strict=True))
        for a, b in zip(told(one), told(other), strict=True)
    )


def shuffled(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its rows in another order."""
    return table.iloc[::-1]


def blotted(table: pd.DataFrame, columns: tuple[str, ...]) -> tuple[pd.DataFrame, int]:
    """Return a table in which some rows lack a value, or hold an infinity, and how many rows of "now" do."""
    table = table.reset_index(drop=True).copy()
    rows = table.index[table["side"] == "now"][::9] if "side" in table else table.index[::9]
    for column in columns:
        if not pd.api.types.is_numeric_dtype(table[column]):
            table.loc[rows, column] = None
        else:
            table[column] = table[column].astype(float)
            table.loc[rows[::2], column] = np.nan
            table.loc[rows[1::2], column] = np.inf
    return table, len(rows)


def nulled(table: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return a table in which columns hold nothing at all."""
    plain = {name: np.nan if pd.api.types.is_numeric_dtype(table[name]) else None for name in columns}
    return table.assign(
        **{
            name: pd.Series(value, index=table.index, dtype=table[name].dtype if value is None else float)
            for name, value in plain.items()
        }
    )


def flattened(table: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return a table in which columns hold one value each."""
    return table.assign(**{name: table[name].iloc[0] for name in columns})
