"""What every command shares: the application, how JSON, lines and complaints are printed, and the exit codes.

Rules: what a program reads goes to standard output and nothing else does (``--json`` prints one object);
progress and errors go to standard error.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rbnb import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rbnb.workspace import Workspace

__all__ = [
    "CANCELLED",
    "FOUND",
    "INCONCLUSIVE",
    "AsJson",
    "app",
    "complain",
    "indented",
    "models_app",
    "open_workspace",
    "out",
    "out_json",
    "templates_app",
]

#: Exit codes beside those of the error tree: something was found, it could not be told, somebody pressed Ctrl-C.
FOUND, INCONCLUSIVE, CANCELLED = 3, 8, 130

app = typer.Typer(
    name="rbnb",
    help="Runbook notebooks for models that misbehave in production.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
templates_app = typer.Typer(help="The runbooks.", no_args_is_help=True, rich_markup_mode=None)
models_app = typer.Typer(help="The models of this workspace.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(templates_app, name="templates")
app.add_typer(models_app, name="models")

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")
]


def _version(asked: bool) -> None:
    if asked:
        out([__version__])
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Runbook notebooks for models that misbehave in production."""


def open_workspace() -> Workspace:
    """Open the workspace at or above this folder."""
    from rbnb.workspace import Workspace

    return Workspace.open()


def out(lines: Iterable[str]) -> None:
    """Print lines to standard output as they are."""
    for line in lines:
        print(line)  # noqa: T201 - this is the terminal


def out_json(value: object) -> None:
    """Print one JSON object to standard output."""
    from rbnb.model import to_plain

    out([json.dumps(to_plain(value), indent=1, ensure_ascii=False, allow_nan=False)])


def complain(message: str, hint: str = "") -> None:
    """Say on standard error what is wrong, and what to do."""
    from rbnb.text import visible

    for line in [f"rbnb: {visible(message)}", *([f"      {visible(hint)}"] if hint else [])]:
        print(line, file=sys.stderr)  # noqa: T201 - this is the terminal


def indented(lines: Iterable[str]) -> list[str]:
    """Return lines set in by two spaces."""
    return [f"  {line}" for line in lines]
