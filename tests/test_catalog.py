"""The action catalog: what is read, what is refused, and that a value is never more than a value. P20, P24."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rbnb.catalog import Action, load_catalog, render
from rbnb.errors import ConfigError, NotFoundError, ParameterError, UsageError
from rbnb.model import to_plain

STEP = {"command": ["kubectl", "patch", "service/${service}", '--patch={"a":"${word}"}'], "expect": "patched"}
LOOK = {"command": ["kubectl", "get", "service/${service}", "--output=json"], "expect": "it is shown"}
VERIFY = LOOK | {"tolerance": {"jsonpath": "$.a", "equals": "${word}"}, "within": "2m", "every": "10s"}
ACTION = {
    "title": "Do it",
    "objective": "Make it stop.",
    "phase": "containment",
    "risk": "medium",
    "blast_radius": "one service",
    "values": {
        "service": {"pattern": "[a-z-]{1,20}", "help": "the service"},
        "word": {"pattern": ".*", "help": "anything", "default": "x"},
    },
    "preconditions": [{"text": "it runs", "command": ["kubectl", "get", "service/${service}"]}, {"text": "look"}],
    "snapshot": LOOK | {"take": {"before": "$.a"}},
    "dry_run": STEP | {"command": [*STEP["command"], "--dry-run=server"]},
    "execute": STEP,
    "verify": VERIFY,
    "rollback": STEP | {"command": [*STEP["command"][:3], {"--patch": {"a": "${snapshot.before}"}}]},
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


HTTP = {"http": {"method": "GET", "url": "${control}/things/${service}"}, "expect": "it is shown"}
PUT = {
    "http": {
        "method": "PUT",
        "url": "${control}/things/${service}",
        "headers": {"Authorization": "Bearer ${secret.token}"},
        "body": {"value": "${word}", "number": "${number}", "${service}": ["${word}!"]},
    },
    "expect": "it is set",
}
REMOTE = {
    "values": {
        "control": {"kind": "address", "help": "where it answers"},
        "number": {"kind": "number", "help": "how many", "default": "3"},
    },
    "secrets": {"token": "CONTROL_TOKEN"},
    "snapshot": HTTP | {"take": {"before": {"jsonpath": "$.value", "kind": "json"}}},
    "dry_run": HTTP | {"only_shows": True},
    "execute": PUT,
    "verify": HTTP | {"tolerance": {"jsonpath": "$.value", "equals": "${word}"}},
    "rollback": PUT | {"http": PUT["http"] | {"body": {"value": "${snapshot.before}"}}},
}
STEPS = ("snapshot", "dry_run", "execute", "verify", "rollback")


def two(**changes):
    """ACTION in two variants, the second with some keys changed."""
    local = {name: ACTION[name] for name in STEPS}
    return action(**dict.fromkeys(STEPS, ...), variants={"kubernetes": local, "http": REMOTE | changes})


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


SHOW = {"command": ["x"], "expect": "y"}
REFUSED = [
    ({"surplus": 1}, "surplus", "not a known key"),
    ({"risk": "extreme"}, "risk", "'low', 'medium' or 'high'"),
    ({"phase": "later"}, "phase", "'containment' or 'remediation'"),
    ({"approvals": -1}, "approvals", "greater than or equal to 0"),
    ({"approvals": "1"}, "approvals", "integer"),
    ({"objective": ...}, "objective", "required"),
    ({"verify": ...}, "", "needs verify too"),
    ({"rollback": ..., "dry_run": ...}, "", "needs dry_run, rollback too"),
    ({"snapshot": ...}, "", "needs snapshot too"),
    ({"execute": ...}, "", "nothing to execute"),
    ({"dry_run": STEP}, "", "the very command"),
    ({"verify": LOOK}, "", "verify needs a tolerance"),
    ({"verify": SHOW | {"http": HTTP["http"]}}, "verify", "either a command or an http request"),
    ({"verify": {"expect": "x"}}, "verify", "either a command or an http request"),
    ({"verify": {"command": "kubectl get pods", "expect": "x"}}, "verify.command", "list"),
    ({"verify": {"command": [], "expect": "x"}}, "verify.command", "at least 1"),
    ({"verify": {"command": ["sh", "-c", "kubectl get ${service}"], "expect": "x"}}, "verify.command", "a shell"),
    ({"verify": {"command": ["/usr/bin/bash", "x"], "expect": "x"}}, "verify.command", "a shell"),
    ({"verify": {"command": ["kubectl", "exec", "p", "sh", "-c", "x"], "expect": "x"}}, "verify.command", "a shell"),
    ({"verify": {"command": ["${service}", "x"], "expect": "x"}}, "verify.command", "written out"),
    ({"verify": {"command": [{"json": 1}], "expect": "x"}}, "verify.command", "written out"),
    ({"verify": {"command": ["a", {"--x": 1, "--y": 2}], "expect": "x"}}, "verify.command", "JSON argument"),
    ({"verify": {"command": ["a", {"x; rm": 1}], "expect": "x"}}, "verify.command", "JSON argument"),
    ({"verify": {"command": ["a", "${Service}"], "expect": "x"}}, "verify.command", "small letters"),
    ({"verify": {"command": ["a", "${service"], "expect": "x"}}, "verify.command", "small letters"),
    ({"verify": {"command": ["a", "${secret.token}"], "expect": "x"}}, "verify", "seen by everybody"),
    ({"verify": VERIFY | {"command": ["a", "${sevrice}"]}}, "", "not declared under values"),
    ({"execute": STEP | {"command": ["a", "${snapshot.before}"]}}, "", "may stand only in verify, rollback"),
    ({"target": "${snapshot.before}"}, "", "may stand only in verify, rollback"),
    ({"rollback": STEP | {"command": ["a", "${snapshot.after}"]}}, "", "not taken by the snapshot"),
    ({"values": values(spare={"pattern": "x", "help": "y"})}, "", "no step uses the value spare"),
    ({"secrets": {"token": "TOKEN"}}, "", "no step uses the secret token"),
    ({"secrets": {"token": "not a name"}}, "secrets.token", "match pattern"),
    ({"values": values(service={"pattern": "[a-z", "help": "y"})}, "values.service.pattern", "regular expression"),
    ({"values": values(service={"help": "y"})}, "values.service", "needs a pattern"),
    ({"values": values(service={"pattern": "a", "help": ""})}, "values.service.help", "at least 1"),
    ({"values": values(service={"pattern": "a", "help": "y", "default": "ab"})}, "values.service", "does not match"),
    ({"variants": {"http": REMOTE}}, "", "snapshot must stand in each variant"),
    ({"verify": VERIFY | {"tolerance": True}}, "verify.tolerance", "in quotes"),
    ({"verify": VERIFY | {"tolerance": [200, "x"]}}, "verify.tolerance", "only statuses, only texts"),
    ({"verify": VERIFY | {"tolerance": {"jsonpath": "$.a"}}}, "verify.tolerance", "exactly one of"),
    ({"verify": VERIFY | {"tolerance": {"equals": 1}}}, "verify.tolerance", "or a jsonpath"),
    ({"verify": VERIFY | {"tolerance": {"range": [3, 1]}}}, "verify.tolerance", "from its lower end"),
    ({"verify": VERIFY | {"within": "soon"}}, "verify.within", "not a duration"),
    ({"snapshot": LOOK | {"take": {"before": "no group"}}}, "snapshot.take.before", "exactly one group"),
    ({"preconditions": [{"text": "x", "tolerance": 0}]}, "preconditions.0", "whose answer it is about"),
]


@pytest.mark.parametrize(("changes", "key", "says"), REFUSED, ids=[r[2] for r in REFUSED])
def test_a_mistake_in_a_catalog_is_refused_when_it_is_read(written, changes, key, says):
    """Every mistake names the file and the key, before anybody needs the action."""
    file = written({"stop": action(**changes)})
    with pytest.raises(ConfigError) as refused:
        load_catalog([file])
    assert (refused.value.file, refused.value.key) == (str(file), f"actions.stop.{key}".removesuffix("."))
    assert says in refused.value.message


REFUSED_REQUESTS = [
    ({"url": "ftp://x/y"}, "must begin with http"),
    ({"url": "http://user:word@host/x"}, "no user, password"),
    ({"url": "http://${service}/x"}, "a host written out"),
    ({"url": "http://host.${service}/x"}, "a host written out"),
    ({"url": "${control}.evil/x"}, "a host written out"),
    ({"url": "http://host/a b"}, "space"),
    ({"url": "http://host/x#y"}, "fragment"),
    ({"url": "${service}/x"}, "must be of kind address"),
    ({"url": "http://host/${secret.token}"}, "never in a URL"),
    ({"headers": {"X-A": "a\r\nX-B: c"}}, "one line of text"),
    ({"headers": {"X A": "a"}}, "one line of text"),
    ({"body": {"a": 1}}, "has no body"),
    ({"method": "TRACE"}, "'GET'"),
]


@pytest.mark.parametrize(("changes", "says"), REFUSED_REQUESTS, ids=[str(r[0]) for r in REFUSED_REQUESTS])
def test_a_request_that_could_go_elsewhere_is_refused_when_it_is_read(written, changes, says):
    """No value chooses a host, no credential stands in a URL, and no header holds a second line."""
    verify = REMOTE["verify"] | {"http": HTTP["http"] | changes}
    with pytest.raises(ConfigError, match=says):
        load_catalog([written({"stop": two(verify=verify)})])


def test_an_action_has_a_file_of_its_own(written, tmp_path):
    """A file in a folder `actions` holds one action called like it, and replaces the one in a file of many."""
    many = written({"stop": action(), "keep": action()})
    (tmp_path / "actions").mkdir()
    own = tmp_path / "actions" / "stop.yaml"
    own.write_text(yaml.safe_dump(action(title="Our way")), encoding="utf-8")
    found = load_catalog([many, own])
    assert (found["stop"].title, found["stop"].name, found["stop"].file) == ("Our way", "stop", "actions/stop.yaml")
    assert (found["keep"].title, found["keep"].name) == ("Do it", "keep")
    own.rename(own.with_name("st op.yaml"))
    with pytest.raises(ConfigError, match="called like its file"):
        load_catalog([own.with_name("st op.yaml")])


def test_the_digest_is_of_what_is_said(written):
    """Comments and the order of keys do not change an action's digest; every word does, and so does its name."""
    first, again = (
        load_catalog([written({"stop": body})])["stop"] for body in (action(), dict(reversed(action().items())))
    )
    assert first.digest == again.digest
    assert first.digest.startswith("sha256:")
    digests = {load_catalog([written({"stop": action(title=f"Do it {n}")})])["stop"].digest for n in range(5)}
    digests.add(load_catalog([written({"stopp": action()})])["stopp"].digest)
    assert len(digests | {first.digest}) == 7
    assert render(first, {}).digest == first.digest


def test_approvals_follow_the_risk_unless_they_are_said():
    """Low needs nobody, medium one person, high two, and a file may say otherwise."""
    assert [made(risk=risk).approvals for risk in ("low", "medium", "high")] == [0, 1, 2]
    assert made(risk="low", approvals=3).approvals == 3


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
    assert [step.provider for step in rendered.preconditions] == ["process", ""]
    assert (rendered.verify.tolerance, rendered.execute.tolerance) == (
        {"jsonpath": "$.a", "equals": "x"},
        {"success": True},
    )
    assert (rendered.verify.patience, rendered.verify.every, rendered.verify.timeout) == (120, 10, 60)
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
    bare = made(verify=VERIFY | {"command": ["kubectl", "get", "${service}"]}, values=values())
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


@pytest.mark.parametrize("value", ["${word}", "${secret.token}", "${snapshot.before}"])
def test_a_value_that_looks_like_a_placeholder_is_refused(value):
    """No value can draw in another one, a secret least of all."""
    loose = made(values=values(service={"pattern": ".*", "help": "x"}))
    with pytest.raises(ParameterError):
        render(loose, {"service": value, "word": "secret"})


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


# Variants, requests and the snapshot

FULL = {"service": "fraud", "word": "x", "control": "http://127.0.0.1:8080/models/"}


def test_a_variant_is_chosen_by_platform():
    """The first platform that the action knows is taken, else its first variant; an unknown one is refused."""
    both = Action.model_validate(two())
    assert both.names == ("kubernetes", "http")
    assert [both.variant_for(p) for p in ([], ["http"], ["feast", "http", "kubernetes"], ["feast"])] == [
        "kubernetes", "http", "http", "kubernetes"
    ]  # fmt: skip
    assert render(both, FULL).variant == "kubernetes"
    assert "control" not in render(both, FULL).values
    with pytest.raises(NotFoundError, match="https"):
        render(both, FULL, "https")
    assert made().names == ("process",)


def test_a_request_is_rendered_as_it_would_be_sent():
    """Method, URL, headers and body are told, a number is a number, and the line shown sends the same with curl."""
    rendered = render(Action.model_validate(two()), FULL, "http")
    request = rendered.execute.request
    assert (request.method, request.url) == ("PUT", "http://127.0.0.1:8080/models/things/fraud")
    assert request.body == {"value": "x", "number": 3, "fraud": ["x!"]}
    assert rendered.secrets == {"token": "CONTROL_TOKEN"}
    assert "'Authorization: Bearer '\"$CONTROL_TOKEN\"" in rendered.execute.display
    assert rendered.execute.display.startswith("curl ")
    assert rendered.target == "service=fraud, word=x, control=http://127.0.0.1:8080/models/, number=3"


def test_a_secret_is_filled_in_only_for_the_moment_of_sending():
    """No rendered action holds a secret; one that is missing or would be a second header is refused by name only."""
    rendered = render(Action.model_validate(two()), FULL, "http")
    request = rendered.execute.request
    headers, body = request.opened(rendered.secrets, {"CONTROL_TOKEN": "s3cret"})
    assert headers["Authorization"] == "Bearer s3cret"
    assert json.loads(body)["value"] == "x"
    assert "s3cret" not in json.dumps(to_plain(rendered))
    for environ in ({}, {"CONTROL_TOKEN": "s3cret\r\nX: y"}):
        with pytest.raises(UsageError) as refused:
            request.opened(rendered.secrets, environ)
        assert "CONTROL_TOKEN" in refused.value.message
        assert "s3cret" not in refused.value.message + refused.value.hint


def test_the_shown_curl_line_is_the_request_to_a_real_shell(tmp_path):
    """Pasted into a shell that knows the secret, the line hands curl exactly what rbnb would send."""
    rendered = render(Action.model_validate(two()), FULL | {"word": "it's $HOME `id` \\ \""}, "http")
    headers, body = rendered.execute.request.opened(rendered.secrets, {"CONTROL_TOKEN": "a $b 'c'"})
    echo = tmp_path / "curl"
    echo.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n", encoding="utf-8")
    echo.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CONTROL_TOKEN": "a $b 'c'"}
    out = subprocess.run(
        ["sh", "-c", rendered.execute.display], capture_output=True, text=True, check=True, env=environ
    ).stdout
    said = json.loads(out)
    assert f"Authorization: {headers['Authorization']}" in said
    assert said[said.index("--data") + 1] == body.decode()
    assert said[-1] == rendered.execute.request.url


@pytest.mark.parametrize(
    "address",
    ["http://host/x?y=1", "http://a@host", "https://host\\evil", "ftp://host", "http://", "//host", "http://host/../x",
     "http://host /x", "javascript:x", "http://host#x", "http://[zz]/"],
)  # fmt: skip
def test_an_address_is_a_scheme_a_host_and_a_path(address):
    """What could carry a user, a query or another host is refused before it becomes part of a URL."""
    with pytest.raises(ParameterError, match="control"):
        render(Action.model_validate(two()), FULL | {"control": address}, "http")


@given(st.text(max_size=20))
def test_a_value_never_changes_the_structure_of_a_request(value):
    """Whatever a value holds, the URL keeps its host and its segments, and the body its keys and kinds."""
    loose = two()
    loose["values"] = values(service={"pattern": "(?s).+", "help": "x"}, word={"pattern": "(?s).*", "help": "x"})
    try:
        rendered = render(Action.model_validate(loose), {**FULL, "service": value, "word": value}, "http")
    except ParameterError:
        return
    request = rendered.execute.request
    parts = urlsplit(request.url)
    assert (parts.netloc, parts.query, parts.fragment) == ("127.0.0.1:8080", "", "")
    assert [unquote(part) for part in parts.path.split("/")] == ["", "models", "things", value]
    assert request.body == {"value": value, "number": 3, value: [f"{value}!"]}


@pytest.mark.parametrize("value", ["a/b", "a?b=c", "a#b", "%2e%2e", "a b", "a@b", "é"])
def test_a_value_stays_in_its_segment_of_a_url(value):
    """Slashes, question marks and percent signs are encoded, and mean themselves."""
    loose = two()
    loose["values"] = values(service={"pattern": ".*", "help": "x"})
    url = render(Action.model_validate(loose), FULL | {"service": value}, "http").execute.request.url
    segment = url.removeprefix("http://127.0.0.1:8080/models/things/")
    assert not set(segment) & set("/?#@ ")
    assert unquote(segment) == value


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_value_cannot_lead_to_another_address(value):
    """What a client would take for the folder itself or the one above is refused."""
    loose = two()
    loose["values"] = values(service={"pattern": ".*", "help": "x"})
    with pytest.raises(ParameterError, match="part of a URL"):
        render(Action.model_validate(loose), FULL | {"service": value}, "http")


def test_two_keys_that_become_one_are_refused():
    """A value that is a key cannot hide another key of the document."""
    with pytest.raises(ParameterError, match="two keys"):
        render(Action.model_validate(two()), FULL | {"service": "value"}, "http")


def test_values_from_the_snapshot_are_shown_as_such_until_they_are_known():
    """Before the snapshot the rollback says where its values will come from; afterwards it holds them, typed."""
    rendered = render(Action.model_validate(two()), FULL, "http")
    assert rendered.rollback.request.body == {"value": "<before, from the snapshot>"}
    assert rendered.missing == ()
    filled = rendered.resolved({"before": {"deep": [1, None]}, "surplus": 1})
    assert filled.rollback.request.body == {"value": {"deep": [1, None]}}
    assert (filled.taken, filled.execute) == ({"before": {"deep": [1, None]}}, rendered.execute)
    argv = render(made(), FULL).resolved({"before": "v1"}).rollback.argv
    assert argv[3] == '--patch={"a":"v1"}'


@pytest.mark.parametrize("taken", [{}, {"before": 7}, {"before": "a\nb"}, {"before": "--x"}, {"before": "${word}"}])
def test_values_from_the_snapshot_are_checked_again(taken):
    """A snapshot that lacks a value, or holds one it may not be, fills no rollback."""
    with pytest.raises(ParameterError):
        render(made(), FULL).resolved(taken)


def test_a_value_from_the_snapshot_cannot_begin_a_second_header():
    """Even where the catalog lets anything be taken, what goes into a text is one line."""
    body = two(rollback=PUT | {"http": PUT["http"] | {"headers": {"X-Before": "${snapshot.before}"}}})
    body["variants"]["http"]["execute"] = PUT
    rendered = render(Action.model_validate(body), FULL, "http")
    assert rendered.resolved({"before": "v1"}).rollback.request.headers["X-Before"] == "v1"
    for before in ("v1\r\nX-Evil: yes", ["v1"], {"a": 1}):
        with pytest.raises(ParameterError):
            rendered.resolved({"before": before})


def test_a_rendered_action_is_plain_data():
    """What is approved can be written as JSON and hashed: rendering twice gives the same bytes."""
    both = Action.model_validate(two())
    first, again = (json.dumps(to_plain(render(both, FULL, "http")), sort_keys=True) for _ in range(2))
    assert first == again
    assert first != json.dumps(to_plain(render(both, FULL | {"word": "y"}, "http")), sort_keys=True)
