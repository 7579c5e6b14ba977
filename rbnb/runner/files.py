"""The files of a run: written whole or not at all, so that a reader never meets half of one.

A file is written beside itself, synced, and renamed over; then its folder is synced. The journal is
the one file that grows, a line at a time, and a line cut by a power failure is told by its missing end.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "JOURNAL",
    "LOG",
    "NOTEBOOK",
    "TEMPLATE",
    "Journal",
    "notebook_bytes",
    "read_journal",
    "remove_unfinished",
    "write_atomically",
]

NOTEBOOK = "notebook.ipynb"
TEMPLATE = "template.ipynb"
JOURNAL = "journal.jsonl"
LOG = "runner.log"

_UNFINISHED = ".tmp"


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content` so that after a crash it is either the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        os.replace(name, path)  # noqa: PTH105 - the two are names in one folder
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108
        raise
    _sync_folder(path.parent)


def remove_unfinished(folder: Path) -> None:
    """Remove what a writer that was killed had not finished; nobody may be writing there any more."""
    for name in (NOTEBOOK, TEMPLATE, LOG):
        for path in folder.glob(f".{name}.*{_UNFINISHED}"):
            path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def notebook_bytes(notebook: dict[str, Any]) -> bytes:
    """Write a notebook as Jupyter does, but as strict JSON in valid UTF-8 whatever a cell displayed."""
    lines = _split(notebook)
    try:
        text = json.dumps(lines, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(lines), ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
    return (text + "\n").encode("utf-8", "replace")


def _finite(thing: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(thing, dict):
        return {key: _finite(value) for key, value in thing.items()}
    if isinstance(thing, list):
        return [_finite(value) for value in thing]
    if isinstance(thing, float) and not math.isfinite(thing):
        return None
    return thing


def _split(notebook: dict[str, Any]) -> dict[str, Any]:
    return {**notebook, "cells": [_split_cell(cell) for cell in notebook["cells"]]}


def _split_cell(cell: dict[str, Any]) -> dict[str, Any]:
    """Hold texts as lists of lines, which is how notebooks are stored and compared."""
    split = {**cell, "source": _lines(cell["source"])}
    if "outputs" in cell:
        split["outputs"] = [_split_output(output) for output in cell["outputs"]]
    return split


def _split_output(output: dict[str, Any]) -> dict[str, Any]:
    split = dict(output)
    if "text" in split:
        split["text"] = _lines(split["text"])
    if "data" in split:
        split["data"] = {
            mime: _lines(data) if isinstance(data, str) and not mime.endswith("json") else data
            for mime, data in split["data"].items()
        }
    return split


def _lines(text: str | list[str]) -> list[str]:
    return text.splitlines(keepends=True) if isinstance(text, str) else text


class Journal:
    """`journal.jsonl`: what happened when, one JSON object a line, only ever appended to."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        size = os.fstat(self._handle).st_size
        if size and os.pread(self._handle, 1, size - 1) != b"\n":
            os.write(self._handle, b"\n")  # whoever wrote before us was cut off; the next line must be whole

    def write(self, event: str, facts: dict[str, Any], *, sync: bool = False) -> None:
        """Append one line, and reach the disk before returning where `sync` is given."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"time": time, "event": event} | facts, ensure_ascii=False, allow_nan=False)
        rest = memoryview(line.encode("utf-8", "replace") + b"\n")
        while rest:
            rest = rest[os.write(self._handle, rest) :]
        if sync:
            os.fsync(self._handle)

    def close(self) -> None:
        """Sync and close."""
        os.fsync(self._handle)
        os.close(self._handle)


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Return the journal's entries, without a line that was cut off."""
    entries = []
    for line in path.read_bytes().split(b"\n"):
        with contextlib.suppress(ValueError):
            entries.append(json.loads(line))
    return entries
