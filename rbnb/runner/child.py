"""The runner process, ``python -m rbnb.runner.child``: one kernel, one job, one outcome.

It starts the kernel first and imports papermill while the kernel comes up. Then it reads one job from
its standard input and says on a pipe of its own what happens; standard output and error belong to the
libraries. Its input ending means that the supervisor is gone: the run is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rbnb.runner.kernel_process import KernelProcess, NoKernelError
from rbnb.runner.reap import kill_strays
from rbnb.runner.words import Failure, Job, outcome_to_plain

if TYPE_CHECKING:
    from rbnb.runner.run import Run
    from rbnb.runner.words import Outcome

#: Seconds an orderly end may take once the supervisor is gone.
_LAST_CHANCE = 10.0
#: What papermill's dependencies import and no run needs; a second of grammar tables among it.
_UNNEEDED = ("rfc3987_syntax", "isoduration", "pyarrow.fs")


class Stop:
    """Whether somebody wants the run to end; may be set from a signal handler or a thread."""

    def __init__(self) -> None:
        self.why = ""

    def request(self, why: str) -> None:
        """Ask for the end; the first reason stays."""
        self.why = self.why or why

    async def requested(self) -> None:
        """Return when the end was asked for."""
        while not self.why:  # noqa: ASYNC110 - set from signal handlers and threads, which an event forbids
            await asyncio.sleep(0.05)


class _Channel:
    """The pipe to the supervisor, a JSON object a line."""

    def __init__(self, handle: int) -> None:
        os.set_inheritable(handle, False)  # noqa: FBT003 - the kernel must not keep it open
        self._handle = handle

    def tell(self, kind: str, content: dict[str, Any]) -> None:
        line = memoryview(json.dumps({"type": kind, **content}).encode() + b"\n")
        with contextlib.suppress(BrokenPipeError):  # the supervisor is gone, and the run is being cancelled
            while line:
                line = line[os.write(self._handle, line) :]


def _listen(inbox: queue.Queue[bytes], stop: Stop, token: str) -> None:
    """Pass on the job and the wish to stop; when the supervisor is gone, see to it that this ends."""
    rest = b""
    while chunk := os.read(0, 2**16):  # unbuffered: a thread that holds a buffer's lock breaks the end of Python
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "stop" in message:
                stop.request(message["stop"])
            else:
                inbox.put(line)
    stop.request("the process that started the run is gone")
    inbox.put(b"")
    time.sleep(_LAST_CHANCE)
    kill_strays(token)
    os._exit(1)


def _on_signal(stop: Stop) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda got, _: stop.request(f"the runner process got {signal.Signals(got).name}"))


def _import_engine() -> None:
    for name in _UNNEEDED:
        sys.modules.setdefault(name, cast("Any", None))  # None is how an import is refused
    import rbnb.runner.engine  # noqa: F401 - registers the engine


def _job(line: bytes) -> Job:
    plain = json.loads(line)
    return Job(
        **plain
        | {
            "template": Path(plain["template"]),
            "folder": Path(plain["folder"]),
            "required_scraps": tuple(plain["required_scraps"]),
        }
    )


def _execute(run: Run) -> Outcome:
    """Hand the notebook to papermill; what it returns or raises is not what counts."""
    import nbformat
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import execute_notebook

    from rbnb.runner.engine import ENGINE

    notebook = nbformat.reads(run.job.template.read_text(encoding="utf-8"), as_version=4)
    with contextlib.suppress(PapermillExecutionError):
        execute_notebook(
            notebook,
            None,
            run.job.parameters,
            engine_name=ENGINE,
            kernel_name=ENGINE,
            language="python",
            request_save_on_cell_execute=False,
            progress_bar=False,
            run=run,
        )
    return run.outcome


async def _connect(run: Run) -> None:
    """Get the kernel ready for the job, or note why it cannot be."""
    try:
        client = await run.kernel.connect()
        await run.kernel.prepare(client, run.job)
        run.client = client
    except NoKernelError as error:
        run.trouble = Failure("no_kernel", str(error))


async def _connect_or_stop(run: Run) -> None:
    """Connect, unless the run must end before that; the engine will find out why."""
    connecting = asyncio.ensure_future(_connect(run))
    stopping = asyncio.ensure_future(run.stop.requested())
    await asyncio.wait({connecting, stopping}, timeout=run.time_left(), return_when=asyncio.FIRST_COMPLETED)
    for task in (connecting, stopping):
        task.cancel()
    await asyncio.gather(connecting, stopping, return_exceptions=True)


def _serve(job: Job, kernel: KernelProcess, stop: Stop, channel: _Channel, trouble: Failure | None) -> Outcome:
    from rbnb.runner.run import Run

    with asyncio.Runner() as loop:
        run = Run(job, kernel, stop, loop, channel.tell)
        run.trouble = trouble
        try:
            if trouble is None:
                loop.run(_connect_or_stop(run))
            return _execute(run)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run has failed and says so
            traceback.print_exc()
            return run.end(Failure("runner_error", f"the runner failed: {type(error).__name__}: {error}"))


def main(pipe: str, folder: str, token: str, *preload: str) -> None:
    """Do one job, or none if the supervisor leaves before giving one."""
    stop = Stop()
    _on_signal(stop)
    channel = _Channel(int(pipe))
    kernel = KernelProcess(Path(folder), token, preload)
    channel.tell("kernel", {"pid": kernel.pid})
    inbox: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(inbox, stop, token), daemon=True).start()
    _import_engine()
    line = inbox.get()
    trouble = None
    if line:
        job = _job(line)
        if job.python is not None:
            kernel.close()
            try:
                kernel = KernelProcess(Path(folder), token, preload, job.python)
                channel.tell("kernel", {"pid": kernel.pid})
            except NoKernelError as error:
                trouble = Failure("no_kernel", str(error))
        outcome = _serve(job, kernel, stop, channel, trouble)
    kernel.close()
    if line:
        channel.tell("outcome", {"outcome": outcome_to_plain(outcome)})
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)  # all is said and written; taking papermill down in order would only cost time


if __name__ == "__main__":
    main(*sys.argv[1:])
