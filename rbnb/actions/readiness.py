"""Whether an action may be carried out now: everything that can be known before anything runs.

Rules: the first reason found is the one that is told; each is a refusal that goes on record; what is asked here is
asked again on the state before the intent is recorded, so that nothing can slip in between.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rbnb.actions.recovering import about, conflict
from rbnb.actions.stepping import missing_program
from rbnb.catalog import check_path
from rbnb.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rbnb.actions.plan import ActionPlan
    from rbnb.catalog import RenderedStep
    from rbnb.config import Places
    from rbnb.incidents import State

__all__ = ["ByHandError", "check_attempts", "check_plan", "may_execute"]


class ByHandError(RefusedError):
    """rbnb may not execute this itself; `lines` tell a person how to do it by hand."""

    def __init__(self, message: str, lines: Iterable[str], *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.lines = list(lines)


def check_plan(places: Places, plan: ActionPlan, *, way: str = "execute") -> None:
    """Refuse a plan that cannot be carried out as it stands.

    Parameters
    ----------
    way
        ``execute`` or ``dry_run``.

    Raises
    ------
    RefusedError
        Saying what is missing. `ByHandError` where rbnb itself may not or cannot do it.
    """
    rendered = plan.rendered
    hint = f'when it was done: rbnb act {plan.incident} {plan.action} --by-hand --because "…"'
    if rendered.execute is None:
        raise ByHandError(f"{plan.action} has nothing that rbnb could execute", _manual(plan), hint=hint)
    if plan.missing:
        told = ", ".join(f"{name} ({rendered.help.get(name, '')})" for name in plan.missing)
        raise RefusedError(f"values are missing: {told}", hint=f"give them in the decision: --set {plan.missing[0]}=…")
    may_execute(places, _manual(plan), hint)
    steps = [rendered.snapshot, rendered.dry_run, rendered.execute, rendered.verify, rendered.rollback]
    if way == "dry_run":
        steps = steps[:2]
    for step in [*rendered.preconditions, *steps]:
        _check_step(step, plan)
    for path in rendered.paths:
        check_path(path)


def may_execute(places: Places, lines: Iterable[str], hint: str) -> None:
    """Refuse where the workspace leaves the executing to people.

    Parameters
    ----------
    lines
        How a person does it.

    Raises
    ------
    ByHandError
        If rbnb.toml does not say `[actions] execute = true`.
    """
    if not places.file.actions.execute:
        told = f"rbnb executes nothing here: rbnb.toml does not say [actions] execute = true; {hint}"
        raise ByHandError("rbnb may not execute in this workspace", lines, hint=told)


def _check_step(step: RenderedStep | None, plan: ActionPlan) -> None:
    if step is None:
        return
    if why := missing_program(step):
        raise RefusedError(why, hint="install it where rbnb runs, or do it by hand: the commands are in the notebook")
    if step.request is not None:
        try:
            step.request.opened(plan.rendered.secrets, os.environ)
        except UsageError as error:
            raise RefusedError(error.message, hint=error.hint) from None


def _manual(plan: ActionPlan) -> list[str]:
    rendered = plan.rendered
    lines = [rendered.title, f"  {rendered.manual}"]
    for name in ("snapshot", "dry_run", "execute", "verify", "rollback"):
        step: RenderedStep | None = getattr(rendered, name)
        if step is not None and step.display:
            lines += [f"{name.replace('_', ' ')}: {step.text}", f"  {step.display}"]
    return lines


def check_attempts(state: State, action: str) -> None:
    """Refuse a second execution.

    Raises
    ------
    RefusedError
        If an attempt is going on, is not explained, or is in force.
    """
    if why := conflict(state, action):
        last = [attempt for attempt in state.attempts if attempt.action == action][-1]
        raise RefusedError(why, hint="\n      ".join(about(state.incident, last)))
