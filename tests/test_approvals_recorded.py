"""Approving for real: what is shown, what is recorded, what is refused, and what waits."""

import json
from datetime import timedelta

import pytest
from acting_fixture import PEOPLE
from consent_fixture import ACTION, RULES, as_person, command, demand, kinds, on_a_terminal, stage

from rbnb.errors import ConfigError, RefusedError, UsageError
from rbnb.incidents.course import Step
from rbnb.times import format_time


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """Return an incident in production in which dan decided on an action; ben and cleo are approvers."""
    return stage(tmp_path, monkeypatch)


def approvals(scene):
    """Return what the approvals of the action come to."""
    return scene.workspace.proposed(scene.name, ACTION).standing


def test_two_approvers_let_it_happen(scene):
    """After two approvers have approved, what was decided on may be done, and before it may not."""
    assert "2 approvals: 0 given" in approvals(scene).missing
    for person in ("ben", "cleo"):
        assert as_person(scene, person, "approve", ACTION, "seen").new
    assert approvals(scene).met
    assert as_person(scene, "dan", "act", ACTION).held
    assert scene.calls() == ["set main off"]


def test_an_entry_says_exactly_what_was_approved(scene):
    """An approval names the plan by its digest, until when it holds, and that its identity is asserted."""
    as_person(scene, "ben", "approve", ACTION, "seen")
    body = kinds(scene, "approval.given")[0].body
    assert body["plan"] == scene.workspace.proposed(scene.name, ACTION).matter.plan
    assert (body["identity"], body["key"], body["signature"]) == ("asserted", "", "")
    now = scene.state.now(scene.clock)
    assert (body["at"], body["expires_at"]) == (format_time(now), format_time(now + timedelta(hours=2)))
    stated = json.loads(body["statement"])
    assert stated["incident"] == scene.name
    assert {"person": "ben", "verb": "approve", "plan": body["plan"]}.items() <= stated.items()


@pytest.mark.parametrize(
    ("person", "why"),
    [
        ("dan", "only an approver or an incident commander may approve"),
        ("eva", "a stakeholder may not approve"),
        ("mallory", "not named in rbnb.toml"),
    ],
)
def test_who_may_not_is_refused_and_on_record(scene, person, why):
    """Who may not approve is told why, and the attempt is on the ledger."""
    refusal = as_person(scene, person, "approve", ACTION)
    assert isinstance(refusal, RefusedError)
    assert refusal.exit_code == 7
    assert why in refusal.message
    entry = kinds(scene, "approve.refused")[-1]
    assert (entry.by, entry.body["subject"]) == (person, ACTION)
    assert not kinds(scene, "approval.given")


def test_whoever_decided_cannot_approve(scene):
    """The incident commander who decides on an action does not approve it as well."""
    scene.decide(by="ada")
    refusal = as_person(scene, "ada", "approve", ACTION)
    assert "decided on it" in refusal.message
    assert "decided on it" in kinds(scene, "approve.refused")[-1].body["why"]


def test_whoever_executes_does_not_count(scene):
    """An approval by the one who then executes does not count for that execution."""
    for person in ("ada", "ben"):
        as_person(scene, person, "approve", ACTION)
    assert "2 approvals: 1 given" in as_person(scene, "ada", "act", ACTION).message
    assert scene.calls() == []


def test_nobody_becomes_an_approver_in_an_incident(scene):
    """Who was made incident commander in the incident can command it, and still not approve."""
    scene.decide(by="ada")
    as_person(scene, "ada", "assign", "incident_commander", "dan")
    refusal = as_person(scene, "dan", "approve", ACTION)
    assert "holds none of the roles by rbnb.toml" in refusal.message
    assert "no approver by rbnb.toml" in as_person(scene, "ada", "assign", "approver", "dan").message


def test_where_nobody_is_named_nobody_approves(tmp_path, monkeypatch):
    """In a workspace that names nobody, whoever is logged in may lead an incident and approve nothing."""
    toml = '[workspace]\npolicies = "policies"\n'
    bare = stage(tmp_path, monkeypatch, toml=toml)
    for verb, told in (("approve", ""), ("reject", "no")):
        assert "does not name them" in as_person(bare, "root", verb, ACTION, told).message


def test_approving_twice_adds_nothing(scene):
    """Pressing twice leaves one entry; also by another spelling of the same name."""
    first = as_person(scene, "ben", "approve", ACTION)
    again = as_person(scene, " BEN ", "approve", ACTION)
    assert (first.new, again.new) == (True, False)
    assert again.entry.seq == first.entry.seq
    assert len(kinds(scene, "approval.given")) == 1


@pytest.mark.parametrize("change", ["values", "action", "model", "decision", "run", "severity", "attempt"])
def test_whatever_changes_voids_an_approval(scene, change):
    """Change the values, the action, the model file, the decision, the evidence or severity: it is void."""
    for person in ("ben", "cleo"):
        as_person(scene, person, "approve", ACTION)
    assert approvals(scene).met
    scene.clock.now += timedelta(minutes=1)
    model = scene.root / "models" / "svc.yaml"
    {
        "values": lambda: scene.decide(by="dan", values={"name": "other"}),
        "action": lambda: scene.write_action(blast_radius="Every model."),
        "model": lambda: model.write_text(model.read_text() + "action_values: {name: other}\n"),
        "decision": lambda: scene.decide(by="dan"),
        "run": lambda: (scene.run("02-latency_spike"), scene.decide(by="dan")),
        "severity": lambda: as_person(scene, "ada", "set_severity", "SEV1", "it got worse"),
        "attempt": lambda: as_person(scene, "dan", "act", ACTION),
    }[change]()
    assert not approvals(scene).met
    assert approvals(scene).given == ()


def test_a_plan_that_has_changed_is_not_approved_unseen(scene):
    """Who has looked at one plan does not approve another one that took its place."""
    seen = scene.workspace.proposed(scene.name, ACTION).matter.plan
    scene.write_action(blast_radius="Every model.")
    refusal = as_person(scene, "ben", "approve", ACTION, plan=seen)
    assert "is not what was shown" in refusal.message
    assert kinds(scene, "approve.refused")


def test_after_a_rejection_nobody_else_approves(scene):
    """While a rejection stands an approval is refused, and who rejected can take it back."""
    assert as_person(scene, "ben", "approve", ACTION).new
    assert as_person(scene, "ada", "reject", ACTION, "not while batch runs").new
    refusal = as_person(scene, "cleo", "approve", ACTION)
    assert "ada rejected it (not while batch runs)" in refusal.message
    assert scene.workspace.pending(scene.name)[0].status == "rejected"
    assert as_person(scene, "ada", "withdraw", ACTION).new
    assert as_person(scene, "cleo", "approve", ACTION).new
    assert approvals(scene).met


def test_rejecting_and_taking_back_twice(scene):
    """A second rejection adds nothing, and nothing can be taken back that does not stand."""
    as_person(scene, "ada", "reject", ACTION, "no")
    assert not as_person(scene, "ada", "reject", ACTION, "no").new
    as_person(scene, "ada", "withdraw", ACTION)
    assert "nothing they said about it stands" in as_person(scene, "ada", "withdraw", ACTION).message
    assert "nothing they said" in as_person(scene, "ben", "withdraw", ACTION).message


def test_a_rejection_needs_a_reason(scene):
    """A rejection without a reason is an error, and leaves nothing."""
    for empty in ("", "  "):
        with pytest.raises(UsageError, match="a rejection needs a reason"):
            as_person(scene, "ada", "reject", ACTION, empty)
    assert not kinds(scene, "approval.rejected")


def test_what_nobody_decided_on_cannot_be_approved(scene):
    """Approving something that nobody decided on is refused and on record; what does not exist is an error."""
    assert "no decision chooses observe" in as_person(scene, "ben", "approve", "observe").message
    assert kinds(scene, "approve.refused")[-1].body["subject"] == "observe"
    with pytest.raises(UsageError, match="no action named 'swich_off'"):
        as_person(scene, "ben", "approve", "swich_off")


def test_what_is_not_known_whole_cannot_be_approved(tmp_path, monkeypatch):
    """As long as a value is missing nobody knows what would be done, so nobody approves it."""
    scene = stage(tmp_path, monkeypatch, values={"name": {"pattern": "[a-z]+", "help": "which switch"}})
    assert "nobody has said what name is" in as_person(scene, "ben", "approve", ACTION).message


def test_an_action_that_demands_more_people_gets_them(tmp_path, monkeypatch):
    """Where the catalog asks for more people than its risk would, the rule does not ask for fewer."""
    scene = stage(tmp_path, monkeypatch, approvals=3)
    assert "3 approvals" in approvals(scene).missing


def test_closing_is_approved_by_somebody_else(scene):
    """Closing without acceptance needs an approver who is not the one who closes; any change calls for a new one."""
    refused = as_person(scene, "ada", "close", "false_alarm", "it was the probe")
    assert "closing without it needs 1 approval: 0 given" in refused.message
    assert [one.subject for one in scene.workspace.pending()] == [ACTION, "close"]
    assert as_person(scene, "ada", "approve", "close").new
    assert isinstance(as_person(scene, "ada", "close", "false_alarm", "it was the probe"), RefusedError)
    as_person(scene, "ben", "approve", "close")
    as_person(scene, "ada", "set_severity", "SEV1", "it is back")
    assert isinstance(as_person(scene, "ada", "close", "false_alarm", "it was the probe"), RefusedError)
    as_person(scene, "ben", "approve", "close")
    assert isinstance(as_person(scene, "ada", "close", "false_alarm", "it was the probe"), Step)
    assert kinds(scene, "incident.closed")[0].body["exception_by"] == "ben"
    assert scene.workspace.pending() == []


def test_pending_tells_what_waits(scene):
    """What was decided on and not done is listed with what it needs, who approved, and what comes next."""
    as_person(scene, "ben", "approve", ACTION)
    code, told, _ = command(scene, "dan", "pending")
    assert code == 0
    for words in (ACTION, "waiting", "1 more from", "ben (asserted)", f"rbnb approve {scene.name} {ACTION}"):
        assert words in told
    plain = json.loads(command(scene, "dan", "pending", scene.name, "--json")[1])["pending"]
    assert [(one["subject"], one["status"], one["requester"]) for one in plain] == [(ACTION, "waiting", "dan")]


def test_pending_tells_what_cannot_be_planned(scene):
    """Where the evidence has changed it is listed as stuck, with the reason."""
    (scene.root / "reports" / scene.name / "runs" / "01-latency_spike" / "run.json").write_text("{}")
    (stuck,) = scene.workspace.pending()
    assert stuck.status == "stuck"
    assert "its evidence has changed" in stuck.needs


def test_the_command_shows_exactly_what_is_approved(scene):
    """Before it is approved, everything that would be done is shown, none of it cut; a script has to say so."""
    long = "x" * 3000
    scene.write_action(blast_radius=f"One model. {long}")
    code, told, complaint = command(scene, "ben", "approve", scene.name, ACTION)
    assert code == 2
    assert "say --yes" in complaint
    assert not kinds(scene, "approval.given")
    for words in ("switch set main off", long, "sha256:", "medium", "decided by", "switch set main '<before, from"):
        assert words in told
    code, told, complaint = command(scene, "ben", "approve", scene.name, ACTION, "--yes", "--because", "seen")
    assert code == 0, complaint
    assert "identity asserted, not proved" in told


def test_json_is_one_object(scene):
    """With --json standard output holds one object: the entry, and what is still needed."""
    told = json.loads(command(scene, "ben", "approve", scene.name, ACTION, "--yes", "--json")[1])
    assert (told["kind"], told["by"], told["new"]) == ("approval.given", "ben", True)
    assert told["pending"]["status"] == "waiting"
    told = json.loads(command(scene, "ada", "reject", scene.name, ACTION, "--because", "no", "--json")[1])
    assert told["pending"]["status"] == "rejected"
    code, told, _ = command(scene, "eva", "approve", scene.name, ACTION, "--yes", "--json")
    assert (code, json.loads(told)["error"]["exit_code"]) == (7, 7)


@pytest.mark.parametrize(("answer", "given"), [("y", 1), ("n", 0), ("", 0)])
def test_on_a_terminal_a_person_is_asked(scene, answer, given):
    """On a terminal nothing is approved until a person says yes; anything else leaves it."""
    code, said = on_a_terminal(scene, "ben", ("approve", scene.name, ACTION), "[y/N]", answer)
    assert "switch set main off" in said
    assert code == (0 if given else 1)
    assert len(kinds(scene, "approval.given")) == given


def test_rolling_back_is_approved_where_a_rule_demands_it(scene):
    """Where a workspace demands approval for a rollback, it is that of exactly the steps on record."""
    for person in ("ben", "cleo"):
        as_person(scene, person, "approve", ACTION)
    assert as_person(scene, "dan", "act", ACTION).held
    assert "2 approvals: 0 given" in as_person(scene, "dan", "rollback", ACTION).message
    for person in ("ben", "cleo"):
        code, told, complaint = command(scene, person, "approve", scene.name, ACTION, "--rollback", "--yes")
        assert code == 0, complaint
        assert "switch set main on" in told
    assert as_person(scene, "dan", "rollback", ACTION).held
    assert scene.calls()[-1] == "set main on"


def test_rules_that_cannot_be_read_stop_everything(scene):
    """With a mistake in the rules nothing can be approved or done."""
    demand(scene, RULES.replace("people: 2", "poeple: 2"))
    with pytest.raises(ConfigError, match="people: is required and missing"):
        as_person(scene, "ben", "approve", ACTION)
    with pytest.raises(ConfigError):
        as_person(scene, "dan", "act", ACTION)
    assert scene.calls() == []


def test_who_was_revoked_after_approving_counts_no_longer(scene):
    """An approver who is revoked takes the approval along."""
    for person in ("ben", "cleo"):
        as_person(scene, person, "approve", ACTION)
    (scene.root / "rbnb.toml").write_text(PEOPLE.replace("[people.cleo]", "[people.cleo]\nrevoked = true"))
    code, _, complaint = command(scene, "dan", "act", scene.name, ACTION)
    assert code == 7
    assert "was revoked in rbnb.toml" in complaint
    assert scene.calls() == []
