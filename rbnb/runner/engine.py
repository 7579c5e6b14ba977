"""The papermill engine that tells the truth, and the client that drives the cells. Runner process only.

papermill's own engine calls a run completed when its kernel was killed, when a cell timed out, or when
no kernel was there at all. This one watches four things at once while a cell runs (the cell, the
kernel's process, the deadlines, a request to stop) and stops the notebook at the first that ends it.
A cell that must stop is interrupted first, so that it shows where it was; one that ignores that loses
its kernel. Cells that did not run stay pending.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_output
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines

from rbnb.runner.outputs import Budget, RecordError
from rbnb.runner.words import LONGEST_MESSAGE, LONGEST_TRACEBACK, Failure, shortened

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from rbnb.runner.run import Run

__all__ = ["ENGINE"]

ENGINE = "rbnb"

#: Seconds an interrupted cell has to show where it was before its kernel is killed.
GRACE = 3.0
#: Seconds to wait for what a dead kernel had already sent.
DRAIN = 0.2


class _Manager(NotebookExecutionManager):  # type: ignore[misc]  # papermill ships no types
    """papermill's bookkeeping, with saving left to us and nothing said of cells that did not run."""

    def save(self, **_: Any) -> None:  # noqa: ANN401 - papermill passes the notebook or nothing
        """Do nothing: the run decides when to save, and writes whole files."""

    def notebook_complete(self, **_: Any) -> None:  # noqa: ANN401
        self.end_time = self.now()
        about = self.nb.metadata.papermill
        about["end_time"] = self.end_time.isoformat()
        about["duration"] = (self.end_time - self.start_time).total_seconds()


class _Engine(NBClientEngine):  # type: ignore[misc]
    @classmethod
    def execute_notebook(cls, nb: NotebookNode, kernel_name: str, *, run: Run, **_: Any) -> NotebookNode:  # noqa: ANN401, ARG003
        manager = _Manager(nb, progress_bar=False, autosave_cell_every=0)
        manager.notebook_start()
        for cell in nb.cells:
            if "injected-parameters" in cell.metadata.get("tags", []):
                cell["id"] = "injected-parameters"  # papermill's is random, and one can say where a value came from
        run.begin(nb)
        failure = run.loop.run(_Client(manager, run).drive())
        manager.notebook_complete()
        run.outcome = run.end(failure)
        return nb


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    """Drives the cells of one notebook through one kernel that is already up."""

    def __init__(self, manager: _Manager, run: Run) -> None:
        super().__init__(
            manager,
            kernel_name=ENGINE,
            timeout=None,  # the deadlines are ours
            iopub_timeout=60,
            force_raise_errors=True,
            on_cell_executed=self._note_reply,
        )
        self.kc = run.client
        self.run = run
        self.budget = Budget()
        self.asked_exit = False

    async def drive(self) -> Failure | None:
        """Run cell after cell until the end or the first failure, and return that."""
        self.reset_execution_trackers()
        for index, cell in enumerate(self.nb.cells):
            failure = self.run.must_stop()
            if failure is None:
                failure = await self._cell(index, cell)
            if failure is not None:
                return failure
        self.set_widgets_metadata()
        return None

    async def _cell(self, index: int, cell: NotebookNode) -> Failure | None:
        self.budget, self.asked_exit = Budget(), False
        self.run.cell_started(index)
        runs = self.run.is_to_run(cell)
        if runs:
            self.nb_man.cell_start(cell, index)
        elif cell.cell_type != "code":
            cell.metadata.papermill["status"] = self.nb_man.COMPLETED
        failure = await self._watched(index, cell) if runs else None
        if failure is None and runs:
            failure = self._aftermath(index, cell)
        if failure is not None:
            self._show(cell, failure)
            self.nb_man.cell_exception(cell, cell_index=index)
        if runs:
            self.nb_man.cell_complete(cell, cell_index=index)
        self.run.cell_ended(index, failed=failure is not None)
        return failure

    async def _watched(self, index: int, cell: NotebookNode) -> Failure | None:
        """Run one cell and return why it did not end well."""
        work = asyncio.ensure_future(self.async_execute_cell(cell, index))
        died = asyncio.ensure_future(self.run.kernel.ended())
        stop = asyncio.ensure_future(self.run.stop.requested())
        try:
            await asyncio.wait({work, died, stop}, timeout=self.run.patience(), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return self._reported(index, cell, work)
            if died.done():
                await asyncio.wait({work}, timeout=DRAIN)
                return self.run.kernel_died(index)
            failure = self.run.must_stop_in(index)
            await self._interrupt({work, died})
            return failure
        finally:
            for task in (work, died, stop):
                task.cancel()
            await asyncio.gather(work, died, stop, return_exceptions=True)

    async def _interrupt(self, running: set[asyncio.Future[Any]]) -> None:
        self.run.kernel.interrupt()
        # one that ignores it is killed with its kernel, as every kernel is when its run ends
        await asyncio.wait(running, timeout=GRACE, return_when=asyncio.FIRST_COMPLETED)

    def _reported(self, index: int, cell: NotebookNode, work: asyncio.Future[Any]) -> Failure | None:
        error = work.exception()
        if error is None:
            return None
        if not isinstance(error, CellExecutionError):
            raise error
        kind = "error"
        if error.ename.endswith(("MemoryError", "OutOfMemoryException")):
            kind = "out_of_memory"
        elif error.ename == "SystemExit":
            kind = "exit"
        return self.run.failure(
            kind,
            index,
            shortened(f"raised {error.ename}: {error.evalue}", LONGEST_MESSAGE),
            shortened(_traceback(cell) or error.traceback, LONGEST_TRACEBACK),
        )

    def _aftermath(self, index: int, cell: NotebookNode) -> Failure | None:
        if self.asked_exit:
            return self.run.failure("exit", index, "asked its kernel to exit")
        try:
            self.run.collect(cell)
        except RecordError as error:
            return self.run.failure("bad_record", index, str(error))
        return None

    def _show(self, cell: NotebookNode, failure: Failure) -> None:
        """Say in the cell why it failed, where no exception of its own says so."""
        if failure.kind not in ("error", "out_of_memory") or not any(o.output_type == "error" for o in cell.outputs):
            cell.outputs.append(
                new_output("error", ename=failure.kind, evalue=failure.message, traceback=[failure.message])
            )

    def _note_reply(self, cell: NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:  # noqa: ARG002
        payload = execute_reply["content"].get("payload") or []
        self.asked_exit = any(one.get("source") == "ask_exit" for one in payload)

    # -------------------------------------------------------------- messages of the running cell

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        """Take in one message from the kernel, within the cell's budget."""
        kind, content = msg["msg_type"], msg["content"]
        if kind == "clear_output":
            self.budget.clear()
        full = content.get("text") if kind == "stream" else None
        admitted = self.budget.admit(kind, content)
        output = super().process_message(msg, cell, cell_index) if admitted else None
        if not admitted or (full is not None and len(content["text"]) < len(full)):
            self._say_dropped(cell)
        self.run.offer_checkpoint()
        return output

    def _say_dropped(self, cell: NotebookNode) -> None:
        notice = self.budget.notice()
        if notice:
            cell.outputs.append(new_output("stream", name="stderr", text=notice))

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:  # noqa: ANN401
        """Add one output, joined to the last where both are of one stream."""
        content = msg["content"]
        nested = self.output_hook_stack[msg["parent_header"].get("msg_id")]
        if msg["msg_type"] == "stream" and outs and not nested and not self.clear_before_next_output:
            last = outs[-1]
            if last.output_type == "stream" and last.name == content["name"]:
                last.text += content["text"]
                return last
        return super().output(outs, msg, display_id, cell_index)


def _traceback(cell: NotebookNode) -> str:
    """Return the traceback the cell shows; the exception's own begins with the cell's source."""
    shown = [output.traceback for output in cell.outputs if output.output_type == "error"]
    return "\n".join(shown[-1]) if shown else ""


papermill_engines.register(ENGINE, _Engine)
