"""The same request asked again, against brute force and edge cases."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from rbnb.signals.consistency.repeats import (
    differs,
    excess_share,
    fingerprints,
    pair_repeats,
    repeat_kinds,
    repeat_signals,
)

INPUTS = ["feature_a", "feature_b"]


def rows(n=400, seed=0, *, noisy_host="", noise=0.1):
    """Return requests of which many repeat; one host may add noise."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "epoch": np.sort(rng.integers(0, 86_400, n)),
            "version": "1",
            "segment_host": rng.choice(["x", "y", "z"], n),
            "feature_a": rng.choice([1.0, 2.0, np.nan], n),
            "feature_b": pd.Series(rng.choice(["u", "v", None], n), dtype=object),
        }
    )
    frame["score"] = 0.3 + 0.1 * frame["feature_a"].fillna(0) + 0.05 * (frame["feature_b"] == "u")
    frame.loc[frame["segment_host"] == noisy_host, "score"] += noise
    return frame.assign(prediction=np.where(frame["score"] > 0.5, "yes", "no"))


def test_the_tolerance_is_numpy_s_made_symmetric():
    """Two scores are the same whichever is named first, and within numpy's default tolerance."""
    rng = np.random.default_rng(1)
    a = rng.normal(0, 1, 1000)
    b = a * (1 + rng.choice([0, 1e-7, 1e-3], 1000))
    assert (differs(a, b) == differs(b, a)).all()
    clear = np.abs(a - b) / np.abs(a) > 1e-4
    assert (differs(a, b)[clear] == ~np.isclose(a, b)[clear]).all()


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        (np.nan, np.nan, False),
        (np.nan, 0.5, True),
        (np.inf, np.inf, False),
        (np.inf, -np.inf, True),
        (np.inf, 1e300, True),
        (0.0, -0.0, False),
        (0.5, float(np.float32(0.1 + 0.4)), False),
    ],
)
def test_what_is_not_finite_is_compared_for_what_it_is(one, other, apart):
    """A missing score equals a missing score and nothing else."""
    assert bool(differs([one], [other])[0]) is apart


def test_fingerprints_agree_with_equality_of_rows():
    """Two rows have the same fingerprint exactly if all their inputs are the same, missing ones included."""
    frame = rows(120)
    keys = fingerprints(frame, INPUTS)
    plain = [tuple("null" if pd.isna(v) else v for v in row) for row in frame[INPUTS].itertuples(index=False)]
    for i, j in itertools.combinations(range(0, 120, 3), 2):
        assert (keys[i] == keys[j]) == (plain[i] == plain[j])


@pytest.mark.parametrize("dtype", ["Int64", "int64[pyarrow]", "float32", "boolean", "category", "string", "bool"])
def test_any_type_of_column_can_be_an_input(dtype):
    """Nullable, Arrow-backed, categorical and boolean columns make fingerprints like any other."""
    values = pd.Series([1, 0, 1, 0]).astype(dtype)
    keys = fingerprints(pd.DataFrame({"feature_a": values}), ["feature_a"])
    assert keys[0] == keys[2]
    assert keys[0] != keys[1]


def test_a_deterministic_model_has_no_mismatch():
    """Where equal inputs get equal scores nothing is reported, over hundreds of pairs."""
    frame = rows()
    pairs = pair_repeats(frame, INPUTS)
    now = frame["epoch"].to_numpy() >= 43_200
    found = {s.name: s for s in repeat_signals(frame, pairs, now, host="segment_host")}
    assert found["repeat_pairs"].value > 100
    assert found["repeat_mismatch"].value == 0
    assert found["decision_flips"].value == 0


def test_pairs_and_mismatches_agree_with_brute_force():
    """Each request is paired with the one before it that had the same inputs."""
    frame = rows(200, noisy_host="y")
    pairs = pair_repeats(frame, INPUTS)
    last: dict[object, int] = {}
    expected = {}
    order = np.lexsort((frame["score"], frame["epoch"]))
    plain = [tuple("null" if pd.isna(v) else v for v in row) for row in frame[INPUTS].itertuples(index=False)]
    for i in order.tolist():
        if plain[i] in last:
            expected[(last[plain[i]], i)] = abs(frame["score"][i] - frame["score"][last[plain[i]]]) > 1e-6
        last[plain[i]] = i
    found = {(int(a), int(b)): bool(x) for a, b, x in zip(pairs.first, pairs.second, pairs.apart, strict=True)}
    assert found == expected


def test_row_order_does_not_matter_and_inputs_are_untouched():
    """The same requests in another order give the same shares, and the table is not changed."""
    frame = rows(300, noisy_host="z")
    before = frame.copy(deep=True)
    mixed = frame.sample(frac=1, random_state=3).reset_index(drop=True)
    shares = []
    for table in (frame, mixed):
        pairs = pair_repeats(table, INPUTS)
        now = table["epoch"].to_numpy() >= 43_200
        shares.append([(s.name, s.value, s.n) for s in repeat_signals(table, pairs, now, host="segment_host")])
    assert shares[0] == shares[1]
    pd.testing.assert_frame_equal(frame, before)


def test_the_kinds_part_the_pairs():
    """Each pair is of exactly one kind: another version, another replica, shortly after, or later."""
    frame = rows(300)
    frame.loc[200:, "version"] = "2"
    pairs = pair_repeats(frame, INPUTS)
    kinds = repeat_kinds(frame, pairs, "segment_host")
    assert (sum(flags.astype(int) for flags in kinds.values()) == 1).all()
    assert kinds["version"].any()


def test_a_larger_share_of_wrong_pairs_gives_a_larger_signal():
    """The excess grows with what is wrong, and what was wrong before as well is no news."""
    values = [excess_share("x", k, 200, (0, 500)).value for k in (0, 5, 50)]
    assert values == sorted(values)
    assert excess_share("x", 10, 100, (100, 1000)).value == 0
    assert excess_share("x", 0, 0).value is None


def test_the_interval_of_an_excess_covers_the_truth():
    """In 19 of 20 simulations or more the difference of shares lies inside the interval."""
    rng = np.random.default_rng(4)
    inside = 0
    for _ in range(600):
        k, m = rng.binomial(150, 0.08), rng.binomial(300, 0.03)
        low, high = excess_share("x", int(k), 150, (int(m), 300)).interval
        inside += low <= 0.05 <= high
    assert inside / 600 > 0.93
