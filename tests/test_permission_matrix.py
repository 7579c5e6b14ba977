"""The permission matrix: every operation, by every role, in every state, through the incident that lets it pass or not.

The table of docs/approvals.md is the one of `policies/authority.yaml`, and every cell of it is walked.
"""

import re
from pathlib import Path

import pytest
from lifecycle_fixture import NOON

from rbnb.authority import OPERATIONS, STATES, load_authority
from rbnb.config import open_places, shipped
from rbnb.errors import RefusedError
from rbnb.incidents import open_incident
from rbnb.people import ROLES

DOC = Path(__file__).resolve().parent.parent / "docs" / "approvals.md"
#: What brings an incident into each state, by hand.
TO = {
    "open": [],
    "contained": [("status.set", {"status": "contained"})],
    "remediated": [("status.set", {"status": "remediated"})],
    "monitoring": [("status.set", {"status": "monitoring"})],
    "closed": [("incident.closed", {"resolution": "false_alarm"})],
}
#: One person for each role, one for none, one for all, and two that must never do anything.
PEOPLE = {**{role: f"has_{role}" for role in ROLES}, "none": "has_none", "all": "has_all", "revoked": "was_revoked"}
SHORT = {"o": "open", "c": "contained", "r": "remediated", "m": "monitoring", "x": "closed"}


@pytest.fixture(scope="module")
def table():
    """Return the table that comes with rbnb."""
    return load_authority(shipped("policies") / "authority.yaml")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Return a workspace with one person for each role."""
    root = tmp_path_factory.mktemp("matrix")
    people = "".join(
        f"[people.{name}]\n{'revoked = true' if who == 'revoked' else ''}\n" for who, name in PEOPLE.items()
    )
    held = "".join(
        f'{role} = {{ people = ["{PEOPLE[role]}", "{PEOPLE["all"]}", "{PEOPLE["revoked"]}"] }}\n' for role in ROLES
    )
    (root / "rbnb.toml").write_text(f"[workspace]\n{people}[roles]\n{held}")
    return open_places(root)


def new(places, state):
    """Return a new incident in a state; short ledgers are read fast."""
    incident = open_incident(places.reports, lambda: NOON, {"model": "svc"}, places)
    for kind, body in TO[state]:
        incident.ledger.append(kind, body, by="ada")
    assert incident.state().status == state
    return incident


def documented():
    """Return the matrix of the page as {(operation, role): states}."""
    text = DOC.read_text(encoding="utf-8").partition("## Who may do what")[2]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    heads, cells = rows[0], rows[2:]
    states = {}
    for row in cells:
        for role, cell in zip(heads[1:], row[1:], strict=True):
            known = {SHORT[letter] for letter in re.sub(r"[^ocrmx]", "", cell)}
            states[row[0].strip("`"), role.replace(" ", "_")] = known
    return states


def expected(table, operation, roles, state):
    """Tell from the file's own words whether somebody with these roles may."""
    rule = table.operations.get(operation)
    if rule is None or state not in rule.states or set(roles) & set(rule.deny):
        return False
    return "anyone" in rule.roles or bool(set(roles) & set(rule.roles))


def may(incident, operation, person, monkeypatch):
    """Ask the incident, and see that a refusal, and only a refusal, is on its ledger."""
    monkeypatch.setenv("RBNB_USER", person)
    before = len(incident.ledger.entries())
    try:
        actor = incident.allow(operation, subject="something")
    except RefusedError as refusal:
        error = refusal
    else:
        assert actor.id == person
        assert len(incident.ledger.entries()) == before
        return True
    last = incident.ledger.entries()[-1]
    assert error.exit_code == 7
    assert (last.seq, last.kind, last.by) == (before + 1, f"{operation}.refused", person)
    assert last.body["why"] in error.message
    return False


def holding(who):
    """Return the roles of somebody."""
    return {"none": (), "all": ROLES, "revoked": ()}.get(who, (who,))


@pytest.mark.parametrize("state", STATES)
def test_every_cell_of_the_matrix(table, places, monkeypatch, state):
    """Every operation by everybody in every state is let pass or refused as the file says, on record."""
    wrong = []
    for operation in OPERATIONS:
        incident = new(places, state)
        for who, person in PEOPLE.items():
            if may(incident, operation, person, monkeypatch) != expected(table, operation, holding(who), state):
                wrong.append((operation, who, state))
    assert wrong == []


def test_the_page_shows_the_file(table):
    """The matrix in docs/approvals.md is the one that is enforced, cell by cell."""
    shown = documented()
    assert {operation for operation, _ in shown} == set(OPERATIONS)
    assert {role for _, role in shown} == {*ROLES, "nobody"}
    for (operation, role), states in shown.items():
        roles = () if role == "nobody" else (role,)
        assert states == {state for state in STATES if expected(table, operation, roles, state)}, (operation, role)


@pytest.mark.parametrize("person", ["mallory", "", "admin", "root", "has_approver\u200b", "has_аpprover", "approver"])
def test_who_is_not_named_may_only_take_notes(places, monkeypatch, person):
    """Somebody whom rbnb.toml does not name may note what they see while an incident goes on, and nothing else."""
    incidents = {state: new(places, state) for state in STATES}
    monkeypatch.setenv("RBNB_USER", person or " ")
    for state, incident in incidents.items():
        for operation in OPERATIONS:
            if operation == "note" and state != "closed":
                continue
            with pytest.raises(RefusedError):
                incident.allow(operation)
        kinds = [entry.kind for entry in incident.ledger.entries()]
        assert [f"{operation}.refused" in kinds for operation in OPERATIONS[1:]] == [True] * (len(OPERATIONS) - 1)
