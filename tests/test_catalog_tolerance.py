"""Tolerances and snapshots: what counts as right, what never does, and what is taken for the way back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from rbnb.catalog import Observed, check_path, described, holds, taken
from rbnb.catalog.tolerance import ToleranceField, filled
from rbnb.catalog.values import Filling
from rbnb.errors import DataError, UsageError

WRITTEN = TypeAdapter(ToleranceField)
ANSWER = json.dumps({"spec": {"suspend": False, "n": 3, "w": [1, 2], "phase": "Paused"}, "name": "fraud"})


def within(written, text=ANSWER, code=0, provider="process"):
    """Whether an answer is within a tolerance as a catalog writes it, and what was seen."""
    return holds(filled(WRITTEN.validate_python(written), Filling({})), Observed(provider, code, text))


HELD = [
    (0, "", 0),
    ([0, 3], "", 3),
    ("ready", " ready\n", 0),
    (["ready", "done"], "done", 0),
    ({"regex": "^dep.*out$"}, 'first\ndeployment "x" rolled out\n', 0),
    ({"range": [0, 5]}, " 4.5 ", 0),
    ({"jsonpath": "$.spec.suspend", "equals": False}, ANSWER, 0),
    ({"jsonpath": "$.spec.n", "equals": 3.0}, ANSWER, 0),
    ({"jsonpath": "$.spec.n", "range": [3, 3]}, ANSWER, 0),
    ({"jsonpath": "$.spec.w", "equals": [1, 2]}, ANSWER, 0),
    ({"jsonpath": "$.spec.w[*]", "range": [1, 2]}, ANSWER, 0),
    ({"jsonpath": "$.spec.phase", "one_of": ["Paused", "Healthy"]}, ANSWER, 0),
    ({"jsonpath": "$.spec.phase", "regex": "^Pau"}, ANSWER, 0),
    ({"jsonpath": "$.spec.phase", "exists": True}, ANSWER, 0),
    ({"jsonpath": "$.spec.gone", "exists": False}, ANSWER, 0),
    ({"jsonpath": "$.spec.gone", "equals": None}, ANSWER, 0),
    ([{"jsonpath": "$.spec.n", "equals": 3}, {"jsonpath": "$.name", "equals": "fraud"}], ANSWER, 0),
    ({"status": 3}, "whatever", 3),
]
NOT_HELD = [
    (0, "", 1),
    ("ready", "already", 0),
    ({"regex": "rolled out"}, "rolled out", 1),
    ({"range": [0, 5]}, "6", 0),
    ({"range": [0, 5]}, "many", 0),
    ({"range": [0, 5]}, "nan", 0),
    ({"jsonpath": "$.spec.suspend", "equals": 0}, ANSWER, 0),
    ({"jsonpath": "$.spec.n", "equals": "3"}, ANSWER, 0),
    ({"jsonpath": "$.spec.n", "equals": True}, '{"spec": {"n": 1}}', 0),
    ({"jsonpath": "$.spec.suspend", "equals": False}, ANSWER, 1),
    ({"jsonpath": "$.spec.w[*]", "equals": 1}, ANSWER, 0),
    ({"jsonpath": "$.spec.gone", "equals": "x"}, ANSWER, 0),
    ({"jsonpath": "$.spec.gone", "range": [0, 1]}, ANSWER, 0),
    ({"jsonpath": "$.spec.gone", "regex": ".*"}, ANSWER, 0),
    ({"jsonpath": "$.spec.gone", "exists": True}, ANSWER, 0),
    ({"jsonpath": "$.spec.gone", "exists": False}, "not json", 0),
    ({"jsonpath": "$.spec.gone", "equals": None}, "", 0),
    ([{"jsonpath": "$.spec.n", "equals": 3}, {"jsonpath": "$.name", "equals": "credit"}], ANSWER, 0),
    (0, "", None),
    ({"regex": ".*"}, "", None),
]


@pytest.mark.parametrize(("written", "text", "code"), HELD, ids=[str(case[0]) for case in HELD])
def test_what_is_within_a_tolerance_holds(written, text, code):
    """Codes, texts, patterns, ranges and paths into JSON hold where the answer is what they say."""
    held, seen = within(written, text, code)
    assert held, seen
    assert seen


@pytest.mark.parametrize(("written", "text", "code"), NOT_HELD, ids=[f"{case[0]} {case[2]}" for case in NOT_HELD])
def test_what_is_not_within_a_tolerance_never_holds(written, text, code):
    """A failed probe, an answer that is no JSON, or a path that finds nothing is no proof that an action worked."""
    held, seen = within(written, text, code)
    assert not held, seen
    assert seen


def test_a_request_went_well_with_any_2xx_and_nothing_else():
    """A status outside 200 to 299 is never within a tolerance that names no status."""
    assert within({"jsonpath": "$.name", "equals": "fraud"}, code=201, provider="http") == (True, '$.name is "fraud"')
    for code in (0, 199, 302, 404, 500, None):
        assert not within({"jsonpath": "$.name", "equals": "fraud"}, code=code, provider="http")[0]
    assert within([200, 404], code=404, provider="http") == (True, "status 404")
    assert within(200, code=None, provider="http") == (False, "no answer")


def test_what_was_seen_cannot_steer_or_flood():
    """What a target answers is told in one short line without control characters."""
    _, seen = within("ready", "\x1b[2J" + "x" * 5000 + "\u202e\nnext")
    assert len(seen) < 400
    assert not set("\x1b\n\u202e") & set(seen)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda kids: st.lists(kids, max_size=3)))
def test_json_is_equal_to_itself_and_to_nothing_else(value):
    """Any JSON holds against itself, and not against itself wrapped in a list."""
    text = json.dumps({"value": value})
    assert holds({"jsonpath": "$.value", "equals": value}, Observed("process", 0, text))[0]
    assert not holds({"jsonpath": "$.value", "equals": [value]}, Observed("process", 0, text))[0]


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"status": []},
        {"text": []},
        {"jsonpath": "$.a", "one_of": []},
        [],
        {"text": "a", "regex": "b"},
        {"regex": "("},
        {"all": [{}]},
    ],
)
def test_a_tolerance_that_says_nothing_or_two_things_is_refused(written):
    """An empty tolerance would always hold, so there is none."""
    with pytest.raises(ValidationError):
        WRITTEN.validate_python(written)


def test_values_in_a_tolerance_are_only_values():
    """A value in a pattern is escaped, and one in a path can be no more than a name."""
    found = WRITTEN.validate_python([{"regex": "^${x}$"}, {"jsonpath": "$.data['${x}']", "equals": "${n}"}])
    plain = filled(found, Filling({"x": "a.b", "n": "3"}, {"n": "number"}))
    assert plain == {"all": [{"regex": "^a\\.b$"}, {"jsonpath": "$.data['a.b']", "equals": 3}]}
    with pytest.raises(UsageError):
        filled(found, Filling({"x": "'] | $..*", "n": "3"}))
    for path in ("$.", "$[?", "x y"):
        with pytest.raises(UsageError, match="JSONPath"):
            check_path(path)


@pytest.mark.parametrize("written", [case[0] for case in HELD + NOT_HELD], ids=str)
def test_every_tolerance_can_be_told_in_words(written):
    """A person who approves reads when a verification holds, for each form a tolerance can have."""
    plain = filled(WRITTEN.validate_python(written), Filling({}))
    told = described(plain)
    assert " is " in told or " matches " in told
    assert all(path in told for path in [plain.get("jsonpath", "")])
    assert described({"success": True}) == "it succeeds"


# What a snapshot takes

TAKES = {
    "n": {"jsonpath": "$.spec.n", "kind": "number"},
    "off": {"jsonpath": "$.spec.suspend", "kind": "boolean"},
    "phase": {"jsonpath": "$.spec.phase"},
    "spec": {"jsonpath": "$.spec", "kind": "json"},
    "gone": {"jsonpath": "$.spec.gone", "kind": "number", "absent": None},
    "word": {"regex": '"name": "([a-z]+)"'},
    "digit": {"regex": '"n": ([0-9]+)', "kind": "number"},
}


def test_a_snapshot_takes_values_with_their_kinds():
    """Numbers stay numbers, lists stay lists, and what is absent is what the catalog says."""
    assert taken(TAKES, Observed("process", 0, ANSWER)) == {
        "n": 3, "off": False, "phase": "Paused", "spec": json.loads(ANSWER)["spec"],
        "gone": None, "word": "fraud", "digit": 3,
    }  # fmt: skip
    assert taken({}, Observed("http", 200, "not json at all")) == {}


@pytest.mark.parametrize(
    ("take", "says"),
    [
        ({"jsonpath": "$.spec.gone"}, "is not in it"),
        ({"jsonpath": "$.spec.w[*]", "kind": "number"}, "2 different forms"),
        ({"jsonpath": "$.spec.n"}, "no text"),
        ({"jsonpath": "$.spec.suspend", "kind": "number"}, "no number"),
        ({"jsonpath": "$.spec.n", "kind": "boolean"}, "no boolean"),
        ({"jsonpath": "$.spec.phase", "pattern": "[a-z]+"}, "no text it may be"),
        ({"regex": "nothing (like) this"}, "is not in it"),
    ],
)
def test_a_state_that_cannot_be_returned_to_is_an_error_before_anything_runs(take, says):
    """A value that is missing, ambiguous or of another kind stops the action, for its rollback could not work."""
    with pytest.raises(DataError, match=says):
        taken({"x": take}, Observed("process", 0, ANSWER))


@pytest.mark.parametrize(
    "observed", [Observed("process", 1, ANSWER), Observed("http", None), Observed("http", 404, ANSWER)]
)
def test_a_snapshot_that_failed_takes_nothing(observed):
    """What a failed probe printed is not the state before."""
    with pytest.raises(DataError, match="could not be read"):
        taken(TAKES, observed)


@pytest.mark.parametrize(
    "text", ['{"a": "${secret.token}"}', '{"a": {"b": ["${x}"]}}', '{"a": "-rf"}', '{"a": "a\\nb"}']
)
def test_what_a_target_answers_cannot_become_more_than_a_value(text):
    """A target cannot make the rollback send a secret, hold an option, or span two lines."""
    kind = "json" if "$" in text else "text"
    with pytest.raises(DataError):
        taken({"a": {"jsonpath": "$.a", "kind": kind}}, Observed("http", 200, text))
