"""What was done and what comes next, in fixed words: no name, command or value of anything.

Rules: a measure counts as helping only when its verification held; what failed is told as well; a measure that has no
words in `policies/communication.yaml` is "a measure", never its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.communication.plain import said_time

if TYPE_CHECKING:
    from rbnb.communication.facts import Source
    from rbnb.incidents import Attempt

__all__ = ["checked_words", "done_words", "next_words"]

_MOST = 8
_MEASURE = "a measure to limit the effect"

#: What became of a measure, in words for those outside.
_BECAME = {
    "running": "being done now",
    "done": "done; whether it helps is being checked",
    "held": "done, and checked: it works as intended",
    "not_held": "done, but it has not helped so far",
    "failed": "tried without success",
    "timed_out": "tried without success",
    "interrupted": "begun; whether it took effect is being looked at",
    "rolled_back": "done, and undone again",
}


def done_words(source: Source) -> list[str]:
    """Return what was done against it so far, oldest first."""
    told = [(one.started, _attempt(source, one)) for one in source.state.attempts if _counts(one)]
    entry = source.state.acceptance
    if entry is not None:
        met = (
            "is within its agreed limits again"
            if entry.body.get("met") is True
            else "is not yet within its agreed limits"
        )
        told.append((entry.at, f"measured again: the model {met}"))
    shown = [f"{said_time(at)}: {what}" for at, what in sorted(told, key=lambda one: one[0])]
    return shown[-_MOST:]


def _counts(attempt: Attempt) -> bool:
    return attempt.way != "rollback" and attempt.status in _BECAME


def _attempt(source: Source, attempt: Attempt) -> str:
    by_hand = attempt.way == "by_hand" and attempt.status == "held"
    became = "done by hand; whether it helps is not measured yet" if by_hand else _BECAME[attempt.status]
    return f"{source.words.measures.get(attempt.action, _MEASURE)}: {became}"


def next_words(source: Source) -> list[str]:
    """Return what happens next, from where the incident stands."""
    state, story = source.state, source.story
    if state.status == "closed":
        resolution = source.words.resolution.get(state.resolution, "It is closed.")
        return [f"{resolution} Nothing more is done in this incident."]
    held = ["The new version goes to nobody else until the watching is satisfied."] if state.held else []
    course = {
        "contained": "Engineers repair the cause. Then it is measured whether all is as it should be.",
        "remediated": "It is watched for a while before it counts as over.",
        "monitoring": "It is being watched. If it stays as it is now, the incident is closed.",
    }
    if state.status in course:
        return [*held, course[state.status]]
    if story.unknown:
        return [*held, "An engineer finds out why it could not be told, and checks again."]
    return [*held, _undecided(source)]


def _undecided(source: Source) -> str:
    state, story = source.state, source.story
    if any(one.status == "running" for one in state.attempts):
        return "A measure is being taken now; then it is checked whether it helps."
    if state.decision is not None:
        choice = str(state.decision.body.get("choice", ""))
        if choice in source.words.measures:
            return f"It was decided: {source.words.measures[choice]}. It is done once everybody needed has agreed."
        return "A decision was made; it is carried out once everybody needed has agreed."
    if story.verdict == "healthy":
        return source.plain(story.record, "next") or "Nothing has to be done now."
    return source.plain(story.record, "next") or "Engineers look for the cause, and people decide what is done."


def checked_words(source: Source) -> list[str]:
    """Return what was checked and what each check found, the last of each kind."""
    last = dict(source.story.runs)
    return [
        f"{source.words.checks.get(name, 'another check')}: {source.words.verdict.get(verdict, 'it could not tell')}"
        for name, verdict in last.items()
    ]
