"""What is due in an incident, by when, and what of it has been done: a pure function of its state.

A severity's triggers come from `policies/response.yaml`, all as spans from the **beginning** of the incident: when it
was detected, or when it was last opened again.

===================  =====================================  ==================================================
trigger              due                                    done by
===================  =====================================  ==================================================
acknowledge          beginning + acknowledge                ``incident.acknowledged``
first update         beginning + first_update               the first update for others than the responders
contain              beginning + contain                    the status contained, or one after it
escalate to X        beginning + k × escalate for the k-th  X or one further up the chain having a role or having
                     of the chain                           done something, or the containment
next update          last update + update_every             the next update; they end with the first after
                                                            the status remediated
review meeting       closing + review_within                what a review leaves: the risk assessed after closing,
                                                            a note about ``review``, or a run of postmortem
===================  =====================================  ==================================================

Rules:

- **A time has passed when it has**: what was done late is done, and says so; what is not done by then is overdue.
- **The clock never runs back**: the caller gives the later of the clock and the highest time on record, and no
  length is negative.
- **A severity that was changed moves every time**, from the same beginning. While nobody has said a severity, the
  times of `UNGRADED` hold.
- Closing ends everything but the review and what the law demands; a false alarm and a duplicate need no review. An
  incident in which every run found the model healthy, and in which nobody has done anything, demands nothing.
- An update that was to be sent and did not arrive informs nobody and counts for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from rbnb.errors import RbnbError
from rbnb.governance import load_response
from rbnb.inventory import find_model, load_model_file
from rbnb.times import format_duration, format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from rbnb.config import Places
    from rbnb.governance import Level
    from rbnb.incidents.state import State
    from rbnb.ledger import Entry

__all__ = [
    "UNGRADED",
    "Due",
    "ExtraDue",
    "Timetable",
    "due_items",
    "is_quiet",
    "open_items",
    "remaining",
    "timers_of",
]

#: Whose times hold while nobody has said a severity.
UNGRADED: Literal["SEV2"] = "SEV2"

#: What another part adds: what, by when, and where that comes from.
ExtraDue = tuple[str, "datetime", str]

#: Who is told in other ways: these work on the incident, those have clocks of their own.
_NOT_TOLD = ("responders", "regulators")
_NO_REVIEW = ("false_alarm", "duplicate")
#: What a run leaves by itself, without any person having turned to the incident.
_BY_ITSELF = ("incident.opened", "run.started", "run.finished", "run.failed", "watch.sampled", "rollout.held")


@dataclass(frozen=True, slots=True)
class Due:
    """One thing that is, or was, to be done by a time.

    Parameters
    ----------
    incident
        Its name.
    what
        In a few words.
    due
        By when.
    status
        ``due``, ``overdue``, ``done``, ``late`` (done, after its time) or ``dropped`` (no longer asked for).
    done
        When it was done.
    whom
        Who is asked, where that is one person or role.
    command
        What does it.
    source
        Where the time comes from.
    as_of
        The time at which this was so.
    """

    incident: str
    what: str
    due: datetime
    status: Literal["due", "overdue", "done", "late", "dropped"]
    as_of: datetime
    done: datetime | None = None
    whom: str = ""
    command: str = ""
    source: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it is still to be done."""
        return self.status in ("due", "overdue")


def remaining(item: Due) -> str:
    """Say how long is left, or for how long it has been overdue.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    >>> remaining(Due("INC-20261122-01", "contain", noon, "overdue", as_of=noon.replace(minute=4)))
    'overdue by 4 min'
    """
    if not item.is_open:
        return f"{item.status} {format_time(item.done)}" if item.done else item.status
    length = format_duration(item.due - item.as_of)
    return f"overdue by {length}" if item.status == "overdue" else f"in {length}"


def open_items(items: Iterable[Due]) -> list[Due]:
    """Return what is still to be done, soonest first."""
    return sorted((item for item in items if item.is_open), key=lambda item: (item.due, item.incident, item.what))


def is_quiet(state: State) -> bool:
    """Whether every run found the model healthy and no person has turned to the incident."""
    ended = [run for run in state.runs if run.status != "running"]
    healthy = bool(ended) and len(ended) == len(state.runs) and all(run.verdict == "healthy" for run in ended)
    return healthy and all(entry.kind in _BY_ITSELF for entry in state.entries)


def due_items(
    state: State, level: Level, now: datetime, *, chain: Sequence[str] = (), extra: Iterable[ExtraDue] = ()
) -> list[Due]:
    """Return everything that is or was due in one incident, soonest first.

    Parameters
    ----------
    state
        What its ledger comes to.
    level
        What its severity demands.
    now
        The later of the clock and the highest time on record.
    chain
        To whom it goes up, in order.
    extra
        What other parts add, such as the clocks of the law; they go on after closing.
    """
    law = f"rbnb compliance {state.incident}"
    items = [_due(state, now, what, due, None, command=law, source=source) for what, due, source in extra]
    began, entries = _beginning(state)
    if began is not None and not is_quiet(state):
        items += _Round(state, level, now, began, entries).triggers(chain)
    return sorted(items, key=lambda item: (item.due, item.what))


def _beginning(state: State) -> tuple[datetime | None, tuple[Entry, ...]]:
    """Return when it began, or began again, and the entries from there."""
    again = [i for i, entry in enumerate(state.entries) if entry.kind == "incident.reopened"]
    if again:
        return state.entries[again[-1]].at, state.entries[again[-1] :]
    return state.times.detected, state.entries


def _due(
    state: State,
    now: datetime,
    what: str,
    due: datetime,
    done: datetime | None,
    *,
    whom: str = "",
    command: str = "",
    source: str = "",
    dropped: bool = False,
) -> Due:
    status: Literal["due", "overdue", "done", "late", "dropped"] = "overdue" if due < now else "due"
    if done is not None:
        status = "late" if done > due else "done"
    elif dropped:
        status = "dropped"
    return Due(state.incident, what, due, status, now, done, whom, command, source)


class _Round:
    """An incident from its beginning, or from when it was opened again, to now."""

    def __init__(self, state: State, level: Level, now: datetime, began: datetime, entries: tuple[Entry, ...]) -> None:
        self.state, self.level, self.now, self.began, self.entries = state, level, now, began, entries
        self.updates = _updates(entries)
        self.closed = state.status == "closed"
        self.contained = state.times.contained

    def triggers(self, chain: Sequence[str]) -> list[Due]:
        """Return what the severity demands."""
        name = self.state.incident
        tell = f"rbnb update {name} --audience stakeholders --send"
        acknowledged = _first(self.entries, "incident.acknowledged")
        return [
            self._item("acknowledge", self.level.acknowledge, acknowledged, "acknowledge", command=f"rbnb ack {name}"),
            self._item("first update", self.level.first_update, next(iter(self.updates), None), "first_update", tell),
            self._item("contain", self.level.contain, self.contained, "contain", f"rbnb act {name} ACTION"),
            *self._escalations(chain),
            *self._next_update(tell),
            *self._review(),
        ]

    def _item(
        self, what: str, span: timedelta, done: datetime | None, key: str, command: str = "", whom: str = ""
    ) -> Due:
        due = self.began + span
        source = self._source(key)
        dropped = self.closed
        return _due(self.state, self.now, what, due, done, whom=whom, command=command, source=source, dropped=dropped)

    def _source(self, key: str) -> str:
        return f"{self.state.severity or f'no severity yet, times of {UNGRADED}'}: {key}"

    def _escalations(self, chain: Sequence[str]) -> list[Due]:
        """Return a step for each person of the chain; reaching one reaches those before."""
        people = list(dict.fromkeys(chain)) or ["the next in charge (nobody is named: see [escalation] in rbnb.toml)"]
        arrived = [self._arrived(person) for person in people]
        steps = []
        for k, person in enumerate(people):
            met = [at for at in (self.contained, *arrived[k:]) if at is not None]
            command = f"rbnb assign {self.state.incident} responder {person}" if chain else ""
            span = (k + 1) * self.level.escalate
            steps.append(self._item(f"escalate to {person}", span, min(met, default=None), "escalate", command, person))
        return steps

    def _arrived(self, person: str) -> datetime | None:
        """Return when somebody first had a role in this incident, or first did something in it."""
        for entry in self.entries:
            given = entry.kind == "incident.assigned" and entry.body.get("person") == person
            acted = entry.by == person and not entry.kind.endswith(".refused")
            if given or acted:
                return entry.at
        return None

    def _next_update(self, command: str) -> list[Due]:
        """Return the next update, unless one was sent since it was remediated."""
        if not self.updates:
            return []
        last, over = self.updates[-1], self.state.times.remediated
        if self.closed or (over is not None and last >= over):
            return []
        due, source = last + self.level.update_every, self._source("update_every")
        return [_due(self.state, self.now, "next update", due, None, command=command, source=source)]

    def _review(self) -> list[Due]:
        closed = self.state.times.closed
        if not self.closed or closed is None or self.state.resolution in _NO_REVIEW:
            return []
        last = max(i for i, entry in enumerate(self.entries) if entry.kind == "incident.closed")
        reviews = [entry.at for i, entry in enumerate(self.entries) if _is_review(entry, after_closing=i > last)]
        due, source = closed + self.level.review_within, self._source("review_within")
        command = f'rbnb risk {self.state.incident} --residual "…" --because "…"'
        done = next(iter(reviews), None)
        return [_due(self.state, self.now, "review meeting", due, done, command=command, source=source)]


def _first(entries: Iterable[Entry], kind: str) -> datetime | None:
    return next((entry.at for entry in entries if entry.kind == kind), None)


def _is_review(entry: Entry, *, after_closing: bool) -> bool:
    """Whether an entry is what a review leaves: what remains of the risk, a note about it, or a postmortem."""
    if entry.kind == "risk.assessed":
        return after_closing
    if entry.kind == "observation.recorded":
        return str(entry.body.get("about", "")).strip().lower() == "review"
    return entry.kind == "run.finished" and str(entry.body.get("run", "")).endswith("-postmortem")


def _updates(entries: Iterable[Entry]) -> list[datetime]:
    """Return when others than the responders were informed, in order.

    An update that was only written counts, because people also pass it on by hand; one that was to be sent counts
    when it was.
    """
    return [
        entry.at
        for entry in entries
        if entry.kind == "update.sent" or (entry.kind == "update.written" and not entry.body.get("to_send"))
        if entry.body.get("audience") not in _NOT_TOLD
    ]


class Timetable:
    """What a workspace demands of its incidents: `response.yaml` and the chains, each read once.

    Parameters
    ----------
    places
        The workspace.
    """

    def __init__(self, places: Places) -> None:
        self.places = places
        self._chains: dict[str, list[str]] = {}

    def of(self, state: State, now: datetime, *, extra: Iterable[ExtraDue] = ()) -> list[Due]:
        """Return everything that is or was due in one incident, soonest first.

        Parameters
        ----------
        now
            The later of the clock and the highest time on record (`State.now`).
        extra
            As in `due_items`.

        Raises
        ------
        ConfigError
            If `response.yaml` is unreadable or wrong.
        """
        level = self._levels.get(state.severity) or self._levels[UNGRADED]
        return due_items(state, level, now, chain=self.chain(state), extra=extra)

    @cached_property
    def _levels(self) -> dict[str, Level]:
        return dict(load_response(self.places.policy_file("response")).levels.items())

    def chain(self, state: State) -> list[str]:
        """Return to whom an incident goes up: rbnb.toml for its severity, else its model's own, else rbnb.toml's."""
        own = self.places.file.escalation
        for_severity = {str(name): people for name, people in own.by_severity.items()}
        return for_severity.get(state.severity) or self._of_model(state.model) or own.chain

    def _of_model(self, model: str) -> list[str]:
        if model not in self._chains:
            try:
                on_call = load_model_file(find_model(self.places.models, model)).on_call if model else None
            except RbnbError:  # a model file that is gone or broken must not hide what is due
                on_call = None
            self._chains[model] = on_call.escalation if on_call else []
        return self._chains[model]


def timers_of(state: State, places: Places, now: datetime, *, extra: Iterable[ExtraDue] = ()) -> list[Due]:
    """Return everything that is or was due in one incident; for many, keep a `Timetable`."""
    return Timetable(places).of(state, now, extra=extra)
