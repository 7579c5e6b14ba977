"""Detection and triage: findings with their thresholds, the verdict, and what speaks for and against each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.case.stages.parts import fact, is_context, listed
from rbnb.policy import show
from rbnb.view import Facts, Note, Table, columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rbnb.model import Cause, Finding, Severity
    from rbnb.policy import Decision
    from rbnb.view import View

__all__ = ["branch_table", "finding_table", "for_and_against", "referral_notes", "verdict_facts"]


def finding_table(title: str, findings: Sequence[Finding], note: str = "") -> Table:
    """List findings with value, interval, threshold and status; context has a value and no status."""
    placed = any(finding.where for finding in findings)
    heads = ["signal|code", "where|code", "value|number", "95 % interval|number", "usual|number", "n|number"]
    heads += ["threshold", "status|status", "how it was measured"]
    rows = [
        (
            finding.signal,
            finding.where or "everywhere",
            show(finding.value, finding.unit),
            _interval(finding),
            show(finding.reference, finding.unit) if finding.reference is not None else None,
            finding.n,
            None if is_context(finding) else _limits(finding.threshold),
            None if is_context(finding) and finding.status == "ok" else finding.status,
            finding.reason or finding.method,
        )
        for finding in findings
    ]
    if not placed:
        del heads[1]
        rows = [(row[0], *row[2:]) for row in rows]  # type: ignore[misc]
    if any(_CAREFUL in finding.threshold for finding in findings):
        careful = "A threshold is held against the careful end of the interval, so that few requests do not page."
        note = f"{note} {careful}".strip()
    return Table(title, columns(*heads), tuple(rows), note)


_CAREFUL = ", by the "


def _limits(threshold: str) -> str:
    return threshold.partition(_CAREFUL)[0]


def _interval(finding: Finding) -> str | None:
    if finding.interval is None:
        return None
    low, high = finding.interval
    return f"{show(low, finding.unit)} to {show(high, finding.unit)}"


def verdict_facts(decision: Decision, severity: Severity) -> Facts:
    """Say the verdict and why."""
    return Facts(
        (
            fact("Verdict", decision.verdict.name, kind="status"),
            fact("Because", "; ".join(decision.verdict.because)),
            fact("Severity", severity.level),
            fact("Severity because", "; ".join(severity.reasons)),
            fact("Escalate to", decision.escalate or None),
        ),
        "Verdict",
    )


def referral_notes(decision: Decision, model: str) -> list[View]:
    """Point to the other runbooks that the evidence looks like."""
    return [
        Note(f"This looks like {one.runbook}: {one.because}. Next: rbnb run {one.runbook} --model {model}", "warning")
        for one in decision.referrals
    ]


def for_and_against(findings: Sequence[Finding], causes: Sequence[Cause]) -> Table:
    """List for each possible verdict what speaks for it and what against."""
    by_name = {finding.signal: finding for finding in findings}
    bad = [f"{f.signal} {show(f.value, f.unit)}" for f in findings if f.status == "breach"]
    unknown = [f.signal for f in findings if f.status == "undefined"]
    outside = [c for c in causes if c.kind in ("dependency", "host", "infrastructure")]
    supported = [c.name for c in outside if c.status == "supported"]
    recovered, lasted = by_name.get("recovered"), by_name.get("duration")
    over = recovered is not None and recovered.value == 1
    long = show(lasted.value, "minutes") if lasted and lasted.value is not None else ""
    going_on = f"still going on after {long}" if long and not over else ""
    rows = (
        ("healthy", listed([] if bad else ["no threshold is breached"]), listed(bad)),
        ("transient", "back to normal" if over else "", going_on),
        ("infrastructure", listed(supported), "" if supported else "no dependency or host is supported as the cause"),
        ("genuine", listed([going_on] if going_on and bad else []), "over already" if over else listed(supported)),
        (
            "inconclusive",
            listed([f"{name} is undefined" for name in unknown]),
            "" if unknown else "everything needed was measured",
        ),
    )
    return Table("What speaks for and against each", columns("verdict|status", "for", "against"), rows)


def branch_table(decision: Decision) -> Table:
    """List the way through the decision tree."""
    heads = columns("node|code", "question", "saw", "took|code")
    rows = tuple(
        (b.node, b.question, "; ".join(f"{k}: {v}" for k, v in b.saw.items()), b.took) for b in decision.branch
    )
    return Table("The way through the decision tree", heads, rows, f"ended at {decision.leaf}")
