"""From findings and causes to a verdict and a proposal, by the policy's own rules.

Rules:

- The walk through the tree is recorded whole: each question, what it saw, and the way it took.
- A question the evidence does not answer takes its "unknown" way, and the verdict says which
  measurement was missing and why.
- The cause that decided the last branch is the one the texts speak of.
- A leaf may point to other runbooks: what the evidence looks like is said whatever the verdict is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.model import Branch, Cause, Finding, Proposal, Referral, Verdict
from rbnb.policy.conditions import Evidence, answer, deciding_cause, undefined_in, what_it_saw
from rbnb.policy.grammar import Decision, Leaf, Line, Policy, Question
from rbnb.policy.texts import Scope, fill

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["decide", "evidence_of", "texts_scope"]

_BADNESS = {"undefined": 0, "ok": 1, "warning": 2, "breach": 3}


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
    evidence = evidence_of(policy, findings, hypotheses)
    branch: list[Branch] = []
    doubts: list[str] = []
    cause: Cause | None = None
    name = policy.start
    node = policy.nodes[name]
    while isinstance(node, Question):
        took = answer(node.when, evidence)
        step = "unknown" if took is None else "yes" if took else "no"
        target = {"yes": node.yes, "no": node.no, "unknown": node.unknown}[step]
        text = fill(node.question, texts_scope(policy, evidence, cause, facts))
        branch.append(Branch(name, text, what_it_saw(node.when, evidence), f"{step} → {target}"))
        if took is None:
            missing = undefined_in(node.when, evidence)
            doubts.append(f"not answered: {text} " + "; ".join(f"{signal}: {why}" for signal, why in missing))
        elif took:
            cause = deciding_cause(node.when, evidence) or cause
        name, node = target, policy.nodes[target]
    return _conclude(name, node, evidence, texts_scope(policy, evidence, cause, facts), tuple(branch), doubts)


def evidence_of(policy: Policy, findings: Sequence[Finding], hypotheses: Sequence[Cause]) -> Evidence:
    """Return what conditions are held against; a signal that is absent stands as its threshold says."""
    absent = {name: threshold.undefined for name, threshold in policy.thresholds.items()}
    return Evidence.of(findings, hypotheses, absent)


def texts_scope(policy: Policy, evidence: Evidence, cause: Cause | None, facts: Mapping[str, object]) -> Scope:
    """Return what the placeholders of a text are filled from."""
    # of a signal that is measured in places only, such as one a feature, the worst speaks
    worst_first = sorted(evidence.findings, key=lambda finding: -_BADNESS[finding.status])
    first = {f.signal: f for f in reversed(worst_first)}
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
        referrals=_referrals(leaf, evidence, scope),
    )


def _referrals(leaf: Leaf, evidence: Evidence, scope: Scope) -> tuple[Referral, ...]:
    applying = [one for one in leaf.refer if one.when is None or answer(one.when, evidence) is True]
    return tuple({one.to: Referral(one.to, fill(one.because, scope)) for one in reversed(applying)}.values())[::-1]


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
