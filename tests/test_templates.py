"""Every runbook: its shape, and that it works under bare papermill, without rbnb around it."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rbnb.case import STAGES
from rbnb.catalog import load_catalog
from rbnb.policy import load_policy
from rbnb.templates import load_template

ROOT = Path(__file__).parent.parent
#: Each runbook, with the sample model whose failure it is, the kind of the true cause, and its place.
SAMPLES = {
    "latency_spike": ("fraud-v3", "dependency", "zone=b"),
    "data_drift": ("churn-v2", "covariate", "feature=days_since_login"),
    "data_poisoning": ("credit-v4", "label_flips", "source=partner-a"),
    "output_inconsistency": ("recommend-v7", "encoding", "version=7.2.0"),
    "data_quality": ("pricing-v5", "source", "source=core"),
}
NOTEBOOKS = {
    name: json.loads((ROOT / "notebook_templates" / f"{name}.ipynb").read_text(encoding="utf-8")) for name in SAMPLES
}
TITLES = ["Header", "Detection", "Triage", "Reproduce", "Root cause", "Containment", "Remediation", "Monitoring",
          "Governance", "Decision record", "Learning"]  # fmt: skip
CODE = {
    f"{name}/{cell['id']}": "".join(cell["source"])
    for name, notebook in NOTEBOOKS.items()
    for cell in notebook["cells"]
    if cell["cell_type"] == "code"
}


def test_every_runbook_that_is_shipped_is_looked_at():
    """A template without a place here would not be tested."""
    assert {path.stem for path in (ROOT / "notebook_templates").glob("*.ipynb")} == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_it_is_stored_without_outputs(name):
    """What is in git is what is run: no output, no count, no time of an earlier run."""
    for cell in NOTEBOOKS[name]["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert set(cell["metadata"]) <= {"tags", "rbnb"}


@pytest.mark.parametrize("cell", CODE)
def test_its_cells_are_a_few_lines_over_the_library(cell):
    """No cell defines anything, hides an error or is long, so that an analyst can read it and change it."""
    tree = ast.parse(CODE[cell])
    never = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Try, ast.TryStar, ast.Lambda)
    assert not any(isinstance(node, never) for node in ast.walk(tree))
    assert len(CODE[cell].splitlines()) <= 15


@pytest.mark.parametrize("name", SAMPLES)
def test_its_eleven_stages_stand_in_order_each_with_what_it_is_for(name):
    """Objective, calls or commands, expected outcome; rollback and safety check where something is changed."""
    prose = ["".join(cell["source"]) for cell in NOTEBOOKS[name]["cells"] if cell["cell_type"] == "markdown"]
    heads = [text for text in prose if text.startswith("## ")]
    assert NOTEBOOKS[name]["metadata"]["rbnb"]["stages"] == TITLES
    assert [text.splitlines()[0] for text in heads] == [f"## {n} {title}" for n, title in enumerate(TITLES, start=1)]
    for text in heads:
        assert "**Objective**" in text
        assert re.search(r"\*\*(Calls|Commands)\*\*", text)
        assert "**Expected outcome**" in text
        if "Containment" in text or "Remediation" in text:
            assert "**Rollback**" in text
            assert "**Safety check**" in text


@pytest.mark.parametrize("name", SAMPLES)
def test_every_stage_leaves_its_record_once_and_in_order(name):
    """Each stage ends by saying so, under the name that the runner asks for."""
    source = "\n".join(text for cell, text in CODE.items() if cell.startswith(f"{name}/"))
    assert tuple(re.findall(r'case\.finish\("([a-z_]+)"', source)) == STAGES


@pytest.mark.parametrize("name", SAMPLES)
def test_every_parameter_says_what_it_is(name):
    """Those that every runbook has, and help beside each."""
    found = {p.name: p for p in load_template(name, [ROOT / "notebook_templates"]).parameters}
    shared = ("model", "incident", "at", "as_of", "clock", "window", "bucket", "reference", "leave_out", "severity")
    assert set(found) >= {*shared, "seed"}
    assert all(p.help for p in found.values())


@pytest.mark.parametrize("name", SAMPLES)
def test_it_points_only_to_runbooks_that_exist(name):
    """And never to itself."""
    policy = load_policy(ROOT / "policies" / f"{name}.yaml")
    pointed = {one.to for node in policy.nodes.values() for one in getattr(node, "refer", ())}
    assert pointed <= set(SAMPLES) - {name}


@pytest.mark.parametrize("name", SAMPLES)
def test_it_runs_under_bare_papermill(name, tmp_path):
    """From the repository's root, with nothing of rbnb around it: scrapbook reads the verdict and the true cause."""
    model, kind, where = SAMPLES[name]
    out = tmp_path / "out.ipynb"
    papermill = Path(sys.executable).with_name("papermill")
    template = Path("notebook_templates") / f"{name}.ipynb"
    command = [papermill, template, out, "-p", "model", model, "--no-progress-bar"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RBNB_")}
    before = sorted((ROOT / "reports").iterdir())
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240, env=environment)
    assert done.returncode == 0, done.stderr
    assert sorted((ROOT / "reports").iterdir()) == before
    read = "import json, sys, scrapbook as s; n = s.read_notebook(sys.argv[1]); "
    read += "print(json.dumps({k: v.data for k, v in n.scraps.items()}))"
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", read, out], capture_output=True, text=True, check=True, timeout=60
    )
    scraps = json.loads(told.stdout)
    assert list(scraps) == [f"stage.{stage}" for stage in STAGES]
    assert all(data["stage"] for data in scraps.values())
    triage = scraps["stage.triage"]
    assert triage["verdict"] in ("genuine", "infrastructure")
    best = triage["causes"][0]
    assert (best["status"], best["kind"], best["where"]) == ("supported", kind, where)


def test_a_run_of_the_sample_model_finds_its_broken_data(tmp_path):
    """`rbnb run data_quality --model pricing-v5`: verdict and cause of the truth file, the wrong rows as evidence."""
    for part in ("models", "pricing-v5"):
        shutil.copytree(ROOT / "data_samples" / part, tmp_path / part)
    (tmp_path / "rbnb.toml").write_text('[workspace]\nmodels = "models"\nreports = "reports"\n', encoding="utf-8")
    command = [Path(sys.executable).with_name("rbnb"), "run", "data_quality", "--model", "pricing-v5", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr + done.stdout
    record = json.loads(done.stdout)
    truth = json.loads((ROOT / "data_samples" / "truth" / "pricing-v5.json").read_text(encoding="utf-8"))
    assert record["verdict"] == truth["verdict"]
    folder = tmp_path / "reports" / record["incident"] / "runs" / record["run"]
    assert (folder / "evidence" / "wrong_rows.parquet").exists()
    best = next(cause for cause in record["causes"] if cause["status"] == "supported")
    assert best["where"] == truth["cause"]["where"]
    assert truth["cause"]["name"] in best["name"]


def test_suspect_rows_are_kept_as_evidence_and_no_action_deletes():
    """The rows go beside the notebook, and every action that may be proposed quarantines, freezes or goes back."""
    assert 'case.keep("suspect_rows", found.suspect_rows)' in CODE["data_poisoning/detection-3"]
    proposals = load_policy(ROOT / "policies" / "data_poisoning.yaml").proposals
    assert proposals == {"quarantine_batch", "freeze_training", "rollback_version"}
    catalog = load_catalog(sorted((ROOT / "policies" / "actions").glob("*.yaml")))
    for name in proposals:
        ways = [catalog[name].variant(variant) for variant in catalog[name].names]
        commands = json.dumps([step.does for way in ways for step in (way.execute, way.dry_run) if step])
        assert "delete" not in commands.lower()
