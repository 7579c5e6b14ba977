"""The facts an update may be filled from, each with its level; what is above an audience's level is never worked out.

Rules: a fact that an audience may not hear is not in what its text is filled from, so no text can ask for it; what goes
below ``restricted`` is put together from fixed words, numbers, times and roles, never from free text; a part of the
requests is named only where it holds enough of them; people are named to responders only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rbnb.communication.measures import checked_words, done_words, next_words
from rbnb.communication.plain import outside, said_time
from rbnb.governance.audiences import LEVEL_OF, may_hear
from rbnb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rbnb.communication.story import Story
    from rbnb.governance.audiences import Audience, Communication
    from rbnb.incidents import State

__all__ = ["Source", "allowed_facts", "may_name"]

_MOST = 6  # of anything that is listed
_EQUALS = re.compile(r"\b([A-Za-z_][\w.-]*)=([^\s,;&()]+(?: [a-z]\b)?)")


class Source:
    """What the facts are taken from.

    Parameters
    ----------
    state
        What the ledger comes to.
    story
        What the runs tell.
    table
        Words and levels.
    sentences
        The policy's plain sentences for the leaf that a record ended at: record -> part -> sentences.
    """

    def __init__(
        self,
        state: State,
        story: Story,
        table: Communication,
        sentences: Callable[[Mapping[str, Any]], Mapping[str, Sequence[str]]],
    ) -> None:
        self.state = state
        self.story = story
        self.table = table
        self.words = table.words
        self.sentences = sentences

    def plain(self, record: Mapping[str, Any], part: str) -> str:
        """Return a part of a record's plain words fit for those outside; "" where nothing of it is."""
        plain = _dict(record.get("plain"))
        return outside(str(plain.get(part, "")), self.sentences(record).get(part, ()), self.words)

    def what(self) -> str:
        """Say what is wrong, or that it is not known, or that nothing was found."""
        story = self.story
        if story.unknown:
            why = self.plain(story.record, "what") or f"The reason: {story.why}."
            return f"We do not know yet. {why} This is not an all-clear."
        otherwise = self.words.trouble.get(_runbook(story.record), "Something is wrong with the model.")
        if story.verdict == "healthy":
            otherwise = "The last check found no sign of a problem of its kind."
        return self.plain(story.record, "what") or otherwise

    def since(self) -> str:
        """Say since when, and whether it goes on."""
        record = self.story.record if self.story.trouble else self.story.earlier
        onset, ended = said_time(record.get("onset")), said_time(record.get("ended"))
        if not record:
            return "not known" if self.story.unknown else ""
        if not onset:
            return "not known"
        if ended:
            return f"from {onset}, to {ended}"
        still = record.get("ongoing") is True and self.story.trouble and self.state.status == "open"
        return f"{onset}; it was still going on when it was last measured" if still else onset


def allowed_facts(source: Source, audience: Audience, note: str, next_step: str) -> dict[str, Any]:
    """Return the facts that an audience may hear and its list names.

    Parameters
    ----------
    note, next_step
        What the author adds; "" is nothing.

    Returns
    -------
    dict
        Fact to text, list of texts, or bool. What is not in it does not exist for the text.
    """
    makers = {**_OUTSIDE, **_INSIDE}
    found: dict[str, Any] = {}
    for name in audience.facts:
        if not may_hear(audience.level, LEVEL_OF[name]):
            continue  # the file was checked when it was read; this is the second lock
        if name == "note":
            found[name] = note
        elif name == "next_steps":
            found[name] = ([next_step] if next_step else []) + next_words(source)
        elif name == "segments":
            found[name] = _segments(source, machines=audience.level == "restricted")
        else:
            found[name] = makers[name](source)
    return found


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _runbook(record: Mapping[str, Any]) -> str:
    return str(_dict(record.get("template")).get("name", ""))


# What anybody may hear.


def _how_bad(source: Source) -> str:
    if source.story.unknown:
        return "Not known."
    told = source.plain(source.story.record, "how_bad")
    return told or ("There is no sign of harm." if source.story.verdict == "healthy" else "It is being worked out.")


def _measured(source: Source) -> str:
    record = source.story.record
    return said_time(_dict(record.get("parameters")).get("at")) or said_time(record.get("finished"))


def _before(source: Source) -> str:
    return source.plain(source.story.earlier, "what") if source.story.earlier else ""


_OUTSIDE: dict[str, Callable[[Source], Any]] = {
    "about": lambda source: source.table.called.get(source.state.model, source.state.model),
    "measured": _measured,
    "unknown": lambda source: source.story.unknown,
    "what": Source.what,
    "before": _before,
    "since": Source.since,
    "how_bad": _how_bad,
    "done": done_words,
}


# What those inside may hear.


def may_name(where: str, n: object, smallest: int) -> bool:
    """Tell whether a part of the requests is big enough to be named.

    Examples
    --------
    >>> may_name("region=eu", 9, 10), may_name("region=eu", 10, 10), may_name("region=eu", None, 10)
    (False, True, False)
    """
    return bool(where) and isinstance(n, int) and not isinstance(n, bool) and n >= smallest


def _segments(source: Source, *, machines: bool) -> list[str]:
    told = []
    for one in _dicts(source.story.record.get("segments")):
        where, explains = str(one.get("where", "")), one.get("explains")
        columns = {part.partition("=")[0].strip() for part in where.split("&")}
        hidden = not machines and bool(columns & set(source.table.machines))
        if hidden or not may_name(where, one.get("n"), source.table.smallest_group):
            continue
        share = f"{min(max(explains, 0.0), 1.0):.0%} of what is wrong" if isinstance(explains, (int, float)) else ""
        told.append(f"{where}: {share}" if share else where)
    return told[:_MOST]


def _times(source: Source) -> list[str]:
    times = source.state.times
    named = {
        "began": times.occurred,
        "noticed": times.detected,
        "acknowledged": times.acknowledged,
        "effect limited": times.contained,
        "repaired": times.remediated,
        "watched from": times.monitoring,
        "closed": times.closed,
    }
    return [f"{what}: {said_time(at)}" for what, at in named.items() if at is not None]


def _decisions(source: Source) -> list[str]:
    measures, verdicts = source.words.measures, source.words.verdict
    told = []
    for entry in source.state.decisions:
        choice = str(entry.body.get("choice", ""))
        what = measures.get(choice) or verdicts.get(choice) or "a measure"
        told.append(f"{said_time(entry.at)}: decided on {what}")
    return told[-_MOST:]


def _acceptance(source: Source) -> str:
    entry = source.state.acceptance
    if entry is None:
        return ""
    criteria = _dicts(entry.body.get("criteria"))
    met = sum(1 for one in criteria if one.get("met") is True)
    verdict = "met" if entry.body.get("met") is True else "not met"
    return f"{verdict}: {met} of {len(criteria)} criteria for going back to normal, measured {said_time(entry.at)}"


_INSIDE: dict[str, Callable[[Source], Any]] = {
    "environment": lambda source: source.state.environment,
    "version": lambda source: str(_dict(source.story.record.get("model")).get("version", "")),
    "checks": checked_words,
    "decisions": _decisions,
    "acceptance": _acceptance,
    "times": _times,
}


# What responders hear: free text from the record, its small groups left out.


def _without_small_groups(source: Source, text: object, limit: int = 300) -> str:
    """Return free text in which a part of the requests is named only where it is known to be big enough."""
    smallest, record = source.table.smallest_group, source.story.record
    listed = [*_dicts(record.get("segments")), *_dicts(record.get("findings"))]
    big = {
        part.strip()
        for one in listed
        if may_name(str(one.get("where", "")), one.get("n"), smallest)
        for part in str(one["where"]).split("&")
    }
    names = _names_of_columns(record)

    def shown(found: re.Match[str]) -> str:
        whole = found[0].rstrip(".")
        known = whole in big or found[1] == "feature" or found[1] in names
        return found[0] if known else f"{found[1]}=… (fewer than {smallest}, or not counted)"

    return _EQUALS.sub(shown, one_line(text, limit))


def _names_of_columns(record: Mapping[str, Any]) -> set[str]:
    """Return what stands before "=" without being a group: the values of a proposal's commands."""
    return set(_dict(_dict(record.get("proposal")).get("values")))


def _signals(source: Source) -> list[str]:
    from rbnb.policy.texts import show

    told = []
    for one in _dicts(source.story.record.get("findings")):
        if one.get("status") != "breach":
            continue
        where = (
            f" in {one['where']}"
            if may_name(str(one.get("where", "")), one.get("n"), source.table.smallest_group)
            else ""
        )
        value = one.get("value")
        number = show(float(value), str(one.get("unit", ""))) if isinstance(value, (int, float)) else "not measured"
        told.append(f"{one.get('signal')}{where}: {number} (limit {one.get('threshold')}, n={one.get('n')})")
    more = len(told) - _MOST
    return told[:_MOST] + ([f"and {more} more"] if more > 0 else [])


def _hypotheses(source: Source) -> list[str]:
    causes = [one for one in _dicts(source.story.record.get("causes")) if one.get("status") in ("supported", "open")]
    return [_without_small_groups(source, f"{one.get('status')}: {one.get('name')}") for one in causes[:_MOST]]


def _proposal(source: Source) -> str:
    proposal = _dict(source.story.record.get("proposal"))
    if not proposal:
        return ""
    return _without_small_groups(source, f"{proposal.get('action')}: {proposal.get('because')}", 500)


def _decisions_by(source: Source) -> list[str]:
    told = [
        f"{said_time(e.at)}: {e.by}: {e.body.get('choice')}: {e.body.get('because')}" for e in source.state.decisions
    ]
    return [_without_small_groups(source, one, 400) for one in told[-_MOST:]]


def _attempts(source: Source) -> list[str]:
    return [
        f"{said_time(one.started)}: {one.action} ({one.way}) by {one.by}: {one.status}".replace("_", " ")
        for one in source.state.attempts[-_MOST:]
    ]


_INSIDE |= {
    "headline": lambda source: [
        _without_small_groups(source, line) for line in source.story.record.get("headline", [])[:2]
    ],
    "verdict": lambda source: source.story.verdict,
    "signals": _signals,
    "hypotheses": _hypotheses,
    "proposal": _proposal,
    "command": lambda source: one_line(_dict(source.story.record.get("proposal")).get("command", "") or "", 1500),
    "decisions_by": _decisions_by,
    "attempts": _attempts,
    "people": lambda source: [
        f"{role.replace('_', ' ')}: {', '.join(people)}" for role, people in source.state.people.items()
    ],
    "not_measured": lambda source: [
        one_line(one.get("what", ""), 200) for one in _dicts(source.story.record.get("not_measured"))[:_MOST]
    ],
    "held": lambda source: one_line(source.state.held, 300),
}
