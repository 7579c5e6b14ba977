"""Measure whether a training table was poisoned: who vouches for its rows, what stands out, where, and what it does.

The steps follow the runbook: integrity, provenance, copies and clusters, triggers, changed labels, the counterfactual,
blast radius. Each is computed once, the first time it is asked for. Rules:

- What the model file does not map is told in `not_measured`, with what to map; without a training table nothing can
  be said, and nothing is.
- The whole table is searched, as poison may be old; the window only says what counts as new for volumes and rates.
- Serving data plays no part: a model whose requests drift may have been taught well.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from rbnb.data import Span
from rbnb.diagnoses.poisoning.effect import effect, noise_share
from rbnb.diagnoses.poisoning.suspects import Evidence, Structure, Teaching, held_against, structure, teaching
from rbnb.diagnoses.poisoning.table import Training, prepare
from rbnb.diagnoses.poisoning.vouching import Vouched, gap_share, vouching
from rbnb.model import NotMeasured, SegmentShare, Signal
from rbnb.signals.intervals import share
from rbnb.signals.poisoning.flips import flip_signals
from rbnb.signals.poisoning.label_errors import class_pairs, label_issues
from rbnb.signals.poisoning.provenance import (
    blast_radius,
    label_rates,
    moved_labels,
    volumes,
)
from rbnb.signals.poisoning.training_rows import as_numbers, as_texts
from rbnb.signals.poisoning.triggers import trigger_signals

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.data import Extent, ModelData
    from rbnb.scope import Scope

    Mask = NDArray[np.bool_]
    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

__all__ = ["Poisoning", "PoisoningSettings"]


@dataclass(frozen=True, slots=True)
class PoisoningSettings:
    """The numbers that define what is measured; policy may set each of them under ``settings``.

    Parameters
    ----------
    alpha
        Family-wise error rate of each search over groups.
    flips_least
        Share of a group's labels that must be changed, by the lower end of its interval.
    gathered_least
        Excess share of copies, contradictions or outliers in a group, by the lower end of its interval.
    group_least
        Rows a group must have to be asked for changed labels.
    flips_rows
        Rows the table must have for that; in fewer the likelihood ratio is not to be relied on.
    cluster_tight, cluster_pure
        A cluster far out is planted if its spread over the distance of ordinary neighbours is at most this, or the
        share of its commonest label at least that.
    trigger_alpha, trigger_pure, trigger_rare
        Error rate of the search for triggers; how pure in one label, and how rare, a trigger is.
    gap_least
        Share of the rows that nobody vouches for, from which they are suspect for that alone.
    rows_most
        Rows of the table that are used at most.
    """

    alpha: float = 0.01
    flips_least: float = 0.02
    gathered_least: float = 0.02
    group_least: float = 30
    flips_rows: float = 400
    cluster_tight: float = 0.7
    cluster_pure: float = 0.95
    trigger_alpha: float = 0.001
    trigger_pure: float = 0.9
    trigger_rare: float = 0.1
    gap_least: float = 0.005
    rows_most: float = 50_000


class Poisoning:
    """The measurements of one run.

    Parameters
    ----------
    data
        The model's logs.
    scope
        The window; its end is the time as of which the training table is looked at.
    extent
        What the request log holds.
    settings
        What counts as standing out.
    seed
        Of models and bootstraps.
    """

    Settings: ClassVar[type[PoisoningSettings]] = PoisoningSettings

    def __init__(self, data: ModelData, scope: Scope, extent: Extent, settings: PoisoningSettings, seed: int) -> None:
        self.data = data
        self.scope = scope
        self.extent = extent
        self.settings = settings
        self.seed = seed

    @cached_property
    def table(self) -> Training | None:
        """The training table, or None if none is mapped or it has no labels."""
        frame = self.data.table("training")
        if frame is None or "label" not in frame:
            return None
        return prepare(frame, self.data.features, self.scope.end, int(self.settings.rows_most))

    @cached_property
    def lineage(self) -> list[tuple[str, str, float]] | None:
        """Version, batch and time, one entry a batch that a version was trained on; None if it is not mapped."""
        frame = self.data.table("lineage")
        if frame is None:
            return None
        rows = zip(as_texts(frame, "version"), as_texts(frame, "batch"), as_numbers(frame, "epoch"), strict=True)
        return [(v, b, float(t)) for v, b, t in rows if not t > self.scope.end]

    @property
    def usable(self) -> bool:
        """Whether there is enough of a table to ask anything of it."""
        table = self.table
        return table is not None and len(table.labels) >= 50 and len(table.classes) > 1 and bool(table.encoding.names)

    @cached_property
    def not_measured(self) -> list[NotMeasured]:
        """What the model file does not map, and what that would have shown."""
        logs, table = self.data.model.logs, self.table
        if table is None:
            why = "no table mapped (logs.training)" if logs.training is None else "it has no label (columns.label)"
            return [NotMeasured("the training table", why)]
        absent = [
            ("source" not in table.has, "sources", "no source mapped (logs.training.columns.source)"),
            ("batch" not in table.has, "batches", "no batch mapped (columns.batch); days stand in for them"),
            ("epoch" not in table.has, "course over time", "no time mapped (logs.training.columns.time)"),
            ("id" not in table.has, "repeated ids", "no id mapped (logs.training.columns.id)"),
            (logs.lineage is None, "blast radius, unlisted batches", "no table mapped (logs.lineage)"),
            (
                logs.trusted is None,
                "effect on checked labels",
                "no table mapped (logs.trusted); other sources stand in",
            ),
            (table.cut is not None, "label by label", f"the label is a quantity; it was cut in two at {table.cut}"),
            (
                len(table.labels) + table.future + table.unlabelled < table.rows,
                "every row",
                f"{len(table.labels):,} of {table.rows:,} rows were used, chosen by their content",
            ),
        ]
        found = [NotMeasured(what, why) for missing, what, why in absent if missing]
        broken = {**self.data.broken_features, **table.encoding.broken}
        return found + [NotMeasured(f"feature {name}", why) for name, why in broken.items()]

    @cached_property
    def integrity(self) -> list[Signal]:
        """Can the table be judged: enough labelled rows of more than one class, with features and groups."""
        table = self.table
        if table is None:
            reason = self.not_measured[0].why
            return [Signal("training_rows", None, "count", 0, "labelled rows of the table", reason=reason)]
        n, asked = len(table.labels), len(table.encoding.names)
        least = int(np.bincount(table.labels).min()) if n and len(table.classes) > 1 else 0
        broken = sum(1 for name in table.encoding.broken if name in self.data.features)
        known = table.epoch[np.isfinite(table.epoch)]
        age = (self.scope.end - float(known.max())) / 60 if len(known) else None
        reason = "" if age is not None else "no row says when it was ingested"
        return [
            Signal("training_rows", float(n), "count", n, "labelled rows ingested before the end of the window"),
            Signal("rarest_label", float(least), "count", n, "rows with the rarest label"),
            Signal("groups_asked", float(len(table.groups)), "count", n, "sources, batches and stretches compared"),
            Signal("usable_features", float(asked), "count", n, "features that vary and can be read"),
            share("broken_feature_share", broken, broken + asked, method="mapped features that cannot be used"),
            share("unlabelled_share", table.unlabelled, table.rows - table.future, method="rows without a label"),
            share("late_share", table.future, table.rows, method="rows ingested after the end of the window"),
            share(
                "value_gap_share", self._gaps, n * max(asked, 1), method="values that are null, infinite or unreadable"
            ),
            Signal("training_age", age, "minutes", n, "end of the window minus newest row", reason=reason),
        ]

    @property
    def _gaps(self) -> int:
        table = self.table
        assert table is not None  # noqa: S101 - asked only of a table
        numbers = len(table.encoding.numerical)
        texts = sum(as_texts(table.frame, name).count("(none)") for name in table.encoding.categories)
        return int(np.isnan(table.matrix[:, :numbers]).sum()) + texts

    @cached_property
    def vouching(self) -> list[Vouched]:
        """Each question of provenance: which rows fail it, the signal, and what is held against them."""
        return [] if self.table is None else vouching(self.table, self.lineage)

    @cached_property
    def unvouched(self) -> Mask:
        """Which rows nobody vouches for: no source, no batch, or of a batch that no version lists."""
        n = 0 if self.table is None else len(self.table.labels)
        rows = np.zeros(n, dtype=bool)
        for one in self.vouching:
            if one.gap:
                rows |= one.rows
        return rows

    @cached_property
    def provenance(self) -> list[Signal]:
        """Who vouches for the rows: source, batch, lineage, ids, order."""
        if self.table is None:
            return []
        return [*(one.signal for one in self.vouching), gap_share(self.table, self.unvouched)]

    @cached_property
    def course(self) -> list[Signal]:
        """Volume and label rate of each source since the window began, against its own past."""
        table = self.table
        if table is None or "epoch" not in table.has or not self.usable:
            return []
        start = float(self.scope.start)
        moved = volumes(table.cells, table.epoch, start)
        rates = label_rates(table.labels, table.classes, table.cells, table.epoch, start, self.taught.probabilities)
        return [*moved, *rates, *moved_labels(rates)]

    @cached_property
    def shaped(self) -> Structure:
        """Copies, contradictions, clusters."""
        assert self.table is not None  # noqa: S101 - asked only of a usable table
        return structure(self.table, self.settings, self.seed)

    @cached_property
    def taught(self) -> Teaching:
        """Triggers and changed labels."""
        assert self.table is not None  # noqa: S101 - asked only of a usable table
        return teaching(self.table, self.shaped, self.settings, self.seed)

    @cached_property
    def poison(self) -> list[Signal]:
        """What stands out in one place: copies, contradictions, clusters, triggers, changed labels."""
        if not self.usable or self.table is None:
            return []
        table, n = self.table, len(self.table.labels)
        found = list(self.shaped.signals)
        for name, kinds in (
            ("flood_share", ("copies", "near copies")),
            ("contradiction_share", ("contradictions",)),
            ("cluster_share", ("cluster",)),
            ("strange_share", ("outliers",)),
        ):
            found += self._gathered(name, kinds, n)
        found += trigger_signals(self.taught.triggers, table.classes, n, self.taught.combinations)
        found += flip_signals(
            self.taught.flipped,
            self.taught.posterior,
            table.classes,
            len(table.groups) if n >= self.settings.flips_rows else 0,
        )
        found.append(label_issues(table.labels, self.taught.probabilities)[2])
        return [*found, noise_share(self), self._suspect_share]

    def _gathered(self, name: str, kinds: tuple[str, ...], n: int) -> list[Signal]:
        """Return the share of the table that gathers, with the interval of its excess, and by place."""
        held = self.shaped.of(*kinds)
        method = (
            f"{' and '.join(kinds)} beyond what other groups have, {len(self.table.groups if self.table else [])} asked"
        )
        rows = int(self.shaped.rows(*kinds).sum())
        if not self.table or not self.table.groups:
            return [Signal(name, None, "share", n, method, reason="no two groups of rows to compare")]
        low, high = (sum(one.gathering.interval[end] * one.gathering.n for one in held) / n for end in (0, 1))
        value = rows / n
        interval = (min(max(low, 0.0), value), min(max(high, value), 1.0)) if held else None
        found = [Signal(name, value, "share", n, method, interval)]
        for one in held:
            g = one.gathering
            told = f"{one.kind}: {g.held} of {g.n} rows, elsewhere {g.usual:.1%}"
            found.append(Signal(name, g.share, "share", g.n, told, None, g.group.where, g.usual))
            found += [signal for signal in one.shape if signal.value is not None]
        return found

    @cached_property
    def trusted(self) -> tuple[Floats, Ints] | None:
        """Checked rows as the training rows are encoded, and their labels; None if not mapped."""
        frame, table = self.data.table("trusted"), self.table
        if frame is None or table is None or "label" not in frame:
            return None
        codes, known = table.codes(frame)
        return table.encoding.matrix(frame)[known], codes[known]

    @cached_property
    def evidence(self) -> Evidence:
        """The score and the reasons of each row."""
        table = self.table
        if table is None or not self.usable:
            return Evidence(np.zeros(0 if table is None else len(table.labels)))
        found = held_against(table, self.shaped, self.taught)
        if self.unvouched.mean() >= self.settings.gap_least:
            for one in self.vouching:
                if one.gap:
                    found.add(one.rows, np.full(len(one.rows), 0.5), one.told)
        return found

    @cached_property
    def suspects_mask(self) -> Mask:
        """Which rows are suspect for what they hold: all but those that only lack a name."""
        table = self.table
        if table is None or not self.usable:
            return np.zeros(0 if table is None else len(table.labels), dtype=bool)
        return held_against(table, self.shaped, self.taught).score >= 0.5

    @property
    def _suspect_share(self) -> Signal:
        rows = self.evidence.score >= 0.5
        return share("suspect_share", int(rows.sum()), len(rows), method="rows with anything held against them")

    @cached_property
    def suspect_rows(self) -> pd.DataFrame:
        """The suspect rows with score and reasons, worst first: evidence, to be quarantined and never deleted."""
        import pandas as pd

        table, evidence = self.table, self.evidence
        picked = np.flatnonzero(evidence.score >= 0.5)
        order = picked[np.lexsort((picked, -evidence.score[picked]))]
        empty: list[str] = []
        return pd.DataFrame(
            {
                "id": [table.ids[i] for i in order] if table else empty,
                "score": evidence.score[order].round(4),
                "source": [table.source[i] for i in order] if table else empty,
                "batch": [table.batch[i] for i in order] if table else empty,
                "label": [table.classes[table.labels[i]] for i in order] if table else empty,
                "reasons": ["; ".join(dict.fromkeys(evidence.reasons.get(int(i), []))) for i in order],
            }
        )

    @property
    def suspect_ids(self) -> list[str]:
        """The ids of the suspect rows, worst first."""
        return [str(one) for one in self.suspect_rows["id"]]

    @cached_property
    def pairs(self) -> list[Signal]:
        """Which labels are confused now and were not before, of all sources."""
        if not self.usable or self.table is None:
            return []
        now = self.table.epoch >= self.scope.start
        return class_pairs(self.table.labels, self.taught.probabilities, self.table.classes, now)

    @cached_property
    def effect(self) -> list[Signal]:
        """What the suspect rows do to a model: fitted with them and without."""
        return effect(self)

    @cached_property
    def suspect_batches(self) -> list[str]:
        """Batches that hold suspect rows, more than a stray one, by how many."""
        table = self.table
        if table is None or not self.usable or "batch" not in table.has:
            return []
        counts: dict[str, int] = {}
        for row in np.flatnonzero(self.suspects_mask):
            counts[table.batch[row]] = counts.get(table.batch[row], 0) + 1
        least = max(3, 0.02 * sum(counts.values()))
        return sorted((b for b, n in counts.items() if n >= least), key=lambda b: (-counts[b], b))

    @cached_property
    def serving_version(self) -> str:
        """The version that answers most of the newest requests, else the model file's."""
        span = Span(max(self.scope.start, self.scope.end - 6 * 3600), self.scope.end)
        if self.data.model.logs.predictions.columns.model_version:
            rows = self.data.rows(span, limit=5_000, columns=["version"])
            if len(rows):
                return str(rows["version"].tail(500).mode().iloc[0])
        return self.data.model.version

    @cached_property
    def reach(self) -> dict[str, object]:
        """Which versions were trained on suspect batches; see `blast_radius`."""
        if self.lineage is None:
            return {"touched": {}, "clean": "", "serving_touched": None, "versions": 0}
        return blast_radius(self.lineage, self.suspect_batches, self.serving_version)

    @cached_property
    def radius(self) -> list[Signal]:
        """How many versions were trained on suspect batches, and whether the one that serves was."""
        method = "versions that the lineage says were trained on a batch with suspect rows"
        if self.lineage is None:
            reason = "no lineage is mapped (logs.lineage)"
            return [
                Signal("versions_touched", None, "count", 0, method, reason=reason),
                Signal("serving_touched", None, "flag", 0, method, reason=reason),
            ]
        touched, n = self.reach["touched"], int(str(self.reach["versions"]))
        serving = self.reach["serving_touched"]
        told = f"version {self.serving_version or 'unknown'} serves"
        reason = (
            "" if serving is not None else f"the lineage does not know version {self.serving_version or '(unknown)'}"
        )
        assert isinstance(touched, dict)  # noqa: S101 - as blast_radius says
        return [
            Signal("versions_touched", float(len(touched)), "count", n, method),
            Signal(
                "serving_touched", None if serving is None else float(bool(serving)), "flag", n, told, reason=reason
            ),
        ]

    @cached_property
    def segments(self) -> list[SegmentShare]:
        """Where the suspect rows are from: sources, batches and values they share, by lift."""
        from rbnb.diagnoses.poisoning.shared import shared_values

        return shared_values(self)

    @cached_property
    def signals(self) -> list[Signal]:
        """Everything that is judged, in the order it is shown."""
        return [
            *self.integrity,
            *self.provenance,
            *self.poison,
            *self.course,
            *self.pairs,
            *self.effect,
            *self.radius,
        ]

    @property
    def query(self) -> str:
        """How the training table is read again, in words: the whole table, as the model file maps it."""
        log = self.data.model.logs.training
        if log is None:
            return "no training table is mapped"
        time = log.columns.get("time", "time")
        return f"{log.table}: every row whose {time} is before {self.scope.window.end:%Y-%m-%d %H:%M:%S} UTC"
