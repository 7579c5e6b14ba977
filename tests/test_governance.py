"""How a team responds and which rules may apply: read from files that are refused if something is left out."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from rbnb.config import Owners, shipped
from rbnb.errors import ConfigError
from rbnb.governance import assess, due, load_communication, load_compliance, load_response, load_risk, reviewer_name
from rbnb.governance.risk import LIKELIHOODS
from rbnb.model import Finding

RESPONSE = shipped("policies") / "response.yaml"
MODELS = Path(__file__).parent.parent / "data_samples" / "models"
LEVELS = ("SEV1", "SEV2", "SEV3", "SEV4")


def test_the_worse_the_sooner():
    """Each thing that is due at a severity is due no later at a worse one."""
    response = load_response(RESPONSE)
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    dates = [dict(due(response.levels[level], moment)) for level in LEVELS]
    for worse, better in pairwise(dates):
        assert all(worse[what] <= better[what] for what in worse)
        assert all(moment < when for when in worse.values())


def test_whoever_is_told_of_little_is_told_of_much():
    """Nobody is left out because it got worse."""
    communication = load_communication(shipped("policies") / "communication.yaml")
    told = [set(communication.told(level)) for level in LEVELS]
    assert told[0] >= told[1] >= told[2] >= told[3]
    assert told[0]


@pytest.mark.parametrize("level", LEVELS)
def test_a_response_that_leaves_a_severity_out_is_refused(tmp_path, level):
    """When it is read, and not when the worst has happened."""
    data = yaml.safe_load(RESPONSE.read_text())
    del data["levels"][level]
    path = tmp_path / "response.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError, match=f"must say what {level} demands"):
        load_response(path)


def test_personal_data_brings_its_law_and_public_data_does_not():
    """Whatever frameworks a model names."""
    compliance = load_compliance(shipped("policies") / "compliance")
    assert {item.framework for item in compliance.touching([], ["personal"])} == {"gdpr"}
    assert compliance.touching([], ["public"]) == []
    both = compliance.touching(["eu-ai-act"], ["special"])
    assert {item.framework for item in both} == {"gdpr", "eu-ai-act"}
    assert all(item.evidence for item in compliance.items)


def test_the_grid_of_risk_never_falls():
    """A worse severity or a higher likelihood never comes to a lower level; what is not known has none."""
    grid = load_risk(shipped("policies") / "risk.yaml")
    ranks = [[LIKELIHOODS.index(grid.level(likely, severity)) for likely in LIKELIHOODS] for severity in LEVELS]
    assert all(row == sorted(row) for row in ranks)
    assert all(worse >= better for a, b in pairwise(ranks) for worse, better in zip(a, b, strict=True))
    assert grid.level(None, "SEV1") is None
    assert grid.level("high", None) is None


def test_a_grid_with_a_hole_is_refused(tmp_path):
    """When it is read."""
    data = yaml.safe_load((shipped("policies") / "risk.yaml").read_text())
    del data["grid"]["SEV2"]["high"]
    path = tmp_path / "risk.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError, match="SEV2 must say what high"):
        load_risk(path)


def finding(signal, value, where="", interval=None, n=100):
    """Return a finding that fired."""
    return Finding(signal, where, value, "share", interval, n, "above 0.1", "breach")


def risk(*findings, harm="late decisions", ongoing=None):
    """Return the risk of a SEV2 with these findings."""
    grid = load_risk(shipped("policies") / "risk.yaml")
    about = {"harm": harm, "affected": "slow_share", "severity": "SEV2", "ongoing": ongoing}
    return assess(grid=grid, findings=findings, segments=[], mitigations=["throttle"], **about)


def test_a_number_that_was_not_measured_is_not_known_and_never_zero():
    """It is null and named; a measured zero is a zero."""
    found = risk()
    assert (found["affected"], found["duration"], found["likelihood"], found["level"]) == (None,) * 4
    assert found["not_known"] == ["affected", "duration", "likelihood", "level", "residual"]
    assert risk(finding("slow_share", None))["affected"] is None
    assert risk(finding("slow_share", 0.0))["affected"]["value"] == 0.0


def test_a_measured_number_comes_with_its_interval_and_n():
    """And the number of the whole model comes before that of a place."""
    found = risk(finding("slow_share", 0.9, "zone=b"), finding("slow_share", 0.3, "", (0.2, 0.4), 606))
    assert found["affected"] == {
        "signal": "slow_share",
        "where": "",
        "value": 0.3,
        "unit": "share",
        "n": 606,
        "interval": [0.2, 0.4],
    }


def test_what_goes_on_is_likely_and_what_ended_is_for_a_person_to_say():
    """The run says only what it saw."""
    assert (risk(ongoing=True)["likelihood"], risk(ongoing=True)["level"]) == ("very_high", "high")
    assert risk(ongoing=False)["likelihood"] is None
    assert risk(harm="", ongoing=True)["level"] is None


def test_a_check_has_a_kind_of_reviewer_and_perhaps_a_person():
    """Named for the check, else for its kind, else it is said that nobody is."""
    grid = load_risk(shipped("policies") / "risk.yaml")
    assert grid.reviewer("trigger_share") == "security"
    assert grid.reviewer("segment_error_rise") == "ethics"
    assert grid.reviewer("latency_p99") == ""
    owners = Owners(security="ada", checks={"latency_p99": "dan"})
    assert reviewer_name(owners, "security", "trigger_share") == "ada"
    assert reviewer_name(owners, "", "latency_p99") == "dan"
    assert reviewer_name(owners, "ethics", "segment_error_rise") == "nobody is named in rbnb.toml"


TOML = """\
[workspace]
models = "{models}"
[people.ada]
[people.dan]
[roles]
incident_commander = {{ people = ["ada"] }}
stakeholder = {{ people = ["dan"] }}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return a workspace in which the runbook was run, and how to type commands in it."""
    folder = tmp_path_factory.mktemp("governed")
    (folder / "rbnb.toml").write_text(TOML.format(models=MODELS.as_posix()), encoding="utf-8")

    def type_in(*words, by="ada"):
        command = [sys.executable, "-m", "rbnb.cli", *words]
        env = os.environ | {"RBNB_USER": by}
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)

    record = json.loads(type_in("run", "latency_spike", "--model", "fraud-v3", "--json").stdout)
    return folder, record, type_in


def test_the_risk_of_a_run_is_on_its_record(ran):
    """With the affected share, its n and its interval, and what the run does not know by name."""
    _, record, _ = ran
    told = record["risk"]
    assert record["record_version"] == "1.2"
    share = next(f for f in record["findings"] if f["signal"] == "slow_share" and not f["where"])
    assert (told["affected"]["value"], told["affected"]["n"]) == (share["value"], share["n"])
    assert told["likelihood"] == "very_high"
    assert told["residual"] is None
    assert "residual" in told["not_known"]


def test_the_page_of_a_run_shows_risk_and_rules(ran):
    """With the day the rules were checked, what answers them, and that it is no legal advice."""
    folder, record, _ = ran
    page = (folder / "reports" / record["incident"] / "runs" / record["run"] / "notebook.html").read_text("utf-8")
    for words in ("Not legal advice", "checked on 2026-11-22", "AIA-73(6)", "nobody is named in rbnb.toml", "Level of"):
        assert words in page, words


def test_a_person_assesses_the_risk(ran):
    """What they say stands beside what the run tells, with the level by the grid, on the ledger and on the page."""
    folder, record, type_in = ran
    name = record["incident"]
    assert type_in("risk", name, "--likelihood", "low").returncode == 2, "a reason is missing"
    assert type_in("risk", name, "--likelihood", "often", "--because", "x").returncode == 2
    refused = type_in("risk", name, "--likelihood", "low", "--because", "x", by="dan")
    assert refused.returncode == 7
    words = ["--likelihood", "moderate", "--residual", "a second zone", "--mitigation", "throttle", "--because", "seen"]
    done = json.loads(type_in("risk", name, *words, "--json").stdout)
    assert (done["kind"], done["by"], done["body"]["level"]) == ("risk.assessed", "ada", "moderate")
    told = json.loads(type_in("risk", name, "--json").stdout)
    assert told["from_run"] == record["risk"]
    assert told["assessed"]["residual"] == "a second zone"
    assert "a second zone" in (folder / "reports" / name / "incident.html").read_text("utf-8")
    assert "a second zone" in type_in("risk", name).stdout


def test_compliance_is_told_and_answered_from_the_command_line(ran):
    """The list names what answers an item by entry and field; an answer is on record and changes the list."""
    _, record, type_in = ran
    name = record["incident"]
    shown = type_in("compliance", name).stdout
    assert "Not legal advice" in shown
    assert f"in the record of {record['run']}" in shown
    told = type_in("compliance", name, "GDPR-33(1)", "no", "--because", "nothing was lost")
    assert "does not apply" in told.stdout
    items = {one["id"]: one for one in json.loads(type_in("compliance", name, "--json").stdout)["items"]}
    assert (items["GDPR-33(1)"]["applies"], items["GDPR-33(1)"]["clock"]) == ("no", None)
    assert items["AIA-73(2)"]["applies"] == "unknown"
    assert type_in("compliance", name, "GDPR-99", "no", "--because", "x").returncode == 2
