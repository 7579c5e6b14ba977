"""A workspace with an incident whose runs and ledger are written as a test says, and a receiver that misbehaves."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from rbnb.config import open_places
from rbnb.incidents import open_incident
from rbnb.workspace import Workspace

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)

PEOPLE = """
[people.ada]
name = "Ada Adams"
aliases = ["ada@example.com"]
[people.ben]
[roles]
incident_commander = { people = ["ada"] }
responder = { people = ["ben"] }
"""


class Clock:
    """A clock that a test moves."""

    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        """Return the time."""
        return self.now

    def forward(self, **span):
        """Move the clock."""
        self.now += timedelta(**span)


def record(**changed):
    """Return the record of a run that found a slow model, as latency_spike leaves it."""
    what = (
        "The model answers slowly since 2026-11-22 14:05 UTC, because something it depends on is in trouble: store-x9."
    )
    bad = (
        "32 % of requests are slower than they should be. "
        "The slowest one in a hundred takes 1\u202f143 ms instead of 219 ms."
    )
    following = "The proposal is to send requests to where it is not slow. A person decides that, and it can be undone."
    plain = {"since": "", "what": what, "how_bad": bad, "next": following, "colour": "red"}
    finding = {
        "signal": "latency_p99",
        "where": "",
        "value": 5.2,
        "unit": "ratio",
        "n": 606,
        "threshold": "breach ≥ 1.5×",
    }
    return {
        "incident": "INC-20261122-01",
        "run": "01-latency_spike",
        "template": {"name": "latency_spike", "version": "1.0.0", "digest": ""},
        "model": {"name": "fraud-v3", "version": "3.4.1", "environment": "production"},
        "parameters": {"at": "2026-11-22T14:20:00Z"},
        "status": "completed",
        "verdict": "infrastructure",
        "because": ["store-x9 is slow"],
        "headline": ["p99 219 → 1,143 ms since 14:05 UTC, all in zone=b"],
        "plain": plain,
        "severity": {"level": "SEV2", "reasons": []},
        "onset": "2026-11-22T14:05:00Z",
        "ended": None,
        "ongoing": True,
        "causes": [
            {"kind": "dependency", "name": "store-x9: latency 27× usual", "where": "zone=b", "status": "supported"}
        ],
        "segments": [
            {"where": "zone=b", "explains": 1.02, "n": 239},
            {"where": "host=b-2x", "explains": 0.4, "n": 82},
            {"where": "clinic=tiny", "explains": 0.3, "n": 9},
        ],
        "findings": [{**finding, "status": "breach", "reason": ""}],
        "branch": [{"node": "x", "question": "?", "saw": {}, "took": "yes → infrastructure_dependency"}],
        "proposal": {"action": "shift_traffic", "because": "The cause lies in zone=b.", "command": "kubectl patch x"},
        "not_measured": [],
        "finished": "2026-11-22T14:21:00Z",
    } | changed


def healthy(template="data_quality", **changed):
    """Return the record of a run that found nothing."""
    plain = {"what": "The data that reaches the model is complete and looks as it usually does.", "colour": "green"}
    plain |= {"how_bad": "There is no sign of broken data.", "next": "", "since": ""}
    return record(
        template={"name": template}, verdict="healthy", plain=plain, onset=None, ongoing=None, causes=[], segments=[],
        findings=[], headline=[], proposal=None, severity={"level": "SEV4", "reasons": []},
        branch=[{"took": "yes → healthy"}],
    ) | changed  # fmt: skip


def inconclusive(template="latency_spike", **changed):
    """Return the record of a run that could not tell."""
    plain = {
        "what": "There is too little data.",
        "how_bad": "Not known. This is not an all-clear.",
        "next": "",
        "since": "",
    }
    return healthy(template, verdict="inconclusive", plain=plain, severity={"level": None, "reasons": []}) | changed


def workspace(folder, settings=PEOPLE, clock=None):
    """Make a workspace in a folder and return it."""
    (folder / "models").mkdir(parents=True, exist_ok=True)
    (folder / "rbnb.toml").write_text(f'[workspace]\npolicies = "policies"\n{settings}', encoding="utf-8")
    return Workspace(open_places(folder), clock or Clock())


def incident(space, *records, entries=(), severity="SEV2", model="fraud-v3", environment="production"):
    """Open an incident with a run for each record, and these entries after them; return it."""
    body = {"model": model, "template": "latency_spike", "severity": severity, "environment": environment}
    opened = open_incident(
        space.places.reports, space.clock, {**body, "detected_at": "2026-11-22T14:10:00Z"}, space.places
    )
    for one in records:
        add_run(opened, one)
    for kind, told in entries:
        opened.ledger.append(kind, told, by="ada")
    return opened


def add_run(opened, one):
    """Add a run with this record."""
    number = len(list(opened.folder.glob("runs/*"))) + 1
    run = f"{number:02d}-{one['template']['name']}"
    folder = opened.folder / "runs" / run
    folder.mkdir(parents=True)
    raw = json.dumps({**one, "run": run}).encode()
    (folder / "run.json").write_bytes(raw)
    artifact = {"path": "run.json", "sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
    opened.ledger.append("run.started", {"run": run, "template": one["template"]["name"]}, by="ada")
    level = (one.get("severity") or {}).get("level")
    ended = {"run": run, "status": one["status"], "verdict": one["verdict"], "severity": level, "onset": one["onset"]}
    opened.ledger.append("run.finished", {**ended, "artifacts": [artifact]}, by="ada")


def tried(action="shift_traffic", status="held", number=1, **more):
    """Return the entries of an action that came to this."""
    start = ("action.started", {"attempt": number, "action": action, "way": "execute", "phase": "containment", **more})
    if status == "running":
        return [start]
    outcome = status if status in ("failed", "timed_out", "interrupted") else "done"
    ended = ("action.finished", {"attempt": number, "action": action, "outcome": outcome})
    verified = ("action.verified", {"attempt": number, "action": action, "held": status == "held"})
    return [start, ended, verified] if status in ("held", "not_held") else [start, ended]


class Receiver:
    """A server on loopback that answers as it is told, and keeps what it got.

    `plan` is a list of answers, used up one a request: a status, "reset", "hang", "drip", or (status, headers); then
    comes 200.
    """

    def __init__(self):
        self.plan = []
        self.got = []
        self.lock = threading.Lock()
        self.release = threading.Event()

    @property
    def keys(self):
        """The keys of what was taken."""
        return [headers.get("Idempotency-Key") for headers, _, arrived in self.got if arrived]

    def next_answer(self):
        """Return what is answered next."""
        with self.lock:
            return self.plan.pop(0) if self.plan else 200


@contextmanager
def receiver():
    """Run a receiver; yields it with its address."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = kept.next_answer()
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            kept.got.append((dict(self.headers), body, status == 200))
            if status == "reset":
                self.connection.close()
                return
            if status == "drip":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                while not kept.release.wait(0.05):
                    self.wfile.write(b"x")
            if status in ("hang", "drip"):
                kept.release.wait(5)
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

        def handle(self):
            with suppress(OSError, ValueError):
                super().handle()

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    kept.address = f"http://127.0.0.1:{server.server_address[1]}/hook"
    try:
        yield kept
    finally:
        kept.release.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


def waited(condition, seconds=5.0):
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()
