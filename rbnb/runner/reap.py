"""Leaving no process behind: groups are killed as a whole, and strays are found by a token.

The kernel leads its own process group, so killing the group takes its children too. A child that left
the group (``setsid``) still carries the kernel's environment, in which a token names the run; on Linux
every process of ours that carries it is found and killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

__all__ = ["TOKEN", "die_with_parent", "kill_group", "kill_strays", "strays"]

#: The variable whose value names the run in every process the kernel starts.
TOKEN = "RBNB_KERNEL_TOKEN"  # noqa: S105 - a name, not a secret

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the system kill this process when its parent ends, even while C code holds the interpreter.

    Linux only; elsewhere the kernel's own polling of its parent must do.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before we could ask
            os._exit(1)


def kill_group(group: int) -> None:
    """Kill a process group; the caller must not have waited for its leader yet, or the number may be another's."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def strays(token: str) -> list[int]:
    """Return the processes that carry the token, other than this one."""
    mark = f"{TOKEN}={token}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0") and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def kill_strays(token: str) -> None:
    """Kill every process that carries the token, also those that are started meanwhile."""
    for _ in range(10):
        left = strays(token)
        if not left:
            return
        for process in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
