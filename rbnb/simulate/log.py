"""A request log, put together: traffic, requests, latency, and the faults in between.

`request_log` builds the full log of a model; `latency_log` is the short way for one that wants latency
only, in memory, for any seed, length, rate and fault. Both give the same log for the same seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rbnb.simulate import requests as made
from rbnb.simulate.latency import LatencyFault, stage_times
from rbnb.simulate.traffic import MINUTE, Surge, Traffic, arrivals, millis, per_minute

if TYPE_CHECKING:
    from rbnb.simulate.traffic import Floats, Millis

__all__ = ["END", "Scenario", "latency_log", "load_at", "request_log"]

#: When the sample fleet's logs end.
END = datetime(2026, 11, 19, 16, tzinfo=UTC)

# Capacity in mean loads: the weekly peak then uses about two thirds of it.
_CAPACITY = 3.4


@dataclass(frozen=True, slots=True)
class Scenario:
    """A model's traffic and what happens to it.

    Parameters
    ----------
    traffic
        When requests arrive.
    faults
        What makes them slow.
    version
        The model version at the start.
    rollouts
        Versions that follow, in order of time.
    label_delay
        How long until it is known what a request turned out to be.
    """

    traffic: Traffic
    faults: tuple[LatencyFault, ...] = ()
    version: str = "1.0.0"
    rollouts: tuple[made.Rollout, ...] = ()
    label_delay: timedelta = timedelta(days=2)


def load_at(traffic: Traffic, rate: Floats, at: Millis) -> Floats:
    """Return the share of capacity in use at each time, given the expected requests a minute."""
    minute = (at - millis(traffic.start)) // MINUTE
    return np.asarray(rate[minute] / (traffic.per_hour / 60 * _CAPACITY), dtype=np.float64)


def request_log(scenario: Scenario, seed: int) -> pd.DataFrame:
    """Simulate the whole request log: one row a request, sorted by time.

    Returns
    -------
    pandas.DataFrame
        ``ts`` (UTC), ``id``, ``host``, ``zone``, ``region``, ``channel``, ``version``, ``score``,
        ``decision``, ``label``, ``latency_ms``, its stages, ``status_code``, and the features.
    """
    at, log = _timed_requests(scenario, seed)
    inputs = made.features(at, log, seed)
    known_until = scenario.traffic.end - scenario.label_delay
    log.insert(1, "id", [f"rq-{number:08d}" for number in range(1, len(log) + 1)])
    outcome = made.outcome(at, inputs, known_until, seed)
    first = [*log.columns[: log.columns.get_loc("version") + 1]]
    return pd.concat([log[first], outcome, log.drop(columns=first), inputs], axis=1)


def latency_log(
    *,
    seed: int = 0,
    days: float = 21.0,
    end: datetime = END,
    per_hour: float = 220.0,
    trend_per_week: float = 0.0,
    seasonal: float = 1.0,
    faults: tuple[LatencyFault, ...] = (),
    surges: tuple[Surge, ...] = (),
    version: str = "1.0.0",
    rollouts: tuple[made.Rollout, ...] = (),
) -> pd.DataFrame:
    """Simulate a log of latencies without features or labels; 100,000 rows take well under a second.

    Parameters
    ----------
    seed
        The same seed gives the same log.
    days, end
        The span: `days` before `end`.
    per_hour
        Mean requests an hour.
    trend_per_week, seasonal, surges
        As in `Traffic`: growth a week, strength of the daily shape (0 to 1), spans with more traffic.
    faults
        What makes requests slow, `LatencyFault`.
    version, rollouts
        The version at the start and those that follow.

    Returns
    -------
    pandas.DataFrame
        ``ts`` (UTC), ``host``, ``zone``, ``region``, ``channel``, ``version``, ``latency_ms``, its
        stages, ``status_code``; sorted by time.

    Examples
    --------
    >>> log = latency_log(seed=1, days=1, per_hour=100)
    >>> bool(log["ts"].is_monotonic_increasing), sorted(log["zone"].unique().tolist())
    (True, ['a', 'b', 'c'])
    """
    traffic = Traffic(
        start=end - timedelta(days=days),
        end=end,
        per_hour=per_hour,
        trend_per_week=trend_per_week,
        seasonal=seasonal,
        surges=surges,
    )
    return _timed_requests(Scenario(traffic, faults, version, rollouts), seed)[1]


def _timed_requests(scenario: Scenario, seed: int) -> tuple[Millis, pd.DataFrame]:
    traffic = scenario.traffic
    rate = per_minute(traffic, seed)
    at = arrivals(traffic, rate, seed)
    requests = made.places(len(at), seed)
    requests["version"] = made.versions(at, requests["host"], scenario.version, scenario.rollouts)
    timing = stage_times(requests, at, load_at(traffic, rate, at), scenario.faults, seed)
    requests.insert(0, "ts", pd.to_datetime(at, unit="ms", utc=True))
    return at, pd.concat([requests, timing], axis=1)
