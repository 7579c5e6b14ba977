"""What goes into a run and what comes out of it, and how both cross the pipe between the processes."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from rbnb.model import RunStatus

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "CellResult",
    "CellStatus",
    "Failure",
    "Job",
    "Outcome",
    "Progress",
    "outcome_from_plain",
    "outcome_to_plain",
    "shortened",
]

#: Longest message and traceback that leave the notebook, in characters.
LONGEST_MESSAGE = 1000
LONGEST_TRACEBACK = 8000

CellStatus = Literal["completed", "failed", "pending"]

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-Z\\-_]")


def shortened(text: str, longest: int) -> str:
    r"""Strip terminal colours and keep the beginning and the end of a long text.

    Examples
    --------
    >>> shortened("\x1b[31mred\x1b[0m", 10), shortened("a" * 8 + "b" * 8, 12)
    ('red', 'aa [...] bbb')
    """
    text = _ANSI.sub("", text)
    if len(text) <= longest:
        return text
    gap = " [...] "
    head = (longest - len(gap)) // 2
    return text[:head] + gap + text[-(longest - len(gap) - head) :]


@dataclass(frozen=True)
class Job:
    """One execution.

    Parameters
    ----------
    template
        The notebook; its bytes are copied into the run folder and only the copy is run.
    folder
        The run folder, which exists.
    parameters
        Values for declared parameters; they are checked again here.
    environment
        Further variables for the kernel, beyond the allow-list.
    cell_timeout, run_timeout
        Seconds that one cell, and all of them, may take; None is without limit.
    required_scraps
        Names of the records without which the run has not completed.
    memory_limit
        Bytes of address space the kernel may use.
    python
        Another interpreter for the kernel; None is the one that runs this.
    template_digest
        sha256 the template's bytes must have.
    """

    template: Path
    folder: Path
    parameters: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    cell_timeout: float | None = None
    run_timeout: float | None = None
    required_scraps: tuple[str, ...] = ()
    memory_limit: int | None = None
    python: str | None = None
    template_digest: str | None = None


@dataclass(frozen=True)
class Failure:
    """Why a run did not complete: `cell` is the index in notebook.ipynb, `traceback` plain and capped.

    `kind` is one of error, exit, out_of_memory, cell_timeout, run_timeout, kernel_died, no_kernel,
    cancelled, runner_vanished, missing_record, bad_record, not_executed, runner_error.
    """

    kind: str
    message: str
    cell: int | None = None
    stage: str | None = None
    traceback: str = ""


@dataclass(frozen=True)
class CellResult:
    """How one code cell ended: completed, failed or pending (it never ran)."""

    index: int
    id: str
    stage: str | None
    status: CellStatus
    seconds: float | None


@dataclass(frozen=True)
class Progress:
    """A stage began or ended; `number` counts from 1, `seconds` is how long it took."""

    stage: str
    number: int
    of: int
    state: Literal["started", "finished", "failed"]
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """How a run ended; what it found is in `scraps`."""

    status: RunStatus
    failure: Failure | None
    scraps: dict[str, Any]
    started: datetime
    finished: datetime
    cells: list[CellResult]


def outcome_to_plain(outcome: Outcome) -> dict[str, Any]:
    """Turn an outcome into JSON's types, times to the microsecond."""
    return asdict(outcome) | {
        "status": outcome.status.value,
        "started": outcome.started.astimezone(UTC).isoformat(),
        "finished": outcome.finished.astimezone(UTC).isoformat(),
    }


def outcome_from_plain(plain: dict[str, Any]) -> Outcome:
    """Turn it back."""
    failure = plain["failure"]
    return Outcome(
        status=RunStatus(plain["status"]),
        failure=Failure(**failure) if failure else None,
        scraps=plain["scraps"],
        started=datetime.fromisoformat(plain["started"]),
        finished=datetime.fromisoformat(plain["finished"]),
        cells=[CellResult(**cell) for cell in plain["cells"]],
    )
