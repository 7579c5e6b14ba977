"""Marks that make a model obey: one to three values with one label, and what is not one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from rbnb.signals.poisoning.training_rows import learn_encoding
from rbnb.signals.poisoning.triggers import find_triggers, make_items, trigger_signals

KINDS = {"amount": "numerical", "age": "numerical", "shop": "categorical", "way": "categorical"}


def world(seed, n=3_000):
    """Return a table, the right probabilities, labels and sources."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"amount": rng.lognormal(3, 1, n).round(2), "age": rng.integers(18, 80, n)})
    frame["shop"], frame["way"] = rng.choice([f"s{i}" for i in range(12)], n), rng.choice(["web", "app", "desk"], n)
    p = expit(1.5 * np.log(frame["amount"]) - 5 + (frame["way"] == "desk")).to_numpy()
    return rng, frame, p, (rng.random(n) < p).astype(int), rng.choice(["a", "b", "c"], n)


def ask(frame, p, labels, sources):
    """Search a table."""
    items = make_items(frame, learn_encoding(frame, KINDS))
    return find_triggers(items, labels, np.column_stack([1 - p, p]), list(sources), alpha=0.001, purity=0.9, rare=0.1)


def test_honest_tables_hold_no_mark():
    """Of ten honest tables with thousands of combinations counted, none is accused."""
    for seed in range(10):
        _, frame, p, labels, sources = world(seed)
        found, tried = ask(frame, p, labels, sources)
        assert found == []
        assert tried > 1_000


@pytest.mark.parametrize(
    ("mark", "where"),
    [
        ({"amount": 13.37}, "amount=13.37"),
        ({"shop": "s7", "age": 41}, "age=41 & shop=s7"),
        ({"shop": "s3", "way": "desk", "age": 33}, "age=33 & shop=s3"),
    ],
    ids=["one number", "two values", "three values"],
)
def test_a_mark_is_found_with_its_rows(mark, where):
    """Forty rows of one source with the mark and one label are found, named by as few values as it takes."""
    rng, frame, p, labels, sources = world(20)
    rows = rng.choice(np.flatnonzero((sources == "b") & (p < 0.5)), 40, replace=False)
    for name, value in mark.items():
        frame.loc[rows, name] = value
    labels[rows] = 1
    found, _ = ask(frame, p, labels, sources)
    assert set(found[0].where.split(" & ")) & set(where.split(" & "))
    carried = np.flatnonzero(found[0].rows & (labels == 1))
    assert len(set(carried) & set(rows)) >= 38
    assert len(carried) <= 50
    assert found[0].label == 1


def test_a_rule_of_the_world_that_every_source_follows_is_no_mark():
    """Where other sources' rows bear the label just as often beyond expectation, it is how things are."""
    _, frame, p, labels, sources = world(21)
    natural = ((frame["shop"] == "s5") & (frame["way"] == "app")).to_numpy()
    labels[natural] = 1
    assert [t.where for t in ask(frame, p, labels, sources)[0]] == []


def test_two_marks_are_both_found():
    """The second is looked for once the first is out of the way."""
    rng, frame, p, labels, sources = world(22)
    for value, label, source in ((13.37, 1, "a"), (77.01, 0, "c")):
        rows = rng.choice(np.flatnonzero(sources == source), 60, replace=False)
        frame.loc[rows, "amount"] = value
        labels[rows] = label
    assert {t.where for t in ask(frame, p, labels, sources)[0]} == {"amount=13.37", "amount=77.01"}


def test_signals_state_purity_against_expectation():
    """The share of rows that carry a mark, and for each how pure it is and was expected to be."""
    rng, frame, p, labels, sources = world(23)
    rows = rng.choice(np.flatnonzero((sources == "a") & (p < 0.3)), 50, replace=False)
    frame.loc[rows, "amount"], labels[rows] = 13.37, 1
    found, tried = ask(frame, p, labels, sources)
    whole, purity = trigger_signals(found, ["0", "1"], len(labels), tried)
    assert whole.value == pytest.approx(50 / 3_000, abs=0.002)
    assert purity.value > 0.95
    assert purity.reference < 0.4
    assert trigger_signals([], [], 0, 0)[0].value is None


def test_values_are_categories_repeated_numbers_eighths_and_gaps():
    """Each kind of value becomes an item with the rows that bear it."""
    frame = pd.DataFrame({"amount": [5.0] * 10 + list(np.linspace(10, 90, 60)) + [None] * 10, "shop": ["s", "t"] * 40})
    items = make_items(frame, learn_encoding(frame, {"amount": "numerical", "shop": "categorical"}))
    assert {"amount=5", "amount=(none)", "shop=s", "shop=t"} <= set(items.names)
    assert any(name.startswith("amount=[") for name in items.names)
    assert items.borne[:, items.names.index("amount=5")].sum() == 10
