"""The page of an incident: one HTML file that tells where it stands, who does what by when, and all that was done.

It keeps the rules of `rbnb.report`: nothing runs, nothing is fetched, everything from data is hostile, the page never
fails. And its own:

- **The ledger is told, not the memory of a program**: the page is made of the entries and of the last run's record.
- **Green is for what is over and was measured.** What is open is red or amber, what nobody can say is grey; closed
  without acceptance is grey.
- **Every time on the page is as of the time it names**: a page does not tick.
- **The upper third is for people who know nothing of models**: what happened, where it stands, what comes next.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbnb.incidents.sentences import RESOLUTIONS, VERDICTS
from rbnb.incidents.timeline import tell
from rbnb.incidents.timers import UNGRADED, is_quiet, remaining
from rbnb.ledger import GENESIS
from rbnb.model import NAME
from rbnb.report import _environment
from rbnb.report.deeds import read_deeds
from rbnb.report.rules import read_rules
from rbnb.report.words import NOTHING, number, safe_link, text_of, time_tag, word
from rbnb.text import one_line, visible
from rbnb.times import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rbnb.incidents import State
    from rbnb.incidents.timers import Due

__all__ = ["render_incident"]

_HERE = Path(__file__).parent

Plain = dict[str, Any]

#: What a status is called in the heading, and what it means to somebody who is not from the field.
_STATUSES = {
    "open": ("Open", "The harm is not limited yet."),
    "contained": ("Contained", "The harm is limited; what caused it is not mended yet."),
    "remediated": ("Remediated", "It is mended."),
    "monitoring": ("Being watched", "It is mended, and is watched before it counts as over."),
    "closed": ("Closed", "Nobody is working on it any more."),
    "damaged": ("Damaged record", "What is on record was changed afterwards, so nobody can say from it what is so."),
}
#: What open means where nothing was found, or where it cannot be said what.
_OPEN_MEANS = {"green": "No run found anything wrong.", "grey": "It is not known yet whether anything is wrong."}
_COLOURS = {
    "green": ("over", "✓"),
    "amber": ("needs attention", "!"),
    "red": ("act now", "!"),
    "grey": ("cannot say", "?"),
}
_TIMERS = {
    "overdue": ("■", "bad", "overdue"),
    "due": ("○", "info", "due"),
    "done": ("✓", "good", "done"),
    "late": ("▲", "warn", "done late"),
    "dropped": ("–", "none", "no longer asked for"),
}
_SIGNS = {"good": "✓", "warn": "▲", "bad": "■", "info": "●", "none": "·"}


def render_incident(
    state: State, record: Mapping[str, Any], *, timers: Sequence[Due], context: Mapping[str, Any]
) -> str:
    """Return the page of an incident as self-contained HTML.

    Parameters
    ----------
    state
        What its ledger comes to.
    record
        The record of its last run (run.json), or nothing.
    timers
        What is and was due (`rbnb.incidents.timers`).
    context
        What neither holds: ``now``, as of when the page is; ``model`` {title, version, owner, on_call};
        ``links`` {label: http(s) address}; ``checklist``, the rules held against the incident.

    Returns
    -------
    str
        HTML in which no value from data is active.
    """
    from markupsafe import Markup

    page = _environment().get_template("incident.html.j2")
    # The style sheets are ours and shipped beside this file; they are the only text that is not escaped.
    style = Markup("".join((_HERE / name).read_text(encoding="utf-8") for name in ("style.css", "incident.css")))  # noqa: S704
    html = page.render(style=style, it=read_incident(state, record, timers, context))
    return visible(html, limit=len(html))


def read_incident(state: State, record: Mapping[str, Any], timers: Sequence[Due], context: Mapping[str, Any]) -> Plain:
    """Return everything the page of an incident shows, as plain data."""
    now = _now(state, context)
    band = _band(state, record, timers)
    model = _model(state, context)
    return {
        "title": one_line(f"{state.incident} · {model['name']} · {band['heading']}", 160),
        "incident": state.incident,
        "model": model,
        "band": band,
        "as_of": time_tag(format_time(now)) if now else None,
        "course": _course(state),
        "answers": _answers(state, record, band["overdue"]),
        "examined": _examined(state) if isinstance(record.get("plain"), dict) else None,
        "people": _people(state, context),
        "timers": [_timer(item) for item in timers if item.is_open],
        "past_timers": [_timer(item) for item in timers if not item.is_open],
        "quiet": is_quiet(state),
        "ungraded": UNGRADED if not state.severity else "",
        "severity_because": visible(state.severity_because, 1000),
        "proposal": _proposal(record),
        "runs": [_run(run) for run in state.runs],
        "timeline": [_moment(moment) for moment in tell(state.entries)],
        "links": _links(context),
        "ledger": _ledger(state),
        **read_deeds(state, now),
        **read_rules(state, record, context.get("checklist")),
    }


def _now(state: State, context: Mapping[str, Any]) -> datetime | None:
    now: datetime | None = context.get("now")
    return now or state.highest_time


def _band(state: State, record: Mapping[str, Any], timers: Sequence[Due]) -> Plain:
    colour = _colour(state, record)
    heading, meaning = _STATUSES.get(state.status, (word(state.status).capitalize(), ""))
    if state.status == "open" and colour in _OPEN_MEANS:
        meaning = _OPEN_MEANS[colour]
    if state.status == "closed" and state.resolution:
        meaning = f"It was closed as {RESOLUTIONS.get(state.resolution, word(state.resolution))}."
    overdue = [item.what for item in timers if item.status == "overdue"]
    since = getattr(state.times, state.status, None) or state.times.detected
    says, sign = _COLOURS[colour]
    return {
        "colour": colour,
        "says": "no incident was found" if colour == "green" and state.status != "closed" else says,
        "sign": sign,
        "heading": heading,
        "meaning": meaning,
        "severity": state.severity or "not graded",
        "since": time_tag(format_time(since)) if since else None,
        "overdue": overdue,
        "held": visible(state.held, 600),
    }


def _colour(state: State, record: Mapping[str, Any]) -> str:
    """Return the colour: green only for what is over and was measured, or was healthy from the beginning."""
    if state.status == "damaged":
        return "grey"
    if state.status == "closed":
        return "green" if state.accepted else "grey"
    if is_quiet(state):
        return "green"
    if state.status == "open":
        inconclusive = not state.severity and record.get("verdict") in (None, "inconclusive")
        return "grey" if inconclusive else "red" if state.severity in ("SEV1", "SEV2") else "amber"
    return "amber"


def _course(state: State) -> list[Plain]:
    """Return the five statuses with when each was reached."""
    order = ("open", "contained", "remediated", "monitoring", "closed")
    at = order.index(state.status) if state.status in order else -1
    steps = []
    for k, name in enumerate(order):
        when = state.times.detected if k == 0 else getattr(state.times, name)
        reached = "now" if k == at else "done" if k < at and when else "passed" if k < at else "ahead"
        steps.append(
            {
                "name": "Detected" if k == 0 else _STATUSES[name][0],
                "state": reached,
                "at": time_tag(format_time(when), short=True) if when else None,
            }
        )
    return steps


def _answers(state: State, record: Mapping[str, Any], overdue: Sequence[str]) -> list[Plain]:
    plain = record.get("plain")
    plain = plain if isinstance(plain, dict) else {}
    return [
        {"question": "What happened", "answer": _sentence(plain.get("what")) or _what(state)},
        {"question": "Since when", "answer": _since(state, _sentence(plain.get("since")))},
        {"question": "How bad", "answer": _sentence(plain.get("how_bad")) or "Not known yet."},
        {"question": "What happens next", "answer": _next(state, overdue)},
    ]


def _examined(state: State) -> Plain | None:
    ended = [e for e in state.entries if e.kind in ("run.finished", "run.failed")]
    if not ended:
        return None
    return {"at": time_tag(format_time(ended[-1].at)), "run": text_of(ended[-1].body.get("run"), 80)}


def _sentence(value: object) -> str:
    return visible(value, 1000) if isinstance(value, str) else ""


def _what(state: State) -> str:
    ended = [run for run in state.runs if run.status != "running"]
    model = visible(state.model or "a model", 80)
    if not ended:
        return f"Something may be wrong with {model}; nothing has been measured yet."
    verdict = ended[-1].verdict
    return f"{model} was examined: {VERDICTS.get(verdict, 'what was found is not on record')}."


def _since(state: State, examined: str) -> str:
    """Return since when, in the words of the run while it is open; later the run's "still going on" is out of date."""
    times = state.times
    if state.status == "open" and examined:
        return examined
    moved = [
        f"{_PASSED[name]} {time_tag(format_time(at))['text']}"
        for name in ("contained", "closed")
        if (at := getattr(times, name)) is not None and (name == "closed" or at != times.closed)
    ]
    if times.occurred:
        first = f"It began {time_tag(format_time(times.occurred))['text']}"
    elif times.detected:
        first = f"It was noticed {time_tag(format_time(times.detected))['text']}; when it began is not known"
    else:
        return "Not known."
    return f"{'; '.join([first, *moved])}."


_PASSED = {"contained": "the harm is limited since", "closed": "it was closed"}


def _next(state: State, overdue: Sequence[str]) -> str:
    """Say what comes next, in words for everybody."""
    count = len(overdue)
    late = f" {'One thing is' if count == 1 else f'{count} things are'} overdue." if overdue else ""
    if state.held and state.status != "closed":
        return f"A rollout is on hold until a person releases it.{late}"
    return f"{_NEXT.get(_stage(state), 'Nobody can say before the record is mended.')}{late}"


def _stage(state: State) -> str:
    if state.status != "open":
        return state.status
    if is_quiet(state):
        return "quiet"
    if any(attempt.status == "running" for attempt in state.attempts):
        return "acting"
    if any(attempt.status in ("failed", "timed_out", "interrupted", "not_held") for attempt in state.attempts):
        return "failing"
    return "decided" if state.decision else "acknowledged" if state.times.acknowledged else "open"


_NEXT = {
    "quiet": "Nothing has to be done. The incident can be closed.",
    "open": "Somebody from the team on call takes it on.",
    "acknowledged": "The team decides what to do to limit the harm.",
    "decided": "What the team has decided is approved where it must be, and then carried out.",
    "acting": "A measure that limits the harm is being carried out now.",
    "failing": "A measure did not work; the team decides what to do instead.",
    "contained": "The team mends the cause; then the model is measured anew.",
    "remediated": "The team watches the model for a while, and then closes this.",
    "monitoring": "If it stays well, the team closes this.",
    "closed": "Nothing but what is listed as due below.",
}


def _model(state: State, context: Mapping[str, Any]) -> Plain:
    known = context.get("model")
    known = known if isinstance(known, dict) else {}
    return {
        "name": " ".join(filter(None, [visible(state.model, 80), visible(known.get("version") or "", 40)]))
        or "no model",
        "title": visible(known.get("title") or "", 200),
        "environment": visible(state.environment, 60),
        "template": visible(state.template, 80),
    }


def _people(state: State, context: Mapping[str, Any]) -> list[Plain]:
    known = context.get("model")
    known = known if isinstance(known, dict) else {}
    rows = [(word(role).capitalize(), ", ".join(reversed(names))) for role, names in state.people.items()]
    rows += [("Acknowledged by", state.acknowledged_by)] if state.acknowledged_by else []
    rows += [("On call", known.get("on_call") or ""), ("Owner of the model", known.get("owner") or "")]
    return [{"label": label, "text": visible(text, 300)} for label, text in rows if text]


def _timer(item: Due) -> Plain:
    sign, tone, text = _TIMERS[item.status]
    left = remaining(item) if item.is_open else ""
    return {
        "what": visible(item.what[:1].upper() + item.what[1:], 160),
        "due": time_tag(format_time(item.due), short=True),
        "state": {"sign": sign, "tone": tone, "text": left or text},
        "done": time_tag(format_time(item.done), short=True) if item.done else None,
        "command": visible(item.command, 200),
        "source": visible(item.source, 200),
    }


def _proposal(record: Mapping[str, Any]) -> Plain | None:
    proposal = record.get("proposal")
    if not isinstance(proposal, dict) or not proposal.get("action"):
        return None
    return {
        "action": word(proposal["action"]),
        "where": visible(proposal.get("where") or "", 200),
        "because": visible(proposal.get("because") or "", 1000),
    }


def _run(run: Any) -> Plain:  # noqa: ANN401 - a RunState
    verdict = visible(run.verdict, 40)
    return {
        "run": visible(run.run, 80),
        "link": f"runs/{run.run}/notebook.html" if NAME.fullmatch(run.run) and run.status != "running" else "",
        "started": time_tag(format_time(run.started), short=True),
        "status": word(run.status),
        "verdict": verdict or NOTHING,
        "meaning": VERDICTS.get(run.verdict, ""),
    }


def _moment(moment: Any) -> Plain:  # noqa: ANN401 - a Moment
    return {
        "seq": moment.seq,
        "at": time_tag(format_time(moment.at), short=True),
        "text": moment.text,
        "tone": moment.tone,
        "sign": _SIGNS[moment.tone],
        "kind": visible(moment.kind, 80),
        "stepped_back": number(moment.stepped_back) if moment.stepped_back else "",
    }


def _links(context: Mapping[str, Any]) -> list[Plain]:
    links = context.get("links")
    return [
        {"label": word(label).capitalize(), "link": safe_link(address), "text": text_of(address)}
        for label, address in (links if isinstance(links, dict) else {}).items()
    ]


def _ledger(state: State) -> Plain:
    return {"entries": number(len(state.entries)), "head": state.entries[-1].digest if state.entries else GENESIS}
