"""Ledgers with approvals, written by hand and exactly as rbnb writes them."""

from datetime import timedelta

from lifecycle_fixture import NAME, NOON, after

from rbnb.config import WorkspaceFile
from rbnb.incidents.approvals import GIVEN, REJECTED, WITHDRAWN, Rule, nobody_checks, standing, statement_of
from rbnb.ledger import Entry
from rbnb.people import Directory
from rbnb.times import format_time

PLAN = f"sha256:{'1' * 64}"
OTHER_PLAN = f"sha256:{'2' * 64}"
ACTION = "shift_traffic"
TWO = Rule(people=2, roles=("approver", "incident_commander"), verified=False, expires=timedelta(hours=2), name="two")
TEAM = {
    "people": {
        "ada": {"aliases": ["ada@example.com"]},
        "ben": {},
        "cleo": {"aliases": ["cleo@example.com", "C.Ray"]},
        "dan": {},
        "eva": {"revoked": True},
    },
    "roles": {
        "incident_commander": {"people": ["ada"]},
        "responder": {"people": ["ben"]},
        "approver": {"people": ["cleo", "dan", "eva"]},
    },
}


def directory(**changed):
    """Return the people of the team, with tables of rbnb.toml replaced."""
    return Directory(WorkspaceFile.model_validate({**TEAM, **changed}))


def body(kind, person, minutes, **changed):
    """Return the body of an approval, a rejection or a withdrawal as rbnb writes it."""
    facts = {"subject": ACTION, "plan": PLAN, "because": "", "incident": NAME, "lasts": 60, "signature": "", "key": ""}
    facts.update(changed)
    at = format_time(after(minutes))
    expires_at = format_time(after(minutes + facts["lasts"])) if kind == GIVEN else ""
    stated = statement_of(
        facts["incident"], kind, facts["subject"], facts["plan"], person, at, expires_at, facts["because"]
    )
    return {
        "subject": facts["subject"],
        "plan": facts["plan"],
        "identity": "verified" if facts["signature"] else "asserted",
        "key": facts["key"],
        "signature": facts["signature"],
        "statement": stated,
        "at": at,
        "expires_at": expires_at,
        "because": facts["because"],
    }


def yes(minutes, person, **changed):
    """Return the spec of an approval at so many minutes after noon."""
    return (minutes, GIVEN, body(GIVEN, person, minutes, **changed), person)


def no(minutes, person, **changed):
    """Return the spec of a rejection."""
    return (minutes, REJECTED, body(REJECTED, person, minutes, because="not at noon", **changed), person)


def back(minutes, person, **changed):
    """Return the spec of a withdrawal."""
    return (minutes, WITHDRAWN, body(WITHDRAWN, person, minutes, **changed), person)


def written(*specs):
    """Return the entries of an incident that was opened at noon."""
    opened = (0, "incident.opened", {"incident": NAME, "model": "svc"}, "ada")
    entries = []
    for seq, (minutes, kind, facts, by) in enumerate([opened, *specs], start=1):
        entries.append(Entry(seq, kind, after(minutes), by, facts, "0" * 64, f"{seq:064x}"))
    return entries


def counted(*specs, rule=TWO, requester="ben", executor="ben", minute=30, people=None, check=nobody_checks, plan=PLAN):
    """Return what approvals of the plan come to at a minute."""
    return standing(
        written(*specs),
        ACTION,
        plan,
        rule,
        requester=requester,
        executor=executor,
        now=NOON + timedelta(minutes=minute),
        directory=people or directory(),
        check_signature=check,
    )
