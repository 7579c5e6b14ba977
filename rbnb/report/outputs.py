"""From a cell's outputs to what the template draws, one reader for each type that is shown.

Shown are rbnb's own tables, notes, commands and facts, SVG and PNG as data images, streams, errors, and
plain text where a cell offers nothing better. Never shown: HTML, JavaScript, markdown, widgets, scraps.
An output that is not as it should be becomes a visible line that says so; it never breaks the page.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from rbnb.report.words import cell, number, safe_link, text_of, word
from rbnb.text import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["read_outputs", "source_of"]

_BASE = "application/vnd.rbnb."
_SCRAP = "application/scrapbook.scrap."
_KINDS = ("text", "number", "share", "time", "status", "bar", "code")
_LEVELS = ("info", "ok", "warning", "breach")
_MOST_ROWS = 500
_LONGEST_TEXT = 20_000
_BIGGEST_IMAGE = 600_000  # bytes
_PNG = b"\x89PNG\r\n\x1a\n"

Block = dict[str, Any]


def source_of(value: object) -> str:
    """Return a text that nbformat may hold as a list of lines."""
    return "".join(str(part) for part in value) if isinstance(value, list) else str(value)


def _payload(value: Any) -> Mapping[str, Any]:  # noqa: ANN401 - whatever a notebook holds
    """Return a payload, which may have been stored as JSON text."""
    data = json.loads(source_of(value)) if isinstance(value, (str, list)) else value
    if not isinstance(data, dict):
        raise TypeError("the output is no object")
    return data


def _title(data: Mapping[str, Any]) -> str:
    return one_line(data.get("title") or "", 160)


def _table(value: Any, _: Mapping[str, Any]) -> Block:  # noqa: ANN401
    data = _payload(value)
    columns = [_column(column) for column in data["columns"]]
    rows = data["rows"]
    drawn = [
        [cell(item, column["kind"]) for item, column in zip(row, columns, strict=True)] for row in rows[:_MOST_ROWS]
    ]
    more = len(rows) - len(drawn)
    note = visible(data.get("note") or "", 1000)
    if more:
        note = f"{note} The first {number(len(drawn))} of {number(len(rows))} rows; the notebook holds all.".strip()
    return {"kind": "table", "title": _title(data), "columns": columns, "rows": drawn, "note": note}


def _column(column: Mapping[str, Any]) -> dict[str, Any]:
    kind = column.get("kind", "text")
    kind = kind if kind in _KINDS else "text"
    unit = one_line(column.get("unit") or ("UTC" if kind == "time" else ""), 24)
    return {"name": visible(column["name"], 120), "kind": kind, "unit": unit, "right": kind in ("number", "share")}


def _note(value: Any, _: Mapping[str, Any]) -> Block:  # noqa: ANN401
    data = _payload(value)
    level = data.get("level")
    return {"kind": "note", "level": level if level in _LEVELS else "info", "text": visible(data["text"], 4000)}


def _commands(value: Any, _: Mapping[str, Any]) -> Block:  # noqa: ANN401
    data = _payload(value)
    items = [
        {
            "label": visible(item.get("label") or "", 200),
            "command": visible(source_of(item["command"]), 4000),
            "note": visible(item.get("note") or "", 1000),
        }
        for item in data["items"]
    ]
    return {"kind": "commands", "title": _title(data), "items": items}


def _facts(value: Any, _: Mapping[str, Any]) -> Block:  # noqa: ANN401
    data = _payload(value)
    items = [
        {
            "label": visible(item["label"], 200),
            "cell": cell(item.get("value"), str(item.get("kind") or "text")),
            "link": safe_link(item.get("link")),
        }
        for item in data["items"]
    ]
    return {"kind": "facts", "title": _title(data), "items": items}


def _image(kind: str, raw: bytes, metadata: Mapping[str, Any], mime: str) -> Block:
    if len(raw) > _BIGGEST_IMAGE:
        return _unreadable(f"a figure of {number(len(raw))} bytes is too large for the page; the notebook holds it")
    own = metadata.get(mime)
    own = {**metadata, **own} if isinstance(own, dict) else metadata
    return {
        "kind": "figure",
        "address": f"data:{mime};base64,{base64.b64encode(raw).decode('ascii')}",
        "alt": visible(own.get("alt") or own.get("caption") or f"Figure ({kind}) without a description.", 1000),
        "caption": visible(own.get("caption") or "", 1000),
    }


def _svg(value: Any, metadata: Mapping[str, Any]) -> Block:  # noqa: ANN401
    raw = source_of(value).strip().encode("utf-8", "replace")
    if not raw.startswith((b"<svg", b"<?xml", b"<!DOCTYPE svg")):
        raise ValueError("not an SVG picture")
    return _image("SVG", raw, metadata, "image/svg+xml")


def _png(value: Any, metadata: Mapping[str, Any]) -> Block:  # noqa: ANN401
    raw = base64.b64decode("".join(source_of(value).split()), validate=True)
    if not raw.startswith(_PNG):
        raise ValueError("not a PNG picture")
    return _image("PNG", raw, metadata, "image/png")


def _unreadable(why: str) -> Block:
    return {"kind": "note", "level": "warning", "text": f"An output is not shown: {visible(why, 300)}"}


#: Best first; of one output every rbnb block is shown, and of its pictures the first.
_OWN: dict[str, Callable[[Any, Mapping[str, Any]], Block]] = {
    f"{_BASE}note+json": _note,
    f"{_BASE}facts+json": _facts,
    f"{_BASE}table+json": _table,
    f"{_BASE}commands+json": _commands,
}
_PICTURES: dict[str, Callable[[Any, Mapping[str, Any]], Block]] = {"image/svg+xml": _svg, "image/png": _png}


def _bundle(output: Mapping[str, Any]) -> Iterator[Block]:
    """Read a display or a result: its rbnb blocks, else its picture, else its plain text."""
    data = output.get("data") or {}
    metadata = output.get("metadata") or {}
    chosen = [mime for mime in _OWN if mime in data]
    chosen += [mime for mime in _PICTURES if mime in data][:1]
    for mime in chosen:
        try:
            yield (_OWN | _PICTURES)[mime](data[mime], metadata)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error) as problem:
            # A notebook can hold anything under a type's name; the page says so and goes on.
            yield _unreadable(f"{mime}: {type(problem).__name__}")
    if not chosen and "text/plain" in data and not any(str(mime).startswith(_SCRAP) for mime in data):
        yield {"kind": "stream", "name": "", "text": visible(source_of(data["text/plain"]), _LONGEST_TEXT)}


def _error(output: Mapping[str, Any]) -> Block:
    trace = output.get("traceback") or []
    return {
        "kind": "error",
        "name": one_line(output.get("ename") or "Error", 120),
        "text": visible(output.get("evalue") or "", 2000),
        "trace": visible("\n".join(str(line) for line in trace) if isinstance(trace, list) else trace, _LONGEST_TEXT),
    }


def _stream(output: Mapping[str, Any]) -> Block:
    name = output.get("name")
    return {
        "kind": "stream",
        "name": word(name) if name == "stderr" else "",
        "text": visible(source_of(output.get("text") or ""), _LONGEST_TEXT).rstrip(),
    }


def read_outputs(outputs: object) -> list[Block]:
    """Return what is shown of a code cell's outputs, in their order."""
    blocks: list[Block] = []
    for output in outputs if isinstance(outputs, list) else []:
        kind = output.get("output_type") if isinstance(output, dict) else None
        if kind in ("display_data", "execute_result"):
            blocks.extend(_bundle(output))
        elif kind == "stream":
            blocks.append(_stream(output))
        elif kind == "error":
            blocks.append(_error(output))
        else:
            blocks.append(_unreadable(f"of type {text_of(kind)}"))
    return [block for block in blocks if block["kind"] != "stream" or block["text"]]
