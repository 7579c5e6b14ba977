"""How plausible labels are: folds that keep sources together, probabilities, and confident learning."""

from __future__ import annotations

import numpy as np
import pytest
from poisoning_fixture import KINDS, training

from rbnb.signals.poisoning.label_errors import assign_folds, class_pairs, fit_model, label_issues, out_of_fold, predict
from rbnb.signals.poisoning.training_rows import learn_encoding


@pytest.fixture(scope="module")
def learned():
    """Return labels, right labels unknown, and out-of-fold probabilities of an honest table."""
    table = training(n=1_000)
    encoding = learn_encoding(table, KINDS)
    labels = table["label"].to_numpy()
    folds, _ = assign_folds(list(table["source"]), labels, 1)
    matrix = encoding.matrix(table)
    return table, matrix, encoding.is_categorical(), labels, folds


def test_a_source_is_never_scored_by_a_model_that_has_seen_it():
    """With three sources or more each is in one fold; with fewer, rows are dealt out class by class."""
    sources = ["a"] * 50 + ["b"] * 30 + ["c"] * 20
    labels = np.tile([0, 1], 50)
    folds, how = assign_folds(sources, labels, 1)
    assert all(len(set(folds[np.array(sources) == name])) == 1 for name in "abc")
    assert "has not seen it" in how
    dealt, how = assign_folds(["a"] * 100, labels, 1)
    assert "5 folds" in how
    assert {int((labels[dealt == k] == 1).sum()) for k in range(5)} == {10}


def test_probabilities_separate_the_classes_and_can_be_repeated(learned):
    """Out of fold, with one seed, twice the same; each row sums to one."""
    _, matrix, categorical, labels, folds = learned
    one, two = (out_of_fold(matrix, labels, folds, categorical, 1) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(one.sum(axis=1), 1.0)
    assert one[labels == 1, 1].mean() > one[labels == 0, 1].mean() + 0.4


def test_rows_left_out_teach_nothing_and_are_scored_all_the_same(learned):
    """What is left out of learning cannot change the others' scores, whatever its labels."""
    _, matrix, categorical, labels, folds = learned
    out = np.zeros(len(labels), dtype=bool)
    out[:100] = True
    scores = []
    for flip in (False, True):
        given = np.where(out & flip, 1 - labels, labels)
        scores.append(out_of_fold(matrix, given, folds, categorical, 1, leave_out=out))
    np.testing.assert_array_equal(scores[0], scores[1])


def test_a_class_that_a_model_never_saw_is_all_but_impossible():
    """Predictions always have a column for every class."""
    matrix = np.arange(80.0)[:, None]
    model = fit_model(matrix, (matrix[:, 0] > 40).astype(int), np.array([False]), 1)
    found = predict(model, matrix, 3)
    assert found.shape == (80, 3)
    assert found[:, 2].max() < 1e-5


def test_doubted_labels_are_those_that_cleanlab_doubts(learned):
    """The share is that of cleanlab's own answer for the same probabilities, and holds the planted errors."""
    from cleanlab.filter import find_label_issues

    _, matrix, categorical, labels, folds = learned
    wrong = np.random.default_rng(1).choice(len(labels), 80, replace=False)
    given = labels.copy()
    given[wrong] = 1 - given[wrong]
    probabilities = out_of_fold(matrix, given, folds, categorical, 1)
    issues, quality, signal = label_issues(given, probabilities)
    assert (issues == find_label_issues(given, probabilities, n_jobs=1)).all()
    assert signal.value == pytest.approx(issues.mean())
    assert issues[wrong].mean() > 0.5
    assert quality[wrong].mean() < quality.mean() - 0.3


def test_a_pair_of_classes_that_is_confused_now_and_was_not_before_comes_first(learned):
    """Ones called zero since a time show as given=0, true=1, with an interval above nothing."""
    table, matrix, categorical, labels, folds = learned
    now = (table["epoch"] > table["epoch"].quantile(0.6)).to_numpy()
    changed = np.flatnonzero(now & (labels == 1))[::2]
    given = labels.copy()
    given[changed] = 0
    found = class_pairs(given, out_of_fold(matrix, given, folds, categorical, 1), ["0", "1"], now)
    assert found[0].where == "given=0 & true=1"
    assert found[0].interval[0] > 0.05
    assert found[0].interval[0] <= found[0].value <= found[0].interval[1]


def test_too_little_to_say_is_undefined_with_a_reason():
    """A handful of rows, one label, or nothing to compare with is no number."""
    few = np.full((20, 2), 0.5)
    for labels in (np.zeros(20, dtype=int), np.tile([0, 1], 10)):
        signal = label_issues(labels, few)[2]
        assert signal.value is None
        assert signal.reason
    assert class_pairs(np.tile([0, 1], 10), few, ["0", "1"], np.ones(20, dtype=bool))[0].value is None
