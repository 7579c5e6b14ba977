"""Ranked hypotheses about broken data: which source, column, file or change did it, and what speaks against each.

Rules, in order of weight:

- What is certainly wrong with a column is a hypothesis of its own, supported by the rows that are wrong; where one
  slice holds most of them, that slice is named, and the columns that went wrong with it are told beside it.
- A change is suspected for its time (before the onset, or with it) and its place (it reaches the rows that are
  wrong, and not many that are right). One that touches only others is refuted; so is one made after the onset.
- A change of schema, features or data that speaks of the column, or of the slice, is suspected more than one that
  only came before; a deploy is suspected where the wrong rows are those of its version.
- What cannot be told stays open, with the reason. Scores rank; they are no probabilities.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Cause
from rbnb.policy import show

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rbnb.diagnoses.quality.arrivals import Lack
    from rbnb.diagnoses.quality.measure import DataQuality
    from rbnb.diagnoses.quality.schema import SchemaBreak
    from rbnb.diagnoses.quality.troubles import Trouble
    from rbnb.model import HypothesisStatus

__all__ = ["clock", "hypotheses", "worded"]

#: Share of wrong rows that a change must reach, and of the rows it reaches that must be wrong, to be supported.
_REACHED, _WRONG = 0.8, 0.3
#: Rows outside the wrong slice that it takes to refute a change, and which part of its share of wrong rows is spared.
_FEWEST, _SPARED = 20, 0.2
#: Hypotheses about columns that are told; more are the same story.
_MOST = 8
_PARTICULAR = {"schema": 1.0, "feature": 1.0, "data": 1.0, "deploy": 0.7, "config": 0.6}


def hypotheses(quality: DataQuality) -> list[Cause]:
    """Return every hypothesis that the measurements speak to, best first, ranked from 1.

    Returns
    -------
    list of Cause
        Empty when nothing is wrong.
    """
    if not quality.found:
        return []
    causes = [_schema(quality, one) for one in quality.schema]
    causes += [_content(quality, trouble) for trouble in _told(quality)[:_MOST]]
    causes += [_lack(quality, lack) for lack in quality.arrivals.lacks]
    causes += _changes(quality)
    order = {"supported": 0, "open": 1, "refuted": 2}
    causes.sort(key=lambda cause: (order[cause.status], -cause.score, cause.name))
    return [replace(cause, rank=rank) for rank, cause in enumerate(causes, start=1)]


def _told(quality: DataQuality) -> list[Trouble]:
    """Return the troubles, a category that vanished only where nothing else is wrong with its column."""
    columns = {t.suspicion.feature for t in quality.troubles if t.kind != "vanished"}
    return [t for t in quality.troubles if t.kind != "vanished" or t.suspicion.feature not in columns]


def worded(quality: DataQuality, trouble: Trouble) -> str:
    """Say a trouble in one sentence without its name: how much, since when, where."""
    part = show(min(max(trouble.share, 0.0), 1.0), "share")
    place = f"only from {trouble.where}" if trouble.where else "from everywhere"
    if trouble.standing or not quality.rows.learns:
        return f"{part} of rows in the window; since when cannot be told"
    until = f" until {clock(quality, trouble.ended)}" if trouble.ended else ""
    return f"{part} of rows since {clock(quality, trouble.onset)}{until}, {place}"


def _content(quality: DataQuality, trouble: Trouble) -> Cause:
    suspicion = trouble.suspicion
    evidence = [worded(quality, trouble)]
    usual = trouble.signal.reference
    if usual is not None and usual > 0.0005:
        evidence.append(f"usually {show(usual, 'share')}")
    beside = [t for t in quality.troubles if t is not trouble and t.where == trouble.where and t.where]
    if beside:
        names = ", ".join(dict.fromkeys(t.suspicion.feature for t in beside[:4]))
        evidence.append(f"{names} went wrong there too")
    if trouble.consequences:
        evidence.append(f"from it follows: {trouble.consequences[0]}")
    first = trouble.segments[0] if trouble.segments else None
    explains = first.explains if first is not None and first.where == trouble.where else None
    strength = trouble.ratio / (trouble.ratio + 50.0)
    leading = quality.troubles and trouble.ratio >= 0.3 * quality.troubles[0].ratio
    score = (0.6 if leading else 0.3) + 0.4 * strength
    status: HypothesisStatus = "open" if trouble.standing and not suspicion.declared else "supported"
    name = f"{suspicion.feature} {suspicion.what}"
    if trouble.kind == "stuck" and suspicion.kind == "marker":
        name = f"{suspicion.feature} is stuck at {float(suspicion.other):g}"
    kind = "source" if trouble.where else "feature"
    return Cause(
        kind, name, trouble.where, score, status, "; ".join(evidence), at=_moment(trouble.onset), explains=explains
    )


def _schema(quality: DataQuality, one: SchemaBreak) -> Cause:
    since = f"since {clock(quality, one.onset)}" if one.onset is not None else "in everything that was read"
    files = f", from file {one.files[0]} on" if one.files else ""
    at = _moment(one.onset) if one.onset is not None else None
    status: HypothesisStatus = "supported" if one.kind != "type" or one.broken else "open"
    return Cause("schema", f"{one.feature} {one.what}", "", 0.95, status, since + files, at=at)


def _lack(quality: DataQuality, lack: Lack) -> Cause:
    if lack.stopped:
        told = f"nothing came since {clock(quality, lack.onset)}, where {lack.expected:,.0f} requests are usual"
        return Cause("partition", "the log has stopped", "", 0.9, "supported", told, at=_moment(lack.onset))
    silent = lack.held == 0
    name = f"{lack.where or 'the log'} {'sent nothing' if silent else 'sent too little'}"
    until = f" until {clock(quality, lack.ended)}" if lack.ended else ""
    evidence = (
        f"{lack.held:,.0f} requests since {clock(quality, lack.onset)}{until} where {lack.expected:,.0f} are usual"
    )
    kind = "source" if lack.where else "partition"
    score = 0.6 + 0.4 * lack.ratio / (lack.ratio + 50.0)
    return Cause(kind, name, lack.where, score, "supported", evidence, at=_moment(lack.onset))


def _changes(quality: DataQuality) -> list[Cause]:
    if quality.changes is None or quality.onset is None:
        return []
    return [_change(quality, row, quality.onset) for row in quality.changes.to_dict("records")]


def _change(quality: DataQuality, row: dict[str, object], onset: int) -> Cause:
    time, segment, kind = int(str(row["time"])), str(row["segment"] or ""), str(row["kind"] or "change")
    gap = onset - time
    timing = math.exp(-max(gap, 0) / 7200)
    status, evidence, fit = _place(quality, row, segment, gap)
    score = timing * fit * _PARTICULAR.get(kind, 0.5)
    name = f"{row['what']} at {clock(quality, time)}"
    return Cause(kind, name, segment, score, status, evidence, at=_moment(time))


def _place(quality: DataQuality, row: dict[str, object], segment: str, gap: int) -> tuple[HypothesisStatus, str, float]:
    when = _ago(gap)
    if gap < -quality.rows.bucket:
        return "refuted", f"it was made {when}", 0.0
    wrong, since = quality.touched, quality.rows.now["epoch"].to_numpy(np.int64) >= (quality.onset or 0)
    named = _speaks_of(quality, str(row["what"]))
    if segment and not _known(quality, segment):
        return "open", f"{when}; its place ({segment}) is not a column of the log", 0.5
    if wrong.any() and (other := _spared(quality, segment, since)):
        return "refuted", f"{when}, but {other}", 0.0
    if segment and wrong.any():
        return _compared(wrong, quality.rows.within(segment) & since, segment, when, named=bool(named))
    if named:
        return "supported", f"{when}, and it speaks of {named}", 1.0
    return _by_lack(quality, segment, when)


def _by_lack(quality: DataQuality, segment: str, when: str) -> tuple[HypothesisStatus, str, float]:
    lacking = [lack.where for lack in quality.arrivals.lacks if lack.where]
    if not segment or not lacking:
        return "open", f"{when}; only the time speaks for it", 0.4
    same = segment in lacking
    told = f"{when}, and it touches {segment}, which {'lacks requests' if same else 'lacks none'}"
    return ("supported" if same else "refuted"), told, float(same)


def _spared(quality: DataQuality, segment: str, since: NDArray[np.bool_]) -> str:
    """Say who refutes a change: rows it reaches outside the slice that is wrong, and that are right."""
    place = next((t.where for t in quality.troubles if not t.standing), "")
    if not segment or not place or segment == place:
        return ""
    outside = quality.rows.within(segment) & ~quality.rows.within(place) & since
    inside = quality.rows.within(place) & since
    n, bad = int(outside.sum()), int((outside & quality.touched).sum())
    share = float((inside & quality.touched).sum()) / max(int(inside.sum()), 1)
    if n < _FEWEST or bad >= _SPARED * share * n:
        return ""
    return f"{n:,} requests it reaches outside {place} are not wrong"


def _compared(
    wrong: NDArray[np.bool_], reached: NDArray[np.bool_], segment: str, when: str, *, named: bool
) -> tuple[HypothesisStatus, str, float]:
    """Hold the rows a change reaches against those that are wrong."""
    both = float((wrong & reached).sum())
    part = both / max(float(wrong.sum()), 1.0)
    among = both / max(float(reached.sum()), 1.0)
    told = f"{when}; {segment} holds {part:.0%} of the wrong rows, and {among:.0%} of its rows are wrong"
    if part < 0.2:
        return "refuted", told, 0.0
    if part >= _REACHED and (among >= _WRONG or named):
        return "supported", told, 1.0
    return "open", told, 0.5


def _speaks_of(quality: DataQuality, what: str) -> str:
    """Return the column or slice that is wrong and that a change names, or nothing."""
    text = what.casefold()
    names = [name for t in quality.troubles for name in t.features] + [one.feature for one in quality.schema]
    names += [t.where.partition("=")[2] for t in quality.troubles if t.where and "&" not in t.where]
    names += [lack.where.partition("=")[2] for lack in quality.arrivals.lacks if lack.where]
    return next((name for name in names if len(name) >= 3 and name.casefold() in text), "")


def _known(quality: DataQuality, where: str) -> bool:
    return all(part.partition("=")[0] in quality.rows.segments for part in where.split(" & "))


def _moment(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def clock(quality: DataQuality, epoch: int | None) -> str:
    """Write a time of the window as a clock shows it, with its day where that is not the window's last."""
    if epoch is None:
        return "an unknown time"
    moment = _moment(epoch)
    same_day = moment.date() == quality.scope.window.end.date()
    return f"{moment:%H:%M}" if same_day else f"{moment:%Y-%m-%d %H:%M}"


def _ago(seconds: int) -> str:
    minutes = round(abs(seconds) / 60)
    length = f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
    return f"{length} {'before' if seconds >= 0 else 'after'} the onset"
