"""P9 and P11: nothing broken ever reads as healthy, and the same inputs give the same verdict and notebook.

P9: each fault of `broken_input`, in the whole log and in its newest file beside good ones, ends in a clear error
before anything runs, or in `inconclusive` with a reason. Most are judged without a kernel, by the plan, the
measurements and the policy of a run; a handful goes through the whole program.
"""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from broken_input import END, FAULTS, NEW, OLD, WHOLE, broken_log, good_rows, unsorted, write_model
from latency_fixture import policy

from rbnb.diagnoses.latency import summary
from rbnb.diagnoses.latency.hypotheses import hypotheses
from rbnb.diagnoses.latency.measure import LatencySettings, LatencySpike
from rbnb.errors import DataError, UsageError
from rbnb.planning import Request
from rbnb.policy import decide, judge
from rbnb.workspace import Workspace

RBNB = Path(sys.executable).with_name("rbnb")

#: Faults in the older file that leave enough of a sound past, or that raise an alarm rather than hide one.
HARMLESS_BEFORE = {"stale", "one time", "half the window", "first half of the window missing"}
IN_THE_PAST = sorted(set(FAULTS) - HARMLESS_BEFORE - {"constant"})


def verdict_of(root, at=""):
    """Judge as a run does, without a kernel: the name of the verdict and the first reason."""
    plan = Workspace.open(root).plan(Request("latency_spike", "svc", at=at))
    spike = LatencySpike(plan.data, plan.scope, plan.extent, LatencySettings(**policy().settings), 1)
    causes = hypotheses(spike)
    findings = judge(spike.signals, policy(), plan.model.thresholds)
    verdict = decide(policy(), findings, causes, summary.facts(spike)).verdict
    return verdict.name, verdict.because[0]


def outcome(root, at=""):
    """Return `refused` or the verdict, and the reason."""
    try:
        return verdict_of(root, at)
    except (DataError, UsageError) as error:
        return "refused", f"{error.message}: {error.hint}"


def assert_not_healthy(told):
    """It was refused with a message, or is inconclusive with a reason."""
    what, why = told
    assert what in ("refused", "inconclusive"), why
    assert len(why) > 20


@pytest.mark.parametrize("where", [WHOLE, NEW])
@pytest.mark.parametrize("fault", FAULTS)
def test_p9_a_broken_log_is_never_healthy(tmp_path, fault, where):
    """Whether the whole log is broken or only its newest file, the outcome says so, with a reason."""
    broken_log(tmp_path, fault, where)
    assert_not_healthy(outcome(tmp_path))


@pytest.mark.parametrize("fault", IN_THE_PAST)
def test_p9_a_broken_past_is_never_healthy(tmp_path, fault):
    """What is normal is not learned from a broken past: the newest file is good, the rest is not."""
    broken_log(tmp_path, fault, OLD)
    assert_not_healthy(outcome(tmp_path))


def test_p9_a_past_that_never_moved_is_not_healthy(tmp_path):
    """Where the past is one number and the present is not, somebody is told."""
    broken_log(tmp_path, "constant", OLD)
    assert outcome(tmp_path)[0] != "healthy"


@pytest.mark.parametrize("where", [WHOLE, NEW])
def test_p9_a_good_log_in_any_order_is_healthy(tmp_path, where):
    """The faults are told from what is no fault: the same rows, shuffled, are healthy."""
    broken_log(tmp_path, unsorted, where)
    assert outcome(tmp_path)[0] == "healthy"


@pytest.mark.parametrize(
    ("kept", "at"),
    [
        (timedelta(hours=2), ""),
        (timedelta(hours=3), ""),
        (timedelta(days=21), "2026-10-12T04:00:00Z"),
        (timedelta(days=21), "2026-10-12T00:00:00Z"),
        (timedelta(days=21), "2026-12-01T00:00:00Z"),
    ],
    ids=["log begins with the window", "an hour of past", "at the start of the log", "before it", "in the future"],
)
def test_p9_without_a_past_nothing_is_healthy(tmp_path, kept, at):
    """A log that begins with the window, and a window outside of the log, are no all-clear."""
    write_model(tmp_path)
    rows = good_rows()
    rows[rows["ts"] >= END - kept].to_parquet(tmp_path / "log" / "all.parquet", index=False)
    assert_not_healthy(outcome(tmp_path, at))


@pytest.mark.parametrize("change", ["a millisecond became a second", "ends early"])
def test_p9_answers_that_are_far_too_fast_are_not_healthy(tmp_path, change):
    """A changed unit, or requests that end before the work is done, are not a model that got faster."""
    write_model(tmp_path)
    rows, factor = good_rows(), {"a millisecond became a second": 0.001, "ends early": 0.05}[change]
    late = rows["ts"] >= END - timedelta(hours=4)
    rows.loc[late, "latency_ms"] *= factor
    rows.to_parquet(tmp_path / "log" / "all.parquet", index=False)
    assert_not_healthy(outcome(tmp_path))


def stale(root):
    """Write a good log that ended a week ago, without a recording: now is now."""
    write_model(root, recording=None)
    rows = good_rows()
    shift = pd.Timestamp.now("UTC") - pd.Timestamp(END) - pd.Timedelta(days=7)
    rows.assign(ts=rows["ts"] + shift).to_parquet(root / "log" / "all.parquet", index=False)


def test_p9_a_log_that_ended_a_week_ago_is_not_healthy_today(tmp_path):
    """Without --at and without a recording, old data says nothing about now."""
    stale(tmp_path)
    told = outcome(tmp_path)
    assert told[0] == "inconclusive"
    assert "7 d" in told[1]


TEXT = {
    "nothing": "",
    "only a header": "ts,id,latency_ms,status,zone\n",
    "no header": "2026-11-01T00:00:00Z,r1,50,200,a\n" * 600,
    "naive": None,
    "some naive": None,
    "words": None,
    "not text": "\x00\x01" * 4000,
}


@pytest.mark.parametrize("fault", TEXT)
def test_p9_broken_text_files_are_never_healthy(tmp_path, fault):
    """The same holds for a log that is written as text."""
    write_model(tmp_path, log={"table": "../log/*.csv"})
    text = TEXT[fault]
    if text is None:
        rows = good_rows()
        stamps = rows["ts"].dt.strftime("%Y-%m-%dT%H:%M:%S") + "Z"
        naive = {"naive": 1, "some naive": 2, "words": len(rows)}[fault]
        rows = rows.assign(ts=stamps.mask(rows.index % naive == 0, stamps.str[:-1]))
        if fault == "words":
            rows = rows.assign(ts=stamps, latency_ms=rows["latency_ms"].astype(str).where(rows.index % 9 > 0, "slow"))
        text = rows.to_csv(index=False)
    (tmp_path / "log" / "all.csv").write_text(text)
    assert_not_healthy(outcome(tmp_path))


def test_p9_a_good_text_file_is_healthy(tmp_path):
    """Text is no fault by itself."""
    write_model(tmp_path, log={"table": "../log/*.csv"})
    rows = good_rows()
    rows.assign(ts=rows["ts"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")).to_csv(tmp_path / "log" / "all.csv", index=False)
    assert outcome(tmp_path)[0] == "healthy"


@pytest.mark.parametrize(
    "log",
    [
        {"connection": "postgres://nobody@127.0.0.1:1/none", "table": "requests"},
        {"connection": "duckdb:///no/such/folder/file.db", "table": "requests"},
        {"connection": "nonsense", "table": "requests"},
        {"table": "requests"},
        {"table": "../log"},
        {"table": "../log/*.parquet", "connection": "${NO_SUCH_VARIABLE}"},
        {"table": "../log/../../../../../../etc/hostname"},
    ],
    ids=["refused", "no database", "no address", "no such table", "a folder", "no credentials", "not a table"],
)
def test_p9_what_cannot_be_reached_is_refused(tmp_path, log):
    """A connection or table that is not there is told in one line, before anything runs."""
    write_model(tmp_path, log=log)
    told = outcome(tmp_path)
    assert told[0] == "refused"
    assert not told[1].endswith(": ")


def rbnb(root, *words, **more):
    """Run the program in a workspace."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RBNB_")}
    command = [RBNB, *words]
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=180, env=environment, **more
    )


RUN = ("run", "latency_spike", "--model", "svc", "--exit-code", "--json")


def damaged_within(rows, path):
    """Write a parquet file whose data is damaged and whose end is whole, so that only reading it shows."""
    rows.to_parquet(path, index=False, compression="none")
    content = bytearray(path.read_bytes())
    content[len(content) // 5 : len(content) // 2] = b"\xff" * (len(content) // 2 - len(content) // 5)
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("fault", "code", "verdict"),
    [
        ("truncated", 5, None),
        ("all NaN", 8, "inconclusive"),
        (damaged_within, None, "inconclusive"),
        (unsorted, 0, "healthy"),
    ],
    ids=["truncated", "all NaN", "damaged within", "nothing is wrong"],
)
def test_p9_the_program_itself_never_calls_it_healthy(tmp_path, fault, code, verdict):
    """From the command to the record: a code, a message and no traceback; healthy is only what is."""
    broken_log(tmp_path, fault, WHOLE)
    done = rbnb(tmp_path, *RUN)
    told = json.loads(done.stdout)
    assert done.returncode in ((code,) if code is not None else (4, 5)), done.stderr
    assert "Traceback" not in done.stderr
    if done.returncode == 5:
        assert not list(tmp_path.glob("reports/*/runs/*/run.json"))
        assert told["error"]["message"] in done.stderr
    else:
        assert told["verdict"] == verdict
        assert told["because"]


def normalised(folder):
    """Return the executed notebook without ids and times."""
    notebook = json.loads((folder / "notebook.ipynb").read_bytes())
    about = notebook["metadata"]
    about.pop("papermill", None)
    about.pop("rbnb_run", None)
    for cell in notebook["cells"]:
        for key in ("papermill", "execution"):
            cell["metadata"].pop(key, None)
        cell.pop("id", None)
    return notebook


FLEETING = ("started", "finished", "products", "environment")


def test_p11_the_same_inputs_give_the_same_run(sample_run, tmp_path):
    """In another folder, at another time: the same verdict, findings and causes, and the same notebook."""
    for part in ("models", "fraud-v3", "rbnb.toml"):
        (tmp_path / part).symlink_to(sample_run.root / part)
    done = rbnb(tmp_path, "run", "latency_spike", "--model", "fraud-v3", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    one, other = ({k: v for k, v in r.items() if k not in FLEETING} for r in (sample_run.record, record))
    day = {sample_run.incident: "INC", record["incident"]: "INC"}
    assert renamed(one, day) == renamed(other, day)
    folder = tmp_path / "reports" / record["incident"] / "runs" / record["run"]
    differ = [
        pair
        for pair in zip(renamed(normalised(sample_run.folder), day), renamed(normalised(folder), day), strict=True)
        if len(set(pair)) > 1
    ]
    assert differ == []


def renamed(thing, names):
    """Return JSON text in which the incident's own name does not matter."""
    text = json.dumps(thing, indent=1)
    for name, stand_in in names.items():
        text = text.replace(name, stand_in)
    return text.splitlines()
