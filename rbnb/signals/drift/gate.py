"""Is a column still the same column: more missing than usual, another unit, one value everywhere, renamed categories.

Data that arrives broken looks like drift and is not: nothing about the world has changed. These checks come
before drift is judged, and hold a column against the reference's own habits, never against an ideal.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.model import Signal
from rbnb.signals.drift.bins import labels, numbers
from rbnb.signals.drift.effects import share_shift

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["missing_rise", "renamed_share", "repeated_rise", "unit_share"]

_FEWEST = 50
_FACTORS = (10.0, 100.0, 1000.0, 0.1, 0.01, 0.001)
_POINTS = 60
#: Share of the reference from which on a value is part of a column.
_RARE = 0.01
#: New names that come at once by no accident, in a column of at most so many.
_AT_ONCE, _FEW = 3, 50


def missing_rise(
    reference: Any,  # noqa: ANN401 - any column
    current: Any,  # noqa: ANN401 - any column
    *,
    kind: str = "numerical",
    name: str = "missing_rise",
    where: str = "",
) -> Signal:
    """Measure how much larger the share of values that cannot be used is than in the reference.

    Source: own definition: difference of two shares, unit ``share``.

    Missing, infinite and unreadable values count; the reason tells both shares.

    Examples
    --------
    >>> round(missing_rise([1.0, None] * 50, [1.0, None, None, None] * 50).value, 2)
    0.25
    """
    sides = [_unusable(values, kind) for values in (reference, current)]
    found = share_shift(*sides, name=name, where=where)
    method = f"share of values missing, infinite or unreadable, less the reference's; {found.method}"
    return Signal(name, found.value, "share", found.n, method, found.interval, where, 0.0, found.reason)


def _unusable(values: Any, kind: str) -> Floats:  # noqa: ANN401 - any column
    if kind == "numerical":
        return (~np.isfinite(numbers(values).column)).astype(np.float64)
    return np.array([value is None for value in labels(values)], dtype=np.float64)


def unit_share(reference: Any, current: Any, *, name: str = "unit_share", where: str = "") -> Signal:  # noqa: ANN401
    """Measure which share of the values has come in another unit: 10, 100 or 1000 times as large or small.

    Source: own definition: mixture of the reference and the reference times a factor.

    The window's distribution is fitted as a mixture of the reference and the reference times a factor. The
    share counts only where the mixture explains nearly all of a clear difference; else it is 0.

    Returns
    -------
    Signal
        Unit ``share``; the reason names the factor. The interval is the share plus and minus what the
        largest remaining distance could be worth.

    Notes
    -----
    A real change by exactly a power of ten looks the same, and deserves the same question to the source.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.exp(np.arange(1000.0) / 300)
    >>> s = unit_share(x, 1000 * x)
    >>> s.value, s.reason
    (1.0, '1000 times as large')
    """
    before, now = numbers(reference), numbers(current)
    a, b = before.finite, now.finite
    method = "mixture of the reference and the reference times a power of ten, fitted to distribution functions"
    if min(len(a), len(b)) < _FEWEST or not np.any(a != 0):
        reason = f"{min(len(a), len(b)):,} usable values on one side, {_FEWEST} are needed"
        return Signal(name, None, "share", len(b), method, where=where, reason=reason)
    a, b = np.sort(a), np.sort(b)
    fits = [_fit(a, b, factor) for factor in _FACTORS]
    share, rest, gap, factor = min(fits, key=lambda fit: fit[1])
    chance = 1.63 * math.sqrt(1 / len(a) + 1 / len(b))
    explained = gap > 2 * chance and rest <= max(gap / 5, chance) and share >= 0.02
    if not explained:
        return Signal(name, 0.0, "share", len(b), method, (0.0, min(2 * chance, 1.0)), where, 0.0, now.note())
    told = f"{factor:g} times as large" if factor > 1 else f"{1 / factor:g} times smaller"
    interval = (max(share - rest / gap * share, 0.0), min(share + rest / gap, 1.0))
    reason = "; ".join(filter(None, (told, now.note())))
    return Signal(name, share, "share", len(b), method, interval, where, 0.0, reason)


def _fit(a: Floats, b: Floats, factor: float) -> tuple[float, float, float, float]:
    """Return the share that came times `factor`, the distance that remains, and the one there was."""
    scaled = a * factor
    points = np.unique(np.concatenate([_spread(part) for part in (a, b, scaled)]))
    then, now, other = (np.searchsorted(part, points, side="right") / len(part) for part in (a, b, scaled))
    slope = other - then
    weight = float((slope**2).sum())
    share = min(max(float(((now - then) * slope).sum()) / weight, 0.0), 1.0) if weight else 0.0
    rest = float(np.abs(now - then - share * slope).max())
    return round(share, 6), rest, float(np.abs(now - then).max()), factor


def _spread(values: Floats) -> Floats:
    return np.asarray(np.quantile(values, (np.arange(_POINTS) + 0.5) / _POINTS), dtype=np.float64)


def repeated_rise(reference: Any, current: Any, *, name: str = "repeated_rise", where: str = "") -> Signal:  # noqa: ANN401
    """Measure how much of a numerical column a single value fills that the reference hardly holds.

    Source: own definition: rise of the share of one value, unit ``share``.

    A default that is written where nothing is known, a sentinel such as -999, a source that is stuck. Values that
    fill a hundredth of the reference, such as the zero of a count, are part of the column: they count only where they
    have become five times as frequent.

    Examples
    --------
    >>> s = repeated_rise(range(1000), [-999.0] * 200 + list(range(800)))
    >>> round(s.value, 2), s.reason
    (0.2, '-999: 0 → 0.2')
    """
    before, now = numbers(reference), numbers(current)
    a, b = before.finite, now.finite
    method = (
        "share of one value that the reference holds less than a hundredth or a fifth as often, less its share there"
    )
    if min(len(a), len(b)) < _FEWEST:
        reason = f"{min(len(a), len(b)):,} usable values on one side, {_FEWEST} are needed"
        return Signal(name, None, "share", len(b), method, where=where, reason=reason)
    kinds, counts = np.unique(b, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:20]
    usual = np.array([float((a == kinds[i]).mean()) for i in order])
    rare = order[(usual < _RARE) | (counts[order] / len(b) >= 5 * usual)]
    if not len(rare):
        return Signal(name, 0.0, "share", len(b), method, (0.0, 3.0 / len(b)), where, 0.0, now.note())
    top = float(kinds[rare[0]])
    found = share_shift(a == top, b == top, name=name, where=where)
    told = f"{top:g}: {found.reason}" if (found.value or 0.0) > _RARE else ""
    reason = "; ".join(filter(None, (told, now.note())))
    return Signal(name, found.value, "share", len(b), method, found.interval, where, 0.0, reason)


def renamed_share(reference: Any, current: Any, *, name: str = "renamed_share", where: str = "") -> Signal:  # noqa: ANN401
    """Measure which share of the values is in categories never seen, that took the place of ones that vanished.

    Source: own definition: share of new names that replaced old ones, unit ``share``.

    A new name beside all the old ones is news; a new name instead of an old one is an encoding that changed, and so
    are names that differ from known ones by capitals or blanks alone, and three or more new names at once in a column
    of few. The largest of these shares.

    Examples
    --------
    >>> s = renamed_share(["a", "b"] * 50, ["A", "b"] * 50)
    >>> s.value, s.reason
    (0.5, 'A instead of a')
    """
    then, today = labels(reference), labels(current)
    before = [value for value in then.tolist() if value is not None]
    now = [value for value in today.tolist() if value is not None]
    method = "smaller of the share in categories never seen and the share of those that vanished"
    if min(len(before), len(now)) < _FEWEST:
        reason = f"{min(len(before), len(now)):,} usable values on one side, {_FEWEST} are needed"
        return Signal(name, None, "share", len(now), method, where=where, reason=reason)
    was, is_ = _shares(before), _shares(now)
    fresh = {k: v for k, v in is_.items() if k not in was}
    # a category counts as vanished if four fifths of it are gone, and chance alone does not lose it
    gone = {k: v - is_.get(k, 0.0) for k, v in was.items() if is_.get(k, 0.0) <= 0.2 * v and v * len(now) >= 10}
    spelled = {_plain(name) for name in was}
    parts = [min(sum(fresh.values()), sum(gone.values())), sum(v for k, v in fresh.items() if _plain(k) in spelled)]
    if len(fresh) >= _AT_ONCE and len(was) <= _FEW:
        parts.append(sum(fresh.values()))
    value = max(parts)
    half = 1.96 * math.sqrt(value * (1 - value) / len(now)) if value else 3.0 / len(now)
    old = gone or {k: v for k, v in was.items() if k not in fresh}
    named = [", ".join(sorted(part, key=lambda k: (-part[k], k))[:3]) for part in (fresh, old)]
    missing = len(today) - len(now)
    told = f"{named[0]} instead of {named[1]}" if value else ""
    reason = "; ".join(filter(None, (told, f"{missing:,} missing, not counted" if missing else "")))
    interval = (max(value - half, 0.0), min(value + half, 1.0))
    return Signal(name, value, "share", len(now), method, interval, where, 0.0, reason)


def _plain(name: str) -> str:
    return name.strip().casefold()


def _shares(values: list[str]) -> dict[str, float]:
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return {key: count / len(values) for key, count in counts.items()}
