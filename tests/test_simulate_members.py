"""The members of the sample fleet: each has its failure at the end, and everything the other runbooks ask for."""

import json
import re
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rbnb.inventory import load_model_file
from rbnb.simulate import BUSINESSES, END, faults
from rbnb.simulate.members import MEMBERS
from rbnb.times import parse_time

SAMPLES = Path(__file__).resolve().parent.parent / "data_samples"
ALL = ["fraud-v3", *MEMBERS]
FAILURES = {
    "churn-v2": ("data_drift", "genuine", "region=eu-west"),
    "pricing-v5": ("data_quality", "genuine", "source=core"),
    "credit-v4": ("data_poisoning", "genuine", "source=partner-a"),
    "recommend-v7": ("output_inconsistency", "genuine", "version=7.2.0"),
    "triage-v1": (None, "healthy", None),
}


def test_the_page_on_the_fleet_can_be_followed(tmp_path, monkeypatch):
    """The example of docs/sample-fleet.md runs, and finds the cause it says."""
    page = (SAMPLES.parent / "docs/sample-fleet.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(code, names)  # noqa: S102 - our own page
    assert f"# {names['made'].truth['cause']}" in code
    assert load_model_file(tmp_path / "scenes/models/churn-test.yaml").name == "churn-test"
    said = set(re.findall(r"`([A-Z][A-Za-z]+)`", page))
    assert {name for name in faults.__all__ if name not in {"SIZES", "Fault", "Drift"}} <= said


def logged(name: str) -> pd.DataFrame:
    """Return a member's request log."""
    days = sorted((SAMPLES / name / "predictions").glob("*.parquet"))
    return pd.concat([pd.read_parquet(day) for day in days], ignore_index=True)


def table(name: str, part: str) -> pd.DataFrame:
    """Return one of a member's other tables."""
    return pd.read_parquet(SAMPLES / name / f"{part}.parquet")


def truth(name: str) -> dict:
    """Return what really happened."""
    return json.loads((SAMPLES / f"truth/{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", FAILURES)
def test_the_truth_is_what_the_fleet_promises(name):
    """One failure for each runbook, and one healthy model."""
    told = truth(name)
    mode, verdict, where = FAILURES[name]
    assert (told["mode"], told["verdict"]) == (mode, verdict)
    assert (told["cause"] or {}).get("where") == where
    assert sum(not fault["harmless"] for fault in told["faults"]) == (mode is not None)


@pytest.mark.parametrize("name", ALL)
def test_every_runbook_finds_its_tables(name):
    """Each member has all logs, and every column its model file names is there."""
    model = load_model_file(SAMPLES / f"models/{name}.yaml")
    features = {*model.logs.predictions.features.numerical, *model.logs.predictions.features.categorical}
    for part in ("training", "lineage", "trusted", "recomputed", "changes", "metrics", "dependencies"):
        columns = set(table(name, part).columns)
        assert set(getattr(model.logs, part).columns.values()) <= columns
        assert part not in {"training", "trusted", "recomputed"} or features <= columns
    log = logged(name)
    held = model.logs.predictions
    assert {*features, *held.segments, *held.stages, held.columns.prediction_proba, held.columns.target} <= set(
        log.columns
    )
    assert set(model.expect) <= features
    assert log["ts"].max() > pd.Timestamp(END) - timedelta(minutes=10)
    assert set(table(name, "training")["batch"]) == set(table(name, "lineage")["batch"])


@pytest.mark.parametrize("name", MEMBERS)
def test_what_a_runbook_reads_does_not_give_the_answer_away(name):
    """No table and no model file speaks of what was done to it."""
    words = ("truth", "incident", "fault", "cause", "inject", "simul", "symptom", "blip", "harmless", "poison", "drift")
    for path in (SAMPLES / name).rglob("*.parquet"):
        held = pd.read_parquet(path).select_dtypes(include=["str", "object"])
        said = {str(value).lower() for column in held for value in held[column].unique()} | {*map(str, held.columns)}
        assert not [text for text in said if any(word in text for word in words)]
    said = (SAMPLES / f"models/{name}.yaml").read_text(encoding="utf-8").lower()
    said = said.replace("incident headers", "").replace("defaults", "")
    assert not [word for word in words if word in said]


@pytest.mark.parametrize("name", ["churn-v2", "pricing-v5", "credit-v4", "triage-v1"])
def test_answers_follow_from_the_inputs_except_where_they_are_the_failure(name):
    """The score of every request can be worked out from its logged inputs."""
    log, business = logged(name), BUSINESSES[name.partition("-")[0]]
    assert np.abs(1 / (1 + np.exp(-business.log_odds(log))) - log["score"]).max() < 1e-6


def test_churn_drifts_in_one_region_and_gets_worse():
    """Since the onset customers there come back less often, more are called, and the score is worth less."""
    log, onset = logged("churn-v2"), parse_time(truth("churn-v2")["onset"])
    late = log["ts"] >= onset
    there = log["region"] == "eu-west"
    middle = log.groupby([late, there])["days_since_login"].median()
    assert middle[True, True] > 2 * middle[False, True]
    assert middle[True, False] == pytest.approx(middle[False, False], rel=0.1)
    known = log[log["label"].notna()]
    error = ((known["score"] - known["label"].astype(float)) ** 2).groupby(known["ts"] >= onset).mean()
    assert error[True] > 1.3 * error[False]


def test_pricing_lacks_a_price_from_one_feed():
    """Since 14:05 about 38 % of one input is null, nearly all from one source, and more quotes get the list price."""
    log, onset = logged("pricing-v5"), parse_time(truth("pricing-v5")["onset"])
    late = log[log["ts"] >= onset]
    assert onset == END - timedelta(minutes=115)
    assert late["competitor_price"].isna().mean() == pytest.approx(0.38, abs=0.08)
    share = late["competitor_price"].isna().groupby(late["source"]).mean()
    assert share["core"] > 0.7
    assert share.drop("core").max() < 0.1
    assert log.loc[log["ts"] < onset, "competitor_price"].isna().mean() < 0.03


def test_credit_learned_turned_labels_from_one_source():
    """The poisoned rows are of one source since one batch, and the version in production learned from them."""
    told, rows = truth("credit-v4"), table("credit-v4", "training")
    hit = rows[rows["row"].isin(told["poisoned"])]
    assert len(hit) == len(told["poisoned"]) == 300
    assert set(hit["source"]) == {"partner-a"}
    says = 1 / (1 + np.exp(-BUSINESSES["credit"].log_odds(hit)))
    assert ((says > 0.5) == (hit["label"] == 1)).mean() < 0.15
    learned = table("credit-v4", "lineage").groupby("version")["batch"].agg(set)
    bad = set(hit["batch"])
    assert {version: bool(batches & bad) for version, batches in learned.items()} == {
        "4.1.0": False,
        "4.2.0": True,
        "4.3.0": True,
    }
    assert set(logged("credit-v4")["version"]) == {"4.1.0", "4.2.0"}


def test_recommend_answers_otherwise_on_the_hosts_of_the_new_version():
    """The old version's scores follow from the inputs; the new one's do for some topics only."""
    log = logged("recommend-v7")
    right = 1 / (1 + np.exp(-BUSINESSES["recommend"].log_odds(log)))
    wrong = np.abs(right - log["score"]) > 1e-4
    assert not wrong[log["version"] == "7.1.0"].any()
    new = log[log["version"] == "7.2.0"]
    assert set(new.loc[wrong, "topic"]) == {"sport", "games", "finance", "culture"}
    assert 0.3 < wrong[log["version"] == "7.2.0"].mean() < 0.6
    assert {host[0] for host in new["host"]} == {"a", "b"}


def test_triage_is_healthy_with_much_going_on():
    """Traffic grows, a deploy goes out, an input without influence drifts, and the score stays calibrated."""
    log = logged("triage-v1")
    late = log["ts"] >= END - timedelta(days=3)
    moved = log.groupby(late)["signature_lines"].mean()
    assert moved[True] > 1.3 * moved[False]
    assert set(log["version"]) == {"1.3.0", "1.4.0"}
    known = log[log["label"].notna() & late]
    assert known["label"].astype(float).mean() == pytest.approx(known["score"].mean(), abs=0.02)
    weeks = [(log["ts"] >= END - timedelta(days=7 * k)).sum() for k in (1, 2)]
    assert weeks[0] > weeks[1] - weeks[0]


def test_fraud_learned_nothing_wrong():
    """The training table of fraud-v3 agrees with its rows checked by hand, source by source."""
    rows, checked = table("fraud-v3", "training"), table("fraud-v3", "trusted")
    rate = checked["label"].mean()
    by_source = rows.groupby("source")["label"].agg(["mean", "size"])
    assert (abs(by_source["mean"] - rate) < 4 * np.sqrt(0.025 / by_source["size"]) + 0.01).all()
    both = table("fraud-v3", "recomputed").merge(
        logged("fraud-v3"), left_on="request_id", right_on="id", suffixes=("", "_log")
    )
    assert (both["amount"] == both["amount_log"]).all()
    assert (both["country"] == both["country_log"]).all()
