"""Times and durations: one way to read each, and nothing is guessed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbnb.errors import UsageError
from rbnb.times import format_duration, format_time, parse_duration, parse_time


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds
def test_a_time_that_was_written_is_read_back(moment):
    """To the second, whatever the time."""
    assert parse_time(format_time(moment)) == moment.replace(microsecond=0)


@pytest.mark.parametrize("text", ["", "now", "2026-11-19", "2026-11-19T14:05:00", "14:05Z", "2026-13-01T00:00:00Z"])
def test_a_time_without_a_zone_or_that_is_none_is_refused(text):
    """With a hint how to write it; a zone is never guessed."""
    with pytest.raises(UsageError) as refused:
        parse_time(text)
    assert refused.value.hint


def test_a_naive_time_is_never_written():
    """Nor is one ever recorded."""
    with pytest.raises(ValueError, match="naive"):
        format_time(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize("text", ["", "0h", "-2h", "2", "h", "2y", "P1M", "P1Y", "P", "PT", "nan h", "1e9h", "99999d"])
def test_what_is_no_duration_is_refused(text):
    """Months and years, whose length varies, among them."""
    with pytest.raises(UsageError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5400), ("90 min", 5400), ("1.5h", 5400), ("PT90M", 5400), ("p1d", 86400), ("2W", 1209600)],
)
def test_a_duration_is_read_in_the_ways_people_write_it(text, seconds):
    """Short or in ISO 8601, in either case."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@given(st.integers(1, 3600 * 24 * 400))
def test_a_duration_is_told_in_two_units_at_most(seconds):
    """Never empty, never longer than a person can hold."""
    told = format_duration(timedelta(seconds=seconds))
    assert 2 <= len(told.split()) <= 4
