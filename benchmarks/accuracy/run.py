"""One scenario: simulated, written, measured and judged as a run does, only without a kernel; then held to the truth.

The window is as long as the template's default, or longer where the rows asked for would need a log of more than
`LARGEST_LOG` rows. The fault begins between 20 and 55 % into the window and lasts. A scenario that raises is an
outcome of its own, with the error.
"""

from __future__ import annotations

import importlib
import random
import re
import tempfile
import time
import traceback
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks.accuracy.faults import SOON, Case, Plan
from benchmarks.accuracy.scenarios import family_of
from rbnb.data import ModelData
from rbnb.inventory import load_model_file
from rbnb.policy import decide, judge, load_policy
from rbnb.simulate.businesses import BUSINESSES
from rbnb.simulate.log import END
from rbnb.simulate.scene import Scene, scene
from rbnb.simulate.traffic import Traffic, per_minute
from rbnb.templates import load_template
from rbnb.times import parse_duration, parse_time

if TYPE_CHECKING:
    from benchmarks.accuracy.faults import Family
    from benchmarks.accuracy.scenarios import Scenario
    from rbnb.model import Cause
    from rbnb.policy import Decision, Policy

__all__ = ["ALARMS", "HARM", "Judged", "Outcome", "available", "examine", "judged", "simulated"]

_ROOT = Path(__file__).resolve().parents[2]

#: The package of `rbnb.diagnoses` and the class of each mode.
_DIAGNOSES = {
    "latency_spike": ("latency", "LatencySpike"),
    "data_drift": ("drift", "DataDrift"),
    "data_quality": ("quality", "DataQuality"),
    "output_inconsistency": ("consistency", "OutputInconsistency"),
    "data_poisoning": ("poisoning", "Poisoning"),
}

#: Verdicts that tell somebody that something is, or was, wrong.
ALARMS = ("genuine", "transient", "infrastructure")

LARGEST_LOG = 50_000

#: From which relative loss of accuracy or AUC a drift is harmful; Deepchecks accepts a relative degradation below it.
HARM = 0.1
_REFERENCE = timedelta(days=14)
_WINDOWS = tuple(timedelta(hours=hours) for hours in (2, 6, 12, 24, 48, 96, 168))


@dataclass(frozen=True)
class Judged:
    """What a run comes to: the measurements, the hypotheses, the decision, and since when."""

    found: Any
    causes: list[Cause]
    decision: Decision
    onset: datetime | None
    rows: int
    bucket: int


@dataclass
class Outcome:
    """A scenario, what came out, and how that compares with the truth; None where there is nothing to compare.

    Parameters
    ----------
    scenario
        As it was asked for.
    verdict, leaf, referrals
        What the policy concluded, at which leaf of its tree, and the runbooks it pointed to.
    n
        Rows in the window; of the training table for data_poisoning.
    causes
        The first three hypotheses that are not refuted: kind, name, place, status.
    top_1, top_3
        Whether the first, or one of them, names the cause.
    onset_error
        Buckets between the onset found and the true one; a bucket is `bucket` seconds.
    segment
        Share of the places hit that are among the first three named.
    precision, recall
        Of the rows suspected of being poisoned.
    effect
        For a drift, by which part accuracy or AUC of the requests hit is truly lower than before; the larger.
    """

    scenario: dict[str, Any]
    verdict: str = ""
    leaf: str = ""
    referrals: list[str] = field(default_factory=list)
    n: int = 0
    causes: list[list[str]] = field(default_factory=list)
    top_1: bool | None = None
    top_3: bool | None = None
    onset_error: float | None = None
    bucket: int = 0
    segment: float | None = None
    precision: float | None = None
    recall: float | None = None
    effect: float | None = None
    seconds: float = 0.0
    error: str = ""

    @property
    def kind(self) -> str:
        """The scenario's kind, or `slight` for a drift that cost the model less than `HARM`."""
        slight = self.effect is not None and self.effect < HARM
        return "slight" if slight else str(self.scenario["kind"])


@cache
def _policy(mode: str) -> Policy:
    return load_policy(_ROOT / "policies" / f"{mode}.yaml")


@cache
def default_window(mode: str) -> timedelta:
    """Return how far back the mode's template looks."""
    template = load_template(mode, [_ROOT / "notebook_templates"])
    (text,) = [one.default for one in template.parameters if one.name == "window"]
    return parse_duration(str(text))


def available(mode: str) -> bool:
    """Return whether a mode is there: template, policy and diagnosis."""
    package, _ = _DIAGNOSES[mode]
    files = ("policies/{}.yaml", "notebook_templates/{}.ipynb")
    return (
        all((_ROOT / one.format(mode)).is_file() for one in files)
        and (_ROOT / "rbnb" / "diagnoses" / package / "hypotheses.py").is_file()
    )


def simulated(
    scenario: Scenario, largest: int = LARGEST_LOG, *, known: bool = False
) -> tuple[Scene, timedelta, timedelta]:
    """Make the scene of a scenario, of at most about `largest` rows; return it with the window and the reference.

    With `known` every outcome is known at once: the truth, not what a run sees.
    """
    rng = random.Random(scenario.seed)
    end = END - timedelta(hours=rng.randrange(168))
    window, reference = _spans(scenario, largest)
    onset = end - window * (1 - rng.uniform(0.2, 0.55))
    onset -= timedelta(seconds=onset.timestamp() % 60)
    versions = BUSINESSES[scenario.business].versions
    family = family_of(scenario)
    case = Case(onset, end - window, end, scenario.size or "medium", rng.randrange(1_000), versions)  # type: ignore[arg-type]
    plan = family.plan(case) if family else Plan()
    of_training = scenario.mode == "data_poisoning"
    given: dict[str, Any] = {"training_rows": scenario.rows} if of_training else {}
    given |= {"label_delay": SOON} if scenario.labels else {}
    made = scene(
        scenario.business,
        seed=scenario.seed,
        days=(window + reference) / timedelta(days=1),
        end=end,
        per_hour=60.0 if of_training else _per_hour(scenario, end, window, reference),
        seasonal=scenario.seasonal,
        trend_per_week=scenario.trend,
        distractors=scenario.distractors,
        faults=plan.faults,
        **{**given, **plan.more, **({"label_delay": timedelta(0)} if known else {})},
    )
    return made, window, reference


def _spans(scenario: Scenario, largest: int) -> tuple[timedelta, timedelta]:
    """Return a window and a reference in which so many rows make no log that is too long."""
    shortest = default_window(scenario.mode)
    if scenario.mode == "data_poisoning":
        return shortest, _REFERENCE
    if scenario.rows * 2 > largest:
        return _WINDOWS[-1], _WINDOWS[-1]
    longer = [shortest, *(one for one in _WINDOWS if one > shortest)]
    return next(
        one for one in longer if scenario.rows * (1 + _REFERENCE / one) <= largest or one == longer[-1]
    ), _REFERENCE


def _per_hour(scenario: Scenario, end: datetime, window: timedelta, reference: timedelta) -> float:
    """Return the mean rate at which the window holds the rows asked for, whatever the hour."""
    traffic = Traffic(end - window - reference, end, 60.0, scenario.trend, scenario.seasonal)
    expected = per_minute(traffic, scenario.seed)[-round(window / timedelta(minutes=1)) :].sum()
    return float(60.0 * scenario.rows / expected)


def judged(
    path: Path, mode: str, *, window: str = "", at: str = "", reference: str = "", bucket: str = "auto"
) -> Judged:
    """Measure and judge one model file's logs, as the mode's notebook does.

    Parameters
    ----------
    path
        The model file.
    mode
        Which runbook.
    window, at, reference, bucket
        As the template's parameters; an empty window is the template's own.
    """
    model = load_model_file(path)
    data = ModelData(model, path.parent)
    length = window or f"{round(default_window(mode).total_seconds())}s"
    clock = model.clock("")
    extent, scope = data.scope(clock=clock, at=at, window=length, bucket=bucket, reference=reference, leave_out="")
    package, name = _DIAGNOSES[mode]
    parts = {part: importlib.import_module(f"rbnb.diagnoses.{package}.{part}") for part in ("hypotheses", "summary")}
    kind = getattr(importlib.import_module(f"rbnb.diagnoses.{package}"), name)
    policy = _policy(mode)
    found = kind(data, scope, extent, kind.Settings(**policy.settings), 1)
    causes = parts["hypotheses"].hypotheses(found)
    findings = judge(found.signals, policy, model.thresholds)
    decision = decide(policy, findings, causes, parts["summary"].facts(found))
    rows = next((f.n for f in findings if f.signal == "rows_current"), 0)
    return Judged(found, causes, decision, _onset(parts["summary"].course(found)), rows, scope.bucket)


def _onset(course: dict[str, Any]) -> datetime | None:
    onset = course.get("onset")
    if isinstance(onset, str):
        return parse_time(onset)
    return datetime.fromtimestamp(onset, UTC) if isinstance(onset, (int, float)) else onset


def examine(scenario: Scenario, largest: int = LARGEST_LOG) -> Outcome:
    """Run one scenario, with a log of at most about `largest` rows; an error is an outcome too."""
    began = time.monotonic()
    outcome = Outcome(asdict(scenario))
    try:
        _examine(scenario, outcome, largest)
    except Exception as error:  # noqa: BLE001 - whatever a scenario raises is counted against rbnb, not against the grid
        last = traceback.extract_tb(error.__traceback__)[-1]
        outcome.error = f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
    outcome.seconds = round(time.monotonic() - began, 2)
    return outcome


def _examine(scenario: Scenario, outcome: Outcome, largest: int) -> None:
    made, window, reference = simulated(scenario, largest)
    outcome.n = len(made.training) if scenario.mode == "data_poisoning" else _in_window(made, window)
    with tempfile.TemporaryDirectory(prefix="rbnb-accuracy-") as folder:
        made.write(Path(folder), name="model")
        path = Path(folder) / "models" / "model.yaml"
        spans = {"window": _text(window), "reference": _text(reference)}
        run = judged(path, scenario.mode, **spans)
        _hold(scenario, run, made.truth, outcome)
    if scenario.mode == "data_drift" and scenario.kind == "fault":
        outcome.effect = _effect(simulated(scenario, largest, known=True)[0])


def _effect(made: Scene) -> float:
    """Return by which part accuracy or AUC is lower in the requests a fault hit than in their like before it."""
    fault, log = made.truth["faults"][0], made.predictions
    column, _, place = fault["cause"]["where"].partition("=")
    like = log[log[column] == place] if column else log
    after = like["ts"] >= pd.Timestamp(fault["onset"])
    falls = []
    for measure in (_accuracy, _auc):
        then, now = (measure(like[part], made.business.positive) for part in (~after, after))
        falls.append((then - now) / then)
    return float(max(falls))


def _accuracy(log: pd.DataFrame, positive: str) -> float:
    return float(((log["decision"] == positive) == (log["label"] == 1)).mean())


def _auc(log: pd.DataFrame, _: str) -> float:
    """Return the AUC from ranks, as Mann and Whitney count it."""
    ranks, late = log["score"].rank(), log["label"] == 1
    n = int(late.sum())
    return float((ranks[late].mean() - (n + 1) / 2) / max(len(log) - n, 1))


def _in_window(made: Scene, window: timedelta) -> int:
    return int((made.predictions["ts"] >= made.end - window).sum())


def _text(length: timedelta) -> str:
    return f"{round(length.total_seconds() / 60)}m"


def _hold(scenario: Scenario, run: Judged, truth: dict[str, Any], outcome: Outcome) -> None:
    """Compare what came out with what was put in."""
    outcome.verdict, outcome.leaf = run.decision.verdict.name, run.decision.leaf
    outcome.referrals = [one.runbook for one in run.decision.referrals]
    outcome.bucket = run.bucket
    standing = [cause for cause in run.causes if cause.status != "refuted"][:3]
    outcome.causes = [[cause.kind, cause.name, cause.where, cause.status] for cause in standing]
    if scenario.kind not in ("fault", "mixed") or outcome.verdict not in ALARMS:
        return
    _hold_causes(scenario, standing, truth, outcome)
    if scenario.kind == "fault":
        _hold_places(run, standing, truth, outcome)
        if run.onset is not None and scenario.mode != "data_poisoning":
            off = abs((run.onset - parse_time(truth["onset"])).total_seconds())
            outcome.onset_error = off / run.bucket
    _hold_rows(run, truth, outcome)


def _hold_causes(scenario: Scenario, standing: list[Cause], truth: dict[str, Any], outcome: Outcome) -> None:
    family = family_of(scenario)
    if family is None or not family.says:
        return
    hits = [any(_names(cause, family, fault) for fault in truth["faults"]) for cause in standing]
    outcome.top_1, outcome.top_3 = bool(hits and hits[0]), any(hits)


def _names(cause: Cause, family: Family, fault: dict[str, Any]) -> bool:
    """Whether a hypothesis says the right thing, and of the right input or place."""
    if not any(re.search(pattern, f"{cause.kind}: {cause.name}") for pattern in family.says):
        return False
    told = f"{cause.name} {cause.where}"
    inputs, (column, _, place) = fault["features"], fault["cause"]["where"].partition("=")
    if not family.place or not (inputs or place):
        return True
    if inputs:
        return any(name in told for name in inputs)
    # a version that everything runs from the onset on is everywhere
    return place in told or (column == "version" and not cause.where)


def _hold_places(run: Judged, standing: list[Cause], truth: dict[str, Any], outcome: Outcome) -> None:
    if not truth["segments"]:
        return
    named = [part.where for part in run.found.segments[:3]] + [cause.where for cause in standing]
    hit = [any(place in where for where in named) for place in truth["segments"]]
    outcome.segment = sum(hit) / len(hit)


def _hold_rows(run: Judged, truth: dict[str, Any], outcome: Outcome) -> None:
    suspected = getattr(run.found, "suspect_ids", None)
    poisoned = set(truth["poisoned"])
    if suspected is None or not poisoned:
        return
    ids = set(map(str, suspected))
    right = len(ids & poisoned)
    outcome.precision = right / len(ids) if ids else None
    outcome.recall = right / len(poisoned)
