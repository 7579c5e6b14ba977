"""Incidents on disk: opened, joined, told as a fold over the ledger, and checked.

Rules: an incident's state is never stored, it is what its ledger comes to; a folder is taken by creating
it, so that two commands never share a number; a run that was started and whose process is gone is
recorded as abandoned by whoever notices first, and is never read as anything else.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from rbnb.authority import load_authority, permitted
from rbnb.config import WorkspaceFile, shipped
from rbnb.errors import IntegrityError, LedgerError, NotFoundError, RefusedError, UsageError
from rbnb.incidents.actor import Actor, identify, user
from rbnb.incidents.sentences import doing
from rbnb.incidents.state import Attempt, RunState, State, Times, damaged_state, fold
from rbnb.ledger import Ledger
from rbnb.model import checked_name
from rbnb.people import Directory
from rbnb.times import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from rbnb.authority import Authority
    from rbnb.config import Places

__all__ = [
    "Actor",
    "Attempt",
    "Check",
    "Incident",
    "RunState",
    "State",
    "Times",
    "damaged_state",
    "find_incidents",
    "fold",
    "is_gone",
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
    places
        The workspace: whom it names, and who may do what there.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime], places: Places | None = None) -> None:
        self.folder = folder
        self.places = places
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
        return fold(self.name, self.ledger.entries())

    def allow(self, operation: str, *, subject: str = "") -> Actor:
        """Return who acts, if they may do this now; a refusal is recorded.

        Parameters
        ----------
        operation
            One of `rbnb.authority.OPERATIONS`.
        subject
            What it is about, such as an action; for the record.

        Raises
        ------
        RefusedError
            If they may not. It is on the ledger then.
        """
        state = self.state()
        actor = self.actor(state)
        if why := self.why_not(operation, actor, state):
            self.refuse(operation, actor, why, subject=subject)
        return actor

    def actor(self, state: State | None = None) -> Actor:
        """Return who acts: RBNB_USER, else the login name, as rbnb.toml knows them."""
        return identify(user(), self.directory, state or self.state())

    def why_not(self, operation: str, actor: Actor, state: State) -> str:
        """Return why somebody may not do something in a state, or "" if they may; nothing is recorded."""
        return permitted(self.authority, operation, actor.roles, state.status)

    def refuse(self, operation: str, actor: Actor, why: str, *, subject: str = "", hint: str = "") -> NoReturn:
        """Record that somebody was refused something, and raise it.

        Raises
        ------
        RefusedError
            Always.
        """
        body = {"operation": operation, "subject": subject, "why": why, "spelled": actor.spelled}
        self.ledger.append(f"{operation}.refused", body, by=actor.id)
        who = actor.id if actor.known else f"{actor.spelled} (not named in rbnb.toml)"
        hint = hint or "roles are in rbnb.toml; say who you are with RBNB_USER; the refusal is on record"
        raise RefusedError(f"{self.name}: {who} may not {doing(operation, subject)} now: {why}", hint=hint)

    @cached_property
    def directory(self) -> Directory:
        """The people of the workspace."""
        return Directory(self.places.file if self.places else WorkspaceFile())

    @cached_property
    def authority(self) -> Authority:
        """The table of who may do what."""
        return load_authority(
            self.places.policy_file("authority") if self.places else shipped("policies") / "authority.yaml"
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
        RefusedError
            If the incident is closed.
        """
        now = self.clock()
        seen = parse_time(seen_at) if seen_at else now
        actor = self.allow("note")
        body = {
            "text": text.strip(),
            "by": by.strip() or actor.id,
            "seen_at": format_time(seen),
            "about": about.strip(),
        }
        if not body["text"]:
            raise UsageError("an observation needs words", hint='say what was seen: rbnb note INC-… "…"')
        for name, most in _LONGEST.items():
            if len(body[name]) > most:
                raise UsageError(
                    f"{name} has {len(body[name]):,} characters", hint=f"at most {most:,}; link to the rest"
                )
        if seen > now:
            raise UsageError(f"{body['seen_at']} is in the future", hint=f"it is {format_time(now)} now")
        self.ledger.append("observation.recorded", body, by=actor.id)
        return body

    def settle(self) -> None:
        """Record as abandoned every run whose process on this host is gone."""
        for run in self.state().runs:
            if run.status == "running" and is_gone(run.body):
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
                problems += self._differs(f"runs/{entry.body['run']}", artifact)
            for file in entry.body.get("files", []):
                artifacts += 1
                problems += self._differs("", file)
        return Check(self.name, found.entries, found.head, artifacts, tuple(problems))

    def _differs(self, folder: str, artifact: dict[str, Any]) -> list[str]:
        root = (self.folder / folder).resolve()
        path = (root / str(artifact["path"])).resolve()
        name = f"{folder}/{artifact['path']}".lstrip("/")
        if not path.is_relative_to(root):
            return [f"{name}: lies outside the {'run' if folder else 'incident'} folder"]
        if not path.is_file():
            return [f"{name}: is missing"]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return [] if digest == artifact["sha256"] else [f"{name}: differs from what was recorded"]


def is_gone(body: dict[str, Any]) -> bool:
    """Tell whether the process that a body names by host and pid is gone; of another host nobody can tell."""
    if body.get("host") != socket.gethostname():
        return False
    try:
        os.kill(int(body.get("pid", 0)), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, ValueError):
        return False
    return False


def open_incident(
    reports: Path, clock: Callable[[], datetime], body: dict[str, Any], places: Places | None = None
) -> Incident:
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
    incident = Incident(folder, clock, places)
    incident.ledger.append("incident.opened", {"incident": folder.name, **body}, by=user())
    return incident


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


def join_incident(reports: Path, name: str, clock: Callable[[], datetime], places: Places | None = None) -> Incident:
    """Return an incident that exists.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    """
    known = find_incidents(reports)
    if checked_name("incident", name) not in known:
        raise NotFoundError("incident", name, known, where=reports.name)
    return Incident(reports / name, clock, places)


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
