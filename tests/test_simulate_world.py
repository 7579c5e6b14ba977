"""A simulated model in production: realistic where nothing is wrong, and the same from the same seed."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from rbnb.errors import NotFoundError
from rbnb.inventory import load_model_file
from rbnb.simulate import BUSINESSES, END, scene
from rbnb.simulate.business import as_numbers
from rbnb.simulate.training import BATCH

TABLES = ("predictions", "training", "lineage", "trusted", "recomputed", "changes", "metrics", "dependencies")
RULES = {"<=": lambda first, second: first <= second}


@pytest.fixture(scope="module", params=sorted(BUSINESSES))
def usual(request):
    """A week of each business with nothing wrong in it, and with distractors."""
    return scene(request.param, seed=4, days=10, per_hour=150, distractors=True)


@pytest.fixture(scope="module")
def known(usual):
    """The requests whose outcome is known."""
    return usual.predictions[usual.predictions["label"].notna()].astype({"label": "int64"})


def auc(rows: pd.DataFrame) -> float:
    """Return how often a positive request scores higher than a negative one."""
    ranks, positive = rows["score"].rank(), rows["label"] == 1
    n = positive.sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (~positive).sum()))


def test_the_same_seed_gives_the_same_scene():
    """Every table is equal from the same arguments, and another seed gives another log."""
    one, again, other = (scene("churn", seed=seed, days=2, per_hour=60, distractors=True) for seed in (1, 1, 2))
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(one, name), getattr(again, name))
    assert one.truth == again.truth
    assert not one.predictions.equals(other.predictions)


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    """Written twice, every file is the same to the byte."""
    files = [scene("churn", seed=3, days=2, per_hour=40).write(tmp_path / part) for part in ("a", "b")]
    assert len(files[0]) == len(files[1]) > 10
    assert all(one.read_bytes() == two.read_bytes() for one, two in zip(*files, strict=True))


def test_a_healthy_scene_says_so(usual):
    """Without faults the truth is healthy, names no cause and no rows, whatever distractors there are."""
    truth = usual.truth
    assert (truth["verdict"], truth["mode"], truth["cause"]) == ("healthy", None, None)
    assert truth["poisoned"] == truth["faults"] == truth["features"] == truth["segments"] == []


def test_the_score_is_calibrated(known):
    """In ten classes of the score, as many requests turn out positive as it says, within the error of counting."""
    for _, rows in known.groupby(pd.qcut(known["score"], 10)):
        says = rows["score"].mean()
        assert abs(rows["label"].mean() - says) < 4 * np.sqrt(says * (1 - says) / len(rows)) + 1e-3


def test_the_score_is_good_but_not_perfect(usual, known):
    """A positive request scores higher than a negative one about nine times in ten, for credit more often."""
    low, high = (0.94, 0.98) if usual.business.name == "credit" else (0.85, 0.94)
    assert low < auc(known) < high


def test_natural_label_noise_can_be_told_from_flips():
    """In the training table of the credit model 3 to 8 % of the labels are unlikely by their inputs."""
    table = scene("credit", seed=6, days=1).training
    score = 1 / (1 + np.exp(-BUSINESSES["credit"].log_odds(table)))
    assert 0.03 < ((score > 0.5) != (table["label"] == 1)).mean() < 0.08


def test_the_score_follows_from_the_logged_inputs(usual):
    """Anybody can work the score out from the log; the decision follows from the score."""
    table, business = usual.predictions, usual.business
    again = 1 / (1 + np.exp(-business.log_odds(table)))
    assert np.abs(again - table["score"]).max() < 1e-6
    decided = np.where(table["score"] >= business.threshold, business.positive, business.negative)
    assert (table["decision"] == decided).all()


def test_idle_and_invariant_inputs_do_not_move_the_score(usual):
    """Each business has an input without influence, and it is the one that is declared invariant."""
    business, table = usual.business, usual.predictions.head(500)
    assert business.invariant == (business.idle(),)
    moved = table.assign(**{business.idle(): table[business.idle()] * 3 + 1})
    assert (business.log_odds(table) == business.log_odds(moved)).all()


def test_monotone_inputs_move_the_score_one_way(usual):
    """What the model file declares monotone is."""
    for name, way in usual.business.monotone.items():
        rows = usual.predictions.sample(300, random_state=1)
        values = np.sort(usual.predictions[name].dropna().sample(20, random_state=1))
        odds = np.stack([usual.business.log_odds(rows.assign(**{name: value})) for value in values])
        steps = np.diff(odds, axis=0) * (1 if way == "increasing" else -1)
        assert (steps >= -1e-9).mean() > 0.99


def test_rules_hold(usual):
    """What the model file says of two columns of one row is so in log and training table."""
    for rule in usual.business.rules:
        first, sign, second = rule.check.split()
        for table in (usual.predictions, usual.training, usual.trusted):
            assert RULES[sign](table[first], table[second]).all()


def test_types_and_nulls_are_those_of_a_real_log(usual):
    """There are whole, broken, true-or-false and text columns, and some inputs have a few natural nulls."""
    table, business = usual.predictions, usual.business
    kinds = {str(table[name].dtype).lower() for name in business.features}
    assert {"int64", "float64", "bool", "str"} <= kinds
    for name in business.features:
        assert table[name].isna().mean() == pytest.approx(business.gaps().get(name, 0.0), abs=0.01)
    assert table[business.categories[-1].name].nunique() > 100
    assert 8 <= table[business.categories[0].name].nunique() <= 12


def test_some_requests_are_asked_again(usual):
    """A few percent have exactly the inputs of one minutes before, another id, and the same score."""
    table, names = usual.predictions, list(usual.business.features)
    assert 0.7 < table.duplicated(names).mean() / usual.business.repeated < 1.1
    again = table[table.duplicated(names, keep=False)].groupby(names, dropna=False, sort=False)
    counts = again.agg(
        rows=("id", "size"), ids=("id", "nunique"), scores=("score", "nunique"), hosts=("host", "nunique")
    )
    assert (counts["scores"] == 1).all()
    assert (counts["ids"] == counts["rows"]).all()
    assert (counts["hosts"] > 1).mean() > 0.7
    assert (again["ts"].max() - again["ts"].min()).median() < timedelta(minutes=12)


def test_inputs_hang_together(usual):
    """Some numbers are clearly correlated."""
    numbers = [one.name for one in usual.business.numbers if one.kind in {"lognormal", "normal", "bounded"}]
    ties = usual.predictions[numbers].corr(method="spearman").abs().to_numpy()
    assert np.sort(ties[np.triu_indices(len(numbers), 1)])[-1] > 0.12


def test_the_offline_store_agrees_but_for_the_last_digits(usual):
    """Recomputed inputs of the last three days are those in the log, one number within a relative 1e-8."""
    numbers = [one.name for one in usual.business.numbers]
    both = usual.recomputed.merge(usual.predictions, left_on="request_id", right_on="id", suffixes=("", "_log"))
    assert len(both) == len(usual.recomputed) > 1_000
    assert both["ts"].min() >= END - timedelta(days=3)
    apart = {}
    for name in numbers:
        ours, theirs = (
            as_numbers(both[part].astype("Float64").to_numpy(float, np.nan)) for part in (name, f"{name}_log")
        )
        assert (np.isnan(ours) == np.isnan(theirs)).all()
        apart[name] = np.nanmax(np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1))
    assert sum(value > 0 for value in apart.values()) == 1
    assert max(apart.values()) < 1e-8
    for one in usual.business.categories:
        assert both[one.name].fillna("").equals(both[f"{one.name}_log"].fillna("").rename(one.name))


def test_outcomes_are_known_after_the_delay(usual):
    """Every request older than the label delay has a label, and none younger."""
    table = usual.predictions
    assert (table["label"].notna() == (table["ts"] < usual.end - usual.label_delay)).all()


def test_training_rows_have_a_history(usual):
    """Each row says when, from where and in which batch it came; the newest version learned every batch there is."""
    table, lineage = usual.training, usual.lineage
    assert len(table) == 6_000
    assert table["row"].is_unique
    assert table["ingested"].is_monotonic_increasing
    spans = table.groupby("batch")["ingested"].agg(["min", "max"])
    assert (spans["max"] - spans["min"] <= BATCH).all()
    learned = lineage.groupby("version")["batch"].agg(set)[list(usual.business.versions)]
    assert learned.iloc[0] < learned.iloc[1] < learned.iloc[2] == set(table["batch"])
    assert set(table["source"]) == set(usual.business.sources)


def test_trusted_rows_are_apart_and_right(usual):
    """The checked rows are no training rows, and their outcome follows from the same inputs."""
    names = list(usual.business.features)
    assert not len(usual.trusted.merge(usual.training, on=names))
    assert len(usual.trusted) == 600
    says = 1 / (1 + np.exp(-usual.business.log_odds(usual.trusted)))
    assert abs((usual.trusted["label"] - says).mean()) < 0.05


def test_distractors_are_there_and_over(usual):
    """A deploy shortly before the end, changes over the weeks, and twenty slow minutes that passed."""
    changes, table = usual.changes, usual.predictions
    assert {"deploy", "config", "feature", "schema", "scale"} == set(changes["kind"])
    assert changes["time"].is_monotonic_increasing
    assert set(table["version"]) == set(usual.business.versions[:2])
    blip = END - timedelta(days=9, hours=4, minutes=40)
    inside = table["ts"].between(blip, blip + timedelta(minutes=20))
    assert table.loc[inside, "latency_ms"].median() > 2 * table.loc[~inside, "latency_ms"].median()


def test_the_model_file_is_one_that_rbnb_reads(usual, tmp_path):
    """The file loads, and every table and column it speaks of is there."""
    usual.write(tmp_path)
    name = usual.business.name
    model = load_model_file(tmp_path / "models" / f"{name}.yaml")
    logs = model.logs
    for part in ("training", "lineage", "trusted", "recomputed", "changes", "metrics", "dependencies"):
        log = getattr(logs, part)
        table = pd.read_parquet(tmp_path / "models" / log.table)
        assert set(log.columns.values()) <= set(table.columns)
    day = next((tmp_path / name / "predictions").glob("*.parquet"))
    held = set(pd.read_parquet(day).columns)
    features = [*logs.predictions.features.numerical, *logs.predictions.features.categorical]
    assert set(features) == set(usual.business.features) <= held
    assert {*logs.predictions.stages, *logs.predictions.segments} <= held
    assert set(model.expect) <= set(features)
    assert model.decision.threshold == usual.business.threshold


def test_season_is_in_the_inputs_too():
    """With season some inputs and the traffic follow the hours; without it nothing does."""
    swings = {}
    for seasonal in (1.0, 0.0):
        table = scene("recommend", seed=2, days=7, per_hour=300, seasonal=seasonal).predictions
        hour = table["ts"].dt.hour
        night, evening = table[hour.isin([4, 5])], table[hour.isin([18, 19, 20])]
        swings[seasonal] = (
            (evening["screen_width"].mean() - night["screen_width"].mean()) / table["screen_width"].std(),
            (night["topic"] == "games").mean() / (evening["topic"] == "games").mean(),
            len(evening) / len(night),
        )
    width, games, traffic = swings[1.0]
    assert width < -0.35
    assert games > 1.5
    assert traffic > 4
    width, games, traffic = swings[0.0]
    assert abs(width) < 0.1
    assert games == pytest.approx(1, abs=0.25)
    assert traffic == pytest.approx(1.5, abs=0.15)


def test_a_scene_without_distractors_is_plain():
    """One version, no change, no natural difference between the sources that train it."""
    made = scene("pricing", seed=8, days=3)
    assert made.predictions["version"].unique().tolist() == ["5.2.0"]
    assert made.changes.empty
    rates = made.training.groupby("source")["label"].agg(["mean", "size"])
    assert (abs(rates["mean"] - 0.42) < 4 * 0.5 / np.sqrt(rates["size"])).all()


def test_an_unknown_business_is_refused():
    """A misspelt business is an error that says what there is."""
    with pytest.raises(NotFoundError, match="chrun") as error:
        scene("chrun", days=1)
    assert "churn" in error.value.hint
