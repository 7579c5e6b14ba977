"""Acting: in order, once, on record, and refused wherever something is missing."""

import json
import os

import pytest
from acting_fixture import PEOPLE, RUN, make_scene

from rbnb.actions import ByHandError
from rbnb.errors import IntegrityError, NotFoundError, ParameterError, RefusedError


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """Return a scene that is ready to act."""
    return make_scene(tmp_path, monkeypatch)


def refused(scene, match, operation="act", do=None):
    """Check that an act is refused for a reason, that this is on record, and that nothing was changed."""
    calls = len(scene.calls())
    with pytest.raises(RefusedError, match=match):
        (do or scene.workspace.act)(scene.name, "switch_off")
    assert scene.state.entries[-1].kind == f"{operation}.refused"
    assert len(scene.calls()) == calls


def test_act_in_order(scene):
    """Evidence, rehearsal, intent, outcome and check are on record in this order, and the incident is contained."""
    report = scene.workspace.act(scene.name, "switch_off")
    assert report.held
    assert (scene.switch / "main").read_text() == "off"
    kinds = [kind for kind in scene.kinds("") if kind.startswith(("action.", "evidence."))]
    assert kinds == ["evidence.taken", "action.tried", "action.started", "action.finished", "action.verified"]
    assert scene.state.status == "contained"
    assert scene.incident.check().problems == ()
    assert scene.calls("") == ["read main", "read main", "read main", "try main", "set main off", "read main"]


def test_the_intent_tells_exactly_what_runs(scene):
    """action.started carries the expanded command, the digest that was approved, and the state before."""
    plan = scene.workspace.plan_action(scene.name, "switch_off")
    scene.workspace.act(scene.name, "switch_off")
    body = scene.last("action.started").body
    assert body["steps"]["execute"]["argv"] == ["switch", "set", "main", "off"]
    assert body["steps"]["rollback"]["argv"] == ["switch", "set", "main", "on"]
    assert body["plan"] == plan.digest
    assert body["snapshot"]["values"] == {"before": "on"}


def test_needs_a_decision(tmp_path, monkeypatch):
    """What nobody has decided is not done."""
    scene = make_scene(tmp_path, monkeypatch, decided=False)
    refused(scene, "no decision chooses switch_off: nobody has decided")
    scene.decide("none")
    refused(scene, "the decision that stands is none")


def test_needs_the_evidence_that_was_decided_on(scene):
    """A record that was changed by a byte after the decision is not acted on."""
    record = scene.incident.folder / "runs" / RUN / "run.json"
    record.write_text(record.read_text() + " ")
    refused(scene, "is not the one that was recorded")


@pytest.mark.parametrize(
    ("found", "match"), [({"verdict": "healthy"}, "finds healthy"), ({"proposal": "observe"}, "proposes observe")]
)
def test_later_evidence_calls_for_a_new_decision(scene, found, match):
    """A later run that finds or proposes something else stops what was decided before it."""
    scene.run("02-latency_spike", **found)
    refused(scene, match)


def test_later_evidence_that_says_the_same_changes_nothing(scene):
    """A later run that comes to the same does not stop what was decided."""
    scene.run("02-latency_spike")
    assert scene.workspace.act(scene.name, "switch_off").held


def test_may_not_execute(tmp_path, monkeypatch):
    """Where rbnb may not execute it shows how a person does it, with the exact command, and refuses."""
    scene = make_scene(tmp_path, monkeypatch, toml=PEOPLE.replace("execute = true", "execute = false"))
    with pytest.raises(ByHandError, match="may not execute") as caught:
        scene.workspace.act(scene.name, "switch_off")
    assert "  switch set main off" in caught.value.lines
    assert scene.calls("") == []
    ended = scene.rbnb("act", scene.name, "switch_off")
    assert ended.returncode == 7
    assert "switch set main off" in ended.stderr
    assert scene.kinds("act.") == ["act.refused", "act.refused"]


def test_missing_values(scene):
    """An action whose values nobody gave is not done; the refusal names them."""
    values = {"name": {"pattern": "[a-z]+", "help": "which switch"}}
    scene.write_action(values=values)
    refused(scene, r"values are missing: name \(which switch\)")
    scene.decide(values={"name": "main"})
    assert scene.workspace.act(scene.name, "switch_off").held


def test_mistyped(scene):
    """What does not exist is an error, with what does."""
    with pytest.raises(NotFoundError, match="switch_of"):
        scene.workspace.act(scene.name, "switch_of")
    with pytest.raises(ParameterError, match="nam"):
        scene.workspace.act(scene.name, "switch_off", {"nam": "main"})
    with pytest.raises(ParameterError, match="name cannot be"):
        scene.workspace.act(scene.name, "switch_off", {"name": "--all"})


@pytest.mark.parametrize("user", ["eva", "ben", "mallory", "аda"])
def test_who_may_not(scene, monkeypatch, user):
    """A stakeholder, an approver, a stranger and a look-alike do not act; each attempt is on record."""
    monkeypatch.setenv("RBNB_USER", user)
    refused(scene, "may not carry out switch_off now")


def test_not_when_closed(scene):
    """Nothing is done in an incident that is closed."""
    scene.incident.ledger.append("incident.closed", {"resolution": "duplicate", "because": "b"}, by="ada")
    refused(scene, "the incident is closed")


def approve(scene, by, monkeypatch):
    """Let somebody approve the action, as `rbnb approve` does."""
    from rbnb.actions import matter_of
    from rbnb.incidents.consenting import Said, approve

    monkeypatch.setenv("RBNB_USER", by)
    plan = scene.workspace.plan_action(scene.name, "switch_off")
    approve(scene.incident, Said("switch_off", lambda _: matter_of(plan)))
    monkeypatch.setenv("RBNB_USER", "dan")


def test_needs_its_approvals(tmp_path, monkeypatch):
    """In production an action waits for the people its rule demands; one approval is good for one execution."""
    scene = make_scene(tmp_path, monkeypatch, environment="production")
    refused(scene, "it needs 1 approval: 0 given")
    approve(scene, "ben", monkeypatch)
    assert scene.workspace.act(scene.name, "switch_off").held
    assert [one["by"] for one in scene.last("action.started").body["approvals"]] == ["ben"]
    scene.workspace.rollback(scene.name, "switch_off")
    refused(scene, "it needs 1 approval: 0 given")


def test_an_approval_is_of_exactly_one_thing(tmp_path, monkeypatch):
    """Another value, another catalog entry, or another severity needs another approval."""
    scene = make_scene(tmp_path, monkeypatch, environment="production")
    approve(scene, "ben", monkeypatch)
    (scene.switch / "other").write_text("on")
    refused(scene, "it needs 1 approval", do=lambda name, action: scene.workspace.act(name, action, {"name": "other"}))
    scene.incident.ledger.append("severity.set", {"level": "SEV3", "because": "b"}, by="ada")
    refused(scene, "it needs 1 approval")
    scene.incident.ledger.append("severity.set", {"level": "SEV2", "because": "b"}, by="ada")
    scene.write_action(
        execute={"command": ["switch", "set", "main", "off", "now"], "expect": "ok"},
        values={"name": {"pattern": "[a-z]+", "help": "h", "default": "main"}},
    )
    refused(scene, "it needs 1 approval")
    scene.write_action()
    assert scene.workspace.act(scene.name, "switch_off").held


def test_evidence_first(scene):
    """What the decision rests on is copied before anything is done, once, and whether the data changed is said."""
    scene.workspace.act(scene.name, "switch_off")
    body = scene.last("evidence.taken").body
    names = {file["path"].split("/")[-1] for file in body["files"]}
    assert {"run.json", "slow.csv", "materials.json", "incident.json", "state-before.txt"} <= names
    assert body["run"] == RUN
    scene.workspace.rollback(scene.name, "switch_off")
    scene.workspace.act(scene.name, "switch_off")
    assert scene.kinds("evidence.") == ["evidence.taken"]


def test_evidence_also_when_the_data_cannot_be_read(scene):
    """A log that cannot be read now is said to be so, and does not stop a containment."""
    scene.workspace.act(scene.name, "switch_off")
    from rbnb.actions.evidence import look_again

    window = {"start": "2026-11-01T00:00:00Z", "end": "2026-11-02T00:00:00Z"}
    record = {
        "materials": [{"source": "predictions", "table": "../log.parquet", "window": window, "digest": "sha256:1"}]
    }
    told = look_again(scene.workspace.places, "svc", record)
    assert told[0]["state"].startswith("cannot be read: ")


def test_a_dry_run_that_fails(scene):
    """An action whose rehearsal fails is not done."""
    scene.write_action(dry_run={"command": ["false"], "expect": "nothing"})
    refused(scene, "the dry run did not go well: exit 1")
    assert scene.last("action.tried").body["outcome"] == "failed"


def test_a_precondition_that_does_not_hold(scene):
    """An action whose precondition a program sees fail is not done."""
    scene.write_action(preconditions=[{"text": "It rains.", "command": ["false"], "tolerance": 0}])
    refused(scene, "a precondition does not hold: It rains")


def test_a_snapshot_without_the_value(scene):
    """Without the value that the rollback returns to, nothing is done."""
    scene.write_action(
        snapshot={"command": ["switch", "read", "${name}"], "take": {"before": {"jsonpath": "$.nothing"}}}
    )
    refused(scene, r"before \(\$.nothing\) is not in it")


def test_only_once(scene):
    """What is in force is not done a second time."""
    scene.workspace.act(scene.name, "switch_off")
    refused(scene, "attempt 1 has done it, and it was not rolled back")


def test_dry_run_changes_nothing(tmp_path, monkeypatch):
    """A rehearsal may come before the decision, is on record, and changes nothing."""
    scene = make_scene(tmp_path, monkeypatch, decided=False)
    tried = scene.workspace.dry_run(scene.name, "switch_off")
    assert tried["outcome"] == "done"
    assert tried["values"] == {"before": "on"}
    assert scene.calls() == []
    assert scene.kinds() == ["action.tried"]


def test_roll_back(scene):
    """A rollback returns to the state that was kept, whatever has become of the catalog, and the incident is open."""
    scene.workspace.act(scene.name, "switch_off")
    scene.write_action(rollback={"command": ["switch", "set", "main", "${snapshot.before}-wrong"], "expect": "ok"})
    report = scene.workspace.rollback(scene.name, "switch_off")
    assert report.held
    assert (scene.switch / "main").read_text() == "on"
    assert scene.state.status == "open"
    assert [attempt.status for attempt in scene.state.attempts] == ["rolled_back", "held"]
    refused(scene, "there is nothing to roll back", "rollback", scene.workspace.rollback)


def test_roll_back_needs_a_responder(scene, monkeypatch):
    """Nobody rolls back who may not act."""
    scene.workspace.act(scene.name, "switch_off")
    monkeypatch.setenv("RBNB_USER", "eva")
    refused(scene, "may not roll back", "rollback", scene.workspace.rollback)


def test_roll_back_with_a_rule_of_its_own(scene, monkeypatch):
    """A workspace may ask for approvals of a rollback; then it waits for them."""
    rules = "name: approvals\nversion: '1'\nrules:\n"
    rules += "  - {name: undo, way: [rollback], people: 1, roles: [approver], expires: 1h}\n"
    rules += "  - {name: rest, people: 0, roles: [approver], expires: 1h}\n"
    (scene.root / "policies" / "approvals.yaml").write_text(rules)
    scene.workspace.act(scene.name, "switch_off")
    refused(scene, "it needs 1 approval: 0 given", "rollback", scene.workspace.rollback)
    monkeypatch.setenv("RBNB_USER", "ben")
    scene.workspace.approve(scene.name, "switch_off", undo=True)
    monkeypatch.setenv("RBNB_USER", "dan")
    assert scene.workspace.rollback(scene.name, "switch_off").held


@pytest.mark.parametrize("file", ["before.json", "plan.json"])
def test_roll_back_only_to_what_was_kept(scene, file):
    """A state that was changed since it was kept is not returned to."""
    scene.workspace.act(scene.name, "switch_off")
    kept = scene.incident.folder / "actions" / "01-switch_off" / file
    kept.chmod(0o644)
    kept.write_text(kept.read_text().replace("on", "ON"))
    with pytest.raises(IntegrityError, match="is not what was recorded"):
        scene.workspace.rollback(scene.name, "switch_off")
    assert len(scene.calls()) == 1


def test_a_check_that_never_holds(scene):
    """Done without effect is not contained; the command leaves with 3, says what it saw, and offers the rollback."""
    scene.write_program(extra="    sys.argv[3] = 'half'")
    ended = scene.rbnb("act", scene.name, "switch_off")
    assert ended.returncode == 3
    assert "IT DOES NOT HOLD" in ended.stdout
    assert f"undo it: rbnb rollback {scene.name} switch_off" in ended.stderr
    assert scene.last("action.verified").body["tries"] > 1
    assert scene.state.status == "open"
    (scene.switch / "main").write_text("off")
    assert scene.rbnb("act", scene.name, "switch_off", "--check").returncode == 0
    assert scene.state.status == "contained"


def test_by_hand(scene):
    """What a person did by hand is on record as such, contains the incident, and is undone by hand."""
    ended = scene.rbnb("act", scene.name, "switch_off", "--by-hand", "--because", "rbnb could not reach it; it is off")
    assert ended.returncode == 0, ended.stderr
    assert scene.state.attempts[-1].way == "by_hand"
    assert scene.state.status == "contained"
    assert scene.calls("") == []
    refused(scene, "was done by hand", "rollback", scene.workspace.rollback)
    assert scene.rbnb("rollback", scene.name, "switch_off", "--by-hand", "--because", "it is on").returncode == 0
    assert scene.state.status == "open"


def test_by_hand_without_approval_is_said(tmp_path, monkeypatch):
    """What was done by hand without its approvals is on record with what was missing."""
    scene = make_scene(tmp_path, monkeypatch, environment="production")
    ended = scene.rbnb("act", scene.name, "switch_off", "--by-hand", "--because", "it was burning")
    assert "nobody had approved it" in ended.stderr
    assert "1 approval" in scene.last("action.started").body["unapproved"]


def test_looking_contains_nothing(scene):
    """An action that only looks can be put on record as done, and the incident stays open."""
    gone = dict.fromkeys(("snapshot", "dry_run", "execute", "rollback", "rollback_verify"))
    scene.write_action("look", **gone, values={"name": {"pattern": "[a-z]+", "help": "h", "default": "main"}})
    scene.decide("look")
    with pytest.raises(ByHandError, match="nothing that rbnb could execute"):
        scene.workspace.act(scene.name, "look")
    scene.workspace.did_by_hand(scene.name, "look", "it went on for an hour")
    assert scene.state.attempts[-1].status == "held"
    assert scene.state.status == "open"


def test_json(scene):
    """A program reads how it ended as one object."""
    ended = scene.rbnb("act", scene.name, "switch_off", "--json")
    told = json.loads(ended.stdout)
    assert (told["held"], told["attempt"], told["outcome"]) == (True, 1, "done")
    assert told["undo"] == f"rbnb rollback {scene.name} switch_off"


def test_the_plan_names_everything(scene):
    """Whatever would be done differently has another digest; asked twice, it is the same."""
    plan = scene.workspace.plan_action(scene.name, "switch_off")
    assert plan.digest == scene.workspace.plan_action(scene.name, "switch_off").digest
    seen = {plan.digest}
    for name, changed in {
        "risk": {"risk": "high"},
        "timeout": {
            "execute": {"command": ["switch", "set", "${name}", "off"], "expect": "It says ok.", "timeout": "11s"}
        },
        "rollback": {"rollback": {"command": ["switch", "set", "${name}", "${snapshot.before}", "x"], "expect": "e"}},
        "text": {"safety_check": "Another."},
    }.items():
        scene.write_action(**changed)
        digest = scene.workspace.plan_action(scene.name, "switch_off").digest
        assert digest not in seen, name
        seen.add(digest)
    scene.write_action()
    scene.decide()
    assert scene.workspace.plan_action(scene.name, "switch_off").digest not in seen
    assert os.environ["RBNB_USER"] == "dan"
