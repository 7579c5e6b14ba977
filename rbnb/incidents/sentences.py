"""A sentence for each kind of entry, in plain words; see `rbnb.incidents.timeline`.

A teller is given an entry's body and who wrote it, and returns a sentence. It reads the body as hostile: any key may
be missing, and any value may be of another type than it should be. Actions keep the names by which they are typed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rbnb.text import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Body = Mapping[str, Any]
    Teller = Callable[[Body, str], str]

__all__ = ["RESOLUTIONS", "TELLERS", "VERDICTS", "doing", "refused", "unknown"]

#: What a verdict says to somebody who is not from the field.
VERDICTS = {
    "healthy": "no incident was found",
    "genuine": "something is really wrong",
    "transient": "something was wrong and has passed by itself",
    "infrastructure": "the infrastructure is in trouble, not the model",
    "inconclusive": "it cannot be told, which is not an all-clear",
}

#: What a resolution says.
RESOLUTIONS = {
    "genuine_fixed": "a genuine incident that was fixed",
    "transient": "a disturbance that passed by itself",
    "infrastructure": "trouble of the infrastructure",
    "false_alarm": "a false alarm",
    "duplicate": "a duplicate of another incident",
}

_OUTCOMES = {
    "done": "ended without an error",
    "failed": "failed",
    "timed_out": "was stopped, because it took too long",
    "interrupted": "was interrupted",
}


def _text(value: object, limit: int = 1000) -> str:
    """Return a value as the words it is."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(filter(None, (_text(item, limit) for item in value)))
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item, limit)}" for key, item in value.items())
    return visible(value, limit).strip()


def _of(body: Body, key: str, otherwise: str = "") -> str:
    return _text(body.get(key)) or otherwise


def _name(body: Body, key: str, otherwise: str) -> str:
    """Return a name of ours, such as ``shift_traffic``, as words."""
    return _of(body, key, otherwise).replace("_", " ")


def _why(body: Body, key: str = "because") -> str:
    """Return the reason as the end of a sentence."""
    reason = _of(body, key)
    return f": {_stop(reason)}" if reason else "."


def _stop(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def _maps(value: object) -> list[Body]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _opened(body: Body, by: str) -> str:
    where = f" ({_of(body, 'environment')})" if _of(body, "environment") else ""
    runbook = f" with the runbook {_of(body, 'template')}" if _of(body, "template") else ""
    return f"{by} opened the incident for {_of(body, 'model', 'a model that is not named')}{where}{runbook}."


def _acknowledged(_: Body, by: str) -> str:
    return f"{by} acknowledged the incident: somebody is looking at it."


def _assigned(body: Body, by: str) -> str:
    return f"{by} made {_of(body, 'person', 'somebody')} {_name(body, 'role', 'part of the team')}."


def _graded(body: Body, by: str) -> str:
    was = f", it was {_of(body, 'was')}" if _of(body, "was") else ""
    return f"{by} set the severity to {_of(body, 'level', 'a level that is not named')}{was}{_why(body)}"


def _moved(body: Body, by: str) -> str:
    return f"{by} set the status to {_of(body, 'status', 'one that is not named')} by hand{_why(body)}"


def _closed(body: Body, by: str) -> str:
    resolution = _of(body, "resolution")
    told = RESOLUTIONS.get(resolution, resolution.replace("_", " ") or "without a resolution")
    of = f" ({_of(body, 'of')})" if _of(body, "of") else ""
    if body.get("accepted") is True:
        how = " It had met its acceptance criteria."
    else:
        by_whom = _of(body, "exception_by")
        how = f" It was closed without acceptance{f', which {by_whom} approved' if by_whom else ''}."
    return f"{by} closed the incident as {told}{of}{_why(body)}{how}"


def _reopened(body: Body, by: str) -> str:
    return f"{by} opened the incident again{_why(body)}"


def _run_started(body: Body, by: str) -> str:
    template = body.get("template")
    name = _of(template, "name") if isinstance(template, dict) else _text(template)
    runbook = f"the runbook {name}" if name else "a runbook"
    on = f" on {_of(body, 'model')}" if _of(body, "model") else ""
    return f"{by} started {runbook}{on} (run {_of(body, 'run', 'without a name')})."


def _run_finished(body: Body, _: str) -> str:
    verdict = _of(body, "verdict", "none")
    level = f"; severity {_of(body, 'severity')}" if _of(body, "severity") else ""
    meaning = f" ({VERDICTS[verdict]})" if verdict in VERDICTS else ""
    return f"Run {_of(body, 'run', 'without a name')} found: {verdict}{meaning}{level}."


def _run_failed(body: Body, _: str) -> str:
    error = _of(body, "error")
    status = _name(body, "status", "failed")
    return (
        f"Run {_of(body, 'run', 'without a name')} did not complete ({status}){f': {_stop(error)}' if error else '.'}"
    )


def _observed(body: Body, by: str) -> str:
    seen, about = _of(body, "seen_at"), _of(body, "about")
    where = "; ".join(filter(None, [f"seen {seen}" if seen else "", f"about {about}" if about else ""]))
    who = _of(body, "by", by)
    noted = "" if who == by else f" {by} put it on record."
    return f"{who} reported: “{_of(body, 'text')}”{f' ({where})' if where else ''}.{noted}"


def _analysed(body: Body, by: str) -> str:
    return f"{by} went on in a copy of the notebook ({_of(body, 'file', 'file not named')})."


def _decided(body: Body, by: str) -> str:
    choice, proposed = _of(body, "choice", "something that is not named"), _of(body, "proposed")
    if body.get("follows_proposal") is True:
        how = ", as proposed"
    else:
        how = f", where {proposed} was proposed" if proposed and proposed != choice else ""
    turned_down = [
        f"{_of(r, 'option', 'an option')}{f' ({why})' if (why := _of(r, 'because')) else ''}" for r in _rejected(body)
    ]
    rest = f" Turned down: {'; '.join(turned_down)}." if turned_down else ""
    return f"{by} decided on {choice}{how}{_why(body)}{rest}"


def _rejected(body: Body) -> list[Body]:
    return _maps(body.get("rejected"))


def _subject(body: Body) -> str:
    subject = _of(body, "subject", "something that is not named")
    return "closing the incident without acceptance" if subject == "close" else subject


def _identity(body: Body) -> str:
    if body.get("identity") == "verified":
        key = _of(body, "key")
        return f"identity verified by an SSH signature{f', key {one_line(key, 60)}' if key else ''}"
    return "identity asserted, not proved"


def _approved(body: Body, by: str) -> str:
    until = f"; valid until {_of(body, 'expires_at')}" if _of(body, "expires_at") else ""
    return f"{by} approved {_subject(body)} ({_identity(body)}{until}){_why(body)}"


def _disapproved(body: Body, by: str) -> str:
    return f"{by} rejected {_subject(body)} ({_identity(body)}){_why(body)}"


def _withdrawn(body: Body, by: str) -> str:
    return f"{by} took back what they had said about {_subject(body)} ({_identity(body)}){_why(body)}"


def _evidence(body: Body, by: str) -> str:
    files = _maps(body.get("files"))
    size = sum(f["bytes"] for f in files if isinstance(f.get("bytes"), int))
    return f"{by} secured the evidence ({_plural(len(files), 'file')}, {_plural(size, 'byte')}){_why(body)}"


def _doing(body: Body) -> str:
    action = _of(body, "action", "an action that is not named")
    return f"the rollback of {action}" if body.get("way") == "rollback" else action


def _tried(body: Body, by: str) -> str:
    outcome = _of(body, "outcome")
    ended = f" It {_OUTCOMES.get(outcome, f'ended: {outcome}')}." if outcome else ""
    return f"{by} tried {_doing(body)} as a dry run, which changes nothing.{ended}"


def _act_started(body: Body, by: str) -> str:
    where = f" on {_of(body, 'host')}" if _of(body, "host") else ""
    return f"{by} started {_doing(body)}{where} (attempt {_of(body, 'attempt', 'without a number')})."


def _act_finished(body: Body, _: str) -> str:
    outcome = _of(body, "outcome")
    seconds = f" after {_of(body, 'seconds')} s" if _of(body, "seconds") else ""
    code = body.get("exit")
    left = f" (code {code})" if isinstance(code, int) and outcome != "done" else ""
    told = _OUTCOMES.get(outcome, outcome.replace("_", " ") or "ended, and nobody knows how")
    return f"{_subject_of(body)} {told}{seconds}{left}."


def _subject_of(body: Body) -> str:
    """Return what was done, as a sentence begins with it."""
    done = _doing(body)
    return f"T{done[1:]}" if body.get("way") == "rollback" else f"The action {done}"


def _act_verified(body: Body, by: str) -> str:
    if body.get("by_hand") is True:
        return f"{by} says that {_doing(body)} took effect: {_of(body, 'seen')}. Nothing was measured."
    seen, expected = _of(body, "seen"), _of(body, "expected")
    told = [f"expected “{expected}”" if expected else "", f"saw “{seen}”" if seen else ""]
    numbers = f": {', '.join(filter(None, told))}" if any(told) else ""
    tries, seconds = _of(body, "tries"), _of(body, "seconds")
    after = f", {tries} {'try' if tries == '1' else 'tries'}{f' in {seconds} s' if seconds else ''}" if tries else ""
    what = "was seen to have taken effect" if body.get("held") is True else "was not seen to take effect"
    return f"{_subject_of(body)} {what}{numbers}{after}."


def _explained(body: Body, by: str) -> str:
    done = {"done": "it had been done", "not_done": "it had not been done"}
    what = done.get(_of(body, "what"), "what had become of it is not said")
    return f"{by} looked at attempt {_of(body, 'attempt', 'without a number')}, which was cut off: {what}{_why(body)}"


def _accepted(body: Body, by: str) -> str:
    criteria = _maps(body.get("criteria"))
    failing = [c for c in criteria if c.get("met") is not True]
    count = f" ({len(criteria) - len(failing)} of {_plural(len(criteria), 'criterion', 'criteria')} hold)"
    said = f"{by} measured anew: the acceptance criteria are {'met' if body.get('met') is True else 'not met'}"
    missed = "; ".join(_criterion(c) for c in failing[:6])
    return f"{said}{count if criteria else ''}{f': {missed}' if missed else ''}."


def _criterion(criterion: Body) -> str:
    where = f" ({_of(criterion, 'where')})" if _of(criterion, "where") else ""
    value = _of(criterion, "value", "not measured")
    unit = f" {_of(criterion, 'unit')}" if _of(criterion, "unit") and _of(criterion, "value") else ""
    name = _name(criterion, "name", "a criterion")
    return f"{name}{where} {value}{unit}, limit {_of(criterion, 'limit', 'not named')}"


def _watch_started(body: Body, by: str) -> str:
    if body.get("for") == "once":
        return f"{by} looked once at what had fired."
    every = f" every {_of(body, 'every')}" if _of(body, "every") else ""
    long = f" for {_of(body, 'for')}" if _of(body, "for") else ""
    return f"{by} began to watch the model{every}{long}."


def _sampled(body: Body, _: str) -> str:
    values = body.get("values")
    seen = [
        f"{str(name).replace('_', ' ')} {_reading(value)}"
        for name, value in (values if isinstance(values, dict) else {}).items()
    ]
    return f"Watching: {', '.join(seen) or 'nothing could be measured'}."


def _reading(value: object) -> str:
    if not isinstance(value, dict):
        return _text(value) or "not measured"
    status = f" ({_of(value, 'status')})" if _of(value, "status") else ""
    return f"{_of(value, 'value', 'not measured')}{status}"


def _held(body: Body, _: str) -> str:
    item = _name(body, "item", "")
    seen = f" ({item} {_of(body, 'value', 'not measured')}, limit {_of(body, 'limit', 'not named')})" if item else ""
    return f"The rollout was put on hold{seen}{_why(body)}"


def _released(body: Body, by: str) -> str:
    return f"{by} released the rollout{_why(body)}"


def _update_written(body: Body, by: str) -> str:
    colour = f", status {_of(body, 'colour')}" if _of(body, "colour") else ""
    return f"{by} wrote an update for {_of(body, 'audience', 'an audience that is not named')}{colour}."


def _update_sent(body: Body, _: str) -> str:
    through = f" through {_of(body, 'through')}" if _of(body, "through") else ""
    return f"The update for {_of(body, 'audience', 'an audience that is not named')} was sent{through}."


def _update_failed(body: Body, _: str) -> str:
    through = f" through {_of(body, 'through')}" if _of(body, "through") else ""
    audience = _of(body, "audience", "an audience that is not named")
    return f"The update for {audience} could not be sent{through}{_why(body, 'why')}"


def _answered(body: Body, by: str) -> str:
    says = {"yes": "it applies", "no": "it does not apply", "unknown": "it is not known whether it applies"}
    answer = says.get(_of(body, "applies"), "no answer is on record")
    return f"{by} answered for the rule {_of(body, 'item', 'that is not named')}: {answer}{_why(body)}"


def _assessed(body: Body, by: str) -> str:
    residual = _of(body, "residual") or _of(body, "residual_risk")
    harm = f": {_stop(_of(body, 'harm'))}" if _of(body, "harm") else "."
    return f"{by} assessed the risk{harm}{f' What remains: {_stop(residual)}' if residual else ''}"


def refused(body: Body, by: str) -> str:
    """Tell what somebody tried and was not allowed to do."""
    return f"{by} wanted to {doing(_of(body, 'operation'), _of(body, 'subject'))}, and was refused{_why(body, 'why')}"


def doing(operation: str, subject: str = "") -> str:
    """Say an operation in words, with what it is about."""
    wanted = _WANTED.get(operation, operation.replace("_", " ") or "do something")
    if operation in _DOES_ITS_SUBJECT:
        return f"{wanted} {_subject({'subject': subject}) if subject else 'something'}"
    return f"{wanted}{f' ({subject})' if subject else ''}"


#: What is done to what the entry names, as in "approve shift_traffic".
_DOES_ITS_SUBJECT = ("act", "approve", "reject", "rollback", "dry_run", "decide")
_WANTED = {
    "note": "put an observation on record",
    "acknowledge": "acknowledge the incident",
    "assign": "assign a role",
    "severity": "set the severity",
    "status": "set the status",
    "decide": "decide on",
    "dry_run": "try as a dry run",
    "act": "carry out",
    "rollback": "roll back",
    "accept": "measure acceptance",
    "watch": "watch the model",
    "update": "write an update",
    "release": "release the rollout",
    "governance": "answer for risk and rules",
    "close": "close the incident",
    "reopen": "open the incident again",
}


def unknown(kind: str) -> Teller:
    """Return a teller for a kind that this version does not know."""

    def told(body: Body, by: str) -> str:
        facts = "; ".join(f"{key}: {one_line(_text(value), 80)}" for key, value in list(body.items())[:8])
        return f"{by} recorded “{kind.replace('_', ' ')}”{f' ({facts})' if facts else ''}."

    return told


TELLERS: dict[str, Teller] = {
    "incident.opened": _opened,
    "incident.acknowledged": _acknowledged,
    "incident.assigned": _assigned,
    "incident.closed": _closed,
    "incident.reopened": _reopened,
    "severity.set": _graded,
    "status.set": _moved,
    "run.started": _run_started,
    "run.finished": _run_finished,
    "run.failed": _run_failed,
    "observation.recorded": _observed,
    "analysis.recorded": _analysed,
    "decision.made": _decided,
    "approval.given": _approved,
    "approval.rejected": _disapproved,
    "approval.withdrawn": _withdrawn,
    "evidence.taken": _evidence,
    "action.tried": _tried,
    "action.started": _act_started,
    "action.finished": _act_finished,
    "action.verified": _act_verified,
    "action.explained": _explained,
    "acceptance.measured": _accepted,
    "watch.started": _watch_started,
    "watch.sampled": _sampled,
    "rollout.held": _held,
    "rollout.released": _released,
    "update.written": _update_written,
    "update.sent": _update_sent,
    "update.failed": _update_failed,
    "compliance.answered": _answered,
    "risk.assessed": _assessed,
}
