"""Measuring whether a model may return to service: the checks that fired and what its file asks for, on fresh rows.

Rules: nothing is measured inside the incident's own windows; a criterion that could not be measured is undefined, and
undefined is not met; the result says of every criterion which rows it rests on, in how many windows and scenarios.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rbnb.acceptance.asked import Objectives
from rbnb.acceptance.fired import described, episode_of, fired_checks, fresh_since, read_runs, worst_place
from rbnb.acceptance.measuring import Again, Checks, Logs, Stretch
from rbnb.acceptance.scenarios import NAMES, Scenario, fresh_windows, newest_part, peak_part
from rbnb.acceptance.slices import FreshData
from rbnb.data import Span
from rbnb.errors import DataError, ParameterError, UsageError
from rbnb.inventory import find_model, load_model_file
from rbnb.model import Window
from rbnb.policy.returning import Asked, asked_of, held, held_again, worst
from rbnb.times import format_time, parse_duration, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from rbnb.acceptance.fired import Fired, Fresh, RunFacts
    from rbnb.config import Places
    from rbnb.data import ModelData
    from rbnb.incidents import Incident, State
    from rbnb.inventory import ModelFile
    from rbnb.model import Finding, Signal
    from rbnb.policy.returning import Outcome

__all__ = ["Bench", "Criterion", "Measured", "measure"]

_NOTHING = "there is no fresh window to measure it in"
#: Runbooks that look at a table as it stands rather than at a window of requests: once is enough.
_WHOLE_TABLE = ("data_poisoning",)
#: What is asked in each scenario beside the checks: an objective is a promise about all requests.
_ASKED_IN = {
    "all": ("latency", "availability", "quality", "fairness"),
    "peak": ("latency", "availability"),
    "worst_segment": ("quality",),
    "newest": (),
}


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that has to hold, on one stretch of rows: what was measured, and whether it does.

    `before` is the value in the run in which a check fired; `source` is check, data, latency, availability, quality
    or fairness.
    """

    name: str
    where: str
    source: str
    runbook: str
    scenario: str
    limit: str
    value: float | None
    unit: str
    interval: tuple[float, float] | None
    n: int
    window: Window | None
    outcome: Outcome
    why: str = ""
    before: float | None = None
    reference: float | None = None
    limit_before: str = ""

    @property
    def met(self) -> bool:
        """Whether it holds; what is undefined does not."""
        return self.outcome == "met"


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of it."""

    model: str
    outcome: Outcome
    fresh: Fresh
    end: datetime | None
    windows: tuple[Window, ...]
    windows_asked: int
    scenarios: tuple[Scenario, ...]
    criteria: tuple[Criterion, ...]

    @property
    def met(self) -> bool:
        """Whether the model may return to service."""
        return self.outcome == "met"


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
        _, scope = self.data().scope(
            clock=checks.logs.now,
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


def measure(bench: Bench) -> Measured:
    """Measure every criterion of an incident, and judge it.

    Raises
    ------
    UsageError
        If no run was completed, or a time or length cannot be read.
    DataError
        If the request log cannot be read at all.
    IntegrityError
        If a run's record is not what the ledger says.
    """
    fresh, checks = bench.fresh, bench.checks
    primary = (bench.fired[-1] if bench.fired else bench.runs[-1]).run
    template = next(run.template for run in bench.runs if run.run == primary)
    windows: dict[str, list[Window]] = {}
    ends: dict[str, tuple[datetime, int]] = {}
    for name in checks:
        ends[name] = bench.newest(name)
        windows[name] = _windows(bench, name, ends[name][0])
    wanted = bench.model.acceptance.windows
    criteria = [one for name in checks for one in _enough(bench, name, windows[name], ends[name][0])]
    criteria += _in_windows(bench, windows)
    scenarios = [Scenario("all", NAMES["all"], _joined(windows[template]), wanted=True)]
    if stretch := _joined(windows[template]):
        parts = _parts(bench, stretch, ends[template][1])
        scenarios += parts
        criteria += [one for part in parts for one in _in_scenario(bench, part)]
        scenarios[0] = replace(scenarios[0], n=_rows(bench, stretch))
    asked = asked_of(bench.model)
    whole = bench.stretch(stretch, bench.data()) if stretch else None
    criteria += _asked(bench, asked, whole, scenarios[0])
    criteria += [_absent(part) for part in scenarios if part.wanted and part.why]
    outcome = worst(one.outcome for one in criteria)
    return Measured(
        bench.model.name,
        outcome,
        fresh,
        ends[template][0],
        tuple(windows[template]),
        wanted,
        tuple(scenarios),
        tuple(criteria),
    )


def _windows(bench: Bench, template: str, end: datetime) -> list[Window]:
    length = bench.length(template)
    if template in _WHOLE_TABLE:
        return [Window(end - length, end)] if end > bench.fresh.since else []
    return fresh_windows(end, length, bench.model.acceptance.windows, bench.fresh.since)


def _joined(windows: Sequence[Window]) -> Window | None:
    return Window(windows[0].start, windows[-1].end) if windows else None


def _rows(bench: Bench, window: Window) -> int:
    return bench.data().count_rows(Span(int(window.start.timestamp()), int(window.end.timestamp())))


def _enough(bench: Bench, template: str, windows: Sequence[Window], end: datetime) -> list[Criterion]:
    """Say whether there are enough fresh windows of a runbook that has something to check."""
    fired = any(one.template == template for one in bench.fired)
    if not fired and len(bench.checks) > 1:
        return []
    needed = 1 if template in _WHOLE_TABLE else bench.model.acceptance.windows
    had, length = len(windows), bench.length(template)
    why = ""
    if end <= bench.fresh.since:
        newest = f"the newest end at {format_time(end)}"
        why = f"no data since the containment: rows count from {described(bench.fresh)}; {newest}"
    elif had < needed:
        ready = bench.fresh.since + length * needed
        why = f"rows count from {described(bench.fresh)}; {needed} windows are over at {format_time(ready)}"
    return [
        Criterion(
            "fresh windows",
            "",
            "data",
            template,
            "all",
            f"at least {needed} in a row",
            float(had),
            "count",
            None,
            had,
            _joined(windows),
            "met" if had >= needed else "not met",
            why,
        )
    ]


def _in_windows(bench: Bench, windows: dict[str, list[Window]]) -> list[Criterion]:
    """Do the checks that fired again in each fresh window."""
    found: list[Criterion] = []
    for template, checks in bench.checks.items():
        fired = [one for one in bench.fired if one.template == template]
        if not fired:
            continue
        if not checks.known:
            found += [
                _undone(one, "all", None, "its runbook is not one that rbnb can measure by itself") for one in fired
            ]
            continue
        if not windows[template]:
            found += [_undone(one, "all", None, _NOTHING) for one in fired]
        data = bench.data()
        for window in windows[template]:
            again = checks.again(bench.stretch(window, data, newest=window == windows[template][-1]))
            found += [_checked(one, again, "all") for one in fired]
    return found


def _in_scenario(bench: Bench, scenario: Scenario) -> list[Criterion]:
    """Do the checks again on a part of the fresh rows, and measure what is asked there."""
    if scenario.window is None:
        return []
    data = bench.data(scenario.where)
    stretch = bench.stretch(scenario.window, data, whole=not scenario.where)
    found: list[Criterion] = []
    columns = bench.model.logs.predictions.segments
    for template, checks in bench.checks.items():
        # a check on one segment is done again on all traffic; in another segment there is nothing of it
        fired = [one for one in bench.fired if one.template == template and one.where.partition("=")[0] not in columns]
        if fired and checks.known and template not in _WHOLE_TABLE:
            again = checks.again(stretch)
            found += [_checked(one, again, scenario.name) for one in fired]
    return found + _asked(bench, asked_of(bench.model), stretch, scenario)


def _checked(fired: Fired, again: Again, scenario: str) -> Criterion:
    if again.why:
        return _undone(fired, scenario, again.window, again.why, again.n)
    pairs = again.of(fired.signal, fired.where)
    if not pairs:
        return _undone(fired, scenario, again.window, "this check gives no result on these rows", again.n)
    may_warn = fired.status == "warning" and fired.signal in again.about_data
    judged = [(held_again(*pair, may_warn=may_warn), pair[0]) for pair in pairs]
    outcome = worst(one[0][0] for one in judged)
    (_, why), finding = next(one for one in judged if one[0][0] == outcome)
    return _of_check(fired, finding, scenario, again.window, outcome, why)


def _of_check(fired: Fired, finding: Finding, scenario: str, window: Window, outcome: Outcome, why: str) -> Criterion:
    return Criterion(
        fired.signal,
        fired.where,
        "check",
        fired.template,
        scenario,
        finding.threshold,
        finding.value,
        finding.unit,
        finding.interval,
        finding.n,
        window,
        outcome,
        why,
        fired.value,
        finding.reference,
        fired.threshold if fired.threshold != finding.threshold else "",
    )


def _undone(fired: Fired, scenario: str, window: Window | None, why: str, n: int = 0) -> Criterion:
    return Criterion(
        fired.signal,
        fired.where,
        "check",
        fired.template,
        scenario,
        fired.threshold,
        None,
        fired.unit,
        None,
        n,
        window,
        "undefined",
        why,
        fired.value,
    )


def _asked(bench: Bench, asked: Iterable[Asked], stretch: Stretch | None, scenario: Scenario) -> list[Criterion]:
    """Measure what the model file asks for in a scenario."""
    wanted = [one for one in asked if one.source in _ASKED_IN[scenario.name]]
    if scenario.name == "worst_segment" and not scenario.wanted:
        return []  # a segment seldom holds enough rows for this; who wants it says so in the model file
    if stretch is None:
        return [_of_asked(one, None, scenario.name, None, "undefined", _NOTHING) for one in wanted]
    own = bench.runs[-1].parameters
    parameters: dict[str, Any] = {name: own[name] for name in ("reference", "seed", "leave_out") if name in own}
    drift = Checks(bench.places, bench.logs, "data_drift", parameters)
    found = []
    for one, signal in Objectives(drift, stretch).measured(wanted):
        outcome, why = held(one, signal)
        found.append(_of_asked(one, signal, scenario.name, stretch.window, outcome, why or signal.reason))
    return found


def _of_asked(
    asked: Asked, signal: Signal | None, scenario: str, window: Window | None, outcome: Outcome, why: str
) -> Criterion:
    return Criterion(
        asked.name if signal is None or not signal.name.startswith("estimated_") else f"{asked.name} (estimated)",
        "",
        asked.source,
        "",
        scenario,
        asked.text,
        signal.value if signal else None,
        asked.unit,
        signal.interval if signal else None,
        signal.n if signal else 0,
        window,
        outcome,
        why,
    )


def _parts(bench: Bench, stretch: Window, bucket: int) -> list[Scenario]:
    """Return the ways of looking at the fresh rows beside all of them, with what they hold."""
    wanted = bench.model.acceptance.scenarios
    place = worst_place(bench.runs, bench.model.logs.predictions.segments)
    peak = peak_part(stretch, bench.model.peak_window, bucket)
    found = [
        Scenario("peak", NAMES["peak"], peak, why="" if peak else _no_peak(bench), wanted="peak" in wanted),
        Scenario(
            "worst_segment",
            NAMES["worst_segment"],
            stretch if place else None,
            where=place,
            why="" if place else "no run found a segment in which it was worse",
            wanted="worst_segment" in wanted,
        ),
        Scenario("newest", NAMES["newest"], newest_part(stretch, bucket), wanted="newest" in wanted),
    ]
    return [_counted(bench, one) for one in found]


def _no_peak(bench: Bench) -> str:
    if bench.model.peak_window is None:
        return "the model file names no peak_window"
    return "the fresh windows hold no peak hours yet"


def _counted(bench: Bench, scenario: Scenario) -> Scenario:
    if scenario.window is None:
        return replace(scenario, why=scenario.why or "the fresh windows are too short to divide")
    try:
        data = bench.data(scenario.where)
        start, end = (int(one.timestamp()) for one in (scenario.window.start, scenario.window.end))
        return replace(scenario, n=data.count_rows(Span(start, end)))
    except (DataError, ParameterError) as error:
        return replace(scenario, window=None, why=error.message)


def _absent(scenario: Scenario) -> Criterion:
    """Say that a scenario which the model file demands could not be looked at."""
    return Criterion(
        f"scenario {scenario.title}",
        scenario.where,
        "data",
        "",
        scenario.name,
        "has rows to look at",
        None,
        "count",
        None,
        0,
        None,
        "undefined",
        scenario.why,
    )
