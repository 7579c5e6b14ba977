"""Measuring whether a model may return to service: the checks that fired and what its file asks for, on fresh rows.

Rules: nothing is measured inside the incident's own windows; a criterion that could not be measured is undefined, and
undefined is not met; the result says of every criterion which rows it rests on, in how many windows and scenarios.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rbnb.acceptance.asked import Objectives
from rbnb.acceptance.criteria import Criterion, absent, of_asked, of_check, undone
from rbnb.acceptance.fired import components_in, described, worst_place
from rbnb.acceptance.measuring import Checks
from rbnb.acceptance.scenarios import NAMES, Scenario, fresh_windows, newest_part, peak_part
from rbnb.data import Span
from rbnb.errors import DataError, ParameterError
from rbnb.model import Window
from rbnb.policy.returning import asked_of, held, worst
from rbnb.times import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from rbnb.acceptance.bench import Bench
    from rbnb.acceptance.fired import Fresh
    from rbnb.acceptance.measuring import Stretch
    from rbnb.policy.returning import Asked, Outcome

__all__ = ["Measured", "measure"]

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
    fresh = bench.fresh  # first, because it refuses where there is no run to go by
    primary = (bench.fired[-1] if bench.fired else bench.runs[-1]).run
    template = next(run.template for run in bench.runs if run.run == primary)
    ends = {name: bench.newest(name) for name in bench.checks}
    windows = {name: _windows(bench, name, end) for name, (end, _) in ends.items()}
    criteria = [one for name, (end, _) in ends.items() for one in _enough(bench, name, windows[name], end)]
    criteria += _in_windows(bench, windows)
    stretch = _fresh_part(bench, _joined(windows[template]))
    scenarios = [Scenario("all", NAMES["all"], stretch, n=_rows(bench, stretch), wanted=True)]
    for part in _parts(bench, stretch, ends[template][1]) if stretch else []:
        looked_at, found = _in_scenario(bench, part, ends[template][0])
        scenarios.append(looked_at)
        criteria += found
    whole = bench.stretch(stretch, bench.data()) if stretch else None
    criteria += _asked(bench, asked_of(bench.model), whole, scenarios[0])
    criteria += [absent(part) for part in scenarios if part.wanted and part.why]
    return Measured(
        bench.model.name,
        worst(one.outcome for one in criteria),
        fresh,
        ends[template][0],
        tuple(windows[template]),
        _asked_for(bench, template),
        tuple(scenarios),
        tuple(criteria),
    )


def _asked_for(bench: Bench, template: str) -> int:
    """Return how many fresh windows a runbook takes."""
    return 1 if template in _WHOLE_TABLE else bench.model.acceptance.windows


def _fresh_part(bench: Bench, window: Window | None) -> Window | None:
    """Return the part of a window that is fresh: that of a runbook for a whole table reaches back beyond it."""
    return None if window is None else Window(max(window.start, bench.fresh.since), window.end)


def _windows(bench: Bench, template: str, end: datetime) -> list[Window]:
    length = bench.length(template)
    if template in _WHOLE_TABLE:
        return [Window(end - length, end)] if end > bench.fresh.since else []
    return fresh_windows(end, length, bench.model.acceptance.windows, bench.fresh.since)


def _joined(windows: Sequence[Window]) -> Window | None:
    return Window(windows[0].start, windows[-1].end) if windows else None


def _rows(bench: Bench, window: Window | None) -> int:
    if window is None:
        return 0
    return bench.data().count_rows(Span(int(window.start.timestamp()), int(window.end.timestamp())))


def _enough(bench: Bench, template: str, windows: Sequence[Window], end: datetime) -> list[Criterion]:
    """Say whether there are enough fresh windows of a runbook that has something to check."""
    fired = any(one.template == template for one in bench.fired)
    if not fired and len(bench.checks) > 1:
        return []
    needed = _asked_for(bench, template)
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
                undone(one, "all", None, "its runbook is not one that rbnb can measure by itself") for one in fired
            ]
            continue
        if not windows[template]:
            found += [undone(one, "all", None, _NOTHING) for one in fired]
        data = bench.data()
        for window in windows[template]:
            stretch = bench.stretch(window, data, newest=window == windows[template][-1])
            again = checks.again(stretch, components_in(fired))
            found += [of_check(one, again, "all") for one in fired]
    return found


def _in_scenario(bench: Bench, scenario: Scenario, end: datetime) -> tuple[Scenario, list[Criterion]]:
    """Do the checks again on a part of the fresh rows, and measure what is asked there.

    Peak hours that hold too little to be judged are said, and stand in nobody's way unless the model file demands them.
    """
    if scenario.window is None:
        return scenario, []
    data = bench.data(scenario.where)
    stretch = bench.stretch(scenario.window, data, whole=not scenario.where, newest=scenario.window.end == end)
    columns = bench.model.logs.predictions.segments
    found: list[Criterion] = []
    for template, checks in bench.checks.items():
        # a check on one segment is done again on all traffic; in another segment there is nothing of it
        fired = [one for one in bench.fired if one.template == template and one.where.partition("=")[0] not in columns]
        if not fired or not checks.known or template in _WHOLE_TABLE:
            continue
        again = checks.again(stretch, components_in(fired))
        found += [of_check(one, again, scenario.name) for one in fired]
    if scenario.name == "peak" and not scenario.wanted:
        scenario, found = _as_far_as_known(scenario, found)
    return scenario, found + _asked(bench, asked_of(bench.model), stretch, scenario)


def _asked(bench: Bench, asked: Iterable[Asked], stretch: Stretch | None, scenario: Scenario) -> list[Criterion]:
    """Measure what the model file asks for in a scenario."""
    wanted = [one for one in asked if one.source in _ASKED_IN[scenario.name]]
    if scenario.name == "worst_segment" and not scenario.wanted:
        return []  # a segment seldom holds enough rows for this; who wants it says so in the model file
    if stretch is None:
        return [of_asked(one, None, scenario.name, None, "undefined", _NOTHING) for one in wanted]
    own = bench.runs[-1].parameters
    parameters: dict[str, Any] = {name: own[name] for name in ("reference", "seed", "leave_out") if name in own}
    drift = Checks(bench.places, bench.logs, "data_drift", parameters)
    found = []
    for one, signal in Objectives(drift, stretch).measured(wanted):
        outcome, why = held(one, signal)
        found.append(of_asked(one, signal, scenario.name, stretch.window, outcome, why or signal.reason))
    return found


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


def _as_far_as_known(scenario: Scenario, found: list[Criterion]) -> tuple[Scenario, list[Criterion]]:
    """Leave out what a few rows cannot tell, and say so: they were all judged among the rest of the traffic."""
    known = [one for one in found if one.outcome != "undefined"]
    missing = dict.fromkeys(f"{one.name}: {one.why}" for one in found if one.outcome == "undefined")
    return replace(scenario, why="; ".join(list(missing)[:3])), known
