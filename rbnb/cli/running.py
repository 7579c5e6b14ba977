"""Run a runbook, learn baselines, go on in JupyterLab."""

from __future__ import annotations

import os
import sys
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer

from rbnb.cli.app import CANCELLED, FOUND, INCONCLUSIVE, AsJson, app, complain, indented, open_workspace, out_json

if TYPE_CHECKING:
    from rbnb.planning import Plan
    from rbnb.runner import Progress
    from rbnb.workspace import Workspace

__all__ = ["baseline", "lab", "run"]


@app.command()
def run(
    template: Annotated[str, typer.Argument(help="The runbook, such as latency_spike.")],
    model: Annotated[str, typer.Option("--model", "-m", help="The model: the name of its file.")],
    incident: Annotated[str, typer.Option(help="Join this incident, INC-…; else a new one is opened.")] = "",
    at: Annotated[
        str, typer.Option(help="End of the window, ISO 8601 with a zone. Default: the newest complete data.")
    ] = "",
    window: Annotated[str, typer.Option(help="How far back to look, such as 2h or P1D.")] = "",
    severity: Annotated[str, typer.Option(help="SEV1 to SEV4, when a person has said so. Default: computed.")] = "",
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A parameter of the template; may be repeated."),
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Parameters in a YAML file.")] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would be run on which data, and run nothing.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Leave with 3 when an incident was found, 8 when inconclusive.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a runbook against a model's logs, and leave an executed notebook, a page and a record."""
    from rbnb.planning import Request
    from rbnb.terminal import show_lines, summary

    workspace = open_workspace()
    request = Request(template, model, at, window, severity, tuple(parameter or ()), file)
    if plan:
        _show_plan(workspace, workspace.plan(request), as_json=as_json)
        return
    result = workspace.run(request, incident=incident, on_progress=_progress)
    if as_json:
        out_json(result.record)
    else:
        page, notebook = (workspace.shown(result.folder / name) for name in ("notebook.html", "notebook.ipynb"))
        show_lines(summary(result.record, page, notebook))
    if (failure := workspace.failure(result)) is not None:
        if result.record["status"] == "cancelled":
            raise typer.Exit(CANCELLED)
        complain(failure.message, failure.hint)
        raise typer.Exit(failure.exit_code)
    if exit_code:
        raise typer.Exit(_meaning(result.record["verdict"]))


def _meaning(verdict: str) -> int:
    if verdict == "inconclusive":
        return INCONCLUSIVE
    return 0 if verdict == "healthy" else FOUND


def _progress(step: Progress) -> None:
    if step.state == "started" or not sys.stderr.isatty():
        return
    mark = "✓" if step.state == "finished" else "✗"
    print(f"  {mark} {step.number:>2}/{step.of}  {step.stage:<16} {step.seconds:5.1f} s", file=sys.stderr, flush=True)  # noqa: T201


def _show_plan(workspace: Workspace, plan: Plan, *, as_json: bool) -> None:
    from rbnb.terminal import columns_of, show_lines

    described = workspace.described(plan)
    if as_json:
        out_json(described)
        return
    window, reference = described["window"], described["reference"]
    facts = [
        ["template", f"{plan.template.name} {plan.template.version}"],
        ["model", f"{plan.model.name} {plan.model.version}"],
        ["window", f"{window['start']} to {window['end']}"],
        ["reference", f"{reference['start']} to {reference['end']}"],
        ["bucket", f"{described['bucket_seconds']} s"],
        ["newest row", str(described["newest_row"])],
    ]
    given = [[name, "(empty)" if value == "" else str(value)] for name, value in described["parameters"].items()]
    sources = [[m["source"], f"{m['rows']:,} rows", m["table"], m["digest"][:23]] for m in described["sources"]]
    show_lines(
        [
            *columns_of(facts),
            "",
            "parameters",
            *indented(columns_of(given)),
            "",
            "sources",
            *indented(columns_of(sources)),
            "",
            "nothing was run",
        ]
    )


@app.command()
def baseline(
    model: Annotated[str, typer.Argument(help="The model: the name of its file.")],
    review: Annotated[
        bool, typer.Option("--review", help="Show what a change of thresholds would have done, and write nothing.")
    ] = False,
    at: Annotated[
        str, typer.Option(help="Where history ends, ISO 8601 with a zone. Default: the newest full hour.")
    ] = "",
    history: Annotated[str, typer.Option(help="How far history reaches back, such as 4w or P28D.")] = "8w",
    incident: Annotated[
        list[str] | None,
        typer.Option(metavar="START/END", help="An incident that is not on record; may be repeated."),
    ] = None,
    leave_out: Annotated[
        list[str] | None, typer.Option(metavar="START/END", help="A stretch not to learn from; may be repeated.")
    ] = None,
    rate: Annotated[float, typer.Option(help="Share of healthy windows that may breach.")] = 0.005,
    as_json: AsJson = False,
) -> None:
    """Learn thresholds from a model's history, one a signal and hour of the week; later runs use them."""
    from rbnb.baselines import Asked
    from rbnb.baselines.telling import learned_rows, review_rows
    from rbnb.terminal import columns_of, show_lines

    workspace = open_workspace()
    asked = Asked(model, at, history, tuple(leave_out or ()), tuple(incident or ()), rate)
    told = workspace.review_baseline(asked) if review else workspace.baseline(asked)
    if as_json:
        out_json(told)
        return
    above, rows, below = review_rows(told) if review else learned_rows(told)
    files = [] if review else [f"{told['file']}  {told['plot']}"]
    show_lines([*above, "", *columns_of(rows), "", *below, *files])


@app.command()
def lab(
    incident: Annotated[str, typer.Argument(help="INC-…")],
    run: Annotated[str, typer.Option(help="A run other than the last.")] = "",
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    port: Annotated[int, typer.Option(help="Port on loopback.", min=1, max=65535)] = 8888,
) -> None:
    """Go on in JupyterLab on a working copy; the executed notebook stays as it is."""
    from rbnb.lab import open_lab
    from rbnb.terminal import show_lines

    workspace = open_workspace()
    copy = workspace.working_copy(incident, run)
    show_lines([f"working copy: {workspace.shown(copy)}"])
    options = [f"--port={port}", *([] if browser else ["--no-browser"]), *(["--allow-root"] if _is_root() else [])]
    origin = workspace.run_folder(incident, run).name
    digest = open_lab(workspace.incident(incident), origin, copy, workspace.places.root, options)
    show_lines(
        [
            f"recorded as a further analysis, sha256 {digest}"
            if digest
            else "nothing was changed, so nothing is recorded"
        ]
    )


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
