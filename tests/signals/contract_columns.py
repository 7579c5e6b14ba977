"""Conformance cases of what is measured on columns of a log: drift, effects, gates, quality, and joint changes."""

import math
from functools import partial

import numpy as np
import pandas as pd
import scipy.stats as st
from contract_case import Case, N
from scipy.spatial.distance import jensenshannon
from sklearn.decomposition import PCA

from rbnb.signals.drift.distances import (
    category_fold,
    jensen_shannon,
    kolmogorov_smirnov,
    location_shift,
    scale_fold,
    shape_distance,
    stability_index,
    wasserstein,
)
from rbnb.signals.drift.effects import mean_shift, share_shift
from rbnb.signals.drift.gate import missing_rise, renamed_share, repeated_rise, unit_share
from rbnb.signals.drift.multivariate import correlation_change, reconstruction_shift
from rbnb.signals.drift.surrogate import feature_effect, feature_reach
from rbnb.signals.quality.shares import distance, share_excess, shifted_decisions

BASE = np.random.default_rng(1).normal(size=N)
OTHER = np.random.default_rng(2).normal(size=N)
FLAGS = (np.arange(N) % 5 < 2).astype(float)
PLACES = np.random.default_rng(3).permutation(N)

EQUAL = "two constants are compared as any two columns are; that they are equal is the truth, not a lack of data"
PARTS = "takes a feature's parts of the score, which the surrogate computes: they are never missing"
NO_LIBRARY = "no library computes it"
NO_INTERVAL = "has no interval, as its docstring says"
COUNTS = dict.fromkeys(("order", "engines", "nulls", "all null", "constant"), "takes counts, not rows")


def sides(then, now, **more):
    """Return a table of two sides in the column x, and more columns given as pairs."""
    table = {"side": np.repeat(np.array(["then", "now"], dtype=object), [len(then), len(now)])}
    both = {"x": (then, now), **more}
    return pd.DataFrame(table | {name: np.concatenate([np.asarray(a), np.asarray(b)]) for name, (a, b) in both.items()})


def then(table, column="x"):
    """Return a column of the reference."""
    return table.loc[table["side"] == "then", column].to_numpy()


def now(table, column="x"):
    """Return a column of the window."""
    return table.loc[table["side"] == "now", column].to_numpy()


def both(table, column="x"):
    """Return a column of reference and window."""
    return then(table, column), now(table, column)


def moved(size):
    """Every value is larger by a size."""
    return sides(BASE, BASE + size)


def wider(size):
    """Values lie farther from the middle by a factor."""
    return sides(BASE, BASE * (1 + size))


def bent(size):
    """The middle and the quarters stay, the tails grow."""
    return sides(BASE, np.sign(BASE) * np.abs(BASE) ** (1 + size))


def part(size):
    """Return which rows a share of all is."""
    return size * N > PLACES


def more_yes(size):
    """A share of the rows that were no is yes."""
    return sides(FLAGS, np.where(part(size) & (FLAGS == 0), 1.0, FLAGS))


def fewer_a(size):
    """A share of one of two categories became the other."""
    names = np.array(["a", "b"], dtype=object)[np.arange(N) % 2]
    return sides(names, np.where((np.arange(N) % 2 == 0) & part(size), "b", names).astype(object))


def renamed(size):
    """So many of ten categories are written in capitals."""
    index = np.arange(N) % 10
    names = np.array(list("abcdefghij"), dtype=object)
    new = np.array([c.upper() if i < round(size * 10) else c for i, c in enumerate("abcdefghij")], dtype=object)
    return sides(names[index], new[index])


def instead(value, size):
    """A share of the values is replaced."""
    return sides(BASE, np.where(part(size), value(BASE), BASE))


def joint(size):
    """Two columns that go together do so less."""
    slope = 0.9 * (1 - size)
    held, found = (s * BASE + math.sqrt(1 - s * s) * OTHER for s in (0.9, slope))
    return sides(BASE, BASE, b=(held, found))


def two(function, given, *, flat_is_fine=False, **more):
    """Return the case of a function of one column, then and now."""
    excuses = dict(more.pop("excuses", {}))
    if flat_is_fine:
        excuses["constant"] = EQUAL
    if "oracle" not in more:
        excuses.setdefault("oracle", NO_LIBRARY)
    if "simulate" not in more:
        excuses.setdefault("coverage", NO_INTERVAL)
    return Case(function, given, both, blot=("x",), flat=("x",), excuses=excuses, **more)


def normal(random, shift=0.5, scale=1.0, n=N):
    """Return two normal samples."""
    return random.normal(size=n), random.normal(shift, scale, n)


def large(function, draw, **options):
    """Return what a function says of so many rows that chance is nothing."""
    return function(*draw(np.random.default_rng(9), 60_000), **options).value


def flags(random, p, q):
    """Return two columns of yes and no."""
    return (random.random(N) < p).astype(float), (random.random(N) < q).astype(float)


def letters(random, share, n=N):
    """Return two columns of two categories: evenly, and with a share of the first."""
    return tuple(np.where(random.random(n) < p, "a", "b").astype(object) for p in (0.5, share))


def heavy(random, n):
    """Return a normal and an exponential sample."""
    return random.normal(size=n), random.exponential(size=n)


def mixed(random, value, share):
    """Return a sample, and another in which a share of the values is changed."""
    a, b = normal(random, 0.0)
    return a, np.where(random.random(N) < share, value(b), b)


def psi(table):
    """Compute the index from quantile bins with numpy, half a row in each as a prior."""
    a, b = both(table)
    edges = np.quantile(a, np.arange(1, 10) / 10, method="inverted_cdf")
    p, q = (np.histogram(x, [-np.inf, *np.nextafter(edges, np.inf), np.inf])[0] for x in (b, a))
    p, q = ((x + 0.5) / (x.sum() + 0.5 * len(x)) for x in (p, q))
    return float(st.entropy(p, q) + st.entropy(q, p))


def js(table):
    """Compute the distance over the reference's tenths with scipy."""
    a, b = both(table)
    edges = np.quantile(a, np.arange(1, 10) / 10, method="inverted_cdf")
    p, q = (np.histogram(x, [-np.inf, *np.nextafter(edges, np.inf), np.inf])[0] for x in (b, a))
    return float(jensenshannon(p, q, base=2))


def frames(table):
    """Return the columns of both sides by name."""
    return tuple({name: side(table, name) for name in ("x", "b")} for side in (then, now))


def rest(table):
    """Compute the change of the reconstruction's rest with scikit-learn."""
    a, b = (np.column_stack(list(side.values())) for side in frames(table))
    middle, spread = a.mean(axis=0), a.std(axis=0)
    a, b = (a - middle) / spread, (b - middle) / spread
    model = PCA(n_components=1).fit(a)
    left = [np.linalg.norm(x - model.inverse_transform(model.transform(x)), axis=1) for x in (a, b)]
    return float((left[1].mean() - left[0].mean()) / left[0].std())


def pair(random, slope, n=N):
    """Return two columns that go together."""
    x = random.normal(size=n)
    return {"x": x, "b": slope * x + math.sqrt(1 - slope**2) * random.normal(size=n)}


def scored(random, n=N):
    """Return a column then and now, and scores that follow it."""
    a, b = normal(random, n=n)
    return a, b, a + random.normal(size=n)


def away(random, n=N):
    """Return values now and then."""
    return normal(random)[::-1] if n == N else normal(random, n=n)[::-1]


KINDS = {"x": "numerical", "b": "numerical"}
#: With 95 % for a share from counts: (bad, n, usual bad, usual n) as a binomial draws them.
BINOMIAL = lambda random, p, q: (int(random.binomial(300, p)), 300, int(random.binomial(500, q)), 500)  # noqa: E731

CASES = [
    two(
        kolmogorov_smirnov,
        moved,
        flat_is_fine=True,
        oracle=lambda table: st.ks_2samp(*both(table)).statistic,
        simulate=lambda random: (normal(random), 2 * st.norm.cdf(0.25) - 1),
    ),
    two(jensen_shannon, moved, oracle=js),
    two(
        wasserstein,
        moved,
        oracle=lambda t: st.wasserstein_distance(*both(t)) / st.iqr(then(t)) * 2 * st.norm.ppf(0.75),
    ),
    two(
        location_shift,
        moved,
        oracle=lambda t: (np.median(now(t)) - np.median(then(t))) / st.iqr(then(t)) * 2 * st.norm.ppf(0.75),
        simulate=lambda random: (normal(random), 0.5),
    ),
    two(
        scale_fold,
        wider,
        neutral=1.0,
        simulate=lambda random: (normal(random, 0.0, 1.5), 1.5),
    ),
    two(
        shape_distance,
        bent,
        loud=2.0,
        simulate=lambda random: (heavy(random, N), SHAPE),
        oracle=lambda t: st.ks_2samp(*((x - np.median(x)) / st.iqr(x) for x in both(t))).statistic,
    ),
    two(
        stability_index,
        moved,
        oracle=psi,
        simulate=lambda random: (normal(random), INDEX),
    ),
    two(
        category_fold,
        fewer_a,
        loud=0.6,
        neutral=1.0,
        flat_is_fine=True,
        simulate=lambda random: (letters(random, 0.25), lambda s: 2.0 if s.reason.startswith("a") else 1.5),
    ),
    two(mean_shift, moved, simulate=lambda random: (normal(random), 0.5), oracle=lambda t: cohen(*both(t))),
    two(
        share_shift,
        more_yes,
        loud=0.5,
        flat_is_fine=True,
        simulate=lambda random: (flags(random, 0.3, 0.5), 0.2),
        oracle=lambda t: float(now(t).mean() - then(t).mean()),
    ),
    two(
        missing_rise,
        partial(instead, lambda x: np.nan * x),
        loud=0.4,
        flat_is_fine=True,
        simulate=lambda random: (mixed(random, lambda x: np.nan * x, 0.2), 0.2),
        excuses={
            "all null": "nothing but nulls is what it measures: all of the window and all of the reference",
        },
    ),
    two(
        renamed_share,
        renamed,
        flat_is_fine=True,
        simulate=lambda random: (
            (np.array(["a", "b"] * 200, dtype=object), np.where(random.random(N) < 0.3, "A", "b").astype(object)),
            0.3,
        ),
    ),
    two(
        repeated_rise,
        partial(instead, lambda x: 0 * x - 999),
        loud=0.4,
        flat_is_fine=True,
        simulate=lambda random: (mixed(random, lambda x: 0 * x - 999, 0.2), 0.2),
    ),
    two(
        unit_share,
        partial(instead, lambda x: 1000 * x),
        loud=0.6,
        flat_is_fine=True,
        simulate=lambda random: (mixed(random, lambda x: 1000 * x, 0.4), 0.4),
    ),
    Case(
        correlation_change,
        joint,
        frames,
        loud=0.8,
        blot=("b",),
        flat=("x", "b"),
        oracle=lambda t: abs(
            float(np.subtract(*(np.corrcoef(*(scores(t, side, c) for c in ("x", "b")))[0, 1] for side in (now, then))))
        ),
        simulate=lambda random: ((pair(random, 0.5), pair(random, 0.0)), 0.5),
    ),
    Case(
        reconstruction_shift,
        joint,
        frames,
        options={"kinds": KINDS},
        loud=0.8,
        blot=("b",),
        flat=("x", "b"),
        oracle=rest,
        simulate=lambda random: ((pair(random, 0.8), pair(random, 0.4)), REST),
    ),
    Case(
        distance,
        moved,
        lambda t: ("moved", now(t), then(t)),
        blot=("x",),
        flat=("x",),
        simulate=lambda random: (("moved", *away(random)), AWAY),
        excuses={"oracle": NO_LIBRARY, "constant": EQUAL},
    ),
    Case(
        share_excess,
        lambda size: ("s", int(30 + 200 * size), 300, 50, 500),
        nothing=("s", 0, 0, 50, 500),
        simulate=lambda random: (("s", *BINOMIAL(random, 0.2, 0.1)), 0.1),
        oracle=lambda given: given[1] / given[2] - given[3] / given[4],
        excuses=COUNTS,
    ),
    Case(
        shifted_decisions,
        lambda size: more_yes(size).assign(touched=True),
        lambda t: (now(t), now(t, "touched").astype(float) > 0, (int(then(t).sum()), N)),
        loud=0.5,
        simulate=lambda random: (
            (random.random(N) < 0.5, np.ones(N, dtype=bool), (int(random.binomial(N, 0.3)), N)),
            0.2,
        ),
        oracle=lambda t: float(now(t).mean() - then(t).mean()),
        excuses=dict.fromkeys(("nulls", "all null"), "takes flags, which are never missing")
        | {"constant": "all decisions alike is a share of 0 or 1"},
    ),
    Case(
        feature_effect,
        moved,
        both,
        simulate=lambda random: (normal(random), 0.5),
        oracle=lambda t: float(now(t).mean() - then(t).mean()),
        excuses={"nulls": PARTS, "all null": PARTS, "constant": "a feature that is constant moves no score: 0 is true"},
    ),
    Case(
        feature_reach,
        moved,
        both,
        simulate=lambda random: (normal(random), 0.5),
        oracle=lambda t: st.wasserstein_distance(*both(t)),
        excuses={"nulls": PARTS, "all null": PARTS, "constant": "a feature that is constant moves no score: 0 is true"},
    ),
]


def cohen(a, b):
    """Return the difference of means in the reference's standard deviation."""
    return float((b.mean() - a.mean()) / a.std())


def scores(table, side, column):
    """Return a column as normal scores among the reference, from scipy's ranks."""
    a, x = then(table, column), side(table, column)
    place = np.array([(np.sum(a < value) + np.sum(a <= value)) / 2 for value in x])
    return st.norm.ppf(np.clip(place / len(a), 0.5 / len(a), 1 - 0.5 / len(a)))


SHAPE = large(shape_distance, heavy)
INDEX = large(stability_index, lambda random, n: normal(random, n=n))
AWAY = large(lambda a, b: distance("moved", a, b), away)
REST = large(
    lambda a, b: reconstruction_shift(a, b, KINDS), lambda random, n: (pair(random, 0.8, n), pair(random, 0.4, n))
)
