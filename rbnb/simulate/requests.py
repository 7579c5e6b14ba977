"""What each request is: where it ran, who asked, what the model saw, what it said, what turned out.

Rules: a host is in one zone. The score follows from the features and is calibrated: a request scored
0.3 turns out to be fraud three times in ten. The true label is known only after a delay. Values are
rounded to what a real log would hold, which also keeps the files small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rbnb.simulate.streams import stream
from rbnb.simulate.traffic import hour_of_week, millis

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from numpy.typing import NDArray

    from rbnb.simulate.traffic import Floats, Millis

__all__ = ["CATEGORICAL", "HOSTS", "NUMERICAL", "Rollout", "features", "outcome", "places", "versions"]

NUMERICAL = (
    "amount",
    "merchant_risk",
    "account_age_days",
    "tx_count_24h",
    "amount_ratio_30d",
    "distance_km",
    "hour_local",
    "device_age_days",
)
CATEGORICAL = ("mcc_group", "card_type", "country", "device_os")

#: Share of the traffic on each host; the letter is its zone.
HOSTS = {"a-1": 0.13, "a-2": 0.125, "a-3": 0.125, "b-1": 0.14, "b-2": 0.135, "b-3": 0.135, "c-1": 0.11, "c-2": 0.1}
_REGIONS = {"eu-west": 0.42, "eu-south": 0.23, "us-east": 0.25, "apac": 0.10}
_CHANNELS = {"pos": 0.46, "web": 0.34, "app": 0.20}
_UTC_OFFSET = {"eu-west": 0, "eu-south": 1, "us-east": -5, "apac": 8}
_COUNTRIES = {
    "eu-west": {"FR": 0.3, "DE": 0.3, "NL": 0.15, "GB": 0.25},
    "eu-south": {"IT": 0.45, "ES": 0.4, "GR": 0.15},
    "us-east": {"US": 0.85, "CA": 0.15},
    "apac": {"AU": 0.4, "JP": 0.3, "SG": 0.3},
}
_MERCHANTS = {
    "pos": {"grocery": 0.4, "fuel": 0.2, "restaurant": 0.25, "retail": 0.15},
    "web": {"retail": 0.4, "travel": 0.15, "digital": 0.3, "electronics": 0.15},
    "app": {"digital": 0.4, "restaurant": 0.25, "retail": 0.25, "travel": 0.1},
}
_DEVICES = {
    "pos": {"terminal": 1.0},
    "web": {"windows": 0.5, "macos": 0.2, "android": 0.2, "linux": 0.1},
    "app": {"android": 0.55, "ios": 0.45},
}
_CARDS = {"debit": 0.55, "credit": 0.35, "prepaid": 0.1}
_RISKY = {"digital": 0.5, "electronics": 0.7, "travel": 0.4, "grocery": -0.6, "fuel": -0.4}


@dataclass(frozen=True, slots=True)
class Rollout:
    """A version that goes to all hosts one after the other, from `start`, done after `takes`."""

    version: str
    start: datetime
    takes: timedelta


def places(n: int, seed: int) -> pd.DataFrame:
    """Draw host, zone, region and channel of `n` requests."""
    rng = stream(seed, "places")
    host = _draw(rng, HOSTS, n)
    return pd.DataFrame(
        {
            "host": host,
            "zone": np.array([name[0] for name in HOSTS])[np.searchsorted(list(HOSTS), host)],
            "region": _draw(rng, _REGIONS, n),
            "channel": _draw(rng, _CHANNELS, n),
        }
    )


def versions(at: Millis, host: pd.Series, first: str, rollouts: tuple[Rollout, ...]) -> NDArray[np.str_]:
    """Return the model version that answered each request: `first`, until a rollout reached the host."""
    version = np.full(len(at), first, dtype=object)
    place = np.searchsorted(list(HOSTS), host.to_numpy(dtype=str))
    for rollout in rollouts:
        step = rollout.takes.total_seconds() * 1000 / len(HOSTS)
        version[at >= millis(rollout.start) + place * step] = rollout.version
    return version.astype(str)


def features(at: Millis, requests: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Draw the twelve inputs of the model for requests with a region and a channel."""
    rng = stream(seed, "features")
    n = len(at)
    merchant = _draw_by(rng, requests["channel"], _MERCHANTS)
    home = rng.random(n) < 0.85
    offset = requests["region"].map(_UTC_OFFSET).to_numpy(dtype=np.int64)
    table = {
        "amount": _digits(np.exp(rng.normal(3.4, 0.95, n) + 0.5 * _risk(merchant)), 2),
        "merchant_risk": np.round(rng.beta(2, 8, n), 2),
        "account_age_days": _digits(np.exp(rng.normal(6.5, 0.9, n)), 2).astype(np.int32),
        "tx_count_24h": rng.negative_binomial(2, 0.4, n).astype(np.int32),
        "amount_ratio_30d": _digits(np.exp(rng.normal(0, 0.6, n)), 2),
        "distance_km": _digits(np.exp(np.where(home, rng.normal(1.2, 0.8, n), rng.normal(5.5, 1.0, n))), 2),
        "hour_local": ((hour_of_week(at) // 1).astype(np.int64) + offset) % 24,
        "device_age_days": _digits(np.exp(rng.normal(5.3, 1.0, n)), 2).astype(np.int32),
        "mcc_group": merchant,
        "card_type": _draw(rng, _CARDS, n),
        "country": _draw_by(rng, requests["region"], _COUNTRIES),
        "device_os": _draw_by(rng, requests["channel"], _DEVICES),
    }
    return pd.DataFrame(table, index=requests.index).astype({"hour_local": np.int32})


def outcome(at: Millis, inputs: pd.DataFrame, known_until: datetime, seed: int) -> pd.DataFrame:
    """Score each request, decide on it, and draw what it turned out to be where that is known.

    Parameters
    ----------
    at
        When each request arrived, ms since 1970.
    inputs
        The features.
    known_until
        Requests from then on have no label yet.

    Returns
    -------
    pandas.DataFrame
        ``score`` (0 to 1), ``decision`` (approve, review, decline), ``label`` (0, 1 or missing).
    """
    score = np.round(1 / (1 + np.exp(-_log_odds(inputs))), 4)
    label = (stream(seed, "labels").random(len(at)) < score).astype(np.int8)
    decision = np.select([score >= 0.5, score >= 0.15], ["decline", "review"], "approve")
    known = pd.Series(label, index=inputs.index, dtype="Int8").where(at < millis(known_until))
    return pd.DataFrame({"score": score, "decision": decision, "label": known}, index=inputs.index)


def _log_odds(inputs: pd.DataFrame) -> Floats:
    """Fraud is dearer, farther, at riskier merchants, on young accounts and devices, and at night."""
    night = inputs["hour_local"].isin([0, 1, 2, 3, 4]).to_numpy(dtype=np.float64)
    odds = (
        -5.65
        + 0.65 * (np.log(inputs["amount"]) - 3.4)
        + 7.5 * (inputs["merchant_risk"] - 0.2)
        - 0.75 * (np.log(inputs["account_age_days"] + 1) - 6.5)
        + 0.14 * (inputs["tx_count_24h"] - 3)
        + 0.8 * np.log(inputs["amount_ratio_30d"])
        + 0.45 * (np.log(inputs["distance_km"] + 1) - 2)
        - 0.5 * (np.log(inputs["device_age_days"] + 1) - 5.3)
        + 1.0 * (inputs["card_type"] == "prepaid")
        + 0.7 * night
        + 0.9 * _risk(inputs["mcc_group"].to_numpy(dtype=str))
    )
    return np.asarray(odds, dtype=np.float64)


def _risk(merchant: NDArray[np.str_]) -> Floats:
    names = sorted(set(merchant.tolist()))
    return np.array([_RISKY.get(name, 0.0) for name in names])[np.searchsorted(names, merchant)]


def _draw(rng: np.random.Generator, shares: Mapping[str, float], n: int) -> NDArray[np.str_]:
    edges = np.cumsum(list(shares.values()))
    return np.array(list(shares))[np.searchsorted(edges[:-1], rng.random(n), side="right")]


def _draw_by(
    rng: np.random.Generator, groups: pd.Series, shares: Mapping[str, Mapping[str, float]]
) -> NDArray[np.str_]:
    """Draw from the shares of each row's group; every group draws for all rows, so groups stay independent."""
    drawn = {group: _draw(rng, own, len(groups)) for group, own in shares.items()}
    column = groups.to_numpy(dtype=str)
    return np.select([column == group for group in drawn], list(drawn.values()), "")


def _digits(values: Floats, digits: int) -> Floats:
    """Round to that many significant digits, at most two decimals."""
    places = digits - 1 - np.floor(np.log10(np.maximum(values, 10.0 ** (digits - 3))))
    scale = 10.0**places
    return np.round(np.round(values * scale) / scale, 2)
