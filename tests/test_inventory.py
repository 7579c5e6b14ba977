"""Model files: ten lines are enough, and every mistake is told with its key."""

import pytest
import yaml

from rbnb.errors import ConfigError, NameRefusedError, NotFoundError
from rbnb.inventory import find_model, find_models, load_model_file

LOG = {"table": "x.csv", "columns": {"timestamp": "ts", "latency_ms": "ms"}}


def write(folder, name="m", **more):
    """Write a model file and return its path."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"name": name, "logs": {"predictions": LOG}, **more}))
    return path


def test_a_name_a_table_and_two_columns_are_enough(tmp_path):
    """Everything else has a default that claims nothing."""
    model = load_model_file(write(tmp_path))
    assert (model.task, model.version, model.slo.latency_ms, model.recording) == ("series", "", {}, None)


MISTAKES = {
    "name": ({"name": "a/b"}, "name"),
    "other name": ({"name": "n"}, "name"),
    "days": ({"peak_window": {"days": "mon-fry", "start": "17:00", "end": "21:00"}}, "peak_window.days"),
    "hour": ({"peak_window": {"start": "25:00", "end": "21:00"}}, "peak_window.start"),
    "naive time": ({"recording": {"until": "2026-01-01T00:00:00"}}, "recording.until"),
    "duration": ({"reference": {"window": "two weeks"}}, "reference.window"),
    "half a span": ({"reference": {"start": "2026-01-01T00:00:00Z"}}, "reference"),
    "backwards": ({"reference": {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}}, "reference"),
    "quantile": ({"slo": {"latency_ms": {"p98": 1}}}, "slo.latency_ms"),
    "negative": ({"slo": {"latency_ms": {"p99": -1}}}, "slo.latency_ms.p99"),
    "availability": ({"slo": {"availability": 99.9}}, "slo.availability"),
    "no number": ({"thresholds": {"a": "high"}}, "thresholds.a"),
    "task": ({"task": "ranking"}, "task"),
    "no columns": ({"logs": {"predictions": {"table": "x.csv"}}}, "logs.predictions.columns"),
    "zone": ({"logs": {"predictions": {**LOG, "timezone": "Europe/Paris"}}}, "logs.predictions.timezone"),
    "twice": ({"logs": {"predictions": {**LOG, "segments": ["a", "a"]}}}, "logs.predictions"),
    "no logs": ({"logs": {}}, "logs.predictions"),
    "action": ({"actions": ["rm -rf /"]}, "actions.0"),
    "platform": ({"platforms": ["a b"]}, "platforms.0"),
    "platform twice": ({"platforms": ["istio", "istio"]}, "platforms"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_key(tmp_path, mistake):
    """File and dotted key, whichever it is."""
    change, key = MISTAKES[mistake]
    with pytest.raises(ConfigError) as refused:
        load_model_file(write(tmp_path, **change) if "name" not in change else rewritten(tmp_path, change))
    assert refused.value.key.startswith(key)
    assert "m.yaml" in refused.value.message


def rewritten(folder, change):
    """Write m.yaml with another name in it."""
    path = write(folder)
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    return path


def test_models_are_found_by_name_and_nothing_else_is(tmp_path):
    """A file whose name could be a path is no model; a close name is suggested."""
    write(tmp_path, "fraud-v3")
    (tmp_path / ".hidden.yaml").write_text("")
    (tmp_path / "notes.txt").write_text("")
    assert list(find_models(tmp_path)) == ["fraud-v3"]
    assert find_models(tmp_path / "nowhere") == {}
    with pytest.raises(NotFoundError) as missing:
        find_model(tmp_path, "fraud-v2")
    assert missing.value.hint == "did you mean fraud-v3?"
    with pytest.raises(NameRefusedError):
        find_model(tmp_path, "../fraud-v3")
