"""Each input by itself, and all together: how far it moved, how surely, and what the prediction makes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.signals.chance import holm, kolmogorov_tail, overdispersion
from rbnb.signals.drift.bins import Bins, make_bins
from rbnb.signals.drift.distances import (
    category_fold,
    jensen_shannon,
    kolmogorov_smirnov,
    location_shift,
    scale_fold,
    shape_distance,
    shift_p_value,
    stability_index,
    wasserstein,
)
from rbnb.signals.drift.gate import missing_rise, renamed_share, repeated_rise, unit_share
from rbnb.signals.drift.multivariate import correlation_change, reconstruction_shift
from rbnb.signals.drift.surrogate import Surrogate, feature_effect, feature_reach, fit_surrogate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rbnb.diagnoses.drift.rows import Compared
    from rbnb.model import Signal

__all__ = ["FeatureDrift", "Features"]


#: Deepchecks' limit for the population stability index of a feature.
_LARGE = 0.2
_FAR = 0.3


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """What was measured of one input.

    Parameters
    ----------
    name, kind
        Which, and whether ``numerical`` or ``categorical``.
    bins
        Those that every distance shares.
    psi
        The primary distance.
    p
        The chance of such a shift if nothing changed, after Holm over all inputs.
    others
        The other distances, and location, scale, shape or categories.
    gate
        Whether it is still the same column.
    effect, reach
        How far scores moved through it: on average, and whichever way; None without scores.
    share
        How much of the score's variance its own part is.
    """

    name: str
    kind: str
    bins: Bins
    psi: Signal
    p: float
    others: tuple[Signal, ...]
    gate: tuple[Signal, ...]
    effect: Signal | None = None
    reach: Signal | None = None
    share: float = 0.0

    @property
    def large(self) -> bool:
        """Whether the shift is large by itself, whatever the prediction makes of it.

        PSI 0.2 is the limit of Deepchecks for a feature; a category that certainly has a quarter more or less of its
        share, a middle that moved 0.3 standard deviations or a spread 1.3 times as wide are its like for what PSI
        says little about.
        """
        told = {signal.name.removeprefix("feature_"): signal for signal in self.others}
        by_one = (("category", 1.25), ("scale", 1.3))
        folds = [told[key].interval for key, _ in by_one if key in told]
        limits = [limit for key, limit in by_one if key in told]
        wide = any(ends is not None and ends[0] >= limit for ends, limit in zip(folds, limits, strict=True))
        middle = told["location"].interval if "location" in told else None
        far = middle is not None and (middle[0] >= _FAR or middle[1] <= -_FAR)
        return wide or far or (self.psi.value or 0.0) >= _LARGE


def _chance(bins: Bins, sides: tuple[Any, Any], others: list[Signal], inflation: float) -> float:
    """Return the chance of the shift if nothing changed: over all bins, or in one direction or category alone.

    All bins together see any shift and need many rows for it; the largest distance of the distributions, and a single
    category, see theirs with fewer. Twice the smaller of two is a p-value again (Bonferroni).
    """
    counts = [bins.count(side) for side in sides]
    whole = shift_p_value(counts[0], counts[1], inflation)
    n, m = (max(int(count.sum() / inflation), 1) for count in counts)
    if bins.edges is not None:
        distance = next(s for s in others if s.name == "feature_ks")
        single = kolmogorov_tail(distance.value, n, m) if distance.value is not None else 1.0
    else:
        used = [
            np.array([counts[0][i], counts[1][i]]) for i in range(len(counts[0])) if counts[0][i] + counts[1][i] >= 40
        ]
        totals = np.array([count.sum() for count in counts])
        each = [shift_p_value(*_against_rest(pair, totals), inflation=inflation) for pair in used]
        single = min([*(p * len(each) for p in each), 1.0])
    return min(2 * min(whole, single), 1.0)


def _against_rest(pair: NDArray[np.int64], totals: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return one bin against all others, then and now."""
    both = np.column_stack([pair, totals - pair])
    return both[0], both[1]


class Features:
    """The inputs of one run; one that cannot be measured is told and takes no other down.

    Parameters
    ----------
    rows
        The rows that are compared.
    kinds
        The inputs that can be used, by name.
    """

    def __init__(self, rows: Compared, kinds: dict[str, str]) -> None:
        self.rows = rows
        self.kinds = kinds

    @cached_property
    def _reference(self) -> dict[str, NDArray[np.object_]]:
        return {name: self.rows.reference[f"feature_{name}"].to_numpy() for name in self.kinds}

    @cached_property
    def current(self) -> dict[str, NDArray[np.object_]]:
        """The inputs in the window."""
        return {name: self.rows.window[f"feature_{name}"].to_numpy() for name in self.kinds}

    @cached_property
    def matched(self) -> dict[str, NDArray[np.object_]]:
        """The inputs at the same hours of the reference."""
        return {name: values[self.rows.matched[0]] for name, values in self._reference.items()}

    def inflation(self, places: NDArray[np.int64], size: int) -> float:
        """Return by how much days differ more than chance, for as many rows as a day of the window holds.

        Parameters
        ----------
        places
            The bin of each row of the reference.
        size
            How many bins there are.
        """
        chunks = self.rows.chunks
        table = np.array([np.bincount(places[chunk.rows], minlength=size) for chunk in chunks], dtype=np.float64)
        excess, rows = overdispersion(table.reshape(len(chunks), size), [chunk.kind for chunk in chunks])
        each = len(self.rows.window) / self.rows.days
        return 1 + (excess - 1) * (each / rows if rows else 1.0)

    @cached_property
    def surrogate(self) -> Surrogate | None:
        """The score as a sum of one curve a feature, fitted on the reference; None without scores."""
        if self.rows.reference.get("score") is None or not self.kinds:
            return None
        return fit_surrogate(self._reference, self.kinds, self.rows.reference["score"])

    @cached_property
    def all(self) -> dict[str, FeatureDrift]:
        """Every input that can be measured, those that moved scores most first."""
        found = [self._one(name, kind) for name, kind in self.kinds.items()]
        corrected = holm([one.p for one in found])
        done = [replace(one, p=p) for one, p in zip(found, corrected, strict=True)]
        done.sort(
            key=lambda one: (one.p > 0.01, -(one.reach.value or 0.0) if one.reach else 0.0, -(one.psi.value or 0.0))
        )
        return {one.name: one for one in done}

    def _one(self, name: str, kind: str) -> FeatureDrift:
        before, now, where = self.matched[name], self.current[name], f"feature={name}"
        bins = make_bins(self._reference[name], kind)
        inflation = self.inflation(bins.place(self._reference[name]), len(bins.names))
        psi = stability_index(before, now, kind=kind, bins=bins, inflation=inflation, name="feature_drift", where=where)
        others = [jensen_shannon(before, now, kind=kind, bins=bins, name="feature_js", where=where)]
        gate = [missing_rise(before, now, kind=kind, where=where)]
        if kind == "numerical":
            measures = ((kolmogorov_smirnov, "ks"), (wasserstein, "wasserstein"), (location_shift, "location"),
                        (scale_fold, "scale"), (shape_distance, "shape"))  # fmt: skip
            others += [measure(before, now, name=f"feature_{word}", where=where) for measure, word in measures]
            gate += [check(before, now, where=where) for check in (unit_share, repeated_rise)]
        else:
            others.append(category_fold(before, now, name="feature_category", where=where))
            gate.append(renamed_share(self._reference[name], now, where=where))
        effect, reach, share = self._effect(name, inflation)
        p = _chance(bins, (before, now), others, inflation) if psi.defined else 1.0
        return FeatureDrift(name, kind, bins, psi, p, tuple(others), tuple(gate), effect, reach, share)

    def _effect(self, name: str, inflation: float) -> tuple[Signal | None, Signal | None, float]:
        fit, where = self.surrogate, f"feature={name}"
        if fit is None:
            return None, None, 0.0
        sides = [fit.part(name, side[name]) for side in (self.matched, self.current)]
        effect = feature_effect(*sides, inflation=inflation, where=where)
        return effect, feature_reach(*sides, inflation=inflation, where=where), fit.share[name]

    def moved(self, alpha: float) -> list[FeatureDrift]:
        """Return the inputs that have certainly moved, those that moved scores most first."""
        return [one for one in self.all.values() if one.p < alpha]

    @cached_property
    def _place(self) -> dict[int, int]:
        return {int(row): at for at, row in enumerate(self.rows.matched[0])}

    @cached_property
    def correlation(self) -> Signal:
        """The pair of numbers whose correlation has certainly changed most."""
        return self._correlation(list(self.kinds), "correlation_change")

    def used_correlation(self, least: float) -> Signal:
        """Return the same among inputs whose own part is at least so much of the score's variance."""
        share = self.surrogate.share if self.surrogate else {}
        return self._correlation([name for name in self.kinds if share.get(name, 0.0) >= least], "used_correlation")

    def _correlation(self, names: list[str], name: str) -> Signal:
        numerical = [key for key in names if self.kinds[key] == "numerical"]
        before = {key: self._reference[key] for key in numerical}
        now = {key: self.current[key] for key in numerical}
        chunks = [chunk.rows for chunk in self.rows.chunks]
        found = correlation_change(before, now, chunks=chunks, name=name)
        if name == "used_correlation" and found.where:
            return replace(found, where="", reason=f"{found.where}: {found.reason}")
        return found

    @cached_property
    def reconstruction(self) -> Signal:
        """How much worse the reference's principal components describe the window."""
        chunks = [chunk.rows for chunk in self.rows.chunks]
        return reconstruction_shift(self._reference, self.current, self.kinds, chunks=chunks, stretches=self.rows.days)
