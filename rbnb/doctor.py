"""Is this place fit to run: Python, packages, kernel, disk, workspace, and whether each model's data can be read.

Rules: every line is a check that can fail, done for real (a kernel is started, a file is written and
synced); one failing check never hides the others.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rbnb.errors import RbnbError
from rbnb.model import RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rbnb.workspace import Workspace

__all__ = ["Symptom", "examine"]

_LEAST_FREE = 500 * 2**20


@dataclass(frozen=True, slots=True)
class Symptom:
    """One check: what was examined, whether it is well, and what was seen."""

    what: str
    well: bool
    seen: str


def examine(workspace: Workspace | None, problem: RbnbError | None = None) -> Iterator[Symptom]:
    """Yield each check as it is done.

    Parameters
    ----------
    workspace
        None where there is none.
    problem
        Why there is none.
    """
    yield Symptom("python", sys.version_info >= (3, 11), f"{platform.python_version()} at {sys.executable}")
    yield _packages()
    yield _attempt("kernel", _kernel)
    if workspace is None:
        yield Symptom("workspace", False, problem.message if problem else "none here")  # noqa: FBT003
        return
    yield Symptom("workspace", well=True, seen=str(workspace.places.root))
    yield _attempt("disk", lambda: _disk(workspace.places.reports))
    for name in workspace.models():
        yield _attempt(f"data of {name}", lambda name=name: _data(workspace, name))  # type: ignore[misc]


def _attempt(what: str, check: Callable[[], str]) -> Symptom:
    try:
        return Symptom(what, well=True, seen=check())
    except RbnbError as error:
        return Symptom(what, well=False, seen=f"{error.message}; {error.hint}" if error.hint else error.message)
    except OSError as error:
        return Symptom(what, well=False, seen=str(error))


def _packages() -> Symptom:
    from packaging.requirements import Requirement

    wrong = []
    for line in importlib.metadata.requires("rbnb") or []:
        need = Requirement(line)
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            have = importlib.metadata.version(need.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{need.name} is missing")
            continue
        if not need.specifier.contains(have, prereleases=True):
            wrong.append(f"{need.name} {have} is outside {need.specifier}")
    return Symptom("packages", not wrong, "; ".join(wrong) or "all within their bounds")


def _kernel() -> str:
    from rbnb.runner import Job, Runner

    cell: dict[str, object] = {"cell_type": "code", "execution_count": None, "id": "one", "metadata": {}, "outputs": [], "source": "1 + 1"}
    tags = {**cell, "id": "parameters", "metadata": {"tags": ["parameters"]}, "source": "seed: int = 0  # nothing"}
    about = {"name": "doctor", "version": "1.0.0", "title": "Doctor", "stages": []}
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "cells": [tags, cell],
        "metadata": {"rbnb": about, "kernelspec": spec, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rbnb-doctor-") as folder:
        template = Path(folder) / "doctor.ipynb"
        template.write_text(json.dumps(notebook), encoding="utf-8")
        run = Path(folder) / "run"
        run.mkdir()
        with Runner.start() as runner:
            outcome = runner.run(Job(template=template, folder=run, cell_timeout=60, run_timeout=60), lambda _: None)
    if outcome.status is not RunStatus.COMPLETED:
        why = outcome.failure.message if outcome.failure else outcome.status.value
        raise RbnbError(f"a one-line notebook did not run: {why}", hint="reinstall rbnb in a clean environment")
    return f"a one-line notebook ran in {time.monotonic() - started:.1f} s"


def _disk(reports: Path) -> str:
    reports.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(reports).free
    probe = reports / f".doctor-{os.getpid()}"
    try:
        with probe.open("wb") as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)
    if free < _LEAST_FREE:
        raise RbnbError(
            f"only {free / 2**20:,.0f} MiB are free in {reports}", hint="a run needs a few; free some space"
        )
    return f"{reports} can be written and synced, {free / 2**30:,.1f} GiB free"


def _data(workspace: Workspace, name: str) -> str:
    columns = workspace.check_model(name)
    return ", ".join(f"{source} ({len(found)} columns)" for source, found in columns.items())
