"""Whole-process benchmark: each sample run side by side with bare papermill on a one-line notebook.

    python scripts/bench.py [--pairs 5] [--runbooks latency_spike ...]

The two commands are run in turn, A B A B …, after one warm-up each, so that a machine whose speed drifts
slows both; what counts is the ratio, pair by pair. Times and peak memory are the operating system's own
account of the finished process and everything it waited for. A second part runs the sample once
more from inside and says where the time goes. Nothing here asserts: figures belong in docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

#: Each runbook with the model of the sample fleet that has its failure.
RUNBOOKS = {
    "latency_spike": "fraud-v3",
    "data_drift": "churn-v2",
    "data_poisoning": "credit-v4",
    "output_inconsistency": "recommend-v7",
    "data_quality": "pricing-v5",
}
#: Reads every table that a model file maps, whole, and says how long that took.
SCAN = """
import sys, time
from rbnb.config import open_places
from rbnb.data import ModelData, Span
from rbnb.inventory import find_model, load_model_file
from pathlib import Path
path = find_model(open_places(Path.cwd()).models, sys.argv[1])
data = ModelData(load_model_file(path), path.parent)
data.check()
import pandas
started = time.perf_counter()
data.rows(Span(0, 2**40), limit=None)
for name in ("training", "lineage", "trusted", "recomputed"):
    data.table(name)
data.metric_series(0, 2**40)
print(time.perf_counter() - started)
"""

BIN = Path(sys.executable).parent
ONE_LINE = {
    "cells": [
        {"cell_type": "code", "execution_count": None, "id": "one", "metadata": {}, "outputs": [], "source": "1 + 1"}
    ],
    "metadata": {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    },
    "nbformat": 4,
    "nbformat_minor": 5,
}


@dataclass(frozen=True)
class Sample:
    """One finished process: seconds of wall clock and processor, and the largest resident set in MiB."""

    wall: float
    cpu: float
    peak: float


def measure(command: list[str], cwd: Path) -> Sample:
    """Run a command to its end and return what the operating system says of it."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def spread(values: list[float]) -> str:
    """Return minimum, median and maximum as text."""
    return f"{min(values):7.2f} {statistics.median(values):7.2f} {max(values):7.2f}"


def scan(model: str, workspace: Path) -> float:
    """Return how many seconds it takes to read every table of a model, once it is opened."""
    command = [sys.executable, "-c", SCAN, model]
    done = subprocess.run(command, cwd=workspace, check=True, capture_output=True, text=True)  # noqa: S603
    return float(done.stdout)


def pairs(runbook: str, count: int, workspace: Path, folder: Path) -> None:
    """Print the two commands side by side."""
    notebook, model = folder / "one.ipynb", RUNBOOKS[runbook]
    notebook.write_text(json.dumps(ONE_LINE), encoding="utf-8")
    run = [str(BIN / "rbnb"), "run", runbook, "--model", model]
    bare = [str(BIN / "papermill"), str(notebook), str(folder / "out.ipynb")]
    measure(run, workspace)
    measure(bare, workspace)
    taken = [(measure(run, workspace), measure(bare, workspace)) for _ in range(count)]
    print(f"{runbook} on {model}, {count} pairs in turn   min  median     max")
    for name, which in (("rbnb run", 0), ("bare papermill, one line", 1)):
        for figure in ("wall", "cpu", "peak"):
            values = [getattr(pair[which], figure) for pair in taken]
            print(f"  {name:<26} {figure:<5} {spread(values)} {'MiB' if figure == 'peak' else 's'}")
    for figure in ("wall", "cpu"):
        ratios = [getattr(a, figure) / getattr(b, figure) for a, b in taken]
        print(f"  ratio, pair by pair        {figure:<5} {spread(ratios)}")
    reads = scan(model, workspace)
    beyond = [(a.wall - reads) / b.wall for a, b in taken]
    print(f"  without its data scan      wall  {spread(beyond)}   (the scan takes {reads:.2f} s)")


def helped(count: int, workspace: Path) -> None:
    """Print how long the program takes to say what it can do."""
    helps = [measure([str(BIN / "rbnb"), "--help"], workspace).wall for _ in range(count)]
    print(f"rbnb --help                  wall  {spread(helps)} s")


def phases(workspace: Path) -> None:
    """Run once from inside and print when each phase was over."""
    code = """
import time
start = time.perf_counter()
from rbnb.planning import Request
from rbnb.workspace import Workspace
def told(what): print(f"  {time.perf_counter() - start:6.2f} s  {what}")
workspace = Workspace.open()
told("supervisor's own imports")
result = workspace.run(
    Request("latency_spike", "fraud-v3"),
    on_plan=lambda plan: told("plan made: parameters checked, data opened, window pinned"),
    on_progress=lambda step: told(f"stage {step.number} {step.stage}: {step.state}")
    if step.state != "started" or step.number == 1 else None,
)
told("record and page written, ledger closed")
"""
    print("where the time goes, one run from inside")
    subprocess.run([sys.executable, "-c", code], cwd=workspace, check=True)  # noqa: S603


def main() -> None:
    """Measure in a workspace of its own, and leave nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--runbooks", nargs="+", choices=list(RUNBOOKS), default=list(RUNBOOKS))
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rbnb-bench-"))
    try:
        subprocess.run([str(BIN / "rbnb"), "init", str(folder / "ws")], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        for runbook in asked.runbooks:
            pairs(runbook, asked.pairs, folder / "ws", folder)
        helped(asked.pairs, folder / "ws")
        phases(folder / "ws")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
