"""What a policy is made of: the parts of the file as it is written, and the policy as it is used.

Each part of the file is a settings class of its own, so that a mistake is named with the key it stands
at and the keys that are allowed there. The policy itself is plain frozen data: reading is finished
before anything is judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from rbnb.config import Name, Settings
from rbnb.model import FindingStatus, HypothesisStatus, VerdictName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rbnb.model import Branch, Proposal, Referral, Verdict
    from rbnb.policy.conditions import Condition

__all__ = [
    "LEVELS",
    "CausePart",
    "Colour",
    "Decision",
    "FindingPart",
    "Leaf",
    "LeafPart",
    "Line",
    "LinePart",
    "PlainPart",
    "Pointer",
    "Policy",
    "PolicyPart",
    "Question",
    "QuestionPart",
    "ReferPart",
    "Rule",
    "RulePart",
    "Threshold",
    "TreePart",
]

LEVELS = ("SEV1", "SEV2", "SEV3", "SEV4")

Colour = Literal["green", "amber", "red", "grey"]
Unit = Literal[
    "text", "place", "time", "ms", "s", "share", "ratio", "count", "minutes", "per minute", "burn rate", "flag"
]
Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


OneOrMore = BeforeValidator(_listed)  # a list, or the one thing that would be in it


class Threshold(Settings):
    """What a signal is held against, and why these numbers.

    `compare` says which number is held against the limits: the careful end of the 95 % interval where
    the signal has one (the lower for `above`, the upper for `below`), or the value itself.
    `undefined` is the status of a signal that was not measured, or rests on fewer than `minimum_n`
    observations. `doubtful` is the status of a value that reaches `breach` while the careful end of
    its interval reaches nothing: the best guess is bad, and the data cannot tell it from normal.
    """

    warning: Number | None = None
    breach: Number | None = None
    direction: Literal["above", "below"] = "above"
    compare: Literal["interval", "value"] = "interval"
    undefined: FindingStatus = "undefined"
    doubtful: Literal["ok", "warning", "undefined"] = "ok"
    minimum_n: Annotated[int, Field(ge=1)] | None = None
    why: Text

    @model_validator(mode="after")
    def _makes_sense(self) -> Threshold:
        if self.warning is None and self.breach is None:
            raise ValueError("needs a warning or a breach; a signal without limits belongs in context")
        if self.out_of_order():
            raise ValueError(f"warning must be reached before breach, as the direction is {self.direction}")
        return self

    def out_of_order(self) -> bool:
        """Whether breach would be reached before warning."""
        if self.warning is None or self.breach is None:
            return False
        return self.warning > self.breach if self.direction == "above" else self.warning < self.breach

    def level(self, number: float) -> FindingStatus:
        """Return the status of a number; to be on the limit is to have reached it."""
        for name, limit in (("breach", self.breach), ("warning", self.warning)):
            if limit is not None and (number >= limit if self.direction == "above" else number <= limit):
                return "breach" if name == "breach" else "warning"
        return "ok"


class FindingPart(Settings):
    """``{finding: NAME, status: …}`` or ``{finding: NAME, value: {">=": 0.5}}``."""

    finding: str
    status: Annotated[list[FindingStatus], OneOrMore] = Field(default_factory=list)
    value: Annotated[dict[Literal[">=", "<=", ">", "<"], Number], Field(min_length=1)] | None = None
    where: Literal["everywhere", "any"] = "everywhere"

    @model_validator(mode="after")
    def _one_test(self) -> FindingPart:
        if bool(self.status) == bool(self.value):
            raise ValueError("give either a status or a value to test")
        return self


class CausePart(Settings):
    """``{cause: {kind: dependency, status: supported, min_score: 0.5}}``."""

    kind: Annotated[list[str], OneOrMore, Field(min_length=1)]
    status: Annotated[list[HypothesisStatus], OneOrMore, Field(min_length=1)] = Field(default=["supported"])
    min_score: Number | None = None


class LinePart(Settings):
    """A sentence that is said only when a condition holds."""

    text: Text
    when: dict[Any, Any]


class PlainPart(Settings):
    """The verdict for somebody who does not know machine learning."""

    what: Any
    how_bad: Any
    next: Any


class QuestionPart(Settings):
    """A node that asks."""

    question: Text
    when: dict[Any, Any]
    yes: str
    no: str
    unknown: str | None = None


class ReferPart(Settings):
    """``{to: data_quality, because: a sentence, when: a condition}``: another runbook that should be run next."""

    to: Name
    because: Text
    when: dict[Any, Any] | None = None


class LeafPart(Settings):
    """A node that concludes; `refer` names other runbooks that the evidence points to."""

    verdict: VerdictName
    because: Any
    propose: Name = "none"
    why: str = ""
    escalate: str = ""
    colour: Colour
    plain: dict[Any, Any]
    refer: list[Any] = Field(default_factory=list)

    @model_validator(mode="after")
    def _no_false_all_clear(self) -> LeafPart:
        if self.colour == "green" and self.verdict != "healthy":
            raise ValueError(f"green says all is well, and this verdict is {self.verdict}")
        if self.propose != "none" and not self.why:
            raise ValueError("an action is proposed, so say why")
        return self


class RulePart(Settings):
    """A severity, and when it applies."""

    level: Literal["SEV1", "SEV2", "SEV3", "SEV4"]
    when: dict[Any, Any] | None = None
    because: Text


class TreePart(Settings):
    """The decision tree; `unknown` is where questions go that have no such branch of their own."""

    start: str
    unknown: str | None = None
    nodes: Annotated[dict[Name, Any], Field(min_length=1)]


class PolicyPart(Settings):
    """A policy file.

    `harm` says in a plain sentence what this kind of failure does to people, `affected` names the signal that is
    the share of requests or decisions touched, `watch` the signal to watch where nothing fired.
    """

    name: Name
    version: Text
    source: Text
    harm: Text = "decisions may be wrong, late or missing"
    affected: str = ""
    watch: str = ""
    thresholds: dict[str, Any]
    context: list[str] = Field(default_factory=list)
    causes: list[str] = Field(default_factory=list)
    facts: dict[str, Unit] = Field(default_factory=dict)
    settings: dict[str, Number] = Field(default_factory=dict)
    tree: TreePart
    severity: Annotated[list[Any], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence, and the condition it depends on, if any."""

    text: str
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Pointer:
    """Another runbook, why it should be run, and the condition that depends on, if any."""

    to: str
    because: str
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A node that asks, with where each answer leads; `unknown` is "" where that cannot happen."""

    question: str
    when: Condition
    yes: str
    no: str
    unknown: str


@dataclass(frozen=True, slots=True)
class Leaf:
    """A node that concludes."""

    verdict: VerdictName
    because: tuple[Line, ...]
    propose: str
    why: str
    escalate: str
    colour: Colour
    plain: Mapping[str, tuple[Line, ...]]
    refer: tuple[Pointer, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One severity and when it applies; the last one applies always."""

    level: str
    when: Condition | None
    because: str


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that was read and checked: every name in it exists and every path through it ends.

    Parameters
    ----------
    name, version, source
        What it is and where its numbers come from.
    thresholds
        By signal name.
    context
        Signals it reads without judging them.
    facts
        Placeholder values the caller supplies, each with its unit.
    start, nodes
        The decision tree.
    severity
        Rules, worst first.
    digest
        SHA-256 of the file, so that a record can say which policy judged.
    settings
        Numbers that define what is measured, by the name the measurement gives them.
    harm, affected, watch
        What this failure does to people; the signal that is the share touched; the signal to watch in any case.
    """

    name: str
    version: str
    source: str
    thresholds: Mapping[str, Threshold]
    context: tuple[str, ...]
    facts: Mapping[str, str]
    start: str
    nodes: Mapping[str, Question | Leaf]
    severity: tuple[Rule, ...]
    digest: str
    settings: Mapping[str, float] = field(default_factory=dict)
    harm: str = ""
    affected: str = ""
    watch: str = ""

    @property
    def proposals(self) -> frozenset[str]:
        """The actions it may propose; each must be in the catalog."""
        leaves = (node for node in self.nodes.values() if isinstance(node, Leaf))
        return frozenset(leaf.propose for leaf in leaves if leaf.propose != "none")


@dataclass(frozen=True, slots=True)
class Decision:
    """Where the tree ended, how it got there, and what it says there.

    Parameters
    ----------
    verdict
        What is concluded and why.
    branch
        Each question asked, in order, with what it saw.
    proposal
        What is suggested; None where nothing is.
    leaf
        The name of the node it ended at.
    colour
        green, amber, red or grey.
    plain
        ``what``, ``how_bad`` and ``next`` for somebody who does not know machine learning.
    escalate
        Who is told next, and when.
    referrals
        Other runbooks that the evidence points to.
    """

    verdict: Verdict
    branch: tuple[Branch, ...]
    proposal: Proposal | None
    leaf: str
    colour: Colour
    plain: dict[str, str]
    escalate: str
    referrals: tuple[Referral, ...] = ()
