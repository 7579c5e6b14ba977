"""The top and the foot of the page, from the run record: status, plain words, causes, provenance.

Rules: the colour is never better than the verdict and the run's status allow; whatever the record lacks
is said to be not known, in words, so that an empty record cannot look like good news.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rbnb.model import NAME
from rbnb.report.words import NOTHING, cell, number, pill, safe_link, text_of, time_tag, word
from rbnb.text import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["read_summary"]

Plain = dict[str, Any]

_VERDICTS = {
    "healthy": "Healthy",
    "genuine": "Genuine incident",
    "transient": "Passing incident",
    "infrastructure": "Infrastructure incident",
    "inconclusive": "Inconclusive",
}
#: What each colour says, and the sign in its shape.
_COLOURS = {
    "green": ("no incident found", "✓"),
    "amber": ("needs attention", "!"),
    "red": ("act now", "!"),
    "grey": ("cannot say", "?"),
}
_UNFINISHED = {
    "failed": "a step failed",
    "timed_out": "it ran out of time",
    "kernel_died": "its process died",
    "cancelled": "it was cancelled",
    "abandoned": "it was abandoned",
}
_ASKED = (
    ("What is affected", "what"),
    ("Since when", "since"),
    ("How bad", "how_bad"),
    ("What happens next", "next"),
)


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _texts(value: object, limit: int = 400) -> list[str]:
    items: Iterable[object] = value if isinstance(value, (list, tuple)) else [value] if value else []
    return [visible(item, limit) for item in items if item not in (None, "")]


def _colour(record: Mapping[str, Any]) -> str:
    """Return the status colour; green only for a completed run that found the model healthy."""
    asked = _dict(record.get("plain")).get("colour")
    verdict = str(record.get("verdict"))
    if record.get("status") != "completed" or verdict not in _VERDICTS or verdict == "inconclusive":
        return "grey"
    if asked == "green" and verdict != "healthy":
        return "amber"
    return asked if isinstance(asked, str) and asked in _COLOURS else "grey"


def _band(record: Mapping[str, Any]) -> Plain:
    colour = _colour(record)
    finished = record.get("status") == "completed"
    verdict = record.get("verdict")
    severity = _dict(record.get("severity"))
    says, sign = _COLOURS[colour]
    known = _VERDICTS.get(verdict, "No verdict") if isinstance(verdict, str) else "No verdict"
    return {
        "colour": colour,
        "says": says,
        "sign": sign,
        "verdict": known if finished else "Run did not finish",
        "verdict_word": text_of(verdict),
        "severity": text_of(severity.get("level"), 40),
        "severity_why": _texts(severity.get("reasons")),
        "going_on": _going_on(record),
        "onset": time_tag(record.get("onset")),
        "ended": time_tag(record.get("ended")),
        "started": time_tag(record.get("started")),
        "finished": time_tag(record.get("finished")),
    }


def _going_on(record: Mapping[str, Any]) -> str:
    if record.get("status") != "completed" or record.get("verdict") in (None, "healthy", "inconclusive"):
        return ""
    if record.get("ongoing") is True:
        return "still going on"
    return "over" if record.get("ended") else ""


def _broken(record: Mapping[str, Any]) -> Plain | None:
    """Return what the banner of an unfinished run says, or None for one that completed."""
    status = record.get("status")
    if status == "completed":
        return None
    error = _dict(record.get("error"))
    why = _UNFINISHED.get(str(status), f"its status is {word(status) if status else 'not recorded'}")
    told = ": ".join(_texts([error.get("kind"), error.get("message")], 600))
    stage, place = error.get("stage"), error.get("cell")
    where = f"in stage “{word(stage)}”" if stage else ""
    if place is not None:
        where = f"{where}, cell {visible(place, 20)}".lstrip(", ")
    return {"why": why, "told": told, "where": where}


def _cause(cause: Mapping[str, Any]) -> Plain:
    explains = cell(cause.get("explains"), "bar")
    return {
        "rank": text_of(cause.get("rank")),
        "kind": word(cause.get("kind") or ""),
        "name": text_of(cause.get("name"), 200),
        "where": visible(cause.get("where") or "", 200),
        "status": pill(cause.get("status") or "open"),
        "refuted": cause.get("status") == "refuted",
        "evidence": visible(cause.get("evidence") or "", 1000),
        "at": time_tag(cause["at"]) if cause.get("at") else None,
        "explains": None if explains["missing"] else explains,
    }


def _counted(record: Mapping[str, Any]) -> list[Plain]:
    """Return how many checks came out how, worst first."""
    statuses = [finding.get("status") for finding in _dicts(record.get("findings"))]
    return [
        {"pill": pill(status), "n": statuses.count(status)}
        for status in ("breach", "warning", "ok", "undefined")
        if status in statuses
    ]


def _proposal(record: Mapping[str, Any]) -> Plain | None:
    proposal = _dict(record.get("proposal"))
    if not proposal.get("action"):
        return None
    approvals = proposal.get("approvals")
    count = approvals if isinstance(approvals, int) and not isinstance(approvals, bool) else 0
    return {
        "action": word(proposal["action"]),
        "where": visible(proposal.get("where") or "", 200),
        "because": visible(proposal.get("because") or "", 1000),
        "approvals": f"needs {count} approval{'' if count == 1 else 's'}" if count else "",
        "escalate_to": visible(proposal.get("escalate_to") or "", 200),
    }


def _referrals(record: Mapping[str, Any]) -> list[Plain]:
    """Return the other runbooks that the evidence looks like; one without a name of ours gets no command to copy."""
    model = _dict(record.get("model")).get("name")
    told = []
    for one in _dicts(record.get("referrals")):
        words = [one.get("runbook"), model, record.get("incident")]
        safe = all(isinstance(name, str) and NAME.fullmatch(name) for name in words)
        command = "rbnb run {} --model {} --incident {}".format(*words) if safe else ""
        because = visible(one.get("because") or "", 1000).rstrip(".")
        told.append({"runbook": text_of(one.get("runbook"), 80), "because": because, "command": command})
    return told


def _observation(seen: Mapping[str, Any]) -> Plain:
    return {
        "text": text_of(seen.get("text"), 2000),
        "by": text_of(seen.get("by"), 120),
        "recorded_by": visible(seen.get("recorded_by") or "", 120),
        "responsible": visible(seen.get("responsible") or "", 120),
        "about": visible(seen.get("about") or "", 200),
        "seen_at": time_tag(seen.get("seen_at")),
        "cited_by": _texts(seen.get("cited_by"), 200),
    }


def _rows(value: object) -> list[Plain]:
    """Return a mapping as label and text, nested mappings as ``a b``."""
    return [{"label": word(key), "text": text_of(item)} for key, item in _dict(value).items()]


def _contacts(record: Mapping[str, Any], context: Mapping[str, Any]) -> Plain:
    model = _dict(context.get("model"))
    on_call = model.get("on_call")
    rotation = _dict(on_call).get("rotation") if isinstance(on_call, dict) else on_call
    links = [
        {"label": visible(label, 80), "link": safe_link(address), "text": text_of(address)}
        for label, address in _dict(context.get("links")).items()
    ]
    return {
        "escalate_to": visible(_dict(record.get("proposal")).get("escalate_to") or "", 200),
        "on_call": text_of(rotation),
        "owner": text_of(model.get("owner")),
        "escalation": _texts(_dict(on_call).get("escalation")),
        "links": links,
    }


def _span(window: object) -> str:
    ends = _dict(window)
    if not ends:
        return NOTHING
    return f"{time_tag(ends.get('start'))['text']} to {time_tag(ends.get('end'))['text']}"


def _provenance(record: Mapping[str, Any], context: Mapping[str, Any]) -> Plain:
    template = _dict(record.get("template"))
    ledger = _dict(context.get("ledger"))
    materials = [
        {
            "source": text_of(m.get("source")),
            "table": text_of(m.get("table")),
            "window": _span(m.get("window")),
            "rows": number(m.get("rows")),
            "digest": text_of(m.get("digest")),
        }
        for m in _dicts(record.get("materials"))
    ]
    products = [
        {"path": text_of(p.get("path")), "bytes": number(p.get("bytes")), "sha256": text_of(p.get("sha256"))}
        for p in _dicts(record.get("products"))
    ]
    return {
        "run": text_of(record.get("run")),
        "status": word(record.get("status") or "not recorded"),
        "template": " ".join(_texts([template.get("name"), template.get("version")])) or NOTHING,
        "digest": text_of(template.get("digest")),
        "parameters": _rows(record.get("parameters")),
        "materials": materials,
        "products": products,
        "environment": _rows(record.get("environment")),
        "entries": number(ledger.get("entries")),
        "head": text_of(ledger.get("head")),
        "record_version": text_of(record.get("record_version")),
    }


def _model(record: Mapping[str, Any], context: Mapping[str, Any]) -> Plain:
    own = record.get("model")
    known = _dict(context.get("model"))
    named = {"name": own, "version": None} if isinstance(own, str) else _dict(own)
    return {
        "name": " ".join(_texts([named.get("name"), named.get("version") or known.get("version")], 120))
        or "unknown model",
        "title": visible(known.get("title") or "", 160),
        "environment": visible(known.get("environment") or "", 60),
    }


def _since(record: Mapping[str, Any]) -> str:
    """Return onset and end in a sentence, for a record that does not say it in words of its own."""
    onset, ended = time_tag(record.get("onset")), time_tag(record.get("ended"))
    if not onset["iso"]:
        return ""
    if ended["iso"]:
        return f"From {onset['text']} to {ended['text']}."
    return f"{onset['text']}. It is {_going_on(record)}." if _going_on(record) else f"{onset['text']}."


def _answers(record: Mapping[str, Any]) -> list[Plain]:
    plain = {"since": _since(record), **_dict(record.get("plain"))}
    return [{"question": asked, "answer": visible(plain.get(key) or "Not known.", 1000)} for asked, key in _ASKED]


def read_summary(record: Mapping[str, Any], context: Mapping[str, Any]) -> Plain:
    """Return everything on the page that does not come from the notebook's cells."""
    model = _model(record, context)
    band = _band(record)
    causes = [_cause(cause) for cause in _dicts(record.get("causes"))]
    incident = text_of(record.get("incident"), 80)
    return {
        "title": one_line(f"{incident} · {model['name']} · {band['verdict']}", 160),
        "incident": incident,
        "incident_title": visible(record.get("title") or "", 200),
        "model": model,
        "band": band,
        "broken": _broken(record),
        "answers": _answers(record),
        "headline": _texts(record.get("headline")),
        "because": _texts(record.get("because")),
        "counted": _counted(record),
        "referrals": _referrals(record),
        "observations": [_observation(seen) for seen in _dicts(record.get("observations"))],
        "causes": causes,
        "proposal": _proposal(record),
        "not_measured": [
            {"what": text_of(item.get("what")), "why": text_of(item.get("why"))}
            for item in _dicts(record.get("not_measured"))
        ],
        "contacts": _contacts(record, context),
        "provenance": _provenance(record, context),
    }
