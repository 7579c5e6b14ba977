"""Which of an incident's runs tell how it stands, and in which colour.

Rules:

- **Each runbook speaks with its last run that ended**; of several, trouble comes before doubt, doubt before health.
- **Doubt is not health.** A run that did not complete or could not tell is "we do not know yet", in grey; what an
  earlier run of the same runbook had found is still told, as what was known before.
- **Only a record that is as recorded speaks.** A run.json whose digest is not that of the ledger counts as doubt.
- **Green only for what is closed in order, or found healthy with nothing against it**: no measure taken, no rollout
  on hold, nobody who graded it otherwise.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rbnb.governance.audiences import Communication
    from rbnb.incidents import RunState, State

__all__ = ["SIGNS", "Story", "colour_of", "read_story", "severity_of", "sign_of"]

_TROUBLE = ("genuine", "infrastructure", "transient")
_RANK = {"genuine": 3, "infrastructure": 3, "transient": 2, "healthy": 0}
_DOUBT = 1

#: What each colour says, for who sees no colour.
SIGNS = {
    "red": "not under control yet",
    "amber": "not over yet",
    "green": "no problem found",
    "grey": "we do not know yet",
}


@dataclass(frozen=True, slots=True)
class Story:
    """What the runs of an incident tell.

    Parameters
    ----------
    record
        The record that is told from; nothing where none can be.
    verdict
        healthy, genuine, infrastructure, transient or inconclusive.
    why
        Why nothing can be told; "" where something can.
    earlier
        The record of trouble that an inconclusive run came after, if any.
    runs
        Every run that ended: its runbook, its verdict, its end.
    """

    record: Mapping[str, Any] = field(default_factory=dict)
    verdict: str = "inconclusive"
    why: str = ""
    earlier: Mapping[str, Any] = field(default_factory=dict)
    runs: tuple[tuple[str, str], ...] = ()

    @property
    def unknown(self) -> bool:
        """Whether nobody can say yet how it stands."""
        return self.verdict not in _RANK

    @property
    def trouble(self) -> bool:
        """Whether something is wrong."""
        return self.verdict in _TROUBLE


def read_story(folder: Path, state: State) -> Story:
    """Read the records of an incident's runs, and return the one that tells how it stands.

    Parameters
    ----------
    folder
        The incident's.
    state
        What its ledger comes to.
    """
    ended = [run for run in state.runs if run.status != "running"]
    if not ended:
        why = "the first check is still running" if state.runs else "nothing has been checked yet"
        return Story(why=why)
    told = tuple((_runbook(run), run.verdict if run.status == "completed" else "inconclusive") for run in ended)
    stories = [_of_runbook(folder, [run for run in ended if _runbook(run) == name], told) for name, _ in told]
    best = max(_RANK.get(story.verdict, _DOUBT) for story in stories)
    return next(story for story in reversed(stories) if _RANK.get(story.verdict, _DOUBT) == best)


def _runbook(run: RunState) -> str:
    return run.run.partition("-")[2] or run.run


def _of_runbook(folder: Path, runs: list[RunState], told: tuple[tuple[str, str], ...]) -> Story:
    last = runs[-1]
    record, why = _record(folder, last)
    verdict = str(record.get("verdict")) if record and record.get("status") == "completed" else "inconclusive"
    if verdict in _RANK:
        return Story(record, verdict, "", {}, told)
    earlier: Mapping[str, Any] = {}
    for run in reversed(runs[:-1]):
        if run.status == "completed" and run.verdict in _RANK:
            earlier = _record(folder, run)[0] if run.verdict in _TROUBLE else {}
            break
    return Story(record, "inconclusive", why or "the last check could not tell", earlier, told)


def _record(folder: Path, run: RunState) -> tuple[Mapping[str, Any], str]:
    """Return a run's record if it is the one that the ledger names, else why it is not."""
    try:
        raw = (folder / "runs" / run.run / "run.json").read_bytes()
    except OSError:
        return {}, "the last check left no record"
    artifacts = run.body.get("artifacts")
    listed = [one for one in artifacts if isinstance(one, dict)] if isinstance(artifacts, list) else []
    digest = next((one.get("sha256") for one in listed if one.get("path") == "run.json"), None)
    if digest != hashlib.sha256(raw).hexdigest():
        return {}, "the record of the last check is not as it was recorded"
    try:
        record = json.loads(raw)
    except ValueError:
        return {}, "the record of the last check cannot be read"
    return (record, "") if isinstance(record, dict) else ({}, "the record of the last check cannot be read")


def colour_of(state: State, story: Story, table: Communication) -> str:
    """Return red, amber, green or grey.

    Parameters
    ----------
    table
        Says which colour trouble of a severity has.
    """
    if state.status == "closed":
        return "green" if _closed_in_order(state) else "grey"
    if state.held:
        return "red" if story.trouble and state.status == "open" else "amber"
    if story.unknown:
        return "grey"
    if story.verdict == "healthy":
        return "green" if _nothing_against(state) else "amber"
    if story.verdict == "transient" or state.status != "open":
        return "amber"
    return table.colours.get(severity_of(state, story), "red")  # type: ignore[call-overload,no-any-return]


def severity_of(state: State, story: Story) -> str:
    """Return how bad it is: as a person said, else as the run graded it that tells how it stands; "" is not graded.

    A later run of another runbook that finds nothing of its kind does not make this milder.
    """
    if any(entry.kind == "severity.set" for entry in state.entries):
        return state.severity
    for record in (story.record, story.earlier):
        graded = record.get("severity")
        if isinstance(graded, dict) and graded.get("level"):
            return str(graded["level"])
    return state.severity


def _closed_in_order(state: State) -> bool:
    body = next((entry.body for entry in reversed(state.entries) if entry.kind == "incident.closed"), {})
    if state.resolution in ("false_alarm", "duplicate", "transient"):
        return not body.get("exception_by")
    return bool(body.get("accepted")) and not body.get("exception_by")


def _nothing_against(state: State) -> bool:
    said = any(entry.kind in ("severity.set", "status.set") for entry in state.entries)
    return state.status == "open" and not state.attempts and not said


def sign_of(colour: str, state: State) -> str:
    """Return in words what a colour says of an incident.

    Parameters
    ----------
    colour
        As `colour_of` gave it.
    """
    if state.status == "closed":
        return "over" if colour == "green" else "closed without proof that it is over"
    return SIGNS[colour]
