"""The command line as a tired person types it: codes, messages with a hint, one JSON object, never a traceback."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest
import yaml
from broken_input import broken_log, good_rows, unsorted, write_model

from rbnb.cli import main

RBNB = Path(sys.executable).with_name("rbnb")
RUN = ("run", "latency_spike", "--model")


def environment(**more):
    """Return the environment of a command, without what a caller's workspace would add."""
    return {k: v for k, v in os.environ.items() if not k.startswith("RBNB_")} | more


def rbnb(root, *words, **more):
    """Run the program in a folder."""
    command = [RBNB, *map(str, words)]
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=180, env=environment(**more)
    )


class Typed(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def type_in(monkeypatch, capsys):
    """Return a function that runs the program's entry point in this process: many mistakes in little time."""

    def typed(root, *words):
        monkeypatch.chdir(root)
        monkeypatch.setattr(sys, "argv", ["rbnb", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        return Typed(int(left.value.code or 0), *capsys.readouterr())

    return typed


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A workspace with a model whose log is good, and no incident."""
    root = tmp_path_factory.mktemp("good")
    broken_log(root, unsorted, "whole")
    return root


@pytest.fixture
def sample(sample_run, tmp_path):
    """A copy of the workspace in which the sample model was run."""
    shutil.copytree(sample_run.root, tmp_path / "ws")
    return tmp_path / "ws"


#: What is typed, and a piece of the message and of the hint.
MISTAKES = [
    (("run", "latency_spik", "--model", "svc"), "no template named 'latency_spik'", "did you mean latency_spike?"),
    ((*RUN, "sv"), "no model named 'sv'", "did you mean svc?"),
    ((*RUN, "svc", "--incident", "INC-20990101-01"), "no incident named", "there is no incident yet"),
    (("run", "../x", "--model", "svc"), "cannot be the name of a template", "letters, digits"),
    ((*RUN, "../../etc/passwd"), "cannot be the name of a model", "letters, digits"),
    ((*RUN, "svc", "--incident", "../x"), "cannot be the name of an incident", "letters, digits"),
    ((*RUN, "svc", "-p", "windw=3h"), "has no parameter 'windw'", "did you mean window?"),
    ((*RUN, "svc", "-p", "seed=abc"), "is not a whole number", "at least 0"),
    ((*RUN, "svc", "-p", "seed=nan"), "is not a whole number", "at least 0"),
    ((*RUN, "svc", "-p", "seed=-1"), "seed", "at least 0"),
    ((*RUN, "svc", "-p", "seed"), "'seed' is no parameter", "-p name=value"),
    ((*RUN, "svc", "--at", "2026-11-01T14:05:00"), "names no zone", "2026-11-01T14:05:00Z if it is UTC"),
    ((*RUN, "svc", "--at", "yesterday"), "'yesterday' is not a time", "write it as"),
    ((*RUN, "svc", "--at", "2030-01-01T00:00:00Z"), "is in the future", "now is 2026-11-02T00:00:00Z"),
    ((*RUN, "svc", "--at", "2020-01-01T00:00:00Z"), "before the request log begins", "its first row is"),
    ((*RUN, "svc", "--window", "2x"), "'2x' is not a duration", "2h, 90m"),
    ((*RUN, "svc", "--window", "0h"), "'0h' is not a duration", "2h, 90m"),
    ((*RUN, "svc", "--window", "1m"), "fewer than two buckets", "widen it"),
    ((*RUN, "svc", "--severity", "sev2"), "'sev2' is not a severity", "SEV1"),
    ((*RUN, "svc", "-f", "nowhere.yaml"), "nowhere.yaml: cannot be read", ""),
    (("show", "INC-1"), "no incident named 'INC-1'", ""),
    (("verify", "INC-1"), "no incident named 'INC-1'", ""),
    (("decide", "INC-1", "observe"), "a decision needs a reason", "--because"),
    (("models", "show", "sv"), "no model named 'sv'", "did you mean svc?"),
    (("templates", "show", "latency"), "no template named 'latency'", "latency_spike"),
    (("init", "."), "is a workspace already", "another folder"),
]


@pytest.mark.parametrize(("words", "message", "hint"), MISTAKES, ids=[" ".join(words) for words, _, _ in MISTAKES])
def test_a_mistake_gets_code_2_a_message_and_a_hint(type_in, good, words, message, hint):
    """What is wrong, what to do, code 2; nothing on standard output, no traceback, and nothing was started."""
    done = type_in(good, *words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
    assert not (good / "reports").exists()


def test_an_error_is_one_json_object_where_one_was_asked_for(type_in, good):
    """A program that asked for JSON gets the error as JSON too, and a person the same words."""
    done = type_in(good, *RUN, "sv", "--json")
    told = json.loads(done.stdout)["error"]
    assert (told["exit_code"], told["hint"]) == (2, "did you mean svc?")
    assert told["message"] in done.stderr


def test_a_traceback_is_shown_when_asked_for(type_in, good):
    """--debug shows where it came from, and changes neither message nor code."""
    done = type_in(good, "--debug", *RUN, "sv")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "did you mean svc?" in done.stderr


FILES = {
    "a list": ("- a\n", "must hold keys and values"),
    "no YAML": ("a: [1,\n", "is not YAML"),
    "a key twice": ("window: 2h\nwindow: 3h\n", "twice"),
    "unknown": ("windw: 2h\n", "did you mean window?"),
    "wrong type": ("seed: soon\n", "is not a whole number"),
    "not a number": ("seed: .nan\n", "seed"),
}


@pytest.mark.parametrize("mistake", FILES)
def test_a_file_of_parameters_is_held_to_the_same_rules(type_in, good, tmp_path, mistake):
    """A mistake in the file of -f is named, with what is allowed."""
    text, message = FILES[mistake]
    (tmp_path / "p.yaml").write_text(text)
    done = type_in(good, *RUN, "svc", "-f", tmp_path / "p.yaml")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


WORKSPACES = {
    "no TOML": ("[workspace\n", "is not TOML"),
    "a key twice": ("[workspace]\nmodels='a'\nmodels='b'\n", "is not TOML"),
    "unknown key": (
        "[workspace]\nmodel='a'\n",
        "workspace.model: is not a known key; allowed here: baselines, models, policies",
    ),
    "wrong type": ("[workspace]\nmodels=3\n", "workspace.models"),
    "not text": (b"\xff\xfe\x00", "cannot be read"),
}


@pytest.mark.parametrize("mistake", WORKSPACES)
def test_a_wrong_workspace_file_is_named_with_key_and_remedy(type_in, tmp_path, mistake):
    """File, key, what is allowed; code 2."""
    text, message = WORKSPACES[mistake]
    (tmp_path / "rbnb.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = type_in(tmp_path, "list")
    assert done.returncode == 2
    assert "rbnb.toml" in done.stderr
    assert message in done.stderr


def test_outside_a_workspace_one_is_told_how_to_get_one(type_in, tmp_path):
    """No rbnb.toml: the way out is said."""
    done = type_in(tmp_path, "list")
    assert done.returncode == 2
    assert "rbnb init DIR" in done.stderr


MODELS = {
    "unknown key": ({"onwer": "x"}, "onwer: is not a known key; allowed here:"),
    "wrong name": ({"name": "other"}, "they must agree"),
    "unknown action": ({"actions": ["rollback_versio"]}, "did you mean rollback_version"),
    "unknown platform": ({"platforms": ["kuberntes"]}, "did you mean kubernetes"),
    "unknown threshold": ({"thresholds": {"latency_p98.breach": 1.0}}, "latency_p9"),
    "no such quantile": ({"slo": {"latency_ms": {"p98": 10}}}, "slo.latency_ms"),
    "two ways": ({"reference": {"window": "P1D", "start": "2026-01-01T00:00:00Z"}}, "either a window, or both"),
}


@pytest.mark.parametrize("mistake", MODELS)
def test_a_wrong_model_file_is_named_with_key_and_remedy(type_in, tmp_path, mistake):
    """File, key, what is allowed; code 2, and nothing was started."""
    change, message = MODELS[mistake]
    write_model(tmp_path, **{k: v for k, v in change.items() if k != "name"})
    good_rows(days=15, every="10min").to_parquet(tmp_path / "log" / "all.parquet", index=False)
    path = tmp_path / "models" / "svc.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    done = type_in(tmp_path, *RUN, "svc")
    assert done.returncode == 2
    assert message in done.stderr
    assert "svc.yaml" in done.stderr
    assert not (tmp_path / "reports").exists()


COMMANDS = [
    ("list",), ("templates", "list"), ("templates", "show", "latency_spike"), ("models", "list"),
    ("models", "show", "fraud-v3"), ("models", "check"), ("show", "INC"), ("verify", "INC"),
    (*RUN, "fraud-v3", "--plan"), ("decide", "INC", "observe", "-b", "it is being watched"),
]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=[" ".join(words) for words in COMMANDS])
def test_every_command_does_its_work_and_prints_one_object(sample, sample_run, words):
    """The happy path: code 0, nothing on standard error, one object with --json, text without colour when piped."""
    words = [sample_run.incident if word == "INC" else word for word in words]
    plain = rbnb(sample, *words)
    as_json = rbnb(sample, *words, "--json")
    assert (plain.returncode, as_json.returncode) == (0, 0), plain.stderr + as_json.stderr
    assert plain.stderr == as_json.stderr == ""
    assert isinstance(json.loads(as_json.stdout), dict)
    assert plain.stdout.strip()
    assert "\x1b" not in plain.stdout


def test_a_found_incident_has_a_code_of_its_own(sample, sample_run):
    """--exit-code tells what was found; a second run joins the incident and has the next number; both verify."""
    done = rbnb(sample, *RUN, "fraud-v3", "--incident", sample_run.incident, "--exit-code", COLUMNS="100")
    assert done.returncode == 3, done.stderr
    assert sorted(p.name for p in (sample / "reports" / sample_run.incident / "runs").iterdir()) == [
        "01-latency_spike",
        "02-latency_spike",
    ]
    lines = done.stdout.splitlines()
    assert len(lines) <= 25
    assert "INFRASTRUCTURE" in lines[0]
    assert max(map(len, lines[:-2])) <= 100
    assert rbnb(sample, "verify", sample_run.incident).returncode == 0


def test_a_failed_cell_leaves_code_4_and_a_way_on(sample, sample_run):
    """When a cell fails, the stage, the message and where to look are told, and `show` tells them again."""
    newest = max((sample / "fraud-v3" / "predictions").glob("*.parquet"))
    about = pq.ParquetFile(newest).metadata.row_group(0)
    chunk = next(c for c in map(about.column, range(about.num_columns)) if c.path_in_schema == "latency_ms")
    content = bytearray(newest.read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    newest.write_bytes(bytes(content))
    done = rbnb(sample, *RUN, "fraud-v3", "--incident", sample_run.incident)
    assert done.returncode == 4, done.stderr
    assert "the run did not complete (failed)" in done.stderr
    assert "Traceback" not in done.stderr
    shown = rbnb(sample, "show", sample_run.incident)
    assert shown.returncode == 0
    assert "FAILED (NO VERDICT)" in shown.stdout
    assert "healthy" not in shown.stdout.lower()


def test_a_killed_program_is_shown_as_abandoned(sample, sample_run):
    """After kill -9 in the middle of a run whoever looks next records that it was abandoned, by name."""
    command = [RBNB, *RUN, "fraud-v3", "--incident", sample_run.incident]
    running = subprocess.Popen(command, cwd=sample, stdout=subprocess.DEVNULL, env=environment())
    ledger = sample / "reports" / sample_run.incident / "ledger"
    deadline = time.monotonic() + 60
    while len(list(ledger.glob("*.json"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    told = json.loads(rbnb(sample, "list", "--json").stdout)["incidents"][0]["runs"][-1]
    assert (told["run"], told["status"], told["verdict"]) == ("02-latency_spike", "abandoned", "inconclusive")
    shown = rbnb(sample, "show", sample_run.incident)
    assert shown.returncode == 0
    assert "abandoned" in shown.stdout
    assert rbnb(sample, "verify", sample_run.incident).returncode == 0


def test_two_runs_at_once_get_numbers_of_their_own(tmp_path):
    """Two programs started together open two incidents, and both end."""
    broken_log(tmp_path, unsorted, "whole")
    command = [RBNB, *RUN, "svc", "--json"]
    both = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment()) for _ in range(2)
    ]
    records = [json.loads(one.communicate(timeout=180)[0]) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert len({record["incident"] for record in records}) == 2
    assert {record["verdict"] for record in records} == {"healthy"}


def test_where_nothing_can_be_recorded_nothing_is_run(good, tmp_path):
    """A folder of reports that cannot be one: code 7 and nothing run; nor is it listed as empty."""
    root = tmp_path / "ws"
    shutil.copytree(good, root)
    (root / "reports").write_text("")
    before = sorted(root.rglob("*"))
    for words in ((*RUN, "svc"), ("list",)):
        done = rbnb(root, *words)
        assert done.returncode == 7
        assert "reports is not a folder" in done.stderr
    assert sorted(root.rglob("*")) == before


def test_a_changed_artifact_and_a_changed_entry_are_named(sample, sample_run):
    """Verify leaves with 6 and names what differs; a damaged ledger is listed as damaged and hides no other."""
    incident = sample / "reports" / sample_run.incident
    with (incident / "runs" / "01-latency_spike" / "run.json").open("a") as file:
        file.write(" ")
    done = rbnb(sample, "verify", sample_run.incident, "--json")
    assert done.returncode == 6
    assert json.loads(done.stdout)["problems"] == ["runs/01-latency_spike/run.json: differs from what was recorded"]
    entry = incident / "ledger" / "000002.json"
    entry.write_text(entry.read_text().replace("fraud-v3", "fraud-v4"))
    done = rbnb(sample, "verify", sample_run.incident)
    assert done.returncode == 6
    assert "ledger/000002.json" in done.stderr
    listed = rbnb(sample, "list", "--json")
    assert listed.returncode == 6
    assert [i["status"] for i in json.loads(listed.stdout)["incidents"]] == ["damaged"]
    assert sample_run.incident in listed.stderr


def test_a_decision_is_on_record_with_its_reason(sample, sample_run):
    """What was chosen, why, by whom, on which record, and whether it follows the proposal."""
    refused = rbnb(sample, "decide", sample_run.incident, "shift_trafic", "-b", "x")
    assert refused.returncode == 2
    assert "did you mean shift_traffic?" in refused.stderr
    assert rbnb(sample, "decide", sample_run.incident, "none", "-b", "  ").returncode == 2
    done = rbnb(sample, "decide", sample_run.incident, "none", "-b", "we wait", RBNB_USER="ann")
    assert done.returncode == 0
    assert "overrides the proposal (shift_traffic)" in done.stdout
    entry = json.loads(rbnb(sample, "show", sample_run.incident, "--json").stdout)["ledger"][-1]
    assert (entry["kind"], entry["by"]) == ("decision.made", "ann")
    assert (entry["body"]["choice"], entry["body"]["because"]) == ("none", "we wait")
    assert entry["body"]["follows_proposal"] is False
    assert rbnb(sample, "show", sample_run.incident, "--run", "09-x").returncode == 2


def test_a_new_workspace_is_ready_and_is_made_once(tmp_path):
    """Init makes it, a second init refuses, --no-samples leaves the models out."""
    assert rbnb(tmp_path, "init", "ws", "--no-samples").returncode == 0
    assert rbnb(tmp_path, "init", "ws").returncode == 2
    assert list((tmp_path / "ws" / "models").iterdir()) == []
    empty = rbnb(tmp_path / "ws", "models", "list")
    assert (empty.returncode, empty.stdout) == (0, "no model files yet\n")
    (tmp_path / "file").write_text("")
    assert rbnb(tmp_path, "init", "file/ws").returncode == 2


@pytest.mark.parametrize("words", [("list",), ("models", "show", "svc"), ("run", "--help")])
def test_a_reader_that_leaves_early_is_no_error(good, words):
    """`rbnb list | head -0` shows no traceback and no complaint."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [RBNB, *words], cwd=good, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, env=environment()
    )
    os.close(writing)
    assert done.stderr == ""


def test_the_version_is_told():
    """`rbnb --version` prints it and nothing else."""
    done = rbnb(Path.cwd(), "--version")
    assert done.returncode == 0
    assert done.stdout.strip().count(".") == 2
