"""A small control plane of a serving platform, on loopback: it routes traffic between versions, and can misbehave.

``GET /state`` answers with the shares of traffic by version; ``POST /route`` with ``{"version": …, "share": …}`` sets
one, and gives the rest to the other; ``?dry_run=true`` changes nothing. Both need ``Authorization: Bearer <TOKEN>``.
"""

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: Where a test puts the token, and what it is.
TOKEN_VARIABLE = "TARGET_TOKEN"  # noqa: S105 - a name, not a secret
TOKEN = "s3cr3t/t0ken+for=the target"  # noqa: S105 - of a target that exists only in tests

#: The action that shifts traffic there, as a file of the catalog; `address` is a value.
SHIFT = """\
title: Take traffic away from the candidate
objective: Send every request to the stable version.
phase: containment
risk: {risk}
blast_radius: The callers of one route.
expected_outcome: The candidate gets no traffic.
safety_check: If errors rise, roll back.
manual: Set the share of the candidate in the console of the control plane.
target: route of ${{address}}
values:
  address: {{kind: address, help: where the control plane answers}}
  share: {{kind: number, pattern: "[0-9]{{1,3}}", help: the share of the candidate in percent, default: "0"}}
secrets: {{token: TARGET_TOKEN}}
preconditions:
  - {{text: The stable version can take all of the traffic.}}
  - text: The control plane answers.
    http: &state {{method: GET, url: "${{address}}/state", headers: {{Authorization: "Bearer ${{secret.token}}"}}}}
    tolerance: 200
snapshot:
  http: *state
  take: {{candidate_before: {{jsonpath: $.route.candidate, kind: number}}}}
dry_run:
  http:
    method: POST
    url: "${{address}}/route?dry_run=true"
    headers: {{Authorization: "Bearer ${{secret.token}}"}}
    body: {{version: candidate, share: "${{share}}"}}
  tolerance: 200
  expect: It answers with the shares as they would be.
execute:
  http:
    method: POST
    url: "${{address}}/route"
    headers: {{Authorization: "Bearer ${{secret.token}}"}}
    body: {{version: candidate, share: "${{share}}"}}
  timeout: {timeout}
  expect: It answers with the new shares.
verify:
  http: *state
  tolerance: {{jsonpath: $.route.candidate, equals: "${{share}}"}}
  within: {within}
  every: 0.2s
  expect: The candidate has the share it was given.
rollback:
  http:
    method: POST
    url: "${{address}}/route"
    headers: {{Authorization: "Bearer ${{secret.token}}"}}
    body: {{version: candidate, share: "${{snapshot.candidate_before}}"}}
  expect: It answers with the shares as they were.
rollback_verify:
  http: *state
  tolerance: {{jsonpath: $.route.candidate, equals: "${{snapshot.candidate_before}}"}}
  within: {within}
  every: 0.2s
  expect: The candidate has its share back.
"""


def shift_action(*, risk="medium", timeout="5s", within="3s"):
    """Return the file of the action that takes traffic away from the candidate."""
    return SHIFT.format(risk=risk, timeout=timeout, within=within)


@dataclass
class Target:
    """What the control plane holds, what it was asked, and how it misbehaves.

    Parameters
    ----------
    fault
        By method: a status to answer with, ``redirect``, ``hang`` (no answer), ``ignore`` (says yes, changes nothing),
        ``echo`` (answers with the headers it got), ``flood`` (answers without end), ``drip`` (a byte at a time) or
        ``deep`` (JSON that is nested too deeply).
    lag
        How many times it still answers with the old state after a change.
    """

    address: str = ""
    route: dict = field(default_factory=lambda: {"stable": 60, "candidate": 40})
    asked: list = field(default_factory=list)
    fault: dict = field(default_factory=dict)
    lag: int = 0
    old: dict = field(default_factory=dict)
    left: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def changes(self):
        """How often it was really changed."""
        return len([one for one in self.asked if one == "POST /route"])

    def shift(self, version, share):
        """Give a version its share, and the rest to the other."""
        other = "stable" if version == "candidate" else "candidate"
        return {version: share, other: 100 - share}

    def now(self):
        """Return the state as it is told: the old one, while it lags."""
        if self.left:
            self.left -= 1
            return self.old
        return self.route


@contextmanager
def serving():
    """Serve a control plane on a free port of loopback until the end of the block."""
    target = Target()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"target": target}))
    server.daemon_threads = True
    target.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield target
    finally:
        target.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers for one target, which its subclass names."""

    target: Target

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        """Tell the state."""
        if self.known():
            self.answer({"route": self.target.now()})

    def known(self):
        """Whether the token is right; if not, that was answered."""
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if not known:
            self.send(401, {"error": "who are you?"})
        return known

    def do_POST(self):
        """Change the route, unless it is a rehearsal."""
        wanted = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        rehearsal = "dry_run" in self.path
        if not self.known():
            return
        with self.target.lock:
            route = self.target.shift(wanted["version"], wanted["share"])
            fault = self.target.fault.get("POST")
            if not rehearsal and fault not in ("ignore", "redirect") and not isinstance(fault, int):
                self.target.old, self.target.left = self.target.route, self.target.lag
                self.target.route = route
        self.answer({"route": route}, rehearsal=rehearsal)

    def answer(self, body, *, rehearsal=False):
        """Answer, or misbehave."""
        self.target.asked.append(f"{self.command} {self.path}")
        fault = None if rehearsal else self.target.fault.get(self.command)
        if fault == "hang":
            self.target.over.wait(30)
        elif fault == "redirect":
            self.send(302, {}, {"Location": f"{self.target.address}/elsewhere"})
        elif fault == "echo":
            self.send(500, {"you sent": dict(self.headers.items())})
        elif fault in ("flood", "drip"):
            self.stream(fault)
        elif isinstance(fault, int):
            self.send(fault, {"error": "out of order"})
        else:
            self.send(200, b"[" * 200_000 if fault == "deep" else body)

    def send(self, status, body, headers=()):
        """Send one answer, as JSON unless it is bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def stream(self, fault):
        """Send without end: a lot at once, or a byte at a time."""
        self.send_response(200)
        self.end_headers()
        try:
            while not self.target.over.wait(0 if fault == "flood" else 0.1):
                self.wfile.write(b"x" * (2**20 if fault == "flood" else 1))
        except (BrokenPipeError, ConnectionResetError):
            return
