"""From a training table to a verdict, in process: what was planted is known, so what is found can be checked."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from poisoning_fixture import (
    LINEAGE,
    clustered,
    contradicted,
    flipped,
    flooded,
    judged,
    marked,
    training,
    write_model,
)

from rbnb.diagnoses.poisoning import summary, views
from rbnb.model import to_plain

pytestmark = pytest.mark.filterwarnings("ignore:fetch_:DeprecationWarning")


@pytest.mark.parametrize("seed", [1, 2])
def test_an_honest_table_is_healthy(tmp_path, seed):
    """Wrong labels spread over all sources are label noise, and nobody is blamed."""
    run = judged(write_model(tmp_path, training(seed), trusted=training(seed + 50, 400, noise=0.0)))
    assert run.verdict == "healthy"
    assert run.causes == []
    assert len(run.found.suspect_rows) == 0


@pytest.mark.parametrize(
    ("plant", "kind", "precise"),
    [
        (flipped, "label_flips", 0.8),
        (marked, "trigger", 0.9),
        (flooded, "flood", 0.9),
        (lambda table: flooded(table, near=0.002), "flood", 0.9),
        (clustered, "odd_cluster", 0.9),
        (contradicted, "conflicts", 0.75),
    ],
    ids=["flips", "trigger", "flood", "near flood", "cluster", "conflicts"],
)
def test_what_was_planted_is_found_with_its_source_and_its_rows(tmp_path, plant, kind, precise):
    """The verdict is genuine, the source is named first, the others are cleared, and the rows are listed."""
    table, planted = plant(training())
    run = judged(write_model(tmp_path, table))
    assert run.verdict == "genuine"
    assert (run.causes[0].kind, run.causes[0].where, run.causes[0].status) == (kind, "source=partner", "supported")
    assert {c.where for c in run.causes if c.status == "refuted"} >= {"source=core", "source=web"}
    precision, recall = run.caught(planted)
    assert precision >= precise
    assert recall >= precise
    frame = run.found.suspect_rows
    assert list(frame.columns) == ["id", "score", "source", "batch", "label", "reasons"]
    assert frame["score"].between(0.5, 1).all()
    assert frame["reasons"].str.len().gt(0).all()


def test_a_trigger_is_spelled_out_and_its_effect_measured(tmp_path):
    """The mark is named, and put on checked rows it turns them only if the suspect rows were learned."""
    table, _ = marked(training())
    run = judged(write_model(tmp_path, table, trusted=training(60, 400, noise=0.0)))
    assert "x3=2.7183" in run.causes[0].name
    (effect,) = [s for s in run.found.effect if s.name == "trigger_effect"]
    assert effect.interval[0] > 0.2


@pytest.mark.parametrize(
    ("version", "leaf", "action"),
    [
        ("1.1", "served", "rollback_version"),
        ("1.0", "not_served", "quarantine_batch"),
        ("9.9", "reach_unknown", "freeze_training"),
    ],
)
def test_the_proposal_depends_on_how_far_it_reached(tmp_path, version, leaf, action):
    """A version that learned it is rolled back, one that did not is kept, and one nobody knows freezes training."""
    run = judged(write_model(tmp_path, flooded(training())[0], version=version))
    assert (run.decision.leaf, run.decision.proposal.action) == (leaf, action)
    if leaf == "served":
        assert run.found.reach["clean"] == "1.0"
        assert "1.1" in summary.headline(run.found)[1]


def test_rows_that_nobody_vouches_for_are_told_and_nothing_else_is_claimed(tmp_path):
    """Without source, without batch, or of a batch no version lists: that is the finding, and the rows are listed."""
    table = training().astype({"source": object, "batch": object})
    rows = np.random.default_rng(1).choice(len(table), 120, replace=False)
    table.loc[rows[:40], "source"] = None
    table.loc[rows[40:80], "batch"] = None
    table.loc[rows[80:], "batch"] = "b-by-hand"
    run = judged(write_model(tmp_path, table))
    assert (run.verdict, run.decision.leaf) == ("genuine", "untraceable")
    assert run.causes[0].kind == "provenance"
    assert run.caught(set(table["id"].iloc[rows])) == (1.0, 1.0)


def test_a_row_that_is_there_twice_is_not_healthy(tmp_path):
    """Ids that come back in a tenth of the rows are replayed rows, whatever they hold."""
    table = training()
    table.loc[table.index[-200:], "id"] = table["id"].iloc[:200].to_numpy()
    run = judged(write_model(tmp_path, table))
    assert run.decision.leaf == "repeated"


def test_an_honest_source_of_another_kind_is_not_accused(tmp_path):
    """A source with other inputs and a higher base rate, mapped and labelled honestly, is at most worth knowing."""
    table = training(7)
    own = table["source"] == "import"
    table.loc[own, "x3"] += 3.0
    rng = np.random.default_rng(8)
    table.loc[own & (table["label"] == 0) & (rng.random(len(table)) < 0.08), "label"] = 1
    run = judged(write_model(tmp_path, table))
    assert run.verdict == "healthy"
    assert all(cause.status == "open" for cause in run.causes)


@pytest.mark.parametrize("damage", ["none", "few", "one label", "no label", "future", "no features", "no origin"])
def test_what_cannot_be_judged_is_inconclusive_with_its_reason(tmp_path, damage):
    """No table, too few rows, one label, only later rows, nothing to compare: never healthy."""
    table = training(n=600)
    changed = {
        "none": None,
        "few": table.head(60),
        "one label": table.assign(label=1),
        "no label": table.drop(columns="label"),
        "future": table.assign(epoch=table["epoch"] + 80 * 86_400),
        "no features": table[["id", "epoch", "source", "batch", "label"]],
        "no origin": table.drop(columns=["source", "batch", "epoch"]),
    }[damage]
    run = judged(write_model(tmp_path, changed))
    assert run.verdict == "inconclusive"
    assert run.decision.verdict.because[0]
    assert summary.headline(run.found) == []
    for view in (views.suspect_table(run.found), views.source_table(run.found), views.radius_facts(run.found)):
        assert to_plain(view)
    assert views.suspect_figure(run.found) is None


def test_rows_after_the_end_of_the_window_are_counted_and_left_out(tmp_path):
    """What was ingested later can have taught nobody, however bad it is."""
    table, planted = flooded(training())
    table.loc[table["id"].isin(planted), "epoch"] += 90 * 86_400
    run = judged(write_model(tmp_path, table))
    assert run.finding("late_share").value == pytest.approx(200 / len(table))
    assert run.verdict == "healthy"


def test_broken_and_odd_columns_do_not_hide_the_poison(tmp_path):
    """Nullable integers, categories, booleans, infinities and a column that is gone: told, and the rest is judged."""
    table, planted = flooded(training())
    table["x2"] = table["x2"].mul(10).round().astype("Int64").mask(table.index % 9 == 0)
    table["plan"] = table["plan"].astype("category")
    table["label"] = table["label"].astype(bool)
    table.loc[5:9, "x1"] = np.inf
    table["extra"] = "whatever"
    run = judged(write_model(tmp_path, table.drop(columns="place")))
    assert run.verdict == "genuine"
    assert run.caught(planted)[1] > 0.9
    assert "feature place" in [one.what for one in run.found.not_measured]
    assert run.finding("value_gap_share").value > 0


def test_the_order_of_rows_does_not_matter_and_a_run_can_be_repeated(tmp_path):
    """The same rows in another order give the same suspects with the same scores."""
    table, _ = flipped(training(n=1_200))
    scores = []
    for name, rows in (("one", table), ("same", table), ("other", table.sample(frac=1.0, random_state=3))):
        (tmp_path / name).mkdir()
        frame = judged(write_model(tmp_path / name, rows)).found.suspect_rows
        scores.append(frame.sort_values("id").reset_index(drop=True)[["id", "score"]])
    pd.testing.assert_frame_equal(scores[0], scores[1])
    pd.testing.assert_frame_equal(scores[0], scores[2])


def test_columns_may_have_other_names(tmp_path):
    """The model file says what the table calls id, source, batch, time and label."""
    names = {"id": "row", "source": "feed", "batch": "load", "label": "outcome", "time": "ingested"}
    table, _ = flooded(training(n=1_200))
    table = table.assign(ingested=pd.to_datetime(table["epoch"], unit="s", utc=True)).drop(columns="epoch")
    run = judged(write_model(tmp_path, table.rename(columns=names), columns=names))
    assert run.causes[0].where == "source=partner"


def test_what_was_found_can_be_shown_and_recorded(tmp_path):
    """Each view holds what was measured, as strict JSON, and the figure says it in words."""
    run = judged(write_model(tmp_path, flipped(training())[0]))
    found = run.found
    shown = [
        views.suspect_table(found), views.source_table(found), views.segment_table(found), views.radius_facts(found),
        views.hypothesis_table(run.causes),
    ]  # fmt: skip
    for view in shown:
        json.dumps(to_plain(view), allow_nan=False)
    assert shown[1].rows[0][0] == "partner"
    assert found.segments[0].where == "source=partner"
    figure = views.suspect_figure(found)
    assert "partner: up to" in figure.alt
    assert len(figure.svg) < 40_000
    assert summary.course(found)["onset"] is not None
    assert set(LINEAGE["version"]) >= set(found.reach["touched"])
