"""What a drift is taken for: found with cause and onset, told from broken data, silent where nothing is wrong."""

from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pandas as pd
import pytest

from rbnb.data import ModelData
from rbnb.diagnoses.drift import DataDrift, summary, views
from rbnb.diagnoses.drift.hypotheses import hypotheses
from rbnb.inventory import load_model_file
from rbnb.policy import decide, judge, load_policy
from rbnb.simulate.faults.drift import ConceptDrift, Correlation, HarmlessDrift, PriorShift, Shift
from rbnb.simulate.log import END
from rbnb.simulate.scene import scene

POLICY = load_policy(Path(__file__).parents[2] / "policies" / "data_drift.yaml")
DAY = timedelta(days=1)


def made(*faults, seed=1, change=None, label_delay=None, per_hour=45.0, days=15.0):
    """Make a scene, write it, and return the measurements of its last day."""
    about = scene(
        "churn", seed=seed, days=days, per_hour=per_hour, faults=faults, training_rows=60, label_delay=label_delay
    )
    if change:
        about = replace(about, predictions=change(about.predictions.copy()))
    folder = Path(mkdtemp())
    about.write(folder)
    return opened(folder)


def opened(folder, **scope):
    """Open what was written, as a run does."""
    model = load_model_file(folder / "models" / "churn.yaml")
    data = ModelData(model, folder / "models")
    given = {"at": "", "window": "24h", "bucket": "auto", "reference": "", "leave_out": ""} | scope
    extent, chosen = data.scope(clock=model.clock(""), **given)
    return DataDrift(data, chosen, extent, DataDrift.Settings(**POLICY.settings), 0)


def concluded(drift):
    """Return the decision, and the hypotheses."""
    causes = hypotheses(drift)
    return decide(POLICY, judge(drift.signals, POLICY, {}), causes, summary.facts(drift)), causes


@cache
def shifted():
    """One input moves everywhere; nobody knows yet how it turns out."""
    return made(Shift(onset=END - DAY / 2, size="large"))


def test_a_quiet_day_is_healthy_and_says_what_it_cannot_see():
    """No alarm; the page says that realised performance is not measured and what inputs cannot show."""
    decision, causes = concluded(made())
    assert decision.verdict.name == "healthy"
    assert not causes
    told = " ".join(decision.verdict.because)
    assert "not measured" in told
    assert "concept drift" in told
    assert "blind" in told


def test_a_shifted_input_is_named_with_its_onset():
    """The verdict, the input, the hour, and the kind of drift come out; a second look gives the same."""
    drift = shifted()
    decision, causes = concluded(drift)
    assert decision.verdict.name == "genuine"
    assert causes[0].kind == "covariate"
    assert causes[0].where == "feature=days_since_login"
    assert abs(drift.course.onset - (END - DAY / 2).timestamp()) <= 3600
    assert "days_since_login" in summary.headline(drift)[0]
    assert summary.since(drift).endswith("It is still going on.")
    assert concluded(drift)[0] == decision
    assert summary.criteria(drift)


def test_an_input_that_the_score_does_not_mind_wakes_nobody():
    """Certain and harmless is healthy, and the note names the input."""
    decision, causes = concluded(made(HarmlessDrift(onset=END - DAY, size="large")))
    assert decision.verdict.name == "healthy"
    assert any("battery_level" in line for line in decision.verdict.because)
    assert all(cause.status == "refuted" for cause in causes if cause.kind == "covariate")


def test_inputs_that_go_together_otherwise_are_found():
    """Each alone looks as before; the pair is named."""
    decision, causes = concluded(made(Correlation(onset=END - DAY, size="large"), seed=2))
    assert decision.verdict.name == "genuine"
    assert causes[0].kind == "correlation"
    assert " & " in causes[0].where


@pytest.mark.parametrize(("fault", "kind"), [(ConceptDrift, "concept"), (PriorShift, "label")])
def test_with_outcomes_another_meaning_and_another_rate_are_told_apart(fault, kind):
    """Both are found by what happened, and each is called what it is."""
    drift = made(fault(onset=END - DAY, size="large"), label_delay=timedelta(hours=1))
    decision, causes = concluded(drift)
    assert decision.verdict.name == "genuine"
    assert causes[0].kind == kind
    assert drift.outcome.realised
    assert "AUC" in summary.facts(drift)["performance"]


def test_without_outcomes_another_meaning_stays_open():
    """It cannot be seen, so it is neither claimed nor denied, and said to be unseen."""
    drift = made(ConceptDrift(onset=END - DAY, size="large"))
    assert concluded(drift)[0].verdict.name == "healthy"
    assert any(gap.what.startswith("concept drift") for gap in drift.not_measured)


def test_with_outcomes_a_harmless_move_of_scores_is_a_note():
    """Where performance held, what moved is told and nobody is woken."""
    decision, _ = concluded(made(Shift(onset=END - DAY, size=0.35), label_delay=timedelta(hours=1), seed=3))
    assert decision.verdict.name == "healthy"
    assert decision.leaf == "kept"


def nulls(table):
    """Lose a third of one input."""
    late = table["ts"] >= END - DAY
    table.loc[late & (np.arange(len(table)) % 3 == 0), "days_since_login"] = np.nan
    return table


def unit(table):
    """Log one input in cents."""
    late = table["ts"] >= END - DAY
    table["monthly_fee"] = table["monthly_fee"].astype(float)
    table.loc[late, "monthly_fee"] *= 100
    return table


def renamed(table):
    """Write one category in capitals."""
    late = table["ts"] >= END - DAY
    table["plan"] = table["plan"].astype(object).where(~late, table["plan"].astype(object).str.upper())
    return table


def dropped(table):
    """Lose one column."""
    return table.drop(columns="monthly_fee")


@pytest.mark.parametrize(
    ("change", "word"), [(nulls, "missing"), (unit, "100 times"), (renamed, "renamed"), (dropped, "monthly_fee")]
)
def test_broken_data_is_no_drift(change, word):
    """It is inconclusive and points to the runbook for it; the other inputs are measured all the same."""
    drift = made(change=change)
    decision, _ = concluded(drift)
    assert decision.verdict.name == "inconclusive"
    assert decision.referrals[0].runbook == "data_quality"
    assert word in decision.referrals[0].because
    assert len(drift.features.all) >= 10
    assert all(one.psi.defined for one in drift.features.all.values())


def late(table):
    """Stop logging a day and a half before the end."""
    return table[table["ts"] < END - 1.4 * DAY]


def few(table):
    """Lose nearly all of the last day."""
    return table[(table["ts"] < END - DAY) | (np.arange(len(table)) % 30 == 0)]


@pytest.mark.parametrize("change", [late, few])
def test_too_old_or_too_little_is_never_an_all_clear(change):
    """What is there says nothing about now, and that is what is said."""
    assert concluded(made(change=change))[0].verdict.name == "inconclusive"


def test_a_window_without_rows_is_inconclusive_and_still_shown():
    """Nothing to compare breaks no table and no figure."""
    gone = made(
        change=lambda table: table[(table["ts"] < END - 2 * DAY) | (table["ts"] >= END - timedelta(minutes=30))]
    )
    folder = Path(gone.data.folder) if hasattr(gone.data, "folder") else None
    drift = gone if folder is None else opened(folder.parent, at=str(END - timedelta(hours=1)))
    decision, causes = concluded(drift)
    assert decision.verdict.name == "inconclusive"
    for show in (views.score_figure, views.course_figure, views.feature_figure, views.feature_table,
                 views.performance_table, views.segment_table, views.segment_figure, views.estimate_note):  # fmt: skip
        show(drift)
    assert views.hypothesis_table(causes)
    assert summary.headline(drift) == [] or drift.found


def test_one_version_that_answers_otherwise_is_sent_to_its_own_runbook():
    """Same inputs, other scores on one host: no drift of the data."""

    def odd(table):
        hit = (table["ts"] >= END - DAY) & (table["host"] == min(table["host"].unique()))
        table["score"] = np.where(hit, np.clip(table["score"] * 0.4, 0, 1), table["score"])
        return table

    decision, causes = concluded(made(change=odd))
    assert decision.leaf == "served_otherwise"
    assert decision.referrals[0].runbook == "output_inconsistency"
    assert causes[0].kind == "output"


def test_everything_is_shown():
    """Tables and figures of a drift say what they show, in words too."""
    drift = shifted()
    causes = hypotheses(drift)
    for figure in (
        views.score_figure(drift),
        views.course_figure(drift),
        views.feature_figure(drift),
        *views.feature_views(drift),
    ):
        assert figure.alt
        assert figure.svg.startswith("<svg")
    table = views.feature_table(drift)
    assert table.rows[0][0] == "days_since_login"
    assert views.hypothesis_table(causes).rows
    assert views.estimate_note(drift).level == "warning"
    frame = views.feature_frame(drift)
    assert isinstance(frame, pd.DataFrame)
    assert set(frame.columns) == {"feature", "bin", "reference", "current", "p"}
    assert views.change_table(drift, causes).title
