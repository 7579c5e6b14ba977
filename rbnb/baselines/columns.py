"""What is usual of the columns of a request log in each hour of the week, whatever a policy makes of it.

Volume, share of nulls a feature, mean score: a band an hour, that a healthy hour leaves at a chosen rate on each
side. Rules: an hour with too few rows has no share and no mean; an hour without rows has a volume, which is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbnb.baselines.limits import ENOUGH, Learned, learn
from rbnb.baselines.windows import HOUR, touching
from rbnb.policy.learned import hour_of_week

if TYPE_CHECKING:
    from rbnb.baselines.windows import Floats, Spans
    from rbnb.data.hourly import Hourly

__all__ = ["Band", "learn_columns"]

#: Rows in an hour from which a share or a mean says something.
_ROWS = 20


@dataclass(frozen=True, slots=True)
class Band:
    """What is usual of one quantity: the lower and the upper limit an hour of the week, and the median."""

    name: str
    where: str
    unit: str
    low: Floats
    usual: Floats
    high: Floats
    n: int


def learn_columns(
    data: Hourly, span: tuple[int, int], *, leave_out: Spans, rate: float
) -> tuple[list[Band], dict[str, str]]:
    """Learn the bands, and say of which quantity there is none and why.

    Parameters
    ----------
    data
        The model's logs.
    span
        Epoch seconds, full hours.
    leave_out
        Stretches that are not learned from.
    rate
        Share of healthy hours that may lie beyond each limit.
    """
    import pandas as pd

    frame = data.hourly_counts(*span).set_index("hour").reindex(pd.RangeIndex(*span, HOUR))
    n = frame["n"].fillna(0).to_numpy(dtype=float)
    start = np.asarray(frame.index, dtype=np.int64)
    usable = ~touching(start, start + HOUR, leave_out)
    quantities: list[tuple[str, str, str, Floats]] = [("volume", "", "count", n)]
    enough = np.where(n >= _ROWS, n, np.nan)
    for name in frame.columns:
        if name.startswith("null|"):
            nulls = frame[name].to_numpy(dtype=float)
            quantities.append(("null_share", f"feature={name.removeprefix('null|')}", "share", nulls / enough))
    if "scores" in frame:
        scores = frame["scores"].to_numpy(dtype=float)
        means = frame["score"].to_numpy(dtype=float) / np.where(scores >= _ROWS, scores, np.nan)
        quantities.append(("score_mean", "", "score", means))
    end = start + HOUR
    hour = np.array([hour_of_week(float(one)) for one in end], dtype=np.int64)
    bands, missing = [], {}
    for name, where, unit, value in quantities:
        told = f"{name} {where}".strip()
        healthy = np.where(usable, value, np.nan)
        if (seen := int(np.isfinite(healthy).sum())) < ENOUGH:
            missing[told] = f"{seen} healthy hours with at least {_ROWS} rows, and {ENOUGH} are needed"
            continue
        both: list[Learned] = [
            learn(end, hour, healthy, unit=unit, direction=side, rates=(rate,)) for side in ("below", "above")
        ]
        low, high = (one.limits[rate] for one in both)
        bands.append(Band(name, where, unit, low, both[0].usual, high, seen))
    return bands, missing
