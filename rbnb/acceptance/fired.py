"""What fired in an incident, and since when rows count as fresh: read from its ledger and run records.

Rules: only runs that were completed count, and only records that are what the ledger says they are; a check that
fired in several runs is taken from the last of them; rows are fresh after the last thing that was done to contain
or mend the model, and never inside a window in which the incident was found.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rbnb.errors import IntegrityError, UsageError
from rbnb.times import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from rbnb.incidents import State
    from rbnb.ledger import Entry

__all__ = [
    "Fired",
    "Fresh",
    "RunFacts",
    "components_in",
    "described",
    "episode_of",
    "fired_checks",
    "fresh_since",
    "read_runs",
    "worst_place",
]

#: Kinds of entries after which the model may behave differently than before.
_CHANGES = ("action.finished", "action.verified", "action.explained", "incident.reopened")
_BY_HAND = ("contained", "remediated")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A completed run of the incident: which runbook, and its record."""

    run: str
    template: str
    record: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Any]:
        """What it was run with."""
        return dict(self.record.get("parameters") or {})

    @property
    def end(self) -> datetime:
        """When its window ended."""
        return parse_time(str(self.parameters["at"]))

    @property
    def onset(self) -> datetime | None:
        """Since when it was wrong, if the run could tell."""
        found = self.record.get("onset")
        return parse_time(str(found)) if found else None


@dataclass(frozen=True, slots=True)
class Fired:
    """A check that fired: what it found then."""

    template: str
    signal: str
    where: str
    status: str
    value: float | None
    unit: str
    threshold: str
    run: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same check."""
        return self.template, self.signal, self.where


def components_in(fired: Iterable[Fired]) -> list[str]:
    """Return the components that stood out, whose own readings are looked at again."""
    return [one.where for one in fired if one.signal == "component_anomaly" and one.where]


@dataclass(frozen=True, slots=True)
class Fresh:
    """From when on rows count, and because of what."""

    since: datetime
    because: str


def read_runs(folder: Path, state: State) -> list[RunFacts]:
    """Return the completed runs of an incident with their records, in order.

    Raises
    ------
    IntegrityError
        If a record is not what the ledger says it is.
    """
    return [
        RunFacts(run.run, str((record.get("template") or {}).get("name", "")), record)
        for run in state.runs
        if run.status == "completed" and (record := _record(folder, run.run, run.body)).get("parameters", {}).get("at")
    ]


def _record(folder: Path, run: str, body: dict[str, Any]) -> dict[str, Any]:
    name = f"runs/{run}/run.json"
    recorded = next((a.get("sha256") for a in body.get("artifacts", []) if a.get("path") == "run.json"), None)
    try:
        raw = (folder / name).read_bytes()
    except OSError:
        raise IntegrityError(f"{name}: is missing", hint=f"see what differs with `rbnb verify {folder.name}`") from None
    if recorded != hashlib.sha256(raw).hexdigest():
        raise IntegrityError(f"{name}: differs from what was recorded", hint=f"see `rbnb verify {folder.name}`")
    record: dict[str, Any] = json.loads(raw)
    return record


def fired_checks(runs: Iterable[RunFacts]) -> list[Fired]:
    """Return the checks that ended in breach or warning, each once, as the last run in which it fired has it."""
    found: dict[tuple[str, str, str], Fired] = {}
    for run in runs:
        for finding in run.record.get("findings") or []:
            if finding["status"] in ("breach", "warning") and not finding["threshold"].startswith("none"):
                one = Fired(
                    run.template,
                    finding["signal"],
                    finding["where"],
                    finding["status"],
                    finding["value"],
                    finding["unit"],
                    finding["threshold"],
                    run.run,
                )
                found.pop(one.key, None)
                found[one.key] = one
    return sorted(found.values(), key=lambda one: (one.template, one.status != "breach"))


def fresh_since(entries: Sequence[Entry], runs: Sequence[RunFacts]) -> Fresh:
    """Return from when on rows count: after whatever was done last, and after the incident's own windows.

    Raises
    ------
    UsageError
        If no run was completed, so that nobody can say what would have to be checked.
    """
    if not runs:
        raise UsageError(
            "no run of this incident was completed, so there is no check to do again", hint="run its runbook first"
        )
    found = [Fresh(entry.at, told) for entry in entries if (told := _changed(entry))]
    own = [run for run in runs if run.record.get("verdict") != "healthy"] or list(runs[:1])
    last = max(own, key=lambda run: run.end)
    found.append(Fresh(last.end, f"the window of {last.run} ended"))
    return max(found, key=lambda one: one.since)


def _changed(entry: Entry) -> str:
    """Return in words what an entry may have changed of the model, or an empty string."""
    body = entry.body
    if entry.kind in _CHANGES:
        what = str(body.get("action", "")) or "the incident"
        return f"{what} {entry.kind.partition('.')[2]}"
    if entry.kind == "status.set" and body.get("status") in _BY_HAND:
        return f"the status was set to {body['status']}"
    return ""


def episode_of(runs: Iterable[RunFacts]) -> datetime | None:
    """Return since when it was wrong by any of the runs, or None if none could tell."""
    return min((run.onset for run in runs if run.onset is not None), default=None)


def worst_place(runs: Iterable[RunFacts], columns: Iterable[str]) -> str:
    """Return the segment in which it was worst by the last run that says so; an empty text if none does."""
    known = set(columns)
    for run in reversed(list(runs)):
        for segment in run.record.get("segments") or []:
            where = str(segment.get("where", ""))
            if where and {part.partition("=")[0].strip() for part in where.split("&")} <= known:
                return where
    return ""


def described(fresh: Fresh) -> str:
    """Return from when on rows count, in words."""
    return f"{format_time(fresh.since)}, when {fresh.because}"
