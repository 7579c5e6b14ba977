"""Performance known and estimated: against scikit-learn, at the stated coverage, and honest where it cannot be told."""

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, mean_absolute_error, roc_auc_score

from rbnb.model import Signal
from rbnb.signals.drift import performance as perf
from rbnb.signals.drift.calibration import (
    calibrate,
    concept_shift,
    estimated_accuracy,
    estimated_auc,
    odds_offset,
    within_outcome_shift,
)

RNG = np.random.default_rng(3)


def world(n, shift=0.0, concept=0.0, rate=None):
    """Return chances (as a model has them) and outcomes, with a drift of the inputs, their meaning, or the rate."""
    z = RNG.normal(shift, 1.2, n)
    p = 1 / (1 + np.exp(1 - z))
    true = 1 / (1 + np.exp(1 - (1 - concept) * z))
    y = (RNG.random(n) < true).astype(float)
    if rate is not None:
        pools = [np.flatnonzero(y == k) for k in (0, 1)]
        drawn = RNG.random(n) < rate
        take = np.where(drawn, RNG.choice(pools[1], n), RNG.choice(pools[0], n))
        p, y = p[take], drawn.astype(float)
    return p, y


def test_numbers_agree_with_sklearn():
    """Each measure is what scikit-learn says, ties and all."""
    p, y = world(1500)
    p = np.round(p, 2)
    assert perf.auc(p, y).value == pytest.approx(roc_auc_score(y, p))
    assert perf.brier(p, y).value == pytest.approx(brier_score_loss(y, p))
    assert perf.log_loss(p, y).value == pytest.approx(log_loss(y, np.clip(p, 1e-6, 1 - 1e-6)), rel=1e-4)
    assert perf.accuracy(p > 0.5, y > 0.5).value == pytest.approx(accuracy_score(y > 0.5, p > 0.5))
    assert perf.mean_error(p, y).value == pytest.approx(mean_absolute_error(y, p))
    assert perf.base_rate(y).value == pytest.approx(y.mean())


def test_calibration_agrees_with_sklearn():
    """Pooled adjacent violators give what scikit-learn's isotonic regression gives."""
    p, y = world(300)
    told = IsotonicRegression().fit(p, y).predict(p)
    assert calibrate(p, y)(p) == pytest.approx(told, abs=1e-6)


def test_intervals_cover_the_truth():
    """The AUC's interval holds the true value in at least 92 of 100 cases."""
    truth = perf.auc(*world(400_000)).value
    held = sum(s.interval[0] <= truth <= s.interval[1] for s in (perf.auc(*world(400)) for _ in range(200)))
    assert held >= 184


def test_an_estimate_is_right_under_covariate_shift_and_blind_to_concept_drift():
    """Without outcomes it comes within three points where inputs moved, and stays where their meaning changed."""
    learned = calibrate(*world(20_000))
    p, y = world(20_000, shift=1.0)
    chances = learned(p)
    assert estimated_auc(p, chances).value == pytest.approx(perf.auc(p, y).value, abs=0.03)
    decided = p > 0.5
    assert estimated_accuracy(chances, decided).value == pytest.approx(perf.accuracy(decided, y > 0.5).value, abs=0.03)
    q, z = world(20_000, concept=0.8)
    assert estimated_auc(q, learned(q)).value - perf.auc(q, z).value > 0.15
    held = 0
    for _ in range(100):
        a, b = world(400, shift=0.5)
        told = estimated_accuracy(learned(a), a > 0.5)
        held += told.interval[0] <= perf.accuracy(a > 0.5, b > 0.5).value <= told.interval[1]
    assert held >= 90


def test_concept_and_label_drift_are_told_apart():
    """Another meaning shows at equal score; another rate shows in the rate, and equal outcomes still score alike."""
    then = world(20_000)
    same, meaning, rate = world(3000), world(3000, concept=1.0), world(3000, rate=0.6)
    assert concept_shift(then, same).interval[0] < 0.02
    assert concept_shift(then, meaning).interval[0] > 0.1
    assert within_outcome_shift(then, rate).interval[0] < 0.03
    assert within_outcome_shift(then, meaning).interval[0] > 0.1
    adjusted = odds_offset(rate[0], float(rate[1].mean()))
    assert adjusted.mean() == pytest.approx(rate[1].mean(), abs=1e-6)
    assert concept_shift(then, rate).interval[0] > 0.1
    assert concept_shift(then, (adjusted, rate[1])).value < 0.05


def test_a_drop_is_held_against_how_much_days_differ():
    """The same fall is certain where days are alike and doubtful where they are not."""
    then, now = (Signal("auc", v, "auc", 900, "m", (v - 0.02, v + 0.02)) for v in (0.85, 0.75))
    assert perf.drop(then, now, name="auc_drop").interval[0] > 0.05
    assert perf.drop(then, now, name="auc_drop", spread=(0.06, 2.2), stretches=(1, 14)).interval[0] < 0
    assert perf.rise(then, now, name="x").value < 0
    unknown = Signal("auc", None, "auc", 0, "m", reason="no outcomes")
    assert perf.drop(then, unknown, name="auc_drop").reason == "in the window: no outcomes"


@pytest.mark.parametrize("measure", [perf.auc, perf.brier, perf.log_loss, perf.mean_error])
def test_what_cannot_be_told_says_why(measure):
    """No rows, no outcomes or one class only: no number and a reason; rows without an outcome are counted."""
    assert measure([], []).reason
    assert measure([0.5] * 50, [None] * 50).value is None
    assert measure([0.5] * 50, [None] * 50).reason
    p, y = world(200)
    y[:40] = np.nan
    p[40:50] = np.inf
    assert "50 of 200 rows without score or outcome" in measure(p, y).reason
    assert perf.auc([0.5] * 50, [1] * 50).value is None
    assert calibrate([0.5] * 100, [1] * 100) is None
