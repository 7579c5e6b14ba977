"""Doing what was decided and approved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rbnb.workspace.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rbnb.actions import ActionPlan, ByHand, Checked, Report
    from rbnb.ledger import Entry

__all__ = ["Actions"]


def _silent(_: str) -> None:
    """Tell nobody what is going on."""


class Actions(Pages):
    """Doing what was decided and approved."""

    def plan_action(
        self, name: str, action: str, values: Mapping[str, str] | None = None, *, variant: str = ""
    ) -> ActionPlan:
        """Return exactly what an action would do in an incident now, with the digest by which it is approved.

        Raises
        ------
        NotFoundError
            If there is no such incident or action.
        RefusedError
            If no decision chooses it, or what was decided on has changed; nothing is put on record.
        """
        from rbnb.actions import plan_action

        incident = self.incident(name)
        return plan_action(self.places, incident, incident.state(), action, values, variant=variant)

    def act(
        self,
        name: str,
        action: str,
        values: Mapping[str, str] | None = None,
        *,
        variant: str = "",
        on_step: Callable[[str], None] = _silent,
    ) -> Report:
        """Do what was decided and approved; see `rbnb.actions.act`.

        Raises
        ------
        RefusedError
            If it may not be done; nothing was changed, and the refusal is on record.
        LedgerError
            If it cannot be recorded; nothing ran, or the message says what did.
        """
        from rbnb.actions import Asked, act

        with self.changing(name) as incident:
            return act(self.places, incident, Asked(action, values or {}, variant, on_step))

    def dry_run(
        self,
        name: str,
        action: str,
        values: Mapping[str, str] | None = None,
        *,
        variant: str = "",
        on_step: Callable[[str], None] = _silent,
    ) -> dict[str, Any]:
        """Rehearse an action; nothing is changed. See `rbnb.actions.dry_run`.

        Raises
        ------
        RefusedError
            If it may not be done, a precondition does not hold, or the dry run does not go well; that is on record.
        """
        from rbnb.actions import Asked, dry_run

        with self.changing(name) as incident:
            return dry_run(self.places, incident, Asked(action, values or {}, variant, on_step))

    def rollback(self, name: str, action: str, *, on_step: Callable[[str], None] = _silent) -> Report:
        """Undo an action, to the state that was kept before; see `rbnb.actions.roll_back`.

        Raises
        ------
        RefusedError
            If there is nothing to undo, or this person may not; the refusal is on record.
        IntegrityError
            If the state before is not what was kept; nothing was done.
        """
        from rbnb.actions import roll_back

        with self.changing(name) as incident:
            return roll_back(self.places, incident, action, on_step=on_step)

    def did_by_hand(self, name: str, action: str, because: str, values: Mapping[str, str] | None = None) -> ByHand:
        """Record that a person did what was decided, outside rbnb; see `rbnb.actions.did_by_hand`."""
        from rbnb.actions import did_by_hand

        with self.changing(name) as incident:
            return did_by_hand(self.places, incident, action, because, values=dict(values or {}))

    def undid_by_hand(self, name: str, action: str, because: str) -> ByHand:
        """Record that a person undid an action outside rbnb; see `rbnb.actions.undid_by_hand`."""
        from rbnb.actions import undid_by_hand

        with self.changing(name) as incident:
            return undid_by_hand(incident, action, because)

    def check_action(
        self, name: str, action: str, *, patient: bool = False, on_step: Callable[[str], None] = _silent
    ) -> Checked:
        """Ask whether an action is in force now, and change nothing; see `rbnb.actions.check`."""
        from rbnb.actions import check

        def on_try(tries: int, seen: str) -> None:
            on_step(f"not yet ({tries}): {seen}")

        with self.changing(name) as incident:
            return check(self.places, incident, action, patient=patient, on_try=on_try)

    def explain(self, name: str, attempt: int, *, done: bool, because: str) -> Entry:
        """Record what a person says became of an attempt; see `rbnb.actions.explain`."""
        from rbnb.actions import Explanation, explain

        with self.changing(name) as incident:
            return explain(incident, Explanation(attempt, "done" if done else "not_done", because))

    def unexplained(self, name: str) -> list[str]:
        """Return what is known of attempts that were cut off or whose effect is not known, and what to do, in lines."""
        from rbnb.actions import unexplained

        return unexplained(self.incident(name))
