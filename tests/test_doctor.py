"""`rbnb doctor`: each line is a check done for real, and the one that is not well is the one that says so."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rbnb.config import open_places
from rbnb.doctor import _people
from rbnb.errors import RbnbError

RBNB = Path(sys.executable).with_name("rbnb")
HEALTHY = ["python", "packages", "kernel", "workspace", "disk", "people", "templates", "models", "data of svc"]


def doctor(folder, *options, **environment):
    """Run the command in a folder."""
    done = subprocess.run(
        [RBNB, "doctor", *options],
        cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done


def ills(done):
    """Return what is not well, with what is said of it; everything else is well, and the exit code is true."""
    told = json.loads(done.stdout)
    found = {check["what"]: check["seen"] for check in told["checks"] if not check["well"]}
    assert told["ok"] is (not found)
    assert done.returncode == (1 if found else 0)
    return found


def test_a_healthy_workspace_is_well_throughout(workspace):
    """Where all is well every line says ok and what was seen, and the command leaves with 0."""
    done = doctor(workspace().places.root)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line[:6].strip() for line in lines] == ["ok"] * len(HEALTHY)
    assert [line[6:27].strip() for line in lines] == HEALTHY
    for seen in ("a one-line notebook ran in", "papermill 2.", "latency_spike 1.", "predictions ("):
        assert seen in done.stdout


def test_a_model_that_is_not_well_is_the_only_line_that_fails(workspace):
    """A wrong model file, missing, unreadable and unmapped data fail for their model alone, and say what is wrong."""
    space = workspace()
    models, root = space.places.models, space.places.root
    good = (models / "svc.yaml").read_text(encoding="utf-8")
    (models / "torn.yaml").write_text("name: torn\nlogs: [", encoding="utf-8")
    (models / "typo.yaml").write_text(good.replace("name: svc", "name: typo\nowners: nobody"), encoding="utf-8")
    (models / "absent.yaml").write_text(good.replace("svc", "absent"), encoding="utf-8")
    (models / "garbage.yaml").write_text(good.replace("svc", "garbage"), encoding="utf-8")
    (root / "garbage.parquet").write_bytes(b"PAR1 is how it begins, and no more")
    unmapped = good.replace("name: svc", "name: unmapped").replace("latency_ms: latency_ms", "latency_ms: millis")
    (models / "unmapped.yaml").write_text(unmapped, encoding="utf-8")

    done = doctor(root, "--json")
    found = ills(done)
    assert sorted(found) == [f"data of {name}" for name in ("absent", "garbage", "torn", "typo", "unmapped")]
    assert "torn.yaml" in found["data of torn"]
    assert "is not YAML" in found["data of torn"]
    assert "owners" in found["data of typo"]
    assert "absent.parquet" in found["data of absent"]
    assert "garbage.parquet" in found["data of garbage"]
    assert "millis" in found["data of unmapped"]
    assert [c["what"] for c in json.loads(done.stdout)["checks"] if c["well"]] == HEALTHY


def test_outside_a_workspace_only_the_workspace_is_missing(tmp_path):
    """Where there is no workspace the environment is still examined, and one line says how to make a workspace."""
    done = doctor(tmp_path)
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert [line.split()[:2] for line in lines if not line.startswith("ok")] == [["FAIL", "workspace"]]
    assert [line[6:27].strip() for line in lines] == HEALTHY[:4]
    assert "rbnb init" in lines[-1]


def test_a_wrong_rbnb_toml_is_named_with_its_key(workspace):
    """A workspace file with a key that is not known fails the workspace's line and names the key."""
    root = workspace().places.root
    (root / "rbnb.toml").write_text('[workspace]\nmodel = "models"\n', encoding="utf-8")
    found = ills(doctor(root, "--json"))
    assert list(found) == ["workspace"]
    assert "workspace.model" in found["workspace"]


def test_every_ill_is_told_at_once(workspace, tmp_path):
    """A package out of bounds, a broken import, a file for a folder, a wrong policy and a stray file hide nothing."""
    root = workspace().places.root
    (root / "rbnb.toml").write_text('[workspace]\npolicies = "policies"\n', encoding="utf-8")
    (root / "policies").mkdir()
    (root / "policies/latency_spike.yaml").write_text("version: 1.0.0\nthreshold: {}\n", encoding="utf-8")
    (root / "models/new.yml").write_text("name: new\n", encoding="utf-8")
    (root / "reports").write_text("not a folder", encoding="utf-8")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "duckdb-2.0.0.dist-info").mkdir(parents=True)
    (elsewhere / "duckdb-2.0.0.dist-info/METADATA").write_text("Name: duckdb\nVersion: 2.0.0\n", encoding="utf-8")
    (elsewhere / "papermill.py").write_text("raise ImportError('half installed')\n", encoding="utf-8")

    found = ills(doctor(root, "--json", PYTHONPATH=str(elsewhere)))
    assert list(found) == ["packages", "kernel", "disk", "templates", "models"]
    assert "duckdb 2.0.0 is outside" in found["packages"]
    assert "half installed" in found["kernel"]
    assert "latency_spike.yaml" in found["templates"]
    assert "new.yml" in found["models"]


def test_people_who_are_nobody_are_named(workspace):
    """A chain or an owner that names nobody, and a missing file of signers, are each told with their key."""
    root = workspace().places.root
    ill = [
        ("escalation]\nchain = ['zoe']", "escalation.chain: nobody is called 'zoe'"),
        ("owners]\nprivacy = 'zoe'", "owners.privacy: nobody is called 'zoe'"),
        ("owners.checks]\nlatency_p99 = 'zoe'", "owners.checks: nobody is called 'zoe'"),
        ("identity]\nallowed_signers = 'signers'", "identity.allowed_signers: there is no file signers"),
    ]
    for text, told in ill:
        (root / "rbnb.toml").write_text(f"[workspace]\n[people.ada]\n[{text}\n", encoding="utf-8")
        with pytest.raises(RbnbError) as caught:
            _people(open_places(root))
        assert told in caught.value.message
    (root / "rbnb.toml").write_text(
        "[workspace]\n[people.ada]\n[roles]\napprover = {people = ['ada']}\n", encoding="utf-8"
    )
    assert _people(open_places(root)) == "1 named, 1 of them approvers, asserted"
