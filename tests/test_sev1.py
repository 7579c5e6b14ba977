"""A whole SEV1, from run to close: real kernel, real signatures, a real control plane and a real receiver on loopback.

The logs are those of the sample model fraud-v3, which go on after the containment as they would have.
"""

import html
import os
import re
import shutil
import subprocess
import sys
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from recovery_fixture import go_on
from target_fixture import TOKEN, TOKEN_VARIABLE, serving, shift_action

from rbnb.acceptance.watching import Timing
from rbnb.config import shipped
from rbnb.errors import RefusedError
from rbnb.planning import Request
from rbnb.simulate.log import END
from rbnb.workspace import Workspace

REPOSITORY = Path(__file__).resolve().parent.parent
RBNB = Path(sys.executable).with_name("rbnb")
TEAM = """\
[workspace]
policies = "policies"
[people.ada]
aliases = ["ada@example.com"]
[people.ben]
[people.cleo]
[people.dan]
[people.eva]
[roles]
incident_commander = { people = ["ada"] }
responder = { people = ["dan"] }
approver = { people = ["ben", "cleo"] }
stakeholder = { people = ["eva"] }
[escalation]
chain = ["ada", "ben"]
[identity]
allowed_signers = "allowed_signers"
[actions]
execute = true
[communication.stakeholders]
webhook = "${SEV1_WEBHOOK}"
format = "slack"
"""

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


class Incident:
    """The workspace, its clock, and who is at the keyboard."""

    def __init__(self, root, monkeypatch):
        self.root, self.patch, self.now, self.name = root, monkeypatch, END, ""
        self.workspace = Workspace.open(root, lambda: self.now)

    def as_(self, person, *, key=False):
        """Sit somebody else down, with or without their key, a minute later; return the workspace."""
        self.now += timedelta(minutes=1)
        self.patch.setenv("RBNB_USER", person)
        self.patch.setenv("RBNB_SSH_KEY", str(self.root / person)) if key else self.patch.delenv("RBNB_SSH_KEY", False)  # noqa: FBT003
        return self.workspace

    @property
    def state(self):
        """What the ledger comes to."""
        return self.workspace.incident(self.name).state()


def prepare(root, address):
    """Write the sample model, the team with their keys, and the action that reaches the control plane."""
    (root / "models").mkdir(parents=True)
    shutil.copytree(REPOSITORY / "data_samples" / "fraud-v3", root / "fraud-v3")
    text = (REPOSITORY / "data_samples" / "models" / "fraud-v3.yaml").read_text(encoding="utf-8")
    file = text.replace("action_values:  ", f"action_values:\n  address: {address}\n#", 1)
    assert file != text
    (root / "models" / "fraud-v3.yaml").write_text(file, encoding="utf-8")
    (root / "rbnb.toml").write_text(TEAM, encoding="utf-8")
    (root / "policies" / "actions").mkdir(parents=True)
    (root / "policies" / "actions" / "shift_traffic.yaml").write_text(shift_action(risk="high"), encoding="utf-8")
    rules = (shipped("policies") / "approvals.yaml").read_text(encoding="utf-8")
    signed = rules.replace("{name: everything else, ", "{name: everything else, verified: true, ")
    assert signed != rules
    (root / "policies" / "approvals.yaml").write_text(signed, encoding="utf-8")
    signers = []
    for person in ("ben", "cleo", "dan"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / person], check=True)
        signers.append(f"{person} {(root / f'{person}.pub').read_text()}")
    (root / "allowed_signers").write_text("".join(signers), encoding="utf-8")


class Receiver(BaseHTTPRequestHandler):
    """Keeps what arrives."""

    arrived: list

    def do_POST(self):
        """Take it."""
        self.arrived.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def receiver(monkeypatch):
    """Receive updates on loopback, and return the list of what arrived."""
    arrived = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Receiver,), {"arrived": arrived}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("SEV1_WEBHOOK", f"http://127.0.0.1:{server.server_address[1]}/hook/s3cret")
    yield arrived
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_whole_sev1_from_run_to_close(tmp_path, monkeypatch, receiver):
    """Two people sign exactly one action, a third does it, it helps, it is measured, and the story is told in order."""
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    root = tmp_path / "ws"
    with serving() as target:
        prepare(root, target.address)
        told = Incident(root, monkeypatch)
        told.name = told.as_("ada").run(Request("latency_spike", "fraud-v3")).record["incident"]
        contain(told, target)
        assert told.state.status == "contained"
        assert target.route == {"stable": 100, "candidate": 0}
        inform(told, receiver)
        return_to_service(told)
        told.as_("ada").close(told.name, "genuine_fixed", "the store of zone b was restarted and held for a day")
    assert told.state.status == "closed"
    assert target.changes == 1
    check_the_story(told)


def contain(told, target):
    """Acknowledge, decide, be refused, approve, and act."""
    name = told.name
    told.as_("ada").acknowledge(name)
    told.as_("ada").assign(name, "scribe", "dan")
    told.as_("ada").set_severity(name, "SEV1", "payments of one zone wait more than a second")
    turned_down = [("rollback_version", "zones a and c run the same version and are fast")]
    told.as_("ada").decide(name, "shift_traffic", "the store of zone b is slow", reject=turned_down)
    with pytest.raises(RefusedError, match="approv"):
        told.as_("dan").act(name, "shift_traffic")
    with pytest.raises(RefusedError):
        told.as_("ada").approve(name, "shift_traffic")
    with pytest.raises(RefusedError, match="sign"):
        told.as_("ben").approve(name, "shift_traffic")
    told.as_("ben", key=True).approve(name, "shift_traffic", "agreed on the call")
    with pytest.raises(RefusedError, match="1"):
        told.as_("dan").act(name, "shift_traffic")
    told.as_("cleo", key=True).approve(name, "shift_traffic")
    assert target.changes == 0
    report = told.as_("dan").act(name, "shift_traffic")
    assert report.held
    with pytest.raises(RefusedError):
        told.as_("dan").act(name, "shift_traffic")


def inform(told, receiver):
    """Tell the stakeholders, who are told no names and nothing of the machinery."""
    told.as_("dan").update(told.name, "stakeholders", send=True)
    assert len(receiver) == 1
    assert not re.search(r"dan\b|zone=b|127\.0\.0\.1|feature-store", receiver[0])


def return_to_service(told):
    """Too early nothing is met; a day later the checks that fired are well, and stay so."""
    measured, _ = told.as_("ada").accept(told.name)
    assert not measured.met
    with pytest.raises(RefusedError, match="accept"):
        told.as_("ada").close(told.name, "genuine_fixed", "it looks fine")
    contained = told.state.times.contained
    told.now = END + timedelta(hours=23)
    go_on(told.root, contained, told.now)
    measured, _ = told.as_("ada").accept(told.name, window="4h")
    assert measured.met, [c for c in measured.criteria if c.met is not True]
    assert told.state.status == "remediated"
    watched = told.as_("ada").watch(told.name, timing=Timing(once=True))
    assert not watched.held
    assert told.state.status == "monitoring"


def check_the_story(told):
    """Ledger, terminal and page tell the same steps in the same order, and verify as recorded."""
    kinds = [entry.kind for entry in told.state.entries]
    steps = [
        "incident.opened", "run.started", "run.finished", "incident.acknowledged", "incident.assigned", "severity.set",
        "decision.made", "act.refused", "approve.refused", "approval.given", "approval.given", "evidence.taken",
        "action.started", "action.finished", "action.verified", "update.written", "update.sent", "acceptance.measured",
        "close.refused", "acceptance.measured", "watch.started", "watch.sampled", "incident.closed",
    ]  # fmt: skip
    position = -1
    for step in steps:
        position = kinds.index(step, position + 1)
    assert told.workspace.verify(told.name).problems == ()

    environment = {**os.environ, "RBNB_USER": "eva", "COLUMNS": "200"}
    command = [RBNB, "show", told.name, "--timeline"]
    shown = subprocess.run(command, cwd=told.root, env=environment, capture_output=True, text=True, check=True).stdout
    page = (told.root / "reports" / told.name / "incident.html").read_text(encoding="utf-8")
    plain = html.unescape(re.sub(r"<[^>]+>", " ", page[page.index("<body") :]))
    for text in (shown, plain[plain.rindex("Timeline") if "Timeline" in plain else 0 :]):
        words = ["acknowledged", "SEV1", "shift_traffic", "ben", "cleo", "evidence", "closed"]
        places = [text.find(word) for word in words]
        assert -1 not in places, dict(zip(words, places, strict=True))
        assert places == sorted(places), dict(zip(words, places, strict=True))
    assert TOKEN not in page
    assert "s3cret" not in page
    everything = b"".join(p.read_bytes() for p in (told.root / "reports").rglob("*") if p.is_file())
    assert TOKEN.encode() not in everything
    assert b"hook/s3cret" not in everything
