"""Where and since when rows are wrong, and how large a share each place holds."""

from __future__ import annotations

import numpy as np
import pytest

from rbnb.signals.consistency.places import rank_places, stretch_of, stretch_of_gain, worst_place


def scene(seed, where, onset, rate=0.3, end=86_400, n=3000, ended=None):
    """Return epochs, place flags and wrong flags; what is wrong lies in one place from its onset on."""
    rng = np.random.default_rng(seed)
    epochs = np.sort(rng.integers(0, end, n))
    host = rng.choice(["a", "b", "c"], n)
    places = {f"host={h}": host == h for h in "abc"} | {"": np.ones(n, dtype=bool)}
    hit = places[where] & (epochs >= onset) & (epochs < (ended or end))
    return epochs, places, (hit & (rng.random(n) < rate)) | (rng.random(n) < 0.002)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("where", ["host=b", ""])
def test_place_and_onset_are_found_together(seed, where):
    """A place that turned wrong an hour ago is named, with its onset within two buckets."""
    epochs, places, wrong = scene(seed, where, 64_800, 0.8)
    found, stretch = worst_place(wrong, places, epochs, 900, 0.002, end=86_400)
    assert found == where
    assert abs(stretch.onset - 64_800) <= 1800
    assert stretch.ended is None


def test_what_is_over_is_said_to_be_over():
    """A stretch that ended hours ago has an end, near the true one."""
    epochs, places, wrong = scene(1, "host=a", 30_000, 0.9, ended=50_000)
    _, stretch = worst_place(wrong, places, epochs, 600, 0.002, end=86_400)
    assert stretch.ended is not None
    assert abs(stretch.ended - 50_000) <= 1800


def test_nothing_is_found_where_nothing_is_wrong():
    """Rows that are as rarely wrong as usual have no stretch."""
    rng = np.random.default_rng(0)
    epochs = np.sort(rng.integers(0, 86_400, 3000))
    assert stretch_of(np.zeros(3000, dtype=bool), epochs, 900, 0.002, end=86_400) is None
    found = [stretch_of(rng.random(3000) < 0.002, epochs, 900, 0.002, end=86_400) for _ in range(20)]
    assert sum(one is not None and one.strength > 12 for one in found) == 0
    assert stretch_of_gain(np.array([]), np.array([], dtype=np.int64), 60, end=60) is None


def test_the_scan_agrees_with_brute_force():
    """The largest sum of a run of buckets is what trying all of them gives."""
    rng = np.random.default_rng(2)
    for _ in range(30):
        gain = rng.normal(0, 2, 40)
        epochs = np.arange(40) * 60
        best = max(gain[i:j].sum() for i in range(40) for j in range(i + 1, 41))
        found = stretch_of_gain(gain, epochs, 60, end=2400)
        assert (found.strength if found else 0.0) == pytest.approx(best if best >= 3 else 0.0)


def test_a_place_that_holds_more_than_its_share_comes_first():
    """Shares of what is wrong lie inside their interval, and the true place is ranked first."""
    _, places, wrong = scene(3, "host=c", 0, 0.2)
    ranked = rank_places(wrong, {k: v for k, v in places.items() if k}, 0.002)
    assert ranked[0].where == "host=c"
    assert ranked[0].explains > 0.9
    assert ranked[0].interval[0] <= ranked[0].explains <= ranked[0].interval[1]
    assert rank_places(np.zeros(3000, dtype=bool), places, 0.002) == []
