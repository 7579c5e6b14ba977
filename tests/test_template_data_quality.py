"""The runbook for data quality: its shape, and that a run of the sample model finds what is wrong with it."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rbnb.case import STAGES

ROOT = Path(__file__).parent.parent
NOTEBOOK = json.loads((ROOT / "notebook_templates" / "data_quality.ipynb").read_text(encoding="utf-8"))
CODE = {cell["id"]: "".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"}
PROSE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "markdown"]


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
    titles = NOTEBOOK["metadata"]["rbnb"]["stages"]
    assert [text.splitlines()[0] for text in heads] == [f"## {n} {title}" for n, title in enumerate(titles, start=1)]
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


def test_a_run_of_the_sample_model_finds_its_broken_data(tmp_path):
    """`rbnb run data_quality --model pricing-v5`: the verdict, the cause of the truth file, and every stage done."""
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
