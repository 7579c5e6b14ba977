"""What is read before anything is changed: preconditions, the state before, and the dry run.

All of it only reads, or rehearses. Rules: a precondition that a program can look at must hold; one that only a person
can look at is listed for them, and said to be so; the state before is kept as a file, and every value the rollback
returns to must be in it, or nothing is done; a dry run that fails refuses the action.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rbnb.actions.keeping import keep_json
from rbnb.catalog import taken
from rbnb.errors import DataError, ParameterError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rbnb.actions.stepping import Steps
    from rbnb.catalog import RenderedAction
    from rbnb.incidents import Incident

__all__ = ["Before", "check_preconditions", "rehearse", "take_snapshot"]


@dataclass(frozen=True, slots=True)
class Before:
    """The state before an action.

    Parameters
    ----------
    file
        What is recorded of the file it is kept in.
    values
        What the rollback returns to, by name.
    resolved
        The action with these values put in.
    """

    file: dict[str, Any]
    values: dict[str, Any]
    resolved: RenderedAction


def check_preconditions(steps: Steps, rendered: RenderedAction, on_step: Callable[[str], None]) -> list[dict[str, Any]]:
    """Look at each precondition, and return what was seen; None is what only a person can see.

    Raises
    ------
    RefusedError
        If one does not hold.
    """
    seen: list[dict[str, Any]] = []
    for precondition in rendered.preconditions:
        if not precondition.provider:
            on_step(f"for a person to look at: {precondition.text}")
            seen.append({"text": precondition.text, "held": None, "seen": "a person has to look"})
            continue
        found = steps.take(precondition)
        seen.append({"text": precondition.text, "held": found.held, "seen": found.told})
        on_step(f"{'holds' if found.held else 'DOES NOT HOLD'}: {precondition.text} ({found.told})")
        if not found.held:
            raise RefusedError(
                f"a precondition does not hold: {precondition.text}: {found.told}", hint=precondition.display
            )
    return seen


def take_snapshot(incident: Incident, steps: Steps, rendered: RenderedAction, folder: str) -> Before:
    """Read and keep the state before, with the values that the rollback needs.

    Raises
    ------
    RefusedError
        If it cannot be read, lacks a value, or a value in it is a secret.
    LedgerError
        If it cannot be kept.
    """
    probe = rendered.snapshot
    if probe is None:
        return Before({}, {}, rendered)
    seen = steps.take(probe)
    try:
        values = taken(probe.take, seen.observed)
        resolved = rendered.resolved(values)
    except RecursionError:
        raise RefusedError("the state before is nested too deeply to be read", hint=probe.display) from None
    except (DataError, ParameterError) as error:
        message = steps.scrubber.clean(error.message)
        raise RefusedError(message, hint=f"{error.hint}: {probe.display}" if error.hint else probe.display) from None
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if steps.scrubber.clean(text) != text:
            raise RefusedError(
                f"the value {name} of the state before holds a secret, which may not be recorded",
                hint="take something else in the action's snapshot, or do this by hand",
            )
    content = {"probe": probe.display, "told": seen.told, "values": values}
    content["answer"] = steps.scrubber.clean(seen.observed.text)
    return Before(keep_json(incident, f"{folder}/before.json", content), values, resolved)


def rehearse(
    incident: Incident, steps: Steps, rendered: RenderedAction, folder: str, on_step: Callable[[str], None]
) -> dict[str, Any]:
    """Do the dry run, and return what is recorded of it; nothing where the action has none.

    Raises
    ------
    RefusedError
        If it did not go well; the refusal carries what was seen.
    """
    step = rendered.dry_run
    if step is None:
        return {}
    on_step(f"{'looking at what would be changed' if step.only_shows else 'dry run'}: {step.display}")
    seen = steps.take(step)
    output = steps.keep(incident, f"{folder}/dry_run.txt", step, seen)
    return {
        "display": step.display,
        "argv": list(step.argv),
        "only_shows": step.only_shows,
        "outcome": "done" if seen.held else seen.answer.outcome if seen.answer.outcome != "done" else "failed",
        "exit": seen.answer.code,
        "seen": seen.told,
        "expected": step.text,
        "files": [{key: output[key] for key in ("path", "sha256", "bytes")}],
    }
