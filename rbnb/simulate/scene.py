"""A scene: the logs of one model in production over some weeks, with or without something wrong, from a seed.

`scene` makes everything a runbook can ask for, so that every runbook runs on every scene: predictions with
latency, features and late labels; training rows, lineage and checked rows; features as the offline store
works them out; changes, metrics and the call graph; and apart from these the truth. Rules: the same
arguments give the same bytes; a fault changes only what it says; times are UTC.

Examples
--------
>>> made = scene("churn", seed=1, days=2, per_hour=50)
>>> made.truth["verdict"], made.predictions["ts"].is_monotonic_increasing
('healthy', True)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rbnb.errors import NotFoundError
from rbnb.simulate import surroundings
from rbnb.simulate.business import Business, Number
from rbnb.simulate.businesses import BUSINESSES
from rbnb.simulate.faults.base import Fault
from rbnb.simulate.latency import LatencyFault, stage_times
from rbnb.simulate.log import END, load_at
from rbnb.simulate.requests import Rollout
from rbnb.simulate.streams import stream
from rbnb.simulate.traffic import Traffic, arrivals, millis, per_minute
from rbnb.simulate.training import lessons, lineage, trusted
from rbnb.simulate.truth import told
from rbnb.simulate.world import World, draw, live
from rbnb.simulate.writing import write_scene

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from pandas.api.extensions import ExtensionArray

__all__ = ["Scene", "scene"]

_TRUSTED_ROWS = 600
_RECOMPUTED = timedelta(days=3)
_RECOMPUTED_ROWS = 8_000
_DEPLOY = timedelta(hours=2, minutes=18)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known of a model over some weeks, as tables, and what really happened.

    Parameters
    ----------
    business
        What the model is about.
    start, end
        The span of the logs.
    label_delay
        How long until an outcome is known.
    predictions
        One row a request: ts, id, host, zone, region, channel, source, version, score, decision, label,
        latency_ms and its stages, status_code, the features.
    training, lineage, trusted
        Rows learned from, which version learned which batch, rows whose label was checked.
    recomputed
        The features of recent requests as the offline store works them out, by request_id.
    changes, metrics, dependencies
        What was changed, what monitoring saw, who calls whom.
    truth
        mode, verdict, onset, cause, features, segments, poisoned rows, and each fault.
    """

    business: Business
    start: datetime
    end: datetime
    label_delay: timedelta
    predictions: pd.DataFrame
    training: pd.DataFrame
    lineage: pd.DataFrame
    trusted: pd.DataFrame
    recomputed: pd.DataFrame
    changes: pd.DataFrame
    metrics: pd.DataFrame
    dependencies: pd.DataFrame
    truth: dict[str, Any]

    def write(self, folder: Path, *, name: str = "", level: int = 1) -> list[Path]:
        """Write model file, logs and truth below `folder`, laid out as the sample fleet is.

        Parameters
        ----------
        folder
            Gets ``models/NAME.yaml``, ``NAME/`` with the logs, ``truth/NAME.json``.
        name
            What the model is called; the business's name if left out.
        level
            How hard to compress, 1 (fast) to 19 (small).

        Returns
        -------
        list of Path
            The files written.
        """
        return write_scene(self, folder, name or self.business.name, level=level)


def scene(
    business: str | Business = "churn",
    *,
    seed: int = 0,
    days: float = 21.0,
    end: datetime = END,
    per_hour: float = 110.0,
    seasonal: float = 1.0,
    trend_per_week: float = 0.0,
    distractors: bool = False,
    faults: Iterable[Fault | LatencyFault] = (),
    rollouts: tuple[Rollout, ...] | None = None,
    label_delay: timedelta | None = None,
    training_rows: int = 6_000,
    changes: Iterable[surroundings.Change] = (),
) -> Scene:
    """Make a scene; 100,000 requests take about a second, a million several.

    Parameters
    ----------
    business
        One of the businesses that come with the simulator, or your own.
    seed
        The same arguments give the same scene.
    days, end
        The span of the logs: `days` before `end`.
    per_hour, trend_per_week
        Mean requests an hour, and their growth a week as a share.
    seasonal
        Strength of the day and the week in traffic and inputs: 1 as in life, 0 for none.
    distractors
        Whether things happen that mean nothing: a harmless deploy shortly before the end, changes, twenty slow
        minutes nine days earlier, a source that trains on other requests than the rest.
    faults
        What goes wrong, in order.
    rollouts
        Versions that follow the first; without, the deploy of the distractors or none.
    label_delay
        How long until an outcome is known; the business's own if left out.
    training_rows
        Rows in the training table.
    changes
        Further entries of the change log.

    Returns
    -------
    Scene
        The tables and the truth.
    """
    about = _calmed(_business(business), seasonal)
    struck = tuple(fault.settled(about) for fault in faults if isinstance(fault, Fault))
    slow = tuple(fault for fault in faults if isinstance(fault, LatencyFault))
    traffic = Traffic(end - timedelta(days=days), end, per_hour, trend_per_week, seasonal)
    delay = timedelta(hours=about.label_delay_hours) if label_delay is None else label_delay
    if rollouts is None:
        rollouts = (Rollout(about.versions[1], end - _DEPLOY, timedelta(seconds=110)),) if distractors else ()
    at = arrivals(traffic, per_minute(traffic, seed), seed)
    world = draw(about, at, about.versions[0 if rollouts else 1], rollouts, seed)
    live(world, struck)
    blips = (surroundings.blip(end),) if distractors and days >= 10 else ()
    learned = lessons(about, training_rows, end, struck, seed, uneven=distractors)
    return Scene(
        business=about,
        start=traffic.start,
        end=end,
        label_delay=delay,
        predictions=_log(world, traffic, struck, (*blips, *slow), end - delay),
        training=_typed(_timed(learned.table, "ingested"), about),
        lineage=_timed(lineage(about.versions, end), "time"),
        trusted=_typed(_timed(trusted(about, _TRUSTED_ROWS, end, seed), "checked"), about),
        recomputed=_recomputed(world, end, distractors=distractors),
        changes=surroundings.changes(about, rollouts, end, changes, distractors=distractors),
        metrics=surroundings.metrics(about, traffic, seed),
        dependencies=surroundings.dependencies(about),
        truth=told(about, (*struck, *slow), learned.poisoned, seed, rollouts),
    )


def _business(given: str | Business) -> Business:
    if isinstance(given, Business):
        return given
    if given not in BUSINESSES:
        raise NotFoundError("business", given, BUSINESSES)
    return BUSINESSES[given]


def _calmed(business: Business, seasonal: float) -> Business:
    """Return the business with only so much of its rhythm over day and week."""
    numbers = (replace(one, daily=one.daily * seasonal, weekend=one.weekend * seasonal) for one in business.numbers)
    categories = (
        replace(one, night=_power(one.night, seasonal), weekend=_power(one.weekend, seasonal))
        for one in business.categories
    )
    return replace(business, numbers=tuple(numbers), categories=tuple(categories))


def _power(factors: Mapping[str, float], seasonal: float) -> dict[str, float]:
    return {value: factor**seasonal for value, factor in factors.items()} if seasonal else {}


def _log(
    world: World, traffic: Traffic, faults: tuple[Fault, ...], slow: tuple[LatencyFault, ...], known_until: datetime
) -> pd.DataFrame:
    """Put the request log together; its index is the request's number until the faults are through."""
    business, at = world.business, world.at
    table = world.requests.copy(deep=False)
    table.insert(0, "ts", pd.to_datetime(at, unit="ms", utc=True))
    table.insert(1, "id", _ids(len(at)))
    table["score"] = world.score
    with np.errstate(invalid="ignore"):
        table["decision"] = _texts([business.negative, business.positive], world.score >= world.threshold)
    table["label"] = pd.array(world.label, dtype="Int8")
    table.loc[at >= millis(known_until), "label"] = pd.NA
    load = load_at(traffic, per_minute(traffic, world.seed), at)
    timing = stage_times(world.requests, at, load, slow, world.seed)
    table = pd.concat([table, timing, _typed(world.frame(world.served), business)], axis=1)
    for fault in faults:
        table = fault.log(world, table)
    return table.reset_index(drop=True)


def _recomputed(world: World, end: datetime, *, distractors: bool) -> pd.DataFrame:
    """Return what the offline store says of the last days' requests, all or a sample in order of time.

    As a distractor one input differs in its last digits, as sums in another order do.
    """
    recent = np.flatnonzero(world.at >= millis(end - _RECOMPUTED))
    rng = stream(world.seed, "recomputed")
    rows = np.sort(rng.choice(recent, min(len(recent), _RECOMPUTED_ROWS), replace=False))
    inputs = {name: values[rows] for name, values in world.offline.items()}
    if distractors:
        name = next(one.name for one in world.business.numbers if one.kind == "lognormal")
        if inputs[name].dtype != object:
            inputs[name] = inputs[name] * (1 + 1e-9 * rng.uniform(-1, 1, len(rows)))
    table = _typed(world.frame(inputs), world.business)
    table.insert(0, "request_id", _ids(len(world.at))[rows])
    return table


def _typed(table: pd.DataFrame, business: Business) -> pd.DataFrame:
    """Give each input the type a log would have: whole numbers, true and false, text."""
    return table.assign(
        **{one.name: _whole(table[one.name], one) for one in business.numbers},
        **{one.name: _text(table[one.name]) for one in business.categories},
    )


def _whole(values: pd.Series, number: Number) -> pd.Series:
    if values.dtype == object or number.kind not in {"count", "hour", "flag"}:
        return values
    there = values.dropna()
    if number.kind == "flag" and there.isin([0.0, 1.0]).all():
        return values.astype("boolean" if len(there) < len(values) else "bool")
    if not np.isfinite(there).all() or (there % 1 != 0).any():
        return values
    return values.astype("Int64" if len(there) < len(values) else "int64")


def _text(values: pd.Series) -> pd.Series:
    codes, names = pd.factorize(values.to_numpy(dtype=object))
    return pd.Series(_texts([str(name) for name in names], codes), index=values.index)


def _texts(names: list[str], codes: NDArray[Any]) -> ExtensionArray:
    """Return a text column from codes; -1 is null."""
    return pd.array(names, dtype="str").take(np.asarray(codes, dtype=np.int64), allow_fill=True)


def _ids(n: int) -> ExtensionArray:
    return pd.array(np.char.add("rq-", np.char.zfill(np.arange(1, n + 1).astype(str), 8)), dtype="str")


def _timed(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table.assign(**{name: pd.to_datetime(table[name], unit="ms", utc=True)})
