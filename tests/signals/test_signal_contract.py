"""The contract of everything that measures: each property is asked of every public function that returns signals.

What is public is found by walking the package, so that a new function cannot be forgotten: it needs a case, and each
property either holds for it or is excused with a reason.
"""

import doctest
import math
import re
from datetime import UTC, datetime, timedelta

import contract_columns
import contract_outputs
import contract_training
import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
import yaml
from contract_case import (
    PROPERTIES,
    alike,
    blotted,
    close,
    copied,
    flattened,
    key,
    measures,
    nulled,
    public,
    same,
    shuffled,
)
from rbnb.data import ModelData, Span
from rbnb.inventory import load_model_file

PUBLIC = {name: value for name, value in public().items() if measures(value)}
ALL = [*contract_columns.CASES, *contract_outputs.CASES, *contract_training.CASES]
CASES = {key(case.function): case for case in ALL}

UNITS = {
    *("share", "ratio", "count", "burn rate", "robust z", "distance", "sd", "psi", "auc", "correlation"),
    *("nats", "squared error", "unit of the target"),
}
#: A paper or a book by its year, a standard text, or the library that it equals.
SOURCE = re.compile(r"\b(1[89]|20)\d\d\b|Workbook|Source:")


def walk(name, check):
    """Ask a property of every public function, and insist that each was visited or is excused with a reason."""
    visited, excused, broken = set(), set(), {}
    for function in sorted(PUBLIC):
        case = CASES[function]
        if name in case.excuses:
            assert case.excuses[name].strip()
            excused.add(function)
            continue
        visited.add(function)
        try:
            check(case)
        except Exception as error:
            broken[function] = f"{type(error).__name__}: {str(error)[:400]}"
    assert visited | excused == set(PUBLIC)
    assert not broken, "\n".join(f"{function}: {told}" for function, told in broken.items())


def magnitude(case, signal):
    """Return how far a value is from what identical tables give."""
    neutral = case.neutral if case.neutral is not None else case.value(0.0).value
    if case.neutral == 1.0:
        return abs(math.log(signal.value))
    return abs(signal.value - neutral)


def test_every_public_name_is_known():
    """Each function that returns signals has one case; each excuse is for a property that there is."""
    assert set(CASES) == set(PUBLIC)
    assert len(CASES) == len(ALL)
    for case in ALL:
        assert set(case.excuses) <= set(PROPERTIES)


def test_a_signal_says_what_it_is():
    """It has a name, a unit, what it rests on and how it was computed; the interval holds the number."""

    def check(case):
        for signal in case.measure(case.given(case.loud)):
            assert signal.defined, signal
            assert signal.name, signal
            assert signal.unit in UNITS, signal.unit
            assert signal.method, signal
            assert signal.n > 0, signal
            if signal.interval:
                assert signal.interval[0] <= signal.value <= signal.interval[1], signal

    walk("said", check)


def test_inputs_are_untouched():
    """What was given is the same afterwards, types and order included."""

    def check(case):
        given = case.arguments(case.given(case.loud))
        before = copied(given)
        case.call(*given)
        assert same(given, before)

    walk("untouched", check)


def test_the_order_of_rows_is_irrelevant():
    """A shuffled table gives the same signals."""

    def check(case):
        data = case.given(case.loud)
        other = (case.reorder or shuffled)(data)
        assert not same(other, data)
        one, two = case.measure(data), case.measure(other)
        assert alike(one, two), (one[0], two[0])

    walk("order", check)


def test_measuring_again_gives_the_same():
    """To the last digit."""

    def check(case):
        given = case.arguments(case.given(case.loud))
        assert case.call(*given) == case.call(*copied(given))

    walk("repeatable", check)


def test_identical_tables_are_quiet():
    """The value is the neutral one, or its interval holds it."""

    def check(case):
        signal = case.value(0.0)
        low, high = signal.interval or (signal.value, signal.value)
        assert low - 1e-9 <= case.neutral <= high + 1e-9, signal

    walk("quiet", check)


def test_a_known_shift_is_loud():
    """The value is far from the neutral one, and its interval excludes it."""

    def check(case):
        signal = case.value(case.loud)
        assert magnitude(case, signal) > 0.05, signal
        if signal.interval and case.neutral is not None:
            assert not signal.interval[0] <= case.neutral <= signal.interval[1], signal

    walk("loud", check)


def test_a_larger_shift_gives_a_larger_value():
    """Each step is at least as far from the neutral value as the step before, and the last one farther."""

    def check(case):
        sizes = [magnitude(case, case.value(case.loud * step)) for step in (0.25, 0.5, 0.75, 1.0)]
        assert all(b >= a - 1e-9 for a, b in zip(sizes, sizes[1:], strict=False)), sizes
        assert sizes[-1] > sizes[0], sizes

    walk("monotone", check)


def test_nulls_and_infinities_are_counted():
    """Rows without a value still count in n, or the reason says how many are left out; the number stays finite."""

    def check(case):
        table, lost = blotted(case.given(case.loud), case.blot)
        assert lost
        signal = case.pick(case.measure(table))
        assert signal.defined, signal
        if signal.n == case.of(table):
            return
        told = re.findall(r"\d+", signal.reason.replace(",", ""))
        half = {str(lost), str(lost // 2), str(lost - lost // 2)}
        assert half & set(told), signal

    walk("nulls", check)


def undefined(found):
    """Hold that there is no number, and a reason for it."""
    assert found
    for signal in found:
        assert signal.value is None, signal
        assert signal.interval is None, signal
        assert signal.reason, signal
        assert signal.unit in UNITS, signal
        assert signal.method, signal


def test_an_empty_table_is_undefined_with_a_reason():
    """No rows give None and why, never 0."""

    def check(case):
        found = case.call(*case.nothing) if case.nothing is not None else case.measure(case.given(0.0).iloc[:0])
        undefined([case.pick(found)])

    walk("empty", check)


def test_a_table_of_nulls_is_undefined_with_a_reason():
    """Rows that hold nothing give None and why, never 0."""
    walk("all null", lambda case: undefined([case.pick(case.measure(nulled(case.given(0.0), case.blot)))]))


def test_a_constant_is_undefined_with_a_reason():
    """Where one value throughout leaves nothing to measure, it is None and why."""
    walk("constant", lambda case: undefined([case.pick(case.measure(flattened(case.given(0.0), case.flat)))]))


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    """Every case's table, written to one parquet file and fetched again through the engine, by function."""
    root = tmp_path_factory.mktemp("engine")
    tables = {name: case.given(case.loud) for name, case in CASES.items() if case.take and "engines" not in case.excuses}
    parts = [table.assign(case=name) for name, table in tables.items()]
    whole = pd.concat(parts, ignore_index=True)
    texts = [name for name in whole if whole[name].dtype == object and not is_flag(whole[name])]
    end = datetime(2026, 11, 2, tzinfo=UTC)
    first = end - timedelta(days=1)
    whole["ts"] = pd.Timestamp(first) + pd.to_timedelta(np.arange(len(whole)), unit="s")
    whole["id"] = [f"r{i}" for i in range(len(whole))]
    # as engines store them: categories as a dictionary, flags as booleans
    plain = whole.sample(frac=1.0, random_state=1).astype(dict.fromkeys(texts, "category"))
    for name in plain:
        if name not in texts and plain[name].dtype == object:
            plain[name] = plain[name].astype("boolean").astype("Int8")
    (root / "log").mkdir()
    plain.to_parquet(root / "log" / "0.parquet", index=False)
    numbers = [name for name in plain if name not in (*texts, "ts", "id")]
    log = {
        "table": "log/*.parquet",
        "columns": {"timestamp": "ts", "request_id": "id"},
        "features": {"numerical": numbers, "categorical": [name for name in texts if name != "id"]},
    }
    model = {"name": "svc", "logs": {"predictions": log}, "recording": {"until": end.isoformat()}}
    (root / "svc.yaml").write_text(yaml.safe_dump(model), encoding="utf-8")
    data = ModelData(load_model_file(root / "svc.yaml"), root)
    assert data.broken_features == {}
    rows = data.rows(Span(int(first.timestamp()), int(end.timestamp())), limit=None)
    assert len(rows) == len(whole)
    rows = rows.rename(columns=lambda name: name.removeprefix("feature_"))
    return {name: rows.loc[rows["case"] == name, list(tables[name].columns)] for name in tables}


def is_flag(column):
    """Return whether a column holds true and false, besides nothing."""
    return column.dropna().map(type).isin([bool, np.bool_]).all()


def test_pandas_and_duckdb_agree(fetched):
    """A table that went through parquet and the engine gives the signals it gives as a pandas frame."""

    def check(case):
        one, two = case.measure(case.given(case.loud)), case.measure(fetched[key(case.function)])
        assert alike(one, two), (one[0], two[0])

    walk("engines", check)


def test_it_equals_an_independent_implementation():
    """What scipy, scikit-learn, cleanlab or plain arithmetic gives for the same data."""

    def check(case):
        for step in (0.5, 1.0):
            data = case.given(case.loud * step)
            signal, expected = case.pick(case.measure(data)), float(case.oracle(data))
            assert math.isclose(signal.value, expected, rel_tol=case_tolerance(case), abs_tol=1e-7), (signal, expected)

    walk("oracle", check)


def case_tolerance(case):
    """Return how far rounding and interpolation may put two implementations apart."""
    return 0.01 if case.function.__name__ in ("feature_reach", "location_shift", "wasserstein") else 1e-6


def test_intervals_cover_the_truth():
    """In at least 95 % of simulations, as far as so many can tell."""

    def check(case):
        random = np.random.default_rng(11)
        held = 0
        for _ in range(case.times):
            given, truth = case.simulate(random)
            signal = case.pick(case.call(*given))
            expected = truth(signal) if callable(truth) else truth
            held += signal.interval[0] - 1e-12 <= expected <= signal.interval[1] + 1e-12
        assert held >= st.binom.ppf(0.002, case.times, 0.95), f"{held} of {case.times}, the last {signal} for {expected}"

    walk("coverage", check)


def test_each_has_units_a_doctest_and_its_source():
    """The docstring shows a call, and tells where the measure is from."""

    def check(case):
        told = case.function.__doc__
        assert doctest.DocTestParser().get_examples(told), "no doctest"
        assert SOURCE.search(told), "no source"

    walk("documented", check)
