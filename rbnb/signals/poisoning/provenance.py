"""Where training rows come from, whether that can be told, and what came of them.

Rules: a row must say its source and its batch, a batch must stand in the lineage once a later one does, an id
occurs once, and the batches of a source follow each other in time. Volume and label rate of a source are held
against its own past. Nothing here says that a row is bad; it says where nobody can vouch for it.

Sources: AWS Well-Architected Machine Learning Lens MLSEC04-BP03; NIST AI 100-2 (poisoning, provenance).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Signal
from rbnb.signals.intervals import share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from rbnb.signals.poisoning.groups import Cells

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = [
    "blast_radius",
    "label_rates",
    "moved_labels",
    "out_of_order",
    "repeated_ids",
    "unknown_batches",
    "unnamed",
    "volumes",
]

NOBODY = "(none)"
_DAY = 86_400


def unnamed(values: Sequence[str], name: str) -> tuple[Mask, Signal]:
    """Return which rows say nothing of their source or batch, and their share.

    Source: own definition: share of rows, unit ``share``, with the interval of Wilson (1927), JASA 22, 209.

    Examples
    --------
    >>> unnamed(["web", "(none)", ""], "source")[0].tolist()
    [False, True, True]
    """
    missing = np.array([value in (NOBODY, "", "nan", "None") for value in values], dtype=bool)
    return missing, share(f"no_{name}_share", int(missing.sum()), len(values), method=f"rows that name no {name}")


def repeated_ids(ids: Sequence[str]) -> tuple[Mask, Signal]:
    """Return which rows bear an id that another row bears, and the share of rows beyond the first of each id.

    Source: own definition: share of rows, unit ``share``, with the interval of Wilson (1927), JASA 22, 209.

    Examples
    --------
    >>> repeated, signal = repeated_ids(["a", "b", "a", "c"])
    >>> repeated.tolist(), signal.value
    ([True, False, True, False], 0.25)
    """
    _, index, counts = np.unique(np.asarray(ids, dtype=str), return_inverse=True, return_counts=True)
    repeated = counts[index] > 1 if len(index) else np.zeros(0, dtype=bool)
    method = "rows that bear the id of another row"
    return repeated, share("repeated_id_share", int(len(index) - len(counts)), len(index), method=method)


def unknown_batches(cells: Cells, listed: Mapping[str, float]) -> tuple[list[str], Signal]:
    """Return the batches that no version lists although a later batch is listed, and their share of the rows.

    Source: own definition: share of rows, unit ``share``, with the interval of Wilson (1927), JASA 22, 209.

    Parameters
    ----------
    cells
        Rows by source and batch.
    listed
        By batch in the lineage, when it was first trained on; NaN where that is unknown.

    Notes
    -----
    A batch newer than every listed one waits for the next training and is not counted.

    Examples
    --------
    >>> from rbnb.signals.poisoning.groups import make_cells
    >>> cells = make_cells(["web"] * 4, ["1", "2", "2", "3"], np.array([0.0, 10.0, 10.0, 20.0]))
    >>> absent, signal = unknown_batches(cells, {"1": 0.0, "3": 20.0})
    >>> absent, signal.value
    (['2'], 0.5)
    """
    method = "rows of batches that no model version lists, though a later batch is listed"
    n = int(cells.size.sum())
    if not listed:
        reason = "no lineage is mapped (logs.lineage), so batches cannot be held against a manifest"
        return [], Signal("unlisted_share", None, "share", n, method, reason=reason)
    known = [w for name, w in zip(cells.batch, cells.when, strict=True) if name in listed and not math.isnan(w)]
    newest = max(known, default=-math.inf)
    absent: dict[str, int] = {}
    for name, when, size in zip(cells.batch, cells.when.tolist(), cells.size.tolist(), strict=True):
        if name not in listed and name != NOBODY and when < newest:
            absent[name] = absent.get(name, 0) + int(size)
    return sorted(absent), share("unlisted_share", sum(absent.values()), n, method=method)


def out_of_order(cells: Cells, epoch: Floats) -> tuple[Mask, Signal]:
    """Return which rows were ingested while their source was busy with another batch, and their share.

    Source: own definition: share of rows, unit ``share``, with the interval of Wilson (1927), JASA 22, 209.

    The middle half of a batch's times is its own; a row in that of another batch of its source, and outside its
    own, came out of order. Batches of fewer than ten rows claim no time.

    Examples
    --------
    >>> from rbnb.signals.poisoning.groups import make_cells
    >>> epoch = np.r_[np.arange(20.0), np.arange(100.0, 119.0), 10.0]
    >>> late, signal = out_of_order(make_cells(["web"] * 40, ["1"] * 20 + ["2"] * 20, epoch), epoch)
    >>> np.flatnonzero(late).tolist(), signal.value
    ([39], 0.025)
    """
    method = "rows stamped within the middle half of the times of another batch of their source"
    late = np.zeros(len(cells.of_row), dtype=bool)
    low, high = np.full(len(cells.size), np.nan), np.full(len(cells.size), np.nan)
    order = np.argsort(cells.of_row, kind="stable")
    parts = np.split(order, np.cumsum(cells.size)[:-1]) if len(cells.size) else []
    for i, rows in enumerate(parts):
        times = epoch[rows][np.isfinite(epoch[rows])]
        if len(times) >= 10:
            low[i], high[i] = np.quantile(times, (0.25, 0.75))
    for source in set(cells.source):
        inside = [i for i, name in enumerate(cells.source) if name == source and not math.isnan(low[i])]
        for i in inside:
            _mark(late, epoch, parts[i], i, [j for j in inside if j != i and high[j] > low[j]], low, high)
    known = int(np.isfinite(epoch).sum())
    if not known:
        return late, Signal("out_of_order_share", None, "share", 0, method, reason="no row says when it was ingested")
    return late, share("out_of_order_share", int(late.sum()), known, method=method)


def _mark(late: Mask, epoch: Floats, rows: Ints, own: int, others: Sequence[int], low: Floats, high: Floats) -> None:
    times = epoch[rows]
    outside = (times < low[own]) | (times > high[own])
    for other in others:
        # batches that run beside each other are no disorder
        if low[other] <= high[own] and low[own] <= high[other]:
            continue
        late[rows] |= outside & (times > low[other]) & (times < high[other])


def volumes(cells: Cells, epoch: Floats, since: float) -> list[Signal]:
    """Return for each source how its rows a day since a time compare with its own past, and how unusual that is.

    Source: own definition: robust z of the logarithm of daily rows.

    Returns
    -------
    list of Signal
        ``volume_anomaly`` by source, unit ``robust z``: the most unusual day since then, on a log scale, against the
        source's earlier days (median and 1.4826 MAD, at least 0.15); only more rows than usual count. Sources with
        fewer than five earlier days are undefined.

    Examples
    --------
    >>> from rbnb.signals.poisoning.groups import make_cells
    >>> epoch = np.r_[np.repeat(np.arange(6), 20), np.full(400, 6)] * 86400.0
    >>> cells = make_cells(["web"] * 520, ["1"] * 520, epoch)
    >>> s = volumes(cells, epoch, 6 * 86400.0)[0]
    >>> s.where, s.unit, s.value > 5
    ('source=web', 'robust z', True)
    """
    method = "largest daily number of rows against the source's earlier days, log scale"
    found = []
    row_source = np.array(cells.source)[cells.of_row] if len(cells.size) else np.zeros(0, dtype=str)
    for name in sorted(set(cells.source)):
        times = epoch[(row_source == name) & np.isfinite(epoch)]
        days, counts = np.unique(times // _DAY, return_counts=True)
        past, now = counts[days * _DAY < since], counts[days * _DAY >= since]
        where = f"source={name}"
        if len(past) < 5 or not len(now):
            reason = "fewer than five earlier days, or no rows since"
            found.append(Signal("volume_anomaly", None, "robust z", len(times), method, where=where, reason=reason))
            continue
        logs = np.log(past)
        spread = max(1.4826 * float(np.median(np.abs(logs - np.median(logs)))), 0.15, 1 / math.sqrt(np.median(past)))
        z = (math.log(now.max()) - float(np.median(logs))) / spread
        found.append(Signal("volume_anomaly", z, "robust z", len(times), method, where=where, reference=0.0))
    return found


def label_rates(
    labels: Ints, names: Sequence[str], cells: Cells, epoch: Floats, since: float, expected: Floats
) -> list[Signal]:
    """Return for each source how far its label rate has moved beyond what its features say, since a time.

    Source: own definition: observed less expected rate, now less before; interval as in Welch (1947), Biometrika
    34, 28.

    Parameters
    ----------
    labels, names
        Class codes of the rows, and what the codes mean; the rate is that of the last class where there are two, else
        of the commonest.
    cells, epoch
        Where and when rows are from.
    since
        Rows from here on are held against the earlier ones of the same source.
    expected
        Out-of-fold probabilities.

    Returns
    -------
    list of Signal
        ``label_rate_shift`` by source, unit ``share``: observed less expected now, less the same before, with the
        interval of a difference of two means, Bonferroni over the sources; ``reference`` is the rate before.

    Examples
    --------
    >>> from rbnb.signals.poisoning.groups import make_cells
    >>> labels = np.r_[np.tile([0, 1], 50), np.ones(100, dtype=int)]
    >>> epoch = np.arange(200.0)
    >>> cells = make_cells(["web"] * 200, ["1"] * 200, epoch)
    >>> s = label_rates(labels, ["no", "yes"], cells, epoch, 100.0, np.full((200, 2), 0.5))[0]
    >>> s.where, s.value, s.reference
    ('source=web', 0.5, 0.5)
    """
    from statistics import NormalDist

    code = len(names) - 1 if len(names) == 2 else int(np.bincount(labels).argmax()) if len(labels) else 0
    method = f"share of label {names[code] if names else ''} less what the features say, now less before"
    row_source = np.array(cells.source)[cells.of_row] if len(cells.size) else np.zeros(0, dtype=str)
    sources = sorted(set(cells.source))
    z = NormalDist().inv_cdf(1 - 0.025 / max(len(sources), 1))
    found = []
    for name in sources:
        own = (row_source == name) & np.isfinite(epoch)
        now, then, where = own & (epoch >= since), own & (epoch < since), f"source={name}"
        n = int(now.sum())
        if n < 20 or then.sum() < 20:
            reason = "fewer than 20 rows since, or before"
            found.append(Signal("label_rate_shift", None, "share", n, method, where=where, reason=reason))
            continue
        gap = (labels == code) - expected[:, code]
        value = float(gap[now].mean() - gap[then].mean())
        half = z * math.sqrt(float(gap[now].var()) / n + float(gap[then].var()) / int(then.sum()))
        before = float((labels[then] == code).mean())
        found.append(Signal("label_rate_shift", value, "share", n, method, (value - half, value + half), where, before))
    return found


def moved_labels(shifts: Sequence[Signal]) -> list[Signal]:
    """Return how far each label rate moved, up or down: what `label_rates` found, without its sign.

    Source: own definition: size of what `label_rates` finds, unit ``share``.

    The interval is that of the shift, folded at 0: where it holds 0 the lower end is 0, and nothing has moved for
    certain.

    Examples
    --------
    >>> moved_labels([Signal("label_rate_shift", -0.2, "share", 90, "", (-0.3, -0.1), "source=a")])[0].interval
    (0.1, 0.3)
    """
    found = []
    for one in shifts:
        low, high = one.interval or (0.0, 0.0)
        ends = (0.0 if low <= 0 <= high else min(abs(low), abs(high)), max(abs(low), abs(high)))
        value, interval = (None, None) if one.value is None else (abs(one.value), ends)
        method = f"{one.method}; up or down"
        found.append(Signal("labels_moved", value, "share", one.n, method, interval, one.where, reason=one.reason))
    return found


def blast_radius(lineage: Sequence[tuple[str, str, float]], suspect: Sequence[str], serving: str) -> dict[str, object]:
    """Return which model versions were trained on suspect batches, and whether the one that serves now was.

    Parameters
    ----------
    lineage
        Version, batch and time, one entry a batch that a version was trained on.
    suspect
        Batches with suspect rows.
    serving
        The version that serves now; "" if unknown.

    Returns
    -------
    dict
        ``touched``: versions by name with how many suspect batches each holds, oldest first; ``clean``: the newest
        version without any that is older than the first touched one, or any clean one; ``serving_touched``: True,
        False, or None where the lineage does not know it; ``versions``: how many there are.

    Examples
    --------
    >>> found = blast_radius([("1", "a", 1.0), ("2", "a", 2.0), ("2", "b", 2.0)], ["b"], "2")
    >>> found["touched"], found["clean"], found["serving_touched"]
    ({'2': 1}, '1', True)
    """
    times: dict[str, float] = {}
    held: dict[str, int] = {}
    bad = set(suspect)
    for version, batch, when in lineage:
        times[version] = max(times.get(version, -math.inf), when if math.isfinite(when) else -math.inf)
        held[version] = held.get(version, 0) + (batch in bad)
    order = sorted(times, key=lambda version: (times[version], version))
    touched = {version: held[version] for version in order if held[version]}
    clean = [version for version in order if not held[version]]
    before = clean
    if touched:
        first = order.index(next(iter(touched)))
        before = [version for version in clean if order.index(version) < first] or clean
    known = held.get(serving)
    return {
        "touched": touched,
        "clean": before[-1] if before else "",
        "serving_touched": None if known is None else bool(known),
        "versions": len(order),
    }
