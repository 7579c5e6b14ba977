"""The compliance checklist of an incident: whether each item applies, what answers it here, what is missing, its clock.

Rule: evidence is looked up, never claimed. What answers an item is named by the number of a ledger entry or by a field
of the run's record; where there is none, the item says what is missing. "Evidence preserved before containment" is
answered only by an entry evidence.taken that stands before the first action.started.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rbnb.errors import NotFoundError, UsageError
from rbnb.governance import FACTS, applicability, clocks, questions, reviewer_name
from rbnb.governance.clocks import Answers
from rbnb.times import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from rbnb.config import Owners
    from rbnb.governance import Compliance, ComplianceItem, DueItem, Evidence, Verdict
    from rbnb.governance.conditions import Fact
    from rbnb.incidents import Incident
    from rbnb.incidents.state import State
    from rbnb.inventory import ModelFile
    from rbnb.ledger import Entry

__all__ = [
    "Checked",
    "Checklist",
    "answer",
    "answers_of",
    "assess_risk",
    "facts_of",
    "items_of",
    "look_up",
    "read_checklist",
]

#: How many entries of one kind are named.
_MOST = 5


@dataclass(frozen=True, slots=True)
class Found:
    """What one piece of evidence comes to: where it stands, or "" and why it is missing."""

    needs: str
    where: str
    seqs: tuple[int, ...] = ()
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """One item held against an incident."""

    item: ComplianceItem
    verdict: Verdict
    evidence: tuple[Found, ...]
    clock: DueItem | None
    met: datetime | None
    reviewer: str

    @property
    def missing(self) -> tuple[str, ...]:
        """What nothing in this incident answers."""
        return tuple(f"{one.needs} ({one.missing})" for one in self.evidence if one.missing)

    @property
    def answered(self) -> tuple[str, ...]:
        """What answers it, and where that stands."""
        return tuple(f"{one.needs}: {one.where}" for one in self.evidence if one.where)


@dataclass(frozen=True, slots=True)
class Checklist:
    """Every item that an incident may touch."""

    items: tuple[Checked, ...]
    facts: Mapping[str, Fact]
    open: Mapping[str, str]
    frameworks: tuple[Mapping[str, Any], ...]

    @property
    def clocks(self) -> list[DueItem]:
        """What is due, soonest first."""
        due = [one.clock for one in self.items if one.clock is not None]
        return sorted(due, key=lambda one: (one.due_at, one.source))


def read_checklist(
    compliance: Compliance,
    model: ModelFile,
    entries: Sequence[Entry],
    record: Mapping[str, Any],
    *,
    times: Mapping[str, datetime | None],
    owners: Owners,
    severity: str = "",
) -> Checklist:
    """Hold every item that an incident may touch against what is on record.

    Parameters
    ----------
    record
        The last run's record, or as much of it as there is.
    times
        Of the incident: occurred, detected and so on; None where not known.
    owners
        Who reviews what, from rbnb.toml.
    severity
        Of the incident; "" while nobody has said it.
    """
    said, facts = answers_of(entries), facts_of(model, entries, severity)
    chosen = items_of(compliance, model, facts)
    aware = times.get("detected")
    on = aware.date() if aware else compliance.checked_on
    timed = {one.item: one for one in clocks(chosen, facts, aware, said)}
    found = []
    for item in chosen:
        verdict = applicability(item, facts, said.items, on)
        evidence = tuple(look_up(one, entries, record, times) for one in item.evidence)
        reviewer = reviewer_name(owners, item.reviewer, item.id) if item.reviewer or item.id in owners.checks else ""
        found.append(Checked(item, verdict, evidence, timed.get(item.id), said.met.get(item.id), reviewer))
    used = dict.fromkeys(item.framework for item in chosen)
    about = tuple(_about(compliance, name) for name in used)
    return Checklist(tuple(found), facts, questions(one.verdict for one in found), about)


def _about(compliance: Compliance, name: str) -> dict[str, Any]:
    one = compliance.frameworks[name]
    keys = ("name", "title", "version", "source", "checked_on", "legal_review", "disclaimer")
    return {key: getattr(one, key) for key in keys}


def answers_of(entries: Iterable[Entry]) -> Answers:
    """Return what people answered, the last answer to each."""
    items: dict[str, str] = {}
    met: dict[str, datetime] = {}
    facts_at: dict[str, datetime] = {}
    for entry in entries:
        if entry.kind != "compliance.answered":
            continue
        name, applies = str(entry.body.get("item")), str(entry.body.get("applies"))
        if name in FACTS:
            _keep(facts_at, name, entry.at, stands=applies == "yes")
            continue
        items[name] = applies
        if applies != "yes" or entry.body.get("met") is True:
            _keep(met, name, entry.at, stands=applies == "yes")
    return Answers(items, met, facts_at)


def _keep(times: dict[str, datetime], name: str, at: datetime, *, stands: bool) -> None:
    """Keep since when something stands: saying it again gives no clock more time, taking it back ends it."""
    if stands:
        times.setdefault(name, at)
    else:
        times.pop(name, None)


def items_of(compliance: Compliance, model: ModelFile, facts: Mapping[str, Fact]) -> list[ComplianceItem]:
    """Return the items an incident of this model may touch; a person's word on personal data counts as well."""
    own = model.governance
    data = [*own.data, *(["personal"] if facts.get("personal_data") is True else [])]
    return compliance.touching(own.frameworks, data, own.sector)


def facts_of(model: ModelFile, entries: Iterable[Entry], severity: str = "") -> dict[str, Fact]:
    """Return what is known: from the model file, over it what people answered; the rest is None."""
    own = model.governance
    facts: dict[str, Fact] = dict.fromkeys(FACTS)
    facts["role"] = own.role
    facts["high_risk"] = own.high_risk if isinstance(own.high_risk, bool) else None
    facts["sector"] = own.sector or None
    facts["personal_data"] = bool({"personal", "special"} & set(own.data)) if own.data else None
    facts["severity"] = severity or None
    for entry in entries:
        name = str(entry.body.get("item")) if entry.kind == "compliance.answered" else ""
        if name in FACTS and name not in _WORDS:
            facts[name] = {"yes": True, "no": False}.get(str(entry.body.get("applies")))
    return facts


#: Facts that are words: they stand in the model file or in the incident, and no yes or no answers them.
_WORDS = ("role", "sector", "severity")


def look_up(
    wanted: Evidence, entries: Sequence[Entry], record: Mapping[str, Any], times: Mapping[str, datetime | None]
) -> Found:
    """Return where a piece of evidence stands in an incident, or why it does not."""
    if wanted.outside:
        return Found(wanted.needs, "", missing="rbnb does not keep it; say where it is in an answer")
    if wanted.before:
        return _in_order(wanted, entries)
    if wanted.time:
        at = times.get(wanted.time)
        where = f"{wanted.time} {format_time(at)}" if at else ""
        return Found(wanted.needs, where, missing="" if where else f"no time {wanted.time} is on record")
    if wanted.record:
        return _in_record(wanted, record)
    return _on_ledger(wanted, entries)


def _in_record(wanted: Evidence, record: Mapping[str, Any]) -> Found:
    value, run = _field(record, wanted.record), record.get("run") or "this run"
    if value in (None, "", [], {}):
        return Found(wanted.needs, "", missing=f"the run's record holds no {wanted.record}")
    many = f" ({len(value)})" if isinstance(value, list) else ""
    return Found(wanted.needs, f"{wanted.record}{many} in the record of {run}")


def _field(record: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - whatever the record holds there
    """Return a field of the record, or None; a dot leads into an object."""
    value: Any = record
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _on_ledger(wanted: Evidence, entries: Sequence[Entry]) -> Found:
    fits = [one for one in entries if one.kind == wanted.entry and _has(one.body, wanted.where)]
    if not fits:
        which = f" with {', '.join(f'{k} {v}' for k, v in wanted.where.items())}" if wanted.where else ""
        return Found(wanted.needs, "", missing=f"no entry {wanted.entry}{which}")
    seqs = tuple(one.seq for one in fits)
    named = ", ".join(map(str, seqs[-_MOST:]))
    return Found(wanted.needs, f"{wanted.entry}, entr{'y' if len(seqs) == 1 else 'ies'} {named}", seqs)


def _has(body: Mapping[str, Any], where: Mapping[str, str]) -> bool:
    return all(_plain(body.get(key)) == value for key, value in where.items())


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _in_order(wanted: Evidence, entries: Sequence[Entry]) -> Found:
    earlier, later = wanted.before
    first = next((one for one in entries if one.kind == later), None)
    taken = [one for one in entries if one.kind == earlier and (first is None or one.seq < first.seq)]
    if not taken:
        if first is None:
            return Found(wanted.needs, "", missing=f"no entry {earlier} yet; nothing was changed yet either")
        return Found(wanted.needs, "", missing=f"no entry {earlier} stands before entry {first.seq}, {later}")
    then = f", before entry {first.seq}, {later}" if first else f"; no {later} yet"
    return Found(wanted.needs, f"{earlier}, entry {taken[-1].seq}{then}", (taken[-1].seq,))


def answer(
    incident: Incident, compliance: Compliance, item: str, applies: str, because: str, *, met: bool = False
) -> Entry:
    """Put on record whether an item applies, or what is so of a fact.

    Parameters
    ----------
    item
        Id of an item, or a fact such as ``serious_incident``.
    applies
        yes, no or unknown.
    because
        The reason, in a sentence.
    met
        That what the item asks for was done; ends its clock.

    Raises
    ------
    UsageError
        If there is no reason, or the answer is none.
    NotFoundError
        If there is no such item or fact.
    RefusedError
        If this person may not answer; the refusal is on record.
    """
    known = {one.id for one in compliance.items} | (set(FACTS) - set(_WORDS))
    if item in _WORDS:
        raise UsageError(f"{item} is not answered with yes or no", hint=_WHERE[item])
    if item not in known:
        raise NotFoundError("compliance item", item, known)
    if applies not in ("yes", "no", "unknown"):
        raise UsageError(f"{applies!r} is no answer", hint="say yes, no or unknown")
    if not because.strip():
        raise UsageError("an answer needs a reason", hint='say it with --because "…"')
    if met and (applies != "yes" or item in FACTS):
        raise UsageError("only an item that applies can be met", hint=f"rbnb compliance {incident.name} ITEM yes --met")
    actor = incident.allow("governance", subject=item)
    body = {"item": item, "applies": applies, "because": because.strip(), "met": met}
    return incident.ledger.append("compliance.answered", body, by=actor.id)


_WHERE = {
    "role": "write it in the model file: governance: {role: provider} or deployer",
    "sector": "write it in the model file: governance: {sector: …}",
    "severity": "set it with `rbnb severity INC SEV1 --because …`",
}


def assess_risk(incident: Incident, state: State, assessed: Mapping[str, Any], because: str) -> Entry:
    """Put a person's assessment of the risk on record.

    Raises
    ------
    UsageError
        If there is no reason.
    RefusedError
        If this person may not; the refusal is on record.
    """
    if not because.strip():
        raise UsageError("an assessment needs a reason", hint='say it with --because "…"')
    actor = incident.allow("governance", subject="risk")
    run = state.runs[-1].run if state.runs else ""
    return incident.ledger.append("risk.assessed", {**assessed, "because": because.strip(), "run": run}, by=actor.id)
