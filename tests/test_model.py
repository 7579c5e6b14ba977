"""The words of rbnb become strict JSON, and a name is never a path."""

import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbnb.errors import NameRefusedError
from rbnb.model import RunStatus, Signal, Window, checked_name, to_plain

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes(timezones=st.just(UTC)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(VALUES)
def test_anything_that_can_be_measured_becomes_strict_json(value):
    """No NaN, no infinity, and the same again when it is read back."""
    plain = to_plain(value)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64(1.5), 1.5),
        (np.int64(3), 3),
        (np.bool_(True), True),  # noqa: FBT003 - the value under test
        (np.float32("inf"), None),
        (RunStatus.FAILED, "failed"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=1))), "2026-01-02T02:00:00Z"),
        (Path("a") / "b", "a/b"),
    ],
)
def test_every_kind_of_scalar_is_known(value, plain):
    """Numpy's too; nothing is turned into a string that was a number."""
    assert to_plain(value) == plain
    assert type(to_plain(value)) is type(plain)


def test_what_cannot_be_recorded_is_refused():
    """Nothing is recorded as the text of an object."""
    with pytest.raises(TypeError, match="cannot be recorded"):
        to_plain(object())


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_a_number_without_a_meaning_is_not_defined(value):
    """It is not 0 in its stead."""
    assert not Signal("s", value, "ms", 0, "how").defined


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "-a", "a" * 65, "ä", "a\n", "a\x00", "https://x", "~"])
def test_a_name_that_could_be_more_is_refused(name):
    """A path, an address, an option or nothing at all is no name."""
    with pytest.raises(NameRefusedError) as refused:
        checked_name("incident", name)
    assert "an incident" in refused.value.message


def test_a_window_knows_its_length():
    """From start to end."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert Window(start, start + timedelta(hours=2)).length == timedelta(hours=2)
