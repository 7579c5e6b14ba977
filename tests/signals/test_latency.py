"""How much slower, against independent implementations and against samples whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rbnb.model import Signal
from rbnb.signals.intervals import quantile_levels, ratio_interval, share
from rbnb.signals.latency.slowness import burn_rates, equal_load, equal_mix, quantile_ratio, stage_excess, tail_only

LEVELS = [0.5, 0.95, 0.99]


@pytest.mark.parametrize(
    ("count", "n"), [(0, 1), (1, 1), (0, 40), (40, 40), (5, 100), (1, 30), (333, 1000), (2, 10_000)]
)
def test_a_share_has_wilsons_interval(count, n):
    """It is the interval that scipy computes."""
    signal = share("s", count, n)
    expected = stats.binomtest(count, n).proportion_ci(0.95, method="wilson")
    assert signal.value == count / n
    assert signal.interval == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_a_share_of_nothing_is_undefined():
    """No requests, no share."""
    signal = share("s", 0, 0)
    assert signal.value is None
    assert signal.reason


@pytest.mark.parametrize(
    ("level", "n"), [(0.5, 10), (0.5, 25), (0.5, 400), (0.95, 72), (0.95, 600), (0.99, 368), (0.99, 2000)]
)
def test_the_interval_of_a_quantile_covers_it(level, n):
    """In at least 93 % of 4,000 samples the true quantile lies between the two that bound it."""
    rng = np.random.default_rng(1)
    truth = float(np.exp(stats.norm.ppf(level)))
    low, high = quantile_levels(n, level)
    drawn = rng.lognormal(size=(4000, n))
    bounds = np.quantile(drawn, [low, high], axis=1)
    assert ((bounds[0] <= truth) & (truth <= bounds[1])).mean() >= 0.93


def summary(sample):
    """Return for each level the quantile and the two that bound it."""
    return {q: tuple(np.quantile(sample, [q, *quantile_levels(len(sample), q)])) for q in LEVELS}


@pytest.mark.parametrize("level", LEVELS)
def test_the_interval_of_a_ratio_covers_it(level):
    """With requests twice as slow the interval of the ratio holds 2 in at least 93 % of 400 samples."""
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(400):
        now, before = 2 * rng.lognormal(3, 0.6, 400), rng.lognormal(3, 0.6, 1200)
        signal = quantile_ratio("q", level, summary(now)[level], summary(before)[level], (400, 1200))
        held += signal.interval[0] <= 2 <= signal.interval[1]
    assert held / 400 >= 0.93


def test_a_quantile_needs_enough_requests():
    """Ten for a median, 72 for p95, 368 for p99, on both sides; and a reference that is not 0."""
    one = (1.0, 1.0, 1.0)
    for level, needed in ((0.5, 10), (0.95, 72), (0.99, 368)):
        assert quantile_ratio("q", level, one, one, (needed, needed)).value == 1
        for counts in ((needed - 1, 5000), (5000, needed - 1)):
            few = quantile_ratio("q", level, one, one, counts)
            assert few.value is None
            assert "too few" in few.reason
    zero = quantile_ratio("q", 0.5, one, (0.0, 0.0, 0.0), (500, 500))
    assert zero.value is None
    assert "0" in zero.reason
    assert quantile_ratio("q", 0.5, (None,) * 3, one, (500, 500)).value is None


def test_burn_rates_are_those_worked_out_by_hand():
    """1 % bad against a budget of 0.1 % burns ten times too fast; the smaller of both windows counts."""
    spans = {
        "1h": ((10, 1000), (5, 100)),
        "6h": ((6, 6000), (9, 500)),
        "1d": ((0, 100), (0, 10)),
        "3d": ((3, 10), (0, 0)),
    }
    rows = [
        {"span": f"{name}.{which}", "bad": bad, "n": n}
        for name, pair in spans.items()
        for which, (bad, n) in zip(("long", "short"), pair, strict=True)
    ]
    found = {s.name: s for s in burn_rates("latency", pd.DataFrame(rows), "bad", "n", 0.001)}
    assert list(found) == ["burn_latency_1h", "burn_latency_6h", "burn_latency_1d", "burn_latency_3d"]
    assert found["burn_latency_1h"].value == pytest.approx(10)
    assert found["burn_latency_6h"].value == pytest.approx(1)
    assert found["burn_latency_1d"].value == 0
    assert found["burn_latency_3d"].value is None
    expected = stats.binomtest(10, 1000).proportion_ci(0.95, method="wilson")
    assert found["burn_latency_1h"].interval == pytest.approx((expected.low / 0.001, expected.high / 0.001), rel=1e-5)


def test_the_interval_of_a_part_covers_it():
    """In at least 93 % of 2,000 draws the interval holds the true share of the part."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(2000):
        part, rest = rng.normal(9, 0.5), rng.normal(3, 0.8)
        low, high = ratio_interval((part, 0.25), (rest, 0.64))
        held += low <= 0.75 <= high
    assert held / 2000 >= 0.93


def stage_cells(now, before, *, stages=("queue", "model")):
    """Return one row a period with sums and squares of each stage."""
    rows = []
    for period, table in (("current", now), ("reference", before)):
        row = {"period": period, "n": len(table)}
        for i, stage in enumerate(stages):
            row[f"{stage}|total"] = float(table[:, i].sum())
            row[f"{stage}|squares"] = float((table[:, i] ** 2).sum())
        rows.append(row)
    return pd.DataFrame(rows)


def test_the_shares_of_the_stages_sum_to_one_and_cover_the_truth():
    """Ten milliseconds more in one stage, two in the other: five sixths lie in the interval in 93 % of 300 draws."""
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(300):
        before, now = rng.gamma(20, 1, (1000, 2)), rng.gamma(20, 1, (300, 2)) + np.array([10.0, 2.0])
        queue, model = stage_excess(stage_cells(now, before), ["queue", "model"])
        assert queue.value + model.value == pytest.approx(1)
        held += queue.interval[0] <= 10 / 12 <= queue.interval[1]
    assert held / 300 >= 0.93


def test_without_excess_there_are_no_shares():
    """As fast as usual, faster than usual, or too few requests: undefined, with the reason."""
    rng = np.random.default_rng(5)
    before = rng.gamma(20, 1, (500, 2))
    for now in (before, before * 0.5, before[:1]):
        for signal in stage_excess(stage_cells(now, before), ["queue", "model"]):
            assert signal.value is None
            assert signal.reason


def test_the_tail_is_told_from_everybody():
    """0 if the median moved as much as p95, 1 if it did not move, undefined without a slower tail."""

    def ratio(value):
        return Signal("latency", value, "ratio", 900, "")

    assert tail_only(ratio(2.0), ratio(2.0)).value == pytest.approx(0)
    assert tail_only(ratio(1.0), ratio(3.0)).value == pytest.approx(1)
    assert tail_only(ratio(math.sqrt(2)), ratio(2.0)).value == pytest.approx(0.5)
    assert tail_only(ratio(3.0), ratio(2.0)).value == 0
    assert tail_only(ratio(1.0), ratio(1.0)).value is None
    assert tail_only(ratio(1.0), ratio(None)).value is None


def queueing(load):
    """Return the latency of a queue at a load of so many requests a bucket, of 100 at most."""
    return 20 / (1 - np.asarray(load) / 100)


def test_slowness_from_load_vanishes_at_equal_load():
    """A queue that gets as full as it was at other hours is as slow as it was then."""
    rng = np.random.default_rng(6)
    past = rng.integers(10, 95, 2000)
    load = rng.integers(80, 90, 12)
    signal = equal_load(load, queueing(load), np.full(12, queueing(30)), past, queueing(past), seed=1)
    assert abs(signal.value) < 0.15
    assert signal.interval[0] <= signal.value <= signal.interval[1]


def test_slowness_at_the_same_load_remains():
    """Twice as slow at the usual load: all of the excess remains."""
    rng = np.random.default_rng(7)
    past = rng.integers(10, 95, 2000)
    load = rng.integers(28, 33, 12)
    signal = equal_load(load, 2 * queueing(load), queueing(load), past, queueing(past), seed=1)
    assert signal.value == pytest.approx(1, abs=0.1)
    assert signal.interval[0] > 0.8


def test_a_load_never_seen_leaves_it_open():
    """Nobody can tell what is usual at twice the highest load."""
    past = np.arange(10, 95)
    signal = equal_load([190, 200], [500.0, 600.0], [30.0, 30.0], past, queueing(past), seed=1)
    assert signal.value is None
    assert "never seen" in signal.reason


def test_without_buckets_or_excess_equal_load_is_undefined():
    """One bucket, no reference, no excess, no numbers: a reason instead of a number."""
    past = np.arange(10, 95)
    ok = queueing(past)
    for arguments in (
        ([30], [99.0], [30.0], past, ok),
        ([30, 30], [99.0, 99.0], [30.0, 30.0], [], []),
        ([30, 30], [20.0, 20.0], [30.0, 30.0], past, ok),
        ([30, 30], [math.nan] * 2, [math.nan] * 2, past, ok),
    ):
        signal = equal_load(*arguments, seed=1)
        assert signal.value is None
        assert signal.reason


def payload_bins(shares_now, means_now, shares_before=(0.5, 0.5), means_before=(10.0, 50.0)):
    """Return payload bins of 1,000 requests a period."""
    rows = [
        {"period": period, "bin": i, "n": int(1000 * s), "total": 1000 * s * m}
        for period, shares, means in (("current", shares_now, means_now), ("reference", shares_before, means_before))
        for i, (s, m) in enumerate(zip(shares, means, strict=True))
    ]
    return pd.DataFrame(rows)


def test_larger_requests_are_told_from_slower_ones():
    """More large requests, each as fast as ever: nothing remains; each slower in the same mix: all remains."""
    assert equal_mix(payload_bins((0.1, 0.9), (10.0, 50.0))).value == pytest.approx(0)
    assert equal_mix(payload_bins((0.5, 0.5), (20.0, 100.0))).value == pytest.approx(1)
    half = equal_mix(payload_bins((0.1, 0.9), (26.0, 66.0)))
    assert half.value == pytest.approx(0.5)


def test_payloads_never_seen_leave_it_open():
    """A bin that the reference lacks, a missing period or no excess: undefined, with the reason."""
    bins = payload_bins((0.5, 0.5), (20.0, 100.0))
    unseen = bins[~((bins["period"] == "reference") & (bins["bin"] == 1))]
    for table in (unseen, bins[bins["period"] == "current"], payload_bins((0.5, 0.5), (5.0, 20.0))):
        signal = equal_mix(table)
        assert signal.value is None
        assert signal.reason
