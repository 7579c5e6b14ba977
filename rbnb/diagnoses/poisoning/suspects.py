"""Which training rows are suspect, how much, and why: the evidence in the order in which it can mislead.

Copies and planted clusters go first, then triggers, then changed labels: each is left out of what the next step
learns from, so that a thousand copies do not teach the model that judges the rest. Rules: rows are suspect where
what speaks against them gathers in one source, batch or stretch of time; a score is the probability, as well as it
can be told, that the row was tampered with; nothing is ever deleted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from rbnb.signals.poisoning.concentration import gatherings
from rbnb.signals.poisoning.duplicates import conflicting, copies, near_copies, nearest_distance, same_features
from rbnb.signals.poisoning.flips import find_flipped
from rbnb.signals.poisoning.label_errors import assign_folds, out_of_fold
from rbnb.signals.poisoning.outliers import cluster_shape, far_out, foreign_distance
from rbnb.signals.poisoning.training_rows import distance_space
from rbnb.signals.poisoning.triggers import find_triggers, make_items

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rbnb.diagnoses.poisoning.measure import PoisoningSettings
    from rbnb.diagnoses.poisoning.table import Training
    from rbnb.model import Signal
    from rbnb.signals.poisoning.concentration import Gathering
    from rbnb.signals.poisoning.flips import Flipped
    from rbnb.signals.poisoning.triggers import Items, Trigger

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["Evidence", "Gathered", "Structure", "Teaching", "held_against", "structure", "teaching"]


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """Rows of one kind that gather in one place.

    Parameters
    ----------
    kind
        ``copies``, ``near copies``, ``contradictions``, ``cluster``, ``outliers``.
    gathering
        Where, and how much more than elsewhere.
    rows
        Which rows.
    shape
        Of a cluster: how tight and how pure it is.
    """

    kind: str
    gathering: Gathering
    rows: Mask
    shape: tuple[Signal, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """What the rows say without any model: copies, contradictions, clusters.

    Parameters
    ----------
    same
        A number for each row, the same where all features are.
    signals
        Shares over the whole table.
    found
        What gathers, planted or not.
    outlier_score
        How far out each row lies, 1 on the limit.
    """

    same: Ints
    signals: tuple[Signal, ...]
    found: tuple[Gathered, ...]
    outlier_score: Floats

    def of(self, *kinds: str) -> list[Gathered]:
        """Return what was found of some kinds."""
        return [one for one in self.found if one.kind in kinds]

    def rows(self, *kinds: str) -> Mask:
        """Return which rows were found of some kinds."""
        found = np.zeros(len(self.same), dtype=bool)
        for one in self.of(*kinds):
            found |= one.rows
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Teaching:
    """What models say that have not seen a row's source: triggers and changed labels.

    Parameters
    ----------
    probabilities
        Out of fold.
    how
        How the folds were made.
    triggers, combinations
        Trigger patterns, and how many combinations were counted.
    flipped, posterior
        Groups whose labels were changed, and how probable that is for each row.
    """

    probabilities: Floats
    how: str
    triggers: tuple[Trigger, ...]
    combinations: int
    flipped: tuple[Flipped, ...]
    posterior: Floats


@dataclass(slots=True)
class Evidence:
    """A score and reasons for each row.

    Parameters
    ----------
    score
        0 to 1; a row is suspect from a half.
    reasons
        By row number.
    """

    score: Floats
    reasons: dict[int, list[str]] = field(default_factory=dict)

    def add(self, rows: Mask, score: Floats, reason: str) -> None:
        """Hold something against rows."""
        self.score = np.where(rows, np.maximum(self.score, score), self.score)
        for row in np.flatnonzero(rows):
            self.reasons.setdefault(int(row), []).append(reason)


def structure(table: Training, settings: PoisoningSettings, seed: int) -> Structure:
    """Look for copies, contradictions and clusters, and for where they gather."""
    space = distance_space(table.encoding, table.matrix)
    same = same_features(table.frame, table.encoding.names)
    repeated, copy_share = copies(same)
    _, conflict_share = conflicting(same, table.labels)
    mixed = _mixed(same, table.labels)
    distance = nearest_distance(space, table.source, table.epoch)
    near, near_share = near_copies(distance, repeated)
    away = table.source if len(set(table.source)) > 1 else table.batch
    far, score, outlier_share = far_out(foreign_distance(space, away, seed))
    found = [
        *_gathered("contradictions", mixed, table, settings),
        *_gathered("copies", repeated & ~mixed, table, settings),
        *_clusters(far & ~repeated, space, distance, table, settings),
    ]
    clustered = np.zeros(len(far), dtype=bool)
    for one in found:
        if one.kind == "cluster":
            clustered |= one.rows
    found += _gathered("near copies", near & ~clustered, table, settings)
    return Structure(same, (copy_share, conflict_share, near_share, outlier_share), tuple(found), score)


def _mixed(same: Ints, labels: Ints) -> Mask:
    """Return which rows share their features with a row of another label."""
    if not len(same):
        return np.zeros(0, dtype=bool)
    low, high = np.full(int(same.max()) + 1, np.iinfo(np.int64).max), np.full(int(same.max()) + 1, -1)
    np.minimum.at(low, same, labels)
    np.maximum.at(high, same, labels)
    return np.asarray((low < high)[same])


def _gathered(kind: str, flags: Mask, table: Training, settings: PoisoningSettings) -> list[Gathered]:
    held = gatherings(flags, table.cells, table.groups, alpha=settings.alpha, least=settings.gathered_least)
    return [Gathered(kind, one, flags & table.cells.rows(one.group)) for one in held]


def _clusters(
    far: Mask, space: Floats, distance: Floats, table: Training, settings: PoisoningSettings
) -> list[Gathered]:
    """Return far-out rows that gather: a planted cluster if they are tight or of one label, else outliers."""
    found = []
    for one in _gathered("outliers", far, table, settings):
        shape = cluster_shape(space, one.rows, table.labels, distance, one.gathering.group.where)
        tight = shape[0].value is not None and shape[0].value <= settings.cluster_tight
        pure = shape[1].value is not None and shape[1].value >= settings.cluster_pure
        usual = float(np.bincount(table.labels[~one.rows]).max()) / max(int((~one.rows).sum()), 1)
        telling = pure and shape[1].interval is not None and shape[1].interval[0] > usual
        found.append(Gathered("cluster" if tight or telling else "outliers", one.gathering, one.rows, shape))
    return found


def teaching(table: Training, known: Structure, settings: PoisoningSettings, seed: int) -> Teaching:
    """Look for triggers and changed labels among what is not explained by copies and clusters.

    Changed labels are looked for twice: first roughly, so that they do not teach the models that triggers are held
    against; then, with the triggers gone, for good.
    """
    left_out = known.rows("copies", "near copies", "contradictions", "cluster")
    folds, how = _folds(table, seed)
    categorical = table.encoding.is_categorical()

    def learned(without: Mask) -> Floats:
        return out_of_fold(table.matrix, table.labels, folds, categorical, seed, leave_out=without)

    probabilities = learned(left_out)
    flipped, posterior = _flipped(table, probabilities, ~left_out, settings)
    if flipped:
        probabilities = learned(left_out | (posterior > 0.5))
    triggers, combinations = _triggers(table, probabilities, left_out, settings)
    marked = left_out.copy()
    for trigger in triggers:
        marked |= trigger.rows
    if triggers:
        probabilities = learned(marked)
        flipped, posterior = _flipped(table, probabilities, ~marked, settings)
    if flipped:
        probabilities = learned(marked | (posterior > 0.5)) if triggers else probabilities
        flipped, posterior = _flipped(table, probabilities, ~marked, settings)
    return Teaching(probabilities, how, tuple(triggers), combinations, tuple(flipped), posterior)


def _triggers(
    table: Training, probabilities: Floats, left_out: Mask, settings: PoisoningSettings
) -> tuple[list[Trigger], int]:
    """Look for trigger patterns in the rows that are not left out."""
    return find_triggers(
        _without(make_items(table.frame, table.encoding), left_out),
        table.labels,
        probabilities,
        table.source,
        alpha=settings.trigger_alpha,
        purity=settings.trigger_pure,
        rare=settings.trigger_rare,
    )


def _folds(table: Training, seed: int) -> tuple[Ints, str]:
    """Deal rows out by source, by batch where there are too few sources, else at random."""
    folds, how = assign_folds(table.source, table.labels, seed)
    if "groups" not in how and "batch" in table.has:
        folds, how = assign_folds(table.batch, table.labels, seed)
        return folds, how.replace("groups", "batches")
    return folds, how.replace("groups", "sources")


def _without(items: Items, rows: Mask) -> Items:
    """Return items that the given rows do not bear, so that they are in no combination."""
    return replace(items, borne=items.borne * (~rows)[:, None].astype(np.float32))


def _flipped(
    table: Training, probabilities: Floats, use: Mask, settings: PoisoningSettings
) -> tuple[Sequence[Flipped], Floats]:
    """Ask every group for changed labels, among the rows that are used."""
    cells = table.cells
    of_row = cells.of_row[use]
    held = replace(cells, of_row=of_row, size=np.bincount(of_row, minlength=len(cells.size)).astype(np.int64))
    enough = len(table.labels) >= settings.flips_rows
    groups = [one for one in table.groups if enough and int(held.size[one.cells].sum()) >= settings.group_least]
    found, inside = find_flipped(
        table.labels[use],
        probabilities[use],
        held,
        groups,
        alpha=settings.alpha,
        least=settings.flips_least,
        epoch=table.epoch[use],
    )
    posterior = np.zeros(len(table.labels))
    posterior[use] = inside
    return found, posterior


def held_against(table: Training, known: Structure, taught: Teaching) -> Evidence:
    """Return what is held against each row for what it holds."""
    ones, found = np.ones(len(table.labels)), Evidence(np.zeros(len(table.labels)))
    for one in known.of("copies", "near copies", "cluster"):
        what = "lies with others where no other source has rows" if one.kind == "cluster" else f"one of many {one.kind}"
        found.add(one.rows, 0.95 * ones, f"{what}, in {one.gathering.group.where}")
    own = taught.probabilities[np.arange(len(table.labels)), table.labels]
    for one in known.of("contradictions"):
        told = f"same features as another row, the less likely label, in {one.gathering.group.where}"
        found.add(one.rows & _less_likely(known.same, own), np.maximum(1 - own, 0.5), told)
    for trigger in taught.triggers:
        told = f"carries {trigger.where} with label {table.classes[trigger.label]}"
        found.add(trigger.rows & (table.labels == trigger.label), ones * trigger.observed / trigger.n, told)
    found.add(taught.posterior > 0.5, taught.posterior, "its label contradicts what other sources teach")
    return found


def _less_likely(same: Ints, own: Floats) -> Mask:
    """Return which rows bear a label that is less likely than that of another row with the same features."""
    best = np.zeros(int(same.max()) + 1 if len(same) else 0)
    np.maximum.at(best, same, own)
    return np.asarray(own < best[same])
