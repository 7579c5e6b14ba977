"""Signed approvals: SSH keys, checked when approving and again whenever they are counted."""

import os
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest
from consent_fixture import (
    ACTION,
    PEOPLE,
    RULES,
    SIGNED_RULES,
    SIGNERS,
    allow,
    as_person,
    demand,
    kinds,
    make_key,
    on_a_terminal,
    stage,
)

from rbnb.config import WorkspaceFile
from rbnb.errors import UsageError
from rbnb.incidents.signing import Signers, sign
from rbnb.incidents.statements import UnprovableError
from rbnb.people import Directory

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LINE = '{"at":"2026-11-22T12:00:00Z","verb":"approve"}'


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Return the keys of ben, cleo and somebody else, and one with a passphrase."""
    folder = tmp_path_factory.mktemp("keys")
    made = {name: make_key(folder, name) for name in ("ben", "cleo", "other")}
    return {**made, "locked": make_key(folder, "locked", "only she knows")}


@pytest.fixture(scope="module")
def signed(keys):
    """Return what ben has signed."""
    return sign(LINE, keys["ben"])


@pytest.fixture
def scene(tmp_path, monkeypatch, keys):
    """Return an incident in which two signed approvals are demanded, and the keys of ben and cleo are allowed."""
    found = stage(tmp_path, monkeypatch, rules=SIGNED_RULES, toml=SIGNERS)
    allow(found, ben=keys["ben"], cleo=keys["cleo"])
    return found


def directory():
    """Return ben, who is also known by his address, and cleo."""
    return Directory(WorkspaceFile.model_validate({"people": {"ben": {"aliases": ["ben@example.com"]}, "cleo": {}}}))


def checked(tmp_path, signers, signature, *, person="ben", line=LINE, at=NOW):
    """Return what a check against a file of allowed signers comes to."""
    file = tmp_path / "allowed_signers"
    file.write_text(signers)
    people = directory()
    return Signers(file, people)(people.resolve(person), line, signature, at)


def public(key):
    """Return a public key as it stands in a file of allowed signers."""
    return key.with_suffix(".pub").read_text().strip()


def test_two_signed_approvals_let_it_happen(scene, keys):
    """Where signatures are demanded two signed approvals suffice, and the entries carry them."""
    for person in ("ben", "cleo"):
        assert as_person(scene, person, "approve", ACTION, key=str(keys[person])).new
    for entry in kinds(scene, "approval.given"):
        assert entry.body["identity"] == "verified"
        assert entry.body["key"].startswith("SHA256:")
        assert entry.body["signature"].startswith("-----BEGIN SSH SIGNATURE-----")
    assert as_person(scene, "dan", "act", ACTION).held


def test_ssh_keygen_itself_agrees(scene, keys, tmp_path):
    """Anybody can check the entry's signature with ssh-keygen alone."""
    as_person(scene, "ben", "approve", ACTION, key=str(keys["ben"]))
    body = kinds(scene, "approval.given")[0].body
    (tmp_path / "sig").write_text(body["signature"])
    command = ["ssh-keygen", "-Y", "verify", "-f", scene.root / "allowed_signers", "-I", "ben", "-n", "rbnb@v1"]
    done = subprocess.run(
        [*command, "-s", tmp_path / "sig"], input=body["statement"].encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_where_signatures_are_demanded_an_asserted_approval_is_refused(scene, monkeypatch, keys):
    """It says how to sign; the key may stand in the environment."""
    refusal = as_person(scene, "ben", "approve", ACTION)
    assert "demands a signature" in refusal.message
    assert "RBNB_SSH_KEY" in refusal.hint
    monkeypatch.setenv("RBNB_SSH_KEY", str(keys["ben"]))
    assert as_person(scene, "ben", "approve", ACTION).new


@pytest.mark.parametrize("key", ["cleo", "other"])
def test_another_persons_key_is_refused(scene, keys, key):
    """Who signs with somebody else's key, or with one that is not allowed, is refused, and that is on record."""
    refusal = as_person(scene, "ben", "approve", ACTION, key=str(keys[key]))
    assert refusal.exit_code == 7
    assert "its key is that of cleo" in refusal.message or "not by a key that is allowed for ben" in refusal.message
    assert kinds(scene, "approve.refused")
    assert not kinds(scene, "approval.given")


def test_a_key_that_is_removed_no_longer_counts(scene, keys):
    """An approval goes with its key, also after it was given."""
    for person in ("ben", "cleo"):
        as_person(scene, person, "approve", ACTION, key=str(keys[person]))
    allow(scene, cleo=keys["cleo"])
    refusal = as_person(scene, "dan", "act", ACTION)
    assert "2 signed approvals: 1 given" in refusal.message
    assert "allowed for ben" in refusal.hint
    assert scene.calls() == []


def test_a_signed_approval_of_another_plan_is_void(scene, keys):
    """What was signed is good for exactly what it names."""
    for person in ("ben", "cleo"):
        as_person(scene, person, "approve", ACTION, key=str(keys[person]))
    scene.write_action(blast_radius="Every model.")
    assert "0 given" in as_person(scene, "dan", "act", ACTION).message


@pytest.mark.parametrize("where", ["signature", "statement", "key", "expires_at", "identity"])
def test_an_edited_entry_does_not_count(scene, keys, where):
    """Edit anything of a signed approval and record it as one's own: it counts for nothing."""
    as_person(scene, "ben", "approve", ACTION, key=str(keys["ben"]))
    body = kinds(scene, "approval.given")[0].body
    as_person(scene, "ben", "withdraw", ACTION, key=str(keys["ben"]))
    text = body[where]
    scene.incident.ledger.append("approval.given", {**body, where: f"{text[:40]}A{text[41:]}"}, by="ben")
    assert scene.workspace.proposed(scene.name, ACTION).standing.given == ()


def test_without_ssh_keygen(scene, keys, monkeypatch, tmp_path):
    """Without ssh-keygen a demanded signature is a clear error, and nothing else is affected."""
    as_person(scene, "ben", "approve", ACTION, key=str(keys["ben"]))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(UnprovableError, match="no ssh-keygen"):
        scene.workspace.proposed(scene.name, ACTION)
    with pytest.raises(UsageError, match="no ssh-keygen to sign with"):
        as_person(scene, "cleo", "approve", ACTION, key=str(keys["cleo"]))
    refusal = as_person(scene, "dan", "act", ACTION)
    assert "no ssh-keygen" in refusal.message
    demand(scene, RULES)
    assert as_person(scene, "cleo", "approve", ACTION).new
    given = scene.workspace.proposed(scene.name, ACTION).standing.given
    assert [(one.person, one.identity) for one in given] == [("ben", "asserted"), ("cleo", "asserted")]


def test_without_allowed_signers_nothing_is_verified(tmp_path, monkeypatch, keys):
    """A signature that nobody can check is not taken: the file has to be named first."""
    scene = stage(tmp_path, monkeypatch, rules=RULES, toml=PEOPLE)
    with pytest.raises(UnprovableError, match="names no allowed signers"):
        as_person(scene, "ben", "approve", ACTION, key=str(keys["ben"]))
    assert as_person(scene, "ben", "approve", ACTION).new


def test_a_signed_rejection_is_not_taken_back_by_a_name_alone(tmp_path, monkeypatch, keys):
    """Who only asserts to be cleo cannot take back what she has signed."""
    scene = stage(tmp_path, monkeypatch, rules=RULES, toml=SIGNERS)
    allow(scene, cleo=keys["cleo"])
    assert as_person(scene, "cleo", "reject", ACTION, "no", key=str(keys["cleo"])).new
    assert "was signed" in as_person(scene, "cleo", "withdraw", ACTION).message
    assert "needs a signature" in as_person(scene, "cleo", "approve", ACTION).message
    assert as_person(scene, "cleo", "withdraw", ACTION, key=str(keys["cleo"])).new


def test_a_key_stands_for_one_person(tmp_path, keys, signed):
    """A key that is also another's, or anybody's, proves nothing; an alias of the same person does no harm."""
    mine = public(keys["ben"])
    assert checked(tmp_path, f"ben {mine}\n", signed).key
    assert checked(tmp_path, f"# keys\n\nben@example.com,ben {mine}\n", signed).key
    assert checked(tmp_path, f'ben namespaces="git,rbnb@v1" {mine}\n', signed).key
    for lent in (f"ben,cleo {mine}\n", f"ben {mine}\ncleo {mine}\n", f"* {mine}\n", f"b* {mine}\n", f"BEN,x {mine}\n"):
        assert "in the file of allowed signers" in checked(tmp_path, lent, signed).why_not


def test_a_key_that_is_removed_meanwhile(tmp_path, keys, signed):
    """One program that checks twice sees that the file of allowed signers has changed in between."""
    file, people = tmp_path / "allowed_signers", directory()
    check = Signers(file, people)
    file.write_text(f"ben {public(keys['ben'])}\n")
    assert check(people.resolve("ben"), LINE, signed, NOW).key
    file.write_text(f"ben {public(keys['other'])}\n")
    assert check(people.resolve("ben"), LINE, signed, NOW).why_not


def test_a_signature_for_something_else_proves_nothing(tmp_path, keys, signed):
    """What was signed for git, with another line, or is no signature at all, proves nothing."""
    mine = f"ben {public(keys['ben'])}\n"
    assert checked(tmp_path, f'ben namespaces="git" {public(keys["ben"])}\n', signed).why_not
    assert checked(tmp_path, mine, signed, line=f"{LINE} ").why_not
    assert checked(tmp_path, mine, signed, person="cleo").why_not
    text = tmp_path / "line"
    text.write_text(LINE)
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", keys["ben"], text]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    assert checked(tmp_path, mine, (tmp_path / "line.sig").read_text()).why_not
    broken = ["", "x", signed[:-40], signed.replace("A", "B"), "é" * 300, f"{signed}{signed}", signed.upper()]
    assert all(checked(tmp_path, mine, text).why_not for text in broken)


def test_a_key_that_is_allowed_for_a_while(tmp_path, keys, signed):
    """The time of signing decides whether a key was allowed then."""
    key = public(keys["ben"])
    line = f'ben valid-after="20261122110000Z",valid-before="20261122130000Z" {key}\n'
    assert checked(tmp_path, line, signed).key
    assert checked(tmp_path, line, signed, at=NOW + timedelta(hours=2)).why_not
    assert checked(tmp_path, line, signed, at=NOW - timedelta(hours=2)).why_not


def test_a_passphrase_never_makes_it_hang(scene, keys):
    """Where nobody can be asked, a key with a passphrase is an error at once, with what to do."""
    began = time.monotonic()
    with pytest.raises(UsageError, match="could not sign with locked") as error:
        as_person(scene, "ben", "approve", ACTION, key=str(keys["locked"]))
    assert time.monotonic() - began < 10
    assert "ssh-add" in error.value.hint


def test_on_a_terminal_the_passphrase_is_asked_for(scene, keys):
    """On a terminal ssh-keygen asks for the passphrase, and the approval is signed."""
    allow(scene, ben=keys["locked"])
    arguments = ("approve", scene.name, ACTION, "--yes", "--key", str(keys["locked"]))
    code, said = on_a_terminal(scene, "ben", arguments, "passphrase", "only she knows")
    assert code == 0, said
    assert kinds(scene, "approval.given")[0].body["identity"] == "verified"


def test_an_agent_signs_with_the_public_half(scene, keys, monkeypatch):
    """A key that an agent holds signs with its public half named."""
    agent = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True, timeout=30)
    said = dict(part.split("=", 1) for part in agent.stdout.replace("\n", ";").split(";") if "=" in part)
    monkeypatch.setenv("SSH_AUTH_SOCK", said["SSH_AUTH_SOCK"])
    try:
        subprocess.run(["ssh-add", "-q", keys["ben"]], check=True, capture_output=True, timeout=30)
        public_half = scene.root / "ben.pub"
        public_half.write_text(public(keys["ben"]))
        assert as_person(scene, "ben", "approve", ACTION, key=str(public_half)).new
    finally:
        os.kill(int(said["SSH_AGENT_PID"]), 15)
    assert kinds(scene, "approval.given")[0].body["identity"] == "verified"


def test_a_key_that_is_not_there(scene, monkeypatch):
    """A key that does not exist is an error that names where it was named."""
    with pytest.raises(UsageError, match="--key: there is no file"):
        as_person(scene, "ben", "approve", ACTION, key="/nowhere/key")
    monkeypatch.setenv("RBNB_SSH_KEY", "/nowhere/key")
    with pytest.raises(UsageError, match="RBNB_SSH_KEY: there is no file"):
        as_person(scene, "ben", "approve", ACTION)


def test_keys_that_cannot_be_read(scene, keys):
    """A file of allowed signers that is gone is a clear error where signatures are demanded."""
    as_person(scene, "ben", "approve", ACTION, key=str(keys["ben"]))
    (scene.root / "allowed_signers").unlink()
    with pytest.raises(UnprovableError, match="cannot be read"):
        scene.workspace.proposed(scene.name, ACTION)
