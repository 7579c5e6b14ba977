"""Where an attempt is that has no end on record: still going on, cut off, or out of sight.

Rules: a process is known by host, number, birth and boot, so that a number which was given to another process since
is not taken for it; what runs on another host nobody here can see, and is not taken for gone; a program that is still
running although the rbnb that started it is gone keeps its attempt going on.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rbnb.actions.processes import marked
from rbnb.incidents import is_gone

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Place", "here", "whereabouts"]

#: ``here`` runs under its rbnb, ``alone`` runs on without it, ``gone`` was cut off, ``elsewhere`` cannot be seen.
Place = Literal["here", "alone", "gone", "elsewhere"]

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def here(mark: str) -> dict[str, Any]:
    """Return by what this process, and all that it starts, can be found again."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "born": _born(os.getpid()), "boot": _boot(), "mark": mark}


def whereabouts(body: Mapping[str, Any]) -> Place:
    """Return where an attempt is, from its entry action.started."""
    if body.get("host") != socket.gethostname():
        return "elsewhere"
    if body.get("boot") and body["boot"] != _boot():
        return "gone"
    number = body.get("pid")
    born = _born(number) if isinstance(number, int) else ""
    if not is_gone(dict(body)) and (not body.get("born") or born == body["born"]):
        return "here"
    return "alone" if body.get("mark") and marked(str(body["mark"])) else "gone"


def _born(pid: int) -> str:
    """Return when a process began, in ticks since the boot; "" if it has ended, or the system does not tell."""
    with suppress(OSError, IndexError):
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return "" if told[0] == "Z" else told[19]  # Z: it has ended, and only its parent has not noticed
    return ""


def _boot() -> str:
    with suppress(OSError):
        return _BOOT.read_text(encoding="utf-8").strip()
    return ""
