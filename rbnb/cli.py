"""The command line: each command opens the workspace, makes one call, and prints.

Rules: what a program reads goes to standard output and nothing else does (``--json`` prints one object);
progress and errors go to standard error; a traceback is shown only with ``--debug``. Exit codes are the
error tree's (`rbnb.errors`), and with ``--exit-code`` a run also tells what it found: 3 an incident, 8
inconclusive. Heavy imports happen inside the command that needs them.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rbnb import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rbnb.planning import Plan
    from rbnb.runner import Progress
    from rbnb.workspace import Workspace

__all__ = ["app", "main"]

_FOUND, _INCONCLUSIVE, _CANCELLED = 3, 8, 130

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
        _out([__version__])
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Runbook notebooks for models that misbehave in production."""


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

    workspace = _workspace()
    request = Request(template, model, at, window, severity, tuple(parameter or ()), file)
    if plan:
        _show_plan(workspace, workspace.plan(request), as_json=as_json)
        return
    result = workspace.run(request, incident=incident, on_progress=_progress)
    if as_json:
        _print_json(result.record)
    else:
        page, notebook = (workspace.shown(result.folder / name) for name in ("notebook.html", "notebook.ipynb"))
        show_lines(summary(result.record, page, notebook))
    if (failure := workspace.failure(result)) is not None:
        if result.record["status"] == "cancelled":
            raise typer.Exit(_CANCELLED)
        _complain(failure.message, failure.hint)
        raise typer.Exit(failure.exit_code)
    if exit_code:
        raise typer.Exit(_meaning(result.record["verdict"]))


def _meaning(verdict: str) -> int:
    if verdict == "inconclusive":
        return _INCONCLUSIVE
    return 0 if verdict == "healthy" else _FOUND


def _progress(step: Progress) -> None:
    if step.state == "started" or not sys.stderr.isatty():
        return
    mark = "✓" if step.state == "finished" else "✗"
    print(f"  {mark} {step.number:>2}/{step.of}  {step.stage:<16} {step.seconds:5.1f} s", file=sys.stderr, flush=True)  # noqa: T201


def _show_plan(workspace: Workspace, plan: Plan, *, as_json: bool) -> None:
    from rbnb.terminal import columns_of, show_lines

    described = workspace.described(plan)
    if as_json:
        _print_json(described)
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
            *_indented(columns_of(given)),
            "",
            "sources",
            *_indented(columns_of(sources)),
            "",
            "nothing was run",
        ]
    )


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


@app.command("list")
def list_incidents(as_json: AsJson = False) -> None:
    """List the incidents, newest first; leave with 6 if the ledger of one is damaged."""
    from rbnb.errors import IntegrityError
    from rbnb.model import to_plain
    from rbnb.terminal import columns_of, show_lines

    states = _workspace().incidents()
    if as_json:
        keys = ("incident", "opened", "model", "severity", "status")
        plain = [{**{k: to_plain(getattr(s, k)) for k in keys}, "runs": _runs_plain(s)} for s in states]
        _print_json({"incidents": plain})
    else:
        rows = [[s.incident, s.model or "–", s.severity or "–", s.status, *_last_run(s)] for s in states]
        head = ["incident", "model", "severity", "status", "last run", "ended", "verdict"]
        show_lines(columns_of([head, *rows]) if rows else ["no incidents yet: rbnb run latency_spike --model …"])
    if damaged := [s.incident for s in states if s.status == "damaged"]:
        _complain(f"the ledger of {', '.join(damaged)} is damaged", f"see what differs with `rbnb verify {damaged[0]}`")
        raise typer.Exit(IntegrityError.exit_code)


def _last_run(state: Any) -> list[str]:  # noqa: ANN401 - an incident's State
    if not state.runs:
        return ["–", "–", "–"]
    last = state.runs[-1]
    return [last.run, last.status, last.verdict or "–"]


def _runs_plain(state: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - an incident's State
    from rbnb.model import to_plain

    return [
        {"run": r.run, "status": r.status, "verdict": r.verdict or None, "started": to_plain(r.started)}
        for r in state.runs
    ]


@app.command()
def show(
    incident: Annotated[str, typer.Argument(help="INC-…")],
    run: Annotated[str, typer.Option(help="A run other than the last, such as 01-latency_spike.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show an incident: the summary of its last run, and its ledger."""
    from rbnb.errors import NotFoundError
    from rbnb.terminal import columns_of, show_lines, summary
    from rbnb.times import format_time

    workspace = _workspace()
    case = workspace.incident(incident)
    case.settle()
    state = case.state()
    if run:
        workspace.run_folder(incident, run)
    try:
        record = workspace.record(incident, run)
    except NotFoundError:
        record = {}
    if as_json:
        ledger = [
            {"seq": e.seq, "at": format_time(e.at), "kind": e.kind, "by": e.by, "body": e.body} for e in state.entries
        ]
        _print_json(
            {
                "incident": incident,
                "status": state.status,
                "runs": _runs_plain(state),
                "record": record or None,
                "ledger": ledger,
            }
        )
        return
    lines = []
    if record:
        folder = workspace.run_folder(incident, run)
        lines = summary(record, workspace.shown(folder / "notebook.html"), workspace.shown(folder / "notebook.ipynb"))
    seen = [_observed(e) for e in state.entries if e.kind == "observation.recorded"]
    lines += ["", "observations", *_indented(columns_of(seen))] if seen else []
    entries = [[str(e.seq), format_time(e.at), e.kind, e.by, _told(e.body)] for e in state.entries]
    show_lines([*lines, "", "ledger", *_indented(columns_of(entries))])


def _observed(entry: Any) -> list[str]:  # noqa: ANN401 - an Entry
    body = {key: str(entry.body.get(key) or "") for key in ("seen_at", "by", "about", "text")}
    return [body["seen_at"], body["by"] or entry.by, body["about"], f"“{body['text']}”"]


def _told(body: dict[str, Any]) -> str:
    from rbnb.text import one_line

    parts = [
        str(body[key]) for key in ("run", "choice", "status", "verdict", "because", "file", "text") if body.get(key)
    ]
    return one_line("  ".join(parts) or str(body.get("model", "")), 80)


@app.command()
def verify(incident: Annotated[str, typer.Argument(help="INC-…")], as_json: AsJson = False) -> None:
    """Check an incident's ledger and the digest of every artifact; leave with 6 if anything differs."""
    from rbnb.errors import IntegrityError
    from rbnb.model import to_plain
    from rbnb.terminal import show_lines

    check = _workspace().verify(incident)
    if as_json:
        _print_json({**to_plain(check), "ok": not check.problems})
    else:
        show_lines(
            [
                f"{check.incident}: {check.entries} entries, head {check.head}, {check.artifacts} artifacts",
                "compare count and head with a copy kept elsewhere: a cut tail or a whole rewrite shows nowhere else",
                *([] if check.problems else ["all as recorded"]),
            ]
        )
    if check.problems:
        more = (
            f"; and {len(check.problems) - 1} more: " + "; ".join(check.problems[1:5])
            if len(check.problems) > 1
            else ""
        )
        _complain(f"{check.problems[0]}{more}", "compare with a backup; do not mend the folder by hand")
        raise typer.Exit(IntegrityError.exit_code)


@app.command()
def decide(
    incident: Annotated[str, typer.Argument(help="INC-…")],
    choice: Annotated[str, typer.Argument(help="An action of the catalog, none, or a verdict.")],
    because: Annotated[str, typer.Option("--because", "-b", help="Why, in a sentence.")] = "",
    as_json: AsJson = False,
) -> None:
    """Record what a person chose, and why. Nothing is executed."""
    from rbnb.terminal import show_lines

    body = _workspace().decide(incident, choice, because)
    if as_json:
        _print_json(body)
        return
    how = "follows the proposal" if body["follows_proposal"] else f"overrides the proposal ({body['proposed']})"
    show_lines([f"{incident}: {choice} is on record; it {how}. Nothing was executed.", f"  rbnb show {incident}"])


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

    body = _workspace().note(incident, text, by=by, seen_at=seen_at, about=about)
    if as_json:
        _print_json(body)
        return
    show_lines(
        [f"{incident}: on record, seen by {one_line(body['by'])} at {body['seen_at']}", f"  rbnb show {incident}"]
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

    workspace = _workspace()
    asked = Asked(model, at, history, tuple(leave_out or ()), tuple(incident or ()), rate)
    told = workspace.review_baseline(asked) if review else workspace.baseline(asked)
    if as_json:
        _print_json(told)
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

    workspace = _workspace()
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
        workspace = _workspace()
    except RbnbError as error:
        problem = error
    found = []
    for symptom in examine(workspace, problem):
        found.append(symptom)
        if not as_json:
            mark = paint("ok  ", "green") if symptom.well else paint("FAIL", "red", "bold")
            show_lines([f"{mark}  {one_line(symptom.what):<20} {one_line(symptom.seen, 400)}"])
    if as_json:
        _print_json({"checks": to_plain(found), "ok": all(s.well for s in found)})
    if not all(s.well for s in found):
        raise typer.Exit(1)


@templates_app.command("list")
def list_templates(as_json: AsJson = False) -> None:
    """List the runbooks."""
    from rbnb.terminal import columns_of, show_lines

    workspace = _workspace()
    found = [workspace.template(name) for name in workspace.templates()]
    if as_json:
        _print_json(
            {"templates": [{"name": t.name, "version": t.version, "title": t.title, "digest": t.digest} for t in found]}
        )
        return
    show_lines(columns_of([["template", "version", "title"], *[[t.name, t.version, t.title] for t in found]]))


@templates_app.command("show")
def show_template(name: Annotated[str, typer.Argument(help="The runbook.")], as_json: AsJson = False) -> None:
    """Show a runbook's parameters and stages."""
    from rbnb.terminal import columns_of, show_lines

    template = _workspace().template(name)
    if as_json:
        parameters = [
            {"name": p.name, "type": p.type, "default": p.default, "help": p.help} for p in template.parameters
        ]
        _print_json(
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
    show_lines([head, "", "parameters", *_indented(columns_of(rows)), "", "stages", *_indented(stages)])


@models_app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the models."""
    from rbnb.terminal import columns_of, show_lines

    workspace = _workspace()
    found = [workspace.model(name) for name in workspace.models()]
    if as_json:
        _print_json(
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

    described = json.loads(_workspace().model(name).model_dump_json(exclude_defaults=True))
    if as_json:
        _print_json(described)
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

    workspace = _workspace()
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
        _print_json({"models": told, "ok": worst is None})
    if worst is not None:
        raise typer.Exit(worst.exit_code)


def _workspace() -> Workspace:
    from rbnb.workspace import Workspace

    return Workspace.open()


def _out(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)  # noqa: T201 - this is the terminal


def _print_json(value: object) -> None:
    from rbnb.model import to_plain

    _out([json.dumps(to_plain(value), indent=1, ensure_ascii=False, allow_nan=False)])


def _complain(message: str, hint: str = "") -> None:
    from rbnb.text import visible

    for line in [f"rbnb: {visible(message)}", *([f"      {visible(hint)}"] if hint else [])]:
        print(line, file=sys.stderr)  # noqa: T201 - this is the terminal


def main() -> None:
    """Run the command line; every error on purpose ends in a message, a hint and its exit code."""
    from rbnb.errors import RbnbError

    debug = "--debug" in sys.argv[1:]
    try:
        app()
    except RbnbError as error:
        if debug:
            traceback.print_exc()
        if "--json" in sys.argv[1:]:
            _print_json({"error": {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}})
        _complain(error.message, error.hint)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _complain("cancelled")
        sys.exit(_CANCELLED)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - the reader has gone
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        _complain(
            f"unexpected {type(error).__name__}: {error}", "run it again with `rbnb --debug …` and report what it shows"
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
