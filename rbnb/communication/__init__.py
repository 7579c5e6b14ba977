"""Telling those concerned how it stands: filled from the record, on record, and sent.

An update is drafted for an audience (`draft_update`: which facts it may hear, in which words and colour), written to
the incident (`tell`: a file, an entry), and sent through the audience's channel; what did not arrive is sent again
(`resend`). Who is told what is data: `policies/communication.yaml` and `policies/updates/`.
"""

from __future__ import annotations

from rbnb.communication.due import UpdateDue, updates_due
from rbnb.communication.filling import Draft, draft_update
from rbnb.communication.outbox import Sent, Told, Written, pending, resend, shown, tell
from rbnb.communication.sending import Delivery, Patience
from rbnb.governance.audiences import load_communication

__all__ = [
    "Delivery",
    "Draft",
    "Patience",
    "Sent",
    "Told",
    "UpdateDue",
    "Written",
    "draft_update",
    "load_communication",
    "pending",
    "resend",
    "shown",
    "tell",
    "updates_due",
]
