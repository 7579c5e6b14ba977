"""What was decided, approved, done, measured and said in an incident, from the entries of its ledger.

Rules: a command is shown exactly as it is on record; an identity that was only asserted is called so; an action that
began and of whose end nothing is on record is shown as that, never as done; what an entry lacks is said to be absent.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from rbnb.report.words import NOTHING, number, share, text_of, time_tag, word
from rbnb.text import one_line, visible
from rbnb.times import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from rbnb.incidents import Attempt, State
    from rbnb.ledger import Entry

__all__ = ["mapping", "mappings", "mark", "read_deeds"]

Plain = dict[str, Any]

#: What became of an attempt: its sign, tone and words.
_ATTEMPTS = {
    "running": ("…", "warn", "begun, no end on record"),
    "done": ("●", "info", "done, not verified yet"),
    "held": ("✓", "good", "done and verified"),
    "not_held": ("■", "bad", "done, but not seen to take effect"),
    "failed": ("■", "bad", "failed"),
    "timed_out": ("■", "bad", "took too long and was stopped"),
    "interrupted": ("■", "bad", "interrupted"),
    "not_done": ("–", "none", "not done, as a person found"),
    "rolled_back": ("↺", "none", "taken back"),
}
_APPROVALS = {
    "approval.given": ("✓", "good", "approved"),
    "approval.rejected": ("✕", "bad", "rejected"),
    "approval.withdrawn": ("–", "none", "taken back"),
    "approve.refused": ("■", "bad", "not accepted"),
}
_LONGEST_COMMAND = 8000
#: So many criteria are shown without having to be asked for.
_FEW = 8


def mapping(value: object) -> Mapping[str, Any]:
    """Return a value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def mappings(value: object) -> list[Mapping[str, Any]]:
    """Return the mappings of a list, and nothing of what is none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def mark(sign: str, tone: str, text: str) -> Plain:
    """Return a status as the page draws it."""
    return {"sign": sign, "tone": tone, "text": text}


def read_deeds(state: State, now: datetime | None) -> Plain:
    """Return what was done in an incident.

    Parameters
    ----------
    now
        As of when the page is, for telling what has expired.
    """
    of = _ByKind(state)
    return {
        "decisions": [_decision(entry) for entry in of("decision.made")],
        "approvals": [_approval(entry, now) for entry in of(*_APPROVALS)],
        "refusals": len([entry for entry in state.entries if entry.kind.endswith(".refused")]),
        "evidence": [_evidence(entry) for entry in of("evidence.taken")],
        "attempts": [_attempt(attempt, state) for attempt in state.attempts],
        "tries": [_attempt_try(entry) for entry in of("action.tried")],
        "acceptance": _acceptance(state),
        "watching": _watching(state, of),
        "updates": [_update(entry) for entry in of("update.written", "update.sent", "update.failed")],
    }


class _ByKind:
    """The entries of an incident by their kind."""

    def __init__(self, state: State) -> None:
        self._entries = state.entries

    def __call__(self, *kinds: str) -> list[Entry]:
        return [entry for entry in self._entries if entry.kind in kinds]


def _who_and_when(entry: Entry) -> Plain:
    return {"by": visible(entry.by, 80), "at": time_tag(format_time(entry.at), short=True)}


def _decision(entry: Entry) -> Plain:
    body = entry.body
    proposed = word(body.get("proposed") or "")
    follows = body.get("follows_proposal") is True
    return _who_and_when(entry) | {
        "choice": word(body.get("choice") or NOTHING),
        "because": text_of(body.get("because"), 2000),
        "how": "as proposed" if follows else f"instead of the proposed {proposed}" if proposed else "",
        "rejected": [
            {"option": word(r.get("option") or NOTHING), "because": visible(r.get("because") or "", 2000)}
            for r in mappings(body.get("rejected"))
        ],
        "run": text_of(body.get("run"), 80),
        "record": text_of(body.get("record"), 80),
        "findings": text_of(body.get("findings"), 80),
    }


def _approval(entry: Entry, now: datetime | None) -> Plain:
    body = entry.body
    expires = time_tag(body.get("expires_at"), short=True)
    verified = body.get("identity") == "verified"
    identity = ("✓", "good", "verified by signature") if verified else ("○", "warn", "asserted, not proved")
    if entry.kind.endswith(".refused"):
        identity = ("–", "none", "not weighed")
    return _who_and_when(entry) | {
        "subject": word(body.get("subject") or NOTHING),
        "state": mark(*_APPROVALS[entry.kind]),
        "identity": mark(*identity),
        "key": visible(body.get("key") or "", 120) if verified else "",
        "plan": text_of(body.get("plan"), 80),
        "plan_short": one_line(text_of(body.get("plan"), 80), 24),
        "expires": expires,
        "expired": bool(now and expires["iso"] and expires["iso"] < format_time(now)),
        "because": visible(body.get("because") or body.get("why") or "", 2000),
    }


def _evidence(entry: Entry) -> Plain:
    files = [
        {"path": text_of(f.get("path"), 300), "bytes": number(f.get("bytes")), "sha256": text_of(f.get("sha256"), 80)}
        for f in mappings(entry.body.get("files"))
    ]
    return _who_and_when(entry) | {"files": files, "because": visible(entry.body.get("because") or "", 1000)}


def _attempt(attempt: Attempt, state: State) -> Plain:
    ended, body = attempt.ended, attempt.body
    done, beside = _commands(body.get("steps"), "rollback" if attempt.way == "rollback" else "execute")
    return {
        "id": attempt.id,
        "action": word(attempt.action or NOTHING),
        "way": {"rollback": "rollback", "by_hand": "by hand"}.get(attempt.way, ""),
        "state": mark(*_ATTEMPTS.get(attempt.status, ("?", "none", word(attempt.status)))),
        "by": visible(attempt.by, 80),
        "started": time_tag(format_time(attempt.started), short=True),
        "finished": time_tag(format_time(attempt.finished), short=True) if attempt.finished else None,
        "host": text_of(body.get("host"), 120),
        "plan": text_of(body.get("plan"), 80),
        "variant": visible(body.get("variant") or "", 80),
        "commands": done,
        "beside": beside,
        "because": visible(body.get("because") or "", 1000),
        "seen": visible(ended.get("seen") or "", 1000),
        "snapshot": text_of(mapping(body.get("snapshot")).get("values"), 1000),
        "exit": text_of(ended.get("exit")) if ended else NOTHING,
        "seconds": number(ended.get("seconds")) if ended else NOTHING,
        "output": text_of(mapping(ended.get("output")).get("path"), 300),
        "verified": _verification(attempt.id, state),
    }


def _verification(number_: int, state: State) -> Plain | None:
    found = [e for e in state.entries if e.kind == "action.verified" and e.body.get("attempt") == number_]
    if not found:
        return None
    body = found[-1].body
    held = body.get("held") is True
    return {
        "state": mark("✓", "good", "took effect") if held else mark("■", "bad", "not seen to take effect"),
        "seen": text_of(body.get("seen"), 1000),
        "expected": text_of(body.get("expected"), 1000),
        "tries": number(body.get("tries")),
        "seconds": number(body.get("seconds")),
    }


def _attempt_try(entry: Entry) -> Plain:
    return _who_and_when(entry) | {
        "action": word(entry.body.get("action") or NOTHING),
        "outcome": word(entry.body.get("outcome") or NOTHING),
        "commands": [command_of(entry.body)] if entry.body.get("display") else [],
    }


def _commands(steps: object, first: str) -> tuple[list[Plain], list[Plain]]:
    """Return the commands of an attempt: those that were carried out, and those that go with them."""
    if isinstance(steps, dict):
        named = [(name, step) for name, step in steps.items() if isinstance(step, dict)]
        own = [command_of(step) for name, step in named if name == first]
        return own, [command_of({"name": name, **step}) for name, step in named if name != first]
    return [command_of(step) for step in mappings(steps)], []


def command_of(step: Mapping[str, Any]) -> Plain:
    """Return one step of an action as a person would type or send it, exactly as it is on record."""
    label = word(step.get("name") or "")
    argv, request = step.get("argv"), mapping(step.get("request"))
    if step.get("display"):
        text = str(step["display"])
    elif isinstance(argv, list) and argv:
        text = shlex.join(str(part) for part in argv)
    elif request:
        body = request.get("body")
        sent = f"\n{json.dumps(body, ensure_ascii=False, indent=1)}" if body not in (None, "") else ""
        text = f"{request.get('method', 'GET')} {request.get('url', '')}{sent}"
    else:
        text = text_of(step.get("text") or dict(step), _LONGEST_COMMAND)
    return {"label": label, "text": visible(text, _LONGEST_COMMAND)}


def _acceptance(state: State) -> Plain | None:
    if state.acceptance is None:
        return None
    body = state.acceptance.body
    met = body.get("met") is True
    counts = "" if state.accepted or not met else "Something was done since, so this no longer counts."
    return _who_and_when(state.acceptance) | {
        "state": mark("✓", "good", "met") if met else mark("■", "bad", "not met"),
        "counts": counts,
        "run": visible(body.get("run") or "", 80),
        **_sorted_out([_criterion(c) for c in mappings(body.get("criteria"))]),
    }


def _sorted_out(criteria: list[Plain]) -> Plain:
    """Return what is not met, which is shown first, and what is; of a few all are shown."""
    good = [c for c in criteria if c["state"]["tone"] == "good"]
    if len(criteria) <= _FEW:
        return {"criteria": criteria, "others": []}
    return {"criteria": [c for c in criteria if c not in good], "others": good}


def _criterion(criterion: Mapping[str, Any]) -> Plain:
    interval, unit = criterion.get("interval"), criterion.get("unit")
    bare = unit if unit in ("share", "ratio") else ""
    ends = [_valued(end, bare) for end in interval] if isinstance(interval, list) and len(interval) == 2 else []
    source = [criterion.get(key) for key in ("source", "runbook", "scenario")]
    outcome = "met" if criterion.get("met") is True else str(criterion.get("outcome") or "missed")
    return {
        "name": word(criterion.get("name") or NOTHING),
        "where": visible(criterion.get("where") or "everywhere", 120),
        "value": "not measured" if criterion.get("value") is None else _valued(criterion["value"], unit),
        "before": _valued(criterion["before"], unit) if criterion.get("before") is not None else "",
        "interval": " to ".join(ends),
        "limit": text_of(criterion.get("limit"), 120),
        "source": " · ".join(text_of(part, 200) for part in source if part),
        "why": visible(criterion.get("why") or "", 300),
        "n": number(criterion.get("n")),
        "state": mark(*_CRITERIA.get(outcome, ("■", "bad", "not met"))),
    }


_CRITERIA = {"met": ("✓", "good", "met"), "undefined": ("?", "warn", "cannot be told")}


def _valued(value: object, unit: object) -> str:
    """Write a number in its unit."""
    if unit == "share":
        return share(value)
    if unit == "ratio":
        return f"{number(value)}×"
    return f"{number(value)} {visible(unit, 20)}" if unit and unit != "count" else number(value)


def _watching(state: State, of: _ByKind) -> Plain | None:
    started, samples = of("watch.started"), of("watch.sampled")
    if not started and not state.held:
        return None
    last = samples[-1] if samples else None
    return {
        "started": [
            _who_and_when(e) | {"every": text_of(e.body.get("every"), 40), "for": text_of(e.body.get("for"), 40)}
            for e in started[-3:]
        ],
        "samples": len(samples),
        "last": _sample(last) if last else "",
        "held": visible(state.held, 1000),
    }


def _sample(entry: Entry) -> str:
    values = mapping(entry.body.get("values"))
    shown = [
        f"{word(name)} {text_of(seen.get('value'))} ({text_of(seen.get('status'), 40)})"
        if isinstance(seen, dict)
        else f"{word(name)} {text_of(seen, 80)}"
        for name, seen in values.items()
    ]
    return visible(", ".join(shown) or NOTHING, 1000)


def _update(entry: Entry) -> Plain:
    kind = entry.kind.removeprefix("update.")
    states = {
        "written": mark("●", "info", "written"),
        "sent": mark("✓", "good", "sent"),
        "failed": mark("■", "bad", "could not be sent"),
    }
    body = entry.body
    return _who_and_when(entry) | {
        "audience": text_of(body.get("audience"), 80),
        "state": states[kind],
        "colour": visible(body.get("colour") or "", 20),
        "through": visible(body.get("through") or "", 120),
        "note": visible(body.get("why") or body.get("path") or "", 300),
    }
