"""Policies beside the tree: pointing to other runbooks, severity under its circumstances, names of other runbooks."""

from datetime import timedelta

import pytest
import yaml
from test_policy import SMALL, changed, findings_of, signal

from rbnb.config import shipped
from rbnb.errors import ConfigError
from rbnb.policy import Circumstances, decide, grade, judge, load_policy, load_weights, overrides_for


@pytest.fixture
def load(tmp_path):
    """Write a policy and read it."""

    def read(data, name="small"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(data | {"name": name}, sort_keys=False), encoding="utf-8")
        return load_policy(path)

    return read


@pytest.fixture
def weights():
    """The factors that are shipped."""
    return load_weights(shipped("policies") / "severity.yaml")


REFER = [
    {"to": "data_quality", "because": "p99 is {latency_p99.value}", "when": {"finding": "latency_p99", "status": "ok"}},
    {"to": "data_drift", "because": "always"},
]


def test_a_leaf_points_to_the_runbooks_whose_condition_holds(load):
    """And to no other; the sentence has its numbers."""
    policy = load(changed("tree.nodes.fine.refer", REFER))
    calm = decide(policy, findings_of(policy, latency_p99=1.0, rows=500), [], {})
    assert [(one.runbook, one.because) for one in calm.referrals] == [
        ("data_quality", "p99 is 1×"),
        ("data_drift", "always"),
    ]
    slow = decide(policy, findings_of(policy, latency_p99=2.0, rows=500), [], {})
    assert slow.referrals == ()


@pytest.mark.parametrize(
    ("refer", "key"),
    [
        ([{"to": "data_quality"}], "because"),
        ([{"to": "../x", "because": "b"}], "to"),
        ([{"to": "x", "because": "{nothing.value}"}], "because"),
        ([{"to": "x", "because": "b", "when": {"finding": "nothing", "status": "ok"}}], "when"),
        (["data_quality"], "refer"),
    ],
)
def test_a_mistake_in_a_pointer_is_named_with_its_key(load, refer, key):
    """So that nobody finds out during an incident."""
    with pytest.raises(ConfigError) as refused:
        load(changed("tree.nodes.fine.refer", refer))
    assert key in str(refused.value)


@pytest.mark.parametrize("key", ["affected", "watch"])
def test_a_policy_names_only_signals_it_has(load, key):
    """What is touched and what is watched must exist."""
    with pytest.raises(ConfigError, match=key):
        load(SMALL | {key: "nothing"})
    assert getattr(load(SMALL | {key: "rows"}), key) == "rows"


@pytest.mark.parametrize(
    ("impact", "criticality", "hours", "at_peak", "level"),
    [
        ("SEV3", "medium", 1, False, "SEV3"),
        ("SEV3", "high", 1, False, "SEV3"),
        ("SEV3", "high", 1, True, "SEV2"),
        ("SEV3", "critical", 1, False, "SEV2"),
        ("SEV3", "low", 1, False, "SEV4"),
        ("SEV3", "medium", 30, False, "SEV2"),
        ("SEV2", "critical", 1, False, "SEV1"),
        ("SEV2", "low", 1, False, "SEV3"),
        ("SEV1", "critical", 99, True, "SEV1"),
        ("SEV4", "critical", 99, True, "SEV4"),
    ],
)
def test_severity_is_impact_times_circumstances(load, weights, impact, criticality, hours, at_peak, level):
    """And no factor makes an incident out of no impact."""
    policy = load(SMALL | {"severity": [{"level": impact, "because": "so it is"}]})
    around = Circumstances(criticality, timedelta(hours=hours), at_peak)
    severity = grade(policy, findings_of(policy, latency_p99=2.0), [], None, weights, around)
    assert severity.level == level
    assert severity.reasons[0] == "so it is"
    if impact != "SEV4":
        assert f"= {level}" in severity.reasons[1].replace(", SEV", " = SEV")
        assert criticality in severity.reasons[1]


def test_a_severity_of_a_person_keeps_what_was_computed_beside_it(load, weights):
    """So that the override can be understood later."""
    policy = load(SMALL)
    around = Circumstances("critical", timedelta(hours=5), at_peak=True)
    severity = grade(policy, findings_of(policy, latency_p99=9.0), [], "SEV3", weights, around)
    assert severity.level == "SEV3"
    assert "given by a person" in severity.reasons[0]
    assert severity.reasons[1].startswith("computed was SEV1")


@pytest.mark.parametrize(
    "mistake",
    [
        {"criticality": {"low": 1, "medium": 1, "high": 1}},
        {"duration": [{"from": "P1D", "times": 2}, {"from": "PT4H", "times": 1.5}]},
        {"duration": []},
        {"peak": 0},
        {"weekend": 2},
    ],
)
def test_factors_that_make_no_sense_are_refused(tmp_path, mistake):
    """With the file and the key."""
    good = yaml.safe_load((shipped("policies") / "severity.yaml").read_text(encoding="utf-8"))
    path = tmp_path / "severity.yaml"
    path.write_text(yaml.safe_dump(good | mistake), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_weights(path)
    assert next(iter(mistake)) in str(refused.value)


def test_a_limit_for_another_runbook_is_no_mistake_here(load):
    """A model file serves every runbook; a name that none has is refused with what was meant."""
    mine = load(SMALL)
    other = load(changed("thresholds.psi", {"breach": 0.2, "why": "w"}), "drift")
    given = {"psi": 0.3, "latency_p99": 9.0, "drift/rows": 7, "small/rows.warning": 60}
    assert overrides_for(mine, given, lambda: [mine, other]) == {"latency_p99": 9.0, "rows.warning": 60}
    assert overrides_for(other, given, lambda: [mine, other]) == {"psi": 0.3, "latency_p99": 9.0, "rows": 7}
    for wrong in ("latency_p98", "drift/nothing", "nowhere/rows"):
        with pytest.raises(ConfigError):
            overrides_for(mine, {wrong: 1.0}, lambda: [mine, other])


def test_of_findings_in_places_the_worst_speaks(load):
    """A sentence about a signal that is measured once a feature tells of the one that is worst."""
    policy = load(changed("tree.nodes.fine.because", "{burn.where} {burn.value}"))
    found = judge(
        [
            signal("rows", 500.0),
            signal("latency_p99", 1.0),
            signal("burn", 1.0, where="feature=a"),
            signal("burn", 9.0, where="feature=b"),
            signal("burn", 2.0, where="feature=c"),
        ],
        policy,
        {},
    )
    assert "feature=b" in decide(policy, found, [], {}).verdict.because[0]
