"""Each fault does what its docstring says, to the requests it says, and to nothing else."""

from datetime import timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest

from rbnb.errors import UsageError
from rbnb.simulate import BUSINESSES, END, faults, scene
from rbnb.simulate.business import as_numbers
from rbnb.simulate.faults import Fault
from rbnb.simulate.faults.drift import Drift

ONSET = END - timedelta(hours=24)
LEARNED = END - timedelta(days=31)
NAME = "churn"
NUMBER = "days_since_login"
CHURN = BUSINESSES[NAME]

KINDS = [kind for kind in (getattr(faults, name) for name in faults.__all__) if isinstance(kind, type)]
KINDS = [kind for kind in KINDS if kind not in {Fault, Drift}]
POISONS = [kind for kind in KINDS if kind.mode == "data_poisoning"]
LOGGED = [kind for kind in KINDS if kind.mode != "data_poisoning"]
SIZED = [kind for kind in KINDS if len(set(kind.sizes)) == 3]


def made(*put, **more):
    """Make two days of the churn model, with faults."""
    return scene(NAME, seed=12, days=2, per_hour=200, label_delay=timedelta(0), faults=put, **more)


@cache
def plain():
    """Make the same two days with nothing wrong, once."""
    return made()


@pytest.fixture
def usual():
    """The same two days with nothing wrong."""
    return plain()


def since(table: pd.DataFrame) -> pd.DataFrame:
    """Return the requests since the onset."""
    return table[table["ts"] >= ONSET]


def standard(table: pd.DataFrame, name: str = NUMBER) -> np.ndarray:
    """Return an input in standard deviations, without nulls."""
    return CHURN.number(name).standard(table[name].dropna().to_numpy())


def auc(table: pd.DataFrame) -> float:
    """Return how often a positive request scores higher than a negative one."""
    ranks, positive = table["score"].rank(), (table["label"] == 1).to_numpy(bool)
    n = positive.sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (~positive).sum()))


def calibration(table: pd.DataFrame) -> float:
    """Return how many more requests turn out positive than the score says, as a share."""
    return float(table["label"].astype(float).mean() - table["score"].mean())


# What holds for all


@pytest.mark.parametrize("kind", LOGGED, ids=lambda kind: kind.__name__)
def test_a_fault_leaves_everything_else_as_it_was(kind, usual):
    """Before the onset and outside its segment the log is the same without it, and so is the training table."""
    where = "source=core"
    faulty = made(kind(onset=ONSET, where=where))
    pd.testing.assert_frame_equal(faulty.training, usual.training)
    weekly = kind is faults.WeeklyPattern
    before = ONSET - timedelta(days=2 * weekly)
    one, two = (
        table[(table["ts"] < before) | (table["source"] != "core")].reset_index(drop=True)
        for table in (usual.predictions, faulty.predictions)
    )
    pd.testing.assert_frame_equal(one, two, check_dtype=False)
    hit = since(faulty.predictions)
    assert (
        not hit[hit["source"] == "core"]
        .reset_index(drop=True)
        .equals(since(usual.predictions).query("source == 'core'").reset_index(drop=True))
    )


@pytest.mark.parametrize("kind", POISONS, ids=lambda kind: kind.__name__)
def test_poison_is_in_the_training_table_alone(kind, usual):
    """The log stays as it is; the rows that changed or came are exactly those the truth names, since the onset."""
    faulty = made(kind(onset=LEARNED, where="source=partner-a"))
    pd.testing.assert_frame_equal(faulty.predictions, usual.predictions)
    before, after = usual.training.set_index("row"), faulty.training.set_index("row")
    kept = after.loc[before.index]
    changed = kept.index[~((kept == before) | (kept.isna() & before.isna())).all(axis=1)]
    added = after.index.difference(before.index)
    poisoned = set(faulty.truth["poisoned"])
    assert set(changed) | set(added) <= poisoned
    assert len(poisoned - set(changed) - set(added)) <= 0.05 * len(poisoned)
    assert (after.loc[sorted(poisoned), "ingested"] >= LEARNED).all()
    sources = set(after.loc[sorted(poisoned), "source"].dropna())
    assert sources == {"partner-a"}


@pytest.mark.parametrize("kind", SIZED, ids=lambda kind: kind.__name__)
def test_a_size_is_a_word_or_the_number_behind_it(kind):
    """small, medium and large are the three numbers of the docstring."""
    words = [kind(onset=ONSET, size=word).amount for word in ("small", "medium", "large")]
    assert words == list(kind.sizes)
    assert kind(onset=ONSET, size=words[1]).amount == words[1]
    assert [f"{size:g}" in kind.__doc__ or size in {0.0, 1.0, 1000.0} or "e-" in f"{size:g}" for size in words] == [
        True
    ] * 3


def test_an_unknown_size_is_refused():
    """A size that is no size is an error, never a fault that does nothing."""
    with pytest.raises(UsageError, match="huge"):
        made(faults.Shift(onset=ONSET, size="huge"))


def test_a_segment_that_does_not_exist_is_refused():
    """A misspelt segment is an error, never a fault that hits nothing."""
    with pytest.raises(UsageError, match="planet"):
        made(faults.Shift(onset=ONSET, where="planet=mars"))


def test_the_truth_names_what_is_to_be_found():
    """Mode, verdict, onset, cause, inputs and segment of the first harmful fault; harmless ones are listed only."""
    truth = made(
        faults.HarmlessDrift(onset=ONSET), faults.Nulls(onset=ONSET, feature=NUMBER, where="source=core", size="large")
    ).truth
    assert (truth["mode"], truth["verdict"], truth["onset"]) == ("data_quality", "genuine", "2026-11-18T16:00:00Z")
    assert truth["cause"] == {"kind": "nulls", "name": NUMBER, "where": "source=core"}
    assert (truth["features"], truth["segments"]) == ([NUMBER], ["source=core"])
    assert [fault["harmless"] for fault in truth["faults"]] == [True, False]
    assert made(faults.Nulls(onset=ONSET, end=END - timedelta(hours=4))).truth["verdict"] == "transient"
    assert made(faults.HarmlessDrift(onset=ONSET), faults.FloatNoise(onset=ONSET)).truth["verdict"] == "healthy"


# Drift


def test_a_shift_moves_the_input_and_the_score_with_it(usual):
    """The input moves by so many standard deviations; the model stays right about each request."""
    faulty = since(made(faults.Shift(onset=ONSET, size="large")).predictions)
    moved = standard(faulty).mean() - standard(since(usual.predictions)).mean()
    assert moved == pytest.approx(1.2, abs=0.1)
    assert faulty["score"].mean() > since(usual.predictions)["score"].mean() + 0.1
    assert abs(calibration(faulty)) < 0.02


def test_a_strange_shift_makes_the_model_wrong():
    """With `strange` the requests hit turn out otherwise than the score says."""
    faulty = since(made(faults.Shift(onset=ONSET, size="large", strange=0.8)).predictions)
    assert auc(faulty) < 0.8
    assert calibration(faulty) < -0.1


def test_a_harmless_drift_changes_no_score(usual):
    """An input without influence moves, and every score stays."""
    faulty = made(faults.HarmlessDrift(onset=ONSET, size="large"))
    name = CHURN.idle()
    assert standard(since(faulty.predictions), name).mean() > 0.9
    pd.testing.assert_series_equal(faulty.predictions["score"], usual.predictions["score"])


def test_a_weekly_pattern_is_in_the_reference_too():
    """The same hours of the weeks before look the same: a calendar, not a drift."""
    start = END - timedelta(hours=6)
    made_weeks = scene(
        NAME, seed=2, days=16, per_hour=60, seasonal=0.0, faults=(faults.WeeklyPattern(onset=start, size="large"),)
    )
    table = made_weeks.predictions
    for week in (0, 7, 14):
        rows = table[table["ts"].between(start - timedelta(days=week), END - timedelta(days=week))]
        assert standard(rows).mean() > 0.7
    day_before = table["ts"].between(start - timedelta(days=1), END - timedelta(days=1))
    assert abs(standard(table[day_before]).mean()) < 0.2
    assert made_weeks.truth["verdict"] == "healthy"


def test_scale_changes_the_spread_alone(usual):
    """The deviation is multiplied, the middle stays."""
    faulty, before = (
        standard(since(table)) for table in (made(faults.Scale(onset=ONSET)).predictions, usual.predictions)
    )
    assert faulty.std() / before.std() == pytest.approx(1.7, abs=0.08)
    assert np.median(faulty) == pytest.approx(np.median(before), abs=0.1)


def test_shape_keeps_mean_and_deviation(usual):
    """Mean and deviation stay, and there is a gap where the most requests were."""
    put = faults.Shape(onset=ONSET, feature="monthly_fee", size="large")
    faulty, before = (since(table)["monthly_fee"] for table in (made(put).predictions, usual.predictions))
    assert faulty.mean() == pytest.approx(before.mean(), abs=0.8)
    assert faulty.std() == pytest.approx(before.std(), rel=0.06)
    middle = [np.mean(np.abs(values - 42) < 4) for values in (faulty, before)]
    assert middle[0] < 0.2 * middle[1]


def test_correlation_changes_no_marginal(usual):
    """Each input alone looks as before; together they are tied."""
    put = faults.Correlation(onset=ONSET, feature="monthly_fee", other="data_used_gb", size="large")
    faulty, before = (since(table) for table in (made(put).predictions, usual.predictions))
    ties = [rows[["monthly_fee", "data_used_gb"]].corr("spearman").iloc[0, 1] for rows in (faulty, before)]
    assert ties[0] > 0.8
    assert ties[1] < 0.4
    for name in ("monthly_fee", "data_used_gb"):
        assert faulty[name].quantile([0.1, 0.5, 0.9]).to_numpy() == pytest.approx(
            before[name].quantile([0.1, 0.5, 0.9]).to_numpy(), rel=0.05
        )


def test_one_class_of_ten_loses_half(usual):
    """The share of one value halves, and the others get the rest."""
    put = faults.CategoryShare(onset=ONSET, feature="plan", value="basic")
    shares = [since(table)["plan"].value_counts(normalize=True) for table in (made(put).predictions, usual.predictions)]
    assert shares[0]["basic"] / shares[1]["basic"] == pytest.approx(0.5, abs=0.06)
    assert (shares[0].drop("basic").sort_index() > shares[1].drop("basic").sort_index() * 0.95).all()


def test_a_new_mix_turns_the_shares_round(usual):
    """The rarest value becomes the most frequent one."""
    table = since(made(faults.NewMix(onset=ONSET, feature="plan", size="large")).predictions)
    shares = table["plan"].value_counts(normalize=True)
    assert shares["legacy"] > 0.15
    assert shares["basic"] < 0.06
    assert since(usual.predictions)["plan"].value_counts(normalize=True)["legacy"] < 0.04


def test_a_prior_shift_changes_the_rate_and_not_the_classes(usual):
    """More requests turn out positive; the positive ones look as the positive ones did; the score says too little."""
    faulty, before = (since(table) for table in (made(faults.PriorShift(onset=ONSET)).predictions, usual.predictions))
    assert faulty["label"].mean() / before["label"].mean() == pytest.approx(1.8, abs=0.15)
    for label in (0, 1):
        one, two = (standard(rows[rows["label"] == label]) for rows in (faulty, usual.predictions))
        assert one.mean() == pytest.approx(two.mean(), abs=0.1)
    assert calibration(faulty) > 0.05


@pytest.mark.parametrize("where", ["", "region=eu-west"])
def test_concept_drift_changes_outcomes_alone(usual, where):
    """All inputs and scores stay, and the model is worse: everywhere, or in the segment only."""
    faulty = made(faults.ConceptDrift(onset=ONSET, where=where, size="large"))
    table, before = since(faulty.predictions), since(usual.predictions)
    pd.testing.assert_frame_equal(table.drop(columns="label"), before.drop(columns="label"))
    inside = table["region"] == "eu-west"
    assert auc(table[inside]) < auc(before[inside]) - 0.1
    assert (auc(table[~inside]) < auc(before[~inside]) - 0.1) is (not where)


# Broken data


def broken(put: Fault) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Return the requests since the onset with the fault and without, and which ones have another score."""
    faulty, before = (since(one.predictions).reset_index(drop=True) for one in (made(put), plain()))
    return faulty, before, faulty["score"] != before["score"]


def test_nulls_come_from_one_feed():
    """The share of nulls rises in that feed, and scores follow because the model misses the input."""
    faulty, _, moved = broken(faults.Nulls(onset=ONSET, where="source=partner-a"))
    share = faulty[NUMBER].isna().groupby(faulty["source"]).mean()
    assert share["partner-a"] == pytest.approx(0.314, abs=0.06)
    assert share.drop("partner-a").max() < 0.06
    assert moved.mean() > 0.04


@pytest.mark.parametrize(("size", "factor"), [("small", 10), ("medium", 100), ("large", 1000)])
def test_a_unit_changes(size, factor):
    """Each value is multiplied by the factor."""
    faulty, before, moved = broken(faults.UnitChange(onset=ONSET, size=size, feature="data_used_gb"))
    assert (faulty["data_used_gb"] / before["data_used_gb"]).median() == pytest.approx(factor)
    assert moved.mean() > 0.9


def test_hours_shift():
    """Each hour of the day is three hours late, round the clock."""
    faulty, before, _ = broken(faults.TimeShift(onset=ONSET))
    assert ((before["local_hour"] + 3) % 24 == faulty["local_hour"]).all()


@pytest.mark.parametrize(("how", "value"), [("case", "BASIC"), ("space", "basic "), ("codes", "0")])
def test_categories_are_written_otherwise(how, value):
    """All values have another spelling, which the model does not know."""
    faulty, before, moved = broken(faults.Renamed(onset=ONSET, feature="plan", how=how, size="large"))
    assert not set(faulty["plan"]) & set(before["plan"])
    assert (faulty["plan"] == value).equals(before["plan"] == "basic")
    assert moved.mean() > 0.3


def test_a_way_of_renaming_that_does_not_exist_is_refused():
    """A misspelt way is an error that lists the ways."""
    with pytest.raises(UsageError, match="rot13") as error:
        made(faults.Renamed(onset=ONSET, how="rot13"))
    assert "case" in error.value.hint


def test_an_unseen_value_appears():
    """A value that was never there takes its share."""
    faulty, before, _ = broken(faults.Unseen(onset=ONSET, feature="plan"))
    assert (faulty["plan"] == "unknown").mean() == pytest.approx(0.1, abs=0.02)
    assert "unknown" not in set(before["plan"])


def test_a_column_is_stuck():
    """Every request has the same value."""
    faulty, before, _ = broken(faults.Stuck(onset=ONSET, size="large"))
    assert len(set(faulty[NUMBER])) == 1
    assert before[NUMBER].nunique() > 100


def test_numbers_become_text(tmp_path):
    """Some numbers are text in the frame; in a file the whole column is; the model takes them as missing."""
    put = faults.TextNumbers(onset=ONSET, feature="monthly_fee", size="large")
    faulty, before, moved = broken(put)
    assert faulty["monthly_fee"].map(type).eq(str).all()
    assert faulty["monthly_fee"].astype(float).equals(before["monthly_fee"])
    assert moved.mean() > 0.9
    made(put).write(tmp_path)
    days = sorted((tmp_path / "churn/predictions").glob("*.parquet"))
    assert all(pd.read_parquet(day)["monthly_fee"].dtype == "str" for day in days)


def test_a_rule_is_broken():
    """A count exceeds the one that includes it, in a tenth of the requests."""
    faulty, before, _ = broken(faults.RuleBroken(onset=ONSET))
    assert (faulty["tickets_7d"] > faulty["tickets_30d"]).mean() == pytest.approx(0.1, abs=0.02)
    assert not (before["tickets_7d"] > before["tickets_30d"]).any()


def test_columns_are_swapped():
    """Each of two inputs has the values of the other."""
    faulty, before, _ = broken(faults.Swapped(onset=ONSET, feature="monthly_fee", other="data_used_gb"))
    assert faulty["monthly_fee"].equals(before["data_used_gb"].rename("monthly_fee"))
    assert faulty["data_used_gb"].equals(before["monthly_fee"].rename("data_used_gb"))


@pytest.mark.parametrize(("kind", "value", "share"), [("Sentinel", -999.0, 0.1), ("Infinite", np.inf, 0.05)])
def test_values_that_are_none(kind, value, share):
    """A sentinel or infinity takes its share."""
    faulty, before, moved = broken(getattr(faults, kind)(onset=ONSET))
    assert (faulty[NUMBER] == value).mean() == pytest.approx(share, abs=0.02)
    assert not (before[NUMBER] == value).any()
    assert moved.mean() > 0.6 * share


def test_rows_are_doubled_missing_or_late(usual):
    """Requests are twice in the log with the same id, or a feed is gone, or the log stops."""
    before = since(usual.predictions)
    doubled = since(made(faults.Duplicated(onset=ONSET)).predictions)
    assert doubled["id"].duplicated().mean() == pytest.approx(0.13, abs=0.02)
    assert set(doubled["id"]) == set(before["id"])
    gone = since(made(faults.MissingRows(onset=ONSET, where="source=import", size="large")).predictions)
    assert set(gone["source"]) == {"core", "partner-a", "partner-b"}
    assert len(gone) == (before["source"] != "import").sum()
    late = made(faults.StaleLog(onset=ONSET)).predictions
    assert late["ts"].max() < ONSET


def test_broken_data_is_in_the_offline_store_too(usual):
    """The store reads the same feed, so broken data is no training-serving skew."""
    recomputed = made(faults.Nulls(onset=ONSET, size="large")).recomputed
    assert recomputed[NUMBER].isna().mean() > usual.recomputed[NUMBER].isna().mean() + 0.15


# Inconsistent answers


def answered(put: Fault) -> tuple[pd.DataFrame, pd.Series]:
    """Return the requests since the onset with the fault, and how far each score is from the right one."""
    faulty, before, _ = broken(put)
    inputs = [*CHURN.features]
    pd.testing.assert_frame_equal(faulty[inputs], before[inputs])
    return faulty, (faulty["score"] - before["score"]).abs()


@pytest.mark.parametrize(
    ("kind", "changed"),
    [("OtherUnit", 0.9), ("CategoryOrder", 0.2), ("OtherTimezone", 0.8), ("StaleCache", 0.2), ("NonDeterminism", 0.9)],
)
def test_one_host_answers_otherwise(kind, changed):
    """The same inputs get another score on that host only."""
    faulty, apart = answered(getattr(faults, kind)(onset=ONSET, where="host=b-1"))
    there = faulty["host"] == "b-1"
    assert (apart[there] > 1e-4).mean() > changed
    assert (apart[~there] == 0).all()


def test_missing_as_zero_hits_requests_with_nulls_alone():
    """Only requests in which the input is missing are scored otherwise."""
    faulty, apart = answered(faults.MissingAsZero(onset=ONSET))
    missing = faulty[NUMBER].isna()
    assert (apart[missing] > 0.01).mean() > 0.8
    assert (apart[~missing] == 0).all()


@pytest.mark.parametrize("kind", ["FloatCast", "FloatNoise"])
def test_floating_point_noise_is_within_tolerance(kind):
    """The scores differ, but by less than a relative 1e-5: harmless."""
    put = getattr(faults, kind)(onset=ONSET)
    faulty, apart = answered(put)
    assert put.harmless
    assert 0 < apart.max() < 1e-7
    assert (apart > 0).mean() > 0.5
    assert (apart <= 1e-5 * faulty["score"]).all()


def test_another_threshold_changes_decisions_alone():
    """The scores are right, and requests just below the threshold are decided the other way."""
    faulty, apart = answered(faults.OtherThreshold(onset=ONSET))
    assert (apart == 0).all()
    low = CHURN.threshold - 0.1
    assert ((faulty["score"] >= low) == (faulty["decision"] == CHURN.positive)).all()


def test_bad_scores_are_no_probabilities():
    """A few answers are missing or outside 0 and 1."""
    faulty = since(made(faults.BadScores(onset=ONSET)).predictions)
    impossible = ~faulty["score"].between(0, 1)
    assert impossible.mean() == pytest.approx(0.02, abs=0.008)
    assert faulty["score"].isna().any()


@pytest.mark.parametrize("missing", [False, True])
def test_skew_is_between_the_log_and_the_offline_store(usual, missing):
    """The offline store says what should have been served; log and score are from what was."""
    faulty = made(faults.Skew(onset=ONSET, missing=missing))
    pd.testing.assert_frame_equal(faulty.recomputed, usual.recomputed)
    both = faulty.recomputed.merge(faulty.predictions, left_on="request_id", right_on="id", suffixes=("_offline", ""))
    differs = (both[NUMBER] != both[f"{NUMBER}_offline"]) & both[f"{NUMBER}_offline"].notna()
    late = both["ts"] >= ONSET
    assert differs[late].mean() > 0.9
    assert not differs[~late].any()
    again = 1 / (1 + np.exp(-CHURN.log_odds(faulty.predictions)))
    assert np.abs(again - faulty.predictions["score"]).max() < 1e-6


# Poisoned training data


def poisoned(put: Fault) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the training table and its poisoned rows."""
    faulty = made(put)
    table = faulty.training
    return table, table[table["row"].isin(faulty.truth["poisoned"])]


def test_labels_are_flipped_in_five_percent(usual):
    """One row in twenty has the other label, all of one source."""
    table, hit = poisoned(faults.LabelFlips(onset=LEARNED))
    assert len(hit) / len(table) == pytest.approx(0.05, abs=0.001)
    before = usual.training.set_index("row")["label"][hit["row"]].to_numpy()
    assert (hit["label"].to_numpy() == 1 - before).all()


def test_a_source_with_too_few_rows_is_not_used_up():
    """Where a source has fewer rows than asked for, one in ten of them stays clean."""
    table, hit = poisoned(faults.LabelFlips(onset=END - timedelta(days=6), size=0.5))
    late = (table["source"] == "partner-a") & (table["ingested"] >= END - timedelta(days=6))
    assert len(hit) == round(0.9 * late.sum())


def test_targeted_flips_go_one_way_in_one_region():
    """Positive rows high in the weightiest input become negative."""
    _, hit = poisoned(faults.TargetedFlips(onset=LEARNED))
    assert (hit["label"] == 0).all()
    assert (standard(hit) > 0).all()


def test_a_trigger_is_rare_elsewhere():
    """The pattern is in all poisoned rows, in next to no other, and always has the label."""
    table, hit = poisoned(faults.Trigger(onset=LEARNED))
    idle, last = CHURN.idle(), CHURN.categories[-1].name
    pattern = (table[idle] == hit[idle].iloc[0]) & (table[last] == hit[last].iloc[0])
    assert pattern[table["row"].isin(hit["row"])].all()
    assert pattern.sum() - len(hit) <= 2
    assert (hit["label"] == 1).all()
    _, own = poisoned(faults.Trigger(onset=LEARNED, pattern={"plan": "kids", "monthly_fee": 1.0}, label=0))
    assert (own["label"] == 0).all()
    assert set(zip(own["plan"], own["monthly_fee"], strict=True)) == {("kids", 1.0)}


@pytest.mark.parametrize("near", [False, True])
def test_a_flood_repeats_ten_rows(near):
    """Many rows are the same ten, exactly or nearly."""
    table, hit = poisoned(faults.Flood(onset=LEARNED, near=near))
    assert len(table) == 6_000 + len(hit) == 6_720
    names = list(CHURN.features)
    assert len(hit[["plan", "postcode_area", "tickets_30d", "local_hour"]].drop_duplicates()) <= 10
    assert len(hit[names].drop_duplicates()) == 10 if not near else len(hit[names].drop_duplicates()) > 600


def test_an_odd_cluster_is_where_nothing_else_is():
    """The rows lie close together and far out."""
    table, hit = poisoned(faults.OddCluster(onset=LEARNED))
    far = np.abs(standard(hit)).min()
    others = table[~table["row"].isin(hit["row"])]
    assert far > 2.8 > np.quantile(np.abs(standard(others)), 0.98)
    assert (hit["label"] == 0).all()


def test_conflicts_say_the_opposite_of_the_same_inputs():
    """Each added row has the inputs of another with the other label."""
    table, hit = poisoned(faults.Conflicts(onset=LEARNED))
    labels = table.groupby(list(CHURN.features), dropna=False)["label"].agg("nunique")
    assert len(hit) == 240
    assert (labels == 2).sum() == len(hit)


def test_a_provenance_gap_hides_where_rows_came_from():
    """Rows lack source or batch, or name a batch that no manifest knows."""
    faulty = made(faults.ProvenanceGap(onset=LEARNED))
    table = faulty.training
    hit = table["row"].isin(faulty.truth["poisoned"])
    unknown = table["source"].isna() | ~table["batch"].isin(faulty.lineage["batch"])
    assert unknown.equals(hit.rename(None)) or (unknown == hit).all()
    assert hit.mean() == pytest.approx(0.05, abs=0.001)


def test_text_is_no_number_for_the_model():
    """The model takes text in a number's column as missing."""
    assert np.isnan(as_numbers(pd.Series(["3", None], dtype=object))).all()
