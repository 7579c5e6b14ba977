"""Whole-process benchmark: a sample run side by side with bare papermill on a one-line notebook.

    python scripts/bench.py [--pairs 5]

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


def pairs(count: int, workspace: Path, folder: Path) -> None:
    """Print the two commands side by side."""
    notebook = folder / "one.ipynb"
    notebook.write_text(json.dumps(ONE_LINE), encoding="utf-8")
    run = [str(BIN / "rbnb"), "run", "latency_spike", "--model", "fraud-v3"]
    bare = [str(BIN / "papermill"), str(notebook), str(folder / "out.ipynb")]
    measure(run, workspace)
    measure(bare, workspace)
    taken = [(measure(run, workspace), measure(bare, workspace)) for _ in range(count)]
    print(f"{count} pairs, in turn                  min  median     max")
    for name, which in (("rbnb run latency_spike", 0), ("bare papermill, one line", 1)):
        for figure in ("wall", "cpu", "peak"):
            values = [getattr(pair[which], figure) for pair in taken]
            print(f"  {name:<26} {figure:<5} {spread(values)} {'MiB' if figure == 'peak' else 's'}")
    for figure in ("wall", "cpu"):
        ratios = [getattr(a, figure) / getattr(b, figure) for a, b in taken]
        print(f"  ratio, pair by pair        {figure:<5} {spread(ratios)}")
    helps = [measure([str(BIN / "rbnb"), "--help"], workspace).wall for _ in range(count)]
    print(f"  rbnb --help                wall  {spread(helps)} s")


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
    count = parser.parse_args().pairs
    folder = Path(tempfile.mkdtemp(prefix="rbnb-bench-"))
    try:
        subprocess.run([str(BIN / "rbnb"), "init", str(folder / "ws")], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        pairs(count, folder / "ws", folder)
        phases(folder / "ws")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
