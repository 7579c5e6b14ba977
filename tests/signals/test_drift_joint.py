"""What no single column shows: correlations, components, the model's own part, broken columns, onset, label shift."""

import numpy as np
import pytest
import scipy.stats as st
from sklearn.decomposition import PCA

from rbnb.signals.drift.gate import missing_rise, renamed_share, repeated_rise, unit_share
from rbnb.signals.drift.label_shift import mixture_misfit, mixture_rate
from rbnb.signals.drift.multivariate import correlation_change, normal_scores, reconstruction_shift
from rbnb.signals.drift.stretch import find_stretch
from rbnb.signals.drift.surrogate import feature_effect, feature_reach, fit_surrogate, unexplained

RNG = np.random.default_rng(11)


def tied(n, r):
    """Return two standard normal columns with a correlation."""
    a = RNG.normal(size=n)
    return {"a": a, "b": r * a + np.sqrt(1 - r * r) * RNG.normal(size=n), "c": RNG.normal(size=n)}


def test_a_changed_correlation_is_seen_though_each_column_stays():
    """The pair is named with both correlations, and nothing is seen where nothing changed."""
    before, now, same = tied(4000, 0.1), tied(1000, 0.7), tied(1000, 0.1)
    found = correlation_change(before, now)
    assert found.where == "feature=a & feature=b"
    assert found.interval[0] < 0.6 < found.interval[1]
    assert correlation_change(before, same).interval[0] == 0
    kinds = dict.fromkeys("abc", "numerical")
    assert abs(reconstruction_shift(before, now, kinds).interval[0]) > 0.02
    assert (
        reconstruction_shift(before, same, kinds).interval[0]
        < 0
        < reconstruction_shift(before, same, kinds).interval[1]
    )


def test_normal_scores_and_components_agree_with_scipy_and_sklearn():
    """Ranks become the deviates scipy gives; the reconstruction's rest is what sklearn's components leave."""
    x = RNG.exponential(size=2000)
    expected = st.norm.ppf((st.rankdata(x) - 0.5) / len(x))
    inner = np.abs(expected) < 2
    assert normal_scores(x, x)[inner] == pytest.approx(expected[inner], abs=0.03)
    data = tied(2000, 0.8)
    z = np.column_stack([normal_scores(v, v) for v in data.values()])
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    kept = PCA(0.65, svd_solver="full").fit(z)
    rest = np.linalg.norm(z - kept.inverse_transform(kept.transform(z)), axis=1)
    moved = {**data, "b": RNG.permutation(data["b"])}
    other = np.column_stack([normal_scores(data[k], moved[k]) for k in data])
    other = (other - z.mean(axis=0)) / 1.0
    found = reconstruction_shift(data, moved, dict.fromkeys(data, "numerical"))
    assert found.value > 0.3 * rest.std()


def test_too_little_to_go_together_says_why():
    """One column, few rows or a constant give no number and a reason."""
    assert correlation_change({"a": [1.0] * 99}, {"a": [1.0] * 99}).reason
    assert correlation_change(tied(20, 0.1), tied(20, 0.1)).reason
    assert correlation_change({"a": [1.0] * 99, "b": range(99)}, {"a": [1.0] * 99, "b": range(99)}).reason
    assert reconstruction_shift({"a": [1.0] * 99}, {"a": [1.0] * 99}, {"a": "numerical"}).reason
    assert fit_surrogate({}, {}, []) is None


def test_an_idle_column_that_goes_with_a_busy_one_has_no_part_of_its_own():
    """Its drift moves no score, which its plain association with the score would not tell."""
    data = tied(4000, 0.7)
    kind = RNG.choice(np.array(["x", "y"], dtype=object), 4000)
    score = 1 / (1 + np.exp(-(data["a"] + 0.5 * (kind == "x"))))
    columns = {**data, "kind": kind}
    kinds = {**dict.fromkeys(data, "numerical"), "kind": "categorical"}
    fit = fit_surrogate(columns, kinds, score)
    assert fit.r2 > 0.95
    assert fit.share["b"] < 0.01 < fit.share["kind"]
    parts = {name: (fit.part(name, columns[name]), fit.part(name, np.asarray(columns[name]) + 1)) for name in "ab"}
    assert feature_effect(*parts["a"]).value > 0.5
    assert abs(feature_effect(*parts["b"]).value) < 0.05
    assert feature_reach(*parts["a"]).value >= abs(feature_effect(*parts["a"]).value) - 1e-9
    inside = np.arange(4000) < 400
    moved = np.clip(score + np.where(inside, 0.1, 0), 0, 1)
    assert unexplained(fit.rest(columns, moved), inside)[0] > 0.2


@pytest.mark.parametrize("factor", [10, 1000, 0.01])
@pytest.mark.parametrize("part", [0.4, 1.0])
def test_another_unit_is_told_from_a_drift(factor, part):
    """A power of ten in all or some of the values is named; a real shift and a wider spread are not."""
    x, y = (np.exp(RNG.normal(3, 0.8, n)) for n in (6000, 2000))
    hit = RNG.random(2000) < part
    found = unit_share(x, np.where(hit, y * factor, y))
    assert found.value == pytest.approx(part, abs=0.08)
    assert "times" in found.reason
    assert unit_share(x, y * 1.6).value == 0
    assert unit_share(x, np.exp(RNG.normal(3, 1.3, 2000))).value == 0
    assert unit_share(x, y).value == 0


def test_missing_repeated_and_renamed_values_are_held_against_the_reference():
    """A column that is always half empty is not broken; one that becomes so is, and so are defaults and new names."""
    half = np.where(RNG.random(2000) < 0.5, np.nan, 1.0)
    assert missing_rise(half, half[:500]).interval[0] < 0.02
    assert missing_rise(np.ones(2000), half).value == pytest.approx(0.5, abs=0.05)
    assert missing_rise(np.ones(200), np.full(200, np.inf)).value == 1
    x = RNG.normal(size=2000)
    stuck = np.where(RNG.random(500) < 0.3, -999, x[:500])
    assert repeated_rise(x, stuck).value == pytest.approx(0.3, abs=0.06)
    assert repeated_rise(np.zeros(2000), np.zeros(500)).value == 0
    assert repeated_rise(x, x[:500]).value < 0.01
    assert renamed_share(["a", "b", "c"] * 100, ["a", "b", "new"] * 100).value == pytest.approx(1 / 3)
    assert renamed_share(["a", "b"] * 100, ["a", "b", "new"] * 100).value == 0
    assert renamed_share(["a", "b"] * 100, ["a", "B"] * 100).value == 0.5
    assert renamed_share(["a", "b"] * 100, ["a", "b", "A", "b "] * 100).value == 0.5
    assert renamed_share(["a", "b", "c"] * 99, ["a", "b", "c", "0", "1", "2"] * 99).value == 0.5
    for check in (missing_rise, repeated_rise, unit_share, renamed_share):
        assert check([], []).value is None
        assert check([], []).reason


def test_a_stretch_is_found_where_it_is():
    """Onset and end come out within a bucket, and quiet buckets give nothing certain."""
    counts = np.full(200, 50.0)
    sums = RNG.normal(0, np.sqrt(50), 200)
    sums[120:150] += 50 * 0.8
    found = find_stretch(sums, counts, 1.0)
    assert abs(found.first - 120) <= 1
    assert abs(found.last - 149) <= 1
    assert find_stretch(RNG.normal(0, np.sqrt(50), 200), counts, 1.0).z < 5.5
    assert find_stretch(np.zeros(1), np.zeros(1), 1.0) is None


def test_a_changed_rate_is_read_off_scores_and_fits_other_columns():
    """The rate comes out as it is; a column that kept to it fits, one that moved by itself does not."""
    f1, f0 = np.array([100, 300, 600]), np.array([600, 300, 100])
    now = np.array([350, 300, 350]) * 2
    rate = mixture_rate(f1 * 5, f0 * 5, now)
    assert rate == pytest.approx(0.5, abs=0.02)
    assert mixture_misfit(f1 * 5, f0 * 5, now, rate) > 0.05
    assert mixture_misfit(f1 * 5, f0 * 5, np.array([100, 800, 100]), rate) < 1e-6
    assert mixture_rate(f1 * 0, f0, now) is None
    assert mixture_misfit(f1 * 0, f0 * 0, now, 0.5) == 1
