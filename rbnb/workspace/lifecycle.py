"""The incident's course: acknowledge, assign, grade, move, close, what is due across all incidents, and the story."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rbnb.errors import IntegrityError
from rbnb.incidents import Incident, find_incidents
from rbnb.workspace.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from rbnb.incidents import State
    from rbnb.incidents.course import Step
    from rbnb.incidents.timeline import Moment
    from rbnb.incidents.timers import Due

__all__ = ["DueList", "Lifecycle"]


@dataclass(frozen=True, slots=True)
class DueList:
    """What is to be done across all incidents, soonest first, and the incidents of which nobody can say it."""

    items: tuple[Due, ...]
    damaged: tuple[str, ...]

    @property
    def overdue(self) -> tuple[Due, ...]:
        """What should have been done by now."""
        return tuple(item for item in self.items if item.status == "overdue")


class Lifecycle(Pages):
    """The incident's course: acknowledge, assign, grade, move, close, and what is due."""

    def acknowledge(self, name: str) -> Step:
        """Put on record that somebody is looking at an incident; see `rbnb.incidents.course.acknowledge`."""
        from rbnb.incidents import course

        return self._take(name, course.acknowledge)

    def assign(self, name: str, role: str, person: str) -> Step:
        """Give somebody a role in an incident; see `rbnb.incidents.course.assign`."""
        from rbnb.incidents import course

        return self._take(name, lambda incident: course.assign(incident, role, person))

    def set_severity(self, name: str, level: str, because: str) -> Step:
        """Set how bad an incident is; see `rbnb.incidents.course.set_severity`."""
        from rbnb.incidents import course

        return self._take(name, lambda incident: course.set_severity(incident, level, because))

    def set_status(self, name: str, status: str, because: str) -> Step:
        """Say by hand how far an incident has come; see `rbnb.incidents.course.set_status`."""
        from rbnb.incidents import course

        return self._take(name, lambda incident: course.set_status(incident, status, because))

    def close(self, name: str, resolution: str, because: str, *, of: str = "") -> Step:
        """Close an incident; see `rbnb.incidents.closing.close`.

        Parameters
        ----------
        of
            For a duplicate, the incident that goes on.
        """
        from rbnb.incidents import closing

        def other(named: str) -> State:
            return self.incident(named).state()

        return self._take(name, lambda incident: closing.close(incident, resolution, because, of=of, other=other))

    def reopen(self, name: str, because: str) -> Step:
        """Open a closed incident again; see `rbnb.incidents.course.reopen`."""
        from rbnb.incidents import course

        return self._take(name, lambda incident: course.reopen(incident, because))

    def _take(self, name: str, take: Callable[[Incident], Step]) -> Step:
        with self.changing(name) as incident:
            return take(incident)

    def due(self) -> DueList:
        """Return what is to be done across all incidents, soonest first; a damaged one hides no other.

        Raises
        ------
        LedgerError
            If the folder of reports cannot be read.
        """
        from rbnb.incidents.timers import open_items

        items: list[Due] = []
        damaged: list[str] = []
        for name in find_incidents(self.places.reports):
            try:
                state = Incident(self.places.reports / name, self.clock, self.places).state()
                items += self._timers(state)
            except IntegrityError:
                damaged.append(name)
        return DueList(tuple(open_items(items)), tuple(damaged))

    def timeline(self, name: str) -> list[Moment]:
        """Return an incident's story: every entry of its ledger in a sentence, in order."""
        from rbnb.incidents.timeline import tell

        return tell(self.incident(name).state().entries)
