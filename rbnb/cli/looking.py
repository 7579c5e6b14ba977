"""Look at incidents: list them, show one, verify what is on record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rbnb.cli.app import AsJson, app, complain, indented, open_workspace, out_json

if TYPE_CHECKING:
    from rbnb.workspace import Workspace

__all__ = ["list_incidents", "show", "verify"]


@app.command("list")
def list_incidents(as_json: AsJson = False) -> None:
    """List the incidents, newest first; leave with 6 if the ledger of one is damaged."""
    from rbnb.errors import IntegrityError
    from rbnb.model import to_plain
    from rbnb.terminal import columns_of, show_lines

    states = open_workspace().incidents()
    if as_json:
        keys = ("incident", "opened", "model", "severity", "status")
        plain = [{**{k: to_plain(getattr(s, k)) for k in keys}, "runs": _runs_plain(s)} for s in states]
        out_json({"incidents": plain})
    else:
        rows = [[s.incident, s.model or "–", s.severity or "–", s.status, *_last_run(s)] for s in states]
        head = ["incident", "model", "severity", "status", "last run", "ended", "verdict"]
        show_lines(columns_of([head, *rows]) if rows else ["no incidents yet: rbnb run latency_spike --model …"])
    if damaged := [s.incident for s in states if s.status == "damaged"]:
        complain(f"the ledger of {', '.join(damaged)} is damaged", f"see what differs with `rbnb verify {damaged[0]}`")
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
    timeline: Annotated[bool, typer.Option("--timeline", help="Tell the story, one sentence an entry.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show an incident: the summary of its last run and its ledger, or its story."""
    from rbnb.errors import NotFoundError
    from rbnb.terminal import columns_of, show_lines, summary
    from rbnb.times import format_time

    workspace = open_workspace()
    case = workspace.incident(incident)
    case.settle()
    if timeline:
        _show_timeline(workspace, incident, as_json=as_json)
        return
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
        out_json(
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
    lines += ["", "observations", *indented(columns_of(seen))] if seen else []
    entries = [[str(e.seq), format_time(e.at), e.kind, e.by, _told(e.body)] for e in state.entries]
    show_lines([*lines, "", "ledger", *indented(columns_of(entries))])


def _show_timeline(workspace: Workspace, incident: str, *, as_json: bool) -> None:
    from rbnb.terminal import show_lines
    from rbnb.text import one_line
    from rbnb.times import format_time

    moments = workspace.timeline(incident)
    if as_json:
        out_json({"incident": incident, "timeline": moments})
        return
    for moment in moments:
        back = f"   (the clock had gone back by {moment.stepped_back} s)" if moment.stepped_back else ""
        show_lines([f"{moment.seq:>4}  {format_time(moment.at)}  {one_line(moment.text, 4000)}{back}"])


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

    check = open_workspace().verify(incident)
    if as_json:
        out_json({**to_plain(check), "ok": not check.problems})
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
        complain(f"{check.problems[0]}{more}", "compare with a backup; do not mend the folder by hand")
        raise typer.Exit(IntegrityError.exit_code)
