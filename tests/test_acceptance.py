"""Acceptance: whether a model may return to service, measured on rows that came after the containment."""

from __future__ import annotations

import itertools
import json
import math
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pytest
import yaml
from acceptance_fixture import (
    CONTAINED,
    LATER,
    ONSET,
    Clock,
    add_run,
    contain,
    run_once,
    spike,
    spike_incident,
    workspace_of,
    write_live,
)
from conftest import RBNB
from hypothesis import given
from hypothesis import strategies as st

from rbnb.acceptance.accepting import _as_far_as_known
from rbnb.acceptance.asked import Objectives
from rbnb.acceptance.bench import Bench
from rbnb.acceptance.fairness import gap_growth
from rbnb.acceptance.fired import fresh_since
from rbnb.acceptance.measuring import Checks, Stretch
from rbnb.acceptance.scenarios import fresh_windows, newest_part, peak_part
from rbnb.acceptance.slices import FreshData
from rbnb.acceptance.telling import acceptance_rows, head_lines, reason_lines, tail_lines
from rbnb.data import ModelData, Span
from rbnb.errors import ConfigError, IntegrityError, LedgerError, RefusedError, UsageError
from rbnb.inventory import ModelFile, PeakWindow, load_model_file
from rbnb.ledger import Ledger
from rbnb.model import Finding, Signal, Window
from rbnb.policy.learned import mapping_digest, numbers_digest, written
from rbnb.policy.returning import Asked, asked_of, held, held_again, worst
from rbnb.simulate import scene
from rbnb.simulate.faults.inconsistency import OtherThreshold

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def made():
    """A model whose zone b is slow for two hours."""
    return spike()


@pytest.fixture(scope="module")
def kept(made, tmp_path_factory):
    """The incident about it, contained when the fault ended; to be copied, not changed."""
    root = tmp_path_factory.mktemp("kept") / "ws"
    root.mkdir()
    _, incident = spike_incident(root, made, Clock())
    return root, incident.name


@pytest.fixture
def contained(kept, made, tmp_path):
    """Return a function that opens a copy of the incident with logs up to a time, and keys of the model file."""
    source, name = kept
    root = tmp_path / "ws"
    shutil.copytree(source, root)

    def opened(until=LATER, *, scene=made, clock=None, **model):
        write_live(root, scene, until, **model)
        clock = clock or Clock(until)
        workspace = workspace_of(root, clock)
        return workspace, workspace.incident(name)

    return opened


@pytest.fixture(scope="module")
def returned(kept, made, tmp_path_factory):
    """The same incident, accepted once two windows had passed: workspace, incident, what was measured, the entry."""
    source, name = kept
    root = tmp_path_factory.mktemp("returned") / "ws"
    shutil.copytree(source, root)
    write_live(root, made, LATER)
    workspace = workspace_of(root, Clock(LATER))
    measured, entry = workspace.accept(name)
    return workspace, workspace.incident(name), measured, entry


# --- what a person can rely on, on real logs


def test_a_fault_that_has_ended_is_accepted_with_numbers(returned):
    """Two quiet windows after the containment are measured as met, and the incident is remediated."""
    _, incident, measured, entry = returned
    assert measured.met
    assert entry.body["met"] is True
    assert incident.state().status == "remediated"
    assert {one.scenario for one in measured.criteria} == {"all", "peak", "worst_segment", "newest"}
    assert all(one.n > 0 for one in measured.criteria)


def test_exactly_the_checks_that_fired_are_done_again(returned):
    """Every check in breach or warning is measured in each window and scenario with its threshold, and no other is."""
    workspace, incident, measured, _ = returned
    findings = workspace.record(incident.name)["findings"]
    fired = {(f["signal"], f["where"], f["threshold"]) for f in findings if f["status"] in ("breach", "warning")}
    checks = [one for one in measured.criteria if one.source == "check"]
    assert {(one.name, one.where, one.limit) for one in checks} == fired
    assert len([one for one in checks if one.scenario == "all"]) == 2 * len(fired)
    assert all(one.before is not None for one in checks)


def test_no_row_of_the_incident_is_measured(returned):
    """Every window begins after the containment and follows the one before it without a gap."""
    _, _, measured, _ = returned
    assert [one.start for one in measured.windows] == [CONTAINED, CONTAINED + 2 * HOUR]
    assert measured.windows[0].end == measured.windows[1].start
    assert all(one.window.start >= CONTAINED for one in measured.criteria if one.window)


def test_the_scenarios_are_named_with_their_rows(returned):
    """All traffic, peak hours, the worst segment and the newest rows each say which rows they are, and how many."""
    _, _, measured, _ = returned
    told = {one.name: one for one in measured.scenarios}
    assert told["worst_segment"].where == "zone=b"
    assert told["peak"].window == Window(datetime(2026, 11, 19, 13, tzinfo=UTC), datetime(2026, 11, 19, 14, tzinfo=UTC))
    assert told["newest"].window.end == LATER
    assert told["all"].n > told["worst_segment"].n > 0


def test_the_evidence_is_a_file_whose_digest_is_on_the_ledger(returned):
    """All numbers are in acceptance/01.json, and `rbnb verify` notices when one is changed."""
    workspace, incident, measured, entry = returned
    path = incident.folder / entry.body["files"][0]["path"]
    whole = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == "01.json"
    assert len(whole["criteria"]) == len(measured.criteria)
    assert workspace.verify(incident.name).problems == ()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"met": true', '"met": false', 1), encoding="utf-8")
    try:
        assert "acceptance/01.json" in workspace.verify(incident.name).problems[0]
    finally:
        path.write_text(text, encoding="utf-8")


def test_each_criterion_on_the_ledger_has_all_that_an_auditor_asks_for(returned):
    """An entry's criterion holds name, place, source, limit, value, interval, n, met and window, once a scenario."""
    _, _, _, entry = returned
    keys = {"name", "where", "source", "limit", "value", "interval", "n", "met", "window", "outcome", "scenario"}
    assert all(keys <= set(one) for one in entry.body["criteria"])
    names = [(one["scenario"], one["source"], one["name"], one["where"]) for one in entry.body["criteria"]]
    assert len(set(names)) == len(names)


def test_before_and_after_stand_side_by_side(returned):
    """A person reads the verdict first, then what each check was and is, and what comes next."""
    _, incident, measured, _ = returned
    assert head_lines(incident.name, measured)[0].endswith("return to service: MET")
    row = next(row for row in acceptance_rows(measured) if row[:2] == ["latency_p95", "all"])
    before, now = (float(row[i].rstrip("×")) for i in (2, 3))
    assert before > 1.5 > now
    assert row[7] == "met"
    assert "rbnb watch" in tail_lines(incident.name, measured, "x")[-1]


def test_the_same_rows_are_accepted_again_in_a_file_of_its_own(contained):
    """Every acceptance is a file and an entry of its own; none overwrites another."""
    workspace, incident = contained(CONTAINED + HOUR)
    for number in (1, 2):
        _, entry = workspace.accept(incident.name)
        assert entry.body["files"][0]["path"] == f"acceptance/{number:02d}.json"
    assert workspace.verify(incident.name).problems == ()


def test_a_fault_that_goes_on_is_not_accepted(contained):
    """Where the model is still slow, nothing else makes it met, and the reason says so; the end can be pinned."""
    going_on, at = spike(until=None), CONTAINED + timedelta(minutes=45)
    workspace, incident = contained(CONTAINED + HOUR, scene=going_on, acceptance={"windows": 1})
    measured, entry = workspace.accept(incident.name, window="30m", at=at.isoformat())
    assert measured.windows == (Window(at - timedelta(minutes=30), at),)
    assert (measured.outcome, entry.body["met"]) == ("not met", False)
    assert incident.state().status == "contained"
    assert any("still breach" in line for line in reason_lines(measured))
    place = [one for one in measured.criteria if one.scenario == "worst_segment" and one.name == "latency_p95"]
    assert place[0].outcome == "not met"
    assert place[0].value > 1.5


def test_no_data_since_the_containment_is_not_met(contained):
    """Where the logs end with the containment, nothing is met, and the reason says that there is no data."""
    workspace, incident = contained(CONTAINED)
    measured, entry = workspace.accept(incident.name)
    assert measured.windows == ()
    assert {one.outcome for one in measured.criteria} == {"not met", "undefined"}
    assert any("no data since the containment" in line for line in reason_lines(measured))
    assert any("the newest end at 2026-11-19T10:00:00Z" in line for line in reason_lines(measured))
    assert entry.body["met"] is False


def test_too_little_time_is_not_met_and_says_until_when(contained):
    """With less than the windows asked for, the criteria are undefined, and it says when the windows will be over."""
    workspace, incident = contained(CONTAINED + HOUR)
    measured, _ = workspace.accept(incident.name)
    assert not measured.met
    assert any("2 windows are over at 2026-11-19T14:00:00Z" in line for line in reason_lines(measured))


def test_a_recording_has_no_fresh_rows(contained):
    """The logs of a recording end before anything was done about them, so that nothing can be accepted on them."""
    until = (CONTAINED - timedelta(minutes=5)).isoformat()
    workspace, incident = contained(LATER, recording={"until": until})
    measured, _ = workspace.accept(incident.name)
    assert not measured.met
    assert any("no data since the containment" in line for line in reason_lines(measured))


def test_an_end_in_the_future_is_refused(contained):
    """--at cannot ask for rows that nobody has seen yet."""
    workspace, incident = contained(CONTAINED)
    with pytest.raises(UsageError, match="in the future"):
        workspace.accept(incident.name, at=(LATER + HOUR).isoformat())


@pytest.fixture(scope="module")
def demanding(kept, made, tmp_path_factory):
    """The same incident under a model file that asks for more: a stricter threshold, and rows at peak hours."""
    source, name = kept
    root = tmp_path_factory.mktemp("demanding") / "ws"
    shutil.copytree(source, root)
    strict = {"latency_p99.breach": 0.5, "latency_p99.warning": 0.4}
    write_live(root, made, CONTAINED + HOUR, thresholds=strict, acceptance={"windows": 1, "scenarios": ["peak"]})
    measured, _ = workspace_of(root, Clock(CONTAINED + HOUR)).accept(name, window="1h")
    return name, measured


def test_the_model_files_own_numbers_judge_again(demanding):
    """A threshold in the model file holds for the return as well, and that it was moved since is said."""
    _, measured = demanding
    tail = next(one for one in measured.criteria if one.name == "latency_p99" and one.source == "check")
    assert tail.outcome == "not met"
    assert "set in the model file" in tail.limit
    assert any("when it fired, and is" in line for line in reason_lines(measured))


def test_a_scenario_that_the_model_file_demands_must_have_rows(demanding):
    """Peak hours that lie outside the fresh windows are not passed over where the model file demands them."""
    name, measured = demanding
    missing = [one for one in measured.criteria if one.name == "scenario peak load hours"]
    assert [one.outcome for one in missing] == ["undefined"]
    assert any("hold no peak hours" in line for line in tail_lines(name, measured, "x"))


def test_a_runbook_is_measured_by_its_own_checks(tmp_path):
    """Answers that are right again are accepted by the checks of the runbook that found them wrong."""
    fault = OtherThreshold(onset=ONSET, end=CONTAINED, size="large")
    wrong = scene("churn", seed=5, days=4, end=LATER, per_hour=150, faults=[fault], training_rows=600)
    write_live(tmp_path, wrong, CONTAINED, acceptance={"windows": 1})
    workspace = workspace_of(tmp_path, Clock())
    incident = run_once(workspace, "output_inconsistency", "live", CONTAINED, window="6h")
    contain(incident)
    write_live(tmp_path, wrong, LATER, acceptance={"windows": 1})
    workspace.clock = Clock(LATER)
    measured, _ = workspace.accept(incident.name, window="4h")
    checks = [one for one in measured.criteria if one.source == "check" and one.scenario == "all"]
    assert {one.runbook for one in checks} == {"output_inconsistency"}
    assert {one.name: one.outcome for one in checks}["decision_mismatch"] == "met"
    assert all(one.before > 0.01 for one in checks if one.name == "decision_mismatch")


def test_a_runbook_of_ones_own_cannot_be_done_again_and_that_is_not_met(contained):
    """What only a notebook knows how to measure is undefined, never passed over."""
    workspace, incident = contained(CONTAINED)
    record = Bench(incident.places, incident).runs[0].record
    triage = {"findings": record["findings"][:1], "verdict": "genuine", "severity": record["severity"]}
    triage["findings"][0] |= {"status": "breach", "threshold": "breach ≥ 1"}
    add_run(incident, "our_own", record["parameters"], triage, {}, CONTAINED)
    measured, _ = workspace.accept(incident.name)
    mine = [one for one in measured.criteria if one.runbook == "our_own" and one.source == "check"]
    assert [one.outcome for one in mine] == ["undefined"]
    assert "not one that rbnb can measure" in mine[0].why


def test_too_few_requests_show_no_objective(contained):
    """A p99 takes 100 requests and an availability of 99.9 % takes 1,000; with fewer it is undefined, and says so."""
    _, incident = contained(acceptance={"availability": 0.999})
    bench = Bench(incident.places, incident)
    stretch = bench.stretch(Window(CONTAINED, CONTAINED + timedelta(minutes=5)), bench.data())
    wanted = [one for one in asked_of(bench.model) if one.source in ("latency", "availability")]
    told = [held(*pair) for pair in Objectives(bench.checks["latency_spike"], stretch).measured(wanted)]
    assert [outcome for outcome, _ in told] == ["undefined", "undefined"]
    assert "100 are needed" in told[0][1]
    assert "1,000 are needed" in told[1][1]


def test_quality_is_of_outcomes_where_they_are_known_and_else_an_estimate(contained, returned):
    """Where outcomes are late the number is called an estimate; where they are known it is theirs."""
    assert "accuracy (estimated)" in {one.name for one in returned[2].criteria}
    _, incident = contained()
    bench = Bench(incident.places, incident)
    known = Window(CONTAINED - 60 * HOUR, CONTAINED - 54 * HOUR)
    checks = Checks(bench.places, bench.logs, "data_drift")
    stretch = Stretch(known, ModelData(bench.model, bench.logs.folder), known.end)
    ((_, signal),) = Objectives(checks, stretch).measured([DROP])
    assert signal.name == "accuracy_drop"
    assert signal.n > 1000
    fairness = Asked("fairness", "accuracy by region", "worse by at most", 0.1, "share", "region", 30)
    ((_, gap),) = Objectives(checks, stretch).measured([fairness])
    assert gap.interval is not None
    nowhere = Asked("fairness", "selection by planet", "worse by at most", 0.1, "share", "planet", 30)
    ((_, none),) = Objectives(checks, stretch).measured([nowhere])
    assert "no segment column" in none.reason


def test_rows_that_are_too_old_are_no_all_clear(contained):
    """Logs that stopped hours ago are judged as of now, not as of their end: every check on them is undefined."""
    workspace, incident = contained(LATER, clock=Clock(LATER + 3 * HOUR), acceptance={"windows": 1})
    measured, _ = workspace.accept(incident.name, window="30m")
    checks = [one for one in measured.criteria if one.source == "check" and one.scenario == "all"]
    assert {one.outcome for one in checks} == {"undefined"}
    assert all("data_age" in one.why for one in checks)


def test_what_a_few_rows_at_peak_cannot_tell_is_said_and_not_demanded(returned):
    """Peak hours that nobody demands may leave a check open, which is said; one that is not met counts all the same."""
    _, _, measured, _ = returned
    peak = [one for one in measured.criteria if one.scenario == "peak" and one.source == "check"]
    scenario = next(one for one in measured.scenarios if one.name == "peak")
    open_one = replace(peak[0], outcome="undefined", why="too few rows")
    bad_one = replace(peak[1], outcome="not met")
    told, kept = _as_far_as_known(scenario, [open_one, bad_one, *peak[2:]])
    assert "too few rows" in told.why
    assert kept == [bad_one, *peak[2:]]


def test_learned_limits_hold_for_all_traffic_and_not_for_a_part_of_it(contained):
    """A check is judged again by the limits learned for its hour; what is usual of all requests judges no segment."""
    _, incident = contained()
    bench = Bench(incident.places, incident)
    checks = bench.checks["latency_spike"]
    week = {day: [0.6] * 24 for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    signal = {"signal": "latency_p50", "unit": "ratio", "direction": "above", "compares": "interval", "n": 500}
    runbook = {"runbook": "latency_spike", "policy": "1.0", "numbers": numbers_digest(checks.policy)}
    content = {
        "format": 1,
        "model": "live",
        "model_version": bench.model.version,
        "version": 3,
        "created_at": "2026-11-18T00:00:00Z",
        "created_by": "ada",
        "history": {"start": "2026-10-01T00:00:00Z", "end": "2026-11-18T00:00:00Z", "hours": 900, "false_alarms": 0.0},
        "data": {"table": "t", "mapping": mapping_digest(bench.model), "rows": 9, "digest": "sha256:0"},
        "thresholds": [runbook | {"window_seconds": 7200, "signals": [signal | {"usual": week, "breach": week}]}],
        "levels": [],
    }
    incident.places.baselines.mkdir(parents=True, exist_ok=True)
    (incident.places.baselines / "live.yaml").write_text(written(content), encoding="utf-8")
    window = Window(CONTAINED, CONTAINED + 2 * HOUR)
    found = {}
    for whole in (True, False):
        again = checks.again(bench.stretch(window, bench.data(), whole=whole))
        ((found[whole], _),) = again.of("latency_p50", "")
    assert "baseline v3, Thu 12:00" in found[True].threshold
    assert found[True].status == "breach"
    assert found[False].status == "ok"
    assert "baseline" not in found[False].threshold


# --- nothing is recorded that should not be


def test_what_was_done_meanwhile_makes_the_measurement_void(contained):
    """An action that ends while it is measured leaves no acceptance and no file, and says to measure again."""
    clock = Clock(CONTAINED + HOUR)
    workspace, incident = contained(CONTAINED + HOUR, clock=clock)
    other = Ledger(incident.folder / "ledger", clock=lambda: LATER)
    asked = []

    def acting() -> datetime:
        asked.append(1)
        if len(asked) == 2:
            body = {"attempt": 2, "action": "throttle", "way": "execute", "outcome": "done"}
            other.append("action.finished", body, by="ben")
        return CONTAINED + HOUR

    workspace.clock = acting
    with pytest.raises(UsageError, match="something was done"):
        workspace.accept(incident.name)
    assert not [one for one in incident.state().entries if one.kind == "acceptance.measured"]
    assert list((incident.folder / "acceptance").iterdir()) == []


def test_a_record_that_was_edited_is_not_believed(contained):
    """Findings that were taken out of run.json after the run are noticed, and nothing is measured."""
    workspace, incident = contained()
    path = incident.folder / "runs" / "01-latency_spike" / "run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["findings"] = []
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(IntegrityError, match=r"run\.json"):
        workspace.accept(incident.name)


def test_an_incident_without_a_completed_run_has_nothing_to_check(contained):
    """Acceptance is refused where no run was completed, because nobody knows what would have to be checked."""
    workspace, incident = contained()
    shutil.rmtree(incident.folder / "ledger")
    incident.ledger.append("incident.opened", {"incident": incident.name, "model": "live"}, by="ada")
    fresh = workspace.incident(incident.name)
    with pytest.raises(UsageError, match="no run of this incident was completed"):
        workspace.accept(fresh.name)


def test_who_may_not_is_refused_and_that_is_on_record(contained, monkeypatch):
    """A stakeholder cannot accept, and the attempt is an entry."""
    workspace, incident = contained()
    (workspace.places.root / "rbnb.toml").write_text(
        '[workspace]\n[people.eva]\n[roles]\nstakeholder = {people = ["eva"]}\n', encoding="utf-8"
    )
    monkeypatch.setenv("RBNB_USER", "eva")
    workspace = workspace_of(workspace.places.root, Clock(LATER))
    with pytest.raises(RefusedError):
        workspace.accept(incident.name)
    assert incident.state().entries[-1].kind == "accept.refused"


def test_nothing_is_recorded_where_the_evidence_cannot_be_written(contained):
    """Where the file of numbers cannot be written there is no entry that names it; it ends with exit code 7."""
    workspace, incident = contained(CONTAINED)
    (incident.folder / "acceptance").write_text("in the way", encoding="utf-8")
    with pytest.raises(LedgerError) as caught:
        workspace.accept(incident.name)
    assert caught.value.exit_code == 7
    assert incident.state().acceptance is None


# --- from when on rows count


def test_rows_count_after_whatever_was_done_last(contained):
    """A second action moves the beginning of the fresh rows, and so does a run that still found the trouble."""
    _, incident = contained()
    runs = Bench(incident.places, incident).runs
    assert fresh_since(incident.state().entries, runs).since == CONTAINED
    incident.clock = incident.ledger._clock = lambda: LATER
    contain(incident, "throttle", attempt=2)
    again = fresh_since(incident.state().entries, runs)
    assert (again.since, again.because) == (LATER, "throttle finished")
    record = runs[0].record
    triage = {"findings": record["findings"], "verdict": "genuine", "severity": record["severity"]}
    late = {**record["parameters"], "at": (LATER + HOUR).isoformat()}
    add_run(incident, "latency_spike", late, triage, {}, LATER)
    found = Bench(incident.places, incident)
    assert found.fresh.since == LATER + HOUR
    assert "02-latency_spike" in found.fresh.because


def test_the_incident_is_hidden_from_every_measurement(contained):
    """Rows of the incident are neither current nor normal nor what went before, in any measurement."""
    _, incident = contained()
    bench = Bench(incident.places, incident)
    data = bench.data()
    day = Span(int(ONSET.timestamp()) - 3600, int(LATER.timestamp()))
    whole = ModelData(bench.model, bench.logs.folder).rows(day, columns=["epoch"])
    left = data.rows(day, columns=["epoch"])
    hidden = (whole["epoch"] >= ONSET.timestamp()) & (whole["epoch"] < CONTAINED.timestamp())
    assert hidden.sum() > 500
    assert len(left) == len(whole) - hidden.sum()
    assert data.count(day) == len(left)


def test_a_segment_is_measured_on_its_own_requests(contained):
    """The worst segment's rows are those of that segment and no others, also of two columns together."""
    _, incident = contained()
    bench = Bench(incident.places, incident)
    day = Span(int(CONTAINED.timestamp()), int(LATER.timestamp()))
    rows = ModelData(bench.model, bench.logs.folder).rows(day)
    both = FreshData(bench.model, bench.logs.folder, "zone=b & channel=web")
    wanted = ((rows["segment_zone"] == "b") & (rows["segment_channel"] == "web")).sum()
    assert both.count_rows(day) == wanted > 0


# --- how a number is judged

DROP = Asked("quality", "accuracy", "worse by at most", 0.05, "share")
P99 = Asked("latency", "latency_p99", "at most", 250.0, "ms")


@pytest.mark.parametrize(
    ("asked", "value", "interval", "outcome"),
    [
        (DROP, 0.01, (-0.02, 0.04), "met"),
        (DROP, 0.01, (-0.02, 0.06), "undefined"),
        (DROP, 0.06, (0.01, 0.11), "not met"),
        (DROP, 0.05, (0.05, 0.05), "met"),
        (DROP, 0.01, (-math.inf, math.inf), "undefined"),
        (P99, 240.0, (230.0, 260.0), "met"),
        (P99, 251.0, (230.0, 260.0), "undefined"),
        (P99, 270.0, (255.0, 280.0), "not met"),
        (Asked("quality", "auc", "at least", 0.8, "auc"), 0.85, (0.82, 0.88), "met"),
        (Asked("quality", "auc", "at least", 0.8, "auc"), 0.85, (0.79, 0.9), "undefined"),
        (Asked("quality", "auc", "at least", 0.8, "auc"), 0.7, (0.6, 0.8), "not met"),
        (Asked("availability", "availability", "at least", 0.99, "share"), 0.985, (0.97, 0.995), "undefined"),
    ],
)
def test_doubt_counts_against_returning(asked, value, interval, outcome):
    """Quality is met only by its whole interval, an objective by what was served; being on the limit is enough."""
    assert held(asked, Signal(asked.name, value, asked.unit, 900, "m", interval))[0] == outcome


@given(
    value=st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
    half=st.floats(min_value=0, allow_nan=False, allow_infinity=True),
    limit=st.floats(min_value=-1e6, max_value=1e6),
    source=st.sampled_from(["latency", "quality"]),
    way=st.sampled_from(["at most", "at least"]),
)
def test_nothing_beyond_its_limit_is_ever_met(value, half, limit, source, way):
    """Whatever the number and its interval: what is not measured, not finite or beyond the limit is never met."""
    asked = Asked(source, "latency_p99", way, limit, "ms")
    interval = None if value is None else (value - half, value + half)
    outcome, why = held(asked, Signal("latency_p99", value, "ms", 10, "m", interval))
    if value is None or not math.isfinite(value) or (value > limit if way == "at most" else value < limit):
        assert outcome != "met"
    if outcome == "undefined":
        assert why


def _finding(value, status="ok", reason=""):
    return Finding("latency_p99", "", value, "ratio", None, 100, "breach ≥ 1.5×", status, reason)


@pytest.mark.parametrize(
    ("finding", "by_value", "outcome"),
    [
        (_finding(1.0), _finding(1.0), "met"),
        (_finding(1.3, "warning"), _finding(1.3, "warning"), "not met"),
        (_finding(1.6, "breach"), _finding(1.6, "breach"), "not met"),
        (_finding(None, "ok", "no requests"), _finding(None), "undefined"),
        (_finding(1.0, "undefined", "too few"), _finding(1.0), "undefined"),
        (_finding(1.6), _finding(1.6, "breach"), "undefined"),
        (_finding(1.3), _finding(1.3, "warning"), "met"),
    ],
)
def test_a_check_that_fired_has_to_be_ok_again(finding, by_value, outcome):
    """A check counts as met only if it was measured and is ok; what a policy forgives as undefined is not met."""
    found, why = held_again(finding, by_value)
    assert found == outcome
    assert bool(why) == (outcome != "met")


def test_rows_that_could_still_be_the_incident_are_too_few():
    """A check whose interval still holds the value at which it fired is undefined, however good its value looks."""
    few = Finding("flips", "", 0.0, "share", (0.0, 0.43), 5, "breach ≥ 1 %", "ok")
    many = Finding("flips", "", 0.0, "share", (0.0, 0.05), 74, "breach ≥ 1 %", "ok")
    outcome, why = held_again(few, few, before=0.1)
    assert outcome == "undefined"
    assert "too few rows" in why
    assert held_again(many, many, before=0.1)[0] == "met"


def test_a_warning_about_the_data_does_not_keep_a_model_out():
    """Few outcomes known yet were a warning before and are one now: that is no trouble of the model's."""
    warning = _finding(0.1, "warning")
    assert held_again(warning, warning, may_warn=True)[0] == "met"
    assert held_again(_finding(0.1, "breach"), _finding(0.1, "breach"), may_warn=True)[0] == "not met"


def test_the_worst_outcome_counts_and_none_is_none():
    """One criterion that is not met outweighs all that are; where nothing was measured, nothing is met."""
    assert worst(["met", "met", "undefined"]) == "undefined"
    assert worst(["met", "not met", "undefined"]) == "not met"
    assert worst([]) == "undefined"


# --- what a model file asks for

_LOG = {"table": "log.parquet", "columns": {"timestamp": "ts", "latency_ms": "ms"}}


def _file(**more):
    return ModelFile.model_validate({"name": "m", "logs": {"predictions": _LOG}, **more})


def test_a_model_file_that_says_nothing_asks_for_what_it_can():
    """The objective and the groups it names elsewhere are asked for; a series without outcomes has no quality."""
    assert asked_of(_file()) == []
    slo = {"latency_ms": {"p99": 250}, "availability": 0.999}
    assert [one.name for one in asked_of(_file(slo=slo))] == ["latency_p99"]
    columns = {**_LOG["columns"], "prediction": "d", "target": "y", "status_code": "s"}
    log = {**_LOG, "columns": columns, "segments": ["region"]}
    whole = ModelFile.model_validate(
        {
            "name": "m",
            "task": "binary",
            "logs": {"predictions": log},
            "slo": slo,
            "governance": {"fairness_segments": ["region"]},
        }
    )
    assert [one.name for one in asked_of(whole)] == ["latency_p99", "availability", "accuracy", "selection by region"]


def test_a_model_file_says_what_it_asks_for():
    """Own numbers take the place of the objective's, and every one is told with its limit in words."""
    wanted = {
        "latency": {"p95": 200},
        "availability": 0.99,
        "quality": {"auc": {"min": 0.8, "worse_by": 0.02}, "brier": {"max": 0.2}},
        "fairness": {"by": ["region"], "measures": ["selection", "accuracy"], "worse_by": 0.05},
    }
    told = [(one.name, one.text) for one in asked_of(_file(slo={"latency_ms": {"p99": 250}}, acceptance=wanted))]
    assert told == [
        ("latency_p95", "at most 200 ms"),
        ("availability", "at least 99 %"),
        ("auc", "at least 0.8"),
        ("auc", "at most 0.02 worse than in the reference"),
        ("brier", "at most 0.2"),
        ("selection by region", "at most 5 % further apart than in the reference"),
        ("accuracy by region", "at most 5 % further apart than in the reference"),
    ]


@pytest.mark.parametrize(
    ("wanted", "key"),
    [
        ({"windows": 0}, "windows"),
        ({"window": "soon"}, "window"),
        ({"scenarios": ["night"]}, "scenarios"),
        ({"quality": {"accuracy": {}}}, "quality"),
        ({"quality": {"f1": {"min": 0.5}}}, "quality"),
        ({"fairness": {"worse_by": 0}}, "fairness"),
        ({"fairness": {"fewest": 3}}, "fairness"),
        ({"patience": 3}, "patience"),
    ],
)
def test_a_mistake_in_the_model_file_is_named(tmp_path, wanted, key):
    """A key that is unknown or a number out of range is refused with the file and the key."""
    path = tmp_path / "m.yaml"
    text = {"name": "m", "logs": {"predictions": _LOG}, "acceptance": wanted}
    path.write_text(yaml.safe_dump(text), encoding="utf-8")
    with pytest.raises(ConfigError, match=f"acceptance.{key}"):
        load_model_file(path)


# --- which rows

END = datetime(2026, 11, 19, 16, tzinfo=UTC)


@given(
    minutes=st.integers(min_value=1, max_value=600),
    count=st.integers(min_value=1, max_value=24),
    ago=st.integers(min_value=0, max_value=6000),
)
def test_windows_are_fresh_and_follow_each_other(minutes, count, ago):
    """Whatever the length and number: none begins before the containment, none overlaps, the last is the newest."""
    since, length = END - timedelta(minutes=ago), timedelta(minutes=minutes)
    found = fresh_windows(END, length, count, since)
    assert len(found) == min(count, ago // minutes)
    assert all(one.start >= since and one.length == length for one in found)
    assert all(a.end == b.start for a, b in itertools.pairwise(found))
    assert not found or found[-1].end == END


def test_peak_hours_are_the_latest_inside_the_fresh_rows():
    """Peak hours are found on their days, in whole buckets, also over midnight, and none where there are none."""
    evening = PeakWindow(days="mon-fri", start="17:00", end="21:00")
    night = PeakWindow(start="22:00", end="02:00")
    span = Window(datetime(2026, 11, 17, 18, 2, tzinfo=UTC), END)
    found = peak_part(span, evening, 300)
    assert (found.start.time(), found.length) == (time(17), 4 * HOUR)
    assert found.start.date().day == 18
    assert peak_part(Window(END - HOUR, END), evening, 300) is None
    assert peak_part(span, night, 300).length == 4 * HOUR
    assert peak_part(span, None, 300) is None
    saturday = datetime(2026, 11, 21, 17, tzinfo=UTC)
    assert peak_part(Window(saturday, saturday + 4 * HOUR), evening, 300) is None


def test_the_newest_rows_are_the_last_quarter_in_whole_buckets():
    """The newest part ends with the window and is left out where it would be less than two buckets."""
    assert newest_part(Window(END - 2 * HOUR, END), 300) == Window(END - HOUR / 2, END)
    assert newest_part(Window(END - HOUR / 2, END), 300) is None


# --- fairness


def _sides(rates, n, seed):
    rng = np.random.default_rng(seed)
    groups = rng.choice(list(rates), n)
    return groups, (rng.random(n) < np.array([rates[g] for g in groups])).astype(float)


EVEN, APART = {"a": 0.3, "b": 0.3, "c": 0.32}, {"a": 0.3, "b": 0.5, "c": 0.3}


def test_groups_that_stay_together_are_within_their_interval():
    """Where nothing changed, the growth of the gap is about nothing in nearly every draw."""
    found = [gap_growth("s", "g", _sides(EVEN, 6000, k), _sides(EVEN, 2000, 100 + k), fewest=30) for k in range(60)]
    assert sum(one.interval[0] > 0 for one in found) <= 3
    assert all(one.interval[1] < 0.2 for one in found)


def test_a_group_that_drifts_apart_is_found_and_named():
    """A gap that has grown by some twenty points is told with its group."""
    found = gap_growth("s", "g", _sides(EVEN, 6000, 1), _sides(APART, 2000, 2), fewest=30)
    assert found.interval[0] > 0.1
    assert found.reason == "g=b"


def test_a_gap_that_was_always_there_is_not_counted_again():
    """Groups that differ as they always did are no further apart."""
    found = gap_growth("s", "g", _sides(APART, 6000, 1), _sides(APART, 3000, 2), fewest=30)
    assert abs(found.value) < 0.05


def test_groups_with_too_few_rows_are_undefined_and_rare_ones_are_named():
    """A usual group with few fresh rows makes it undefined; one that was always rare is named and not waited for."""
    groups, hits = _sides(EVEN, 6000, 1)
    few = gap_growth("s", "g", (groups, hits), (groups[:40], hits[:40]), fewest=30)
    assert few.value is None
    assert "30 are needed" in few.reason
    groups[:20] = "z"
    rare = gap_growth("s", "g", (groups, hits), _sides(EVEN, 2000, 2), fewest=30)
    assert rare.value is not None
    assert "too rare to compare: z" in rare.reason
    none = gap_growth("s", "g", (groups[:0], hits[:0]), (groups, hits), fewest=30)
    assert none.value is None


# --- as a process


def test_the_command_tells_and_its_exit_code_says_so(contained):
    """`rbnb accept` leaves with 0 unless asked; with --exit-code 3 for not met; --json prints the entry alone."""
    workspace, incident = contained(LATER, recording={"until": CONTAINED.isoformat()})
    command, root = [RBNB, "accept", incident.name], workspace.places.root
    plain = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=60)
    assert plain.returncode == 0, plain.stderr
    assert "return to service: NOT MET" in plain.stdout
    assert "no data since the containment" in plain.stdout
    asked = [*command, "--exit-code", "--json"]
    told = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == 3, told.stderr
    assert json.loads(told.stdout)["met"] is False
