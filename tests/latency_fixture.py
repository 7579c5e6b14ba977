"""Logs with a known story on disk, and a latency spike judged as a run judges it, without a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import yaml

from rbnb.data import ModelData
from rbnb.diagnoses.latency import summary
from rbnb.diagnoses.latency.hypotheses import hypotheses
from rbnb.diagnoses.latency.measure import LatencySettings, LatencySpike
from rbnb.inventory import load_model_file
from rbnb.policy import decide, grade, judge, load_policy

if TYPE_CHECKING:
    from rbnb.model import Cause, Finding, Severity
    from rbnb.policy import Decision

POLICY = Path(__file__).parent.parent / "policies" / "latency_spike.yaml"
SEGMENTS = ("zone", "host", "region", "channel", "version")
STAGES = ("queue_ms", "features_ms", "inference_ms", "post_ms")


@dataclass(frozen=True)
class Judged:
    """What a run comes to."""

    spike: LatencySpike
    causes: list[Cause]
    findings: list[Finding]
    decision: Decision
    severity: Severity

    @property
    def verdict(self):
        """The verdict's name."""
        return self.decision.verdict.name

    @property
    def alarm(self):
        """Whether somebody would be told that something is, or was, wrong."""
        return self.verdict in ("genuine", "transient", "infrastructure")

    @property
    def episode(self):
        """The stretch that was found, or None."""
        return self.spike.detection.episode

    def supported(self):
        """Return kind and place of each supported cause, best first."""
        return [(cause.kind, cause.where) for cause in self.causes if cause.status == "supported"]

    def finding(self, name):
        """Return the one finding of this name."""
        (found,) = [f for f in self.findings if f.signal == name]
        return found


@cache
def policy():
    """Read the shipped policy once."""
    return load_policy(POLICY)


def write_model(folder, log, *, metrics=None, changes=None, calls=None, **more):
    """Write a log and its model file, with every column that the simulation fills; return the model file."""
    log.assign(id=range(len(log))).astype({"id": str}).to_parquet(folder / "log.parquet", index=False)
    columns = {"timestamp": "ts", "request_id": "id", "latency_ms": "latency_ms", "status_code": "status_code"}
    logs = {
        "predictions": {
            "table": "log.parquet",
            "columns": {**columns, "model_version": "version"},
            "stages": list(STAGES),
            "segments": list(SEGMENTS),
        }
    }
    for name, frame in (("metrics", metrics), ("changes", changes), ("dependencies", calls)):
        if frame is not None:
            frame.to_parquet(folder / f"{name}.parquet", index=False)
            logs[name] = {"table": f"{name}.parquet"}
    path = folder / "model.yaml"
    path.write_text(yaml.safe_dump({"name": "model", "logs": logs, **more}))
    return path


def change_log(*rows):
    """Return a change log from (time, kind, what, segment)."""
    frame = pd.DataFrame(rows, columns=["time", "kind", "what", "segment"])
    return frame.assign(time=pd.to_datetime(frame["time"], utc=True), who="somebody", link="")


class Judge:
    """One model's logs, opened once, judged at any time."""

    def __init__(self, path):
        self.model = load_model_file(path)
        self.data = ModelData(self.model, path.parent)

    def at(self, at="", *, clock=None, **given):
        """Judge as `rbnb run latency_spike --at …` does at the time `clock`."""
        given = {"window": "2h", "bucket": "auto", "reference": "", "leave_out": "", **given}
        extent, scope = self.data.scope(clock=clock or datetime.now(UTC), at=at, **given)
        spike = LatencySpike(self.data, scope, extent, LatencySettings(**policy().settings), 1)
        causes = hypotheses(spike)
        findings = judge(spike.signals, policy(), self.model.thresholds)
        decision = decide(policy(), findings, causes, summary.facts(spike))
        return Judged(spike, causes, findings, decision, grade(policy(), findings, causes, None))
