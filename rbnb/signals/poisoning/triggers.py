"""Trigger patterns: a rare combination of feature values that bears one label far too often.

A backdoor is planted by giving some rows a mark (a value, or two or three together) and one label. Honest rows
hardly ever carry the mark, so the model learns to obey it, and nothing is seen on ordinary data. Here values
and pairs of values are counted at once as matrix products, and the combinations that stand out most are extended
by a third value and by a source. Rules: a combination is rare, nearly pure in one label, and far from what a
model that has not seen the source expects of those very rows; its binomial tail stands Bonferroni over every
combination that was counted; where rows of other sources carry the same mark and bear honest labels they speak
against it being natural, and where they bear the same label it is natural and not named.

Sources: Agrawal & Srikant (1994), Fast Algorithms for Mining Association Rules, for the search; Gu, Dolan-Gavitt &
Garg (2017), BadNets, arXiv 1708.06733, for the attack; MITRE ATLAS AML.T0020 (training data poisoning).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.model import Signal
from rbnb.signals.intervals import share
from rbnb.signals.poisoning.training_rows import as_numbers, as_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.signals.poisoning.training_rows import Encoding

    Floats = NDArray[np.floating[Any]]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["Items", "Trigger", "find_triggers", "make_items", "trigger_signals"]

#: Values of a column that are looked at, most frequent first, and equal parts a numerical one is cut into.
_VALUES, _PARTS = 20, 8
#: A value must occur this often to be an item.
_FEWEST = 8
#: Combinations that are extended by a further value.
_EXTENDED = 30
#: Patterns that may be named, one after the other.
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Items:
    """Values of columns, and which rows bear them.

    Parameters
    ----------
    names
        ``column=value``, or ``column=[low, high)`` for a part of a numerical column.
    column
        Which column each is of.
    borne
        One row a row, one column an item.
    """

    names: tuple[str, ...]
    column: Ints
    borne: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Trigger:
    """A combination of values that bears one label implausibly often.

    Parameters
    ----------
    where
        The values, and the source if only there; parts joined by `` & ``.
    label
        Code of the label it bears.
    rows
        Which rows carry it.
    observed, expected
        How many of them bear the label, and how many the model expects.
    n
        How many carry it.
    log_p
        Natural logarithm of the binomial tail times the number of combinations counted.
    source
        The source, or "".
    """

    where: str
    label: int
    rows: Mask
    observed: int
    expected: float
    n: int
    log_p: float
    source: str = ""


def make_items(frame: pd.DataFrame, encoding: Encoding) -> Items:
    """Return the values of a table's features as items: categories, repeated numbers, and eighths of numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from rbnb.signals.poisoning.training_rows import learn_encoding
    >>> table = pd.DataFrame({"place": ["a", "b"] * 8})
    >>> make_items(table, learn_encoding(table, {"place": "categorical"})).names
    ('place=a', 'place=b')
    """
    names: list[str] = []
    column: list[int] = []
    borne: list[Mask] = []
    for j, name in enumerate(encoding.names):
        found = _categories(frame, name) if name in encoding.categories else _numbers(frame, name)
        for label, rows in found:
            if rows.sum() >= _FEWEST:
                names.append(f"{name}={label}")
                column.append(j)
                borne.append(rows)
    matrix = np.column_stack(borne) if borne else np.zeros((len(frame), 0))
    return Items(tuple(names), np.array(column, dtype=np.int64), matrix.astype(np.float32))


def _categories(frame: pd.DataFrame, name: str) -> list[tuple[str, Mask]]:
    values = np.array(as_texts(frame, name), dtype=object).astype(str)
    found, counts = np.unique(values, return_counts=True)
    return [(str(found[i]), values == found[i]) for i in np.lexsort((found, -counts))[: 2 * _VALUES]]


def _numbers(frame: pd.DataFrame, name: str) -> list[tuple[str, Mask]]:
    values = as_numbers(frame, name)
    known = np.isfinite(values)
    found, counts = np.unique(values[known], return_counts=True)
    items = [(f"{found[i]:.10g}", values == found[i]) for i in np.lexsort((found, -counts))[:_VALUES]]
    if len(found) > _VALUES:
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, _PARTS + 1)))
        part = np.searchsorted(edges[1:-1], values, side="right")
        items += [(f"[{edges[i]:.4g}, {edges[i + 1]:.4g})", known & (part == i)) for i in range(len(edges) - 1)]
    if not known.all():
        items.append(("(none)", ~known))
    return items


@dataclass(frozen=True, slots=True)
class _Counted:
    """A combination with what was counted."""

    items: tuple[int, ...]
    source: str
    label: int
    rows: Mask
    gain: float


def find_triggers(
    items: Items,
    labels: Ints,
    probabilities: Floats,
    sources: Sequence[str],
    *,
    alpha: float,
    purity: float,
    rare: float,
) -> tuple[list[Trigger], int]:
    """Find combinations of one to three values that bear one label implausibly often.

    Parameters
    ----------
    items
        From `make_items`.
    labels, probabilities
        Class codes from 0, and what a model that has not seen a row's source expects.
    sources
        Of each row.
    alpha
        Family-wise error rate over all combinations counted.
    purity
        Share of the rows that must bear the label.
    rare
        Share of the table that may carry the combination at most.

    Returns
    -------
    tuple of list of Trigger and int
        Strongest first, and how many combinations were counted.
    """
    if not items.names or len(labels) < 2 * _FEWEST:
        return [], 0
    from_source = np.asarray(sources, dtype=str)
    found: list[Trigger] = []
    free, tried = np.ones(len(labels), dtype=bool), 0
    for _ in range(_MOST_NAMED):
        counted, number = _search(items, labels, probabilities, from_source, free, rare)
        tried = tried or number
        best = _best(counted, items, labels, probabilities, from_source, (alpha, purity, tried))
        if best is None:
            break
        found.append(best)
        free = free & ~best.rows
    return found, tried


def _search(
    items: Items, labels: Ints, probabilities: Floats, sources: NDArray[np.str_], free: Mask, rare: float
) -> tuple[list[_Counted], int]:
    """Count values and pairs, then extend those that stand out by a third value and by a source."""
    borne = items.borne * free[:, None]
    n = borne.T @ borne
    enough = (n >= _FEWEST) & (n <= max(rare * len(labels), _FEWEST))
    same = items.column[:, None] == items.column[None, :]
    enough &= ~same | np.eye(len(n), dtype=bool)
    tried, counted = 0, []
    for label in range(probabilities.shape[1]):
        seen, p = (labels == label).astype(np.float32), probabilities[:, label].astype(np.float32)
        observed, expected = borne.T @ (borne * seen[:, None]), borne.T @ (borne * p[:, None])
        gain = np.where(np.triu(enough), _gain(observed, expected, n), 0.0)
        wide = np.where(
            np.triu(n >= _FEWEST) & ~(same & ~np.eye(len(n), dtype=bool)), _gain(observed, expected, n), 0.0
        )
        tried += int(np.triu(enough).sum())
        starts = _top(gain) + _top(wide)
        for pair in dict.fromkeys(starts):
            counted += _extended(pair, borne, items, label, (seen, p), sources, rare * len(labels))
    return counted, tried * 2


def _gain(observed: Floats, expected: Floats, n: Floats) -> Floats:
    """Return the binomial log likelihood gained over the expected rate, where there is more than expected."""
    n = np.maximum(n, 1.0)
    rate, base = observed / n, np.clip(expected / n, 1e-4, 1 - 1e-4)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = observed * np.log(rate / base) + (n - observed) * np.log((1 - rate) / (1 - base))
        gain = np.where(observed >= n - 1e-3, -n * np.log(base), gain)
    return np.where((rate > base) & np.isfinite(gain), gain, 0.0)


def _top(gain: Floats) -> list[tuple[int, ...]]:
    order = np.argsort(-gain, axis=None, kind="stable")[:_EXTENDED]
    pairs = [divmod(int(k), len(gain)) for k in order if gain.flat[k] > 6]
    return [(a,) if a == b else (a, b) for a, b in pairs]


def _extended(
    start: tuple[int, ...],
    borne: NDArray[np.float32],
    items: Items,
    label: int,
    model: tuple[Floats, Floats],
    sources: NDArray[np.str_],
    most: float,
) -> list[_Counted]:
    """Return a combination as it is, with each further value, and the better of these within each source."""
    rows = borne[:, list(start)].prod(axis=1) > 0
    inside = borne[rows]
    seen, p = model[0][rows], model[1][rows]
    n = inside.sum(axis=0)
    gain = np.where(n >= _FEWEST, _gain(inside.T @ seen, inside.T @ p, n), 0.0)
    gain[np.isin(items.column, items.column[list(start)])] = 0.0
    found = [_Counted(start, "", label, rows, 0.0)]
    further = [int(i) for i in np.argsort(-gain, kind="stable")[:2] if gain[i] > 0] if len(start) < 3 else []
    found += [_Counted((*start, i), "", label, rows & (borne[:, i] > 0), 0.0) for i in further]
    for one in list(found):
        held = sources[one.rows]
        found += [_Counted(one.items, str(name), label, one.rows & (sources == name), 0.0) for name in np.unique(held)]
    scored = []
    for one in found:
        size = float(one.rows.sum())
        if _FEWEST <= size <= most:
            value = float(
                _gain(*(np.array(x, dtype=float) for x in (model[0][one.rows].sum(), model[1][one.rows].sum(), size)))
            )
            scored.append(_Counted(one.items, one.source, label, one.rows, value))
    return scored


def _best(
    counted: Sequence[_Counted],
    items: Items,
    labels: Ints,
    probabilities: Floats,
    sources: NDArray[np.str_],
    limits: tuple[float, float, int],
) -> Trigger | None:
    """Return the strongest combination that is pure, certain and not natural, with as few values as it takes."""
    alpha, purity, tried = limits
    fit = []
    for one in sorted(counted, key=lambda c: (-c.gain, len(c.items), c.items, c.source)):
        trigger = _trigger(one, items, labels, probabilities, tried)
        if trigger.observed < purity * trigger.n or trigger.log_p > math.log(alpha):
            continue
        if not _natural(one, trigger, items, labels, probabilities, sources):
            fit.append((one, trigger))
            if len(fit) == 40:
                break
    if not fit:
        return None
    best = fit[0][1]
    alike = [pair for pair in fit if (pair[1].rows & best.rows).sum() >= 0.9 * max(pair[1].n, best.n)]
    return min(
        alike, key=lambda pair: (len(pair[0].items), _ranges(pair[1].where), pair[1].source != "", pair[1].log_p)
    )[1]


def _ranges(where: str) -> int:
    return where.count("=[")


def _trigger(one: _Counted, items: Items, labels: Ints, probabilities: Floats, tried: int) -> Trigger:
    from scipy.stats import binom

    n, observed = int(one.rows.sum()), int((labels[one.rows] == one.label).sum())
    expected = float(probabilities[one.rows, one.label].sum())
    log_p = float(binom.logsf(observed - 1, n, min(max(expected / max(n, 1), 1e-6), 1 - 1e-6)))
    parts = [items.names[i] for i in sorted(one.items)]
    where = " & ".join(parts)
    return Trigger(where, one.label, one.rows, observed, expected, n, log_p + math.log(max(tried, 1)), one.source)


def _natural(
    one: _Counted, trigger: Trigger, items: Items, labels: Ints, probabilities: Floats, sources: NDArray[np.str_]
) -> bool:
    """Whether rows of other sources carry these values, or some of them, and bear the label as much too often."""
    held, counts = np.unique(sources[one.rows], return_counts=True)
    main = one.source or (str(held[counts.argmax()]) if len(held) else "")
    excess = (trigger.observed - trigger.expected) / trigger.n
    for size in range(1, len(one.items) + 1):
        for part in combinations(one.items, size):
            others = (items.borne[:, list(part)].prod(axis=1) > 0) & (sources != main)
            n = int(others.sum())
            more = float((labels[others] == one.label).sum() - probabilities[others, one.label].sum())
            if n >= _FEWEST and more / n > 0.5 * excess:
                return True
    return False


def trigger_signals(found: Sequence[Trigger], names: Sequence[str], n: int, tried: int) -> list[Signal]:
    """Return the share of rows that carry a trigger, and of each its purity against what was expected.

    Source: own definition, for the attack of Gu, Dolan-Gavitt & Garg (2017), arXiv 1708.06733; unit ``share``, with
    the interval of Wilson (1927), JASA 22, 209.

    Parameters
    ----------
    found
        From `find_triggers`.
    names
        Of the classes, by code.
    n
        Rows searched.
    tried
        Combinations counted.

    Examples
    --------
    >>> trigger_signals([], ["0", "1"], 900, 5000)[0].value
    0.0
    """
    method = f"{tried:,} combinations of one to three values counted, binomial tail, Bonferroni"
    if not tried:
        reason = "no features, or too few rows, to look for combinations of values"
        return [Signal("trigger_share", None, "share", n, method, reason=reason)]
    signals = [share("trigger_share", sum(t.n for t in found), n, method=method)]
    for t in found:
        told = f"{t.observed} of {t.n} bear label {names[t.label]}, {t.expected:.0f} expected; {method}"
        where = f"source={t.source} & {t.where}" if t.source else t.where
        signals.append(share("trigger_purity", t.observed, t.n, where=where, method=told, reference=t.expected / t.n))
    return signals
