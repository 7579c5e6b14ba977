"""What is wrong with a row of entries, and which of them it is.

Pure: entries and file names in, the first fault out. Where two neighbours do not fit, the chain alone
cannot always tell which of the two was changed; `seam` says how it decides.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from rbnb.ledger.entry import GENESIS, Entry, entry_name, seq_of

__all__ = ["Check", "Fault", "against", "gap", "seam", "stranger"]


@dataclass(frozen=True, slots=True)
class Check:
    """What checking a ledger found.

    Parameters
    ----------
    entries
        How many entries are intact, counted from the first.
    head
        The digest of the last of them.
    first_bad
        The name of the first file that is not as it was written, or None.
    why
        What is wrong with it.
    """

    entries: int
    head: str
    first_bad: str | None = None
    why: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing wrong was found."""
        return self.first_bad is None


@dataclass(frozen=True, slots=True)
class Fault:
    """A file that is not as it was written, or that cannot be read."""

    name: str
    why: str
    unreadable: bool = False


def seam(entries: list[Entry], expected: tuple[int, str] | None) -> Fault | None:
    """Find the first entry that does not name the one before it, and tell which of the two was changed.

    If entry 6 names another sha256 than entry 5 has, either may be the changed one. Entry 6 is, if it
    fits entry 7 no better, or if the row from 6 to the end does not lead to the expected head; otherwise,
    and if both name the same entry before them, it is 5. Without an expected head this is a guess where
    6 is the last, or where the whole row from 6 on was exchanged; `Fault.why` names both.
    """
    fits = [after.previous == before.digest for before, after in itertools.pairwise(entries)]
    if entries and entries[0].previous != GENESIS:
        return Fault(entry_name(1), "names an entry before it, and there is none")
    if all(fits):
        return None
    before = fits.index(False)  # entries[before] and the one after it do not fit
    after = before + 1
    if _second_is_bad(entries, after, list(itertools.takewhile(bool, fits[after:])), expected):
        return Fault(entry_name(after + 1), f"does not name {entry_name(before + 1)} as the entry before it")
    return Fault(entry_name(before + 1), f"is not the file whose sha256 {entry_name(after + 1)} names")


def _second_is_bad(entries: list[Entry], after: int, run: list[bool], expected: tuple[int, str] | None) -> bool:
    if entries[after].previous == entries[after - 1].previous:
        return False  # both name the same entry before them: the first of them was pushed in
    if after + len(run) < len(entries) - 1:
        return not run  # fits neither neighbour; a longer row vouches for its first
    if expected is None or not after < expected[0] <= len(entries):
        return False
    return entries[expected[0] - 1].digest != expected[1]


def gap(names: list[str], missing: int) -> Fault | None:
    """Tell whether an entry is missing: one with a higher number is there."""
    last = max(map(seq_of, names), default=0)
    return Fault(entry_name(missing), f"is missing, and {entry_name(last)} is there") if last > missing else None


def stranger(names: list[str]) -> Fault | None:
    """Find the first file that is no entry; hidden ones are left-overs of killed writers."""
    for name in sorted(names):
        if not name.startswith(".") and not seq_of(name):
            return Fault(name if name.isprintable() else ascii(name), "is not an entry; move it elsewhere")
    return None


def against(entries: list[Entry], expected: tuple[int, str]) -> Fault | None:
    """Compare with a number of entries and a digest that were kept elsewhere."""
    count, digest = expected
    if count > len(entries):
        return Fault(entry_name(len(entries) + 1), f"is missing: there were {count} entries, {len(entries)} are left")
    if count > 0 and entries[count - 1].digest != digest:
        return Fault(entry_name(count), "is not the entry known from elsewhere; it or all before it was written anew")
    return None
