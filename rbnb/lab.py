"""Going on by hand: JupyterLab on a working copy of an executed notebook.

Rules: the original is never touched; the copy has the same parameters and finds the same workspace, so every
cell runs again as it stands; nothing an analyst runs writes into the run's evidence; when Lab ends, a copy
that was changed is recorded in the ledger with its digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rbnb.incidents import user

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbnb.incidents import Incident

__all__ = ["open_lab"]

_KERNEL = "rbnb-analysis"


def open_lab(incident: Incident, run: str, copy: Path, root: Path, options: Sequence[str] = ()) -> str | None:
    """Start JupyterLab on `copy`, wait until it ends, and record the copy if it was changed.

    Parameters
    ----------
    incident
        Whose ledger records the analysis.
    run
        The run that `copy` was taken from.
    copy
        The working copy, in a folder of its own.
    root
        The workspace.
    options
        Further options for JupyterLab, such as ``--no-browser``.

    Returns
    -------
    str or None
        The digest that was recorded; None when nothing was changed.
    """
    _use_kernel(copy)
    before = _digest(copy)
    with tempfile.TemporaryDirectory(prefix="rbnb-lab-") as folder:
        _write_kernel(Path(folder))
        _serve(copy, root, Path(folder), options)
    after = _digest(copy)
    if after == before:
        return None
    body = {"run": run, "file": f"analyses/{copy.name}", "sha256": after, "started_from": before}
    incident.ledger.append("analysis.recorded", body, by=user())
    return after


def _use_kernel(copy: Path) -> None:
    notebook = json.loads(copy.read_bytes())
    notebook["metadata"]["kernelspec"] = {"display_name": "Python (rbnb)", "language": "python", "name": _KERNEL}
    copy.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_kernel(folder: Path) -> None:
    place = folder / "kernels" / _KERNEL
    place.mkdir(parents=True)
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python (rbnb)",
        "language": "python",
    }
    (place / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")


def _serve(copy: Path, root: Path, kernels: Path, options: Sequence[str]) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("RBNB_RUN_FOLDER", "JUPYTER_PATH")}
    environment |= {"RBNB_WORKSPACE": str(root), "JUPYTER_PATH": str(kernels)}
    command = [
        sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", f"--ServerApp.root_dir={copy.parent}",
        f"--LabApp.default_url=/lab/tree/{copy.name}", *options,
    ]  # fmt: skip
    process = subprocess.Popen(command, env=environment, cwd=copy.parent)  # noqa: S603 - our own interpreter, no shell
    # The terminal sends Ctrl-C to both; it is Lab that asks and ends, and we wait for it.
    kept = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT,)}
    kept[signal.SIGTERM] = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        process.wait()
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
