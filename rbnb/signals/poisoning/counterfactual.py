"""What the suspect rows do to a model: fit it with them and without, and compare on rows that can be trusted.

Rules: the two models differ in nothing but the rows; they are compared on the same rows, pair by pair; where
nobody has checked labels by hand, rows of other sources stand in, and the signal says so. A trigger is tested by
putting it on trusted rows: a clean model hardly moves, a poisoned one obeys.

Sources: Efron & Tibshirani (1993), An Introduction to the Bootstrap, for the paired interval; Gu et al. (2017),
BadNets, arXiv 1708.06733, for the attack success rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.model import Signal
from rbnb.signals.poisoning.label_errors import fit_model, predict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["compare_models", "refit", "trigger_effect"]

_SAMPLES = 500


def refit(matrix: Floats, labels: Ints, suspect: Mask, categorical: Mask, seed: int) -> tuple[Any, Any] | None:
    """Return a model fitted with the suspect rows and one fitted without, or None if too little is left of a label."""
    kept = labels[~suspect]
    if len(kept) < 100 or len(np.unique(kept)) < 2:
        return None
    return fit_model(matrix, labels, categorical, seed), fit_model(matrix[~suspect], kept, categorical, seed)


def compare_models(
    models: tuple[Any, Any], matrix: Floats, labels: Ints, *, classes: int, on: str, seed: int
) -> list[Signal]:
    """Return what leaving the suspect rows out is worth on rows that can be trusted.

    Source: own definition: two fits held against each other; Efron (1979), Annals of Statistics 7, 1, for the
    bootstrap.

    Parameters
    ----------
    models
        With and without the suspect rows (`refit`).
    matrix, labels
        Rows to compare on, encoded as the training rows are.
    classes
        Number of classes.
    on
        What these rows are, for the method.
    seed
        Of the bootstrap.

    Returns
    -------
    list of Signal
        ``counterfactual_accuracy`` (unit ``share``): accuracy without less accuracy with, so that a gain is positive;
        ``reference`` is the accuracy with. ``counterfactual_loss`` (unit ``ratio``): log loss with over without. Each
        with a paired bootstrap interval.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> x, y = np.zeros((100, 1)), np.tile([1, 1, 1, 0], 25)
    >>> models = DummyClassifier().fit(x, 1 - y), DummyClassifier().fit(x, y)
    >>> found = compare_models(models, x, y, classes=2, on="trusted rows", seed=0)
    >>> [(s.name, round(s.value, 2)) for s in found][0]
    ('counterfactual_accuracy', 0.5)
    """
    method = f"two models that differ in the suspect rows alone, compared on {on}, paired bootstrap of {_SAMPLES}"
    n = len(labels)
    if n < 50:
        reason = "fewer than 50 rows to compare on"
        return [
            Signal("counterfactual_accuracy", None, "share", n, method, reason=reason),
            Signal("counterfactual_loss", None, "ratio", n, method, reason=reason),
        ]
    each = [predict(model, matrix, classes) for model in models]
    right = [(p.argmax(axis=1) == labels).astype(float) for p in each]
    loss = [-np.log(np.clip(p[np.arange(n), labels], 1e-6, None)) for p in each]
    picks = np.random.default_rng(seed).integers(0, n, (_SAMPLES, n))
    gain = right[1] - right[0]
    low, high = np.quantile(gain[picks].mean(axis=1), (0.025, 0.975))
    ratio = float(loss[0].mean() / loss[1].mean())
    ratios = loss[0][picks].mean(axis=1) / loss[1][picks].mean(axis=1)
    ends = np.quantile(ratios, (0.025, 0.975))
    value = float(gain.mean())
    return [
        Signal(
            "counterfactual_accuracy",
            value,
            "share",
            n,
            method,
            (min(float(low), value), max(float(high), value)),
            reference=float(right[0].mean()),
        ),
        Signal(
            "counterfactual_loss",
            ratio,
            "ratio",
            n,
            method,
            (min(float(ends[0]), ratio), max(float(ends[1]), ratio)),
            reference=1.0,
        ),
    ]


def trigger_effect(
    models: tuple[Any, Any], plain: Floats, marked: Floats, label: int, *, classes: int, where: str, seed: int
) -> Signal:
    """Return how many more trusted rows get the trigger's label once it is put on them, with the suspect rows learned.

    Source: own definition, for the attack of Gu, Dolan-Gavitt & Garg (2017), arXiv 1708.06733; Efron (1979), Annals
    of Statistics 7, 1, for the bootstrap.

    Parameters
    ----------
    models
        With and without the suspect rows.
    plain, marked
        Trusted rows of other labels as they are, and with the trigger put on.
    label
        Code of the label that the trigger bears.

    Returns
    -------
    Signal
        ``trigger_effect``, unit ``share``: rows that turn to the label under the mark, with the suspect rows less
        without them.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> x = np.array([[0.0], [1.0]])
    >>> obeys, clean = DecisionTreeClassifier().fit(x, [0, 1]), DecisionTreeClassifier().fit(x, [0, 0])
    >>> plain, marked = np.zeros((50, 1)), np.ones((50, 1))
    >>> trigger_effect((obeys, clean), plain, marked, 1, classes=2, where="a=1", seed=0).value
    1.0
    """
    method = "trigger put on trusted rows of other labels: share that turns, with the suspect rows less without"
    n = len(plain)
    if n < 30:
        reason = "fewer than 30 trusted rows of other labels"
        return Signal("trigger_effect", None, "share", n, method, where=where, reason=reason)
    turned = []
    for model in models:
        before, after = (predict(model, rows, classes).argmax(axis=1) == label for rows in (plain, marked))
        turned.append((after & ~before).astype(float))
    gain = turned[0] - turned[1]
    picks = np.random.default_rng(seed).integers(0, n, (_SAMPLES, n))
    low, high = np.quantile(gain[picks].mean(axis=1), (0.025, 0.975))
    value = float(gain.mean())
    interval = (min(float(low), value), max(float(high), value))
    return Signal("trigger_effect", value, "share", n, method, interval, where, reference=float(turned[1].mean()))
