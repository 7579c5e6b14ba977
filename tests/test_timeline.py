"""The timeline: every entry is told in a sentence that a person reads, in the order of the ledger."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycle_fixture import ledger

from rbnb.incidents.sentences import TELLERS
from rbnb.incidents.timeline import tell, tell_one

#: One entry of each kind, and what its sentence must say.
STORY = [
    ("incident.opened", {"model": "fraud-v3", "template": "latency_spike", "environment": "production"},
     "ada opened the incident for fraud-v3 (production) with the runbook latency_spike."),
    ("incident.acknowledged", {}, "ada acknowledged the incident: somebody is looking at it."),
    ("incident.assigned", {"role": "incident_commander", "person": "ben"}, "ada made ben incident commander."),
    ("severity.set", {"level": "SEV1", "was": "SEV2", "because": "payments fail"},
     "ada set the severity to SEV1, it was SEV2: payments fail."),
    ("status.set", {"status": "contained", "because": "traffic moved by hand"},
     "ada set the status to contained by hand: traffic moved by hand."),
    ("incident.closed", {"resolution": "genuine_fixed", "because": "done.", "accepted": True},
     "ada closed the incident as a genuine incident that was fixed: done. It had met its acceptance criteria."),
    ("incident.closed", {"resolution": "duplicate", "of": "INC-20261122-02", "because": "same", "exception_by": "cleo"},
     ("ada closed the incident as a duplicate of another incident (INC-20261122-02): same. "
     "It was closed without acceptance, which cleo approved.")),
    ("incident.reopened", {"because": "it is back"}, "ada opened the incident again: it is back."),
    ("run.started", {"run": "01-latency_spike", "model": "fraud-v3", "template": {"name": "latency_spike"}},
     "ada started the runbook latency_spike on fraud-v3 (run 01-latency_spike)."),
    ("run.finished", {"run": "01-latency_spike", "verdict": "genuine", "severity": "SEV2"},
     "Run 01-latency_spike found: genuine (something is really wrong); severity SEV2."),
    ("run.failed", {"run": "02-data_drift", "status": "kernel_died", "error": "out of memory"},
     "Run 02-data_drift did not complete (kernel died): out of memory."),
    ("observation.recorded", {"text": "checkout hangs", "by": "shop", "seen_at": "2026-11-22T11:58:00Z",
                              "about": "zone=b"},
     "shop reported: “checkout hangs” (seen 2026-11-22T11:58:00Z; about zone=b). ada put it on record."),
    ("analysis.recorded", {"file": "analyses/01.ipynb"}, "ada went on in a copy of the notebook (analyses/01.ipynb)."),
    ("decision.made", {"choice": "shift_traffic", "because": "zone b is slow", "proposed": "shift_traffic",
                       "follows_proposal": True, "rejected": [{"option": "none", "because": "it gets worse"}]},
     "ada decided on shift_traffic, as proposed: zone b is slow. Turned down: none (it gets worse)."),
    ("decision.made", {"choice": "none", "because": "wait", "proposed": "shift_traffic", "follows_proposal": False},
     "ada decided on none, where shift_traffic was proposed: wait."),
    ("approval.given", {"subject": "shift_traffic", "identity": "verified", "key": "SHA256:abc",
                        "expires_at": "2026-11-22T14:00:00Z", "because": "reviewed"},
     ("ada approved shift_traffic (identity verified by an SSH signature, key SHA256:abc; "
     "valid until 2026-11-22T14:00:00Z): reviewed.")),
    ("approval.given", {"subject": "close", "identity": "asserted"},
     "ada approved closing the incident without acceptance (identity asserted, not proved)."),
    ("approval.rejected", {"subject": "shift_traffic", "identity": "asserted", "because": "too risky"},
     "ada rejected shift_traffic (identity asserted, not proved): too risky."),
    ("approval.withdrawn", {"subject": "shift_traffic", "identity": "asserted", "because": "I misread it"},
     "ada took back what they had said about shift_traffic (identity asserted, not proved): I misread it."),
    ("evidence.taken", {"files": [{"path": "a", "bytes": 1000}, {"path": "b", "bytes": 24}], "because": "before"},
     "ada secured the evidence (2 files, 1,024 bytes): before."),
    ("action.tried", {"action": "shift_traffic", "outcome": "done"},
     "ada tried shift_traffic as a dry run, which changes nothing. It ended without an error."),
    ("action.started", {"action": "shift_traffic", "way": "execute", "attempt": 1, "host": "ops-1"},
     "ada started shift_traffic on ops-1 (attempt 1)."),
    ("action.started", {"action": "shift_traffic", "way": "rollback", "attempt": 2},
     "ada started the rollback of shift_traffic (attempt 2)."),
    ("action.finished", {"action": "shift_traffic", "outcome": "failed", "seconds": 4.26, "exit": 3},
     "The action shift_traffic failed after 4.26 s (code 3)."),
    ("action.finished", {"action": "shift_traffic", "outcome": "timed_out", "way": "rollback"},
     "The rollback of shift_traffic was stopped, because it took too long."),
    ("action.verified", {"action": "shift_traffic", "held": True, "expected": 0, "seen": 0, "tries": 3, "seconds": 12},
     "The action shift_traffic was seen to have taken effect: expected “0”, saw “0”, 3 tries in 12 s."),
    ("action.verified", {"action": "shift_traffic", "held": False, "expected": "0", "seen": "17"},
     "The action shift_traffic was not seen to take effect: expected “0”, saw “17”."),
    ("action.explained", {"attempt": 2, "what": "not_done", "because": "no trace of it"},
     "ada looked at attempt 2, which was cut off: it had not been done: no trace of it."),
    ("acceptance.measured", {"met": True, "criteria": [{"name": "latency_p99", "met": True}]},
     "ada measured anew: the acceptance criteria are met (1 of 1 criterion hold)."),
    ("acceptance.measured", {"met": False, "criteria": [
        {"name": "latency_p99", "where": "zone=b", "met": False, "value": 812.5, "limit": "≤ 250"},
        {"name": "error_share", "met": True}]},
     ("ada measured anew: the acceptance criteria are not met (1 of 2 criteria hold): "
     "latency p99 (zone=b) 812.5, limit ≤ 250.")),
    ("watch.started", {"every": "5m", "for": "2h", "items": []}, "ada began to watch the model every 5m for 2h."),
    ("watch.sampled", {"values": {"latency_p99": {"value": 231.04, "status": "ok", "n": 9}, "error_share": None}},
     "Watching: latency p99 231 (ok), error share not measured."),
    ("rollout.held", {"because": "the tail grows", "item": "latency_p99", "value": 300.0, "limit": 250},
     "The rollout was put on hold (latency p99 300, limit 250): the tail grows."),
    ("rollout.released", {"because": "it was a batch job"}, "ada released the rollout: it was a batch job."),
    ("update.written", {"audience": "stakeholders", "colour": "red"},
     "ada wrote an update for stakeholders, status red."),
    ("update.sent", {"audience": "stakeholders", "through": "slack"},
     "The update for stakeholders was sent through slack."),
    ("update.failed", {"audience": "stakeholders", "through": "slack", "why": "no answer"},
     "The update for stakeholders could not be sent through slack: no answer."),
    ("compliance.answered", {"item": "gdpr.33", "applies": "no", "because": "no personal data"},
     "ada answered for the rule gdpr.33: it does not apply: no personal data."),
    ("risk.assessed", {"harm": "payments are declined", "residual": "low"},
     "ada assessed the risk: payments are declined. What remains: low."),
    ("act.refused", {"operation": "act", "subject": "shift_traffic", "why": "2 approvals are missing"},
     "ada wanted to carry out shift_traffic, and was refused: 2 approvals are missing."),
    ("approve.refused", {"operation": "approve", "subject": "close", "why": "they close it"},
     "ada wanted to approve closing the incident without acceptance, and was refused: they close it."),
    ("note.refused", {"operation": "note", "why": "the incident is closed"},
     "ada wanted to put an observation on record, and was refused: the incident is closed."),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "body", "sentence"), STORY, ids=lambda x: x if isinstance(x, str) else "")
def test_each_kind_has_its_sentence(kind, body, sentence):
    """In plain words, with who, what and why."""
    moment = tell(ledger((0, kind, body)))[0]
    assert (moment.text, moment.known) == (sentence, True)


def test_every_kind_that_is_told_is_tested():
    """No sentence without its example."""
    assert set(TELLERS) <= {kind for kind, _, _ in STORY}


def test_the_order_is_that_of_the_ledger_and_nothing_is_left_out():
    """Also where the clock went back, which is said."""
    moments = tell(ledger((5, "incident.acknowledged", {}), (1, "incident.reopened", {}), (9, "odd.kind", {})))
    assert [moment.seq for moment in moments] == [1, 2, 3]
    assert [moment.kind for moment in moments] == ["incident.acknowledged", "incident.reopened", "odd.kind"]


def test_a_kind_of_a_later_version_is_told_generically():
    """With its facts, so that nothing in a ledger is silent."""
    moment = tell_one(ledger((0, "drill.scored", {"score": 0.93, "faults": ["a", "b"]}))[0])
    assert moment.text == "ada recorded “drill.scored” (score: 0.93; faults: a, b)."
    assert not moment.known


def test_hidden_characters_are_made_visible():
    """A reason cannot turn the line around or colour the screen."""
    text = tell_one(ledger((0, "status.set", {"status": "contained", "because": "a\u202eb \x1b[31mred"}))[0]).text
    assert "‹U+202E›" in text
    assert "\x1b" not in text


def test_a_long_text_is_cut_and_says_so():
    """Nothing floods the page."""
    text = tell_one(
        ledger(
            (0, "note.taken", {"text": "x" * 9000}),
        )[0]
    ).text
    assert len(text) < 300


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = sorted({key for _, body, _ in STORY for key in body} | {"way", "residual_risk", "error"})


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([*sorted(TELLERS), "a.refused", "a.unknown"]), st.dictionaries(st.sampled_from(KEYS), json_values)
)
def test_no_body_can_break_the_story(kind, body):
    """Whatever an entry holds, it is told in one line and in words."""
    text = tell_one(ledger((0, kind, body))[0]).text
    assert text
    assert text[-1] in ".…)!?" or "characters" in text
