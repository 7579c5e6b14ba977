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
from rbnb.model import VerdictName, to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rbnb.catalog import Action
    from rbnb.incidents import Incident
    from rbnb.ledger import Entry

__all__ = ["NOTHING", "VERDICTS", "Choice", "Rejected", "decide", "findings_digest", "standing_decision"]

#: The verdicts that may be decided on, and the word for choosing that nothing is done.
VERDICTS: tuple[str, ...] = get_args(VerdictName)
NOTHING = "none"

#: How many characters a reason may have.
_LONGEST = 4000


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

    def rule(entries: list[Entry]) -> tuple[str, dict[str, Any]]:
        refused.clear()
        try:
            evidence = _evidence(incident.folder, entries, choice)
        except RefusedError as error:
            refused.append(error)
            why = {"choice": choice.choice, "because": choice.because, "run": choice.run, "why": error.message}
            return "decision.refused", why
        return "decision.made", _body(choice, kind, evidence, standing_decision(entries))

    entry = incident.ledger.append_when(rule, by=actor.id)
    if refused:
        raise refused[0]
    return entry


def standing_decision(entries: Sequence[Entry]) -> Entry | None:
    """Return the decision that stands: the last one; None where nobody has decided."""
    return next((entry for entry in reversed(entries) if entry.kind == "decision.made"), None)


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
    for name in choice.values:
        if name not in action.values:
            missing = NotFoundError("value", name, action.values, where=choice.choice)
            raise ParameterError(missing.message, hint=missing.hint)
    render(action, choice.values)


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


def _evidence(folder: Path, entries: Sequence[Entry], choice: Choice) -> _Evidence:
    """Return the evidence of a run, and refuse what is not as recorded or not the newest."""
    runs = _runs(entries)
    run = choice.run or _newest(runs, folder.name)
    if run not in runs:
        raise NotFoundError("run", run, runs, where=folder.name)
    _check_newest(runs, run)
    record, digest = _read(folder / "runs" / run / "run.json", runs[run], run)
    _check_seen(choice.seen, record, run)
    return _Evidence(run, record, digest, tuple(name for name, body in runs.items() if not body.get("status")))


def _runs(entries: Sequence[Entry]) -> dict[str, dict[str, Any]]:
    """Return what the ledger says of the end of each run, in the order in which they started; {} is no end yet."""
    runs: dict[str, dict[str, Any]] = {}
    for entry in entries:
        run = str(entry.body.get("run", ""))
        if entry.kind == "run.started":
            runs[run] = {}
        elif entry.kind in ("run.finished", "run.failed") and run in runs:
            runs[run] = entry.body
    return runs


def _newest(runs: Mapping[str, Mapping[str, Any]], where: str) -> str:
    """Return the last run that completed, else the last that ended, else the last."""
    if not runs:
        raise NotFoundError("run", "any", [], where=where)
    ended = [name for name, body in runs.items() if body]
    completed = [name for name in ended if runs[name].get("status") == "completed"]
    return (completed or ended or list(runs))[-1]


def _check_newest(runs: Mapping[str, Mapping[str, Any]], run: str) -> None:
    if not runs[run]:
        raise RefusedError(f"run {run} is still going on", hint="decide when it has ended")
    names = list(runs)
    later = [name for name in names[names.index(run) + 1 :] if runs[name].get("status") == "completed"]
    if later:
        raise RefusedError(
            f"run {run} is not the newest evidence: {later[-1]} completed after it",
            hint=f"look at {later[-1]} and decide on that: leave out --run, or open its notebook",
        )


def _read(path: Path, body: Mapping[str, Any], run: str) -> tuple[dict[str, Any], str]:
    recorded = next((str(a["sha256"]) for a in body.get("artifacts", []) if a["path"] == "run.json"), "")
    if not recorded:
        raise RefusedError(f"run {run} left no record ({body.get('status')})", hint="run the runbook again")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RefusedError(
            f"the record of run {run} cannot be read: {error.strerror}", hint="`rbnb verify` tells what else is missing"
        ) from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != recorded:
        raise RefusedError(
            f"the record of run {run} is not the one that was recorded; its evidence has changed since",
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
