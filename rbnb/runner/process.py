"""The supervisor's side: start the runner process, give it one job, and return how it ended.

Rules: Ctrl-C, SIGTERM and SIGHUP ask the runner to end in order, and a second one ends it at once. A
runner that is gone, or that outlives every deadline, is killed with all it started; then the notebook
it left is marked with what is known and nothing more. Nothing a library prints reaches the terminal.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, cast

from rbnb.errors import IntegrityError, RbnbError
from rbnb.model import RunStatus, to_plain
from rbnb.runner.abandoned import close_abandoned
from rbnb.runner.files import JOURNAL, LOG, NOTEBOOK, TEMPLATE, write_atomically
from rbnb.runner.reap import kill_group, kill_strays
from rbnb.runner.words import Failure, Job, Outcome, Progress, outcome_from_plain
from rbnb.templates import check_parameters, read_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["Runner"]

#: What the runner and its kernel inherit from the environment, by name and by beginning.
ALLOWED = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV"}
    | {"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "OMP_NUM_THREADS"}
    | {"PYTHONPATH", "PYTHONHASHSEED", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONNOUSERSITE"}
    | {"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
)
ALLOWED_BEGINNINGS = ("LC_", "RBNB_", "MPL")

#: What templates need; the kernel imports it while the runner is still busy with papermill.
PRELOAD = (
    "rbnb.case",
    "rbnb.diagnoses.latency.views",
    "ibis.backends.duckdb",
    "ibis.formats.pandas",
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
)

#: Seconds the runner has for an orderly end, once asked or once its deadline is over.
PATIENCE = 20.0
#: An ipc address is a socket's path, which may have about 100 characters.
_LONGEST_FOLDER = 60
_LARGEST_LOG = 2**20
#: Signals that ask for an end rather than force it.
_ORDERLY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ALLOWED or name.startswith(ALLOWED_BEGINNINGS)}
    return kept | {"MPLBACKEND": "agg", "DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}


def _private_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="rbnb-")
    if len(folder) > _LONGEST_FOLDER:
        os.rmdir(folder)  # noqa: PTH106
        folder = tempfile.mkdtemp(prefix="rbnb-", dir="/tmp")
    return Path(folder)


class Runner:
    """One runner process for one run.

    Examples
    --------
    ``with Runner.start() as runner: outcome = runner.run(job, print)``
    """

    def __init__(self, process: subprocess.Popen[bytes], pipe: int, folder: Path, token: str, log: IO[bytes]) -> None:
        self._process, self._pipe, self._folder, self._token, self._log = process, pipe, folder, token, log
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_in, False)  # a signal handler must never wait
        self._kernel: int | None = None
        self._used = self._closed = self._asked = self._gave_up = False
        self._why = ""
        self._deadline: float | None = None
        self._last_word = Failure("cancelled", "")

    @classmethod
    def start(cls, preload: tuple[str, ...] = PRELOAD) -> Runner:
        """Start the runner process and its kernel, and return at once.

        Parameters
        ----------
        preload
            Modules the kernel imports before it serves its first cell; one that is absent is left out.

        Raises
        ------
        RbnbError
            If no process can be started here.
        """
        if os.name != "posix":
            raise RbnbError("runs need a POSIX system", hint="use Linux, macOS, or WSL on Windows")
        folder, token = _private_folder(), secrets.token_hex(16)
        log = tempfile.TemporaryFile()  # noqa: SIM115 - held until `close`
        pipe_out, pipe_in = os.pipe()
        try:
            process = subprocess.Popen(  # noqa: S603 - our own module, by the absolute path of this interpreter
                [sys.executable, "-P", "-m", "rbnb.runner.child", str(pipe_in), str(folder), token, *preload],
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(pipe_in,),
                start_new_session=True,
            )
        except OSError as error:
            os.close(pipe_out)
            log.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise RbnbError(f"the runner process cannot be started: {error.strerror or error}") from None
        finally:
            os.close(pipe_in)
        return cls(process, pipe_out, folder, token, log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ one run

    def run(self, job: Job, on_progress: Callable[[Progress], None]) -> Outcome:
        """Execute `job` and return how it ended, whatever happens to the processes meanwhile.

        Parameters
        ----------
        job
            What to execute.
        on_progress
            Called as stages begin and end.

        Raises
        ------
        ConfigError, ParameterError
            If the template or a parameter is not what it should be; nothing was executed.
        IntegrityError
            If the template is not the one that `job.template_digest` names.
        RbnbError
            If this runner was used or closed before, or the folder holds a run.
        """
        if self._used or self._closed:
            raise RbnbError("a Runner runs one job", hint="start another one")
        self._used = True
        given = _copied(job)
        started = datetime.now(UTC)
        outcome = None
        try:
            with self._asked_to_stop():
                self._send(to_plain(given))
                outcome = self._attend(given, on_progress)
                self._end_processes(orderly=outcome is not None)
        except BaseException as error:
            self._end_processes(orderly=False)
            close_abandoned(given, Failure("cancelled", f"its caller failed: {type(error).__name__}"), started)
            raise
        if outcome is None:
            outcome = close_abandoned(given, self._why_vanished(), started)
        self._keep_log(given.folder, outcome)
        return outcome

    def stop(self, why: str = "it was cancelled") -> None:
        """Ask the run to end; may be called from another thread or a signal handler."""
        self._why = why
        if not self._closed:
            with contextlib.suppress(BlockingIOError):  # full of earlier wishes
                os.write(self._wake_in, b"!")

    def _send(self, message: dict[str, Any]) -> None:
        stdin = cast("IO[bytes]", self._process.stdin)
        with contextlib.suppress(BrokenPipeError):  # it is gone, which reading from it will tell
            stdin.write(json.dumps(message).encode() + b"\n")
            stdin.flush()

    # ------------------------------------------------------------------ while it runs

    @contextlib.contextmanager
    def _asked_to_stop(self) -> Iterator[None]:
        """Turn Ctrl-C, SIGTERM and SIGHUP into a request to stop, where signals reach us at all."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def on_signal(number: int, _: FrameType | None) -> None:
            self.stop(f"the run got {signal.Signals(number).name}")

        numbers = [n for n in _ORDERLY if signal.getsignal(n) != signal.SIG_IGN]
        before = {number: signal.signal(number, on_signal) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _attend(self, job: Job, on_progress: Callable[[Progress], None]) -> Outcome | None:
        """Follow the runner until it says how the run ended, or is gone, or is out of patience."""
        if job.run_timeout is not None:
            self._give_up(job.run_timeout + PATIENCE, "run_timeout", f"the run took over {job.run_timeout:g} s")
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            selector.register(self._wake_out, selectors.EVENT_READ)
            rest = b""
            while self._deadline is None or time.monotonic() < self._deadline:
                ready = [key.fd for key, _ in selector.select(self._time_left())]
                if self._wake_out in ready:
                    self._pass_on_stop()
                if self._pipe in ready:
                    chunk = os.read(self._pipe, 2**16)
                    if not chunk:
                        return None
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        outcome = self._told(json.loads(line), on_progress)
                        if outcome is not None:
                            return outcome
        self._gave_up = True
        return None

    def _give_up(self, seconds: float, kind: str, why: str) -> None:
        self._deadline = time.monotonic() + seconds
        self._last_word = Failure(kind, f"{why}, and the runner did not end in time and was killed")

    def _time_left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _pass_on_stop(self) -> None:
        """Ask the runner to stop; on the second request, stop waiting for it."""
        os.read(self._wake_out, 1)
        self._give_up(0 if self._asked else PATIENCE, "cancelled", self._why)
        self._asked = True
        self._send({"stop": self._why})

    def _told(self, message: dict[str, Any], on_progress: Callable[[Progress], None]) -> Outcome | None:
        kind = message.pop("type")
        if kind == "kernel":
            self._kernel = message["pid"]
        elif kind == "progress":
            on_progress(Progress(**message))
        elif kind == "outcome":
            return outcome_from_plain(message["outcome"])
        return None

    # ------------------------------------------------------------------ the end

    def close(self) -> None:
        """End what is left of the runner, and remove its private folder."""
        if self._closed:
            return
        self._closed = True
        self._end_processes(orderly=False)
        for handle in (self._pipe, self._wake_out, self._wake_in):
            os.close(handle)
        self._log.close()

    def _end_processes(self, *, orderly: bool) -> None:
        """Leave no process of the run and no private file; only an orderly runner is waited for."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        if self._process.returncode is None:
            if orderly:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(PATIENCE)
            if self._process.returncode is None:
                kill_group(self._process.pid)
                self._process.wait()
                if self._kernel is not None:
                    kill_group(self._kernel)
        kill_strays(self._token)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _why_vanished(self) -> Failure:
        if self._gave_up:
            return self._last_word
        code = self._process.returncode
        if -code in _ORDERLY:  # it came before the runner could listen to it
            return Failure("cancelled", f"the runner process got {signal.Signals(-code).name}")
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        return Failure("runner_vanished", f"the runner process {how} before it said how the run ended")

    def _keep_log(self, folder: Path, outcome: Outcome) -> None:
        """Keep what the libraries printed where it may explain something."""
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - _LARGEST_LOG))
        printed = self._log.read()
        if printed and outcome.status is not RunStatus.COMPLETED:
            with contextlib.suppress(OSError):  # a run whose folder cannot be written has said so already
                write_atomically(folder / LOG, printed)


def _copied(job: Job) -> Job:
    """Copy the template into the run folder, and return the job that runs the copy."""
    content = job.template.read_bytes()
    template = read_template(job.template, content)
    if job.template_digest not in (None, template.digest):
        raise IntegrityError(
            f"the template {template.name} has sha256 {template.digest}, not {job.template_digest}",
            hint="it was changed after it was chosen; start again",
        )
    folder = job.folder.resolve(strict=True)
    if any((folder / name).exists() for name in (NOTEBOOK, JOURNAL, TEMPLATE)):
        raise RbnbError(
            f"{folder} holds a run already", hint="a run is never written over; give it a folder of its own"
        )
    write_atomically(folder / TEMPLATE, content)
    return replace(
        job, template=folder / TEMPLATE, folder=folder, parameters=check_parameters(template, job.parameters)
    )
