"""The run record, `run.json`: what a program reads, and what an auditor holds the artifacts against.

Rules: status and verdict are two fields; a run that did not complete is inconclusive whatever it had
found before; every field is always there, null where there is nothing; the contract is docs/run-record.md,
and adding a field is a minor change.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import sys
from typing import TYPE_CHECKING, Any

from rbnb.model import RECORD_VERSION, Product, to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

__all__ = ["build_record", "environment", "list_products", "write_atomically"]

_PACKAGES = (
    "rbnb", "papermill", "nbclient", "ipykernel", "pandas", "numpy", "pyarrow", "ibis-framework", "duckdb", "sqlglot",
    "matplotlib",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Return the versions that a run's numbers depend on."""
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "platform": f"{platform.system()}-{platform.machine()}",
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def build_record(
    *,
    incident: str,
    run: str,
    template: Mapping[str, str],
    model: Mapping[str, str],
    parameters: Mapping[str, Any],
    status: str,
    error: Mapping[str, Any] | None,
    scraps: Mapping[str, Any],
    started: datetime,
    finished: datetime,
    products: list[Product],
) -> dict[str, Any]:
    """Put the record together from what the run left behind.

    Parameters
    ----------
    scraps
        ``stage.<name>`` to what the stage found.
    error
        Why it did not complete; None when it did.

    Returns
    -------
    dict
        Strict JSON types only.
    """
    stage = {name.removeprefix("stage."): data for name, data in scraps.items() if isinstance(data, dict)}
    triage, detection = stage.get("triage", {}), stage.get("detection", {})
    complete = status == "completed"
    because = list(triage.get("because", []))
    if not complete:
        because = [
            f"the run did not complete ({status}): {(error or {}).get('message', 'no reason is known')}",
            *because,
        ]
    plain = {"since": triage.get("since", ""), **triage.get("plain", {})} if complete else None
    record: dict[str, Any] = to_plain(
        {
            "record_version": RECORD_VERSION,
            "incident": incident,
            "run": run,
            "template": dict(template),
            "model": dict(model),
            "parameters": dict(parameters),
            "status": status,
            "error": dict(error) if error else None,
            "verdict": triage.get("verdict", "inconclusive") if complete else "inconclusive",
            "because": because,
            "headline": triage.get("headline", []),
            "plain": plain or _plain_failure(),
            "severity": triage.get("severity") or {"level": parameters.get("severity") or None, "reasons": []},
            "onset": detection.get("onset"),
            "ended": detection.get("ended"),
            "ongoing": detection.get("ongoing"),
            "causes": triage.get("causes", []),
            "segments": triage.get("segments", []),
            "findings": triage.get("findings", []),
            "observations": triage.get("observations", detection.get("observations", [])),
            "branch": triage.get("branch", []),
            "referrals": triage.get("referrals", []) if complete else [],
            "proposal": stage.get("containment", {}).get("proposal") if complete else None,
            "risk": stage.get("governance", {}).get("risk") if complete else None,
            "not_measured": triage.get("not_measured", stage.get("decision_record", {}).get("not_measured", [])),
            "second_opinion": stage.get("decision_record", {}).get("second_opinion"),
            "policy": triage.get("policy"),
            "materials": stage.get("reproduce", {}).get("materials", []),
            "products": products,
            "environment": environment(),
            "started": started,
            "finished": finished,
        }
    )
    return record


def _plain_failure() -> dict[str, str]:
    return {
        "what": "The check did not finish, so nobody can say from it how the model is doing.",
        "since": "",
        "how_bad": "Not known. This is not an all-clear.",
        "next": "An engineer finds out why the check failed and runs it again.",
        "colour": "grey",
    }


def list_products(folder: Path, *, leave_out: tuple[str, ...] = ()) -> list[Product]:
    """Return every file of a run folder with its digest, in order of path.

    Parameters
    ----------
    leave_out
        Paths relative to the folder that are not products.
    """
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name not in leave_out and not path.name.startswith("."):
            content = path.read_bytes()
            found.append(Product(name, hashlib.sha256(content).hexdigest(), len(content)))
    return found


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is either there whole or not at all, and stays there after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
