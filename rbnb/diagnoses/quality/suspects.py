"""Every suspicion about a log's rows, one column after the other; a column that cannot be read stops no other."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from rbnb.diagnoses.quality.rows import Compared, numbers, texts
from rbnb.errors import UsageError
from rbnb.model import NotMeasured
from rbnb.signals.quality.categories import categorical_suspicions
from rbnb.signals.quality.columns import Suspicion, numerical_suspicions
from rbnb.signals.quality.rules import parse_rule
from rbnb.signals.quality.units import clock_suspicion, swap_suspicion, unit_suspicion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.inventory import Expectation, RowRule

__all__ = ["suspicions"]

_WORDS_FOR_NULL = frozenset({"", "null", "none", "nan", "n/a", "na", "nil", "nat", "-", "<na>"})


def suspicions(
    rows: Compared,
    kinds: Mapping[str, str],
    expect: Mapping[str, Expectation],
    rules: Sequence[RowRule],
    missed: list[NotMeasured],
) -> list[Suspicion]:
    """Return what may be wrong with the rows.

    Parameters
    ----------
    rows
        Window and reference.
    kinds
        Declared features, numerical or categorical.
    expect, rules
        What the owner declared.
    missed
        What could not be looked at is added here.
    """
    found: list[Suspicion] = []
    values: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for name, kind in kinds.items():
        if kind == "numerical" and f"number_{name}" in rows.now:
            values[name] = numbers(rows.now, name), numbers(rows.then, name)
            found += _numerical(rows, name, *values[name])
        elif f"text_{name}" in rows.now:
            found += _categorical(rows, name)
        if name in expect:
            found += _expected(rows, name, kind, expect[name])
    found += _swapped(values, rows)
    return [*found, *_ruled(rows, kinds, rules, missed), *_doubled(rows)]


def _numerical(rows: Compared, name: str, now: NDArray[np.float64], then: NDArray[np.float64]) -> list[Suspicion]:
    odd = None
    found: list[Suspicion] = []
    if f"text_{name}" in rows.now:
        written = rows.text(f"text_{name}"), rows.text(f"text_{name}", then=True)
        odd = _unreadable(written[0], now), _unreadable(written[1], then)
        found += _written(name, *written)
    found += numerical_suspicions(name, now, then, unreadable=odd, groups=rows.groups)
    # a marker is told as what it is, and no unit or clock is read from it
    plain = np.where(np.isin(now, [float(s.other) for s in found if s.kind == "marker"]), np.nan, now)
    times = tuple(frame["epoch"].to_numpy(np.int64) for frame in (rows.now, rows.then))
    late = clock_suspicion(name, now, then, (times[0], times[1]), rows.groups)
    if late is not None:
        return [*[s for s in found if s.kind != "marker"], late]
    scaled = unit_suspicion(name, plain, then, rows.groups)
    return found if scaled is None else [*found, scaled]


def _unreadable(written: NDArray[np.object_], read: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which texts are neither a number nor a word for none."""
    lost = np.isnan(read)
    found = np.zeros(len(read), bool)
    for at in np.flatnonzero(lost).tolist():
        text = written[at]
        found[at] = text is not None and text.strip().casefold() not in _WORDS_FOR_NULL
    return found


def _written(name: str, now: NDArray[np.object_], then: NDArray[np.object_]) -> list[Suspicion]:
    """Suspect numbers that are written in another way than before: whole, with a point, with an exponent."""
    ways = [np.array([_way(text) for text in held], dtype=object) for held in (now, then)]
    if len(then) < 200:
        return []
    known, counts = np.unique(ways[1].astype(str), return_counts=True)
    usual = {way for way, times in zip(known.tolist(), counts.tolist(), strict=True) if times > 0.1 * len(then)}
    marks = [np.array([way != "" and way not in usual for way in held], dtype=bool) for held in ways]
    return [Suspicion("type", name, "is written as another kind of text", marks[0], marks[1])]


def _way(text: str | None) -> str:
    if text is None or text.strip().casefold() in _WORDS_FOR_NULL:
        return ""
    stripped = text.strip().lstrip("+-")
    if stripped.isdigit():
        return "whole"
    if stripped.replace(".", "", 1).isdigit():
        return "point"
    return "exponent" if "e" in stripped.casefold() and stripped[:1].isdigit() else "other"


def _categorical(rows: Compared, name: str) -> list[Suspicion]:
    now, then = rows.text(f"text_{name}"), rows.text(f"text_{name}", then=True)
    return categorical_suspicions(name, now, then, groups=rows.groups)


def _expected(rows: Compared, name: str, kind: str, expect: Expectation) -> list[Suspicion]:
    """Suspect what the model file says must not be."""
    column = f"number_{name}" if kind == "numerical" else f"text_{name}"
    if column not in rows.now:
        return []
    if kind == "numerical":
        marks = [_outside(numbers(frame, name), expect) for frame in (rows.now, rows.then)]
        missing = [np.isnan(numbers(frame, name)) for frame in (rows.now, rows.then)]
    else:
        held = [rows.text(column), rows.text(column, then=True)]
        allowed = frozenset(expect.values)
        marks = [np.array([bool(allowed) and v is not None and v not in allowed for v in h], bool) for h in held]
        missing = [np.array([v is None for v in h], bool) for h in held]
    found = []
    if expect.values or expect.min is not None or expect.max is not None:  # noqa: PD011 - not a pandas object
        text = "is not what the model file expects"
        found.append(Suspicion("expect", name, text, marks[0], marks[1], declared=True))
    if not expect.nullable:
        text = "is null, which the model file does not allow"
        found.append(Suspicion("expect", name, text, missing[0], missing[1], declared=True, other="null"))
    return found


def _outside(values: NDArray[np.float64], expect: Expectation) -> NDArray[np.bool_]:
    marks = np.zeros(len(values), bool)
    with np.errstate(invalid="ignore"):
        if expect.min is not None:
            marks |= values < expect.min
        if expect.max is not None:
            marks |= values > expect.max
    if expect.values:  # noqa: PD011 - not a pandas object
        allowed = [number for number in map(_number, expect.values) if number is not None]
        marks |= np.isfinite(values) & ~np.isin(values, allowed)
    return marks


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _swapped(values: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], rows: Compared) -> list[Suspicion]:
    """Suspect pairs of columns that were exchanged; only columns that moved somewhere are tried."""
    moved = [name for name, (now, then) in values.items() if _moved(now, then, rows)]
    found = []
    for one, two in itertools.combinations(moved, 2):
        pair = swap_suspicion((one, two), (values[one][0], values[two][0]), (values[one][1], values[two][1]))
        if pair is not None:
            found.append(pair)
    return found


def _moved(now: NDArray[np.float64], then: NDArray[np.float64], rows: Compared) -> bool:
    known = then[np.isfinite(then)]
    if len(known) < 200:
        return False
    # below these lie one, five … in a hundred of the reference; in a group of a dozen rows many more must
    low, first, last, high = np.quantile(known, (0.05, 0.3, 0.7, 0.95))
    for inside in (np.ones(len(now), bool), *rows.groups):
        held = now[inside]
        held = held[np.isfinite(held)]
        if len(held) < 12:
            continue
        outside = float(np.mean((held < low) | (held > high)))
        if outside > 0.1 + 3 * (0.09 / len(held)) ** 0.5:
            return True
        if len(held) >= 20 and not first <= np.median(held) <= last:
            return True
    return False


def _ruled(
    rows: Compared, kinds: Mapping[str, str], rules: Sequence[RowRule], missed: list[NotMeasured]
) -> list[Suspicion]:
    found = []
    for declared in rules:
        try:
            rule = parse_rule(declared.check)
            marks = [
                rule.check(_columns(frame, rule.columns, kinds), len(frame)).broken for frame in (rows.now, rows.then)
            ]
        except UsageError as error:
            missed.append(NotMeasured(f"rule {declared.name}", str(error)))
            continue
        text = f"breaks the rule {declared.name} ({declared.check})"
        found.append(
            Suspicion(
                "rule", declared.name, text, marks[0], marks[1], declared=True, other="+".join(rule.columns),
                details=rule.columns,
            )
        )  # fmt: skip
    return found


def _columns(frame: pd.DataFrame, names: Sequence[str], kinds: Mapping[str, str]) -> dict[str, NDArray[np.generic]]:
    found: dict[str, NDArray[np.generic]] = {}
    for name in names:
        if kinds.get(name) == "numerical" and f"number_{name}" in frame:
            found[name] = numbers(frame, name)
            continue
        for column in (f"text_{name}", f"segment_{name}", f"extra_{name}", name):
            if column in frame:
                held = frame[column]
                found[name] = held.to_numpy(float) if held.dtype.kind == "f" else texts(frame, column)
                break
    return found


def _doubled(rows: Compared) -> list[Suspicion]:
    """Suspect requests that are in the log more than once."""
    if "request_id" not in rows.now:
        return []
    marks = [
        (frame["request_id"].duplicated() & frame["request_id"].notna()).to_numpy(bool)
        for frame in (rows.now, rows.then)
    ]
    return [Suspicion("duplicate", "request_id", "is in the log more than once", marks[0], marks[1])]
