"""From findings and causes to a verdict, a proposal and a severity, by the policy's own rules.

Rules:

- The walk through the tree is recorded whole: each question, what it saw, and the way it took.
- A question the evidence does not answer takes its "unknown" way, and the verdict says which
  measurement was missing and why.
- The cause that decided the last branch is the one the texts speak of.
- A severity given by a person stands, and says so; what the policy would have said is kept beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.errors import ParameterError
from rbnb.model import Branch, Cause, Finding, Proposal, Severity, Verdict
from rbnb.policy.conditions import Evidence, answer, deciding_cause, undefined_in, what_it_saw
from rbnb.policy.grammar import LEVELS, Decision, Leaf, Line, Policy, Question
from rbnb.policy.texts import Scope, fill

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["decide", "grade"]


def decide(
    policy: Policy, findings: Sequence[Finding], hypotheses: Sequence[Cause], facts: Mapping[str, object]
) -> Decision:
    """Walk the tree and say what stands at its end.

    Parameters
    ----------
    policy
        The tree and its texts.
    findings
        What `judge` made of the signals.
    hypotheses
        The causes, with where each stands.
    facts
        Values for the placeholders the policy declares under ``facts``; what is missing is written
        as "not known", and what the policy does not declare is not used.
    """
    evidence = _evidence(policy, findings, hypotheses)
    branch: list[Branch] = []
    doubts: list[str] = []
    cause: Cause | None = None
    name = policy.start
    node = policy.nodes[name]
    while isinstance(node, Question):
        took = answer(node.when, evidence)
        step = "unknown" if took is None else "yes" if took else "no"
        target = {"yes": node.yes, "no": node.no, "unknown": node.unknown}[step]
        text = fill(node.question, _scope(policy, evidence, cause, facts))
        branch.append(Branch(name, text, what_it_saw(node.when, evidence), f"{step} → {target}"))
        if took is None:
            missing = undefined_in(node.when, evidence)
            doubts.append(f"not answered: {text} " + "; ".join(f"{signal}: {why}" for signal, why in missing))
        elif took:
            cause = deciding_cause(node.when, evidence) or cause
        name, node = target, policy.nodes[target]
    return _conclude(name, node, evidence, _scope(policy, evidence, cause, facts), tuple(branch), doubts)


def _evidence(policy: Policy, findings: Sequence[Finding], hypotheses: Sequence[Cause]) -> Evidence:
    absent = {name: threshold.undefined for name, threshold in policy.thresholds.items()}
    return Evidence.of(findings, hypotheses, absent)


def _scope(policy: Policy, evidence: Evidence, cause: Cause | None, facts: Mapping[str, object]) -> Scope:
    # a signal that is only measured in one place, such as the strongest component, speaks for itself
    first = {f.signal: f for f in reversed(evidence.findings)}
    everywhere = {f.signal: f for f in reversed(evidence.findings) if not f.where}
    best = next((c for c in evidence.hypotheses if c.status == "supported"), None)
    return Scope(first | everywhere, cause or best, facts, policy.facts)


def _conclude(
    name: str, leaf: Leaf, evidence: Evidence, scope: Scope, branch: tuple[Branch, ...], doubts: Iterable[str]
) -> Decision:
    escalate = fill(leaf.escalate, scope)
    because = dict.fromkeys([*_said(leaf.because, evidence, scope), *doubts])
    return Decision(
        verdict=Verdict(leaf.verdict, tuple(because)),
        branch=branch,
        proposal=_proposal(leaf, scope, escalate),
        leaf=name,
        colour=leaf.colour,
        plain={key: " ".join(_said(lines, evidence, scope)) for key, lines in leaf.plain.items()},
        escalate=escalate,
    )


def _said(lines: Iterable[Line], evidence: Evidence, scope: Scope) -> list[str]:
    return [fill(line.text, scope) for line in lines if line.when is None or answer(line.when, evidence) is True]


def _proposal(leaf: Leaf, scope: Scope, escalate: str) -> Proposal | None:
    if leaf.propose == "none":
        return None
    where = scope.facts.get("where")
    place = scope.cause.where if scope.cause else ""
    return Proposal(
        action=leaf.propose,
        because=fill(leaf.why, scope),
        where=place or (where if isinstance(where, str) else ""),
        escalate_to=escalate,
    )


def grade(policy: Policy, findings: Sequence[Finding], hypotheses: Sequence[Cause], given: str | None) -> Severity:
    """Say how bad it is: the first rule that applies, unless a person has said it.

    A rule that reads what was not measured does not apply, and the reasons say that it could not be told.

    Raises
    ------
    ParameterError
        If `given` is not one of SEV1 to SEV4.
    """
    if given is not None and given not in LEVELS:
        raise ParameterError(f"{given!r} is not a severity", hint=f"use one of {', '.join(LEVELS)}")
    evidence = _evidence(policy, findings, hypotheses)
    scope = _scope(policy, evidence, None, {})
    doubts: list[str] = []
    for rule in policy.severity:
        applies = True if rule.when is None else answer(rule.when, evidence)
        if applies:
            reasons = (fill(rule.because, scope), *dict.fromkeys(doubts))
            return _by_hand(given, rule.level, reasons) if given else Severity(rule.level, reasons)
        if applies is None and rule.when is not None:
            missing = ", ".join(signal for signal, _ in undefined_in(rule.when, evidence))
            doubts.append(f"whether it is {rule.level} could not be told: {missing} not measured")
    raise AssertionError("the last severity rule applies always; load_policy holds that")


def _by_hand(given: str, level: str, reasons: tuple[str, ...]) -> Severity:
    return Severity(given, (f"{given} was given by a person", f"the policy says {level}: {reasons[0]}", *reasons[1:]))
