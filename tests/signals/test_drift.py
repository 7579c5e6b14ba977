"""Drift of one column: against independent implementations, at the size chance gives, on columns of any type."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.spatial import distance

from rbnb.signals import chance
from rbnb.signals.drift import distances as drift
from rbnb.signals.drift.bins import labels, make_bins, numbers
from rbnb.signals.drift.effects import mean_shift, share_shift

RNG = np.random.default_rng(7)
X = RNG.normal(10, 2, 3000)
KINDS = np.array(list("abcdefghij"), dtype=object)


def test_distances_agree_with_scipy():
    """What is told is what scipy tells, for all that it knows."""
    y = X[:1000] * 1.2 + 1
    assert drift.kolmogorov_smirnov(X, y).value == pytest.approx(st.ks_2samp(X, y).statistic)
    spread = st.iqr(X) / 1.349
    assert drift.wasserstein(X, y).value == pytest.approx(st.wasserstein_distance(X, y) / spread)
    bins = make_bins(X)
    p, q = (bins.count(side) / len(side) for side in (y, X))
    assert drift.jensen_shannon(X, y).value == pytest.approx(distance.jensenshannon(p, q, base=2))


def test_tails_agree_with_scipy():
    """Chance is what scipy says it is, near the middle and far out."""
    for df in (1, 4, 9, 30, 200):
        for x in (0.1, df / 2, df, 2 * df, 5 * df + 20):
            assert chance.chi2_tail(x, df) == pytest.approx(st.chi2.sf(x, df), rel=1e-6, abs=1e-290)
        assert chance.chi2_quantile(0.95, df) == pytest.approx(st.chi2.ppf(0.95, df), rel=1e-6)
    for df in (3, 6, 13, 50):
        assert chance.t_quantile(0.975, df) == pytest.approx(st.t.ppf(0.975, df), rel=0.02)
    for d in (0.02, 0.05, 0.1):
        assert chance.kolmogorov_tail(d, 1000, 1500) == pytest.approx(st.kstwobign.sf(d * np.sqrt(600)), rel=0.2)
    table = np.array([[30, 50, 20], [45, 40, 15]])
    assert drift.shift_p_value(*table) == pytest.approx(st.chi2_contingency(table).pvalue)


def test_the_index_keeps_to_what_chance_gives():
    """Where nothing changed, the index stays below the size told for chance in about 95 of 100 cases."""
    for n in (200, 1000):
        over = 0
        for _ in range(300):
            a, b = RNG.normal(size=3 * n), RNG.normal(size=n)
            over += drift.stability_index(a, b).value > drift.psi_by_chance(3 * n, n, 10)
        assert over / 300 < 0.1


def test_intervals_cover():
    """The interval of a shift holds the true one in at least 92 of 100 cases."""
    true = {"mean": 0.5, "location": 0.5, "scale": 1.4, "share": 0.1}
    held = dict.fromkeys(true, 0)
    for _ in range(200):
        a, b = RNG.normal(size=800), RNG.normal(0.5, 1, 400)
        wide = RNG.normal(0, 1.4, 400)
        found = {
            "mean": mean_shift(a, b),
            "location": drift.location_shift(a, b),
            "scale": drift.scale_fold(a, wide),
            "share": share_shift(RNG.random(800) < 0.3, RNG.random(400) < 0.4),
        }
        for name, signal in found.items():
            held[name] += signal.interval[0] <= true[name] <= signal.interval[1]
    assert all(count >= 184 for count in held.values()), held


def test_location_scale_and_shape_are_told_apart():
    """A shift is no change of scale, a change of scale no change of shape, and two humps are neither."""
    two = np.where(RNG.random(3000) < 0.5, RNG.normal(-0.9, 0.4, 3000), RNG.normal(0.9, 0.4, 3000))
    base = RNG.normal(size=3000)
    moved, wider = base[:1500] + 1, base[:1500] * 1.5
    assert drift.location_shift(base, moved).interval[0] > 0.8
    assert drift.scale_fold(base, moved).interval[0] < 1.05
    assert drift.scale_fold(base, wider).interval[0] > 1.3
    assert drift.shape_distance(base, wider).interval[0] == 0
    assert abs(drift.location_shift(base, two).value) < 0.15
    assert drift.shape_distance(base, two).interval[0] > 0.02


def test_one_class_of_ten_that_loses_half_is_seen():
    """The index hardly moves, and the category is named all the same."""
    before = np.repeat(KINDS, 1000)
    now = np.concatenate([np.repeat(KINDS, 300)[:2700], np.repeat("j", 150)]).astype(object)
    assert drift.stability_index(before, now, kind="categorical").value < 0.05
    found = drift.category_fold(before, now)
    assert found.reason.startswith("j: 10 % → 5.26 %")
    assert found.interval[0] > 1.4


def test_one_wild_value_hides_nothing():
    """A shift of three deviations is seen beside an outlier of a million on both sides."""
    a, b = np.append(X, 1e6), np.append(X + 6, 1e6)
    assert drift.stability_index(a, b).value > 1
    assert drift.wasserstein(a, b).value > 2
    assert drift.location_shift(a, b).value == pytest.approx(3, abs=0.3)


@settings(max_examples=15, deadline=None)
@given(some.floats(0, 2), some.floats(0, 2))
def test_a_larger_shift_measures_larger(one, other):
    """Whatever the measure, more is more."""
    low, high = sorted((one, other))
    for measure in (drift.stability_index, drift.kolmogorov_smirnov, drift.wasserstein, drift.jensen_shannon):
        assert measure(X, X + low).value <= measure(X, X + high).value + 1e-9


@pytest.mark.parametrize(
    "make",
    [
        lambda v: pd.Series(v, dtype="Float64"),
        lambda v: pd.Series(v, dtype="double[pyarrow]"),
        lambda v: pd.Series([str(x) for x in v], dtype=object),
        list,
    ],
)
def test_numbers_of_any_type_measure_the_same(make):
    """Nullable, pyarrow, text and lists give the numbers that floats give."""
    assert drift.kolmogorov_smirnov(make(X), make(X + 1)).value == drift.kolmogorov_smirnov(X, X + 1).value
    assert drift.stability_index(make(X), make(X + 1)).value == drift.stability_index(X, X + 1).value


def test_labels_of_any_type_measure_the_same():
    """Categories, booleans, nullable integers and mixed types are read as text, nulls as nothing."""
    assert labels(pd.Categorical(["a", None])).tolist() == ["a", None]
    assert labels(pd.array([True, None], dtype="boolean")).tolist() == ["True", None]
    assert labels(pd.array([1, None], dtype="Int64")).tolist() == ["1", None]
    assert labels([1, "x", 2.5, None]).tolist() == ["1", "x", "2.5", None]
    assert drift.category_fold(pd.Categorical(KINDS.repeat(50)), KINDS.repeat(50)).value == 1


def test_what_is_missing_or_infinite_is_counted():
    """Half of the values gone is a drift, and infinities have a bin of their own; both are told."""
    half = X[:2000].copy()
    half[:1000] = np.nan
    half[1000:1010] = np.inf
    found = drift.stability_index(X, half)
    assert found.value > 1
    assert "1,000 of 2,000 missing" in found.reason
    assert "10 of 2,000 infinite" in found.reason
    assert "1,000 missing and 10 infinite" in drift.kolmogorov_smirnov(X, half).reason
    assert numbers(half).finite.size == 990


@pytest.mark.parametrize("broken", [[], [None] * 50, [5.0] * 50, [np.inf] * 50])
def test_what_cannot_be_measured_says_why(broken):
    """Empty, all null, constant: no number, and a reason; never an error."""
    numeric = (drift.stability_index, drift.kolmogorov_smirnov, drift.jensen_shannon, drift.wasserstein,
               drift.location_shift, drift.scale_fold, drift.shape_distance)  # fmt: skip
    for measure in numeric:
        for pair in ((broken, X), (X, broken), (broken, broken)):
            found = measure(*pair)
            assert found.defined or found.reason
    for pair in (([], ["a"] * 50), ([None] * 50, ["a"] * 50)):
        assert drift.category_fold(*pair).reason
        assert drift.category_fold(*pair).value is None


def test_inputs_stay_as_they_are_and_order_does_not_matter():
    """Nothing given is changed, and shuffled rows give the same number."""
    a, b = X.copy(), X[:500] + 1
    kept = a.copy(), b.copy()
    for measure in (drift.stability_index, drift.kolmogorov_smirnov, drift.wasserstein, drift.scale_fold):
        assert measure(a, b).value == pytest.approx(measure(RNG.permutation(a), RNG.permutation(b)).value)
    assert (a == kept[0]).all()
    assert (b == kept[1]).all()


def test_the_spread_between_days_widens_the_interval():
    """A shift that is certain by chance alone is not, where days differ by as much."""
    a = RNG.normal(size=5000)
    assert mean_shift(a, a + 0.5).interval[0] > 0
    assert mean_shift(a, a + 0.5, spread=(0.3, 2.2), stretches=(1, 2)).interval[0] < 0


def test_days_that_differ_make_a_shift_less_certain():
    """A day like other odd days is no drift, though chance alone would call it one."""
    days = np.array([[400, 600], [600, 400], [450, 550], [570, 430], [380, 620]])
    excess, rows = chance.overdispersion(days)
    assert excess > 20
    assert rows == 1000
    assert drift.shift_p_value(days.sum(axis=0), np.array([600, 400])) < 0.001
    assert drift.shift_p_value(days.sum(axis=0), np.array([600, 400]), excess) > 0.05
