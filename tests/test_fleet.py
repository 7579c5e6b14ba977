"""The sample fleet under every runbook: each finds its own failure, and none sees one where there is none."""

import json

import pytest
from template_fixture import REPOSITORY, run_cells

from rbnb.inventory import find_models

MODELS = find_models(REPOSITORY / "data_samples" / "models")
TRUTH = {name: json.loads((REPOSITORY / "data_samples" / "truth" / f"{name}.json").read_text()) for name in MODELS}
RUNBOOKS = ("latency_spike", "data_drift", "data_poisoning", "output_inconsistency", "data_quality")
#: Whose failure it is.
FAILS = {
    "fraud-v3": "latency_spike",
    "churn-v2": "data_drift",
    "credit-v4": "data_poisoning",
    "recommend-v7": "output_inconsistency",
    "pricing-v5": "data_quality",
    "triage-v1": None,
}


def test_there_is_a_model_for_every_runbook_and_one_that_is_well():
    """Six models: five failures and a control."""
    assert set(MODELS) == set(FAILS)
    assert set(FAILS.values()) - {None} == set(RUNBOOKS)


@pytest.mark.parametrize("model", sorted(FAILS))
@pytest.mark.parametrize("runbook", RUNBOOKS)
def test_each_runbook_finds_its_own_failure_and_no_other(runbook, model):
    """The right pairing names the cause; every wrong one is healthy or points to the right runbook."""
    case = run_cells(runbook, model)
    decision = case.decision
    if FAILS[model] == runbook:
        assert decision.verdict.name in ("genuine", "infrastructure"), decision.verdict
        supported = [cause for cause in case.causes if cause.status == "supported"]
        assert supported, [cause.name for cause in case.causes]
        assert decision.proposal is not None
    else:
        pointed = {one.runbook for one in decision.referrals}
        assert decision.verdict.name == "healthy" or FAILS[model] in pointed, (decision.verdict, decision.referrals)
        if FAILS[model] is None:
            assert decision.verdict.name == "healthy"
            assert not pointed
