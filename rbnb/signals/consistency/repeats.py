"""Compare the answers to a request that was asked more than once.

Logged requests with identical inputs are put in pairs, each with the one before it, and the two scores are
compared within a tolerance. What the two do not share (host, version, time) says what kind of repeat it is, and
which place divides the pairs that agree from those that do not says who is at fault. Rules:

- Identical means identical: inputs are compared bit by bit, a missing input equals a missing input.
- What a deterministic model does on repeats is known: nothing differs. Where the log does not hold all inputs,
  the reference shows how often equal inputs differ anyway, and only the excess over it counts.
- Two scores that are both missing are the same; one missing and one not are different.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.model import Signal
from rbnb.signals.intervals import share

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

__all__ = ["Pairs", "differs", "excess_share", "fingerprints", "pair_repeats", "repeat_kinds", "repeat_signals"]

#: Odd constant of a multiplicative hash (the golden ratio in 64 bits; Knuth, TAOCP 3, 6.4).
_MIX = np.uint64(0x9E3779B97F4A7C15)
_HOUR = 3_600
KINDS = ("determinism", "replica", "version", "time")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Positions of two rows with the same inputs, the earlier one first, and how they compare.

    Parameters
    ----------
    first, second
        Row positions.
    apart
        The scores differ by more than the tolerance.
    material
        They differ by more than what matters, or the decision differs.
    flipped
        The decision differs; all False where no decision is logged.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    apart: Flags
    material: Flags
    flipped: Flags

    def where(self, keep: Flags) -> Pairs:
        """Return only some of the pairs."""
        return Pairs(self.first[keep], self.second[keep], self.apart[keep], self.material[keep], self.flipped[keep])

    def __len__(self) -> int:
        return len(self.first)


def differs(one: Any, other: Any, relative: float = 1e-5, absolute: float = 1e-8) -> Flags:  # noqa: ANN401 - any sequence of numbers
    """Return where two numbers are not the same within ``absolute + relative * max(|a|, |b|)``.

    The tolerance of `numpy.isclose`, made symmetric. NaN equals NaN, and an infinity only itself.

    Examples
    --------
    >>> differs([0.5, 0.5, float("nan")], [0.5000001, 0.51, float("nan")]).tolist()
    [False, True, False]
    """
    a, b = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    gone_a, gone_b = np.isnan(a), np.isnan(b)
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= absolute + relative * np.maximum(np.abs(a), np.abs(b))
    finite = np.isfinite(a) & np.isfinite(b)
    same = np.where(finite, near, (a == b) | (gone_a & gone_b))
    return np.asarray(~same, dtype=np.bool_)


def fingerprints(rows: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.uint64]:
    """Return one number a row that is the same where all `columns` hold the same; missing equals missing.

    Examples
    --------
    >>> import pandas as pd
    >>> keys = fingerprints(pd.DataFrame({"a": [1.0, 1.0, 2.0], "b": ["x", "x", "x"]}), ["a", "b"])
    >>> bool(keys[0] == keys[1]), bool(keys[0] == keys[2])
    (True, False)
    """
    import pandas as pd

    mixed = np.full(len(rows), np.uint64(len(columns)), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for name in columns:
            values = rows[name]
            if pd.api.types.is_numeric_dtype(values.dtype):
                numbers = values.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0  # -0.0 becomes 0.0
                hashed = pd.util.hash_array(np.where(np.isnan(numbers), np.nan, numbers))
            else:
                texts = values.astype(object)
                plain = texts.where(texts.notna(), "\x00").astype(str).to_numpy(dtype=object)
                hashed = pd.util.hash_array(plain)
            mixed = (mixed ^ hashed) * _MIX
            mixed ^= mixed >> np.uint64(32)
    return mixed


def pair_repeats(
    rows: pd.DataFrame, columns: Sequence[str], *, relative: float = 1e-5, absolute: float = 1e-8, material: float = 0.0
) -> Pairs:
    """Pair each request with the one before it that had the same inputs, and compare their outputs.

    Parameters
    ----------
    rows
        With ``epoch``, ``score`` and perhaps ``prediction``, besides `columns`.
    columns
        What makes two requests the same.
    relative, absolute
        Tolerance of `differs`.
    material
        How far two scores may be apart, in the score's unit, without it mattering.
    """
    scores = rows["score"].to_numpy(dtype=np.float64, na_value=np.nan)
    keys = fingerprints(rows, columns)
    order = np.lexsort((scores, rows["epoch"].to_numpy(dtype=np.int64), keys))
    same = keys[order][1:] == keys[order][:-1]
    first, second = order[:-1][same].astype(np.int64), order[1:][same].astype(np.int64)
    a, b = scores[first], scores[second]
    apart = differs(a, b, relative, absolute)
    flipped = _flips(rows, first, second) & apart
    both = np.isfinite(a) & np.isfinite(b)
    near = both & (np.abs(np.where(both, a - b, 0.0)) <= material)
    return Pairs(first, second, apart, apart & (flipped | ~near), flipped)


def _flips(rows: pd.DataFrame, first: NDArray[np.int64], second: NDArray[np.int64]) -> Flags:
    if "prediction" not in rows:
        return np.zeros(len(first), dtype=np.bool_)
    said = rows["prediction"].astype(object)
    plain = said.where(said.notna(), "").astype(str).to_numpy(dtype=object)
    one, other = plain[first], plain[second]
    return np.asarray((one != other) & (one != "") & (other != ""), dtype=np.bool_)


def repeat_kinds(rows: pd.DataFrame, pairs: Pairs, host: str = "") -> dict[str, Flags]:
    """Say of each pair what its two requests do not share.

    Parameters
    ----------
    rows
        With ``epoch`` and perhaps ``version``.
    pairs
        Of these rows.
    host
        Column that names the replica; "" where none is logged.

    Returns
    -------
    dict of str to flags
        ``version``: another version. ``replica``: the same version, another host. ``determinism``: the same
        version and host within an hour. ``time``: the same version and host, further apart.
    """
    versions = _codes(rows, "version")
    hosts = _codes(rows, host)
    epochs = rows["epoch"].to_numpy(dtype=np.int64)
    other_version = versions[pairs.first] != versions[pairs.second]
    other_host = ~other_version & (hosts[pairs.first] != hosts[pairs.second])
    near = np.abs(epochs[pairs.second] - epochs[pairs.first]) <= _HOUR
    alike = ~other_version & ~other_host
    return {"determinism": alike & near, "replica": other_host, "version": other_version, "time": alike & ~near}


def _codes(rows: pd.DataFrame, column: str) -> NDArray[np.int64]:
    import pandas as pd

    if not column or column not in rows:
        return np.zeros(len(rows), dtype=np.int64)
    return np.asarray(pd.factorize(rows[column])[0], dtype=np.int64)


def excess_share(
    name: str, count: int, n: int, usual: tuple[int, int] = (0, 0), *, method: str = "", where: str = ""
) -> Signal:
    """Return how much larger a share is than the reference's, with the hybrid Wilson interval of the difference.

    Source: Newcombe (1998), Statistics in Medicine 17, 873, method 10; unit ``share``.

    Where the reference holds nothing to compare, nothing is expected. Newcombe (1998), Statistics in
    Medicine 17, 873, method 10.

    Examples
    --------
    >>> found = excess_share("mismatch", 10, 100, (0, 100))
    >>> found.value, found.interval[0] > 0.03
    (0.1, True)
    """
    now, before = share(name, count, n), share(name, *usual)
    if now.value is None or now.interval is None:
        why = "there is nothing to compare"
        return Signal(name, None, "share", 0, method or "share", where=where, reason=why)
    base, base_interval = (before.value or 0.0), before.interval or (0.0, 0.0)
    middle = now.value - base
    down = math.hypot(now.value - now.interval[0], base_interval[1] - base)
    up = math.hypot(now.interval[1] - now.value, base - base_interval[0])
    text = f"{method or 'share'} minus the same in the reference (n {usual[1]:,}), Newcombe interval"
    interval = (max(middle - down, -1.0), min(middle + up, 1.0))
    return Signal(name, middle, "share", n, text, interval, where, base)


def repeat_signals(rows: pd.DataFrame, pairs: Pairs, current: Flags, *, host: str = "") -> list[Signal]:
    """Return how often repeated requests differ, over all and by what the two do not share.

    Source: own definition: shares of pairs beyond those of the reference, with the interval of Newcombe (1998),
    Statistics in Medicine 17, 873.

    Parameters
    ----------
    rows
        Window and reference together.
    pairs
        Of these rows.
    current
        Which rows lie in the window; a pair counts there if its later request does.
    host
        Column that names the replica.

    Returns
    -------
    list of Signal
        ``repeat_pairs`` (count), ``repeat_mismatch`` (beyond the tolerance), ``repeat_material`` (beyond what
        matters), ``decision_flips``, and ``<kind>_mismatch`` for each kind; shares in excess of the reference.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"feature_a": [1.0, 1.0, 2.0, 2.0], "score": [0.1, 0.1, 0.3, 0.4], "epoch": [0, 60, 0, 60]})
    >>> found = repeat_signals(rows, pair_repeats(rows, ["feature_a"]), np.ones(4, dtype=bool))
    >>> [(s.name, s.value) for s in found[:2]]
    [('repeat_pairs', 2.0), ('repeat_mismatch', 0.5)]
    """
    now = current[pairs.second]
    found = [Signal("repeat_pairs", float(now.sum()), "count", int(now.sum()), "pairs of requests with equal inputs")]
    for name, flags, what in (
        ("repeat_mismatch", pairs.apart, "pairs with equal inputs whose scores differ"),
        ("repeat_material", pairs.material, "pairs with equal inputs whose scores differ by what matters"),
        ("decision_flips", pairs.flipped, "pairs with equal inputs whose decisions differ"),
    ):
        if name != "decision_flips" or "prediction" in rows:
            found.append(_excess(name, flags, now, what))
    for kind, member in repeat_kinds(rows, pairs, host).items():
        told = {
            "determinism": "same host and version within an hour",
            "replica": "same version, another host",
            "version": "another version",
            "time": "same host and version, more than an hour apart",
        }[kind]
        found.append(_excess(f"{kind}_mismatch", pairs.material, now, told, member))
    return found


def _excess(name: str, flags: Flags, now: Flags, method: str, member: Flags | None = None) -> Signal:
    inside = np.ones(len(flags), dtype=np.bool_) if member is None else member
    now, before = now & inside, ~now & inside
    usual = (int(flags[before].sum()), int(before.sum()))
    return excess_share(name, int(flags[now].sum()), int(now.sum()), usual, method=method)
