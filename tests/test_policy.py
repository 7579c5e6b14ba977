"""Policy: thresholds, the decision tree, severity and texts. P9: broken input is never healthy."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rbnb.config import shipped
from rbnb.errors import ConfigError, ParameterError
from rbnb.model import Cause, Signal, to_plain
from rbnb.policy import decide, effective_thresholds, grade, judge, load_policy, show
from rbnb.policy.conditions import All, AnyOf, CauseTest, Evidence, FindingTest, Not, answer, can_be_unknown
from rbnb.policy.grammar import Leaf, Question
from rbnb.policy.texts import FINDING_FIELDS, Scope, fill, mistake_in

LEAF = {
    "verdict": "genuine",
    "because": ["p99 is {latency_p99.value}"],
    "propose": "throttle",
    "why": "because of {cause.name}",
    "escalate": "the owner",
    "colour": "red",
    "plain": {"what": "slow since {onset}", "how_bad": "{latency_p99.value}", "next": "wait"},
}
SMALL = {
    "name": "small",
    "version": "1",
    "source": "a test",
    "thresholds": {
        "latency_p99": {"warning": 1.2, "breach": 1.5, "why": "w"},
        "rows": {"breach": 50, "direction": "below", "compare": "value", "why": "w"},
        "burn": {"breach": 6, "undefined": "ok", "why": "no objective, no burning"},
    },
    "context": ["recovered"],
    "causes": ["host", "load"],
    "facts": {"onset": "time", "where": "place", "p99_to": "ms"},
    "tree": {
        "start": "enough",
        "unknown": "unclear",
        "nodes": {
            "enough": {
                "question": "Enough rows?",
                "when": {"finding": "rows", "status": "ok"},
                "yes": "slow",
                "no": "unclear",
            },
            "slow": {
                "question": "Slow?",
                "when": {"finding": "latency_p99", "status": ["breach"]},
                "yes": "by_host",
                "no": "fine",
            },
            "by_host": {
                "question": "A host?",
                "when": {"cause": {"kind": "host", "min_score": 0.5}},
                "yes": "host",
                "no": "bad",
            },
            "host": LEAF | {"verdict": "infrastructure", "propose": "shift_traffic"},
            "bad": LEAF,
            "fine": LEAF | {"verdict": "healthy", "propose": "none", "why": "", "colour": "green"},
            "unclear": LEAF | {"verdict": "inconclusive", "propose": "none", "why": "", "colour": "grey"},
        },
    },
    "severity": [
        {"level": "SEV1", "when": {"finding": "latency_p99", "value": {">=": 3}}, "because": "{latency_p99.value}"},
        {"level": "SEV4", "because": "otherwise"},
    ],
}


def changed(path, value):
    """SMALL with the value at a dotted path replaced, or removed where it is ...; the original is untouched."""
    data = yaml.safe_load(yaml.safe_dump(SMALL))
    *parents, last = path.split(".")
    place = data
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    if value is ...:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return data


@pytest.fixture
def written(tmp_path):
    """Write a policy to a file and return its path."""

    def write(data, name="small.yaml"):
        path = tmp_path / name
        path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return path

    return write


@pytest.fixture
def small(written):
    """Return SMALL as a policy."""
    return load_policy(written(SMALL))


@functools.cache
def policy_as_shipped():
    """Read the policy that is shipped for latency_spike, once."""
    return load_policy(shipped("policies") / "latency_spike.yaml")


@pytest.fixture
def shipped_policy():
    """Return the policy that is shipped for latency_spike."""
    return policy_as_shipped()


def signal(name, value, *, unit="ratio", n=1000, interval=None, where="", reason=""):
    """A signal with what matters to a test."""
    return Signal(name, value, unit, n, "counted", interval=interval, where=where, reason=reason)


def findings_of(policy, **values):
    """Judge one value a signal."""
    return judge([signal(name, value) for name, value in values.items()], policy, {})


def host(status="supported", score=0.9, **more):
    """A hypothesis about one host."""
    return Cause("host", more.pop("name", "host b2"), "host=b2", score, status, "it is slow", **more)


# Thresholds


@pytest.mark.parametrize(
    ("value", "interval", "status"),
    [
        (1.19, None, "ok"),
        (1.2, None, "warning"),
        (1.5, None, "breach"),
        (9.0, (1.5, 20.0), "breach"),
        (9.0, (1.2, 20.0), "warning"),
        (9.0, (0.8, 20.0), "ok"),
        (1.4, (1.5, 1.3), "warning"),
    ],
)
def test_an_upper_limit_is_held_against_the_lower_end_of_the_interval(small, value, interval, status):
    """A wide interval does not page, and to be on a limit is to have reached it."""
    (finding,) = judge([signal("latency_p99", value, interval=interval)], small, {})
    assert finding.status == status


@pytest.mark.parametrize(("value", "status"), [(51, "ok"), (50, "breach"), (0, "breach")])
def test_a_lower_limit_is_reached_from_above(small, value, status):
    """A count at or under its lower limit is a breach; nothing at all is the worst breach."""
    assert findings_of(small, rows=float(value))[0].status == status


def test_a_lower_limit_is_held_against_the_upper_end_unless_the_value_is_asked_for(written):
    """`compare` decides which number is held against a limit."""
    few = [signal("rows", 40.0, interval=(10.0, 60.0))]
    by_value = load_policy(written(SMALL))
    by_interval = load_policy(written(changed("thresholds.rows.compare", "interval")))
    assert [judge(few, policy, {})[0].status for policy in (by_value, by_interval)] == ["breach", "ok"]


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_undefined_with_a_reason(small, value):
    """P9: a value that is missing, NaN or infinite is never ok, and the finding says why."""
    (finding,) = judge([signal("latency_p99", value)], small, {})
    assert (finding.status, finding.value) == ("undefined", None)
    assert finding.reason
    assert judge([signal("latency_p99", None, reason="no such column")], small, {})[0].reason == "no such column"


@pytest.mark.parametrize("end", [math.nan, math.inf, -math.inf])
def test_an_interval_without_an_end_is_no_evidence(small, end):
    """P9: an interval that is not finite makes the finding undefined rather than quietly ok."""
    (finding,) = judge([signal("latency_p99", 2.0, interval=(end, 3.0))], small, {})
    assert finding.status == "undefined"


def test_too_few_observations_are_undefined(written):
    """A signal that rests on fewer than minimum_n observations is not judged, and says how many it has."""
    policy = load_policy(written(changed("thresholds.latency_p99.minimum_n", 100)))
    assert judge([signal("latency_p99", 2.0, n=100)], policy, {})[0].status == "breach"
    (few,) = judge([signal("latency_p99", 2.0, n=99)], policy, {})
    assert few.status == "undefined"
    assert "99" in few.reason


def test_undefined_may_count_as_something_and_says_so(small):
    """Where the policy lets an undefined value count as ok, the finding keeps the reason."""
    (finding,) = judge([signal("burn", None, reason="no objective in the model file")], small, {})
    assert finding.status == "ok"
    assert finding.reason.startswith("no objective in the model file (counts as ok")


@pytest.mark.parametrize("doubtful", ["ok", "warning", "undefined"])
def test_a_value_over_its_limit_that_its_interval_does_not_confirm_says_so(written, doubtful):
    """P9: a doubtful value has the status its threshold gives to doubt, and always a reason."""
    policy = load_policy(written(changed("thresholds.latency_p99.doubtful", doubtful)))
    (finding,) = judge([signal("latency_p99", 9.0, interval=(0.8, 20.0))], policy, {})
    assert finding.status == doubtful
    assert "too few observations to be sure" in finding.reason


def test_a_signal_the_policy_does_not_know_is_context(small):
    """Signals without a threshold are kept as they are, in their order, and never judged."""
    found = judge([signal("other", 5.0), signal("rows", 99.0), signal("gone", None)], small, {})
    assert [(f.signal, f.status, f.threshold) for f in found[::2]] == [
        ("other", "ok", "none (context)"),
        ("gone", "undefined", "none (context)"),
    ]


def test_a_finding_says_what_it_was_held_against(small):
    """The threshold of a finding is readable, with which end was compared and whose number it is."""
    given_interval = [signal("latency_p99", 2.0, interval=(1.0, 3.0))]
    assert judge(given_interval, small, {})[0].threshold == (
        "breach ≥ 1.5×, warning ≥ 1.2×, by the lower end of the interval"
    )
    assert judge(given_interval[:1], small, {"latency_p99": 2.0})[0].threshold.endswith("; set in the model file")


# Overrides


def test_a_model_file_moves_the_numbers_and_the_policy_stays_as_it_was(small):
    """An override holds for one judgement; both spellings of a breach mean the same."""
    values = [signal("latency_p99", 1.4)]
    for overrides in ({"latency_p99": 1.3}, {"latency_p99.breach": 1.3}):
        assert judge(values, small, overrides)[0].status == "breach"
    assert judge(values, small, {"latency_p99.warning": 1.45})[0].status == "ok"
    assert judge(values, small, {"latency_p99.minimum_n": 5000.0})[0].status == "undefined"
    assert judge(values, small, {})[0].status == "warning"


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"latency_p9": 1.3}, "latency_p99"),
        ({"latency_p99.braech": 1.3}, "breach"),
        ({"recovered": 1.0}, "no such threshold"),
        ({"latency_p99": math.nan}, "finite"),
        ({"latency_p99": True}, "finite"),
        ({"latency_p99.minimum_n": 2.5}, "whole number"),
        ({"latency_p99.minimum_n": 0}, "whole number"),
        ({"latency_p99.warning": 1.6}, "before breach"),
        ({"latency_p99.warning": 1.6, "latency_p99.breach": 1.55}, "before breach"),
        ({"latency_p99.breach.x": 1.6}, "no such threshold"),
    ],
)
def test_an_override_that_makes_no_sense_is_refused(small, overrides, says):
    """A wrong override names the file and the key, and suggests what was meant."""
    with pytest.raises(ConfigError) as refused:
        judge([], small, overrides, overrides_from="models/fraud-v3.yaml")
    assert says in refused.value.message + refused.value.hint
    assert refused.value.file == "models/fraud-v3.yaml"
    assert refused.value.key == f"thresholds.{next(iter(overrides))}"


def test_the_order_in_which_overrides_are_written_does_not_matter(small):
    """Warning and breach may be moved together, in either order."""
    moved = {"latency_p99.warning": 3.0, "latency_p99.breach": 4.0}
    for overrides in (moved, dict(reversed(moved.items()))):
        assert effective_thresholds(small, overrides)["latency_p99"].breach == 4.0


# Conditions

STATUS = {True: "breach", False: "ok", None: "undefined"}


def kleene(kind, answers):
    """The strong Kleene tables by their other definition: false < unknown < true, all is min and any is max."""
    order = {False: 0, None: 1, True: 2}
    extreme = (min if kind is All else max)(order[a] for a in answers)
    return {0: False, 1: None, 2: True}[extreme]


@pytest.mark.parametrize("answers", list(itertools.product([True, False, None], repeat=3)))
@pytest.mark.parametrize("kind", [All, AnyOf])
def test_conditions_follow_three_valued_logic(small, kind, answers):
    """All, any and not keep to Kleene's tables for every combination of yes, no and unknown."""
    findings = []
    for name, value in zip("abc", answers, strict=True):
        (plain,) = findings_of(small, x=1.0)
        findings.append(dataclasses.replace(plain, signal=name, status=STATUS[value]))
    parts = tuple(FindingTest(name, ("breach",)) for name in "abc")
    evidence = Evidence.of(findings, [], {})
    expected = kleene(kind, answers)
    assert answer(kind(parts), evidence) is expected
    assert answer(Not(kind(parts)), evidence) is (None if expected is None else not expected)


def test_only_a_test_for_undefined_is_true_of_what_was_not_measured(small):
    """Undefined and absent are unknown, whichever status or value is asked for."""
    evidence = Evidence.of(findings_of(small, latency_p99=None), [], {})
    for name in ("latency_p99", "rows"):
        for status in ("ok", "warning", "breach"):
            assert answer(FindingTest(name, (status,)), evidence) is None
        assert answer(FindingTest(name, (), ((">=", 0.0),)), evidence) is None
        assert answer(FindingTest(name, ("breach", "undefined")), evidence) is True
    assert not can_be_unknown(FindingTest("rows", ("undefined",)))
    assert can_be_unknown(Not(FindingTest("rows", (), ((">", 1.0),))))
    assert not can_be_unknown(CauseTest(("host",)))


def test_a_value_that_rests_on_too_little_is_not_compared(small):
    """An undefined finding may hold a number, and no condition takes it for a measurement."""
    (finding,) = findings_of(small, latency_p99=9.0)
    undefined = dataclasses.replace(finding, status="undefined")
    assert answer(FindingTest("latency_p99", (), ((">=", 1.0),)), Evidence.of([undefined], [], {})) is None


def test_absent_counts_as_its_threshold_says():
    """A finding nobody made has the status its threshold gives to an undefined value."""
    test = FindingTest("burn", ("breach",))
    assert answer(test, Evidence.of([], [], {"burn": "ok"})) is False
    assert answer(test, Evidence.of([], [], {"burn": "breach"})) is True


def test_one_place_is_not_everywhere(small):
    """A finding in one segment counts only where the condition asks for any place."""
    found = judge([signal("latency_p99", 9.0, where="zone=b"), signal("latency_p99", 1.0)], small, {})
    evidence = Evidence.of(found, [], {})
    assert answer(FindingTest("latency_p99", ("breach",)), evidence) is False
    assert answer(FindingTest("latency_p99", ("breach",), anywhere=True), evidence) is True


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (CauseTest(("host",)), True),
        (CauseTest(("host",), min_score=0.95), False),
        (CauseTest(("load",)), False),
        (CauseTest(("load",), ("refuted", "open")), True),
    ],
)
def test_a_cause_is_matched_by_kind_status_and_score(test, expected):
    """Any hypothesis that fits is enough; none is a no, as hypotheses are always looked for."""
    causes = [host(), Cause("load", "traffic", "", 0.2, "open", "")]
    assert answer(test, Evidence.of([], causes, {})) is expected
    assert answer(test, Evidence.of([], [], {})) is False


# Reading a policy


def test_bare_yes_and_no_are_read_as_they_are_meant(tmp_path, written):
    """YAML reads the bare keys yes and no as booleans; in a policy they are the answers."""
    text = written(SMALL).read_text(encoding="utf-8").replace("'yes':", "yes:").replace("'no':", "no:")
    assert re.search(r"^ +yes: slow$", text, re.MULTILINE)
    (tmp_path / "bare.yaml").write_text(text, encoding="utf-8")
    node = load_policy(tmp_path / "bare.yaml").nodes["enough"]
    assert isinstance(node, Question)
    assert (node.yes, node.no, node.unknown) == ("slow", "unclear", "unclear")


NODES = "tree.nodes."
REFUSED = [
    ("surplus", 1, "surplus", "not a known key"),
    ("thresholds.latency_p99.breech", 1.5, "thresholds.latency_p99.breech", "allowed here: breach"),
    ("thresholds.latency_p99.direction", "over", "thresholds.latency_p99.direction", "above"),
    ("thresholds.latency_p99.breach", 1.1, "thresholds.latency_p99", "before breach"),
    ("thresholds.latency_p99.breach", math.nan, "thresholds.latency_p99.breach", "finite"),
    ("thresholds.latency_p99.breach", "1.5", "thresholds.latency_p99.breach", "number"),
    ("thresholds.latency_p99.why", ..., "thresholds.latency_p99.why", "required"),
    ("thresholds.latency_p99", {"why": "w"}, "thresholds.latency_p99", "belongs in context"),
    ("thresholds.Latency", {"breach": 1, "why": "w"}, "thresholds.Latency", "small letters"),
    ("context", ["burn"], "context.burn", "twice"),
    ("facts.onset", "clock", "facts.onset", "place"),
    ("tree.start", "enuogh", "tree.start", "did you mean enough"),
    ("tree.unknown", "bad", "tree.unknown", "inconclusive"),
    ("tree.unknown", "slow", "tree.unknown", "inconclusive"),
    ("tree.unknown", ..., NODES + "enough.unknown", "required"),
    (NODES + "enough.yes", "slwo", NODES + "enough.yes", "did you mean slow"),
    (NODES + "enough.unknown", "slow", NODES + "enough.unknown", "never an all-clear"),
    (NODES + "enough.unknown", "fine", NODES + "enough.unknown", "never an all-clear"),
    (NODES + "by_host.no", "enough", NODES + "enough", "enough → slow → by_host → enough"),
    (NODES + "by_host.no", "by_host", NODES + "by_host", "circle"),
    (NODES + "by_host.no", "host", NODES + "bad", "no path"),
    (NODES + "bad", {"formula": "1 + 1"}, NODES + "bad", "no known type"),
    (NODES + "bad", "genuine", NODES + "bad", "must be a question"),
    (NODES + "bad.when", {"finding": "rows", "status": "ok"}, NODES + "bad", "both when and verdict"),
    (NODES + "bad.verdict", "fine", NODES + "bad.verdict", "inconclusive"),
    (NODES + "bad.colour", "green", NODES + "bad", "green says all is well"),
    (NODES + "unclear.colour", "green", NODES + "unclear", "green says all is well"),
    (NODES + "bad.why", "", NODES + "bad", "say why"),
    (NODES + "bad.because", [], NODES + "bad.because", "first sentence"),
    (NODES + "bad.because", [3], NODES + "bad.because.0", "must be a sentence"),
    (NODES + "bad.because", ["{latency_p99.vaule}"], NODES + "bad.because.0", "did you mean value"),
    (NODES + "bad.because", ["{latency_p9.value}"], NODES + "bad.because.0", "did you mean latency_p99"),
    (NODES + "bad.because", ["{latency_p99.__class__}"], NODES + "bad.because.0", "brace"),
    (NODES + "bad.because", ["{latency_p99.value:>10}"], NODES + "bad.because.0", "brace"),
    (NODES + "bad.because", ["{}"], NODES + "bad.because.0", "brace"),
    (NODES + "bad.because", ["{onsett}"], NODES + "bad.because.0", "did you mean onset"),
    (NODES + "bad.plain.what", "{cause.nmae}", NODES + "bad.plain.what", "did you mean name"),
    (NODES + "bad.plain.when", "x", NODES + "bad.plain.when", "allowed here: how_bad, next, what"),
    (NODES + "bad.escalate", "{whom}", NODES + "bad.escalate", "not a placeholder"),
    (NODES + "slow.question", "{whom}?", NODES + "slow.question", "not a placeholder"),
    (NODES + "slow.when", {"finding": "latency"}, NODES + "slow.when", "either a status or a value"),
    (NODES + "slow.when.finding", "latency_p9", NODES + "slow.when.finding", "did you mean latency_p99"),
    (NODES + "slow.when.status", "breached", NODES + "slow.when.status.0", "breach"),
    (NODES + "slow.when", {"finding": "rows", "status": []}, NODES + "slow.when", "either"),
    (NODES + "slow.when", {"finding": "rows", "value": {}}, NODES + "slow.when.value", "at least 1"),
    (NODES + "slow.when", {"finding": "rows", "value": {"=>": 1}}, NODES + "slow.when.value.=>", "'>='"),
    (NODES + "slow.when", {"finding": "rows", "value": {">=": "1"}}, NODES + "slow.when.value.>=", "number"),
    (NODES + "slow.when", {"finding": "recovered", "status": "ok"}, NODES + "slow.when.status", "no threshold"),
    (NODES + "slow.when", {"signal": "rows"}, NODES + "slow.when", "exactly one of"),
    (NODES + "slow.when", {}, NODES + "slow.when", "exactly one of"),
    (NODES + "slow.when", {"all": [], "any": []}, NODES + "slow.when", "exactly one of"),
    (NODES + "slow.when", {"all": []}, NODES + "slow.when.all", "at least one"),
    (NODES + "slow.when", {"any": [{"not": "rows"}]}, NODES + "slow.when.any.0.not", "exactly one of"),
    (NODES + "slow.when", {"not": {"cause": {}}, "x": 1}, NODES + "slow.when.x", "beside not"),
    (NODES + "by_host.when.cause.kind", "hots", NODES + "by_host.when.cause.kind", "did you mean host"),
    (NODES + "by_host.when.cause.status", "proven", NODES + "by_host.when.cause.status.0", "supported"),
    (NODES + "by_host.when.cause.kind", [], NODES + "by_host.when.cause.kind", "at least 1"),
    ("severity", [], "severity", "at least 1"),
    ("severity.0.level", "SEV5", "severity.0.level", "SEV4"),
    ("severity.0.because", "{onset}", "severity.0.because", "not a placeholder"),
    ("severity.1.when", {"finding": "rows", "status": "ok"}, "severity.1", "the last rule"),
    ("severity.0", {"level": "SEV1", "because": "x"}, "severity.0", "the last rule"),
]


@pytest.mark.parametrize(("path", "value", "key", "says"), REFUSED, ids=[f"{r[0]}-{r[3]}" for r in REFUSED])
def test_a_mistake_in_a_policy_is_refused_when_it_is_read(written, path, value, key, says):
    """Every mistake names the file, the key and what is allowed, before anything is judged."""
    file = written(changed(path, value))
    with pytest.raises(ConfigError) as refused:
        load_policy(file)
    assert (refused.value.file, refused.value.key) == (str(file), key)
    assert says in f"{refused.value.message} {refused.value.hint}"


def test_a_condition_that_contains_itself_is_refused(written):
    """A YAML alias that makes a condition part of itself is an error, not an endless loop."""
    file = written(SMALL)
    text = file.read_text(encoding="utf-8").replace(
        "when:\n        finding: rows", "when: &x\n        not: *x\n        a: b"
    )
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError):
        load_policy(file)


# Deciding


@pytest.mark.parametrize(
    ("values", "causes", "leaf", "took"),
    [
        ({"rows": 100.0, "latency_p99": 1.0}, [], "fine", ["yes → slow", "no → fine"]),
        ({"rows": 100.0, "latency_p99": 2.0}, [], "bad", ["yes → slow", "yes → by_host", "no → bad"]),
        ({"rows": 100.0, "latency_p99": 2.0}, [host()], "host", ["yes → slow", "yes → by_host", "yes → host"]),
        ({"rows": 100.0, "latency_p99": 2.0}, [host("refuted")], "bad", ["yes → slow", "yes → by_host", "no → bad"]),
        ({"rows": 10.0, "latency_p99": 2.0}, [host()], "unclear", ["no → unclear"]),
        ({"rows": None, "latency_p99": 1.0}, [], "unclear", ["unknown → unclear"]),
        ({"rows": 100.0}, [host()], "unclear", ["yes → slow", "unknown → unclear"]),
        ({}, [], "unclear", ["unknown → unclear"]),
    ],
)
def test_the_branch_that_was_taken_is_recorded(small, values, causes, leaf, took):
    """The tree ends at the leaf its rules say, and the record holds each way it took."""
    decision = decide(small, findings_of(small, **values), causes, {})
    assert decision.leaf == leaf
    assert [step.took for step in decision.branch] == took


def test_a_branch_says_what_it_saw_and_can_be_recorded(small):
    """Each step keeps its question and the values and causes it looked at, as strict JSON."""
    decision = decide(small, findings_of(small, rows=100.0, latency_p99=2.0), [host("open", rank=1)], {})
    enough, slow, by_host = decision.branch
    assert (enough.node, enough.question) == ("enough", "Enough rows?")
    assert slow.saw == {"latency_p99": {"status": "breach", "value": 2.0, "unit": "ratio", "where": ""}}
    assert by_host.saw == {"cause host": [{"name": "host b2", "status": "open", "score": 0.9}]}
    assert to_plain(decision)["branch"][0]["saw"]["rows"]["value"] == 100.0


def test_what_was_not_measured_is_told_in_the_verdict(small):
    """P9: an unanswered question is among the reasons, with the signal and why it is missing."""
    findings = judge([signal("rows", None, reason="the table is empty")], small, {})
    verdict = decide(small, findings, [], {}).verdict
    assert verdict.name == "inconclusive"
    assert verdict.because[-1] == "not answered: Enough rows? rows: the table is empty"


def test_a_proposal_speaks_of_the_cause_that_decided(small):
    """Texts and place come from the cause whose branch fired, not from a better ranked one."""
    other = Cause("load", "more traffic", "", 0.95, "supported", "", rank=1)
    decision = decide(small, findings_of(small, rows=99.0, latency_p99=2.0), [other, host(rank=2)], {"where": "zone=b"})
    assert decision.proposal is not None
    assert decision.proposal.action == "shift_traffic"
    assert decision.proposal.because == "because of host b2"
    assert decision.proposal.where == "host=b2"
    assert decision.proposal.escalate_to == "the owner"


def test_without_a_deciding_cause_the_best_supported_one_is_spoken_of(small):
    """A leaf reached without a cause names the best supported hypothesis, and the place the caller knows."""
    load = [Cause("load", "no", "", 1.0, "refuted", "", rank=1), Cause("load", "yes", "", 0.1, "supported", "", rank=2)]
    decision = decide(small, findings_of(small, rows=99.0, latency_p99=2.0), load, {"where": "zone=b"})
    assert decision.proposal is not None
    assert (decision.proposal.because, decision.proposal.where) == ("because of yes", "zone=b")


@pytest.mark.parametrize("order", list(itertools.permutations([0, 1, 2])))
def test_of_several_causes_that_fit_the_best_ranked_decides(small, order):
    """The rank decides which cause is spoken of, not the order in which they are given; unranked ones come last."""
    causes = [host(name=f"rank {rank}", rank=rank) for rank in order]
    decision = decide(small, findings_of(small, rows=99.0, latency_p99=2.0), causes, {})
    assert decision.proposal is not None
    assert decision.proposal.because == "because of rank 1"


def test_no_action_is_no_proposal(small):
    """A leaf that proposes none leaves the proposal empty."""
    assert decide(small, findings_of(small, rows=99.0, latency_p99=1.0), [], {}).proposal is None


def test_a_sentence_with_a_condition_is_said_only_when_it_holds(written):
    """Conditional sentences appear when their condition is true, and not when it is unknown."""
    line = {"text": "burning", "when": {"finding": "burn", "value": {">=": 6}}}
    data = changed(NODES + "bad.because", ["slow", line])
    data["tree"]["nodes"]["bad"]["plain"]["what"] = ["slow.", line]
    policy = load_policy(written(data))
    slow = {"rows": 99.0, "latency_p99": 2.0}
    assert decide(policy, findings_of(policy, **slow), [], {}).verdict.because == ("slow",)
    loud = decide(policy, findings_of(policy, **slow, burn=9.0), [], {})
    assert loud.verdict.because == ("slow", "burning")
    assert loud.plain["what"] == "slow. burning"


# Severity


def test_severity_is_the_first_rule_that_applies(small):
    """The first rule whose condition holds gives the level and its reason."""
    assert grade(small, findings_of(small, latency_p99=3.0), [], None).level == "SEV1"
    low = grade(small, findings_of(small, latency_p99=2.9), [], None)
    assert (low.level, low.reasons) == ("SEV4", ("otherwise",))


def test_severity_says_what_could_not_be_told(small):
    """A rule that reads what was not measured does not apply, and is not passed over in silence."""
    severity = grade(small, [], [], None)
    assert severity.level == "SEV4"
    assert severity.reasons[1] == "whether it is SEV1 could not be told: latency_p99 not measured"


def test_a_severity_given_by_a_person_stands(small):
    """The person's level wins and says so, with what the policy would have said; another word is refused."""
    severity = grade(small, findings_of(small, latency_p99=3.0), [], "SEV3")
    assert severity.level == "SEV3"
    assert severity.reasons == ("SEV3 was given by a person", "computed was SEV1: 3×")
    with pytest.raises(ParameterError) as refused:
        grade(small, [], [], "sev3")
    assert "SEV1" in refused.value.hint


# Texts


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1140.4, "ms", "1\u202f140 ms"),
        (231.0, "ms", "231 ms"),
        (12.34, "ms", "12.3 ms"),
        (0.0, "ms", "0 ms"),
        (0.413, "share", "41 %"),
        (0.0123, "share", "1.23 %"),
        (1.0, "share", "100 %"),
        (0.99999, "share", "99.999 %"),
        (0.9995, "share", "99.95 %"),
        (2.44, "ratio", "2.44×"),
        (14.4, "burn rate", "14.4×"),
        (1234567.0, "count", "1\u202f234\u202f567"),
        (115.0, "minutes", "1 h 55 min"),
        (6.26, "robust z", "6.26"),
        (1.0, "flag", "yes"),
        (5.0, "per minute", "5 per minute"),
        (1e300, "minutes", None),
        (-0.00001, "ratio", "-1e-05×"),
        (math.nan, "ms", "not measured"),
        (None, "share", "not measured"),
    ],
)
def test_numbers_are_written_for_a_reader(value, unit, text):
    """Each unit has one way to be written, and what is no number is said to be not measured."""
    assert text is None or show(value, unit) == text
    assert show(value, unit)


FACTS = [
    (datetime(2026, 11, 19, 14, 5, tzinfo=UTC), "2026-11-19 14:05 UTC"),
    (timedelta(minutes=90), "1 h 30 min"),
    (1140.0, "1\u202f140 ms"),
    ((0.3, "share"), "30 %"),
    ("zone=b", "zone=b"),
    (True, "yes"),
    (None, "not known"),
    ("", "not known"),
]


@pytest.mark.parametrize(("value", "text"), FACTS)
def test_facts_are_written_by_what_they_are(value, text):
    """The caller's facts are times, durations, numbers in the declared unit, or plain text."""
    assert fill("{p99_to}", Scope({}, None, {"p99_to": value}, {"p99_to": "ms"})) == text


def test_what_is_missing_leaves_no_hole(small):
    """A placeholder without a value says so, an empty place is everywhere, and every field can be written."""
    scope = Scope({}, None, {"where": ""}, {"where": "place"})
    assert fill("{onset}, {rows.value}, {cause.name}, {where}", scope) == (
        "not known, not measured, not known, everywhere"
    )
    (finding,) = judge([signal("latency_p99", 2.0, interval=(1.5, 3.0), where="zone=b")], small, {})
    texts = {part: fill(f"{{latency_p99.{part}}}", Scope({"latency_p99": finding})) for part in FINDING_FIELDS}
    assert texts["interval"] == "1.5× to 3×"
    assert (texts["where"], texts["n"], texts["reason"]) == ("zone=b", "1\u202f000", "not known")


@given(st.text())
def test_a_value_is_never_looked_into(value):
    """What data holds comes out as it is, braces and all; filling is one pass."""
    cause = Cause("host", value or "x", "", 1.0, "supported", "")
    assert fill("<{cause.name}>", Scope({}, cause)) == f"<{value or 'x'}>"


@given(st.text(alphabet="{}.:!_[]()abcdefgclassmro0"))
def test_no_text_reaches_beyond_the_declared_fields(text):
    """A text that passes the check holds nothing but declared placeholders; no attribute is ever read."""
    if not mistake_in(text, signals=["a"], facts=["b"]):
        rest = re.sub(r"\{(b|a\.[a-z]+|cause\.[a-z]+)\}", "", text)
        assert "{" not in rest
        assert "}" not in rest


# The shipped policy

GOOD = {
    "rows_current": (5000.0, "count"),
    "rows_reference": (90000.0, "count"),
    "reference_buckets": (4000.0, "count"),
    "coverage": (1.0, "share"),
    "data_age": (2.0, "minutes"),
    "null_share": (0.0, "share"),
    "non_finite_share": (0.0, "share"),
    "duplicate_share": (0.0, "share"),
    "future_share": (0.0, "share"),
    "reference_unusable_share": (0.0, "share"),
    "reference_duplicate_share": (0.0, "share"),
    "latency_range": (400.0, "ms"),
    "latency_drop": (1.0, "ratio"),
    "latency_anomaly": (0.5, "robust z"),
    "latency_p50": (1.0, "ratio"),
    "latency_p95": (1.01, "ratio"),
    "latency_p99": (1.02, "ratio"),
    "slow_share": (0.01, "share"),
    "error_rate": (0.001, "share"),
    "throughput": (1.0, "ratio"),
    "throughput_drop": (1.0, "ratio"),
    "recovered": (0.0, "flag"),
}
SLOW = {
    "latency_anomaly": (9.0, "robust z"),
    "latency_p95": (3.0, "ratio"),
    "latency_p99": (4.9, "ratio"),
    "slow_share": (0.41, "share"),
    "excess_at_equal_load": (0.97, "share"),
    "duration": (55.0, "minutes"),
}
KNOWN = {
    "onset": datetime(2026, 11, 19, 14, 5, tzinfo=UTC),
    "where": "zone=b",
    "stage": "features_ms",
    "level": "p99",
    "level_from": 231.0,
    "level_to": 1140.0,
}


def shipped_case(policy, values, causes=()):
    """Judge, decide and grade by the shipped policy."""
    signals = [signal(name, value, unit=unit) for name, (value, unit) in values.items()]
    findings = judge(signals, policy, {})
    return decide(policy, findings, list(causes), KNOWN), grade(policy, findings, list(causes), None)


def cause(kind, status="supported"):
    """A hypothesis of one kind."""
    return Cause(kind, f"the {kind}", "zone=b", 0.8, status, "it fits", rank=1)


CASES = [
    ("healthy", {}, [], "SEV4"),
    ("no_data", {"rows_current": (0.0, "count")}, [], "SEV4"),
    ("no_data", {"rows_reference": (None, "count")}, [], "SEV4"),
    ("stale", {"data_age": (10080.0, "minutes")}, [], "SEV4"),
    ("dirty_data", {"null_share": (1.0, "share")}, [], "SEV4"),
    ("dirty_data", SLOW | {"duplicate_share": (0.3, "share")}, [cause("dependency")], "SEV2"),
    ("dirty_data", {"reference_unusable_share": (0.4, "share")}, [], "SEV4"),
    ("no_data", {"reference_buckets": (3.0, "count")}, [], "SEV4"),
    ("not_credible", {"latency_range": (0.0, "ms")}, [], "SEV4"),
    ("not_credible", {"latency_drop": (0.001, "ratio")}, [], "SEV4"),
    ("not_judged", {"data_age": (None, "minutes")}, [], "SEV4"),
    ("not_judged", {"latency_anomaly": (None, "robust z")}, [], "SEV4"),
    ("transient", SLOW | {"recovered": (1.0, "flag")}, [cause("dependency")], "SEV2"),
    ("infrastructure_dependency", SLOW, [cause("deploy", "refuted"), cause("dependency")], "SEV2"),
    ("infrastructure_dependency", SLOW | {"recovered": (None, "flag")}, [cause("dependency")], "SEV2"),
    ("infrastructure_host", SLOW, [cause("host"), cause("load")], "SEV2"),
    ("load", SLOW, [cause("load"), cause("change")], "SEV2"),
    ("change", SLOW, [cause("deploy")], "SEV2"),
    ("unexplained", SLOW, [cause("dependency", "open"), cause("deploy", "refuted")], "SEV2"),
    ("unexplained", SLOW | {"slow_share": (0.06, "share")}, [], "SEV3"),
    ("chronic", {"burn_latency_3d": (1.2, "burn rate")}, [], "SEV3"),
    ("chronic", {"burn_availability_1h": (20.0, "burn rate"), "error_rate": (0.3, "share")}, [], "SEV1"),
]


@pytest.mark.parametrize(("leaf", "values", "causes", "level"), CASES)
def test_the_shipped_policy_concludes_as_it_is_meant_to(shipped_policy, leaf, values, causes, level):
    """Each way through the shipped tree ends where an on-call engineer would, with a text that lacks nothing."""
    decision, severity = shipped_case(shipped_policy, GOOD | values, causes)
    assert (decision.leaf, severity.level) == (leaf, level)
    texts = [*decision.verdict.because, *decision.plain.values(), decision.escalate]
    assert all(texts)
    assert not re.search(r"[{}]", " ".join(texts))


def test_every_leaf_of_the_shipped_policy_is_visited(shipped_policy):
    """No leaf of the shipped tree goes untested."""
    leaves = {name for name, node in shipped_policy.nodes.items() if isinstance(node, Leaf)}
    assert leaves == {case[0] for case in CASES}


NEEDED = (
    *("rows_current", "rows_reference", "coverage", "data_age", "null_share", "non_finite_share", "future_share"),
    *("reference_buckets", "reference_unusable_share", "latency_range"),
    *("latency_anomaly", "latency_p50"),
)
QUIET = ("duplicate_share", "reference_duplicate_share", "latency_drop", "latency_p95", "latency_p99")
BROKEN = [math.nan, math.inf, None]


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("value", [*BROKEN, ...])
def test_broken_input_is_never_healthy(shipped_policy, name, value):
    """P9: whichever needed measurement is missing, NaN or infinite, the verdict is inconclusive with a reason."""
    values = dict(GOOD)
    del values[name]
    if value is not ...:
        values[name] = (value, GOOD[name][1])
    decision, _ = shipped_case(shipped_policy, values)
    assert decision.verdict.name == "inconclusive"
    assert decision.colour == "grey"
    assert any(name in reason for reason in decision.verdict.because)


@given(
    st.dictionaries(
        st.sampled_from(sorted(GOOD | SLOW)),
        st.one_of(st.none(), st.just(...), st.floats(), st.floats(min_value=0, max_value=10)),
        max_size=4,
    ),
    st.lists(st.sampled_from([cause(k, s) for k in ("host", "load", "deploy") for s in ("supported", "open")])),
)
def test_healthy_is_earned(values, causes):
    """P9: whatever becomes of good values, healthy means every needed one is there and none is in breach."""
    policy = policy_as_shipped()
    mixed = {name: value for name, (value, _) in GOOD.items()} | values
    signals = [signal(name, value) for name, value in mixed.items() if value is not ...]
    findings = judge(signals, policy, {})
    decision = decide(policy, findings, causes, {})
    status = {f.signal: f.status for f in findings}
    earned = all(status.get(name) in ("ok", "warning") for name in NEEDED)
    quiet = all(status.get(name, "ok") in ("ok", "warning") for name in QUIET)
    assert (decision.verdict.name == "healthy") == (earned and quiet)
    assert decision.verdict.because


def test_broken_data_with_a_clear_anomaly_tells_of_it(shipped_policy):
    """Damaged data is no reason to hide that what can be read of it is slow."""
    for broken in ({"null_share": (0.6, "share")}, {"data_age": (500.0, "minutes")}, {"rows_current": (1.0, "count")}):
        decision, _ = shipped_case(shipped_policy, GOOD | SLOW | broken)
        assert decision.verdict.name == "inconclusive"
        assert any("stands out" in reason for reason in decision.verdict.because)
        assert "slow" in decision.plain["what"]


@pytest.mark.parametrize("tail", ["latency_p95", "latency_p99"])
def test_doubt_about_the_tail_is_no_all_clear(shipped_policy, tail):
    """P9: a tail that looks far too high, from too few requests to be sure, is inconclusive and says so."""
    doubtful = signal(tail, 3.0, interval=(0.9, 9.0))
    rest = [signal(name, value, unit=unit) for name, (value, unit) in GOOD.items() if name != tail]
    decision = decide(shipped_policy, judge([*rest, doubtful], shipped_policy, {}), [], {})
    assert decision.verdict.name == "inconclusive"
    assert "too few observations to be sure" in decision.verdict.because[-1]


def test_a_policy_is_read_the_same_each_time(shipped_policy):
    """Reading is repeatable, and the digest says which file it was."""
    again = load_policy(shipped("policies") / "latency_spike.yaml")
    assert again == shipped_policy
    assert re.fullmatch(r"[0-9a-f]{64}", again.digest)


def test_the_example_in_the_documentation_works(tmp_path):
    """The policy shown in docs/policy.md is accepted as it stands, and so is its override."""
    text = (Path(__file__).parent.parent / "docs" / "policy.md").read_text(encoding="utf-8")
    example, override, refer = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert set(yaml.safe_load(refer)["refer"][0]) == {"to", "because", "when"}
    (tmp_path / "example.yaml").write_text(example, encoding="utf-8")
    policy = load_policy(tmp_path / "example.yaml")
    assert effective_thresholds(policy, yaml.safe_load(override)["thresholds"]) != policy.thresholds
