"""How long each request takes: four stages, the load on the queue, and the faults put in.

Rules: stages are lognormal, rounded to a tenth of a millisecond, and `latency_ms` is exactly their sum.
The queue follows the load as in an M/M/1 queue. A fault changes only the requests of its time and
segment. The gateway gives up after `TIMEOUT_MS`, and such a request is answered 504.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from rbnb.errors import UsageError
from rbnb.simulate.streams import stream
from rbnb.simulate.traffic import hour_of_week, millis

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from rbnb.simulate.traffic import Floats, Millis

__all__ = ["STAGES", "TIMEOUT_MS", "LatencyFault", "Stage", "stage_times", "strength", "where_matches"]

Stage = Literal["queue_ms", "features_ms", "inference_ms", "post_ms"]

#: Median in ms, spread (sigma of the logarithm) and swing over the day (share) of each stage.
STAGES: dict[Stage, tuple[float, float, float]] = {
    "queue_ms": (3.0, 0.5, 0.0),
    "features_ms": (38.0, 0.68, 0.04),
    "inference_ms": (21.0, 0.32, 0.02),
    "post_ms": (5.0, 0.4, 0.0),
}

TIMEOUT_MS = 1_500.0
_ERROR_SHARE = 0.0005


@dataclass(frozen=True, slots=True)
class LatencyFault:
    """Requests made slower from `onset` until `end`.

    Parameters
    ----------
    onset, end
        When; no end means it is still going on at the end of the data.
    where
        The segment it hits, ``zone=b`` or ``zone=b & channel=web``; ``""`` is everywhere.
    stage
        Which stage is slower.
    factor
        What the stage is multiplied by.
    extra_ms
        Median of what is added to the stage, in ms.
    spread
        Sigma of the logarithm of what is added; 0 adds the same to each request.
    share
        Share of the requests in the segment that are hit; below 1 only the tail moves.
    ramp
        How long it takes to grow to full strength.
    errors
        Additional share of requests that end in a 504.
    """

    onset: datetime
    end: datetime | None = None
    where: str = ""
    stage: Stage = "features_ms"
    factor: float = 1.0
    extra_ms: float = 0.0
    spread: float = 0.0
    share: float = 1.0
    ramp: timedelta = timedelta(0)
    errors: float = 0.0


def strength(fault: LatencyFault, at: Millis) -> Floats:
    """Return how strong `fault` is at each time, 0 to 1."""
    since = at - millis(fault.onset)
    ramp = max(fault.ramp / timedelta(milliseconds=1), 1.0)
    power = np.clip((since + 1) / ramp, 0.0, 1.0)
    if fault.end is not None:
        power[at >= millis(fault.end)] = 0.0
    return np.asarray(power, dtype=np.float64)


def where_matches(requests: pd.DataFrame, where: str) -> NDArray[np.bool_]:
    """Return which rows are in the segment `where`, written ``a=x & b=y``.

    Raises
    ------
    UsageError
        If it is not written so, or names a column that the requests lack.
    """
    hit = np.ones(len(requests), dtype=np.bool_)
    for part in where.split("&") if where else ():
        column, equals, value = part.strip().partition("=")
        if not equals or column not in requests:
            known = ", ".join(map(str, requests.columns))
            raise UsageError(f"{where!r} is no segment of the simulated requests", hint=f"columns: {known}")
        hit &= (requests[column] == value).to_numpy(dtype=np.bool_)
    return hit


def stage_times(
    requests: pd.DataFrame, at: Millis, load: Floats, faults: tuple[LatencyFault, ...], seed: int
) -> pd.DataFrame:
    """Draw the stages, their sum and the status of each request.

    Parameters
    ----------
    requests
        The attributes that faults choose by, one row a request.
    at
        When each request arrived, ms since 1970.
    load
        Share of the capacity in use at that time, 0 to about 1.
    faults
        What goes wrong, in order.

    Returns
    -------
    pandas.DataFrame
        The four stages and ``latency_ms`` in ms, and ``status_code``.
    """
    stages = {stage: _normal(stage, at, load, seed) for stage in STAGES}
    status = _random_errors(len(requests), seed)
    late: dict[Stage, NDArray[np.bool_]] = {"features_ms": status == 504}
    for number, fault in enumerate(faults):
        hit = strength(fault, at) * where_matches(requests, fault.where)
        failed = _inject(stages[fault.stage], hit, fault, stream(seed, "fault", str(number)))
        late[fault.stage] = late.get(fault.stage, failed) | failed
    _time_out(stages, late, status)
    table = pd.DataFrame({stage: np.round(values, 1) for stage, values in stages.items()}, index=requests.index)
    table.insert(0, "latency_ms", table.sum(axis=1).round(1))
    return table.assign(status_code=status)


def _normal(stage: Stage, at: Millis, load: Floats, seed: int) -> Floats:
    median, sigma, swing = STAGES[stage]
    busy = np.minimum(load, 0.96)
    daily = 1 + swing * np.cos(2 * np.pi * (hour_of_week(at) - 19) / 24)
    waiting = 1 + busy**2 / (1 - busy) if stage == "queue_ms" else 1.0
    noise = stream(seed, "latency", stage).normal(0, sigma, len(at))
    return np.asarray(median * daily * waiting * np.exp(noise), dtype=np.float64)


def _random_errors(n: int, seed: int) -> NDArray[np.int32]:
    rng = stream(seed, "latency", "errors")
    failed = rng.random(n) < _ERROR_SHARE
    return np.where(failed, rng.choice([500, 503, 504], n), 200).astype(np.int32)


def _inject(values: Floats, hit: Floats, fault: LatencyFault, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Slow `values` down in place; return which requests fail outright."""
    n = len(values)
    chosen = hit * (rng.random(n) < fault.share)
    values += chosen * (values * (fault.factor - 1) + fault.extra_ms * np.exp(rng.normal(0, fault.spread, n)))
    return np.asarray(rng.random(n) < fault.errors * hit, dtype=np.bool_)


def _time_out(stages: dict[Stage, Floats], late: dict[Stage, NDArray[np.bool_]], status: NDArray[np.int32]) -> None:
    """Let failed requests wait in their stage until the gateway gives up, and cut what would take longer."""
    for stage, failed in late.items():
        stages[stage] += failed * np.maximum(TIMEOUT_MS - _total(stages), 0)
    over = np.maximum(_total(stages) - TIMEOUT_MS, 0)
    longest = np.argmax(np.stack(list(stages.values())), axis=0)
    for place, stage in enumerate(stages):
        stages[stage] -= np.where(longest == place, over, 0)
    status[_total(stages) > TIMEOUT_MS - 0.05] = 504


def _total(stages: dict[Stage, Floats]) -> Floats:
    return np.asarray(sum(stages.values()), dtype=np.float64)
