"""Reading a policy file, and refusing every mistake in it before anything is judged.

Refused, with the file and the key: a key, signal, cause, status, operator, node or placeholder that
does not exist; a node that is neither question nor leaf; a question that could be unknown and has no
way to go; a way from "unknown" to a healthy verdict; a node nothing leads to; a circle.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, TypeVar

from rbnb.config import Settings, parse_settings, read_yaml
from rbnb.errors import ConfigError
from rbnb.policy.conditions import All, AnyOf, CauseTest, Condition, FindingTest, Not
from rbnb.policy.grammar import (
    CausePart,
    FindingPart,
    Leaf,
    LeafPart,
    Line,
    LinePart,
    PlainPart,
    Pointer,
    Policy,
    PolicyPart,
    Question,
    QuestionPart,
    ReferPart,
    Rule,
    RulePart,
    Threshold,
)
from rbnb.policy.texts import close_to, mistake_in
from rbnb.policy.tree import check_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["is_policy", "load_policy"]

_SIGNAL = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FORMS = ("all", "any", "cause", "finding", "not")

PartT = TypeVar("PartT", bound=Settings)


def is_policy(path: Path) -> bool:
    """Whether a YAML file beside the policies is one: it has a decision tree."""
    try:
        return "tree" in read_yaml(path)
    except ConfigError:
        return False


def load_policy(path: Path) -> Policy:
    """Read and check a policy file.

    Raises
    ------
    ConfigError
        Naming the file, the key and what is allowed.
    """
    return _Reader(path).policy()


def _once(names: list[str] | tuple[str, ...]) -> str:
    return next((name for name in names if names.count(name) > 1), "")


class _Reader:
    """One file being read: it knows which names exist, so that each part can be checked where it stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = parse_settings(PolicyPart, read_yaml(path), path)
        self.thresholds: dict[str, Threshold] = {}
        self.signals: frozenset[str] = frozenset()

    def policy(self) -> Policy:
        """Read everything, in the order in which the parts need each other."""
        self.names()
        file = self.file
        nodes = {name: self.node(name, data) for name, data in file.tree.nodes.items()}
        severity = self.severity()
        check_tree(self.path, file.tree.start, file.tree.unknown, nodes)
        return Policy(
            name=file.name,
            version=file.version,
            source=file.source,
            thresholds=self.thresholds,
            context=tuple(file.context),
            facts=dict(file.facts),
            start=file.tree.start,
            nodes=nodes,
            severity=severity,
            digest=hashlib.sha256(self.path.read_bytes()).hexdigest(),
            settings=dict(file.settings),
            harm=file.harm,
            affected=file.affected,
            watch=file.watch,
        )

    def wrong(self, key: str, problem: str, hint: str = "") -> ConfigError:
        """Return the error for one key."""
        return ConfigError(self.path, key, problem, hint=hint)

    def part(self, kind: type[PartT], data: object, key: str) -> PartT:
        """Check one part of the file, naming its mistakes by their full key."""
        if not isinstance(data, dict):
            raise self.wrong(key, f"must hold keys and values; allowed here: {', '.join(kind.model_fields)}")
        try:
            return parse_settings(kind, data, self.path)
        except ConfigError as error:
            own = error.key.removesuffix(".[key]")
            start = f"{self.path}: {error.key}: " if error.key else f"{self.path}: "
            problem = error.message.removeprefix(start)
            raise self.wrong(f"{key}.{own}" if own else key, problem, error.hint) from None

    def names(self) -> None:
        """Read the thresholds, and hold every declared name to the grammar."""
        file = self.file
        self.thresholds = {n: self.part(Threshold, t, f"thresholds.{n}") for n, t in file.thresholds.items()}
        declared = {"thresholds": [*file.thresholds], "context": file.context, "facts": [*file.facts]}
        for key, names in (declared | {"causes": file.causes}).items():
            for name in names:
                if not _SIGNAL.fullmatch(name) or name == "cause":
                    raise self.wrong(f"{key}.{name}", "must be small letters, digits and '_', and not 'cause'")
        twice = _once([*file.thresholds, *file.context])
        if twice:
            raise self.wrong(f"context.{twice}", "is declared twice; a signal has a threshold or is context")
        self.signals = frozenset([*file.thresholds, *file.context])
        for key in ("affected", "watch"):
            name = getattr(file, key)
            if name and name not in self.signals:
                raise self.wrong(key, f"no signal {name!r} in thresholds or context", close_to(name, self.signals))

    def node(self, name: str, data: object) -> Question | Leaf:
        """Read one node of the tree."""
        key = f"tree.nodes.{name}"
        if not isinstance(data, dict):
            raise self.wrong(key, "must be a question (question, when, yes, no) or a leaf (verdict, because, …)")
        data = self.without_yaml_booleans(data, key)
        if ("when" in data) == ("verdict" in data):
            both = "has both when and verdict" if "when" in data else "is of no known type"
            raise self.wrong(key, f"{both}; a question has question, when, yes and no, a leaf has a verdict")
        return self.question(data, key) if "when" in data else self.leaf(data, key)

    def without_yaml_booleans(self, data: dict[Any, Any], key: str) -> dict[Any, Any]:
        """Undo what YAML 1.1 does to the bare keys ``yes`` and ``no``, which it reads as True and False."""
        named: dict[Any, Any] = {}
        for wrote, value in data.items():
            meant = {True: "yes", False: "no"}[wrote] if isinstance(wrote, bool) else wrote
            if meant in named:
                raise self.wrong(f"{key}.{meant}", "stands here twice")
            named[meant] = value
        return named

    def question(self, data: dict[Any, Any], key: str) -> Question:
        """Read a node that asks."""
        part = self.part(QuestionPart, data, key)
        self.text(part.question, f"{key}.question")
        when = self.condition(part.when, f"{key}.when")
        return Question(part.question, when, part.yes, part.no, part.unknown or self.file.tree.unknown or "")

    def leaf(self, data: dict[Any, Any], key: str) -> Leaf:
        """Read a node that concludes."""
        part = self.part(LeafPart, data, key)
        plain = self.part(PlainPart, part.plain, f"{key}.plain")
        for name in ("why", "escalate"):
            self.text(getattr(part, name), f"{key}.{name}")
        return Leaf(
            verdict=part.verdict,
            because=self.lines(part.because, f"{key}.because"),
            propose=part.propose,
            why=part.why,
            escalate=part.escalate,
            colour=part.colour,
            plain={
                name: self.lines(getattr(plain, name), f"{key}.plain.{name}") for name in ("what", "how_bad", "next")
            },
            refer=tuple(self.pointer(item, f"{key}.refer.{i}") for i, item in enumerate(part.refer)),
        )

    def pointer(self, data: object, key: str) -> Pointer:
        """Read one pointer to another runbook."""
        part = self.part(ReferPart, data, key)
        self.text(part.because, f"{key}.because")
        when = None if part.when is None else self.condition(part.when, f"{key}.when")
        return Pointer(part.to, part.because, when)

    def lines(self, data: object, key: str) -> tuple[Line, ...]:
        """Read one sentence, or a list of sentences of which the first at least is always said."""
        items = data if isinstance(data, list) else [data]
        lines = tuple(self.line(item, key if items is not data else f"{key}.{i}") for i, item in enumerate(items))
        if not lines or lines[0].when is not None:
            raise self.wrong(key, "needs a first sentence that is said whatever the findings are")
        return lines

    def line(self, data: object, key: str) -> Line:
        """Read a sentence, with or without a condition."""
        if isinstance(data, str) and data:
            self.text(data, key)
            return Line(data)
        if not isinstance(data, dict):
            raise self.wrong(key, "must be a sentence, or {text: a sentence, when: a condition}")
        part = self.part(LinePart, data, key)
        self.text(part.text, f"{key}.text")
        return Line(part.text, self.condition(part.when, f"{key}.when"))

    def text(self, text: str, key: str, *, facts: bool = True) -> None:
        """Refuse a placeholder that does not exist."""
        problem = mistake_in(text, signals=self.signals, facts=self.file.facts if facts else ())
        if problem:
            raise self.wrong(key, problem)

    def severity(self) -> tuple[Rule, ...]:
        """Read the severity rules; the last one, and only the last, applies always."""
        rules = []
        for i, data in enumerate(self.file.severity):
            key = f"severity.{i}"
            part = self.part(RulePart, data, key)
            self.text(part.because, f"{key}.because", facts=False)
            last = i == len(self.file.severity) - 1
            if last != (part.when is None):
                raise self.wrong(key, "the last rule, and only the last, has no when: it is what applies otherwise")
            when = None if part.when is None else self.condition(part.when, f"{key}.when")
            rules.append(Rule(part.level, when, part.because))
        return tuple(rules)

    def condition(self, data: object, key: str) -> Condition:
        """Read a condition of any form."""
        readers: Mapping[str, Callable[[dict[Any, Any], str], Condition]] = {
            "finding": self.finding_test,
            "cause": self.cause_test,
            "all": lambda data, key: All(self.several("all", data, key)),
            "any": lambda data, key: AnyOf(self.several("any", data, key)),
            "not": lambda data, key: Not(self.condition(self.only("not", data, key), f"{key}.not")),
        }
        forms = [form for form in _FORMS if isinstance(data, dict) and form in data]
        if not isinstance(data, dict) or len(forms) != 1:
            wrote = ", ".join(str(name) for name in data) if isinstance(data, dict) else repr(data)
            raise self.wrong(key, f"a condition has exactly one of {', '.join(_FORMS)} (it says {wrote or 'nothing'})")
        return readers[forms[0]](data, key)

    def only(self, form: str, data: dict[Any, Any], key: str) -> Any:  # noqa: ANN401 - whatever stands in the file
        """Return what stands under `form`, refusing any other key beside it."""
        for other in data:
            if other != form:
                raise self.wrong(f"{key}.{other}", f"is not a known key beside {form}")
        return data[form]

    def several(self, form: str, data: dict[Any, Any], key: str) -> tuple[Condition, ...]:
        """Read the parts of `all` or `any`."""
        parts = self.only(form, data, key)
        if not isinstance(parts, list) or not parts:
            raise self.wrong(f"{key}.{form}", "must be a list of at least one condition")
        return tuple(self.condition(part, f"{key}.{form}.{i}") for i, part in enumerate(parts))

    def finding_test(self, data: dict[Any, Any], key: str) -> FindingTest:
        """Read a test of a finding; its signal must be declared and the test able to succeed."""
        part = self.part(FindingPart, data, key)
        if part.finding not in self.signals:
            problem = f"no signal {part.finding!r} in thresholds or context"
            raise self.wrong(f"{key}.finding", problem, close_to(part.finding, self.signals))
        if part.finding not in self.thresholds and set(part.status) - {"undefined"}:
            raise self.wrong(f"{key}.status", f"{part.finding} has no threshold, so only its value can be tested")
        value = tuple((str(name), limit) for name, limit in (part.value or {}).items())
        return FindingTest(part.finding, tuple(part.status), value, part.where == "any")

    def cause_test(self, data: dict[Any, Any], key: str) -> CauseTest:
        """Read a test of the hypotheses; its kinds must be declared."""
        part = self.part(CausePart, self.only("cause", data, key), f"{key}.cause")
        for kind in part.kind:
            if kind not in self.file.causes:
                problem = f"no kind {kind!r} in causes"
                raise self.wrong(f"{key}.cause.kind", problem, close_to(kind, self.file.causes))
        return CauseTest(tuple(part.kind), tuple(part.status), part.min_score)
