"""What a ledger comes to: status, times, people and attempts, as a fold that stores nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from rbnb.incidents import fold
from rbnb.ledger import Entry

START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def ledger(*told):
    """Return entries a minute apart from (kind, body) pairs."""
    return [
        Entry(i, kind, START + timedelta(minutes=i), "ada", body, "", f"{i:064d}")
        for i, (kind, body) in enumerate([("incident.opened", {"model": "svc", "severity": "SEV2"}), *told], 1)
    ]


def state(*told):
    """Return what these entries come to."""
    return fold("INC-20261122-01", ledger(*told))


def attempt(number, action="throttle", way="execute", outcome="done", *, held=True):
    """Return the entries of an attempt that was started, finished and verified."""
    return [
        ("action.started", {"attempt": number, "action": action, "way": way, "phase": "containment"}),
        ("action.finished", {"attempt": number, "outcome": outcome}),
        *([("action.verified", {"attempt": number, "held": held})] if outcome == "done" and way != "rollback" else []),
    ]


MET, NOT_MET = ("acceptance.measured", {"met": True}), ("acceptance.measured", {"met": False})
WATCH = ("watch.started", {})
BACK = attempt(2, way="rollback")


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ([], "open"),
        (attempt(1), "contained"),
        (attempt(1, held=False), "open"),
        (attempt(1, outcome="failed"), "open"),
        (attempt(1)[:2], "open"),
        (attempt(1)[:1], "open"),
        ([*attempt(1), *BACK], "open"),
        ([*attempt(1), *attempt(2, "shift"), *attempt(3, way="rollback")], "contained"),
        ([*attempt(1), MET], "remediated"),
        ([*attempt(1), NOT_MET], "contained"),
        ([*attempt(1), MET, NOT_MET], "contained"),
        ([MET], "open"),
        ([*attempt(1), *BACK, ("action.verified", {"attempt": 1, "held": True})], "open"),
        ([attempt(1)[0], MET, *attempt(1)[1:]], "contained"),
        ([*attempt(1), MET, WATCH], "monitoring"),
        ([*attempt(1), WATCH, MET], "monitoring"),
        ([*attempt(1), MET, WATCH, *BACK], "open"),
        ([*attempt(1), MET, *attempt(2, "shift")], "contained"),
        ([("status.set", {"status": "contained"})], "contained"),
        ([("status.set", {"status": "remediated"})], "remediated"),
        ([("status.set", {"status": "contained"}), ("status.set", {"status": "open"})], "open"),
        ([("incident.closed", {"resolution": "false_alarm"})], "closed"),
        ([*attempt(1), MET, ("incident.closed", {}), ("incident.reopened", {})], "contained"),
        ([("status.set", {"status": "contained"}), ("incident.closed", {}), ("incident.reopened", {})], "open"),
        ([*attempt(1)[:1], ("action.explained", {"attempt": 1, "what": "not_done"})], "open"),
        ([*attempt(1)[:1], ("action.explained", {"attempt": 1, "what": "done"})], "open"),
        (
            [*attempt(1)[:1], ("action.explained", {"attempt": 1, "what": "done"}), attempt(1)[2]],
            "contained",
        ),
    ],
)
def test_the_status_is_what_the_entries_come_to(told, status):
    """An incident is where its entries have brought it, and falls back when what held it no longer stands."""
    assert state(*told).status == status


def test_times_are_those_of_the_entries():
    """Each time is that of the entry by which the incident got there."""
    told = state(
        ("run.started", {"run": "01-latency_spike"}),
        ("run.finished", {"run": "01-latency_spike", "status": "completed", "onset": "2026-11-22T02:40:00Z"}),
        ("incident.acknowledged", {}),
        *attempt(1),
        MET,
        WATCH,
        ("incident.closed", {"resolution": "genuine_fixed"}),
    )
    minutes = {
        name: (getattr(told.times, name) - START).total_seconds() / 60
        for name in ("occurred", "detected", "acknowledged", "contained", "remediated", "monitoring", "closed")
    }
    assert list(minutes.values()) == [-20, 1, 4, 7, 8, 9, 10]
    assert told.resolution == "genuine_fixed"
    assert told.acknowledged_by == "ada"


def test_times_that_no_longer_hold_are_gone():
    """After a rollback the incident is not contained, and has no time at which it was."""
    told = state(*attempt(1), MET, *BACK)
    assert told.times.contained is None
    assert told.times.remediated is None
    assert told.attempts[0].status == "rolled_back"


def test_closing_proves_nothing_that_comes_before_it():
    """What was closed without being contained has no time at which it was contained."""
    told = state(("incident.closed", {"resolution": "false_alarm"}))
    assert told.times.contained is None
    assert told.times.closed is not None
    assert state(*attempt(1), ("incident.closed", {})).times.contained == START + timedelta(minutes=4)


def test_a_person_outranks_the_run():
    """A severity that a person set stands, also when a later run grades otherwise; the reason says who."""
    told = state(
        ("severity.set", {"level": "SEV1", "because": "payments are down"}),
        ("run.started", {"run": "01-x"}),
        ("run.finished", {"run": "01-x", "status": "completed", "severity": "SEV4"}),
    )
    assert told.severity == "SEV1"


def test_no_run_lowers_the_severity():
    """Without a person's word the severity is the worst that any run graded, so that a quiet hour lowers nothing."""
    runs = [("01-x", "SEV3"), ("02-y", "SEV1"), ("03-z", "SEV4")]
    told = [("run.started", {"run": run}) for run, _ in runs]
    ended = [("run.finished", {"run": run, "status": "completed", "severity": level}) for run, level in runs]
    assert state(*told, *ended).severity == "SEV1"
    assert state(*told, *ended).severity_because == "graded by 02-y"
    by_hand = ("severity.set", {"level": "SEV4", "because": "a test system"})
    assert state(*told, *ended[:2], by_hand, ended[2]).severity == "SEV4"


def test_people_are_those_assigned_last():
    """The last one assigned to a role comes last, and nobody is listed twice."""
    told = state(*[("incident.assigned", {"role": "scribe", "person": who}) for who in ("ben", "cleo", "ben")])
    assert told.people == {"scribe": ("cleo", "ben")}
    assert told.roles_of("ben") == ("scribe",)


def test_a_clock_that_went_back_makes_nothing_younger():
    """The time now is never before the latest time on record."""
    told = state(("incident.acknowledged", {}))
    assert told.now(lambda: START - timedelta(days=365)) == START + timedelta(minutes=2)
    assert told.now(lambda: START + timedelta(days=1)) == START + timedelta(days=1)


def test_a_held_rollout_is_released_by_its_entry():
    """A hold has its reason until somebody releases it."""
    assert state(("rollout.held", {"because": "p99 is back"})).held == "p99 is back"
    assert state(("rollout.held", {"because": "p99 is back"}), ("rollout.released", {})).held == ""


def test_entries_of_attempts_nobody_started_change_nothing():
    """An end or a verification without a start is no attempt."""
    assert state(("action.verified", {"attempt": 7, "held": True})).status == "open"
