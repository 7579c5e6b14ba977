"""Since when, and until when: the stretch of buckets in which a number lay off what is usual at their hour.

Rules: one bucket proves nothing, so the stretch is found over all of them at once, as the one whose departure
is least likely by chance; a bucket without rows says nothing; whether it is over is asked only of what came
after the stretch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Stretch", "find_stretch"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Buckets `first` to `last` (both counted), by how many standard errors they lie off, and the mean departure."""

    first: int
    last: int
    z: float
    departure: float


def find_stretch(
    sums: Floats, counts: Floats, variance: float, *, least: int = 2, since: int = 0, spread: float = 0.0
) -> Stretch | None:
    """Find the stretch of buckets whose mean departure from usual is least likely by chance.

    Parameters
    ----------
    sums
        In each bucket, the departure from what is usual, added over its rows.
    counts
        Rows in each bucket.
    variance
        Of one row's departure.
    least
        Buckets that a stretch must hold.
    since
        The stretch must reach into what begins here.
    spread
        Standard deviation between buckets beyond chance.

    Returns
    -------
    Stretch or None
        None where there are too few rows, or nothing varies.

    Notes
    -----
    The likelihood ratio of one changed segment with its own mean, over all segments: Levin & Kline (1985),
    Statistics in Medicine 4, 469.

    Examples
    --------
    >>> import numpy as np
    >>> found = find_stretch(np.array([0, 1, -1, 9, 8, 9.0]), np.full(6, 10.0), 1.0)
    >>> found.first, found.last
    (3, 5)
    """
    size = len(sums)
    if size < least or not counts.sum() or variance <= 0:
        return None
    # a bucket's mean scatters by chance and by what days differ; weights make both one
    weight = np.where(counts > 0, 1 / (variance / np.maximum(counts, 1.0) + spread**2), 0.0)
    values = np.where(counts > 0, sums / np.maximum(counts, 1.0), 0.0)
    total = np.concatenate([[0.0], np.cumsum(weight * values)])
    mass = np.concatenate([[0.0], np.cumsum(weight)])
    first, last = np.triu_indices(size + 1, k=least)
    keep = last > since
    first, last = first[keep], last[keep]
    held = mass[last] - mass[first]
    gain = np.where(held > 0, (total[last] - total[first]) ** 2 / np.maximum(held, 1e-300), 0.0)
    if not len(gain) or not gain.max() > 0:
        return None
    best = int(gain.argmax())
    start, end = int(first[best]), int(last[best])
    departure = float((total[end] - total[start]) / held[best])
    return Stretch(start, end - 1, float(np.sqrt(gain[best])), departure)
