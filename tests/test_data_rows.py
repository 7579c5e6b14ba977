"""Rows of features, scores and labels: what cannot be used is told, and never takes the rest down."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from broken_input import END, good_rows, write_model

from rbnb.data import ModelData, Span
from rbnb.errors import DataError
from rbnb.inventory import load_model_file
from rbnb.model import Window

FIRST = int((END - timedelta(days=2)).timestamp())
LAST = int(END.timestamp())
SPAN = Span(FIRST, LAST)
COLUMNS = {"timestamp": "ts", "request_id": "id", "prediction_proba": "score", "prediction": "out", "target": "label"}
FEATURES = {"numerical": ["amount", "age"], "categorical": ["shop", "member"]}


def rows(n=1440):
    """A log with two numbers, two categories, a score, a decision and a label for half of it."""
    random = np.random.default_rng(3)
    frame = good_rows(days=2).iloc[:n]
    score = random.random(len(frame))
    label = pd.array(np.where(np.arange(len(frame)) % 2, score > 0.5, None), dtype="Int8")
    return frame.assign(
        amount=random.lognormal(3, 1, len(frame)),
        age=random.integers(18, 90, len(frame)),
        shop=random.choice(["a", "b", "c"], len(frame)),
        member=random.random(len(frame)) < 0.3,
        score=score,
        out=np.where(score > 0.5, "review", "approve"),
        label=label,
    )


def opened(root, *parts, log=None, **more):
    """Write a model with its log in one file a part, and open it."""
    log = {"columns": COLUMNS, "features": FEATURES, **(log or {})}
    write_model(root, log=log, **more)
    for number, part in enumerate(parts or [rows()]):
        table = part if isinstance(part, pa.Table) else pa.Table.from_pandas(part, preserve_index=False)
        pq.write_table(table, root / "log" / f"{number}.parquet")
    path = root / "models" / "svc.yaml"
    return ModelData(load_model_file(path), path.parent)


def test_rows_come_under_canonical_names_with_what_was_logged(tmp_path):
    """Nothing is changed on the way but the names, and what was null stays missing."""
    given, found = rows(), opened(tmp_path).rows(SPAN)
    assert found["request_id"].tolist() == given["id"].tolist()
    np.testing.assert_array_equal(found["feature_amount"], given["amount"])
    assert found["feature_age"].dtype == np.float64
    assert found["feature_shop"].tolist() == given["shop"].tolist()
    assert set(found["feature_member"]) == {"true", "false"}
    assert found["target"].isna().sum() == 720
    assert found["segment_zone"].tolist() == given["zone"].tolist()
    assert found.attrs["of"] == len(given)


def test_nulls_and_infinities_arrive_as_they_are(tmp_path):
    """So that they can be counted."""
    given = rows()
    given.loc[3, "amount"], given.loc[4, "amount"], given.loc[5, "amount"] = np.inf, -np.inf, np.nan
    given["shop"] = given["shop"].astype(object)
    given.loc[7, "shop"] = None
    found = opened(tmp_path, given).rows(SPAN)
    assert found["feature_amount"][3] == np.inf
    assert found["feature_amount"][4] == -np.inf
    assert np.isnan(found["feature_amount"][5])
    assert found["feature_shop"][7] is None


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("age", lambda v: v.astype("Int32")),
        ("age", lambda v: v.astype("int64[pyarrow]")),
        ("age", lambda v: v.astype("float32")),
        ("age", lambda v: v > 40),
        ("shop", lambda v: v.astype("category")),
        ("shop", lambda v: v.astype("string[pyarrow]")),
    ],
)
def test_the_type_a_column_is_stored_in_makes_no_difference(tmp_path, column, change):
    """Nullable, arrow, categorical and boolean columns are read like plain ones."""
    given = rows()
    given[column] = change(given[column])
    data = opened(tmp_path, given)
    assert data.broken_features == {}
    found = data.rows(SPAN)[f"feature_{column}"]
    expected = given[column].astype(float) if column == "age" else given[column].astype(object)
    assert found.tolist() == expected.tolist()


def test_a_feature_that_cannot_be_used_is_told_and_the_others_stay(tmp_path):
    """Missing, a number as text, or a list: each has its reason."""
    given = rows().drop(columns="age").assign(amount=lambda r: r["amount"].astype(str), shop=[["a"]] * 1440)
    data = opened(tmp_path, given)
    assert set(data.broken_features) == {"age", "amount", "shop"}
    assert "no such column" in data.broken_features["age"]
    assert "not a number" in data.broken_features["amount"]
    assert list(data.features) == ["member"]
    assert len(data.rows(SPAN)) == 1440


def test_a_feature_that_changed_its_type_in_one_file_breaks_nothing_else(tmp_path):
    """The files disagree in one column: it is told, the rest is read."""
    first, second = rows().iloc[:700], rows().iloc[700:].assign(amount="12,50")
    data = opened(tmp_path, first, second)
    assert set(data.broken_features) == {"amount"}
    assert len(data.rows(SPAN)) == 1440


def test_a_feature_that_is_missing_in_one_file_is_missing_in_its_rows_only(tmp_path):
    """A column that came later or went is null where it was not."""
    data = opened(tmp_path, rows().iloc[:700], rows().iloc[700:].drop(columns="age"))
    found = data.rows(SPAN)["feature_age"]
    assert found[:700].notna().all()
    assert found[700:].isna().all()


def test_a_column_that_is_no_feature_must_be_there(tmp_path):
    """A score that is mapped and missing is an error that names the key."""
    with pytest.raises(DataError, match="prediction_proba"):
        opened(tmp_path, rows().drop(columns="score")).rows(SPAN)


def test_many_rows_are_thinned_the_same_way_every_time(tmp_path):
    """By a hash of the id: repeatable, about as many as asked for, and no matter in which order they lie."""
    shuffled = rows().sample(frac=1, random_state=1)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = opened(tmp_path / "a").rows(SPAN, limit=400), opened(tmp_path / "b", shuffled).rows(SPAN, limit=400)
    assert 300 < len(one) < 500
    assert one.attrs["of"] == 1440
    pd.testing.assert_frame_equal(one, two)
    assert abs(one["score"].mean() - rows()["score"].mean()) < 0.06


def test_only_the_columns_asked_for_are_fetched(tmp_path):
    """For speed; the time always comes."""
    assert list(opened(tmp_path).rows(SPAN, columns=["score"]).columns) == ["epoch", "score"]


def test_the_tables_beside_the_log_come_under_canonical_names(tmp_path):
    """With their time in seconds, and every column that is not mapped under its own name."""
    ts = pd.date_range(END - timedelta(days=1), END, freq="1h", inclusive="left", unit="us")
    training = pd.DataFrame({"row": range(len(ts)), "at": ts, "feed": "x", "y": 1, "amount": 2.0})
    training.to_parquet(tmp_path / "training.parquet", index=False)
    columns = {"id": "row", "time": "at", "source": "feed", "label": "y"}
    opened(tmp_path)
    text = (tmp_path / "models" / "svc.yaml").read_text()
    mapped = f"logs:\n  training: {{table: ../training.parquet, columns: {columns}}}\n".replace("'", "")
    (tmp_path / "models" / "svc.yaml").write_text(text.replace("logs:\n", mapped, 1))
    path = tmp_path / "models" / "svc.yaml"
    data = ModelData(load_model_file(path), path.parent)
    found = data.table("training")
    assert {"id", "epoch", "source", "label", "amount"} == set(found.columns)
    assert found["epoch"].tolist() == [int(t.timestamp()) for t in ts]
    assert data.table("lineage") is None
    assert [m.source for m in data.materials(*windows())] == ["predictions", "training"]
    assert "training" in data.check()


def windows():
    """A window and its reference."""
    middle = END - timedelta(days=1)
    return Window(middle, END), Window(END - timedelta(days=2), middle)
