"""The story of an incident: each entry of its ledger as a sentence that a person reads.

Rules:

- **One entry, one sentence, in the order of the ledger**: nothing is left out and nothing is put in order by time.
- **A kind that is not known is told all the same**, generically: an old program reads a new ledger.
- **A missing fact is not made up.** An entry that lacks what its sentence needs is told with what it has.
- **What comes from data cannot steer** a screen or a page: hidden characters are made visible here. Escaping HTML is
  the page's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rbnb.incidents import sentences
from rbnb.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rbnb.ledger import Entry

__all__ = ["Moment", "tell", "tell_one"]


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry as it is told.

    Parameters
    ----------
    seq, at, by, kind
        As in the ledger.
    text
        What happened, in a sentence.
    tone
        ``good``, ``warn``, ``bad``, ``info`` or ``none``: how a page marks it.
    known
        Whether this version knows the kind.
    stepped_back
        By how many seconds the clock had gone back when it was written.
    """

    seq: int
    at: datetime
    by: str
    kind: str
    text: str
    tone: str
    known: bool = True
    stepped_back: int = 0


def tell(entries: Sequence[Entry]) -> list[Moment]:
    """Return the story, one moment an entry, in the order of the ledger."""
    return [tell_one(entry) for entry in entries]


def tell_one(entry: Entry) -> Moment:
    """Return one entry as a sentence."""
    known = entry.kind in sentences.TELLERS
    teller = sentences.TELLERS.get(entry.kind)
    if teller is None:
        teller = sentences.refused if entry.kind.endswith(".refused") else sentences.unknown(entry.kind)
    text = visible(teller(entry.body, visible(entry.by, 80)), 3000)
    tone = _tone_of(entry.kind, entry.body)
    known = known or entry.kind.endswith(".refused")
    return Moment(entry.seq, entry.at, visible(entry.by, 80), entry.kind, text, tone, known, entry.clock_stepped_back)


_TONES = {
    "run.failed": "bad",
    "approval.given": "good",
    "approval.rejected": "bad",
    "approval.withdrawn": "warn",
    "rollout.held": "bad",
    "rollout.released": "good",
    "update.failed": "warn",
    "update.sent": "good",
    "incident.opened": "info",
    "incident.acknowledged": "good",
    "incident.closed": "good",
    "incident.reopened": "warn",
    "severity.set": "warn",
    "status.set": "warn",
    "action.started": "info",
    "action.explained": "warn",
    "decision.made": "info",
}

_TONE_OF_VERDICT = {"healthy": "good", "genuine": "bad", "infrastructure": "bad"}


def _tone_of(kind: str, body: Mapping[str, Any]) -> str:
    """Return how a page marks an entry."""
    if kind == "run.finished":
        return _TONE_OF_VERDICT.get(str(body.get("verdict")), "warn")
    if kind == "action.finished":
        return "info" if body.get("outcome") == "done" else "bad"
    if kind in ("action.verified", "acceptance.measured"):
        return "good" if body.get("held", body.get("met")) is True else "bad"
    if kind.endswith(".refused"):
        return "bad"
    return _TONES.get(kind, "none")
