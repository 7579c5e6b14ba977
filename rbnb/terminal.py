"""What a person at a terminal reads: a summary of at most 25 lines, lists, and errors with a hint.

Rules: verdict first; every line is told from the record; nothing is longer than the screen is wide; colour
helps and is never needed (NO_COLOR is kept); what comes from data cannot steer the terminal.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from rbnb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["columns_of", "paint", "show_lines", "summary"]

_LONGEST = 25
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}
_VERDICTS = {
    "healthy": "green",
    "genuine": "red",
    "infrastructure": "red",
    "transient": "yellow",
    "inconclusive": "yellow",
}


def paint(text: str, *styles: str) -> str:
    """Return `text` in a style if the screen can show it."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    codes = ";".join(_COLOURS[style] for style in styles)
    return f"\x1b[{codes}m{text}\x1b[0m"


def width() -> int:
    """Return how many columns there are; 120 where nobody looks."""
    return max(60, min(shutil.get_terminal_size((120, 40)).columns, 160))


def show_lines(lines: Iterable[str]) -> None:
    """Print lines to standard output."""
    for line in lines:
        print(line)  # noqa: T201 - this is the terminal


def columns_of(rows: Sequence[Sequence[str]], gap: int = 3) -> list[str]:
    """Align rows of text in columns; what is in them cannot steer the screen.

    Examples
    --------
    >>> columns_of([["a", "long"], ["bcd", "x"]])
    ['a     long', 'bcd   x']
    """
    if not rows:
        return []
    rows = [[one_line(cell, 400) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [(" " * gap).join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def summary(record: Mapping[str, Any], page: str, notebook: str) -> list[str]:
    """Return what a paged engineer needs of a run, from its record.

    Parameters
    ----------
    record
        run.json.
    page, notebook
        Paths as a person would type them.
    """
    wide = width()
    lines = [
        _title(record),
        *_why(record, wide),
        *_causes(record, wide),
        *_referrals(record, wide),
        *_missing(record, wide),
        *_proposal(record, wide),
    ]
    incident = one_line(record["incident"])
    end = columns_of([["page", page, ""], ["notebook", notebook, f"rbnb lab {incident}"]])
    if record["status"] != "completed":
        template, model = one_line(record["template"]["name"]), one_line(record["model"]["name"])
        end.append(f"again      rbnb run {template} --model {model} --incident {incident}")
    return lines[: _LONGEST - len(end)] + end


def _title(record: Mapping[str, Any]) -> str:
    model = f"{one_line(record['model']['name'])} {one_line(record['model']['version'])}".strip()
    verdict = record["verdict"] if record["status"] == "completed" else f"{record['status']} (no verdict)"
    level = record["severity"]["level"] or ""
    shown = paint(verdict.upper(), "bold", _VERDICTS.get(record["verdict"], "yellow"))
    return "   ".join(
        filter(None, [paint(record["incident"], "bold"), model, record["template"]["name"], level, shown])
    )


def _why(record: Mapping[str, Any], wide: int) -> list[str]:
    told = record["headline"] if record["status"] == "completed" and record["headline"] else record["because"][:3]
    lines: list[str] = []
    for text in told:
        lines += textwrap.wrap(one_line(text, 400), wide, subsequent_indent="  ")[:3]
    return lines


def _causes(record: Mapping[str, Any], wide: int) -> list[str]:
    causes = record["causes"][:5] if record["status"] == "completed" else []
    if not causes:
        return []
    names = [one_line(cause["name"], max(wide // 3, 30)) for cause in causes]
    longest = max(len(name) for name in names)
    colours = {"supported": "red", "refuted": "dim", "open": "yellow"}
    lines = []
    for cause, name in zip(causes, names, strict=True):
        lead = f"  {cause['rank']}  {name:<{longest}}   "
        status = f"{cause['status']:<9}   "
        told = textwrap.wrap(one_line(cause["evidence"], 300), max(wide - len(lead) - len(status), 30))[:2] or [""]
        lines.append(f"{lead}{paint(status, colours[cause['status']])}{told[0]}")
        lines += [f"{' ' * (len(lead) + len(status))}{more}" for more in told[1:]]
    return lines


def _referrals(record: Mapping[str, Any], wide: int) -> list[str]:
    lines: list[str] = []
    for one in record["referrals"][:2]:
        runbook, model = one_line(one["runbook"]), one_line(record["model"]["name"])
        told = f"this looks like {runbook}: {one_line(one['because'], 300)}"
        lines += textwrap.wrap(told, wide, subsequent_indent="  ")[:2]
        lines.append(f"  rbnb run {runbook} --model {model} --incident {one_line(record['incident'])}")
    return lines


def _missing(record: Mapping[str, Any], wide: int) -> list[str]:
    absent = record["not_measured"]
    if not absent or record["status"] != "completed":
        return []
    told = "; ".join(f"{one_line(item['what'])} ({one_line(item['why'])})" for item in absent)
    return textwrap.wrap(f"not measured: {told}", wide, subsequent_indent="  ")[:3]


def _proposal(record: Mapping[str, Any], wide: int) -> list[str]:
    proposal = record["proposal"]
    if not proposal or record["status"] != "completed":
        return []
    where = (
        f" from {one_line(proposal['where'])}" if proposal["where"] and proposal["action"] == "shift_traffic" else ""
    )
    count = proposal["approvals"]
    needs = f", needs {count} approval{'s' if count != 1 else ''}" if count else ""
    text = f"proposed: {proposal['action']}{where}{needs}"
    command = f'rbnb decide {record["incident"]} {proposal["action"]} --because "…"'
    together = f"{paint(text, 'bold')}   {command}"
    return [together] if len(text) + len(command) + 3 <= wide else [paint(text, "bold"), f"  {command}"]
