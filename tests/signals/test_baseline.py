"""What is usual for an hour, checked against a plain loop."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from rbnb.signals.baseline import DAY, WEEK, fewer, robust_z, seasonal_expectation, seasonal_period, sustained

BUCKET = 300


def season(days, *, seed=1, noise=0.1, start=0):
    """Return buckets of a series with a daily and a weekly shape."""
    times = start + np.arange(0, days * DAY, BUCKET)
    rng = np.random.default_rng(seed)
    shape = 1 + 0.5 * np.sin(2 * np.pi * times / DAY) + 0.3 * (times % WEEK < 2 * DAY)
    return times, 50 * shape * np.exp(rng.normal(0, noise, len(times)))


def naive(times, values, target, period, half_width):
    """Return the median of the buckets within half a width of the same time in other periods."""
    near = []
    for time, value in zip(times.tolist(), values.tolist(), strict=True):
        cycles = round((time - target) / period)
        if cycles != 0 and abs(time - target - cycles * period) <= half_width and math.isfinite(value):
            near.append(value)
    return statistics.median(near), len(near)


@pytest.mark.parametrize(("days", "period"), [(14, WEEK), (5, DAY)])
def test_the_expectation_is_the_median_of_the_same_hours(days, period):
    """It equals what a loop over the reference gives, at any hour, also where the week begins anew."""
    times, values = season(days)
    targets = times[-1] + BUCKET * np.array([1, 7, 12, 24])
    usual = seasonal_expectation(times, values, targets)
    for i, target in enumerate(targets.tolist()):
        middle, n = naive(times, values, target, period, 3600)
        assert usual.n[i] == n
        # the median of logarithms differs from the logarithm of the median by interpolation only
        assert usual.middle[i] == pytest.approx(middle, rel=5e-3)


def test_an_earlier_incident_does_not_raise_the_bar():
    """An hour ten times slower a week ago leaves what is usual where it was, left out or not."""
    times, values = season(14)
    target = [14 * DAY + 6 * 3600]
    bad = (times >= 7 * DAY + 6 * 3600) & (times < 7 * DAY + 6 * 3600 + 1800)
    hurt = np.where(bad, values * 10, values)
    clean, dirty = (seasonal_expectation(times, v, target) for v in (values, hurt))
    assert dirty.middle[0] == pytest.approx(clean.middle[0], rel=0.05)
    without = seasonal_expectation(times, hurt, target, leave_out=[(7 * DAY + 6 * 3600, 7 * DAY + 6 * 3600 + 1800)])
    assert without.middle[0] == pytest.approx(clean.middle[0], rel=0.05)
    assert without.scale[0] <= dirty.scale[0]


def test_an_hour_is_not_its_own_yardstick():
    """What happened in the hours just before the window says nothing of what is usual there."""
    times, values = season(14)
    late = times >= 14 * DAY - 3 * 3600
    target = [14 * DAY + 300]
    clean = seasonal_expectation(times, values, target)
    hurt = seasonal_expectation(times, np.where(late, values * 5, values), target)
    assert hurt.middle.tolist() == clean.middle.tolist()
    assert hurt.scale.tolist() == clean.scale.tolist()


def test_hours_are_counted_in_utc_across_the_change_of_the_clocks():
    """In late October, when local clocks go back, the same UTC hours are compared."""
    start = 1_792_281_600  # 2026-10-18T00:00:00Z, a week before
    times = start + np.arange(0, 14 * DAY, BUCKET)
    values = np.where(times % DAY < DAY // 2, 10.0, 30.0)
    usual = seasonal_expectation(times, values, [start + 14 * DAY + 3600, start + 14 * DAY + 20 * 3600])
    assert usual.middle.tolist() == pytest.approx([10.0, 30.0])


def test_a_short_reference_shows_no_season():
    """Below two days every hour counts, below two weeks the hours of the day."""
    assert [seasonal_period(days * DAY) for days in (1, 2, 13, 14)] == [0, DAY, DAY, WEEK]
    times, values = season(1)
    assert seasonal_expectation(times, values, [DAY + 300]).period == "all hours"


def test_nothing_is_expected_from_nothing():
    """Without usable reference buckets there is no expectation, and no distance from it."""
    usual = seasonal_expectation([0, 300], [math.nan, 0.0], [600])
    assert usual.n.tolist() == [0]
    assert np.isnan(robust_z([10.0], usual)).all()


def test_the_distance_is_in_robust_deviations_of_the_logarithm():
    """For lognormal buckets it has the mean and spread of a standard normal, or a little less."""
    rng = np.random.default_rng(2)
    times = np.arange(0, 14 * DAY, BUCKET)
    usual = seasonal_expectation(times, np.exp(rng.normal(3, 0.2, len(times))), [14 * DAY] * 4000)
    z = robust_z(np.exp(rng.normal(3, 0.2, 4000)), usual)
    assert abs(z.mean()) < 0.3
    assert 0.75 < z.std() < 1.1
    assert np.isnan(robust_z([0.0, -1.0, math.nan, math.inf] * 1000, usual)[:3]).all()


def test_fewer_requests_than_usual_are_given_room():
    """A quarter of the requests doubles the spread; more than usual never narrows it."""
    usual = seasonal_expectation(range(0, 7200, 300), [10.0] * 24, [7200] * 3)
    assert (fewer(usual, [5, 20, 80], [20, 20, 20]).scale / usual.scale).tolist() == pytest.approx([2, 1, 1])


def test_two_of_three_are_sustained_and_one_is_not():
    """The second largest of three neighbours counts, missing ones count as unremarkable."""
    rng = np.random.default_rng(3)
    z = np.where(rng.random(60) < 0.2, np.nan, rng.normal(0, 3, 60))
    filled = np.nan_to_num(z, nan=0.0).tolist()
    expected = [sorted(filled[i : i + 3])[-2] if len(filled[i : i + 3]) > 1 else 0.0 for i in range(60)]
    assert sustained(z).tolist() == pytest.approx(expected)
    assert sustained([]).tolist() == []
