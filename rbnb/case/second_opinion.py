"""Asking for a second opinion from within a run: samples out, a process with a deadline, its answer in.

What is asked is `rbnb.opinion`, which lives in a process of its own; this module knows its files and nothing of
Evidently. Rules:

- **It is extra.** Whatever happens to it, the run goes on, and says that there is no second opinion and why.
- **Bounded**: at most `LIMIT` rows a side, `SECONDS` seconds, and an environment without credentials or proxies.
- **What comes back is data**: read as JSON of a known shape, shown as text; its HTML is named, never opened.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rbnb.data import DAY, WEEK, Span
from rbnb.errors import RbnbError
from rbnb.policy import show
from rbnb.text import one_line, visible
from rbnb.view import Note, Table, columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from rbnb.data import ModelData
    from rbnb.model import Cause, Finding
    from rbnb.scope import Scope
    from rbnb.view import View

__all__ = ["LIMIT", "SECONDS", "SecondOpinion", "ask", "findings_by_feature", "opinion_views", "write_samples"]

#: Rows a side. Above 1,000 rows of reference Evidently judges by size, and 5,000 keep it to a few seconds.
LIMIT = 5_000
#: Seconds until it is given up.
SECONDS = 180.0

#: What its environment holds; no credential, no proxy, nothing that a person's shell adds.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "RBNB_KERNEL_TOKEN")
_SET = {"DO_NOT_TRACK": "1", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_WORST_FIRST = ("breach", "warning", "undefined", "ok")
#: Reasons of `rbnb.opinion` that mean that one of the two has no answer.
_NOT_COMPARED = ("unusable", "not_judged")
_LARGEST_ANSWER = 4 * 2**20
#: How long the reference must be for hours of the week, and of the day, to come back in it, in seconds.
_WEEKS, _DAYS = 13.5 * DAY, 1.9 * DAY
#: Rows that the same hours of the week must hold before those of the day are taken.
_ENOUGH = 500


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What Evidently said, as it stands in the run record: in how many columns both agree, and where not."""

    tool: str = ""
    available: bool = False
    why: str = ""
    rows: int | None = None
    reference_rows: int | None = None
    columns: int = 0
    agree: int = 0
    differ: tuple[dict[str, Any], ...] = ()
    details: tuple[dict[str, Any], ...] = field(default=(), repr=False)

    def record(self) -> dict[str, Any]:
        """Return it for run.json; every column in full is in ``opinion.json``."""
        kept = ("tool", "available", "why", "rows", "reference_rows", "columns", "agree", "differ")
        return {name: getattr(self, name) for name in kept}


def ask(
    data: ModelData, scope: Scope, ours: Mapping[str, Mapping[str, str]], folder: Path, *, seconds: float = SECONDS
) -> SecondOpinion:
    """Ask for a second opinion on every feature, and leave its files in `folder`.

    Parameters
    ----------
    data, scope
        The model's logs, and the window with its reference.
    ours
        What rbnb says of each feature, from `findings_by_feature`.
    folder
        Where samples and answers go; made if it is not there.
    seconds
        Until it is given up.

    Returns
    -------
    SecondOpinion
        Also where none could be had: then it says why.
    """
    if not data.features and not data.broken_features:
        return SecondOpinion(why="the model file maps no features")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("evidently.json", "evidently.html", "opinion.json"):
            (folder / name).unlink(missing_ok=True)
        write_samples(data, scope, ours, folder)
    except OSError as error:
        return SecondOpinion(why=f"its samples cannot be written: {error.strerror}")
    except RbnbError as error:
        return SecondOpinion(why=f"its samples cannot be read: {error.message}")
    return _run(folder, seconds)


def write_samples(data: ModelData, scope: Scope, ours: Mapping[str, Mapping[str, str]], folder: Path) -> None:
    """Write what is asked: ``columns.json``, and at most `LIMIT` rows of the window, the reference and its same hours.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    wanted = [f"feature_{name}" for name in data.features]
    whole = Span(scope.reference_start, scope.reference_end, leave_out=scope.leave_out)
    spans: dict[str, Span | None] = {
        "current": Span(scope.start, scope.end),
        "reference": whole,
        "same_hours": _same_hours(data, scope, whole),
    }
    for name, span in spans.items():
        if span is not None and wanted:
            rows = data.rows(span, limit=LIMIT, columns=wanted).drop(columns="epoch")
            rows.columns = [column.removeprefix("feature_") for column in rows.columns]
            rows.to_parquet(folder / f"{name}.parquet", compression="zstd", index=False)
    asked = {"features": data.features, "unusable": data.broken_features, "ours": ours}
    (folder / "columns.json").write_text(json.dumps(asked, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _same_hours(data: ModelData, scope: Scope, whole: Span) -> Span | None:
    """Return the same hours of the reference's weeks, or of its days where those hold too little; None without any."""
    length, reference = scope.end - scope.start, scope.reference_end - scope.reference_start
    for period, least in ((WEEK, _WEEKS), (DAY, _DAYS)):
        if reference < least or length >= period:
            continue
        first, last = scope.start % period, scope.start % period + length
        slots = ((first, min(last, period)), (0, last - period)) if last > period else ((first, last),)
        span = replace(whole, period=period, slots=slots)
        if period == DAY or data.count_rows(span) >= _ENOUGH:
            return span
    return None


def findings_by_feature(
    findings: Iterable[Finding], causes: Iterable[Cause] = (), looked_at: Iterable[str] = ()
) -> dict[str, dict[str, str]]:
    """Return what rbnb says of each feature: a status, the numbers behind it, and a hypothesis that was turned down.

    A feature is flagged by a finding that breaches or warns, and by a hypothesis that is supported. One that was
    measured, or looked at, without either is ok.

    Parameters
    ----------
    findings, causes
        Those whose place is one feature count, ``feature=<name>``.
    looked_at
        Features that were looked at even where no finding names them.
    """
    by_name: dict[str, list[Finding]] = {}
    for finding in findings:
        if name := _feature(finding.where):
            by_name.setdefault(name, []).append(finding)
    told = {name: {"status": "ok", "told": "looked at, and nothing found"} for name in looked_at}
    told |= {name: _worst(those) for name, those in by_name.items()}
    for cause in causes:
        if name := _feature(cause.where):
            told[name] = _examined(told.get(name, {"status": "ok", "told": ""}), cause)
    return told


def _examined(own: dict[str, str], cause: Cause) -> dict[str, str]:
    """Add to what is said of a feature what a hypothesis about it came to."""
    about = one_line(f"{cause.name}: {cause.evidence}", 300)
    if cause.status == "supported" and own["status"] not in ("breach", "warning"):
        return {"status": "supported", "told": about}
    return own | {"examined": about} if cause.status == "refuted" and own["status"] == "ok" else own


def _feature(where: str) -> str:
    """Return the feature that a place is, or "" if it is another place."""
    return where.removeprefix("feature=") if where.startswith("feature=") and " & " not in where else ""


def _worst(those: list[Finding]) -> dict[str, str]:
    judged = [one for one in those if not one.threshold.startswith("none")]
    measured = judged or those
    status = next(status for status in _WORST_FIRST if any(one.status == status for one in measured))
    if not judged and any(one.value is not None for one in measured):
        status = "ok"
    told = [
        f"{one.signal} {show(one.value, one.unit)}" if one.value is not None else f"{one.signal}: {one.reason}"
        for one in measured
        if one.status == status
    ]
    return {"status": status, "told": one_line(", ".join(told[:3]), 300)}


def _run(folder: Path, seconds: float) -> SecondOpinion:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    command = [sys.executable, "-P", "-m", "rbnb.opinion", str(folder)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module, by the absolute path of this interpreter
            command,
            env=environment | _SET,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return SecondOpinion(why=f"it took longer than {seconds:.0f} s and was ended")
    except OSError as error:
        return SecondOpinion(why=f"its process cannot be started: {error.strerror}")
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
        how = f"exit code {done.returncode}" if done.returncode > 0 else f"signal {-done.returncode}"
        return SecondOpinion(why=one_line(f"its process failed ({how}): {lines[-1]}", 300))
    return read_answer(folder / "opinion.json")


def read_answer(path: Path) -> SecondOpinion:
    """Read what the process left; what is not of the shape that was agreed is no opinion."""
    try:
        raw = path.read_bytes()
        if len(raw) > _LARGEST_ANSWER:
            return SecondOpinion(why=f"its answer has {len(raw):,} bytes")
        plain = json.loads(raw)
        details = tuple(_checked(column) for column in plain["columns"])
        keys = {"column": "column", "flagged_by": "flagged_by", "reason": "reason", "because": "because"}
        differ = tuple({key: one[of] for key, of in keys.items()} for one in details if not one["agree"])
        return SecondOpinion(
            tool=str(plain["tool"]),
            available=True,
            rows=int(plain["rows"]),
            reference_rows=int(plain["reference_rows"]),
            columns=len(details),
            agree=len(details) - len(differ),
            differ=differ,
            details=details,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return SecondOpinion(why=f"its answer cannot be read: {type(error).__name__}")


def _checked(column: dict[str, Any]) -> dict[str, Any]:
    """Return one column of the answer with every text made harmless to show."""
    said, ours = column["said"], column["ours"]
    because = "; ".join([str(column["because"]), *map(str, column["more"])])
    return {
        "column": visible(column["column"], 200),
        "agree": bool(column["agree"]),
        "flagged_by": visible(column["flagged_by"], 20),
        "reason": visible(column["reason"], 40),
        "because": visible(because, 800),
        "status": visible(ours["status"], 20) or "undefined",
        "method": visible(said["method"], 80),
        "value": None if said["value"] is None else float(said["value"]),
        "threshold": None if said["threshold"] is None else float(said["threshold"]),
        "drifted": said["drifted"] if isinstance(said["drifted"], bool) else None,
    }


def opinion_views(opinion: SecondOpinion) -> list[View]:
    """Show what both say of each column, where they differ and why, and what to mind about the HTML."""
    if not opinion.available:
        return [Note(f"Second opinion not available: {opinion.why}.", "info")]
    heads = columns(
        "column|code", "rbnb|status", "Evidently", "its method", "its value|number", "its limit|number", "why"
    )
    rows = tuple(
        (one["column"], one["status"], _flag(one["drifted"]), one["method"], one["value"], one["threshold"], _why(one))
        for one in sorted(opinion.details, key=lambda one: one["agree"])
    )
    return [
        Table(_title(opinion), heads, rows, _NOTE.format(opinion.rows, opinion.reference_rows)),
        Note(_WARNING, "warning"),
    ]


_NOTE = (
    "{0:,} rows of the window against {1:,} of the whole reference, by Evidently's own choice of method. A method "
    "with p_value flags small values, a distance large ones. The verdict of this run rests on rbnb's checks alone."
)
_WARNING = (
    "evidence/second_opinion/evidently.html is Evidently's own page. It holds scripts and values from production data: "
    "treat it as untrusted, and open it only where a script can do no harm. Its digest is in the run record."
)


def _title(opinion: SecondOpinion) -> str:
    silent = sum(one["reason"] in _NOT_COMPARED for one in opinion.details)
    differ = opinion.columns - opinion.agree - silent
    told = [f"both agree on {opinion.agree} of {opinion.columns} columns", f"differ on {differ}"]
    told += [f"cannot be compared on {silent}"] if silent else []
    return f"Second opinion by {opinion.tool}: {', '.join(told)}"


def _flag(drifted: bool | None) -> str:  # noqa: FBT001 - three answers: yes, no, none
    return "no answer" if drifted is None else "drift" if drifted else "no drift"


def _why(one: dict[str, Any]) -> str:
    return "agree" if one["agree"] else f"{one['reason'].replace('_', ' ')}: {one['because']}"
