"""A run executes in its own process, and its status, files and reasons are true."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from run_fixture import GLUE, code, journal, notebook, prose, run, shown, statuses, template, wait_until

from rbnb.errors import ConfigError, IntegrityError, ParameterError, RbnbError
from rbnb.model import RunStatus
from rbnb.runner import Job, Progress, Runner

SLEEP = "import time\ntime.sleep(60)"


def test_a_run_leaves_its_files_and_says_what_happened(tmp_path):
    """A completed run has an executed notebook, the template's exact bytes, a journal, records and stages."""
    cells = [
        prose("## 1. First"),
        code(GLUE + "glue('answer', {'x': x})", name="one"),
        prose("## 2. Second"),
        code("print('text', x)", name="two"),
        code("raise ValueError", name="three", tags=["skip-execution"]),
        code("  ", name="four"),
    ]
    path = template(tmp_path, *cells, parameters="x: int = 1  # a number", stages=["First", "Second"])
    told = []
    outcome, folder = run(path, parameters={"x": 7}, required_scraps=("answer",), on_progress=told.append)
    assert (outcome.status, outcome.failure) == (RunStatus.COMPLETED, None)
    assert outcome.scraps == {"answer": {"x": 7}}
    assert outcome.started <= outcome.finished
    assert outcome.started.tzinfo is not None
    assert sorted(entry.name for entry in folder.iterdir()) == ["journal.jsonl", "notebook.ipynb", "template.ipynb"]
    assert (folder / "template.ipynb").read_bytes() == path.read_bytes()
    assert [(cell.id, cell.status) for cell in outcome.cells] == [
        *(("parameters", "completed"), ("injected-parameters", "completed"), ("one", "completed")),
        *(("two", "completed"), ("three", "pending"), ("four", "pending")),
    ]
    assert [(p.stage, p.number, p.of, p.state) for p in told] == [
        *(("First", 1, 2, "started"), ("First", 1, 2, "finished")),
        *(("Second", 2, 2, "started"), ("Second", 2, 2, "finished")),
    ]
    assert isinstance(told[0], Progress)
    events = [(entry["event"], entry.get("id"), entry.get("status")) for entry in journal(folder)]
    assert events[0][0] == "run_started"
    assert ("cell_started", "two", None) in events
    assert ("cell_ended", "two", "completed") in events
    assert events[-1] == ("run_finished", None, "completed")
    assert all(entry["time"].endswith("Z") for entry in journal(folder))


def test_the_notebook_is_what_others_read(tmp_path):
    """The executed notebook is valid to nbformat, scrapbook reads its records, and its metadata are true."""
    import nbformat
    import scrapbook

    path = template(tmp_path, GLUE + "glue('answer', [1, 2])", "print('é \\ud800')", parameters="x: str = ''")
    outcome, folder = run(path, parameters={"x": "é"})
    assert outcome.status is RunStatus.COMPLETED, outcome.failure
    nbformat.validate(nbformat.read(folder / "notebook.ipynb", as_version=4))
    assert scrapbook.read_notebook(str(folder / "notebook.ipynb")).scraps["answer"].data == [1, 2]
    metadata = notebook(folder)["metadata"]
    assert metadata["papermill"]["exception"] is False
    assert metadata["papermill"]["parameters"] == {"x": "é"}
    assert (metadata["papermill"]["input_path"], metadata["papermill"]["output_path"]) == (
        "template.ipynb",
        "notebook.ipynb",
    )
    assert metadata["rbnb"]["run"] == {"status": "completed", "because": ""}


@pytest.mark.parametrize(
    ("source", "status", "kind", "says"),
    [
        ("1 / 0", RunStatus.FAILED, "error", "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(0)", RunStatus.FAILED, "exit", "SystemExit"),
        ("exit()", RunStatus.FAILED, "exit", "asked its kernel to exit"),
        ("input('name')", RunStatus.FAILED, "error", "StdinNotImplementedError"),
        ("raise MemoryError('no more')", RunStatus.FAILED, "out_of_memory", "MemoryError: no more"),
        ("import os; os._exit(3)", RunStatus.KERNEL_DIED, "kernel_died", "exited with code 3"),
        ("import os; os.kill(os.getpid(), 9)", RunStatus.KERNEL_DIED, "kernel_died", "killed by SIGKILL"),
        ("import os; os.kill(os.getpid(), 11)", RunStatus.KERNEL_DIED, "kernel_died", "killed by SIGSEGV"),
        (SLEEP, RunStatus.TIMED_OUT, "cell_timeout", "longer than 1.5 s"),
    ],
)
def test_how_a_cell_ends_badly_is_told_truly(tmp_path, source, status, kind, says):
    """Status, reason, cell and stage are right; what ran is completed, the cell failed, the rest is pending."""
    cells = [prose("## Only"), code("print('before')"), code(source, name="bad"), code("print('after')")]
    outcome, folder = run(template(tmp_path, *cells, stages=["Only"]), cell_timeout=1.5)
    assert outcome.status is status
    assert outcome.failure.kind == kind
    assert says in outcome.failure.message
    assert "cell bad of stage Only" in outcome.failure.message
    assert (outcome.failure.cell, outcome.failure.stage) == (2, "Only")
    assert statuses(folder) == ["completed", "failed", "pending"]
    executed = notebook(folder)
    assert executed["metadata"]["papermill"]["exception"] is True
    assert executed["metadata"]["rbnb"]["run"]["status"] == status.value
    assert [output["output_type"] for output in executed["cells"][2]["outputs"]][-1] == "error"
    assert "before" in shown(folder)
    assert "after" not in shown(folder).replace("print('after')", "")
    assert "\x1b" not in outcome.failure.traceback
    assert journal(folder)[-1]["status"] == status.value


def test_an_interrupted_cell_shows_where_it_was_and_one_that_resists_loses_its_kernel(tmp_path):
    """A deadline interrupts first; a cell that swallows the interrupt is killed, and both have timed out."""
    outcome, folder = run(template(tmp_path, SLEEP), cell_timeout=1)
    assert "KeyboardInterrupt" in shown(folder)
    assert outcome.failure.kind == "cell_timeout"
    resists = "import time\nwhile True:\n    try:\n        time.sleep(60)\n    except KeyboardInterrupt:\n        pass"
    before = time.monotonic()
    outcome, folder = run(template(tmp_path, resists), cell_timeout=1)
    assert outcome.status is RunStatus.TIMED_OUT
    assert time.monotonic() - before < 15
    assert statuses(folder) == ["failed"]


def test_the_whole_run_has_a_deadline_of_its_own(tmp_path):
    """Many cells that are each in time still end when the run's time is over."""
    outcome, folder = run(template(tmp_path, *["import time\ntime.sleep(0.8)"] * 20), run_timeout=4, cell_timeout=30)
    assert outcome.status is RunStatus.TIMED_OUT
    assert outcome.failure.kind == "run_timeout"
    assert statuses(folder)[-1] == "pending"
    assert (outcome.finished - outcome.started).total_seconds() < 10


def test_memory_that_is_limited_runs_out_as_a_failure_that_says_so(tmp_path):
    """A cell beyond its memory fails with out_of_memory rather than taking the machine down."""
    limit = 3 * 2**30
    outcome, folder = run(template(tmp_path, "print('fine')", "x = bytearray(8 * 2**30)"), memory_limit=limit)
    assert (outcome.status, outcome.failure.kind) == (RunStatus.FAILED, "out_of_memory")
    assert statuses(folder) == ["completed", "failed"]
    outcome, _ = run(template(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGABRT)"), memory_limit=limit)
    assert (outcome.status, outcome.failure.kind) == (RunStatus.KERNEL_DIED, "kernel_died")
    assert "limited to 3072 MiB" in outcome.failure.message


@pytest.mark.parametrize("python", ["/nowhere/python", "/bin/false"])
def test_a_kernel_that_cannot_start_is_a_failed_run_in_which_nothing_ran(tmp_path, python):
    """A missing interpreter and one that breaks leave a readable notebook with every cell pending."""
    outcome, folder = run(template(tmp_path, "1", "2"), python=python)
    assert (outcome.status, outcome.failure.kind) == (RunStatus.FAILED, "no_kernel")
    assert statuses(folder) == ["pending", "pending"]
    assert notebook(folder)["metadata"]["papermill"]["exception"] is True


def test_a_planted_kernel_is_never_run(tmp_path, monkeypatch):
    """A kernelspec, an IPython profile or a module that somebody planted takes no part in a run."""
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    spec.mkdir(parents=True)
    startup.mkdir(parents=True)
    harm = tmp_path / "harm"
    argv = ["/usr/bin/touch", str(harm)]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    (spec.parent / "rbnb").symlink_to(spec)
    (startup / "00.py").write_text(f"open({str(harm)!r}, 'w')")
    (tmp_path / "json.py").write_text(f"open({str(harm)!r}, 'w')")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONSTARTUP", str(startup / "00.py"))
    monkeypatch.chdir(tmp_path)
    outcome, folder = run(template(tmp_path, "import json, sys\nprint(sys.executable)"))
    assert outcome.status is RunStatus.COMPLETED, outcome.failure
    assert sys.executable in shown(folder)
    assert not harm.exists()


def test_the_kernel_sees_only_what_it_may_of_the_environment(tmp_path, monkeypatch):
    """A secret in the caller's environment does not reach a template unless the job hands it over."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-1")
    monkeypatch.setenv("MPLBACKEND", "TkAgg")
    look = GLUE + "import os\nglue('environment', dict(os.environ))\nglue('where', os.getcwd())"
    outcome, folder = run(template(tmp_path, look), environment={"RBNB_RUN_FOLDER": "here", "TOKEN_NAME": "given"})
    seen = outcome.scraps["environment"]
    assert "canary-1" not in json.dumps(seen)
    assert (seen["RBNB_RUN_FOLDER"], seen["TOKEN_NAME"]) == ("here", "given")
    assert (seen["MPLBACKEND"], seen["DO_NOT_TRACK"]) == ("agg", "1")
    assert outcome.scraps["where"] == str(folder)


def test_a_runaway_print_is_cut_and_the_notebook_says_so(tmp_path):
    """A cell's text and displays are capped, so that no cell can fill the disk, and nothing is cut in silence."""
    floods = ["for n in range(20000):\n    print('x' * 100)", "from IPython.display import HTML, display\n"]
    floods[1] += "for n in range(30):\n    display(HTML('y' * 2**20))"
    outcome, folder = run(template(tmp_path, *floods, "print('z')"))
    assert outcome.status is RunStatus.COMPLETED, outcome.failure
    assert (folder / "notebook.ipynb").stat().st_size < 18 * 2**20
    first, second, _ = notebook(folder)["cells"]
    assert sum(len("".join(output["text"])) for output in first["outputs"]) < 210_000
    for cell in (first, second):
        assert sum("the rest is dropped" in "".join(output.get("text", [])) for output in cell["outputs"]) == 1


@pytest.mark.parametrize(
    ("source", "kind", "says"),
    [
        ("glue('a', 1)\nglue('a', 2)", "bad_record", "'a', which was left before"),
        ("glue('a', 'x' * 3 * 2**20)", "bad_record", "the most is"),
        ("glue('', 1)", "bad_record", "without a name"),
        ("display({'application/scrapbook.scrap.json+json': [1]}, raw=True)", "bad_record", "without a name"),
        ("glue('b', 1)", "missing_record", "a left no record"),
    ],
)
def test_a_record_that_is_wrong_or_missing_fails_the_run(tmp_path, source, kind, says):
    """A run that left less, or something else, than it was asked for has not completed."""
    outcome, folder = run(template(tmp_path, GLUE, source), required_scraps=("a",))
    assert (outcome.status, outcome.failure.kind) == (RunStatus.FAILED, kind)
    assert says in outcome.failure.message
    assert notebook(folder)["metadata"]["papermill"]["exception"] is True


def test_an_error_that_a_tag_allows_is_still_an_error(tmp_path):
    """The tag raises-exception, which other tools let pass, does not make a run complete."""
    outcome, _ = run(template(tmp_path, code("1 / 0", tags=["raises-exception"]), "2"))
    assert (outcome.status, outcome.failure.kind) == (RunStatus.FAILED, "error")


def test_a_number_that_is_not_finite_never_makes_the_notebook_unreadable(tmp_path):
    """The notebook is strict JSON whatever a cell displays."""
    show = "from IPython.display import display\ndisplay({'application/json': {'x': float('nan')}}, raw=True)"
    _, folder = run(template(tmp_path, show))
    assert notebook(folder)["cells"][0]["outputs"]


def test_a_folder_that_cannot_be_written_fails_the_run_and_is_told(tmp_path):
    """When the run's files cannot be kept, the run has failed, whatever its cells did."""
    outcome, folder = run(template(tmp_path, "import os, shutil\nshutil.rmtree(os.getcwd())", "2"))
    assert (outcome.status, outcome.failure.kind) == (RunStatus.FAILED, "runner_error")
    assert "cannot be written" in outcome.failure.message
    assert not folder.exists()


# ------------------------------------------------------------------ stopping


def stop_soon(stop):
    """Return a `meanwhile` that waits for the second cell to begin and then calls `stop(runner)`."""

    def meanwhile(runner, folder):
        def wait():
            wait_until((folder / "ready").exists)
            stop(runner)

        threading.Thread(target=wait, daemon=True).start()

    return meanwhile


WAITS = ["print('before')", "open('ready', 'w').close()\nimport time\ntime.sleep(60)", "print('after')"]


@pytest.fixture
def ctrl_c_counts():
    """See that Ctrl-C is not ignored: a shell has what it starts in the background ignore it, these tests too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_counts")
@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(lambda _: os.kill(os.getpid(), 2), id="ctrl-c"),
        pytest.param(lambda _: os.kill(os.getpid(), 15), id="sigterm"),
        pytest.param(lambda runner: runner.stop(), id="from-a-thread"),
        pytest.param(lambda runner: os.kill(runner._process.pid, 15), id="sigterm-to-the-runner"),
    ],
)
def test_a_run_that_is_asked_to_stop_is_cancelled_in_order(tmp_path, stop):
    """Ctrl-C and SIGTERM end the run with its notebook kept, and the caller goes on to record it."""
    outcome, folder = run(template(tmp_path, *WAITS), meanwhile=stop_soon(stop))
    assert (outcome.status, outcome.failure.kind) == (RunStatus.CANCELLED, "cancelled")
    assert statuses(folder) == ["completed", "failed", "pending"]
    assert "KeyboardInterrupt" in shown(folder)


def test_a_second_ctrl_c_ends_it_at_once(tmp_path):
    """Whoever insists does not wait for a cell that resists; the notebook is still readable."""
    resists = "open('ready', 'w').close()\nimport re\nre.match('(a+)+b', 'a' * 60)"

    def twice(runner):
        for _ in range(2):
            runner.stop("it was cancelled")
            time.sleep(0.2)

    before = time.monotonic()
    outcome, folder = run(template(tmp_path, "1", resists), meanwhile=stop_soon(twice))
    assert outcome.status is RunStatus.CANCELLED
    assert time.monotonic() - before < 12
    assert statuses(folder) == ["completed", "failed"]


def test_a_caller_that_fails_ends_the_run(tmp_path):
    """When the caller's own progress printing breaks, its error comes through and the run is closed."""
    path = template(tmp_path, prose("## One"), "1", stages=["One"])

    def broken(_):
        raise RuntimeError("broken terminal")

    with pytest.raises(RuntimeError, match="broken terminal"):
        run(path, on_progress=broken)
    (folder,) = tmp_path.glob("run-*")
    assert journal(folder)[-1]["status"] == "cancelled"


# ------------------------------------------------------------------ before anything runs


def test_what_is_wrong_before_the_run_starts_nothing(tmp_path):
    """An undeclared parameter, a notebook that is no template, or changed bytes raise, and nothing executes."""
    path = template(tmp_path, "open('harm', 'w')", parameters="x: int = 1")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ParameterError):
        run(path, parameters={"y=0;x": 1})
    with pytest.raises(IntegrityError):
        run(path, template_digest=digest.replace(digest[0], "0" if digest[0] != "0" else "1"))
    plain = json.loads(path.read_text())
    del plain["metadata"]["rbnb"]
    path.write_text(json.dumps(plain))
    with pytest.raises(ConfigError):
        run(path)
    assert not list(tmp_path.rglob("harm"))
    assert not list(tmp_path.rglob("notebook.ipynb"))


def test_a_runner_runs_once(tmp_path):
    """A kernel is never used for two investigations, and a run is never written over."""
    path = template(tmp_path, "1")
    (tmp_path / "one").mkdir()
    with Runner.start(preload=()) as runner:
        assert runner.run(Job(path, tmp_path / "one"), print).status is RunStatus.COMPLETED
        (tmp_path / "two").mkdir()
        with pytest.raises(RbnbError, match="one job"):
            runner.run(Job(path, tmp_path / "two"), print)
    with Runner.start(preload=()) as runner, pytest.raises(RbnbError, match="holds a run"):
        runner.run(Job(path, tmp_path / "one"), print)


def test_starting_costs_nothing_and_closing_leaves_nothing():
    """A runner that is never used is gone, private folder and all, as soon as it is closed."""
    before = time.monotonic()
    with Runner.start(preload=()) as runner:
        folder = runner._folder
        assert time.monotonic() - before < 1
        assert folder.exists()
    assert runner._process.returncode is not None
    assert not folder.exists()


def test_a_module_to_preload_may_be_absent_but_not_broken(tmp_path, monkeypatch):
    """What templates need is imported early; where it is broken nothing runs, and the log says why."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "early.py").write_text("")
    (tmp_path / "broken.py").write_text("import absent_too")
    path = template(tmp_path, "import sys\nprint('early' in sys.modules)")
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with Runner.start(preload=("early", "absent")) as runner:
        assert runner.run(Job(path, folders[0]), print).status is RunStatus.COMPLETED
    assert "True" in shown(folders[0])
    with Runner.start(preload=("broken",)) as runner:
        assert runner.run(Job(path, folders[1]), print).failure.kind == "no_kernel"
    assert "absent_too" in (folders[1] / "runner.log").read_text()


def test_importing_the_runner_is_light():
    """Whoever imports rbnb.runner pays neither for papermill nor for jupyter."""
    listing = "import sys, rbnb.runner; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True).stdout.split()
    assert not {"papermill", "nbclient", "nbformat", "jupyter_client", "ipykernel", "IPython", "pandas"} & set(loaded)


def test_nothing_reaches_the_terminal(tmp_path):
    """What libraries print stays out of the caller's terminal; after a failure it is kept in runner.log."""
    template(tmp_path, "import os\nos.write(2, b'raw noise')\nos._exit(1)")
    script = f"""
import pathlib
from rbnb.runner import Job, Runner
if __name__ == "__main__":
    folder = pathlib.Path({str(tmp_path)!r})
    (folder / "run").mkdir()
    with Runner.start(preload=()) as runner:
        runner.run(Job(folder / "small.ipynb", folder / "run"), lambda _: None)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
