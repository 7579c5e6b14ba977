"""What measuring an incident again takes: its runs, its model and logs, from when on rows count, and what is now."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rbnb.acceptance.fired import episode_of, fired_checks, fresh_since, read_runs
from rbnb.acceptance.measuring import Checks, Logs, Stretch
from rbnb.acceptance.slices import FreshData
from rbnb.data import ModelData
from rbnb.errors import UsageError
from rbnb.inventory import find_model, load_model_file
from rbnb.times import format_time, parse_duration, parse_time

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from rbnb.acceptance.fired import Fired, Fresh, RunFacts
    from rbnb.config import Places
    from rbnb.incidents import Incident, State
    from rbnb.inventory import ModelFile
    from rbnb.model import Window

__all__ = ["Bench"]


@dataclass
class Bench:
    """What measuring an incident again takes: its runs, its model, and what counts as now.

    Parameters
    ----------
    places
        The workspace.
    incident
        The incident.
    window
        How long a fresh window is, as text; "" is what the model file says, else the run's own length.
    at
        Where the last of them ends; "" is the newest complete data.
    """

    places: Places
    incident: Incident
    window: str = ""
    at: str = ""

    @cached_property
    def runs(self) -> list[RunFacts]:
        """The completed runs."""
        return read_runs(self.incident.folder, self.state)

    @cached_property
    def state(self) -> State:
        """The incident as it stands when measuring begins."""
        return self.incident.state()

    @cached_property
    def fired(self) -> list[Fired]:
        """The checks that fired."""
        return fired_checks(self.runs)

    @cached_property
    def fresh(self) -> Fresh:
        """From when on rows count."""
        return fresh_since(self.state.entries, self.runs)

    @cached_property
    def model(self) -> ModelFile:
        """The model file as it is now."""
        return load_model_file(find_model(self.places.models, self.state.model))

    @property
    def now(self) -> datetime:
        """What counts as now: the end of a recording, else the clock; a clock that goes back is not followed."""
        if self.model.recording:
            return self.model.recording.until
        seen = self.state.highest_time
        return max(self.incident.clock(), seen) if seen else self.incident.clock()

    @property
    def logs(self) -> Logs:
        """The model's logs as of now."""
        return Logs(self.model, find_model(self.places.models, self.state.model).parent, self.now)

    def data(self, where: str = "") -> ModelData:
        """Open the logs anew, of all requests or of one segment, without the rows of the incident."""
        logs, began, since = self.logs, self.began, self.fresh.since
        return FreshData(logs.model, logs.folder, where, (began, since) if began < since else None)

    @cached_property
    def began(self) -> datetime:
        """When the incident began for sure: its onset, or the first of its own windows if that is earlier."""
        first = [run.end - parse_duration(str(run.parameters.get("window") or "2h")) for run in self.runs[:1]]
        onset = episode_of(self.runs)
        return min([*first, *([onset] if onset else [])])

    @cached_property
    def checks(self) -> dict[str, Checks]:
        """The checks of each runbook that was run, with the parameters of its last run."""
        logs = self.logs
        return {run.template: Checks(self.places, logs, run.template, run.parameters) for run in self.runs}

    @property
    def leave_out(self) -> tuple[tuple[datetime, datetime], ...]:
        """Everything since it began: none of it is normal, fresh or not."""
        return ((self.began, self.now),) if self.began < self.now else ()

    def length(self, template: str) -> timedelta:
        """Return how long a fresh window of a runbook is."""
        if self.window:
            return parse_duration(self.window)
        own = next(run for run in reversed(self.runs) if run.template == template)
        return self.model.acceptance.window or parse_duration(str(own.parameters.get("window", "2h")))

    def newest(self, template: str) -> tuple[datetime, int]:
        """Return where the newest complete data of a runbook ends, and its bucket in seconds.

        Raises
        ------
        DataError
            If the log cannot be read, or holds nothing.
        UsageError
            If the time asked for lies in the future or before the log.
        """
        if self.at and parse_time(self.at) > self.now:
            raise UsageError(f"{self.at} is in the future", hint=f"now is {format_time(self.now)} for these logs")
        checks, own = self.checks[template], self.checks[template].parameters
        length = f"{int(self.length(template).total_seconds())}s"
        logs = checks.logs  # all of them, also the hidden rows: this is about how far they have come
        _, scope = ModelData(logs.model, logs.folder).scope(
            clock=logs.now,
            at=self.at,
            window=length,
            bucket=str(own.get("bucket", "auto")),
            reference=str(own.get("reference", "")),
            leave_out="",
        )
        return scope.window.end, scope.bucket

    def stretch(self, window: Window, data: ModelData, *, whole: bool = True, newest: bool = True) -> Stretch:
        """Return the rows of a window; freshness is judged as of now for the newest, else as of its end."""
        as_of = self.now if newest and not self.at else window.end
        return Stretch(window, data, as_of, self.leave_out, whole)
