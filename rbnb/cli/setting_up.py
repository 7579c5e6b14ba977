"""Workspaces, and what is in them: make one, check it, list runbooks and models."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import Annotated, Any

import typer

from rbnb.cli.app import AsJson, app, indented, models_app, open_workspace, out_json, templates_app

__all__ = ["check_models", "doctor", "init", "list_models", "list_templates", "show_model", "show_template"]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where the workspace goes.")],
    samples: Annotated[bool, typer.Option(help="Write the sample fleet.")] = True,
) -> None:
    """Make a workspace, with a sample model to try."""
    from rbnb.terminal import show_lines
    from rbnb.workspace import Workspace

    Workspace.init(folder, samples=samples)
    first = (
        "rbnb run latency_spike --model fraud-v3"
        if samples
        else "put a model file into models/, then rbnb models check"
    )
    show_lines([f"made a workspace in {folder}", f"  cd {folder}", f"  {first}"])


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check Python, packages, kernel, disk, the workspace and each model's data; leave with 1 if one is not well."""
    from rbnb.doctor import examine
    from rbnb.errors import RbnbError
    from rbnb.model import to_plain
    from rbnb.terminal import paint, show_lines
    from rbnb.text import one_line

    workspace, problem = None, None
    try:
        workspace = open_workspace()
    except RbnbError as error:
        problem = error
    found = []
    for symptom in examine(workspace, problem):
        found.append(symptom)
        if not as_json:
            mark = paint("ok  ", "green") if symptom.well else paint("FAIL", "red", "bold")
            show_lines([f"{mark}  {one_line(symptom.what):<20} {one_line(symptom.seen, 400)}"])
    if as_json:
        out_json({"checks": to_plain(found), "ok": all(s.well for s in found)})
    if not all(s.well for s in found):
        raise typer.Exit(1)


@templates_app.command("list")
def list_templates(as_json: AsJson = False) -> None:
    """List the runbooks."""
    from rbnb.terminal import columns_of, show_lines

    workspace = open_workspace()
    found = [workspace.template(name) for name in workspace.templates()]
    if as_json:
        out_json(
            {"templates": [{"name": t.name, "version": t.version, "title": t.title, "digest": t.digest} for t in found]}
        )
        return
    show_lines(columns_of([["template", "version", "title"], *[[t.name, t.version, t.title] for t in found]]))


@templates_app.command("show")
def show_template(name: Annotated[str, typer.Argument(help="The runbook.")], as_json: AsJson = False) -> None:
    """Show a runbook's parameters and stages."""
    from rbnb.terminal import columns_of, show_lines

    template = open_workspace().template(name)
    if as_json:
        parameters = [
            {"name": p.name, "type": p.type, "default": p.default, "help": p.help} for p in template.parameters
        ]
        out_json(
            {
                "name": template.name,
                "version": template.version,
                "title": template.title,
                "digest": template.digest,
                "parameters": parameters,
                "stages": list(template.stages),
            }
        )
        return
    rows = [[p.name, p.type, repr(p.default), p.help] for p in template.parameters]
    stages = [f"{number:>2}  {stage}" for number, stage in enumerate(template.stages, start=1)]
    head = f"{template.name} {template.version}: {template.title}"
    show_lines([head, "", "parameters", *indented(columns_of(rows)), "", "stages", *indented(stages)])


@models_app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the models."""
    from rbnb.terminal import columns_of, show_lines

    workspace = open_workspace()
    found = [workspace.model(name) for name in workspace.models()]
    if as_json:
        out_json(
            {
                "models": [
                    {"name": m.name, "version": m.version, "owner": m.owner, "environment": m.environment}
                    for m in found
                ]
            }
        )
        return
    rows = [[m.name, m.version or "–", m.environment, m.owner or "–", m.description] for m in found]
    show_lines(
        columns_of([["model", "version", "environment", "owner", ""], *rows]) if rows else ["no model files yet"]
    )


@models_app.command("show")
def show_model(name: Annotated[str, typer.Argument(help="The model.")], as_json: AsJson = False) -> None:
    """Show a model file as rbnb reads it."""
    from rbnb.terminal import show_lines
    from rbnb.text import visible

    described = json.loads(open_workspace().model(name).model_dump_json(exclude_defaults=True))
    if as_json:
        out_json(described)
        return
    import yaml

    show_lines(visible(yaml.safe_dump(described, sort_keys=False, allow_unicode=True), 100_000).splitlines())


@models_app.command("check")
def check_models(
    names: Annotated[list[str] | None, typer.Argument(help="Some models only.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read every model file and open every table it maps; leave with the first failure's code."""
    from rbnb.errors import RbnbError
    from rbnb.terminal import paint, show_lines
    from rbnb.text import visible

    workspace = open_workspace()
    told: dict[str, Any] = {}
    worst: RbnbError | None = None
    for name in names or list(workspace.models()):
        try:
            told[name] = workspace.check_model(name)
            text = ", ".join(f"{source} ({len(columns)} columns)" for source, columns in told[name].items())
            line = f"{paint('ok  ', 'green')}  {name:<20} {text}"
        except RbnbError as error:
            worst = worst or error
            told[name] = {"error": error.message, "hint": error.hint}
            told_so = f"{visible(error.message)}\n      {'':<20} {visible(error.hint)}"
            line = f"{paint('FAIL', 'red', 'bold')}  {name:<20} {told_so}"
        if not as_json:
            show_lines([line])
    if as_json:
        out_json({"models": told, "ok": worst is None})
    if worst is not None:
        raise typer.Exit(worst.exit_code)
