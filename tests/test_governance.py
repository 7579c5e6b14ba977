"""How a team responds and which rules may apply: read from files that are refused if something is left out."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
import yaml

from rbnb.config import shipped
from rbnb.errors import ConfigError
from rbnb.governance import due, load_compliance, load_response

RESPONSE = shipped("policies") / "response.yaml"
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
    response = load_response(RESPONSE)
    told = [{audience.who for audience in response.told(level)} for level in LEVELS]
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
    compliance = load_compliance(shipped("policies") / "compliance.yaml")
    assert {item.framework for item in compliance.touching([], ["personal"])} == {"gdpr"}
    assert compliance.touching([], ["public"]) == []
    both = compliance.touching(["eu-ai-act"], ["special"])
    assert {item.framework for item in both} == {"gdpr", "eu-ai-act"}
    assert all(item.evidence for item in compliance.items)
