"""Which slice explains the excess: the true one, or none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rbnb.signals.segments import outside_excess, rank_segments, segment_mask

COLUMNS = ["zone", "host", "channel"]


def requests(n, seed, *, slow=(), extra=60.0):
    """Return requests with lognormal latency; those in which all of `slow` hold take longer."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "zone": rng.choice(["a", "b", "c"], n, p=[0.4, 0.4, 0.2]),
            "channel": rng.choice(["web", "app", "pos"], n, p=[0.3, 0.2, 0.5]),
        }
    )
    frame["host"] = frame["zone"] + rng.choice(["1", "2", "3"], n)
    latency = np.exp(rng.normal(4, 0.6, n))
    if slow:
        hit = np.logical_and.reduce([frame[column] == value for column, value in slow])
        latency += hit * extra * np.exp(rng.normal(0, 0.5, n))
    return frame.assign(latency=latency)


def cells(now, before):
    """Reduce two periods to cells."""
    frames = []
    for period, frame in (("current", now), ("reference", before)):
        each = frame.assign(n=1, total=frame["latency"], squares=frame["latency"] ** 2)
        sums = each.groupby(COLUMNS)[["n", "total", "squares"]].sum().reset_index()
        frames.append(sums.assign(period=period))
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("slow", "where"),
    [
        ([("zone", "b")], "zone=b"),
        ([("host", "a2")], "host=a2"),
        ([("zone", "b"), ("channel", "web")], "zone=b & channel=web"),
    ],
)
def test_the_true_slice_comes_first(seed, slow, where):
    """One column or two, it is named first, with most of the excess inside its interval."""
    found, tried = rank_segments(cells(requests(900, seed, slow=slow, extra=150), requests(6000, seed + 100)), COLUMNS)
    assert found[0].where == where
    assert found[0].explains > 0.7
    assert found[0].interval[0] <= 1.05
    assert found[0].interval[1] >= 0.9
    assert tried == 3 + 9 + 3 + 9 + 27 + 9


def test_no_slice_is_named_where_all_are_equally_slow():
    """In at least 95 % of 100 uniform slowdowns nothing is singled out, over every slice that was tried."""
    named = 0
    for seed in range(100):
        now = requests(400, seed)
        now["latency"] += 60
        named += bool(rank_segments(cells(now, requests(2000, seed + 1000)), COLUMNS)[0])
    assert named <= 5


def test_no_slice_is_named_in_noise():
    """In at least 95 % of 100 windows in which nothing happened nothing is named."""
    named = sum(bool(rank_segments(cells(requests(300, s), requests(2000, s + 500)), COLUMNS)[0]) for s in range(100))
    assert named <= 5


def test_slices_that_are_usually_slow_are_not_blamed():
    """A slow channel that is as slow as ever does not explain that a zone became slower."""
    now, before = requests(1500, 1, slow=[("zone", "b")], extra=150), requests(8000, 2)
    for frame in (now, before):
        frame["latency"] += 300.0 * (frame["channel"] == "app")
    assert rank_segments(cells(now, before), COLUMNS)[0][0].where == "zone=b"


def test_a_slice_the_reference_never_saw_can_be_named():
    """A new host is held against everybody."""
    now = requests(900, 3)
    new = np.random.default_rng(4).random(900) < 0.2
    now.loc[new, "host"] = "new"
    now.loc[new, "latency"] += 200
    assert rank_segments(cells(now, requests(6000, 5)), COLUMNS)[0][0].where == "host=new"


def test_without_excess_or_without_a_period_nothing_is_ranked():
    """Faster than usual, or nothing to compare with: an empty list."""
    before = requests(3000, 6)
    now = requests(500, 7).assign(latency=lambda f: f["latency"] / 3)
    assert rank_segments(cells(now, before), COLUMNS)[0] == []
    both = cells(requests(500, 7), before)
    assert rank_segments(both[both["period"] == "current"], COLUMNS) == ([], 0)


def test_a_mask_follows_the_grammar_of_segments():
    """Everywhere is everybody, two columns are an and, an unknown column is nobody."""
    frame = pd.DataFrame({"zone": ["a", "b", "b"], "host": ["1", "1", "2"]})
    assert segment_mask(frame, "").tolist() == [True] * 3
    assert segment_mask(frame, "zone=b & host=1").tolist() == [False, True, False]
    assert segment_mask(frame, "planet=earth").tolist() == [False] * 3


def test_those_outside_are_measured_with_their_interval():
    """Outside the slow zone nobody is slow, and the interval says so; with too few it is not said."""
    table = cells(requests(1500, 8, slow=[("zone", "b")], extra=200), requests(8000, 9))
    value, low, high, n = outside_excess(table, "zone=b")
    assert low < 0 < high
    assert value == pytest.approx((low + high) / 2)
    assert n == table[(table["period"] == "current") & (table["zone"] != "b")]["n"].sum()
    assert outside_excess(table, "zone=b", "zone=b") is None
