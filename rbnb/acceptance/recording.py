"""Putting an acceptance on record: all numbers in a file of the incident, the verdict and each criterion on the ledger.

Rules: the file is there, whole and on the disk, before the entry names it; what was measured is recorded only if
nothing was done to the model while it was measured; a file whose entry was not written is taken away again.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rbnb.acceptance.accepting import measure
from rbnb.acceptance.bench import Bench
from rbnb.acceptance.fired import fresh_since
from rbnb.errors import LedgerError, UsageError
from rbnb.model import to_plain
from rbnb.policy.returning import worst
from rbnb.times import format_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rbnb.acceptance.accepting import Measured
    from rbnb.acceptance.criteria import Criterion
    from rbnb.config import Places
    from rbnb.incidents import Incident
    from rbnb.ledger import Entry

__all__ = ["accept", "body_of", "condensed", "write_evidence"]


def accept(places: Places, incident: Incident, *, window: str = "", at: str = "") -> tuple[Measured, Entry]:
    """Measure whether a model may return to service, and record it.

    Parameters
    ----------
    places
        The workspace.
    incident
        Which.
    window
        How long a fresh window is; "" is what the model file says, else the run's own length.
    at
        Where the last window ends; "" is the newest complete data.

    Returns
    -------
    tuple
        What was measured, and the entry ``acceptance.measured``.

    Raises
    ------
    RefusedError
        If who asks may not do this now.
    UsageError
        If no run was completed, a time or length cannot be read, or something was done to the model meanwhile.
    DataError
        If the request log cannot be read.
    LedgerError
        If it cannot be recorded.
    """
    actor = incident.allow("accept")
    bench = Bench(places, incident, window, at)
    found = measure(bench)
    body = body_of(found, bench.runs[-1].run)
    file = write_evidence(incident.folder, {**body, "incident": incident.name, "criteria": _all(found)})
    path = incident.folder / file["path"]

    def rule(entries: Sequence[Entry]) -> tuple[str, dict[str, Any]]:
        now = fresh_since(entries, bench.runs)
        if now.since > found.fresh.since or _runs_of(entries) != _runs_of(bench.state.entries):
            raise UsageError(
                f"{incident.name}: something was done or run while this was measured, so it is not recorded",
                hint=f"measure it again: rbnb accept {incident.name}",
            )
        return "acceptance.measured", {**body, "files": [file]}

    try:
        return found, incident.ledger.append_when(rule, by=actor.id)
    except UsageError:
        with suppress(OSError):
            path.unlink()
        raise


def _runs_of(entries: Sequence[Entry]) -> list[str]:
    return [str(one.body.get("run")) for one in entries if one.kind == "run.finished"]


def body_of(found: Measured, run: str) -> dict[str, Any]:
    """Return what the ledger says of an acceptance: each criterion once a scenario, with its worst window."""
    body: dict[str, Any] = to_plain(
        {
            "met": found.met,
            "outcome": found.outcome,
            "model": found.model,
            "run": run,
            "counts_from": found.fresh.since,
            "counts_because": found.fresh.because,
            "end": found.end,
            "windows": found.windows,
            "windows_asked": found.windows_asked,
            "scenarios": found.scenarios,
            "criteria": [_plain(one) for one in condensed(found.criteria)],
        }
    )
    return body


def _all(found: Measured) -> list[dict[str, Any]]:
    return [_plain(one) for one in found.criteria]


def _plain(one: Criterion) -> dict[str, Any]:
    plain: dict[str, Any] = {**to_plain(one), "met": one.met}
    return plain


def condensed(criteria: Sequence[Criterion]) -> list[Criterion]:
    """Return each criterion once a scenario: the window in which it came out worst, the newest of equals."""
    found: dict[tuple[str, ...], Criterion] = {}
    for one in criteria:
        key = (one.scenario, one.source, one.runbook, one.name, one.where, one.limit if one.source == "quality" else "")
        known = found.get(key)
        if known is None or worst([known.outcome, one.outcome]) == one.outcome:
            found[key] = one
    return list(found.values())


def write_evidence(folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Write a file ``acceptance/NN.json`` below an incident, on the disk, and return its path, digest and size.

    Raises
    ------
    LedgerError
        If it cannot be written; then nothing is left behind.
    """
    raw = (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    place = folder / "acceptance"
    try:
        place.mkdir(exist_ok=True)
        number = len(list(place.glob("*.json")))
        while True:
            number += 1
            path = place / f"{number:02d}.json"
            try:
                _write_new(path, raw)
            except FileExistsError:
                continue
            break
    except OSError as error:
        raise LedgerError(
            f"{place}: what was measured cannot be written: {error.strerror}",
            hint="free space or mend permissions; nothing was recorded",
        ) from None
    return {"path": f"acceptance/{path.name}", "sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}


def _write_new(path: Path, raw: bytes) -> None:
    with path.open("xb") as file:
        try:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            path.unlink()
            raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def told_windows(found: Measured) -> str:
    """Return which windows were measured, in words."""
    if not found.windows:
        return "no fresh window"
    first, last = found.windows[0].start, found.windows[-1].end
    many = len(found.windows)
    return f"{many} fresh window{'s' if many != 1 else ''}, {format_time(first)} to {format_time(last)}"
