"""Rules between columns: what they may say, that nothing is executed, and what a missing value means."""

import numpy as np
import pandas as pd
import pytest

from rbnb.errors import UsageError
from rbnb.signals.quality.rules import parse_rule

N = np.nan
COLUMNS = {
    "a": np.array([1.0, 5.0, N, -2.0]),
    "b": np.array([2.0, 3.0, 4.0, -2.0]),
    "kind": np.array(["x", "y", None, "x"], dtype=object),
    "flag": np.array([True, False, True, False]),
    "odd name": np.array([1.0, 1.0, 1.0, 1.0]),
}


def broken(text, columns=COLUMNS, rows=4):
    """Return which rows break a rule."""
    return parse_rule(text).check(columns, rows).broken.tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a <= b", [False, True, False, False]),
        ("a < b", [False, True, False, True]),
        ("a >= 0", [False, False, False, True]),
        ("a + b == 3", [False, True, False, True]),
        ("a + b * 2 == 5", [False, True, False, True]),
        ("(a + b) * 2 == 6", [False, True, False, True]),
        ("a - b - 1 < 0", [False, True, False, False]),
        ("-a <= 1", [False, False, False, True]),
        ("a / (a - a) > 1", [False, False, False, False]),
        ("kind == 'x' implies a <= 1", [False, False, False, False]),
        ("kind == 'x' implies a > 1", [True, False, False, True]),
        ("kind in ['x', \"z\"]", [False, True, False, False]),
        ("kind not in ['x']", [True, False, False, True]),
        ("a in [1, 5]", [False, False, False, True]),
        ("a in [-2, 1, 5]", [False, False, False, False]),
        ("kind is not null", [False, False, True, False]),
        ("a is null", [True, True, False, True]),
        ("not a > 1", [False, True, False, False]),
        ("a > 1 or b > 1 and flag == 1", [False, False, False, True]),
        ("flag == 1 implies b >= 2", [False, False, False, False]),
        ("`odd name` == 1", [False, False, False, False]),
        ("kind < 'y'", [False, True, False, False]),
        ("(a > 1 or b > 1) and (kind == 'x' or kind == 'y')", [False, False, False, True]),
    ],
)
def test_a_rule_says_what_it_reads_like(text, expected):
    """Comparisons, sums, lists, nulls and implications mark exactly the rows that break them."""
    assert broken(text) == expected


def test_a_missing_value_breaks_no_rule_and_is_counted_apart():
    """As in SQL a comparison with nothing decides nothing, unless the rest of the rule decides it."""
    found = parse_rule("a <= b").check(COLUMNS, 4)
    assert found.decided.tolist() == [True, True, False, True]
    assert broken("a <= b or b > 3") == [False, True, False, False]
    assert parse_rule("a <= b and b > 100").check(COLUMNS, 4).broken.tolist() == [True] * 4


def test_sums_of_fractions_are_compared_as_a_person_would():
    """0.1 + 0.2 is 0.3 here, and is neither below nor above it."""
    columns = {"x": [0.1], "y": [0.2], "z": [0.3]}
    for text in ("x + y == z", "x + y <= z", "x + y >= z"):
        assert broken(text, columns, 1) == [False]
    assert broken("x + y < z", columns, 1) == [True]


def test_it_agrees_with_pandas_on_random_rows():
    """A long rule gives what the same expression written in pandas gives."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({name: rng.normal(0, 2, 500).round(1) for name in "pqr"})
    held = (frame.p + frame.q <= frame.r * 2) | ~((frame.p > 0) & (frame.q != frame.r))
    text = "p + q <= r * 2 or not (p > 0 and q != r)"
    assert broken(text, {name: frame[name].to_numpy() for name in frame}, 500) == (~held).tolist()


@pytest.mark.parametrize("values", [pd.array([1, None, 3], "Int64"), pd.array([1, None, 3], "int64[pyarrow]")])
def test_nullable_columns_are_read_as_they_are(values):
    """A nullable integer is a number, and its null is missing."""
    found = parse_rule("x <= 2").check({"x": values.to_numpy(dtype=object)}, 3)
    assert found.broken.tolist() == [False, False, True]
    assert found.decided.tolist() == [True, False, True]


@pytest.mark.parametrize(
    "text",
    [
        "", "a <", "a", "a + b", "a <= b extra", "a == 'open", "__import__('os').system('x')", "a.b > 1", "a[0] > 1",
        "f(a) > 1", "a ; b", "a <= b <= c and", "lambda: 1", "a is empty", "a in [b]", "a in []", "a not 3",
        "(a > 1) + 2 > 3", "a > (b > 1)", "1 +", "a in [-'x']", "{a} > 1", "a ** 2 > 1", "a > 1 or", "- (a > 1) > 0",
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused_with_the_place(text):
    """Calls, attributes, indexes, half sentences and sums alone are errors of the owner, told as such."""
    with pytest.raises(UsageError):
        parse_rule(text)


@pytest.mark.parametrize(
    "text", ["(" * 500 + "a" + ")" * 500 + " > 1", "-" * 500 + "a > 1", "a implies " * 99 + "a > 1"]
)
def test_a_rule_cannot_exhaust_the_reader(text):
    """Depth and length are bounded, so that a model file cannot bring down a run."""
    with pytest.raises(UsageError):
        parse_rule(text)


def test_a_column_that_is_not_there_is_named():
    """The error names the column rather than failing inside."""
    with pytest.raises(UsageError, match="'c'"):
        parse_rule("a <= c").check(COLUMNS, 4)
