"""Carrying a step out: intent on record, then the step, then its outcome, then whether it took effect.

Rules:

- **Intent first.** ``action.started`` holds the exact command, and is on the disk before anything runs; if it cannot
  be recorded, nothing runs.
- **Exactly one starts.** What allows it is asked again on the very entries that stand before ``action.started``, so
  of many who try at once one goes on and the others are told.
- **The outcome is told whatever happens**: a program that fails, hangs or is interrupted has an outcome; where even
  the record of it cannot be written, that is said loudly, and the attempt is found as interrupted.
- **Done is not enough**: only what the verification saw counts as in force.
"""

from __future__ import annotations

import dataclasses
import secrets
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rbnb.actions.processes import Answer, Catch
from rbnb.actions.stepping import KEPT, Seen
from rbnb.actions.verifying import Verification, verify
from rbnb.actions.whereabouts import here
from rbnb.catalog import Observed
from rbnb.errors import IntegrityError, LedgerError, RbnbError
from rbnb.incidents.state import fold
from rbnb.model import to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rbnb.actions.processes import Outcome
    from rbnb.actions.stepping import Steps
    from rbnb.catalog import RenderedStep
    from rbnb.incidents import Actor, Incident, State
    from rbnb.ledger import Entry

__all__ = ["Order", "Report", "carry_out", "new_mark", "step_plain", "verified"]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be carried out.

    Parameters
    ----------
    action, way
        What, and whether it is executed or rolled back.
    step, probe
        What is run, and what shows whether it took effect.
    folder
        Of its files, relative to the incident's folder.
    mark
        Names the attempt in every process it starts.
    body
        What else action.started tells.
    may
        Raises, given the state before action.started, where it may not be started.
    on_step
        Called with what is going on, in a line.
    """

    action: str
    way: str
    step: RenderedStep
    probe: RenderedStep | None
    folder: str
    mark: str
    body: dict[str, Any]
    may: Callable[[State], None]
    on_step: Callable[[str], None] = field(default=lambda _: None)


@dataclass(frozen=True, slots=True)
class Report:
    """What became of an action.

    Parameters
    ----------
    attempt
        Its number in the incident.
    outcome
        ``done``, ``failed``, ``timed_out`` or ``interrupted``.
    told
        What the step answered, in a line.
    display
        The exact command.
    output
        The file of what it printed; empty where that could not be kept.
    verification
        What the check has come to; None where it was not asked.
    undo
        The command that rolls it back; "" where there is nothing to roll back.
    """

    incident: str
    action: str
    way: str
    attempt: int
    outcome: str
    told: str
    display: str
    output: dict[str, Any] = field(default_factory=dict)
    verification: Verification | None = None
    undo: str = ""

    @property
    def held(self) -> bool:
        """Whether it was done and is seen to be in force; True where nothing checks it."""
        return self.outcome == "done" and (self.verification is None or self.verification.held)


def new_mark(incident: Incident) -> str:
    """Return a name for what an attempt starts, that nothing else has."""
    return f"{incident.name}-{secrets.token_hex(8)}"


def step_plain(step: RenderedStep | None) -> dict[str, Any] | None:
    """Return a step as strict JSON; its secrets are references."""
    return None if step is None else to_plain(dataclasses.asdict(step))


def carry_out(incident: Incident, actor: Actor, order: Order, steps: Steps) -> Report:
    """Start, take the step, and record how it ended and whether it took effect.

    Raises
    ------
    RefusedError
        If it may not be started on what stands; nothing ran.
    LedgerError
        If the intent could not be recorded, and nothing ran; or if the outcome could not, and the message says what
        was done.
    """
    attempt = _start(incident, actor, order)
    order.on_step(f"attempt {attempt} is on record; running: {order.step.display}")
    with _stoppable():
        seen = _taken(steps, order)
    outcome = seen.answer.outcome if seen.answer.outcome != "done" or seen.held else "failed"
    report = Report(incident.name, order.action, order.way, attempt, outcome, seen.told, order.step.display)
    output = _output(incident, order, steps, seen)
    report = dataclasses.replace(report, output=output)
    _record(incident, actor, "action.finished", _finished(report, seen), report)
    if outcome != "done" or order.probe is None:
        return report
    order.on_step(f"it ended well; checking: {order.probe.display}")
    found = verify(steps, order.probe, on_try=lambda tries, told: order.on_step(f"not yet ({tries}): {told}"))
    report = dataclasses.replace(report, verification=found)
    _record(incident, actor, "action.verified", verified(attempt, order.action, order.way, found), report)
    return report


def _start(incident: Incident, actor: Actor, order: Order) -> int:
    def rule(entries: Sequence[Entry]) -> tuple[str, dict[str, Any]]:
        state = fold(incident.name, entries)
        order.may(state)
        number = max((attempt.id for attempt in state.attempts), default=0) + 1
        head = {"attempt": number, "action": order.action, "way": order.way}
        return "action.started", {**head, **order.body, **here(order.mark)}

    started = incident.ledger.append_when(rule, by=actor.id)
    return int(started.body["attempt"])


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a step in order, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _taken(steps: Steps, order: Order) -> Seen:
    """Take the step; whatever goes wrong here is an outcome, because what was started needs an end."""
    provider: Literal["process", "http"] = "http" if order.step.request else "process"
    try:
        return steps.take(order.step, KEPT)
    except KeyboardInterrupt:
        outcome: Outcome = "interrupted"
        why = "it was stopped by Ctrl-C or a signal"
    except RbnbError as error:
        outcome, why = "failed", error.message
    answer = Answer(provider, outcome, None, 0.0, Catch(KEPT), why=why)
    return Seen(answer, Observed(provider, None), held=False, told=why)


def _output(incident: Incident, order: Order, steps: Steps, seen: Seen) -> dict[str, Any]:
    """Keep what was printed; that it cannot be kept does not undo what was done, so it is told instead."""
    try:
        return steps.keep(incident, f"{order.folder}/{order.way}.txt", order.step, seen)
    except LedgerError as error:
        return {"why": error.message}


def _finished(report: Report, seen: Seen) -> dict[str, Any]:
    body = {
        "attempt": report.attempt,
        "action": report.action,
        "way": report.way,
        "outcome": report.outcome,
        "exit": seen.answer.code,
        "seconds": round(seen.answer.seconds, 3),
        "seen": report.told,
        "output": report.output,
    }
    return {**body, "files": [_file(report.output)]} if "path" in report.output else body


def _file(kept: dict[str, Any]) -> dict[str, Any]:
    return {key: kept[key] for key in ("path", "sha256", "bytes")}


def verified(attempt: int, action: str, way: str, found: Verification) -> dict[str, Any]:
    """Return the body of an entry action.verified."""
    return {"attempt": attempt, "action": action, "way": way, **dataclasses.asdict(found)}


def _record(incident: Incident, actor: Actor, kind: str, body: dict[str, Any], report: Report) -> None:
    """Record what has happened; where that fails, say what the record lacks.

    Raises
    ------
    LedgerError
        If it cannot be recorded.
    """
    try:
        incident.ledger.append(kind, body, by=actor.id)
    except (LedgerError, IntegrityError) as error:
        raise _unrecorded(report, kind, error) from error


def _unrecorded(report: Report, kind: str, error: RbnbError) -> LedgerError:
    doing = f"the rollback of {report.action}" if report.way == "rollback" else report.action
    what = f"{doing} WAS CARRIED OUT (attempt {report.attempt}: {report.outcome}, {report.told})"
    if report.verification is not None:
        what += f" and checked ({'it holds' if report.verification.held else 'it does not hold'})"
    return LedgerError(
        f"{report.incident}: {what}, BUT THE RECORD LACKS IT: {kind} could not be written: {error.message}",
        hint=f"it ran: {report.display}; write this down; when the ledger can be written again, look at it with "
        f"`rbnb act {report.incident} {report.action} --check` and say what became of it with `rbnb explain`",
    )
