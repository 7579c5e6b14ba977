"""What surrounds a simulated model: the change log, infrastructure metrics, the call graph, an earlier blip.

None of it explains a fault of the data; it is what an honest log has beside the failure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rbnb.simulate.latency import LatencyFault
from rbnb.simulate.metrics import STEP_MINUTES, Series, metric_table
from rbnb.simulate.requests import HOSTS, Rollout
from rbnb.simulate.traffic import MINUTE, Traffic, millis, per_minute

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rbnb.simulate.business import Business

__all__ = ["CHANGE_COLUMNS", "Change", "blip", "changes", "dependencies", "metrics"]

#: time, kind (deploy, config, feature, schema, scale), what, who, link, segment
Change = tuple[datetime, str, str, str, str, str]
CHANGE_COLUMNS = ("time", "kind", "what", "who", "link", "segment")

_LINK = "https://example.com/changes/CHG-"


def blip(end: datetime) -> LatencyFault:
    """Return twenty slow minutes nine days before the end, long over."""
    start = end - timedelta(days=9, hours=4, minutes=40)
    return LatencyFault(start, start + timedelta(minutes=20), extra_ms=160, spread=0.5)


def changes(
    business: Business, rollouts: tuple[Rollout, ...], end: datetime, more: Iterable[Change], *, distractors: bool
) -> pd.DataFrame:
    """Return the change log in order of time: the rollouts, `more`, and with distractors what means nothing."""
    rows = list(more)
    for place, one in enumerate(rollouts):
        what = f"deploy {business.name} {one.version}"
        rows.append((one.start, "deploy", what, "ci-bot", f"{_LINK}{3190 + place}", f"version={one.version}"))
    rows += _harmless(business, end) if distractors else []
    table = pd.DataFrame(sorted(rows), columns=list(CHANGE_COLUMNS))
    return table.assign(time=pd.to_datetime(table["time"], utc=True).astype("datetime64[ms, UTC]"))


def _harmless(business: Business, end: datetime) -> list[Change]:
    day, hour = timedelta(days=1), timedelta(hours=1)
    idle, many = business.idle(), business.categories[-1].name
    rows = (
        (end - 19 * day, "config", "gateway: connection keep-alive 60 s", "platform", ""),
        (end - 16 * day + 2 * hour, "deploy", "deploy feature-service 2.8.1", "ci-bot", ""),
        (end - 13 * day - hour, "schema", f"{many}: three new values allowed", "data-platform", ""),
        (end - 11 * day + 3 * hour, "scale", "one more host in zone a", "platform", "zone=a"),
        (end - 8 * day, "feature", f"{idle}: refreshed daily instead of weekly", business.owner, ""),
        (end - 6 * day - 2 * hour, "config", "batch import: four workers", "data-platform", "source=import"),
        (end - 1 * day - 4 * hour, "scale", "profile-db: read replica added", "platform", ""),
        (end - 3.7 * hour, "config", "zone c: log level info", "platform", "zone=c"),
    )
    return [(at, kind, what, who, f"{_LINK}{3101 + 7 * n}", part) for n, (at, kind, what, who, part) in enumerate(rows)]


def dependencies(business: Business) -> pd.DataFrame:
    """Return the call graph: caller, callee."""
    name = business.name
    pairs = [("gateway", f"{name}/{host}") for host in HOSTS]
    pairs += [(f"{name}/{host}", f"feature-service/{host[0]}") for host in HOSTS]
    for zone in sorted({host[0] for host in HOSTS}):
        pairs += [(f"feature-service/{zone}", "feature-store"), (f"feature-service/{zone}", "profile-db")]
    pairs += [("feature-store", f"feed/{source}") for source in business.sources]
    return pd.DataFrame(pairs, columns=["caller", "callee"])


def metrics(business: Business, traffic: Traffic, seed: int) -> pd.DataFrame:
    """Return the infrastructure series, every five minutes: time, component, metric, value, segment."""
    rate = per_minute(traffic, seed)
    whole = len(rate) // STEP_MINUTES * STEP_MINUTES
    rate = rate[:whole].reshape(-1, STEP_MINUTES).mean(axis=1)
    at = millis(traffic.start) + np.arange(len(rate), dtype=np.int64) * STEP_MINUTES * MINUTE
    table = metric_table(_series(business, traffic), (), at, rate / rate.mean(), seed)
    return table.assign(time=pd.to_datetime(table["time"], unit="ms", utc=True))


def _series(business: Business, traffic: Traffic) -> tuple[Series, ...]:
    series = [Series("gateway", "requests_per_s", traffic.per_hour / 72, follows_load=1.0, noise=0.03)]
    for host in HOSTS:
        name, place = f"{business.name}/{host}", f"host={host}"
        series.append(Series(name, "cpu", 0.42, place, follows_load=0.5, noise=0.05))
    series += [
        Series(f"feature-service/{zone}", "latency_ms", 38, f"zone={zone}", follows_load=0.08, decimals=0)
        for zone in sorted({host[0] for host in HOSTS})
    ]
    series += [
        Series("feature-store", "latency_ms", 9, follows_load=0.1, noise=0.06, decimals=1),
        Series("profile-db", "latency_ms", 6, follows_load=0.1, noise=0.06, decimals=1),
    ]
    # deliveries of the upstream feeds, whatever is in them
    series += [
        Series(f"feed/{source}", "delay_s", 20, f"source={source}", noise=0.08, decimals=0)
        for source in business.sources
    ]
    return tuple(series)
