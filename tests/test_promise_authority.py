"""P16, P17 and P18: nothing is allowed by default, duties are separate, and an approval is of exactly one thing.

- P16: what the table does not allow is refused, an explicit deny wins, and each refusal is on the ledger (all of the
  matrix is walked in test_permission_matrix.py).
- P17: whoever decided or executes cannot approve, by no spelling; 60 tricks with names are not accepted.
- P18: an approval is bound to exactly what was approved: 500 changes of plan or entry void it; replayed, expired, from
  another incident it counts for nothing; of approvals and rejections at once there is one outcome.

``RBNB_RACERS`` sets how many processes approve and reject at once (6 unless told), ``RBNB_RACES`` how many plans (8).
"""

import copy
import dataclasses
import json
import os
import random
import string
import subprocess
import sys
import unicodedata
from datetime import timedelta

import pytest
from approvals_fixture import TEAM, TWO, body, counted, directory, no, yes
from consent_fixture import ACTION as SWITCH
from consent_fixture import PEOPLE, RBNB, as_person, kinds, stage

from rbnb.actions.plan import canonical_digest
from rbnb.authority import OPERATIONS, STATES, Authority, Permission, permitted
from rbnb.errors import ConfigError, RefusedError
from rbnb.incidents.approvals import GIVEN
from rbnb.incidents.consenting import Matter, standing_of
from rbnb.people import ROLES

RACERS, PLANS = int(os.environ.get("RBNB_RACERS", "6")), int(os.environ.get("RBNB_RACES", "8"))
ONE = dataclasses.replace(TWO, people=1)


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """Return an incident in production in which dan decided on an action; ben and cleo are approvers."""
    return stage(tmp_path, monkeypatch)


def test_p16_what_is_not_allowed_is_refused():
    """P16: an empty table allows nobody anything, and a denied role is refused whatever else somebody holds."""
    empty = Authority(name="authority", version="1", operations={})
    deny = Permission(roles=["anyone", *ROLES], deny=["stakeholder"], states=list(STATES))
    denied = Authority(name="authority", version="1", operations=dict.fromkeys(OPERATIONS, deny))
    for operation in OPERATIONS:
        for state in (*STATES, "damaged", ""):
            assert permitted(empty, operation, ROLES, state)
            assert permitted(denied, operation, ROLES, state)
            assert permitted(denied, operation, ["stakeholder"], state)


@pytest.mark.parametrize("who", ["mallory", "eva", "BEN\u200b", "*", "root", "approver"])
@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_p16_each_refusal_is_on_the_ledger(scene, who, verb):
    """P16: whoever is unknown, revoked or denied is refused with exit code 7, and an entry says who and why."""
    if who == "eva":
        (scene.root / "rbnb.toml").write_text(PEOPLE.replace("[people.eva]", "[people.eva]\nrevoked = true"))
    before = len(scene.state.entries)
    refusal = as_person(scene, who, verb, SWITCH, "because")
    assert isinstance(refusal, RefusedError)
    entries = scene.state.entries[before:]
    assert [entry.kind for entry in entries] == [f"{verb}.refused"]
    assert entries[0].body["why"]
    assert not kinds(scene, "approval.given") + kinds(scene, "approval.rejected")


#: cleo is the one who decided; these are ways to be somebody else and cleo at once.
SPELLED_LIKE_CLEO = [
    "cleo", "Cleo", "CLEO", "cLEO", " cleo", "cleo ", "\tcleo", "cleo\n", "\u00a0cleo", "cleo\u2003",
    "\u3000cleo\u3000",
    "ｃｌｅｏ", "ＣＬＥＯ", "𝐜𝐥𝐞𝐨", "𝑐𝑙𝑒𝑜", "𝓬𝓵𝓮𝓸", "𝕔𝕝𝕖𝕠", "ⓒⓛⓔⓞ", "𝚌𝚕𝚎𝚘", "ᶜˡᵉᵒ",
    "cleo@example.com", "CLEO@EXAMPLE.COM", "Cleo@Example.com ", "c.ray", "C.RAY", " C.Ray",
    "ｃ．ｒａｙ", "cleo＠example．com",
]  # fmt: skip
#: Names that look like an approver, hide something, or are no person.
NOBODY = [
    "", " ", "сleo", "clеo", "cleо", "сlео", "cleο", "clєo", "ϲleo", "с1eo", "cIeo\u0301", "cleo\u200b", "\u200bcleo",
    "cl\u200deo", "cleo\u2060", "\ufeffcleo", "\u202ecleo", "cle\u00ado", "cleo\u0000", "cleo\u0300",
    unicodedata.normalize("NFD", "cléo"), unicodedata.normalize("NFC", "cle\u0301o"), "cleö", "ϲⅼео", "cle0", "c1eo",
    "cleo,dan", "cleo;dan", "cleo dan", "cleo/../dan", "cleo|dan", "approver", "approvers", "incident_commander",
    "anyone", "admin", "root", "deploy-bot", "ops-team", "@here", "*", "%", "null", "None", "cleo@evil.com",
    "cleo@example.com.evil.com", "dan'--", "${USER}", "eva", "EVA", "ｅｖａ",
]  # fmt: skip


def test_p17_there_are_enough_tricks():
    """P17: the battery holds at least 60 tricks, each of them once."""
    assert len({*SPELLED_LIKE_CLEO, *NOBODY}) == len(SPELLED_LIKE_CLEO) + len(NOBODY) >= 60


@pytest.mark.parametrize("spelled", SPELLED_LIKE_CLEO)
def test_p17_nobody_approves_their_own_decision(spelled):
    """P17: cleo decided; she cannot approve by any spelling, nor count twice, nor execute what she approved."""
    assert not counted(yes(1, "cleo"), rule=ONE, requester=spelled, executor="ben").met
    assert not counted(yes(1, "cleo"), rule=ONE, requester="ben", executor=spelled).met
    assert not counted(forged(1, spelled), rule=ONE, requester="cleo", executor="ben").met
    assert counted(yes(1, "cleo"), forged(2, spelled), requester="ben").by == ("cleo",)


@pytest.mark.parametrize("spelled", NOBODY)
def test_p17_who_only_looks_like_an_approver_is_nobody(spelled):
    """P17: look-alikes, hidden characters, groups, services, lists and who was revoked are accepted nowhere."""
    assert counted(forged(1, spelled), rule=ONE).given == ()
    assert counted((1, GIVEN, body(GIVEN, "cleo", 1), spelled), rule=ONE).given == ()
    assert not counted(yes(1, "dan"), forged(2, spelled)).met
    held = directory().resolve(spelled)
    assert held is None or held.roles == ()


def forged(minutes, spelled):
    """Return the spec of an approval that somebody wrote under a spelling of their own."""
    return (minutes, GIVEN, body(GIVEN, spelled, minutes), spelled)


@pytest.mark.parametrize("spelled", ["CLEO", "cleo@example.com", "ｃｌｅｏ"])
def test_p17_a_second_declaration_of_one_person_is_refused(spelled):
    """P17: rbnb.toml cannot declare a second person by a spelling of the first."""
    with pytest.raises(ConfigError):
        directory(people={**TEAM["people"], "cleo2": {"aliases": [spelled]}})


@pytest.mark.parametrize("spelled", ["ADA", " ada ", "ａｄａ", "dan"])
def test_p17_on_the_command_as_well(scene, spelled):
    """P17: whoever decided is refused by `rbnb approve`, however they spell themselves."""
    scene.decide(by=spelled.strip() if spelled != "dan" else "dan")
    assert isinstance(as_person(scene, spelled, "approve", SWITCH), RefusedError)
    assert not kinds(scene, "approval.given")


def mutations(count, seed):
    """Return so many changed copies of an approval's entry: any character of any text, a key lost, added or swapped."""
    dice = random.Random(seed)
    changed = []
    while len(changed) < count:
        facts = copy.deepcopy(body(GIVEN, "cleo", 1, because="seen"))
        key = dice.choice([key for key, value in facts.items() if value])
        text, at = facts[key], dice.randrange(len(facts[key]))
        other = dice.choice([c for c in string.ascii_lowercase + string.digits + ' {}":' if c != text[at]])
        facts[key] = dice.choice([text[:at] + other + text[at + 1 :], text[:at] + text[at + 1 :], text + other])
        if dice.random() < 0.1:
            facts.pop(dice.choice(list(facts)))
        if dice.random() < 0.05:
            facts["more"] = "x"
        if dice.random() < 0.05:
            facts[key] = dice.choice([None, 7, True, ["cleo"], {}])
        if facts != body(GIVEN, "cleo", 1, because="seen"):
            changed.append(facts)
    return changed


def test_p18_any_change_of_an_entry_voids_it():
    """P18: 300 approvals with anything changed in them count for nothing."""
    assert counted((1, GIVEN, body(GIVEN, "cleo", 1, because="seen"), "cleo"), rule=ONE).met
    for facts in mutations(300, 7):
        assert not counted((1, GIVEN, facts, "cleo"), rule=ONE).met, facts


def leaves(node, path=()):
    """Return the path of every value of a tree."""
    if isinstance(node, dict) and node:
        return [leaf for key, value in node.items() for leaf in leaves(value, (*path, key))]
    if isinstance(node, list) and node:
        return [leaf for i, value in enumerate(node) for leaf in leaves(value, (*path, i))]
    return [path]


def changed_at(tree, path, dice):
    """Return a copy of a tree with one value changed by as little as possible."""
    tree = copy.deepcopy(tree)
    node = tree
    for key in path[:-1]:
        node = node[key]
    value = node[path[-1]]
    if isinstance(value, str):
        at = dice.randrange(len(value) + 1)
        node[path[-1]] = value[:at] + dice.choice("xyz ") + value[at:]
    else:
        node[path[-1]] = {True: False, False: True}.get(value, value + 1) if isinstance(value, (int, float)) else "x"
    return tree


def test_p18_any_change_of_a_plan_voids_its_approvals(scene):
    """P18: 200 plans, each with one value changed, have a digest of their own, for which nothing counts."""
    for person in ("ben", "cleo"):
        as_person(scene, person, "approve", SWITCH)
    plan = scene.workspace.plan_action(scene.name, SWITCH)
    assert canonical_digest(plan.content) == plan.digest
    dice, paths = random.Random(5), leaves(plan.content)
    assert len(paths) > 40
    given = {entry.body["plan"] for entry in kinds(scene, "approval.given")}
    for k in range(200):
        changed = changed_at(plan.content, paths[k % len(paths)], dice)
        assert canonical_digest(changed) not in given, paths[k % len(paths)]
    assert given == {plan.digest}


def test_p18_an_approval_from_another_incident(scene, tmp_path, monkeypatch):
    """P18: entries of one incident, put into the ledger of another, count for nothing there."""
    for person in ("ben", "cleo"):
        as_person(scene, person, "approve", SWITCH)
    taken = kinds(scene, "approval.given")
    other = stage(tmp_path / "other", monkeypatch)
    (other.root / "reports" / other.name).rename(other.root / "reports" / "INC-20261122-77")
    other.name = "INC-20261122-77"
    plan = other.workspace.proposed(other.name, SWITCH).matter.plan
    for entry in taken:
        other.incident.ledger.append(GIVEN, entry.body, by=entry.by)
        other.incident.ledger.append(GIVEN, {**entry.body, "plan": plan}, by=entry.by)
    assert other.workspace.proposed(other.name, SWITCH).standing.given == ()
    assert isinstance(as_person(other, "dan", "act", SWITCH), RefusedError)
    assert other.calls() == []


def test_p18_a_replayed_or_expired_approval(scene):
    """P18: an approval that was used, taken back or has expired does not count when it is put on the ledger again."""
    for person in ("ben", "cleo"):
        as_person(scene, person, "approve", SWITCH)
    taken = kinds(scene, "approval.given")
    assert as_person(scene, "dan", "act", SWITCH).held
    for person in ("ben", "cleo"):
        as_person(scene, person, "approve", SWITCH, undo=True)
    assert as_person(scene, "dan", "rollback", SWITCH).held
    for entry in taken:
        scene.incident.ledger.append(GIVEN, entry.body, by=entry.by)
    assert "0 given" in as_person(scene, "dan", "act", SWITCH).message
    assert scene.calls() == ["set main off", "set main on"]
    for person in ("ben", "cleo"):
        as_person(scene, person, "approve", SWITCH)
    scene.clock.now += timedelta(hours=2)
    assert "0 given" in as_person(scene, "dan", "act", SWITCH).message
    assert kinds(scene, "act.refused")


#: A process that approves or rejects a plan again and again, and tells what became of it.
RACER = """
import json, os, sys
from pathlib import Path
from rbnb.errors import RefusedError
from rbnb.incidents import join_incident
from rbnb.incidents.consenting import Matter, Said, approve, reject
from rbnb.config import open_places
from rbnb.times import utc_now
root, name, verb, start = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
incident = join_incident(root / "reports", name, utc_now, open_places(root))
print("ready", flush=True)
sys.stdin.readline()
for k in range(start):
    if verb == "reject" and k % 2 == 0:
        continue
    plan = f"sha256:{k:064x}"
    said = Said("throttle", lambda _, p=plan: Matter("throttle", p, "dan", "production", "SEV2", "medium"), "a reason")
    try:
        {"approve": approve, "reject": reject}[verb](incident, said)
    except RefusedError:
        pass
"""


def test_p18_of_many_at_once_there_is_one_outcome(scene):
    """P18: while many approve and reject the same plans, each plan has one outcome, by the order of the ledger."""
    racers = [[("ben", "approve"), ("cleo", "approve"), ("ada", "reject")][k % 3] for k in range(RACERS)]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(scene.root), scene.name, verb, str(PLANS)],
            env={**os.environ, "RBNB_USER": person},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for person, verb in racers
    ]
    for racer in started:
        racer.stdout.readline()
    for racer in started:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in started:
        racer.communicate(timeout=300)
        assert racer.returncode == 0
    assert scene.incident.check().problems == ()
    for k in range(PLANS):
        plan = f"sha256:{k:064x}"
        said = [entry for entry in scene.state.entries if entry.body.get("plan") == plan]
        told = [(entry.kind, entry.by) for entry in said]
        assert len(set(told)) == len(told), "nobody says the same twice"
        if k % 2:
            assert told[-1] == ("approval.rejected", "ada"), "nobody approves what stands rejected"
        else:
            assert sorted(told) == [("approval.given", "ben"), ("approval.given", "cleo")]
        matter = Matter("throttle", plan, "dan", "production", "SEV2", "medium")
        assert standing_of(scene.incident, scene.state, matter).met == (k % 2 == 0)


def test_p18_a_rejection_beats_an_approval_that_was_faster():
    """P18: whichever came first, who said no is heard: 200 orders of approvals and rejections come to not met."""
    dice = random.Random(3)
    for _ in range(200):
        specs = [yes(0, "cleo"), yes(0, "dan"), no(0, "ada")]
        dice.shuffle(specs)
        assert not counted(*specs).met


def test_p18_the_command_refuses_after_a_rejection(scene):
    """P18: `rbnb approve` after somebody else's rejection leaves with 7, and nothing is approved."""
    as_person(scene, "ada", "reject", SWITCH, "no")
    done = subprocess.run(
        [str(RBNB), "approve", scene.name, SWITCH, "--yes", "--json"],
        cwd=scene.root, env=scene.environ("ben"), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 7
    assert "ada rejected it" in json.loads(done.stdout)["error"]["message"]
