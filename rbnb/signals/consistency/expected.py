"""What the score should be, given the inputs: a small model of the model, learned from the reference.

Where no request repeats and nothing was recomputed, this is how an output that does not follow from its inputs
as it used to is found: the model is fitted to the reference, and its residuals in the window are compared by
host, version and place. It is additive with a few products (a generalised additive model plus interactions, Lou
et al. 2013, KDD 623), so that it costs milliseconds and needs no library beside numpy. Rules:

- Probabilities are modelled as log odds, so that what adds up in the model adds up here.
- A third of the reference is held out: what is usual is measured on rows it has not seen.
- A missing input is a value of its own. A category it has not seen counts as rare.
- How well it explains the score is stated (`ScoreModel.explained`); whether that is enough is the caller's choice.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbnb.signals.consistency.repeats import fingerprints

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]

__all__ = ["Coder", "Prepared", "ScoreModel", "coder_of", "fit_score_model", "supported", "to_link"]

_BINS, _LEVELS, _FIT_ROWS = 32, 60, 15_000
_SHRINK = 8.0
#: Share of the remaining variance a product must explain to be taken in.
_WORTH = 0.01
_PRODUCTS = 4
_SMALLEST = 60
#: Rows of the reference that must hold a category, or a missing value, for it to be known.
_KNOWN = 10


@dataclass(frozen=True, slots=True)
class Coder:
    """Puts the values of one input in bins: by edges, or by category; the last bin holds what is missing.

    For numbers `centre` and `spread` standardise the value (first) and its signed logarithm (second).
    """

    edges: Floats | None
    levels: tuple[str, ...] = ()
    centre: tuple[float, float] = (0.0, 0.0)
    spread: tuple[float, float] = (1.0, 1.0)

    @property
    def size(self) -> int:
        """How many bins there are."""
        return (len(self.edges) + 1 if self.edges is not None else len(self.levels) + 1) + 1

    def codes(self, values: pd.Series) -> Codes:
        """Return the bin of each value."""
        import pandas as pd

        if self.edges is None:
            gone = values.isna().to_numpy()
            found = pd.Index(self.levels, dtype=object).get_indexer(values.astype(object))
            found = np.where(found < 0, len(self.levels), found)
            return np.asarray(np.where(gone, len(self.levels) + 1, found), dtype=np.int64)
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        found = np.searchsorted(self.edges, numbers, side="right")
        return np.asarray(np.where(np.isnan(numbers), len(self.edges) + 1, found), dtype=np.int64)

    def bases(self, values: pd.Series) -> list[Floats]:
        """Return the standardised value and its signed logarithm; what is missing is average."""
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        each = (np.clip(numbers, -1e12, 1e12), _signed_log(numbers))
        scaled = [(x - c) / s for x, c, s in zip(each, self.centre, self.spread, strict=True)]
        return [np.clip(np.nan_to_num(x, nan=0.0), -6.0, 6.0) for x in scaled]


def _signed_log(numbers: Floats) -> Floats:
    clipped = np.clip(numbers, -1e12, 1e12)
    return np.asarray(np.sign(clipped) * np.log1p(np.abs(clipped)), dtype=np.float64)


def coder_of(values: pd.Series, kind: str, bins: int = _BINS) -> Coder:
    """Learn the bins of one input from its values: quantiles, or each value where there are few."""
    if kind != "numerical":
        counts = values.dropna().astype(str).value_counts()
        names = sorted(counts.index, key=lambda name: (-int(counts[name]), name))
        return Coder(None, tuple(names[:_LEVELS]))
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return Coder(np.array([]))
    unique = np.unique(finite)
    if len(unique) <= bins:
        edges = (unique[1:] + unique[:-1]) / 2
    else:
        edges = np.unique(np.quantile(finite, np.arange(1, bins) / bins))
    bases = (finite, _signed_log(finite))
    spread = tuple(float(x.std()) or 1.0 for x in bases)
    centre = tuple(float(x.mean()) for x in bases)
    return Coder(np.asarray(edges, dtype=np.float64), (), (centre[0], centre[1]), (spread[0], spread[1]))


def to_link(scores: Floats, *, odds: bool, floor: float = 2e-6) -> Floats:
    """Return log odds of probabilities (kept `floor` away from 0 and 1), or the scores as they are."""
    if not odds:
        return scores
    inside = np.clip(scores, floor, 1 - floor)
    return np.asarray(np.log(inside / (1 - inside)), dtype=np.float64)


def _floor(scores: Floats) -> float:
    """Return half the smallest step that scores are logged in, as far as can be seen, and at least 2 in a million."""
    inside = scores[(scores > 0) & (scores < 1)]
    least = float(min(inside.min(), 1 - inside.max())) if len(inside) else 0.0
    return min(max(least / 2, 2e-6), 0.01)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows as standardised numbers and bin codes, by input."""

    bases: Mapping[str, list[Floats]]
    codes: Mapping[str, Codes]
    n: int


@dataclass(frozen=True, slots=True)
class ScoreModel:
    """A model of the model; `spread` and `scale` are the standard deviations of held-out residuals and of scores.

    Parameters
    ----------
    odds
        Whether it works on log odds.
    kinds, coders
        Of each input.
    weights, products, tables
        Its parts: linear, products of two standardised inputs, and what each bin adds.
    ends
        Lowest and highest prediction, as seen in the reference.
    explained
        Share of the variance of held-out scores it explains.
    n
        Rows it was fitted to.
    floor
        How close to 0 and 1 a probability is taken for what it is.
    """

    odds: bool
    kinds: Mapping[str, str]
    coders: Mapping[str, Coder]
    weights: Floats
    products: tuple[tuple[int, int], ...]
    tables: Mapping[str, Floats]
    ends: tuple[float, float]
    spread: float
    scale: float
    explained: float
    n: int
    floor: float

    def prepare(self, rows: pd.DataFrame) -> Prepared:
        """Return rows as the model needs them, so that single inputs can be exchanged cheaply."""
        return _prepare(rows, self.kinds, self.coders)

    def predict(self, rows: pd.DataFrame) -> Floats:
        """Return the expected score of each row, on the link scale."""
        return self.expected(self.prepare(rows))

    def expected(self, ready: Prepared) -> Floats:
        """Return the expected score of prepared rows, on the link scale."""
        total = _design(ready, self.products) @ self.weights
        for name, table in self.tables.items():
            total += table[ready.codes[name]]
        return np.asarray(np.clip(total, *self.ends), dtype=np.float64)

    def exchanged(self, ready: Prepared, name: str, values: pd.Series) -> Prepared:
        """Return prepared rows with other values of one input."""
        codes = {**ready.codes, name: self.coders[name].codes(values)}
        bases = {**ready.bases, name: self.coders[name].bases(values)} if name in ready.bases else ready.bases
        return Prepared(bases, codes, ready.n)

    def residuals(self, rows: pd.DataFrame) -> Floats:
        """Return score minus expected score on the link scale; NaN where there is no finite score."""
        scores = rows["score"].to_numpy(dtype=np.float64, na_value=np.nan)
        scores = np.where(np.isfinite(scores), scores, np.nan)
        return np.asarray(to_link(scores, odds=self.odds, floor=self.floor) - self.predict(rows), dtype=np.float64)


def fit_score_model(rows: pd.DataFrame, kinds: Mapping[str, str], *, odds: bool) -> tuple[ScoreModel, Codes] | None:
    """Learn what the score should be from the reference.

    Parameters
    ----------
    rows
        With ``score`` and one column an input.
    kinds
        ``numerical`` or ``categorical`` for each column that is an input.
    odds
        Whether the score is a probability.

    Returns
    -------
    tuple of ScoreModel and row positions, or None
        With the rows it has not seen; None where there are fewer than 60 rows on either side, no inputs, or the
        score is constant.
    """
    scores = rows["score"].to_numpy(dtype=np.float64, na_value=np.nan)
    usable = np.flatnonzero(np.isfinite(scores))
    if not kinds or len(usable) < 3 * _SMALLEST:
        return None
    keys = fingerprints(rows, list(kinds))
    usable = usable[np.argsort(keys[usable], kind="stable")]
    held = keys[usable] % np.uint64(3) == 0
    learn, test = _some(usable[~held]), _some(usable[held])
    floor = _floor(scores[usable])
    y = to_link(scores, odds=odds, floor=floor)
    if len(learn) < _SMALLEST or len(test) < _SMALLEST or float(np.ptp(y[learn])) == 0:
        return None
    fitted = _fit(rows.iloc[learn], y[learn], kinds, odds=odds)
    residuals = y[test] - fitted.predict(rows.iloc[test])
    spread, scale = float(residuals.std()), float(y[test].std())
    explained = 1 - spread**2 / scale**2 if scale else 0.0
    parts = (fitted.weights, fitted.products, fitted.tables, fitted.ends, max(spread, 1e-6), scale, explained)
    return ScoreModel(odds, dict(kinds), fitted.coders, *parts, len(learn), floor), np.sort(test)


def supported(rows: pd.DataFrame, kinds: Mapping[str, str], past: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which rows hold only what the reference knows well, so that nothing is expected of what is new.

    Parameters
    ----------
    rows
        Window and reference.
    kinds
        Of the inputs.
    past
        Which rows are the reference's.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"x": [float(i % 50) for i in range(200)] + [1e6, np.nan]})
    >>> supported(table, {"x": "numerical"}, np.arange(202) < 200)[-3:].tolist()
    [True, False, False]
    """
    known = np.ones(len(rows), dtype=np.bool_)
    for name, kind in kinds.items():
        gone = rows[name].isna().to_numpy()
        if kind == "numerical":
            values = rows[name].to_numpy(dtype=np.float64, na_value=np.nan)
            finite = values[past & np.isfinite(values)]
            low, high = np.quantile(finite, [0.001, 0.999]) if len(finite) else (np.inf, -np.inf)
            known &= gone | ((values >= low) & (values <= high))
        else:
            counts = rows.loc[past, name].astype(object).value_counts()
            seen = set(counts[counts >= _KNOWN].index)
            known &= gone | rows[name].astype(object).isin(seen).to_numpy()
        if int((gone & past).sum()) < _KNOWN:
            known &= ~gone
    return known


def _some(places: Codes) -> Codes:
    """Return at most as many as are needed; they come in the order of a hash, so any run of them is a sample."""
    return places[:_FIT_ROWS]


def _fit(rows: pd.DataFrame, y: Floats, kinds: Mapping[str, str], *, odds: bool) -> ScoreModel:
    coders = {name: coder_of(rows[name], kind) for name, kind in kinds.items()}
    ready = _prepare(rows, kinds, coders)
    tables = {name: np.zeros(coder.size) for name, coder in coders.items()}
    categories = [name for name, kind in kinds.items() if kind != "numerical"]
    _, left = _backfit(ready, y, (), tables, categories)
    products = _products(ready, left)
    tables = {name: np.zeros(coder.size) for name, coder in coders.items()}
    weights, left = _backfit(ready, y, products, tables, categories)
    for _ in range(3):
        left = _smooth(left, ready, tables, list(kinds))
    ends = (float(y.min()), float(y.max()))
    return ScoreModel(odds, dict(kinds), coders, weights, products, tables, ends, 0.0, 0.0, 0.0, len(y), 0.0)


def _backfit(
    ready: Prepared,
    y: Floats,
    products: tuple[tuple[int, int], ...],
    tables: dict[str, Floats],
    categories: list[str],
) -> tuple[Floats, Floats]:
    """Fit numbers by least squares and categories by their means in turn, and return weights and what is left.

    Least squares has a ridge of a thousandth of a row, so that equal columns do no harm. Hastie & Tibshirani
    (1990), Generalized Additive Models, 4.4, for the turns.
    """
    design = _design(ready, products)
    square = design.T @ design
    square[np.diag_indices_from(square)] += 1e-3
    solve = np.linalg.inv(square)
    weights, left = np.zeros(design.shape[1]), y.copy()
    for _ in range(4 if categories else 1):
        step = solve @ (design.T @ left)
        weights, left = weights + step, left - design @ step
        left = _smooth(left, ready, tables, categories)
    return weights, left


def _smooth(left: Floats, ready: Prepared, tables: dict[str, Floats], names: list[str]) -> Floats:
    """Add to each input's table the mean of what is left in each of its bins, and return what is left then."""
    for name in names:
        code, size = ready.codes[name], len(tables[name])
        step = np.bincount(code, weights=left, minlength=size) / (np.bincount(code, minlength=size) + _SHRINK)
        tables[name] = tables[name] + step
        left = left - step[code]
    return left


def _prepare(rows: pd.DataFrame, kinds: Mapping[str, str], coders: Mapping[str, Coder]) -> Prepared:
    numbers = [name for name, kind in kinds.items() if kind == "numerical"]
    bases = {name: coders[name].bases(rows[name]) for name in numbers}
    return Prepared(bases, {name: coders[name].codes(rows[name]) for name in kinds}, len(rows))


def _design(ready: Prepared, products: tuple[tuple[int, int], ...]) -> Floats:
    bases = [x for pair in ready.bases.values() for x in pair]
    columns = [np.ones(ready.n), *bases, *(bases[i] * bases[j] for i, j in products)]
    return np.column_stack(columns)


def _products(ready: Prepared, left: Floats) -> tuple[tuple[int, int], ...]:
    """Return the pairs of standardised inputs whose product goes best with what is left, if it is worth it."""
    bases = [x for pair in ready.bases.values() for x in pair]
    if not bases:
        return ()
    some = slice(0, 5000)
    y = left[some] - left[some].mean()
    stack = np.stack([x[some] for x in bases])
    found = []
    for i, j in itertools.combinations_with_replacement(range(len(bases)), 2):
        product = stack[i] * stack[j]
        product = product - product.mean()
        spread = float(np.sqrt((product**2).sum() * (y**2).sum()))
        found.append((abs(float(product @ y)) / spread if spread else 0.0, (i, j)))
    found.sort(key=lambda one: (-one[0], one[1]))
    return tuple(pair for corr, pair in found[:_PRODUCTS] if corr**2 >= _WORTH)
