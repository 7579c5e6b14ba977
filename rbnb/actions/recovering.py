"""An attempt that was cut off, or ended badly: told, and explained by a person who has looked.

Between action.started and action.finished rbnb can be killed. What became of the command is then not known here, and
guessing would be wrong either way. Rules:

- **Whoever comes next notices**: an attempt whose process is gone is recorded as ``interrupted``.
- **Nothing is executed a second time** while an attempt is not explained: a person looks, and says ``done`` or
  ``not done``, with a reason. The same holds for one that failed or ran out of time, whose effect is not known either.
- What still runs, or runs where nobody here can see it, cannot be explained away; the latter only with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rbnb.actions.whereabouts import whereabouts
from rbnb.errors import NotFoundError, RefusedError, UsageError
from rbnb.incidents.state import fold
from rbnb.times import format_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbnb.incidents import Attempt, Incident, State
    from rbnb.ledger import Entry

__all__ = ["UNKNOWN", "Explanation", "about", "conflict", "explain", "settle_attempts", "unexplained"]

What = Literal["done", "not_done"]

#: An attempt whose effect nobody knows.
UNKNOWN = ("interrupted", "failed", "timed_out")
#: One whose effect is there.
_IN_FORCE = ("done", "held", "not_held")


class _SettledError(Exception):
    """Somebody else has recorded it meanwhile."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a person says became of an attempt."""

    attempt: int
    what: What
    because: str


def settle_attempts(incident: Incident) -> None:
    """Record as interrupted every attempt whose process on this host is gone."""
    for attempt in incident.state().attempts:
        if attempt.status == "running" and whereabouts(attempt.body) == "gone":
            _settle(incident, attempt)


def _settle(incident: Incident, attempt: Attempt) -> None:
    def rule(entries: Sequence[Entry]) -> tuple[str, dict[str, Any]]:
        now = {one.id: one for one in fold(incident.name, entries).attempts}[attempt.id]
        if now.status != "running":
            raise _SettledError
        why = "the rbnb that carried it out is gone, and recorded no end; what became of the command is not known"
        return "action.finished", {
            "attempt": attempt.id,
            "action": attempt.action,
            "way": attempt.way,
            "outcome": "interrupted",
            "exit": None,
            "why": why,
        }

    try:
        incident.ledger.append_when(rule, by=incident.actor().id)
    except _SettledError:
        return


def conflict(state: State, action: str) -> str:
    """Return why an action may not be executed now because of its earlier attempts, or ""."""
    for attempt in state.attempts:
        if attempt.action != action:
            continue
        if attempt.status == "running":
            return f"attempt {attempt.id} of it is {_going_on(attempt)}"
        if attempt.status in UNKNOWN and (attempt.way != "rollback" or attempt.status == "interrupted"):
            return f"attempt {attempt.id} of it {_ENDED[attempt.status]}, and nobody has said what became of it"
        if attempt.status in _IN_FORCE and attempt.way != "rollback":
            return f"attempt {attempt.id} has done it, and it was not rolled back"
    return ""


_ENDED = {
    "interrupted": "was cut off",
    "failed": "failed",
    "timed_out": "ran out of time",
    "done": "was done, and not checked",
    "held": "is in force",
    "not_held": "was done, and its check did not hold",
}


def _going_on(attempt: Attempt) -> str:
    place = whereabouts(attempt.body)
    where = {
        "here": "going on",
        "alone": "still going on, although the rbnb that started it is gone",
        "elsewhere": f"going on, as far as can be seen from here, on {attempt.body.get('host')}",
        "gone": "cut off",
    }
    return where[place]


def unexplained(incident: Incident) -> list[str]:
    """Return what is known of the attempts that need a person to look at them, in lines; none where there are none.

    An attempt that was cut off is put on record as such by the way.
    """
    settle_attempts(incident)
    attempts = [one for one in incident.state().attempts if one.status in (*UNKNOWN, "running")]
    return [line for attempt in attempts for line in about(incident.name, attempt)]


def about(incident: str, attempt: Attempt) -> list[str]:
    """Return what is known of an attempt and what to do about it, in lines."""
    body = attempt.body
    does = f"{'the rollback of ' if attempt.way == 'rollback' else ''}{attempt.action}"
    state = f"is {_going_on(attempt)}" if attempt.status == "running" else _ENDED.get(attempt.status, attempt.status)
    snapshot = body.get("snapshot") or {}
    lines = [f"attempt {attempt.id}, {does}, by {attempt.by} at {format_time(attempt.started)}: it {state}"]
    lines += [f"  {command}" for command in _commands(body, attempt.way)]
    lines += [f"  the state before is in {snapshot['path']}"] if snapshot.get("path") else []
    if attempt.status in _IN_FORCE:
        lines.append(f"to look again: rbnb act {incident} {attempt.action} --check")
        lines.append(f"before it can be done again: rbnb rollback {incident} {attempt.action}")
    if attempt.status in UNKNOWN:
        lines += [
            "look what became of it; the check changes nothing:",
            f"  rbnb act {incident} {attempt.action} --check",
            "and say so, or undo it:",
            f'  rbnb explain {incident} {attempt.id} --done --because "…"',
            f'  rbnb explain {incident} {attempt.id} --not-done --because "…"',
            f"  rbnb rollback {incident} {attempt.action}",
        ]
    return lines


def _commands(body: dict[str, Any], way: str) -> list[str]:
    steps = body.get("steps") or {}
    step = steps.get("rollback" if way == "rollback" else "execute") or {}
    return [str(step["display"])] if step.get("display") else []


def explain(incident: Incident, said: Explanation) -> Entry:
    """Record what a person says became of an attempt.

    Raises
    ------
    NotFoundError
        If there is no such attempt.
    UsageError
        If there is no reason, or nothing is to be explained.
    RefusedError
        If this person may not, or the attempt is still going on; the refusal is on record.
    """
    settle_attempts(incident)
    actor = incident.allow("act", subject=f"attempt {said.attempt}")
    if not said.because.strip():
        raise UsageError("an explanation needs a reason", hint='say what was seen: --because "…"')

    def rule(entries: Sequence[Entry]) -> tuple[str, dict[str, Any]]:
        attempt = _explainable(fold(incident.name, entries), said.attempt)
        body = {"attempt": attempt.id, "action": attempt.action, "way": attempt.way, "was": attempt.status}
        return "action.explained", {**body, "what": said.what, "because": said.because.strip()}

    try:
        return incident.ledger.append_when(rule, by=actor.id)
    except RefusedError as error:
        incident.refuse("act", actor, error.message, subject=f"attempt {said.attempt}", hint=error.hint)


def _explainable(state: State, number: int) -> Attempt:
    attempts = {attempt.id: attempt for attempt in state.attempts}
    if number not in attempts:
        raise NotFoundError("attempt", str(number), map(str, attempts), where=state.incident)
    attempt = attempts[number]
    if attempt.status == "running" and whereabouts(attempt.body) != "elsewhere":
        raise RefusedError(f"it is {_going_on(attempt)}", hint="wait for it, or end it, and look again")
    if attempt.status not in (*UNKNOWN, "running"):
        raise UsageError(
            f"attempt {number} needs no explanation: it is {attempt.status.replace('_', ' ')}",
            hint=f"rbnb show {state.incident} tells what is on record",
        )
    return attempt
