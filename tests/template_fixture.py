"""Run a template's own cells in this process, without a kernel: the same code as a run, in a fraction of the time."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent


def run_cells(template: str, model: str, root: Path = REPOSITORY, **parameters: Any) -> Any:
    """Run every code cell of a template in the workspace `root`, and return its case.

    Parameters
    ----------
    template, model
        Which runbook, on which model.
    root
        The folder that holds the workspace.
    **parameters
        Other parameters of the template than their defaults.

    Returns
    -------
    Case
        With its findings, decision and severity.
    """
    notebook = json.loads((REPOSITORY / "notebook_templates" / f"{template}.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {"__name__": "__main__"}
    before = Path.cwd()
    os.chdir(root)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            for cell in notebook["cells"]:
                if cell["cell_type"] != "code":
                    continue
                exec(compile("".join(cell["source"]), cell["id"], "exec"), names)  # noqa: S102 - our own templates
                if "parameters" in cell["metadata"].get("tags", []):
                    names |= {"model": model, **parameters}
    finally:
        os.chdir(before)
    return names["case"]
