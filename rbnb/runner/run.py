"""One run inside the runner process: what is to be done, what was done, what is written where.

`Run` is what the engine reports to. It knows the job, the clock, the kernel and the files; it decides
when to save and what the outcome is. Rules: the journal is written before the notebook; a checkpoint
costs at most a twentieth of the time; a run with any doubt about it has failed.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rbnb.model import RunStatus
from rbnb.runner.files import JOURNAL, NOTEBOOK, TEMPLATE, Journal, notebook_bytes, write_atomically
from rbnb.runner.outputs import collect_scraps
from rbnb.runner.words import CellResult, Failure, Outcome
from rbnb.templates import source_of, stages_of_cells, tagged

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from pathlib import Path

    from rbnb.runner.child import Stop
    from rbnb.runner.kernel_process import KernelProcess
    from rbnb.runner.words import CellStatus, Job

    Tell = Callable[[str, dict[str, Any]], None]

__all__ = ["STATUS_OF", "Run"]

#: What a kind of failure makes of the run; every other kind is `failed`.
STATUS_OF = {
    "cell_timeout": RunStatus.TIMED_OUT,
    "run_timeout": RunStatus.TIMED_OUT,
    "kernel_died": RunStatus.KERNEL_DIED,
    "cancelled": RunStatus.CANCELLED,
    "runner_vanished": RunStatus.ABANDONED,
}

#: A checkpoint waits this many times as long as the last one took.
_DUTY = 20
_SHORTEST_GAP = 0.25


class Run:
    """The state of one run.

    Parameters
    ----------
    job
        What to execute; its template is the copy in the run folder, its parameters are checked.
    kernel
        The kernel's process.
    stop
        Whether somebody wants the run to end.
    loop
        The event loop all of it happens in.
    tell
        Called with each message for the supervisor.
    """

    def __init__(self, job: Job, kernel: KernelProcess, stop: Stop, loop: asyncio.Runner, tell: Tell) -> None:
        self.job, self.kernel, self.stop, self.loop = job, kernel, stop, loop
        self.scraps: dict[str, Any] = {}
        self.trouble: Failure | None = None
        self.client: Any = None
        self.outcome: Outcome
        self._folder = job.folder
        self._started, self._clock = datetime.now(UTC), time.monotonic()
        self._nb: dict[str, Any] = {"cells": []}
        self._places: list[str | None] = []
        self._seconds: dict[int, float] = {}
        self._ended: dict[int, CellStatus] = {}
        self._running_since = 0.0
        self._journal = Journal(self._folder / JOURNAL)
        self._checkpoint = _Checkpoint(self._folder / NOTEBOOK)
        self._stages = _Stages(tell)

    # ------------------------------------------------------------------ what may still happen

    def is_to_run(self, cell: dict[str, Any]) -> bool:
        """Whether a cell is code that has not been tagged to be skipped."""
        return cell["cell_type"] == "code" and bool(source_of(cell).strip()) and not tagged(cell, "skip-execution")

    def patience(self) -> float | None:
        """Seconds the next cell may take, by the nearer of its own limit and what is left of the run's."""
        limits = [self.time_left(), self.job.cell_timeout]
        known = [max(0.0, limit) for limit in limits if limit is not None]
        return min(known) if known else None

    def time_left(self) -> float | None:
        """Seconds until the run's own deadline; None where it has none."""
        if self.job.run_timeout is None:
            return None
        return self._clock + self.job.run_timeout - time.monotonic()

    def must_stop(self) -> Failure | None:
        """Say why no further cell may run, or None."""
        left = self.time_left()
        if self.trouble is not None:
            return self.trouble
        if self.stop.why:
            return Failure("cancelled", self.stop.why)
        if left is not None and left <= 0:
            return Failure("run_timeout", f"the run took longer than its {self.job.run_timeout:g} s")
        if self.kernel.has_ended():
            return Failure("kernel_died", f"the kernel {self.kernel.how_it_ended()} between two cells")
        return None

    # ------------------------------------------------------------------ reasons

    def failure(self, kind: str, index: int, what: str, traceback: str = "") -> Failure:
        """Make a failure of the cell at `index`, named by its id and stage."""
        stage = self._places[index]
        place = f" of stage {stage}" if stage else ""
        message = f"cell {self._nb['cells'][index].get('id', index)}{place} {what}"
        return Failure(kind, message, index, stage, traceback)

    def must_stop_in(self, index: int) -> Failure:
        """Say why the running cell had to be stopped."""
        if self.stop.why:
            return self.failure("cancelled", index, f"was stopped: {self.stop.why}")
        left = self.time_left()
        if left is not None and left <= 0:
            return self.failure("run_timeout", index, f"was stopped: the run's {self.job.run_timeout:g} s were over")
        return self.failure("cell_timeout", index, f"was stopped: it ran longer than {self.job.cell_timeout:g} s")

    def kernel_died(self, index: int) -> Failure:
        """Say how the kernel ended while the cell at `index` ran."""
        what = f"lost its kernel, which {self.kernel.how_it_ended()}"
        if self.kernel.was_killed():
            what += "; the system does that when memory runs out"
        if self.job.memory_limit is not None:
            what += f"; its memory was limited to {self.job.memory_limit / 2**20:.0f} MiB"
        return self.failure("kernel_died", index, what)

    # ------------------------------------------------------------------ what the engine reports

    def begin(self, nb: dict[str, Any]) -> None:
        """Take over the parameterised notebook, before its first cell."""
        self._nb = nb
        nb["metadata"]["papermill"].update(input_path=TEMPLATE, output_path=NOTEBOOK)  # papermill put the notebook here
        self._places = stages_of_cells(nb["cells"], nb["metadata"].get("rbnb", {}).get("stages", []))
        self._stages.expect(self._places)
        self._journal.write("run_started", {"cells": len(nb["cells"])}, sync=True)
        self._checkpoint.write(nb)

    def cell_started(self, index: int) -> None:
        """Note that a cell begins; called for every cell, code or not."""
        self._running_since = time.monotonic()
        self._stages.enter(self._places[index])
        if self.is_to_run(self._nb["cells"][index]):
            self._journal.write("cell_started", self._cell(index))

    def cell_ended(self, index: int, *, failed: bool) -> None:
        """Note how a cell ended."""
        if not self.is_to_run(self._nb["cells"][index]):
            return
        self._ended[index] = "failed" if failed else "completed"
        self._seconds[index] = round(time.monotonic() - self._running_since, 3)
        end = {"status": self._ended[index], "seconds": self._seconds[index]}
        self._journal.write("cell_ended", self._cell(index) | end, sync=True)
        self.offer_checkpoint()

    def _cell(self, index: int) -> dict[str, Any]:
        return {"index": index, "id": self._nb["cells"][index].get("id", ""), "stage": self._places[index]}

    def collect(self, cell: dict[str, Any]) -> None:
        """Take up the records a cell left; raises `RecordError`."""
        collect_scraps(cell["outputs"], self.scraps)

    def offer_checkpoint(self) -> None:
        """Save the notebook as it is, if that is due."""
        self._checkpoint.offer(self._nb)

    # ------------------------------------------------------------------ the end

    def end(self, failure: Failure | None) -> Outcome:
        """Decide how the run ended, write it into the notebook and the journal, and return it."""
        failure = failure or self._doubt()
        status = STATUS_OF.get(failure.kind, RunStatus.FAILED) if failure else RunStatus.COMPLETED
        self._stages.leave(failed=failure is not None)
        try:
            self._write_end(status, failure)
        except OSError as error:
            status = RunStatus.FAILED
            failure = Failure("runner_error", f"the run's files cannot be written: {error.strerror or error}")
        return Outcome(status, failure, self.scraps, self._started, datetime.now(UTC), self._results())

    def _write_end(self, status: RunStatus, failure: Failure | None) -> None:
        if self._nb["cells"]:
            self._mark(status, failure)
            self._checkpoint.write(self._nb)
        because = {"kind": failure.kind, "message": failure.message} if failure else {}
        self._journal.write("run_finished", {"status": status.value} | because, sync=True)

    def _doubt(self) -> Failure | None:
        """Find what speaks against a run that met no failure."""
        for index, cell in enumerate(self._nb["cells"]):
            if not self.is_to_run(cell):
                continue
            if cell.get("execution_count") is None or self._ended.get(index) != "completed":
                return self.failure("not_executed", index, "was not executed")
            if any(output["output_type"] == "error" for output in cell["outputs"]):
                return self.failure("error", index, "left an error")
        for name in self.job.required_scraps:
            if name not in self.scraps:
                return Failure("missing_record", f"{name} left no record")
        return None

    def _mark(self, status: RunStatus, failure: Failure | None) -> None:
        metadata = self._nb["metadata"]
        metadata["papermill"]["exception"] = failure is not None
        metadata["rbnb"]["run"] = {"status": status.value, "because": failure.message if failure else ""}

    def _results(self) -> list[CellResult]:
        return [
            CellResult(
                index,
                cell.get("id", ""),
                self._places[index],
                self._ended.get(index, "pending"),
                self._seconds.get(index),
            )
            for index, cell in enumerate(self._nb["cells"])
            if cell["cell_type"] == "code"
        ]


class _Checkpoint:
    """The notebook on disk, written no oftener than a bounded share of the time allows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._not_before = 0.0

    def offer(self, nb: dict[str, Any]) -> None:
        if time.monotonic() >= self._not_before:
            self.write(nb)

    def write(self, nb: dict[str, Any]) -> None:
        before = time.monotonic()
        write_atomically(self._path, notebook_bytes(nb))
        after = time.monotonic()
        self._not_before = after + max(_SHORTEST_GAP, _DUTY * (after - before))


class _Stages:
    """Tells the supervisor when a stage begins and ends."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._titles: list[str] = []
        self._now: str | None = None
        self._since = 0.0

    def expect(self, places: list[str | None]) -> None:
        self._titles = list(dict.fromkeys(place for place in places if place))

    def enter(self, stage: str | None) -> None:
        if stage == self._now:
            return
        self.leave(failed=False)
        self._now, self._since = stage, time.monotonic()
        self._say("started")

    def leave(self, *, failed: bool) -> None:
        self._say("failed" if failed else "finished")
        self._now = None

    def _say(self, state: str) -> None:
        if self._now is not None:
            number = self._titles.index(self._now) + 1
            seconds = round(time.monotonic() - self._since, 3)
            progress = {"stage": self._now, "number": number, "of": len(self._titles), "state": state}
            self._tell("progress", progress | {"seconds": seconds})
