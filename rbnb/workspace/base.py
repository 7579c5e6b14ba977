"""A folder with an rbnb.toml: its templates, models and incidents."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbnb.config import Places, open_places
from rbnb.errors import IntegrityError, LedgerError, NotFoundError
from rbnb.incidents import Incident, damaged_state, find_incidents, join_incident, known_episodes
from rbnb.inventory import find_model, find_models, load_model_file
from rbnb.model import checked_name
from rbnb.templates import Template, find_templates, load_template
from rbnb.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Self

    from rbnb.incidents import State
    from rbnb.inventory import ModelFile

__all__ = ["Base"]


class Base:
    """What every part of the workspace rests on.

    Parameters
    ----------
    places
        Where its parts are.
    clock
        The time now; an argument so that a test can hold it.
    """

    def __init__(self, places: Places, clock: Callable[[], datetime] = utc_now) -> None:
        self.places = places
        self.clock = clock

    @classmethod
    def open(cls, start: Path | None = None, clock: Callable[[], datetime] = utc_now) -> Self:
        """Open the workspace at or above a folder.

        Raises
        ------
        UsageError
            If there is none.
        """
        return cls(open_places(start or Path.cwd()), clock)

    def templates(self) -> dict[str, Path]:
        """Return the templates by name."""
        return find_templates(self.places.templates)

    def template(self, name: str) -> Template:
        """Return one template."""
        return load_template(name, self.places.templates)

    def models(self) -> dict[str, Path]:
        """Return the model files by name."""
        return find_models(self.places.models)

    def model(self, name: str) -> ModelFile:
        """Return one model file."""
        return load_model_file(find_model(self.places.models, name))

    def incidents(self) -> list[State]:
        """Return every incident's state, newest first; one whose ledger is damaged hides no other.

        Raises
        ------
        LedgerError
            If the folder of reports cannot be read.
        """
        names = reversed(find_incidents(self.places.reports))
        return [self._told(Incident(self.places.reports / name, self.clock, self.places)) for name in names]

    @staticmethod
    def _told(incident: Incident) -> State:
        try:
            with contextlib.suppress(LedgerError):  # what cannot be recorded now can still be read
                incident.settle()
            return incident.state()
        except IntegrityError:
            return damaged_state(incident.name)

    def incident(self, name: str) -> Incident:
        """Return one incident.

        Raises
        ------
        NotFoundError
            If there is none of that name.
        """
        return join_incident(self.places.reports, name, self.clock, self.places)

    def record(self, name: str, run: str = "") -> dict[str, Any]:
        """Return the record of an incident's last run, or of the one named.

        Raises
        ------
        NotFoundError
            If there is no such run with a record.
        """
        folder = self.run_folder(name, run)
        try:
            record: dict[str, Any] = json.loads((folder / "run.json").read_bytes())
        except (OSError, ValueError):
            raise NotFoundError("record", folder.name, [], where=f"{name}/runs") from None
        return record

    def run_folder(self, name: str, run: str = "") -> Path:
        """Return the folder of an incident's last run, or of the one named."""
        runs = self.incident(name).folder / "runs"
        known = sorted(p.name for p in runs.iterdir() if p.is_dir()) if runs.is_dir() else []
        if run and checked_name("run", run) not in known:
            raise NotFoundError("run", run, known, where=name)
        if not known:
            raise NotFoundError("run", "any", [], where=name)
        return runs / (run or known[-1])

    def _episodes(self, given: dict[str, Any]) -> list[tuple[datetime, datetime]]:
        return known_episodes(self.places.reports, str(given["model"]))

    def shown(self, path: Path) -> str:
        """Return a path as a person in this folder would type it."""
        here = Path.cwd()
        return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)
