"""Whose labels were changed: the rate of flipped labels in each source, batch and stretch of time.

Every honest table has wrong labels. What gives poisoning away is that one group has more of them than the
others at the same predicted probability. For each pair of classes, rows are binned by the model's log odds; what
share of each bin bears which label *outside* the group is the expectation, so that ordinary label noise and a
model that is too sure of itself are part of it. A group then has three unknowns: the share of a that became b,
the share of b that became a, and a shift of its log odds, because an honest source may simply have a higher base
rate than its features say; the larger the shift, the less it is believed (a normal prior). The likelihood ratio of
the two rates, with the shift free in both hypotheses, decides. A rate that adds little to the other is taken to be
none at all; the rows of a group are then cut to the stretch of time that speaks for a flip, as a batch may be in part
honest.

Sources: the label-flip model is that of Natarajan et al. (2013), Learning with Noisy Labels, and Bootkrajang &
Kabán (2012), Label-noise Robust Logistic Regression; fitted by expectation maximisation (Dempster et al. 1977);
Bonferroni over all groups and pairs; the posterior of a row is empirical Bayes (Robbins 1956).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rbnb.signals.poisoning.groups import Cells, Group

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["Flipped", "find_flipped", "flip_signals"]

#: Bins of log odds, at most, and rows that each should hold: what is expected in a bin must be known well.
_BINS, _PER_BIN = 24, 200
#: Shifts of the log odds that are tried, and how far an honest source is taken to lie off, as a standard deviation.
_SHIFTS = np.linspace(-1.6, 1.6, 9)
_HONEST = 0.4
_ROUNDS = 60
#: What a second rate must add to the likelihood ratio to be believed (chi-squared, one degree, 95 %).
_ADDS = 3.84
#: Groups that the likelihood is fitted for, those that stand out most first.
_FITTED = 300
#: Of these, groups of which it is asked whether one rate alone would do.
_ASKED = 20
#: Where the fit of both rates begins; a rate that begins at none stays there.
_STARTS = ((0.1, 0.1), (0.1, 0.0), (0.0, 0.1))
#: Groups that may be blamed, one after the other.
_MOST_BLAMED = 6


@dataclass(frozen=True, slots=True, eq=False)
class Flipped:
    """A group whose labels were changed beyond what is usual.

    Parameters
    ----------
    group
        Which rows.
    labels
        The classes between which labels were changed, as codes.
    rates
        Share of the first class's rows that became the second, and the reverse.
    share
        Share of the group's rows whose label was changed.
    interval
        Of `share`, 95 % after Bonferroni over all that was tried.
    n
        Rows in the group.
    statistic
        Likelihood ratio.
    """

    group: Group
    labels: tuple[int, int]
    rates: tuple[float, float]
    share: float
    interval: tuple[float, float]
    n: int
    statistic: float


@dataclass(frozen=True, slots=True)
class _Pair:
    """Rows of two classes, binned by log odds: counts by cell, bin and class; `centres` are the bins' mean odds."""

    labels: tuple[int, int]
    rows: Ints
    second: Mask
    odds: Floats
    centres: Floats
    prior: Floats
    counts: Floats


@dataclass(frozen=True, slots=True)
class _Fit:
    """Rates and statistic of some groups, and the shift at which they hold."""

    rates: Floats
    shift: Floats
    flipped: Floats
    statistic: Floats


def find_flipped(
    labels: Ints,
    probabilities: Floats,
    cells: Cells,
    groups: Sequence[Group],
    *,
    alpha: float,
    least: float,
    epoch: Floats | None = None,
) -> tuple[list[Flipped], Floats]:
    """Find the groups in which labels were changed, one after the other, and how probable it is for each row.

    Parameters
    ----------
    labels, probabilities
        Class codes from 0 and out-of-fold probabilities, a row each.
    cells, groups
        Where each row is from, and which groups to ask about (`candidate_groups`).
    alpha
        Family-wise error rate over all groups and pairs of classes.
    least
        Share of a group's rows that must be changed, by the lower end of its interval.
    epoch
        When each row was ingested, in epoch seconds; without it a blamed group is not cut in time.

    Returns
    -------
    tuple of list of Flipped and array
        Strongest first; and for each row the probability that its label was changed, 0 outside these groups.
    """
    posterior = np.zeros(len(labels))
    found: list[Flipped] = []
    pairs = _pairs(labels, probabilities, cells)
    trials = max(len(groups) * len(pairs), 1)
    blamed = np.zeros(len(cells.size), dtype=bool)
    for _ in range(_MOST_BLAMED):
        best = _strongest(pairs, groups, blamed, cells, alpha / trials, least)
        if best is None:
            break
        pair, flipped, shift = best
        new = _posterior(pair, flipped, shift, (blamed, cells), epoch)
        posterior[pair.rows] = np.maximum(posterior[pair.rows], new)
        found.append(flipped)
        blamed = blamed | flipped.group.cells
    return found, posterior


def _pairs(labels: Ints, probabilities: Floats, cells: Cells) -> list[_Pair]:
    classes = [int(k) for k in np.unique(labels)] if len(labels) else []
    combos = [(a, b) for i, a in enumerate(classes) for b in classes[i + 1 :]]
    if len(combos) > 10:
        combos = sorted(combos, key=lambda pair: -int(np.isin(labels, pair).sum()))[:10]
    return [_pair(labels, probabilities, cells, combo) for combo in combos]


def _pair(labels: Ints, probabilities: Floats, cells: Cells, combo: tuple[int, int]) -> _Pair:
    rows = np.flatnonzero((labels == combo[0]) | (labels == combo[1]))
    odds = np.log(probabilities[rows, combo[1]] / probabilities[rows, combo[0]])
    parts = int(np.clip(len(rows) // _PER_BIN, 4, _BINS))
    edges = np.unique(np.quantile(odds, np.linspace(0, 1, parts + 1)[1:-1]))
    bins = np.searchsorted(edges, odds)
    size = len(edges) + 1
    counts = np.zeros((len(cells.size), size, 2))
    second = labels[rows] == combo[1]
    np.add.at(counts, (cells.of_row[rows], bins, second.astype(int)), 1.0)
    held = np.bincount(bins, minlength=size)
    mean = np.bincount(bins, weights=1 / (1 + np.exp(-odds)), minlength=size) / np.maximum(held, 1)
    centres = np.bincount(bins, weights=odds, minlength=size) / np.maximum(held, 1)
    return _Pair(combo, rows, second, odds, centres, mean, counts)


def _strongest(
    pairs: Sequence[_Pair], groups: Sequence[Group], blamed: Mask, cells: Cells, alpha: float, least: float
) -> tuple[_Pair, Flipped, float] | None:
    best: tuple[_Pair, Flipped, float] | None = None
    free = [group for group in groups if not (group.cells & blamed).any()]
    if not free:
        return None
    member = np.array([group.cells for group in free])
    sizes = member @ cells.size
    for pair in pairs:
        own, outside = _split(pair, member, blamed)
        picked = np.argsort(-_stands_out(own, outside, pair.prior), kind="stable")[:_FITTED]
        both = _fit(own[picked], outside[picked], pair.prior, _STARTS[:1])
        picked = picked[np.argsort(-both.statistic, kind="stable")[:_ASKED]]
        fit = _fit(own[picked], outside[picked], pair.prior, _STARTS)
        for i in np.argsort(-fit.statistic, kind="stable"):
            flipped = _flipped(free[picked[i]], pair, fit, int(i), int(sizes[picked[i]]), alpha)
            if flipped.interval[0] >= least and (best is None or flipped.statistic > best[1].statistic):
                best = (pair, flipped, float(fit.shift[i]))
                break
    return best


def _split(pair: _Pair, member: Mask, blamed: Mask) -> tuple[Floats, Floats]:
    """Return the counts of each group, and of all that is neither in it nor blamed already."""
    flat = pair.counts.reshape(len(blamed), -1)
    own = member.astype(np.float64) @ flat
    clean = flat[~blamed].sum(axis=0)[None, :] - own
    return own.reshape(len(member), -1, 2), np.maximum(clean, 0.0).reshape(len(member), -1, 2)


def _expected(outside: Floats, prior: Floats) -> Floats:
    """Return the share of the second class in each bin outside the group, with the model as four rows of prior.

    Few rows of a sure bin may well hold no wrong label at all, so the model is not taken to be surer than 1 in 20.
    """
    return np.asarray((outside[..., 1] + 4.0 * np.clip(prior, 0.05, 0.95)) / (outside.sum(axis=-1) + 4.0))


def _stands_out(own: Floats, outside: Floats, prior: Floats) -> Floats:
    """Return Pearson's statistic of each group against what is expected; it only chooses what is fitted."""
    q, n = _expected(outside, prior), own.sum(axis=-1)
    return np.asarray(((own[..., 1] - n * q) ** 2 / np.maximum(n * q * (1 - q), 0.5)).sum(axis=-1))


def _fit(own: Floats, outside: Floats, prior: Floats, starts: Sequence[tuple[float, float]]) -> _Fit:
    """Fit the rates at each shift from each start, and hold the best against the best without rates."""
    q = np.clip(_expected(outside, prior), 1e-4, 1 - 1e-4)
    odds = np.log(q / (1 - q))[:, None, :] + _SHIFTS[None, :, None]
    base = 1 / (1 + np.exp(-odds))
    # what is expected is itself counted: a bin counts for less, the fewer rows outside stand against its own
    known = (outside.sum(axis=-1) / np.maximum((outside + own).sum(axis=-1), 1.0))[:, None, :]
    zeros, ones = own[:, None, :, 0] * known, own[:, None, :, 1] * known
    honest = -0.5 * (_SHIFTS / _HONEST) ** 2
    none = (_likelihood(base, zeros, ones, base[..., 0] * 0, base[..., 0] * 0) + honest).max(axis=1)
    n, each, kept = own.sum(axis=-1), np.arange(len(own)), None
    for start in starts:
        up, down = (np.full(base.shape[:2], rate) for rate in start)
        for _ in range(_ROUNDS):
            up, down = _round(base, zeros, ones, up, down)
        full = _likelihood(base, zeros, ones, up, down) + honest
        best = full.argmax(axis=1)
        chosen = base[each, best]
        rates = np.column_stack([up[each, best], down[each, best]])
        flipped = (n * ((1 - chosen) * rates[:, :1] + chosen * rates[:, 1:])).sum(axis=-1)
        fit = _Fit(rates, _SHIFTS[best], flipped, np.maximum(2 * (full.max(axis=1) - none), 0.0))
        kept = fit if kept is None else _simpler(kept, fit)
    assert kept is not None  # noqa: S101 - there is a start
    return kept


def _simpler(fit: _Fit, one: _Fit) -> _Fit:
    """Return the fits of each group with those of a single rate where these are hardly worse, or better."""
    two = (fit.rates > 0).all(axis=1)
    take = one.statistic > fit.statistic - np.where(two, _ADDS, 0.0)
    return _Fit(
        np.where(take[:, None], one.rates, fit.rates),
        np.where(take, one.shift, fit.shift),
        np.where(take, one.flipped, fit.flipped),
        np.where(take, one.statistic, fit.statistic),
    )


def _round(base: Floats, zeros: Floats, ones: Floats, up: Floats, down: Floats) -> tuple[Floats, Floats]:
    """Return the rates after one round of expectation and maximisation."""
    raised, lowered = up[..., None] * (1 - base), down[..., None] * base
    kept_one, kept_zero = (1 - down[..., None]) * base, (1 - up[..., None]) * (1 - base)
    of_ones, of_zeros = ones / (raised + kept_one), zeros / (lowered + kept_zero)
    was_raised, was_lowered = (of_ones * raised).sum(axis=-1), (of_zeros * lowered).sum(axis=-1)
    true_zero = was_raised + (of_zeros * kept_zero).sum(axis=-1)
    true_one = was_lowered + (of_ones * kept_one).sum(axis=-1)
    limit = 0.999
    return (
        np.minimum(was_raised / np.maximum(true_zero, 1e-9), limit),
        np.minimum(was_lowered / np.maximum(true_one, 1e-9), limit),
    )


def _likelihood(base: Floats, zeros: Floats, ones: Floats, up: Floats, down: Floats) -> Floats:
    p = (1 - down[..., None]) * base + up[..., None] * (1 - base)
    p = np.clip(p, 1e-9, 1 - 1e-9)
    return np.asarray((ones * np.log(p) + zeros * np.log1p(-p)).sum(axis=-1))


def _flipped(group: Group, pair: _Pair, fit: _Fit, i: int, size: int, alpha: float) -> Flipped:
    """Return one group's rates with the interval that its own statistic implies.

    The signed root of a likelihood ratio is asymptotically normal, so value / root is the standard error.
    """
    value = float(fit.flipped[i]) / max(size, 1)
    root = math.sqrt(max(float(fit.statistic[i]), 1e-12))
    half = value / root * _critical(alpha)
    rates = (float(fit.rates[i, 0]), float(fit.rates[i, 1]))
    interval = (max(value - half, 0.0), min(value + half, 1.0))
    return Flipped(group, pair.labels, rates, value, interval, size, float(fit.statistic[i]))


def _critical(alpha: float) -> float:
    from scipy.stats import chi2

    return math.sqrt(float(chi2.isf(min(alpha, 0.5), 2)))


def _posterior(pair: _Pair, flipped: Flipped, shift: float, places: tuple[Mask, Cells], epoch: Floats | None) -> Floats:
    """Return for each row of the pair how probable it is that its label was changed."""
    blamed, cells = places
    _, outside = _split(pair, flipped.group.cells[None, :], blamed)
    q = np.clip(_expected(outside[0], pair.prior), 1e-4, 1 - 1e-4)
    base = 1 / (1 + np.exp(-(np.interp(pair.odds, pair.centres, np.log(q / (1 - q))) + shift)))
    up, down = flipped.rates
    inside = flipped.group.cells[cells.of_row[pair.rows]]
    raised, lowered = up * (1 - base), down * base
    one, zero = raised + (1 - down) * base, lowered + (1 - up) * (1 - base)
    if epoch is not None:
        gain = np.log(np.where(pair.second, one / base, zero / (1 - base)).clip(1e-9))
        inside = _stretch(inside, gain, epoch[pair.rows])
    return np.where(inside, np.where(pair.second, raised / one.clip(1e-12), lowered / zero.clip(1e-12)), 0.0)


def _stretch(inside: Mask, gain: Floats, when: Floats) -> Mask:
    """Return the rows between the two times that hold the most log likelihood for a flip (Kadane's maximal sum)."""
    rows = np.flatnonzero(inside)
    rows = rows[np.argsort(when[rows], kind="stable")]
    if not len(rows) or not np.isfinite(when[rows]).all():
        return inside
    total = np.concatenate([[0.0], np.cumsum(gain[rows])])
    lowest = np.minimum.accumulate(total)
    last = int((total - lowest).argmax())
    first = int(total[: last + 1].argmin())
    kept = np.zeros(len(inside), dtype=bool)
    kept[rows] = (when[rows] >= when[rows[first]]) & (when[rows] <= when[rows[max(last - 1, first)]])
    return kept


def flip_signals(found: Sequence[Flipped], posterior: Floats, names: Sequence[str], tried: int) -> list[Signal]:
    """Return the share of all labels that were changed, and the rate in each group that is blamed.

    Source: own definition, on the label-noise model of Natarajan et al. (2013), Learning with Noisy Labels.

    Parameters
    ----------
    found, posterior
        From `find_flipped`.
    names
        Of the classes, by code.
    tried
        How many groups were asked about.

    Returns
    -------
    list of Signal
        ``flipped_share`` everywhere, then ``flip_rate`` by group, unit ``share``; the intervals are 95 % after
        Bonferroni. 0 means that no group has more wrong labels than the others, not that none is wrong.

    Examples
    --------
    >>> flip_signals([], np.zeros(500), ["0", "1"], 12)[0].value
    0.0
    """
    n = len(posterior)
    method = f"labels changed beyond usual noise, likelihood of a flip model, {tried} groups asked about"
    if not n or not tried:
        reason = "too few rows, or no two groups of rows to compare"
        return [Signal("flipped_share", None, "share", n, method, reason=reason)]
    total = sum(f.share * f.n for f in found) / n
    low, high = (sum(f.interval[end] * f.n for f in found) / n for end in (0, 1))
    signals = [Signal("flipped_share", total, "share", n, method, (low, min(high, 1.0)) if found else None)]
    for f in found:
        (a, b), (up, down) = f.labels, f.rates
        told = f"{up:.0%} of {names[a]} became {names[b]}, {down:.0%} of {names[b]} became {names[a]}"
        signals.append(
            Signal("flip_rate", f.share, "share", f.n, f"{method}; {told}", f.interval, f.group.where, reference=0.0)
        )
    return signals
