"""Acting by requests, against a control plane that answers, lags, lies, hangs, floods, redirects, or is not there."""

import json
import time
from pathlib import Path

import pytest
from acting_fixture import make_scene
from target_fixture import TOKEN, TOKEN_VARIABLE, serving, shift_action

from rbnb.actions.processes import Limit
from rbnb.actions.requesting import send
from rbnb.catalog import RenderedRequest
from rbnb.errors import RefusedError

SECRETS = {"token": TOKEN_VARIABLE}


@pytest.fixture
def target(monkeypatch):
    """Return a control plane on loopback, with its token in the environment."""
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    with serving() as running:
        yield running


@pytest.fixture
def scene(tmp_path, monkeypatch, target):
    """Return a scene in which traffic is to be taken away from the candidate."""
    found = make_scene(tmp_path, monkeypatch, decided=False)
    found.write_action("shift", shift_action(timeout="1s", within="1s"))
    found.decide("shift", values={"address": target.address})
    return found


def everything(scene):
    """Return every byte that the incident has on the disk."""
    return b"".join(path.read_bytes() for path in sorted(scene.incident.folder.rglob("*")) if path.is_file())


def test_there_and_back(scene, target):
    """Traffic is shifted by a request, seen to be shifted, and given back as it was before."""
    report = scene.workspace.act(scene.name, "shift")
    assert report.held
    assert target.route == {"candidate": 0, "stable": 100}
    assert target.changes == 1
    assert scene.state.status == "contained"
    assert scene.workspace.rollback(scene.name, "shift").held
    assert target.route == {"candidate": 40, "stable": 60}
    assert scene.incident.check().problems == ()


def test_secrets_stay_out(scene, target):
    """The token is sent, and stands nowhere on record, in no form, also where the service sends it back."""
    target.fault["POST"] = "echo"
    report = scene.workspace.act(scene.name, "shift")
    assert report.outcome == "failed"
    kept = everything(scene)
    for form in (TOKEN, json.dumps(TOKEN)[1:-1], "s3cr3t%2Ft0ken", "czNjcjN0L3Qwa2Vu"):
        assert form.encode() not in kept
    assert b"secret TARGET_TOKEN" in kept
    assert '"$TARGET_TOKEN"' in report.display


def test_a_secret_that_is_not_set(scene, monkeypatch):
    """Without its secret nothing is sent; the variable is named."""
    monkeypatch.delenv(TOKEN_VARIABLE)
    with pytest.raises(RefusedError, match="TARGET_TOKEN is not set"):
        scene.workspace.act(scene.name, "shift")


def test_a_secret_that_is_too_short(scene, monkeypatch):
    """A secret that could not be kept out of the record is refused, on record."""
    monkeypatch.setenv(TOKEN_VARIABLE, "abc")
    with pytest.raises(RefusedError, match="fewer than 6 characters"):
        scene.workspace.act(scene.name, "shift")


def test_an_answer_that_is_nested_without_end(scene, target):
    """An answer that no parser can read is no good answer, and no crash."""
    target.fault["GET"] = "deep"
    with pytest.raises(RefusedError, match="nested too deeply"):
        scene.workspace.act(scene.name, "shift")


def test_a_wrong_secret(scene, target, monkeypatch):
    """A service that does not accept the token stops it before anything is done."""
    monkeypatch.setenv(TOKEN_VARIABLE, "another-token-altogether")
    with pytest.raises(RefusedError, match="status 401"):
        scene.workspace.act(scene.name, "shift")
    assert target.changes == 0


@pytest.mark.parametrize(
    ("fault", "outcome", "told"),
    [(500, "failed", "status 500"), ("redirect", "failed", "status 302"), ("hang", "timed_out", "within 1 s")],
)
def test_an_answer_that_is_none(scene, target, fault, outcome, told):
    """An error, a redirect and silence are no success; a redirect is not followed."""
    target.fault["POST"] = fault
    report = scene.workspace.act(scene.name, "shift")
    assert (report.outcome, told in report.told) == (outcome, True)
    assert not [one for one in target.asked if "elsewhere" in one]
    assert scene.state.status == "open"
    with pytest.raises(RefusedError, match="nobody has said what became of it"):
        scene.workspace.act(scene.name, "shift")


def test_a_service_that_is_not_there(scene, target):
    """A refused connection stops it before anything is done, and is said in words."""
    target.fault["GET"] = 503
    with pytest.raises(RefusedError, match=r"The control plane answers[.]: status 503"):
        scene.workspace.act(scene.name, "shift")
    scene.decide("shift", values={"address": "http://127.0.0.1:9"})
    with pytest.raises(RefusedError, match="cannot be reached"):
        scene.workspace.act(scene.name, "shift")


def test_yes_without_effect(scene, target):
    """A service that says yes and changes nothing is seen through, and the way back is told."""
    target.fault["POST"] = "ignore"
    report = scene.workspace.act(scene.name, "shift")
    assert (report.outcome, report.held) == ("done", False)
    assert report.verification.seen == "$.route.candidate is 40"
    assert report.verification.tries > 1
    assert report.verification.seconds < 6
    assert report.undo == f"rbnb rollback {scene.name} shift"
    assert scene.state.status == "open"


def test_patience(scene, target):
    """A change that takes a moment to be seen is waited for."""
    target.lag = 2
    report = scene.workspace.act(scene.name, "shift")
    assert report.held
    assert report.verification.tries == 3


def test_a_probe_that_answers_without_end(scene, target):
    """An answer that is too long to be read whole is not taken for a good one."""
    target.fault["GET"] = "flood"
    with pytest.raises(RefusedError, match="a precondition does not hold"):
        scene.workspace.act(scene.name, "shift")
    assert target.changes == 0


@pytest.mark.parametrize("fault", ["drip", "hang"])
def test_the_deadline_is_for_everything(target, fault):
    """An answer that drips, or never begins, is given up at the deadline, as one that may have been received."""
    target.fault["GET"] = fault
    request = RenderedRequest("GET", f"{target.address}/state", {"Authorization": "Bearer ${secret.token}"})
    began = time.monotonic()
    answer = send(request, SECRETS, timeout=0.7, limit=Limit(1024))
    assert answer.outcome == "timed_out"
    assert time.monotonic() - began < 3


def test_certificates_that_are_not_there(target, monkeypatch):
    """A wrong file of certificates is said, and nothing is sent."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/at/all")
    answer = send(RenderedRequest("GET", target.address.replace("http:", "https:")), {}, timeout=2, limit=Limit(1024))
    assert (answer.outcome, "SSL_CERT_FILE" in answer.why) == ("failed", True)


def test_https_is_checked(target):
    """A service that does not speak TLS where it should is not spoken to."""
    answer = send(RenderedRequest("GET", target.address.replace("http:", "https:")), {}, timeout=2, limit=Limit(1024))
    assert (answer.outcome, answer.code) == ("failed", None)
    assert target.asked == []


def test_no_proxy_from_the_environment(target, monkeypatch):
    """What was approved is asked directly, whatever proxy the environment names."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    request = RenderedRequest("GET", f"{target.address}/state", {"Authorization": "Bearer ${secret.token}"})
    assert send(request, SECRETS, timeout=5, limit=Limit(1024)).code == 200


def test_what_is_kept_can_be_read(scene):
    """What the service said is kept as text, beside the exact request."""
    report = scene.workspace.act(scene.name, "shift")
    text = Path(scene.incident.folder / report.output["path"]).read_text()
    assert text.startswith("$ curl ")
    assert '"candidate": 0' in text
