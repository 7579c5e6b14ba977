"""Record what a person has seen."""

from __future__ import annotations

from typing import Annotated

import typer

from rbnb.cli.app import AsJson, app, open_workspace, out_json

__all__ = ["note"]


@app.command()
def note(
    incident: Annotated[str, typer.Argument(help="INC-…")],
    text: Annotated[str, typer.Argument(help="What was seen, in a sentence.")],
    by: Annotated[str, typer.Option(help="Who saw it. Default: who records it.")] = "",
    seen_at: Annotated[str, typer.Option(help="When, ISO 8601 with a zone. Default: now.")] = "",
    about: Annotated[str, typer.Option(help="The place it is about, such as zone=b, or a component.")] = "",
    as_json: AsJson = False,
) -> None:
    """Record what a person has seen; the next run shows it, and hypotheses that it speaks to cite it."""
    from rbnb.terminal import show_lines
    from rbnb.text import one_line

    body = open_workspace().note(incident, text, by=by, seen_at=seen_at, about=about)
    if as_json:
        out_json(body)
        return
    show_lines(
        [f"{incident}: on record, seen by {one_line(body['by'])} at {body['seen_at']}", f"  rbnb show {incident}"]
    )
