"""Going on by hand: JupyterLab on a working copy of an executed notebook.

Rules:

- **The original is never touched**, and nothing an analyst runs writes into the run's evidence.
- **Every cell runs again as it stands**: the copy has the same parameters and finds the same workspace.
- **When Lab ends, however it ends, a copy that was changed is recorded** in the ledger with its digest and
  that of the notebook it started from. What counts as a change is what an analyst does: cells, outputs and
  metadata. That Lab saved the file, or noted which kernel ran it, is none; such a copy is removed again.
- **Lab serves this computer only**, behind a token. A port that is taken is left to whoever has it, and
  Jupyter takes one of the next.
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
from typing import TYPE_CHECKING, Any

from rbnb.errors import RbnbError
from rbnb.incidents import user

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbnb.incidents import Incident

__all__ = ["open_lab"]

_KERNEL = "rbnb-analysis"
_NOTED_BY_LAB = ("kernelspec", "language_info")
_ENDED_WELL = (0, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)


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
        The digest that was recorded; None when nothing was changed, and then the copy is gone.

    Raises
    ------
    RbnbError
        If Lab did not start or broke down, or the copy is no longer where it was.
    LedgerError
        If the change cannot be recorded; the copy stays.
    """
    origin = _digest(copy)
    _use_kernel(copy)
    before = _content(copy)
    with tempfile.TemporaryDirectory(prefix="rbnb-lab-") as folder:
        _write_kernel(Path(folder))
        code = _serve(copy, root, Path(folder), options)
    recorded = _record(incident, run, copy, origin) if _was_changed(copy, before) else None
    if code not in _ENDED_WELL:
        raise RbnbError(f"JupyterLab ended with code {code}", hint="what it said stands above")
    return recorded


def _record(incident: Incident, run: str, copy: Path, origin: str) -> str:
    digest = _digest(copy)
    body = {"run": run, "file": f"analyses/{copy.name}", "sha256": digest, "started_from": origin}
    incident.ledger.append("analysis.recorded", body, by=user())
    return digest


def _was_changed(copy: Path, before: object) -> bool:
    try:
        changed = _content(copy) != before
    except FileNotFoundError:
        raise RbnbError(
            f"the working copy {copy.name} is no longer there, so nothing is recorded",
            hint=f"if it was renamed, it is still in {copy.parent}; `rbnb lab` makes a new copy",
        ) from None
    if not changed:
        copy.unlink()
    return changed


def _content(path: Path) -> object:
    """Return what an analyst may change in a notebook; the bytes of what is none."""
    content = path.read_bytes()
    try:
        notebook = json.loads(content)
        about = {key: value for key, value in notebook["metadata"].items() if key not in _NOTED_BY_LAB}
        return about, [_joined({**cell, "metadata": _untrusting(cell["metadata"])}) for cell in notebook["cells"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return content


def _untrusting(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if key != "trusted"}


def _joined(part: Any) -> Any:  # noqa: ANN401 - any JSON
    """Undo the splitting of long texts into lines, which depends on who wrote the file."""
    if isinstance(part, dict):
        return {key: _joined(value) for key, value in part.items()}
    if isinstance(part, list):
        return "".join(part) if part and all(isinstance(line, str) for line in part) else [_joined(p) for p in part]
    return part


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


def _serve(copy: Path, root: Path, kernels: Path, options: Sequence[str]) -> int:
    command = [
        sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", f"--ServerApp.root_dir={copy.parent}",
        f"--LabApp.default_url=/lab/tree/{copy.name}", *options,
    ]  # fmt: skip
    process: subprocess.Popen[bytes] | None = None
    asked_to_end = False

    def end(*_: object) -> None:
        nonlocal asked_to_end
        asked_to_end = True
        if process is not None:
            process.terminate()

    # The terminal sends Ctrl-C to both; it is Lab that asks and ends, and we wait for it.
    kept = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    kept[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        process = subprocess.Popen(command, env=_environment(root, kernels), cwd=copy.parent)  # noqa: S603 - no shell
        if asked_to_end:
            process.terminate()
        return process.wait()
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _environment(root: Path, kernels: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "RBNB_RUN_FOLDER"}
    path = os.pathsep.join(filter(None, [str(kernels), kept.get("JUPYTER_PATH", "")]))
    return kept | {"RBNB_WORKSPACE": str(root), "JUPYTER_PATH": path}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
