"""Do what was decided and approved, check it, undo it, and say what became of what was cut off.

Exit codes: 0 it is in force; 3 it was carried out and the check does not hold; 4 it failed, ran out of time, or was
stopped; 7 it was refused, and nothing was changed.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rbnb.cli.app import FOUND, AsJson, app, complain, indented, open_workspace, out_json
from rbnb.errors import RunFailedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rbnb.actions import Report
    from rbnb.workspace import Workspace

__all__ = ["act", "explain", "rollback"]

Because = Annotated[str, typer.Option("--because", "-b", help="Why, and what was seen.")]


@app.command()
def act(
    incident: Annotated[str, typer.Argument(help="INC-…")],
    action: Annotated[str, typer.Argument(help="An action of the catalog, as it was decided.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Rehearse, and change nothing.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Ask whether it is in force now, and change nothing.")] = False,
    by_hand: Annotated[bool, typer.Option("--by-hand", help="Record that a person did it outside rbnb.")] = False,
    because: Because = "",
    assign: Annotated[list[str], typer.Option("--set", help="NAME=VALUE, a value for the action.")] = [],  # noqa: B006
    variant: Annotated[str, typer.Option(help="The platform. Default: what fits the model.")] = "",
    as_json: AsJson = False,
) -> None:
    """Do what was decided and approved, on record before and after, and check that it took effect."""
    workspace, values = open_workspace(), _values(assign)
    if sum((dry_run, check, by_hand)) > 1:
        raise UsageError("--dry-run, --check and --by-hand are three things", hint="ask for one of them")
    if because and not by_hand:
        raise UsageError("--because goes with --by-hand", hint="the reason for an action is in its decision")
    if dry_run:
        _tell_rehearsal(workspace, incident, action, values, variant, as_json=as_json)
    elif check:
        _tell_check(workspace, incident, action, as_json=as_json)
    elif by_hand:
        done = workspace.did_by_hand(incident, action, because, values)
        _tell_by_hand(incident, f"{action} was done by hand", asdict(done), as_json=as_json)
    else:
        _tell(
            _with_manual(lambda: workspace.act(incident, action, values, variant=variant, on_step=_going_on)), as_json
        )


@app.command()
def rollback(
    incident: Annotated[str, typer.Argument(help="INC-…")],
    action: Annotated[str, typer.Argument(help="The action to undo.")],
    by_hand: Annotated[bool, typer.Option("--by-hand", help="Record that a person undid it outside rbnb.")] = False,
    because: Because = "",
    as_json: AsJson = False,
) -> None:
    """Undo an action: return to the state that was kept before it."""
    workspace = open_workspace()
    if by_hand:
        done = workspace.undid_by_hand(incident, action, because)
        _tell_by_hand(incident, f"{action} was undone by hand", asdict(done), as_json=as_json)
        return
    if because:
        raise UsageError("--because goes with --by-hand", hint=f"rbnb note {incident} keeps what else is to be said")
    _tell(_with_manual(lambda: workspace.rollback(incident, action, on_step=_going_on)), as_json)


@app.command()
def explain(
    incident: Annotated[str, typer.Argument(help="INC-…")],
    attempt: Annotated[int, typer.Argument(help="The number of the attempt; without it, show what is open.")] = 0,
    done: Annotated[
        bool | None, typer.Option("--done/--not-done", help="What became of it, as somebody has seen.")
    ] = None,
    because: Because = "",
    as_json: AsJson = False,
) -> None:
    """Show attempts that were cut off or failed, and say what became of one."""
    from rbnb.terminal import show_lines
    from rbnb.text import visible

    workspace = open_workspace()
    if not attempt:
        lines = workspace.unexplained(incident)
        if as_json:
            out_json({"incident": incident, "open": lines})
        else:
            show_lines([visible(line) for line in lines] or [f"{incident}: there is nothing to explain"])
        return
    if done is None:
        raise UsageError("what became of it is missing", hint="say --done or --not-done, and --because")
    entry = workspace.explain(incident, attempt, done=done, because=because)
    if as_json:
        out_json({"entry": entry.seq, "at": entry.at, "by": entry.by, **entry.body})
        return
    next_step = f"rbnb act {incident} {entry.body['action']}{' --check' if done else ''}"
    show_lines([f"{incident}: attempt {attempt} was {'done' if done else 'not done'}; on record", f"  {next_step}"])


def _values(assignments: Iterable[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for text in assignments:
        name, found, value = text.partition("=")
        if not found or not name or name in values:
            raise UsageError(f"--set {text!r} is not NAME=VALUE, or set twice", hint="such as --set namespace=fraud")
        values[name] = value
    return values


def _going_on(line: str) -> None:
    from rbnb.text import one_line

    print(f"  {one_line(line, 400)}", file=sys.stderr, flush=True)  # noqa: T201 - progress on the terminal


def _with_manual(do: Any) -> Report:  # noqa: ANN401 - a call that returns a report
    """Do it; where a person has to, show them how before it is refused."""
    from rbnb.actions import ByHandError
    from rbnb.text import visible

    try:
        report: Report = do()
    except ByHandError as error:
        for line in ["by hand:", *indented(error.lines)]:
            print(visible(line, 20_000), file=sys.stderr)  # noqa: T201 - this is the terminal
        raise
    return report


def _tell(report: Report, as_json: bool) -> None:
    from rbnb.terminal import show_lines
    from rbnb.text import visible

    if as_json:
        out_json({**asdict(report), "held": report.held})
    else:
        show_lines([visible(line, 20_000) for line in _lines(report)])
    if report.held:
        return
    what = f"the rollback of {report.action}" if report.way == "rollback" else report.action
    if report.outcome != "done":
        how = {"timed_out": "ran out of time", "interrupted": "was stopped"}.get(report.outcome, report.outcome)
        hint = f"what it changed is not known: rbnb explain {report.incident} tells what to do"
        complain(f"{what} {how}: {report.told}", _and_undo(report, hint))
        raise typer.Exit(RunFailedError.exit_code)
    complain(f"{what} was carried out, but the check does not hold", _and_undo(report, _again(report)))
    raise typer.Exit(FOUND)


def _again(report: Report) -> str:
    return f"ask again: rbnb act {report.incident} {report.action} --check"


def _and_undo(report: Report, hint: str) -> str:
    return f"{hint}\n      undo it: {report.undo}" if report.undo else hint


def _lines(report: Report) -> list[str]:
    does = "rollback of " if report.way == "rollback" else ""
    lines = [
        f"{report.incident}: attempt {report.attempt}, {does}{report.action}: {report.outcome.replace('_', ' ')}",
        f"  {report.display}",
        f"  it says: {report.told}",
    ]
    if report.output.get("path"):
        lines.append(f"  output: {report.output['path']}")
    if (found := report.verification) is not None:
        mark = "it holds" if found.held else "IT DOES NOT HOLD"
        tries = f"{found.tries} {'try' if found.tries == 1 else 'tries'}"
        lines.append(f"  check: {mark}: {found.seen} ({tries}, {found.seconds:.1f} s)")
        lines.append(f"    expected: {found.expected}")
    return [*lines, f"  to undo it: {report.undo}"] if report.undo else lines


def _tell_rehearsal(
    workspace: Workspace, incident: str, action: str, values: dict[str, str], variant: str, *, as_json: bool
) -> None:
    from rbnb.terminal import show_lines
    from rbnb.text import visible

    tried = workspace.dry_run(incident, action, values, variant=variant, on_step=_going_on)
    if as_json:
        out_json({"incident": incident, "action": action, **tried})
        return
    held = [f"  {'?' if one['held'] is None else '✓'} {one['text']}" for one in tried["preconditions"]]
    before = [f"  {name} is {value!r} now; a rollback returns to it" for name, value in tried["values"].items()]
    lines = [f"{incident}: {action} was rehearsed; nothing was changed", *held, *before]
    lines += [f"  {tried['display']}", f"  {tried['seen']}"] if "display" in tried else []
    show_lines([visible(line, 20_000) for line in lines])


def _tell_check(workspace: Workspace, incident: str, action: str, *, as_json: bool) -> None:
    from rbnb.terminal import show_lines
    from rbnb.text import visible

    found = workspace.check_action(incident, action, on_step=_going_on)
    if as_json:
        out_json({"incident": incident, "action": action, **asdict(found)})
    else:
        holds = "it holds" if found.found.held else "IT DOES NOT HOLD"
        recorded = "" if found.recorded else "; not on record: a person says first what became of this attempt"
        lines = [f"{incident}: attempt {found.attempt}, {action}: {holds}: {found.found.seen}{recorded}"]
        show_lines([visible(line, 20_000) for line in [*lines, f"  expected: {found.found.expected}"]])
    if not found.found.held:
        raise typer.Exit(FOUND)


def _tell_by_hand(incident: str, what: str, done: dict[str, Any], *, as_json: bool) -> None:
    from rbnb.terminal import show_lines

    if as_json:
        out_json({"incident": incident, **done})
    else:
        show_lines([f"{incident}: attempt {done['attempt']}: {what}; on record"])
    if done["unapproved"]:
        complain(f"nobody had approved it: {done['unapproved']}", "it is on record as done without its approvals")
