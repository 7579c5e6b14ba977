"""`rbnb actions`: what there is, what one would run for a model, and that a workspace's own actions count."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from rbnb.cli import app
from rbnb.config import open_places, read_yaml, shipped
from rbnb.errors import ConfigError, NotFoundError
from rbnb.planning import catalog_of

MODEL = {
    "name": "svc",
    "logs": {"predictions": {"table": "x.csv", "columns": {"timestamp": "ts", "latency_ms": "ms"}}},
    "actions": ["rollback_version", "throttle", "freeze_training"],
    "platforms": ["mlflow", "istio"],
    "action_values": {"mlflow": "https://mlflow.example.com", "registered_model": "svc", "good_version": "7"},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A workspace with one model and policies of its own."""
    (tmp_path / "rbnb.toml").write_text('[workspace]\npolicies = "policies"\n', encoding="utf-8")
    for name in ("models", "policies/actions"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "models" / "svc.yaml").write_text(yaml.safe_dump(MODEL), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RBNB_WORKSPACE", raising=False)
    return tmp_path


def typed(*words):
    """What `rbnb actions …` prints."""
    done = CliRunner().invoke(app, ["actions", *words], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


@pytest.mark.usefixtures("folder")
def test_the_catalog_is_listed():
    """Every action stands in a line with its risk, its approvals and its variants; as JSON with its digest."""
    lines = typed("list").splitlines()
    assert len(lines) == 14
    assert any(line.split()[:4] == ["throttle", "containment", "high", "2"] for line in lines)
    told = json.loads(typed("list", "--json"))["actions"]
    assert len(told) == 13
    assert all(one["digest"].startswith("sha256:") and one["file"] == f"actions/{one['name']}.yaml" for one in told)


@pytest.mark.usefixtures("folder")
def test_a_model_chooses_the_variant():
    """With a model each action is in the first of its platforms, else its own first, with what is still to be given."""
    told = {one["name"]: one for one in json.loads(typed("list", "--model", "svc", "--json"))["actions"]}
    assert {name: one["variant"] for name, one in told.items()} == {
        "rollback_version": "mlflow",
        "throttle": "istio",
        "freeze_training": "kubernetes",
    }
    assert told["rollback_version"]["missing"] == []
    assert told["throttle"]["missing"] == ["namespace", "limit", "filter"]
    assert "namespace, limit, filter" in typed("list", "--model", "svc")


@pytest.mark.usefixtures("folder")
def test_an_action_is_shown_as_it_would_run():
    """Every step stands there as a line to paste, with the model's values, and the secret only by its variable."""
    told = typed("show", "rollback_version", "--model", "svc")
    assert "https://mlflow.example.com/api/2.0/mlflow/registered-models/alias" in told
    assert '"$MLFLOW_TRACKING_TOKEN"' in told
    assert 'holds when $.model_version.version is "7"' in told
    assert "<version, from the snapshot>" in told
    assert "Nothing was run." in told
    shown = json.loads(typed("show", "rollback_version", "--model", "svc", "--variant", "process", "--json"))
    assert shown["variant"] == "process"
    assert shown["missing"] == ["serving_link", "good_path"]
    assert shown["execute"]["argv"][0] == "ln"


def test_a_workspace_replaces_an_action_whole_and_adds_its_own(folder):
    """A file of one action and a file of many are read, over the shipped ones; the file of one has the last word."""
    (folder / "policies" / "actions" / "throttle.yaml").write_text(
        yaml.safe_dump(read_yaml(shipped("policies") / "actions" / "observe.yaml") | {"title": "Ours"}),
        encoding="utf-8",
    )
    many = {
        "actions": {name: read_yaml(shipped("policies") / "actions" / "observe.yaml") for name in ("throttle", "wait")}
    }
    (folder / "policies" / "actions.yaml").write_text(yaml.safe_dump(many), encoding="utf-8")
    catalog = catalog_of(open_places(folder))
    assert (catalog["throttle"].title, catalog["throttle"].risk, len(catalog)) == ("Ours", "low", 14)
    assert (catalog["wait"].file, catalog["throttle"].file) == ("policies/actions.yaml", "actions/throttle.yaml")


def test_a_wrong_action_of_the_workspace_is_named_with_its_file(folder):
    """A mistake in one's own action says file, key and what is allowed."""
    (folder / "policies" / "actions" / "mine.yaml").write_text("title: Mine\nrisk: huge\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.yaml"):
        catalog_of(open_places(folder))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "words", [("show", "throttl"), ("show", "throttle", "--variant", "isto"), ("list", "--model", "sv")]
)
def test_what_is_not_there_is_refused_with_what_is(words):
    """An unknown action, variant or model is refused, and a close name suggested."""
    with pytest.raises(NotFoundError) as refused:
        typed(*words)
    assert "did you mean" in refused.value.hint
