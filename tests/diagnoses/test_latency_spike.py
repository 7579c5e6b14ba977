"""From a request log to a verdict, in process: what happened is known, so what is found can be checked.

P9: too little, missing or unusable data is inconclusive, never healthy.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from latency_fixture import Judge, change_log, write_model

from rbnb.simulate import END, LatencyFault, MetricFault, Rollout, Series, Surge, latency_log, metric_table
from rbnb.times import format_time

# ibis 12 calls DuckDB by names that DuckDB is about to rename
pytestmark = pytest.mark.filterwarnings("ignore:fetch_:DeprecationWarning")

ONSET = END - timedelta(hours=1)
BUCKET = 300


def minutes(n):
    """Return so many minutes."""
    return timedelta(minutes=n)


def judged(folder, log, at=END, **more):
    """Judge the two hours that end at a time, with that time as the clock."""
    given = {key: more.pop(key) for key in ("window", "bucket", "reference", "leave_out") if key in more}
    return Judge(write_model(folder, log, **more)).at(format_time(at), clock=END, **given)


def metrics(*faults, days=15):
    """Return five-minute series of a store, a host and a database that serves everybody."""
    series = (
        Series("store/b", "latency_ms", 9, "zone=b", noise=0.06),
        Series("service/b", "latency_ms", 38, "zone=b"),
        Series("model/b-2", "cpu", 0.4, "host=b-2", noise=0.05, decimals=3),
        Series("profile-db", "latency_ms", 6, noise=0.06),
    )
    start = END - timedelta(days=days)
    at = np.arange(int(start.timestamp()), int(END.timestamp()), BUCKET, dtype=np.int64) * 1000
    table = metric_table(series, faults, at, np.ones(len(at)), 3)
    return table.assign(time=pd.to_datetime(table["time"], unit="ms", utc=True))


CALLS = pd.DataFrame(
    {"caller": ["model/b-2", "service/b", "service/b"], "callee": ["service/b", "store/b", "profile-db"]}
)


@pytest.mark.parametrize(
    ("seed", "hours", "rate", "trend"), [(1, 0, 220, 0.0), (2, 11, 60, 0.0), (3, 30, 120, 0.06), (4, 52, 60, 0.06)]
)
def test_a_healthy_model_is_healthy_at_any_hour(tmp_path, seed, hours, rate, trend):
    """By day and by night, busy or not, growing or not, an earlier blip in the reference: nothing is found."""
    blip = LatencyFault(END - timedelta(days=5, hours=3), END - timedelta(days=5, hours=2), extra_ms=250, spread=0.5)
    log = latency_log(seed=seed, days=17, per_hour=rate, trend_per_week=trend, faults=(blip,))
    found = judged(tmp_path, log, END - timedelta(hours=hours))
    assert found.verdict == "healthy"
    assert found.episode is None
    assert found.causes == []


def test_a_slowdown_that_is_over_is_transient(tmp_path):
    """It is dated at both ends, and nobody is told that it goes on."""
    fault = LatencyFault(END - minutes(95), END - minutes(60), extra_ms=250, spread=0.4)
    found = judged(tmp_path, latency_log(seed=5, days=15, faults=(fault,)))
    assert found.verdict == "transient"
    assert abs(found.episode.onset - (END - minutes(95)).timestamp()) <= BUCKET
    assert abs(found.episode.ended - (END - minutes(60)).timestamp()) <= BUCKET


def test_slow_again_after_a_pause_is_not_over(tmp_path):
    """A slowdown that came back is still going on, however bad the first one was."""
    first = LatencyFault(END - minutes(110), END - minutes(70), extra_ms=500, spread=0.4)
    again = LatencyFault(END - minutes(25), extra_ms=200, spread=0.4)
    found = judged(tmp_path, latency_log(seed=6, days=15, faults=(first, again)))
    assert found.verdict == "genuine"
    assert found.episode.ended is None


@pytest.mark.parametrize("seed", [7, 8])
def test_a_moderate_slowdown_at_low_traffic_is_not_taken_for_a_recovery(tmp_path, seed):
    """Where single buckets say little, many of them together do: it is found, and it goes on."""
    log = latency_log(seed=seed, days=15, per_hour=60, faults=(LatencyFault(ONSET, factor=3.0),))
    found = judged(tmp_path, log)
    assert found.verdict == "genuine"
    assert found.episode.ended is None
    assert abs(found.episode.onset - ONSET.timestamp()) <= 2 * found.spike.scope.bucket


def test_only_the_slowest_requests_are_slower(tmp_path):
    """A tail that grows is found, and told apart from everybody being slower."""
    fault = LatencyFault(ONSET, share=0.12, extra_ms=400, spread=0.3)
    found = judged(tmp_path, latency_log(seed=9, days=15, faults=(fault,)))
    assert found.verdict == "genuine"
    assert found.finding("tail_only").value > 0.6


def test_slowness_without_a_logged_cause_is_genuine_and_unexplained(tmp_path):
    """Everybody is slow, nothing was changed, no metric is mapped: it is real, and nobody is blamed."""
    fault = LatencyFault(ONSET, stage="inference_ms", extra_ms=80)
    found = judged(tmp_path, latency_log(seed=10, days=15, faults=(fault,)))
    assert (found.verdict, found.decision.leaf) == ("genuine", "unexplained")
    assert found.supported() == []
    assert found.spike.segments == []
    assert max(found.spike.stages, key=lambda s: s.value or 0).where == "inference_ms"


def test_a_bad_canary_is_blamed_and_an_innocent_change_is_not(tmp_path):
    """Only the version that was rolled out is slow: the deploy is supported, the other change refuted."""
    start = ONSET - minutes(4)
    log = latency_log(seed=11, days=15, rollouts=(Rollout("2.0.0", start, timedelta(hours=8)),))
    canary = ((log["version"] == "2.0.0") & (log["ts"] >= ONSET)).to_numpy()
    for column in ("inference_ms", "latency_ms"):
        log[column] = log[column] + 200.0 * canary
    deploys = change_log(
        (start, "deploy", "deploy 2.0.0", "version=2.0.0"), (start - minutes(3), "config", "log level", "zone=c")
    )
    found = judged(tmp_path, log, changes=deploys)
    assert (found.verdict, found.decision.leaf) == ("genuine", "change")
    assert found.supported() == [("change", "version=2.0.0")]
    assert [c.status for c in found.causes if c.where == "zone=c"] == ["refuted"]
    assert found.decision.proposal.action == "rollback_version"


@pytest.mark.parametrize(("before", "status"), [(4, "supported"), (50, "open")])
def test_a_deploy_to_everybody_is_suspected_if_it_came_with_the_onset(tmp_path, before, status):
    """With everybody slow, a deploy minutes before is supported; one that ran an hour without harm is left open."""
    start = ONSET - minutes(before)
    rollouts = (Rollout("2.0.0", start, minutes(1)),)
    log = latency_log(seed=12, days=15, rollouts=rollouts, faults=(LatencyFault(ONSET, extra_ms=150, spread=0.4),))
    found = judged(tmp_path, log, changes=change_log((start, "deploy", "deploy 2.0.0", "version=2.0.0")))
    assert found.verdict == "genuine"
    assert [c.status for c in found.causes if c.kind == "change"] == [status]


def test_load_is_blamed_where_as_many_requests_were_as_slow_before(tmp_path):
    """At equal load nothing remains of the excess: more traffic is the reason."""
    rush = 3.0
    surges = [Surge(ONSET, END, rush)]
    surges += [
        Surge(END - timedelta(days=d, hours=h), END - timedelta(days=d, hours=h - 3), rush)
        for d, h in ((2, 9), (3, 7), (5, 8), (6, 10), (9, 8), (11, 9))
    ]
    log = latency_log(seed=13, days=15, seasonal=0.0, per_hour=220, surges=tuple(surges))
    slow = log["ts"] >= END
    for surge in surges:
        slow |= (log["ts"] >= surge.onset) & (log["ts"] < surge.end)
    for column in ("queue_ms", "latency_ms"):
        log[column] = log[column] + 120.0 * slow
    found = judged(tmp_path, log)
    assert (found.verdict, found.decision.leaf) == ("genuine", "load")
    assert ("load", "") in found.supported()
    assert found.decision.proposal.action == "throttle"


def test_a_dependency_of_one_zone_outranks_what_it_slows_down(tmp_path):
    """The deepest component that moved with the onset is the cause; its callers are symptoms."""
    log = latency_log(seed=14, days=15, faults=(LatencyFault(ONSET, where="zone=b", extra_ms=250, spread=0.6),))
    moved = metrics(
        MetricFault("store/b", "latency_ms", ONSET, 25.0), MetricFault("service/b", "latency_ms", ONSET, 6.0)
    )
    found = judged(tmp_path, log, metrics=moved, calls=CALLS)
    assert (found.verdict, found.decision.leaf) == ("infrastructure", "infrastructure_dependency")
    assert found.causes[0].name.startswith("store/b")
    assert found.causes[0].where == "zone=b"
    assert found.spike.symptoms["service/b"] == ["store/b"]


def test_a_dependency_that_serves_everybody_is_a_cause_only_if_everybody_is_slow(tmp_path):
    """With all zones slow the shared database is to blame; with one zone slow the others clear it."""
    moved = metrics(MetricFault("profile-db", "latency_ms", ONSET, 20.0))
    for name, where, verdict in (("all", "", "infrastructure"), ("one", "zone=b", "infrastructure")):
        folder = tmp_path / name
        folder.mkdir()
        log = latency_log(seed=15, days=15, faults=(LatencyFault(ONSET, where=where, extra_ms=200, spread=0.4),))
        found = judged(folder, log, metrics=moved, calls=CALLS)
        (database,) = [c for c in found.causes if c.name.startswith("profile-db")]
        assert database.status == ("supported" if not where else "refuted")
        assert found.verdict == verdict
    assert found.supported() == [("infrastructure", "zone=b")]


@pytest.mark.parametrize("measured", [True, False])
def test_a_slow_host_is_named_with_and_without_its_metrics(tmp_path, measured):
    """One machine holds the excess while others run the same: it is the machine."""
    log = latency_log(seed=16, days=15, faults=(LatencyFault(ONSET, where="host=b-2", extra_ms=350, spread=0.4),))
    moved = metrics(MetricFault("model/b-2", "cpu", ONSET, 2.2))
    found = judged(tmp_path, log, **({"metrics": moved, "calls": CALLS} if measured else {}))
    assert (found.verdict, found.decision.leaf) == ("infrastructure", "infrastructure_host")
    assert found.supported() == [("host", "host=b-2")]


def test_an_incident_that_began_long_before_the_window_does_not_become_normal(tmp_path):
    """After five hours it is still found, though the hours before the window are part of the reference."""
    log = latency_log(seed=17, days=15, faults=(LatencyFault(END - timedelta(hours=5), extra_ms=120),))
    found = judged(tmp_path, log, reference="3d")
    assert found.verdict == "genuine"
    assert abs(found.episode.onset - (END - timedelta(hours=5)).timestamp()) <= BUCKET
    assert found.finding("latency_p50").value > 1.5


def test_fewer_requests_are_not_slower_ones(tmp_path):
    """When traffic falls to a tenth, quantiles of the few that remain scatter, and that is no incident."""
    log = latency_log(seed=18, days=15, surges=(Surge(END - timedelta(hours=2), END, 0.1),))
    found = judged(tmp_path, log)
    assert not found.alarm
    assert found.finding("throughput_drop").status == "breach"


def two_rows(log):
    """Keep two rows."""
    return log.iloc[-2:]


def no_reference(log):
    """Keep the window alone."""
    return log[log["ts"] >= END - timedelta(hours=2)]


def empty_window(log):
    """Lose the window."""
    return log[log["ts"] < END - timedelta(hours=2)]


def half_empty(log):
    """Lose most of the window."""
    return log[log["ts"] < END - minutes(75)]


def begun_late(log):
    """Lose the first hours of the window."""
    return log[(log["ts"] < END - timedelta(hours=2)) | (log["ts"] >= END - minutes(45))]


def short_reference(log):
    """Keep two hours of thin reference."""
    thin = log[log["ts"] < END - timedelta(hours=2)].iloc[::2]
    return pd.concat([thin[thin["ts"] >= END - timedelta(hours=4, minutes=30)], no_reference(log)])


def all_null(log):
    """Lose the latencies of the window."""
    return log.assign(latency_ms=log["latency_ms"].where(log["ts"] < END - timedelta(hours=2)))


def all_infinite(log):
    """Break the latencies of the window."""
    return log.assign(latency_ms=log["latency_ms"].where(log["ts"] < END - timedelta(hours=2), np.inf))


@pytest.mark.parametrize(
    "damage", [two_rows, no_reference, short_reference, empty_window, half_empty, begun_late, all_null, all_infinite]
)
def test_too_little_or_unusable_data_is_inconclusive(tmp_path, damage):
    """P9: what cannot be judged is said to be so, with the reason; it is never healthy."""
    log = damage(latency_log(seed=19, days=5))
    found = judged(tmp_path, log)
    assert found.verdict == "inconclusive"
    assert found.decision.verdict.because[0]


def test_whole_numbers_and_decimals_are_latencies_too(tmp_path):
    """A log with integer milliseconds and one with decimals come to what one with floats comes to."""
    log = latency_log(seed=20, days=4, faults=(LatencyFault(ONSET, extra_ms=200),))
    whole = log.assign(latency_ms=log["latency_ms"].round().astype("int32"))
    found = judged(tmp_path, whole)
    assert found.verdict == "genuine"
    assert abs(found.episode.onset - ONSET.timestamp()) <= BUCKET
