"""The shipped actions: complete, and rehearsed on what stands in for their platforms."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
from catalog_fixture import (
    BEFORE,
    DOCUMENTS,
    VALUES,
    Cluster,
    Control,
    SageMaker,
    Services,
    amazon,
    sent,
    serving,
    started,
)

from rbnb.catalog import check_path, holds, load_catalog, render, taken
from rbnb.catalog.tolerance import Observed
from rbnb.config import read_yaml, shipped
from rbnb.inventory import find_models, load_model_file
from rbnb.policy import load_policy

CATALOG = load_catalog(sorted((shipped("policies") / "actions").glob("*.yaml")))
VARIANTS = [(name, variant) for name, action in CATALOG.items() for variant in action.names]
ISSUE = {
    "rollback_version", "shift_traffic", "throttle", "open_circuit_breaker", "quarantine_input", "reroute_input",
    "disable_feature", "fallback_model", "manual_review", "freeze_training", "quarantine_batch", "restore_batch",
}  # fmt: skip
PLATFORMS = {
    "kubernetes", "kserve", "argo_rollouts", "istio", "sagemaker", "mlflow", "feast", "launchdarkly", "unleash",
    "http", "process",
}  # fmt: skip


def test_the_catalog_has_what_people_do_on_call():
    """Every action and every platform promised is there, and remedies are told apart from containment."""
    assert set(CATALOG) == ISSUE | {"observe"}
    assert {variant for _, variant in VARIANTS} == PLATFORMS
    assert [name for name, action in CATALOG.items() if action.phase == "remediation"] == ["restore_batch"]


PAGE = (shipped("policies").parent / "docs" / "actions.md").read_text(encoding="utf-8")


def test_the_page_lists_the_actions_that_are_there():
    """docs/actions.md names every action with its phase, risk, approvals and variants, and how each was checked."""
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line[:1] == "|"]
    told = {row[0]: row[1:] for row in rows if len(row) == 5 and row[0] in CATALOG}
    assert told == {
        name: [a.phase, a.risk, str(a.approvals or "none"), ", ".join(a.names)] for name, a in CATALOG.items()
    }
    checked = PAGE[PAGE.index("## What they were checked against") : PAGE.index("## Which variant")]
    assert {name for name in PLATFORMS if name in checked} == PLATFORMS


def test_the_action_on_the_page_can_be_read_and_tried(tmp_path):
    """The example of docs/actions.md is an action that loads and renders, with its values and without its secret."""
    body = re.search(r"```yaml\n(title: .*?)```", PAGE, re.DOTALL)[1]
    (tmp_path / "actions").mkdir()
    file = tmp_path / "actions" / "pause_export.yaml"
    file.write_text(body, encoding="utf-8")
    rendered = render(load_catalog([file])["pause_export"], {"export": "nightly", "exporter": "https://example.com"})
    assert rendered.missing == ()
    assert rendered.execute.request.body == {"state": "paused"}
    assert rendered.resolved({"state": "scheduled"}).rollback.request.body == {"state": "scheduled"}
    assert rendered.secrets == {"token": "EXPORTER_TOKEN"}


def test_policies_and_sample_models_name_only_what_is_there():
    """Every action that a shipped policy proposes or a sample model allows is in the catalog."""
    policies = [path for path in sorted(shipped("policies").glob("*.yaml")) if "tree" in read_yaml(path)]
    assert len(policies) >= 5
    for path in policies:
        assert load_policy(path).proposals <= set(CATALOG)
    models = find_models(shipped("policies").parent / "data_samples" / "models")
    assert len(models) == 6
    for path in models.values():
        model = load_model_file(path)
        assert set(model.actions) <= set(CATALOG)
        given = VALUES | model.action_values
        for name in model.actions:
            variant = CATALOG[name].variant_for(model.platforms)
            assert variant in {"istio", "kubernetes", "feast"}
            assert render(CATALOG[name], given, variant).missing == ()


def test_the_riskier_the_more_people():
    """Observing needs nobody, and every other shipped action as many as its risk says."""
    assert {action.approvals - {"low": 0, "medium": 1, "high": 2}[action.risk] for action in CATALOG.values()} == {0}
    assert not CATALOG["observe"].changes_something
    assert all(action.changes_something for name, action in CATALOG.items() if name != "observe")


@pytest.mark.parametrize(("name", "variant"), VARIANTS, ids=map("-".join, VARIANTS))
def test_every_variant_is_complete(name, variant):
    """With its values a variant lacks nothing; without them it lists each; its paths are JSONPath; it can be undone."""
    action = CATALOG[name]
    rendered = render(action, VALUES, variant)
    declared = action.variant(variant).values
    assert rendered.missing == ()
    assert set(render(action, {}, variant).missing) == {n for n, v in declared.items() if v.default is None} & set(
        rendered.values
    )
    steps = [
        s for s in (rendered.snapshot, rendered.dry_run, rendered.execute, rendered.verify, rendered.rollback) if s
    ]
    for step in [*steps, *(one for one in rendered.preconditions if one.provider)]:
        assert not re.search(r"<[a-z_]+>|\$\{(?!secret)", step.display)
        assert re.search(r'"\$[A-Z_]+"', step.display) or not re.search(r"\$\{secret", step.display)
    for path in rendered.paths:
        check_path(path)
    if name != "observe":
        assert rendered.rollback_verify, "nobody would know whether the rollback worked"
        assert rendered.target
        assert rendered.dry_run.only_shows == (not re.search(r"--dry-run=server|dryRun=true", rendered.dry_run.display))
        told = "no dry run" in rendered.dry_run.text
        assert told == rendered.dry_run.only_shows


def rehearse(rendered, run):
    """Go through an action as its engine would, and return what the snapshot took."""
    for one in rendered.preconditions:
        if one.provider:
            held, seen = holds(one.tolerance, run(one))
            assert held, seen
    values = taken(rendered.snapshot.take, run(rendered.snapshot))
    found = rendered.resolved(values)
    held, seen = holds(found.dry_run.tolerance, run(found.dry_run))
    assert held, seen
    held, seen = holds(found.verify.tolerance, run(found.verify))
    assert not held, f"it holds before anything was done: {seen}"
    for step, probe in ((found.execute, found.verify), (found.rollback, found.rollback_verify)):
        held, seen = holds(step.tolerance, run(step))
        assert held, seen
        held, seen = holds(probe.tolerance, run(probe))
        assert held, seen
    assert not holds(found.verify.tolerance, run(found.verify))[0]
    return values


def without_defaults(node):
    """Leave out what a cluster counts and the empty fields that kubectl writes down."""
    if isinstance(node, list):
        return [without_defaults(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {key: without_defaults(one) for key, one in node.items() if "eneration" not in key}
    return {key: one for key, one in kept.items() if one not in (None, {})}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize(("name", "variant"), DOCUMENTS, ids=map("-".join, DOCUMENTS))
def test_kubectl_makes_of_a_document_what_the_action_says(name, variant, tmp_path):
    """The patching of kubectl itself, on a file, does what is verified and takes it back to what was there before."""
    cluster = Cluster(tmp_path, DOCUMENTS[name, variant])
    rehearse(render(CATALOG[name], VALUES, variant), cluster)
    assert without_defaults(cluster.document) == without_defaults(DOCUMENTS[name, variant])


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize(
    ("name", "variant"),
    [("rollback_version", "kubernetes"), ("rollback_version", "kserve"), ("shift_traffic", "kserve")],
)
def test_kubectl_takes_the_arguments(name, variant, tmp_path):
    """Where no document can stand in for a cluster, kubectl at least reads every argument and goes on to connect."""
    found = render(CATALOG[name], VALUES, variant).resolved({"revision": "7", "percent": None})
    steps = [found.snapshot, found.dry_run, found.execute, found.verify, found.rollback, found.rollback_verify]
    words = ["--server=http://127.0.0.1:1", "--request-timeout=1s"]
    for argv in {step.argv for step in [*steps, *found.preconditions] if step.argv}:
        done = subprocess.run(
            [*argv, *words], capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 1
        assert "connection" in done.stderr, done.stderr
        assert "refused" in done.stderr, done.stderr


@pytest.mark.parametrize("name", [name for name, variant in VARIANTS if variant == "http"])
def test_every_http_variant_works_on_a_control_api(name):
    """Over real HTTP the state is taken, changed, seen to be changed, and given back exactly."""
    with serving(Control) as (address, state):
        values = rehearse(render(CATALOG[name], VALUES | {"control": f"{address}/models/fraud-v3/"}, "http"), sent({}))
        ((key, now),) = state.items()
        assert now == BEFORE.get(key, "normal")
        assert list(values.values()) == [now]


@pytest.mark.parametrize(
    ("name", "variant"), [pair for pair in VARIANTS if pair[1] in {"mlflow", "launchdarkly", "unleash"}]
)
def test_registry_and_flags_are_asked_as_their_interfaces_say(name, variant):
    """The calls to MLflow, LaunchDarkly and Unleash carry the secret and agree with what is read back."""
    with serving(Services) as (address, state):
        rendered = render(
            CATALOG[name], VALUES | dict.fromkeys(("mlflow", "launchdarkly", "unleash"), address), variant
        )
        rehearse(rendered, sent(rendered.secrets))
        assert state in ({"alias": "4"}, {"on": True})


@pytest.mark.parametrize(
    ("name", "link", "target"),
    [("rollback_version", "serving_link", "good_path"), ("restore_batch", "batch_link", "good_copy")],
)
def test_the_links_of_the_process_variants_are_really_moved(name, link, target, tmp_path):
    """With real programs the link leads to the good folder, and back to where it led."""
    for folder in ("damaged", "good"):
        (tmp_path / folder).mkdir()
    (tmp_path / "current").symlink_to(tmp_path / "damaged")
    given = {link: str(tmp_path / "current"), target: str(tmp_path / "good")}
    values = rehearse(render(CATALOG[name], given, "process"), started)
    assert list(values.values()) == [str(tmp_path / "damaged")]
    assert (tmp_path / "current").resolve() == tmp_path / "damaged"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "damaged", "good"]


@pytest.mark.skipif(shutil.which("aws") is None, reason="the AWS command line is not installed")
@pytest.mark.parametrize("name", ["rollback_version", "shift_traffic"])
def test_the_aws_command_line_sends_what_the_action_says(name, tmp_path):
    """The AWS command line takes the arguments, and what it sends changes the state and gives it back."""
    with serving(SageMaker) as (address, state):
        run = amazon(address, tmp_path)
        rehearse(render(CATALOG[name], VALUES, "sagemaker"), run)
        assert state["weights"] == {"zone-a": 1.0, "zone-b": 3.0}
        assert state.get("config", "fraud-3-4-1") == "fraud-3-4-1"


def test_feast_is_read_by_the_table_it_prints():
    """Whether a view is enabled is read from its own row of `feast feature-views list`, and from no other."""
    head = "NAME           ENTITIES    TYPE         ENABLED    STATE\n"
    row = "merchant_risk  {'id', 'b'}  FeatureView  %s        AVAILABLE_ONLINE\n"
    other = "merchant_risk_2  {'id'}  FeatureView  %s        CREATED\n"
    for name in ("quarantine_input", "disable_feature"):
        rendered = render(CATALOG[name], VALUES, "feast")
        on = Observed("process", 0, head + other % "No" + row % "Yes")
        off = Observed("process", 0, head + other % "Yes" + row % "No ")
        assert taken(rendered.snapshot.take, on) == {"enabled": "Yes"}
        found = rendered.resolved({"enabled": "Yes"})
        assert [holds(found.verify.tolerance, seen)[0] for seen in (on, off)] == [False, True]
        assert [holds(found.rollback_verify.tolerance, seen)[0] for seen in (on, off)] == [True, False]
