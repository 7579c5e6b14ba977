"""What turned one value into another: naming an encoding fault by its arithmetic.

Two ways in. `name_encoding` is given both values of the same requests, served and recomputed. `explain_scores`
has only inputs and scores: it asks which change of an input, made before the known-good behaviour sees it (a
`rbnb.signals.consistency.expected.ScoreModel`), leads to the scores that were given. Rules: a fault is named only if it
explains most of the differences; the simplest explanation wins; what cannot be named is called "other".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbnb.signals.consistency.repeats import differs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.signals.consistency.expected import Prepared, ScoreModel

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

__all__ = ["RATIOS", "Encoding", "explain_scores", "name_encoding"]

#: Constant ratios that a changed unit leaves: twice, powers of ten, seconds and minutes, hours, bytes.
RATIOS = (2.0, 10.0, 100.0, 1000.0, 1e6, 60.0, 3600.0, 24.0, 1024.0)
_HOUR_UNITS = (1.0, 60.0, 3600.0, 3.6e6)
#: Share of the differences that an explanation has to cover to be named.
_MOST = 0.8
#: Relative difference that a cast to 32 bits leaves at most (2 to the power of -23).
_FLOAT32 = 2.0**-23
_ROWS = 2500


@dataclass(frozen=True, slots=True)
class Encoding:
    """One named fault.

    Parameters
    ----------
    feature
        Which input; without ``feature_``.
    kind
        ``missing``, ``unit``, ``float32``, ``category``, ``timezone``, ``shifted``, ``stale``, ``constant``,
        ``truncated`` or ``other``.
    detail
        In words, such as ``100 times the recomputed value``.
    explains
        Share of the differences it covers (served against recomputed), or share of the unexplained variance of
        scores it removes.
    n
        Differing values, or rows, it rests on.
    """

    feature: str
    kind: str
    detail: str
    explains: float
    n: int


def name_encoding(
    feature: str,
    served: pd.Series,
    recomputed: pd.Series,
    *,
    numerical: bool,
    epochs: NDArray[np.int64] | None = None,
    entities: pd.Series | None = None,
) -> Encoding:
    """Name what turned the recomputed value of an input into the served one.

    Parameters
    ----------
    feature
        Its name.
    served, recomputed
        Aligned; only the rows that differ count.
    numerical
        Whether it is a number.
    epochs, entities
        Time of each row and whom it is about, if known: to recognise a value that is out of date.

    Examples
    --------
    >>> import pandas as pd
    >>> name_encoding("amount", pd.Series([100.0, 250.0]), pd.Series([1.0, 2.5]), numerical=True).detail
    '100 times the recomputed value'
    """
    if not numerical:
        return _name_category(feature, served, recomputed)
    a = served.to_numpy(dtype=np.float64, na_value=np.nan)
    b = recomputed.to_numpy(dtype=np.float64, na_value=np.nan)
    apart = differs(a, b, 0.0, 0.0)
    n = int(apart.sum())
    if not n:
        return Encoding(feature, "other", "no difference", 0.0, 0)
    tried = [
        *_missing(a[apart], b[apart]),
        _float32(a[apart], b[apart]),
        *_units(a[apart], b[apart]),
        *_hours(a[apart], b[apart]),
        _shifted(a[apart], b[apart]),
        _stale(a, b, apart, epochs, entities),
        _truncated(a[apart], b[apart]),
        _constant(a[apart]),
    ]
    return _simplest(feature, tried, n)


def _simplest(feature: str, tried: Sequence[tuple[str, str, float]], n: int) -> Encoding:
    """Take the first that covers most of the differences, as they are tried from the simplest on."""
    for kind, detail, covers in tried:
        if covers >= _MOST:
            return Encoding(feature, kind, detail, covers, n)
    best = max(tried, key=lambda one: one[2], default=("other", "", 0.0))
    if best[2] >= 0.5:
        return Encoding(feature, best[0], best[1], best[2], n)
    return Encoding(feature, "other", "no single change explains it", 0.0, n)


def _missing(a: Floats, b: Floats) -> list[tuple[str, str, float]]:
    gone_a, gone_b = np.isnan(a), np.isnan(b)
    filled = a[gone_b & ~gone_a]
    found = [
        ("missing", "a missing value is served as 0", _share(gone_b & (a == 0))),
        ("missing", "0 is served as missing", _share(gone_a & (b == 0))),
        ("missing", "the value is missing where it is served", _share(gone_a & ~gone_b)),
    ]
    if len(filled) >= 3 and len(np.unique(filled)) == 1:
        found.append(("missing", f"a missing value is served as {filled[0]:g}", _share(gone_b & ~gone_a)))
    return found


def _share(flags: Flags) -> float:
    return float(flags.mean()) if len(flags) else 0.0


def _float32(a: Floats, b: Floats) -> tuple[str, str, float]:
    with np.errstate(invalid="ignore", over="ignore"):
        close = np.abs(a - b) <= _FLOAT32 * np.maximum(np.abs(a), np.abs(b))
        cast = (b.astype(np.float32).astype(np.float64) == a) | close
    return "float32", "cast to 32 bits", _share(cast & np.isfinite(a) & np.isfinite(b))


def _units(a: Floats, b: Floats) -> list[tuple[str, str, float]]:
    found = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for ratio in RATIOS:
            for factor, words in ((ratio, f"{ratio:g} times"), (1 / ratio, f"1/{ratio:g} of")):
                near = np.isfinite(a) & np.isfinite(b) & (np.abs(a - factor * b) <= 1e-3 * np.abs(factor * b) + 1e-12)
                # rounding of small values is no counterexample
                near |= np.isfinite(a) & np.isfinite(b) & (np.abs(a - factor * b) <= 0.005 * max(factor, 1.0))
                far = np.abs(a - b) > 0.5 * np.minimum(np.abs(a), np.abs(b))
                found.append(("unit", f"{words} the recomputed value", _share(near & far)))
    return found


def _hours(a: Floats, b: Floats) -> list[tuple[str, str, float]]:
    both = np.isfinite(a) & np.isfinite(b)
    if not both.any():
        return []
    of_day = float(max(a[both].max(), b[both].max())) < 24 and float(min(a[both].min(), b[both].min())) >= 0
    found = []
    for unit in _HOUR_UNITS:
        wrap = 24.0 if of_day and unit == 1.0 else 0.0
        gap = (a - b) / unit
        gap = (gap + 12) % 24 - 12 if wrap else gap
        plain = gap[both]
        shift = float(np.round(np.median(plain)))
        if not 1 <= abs(shift) <= 14 or (unit == 1.0 and not wrap):
            continue
        same = both & (np.abs(gap - shift) < 1e-6)
        found.append(("timezone", f"shifted by {shift:+g} hours", _share(same)))
    return found


def _shifted(a: Floats, b: Floats) -> tuple[str, str, float]:
    """Say how often the same number was added, to two parts in a hundred of it (both sides may be rounded)."""
    gap = (a - b)[np.isfinite(a) & np.isfinite(b)]
    if len(gap) < 5 or len(np.unique(b[np.isfinite(b)])) < 5:
        return "shifted", "shifted by one number", 0.0
    middle = float(np.median(gap))
    near = np.abs(gap - middle) <= 0.02 * abs(middle) + 1e-12
    return "shifted", f"shifted by {middle:+.4g}", float(near.sum() / len(a))


def _stale(
    a: Floats, b: Floats, apart: Flags, epochs: NDArray[np.int64] | None, entities: pd.Series | None
) -> tuple[str, str, float]:
    """Say how often the served value is what was right for the same entity before, or for anybody before."""
    words = "an earlier value of the same entity" if entities is not None else "a value that was right earlier"
    if epochs is None or len(np.unique(b[~np.isnan(b)])) < 50:
        return "stale", words, 0.0
    who = _entity_codes(entities, len(a))
    order = np.argsort(epochs, kind="stable")
    earlier: set[tuple[int, float]] = set()
    hits = chance = total = 0
    for i in order.tolist():
        if apart[i]:
            total += 1
            hits += (who[i], a[i]) in earlier
            chance += (who[i], b[i]) in earlier
        earlier.add((who[i], b[i]))
    # of values that recur anyway, most were right for somebody earlier: only what goes beyond that tells
    usual = chance / total if total and entities is None else 0.0
    share = hits / total if total else 0.0
    return "stale", words, max((share - usual) / (1 - usual), 0.0) if usual < 1 else 0.0


def _entity_codes(entities: pd.Series | None, n: int) -> list[int]:
    import pandas as pd

    return [0] * n if entities is None else [int(code) for code in pd.factorize(entities)[0]]


def _truncated(a: Floats, b: Floats) -> tuple[str, str, float]:
    with np.errstate(invalid="ignore"):
        whole = (a == np.trunc(b)) | (a == np.round(b))
    return "truncated", "cut to a whole number", _share(whole & (a != 0))


def _constant(a: Floats) -> tuple[str, str, float]:
    finite = a[np.isfinite(a)]
    if len(finite) < 5:
        return "constant", "one value for all", 0.0
    values, counts = np.unique(finite, return_counts=True)
    return "constant", f"{values[counts.argmax()]:g} for all", float(counts.max() / len(a))


def _name_category(feature: str, served: pd.Series, recomputed: pd.Series) -> Encoding:
    a = served.astype(object).where(served.notna(), None).to_numpy(dtype=object)
    b = recomputed.astype(object).where(recomputed.notna(), None).to_numpy(dtype=object)
    apart = np.asarray([x != y for x, y in zip(a, b, strict=True)], dtype=np.bool_)
    n = int(apart.sum())
    if not n:
        return Encoding(feature, "other", "no difference", 0.0, 0)
    one, other = a[apart], b[apart]
    gone = np.array([x is None for x in one]), np.array([x is None for x in other])
    tried = [
        ("missing", "the category is missing where it is served", _share(gone[0])),
        ("missing", "a missing category is served as another", _share(gone[1])),
        ("category", "written in another case", _share(_same(one, other, lambda x: str(x).strip().casefold()))),
        ("constant", f"{_commonest(one)} for all", _share(one == _commonest(one)) if len(set(other)) > 1 else 0.0),
        _mapping(one, other),
    ]
    return _simplest(feature, tried, n)


def _same(one: NDArray[np.object_], other: NDArray[np.object_], key: Callable[[object], str]) -> Flags:
    return np.asarray([key(x) == key(y) for x, y in zip(one, other, strict=True)], dtype=np.bool_)


def _commonest(values: NDArray[np.object_]) -> object:
    texts = [str(value) for value in values]
    return max(sorted(set(texts)), key=texts.count)


def _mapping(one: NDArray[np.object_], other: NDArray[np.object_]) -> tuple[str, str, float]:
    """Say how well one fixed exchange of categories explains what is served."""
    seen: dict[str, dict[str, int]] = {}
    for x, y in zip(one, other, strict=True):
        seen.setdefault(str(y), {}).setdefault(str(x), 0)
        seen[str(y)][str(x)] += 1
    image = {y: max(sorted(xs), key=xs.__getitem__) for y, xs in seen.items()}
    kept = sum(xs[image[y]] for y, xs in seen.items())
    shown = ", ".join(f"{y} as {x}" for y, x in sorted(image.items())[:4])
    return "category", f"categories exchanged: {shown}", kept / max(len(one), 1)


def explain_scores(
    surrogate: ScoreModel, rows: pd.DataFrame, features: Sequence[str], *, seed: int = 0
) -> list[Encoding]:
    """Name the change of an input that, made before the known-good behaviour, leads to the scores that were given.

    Parameters
    ----------
    surrogate
        What scores should be.
    rows
        Those whose scores depart; at most 2,500 of them are looked at, the same ones every time.
    features
        Inputs to try, the most suspicious first.
    seed
        For the choice of rows.

    Returns
    -------
    list of Encoding
        Best first; ``explains`` is the share of the unexplained sum of squares that the change removes.
    """
    some = rows.iloc[np.sort(np.random.default_rng(seed).permutation(len(rows))[:_ROWS])]
    left = surrogate.residuals(some)
    some = some[np.isfinite(left)].reset_index(drop=True)
    left = left[np.isfinite(left)]
    total = float((left**2).sum())
    floor = len(left) * surrogate.spread**2
    if len(left) < 20 or total <= floor:
        return []
    found = []
    ready = surrogate.prepare(some)
    link = left + surrogate.expected(ready)
    for feature in features:
        for kind, detail, changed, penalty in _changes(surrogate, some, feature, link, ready):
            rest = link - surrogate.expected(surrogate.exchanged(ready, feature, changed))
            gain = (total - float((rest**2).sum())) / max(total - floor, 1e-12) - penalty
            found.append(Encoding(feature.removeprefix("feature_"), kind, detail, min(gain, 1.0), len(left)))
    kept = [one for one in found if one.explains > 0.1]
    return sorted(kept, key=lambda one: (-one.explains, one.feature, one.kind))


def _changes(
    surrogate: ScoreModel, rows: pd.DataFrame, feature: str, link: Floats, ready: Prepared
) -> list[tuple[str, str, pd.Series, float]]:
    """Return what may have been done to an input: kind, words, values as the model would see them, penalty."""
    values = rows[feature]
    if surrogate.kinds[feature] != "numerical":
        return _category_changes(surrogate, rows, feature, link, ready)
    found: list[tuple[str, str, pd.Series, float]] = []
    gone = values.isna()
    if gone.any():
        found.append(("missing", "a missing value is taken for 0", values.fillna(0.0), 0.0))
    if (values == 0).any():
        found.append(("missing", "0 is taken for missing", values.where(values != 0), 0.0))
    for ratio in RATIOS:
        found.append(("unit", f"{ratio:g} times the value", values * ratio, 0.01))
        found.append(("unit", f"1/{ratio:g} of the value", values / ratio, 0.01))
    finite = values[np.isfinite(values.to_numpy(dtype=np.float64))]
    if len(finite) and finite.min() >= 0 and 12 < finite.max() <= 24:
        found += [
            ("timezone", f"shifted by {k:+d} hours", (values + k) % 24, 0.01) for k in (*range(-12, 0), *range(1, 13))
        ]
    if len(finite):
        found.append(("constant", "one value for all: it is not read", values * 0 + float(finite.median()), 0.03))
        found.append(("missing", "taken for missing", values * np.nan, 0.03))
        if not (finite % 1 == 0).all():
            found.append(("truncated", "cut to a whole number", np.trunc(values), 0.01))
    return found


def _category_changes(
    surrogate: ScoreModel, rows: pd.DataFrame, feature: str, link: Floats, ready: Prepared
) -> list[tuple[str, str, pd.Series, float]]:
    """Find the exchange of categories that leads to the scores best, and try all as unknown."""
    import pandas as pd

    levels = surrogate.coders[feature].levels[:24]
    values = rows[feature].astype(object)
    if not levels:
        return []
    as_level = (pd.Series([level] * len(rows), dtype=object) for level in levels)
    errors = np.stack([(link - surrogate.expected(surrogate.exchanged(ready, feature, one))) ** 2 for one in as_level])
    image: dict[str, str] = {}
    for level in levels:
        inside = (values == level).to_numpy()
        if inside.sum() >= 8:
            each = errors[:, inside].mean(axis=1)
            best, own = int(each.argmin()), levels.index(level)
            noise = 2 * float(errors[own][inside].std()) / np.sqrt(inside.sum())
            image[level] = levels[best] if each[own] - each[best] > max(noise, 0.0) else level
    moved = {a: b for a, b in image.items() if a != b}
    unknown = pd.Series(["\x00unknown"] * len(rows), dtype=object, index=rows.index)
    found = [("category", "taken for unknown", unknown, 0.03)]
    if moved:
        shown = ", ".join(f"{a} as {b}" for a, b in sorted(moved.items())[:4])
        exchanged = values.map(lambda value: moved.get(value, value)).astype(object)
        found.append(("category", f"categories exchanged: {shown}", exchanged, 0.01 * len(moved)))
    return found
