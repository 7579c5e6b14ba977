"""Raw rows, exact counts and schemas of logs in which columns are not what they should be."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from rbnb.data import ModelData, Span
from rbnb.inventory import load_model_file

START = datetime(2026, 11, 1, tzinfo=UTC)
T0 = int(START.timestamp())
ALL = Span(T0, T0 + 100 * 86_400)


def log(n=100, **columns):
    """Return a small log of requests a minute apart."""
    times = [START + timedelta(minutes=i) for i in range(n)]
    return {"ts": times, "id": [f"r{i}" for i in range(n)], "feed": ["a", "b"] * (n // 2), **columns}


def opened(folder, *tables, numerical=("x",), categorical=("c",), suffix="parquet"):
    """Write tables as files of one log and open it."""
    (folder / "log").mkdir(exist_ok=True)
    for i, table in enumerate(tables):
        path = folder / "log" / f"{i}.{suffix}"
        if suffix == "csv":
            pd.DataFrame(table).to_csv(path, index=False)
        else:
            pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path)
    features = {"numerical": list(numerical), "categorical": list(categorical)}
    predictions = {
        "table": f"log/*.{suffix}",
        "columns": {"timestamp": "ts", "request_id": "id"},
        "segments": ["feed"],
        "features": features,
    }
    path = folder / "model.yaml"
    path.write_text(yaml.safe_dump({"name": "model", "logs": {"predictions": predictions}}))
    return ModelData(load_model_file(path), folder)


def test_nulls_nan_and_infinities_are_counted_apart(tmp_path):
    """What pandas calls the same is three things in a log, and the finite extremes are told without them."""
    values = pa.array([None, None, float("nan"), float("inf"), float("-inf")] + [1.0] * 94 + [7.0], from_pandas=False)
    data = opened(tmp_path, log(x=values, c=["u"] * 100))
    counts = data.column_counts(ALL)["x"]
    assert (counts["nulls"], counts["nan"], counts["infinite"], counts["unreadable"]) == (2, 1, 2, 0)
    assert (counts["lowest"], counts["highest"], counts["rows"]) == (1.0, 7.0, 100)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, 2, None, 4] * 25, pa.int64()),
        pa.array([1, 2, None, 4] * 25, pa.decimal128(5, 0)),
        pa.array([True, False, None, True] * 25),
        pa.array(["1", "2", None, "4"] * 25),
        pa.array(["1", "2", None, "4"] * 25).dictionary_encode(),
    ],
    ids=["integer", "decimal", "boolean", "text", "category"],
)
def test_any_kind_of_number_is_read_as_one(tmp_path, values):
    """Nullable integers, decimals, booleans and numbers in text all arrive as floats with NaN for none."""
    data = opened(tmp_path, log(x=values, c=["u"] * 100))
    held = data.raw_rows(ALL)["number_x"].to_numpy(float)
    assert np.isnan(held).sum() == 25
    assert held[0] == 1.0


def test_files_of_different_types_are_read_together(tmp_path):
    """A column that is text in the second file and gone in the third is told by file, and nothing else is lost."""
    third = log(c=["u"] * 100, new=[1.5] * 100)
    data = opened(tmp_path, log(x=[1.0] * 100, c=["u"] * 100), log(x=["2.5"] * 99 + ["oops"], c=["u"] * 100), third)
    assert [file.kinds.get("x") for file in data.file_schemas] == ["a number", "text", None]
    assert data.extra_columns == ["new"]
    assert data.file_schemas[0].first == T0
    assert data.column_counts(ALL)["x"]["unreadable"] == 1
    rows = data.raw_rows(ALL)
    assert len(rows) == 300
    assert (rows["number_x"] == 2.5).sum() == 99
    assert rows["text_c"].notna().all()


def test_a_column_that_no_file_has_stops_no_other(tmp_path):
    """It is simply not among the rows and counts; the declared others are."""
    data = opened(tmp_path, log(c=["u"] * 100), numerical=("x", "gone"))
    assert set(data.column_counts(ALL)) == {"c"}
    assert "number_x" not in data.raw_rows(ALL)


def test_nested_columns_are_left_out(tmp_path):
    """A list is neither a number nor a category, and reading goes on."""
    data = opened(tmp_path, log(x=[[1.0, 2.0]] * 100, c=["u"] * 100))
    assert "number_x" not in data.raw_rows(ALL)
    assert data.column_types["x"].startswith("array")


def test_counts_agree_with_pandas(tmp_path):
    """What the engine counts is what pandas counts over the same rows."""
    rng = np.random.default_rng(2)
    x = np.where(rng.random(400) < 0.2, np.nan, rng.integers(0, 30, 400).astype(float))
    table = log(400, x=pa.array(x, from_pandas=True), c=rng.choice(["u", "v", None], 400).tolist())
    counts = opened(tmp_path, table).column_counts(ALL)
    frame = pd.DataFrame({"x": x, "c": table["c"]})
    for name in ("x", "c"):
        assert counts[name]["nulls"] == frame[name].isna().sum()
        assert counts[name]["distinct"] == frame[name].nunique()


def test_volume_and_repeats(tmp_path):
    """Requests by bucket and slice add up to all, and repeated ids are counted."""
    table = log(100, x=[1.0] * 100, c=["u"] * 100)
    table["id"][5] = table["id"][4]
    data = opened(tmp_path, table)
    whole, parts = data.volume(T0, T0 + 6000, 600), data.volume(T0, T0 + 6000, 600, by="feed")
    assert whole["n"].tolist() == [10] * 10
    assert parts.groupby("bucket")["n"].sum().tolist() == [10] * 10
    assert data.repeated_rows(ALL) == {"rows": 100, "with_id": 100, "ids": 99, "distinct": 2}


def test_more_rows_than_the_limit_are_thinned_the_same_way(tmp_path):
    """The sample is repeatable, keeps repeated ids together, and says of how many."""
    data = opened(tmp_path, log(1000, x=[1.0] * 1000, c=["u"] * 1000))
    one, two = data.raw_rows(ALL, limit=300), data.raw_rows(ALL, limit=300)
    assert one["request_id"].tolist() == two["request_id"].tolist()
    assert one.attrs["of"] == 1000
    assert 200 < len(one) < 400


def test_text_files_have_no_footers(tmp_path):
    """A log in CSV is read as well; only the files' own schemas are not known."""
    data = opened(tmp_path, log(x=[1.0] * 100, c=["u"] * 100) | {"ts": ["2026-11-01T00:00:00Z"] * 100}, suffix="csv")
    assert data.file_schemas == []
    assert data.column_counts(ALL)["x"]["distinct"] == 1
