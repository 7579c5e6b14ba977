"""Updates on record, and on their way: written first, then tried, and tried again until they arrive.

Rules:

- **Written before it is sent**: the text is a file of the incident, its digest is in the entry ``update.written``,
  and both are on the disk before the first try. That entry is the outbox: what it says is to be sent and no
  ``update.sent`` names is still to be sent, whoever was killed when.
- **Never lost, perhaps twice.** The digest of the entry is the key by which a receiver knows an update again.
- **Telling fails open.** If nothing can be recorded, the update is sent all the same, and it is said that the record
  lacks it. (What changes anything fails closed; telling changes nothing.)
- **What was recorded is what is sent**: a file that differs from its digest is not sent.
- **Older first**: what failed before goes out before what is new, and what is new is tried whatever became of the
  older.
- Numbers are the audience's own, without a gap, and never given twice.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rbnb.communication.markup import plain_text
from rbnb.communication.sending import Delivery, Message, send
from rbnb.errors import IntegrityError, LedgerError
from rbnb.times import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rbnb.communication.filling import Draft
    from rbnb.communication.sending import Patience
    from rbnb.config import Channel
    from rbnb.incidents import Incident
    from rbnb.ledger import Entry

__all__ = ["Sent", "Told", "Written", "pending", "resend", "shown", "tell", "write"]

WRITTEN, SENT, FAILED = "update.written", "update.sent", "update.failed"
_KEPT = ("number", "colour", "severity", "status", "incident", "audience")


@dataclass(frozen=True, slots=True)
class Written:
    """An update, on record or not.

    Parameters
    ----------
    key
        The digest of its entry; of its text where there is no entry.
    unrecorded
        Why the record lacks it; "" where it has it.
    """

    text: str
    key: str
    seq: int
    about: dict[str, Any]
    path: str = ""
    unrecorded: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one update: which, whether it arrived, and whether that is on record."""

    audience: str
    number: int
    key: str
    delivery: Delivery
    unrecorded: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What `tell` did."""

    written: Written
    sent: tuple[Sent, ...] = field(default_factory=tuple)

    @property
    def arrived(self) -> bool:
        """Whether everything that was tried arrived."""
        return all(one.delivery.sent for one in self.sent)


def tell(
    incident: Incident,
    draft: Draft,
    *,
    by: str,
    channels: Mapping[str, Channel],
    sending: bool,
    patience: Patience | None = None,
) -> Told:
    """Write an update, and if asked to, send it, after what failed before.

    Parameters
    ----------
    channels
        By audience, from rbnb.toml.
    """
    written = write(incident, draft, by=by, to_send=sending)
    if not sending:
        return Told(written)
    older = [one for one in pending(incident, draft.audience) if one.key != written.key]
    channel = channels.get(draft.audience)
    sent = _send_all(incident, older, channel, by, patience)
    return Told(written, (*sent, _send(incident, written, channel, by, patience)))


def resend(
    incident: Incident,
    *,
    by: str,
    channels: Mapping[str, Channel],
    audience: str = "",
    patience: Patience | None = None,
) -> list[Sent]:
    """Send what was to be sent and did not arrive, oldest first; of one audience, or of all."""
    waiting = pending(incident, audience)
    sent: list[Sent] = []
    for name in dict.fromkeys(one.about["audience"] for one in waiting):
        own = [one for one in waiting if one.about["audience"] == name]
        sent += _send_all(incident, own, channels.get(name), by, patience)
    return sent


def write(incident: Incident, draft: Draft, *, by: str, to_send: bool) -> Written:
    """Record an update with its text as a file; if that cannot be, say so and return it all the same."""
    files = _Files(incident)
    made: dict[str, Any] = {}

    def rule(entries: Sequence[Entry]) -> tuple[str, Mapping[str, Any]]:
        files.drop()
        number = 1 + sum(1 for one in entries if one.kind == WRITTEN and one.body.get("audience") == draft.audience)
        made.update(text=draft.text(number), number=number)
        path = files.keep(f"{number:02d}-{draft.audience}", made["text"])
        made.update(path=path)
        return WRITTEN, _body(incident, draft, {**made, "by": by}, to_send=to_send)

    try:
        entry = incident.ledger.append_when(rule, by=by)
    except (LedgerError, IntegrityError, OSError) as error:
        return _unwritten(incident, draft, made, error)
    return Written(made["text"], entry.digest, entry.seq, _about(entry.body), made["path"])


def _body(incident: Incident, draft: Draft, made: Mapping[str, Any], *, to_send: bool) -> dict[str, Any]:
    raw = str(made["text"]).encode()
    digest = hashlib.sha256(raw).hexdigest()
    return {
        "incident": incident.name,
        "audience": draft.audience,
        "number": made["number"],
        "colour": draft.colour,
        "severity": draft.severity,
        "status": draft.status,
        "by": made["by"],
        "level": draft.about.level,
        "run": draft.run,
        "next_due": format_time(draft.next_due) if draft.next_due else None,
        "to_send": to_send,
        "text_sha256": digest,
        "path": made["path"],
        "files": [{"path": made["path"], "sha256": digest, "bytes": len(raw)}],
    }


def _about(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body.get(name) for name in _KEPT}


def _unwritten(incident: Incident, draft: Draft, made: dict[str, Any], error: Exception) -> Written:
    if "text" not in made:
        made.update(number=_count(incident, draft.audience) + 1)
        made.update(text=draft.text(made["number"]))
    why = getattr(error, "message", "") or getattr(error, "strerror", "") or type(error).__name__
    body = _body(incident, draft, {"path": "", "by": "", **made}, to_send=True)
    key = hashlib.sha256(f"{incident.name}\n{made['text']}".encode()).hexdigest()
    return Written(made["text"], key, 0, _about(body), "", str(why))


def _count(incident: Incident, audience: str) -> int:
    with suppress(LedgerError, IntegrityError):
        entries = incident.ledger.entries()
        return sum(1 for one in entries if one.kind == WRITTEN and one.body.get("audience") == audience)
    return 0


class _Files:
    """The file of the update that is being written; a number that another writer took leaves none behind."""

    def __init__(self, incident: Incident) -> None:
        self.folder = incident.folder / "updates"
        self.kept: Path | None = None

    def keep(self, name: str, text: str) -> str:
        """Write a text under a name that nobody has, on the disk before this returns; return its path."""
        self.folder.mkdir(exist_ok=True)
        for more in ("", *(f"-{letter}" for letter in "bcdefghijklmnopqrstuvwxyz")):
            path = self.folder / f"{name}{more}.md"
            try:
                with path.open("x", encoding="utf-8", newline="\n") as file:
                    self.kept = path
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
            except FileExistsError:
                continue
            _fsync_folder(self.folder)
            return f"updates/{path.name}"
        raise LedgerError(f"{self.folder} is full of files called {name}", hint="clear what no entry names")

    def drop(self) -> None:
        """Remove what was kept for a number that another writer took."""
        if self.kept is not None:
            self.kept.unlink(missing_ok=True)
            self.kept = None


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def pending(incident: Incident, audience: str = "") -> list[Written]:
    """Return what was to be sent and did not arrive, oldest first; nothing where the ledger cannot be read.

    Parameters
    ----------
    audience
        Only of this one; "" is all.
    """
    try:
        entries = incident.ledger.entries()
    except (LedgerError, IntegrityError):
        return []
    arrived = {one.body.get("key") for one in entries if one.kind == SENT}
    waiting = [one for one in entries if one.kind == WRITTEN and one.body.get("to_send") and one.digest not in arrived]
    chosen = [one for one in waiting if audience in ("", one.body.get("audience"))]
    return [_read(incident, one) for one in chosen]


def _read(incident: Incident, entry: Entry) -> Written:
    """Return an update as it lies on the disk; without a text if that is not what was recorded."""
    body = entry.body
    path = (incident.folder / str(body.get("path", ""))).resolve()
    raw = b""
    if path.is_relative_to(incident.folder.resolve() / "updates"):
        with suppress(OSError):
            raw = path.read_bytes()
    intact = hashlib.sha256(raw).hexdigest() == body.get("text_sha256")
    return Written(raw.decode() if intact else "", entry.digest, entry.seq, _about(body), str(body.get("path", "")))


def _send_all(
    incident: Incident, waiting: list[Written], channel: Channel | None, by: str, patience: Patience | None
) -> list[Sent]:
    """Send one after the other; where nobody answers, the rest waits for the next time."""
    sent: list[Sent] = []
    for one in waiting:
        sent.append(_send(incident, one, channel, by, patience))
        delivery = sent[-1].delivery
        if not delivery.sent and not delivery.for_good:
            break
    return sent


def _send(incident: Incident, written: Written, channel: Channel | None, by: str, patience: Patience | None) -> Sent:
    if written.text:
        delivery = send(Message(written.text, written.key, written.about), channel, patience)
    else:
        why = f"{written.path} is not what was recorded: see `rbnb verify {incident.name}`"
        delivery = Delivery(sent=False, through=channel.format if channel else "none", why=why, for_good=True)
    unrecorded = written.unrecorded or _record(incident, written, delivery, by)
    return Sent(written.about["audience"], written.about["number"], written.key, delivery, unrecorded)


def _record(incident: Incident, written: Written, delivery: Delivery, by: str) -> str:
    """Record what became of an update; return why that could not be, or ""."""
    body = {
        "audience": written.about["audience"],
        "number": written.about["number"],
        "update": written.seq,
        "key": written.key,
        "through": delivery.through,
        "status": delivery.status,
        "tries": delivery.tries,
    }
    kind = SENT if delivery.sent else FAILED
    try:
        incident.ledger.append(kind, body if delivery.sent else {**body, "why": delivery.why}, by=by)
    except (LedgerError, IntegrityError) as error:
        return error.message
    return ""


def shown(written: Written) -> str:
    """Return an update as a terminal shows it."""
    return plain_text(written.text).rstrip("\n")
