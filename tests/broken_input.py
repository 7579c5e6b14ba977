"""Request logs with one thing wrong each, for the promise that nothing broken reads as healthy.

The good log is three weeks of a quiet service. A fault sits in the `whole` log, in its newest file (`new`) or in
the older one (`old`), beside a good one. Each fault is a function of the rows and of the file they go to; most
change the rows and write them as parquet.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

END = datetime(2026, 11, 2, tzinfo=UTC)
WHOLE, NEW, OLD = "whole", "new", "old"
#: How much of the log the newest file holds.
NEWEST = timedelta(hours=6)


def good_rows(days=21, every="2min"):
    """Return a quiet log that ends at END: ts, id, latency_ms, status, zone."""
    ts = pd.date_range(END - timedelta(days=days), END, freq=every, inclusive="left", unit="us")
    random = np.random.default_rng(5)
    latency = (50 + random.gamma(4, 5, len(ts))).round(3)
    ids = [f"r{number}" for number in range(len(ts))]
    return pd.DataFrame(
        {"ts": ts, "id": ids, "latency_ms": latency, "status": 200, "zone": random.choice(["a", "b"], len(ts))}
    )


def write_model(folder, **more):
    """Write the workspace and the model file that maps `log/*`."""
    (folder / "models").mkdir(parents=True, exist_ok=True)
    (folder / "log").mkdir(exist_ok=True)
    (folder / "rbnb.toml").write_text("[workspace]\n")
    columns = {"timestamp": "ts", "request_id": "id", "latency_ms": "latency_ms", "status_code": "status"}
    log = {"table": "../log/*.parquet", "columns": columns, "segments": ["zone"], **more.pop("log", {})}
    model = {"name": "svc", "logs": {"predictions": log}, "recording": {"until": END.isoformat()}, **more}
    model = {key: value for key, value in model.items() if value is not None}
    (folder / "models" / "svc.yaml").write_text(yaml.safe_dump(model, sort_keys=False))


def parquet(change):
    """Return a fault that changes the rows and writes them."""

    def write(rows, path):
        change(rows.copy()).to_parquet(path, index=False)

    return write


def latency(make):
    """Return a fault that replaces the latencies."""
    return parquet(lambda rows: rows.assign(latency_ms=make(rows)))


def times(make):
    """Return a fault that replaces the timestamps."""
    return parquet(lambda rows: rows.assign(ts=make(rows["ts"])))


def some(value):
    """Return latencies of which one in five is `value`."""

    def make(rows):
        return np.where(np.arange(len(rows)) % 5 == 0, value, rows["latency_ms"])

    return make


def truncated(rows, path):
    """Write half of a parquet file, as a writer that was killed leaves it."""
    rows.to_parquet(path, index=False)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def real_nan(rows, path):
    """Write NaN as a number into one latency of five, where pandas would write null."""
    table = pa.Table.from_pandas(rows.drop(columns="latency_ms"), preserve_index=False)
    pq.write_table(table.append_column("latency_ms", pa.array(some(np.nan)(rows))), path)


FAULTS = {
    "missing": lambda _rows, _path: None,
    "zero bytes": lambda _rows, path: path.write_bytes(b""),
    "no rows": parquet(lambda rows: rows.iloc[:0]),
    "directory": lambda _rows, path: path.mkdir(),
    "truncated": truncated,
    "garbage": lambda _rows, path: path.write_bytes(b"\x1f\x8b\x08" + bytes(range(256)) * 40),
    "text latency": latency(lambda rows: rows["latency_ms"].astype(str)),
    "words": latency(lambda rows: ["slow"] * len(rows)),
    "all NaN": latency(lambda _: np.nan),
    "all null": latency(lambda rows: pd.array([None] * len(rows), dtype="Float64")),
    "constant": latency(lambda _: 60.0),
    "zero": latency(lambda _: 0.0),
    "duplicated ids": parquet(lambda rows: pd.concat([rows, rows], ignore_index=True)),
    "one id": parquet(lambda rows: rows.assign(id="r0")),
    "future": times(lambda ts: ts + pd.Timedelta(days=400)),
    "stale": times(lambda ts: ts - pd.Timedelta(days=7)),
    "all inf": latency(lambda _: np.inf),
    "some NaN": latency(some(np.nan)),
    "some real NaN": real_nan,
    "some inf": latency(some(np.inf)),
    "negative": latency(lambda rows: -rows["latency_ms"]),
    "some negative": latency(some(-1.0)),
    "sentinel": latency(lambda _: 1e300),
    "renamed": parquet(lambda rows: rows.rename(columns={"latency_ms": "duration"})),
    "text times": times(lambda ts: ts.astype(str)),
    "naive times": times(lambda ts: ts.dt.tz_localize(None)),
    "integer times": times(lambda ts: ts.astype("int64") // 1000),
    "null times": times(lambda ts: pd.Series(pd.NaT, index=ts.index).dt.tz_localize("UTC")),
    "one time": times(lambda ts: ts.max()),
    "two rows": parquet(lambda rows: rows.iloc[-2:]),
    "half the window": parquet(lambda rows: rows[rows["ts"] < END - timedelta(hours=1)]),
    "first half of the window missing": parquet(
        lambda rows: rows[(rows["ts"] < END - timedelta(hours=2)) | (rows["ts"] >= END - timedelta(minutes=55))]
    ),
}


def broken_log(folder, fault, where):
    """Write a workspace whose log has this fault in the whole log, the newest file or the older one."""
    write_model(folder)
    break_it = fault if callable(fault) else FAULTS[fault]
    rows = good_rows()
    newest = rows["ts"] >= END - NEWEST
    log = folder / "log"
    if where == WHOLE:
        break_it(rows, log / "all.parquet")
        return
    parts = {OLD: (rows[~newest], "1-old.parquet"), NEW: (rows[newest], "2-new.parquet")}
    for part, (some_rows, name) in parts.items():
        if part == where:
            break_it(some_rows, log / name)
        else:
            some_rows.to_parquet(log / name, index=False)


def unsorted(rows, path):
    """Write the rows in no order: nothing is wrong with them."""
    rows.sample(frac=1.0, random_state=3).to_parquet(path, index=False)
