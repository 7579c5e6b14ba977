"""The runbook for output inconsistency: its shape, and that it works under bare papermill."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rbnb.case import STAGES

ROOT = Path(__file__).parent.parent
PATH = ROOT / "notebook_templates" / "output_inconsistency.ipynb"
NOTEBOOK = json.loads(PATH.read_text(encoding="utf-8"))
CODE = {cell["id"]: "".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"}
PROSE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "markdown"]
TITLES = ["Header", "Detection", "Triage", "Reproduce", "Root cause", "Containment", "Remediation", "Monitoring",
          "Governance", "Decision record", "Learning"]  # fmt: skip


def test_it_is_stored_without_outputs():
    """What is in git is what is run: no output, no count, no time of an earlier run."""
    for cell in NOTEBOOK["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert set(cell["metadata"]) <= {"tags", "rbnb"}


@pytest.mark.parametrize("name", CODE)
def test_its_cells_are_a_few_lines_over_the_library(name):
    """No cell defines anything, hides an error or is long, so that an analyst can read it and change it."""
    tree = ast.parse(CODE[name])
    never = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Try, ast.TryStar, ast.Lambda)
    assert not any(isinstance(node, never) for node in ast.walk(tree))
    assert len(CODE[name].splitlines()) <= 15


def test_its_eleven_stages_stand_in_order_each_with_what_it_is_for():
    """Objective, calls or commands, expected outcome; rollback and safety check where something is changed."""
    heads = [text for text in PROSE if text.startswith("## ")]
    assert [text.splitlines()[0] for text in heads] == [f"## {n} {title}" for n, title in enumerate(TITLES, start=1)]
    for text in heads:
        assert "**Objective**" in text
        assert re.search(r"\*\*(Calls|Commands)\*\*", text)
        assert "**Expected outcome**" in text
        if "Containment" in text or "Remediation" in text:
            assert "**Rollback**" in text
            assert "**Safety check**" in text


def test_every_stage_leaves_its_record_once_and_in_order():
    """Each stage ends by saying so, under the name that the runner asks for."""
    finished = re.findall(r'case\.finish\("([a-z_]+)"', "\n".join(CODE.values()))
    assert tuple(finished) == STAGES


def test_it_runs_under_bare_papermill(tmp_path):
    """From the repository's root, with nothing of rbnb around it: it ends well and scrapbook reads what it found."""
    out = tmp_path / "out.ipynb"
    papermill = Path(sys.executable).with_name("papermill")
    command = [papermill, PATH.relative_to(ROOT), out, "-p", "model", "recommend-v7", "--no-progress-bar"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RBNB_")}
    before = sorted((ROOT / "reports").iterdir())
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180, env=environment)
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
    assert scraps["stage.triage"]["verdict"] in ("genuine", "infrastructure")
    assert {one["what"] for one in scraps["stage.decision_record"]["not_measured"]} >= {"replay"}
    assert scraps["stage.triage"]["causes"][0]["status"] == "supported"
