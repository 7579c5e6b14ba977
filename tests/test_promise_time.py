"""P27: whatever the clock does, order is by number, nothing expired comes back, and a step back is on record.

50 sequences of a clock that goes back by a second, an hour and a year, forward by a year, stops, and jumps at random.
"""

import dataclasses
import itertools
import random
from datetime import timedelta

import pytest
from acting_fixture import make_scene
from approvals_fixture import ACTION, PLAN, TWO, body, directory, yes
from consent_fixture import ACTION as SWITCH
from consent_fixture import as_person, kinds, stage
from lifecycle_fixture import NAME, NOON, level

from rbnb.errors import RefusedError
from rbnb.incidents import Incident
from rbnb.incidents.approvals import GIVEN, standing, statement_of
from rbnb.incidents.timers import due_items
from rbnb.times import format_time
from rbnb.workspace import Workspace

ONE = dataclasses.replace(TWO, people=1)
SECOND, HOUR, YEAR = timedelta(seconds=1), timedelta(hours=1), timedelta(days=365)
STEPS = {"back 1 s": -SECOND, "back 1 h": -HOUR, "back 1 y": -YEAR, "forward 1 y": YEAR, "stopped": timedelta(0)}


class Clock:
    """A clock that a test sets."""

    def __init__(self):
        self.now = NOON

    def __call__(self):
        """Return the time it shows."""
        return self.now


def sequences():
    """Return 50 sequences of what a clock does: each step alone and in pairs, and mixtures of six from a seed."""
    alone = [[step] for step in STEPS]
    pairs = [[one, other] for one in STEPS for other in STEPS]
    dice = random.Random(27)
    mixed = [dice.choices([*STEPS, "forward 1 h"], k=6) for _ in range(50 - len(alone) - len(pairs))]
    return alone + pairs + mixed


def given_at(clock, entries):
    """Return the body of an approval as rbnb writes it at a moment, good for two hours."""
    now = max([clock.now, *(entry.at for entry in entries)])
    facts = body(GIVEN, "cleo", 0)
    at, until = format_time(now), format_time(now + 2 * HOUR)
    stated = statement_of(NAME, GIVEN, ACTION, PLAN, "cleo", at, until)
    return {**facts, "at": at, "expires_at": until, "statement": stated}


def stands(incident, clock):
    """Tell whether the approval on a ledger counts now."""
    found = standing(
        incident.ledger.entries(), ACTION, PLAN, ONE, requester="ben", executor="ben", now=clock.now,
        directory=directory(),
    )  # fmt: skip
    return found.met


@pytest.mark.parametrize("steps", sequences(), ids=" · ".join)
def test_p27_an_expired_approval_never_revives(tmp_path, steps):
    """P27: once the ledger has seen an approval expire, no movement of the clock brings it back."""
    clock = Clock()
    incident = Incident(tmp_path / NAME, clock)
    ledger = incident.ledger
    ledger.append("incident.opened", {"incident": NAME}, by="ada")
    ledger.append(GIVEN, given_at(clock, ledger.entries()), by="cleo")
    assert stands(incident, clock)
    expired = False
    for step in [*steps, "forward 1 h", "forward 1 h", *reversed(steps)]:
        clock.now += STEPS.get(step, HOUR)
        assert not (expired and stands(incident, clock)), step
        ledger.append("test.looked", {}, by="ada")
        if expired := expired or not stands(incident, clock):
            assert not stands(incident, clock)
    assert expired, "two hours have passed"
    entries = ledger.entries()
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    for before, after in itertools.pairwise(entries):
        assert after.clock_stepped_back == max(0, int((before.at - after.at).total_seconds()))
    assert incident.check().problems == ()


def test_p27_there_are_fifty_sequences():
    """P27: the battery is as large as promised."""
    assert len(sequences()) == 50


def test_p27_a_clock_that_was_ahead_for_a_while(tmp_path):
    """P27: after a year ahead by mistake approvals can be given, and they last as long as always, no longer."""
    clock = Clock()
    incident = Incident(tmp_path / NAME, clock)
    incident.ledger.append("incident.opened", {"incident": NAME}, by="ada")
    clock.now += YEAR
    incident.ledger.append("test.looked", {}, by="ada")
    clock.now -= YEAR
    incident.ledger.append(GIVEN, given_at(clock, incident.ledger.entries()), by="cleo")
    assert stands(incident, clock)
    clock.now += 2 * HOUR - SECOND
    assert stands(incident, clock)
    clock.now += SECOND
    assert not stands(incident, clock)


def test_p27_the_moment_it_names_is_the_end(tmp_path):
    """P27: an approval that took nine minutes to sign ends at the time it names, and a clock set back does not help."""
    clock = Clock()
    incident = Incident(tmp_path / NAME, clock)
    incident.ledger.append("incident.opened", {"incident": NAME}, by="ada")
    approval = given_at(clock, incident.ledger.entries())
    clock.now += timedelta(minutes=9)
    incident.ledger.append(GIVEN, approval, by="cleo")
    clock.now = NOON + 2 * HOUR - SECOND
    assert stands(incident, clock)
    clock.now += SECOND
    assert not stands(incident, clock)
    incident.ledger.append("test.looked", {}, by="ada")
    clock.now -= HOUR
    assert not stands(incident, clock)


def test_p27_an_approval_cannot_be_dated_ahead(tmp_path):
    """P27: whoever sets the clock back and dates an approval ahead gets nothing for it."""
    clock = Clock()
    incident = Incident(tmp_path / NAME, clock)
    incident.ledger.append("incident.opened", {"incident": NAME}, by="ada")
    for minutes in (-60, -11, 1, 60, 600_000):
        incident.ledger.append(GIVEN, yes(minutes, "cleo", lasts=60)[2], by="cleo")
        assert not stands(incident, clock)


@pytest.mark.parametrize("back", [SECOND, HOUR, YEAR])
def test_p27_for_real(tmp_path, monkeypatch, back):
    """P27: an approval that a refused act has seen expire stays expired when the clock goes back, and nothing runs."""
    scene = stage(tmp_path, monkeypatch)
    for person in ("ben", "cleo"):
        as_person(scene, person, "approve", SWITCH)
    scene.clock.now = kinds(scene, "approval.given")[0].at + 2 * HOUR
    assert "expired at" in as_person(scene, "dan", "act", SWITCH).hint
    scene.clock.now -= back
    assert isinstance(as_person(scene, "dan", "act", SWITCH), RefusedError)
    assert scene.calls() == []
    assert kinds(scene, "act.refused")[-1].clock_stepped_back == back.total_seconds()
    for person in ("ben", "cleo"):
        assert as_person(scene, person, "approve", SWITCH).new
    assert as_person(scene, "dan", "act", SWITCH).held


def test_p27_durations_are_never_negative(tmp_path, monkeypatch):
    """P27: what is overdue stays overdue when the clock goes back, and no time left or passed is less than nothing."""
    scene = stage(tmp_path, monkeypatch)
    scene.clock.now += YEAR
    scene.incident.ledger.append("test.looked", {}, by="ada")
    scene.clock.now -= YEAR
    now = scene.state.now(scene.clock)
    assert now == scene.state.highest_time
    items = due_items(scene.state, level("SEV2"), now)
    assert all(item.status == "overdue" and now > item.due for item in items if item.is_open)


def test_p27_an_action_takes_as_long_as_it_takes(tmp_path, monkeypatch):
    """While the clock goes back an hour at every look, durations are those that passed, and each step back is told."""
    scene = make_scene(tmp_path, monkeypatch)
    scene.write_program(extra="    time.sleep(0.2)")
    shown = itertools.count()
    began = scene.state.highest_time
    backwards = Workspace.open(scene.root, lambda: began - next(shown) * HOUR)
    assert backwards.act(scene.name, "switch_off").held
    finished, verified = scene.last("action.finished"), scene.last("action.verified")
    assert 0.2 <= finished.body["seconds"] < 30
    assert 0 <= verified.body["seconds"] < 30
    assert finished.clock_stepped_back > 0
