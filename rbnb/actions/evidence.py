"""What is secured before the first containment: the evidence as it is now, because containing changes it.

Rules: it is taken before the first action of an incident and again before the first that rests on another run; the
run's own record and its small evidence are copied; every table the run read is looked at again, and is said to be the
same, changed, or unreadable. **A table that cannot be read does not stop a containment**, since it may be what has
failed; a copy that cannot be written does.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rbnb.actions.keeping import keep, keep_json
from rbnb.data import ModelData
from rbnb.errors import RbnbError
from rbnb.inventory import find_model, load_model_file
from rbnb.model import Window, to_plain
from rbnb.times import format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from rbnb.actions.basis import Basis
    from rbnb.config import Places
    from rbnb.incidents import Incident, State
    from rbnb.ledger import Entry

__all__ = ["has_evidence", "take_evidence"]

#: Bytes up to which a file of evidence is copied, and up to which all of them are.
_LARGEST, _MOST = 2 * 2**20, 32 * 2**20
_RECORD = "run.json"


class _TakenError(Exception):
    """Somebody else has secured it meanwhile; what was copied here is left beside it, and named nowhere."""


def has_evidence(entries: Iterable[Entry], run: str) -> bool:
    """Whether the evidence of a run was secured."""
    return any(entry.kind == "evidence.taken" and entry.body.get("run") == run for entry in entries)


def take_evidence(
    incident: Incident, state: State, places: Places, basis: Basis, *, by: str, before: bytes, because: str
) -> None:
    """Secure what a decision rests on, and record it, unless somebody else has meanwhile.

    Parameters
    ----------
    basis
        The run.
    by
        Who acts.
    before
        The state of what is acted on, as it was read just now, without its secrets; empty where nothing could read it.
    because
        What for.

    Raises
    ------
    LedgerError
        If a copy or the entry cannot be written; then nothing may be done.
    """
    # Of its own also where others secure the same at this moment: what is recorded is never written over.
    folder = f"snapshots/{len(state.entries) + 1:06d}-{basis.run}-{secrets.token_hex(3)}"
    copies, left_out = _copies(incident, folder, basis.run)
    materials = look_again(places, state.model, basis.record)
    files = [
        *copies,
        keep_json(incident, f"{folder}/materials.json", materials),
        keep_json(incident, f"{folder}/incident.json", _standing(state)),
    ]
    if before:
        files.append(keep(incident, f"{folder}/state-before.txt", before))
    body = {
        "run": basis.run,
        "record": basis.digest,
        "because": because,
        "files": files,
        "left_out": left_out,
        "materials": [{key: one[key] for key in ("source", "state")} for one in materials],
    }

    def rule(entries: Sequence[Entry]) -> tuple[str, dict[str, Any]]:
        if has_evidence(entries, basis.run):
            raise _TakenError
        return "evidence.taken", body

    with suppress(_TakenError):
        incident.ledger.append_when(rule, by=by)


def look_again(places: Places, model: str, record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each table a run read, with its digest then and now, and whether it is the same."""
    recorded = [one for one in record.get("materials", []) if isinstance(one, dict)]
    now, why = _digests(places, model, recorded)
    return [_compared(one, now, why) for one in recorded]


def _compared(one: dict[str, Any], now: dict[str, str], why: str) -> dict[str, Any]:
    source, then = str(one.get("source", "")), str(one.get("digest", ""))
    found = now.get(source, "")
    if source == "baseline":
        state = "not looked at: what was learned is not what is acted on"
    elif not found:
        state = f"cannot be read: {why or 'it is not in the model file any more'}"
    elif found == then and ":" in then and not then.startswith("not taken"):
        state = "same"
    elif then.startswith("not taken"):
        state = "cannot be told: no digest was taken by the run"
    else:
        state = "changed"
    return {"source": source, "table": one.get("table"), "then": then, "now": found, "state": state}


def _digests(places: Places, model: str, recorded: list[dict[str, Any]]) -> tuple[dict[str, str], str]:
    """Return the digests of the tables as they are now, by source, or why they cannot be read."""
    windows = [one["window"] for one in recorded if one.get("source") == "predictions" and one.get("window")]
    if not windows:
        return {}, "the record does not say which window was read"
    try:
        window = Window(parse_time(windows[0]["start"]), parse_time(windows[0]["end"]))
        path = find_model(places.models, model)
        data = ModelData(load_model_file(path), path.parent)
        for one in recorded:
            if one.get("source") in ("training", "lineage", "trusted", "recomputed"):
                data.table(one["source"])
        return {found.source: found.digest for found in data.materials(window, window)}, ""
    except RbnbError as error:
        return {}, error.message


def _copies(incident: Incident, folder: str, run: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Copy a run's record and its small evidence; return the files, and what was too large and stays where it is."""
    origin = incident.folder / "runs" / run
    files, left_out, total = [], [], 0
    for path in _wanted(origin):
        name, size = path.relative_to(origin).as_posix(), path.stat().st_size
        if name != _RECORD and (size > _LARGEST or total + size > _MOST):
            left_out.append(f"runs/{run}/{name}")
            continue
        total += size
        files.append(keep(incident, f"{folder}/{name}", path.read_bytes()))
    return files, left_out


def _wanted(origin: Path) -> list[Path]:
    return [origin / _RECORD, *sorted(path for path in (origin / "evidence").rglob("*") if path.is_file())]


def _standing(state: State) -> dict[str, Any]:
    """Return how the incident stands, with the digest of its last entry: what came before cannot be told otherwise."""
    last = state.entries[-1]
    told: dict[str, Any] = to_plain(
        {
            "incident": state.incident,
            "status": state.status,
            "severity": state.severity,
            "environment": state.environment,
            "entries": last.seq,
            "head": last.digest,
            "at": format_time(last.at),
        }
    )
    return told
