"""A workspace with one incident, a run whose record is on the disk, and a decision: ready to act."""

import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from rbnb.incidents import open_incident
from rbnb.times import format_time
from rbnb.workspace import Workspace

RBNB = Path(sys.executable).with_name("rbnb")
RUN = "01-latency_spike"
PEOPLE = """\
[workspace]
policies = "policies"
[people.ada]
[people.ben]
[people.cleo]
[people.dan]
[people.eva]
[roles]
incident_commander = { people = ["ada"] }
responder = { people = ["ada", "dan"] }
approver = { people = ["ben", "cleo"] }
stakeholder = { people = ["eva"] }
[actions]
execute = true
"""

#: An action that runs a program called like `program`, and reads a file that it changes.
PROGRAM = {
    "title": "Turn the switch off",
    "objective": "Keep the model from serving.",
    "phase": "containment",
    "risk": "medium",
    "blast_radius": "One model.",
    "expected_outcome": "The switch is off.",
    "safety_check": "If callers fail, roll back.",
    "manual": "Turn the switch off by hand.",
    "values": {"name": {"pattern": "[a-z]+", "help": "which switch", "default": "main"}},
    "preconditions": [{"text": "The switch is there.", "command": ["switch", "read", "${name}"], "tolerance": 0}],
    "snapshot": {"command": ["switch", "read", "${name}"], "take": {"before": {"jsonpath": "$.state"}}},
    "dry_run": {"command": ["switch", "try", "${name}"], "expect": "It says what it would do."},
    "execute": {"command": ["switch", "set", "${name}", "off"], "expect": "It says ok.", "timeout": "10s"},
    "verify": {
        "command": ["switch", "read", "${name}"],
        "expect": "The switch is off.",
        "tolerance": {"jsonpath": "$.state", "equals": "off"},
        "within": "1s",
        "every": "0.2s",
    },
    "rollback": {"command": ["switch", "set", "${name}", "${snapshot.before}"], "expect": "It says ok."},
    "rollback_verify": {
        "command": ["switch", "read", "${name}"],
        "expect": "The switch is as it was.",
        "tolerance": {"jsonpath": "$.state", "equals": "${snapshot.before}"},
    },
}

#: The program: a switch in a file, every call in a journal beside it. What `set` does beyond that is `extra`.
SWITCH = """\
#!{python} -ISE
import json, os, sys, time
here = {here!r}
with open(here + "/calls", "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
path = here + "/" + sys.argv[2]
if sys.argv[1] == "read":
    print(json.dumps({{"state": open(path).read()}}))
if sys.argv[1] == "try":
    print("would turn it off")
if sys.argv[1] == "set":
{extra}
    open(path, "w").write(sys.argv[3])
    print("ok")
"""


class Scene:
    """The workspace, its incident, and the switch that is acted on."""

    def __init__(self, folder, clock):
        self.root, self.folder, self.clock = folder / "ws", folder, clock
        self.switch = folder / "switch"
        self.workspace = Workspace.open(self.root, clock)
        self.name = ""

    @property
    def incident(self):
        """The incident, opened anew."""
        return self.workspace.incident(self.name)

    @property
    def state(self):
        """What its ledger comes to now."""
        return self.incident.state()

    def kinds(self, beginning="action."):
        """Return the kinds of the entries that begin so, in order."""
        return [entry.kind for entry in self.state.entries if entry.kind.startswith(beginning)]

    def last(self, kind):
        """Return the last entry of a kind."""
        return [entry for entry in self.state.entries if entry.kind == kind][-1]

    def calls(self, verb="set"):
        """Return what the program was called with, so far."""
        journal = self.switch / "calls"
        lines = journal.read_text().splitlines() if journal.exists() else []
        return [line for line in lines if line.startswith(verb)]

    def write_program(self, extra="    pass"):
        """Write the program; `extra` are the lines that `set` runs first, indented by four."""
        write_script(
            self.folder / "bin" / "switch", SWITCH.format(python=sys.executable, here=str(self.switch), extra=extra)
        )

    def write_action(self, name="switch_off", text=None, **changed):
        """Write an action into the workspace's catalog; what is None is left out."""
        folder = self.root / "policies" / "actions"
        folder.mkdir(parents=True, exist_ok=True)
        whole = {key: value for key, value in {**PROGRAM, **changed}.items() if value is not None}
        (folder / f"{name}.yaml").write_text(text or yaml.safe_dump(whole, sort_keys=False))

    def run(self, run=RUN, *, verdict="genuine", proposal="switch_off"):
        """Put a completed run on record, with a record and some evidence on the disk."""
        folder = self.root / "reports" / self.name / "runs" / run
        (folder / "evidence").mkdir(parents=True)
        record = {
            "template": {"name": "latency_spike"},
            "verdict": verdict,
            "findings": [],
            "proposal": {"action": proposal, "values": {}, "where": ""},
            "materials": [],
            "parameters": {},
        }
        (folder / "run.json").write_text(json.dumps(record))
        (folder / "evidence" / "slow.csv").write_text("request,latency\n1,900\n")
        digest = hashlib.sha256((folder / "run.json").read_bytes()).hexdigest()
        ledger = self.incident.ledger
        ledger.append("run.started", {"run": run}, by="ada")
        artifacts = [{"path": "run.json", "sha256": digest}]
        body = {"run": run, "status": "completed", "verdict": verdict, "severity": "SEV2", "artifacts": artifacts}
        ledger.append("run.finished", body, by="ada")
        return f"sha256:{digest}"

    def decide(self, action="switch_off", *, by="ada", values=None):
        """Put a decision for an action on record, as `by`."""
        os.environ["RBNB_USER"] = by
        self.workspace.decide(self.name, action, "it has to stop", values=values or {})
        os.environ["RBNB_USER"] = "dan"

    def rbnb(self, *arguments, user="dan", env=(), **kwargs):
        """Run the command line in the workspace, and return how it ended."""
        return subprocess.run(
            [str(RBNB), *arguments], cwd=self.root, env=self.environ(user, env), capture_output=True, text=True,
            timeout=60, check=False, **kwargs,
        )  # fmt: skip

    def start(self, *arguments, user="dan", env=()):
        """Start the command line in the workspace, and return its process."""
        return subprocess.Popen(
            [str(RBNB), *arguments], cwd=self.root, env=self.environ(user, env), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def environ(self, user, env=()):
        """Return the environment of a command."""
        return {**os.environ, "RBNB_USER": user, **dict(env)}

    def wait_for(self, what, seconds=10):
        """Wait until something is true."""
        until = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < until, "it did not happen in time"
            time.sleep(0.02)


def write_script(path, text):
    """Write a program that can be executed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def make_scene(tmp_path, monkeypatch, *, environment="development", toml=PEOPLE, decided=True):
    """Return a scene: a workspace, an incident with a run, an action, its program on PATH, and a decision for it."""
    root = tmp_path / "ws"
    (root / "models").mkdir(parents=True)
    (root / "rbnb.toml").write_text(toml)
    columns = {"timestamp": "ts", "latency_ms": "latency_ms"}
    model = {
        "name": "svc",
        "environment": environment,
        "logs": {"predictions": {"table": "../log.parquet", "columns": columns}},
    }
    (root / "models" / "svc.yaml").write_text(yaml.safe_dump(model))
    now = [datetime(2026, 11, 22, 12, tzinfo=UTC)]

    def clock():
        now[0] += timedelta(seconds=1)
        return now[0]

    scene = Scene(tmp_path, clock)
    scene.switch.mkdir()
    (scene.switch / "main").write_text("on")
    scene.write_program()
    scene.write_action()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("RBNB_USER", "dan")
    body = {"model": "svc", "template": "latency_spike", "severity": "SEV2", "environment": environment}
    body["detected_at"] = format_time(clock())
    scene.name = open_incident(root / "reports", clock, body, scene.workspace.places).name
    scene.run()
    if decided:
        scene.decide()
    return scene
