"""Where rows of a kind gather: copies, outliers or gaps spread over every source are life, in one batch they are not.

Rules: a group is held against all rows outside it, by the likelihood ratio of two shares; the interval of its
excess and its p-value stand Bonferroni over every group asked about; what is blamed is taken out, and the rest is
asked again. Wilks (1938) for the ratio; Newcombe (1998) for the difference of two shares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbnb.signals.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rbnb.signals.poisoning.groups import Cells, Group

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["Gathering", "gatherings"]

_MOST_NAMED = 4


@dataclass(frozen=True, slots=True, eq=False)
class Gathering:
    """A group with more rows of a kind than the others have.

    Parameters
    ----------
    group
        Which rows.
    share, usual
        Share of its rows that are of the kind, and of all other rows.
    interval
        Of the excess, 95 % after Bonferroni.
    n, held
        Rows in the group, and those of the kind.
    statistic
        Likelihood ratio.
    """

    group: Group
    share: float
    usual: float
    interval: tuple[float, float]
    n: int
    held: int
    statistic: float


def gatherings(flags: Mask, cells: Cells, groups: Sequence[Group], *, alpha: float, least: float) -> list[Gathering]:
    """Return the groups that hold more flagged rows than the others, strongest first, none overlapping.

    Parameters
    ----------
    flags
        Which rows are of the kind.
    cells, groups
        Where rows are from, and the groups to ask about.
    alpha
        Family-wise error rate over all groups.
    least
        Excess over the others that the lower end of the interval must reach, as a share.
    """
    flagged = np.bincount(cells.of_row[flags], minlength=len(cells.size)).astype(np.float64)
    free, found = list(groups), list[Gathering]()
    left = np.ones(len(cells.size), dtype=bool)
    critical = _critical(alpha / max(len(groups), 1))
    while free and len(found) < _MOST_NAMED:
        member = np.array([group.cells & left for group in free])
        held, n = member @ flagged, member @ cells.size.astype(np.float64)
        rest_held, rest = flagged[left].sum() - held, cells.size[left].sum() - n
        statistic = _ratio(held, n, rest_held, rest)
        best = None
        for i in np.argsort(-statistic, kind="stable")[:20]:
            one = _gathering(free[i], float(held[i]), float(n[i]), (float(rest_held[i]), float(rest[i])), critical)
            if statistic[i] > critical**2 and one.interval[0] >= least:
                best = Gathering(one.group, one.share, one.usual, one.interval, one.n, one.held, float(statistic[i]))
                break
        if best is None:
            break
        found.append(best)
        left = left & ~best.group.cells
        free = [group for group in free if not (group.cells & best.group.cells).any()]
    return found


def _ratio(held: Floats, n: Floats, rest_held: Floats, rest: Floats) -> Floats:
    """Return the likelihood ratio of two shares against one, 0 where the group's is not the larger."""
    pooled = (held + rest_held) / np.maximum(n + rest, 1.0)
    value = 2 * (_log(held, n) + _log(rest_held, rest) - _log_at(held, n, pooled) - _log_at(rest_held, rest, pooled))
    higher = held / np.maximum(n, 1.0) > rest_held / np.maximum(rest, 1.0)
    return np.where(higher & (rest > 0), value, 0.0)


def _log(held: Floats, n: Floats) -> Floats:
    return _log_at(held, n, held / np.maximum(n, 1.0))


def _log_at(held: Floats, n: Floats, p: Floats) -> Floats:
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return held * np.log(p) + (n - held) * np.log1p(-p)


def _gathering(group: Group, held: float, n: float, rest: tuple[float, float], critical: float) -> Gathering:
    (low, high), (base_low, base_high) = wilson(held, n, critical), wilson(*rest, critical)
    one, other = held / n if n else 0.0, rest[0] / rest[1] if rest[1] else 0.0
    gap = one - other
    interval = (gap - math.hypot(one - low, base_high - other), gap + math.hypot(high - one, other - base_low))
    return Gathering(group, one, other, interval, int(n), int(held), 0.0)


def _critical(alpha: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(1 - min(max(alpha, 1e-15), 0.5) / 2)
