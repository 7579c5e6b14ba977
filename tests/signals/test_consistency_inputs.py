"""Served against recomputed inputs, the arithmetic of encoding faults, and scores that do not follow from inputs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rbnb.signals.consistency.departures import departure_signal, departure_stretch, departures
from rbnb.signals.consistency.encoding import explain_scores, name_encoding
from rbnb.signals.consistency.expected import fit_score_model, to_link
from rbnb.signals.consistency.skew import measure_skew

KINDS = {"feature_amount": "numerical", "feature_hour": "numerical", "feature_plan": "categorical"}
PLANS = {"a": 1.2, "b": -0.8, "c": 0.3, "d": -0.2}


def score_of(frame):
    """The model: what is missing counts as nothing, an hour is riskier at night, plans differ."""
    odds = 0.9 * np.log(frame["feature_amount"].fillna(20) / 20) + np.cos(2 * np.pi * frame["feature_hour"] / 24)
    return 1 / (1 + np.exp(-(odds + frame["feature_plan"].map(PLANS).fillna(0).to_numpy(dtype=float) - 1)))


def requests(n=6000, seed=0):
    """Requests over ten days with the model's own scores."""
    rng = np.random.default_rng(seed)
    amount = np.where(rng.random(n) < 0.05, np.nan, np.exp(rng.normal(3, 0.8, n)))
    frame = pd.DataFrame(
        {
            "epoch": np.sort(rng.integers(0, 864_000, n)),
            "request_id": [f"r{i}" for i in range(n)],
            "segment_host": rng.choice(["x", "y", "z"], n),
            "feature_amount": amount,
            "feature_hour": rng.integers(0, 24, n).astype(float),
            "feature_plan": pd.Series(rng.choice([*PLANS, None], n), dtype=object),
        }
    )
    return frame.assign(score=score_of(frame))


def misread(frame, change, since=792_000, host="x"):
    """Score the requests of one host, since a time, on changed inputs; the log keeps the true ones."""
    hit = (frame["epoch"] >= since) & (frame["segment_host"] == host)
    wrong = frame.assign(**change(frame))
    return frame.assign(score=frame["score"].where(~hit, score_of(wrong))), hit.to_numpy()


def parts(frame):
    """Return the fitted model, window, unseen reference."""
    now = frame["epoch"] >= 777_600
    past = frame[~now].reset_index(drop=True)
    model, held = fit_score_model(past, KINDS, odds=True)
    return model, frame[now].reset_index(drop=True), past.iloc[held]


CHANGES = {
    "unit": (lambda f: {"feature_amount": f["feature_amount"] * 100}, "feature_amount", "100 times"),
    "timezone": (lambda f: {"feature_hour": (f["feature_hour"] + 5) % 24}, "feature_hour", "+5 hours"),
    "category": (
        lambda f: {"feature_plan": f["feature_plan"].map({"a": "b", "b": "a", "c": "c", "d": "d"})},
        "feature_plan",
        "a as b",
    ),
}


def test_a_healthy_model_is_explained_and_quiet():
    """Scores that follow from inputs are explained, and nothing departs in any place."""
    model, now, held = parts(requests())
    assert model.explained > 0.98
    signal = departure_signal(departures(model, now, held, ["segment_host"]), model)
    assert signal.interval[0] < 0.02


@pytest.mark.parametrize("kind", CHANGES)
def test_a_misread_input_is_found_placed_and_named(kind):
    """The host, the input and what was done to it are named, though no request repeats and nothing was recomputed."""
    change, feature, words = CHANGES[kind]
    frame, hit = misread(requests(), change)
    model, now, held = parts(frame)
    found = departures(model, now, held, ["segment_host"])
    assert departure_signal(found, model).interval[0] > 0.05
    assert found[0].where == "host=x"
    wrong = frame[hit].reset_index(drop=True)
    best = explain_scores(model, wrong, list(KINDS))[0]
    assert (best.feature, best.kind) == (feature.removeprefix("feature_"), kind)
    assert words in best.detail
    assert best.explains > 0.8


def test_the_onset_of_a_departure_is_found():
    """Since when one host departs is told within half an hour, though it is diluted over the day."""
    frame, _ = misread(requests(20_000), CHANGES["unit"][0], since=835_200)
    model, now, held = parts(frame)
    best = next(d for d in departures(model, now, held, ["segment_host"]) if d.where == "host=x")
    place = frame[frame["segment_host"] == "x"].reset_index(drop=True)
    stretch = departure_stretch(best, model, place, model.residuals(place), 600, end=864_000)
    assert abs(stretch.onset - 835_200) <= 1800


def test_a_departure_grows_with_its_cause():
    """The more hours are shifted, the larger the departure."""
    sizes = []
    for hours in (0, 1, 3, 9):
        frame, _ = misread(requests(), lambda f, h=hours: {"feature_hour": (f["feature_hour"] + h) % 24})
        model, now, held = parts(frame)
        sizes.append(max(d.size for d in departures(model, now, held, ["segment_host"])))
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("n", [0, 10, 150])
def test_too_little_to_learn_from_is_undefined(n):
    """A short reference gives no model, and the signal says why."""
    assert fit_score_model(requests(n), KINDS, odds=True) is None
    signal = departure_signal([], None)
    assert signal.value is None
    assert signal.reason


def test_a_constant_score_and_broken_scores_are_no_model():
    """A score that never changes, or is never a number, cannot be learned."""
    frame = requests(600)
    assert fit_score_model(frame.assign(score=0.5), KINDS, odds=True) is None
    assert fit_score_model(frame.assign(score=np.nan), KINDS, odds=True) is None


def test_infinities_and_new_categories_do_no_harm():
    """An infinite input or a category never seen changes the answer for its own row alone."""
    frame = requests(4000)
    model, now, _ = parts(frame)
    plain = model.predict(now)
    odd = now.copy()
    odd.loc[0, "feature_amount"] = np.inf
    odd.loc[1, "feature_plan"] = "new"
    again = model.predict(odd)
    assert np.isfinite(again).all()
    assert (again[2:] == plain[2:]).all()


def test_row_order_does_not_matter():
    """The same reference in another order gives the same model."""
    frame = requests(3000)
    one = fit_score_model(frame, KINDS, odds=True)[0]
    other = fit_score_model(frame.sample(frac=1, random_state=1).reset_index(drop=True), KINDS, odds=True)[0]
    assert one.predict(frame) == pytest.approx(other.predict(frame), abs=1e-8)


def test_log_odds_are_those_of_scipy():
    """The link agrees with scipy's logit where probabilities are not extreme."""
    from scipy.special import logit

    p = np.linspace(0.001, 0.999, 50)
    assert to_link(p, odds=True) == pytest.approx(logit(p))
    assert (to_link(p, odds=False) == p).all()


NUMBERS = pd.Series(np.exp(np.random.default_rng(0).normal(3, 1, 200)))


@pytest.mark.parametrize(
    ("served", "recomputed", "kind", "words"),
    [
        (NUMBERS * 100, NUMBERS, "unit", "100 times"),
        (NUMBERS / 1000, NUMBERS, "unit", "1/1000"),
        (NUMBERS * 0, NUMBERS.where(NUMBERS < 0), "missing", "served as 0"),
        (NUMBERS.where(NUMBERS < 0), NUMBERS * 0, "missing", "0 is served as missing"),
        (NUMBERS.where(NUMBERS < 0), NUMBERS, "missing", "missing where it is served"),
        (NUMBERS.astype("float32").astype(float), NUMBERS, "float32", "32 bits"),
        (np.trunc(NUMBERS), NUMBERS, "truncated", "whole number"),
        (NUMBERS * 0 + 7.0, NUMBERS, "constant", "7 for all"),
        (
            pd.Series((np.arange(200) + 2) % 24, dtype=float),
            pd.Series(np.arange(200) % 24, dtype=float),
            "timezone",
            "+2 hours",
        ),
        (1e9 + NUMBERS * 1e6 + 3600 * 2, 1e9 + NUMBERS * 1e6, "timezone", "+2 hours"),
        (NUMBERS + np.random.default_rng(1).normal(0, 3, 200), NUMBERS, "other", "no single change"),
    ],
)
def test_an_encoding_is_named_by_its_arithmetic(served, recomputed, kind, words):
    """Each usual fault is called by its name, and what is none of them is called other."""
    found = name_encoding("f", served, recomputed, numerical=True)
    assert found.kind == kind
    assert words in found.detail


def test_a_value_that_is_out_of_date_is_named():
    """Served values that were right for the same entity before are called stale."""
    rng = np.random.default_rng(5)
    who = pd.Series(rng.integers(0, 20, 400))
    true = pd.Series(rng.normal(0, 1, 400))
    served = true.groupby(who).shift(1).fillna(true)
    found = name_encoding("f", served, true, numerical=True, epochs=np.arange(400), entities=who)
    assert found.kind == "stale"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"a": "b", "b": "c", "c": "a"}, "category"),
        ({"a": "A", "b": "B", "c": "C"}, "category"),
        ({"a": "z", "b": "z", "c": "z"}, "constant"),
        ({"a": None, "b": None, "c": None}, "missing"),
    ],
)
def test_categories_are_named_too(change, kind):
    """Exchanged, recased, constant and missing categories are told apart."""
    true = pd.Series(np.random.default_rng(0).choice(list("abc"), 200), dtype=object)
    assert name_encoding("f", true.map(change).astype(object), true, numerical=False).kind == kind


def served(n=800, seed=0):
    """Return a log, the recomputed table and which rows lie in the window."""
    frame = requests(n, seed)
    table = frame[["request_id"]].assign(
        amount=frame["feature_amount"], hour=frame["feature_hour"], plan=frame["feature_plan"]
    )
    return frame, table, (frame["epoch"] >= 432_000).to_numpy()


PLAIN = {"amount": "numerical", "hour": "numerical", "plan": "categorical"}


def test_equal_inputs_have_no_skew():
    """Where both stores agree, bit for bit or within the tolerance, no request is wrong."""
    frame, table, now = served()
    close = table.assign(amount=table["amount"] * (1 + 1e-9))
    for other in (table, close, table.sample(frac=1, random_state=0)):
        skew = measure_skew(frame, other, PLAIN, now)
        assert not skew.wrong.any()
    exact = {s.where: s.value for s in measure_skew(frame, close, PLAIN, now).signals if s.name == "skew_exact"}
    assert exact["feature=hour"] == 0


def test_skew_is_found_by_input_and_named():
    """An input served in another unit in the window is told apart from the others, with its share."""
    frame, table, now = served()
    frame.loc[now, "feature_amount"] *= 10
    skew = measure_skew(frame, table, PLAIN, now)
    shares = {s.where: s.value for s in skew.signals if s.name == "skew_share"}
    assert shares["feature=amount"] > 0.8
    assert shares["feature=hour"] == 0
    assert [e.detail for e in skew.encodings if e.feature == "amount"] == ["10 times the recomputed value"]


def test_skew_that_was_always_there_is_usual():
    """What differs in the reference as well is no news."""
    frame, table, now = served()
    frame["feature_hour"] += 1
    shares = {s.where: s.value for s in measure_skew(frame, table, PLAIN, now).signals if s.name == "skew_share"}
    assert abs(shares["feature=hour"]) < 0.01


@pytest.mark.parametrize("dtype", ["Int64", "float32", "int64[pyarrow]"])
def test_the_recomputed_table_may_have_any_type(dtype):
    """Nullable, narrow and Arrow types of the offline store compare with what was served."""
    frame, table, now = served()
    skew = measure_skew(frame, table.assign(hour=table["hour"].astype(dtype)), PLAIN, now)
    assert not skew.by_feature["hour"].any()


def test_missing_extra_and_broken_columns_leave_the_others():
    """A column the offline store lacks, or that holds text, does not take the others down."""
    frame, table, now = served()
    odd = table.drop(columns="amount").assign(hour="x", extra=1)
    names = {s.where for s in measure_skew(frame, odd, PLAIN, now).signals if s.name == "skew_share"}
    assert names == {"feature=hour", "feature=plan"}


def test_without_ids_nothing_is_joined():
    """An empty table, or ids that never match, join nothing and are not called equal."""
    frame, table, now = served()
    for other in (table.iloc[:0], table.assign(request_id="none")):
        joined = next(s for s in measure_skew(frame, other, PLAIN, now).signals if s.name == "skew_joined")
        assert joined.value == 0


def test_booleans_compare_whatever_they_are_called():
    """True, "true" and 1 are the same category."""
    frame, table, now = served()
    frame["feature_plan"] = pd.Series(np.where(frame["feature_hour"] > 12, "true", "false"), dtype=object)
    skew = measure_skew(frame, table.assign(plan=table["hour"] > 12), PLAIN, now)
    assert not skew.wrong.any()
