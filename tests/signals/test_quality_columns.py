"""What may be wrong with a column: each kind of fault is marked row by row, and a shift is no fault."""

import numpy as np
import pytest

from rbnb.signals.quality.categories import categorical_suspicions, plain_value, renamed
from rbnb.signals.quality.columns import learned_range, numerical_suspicions, repeated_values
from rbnb.signals.quality.units import clock_suspicion, factor_name, shape_kept, swap_suspicion, unit_suspicion

SHAPES = {
    "lognormal": lambda rng, n: rng.lognormal(3, 0.9, n).round(2),
    "normal": lambda rng, n: rng.normal(20, 4, n).round(2),
    "count": lambda rng, n: rng.negative_binomial(2, 0.2, n).astype(float),
    "share": lambda rng, n: rng.beta(2, 8, n).round(2),
}


def drawn(shape, n, seed):
    """Return values of a shape."""
    return SHAPES[shape](np.random.default_rng(seed), n)


def kinds(found):
    """Return the kinds that mark any row, with how many."""
    return {s.kind: int(s.now.sum()) for s in found if s.now.any()}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_distribution_is_left_alone(shape):
    """Fresh values of the same shape are not out of range, in another unit, or a marker."""
    then = drawn(shape, 5000, 1)
    for seed in range(2, 12):
        now = drawn(shape, 1500, seed)
        found = kinds(numerical_suspicions("x", now, then))
        assert found.get("range", 0) <= 2
        assert not {"marker", "negative", "null", "non_finite"} & set(found)
        assert unit_suspicion("x", now, then) is None


@pytest.mark.parametrize("factor", [0.6, 1.5, 2.0])
def test_a_drift_is_no_changed_unit_and_stays_in_range(factor):
    """Everything half as large again, or twice as large, is a changed world and not broken data."""
    then, now = drawn("lognormal", 5000, 1), drawn("lognormal", 1500, 2) * factor
    found = unit_suspicion("x", now, then)
    assert found is None or shape_kept(now, then, found.factor) > 0.15
    found = {s.kind: s.now.mean() for s in numerical_suspicions("x", now, then)}
    assert found["range"] < 0.003


@pytest.mark.parametrize("factor", [10.0, 100.0, 1000.0, 0.1, 0.01, 0.001, 60.0, 3600.0])
@pytest.mark.parametrize("part", [0.1, 1.0])
def test_a_changed_unit_is_found_with_its_factor(factor, part):
    """In all rows or in a tenth of them, the factor is the right one and the marks are the right rows."""
    then, now = drawn("lognormal", 5000, 1), drawn("lognormal", 1500, 2)
    hit = np.random.default_rng(3).random(1500) < part
    found = unit_suspicion("x", np.where(hit, now * factor, now), then)
    assert found is not None
    assert found.factor == pytest.approx(factor)
    assert found.now[hit].mean() >= 0.8 * found.sensitivity
    assert found.now[~hit].mean() <= 0.02 if (~hit).any() else True


def test_a_constant_factor_that_is_no_unit_is_named_as_such():
    """An exchange rate is found as well, by its size, if all rows of a group have it."""
    then, now = drawn("lognormal", 5000, 1), drawn("lognormal", 1500, 2) * 151.0
    found = unit_suspicion("x", now, then)
    assert found.factor == pytest.approx(151, rel=0.06)
    assert "currencies" in factor_name(found.factor)


def test_a_tail_that_grew_is_not_explained_by_a_unit():
    """The mixture of usual and multiplied values fits a unit and does not fit a wider spread."""
    rng = np.random.default_rng(4)
    then = rng.lognormal(3, 0.5, 5000)
    assert shape_kept(np.append(then[:900], then[900:1000] * 100), then, 100.0) < 0.05
    assert shape_kept(rng.lognormal(3, 1.6, 1000), then, 10.0) > 0.15


@pytest.mark.parametrize("value", [-999.0, -1.0, 9999.0, 0.0])
@pytest.mark.parametrize("shape", ["lognormal", "normal"])
def test_a_marker_in_place_of_missing_values_is_found(shape, value):
    """One value that repeats where its neighbours do not stands out."""
    now = drawn(shape, 1000, 2)
    now[:30] = value
    assert repeated_values(now, drawn(shape, 5000, 1)) == [value]


def test_more_zeros_in_a_count_that_shrank_are_no_marker():
    """Where all counts got smaller, zeros are as frequent as their neighbours make them."""
    rng = np.random.default_rng(5)
    then, now = rng.poisson(3.0, 5000).astype(float), rng.poisson(1.8, 1500).astype(float)
    assert repeated_values(now, then) == []


def test_without_a_reference_only_what_is_odd_in_itself_is_marked():
    """-999 is no quantity, with or without a past; a range cannot be learned from nothing."""
    now = np.append(drawn("normal", 500, 1), [-999.0] * 10 + [np.inf, np.nan])
    found = kinds(numerical_suspicions("x", now, np.array([])))
    assert found == {"null": 1, "non_finite": 1, "marker": 10}


@pytest.mark.parametrize("values", [np.full(300, np.nan), np.full(300, 5.0), np.array([]), np.full(300, np.inf)])
def test_an_empty_or_constant_column_is_no_error(values):
    """All null, constant, infinite or without rows: the tests run, and nothing is invented."""
    for now, then in ((values, values), (values, drawn("normal", 500, 1)), (drawn("normal", 500, 1), values)):
        numerical_suspicions("x", now, then)
        unit_suspicion("x", now, then)
        times = (np.zeros(len(now), np.int64), np.zeros(len(then), np.int64))
        assert clock_suspicion("x", now, then, times, []) is None
        swap_suspicion(("x", "y"), (now, now), (then, then))
    assert unit_suspicion("x", values, values) is None


def test_inputs_are_untouched_and_order_does_not_matter():
    """The same rows in another order are marked alike, and nothing is written into what came in."""
    then, now = drawn("lognormal", 3000, 1), np.append(drawn("lognormal", 900, 2), np.full(100, 5e6))
    before = now.copy()
    order = np.random.default_rng(6).permutation(len(now))
    one, two = (numerical_suspicions("x", values, then) for values in (now, now[order]))
    assert np.array_equal(now, before)
    for first, second in zip(one, two, strict=True):
        assert np.array_equal(first.now[order], second.now)


def test_the_learned_range_reaches_far_beyond_what_was_seen():
    """A drift by a standard deviation stays inside it, a value of another order does not."""
    for shape in ("lognormal", "normal"):
        values = drawn(shape, 5000, 1)
        low, high = learned_range(values)
        assert low <= values.min()
        assert high >= values.max() + values.std()
        assert high < 1000 * np.median(values)


@pytest.mark.parametrize("hours", [-9, -1, 1, 2, 5])
@pytest.mark.parametrize("part", [0.2, 1.0])
def test_hours_of_another_zone_are_found(hours, part):
    """A column tied to the clock that is whole hours off, in all rows or in some, tells by how many."""
    rng = np.random.default_rng(7)
    times = np.sort(rng.integers(0, 20 * 86_400, 6000))
    then, now = times[:4500], times[4500:]
    offset = rng.choice([0, 0, 0, 1], 6000)
    local = (times // 3600 + offset) % 24
    hit = rng.random(len(now)) < part
    shifted = np.where(hit, (local[4500:] + hours) % 24, local[4500:]).astype(float)
    found = clock_suspicion("hour", shifted, local[:4500].astype(float), (now, then), [])
    assert found.factor == hours
    stamps = clock_suspicion("seen", (now + hours * 3600 + 1e9), then + 1e9, (now + 10**9, then + 10**9), [])
    assert stamps.factor == hours


def test_a_column_that_is_not_tied_to_the_clock_is_left_alone():
    """An hour that a customer prefers says nothing of time zones."""
    rng = np.random.default_rng(8)
    times = (np.arange(1000), np.arange(4000))
    hours = [rng.integers(0, 24, n).astype(float) for n in (1000, 4000)]
    assert clock_suspicion("preferred", *hours, times, []) is None


def test_swapped_columns_are_found_even_if_each_is_in_range():
    """A tenth of rows with two columns exchanged is marked; columns that are alike cannot be told apart."""
    rng = np.random.default_rng(9)
    a, b = rng.normal(40, 8, 6000), rng.normal(90, 10, 6000)
    hit = np.arange(1000) < 100
    now = np.where(hit, b[:1000], a[:1000]), np.where(hit, a[:1000], b[:1000])
    found = swap_suspicion(("a", "b"), now, (a[1000:], b[1000:]))
    assert found.now[hit].mean() > 0.8
    assert found.now[~hit].mean() < 0.02
    assert swap_suspicion(("a", "c"), (a[:1000], a[:1000]), (a[1000:], rng.normal(40, 8, 5000))) is None


@pytest.mark.parametrize(
    ("written", "known"),
    [("PAYPAL", "paypal"), (" paypal ", "PayPal"), ("MÃ¼nchen", "München"), ("cafe\u0301", "café"), ("7.0", "7"),
     ("pay-pal", "pay_pal")],
)  # fmt: skip
def test_the_same_value_written_otherwise_is_an_encoding(written, known):
    """Case, blanks, mangled character sets, composed accents and decimals do not make another category."""
    then = np.array([known, "other"] * 200, dtype=object)
    found = kinds(categorical_suspicions("c", np.array([written, "other"] * 30, dtype=object), then))
    assert found["encoding"] == 30
    assert "unseen" not in found
    assert plain_value(written) == plain_value(known)


def test_new_values_words_for_null_and_vanished_values_are_told_apart():
    """Each gets its own kind, and a word for null that was always used is a value."""
    then = np.array(["a"] * 300 + ["b"] * 300 + ["n/a"] * 10, dtype=object)
    now = np.array(["a"] * 90 + ["zz"] * 5 + ["null"] * 3 + ["n/a"] * 2, dtype=object)
    found = {s.kind: s for s in categorical_suspicions("c", now, then)}
    assert int(found["null"].now.sum()) == 3
    assert int(found["unseen"].now.sum()) == 5
    assert found["vanished"].other == "b"


def test_a_column_of_ever_new_values_expects_new_ones():
    """Where a fifth of the reference was seen once, unseen values are usual to that degree."""
    then = np.array([f"v{i}" for i in range(100)] + ["w"] * 400, dtype=object)
    unseen = next(s for s in categorical_suspicions("c", np.array(["new"], dtype=object), then) if s.kind == "unseen")
    assert int(unseen.then.sum()) == 100


def test_a_renamed_category_takes_the_place_of_the_old_one():
    """As frequent as the one that is gone; a new value beside all the old ones is no renaming."""
    then = {"web": 500, "app": 300, "shop": 200}
    assert renamed({"web": 50, "app2": 31, "shop": 19}, then) == {"app2": "app"}
    assert renamed({"web": 50, "app": 28, "shop": 17, "tv": 5}, then) == {}
