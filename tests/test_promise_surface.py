"""P24 and P26: no pickle is ever loaded, whatever it is called; and a whole run needs no network.

P24: canaries that create a file when they are loaded are offered as tables under every name. P26: the whole
program runs in a network namespace of its own, in which there is nothing to connect to.
"""

import ast
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from broken_input import good_rows, write_model

from rbnb.config import read_yaml
from rbnb.errors import ConfigError, DataError
from rbnb.planning import Request
from rbnb.workspace import Workspace

ROOT = Path(__file__).parent.parent
RBNB = Path(sys.executable).with_name("rbnb")


class Canary:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        """Say what unpickling does."""
        return Path.touch, (self.path,)


@pytest.fixture
def canary(tmp_path):
    """A file that exists only if somebody unpickled; the pickle is shown to work first."""
    path = tmp_path / "canary"
    pickle.loads(pickle.dumps(Canary(path)))  # noqa: S301 - the canary has to sing when it is let
    assert path.exists()
    path.unlink()
    return path


NAMES = ["log.pkl", "log.joblib", "log.pickle", "log.npy", "log.pt", "log.parquet", "log.csv", "log.json", "log.jsonl"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("role", ["predictions", "metrics", "changes", "dependencies"])
def test_p24_a_pickle_is_never_loaded_as_a_table(tmp_path, canary, name, role):
    """Whatever it is called and whichever table it stands for: a clear error, and the canary stays silent."""
    write_model(tmp_path)
    good_rows(days=15).to_parquet(tmp_path / "log" / "all.parquet", index=False)
    (tmp_path / name).write_bytes(pickle.dumps(Canary(canary)))
    path = tmp_path / "models" / "svc.yaml"
    model = yaml.safe_load(path.read_text())
    model["logs"][role] = {**model["logs"].get(role, {}), "table": f"../{name}"}
    path.write_text(yaml.safe_dump(model))
    with pytest.raises(DataError) as refused:
        Workspace.open(tmp_path).check_model("svc")
    assert refused.value.hint
    with pytest.raises(DataError):
        Workspace.open(tmp_path).plan(Request("latency_spike", "svc"))
    assert not canary.exists()


def test_p24_metadata_of_a_table_is_never_loaded(tmp_path, canary):
    """A pickle in a parquet file's metadata, or in a column of bytes, is data and stays data."""
    write_model(tmp_path)
    bomb = pickle.dumps(Canary(canary))
    table = pa.Table.from_pandas(good_rows(days=15), preserve_index=False).append_column(
        "blob", pa.array([bomb] * len(good_rows(days=15)))
    )
    about = {**(table.schema.metadata or {}), b"pickle": bomb, b"ARROW:extension:metadata": bomb}
    pq.write_table(table.replace_schema_metadata(about), tmp_path / "log" / "all.parquet")
    workspace = Workspace.open(tmp_path)
    plan = workspace.plan(Request("latency_spike", "svc"))
    assert isinstance(plan.data.series(plan.scope.start, plan.scope.end, 300), pd.DataFrame)
    assert not canary.exists()


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.mkdir ['{path}']",
        "a: !!python/object/apply:pathlib.Path.touch ['{path}']",
        "a: !!python/name:os.system",
        "a: !!python/object/new:os.system ['touch {path}']",
    ],
)
def test_p24_a_file_of_settings_makes_no_objects(tmp_path, canary, text):
    """YAML that asks for Python objects is refused with the line, and nothing is made."""
    path = tmp_path / "x.yaml"
    path.write_text(text.replace("{path}", str(canary)))
    with pytest.raises(ConfigError, match="is not YAML"):
        read_yaml(path)
    assert not canary.exists()


def test_p24_nothing_in_the_program_could_unpickle_or_evaluate():
    """No module calls a loader of pickles, an unsafe YAML loader, eval or exec."""
    never = re.compile(r"^(pickle|cPickle|dill|joblib|cloudpickle|shelve|marshal)$")
    seen = 0
    for path in sorted((ROOT / "rbnb").rglob("*.py")):
        seen += 1
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert not any(never.match(name.partition(".")[0]) for name in names), path
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in ("eval", "exec", "yaml.unsafe_load", "yaml.full_load"), path
                assert not name.endswith("read_pickle"), path
    assert seen > 50


#: A namespace of the network in which only loopback exists, and that is down.
ALONE = ("unshare", "--map-root-user", "--net")


def may_be_alone():
    """Whether this machine lets a process give up its network."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_be_alone(), reason="this machine does not let a process give up its network (unshare)")
def test_p26_a_whole_run_needs_no_network(tmp_path):
    """With no network at all the program makes a workspace, checks it, runs, shows and verifies."""
    probe = "import socket; socket.create_connection(('192.0.2.1', 80), 2)"
    cut_off = subprocess.run([*ALONE, sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert "unreachable" in cut_off.stderr
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RBNB_")}

    def alone(*words, at=tmp_path / "ws"):
        command = [*ALONE, str(RBNB), *words]
        done = subprocess.run(
            command, cwd=at, capture_output=True, text=True, check=False, timeout=180, env=environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    alone("init", "ws", at=tmp_path)
    alone("models", "check")
    record = json.loads(alone("run", "latency_spike", "--model", "fraud-v3", "--json"))
    assert (record["status"], record["verdict"]) == ("completed", "infrastructure")
    alone("show", record["incident"])
    alone("verify", record["incident"])
    page = next((tmp_path / "ws" / "reports").rglob("notebook.html")).read_text(encoding="utf-8")
    assert not re.search(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=[\"']?https?:", page)
