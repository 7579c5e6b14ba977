"""Changed labels by source, batch and stretch of time, where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from rbnb.signals.poisoning.flips import find_flipped, flip_signals
from rbnb.signals.poisoning.groups import candidate_groups, make_cells

DAY = 86_400


def world(seed, n=4_000, noise=0.05):
    """Return right probabilities, noisy labels, cells and groups of four sources over ten batches."""
    rng = np.random.default_rng(seed)
    p = expit(rng.normal(0, 3, n))
    labels = (rng.random(n) < p).astype(int)
    labels = np.where(rng.random(n) < noise, 1 - labels, labels)
    epoch = np.sort(rng.integers(0, 50 * DAY, n)).astype(float)
    source = rng.choice(list("abcd"), n)
    batch = [f"b{int(t // (5 * DAY)):02d}" for t in epoch]
    cells = make_cells(list(source), batch, epoch)
    return rng, p, labels, source, epoch, cells, candidate_groups(cells)


def ask(p, labels, cells, groups):
    """Ask every group."""
    return find_flipped(labels, np.column_stack([1 - p, p]), cells, groups, alpha=0.01, least=0.02)


def test_label_noise_alone_blames_nobody():
    """Of 40 honest tables, with a model that is too sure of itself, at most one is accused."""
    accused = 0
    for seed in range(40):
        _, p, labels, _, _, cells, groups = world(seed, n=1_500)
        sure = expit(1.5 * np.log(p / (1 - p)))
        accused += bool(ask(sure, labels, cells, groups)[0])
    assert accused <= 1


@pytest.mark.parametrize(("up", "down"), [(0.5, 0.5), (0.6, 0.0), (0.0, 0.6)])
def test_the_source_the_time_and_the_rates_are_found(up, down):
    """Labels of one source changed from one batch on: the group, both rates and the rows come out."""
    rng, p, labels, source, epoch, cells, groups = world(1)
    inside = (source == "c") & (epoch > 30 * DAY)
    change = inside & (rng.random(len(p)) < np.where(labels == 1, down, up))
    found, posterior = ask(p, np.where(change, 1 - labels, labels), cells, groups)
    assert [f.group.where for f in found] == ["source=c"]
    assert found[0].group.batches[0] == "b06"
    assert found[0].rates == (pytest.approx(up, abs=0.13), pytest.approx(down, abs=0.13))
    assert found[0].interval[0] <= change[inside].mean() <= found[0].interval[1]
    flagged = posterior > 0.5
    assert (flagged & change).sum() / flagged.sum() > 0.75
    assert not flagged[~inside].any()


def test_a_larger_share_of_changed_labels_is_a_larger_number():
    """The estimate grows with what was done."""
    values = []
    for share in (0.2, 0.4, 0.8):
        rng, p, labels, source, _, cells, groups = world(2)
        change = (source == "a") & (rng.random(len(p)) < share)
        found, _ = ask(p, np.where(change, 1 - labels, labels), cells, groups)
        values.append(found[0].share)
    assert values == sorted(values)
    assert values == pytest.approx([0.2, 0.4, 0.8], abs=0.1)


def test_a_higher_base_rate_is_no_changed_label():
    """A source whose odds are half as high again at the same inputs is not accused."""
    rng, p, labels, source, _, cells, groups = world(3)
    own = source == "b"
    odds = np.log(p / (1 - p)) + 0.4
    labels = np.where(own, rng.random(len(p)) < expit(odds), labels).astype(int)
    assert ask(p, labels, cells, groups)[0] == []


def test_two_poisoned_sources_are_both_blamed():
    """The second is asked against what is left when the first is gone."""
    rng, p, labels, source, _, cells, groups = world(4)
    change = np.isin(source, ["a", "d"]) & (rng.random(len(p)) < 0.45)
    found, _ = ask(p, np.where(change, 1 - labels, labels), cells, groups)
    assert {f.group.where for f in found} == {"source=a", "source=d"}


def test_three_classes_name_the_pair():
    """Only the pair of classes that was exchanged is told."""
    rng = np.random.default_rng(5)
    n = 3_000
    right = rng.integers(0, 3, n)
    probabilities = np.full((n, 3), 0.05)
    probabilities[np.arange(n), right] = 0.9
    source = rng.choice(list("abcd"), n)
    change = (source == "b") & (right == 2) & (rng.random(n) < 0.5)
    cells = make_cells(list(source), ["x"] * n, np.zeros(n))
    found, _ = find_flipped(
        np.where(change, 1, right), probabilities, cells, candidate_groups(cells), alpha=0.01, least=0.02
    )
    assert found[0].labels == (1, 2)
    assert found[0].rates[1] == pytest.approx(0.5, abs=0.1)


def test_signals_say_who_and_how_much():
    """The whole table first, then each group; nothing to ask is undefined."""
    rng, p, labels, source, _, cells, groups = world(6)
    change = (source == "a") & (rng.random(len(p)) < 0.4)
    found, posterior = ask(p, np.where(change, 1 - labels, labels), cells, groups)
    whole, group = flip_signals(found, posterior, ["no", "yes"], len(groups))
    assert whole.value == pytest.approx(change.mean(), abs=0.03)
    assert whole.interval[0] <= whole.value <= whole.interval[1]
    assert group.where == "source=a"
    assert "no became yes" in group.method
    assert flip_signals([], np.zeros(0), [], 0)[0].value is None


def test_groups_are_sources_batches_and_runs_of_batches():
    """Each set of rows once, none too small, none nearly everything."""
    _, _, _, source, _, cells, groups = world(7)
    names = [group.where for group in groups]
    assert {"source=a", "batch=b03", "source=a & batch=b03"} <= set(names)
    assert any(group.kind == "period" for group in groups)
    sizes = [int(cells.size[group.cells].sum()) for group in groups]
    assert min(sizes) >= 20
    assert max(sizes) <= 0.7 * len(source)
    assert len({group.cells.tobytes() for group in groups}) == len(groups)
