"""The error tree: each branch has the exit code that its docstring draws."""

import re

import pytest

from rbnb import errors
from rbnb.errors import NotFoundError, RbnbError


def test_the_tree_in_the_docstring_is_the_tree():
    """Names and exit codes as drawn, and every error in it has a sentence."""
    drawn = dict(re.findall(r"(\w+Error)\s+(\d)\s", errors.__doc__))
    assert drawn["UsageError"] == "2"
    for name, code in drawn.items():
        assert getattr(errors, name).exit_code == int(code)
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, RbnbError)
        assert name in errors.__doc__
        assert kind.__doc__.strip()


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("fraud-v2", ["fraud-v3", "churn"], "did you mean fraud-v3?"),
        ("zzz", ["b", "a"], "known: a, b"),
        ("x", [], "there is no model yet"),
        ("zzz", [f"model-{n:02d}" for n in range(40)], "…"),
    ],
)
def test_what_is_not_there_names_what_is(name, known, hint):
    """Close names first, else what there is, else that there is nothing."""
    assert hint in NotFoundError("model", name, known).hint
