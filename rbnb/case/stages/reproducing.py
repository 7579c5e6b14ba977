"""Reproduce: the windows, the sources with their digests, and the commands that run this again."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rbnb.case.stages.parts import fact, span
from rbnb.model import Window
from rbnb.times import format_time
from rbnb.view import Commands, Facts, Table, columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rbnb.model import Material
    from rbnb.scope import Scope

__all__ = ["material_table", "rerun_commands", "window_facts"]


def window_facts(scope: Scope) -> Facts:
    """Say which spans were compared."""
    left_out = ", ".join(_epochs(low, high) for low, high in scope.leave_out)
    return Facts(
        (
            fact("Window", span(scope.window)),
            fact("Reference", span(scope.reference)),
            fact("Bucket", f"{scope.bucket} s"),
            fact("Clock", format_time(scope.now)),
            fact("Left out of the reference", left_out or "nothing"),
        ),
        "Windows",
    )


def _epochs(low: int, high: int) -> str:
    return span(Window(datetime.fromtimestamp(low, UTC), datetime.fromtimestamp(high, UTC)))


def material_table(materials: Sequence[Material]) -> Table:
    """List the sources with rows and digest."""
    heads = columns("source", "table|code", "from|time", "to|time", "rows|number", "digest|code")
    rows = tuple(
        (m.source, m.table, m.window.start if m.window else None, m.window.end if m.window else None, m.rows, m.digest)
        for m in materials
    )
    return Table(
        "What was read", heads, rows, "A digest covers the whole files; rows are those in window and reference."
    )


def rerun_commands(template: str, parameters: Mapping[str, Any], scope: Scope, query: str) -> Commands:
    """Give the commands that run this again, and the query behind the series."""
    at = format_time(scope.window.end)
    given = {**parameters, "at": at}
    plain = [f"-p {name} {shlex.quote(str(value))}" for name, value in given.items() if value not in ("", None)]
    window = str(parameters.get("window", "2h"))
    model = str(parameters["model"])
    return Commands(
        "Run this again",
        (
            {
                "label": "with rbnb",
                "command": shlex.join(["rbnb", "run", template, "--model", model, "--at", at, "--window", window]),
            },
            {
                "label": "with papermill alone",
                "command": f"papermill notebook_templates/{template}.ipynb out.ipynb {' '.join(plain)}",
            },
            {"label": "the query behind the series", "command": query},
        ),
    )
