"""How plausible each label is: out-of-fold probabilities, and confident learning over them.

A model is trained on some of the rows and says how likely each label of the others is. Rules: the rows of one
source are scored by a model that has not seen that source, where there are at least three, so that what a
source teaches wrongly cannot vouch for itself; the model is seeded and small; a big table is learned from a
bounded sample and scored in full.

Sources: Northcutt, Jiang & Chuang (2021), Confident Learning, JAIR 70 (as in the library cleanlab); the
model is scikit-learn's histogram gradient boosting.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.model import Signal
from rbnb.signals.intervals import share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

__all__ = ["assign_folds", "class_pairs", "fit_model", "label_issues", "out_of_fold", "predict"]

#: Rows a fold is learned from at most; more make the probabilities hardly better.
_LEARNED_FROM = 40_000
_FOLDS = 5


def assign_folds(groups: Sequence[str], labels: Ints, seed: int) -> tuple[Ints, str]:
    """Return a fold for each row, and in words how they were made.

    Whole groups go together, the largest first into the emptiest fold, if there are at least three groups and
    none holds more than six tenths of the rows; else rows are dealt out class by class.

    Examples
    --------
    >>> folds, how = assign_folds(["a"] * 5 + ["b"] * 4 + ["c"] * 3, np.array([0, 1] * 6), 1)
    >>> [len(set(folds[part])) for part in (slice(0, 5), slice(5, 9), slice(9, 12))], how
    ([1, 1, 1], 'each of 3 groups scored by a model that has not seen it')
    """
    names, index, counts = np.unique(np.asarray(groups, dtype=str), return_inverse=True, return_counts=True)
    if len(names) >= 3 and counts.max() <= 0.6 * len(index):
        fold_of, filled = np.zeros(len(names), dtype=np.int64), np.zeros(min(len(names), _FOLDS + 1))
        for group in np.lexsort((names, -counts)):
            fold_of[group] = int(np.argmin(filled))
            filled[fold_of[group]] += counts[group]
        return fold_of[index], f"each of {len(names)} groups scored by a model that has not seen it"
    rng = np.random.default_rng(seed)
    folds = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        folds[rng.permutation(rows)] = np.arange(len(rows)) % _FOLDS
    return folds, f"{_FOLDS} folds"


def fit_model(matrix: Floats, labels: Ints, categorical: Mask, seed: int) -> Any:  # noqa: ANN401 - scikit-learn's
    """Fit a small gradient boosting model; big tables are learned from a seeded sample of 40,000 rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # type: ignore[import-untyped]

    if len(labels) > _LEARNED_FROM:
        rows = np.sort(np.random.default_rng(seed).choice(len(labels), _LEARNED_FROM, replace=False))
        matrix, labels = matrix[rows], labels[rows]
    model = HistGradientBoostingClassifier(
        max_iter=40,
        learning_rate=0.14,
        max_leaf_nodes=12,
        min_samples_leaf=25,
        l2_regularization=2.0,
        early_stopping=False,
        categorical_features=categorical if categorical.any() else None,
        random_state=seed,
    )
    with _one_thread():
        return model.fit(matrix, labels)


def _one_thread() -> Any:  # noqa: ANN401 - a context manager of threadpoolctl
    """Return a context in which small models are fitted on one core: more wait for each other on a busy machine."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    return threadpool_limits(limits=1)


def predict(model: Any, matrix: Floats, classes: int) -> Floats:  # noqa: ANN401 - scikit-learn's
    """Return probabilities over all `classes`; a class the model never saw has a probability of nearly 0."""
    found = np.full((len(matrix), classes), 1e-6)
    if len(matrix):
        with _one_thread():
            found[:, model.classes_] = model.predict_proba(matrix)
    found = np.clip(found, 1e-6, None)
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def out_of_fold(
    matrix: Floats, labels: Ints, folds: Ints, categorical: Mask, seed: int, *, leave_out: Mask | None = None
) -> Floats:
    """Return for each row the probabilities of all classes, from a model that has not seen its fold.

    Parameters
    ----------
    matrix, labels
        Features (NaN where missing) and class codes from 0.
    folds
        Of each row (`assign_folds`).
    categorical
        Which columns hold codes.
    seed
        Of the model, and of the sample that a big table is learned from.
    leave_out
        Rows that no model learns from; they are scored all the same.
    """
    classes = int(labels.max()) + 1 if len(labels) else 0
    found = np.full((len(labels), classes), 1.0 / max(classes, 1))
    learn = np.ones(len(labels), dtype=bool) if leave_out is None else ~leave_out
    for fold in np.unique(folds):
        inside, rest = folds == fold, (folds != fold) & learn
        if len(np.unique(labels[rest])) < 2:
            continue
        found[inside] = predict(fit_model(matrix[rest], labels[rest], categorical, seed), matrix[inside], classes)
    return found


def label_issues(labels: Ints, probabilities: Floats) -> tuple[Mask, Floats, Signal]:
    """Return which labels confident learning doubts, how good each label is (0 to 1), and the share doubted.

    Source: Northcutt, Jiang & Chuang (2021), Confident Learning, JAIR 70; unit ``share``.

    Parameters
    ----------
    labels
        Class codes from 0.
    probabilities
        Out of fold, one column a class.

    Notes
    -----
    cleanlab's `find_label_issues` (prune by noise rate) and self confidence. Every honest table has a few per
    cent; it is where they gather that tells. Northcutt et al. (2021).

    Examples
    --------
    >>> labels = np.tile([0, 1], 100)
    >>> sure = np.eye(2)[labels] * 0.8 + 0.1
    >>> sure[:10:2] = [0.1, 0.9]
    >>> doubted, _, signal = label_issues(labels, sure)
    >>> np.flatnonzero(doubted).tolist(), signal.value
    ([0, 2, 4, 6, 8], 0.025)
    """
    method = "cleanlab find_label_issues, prune by noise rate, out-of-fold probabilities"
    if len(labels) < 50 or len(np.unique(labels)) < 2:
        reason = "fewer than 50 rows, or one label only"
        none = Signal("label_issue_share", None, "share", len(labels), method, reason=reason)
        return np.zeros(len(labels), dtype=bool), np.ones(len(labels)), none
    with warnings.catch_warnings():
        # its progress bar says in a notebook that it has no widgets; no bar is shown here
        warnings.filterwarnings("ignore", message="IProgress not found")
        from cleanlab.filter import find_label_issues  # type: ignore[import-untyped]

    present = np.unique(labels)
    code = np.searchsorted(present, labels)
    kept = probabilities[:, present] / probabilities[:, present].sum(axis=1, keepdims=True)
    issues = np.asarray(find_label_issues(code, kept, n_jobs=1), dtype=bool)
    quality = kept[np.arange(len(code)), code]
    return issues, quality, share("label_issue_share", int(issues.sum()), len(labels), method=method)


def class_pairs(labels: Ints, probabilities: Floats, names: Sequence[str], now: Mask) -> list[Signal]:
    """Return for each ordered pair of classes how much more often it is confused now than before.

    Source: Northcutt, Jiang & Chuang (2021), Confident Learning, JAIR 70; Newcombe (1998), Statistics in Medicine
    17, 873.

    Parameters
    ----------
    labels, probabilities
        As for `label_issues`.
    names
        Of the classes.
    now
        Rows to hold against the others.

    Returns
    -------
    list of Signal
        ``class_pair``, unit ``share``, ``where`` = ``given=<a> & true=<b>``: the share of rows given label a whose
        confident class is b, now less before, with the interval of a difference of two shares (Newcombe 1998);
        the six largest. Counts are those of the confident joint, uncalibrated.

    Examples
    --------
    >>> labels, now = np.tile([0, 1], 50), np.arange(100) >= 50
    >>> sure = np.eye(2)[labels] * 0.8 + 0.1
    >>> sure[now & (labels == 0)] = [0.1, 0.9]
    >>> s = class_pairs(labels, sure, ["no", "yes"], now)[0]
    >>> s.where, round(s.value, 2)
    ('given=no & true=yes', 1.0)
    """
    method = "confident joint: rows given one label whose confident class is another, now less before"
    if not now.any() or now.all() or len(labels) < 50:
        return [Signal("class_pair", None, "share", len(labels), method, reason="no rows to compare with before")]
    confident = _confident_class(labels, probabilities)
    found = []
    for a in range(len(names)):
        of_now, of_then = (labels == a) & now, (labels == a) & ~now
        if of_now.sum() < 10 or of_then.sum() < 10:
            continue
        for b in range(len(names)):
            if a != b:
                where = f"given={names[a]} & true={names[b]}"
                counts = [(int((confident[part] == b).sum()), int(part.sum())) for part in (of_now, of_then)]
                found.append(_difference(where, counts[0], counts[1], method))
    found.sort(key=lambda s: (-(s.interval[0] if s.interval else 0.0), s.where))
    return found[:6] or [
        Signal("class_pair", None, "share", int(now.sum()), method, reason="no class has ten rows on each side")
    ]


def _confident_class(labels: Ints, probabilities: Floats) -> Ints:
    """Return the class each row confidently belongs to, or -1: its probability reaches that of the class's own rows."""
    limits = np.array(
        [probabilities[labels == k, k].mean() if (labels == k).any() else 1.0 for k in range(probabilities.shape[1])]
    )
    above = np.where(probabilities >= limits[None, :], probabilities, -1.0)
    return np.where(above.max(axis=1) > 0, above.argmax(axis=1), -1)


def _difference(where: str, now: tuple[int, int], then: tuple[int, int], method: str) -> Signal:
    one, other = share("", *now), share("", *then)
    assert one.value is not None  # noqa: S101 - both sides have ten rows
    assert other.value is not None  # noqa: S101
    (low, high), (base_low, base_high) = one.interval or (0.0, 1.0), other.interval or (0.0, 1.0)
    gap = one.value - other.value
    interval = (
        gap - float(np.hypot(one.value - low, base_high - other.value)),
        gap + float(np.hypot(high - one.value, other.value - base_low)),
    )
    return Signal("class_pair", gap, "share", now[1], method, interval, where, reference=0.0)
