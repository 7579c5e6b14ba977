"""A column of any type, read the same way everywhere: numbers, labels, and bins of either.

Rules: nothing is dropped in silence, so what is missing, infinite or unreadable is counted and has a bin
of its own; bins come from the reference alone; the same bins serve drift and its effect on the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Bins", "Numbers", "labels", "make_bins", "numbers"]

#: Categories that have a bin of their own; rarer ones share one.
_CATEGORIES = 30


@dataclass(frozen=True, slots=True)
class Numbers:
    """A numerical column with NaN where there is no number, and how many could not be used."""

    column: NDArray[np.float64]
    nulls: int
    infinite: int

    @property
    def finite(self) -> NDArray[np.float64]:
        """The values that are finite."""
        return self.column[np.isfinite(self.column)]

    def note(self) -> str:
        """Return in words what was left out, or an empty string."""
        parts = [f"{self.nulls:,} missing"] * bool(self.nulls) + [f"{self.infinite:,} infinite"] * bool(self.infinite)
        return f"{' and '.join(parts)} of {len(self.column):,} not counted" if parts else ""


def numbers(values: Any) -> Numbers:  # noqa: ANN401 - any column, of any type
    """Read a column as numbers; what cannot be read counts as missing.

    Examples
    --------
    >>> numbers([1, None, "2", float("inf"), "x"]).column.tolist()
    [1.0, nan, 2.0, inf, nan]
    """
    import pandas as pd

    array = values if isinstance(values, np.ndarray) and values.dtype.kind == "f" else None
    if array is None:
        read = pd.to_numeric(pd.Series(values).reset_index(drop=True), errors="coerce")
        array = read.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    array = np.asarray(array, dtype=np.float64)
    return Numbers(array, int(np.isnan(array).sum()), int(np.isinf(array).sum()))


def labels(values: Any) -> NDArray[np.object_]:  # noqa: ANN401 - any column, of any type
    """Read a column as text, with None where there is nothing; whole numbers are written without a point.

    Examples
    --------
    >>> labels([1.0, "a", None]).tolist()
    ['1', 'a', None]
    """
    import pandas as pd

    plain = isinstance(values, np.ndarray) and values.dtype == object
    column = values if plain else pd.Series(values).reset_index(drop=True).astype(object)
    codes, kinds = pd.factorize(column, use_na_sentinel=True)
    names = np.array([*(_label(kind) for kind in kinds), None], dtype=object)
    return np.asarray(names[codes], dtype=object)


def _label(value: Any) -> str:  # noqa: ANN401 - one cell
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


@dataclass(frozen=True, slots=True)
class Bins:
    """Bins of a column: between `edges` for numbers, one a name for categories, then what fits nowhere.

    The last two are always: missing and infinite. Categories that are rare in the reference, or that it does not
    hold, share a bin: a bin that the reference cannot fill by its making would call every rare name a drift.
    """

    edges: NDArray[np.float64] | None
    categories: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What each bin is called."""
        if self.edges is None:
            inside = [*self.categories, "(rare or new)"]
        else:
            ends = [f"{edge:.4g}" for edge in self.edges]
            lows, highs = ["", *ends], [*ends, ""]
            inside = [
                f"{low} to {high}" if low and high else f"≤ {high}" if high else f"> {low}"
                for low, high in zip(lows, highs, strict=True)
            ]
        return (*inside, "(missing)", "(infinite)")

    def place(self, values: Any) -> NDArray[np.int64]:  # noqa: ANN401 - any column
        """Return the number of the bin that each value falls into."""
        size = len(self.names)
        if self.edges is not None:
            column = numbers(values).column
            places = np.searchsorted(self.edges, column, side="left").astype(np.int64)
            places[np.isnan(column)] = size - 2
            places[np.isinf(column)] = size - 1
            return places
        import pandas as pd

        known = {name: i for i, name in enumerate(self.categories)}
        codes, kinds = pd.factorize(labels(values), use_na_sentinel=True)
        table = [known.get(str(kind), len(self.categories)) for kind in kinds]
        return np.asarray(np.array([*table, size - 2], dtype=np.int64)[codes], dtype=np.int64)

    def count(self, values: Any) -> NDArray[np.int64]:  # noqa: ANN401 - any column
        """Return how many values fall into each bin."""
        return np.bincount(self.place(values), minlength=len(self.names))


def make_bins(reference: Any, kind: str = "numerical", bins: int = 10) -> Bins:  # noqa: ANN401 - any column
    """Return bins that hold about equally many of the reference each, or one a category.

    Parameters
    ----------
    reference
        The column in the reference.
    kind
        ``numerical`` or ``categorical``.
    bins
        How many, for numbers; fewer where values repeat.

    Examples
    --------
    >>> make_bins([1, 2, 3, 4, 5, 6, 7, 8], bins=4).edges.tolist()
    [2.0, 4.0, 6.0]
    """
    if kind == "categorical":
        import pandas as pd

        counted = pd.Series(labels(reference)).value_counts()
        names = [str(name) for name in sorted(counted.index, key=lambda name: (-int(counted[name]), name))]
        return Bins(None, tuple(names[:_CATEGORIES]))
    finite = numbers(reference).finite
    if not len(finite):
        return Bins(np.array([]))
    levels = np.arange(1, bins) / bins
    # a value that repeats must fall on one side of an edge, so edges are values that occur
    edges = np.unique(np.quantile(finite, levels, method="inverted_cdf"))
    return Bins(edges[edges < finite.max()])
