"""What all that measures keeps to: inputs untouched, order irrelevant, repeatable, undefined with a reason."""

from __future__ import annotations

import copy
import math

import numpy as np
import pandas as pd
import pytest

from rbnb.model import Signal
from rbnb.signals import baseline, intervals, segments
from rbnb.signals.baseline import DAY, seasonal_expectation
from rbnb.signals.latency import components, episode
from rbnb.signals.latency import slowness as latency

RNG = np.random.default_rng(1)
TIMES = np.arange(0, 2 * DAY, 300)
TARGETS = 2 * DAY + np.arange(24) * 300
USUAL = seasonal_expectation(TIMES, 50 * np.exp(RNG.normal(0, 0.1, len(TIMES))), TARGETS)
SLOW = 50 * np.exp(RNG.normal(0, 0.1, 24)) * np.where(np.arange(24) > 10, 2, 1)
LOAD = RNG.integers(10, 90, 500)


def cells(n=200, factor=2.0):
    """Return cells of two stages and two zones."""
    rows = [
        {"period": period, "zone": zone, "n": n, **{f"{s}|{k}": v for s in ("queue", "model") for k, v in each.items()}}
        for period, by in (("current", factor), ("reference", 1.0))
        for zone in ("a", "b")
        for each in ({"total": 10.0 * n * by, "squares": 120.0 * n * by * by},)
    ]
    return pd.DataFrame(rows)


def spans(n=500):
    """Return counts of bad requests over the standard windows."""
    names = [f"{name}.{which}" for name, *_ in latency.BURN_PAIRS for which in ("long", "short")]
    return pd.DataFrame({"span": names, "bad": [n // 10] * len(names), "of": [n] * len(names)})


def bins(n=100):
    """Return payload bins."""
    rows = [(p, b, n, n * 10.0 * (b + 1) * k) for p, k in (("current", 2), ("reference", 1)) for b in (0, 1)]
    return pd.DataFrame(rows, columns=["period", "bin", "n", "total"])


def detect(values):
    """Detect against the shared expectation."""
    return episode.detect_episode(TARGETS, {"p50": (values, USUAL)}, since=int(TARGETS[0]), z_min=4, ratio_min=1.2)[0]


ONE, NONE = (2.0, 1.9, 2.1), (None, None, None)
LATENCY = Signal("latency", 2.0, "ratio", 500, "m", (1.8, 2.2))
UNKNOWN = Signal("latency", None, "ratio", 0, "m", reason="no requests")
EMPTY_CELLS = cells().iloc[:0]

#: By function: how it is called on data, and on none of it.
CASES = {
    "burn_rates": (
        lambda table: latency.burn_rates("latency", table, "bad", "of", 0.01),
        (spans(),),
        (spans(0),),
    ),
    "detect_episode": (detect, (SLOW,), (np.full(24, math.nan),)),
    "equal_load": (
        lambda *a: latency.equal_load(*a, seed=3),
        (LOAD[:20], 2.0 * LOAD[:20], 1.0 * LOAD[:20], LOAD, 1.0 * LOAD),
        ([], [], [], [], []),
    ),
    "equal_mix": (latency.equal_mix, (bins(),), (bins().iloc[:0],)),
    "quantile_ratio": (
        lambda now, before, n: latency.quantile_ratio("q", 0.5, now, before, (n, n)),
        (ONE, (1.0, 0.9, 1.1), 500),
        (NONE, NONE, 0),
    ),
    "share": (lambda k, n: intervals.share("s", k, n), (3, 50), (0, 0)),
    "stage_excess": (lambda table: latency.stage_excess(table, ["queue", "model"]), (cells(),), (EMPTY_CELLS,)),
    "tail_only": (latency.tail_only, (LATENCY, LATENCY), (UNKNOWN, UNKNOWN)),
}
#: What returns no signal: words, numbers, rows, or what signals are made from.
OTHERS = {
    *("BURN_PAIRS", "quantile_levels", "ratio_interval", "wilson"),
    *("DAY", "WEEK", "Expectation", "fewer", "robust_z", "seasonal_expectation", "seasonal_period", "sustained"),
    *("ComponentShift", "component_shifts", "deepest", "descendants", "typical_distance"),
    *("Episode", "persistence"),
    *("outside_excess", "rank_segments", "segment_mask"),
}


def signals(found):
    """Return a list of signals from one or many."""
    return [found] if isinstance(found, Signal) else list(found)


def test_every_function_that_measures_is_visited():
    """Each public name is held to the contract, or known to return no signal."""
    names = {
        name for module in (baseline, components, episode, intervals, latency, segments) for name in module.__all__
    }
    assert names == set(CASES) | OTHERS
    assert not set(CASES) & OTHERS


@pytest.mark.parametrize("name", CASES)
def test_a_signal_says_what_it_is(name):
    """Each has a number, a unit, how many it rests on and how it was computed; an interval holds the number."""
    call, data, _ = CASES[name]
    for signal in signals(call(*data)):
        assert signal.defined
        assert signal.name
        assert signal.unit
        assert signal.method
        assert signal.n > 0
        if signal.interval:
            assert signal.interval[0] <= signal.value <= signal.interval[1]


@pytest.mark.parametrize("name", CASES)
def test_nothing_to_measure_is_undefined_with_a_reason(name):
    """It is None, never 0, and says why."""
    call, _, nothing = CASES[name]
    found = signals(call(*nothing))
    assert found
    for signal in found:
        assert signal.value is None
        assert signal.interval is None
        assert signal.reason
        assert signal.unit
        assert signal.method


@pytest.mark.parametrize("name", CASES)
def test_measuring_changes_nothing_and_can_be_repeated(name):
    """The same data gives the same signals, and stays as it was."""
    call, data, _ = CASES[name]
    before = copy.deepcopy(data)
    assert signals(call(*data)) == signals(call(*data))
    for one, other in zip(before, data, strict=True):
        if isinstance(one, pd.DataFrame):
            pd.testing.assert_frame_equal(one, other)
        else:
            assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other


@pytest.mark.parametrize("name", [name for name, (_, data, _) in CASES.items() if isinstance(data[0], pd.DataFrame)])
def test_the_order_of_rows_does_not_matter(name):
    """A table turned upside down gives the same signals."""
    call, (table,), _ = CASES[name]
    for one, other in zip(signals(call(table)), signals(call(table.iloc[::-1])), strict=True):
        assert one.value == pytest.approx(other.value)
        assert one.interval == (pytest.approx(other.interval) if other.interval else None)
        assert (one.name, one.where, one.n) == (other.name, other.where, other.n)


def test_the_order_of_cells_does_not_change_the_ranking():
    """Slices are ranked alike whichever way the cells come."""
    table = cells().rename(columns={"queue|total": "total", "queue|squares": "squares"})
    table.loc[(table["period"] == "current") & (table["zone"] == "b"), "total"] *= 3
    table.loc[(table["period"] == "current") & (table["zone"] == "b"), "squares"] *= 9.5
    assert segments.rank_segments(table, ["zone"]) == segments.rank_segments(table.iloc[::-1], ["zone"])
    assert segments.rank_segments(table, ["zone"])[0][0].where == "zone=b"


def test_two_engines_orders_give_one_bootstrap():
    """With the seed the interval at equal load is repeatable, with another it is nearly the same."""
    noisy = 2.0 * LOAD[:20] * np.exp(np.random.default_rng(2).normal(0, 0.1, 20))
    given = (LOAD[:20], noisy, 1.0 * LOAD[:20], LOAD, 1.0 * LOAD)
    one, same, other = (latency.equal_load(*given, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one.interval != other.interval
    assert one.interval == pytest.approx(other.interval, abs=0.05)
