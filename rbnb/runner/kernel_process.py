"""The runner's hold on its kernel: start it, talk to it, stop it, and leave nothing of it behind.

The kernel listens on sockets in a private folder (no port, no network), with a key of its own. Its
process is never waited for until its group has been killed, so that the group's number stays its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from queue import Empty
from typing import TYPE_CHECKING, Any

from rbnb.runner.reap import TOKEN, kill_group, kill_strays

if TYPE_CHECKING:
    from pathlib import Path

    from rbnb.runner.words import Job

__all__ = ["KernelProcess", "NoKernelError"]

#: Seconds a kernel has to come up.
START_TIMEOUT = 60.0
_POLL = 0.02
_CHANNELS = ("shell", "iopub", "stdin", "control", "hb")


class NoKernelError(Exception):
    """The kernel cannot be started, or ended before it was ready."""


class KernelProcess:
    """One kernel; `folder` is private to it, `token` marks its processes, `preload` is imported early."""

    def __init__(self, folder: Path, token: str, preload: tuple[str, ...], python: str = sys.executable) -> None:
        self._token = token
        self._python = python
        self._preload = preload
        self._folder = folder / secrets.token_hex(3)
        self._folder.mkdir(mode=0o700)
        self._connection = {
            "transport": "ipc",
            "ip": str(self._folder / "k"),
            **{f"{channel}_port": number for number, channel in enumerate(_CHANNELS, start=1)},
            "key": secrets.token_hex(32),
            "signature_scheme": "hmac-sha256",
            "kernel_name": "rbnb",
        }
        self._process = self._start()
        self.pid = self._process.pid

    def _start(self) -> subprocess.Popen[bytes]:
        file = self._folder / "connection.json"
        file.write_text(json.dumps(self._connection), encoding="utf-8")
        (self._folder / "tmp").mkdir()
        own = {"IPYTHONDIR": str(self._folder / "ipython"), "TMPDIR": str(self._folder / "tmp")}
        try:
            return subprocess.Popen(  # noqa: S603 - our own module, by the absolute path of an interpreter
                [self._python, "-P", "-m", "rbnb.runner.kernel", str(file), str(os.getpid()), *self._preload],
                env=os.environ | own | {TOKEN: self._token, "JPY_PARENT_PID": str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                stderr=sys.stderr,
                start_new_session=True,
            )
        except OSError as error:
            raise NoKernelError(f"{self._python} cannot be started: {error.strerror or error}") from None

    # ------------------------------------------------------------------ alive or not

    def _code(self) -> int | None:
        """Return the exit code, or minus the signal; None while it runs. It is not reaped where that can be helped."""
        if not hasattr(os, "waitid") or self._process.returncode is not None:  # macOS has it from Python 3.13 on
            return self._process.poll()
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._code() is not None

    async def ended(self) -> None:
        """Return when the process has ended."""
        while not self.has_ended():  # noqa: ASYNC110 - a process tells nobody when it ends
            await asyncio.sleep(_POLL)

    def was_killed(self) -> bool:
        """Whether the process was killed by SIGKILL, as the system does when memory runs out."""
        return self._code() == -signal.SIGKILL

    def how_it_ended(self) -> str:
        """Return how the process ended, in words that follow its name."""
        code = self._code()
        if code is None:
            return "is still running"
        return f"exited with code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"

    # ------------------------------------------------------------------ talking

    async def connect(self) -> Any:  # noqa: ANN401 - jupyter_client ships no types
        """Return a client, once the kernel answers and its outputs reach us.

        Raises
        ------
        NoKernelError
            If it ended, or did not come up in time.
        """
        from jupyter_client.asynchronous.client import AsyncKernelClient

        deadline = time.monotonic() + START_TIMEOUT
        last = self._folder / f"k-{_CHANNELS.index('hb') + 1}"
        while not last.exists():  # connecting before it binds would cost a reconnection interval
            await self._still_coming(deadline)
        client = AsyncKernelClient()
        client.load_connection_info(self._connection)
        client.start_channels(stdin=False, hb=False, control=False)
        answered = heard = False
        asked = 0.0
        while not (answered and heard):
            if time.monotonic() - asked > 1:  # what is published before the subscription arrived is lost
                client.kernel_info()
                asked = time.monotonic()
            answered = answered or await _received(client.shell_channel)
            heard = heard or await _received(client.iopub_channel)
            await self._still_coming(deadline)
        return client

    async def prepare(self, client: Any, job: Job) -> None:  # noqa: ANN401
        """Apply the job's settings in the kernel before its first cell.

        Raises
        ------
        NoKernelError
            If they cannot be applied.
        """
        settings = {"folder": str(job.folder), "environment": job.environment, "memory_limit": job.memory_limit}
        code = f"__import__('rbnb.runner.kernel', fromlist=['prepare']).prepare({json.dumps(settings)!r})"
        asked = client.execute(code, silent=True, store_history=False)
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            await self._still_coming(deadline)
            with contextlib.suppress(Empty):
                reply = await client.shell_channel.get_msg(timeout=0.05)
                if reply["parent_header"].get("msg_id") == asked:
                    break
        if reply["content"]["status"] != "ok":
            content = reply["content"]
            raise NoKernelError(f"the kernel could not be prepared: {content.get('ename')}: {content.get('evalue')}")

    async def _still_coming(self, deadline: float) -> None:
        if self.has_ended():
            raise NoKernelError(f"the kernel {self.how_it_ended()} before it was ready")
        if time.monotonic() > deadline:
            raise NoKernelError(f"the kernel was not ready within {START_TIMEOUT:g} s")
        await asyncio.sleep(0.002)

    # ------------------------------------------------------------------ stopping

    def interrupt(self) -> None:
        """Interrupt what runs, the kernel's children too."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGINT)

    def close(self) -> None:
        """Kill whatever is left and reap it; once is enough, twice does no harm."""
        if self._process.returncode is None:
            kill_group(self.pid)
            self._process.wait()
        kill_strays(self._token)


async def _received(channel: Any) -> bool:  # noqa: ANN401
    try:
        await channel.get_msg(timeout=0.005)
    except Empty:
        return False
    return True
