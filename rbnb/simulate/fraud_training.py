"""What fraud-v3 learns from, and its inputs as the offline store works them out: nothing is wrong in them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rbnb.simulate import requests as made
from rbnb.simulate.log import END
from rbnb.simulate.streams import stream
from rbnb.simulate.traffic import millis
from rbnb.simulate.training import batches, lineage, moments
from rbnb.simulate.world import pick

if TYPE_CHECKING:
    from rbnb.simulate.traffic import Millis

__all__ = ["tables"]

_VERSIONS = ("3.3.0", "3.4.1", "3.5.0")
_SOURCES = {"chargebacks": 0.5, "case-review": 0.22, "bank-reports": 0.18, "merchants": 0.1}
_ROWS = 6_000
_TRUSTED = 600
_RECOMPUTED = 3_000


def tables(log: pd.DataFrame, seed: int) -> dict[str, pd.DataFrame]:
    """Return training, lineage, trusted and recomputed for the request log `log`."""
    return {
        "training": _training(seed),
        "lineage": _timed(lineage(_VERSIONS, END), "time"),
        "trusted": _trusted(seed),
        "recomputed": _recomputed(log, seed),
    }


def _training(seed: int) -> pd.DataFrame:
    rng = stream(seed, "fraud", "training")
    at = moments(_ROWS, END, rng)
    table = _rows(at, seed + 1)
    table.insert(0, "row", [f"tr-{number:06d}" for number in range(1, _ROWS + 1)])
    table.insert(1, "ingested", at)
    table.insert(2, "source", pick(rng, _SOURCES, _ROWS))
    table.insert(3, "batch", batches(at, END))
    return _timed(table, "ingested")


def _trusted(seed: int) -> pd.DataFrame:
    start, end = millis(END - timedelta(days=60)), millis(END - timedelta(days=2))
    at = np.sort(stream(seed, "fraud", "trusted").integers(start, end, _TRUSTED))
    table = _rows(at, seed + 2)
    table.insert(0, "row", [f"ck-{number:05d}" for number in range(1, _TRUSTED + 1)])
    table.insert(1, "checked", at)
    return _timed(table, "checked")


def _recomputed(log: pd.DataFrame, seed: int) -> pd.DataFrame:
    recent = np.flatnonzero(log["ts"] >= END - timedelta(days=3))
    rows = np.sort(stream(seed, "fraud", "recomputed").choice(recent, _RECOMPUTED, replace=False))
    names = ["id", *made.NUMERICAL, *made.CATEGORICAL]
    return log.loc[rows, names].rename(columns={"id": "request_id"})


def _rows(at: Millis, seed: int) -> pd.DataFrame:
    inputs = made.features(at, made.places(len(at), seed), seed)
    return inputs.assign(label=made.outcome(at, inputs, END, seed)["label"].astype(np.int8))


def _timed(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table.assign(**{name: pd.to_datetime(table[name], unit="ms", utc=True)})
