"""Scores that no longer follow from their inputs: in which place, in which input, how much.

Residuals of a `ScoreModel` are compared with those of reference rows it has not seen, place by place and bin by
bin of each input. Rules: a place is everywhere or one column = value; the test of a place and an input is a chi
square over the bins, and its size is the root mean square shift of a bin in standard deviations of the score,
corrected for chance; bounds are Bonferroni-corrected over all that was tried; bins the reference hardly knows
are left out, so that new kinds of requests are not mistaken for new answers to old ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Signal
from rbnb.signals.consistency.expected import Coder, coder_of
from rbnb.signals.consistency.places import Stretch, stretch_of_gain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.signals.consistency.expected import ScoreModel

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Codes = NDArray[np.int64]

__all__ = ["Departure", "departure_signal", "departure_stretch", "departures"]

_BINS, _FEWEST, _KNOWN = 8, 30, 20
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Departure:
    """How far scores in one place depart from what one input used to lead to.

    Parameters
    ----------
    where, feature
        The place ("" is everywhere) and the input.
    size, low, high
        Root mean square shift over the bins, in standard deviations of the score, with its bounds.
    chi, freedom
        The statistic and its degrees of freedom; ``chi - freedom`` estimates the evidence.
    n
        Rows in the place.
    shifts
        Mean residual of each bin beyond the usual, on the link scale; 0 where the bin is not known.
    coder
        Which bin a value is in.
    """

    where: str
    feature: str
    size: float
    low: float
    high: float
    chi: float
    freedom: int
    n: int
    shifts: Floats
    coder: Coder


def _places(rows: pd.DataFrame, columns: Sequence[str]) -> list[tuple[str, Flags]]:
    places = [("", np.ones(len(rows), dtype=np.bool_))]
    for column in columns:
        if column not in rows:
            continue
        values = rows[column].astype(object).to_numpy()
        names = sorted({str(value) for value in values if value is not None})
        if len(names) < 2:
            continue
        for name in names:
            inside = np.asarray(values == name, dtype=np.bool_)
            if inside.sum() >= _FEWEST:
                places.append((f"{column.removeprefix('segment_')}={name}", inside))
    return places


def departures(
    surrogate: ScoreModel,
    current: pd.DataFrame,
    usual: pd.DataFrame,
    columns: Sequence[str] = (),
    *,
    residuals: tuple[Floats, Floats] | None = None,
    alpha: float = 0.05,
) -> list[Departure]:
    """Compare residuals of the window with those of the reference, by place and input, strongest first.

    Parameters
    ----------
    surrogate
        Fitted to the reference.
    current, usual
        Rows of the window, and reference rows that the surrogate has not seen.
    columns
        Where to look besides everywhere: ``version``, ``segment_host`` …
    residuals
        Of current and usual, if they are known already.
    alpha
        Family-wise error rate (Bonferroni over places and inputs).
    """
    now, before = residuals or (surrogate.residuals(current), surrogate.residuals(usual))
    there, past = np.isfinite(now), np.isfinite(before)
    if there.sum() < _FEWEST or past.sum() < _FEWEST:
        return []
    cap = 8 * surrogate.scale
    now, before = np.clip(now[there], -cap, cap), np.clip(before[past], -cap, cap)
    current, usual = current[there], usual[past]
    places = _places(current, columns)
    limit = _NORMAL.inv_cdf(1 - alpha / max(len(places) * len(surrogate.kinds), 1))
    found = []
    for feature, kind in surrogate.kinds.items():
        coder = coder_of(usual[feature], kind, _BINS)
        codes, past_codes = coder.codes(current[feature]), coder.codes(usual[feature])
        base = _sums(past_codes, before, coder.size)
        for where, inside in places:
            own = _sums(codes[inside], now[inside], coder.size)
            found.append(_departure(where, feature, own, base, surrogate, coder, limit))
    return sorted((one for one in found if one), key=lambda one: (-(one.chi - one.freedom), one.where, one.feature))


def _sums(codes: Codes, residuals: Floats, size: int) -> tuple[Floats, Floats, Floats]:
    n = np.bincount(codes, minlength=size).astype(np.float64)
    total, squares = (
        np.bincount(codes, weights=w, minlength=size).astype(np.float64) for w in (residuals, residuals**2)
    )
    return n, total, squares


def _departure(
    where: str,
    feature: str,
    own: tuple[Floats, Floats, Floats],
    base: tuple[Floats, Floats, Floats],
    surrogate: ScoreModel,
    coder: Coder,
    limit: float,
) -> Departure | None:
    n, total, squares = own
    m, past, past_squares = base
    known = (m >= _KNOWN) & (n >= 5)
    if not known.any():
        return None
    shifts, spread = np.zeros(len(n)), np.full(len(n), surrogate.spread**2)
    shifts[known] = total[known] / n[known] - past[known] / m[known]
    # within a bin residuals may spread more than overall, before or now; the larger one counts
    usual = past_squares[known] / m[known] - (past[known] / m[known]) ** 2
    here = squares[known] / n[known] - (total[known] / n[known]) ** 2
    floor = (0.3 * surrogate.spread) ** 2
    spread[known] = np.maximum(np.maximum(usual / m[known] + here / n[known], 0), floor / n[known])
    chi = float((shifts[known] ** 2 / spread[known]).sum())
    freedom, rows = int(known.sum()), float(n[known].sum())
    weight = n[known] / rows
    noise = float((weight * spread[known]).sum())
    each = noise / freedom if freedom else 0.0
    extra = chi - freedom
    wide = limit * math.sqrt(2 * freedom + 4 * max(extra, 0.0))
    plain = float((weight * shifts[known] ** 2).sum()) - noise
    size, low, high = (
        math.sqrt(max(part, 0.0)) / surrogate.scale
        for part in (plain, min(max(extra - wide, 0.0) * each, max(plain, 0.0)), max(plain, 0.0) + wide * each)
    )
    return Departure(where, feature, size, low, high, chi, freedom, int(rows), shifts, coder)


def departure_signal(found: Sequence[Departure], surrogate: ScoreModel | None, why: str = "") -> Signal:
    """Return the largest departure as one signal, in standard deviations of the score (unit ``ratio``).

    Source: own definition: residuals of a model of the model, chi square by place and input; unit ``ratio``.

    Undefined where there is no surrogate, or nothing to compare; `why` says so.

    Examples
    --------
    >>> from rbnb.signals.consistency.expected import ScoreModel
    >>> surrogate = ScoreModel(
    ...     odds=False,
    ...     kinds={},
    ...     coders={},
    ...     weights=np.zeros(0),
    ...     products=(),
    ...     tables={},
    ...     ends=(0.0, 1.0),
    ...     spread=0.1,
    ...     scale=0.2,
    ...     explained=0.9,
    ...     n=500,
    ...     floor=0.0,
    ... )
    >>> one = Departure("host=b", "feature_x", 0.5, 0.4, 0.6, 90.0, 3, 200, np.zeros(2), Coder(None, ("a",)))
    >>> s = departure_signal([one], surrogate)
    >>> s.value, s.interval, s.n
    (0.5, (0.4, 0.6), 200)
    >>> departure_signal([], None).reason
    'too few rows to learn what scores should be'
    """
    name = "score_departure"
    if surrogate is None or not found:
        method = "residuals of a model of the model, by place and input"
        return Signal(name, None, "ratio", 0, method, reason=why or "too few rows to learn what scores should be")
    best = max(found, key=lambda one: (one.low, one.chi - one.freedom))
    method = (
        f"residuals by place and input, Bonferroni over {len(found)}; in {best.where or 'all places'}, "
        f"by {best.feature.removeprefix('feature_')}; inputs explain {surrogate.explained:.0%} of the score"
    )
    return Signal(name, best.size, "ratio", best.n, method, (best.low, best.high), reference=0.0)


def departure_stretch(
    departure: Departure, surrogate: ScoreModel, rows: pd.DataFrame, residuals: Floats, bucket: int, *, end: int
) -> Stretch | None:
    """Find since when the rows of a place depart, by the log likelihood ratio of the shift of each row's bin.

    The shifts are estimated again, three times, from the stretch that was found: over the whole window a shift
    that began late is diluted.

    Parameters
    ----------
    departure
        What was found in the place.
    rows, residuals
        Of the place, window and reference together.
    bucket, end
        Seconds, and the epoch second at which the window ends.
    """
    codes = departure.coder.codes(rows[departure.feature])
    epochs = rows["epoch"].to_numpy(dtype=np.int64)
    known = np.isfinite(residuals)
    shifts, found = departure.shifts, None
    for _ in range(4):
        gain = _gain(shifts[codes], residuals, surrogate.spread)
        again = stretch_of_gain(np.where(known, gain, 0.0), epochs, bucket, end=end)
        if again is None or (found is not None and again.onset == found.onset and again.ended == found.ended):
            return again or found
        found = again
        inside = known & (epochs >= found.onset) & (epochs < (found.ended or end))
        n = np.bincount(codes[inside], minlength=len(shifts))
        shifts = np.bincount(codes[inside], weights=residuals[inside], minlength=len(shifts)) / (n + 2.0)
    return found


def _gain(shift: Floats, residuals: Floats, spread: float) -> Floats:
    """Return the log likelihood ratio of a shift against none for normal residuals, cut where they are wild."""
    left = np.nan_to_num(residuals, nan=0.0)
    cap = 4 * spread + np.abs(shift)
    return np.asarray((np.clip(left, -cap, cap) * shift - shift**2 / 2) / spread**2, dtype=np.float64)
