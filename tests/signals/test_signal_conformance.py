"""The contract of everything that measures: each property is asked of every public function that returns signals.

What is public is found by walking the package, so that a new function cannot be forgotten: it needs a case, and each
property either holds for it or is excused with a reason.
"""

import doctest
import math
import re
from itertools import pairwise

import contract_columns
import contract_outputs
import contract_training
import numpy as np
import pandas as pd
import scipy.stats as st
import yaml
from contract_case import (
    PROPERTIES,
    alike,
    blotted,
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
#: What is known not to hold, or not to be comparable, by function and property.
KNOWN = {
    "equal_load": {"coverage": "the interval leaves out the noise of the reference: covers 115 of 200"},
    "calibration_error": {
        "coverage": "errors of either sign cancel within a bin and chance is taken off: a lower bound"
    },
    "unit_share": {"coverage": "values on both sides of 0 hide part of a mixture, and it is found to be less"},
    "reconstruction_shift": {
        "coverage": "the interval leaves out the noise of the components: covers 177 of 200",
        "oracle": "its components are those of normal scores, cut at the tails; within 2 % of scikit-learn's",
    },
    "correlation_change": {"oracle": "ranks beyond the reference are cut otherwise; within 1 % of scipy's"},
    "repeated_scores": {"oracle": "a chain of equal scores reaches across the start of the window"},
}
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
        excuses = dict(case.excuses) | KNOWN.get(case.function.__name__, {})
        if name in excuses:
            assert excuses[name].strip()
            excused.add(function)
            continue
        visited.add(function)
        try:
            check(case)
        except Exception as error:  # noqa: BLE001 - all that is broken is told at once
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
            if not signal.defined:
                assert signal.reason, signal
                continue
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
        assert all(b >= a - 1e-9 for a, b in pairwise(sizes)), sizes
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


def through_the_engine(table, folder):
    """Return a table as a run gets it: written as a log, and fetched as the features of its rows."""
    folder.mkdir()
    names = {name: f"c{number}" for number, name in enumerate(table.columns)}
    numbers = [name for name in names if pd.api.types.is_numeric_dtype(table[name])]
    ts = pd.date_range("2026-11-01", periods=len(table), freq="1s", tz="UTC")
    log = table.rename(columns=names).assign(ts=ts.to_numpy(), id=[f"{n:06d}" for n in range(len(table))])
    log.to_parquet(folder / "log.parquet", index=False)
    features = {
        "numerical": [names[name] for name in numbers],
        "categorical": [names[name] for name in names if name not in numbers],
    }
    columns = {"timestamp": "ts", "request_id": "id"}
    predictions = {"table": "log.parquet", "timezone": "UTC", "columns": columns, "features": features}
    (folder / "m.yaml").write_text(yaml.safe_dump({"name": "m", "logs": {"predictions": predictions}}))
    rows = ModelData(load_model_file(folder / "m.yaml"), folder).rows(Span(0, 2**40), limit=None)
    back = {name: rows[f"feature_{short}"].astype(table[name].dtype) for name, short in names.items()}
    return pd.DataFrame(back)


def test_a_table_and_a_log_in_the_engine_give_the_same(tmp_path):
    """Rows that went to parquet and came back through DuckDB are measured alike."""

    def check(case):
        table = case.given(case.loud).reset_index(drop=True)
        found = through_the_engine(table, tmp_path / case.function.__name__)
        assert alike(case.measure(table), case.measure(found))

    for case in ALL:
        if not isinstance(case.given(case.loud), pd.DataFrame):
            KNOWN.setdefault(case.function.__name__, {})["engines"] = "takes counts, cells or parts, which no log holds"
    walk("engines", check)


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
        assert held >= st.binom.ppf(0.002, case.times, 0.95), (
            f"{held} of {case.times}, the last {signal} for {expected}"
        )

    walk("coverage", check)


def test_each_has_units_a_doctest_and_its_source():
    """The docstring shows a call, and tells where the measure is from."""

    def check(case):
        told = case.function.__doc__
        assert doctest.DocTestParser().get_examples(told), "no doctest"
        assert SOURCE.search(told), "no source"

    walk("documented", check)
