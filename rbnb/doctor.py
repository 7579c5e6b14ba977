"""Is this place fit to run: Python, packages, kernel, workspace, disk, templates, and each model's data.

Rules: every line is a check that can fail, done for real (a kernel is started, a file is written and
synced, tables are opened); one failing check never hides the others; nothing to examine is said, never
passed over, since a folder that was not found has no ills.
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
from typing import TYPE_CHECKING, Any

from rbnb.authority import load_authority
from rbnb.errors import RbnbError
from rbnb.inventory import find_models
from rbnb.model import RunStatus
from rbnb.people import APPROVER, Directory
from rbnb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from packaging.requirements import Requirement

    from rbnb.config import Places
    from rbnb.workspace import Workspace

__all__ = ["Symptom", "examine"]

_LEAST_FREE = 500 * 2**20
_LONGEST = 400
_OWNERS = ("security", "privacy", "ethics")
#: What a bug report should name.
_NAMED = ("papermill", "ipykernel", "ibis-framework", "duckdb", "pandas")


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
    yield _attempt("packages", _packages)
    yield _attempt("kernel", _kernel)
    if workspace is None:
        yield Symptom("workspace", well=False, seen=_told(problem) if problem else "there is none here")
        return
    yield Symptom("workspace", well=True, seen=str(workspace.places.root))
    yield _attempt("disk", lambda: _disk(workspace.places.reports))
    yield _attempt("people", lambda: _people(workspace.places))
    yield _attempt("templates", lambda: _templates(workspace))
    yield _attempt("models", lambda: _models(workspace.places.models))
    for name in workspace.models():
        yield _attempt(f"data of {name}", lambda name=name: _data(workspace, name))  # type: ignore[misc]


def _attempt(what: str, check: Callable[[], str]) -> Symptom:
    try:
        return Symptom(what, well=True, seen=one_line(check(), _LONGEST))
    except RbnbError as error:
        return Symptom(what, well=False, seen=_told(error))
    except Exception as error:  # noqa: BLE001 - whatever ails this check, the others are still to be told
        return Symptom(what, well=False, seen=one_line(f"{type(error).__name__}: {error}", _LONGEST))


def _told(error: RbnbError) -> str:
    return one_line(f"{error.message}; {error.hint}" if error.hint else error.message, _LONGEST)


def _packages() -> str:
    from packaging.requirements import Requirement

    needs = [Requirement(line) for line in importlib.metadata.requires("rbnb") or []]
    needs = [need for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    wrong = list(filter(None, map(_misfit, needs)))
    if wrong:
        raise RbnbError("; ".join(wrong), hint="reinstall rbnb in a clean environment")
    shown = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _NAMED)
    return f"{len(needs)}, all within their bounds; {shown}"


def _misfit(need: Requirement) -> str:
    try:
        have = importlib.metadata.version(need.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{need.name} is missing"
    return "" if need.specifier.contains(have, prereleases=True) else f"{need.name} {have} is outside {need.specifier}"


def _kernel() -> str:
    from rbnb.runner import Job, Runner

    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rbnb-doctor-") as folder:
        template = Path(folder) / "doctor.ipynb"
        template.write_text(json.dumps(_one_line_notebook()), encoding="utf-8")
        run = Path(folder) / "run"
        run.mkdir()
        with Runner.start() as runner:
            outcome = runner.run(Job(template=template, folder=run, cell_timeout=60, run_timeout=60), lambda _: None)
        if outcome.status is not RunStatus.COMPLETED:
            why = outcome.failure.message if outcome.failure else outcome.status.value
            told = f"a one-line notebook did not run: {why}{_last_words(run)}"
            raise RbnbError(told, hint="reinstall rbnb in a clean environment")
    return f"a one-line notebook ran in {time.monotonic() - started:.1f} s"


def _last_words(run: Path) -> str:
    from rbnb.runner.files import LOG

    printed = (run / LOG).read_text(encoding="utf-8", errors="replace").split("\n") if (run / LOG).exists() else []
    last = next((line for line in reversed(printed) if line.strip()), "")
    return f" ({last.strip()})" if last else ""


def _one_line_notebook() -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": "one",
        "metadata": {},
        "outputs": [],
        "source": "1 + 1",
    }
    return {
        "cells": [cell],
        "metadata": {
            "rbnb": {"name": "doctor", "version": "1.0.0", "title": "Doctor", "stages": []},
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


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


def _people(places: Places) -> str:
    directory, file = Directory(places.file), places.file
    load_authority(places.policy_file("authority"))
    named = {"escalation.chain": file.escalation.chain, "owners.checks": list(file.owners.checks.values())}
    named |= {f"escalation.by_severity.{level}": chain for level, chain in file.escalation.by_severity.items()}
    named |= {f"owners.{kind}": [person] for kind in _OWNERS if (person := getattr(file.owners, kind))}
    for key, people in named.items():
        if unknown := next((person for person in people if directory.resolve(person) is None), None):
            raise RbnbError(f"rbnb.toml: {key}: nobody is called {unknown!r}", hint="name them under [people]")
    if (signers := file.identity.allowed_signers) and not (places.root / signers).is_file():
        raise RbnbError(f"rbnb.toml: identity.allowed_signers: there is no file {signers}", hint="write it, or drop it")
    if signers and shutil.which("ssh-keygen") is None:
        raise RbnbError("signed approvals need ssh-keygen, which is not here", hint="install the OpenSSH client")
    if not directory:
        return "rbnb.toml names nobody: whoever is logged in is responder and incident commander, and nobody approver"
    approvers = len(directory.holding(APPROVER))
    return f"{len(directory.people())} named, {approvers} of them approvers, {'signed' if signers else 'asserted'}"


def _templates(workspace: Workspace) -> str:
    from rbnb.policy import load_policy

    told = []
    for name in workspace.templates():
        template = workspace.template(name)
        load_policy(workspace.places.policy_file(name))
        told.append(f"{name} {template.version}")
    if not told:
        raise RbnbError("there are none", hint="reinstall rbnb; its own templates come with it")
    return ", ".join(told)


def _models(folder: Path) -> str:
    if not folder.is_dir():
        raise RbnbError(
            f"there is no folder {folder}", hint="rbnb.toml says where the model files are: [workspace] models"
        )
    known = set(find_models(folder).values())
    ignored = sorted(p.name for p in folder.iterdir() if p.suffix in (".yaml", ".yml") and p not in known)
    if ignored:
        raise RbnbError(f"{', '.join(ignored)} cannot be a model's name", hint="a model file is called NAME.yaml")
    return f"{len(known)} in {folder}" if known else f"none yet in {folder}"


def _data(workspace: Workspace, name: str) -> str:
    columns = workspace.check_model(name)
    return ", ".join(f"{source} ({len(found)} columns)" for source, found in columns.items())
