"""Settings: a mistake is named by file, key and remedy; what is right is read as written."""

import pytest

from rbnb.config import expand_env, load_workspace_file, open_places, parse_settings, read_yaml, shipped
from rbnb.errors import ConfigError, NotFoundError, UsageError
from rbnb.inventory import ModelFile

BAD_YAML = {
    "nothing": "",
    "a text": "hello",
    "a list": "- 1",
    "open bracket": "a: [1",
    "a key twice": "a: 1\na: 2",
    "a key twice below": "b: {a: 1, a: 2}",
    "a tab": "a:\n\t- 1",
    "an object": "a: !!python/object/apply:os.getcwd []",
    "a list as a key": "? [1, 2]\n: 3",
    "an unhashable key": "? {a: 1}\n: 3",
    "no such day": "a: 2026-13-45",
}


@pytest.mark.parametrize("mistake", BAD_YAML)
def test_what_is_no_settings_file_is_refused_by_name(tmp_path, mistake):
    """Whatever is wrong in it, the file is named and no traceback leaves."""
    path = tmp_path / "x.yaml"
    path.write_text(BAD_YAML[mistake])
    with pytest.raises(ConfigError) as refused:
        read_yaml(path)
    assert "x.yaml" in refused.value.message


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_what_cannot_be_read_is_refused_by_name(tmp_path, content):
    """Bytes that are no text, and a folder in place of a file."""
    path = tmp_path / "x.yaml"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(path)


def test_deep_nesting_is_refused_and_does_not_crash(tmp_path):
    """A file made to exhaust the stack ends in the same kind of message."""
    path = tmp_path / "x.yaml"
    path.write_text("a: " + "[" * 5000 + "]" * 5000)
    with pytest.raises(ConfigError):
        read_yaml(path)


GOOD = {"name": "m", "logs": {"predictions": {"table": "x.csv", "columns": {"timestamp": "ts"}}}}


def test_the_first_mistake_is_told_with_its_key_and_the_number_of_others(tmp_path):
    """The dotted key, what is allowed there, and how many more there are."""
    bad = {**GOOD, "logs": {"predictions": {**GOOD["logs"]["predictions"], "stagess": []}}, "ownr": "x"}
    with pytest.raises(ConfigError) as refused:
        parse_settings(ModelFile, bad, tmp_path / "m.yaml")
    assert refused.value.key in ("logs.predictions.stagess", "ownr")
    assert "allowed here: " in refused.value.message
    assert "1 more mistake" in refused.value.hint


def test_a_credential_comes_from_the_environment_and_its_value_is_never_told(tmp_path, monkeypatch):
    """What is not set is named; what is set is put in."""
    monkeypatch.setenv("RBNB_TEST_SECRET", "s3cret")
    assert expand_env("pg://u:${RBNB_TEST_SECRET}@h", file=tmp_path, key="connection") == "pg://u:s3cret@h"
    with pytest.raises(ConfigError) as refused:
        expand_env("${RBNB_TEST_SECRET}${RBNB_TEST_NONE}", file=tmp_path, key="connection")
    assert "RBNB_TEST_NONE" in refused.value.message
    assert "s3cret" not in refused.value.message


def test_a_workspace_is_found_from_any_folder_below_it(tmp_path, monkeypatch):
    """At or above; outside one is told how to make one; RBNB_WORKSPACE names another."""
    (tmp_path / "ws" / "a" / "b").mkdir(parents=True)
    (tmp_path / "ws" / "rbnb.toml").write_text("[workspace]\n")
    assert open_places(tmp_path / "ws" / "a" / "b").root == tmp_path / "ws"
    with pytest.raises(UsageError, match=r"there is no rbnb\.toml") as refused:
        open_places(tmp_path)
    assert "rbnb init" in refused.value.hint
    monkeypatch.setenv("RBNB_WORKSPACE", str(tmp_path / "ws"))
    assert open_places(tmp_path).root == tmp_path / "ws"


def test_a_workspace_file_needs_nothing(tmp_path):
    """An empty one has the usual places."""
    (tmp_path / "rbnb.toml").write_text("")
    assert load_workspace_file(tmp_path / "rbnb.toml").workspace.models == "models"
    places = open_places(tmp_path)
    assert places.reports == tmp_path / "reports"
    assert places.policy_file("latency_spike").parent == shipped("policies")
    with pytest.raises(NotFoundError, match="no policy named 'latency'"):
        places.policy_file("latency")
