"""Ranked hypotheses about a drift: covariate, label or concept drift, or no drift at all but something else.

Rules:

- **Covariate drift** of an input is supported if the input certainly moved and the score went with it; refuted if
  the score does not mind; open if another hypothesis explains it as well.
- **Label drift**: with outcomes, the base rate moved, equal outcomes still score alike, and the change of scores is the
  one that the rate leads to. Without, all inputs fit one mixture of the old classes with another rate.
- **Concept drift** needs outcomes: they come at another rate at equal score, beyond what a changed base rate does.
  Without outcomes it stays open, always.
- **The model itself**: scores changed at equal inputs, on one version or host.
- A change is suspected that was made shortly before the onset; time alone leaves it open.
- Where an input moved far and a score means something else too, the input comes first: requests that the model never
  learned look like both.
- Scores rank; they are no probabilities.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from rbnb.diagnoses.drift.places import in_slice
from rbnb.model import Cause
from rbnb.signals.drift.bins import make_bins
from rbnb.signals.drift.calibration import concept_shift
from rbnb.signals.drift.label_shift import mixture_misfit, mixture_rate
from rbnb.times import format_duration

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rbnb.diagnoses.drift.features import FeatureDrift
    from rbnb.diagnoses.drift.measure import DataDrift
    from rbnb.model import HypothesisStatus, Signal

__all__ = ["hypotheses", "named"]

#: Outcomes at equal chance must differ by this much to speak of another meaning.
_MEANING = 0.03
#: Share of the change of scores that a changed base rate must lead to, to explain it.
_EXPLAINS = (0.5, 2.0)
#: Change of a rate or a distance that is worth a word.
_RATE, _DISTANCE = 0.02, 0.1
_FIT = 0.01
#: Share of the change of scores from which on one input did it alone; and how far scores must have moved.
_ALONE, _SHIFT = 0.6, 0.05
_CORRELATION = 0.1
_SERVED = 0.1


def hypotheses(drift: DataDrift) -> list[Cause]:
    """Return every hypothesis that the measurements speak to, best first, ranked from 1.

    Parameters
    ----------
    drift
        The measurements of a run.

    Returns
    -------
    list of Cause
        Empty when nothing moved.
    """
    if drift.empty or not (drift.moved or drift.found):
        return []
    label = _label(drift)
    explained = label is not None and label.status == "supported"
    causes = [*_served(drift), *_correlation(drift), *(_concept_there(drift) or _concept(drift, label))]
    causes += [label] if label is not None else []
    causes += [_covariate(drift, one, explained=explained) for one in drift.moved]
    causes += _changes(drift)
    order = {"supported": 0, "open": 1, "refuted": 2}
    causes.sort(key=lambda cause: (order[cause.status], -cause.score, cause.name))
    at = _moment(drift.course.onset) if drift.found and drift.course.onset else None
    return [
        Cause(c.kind, c.name, c.where, c.score, c.status, c.evidence, rank, c.at or at, c.explains)
        for rank, c in enumerate(causes, start=1)
    ]


def named(one: FeatureDrift) -> str:
    """Return in a few words how an input moved: up or down, wider or narrower, another shape, which category."""
    told = {signal.name.removeprefix("feature_"): signal for signal in one.others}
    if one.kind == "categorical":
        fold = told["category"]
        return f"{one.name}: {fold.reason.partition(';')[0]}" if fold.defined else f"{one.name}: another mix"
    where, scale, shape = told["location"], told["scale"], told["shape"]
    parts = []
    if _certain(where, 0.05):
        parts.append(f"{'up' if (where.value or 0) > 0 else 'down'} {abs(where.value or 0):.2g} sd")
    if scale.interval and scale.interval[0] > 1.05:
        parts.append(f"{scale.value:.2g}× {scale.reason.partition(';')[0]}")
    if not parts and _certain(shape, 0.0):
        parts.append("another shape")
    return f"{one.name}: {', '.join(parts) or 'another distribution'}"


def _certain(signal: Signal | None, least: float) -> bool:
    """Whether a signal certainly lies further than `least` from 0."""
    if signal is None or signal.interval is None or signal.value is None:
        return False
    low, high = signal.interval
    return low > least or high < -least


def _signal(signals: list[Signal], name: str) -> Signal | None:
    return next((s for s in signals if s.name == name and s.value is not None), None)


def _covariate(drift: DataDrift, one: FeatureDrift, *, explained: bool) -> Cause:
    reach = one.reach.value if one.reach else None
    effect, shift = one.effect, _signal(drift.outcome.prediction, "score_shift")
    evidence = [f"PSI {one.psi.value:.3g} over {one.psi.n:,} rows, chance {one.p:.1g} after Holm"]
    status: HypothesisStatus
    explains = None
    if reach is None:
        status = "open"
        evidence.append("no scores, so whether the prediction minds is not known")
    elif one not in drift.used:
        status = "refuted"
        evidence.append(f"the score hardly minds ({reach:.2g} sd)")
    elif explained:
        status = "open"
        evidence.append(f"the score goes with it ({reach:.2g} sd), as the changed base rate leads one to expect")
    else:
        status = "supported"
        evidence.append(f"the score goes with it ({reach:.2g} sd)")
    if effect and effect.value is not None and shift and shift.value and abs(shift.value) > 0.05:
        explains = effect.value / shift.value
        evidence.append(f"accounts for {explains:.0%} of the change of the mean score")
    score = _weight(reach or 0.0, 0.03)
    return Cause("covariate", named(one), f"feature={one.name}", score, status, "; ".join(evidence), explains=explains)


def _correlation(drift: DataDrift) -> list[Cause]:
    found, used = drift.features.correlation, drift.together[1]
    if not found.interval or found.interval[0] < _CORRELATION:
        return []
    minded = used.interval is not None and used.interval[0] >= _CORRELATION
    pair = found.where
    moved = {f"feature={one.name}" for one in drift.moved}
    alone = not moved & set(pair.split(" & "))
    told = f"correlation {found.reason}" + (", though each alone looks as before" if alone else "")
    status: HypothesisStatus = "supported" if minded and alone else "open"
    told += "" if minded else "; the score uses at most one of them"
    names = " and ".join(part.removeprefix("feature=") for part in pair.split(" & "))
    size = found.value or 0.0
    return [Cause("correlation", f"{names} go together otherwise", pair, size / (size + 0.3), status, told)]


def _label(drift: DataDrift) -> Cause | None:
    if drift.data.model.task != "binary":
        return None
    known = drift.outcome.meaning
    lag = drift.rows.labelled.lag if drift.rows.labelled else 0
    return _label_known(drift, known) if known and not lag else _label_unknown(drift)


def _label_known(drift: DataDrift, known: list[Signal]) -> Cause | None:
    base, within = _signal(known, "base_rate_shift"), _signal(known, "within_outcome_shift")
    if base is None or within is None:
        return None
    name = f"the outcome comes at another rate: {base.reason}"
    if not _certain(base, 0.0) or abs(base.value or 0.0) < _RATE:
        return Cause(
            "label",
            "the outcome comes at another rate",
            "",
            0.0,
            "refuted",
            f"the base rate is as before ({base.reason})",
        )
    part = _rate_explains(drift, base)
    same = within.interval is not None and within.interval[0] < _DISTANCE / 2
    beyond = _signal(known, "concept_beyond_rate")
    left = beyond.interval[0] if beyond and beyond.interval else 0.0
    evidence = f"equal outcomes score {'as before' if same else 'otherwise than before'} (distance {within.value:.2g})"
    if part is not None:
        evidence += f"; the rate leads one to expect {1 / part if part else math.inf:.0%} of the change of scores"
    status: HypothesisStatus = "open"
    if same and part is not None and _EXPLAINS[0] <= part <= _EXPLAINS[1] and left < _MEANING:
        status = "supported"
    elif not same and left >= _MEANING:
        status = "refuted"
    elif part is not None and part < _EXPLAINS[0] / 2:
        status = "refuted"
        evidence += ": scores did not follow, so the same score means another chance"
    return Cause("label", name, "", _weight(abs(base.value or 0.0), 0.05), status, evidence)


def _rate_explains(drift: DataDrift, base: Signal) -> float | None:
    """Return how much of the change of scores that the rate leads to has come; None where it leads to none."""
    judged, now = drift.rows.judged, drift.outcome.labelled
    score, target = drift.outcome.score(judged), drift.outcome.target(judged)
    later = drift.outcome.score(now) if now is not None else None
    if score is None or later is None:
        return None
    gap = float(np.nanmean(score[target > 0.5]) - np.nanmean(score[target <= 0.5]))
    expected = gap * (base.value or 0.0)
    error = float(np.nanstd(score)) * math.sqrt(1 / len(score) + 1 / max(len(later), 1))
    return float(np.nanmean(later) - np.nanmean(score)) / expected if abs(expected) > 2 * error else None


def _label_unknown(drift: DataDrift) -> Cause | None:
    """Judge label drift from scores and inputs alone: one mixture of the old classes, no input that did it alone."""
    judged, scores = drift.rows.judged, drift.outcome.scores
    shift = _signal(drift.outcome.prediction, "score_shift")
    score = drift.outcome.score(judged) if len(judged) else None
    if scores is None or score is None or shift is None or not _certain(shift, _SHIFT):
        return None
    target = drift.outcome.target(judged) > 0.5
    bins = make_bins(scores[0])
    positive, negative = bins.count(score[target]), bins.count(score[~target])
    rate, before = (mixture_rate(positive, negative, bins.count(side)) for side in (scores[1], scores[0]))
    if rate is None or before is None or abs(rate - before) < _RATE:
        return None
    fits = _all_fit(drift, target, rate)
    effects = [
        abs(one.effect.value) for one in drift.features.all.values() if one.effect and one.effect.value is not None
    ]
    alone = max(effects, default=0.0) / abs(shift.value or 1.0)
    status: HypothesisStatus = "refuted" if not fits else "supported" if alone < _ALONE else "open"
    how = f"{'all' if fits else 'not all'} inputs lie as a rate of {rate:.0%} instead of {before:.0%} has it"
    told = f"{how}; no input accounts for more than {alone:.0%} of the change of scores"
    name = f"the outcome seems to come at another rate: {before:.2g} → {rate:.2g}"
    return Cause("label", name, "", _weight(abs(rate - before), 0.05), status, told)


def _all_fit(drift: DataDrift, target: NDArray[np.bool_], rate: float) -> bool:
    """Whether every input lies as the mixture of the old classes with this rate would have it."""
    judged = drift.rows.judged
    for one in drift.features.all.values():
        column, bins = judged[f"feature_{one.name}"].to_numpy(), one.bins
        sides = [bins.count(part) for part in (column[target], column[~target], drift.features.current[one.name])]
        places = bins.place(drift.rows.reference[f"feature_{one.name}"].to_numpy())
        inflation = drift.features.inflation(places, len(bins.names))
        misfit = mixture_misfit(sides[0], sides[1], sides[2], rate, inflation)
        # hours and weekdays differ by themselves, so only what moved against the same hours is asked
        if misfit < _FIT / len(drift.features.all) and one.p < drift.settings.alpha:
            return False
    return True


def _concept(drift: DataDrift, label: Cause | None) -> list[Cause]:
    name = "the same score means another chance"
    known = drift.outcome.meaning
    concept, beyond = _signal(known, "concept_shift"), _signal(known, "concept_beyond_rate")
    if concept is None or beyond is None or not concept.interval or not beyond.interval:
        if not drift.outcome.realised:
            return [
                Cause(
                    "concept", name, "", 0.1, "open", "no outcomes are known yet, and inputs and scores cannot show it"
                )
            ]
        fell = drift.worse and not drift.used
        told = "performance fell while inputs stayed" if fell else "what a score means cannot be measured for this task"
        return [
            Cause(
                "concept", "inputs mean something else", "", 0.6 if fell else 0.1, "supported" if fell else "open", told
            )
        ]
    size = concept.value or 0.0
    told = f"outcomes at equal score are off by {size:.2g} ({concept.reason})"
    told += f", {beyond.value:.2g} beyond what a changed base rate does"
    lag = drift.rows.labelled.lag if drift.rows.labelled else 0
    told += f"; outcomes are {format_duration(timedelta(seconds=lag))} old" if lag else ""
    if concept.interval[0] < _MEANING:
        status: HypothesisStatus = "refuted" if concept.interval[1] < 2 * _MEANING and not lag else "open"
        return [Cause("concept", name, "", 0.0 if status == "refuted" else 0.1, status, told)]
    if label is not None and label.status == "supported" and beyond.interval[0] < _MEANING:
        return [Cause("concept", name, "", 0.2, "open", f"{told}; a changed base rate explains it as well")]
    return [
        Cause("concept", name, drift.segments[0].where if _local(drift) else "", _weight(size, 0.05), "supported", told)
    ]


def _concept_there(drift: DataDrift) -> list[Cause]:
    """Judge concept drift of the one slice that is worse than the whole."""
    now, fit, where = drift.outcome.labelled, drift.outcome.calibrator, drift.local
    if not where or now is None or fit is None:
        return []
    sides = [in_slice(side, where) for side in (drift.rows.judged, now)]
    found = concept_shift(*((fit(drift.outcome.score(side)), drift.outcome.target(side)) for side in sides))
    if not found.interval or found.interval[0] < _MEANING:
        return []
    told = f"outcomes at equal score are off by {found.value:.2g} there ({found.reason}); {drift.slice_drop.reason}"
    return [Cause("concept", f"the same score means another chance in {where}", where,
                  _weight(found.value or 0.0, 0.05), "supported", told)]  # fmt: skip


def _local(drift: DataDrift) -> bool:
    return bool(drift.segments) and drift.segments[0].explains >= 0.5


def _weight(size: float, half: float) -> float:
    """Return a size as a number between 0 and 1 that is a half at `half`."""
    return size / (size + half)


def _served(drift: DataDrift) -> list[Cause]:
    found = drift.served
    if not found.interval or found.interval[0] < _SERVED:
        return []
    told = f"scores at equal inputs differ by {found.value:.2g} sd there, and did not in the reference"
    return [
        Cause(
            "output",
            f"{found.reason} answers otherwise",
            found.reason,
            _weight(found.value or 0.0, 0.05),
            "supported",
            told,
        )
    ]


def _changes(drift: DataDrift) -> list[Cause]:
    if drift.changes is None or not drift.found or drift.course.onset is None:
        return []
    found = []
    for row in drift.changes.to_dict("records"):
        gap = drift.course.onset - int(row["time"])
        after = gap < -drift.scope.bucket
        told = f"{abs(gap) / 60:,.0f} min {'after' if after else 'before'} the onset"
        status: HypothesisStatus = "refuted" if after else "open"
        score = 0.0 if after else 0.4 * math.exp(-max(gap, 0) / 7_200)
        found.append(
            Cause(
                "change", str(row["what"]), str(row["segment"] or ""), score, status, told, at=_moment(int(row["time"]))
            )
        )
    return found


def _moment(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)
