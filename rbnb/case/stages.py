"""What the stages of a runbook show: one function a view, from facts to tables, with nothing measured or judged."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rbnb.governance import due
from rbnb.model import Window
from rbnb.policy import show
from rbnb.times import format_duration, format_time
from rbnb.view import Commands, Facts, Note, Table, columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rbnb.catalog import RenderedAction
    from rbnb.config import WorkspaceFile
    from rbnb.governance import Compliance, Response
    from rbnb.inventory import ModelFile
    from rbnb.ledger import Entry
    from rbnb.model import Cause, Finding, Material, NotMeasured, Severity
    from rbnb.policy import Decision, Policy
    from rbnb.scope import Scope
    from rbnb.templates import Template
    from rbnb.view import View

__all__ = [
    "branch_table",
    "containment",
    "decision_record",
    "finding_table",
    "for_and_against",
    "governance",
    "header_facts",
    "learning",
    "links",
    "material_table",
    "monitoring",
    "proposal_record",
    "referral_notes",
    "remediation",
    "rerun_commands",
    "responsibility_facts",
    "verdict_facts",
    "window_facts",
]


def header_facts(model: ModelFile, scope: Scope, template: Template, parameters: Mapping[str, Any]) -> Facts:
    """Say which model, which runbook, and which time."""
    return Facts(
        (
            _fact("Model", f"{model.name} {model.version}".strip()),
            _fact("What it does", model.description or None),
            _fact("Environment", model.environment),
            _fact("Known good version", model.known_good_version),
            _fact("Registry", model.registry, kind="code"),
            _fact("Runbook", f"{template.name} {template.version}"),
            _fact("Incident", str(parameters.get("incident", "")) or "none: run outside an incident"),
            _fact("Window", _span(scope.window)),
            _fact("Reference", _span(scope.reference)),
            _fact("Peak load", _peak(model, scope)),
        ),
        "What this is about",
    )


def _fact(label: str, value: Any, kind: str = "text", link: str = "") -> dict[str, Any]:  # noqa: ANN401
    return {"label": label, "value": value, "kind": kind} | ({"link": link} if link else {})


def _span(window: Window) -> str:
    start, end = window.start, window.end
    if start.date() == end.date():
        return f"{start:%a %d %b %Y, %H:%M}–{end:%H:%M} UTC"
    return f"{start:%a %d %b %Y, %H:%M} – {end:%a %d %b, %H:%M} UTC"


def _peak(model: ModelFile, scope: Scope) -> str | None:
    peak = model.peak_window
    if peak is None:
        return None
    inside = peak.touches(scope.window.start, scope.window.end)
    return f"{peak.days} {peak.start}–{peak.end} UTC; the window {'falls into it' if inside else 'lies outside it'}"


def responsibility_facts(model: ModelFile, workspace: WorkspaceFile, severity: str) -> Facts:
    """Say who is responsible."""
    roles = [
        _fact(role.replace("_", " ").capitalize(), ", ".join(held.people) or None)
        for role, held in workspace.roles.items()
    ]
    on_call = model.on_call
    return Facts(
        (
            _fact("Owner", model.owner or None),
            _fact("On call", on_call.rotation if on_call else None),
            _fact("Escalation", " → ".join(on_call.escalation) if on_call and on_call.escalation else None),
            _fact("Severity", severity or "computed at triage"),
            *roles,
        ),
        "Who is responsible",
    )


def links(model: ModelFile) -> Facts | None:
    """List the model's links, or nothing."""
    if not model.links:
        return None
    items = tuple(_fact(name.replace("_", " ").capitalize(), url, link=url) for name, url in model.links.items())
    return Facts(items, "Links")


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
            None if _context(finding) else _limits(finding.threshold),
            None if _context(finding) and finding.status == "ok" else finding.status,
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


def _context(finding: Finding) -> bool:
    return finding.threshold.startswith("none")


def _interval(finding: Finding) -> str | None:
    if finding.interval is None:
        return None
    low, high = finding.interval
    return f"{show(low, finding.unit)} to {show(high, finding.unit)}"


def verdict_facts(decision: Decision, severity: Severity) -> Facts:
    """Say the verdict and why."""
    return Facts(
        (
            _fact("Verdict", decision.verdict.name, kind="status"),
            _fact("Because", "; ".join(decision.verdict.because)),
            _fact("Severity", severity.level),
            _fact("Severity because", "; ".join(severity.reasons)),
            _fact("Escalate to", decision.escalate or None),
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
        ("healthy", _list([] if bad else ["no threshold is breached"]), _list(bad)),
        ("transient", "back to normal" if over else "", going_on),
        ("infrastructure", _list(supported), "" if supported else "no dependency or host is supported as the cause"),
        ("genuine", _list([going_on] if going_on and bad else []), "over already" if over else _list(supported)),
        (
            "inconclusive",
            _list([f"{name} is undefined" for name in unknown]),
            "" if unknown else "everything needed was measured",
        ),
    )
    return Table("What speaks for and against each", columns("verdict|status", "for", "against"), rows)


def _list(items: Sequence[str], most: int = 4) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return "; ".join(items[:most]) + more


def window_facts(scope: Scope) -> Facts:
    """Say which spans were compared."""
    left_out = ", ".join(_epochs(low, high) for low, high in scope.leave_out)
    return Facts(
        (
            _fact("Window", _span(scope.window)),
            _fact("Reference", _span(scope.reference)),
            _fact("Bucket", f"{scope.bucket} s"),
            _fact("Clock", format_time(scope.now)),
            _fact("Left out of the reference", left_out or "nothing"),
        ),
        "Windows",
    )


def _epochs(low: int, high: int) -> str:
    return _span(Window(datetime.fromtimestamp(low, UTC), datetime.fromtimestamp(high, UTC)))


def material_table(materials: Sequence[Material]) -> Table:
    """List the sources with rows and digest."""
    heads = columns("source", "table|code", "from|time", "to|time", "rows|number", "digest|code")
    rows = tuple(
        (m.source, m.table, m.window.start if m.window else None, m.window.end if m.window else None, m.rows, m.digest)
        for m in materials
    )
    return Table(
        "What was read", heads, rows, "A digest covers the whole files; rows are those in window and reference."
    )


def rerun_commands(template: str, parameters: Mapping[str, Any], scope: Scope, query: str) -> Commands:
    """Give the commands that run this again, and the query behind the series."""
    at = format_time(scope.window.end)
    given = {**parameters, "at": at}
    plain = [f"-p {name} {shlex.quote(str(value))}" for name, value in given.items() if value not in ("", None)]
    window = str(parameters.get("window", "2h"))
    model = str(parameters["model"])
    return Commands(
        "Run this again",
        (
            {
                "label": "with rbnb",
                "command": shlex.join(["rbnb", "run", template, "--model", model, "--at", at, "--window", window]),
            },
            {
                "label": "with papermill alone",
                "command": f"papermill notebook_templates/{template}.ipynb out.ipynb {' '.join(plain)}",
            },
            {"label": "the query behind the series", "command": query},
        ),
    )


def branch_table(decision: Decision) -> Table:
    """List the way through the decision tree."""
    heads = columns("node|code", "question", "saw", "took|code")
    rows = tuple(
        (b.node, b.question, "; ".join(f"{k}: {v}" for k, v in b.saw.items()), b.took) for b in decision.branch
    )
    return Table("The way through the decision tree", heads, rows, f"ended at {decision.leaf}")


def _seen(saw: Mapping[str, Any]) -> str:
    """Write what a question saw; of many findings those that are not ok."""
    told = []
    for name, value in saw.items():
        if isinstance(value, dict):
            told.append(
                (str(value.get("status", "")), f"{name} {show(value.get('value'), str(value.get('unit', '')))}")
            )
        elif isinstance(value, list):
            told += [("cause", f"{one.get('name')} ({one.get('status')})") for one in value if isinstance(one, dict)]
        else:
            told.append(("", f"{name} {value}"))
    loud = [text for status, text in told if status != "ok"]
    return _list(loud if loud and len(told) > 4 else [text for _, text in told], 6)


def containment(
    decision: Decision, severity: Severity, options: Mapping[str, RenderedAction], response: Response
) -> list[View]:
    """Show the proposal with its commands, the alternatives, and the communication plan."""
    shown: list[View] = []
    proposal = decision.proposal
    if proposal is None:
        shown.append(Note("Nothing is proposed.", "ok" if decision.verdict.name == "healthy" else "info"))
    for name, action in options.items():
        if proposal is not None and name == proposal.action:
            shown.append(Note(f"Proposed: {action.title.lower()}. {proposal.because}", "warning"))
            shown.append(_action_facts(action))
            shown.append(_action_commands(f"{action.title}: the exact commands", action))
    others = {name: action for name, action in options.items() if proposal is None or name != proposal.action}
    if others:
        shown.append(_alternatives(others))
    level = response.levels[severity.level]  # type: ignore[index]
    heads = columns("who", "is told", "by", "through", "how often")
    rows = tuple(
        (a.who, a.told, a.by, a.channel, f"every {format_duration(level.update_every)}")
        for a in response.told(severity.level)
    )
    shown.append(Table(f"Communication plan, status {decision.colour}", heads, rows))
    return shown


def _action_facts(action: RenderedAction) -> Facts:
    return Facts(
        (
            _fact("Objective", action.objective),
            _fact("Expected outcome", action.expected_outcome),
            _fact("Risk", action.risk),
            _fact("Blast radius", action.blast_radius),
            _fact("Preconditions", " ".join(step.text for step in action.preconditions) or None),
            _fact("Safety check", action.safety_check),
            _fact("By hand", action.manual),
            _fact(
                "Values to fill in", "; ".join(f"<{name}>: {action.help[name]}" for name in action.missing) or "none"
            ),
        )
    )


def _action_commands(title: str, action: RenderedAction) -> Commands:
    checks = [("precondition", step) for step in action.preconditions if step.display]
    steps = [
        ("dry run", action.dry_run),
        ("execute", action.execute),
        ("verify", action.verify),
        ("roll back", action.rollback),
    ]
    items = tuple(
        {"label": label, "command": step.display, "note": step.text}
        for label, step in [*checks, *steps]
        if step is not None
    )
    return Commands(title, items)


def _alternatives(others: Mapping[str, RenderedAction]) -> Table:
    heads = columns("action|code", "what it is for", "risk", "approvals|number", "command|code", "rollback|code")
    rows = tuple(
        (
            name,
            a.objective,
            a.risk,
            a.approvals,
            a.execute.display if a.execute else "",
            a.rollback.display if a.rollback else "",
        )
        for name, a in others.items()
    )
    return Table("Alternatives", heads, rows, "Nothing is executed here; a person decides.")


def proposal_record(
    decision: Decision, severity: Severity, options: Mapping[str, RenderedAction]
) -> dict[str, Any] | None:
    """Return the proposal as it stands in the record."""
    proposal = decision.proposal
    if proposal is None:
        return None
    action = options.get(proposal.action)
    needed = action.approvals if action else 1
    return {
        "action": proposal.action,
        "because": proposal.because,
        "where": proposal.where,
        "values": dict(action.values) if action else {},
        "missing": list(action.missing) if action else [],
        "approvals": 2 if severity.level == "SEV1" and needed else needed,
        "escalate_to": proposal.escalate_to,
        "command": action.execute.display if action and action.execute else "",
        "rollback": action.rollback.display if action and action.rollback else "",
    }


def remediation(model: ModelFile, findings: Sequence[Finding], criteria: Sequence[tuple[str, str]]) -> list[View]:
    """Show the known-good state and the acceptance criteria: what fired, and what the model file asks for."""
    fired = [f for f in findings if f.status in ("breach", "warning") and not _context(f)]
    rows: list[tuple[Any, ...]] = [
        (
            f.signal,
            show(f.value, f.unit),
            f"no longer: {f.threshold}",
            "the same check, in two windows that follow each other",
        )
        for f in fired
    ]
    rows += [(name, "see above", limit, "two windows at comparable load") for name, limit in criteria]
    rows += [
        (
            f"fairness by {name}",
            "not measured by this runbook",
            "no group worse off than before",
            "the same checks by group",
        )
        for name in model.governance.fairness_segments
    ]
    if not any(f.signal.startswith("performance") for f in findings):
        how = "data_drift, once labels have arrived"
        rows.append(("quality of decisions", "not measured by this runbook", "no worse than before", how))
    good = Facts(
        (
            _fact("Known good version", model.known_good_version),
            _fact("Runs now", model.version or None),
            _fact("Rollback plan", "the rollback command of the action that was taken; then this runbook again"),
        ),
        "Known-good state",
    )
    heads = columns("criterion|code", "now|number", "must be", "how it is checked")
    return [
        good,
        Table("Acceptance criteria", heads, tuple(rows), "It counts as over when all are met, with numbers on record."),
    ]


def monitoring(
    findings: Sequence[Finding],
    causes: Sequence[Cause],
    severity: Severity,
    response: Response,
    watch: Sequence[str],
    otherwise: str,
) -> list[View]:
    """Show what to watch, how often, and what puts a rollout on hold."""
    level = response.levels[severity.level]  # type: ignore[index]
    often = format_duration(min(level.acknowledge, level.update_every))
    fired = dict.fromkeys(f.signal for f in findings if f.status == "breach" and not _context(f))
    limits = {f.signal: f.threshold for f in findings}
    rows: list[tuple[Any, ...]] = [
        (name, f"every {often}", limits.get(name, ""), "the threshold is reached again") for name in list(fired)[:8]
    ]
    rows += [
        (c.name, f"every {often}", "its usual range for this hour", "it leaves that range")
        for c in causes
        if c.status == "supported"
    ]
    rows += [(name, f"every {often}", "", "it gets worse") for name in watch]
    if not rows:
        otherwise = otherwise or findings[0].signal if findings else "the model's owner decides"
        rows = [(otherwise, f"every {often}", limits.get(otherwise, ""), "the threshold is reached")]
    heads = columns("what|code", "how often", "limit", "puts a rollout on hold when")
    note = f"Review meeting within {format_duration(level.review_within)} ({severity.level})."
    return [Table("What to watch from here on", heads, tuple(rows), note)]


def governance(
    model: ModelFile,
    findings: Sequence[Finding],
    decision: Decision,
    severity: Severity,
    scope: Scope,
    response: Response,
    compliance: Compliance,
    policy: Policy,
) -> list[View]:
    """Show risk, approvals, what is due, and the rules that may be touched."""
    by_name = {f.signal: f for f in findings}
    touched, lasted = by_name.get(policy.affected), by_name.get("duration")
    level = response.levels[severity.level]  # type: ignore[index]
    risk = Facts(
        (
            _fact(
                "Harm",
                f"{policy.harm} ({model.name})"
                if decision.verdict.name not in ("healthy", "inconclusive")
                else "none found",
            ),
            _fact(
                "Who is affected",
                f"{policy.affected} {show(touched.value, touched.unit)}"
                if touched and touched.value is not None
                else "not known",
            ),
            _fact(
                "For how long", show(lasted.value, "minutes") if lasted and lasted.value is not None else "not known"
            ),
            _fact("Severity", f"{severity.level}: {'; '.join(severity.reasons)}"),
            _fact("Mitigation", decision.proposal.action if decision.proposal else "none proposed", kind="code"),
            _fact("Data it handles", ", ".join(model.governance.data) or None),
            _fact("Approvals this severity asks for", level.approvers),
        ),
        "Risk",
    )
    dates = tuple((what, moment) for what, moment in due(level, scope.window.end))
    timers = Table(
        f"Due at {severity.level}",
        columns("what", "by|time"),
        dates,
        "counted from the end of the window, when it was detected",
    )
    items = compliance.touching(model.governance.frameworks, model.governance.data)
    rows = tuple((i.id, i.text, format_duration(i.deadline) if i.deadline else None, i.evidence) for i in items)
    heads = columns("item|code", "in our words", "clock", "what this record offers")
    note = f"Not legal advice; whether an item applies is for counsel to say. Checked on {compliance.checked_on}."
    return [risk, timers, Table("Rules this may touch", heads, rows, note)]


def decision_record(
    decision: Decision, severity: Severity, history: Sequence[Entry], not_measured: Sequence[NotMeasured]
) -> list[View]:
    """Show the proposal, what was decided, what is open, and what was not measured."""
    proposal = decision.proposal
    made = [entry for entry in history if entry.kind == "decision.made"]
    rows = tuple((e.at, e.by, e.body.get("choice"), e.body.get("because")) for e in made)
    decided: View = (
        Table("Decisions", columns("at|time", "by", "choice|code", "because"), rows)
        if rows
        else Note("No decision is on record yet.")
    )
    facts = Facts(
        (
            _fact("Verdict", decision.verdict.name, kind="status"),
            _fact("Severity", severity.level),
            _fact("Proposed", proposal.action if proposal else "nothing", kind="code"),
            _fact("Why", proposal.because if proposal else None),
            _fact("Open", "a person's decision" if proposal and not made else "nothing"),
        ),
        "For decision",
    )
    missing = Table(
        "Not measured",
        columns("what", "why"),
        tuple((n.what, n.why) for n in not_measured),
        "" if not_measured else "everything this runbook knows was measured",
    )
    return [facts, decided, missing]


def learning(model: ModelFile, findings: Sequence[Finding], decision: Decision) -> list[View]:
    """Show the questions for the review, with what this run can say to them."""
    warned = [f.signal for f in findings if f.status == "warning"]
    unknown = [f.signal for f in findings if f.status == "undefined"]
    rows = (
        ("Who or what noticed first, and could it have been sooner?", "compare the onset with when the page went out"),
        (
            "Did the verdict hold up?",
            f"it was {decision.verdict.name}, by way of {' → '.join(b.node for b in decision.branch)}",
        ),
        ("Which thresholds should move?", f"near the limit: {', '.join(warned) or 'none'}"),
        ("What could not be measured, and should be?", ", ".join(unknown) or "see the list of what was not measured"),
        ("What went well by luck?", ""),
        ("Which change request or experiment belongs to this?", model.links.get("change_requests", "")),
    )
    return [Table("Questions for the review", columns("question", "what this run says"), rows)]
