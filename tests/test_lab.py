"""`rbnb lab`: a real JupyterLab on loopback, on a working copy; the original stays and what was changed is recorded."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import nbformat
import pytest
import websocket
from run_fixture import MARK, processes, wait_until

from rbnb.incidents import Incident
from rbnb.times import utc_now

RBNB = Path(sys.executable).with_name("rbnb")


class Lab:
    """`rbnb lab` in a copy of the sample run's workspace, seen as its user does: by HTTP, and by its files."""

    def __init__(self, sample_run, home):
        self.root = home / "ws"
        shutil.copytree(sample_run.root, self.root)
        self.home = home
        self.incident = Incident(self.root / "reports" / sample_run.incident, utc_now)
        self.analyses = self.incident.folder / "analyses"
        self.mark = uuid.uuid4().hex
        self.process = None
        self.server = {}

    def start(self, port):
        """Start it, without waiting."""
        homes = {name: str(self.home / name) for name in ("HOME", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
        self.process = subprocess.Popen(
            [RBNB, "lab", self.incident.name, "--no-browser", f"--port={port}"],
            cwd=self.root, env=os.environ | homes | {MARK: self.mark},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        return self

    def wait_until_up(self):
        """Wait until it serves, and learn its address and token as Jupyter's own tools do."""
        assert wait_until(lambda: self._written() or self.process.poll() is not None, 60)
        assert self.process.poll() is None, self.process.communicate()[0]
        assert wait_until(self._answers, 30)
        return self

    def _written(self):
        """Read where it serves; Jupyter does not write that file in one go, so it may be there and not whole yet."""
        for path in (self.home / "JUPYTER_RUNTIME_DIR").glob("jpserver-*.json"):
            with contextlib.suppress(ValueError):
                self.server = json.loads(path.read_text())
        return bool(self.server)

    def _answers(self):
        with contextlib.suppress(OSError):
            return "started" in self.get("/api/status")
        return False

    def get(self, path, *, method="GET", body=None, token=None):
        """Make a request with the token, and return what was answered."""
        headers = {"Authorization": f"token {self.server['token'] if token is None else token}"}
        headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        address = self.server["url"].rstrip("/") + path
        with urlopen(Request(address, data=data, headers=headers, method=method), timeout=20) as answer:  # noqa: S310 - ours
            return json.loads(answer.read())

    def execute(self, kernel, source):
        """Run a cell as the notebook's page would; return the status of the reply and what was shown."""
        address = self.server["url"].replace("http", "ws", 1) + f"api/kernels/{kernel}/channels"
        channel = websocket.create_connection(
            address, header=[f"Authorization: token {self.server['token']}"], timeout=60
        )
        ask = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "username": "",
            "session": "s",
            "version": "5.3",
        }
        content = {"code": source, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        message = {"header": ask, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        try:
            channel.send(json.dumps(message))
            return self._reply(channel, ask["msg_id"])
        finally:
            channel.close()

    @staticmethod
    def _reply(channel, asked):
        shown, status, idle = "", "", False
        while not (status and idle):  # they come on two channels, in any order
            message = json.loads(channel.recv())
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != asked:
                continue
            if kind == "execute_reply":
                status = content["status"]
            elif kind == "status":
                idle = content["execution_state"] == "idle"
            elif kind in ("stream", "error"):
                shown += content.get("text", "") + "\n".join(content.get("traceback", []))
        return status, shown

    def stop(self):
        """Stop it as `kill` does; return the exit code and what it printed, once every process is gone."""
        self.process.send_signal(signal.SIGTERM)
        printed, _ = self.process.communicate(timeout=30)
        assert wait_until(lambda: processes(self.mark) == [])
        return self.process.returncode, printed

    def recorded(self):
        """Return the bodies of the analyses on record."""
        return [e.body for e in self.incident.ledger.entries() if e.kind == "analysis.recorded"]

    def clean_up(self):
        """End whatever a failing test has left."""
        for process in processes(self.mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if self.process is not None:
            self.process.communicate(timeout=30)


@pytest.fixture
def lab(sample_run, tmp_path):
    """Lab, not started yet."""
    made = Lab(sample_run, tmp_path)
    yield made
    made.clean_up()


def digests(folder):
    """Return the sha256 of each file of a folder."""
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def code_cells(notebook):
    """Return the sources of a notebook's code cells."""
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def free_port():
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_changed_copy_runs_on_and_is_recorded(lab, sample_run):
    """The copy opens, its cells run again as they stand, and the saved change is recorded; the run is as it was."""
    run = lab.incident.folder / "runs" / sample_run.folder.name
    before = digests(run)
    lab.start(free_port()).wait_until_up()
    with pytest.raises(HTTPError, match="403"):
        lab.get("/api/contents/", token="x")  # noqa: S106 - wrong
    path = f"01-{run.name}.ipynb"
    notebook = lab.get(f"/api/contents/{path}")["content"]
    name = notebook["metadata"]["kernelspec"]["name"]
    asked = {"path": path, "name": path, "type": "notebook", "kernel": {"name": name}}
    kernel = lab.get("/api/sessions", method="POST", body=asked)["kernel"]["id"]
    for source in code_cells(notebook)[:5]:
        status, shown = lab.execute(kernel, source)
        assert status == "ok", shown
    status, shown = lab.execute(kernel, "print(model, case.model.name)")
    assert (status, shown.strip()) == ("ok", "fraud-v3 fraud-v3")

    notebook["cells"].append(nbformat.v4.new_markdown_cell("The feature store in zone b, again."))
    lab.get(f"/api/contents/{path}", method="PUT", body={"type": "notebook", "format": "json", "content": notebook})
    code, printed = lab.stop()

    digest = hashlib.sha256((lab.analyses / path).read_bytes()).hexdigest()
    assert code == 0, printed
    assert f"recorded as a further analysis, sha256 {digest}" in printed
    origin = before[run / "notebook.ipynb"]
    assert lab.recorded() == [{"run": run.name, "file": f"analyses/{path}", "sha256": digest, "started_from": origin}]
    assert digests(run) == before
    assert lab.incident.check().problems == ()


def test_a_copy_that_was_only_saved_is_not_recorded_and_a_taken_port_is_left_alone(lab):
    """With the port taken Lab comes up on another; saving without a change leaves neither an entry nor a file."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        lab.start(port).wait_until_up()
        assert lab.server["port"] != port
        [found] = [each for each in lab.get("/api/contents/")["content"] if each["type"] == "notebook"]
        notebook = lab.get(f"/api/contents/{found['path']}")["content"]
        written = (lab.analyses / found["path"]).read_bytes()
        notebook["metadata"]["language_info"] = {"name": "python", "version": "3", "codemirror_mode": {"version": 3}}
        body = {"type": "notebook", "format": "json", "content": notebook}
        lab.get(f"/api/contents/{found['path']}", method="PUT", body=body)
        assert (lab.analyses / found["path"]).read_bytes() != written
        code, printed = lab.stop()
    assert code == 0, printed
    assert "nothing was changed, so nothing is recorded" in printed
    assert lab.recorded() == []
    assert list(lab.analyses.glob("*.ipynb")) == []


def test_a_lab_that_cannot_start_says_so(lab):
    """Where Jupyter gives up, here because its settings forbid another port, the command fails and nothing is left."""
    (lab.home / "JUPYTER_CONFIG_DIR").mkdir()
    settings = lab.home / "JUPYTER_CONFIG_DIR/jupyter_server_config.json"
    settings.write_text(json.dumps({"ServerApp": {"port_retries": 0}}), encoding="utf-8")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        lab.start(taken.getsockname()[1])
        printed, _ = lab.process.communicate(timeout=60)
    assert lab.process.returncode == 1
    assert "JupyterLab ended with code 1" in printed
    assert lab.recorded() == []
    assert list(lab.analyses.glob("*.ipynb")) == []
