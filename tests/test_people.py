"""People and authority: one person however spelled, nobody by look, and nothing allowed that is not in the table."""

import pytest

from rbnb.authority import OPERATIONS, STATES, load_authority, permitted
from rbnb.config import WorkspaceFile, shipped
from rbnb.errors import ConfigError
from rbnb.people import ROLES, Directory


def directory(**file):
    """Return the people of an rbnb.toml with these tables."""
    return Directory(WorkspaceFile.model_validate(file))


@pytest.fixture
def team():
    """Return three people, one of whom was revoked."""
    return directory(
        people={"ada": {"aliases": ["ada@example.com", "A.Lee"]}, "ben": {}, "mel": {"revoked": True}},
        roles={"approver": {"people": ["ada", "mel"]}, "responder": {"people": ["ADA", "ben", "ops-team"]}},
    )


@pytest.mark.parametrize("spelling", ["ada", "Ada", " ADA ", "ada@example.com", "ADA@EXAMPLE.COM", "a.lee", "ａｄａ"])
def test_one_person_however_spelled(team, spelling):
    """Capitals, blanks around, full-width letters and aliases all mean the same person."""
    assert team.resolve(spelling).id == "ada"


@pytest.mark.parametrize(
    "spelling",
    [
        "",
        " ",
        "аda",
        "adа",
        "a da",
        "ada\u200b",
        "\u202eada",
        "adam",
        "ad",
        "αda",
        "ada,ben",
        "*",
        "%",
        "ada\x00",
    ],
)
def test_what_is_not_declared_is_nobody(team, spelling):
    """Letters that look alike, hidden characters, parts, lists and patterns are nobody."""
    assert team.resolve(spelling) is None


def test_roles_follow_the_person(team):
    """Roles are given by any spelling and held by the person; who was revoked is known and holds none."""
    assert team.roles_of("A.LEE") == ("responder", "approver")
    assert team.roles_of("ops-team") == ("responder",)
    assert team.resolve("mel").revoked
    assert team.roles_of("mel") == ()
    assert [person.id for person in team.holding("approver")] == ["ada"]


@pytest.mark.parametrize(
    "people",
    [
        {"ada": {}, "ben": {"aliases": ["ADA"]}},
        {"ada": {"aliases": ["x"]}, "ben": {"aliases": ["x"]}},
        {"ada": {}, "Ada": {}},
        {"ada": {"aliases": ["аda"]}},
        {"ada": {"aliases": [""]}},
    ],
)
def test_what_could_be_two_people_is_refused(people):
    """A spelling that stands for two people, or for nobody, is an error that names the place in rbnb.toml."""
    with pytest.raises(ConfigError, match=r"rbnb\.toml: people\."):
        directory(people=people)


def test_an_empty_directory_says_so():
    """A workspace that names nobody can be told from one that does."""
    assert not directory()
    assert directory(people={"ada": {}})


@pytest.fixture(scope="module")
def table():
    """Return the table that comes with rbnb."""
    return load_authority(shipped("policies") / "authority.yaml")


def test_the_table_covers_every_operation(table):
    """Every operation has its line, and none is allowed to anyone but a note."""
    assert set(table.operations) == set(OPERATIONS)
    assert [name for name, rule in table.operations.items() if "anyone" in rule.roles] == ["note"]


def test_without_a_role_nothing_but_a_note(table):
    """Somebody without a role may write a note on an open incident, and nothing else in any state."""
    allowed = [(op, state) for op in OPERATIONS for state in STATES if not permitted(table, op, (), state)]
    assert {op for op, _ in allowed} == {"note"}


def test_a_denied_role_wins(table):
    """Whoever is a stakeholder may not act or approve, whatever else they hold."""
    for operation in ("act", "approve", "decide", "rollback"):
        assert "stakeholder may not" in permitted(table, operation, ROLES, "open")


def test_a_damaged_incident_allows_nothing(table):
    """Where the ledger is damaged, nobody may do anything."""
    assert all(permitted(table, operation, ROLES, "damaged") for operation in OPERATIONS)


def test_a_missing_line_allows_nobody(table):
    """What a workspace's own table leaves out is not allowed to anybody."""
    short = table.model_copy(update={"operations": {}})
    assert permitted(short, "act", ROLES, "open") == "nobody may act here"


def test_an_unknown_operation_in_the_table_is_an_error(tmp_path):
    """A misspelled operation is an error, as it would silently forbid the one that was meant."""
    file = tmp_path / "authority.yaml"
    file.write_text("name: authority\nversion: '1'\noperations: {actt: {roles: [anyone], states: [open]}}\n")
    with pytest.raises(ConfigError, match="actt is no operation"):
        load_authority(file)
