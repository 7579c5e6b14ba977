"""A workspace in which something waits for approval in production, and people with SSH keys."""

import contextlib
import io
import os
import pty
import select
import subprocess
import time

import pytest
import yaml
from acting_fixture import PEOPLE, RBNB, make_scene

from rbnb.cli import main
from rbnb.errors import RefusedError
from rbnb.times import utc_now

RULES = """\
name: approvals
version: "1.0.0"
rules:
  - {name: close, way: [close], people: 1, roles: [approver, incident_commander], expires: 4h}
  - {name: two, people: 2, roles: [approver, incident_commander], expires: 2h}
"""
SIGNED_RULES = RULES.replace("expires: 2h", "expires: 2h, verified: true")
SIGNERS = PEOPLE + '[identity]\nallowed_signers = "allowed_signers"\n'
ACTION = "switch_off"


class Clock:
    """A clock that a test sets; it stands still unless told. It begins now, for commands go by the real one."""

    def __init__(self):
        self.now = utc_now()

    def __call__(self):
        """Return the time it shows."""
        return self.now


def stage(tmp_path, monkeypatch, *, rules=RULES, toml=PEOPLE, environment="production", **changed):
    """Return a scene with a decided action that waits, its clock in the test's hands."""
    scene = make_scene(tmp_path, monkeypatch, environment=environment, toml=toml, decided=False)
    (scene.root / "policies" / "approvals.yaml").write_text(rules)
    if changed:
        scene.write_action(**changed)
    clock = Clock()
    scene.clock = scene.workspace.clock = clock
    scene.decide(by="dan")
    return scene


def as_person(scene, person, verb, *arguments, **options):
    """Let somebody approve, reject or withdraw; return the refusal as an object, or the step."""
    before = os.environ.get("RBNB_USER", "")
    os.environ["RBNB_USER"] = person
    try:
        return getattr(scene.workspace, verb)(scene.name, *arguments, **options)
    except RefusedError as error:
        return error
    finally:
        os.environ["RBNB_USER"] = before


def command(scene, person, *arguments):
    """Run a command in this process; return its exit code, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setenv("RBNB_USER", person)
        patch.chdir(scene.root)
        patch.setattr("sys.argv", ["rbnb", *arguments])
        patch.setattr("sys.stdin", io.StringIO())
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
    return code, out.getvalue(), err.getvalue()


def on_a_terminal(scene, person, arguments, question, answer):
    """Run a command on a terminal of its own, answer what it asks; return its exit code and all it said."""
    environment = scene.environ(person, {"COLUMNS": "120"})
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(scene.root)
        os.execve(RBNB, [str(RBNB), *arguments], environment)  # noqa: S606 - no shell is meant
    said = _conversation(terminal, question, answer)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), said


def _conversation(terminal, question, answer):
    said, until, answered = "", time.monotonic() + 60, False
    while time.monotonic() < until:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            chunk = os.read(terminal, 65536).decode(errors="replace")
        except OSError:
            break
        said += chunk
        if question in said and not answered:
            time.sleep(0.2)  # ssh-keygen empties its input before it reads a passphrase
            os.write(terminal, f"{answer}\n".encode())
            answered = True
        if not chunk:
            break
    return said


def kinds(scene, kind):
    """Return the entries of a kind."""
    return [entry for entry in scene.state.entries if entry.kind == kind]


def make_key(folder, name, passphrase=""):
    """Make an SSH key and return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", f"{name}'s key", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return path


def allow(scene, **keys):
    """Write the file of allowed signers: the key of each person."""
    lines = [f"{person} {key.with_suffix('.pub').read_text()}" for person, key in keys.items()]
    (scene.root / "allowed_signers").write_text("".join(lines))


def demand(scene, rules):
    """Replace the workspace's rules."""
    (scene.root / "policies" / "approvals.yaml").write_text(yaml.safe_dump(rules) if isinstance(rules, dict) else rules)
