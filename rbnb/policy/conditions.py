"""Conditions over findings and causes, answered yes, no or unknown.

Rules:

- **Three values.** A test of something that was not measured is neither true nor false: it is unknown
  (None), and `all`, `any` and `not` carry that on as in Kleene's strong logic: one false makes `all`
  false and one true makes `any` true whatever else is unknown; otherwise unknown stays unknown.
- **Only a test that names the status ``undefined`` is true of what was not measured.**
- **Absent is undefined.** A finding that nobody made counts as the status its threshold gives to an
  undefined value.
- **Everything is looked at.** Nothing is cut short, so the record of what a branch saw is complete.

Source: S. C. Kleene, Introduction to Metamathematics (1952), §64, the strong three-valued tables.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from rbnb.model import Cause, Finding, FindingStatus, HypothesisStatus

__all__ = [
    "OPERATORS",
    "All",
    "AnyOf",
    "CauseTest",
    "Condition",
    "Evidence",
    "FindingTest",
    "Not",
    "answer",
    "can_be_unknown",
    "deciding_cause",
    "tests_in",
    "undefined_in",
    "what_it_saw",
]

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True)
class FindingTest:
    """Whether a finding has one of `status`, or its value fulfils each of `value`.

    With `anywhere` the findings of single segments count too, and one that fulfils it is enough.
    """

    finding: str
    status: tuple[FindingStatus, ...] = ()
    value: tuple[tuple[str, float], ...] = ()
    anywhere: bool = False


@dataclass(frozen=True, slots=True)
class CauseTest:
    """Whether any hypothesis of one of `kind` stands at one of `status` with at least `min_score`."""

    kind: tuple[str, ...]
    status: tuple[HypothesisStatus, ...] = ("supported",)
    min_score: float | None = None


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Condition


Condition: TypeAlias = FindingTest | CauseTest | All | AnyOf | Not


@dataclass(frozen=True, slots=True)
class Evidence:
    """What conditions are asked about.

    Parameters
    ----------
    findings
        All of them, in the order they were made.
    hypotheses
        The causes, best first (see `Evidence.of`).
    absent
        By signal name, the status that counts where there is no finding.
    """

    findings: tuple[Finding, ...]
    hypotheses: tuple[Cause, ...]
    absent: Mapping[str, FindingStatus]

    @classmethod
    def of(
        cls, findings: Sequence[Finding], hypotheses: Sequence[Cause], absent: Mapping[str, FindingStatus]
    ) -> Evidence:
        """Gather the evidence; causes are put in the order of their rank, unranked ones last."""
        ranked = sorted(hypotheses, key=lambda cause: (cause.rank <= 0, cause.rank))
        return cls(tuple(findings), tuple(ranked), absent)

    def about(self, signal: str, *, anywhere: bool = False) -> list[Finding]:
        """Return the findings about one signal: those that hold everywhere, or in any place."""
        return [f for f in self.findings if f.signal == signal and (anywhere or not f.where)]


def answer(condition: Condition, evidence: Evidence) -> bool | None:
    """Return True, False, or None where the evidence does not say."""
    if isinstance(condition, Not):
        inner = answer(condition.part, evidence)
        return None if inner is None else not inner
    if isinstance(condition, All):
        return _all(answer(part, evidence) for part in condition.parts)
    if isinstance(condition, AnyOf):
        return _any(answer(part, evidence) for part in condition.parts)
    if isinstance(condition, CauseTest):
        return bool(_matching(condition, evidence))
    return _finding_answer(condition, evidence)


def _all(answers: Iterable[bool | None]) -> bool | None:
    seen = set(answers)
    return False if False in seen else None if None in seen else True


def _any(answers: Iterable[bool | None]) -> bool | None:
    seen = set(answers)
    return True if True in seen else None if None in seen else False


def _finding_answer(test: FindingTest, evidence: Evidence) -> bool | None:
    found = evidence.about(test.finding, anywhere=test.anywhere)
    if not found:
        return _holds(test, evidence.absent.get(test.finding, "undefined"), None)
    return _any(_holds(test, f.status, f.value) for f in found)


def _holds(test: FindingTest, status: FindingStatus, value: float | None) -> bool | None:
    if test.status:
        return True if status in test.status else None if status == "undefined" else False
    if status == "undefined" or value is None or not math.isfinite(value):
        return None
    return all(OPERATORS[name](value, limit) for name, limit in test.value)


def _matching(test: CauseTest, evidence: Evidence) -> list[Cause]:
    return [
        cause
        for cause in evidence.hypotheses
        if cause.kind in test.kind
        and cause.status in test.status
        and (test.min_score is None or cause.score >= test.min_score)
    ]


def can_be_unknown(condition: Condition) -> bool:
    """Whether there is evidence under which the condition is neither true nor false.

    Careful on purpose: it looks at the condition alone, so that a finding made by another policy
    can never meet a question that has no way for it.
    """
    return any(isinstance(test, FindingTest) and "undefined" not in test.status for test in tests_in(condition))


def tests_in(condition: Condition) -> Iterator[FindingTest | CauseTest]:
    """Yield the single tests a condition is made of, in the order they are written."""
    if isinstance(condition, Not):
        yield from tests_in(condition.part)
    elif isinstance(condition, (All, AnyOf)):
        for part in condition.parts:
            yield from tests_in(part)
    else:
        yield condition


def deciding_cause(condition: Condition, evidence: Evidence) -> Cause | None:
    """Return the best cause that fulfils a test in `condition`, leaving out what stands under a `not`."""
    if isinstance(condition, CauseTest):
        return next(iter(_matching(condition, evidence)), None)
    if isinstance(condition, (All, AnyOf)):
        found = [deciding_cause(part, evidence) for part in condition.parts]
        return next((cause for cause in found if cause is not None), None)
    return None


def undefined_in(condition: Condition, evidence: Evidence) -> list[tuple[str, str]]:
    """Return the signals of `condition` that were not measured, each with the reason."""
    missing: dict[str, str] = {}
    for test in tests_in(condition):
        if isinstance(test, FindingTest) and _finding_answer(test, evidence) is None:
            found = evidence.about(test.finding, anywhere=test.anywhere)
            missing[test.finding] = next((f.reason for f in found if f.reason), "it was not measured")
    return list(missing.items())


def what_it_saw(condition: Condition, evidence: Evidence) -> dict[str, Any]:
    """Return what each test looked at: by signal its status and value, by kind the causes of that kind."""
    saw: dict[str, Any] = {}
    for test in tests_in(condition):
        if isinstance(test, CauseTest):
            saw[f"cause {' or '.join(test.kind)}"] = [
                {"name": c.name, "status": c.status, "score": c.score}
                for c in evidence.hypotheses
                if c.kind in test.kind
            ]
        else:
            saw[test.finding] = _finding_seen(test, evidence)
    return saw


def _finding_seen(test: FindingTest, evidence: Evidence) -> Any:  # noqa: ANN401 - one record, or one a place
    found = evidence.about(test.finding, anywhere=test.anywhere)
    seen = [{"status": f.status, "value": f.value, "unit": f.unit, "where": f.where} for f in found]
    if not seen:
        status = evidence.absent.get(test.finding, "undefined")
        return {"status": status, "value": None, "unit": "", "where": "", "reason": "not measured"}
    return seen if len(seen) > 1 else seen[0]
