"""What is in a column on either side: how much of it is null or infinite, and which category moved most.

Evidently drops nulls before it compares, and its distances are taken over all categories together; so these
counts are what explains most of the differences. Pure: arrays in, numbers out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CERTAIN", "Facts", "certainty", "facts_of"]

#: Standard errors from which a difference of two shares is no chance: p = 0.001, two-sided.
CERTAIN = 3.29
#: Categories that are looked at one by one; of more, each holds too little to move anything.
_MOST_CATEGORIES = 200


@dataclass(frozen=True, slots=True)
class Facts:
    """Counts of one column; shares are 0 to 1 of all rows of a side, and ``category`` is the one that moved most.

    `null_certainty` is the distance of the two shares of nulls in standard errors. `category` is None for
    numbers, and where no category's share changed with certainty.
    """

    kind: str
    rows: tuple[int, int]
    nulls: tuple[float, float]
    null_certainty: float
    infinite: tuple[float, float]
    category: str | None = None
    category_shares: tuple[float, float] = (0.0, 0.0)


def certainty(k: float, n: float, m: float, size: float) -> float:
    """Return how many standard errors the shares ``k / n`` and ``m / size`` lie apart, signed, pooled.

    0 where a side is empty. Source: the two-proportion z test, as in any textbook.

    Examples
    --------
    >>> round(certainty(100, 1000, 200, 1000), 2), certainty(0, 0, 3, 10)
    (6.26, 0.0)
    """
    if not n or not size:
        return 0.0
    pooled = (k + m) / (n + size)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / size))
    return (m / size - k / n) / spread if spread else 0.0


def facts_of(kind: str, reference: pd.Series, current: pd.Series) -> Facts:
    """Count what is in a column before and now.

    Examples
    --------
    >>> import pandas as pd
    >>> found = facts_of("categorical", pd.Series(["a"] * 90 + ["b"] * 10), pd.Series(["a"] * 60 + ["b"] * 40))
    >>> found.category, found.category_shares
    ('b', (0.1, 0.4))
    """
    sides = (reference, current)
    rows = (len(reference), len(current))
    nulls = tuple(int(side.isna().sum()) for side in sides)
    infinite = tuple(int(np.isinf(side.to_numpy()).sum()) if kind == "numerical" else 0 for side in sides)
    category, shares = _moved_most(*sides) if kind == "categorical" else (None, (0.0, 0.0))
    return Facts(
        kind,
        rows,
        (_share(nulls[0], rows[0]), _share(nulls[1], rows[1])),
        certainty(nulls[0], rows[0], nulls[1], rows[1]),
        (_share(infinite[0], rows[0]), _share(infinite[1], rows[1])),
        category,
        shares,
    )


def _share(count: int, of: int) -> float:
    return count / of if of else 0.0


def _moved_most(reference: pd.Series, current: pd.Series) -> tuple[str | None, tuple[float, float]]:
    """Return the category whose share changed by the largest factor, of those that certainly changed."""
    before, now = reference.value_counts(), current.value_counts()
    n, m = int(before.sum()), int(now.sum())
    names = {*before.index[:_MOST_CATEGORIES], *now.index[:_MOST_CATEGORIES]}
    best: str | None = None
    largest, shares = 0.0, (0.0, 0.0)
    for name in sorted(names, key=str):
        k, j = int(before.get(name, 0)), int(now.get(name, 0))
        fold = abs(math.log((j + 0.5) / (m + 1)) - math.log((k + 0.5) / (n + 1)))
        if abs(certainty(k, n, j, m)) >= CERTAIN and fold > largest:
            best, largest, shares = str(name), fold, (_share(k, n), _share(j, m))
    return best, shares
