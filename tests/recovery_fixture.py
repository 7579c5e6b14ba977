"""The sample incident's logs, going on: what fraud-v3 would have logged after somebody contained it."""

import dataclasses
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from rbnb.simulate import SEED, fraud
from rbnb.simulate.files import write_table
from rbnb.simulate.log import END, request_log
from rbnb.simulate.metrics import STEP_MINUTES, metric_table
from rbnb.simulate.traffic import MINUTE, millis, per_minute


def go_on(root: Path, contained: datetime, until: datetime) -> None:
    """Write what fraud-v3 logs from the end of the recording until `until`, with the fault over at `contained`.

    `root` is a workspace with the sample fleet. The recording then ends at `until`, and so does its "now".
    """
    story = fraud.scenario()
    traffic = dataclasses.replace(story.traffic, end=until)
    faults = tuple(dataclasses.replace(f, end=f.end or contained) for f in story.faults)
    log = request_log(dataclasses.replace(story, traffic=traffic, faults=faults), SEED)
    later = log[log["ts"] >= END].reset_index(drop=True)
    folder = root / fraud.NAME
    write_table(later, fraud.PREDICTION_TYPES, folder / "predictions" / "2026-11-19-later.parquet", level=1)
    rate = per_minute(traffic, SEED).reshape(-1, STEP_MINUTES).mean(axis=1)
    at = millis(fraud.START) + np.arange(len(rate), dtype=np.int64) * STEP_MINUTES * MINUTE
    over = tuple(dataclasses.replace(f, end=f.end or contained) for f in fraud._metric_faults())
    table = metric_table(fraud._series(), over, at, rate / rate.mean(), SEED)
    table = table.assign(time=pd.to_datetime(table["time"], unit="ms", utc=True))
    before = fraud.metrics(SEED)
    both = pd.concat([before, table[table["time"] >= END]], ignore_index=True)
    write_table(both, fraud.METRIC_TYPES, folder / "metrics.parquet", level=1)
    file = root / "models" / f"{fraud.NAME}.yaml"
    text = file.read_text(encoding="utf-8")
    assert "until: 2026-11-19T16:00:00Z" in text
    file.write_text(text.replace("until: 2026-11-19T16:00:00Z", f"until: {until:%Y-%m-%dT%H:%M:%SZ}"), encoding="utf-8")
