"""What many tests share: one real run of the sample model, and workspaces made to measure.

Being here also puts this folder on the path, so that tests in the folders below find the fixtures beside it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import yaml

from rbnb.workspace import Workspace

REPOSITORY = Path(__file__).resolve().parent.parent
RBNB = Path(sys.executable).with_name("rbnb")

#: When the logs of `workspace` end.
LOG_END = datetime(2026, 11, 2, tzinfo=UTC)


def pytest_configure():
    """Keep the caller's own workspace and name out of the tests, here and in every process they start."""
    for name in [name for name in os.environ if name.startswith("RBNB_")]:
        del os.environ[name]


class SampleRun(NamedTuple):
    """A finished run of the sample model, for reading only: copy what is to be changed."""

    root: Path
    incident: str
    folder: Path
    record: dict[str, Any]


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory):
    """`rbnb run latency_spike --model fraud-v3`, done once, in a workspace of its own."""
    root = tmp_path_factory.mktemp("sample")
    (root / "models").mkdir()
    shutil.copy(REPOSITORY / "data_samples" / "models" / "fraud-v3.yaml", root / "models")
    shutil.copytree(REPOSITORY / "data_samples" / "fraud-v3", root / "fraud-v3")
    (root / "rbnb.toml").write_text('[workspace]\nmodels = "models"\nreports = "reports"\n', encoding="utf-8")
    command = [RBNB, "run", "latency_spike", "--model", "fraud-v3", "--json"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr + done.stdout
    record = json.loads(done.stdout)
    folder = root / "reports" / record["incident"] / "runs" / record["run"]
    return SampleRun(root, record["incident"], folder, record)


@pytest.fixture
def workspace(tmp_path):
    """Return a function that writes a workspace: rbnb.toml, a model file and a small log.

    `log` is a table with the columns ts and latency_ms, else a quiet one of 15 days; `model` overrides keys
    of the model file; `folder` is below tmp_path. What it returns is open, and its clock stands at LOG_END.
    """

    def write(
        log: pd.DataFrame | None = None, *, model: Mapping[str, Any] | None = None, name="svc", folder="ws"
    ) -> Workspace:
        root = tmp_path / folder
        (root / "models").mkdir(parents=True, exist_ok=True)
        (root / "rbnb.toml").write_text("[workspace]\n", encoding="utf-8")
        (quiet_log() if log is None else log).to_parquet(root / f"{name}.parquet", index=False)
        columns = {"timestamp": "ts", "latency_ms": "latency_ms"}
        plain = {
            "name": name,
            "logs": {"predictions": {"table": f"../{name}.parquet", "columns": columns}},
            "recording": {"until": LOG_END.isoformat()},
        }
        text = yaml.safe_dump({**plain, **(model or {})}, sort_keys=False)
        (root / "models" / f"{name}.yaml").write_text(text, encoding="utf-8")
        return Workspace.open(root, clock=lambda: LOG_END)

    return write


def quiet_log(days=15, step="5min"):
    """Return a log of requests in which nothing happens, ending at LOG_END."""
    times = pd.date_range(LOG_END - timedelta(days=days), LOG_END, freq=step, inclusive="left")
    return pd.DataFrame({"ts": times, "latency_ms": 50 + np.random.default_rng(7).gamma(4, 5, len(times))})
