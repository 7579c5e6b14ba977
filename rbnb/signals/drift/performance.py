"""How well predictions turned out, where the outcome is known: ranking, decisions, probabilities, and numbers.

Rules: each number has a 95 % interval; a drop is told against the reference with the spread between stretches
of the reference, because real weeks differ; rows without score or outcome are counted and left out; where
only one outcome is there, there is nothing to rank, and the reason says so.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.model import Signal
from rbnb.signals.chance import Z95
from rbnb.signals.drift.bins import labels, numbers
from rbnb.signals.drift.effects import widened
from rbnb.signals.intervals import share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["accuracy", "auc", "base_rate", "brier", "drop", "log_loss", "mean_error", "midranks", "rise", "usable"]

_FEWEST = 20
#: Probabilities are kept this far from 0 and 1 in logarithms.
_EDGE = 1e-6


def usable(scores: Any, targets: Any) -> tuple[Floats, Floats, str]:  # noqa: ANN401 - any columns
    """Return scores and outcomes of the rows that have both, and in words how many have not."""
    score, target = numbers(scores).column, numbers(targets).column
    known = np.isfinite(score) & np.isfinite(target)
    missing = int(len(known) - known.sum())
    note = f"{missing:,} of {len(known):,} rows without score or outcome not counted" if missing else ""
    return score[known], target[known], note


def midranks(values: Floats) -> Floats:
    """Return the rank of each value from 1, ties at their middle."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)


def auc(scores: Any, targets: Any, *, name: str = "auc", where: str = "") -> Signal:  # noqa: ANN401
    """Measure the chance that a positive row has the higher score than a negative one: area under the ROC curve.

    Source: DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, 837; unit ``auc``.

    DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, 837, for the interval; computed from ranks after
    Sun & Xu (2014), IEEE Signal Processing Letters 21, 1389.

    Examples
    --------
    >>> auc([0.1, 0.4, 0.35, 0.8] * 10, [0, 0, 1, 1] * 10).value
    0.75
    """
    score, target, note = usable(scores, targets)
    positive = target > 0.5
    n, m = int(positive.sum()), int((~positive).sum())
    method = "area under the ROC curve, DeLong interval"
    if min(n, m) < 10:
        reason = f"{n:,} positive and {m:,} negative outcomes, 10 of each are needed"
        return Signal(name, None, "auc", len(score), method, where=where, reason=reason)
    whole = midranks(score)
    above = (whole[positive] - midranks(score[positive])) / m
    below = 1 - (whole[~positive] - midranks(score[~positive])) / n
    value = float(above.mean())
    half = Z95 * math.sqrt(float(above.var(ddof=1)) / n + float(below.var(ddof=1)) / m)
    interval = (max(value - half, 0.0), min(value + half, 1.0))
    return Signal(name, value, "auc", len(score), method, interval, where, reason=note)


def accuracy(predictions: Any, targets: Any, *, name: str = "accuracy", where: str = "") -> Signal:  # noqa: ANN401
    """Measure the share of decisions that turned out right, with Wilson's interval.

    Source: Wilson (1927), JASA 22, 209, for the interval; unit ``share``.

    Examples
    --------
    >>> accuracy(["yes", "no"] * 10, ["yes", "yes"] * 10).value
    0.5
    """
    import pandas as pd

    said, was = labels(predictions), labels(targets)
    known = pd.notna(said) & pd.notna(was)
    right = int((said[known] == was[known]).sum())
    found = share(name, right, int(known.sum()), where=where, method="decisions equal to outcomes, Wilson interval")
    return _told(found, len(known), "decision or outcome")


def base_rate(targets: Any, *, name: str = "base_rate", where: str = "") -> Signal:  # noqa: ANN401
    """Measure how often the positive outcome occurs, with Wilson's interval.

    Source: Wilson (1927), JASA 22, 209, for the interval; unit ``share``.

    Examples
    --------
    >>> base_rate([1, 0, 0, 0] * 10).value
    0.25
    """
    column, known = numbers(targets).column, numbers(targets).finite
    found = share(name, int((known > 0.5).sum()), len(known), where=where, method="positive outcomes, Wilson interval")
    return _told(found, len(column), "outcome")


def _told(found: Signal, rows: int, what: str) -> Signal:
    """Return a share with how many rows it could not use in its reason."""
    missing = rows - found.n
    if found.value is None or not missing:
        return found
    return replace(found, reason=f"{missing:,} of {rows:,} rows without {what} not counted")


def brier(scores: Any, targets: Any, *, name: str = "brier", where: str = "") -> Signal:  # noqa: ANN401
    """Measure the mean squared distance of probability and outcome.

    Source: Brier (1950), Monthly Weather Review 78, 1; unit ``squared error``.

    Examples
    --------
    >>> brier([0.5] * 40, [0, 1] * 20).value
    0.25
    """
    score, target, note = usable(scores, targets)
    return _mean((score - target) ** 2, name, "squared error", "mean of (probability - outcome)²", where, note)


def log_loss(scores: Any, targets: Any, *, name: str = "log_loss", where: str = "") -> Signal:  # noqa: ANN401
    """Measure the mean of minus the log of the probability given to what happened.

    Source: Good (1952), JRSS B 14, 107; unit ``nats``.

    Examples
    --------
    >>> round(log_loss([0.5] * 40, [0, 1] * 20).value, 3)
    0.693
    """
    score, target, note = usable(scores, targets)
    chance = np.clip(np.where(target > 0.5, score, 1 - score), _EDGE, 1.0)
    return _mean(-np.log(chance), name, "nats", f"mean of -log(probability), at least {_EDGE:g}", where, note)


def mean_error(predictions: Any, targets: Any, *, name: str = "mean_error", where: str = "") -> Signal:  # noqa: ANN401
    """Measure the mean absolute distance of a predicted number from the outcome, in the outcome's unit.

    Source: textbook mean absolute error; no further source; unit ``unit of the target``.

    Examples
    --------
    >>> mean_error([1.0, 2.0] * 10, [2.0, 2.0] * 10).value
    0.5
    """
    said, was, note = usable(predictions, targets)
    return _mean(np.abs(said - was), name, "unit of the target", "mean absolute error", where, note)


def _mean(losses: Floats, name: str, unit: str, method: str, where: str, note: str) -> Signal:
    n = len(losses)
    if n < _FEWEST:
        reason = f"{n:,} rows have both, {_FEWEST} are needed"
        return Signal(name, None, unit, n, method, where=where, reason=reason)
    value, half = float(losses.mean()), Z95 * float(losses.std(ddof=1)) / math.sqrt(n)
    return Signal(name, value, unit, n, f"{method}, normal interval", (value - half, value + half), where, reason=note)


def drop(
    reference: Signal,
    current: Signal,
    *,
    name: str,
    spread: tuple[float, float] = (0.0, Z95),
    stretches: tuple[float, float] = (1.0, 1.0),
    relative: bool = False,
) -> Signal:
    """Measure by how much a performance number has fallen; positive is worse, negative is better.

    Source: own definition: difference of two performance numbers, widened by the spread between stretches; unit that
    of the number, or ``share`` if relative.

    Parameters
    ----------
    reference, current
        The same number, then and now, each with its interval; higher is better.
    spread, stretches
        The spread between stretches of the reference (`rbnb.signals.drift.effects.between_chunks`) and how many
        stretches now and then hold.
    relative
        As a share of the reference's number rather than in its unit.

    Examples
    --------
    >>> then, now = Signal("auc", 0.8, "auc", 500, "m", (0.77, 0.83)), Signal("auc", 0.7, "auc", 500, "m", (0.66, 0.74))
    >>> s = drop(then, now, name="auc_drop")
    >>> round(s.value, 3), tuple(round(x, 3) for x in s.interval)
    (0.1, (0.05, 0.15))
    """
    return _difference(reference, current, name, spread, stretches, relative=relative, sign=-1.0)


def rise(
    reference: Signal,
    current: Signal,
    *,
    name: str,
    spread: tuple[float, float] = (0.0, Z95),
    stretches: tuple[float, float] = (1.0, 1.0),
    relative: bool = True,
) -> Signal:
    """Measure by how much an error has risen; positive is worse. Parameters as for `drop`.

    Source: own definition: difference of two errors, widened by the spread between stretches; unit that of the error,
    or ``share`` if relative.

    Examples
    --------
    >>> then, now = Signal("brier", 0.1, "", 500, "m", (0.09, 0.11)), Signal("brier", 0.15, "", 500, "m", (0.14, 0.16))
    >>> round(rise(then, now, name="brier_rise").value, 2)
    0.5
    """
    return _difference(reference, current, name, spread, stretches, relative=relative, sign=1.0)


def _difference(
    then: Signal,
    now: Signal,
    name: str,
    spread: tuple[float, float],
    stretches: tuple[float, float],
    *,
    relative: bool,
    sign: float,
) -> Signal:
    unit = "share" if relative else now.unit
    method = f"{'relative ' if relative else ''}change of {now.name} against the reference; n reference {then.n:,}"
    for side, which in ((then, "reference"), (now, "window")):
        if side.value is None or side.interval is None:
            return Signal(name, None, unit, now.n, method, where=now.where, reason=f"in the {which}: {side.reason}")
    assert then.value is not None  # noqa: S101 - told to the type checker; asked above
    assert now.value is not None  # noqa: S101
    assert then.interval is not None  # noqa: S101
    assert now.interval is not None  # noqa: S101
    scale = abs(then.value) if relative else 1.0
    if not scale:
        return Signal(name, None, unit, now.n, method, where=now.where, reason="it is 0 in the reference")
    errors = [(side[1] - side[0]) / (2 * Z95) for side in (then.interval, now.interval)]
    value = sign * (now.value - then.value) / scale
    # a ratio errs by its denominator too, and the more, the larger it is (delta method)
    errors[0] *= abs(now.value) / scale if relative else 1.0
    half = widened(math.hypot(*errors), spread, stretches) / scale
    reason = "; ".join(filter(None, (f"{then.value:.3g} → {now.value:.3g}", now.reason)))
    return Signal(name, value, unit, now.n, method, (value - half, value + half), now.where, 0.0, reason)
