"""What a baseline learns is what a run compares, holds as often as it says, and is used openly or not at all."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
import yaml
from latency_fixture import write_model

from rbnb.baselines import NO_INCIDENT, Asked, walk_history
from rbnb.baselines.learning import learned_limits
from rbnb.baselines.limits import ENOUGH, learn, upper_end
from rbnb.baselines.telling import learned_rows, review_rows
from rbnb.baselines.usual import usual_on_grid
from rbnb.baselines.windows import windows_of
from rbnb.case import Case
from rbnb.cli import main
from rbnb.config import read_yaml
from rbnb.data import ModelData
from rbnb.diagnoses.latency import LatencySpike
from rbnb.errors import ConfigError, DataError, NotFoundError, UsageError
from rbnb.inventory import load_model_file
from rbnb.model import Signal, Window
from rbnb.planning import Request
from rbnb.policy import Threshold, load_policy
from rbnb.policy.learned import (
    DAYS,
    baseline_in_use,
    digest_of,
    hour_label,
    hour_of_week,
    judge_learned,
    rails,
    read_baseline,
    written,
)
from rbnb.signals.baseline import seasonal_expectation
from rbnb.simulate import LatencyFault, latency_log
from rbnb.times import format_time
from rbnb.workspace import Workspace

POLICIES = Path(__file__).parent.parent / "policies"
END = datetime(2026, 11, 19, 16, tzinfo=UTC)
#: An incident in the middle of the second of three weeks.
BAD = (datetime(2026, 11, 10, 10, tzinfo=UTC), datetime(2026, 11, 10, 15, tzinfo=UTC))
TOLD = f"{format_time(BAD[0])}/{format_time(BAD[1])}"


def make(folder, *, faults=(), days=21.0, per_hour=60.0, **more):
    """Write a workspace with one model, `model`, whose log has these faults; return it open."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rbnb.toml").write_text('[workspace]\nmodels = "."\n', encoding="utf-8")
    log = latency_log(seed=11, days=days, end=END, per_hour=per_hour, faults=faults)
    write_model(folder, log, recording={"until": END.isoformat()}, **more)
    return Workspace.open(folder, clock=lambda: END)


def remap(folder, change):
    """Change the model file by a function of its content."""
    path = folder / "model.yaml"
    content = yaml.safe_load(path.read_text())
    change(content)
    path.write_text(yaml.safe_dump(content))


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """A workspace in whose log nothing happens, with what was learned from it; for reading only."""
    workspace = make(tmp_path_factory.mktemp("quiet"))
    return workspace, workspace.baseline(Asked("model"))


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """The same log with an incident in it; for reading only."""
    return make(tmp_path_factory.mktemp("noisy"), faults=(LatencyFault(*BAD, factor=4.0, errors=0.2),))


@pytest.fixture(scope="module")
def walked(noisy):
    """The history with the incident, which is told, walked once; for reading only."""
    return walk_history(noisy.places, Asked("model", incidents=(TOLD,)), ())


@pytest.fixture
def copied(quiet, tmp_path):
    """A copy of the quiet workspace with its baseline, to be changed."""
    shutil.copytree(quiet[0].places.root, tmp_path / "copy")
    return Workspace.open(tmp_path / "copy", clock=lambda: END)


def baseline_file(workspace):
    """Return where the model's baseline is."""
    return workspace.places.baselines / "model.yaml"


def numbers(content, signal, which="breach"):
    """Return one signal's limits as 168 numbers."""
    (one,) = [s for s in content["thresholds"][0]["signals"] if s["signal"] == signal]
    return np.array([number for day in DAYS for number in one[which][day]])


def case_of(workspace, monkeypatch, **parameters):
    """Open a case as the first cell of a notebook does."""
    monkeypatch.chdir(workspace.places.root)
    return Case.open("latency_spike", model="model", window="2h", **parameters)


# ---- limits: pure arithmetic


def history(seed, weeks):
    """Return window ends, hours and a positive series whose level and spread depend on the hour."""
    end = np.arange(168 * weeks, dtype=np.int64) * 3600
    hour = np.array([hour_of_week(float(one)) for one in end])
    spread = np.where(hour % 24 < 6, 0.2, 0.08)
    noise = np.random.default_rng(seed).normal(0, 1, len(end))
    return end, hour, (1 + 0.3 * np.sin(2 * np.pi * hour / 24)) * np.exp(noise * spread)


@pytest.mark.parametrize(("direction", "beyond"), [("above", np.greater), ("below", np.less)])
@pytest.mark.parametrize("weeks", [3, 8])
def test_a_limit_is_crossed_at_about_the_stated_rate(weeks, direction, beyond):
    """Of weeks the limit has not seen, about the stated share of healthy windows lies beyond it."""
    shares = []
    for seed in range(6):
        end, hour, value = history(seed, weeks + 12)
        past = np.arange(len(end)) < 168 * weeks
        found = learn(end[past], hour[past], value[past], unit="ratio", direction=direction, rates=(0.005, 0.025))
        shares.append([beyond(value, found.limits[rate][hour])[~past].mean() for rate in (0.005, 0.025)])
    seldom, often = np.mean(shares, axis=0)
    assert 0.001 <= seldom <= 0.01
    assert 0.015 <= often <= 0.04


def test_a_limit_follows_the_hour():
    """An hour that is noisy by nature is given more room than a calm one."""
    end, hour, value = history(1, 8)
    found = learn(end, hour, value, unit="ratio", direction="above", rates=(0.005,))
    room = np.log(found.limits[0.005] / found.usual)
    night = np.arange(168) % 24 < 6
    assert np.median(room[night]) > 1.7 * np.median(room[~night])


def test_an_incident_nobody_recorded_moves_a_limit_little():
    """Five hours ten times as slow as usual, not left out, do not make room for themselves."""
    end, hour, value = history(2, 4)
    dirty = value.copy()
    dirty[300:305] *= 10
    clean, moved = (
        learn(end, hour, one, unit="ratio", direction="above", rates=(0.005,)).limits[0.005] for one in (value, dirty)
    )
    assert np.max(moved / clean) < 1.35
    assert np.median(np.abs(np.log(moved / clean))) < 0.06


def test_the_end_of_many_values_is_their_quantile_and_of_few_is_extrapolated():
    """With enough values beyond it the limit is numpy's quantile; else it continues the tail."""
    values = np.random.default_rng(5).exponential(1, 4000)
    assert upper_end(values, 0.01) == np.quantile(values, 0.99)
    assert upper_end(values[:300], 0.001) == pytest.approx(np.log(1000), abs=2)


@pytest.mark.parametrize(("unit", "level"), [("ratio", 1.0), ("share", 0.0), ("share", 1.0), ("count", 0.0)])
def test_what_never_changes_has_itself_as_limit(unit, level):
    """A signal that is constant, at 0 too, is learned without a number that is not finite."""
    end, hour, _ = history(1, 2)
    found = learn(end, hour, np.full(len(end), level), unit=unit, direction="above", rates=(0.005,))
    assert found.limits[0.005] == pytest.approx(np.full(168, level), abs=1e-8)


def test_too_few_windows_are_refused():
    """Nothing is learned from less than three days, and what is undefined does not count."""
    end, hour, value = history(1, 1)
    value[ENOUGH - 1 :] = np.nan
    with pytest.raises(ValueError, match=f"{ENOUGH - 1} healthy windows, and {ENOUGH} are needed"):
        learn(end, hour, value, unit="ratio", direction="above", rates=(0.005,))


@pytest.mark.parametrize("days", [21, 5, 1])
def test_what_is_usual_on_a_grid_is_what_a_run_takes_for_usual(days):
    """The fast way over a long series gives the numbers of the way that runs take."""
    rng = np.random.default_rng(days)
    times = int(END.timestamp()) + np.arange(days * 288) * 300
    values = np.where(rng.random(len(times)) < 0.1, np.nan, rng.lognormal(3, 0.4, len(times)))
    out = (int(times[len(times) // 2]), int(times[len(times) // 2 + 50]))
    fast = usual_on_grid(times, values, ~((times >= out[0]) & (times < out[1])))
    some = np.sort(rng.choice(len(times), 60, replace=False))
    slow = seasonal_expectation(times, values, times[some], leave_out=[out])
    for field in ("middle", "low", "high", "scale", "n"):
        np.testing.assert_allclose(getattr(fast, field)[some], getattr(slow, field), rtol=1e-9)
    assert fast.period == slow.period


@pytest.mark.parametrize(
    ("threshold", "unit", "breach", "warning"),
    [
        ({"warning": 1.2, "breach": 1.5}, "ratio", (1.25, 2.5), (1.1, 1.6)),
        ({"warning": 1.5}, "ratio", None, (1.25, 2.5)),
        ({"warning": 0.7, "breach": 0.4, "direction": "below"}, "ratio", (0.4 / 0.7, 2 / 11), (0.823529, 0.4375)),
        ({"warning": 3.0, "breach": 4.0}, "robust z", (3.0, 12.0), (1.5, 9.0)),
        ({"warning": 0.01, "breach": 0.05}, "share", (0.025, 0.15), (0.005, 0.03)),
        ({"breach": 0.6}, "share", (0.3, 1.0), None),
    ],
)
def test_guard_rails_are_half_and_three_times_the_policys_distance(threshold, unit, breach, warning):
    """No limit is nearer to normal than half the policy's way, comes before its warning, or lies beyond three times."""
    one = Threshold(why="a test", **threshold)
    for which, expected in (("breach", breach), ("warning", warning)):
        assert rails(one, which, unit) == (None if expected is None else pytest.approx(expected, rel=1e-4))


def test_hours_of_the_week_are_counted_from_monday():
    """A time is named by the nearest hour, in UTC."""
    assert hour_label(hour_of_week(datetime(2026, 11, 19, 14, 5, tzinfo=UTC).timestamp())) == "Thu 14:00"
    assert hour_of_week(datetime(2026, 11, 16, tzinfo=UTC).timestamp()) == 0
    assert hour_of_week(datetime(2026, 11, 22, 23, 40, tzinfo=UTC).timestamp()) == 0


# ---- walking


def test_a_window_of_the_walk_measures_what_a_run_measures(noisy, walked):
    """Quantile ratios to within 1 %, everything else as in a run that looks at the same hours."""
    data = ModelData(walked.model, noisy.places.models)
    walk = walked.walk
    for at in (datetime(2026, 11, 18, 11, tzinfo=UTC), datetime(2026, 11, 15, 20, tzinfo=UTC)):
        texts = {"at": format_time(at), "window": "2h", "bucket": "auto", "reference": "", "leave_out": TOLD}
        extent, scope = data.scope(clock=END, **texts)
        spike = LatencySpike(data, scope, extent, LatencySpike.Settings(**walked.policy.settings), 1)
        assert spike.detection.episode is None, "a healthy window is meant"
        run = {signal.name: signal for signal in spike.signals if not signal.where}
        index = walk.end.tolist().index(int(at.timestamp()))
        for one in walk.measured:
            signal = run[one.signal]
            if signal.value is None:
                assert np.isnan(one.value[index])
                continue
            if one.signal == "latency_anomaly":  # a run knows only the weeks before
                assert max(one.value[index], signal.value) < 3
                continue
            near = {"latency_p50": 0.012, "latency_p95": 0.012, "latency_p99": 0.012, "error_rate": 1e-9}
            near = near.get(one.signal, 0.15)
            assert one.value[index] == pytest.approx(signal.value, rel=near, abs=0.006), one.signal


def test_windows_end_at_full_hours_inside_the_history():
    """No window reaches beyond the data at either end."""
    ends = windows_of(1800, 10 * 3600 + 5, 7200)
    assert ends[0] - 7200 >= 1800
    assert ends[-1] <= 10 * 3600 + 5
    assert set(ends % 3600) == {0}


def test_an_incident_left_out_does_not_widen_the_limits(walked, quiet):
    """Limits learned around a known incident are those of a history without it."""
    limits, _ = learned_limits(walked, 0.005)
    assert len(limits) >= 7
    healthy = read_yaml(baseline_file(quiet[0]))
    for one in limits:
        which = "breach" if "breach" in one.numbers else "warning"
        usual = numbers(healthy, one.measured.signal, which)
        assert np.median(np.abs(np.log(one.numbers[which] / usual))) < 0.08, one.measured.signal
        assert np.max(np.abs(np.log(one.numbers[which] / usual))) < 0.6, one.measured.signal


def test_incidents_on_record_are_left_out_by_themselves(noisy, tmp_path):
    """What an earlier run found wrong with this model is not learned from; another model's trouble is no matter."""
    shutil.copytree(noisy.places.root, tmp_path / "ws")
    workspace = Workspace.open(tmp_path / "ws", clock=lambda: END)
    for number, name in enumerate(("model", "other")):
        folder = tmp_path / "ws" / "reports" / f"INC-2026111{number}-01" / "runs" / "01-latency_spike"
        folder.mkdir(parents=True)
        onset, ended = format_time(BAD[0] + timedelta(minutes=number)), format_time(BAD[1])
        record = {"model": {"name": name}, "onset": onset, "ended": ended, "verdict": "genuine", "parameters": {}}
        (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    told = workspace.baseline(Asked("model"))
    out = [{"start": format_time(BAD[0]), "end": format_time(BAD[1]), "why": "incident on record"}]
    assert told["history"]["left_out"] == out


# ---- the file


def test_what_is_learned_is_written_with_all_that_it_rests_on(quiet):
    """The file names its version, its span, the rows, the mapping, the policy, and every signal for 168 hours."""
    workspace, told = quiet
    content = read_yaml(baseline_file(workspace))
    assert read_baseline(baseline_file(workspace), "model").version == content["version"] == told["version"] == 1
    assert content["history"]["hours"] == pytest.approx(21 * 24, abs=1)
    assert content["data"]["rows"] > 20_000
    assert content["digest"] == digest_of(content) == told["digest"]
    (learned,) = content["thresholds"]
    assert (learned["runbook"], learned["window_seconds"]) == ("latency_spike", 7200)
    named = {signal["signal"] for signal in learned["signals"]}
    assert named >= {"latency_p50", "latency_p95", "slow_share", "latency_anomaly", "error_rate", "throughput"}
    assert not any(name.startswith(("burn_", "rows_", "null_")) for name in named)
    for signal in learned["signals"]:
        assert [len(signal["usual"][day]) for day in DAYS] == [24] * 7
        assert signal["n"] > 200
    assert [level["name"] for level in content["levels"]] == ["volume"]


def test_learned_limits_lie_inside_the_rails(quiet):
    """Whatever history holds, no limit leaves what the policy allows."""
    content = read_yaml(baseline_file(quiet[0]))
    policy = load_policy(POLICIES / "latency_spike.yaml")
    for signal in content["thresholds"][0]["signals"]:
        for which in ("warning", "breach"):
            if which in signal:
                low, high = sorted(rails(policy.thresholds[signal["signal"]], which, signal["unit"]))
                found = numbers(content, signal["signal"], which)
                assert found.min() >= low - 1e-4 * abs(low)
                assert found.max() <= high + 1e-4 * abs(high)


def test_the_usual_volume_holds_most_hours(quiet):
    """About the stated share of hours lies inside the band of their hour of the week."""
    workspace, _ = quiet
    (level,) = read_yaml(baseline_file(workspace))["levels"]
    low, high = (np.array([x for day in DAYS for x in level[key][day]]) for key in ("low", "high"))
    log = pd.read_parquet(workspace.places.root / "log.parquet", columns=["ts"])
    counts = log["ts"].dt.floor("h").value_counts()
    counts = counts[(counts.index > counts.index.min()) & (counts.index < counts.index.max())]
    hours = np.array([hour_of_week((start + timedelta(hours=1)).timestamp()) for start in counts.index])
    inside = (counts >= low[hours]) & (counts <= high[hours])
    assert 0.97 <= inside.mean() <= 1.0
    assert np.mean(high / np.maximum(low, 1)) < 6
    found = read_baseline(baseline_file(workspace), "model")
    assert found.level("volume", "", 30) == (low[30], level["usual"]["tue"][6], high[30])
    assert found.level("volume", "zone=b", 30) is None


def test_learning_again_gives_the_same_numbers_and_the_next_version(copied):
    """The same history gives the same numbers; the version before is kept, byte for byte."""
    path = baseline_file(copied)
    before, was = path.read_bytes(), read_yaml(path)
    told = copied.baseline(Asked("model"))
    now = read_yaml(path)
    assert (told["version"], now["version"]) == (2, 2)
    changed = {key for key in was if was[key] != now[key]}
    assert changed <= {"version", "created_at", "created_by", "digest"}
    assert (path.parent / "earlier" / "model.v1.yaml").read_bytes() == before
    path.unlink()
    assert copied.baseline(Asked("model"))["version"] == 2, "v2 was taken away before it was followed by another"


def test_the_picture_is_small_whole_and_quiet(quiet):
    """The plot is an SVG of at most 40 KB that runs nothing and fetches nothing."""
    svg = baseline_file(quiet[0]).with_suffix(".svg").read_text(encoding="utf-8")
    assert len(svg.encode()) <= 40 * 1024
    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(svg).iter()}  # noqa: S314 - our own file
    assert "script" not in tags
    assert "http" not in svg.replace("http://www.w3.org/", "")
    for text in ("model, baseline v1", "latency_p95", "Mon", "Sun"):
        assert text in svg


# ---- used by a run


def test_a_run_uses_the_limits_of_its_hour_and_says_so(quiet, monkeypatch):
    """The finding names the baseline, its version and the hour, and the record names its digest."""
    workspace, told = quiet
    case = case_of(workspace, monkeypatch, at="2026-11-19T14:00:00Z")
    content = read_yaml(baseline_file(workspace))
    limit = numbers(content, "latency_p50")[hour_of_week(datetime(2026, 11, 19, 14, tzinfo=UTC).timestamp())]
    assert limit < 1.45, "or the next line would prove nothing"
    between = (limit + 1.5) / 2
    (found,) = case.judge([Signal("latency_p50", between, "ratio", 900, "", (between, between))])
    assert found.status == "breach", "the policy alone would say warning"
    assert found.threshold.endswith("; baseline v1, Thu 14:00 (the policy says 1.5×)")
    material = case.baseline.material
    assert (material.source, material.digest) == ("baseline", told["digest"])
    assert material.table == "baselines/model.yaml version 1"
    (other,) = case.judge([Signal("burn_latency_1h", 1.0, "burn rate", 900, "")])
    assert "baseline" not in other.threshold


def test_a_segment_keeps_the_policys_limits(quiet, monkeypatch):
    """What was learned of all requests says nothing about some of them."""
    case = case_of(quiet[0], monkeypatch)
    (found,) = case.judge([Signal("latency_p50", 1.1, "ratio", 900, "", where="zone=b")])
    assert "baseline" not in found.threshold


def test_the_model_files_number_wins(copied, monkeypatch):
    """What its owner wrote down is used, whatever was learned; the other numbers are the baseline's."""
    own = {"latency_p50.breach": 1.9, "slow_share": 0.5, "latency_p95.breach": 1.4, "latency_p95.warning": 1.3}
    remap(copied.places.root, lambda model: model.update(thresholds=own))
    case = case_of(copied, monkeypatch)
    (p95,) = case.judge([Signal("latency_p95", 1.0, "ratio", 900, "")])
    assert p95.threshold == "breach ≥ 1.4×, warning ≥ 1.3×; set in the model file"
    p50, slow = case.judge([Signal("latency_p50", 1.8, "ratio", 900, ""), Signal("slow_share", 0.4, "share", 900, "")])
    assert "breach ≥ 1.9×" in p50.threshold
    assert "baseline v1" in p50.threshold, "its warning is learned"
    assert "breach ≥ 50 %" in slow.threshold
    assert {p50.status, slow.status} == {"warning"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda model: model.update(version="2.0"), "it was learned for version –, and this is 2.0"),
        (lambda model: model["logs"]["predictions"].update(unit="s"), "maps its request log differently now"),
    ],
)
def test_a_baseline_for_something_else_is_not_used_and_the_run_says_so(copied, monkeypatch, change, why):
    """After another version or mapping the policy's numbers hold again, and the record tells why."""
    remap(copied.places.root, change)
    case = case_of(copied, monkeypatch)
    assert case.baseline.limits == {}
    assert case.baseline.material is None
    (told,) = case.baseline.not_measured
    assert why in told.why
    (found,) = case.judge([Signal("latency_p50", 1.4, "ratio", 900, "")])
    assert found.threshold == "breach ≥ 1.5×, warning ≥ 1.2×"


def test_other_windows_and_other_policies_are_not_judged_by_it(quiet, tmp_path):
    """A window of another length, and a policy whose numbers were moved, keep the policy's own limits."""
    workspace, _ = quiet
    path, model = baseline_file(workspace), load_model_file(workspace.places.root / "model.yaml")
    policy = load_policy(POLICIES / "latency_spike.yaml")
    day = Window(END - timedelta(hours=2), END)
    assert baseline_in_use(path, model, policy, day).limits
    longer = baseline_in_use(path, model, policy, Window(END - timedelta(hours=6), END))
    assert "it holds for windows of 2 h, and this one is 6 h long" in longer.why_not
    moved = tmp_path / "latency_spike.yaml"
    text = (POLICIES / "latency_spike.yaml").read_text(encoding="utf-8")
    moved.write_text(text.replace("ratio_min: 1.2 ", "ratio_min: 1.3 "), encoding="utf-8")
    assert (
        "the numbers of policy latency_spike were changed"
        in baseline_in_use(path, model, load_policy(moved), day).why_not
    )
    reworded = tmp_path / "same" / "latency_spike.yaml"
    reworded.parent.mkdir()
    reworded.write_text(text.replace("half as long again is felt by callers", "half as long again"), encoding="utf-8")
    assert baseline_in_use(path, model, load_policy(reworded), day).limits, "words are free"
    assert judge_learned([], policy, {}, longer) == []


def test_without_a_baseline_nothing_changes(quiet, tmp_path):
    """No file, no limits, and nothing to tell."""
    model = load_model_file(quiet[0].places.root / "model.yaml")
    policy = load_policy(POLICIES / "latency_spike.yaml")
    used = baseline_in_use(tmp_path / "none.yaml", model, policy, Window(END - timedelta(hours=2), END))
    assert (used.version, used.limits, used.not_measured) == (0, {}, [])


def edited(text):
    """Move one learned number by hand."""
    return text.replace("held_by_rails: ", "held_by_rails: 1", 1)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (edited, "was changed after it was written"),
        (lambda text: text.replace("version: 1\n", "version: 7\n", 1), "was changed after it was written"),
        (lambda text: text[: len(text) // 2], "baselines/model.yaml"),
        (lambda text: text.replace("model: model", "model: other", 1), "is the baseline of 'other'"),
        (lambda _: "created_at: 2026-11-19\n", "is required and missing"),
        (lambda _: "", "must hold keys and values"),
    ],
)
def test_a_file_that_is_not_what_was_written_is_refused_before_anything_runs(copied, change, told):
    """Edited, cut off, another model's or no baseline at all: the plan stops with what to do, and so does learning."""
    path = baseline_file(copied)
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    for attempt in (lambda: copied.plan(Request("latency_spike", "model")), lambda: copied.baseline(Asked("model"))):
        with pytest.raises(ConfigError, match=told) as refused:
            attempt()
        assert "rbnb baseline model" in refused.value.hint
    assert not (copied.places.root / "reports").exists()


def test_a_digest_put_right_again_is_believed(copied):
    """The digest finds mistakes, not malice: who writes a new one has written a new baseline, and may."""
    content = read_yaml(baseline_file(copied))
    content["history"]["false_alarms"] = 0.01
    plain = json.loads(json.dumps({key: value for key, value in content.items() if key != "digest"}))
    baseline_file(copied).write_text(written(plain), encoding="utf-8")
    assert read_baseline(baseline_file(copied), "model").history.false_alarms == 0.01


# ---- review


def test_the_counts_of_a_review_are_those_of_a_recount(noisy, walked):
    """False alarms and misses under both limits, counted again from the windows one by one."""
    asked = Asked("model", incidents=(TOLD,), rate=0.02)
    review = noisy.review_baseline(asked)
    limits, _ = learned_limits(walked, 0.02)
    walk, changes = walked.walk, {one["signal"]: one for one in review["changes"]}
    assert len(changes) == len(limits) >= 7
    start, end = (int(edge.timestamp()) for edge in BAD)
    alarmed = 0
    for one in limits:
        told, threshold = changes[one.measured.signal], one.threshold
        which = told["which"]
        for side, number in (("from", lambda _: getattr(threshold, which)), ("to", lambda h: one.numbers[which][h])):  # noqa: B023
            false_alarms, caught = 0, 0
            for index, stop in enumerate(walk.end):
                compared = one.measured.compared(threshold)[index]
                limit = number(hour_of_week(float(stop)))
                hit = compared >= limit if threshold.direction == "above" else compared <= limit
                if stop - 7200 < end and stop > start:
                    caught += hit
                else:
                    false_alarms += hit
            assert told[side]["false_alarms"] == false_alarms, one.measured.signal
            assert told[side]["missed"] == (0 if caught else 1), one.measured.signal
            alarmed += false_alarms
    assert alarmed, "a recount of nothing would prove nothing"
    assert changes["latency_p50"]["from"]["missed"] == 0
    assert changes["throughput_drop"]["from"]["missed"] == 1
    assert review["any"]["to"]["missed"] == 0
    assert review["misses"] == "counted over 1 known incidents"
    assert review["incidents"][0]["windows"] == 6, "five hours, seen by windows of two"


def test_a_review_writes_nothing_and_claims_nothing_it_does_not_know(quiet, capsys):
    """Without a known incident misses are not known, in words and in numbers; the workspace is as it was."""
    workspace, _ = quiet
    before = {path: path.read_bytes() for path in workspace.places.root.rglob("*") if path.is_file()}
    review = workspace.review_baseline(Asked("model"))
    assert {path: path.read_bytes() for path in workspace.places.root.rglob("*") if path.is_file()} == before
    assert review["misses"] == NO_INCIDENT == "not known, no incident on record"
    assert {one[side]["missed"] for one in [*review["changes"], review["any"]] for side in ("from", "to")} == {None}
    assert {one["from"]["source"] for one in review["changes"]} == {"baseline v1"}, "a run would use it today"
    _, rows, below = review_rows(review)
    assert all("not known" in row for row in rows[1:])
    assert below[-1] == "nothing was written"
    assert capsys.readouterr().out == ""


def test_a_review_knows_the_model_files_numbers(copied):
    """Where the model file has a number it is what holds today, and a proposal says where to change it."""
    remap(copied.places.root, lambda model: model.update(thresholds={"latency_p95": 1.31}))
    changes = {one["signal"]: one for one in copied.review_baseline(Asked("model"))["changes"]}
    p95 = changes["latency_p95"]
    assert (p95["from"]["source"], p95["from"]["lowest"], p95["from"]["highest"]) == ("model file", 1.31, 1.31)
    assert "model file" in p95["note"]
    assert changes["latency_p50"]["from"]["source"] == "baseline v1"


# ---- bad input


def test_a_model_that_is_not_there_is_named(quiet):
    """A mistyped name brings the right one."""
    with pytest.raises(NotFoundError) as refused:
        quiet[0].baseline(Asked("modle"))
    assert "model" in refused.value.hint


@pytest.mark.parametrize(
    ("asked", "kind", "told"),
    [
        (Asked("model", history="2d"), DataError, "a history of 2 d is too short"),
        (Asked("model", at="2026-10-30T00:00:00Z"), DataError, "too short"),
        (Asked("model", at="2020-01-01T00:00:00Z"), DataError, "a history of 0 s is too short"),
        (Asked("model", at="2026-11-19"), UsageError, "names no zone"),
        (Asked("model", history="soon"), UsageError, "is not a duration"),
        (Asked("model", rate=0.7), UsageError, "cannot be learned"),
        (Asked("model", leave_out=("yesterday",)), UsageError, "is not a time"),
        (Asked("model", leave_out=("2026-10-20T00:00:00Z/2026-11-19T00:00:00Z",)), DataError, "windows are left"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_with_what_is_needed(copied, asked, kind, told):
    """Too short, too far back, all left out, or not readable: said plainly, and the baseline that is there stays."""
    before = baseline_file(copied).read_bytes()
    with pytest.raises(kind, match=told) as refused:
        copied.baseline(asked)
    assert refused.value.hint
    assert baseline_file(copied).read_bytes() == before


def table(folder, **columns):
    """Write a workspace whose log holds a row a minute of five days with these columns."""
    folder.mkdir()
    (folder / "rbnb.toml").write_text('[workspace]\nmodels = "."\n', encoding="utf-8")
    times = pd.date_range(END - timedelta(days=5), END, freq="1min", inclusive="left")
    pd.DataFrame({"ts": times, **{name: values(len(times)) for name, values in columns.items()}}).to_parquet(
        folder / "log.parquet", index=False
    )
    return Workspace.open(folder, clock=lambda: END)


def plain(columns, **more):
    """Return a model file's content."""
    log = {"table": "log.parquet", "columns": {"timestamp": "ts", **columns}, **more}
    return yaml.safe_dump({"name": "model", "recording": {"until": END.isoformat()}, "logs": {"predictions": log}})


def test_a_latency_that_never_changes_teaches_nothing(tmp_path):
    """A stuck meter is said to be one, instead of becoming what is usual."""
    workspace = table(tmp_path / "ws", latency_ms=lambda n: np.full(n, 40.0))
    (tmp_path / "ws" / "model.yaml").write_text(plain({"latency_ms": "latency_ms"}))
    with pytest.raises(DataError, match="every latency in the history is 40"):
        workspace.baseline(Asked("model"))
    assert not baseline_file(workspace).exists()


def test_a_model_without_a_latency_still_has_usual_volumes_nulls_and_scores(tmp_path):
    """What can be learned is, one broken column takes no other down, and what cannot be is told with the reason."""
    rng = np.random.default_rng(4)
    workspace = table(
        tmp_path / "ws",
        amount=lambda n: np.where(rng.random(n) < 0.1, np.nan, 5.0),
        score=lambda n: rng.beta(2, 5, n),
    )
    features = {"numerical": ["amount", "gone"], "categorical": []}
    text = plain({"prediction_proba": "score"}, features=features)
    (tmp_path / "ws" / "model.yaml").write_text(text)
    told = workspace.baseline(Asked("model"))
    assert told["signals"] == []
    assert "no measured column is mapped" in told["not_learned"]["latency_spike"]
    levels = {(one["name"], one["where"]): one for one in read_yaml(baseline_file(workspace))["levels"]}
    assert set(levels) == {("volume", ""), ("null_share", "feature=amount"), ("score_mean", "")}
    score, nulls = levels["score_mean", ""], levels["null_share", "feature=amount"]
    assert score["low"]["mon"][0] < 2 / 7 < score["high"]["mon"][0]
    assert nulls["low"]["sun"][5] < 0.1 < nulls["high"]["sun"][5]
    assert workspace.review_baseline(Asked("model"))["changes"] == []
    assert learned_rows(told)[2]


# ---- the command


def rbnb(workspace, monkeypatch, capsys, *words):
    """Type a command in the workspace; return what it leaves with and what it prints."""
    monkeypatch.chdir(workspace.places.root)
    monkeypatch.setattr(sys, "argv", ["rbnb", *words])
    code = 0
    try:
        main()
    except SystemExit as left:
        code = left.code or 0
    return code, capsys.readouterr().out


def test_the_command_learns_reviews_and_refuses(copied, monkeypatch, capsys):
    """One command writes the next version and says where; a program reads the proposal, or the refusal, as JSON."""
    code, out = rbnb(copied, monkeypatch, capsys, "baseline", "model", "--incident", TOLD)
    assert code == 0
    for text in ("baseline v2 of model", "latency_p95", "incident, as told", "baselines/model.yaml"):
        assert text in out
    code, out = rbnb(copied, monkeypatch, capsys, "baseline", "model", "--review", "--json")
    assert code == 0
    review = json.loads(out)
    assert review["model"] == "model"
    assert {one["from"]["source"] for one in review["changes"]} == {"baseline v2"}
    code, out = rbnb(copied, monkeypatch, capsys, "baseline", "model", "--history", "1d", "--json")
    assert code == DataError.exit_code
    assert "too short" in json.loads(out)["error"]["message"]
