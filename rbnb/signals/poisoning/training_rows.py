"""Rows of a training table as numbers, for models that score labels and for distances between rows.

Rules: numbers stay numbers, with missing and infinite ones as NaN, counted; categories become codes, the
rare and the unknown together; what cannot be read is left out and told, and never takes the others down.
Encoding learned on one table is applied to another, so that trusted rows are seen as the training rows are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["Encoding", "as_numbers", "as_texts", "distance_space", "learn_encoding"]

#: What a null is called.
NOBODY = "(none)"
#: Categories of a column that are told apart; rarer ones are one category together. scikit-learn's boosting
#: takes at most 255.
_MOST_CATEGORIES = 60


@dataclass(frozen=True, slots=True)
class Encoding:
    """How columns become numbers.

    Parameters
    ----------
    numerical
        Columns taken as numbers.
    categories
        By categorical column, its known categories; a value that is not among them gets the code after the last.
    broken
        Columns left out, and why.
    """

    numerical: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    broken: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """The columns in the order of the matrix: numerical first."""
        return [*self.numerical, *self.categories]

    def matrix(self, frame: pd.DataFrame) -> Floats:
        """Return one row a row of `frame`; a column that `frame` lacks is NaN throughout."""
        columns = [_finite(as_numbers(frame, name)) for name in self.numerical]
        for name, known in self.categories.items():
            code = {value: float(i) for i, value in enumerate(known)}
            columns.append(np.array([code.get(value, float(len(known))) for value in as_texts(frame, name)]))
        return np.column_stack(columns) if columns else np.zeros((len(frame), 0))

    def is_categorical(self) -> Mask:
        """Return which columns of the matrix hold codes."""
        return np.array([False] * len(self.numerical) + [True] * len(self.categories), dtype=bool)


def as_numbers(frame: pd.DataFrame, name: str) -> Floats:
    """Return a column as floats: NaN where it is null, missing or no number; infinities kept."""
    import pandas as pd

    if name not in frame:
        return np.full(len(frame), np.nan)
    values = frame[name]
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    numbers = pd.to_numeric(values, errors="coerce")
    return np.array(numbers.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def as_texts(frame: pd.DataFrame, name: str) -> list[str]:
    """Return a column as texts; a null is ``(none)``, and whole floats are written as whole numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> as_texts(pd.DataFrame({"label": [1.0, None, 0.0]}), "label")
    ['1', '(none)', '0']
    """
    import pandas as pd

    if name not in frame:
        return [NOBODY] * len(frame)
    codes, found = pd.factorize(frame[name].astype(object))
    texts = [*(_text(value) for value in found), NOBODY]
    return [texts[code] for code in codes]


def _text(value: Any) -> str:  # noqa: ANN401 - whatever a label or a category is
    if isinstance(value, (bool, np.bool_)):
        return "1" if value else "0"
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)


def learn_encoding(frame: pd.DataFrame, kinds: Mapping[str, str]) -> Encoding:
    """Decide from a training table how its features become numbers.

    Parameters
    ----------
    frame
        The training table.
    kinds
        ``numerical`` or ``categorical`` by column.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"age": [30, 41], "place": ["a", "b"]})
    >>> learn_encoding(table, {"age": "numerical", "place": "categorical", "gone": "numerical"}).broken
    {'gone': 'the training table has no such column'}
    """
    numerical: list[str] = []
    categories: dict[str, tuple[str, ...]] = {}
    broken: dict[str, str] = {}
    for name, kind in kinds.items():
        if name not in frame:
            broken[name] = "the training table has no such column"
        elif kind == "numerical":
            if reason := _unusable(_finite(as_numbers(frame, name))):
                broken[name] = reason
            else:
                numerical.append(name)
        else:
            known = _frequent(as_texts(frame, name))
            if len(known) < 2:
                broken[name] = "is the same in every row"
            else:
                categories[name] = known
    return Encoding(tuple(numerical), categories, broken)


def _unusable(values: Floats) -> str:
    if np.isnan(values).all():
        return "holds no number"
    return "is the same in every row" if np.nanmin(values) == np.nanmax(values) else ""


def _frequent(values: Sequence[str]) -> tuple[str, ...]:
    found, counts = np.unique(np.array(values, dtype=object).astype(str), return_counts=True)
    order = np.lexsort((found, -counts))[:_MOST_CATEGORIES]
    return tuple(sorted(str(found[i]) for i in order))


def distance_space(encoding: Encoding, matrix: Floats) -> Floats:
    """Return rows in a space where Euclidean distance means something.

    Numbers that are never negative and lean to the right are taken as logarithms; all are centred on the median and
    divided by the normal-consistent interquartile range, cut to ±6 so that one wild value is far and no farther;
    missing is the median. Two different categories of a column are 1 apart.
    """
    parts = [_scaled(_straightened(matrix[:, j]))[:, None] for j in range(len(encoding.numerical))]
    for j, known_values in enumerate(encoding.categories.values(), start=len(encoding.numerical)):
        same = matrix[:, j][:, None] == np.arange(len(known_values) + 1)[None, :]
        parts.append(same / np.sqrt(2.0))
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(matrix), 0))


def _straightened(values: Floats) -> Floats:
    """Return logarithms of a column that is never negative and leans to the right, else the column."""
    known = values[~np.isnan(values)]
    if not len(known) or known.min() < 0:
        return values
    low, middle, high = np.quantile(known, (0.1, 0.5, 0.9))
    if high <= low or (high + low - 2 * middle) / (high - low) < 0.15:
        return values
    return np.log(values) if known.min() > 0 else np.log1p(values)


def _scaled(values: Floats) -> Floats:
    known = values[~np.isnan(values)]
    quarter, middle, three = np.quantile(known, (0.25, 0.5, 0.75)) if len(known) else (0.0, 0.0, 0.0)
    spread = float(three - quarter) / 1.349 or (float(np.std(known)) if len(known) else 0.0) or 1.0
    return np.clip(np.where(np.isnan(values), 0.0, (values - middle) / spread), -6, 6)
