"""The numbers of data quality against independent implementations, and what they say of odd input."""

import numpy as np
import pytest
from scipy import stats

from rbnb.signals.intervals import wilson
from rbnb.signals.quality.scan import expected_rates, overdispersion, scan
from rbnb.signals.quality.shares import distance, share_excess, shifted_decisions


@pytest.mark.parametrize(("count", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (37, 1000)])
def test_the_interval_of_a_share_is_wilsons(count, n):
    """It equals scipy's."""
    expected = stats.binomtest(count, n).proportion_ci(method="wilson")
    assert wilson(count, n) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_the_excess_of_a_share_is_newcombes():
    """The example of Newcombe (1998), table II, method 10: 56/70 against 48/80."""
    found = share_excess("x", 56, 70, 48, 80)
    assert found.value == pytest.approx(0.2)
    assert found.interval == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_the_interval_covers_the_truth():
    """Over many samples 95 % of intervals hold the true difference, within what chance allows."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(600):
        found = share_excess("x", rng.binomial(120, 0.1), 120, rng.binomial(2000, 0.03), 2000)
        held += found.interval[0] <= 0.07 <= found.interval[1]
    assert 0.92 <= held / 600 <= 0.985


def test_without_rows_a_share_is_undefined():
    """No rows give no number, and a reason; no reference gives the share itself."""
    assert share_excess("x", 0, 0, 1, 10).value is None
    alone = share_excess("x", 3, 10, 0, 0)
    assert (alone.value, alone.reference) == (0.3, None)


def test_the_same_distribution_is_no_distance_and_a_shift_is():
    """Chance is taken off, and the distance grows with the shift."""
    rng = np.random.default_rng(6)
    then = rng.normal(0, 1, 4000)
    found = [distance("d", rng.normal(shift, 1, 1000), then).value for shift in (0, 0.2, 0.5, 1.0, 3.0)]
    assert found[0] < 0.03
    assert found == sorted(found)
    assert found[-1] > 0.8


def test_nulls_and_infinities_count_in_a_distance():
    """Rows without a value are rows; what is infinite lies in the outermost bin."""
    then = np.arange(1000.0)
    half = np.where(np.arange(1000) % 2 == 0, np.nan, then)
    assert distance("d", half, then).value == pytest.approx(0.5, abs=0.05)
    assert distance("d", np.full(500, np.inf), then).value > 0.8
    assert distance("d", [1.0, 2.0], then).value is None
    assert distance("d", then, np.full(1000, np.nan)).value is None


def test_a_shift_of_decisions_has_its_sign():
    """Fewer positive decisions among those touched give a negative number."""
    found = shifted_decisions([False] * 90 + [True] * 10, [True] * 100, (500, 1000))
    assert found.value == pytest.approx(-0.4)
    assert found.interval[1] < 0


def test_a_scan_finds_what_brute_force_finds():
    """The run of buckets with the largest likelihood ratio, by trying them all."""
    rng = np.random.default_rng(7)
    n = rng.poisson(30, (3, 40)).astype(float)
    bad = rng.binomial(n.astype(int), 0.05).astype(float)
    bad[1, 22:31] = rng.binomial(n[1, 22:31].astype(int), 0.5)
    found = scan(bad, n, np.array([0.05, 0.05, 0.05]))[0]

    def ratio(first, last):
        wrong, held = bad[1, first : last + 1].sum(), n[1, first : last + 1].sum()
        if wrong <= 0.05 * held:
            return 0.0
        return stats.binom.logpmf(wrong, held, wrong / held) - stats.binom.logpmf(wrong, held, 0.05)

    best = max(((ratio(a, b), a, b) for a in range(40) for b in range(a, 40)), key=lambda one: one[0])
    assert (found.slice, found.first, found.last) == (1, best[1], best[2])
    assert found.ratio == pytest.approx(best[0], rel=0.01)


def test_chance_alone_is_never_certain():
    """Over 300 quiet tables the surest stretch stays below what policy calls certain."""
    rng = np.random.default_rng(8)
    n = np.full((20, 96), 12.0)
    ratios = []
    for _ in range(300):
        found = scan(rng.binomial(12, 0.02, (20, 96)).astype(float), n, np.full(20, 0.021))
        ratios.append(found[0].ratio if found else 0.0)
    assert max(ratios) < 18


def test_scatter_makes_less_sure():
    """A rate that jumps from hour to hour by itself weighs less; a steady one weighs in full."""
    rng = np.random.default_rng(9)
    n = np.full(200, 100.0)
    assert overdispersion(rng.binomial(100, 0.05, 200).astype(float), n) < 1.3
    assert overdispersion(rng.binomial(100, rng.choice([0.0, 0.1], 200)).astype(float), n) > 3
    assert overdispersion(np.zeros(200), n) == 1.0


def test_of_two_slices_with_the_same_wrong_rows_the_smaller_is_surer():
    """Where nothing was ever wrong before, all wrong rows of a large slice being in a small one points there."""
    rates = expected_rates(np.array([0.0, 0.0]), np.array([20_000.0, 4_000.0]), (0, 25_000))
    assert rates[0] == rates[1]
    found = scan(np.array([[9.0], [9.0]]), np.array([[200.0], [40.0]]), rates)
    assert found[0].slice == 1
    assert found[0].ratio > found[1].ratio + 3


def test_usual_rates_are_taken_at_their_upper_bound():
    """A slice that never failed in ten rows is not taken to be faultless; one with thousands is near its own rate."""
    small, large = expected_rates(np.array([0.0, 0.0]), np.array([10.0, 100_000.0]), (100, 10_000))
    assert small > 0.008
    assert large < 0.001
