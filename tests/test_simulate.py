"""The sample fleet and its simulator: the same bytes from a seed, and an incident that is what the truth says."""

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from rbnb.errors import UsageError
from rbnb.inventory import load_model_file
from rbnb.simulate import END, LatencyFault, Rollout, Surge, latency_log, write_fleet
from rbnb.times import parse_time

SAMPLES = Path(__file__).resolve().parent.parent / "data_samples"
MEMBERS = ("fraud-v3", "churn-v2", "pricing-v5", "credit-v4", "recommend-v7", "triage-v1")
STAGES = ["queue_ms", "features_ms", "inference_ms", "post_ms"]
FAULT_AT = END - timedelta(hours=2)


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file of the fleet below `folder`."""
    files = [path for part in (*MEMBERS, "models", "truth") for path in (folder / part).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory) -> Path:
    """A fleet rebuilt from the default seed."""
    folder = tmp_path_factory.mktemp("fleet")
    write_fleet(folder)
    return folder


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    """The committed request log."""
    return pd.concat(
        [pd.read_parquet(path) for path in sorted((SAMPLES / "fraud-v3/predictions").glob("*.parquet"))],
        ignore_index=True,
    )


@pytest.fixture(scope="module")
def metrics() -> pd.DataFrame:
    """The committed infrastructure series."""
    return pd.read_parquet(SAMPLES / "fraud-v3/metrics.parquet")


@pytest.fixture(scope="module")
def truth() -> dict:
    """What really happened."""
    return json.loads((SAMPLES / "truth/fraud-v3.json").read_text(encoding="utf-8"))


def p99(rows: pd.DataFrame) -> float:
    """Return the 99th percentile of the latency in ms."""
    return float(rows["latency_ms"].quantile(0.99))


# The files


def test_the_repository_holds_what_the_seed_builds(rebuilt):
    """`make samples` changes nothing: every committed file is rebuilt to the byte, and there is no other file."""
    committed = digests(SAMPLES)
    built = digests(rebuilt)
    assert set(committed) == set(built)
    assert {path.name for path in SAMPLES.iterdir()} == {*MEMBERS, "models", "truth"}
    different = [name for name in built if committed[name] != built[name]]
    assert not different, f"rebuilt with another pyarrow than the lock file's? {different}"


def test_a_second_process_builds_the_same_bytes(rebuilt, tmp_path):
    """The bytes depend on the seed alone, not on the process, its hash seed, its time zone or its folder."""
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    done = subprocess.run(
        [sys.executable, "-m", "rbnb.simulate", str(tmp_path / "elsewhere")],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
        cwd=SAMPLES.parent,
    )
    assert "186 files" in done.stdout
    assert digests(tmp_path / "elsewhere") == digests(rebuilt)


def test_a_folder_that_cannot_be_written_is_a_usage_error(tmp_path):
    """Writing to something that is no folder ends with exit code 2 and one sentence, not a traceback."""
    (tmp_path / "taken").write_text("a file")
    done = subprocess.run(
        [sys.executable, "-m", "rbnb.simulate", str(tmp_path / "taken")],
        check=False,
        capture_output=True,
        text=True,
        cwd=SAMPLES.parent,
    )
    assert done.returncode == 2
    assert "cannot write to" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_seed_gives_other_requests():
    """A drill with its own seed is not the committed sample again."""
    assert not latency_log(seed=1, days=1).equals(latency_log(seed=2, days=1))
    assert latency_log(seed=1, days=1).equals(latency_log(seed=1, days=1))


def test_the_fleet_fits_into_fifteen_megabytes(log):
    """A clone stays small, and still there are about a hundred thousand requests of fraud-v3 to look at."""
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) <= 14_000_000
    sizes = {path.stem: path.stat().st_size for path in (SAMPLES / "fraud-v3").rglob("*.parquet")}
    trained = sum(sizes.pop(name) for name in ("training", "lineage", "trusted", "recomputed"))
    assert sum(sizes.values()) <= 3_000_000
    assert trained <= 200_000
    assert 90_000 <= len(log) <= 130_000


def test_the_model_file_names_columns_that_exist():
    """Every table and column the model file speaks of is in the logs."""
    path = SAMPLES / "models/fraud-v3.yaml"
    model = load_model_file(path)
    predictions = model.logs.predictions
    files = sorted((path.parent / predictions.table).parent.resolve().glob("*.parquet"))
    assert len(files) == 22
    for file in files:
        names = set(pq.read_schema(file).names)
        mapped = set(predictions.columns.model_dump(exclude_none=True).values())
        features = {*predictions.features.numerical, *predictions.features.categorical}
        assert mapped | {*predictions.stages, *predictions.segments} | features <= names
    for table in (model.logs.changes, model.logs.metrics, model.logs.dependencies):
        assert set(table.columns.values()) == set(pq.read_schema(path.parent / table.table).names)
    assert model.recording is not None
    assert model.recording.until == END


def test_the_types_are_what_an_engine_expects(log):
    """Times are in UTC, ids unique and in order of time, categories text, numbers numbers without gaps."""
    schema = pq.read_schema(SAMPLES / "fraud-v3/predictions/2026-11-19.parquet")
    assert str(schema.field("ts").type) == "timestamp[ms, tz=UTC]"
    assert {str(schema.field(name).type) for name in ("id", "host", "zone", "version", "mcc_group")} == {"string"}
    assert log["ts"].is_monotonic_increasing
    assert log["id"].is_unique
    assert log.drop(columns="label").notna().all(axis=None)
    assert (log["host"].str[0] == log["zone"]).all()
    assert np.isfinite(log.select_dtypes("number").drop(columns="label").to_numpy(dtype=float)).all()


def test_what_the_runbook_reads_does_not_tell_the_truth():
    """No log holds a word that gives the answer away, and the truth is in a folder of its own."""
    words = ("truth", "incident", "fault", "slow", "cause", "inject", "simul", "symptom", "blip", "harmless")
    for path in (SAMPLES / "fraud-v3").rglob("*.parquet"):
        table = pd.read_parquet(path).select_dtypes(include=["str", "object"])
        said = {str(value).lower() for name in table for value in table[name].unique()} | {*map(str, table.columns)}
        assert not pq.read_metadata(path).metadata
        assert not [text for text in said if any(word in text for word in words)]
    said = (SAMPLES / "models/fraud-v3.yaml").read_text(encoding="utf-8").lower().replace("incident headers", "")
    assert not [word for word in words if word in said]


# Ordinary weeks


def test_traffic_has_a_day_a_week_and_a_trend(log):
    """Weekday evenings carry about twice the mean, weekends less than weekdays, and each week a little more."""
    hourly = log.groupby(log["ts"].dt.floor("h")).size()
    weekday = hourly[hourly.index.dayofweek < 5]
    evening = weekday[(weekday.index.hour >= 17) & (weekday.index.hour < 21)].mean()
    assert 1.7 < evening / weekday.mean() < 2.3
    assert weekday[weekday.index.hour == 3].mean() < 0.4 * weekday.mean()
    assert hourly[hourly.index.dayofweek >= 5].mean() < 0.9 * weekday.mean()
    weekly = [(log["ts"] >= END - timedelta(days=7 * k)).sum() for k in (1, 2, 3)]
    assert 1.0 < weekly[0] / (weekly[1] - weekly[0]) < 1.08


def test_latency_is_normal_before_the_incident(log, truth):
    """The ordinary median is 70 to 80 ms and the ordinary p99 below the objective of 250 ms, in every zone."""
    before = log[log["ts"] < parse_time(truth["onset"])]
    assert 70 <= before["latency_ms"].median() <= 80
    for _, rows in before.groupby("zone"):
        assert 215 <= p99(rows) <= 240
    assert 0.0003 <= (before["status_code"] >= 500).mean() <= 0.001


def test_stages_add_up(log):
    """The four stages sum to the latency of every request, to rounding."""
    assert (log[STAGES].sum(axis=1) - log["latency_ms"]).abs().max() < 0.001
    assert (log[STAGES] >= 0).all(axis=None)


def test_labels_arrive_two_days_late(log):
    """The last two days have no label, every request before has one, and about 2 % are fraud."""
    known = log["label"].notna()
    assert (known == (log["ts"] < END - timedelta(days=2))).all()
    assert 0.015 <= log["label"].mean() <= 0.025


def test_the_score_is_worth_something_and_calibrated(log):
    """The score ranks fraud with an AUC of about 0.9 and says a probability; decisions follow from it."""
    known = log[log["label"].notna()]
    fraud = known["label"] == 1
    ranks = known["score"].rank()
    n = fraud.sum()
    auc = (ranks[fraud].sum() - n * (n + 1) / 2) / (n * (~fraud).sum())
    assert 0.87 <= auc <= 0.93
    likely = known[known["score"] > 0.1]
    assert likely["label"].mean() == pytest.approx(likely["score"].mean(), abs=0.03)
    at_least, at_most = (getattr(log.groupby("decision")["score"], name)() for name in ("min", "max"))
    assert at_most["approve"] < 0.15 <= at_least["review"]
    assert at_most["review"] < 0.5 <= at_least["decline"]


def test_the_earlier_blip_is_short_and_over(log, truth):
    """Twenty minutes nine days earlier were slow, the half hours around them were not."""
    start, end = (parse_time(truth["earlier_blip"][key]) for key in ("onset", "ended"))
    assert end - start == timedelta(minutes=20)
    around = log[log["ts"].between(start - timedelta(minutes=30), end + timedelta(minutes=30))]
    inside = around["ts"].between(start, end, inclusive="left")
    assert around.loc[inside, "latency_ms"].median() > 2 * around.loc[~inside, "latency_ms"].median()
    assert p99(around[~inside]) < 300


# The incident


def test_the_incident_is_where_the_truth_says(log, truth):
    """From the onset to the end of the data zone b is slow and the others are not; p99 goes to about 1,100 ms."""
    onset = parse_time(truth["onset"])
    during = log[log["ts"] >= onset]
    day_before = log[log["ts"].between(onset - timedelta(days=1), END - timedelta(days=1))]
    assert 1_000 <= p99(during) <= 1_250
    assert truth["segment"] == "zone=b"
    for zone, rows in during.groupby("zone"):
        usual = day_before.loc[day_before["zone"] == zone, "latency_ms"].median()
        if zone == "b":
            assert rows["latency_ms"].median() - usual > 200
            assert rows.loc[rows["ts"] >= END - timedelta(minutes=15), "latency_ms"].median() > 250
        else:
            assert abs(rows["latency_ms"].median() - usual) < 8
            assert p99(rows) < 250
    just_before = log[(log["ts"] >= onset - timedelta(minutes=30)) & (log["ts"] < onset) & (log["zone"] == "b")]
    assert just_before["latency_ms"].median() < 90


def test_the_stage_is_the_one_the_truth_names(log, truth):
    """Nearly all of the excess in zone b is in that stage; the queue grew a little, as a symptom."""
    zone = log[log["zone"] == "b"]
    during = zone["ts"] >= parse_time(truth["onset"])
    excess = zone.loc[during, STAGES].mean() - zone.loc[~during, STAGES].mean()
    assert excess.idxmax() == truth["stage"]
    assert excess[truth["stage"]] > 0.9 * excess.sum()
    assert 4 < excess["queue_ms"] < 20
    assert abs(excess["inference_ms"]) < 3
    assert (zone.loc[during, "status_code"] == 504).mean() > 10 * (zone.loc[~during, "status_code"] == 504).mean()


def test_the_deploy_is_harmless(log, truth):
    """The new version reaches every host within two minutes, and is as fast as the old one but where the fault is."""
    deploy, onset = parse_time(truth["harmless_deploy"]), parse_time(truth["onset"])
    new = log["version"] == "3.4.1"
    assert set(log["version"]) == {"3.3.0", "3.4.1"}
    assert not new[log["ts"] < deploy].any()
    assert new[log["ts"] >= deploy + timedelta(minutes=2)].all()
    elsewhere = log[new & (log["zone"] != "b")]
    same_hours = log[~new & (log["zone"] != "b") & log["ts"].dt.hour.isin([13, 14, 15])]
    assert elsewhere["latency_ms"].median() == pytest.approx(same_hours["latency_ms"].median(), rel=0.05)
    assert log.loc[new & (log["ts"] < onset), "latency_ms"].median() < 80


def test_traffic_during_the_incident_is_only_a_little_up(log, truth):
    """The hours of the incident carry a few percent more than the same hours of the Thursdays before."""
    onset = parse_time(truth["onset"])
    counts = [
        log["ts"].between(onset - timedelta(days=d), END - timedelta(days=d), inclusive="left").sum()
        for d in (0, 7, 14)
    ]
    assert 1.0 < counts[0] / np.mean(counts[1:]) < 1.15


def test_the_deepest_cause_and_its_symptoms_are_in_the_metrics(metrics, truth):
    """At the onset the cause rises most, its caller after it, hosts of the zone a little, the rest not at all."""
    onset = parse_time(truth["onset"])
    usual = metrics[metrics["time"] < onset].groupby(["component", "metric"])["value"].median()
    last_day = metrics["time"].between(onset - timedelta(days=1), END - timedelta(days=1))
    same_hours = metrics[last_day].groupby(["component", "metric"])["value"].median()
    now = metrics[metrics["time"] >= onset].groupby(["component", "metric"])["value"].median() / same_hours
    assert now.idxmax() in {(truth["cause"], "latency_ms"), (truth["cause"], "error_rate")}
    assert now[truth["cause"], "latency_ms"] > 2 * now["feature-service/b", "latency_ms"] > 5
    assert now[truth["cause"], "connections"] > 3
    affected = {truth["cause"], *truth["symptoms"]}
    calm = now[[component not in affected for component, _ in now.index]].drop(labels="error_rate", level="metric")
    assert calm.between(0.75, 1.35).all()
    hosts = [name for name in truth["symptoms"] if name.startswith("fraud-v3/")]
    assert all(1.3 < now[host, "queue_depth"] < 2.5 and now[host, "cpu"] < 1.1 for host in hosts)
    assert (usual > 0).all()


def test_metrics_come_every_five_minutes_with_a_day_in_them(metrics):
    """Each series is complete over the 21 days, and follows the load of the day where its kind does."""
    counts = metrics.groupby(["component", "metric"]).size()
    assert (counts == 21 * 288).all()
    assert metrics["time"].max() == END - timedelta(minutes=5)
    cpu = metrics[metrics["metric"] == "cpu"]
    by_hour = cpu.groupby(cpu["time"].dt.hour)["value"].mean()
    assert by_hour.loc[17:20].mean() > 1.5 * by_hour.loc[1:4].mean()
    hosts = metrics[metrics["component"].str.startswith("fraud-v3/")]
    assert (hosts["segment"] == "host=" + hosts["component"].str.removeprefix("fraud-v3/")).all()


def test_changes_hold_the_suspects_and_a_history(truth):
    """The harmless deploy and a config change elsewhere stand just before the onset, others over the weeks."""
    changes = pd.read_parquet(SAMPLES / "fraud-v3/changes.parquet")
    onset = parse_time(truth["onset"])
    recent = changes[(changes["time"] < onset) & (changes["time"] > onset - timedelta(hours=6))]
    assert recent["segment"].tolist() == ["zone=c", "version=3.4.1"]
    assert recent["kind"].tolist() == ["config", "deploy"]
    assert recent["time"].iloc[-1] == parse_time(truth["harmless_deploy"])
    assert set(changes["kind"]) == {"deploy", "config", "feature", "schema", "scale"}
    assert changes["time"].is_monotonic_increasing
    assert changes["time"].between(END - timedelta(days=21), END).all()
    assert changes["link"].str.startswith("https://example.com/").all()


def test_the_call_graph_reaches_the_cause(metrics, truth):
    """From the gateway one can walk to the cause, and every component called is measured."""
    calls = pd.read_parquet(SAMPLES / "fraud-v3/dependencies.parquet").groupby("caller")["callee"].apply(set)
    reached, edge = set(), {"gateway"}
    while edge:
        reached |= edge
        edge = {callee for caller in edge & set(calls.index) for callee in calls[caller]} - reached
    assert reached == set(metrics["component"])
    assert truth["cause"] in calls["feature-service/b"]
    assert "feature-service/b" in calls["fraud-v3/b-2"]
    assert "feature-service/b" not in calls["fraud-v3/a-1"]


# Faults for tests of the statistics


def test_a_fault_changes_only_its_time_and_segment():
    """With the same seed, a log with a fault differs from the healthy one in the requests hit and no other."""
    healthy = latency_log(seed=3, days=2)
    where = "zone=b & channel=web"
    faulty = latency_log(seed=3, days=2, faults=(LatencyFault(FAULT_AT, where=where, extra_ms=300),))
    hit = (healthy["ts"] >= FAULT_AT) & (healthy["zone"] == "b") & (healthy["channel"] == "web")
    pd.testing.assert_frame_equal(healthy[~hit], faulty[~hit])
    assert hit.any()
    assert (faulty.loc[hit, "latency_ms"] - healthy.loc[hit, "latency_ms"]).round(1).eq(300).all()


def test_a_fault_that_ends_leaves_no_trace():
    """A short transient is over when it says so."""
    end = FAULT_AT + timedelta(minutes=10)
    healthy = latency_log(seed=4, days=1)
    faulty = latency_log(seed=4, days=1, faults=(LatencyFault(FAULT_AT, end, factor=5.0),))
    changed = healthy.loc[healthy["latency_ms"] != faulty["latency_ms"], "ts"]
    assert changed.min() >= FAULT_AT
    assert changed.max() < end


def test_a_gradual_fault_grows():
    """With a ramp, each half hour is slower than the one before."""
    fault = LatencyFault(FAULT_AT, extra_ms=400, ramp=timedelta(hours=2))
    log = latency_log(seed=5, days=1, per_hour=2_000, faults=(fault,))
    during = log[log["ts"] >= FAULT_AT]
    medians = during.groupby(during["ts"].dt.floor("30min"))["latency_ms"].median()
    assert medians.is_monotonic_increasing
    assert medians.iloc[0] < 150
    assert medians.iloc[-1] > 350


def test_a_tail_fault_leaves_the_median():
    """A fault that hits 4 % of requests moves p99 and not the median."""
    healthy = latency_log(seed=6, days=1, per_hour=1_000)
    tail = latency_log(seed=6, days=1, per_hour=1_000, faults=(LatencyFault(FAULT_AT, share=0.04, extra_ms=600),))
    during = healthy["ts"] >= FAULT_AT
    assert p99(tail[during]) > p99(healthy[during]) + 300
    assert tail.loc[during, "latency_ms"].median() == pytest.approx(
        healthy.loc[during, "latency_ms"].median(), rel=0.05
    )


def test_a_surge_slows_the_queue_alone():
    """Much more traffic means more requests and a longer queue; the other stages are as they were."""
    surge = (Surge(FAULT_AT, END, 2.8),)
    usual = latency_log(seed=7, days=1, seasonal=0)
    busy = latency_log(seed=7, days=1, seasonal=0, surges=surge)
    usual, busy = (log[log["ts"] >= FAULT_AT] for log in (usual, busy))
    assert 2.4 < len(busy) / len(usual) < 3.2
    assert busy["queue_ms"].median() > 3 * usual["queue_ms"].median()
    assert busy["features_ms"].median() == pytest.approx(usual["features_ms"].median(), rel=0.1)


def test_errors_wait_for_the_timeout():
    """A request that fails for a fault is answered 504 when the gateway gives up, and none takes longer."""
    faults = (LatencyFault(FAULT_AT, errors=0.3, extra_ms=1_000, spread=1.0),)
    log = latency_log(seed=8, days=1, faults=faults)
    failed = log[log["status_code"] == 504]
    assert (log["status_code"] == 504)[log["ts"] >= FAULT_AT].mean() > 0.3
    assert failed["latency_ms"].between(1_499.8, 1_500.2).all()
    assert log["latency_ms"].max() < 1_500.3


def test_a_rollout_goes_host_by_host():
    """During a rollout both versions answer, each host having changed once and for good."""
    start = END - timedelta(hours=6)
    log = latency_log(seed=9, days=1, version="1", rollouts=(Rollout("2", start, timedelta(hours=4)),))
    first = log[log["version"] == "2"].groupby("host")["ts"].min()
    assert first.is_monotonic_increasing
    for host, rows in log.groupby("host"):
        assert (rows["version"] == "2").equals(rows["ts"] >= first[host])


@pytest.mark.parametrize("where", ["zone", "planet=mars", "zone=b & "])
def test_a_segment_that_does_not_exist_is_refused(where):
    """A fault in a segment that is misspelt is an error that names the columns, never a fault that hits nothing."""
    with pytest.raises(UsageError) as error:
        latency_log(days=1, faults=(LatencyFault(FAULT_AT, where=where),))
    assert "zone" in error.value.hint


def test_a_healthy_log_without_season_is_flat():
    """With the season and trend off, no hour of the day differs from another beyond chance."""
    log = latency_log(seed=10, days=7, per_hour=200, seasonal=0)
    by_hour = log.groupby(log["ts"].dt.hour).size()
    assert by_hour.max() / by_hour.min() < 1.2
    assert log["ts"].min() >= datetime(2026, 11, 12, 16, tzinfo=UTC)


def test_the_trend_is_the_one_asked_for():
    """A trend of 10 % a week shows as 10 % more requests in the second week, and none as none."""
    for trend in (0.0, 0.1):
        log = latency_log(seed=11, days=14, per_hour=500, trend_per_week=trend)
        second = (log["ts"] >= END - timedelta(days=7)).sum()
        assert second / (len(log) - second) == pytest.approx(1 + trend, abs=0.02)
