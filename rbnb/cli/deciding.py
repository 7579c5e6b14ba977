"""Put on record what a person chose, and why.

Rule: a reason belongs to the option before it. ``--because`` after ``--reject X`` says why X was turned down; the one
that follows no ``--reject`` is the decision's own. Their order is read as it was typed, whichever way an option is
written (``--because=…``, ``-b …``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from rbnb.cli.app import AsJson, app, open_workspace, out_json
from rbnb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rbnb.ledger import Entry

__all__ = ["decide"]

_ORDER = "rbnb.order"


class _InOrder(TyperCommand):
    """A command that knows in which order its options were given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - click's own, which typer brings along
        if not ctx.resilient_parsing:  # while a shell completes a word, the line is not whole yet
            _, _, order = self.make_parser(ctx).parse_args(args=list(args))
            ctx.meta[_ORDER] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


@app.command(cls=_InOrder)
def decide(
    context: typer.Context,
    incident: Annotated[str, typer.Argument(help="INC-…")],
    choice: Annotated[str, typer.Argument(help="An action of the catalog, none, or a verdict.")],
    because: Annotated[
        list[str], typer.Option("--because", "-b", help="Why, in a sentence; after --reject, why that option not.")
    ] = [],  # noqa: B006 - typer reads it, nobody changes it
    reject: Annotated[
        list[str], typer.Option("--reject", help="An option that was turned down; its own --because follows it.")
    ] = [],  # noqa: B006
    assign: Annotated[list[str], typer.Option("--set", help="NAME=VALUE, a value for the action.")] = [],  # noqa: B006
    run: Annotated[str, typer.Option(help="The run it rests on. Default: the last that completed.")] = "",
    as_json: AsJson = False,
) -> None:
    """Put on record what a person chose, why, and what was turned down. Nothing is executed."""
    from rbnb.terminal import show_lines

    own, rejected = _paired(context.meta[_ORDER], because, reject)
    entry = open_workspace().decide(incident, choice, own, reject=rejected, values=_values(assign), run=run)
    if as_json:
        out_json({"entry": entry.seq, "at": entry.at, "by": entry.by, **entry.body})
        return
    show_lines(_told(incident, entry))


def _paired(order: Iterable[str], because: Sequence[str], reject: Sequence[str]) -> tuple[str, list[tuple[str, str]]]:
    """Return the decision's own reason, and each rejected option with its reason."""
    reasons, options = iter(because), iter(reject)
    own: list[str] = []
    pairs: list[tuple[str, str]] = []
    waiting: str | None = None
    for name in order:
        if name == "reject":
            _all_have_reasons(waiting)
            waiting = next(options)
        elif name == "because" and waiting is not None:
            pairs.append((waiting, next(reasons)))
            waiting = None
        elif name == "because":
            own.append(next(reasons))
    _all_have_reasons(waiting)
    if not own:
        raise UsageError("a decision needs a reason", hint='say it with --because "…", before any --reject')
    if len(own) > 1:
        raise UsageError(
            f"there are {len(own)} reasons for the decision itself",
            hint="one --because is its own; every other one must follow the --reject it explains",
        )
    return own[0], pairs


def _all_have_reasons(waiting: str | None) -> None:
    if waiting is not None:
        raise UsageError(
            f"--reject {waiting} has no reason", hint=f'put it right after: --reject {waiting} --because "…"'
        )


def _values(assignments: Iterable[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for text in assignments:
        name, found, value = text.partition("=")
        if not found or not name:
            raise UsageError(f"--set {text!r} is not NAME=VALUE", hint="such as --set namespace=fraud")
        if name in values:
            raise UsageError(f"the value {name} is set twice", hint="set it once")
        values[name] = value
    return values


def _told(incident: str, entry: Entry) -> list[str]:
    from rbnb.text import one_line

    body = entry.body
    what = "the run's verdict" if body["kind"] == "verdict" else "the proposal"
    how = f"follows {what}" if body["follows_proposal"] else f"overrides {what} ({body['proposed']})"
    lines = [f"{incident}: {body['choice']} is on record; it {how}. Nothing was executed."]
    lines.append(f"  entry {entry.seq}, by {one_line(entry.by)}, resting on {body['run']}")
    lines += [f"  not {one['option']}: {one_line(one['because'], 100)}" for one in body["rejected"]]
    lines += [f"  with {name} = {one_line(value, 100)}" for name, value in body["values"].items()]
    if body["supersedes"]:
        lines.append(f"  it takes the place of the decision in entry {body['supersedes']}")
    lines += [f"  {run} is still going on; look again when it has ended" for run in body["going_on"]]
    return [*lines, f"  rbnb show {incident}"]
