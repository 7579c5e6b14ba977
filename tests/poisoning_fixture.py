"""Small training tables with a known story, and a table judged as a run judges it, without a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import yaml

from rbnb.data import ModelData
from rbnb.diagnoses.poisoning import Poisoning, hypotheses, summary
from rbnb.inventory import load_model_file
from rbnb.policy import decide, judge, load_policy
from rbnb.simulate import END

if TYPE_CHECKING:
    from rbnb.model import Cause, Finding
    from rbnb.policy import Decision

POLICY = Path(__file__).parent.parent / "policies" / "data_poisoning.yaml"
NUMBERS = ("x0", "x1", "x2", "x3")
CATEGORIES = ("plan", "place")
KINDS = dict.fromkeys(NUMBERS, "numerical") | dict.fromkeys(CATEGORIES, "categorical")
DAY = 86_400
_BATCH = 6 * DAY
LAST = int(END.timestamp())
FIRST = LAST - 60 * DAY


def training(seed=1, n=1_800, noise=0.04):
    """Return an honest table: four sources, a batch every six days, and some wrong labels everywhere."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.normal(size=n).round(4) for name in NUMBERS})
    frame["plan"] = rng.choice(list("abcde"), n, p=(0.4, 0.3, 0.15, 0.1, 0.05))
    frame["place"] = rng.choice(["x", "y", "z"], n)
    odds = 3.2 * frame["x0"] - 2.4 * frame["x1"] + 1.6 * frame["x2"] + 1.5 * (frame["plan"] == "c") - 0.6
    right = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(int)
    frame["label"] = np.where(rng.random(n) < noise, 1 - right, right)
    frame["epoch"] = np.sort(rng.integers(FIRST, LAST - DAY, n)).astype(float)
    frame["source"] = rng.choice(["core", "web", "partner", "import"], n, p=(0.35, 0.25, 0.25, 0.15))
    frame["batch"] = [f"b-{int((t - FIRST) // _BATCH):02d}" for t in frame["epoch"]]
    frame.insert(0, "id", [f"r{i:05d}" for i in range(n)])
    return frame


def recent(frame, source="partner", days=24):
    """Return which rows a source brought in the last days."""
    return np.flatnonzero((frame["source"] == source) & (frame["epoch"] >= LAST - days * DAY))


def flipped(frame, share=0.6, seed=2, source="partner"):
    """Turn round the labels of some of a source's recent rows; return the table and the ids."""
    rows = recent(frame, source)
    rows = np.random.default_rng(seed).choice(rows, round(share * len(rows)), replace=False)
    changed = frame.copy()
    changed.loc[rows, "label"] = 1 - changed.loc[rows, "label"]
    return changed, set(frame["id"].iloc[rows])


def marked(frame, n=50, seed=3):
    """Put a mark of two values on a source's recent rows, all with label 1."""
    rows = np.random.default_rng(seed).choice(recent(frame), n, replace=False)
    changed = frame.copy()
    changed.loc[rows, "x3"] = 2.7183
    changed.loc[rows, "plan"] = "e"
    changed.loc[rows, "label"] = 1
    return changed, set(frame["id"].iloc[rows])


def flooded(frame, n=200, seed=4, near=0.0):
    """Add copies of a few of a source's recent rows; with `near` each differs by about so much."""
    rng = np.random.default_rng(seed)
    few = rng.choice(recent(frame), 8, replace=False)
    copies = frame.iloc[rng.choice(few, n)].assign(id=[f"c{i:05d}" for i in range(n)])
    for name in NUMBERS if near else ():
        copies[name] += rng.normal(0, near, n)
    return pd.concat([frame, copies], ignore_index=True), set(copies["id"])


def clustered(frame, n=70, seed=5):
    """Move a source's recent rows close together where nothing else is, all with label 0."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(recent(frame), n, replace=False)
    changed = frame.copy()
    for place, name in enumerate(NUMBERS):
        changed.loc[rows, name] = 4.5 * (-1) ** place + rng.normal(0, 0.1, n)
    changed.loc[rows, "label"] = 0
    return changed, set(frame["id"].iloc[rows])


def contradicted(frame, n=80, seed=6):
    """Repeat some of a source's recent rows with the other label."""
    rows = np.random.default_rng(seed).choice(recent(frame), n, replace=False)
    copies = frame.iloc[rows].assign(id=[f"c{i:05d}" for i in range(n)], label=lambda t: 1 - t["label"])
    return pd.concat([frame, copies], ignore_index=True), set(copies["id"])


LINEAGE = pd.DataFrame(
    [("1.0", f"b-{i:02d}", LAST - 30 * DAY) for i in range(5)]
    + [("1.1", f"b-{i:02d}", LAST - 2 * DAY) for i in range(10)],
    columns=["version", "batch", "time"],
)


@dataclass(frozen=True)
class Judged:
    """What a run comes to."""

    found: Poisoning
    causes: list[Cause]
    findings: list[Finding]
    decision: Decision

    @property
    def verdict(self):
        """The verdict's name."""
        return self.decision.verdict.name

    def finding(self, name):
        """Return the finding of this name that holds everywhere."""
        (found,) = [f for f in self.findings if f.signal == name and not f.where]
        return found

    def caught(self, planted):
        """Return precision and recall of the suspect rows."""
        ids = set(self.found.suspect_ids)
        return len(ids & planted) / max(len(ids), 1), len(ids & planted) / len(planted)


@cache
def policy():
    """Read the shipped policy once."""
    return load_policy(POLICY)


def write_model(folder, table, *, lineage=LINEAGE, trusted=None, version="1.1", columns=None, **more):
    """Write a request log, a training table and their model file; return the model file."""
    at = pd.to_datetime(np.arange(LAST - 3 * DAY, LAST, 600), unit="s", utc=True)
    requests = pd.DataFrame({"ts": at, "score": 0.5}).assign(**dict.fromkeys(NUMBERS, 0.0), plan="a", place="x")
    requests.to_parquet(folder / "log.parquet", index=False)
    logs = {
        "predictions": {
            "table": "log.parquet",
            "columns": {"timestamp": "ts", "prediction_proba": "score"},
            "features": {"numerical": list(NUMBERS), "categorical": list(CATEGORIES)},
        }
    }
    for name, frame in (("training", table), ("lineage", lineage), ("trusted", trusted)):
        if frame is not None:
            kept = frame.assign(time=pd.to_datetime(frame["epoch"], unit="s", utc=True)) if "epoch" in frame else frame
            kept = kept.drop(columns="epoch", errors="ignore")
            if name == "lineage":
                kept = kept.assign(time=pd.to_datetime(kept["time"], unit="s", utc=True))
            kept.to_parquet(folder / f"{name}.parquet", index=False)
            logs[name] = {"table": f"{name}.parquet"}
    if columns:
        logs["training"]["columns"] = columns
    path = folder / "model.yaml"
    path.write_text(yaml.safe_dump({"name": "model", "version": version, "task": "binary", "logs": logs, **more}))
    return path


def judged(path):
    """Judge a model's training table as `rbnb run data_poisoning` does."""
    model = load_model_file(path)
    data = ModelData(model, path.parent)
    extent, scope = data.scope(clock=END, at="", window="P14D", bucket="1h", reference="", leave_out="")
    found = Poisoning(data, scope, extent, Poisoning.Settings(**policy().settings), 1)
    causes = hypotheses(found)
    findings = judge(found.signals, policy(), model.thresholds)
    return Judged(found, causes, findings, decide(policy(), findings, causes, summary.facts(found)))
