"""Watching a model after it was let back: samples, a hold when the trouble returns, and clocks that misbehave."""

from __future__ import annotations

import itertools
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import time
from datetime import timedelta

import pytest
from acceptance_fixture import CONTAINED, LATER, Clock, spike, spike_incident, workspace_of, write_live
from conftest import RBNB
from hypothesis import given
from hypothesis import strategies as st

from rbnb.acceptance.watching import MOST_SAMPLES, Timing, sparkline
from rbnb.errors import RefusedError, UsageError

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class Time:
    """A monotonic clock and a sleep that take no time; what is slept is kept."""

    def __init__(self, *, jump: float = 0.0) -> None:
        self.now, self.slept, self.jump = 0.0, [], jump

    def monotonic(self) -> float:
        """Return seconds since the start."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass, and a jump on top."""
        self.slept.append(seconds)
        self.now += seconds + self.jump

    def timing(self, every=5 * MINUTE, lasts=2 * HOUR, **more) -> Timing:
        """Return a timing on this clock."""
        return Timing(every, lasts, monotonic=self.monotonic, sleep=self.sleep, **more)


@pytest.fixture(scope="module")
def made():
    """A model whose zone b is slow for two hours."""
    return spike(per_hour=300)


@pytest.fixture(scope="module")
def kept(made, tmp_path_factory):
    """The incident about it, contained when the fault ended; to be copied, not changed."""
    root = tmp_path_factory.mktemp("kept") / "ws"
    root.mkdir()
    _, incident = spike_incident(root, made, Clock())
    return root, incident.name


@pytest.fixture
def contained(kept, made, tmp_path):
    """Return a function that opens a copy of the incident with logs up to a time."""
    source, name = kept
    root = tmp_path / "ws"
    shutil.copytree(source, root)

    def opened(until=LATER, *, scene=made, clock=None, **model):
        write_live(root, scene, until, **model)
        workspace = workspace_of(root, clock or Clock(until))
        return workspace, workspace.incident(name)

    return opened


def kinds(incident):
    """Return what was recorded since the containment."""
    found = [entry.kind for entry in incident.state().entries]
    return found[len(found) - found[::-1].index("action.verified") :]


# --- on real logs


def test_a_quiet_model_is_watched_and_nothing_is_held(contained):
    """Samples of what fired are entries with their values, and none reaches a limit."""
    workspace, incident = contained(LATER)
    seen = []
    found = workspace.watch(
        incident.name,
        timing=Time().timing(5 * MINUTE, 5 * MINUTE),
        on_sample=lambda w: seen.append(w.samples[-1].number),
    )
    assert (found.outcome, seen) == ("ok", [1, 2])
    assert kinds(incident) == ["watch.started", "watch.sampled", "watch.sampled"]
    started, sampled = incident.state().entries[-3].body, incident.state().entries[-1].body
    fired = {f["signal"] for f in workspace.record(incident.name)["findings"] if f["status"] in ("breach", "warning")}
    assert fired <= {one["signal"] for one in started["items"]}
    assert "latency_anomaly" in {one["signal"] for one in started["items"]}
    assert set(sampled["values"]) >= fired
    assert all(one["status"] == "ok" for one in sampled["values"].values())


def test_trouble_that_comes_back_holds_the_rollout(contained):
    """A threshold that is reached in a sample ends the watch with a hold that names item, value and limit."""
    workspace, incident = contained(CONTAINED + HOUR, scene=spike(until=None, per_hour=300))
    found = workspace.watch(incident.name, timing=Time().timing(), window="1h")
    assert found.outcome == "held"
    assert len(found.samples) == 1
    held = incident.state().entries[-1]
    assert held.kind == "rollout.held"
    assert held.body["item"] in {"latency_anomaly", "latency_p50", "latency_p95", "latency_p99", "slow_share"}
    assert held.body["value"] > 0
    assert "breach" in held.body["limit"]
    assert incident.state().held == held.body["because"]


def test_rows_of_the_incident_hold_nothing(contained):
    """Just after the containment the window of a run would hold the incident; the watch looks at fresh rows only."""
    workspace, incident = contained(CONTAINED + 30 * MINUTE)
    found = workspace.watch(incident.name, timing=Time().timing(once=True))
    assert not found.held
    assert {one.status for one in found.samples[0].readings} <= {"ok", "warning", "waiting"}


def test_what_cannot_be_judged_twice_in_a_row_holds_the_rollout(contained):
    """Logs that have stopped give one undefined sample and then a hold, never an all-clear."""
    until = (CONTAINED - 5 * MINUTE).isoformat()
    workspace, incident = contained(LATER, recording={"until": until})
    once = workspace.watch(incident.name, timing=Time().timing(once=True))
    assert (once.outcome, once.held) == ("undefined", "")
    found = workspace.watch(incident.name, timing=Time().timing())
    assert (found.outcome, len(found.samples)) == ("held", 2)
    assert "could not be judged twice in a row" in found.held
    assert kinds(incident)[-1] == "rollout.held"


def test_too_few_fresh_rows_are_waited_for(contained):
    """In the first minutes after the containment there is nothing to judge; that is no hold and no all-clear."""
    workspace, incident = contained(CONTAINED + 6 * MINUTE)
    found = workspace.watch(incident.name, timing=Time().timing(MINUTE, 2 * MINUTE))
    assert (found.outcome, found.held) == ("undefined", "")
    assert {one.status for one in found.samples[-1].readings} == {"waiting"}


def test_a_log_that_stops_while_others_wait_is_not_waited_for(contained):
    """An hour without a new row is undefined, not waiting, however few rows there are."""
    workspace, incident = contained(CONTAINED + 6 * MINUTE, clock=Clock(CONTAINED + 2 * HOUR))
    found = workspace.watch(incident.name, timing=Time().timing())
    assert (found.outcome, len(found.samples)) == ("held", 2)


def test_a_log_that_cannot_be_read_is_undefined_and_no_crash(contained):
    """A table that is gone holds the rollout like any sample that cannot be judged."""
    workspace, incident = contained(LATER)
    shutil.rmtree(workspace.places.root / "live" / "predictions")
    found = workspace.watch(incident.name, timing=Time().timing())
    assert (found.outcome, len(found.samples)) == ("held", 2)
    assert "no file matches" in found.held


def test_a_wall_clock_that_goes_back_neither_spins_nor_makes_rows_the_future(contained):
    """With the clock set back by a day the watch takes the samples it was asked for and judges them as before."""
    clock = Clock(LATER)
    workspace, incident = contained(LATER, clock=clock)
    workspace.watch(incident.name, timing=Time().timing(once=True))
    clock.now = LATER - 24 * HOUR
    passing = Time()
    found = workspace.watch(incident.name, timing=passing.timing(5 * MINUTE, 5 * MINUTE))
    assert (found.outcome, len(found.samples)) == ("ok", 2)
    assert sum(passing.slept) == 300


def test_who_may_not_watch_is_refused(contained, monkeypatch):
    """A stakeholder cannot start a watch, and the attempt is an entry."""
    workspace, incident = contained(LATER)
    (workspace.places.root / "rbnb.toml").write_text(
        '[workspace]\n[people.eva]\n[roles]\nstakeholder = {people = ["eva"]}\n', encoding="utf-8"
    )
    monkeypatch.setenv("RBNB_USER", "eva")
    workspace = workspace_of(workspace.places.root, Clock(LATER))
    with pytest.raises(RefusedError):
        workspace.watch(incident.name)
    assert kinds(incident) == ["watch.refused"]


# --- a hold and its release


def test_a_hold_is_released_once_and_with_a_reason(contained):
    """Only a rollout that is on hold can be released, by somebody who says why."""
    workspace, incident = contained(LATER)
    with pytest.raises(UsageError, match="no rollout is on hold"):
        workspace.release(incident.name, "it is over")
    incident.ledger.append("rollout.held", {"because": "slow", "item": "latency_p99"}, by="ada")
    with pytest.raises(UsageError, match="needs a reason"):
        workspace.release(incident.name, " ")
    entry = workspace.release(incident.name, "a batch job, and it is over")
    assert (entry.kind, entry.body["item"]) == ("rollout.released", "latency_p99")
    assert incident.state().held == ""
    with pytest.raises(UsageError, match="no rollout is on hold"):
        workspace.release(incident.name, "again")


# --- beats


def test_beats_come_when_their_time_has_come():
    """Two hours every five minutes are 25 samples, and the waits add up to the two hours."""
    passing = Time()
    timing = passing.timing()
    assert list(itertools.islice(timing.beats(), 99)) == list(range(1, 26))
    assert timing.samples == 25
    assert sum(passing.slept) == 7200


@given(
    every=st.integers(min_value=1, max_value=600),
    many=st.integers(min_value=0, max_value=40),
    jumps=st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1, max_size=10),
)
def test_no_clock_makes_it_spin_or_run_for_ever(every, many, jumps):
    """Whatever the clock does between beats, there are never more than were asked for, and no wait is beyond one."""
    passing, beats = Time(), 0
    timing = passing.timing(timedelta(seconds=every), timedelta(seconds=every * many))
    for beats, _ in enumerate(timing.beats(), 1):
        assert beats <= timing.samples
        passing.now += jumps[beats % len(jumps)]
    assert beats
    assert all(0 <= one <= every for one in passing.slept)


def test_beats_that_were_missed_are_passed_over():
    """A sample that takes longer than the time between two leaves one out, and does not hurry after it."""
    passing, taken = Time(), []
    for beat in itertools.islice(passing.timing(MINUTE, 5 * MINUTE).beats(), 20):
        taken.append(beat)
        passing.now += 100 if beat == 1 else 0
    assert taken == [1, 3, 4, 5, 6]


def test_more_samples_than_a_ledger_should_hold_are_refused():
    """Every sample is an entry, so that a watch of thousands is refused with what to change."""
    with pytest.raises(UsageError, match="samples") as caught:
        Timing(timedelta(seconds=10), timedelta(hours=24))
    assert str(MOST_SAMPLES) in caught.value.hint
    with pytest.raises(UsageError, match="less than a second"):
        Timing(timedelta(milliseconds=10), HOUR)


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))))
def test_a_sparkline_has_one_mark_a_value(values):
    """Whatever the numbers, each of the last ones is one mark, and what is no number is a dot."""
    drawn = sparkline(values)
    assert len(drawn) == min(len(values), 24)
    assert set(drawn) <= set("▁▂▃▄▅▆▇█·")


# --- as a process


@pytest.fixture
def recorded(contained):
    """A workspace whose logs are a recording that ends after the containment, so that a real clock can watch it."""
    workspace, incident = contained(LATER, recording={"until": LATER.isoformat()})
    return workspace.places.root, incident


def test_the_command_prints_a_line_a_sample_and_leaves_with_its_finding(recorded):
    """`rbnb watch` away from a terminal prints one line a sample; --json prints one object and nothing else."""
    root, incident = recorded
    command = [RBNB, "watch", incident.name, "--every", "1s", "--for", "1s"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len([line for line in lines if "latency_p99" in line]) >= 1
    assert "no limit reached" in lines[-1]
    once = [RBNB, "watch", incident.name, "--once", "--json"]
    told = subprocess.run(once, cwd=root, capture_output=True, text=True, check=False, timeout=90)
    assert json.loads(told.stdout)["outcome"] == "ok"


def test_ctrl_c_leaves_cleanly_with_what_was_seen(recorded):
    """Ctrl-C ends a watch at once with exit code 130; the samples taken until then are on the ledger."""
    root, incident = recorded
    command = [RBNB, "watch", incident.name, "--every", "5m", "--for", "2h"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "latency_p99" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped by hand; 1 sample on record" in told
    assert "Traceback" not in told
    assert kinds(incident) == ["watch.started", "watch.sampled"]


def test_a_terminal_shows_a_table_with_sparklines(recorded):
    """On a terminal the samples are one table that is drawn anew, with the course of each item."""
    root, incident = recorded
    ours, theirs = pty.openpty()
    command = [RBNB, "watch", incident.name, "--once"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "140"}
    with subprocess.Popen(command, cwd=root, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown, until = b"", time.monotonic() + 60
        while time.monotonic() < until and select.select([ours], [], [], 30)[0]:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the other end was closed
                break
        process.wait(timeout=30)
    os.close(ours)
    text = shown.decode("utf-8", "replace")
    assert process.returncode == 0, text
    assert "course" in text
    assert "▁" in text
