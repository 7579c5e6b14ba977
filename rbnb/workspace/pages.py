"""The incident's page, written anew whenever its ledger has grown.

A part of the workspace that changes an incident is a `Pages`, and does it inside `changing`. Rules: a refusal is on the
ledger too, so the page is written anew after it as well; what was recorded stands, whether or not the page could be
written; a page that could not is a warning, never an error.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rbnb.errors import NotFoundError, RbnbError
from rbnb.record import write_atomically
from rbnb.workspace.base import Base

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rbnb.incidents import Incident, State
    from rbnb.incidents.checklist import Checklist
    from rbnb.incidents.timers import Due, ExtraDue, Timetable

__all__ = ["PAGE", "Pages"]

#: The incident's page, in its folder.
PAGE = "incident.html"

#: How often a page is written again because somebody else recorded something meanwhile.
_AGAIN = 8

_log = logging.getLogger(__name__)


class Pages(Base):
    """What is due in an incident, and its page."""

    def timers(self, name: str) -> list[Due]:
        """Return everything that is or was due in an incident, soonest first."""
        return self._timers(self.incident(name).state())

    def _timers(self, state: State) -> list[Due]:
        return self._timetable.of(state, state.now(self.clock), extra=self._clocks(state))

    def _clocks(self, state: State) -> list[ExtraDue]:  # noqa: ARG002 - what the law demands, a part below knows
        """Return what else is due, and by when."""
        return []

    @cached_property
    def _timetable(self) -> Timetable:
        from rbnb.incidents.timers import Timetable

        return Timetable(self.places)

    @contextmanager
    def changing(self, name: str) -> Iterator[Incident]:
        """Open an incident, and write its page anew at the end; also where something was refused or has failed."""
        incident = self.incident(name)
        try:
            yield incident
        finally:
            self.write_incident_page(name)

    def write_incident_page(self, name: str) -> Path | None:
        """Write an incident's page anew, and return where; a failure is logged as a warning, and None.

        Where somebody else records something meanwhile it is written once more, so that the last page to be
        written never tells less than the ledger held.
        """
        incident = self.incident(name)
        path = incident.folder / PAGE
        try:
            for _ in range(_AGAIN):
                state = incident.state()
                write_atomically(path, self._incident_page(state))
                if len(incident.ledger.entries()) == len(state.entries):
                    break
        except Exception as error:  # noqa: BLE001 - whatever ails the page must not hide what was done
            why = getattr(error, "message", "") or getattr(error, "strerror", "") or type(error).__name__
            _log.warning("the page of %s could not be written (%s); the ledger holds what was done", name, why)
            return None
        return path

    def _incident_page(self, state: State) -> str:
        from rbnb.report.incident import render_incident

        try:
            record = self.record(state.incident)
        except NotFoundError:
            record = {}
        return render_incident(state, record, timers=self._timers(state), context=self._page_context(state))

    def _checklist(self, state: State) -> Checklist | None:  # noqa: ARG002 - a part below knows
        """Return the rules held against an incident, where that is known."""
        return None

    def _page_context(self, state: State) -> dict[str, Any]:
        try:
            model, checklist = self.model(state.model), self._checklist(state)
        except RbnbError:  # the page says that nothing more is known of the model
            return {"now": state.now(self.clock)}
        return {
            "now": state.now(self.clock),
            "model": {
                "title": model.description,
                "version": model.version,
                "owner": model.owner,
                "on_call": model.on_call.rotation if model.on_call else "",
            },
            "links": model.links,
            "checklist": checklist,
        }
