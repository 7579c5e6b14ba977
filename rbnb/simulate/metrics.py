"""Infrastructure and dependency series: what monitoring saw of hosts, services and stores.

Rules: one value every five minutes and series, at the start of the span it covers. A series follows the
load as much as its kind does, with noise that remembers a little. A `MetricFault` multiplies one
series for a while; several of them tell a story of cause and symptoms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rbnb.simulate.streams import stream
from rbnb.simulate.traffic import millis

if TYPE_CHECKING:
    from datetime import datetime

    from rbnb.simulate.traffic import Floats, Millis

__all__ = ["STEP_MINUTES", "MetricFault", "Series", "metric_table"]

STEP_MINUTES = 5
_MEMORY = 0.5


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one component.

    Parameters
    ----------
    component, metric
        What is measured where, such as ``feature-store/b`` and ``latency_ms``.
    level
        Its usual value, in the metric's unit.
    segment
        The part of the traffic it serves, ``zone=b``; ``""`` is all.
    follows_load
        0 for a level that load does not move, 1 for one proportional to it.
    noise
        Standard deviation of the logarithm.
    decimals
        What monitoring rounds to.
    """

    component: str
    metric: str
    level: float
    segment: str = ""
    follows_load: float = 0.0
    noise: float = 0.05
    decimals: int = 2


@dataclass(frozen=True, slots=True)
class MetricFault:
    """A series multiplied by `factor` from `onset` until `end`, or until the data ends."""

    component: str
    metric: str
    onset: datetime
    factor: float
    end: datetime | None = None


def metric_table(
    series: tuple[Series, ...], faults: tuple[MetricFault, ...], at: Millis, load: Floats, seed: int
) -> pd.DataFrame:
    """Draw every series at the times `at` under `load` (1 is the usual load).

    Returns
    -------
    pandas.DataFrame
        ``time`` (ms since 1970), ``component``, ``metric``, ``value``, ``segment``; series by series.
    """
    values = np.stack([_one(one, load, seed) for one in series], axis=1)
    for fault in faults:
        hit = at >= millis(fault.onset)
        if fault.end is not None:
            hit &= at < millis(fault.end)
        for column, one in enumerate(series):
            if (one.component, one.metric) == (fault.component, fault.metric):
                values[hit, column] *= fault.factor
    n = len(at)
    return pd.DataFrame(
        {
            "time": np.tile(at, len(series)),
            "component": np.repeat([one.component for one in series], n),
            "metric": np.repeat([one.metric for one in series], n),
            "value": np.concatenate([np.round(values[:, i], one.decimals) for i, one in enumerate(series)]),
            "segment": np.repeat([one.segment for one in series], n),
        }
    )


def _one(one: Series, load: Floats, seed: int) -> Floats:
    shocks = stream(seed, "metric", one.component, one.metric).normal(0, one.noise, len(load))
    noise = np.empty_like(shocks)
    level = 0.0
    for i, shock in enumerate(shocks * np.sqrt(1 - _MEMORY**2)):
        level = _MEMORY * level + shock
        noise[i] = level
    return np.asarray(one.level * (1 + one.follows_load * (load - 1)) * np.exp(noise), dtype=np.float64)
