"""What may have done it: each kind of tampering with the source or batch it came from, and where it stands.

Rules:

- What was planted is supported if it gathers in one place, with certainty and with size; kind and place together are
  one cause: ``label_flips``, ``targeted_flips``, ``trigger``, ``flood`` (copies), ``odd_cluster``, ``conflicts``.
- A place that is only unusual (new inputs, another label rate, more rows) is ``unusual`` and open: an honest source
  can be that.
- A source whose rows are no worse than others', while another is blamed, is refuted, with its own rate.
- Rows that nobody vouches for are a cause of their own (``provenance``): what is in them cannot be traced.
- Scores rank, by the share of the suspect rows that a cause explains; they are no probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Cause

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rbnb.diagnoses.poisoning.measure import Poisoning
    from rbnb.diagnoses.poisoning.table import Training
    from rbnb.model import HypothesisStatus
    from rbnb.signals.poisoning.flips import Flipped
    from rbnb.signals.poisoning.groups import Group

    Mask = NDArray[np.bool_]

__all__ = ["hypotheses"]

#: Share of a trigger's rows that must come from one source for that source to have planted it.
_MOST = 0.6
#: How much larger the rate of one direction must be for labels to be changed towards one class on purpose.
_ONE_SIDED = 4.0
_KINDS = {"copies": "flood", "near copies": "flood", "contradictions": "conflicts", "cluster": "odd_cluster"}
_PLAIN = {
    "cluster": "rows far from all others and close together, or of one label",
    "contradictions": "rows that contradict a row with the same features",
}


@dataclass(frozen=True, slots=True)
class _Planted:
    """Something planted, where, and in which rows."""

    kind: str
    what: str
    where: str
    rows: Mask
    told: str


def hypotheses(found: Poisoning) -> list[Cause]:
    """Return every hypothesis that the measurements speak to, best first, ranked from 1.

    Returns
    -------
    list of Cause
        Empty when nothing stands out. ``explains`` is the share of the suspect rows that lie there.
    """
    table = found.table
    if table is None or not found.usable:
        return []
    planted = [*_gathered(found), *_marked(found, table), *_changed(found, table)]
    causes = [_cause(one, table, max(int(found.suspects_mask.sum()), 1)) for one in planted]
    causes += _cleared(found, table, causes) + _unusual(found, causes) + _gaps(found, table)
    order = {"supported": 0, "open": 1, "refuted": 2}
    causes.sort(key=lambda cause: (order[cause.status], -cause.score, cause.where, cause.name))
    return [replace(cause, rank=rank) for rank, cause in enumerate(causes, start=1)]


def _gathered(found: Poisoning) -> list[_Planted]:
    planted = []
    for one in found.shaped.of(*_KINDS):
        g = one.gathering
        what = _PLAIN.get(one.kind, one.kind)
        told = f"{g.held:,} {what} among its {g.n:,} rows, elsewhere {g.usual:.1%}{_stretch(g.group)}"
        planted.append(_Planted(_KINDS[one.kind], what, g.group.where, one.rows, told))
    return planted


def _stretch(group: Group) -> str:
    """Return from which batch to which, where a group is not all there is of its source."""
    if group.whole or not group.batches:
        return ""
    first, last = group.batches[0], group.batches[-1]
    return f"; in {first}" if first == last else f"; from {first} to {last}"


def _marked(found: Poisoning, table: Training) -> list[_Planted]:
    planted = []
    for trigger in found.taught.triggers:
        label, source = table.classes[trigger.label], _planter(trigger.rows, table)
        told = (
            f"{trigger.observed:,} of {trigger.n:,} rows that carry it bear label {label}, where "
            f"{trigger.expected:,.0f} were to be expected"
        )
        rows = trigger.rows & (table.labels == trigger.label)
        where = f"source={source}" if source else trigger.where
        planted.append(_Planted("trigger", f"the mark {trigger.where}", where, rows, told))
    return planted


def _planter(rows: Mask, table: Training) -> str:
    """Return the source that most rows come from, or nothing if none has most."""
    if "source" not in table.has:
        return ""
    names, counts = np.unique(np.array(table.source, dtype=str)[rows], return_counts=True)
    return str(names[counts.argmax()]) if len(names) and counts.max() >= _MOST * counts.sum() else ""


def _changed(found: Poisoning, table: Training) -> list[_Planted]:
    planted = []
    for flipped in found.taught.flipped:
        rows = (found.taught.posterior > 0.5) & table.cells.rows(flipped.group)
        (a, b), (up, down) = (table.classes[code] for code in flipped.labels), flipped.rates
        told = (
            f"{flipped.share:.0%} of its {flipped.n:,} labels changed: {up:.0%} of {a} to {b}, {down:.0%} of {b} to "
            f"{a}{_stretch(flipped.group)}"
        )
        kind, what = _direction(flipped, a, b)
        planted.append(_Planted(kind, what, flipped.group.where, rows, told))
    return planted


def _direction(flipped: Flipped, a: str, b: str) -> tuple[str, str]:
    up, down = flipped.rates
    if up > _ONE_SIDED * down:
        return "targeted_flips", f"label {a} changed to {b}"
    if down > _ONE_SIDED * up:
        return "targeted_flips", f"label {b} changed to {a}"
    return "label_flips", f"labels {a} and {b} changed"


def _cause(one: _Planted, table: Training, total: int) -> Cause:
    explains = min(int(one.rows.sum()) / total, 1.0)
    name = f"{one.what} in {one.where.replace('=', ' ') or 'all sources'}"
    score, at = 0.5 + 0.5 * explains, _first(one.rows, table)
    return Cause(one.kind, name, one.where, score, "supported", one.told, at=at, explains=explains)


def _first(rows: Mask, table: Training) -> datetime | None:
    """Return when the first of these rows came; a stray early one does not date the attack."""
    times = table.epoch[rows & np.isfinite(table.epoch)]
    return datetime.fromtimestamp(int(np.quantile(times, 0.02)), UTC) if len(times) else None


def _cleared(found: Poisoning, table: Training, causes: list[Cause]) -> list[Cause]:
    """Return the sources that hold no more than a few suspect rows, while another holds many."""
    if not causes or "source" not in table.has:
        return []
    texts, blamed = np.array(table.source, dtype=str), {part for c in causes for part in c.where.split(" & ")}
    cleared = []
    for name in np.unique(texts):
        inside = texts == name
        held = int(found.suspects_mask[inside].sum())
        if f"source={name}" not in blamed and held < 0.02 * inside.sum() and name != "(none)":
            told = f"{held:,} of its {int(inside.sum()):,} rows are suspect"
            cleared.append(Cause("source", f"source {name}", f"source={name}", 0.0, "refuted", told, explains=0.0))
    return cleared


def _unusual(found: Poisoning, causes: list[Cause]) -> list[Cause]:
    """Return sources that are only different from the others, or from their own past."""
    told: dict[str, list[str]] = {}
    for one in found.shaped.of("outliers"):
        g = one.gathering
        told.setdefault(g.group.where, []).append(f"{g.share:.0%} of its rows lie where no other source has any")
    for signal in found.course:
        if text := _moved(signal.name, signal.value, signal.interval):
            told.setdefault(signal.where, []).append(text)
    blamed = {cause.where for cause in causes if cause.status == "supported"}
    return [
        Cause(
            "unusual",
            f"{where.replace('=', ' ')} is unlike the others or its past",
            where,
            0.2,
            "open",
            f"{'; '.join(parts)}; an honest source can be that",
        )
        for where, parts in told.items()
        if where not in blamed
    ]


def _moved(name: str, value: float | None, interval: tuple[float, float] | None) -> str:
    """Return in words what moved in a source, where it did for certain and by enough to be told."""
    if value is None:
        return ""
    if name == "volume_anomaly":
        return "it brought far more rows in a day than it ever did" if value > 6 else ""
    sure = interval is not None and interval[0] * interval[1] > 0 and min(abs(end) for end in interval) > 0.03
    return f"its label rate moved by {value:+.0%} beyond what its features say" if sure else ""


def _gaps(found: Poisoning, table: Training) -> list[Cause]:
    """Return the rows that nobody vouches for, if there are more than a stray few."""
    rows = found.unvouched
    if rows.sum() < 3:
        return []
    parts = [f"{int(one.rows.sum()):,}: {one.told}" for one in found.vouching if one.gap and one.rows.any()]
    source = _planter(rows & (np.array(table.source, dtype=str) != "(none)"), table)
    if source:
        parts.append(f"of those that name a source most are of {source}")
    score = 0.45 * min(1.0, 0.5 + float(rows.mean()))
    name = "rows that nobody can vouch for"
    status: HypothesisStatus = "supported" if rows.mean() >= found.settings.gap_least else "open"
    return [Cause("provenance", name, "", score, status, "; ".join(parts), at=_first(rows, table))]
