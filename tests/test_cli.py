"""Every command as a person or a program uses it: what is printed, and with which code it leaves."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import RBNB, quiet_log

LOGS = "logs: {predictions: {table: x.parquet, columns: {timestamp: ts}}}\n"


def rbnb(*arguments, cwd, env=None, timeout=120):
    """Run the command and return how it ended, as text."""
    given = {**os.environ, **(env or {})}
    command = [str(RBNB), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=given, capture_output=True, text=True, check=False, timeout=timeout)


@pytest.fixture
def copy(sample_run, tmp_path):
    """Return a workspace with the finished sample run that a test may change."""
    root = tmp_path / "copy"
    shutil.copytree(sample_run.root, root)
    return root


def said(done, code, *texts):
    """Check that a command left with `code`, said each text on standard error, and showed no traceback."""
    assert done.returncode == code, done.stderr + done.stdout
    for text in texts:
        assert text in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    return done


def test_the_summary_names_cause_zone_and_onset_and_refutes_the_deploy(sample_run):
    """The sample is explained: right dependency and zone first, the deploy refuted, the onset to the bucket."""
    record = sample_run.record
    truth = json.loads((Path(__file__).parent.parent / "data_samples/truth/fraud-v3.json").read_text())
    first, *others = record["causes"]
    assert record["verdict"] == "infrastructure"
    assert first["status"] == "supported"
    assert first["name"].startswith(f"{truth['cause']}:")
    assert first["where"] == truth["segment"] == record["segments"][0]["where"]
    deploys = [cause for cause in others if "deploy" in cause["name"]]
    assert [cause["status"] for cause in deploys] == ["refuted"]
    assert record["onset"] == truth["onset"]
    assert record["ongoing"] is True
    assert record["proposal"]["action"] == "shift_traffic"
    assert record["not_measured"][0]["what"] == "payload size"


def test_show_prints_at_most_25_lines_of_summary_and_then_the_ledger(sample_run):
    """`rbnb show` tells the run and every entry."""
    done = said(rbnb("show", sample_run.incident, cwd=sample_run.root), 0)
    summary, _, ledger = done.stdout.partition("\nledger\n")
    assert len(summary.splitlines()) <= 25
    assert "INFRASTRUCTURE" in summary
    assert [line.split()[2] for line in ledger.splitlines()] == ["incident.opened", "run.started", "run.finished"]


@pytest.mark.parametrize(
    "arguments",
    [("list",), ("show", "INC"), ("verify", "INC"), ("templates", "list"), ("templates", "show", "latency_spike"),
     ("models", "list"), ("models", "show", "fraud-v3"), ("models", "check"),
     ("run", "latency_spike", "--model", "fraud-v3", "--plan")],
    ids=" ".join,
)  # fmt: skip
def test_json_is_one_object_and_nothing_else(sample_run, arguments):
    """With --json standard output holds one JSON object; without, the same command prints text."""
    named = [sample_run.incident if word == "INC" else word for word in arguments]
    done = said(rbnb(*named, "--json", cwd=sample_run.root), 0)
    assert isinstance(json.loads(done.stdout), dict)
    plain = said(rbnb(*named, cwd=sample_run.root), 0)
    assert plain.stdout.strip()
    with pytest.raises(json.JSONDecodeError):
        json.loads(plain.stdout)


def test_a_plan_runs_nothing(workspace):
    """--plan shows window, reference, sources with rows and every parameter, and leaves no folder behind."""
    root = workspace().places.root
    done = said(rbnb("run", "latency_spike", "--model", "svc", "--plan", cwd=root), 0)
    for text in ("window", "reference", "4,056 rows", "seed", "nothing was run"):
        assert text in done.stdout
    assert not (root / "reports").exists() or not list((root / "reports").iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "texts"),
    [
        (("run", "latncy_spike", "--model", "svc"), 2, ["no template named 'latncy_spike'", "did you mean latency"]),
        (("run", "latency_spike", "--model", "svk"), 2, ["no model named 'svk'", "did you mean svc?"]),
        (("run", "latency_spike", "--model", "../svc"), 2, ["cannot be the name of a model"]),
        (("run", "../latency_spike", "--model", "svc"), 2, ["cannot be the name of a template"]),
        (("run", "latency_spike", "--model", "svc", "--incident", "../x"), 2, ["cannot be the name of an incident"]),
        (("run", "latency_spike", "--model", "svc", "--incident", "INC-20200101-01"), 2, ["no incident named"]),
        (("run", "latency_spike", "--model", "svc", "-p", "sead=1"), 2, ["sead", "did you mean seed"]),
        (("run", "latency_spike", "--model", "svc", "-p", "seed=x"), 2, ["seed", "a whole number"]),
        (("run", "latency_spike", "--model", "svc", "-p", "seed=-1"), 2, ["seed"]),
        (("run", "latency_spike", "--model", "svc", "-p", "seed"), 2, ["seed"]),
        (("run", "latency_spike", "--model", "svc", "--severity", "SEV9"), 2, ["'SEV9' is not a severity"]),
        (("run", "latency_spike", "--model", "svc", "--at", "yesterday"), 2, ["is not a time"]),
        (("run", "latency_spike", "--model", "svc", "--at", "2026-11-01T10:00:00"), 2, ["names no zone"]),
        (("run", "latency_spike", "--model", "svc", "--window", "2 moons"), 2, ["is not a duration"]),
        (("run", "latency_spike", "--model", "svc", "--window", "5m"), 2, ["fewer than two buckets"]),
        (("run", "latency_spike", "--model", "svc", "-p", "bucket=7m"), 2, ["does not divide an hour"]),
        (("run", "latency_spike", "--model", "svc", "-f", "none.yaml"), 2, ["none.yaml", "cannot be read"]),
        (("show", "INC-20200101-01"), 2, ["no incident named"]),
        (("verify", "INC-20200101-01"), 2, ["no incident named"]),
        (("templates", "show", "x"), 2, ["no template named 'x'"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_what_is_typed_wrong_is_told_with_what_is_allowed(workspace, arguments, code, texts):
    """A mistake on the command line leaves with 2, says what is wrong, and starts nothing."""
    root = workspace().places.root
    said(rbnb(*arguments, cwd=root), code, *texts)
    assert not (root / "reports").exists() or not list((root / "reports").iterdir())


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("name: [svc", ["svc.yaml", "line", "is not YAML"]),
        ("name: svc\nname: svc\n", ["stands here twice"]),
        (f"name: svc\n{LOGS}owners: me\n", ["owners", "not a known key", "owner"]),
        (f"name: other\n{LOGS}", ["must agree"]),
        ("name: svc\nlogs: {predictions: {columns: {timestamp: ts}}}\n", ["logs.predictions.table", "is required"]),
        ("- a\n", ["must hold keys and values"]),
    ],
    ids=["no-yaml", "twice", "unknown-key", "other-name", "missing-key", "a-list"],
)  # fmt: skip
def test_a_wrong_model_file_is_told_by_file_key_and_remedy(workspace, text, texts):
    """A mistake in a model file names the file, the key and what is allowed."""
    root = workspace().places.root
    (root / "models" / "svc.yaml").write_text(text)
    said(rbnb("run", "latency_spike", "--model", "svc", cwd=root), 2, *texts)


def test_a_wrong_rbnb_toml_and_no_workspace_at_all_are_told(tmp_path):
    """Outside a workspace the way to one is named; a broken rbnb.toml is named with its key."""
    said(rbnb("list", cwd=tmp_path), 2, "there is no rbnb.toml", "rbnb init")
    (tmp_path / "rbnb.toml").write_text("[workspace]\nmodel = 1\n")
    said(rbnb("list", cwd=tmp_path), 2, "workspace.model", "models")
    (tmp_path / "rbnb.toml").write_text("[workspace\n")
    said(rbnb("list", cwd=tmp_path), 2, "is not TOML")


def test_missing_data_leaves_with_5_and_opens_no_incident(workspace):
    """A table that is not there, or a column that is not in it, is an error before anything is recorded."""
    root = workspace().places.root
    model = root / "models" / "svc.yaml"
    text = model.read_text()
    model.write_text(text.replace("latency_ms: latency_ms", "latency_ms: latncy"))
    said(rbnb("run", "latency_spike", "--model", "svc", cwd=root), 5, "latncy", "its columns are ts, latency_ms")
    model.write_text(text.replace("svc.parquet", "gone.parquet"))
    said(rbnb("run", "latency_spike", "--model", "svc", cwd=root), 5, "no file matches")
    said(rbnb("models", "check", cwd=root), 5)
    assert not (root / "reports").exists() or not list((root / "reports").glob("INC-*"))


def test_exit_code_tells_what_was_found(workspace, sample_run):
    """With --exit-code a healthy run leaves with 0, an incident with 3, too little data with 8."""
    quiet = workspace().places.root
    assert rbnb("run", "latency_spike", "--model", "svc", "--exit-code", cwd=quiet).returncode == 0
    short = workspace(quiet_log(days=15).tail(30), folder="short").places.root
    assert rbnb("run", "latency_spike", "--model", "svc", "--exit-code", cwd=short).returncode == 8
    found = rbnb("run", "latency_spike", "--model", "fraud-v3", "--exit-code", cwd=sample_run.root)
    assert found.returncode == 3


def test_a_failing_cell_leaves_with_4_and_keeps_everything(workspace):
    """A runbook whose cell fails leaves a record, a page that says so, and a verdict of inconclusive."""
    root = workspace().places.root
    (root / "rbnb.toml").write_text('[workspace]\ntemplates = "own"\n')
    (root / "own").mkdir()
    shipped = json.loads((Path(__file__).parent.parent / "notebook_templates/latency_spike.ipynb").read_text())
    broken = next(cell for cell in shipped["cells"] if "case.triage(" in "".join(cell["source"]))
    broken["source"] = ["1 / 0\n"]
    (root / "own" / "latency_spike.ipynb").write_text(json.dumps(shipped))
    done = said(rbnb("run", "latency_spike", "--model", "svc", cwd=root), 4, "ZeroDivisionError", "Triage")
    folder = next((root / "reports").glob("INC-*/runs/01-latency_spike"))
    record = json.loads((folder / "run.json").read_text())
    assert (record["status"], record["verdict"]) == ("failed", "inconclusive")
    assert "did not finish" in (folder / "notebook.html").read_text()
    assert "rbnb run latency_spike" in done.stdout
    said(rbnb("verify", folder.parent.parent.name, cwd=root), 0)


def test_a_change_to_an_artifact_or_an_entry_is_found_with_6(copy, sample_run):
    """`rbnb verify` names the artifact that differs, and the first bad entry."""
    said(rbnb("verify", sample_run.incident, cwd=copy), 0)
    folder = copy / "reports" / sample_run.incident
    page = folder / "runs" / "01-latency_spike" / "notebook.html"
    page.write_bytes(page.read_bytes().replace(b"Infrastructure", b"infrastructure", 1))
    said(rbnb("verify", sample_run.incident, cwd=copy), 6, "notebook.html", "differs")
    entry = folder / "ledger" / "000002.json"
    entry.chmod(0o644)
    entry.write_bytes(entry.read_bytes().replace(b"latency_spike", b"latency_spikx", 1))
    said(rbnb("verify", sample_run.incident, cwd=copy), 6, "000002.json")


def test_a_decision_is_on_record_with_reason_and_digest(copy, sample_run):
    """`rbnb decide` needs a reason and a known option, and records which record it rests on."""
    said(rbnb("decide", sample_run.incident, "shift_traffic", cwd=copy), 2, "needs a reason")
    said(rbnb("decide", sample_run.incident, "shift_trafic", "-b", "x", cwd=copy), 2, "did you mean shift_traffic")
    done = said(rbnb("decide", sample_run.incident, "shift_traffic", "-b", "zone b waits", "--json", cwd=copy), 0)
    body = json.loads(done.stdout)
    assert body["follows_proposal"] is True
    assert body["record"].startswith("sha256:")
    shown = json.loads(rbnb("show", sample_run.incident, "--json", cwd=copy).stdout)
    assert shown["ledger"][-1]["kind"] == "decision.made"
    assert shown["ledger"][-1]["body"]["because"] == "zone b waits"


def test_joining_an_incident_adds_a_second_run(copy, sample_run):
    """A run with --incident goes into the same folder under the next number, and earlier findings stay."""
    done = rbnb("run", "latency_spike", "--model", "fraud-v3", "--incident", sample_run.incident, "--json", cwd=copy)
    record = json.loads(said(done, 0).stdout)
    assert (record["incident"], record["run"]) == (sample_run.incident, "02-latency_spike")
    assert record["verdict"] == "infrastructure"
    said(rbnb("verify", sample_run.incident, cwd=copy), 0)


def test_reports_that_cannot_be_written_leave_with_7_and_nothing_runs(workspace):
    """Where no record can be written, no kernel is started."""
    root = workspace().places.root
    (root / "reports").write_text("a file, not a folder")
    said(rbnb("run", "latency_spike", "--model", "svc", cwd=root), 7, "is not a folder")


def test_a_run_whose_process_was_killed_is_told_as_abandoned(workspace):
    """After a kill -9 `rbnb show` records the run as abandoned; it never reads as anything else."""
    root = workspace().places.root
    command = [str(RBNB), "run", "latency_spike", "--model", "svc"]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(root.glob("reports/INC-*/ledger/000002.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    incident = next((root / "reports").glob("INC-*")).name
    shown = json.loads(said(rbnb("show", incident, "--json", cwd=root), 0).stdout)
    assert [run["status"] for run in shown["runs"]] == ["abandoned"]
    assert shown["runs"][0]["verdict"] == "inconclusive"


def test_a_traceback_is_shown_only_when_asked_for(tmp_path):
    """--debug shows where an error came from; without it only the message is shown."""
    done = rbnb("--debug", "list", cwd=tmp_path)
    assert "Traceback" in done.stderr
    assert "Traceback" not in rbnb("list", cwd=tmp_path).stderr


def test_init_makes_a_workspace_that_runs_and_overwrites_nothing(tmp_path):
    """`rbnb init` twice is refused; the first has the sample model, whose data can be read."""
    said(rbnb("init", "ws", cwd=tmp_path), 0)
    said(rbnb("init", "ws", cwd=tmp_path), 2, "is a workspace already")
    said(rbnb("models", "check", cwd=tmp_path / "ws"), 0)
    said(rbnb("init", "empty", "--no-samples", cwd=tmp_path), 0)
    assert list((tmp_path / "empty" / "models").iterdir()) == []


def test_help_version_and_a_reader_that_leaves(sample_run):
    """Every command has help, the version is printed, and a closed pipe is no error."""
    for words in (["--help"], ["run", "--help"], ["models", "--help"], ["--version"]):
        assert rbnb(*words, cwd=sample_run.root).returncode == 0
    line = f"{RBNB} list | {sys.executable} -c 'pass'"
    done = subprocess.run(["bash", "-c", line], cwd=sample_run.root, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_names_from_data_cannot_steer_the_terminal(workspace):
    """An escape sequence in a model file's text reaches the screen as visible characters."""
    root = workspace(model={"description": "\x1b[31mred", "owner": "a\u202eb"}).places.root
    done = said(rbnb("models", "list", cwd=root), 0)
    assert "\x1b" not in done.stdout
