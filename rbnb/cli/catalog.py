"""The action catalog: which actions there are, and what one of them would run for a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rbnb.cli.app import AsJson, app, indented, open_workspace, out_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rbnb.catalog import Action, RenderedAction, RenderedStep
    from rbnb.inventory import ModelFile

__all__ = ["list_actions", "show_action"]

actions_app = typer.Typer(help="What may be done about an incident.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(actions_app, name="actions")

_MODEL = typer.Option("--model", "-m", help="With this model's platforms and values.")
_STEPS = (
    ("snapshot", "snapshot"),
    ("dry run", "dry_run"),
    ("execute", "execute"),
    ("verify", "verify"),
    ("roll back", "rollback"),
    ("verify the rollback", "rollback_verify"),
)


@actions_app.command("list")
def list_actions(model: Annotated[str, _MODEL] = "", as_json: AsJson = False) -> None:
    """List the actions of the catalog, or those of a model with the variant it would use."""
    from rbnb.catalog import render
    from rbnb.planning import catalog_of
    from rbnb.terminal import columns_of, show_lines

    workspace = open_workspace()
    catalog = catalog_of(workspace.places)
    if not model:
        if as_json:
            out_json({"actions": [_listed(action) for action in catalog.values()]})
            return
        rows = [[a.name, a.phase, a.risk, _people(a.approvals), ", ".join(a.names), a.title] for a in catalog.values()]
        show_lines(columns_of([["action", "phase", "risk", "approvals", "variants", ""], *rows]))
        return
    found = workspace.model(model)
    rendered = [
        render(catalog[name], _values(found), catalog[name].variant_for(found.platforms))
        for name in found.actions
        if name in catalog
    ]
    if as_json:
        out_json({"model": model, "actions": [_of_model(one) for one in rendered]})
        return
    rows = [[r.name, r.variant, r.risk, _people(r.approvals), ", ".join(r.missing) or "–", r.title] for r in rendered]
    heads = ["action", "variant", "risk", "approvals", "still to be given", ""]
    show_lines(columns_of([heads, *rows]) if rows else [f"{model} names no actions in its model file"])


@actions_app.command("show")
def show_action(
    name: Annotated[str, typer.Argument(help="The action.")],
    model: Annotated[str, _MODEL] = "",
    variant: Annotated[
        str, typer.Option("--variant", help="The platform; the model's, or the first, if not said.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show what an action would look at, run and undo. Nothing is run."""
    from rbnb.catalog import render
    from rbnb.errors import NotFoundError
    from rbnb.planning import catalog_of
    from rbnb.terminal import show_lines

    workspace = open_workspace()
    catalog = catalog_of(workspace.places)
    if name not in catalog:
        raise NotFoundError("action", name, catalog)
    found: ModelFile | None = workspace.model(model) if model else None
    action = catalog[name]
    chosen = variant or action.variant_for(found.platforms if found else [])
    rendered = render(action, _values(found) if found else {}, chosen)
    if as_json:
        from rbnb.model import to_plain

        out_json({**to_plain(rendered), "variants": list(action.names), "file": action.file})
        return
    show_lines(_told(action, rendered))


def _values(model: ModelFile) -> dict[str, str]:
    return {"model": model.name, **model.action_values}


def _listed(action: Action) -> dict[str, Any]:
    return {
        "name": action.name,
        "title": action.title,
        "phase": action.phase,
        "risk": action.risk,
        "approvals": action.approvals,
        "variants": list(action.names),
        "digest": action.digest,
        "file": action.file,
    }


def _of_model(rendered: RenderedAction) -> dict[str, Any]:
    keys = ("name", "variant", "title", "phase", "risk", "approvals", "target", "missing", "digest")
    return {key: getattr(rendered, key) for key in keys}


def _people(count: int) -> str:
    return str(count) if count else "none"


def _told(action: Action, rendered: RenderedAction) -> Iterator[str]:
    from rbnb.terminal import columns_of, paint
    from rbnb.text import one_line

    others = [name for name in action.names if name != rendered.variant]
    yield paint(f"{rendered.name}: {one_line(rendered.title, 200)}", "bold")
    facts = [
        ["objective", rendered.objective],
        ["phase", rendered.phase],
        ["risk", f"{rendered.risk}; approvals: {_people(rendered.approvals)}"],
        ["variant", rendered.variant + (f" (also: {', '.join(others)})" if others else "")],
        ["target", rendered.target],
        ["blast radius", rendered.blast_radius],
        ["outcome", rendered.expected_outcome],
        ["safety", rendered.safety_check],
        ["secrets", ", ".join(rendered.secrets.values())],
        ["by hand", rendered.manual],
    ]
    yield from indented(columns_of([fact for fact in facts if fact[1]]))
    if rendered.help:
        rows = [[name, rendered.values.get(name, f"<{name}>"), text] for name, text in rendered.help.items()]
        yield from ["", "values", *indented(columns_of(rows))]
    for one in rendered.preconditions:
        yield from _step("first", one)
    for label, key in _STEPS:
        if (step := getattr(rendered, key)) is not None:
            yield from _step(label, step)
    yield from ["", "Nothing was run."]


def _step(label: str, step: RenderedStep) -> list[str]:
    from rbnb.catalog import described
    from rbnb.text import one_line

    lines = ["", f"{label}: {one_line(step.text, 400)}"]
    if step.display:
        lines.append(f"  {one_line(step.display, 4000)}")
    if "success" not in step.tolerance and step.tolerance:
        lines.append(f"  holds when {one_line(described(step.tolerance), 1000)}")
    if step.take:
        lines.append(f"  takes {', '.join(step.take)}")
    if step.patience:
        lines.append(f"  asked every {step.every:g} s, for at most {step.patience:g} s")
    return lines
