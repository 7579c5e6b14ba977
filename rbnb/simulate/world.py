"""A world of requests in the making: what arrives, what the model is served, what it answers.

`draw` makes the healthy part from a seed; `live` lets the faults strike step by step. Rules: each input
draws from its own stream, so a fault leaves all others as they were; a few requests are asked again
within minutes, with the same inputs; everything is done on whole columns, so that a million requests take
seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rbnb.simulate.business import Business, Category, Number, probability
from rbnb.simulate.latency import where_matches
from rbnb.simulate.requests import Rollout, places, versions
from rbnb.simulate.streams import stream
from rbnb.simulate.traffic import MINUTE, hour_of_week

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from rbnb.simulate.business import Column
    from rbnb.simulate.faults.base import Fault
    from rbnb.simulate.traffic import Floats, Millis

__all__ = ["World", "draw", "draw_inputs", "live", "pick"]

_SCORE_DECIMALS = 6


@dataclass(slots=True)
class World:
    """The requests of a scene while it is made; faults change it in place.

    Parameters
    ----------
    business, seed, at
        What it is about, the seed, and when each request arrived (ms since 1970).
    requests
        host, zone, region, channel, source, version of each request.
    origin
        Which request each one repeats; itself for most.
    z
        Each number in standard deviations, before it becomes a value.
    inputs
        The inputs as they are; null is NaN or None.
    odds
        Log odds of the outcome, of which `label` is drawn.
    served, offline
        The inputs as the model and the log have them, and as the offline store works them out.
    score, threshold
        What the model answers, and from which score a request is decided one way or the other.
    """

    business: Business
    seed: int
    at: Millis
    requests: pd.DataFrame
    origin: NDArray[np.int64]
    z: dict[str, Floats]
    inputs: dict[str, Column]
    odds: Floats = field(default_factory=lambda: np.empty(0))
    label: NDArray[np.int8] = field(default_factory=lambda: np.empty(0, dtype=np.int8))
    served: dict[str, Column] = field(default_factory=dict)
    offline: dict[str, Column] = field(default_factory=dict)
    score: Floats = field(default_factory=lambda: np.empty(0))
    threshold: Floats = field(default_factory=lambda: np.empty(0))

    def within(self, where: str) -> NDArray[np.bool_]:
        """Return which requests are in the segment `where`: places, versions, sources and categories."""
        if not where:
            return np.ones(len(self.at), dtype=np.bool_)
        named = {one.name: self.inputs[one.name] for one in self.business.categories if one.name in self.inputs}
        return where_matches(self.requests.assign(**named), where)

    def frame(self, inputs: dict[str, Column], rows: NDArray[np.bool_] | None = None) -> pd.DataFrame:
        """Return inputs as the model takes them, all of them or some rows."""
        names = self.business.features
        chosen = {name: inputs[name] if rows is None else inputs[name][rows] for name in names}
        return pd.DataFrame(chosen, copy=False)

    def scored(self, inputs: pd.DataFrame) -> Floats:
        """Return the model's answer for inputs."""
        return np.round(probability(self.business.log_odds(inputs)), _SCORE_DECIMALS)


def draw(business: Business, at: Millis, first: str, rollouts: tuple[Rollout, ...], seed: int) -> World:
    """Draw the requests and what is in them, before anything goes wrong."""
    requests = places(len(at), seed)
    requests["source"] = pick(stream(seed, "source"), business.sources, len(at))
    requests["version"] = versions(at, requests["host"], first, rollouts)
    origin = _repeats(at, business.repeated, seed)
    for name in ("region", "channel", "source"):
        requests[name] = requests[name].to_numpy()[origin]
    z, values = draw_inputs(business, at, seed)
    return World(business, seed, at, requests, origin, z, values)


def draw_inputs(business: Business, at: Millis, seed: int) -> tuple[dict[str, Floats], dict[str, Column]]:
    """Draw the numbers (as standard normal values) and the categories of requests at these times."""
    hours = hour_of_week(at)
    common = stream(seed, "common").normal(0, 1, len(at))
    z = {one.name: _latent(one, common, hours, seed) for one in business.numbers}
    return z, {one.name: _chosen(one, hours, seed) for one in business.categories}


def live(world: World, faults: Iterable[Fault]) -> None:
    """Take the world through all steps up to the answer, with the faults."""
    faults = tuple(faults)
    for fault in faults:
        fault.arrive(world)
    become(world)
    for fault in faults:
        fault.concept(world)
    drawn = stream(world.seed, "labels").random(len(world.at))
    world.label = (drawn < probability(world.odds)).astype(np.int8)[world.origin]
    for fault in faults:
        fault.settle(world)
    _serve(world, faults)
    world.score = world.scored(world.frame(world.served))
    world.threshold = np.full(len(world.at), world.business.threshold)
    for fault in faults:
        fault.answer(world)


def become(world: World) -> None:
    """Turn standard normal values into numbers, leave out what is naturally missing, and repeat what is repeated."""
    hour = np.floor(hour_of_week(world.at) % 24)
    for one in world.business.numbers:
        value = hour if one.kind == "hour" else one.value(world.z[one.name])
        world.inputs[one.name] = value + world.inputs[one.over] if one.over else value
    for name, share in world.business.gaps().items():
        missing = stream(world.seed, "nulls", name).random(len(world.at)) < share
        world.inputs[name] = blank(world.inputs[name], missing)
    world.inputs = {name: world.inputs[name][world.origin] for name in world.business.features}
    world.odds = world.business.log_odds(world.frame(world.inputs))


def blank(values: Column, rows: NDArray[np.bool_]) -> Column:
    """Return values with nulls in some rows."""
    kept = values.copy()
    kept[rows] = None if kept.dtype == object else np.nan
    return kept


def pick(rng: np.random.Generator, shares: Mapping[str, float], n: int) -> Column:
    """Draw `n` values by their shares."""
    edges = np.cumsum(list(shares.values()))
    return np.array(list(shares), dtype=object)[np.searchsorted(edges[:-1] / edges[-1], rng.random(n), side="right")]


def _serve(world: World, faults: tuple[Fault, ...]) -> None:
    world.served = dict(world.inputs)
    for fault in faults:
        fault.serve(world)
    world.offline = dict(world.served)
    for fault in faults:
        fault.skew(world)


def _latent(one: Number, common: Floats, hours: Floats, seed: int) -> Floats:
    own = stream(seed, "number", one.name).normal(0, 1, len(common))
    z = one.shared * common + np.sqrt(1 - one.shared**2) * own
    if one.daily:
        z += one.daily * np.cos(2 * np.pi * (hours - 19) / 24)
    if one.weekend:
        z += one.weekend * (hours >= 120)
    return np.asarray(z, dtype=np.float64)


def _chosen(one: Category, hours: Floats, seed: int) -> Column:
    """Draw each request's value by the shares of its part of the day and the week."""
    rng = stream(seed, "category", one.name)
    day = pick(rng, one.shares, len(hours))
    of_day = hours % 24
    for changed, when in ((one.night, (of_day >= 22) | (of_day < 6)), (one.weekend, hours >= 120)):
        if changed:
            shares = {value: share * changed.get(value, 1.0) for value, share in one.shares.items()}
            day[when] = pick(rng, shares, int(when.sum()))
    return day


def _repeats(at: Millis, share: float, seed: int) -> NDArray[np.int64]:
    """Return which request each one repeats: for a few, one of the last ten minutes that is itself no repeat."""
    rng = stream(seed, "repeats")
    n = len(at)
    origin = np.arange(n)
    again = rng.random(n) < share
    earlier = np.searchsorted(at, at - rng.integers(MINUTE // 2, 10 * MINUTE, n))
    recent = (earlier < origin) & (at - at[np.minimum(earlier, n - 1)] < 15 * MINUTE)
    chosen = again & recent
    chosen &= ~again[earlier]
    origin[chosen] = earlier[chosen]
    return origin
