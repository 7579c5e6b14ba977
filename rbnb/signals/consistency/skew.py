"""Training–serving skew: the inputs a model was served against the same inputs as the offline store computes them.

Both are joined by request id. Rules: first exactly, then within the tolerance; an input that is missing on one
side differs; what differs in the reference too is usual, and only the excess counts; ids that are missing on
one side are counted. The comparison by id is that of TensorFlow Data Validation's feature skew detection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rbnb.model import Signal
from rbnb.signals.consistency.encoding import name_encoding
from rbnb.signals.consistency.repeats import differs, excess_share
from rbnb.signals.intervals import share

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from rbnb.signals.consistency.encoding import Encoding

    Flags = NDArray[np.bool_]

__all__ = ["Skew", "measure_skew"]


@dataclass(frozen=True, slots=True)
class Skew:
    """Served against recomputed.

    Parameters
    ----------
    signals
        ``skew_joined`` (count), ``skew_unmatched`` (share of the window's ids that were not recomputed), and
        for each feature ``skew_exact`` and ``skew_share`` (beyond the tolerance), in excess of the reference.
    encodings
        What turned the one into the other, for each feature that differs in the window.
    wrong
        For each of the rows given: whether any feature differs beyond the tolerance, of those that do not differ
        as often in the reference. False where not joined.
    joined
        Which of the rows given were found in the recomputed table.
    by_feature
        The same by feature.
    """

    signals: tuple[Signal, ...]
    encodings: tuple[Encoding, ...]
    wrong: Flags
    joined: Flags
    by_feature: Mapping[str, Flags]


def measure_skew(
    rows: pd.DataFrame,
    recomputed: pd.DataFrame,
    kinds: Mapping[str, str],
    current: Flags,
    *,
    relative: float = 1e-5,
    absolute: float = 1e-8,
) -> Skew:
    """Join served and recomputed inputs by request id and compare them.

    Source: Breck et al. (2019), Data Validation for Machine Learning, for the comparison by id (as in
    TensorFlow Data Validation); the excess over the reference, unit ``share``, is an own definition.

    Parameters
    ----------
    rows
        Window and reference, with ``request_id``, ``epoch`` and ``feature_<name>``.
    recomputed
        ``request_id`` and the features under their own names.
    kinds
        ``numerical`` or ``categorical`` of each feature, by its own name.
    current
        Which rows lie in the window.
    relative, absolute
        Tolerance of `rbnb.signals.consistency.repeats.differs`.

    Examples
    --------
    >>> import pandas as pd
    >>> served = pd.DataFrame({"request_id": ["a", "b"], "epoch": [0, 60], "feature_x": [1.0, 200.0]})
    >>> offline = pd.DataFrame({"request_id": ["a", "b"], "x": [1.0, 2.0]})
    >>> found = measure_skew(served, offline, {"x": "numerical"}, np.array([True, True]))
    >>> [s.value for s in found.signals if s.name in ("skew_joined", "skew_share")]
    [2.0, 0.5]
    """
    both = _aligned(rows, recomputed)
    joined = both is not None and both["_there"].to_numpy(dtype=np.bool_)
    there = np.asarray(joined, dtype=np.bool_) if both is not None else np.zeros(len(rows), dtype=np.bool_)
    now, n = current & there, int((current & there).sum())
    with_id = int((current & rows["request_id"].notna().to_numpy()).sum()) if "request_id" in rows else 0
    signals = [
        Signal("skew_joined", float(n), "count", n, "requests of the window with recomputed inputs"),
        share("skew_unmatched", with_id - n, with_id, method="requests of the window that were not recomputed"),
    ]
    wrong = np.zeros(len(rows), dtype=np.bool_)
    encodings, flags = [], {}
    entity = _entity(recomputed, kinds)
    for name, kind in kinds.items():
        if both is None or name not in recomputed or not now.any():
            continue
        exact, beyond = _compare(rows[f"feature_{name}"], both[name], kind, relative, absolute)
        exact, beyond = exact & there, beyond & there
        past = there & ~current
        for label, found in (("skew_exact", exact), ("skew_share", beyond)):
            usual = (int(found[past].sum()), int(past.sum()))
            told = "served and recomputed differ" + (" beyond the tolerance" if label == "skew_share" else "")
            where = f"feature={name}"
            signals.append(excess_share(label, int(found[now].sum()), n, usual, method=told, where=where))
        flags[name] = beyond
        low = (signals[-1].interval or (0.0, 0.0))[0]
        # an input that always differed would hide the one that now does: it counts only if it differs more often
        if low > 0 or not (beyond & past).any():
            wrong |= beyond
        if (exact & now).any():
            who = both[entity][now] if entity else None
            epochs = rows["epoch"].to_numpy(dtype=np.int64)[now]
            one, other = _alike(rows.loc[now, f"feature_{name}"], both.loc[now, name], kind)
            named = name_encoding(name, one, other, numerical=kind == "numerical", epochs=epochs, entities=who)
            encodings.append(named)
    return Skew(tuple(signals), tuple(encodings), wrong, there, flags)


def _aligned(rows: pd.DataFrame, recomputed: pd.DataFrame) -> pd.DataFrame | None:
    """Return the recomputed rows in the order of `rows`, with ``_there``; of an id given twice the last counts."""
    if "request_id" not in rows or "request_id" not in recomputed or not len(recomputed):
        return None
    table = recomputed.assign(request_id=recomputed["request_id"].astype(str))
    table = table.drop_duplicates("request_id", keep="last").set_index("request_id").assign(_there=True)
    ids = rows["request_id"].astype(object)
    both = table.reindex(ids.where(ids.notna(), "\x00none").astype(str))
    both["_there"] = both["_there"].eq(True)  # noqa: FBT003 - a comparison with a column
    both.index = rows.index
    return both


def _entity(recomputed: pd.DataFrame, kinds: Mapping[str, str]) -> str:
    """Return the column of the recomputed table that says whom a row is about, if there is one."""
    for name in recomputed.columns:
        plain = str(name).lower()
        if (
            name not in kinds
            and plain != "request_id"
            and ("entity" in plain or plain.endswith(("_id", "customer", "user")))
        ):
            return str(name)
    return ""


def _compare(served: pd.Series, other: pd.Series, kind: str, relative: float, absolute: float) -> tuple[Flags, Flags]:
    """Return where two columns differ exactly, and beyond the tolerance."""
    if kind == "numerical":
        a, b = _numbers(served).to_numpy(), _numbers(other).to_numpy()
        return differs(a, b, 0.0, 0.0), differs(a, b, relative, absolute)
    a, b = (_texts(values) for values in (served, other))
    apart = np.asarray(a != b, dtype=np.bool_)
    return apart, apart


def _alike(served: pd.Series, other: pd.Series, kind: str) -> tuple[pd.Series, pd.Series]:
    """Return two columns as the same type."""
    import pandas as pd

    if kind == "numerical":
        return _numbers(served), _numbers(other)
    return pd.Series(_texts(served), dtype=object), pd.Series(_texts(other), dtype=object)


def _texts(values: pd.Series) -> NDArray[np.object_]:
    """Return categories as text, None where missing; a flag is true or false however it is stored."""
    plain = values.astype(object)
    known = plain.where(plain.notna(), None)
    return np.asarray([None if v is None else _text(v) for v in known], dtype=object)


def _text(value: object) -> str:
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _numbers(values: pd.Series) -> pd.Series:
    """Return numbers, missing where the other store holds something else."""
    import pandas as pd

    plain = values if pd.api.types.is_numeric_dtype(values.dtype) else values.astype(object)
    return pd.to_numeric(plain, errors="coerce").astype("Float64").astype(np.float64)
