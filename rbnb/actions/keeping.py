"""Files of an action beside the ledger: written whole, on the disk before they are recorded, and never changed.

Paths are relative to the incident's folder; what is recorded of a file is its path, its sha256 and its bytes, which is
what `rbnb verify` holds it against.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rbnb.errors import IntegrityError, LedgerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rbnb.incidents import Incident

__all__ = ["attempt_folder", "keep", "keep_json", "read_kept"]


def keep(incident: Incident, path: str, content: bytes) -> dict[str, Any]:
    """Write a file and return what is recorded of it.

    Parameters
    ----------
    path
        Relative to the incident's folder.

    Raises
    ------
    LedgerError
        If it is not certain that the file is on the disk.
    """
    target = incident.folder / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, content)
    except OSError as error:
        raise LedgerError(
            f"{target} cannot be written: {error.strerror}", hint="free some space or mend the permissions there"
        ) from error
    return {"path": path, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def keep_json(incident: Incident, path: str, content: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Write JSON as a person can read it, and return what is recorded of it."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return keep(incident, path, f"{text}\n".encode())


def read_kept(incident: Incident, file: Mapping[str, Any]) -> bytes:
    """Return what a recorded file holds, once it was seen to be what was recorded.

    Raises
    ------
    IntegrityError
        If it is not.
    """
    path = (incident.folder / str(file.get("path", ""))).resolve()
    hint = f"`rbnb verify {incident.name}` tells what else differs; compare with a backup"
    if not path.is_relative_to(incident.folder.resolve()):
        raise IntegrityError(f"{file.get('path')} lies outside {incident.name}", hint=hint)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error.strerror}", hint=hint) from None
    if hashlib.sha256(content).hexdigest() != file.get("sha256"):
        raise IntegrityError(f"{path} is not what was recorded", hint=hint)
    return content


def attempt_folder(incident: Incident, name: str) -> str:
    """Create and return the next folder below ``actions/``, such as ``actions/03-rollback_version``.

    Raises
    ------
    LedgerError
        If it cannot be created.
    """
    root = incident.folder / "actions"
    try:
        root.mkdir(exist_ok=True)
        while True:
            numbers = [int(path.name.split("-")[0]) for path in root.iterdir() if path.name.split("-")[0].isdigit()]
            folder = root / f"{max(numbers, default=0) + 1:02d}-{name}"
            with suppress(FileExistsError):
                folder.mkdir()
                return f"actions/{folder.name}"
    except OSError as error:
        raise LedgerError(
            f"{root} cannot be written: {error.strerror}", hint="free space or mend permissions; nothing was done"
        ) from error


def _write(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
        os.replace(name, path)  # noqa: PTH105 - the two are names in one folder
    except BaseException:
        with suppress(OSError):
            os.unlink(name)  # noqa: PTH108
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
