"""Acting when things go wrong: programs that hang, flood or fail, crashes, full disks, and many at once."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from acting_fixture import make_scene, write_script

from rbnb.actions import Asked, act
from rbnb.actions.processes import Limit, environment, marked, run_program
from rbnb.errors import LedgerError, RefusedError, UsageError
from rbnb.ledger import Disk, Ledger

KEPT = Limit(32 * 1024, 32 * 1024)


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """Return a scene that is ready to act; what its attempts have started is ended with it, also where a test fails."""
    made = make_scene(tmp_path, monkeypatch)
    yield made
    started = [entry.body for entry in made.incident.ledger.entries() if entry.kind == "action.started"]
    for pid in [pid for body in started if body.get("mark") for pid in marked(body["mark"])]:
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def program(tmp_path):
    """Return a function that runs a Python program under the rules of an action."""

    def run(text, *, timeout=10.0, limit=KEPT):
        path = tmp_path / "program"
        write_script(path, f"#!{sys.executable} -SE\n{text}\n")
        return run_program([str(path)], timeout=timeout, limit=limit, environ=environment(), folder=tmp_path)

    return run


def alive(pid):
    """Whether a process still runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone_soon(pid):
    """Check that a process ends: a signal that was sent takes a moment to arrive."""
    until = time.monotonic() + 2
    while alive(pid):
        assert time.monotonic() < until, "it was left behind"
        time.sleep(0.01)


def execute(command, **more):
    """Return the execute step of an action."""
    return {"execute": {"command": command, "expect": "It says ok.", **more}}


def test_a_command_that_hangs(program, tmp_path):
    """A program that does not end is killed with everything it started, also what ignores being asked to end."""
    began = time.monotonic()
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    answer = program(
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"child = subprocess.Popen([sys.executable, '-SEc', {child!r}])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)",
        timeout=0.7,
    )
    assert (answer.outcome, answer.code) == ("timed_out", None)
    assert time.monotonic() - began < 5
    gone_soon(int((tmp_path / "pid").read_text()))


def test_a_command_that_leaves_something_behind(program, tmp_path):
    """A program that is done is done, though a child of it holds its output open; the child is not left behind."""
    began = time.monotonic()
    answer = program(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-SEc', 'import time; time.sleep(60)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "print('ok')"
    )
    assert (answer.outcome, answer.code) == ("done", 0)
    assert time.monotonic() - began < 5
    gone_soon(int((tmp_path / "pid").read_text()))


def test_a_flood(program):
    """100 MB of output neither block nor fill anything: beginning and end are kept, and all of it is counted."""
    tracemalloc.start()
    answer = program(
        "import os\nos.write(1, b'begin')\n"
        "for _ in range(1600): os.write(1, b'x' * 65536)\n"
        "os.write(2, b'y' * 300000)\nos.write(1, b'the end')",
        timeout=30,
    )
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2_000_000
    assert (answer.outcome, answer.code) == ("done", 0)
    assert answer.out.total == 1600 * 65536 + 12
    head, tail = answer.out.parts
    assert (len(head), len(tail)) == (KEPT.head, KEPT.tail)
    assert head.startswith(b"begin")
    assert tail.endswith(b"the end")
    assert answer.err.total == 300_000


def test_a_flood_is_kept_small(scene):
    """Of an action that prints 100 MB a small file is kept, with what was left out said, and it counts as done."""
    scene.write_program(extra="    for _ in range(1600): os.write(1, b'x' * 65536)")
    report = scene.workspace.act(scene.name, "switch_off")
    assert report.held
    kept = scene.incident.folder / report.output["path"]
    assert kept.stat().st_size < 70_000
    assert "bytes are not kept" in kept.read_text()
    assert report.output["cut"]


def test_it_sees_little(program, monkeypatch):
    """A program gets no input, no terminal, and of the environment only what is listed."""
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter22")
    monkeypatch.setenv("KUBECONFIG", "/somewhere")
    answer = program(
        "import os, sys, json\nprint(json.dumps([dict(os.environ), sys.stdin.read(), os.getsid(0) == os.getpid()]))"
    )
    seen, stdin, leads = json.loads(b"".join(answer.out.parts))
    assert "DATABASE_PASSWORD" not in seen
    assert seen["KUBECONFIG"] == "/somewhere"
    assert (stdin, leads) == ("", True)


def test_a_program_that_is_not_there(scene):
    """A program that is missing, or may not be executed, is said before anything is done."""
    scene.write_action(**execute(["swich", "set"], timeout="5s"))
    with pytest.raises(RefusedError, match="swich is not there, or may not be executed"):
        scene.workspace.act(scene.name, "switch_off")
    path = scene.folder / "bin" / "swich"
    path.write_text("#!/bin/true\n")
    with pytest.raises(RefusedError, match="swich is not there, or may not be executed"):
        scene.workspace.act(scene.name, "switch_off")
    assert scene.kinds("action.started") == []


def test_fails_halfway(scene):
    """A command that fails halfway leaves with 4, is not done again until somebody has looked, and can be undone."""
    scene.write_program(extra="    open(path, 'w').write('half'); sys.exit('it broke')")
    ended = scene.rbnb("act", scene.name, "switch_off")
    assert ended.returncode == 4
    assert "it says: exit 1: it broke" in ended.stdout
    assert scene.state.attempts[0].status == "failed"
    with pytest.raises(RefusedError, match="attempt 1 of it failed, and nobody has said what became of it"):
        scene.workspace.act(scene.name, "switch_off")
    scene.write_program()
    assert scene.workspace.rollback(scene.name, "switch_off").held
    assert (scene.switch / "main").read_text() == "on"
    assert scene.workspace.act(scene.name, "switch_off").held


def test_failed_and_explained(scene):
    """What failed and, as a person has seen, changed nothing, may be tried again."""
    scene.write_program(extra="    sys.exit(1)")
    assert scene.workspace.act(scene.name, "switch_off").outcome == "failed"
    scene.write_program()
    scene.workspace.explain(scene.name, 1, done=False, because="the switch is on")
    assert scene.workspace.act(scene.name, "switch_off").held
    with pytest.raises(UsageError, match="needs no explanation"):
        scene.workspace.explain(scene.name, 2, done=False, because="b")


def test_times_out(scene):
    """A command that hangs is ended, and what it changed counts as not known."""
    scene.write_program(extra="    time.sleep(60)")
    scene.write_action(**execute(["switch", "set", "${name}", "off"], timeout="1s"))
    report = scene.workspace.act(scene.name, "switch_off")
    assert report.outcome == "timed_out"
    assert "it did not end within 1 s" in report.told
    assert scene.state.attempts[0].status == "timed_out"


def test_stopped(scene):
    """SIGTERM ends a running action in order: the command is ended, and the attempt is on record as interrupted."""
    scene.write_program(extra="    time.sleep(60)")
    process = scene.start("act", scene.name, "switch_off")
    scene.wait_for(scene.calls)
    process.terminate()
    _, told = process.communicate(timeout=15)
    assert process.returncode == 4
    assert "was stopped" in told
    assert scene.state.attempts[0].status == "interrupted"
    assert not marked(scene.last("action.started").body["mark"])


def crash(scene):
    """Kill rbnb while its command waits for a file called go; return the mark of the attempt."""
    scene.write_program(extra="    while not os.path.exists(here + '/go'): time.sleep(0.02)")
    process = scene.start("act", scene.name, "switch_off")
    scene.wait_for(scene.calls)
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()
    return scene.last("action.started").body["mark"]


def test_a_crash(scene):
    """After a crash the attempt is told with its exact command, is never done again, and a person explains it."""
    mark = crash(scene)
    for pid in marked(mark):
        os.kill(pid, signal.SIGKILL)
    scene.wait_for(lambda: not marked(mark))
    again = scene.rbnb("act", scene.name, "switch_off")
    assert again.returncode == 7
    assert "attempt 1 of it was cut off" in again.stderr
    assert "switch set main off" in again.stderr
    assert "actions/01-switch_off/before.json" in again.stderr
    assert f"rbnb explain {scene.name} 1 --done" in again.stderr
    assert scene.state.attempts[0].status == "interrupted"
    assert "to be explained" in scene.rbnb("status", scene.name).stdout
    assert len(scene.calls()) == 1
    assert not scene.workspace.check_action(scene.name, "switch_off").recorded
    assert scene.kinds("action.verified") == []
    scene.workspace.explain(scene.name, 1, done=False, because="the switch is on")
    scene.write_program()
    assert scene.workspace.act(scene.name, "switch_off").held


def test_a_crash_after_it_took_effect(scene):
    """A command that outlives its rbnb is seen as going on; once it is done a person says so, and a check holds."""
    mark = crash(scene)
    with pytest.raises(RefusedError, match="still going on, although the rbnb that started it is gone"):
        scene.workspace.act(scene.name, "switch_off")
    with pytest.raises(RefusedError, match="still going on"):
        scene.workspace.explain(scene.name, 1, done=True, because="b")
    (scene.switch / "go").touch()
    scene.wait_for(lambda: not marked(mark))
    with pytest.raises(RefusedError, match="was cut off"):
        scene.workspace.act(scene.name, "switch_off")
    scene.workspace.explain(scene.name, 1, done=True, because="the switch is off")
    assert scene.workspace.check_action(scene.name, "switch_off").recorded
    assert scene.state.status == "contained"
    assert len(scene.calls()) == 1
    scene.write_program()
    assert scene.workspace.rollback(scene.name, "switch_off").held


def test_a_crash_and_a_rollback(scene):
    """What was cut off can be undone without first saying what became of it."""
    for pid in marked(crash(scene)):
        os.kill(pid, signal.SIGKILL)
    scene.write_program()
    assert scene.workspace.rollback(scene.name, "switch_off").held
    assert scene.state.attempts[0].status == "rolled_back"


def test_no_room(scene):
    """Where nothing can be written, nothing runs, and it leaves with 7."""
    before = len(scene.state.entries)
    limited = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        f"sys.argv = ['rbnb', 'act', {scene.name!r}, 'switch_off']\n"
        "from rbnb.cli import main\nmain()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", limited],
        cwd=scene.root,
        env=scene.environ("dan"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 7, ended.stderr
    assert "cannot be written" in ended.stderr
    assert scene.calls() == []
    assert len(scene.state.entries) == before


class FullFor(Disk):
    """A disk that has no room for one kind of entry."""

    def __init__(self, kind):
        self.mark = f'"kind": "{kind}"'.encode()

    def write(self, fd, data):
        """Write, unless it is that kind."""
        if self.mark in bytes(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(fd, data)


@pytest.mark.parametrize("kind", ["evidence.taken", "action.tried", "action.started"])
def test_no_record_no_action(scene, kind):
    """Whichever entry before the command cannot be written, the command does not run."""
    incident = scene.incident
    incident.ledger = Ledger(incident.folder / "ledger", clock=scene.clock, disk=FullFor(kind))
    with pytest.raises(LedgerError, match="No space left"):
        act(scene.workspace.places, incident, Asked("switch_off"))
    assert scene.calls() == []


def test_done_but_not_recorded(scene):
    """When the outcome cannot be recorded, that is said with what was done, and the attempt is not done again."""
    scene.write_program(extra="    import resource; resource.prlimit(os.getppid(), resource.RLIMIT_FSIZE, (0, 0))")
    ended = scene.rbnb("act", scene.name, "switch_off")
    assert ended.returncode == 7
    assert "switch_off WAS CARRIED OUT (attempt 1: done" in ended.stderr
    assert "BUT THE RECORD LACKS IT" in ended.stderr
    assert "switch set main off" in ended.stderr
    assert (scene.switch / "main").read_text() == "off"
    with pytest.raises(RefusedError, match="attempt 1 of it was cut off"):
        scene.workspace.act(scene.name, "switch_off")
    assert len(scene.calls()) == 1


#: What each of many processes does: act, and leave with the error's exit code.
ACT = """
import sys
from rbnb.actions import Asked, act
from rbnb.errors import RbnbError
from rbnb.workspace import Workspace
workspace = Workspace.open()
try:
    act(workspace.places, workspace.incident(sys.argv[1]), Asked("switch_off"))
except RbnbError as error:
    sys.exit(error.exit_code)
"""


def test_many_at_once(scene):
    """Of eight who act at the same time exactly one runs, and the others are told."""
    scene.write_program(extra="    time.sleep(0.5)")
    call = [sys.executable, "-c", ACT, scene.name]
    processes = [subprocess.Popen(call, cwd=scene.root, env=scene.environ("dan")) for _ in range(8)]
    assert sorted(process.wait(timeout=120) for process in processes) == [0] + [7] * 7
    assert len(scene.calls()) == 1
    assert scene.kinds("action.started") == ["action.started"]
    assert len(scene.kinds("act.refused")) == 7
    assert scene.incident.check().problems == ()


def test_nothing_slips_in_between(scene):
    """A decision that somebody makes after the checks, right before the intent, stops the action."""

    def on_step(line):
        if line.startswith("dry run"):
            scene.decide("none")

    with pytest.raises(RefusedError, match="the decision that stands is none"):
        act(scene.workspace.places, scene.incident, Asked("switch_off", on_step=on_step))
    assert scene.calls() == []
