"""What people have seen: observations from the ledger, shown among the signals and cited by hypotheses.

Rules:

- **An observation is evidence, and never a judgement.** A hypothesis that it speaks to cites it; no status, rank
  or verdict changes because of it.
- **Named exactly, or not at all.** It speaks to a hypothesis if what it is about, or its text, is or holds the
  hypothesis's place (``zone=b``), its name, or the name of its component; nothing is guessed from likeness.
- **Every word is a stranger's.** Who reads it sees escape sequences and hidden characters as marks.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rbnb.text import one_line, visible
from rbnb.times import format_time, parse_time
from rbnb.view import Note, Table, columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from rbnb.inventory import ModelFile
    from rbnb.ledger import Entry
    from rbnb.model import Cause
    from rbnb.view import View

__all__ = ["Observation", "citation_table", "cite", "observation_table", "read_observations", "responsible_for"]


@dataclass(frozen=True, slots=True)
class Observation:
    """What one person saw and when, who recorded it, who is to follow it up, and which hypotheses cite it."""

    seen_at: datetime
    by: str
    text: str
    about: str
    recorded_by: str
    recorded_at: datetime
    responsible: str
    cited_by: tuple[str, ...] = ()


def responsible_for(model: ModelFile) -> str:
    """Return who follows up what is seen of a model: its owner, else who is on call, else nobody ("")."""
    return model.owner or (model.on_call.rotation if model.on_call else "")


def read_observations(history: Iterable[Entry], responsible: str) -> list[Observation]:
    """Return the observations of a ledger by the time they were seen.

    Parameters
    ----------
    history
        The incident's entries.
    responsible
        Who is to follow them up.
    """
    found = []
    for entry in history:
        if entry.kind == "observation.recorded":
            told = {key: str(entry.body.get(key) or "") for key in ("text", "by", "about", "seen_at")}
            seen_at = parse_time(told["seen_at"]) if told["seen_at"] else entry.at
            by = told["by"] or entry.by
            found.append(Observation(seen_at, by, told["text"], told["about"], entry.by, entry.at, responsible))
    return sorted(found, key=lambda seen: (seen.seen_at, seen.recorded_at))


def cite(causes: Iterable[Cause], seen: Sequence[Observation]) -> tuple[list[Cause], list[Observation]]:
    """Add to each hypothesis's evidence the observations that speak to it.

    Returns
    -------
    tuple
        The hypotheses, as they were but for their evidence; and the observations with who cites them.

    Examples
    --------
    >>> from rbnb.model import Cause
    >>> from rbnb.times import parse_time
    >>> when = parse_time("2026-11-22T14:20:00Z")
    >>> note = Observation(when, "the shop", "checkout is slow", "zone=b", "on-call", when, "payments")
    >>> causes, seen = cite([Cause("host", "host 7", "zone=b", 0.9, "open", "slow since 14:05")], [note])
    >>> causes[0].evidence, causes[0].status, seen[0].cited_by
    ('slow since 14:05; also seen by the shop at 2026-11-22T14:20:00Z: “checkout is slow”', 'open', ('host 7',))
    """
    cited, names = [], [list(one.cited_by) for one in seen]
    for cause in causes:
        told = [cause.evidence] if cause.evidence else []
        for number, one in enumerate(seen):
            if _speaks_to(one, cause):
                names[number].append(cause.name)
                told.append(_words(one))
        cited.append(dataclasses.replace(cause, evidence="; ".join(told)))
    noted = [dataclasses.replace(one, cited_by=tuple(by)) for one, by in zip(seen, names, strict=True)]
    return cited, noted


def _words(one: Observation) -> str:
    return f"also seen by {one_line(one.by)} at {format_time(one.seen_at)}: “{one_line(one.text, 120)}”"


def _speaks_to(one: Observation, cause: Cause) -> bool:
    """Whether an observation names the place, the name or the component of a hypothesis, whole and exactly."""
    terms = {_plain(term) for term in (cause.where, cause.name, cause.name.partition(": ")[0])} - {""}
    about, text = _place(_plain(one.about)), _plain(one.text)
    return any(_place(term) == about or _holds(text, term) for term in terms)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()


def _place(text: str) -> str:
    """Return a place so that two ways to write it are one: ``b = y & a=x`` is ``a=x & b=y``."""
    parts = [re.sub(r"\s*=\s*", "=", part.strip(), count=1) for part in text.split("&")]
    return " & ".join(sorted(parts)) if all("=" in part for part in parts) else text


def _holds(text: str, term: str) -> bool:
    """Whether a text holds a term as a whole: ``zone=b`` is not in ``zone=b2``."""
    return re.search(rf"(?<![\w=/.-]){re.escape(term)}(?![\w=/-])", text) is not None


def observation_table(seen: Sequence[Observation]) -> View:
    """List what people have seen: when, who, what, and who is responsible for it."""
    if not seen:
        return Note("People's observations: none on record for this incident.")
    heads = columns("seen at|time", "seen by", "what", "about|code", "recorded by", "responsible")
    rows = tuple(
        (o.seen_at, visible(o.by, 120), visible(o.text), visible(o.about, 200), visible(o.recorded_by, 120), owner)
        for o in seen
        for owner in [visible(o.responsible, 120) or "nobody is named in the model file"]
    )
    note = "As told with `rbnb note`; who recorded it is asserted, not proved."
    return Table("People's observations", heads, rows, note)


def citation_table(seen: Sequence[Observation]) -> Table | None:
    """List which hypotheses cite what people saw; None where none does."""
    rows = tuple(
        (one.seen_at, visible(one.by, 120), visible(one.text), visible(name, 200))
        for one in seen
        for name in one.cited_by
    )
    if not rows:
        return None
    heads = columns("seen at|time", "seen by", "what", "cited by")
    return Table("Observations that speak to a hypothesis", heads, rows, "They are evidence; no status rests on them.")
