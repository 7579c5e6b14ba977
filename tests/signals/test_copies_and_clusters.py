"""Copies, contradictions, near copies and rows far out: against independent counts, and where they gather."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestNeighbors

from rbnb.signals.poisoning.concentration import gatherings
from rbnb.signals.poisoning.duplicates import conflicting, copies, near_copies, nearest_distance, same_features
from rbnb.signals.poisoning.groups import candidate_groups, make_cells
from rbnb.signals.poisoning.outliers import cluster_shape, far_out, foreign_distance


def test_copies_are_those_that_pandas_counts():
    """On columns with nulls, texts and numbers the share is that of `DataFrame.duplicated`."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"a": rng.integers(0, 8, 300).astype(float), "b": rng.choice(["x", "y", None], 300)})
    frame.loc[::7, "a"] = np.nan
    same = same_features(frame, ["a", "b"])
    rows, signal = copies(same)
    assert signal.value == pytest.approx(frame.duplicated().mean())
    assert (rows == frame.duplicated(keep=False).to_numpy()).all()
    assert (rows == copies(same_features(frame.iloc[::-1], ["a", "b"]))[0][::-1]).all()


def test_a_contradiction_blames_the_rarer_label_and_a_tie_blames_both():
    """Three against one blames the one; one against one cannot tell."""
    same, labels = np.array([0, 0, 0, 0, 1, 1, 2]), np.array([1, 1, 1, 0, 0, 1, 1])
    rows, signal = conflicting(same, labels)
    assert rows.tolist() == [False, False, False, True, True, True, False]
    assert signal.value == pytest.approx(6 / 7)


def test_the_nearest_neighbour_is_that_of_scikit_learn():
    """Within one source and one block the distance is exact."""
    space = np.random.default_rng(2).normal(size=(400, 6))
    expected = NearestNeighbors(n_neighbors=2).fit(space).kneighbors(space)[0][:, 1]
    np.testing.assert_allclose(nearest_distance(space, ["a"] * 400, np.arange(400.0)), expected, atol=1e-3)


def test_near_copies_are_found_and_equal_rows_are_counted_elsewhere():
    """Rows a thousandth apart are near copies; with half of all rows equal nothing can be said."""
    rng = np.random.default_rng(3)
    space = rng.normal(size=(300, 5))
    space[:20] = space[20:40] + rng.normal(0, 1e-3, (20, 5))
    distance = nearest_distance(space, ["a"] * 300, np.arange(300.0))
    rows, signal = near_copies(distance, np.zeros(300, dtype=bool))
    assert set(np.flatnonzero(rows)) == set(range(40))
    assert signal.value == pytest.approx(40 / 300)
    assert near_copies(np.zeros(300), np.zeros(300, dtype=bool))[1].value is None


def test_rows_where_no_other_source_has_any_are_far_out():
    """A cluster of one source is far from all others, however many rows it has; it is tight and pure."""
    rng = np.random.default_rng(4)
    space = rng.normal(size=(900, 5))
    space[:80] = 7 + rng.normal(0, 0.1, (80, 5))
    source = ["bad"] * 80 + list(rng.choice(["a", "b", "bad"], 820))
    far, score, signal = far_out(foreign_distance(space, source, 1))
    assert far[:80].all()
    assert far[80:].sum() <= 3
    assert (score[:80] > 1).all()
    assert signal.value == pytest.approx(far.mean())
    usual = nearest_distance(space, source, np.arange(900.0))
    labels = np.where(np.arange(900) < 80, 1, rng.integers(0, 2, 900))
    tight, pure = cluster_shape(space, np.arange(900) < 80, labels, usual, "source=bad")
    assert tight.value < 0.5
    assert pure.value == 1.0


def test_too_few_rows_are_undefined_with_a_reason():
    """None of these is ever 0 for want of data."""
    for signal in (
        far_out(np.full(10, np.nan))[2],
        near_copies(np.full(10, np.nan), np.zeros(10, dtype=bool))[1],
        copies(np.zeros(0, dtype=int))[1],
        conflicting(np.zeros(0, dtype=int), np.zeros(0, dtype=int))[1],
        cluster_shape(np.zeros((5, 2)), np.ones(5, dtype=bool), np.zeros(5, dtype=int), np.ones(5), "")[0],
    ):
        assert signal.value is None
        assert signal.reason


def cells_of(seed, n=2_000):
    """Return four sources over eight batches."""
    rng = np.random.default_rng(seed)
    epoch = np.sort(rng.integers(0, 40 * 86_400, n)).astype(float)
    source = rng.choice(list("abcd"), n)
    cells = make_cells(list(source), [f"b{int(t // (5 * 86_400))}" for t in epoch], epoch)
    return rng, source, epoch, cells, candidate_groups(cells)


def test_what_is_spread_evenly_gathers_nowhere():
    """Of 60 tables with rows of a kind strewn at random, at most one place is named."""
    named = 0
    for seed in range(60):
        rng, _, _, cells, groups = cells_of(seed, 1_000)
        named += bool(gatherings(rng.random(1_000) < 0.05, cells, groups, alpha=0.01, least=0.02))
    assert named <= 1


def test_the_place_where_rows_gather_is_named_once():
    """One source from one batch on: that stretch, its share, and nothing beside it."""
    rng, source, epoch, cells, groups = cells_of(5)
    inside = (source == "c") & (epoch >= 25 * 86_400)
    (found,) = gatherings(rng.random(2_000) < np.where(inside, 0.5, 0.02), cells, groups, alpha=0.01, least=0.02)
    assert found.group.where == "source=c"
    assert found.group.batches[0] == "b5"
    assert found.share == pytest.approx(0.5, abs=0.12)
    assert found.interval[0] <= found.share - found.usual <= found.interval[1]
