"""P10 and P12: a run that is killed ends properly, and an error in a notebook never leaves a completed run.

P10: whoever is killed (kernel, runner, supervisor) and whenever, the status is true, the notebook is
readable and says of no cell more than happened, and no process is left. P12: whichever cell raises,
also where something swallows the error and the cell's record is missing, the run has not completed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
from run_fixture import GLUE, MARK, code, journal, notebook, processes, prose, run, statuses, template, wait_until

from rbnb.model import RunStatus

#: Each cell may kill its kernel as it begins, and has a child in a session of its own.
CELLS = 4
CHILD = (
    "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\nsubprocess.Popen(['sleep', '600'])"
)


def cell(number):
    """A cell that can kill its kernel at its start, leaves a trace, and takes a moment."""
    begin = f"import os, time\nif kill_at == {number}:\n    os.kill(os.getppid() if runner else os.getpid(), 9)\n"
    return begin + f"print('cell {number} ran')\ntime.sleep(0.1)"


@pytest.fixture
def small(tmp_path):
    """A template with children, stages and cells that take a moment."""
    cells = [prose("## One"), CHILD, *[cell(number) for number in range(CELLS)]]
    return template(tmp_path, *cells, parameters="kill_at: int = -1\nrunner: bool = False", stages=["One"])


@pytest.fixture
def mark(monkeypatch):
    """Mark every process that a run starts; at the end of the test none may be left."""
    value = uuid.uuid4().hex
    monkeypatch.setenv(MARK, value)
    yield value
    assert processes(value) == []


def assert_true_to_the_journal(folder):
    """The notebook says of each cell what the journal says, shows what completed cells showed, and no more."""
    ended = {entry["index"]: entry["status"] for entry in journal(folder) if entry["event"] == "cell_ended"}
    begun = {entry["index"] for entry in journal(folder) if entry["event"] == "cell_started"}
    for index, one in enumerate(notebook(folder)["cells"]):
        if one["cell_type"] != "code":
            continue
        about = one["metadata"]["papermill"]
        expected = ended.get(index, "failed" if index in begun else "pending")
        assert about["status"] == expected
        assert about["exception"] is {"completed": False, "failed": True, "pending": None}[expected]
        if expected == "pending":
            assert one["outputs"] == []
            assert one["execution_count"] is None
        elif expected == "completed" and "cell " in "".join(one["source"]):
            lost = "outputs" in one["metadata"].get("rbnb", {})
            assert lost or "ran" in "".join(one["outputs"][0]["text"])
    assert notebook(folder)["metadata"]["papermill"]["exception"] is True


@pytest.mark.usefixtures("mark")
@pytest.mark.parametrize("boundary", range(CELLS))
def test_p10_a_kernel_killed_at_a_cell_boundary(small, boundary):
    """Cells before the boundary are completed, the one at it failed, the rest pending; nothing is left running."""
    outcome, folder = run(small, parameters={"kill_at": boundary})
    assert outcome.status is RunStatus.KERNEL_DIED
    assert_true_to_the_journal(folder)
    assert statuses(folder) == ["completed"] * (3 + boundary) + ["failed"] + ["pending"] * (CELLS - 1 - boundary)


@pytest.mark.usefixtures("mark")
@pytest.mark.parametrize("boundary", range(CELLS))
def test_p10_a_runner_killed_at_a_cell_boundary(small, boundary):
    """The cell that ran when its runner was killed has failed; what the runner could not save is told as lost."""
    outcome, folder = run(small, parameters={"kill_at": boundary, "runner": True})
    assert outcome.status is RunStatus.ABANDONED
    assert outcome.failure.stage == "One"
    assert f"cell c{boundary + 2} was running" in outcome.failure.message
    assert_true_to_the_journal(folder)
    assert statuses(folder) == ["completed"] * (3 + boundary) + ["failed"] + ["pending"] * (CELLS - 1 - boundary)
    assert [one.status for one in outcome.cells] == statuses(folder)


def kill_later(find, after, *, once_begun):
    """Return a `meanwhile` that kills a process `after` seconds after it exists, or after its first cell can begin."""

    def meanwhile(runner, folder):
        def kill():
            wait_until(lambda: find(runner) is not None)
            if once_begun:
                wait_until((folder / "notebook.ipynb").exists)
            time.sleep(after)
            with contextlib.suppress(ProcessLookupError):  # the run was over before
                os.kill(find(runner), signal.SIGKILL)

        threading.Thread(target=kill, daemon=True).start()

    return meanwhile


INSTANTS = random.Random(20261122)
#: While the processes start, and while the cells run.
WHEN = [(False, round(INSTANTS.uniform(0, 1.0), 3)) for _ in range(3)]
WHEN += [(True, round(INSTANTS.uniform(0, 0.6), 3)) for _ in range(5)]


@pytest.mark.usefixtures("mark")
@pytest.mark.parametrize(("once_begun", "after"), WHEN)
def test_p10_a_kernel_killed_at_any_instant(small, once_begun, after):
    """Whenever the kernel dies, also before it is up, the run says so or had already ended."""
    outcome, folder = run(small, meanwhile=kill_later(lambda runner: runner._kernel, after, once_begun=once_begun))
    if outcome.status is RunStatus.COMPLETED:
        assert set(statuses(folder)) == {"completed"}
        return
    died = (outcome.status, outcome.failure.kind)
    assert died in [(RunStatus.KERNEL_DIED, "kernel_died"), (RunStatus.FAILED, "no_kernel")]
    assert_true_to_the_journal(folder)


@pytest.mark.usefixtures("mark")
@pytest.mark.parametrize(("once_begun", "after"), [(False, 0.0), *WHEN])
def test_p10_a_runner_killed_at_any_instant(small, once_begun, after):
    """When the runner itself is gone the run is abandoned, and its notebook says what is known."""
    outcome, folder = run(small, meanwhile=kill_later(lambda runner: runner._process.pid, after, once_begun=once_begun))
    if outcome.status is RunStatus.COMPLETED:
        assert set(statuses(folder)) == {"completed"}
        return
    assert (outcome.status, outcome.failure.kind) == (RunStatus.ABANDONED, "runner_vanished")
    assert "killed by SIGKILL" in outcome.failure.message
    assert_true_to_the_journal(folder)
    assert [one.status for one in outcome.cells] == statuses(folder)


def test_p10_a_runner_killed_after_its_folder_went_is_still_told(tmp_path):
    """When neither the runner nor its files are left, the caller gets an outcome all the same."""
    vanish = "import os, shutil, signal\nshutil.rmtree(os.getcwd())\nos.kill(os.getppid(), signal.SIGKILL)"
    outcome, _ = run(template(tmp_path, vanish))
    assert outcome.status is RunStatus.ABANDONED
    assert "cannot be written" in outcome.failure.message


SUPERVISOR = """
import sys
from pathlib import Path
from rbnb.runner import Job, Runner
if __name__ == "__main__":
    template, folder = map(Path, sys.argv[1:])
    with Runner.start(preload=()) as runner:
        runner.run(Job(template, folder), lambda _: None)
"""


@pytest.mark.parametrize("resists", [False, True])
def test_p10_a_supervisor_that_is_killed_takes_everything_with_it(tmp_path, mark, resists):
    """When the caller is killed the runner closes the notebook, and kernel and children go, even stuck ones."""
    wait = "import re\nre.match('(a+)+b', 'a' * 60)" if resists else "import time\ntime.sleep(600)"
    path = template(tmp_path, "print('cell 0 ran')", CHILD, "open('ready', 'w').close()", wait, "1")
    folder = tmp_path / "run"
    folder.mkdir()
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(path), str(folder)])
    assert wait_until(lambda: len(journal_or_nothing(folder)) == 8)
    assert len(processes(mark)) >= 4
    supervisor.kill()
    supervisor.wait()
    assert wait_until(lambda: processes(mark) == [])
    assert statuses(folder) == ["completed"] * 3 + ["failed", "pending"]
    assert_true_to_the_journal(folder)
    assert journal(folder)[-1]["status"] == "cancelled"


def test_p10_supervisor_and_runner_killed_together(tmp_path, mark):
    """When both are killed at once the kernel still ends, and the notebook on disk is readable."""
    path = template(
        tmp_path, "print('cell 0 ran')", "open('ready', 'w').close()\nimport re\nre.match('(a+)+b', 'a' * 60)"
    )
    folder = tmp_path / "run"
    folder.mkdir()
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(path), str(folder)])
    assert wait_until((folder / "ready").exists)
    for process in [supervisor.pid, *children(supervisor.pid)]:
        os.kill(process, signal.SIGKILL)
    supervisor.wait()
    assert wait_until(lambda: processes(mark) == [])
    assert len(notebook(folder)["cells"]) == 2


def children(parent):
    """Return the processes that this one started."""
    return [int(process) for process in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def journal_or_nothing(folder):
    """Read the journal of a run that may not have begun."""
    return journal(folder) if (folder / "journal.jsonl").exists() else []


WRITER = """
import sys
from pathlib import Path
from rbnb.runner.files import notebook_bytes, write_atomically
path = Path(sys.argv[1])
for number in range(10**6):
    source = [f"# {number}"] * 40_000
    write_atomically(path, notebook_bytes({"metadata": {}, "cells": [{"cell_type": "code", "source": source}]}))
    print(number, flush=True)
"""


def test_p10_a_notebook_is_whole_whenever_its_writer_is_killed(tmp_path):
    """A writer that is killed over and over while it saves never leaves half a notebook."""
    for _ in range(12):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "notebook.ipynb")], stdout=subprocess.PIPE
        )
        writer.stdout.readline()
        time.sleep(INSTANTS.uniform(0, 0.1))
        writer.kill()
        writer.communicate()
        assert len(notebook(tmp_path)["cells"][0]["source"]) == 40_000


# ------------------------------------------------------------------ P12

STEPS = ["x = 2", "y = x * 2", "z = [n for n in range(y)]", "glue('verdict', {'name': 'healthy', 'z': z})", "print(z)"]


@pytest.mark.parametrize("broken", range(len(STEPS)))
def test_p12_whichever_cell_raises_the_run_has_not_completed(tmp_path, broken):
    """Each cell in turn is made to raise: the run fails there, also after the verdict was already left."""
    cells = [GLUE, *[f"raise RuntimeError('broken')\n{step}" if n == broken else step for n, step in enumerate(STEPS)]]
    outcome, folder = run(template(tmp_path, *cells), required_scraps=("verdict",))
    assert (outcome.status, outcome.failure.kind) == (RunStatus.FAILED, "error")
    assert statuses(folder) == ["completed"] * (1 + broken) + ["failed"] + ["pending"] * (len(STEPS) - 1 - broken)


def test_p12_an_error_that_is_swallowed_still_leaves_no_completed_run(tmp_path):
    """A try around the verdict hides the error from every tool, but the record it owes is missing."""
    swallowed = "try:\n    raise RuntimeError('hidden')\n    glue('verdict', 1)\nexcept RuntimeError:\n    pass"
    outcome, folder = run(template(tmp_path, GLUE, swallowed, "2"), required_scraps=("verdict",))
    assert (outcome.status, outcome.failure.kind) == (RunStatus.FAILED, "missing_record")
    assert set(statuses(folder)) == {"completed"}
    assert notebook(folder)["metadata"]["papermill"]["exception"] is True


def test_p12_the_sound_template_does_complete(tmp_path):
    """What the mutants are made from completes, so it is the mutation that fails them."""
    outcome, _ = run(template(tmp_path, GLUE, *STEPS, code("3")), required_scraps=("verdict",))
    assert outcome.status is RunStatus.COMPLETED, outcome.failure
    assert outcome.scraps["verdict"]["name"] == "healthy"
