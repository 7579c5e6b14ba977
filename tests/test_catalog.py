"""The action catalog: what is read, what is refused, and that a value is never more than a value. P20, P24."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rbnb.catalog import Action, load_catalog, render
from rbnb.config import read_yaml, shipped
from rbnb.errors import ConfigError, ParameterError
from rbnb.model import to_plain
from rbnb.policy import load_policy

STEP = {"command": ["kubectl", "patch", "service/${service}", '--patch={"a":"${word}"}'], "expect": "patched"}
ACTION = {
    "title": "Do it",
    "objective": "Make it stop.",
    "phase": "containment",
    "risk": "medium",
    "approvals": 1,
    "blast_radius": "one service",
    "values": {
        "service": {"pattern": "[a-z-]{1,20}", "help": "the service"},
        "word": {"pattern": ".*", "help": "anything", "default": "x"},
    },
    "preconditions": [{"text": "it runs", "command": ["kubectl", "get", "service/${service}"]}, {"text": "look"}],
    "dry_run": STEP,
    "execute": STEP,
    "verify": {"command": ["kubectl", "get", "service/${service}"], "expect": "patched"},
    "rollback": STEP,
    "expected_outcome": "it stops",
    "safety_check": "nothing else stops",
    "manual": "do it by hand",
}


def action(**changes):
    """ACTION with some keys changed, or removed where they are ... ."""
    return {key: value for key, value in (ACTION | changes).items() if value is not ...}


def made(**changes):
    """ACTION as an Action."""
    return Action.model_validate(action(**changes))


@pytest.fixture
def written(tmp_path):
    """Write actions to a catalog file and return its path."""

    def write(actions, name="actions.yaml"):
        path = tmp_path / name
        path.write_text(yaml.safe_dump({"actions": actions}, sort_keys=False), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="module")
def catalog():
    """Return the catalog that is shipped."""
    return load_catalog([shipped("policies") / "actions.yaml"])


# Reading


def test_a_later_catalog_replaces_an_action_whole(written):
    """A workspace can replace a shipped action by name, and add its own; the rest stays."""
    base = written({"stop": action(), "keep": action()})
    own = written({"stop": action(title="Do it our way", risk="low"), "more": action()}, "own.yaml")
    found = load_catalog([base, own])
    assert list(found) == ["stop", "keep", "more"]
    assert (found["stop"].title, found["stop"].risk, found["keep"].title) == ("Do it our way", "low", "Do it")
    assert load_catalog([]) == {}


def values(**more):
    """The declared values with some added."""
    return ACTION["values"] | more


REFUSED = [
    ({"surplus": 1}, "surplus", "not a known key"),
    ({"risk": "extreme"}, "risk", "'low', 'medium' or 'high'"),
    ({"phase": "later"}, "phase", "containment"),
    ({"approvals": -1}, "approvals", "greater than or equal to 0"),
    ({"approvals": "1"}, "approvals", "integer"),
    ({"objective": ...}, "objective", "required"),
    ({"verify": ...}, "", "needs verify too"),
    ({"rollback": ..., "dry_run": ...}, "", "needs dry_run, rollback too"),
    ({"execute": ...}, "", "nothing to execute"),
    ({"verify": {"command": "kubectl get pods", "expect": "x"}}, "verify.command", "list"),
    ({"verify": {"command": [], "expect": "x"}}, "verify.command", "at least 1"),
    ({"verify": {"command": ["kubectl", 3], "expect": "x"}}, "verify.command.1", "string"),
    ({"verify": {"command": ["sh", "-c", "kubectl get ${service}"], "expect": "x"}}, "verify.command", "a shell"),
    ({"verify": {"command": ["/usr/bin/bash", "x"], "expect": "x"}}, "verify.command", "a shell"),
    ({"verify": {"command": ["kubectl", "exec", "p", "sh", "-c", "x"], "expect": "x"}}, "verify.command", "a shell"),
    ({"verify": {"command": ["${service}", "x"], "expect": "x"}}, "verify.command", "written out"),
    ({"verify": {"command": ["a", "${Service}"], "expect": "x"}}, "verify.command", "small letters"),
    ({"verify": {"command": ["a", "${service"], "expect": "x"}}, "verify.command", "small letters"),
    ({"verify": {"command": ["a", "${sevrice}"], "expect": "x"}}, "", "not declared under values"),
    ({"values": values(spare={"pattern": "x", "help": "y"})}, "", "no command uses the value spare"),
    ({"values": values(service={"pattern": "[a-z", "help": "y"})}, "values.service.pattern", "regular expression"),
    ({"values": values(service={"pattern": "a", "help": ""})}, "values.service.help", "at least 1"),
    ({"values": values(service={"pattern": "a", "help": "y", "default": "ab"})}, "values.service", "does not match"),
]


@pytest.mark.parametrize(("changes", "key", "says"), REFUSED, ids=[r[2] for r in REFUSED])
def test_a_mistake_in_a_catalog_is_refused_when_it_is_read(written, changes, key, says):
    """Every mistake names the file and the key, before anybody needs the action."""
    file = written({"stop": action(**changes)})
    with pytest.raises(ConfigError) as refused:
        load_catalog([file])
    assert (refused.value.file, refused.value.key) == (str(file), f"actions.stop.{key}".removesuffix("."))
    assert says in refused.value.message


def test_an_action_cannot_be_called_like_a_path(written):
    """P20: the name of an action is a plain name."""
    with pytest.raises(ConfigError):
        load_catalog([written({"../stop": action()})])


def test_reading_a_catalog_makes_no_objects(tmp_path):
    """P24: a catalog cannot create Python objects; a tag that would is refused."""
    file = tmp_path / "actions.yaml"
    file.write_text("actions: !!python/object/apply:os.system ['true']\n", encoding="utf-8")
    with pytest.raises(ConfigError):
        load_catalog([file])


# Rendering


def test_values_are_put_into_every_command():
    """Each command is shown as arguments and as a line, with defaults where nothing was given."""
    rendered = render(made(), {"service": "fraud"})
    assert rendered.execute is not None
    assert rendered.execute.argv == ("kubectl", "patch", "service/fraud", '--patch={"a":"x"}')
    assert rendered.execute.display == 'kubectl patch service/fraud \'--patch={"a":"x"}\''
    assert [step.display for step in rendered.preconditions] == ["kubectl get service/fraud", ""]
    assert (rendered.missing, rendered.values) == ((), {"service": "fraud", "word": "x"})
    assert to_plain(rendered)["rollback"]["argv"][2] == "service/fraud"


def test_a_missing_value_stays_visible_and_is_listed():
    """What nobody gave stands in the command as <name>, quoted so that pasting it runs nothing."""
    rendered = render(made(), {})
    assert rendered.execute is not None
    assert rendered.execute.argv[2] == "service/<service>"
    assert "'service/<service>'" in rendered.execute.display
    assert rendered.missing == ("service",)
    assert rendered.help["service"] == "the service"


def test_values_of_other_actions_are_left_alone():
    """One set of values serves many actions; what an action does not declare is not looked at."""
    assert render(made(), {"service": "fraud", "namespace": "bad\nvalue"}).missing == ()


@pytest.mark.parametrize(
    "value", ["", "Fraud", "fraud\n", "fraud; rm -rf /", "fraud $(id)", "a" * 21, "fraud\x00", "../x", 7, None]
)
def test_a_value_that_does_not_match_its_pattern_is_refused(value):
    """P20: values are matched in full before they are used, and the refusal says what is allowed."""
    if value is None:
        assert render(made(), {"service": value}).missing == ("service",)
        return
    with pytest.raises(ParameterError) as refused:
        render(made(), {"service": value})
    assert "[a-z-]{1,20}" in refused.value.hint


@pytest.mark.parametrize("value", ['","b":"c', "\\", "\u202egnp.exe", "a\tb", "\x1b[2J", "line\u2028two"])
def test_a_value_can_not_change_the_document_it_stands_in(value):
    """Even where the pattern lets everything through, quotes, backslashes and hidden characters are refused."""
    with pytest.raises(ParameterError):
        render(made(), {"service": "fraud", "word": value})


@pytest.mark.parametrize("value", ["--kubeconfig=/tmp/x", "-f"])
def test_a_value_can_not_become_an_option(value):
    """A value that begins an argument may not begin with a dash."""
    bare = made(verify={"command": ["kubectl", "get", "${service}"], "expect": "x"}, values=values())
    loose = bare.model_copy(update={"values": bare.values | {"service": bare.values["word"]}})
    with pytest.raises(ParameterError) as refused:
        render(loose, {"service": value})
    assert "option" in refused.value.message
    inside = made(values=values(service={"pattern": ".*", "help": "x"}))
    assert render(inside, {"service": value}).missing == ()


@given(st.text(max_size=30))
def test_a_value_never_makes_a_second_argument(value):
    """Whatever a value holds, the command keeps its arguments, the line reads back as them, and JSON stays JSON."""
    loose = made(values=values(service={"pattern": "(?s).*", "help": "x"}, word={"pattern": "(?s).*", "help": "x"}))
    try:
        rendered = render(loose, {"service": value, "word": value})
    except ParameterError:
        return
    assert rendered.execute is not None
    argv = rendered.execute.argv
    assert argv[:3] == ("kubectl", "patch", f"service/{value}")
    assert len(argv) == 4
    assert json.loads(argv[3].removeprefix("--patch=")) == {"a": value}
    assert tuple(shlex.split(rendered.execute.display)) == argv


def test_a_value_that_looks_like_a_placeholder_is_only_text():
    """Values are put in once; what a value holds is never looked into."""
    loose = made(values=values(service={"pattern": ".*", "help": "x"}))
    rendered = render(loose, {"service": "${word}", "word": "secret"})
    assert rendered.execute is not None
    assert rendered.execute.argv[2] == "service/${word}"


def test_the_shown_line_is_the_command_to_a_real_shell(tmp_path):
    """Pasted into a shell, the line shown gives a program exactly the arguments of the command."""
    loose = made(values=values(service={"pattern": ".*", "help": "x"}, word={"pattern": ".*", "help": "x"}))
    rendered = render(loose, {"service": "$(touch here) `id` 'a' *;&|", "word": "$HOME <>~ !"})
    assert rendered.execute is not None
    echo = shlex.join([sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"])
    line = f"{echo} {rendered.execute.display}"
    out = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert tuple(json.loads(out)) == rendered.execute.argv
    assert list(tmp_path.iterdir()) == []


# The shipped catalog


def test_the_shipped_catalog_has_what_policies_propose(catalog):
    """Every action a shipped policy may propose is in the shipped catalog."""
    assert {"rollback_version", "shift_traffic", "throttle", "open_circuit_breaker", "quarantine_input"} < set(catalog)
    policies = [path for path in sorted(shipped("policies").glob("*.yaml")) if "tree" in read_yaml(path)]
    assert [path.stem for path in policies].count("latency_spike") == 1
    for path in policies:
        assert load_policy(path).proposals <= set(catalog)


def test_observing_changes_nothing(catalog):
    """Observe has nothing to execute and nothing to undo; every other action has all four commands."""
    changing = {name for name, found in catalog.items() if found.changes_something}
    assert changing == set(catalog) - {"observe"}
    assert all(catalog[name].rollback and catalog[name].dry_run and catalog[name].verify for name in changing)


def test_the_shipped_dry_runs_differ_from_what_they_try_and_the_rest_is_in_order(catalog):
    """No dry run is the command itself, and the riskier an action the more people must agree."""
    for found in catalog.values():
        assert found.approvals == {"low": 0, "medium": 1, "high": 2}[found.risk]
        if found.execute and found.dry_run:
            dry = found.dry_run.command
            assert dry != found.execute.command
            assert "--dry-run=server" in dry or not {"patch", "undo", "disable"} & set(dry)


def test_the_shipped_patches_are_json_once_their_values_are_there(catalog):
    """Every patch in the catalog, filled with values that match, is JSON; unfilled, it lists what it lacks."""
    given_values = {
        "namespace": "fraud", "deployment": "fraud-v3", "good_revision": "6", "current_revision": "7",
        "virtual_service": "fraud-v3", "from_index": "1", "from_subset": "zone-b", "from_weight_before": "50",
        "to_index": "0", "to_subset": "zone-a", "to_weight_before": "50", "filter": "fraud-limit", "limit": "40",
        "limit_before": "100", "destination_rule": "feature-store", "max_pending_before": "null",
        "feature_view": "merchant_risk", "model": "fraud-v3",
        "training_job": "train", "exclusions": "left-out", "batch": "b-17", "review_threshold": "0.6",
        "review_threshold_before": "0.8",
    }  # fmt: skip
    patches = 0
    for found in catalog.values():
        rendered = render(found, given_values)
        assert rendered.missing == ()
        assert set(render(found, {}).missing) == {n for n, value in found.values.items() if value.default is None}
        for step in filter(None, (rendered.dry_run, rendered.execute, rendered.verify, rendered.rollback)):
            assert not re.search(r"\$\{|<[a-z]", step.display)
            for argument in step.argv:
                if argument.startswith("--patch="):
                    json.loads(argument.removeprefix("--patch="))
                    patches += 1
    assert patches == 15
