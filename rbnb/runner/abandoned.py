"""What is left when the runner is gone: mark its notebook with what the journal knows, and no more.

The last checkpoint may be older than the journal. A cell that the journal says has ended keeps that
status even where its outputs were not saved, and says so; the cell that was running has failed; cells
that never began stay pending.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rbnb.model import RunStatus
from rbnb.runner.files import (
    JOURNAL,
    NOTEBOOK,
    Journal,
    notebook_bytes,
    read_journal,
    remove_unfinished,
    write_atomically,
)
from rbnb.runner.outputs import RecordError, collect_scraps
from rbnb.runner.run import STATUS_OF
from rbnb.runner.words import CellResult, Failure, Job, Outcome
from rbnb.templates import stages_of_cells

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["close_abandoned"]

_NOT_SAVED = "its outputs were lost: the runner was gone before they were saved"


def close_abandoned(job: Job, failure: Failure, started: datetime) -> Outcome:
    """Mark the notebook and the journal of a run whose runner is gone, and say how it ended."""
    notebook = _notebook(job)
    known = _known(job.folder / JOURNAL)
    places = stages_of_cells(notebook["cells"], notebook["metadata"].get("rbnb", {}).get("stages", []))
    for index, cell in enumerate(notebook["cells"]):
        entry = known.get(index, {})
        _mark(cell, entry, failure)
        if entry.get("event") == "cell_started":
            failure = replace(
                failure, message=f"{failure.message}; cell {entry['id']} was running", cell=index, stage=places[index]
            )
    status = STATUS_OF.get(failure.kind, RunStatus.FAILED)
    try:
        _write(job.folder, notebook, status, failure)
    except OSError as error:
        failure = replace(failure, message=f"{failure.message}; its files cannot be written: {error.strerror or error}")
    results = _results(notebook, known, places)
    return Outcome(status, failure, _scraps(notebook), started, datetime.now(UTC), results)


def _write(folder: Path, notebook: dict[str, Any], status: RunStatus, failure: Failure) -> None:
    remove_unfinished(folder)
    notebook["metadata"]["papermill"]["exception"] = True
    notebook["metadata"].setdefault("rbnb", {})["run"] = {"status": status.value, "because": failure.message}
    write_atomically(folder / NOTEBOOK, notebook_bytes(notebook))
    journal = Journal(folder / JOURNAL)
    journal.write("run_abandoned", {"status": status.value, "kind": failure.kind, "message": failure.message})
    journal.close()


def _notebook(job: Job) -> dict[str, Any]:
    """Return the last checkpoint, or, where there is none yet, the template with nothing executed."""
    notebook: dict[str, Any] = {"cells": [], "metadata": {}}  # where even the folder is gone
    for path in (job.folder / NOTEBOOK, job.template):
        if path.exists():
            notebook = json.loads(path.read_bytes())
            break
    notebook["metadata"].setdefault("papermill", {})
    for cell in notebook["cells"]:
        cell["metadata"].setdefault("papermill", {"exception": None, "status": "pending"})
    return notebook


def _known(path: Path) -> dict[int, dict[str, Any]]:
    """Return the last thing the journal says of each cell, by index."""
    entries = read_journal(path) if path.exists() else []
    return {entry["index"]: entry for entry in entries if entry["event"].startswith("cell_")}


def _mark(cell: dict[str, Any], entry: dict[str, Any], failure: Failure) -> None:
    about = cell["metadata"]["papermill"]
    if entry.get("event") == "cell_started":
        about.update(exception=True, status="failed")
        cell.setdefault("outputs", []).append(
            {"output_type": "error", "ename": failure.kind, "evalue": failure.message, "traceback": [failure.message]}
        )
    elif entry.get("event") == "cell_ended":
        if about["status"] != entry["status"]:
            cell["metadata"].setdefault("rbnb", {})["outputs"] = _NOT_SAVED
        about.update(exception=entry["status"] == "failed", status=entry["status"])


def _scraps(notebook: dict[str, Any]) -> dict[str, Any]:
    scraps: dict[str, Any] = {}
    for cell in notebook["cells"]:
        with contextlib.suppress(RecordError):  # a bad record is the lesser trouble of a run that vanished
            collect_scraps(cell.get("outputs", []), scraps)
    return scraps


def _results(notebook: dict[str, Any], known: dict[int, dict[str, Any]], places: list[str | None]) -> list[CellResult]:
    return [
        CellResult(
            index,
            cell.get("id", ""),
            places[index],
            cell["metadata"]["papermill"]["status"],
            known.get(index, {}).get("seconds"),
        )
        for index, cell in enumerate(notebook["cells"])
        if cell["cell_type"] == "code"
    ]
