"""Label shift without labels: is what came the old mixture of classes with another share of the positive one.

If only the rate of the outcome has changed, every input is a mixture of how it used to look for positive and for
negative rows, all with one and the same rate. So the rate is read off the scores, and each input is held
against the mixture that the rate predicts. Rules: it is learned on the reference's outcomes; that everything fits
is evidence, no proof, and a shift of the strongest input alone can look alike in the score but not in the others.

Saerens, Latinne & Decaestecker (2002), Neural Computation 14, 21; Lipton, Wang & Smola (2018), arXiv 1802.03916.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rbnb.signals.chance import chi2_tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts = NDArray[np.int64]

__all__ = ["mixture_misfit", "mixture_rate"]

_ROUNDS = 200


def mixture_rate(positive: Counts, negative: Counts, current: Counts) -> float | None:
    """Return the rate of positive rows under which the current counts are likeliest; None without rows.

    Parameters
    ----------
    positive, negative
        Reference rows of each outcome in each bin.
    current
        Rows now.

    Examples
    --------
    >>> import numpy as np
    >>> round(mixture_rate(np.array([10, 90]), np.array([90, 10]), np.array([50, 50])), 2)
    0.5
    """
    if not (positive.sum() and negative.sum() and current.sum()):
        return None
    f1, f0 = ((part + 0.5) / (part.sum() + 0.5 * len(part)) for part in (positive, negative))
    rate = 0.5
    for _ in range(_ROUNDS):
        belongs = rate * f1 / (rate * f1 + (1 - rate) * f0)
        rate = float((current * belongs).sum() / current.sum())
    return rate


def mixture_misfit(positive: Counts, negative: Counts, current: Counts, rate: float, inflation: float = 1.0) -> float:
    """Return the chance of counts that differ so much from the mixture with this rate, if it were true.

    Parameters
    ----------
    positive, negative, current
        As for `mixture_rate`.
    rate
        Of positive rows.
    inflation
        By how much days differ more than chance.

    Examples
    --------
    >>> import numpy as np
    >>> mixture_misfit(np.array([100, 900]), np.array([900, 100]), np.array([500, 500]), 0.5)
    1.0
    """
    used = (positive + negative + current) > 0
    one, other, now = (part[used].astype(np.float64) for part in (positive, negative, current))
    if len(now) < 2 or not (one.sum() and other.sum() and now.sum()):
        return 1.0
    f1, f0, n = one / one.sum(), other / other.sum(), now.sum()
    expected = rate * f1 + (1 - rate) * f0
    learned = rate**2 * f1 * (1 - f1) / one.sum() + (1 - rate) ** 2 * f0 * (1 - f0) / other.sum()
    variance = expected * (1 - expected) / n + learned
    enough = expected * n >= 5
    if enough.sum() < 2:
        return 1.0
    # each bin's square over its own variance, with the share that a multinomial's dependence takes off
    squares = (now / n - expected) ** 2 / np.maximum(variance, 1e-12) * (1 - expected)
    return chi2_tail(float(squares[enough].sum()) / max(inflation, 1.0), int(enough.sum()) - 1)
