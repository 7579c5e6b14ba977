"""From a log to a verdict on its data, in process: what is broken is known, so what is found can be checked."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from quality_fixture import END, ONSET, hit, judged, log

from rbnb.diagnoses.quality import summary, views


def broken(fault, **where):
    """Return a log in which a fault has struck the rows hit."""
    frame = log()
    rows = hit(frame, **where)
    return fault(frame, rows)


def put(column, value):
    """Return a fault that puts a value, or what a function makes of the values, into a column."""

    def fault(frame, rows):
        values = frame[column].to_numpy(copy=True)
        values[rows] = value(values[rows]) if callable(value) else value
        return frame.assign(**{column: values})

    return fault


def test_a_healthy_log_is_healthy(tmp_path):
    """Days and nights, natural nulls and zeros: nothing is found, and nothing is proposed."""
    found = judged(tmp_path, log())
    assert found.verdict == "healthy"
    assert found.kinds == []
    assert found.causes == []
    assert found.decision.proposal is None
    assert summary.headline(found.quality) == []


@pytest.mark.parametrize(
    ("kind", "column", "fault", "share"),
    [
        ("null", "amount", np.nan, 0.4),
        ("null", "plan", "null", 0.4),
        ("non_finite", "age", np.inf, 0.2),
        ("marker", "age", -999.0, 0.3),
        ("stuck", "amount", 12.5, 1.0),
        ("unit", "amount", lambda v: v * 100, 1.0),
        ("unit", "amount", lambda v: v / 1000, 1.0),
        ("clock", "hour", lambda v: (v + 2) % 24, 1.0),
        ("unseen", "plan", "gold", 0.3),
        ("encoding", "plan", lambda v: np.array([str(x).upper() for x in v], dtype=object), 0.5),
        ("encoding", "city", lambda v: np.array([x.encode().decode("cp1252", "replace") for x in v], object), 1.0),
    ],
)
def test_each_kind_of_broken_value_is_found_with_its_feed_and_its_start(tmp_path, kind, column, fault, share):
    """What, where and since when: the kind, the column, the feed, and the first wrong row within a bucket."""
    found = judged(tmp_path, broken(put(column, fault), feed="north", share=share))
    assert found.kinds[0] == (kind, column)
    assert found.verdict == "genuine"
    assert found.decision.leaf == "source"
    cause_kind, name, where = found.first
    assert (cause_kind, where) == ("source", "feed=north")
    assert column in name
    assert abs(found.quality.onset - ONSET.timestamp()) <= found.quality.rows.bucket
    assert found.decision.proposal.action == "quarantine_input"
    assert 0 < found.finding("requests_touched").value < 0.5


def test_swapped_columns_are_found(tmp_path):
    """Both columns are named, once, and not each as a trouble of its own."""

    def exchange(frame, rows):
        one, two = frame["orders"].to_numpy(), frame["age"].to_numpy()
        return frame.assign(orders=np.where(rows, two, one), age=np.where(rows, one, two))

    found = judged(tmp_path, broken(exchange, feed="core"))
    assert found.kinds[0] == ("swap", "age+orders")
    assert not {("range", "age"), ("unit", "orders")} & set(found.kinds)


def test_duplicates_are_found(tmp_path):
    """Requests that are in the log twice are counted from when they began."""
    frame = log()
    again = frame[hit(frame, share=0.2)]
    found = judged(tmp_path, pd.concat([frame, again], ignore_index=True).sort_values("ts"))
    assert found.kinds == [("duplicate", "request_id")]
    assert found.verdict == "genuine"


def test_a_fault_that_is_over_is_transient(tmp_path):
    """It is dated at both ends, and the requests that were touched are counted."""
    until = ONSET + timedelta(hours=1.5)
    found = judged(tmp_path, broken(put("amount", np.nan), until=until, share=0.6))
    assert found.verdict == "transient"
    assert abs(found.quality.ended - until.timestamp()) <= 2 * found.quality.rows.bucket
    assert "is null" in summary.headline(found.quality)[0]


def test_a_drift_is_healthy_and_points_to_the_other_runbook(tmp_path):
    """A distribution that moved as a whole is not broken data; the page says where to look instead."""
    frame = log()
    amount = np.where(hit(frame, since=END - timedelta(hours=24)), frame["amount"] * 1.6, frame["amount"]).round(2)
    score = (1 / (1 + np.exp(-(np.log(pd.Series(amount).fillna(20)) - 3)))).round(4)
    found = judged(tmp_path, frame.assign(amount=amount, score=score))
    assert found.verdict == "healthy"
    assert [one.runbook for one in found.decision.referrals] == ["data_drift"]


def test_a_silent_feed_and_missing_hours_are_found(tmp_path):
    """A feed that sends nothing is named; a gap in everything is a lack of the log."""
    frame = log()
    found = judged(tmp_path, frame[~hit(frame, feed="south")])
    assert (found.verdict, found.decision.leaf) == ("genuine", "arrival")
    assert found.first[2] == "feed=south"
    gap = judged(tmp_path, frame[~hit(frame, until=ONSET + timedelta(hours=2))])
    assert gap.finding("missing_buckets").status == "breach"
    assert gap.verdict in ("genuine", "transient")


def test_hosts_that_share_out_requests_anew_are_no_lack(tmp_path):
    """Where a host hands its requests to the others nothing is missing."""
    frame = log()
    moved = frame["host"].where(~hit(frame) | (frame["host"] != "h4"), "h1")
    assert judged(tmp_path, frame.assign(host=moved)).verdict == "healthy"


def test_a_log_that_stopped_is_told(tmp_path):
    """Nothing came for four hours in which hundreds are usual: that is the finding, and it is dated."""
    frame = log()
    found = judged(tmp_path, frame[frame["ts"] < ONSET])
    assert found.decision.leaf == "arrival"
    assert found.first[1] == "the log has stopped"
    assert found.verdict == "genuine"


def test_too_few_rows_and_no_past_are_inconclusive(tmp_path):
    """Little data, or nothing to compare it with, is never an all-clear."""
    frame = log()
    few = frame[(frame["ts"] < END - timedelta(days=1)) | (np.arange(len(frame)) % 60 == 0)]
    assert judged(tmp_path, few).verdict in ("inconclusive", "genuine")
    alone = judged(tmp_path, frame[frame["ts"] >= END - timedelta(hours=24)])
    assert (alone.verdict, alone.decision.leaf) == ("inconclusive", "no_reference")
    assert any(n.what == "comparison with the past" for n in alone.quality.not_measured)


@pytest.mark.parametrize(
    ("column", "value"), [("amount", np.nan), ("age", np.inf), ("age", -999.0), ("orders", 1e6), ("returns", 1e4)]
)
def test_without_a_past_single_tables_are_checked(tmp_path, column, value):
    """Nulls beyond the usual limit, infinities, markers, what the owner expects, and rules need no reference."""
    frame = broken(put(column, value), since=END - timedelta(hours=24), share=0.3)
    rules = [{"name": "returned", "check": "returns <= orders"}]
    only = frame[frame["ts"] >= END - timedelta(hours=24)]
    found = judged(tmp_path, only, rules=rules, expect={"orders": {"min": 0, "max": 1000}})
    assert found.verdict == "genuine"


def test_rules_and_expectations_are_held(tmp_path):
    """A rule that breaks is named with its text; one that cannot be read is told and stops nothing."""
    rules = [
        {"name": "returned", "check": "returns <= orders"},
        {"name": "odd", "check": "returns <= nothing"},
        {"name": "worse", "check": "os.system('x')"},
    ]
    frame = broken(put("returns", lambda v: v + 40), feed="core", share=0.3)
    found = judged(tmp_path, frame, rules=rules, expect={"plan": {"values": ["free", "basic", "plus", "firm"]}})
    assert "returned" in " ".join(c.name for c in found.causes) + str(found.quality.troubles[0].consequences)
    assert found.verdict == "genuine"
    assert {"rule odd", "rule worse"} <= {n.what for n in found.quality.not_measured}


def daily(folder, frame, last):
    """Write one file a day, the last two of them changed."""
    days = sorted(frame["ts"].dt.strftime("%Y-%m-%d").unique())
    for day in days:
        part = frame[frame["ts"].dt.strftime("%Y-%m-%d") == day]
        (last(part) if day >= days[-1] else part).to_parquet(folder / f"{day}.parquet", index=False)


@pytest.mark.parametrize(
    ("change", "signal"),
    [
        (lambda part: part.drop(columns="age"), "missing_columns"),
        (lambda part: part.rename(columns={"age": "age_years"}), "renamed_columns"),
        (lambda part: part.assign(age=part["age"].astype(str)), "unusable_types"),
    ],
)
def test_a_column_that_changes_from_one_file_to_the_next_is_found(tmp_path, change, signal):
    """Missing, renamed or text from a file on: named, dated by that file, and no other column is taken down."""
    found = judged(tmp_path, log(), write=lambda folder, frame: daily(folder, frame, change))
    assert found.finding(signal).value == 1
    assert (found.verdict, found.decision.leaf) == ("genuine", "columns")
    assert found.quality.schema[0].feature == "age"
    assert found.quality.onset >= (END - timedelta(hours=17)).timestamp()
    assert [t for t in found.quality.troubles if t.suspicion.feature != "age"] == []
    if signal == "renamed_columns":
        assert found.quality.schema[0].other == "age_years"


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.assign(orders=frame["orders"].astype("Int64")),
        lambda frame: frame.assign(orders=frame["orders"].astype("int64[pyarrow]")),
        lambda frame: frame.assign(plan=frame["plan"].astype("category"), city=frame["city"].astype("string")),
        lambda frame: frame.assign(orders=frame["orders"] > 3),
        lambda frame: frame.assign(extra=1.0, more="x", nested=[[1]] * len(frame)),
        lambda frame: frame.assign(ts=frame["ts"].dt.tz_convert("Asia/Tokyo")),
        lambda frame: frame.sample(frac=1.0, random_state=1),
    ],
    ids=["nullable", "pyarrow", "category", "boolean", "extra columns", "another zone", "shuffled"],
)
def test_other_types_of_the_same_values_are_healthy(tmp_path, change):
    """Nullable and Arrow integers, categories, booleans, extra columns, another zone of the clock, another order."""
    assert judged(tmp_path, change(log())).verdict == "healthy"


def test_one_broken_column_takes_no_other_down(tmp_path):
    """With a column of texts, one of lists and one that is gone, a fault in a fourth is found all the same."""
    frame = broken(put("amount", np.nan), feed="north", share=0.5)
    frame = frame.assign(age="old", orders=[[1]] * len(frame)).drop(columns="hour")
    found = judged(tmp_path, frame)
    assert ("null", "amount") in found.kinds
    assert {one.feature for one in found.quality.schema} >= {"age", "hour"}
    assert found.verdict == "genuine"


def test_the_change_that_did_it_is_supported_and_the_others_are_not(tmp_path):
    """A change that names the column, just before, is supported; one elsewhere or afterwards is refuted."""
    changes = [
        (ONSET - timedelta(minutes=3), "schema", "amount: new join, CHG-31", "feed=north"),
        (ONSET - timedelta(minutes=9), "config", "log level info", "feed=core"),
        (ONSET - timedelta(minutes=20), "deploy", "deploy to h1", "host=h1"),
        (ONSET + timedelta(minutes=19), "deploy", "deploy 2.0", ""),
    ]
    frame = broken(put("amount", np.nan), feed="north", share=0.5)
    found = judged(tmp_path, frame, changes=changes)
    status = {c.name.split(" at ")[0]: c.status for c in found.causes if c.kind in ("schema", "config", "deploy")}
    assert status["amount: new join, CHG-31"] == "supported"
    assert status["log level info"] == "refuted"
    assert status["deploy to h1"] == "refuted"
    assert "outside feed=north are not wrong" in next(c.evidence for c in found.causes if "h1" in c.name)
    assert "a change that was made fits: amount: new join, CHG-31" in " ".join(found.decision.verdict.because)
    assert found.decision.proposal.action == "quarantine_input"
    assert status.get("deploy 2.0", "refuted") == "refuted"


def test_decisions_that_turned_are_measured(tmp_path):
    """Where wrong inputs turned decisions, the shift has its sign and its interval."""

    def fault(frame, rows):
        return frame.assign(
            amount=np.where(rows, np.nan, frame["amount"]), decision=np.where(rows, "no", frame["decision"])
        )

    found = judged(tmp_path, broken(fault, feed="core", share=0.8))
    shift = found.finding("decision_shift")
    assert shift.value < -0.2
    assert shift.interval[1] < 0


def test_severity_grows_with_the_share_touched(tmp_path):
    """A tenth of requests is SEV2, most of them SEV1, and a few SEV3."""
    levels = [
        judged(tmp_path, broken(put("age", np.inf), feed=feed, share=share)).severity.level
        for feed, share in (("", 0.9), ("core", 0.5), ("south", 0.2))
    ]
    assert levels == ["SEV1", "SEV2", "SEV3"]


def test_what_is_shown_says_what_was_found(tmp_path):
    """The tables and figures of a run with and without a fault can be drawn, and name the column and the feed."""
    found = judged(tmp_path, broken(put("amount", np.nan), feed="north", share=0.5), changes=[])
    table = views.trouble_table(found.quality)
    assert table.rows[0][0] == "amount"
    assert "feed=north" in table.rows[0][3]
    assert "amount is null" in views.wrong_figure(found.quality).alt
    assert "Requests over time" in views.arrival_figure(found.quality).alt
    assert views.segment_figure(found.quality) is not None
    assert len(views.column_table(found.quality).rows) == 7
    assert set(views.example_rows(found.quality)["column"]) == {"amount"}
    assert views.change_table(found.quality, found.causes).rows == ()
    assert views.hypothesis_table(found.causes).rows[0][0] == 1
    quiet = judged(tmp_path, log(), changes=[])
    assert views.wrong_figure(quiet.quality) is None
    assert views.schema_table(quiet.quality).level == "ok"
    assert len(views.example_rows(quiet.quality)) == 0
