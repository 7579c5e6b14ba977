"""Ledgers written by hand, and a workspace with people, to test the course of an incident."""

from datetime import UTC, datetime, timedelta

from rbnb.config import shipped
from rbnb.governance import load_response
from rbnb.incidents.state import fold
from rbnb.ledger import Entry

NAME = "INC-20261122-01"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PEOPLE = """\
[workspace]

[people.ada]
name = "Ada"
aliases = ["ada@example.com"]
[people.ben]
name = "Ben"
[people.cleo]
name = "Cleo"
[people.dan]
name = "Dan"
[people.eva]
name = "Eva"
revoked = true

[roles]
incident_commander = { people = ["ada"] }
responder = { people = ["ben"] }
approver = { people = ["cleo"] }
stakeholder = { people = ["dan"] }

[escalation]
chain = ["ben", "cleo"]
[escalation.by_severity]
SEV1 = ["cleo", "dan"]
"""


def after(minutes):
    """Return a time so many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def ledger(*specs):
    """Return entries from (minutes after noon, kind, body) or (minutes, kind, body, by)."""
    entries = []
    for seq, (minutes, kind, body, *by) in enumerate(specs, start=1):
        entries.append(Entry(seq, kind, after(minutes), by[0] if by else "ada", body, "0" * 64, f"{seq:064x}"))
    return entries


def opened(severity="SEV1"):
    """Return the spec of an incident that was opened at noon."""
    return (0, "incident.opened", {"incident": NAME, "model": "svc", "template": "latency_spike", "severity": severity})


def state_of(*specs):
    """Return what a ledger written by hand comes to."""
    return fold(NAME, ledger(*specs))


def level(name="SEV1"):
    """Return what the policy that comes with rbnb demands at a severity."""
    return load_response(shipped("policies") / "response.yaml").levels[name]
