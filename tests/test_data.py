"""Logs as tables: canonical names, nothing guessed, nothing dropped in silence, nothing written."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from broken_input import END, good_rows, write_model

from rbnb.data import LARGEST, ModelData, Span
from rbnb.errors import DataError
from rbnb.inventory import load_model_file

FIRST = int((END - timedelta(days=2)).timestamp())
LAST = int(END.timestamp())


def opened(root, rows=None, *, parts=(), **more):
    """Write a model and its log, and open it."""
    write_model(root, **more)
    for number, part in enumerate(parts or [good_rows(days=2) if rows is None else rows]):
        if isinstance(part, pa.Table):
            pq.write_table(part, root / "log" / f"{number}.parquet")
        else:
            part.to_parquet(root / "log" / f"{number}.parquet", index=False)
    path = root / "models" / "svc.yaml"
    return ModelData(load_model_file(path), path.parent)


def test_every_reduction_equals_what_pandas_says(tmp_path):
    """Counts, quantiles, sums and errors per bucket, against an independent implementation."""
    rows = good_rows(days=2).assign(status=lambda r: np.where(r.index % 7 == 0, 503, 200))
    found = opened(tmp_path, rows).series(FIRST, LAST, 3600)
    epoch = rows["ts"].astype("int64") // 10**6
    grouped = rows.groupby(epoch // 3600 * 3600)
    assert found["bucket"].tolist() == list(grouped.groups)
    assert found["n"].tolist() == grouped.size().tolist()
    assert found["errors"].tolist() == grouped["status"].agg(lambda s: int((s >= 500).sum())).tolist()
    for name, level in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        np.testing.assert_allclose(found[name], grouped["latency_ms"].quantile(level))
    np.testing.assert_allclose(found["total"], grouped["latency_ms"].sum())


def test_what_is_held_in_memory_gives_the_same_numbers(tmp_path):
    """Holding is for speed only, and the query that is shown names the log."""
    data = opened(tmp_path)
    before = data.series(FIRST, LAST, 600)
    data.hold(FIRST, LAST)
    pd.testing.assert_frame_equal(data.series(FIRST, LAST, 600), before)
    assert 'FROM "predictions"' in data.series_query(FIRST, LAST, 600)


def test_an_unusable_latency_is_counted_and_never_used(tmp_path):
    """Null, NaN, infinite, negative and absurd ones, each told apart from the others as far as it can be."""
    bad = [None, np.nan, np.inf, -np.inf, -1.0, LARGEST, 1e300]
    latencies = pa.array([None if v is None else float(v) for v in bad] + [10.0, 0.0, 30.0])
    rows = good_rows(days=2).iloc[-10:].drop(columns="latency_ms")
    table = pa.Table.from_pandas(rows, preserve_index=False).append_column("latency_ms", latencies)
    counted = opened(tmp_path, table).integrity(FIRST, LAST)
    assert (counted["rows"], counted["nulls"], counted["broken"]) == (10, 1, 6)
    assert (counted["lowest"], counted["highest"]) == (0.0, 30.0)
    assert opened(tmp_path, table).count(Span(FIRST, LAST)) == 3


def test_what_is_left_out_is_not_counted(tmp_path):
    """Earlier incidents do not enter what is normal."""
    data = opened(tmp_path)
    half = (FIRST + LAST) // 2
    whole, part = data.integrity(FIRST, LAST), data.integrity(FIRST, LAST, leave_out=((FIRST, half),))
    assert part["rows"] * 2 == whole["rows"]


def test_rows_from_the_future_are_counted_and_not_used(tmp_path):
    """The newest row is the newest before the clock."""
    rows = good_rows(days=2)
    rows.loc[rows.index[-5:], "ts"] += pd.Timedelta(days=3)
    extent = opened(tmp_path, rows).extent(END)
    assert extent.future == 5
    assert extent.last < END


AGREE = {
    "milliseconds and nanoseconds": lambda r: r.assign(ts=r["ts"].astype("datetime64[ms, UTC]")),
    "whole numbers": lambda r: r.assign(latency_ms=r["latency_ms"].astype("int64")),
    "another order of columns": lambda r: r[r.columns[::-1]],
    "a column more": lambda r: r.assign(more=1),
    "null status": lambda r: r.assign(status=None),
    "categories": lambda r: r.assign(zone=r["zone"].astype("category")),
}


@pytest.mark.parametrize("how", AGREE)
def test_files_that_mean_the_same_are_one_table(tmp_path, how):
    """Width, precision, order and further columns may differ."""
    rows = good_rows(days=2)
    data = opened(tmp_path, parts=[rows.iloc[:700], AGREE[how](rows.iloc[700:])])
    assert data.extent(END).rows == len(rows)
    assert data.series(FIRST, LAST, 3600)["n"].sum() == len(rows)


DIFFER = {
    "a text for a number": (lambda r: r.assign(latency_ms=r["latency_ms"].astype(str)), "'latency_ms' is text in"),
    "a time without a zone": (lambda r: r.assign(ts=r["ts"].dt.tz_localize(None)), "'ts' is a time without a zone in"),
    "a text for a time": (lambda r: r.assign(ts=r["ts"].astype(str)), "'ts' is text in"),
    "no such column": (lambda r: r.drop(columns="status"), "'status' is absent in"),
    "a number for a segment": (lambda r: r.assign(zone=1), "'zone' is a number in"),
}


@pytest.mark.parametrize("how", DIFFER)
@pytest.mark.parametrize("first", [True, False])
def test_files_that_differ_are_refused_by_name(tmp_path, how, first):
    """Whichever comes first: no engine may turn the one into the other."""
    change, message = DIFFER[how]
    rows = good_rows(days=2)
    parts = [rows.iloc[:700], change(rows.iloc[700:])]
    with pytest.raises(DataError) as refused:
        opened(tmp_path, parts=parts if not first else parts[::-1]).check()
    column = message.split(" is ")[0]
    assert column in refused.value.message
    assert refused.value.hint


def test_nothing_is_ever_written(tmp_path):
    """Reading, reducing and holding leave every file as it was."""
    data = opened(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    data.check()
    data.hold(FIRST, LAST)
    data.series(FIRST, LAST, 300)
    data.integrity(FIRST, LAST)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_digest_follows_the_content(tmp_path):
    """Same files, same digest; one byte, another."""
    from rbnb.model import Window

    data = opened(tmp_path)
    window = Window(END - timedelta(hours=2), END)
    (one,) = data.materials(window, Window(END - timedelta(days=1), window.start))
    (again,) = data.materials(window, Window(END - timedelta(days=1), window.start))
    assert one == again
    good_rows(days=2).assign(status=201).to_parquet(tmp_path / "log" / "0.parquet", index=False)
    (other,) = data.materials(window, Window(END - timedelta(days=1), window.start))
    assert other.digest != one.digest


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("../log/*.txt", "ends in .txt; known are"),
        ("../log/*.parquet.gz", "ends in .gz"),
        ("../nowhere/*.parquet", "no file matches"),
        ("requests", "cannot be read"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, table, message):
    """With what is known, or where paths start."""
    with pytest.raises(DataError, match=message) as refused:
        opened(tmp_path, log={"table": table}).check()
    assert refused.value.hint
