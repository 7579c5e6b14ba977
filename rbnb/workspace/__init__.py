"""The workspace: the one deep object behind every door.

A command opens it and makes one call. It has a part for each thing that is done in an incident, in a module of that
name; a part is thin: it opens the incident and hands over to the rooms below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rbnb.inventory import find_model, load_model_file
from rbnb.workspace import setting_up
from rbnb.workspace.acceptance import Acceptance
from rbnb.workspace.actions import Actions
from rbnb.workspace.approvals import Approvals
from rbnb.workspace.baselines import Baselines
from rbnb.workspace.communication import Communication
from rbnb.workspace.decisions import Decisions
from rbnb.workspace.governance import Governance
from rbnb.workspace.lifecycle import Lifecycle
from rbnb.workspace.running import STAGE_SCRAPS, Running, RunResult

if TYPE_CHECKING:
    from pathlib import Path

    from rbnb.incidents import Check

__all__ = ["STAGE_SCRAPS", "RunResult", "Workspace"]


class Workspace(Running, Lifecycle, Decisions, Approvals, Actions, Acceptance, Communication, Governance, Baselines):
    """A folder with an rbnb.toml, and everything that can be done in it.

    Parameters
    ----------
    places
        Where its parts are.
    clock
        The time now; an argument so that a test can hold it.
    """

    def check_model(self, name: str) -> dict[str, list[str]]:
        """Open every table of a model, and return the columns used of each.

        Raises
        ------
        DataError
            Naming what is missing or of the wrong type.
        """
        from rbnb.data import ModelData

        path = find_model(self.places.models, name)
        data = ModelData(load_model_file(path), path.parent)
        columns = data.check()
        data.extent(self.clock())
        return columns

    def verify(self, name: str) -> Check:
        """Check an incident's ledger and every artifact it names."""
        return self.incident(name).check()

    def note(self, name: str, text: str, *, by: str = "", seen_at: str = "", about: str = "") -> dict[str, Any]:
        """Record in an incident what a person has seen; see `Incident.note`.

        Raises
        ------
        NotFoundError
            If there is no such incident.
        UsageError
            If there is no text, or the time cannot be read or lies in the future.
        """
        with self.changing(name) as incident:
            return incident.note(text, by=by, seen_at=seen_at, about=about)

    @staticmethod
    def init(folder: Path, *, samples: bool = True) -> list[Path]:
        """Make a workspace; see `rbnb.workspace.setting_up.init`."""
        return setting_up.init(folder, samples=samples)
