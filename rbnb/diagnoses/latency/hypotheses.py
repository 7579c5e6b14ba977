"""Ranked hypotheses about a latency spike: what supports each, what refutes it, what stays open.

Rules, in order of weight:

- A hypothesis needs both: it fits in **time** (before the onset, or with it) and in **place** (it
  reaches those who are slow, and those whom it reaches are slow).
- A change that reaches others who are *not* slow is refuted by them, and the evidence names them. A change
  that touches only others is refuted too.
- A change that everybody runs and that came with the onset is supported where no place is singled out;
  the longer it ran before without harm, the less it is suspected.
- A component is a cause only if nothing that it calls is out of range; else it is a symptom. One that serves
  everybody is a cause only if the call graph says that it is called, and if everybody is slow.
- A host or a zone is a cause if it holds the excess, others are not slow, and nothing else sets it apart.
- More traffic is refuted when the excess stays the same at equal load, supported when it vanishes there.
- What cannot be told stays open, with the reason. Scores rank; they are no probabilities.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rbnb.model import Cause
from rbnb.signals.segments import outside_excess, segment_mask

if TYPE_CHECKING:
    import pandas as pd

    from rbnb.diagnoses.latency.measure import LatencySpike
    from rbnb.model import HypothesisStatus, SegmentShare, Signal
    from rbnb.signals.latency.components import ComponentShift

__all__ = ["hypotheses"]

#: Share of the excess that a place must explain to be called its place.
_MOST = 0.5
#: Share of the usual excess below which those outside count as not slow.
_NOT_SLOW = 0.2
_REMAINS, _VANISHES = 0.8, 0.3
#: Share of requests that two places must have in common to count as the same.
_SAME = 0.8
#: Share of requests that must run a change to say that everybody does.
_EVERYBODY = 0.9
#: Columns that say where a request was served, by what is at fault there.
_SERVED_AT = {
    "host": ("host", "node", "instance", "machine", "pod"),
    "infrastructure": ("zone", "availability_zone", "rack", "cluster", "datacenter"),
}


def hypotheses(spike: LatencySpike) -> list[Cause]:
    """Return every hypothesis that the measurements speak to, best first, ranked from 1.

    Parameters
    ----------
    spike
        The measurements of a run.

    Returns
    -------
    list of Cause
        Empty when there is nothing to explain.
    """
    if not spike.found:
        return []
    causes = [*_components(spike), *_changes(spike), *_load(spike), *_payload(spike)]
    causes += _served_at(spike, causes)
    order = {"supported": 0, "open": 1, "refuted": 2}
    causes.sort(key=lambda cause: (order[cause.status], -cause.score, cause.name))
    return [
        Cause(c.kind, c.name, c.where, c.score, c.status, c.evidence, rank, c.at, c.explains)
        for rank, c in enumerate(causes, start=1)
    ]


def _components(spike: LatencySpike) -> list[Cause]:
    strongest: dict[str, ComponentShift] = {}
    for shift in spike.shifts:
        if not spike.symptoms.get(shift.component):
            strongest.setdefault(shift.component, shift)
    return [_component(spike, shift) for shift in strongest.values()]


def _component(spike: LatencySpike, shift: ComponentShift) -> Cause:
    onset, _ = spike.stretch
    slack = spike.settings.fit_minutes * 60
    gap = abs(shift.onset - onset)
    fits = onset - slack <= shift.onset <= onset + slack
    explains = _explains(spike, shift)
    size = f"{shift.ratio:,.1f}× usual" if shift.ratio is not None else f"{abs(shift.z):,.0f} deviations off"
    evidence = [f"since {_clock(shift.onset)}"]
    status: HypothesisStatus
    if not fits:
        status = "refuted" if shift.onset > onset + slack else "open"
        evidence.append(
            f"its onset lies {gap / 60:,.0f} min {'after' if shift.onset > onset else 'before'} the latency's"
        )
    elif not shift.segment and explains is not None and (slow := _singled_out(spike)) is not None:
        status, why = _against(spike, slow, "", verb="use")
        evidence.append(why)
    elif not shift.segment and explains is not None and _is_load(spike):
        status = "open"
        evidence.append("the excess vanishes at equal load, so it may only follow the load")
    elif explains is None:
        status = "open"
        evidence.append("which requests it serves is not known, so its share cannot be told")
    elif explains >= _MOST:
        status = "supported"
        evidence.insert(0, f"explains {explains:.0%} of the excess")
    else:
        status = "refuted" if explains < _NOT_SLOW else "open"
        evidence.append(f"the requests it serves hold {explains:.0%} of the excess")
    others = [other for other, below in spike.symptoms.items() if shift.component in below]
    if others:
        evidence.append(f"{len(others)} component{'s' if len(others) > 1 else ''} that depend on it followed")
    score = 0.5 * max(explains or 0.0, 0.0) + 0.3 * math.exp(-gap / 3600) + 0.2 * abs(shift.z) / (abs(shift.z) + 10)
    kind = "host" if shift.segment.partition("=")[0] in _SERVED_AT["host"] else "dependency"
    name = f"{shift.component}: {shift.metric} {size}"
    return Cause(
        kind,
        name,
        shift.segment,
        min(score, 1.0),
        status,
        "; ".join(evidence),
        at=_moment(shift.onset),
        explains=explains,
    )


def _explains(spike: LatencySpike, shift: ComponentShift) -> float | None:
    """Return the share of the whole excess that the requests it serves hold, in the stage that carries most of it."""
    where = shift.segment
    called = any(callee == shift.component for _, callee in spike.edges)
    if not _known(spike, where) or not (where or called):
        return None
    stage = dominant_stage(spike.stages)
    total = _excess(spike.cells, "", "")
    part = _excess(spike.cells, where, stage.where if stage else "")
    return None if total is None or part is None or total <= 0 else part / total


def _singled_out(spike: LatencySpike) -> SegmentShare | None:
    slow = spike.segments[0] if spike.segments else None
    return slow if slow is not None and slow.explains >= _MOST else None


def _known(spike: LatencySpike, where: str) -> bool:
    return all(part.partition("=")[0] in spike.log.segments for part in where.split(" & ") if part)


def dominant_stage(stages: list[Signal]) -> Signal | None:
    """Return the stage that carries most of the excess, or None if none was measured."""
    measured = [stage for stage in stages if stage.value is not None]
    return max(measured, key=lambda stage: stage.value or 0.0, default=None)


def _excess(cells: pd.DataFrame, where: str, stage: str) -> float | None:
    column = f"{stage}|total" if stage else "total"
    inside = cells[segment_mask(cells, where)]
    now, before = (inside[inside["period"] == period][["n", column]].sum() for period in ("current", "reference"))
    if not now["n"] or not before["n"]:
        return None
    return float(now[column] - now["n"] * before[column] / before["n"])


def _changes(spike: LatencySpike) -> list[Cause]:
    if spike.changes is None:
        return []
    return [_change(spike, row) for row in spike.changes.to_dict("records")]


def _change(spike: LatencySpike, row: dict[str, object]) -> Cause:
    onset, _ = spike.stretch
    time, segment = int(str(row["time"])), str(row["segment"] or "")
    gap = onset - time
    timing = math.exp(-max(gap, 0) / 7200) if gap >= -spike.scope.bucket else 0.0
    status, evidence = _place(spike, segment, gap)
    fit = {"supported": 1.0, "open": 0.5, "refuted": 0.0}[status]
    name = f"{row['what']} at {_clock(time)}"
    return Cause("change", name, segment, timing * fit, status, evidence, at=_moment(time))


def _place(spike: LatencySpike, segment: str, gap: int) -> tuple[HypothesisStatus, str]:
    slow, when = _singled_out(spike), _ago(gap)
    if gap < -spike.scope.bucket:
        return "refuted", f"it was made {when}"
    if segment and not _known(spike, segment):
        return "open", f"its place ({segment}) is not a column of the log, so it cannot be compared"
    if slow is not None and segment and _common(spike, segment, slow.where) >= _SAME:
        return "supported", f"{when}, and {segment} holds {slow.explains:.0%} of the excess"
    if slow is not None:
        return _against(spike, slow, segment)
    return _everywhere(spike, segment, gap)


def _everywhere(spike: LatencySpike, segment: str, gap: int) -> tuple[HypothesisStatus, str]:
    """Judge a change where no place is singled out."""
    when, reach = _ago(gap), _common(spike, segment, "")
    if not segment:
        return "open", f"{when}; everybody is slow, so only the time speaks for it"
    if reach < _EVERYBODY:
        return "open", f"{when}; {segment} is neither singled out nor cleared by the requests"
    if gap <= spike.settings.fit_minutes * 60:
        return "supported", f"{when}; {reach:.0%} of requests run it, and everybody is slow"
    return "open", f"{when}; everybody ran it for {gap / 60:,.0f} min before anything was slow"


def _common(spike: LatencySpike, one: str, other: str) -> float:
    """Return the current requests in both places over those in either."""
    current = spike.cells[spike.cells["period"] == "current"]
    first, second = segment_mask(current, one), segment_mask(current, other)
    either = float(current.loc[first | second, "n"].sum())
    return float(current.loc[first & second, "n"].sum()) / either if either else 0.0


def _served_at(spike: LatencySpike, causes: list[Cause]) -> list[Cause]:
    """Suspect the host or zone that is singled out, unless something in that very place is supported already."""
    slow = _singled_out(spike)
    column, _, place = slow.where.partition("=") if slow is not None else ("", "", "")
    kind = next((kind for kind, columns in _SERVED_AT.items() if column in columns), "")
    if slow is None or not kind or "&" in place:
        return []
    supported = [cause.where for cause in causes if cause.status == "supported" and cause.where]
    if any(_common(spike, where, slow.where) >= _SAME for where in supported):
        return []
    status, evidence = _alone(spike, slow, column)
    score = 0.5 * min(max(slow.explains, 0.0), 1.0)
    name = f"{column} {place} alone is slow"
    return [Cause(kind, name, slow.where, score, status, evidence, explains=slow.explains)]


def _alone(spike: LatencySpike, slow: SegmentShare, column: str) -> tuple[HypothesisStatus, str]:
    infrastructure = {name for names in _SERVED_AT.values() for name in names}
    rivals = [
        share.where
        for share in spike.segments[1:]
        if share.where.partition("=")[0] not in infrastructure and _common(spike, share.where, slow.where) >= _SAME
    ]
    held = f"holds {slow.explains:.0%} of the excess with {slow.traffic:.0%} of the requests"
    if rivals:
        return "open", f"{held}, but so does {rivals[0]}, and they are the same requests"
    outside, total = outside_excess(spike.cells, slow.where), _excess(spike.cells, slow.where, "")
    if outside is None or not total or outside[2] >= _NOT_SLOW * total / slow.n:
        return "open", f"{held}; whether every other {column} is as fast as usual cannot be told"
    return "supported", f"{held}; no other {column} is slow"


def _against(
    spike: LatencySpike, slow: SegmentShare, segment: str, *, verb: str = "run"
) -> tuple[HypothesisStatus, str]:
    """Compare with those whom the change reaches and who lie outside the slow segment."""
    reached = spike.cells[(spike.cells["period"] == "current") & segment_mask(spike.cells, segment)]
    inside = reached[segment_mask(reached, slow.where)]["n"].sum()
    if segment and not inside:
        return "refuted", f"it touches {segment} only, and the excess is in {slow.where}"
    outside = outside_excess(spike.cells, slow.where, segment)
    total = _excess(spike.cells, slow.where, "")
    affected = spike.cells[(spike.cells["period"] == "current") & segment_mask(spike.cells, slow.where)]["n"].sum()
    if outside is None or not total or not affected:
        return "open", f"too few requests outside {slow.where} to tell"
    each = total / affected
    value, _, high, n = outside
    unit = spike.log.unit
    if high < _NOT_SLOW * each:
        who = _others(spike, slow.where, segment)
        return (
            "refuted",
            f"{who} {verb} it too and are not slow ({value:+,.0f} {unit} against {each:+,.0f} {unit}, n {n:,})",
        )
    if value >= _MOST * each:
        return "supported", f"those it reaches outside {slow.where} are slow as well ({value:+,.0f} {unit}, n {n:,})"
    return "open", f"those it reaches outside {slow.where} are {value:+,.0f} {unit} off (n {n:,})"


def _others(spike: LatencySpike, slow: str, segment: str) -> str:
    column, _, value = slow.partition(" & ")[0].partition("=")
    reached = spike.cells[(spike.cells["period"] == "current") & segment_mask(spike.cells, segment)]
    names = [str(name) for name in sorted(reached[column].astype(str).unique()) if str(name) != value]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{column} {shown}"


def _is_load(spike: LatencySpike) -> bool:
    return any(cause.status == "supported" for cause in _load(spike))


def _load(spike: LatencySpike) -> list[Cause]:
    traffic = next((s for s in spike.comparison if s.name == "throughput"), None)
    if spike.one_a_bucket or traffic is None or traffic.value is None:
        return []
    name = f"traffic {traffic.value - 1:+.0%}"
    remains = spike.load
    if remains.value is None or remains.interval is None:
        return [Cause("load", name, "", 0.2, "open", remains.reason)]
    low, high = remains.interval
    if low >= _REMAINS:
        return [
            Cause("load", name, "", 0.0, "refuted", f"{min(remains.value, 1):.0%} of the excess remains at equal load")
        ]
    if high <= _VANISHES and traffic.value > 1:
        return [
            Cause(
                "load",
                name,
                "",
                0.8,
                "supported",
                f"only {max(remains.value, 0):.0%} of the excess remains at equal load",
            )
        ]
    return [Cause("load", name, "", 0.3, "open", f"{remains.value:.0%} of the excess remains at equal load")]


def _payload(spike: LatencySpike) -> list[Cause]:
    if not spike.payload:
        return []
    remains = spike.payload[0]
    name = "larger requests"
    if remains.value is None:
        return [Cause("payload", name, "", 0.1, "open", remains.reason)]
    text = f"{min(max(remains.value, 0), 1):.0%} of the excess remains at equal payload"
    if remains.value >= _REMAINS:
        return [Cause("payload", name, "", 0.0, "refuted", text)]
    return [
        Cause("payload", name, "", 0.7, "supported", text)
        if remains.value <= _VANISHES
        else Cause("payload", name, "", 0.3, "open", text)
    ]


def _moment(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def _clock(epoch: int) -> str:
    return f"{_moment(epoch):%H:%M}"


def _ago(seconds: int) -> str:
    minutes = round(abs(seconds) / 60)
    length = f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
    return f"{length} {'before' if seconds >= 0 else 'after'} the onset"
