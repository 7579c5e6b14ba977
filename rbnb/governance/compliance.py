"""Which rules an incident may touch: read from `policies/compliance/*.yaml`, one file a framework.

Rules:

- **Nothing here is legal advice**, and every file says where its content is from, when it was checked, and whether a
  lawyer still has to look at it.
- An item is listed when the model file names its framework, when the model handles personal data and the item is of
  the data protection law, or when the model's sector is the framework's.
- **Whether an item applies is yes, no, not yet, or unknown.** A person's answer on the ledger comes first; then the
  date from which it applies; then its condition over what is known. What is not known is for a person to say.
- A workspace's own file replaces the shipped one of the same name whole, and may add a framework. The one file of
  earlier versions, ``compliance.yaml``, is still read: it replaces every framework that it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from os import PathLike
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from rbnb.config import Duration, Name, Settings, parse_settings, read_yaml
from rbnb.errors import ConfigError
from rbnb.governance.conditions import FACTS, evaluate, names_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rbnb.governance.conditions import Fact

__all__ = [
    "NOT_LEGAL_ADVICE",
    "Applies",
    "Compliance",
    "ComplianceItem",
    "Deadline",
    "Evidence",
    "Framework",
    "Override",
    "Verdict",
    "applicability",
    "load_compliance",
    "questions",
]

NOT_LEGAL_ADVICE = "Not legal advice; whether an item applies is for counsel to say."

Applies = Literal["yes", "no", "not yet", "unknown"]


def _condition(value: str) -> str:
    names_in(value)
    return value


class Override(Settings):
    """A shorter time for a worse case."""

    when: str
    max: Duration
    ref: str

    _readable = field_validator("when")(_condition)


class Deadline(Settings):
    """By when something is due.

    `after` is ``awareness`` (when the incident was detected), ``answered FACT`` (when a person answered yes to a
    question) or ``met ITEM`` (when a person said that an earlier item was met).
    """

    after: Annotated[str, Field(pattern=r"^(awareness|answered [a-z_]+|met \S.*)$")] = "awareness"
    max: Duration
    what: str = ""
    overrides: list[Override] = Field(default_factory=list)


class Evidence(Settings):
    """What would answer an item, and where in an incident to look for it: exactly one place, or outside of it."""

    needs: str
    entry: str = ""
    where: dict[str, str] = Field(default_factory=dict)
    record: str = ""
    time: Literal["", "occurred", "detected", "acknowledged", "contained", "remediated", "closed"] = ""
    before: Annotated[list[str], Field(max_length=2)] = Field(default_factory=list)
    outside: bool = False

    @model_validator(mode="after")
    def _one_place(self) -> Evidence:
        places = [self.entry, self.record, self.time, self.before, self.outside]
        if sum(map(bool, places)) != 1 or len(self.before) == 1:
            raise ValueError("needs exactly one of entry, record, time, before: [earlier, later], or outside: true")
        return self


class ComplianceItem(Settings):
    """One item of a framework in our own words."""

    id: str
    text: str
    framework: str = ""
    applies_when: str = ""
    applies_from: dict[Literal["general", "annex_iii", "annex_i"], date] = Field(default_factory=dict)
    deadline: Deadline | None = None
    evidence: list[Evidence] = Field(default_factory=list)
    reviewer: Literal["security", "privacy", "ethics", ""] = ""

    _readable = field_validator("applies_when")(_condition)


class Framework(Settings):
    """`policies/compliance/NAME.yaml`."""

    name: Name
    title: str
    version: str
    source: str
    checked_on: date
    legal_review: bool
    disclaimer: Annotated[str, Field(pattern=r"(?i)not legal advice")]
    sector: str = ""
    aliases: dict[str, str] = Field(default_factory=dict)
    items: Annotated[list[ComplianceItem], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids_once(self) -> Framework:
        ids = [item.id for item in self.items]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"{twice[0]} stands here twice")
        return self


class _OldItem(Settings):
    id: str
    framework: str
    text: str
    evidence: str
    deadline: Duration | None = None


class _OldFile(Settings):
    """``compliance.yaml`` of earlier versions: all frameworks in one file."""

    name: str
    version: str
    checked_on: date
    items: list[_OldItem]


@dataclass(frozen=True, slots=True)
class Compliance:
    """Every framework there is, by name."""

    frameworks: Mapping[str, Framework]

    @property
    def items(self) -> list[ComplianceItem]:
        """Every item of every framework."""
        return [item for framework in self.frameworks.values() for item in framework.items]

    @property
    def checked_on(self) -> date:
        """When the framework that was looked at longest ago was checked."""
        return min(framework.checked_on for framework in self.frameworks.values())

    def touching(self, frameworks: Iterable[str], data: Iterable[str], sector: str = "") -> list[ComplianceItem]:
        """Return the items of these frameworks, of the sector, and of data protection when data are personal."""
        chosen = {*frameworks} | ({"gdpr"} if {"personal", "special"} & set(data) else set())
        chosen |= {name for name, one in self.frameworks.items() if sector and one.sector == sector}
        return [item for item in self.items if item.framework in chosen]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an item applies, why, and which questions are open."""

    applies: Applies
    why: str
    open: tuple[str, ...] = ()


def load_compliance(paths: Path | Sequence[Path]) -> Compliance:
    """Read the frameworks.

    Parameters
    ----------
    paths
        Files in order of precedence, the last wins; or one folder of them.

    Raises
    ------
    ConfigError
        If a file is unreadable, a key is unknown or wrong, or an id stands in two frameworks.
    """
    files = sorted(paths.glob("*.yaml")) if isinstance(paths, PathLike) else list(paths)
    found: dict[str, Framework] = {}
    for path in files:
        for framework in _read(path):
            found[framework.name] = framework
    ids: dict[str, str] = {}
    for framework in found.values():
        for item in framework.items:
            if ids.setdefault(item.id, framework.name) != framework.name:
                raise ConfigError(files[-1], item.id, f"stands in {ids[item.id]} and in {framework.name}")
    return Compliance(found)


def _read(path: Path) -> list[Framework]:
    data = read_yaml(path)
    if path.stem == "compliance":
        return _from_old(parse_settings(_OldFile, data, path))
    framework = parse_settings(Framework, data, path)
    if framework.name != path.stem:
        raise ConfigError(path, "name", f"must be {path.stem}, as the file is called (it says {framework.name!r})")
    return [_named(framework)]


def _named(framework: Framework) -> Framework:
    items = [item.model_copy(update={"framework": framework.name}) for item in framework.items]
    return framework.model_copy(update={"items": items})


def _from_old(old: _OldFile) -> list[Framework]:
    """Take over a file of earlier versions; what it said of evidence was a sentence, so nothing in it is looked up."""
    names = dict.fromkeys(item.framework for item in old.items)
    return [_named(_old_framework(old, name)) for name in names]


def _old_framework(old: _OldFile, name: str) -> Framework:
    items: list[dict[str, Any]] = [
        {
            "id": item.id,
            "text": item.text,
            "deadline": {"max": item.deadline} if item.deadline else None,
            "evidence": [{"needs": item.evidence, "outside": True}],
        }
        for item in old.items
        if item.framework == name
    ]
    return Framework.model_validate(
        {
            "name": name,
            "title": name,
            "version": old.version,
            "source": "the workspace's own compliance.yaml",
            "checked_on": old.checked_on,
            "legal_review": True,
            "disclaimer": "Not legal advice.",
            "items": items,
        }
    )


def applicability(item: ComplianceItem, facts: Mapping[str, Fact], answers: Mapping[str, str], on: date) -> Verdict:
    """Tell whether an item applies.

    Parameters
    ----------
    facts
        What is known, by name.
    answers
        What people answered for items: id to yes, no or unknown.
    on
        The day of the incident.
    """
    answer = answers.get(item.id, "")
    if answer in ("yes", "no"):
        return Verdict("yes" if answer == "yes" else "no", "a person said so")
    if answer == "unknown":
        return Verdict("unknown", "a person must say; it was answered as unknown")
    holds = evaluate(item.applies_when, facts)
    if holds is False:
        return Verdict("no", f"not {item.applies_when}")
    if (dated := _by_date(item, facts, on)) is not None:
        return dated
    if holds is None:
        lacking = tuple(name for name in names_in(item.applies_when) if facts.get(name) is None)
        return Verdict("unknown", f"a person must say: {', '.join(lacking)}", lacking)
    return Verdict("yes", item.applies_when or "it applies to every incident of this framework")


def _by_date(item: ComplianceItem, facts: Mapping[str, Fact], on: date) -> Verdict | None:
    """Return that it does not apply yet, or that nobody can say, by its dates alone."""
    dates = item.applies_from
    annex = facts.get("annex_iii")
    if annex is not None and {"annex_iii", "annex_i"} <= set(dates):
        dates = {("annex_iii" if annex else "annex_i"): dates["annex_iii" if annex else "annex_i"]}
    told = ", ".join(f"{day} ({name.replace('_', ' ')})" for name, day in dates.items())
    if dates and on < min(dates.values()):
        return Verdict("not yet", f"applies from {told}")
    if dates and on < max(dates.values()):
        return Verdict("unknown", f"a person must say: annex_iii; it applies from {told}", ("annex_iii",))
    return None


def questions(verdicts: Iterable[Verdict]) -> dict[str, str]:
    """Return what a person must say so that every item can be told, as name and question."""
    return {name: FACTS[name] for verdict in verdicts for name in verdict.open}
