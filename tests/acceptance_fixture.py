"""An incident on live logs whose fault ends: a scene on disk, a run in process, and the ledger of what was done."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from template_fixture import run_cells

from rbnb.diagnoses.latency import summary
from rbnb.diagnoses.latency.measure import LatencySpike
from rbnb.incidents import open_incident
from rbnb.model import to_plain
from rbnb.record import build_record, list_products
from rbnb.simulate import LatencyFault, scene
from rbnb.times import format_time
from rbnb.workspace import Workspace

#: When the fault begins and when it ends; it is contained then. A Thursday.
ONSET = datetime(2026, 11, 19, 8, tzinfo=UTC)
CONTAINED = ONSET + timedelta(hours=2)
#: When the logs have come as far as two windows after that.
LATER = CONTAINED + timedelta(hours=4)


class Clock:
    """A clock that stands until it is set."""

    def __init__(self, now: datetime = CONTAINED) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return the time it was set to."""
        return self.now


def spike(*, until: datetime | None = CONTAINED, seed: int = 3, per_hour: float = 600, days: float = 8.5) -> Any:
    """Return eight days of a churn model whose zone b is slow from `ONSET` until `until`; None: to the end."""
    fault = LatencyFault(ONSET, until, where="zone=b", factor=3.0)
    end = datetime(2026, 11, 19, 22, tzinfo=UTC)
    return scene("churn", seed=seed, days=days, end=end, per_hour=per_hour, faults=[fault], training_rows=600)


def write_live(root, made, until, *, name="live", **model: Any):
    """Write a scene as live logs that have come as far as `until`; keys of the model file may be given."""
    seen = made.predictions[made.predictions["ts"] < until]
    shutil.rmtree(root / name, ignore_errors=True)
    replace(made, predictions=seen).write(root, name=name)
    path = root / "models" / f"{name}.yaml"
    text = yaml.safe_load(path.read_text(encoding="utf-8"))
    text.pop("recording")
    text["peak_window"] = {"days": "mon-fri", "start": "13:00", "end": "14:00"}
    text |= model
    path.write_text(yaml.safe_dump(text, sort_keys=False, allow_unicode=True), encoding="utf-8")
    if not (root / "rbnb.toml").exists():
        (root / "rbnb.toml").write_text("[workspace]\n", encoding="utf-8")
    return path


def workspace_of(root, clock) -> Workspace:
    """Open a workspace with a clock."""
    return Workspace.open(root, clock=clock)


def run_once(workspace, template, model, at, *, incident=None, **parameters):
    """Run a runbook's cells as of a time, and put its record where a run would; return the incident."""
    parameters |= {"at": format_time(at), "clock": format_time(at)}
    case = run_cells(template, model, workspace.places.root, **parameters)
    if incident is None:
        body = {"model": model, "template": template, "severity": None, "environment": "production"}
        incident = open_incident(workspace.places.reports, workspace.clock, body, workspace.places)
    course = summary.course(case.diagnose(LatencySpike)) if template == "latency_spike" else {}
    detection, parameters = to_plain(course), {"bucket": "auto", "window": "2h", **case.parameters}
    add_run(incident, template, parameters, to_plain(case._judged()), detection, at)
    return incident


def add_run(incident, template, parameters, triage, detection, at, *, model="live"):
    """Put a completed run's record into an incident and on its ledger."""
    folder = incident.take_run_folder(template)
    record = build_record(
        incident=incident.name,
        run=folder.name,
        template={"name": template, "version": "1.0.0", "digest": "sha256:" + "0" * 64},
        model={"name": model, "version": "1", "environment": "production"},
        parameters=parameters,
        status="completed",
        error=None,
        scraps={"stage.triage": triage, "stage.detection": detection},
        started=at,
        finished=at,
        products=[],
    )
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    started = {"run": folder.name, "template": {"name": template}, "model": model, "pid": 0, "host": "elsewhere"}
    incident.ledger.append("run.started", started, by="ada")
    ended = {"run": folder.name, "status": "completed", "verdict": record["verdict"], "severity": "SEV2"}
    artifacts = [to_plain(one) for one in list_products(folder)]
    incident.ledger.append("run.finished", {**ended, "artifacts": artifacts}, by="ada")
    return folder


def contain(incident, action="shift_traffic", attempt=1):
    """Put on the ledger that an action was done and verified."""
    body = {"attempt": attempt, "action": action, "way": "execute"}
    incident.ledger.append("action.started", {**body, "plan": "sha256:1", "phase": "containment"}, by="ada")
    incident.ledger.append("action.finished", {**body, "outcome": "done"}, by="ada")
    incident.ledger.append("action.verified", {**body, "held": True}, by="ada")


def spike_incident(root, made, clock, **model: Any):
    """Return a workspace and an incident: the spike was found at its end, and contained then."""
    clock.now = CONTAINED
    write_live(root, made, CONTAINED, **model)
    workspace = workspace_of(root, clock)
    incident = run_once(workspace, "latency_spike", "live", CONTAINED)
    contain(incident)
    return workspace, incident
