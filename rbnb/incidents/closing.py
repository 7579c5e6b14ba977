"""Closing an incident: only what met its acceptance, or what somebody else lets pass, with the reason on record.

Rules:

- **Nothing is closed over what is not known**: not while an action runs or its end is unexplained, and not while a
  rollout is on hold.
- **Acceptance that was met and still counts** (nothing was done since) suffices. Without it, closing is an exception:
  it needs a reason and the approval of ``close`` by somebody who is not the one who closes.
- **That approval is for the incident as it stood**: `close_plan` names the last entry that changed the case. A run, a
  decision, an action, a measurement or a changed severity after it makes the approval void.
- **A duplicate names the incident that goes on**, which is another one, and which is not itself a duplicate of this.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from rbnb.errors import NotFoundError, UsageError
from rbnb.incidents.consenting import Matter, standing_of
from rbnb.incidents.course import NotNowError, Step, reason, take_step
from rbnb.incidents.sentences import RESOLUTIONS
from rbnb.times import format_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from rbnb.incidents import Actor, Incident, State

__all__ = ["CLOSE", "close", "close_plan", "matter_of_closing"]

#: The subject that an approval of closing without acceptance carries.
CLOSE = "close"

#: An attempt of which nobody knows whether it took effect.
_UNEXPLAINED = ("interrupted", "failed", "timed_out")
#: The kinds of entry that change what closing would mean; the others are talk about the case.
_CHANGES_THE_CASE = (
    "incident.opened", "incident.reopened", "run.finished", "run.failed", "severity.set", "status.set", "decision.made",
    "action.started", "action.finished", "action.verified", "action.explained", "acceptance.measured",
    "rollout.held", "rollout.released",
)  # fmt: skip


def close_plan(state: State) -> str:
    """Return the digest of what is approved when closing without acceptance is: this incident, as it stands.

    Parameters
    ----------
    state
        What the ledger comes to. Notes, updates, assignments and approvals do not change the digest.
    """
    last = next((e for e in reversed(state.entries) if e.kind in _CHANGES_THE_CASE), None)
    content = {"incident": state.incident, "subject": CLOSE, "as_of": last.digest if last else ""}
    return f"sha256:{hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}"


def matter_of_closing(state: State) -> Matter:
    """Return what is put to approval when an incident is to be closed without acceptance; somebody always is asked.

    Who counts as executor is said when it is weighed: whoever closes.
    """
    return Matter(CLOSE, close_plan(state), "", state.environment, state.severity, "", way=CLOSE, at_least=1)


def close(incident: Incident, resolution: str, because: str, *, of: str = "", other: Callable[[str], State]) -> Step:
    """Close an incident.

    Parameters
    ----------
    resolution
        One of `rbnb.incidents.sentences.RESOLUTIONS`.
    because
        Why, in a sentence.
    of
        For a duplicate, the incident that goes on.
    other
        Returns the state of another incident; raises NotFoundError where there is none.

    Raises
    ------
    NotFoundError
        If there is no such resolution, or no such other incident.
    UsageError
        If there is no reason, or `of` is missing or out of place.
    RefusedError
        If it may not be closed, or not now; what would be needed is said, and the refusal is on the ledger.
    """
    resolution = resolution.strip().lower().replace("-", "_")
    if resolution not in RESOLUTIONS:
        raise NotFoundError("resolution", resolution, RESOLUTIONS)
    told = reason(because, needed_for="closing")
    _check_of(incident.name, resolution, of)
    named = other(of) if of else None

    def make(state: State, actor: Actor) -> tuple[str, dict[str, Any]]:
        _check_at_rest(state)
        if named is not None and named.resolution == "duplicate" and _duplicate_of(named) == incident.name:
            raise NotNowError(f"{of} was closed as a duplicate of this one", hint=f"one must go on: rbnb reopen {of} …")
        body: dict[str, Any] = {"resolution": resolution, "because": told, "accepted": state.accepted}
        body |= {"of": of} if of else {}
        return "incident.closed", body | _exception(incident, state, actor)

    return take_step(incident, "close", make, subject=resolution)


def _check_of(name: str, resolution: str, of: str) -> None:
    if resolution == "duplicate" and not of:
        raise UsageError("a duplicate names the incident that goes on", hint="say which with --of INC-…")
    if of and resolution != "duplicate":
        raise UsageError(f"--of belongs to a duplicate, not to {resolution}", hint="leave it out")
    if of == name:
        raise UsageError(f"{name} cannot be a duplicate of itself", hint="name the incident that goes on")


def _duplicate_of(state: State) -> str:
    closed = [entry for entry in state.entries if entry.kind == "incident.closed"]
    return str(closed[-1].body.get("of", "")) if closed else ""


def _check_at_rest(state: State) -> None:
    """Refuse while something runs, is unexplained, or is on hold."""
    name = state.incident
    for attempt in state.attempts:
        what = f"the rollback of {attempt.action}" if attempt.way == "rollback" else attempt.action
        about = f"{what} (attempt {attempt.id}, started {format_time(attempt.started)})"
        if attempt.status == "running":
            raise NotNowError(
                f"of {about} no end is on record",
                hint=f"wait for it; if it was cut off, this says what to do: rbnb act {name} {attempt.action}",
            )
        if attempt.status in _UNEXPLAINED:
            ended = attempt.status.replace("_", " ")
            raise NotNowError(
                f"{about} {ended}, and nobody has said whether it took effect",
                hint=f'look, then: rbnb explain {name} {attempt.id} --done (or --not-done) --because "…"',
            )
    if state.held:
        raise NotNowError(
            f"a rollout is on hold: {state.held}", hint=f'release it first: rbnb release {name} --because "…"'
        )


def _exception(incident: Incident, state: State, actor: Actor) -> dict[str, Any]:
    """Return what the entry says of an exception: nothing, if acceptance was met."""
    if state.accepted:
        return {"exception_by": None}
    matter = matter_of_closing(state)
    consent = standing_of(incident, state, matter, actor.id)
    if not consent.met:
        ignored = f" ({'; '.join(consent.why_not)})" if consent.why_not else ""
        raise NotNowError(
            f"{_acceptance(state)}; closing without it needs {consent.missing}{ignored}", hint=_ways(state.incident)
        )
    return {"exception_by": ", ".join(consent.by), "plan": matter.plan}


def _acceptance(state: State) -> str:
    if state.acceptance is None:
        return "acceptance was not measured"
    if state.acceptance.body.get("met") is True:
        return "something was done since acceptance was met, so it no longer counts"
    return f"acceptance was measured at {format_time(state.acceptance.at)} and not met"


def _ways(name: str) -> str:
    return f'measure it: rbnb accept {name}; or an approver, not you, says: rbnb approve {name} close --because "…"'
