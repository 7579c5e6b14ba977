"""What a run looks at: window, reference and bucket never overlap, never reach past the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rbnb.errors import DataError, ParameterError, UsageError
from rbnb.model import Window
from rbnb.scope import describe, parse_spans, resolve_scope

LAST = datetime(2026, 11, 19, 15, 59, 55, tzinfo=UTC)
FIRST = LAST - timedelta(days=21)


def scope(**changed):
    """Resolve a scope over three weeks of 240 requests an hour, with some arguments changed."""
    given = {
        "first": FIRST,
        "last": LAST,
        "rows": 21 * 24 * 240,
        "now": datetime(2026, 11, 19, 16, tzinfo=UTC),
        "at": "",
        "window": "2h",
        "bucket": "auto",
        "reference": None,
        "per_row": False,
    }
    return resolve_scope(**(given | changed))


def test_the_window_ends_at_the_newest_complete_bucket():
    """A bucket that the clock has not left is not used, one that is complete is."""
    assert scope().window.end == datetime(2026, 11, 19, 16, tzinfo=UTC)
    early = scope(now=datetime(2026, 11, 19, 15, 59, 57, tzinfo=UTC))
    assert early.window.end == datetime(2026, 11, 19, 15, 55, tzinfo=UTC)
    assert scope(at="2026-11-12T09:03:00Z").window.end == datetime(2026, 11, 12, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "bucket"), [("2h", "auto"), ("100m", "15m"), ("50m", "10m"), ("7h", "1h"), ("3d", "auto")]
)
def test_the_reference_ends_where_the_window_begins(window, bucket):
    """Whatever the window's length is, no bucket is in both, and both are aligned."""
    found = scope(window=window, bucket=bucket)
    assert found.reference_end == found.start
    assert found.start % found.bucket == found.end % found.bucket == found.reference_start % found.bucket == 0
    assert found.reference.length == timedelta(days=14)


def test_a_fixed_reference_that_holds_the_window_leaves_it_out():
    """The window is never its own yardstick."""
    fixed = Window(FIRST, LAST)
    found = scope(reference=fixed, leave_out=((1, 2),))
    assert found.reference == fixed
    assert found.leave_out == ((1, 2), (found.start, found.end))
    before = Window(FIRST, FIRST + timedelta(days=7))
    assert scope(reference=before).leave_out == ()


@pytest.mark.parametrize(
    ("per_hour", "per_row", "bucket"),
    [
        (600, False, 300),
        (96, False, 300),
        (50, False, 600),
        (20, False, 1800),
        (1, False, 3600),
        (12, True, 300),
        (4, True, 900),
        (1, True, 3600),
    ],
)
def test_a_bucket_is_as_small_as_the_traffic_allows(per_hour, per_row, bucket):
    """Eight requests on average, or one measurement."""
    assert scope(rows=21 * 24 * per_hour, per_row=per_row).bucket == bucket


def test_what_cannot_be_is_refused():
    """No rows, a bucket that does not divide an hour, a window of one bucket, a duration that is none."""
    with pytest.raises(DataError):
        scope(first=None, last=None)
    for changed in ({"bucket": "7m"}, {"bucket": "5s"}, {"window": "5m"}, {"window": "1h", "bucket": "1h"}):
        with pytest.raises(ParameterError):
            scope(**changed)
    with pytest.raises(UsageError):
        scope(window="soon")


def test_spans_are_read_and_a_wrong_one_is_refused():
    """Several spans, blanks between them, nothing at all; an end before its start is an error."""
    text = "2026-11-10T08:00:00Z/2026-11-10T09:00:00Z, 2026-11-11T08:00:00Z/2026-11-11T09:00:00Z,"
    spans = parse_spans(text)
    assert [end - start for start, end in spans] == [3600, 3600]
    assert parse_spans("") == ()
    for wrong in (
        "2026-11-10T09:00:00Z/2026-11-10T08:00:00Z",
        "2026-11-10T09:00:00Z",
        "2026-11-10T09:00:00/2026-11-10T10:00:00",
    ):
        with pytest.raises(UsageError):
            parse_spans(wrong)


def test_the_scope_is_told_in_words():
    """Window, reference and bucket, with times in UTC."""
    told = describe(scope())
    assert told["bucket"] == "5 min"
    assert told["window"] == "2026-11-19T14:00:00Z to 2026-11-19T16:00:00Z"
