"""Timers: what is due in an incident follows from its ledger, its severity and the time, and from nothing else."""

from datetime import timedelta

import pytest
from lifecycle_fixture import NOON, after, level, opened, state_of

from rbnb.incidents.timers import due_items, is_quiet, open_items, remaining

CHAIN = ("ben", "cleo")


def items(*specs, minutes=0, sev="SEV1", **more):
    """Return what is due by its name."""
    found = due_items(state_of(*specs), level(sev), after(minutes), **{"chain": CHAIN, **more})
    return {item.what: item for item in found}


def minutes_to(item):
    """Return when something is due, in minutes after noon."""
    return (item.due - NOON).total_seconds() / 60


ACK = (4, "incident.acknowledged", {})
TOLD = (10, "update.written", {"audience": "stakeholders"})
HELD = [
    (12, "action.started", {"attempt": 1, "action": "shift_traffic", "way": "execute"}),
    (13, "action.finished", {"attempt": 1, "action": "shift_traffic", "way": "execute", "outcome": "done"}),
    (14, "action.verified", {"attempt": 1, "action": "shift_traffic", "held": True}),
]
CLOSED = (60, "incident.closed", {"resolution": "genuine_fixed", "because": "fixed", "accepted": True})


def test_each_trigger_counts_from_detection():
    """A SEV1 that was just detected asks for the five things of its level, at their times."""
    found = items(opened())
    assert {what: minutes_to(item) for what, item in found.items()} == {
        "acknowledge": 5, "first update": 15, "escalate to ben": 15, "contain": 30, "escalate to cleo": 30,
    }  # fmt: skip
    assert {item.status for item in found.values()} == {"due"}
    assert all(item.source.startswith("SEV1: ") for item in found.values())
    assert found["acknowledge"].command == "rbnb ack INC-20261122-01"


def test_detection_may_lie_before_the_opening():
    """What monitoring saw at 11:50 counts from 11:50."""
    spec = (0, "incident.opened", {"severity": "SEV1", "detected_at": "2026-11-22T11:50:00Z"})
    assert minutes_to(items(spec)["acknowledge"]) == -5


@pytest.mark.parametrize(("sev", "minutes"), [("SEV1", 5), ("SEV2", 15), ("SEV3", 60), ("SEV4", 1440)])
def test_each_severity_has_its_times(sev, minutes):
    """The policy's level decides."""
    assert minutes_to(items(opened(sev), sev=sev)["acknowledge"]) == minutes


def test_a_trigger_is_done_by_its_entry_and_says_if_that_was_late():
    """Acknowledged after 4 of 5 minutes is done, after 6 is late, not at all is overdue."""
    assert items(opened(), ACK, minutes=60)["acknowledge"].status == "done"
    late = items(opened(), (6, "incident.acknowledged", {}), minutes=60)["acknowledge"]
    assert (late.status, late.done) == ("late", after(6))
    assert items(opened(), minutes=60)["acknowledge"].status == "overdue"


def test_what_is_due_this_second_is_not_overdue():
    """A minute is over when it is over."""
    assert items(opened(), minutes=5)["acknowledge"].status == "due"
    assert items(opened(), minutes=5.02)["acknowledge"].status == "overdue"


def test_an_update_for_stakeholders_counts_and_one_for_responders_does_not():
    """Nor does one for the regulators: they have clocks of their own."""
    for audience in ("responders", "regulators"):
        assert items(opened(), (3, "update.written", {"audience": audience}))["first update"].is_open
    assert items(opened(), TOLD, minutes=10)["first update"].status == "done"


def test_an_update_that_was_to_be_sent_counts_when_it_was():
    """While it is on its way, or could not be sent, nobody is informed."""
    written = (10, "update.written", {"audience": "stakeholders", "to_send": True})
    failed = (11, "update.failed", {"audience": "stakeholders", "why": "refused"})
    assert items(opened(), written, failed, minutes=12)["first update"].status == "due"
    sent = (13, "update.sent", {"audience": "stakeholders"})
    assert items(opened(), written, failed, sent, minutes=14)["first update"].done == after(13)


def test_updates_follow_each_other_until_one_was_sent_after_the_remedy():
    """Every 30 minutes in a SEV1; the first after remediation is the last that is asked for."""
    assert minutes_to(items(opened(), TOLD)["next update"]) == 40
    fixed = (20, "status.set", {"status": "remediated", "because": "fixed"})
    assert minutes_to(items(opened(), TOLD, *HELD, fixed)["next update"]) == 40
    assert "next update" not in items(opened(), TOLD, *HELD, fixed, (25, "update.sent", {"audience": "stakeholders"}))


def test_containment_is_measured_at_the_status():
    """A containment that stands is done; rolled back, it is due again at its old time."""
    assert items(opened(), *HELD, minutes=20)["contain"].done == after(14)
    undo = {"attempt": 2, "action": "shift_traffic", "way": "rollback"}
    back = [(16, "action.started", undo), (17, "action.finished", {**undo, "outcome": "done"})]
    assert items(opened(), *HELD, *back, minutes=31)["contain"].status == "overdue"


def test_escalation_names_the_next_person_and_ends_when_somebody_up_the_chain_is_there():
    """Whoever was assigned, or did something, has been reached; reaching the second reaches the first."""
    found = items(opened(), (3, "incident.assigned", {"role": "responder", "person": "ben"}), minutes=20)
    assert (found["escalate to ben"].status, found["escalate to cleo"].status) == ("done", "due")
    found = items(opened(), (3, "observation.recorded", {"text": "I look"}, "cleo"), minutes=20)
    assert (found["escalate to ben"].status, found["escalate to cleo"].status) == ("done", "done")
    assert found["escalate to cleo"].whom == "cleo"
    refused = (3, "close.refused", {"operation": "close"}, "cleo")
    assert items(opened(), refused, minutes=31)["escalate to cleo"].status == "overdue"


def test_containment_ends_the_escalation():
    """What is contained need not go up."""
    assert items(opened(), *HELD, minutes=40)["escalate to cleo"].status == "done"


def test_without_a_chain_the_escalation_says_that_nobody_is_named():
    """It is not left out: it is overdue all the same."""
    named = [item for what, item in items(opened(), minutes=16, chain=()).items() if what.startswith("escalate")]
    assert [(item.status, "rbnb.toml" in item.what) for item in named] == [("overdue", True)]


def test_a_changed_severity_moves_every_time():
    """From SEV1 to SEV3 after ten minutes: what was overdue is due in an hour, from the same beginning."""
    changed = (10, "severity.set", {"level": "SEV3", "because": "one host only"})
    assert items(opened(), minutes=10)["acknowledge"].status == "overdue"
    moved = items(opened(), changed, minutes=10, sev="SEV3")["acknowledge"]
    assert (moved.status, minutes_to(moved)) == ("due", 60)
    assert moved.source == "SEV3: acknowledge"


def test_closing_ends_all_but_the_review_and_the_law():
    """A review is due so long after closing; a deadline of the law is due whether closed or not."""
    law = [("notify the authority", after(72 * 60), "GDPR 33")]
    found = items(opened(), CLOSED, minutes=120, extra=law)
    assert {what for what, item in found.items() if item.is_open} == {"review meeting", "notify the authority"}
    assert minutes_to(found["review meeting"]) == 60 + 2 * 24 * 60
    assert found["contain"].status == "dropped"
    law = found["notify the authority"]
    assert (law.source, law.command) == ("GDPR 33", "rbnb compliance INC-20261122-01")


def test_what_was_done_before_closing_stays_done():
    """Closing drops only what was not done."""
    found = items(opened(), ACK, *HELD, CLOSED, minutes=120)
    assert (found["acknowledge"].status, found["contain"].done) == ("done", after(14))


@pytest.mark.parametrize("resolution", ["false_alarm", "duplicate"])
def test_a_false_alarm_needs_no_review(resolution):
    """Nor does a duplicate."""
    closed = (60, "incident.closed", {"resolution": resolution})
    assert "review meeting" not in items(opened(), closed, minutes=120)


def test_a_review_is_done_by_what_it_leaves():
    """The risk assessed once it was closed (not before), a note about the review, or a postmortem."""
    assessed = ("risk.assessed", {"residual": "low", "because": "we met"})
    assert items(opened(), (50, *assessed), CLOSED, minutes=120)["review meeting"].status == "due"
    assert items(opened(), CLOSED, (90, *assessed), minutes=120)["review meeting"].done == after(90)
    noted = (90, "observation.recorded", {"text": "we met", "about": "Review"})
    assert items(opened(), CLOSED, noted, minutes=120)["review meeting"].status == "done"
    run = {"run": "03-postmortem", "status": "completed"}
    runs = [(90, "run.started", run), (91, "run.finished", run)]
    assert items(opened(), CLOSED, *runs, minutes=120)["review meeting"].done == after(91)


def test_an_incident_that_was_opened_again_begins_anew():
    """What was done before does not count for the second time."""
    found = items(opened(), ACK, TOLD, CLOSED, (100, "incident.reopened", {"because": "back"}), minutes=101)
    assert minutes_to(found["acknowledge"]) == 105
    assert found["acknowledge"].status == "due"
    assert minutes_to(found["first update"]) == 115


def test_a_run_that_found_the_model_healthy_demands_nothing_until_a_person_turns_to_it():
    """So a check every hour pages nobody; one that could not tell does."""
    run = {"run": "01-latency_spike"}

    def ended(verdict, *more):
        finished = (2, "run.finished", {**run, "status": "completed", "verdict": verdict, "severity": "SEV4"})
        return [opened(None), (1, "run.started", run), finished, *more]

    assert is_quiet(state_of(*ended("healthy")))
    assert items(*ended("healthy"), minutes=99999, sev="SEV4") == {}
    assert items(*ended("inconclusive"), sev="SEV4")
    assert items(*ended("healthy", (3, "observation.recorded", {"text": "it is slow"})), sev="SEV4")
    assert not is_quiet(state_of(opened(None), (1, "run.started", run)))


def test_no_severity_yet_is_said_and_counts_as_the_second():
    """The source names whose times hold."""
    assert "no severity yet" in items(opened(None), sev="SEV2")["acknowledge"].source


def test_the_time_left_is_told_as_a_length():
    """What is overdue says for how long."""
    found = items(opened(), minutes=7)
    assert remaining(found["acknowledge"]) == "overdue by 2 min"
    assert remaining(found["contain"]) == "in 23 min"


def test_soonest_first():
    """Whatever the incident."""
    found = open_items(due_items(state_of(opened()), level(), after(0), chain=CHAIN))
    assert [item.due for item in found] == sorted(item.due for item in found)
    assert found[0].due == NOON + timedelta(minutes=5)
