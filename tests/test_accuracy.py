"""A small part of the benchmark of accuracy, on seeds of its own; `make accuracy` runs all of it."""

from __future__ import annotations

import pytest

from benchmarks.accuracy.run import ALARMS, examine
from benchmarks.accuracy.scenarios import MODES, SEEDS, Scenario, grid
from benchmarks.accuracy.score import Share, alarmed, correct

#: Rows of the largest log simulated here.
SMALL = 30_000
FAULTS = {
    "latency_spike": (("zone", "large", "triage"), ("host", "large", "credit")),
    "data_drift": (("shift", "large", "churn"), ("concept", "large", "triage")),
    "data_quality": (("nulls", "medium", "pricing"), ("unit", "medium", "credit"), ("unseen", "large", "recommend")),
    "output_inconsistency": (("threshold", "large", "recommend"), ("skew", "large", "churn")),
    "data_poisoning": (("trigger", "large", "pricing"),),
}


def scenario(mode, kind, family="", size="", business="churn", **more):
    """Return a scenario of a thousand rows; the seed follows from what it is."""
    number = sum(map(ord, f"{mode}{kind}{family}{size}")) % 1_000
    given = {
        "rows": 1_000,
        "seasonal": 1.0,
        "trend": 0.03,
        "distractors": True,
        "labels": True,
        "seed": SEEDS["test"] + number,
        **more,
    }
    return Scenario(mode=mode, kind=kind, family=family, size=size, business=business, **given)


@pytest.mark.parametrize(("mode", "fault"), [(mode, fault) for mode in MODES for fault in FAULTS[mode]])
def test_a_fault_is_found_and_its_cause_named_first(mode, fault):
    """A fault of at least medium size raises an alarm under its runbook, and the first hypothesis names it."""
    rows = 3_000 if mode == "data_poisoning" else 1_000
    outcome = examine(scenario(mode, "fault", *fault, rows=rows), SMALL)
    assert not outcome.error
    assert outcome.verdict in ALARMS, outcome
    assert outcome.top_1, outcome.causes


@pytest.mark.parametrize("mode", MODES)
def test_nothing_wrong_is_healthy(mode):
    """A day with its season, growing traffic, a harmless deploy and changes that mean nothing raises no alarm."""
    outcome = examine(scenario(mode, "healthy"), SMALL)
    assert (outcome.verdict, outcome.error) == ("healthy", "")


@pytest.mark.parametrize(
    ("mode", "family"),
    [("data_drift", "an input without weight moved"), ("output_inconsistency", "the last digits")],
)
def test_what_is_certain_and_harmless_is_no_alarm(mode, family):
    """A change that is statistically certain and touches no prediction is healthy."""
    assert correct(examine(scenario(mode, "harmless", family, "large", "pricing"), SMALL))


def test_poisoned_rows_are_told_from_clean_ones():
    """Of 5 % flipped labels at least eight in ten are suspected, and of the suspected at least eight in ten are."""
    outcome = examine(scenario("data_poisoning", "fault", "label flips", "medium", "credit", rows=5_000), SMALL)
    assert outcome.top_1, outcome.causes
    assert outcome.precision >= 0.8
    assert outcome.recall >= 0.8


def test_broken_units_are_no_drift():
    """A unit that changed is pointed to data_quality by the drift runbook, or at least not called drift."""
    assert correct(examine(scenario("data_drift", "elsewhere", "unit", "medium", "credit"), SMALL))


def test_the_grid_is_what_it_says():
    """The grid has at least 400 scenarios, a quarter of them healthy, and no seed of the other ranges."""
    every = {name: grid(name) for name in SEEDS}
    final = every["final"]
    healthy = [one for one in final if one.kind in ("healthy", "harmless")]
    assert len(final) >= 400
    assert len(healthy) >= len(final) / 4
    assert len({one.key for one in final}) == len(final)
    assert {one.rows for one in final} >= {200, 1_000_000}
    seeds = [{one.seed for one in scenarios} for scenarios in every.values()]
    assert sum(map(len, seeds)) == len(set().union(*seeds))


def test_doubt_is_neither_right_nor_a_false_alarm():
    """An inconclusive verdict counts against the share that is right, and is no alarm."""
    outcome = examine(scenario("latency_spike", "healthy", rows=1), SMALL)
    assert not correct(outcome)
    assert not alarmed(outcome)


def test_a_share_comes_with_its_interval():
    """Shares are printed with Wilson's interval; of nothing there is none."""
    assert str(Share(5, 100)) == "5/100 = 5.0 % (2–11)"
    assert str(Share(0, 0)) == "–"
