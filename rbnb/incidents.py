"""Incidents on disk: opened, joined, told as a fold over the ledger, and checked.

Rules: an incident's state is never stored, it is what its ledger comes to; a folder is taken by creating
it, so that two commands never share a number; a run that was started and whose process is gone is
recorded as abandoned by whoever notices first, and is never read as anything else.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import re
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rbnb.errors import IntegrityError, LedgerError, NotFoundError, UsageError
from rbnb.ledger import Ledger
from rbnb.model import checked_name
from rbnb.times import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from rbnb.ledger import Entry

__all__ = [
    "Check",
    "Incident",
    "RunState",
    "State",
    "damaged_state",
    "find_incidents",
    "join_incident",
    "known_episodes",
    "open_incident",
    "user",
]

_ID = re.compile(r"INC-\d{8}-\d{2,}")
_RESTORE = "put the folder of reports back, or mend workspace.reports in rbnb.toml"
#: How many characters an observation may have.
_LONGEST = {"text": 4000, "by": 120, "about": 200}
_RUN = re.compile(r"\d{2,}-")


def user() -> str:
    """Return who is asserted to act: RBNB_USER, else the login name."""
    try:
        return os.environ.get("RBNB_USER") or getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as the ledger tells it; `status` is running until an end is on record."""

    run: str
    status: str
    verdict: str
    started: datetime
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class State:
    """What the ledger comes to."""

    incident: str
    opened: datetime | None
    model: str
    severity: str
    status: str
    runs: tuple[RunState, ...]
    decisions: tuple[Entry, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """What verifying an incident found; `problems` is empty when all is as recorded."""

    incident: str
    entries: int
    head: str
    artifacts: int
    problems: tuple[str, ...] = field(default_factory=tuple)


class Incident:
    """One incident folder.

    Parameters
    ----------
    folder
        ``reports/INC-…``.
    clock
        Where the time of entries comes from.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self.folder = folder
        self.name = folder.name
        self.clock = clock
        self.ledger = Ledger(folder / "ledger", clock=clock)

    def state(self) -> State:
        """Fold the ledger.

        Raises
        ------
        IntegrityError
            If an entry is not what was written.
        """
        entries = self.ledger.entries()
        opened = next((e for e in entries if e.kind == "incident.opened"), None)
        runs: dict[str, RunState] = {}
        for entry in entries:
            run = str(entry.body.get("run", ""))
            if entry.kind == "run.started":
                runs[run] = RunState(run, "running", "", entry.at, entry.body)
            elif entry.kind in ("run.finished", "run.failed") and run in runs:
                status, verdict = str(entry.body.get("status", "")), str(entry.body.get("verdict", ""))
                runs[run] = RunState(run, status, verdict, runs[run].started, entry.body)
        graded = [str(r.body["severity"]) for r in runs.values() if r.body.get("severity")]
        body = opened.body if opened else {}
        return State(
            incident=self.name,
            opened=opened.at if opened else None,
            model=str(body.get("model", "")),
            severity=graded[-1] if graded else str(body.get("severity", "") or ""),
            status="open",
            runs=tuple(runs.values()),
            decisions=tuple(e for e in entries if e.kind == "decision.made"),
            entries=tuple(entries),
        )

    def note(self, text: str, *, by: str = "", seen_at: str = "", about: str = "") -> dict[str, Any]:
        """Record what a person has seen.

        Parameters
        ----------
        text
            What, in their words.
        by
            Who saw it; "" is the one who records it. Asserted, not proved.
        seen_at
            When, in ISO 8601 with a zone; "" is now.
        about
            The place (``zone=b``) or the component it is about, if that can be said.

        Returns
        -------
        dict
            The entry's body.

        Raises
        ------
        UsageError
            If there is no text, it is too long, or the time cannot be read or lies in the future.
        """
        now = self.clock()
        seen = parse_time(seen_at) if seen_at else now
        body = {"text": text.strip(), "by": by.strip() or user(), "seen_at": format_time(seen), "about": about.strip()}
        if not body["text"]:
            raise UsageError("an observation needs words", hint='say what was seen: rbnb note INC-… "…"')
        for name, most in _LONGEST.items():
            if len(body[name]) > most:
                raise UsageError(
                    f"{name} has {len(body[name]):,} characters", hint=f"at most {most:,}; link to the rest"
                )
        if seen > now:
            raise UsageError(f"{body['seen_at']} is in the future", hint=f"it is {format_time(now)} now")
        self.ledger.append("observation.recorded", body, by=user())
        return body

    def settle(self) -> None:
        """Record as abandoned every run whose process on this host is gone."""
        for run in self.state().runs:
            if run.status == "running" and _is_gone(run.body):
                reason = "the process that ran it is gone; nothing was recorded at its end"
                body = {
                    "run": run.run,
                    "status": "abandoned",
                    "verdict": "inconclusive",
                    "error": reason,
                    "artifacts": [],
                }
                self.ledger.append("run.failed", body, by=user())

    def take_run_folder(self, template: str) -> Path:
        """Create and return the next run folder, ``runs/NN-template``.

        Raises
        ------
        LedgerError
            If the folder cannot be created.
        """
        runs = self.folder / "runs"
        try:
            runs.mkdir(exist_ok=True)
            while True:
                taken = [int(p.name.split("-")[0]) for p in runs.iterdir() if _RUN.match(p.name)]
                folder = runs / f"{max(taken, default=0) + 1:02d}-{template}"
                try:
                    folder.mkdir()
                except FileExistsError:
                    continue
                if not [p for p in runs.iterdir() if p.name.startswith(folder.name[:3]) and p != folder]:
                    return folder
                folder.rmdir()
        except OSError as error:
            raise LedgerError(
                f"{runs} cannot be written: {error.strerror}", hint="free space or mend permissions; nothing was run"
            ) from None

    def check(self) -> Check:
        """Check the chain of the ledger and the digest of every artifact it names."""
        found = self.ledger.check()
        problems = [f"ledger/{found.first_bad}: {found.why}"] if found.first_bad or found.why else []
        artifacts = 0
        try:
            entries = self.ledger.entries()
        except IntegrityError:
            entries = []
        for entry in entries:
            for artifact in entry.body.get("artifacts", []):
                artifacts += 1
                problems += self._differs(entry, artifact)
        return Check(self.name, found.entries, found.head, artifacts, tuple(problems))

    def _differs(self, entry: Entry, artifact: dict[str, Any]) -> list[str]:
        root = (self.folder / "runs" / str(entry.body["run"])).resolve()
        path = (root / str(artifact["path"])).resolve()
        name = f"runs/{entry.body['run']}/{artifact['path']}"
        if not path.is_relative_to(root):
            return [f"{name}: lies outside the run folder"]
        if not path.is_file():
            return [f"{name}: is missing"]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return [] if digest == artifact["sha256"] else [f"{name}: differs from what was recorded"]


def _is_gone(body: dict[str, Any]) -> bool:
    if body.get("host") != socket.gethostname():
        return False
    try:
        os.kill(int(body.get("pid", 0)), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, ValueError):
        return False
    return False


def open_incident(reports: Path, clock: Callable[[], datetime], body: dict[str, Any]) -> Incident:
    """Create the next incident of the day and record that it was opened.

    Raises
    ------
    LedgerError
        If it cannot be recorded; then no incident is left behind.
    """
    day = f"INC-{clock():%Y%m%d}-"
    find_incidents(reports)
    try:
        reports.mkdir(parents=True, exist_ok=True)
        while True:
            taken = [int(p.name.removeprefix(day)) for p in reports.glob(f"{day}*") if _ID.fullmatch(p.name)]
            folder = reports / f"{day}{max(taken, default=0) + 1:02d}"
            try:
                folder.mkdir()
                break
            except FileExistsError:
                continue
    except OSError as error:
        raise LedgerError(
            f"{reports} cannot be written: {error.strerror}", hint="free space or mend permissions; nothing was run"
        ) from None
    incident = Incident(folder, clock)
    incident.ledger.append("incident.opened", {"incident": folder.name, **body}, by=user())
    return incident


def damaged_state(name: str) -> State:
    """Return what can be said of an incident whose ledger is not what was written: that it is damaged."""
    return State(name, None, "", "", "damaged", (), (), ())


def find_incidents(reports: Path) -> list[str]:
    """Return the names of all incidents, oldest first.

    Raises
    ------
    LedgerError
        If the folder of reports cannot be read, so that nobody can say what is in it.
    """
    if not reports.exists():
        return []
    if not reports.is_dir():
        raise LedgerError(f"{reports} is not a folder, so no incident can be read or recorded", hint=_RESTORE)
    return sorted(p.name for p in reports.iterdir() if _ID.fullmatch(p.name) and (p / "ledger").is_dir())


def join_incident(reports: Path, name: str, clock: Callable[[], datetime]) -> Incident:
    """Return an incident that exists.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    """
    known = find_incidents(reports)
    if checked_name("incident", name) not in known:
        raise NotFoundError("incident", name, known, where=reports.name)
    return Incident(reports / name, clock)


def known_episodes(reports: Path, model: str) -> list[tuple[datetime, datetime]]:
    """Return the stretches in which earlier runs found this model in trouble, for leaving out of a reference."""
    found = []
    for path in sorted(reports.glob("INC-*/runs/*/run.json")):
        try:
            span = _episode(json.loads(path.read_bytes()), model)
        except (OSError, ValueError, AttributeError, UsageError):
            continue  # not a record that can be read; `rbnb verify` says so
        if span is not None and span[0] < span[1]:
            found.append(span)
    return found


def _episode(record: dict[str, Any], model: str) -> tuple[datetime, datetime] | None:
    if record.get("model", {}).get("name") != model or not record.get("onset"):
        return None
    until = record.get("ended") or record.get("parameters", {}).get("at")
    if not until or record.get("verdict") not in ("genuine", "transient", "infrastructure"):
        return None
    return parse_time(record["onset"]), parse_time(until)
