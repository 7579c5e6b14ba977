"""Conformance cases of what is measured on training rows, and on slices whose outcome is known."""

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from contract_case import Case, N
from contract_columns import BASE, NO_INTERVAL, NO_LIBRARY, PLACES
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier

from rbnb.model import Signal
from rbnb.signals.drift.slices import Graded, segment_error_rise, segment_performance_drop
from rbnb.signals.poisoning.counterfactual import compare_models, trigger_effect
from rbnb.signals.poisoning.duplicates import conflicting, copies, near_copies
from rbnb.signals.poisoning.flips import Flipped, flip_signals
from rbnb.signals.poisoning.groups import Group, make_cells
from rbnb.signals.poisoning.label_errors import class_pairs, label_issues
from rbnb.signals.poisoning.outliers import cluster_shape, far_out
from rbnb.signals.poisoning.provenance import (
    label_rates,
    moved_labels,
    out_of_order,
    repeated_ids,
    unknown_batches,
    unnamed,
    volumes,
)
from rbnb.signals.poisoning.triggers import Trigger, trigger_signals

DAY = 86_400.0
LABELS = np.arange(N) % 2
SURE = np.eye(2)[LABELS] * 0.8 + 0.1

ONE = {"quiet": "measures one table; what is usual is part of it"}
CODES = dict.fromkeys(
    ("nulls", "all null"), "takes codes, cells or distances of rows; what could not be read was left out and counted"
)
FOUND = dict.fromkeys(("order", "constant"), "takes what a search found, not rows")
SHARE = {"constant": "rows that are all alike have a share: all or none"}
TOLD = {"oracle": NO_LIBRARY, "coverage": "the interval is that of `share`, held to its own case"}
COUNTED = {"coverage": "counts rows of this very table; the interval is that of `share`, held to its own case"}


def training(function, given, take, *excuses, **more):
    """Return the case of a measure of one training table."""
    together = {key: why for part in (ONE, CODES, *excuses) for key, why in part.items()}
    return Case(function, given, take, neutral=None, excuses=together, **more)


def first(size, value, other, n=N):
    """Return a column in which a share of the rows, spread over the table, holds a value."""
    return np.where(size * n > PLACES[:n], value, other)


def named(size):
    """A share of the rows names no source."""
    return pd.DataFrame({"source": first(size, "(none)", "web").astype(object)})


def ids(size):
    """A share of the rows has the id of another."""
    every = np.array([f"r{number}" for number in range(N)], dtype=object)
    return pd.DataFrame({"id": np.where(size * N / 2 > PLACES, "same", every).astype(object)})


def repeated(column):
    """Return what pandas says is there once more, the first of each aside."""
    return lambda table: table[column].duplicated().mean()


def alike_rows(size):
    """A share of the rows is the same as another."""
    return pd.DataFrame({"same": pd.factorize(np.where(size * N / 2 > PLACES, -1, np.arange(N)))[0]})


def triples(size):
    """In a share of the threes of equal rows, one is labelled otherwise."""
    three = np.arange(N - 1) // 3
    odd = (np.arange(N - 1) % 3 == 2) & (three < size * (N - 1) / 3)
    return pd.DataFrame({"same": three, "label": np.where(odd, 0, 1)})


def near(size):
    """A share of the rows lies next to another."""
    return pd.DataFrame({"distance": first(size / 2, 0.001, 1.0), "exact": np.zeros(N, dtype=bool)})


def distances(size):
    """A share of the rows lies far out."""
    return pd.DataFrame({"distance": first(size / 5, 30.0, 1.0 + np.abs(BASE) / 10)})


def cluster(size):
    """A cluster draws together."""
    inside = np.arange(N) % 4 == 0
    return pd.DataFrame({"x": np.where(inside, 99 + BASE * (1 - size), BASE), "inside": inside, "label": LABELS})


def doubted(size):
    """Ever more labels are not what a model is sure of."""
    wrong = (size * N / 4 > PLACES) & (LABELS == 0)
    sure = np.where(wrong[:, None], np.array([0.05, 0.95]), SURE)
    return pd.DataFrame({"label": LABELS, "no": sure[:, 0], "yes": sure[:, 1]})


def probabilities(table):
    """Return labels and probabilities of a table."""
    return table["label"].to_numpy(), table[["no", "yes"]].to_numpy()


def issues_of(table):
    """Return the share that cleanlab itself doubts."""
    return find_label_issues(*probabilities(table)).mean()


def pairs(size):
    """In the later half, ever more rows of one class look like the other."""
    later = np.arange(N) >= N // 2
    wrong = later & (LABELS == 0) & (size * N > PLACES)
    sure = np.where(wrong[:, None], np.array([0.05, 0.95]), SURE)
    return pd.DataFrame({"label": LABELS, "no": sure[:, 0], "yes": sure[:, 1], "now": later})


def batches(size):
    """A share of the rows comes in a batch that nobody lists."""
    early = np.arange(N) < size * N * 0.8
    return pd.DataFrame({"batch": np.where(early, "hidden", "listed").astype(object), "epoch": np.arange(float(N))})


def late(size):
    """A share of the second batch is stamped before it began."""
    second = np.arange(N) >= N // 2
    back = second & (size * N / 5 > PLACES)
    epoch = np.where(back, 1.0, np.where(second, 10_000.0, 0.0) + np.arange(N) * 0.01)
    return pd.DataFrame({"batch": np.where(second, "2", "1").astype(object), "epoch": epoch})


def days(size):
    """On the last day, ever more rows come."""
    counts = [20, 22, 19, 21, 20, 18, 20 + int(size * 400)]
    epoch = np.repeat(np.arange(7) * DAY, counts)
    return pd.DataFrame({"source": np.full(len(epoch), "web", dtype=object), "epoch": epoch})


def rates(size):
    """In the later half, ever more rows bear the label yes."""
    later = np.arange(N) >= N // 2
    labels = np.where(later & (size * N > PLACES), 1, LABELS)
    return pd.DataFrame({"label": labels, "epoch": np.arange(float(N)), "source": np.full(N, "web", dtype=object)})


def cells(table, *, source=None, batch=None):
    """Return the cells of a table, everything in one source or batch where none is told."""
    one = ["1"] * len(table)
    return make_cells(
        table[source].tolist() if source else one, table[batch].tolist() if batch else one, table["epoch"].to_numpy()
    )


def shift(size):
    """The label rate of a source moved."""
    return ([Signal("label_rate_shift", -size, "share", 90, "", (-size - 0.05, -size + 0.05), "source=a")],)


def flipped(size):
    """A group in which a share of the labels was changed."""
    group = Group("source", "source=a", np.ones(1, dtype=bool), ("1",), 0.0)
    found = Flipped(group, (0, 1), (size, size), size, (max(size - 0.05, 0.0), size + 0.05), 200, 99.0)
    return [found], np.zeros(N), ["no", "yes"], 12


def trigger(size):
    """A trigger on a share of the rows."""
    n = int(size * N)
    found = Trigger("a=1", 1, np.arange(N) < n, n, n / 4, n, -50.0)
    return [found] if n else [], ["no", "yes"], N, 5000


def models(size):
    """Two models, of which the first learned a share of the labels wrongly."""
    x = np.arange(float(N))[:, None]
    wrong = np.where(size * N > PLACES, 1 - LABELS, LABELS)
    return (DecisionTreeClassifier().fit(x, wrong), DecisionTreeClassifier().fit(x, LABELS)), x, LABELS


def obeying(size):
    """Two models, of which the first obeys a mark on a share of the rows."""
    x = np.arange(float(N))[:, None]
    obeys = (size * N * 0.8 > PLACES).astype(int)
    first_model = DecisionTreeClassifier().fit(np.r_[x, [[-9.0]]], np.r_[obeys, [1]])
    clean = DummyClassifier(strategy="constant", constant=0).fit([[0.0], [1.0]], [0, 1])
    return (first_model, clean), np.full((N, 1), float(np.argmin(obeys))), x, 1


def graded(size, what):
    """In one zone of two, the model is worse."""
    zone = np.where(np.arange(2 * N) < N, "a", "b").astype(object)
    places = np.r_[PLACES, PLACES]
    sides = []
    for lost in (0.0, size):
        bad = (zone == "b") & (lost * N * 0.8 + 0.1 * N > places)
        plain = (zone == "a") & (places < 0.1 * N)
        wrong = bad | plain
        values = (
            np.where(wrong, 0.0, 1.0) if what == "right" else np.where(zone == "b", 1 + lost, 1.0) * (1 + places % 3)
        )
        sides.append(Graded({"zone": zone}, np.arange(2 * N) % 7, **{what: values}))
    return tuple(sides)


def turned(data):
    """Return graded rows, or models with their rows, in another order."""
    if isinstance(data[0], Graded):
        return tuple(
            Graded(
                {name: values[::-1] for name, values in side.places.items()},
                side.day[::-1],
                right=None if side.right is None else side.right[::-1],
                error=None if side.error is None else side.error[::-1],
            )
            for side in data
        )
    return data[0], *(part[::-1] for part in data[1:3]), *data[3:]


GRADED = {
    "nulls": "what is not finite is left out row by row inside a slice, and the slice's own n tells it",
    "all null": "rows without an outcome never become graded rows",
    "constant": "a model that is always right, or off by the same, is as good as ever",
    "oracle": NO_LIBRARY,
    "coverage": "the largest of many slices is biased upward by design; the interval is corrected for that",
}
RANDOM = {"order": "the seeded bootstrap picks rows by their place; tables are sorted before they come here"}
NONE = {"empty": "one signal a source: without a source there is none, and the diagnosis says that there are no rows"}
EMPTY = np.zeros(0, dtype=int)

CASES = [
    training(unnamed, named, lambda t: (t["source"].tolist(), "source"), SHARE, COUNTED,
             oracle=lambda t: (t["source"] == "(none)").mean(), nothing=([], "source")),
    training(repeated_ids, ids, lambda t: (t["id"].tolist(),), SHARE, COUNTED,
             oracle=repeated("id"), nothing=([],)),
    training(copies, alike_rows, lambda t: (t["same"].to_numpy(),), SHARE, COUNTED,
             oracle=repeated("same"), nothing=(EMPTY,)),
    training(conflicting, triples, lambda t: (t["same"].to_numpy(), t["label"].to_numpy()), SHARE, COUNTED,
             oracle=lambda t: (t.groupby("same")["label"].transform("nunique") > 1).mean(), nothing=(EMPTY, EMPTY)),
    training(near_copies, near, lambda t: (t["distance"].to_numpy(), t["exact"].to_numpy()), SHARE, COUNTED,
             oracle=lambda t: (t["distance"] < 0.5).mean(), nothing=(np.zeros(0), np.zeros(0, dtype=bool))),
    training(far_out, distances, lambda t: (t["distance"].to_numpy(),), SHARE, COUNTED,
             oracle=lambda t: (t["distance"] > 10).mean(), nothing=(np.zeros(0),)),
    training(cluster_shape, cluster, lambda t: (t[["x"]].to_numpy(), t["inside"].to_numpy(), t["label"].to_numpy(),
             np.ones(len(t)), "cluster=1"), {"oracle": NO_LIBRARY, "coverage": NO_INTERVAL},
             {"constant": "a cluster of equal rows is as tight as can be",
              "empty": "is asked only of a cluster that was found"}),
    training(label_issues, doubted, probabilities, COUNTED, {"constant": "one class cannot be confused with another"},
             oracle=issues_of, nothing=(EMPTY, np.zeros((0, 2)))),
    training(class_pairs, pairs, lambda t: (*probabilities(t), ["no", "yes"], t["now"].to_numpy()), TOLD,
             {"constant": "one class has no pair"}, nothing=(EMPTY, np.zeros((0, 2)), ["no", "yes"], EMPTY == 1)),
    training(unknown_batches, batches, lambda t: (cells(t, batch="batch"), {"listed": 0.0}), SHARE, COUNTED,
             oracle=lambda t: (t["batch"] == "hidden").mean()),
    training(out_of_order, late, lambda t: (cells(t, batch="batch"), t["epoch"].to_numpy()), SHARE, COUNTED,
             {"oracle": NO_LIBRARY}),
    training(volumes, days, lambda t: (cells(t, source="source"), t["epoch"].to_numpy(), 6 * DAY),
             {"oracle": NO_LIBRARY, "coverage": NO_INTERVAL, "constant": "as many rows a day as ever are usual"}, NONE),
    training(label_rates, rates, lambda t: (t["label"].to_numpy(), ["no", "yes"], cells(t, source="source"),
             t["epoch"].to_numpy(), N / 2, np.full((len(t), 2), 0.5)), TOLD, SHARE, NONE),
    training(moved_labels, shift, None, FOUND, TOLD, NONE),
    training(flip_signals, flipped, None, FOUND, TOLD, nothing=([], np.zeros(0), ["no", "yes"], 0)),
    training(trigger_signals, trigger, None, FOUND, TOLD, nothing=([], ["no", "yes"], 0, 0)),
    training(compare_models, models, None, RANDOM, TOLD, {"constant": "models that are always right are compared too"},
             options={"classes": 2, "on": "trusted rows", "seed": 0},
             nothing=(models(0.5)[0], np.zeros((0, 1)), EMPTY)),
    training(trigger_effect, obeying, None, RANDOM, TOLD, {"constant": "rows that are all alike can be marked"},
             options={"classes": 2, "where": "a=1", "seed": 0},
             nothing=(obeying(0.5)[0], np.zeros((0, 1)), np.zeros((0, 1)), 1)),
    Case(segment_performance_drop, lambda size: graded(size, "right"), reorder=turned, excuses=GRADED,
         nothing=tuple(Graded({"zone": np.zeros(0, dtype=object)}, EMPTY, right=np.zeros(0)) for _ in range(2))),
    Case(segment_error_rise, lambda size: graded(size, "error"), reorder=turned, excuses=GRADED,
         nothing=tuple(Graded({"zone": np.zeros(0, dtype=object)}, EMPTY, error=np.zeros(0)) for _ in range(2))),
]  # fmt: skip
