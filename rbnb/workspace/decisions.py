"""What people decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.planning import catalog_of
from rbnb.workspace.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rbnb.ledger import Entry

__all__ = ["Decisions"]


class Decisions(Pages):
    """What is done with decisions."""

    def decide(
        self,
        name: str,
        choice: str,
        because: str,
        *,
        reject: Sequence[tuple[str, str]] = (),
        values: Mapping[str, str] | None = None,
        run: str = "",
    ) -> Entry:
        """Put on record what a person chose on an incident's evidence, and why; nothing is executed.

        Parameters
        ----------
        name
            The incident.
        choice
            An action of the catalog, ``none``, or a verdict.
        because
            The reason, in a sentence.
        reject
            Options that were turned down, each with its reason.
        values
            Values for the action, by name.
        run
            The run it rests on; "" is the last that completed.

        Returns
        -------
        Entry
            ``decision.made``.

        Raises
        ------
        UsageError
            If the choice, an option or a value is none that exists, or a reason is missing.
        RefusedError
            If this person may not decide, or the evidence has changed since; the refusal is on record.
        """
        from rbnb.incidents.decisions import Choice, Rejected, decide

        rejected = tuple(Rejected(option, why) for option, why in reject)
        wanted = Choice(choice, because, rejected, values or {}, run)
        with self.changing(name) as incident:
            incident.settle()
            return decide(incident, wanted, catalog_of(self.places))
