"""What a cell may leave in the notebook: bounded in size, and its records collected.

A record (scrap) is an output of MIME type `SCRAP` in scrapbook's format, so scrapbook reads it too.
Rules: a name is left once; its data are strict JSON of at most 2 MiB; a cell's text and its displays
are capped, and where something was dropped the notebook says so. Records are never dropped in silence:
one that cannot be kept fails the run.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["SCRAP", "Budget", "RecordError", "collect_scraps"]

SCRAP = "application/scrapbook.scrap.json+json"

LARGEST_TEXT = 200_000
LARGEST_DISPLAYS = 16 * 2**20
MOST_OUTPUTS = 1000
LARGEST_SCRAP = 2 * 2**20


class RecordError(Exception):
    """A record is malformed, too large, or was left twice."""


class Budget:
    """How much one cell may still put into the notebook.

    `admit` is shown each message from the kernel and trims or refuses it; `clear` is told when the
    cell cleared its outputs, as progress bars do.
    """

    def __init__(self) -> None:
        self.noticed = False
        self.clear()

    def clear(self) -> None:
        """Start again: what was counted is no longer in the notebook."""
        self._text = LARGEST_TEXT
        self._displays = LARGEST_DISPLAYS
        self._outputs = MOST_OUTPUTS

    def admit(self, kind: str, content: dict[str, Any]) -> bool:
        """Trim `content` to what is left, and say whether anything of it stays."""
        if kind == "stream":
            content["text"] = content["text"][: self._text]
            self._text -= len(content["text"])
            return bool(content["text"])
        if kind == "error":
            content["traceback"] = _tail(content["traceback"], LARGEST_TEXT)
            content["evalue"] = content["evalue"][:LARGEST_TEXT]
            return True
        if kind in ("display_data", "execute_result", "update_display_data"):
            return self._admit_display(content["data"])
        return True

    def _admit_display(self, data: dict[str, Any]) -> bool:
        if SCRAP in data:  # has its own limit
            return True
        size = sum(len(value) if isinstance(value, str) else len(json.dumps(value)) for value in data.values())
        if size > self._displays or self._outputs == 0:
            return False
        self._displays -= size
        self._outputs -= 1
        return True

    def notice(self) -> str:
        """Return what the notebook says, once a cell, where something was dropped; empty after that."""
        if self.noticed:
            return ""
        self.noticed = True
        return f"\n[rbnb: this cell's output is over {LARGEST_TEXT // 1000} kB of text or 16 MB; the rest is dropped]\n"


def _tail(lines: list[str], longest: int) -> list[str]:
    kept: list[str] = []
    for line in reversed(lines):
        longest -= len(line)
        if longest < 0:
            break
        kept.insert(0, line)
    return kept


def collect_scraps(outputs: list[dict[str, Any]], scraps: dict[str, Any]) -> None:
    """Add the records among a cell's outputs to `scraps`.

    Raises
    ------
    RecordError
        If one is malformed, too large, not finite, or has a name that was used.
    """
    for output in outputs:
        scrap = output.get("data", {}).get(SCRAP)
        if scrap is None:
            continue
        name = scrap.get("name") if isinstance(scrap, dict) else None
        if not isinstance(name, str) or not name or "data" not in scrap or scrap.get("encoder") != "json":
            raise RecordError("left a record without a name, data or the encoder json")
        if name in scraps:
            raise RecordError(f"left the record {name!r}, which was left before")
        try:
            size = len(json.dumps(scrap["data"], allow_nan=False))
        except ValueError:
            raise RecordError(f"left the record {name!r} with a number that is not finite") from None
        if size > LARGEST_SCRAP:
            raise RecordError(f"left the record {name!r} of {size} bytes; the most is {LARGEST_SCRAP}")
        scraps[name] = scrap["data"]
