"""What people decide."""

from __future__ import annotations

from typing import Any

from rbnb.errors import NotFoundError, UsageError
from rbnb.incidents import user
from rbnb.planning import catalog_of
from rbnb.record import list_products
from rbnb.workspace.base import Base

__all__ = ["Decisions"]


class Decisions(Base):
    """What is done with decisions."""

    def decide(self, name: str, choice: str, because: str) -> dict[str, Any]:
        """Record what a person chose on an incident's last run: an action of the model, or a verdict.

        Parameters
        ----------
        choice
            An action of the catalog, ``none``, or a verdict.
        because
            The reason, in a sentence.

        Returns
        -------
        dict
            The entry's body.

        Raises
        ------
        UsageError
            If the choice is not one of the options, or there is no reason.
        """
        if not because.strip():
            raise UsageError("a decision needs a reason", hint='say it with --because "…"')
        folder, record = self.run_folder(name), self.record(name)
        options = [*catalog_of(self.places), "none"]
        verdicts = ["healthy", "genuine", "transient", "infrastructure", "inconclusive"]
        if choice not in options + verdicts:
            raise NotFoundError("option", choice, options + verdicts, where=name)
        proposed = (record.get("proposal") or {}).get("action", "none")
        digest = next(p for p in list_products(folder) if p.path == "run.json").sha256
        body = {
            "choice": choice,
            "because": because.strip(),
            "run": folder.name,
            "record": f"sha256:{digest}",
            "proposed": proposed,
            "follows_proposal": choice == proposed,
        }
        self.incident(name).ledger.append("decision.made", body, by=user())
        return body
