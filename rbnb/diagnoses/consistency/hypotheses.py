"""Ranked hypotheses about inconsistent answers: what supports each, what refutes it, what stays open.

Rules, in order of weight:

- What was done to the answer comes first, where the arithmetic names it: an impossible score, another threshold,
  an input that is not what the offline store computes, a misread input, noise. It is supported if it explains
  most of what differs.
- A place is supported if it is singled out and others are clean: a version, a host, a zone.
- A change is supported if it came with the onset, or shortly before, and reached the place that is singled out; it
  is refuted if it reached others who are clean, or came after.
- Drifted inputs are supported if scores moved while equal inputs are answered equally.
- What cannot be told stays open, with the reason. Scores rank; they are no probabilities.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from rbnb.diagnoses.consistency.channels import member
from rbnb.model import Cause

if TYPE_CHECKING:
    from rbnb.diagnoses.consistency.channels import Channel
    from rbnb.diagnoses.consistency.measure import OutputInconsistency
    from rbnb.model import HypothesisStatus
    from rbnb.signals.consistency.encoding import Encoding

__all__ = ["hypotheses", "place_kind"]

#: Share of what is unexplained that a misread input must explain to be called supported.
_MOST = 0.5
#: Share of requests two places must have in common to count as the same.
_SAME = 0.8
_HOSTS = ("host", "node", "instance", "machine", "pod", "replica")
_ZONES = ("zone", "availability_zone", "rack", "cluster", "datacenter")
_ORDER = {"supported": 0, "open": 1, "refuted": 2}


def hypotheses(found: OutputInconsistency) -> list[Cause]:
    """Return every hypothesis that the measurements speak to, best first, ranked from 1.

    Parameters
    ----------
    found
        The measurements of a run.

    Returns
    -------
    list of Cause
        Empty when there is nothing to explain.
    """
    causes: list[Cause] = []
    lead = found.lead
    if lead is not None:
        causes += _mechanism(found, lead)
        causes += _place(found, lead)
        causes += _changes(found, lead)
    causes += _replayed(found)
    causes += _drifted(found)
    causes.sort(key=lambda cause: (_ORDER[cause.status], -cause.score, cause.name))
    return [
        Cause(c.kind, c.name, c.where, c.score, c.status, c.evidence, rank, c.at, c.explains)
        for rank, c in enumerate(causes, start=1)
    ]


def place_kind(where: str) -> str:
    """Return what kind of place it is: version, host, infrastructure, segment, or everywhere."""
    column = where.partition("=")[0]
    if not where:
        return "everywhere"
    if column == "version":
        return "version"
    return "host" if column in _HOSTS else "infrastructure" if column in _ZONES else "segment"


def _in(where: str) -> str:
    return f"on {where.replace('=', ' ')}" if where else "everywhere"


def _share(value: float | None) -> str:
    return "an unknown share" if value is None else f"{value:.0%}" if value >= 0.1 else f"{value:.2%}"


def _mechanism(found: OutputInconsistency, lead: Channel) -> list[Cause]:
    if lead.name == "outputs":
        evidence = f"{_share(lead.signal.value)} of scores are impossible: {lead.signal.method}"
        return [Cause("outputs", f"impossible scores {_in(lead.where)}", lead.where, 1.0, "supported", evidence)]
    if lead.name == "decisions":
        return [_threshold(found, lead)]
    if lead.name == "skew":
        return _skewed(found, lead)
    return _misread(found, lead)


def _threshold(found: OutputInconsistency, lead: Channel) -> Cause:
    inside = [cut for cut in found.cuts if cut.where == lead.where]
    rest = [
        cut for cut in found.cuts if cut.where.partition("=")[0] == lead.where.partition("=")[0] and cut not in inside
    ]
    told = f"; decisions there follow a threshold of {inside[0].value:.3g}" if inside else ""
    told += f", elsewhere {np.median([cut.value for cut in rest]):.3g}" if inside and rest else ""
    evidence = (
        f"{_share(lead.signal.value)} of decisions do not follow from their score, and the scores are right{told}"
    )
    return Cause(
        "threshold", f"another threshold or post-processing {_in(lead.where)}", lead.where, 1.0, "supported", evidence
    )


def _skewed(found: OutputInconsistency, lead: Channel) -> list[Cause]:
    skew = found.skew
    assert skew is not None  # noqa: S101 - the channel comes from it
    shares = {s.where.partition("=")[2]: s for s in skew.signals if s.name == "skew_share"}
    causes = []
    for encoding in skew.encodings:
        signal = shares[encoding.feature]
        if signal.interval is None or signal.interval[0] < found.settings.share_min:
            continue
        named = encoding.kind != "other"
        what = encoding.detail if named else "another value than the recomputed one"
        evidence = f"{_share(signal.value)} of joined requests differ from the recomputed value"
        evidence += f"; {encoding.explains:.0%} of these are {what}" if named else f"; {encoding.detail}"
        score = 0.6 + 0.4 * (signal.value or 0.0)
        name = f"{encoding.feature} is served wrong {_in(lead.where)}: {what}"
        causes.append(Cause("skew", name, lead.where, score, "supported", evidence, explains=signal.value))
    return causes


def _misread(found: OutputInconsistency, lead: Channel) -> list[Cause]:
    noise = _noise(found, lead)
    causes = [_encoding(one, lead, best=i == 0) for i, one in enumerate(found.encodings[:2])]
    causes = [] if noise is not None and not any(c.status == "supported" for c in causes) else causes
    if noise is not None and not any(c.status == "supported" for c in causes):
        causes.append(noise)
    if any(cause.status == "supported" for cause in causes):
        return causes
    feature = next((one.feature.removeprefix("feature_") for one in found.departures if one.where == lead.where), "")
    by = f", most by {feature}" if feature else ""
    size = _share(lead.signal.value) if lead.signal.unit == "share" else f"{lead.signal.value:.2f} standard deviations"
    evidence = f"{size}: {lead.signal.method}"
    name = f"other answers to the same inputs {_in(lead.where)}{by}"
    return [*causes, Cause("answers", name, lead.where, 0.9, "supported", evidence)]


def _encoding(one: Encoding, lead: Channel, *, best: bool) -> Cause:
    status: HypothesisStatus = "supported" if best and one.explains >= _MOST else "open"
    share = max(one.explains, 0.0)
    evidence = f"read like that, the known-good behaviour explains {share:.0%} of what differs (n {one.n:,})"
    name = f"{one.feature} is misread {_in(lead.where)}: {one.detail}"
    kind = "cache" if one.kind == "stale" else "encoding"
    return Cause(kind, name, lead.where, min(max(one.explains, 0.0), 1.0), status, evidence, explains=one.explains)


def _noise(found: OutputInconsistency, lead: Channel) -> Cause | None:
    """Suspect answers that cannot be repeated: equal inputs differ within the place, version and time themselves."""
    if found.pairs is None:
        return None
    epochs = found.rows["epoch"].to_numpy(dtype=np.int64)
    inside = member(found.rows, lead.where) & found.current & (epochs >= found.stretch[0])
    both = inside[found.pairs.first] & inside[found.pairs.second]
    n, apart = int(both.sum()), int(found.pairs.apart[both].sum())
    if apart < 2 or apart < 0.02 * n:
        return None
    alike = apart / n
    evidence = f"{apart} of {n} pairs of equal requests differ though both were answered there since the onset"
    what = "noise" if alike > 0.6 else "noise, or some come from a cache"
    name = f"answers cannot be repeated {_in(lead.where)}: {what}"
    return Cause("determinism", name, lead.where, 0.95, "supported", evidence, explains=alike)


def _place(found: OutputInconsistency, lead: Channel) -> list[Cause]:
    kind = place_kind(lead.where)
    if kind == "everywhere":
        return []
    value = lead.where.partition("=")[2]
    share = next((s for s in found.segments if s.where == lead.where), None)
    held = (
        f"holds {share.explains:.0%} of what is wrong with {share.traffic:.0%} of the requests"
        if share
        else "divides wrong from right best"
    )
    rivals = _rivals(found, lead.where)
    status: HypothesisStatus = "open" if rivals else "supported"
    evidence = held + (f", but {rivals[0]} are the same requests" if rivals else "; others are as usual")
    return [Cause(kind, f"only {lead.where.partition('=')[0]} {value}", lead.where, 0.5, status, evidence)]


def _rivals(found: OutputInconsistency, where: str) -> list[str]:
    now = found.current
    own = member(found.rows, where) & now
    same = []
    for share in found.segments:
        other = member(found.rows, share.where) & now
        either = float((own | other).sum())
        if share.where != where and either and float((own & other).sum()) / either >= _SAME:
            same.append(share.where)
    return same


def _changes(found: OutputInconsistency, lead: Channel) -> list[Cause]:
    if found.changes is None or lead.stretch is None:
        return []
    return [_change(found, lead, row) for row in found.changes.to_dict("records")]


def _change(found: OutputInconsistency, lead: Channel, row: dict[str, object]) -> Cause:
    onset = found.stretch[0]
    time, segment = int(str(row["time"])), str(row["segment"] or "")
    gap = onset - time
    status, evidence = _fits(found, lead.where, segment, gap)
    timing = math.exp(-max(gap, 0) / 7200) if gap >= -2 * found.scope.bucket else 0.0
    score = timing * {"supported": 0.8, "open": 0.4, "refuted": 0.0}[status]
    moment = datetime.fromtimestamp(time, UTC)
    return Cause(str(row["kind"]), f"{row['what']} at {moment:%H:%M}", segment, score, status, evidence, at=moment)


def _fits(found: OutputInconsistency, where: str, segment: str, gap: int) -> tuple[HypothesisStatus, str]:
    minutes = f"{abs(gap) / 60:,.0f} min {'before' if gap >= 0 else 'after'} the onset"
    if gap < -2 * found.scope.bucket:
        return "refuted", f"it was made {minutes}"
    if not segment:
        reach = "it reached everybody" if not where else f"it reached everybody, and only {where} is wrong"
        near = not where and gap <= 2 * found.scope.bucket
        return ("supported" if near else "open" if not where else "refuted"), f"{minutes}; {reach}"
    now = found.current & (found.rows["epoch"].to_numpy(dtype=np.int64) >= found.stretch[0])
    own, other = member(found.rows, where) & now, member(found.rows, segment) & now
    if not other.any():
        return "open", f"{minutes}; no request of the window carries {segment}"
    common = float((own & other).sum()) / max(float((own | other).sum()), 1.0)
    if common >= _SAME:
        return "supported", f"{minutes}, and it reached {segment}, which is where answers are wrong"
    if not (own & other).any():
        return "refuted", f"it touches {segment} only, and what is wrong is {_in(where)}"
    return "refuted" if where else "open", f"{minutes}; it reached {segment}, and wrong is {_in(where)}"


def _replayed(found: OutputInconsistency) -> list[Cause]:
    replay = found.replayed
    if not replay.differs:
        return []
    pair = replay.minimal
    told = f"; one input suffices: {pair.feature}" if pair is not None and pair.feature else ""
    evidence = (
        f"{replay.apart} of {replay.compared} replayed requests are answered differently by the known-good model{told}"
    )
    return [
        Cause(
            "version", "the current model answers differently from the known-good one", "", 0.7, "supported", evidence
        )
    ]


def _drifted(found: OutputInconsistency) -> list[Cause]:
    shift = found.shift
    if found.found or shift.interval is None or shift.interval[0] < 0.1:
        return []
    evidence = f"scores moved by {shift.value:.2f} standard deviations, and equal inputs are answered equally"
    return [Cause("drift", "the inputs have drifted, not the answers", "", 0.5, "supported", evidence)]
