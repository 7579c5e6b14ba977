"""Training rows as numbers: every type that tables come with, and distances that mean something."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rbnb.signals.poisoning.training_rows import as_numbers, as_texts, distance_space, learn_encoding

KINDS = {"n": "numerical", "c": "categorical"}


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, 2, None], dtype="Int64"),
        pd.Series([1.0, 2.0, None]),
        pd.Series([1, 2, None], dtype="int64[pyarrow]"),
        pd.Series(["1", "2", "x"]),
        pd.Series([1, 2, None], dtype=object),
        pd.Series(pd.Categorical([1, 2, None])),
    ],
    ids=["nullable", "float", "pyarrow", "text", "mixed", "category"],
)
def test_numbers_come_out_alike_whatever_holds_them(values):
    """One, two and nothing are the same three values in every dtype."""
    np.testing.assert_array_equal(as_numbers(pd.DataFrame({"n": values}), "n"), [1.0, 2.0, np.nan])


def test_labels_come_out_alike_whatever_holds_them():
    """True, 1, 1.0 and "1" are one label, and a null is none."""
    for values in ([True, None], [1, None], [1.0, None], ["1", None], pd.array([1, None], dtype="Int64")):
        assert as_texts(pd.DataFrame({"label": values}), "label") == ["1", "(none)"]
    assert as_texts(pd.DataFrame({"a": [1]}), "gone") == ["(none)"]


def test_what_cannot_be_used_is_told_and_the_rest_is_kept():
    """Constant, empty and missing columns are left out with a reason each; infinities become gaps."""
    frame = pd.DataFrame({"n": [1.0, np.inf, 3.0], "flat": [1, 1, 1], "empty": [None] * 3, "c": ["a", None, "b"]})
    kinds = KINDS | {"flat": "numerical", "empty": "numerical", "gone": "categorical"}
    encoding = learn_encoding(frame, kinds)
    assert set(encoding.broken) == {"flat", "empty", "gone"}
    assert encoding.names == ["n", "c"]
    np.testing.assert_array_equal(np.isnan(encoding.matrix(frame)[:, 0]), [False, True, False])
    assert encoding.is_categorical().tolist() == [False, True]


def test_another_table_is_seen_as_the_first_was():
    """A category never seen gets a code of its own, and a column that is gone is a gap."""
    encoding = learn_encoding(pd.DataFrame({"n": [1, 2, 3], "c": ["a", "b", "a"]}), KINDS)
    other = encoding.matrix(pd.DataFrame({"c": ["b", "new"]}))
    assert np.isnan(other[:, 0]).all()
    assert other[:, 1].tolist() == [1.0, 2.0]


def test_distances_do_not_depend_on_units_and_one_wild_value_is_cut():
    """Metres or kilometres give the same space; two categories are 1 apart."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"n": np.exp(rng.normal(size=200)), "c": rng.choice(["a", "b"], 200)})
    frame.loc[0, "n"] = 1e12
    spaces = []
    for factor in (1.0, 1000.0):
        scaled = frame.assign(n=frame["n"] * factor)
        encoding = learn_encoding(scaled, KINDS)
        spaces.append(distance_space(encoding, encoding.matrix(scaled)))
    np.testing.assert_allclose(spaces[0], spaces[1], atol=1e-9)
    assert spaces[0][0, 0] == 6.0
    a, b = (spaces[0][(frame["c"] == name).to_numpy()][0, 1:] for name in "ab")
    assert np.linalg.norm(a - b) == pytest.approx(1.0)
