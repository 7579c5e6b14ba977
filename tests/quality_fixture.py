"""Logs with a known fault on disk, and their data quality judged as a run judges it, without a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import yaml

from rbnb.data import ModelData
from rbnb.diagnoses.quality import DataQuality, hypotheses, summary
from rbnb.inventory import load_model_file
from rbnb.policy import decide, grade, judge, load_policy

if TYPE_CHECKING:
    from rbnb.model import Cause, Finding, Severity
    from rbnb.policy import Decision

END = datetime(2026, 11, 19, 16, tzinfo=UTC)
ONSET = END - timedelta(hours=4)
POLICY = Path(__file__).parent.parent / "policies" / "data_quality.yaml"
NUMBERS = ("amount", "age", "orders", "hour")


@dataclass(frozen=True)
class Judged:
    """What a run comes to."""

    quality: DataQuality
    causes: list[Cause]
    findings: list[Finding]
    decision: Decision
    severity: Severity

    @property
    def verdict(self):
        """The verdict's name."""
        return self.decision.verdict.name

    @property
    def kinds(self):
        """The kind and column of each trouble, the surest first."""
        return [(t.kind, t.suspicion.feature) for t in self.quality.troubles]

    @property
    def first(self):
        """The best supported cause: kind, name, place."""
        found = next(c for c in self.causes if c.status == "supported")
        return found.kind, found.name, found.where

    def finding(self, name):
        """Return the first finding of this name."""
        return next(f for f in self.findings if f.signal == name)


@cache
def policy():
    """Read the shipped policy once."""
    return load_policy(POLICY)


def log(seed=1, *, days=7, per_hour=55, end=END):
    """Return seven healthy days of requests from three feeds: busier by day, with a few natural nulls."""
    rng = np.random.default_rng(seed)
    hours = int(days * 24)
    start = end - timedelta(hours=hours)
    rates = per_hour * (1 + 0.5 * np.cos(2 * np.pi * (np.arange(hours) + start.hour - 15) / 24))
    counts = rng.poisson(rates)
    seconds = np.sort(np.repeat(np.arange(hours) * 3600, counts) + rng.integers(0, 3600, counts.sum()))
    n = len(seconds)
    times = pd.to_datetime(int(start.timestamp()) + seconds, unit="s", utc=True)
    amount = rng.lognormal(3, 0.8, n).round(2)
    frame = pd.DataFrame(
        {
            "ts": times,
            "id": [f"r{i:06d}" for i in range(n)],
            "feed": rng.choice(["core", "north", "south"], n, p=[0.5, 0.3, 0.2]),
            "host": rng.choice(["h1", "h2", "h3", "h4"], n),
            "amount": np.where(rng.random(n) < 0.02, np.nan, amount),
            "age": rng.normal(45, 12, n).round(1),
            "orders": rng.negative_binomial(3, 0.3, n).astype(float),
            "hour": np.asarray(times.hour, dtype=float),
            "plan": rng.choice(["free", "basic", "plus", "firm"], n, p=[0.4, 0.3, 0.2, 0.1]).astype(object),
            "city": rng.choice(["München", "Köln", "Graz"], n).astype(object),
        }
    )
    frame["returns"] = np.floor(frame["orders"] * rng.random(n))
    frame["score"] = (1 / (1 + np.exp(-(np.log(amount) - 3)))).round(4)
    frame["decision"] = np.where(frame["score"] >= 0.6, "yes", "no")
    return frame


def hit(frame, *, feed="", share=1.0, since=ONSET, until=END, seed=7):
    """Return which rows a fault strikes."""
    rows = ((frame["ts"] >= since) & (frame["ts"] < until)).to_numpy(copy=True)
    if feed:
        rows &= (frame["feed"] == feed).to_numpy()
    return rows & (np.random.default_rng(seed).random(len(frame)) < share)


def judged(folder, frame, *, changes=None, write=None, at="", clock=END, window="24h", reference="", **more):
    """Write a log and its model file, and judge the window that ends at END."""
    (folder / "log").mkdir(exist_ok=True)
    if write is None:
        frame.to_parquet(folder / "log" / "all.parquet", index=False)
    else:
        write(folder / "log", frame)
    predictions = {
        "table": "log/*.parquet",
        "columns": {"timestamp": "ts", "request_id": "id", "prediction_proba": "score", "prediction": "decision"},
        "segments": ["feed", "host"],
        "features": {"numerical": [*NUMBERS, "returns"], "categorical": ["plan", "city"]},
    }
    logs = {"predictions": predictions}
    if changes is not None:
        table = pd.DataFrame(changes, columns=["time", "kind", "what", "segment"])
        table.assign(time=pd.to_datetime(table["time"], utc=True)).to_parquet(folder / "changes.parquet", index=False)
        logs["changes"] = {"table": "changes.parquet"}
    decision = {"threshold": 0.6, "positive": "yes", "negative": "no"}
    model = {"name": "model", "decision": decision, "logs": logs, **more}
    path = folder / "model.yaml"
    path.write_text(yaml.safe_dump(model, allow_unicode=True), encoding="utf-8")
    loaded = load_model_file(path)
    data = ModelData(loaded, folder)
    extent, scope = data.scope(clock=clock, at=at, window=window, bucket="auto", reference=reference, leave_out="")
    quality = DataQuality(data, scope, extent, DataQuality.Settings(**policy().settings), 1)
    causes = hypotheses(quality)
    findings = judge(quality.signals, policy(), loaded.thresholds)
    decided = decide(policy(), findings, causes, summary.facts(quality))
    return Judged(quality, causes, findings, decided, grade(policy(), findings, causes, None))
