"""A made-up SEV1 of fraud-v3 from page to close, to test the incident's page and to look at it.

``python tests/incident_page_fixture.py FOLDER`` writes it as it stood after each of some steps, to look at.
"""

import sys
from pathlib import Path

from lifecycle_fixture import after, ledger, level

from rbnb.incidents.state import fold
from rbnb.incidents.timers import due_items
from rbnb.report.incident import render_incident

NAME = "INC-20261122-01"
PLAN = "sha256:" + "5e" * 32
ARGV = ["kubectl", "-n", "fraud", "patch", "virtualservice", "fraud-v3", "--type", "json", "-p",
        '[{"op": "replace", "path": "/spec/http/0/route/1/weight", "value": 0}]']  # fmt: skip
STEPS = {
    "execute": {"text": "the weight is 0", "argv": ARGV},
    "verify": {"text": "zone b gets nothing", "display": "kubectl -n fraud get virtualservice fraud-v3 -o json"},
    "rollback": None,
}
RUN = {"run": "01-latency_spike", "model": "fraud-v3", "template": {"name": "latency_spike"}}
ACT = {"attempt": 1, "action": "shift_traffic", "way": "execute", "plan": PLAN}
RECORD = {
    "verdict": "genuine",
    "plain": {
        "what": "Card payments in zone b wait up to 1.1 s for a fraud decision; 4 in 10 are declined by timeout.",
        "since": "Sunday 22 November, 11:41 UTC. It is still going on.",
        "how_bad": "About 12 400 payments an hour are touched. No personal data left the system.",
        "next": "An engineer decides on moving traffic.",
        "colour": "red",
    },
    "proposal": {
        "action": "shift_traffic",
        "where": "zone=b",
        "because": "zone b alone explains 94 % of the excess, and zones a and c have room",
    },
}
CONTEXT = {
    "model": {"title": "Scores card payments for fraud before they are authorised.", "version": "3.4.1",
              "owner": "payments-ml", "on_call": "payments-ml-primary"},
    "links": {"dashboard": "https://grafana.example/d/fraud-v3"},
}  # fmt: skip
CRITERIA = [
    {"name": "latency_p99", "where": "", "source": "check", "unit": "ms", "before": 1140.2, "limit": "≤ 250",
     "value": 231.4, "interval": [226.0, 238.1], "n": 48211, "met": True},
    {"name": "decline_share", "where": "region=north", "source": "quality", "unit": "share", "limit": "≤ 0.06",
     "value": 0.0412, "interval": [0.038, 0.0444], "n": 9120, "met": True},
]  # fmt: skip

STORY = [
    (0, "incident.opened", {"incident": NAME, "model": "fraud-v3", "template": "latency_spike",
                            "environment": "production"}, "ada"),
    (0.1, "run.started", RUN, "ada"),
    (1, "run.finished", {**RUN, "status": "completed", "verdict": "genuine", "severity": "SEV1",
                         "onset": "2026-11-22T11:41:00Z"}, "ada"),
    (3, "incident.acknowledged", {}, "ada"),
    (4, "incident.assigned", {"role": "incident_commander", "person": "ada"}, "ada"),
    (4, "incident.assigned", {"role": "scribe", "person": "dan"}, "ada"),
    (6, "observation.recorded", {"text": "checkout hangs for customers in the north", "by": "shop support",
                                 "seen_at": "2026-11-22T11:50:00Z", "about": "zone=b"}, "dan"),
    (8, "decision.made", {"choice": "shift_traffic", "kind": "action", "because": "zones a and c have room",
                          "proposed": "shift_traffic", "follows_proposal": True, "run": "01-latency_spike",
                          "record": "sha256:" + "ab" * 32, "findings": "sha256:" + "cd" * 32,
                          "rejected": [{"option": "rollback_serving_version", "because": "no new version"}]},
     "ada"),
    (9, "update.written", {"audience": "stakeholders", "colour": "red", "path": "updates/01.txt"}, "dan"),
    (9.1, "update.sent", {"audience": "stakeholders", "through": "slack", "status": 200, "tries": 1}, "dan"),
    (11, "approve.refused", {"operation": "approve", "subject": "shift_traffic", "plan": PLAN,
                             "why": "who asks for it cannot approve it"},
     "ada"),
    (12, "approval.given", {"subject": "shift_traffic", "plan": PLAN, "identity": "verified",
                            "key": "SHA256:Zx0hE1n3", "expires_at": "2026-11-22T13:12:00Z", "because": "read the plan"},
     "ben"),
    (13, "approval.given", {"subject": "shift_traffic", "plan": PLAN, "identity": "asserted", "key": "",
                            "expires_at": "2026-11-22T13:13:00Z", "because": "capacity checked"}, "cleo"),
    (14, "evidence.taken", {"files": [{"path": "snapshots/01/requests.parquet", "bytes": 182044, "sha256": "ef" * 32}],
                            "because": "before the first containment"}, "ada"),
    (15, "action.started", {**ACT, "host": "ops-1", "steps": STEPS,
                            "snapshot": {"values": {"weight_a": 34, "weight_b": 33, "weight_c": 33}}}, "ada"),
    (15.2, "action.finished", {**ACT, "outcome": "done", "exit": 0, "seconds": 1.84,
                               "output": {"path": "actions/01/output.txt"}}, "ada"),
    (16, "action.verified", {**ACT, "held": True, "seen": 0, "expected": "0", "tries": 2, "seconds": 6}, "ada"),
    (40, "update.written", {"audience": "stakeholders", "colour": "amber", "path": "updates/02.txt",
                            "to_send": True}, "dan"),
    (40.1, "update.failed", {"audience": "stakeholders", "through": "slack", "why": "no answer after 3 tries"}, "dan"),
    (62, "risk.assessed", {"harm": "payments are declined that are no fraud", "affected": "12,400 payments an hour",
                           "likelihood": "certain while it lasted", "residual": "low"}, "eva"),
    (63, "compliance.answered", {"item": "gdpr.33", "applies": "no", "because": "no personal data was lost"}, "eva"),
    (70, "acceptance.measured", {"met": True, "criteria": CRITERIA, "run": "02-latency_spike"}, "ada"),
    (72, "watch.started", {"every": "5m", "for": "2h", "items": ["latency_p99"]}, "ada"),
    (77, "watch.sampled", {"values": {"latency_p99": {"value": 229.8, "status": "ok"}}}, "ada"),
    (130, "incident.closed", {"resolution": "genuine_fixed", "because": "the host of zone b was replaced",
                              "accepted": True, "exception_by": None}, "ada"),
]  # fmt: skip


def page(upto=None, *, minutes=None, story=STORY, record=RECORD, sev="SEV1", law=True, **context):
    """Return the page as it stood after so many entries, seen at a minute after noon."""
    entries = ledger(*story[:upto])
    state = fold(NAME, entries)
    now = after(minutes) if minutes is not None else state.highest_time
    clocks = [("tell the authority, if it applies", after(72 * 60), "GDPR 33")] if law else []
    timers = due_items(state, level(sev), now, chain=("ben", "cleo"), extra=clocks)
    return render_incident(state, record, timers=timers, context={"now": now, **CONTEXT, **context})


def main(folder):
    """Write the page of some moments into a folder."""
    for name, upto, minutes in (("open", 8, 16), ("contained", 20, 75), ("watched", 24, 78), ("closed", None, 131)):
        (folder / f"{name}.html").write_text(page(upto, minutes=minutes), encoding="utf-8")
    (folder / "empty.html").write_text(page(1, minutes=7, record={}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
