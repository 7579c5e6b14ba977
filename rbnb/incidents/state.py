"""What an incident's ledger comes to: its status, times, people, decisions and attempts, folded from the entries.

Nothing of this is stored. Rules of the course ``open → contained → remediated → monitoring → closed``:

- **contained** while at least one containment stands: an action that was executed, or done by hand, and whose
  verification held, and that was not rolled back; or because a person said so, with a reason.
- **remediated** while the last acceptance was met, and nothing was done since; or because a person said so.
- **monitoring** once watching has begun on what is remediated.
- **closed** by its entry; **reopened** it begins again at open, and nothing said by hand stands any longer.
- A time is that of the entry by which the incident entered the status it has now; where it fell back, the later times
  are gone.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rbnb.errors import UsageError
from rbnb.times import parse_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from rbnb.ledger import Entry

__all__ = ["STATUSES", "Attempt", "RunState", "State", "Times", "damaged_state", "fold"]

#: The course of an incident, in order.
STATUSES = ("open", "contained", "remediated", "monitoring", "closed")


@dataclass(frozen=True, slots=True)
class RunState:
    """A run as the ledger tells it; `status` is running until an end is on record."""

    run: str
    status: str
    verdict: str
    started: datetime
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time an action was done or undone.

    Parameters
    ----------
    id
        Its number in the incident.
    way
        execute, rollback, or by_hand.
    status
        running (no end is on record: see whether its process still is), done (ended well, not verified yet), held or
        not_held (verified), failed, timed_out, interrupted, not_done (a person looked), rolled_back.
    body
        Of the entry action.started.
    ended
        The body of the entry action.finished, or nothing.
    """

    id: int
    action: str
    way: str
    plan: str
    status: str
    started: datetime
    by: str
    body: dict[str, Any]
    finished: datetime | None = None
    ended: dict[str, Any] = field(default_factory=dict)

    @property
    def stands(self) -> bool:
        """Whether it is in force: done and verified, and not undone."""
        return self.way != "rollback" and self.status == "held"


@dataclass(frozen=True, slots=True)
class Times:
    """When what happened; None where it did not, or no longer holds."""

    occurred: datetime | None = None
    detected: datetime | None = None
    acknowledged: datetime | None = None
    contained: datetime | None = None
    remediated: datetime | None = None
    monitoring: datetime | None = None
    closed: datetime | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What the ledger comes to.

    Parameters
    ----------
    severity
        As a person set it, else the worst that a run graded: a later run of another runbook, or of a quiet hour, lowers
        nothing that people have to approve or be told; a person may.
    people
        Who was assigned which role in this incident, by role.
    decision
        The decision that stands, the last one.
    acceptance
        The last measurement of acceptance, and whether it still counts (`accepted`).
    held
        Why a rollout is on hold, or "".
    highest_time
        The latest time any entry carries: a clock that stepped back does not make anything younger.
    """

    incident: str
    opened: datetime | None
    model: str
    severity: str
    status: str
    runs: tuple[RunState, ...]
    decisions: tuple[Entry, ...]
    entries: tuple[Entry, ...]
    template: str = ""
    environment: str = ""
    severity_because: str = ""
    times: Times = field(default_factory=Times)
    acknowledged_by: str = ""
    people: dict[str, tuple[str, ...]] = field(default_factory=dict)
    decision: Entry | None = None
    attempts: tuple[Attempt, ...] = ()
    acceptance: Entry | None = None
    accepted: bool = False
    held: str = ""
    resolution: str = ""
    highest_time: datetime | None = None

    def now(self, clock: Callable[[], datetime]) -> datetime:
        """Return the time now, never before the latest time on record."""
        read = clock()
        return max(read, self.highest_time) if self.highest_time else read

    def roles_of(self, person: str) -> tuple[str, ...]:
        """Return the roles somebody was assigned in this incident."""
        return tuple(role for role, people in self.people.items() if person in people)


def damaged_state(name: str) -> State:
    """Return what can be said of an incident whose ledger is not what was written: that it is damaged."""
    return State(name, None, "", "", "damaged", (), (), ())


def fold(name: str, entries: Iterable[Entry]) -> State:
    """Return what the entries of an incident come to.

    Parameters
    ----------
    name
        The incident.
    entries
        All of them, in order.
    """
    told = _Fold(name)
    for entry in entries:
        told.take(entry)
    return told.state()


class _Fold:
    """The incident while its entries are read one by one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.entries: list[Entry] = []
        self.opened: Entry | None = None
        self.runs: dict[str, RunState] = {}
        self.attempts: dict[int, Attempt] = {}
        self.decisions: list[Entry] = []
        self.people: dict[str, tuple[str, ...]] = {}
        self.graded = self.graded_because = self.set_by_hand = self.said_because = ""
        self.acknowledged: Entry | None = None
        self.acceptance: Entry | None = None
        self.accepted = self.watched = False
        self.closed: Entry | None = None
        self.said = ""  # the status that a person has said, as far as it stands
        self.held = ""
        self.status = "open"
        self.since: dict[str, datetime] = {}
        self.occurred: list[datetime] = []

    def take(self, entry: Entry) -> None:
        self.entries.append(entry)
        handler = getattr(self, f"_{entry.kind.replace('.', '_')}", None)
        if handler is not None:
            handler(entry)
        self._move(entry.at)

    def _move(self, at: datetime) -> None:
        before, self.status = self.status, self._status()
        old, new = STATUSES.index(before), STATUSES.index(self.status)
        # Closing is no proof of what comes before it: what was never contained has no time at which it was.
        for reached in ("closed",) if self.status == "closed" else STATUSES[old + 1 : new + 1]:
            self.since.setdefault(reached, at)
        for lost in STATUSES[new + 1 : old + 1]:
            self.since.pop(lost, None)

    def _status(self) -> str:
        if self.closed is not None:
            return "closed"
        standing = any(attempt.stands and _contains(attempt) for attempt in self.attempts.values())
        reached = 1 if standing else 0
        if self.said:
            reached = max(reached, STATUSES.index(self.said))
        if self.accepted and reached:
            reached = max(reached, 2)
        if self.watched and reached == 2:
            reached = 3
        return STATUSES[reached]

    def _incident_opened(self, entry: Entry) -> None:
        self.opened = self.opened or entry
        self.graded = self.graded or str(entry.body.get("severity") or "")

    def _run_started(self, entry: Entry) -> None:
        run = str(entry.body.get("run", ""))
        self.runs[run] = RunState(run, "running", "", entry.at, entry.body)

    def _run_ended(self, entry: Entry) -> None:
        body, run = entry.body, str(entry.body.get("run", ""))
        if run not in self.runs:
            return
        status, verdict = str(body.get("status", "")), str(body.get("verdict", ""))
        self.runs[run] = RunState(run, status, verdict, self.runs[run].started, body)
        if (level := str(body.get("severity") or "")) and (not self.graded or level < self.graded):
            self.graded, self.graded_because = level, f"graded by {run}"
        if (onset := _time(body.get("onset"))) is not None:
            self.occurred.append(onset)

    _run_finished = _run_failed = _run_ended

    def _severity_set(self, entry: Entry) -> None:
        self.set_by_hand = str(entry.body.get("level", ""))
        self.said_because = f"{entry.body.get('because', '')} ({entry.by})"

    def _incident_acknowledged(self, entry: Entry) -> None:
        self.acknowledged = self.acknowledged or entry

    def _incident_assigned(self, entry: Entry) -> None:
        role, person = str(entry.body.get("role", "")), str(entry.body.get("person", ""))
        held = self.people.get(role, ())
        self.people[role] = (*(name for name in held if name != person), person)

    def _decision_made(self, entry: Entry) -> None:
        self.decisions.append(entry)

    def _status_set(self, entry: Entry) -> None:
        status = str(entry.body.get("status", ""))
        self.said = status if status in STATUSES[1:4] else ""

    def _action_started(self, entry: Entry) -> None:
        body = entry.body
        number = int(body.get("attempt", len(self.attempts) + 1))
        self.attempts[number] = Attempt(
            number,
            str(body.get("action", "")),
            str(body.get("way", "execute")),
            str(body.get("plan", "")),
            "running",
            entry.at,
            entry.by,
            body,
        )
        self.accepted = self.watched = False

    def _action_finished(self, entry: Entry) -> None:
        outcome = str(entry.body.get("outcome", "failed"))
        self.accepted = self.watched = False
        attempt = self._change(entry, status=outcome, finished=entry.at, ended=entry.body)
        if attempt is not None and attempt.way == "rollback" and outcome == "done":
            self._undo(attempt.action)

    def _action_verified(self, entry: Entry) -> None:
        attempt = self.attempts.get(entry.body.get("attempt", 0))
        if attempt is not None and attempt.status in _SETTLED:  # a late answer revives nothing that was undone
            self._change(entry, status="held" if entry.body.get("held") is True else "not_held")

    def _action_explained(self, entry: Entry) -> None:
        what = "done" if entry.body.get("what") == "done" else "not_done"
        attempt = self._change(entry, status=what, finished=entry.at)
        if attempt is not None and attempt.way == "rollback" and what == "done":
            self._undo(attempt.action)

    def _change(self, entry: Entry, **changed: Any) -> Attempt | None:  # noqa: ANN401 - fields of an attempt
        number = entry.body.get("attempt")
        if number not in self.attempts:
            return None
        self.attempts[number] = dataclasses.replace(self.attempts[number], **changed)
        return self.attempts[number]

    def _undo(self, action: str) -> None:
        for number, attempt in self.attempts.items():
            if attempt.action == action and attempt.way != "rollback" and attempt.status in _IN_EFFECT:
                self.attempts[number] = dataclasses.replace(attempt, status="rolled_back")

    def _acceptance_measured(self, entry: Entry) -> None:
        self.acceptance, self.accepted = entry, entry.body.get("met") is True

    def _watch_started(self, _: Entry) -> None:
        self.watched = True

    def _rollout_held(self, entry: Entry) -> None:
        self.held = str(entry.body.get("because", "")) or "no reason is on record"

    def _rollout_released(self, _: Entry) -> None:
        self.held = ""

    def _incident_closed(self, entry: Entry) -> None:
        self.closed = entry

    def _incident_reopened(self, _: Entry) -> None:
        self.closed, self.acknowledged, self.said = None, None, ""
        self.accepted = self.watched = False

    def state(self) -> State:
        opened = self.opened
        body = opened.body if opened else {}
        detected = (_time(body.get("detected_at")) or opened.at) if opened else None
        times = Times(
            occurred=min(self.occurred, default=None),
            detected=detected,
            acknowledged=self.acknowledged.at if self.acknowledged else None,
            **{name: self.since.get(name) for name in STATUSES[1:]},
        )
        return State(
            incident=self.name,
            opened=opened.at if opened else None,
            model=str(body.get("model", "")),
            severity=self.set_by_hand or self.graded,
            status=self.status,
            runs=tuple(self.runs.values()),
            decisions=tuple(self.decisions),
            entries=tuple(self.entries),
            template=str(body.get("template", "")),
            environment=str(body.get("environment", "")),
            severity_because=self.said_because or self.graded_because,
            times=times,
            acknowledged_by=self.acknowledged.by if self.acknowledged else "",
            people=dict(self.people),
            decision=self.decisions[-1] if self.decisions else None,
            attempts=tuple(self.attempts.values()),
            acceptance=self.acceptance,
            accepted=self.accepted,
            held=self.held,
            resolution=str(self.closed.body.get("resolution", "")) if self.closed else "",
            highest_time=max((entry.at for entry in self.entries), default=None),
        )


#: An attempt that has ended and was not undone: what a check sees of it counts.
_SETTLED = ("done", "held", "not_held", "failed", "timed_out")

#: An attempt whose effect may be there, whether or not it was verified.
_IN_EFFECT = ("done", "held", "not_held", "failed", "timed_out", "interrupted")


def _contains(attempt: Attempt) -> bool:
    return str(attempt.body.get("phase", "containment")) == "containment"


def _time(text: object) -> datetime | None:
    try:
        return parse_time(text) if isinstance(text, str) and text else None
    except UsageError:
        return None
