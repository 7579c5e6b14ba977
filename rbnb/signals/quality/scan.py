"""Since when and where more rows are wrong than usual: a scan over time and over slices.

For each slice the stretch of buckets is sought that is likeliest to have a higher rate of wrong rows than usual,
by the log likelihood ratio of the binomial (Kulldorff 1997, Communications in Statistics 26, 1481). Rules: each
slice is held against its own usual rate, taken at its upper bound, so that a short reference does not alarm;
where the usual rate itself scatters from hour to hour, the ratio is divided by that scatter; a stretch may
begin before the window that was asked about and may be over before it ends, and both are told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbnb.signals.intervals import wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Table = NDArray[np.float64]

__all__ = ["Stretch", "expected_rates", "overdispersion", "scan"]

#: Rates that are tried for the stretch, as the share of the way from the usual rate to 1.
_TRIED = (0.005, 0.02, 0.06, 0.15, 0.4, 0.8, 0.97)
#: Rows a slice needs in the reference to be its own yardstick in full; with fewer the whole is mixed in.
_OWN = 100.0
#: Wrong rows a slice should have had, by the rate of the whole, for its own rate to mean something.
_SHOWS = 3.0
#: z of the upper bound that usual rates are taken at.
_CAREFUL = 1.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """A run of buckets in one slice with more wrong rows than usual.

    Parameters
    ----------
    slice
        Which row of the table.
    first, last
        Buckets, both included.
    ratio
        Log likelihood ratio over the scatter of the usual rate; the larger the surer.
    bad, n, expected
        Wrong rows, rows, and wrong rows expected.
    """

    slice: int
    first: int
    last: int
    ratio: float
    bad: float
    n: float
    expected: float

    @property
    def share(self) -> float:
        """Share of rows that are wrong."""
        return self.bad / self.n if self.n else 0.0

    @property
    def excess(self) -> float:
        """Rows that are wrong beyond what is usual."""
        return self.bad - self.expected


def expected_rates(bad: NDArray[np.float64], n: NDArray[np.float64], whole: tuple[float, float]) -> Table:
    """Return the usual rate of each slice, at its upper bound.

    Parameters
    ----------
    bad, n
        Wrong rows and rows of each slice in the reference.
    whole
        The same over everything, mixed in with the weight of a hundred rows. A slice that could hardly show a rate
        of its own gets at least the bound of the whole: then of two slices with the same wrong rows the smaller is
        the surer.

    Examples
    --------
    >>> import numpy as np
    >>> expected_rates(np.array([0.0, 50.0]), np.array([1000.0, 1000.0]), (50, 2000)).round(3).tolist()
    [0.004, 0.054]
    """
    rate = whole[0] / whole[1] if whole[1] else 0.0
    own = (bad + rate * _OWN) / (n + _OWN)
    upper = own + _CAREFUL * np.sqrt(own * (1 - own) / (n + _OWN))
    floor = np.where(n * rate < _SHOWS, wilson(*whole, _CAREFUL)[1], 0.0)
    return np.asarray(np.maximum(np.maximum(upper, floor), 1e-6), dtype=np.float64)


def overdispersion(bad: NDArray[np.float64], n: NDArray[np.float64]) -> float:
    """Return how much more a rate scatters from bucket to bucket than the binomial says, at least 1.

    Pearson's chi-squared over its degrees of freedom, in runs of buckets that expect five wrong rows; without
    ten of those nothing is known of the scatter and 1 is returned. McCullagh & Nelder (1989), 4.5.

    Examples
    --------
    >>> import numpy as np
    >>> overdispersion(np.tile([0.0, 20.0], 50), np.full(100, 100.0)) > 5
    True
    """
    total, wrong = float(n.sum()), float(bad.sum())
    if not 0 < wrong < total:
        return 1.0
    rate = wrong / total
    group = np.floor(np.cumsum(n) * rate / 5.0 - 1e-9).astype(np.int64)
    groups = int(group[-1]) + 1
    if groups < 10:
        return 1.0
    held, seen = np.bincount(group, n, groups), np.bincount(group, bad, groups)
    full = held > 0
    expected = held[full] * rate
    chi = float(((seen[full] - expected) ** 2 / (expected * (1 - rate))).sum())
    return max(chi / (int(full.sum()) - 1), 1.0)


def scan(bad: Table, n: Table, rates: Table, *, scatter: float = 1.0) -> list[Stretch]:
    """Return for each slice its likeliest stretch, the surest first; slices without any excess are left out.

    Parameters
    ----------
    bad, n
        Wrong rows and rows: one row a slice, one column a bucket of time.
    rates
        Usual rate: one a slice, or one a slice and bucket.
    scatter
        What the ratio is divided by (`overdispersion`).

    Examples
    --------
    >>> import numpy as np
    >>> n = np.full((1, 10), 50.0); bad = np.zeros((1, 10)); bad[0, 6:] = 20
    >>> found = scan(bad, n, np.array([[0.01]]))[0]
    >>> found.first, found.last, round(found.share, 2)
    (6, 9, 0.4)
    """
    usual = np.clip(np.broadcast_to(rates if rates.ndim == 2 else rates[:, None], bad.shape), 1e-6, 1 - 1e-6)
    best = np.full(len(bad), -np.inf)
    runs = np.zeros((len(bad), 2), dtype=np.int64)
    for part in _TRIED:
        gain, found = _best_runs(bad, n, usual, usual + (1 - usual) * part)
        better = gain > best
        best, runs = np.where(better, gain, best), np.where(better[:, None], found, runs)
    # once more at the rate that was found, which is what dates the start best
    _, runs = _best_runs(bad, n, usual, _raised(bad, n, usual, runs))
    stretches = []
    for row, (first, last) in enumerate(runs.tolist()):
        inside = slice(first, last + 1)
        found_one = _measured(row, first, last, bad[row, inside], n[row, inside], usual[row, inside], scatter)
        stretches += [found_one] if found_one is not None else []
    return sorted(stretches, key=lambda one: (-one.ratio, one.slice))


def _raised(bad: Table, n: Table, usual: Table, runs: NDArray[np.int64]) -> Table:
    """Return for each slice the rate found in its stretch, at least a little above what is usual."""
    wrong, held = (np.concatenate([np.zeros((len(bad), 1)), np.cumsum(v, axis=1)], axis=1) for v in (bad, n))
    row = np.arange(len(bad))
    part = (wrong[row, runs[:, 1] + 1] - wrong[row, runs[:, 0]]) / np.maximum(
        held[row, runs[:, 1] + 1] - held[row, runs[:, 0]], 1.0
    )
    return np.asarray(np.clip(np.maximum(part[:, None], usual * 1.05), 1e-6, 1 - 1e-6), dtype=np.float64)


def _best_runs(bad: Table, n: Table, usual: Table, raised: Table) -> tuple[Table, NDArray[np.int64]]:
    """Return for each row the run of columns that gains most by the raised rate (Kadane, by running minima)."""
    gain = bad * np.log(raised / usual) + (n - bad) * np.log((1 - raised) / (1 - usual))
    sums = np.concatenate([np.zeros((len(gain), 1)), np.cumsum(gain, axis=1)], axis=1)
    risen = sums[:, 1:] - np.minimum.accumulate(sums[:, :-1], axis=1)
    last = np.argmax(risen, axis=1)
    # the lowest sum before the end, the latest of several, is where the run starts
    before = np.where(np.arange(sums.shape[1])[None, :] <= last[:, None], sums, np.inf)
    first = sums.shape[1] - 1 - np.argmin(before[:, ::-1], axis=1)
    return risen[np.arange(len(gain)), last], np.stack([np.minimum(first, last), last], axis=1)


def _measured(row: int, first: int, last: int, bad: Table, n: Table, usual: Table, scatter: float) -> Stretch | None:
    held, wrong, expected = float(n.sum()), float(bad.sum()), float((n * usual).sum())
    if held <= 0 or wrong <= expected:
        return None
    ratio = wrong * math.log(wrong / expected)
    if held > wrong:
        ratio += (held - wrong) * math.log((held - wrong) / max(held - expected, 1e-9))
    return Stretch(row, first, last, ratio / scatter, wrong, held, expected)
