"""The history of a model, walked: which span, which stretches are left out, and every window measured in it.

Rules: known incidents of this model are left out, whether they are on record or told by hand; rows newer than the
clock are not used; a history too short to know the hours of a day is refused with how much is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rbnb.baselines.latency import walk_latency
from rbnb.baselines.limits import ENOUGH
from rbnb.baselines.windows import HOUR
from rbnb.data.hourly import Hourly
from rbnb.diagnoses.latency.measure import LatencySettings
from rbnb.errors import DataError, UsageError
from rbnb.inventory import find_model, load_model_file
from rbnb.policy import load_policy
from rbnb.policy.learned import read_baseline
from rbnb.scope import parse_spans
from rbnb.templates import load_template
from rbnb.times import format_duration, format_time, parse_duration, parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbnb.baselines.windows import Spans, Walk
    from rbnb.config import Places
    from rbnb.inventory import ModelFile
    from rbnb.policy import Policy

__all__ = ["Asked", "LeftOut", "Walked", "walk_history"]

RUNBOOK = "latency_spike"
#: Seconds of history without which no hour of the day is known.
_SHORTEST = 3 * 86_400


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for, as text; see `rbnb baseline --help`.

    Parameters
    ----------
    model
        Name of the model file.
    at
        Where history ends; "" for the newest complete hour.
    history
        How far it reaches back.
    leave_out, incidents
        Spans ``start/end``: not to be learned from, and incidents that nobody recorded.
    rate
        Share of healthy windows that may breach.
    """

    model: str
    at: str = ""
    history: str = "8w"
    leave_out: Sequence[str] = ()
    incidents: Sequence[str] = ()
    rate: float = 0.005


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A stretch that is not learned from; `incident` where something was wrong with the model."""

    start: int
    end: int
    why: str
    incident: bool


@dataclass(frozen=True, slots=True)
class Walked:
    """A model's history.

    Parameters
    ----------
    model, data
        Whose.
    span
        Epoch seconds, full hours.
    left_out
        Stretches inside the span that are not learned from, by time.
    policy
        Whose thresholds are to be learned.
    walk
        Its windows; None where the model file maps no latency.
    """

    model: ModelFile
    data: Hourly
    span: tuple[int, int]
    left_out: tuple[LeftOut, ...]
    policy: Policy
    walk: Walk | None

    @property
    def spans(self) -> Spans:
        """What is left out, as pairs of epoch seconds."""
        return tuple((one.start, one.end) for one in self.left_out)

    @property
    def incidents(self) -> tuple[LeftOut, ...]:
        """The known incidents among what is left out."""
        return tuple(one for one in self.left_out if one.incident)


def walk_history(places: Places, asked: Asked, episodes: Sequence[tuple[datetime, datetime]]) -> Walked:
    """Measure every window of a model's history.

    Parameters
    ----------
    episodes
        Incidents of this model that are on record.

    Raises
    ------
    UsageError
        If a name, a time or the rate is wrong, or the baseline that is there is not what was written.
    DataError
        If the log cannot be read, or holds too little to learn from.
    """
    if not 0.0001 <= asked.rate <= 0.1:
        raise UsageError(f"a rate of {asked.rate:g} cannot be learned", hint="give a share from 0.0001 to 0.1")
    path = find_model(places.models, asked.model)
    model = load_model_file(path)
    read_baseline(places.baselines / f"{model.name}.yaml", model.name)
    data = Hourly(model, path.parent)
    span = _span(data, model, asked)
    left_out = _left_out(asked, episodes, span)
    policy = load_policy(places.policy_file(RUNBOOK))
    walk = None
    if model.logs.predictions.columns.latency_ms is not None:
        _refuse_constant(data, model, span)
        window = str({p.name: p.default for p in load_template(RUNBOOK, places.templates).parameters}["window"])
        walk = _walk(data, model, span, left_out, policy, window)
    return Walked(model, data, span, left_out, policy, walk)


def _span(data: Hourly, model: ModelFile, asked: Asked) -> tuple[int, int]:
    clock = model.clock("")
    extent = data.extent(clock)
    if extent.first is None or extent.last is None:
        raise DataError(
            f"{model.name}: the request log holds no rows up to now", hint="check the table and the clock of its writer"
        )
    newest = int(extent.last.timestamp()) + 1
    until = min(parse_time(asked.at), clock) if asked.at else clock
    end = min(int(until.timestamp()), -(-newest // HOUR) * HOUR) // HOUR * HOUR
    length = int(parse_duration(asked.history).total_seconds())
    start = max(-(-int(extent.first.timestamp()) // HOUR) * HOUR, end - length)
    if end - start < _SHORTEST:
        held = format_duration(timedelta(seconds=max(end - start, 0)))
        raise DataError(
            f"{model.name}: a history of {held} is too short to learn from",
            hint="3 days are needed, so that each hour of the day was seen three times; from two weeks on, "
            "hours of the week are told apart, and four weeks or more are better",
        )
    return start, end


def _left_out(
    asked: Asked, episodes: Sequence[tuple[datetime, datetime]], span: tuple[int, int]
) -> tuple[LeftOut, ...]:
    found = [LeftOut(int(a.timestamp()), int(b.timestamp()), "incident on record", True) for a, b in episodes]  # noqa: FBT003
    for texts, why, incident in ((asked.incidents, "incident, as told", True), (asked.leave_out, "as told", False)):
        found += [LeftOut(low, high, why, incident) for text in texts for low, high in parse_spans(text)]
    inside = {one for one in found if one.start < span[1] and one.end > span[0]}
    return tuple(sorted(inside, key=lambda one: (one.start, one.end, one.why)))


def _refuse_constant(data: Hourly, model: ModelFile, span: tuple[int, int]) -> None:
    counts = data.integrity(*span)
    if counts["lowest"] is None:
        raise DataError(
            f"{model.name}: no latency between {_time(span[0])} and {_time(span[1])} can be used",
            hint="check the column with `rbnb models check`",
        )
    if counts["lowest"] == counts["highest"]:
        raise DataError(
            f"{model.name}: every latency in the history is {counts['lowest']:g}, so nothing can be learned from it",
            hint="the meter is stuck, or a default was written in its place",
        )


def _walk(
    data: Hourly, model: ModelFile, span: tuple[int, int], left_out: Sequence[LeftOut], policy: Policy, window: str
) -> Walk:
    texts = {"bucket": "auto", "reference": "", "leave_out": ""}
    _, scope = data.scope(clock=model.clock(""), at=_time(span[1]), window=window, **texts)
    spans = tuple((one.start, one.end) for one in left_out)
    length = int(parse_duration(window).total_seconds())
    settings = LatencySettings(**policy.settings)
    walk = walk_latency(data, span, length=length, bucket=scope.bucket, leave_out=spans, settings=settings)
    if (healthy := int(walk.counts.sum())) < ENOUGH:
        raise DataError(
            f"{model.name}: {healthy} windows are left to learn from, and {ENOUGH} are needed",
            hint="give a longer --history, or leave out less",
        )
    return walk


def _time(epoch: int) -> str:
    return format_time(datetime.fromtimestamp(epoch, UTC))
