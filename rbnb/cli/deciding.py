"""Record what a person chose, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from rbnb.cli.app import AsJson, app, open_workspace, out_json

__all__ = ["decide"]


@app.command()
def decide(
    incident: Annotated[str, typer.Argument(help="INC-…")],
    choice: Annotated[str, typer.Argument(help="An action of the catalog, none, or a verdict.")],
    because: Annotated[str, typer.Option("--because", "-b", help="Why, in a sentence.")] = "",
    as_json: AsJson = False,
) -> None:
    """Record what a person chose, and why. Nothing is executed."""
    from rbnb.terminal import show_lines

    body = open_workspace().decide(incident, choice, because)
    if as_json:
        out_json(body)
        return
    how = "follows the proposal" if body["follows_proposal"] else f"overrides the proposal ({body['proposed']})"
    show_lines([f"{incident}: {choice} is on record; it {how}. Nothing was executed.", f"  rbnb show {incident}"])
