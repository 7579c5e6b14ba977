"""The runbook latency_spike as a file, and under bare papermill."""

import ast
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from conftest import REPOSITORY

TEMPLATE = REPOSITORY / "notebook_templates" / "latency_spike.ipynb"
CELLS = json.loads(TEMPLATE.read_text(encoding="utf-8"))["cells"]
STAGES = [
    "Header", "Detection", "Triage", "Reproduce", "Root cause", "Containment", "Remediation", "Monitoring", "Governance",
    "Decision record", "Learning",
]  # fmt: skip


def source(cell):
    """Return a cell's text."""
    return "".join(cell["source"])


def test_it_has_the_eleven_stages_in_order_each_with_objective_and_expected_outcome():
    """Each stage says what it is for, what to call, what to expect, and how to undo what it changes."""
    prose = [source(cell) for cell in CELLS if cell["cell_type"] == "markdown" and source(cell).startswith("## ")]
    assert [text.splitlines()[0].split(" ", 2)[2] for text in prose] == STAGES
    for text in prose:
        assert "**Objective**" in text
        assert "**Expected outcome**" in text
        assert "**Calls**" in text or "**Commands**" in text
    for stage in (5, 6):
        assert "**Rollback**" in prose[stage]
        assert "**Safety check**" in prose[stage]


def test_its_cells_are_thin_and_its_outputs_cleared():
    """Cells are a few lines over the library, hold no def, class or try, and nothing of an earlier run."""
    for cell in CELLS:
        if cell["cell_type"] != "code":
            continue
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
        assert len(source(cell).splitlines()) <= 15
        nodes = list(ast.walk(ast.parse(source(cell))))
        assert not [n for n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef, ast.Try, ast.Lambda))]


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Return the notebook that papermill alone makes of the template, started in the repository."""
    out = tmp_path_factory.mktemp("bare") / "out.ipynb"
    command = [Path(sys.executable).with_name("papermill"), TEMPLATE, out, "-p", "model", "fraud-v3"]
    environment = {**os.environ, "RBNB_WORKSPACE": str(REPOSITORY)}
    done = subprocess.run(command, cwd=out.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return out


def test_it_runs_under_bare_papermill_and_scrapbook_reads_what_it_found(bare, sample_run):
    """Without rbnb around it the runbook reaches the same verdict, and scrapbook reads every stage's record."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import scrapbook

        scraps = scrapbook.read_notebook(str(bare)).scraps
    assert [name for name in scraps if name.startswith("stage.")] == [
        f"stage.{title.lower().replace(' ', '_')}" for title in STAGES
    ]
    assert all(scrap.data is not None for scrap in scraps.values())
    assert scraps["stage.triage"].data["verdict"] == sample_run.record["verdict"] == "infrastructure"
    assert len(scraps["stage.triage"].data["findings"]) == len(sample_run.record["findings"])


def test_a_run_leaves_a_page_below_a_megabyte_and_all_its_files(sample_run):
    """The run folder holds notebook, page, record, journal, template and evidence; the page is small."""
    names = {path.relative_to(sample_run.folder).as_posix() for path in sample_run.folder.rglob("*") if path.is_file()}
    expected = {
        "notebook.ipynb",
        "notebook.html",
        "run.json",
        "journal.jsonl",
        "template.ipynb",
        "evidence/series.parquet",
    }
    assert expected <= names
    assert (sample_run.folder / "notebook.html").stat().st_size < 1_000_000
    assert (sample_run.folder / "template.ipynb").read_bytes() == TEMPLATE.read_bytes()
