"""Acting: in order, once, on record, and refused wherever something is missing."""

import pytest
from acting_fixture import make_scene


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """Return a scene that is ready to act."""
    return make_scene(tmp_path, monkeypatch)


def test_act_in_order(scene):
    """Evidence, rehearsal, intent, outcome and check are on record in this order, and the incident is contained."""
    report = scene.workspace.act(scene.name, "switch_off")
    assert report.held
    assert (scene.switch / "main").read_text() == "off"
    kinds = [kind for kind in scene.kinds("") if kind.startswith(("action.", "evidence."))]
    assert kinds == ["evidence.taken", "action.tried", "action.started", "action.finished", "action.verified"]
    assert scene.state.status == "contained"
    assert scene.incident.check().problems == ()
