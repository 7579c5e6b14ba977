"""What approvals come to: different people, for exactly one thing, for a while, and whoever says no wins."""

import dataclasses
from datetime import timedelta

import pytest
from approvals_fixture import ACTION, OTHER_PLAN, TEAM, TWO, back, counted, directory, no, written, yes

from rbnb.config import shipped
from rbnb.errors import ConfigError
from rbnb.incidents.approval_rules import load_approval_rules, rule_for
from rbnb.incidents.approvals import GIVEN, Proof, UnprovableError

ONE = dataclasses.replace(TWO, people=1)
SIGNED = dataclasses.replace(TWO, people=1, verified=True)


def test_two_different_people_suffice():
    """Two approvers who neither decided nor execute are enough where two are demanded."""
    told = counted(yes(1, "cleo"), yes(2, "dan"))
    assert told.met
    assert told.by == ("cleo", "dan")
    assert told.missing == ""


def test_what_is_missing_is_said():
    """As long as somebody is missing, it says how many and in which role."""
    told = counted(yes(1, "cleo"))
    assert not told.met
    assert told.missing == "2 approvals: 1 given, 1 more from an approver or an incident commander"
    assert counted(rule=SIGNED).missing.startswith("1 signed approval: 0 given, 1 more from")


def test_one_person_counts_once():
    """Whoever approves twice is still one person."""
    told = counted(yes(1, "cleo"), yes(2, "cleo"))
    assert not told.met
    assert told.by == ("cleo",)


@pytest.mark.parametrize(("role", "told"), [("requester", "decided on it"), ("executor", "executes it")])
def test_requester_and_executor_never_count(role, told):
    """Who decided on something, or would do it, cannot approve it, by whatever name they decided."""
    for spelled in ("cleo", "CLEO", " cleo ", "C.Ray", "cleo@example.com"):
        found = counted(yes(1, "cleo"), rule=ONE, **{role: spelled})
        assert not found.met
        assert told in found.why_not[0]


@pytest.mark.parametrize(
    ("person", "told"),
    [("eva", "was revoked"), ("mallory", "is not named"), ("ben", "holds none of the roles"), ("", "is not named")],
)
def test_who_may_not_approve_does_not_count(person, told):
    """Nobody counts who is unknown, was revoked, or holds none of the roles."""
    found = counted(yes(1, person), rule=ONE, requester="ada", executor="ada")
    assert not found.met
    assert told in found.why_not[0]


def test_who_is_revoked_later_counts_no_longer():
    """An approval goes with the approver: revoked after it was given, it no longer counts."""
    assert counted(yes(1, "cleo"), rule=ONE).met
    people = {**TEAM["people"], "cleo": {"revoked": True}}
    assert not counted(yes(1, "cleo"), rule=ONE, people=directory(people=people)).met


def test_a_role_assigned_in_the_incident_does_not_count():
    """Who was made incident commander in the incident does not become an approver by it."""
    assigned = (1, "incident.assigned", {"role": "incident_commander", "person": "ben"}, "ada")
    assert not counted(assigned, yes(2, "ben"), rule=ONE, requester="ada", executor="ada").met


def test_another_plan_is_another_thing():
    """An approval of something else, or of what has since changed, counts for nothing."""
    assert not counted(yes(1, "cleo"), yes(2, "dan"), plan=OTHER_PLAN).met
    assert not counted(yes(1, "cleo", subject="throttle"), rule=ONE).met


def test_an_approval_from_another_incident_is_void():
    """An entry copied from another incident is not about this one."""
    found = counted(yes(1, "cleo", incident="INC-20261122-02"), rule=ONE)
    assert not found.met
    assert "another incident" in found.why_not[0]


def test_a_statement_is_used_once():
    """An approval that was taken back cannot be put on the ledger again."""
    once = yes(1, "cleo")
    found = counted(once, back(2, "cleo"), (3, *once[1:]), rule=ONE)
    assert not found.met
    assert "used before" in found.why_not[0]


@pytest.mark.parametrize("recorded", [0, 12, 60])
def test_a_statement_is_recorded_when_it_is_made(recorded):
    """An approval that was made long before it was recorded, or is dated ahead, does not count."""
    found = counted((recorded, *yes(1, "cleo")[1:]), rule=ONE, minute=61)
    assert not found.met
    assert "recorded long after or before" in found.why_not[0]


def test_who_says_no_wins():
    """One rejection stands against any number of approvals, before or after it, and says whose it is."""
    for order in ([yes(1, "cleo"), yes(2, "dan"), no(3, "ada")], [no(1, "ada"), yes(2, "cleo"), yes(3, "dan")]):
        found = counted(*order)
        assert not found.met
        assert "by ada (not at noon)" in found.missing


def test_a_rejection_stands_where_nobody_needs_to_approve():
    """What needs no approval is stopped by a rejection all the same."""
    nobody = dataclasses.replace(TWO, people=0)
    assert counted(rule=nobody).met
    assert not counted(no(1, "ben"), rule=nobody).met


def test_whoever_rejected_can_take_it_back():
    """A rejection ends when the same person approves or withdraws it, and nobody else can end it."""
    assert counted(no(1, "cleo"), yes(2, "cleo"), rule=ONE).met
    assert counted(no(1, "cleo"), back(2, "cleo"), yes(3, "dan"), rule=ONE).met
    assert not counted(no(1, "cleo"), back(2, "dan"), yes(3, "dan"), rule=ONE).met


def test_a_rejection_takes_back_the_own_approval():
    """Who approved and then rejects has not approved, also when the rejection is withdrawn."""
    assert not counted(yes(1, "cleo"), no(2, "cleo"), back(3, "cleo"), rule=ONE).met


def test_a_rejection_of_another_plan_does_not_stand():
    """What was rejected before something changed does not stand against what it is now."""
    assert counted(no(1, "ada", plan=OTHER_PLAN), yes(2, "cleo"), rule=ONE).met


def test_an_edited_rejection_still_stands():
    """Spoiling a rejection does not get rid of it."""
    spoiled = no(1, "cleo")
    spoiled[2]["statement"] = ""
    assert not counted(spoiled, yes(2, "dan"), rule=ONE).met


def test_an_approval_expires():
    """It counts until the moment it names, and not from then on."""
    assert counted(yes(1, "cleo"), rule=ONE, minute=60).met
    found = counted(yes(1, "cleo"), rule=ONE, minute=61)
    assert not found.met
    assert "expired at 2026-11-22T13:01:00Z" in found.why_not[0]


def test_a_rule_made_stricter_counts_for_what_was_approved_before():
    """An approval for longer than the rule of today allows does not count."""
    short = dataclasses.replace(ONE, expires=timedelta(minutes=30))
    assert not counted(yes(1, "cleo"), rule=short, minute=2).met


def keys(**of):
    """Return a check that believes a signature that is a person's name, with the key given for them."""

    def check(person, _statement, signature, _at):
        return Proof(of[person.id]) if signature == person.id else Proof(why_not="is signed by somebody else")

    return check


def test_only_signed_approvals_count_where_that_is_demanded():
    """Where a rule demands signatures, an asserted approval does not count."""
    check = keys(cleo="K1", dan="K2")
    assert not counted(yes(1, "cleo"), rule=SIGNED, check=check).met
    told = counted(yes(1, "cleo", signature="cleo", key="K1"), rule=SIGNED, check=check)
    assert told.met
    assert told.given[0].identity == "verified"
    assert not counted(yes(1, "cleo", signature="dan", key="K1"), rule=SIGNED, check=check).met
    assert not counted(yes(1, "cleo", signature="cleo", key="K2"), rule=SIGNED, check=check).met


def test_a_bad_signature_does_not_count_as_asserted():
    """An approval with a signature that does not hold counts nowhere, also where none is demanded."""
    assert not counted(yes(1, "cleo", signature="dan", key="K"), rule=ONE, check=keys(cleo="K")).met


def test_two_people_with_one_key_count_once():
    """Two approvals by one key are one approval, whoever they say they are from."""
    both = [yes(1, "cleo", signature="cleo", key="K"), yes(2, "dan", signature="dan", key="K")]
    found = counted(*both, check=keys(cleo="K", dan="K"))
    assert found.by == ("cleo",)
    assert "the key that cleo used" in found.why_not[0]


def test_a_signed_rejection_is_taken_back_only_by_a_signature():
    """Somebody who merely asserts a name cannot take back what its owner has signed."""
    check = keys(cleo="K")
    signed = no(1, "cleo", signature="cleo", key="K")
    assert not counted(signed, yes(2, "cleo"), rule=ONE, check=check).met
    assert not counted(signed, back(2, "cleo"), yes(3, "dan"), rule=ONE, check=check).met
    assert counted(signed, yes(2, "cleo", signature="cleo", key="K"), rule=ONE, check=check).met


def test_without_a_way_to_check_signatures():
    """Where no signature can be checked, a signed approval counts as asserted, or is an error where one is due."""
    signed = yes(1, "cleo", signature="cleo", key="K")
    assert counted(signed, rule=ONE).given[0].identity == "asserted"
    with pytest.raises(UnprovableError, match="names no allowed signers"):
        counted(signed, rule=SIGNED)


def test_the_shipped_rules():
    """In production a high risk needs two people, at SEV1 a medium one too; undoing needs none; closing one."""
    rules = load_approval_rules(shipped("policies") / "approvals.yaml")
    needs = {
        asked: rule_for(rules, *asked).people
        for asked in [
            ("production", "SEV1", "high"),
            ("production", "SEV4", "high"),
            ("production", "SEV1", "medium"),
            ("production", "SEV2", "medium"),
            ("production", "SEV1", "low"),
            ("staging", "SEV1", "high"),
            ("test", "SEV1", "medium"),
            ("never heard of", "", "high"),
            ("", "", ""),
        ]
    }
    assert list(needs.values()) == [2, 2, 2, 1, 0, 1, 0, 2, 2]
    assert rule_for(rules, "production", "SEV1", "high", "rollback").people == 0
    assert rule_for(rules, "production", "SEV1", "", "close").people == 1


def test_an_action_may_demand_more():
    """A rule never asks for fewer people than the action itself."""
    rules = load_approval_rules(shipped("policies") / "approvals.yaml")
    assert rule_for(rules, "test", "SEV4", "low", at_least=3).people == 3


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("rules: []", "at least 1"),
        ("rules: [{name: a, people: 1, roles: [approver], expires: 1h, risk: [low]}]", "must fit everything"),
        ("rules: [{name: a, people: 1, roles: [boss], expires: 1h}]", "approver"),
        ("rules: [{name: a, people: 1, roles: [], expires: 1h}]", "at least 1"),
        ("rules: [{name: a, people: -1, roles: [approver], expires: 1h}]", "greater than or equal to 0"),
        ("rules: [{name: a, people: 1, roles: [approver], expires: 0h}]", "not a duration"),
        ("rules: [{name: a, people: 1, roles: [approver]}]", "is required and missing"),
        ("rules: [{name: a, people: 1, roles: [approver], expires: 1h, verifed: true}]", "not a known key"),
    ],
)
def test_a_mistake_in_the_rules_is_named(tmp_path, wrong, told):
    """A rule that is misspelled, or that leaves something without a rule, is an error and never silently weaker."""
    path = tmp_path / "approvals.yaml"
    path.write_text(f"name: approvals\nversion: '1'\n{wrong}\n")
    with pytest.raises(ConfigError, match=told):
        load_approval_rules(path)


def test_the_fixture_writes_what_counts():
    """The entries of these tests are the ones they say they are."""
    entries = written(yes(1, "cleo"))
    assert [entry.kind for entry in entries] == ["incident.opened", GIVEN]
    assert entries[1].body["subject"] == ACTION
