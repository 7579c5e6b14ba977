"""Risk and rules on the incident's page: as a person assessed them, else as the last run tells; what a person answered.

Rules: what nobody has said is called that; an item that waits for an answer comes before those that have one; whether
a rule applies is for counsel to say, and the page says so beside every list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rbnb.report.deeds import mapping, mark
from rbnb.report.words import NOTHING, number, share, text_of, time_tag, word
from rbnb.text import visible
from rbnb.times import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rbnb.incidents import State
    from rbnb.ledger import Entry

__all__ = ["read_rules"]

Plain = dict[str, Any]

_APPLIES = {
    "yes": ("●", "info", "applies"),
    "no": ("–", "none", "does not apply"),
    "not yet": ("–", "none", "does not apply yet"),
    "unknown": ("?", "warn", "not known"),
}
_COUNTED = {"yes": "apply", "unknown": "not known", "no": "do not apply", "not yet": "do not apply yet"}
#: In which order items are shown: what applies, what is not known, the rest.
_FIRST = ("yes", "unknown")
#: So many rules are shown without having to be asked for.
_FEW = 6
#: What a person reads of a risk, in this order; anything else comes after.
_RISK = ("harm", "affected", "duration", "segments", "likelihood", "severity", "level", "mitigations", "residual")
_NOT_SHOWN = ("likelihood_because", "not_known", "run")


def read_rules(state: State, record: Mapping[str, Any], checklist: Any) -> Plain:  # noqa: ANN401 - a Checklist or None
    """Return risk and rules.

    Parameters
    ----------
    checklist
        What `rbnb.incidents.checklist` found, or None where it was not asked; then the answers alone are shown.
    """
    answers = [entry for entry in state.entries if entry.kind == "compliance.answered"]
    last = {str(entry.body.get("item")): entry for entry in answers}
    items = getattr(checklist, "items", None)
    return {
        "risk": _risk(state, record),
        **_parted([_answered(entry) for entry in last.values()] if items is None else _checked(items, last)),
        "questions": len(getattr(checklist, "open", ())),
    }


def _parted(rules: list[Plain]) -> Plain:
    """Return the rules whose clock runs, or all of a few; and the others, with how many of them apply."""
    running = rules if len(rules) <= _FEW else [rule for rule in rules if rule["clock"] is not None]
    others = [rule for rule in rules if rule not in running]
    counts = [(words, sum(rule["applies"] == applies for rule in others)) for applies, words in _COUNTED.items()]
    told = ", ".join(f"{count} {words}" for words, count in counts if count)
    return {"rules": running, "other_rules": others, "other_rules_told": told}


def _risk(state: State, record: Mapping[str, Any]) -> Plain | None:
    said = [entry for entry in state.entries if entry.kind == "risk.assessed"]
    if said:
        entry = said[-1]
        return {
            "by": visible(entry.by, 80),
            "at": time_tag(format_time(entry.at), short=True),
            "rows": _rows(entry.body),
        }
    told = mapping(record.get("risk"))
    return {"by": "", "at": None, "rows": _rows(told)} if told else None


def _rows(risk: Mapping[str, Any]) -> list[Plain]:
    keys = [*(key for key in _RISK if key in risk), *(key for key in risk if key not in _RISK)]
    rows = [{"label": word(key).capitalize(), "text": _said(risk[key])} for key in keys if key not in _NOT_SHOWN]
    return [row for row in rows if row["text"] != NOTHING]


def _said(value: object) -> str:
    """Return a part of a risk in words: a number with its unit where it is one."""
    if not isinstance(value, dict) or "value" not in value:
        return text_of(value, 2000).replace("_", " ")
    unit, amount = value.get("unit"), value["value"]
    shown = share(amount) if unit == "share" else f"{number(amount)} {text_of(unit, 20)}"
    name = word(value.get("signal") or "")
    return visible(f"{name} {shown} (n {number(value.get('n'))})".strip(), 300)


def _checked(items: Iterable[Any], answers: Mapping[str, Entry]) -> list[Plain]:
    rows = [_item(one, answers.get(str(one.item.id))) for one in items]
    return sorted(rows, key=lambda row: _FIRST.index(row["applies"]) if row["applies"] in _FIRST else len(_FIRST))


def _item(one: Any, answer: Entry | None) -> Plain:  # noqa: ANN401 - a Checked
    applies = str(one.verdict.applies)
    clock = one.clock
    return {
        "item": text_of(one.item.id, 120),
        "framework": text_of(one.item.framework, 120),
        "text": visible(one.item.text, 1000),
        "applies": applies,
        "state": mark(*_APPLIES.get(applies, ("?", "none", "no answer"))),
        "why": visible(one.verdict.why or "", 600),
        "evidence": [visible(text, 600) for text in one.answered],
        "missing": [visible(text, 600) for text in one.missing],
        "clock": time_tag(format_time(clock.due_at), short=True) if clock else None,
        "met": time_tag(format_time(one.met), short=True) if one.met else None,
        "reviewer": visible(one.reviewer or "", 120),
        **_who(answer),
    }


def _answered(entry: Entry) -> Plain:
    """Return an answer by itself, where no checklist is at hand."""
    applies = str(entry.body.get("applies"))
    return {
        "item": text_of(entry.body.get("item"), 120),
        "framework": "",
        "text": "",
        "applies": applies,
        "state": mark(*_APPLIES.get(applies, ("?", "none", "no answer"))),
        "why": "",
        "evidence": [],
        "missing": [],
        "clock": None,
        "met": None,
        "reviewer": "",
        **_who(entry),
    }


def _who(answer: Entry | None) -> Plain:
    if answer is None:
        return {"by": "", "because": ""}
    at = time_tag(format_time(answer.at), short=True)["text"]
    return {"by": f"{visible(answer.by, 80)}, {at}", "because": visible(answer.body.get("because") or "", 1000)}
