"""A notebook's cells, sorted into the stages of its runbook.

A cell belongs to the stage its metadata names, else to the last heading above it; what comes before the
first stage is the set-up. A stage is done, failed (an error stands in it) or not run (it has code, and
none of it was executed).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rbnb.report.outputs import read_outputs, source_of
from rbnb.report.prose import render_prose
from rbnb.report.words import pill, word
from rbnb.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_stages"]

_SLUG = re.compile(r"[^a-z0-9]+")
_LONGEST_CODE = 40_000
_SET_UP = ""

Stage = dict[str, Any]


def _own_stage(cell: Mapping[str, Any]) -> str | None:
    metadata = cell.get("metadata")
    own = metadata.get("rbnb") if isinstance(metadata, dict) else None
    stage = own.get("stage") if isinstance(own, dict) else None
    return stage if isinstance(stage, str) and stage else None


def _new_stage(key: str, title: str, count: int) -> Stage:
    slug = _SLUG.sub("-", key.lower()).strip("-")[:40]
    return {"key": key, "title": title, "id": f"stage-{count}-{slug}".rstrip("-"), "items": [], "ran": 0, "code": 0}


def _stage_of(cell: Mapping[str, Any], title: str, stages: list[Stage]) -> Stage:
    """Return the stage a cell belongs to, opened if it is new."""
    key = _own_stage(cell)
    last = stages[-1]
    if key is None:
        source = source_of(cell.get("source") or "").lstrip()
        opens = cell.get("cell_type") == "markdown" and source.startswith("## ")
        key = title if opens else last["key"]
    if key == last["key"]:
        return last
    stages.append(_new_stage(key, "", len(stages)))
    return stages[-1]


def _code_item(cell: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {
        "kind": "code",
        "number": number,
        "source": visible(source_of(cell.get("source") or ""), _LONGEST_CODE),
        "outputs": read_outputs(cell.get("outputs")),
    }


def _add(stages: list[Stage], cell: Mapping[str, Any], number: int) -> None:
    if cell.get("cell_type") == "markdown":
        title, html = render_prose(source_of(cell.get("source") or ""))
        stage = _stage_of(cell, title, stages)
        stage["title"] = stage["title"] or title
        if html.strip():
            stage["items"].append({"kind": "prose", "html": html})
    elif cell.get("cell_type") == "code":
        stage = _stage_of(cell, "", stages)
        item = _code_item(cell, number)
        stage["items"].append(item)
        stage["code"] += 1
        stage["ran"] += bool(cell.get("execution_count") or item["outputs"])


def _state(stage: Stage, failed_in: object) -> str:
    outputs = [block for item in stage["items"] if item["kind"] == "code" for block in item["outputs"]]
    if any(block["kind"] == "error" for block in outputs) or (failed_in and stage["key"] == failed_in):
        return "failed"
    return "not run" if stage["code"] and not stage["ran"] else "done"


def read_stages(notebook: Mapping[str, Any], record: Mapping[str, Any]) -> list[Stage]:
    """Return the stages in their order, the set-up first if there is any, each with its items and state."""
    error = record.get("error")
    failed_in = error.get("stage") if isinstance(error, dict) else None
    stages = [_new_stage(_SET_UP, "", 0)]
    cells = notebook.get("cells")
    for number, cell in enumerate(cells if isinstance(cells, list) else []):
        if isinstance(cell, dict):
            _add(stages, cell, number)
    for stage in stages:
        stage["set_up"] = stage["key"] == _SET_UP
        stage["title"] = "Set-up" if stage["set_up"] else stage["title"] or word(stage["key"]).capitalize()
        stage["state"] = pill(_state(stage, failed_in))
    return [stage for stage in stages if stage["items"]]
