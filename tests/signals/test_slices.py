"""The slice whose performance fell most: found where the whole looks well, and not by chance."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from rbnb.signals.drift.slices import Graded, segment_error_rise, segment_performance_drop


def rows(seed, n, flipped="", *, offset=0):
    """Return graded rows over four regions; in the flipped one scores are turned round."""
    draw = np.random.default_rng(seed)
    region = draw.choice(np.array(["a", "b", "c", "d"], dtype=object), n)
    score = draw.uniform(size=n)
    target = (draw.uniform(size=n) < score).astype(float)
    score = np.where(region == flipped, 1 - score, score)
    right = ((score >= 0.5) == (target == 1)).astype(float)
    return Graded({"region": region}, offset + np.arange(n) * 10 // n, right=right, score=score, target=target)


@pytest.mark.parametrize("seed", range(5))
def test_a_slice_that_is_worse_is_named(seed):
    """One region in which scores mean the opposite is found with its name, and its numbers are those of sklearn."""
    then, now = rows(seed, 8_000), rows(seed + 100, 1_200, "c")
    found = segment_performance_drop(then, now)
    assert found.reason.startswith("region=c: ")
    assert found.interval[0] > 0.3
    aucs = [roc_auc_score(side.target[at], side.score[at]) for side in (then, now)
            for at in (side.places["region"] == "c",)]  # fmt: skip
    means = [side.right[side.places["region"] == "c"].mean() for side in (then, now)]
    assert found.value == pytest.approx(max(1 - pair[1] / pair[0] for pair in (aucs, means)), rel=0.1)


def test_the_worst_of_many_by_chance_is_no_finding():
    """Where nothing changed, the careful end lies above 0 about as seldom as the interval says."""
    ends = [segment_performance_drop(rows(s, 8_000), rows(s + 500, 1_000)).interval[0] for s in range(60)]
    assert sum(end > 0 for end in ends) <= 4
    assert max(ends) < 0.05


def test_a_slice_is_its_own_yardstick():
    """A region that was always hard is no finding."""
    found = segment_performance_drop(rows(1, 8_000, "b"), rows(2, 2_000, "b"))
    assert found.interval[0] < 0.02


def test_order_and_missing_values_do_not_matter():
    """Rows in another order, and rows of no region, leave the number as it is."""
    now = rows(4, 1_200, "c")
    order = np.random.default_rng(0).permutation(1_200)
    other = Graded({"region": now.places["region"][order]}, now.day[order], right=now.right[order],
                   score=now.score[order], target=now.target[order])  # fmt: skip
    first, second = (segment_performance_drop(rows(3, 8_000), side) for side in (now, other))
    assert (first.reason, first.n) == (second.reason, second.n)
    assert first.value == pytest.approx(second.value)
    none = Graded({"region": np.full(100, None, dtype=object)}, np.zeros(100, dtype=int), right=np.ones(100))
    assert segment_performance_drop(rows(3, 8_000), none).value is None


def test_unknown_outcomes_are_left_out():
    """A row whose outcome is not known counts for nothing."""
    then, now = rows(5, 8_000), rows(6, 2_000, "c")
    holes = np.where(np.arange(2_000) % 3 == 0, np.nan, now.right)
    found = segment_performance_drop(then, Graded(now.places, now.day, right=holes))
    inside = (now.places["region"] == "c") & np.isfinite(holes)
    assert found.n == inside.sum()


@pytest.mark.parametrize("places", [{}, {"region": np.array(["a"] * 200, dtype=object)}])
def test_without_slices_it_is_undefined(places):
    """No column, or one value for everybody, gives no number and a reason."""
    side = Graded(places, np.zeros(200 if places else 0, dtype=int), right=np.ones(200 if places else 0))
    found = segment_performance_drop(side, side)
    assert found.value is None
    assert found.reason


def test_errors_of_numbers():
    """Where numbers are predicted, the slice with the largest rise of the mean error is named."""
    draw = np.random.default_rng(8)
    sides = []
    for n, worse in ((6_000, 1.0), (900, 2.0)):
        region = draw.choice(np.array(["a", "b", "c"], dtype=object), n)
        error = draw.exponential(size=n) * np.where(region == "b", worse, 1.0)
        sides.append(Graded({"region": region}, np.arange(n) * 10 // n, error=error))
    found = segment_error_rise(*sides)
    assert found.reason.startswith("region=b: mean error")
    assert found.interval[0] > 0.4
