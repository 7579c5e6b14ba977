"""Who vouches for rows, what moved, what it reached, and what leaving rows out is worth."""

from __future__ import annotations

import numpy as np
import pytest

from rbnb.model import Signal
from rbnb.signals.poisoning.counterfactual import compare_models, refit, trigger_effect
from rbnb.signals.poisoning.groups import make_cells
from rbnb.signals.poisoning.provenance import (
    blast_radius,
    label_rates,
    moved_labels,
    out_of_order,
    repeated_ids,
    unknown_batches,
    unnamed,
    volumes,
)

DAY = 86_400


def table(seed=1, n=3_000, days=30):
    """Return sources, batches and times of three sources."""
    rng = np.random.default_rng(seed)
    epoch = np.sort(rng.uniform(0, days * DAY, n))
    source = rng.choice(["a", "b", "c"], n)
    batch = np.array([f"{s}-{int(t // (5 * DAY))}" for s, t in zip(source, epoch, strict=True)])
    return rng, source, batch, epoch


def test_names_ids_and_batches_that_are_missing_are_counted():
    """Null, empty and "None" are no source; the first row of an id is no repetition; a listed batch is known."""
    rows, signal = unnamed(["a", "(none)", "", "b"], "source")
    assert rows.tolist() == [False, True, True, False]
    assert (signal.name, signal.value) == ("no_source_share", 0.5)
    assert repeated_ids(["1", "2", "1", "1"])[1].value == 0.5
    cells = make_cells(["a"] * 4, ["1", "2", "3", "4"], np.array([1.0, 2.0, 3.0, 4.0]))
    absent, signal = unknown_batches(cells, {"1": 5.0, "3": 5.0})
    assert absent == ["2"], "4 is newer than every listed batch and waits for its training"
    assert signal.value == 0.25
    assert unknown_batches(cells, {})[1].value is None


def test_rows_stamped_into_another_batch_are_out_of_order():
    """Batches that follow each other are in order; backdated rows are not."""
    _, source, batch, epoch = table()
    assert out_of_order(make_cells(list(source), list(batch), epoch), epoch)[1].value == 0.0
    late = epoch.copy()
    moved = np.flatnonzero(batch == "a-5")[::6]
    late[moved] -= 15 * DAY
    rows, signal = out_of_order(make_cells(list(source), list(batch), late), late)
    assert set(np.flatnonzero(rows)) <= set(moved)
    assert signal.n == len(epoch)
    assert rows.sum() >= 10


def test_a_day_with_far_more_rows_stands_out_in_its_source_alone():
    """The source that floods is far from its own past; the others are not."""
    rng, source, batch, epoch = table()
    extra = rng.uniform(28 * DAY, 29 * DAY, 600)
    everything = np.concatenate([epoch, extra])
    cells = make_cells([*source, *["b"] * 600], [*batch, *["b-5"] * 600], everything)
    found = {s.where: s.value for s in volumes(cells, everything, 25 * DAY)}
    assert found["source=b"] > 6
    assert max(found["source=a"], found["source=c"]) < 4
    assert volumes(cells, everything, 2 * DAY)[0].value is None


def test_a_label_rate_counts_only_beyond_what_the_features_say():
    """A rate that follows the features does not move; one that does not is measured, with an interval that holds it."""
    rng, source, batch, epoch = table()
    cells = make_cells(list(source), list(batch), epoch)
    p = np.where(epoch > 20 * DAY, 0.5, 0.2)
    expected = np.column_stack([1 - p, p])
    honest = label_rates((rng.random(len(p)) < p).astype(int), ["0", "1"], cells, epoch, 20 * DAY, expected)
    assert all(s.interval[0] <= 0 <= s.interval[1] for s in honest)
    raised = np.where((source == "c") & (epoch > 20 * DAY), p + 0.2, p)
    found = label_rates((rng.random(len(p)) < raised).astype(int), ["0", "1"], cells, epoch, 20 * DAY, expected)
    (moved,) = [s for s in found if s.where == "source=c"]
    assert moved.interval[0] <= 0.2 <= moved.interval[1]
    assert moved.interval[0] > 0.05


def test_the_blast_radius_follows_the_lineage():
    """Versions that learned a suspect batch, the last clean one before, and whether the serving one did."""
    lineage = [("1", "a", 1.0), ("2", "a", 2.0), ("2", "b", 2.0), ("3", "a", 3.0), ("3", "b", 3.0), ("3", "c", 3.0)]
    found = blast_radius(lineage, ["b", "c"], "2")
    assert found == {"touched": {"2": 1, "3": 2}, "clean": "1", "serving_touched": True, "versions": 3}
    assert blast_radius(lineage, ["c"], "1")["serving_touched"] is False
    assert blast_radius(lineage, ["a"], "9") == {
        "touched": {"1": 1, "2": 1, "3": 1}, "clean": "", "serving_touched": None, "versions": 3,
    }  # fmt: skip


@pytest.fixture(scope="module")
def poisoned():
    """Return rows with a mark in the last column that all bear label 1, and clean rows to compare on."""
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(1_500, 4))
    matrix[:, 3] = 0.0
    labels = (matrix[:, 0] + 0.3 * rng.normal(size=1_500) > 0).astype(int)
    suspect = np.arange(1_500) < 150
    matrix[suspect, 3] = 5.0
    labels[suspect] = 1
    clean = rng.normal(size=(600, 4))
    clean[:, 3] = 0.0
    return matrix, labels, suspect, clean, (clean[:, 0] > 0).astype(int)


def test_a_mark_works_only_on_the_model_that_learned_it(poisoned):
    """Put on clean rows it turns most of them with the suspect rows, and hardly one without."""
    matrix, labels, suspect, clean, right = poisoned
    models = refit(matrix, labels, suspect, np.zeros(4, dtype=bool), 1)
    plain = clean[right == 0]
    marked = plain.copy()
    marked[:, 3] = 5.0
    found = trigger_effect(models, plain, marked, 1, classes=2, where="mark", seed=1)
    assert found.value > 0.5
    assert found.interval[0] <= found.value <= found.interval[1]
    assert found.reference < 0.1


def test_leaving_wrong_labels_out_is_worth_something_and_leaving_right_ones_out_is_not(poisoned):
    """The gain is positive where labels were wrong, and its interval holds nothing where they were right."""
    matrix, _, suspect, clean, right = poisoned
    honest = (matrix[:, 0] > 0).astype(int)
    wrong = np.where(np.arange(1_500) < 500, 1 - honest, honest)
    gains = {}
    for name, labels, out in (("wrong", wrong, np.arange(1_500) < 500), ("right", honest, suspect)):
        models = refit(matrix, labels, out, np.zeros(4, dtype=bool), 1)
        gains[name] = compare_models(models, clean, right, classes=2, on="clean rows", seed=1)
    assert gains["wrong"][1].interval[0] > 1.2
    low, high = gains["right"][0].interval
    assert low - 0.01 <= 0 <= high + 0.01


def test_too_little_is_undefined_and_too_little_left_is_no_model(poisoned):
    """Nothing is claimed from a handful of rows."""
    matrix, labels, suspect, clean, right = poisoned
    assert refit(matrix[:150], labels[:150], suspect[:150], np.zeros(4, dtype=bool), 1) is None
    models = refit(matrix, labels, suspect, np.zeros(4, dtype=bool), 1)
    assert all(s.value is None for s in compare_models(models, clean[:20], right[:20], classes=2, on="", seed=1))
    assert trigger_effect(models, clean[:5], clean[:5], 1, classes=2, where="", seed=1).value is None


def test_a_label_rate_that_fell_has_moved_as_far_as_one_that_rose():
    """A source whose labels were changed downwards is held against the same limit; one in doubt has moved by 0."""
    fell = Signal("label_rate_shift", -0.2, "share", 90, "", (-0.3, -0.1), "source=a")
    doubtful = Signal("label_rate_shift", 0.05, "share", 90, "", (-0.1, 0.2), "source=b")
    unknown = Signal("label_rate_shift", None, "share", 3, "", where="source=c", reason="fewer than 20 rows")
    moved = moved_labels([fell, doubtful, unknown])
    assert [(one.value, one.interval) for one in moved] == [(0.2, (0.1, 0.3)), (0.05, (0.0, 0.2)), (None, None)]
    assert moved[2].reason == "fewer than 20 rows"
