"""run.json is a contract: every record that a run leaves is what docs/run-record.md and its schema say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from rbnb.model import RECORD_VERSION

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((ROOT / "docs" / "run-record.schema.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "run-record.md").read_text(encoding="utf-8")


def run(folder, toml=""):
    """Run the runbook on the sample fleet, and read the record as a program would."""
    models = (ROOT / "data_samples" / "models").as_posix()
    (folder / "rbnb.toml").write_text(f'[workspace]\nmodels = "{models}"\n{toml}', encoding="utf-8")
    command = [sys.executable, "-m", "rbnb.cli", "run", "latency_spike", "--model", "fraud-v3", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    printed = json.loads(done.stdout, parse_constant=pytest.fail)
    (path,) = folder.glob("reports/INC-*/runs/*/run.json")
    assert printed == json.loads(path.read_bytes()), "--json prints run.json"
    return printed


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the record of a run that completed."""
    return run(tmp_path_factory.mktemp("finished"))


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """Return the record of a run in which the stage after the triage raised."""
    folder = tmp_path_factory.mktemp("failed")
    notebook = json.loads((ROOT / "notebook_templates" / "latency_spike.ipynb").read_bytes())
    cells = [cell for cell in notebook["cells"] if "".join(cell["source"]).startswith("case.reproduce(")]
    assert len(cells) == 1
    cells[0]["source"] = "raise ValueError('the disk is on fire')"
    (folder / "mine").mkdir()
    (folder / "mine" / "latency_spike.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    return run(folder, 'templates = "mine"\n')


def mistakes(record):
    """Return what the schema has against a record."""
    return [
        f"{'.'.join(map(str, e.absolute_path))}: {e.message:.200}"
        for e in Draft202012Validator(SCHEMA).iter_errors(record)
    ]


def test_the_schema_is_one():
    """The schema itself is valid JSON Schema 2020-12."""
    Draft202012Validator.check_schema(SCHEMA)


def test_a_finished_run_is_as_documented(finished):
    """A program can rely on the schema for a run that completed and found something."""
    assert finished["status"] == "completed"
    assert finished["causes"], "a record without causes would prove little"
    assert finished["segments"]
    assert finished["proposal"]
    assert mistakes(finished) == []


def test_a_failed_run_is_as_documented(failed):
    """A program can rely on the schema for a run that failed, and gets no verdict from it."""
    assert (failed["status"], failed["verdict"], failed["proposal"]) == ("failed", "inconclusive", None)
    assert failed["error"]["stage"] == "Reproduce"
    assert "the disk is on fire" in failed["error"]["message"]
    assert failed["findings"], "what had been found before the failure is kept"
    assert mistakes(failed) == []


def resolved(schema):
    """Return the schema that a schema stands for; of "this or null", the first."""
    if "anyOf" in schema:
        schema = schema["anyOf"][0]
    return SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


def differences(schema, value, at="run.json"):
    """Return every object of a record whose keys are not exactly those of the schema."""
    schema = resolved(schema)
    if isinstance(value, list):
        return [found for item in value for found in differences(schema["items"], item, f"{at}[]")]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    found = [f"{at}: {key}" for key in sorted(value.keys() ^ schema["properties"].keys())]
    for key in value.keys() & schema["properties"].keys():
        found += differences(schema["properties"][key], value[key], f"{at}.{key}")
    return found


def test_no_field_is_missing_from_the_schema_or_the_record(finished, failed):
    """What is in a record is documented, and what is documented is in every record, down to the last field."""
    assert differences(SCHEMA, finished) == []
    assert differences(SCHEMA, failed) == []


def test_every_field_is_required():
    """A field is always there: the schema lists every property as required, at every level."""
    objects = [SCHEMA, *SCHEMA["$defs"].values(), *SCHEMA["properties"].values()]
    wanting = [o for o in objects if sorted(o.get("properties", {})) != sorted(o.get("required", []))]
    assert wanting == []


def test_the_schema_refuses_what_the_contract_forbids(finished):
    """A wrong record is caught: no field may go, change its type, or give a verdict without a completed run."""
    for key in finished:
        assert mistakes({k: v for k, v in finished.items() if k != key}), key
    assert mistakes(finished | {"verdict": "fine"})
    assert mistakes(finished | {"started": "2026-11-19 14:05"})
    assert mistakes(finished | {"status": "failed"})
    assert mistakes(finished | {"onset": None})


def test_a_later_minor_version_may_add_fields(finished):
    """A program that validates today's records accepts those of the next minor version."""
    assert mistakes(finished | {"record_version": "1.1", "weather": "sunny"}) == []
    assert mistakes(finished | {"record_version": "2.0"})
    assert re.fullmatch(SCHEMA["properties"]["record_version"]["pattern"], RECORD_VERSION)


def test_every_cause_that_a_policy_may_ask_for_fits():
    """The kinds of causes that any runbook's policy knows are kinds that a record can hold."""
    pattern = SCHEMA["$defs"]["cause"]["properties"]["kind"]["pattern"]
    kinds = {
        kind
        for path in (ROOT / "policies").glob("*.yaml")
        for kind in yaml.safe_load(path.read_text(encoding="utf-8")).get("causes", [])
    }
    assert "dependency" in kinds
    assert sorted(kind for kind in kinds if not re.fullmatch(pattern, kind)) == []


def test_the_page_tells_every_field():
    """docs/run-record.md has a row for every field of the schema, and none that does not exist."""
    for heading, schema in [("The record", SCHEMA), *SCHEMA["$defs"].items()]:
        if "properties" not in schema:
            continue
        body = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
        told = set(re.findall(r"^\| `([a-z0-9_.]+)` \|", body, re.MULTILINE))
        nested = {f"{k}.{n}" for k, p in schema["properties"].items() for n in p.get("properties", {})}
        assert told == schema["properties"].keys() | nested, heading
