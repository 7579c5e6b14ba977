"""The groups of rows that may share a poison: a source, a batch, a source over some time, everybody over some time.

Rows are first put into cells (one source and one batch each); every group is a set of cells, so that counts of
a group are sums over cells, and thousands of groups cost little. Rules: stretches of time are runs of batches in
the order they were ingested; long histories are cut into at most 16 blocks; the names follow the grammar of
segments, ``source=x`` and ``batch=y``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["Cells", "Group", "candidate_groups", "make_cells"]

_BLOCKS = 16
#: Single batches that are looked at, the largest first.
_MOST_BATCHES = 400
#: A group of more than this share of the rows has too little left to be compared with.
_MOST = 0.7


@dataclass(frozen=True, slots=True)
class Cells:
    """Rows by source and batch.

    Parameters
    ----------
    of_row
        Cell of each row.
    source, batch
        Of each cell, by name.
    when
        Median time of the rows of each cell, in epoch seconds; NaN if unknown.
    size
        Rows in each cell.
    """

    of_row: Ints
    source: tuple[str, ...]
    batch: tuple[str, ...]
    when: Floats
    size: Ints

    def rows(self, group: Group) -> Mask:
        """Return which rows lie in a group."""
        return group.cells[self.of_row]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """A set of cells.

    Parameters
    ----------
    kind
        ``source``, ``batch`` or ``period``.
    where
        Its name as a segment; for a period the first batch and the last.
    cells
        Which cells it holds.
    batches
        Their batches, by time.
    since
        Time of its earliest cell in epoch seconds; NaN if unknown.
    whole
        Whether it is all there is of its source or batch.
    """

    kind: str
    where: str
    cells: Mask
    batches: tuple[str, ...]
    since: float
    whole: bool = True


def make_cells(source: Sequence[str], batch: Sequence[str], epoch: Floats) -> Cells:
    """Put rows into cells.

    Examples
    --------
    >>> cells = make_cells(["a", "a", "b"], ["1", "1", "2"], np.array([10.0, 20.0, 30.0]))
    >>> cells.source, cells.batch, cells.size.tolist(), cells.when.tolist()
    (('a', 'b'), ('1', '2'), [2, 1], [15.0, 30.0])
    """
    sources, s = np.unique(np.asarray(source, dtype=str), return_inverse=True)
    batches, b = np.unique(np.asarray(batch, dtype=str), return_inverse=True)
    keys, of_row, size = np.unique(s * max(len(batches), 1) + b, return_inverse=True, return_counts=True)
    when = _medians(of_row, np.asarray(epoch, dtype=np.float64), len(keys))
    return Cells(
        of_row.astype(np.int64),
        tuple(str(sources[k // len(batches)]) for k in keys),
        tuple(str(batches[k % len(batches)]) for k in keys),
        when,
        size.astype(np.int64),
    )


def _medians(of_row: Ints, values: Floats, cells: int) -> Floats:
    """Return the median of the known values in each cell."""
    known = np.isfinite(values)
    order = np.lexsort((values[known], of_row[known]))
    group, value = of_row[known][order], values[known][order]
    first = np.searchsorted(group, np.arange(cells))
    counts = np.searchsorted(group, np.arange(cells), side="right") - first
    found = np.full(cells, np.nan)
    held = counts > 0
    low, high = first[held] + (counts[held] - 1) // 2, first[held] + counts[held] // 2
    found[held] = (value[low] + value[high]) / 2
    return found


def candidate_groups(cells: Cells, *, fewest: int = 20) -> list[Group]:
    """Return every group that is worth asking about, each set of cells once.

    Sources, batches, batches of one source, stretches of one source, and stretches of all sources together;
    with at least `fewest` rows, and no more than seven tenths of all.
    """
    source, batch = np.array(cells.source), np.array(cells.batch)
    names = sorted(set(cells.source))
    found = [_group(cells, "source", f"source={name}", source == name) for name in names]
    for name in _largest_batches(cells):
        inside = batch == name
        found.append(_group(cells, "batch", f"batch={name}", inside))
        parts = sorted(set(source[inside])) if len(set(source[inside])) > 1 else []
        found += [
            _group(cells, "batch", f"source={part} & batch={name}", inside & (source == part), whole=False)
            for part in parts
        ]
    for name in names:
        found += _stretches(cells, "source", f"source={name}", source == name)
    found += _stretches(cells, "period", "", np.ones(len(source), dtype=bool))
    return _distinct(found, cells, fewest)


def _largest_batches(cells: Cells) -> list[str]:
    sizes: dict[str, int] = {}
    for name, size in zip(cells.batch, cells.size.tolist(), strict=True):
        sizes[name] = sizes.get(name, 0) + size
    return sorted(sizes, key=lambda name: (-sizes[name], name))[:_MOST_BATCHES]


def _group(cells: Cells, kind: str, where: str, inside: Mask, *, whole: bool = True) -> Group:
    order = np.argsort(np.where(np.isnan(cells.when), np.inf, cells.when), kind="stable")
    batches = tuple(dict.fromkeys(cells.batch[i] for i in order if inside[i]))
    known = cells.when[inside & ~np.isnan(cells.when)]
    return Group(kind, where, inside, batches, float(known.min()) if len(known) else float("nan"), whole)


def _stretches(cells: Cells, kind: str, where: str, inside: Mask) -> list[Group]:
    """Return every run of blocks of batches but the whole, in the order of time."""
    known = inside & ~np.isnan(cells.when)
    batch = np.array(cells.batch)
    whole = _group(cells, kind, where, known)
    blocks = [set(part) for part in np.array_split(np.array(whole.batches), min(_BLOCKS, len(whole.batches)) or 1)]
    found = []
    for first in range(len(blocks)):
        held = np.zeros(len(batch), dtype=bool)
        for last in range(first, len(blocks)):
            held = held | (known & np.isin(batch, list(blocks[last])))
            if last - first + 1 == len(blocks):
                continue
            group = _group(cells, kind, where, held, whole=False)
            name = where or f"batches={group.batches[0]}..{group.batches[-1]}"
            found.append(Group(kind, name, group.cells, group.batches, group.since, whole=False))
    return found


def _distinct(groups: list[Group], cells: Cells, fewest: int) -> list[Group]:
    total, seen, kept = int(cells.size.sum()), set(), []
    for group in groups:
        key, rows = group.cells.tobytes(), int(cells.size[group.cells].sum())
        if key not in seen and fewest <= rows <= _MOST * total:
            seen.add(key)
            kept.append(group)
    return kept
