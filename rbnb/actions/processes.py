"""Running a program: an argument list in a session of its own, for so long and no longer.

Rules:

- **No shell, no terminal, nothing to read**: standard input is closed, and what a value holds stays one argument.
- **It sees an environment of listed names** (`PASSED_ON`), so what rbnb happens to hold does not leak into it.
- **It ends.** After its time the whole session is asked to end, and killed; what left the session is found by a mark
  in its environment (Linux). What a program leaves behind in its session is killed when the program itself is done.
- **It is read for as long as it speaks**, so that it never blocks; of a flood the beginning and the end are kept.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["MARK", "PASSED_ON", "Answer", "Catch", "Limit", "environment", "marked", "run_program"]

#: What a program inherits, where it is set: where it finds itself, and where its own credentials lie.
PASSED_ON = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "KUBECONFIG", "KUBERNETES_SERVICE_HOST"),
    *("KUBERNETES_SERVICE_PORT", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE"),
    *("AWS_SHARED_CREDENTIALS_FILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ACCESS_KEY_ID"),
    *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_CONFIG_DIR"),
    *("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_TOKEN", "FEAST_FS_YAML_FILE_PATH"),
)
#: The variable that marks everything an attempt has started.
MARK = "RBNB_ATTEMPT"

#: Seconds between looks at a program that is silent; that a session has to end by itself; that its children may
#: still speak after it is done.
_LOOK, _MERCY, _AFTER = 0.05, 1.0, 1.0
_CHUNK = 2**16

Outcome = Literal["done", "failed", "timed_out", "interrupted"]


@dataclass(frozen=True, slots=True)
class Limit:
    """How many bytes of the beginning and of the end of an output are kept."""

    head: int
    tail: int = 0


class Catch:
    """Takes an output of any length, counts it, and keeps its beginning and its end."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self.total = 0

    def add(self, chunk: bytes) -> None:
        """Take the next piece."""
        self.total += len(chunk)
        room = self._limit.head - len(self._head)
        self._head += chunk[:room]
        if rest := chunk[room:]:
            self._tail.append(rest)
            self._tail_size += len(rest)
            while self._tail and self._tail_size - len(self._tail[0]) >= self._limit.tail:
                self._tail_size -= len(self._tail.popleft())

    @property
    def cut(self) -> bool:
        """Whether something in the middle, or the end, is not kept."""
        return self.total > len(self._head) + min(self._tail_size, self._limit.tail)

    @property
    def parts(self) -> tuple[bytes, bytes]:
        """The beginning, and of what follows the end."""
        tail = b"".join(self._tail)
        return bytes(self._head), tail[max(0, len(tail) - self._limit.tail) :] if self._limit.tail else b""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a step ended and what it said.

    Parameters
    ----------
    outcome
        ``done`` is that it ended by itself, whatever it answered; `rbnb.catalog.holds` tells whether that is good.
    code
        The exit code (negative: the signal that ended it) or the HTTP status; None if there was none.
    seconds
        How long it took, by a clock that never steps back.
    out, err
        Standard output, or the body; and standard error.
    why
        Why there is no answer.
    """

    provider: Literal["process", "http"]
    outcome: Outcome
    code: int | None
    seconds: float
    out: Catch
    err: Catch = field(default_factory=lambda: Catch(Limit(0)))
    why: str = ""


def environment(extra: Iterable[str] = ()) -> dict[str, str]:
    """Return what a program may see of this environment."""
    return {name: os.environ[name] for name in (*PASSED_ON, *extra) if name in os.environ}


def run_program(
    argv: Sequence[str], *, timeout: float, limit: Limit, environ: Mapping[str, str], folder: Path
) -> Answer:
    """Run a program to its end, or to the end of its time.

    Parameters
    ----------
    argv
        The program and its arguments.
    timeout
        Seconds.
    limit
        How much is kept of each of its outputs.
    environ
        All that it sees of the environment.
    folder
        Where it is started.

    Returns
    -------
    Answer
        Also where it could not be started (outcome ``failed``, no code) or Ctrl-C came (``interrupted``).
    """
    began = time.monotonic()
    out, err = Catch(limit), Catch(limit)
    try:
        process = subprocess.Popen(  # noqa: S603 - an argument list from a checked catalog; never a shell
            list(argv),
            env=dict(environ),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        return Answer("process", "failed", None, 0.0, out, err, f"{argv[0]} cannot be started: {error.strerror}")
    outcome: Outcome = "done"
    try:
        if not _listen(process, out, err, began + timeout):
            outcome = "timed_out"
    except KeyboardInterrupt:
        outcome = "interrupted"
    finally:
        _end(process, environ.get(MARK, ""), orderly=outcome == "done")
    code = process.returncode
    seconds = time.monotonic() - began
    if outcome == "timed_out":
        return Answer("process", outcome, None, seconds, out, err, f"it did not end within {timeout:g} s")
    why = "Ctrl-C" if outcome == "interrupted" else _signalled(code)
    return Answer("process", outcome, code, seconds, out, err, why)


def _signalled(code: int) -> str:
    return f"it was ended by {signal.Signals(-code).name}" if code < 0 else ""


def _listen(process: subprocess.Popen[bytes], out: Catch, err: Catch, deadline: float) -> bool:
    """Read both outputs until the program is done; False where its time is over first."""
    with selectors.DefaultSelector() as selector:
        for pipe, catch in ((process.stdout, out), (process.stderr, err)):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, catch)
        over: float | None = None
        while True:
            now = time.monotonic()
            if over is None and _is_over(process.pid):
                over = now
            if over is not None and (not selector.get_map() or now > over + _AFTER):
                return True
            if over is None and now > deadline:
                return False
            _read_ready(selector)


def _read_ready(selector: selectors.BaseSelector) -> None:
    if not selector.get_map():  # it has closed its outputs, and is still there
        time.sleep(_LOOK / 10)
        return
    for key, _ in selector.select(_LOOK):
        chunk = os.read(key.fd, _CHUNK)
        if chunk:
            key.data.add(chunk)
        else:
            selector.unregister(key.fileobj)


def _is_over(pid: int) -> bool:
    """Look whether a child has ended, and leave it unreaped: its number stays its own until its session is killed."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(process: subprocess.Popen[bytes], mark: str, *, orderly: bool) -> None:
    """Leave nothing of a session behind."""
    if not orderly:
        _signal(process.pid, signal.SIGTERM)
        until = time.monotonic() + _MERCY
        while time.monotonic() < until and not _is_over(process.pid):
            time.sleep(_LOOK)
    _signal(process.pid, signal.SIGKILL)
    if not orderly and mark:
        for pid in marked(mark):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def marked(mark: str) -> list[int]:
    """Return the processes of an attempt that are still there; only Linux tells, elsewhere there are none."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(entry.name) != os.getpid() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found
