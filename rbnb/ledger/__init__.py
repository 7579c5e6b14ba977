"""The ledger of an incident: entries that are only ever added, each naming the one before it.

One entry is one file, ``ledger/000001.json`` and so on; `Entry.previous` is the sha256 of the raw bytes
of the entry before. There is no lock and no server. Rules:

- **An entry appears whole or not at all.** It is written under a hidden name, fsynced, and only then
  linked to its number; the link fails where another writer was faster, who then comes before us.
- **`Ledger.append` returns only when the entry is on the disk**, file and folder. Everything else is an error, a
  `LedgerError` or `IntegrityError`, and what needed the record must not be done.
- **An fsync that failed is never tried again**, because the second may succeed without the data being
  there (PostgreSQL, "PANIC on fsync() failure", 2018). The object takes no further entry.
- **An entry is built only on entries that were read, checked, and are on the disk**, also those that
  another writer has just added.
- **Digests are of bytes as they lie on the disk**, never of JSON written anew, so that a changed blank
  or order of keys is found as well.
- **What depends on what stands before is decided on exactly that** (`Ledger.append_when`): the link to a
  number fails where another writer was faster, and the rule is then asked again.
- **Order is by number, never by time.** A clock that stepped back is recorded, not obeyed.
- Reading changes nothing and needs no room on the disk. Hidden files are what killed writers left
  behind; they are no entries and are ignored.

A chain alone cannot see that its end was cut off or that all of it was written anew. `Check` therefore
tells the number of entries and the last digest; kept elsewhere, they are what `Ledger.check` compares
with. docs/ledger.md tells the format.
"""

from __future__ import annotations

import errno
import os
import random
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

from rbnb.errors import IntegrityError, LedgerError
from rbnb.ledger.chain import Check, Fault, against, gap, seam, stranger
from rbnb.ledger.disk import Disk
from rbnb.ledger.entry import FORMAT, GENESIS, MAX_BYTES, Draft, Entry, entry_name, parse_entry, seq_of
from rbnb.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

__all__ = ["FORMAT", "GENESIS", "MAX_BYTES", "Check", "Disk", "Entry", "Ledger", "Rule", "entry_name"]

#: What lies there is a link, a socket or a folder; the disk itself is not at fault.
_NO_FILE = (errno.ELOOP, errno.ENXIO, errno.EISDIR)

_What = TypeVar("_What")

#: Given all entries, the kind and the body of the one to add.
Rule: TypeAlias = "Callable[[Sequence[Entry]], tuple[str, Mapping[str, Any]]]"

_HINTS = {
    errno.ENOSPC: "free some space there; reading and verifying still work",
    errno.EDQUOT: "the quota is used up: free some space there; reading and verifying still work",
    errno.EROFS: "the file system is read-only; reading and verifying still work",
    errno.EACCES: "let this user write to the folder",
    errno.EPERM: "the folder must be writable and on a file system that has hard links",
    errno.EOPNOTSUPP: "keep reports on a file system that has hard links",
    errno.EIO: "the disk reports a fault: copy the incident elsewhere before anything else",
    errno.EFBIG: "a limit on file size is set (ulimit -f); raise it",
    errno.ENOTDIR: "a file stands where the folder should be",
}


class Ledger:
    """A folder of entries: add one, read them all, check them.

    Parameters
    ----------
    folder
        Where the entries are; created by the first `append`.
    clock
        Returns the time now, aware.
    disk
        The system calls; a test passes one that fails.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], datetime] = utc_now, disk: Disk | None = None) -> None:
        self.folder = folder
        self._clock = clock
        self._disk = disk or Disk()
        self._known: list[Entry] = []  # the entries read or written here, each checked
        self._opened = False
        self._on_disk = 0  # up to which number this object has seen the folder fsynced
        self._broken: str | None = None

    def append(self, kind: str, body: Mapping[str, Any], *, by: str) -> Entry:
        """Record one entry, and return when it is on the disk.

        Parameters
        ----------
        kind
            What happened, in dotted lower case.
        body
            The facts; turned into strict JSON by `rbnb.model.to_plain`.
        by
            Who or what caused it.

        Returns
        -------
        Entry
            As anyone will read it.

        Raises
        ------
        LedgerError
            If it is not certain that the entry is on the disk. In rare cases (the last fsync failed) the
            entry is there all the same; that it is missing is never claimed.
        IntegrityError
            If what was recorded before is not intact; nothing is added to it.
        """
        draft = Draft.of(kind, body, by)
        return self._recorded(lambda _: draft, kind)

    def append_when(self, rule: Rule, *, by: str) -> Entry:
        """Record what a rule makes of all that was recorded before, and nothing else in between.

        Parameters
        ----------
        rule
            Given every entry there is, returns kind and body of the one to add. It is asked again whenever
            another writer was faster, so that what it decided on is what stands before its entry: of many
            who try at once to do what may be done once, one succeeds. What it raises is raised here, and
            nothing is recorded.
        by
            Who or what caused it.

        Returns
        -------
        Entry
            As anyone will read it.

        Raises
        ------
        LedgerError, IntegrityError
            As `append`.
        """

        def draft(entries: Sequence[Entry]) -> Draft:
            kind, body = rule(tuple(entries))
            return Draft.of(kind, body, by)

        return self._recorded(draft, "an entry")

    def _recorded(self, draft: Callable[[Sequence[Entry]], Draft], what: str) -> Entry:
        if self._broken is not None:
            raise LedgerError(
                f"{self.folder}: takes no further entry, because an fsync failed before ({self._broken})",
                hint="check the disk, then start again: opening the ledger anew checks all of it first",
            )
        try:
            return self._append(draft)
        except OSError as error:
            message = f"{self.folder}: {what} is not recorded for certain ({_cause(error)})"
            raise LedgerError(message, hint=_hint(error)) from error

    def entries(self) -> list[Entry]:
        """Read and check all entries; none where nothing was recorded yet.

        Raises
        ------
        IntegrityError
            Naming the first entry that is not as it was written.
        LedgerError
            If an entry cannot be read at all.
        """
        entries, fault = self._survey()
        if fault is not None:
            self._raise(fault)
        return entries

    def head(self) -> tuple[int, str]:
        """Return the number of entries and the digest of the last; ``(0, GENESIS)`` where there is none.

        Raises
        ------
        IntegrityError, LedgerError
            As `entries`.
        """
        entries = self.entries()
        return len(entries), entries[-1].digest if entries else GENESIS

    def check(self, *, expected: tuple[int, str] | None = None) -> Check:
        """Check every entry and every link, and name the first that is bad; content never makes it raise.

        Parameters
        ----------
        expected
            A number of entries and the digest of the last of them, kept elsewhere. Entries added since
            are allowed. Without it neither a cut end nor a ledger written anew can be seen.

        Raises
        ------
        LedgerError
            If the folder itself cannot be read.
        """
        entries, fault = self._survey(expected)
        if fault is None and not entries:
            fault = Fault(entry_name(1), "is missing: nothing is recorded here")
        if fault is None and expected is not None:
            fault = against(entries, expected)
        if fault is not None:
            entries = entries[: (seq_of(fault.name) or len(entries) + 1) - 1]
        head = entries[-1].digest if entries else GENESIS
        return Check(len(entries), head, *((fault.name, fault.why) if fault else ()))

    @property
    def _tail(self) -> Entry | None:
        return self._known[-1] if self._known else None

    def _survey(self, expected: tuple[int, str] | None = None) -> tuple[list[Entry], Fault | None]:
        # The names come first: what is listed then was linked before, so a number that cannot be opened
        # below a listed one is missing and not merely on its way.
        names = self._names()
        entries: list[Entry] = []
        while isinstance(found := self._read(len(entries) + 1), Entry):
            entries.append(found)
        return entries, seam(entries, expected) or found or gap(names, len(entries) + 1) or stranger(names)

    def _names(self) -> list[str]:
        try:
            return self._disk.names(self.folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LedgerError(f"{self.folder}: cannot be read ({_cause(error)})", hint=_hint(error)) from error

    def _read(self, seq: int) -> Entry | Fault | None:
        name = entry_name(seq)
        try:
            return parse_entry(self._disk.read(self.folder / name), seq)
        except FileNotFoundError:
            return None
        except ValueError as error:
            return Fault(name, str(error))
        except OSError as error:
            if error.errno in _NO_FILE:
                return Fault(name, "is not a regular file")
            return Fault(name, f"cannot be read ({_cause(error)})", unreadable=True)

    def _raise(self, fault: Fault) -> NoReturn:
        message = f"{self.folder / fault.name} {fault.why}"
        if fault.unreadable:
            raise LedgerError(message, hint="repair the disk or the permissions; nothing was changed")
        raise IntegrityError(message, hint="keep the folder as it is and compare it with a copy kept elsewhere")

    def _append(self, draft: Callable[[Sequence[Entry]], Draft]) -> Entry:
        self._open()
        losses = 0
        while True:
            self._catch_up()
            seq, raw = draft(self._known).following(self._tail, self._clock())
            if self._publish(seq, raw):
                self._known.append(parse_entry(raw, seq))
                return self._known[-1]
            losses += 1
            # Whoever lost waits a little, at random, so that many writers do not all redo their work at once:
            # 32 of them make about 2.5 attempts an entry instead of 7.
            time.sleep(random.uniform(0, min(0.2, 0.008 * 2 ** min(losses, 8))))

    def _open(self) -> None:
        if self._opened:
            return
        # The incident's folder is made safe too, whoever created it: an entry is worth no more than its path.
        missing = [folder for folder in self.folder.parent.parents if not folder.exists()]
        for folder in (*reversed(missing), self.folder.parent, self.folder):
            self._disk.make_folder(folder)
            self._sync(self._disk.fsync_folder, folder.parent)
        self._known = self.entries()
        self._opened = True

    def _catch_up(self) -> None:
        """See that the last entry known here is still what it was, and read what others have added."""
        tail = self._tail
        if tail is not None and (again := self._read(tail.seq)) != tail:
            changed = Fault(entry_name(tail.seq), "is not the entry that this program read or wrote before")
            self._raise(again if isinstance(again, Fault) else changed)
        while found := self._read(tail.seq + 1 if tail else 1):
            if isinstance(found, Fault):
                self._raise(found)
            if found.previous != (tail.digest if tail else GENESIS):
                self._raise(Fault(entry_name(found.seq), "does not follow the entry before it"))
            tail = found
            self._known.append(found)

    def _publish(self, seq: int, raw: bytes) -> bool:
        """Put an entry under its number and wait for the disk; False if another writer was faster."""
        hidden = self.folder / f".{seq:06d}.{os.getpid()}-{secrets.token_hex(6)}.tmp"
        try:
            self._write(hidden, raw)
            if self._on_disk < seq - 1:
                self._sync(self._disk.fsync_folder, self.folder)
                self._on_disk = seq - 1
            won = self._link(hidden, seq)
        except BaseException:  # also Ctrl-C: nothing was recorded, so nothing is left behind
            with suppress(OSError):
                self._disk.unlink(hidden)
            raise
        self._disk.unlink(hidden)
        if won:
            self._sync(self._disk.fsync_folder, self.folder)
            self._on_disk = seq
        return won

    def _write(self, path: Path, raw: bytes) -> None:
        fd = self._disk.create(path)
        try:
            rest = memoryview(raw)
            while rest:
                rest = rest[self._disk.write(fd, rest) :]
            self._sync(self._disk.fsync, fd)
        finally:
            self._disk.close(fd)

    def _link(self, hidden: Path, seq: int) -> bool:
        try:
            self._disk.link(hidden, self.folder / entry_name(seq))
        except FileExistsError:
            return False
        return True

    def _sync(self, fsync: Callable[[_What], None], what: _What) -> None:
        try:
            fsync(what)
        except OSError as error:
            self._broken = _cause(error)
            raise


def _cause(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _hint(error: OSError) -> str:
    return _HINTS.get(error.errno or 0, "nothing that needs this record was done")
