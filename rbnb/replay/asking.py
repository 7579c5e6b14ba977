"""Start the worker, hand it the requests, and read its answers back.

Rules: the worker gets an environment of a few names and a process group of its own, which is ended when the
deadline passes; whatever goes wrong there comes back as a sentence with what to do, never as a traceback.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rbnb.inventory import Endpoint

__all__ = ["DEADLINE", "Answers", "ask"]

#: Seconds for one request to an endpoint where the model file says none, and for a worker as a whole.
_TIMEOUT, DEADLINE = 10.0, 120.0
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class Answers:
    """What an endpoint answered.

    Parameters
    ----------
    scores
        One for each request; None where it gave no number.
    problem
        Why there are none, with what to do; empty where there are.
    name
        The endpoint, for a reader.
    """

    scores: tuple[float | None, ...]
    problem: str = ""
    name: str = ""

    @property
    def there(self) -> bool:
        """Whether it answered at all."""
        return not self.problem


def ask(
    endpoint: Endpoint,
    columns: Mapping[str, str],
    rows: Sequence[Sequence[Any]],
    *,
    folder: Path,
    positive: str = "1",
    deadline: float = DEADLINE,
) -> Answers:
    """Send requests to an endpoint, in a process of its own.

    Parameters
    ----------
    endpoint
        Where the model answers.
    columns
        The inputs in order, each ``numerical`` or ``categorical``.
    rows
        One list of values a request, in that order; a missing value is None.
    folder
        The folder of the model file; a local path starts there.
    positive
        The label whose probability is the score, where the model gives one a class.
    deadline
        Seconds for the whole.
    """
    name = endpoint.url or endpoint.path or ""
    task = {
        "kind": endpoint.kind,
        "url": endpoint.url,
        "path": str(folder / endpoint.path) if endpoint.path else None,
        "name": endpoint.name,
        "version": endpoint.version,
        "timeout": endpoint.timeout.total_seconds() if endpoint.timeout else _TIMEOUT,
        "positive": positive,
        "columns": list(columns),
        "kinds": list(columns.values()),
        "rows": [[_plain(value) for value in row] for row in rows],
    }
    out, problem = _run(json.dumps(task, allow_nan=False), deadline)
    return Answers((), problem, name) if problem else _read(out, len(rows), name)


def _plain(value: object) -> Any:  # noqa: ANN401 - a JSON scalar
    if value is None or isinstance(value, (bool, str)):
        return value
    number = float(value)  # type: ignore[arg-type]
    return number if math.isfinite(number) else None


def _run(task: str, deadline: float) -> tuple[str, str]:
    """Return what the worker wrote, or why there is nothing."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    command = [sys.executable, "-I", "-m", "rbnb.replay.worker"]
    process = subprocess.Popen(  # noqa: S603 - our own module, nothing from outside on the command line
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(task, timeout=deadline)
    except subprocess.TimeoutExpired:
        _end(process)
        return "", f"no answer within {deadline:g} s; replay fewer requests, or give the endpoint a shorter timeout"
    if process.returncode:
        last = (err.strip().splitlines() or ["it said nothing"])[-1][:200]
        return "", f"the process that asks ended with {process.returncode}: {last}"
    return out, ""


def _end(process: subprocess.Popen[str]) -> None:
    """End the worker and whatever it started."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()


def _read(out: str, n: int, name: str) -> Answers:
    try:
        said = json.loads(out)
    except ValueError:
        return Answers((), "the process that asks wrote something unreadable; run it again and report it", name)
    if said.get("problem"):
        return Answers((), str(said["problem"]), name)
    scores = tuple(None if score is None else float(score) for score in said["scores"])
    if len(scores) != n:
        problem = f"{n} requests were sent and {len(scores)} answers came back; check the model's output shape"
        return Answers((), problem, name)
    if all(score is None for score in scores):
        return Answers((), "no answer holds a number; check which output is the score", name)
    return Answers(scores, "", name)
