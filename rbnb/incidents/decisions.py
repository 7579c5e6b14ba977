"""What a person decides: an action, a verdict, or to do nothing; with the reason, and the evidence it rests on.

Rules:

- **A decision names its evidence**: the run, the digest of its `run.json`, and that of its findings. It is refused
  where that evidence is not what was recorded, or is no longer the newest; the refusal is on the ledger as well.
- **It is built on the state it was checked against** (`Ledger.append_when`): a run that ends, or a decision that
  somebody else makes meanwhile, is seen.
- **A later decision supersedes an earlier one**, and says which; nothing is taken back from the ledger.
- **Nothing is executed.** What is decided still needs its approvals, and somebody who does it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_args

from rbnb.catalog import render
from rbnb.errors import NotFoundError, ParameterError, RefusedError, UsageError
from rbnb.incidents.state import fold
from rbnb.model import RunStatus, VerdictName, to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rbnb.catalog import Action
    from rbnb.incidents import Incident, RunState, State
    from rbnb.ledger import Entry

__all__ = ["NOTHING", "VERDICTS", "Choice", "Rejected", "decide", "findings_digest"]

#: The verdicts that may be decided on, and the word for choosing that nothing is done.
VERDICTS: tuple[str, ...] = get_args(VerdictName)
NOTHING = "none"

#: How many characters a reason may have.
_LONGEST = 4000
#: The status of a run without an end on record.
_RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Rejected:
    """An option that was turned down, and why."""

    option: str
    because: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person wants to put on record.

    Parameters
    ----------
    choice
        An action of the catalog, a verdict, or ``none``.
    because
        The reason, in a sentence.
    rejected
        The options that were turned down.
    values
        Values for the action, by name.
    run
        The run it rests on; "" is the last that completed.
    seen
        What the person had before them, as ``(signal, where, status)``, where that can differ from the run's record;
        None where it is the record itself.
    """

    choice: str
    because: str
    rejected: tuple[Rejected, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    run: str = ""
    seen: Sequence[tuple[str, str, str]] | None = None


@dataclass(frozen=True, slots=True)
class _Evidence:
    """A run as the ledger and the disk agree on it; `going_on` are the runs that have not ended yet."""

    run: str
    record: dict[str, Any]
    digest: str
    going_on: tuple[str, ...]


def decide(incident: Incident, choice: Choice, catalog: Mapping[str, Action]) -> Entry:
    """Put a decision on record; nothing is executed.

    Parameters
    ----------
    incident
        Where.
    choice
        What, why, and on which run.
    catalog
        The actions that may be chosen.

    Returns
    -------
    Entry
        ``decision.made``.

    Raises
    ------
    UsageError
        If the choice, an option or a value is not one that exists, or a reason is missing; nothing is recorded.
    RefusedError
        If this person may not decide now, or the evidence has changed since; the refusal is on record.
    """
    choice, kind = _checked(choice, catalog, incident.name)
    actor = incident.allow("decide", subject=choice.choice)
    refused: list[RefusedError] = []

    def rule(entries: Sequence[Entry]) -> tuple[str, dict[str, Any]]:
        refused.clear()
        state = fold(incident.name, entries)
        try:
            if why := incident.why_not("decide", incident.actor(state), state):
                raise RefusedError(why, hint="the incident has moved on meanwhile: rbnb show tells how")  # noqa: TRY301
            evidence = _evidence(incident.folder, state, choice)
        except RefusedError as error:
            refused.append(error)
            return "decide.refused", _refusal(choice, actor.spelled, error.message)
        return "decision.made", _body(choice, kind, evidence, state.decision)

    entry = incident.ledger.append_when(rule, by=actor.id)
    if refused:
        raise RefusedError(f"{incident.name}: not decided: {refused[0].message}", hint=refused[0].hint)
    return entry


def _refusal(choice: Choice, spelled: str, why: str) -> dict[str, Any]:
    about = {"operation": "decide", "subject": choice.choice, "why": why, "spelled": spelled}
    return {**about, "because": choice.because, "run": choice.run}


def findings_digest(record: Mapping[str, Any]) -> str:
    """Return the digest of what a run found: of its findings as JSON, keys sorted, without blanks.

    Examples
    --------
    >>> findings_digest({"findings": []})
    'sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945'
    """
    plain = json.dumps(to_plain(record.get("findings", [])), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(plain.encode()).hexdigest()}"


def _checked(choice: Choice, catalog: Mapping[str, Action], where: str) -> tuple[Choice, str]:
    kind = _kind(choice.choice, catalog, where)
    because = _reason(choice.because, "a decision needs a reason", 'say it with --because "…"')
    rejected = tuple(_turned_down(choice, catalog, where))
    _check_values(choice, kind, catalog)
    return replace(choice, because=because, rejected=rejected), kind


def _kind(option: str, catalog: Mapping[str, Action], where: str) -> str:
    if option in catalog:
        return "action"
    if option == NOTHING:
        return "none"
    if option in VERDICTS:
        return "verdict"
    raise NotFoundError("option", option, [*catalog, NOTHING, *VERDICTS], where=where)


def _reason(text: str, missing: str, hint: str) -> str:
    words = text.strip()
    if not words:
        raise UsageError(missing, hint=hint)
    if len(words) > _LONGEST:
        raise UsageError(f"a reason has {len(words):,} characters", hint=f"at most {_LONGEST:,}; link to the rest")
    return words


def _turned_down(choice: Choice, catalog: Mapping[str, Action], where: str) -> list[Rejected]:
    found: dict[str, Rejected] = {}
    for one in choice.rejected:
        _kind(one.option, catalog, where)
        if one.option == choice.choice:
            raise UsageError(f"{one.option} is chosen and turned down at once", hint="name it once")
        if one.option in found:
            raise UsageError(f"{one.option} is turned down twice", hint="name it once, with all its reasons")
        missing = f"{one.option} is turned down without a reason"
        hint = f'say it with --reject {one.option} --because "…"'
        found[one.option] = Rejected(one.option, _reason(one.because, missing, hint))
    return list(found.values())


def _check_values(choice: Choice, kind: str, catalog: Mapping[str, Action]) -> None:
    if not choice.values:
        return
    if kind != "action":
        raise UsageError(f"{choice.choice} takes no values", hint="only an action does")
    action = catalog[choice.choice]
    by_way = {way: {name for source, name in action.variant(way).used if not source} for way in action.names}
    declared = set().union(*by_way.values())
    for name in choice.values:
        if name not in declared:
            missing = NotFoundError("value", name, declared, where=choice.choice)
            raise ParameterError(missing.message, hint=missing.hint)
    fitting = [way for way, used in by_way.items() if set(choice.values) <= used]
    if not fitting:
        raise ParameterError(
            f"no variant of {choice.choice} takes all of {', '.join(choice.values)}", hint="give those of one platform"
        )
    _check_patterns(action, choice.values, fitting)


def _check_patterns(action: Action, values: Mapping[str, str], ways: Sequence[str]) -> None:
    """Check values against their patterns; what the plan of the action runs on is checked again there."""
    wrong: list[ParameterError] = []
    for way in ways:
        try:
            render(action, values, way)
        except ParameterError as error:
            wrong.append(error)
        else:
            return
    raise wrong[0]


def _body(choice: Choice, kind: str, evidence: _Evidence, before: Entry | None) -> dict[str, Any]:
    proposal = evidence.record.get("proposal") or {}
    verdict = str(evidence.record.get("verdict", ""))
    proposed = verdict if kind == "verdict" else str(proposal.get("action", NOTHING))
    return {
        "choice": choice.choice,
        "kind": kind,
        "because": choice.because,
        "rejected": [{"option": one.option, "because": one.because} for one in choice.rejected],
        "proposed": proposed,
        "follows_proposal": choice.choice == proposed,
        "values": dict(choice.values),
        "run": evidence.run,
        "record": evidence.digest,
        "findings": findings_digest(evidence.record),
        "verdict": verdict,
        "going_on": list(evidence.going_on),
        "supersedes": before.seq if before else None,
    }


def _evidence(folder: Path, state: State, choice: Choice) -> _Evidence:
    """Return the evidence of a run, and refuse what is not as recorded or not the newest."""
    runs = {run.run: run for run in state.runs}
    name = choice.run or _newest(state)
    if name not in runs:
        raise NotFoundError("run", name, runs, where=folder.name)
    _check_newest(state.runs, runs[name])
    record, digest = _read(folder / "runs" / name / "run.json", runs[name])
    _check_seen(choice.seen, record, name)
    return _Evidence(name, record, digest, tuple(run.run for run in state.runs if run.status == _RUNNING))


def _newest(state: State) -> str:
    """Return the last run that completed, else the last that ended, else the last."""
    if not state.runs:
        raise NotFoundError("run", "any", [], where=state.incident)
    ended = [run.run for run in state.runs if run.status != _RUNNING]
    completed = [run.run for run in state.runs if run.status == RunStatus.COMPLETED]
    return (completed or ended or [state.runs[-1].run])[-1]


def _check_newest(runs: Sequence[RunState], run: RunState) -> None:
    if run.status == _RUNNING:
        raise RefusedError(f"run {run.run} is still going on", hint="decide when it has ended")
    later = [other.run for other in runs[runs.index(run) + 1 :] if other.status == RunStatus.COMPLETED]
    if later:
        raise RefusedError(
            f"run {run.run} is not the newest evidence: {later[-1]} completed after it",
            hint=f"look at {later[-1]} and decide on that: leave out --run, or open its notebook",
        )


def _read(path: Path, run: RunState) -> tuple[dict[str, Any], str]:
    recorded = next((str(a["sha256"]) for a in run.body.get("artifacts", []) if a["path"] == "run.json"), "")
    if not recorded:
        raise RefusedError(f"run {run.run} left no record: it was {run.status}", hint="run the runbook again")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RefusedError(
            f"the record of run {run.run} cannot be read: {error.strerror}",
            hint="`rbnb verify` tells what else is missing",
        ) from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != recorded:
        raise RefusedError(
            f"the record of run {run.run} is not the one that was recorded; its evidence has changed since",
            hint="`rbnb verify` tells what differs; run the runbook again and decide on that",
        )
    record: dict[str, Any] = json.loads(content)
    return record, f"sha256:{digest}"


def _check_seen(seen: Sequence[tuple[str, str, str]] | None, record: Mapping[str, Any], run: str) -> None:
    if seen is None:
        return
    recorded = [(str(f["signal"]), str(f["where"]), str(f["status"])) for f in record.get("findings", [])]
    if changed := sorted(set(seen) ^ set(recorded)):
        signal, where, _ = changed[0]
        raise RefusedError(
            f"this notebook's findings are not those of run {run} ({signal}{f' at {where}' if where else ''} differs)",
            hint="run the runbook again with what you changed, `rbnb run … --incident …`, and decide on that",
        )
