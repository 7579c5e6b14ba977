"""The runbook for poisoned training data: its shape, its parameters, and what stands in its stages."""

import ast
import json
import re
from pathlib import Path

import pytest
from poisoning_fixture import policy

from rbnb.case import STAGES
from rbnb.catalog import load_catalog
from rbnb.templates import load_template

ROOT = Path(__file__).parent.parent
PATH = ROOT / "notebook_templates" / "data_poisoning.ipynb"
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


def test_its_parameters_are_read_with_their_help():
    """The window is two weeks unless asked for otherwise, and each parameter says what it is."""
    template = load_template("data_poisoning", [ROOT / "notebook_templates"])
    assert template.name == "data_poisoning"
    found = {p.name: p for p in template.parameters}
    assert found["window"].default == "P14D"
    assert set(found) == {"model", "incident", "at", "as_of", "clock", "window", "bucket", "reference", "leave_out",
                          "severity", "seed"}  # fmt: skip
    assert all(p.help for p in found.values())


def test_suspect_rows_are_kept_as_evidence_and_no_action_deletes():
    """The rows go beside the notebook, and every action that may be proposed quarantines, freezes or goes back."""
    assert 'case.keep("suspect_rows", found.suspect_rows)' in CODE["detection-3"]
    assert policy().proposals == {"quarantine_batch", "freeze_training", "rollback_version"}
    catalog = load_catalog([ROOT / "policies" / "actions.yaml"])
    for name in policy().proposals:
        commands = json.dumps([step.command for step in (catalog[name].execute, catalog[name].dry_run) if step])
        assert "delete" not in commands
