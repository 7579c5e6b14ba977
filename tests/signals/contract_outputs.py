"""Conformance cases of what is measured on outputs: performance, calibration, consistency, and latency."""

import math
from functools import partial

import numpy as np
import pandas as pd
import scipy.stats as st
from contract_case import Case, N
from contract_columns import (
    BASE,
    COUNTS,
    FLAGS,
    NO_INTERVAL,
    NO_LIBRARY,
    PLACES,
    both,
    moved,
    normal,
    now,
    sides,
    then,
)
from sklearn.metrics import accuracy_score, brier_score_loss, mean_absolute_error, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from rbnb.model import Signal
from rbnb.signals.baseline import DAY, seasonal_expectation
from rbnb.signals.consistency.calibration import calibration_bias, calibration_error
from rbnb.signals.consistency.departures import Departure, departure_signal
from rbnb.signals.consistency.expected import coder_of, fit_score_model
from rbnb.signals.consistency.metamorphic import invariance_violations, monotone_violations
from rbnb.signals.consistency.outputs import decision_gap, invalid_scores, repeated_scores, score_shift
from rbnb.signals.consistency.repeats import excess_share, fingerprints, pair_repeats, repeat_signals
from rbnb.signals.consistency.skew import measure_skew
from rbnb.signals.drift.calibration import concept_shift, estimated_accuracy, estimated_auc, within_outcome_shift
from rbnb.signals.drift.performance import accuracy, auc, base_rate, brier, drop, log_loss, mean_error, rise
from rbnb.signals.intervals import quantile_levels, share
from rbnb.signals.latency.episode import detect_episode
from rbnb.signals.latency.slowness import (
    BURN_PAIRS,
    burn_rates,
    equal_load,
    equal_mix,
    quantile_ratio,
    stage_excess,
    tail_only,
)

#: Ranks, each in (0, 1), in another order than the probabilities they are held against.
RANKS = (PLACES + 0.5) / N
CHANCES = np.random.default_rng(4).uniform(0.3, 0.7, N)
LETTERS = np.where(FLAGS == 1, "yes", "no").astype(object)

ONE = {"quiet": "measures one table; `drop` and `rise` compare two of them"}
SHARE = "a constant has a share: all or none"
SCORES = "scores that are all the same are still right or wrong"


def one(**columns):
    """Return a table of one side."""
    return pd.DataFrame(columns)


def columns(*names):
    """Return a function that takes columns out of a table."""
    return lambda table: tuple(table[name].to_numpy() for name in names)


def alone(function, given, names, *, flat="", **more):
    """Return the case of a measure of one table; with `flat` a constant is fine, and that is why."""
    excuses = ONE | dict(more.pop("excuses", {})) | ({"constant": flat} if flat else {})
    if "oracle" not in more:
        excuses.setdefault("oracle", NO_LIBRARY)
    blot = more.pop("blot", names[:1])
    return Case(function, given, columns(*names), neutral=None, blot=blot, of=len, excuses=excuses, **more)


def wrong(size):
    """A share of the predictions is wrong."""
    other = np.where(LETTERS == "yes", "no", "yes")
    return one(said=np.where(size * N > PLACES, other, LETTERS).astype(object), was=LETTERS)


def ranked(size):
    """Positive rows score less and less above the others."""
    return one(score=2 * FLAGS * (1 - size) + BASE, was=FLAGS)


def sure(size):
    """Probabilities are farther and farther from what happens."""
    p = np.where(FLAGS == 1, 0.9, 0.1)
    return one(score=p + size * (1 - 2 * p), was=FLAGS)


def off(size):
    """Predicted numbers miss by more and more."""
    return one(score=BASE + 3.0 + size, was=BASE + 0.5)


def chances(size):
    """Chances nearer and nearer to a half."""
    return one(score=0.5 + (CHANCES - 0.5) * 2 * (1 - size), was=(CHANCES > 0.5).astype(float))


def promised(size):
    """Outcomes happen less often than scores say."""
    return one(score=CHANCES, was=(CHANCES - size > RANKS).astype(float))


def concept(size):
    """Outcomes happen more often at the same chance."""
    return sides(CHANCES, CHANCES, y=tuple((CHANCES + s > RANKS).astype(float) for s in (0.0, size)))


def pairs_of(table, *names):
    """Return scores and outcomes then and now."""
    return tuple(tuple(side(table, name) for name in names) for side in (then, now))


def drawn(random, shift=0.0, n=N):
    """Return chances, and outcomes that happen that much more often."""
    p = random.uniform(0.3, 0.7, n)
    return p, (random.random(n) < p + shift).astype(float)


def outcome_scores(random, shift):
    """Return scores and outcomes, the scores moved."""
    return random.normal(shift, 1, N), FLAGS


def estimated(random, *, ranking=False):
    """Return scores, what is given, and how these rows turn out."""
    p = random.uniform(0.05, 0.95, N)
    y = random.random(N) < p
    said = (p > 0.5).astype(float)
    return ((p, p), roc_auc_score(y, p)) if ranking else ((p, said), float((said == y).mean()))


def signal(value, half=0.02, name="auc"):
    """Return a number with its interval."""
    return Signal(name, value, name, 500, "m", (value - half, value + half))


def noisy(random, *values):
    """Return numbers as they are found, 0.01 off on average."""
    return tuple(signal(random.normal(value, 0.01), 0.0196) for value in values)


SIGNALS = dict.fromkeys(("order", "engines", "nulls", "all null", "constant"), "takes signals, not rows")
UNKNOWN = Signal("auc", None, "auc", 0, "m", reason="no rows")

PERFORMANCE = [
    alone(
        accuracy,
        wrong,
        ("said", "was"),
        flat=SCORES,
        loud=0.6,
        oracle=lambda t: accuracy_score(t["was"].tolist(), t["said"].tolist()),
        simulate=lambda random: (
            (np.where(random.random(N) < 0.8, "a", "b").astype(object), np.array(["a"] * N, dtype=object)),
            0.8,
        ),
    ),
    alone(
        auc,
        ranked,
        ("score", "was"),
        excuses={"constant": "equal scores rank nothing: an area of a half is the truth"},
        oracle=lambda t: roc_auc_score(t["was"], t["score"]),
        simulate=lambda random: ((random.normal(FLAGS, 1.0), FLAGS), st.norm.cdf(math.sqrt(0.5))),
    ),
    alone(
        base_rate,
        lambda size: one(was=(0.2 + size > RANKS).astype(float)),
        ("was",),
        flat=SHARE,
        loud=0.6,
        oracle=lambda t: float(t["was"].mean()),
        simulate=lambda random: (((random.random(N) < 0.2).astype(float),), 0.2),
    ),
    alone(
        brier,
        sure,
        ("score", "was"),
        flat=SCORES,
        loud=0.5,
        oracle=lambda t: brier_score_loss(t["was"], t["score"]),
        simulate=lambda random: (drawn(random), float(np.mean([p * (1 - p) for p in np.linspace(0.3, 0.7, 4001)]))),
    ),
    alone(
        log_loss,
        sure,
        ("score", "was"),
        flat=SCORES,
        loud=0.5,
        oracle=lambda t: sklearn_log_loss(t["was"], t["score"]),
        simulate=lambda random: (drawn(random), float(np.mean(st.bernoulli(np.linspace(0.3, 0.7, 4001)).entropy()))),
    ),
    alone(
        mean_error,
        off,
        ("score", "was"),
        flat=SCORES,
        oracle=lambda t: mean_absolute_error(t["was"], t["score"]),
        simulate=lambda random: ((random.normal(size=N), np.zeros(N)), math.sqrt(2 / math.pi)),
    ),
    Case(
        drop,
        lambda size: (signal(0.8), signal(0.8 - 0.2 * size)),
        options={"name": "auc_drop"},
        nothing=(UNKNOWN, signal(0.8)),
        oracle=lambda given: given[0].value - given[1].value,
        simulate=lambda random: (noisy(random, 0.8, 0.7), 0.1),
        excuses=SIGNALS,
    ),
    Case(
        rise,
        lambda size: (signal(0.1), signal(0.1 + 0.1 * size)),
        options={"name": "brier_rise"},
        nothing=(signal(0.8), UNKNOWN),
        oracle=lambda given: given[1].value / given[0].value - 1,
        simulate=lambda random: (noisy(random, 0.2, 0.3), 0.5),
        excuses=SIGNALS,
    ),
    alone(
        estimated_accuracy,
        chances,
        ("score", "was"),
        flat=SCORES,
        loud=0.8,
        oracle=lambda t: float(np.maximum(t["score"], 1 - t["score"]).mean()),
        simulate=estimated,
    ),
    alone(
        estimated_auc,
        chances,
        ("score", "score"),
        excuses={"constant": "equal scores rank nothing: an area of a half is the truth"},
        loud=0.8,
        # every row once as positive with its chance, once as negative with the rest, less the pairs of it with itself
        oracle=lambda t: pairs_in_order(t["score"].to_numpy()),
        simulate=partial(estimated, ranking=True),
    ),
    Case(
        concept_shift,
        concept,
        lambda t: pairs_of(t, "x", "y"),
        loud=0.25,
        blot=("x",),
        simulate=lambda random: ((drawn(random), drawn(random, 0.15)), 0.15),
        excuses={"oracle": NO_LIBRARY, "constant": "one score throughout still has an outcome rate, then and now"},
    ),
    Case(
        within_outcome_shift,
        lambda size: moved(size).assign(y=np.tile(FLAGS, 2)),
        lambda t: pairs_of(t, "x", "y"),
        blot=("x",),
        # each outcome has its own distance; the one that is surer is told
        oracle=lambda t: max(
            (
                (ks, ks - 1.3581 * math.sqrt(2 / (then(t, "y") == y).sum()))
                for y in (0, 1)
                for ks in [st.ks_2samp(then(t)[then(t, "y") == y], now(t)[now(t, "y") == y]).statistic]
            ),
            key=lambda found: found[1],
        )[0],
        simulate=lambda random: (
            (outcome_scores(random, 0.0), outcome_scores(random, 0.5)),
            2 * st.norm.cdf(0.25) - 1,
        ),
        excuses={"constant": "two constants that are equal have not moved: 0 is the truth"},
    ),
    Case(
        calibration_bias,
        promised,
        columns("score", "was"),
        loud=0.25,
        blot=("score",),
        of=len,
        oracle=lambda t: float(t["score"].mean() - t["was"].mean()),
        simulate=lambda random: (drawn(random, -0.1), 0.1),
        excuses={"constant": "one score throughout is still too high or too low"},
    ),
    Case(
        calibration_error,
        promised,
        columns("score", "was"),
        loud=0.25,
        blot=("score",),
        of=len,
        simulate=lambda random: (drawn(random, -0.15), 0.15),
        times=40,
        excuses={
            "constant": "one score throughout is still too high or too low",
            "oracle": "what chance adds is taken off, which no library does; its bins are held to scikit-learn's "
            "calibration_curve in the tests of consistency",
        },
    ),
]


def pairs_in_order(p):
    """Count all pairs of different rows, each weighted with the chance that one is positive and the other not."""
    weight = np.outer(p, 1 - p)
    np.fill_diagonal(weight, 0.0)
    order = (p[:, None] > p[None, :]) + 0.5 * (p[:, None] == p[None, :])
    return float((weight * order).sum() / weight.sum())


EPOCHS = 1_700_000_000 + np.arange(2 * N) * 60


def inside(table):
    """Return which rows lie in the window."""
    return (table["side"] == "now").to_numpy()


def decided(size):
    """A share of the decisions does not follow from the score."""
    given = sides(RANKS, RANKS)
    flip = np.r_[np.zeros(N, dtype=bool), size * N > PLACES]
    return given.assign(yes=((given["x"] >= 0.5) ^ flip).astype(float))


def decisions(table):
    """Return the arguments of `decision_gap`."""
    scores = table["x"].to_numpy()
    return scores, table["yes"].to_numpy() > 0.5, np.ones(len(table), dtype=bool), inside(table), 0.5


def gone(size):
    """A share of the scores is missing."""
    return sides(RANKS, np.where(size * N > PLACES, np.nan, RANKS))


def cached(size, random=None):
    """A share of the scores is that of the request before."""
    scores = (np.random.default_rng(6).permutation(2 * N) + 0.5) / (2 * N)
    again = np.r_[np.zeros(N, dtype=bool), (PLACES if random is None else random.permutation(N)) < size * N]
    if random is not None:
        again = np.r_[random.random(N) < 0.05, random.random(N) < size]
    again[0] = False
    place = np.maximum.accumulate(np.where(again, 0, np.arange(2 * N)))
    return sides(np.arange(N) * 1.0, N + np.arange(N) * 1.0).assign(score=scores[place], epoch_=EPOCHS)


def repeats(table):
    """Return the arguments of `repeated_scores`."""
    rows = table.rename(columns={"epoch_": "epoch"}).reset_index(drop=True)
    return rows, fingerprints(rows, ["x"]), inside(table)


def twins(size, random=None, usual=0.0):
    """Pairs of requests with equal inputs; a share of the pairs has different scores."""
    half = N // 2
    ids = np.concatenate([np.repeat(np.arange(half), 2), half + np.repeat(np.arange(half), 2)]) * 1.0
    spoilt = [
        np.zeros(half, dtype=bool) if random is None else random.random(half) < usual,
        np.random.default_rng(7).permutation(half) < size * half if random is None else random.random(half) < size,
    ]
    score = np.tile([0.5, 0.5], N)
    score[1::2] += np.concatenate(spoilt) * 0.3
    return sides(ids[:N], ids[N:]).assign(score=score, epoch_=EPOCHS)


def twin_pairs(table):
    """Return the arguments of `repeat_signals`."""
    rows = table.rename(columns={"epoch_": "epoch"}).reset_index(drop=True)
    return rows, pair_repeats(rows, ["x"]), inside(table)


def neighbours(size, random=None):
    """Pairs that differ in one input; in a share of them the score falls where it must not."""
    half = N // 2
    pair = np.repeat(np.arange(half), 2)
    low = (np.random.default_rng(8).permutation(half) < size * half) if random is None else random.random(half) < size
    score = np.full(N, 0.5)
    score[1::2] -= 0.2 * low
    return one(feature_pair=pair * 1.0, feature_a=np.tile([0.0, 1.0], half), score=score)


def declared(*direction):
    """Return a function that returns the arguments of a metamorphic check."""
    return lambda table: (table, "feature_a", *direction, ["feature_a", "feature_pair"])


def served(size, random=None):
    """A share of the inputs was served otherwise than it is computed again."""
    apart = size * N > PLACES if random is None else random.random(N) < size
    before = np.zeros(N, dtype=bool) if random is None else random.random(N) < 0.05
    table = sides(BASE, BASE).assign(epoch_=EPOCHS, name=[f"r{i}" for i in range(2 * N)])
    return table.assign(other=table["x"] + np.r_[before, apart] * 1.5)


def again(table):
    """Return the arguments of `measure_skew`."""
    rows = table.rename(columns={"x": "feature_x", "name": "request_id", "epoch_": "epoch"}).reset_index(drop=True)
    recomputed = rows[["request_id"]].assign(x=rows["other"])
    return rows.drop(columns="other"), recomputed, {"x": "numerical"}, inside(table)


def learned():
    """Return a model of scores."""
    rows = one(feature_x=np.tile(BASE, 2), score=np.tile(BASE, 2) + np.r_[CHANCES, RANKS] - 0.5)
    found = fit_score_model(rows, {"feature_x": "numerical"}, odds=False)
    assert found
    return found[0]


def departed(size):
    """Two departures, one of the given size."""
    coder = coder_of(pd.Series(BASE), "numerical", 8)
    each = [
        Departure(where, "feature_x", s, max(s - 0.1, 0.0), s + 0.1, 7.0 + 90 * s, 7, 300, np.zeros(9), coder)
        for where, s in (("", size), ("host=a", size / 2))
    ]
    return each, learned()


def welch(table):
    """Return the difference of means over the reference's standard deviation."""
    a, b = both(table)
    return float(abs(b.mean() - a.mean()) / a.std())


FLAGGED = "the flags and fingerprints it is given say what is missing"
PRINTED = dict.fromkeys(("nulls",), "a missing score equals no other: it stays in n as a row that repeats nothing")
INPUTS = {"constant": "no two rows differ in the input, so there is no pair"}

CONSISTENCY = [
    Case(
        decision_gap,
        decided,
        decisions,
        loud=0.4,
        blot=("x",),
        simulate=lambda random: (drawn_decisions(random), 0.15),
        oracle=lambda t: float(((now(t) >= 0.5) != (now(t, "yes") > 0.5)).mean()),
        excuses={"constant": "one score throughout still says what to decide"},
    ),
    Case(
        invalid_scores,
        gone,
        lambda t: (t["x"].to_numpy(), inside(t)),
        options={"probability": True},
        loud=0.4,
        main="score_missing",
        blot=("x",),
        simulate=lambda random: (
            (np.where(random.random(2 * N) < np.repeat([0.05, 0.2], N), np.nan, 0.5), np.repeat([False, True], N)),
            0.15,
        ),
        oracle=lambda t: float(np.isnan(now(t)).mean()),
        excuses={
            "all null": "missing scores are what it counts: all of them are",
            "constant": "one score throughout is not missing",
        },
    ),
    Case(
        repeated_scores,
        cached,
        repeats,
        loud=0.4,
        blot=("score",),
        simulate=lambda random: (repeats(cached(0.2, random)), 0.15),
        oracle=lambda t: float((np.diff(now(t, "score"), prepend=-1) == 0).mean()),
        excuses={
            "all null": "missing scores repeat nothing; `invalid_scores` tells that they are missing",
            "constant": "one score throughout is what a stuck cache gives; the reference says how usual",
        },
    ),
    Case(
        score_shift,
        moved,
        lambda t: (t["x"].to_numpy(), inside(t)),
        blot=("x",),
        flat=("x",),
        simulate=lambda random: ((np.concatenate(normal(random)), np.repeat([False, True], N)), 0.5),
        oracle=welch,
    ),
    Case(
        excess_share,
        lambda size: ("s", int(30 + 200 * size), 300, (50, 500)),
        nothing=("s", 0, 0, (50, 500)),
        simulate=lambda random: (
            ("s", int(random.binomial(300, 0.2)), 300, (int(random.binomial(500, 0.1)), 500)),
            0.1,
        ),
        oracle=lambda given: given[1] / given[2] - given[3][0] / given[3][1],
        excuses=COUNTS,
    ),
    Case(
        repeat_signals,
        twins,
        twin_pairs,
        loud=0.5,
        main="repeat_mismatch",
        blot=("score",),
        of=lambda table: int((table["side"] == "now").sum()) // 2,
        simulate=lambda random: (twin_pairs(twins(0.25, random, 0.05)), 0.2),
        oracle=lambda t: float(np.abs(t.groupby("x")["score"].diff()).dropna().gt(0).to_numpy()[N // 2 :].mean()),
        excuses={
            "all null": "two missing scores are the same answer; `invalid_scores` tells that they are missing",
            "constant": "the same answer to the same question is what is hoped for",
        },
    ),
    *(
        Case(
            function,
            neighbours,
            declared(*direction),
            loud=0.5,
            blot=("score",),
            flat=("feature_a",),
            of=lambda table: len(table) // 2,
            simulate=lambda random, direction=direction: (declared(*direction)(neighbours(0.2, random)), 0.2),
            oracle=lambda t: float((t["score"].to_numpy()[1::2] < t["score"].to_numpy()[::2]).mean()),
            excuses={"all null": "missing scores break no rule; `invalid_scores` tells that they are missing"},
        )
        for function, direction in ((monotone_violations, ("increasing",)), (invariance_violations, ()))
    ),
    Case(
        measure_skew,
        served,
        again,
        loud=0.4,
        main="skew_share",
        blot=("x",),
        simulate=lambda random: (again(served(0.2, random)), 0.15),
        oracle=lambda t: float((now(t) != now(t, "other")).mean()),
        excuses={
            "empty": "without joined rows it names no feature: `skew_joined` is 0 and `skew_unmatched` undefined, as "
            "the tests of skew hold",
            "all null": "nulls served where values are recomputed are a difference, and counted as one",
            "constant": "a constant served where values vary is a difference, and counted as one",
        },
    ),
    Case(
        departure_signal,
        departed,
        nothing=([], None),
        excuses=dict.fromkeys(("engines", "nulls", "all null", "constant"), "takes departures, not rows")
        | {
            "oracle": "repeats the largest of what `departures` found",
            "coverage": "repeats the interval of what `departures` found; that is simulated in the tests of outputs",
        },
        reorder=lambda given: (given[0][::-1], given[1]),
    ),
]


def drawn_decisions(random):
    """Return scores, and decisions that do not follow from them in one of five, one of twenty before."""
    scores = random.random(2 * N)
    wrong_ones = random.random(2 * N) < np.repeat([0.05, 0.2], N)
    return scores, (scores >= 0.5) ^ wrong_ones, np.ones(2 * N, dtype=bool), np.repeat([False, True], N), 0.5


TIMES = np.arange(0, 2 * DAY, 300)
TARGETS = 2 * DAY + np.arange(24) * 300
NOISE = np.random.default_rng(1)
USUAL = seasonal_expectation(TIMES, 50 * np.exp(NOISE.normal(0, 0.1, len(TIMES))), TARGETS)
LOAD = NOISE.integers(10, 90, 500)
BUCKETS = 50 * np.exp(NOISE.normal(0, 0.1, 24))


def slow(size):
    """The second half of two hours takes longer."""
    return TARGETS, {"p50": (BUCKETS * np.where(np.arange(24) > 10, 1 + size, 1), USUAL)}


def spans(size, n=500):
    """More and more requests are bad."""
    names = [f"{name}.{which}" for name, *_ in BURN_PAIRS for which in ("long", "short")]
    return pd.DataFrame({"span": names, "bad": [int(n * (0.01 + 0.2 * size))] * len(names), "of": [n] * len(names)})


def burnt(random):
    """Return counts of bad requests, one in twenty."""
    table = spans(0.0)
    return "latency", table.assign(bad=random.binomial(500, 0.05, len(table))), "bad", "of", 0.01


def buckets(size):
    """Buckets take longer at their load by a part of what they take longer in all."""
    table = one(load=LOAD[:24].astype(float))
    return table.assign(slow=LOAD[:24] * (1.0 + size), usual=LOAD[:24] * 0.5)


def loaded(table):
    """Return the arguments of `equal_load`."""
    return (*columns("load", "slow", "usual")(table), LOAD, LOAD * 1.0)


def drawn_load(random):
    """Return buckets in which all of an excess remains at equal load."""
    load = random.integers(10, 90, 60)
    noise = np.exp(random.normal(0, 0.1, 60))
    before = random.integers(10, 90, 600)
    return load, load * 2.0 * noise, load * 1.0, before, before * np.exp(random.normal(0, 0.05, 600))


def bins(size):
    """Each of two payload sizes takes longer, and more are large."""
    rows = [("then", 0, 100, 1000.0), ("then", 1, 100, 2000.0)]
    rows += [("now", 0, 50, 500.0 * (1 + size)), ("now", 1, 150, 3000.0 * (1 + size))]
    return pd.DataFrame(rows, columns=["side", "bin", "n", "total"])


def mix(table):
    """Return the arguments of `equal_mix`."""
    period = np.where(table["side"] == "now", "current", "reference")
    return (table.drop(columns="side").assign(period=period),)


def stages(size):
    """One of two stages takes longer."""
    rows = [("then", z, 200, 2000.0, 24000.0, 2000.0, 24000.0) for z in ("a", "b")]
    rows += [("now", z, 200, 2000.0 * k, 24000.0 * k * k, 3000.0, 54000.0) for z in ("a", "b") for k in [1 + size]]
    names = ["side", "zone", "n", "queue|total", "queue|squares", "model|total", "model|squares"]
    return pd.DataFrame(rows, columns=names)


def staged(table):
    """Return the arguments of `stage_excess`."""
    return mix(table)[0], ["queue", "model"]


def drawn_stages(random):
    """Return two stages, one 4 ms longer and the other 2 ms."""
    rows = []
    for period, extra in (("reference", (0.0, 0.0)), ("current", (4.0, 2.0))):
        q, m = (random.exponential(5, N) + 5 + e for e in extra)
        rows.append((period, N, q.sum(), (q**2).sum(), m.sum(), (m**2).sum()))
    names = ["period", "n", "queue|total", "queue|squares", "model|total", "model|squares"]
    return pd.DataFrame(rows, columns=names), ["queue", "model"]


def bounded(values, level=0.9):
    """Return a quantile and the two that bound it."""
    return [float(np.quantile(values, x)) for x in (level, *quantile_levels(len(values), level))]


def ratio(random):
    """Return the ninth deciles of two samples, one half as large again."""
    a, b = random.lognormal(0, 0.5, N), random.lognormal(math.log(1.5), 0.5, N)
    return "q", 0.9, bounded(b), bounded(a), (N, N)


def factor(value, name="latency"):
    """Return a latency ratio."""
    return Signal(name, value, "ratio", 500, "m", (value * 0.9, value * 1.1))


CELLS = dict.fromkeys(("nulls", "all null", "constant"), "takes sums by cell, which the engine computes")
NO_RATIO = Signal("latency", None, "ratio", 0, "m", reason="no requests")

LATENCY = [
    Case(
        detect_episode,
        slow,
        options={"since": int(TARGETS[0]), "z_min": 4, "ratio_min": 1.2},
        neutral=None,
        nothing=(TARGETS, {"p50": (np.full(24, math.nan), USUAL)}),
        excuses={
            "order": "a series in time, whose order is its time; the engine sorts it",
            "quiet": "without a stretch it is the largest sustained distance of ordinary noise, not 0",
            "nulls": "takes buckets of the engine; one without requests is NaN and is not counted in n: held below",
            "all null": "held as `empty`: all buckets are NaN",
            "constant": "a series that never moves is as usual, and that is worth telling",
            "engines": "takes buckets of the engine, which the tests of data hold",
            "oracle": NO_LIBRARY,
            "coverage": NO_INTERVAL,
        },
    ),
    Case(
        burn_rates,
        spans,
        lambda table: ("latency", table, "bad", "of", 0.01),
        neutral=1.0,
        nothing=("latency", spans(0.0, 0), "bad", "of", 0.01),
        oracle=lambda t: float((t["bad"] / t["of"]).min() / 0.01),
        simulate=lambda random: (burnt(random), 5.0),
        excuses=CELLS,
    ),
    Case(
        equal_load,
        buckets,
        loaded,
        options={"seed": 3},
        neutral=None,
        blot=("slow",),
        of=len,
        simulate=lambda random: (drawn_load(random), 1.0),
        excuses={
            "quiet": "without an excess there is nothing to compare, and it is undefined",
            "all null": "held in the tests of latency",
            "constant": "equal load throughout can be compared with reference buckets of that load",
            "oracle": NO_LIBRARY,
        },
    ),
    Case(
        equal_mix,
        bins,
        mix,
        neutral=None,
        oracle=lambda t: (now(t, "total").sum() / 200 - 17.5) / (now(t, "total").sum() / 200 - 15.0),
        excuses=CELLS
        | {"quiet": "without an excess there is nothing to compare, and it is undefined", "coverage": NO_INTERVAL},
    ),
    Case(
        stage_excess,
        stages,
        staged,
        neutral=None,
        oracle=lambda t: (now(t, "queue|total").sum() / 400 - 10) / (now(t, "queue|total").sum() / 400 - 10 + 5),
        simulate=lambda random: (drawn_stages(random), 4 / 6),
        excuses=CELLS | {"quiet": "without an excess there is nothing to divide, and it is undefined"},
    ),
    Case(
        quantile_ratio,
        lambda size: ("q", 0.5, (1 + size, 0.95 * (1 + size), 1.05 * (1 + size)), (1.0, 0.9, 1.1), (500, 500)),
        neutral=1.0,
        nothing=("q", 0.5, (None, None, None), (None, None, None), (0, 0)),
        oracle=lambda given: given[2][0] / given[3][0],
        simulate=lambda random: (ratio(random), 1.5),
        excuses=dict.fromkeys(COUNTS, "takes quantiles, which the engine computes"),
    ),
    Case(
        share,
        lambda size: ("s", int(20 + 200 * size), 500),
        neutral=None,
        nothing=("s", 0, 0),
        oracle=lambda given: given[1] / given[2],
        simulate=lambda random: (("s", int(random.binomial(200, 0.1)), 200), 0.1),
        excuses=COUNTS | ONE,
    ),
    Case(
        tail_only,
        lambda size: (factor(2.0 / (1 + size)), factor(2.0)),
        nothing=(NO_RATIO, NO_RATIO),
        oracle=lambda given: 1 - math.log(given[0].value) / math.log(given[1].value),
        excuses=SIGNALS | {"coverage": NO_INTERVAL},
    ),
]

CASES = [*PERFORMANCE, *CONSISTENCY, *LATENCY]
