"""Return to service: acceptance, watching, and releasing a rollout that was held."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rbnb.cli.app import CANCELLED, FOUND, INCONCLUSIVE, AsJson, app, complain, indented, open_workspace, out, out_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from rbnb.acceptance.watching import Reading, Watch

__all__ = ["accept", "release", "watch"]

Incident = Annotated[str, typer.Argument(help="INC-…")]
_STYLES = {"ok": "green", "warning": "yellow", "breach": "bold red", "undefined": "yellow", "waiting": "dim"}


@app.command()
def accept(
    incident: Incident,
    window: Annotated[
        str, typer.Option(help="How long each fresh window is, such as 30m. Default: the model file's, else the run's.")
    ] = "",
    at: Annotated[
        str, typer.Option(help="Where the last one ends, ISO 8601 with a zone. Default: the newest complete data.")
    ] = "",
    as_json: AsJson = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Leave with 3 when a criterion is not met, 8 when it cannot be told.")
    ] = False,
) -> None:
    """Measure on fresh rows whether the model may return to service, and record it: met, or not and why."""
    from rbnb.acceptance.telling import HEADS, acceptance_rows, head_lines, reason_lines, tail_lines
    from rbnb.terminal import columns_of, show_lines
    from rbnb.text import one_line

    workspace = open_workspace()
    found, entry = workspace.accept(incident, window=window, at=at)
    if as_json:
        out_json({"incident": incident, "seq": entry.seq, **entry.body})
    else:
        table = indented(columns_of([HEADS, *acceptance_rows(found)]))
        reasons = indented(one_line(line, 400) for line in reason_lines(found))
        evidence = workspace.shown(workspace.incident(incident).folder / entry.body["files"][0]["path"])
        tail = [one_line(line, 400) for line in tail_lines(incident, found, evidence)]
        show_lines([*head_lines(incident, found), "", *table, *(["", *reasons] if reasons else []), "", *tail])
    if exit_code:
        raise typer.Exit({"met": 0, "not met": FOUND, "undefined": INCONCLUSIVE}[found.outcome])


@app.command()
def watch(
    incident: Incident,
    every: Annotated[str, typer.Option(help="Between two samples, such as 5m.")] = "5m",
    lasts: Annotated[str, typer.Option("--for", help="From the first sample to the last, such as 2h.")] = "2h",
    once: Annotated[bool, typer.Option("--once", help="Take one sample and leave.")] = False,
    window: Annotated[str, typer.Option(help="How far back each sample looks. Default: as far as the run did.")] = "",
    as_json: AsJson = False,
) -> None:
    """Sample what fired from now on; hold the rollout and leave with 3 when it comes back, 8 if nobody can tell."""
    from rbnb.acceptance.watching import Timing
    from rbnb.times import parse_duration

    workspace = open_workspace()
    timing = Timing(parse_duration(every), parse_duration(lasts), once)
    seen: list[Watch] = []
    with _shown(seen, live=not as_json and sys.stdout.isatty(), silent=as_json) as show:
        try:
            found = workspace.watch(incident, timing=timing, window=window, on_sample=show)
        except KeyboardInterrupt:
            found = None
    if found is None:
        taken = len(seen[-1].samples) if seen else 0
        complain(f"stopped by hand; {taken} sample{'s' if taken != 1 else ''} on record", f"rbnb show {incident}")
        raise typer.Exit(CANCELLED)
    if as_json:
        out_json(_plain(incident, found))
    else:
        out(_ending(incident, found))
    raise typer.Exit({"held": FOUND, "undefined": INCONCLUSIVE, "ok": 0}[found.outcome])


@app.command()
def release(
    incident: Incident,
    because: Annotated[str, typer.Option("--because", "-b", help="Why it may go on, in a sentence.")] = "",
    as_json: AsJson = False,
) -> None:
    """Let a rollout go on that `rbnb watch` has put on hold."""
    workspace = open_workspace()
    entry = workspace.release(incident, because)
    if as_json:
        out_json({"incident": incident, "seq": entry.seq, **entry.body})
    else:
        out([f"{incident}: the rollout may go on; it is on record, by {entry.by}"])


class _shown:  # noqa: N801 - used as a statement: with _shown(...) as show
    """What is shown of each sample: a table that is drawn anew on a terminal, else a line."""

    def __init__(self, seen: list[Watch], *, live: bool, silent: bool) -> None:
        self._seen, self._silent = seen, silent
        self._live: Any = None
        if live:
            from rich.live import Live

            self._live = Live(auto_refresh=False)

    def __enter__(self) -> Callable[[Watch], None]:
        if self._live is not None:
            self._live.__enter__()
        return self._show

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.__exit__(*error)

    def _show(self, watch: Watch) -> None:
        self._seen.append(watch)
        if self._live is not None:
            self._live.update(_table(watch), refresh=True)
        elif not self._silent:
            out([_line(watch)])
            sys.stdout.flush()


def _line(watch: Watch) -> str:
    from rbnb.text import one_line
    from rbnb.times import format_time

    sample = watch.samples[-1]
    told = "; ".join(one_line(one.told) for one in sample.readings)
    return f"{format_time(sample.at)}  {sample.number}/{sample.of}  {sample.status:<9}  {told}"


def _table(watch: Watch) -> Any:  # noqa: ANN401 - a rich table, loaded only here
    from rich.table import Table
    from rich.text import Text

    from rbnb.acceptance.watching import sparkline
    from rbnb.policy import show
    from rbnb.text import one_line
    from rbnb.times import format_time

    sample = watch.samples[-1]
    table = Table(title=f"{watch.incident.name}   {format_time(sample.at)}   sample {sample.number} of {sample.of}")
    for head in ("what", "course", "now", "limit", "n", "status"):
        table.add_column(head, justify="right" if head in ("now", "n") else "left")
    for one in sample.readings:
        value = show(one.value, one.unit) if one.value is not None else "–"
        told = [one_line(one.item.name), sparkline(watch.course(one.item)), value, _limit(one), f"{one.n:,}"]
        table.add_row(*(Text(text) for text in told), Text(one.status, style=_STYLES[one.status]))
    return table


def _limit(one: Reading) -> str:
    from rbnb.text import one_line

    return one_line(one.limit.partition(", by the ")[0], 60)


def _ending(incident: str, watch: Watch) -> list[str]:
    from rbnb.text import one_line

    taken = len(watch.samples)
    if watch.held:
        return [
            f"{incident}: the rollout is on hold: {one_line(watch.held, 300)}",
            f'  look again with rbnb run …; let it go on with rbnb release {incident} --because "…"',
        ]
    if watch.outcome == "ok":
        return [f"{incident}: {taken} sample{'s' if taken != 1 else ''}, no limit reached"]
    last = watch.samples[-1].readings if watch.samples else ()
    why = next((one.why for one in last if one.status in ("undefined", "waiting") and one.why), "too few fresh rows")
    return [f"{incident}: no all-clear, because not everything could be judged: {one_line(why, 300)}"]


def _plain(incident: str, watch: Watch) -> dict[str, Any]:
    from rbnb.model import to_plain

    plain: dict[str, Any] = to_plain(
        {"incident": incident, "outcome": watch.outcome, "held": watch.held or None, "samples": watch.samples}
    )
    return plain
