"""Outputs by themselves, calibration, and what must hold between two answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rbnb.signals.consistency.calibration import calibration_bias, calibration_error, reliability
from rbnb.signals.consistency.metamorphic import (
    broken_pairs,
    invariance_violations,
    monotone_violations,
    perturbations,
)
from rbnb.signals.consistency.outputs import (
    cuts_by,
    decision_gap,
    effective_threshold,
    invalid_scores,
    repeated_scores,
    score_shift,
)
from rbnb.signals.consistency.repeats import fingerprints

NOW = np.arange(1000) >= 500


def test_impossible_scores_are_counted_by_kind():
    """Missing, infinite and out-of-range scores are told apart, in excess of the reference."""
    scores = np.full(1000, 0.5)
    scores[500:520], scores[520:525], scores[525] = np.nan, 1.5, -np.inf
    scores[:20] = np.nan
    (missing, outside), wrong = invalid_scores(scores, NOW, probability=True)
    assert missing.value == 0
    assert outside.value == pytest.approx(6 / 500)
    assert wrong.sum() == 46


def test_other_scores_may_lie_where_they_used_to():
    """A score that is no probability is out of range only far beyond what the reference held."""
    scores = np.r_[np.linspace(10, 20, 500), np.full(499, 22.0), 500.0]
    assert invalid_scores(scores, NOW, probability=False)[1].sum() == 1


def test_the_effective_threshold_is_the_best_of_all_cuts():
    """No other cut explains more decisions, and the interval holds the true threshold."""
    rng = np.random.default_rng(0)
    scores = rng.random(300)
    positive = (scores >= 0.42) ^ (rng.random(300) < 0.05)
    cut = effective_threshold(scores, positive)
    errors = [((scores >= t) != positive).sum() for t in np.r_[scores, 2.0]]
    assert cut.wrong == min(errors)
    clean = effective_threshold(scores, scores >= 0.42)
    assert clean.low < 0.42 <= clean.high


@pytest.mark.parametrize("declared", [0.5, None])
def test_another_threshold_shows_with_its_size(declared):
    """Decisions at another threshold are found, more of them the further it is off, and none where it is not."""
    rng = np.random.default_rng(1)
    scores = rng.random(1000)
    shares = []
    for other in (0.5, 0.45, 0.3):
        positive = scores >= np.where(NOW, other, 0.5)
        shares.append(decision_gap(scores, positive, np.ones(1000, dtype=bool), NOW, declared)[0].value)
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert shares[2] > 0.15


def test_the_threshold_of_each_host_is_told():
    """A host that decides at another threshold stands out."""
    rng = np.random.default_rng(2)
    scores, hosts = rng.random(2000), np.array(["a", "b"] * 1000, dtype=object)
    cuts = cuts_by(scores, scores >= np.where(hosts == "a", 0.5, 0.4), np.ones(2000, dtype=bool), hosts, "host")
    assert [round(c.value, 1) for c in cuts] == [0.5, 0.4]


def test_without_decisions_the_gap_is_undefined():
    """Nothing to compare is no agreement."""
    signal, _, _ = decision_gap(np.full(1000, 0.5), np.zeros(1000, bool), np.zeros(1000, bool), NOW, 0.5)
    assert signal.value is None
    assert signal.reason


def test_answers_from_a_cache_are_seen():
    """Scores equal to that of the request before, though inputs differ, are counted."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"epoch": np.arange(1000) * 60, "score": rng.random(1000), "feature_a": rng.random(1000)})
    frame.loc[700:999:3, "score"] = frame["score"].shift(1)[700:999:3]
    signal, flags = repeated_scores(frame, fingerprints(frame, ["feature_a"]), NOW)
    assert signal.value == pytest.approx(100 / 500, abs=0.01)
    assert flags.sum() >= 100


def test_the_shift_of_scores_is_the_standardised_difference():
    """It agrees with a computation of its own, and is undefined for constants."""
    rng = np.random.default_rng(4)
    scores = np.r_[rng.normal(0, 2, 500), rng.normal(1, 2, 500)]
    signal = score_shift(scores, NOW)
    assert signal.value == pytest.approx((scores[500:].mean() - scores[:500].mean()) / scores[:500].std())
    assert score_shift(np.ones(1000), NOW).value is None


def test_calibration_is_quiet_when_scores_mean_what_they_say_and_loud_when_not():
    """The error beyond chance is about 0 for calibrated scores, and about the gap for shifted ones."""
    rng = np.random.default_rng(5)
    scores = rng.beta(2, 4, 4000)
    labels = (rng.random(4000) < scores).astype(float)
    good, bad = calibration_error(scores, labels), calibration_error(np.clip(scores + 0.1, 0, 1), labels)
    assert good.interval[0] == 0
    assert bad.interval[0] > 0.05
    assert calibration_bias(scores + 0.1, labels).value == pytest.approx(0.1, abs=0.03)
    assert calibration_error(scores[:50], labels[:50]).value is None


def test_reliability_agrees_with_scikit_learn():
    """The bins hold what scikit-learn's calibration curve with quantile bins holds."""
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(6)
    scores = rng.random(1000)
    labels = (rng.random(1000) < scores).astype(float)
    rate, mean = calibration_curve(labels, scores, n_bins=10, strategy="quantile")
    ours = reliability(scores, labels)
    assert [m for m, _, _ in ours] == pytest.approx(mean.tolist())
    assert [r for _, r, _ in ours] == pytest.approx(rate.tolist())


def pairs_table():
    """Requests on a grid, so that many differ in one input alone."""
    a, b = np.meshgrid(np.arange(5.0), np.arange(4.0))
    frame = pd.DataFrame({"feature_a": a.ravel(), "feature_b": b.ravel()})
    return frame.assign(score=0.1 + 0.1 * frame["feature_a"])


def test_declared_properties_are_checked_on_logged_pairs():
    """A score that rises with one input and ignores another keeps the right declarations and breaks the wrong ones."""
    frame, columns = pairs_table(), ["feature_a", "feature_b"]
    assert monotone_violations(frame, "feature_a", "increasing", columns).value == 0
    assert monotone_violations(frame, "feature_a", "decreasing", columns).value == 1
    assert invariance_violations(frame, "feature_b", columns).value == 0
    assert invariance_violations(frame, "feature_a", columns).value == 1


def test_without_pairs_a_declaration_is_not_measured():
    """Requests that differ in everything say nothing about one input."""
    frame = pd.DataFrame({"feature_a": np.arange(9.0), "feature_b": np.arange(9.0), "score": 0.5})
    assert monotone_violations(frame, "feature_a", "increasing", ["feature_a", "feature_b"]).value is None


def test_a_difference_within_tolerance_breaks_nothing():
    """Noise in the last digits is no violation."""
    assert not broken_pairs(np.array([0.2]), np.array([0.2 - 1e-9]), "increasing", 1e-5, 1e-8).any()


def test_perturbed_values_were_served_before():
    """An input is changed only to values that occur."""
    frame = pairs_table().assign(feature_c=pd.Series(["u", "v", "v", "w"] * 5, dtype=object))
    low, high = perturbations(frame, "feature_a", numerical=True)
    assert low["feature_a"].iloc[0] < high["feature_a"].iloc[0]
    one, other = perturbations(frame, "feature_c", numerical=False)
    assert {one["feature_c"].iloc[0], other["feature_c"].iloc[0]} <= {"u", "v", "w"}
