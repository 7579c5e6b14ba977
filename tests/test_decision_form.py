"""The form in which a person decides: in a kernel as JupyterLab speaks to it, and its page in a real browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty

import pytest
from jupyter_client import BlockingKernelClient, KernelManager

from rbnb.case.form import read_answer
from rbnb.errors import UsageError
from rbnb.incidents import Incident
from rbnb.times import utc_now

ROOT = Path(__file__).resolve().parent.parent
FORM = ROOT / "rbnb" / "case" / "form"
RBNB = Path(sys.executable).with_name("rbnb")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
HOSTILE = "</script><script>document.documentElement.dataset.pwned='1'</script><img src=x onerror=alert(1)>\u202e"


class Session:
    """A kernel on a working copy, spoken to as JupyterLab does."""

    def __init__(self, root, copy, *, user="ada", named=True):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RBNB_")}
        environment |= {"RBNB_USER": user, "RBNB_WORKSPACE": str(root), "IPYTHONDIR": str(root / "ipython")}
        if named:
            environment["JPY_SESSION_NAME"] = str(copy)
        self.manager = KernelManager(
            kernel_name="python3", transport="ipc", connection_file=str(root / f"{copy.stem}.json")
        )
        self.manager.ip = str(root / f"ipc-{copy.stem}")
        self.manager.start_kernel(env=environment, cwd=str(copy.parent), stderr=subprocess.DEVNULL)
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, source):
        """Run a cell; return its messages, and fail the test if it raised."""
        asked = self.client.execute(source)
        heard = self._until_idle(asked)
        errors = [m["content"] for m in heard if m["msg_type"] == "error"]
        assert not errors, "\n".join(errors[0]["traceback"])
        return heard

    def fails(self, source):
        """Run a cell that raises; return its message."""
        heard = self._until_idle(self.client.execute(source))
        return next(m["content"]["evalue"] for m in heard if m["msg_type"] == "error")

    def submit(self, comm, content):
        """Press the form's button; return what the kernel then sent."""
        message = self.client.session.msg(
            "comm_msg", {"comm_id": comm, "data": {"method": "custom", "content": content}}
        )
        self.client.shell_channel.send(message)
        return self._until_idle(message["header"]["msg_id"])

    def _until_idle(self, asked):
        heard = []
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=60)
            except Empty:
                pytest.fail("the kernel said nothing for a minute")
            if message["parent_header"].get("msg_id") != asked:
                continue
            heard.append(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return heard

    def end(self):
        """End the kernel, and wait for it."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def outcome_of(heard):
    """Return what the form was told last."""
    states = [m["content"]["data"].get("state", {}) for m in heard if m["msg_type"] == "comm_msg"]
    return [state["outcome"] for state in states if "outcome" in state][-1]


def widget_of(heard):
    """Return the comm and the state of the form that a cell showed."""
    opened = [m["content"] for m in heard if m["msg_type"] == "comm_open" and "about" in m["content"]["data"]["state"]]
    return opened[-1]["comm_id"], opened[-1]["data"]["state"]


def shown(heard, kind="display_data"):
    """Return the data of what a cell showed."""
    return [m["content"]["data"] for m in heard if m["msg_type"] == kind]


def cells_until(copy, last):
    """Return the sources of a copy's code cells up to the one that is named."""
    cells = [cell for cell in json.loads(copy.read_bytes())["cells"] if cell["cell_type"] == "code"]
    number = next(n for n, cell in enumerate(cells) if last in "".join(cell["source"]))
    return ["".join(cell["source"]) for cell in cells[: number + 1]]


def entries(root, incident):
    """Return the entries of an incident's ledger."""
    return Incident(root / "reports" / incident, utc_now).ledger.entries()


@pytest.fixture(scope="module")
def session(sample_run, tmp_path_factory):
    """A kernel in which the cells of a working copy were run up to the form, as `rbnb lab` gives it."""
    root = tmp_path_factory.mktemp("form") / "ws"
    shutil.copytree(sample_run.root, root)
    analyses = root / "reports" / sample_run.incident / "analyses"
    analyses.mkdir()
    copy = analyses / f"01-{sample_run.folder.name}.ipynb"
    shutil.copy(sample_run.folder / "notebook.ipynb", copy)
    made = Session(root, copy)
    try:
        made.root, made.incident = root, sample_run.incident
        for source in cells_until(copy, "case.containment"):
            made.run(source)
        yield made
    finally:
        made.end()


def test_the_form_shows_proposal_and_options_and_text_is_beside_it(session):
    """The cell's output holds the form, and as text and HTML what is pending and how to decide without it."""
    heard = session.run("case.decision_form()")
    outputs = shown(heard)
    assert "Pending: no decision is on record" in outputs[0]["text/plain"]
    assert "Pending" in outputs[0]["text/html"]
    assert f"rbnb decide {session.incident} shift_traffic" in outputs[1]["text/plain"]
    assert "rbnb decide" in outputs[1]["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in outputs[2]
    assert outputs[2]["text/plain"].startswith("[form] a decision is made here")
    about = widget_of(heard)[1]["about"]
    assert (about["incident"], about["run"], about["user"]) == (session.incident, "01-latency_spike", "ada")
    assert about["proposal"]["action"] == "shift_traffic"
    assert "excess" in about["proposal"]["because"] or about["proposal"]["because"]
    names = [option["name"] for option in about["options"]]
    assert names[0] == "shift_traffic"
    assert names[-1] == "none"
    assert {option["risk"] for option in about["options"][:-1]} <= {"low", "medium", "high"}
    assert [one["name"] for one in about["verdicts"]] == [
        "healthy", "genuine", "transient", "infrastructure", "inconclusive",
    ]  # fmt: skip


ANSWER = {
    "kind": "decide",
    "choice": "shift_traffic",
    "because": "zone b only",
    "reject": {"rollback_version": "no deploy fits"},
    "values": {},
}


def test_a_mistake_is_told_in_the_form_and_nothing_is_recorded(session):
    """No reason, an unknown option, nothing chosen, or no answer of the form: a message and a hint, each time."""
    comm, _ = widget_of(session.run("case.decision_form()"))
    before = len(entries(session.root, session.incident))
    said = []
    for wrong in ({"because": " "}, {"because": ""}, {"choice": "shift_trafic"}, {"choice": ""}, {"reject": ["x"]}):
        outcome = outcome_of(session.submit(comm, {**ANSWER, **wrong}))
        said.append((outcome["error"], outcome["hint"]))
    said.append(outcome_of(session.submit(comm, "decide"))["error"])
    assert said[0][0] == said[1][0] == "a decision needs a reason"
    assert "did you mean shift_traffic?" in said[2][1]
    assert said[3][0] == "nothing is chosen yet"
    assert "no text" in said[4][0]
    assert "no answer of the form" in said[5]
    assert len(entries(session.root, session.incident)) == before


def test_the_form_writes_the_entry_that_the_command_writes(session, sample_run, tmp_path):
    """Same kind, same keys, same digests as `rbnb decide`; the form tells the entry, and the text above it changes."""
    comm, _ = widget_of(session.run("case.decision_form()"))
    heard = session.submit(comm, ANSWER)
    outcome = outcome_of(heard)
    entry = entries(session.root, session.incident)[-1]
    assert (entry.kind, entry.by, entry.seq) == ("decision.made", "ada", outcome["entry"])
    assert (outcome["choice"], outcome["by"]) == ("shift_traffic", "ada")
    assert "follows the proposal" in outcome["how"]
    (updated,) = shown(heard, "update_display_data")
    assert f"entry {entry.seq} of the ledger" in updated["text/plain"]
    assert "no deploy fits" in updated["text/html"]

    root = tmp_path / "ws"
    shutil.copytree(sample_run.root, root)
    words = ("shift_traffic", "--because", "zone b only", "--reject", "rollback_version", "--because", "no deploy fits")
    done = subprocess.run(
        [RBNB, "decide", sample_run.incident, *words, "--json"],
        cwd=root, env=os.environ | {"RBNB_USER": "ada"}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    by_command = json.loads(done.stdout)
    same = {key: value for key, value in entry.body.items() if key != "supersedes"}
    assert {key: by_command[key] for key in same} == same


def test_a_cell_writes_the_same_and_says_so(session):
    """`case.decide(…)` records the decision and shows who, when, what and where; it supersedes the one before."""
    heard = session.run('case.decide("none", because="we wait", reject={"shift_traffic": "too risky now"})')
    (output,) = shown(heard)
    entry = entries(session.root, session.incident)[-1]
    assert entry.body["choice"] == "none"
    assert entry.body["rejected"] == [{"option": "shift_traffic", "because": "too risky now"}]
    assert "overrides the proposal (shift_traffic)" in output["text/plain"]
    assert f"entry {entry.seq} " in output["text/plain"]
    assert "too risky now" in output["text/html"]
    heard = session.run("case.decision_form()")
    assert "Decided in" in shown(heard)[0]["text/plain"]
    assert "none, by ada" in widget_of(heard)[1]["about"]["standing"]


def test_what_a_browser_writes_into_the_forms_state_counts_for_nothing(session):
    """State is no evidence: only the answer that the button sends is read, and it is checked."""
    comm, _ = widget_of(session.run("case.decision_form()"))
    before = len(entries(session.root, session.incident))
    forged = {"outcome": {"entry": 99, "choice": "none"}, "about": {"run": "09-forged", "incident": "INC-20990101-01"}}
    message = session.client.session.msg(
        "comm_msg", {"comm_id": comm, "data": {"method": "update", "state": forged, "buffer_paths": []}}
    )
    session.client.shell_channel.send(message)
    session._until_idle(message["header"]["msg_id"])
    assert len(entries(session.root, session.incident)) == before
    assert outcome_of(session.submit(comm, ANSWER))["incident"] == session.incident
    assert entries(session.root, session.incident)[-1].body["run"] == "01-latency_spike"


def test_findings_that_are_no_longer_those_of_the_run_are_no_evidence(session):
    """Where an analyst measured something else, the decision is refused, and the refusal is on the ledger."""
    session.run("kept, case.findings = case.findings, case.findings[1:]")
    said = session.fails('case.decide("none", because="we wait")')
    session.run("case.findings = kept")
    assert "findings are not those of run 01-latency_spike" in said
    assert entries(session.root, session.incident)[-1].kind == "decide.refused"


def test_an_older_notebook_decides_nothing_and_names_the_newer_run(session):
    """After a later run completed, the form refuses, and says which run to look at."""
    comm, _ = widget_of(session.run("case.decision_form()"))
    ledger = Incident(session.root / "reports" / session.incident, utc_now).ledger
    started, finished = (
        next(e.body for e in ledger.entries() if e.kind == f"run.{end}") for end in ("started", "finished")
    )
    ledger.append("run.started", {**started, "run": "02-latency_spike"}, by="ben")
    ledger.append("run.finished", {**finished, "run": "02-latency_spike"}, by="ben")
    outcome = outcome_of(session.submit(comm, ANSWER))
    assert "02-latency_spike completed after it" in outcome["error"]
    entry = entries(session.root, session.incident)[-1]
    assert (entry.kind, entry.by, entry.body["subject"]) == ("decide.refused", "ada", "shift_traffic")


def test_a_run_shows_that_a_decision_is_pending_and_loads_no_form(sample_run):
    """A run's own notebook says in text and HTML that it is pending and how to decide; it holds no widget."""
    notebook = json.loads((sample_run.folder / "notebook.ipynb").read_bytes())
    (cell,) = [c for c in notebook["cells"] if "case.decision_form()" in "".join(c["source"])]
    outputs = [output["data"] for output in cell["outputs"] if "data" in output]
    text = "\n".join("".join(data.get("text/plain", "")) for data in outputs)
    page = "\n".join("".join(data.get("text/html", "")) for data in outputs)
    for told in (text, page):
        assert "Pending: no decision is on record" in told
        assert f"rbnb decide {sample_run.incident} shift_traffic" in told
        assert f"rbnb lab {sample_run.incident}" in told
    assert "widget" not in json.dumps(notebook["metadata"])
    assert "widget-view" not in json.dumps(cell)
    html = (sample_run.folder / "notebook.html").read_text(encoding="utf-8")
    assert "Pending: no decision is on record" in html


def test_importing_the_case_imports_no_widget():
    """A run does not pay for the form: neither anywidget nor ipywidgets, nor what a decision needs, is loaded."""
    script = "import sys, rbnb.case; print([n for n in sys.modules if n in %r])"
    heavy = ("anywidget", "ipywidgets", "traitlets", "rbnb.case.form", "rbnb.incidents.decisions")
    done = subprocess.run(
        [sys.executable, "-c", script % (heavy,)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "content", [None, 1, [], {}, {"kind": "decide"}, {**ANSWER, "because": 1}, {**ANSWER, "values": {"a": 1}}]
)
def test_only_texts_are_taken_from_a_browser(content):
    """Whatever else is sent is refused before anything looks at it."""
    with pytest.raises(UsageError):
        read_answer(content)


#: What a stub of the widget's model tells the form, every text of it hostile.
ABOUT = {
    "incident": "INC-20261122-01", "run": "01-latency_spike", "verdict": HOSTILE, "severity": "SEV2", "user": HOSTILE,
    "standing": HOSTILE, "proposal": {"action": "shift_traffic", "because": HOSTILE},
    "options": [
        {"name": "shift_traffic", "title": HOSTILE, "objective": HOSTILE, "risk": "medium", "blast_radius": HOSTILE,
         "proposed": True, "missing": [{"name": "namespace", "help": HOSTILE}]},
        {"name": "observe", "title": HOSTILE, "objective": HOSTILE, "risk": "low", "blast_radius": "", "missing": []},
        {"name": "none", "title": "do nothing now"},
    ],
    "verdicts": [{"name": "healthy", "title": "the model is healthy"}],
}  # fmt: skip
DONE = {
    "entry": 4, "at": "2026-11-22T22:32:52Z", "by": HOSTILE, "incident": "INC-20261122-01", "run": "01-latency_spike",
    "choice": "shift_traffic", "because": HOSTILE, "rejected": [{"option": "observe", "because": HOSTILE}], "how": "x",
}  # fmt: skip
#: JupyterLab's own dark colours.
LAB_DARK = {
    "--jp-layout-color1": "#212121", "--jp-layout-color2": "#424242", "--jp-ui-font-color0": "rgba(255,255,255,1)",
    "--jp-ui-font-color1": "rgba(255,255,255,0.87)", "--jp-ui-font-color2": "rgba(255,255,255,0.54)",
    "--jp-brand-color1": "#2196f3", "--jp-error-color1": "#d32f2f", "--jp-success-color1": "#388e3c",
}  # fmt: skip

HARNESS = Path(__file__).with_name("form_harness.html")


class Page:
    """A server on loopback that serves the form's own files and a harness, and notes whatever else is asked."""

    def __init__(self):
        self.hits, self.report, self.done = [], None, threading.Event()
        page = self
        data = json.dumps([ABOUT, DONE, LAB_DARK]).replace("<", "\\u003c")
        harness = HARNESS.read_text(encoding="utf-8").replace("null /* data */", data)
        files = {
            "/form.js": ("text/javascript", (FORM / "form.js").read_text(encoding="utf-8")),
            "/form.css": ("text/css", (FORM / "form.css").read_text(encoding="utf-8")),
            "/harness": ("text/html; charset=utf-8", harness),
        }

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                if self.path not in files:
                    page.hits.append(self.path)
                kind, text = files.get(self.path, ("text/plain", ""))
                raw = text.encode()
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def do_POST(self):
                page.report = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(204)
                self.end_headers()
                page.done.set()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def browse(self, profile, seconds=60):
        """Let a headless Chromium open the harness; return whether it reported in time."""
        quiet = (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
            "--disable-component-update --disable-sync --disable-extensions --disable-dev-shm-usage "
            "--window-size=900,1400"
        )
        command = [
            CHROMIUM, *quiet.split(), f"--user-data-dir={profile}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-port=0",
            f"http://127.0.0.1:{self.server.server_port}/harness",
        ]  # fmt: skip
        browser = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            return self.done.wait(seconds)
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
            self.server.shutdown()
            self.server.server_close()


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What a real browser reported of the form, filled in and sent against a stub of the widget's model."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed: the form is not looked at in a browser")
    page = Page()
    assert page.browse(tmp_path_factory.mktemp("profile")), "the browser did not report"
    time.sleep(0.1)
    return {**page.report, "hits": page.hits}


def test_in_a_browser_the_form_sends_what_was_entered_once(seen):
    """The choice, its reason, the reasons and values in which something was written; a second press sends nothing."""
    assert seen["sent"] == [
        {
            "kind": "decide", "choice": "shift_traffic", "because": "zone b only",
            "reject": {"observe": "users wait"}, "values": {"namespace": "fraud"},
        }
    ]  # fmt: skip
    assert seen["busy"]
    assert seen["now"] == ["Why not shift_traffic?", "Why not none?"], (
        "another choice asks for other reasons and values"
    )
    assert seen["kept"] == "users wait"


def test_in_a_browser_errors_and_the_entry_are_told_and_what_was_typed_stays(seen):
    """An error is an alert and the form stays as it was; afterwards who, when, what and the entry stand there."""
    assert seen["alert"].startswith("no </script>")
    assert seen["alert"].endswith("say it")
    assert seen["again"] == "zone b only"
    for told in ("Decided", "shift_traffic", "entry 4", "2026-11-22T22:32:52Z", "Not observe"):
        assert told in seen["done"]
    assert (seen["left"], seen["focused"], seen["offs"]) == (0, True, 1)


def test_in_a_browser_every_field_is_labelled_and_reached_by_keyboard(seen):
    """Each field has one label, every reference leads somewhere, all can be focused, and Lab's shortcuts keep out."""
    assert (seen["unlabelled"], seen["dangling"], seen["unreachable"], seen["suppressed"]) == (0, 0, 0, True)
    assert "risk: medium" in seen["text"]
    assert "proposed" in seen["text"]


def test_in_a_browser_text_is_legible_in_light_and_in_dark(seen):
    """Every text has a contrast of at least 4.5 to 1 with what it stands on, in both."""
    assert min(seen["contrast"]) >= 4.5


def test_in_a_browser_no_text_is_active_and_nothing_is_fetched(seen):
    """Markup in any text stays text, and nothing is asked for but the form's two files."""
    assert seen["pwned"] is False
    assert [hit for hit in seen["hits"] if hit != "/favicon.ico"] == []
    assert "<img src=x onerror=alert(1)>" in seen["text"]


def test_the_forms_files_name_no_address_and_put_in_no_markup():
    """Neither an address, nor an import, nor any of the ways in which a text becomes markup or code."""
    script, style = ((FORM / name).read_text(encoding="utf-8") for name in ("form.js", "form.css"))
    assert not re.search(
        r"https?:|//[a-z]+\.|\bimport\b|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|fetch\(", script
    )
    assert not re.search(r"https?:|url\(|@import", style)
