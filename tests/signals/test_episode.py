"""When it began and whether it is over: dated within a bucket, quiet on noise, never over in doubt."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from rbnb.signals.baseline import DAY, seasonal_expectation
from rbnb.signals.latency.episode import _maximal, detect_episode, persistence

BUCKET, N = 300, 96
NOISE = 0.15
TIMES = 14 * DAY + np.arange(N) * BUCKET
SINCE = int(TIMES[72])
REFERENCE = np.arange(0, 14 * DAY, BUCKET)


def usual(seed=1):
    """Return what two weeks of noise around 100 lead one to expect."""
    rng = np.random.default_rng(seed)
    return seasonal_expectation(REFERENCE, 100 * np.exp(rng.normal(0, NOISE, len(REFERENCE))), TIMES)


EXPECTED = usual()


def values(*slow, seed=2, noise=NOISE):
    """Return noise around 100 with spans of buckets (first, last, factor) made slower."""
    found = 100 * np.exp(np.random.default_rng(seed).normal(0, noise, N))
    for first, last, factor in slow:
        found[first : last + 1] *= factor
    return found


def detect(series, *, inflation=1.0):
    """Detect with the shipped settings."""
    return detect_episode(
        TIMES, {"p50": (series, EXPECTED)}, since=SINCE, z_min=4, ratio_min=1.2, inflation={"p50": inflation}
    )


@pytest.mark.parametrize("factor", [1.4, 2.0, 5.0])
@pytest.mark.parametrize("first", [75, 80, 88])
def test_the_onset_is_dated_within_a_bucket(first, factor):
    """Strong or moderate, early or late in the window: it starts where it was made to start, and goes on."""
    signal, episode = detect(values((first, N - 1, factor)))
    assert abs(episode.onset - TIMES[first]) <= BUCKET
    assert episode.ended is None
    assert episode.ratio == pytest.approx(factor, rel=0.2)
    assert signal.value >= 4


def test_an_onset_before_the_window_is_found_if_it_reaches_into_it():
    """A stretch that began hours before is dated there; one that ended before the window is history."""
    assert detect(values((40, N - 1, 2.0)))[1].onset == TIMES[40]
    signal, episode = detect(values((40, 71, 2.0)))
    assert episode is None
    assert signal.value < 4


def test_a_stretch_that_is_over_is_dated_at_its_end():
    """It ended in the bucket after the last slow one."""
    _, episode = detect(values((75, 84, 2.0)))
    assert abs(episode.ended - TIMES[85]) <= BUCKET
    assert abs(episode.buckets - 10) <= 1


@pytest.mark.parametrize("after", [1, 2])
def test_it_is_not_over_on_the_first_good_bucket(after):
    """One or two normal buckets at the end are no recovery."""
    assert detect(values((75, N - 1 - after, 3.0)))[1].ended is None


def test_a_moderate_slowdown_is_not_over_because_of_a_lull():
    """Over 200 ongoing moderate slowdowns at most one in twenty is taken for over, whatever the noise does."""
    over = found = 0
    for seed in range(200):
        _, episode = detect(values((72, N - 1, 1.35), seed=seed))
        found += episode is not None
        over += episode is not None and episode.ended is not None
    assert found >= 190
    assert over <= 0.05 * found


def test_the_one_that_goes_on_comes_first():
    """Slow, an hour of normal, slow again: what is reported goes on, though the first one was worse."""
    _, episode = detect(values((73, 79, 6.0), (93, N - 1, 3.0)))
    assert episode.ended is None
    assert abs(episode.onset - TIMES[93]) <= BUCKET


def test_a_pause_shorter_than_what_follows_does_not_split_an_incident():
    """Slow, a short pause, slow again for longer: one incident, dated at its first onset."""
    _, episode = detect(values((73, 79, 3.0), (84, N - 1, 3.0)))
    assert (episode.onset, episode.ended) == (TIMES[73], None)


def test_buckets_without_data_are_neither_slow_nor_a_recovery():
    """A gap inside does not split a stretch, and a gap at the end does not end it."""
    slow = values((75, N - 1, 3.0))
    slow[80:84] = math.nan
    slow[92:] = math.nan
    _, episode = detect(slow)
    assert episode.onset == TIMES[75]
    assert episode.ended is None


@pytest.mark.parametrize("factor", [3.0, 1000.0])
def test_one_wild_bucket_is_no_episode(factor):
    """However wild, one is not enough; two of three are."""
    assert detect(values((80, 80, factor), noise=0.02))[1] is None
    assert detect(values((80, 80, factor), (82, 82, factor), noise=0.02))[1] is not None


def test_nothing_is_found_without_data_or_in_a_constant():
    """All missing is undefined with a reason; a constant is as usual; a little above a constant is not large."""
    signal, episode = detect(np.full(N, math.nan))
    assert (signal.value, episode) == (None, None)
    assert signal.reason
    still = seasonal_expectation(REFERENCE, np.full(len(REFERENCE), 100.0), TIMES)
    for level in (100.0, 119.0):
        flat = detect_episode(TIMES, {"p50": (np.full(N, level), still)}, since=SINCE, z_min=4, ratio_min=1.2)
        assert flat[1] is None
        assert flat[0].value < 4


def test_noise_is_quiet():
    """Of 400 windows of noise at most 1 % hold an episode."""
    assert sum(detect(values(seed=seed))[1] is not None for seed in range(400)) <= 4


def test_what_varies_slowly_gathers_evidence_slowly():
    """A level that drifts for hours by nature is no incident once its persistence is known, a jump still is."""
    rng = np.random.default_rng(4)

    def wander(n):
        steps = np.zeros(n)
        for i in range(1, n):
            steps[i] = 0.95 * steps[i - 1] + rng.normal(0, 0.05)
        return 100 * np.exp(steps)

    past = wander(len(REFERENCE))
    expected = seasonal_expectation(REFERENCE, past, TIMES)
    factor = persistence(REFERENCE, past, 0)
    assert factor > 4
    alarms = {1.0: 0, factor: 0}
    for _ in range(100):
        now = wander(N)
        for inflation in alarms:
            _, episode = detect_episode(
                TIMES, {"v": (now, expected)}, since=SINCE, z_min=4, ratio_min=1.2, inflation={"v": inflation}
            )
            alarms[inflation] += episode is not None
    assert alarms[factor] <= 2
    assert alarms[1.0] > alarms[factor]
    jump = wander(N) * np.where(np.arange(N) >= 80, 4.0, 1.0)
    assert detect_episode(TIMES, {"v": (jump, expected)}, since=SINCE, z_min=4, ratio_min=1.2, inflation={"v": factor})[
        1
    ]


def test_independent_buckets_have_no_persistence():
    """White noise gives about 1, blocks of twelve equal values give the length of a block or less."""
    rng = np.random.default_rng(5)
    assert persistence(REFERENCE, np.exp(rng.normal(0, 0.2, len(REFERENCE))), DAY) < 1.6
    assert persistence(REFERENCE[:20], np.ones(20), 0) == 13.0
    assert persistence(REFERENCE, np.full(len(REFERENCE), 7.0), DAY) == 1.0


def test_the_maximal_stretches_are_those_of_a_search_over_all():
    """The first one found by looking at every stretch is among them, with the same sum, on 200 random rows."""
    rng = np.random.default_rng(6)
    for _ in range(200):
        score = rng.normal(-0.3, 1, 30)
        sums = np.concatenate([[0.0], np.cumsum(score)])
        best = max(sums[j] - sums[i] for i in range(30) for j in range(i + 1, 31))
        found = _maximal(score)
        if best > 0:
            assert max(total for _, _, total in found) == pytest.approx(best)
        for first, last, total in found:
            assert total == pytest.approx(score[first : last + 1].sum())
        assert all(a[1] < b[0] for a, b in itertools.pairwise(found))


def test_other_settings_keep_the_rule_of_two():
    """Whatever `z_min` is, one bucket is not enough and two of three are."""
    for z_min in (2.5, 4.0, 8.0):
        for extra, expected in (((80, 80, 9.0),), False), (((80, 80, 9.0), (82, 82, 9.0)), True):
            _, episode = detect_episode(
                TIMES, {"p50": (values(*extra, noise=0.01), EXPECTED)}, since=SINCE, z_min=z_min, ratio_min=1.2
            )
            assert (episode is not None) is expected
