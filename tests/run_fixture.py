"""Small templates, and ways to look at what a run left: its notebook, its journal, its processes."""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path

from rbnb.runner import Job, Runner

MARK = "RBNB_TEST_MARK"

#: Leaves a record, as a template's cells do.
GLUE = """
from IPython.display import display
def glue(name, data):
    display({"application/scrapbook.scrap.json+json": {"name": name, "data": data, "encoder": "json", "version": 1}},
            raw=True)
"""


def code(source, *, name="", tags=()):
    """Return a code cell."""
    cell = {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": source}
    return cell | {"id": name or uuid.uuid4().hex[:8], "outputs": [], "execution_count": None}


def prose(source):
    """Return a markdown cell."""
    return {"cell_type": "markdown", "id": uuid.uuid4().hex[:8], "metadata": {}, "source": source}


def template(folder, *cells, parameters="", stages=(), name="small"):
    """Write a template of these cells, or of these sources, and return its path."""
    about = {"name": name, "version": "1.0.0", "title": "Small", "stages": list(stages)}
    body = [code(cell, name=f"c{number}") if isinstance(cell, str) else cell for number, cell in enumerate(cells)]
    if parameters:
        body.insert(0, code(parameters, name="parameters", tags=["parameters"]))
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernelspec, "language_info": {"name": "python"}, "rbnb": about}
    path = Path(folder) / f"{name}.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": body}))
    return path


def run(path, *, on_progress=lambda _: None, meanwhile=None, **settings):
    """Run a template in a new folder beside it, in a bare kernel; return the outcome and the folder."""
    folder = path.parent / f"run-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    with Runner.start(preload=()) as runner:
        if meanwhile is not None:
            meanwhile(runner, folder)
        outcome = runner.run(Job(path, folder, **settings), on_progress)
    return outcome, folder


def notebook(folder):
    """Read the executed notebook as strict JSON."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads((folder / "notebook.ipynb").read_bytes(), parse_constant=refuse)


def journal(folder):
    """Read the journal."""
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def statuses(folder):
    """Return papermill's status of each code cell."""
    return [c["metadata"]["papermill"]["status"] for c in notebook(folder)["cells"] if c["cell_type"] == "code"]


def shown(folder):
    """Return all text that the cells show."""
    texts = []
    for cell in notebook(folder)["cells"]:
        for output in cell.get("outputs", []):
            texts.append("".join(output.get("text", [])) + "".join(output.get("data", {}).get("text/plain", [])))
            texts.append("\n".join(output.get("traceback", [])))
    return "\n".join(texts)


def processes(mark):
    """Return the processes that were started with this mark in their environment, other than this one."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in environment and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def wait_until(condition, seconds=20.0):
    """Wait until something holds, and say whether it came to hold."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())
