"""What a cell shows: tables, facts, notes and commands, as data that any reader can draw.

Each view offers itself to Jupyter as its own MIME type (read by rbnb's page), as plain text (read by a
person in a diff or a terminal) and as escaped HTML (read in JupyterLab). Rules: no view runs code, every
value is escaped, and nothing is shown that is not in the data.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any

from rbnb.model import to_plain

__all__ = ["Column", "Commands", "Facts", "Note", "Table", "View", "columns", "shown_number"]

_MIME = "application/vnd.rbnb.{}+json"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, what kind of value it holds, and the unit."""

    name: str
    kind: str = "text"
    unit: str = ""


def columns(*specs: str) -> tuple[Column, ...]:
    """Return columns written as ``name``, ``name|kind`` or ``name|kind|unit``.

    Examples
    --------
    >>> columns("segment|code", "n|number")[1]
    Column(name='n', kind='number', unit='')
    """
    return tuple(Column(*spec.split("|")) for spec in specs)


@dataclass(frozen=True, slots=True)
class Table:
    """A small table; `note` says what to mind when reading it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:  # noqa: ANN401 - Jupyter's protocol
        head = [f"{c.name} ({c.unit})" if c.unit else c.name for c in self.columns]
        body = [
            [_cell(value, column.kind) for value, column in zip(row, self.columns, strict=True)] for row in self.rows
        ]
        return _bundle(
            "table", to_plain(self), _text_table(self.title, head, body, self.note), _html_table(self.title, head, body)
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels with a value each; an item may carry a ``kind`` and a ``link``."""

    items: tuple[dict[str, Any], ...]
    title: str = ""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:  # noqa: ANN401 - Jupyter's protocol
        body = [[str(item["label"]), _cell(item.get("value"), item.get("kind", "text"))] for item in self.items]
        width = max((len(label) for label, _ in body), default=0)
        text = "\n".join([self.title] * bool(self.title) + [f"{label:<{width}}  {value}" for label, value in body])
        return _bundle("facts", to_plain(self), text, _html_table(self.title, ["", ""], body))


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence that must not be overlooked; `level` is info, ok, warning or breach."""

    text: str
    level: str = "info"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:  # noqa: ANN401 - Jupyter's protocol
        return _bundle("note", to_plain(self), self.text, f"<p><strong>{html.escape(self.text)}</strong></p>")


@dataclass(frozen=True, slots=True)
class Commands:
    """Commands to copy: ``label``, ``command`` and perhaps a ``note`` each."""

    title: str
    items: tuple[dict[str, str], ...] = field(default_factory=tuple)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:  # noqa: ANN401 - Jupyter's protocol
        lines = [self.title]
        for item in self.items:
            lines += [f"# {item['label']}", item["command"]]
        # Paragraphs, because JupyterLab floats what is in a list of definitions.
        shown = "".join(
            f"<p><em>{html.escape(i['label'])}</em></p><pre>{html.escape(i['command'])}</pre>" for i in self.items
        )
        return _bundle("commands", to_plain(self), "\n".join(lines), f"<p>{html.escape(self.title)}</p>{shown}")


View = Table | Facts | Note | Commands


def shown_number(value: float) -> str:
    """Write a number with as many digits as a reader needs.

    Examples
    --------
    >>> shown_number(1140.4), shown_number(0.0312), shown_number(14.0)
    ('1,140', '0.0312', '14')
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    text = f"{value:.3g}"
    return text if "e" not in text else f"{value:.2e}"


def _cell(value: Any, kind: str) -> str:  # noqa: ANN401 - any recorded value
    value = to_plain(value)
    if value is None:
        return "–"
    if kind in ("share", "bar") and isinstance(value, (int, float)):
        return f"{value:.1%}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return shown_number(value) if isinstance(value, (int, float)) else str(value)


def _bundle(name: str, data: dict[str, Any], text: str, page: str) -> dict[str, Any]:
    return {_MIME.format(name): data, "text/plain": text, "text/html": page}


def _text_table(title: str, head: list[str], body: list[list[str]], note: str) -> str:
    widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]
    lines = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *body]
    ]
    return "\n".join([title] * bool(title) + lines + [note] * bool(note))


def _html_table(title: str, head: list[str], body: list[list[str]]) -> str:
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in body)
    return f"<p>{html.escape(title)}</p><table><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table>"
