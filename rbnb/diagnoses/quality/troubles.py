"""From suspicions to troubles: what is certain, since when, where, and which is only a consequence of another.

Rules: a trouble is a suspicion whose surest stretch is far beyond chance; its place is the slice that explains most
of the excess; its start is the first wrong row of that stretch in that place; a suspicion whose rows are those of
another about the same column is a consequence, and is told under it rather than beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from rbnb.diagnoses.quality.rows import LEARN, numbers
from rbnb.signals.quality.shares import share_excess
from rbnb.signals.quality.units import shape_kept, swap_kept
from rbnb.signals.segments import rank_segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rbnb.diagnoses.quality.rows import Compared
    from rbnb.model import SegmentShare, Signal
    from rbnb.signals.quality.columns import Suspicion
    from rbnb.signals.quality.scan import Stretch

    Marks = NDArray[np.bool_]

__all__ = ["Trouble", "find_troubles"]

#: What is believed first where two explain the same rows: the more particular.
_ORDER = (
    "swap", "unit", "clock", "unreadable", "type", "non_finite", "encoding", "marker", "stuck", "null",
    "rule", "negative", "range", "unseen", "expect", "precision", "duplicate", "vanished",
)  # fmt: skip
#: Share of the excess a slice has to explain to be called its place.
_MOST = 0.6
_SAME = 0.7
#: How many troubles are examined for their place by every pair of columns.
_EXAMINED = 6
#: Misfit of a mixture with multiplied values beyond which a unit does not explain what is seen.
_MISFIT = 0.15
_ALL = 0.97
#: Share of requests from which a slice is everywhere.
_EVERYWHERE = 0.9


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is certainly wrong with the rows.

    Parameters
    ----------
    suspicion
        What is wrong.
    kind
        As the suspicion's, but for what only the stretch tells: a value that is all there is, is stuck.
    where
        The slice, ``""`` for everywhere.
    onset, ended
        Epoch seconds of its first wrong row, and of the end of its stretch; None where it goes on.
    signal
        Share of rows of that slice and stretch that are wrong, beyond what is usual.
    rows
        The rows of the window that are wrong in that slice and stretch.
    ratio
        How sure: log likelihood ratio.
    segments
        Ranked slices.
    consequences
        What follows from it.
    standing
        Whether it is no newer than the reference.
    """

    suspicion: Suspicion
    kind: str
    where: str
    onset: int
    ended: int | None
    signal: Signal
    rows: Marks
    ratio: float
    segments: tuple[SegmentShare, ...] = ()
    consequences: tuple[str, ...] = field(default=())
    standing: bool = False

    @property
    def features(self) -> tuple[str, ...]:
        """The columns concerned."""
        return self.suspicion.details or tuple(self.suspicion.feature.split("+"))

    @property
    def share(self) -> float:
        """Estimated share of the rows of its slice and stretch that are affected."""
        return self.signal.value or 0.0


def find_troubles(rows: Compared, suspected: Sequence[Suspicion], certain: float) -> list[Trouble]:
    """Return what is certainly wrong, the surest first.

    Parameters
    ----------
    certain
        Log likelihood ratio from which a stretch is no chance.
    """
    sure = []
    for suspicion in suspected:
        found = _sure(rows, suspicion, certain) if rows.learns else None
        if found is not None:
            sure.append(found)
        elif suspicion.now.any() and (suspicion.declared or not rows.learns):
            standing = _standing(rows, suspicion)
            sure += [standing] if standing else []
    return _told_once(sorted(sure, key=lambda t: (_ORDER.index(t.kind), -t.ratio)))


def _sure(rows: Compared, suspicion: Suspicion, certain: float) -> Trouble | None:
    if suspicion.touches and not suspicion.now.any():
        return None
    found = rows.surest(suspicion.now, suspicion.then)
    # what the owner declared is one test a column, chosen by nobody for its looks
    needed = certain / 2 if suspicion.declared else certain + math.log(max(suspicion.tried, 1))
    if found is None or found[0].ratio < needed:
        return None
    stretch, place = found
    if not suspicion.touches and stretch.share < 0.9995:
        return None
    where, ranked = _place(rows, suspicion, stretch, place)
    if where != place:
        other = rows.course(suspicion.now, suspicion.then, where)
        # what divides best over the whole stretch must also be about as sure as where the scan was surest
        where, stretch = (where, other) if other and other.ratio >= 0.8 * stretch.ratio else (place, stretch)
    trouble = _described(rows, suspicion, stretch, where)
    return replace(trouble, segments=ranked) if _credible(rows, trouble) else None


def _place(rows: Compared, suspicion: Suspicion, stretch: Stretch, place: str) -> tuple[str, tuple[SegmentShare, ...]]:
    """Return the slice that holds most of the excess, two columns deep."""
    if not rows.segments:
        return "", ()
    during = rows.during(stretch.first, stretch.last)
    ranked, _ = rank_segments(rows.cells(suspicion.now, suspicion.then, during), rows.segments)
    shares = tuple(ranked[:8])
    best = next((share for share in shares if share.explains >= _MOST), None)
    if best is not None and best.traffic < _EVERYWHERE:
        return best.where, shares
    return place, shares


def _described(rows: Compared, suspicion: Suspicion, stretch: Stretch, where: str) -> Trouble:
    during, inside = rows.during(stretch.first, stretch.last), rows.within(where)
    held, past = during & inside, rows.within(where, then=True)
    wrong = held & suspicion.now
    bad, n = int(wrong.sum()), int(held.sum())
    own = int(past.sum()) >= 100
    base = past if own else np.ones(len(past), bool)
    base_bad, base_n = int((suspicion.then & base).sum()), int(base.sum())
    kind = suspicion.kind
    if kind == "marker" and n and bad / n >= _ALL and (base_bad / max(base_n, 1)) < 0.8:
        kind = "stuck"
    method = f"share of rows of {where or 'all requests'} since the onset, minus their usual share, Newcombe interval"
    place = f"feature={suspicion.feature}"
    signal = share_excess(f"{kind}_excess", bad, n, base_bad, base_n, where=place, method=method)
    if suspicion.sensitivity < 1:
        signal = _undiluted(signal, suspicion.sensitivity)
    epochs = rows.now["epoch"].to_numpy(np.int64)
    first = np.flatnonzero(wrong)
    onset = int(epochs[first[0]]) if len(first) else rows.start + stretch.first * rows.bucket
    last = rows.start + (stretch.last + 1) * rows.bucket
    ended = None if _goes_on(rows, suspicion, stretch, inside) else last
    return Trouble(suspicion, kind, where, onset, ended, signal, wrong, stretch.ratio)


def _undiluted(signal: Signal, sees: float) -> Signal:
    """Return the share of affected rows where a mark can only see some of them."""
    scale = max(sees - (signal.reference or 0.0), 0.05)
    value, interval = signal.value or 0.0, signal.interval or (0.0, 1.0)
    method = f"{signal.method}; over the {sees:.0%} of affected rows that can be told"
    return replace(
        signal,
        value=min(value / scale, 1.0),
        interval=(max(interval[0] / scale, -1.0), min(interval[1] / scale, 1.0)),
        method=method,
    )


def _goes_on(rows: Compared, suspicion: Suspicion, stretch: Stretch, inside: Marks) -> bool:
    """Whether nothing shows that it is over: the rows after the stretch are too few, or as wrong as before."""
    if stretch.last >= rows.buckets - 1:
        return True
    after = inside & (rows.place > stretch.last)
    n, bad = int(after.sum()), int((after & suspicion.now).sum())
    # with the same share as in the stretch, none among these would be rarer than one in a thousand
    expected = stretch.share * n
    return expected < 7 or bad > 0.5 * expected


def _credible(rows: Compared, trouble: Trouble) -> bool:
    """Whether what only looks like a wrong unit or a marker is one, held against the column as a whole."""
    suspicion = trouble.suspicion
    if suspicion.kind not in ("unit", "swap"):
        return True
    epochs = rows.now["epoch"].to_numpy(np.int64)
    held = rows.within(trouble.where) & (epochs >= trouble.onset)
    if trouble.ended is not None:
        held &= epochs < trouble.ended
    past = rows.within(trouble.where, then=True)
    past = past if int(past.sum()) >= LEARN else np.ones(len(past), bool)
    now = [numbers(rows.now, name)[held] for name in trouble.features]
    then = [numbers(rows.then, name)[past] for name in trouble.features]
    if suspicion.kind == "swap":
        return swap_kept((now[0], now[1]), (then[0], then[1])) <= _MISFIT
    return suspicion.factor is not None and shape_kept(now[0], then[0], suspicion.factor) <= _MISFIT


def _standing(rows: Compared, suspicion: Suspicion) -> Trouble | None:
    """Return a trouble of the whole window: what needs no reference, or is no newer than it."""
    if suspicion.kind in ("vanished", "unseen", "stuck", "null") and not suspicion.declared:
        # these can only be told by comparison
        return None
    bad, n = int(suspicion.now.sum()), len(suspicion.now)
    method = "share of rows of the window; nothing is compared"
    place = f"feature={suspicion.feature}"
    signal = share_excess(f"{suspicion.kind}_excess", bad, n, 0, 0, where=place, method=method)
    if rows.learns:
        signal = replace(signal, reason="no newer than the reference: it has been so")
    onset = int(rows.now["epoch"].to_numpy(np.int64)[np.flatnonzero(suspicion.now)[0]])
    return Trouble(suspicion, suspicion.kind, "", onset, None, signal, suspicion.now, 0.0, standing=rows.learns)


def _told_once(found: list[Trouble]) -> list[Trouble]:
    """Leave out what follows from another trouble about the same columns, and tell it there."""
    kept: list[Trouble] = []
    for trouble in found:
        cause = next((other for other in kept if _follows(trouble, other)), None)
        if cause is None:
            smaller = [other for other in kept if _swallowed(other, trouble)]
            kept = [other for other in kept if other not in smaller]
            more = tuple(f"{other.suspicion.feature} {other.suspicion.what}" for other in smaller)
            kept.append(replace(trouble, consequences=more))
        else:
            at = kept.index(cause)
            text = f"{trouble.suspicion.feature} {trouble.suspicion.what}"
            kept[at] = replace(cause, consequences=(*cause.consequences, text))
    return sorted(kept, key=lambda t: (t.standing, -t.ratio))


def _follows(trouble: Trouble, other: Trouble) -> bool:
    """Whether the rows of one are those of another about the same column, or its opposite."""
    if not set(trouble.features) & set(other.features):
        return False
    if trouble.kind == "vanished" or "vanished" in (trouble.kind, other.kind):
        return trouble.kind == "vanished"
    n = int(trouble.rows.sum())
    return n > 0 and int((trouble.rows & other.rows).sum()) >= _SAME * n


def _swallowed(small: Trouble, large: Trouble) -> bool:
    """Whether a trouble believed earlier is only a part of a wider one."""
    if small.kind in ("swap", "unit", "clock") or not set(small.features) & set(large.features):
        return False
    n, m = int(small.rows.sum()), int(large.rows.sum())
    return m >= 1.3 * n > 0 and int((small.rows & large.rows).sum()) >= 0.9 * n and large.ratio > small.ratio
