"""Replay a sample of logged requests against the current and the known-good model, and reduce what differs.

Rules: it is off unless the run asks for a number of requests, because it sends real ones to a live endpoint; the
sample is drawn at random, so its share stands for the window; requests that other checks found wrong are asked on
top, for the minimal pair alone; an endpoint that does not answer is told as not measured, never as agreement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.model import NotMeasured, Signal
from rbnb.replay import MinimalPair, ask, minimise
from rbnb.signals.consistency.metamorphic import broken_pairs, perturbations
from rbnb.signals.consistency.repeats import differs
from rbnb.signals.intervals import share

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.diagnoses.consistency.measure import OutputInconsistency
    from rbnb.inventory import Endpoint, Serving

    Floats = NDArray[np.float64]

__all__ = ["Replay", "run_replay"]

_SUSPECTS, _PERTURBED = 40, 40


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of it.

    Parameters
    ----------
    signals
        ``replay_mismatch``, ``replay_flips``, ``replay_log_mismatch``, ``monotone_replayed``, ``invariance_replayed``.
    not_measured
        What did not answer, and why.
    compared, apart
        Requests that both models answered, and those they answered differently.
    minimal
        The smallest pair that shows the difference.
    examples
        Request id, score in the log, of the current and of the known-good model; the largest differences first.
    differs
        Whether the difference is more than chance and tolerance.
    """

    signals: tuple[Signal, ...] = ()
    not_measured: tuple[NotMeasured, ...] = ()
    compared: int = 0
    apart: int = 0
    minimal: MinimalPair | None = None
    examples: tuple[tuple[str, float | None, float | None, float | None], ...] = ()
    differs: bool = False


def run_replay(found: OutputInconsistency) -> Replay:
    """Replay, if the run asks for it and the model file says where."""
    serving = found.data.model.serving
    if found.asked <= 0:
        why = "off: it sends logged requests to the endpoints; set the parameter replay to how many"
        return Replay(not_measured=(NotMeasured("replay", why),))
    if serving is None:
        return Replay(not_measured=(NotMeasured("replay", "no endpoints are given (serving)"),))
    if not found.kinds:
        return Replay(not_measured=(NotMeasured("replay", "no features are logged, so there is nothing to send"),))
    return _replay(found, serving)


def _replay(found: OutputInconsistency, serving: Serving) -> Replay:
    sample, extra = _chosen(found)
    rows = found.clean.iloc[[*sample, *extra]]
    sent = _sent(found, rows)
    now, why = _asked(found, serving.current, sent)
    if now is None:
        return Replay(not_measured=(NotMeasured("replay", f"the current model: {why}"),))
    n = len(sample)
    tolerance = found.data.model.tolerance
    logged = rows["score"].to_numpy(dtype=np.float64)
    against_log = differs(now, logged, tolerance.relative, tolerance.absolute)
    method = "replayed answers of the current model that differ from the log"
    known = np.isfinite(logged[:n])
    signals = [share("replay_log_mismatch", int((against_log[:n] & known).sum()), int(known.sum()), method=method)]
    signals += _declared(found, serving.current, rows.iloc[:n])
    if serving.known_good is None:
        missing = NotMeasured("replay against the known-good model", "none is given (serving.known_good)")
        return Replay(tuple(signals), (missing,), examples=_examples(rows, logged, now, None))
    good, why = _asked(found, serving.known_good, sent)
    if good is None:
        missing = NotMeasured("replay against the known-good model", why)
        return Replay(tuple(signals), (missing,), examples=_examples(rows, logged, now, None))
    apart = differs(now, good, tolerance.relative, tolerance.absolute)
    told = "logged requests that the current and the known-good model answer differently"
    mismatch = share("replay_mismatch", int(apart[:n].sum()), n, method=told, reference=0.0)
    signals += [mismatch, *_flips(found, now[:n], good[:n])]
    certain = mismatch.interval is not None and mismatch.interval[0] >= found.settings.share_min
    minimal = _minimal(found, serving, sent, apart, now - good) if apart.any() else None
    examples = _examples(rows, logged, now, good)
    return Replay(tuple(signals), (), n, int(apart[:n].sum()), minimal, examples, certain)


def _chosen(found: OutputInconsistency) -> tuple[list[int], list[int]]:
    """Return places of a random sample of the window, and of some rows that other checks marked."""
    rng = np.random.default_rng(found.seed)
    now = np.flatnonzero(found.current)
    sample = np.sort(rng.permutation(now)[: found.asked])
    marked = [c.wrong for c in found.channels]
    suspects = np.flatnonzero(marked[0] & found.current)[:_SUSPECTS] if marked else np.array([], dtype=np.int64)
    return [int(i) for i in sample], [int(i) for i in suspects]


def _sent(found: OutputInconsistency, rows: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Return inputs as they go over the wire: numbers, texts, None where missing."""
    columns = []
    for name, kind in found.kinds.items():
        values = rows[name]
        gone = values.isna().to_numpy()
        plain = values.tolist()
        columns.append(
            [None if g else float(v) if kind == "numerical" else str(v) for g, v in zip(gone, plain, strict=True)]
        )
    return list(zip(*columns, strict=True))


def _asked(
    found: OutputInconsistency, endpoint: Endpoint, sent: Sequence[tuple[Any, ...]]
) -> tuple[Floats | None, str]:
    model = found.data.model
    columns = {name.removeprefix("feature_"): kind for name, kind in found.kinds.items()}
    answers = ask(endpoint, columns, sent, folder=found.data.folder, positive=model.positive_label)
    if not answers.there:
        return None, answers.problem
    return np.array([np.nan if score is None else score for score in answers.scores]), ""


def _flips(found: OutputInconsistency, now: Floats, good: Floats) -> list[Signal]:
    rule = found.data.model.decision
    if rule is None:
        return []
    both = np.isfinite(now) & np.isfinite(good)
    flipped = both & ((now >= rule.threshold) != (good >= rule.threshold))
    method = f"replayed requests that fall on the other side of {rule.threshold:g}"
    return [share("replay_flips", int(flipped.sum()), int(both.sum()), method=method, reference=0.0)]


def _minimal(
    found: OutputInconsistency, serving: Serving, sent: list[tuple[Any, ...]], apart: NDArray[np.bool_], gap: Floats
) -> MinimalPair | None:
    known_good = serving.known_good
    assert known_good is not None  # noqa: S101 - it was asked already
    tolerance = found.data.model.tolerance
    worst = int(np.nanargmax(np.where(apart, np.abs(np.nan_to_num(gap, nan=np.inf)), -1.0)))
    alike = [row for row, bad in zip(sent, apart, strict=True) if not bad]

    def both(rows: list[tuple[Any, ...]]) -> list[tuple[float | None, float | None]] | None:
        one, other = (_asked(found, endpoint, rows)[0] for endpoint in (serving.current, known_good))
        if one is None or other is None:
            return None
        return [(_number(a), _number(b)) for a, b in zip(one, other, strict=True)]

    def differ(a: float | None, b: float | None) -> bool:
        pair = [np.nan if x is None else x for x in (a, b)]
        return bool(differs(pair[:1], pair[1:], tolerance.relative, tolerance.absolute)[0])

    names = [name.removeprefix("feature_") for name in found.kinds]
    if alike:
        return minimise(names, sent[worst], alike, both, differ)
    # where every request is answered differently, one that holds nothing may still be answered alike
    empty: list[tuple[Any, ...]] = [(None,) * len(names)]
    others = [row for row in sent if row != sent[worst]]
    pair = minimise(names, sent[worst], empty, both, differ)
    return pair if pair is not None and pair.feature else minimise(names, sent[worst], others, both, differ) or pair


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _declared(found: OutputInconsistency, endpoint: Endpoint, rows: pd.DataFrame) -> list[Signal]:
    """Check monotone and invariant inputs by changing them and asking again."""
    model, some = found.data.model, rows.iloc[:_PERTURBED]
    wanted = [("monotone_replayed", name, str(direction)) for name, direction in model.monotone.items()]
    wanted += [("invariance_replayed", name, "invariant") for name in model.invariant]
    signals = []
    for label, name, direction in wanted:
        column = f"feature_{name}"
        if column not in found.kinds or not rows[column].notna().any():
            continue
        low, high = perturbations(some, column, numerical=found.kinds[column] == "numerical")
        scores, why = _asked(found, endpoint, [*_sent(found, low), *_sent(found, high)])
        method, where = f"input changed and asked again; declared {direction}", f"feature={name}"
        if scores is None:
            signals.append(Signal(label, None, "share", 0, method, where=where, reason=why))
            continue
        half = len(some)
        tolerance = model.tolerance
        wrong = broken_pairs(scores[:half], scores[half:], direction, tolerance.relative, tolerance.absolute)
        signals.append(share(label, int(wrong.sum()), half, where=where, method=method, reference=0.0))
    return signals


def _examples(
    rows: pd.DataFrame, logged: Floats, now: Floats, good: Floats | None
) -> tuple[tuple[str, float | None, float | None, float | None], ...]:
    other = logged if good is None else good
    gap = np.abs(np.nan_to_num(now - other, nan=np.inf))
    ids = rows["request_id"].astype(str).tolist() if "request_id" in rows else [str(i) for i in range(len(rows))]
    order = np.argsort(-gap, kind="stable")[:5]
    return tuple(
        (ids[i], _number(logged[i]), _number(now[i]), None if good is None else _number(good[i])) for i in order
    )
