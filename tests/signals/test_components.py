"""Components: which left their usual range, since when, and which of them is the root."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rbnb.signals.latency.components import component_shifts, deepest, descendants, typical_distance

STEP, N = 300, 96
SINCE = (N - 24) * STEP


def readings(values, *, component="store", metric="latency_ms", segment="zone=b"):
    """Return a series of readings, one every five minutes."""
    return pd.DataFrame(
        {
            "time": np.arange(len(values)) * STEP,
            "component": component,
            "metric": metric,
            "segment": segment,
            "value": np.asarray(values, dtype=float),
        }
    )


def baseline(level=10.0, spread=1.0, *, component="store", metric="latency_ms"):
    """Return one slot for all hours."""
    row = {"component": component, "metric": metric, "slot": 0, "n": 500}
    return pd.DataFrame([row | {"q10": level - 1.28 * spread, "q50": level, "q90": level + 1.28 * spread}])


def noise(seed=1):
    """Return readings around 10 with a deviation of 1."""
    return np.random.default_rng(seed).normal(10, 1, N)


def shifts(values, **usual):
    """Return the shifts of one series."""
    return component_shifts(readings(values), baseline(**usual), period=0, slot=3600, since=SINCE, z_min=5)


@pytest.mark.parametrize(("value", "sign", "ratio"), [(100.0, 1, 10.0), (1.0, -1, 0.1)])
def test_a_series_that_jumps_or_falls_is_found_with_its_onset(value, sign, ratio):
    """Up or down: its direction, size, place and first reading out of range."""
    series = noise()
    series[80:] = value
    (shift,) = shifts(series)
    assert shift.z * sign > 5
    assert shift.onset == 80 * STEP
    assert shift.ratio == pytest.approx(ratio)
    assert (shift.component, shift.segment, shift.n) == ("store", "zone=b", 24)


def test_one_that_began_before_the_window_is_dated_there():
    """What has been out of range for hours did not begin with the window."""
    series = noise()
    series[40:] = 100.0
    series[60] = 10.0
    assert shifts(series)[0].onset == 40 * STEP


def test_noise_and_one_wild_reading_are_no_shift():
    """Two of three readings must be out; a tenth of 50 series of noise would be too many."""
    assert sum(bool(shifts(noise(seed))) for seed in range(50)) == 0
    series = noise()
    series[85] = 1e6
    assert shifts(series) == []


def test_what_ended_before_the_window_is_history():
    """Out of range before the window and normal in it is no shift."""
    series = noise()
    series[40:60] = 100.0
    assert shifts(series) == []


def test_a_series_that_never_moves_is_not_infinitely_sensitive():
    """Rounding on a constant counts for nothing; a constant 0 that rises counts, without a ratio."""
    assert shifts(np.where(np.arange(N) % 2, 10.0, 10.1), level=10.0, spread=0.0) == []
    series = np.zeros(N)
    series[80:] = 3.0
    assert shifts(series, level=0.0, spread=0.0)[0].ratio is None


def test_the_hours_are_compared_and_a_series_without_baseline_is_left_out():
    """A series that is high at this hour every day is as usual; one without a reference is not judged."""
    day = pd.concat([baseline(level=10.0 + 90 * (slot >= 12)).assign(slot=slot) for slot in range(24)])
    now = readings(np.full(N, 100.0)).assign(time=lambda f: f["time"] + 13 * 3600)
    now = now[now["time"] < 24 * 3600]
    assert component_shifts(now, day, period=86400, slot=3600, since=0, z_min=5) == []
    other = readings(np.full(N, 100.0), component="unknown")
    assert component_shifts(other, baseline(), period=0, slot=3600, since=0, z_min=5) == []
    assert component_shifts(now.iloc[:0], day, period=0, slot=3600, since=0, z_min=5) == []


def test_the_strongest_comes_first():
    """Series are ranked by how far they are out."""
    weak, strong = noise(), noise(2)
    weak[80:], strong[80:] = 30.0, 300.0
    frame = pd.concat([readings(weak, component="weak"), readings(strong, component="strong")])
    usual = pd.concat([baseline(component="weak"), baseline(component="strong")])
    found = component_shifts(frame, usual, period=0, slot=3600, since=SINCE, z_min=5)
    assert [shift.component for shift in found] == ["strong", "weak"]


def test_the_root_is_found_through_diamonds_and_past_gaps():
    """Two ways to the same store, and a caller whose direct callee is quiet: the store is the root of all."""
    edges = [("api", "left"), ("api", "right"), ("left", "store"), ("right", "store")]
    assert deepest(["api", "left", "store"], edges) == {"api": ["left", "store"], "left": ["store"], "store": []}
    assert deepest(["api", "store"], edges) == {"api": ["store"], "store": []}


def test_a_cycle_neither_loops_nor_hides_what_is_in_it():
    """In a ring everything depends on everything, and the search ends."""
    ring = [("a", "b"), ("b", "c"), ("c", "a")]
    assert descendants("a", ring) == {"b", "c"}
    assert deepest(["a", "b"], [*ring, ("c", "d"), ("d", "d")]) == {"a": ["b"], "b": ["a"]}


def test_without_a_graph_everything_is_a_root():
    """Nothing is called a symptom without an edge that says so."""
    assert deepest(["a", "b"], []) == {"a": [], "b": []}


def distance(values, usual=None, since=SINCE):
    """Return how far one series was from usual for most of the window."""
    frame = readings(values) if not isinstance(values, pd.DataFrame) else values
    usual = baseline() if usual is None else usual
    return typical_distance(frame, usual, period=0, slot=3600, since=since)


def test_the_typical_distance_is_that_of_the_middle_reading():
    """A series that stayed three deviations above its usual is told as three away, counted over the window alone."""
    series = np.full(N, 10.0)
    series[-24:] = 13.0
    series[0] = 1000.0
    assert distance(series) == {"store": (pytest.approx(3.0, rel=0.01), 24)}


def test_a_few_far_readings_do_not_move_the_typical_distance():
    """A component that came back is told as back, also where several readings stand out by chance."""
    series = noise()
    series[-24:-16] = 100.0
    assert distance(series)["store"][0] < 1


def test_the_typical_distance_is_that_of_the_worst_series():
    """A component with one series back and one still out is still out."""
    both = [readings(np.full(N, 10.0)), readings(np.full(N, 20.0), metric="connections")]
    usual = pd.concat([baseline(), baseline(metric="connections")])
    assert distance(pd.concat(both), usual)["store"] == (pytest.approx(10.0, rel=0.01), 48)


def test_a_component_without_readings_or_usual_has_no_typical_distance():
    """Where nothing can be said of a component, nothing is said: it is not told as being where it should be."""
    assert distance(readings([])) == {}
    assert distance(np.full(N, 10.0), baseline(component="other")) == {}
    assert distance(np.full(N, 10.0), since=N * STEP) == {}
