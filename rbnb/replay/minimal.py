"""The smallest pair that shows the fault: two requests that differ in one input, of which one is answered differently.

Delta debugging with single changes: each input of a request on which both models agree is replaced by that of a
request on which they do not; where that alone makes them disagree, that input suffices. Where no request is
answered alike, the other way round: which single replacement makes them agree. Zeller & Hildebrandt (2002),
Simplifying and isolating failure-inducing input, IEEE TSE 28, 183.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["MinimalPair", "minimise"]

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class MinimalPair:
    """Two requests, the answers to both, and the one input that makes the difference.

    Parameters
    ----------
    passing, failing
        Values in the order of the inputs.
    passing_scores, failing_scores
        Of the current and of the known-good model.
    feature
        The single input that suffices; "" if no single one does.
    tried
        How many changed requests were asked.
    """

    passing: Row
    failing: Row
    passing_scores: tuple[float | None, float | None]
    failing_scores: tuple[float | None, float | None]
    feature: str
    tried: int


def minimise(
    columns: Sequence[str],
    failing: Row,
    passing: Sequence[Row],
    ask_both: Callable[[list[Row]], list[tuple[float | None, float | None]] | None],
    apart: Callable[[float | None, float | None], bool],
) -> MinimalPair | None:
    """Find the single input that suffices to make two models disagree.

    Parameters
    ----------
    columns
        Names of the inputs.
    failing
        A request they answer differently.
    passing
        Requests they answer alike, or plausible values; the one most like `failing` is taken.
    ask_both
        Returns both models' scores for each request, or None if one does not answer any more.
    apart
        Whether two scores differ by more than the tolerance.

    Returns
    -------
    MinimalPair or None
        None if nothing could be asked.
    """
    if not passing:
        return None
    near = max(passing, key=lambda row: (sum(a == b for a, b in zip(row, failing, strict=True)), str(row)))
    changed = [i for i in range(len(columns)) if near[i] != failing[i]]
    broken = [_with(near, i, failing[i]) for i in changed]
    mended = [_with(failing, i, near[i]) for i in changed]
    scores = ask_both([near, failing, *broken, *mended])
    if scores is None:
        return None
    base, worst, first, second = scores[0], scores[1], scores[2 : 2 + len(changed)], scores[2 + len(changed) :]
    tried = 2 * len(changed)
    best: tuple[float, MinimalPair] | None = None
    for place, i in enumerate(changed):
        options = []
        if not apart(*base) and apart(*first[place]):
            options.append(MinimalPair(near, broken[place], base, first[place], columns[i], tried))
        if apart(*worst) and not apart(*second[place]):
            options.append(MinimalPair(mended[place], failing, second[place], worst, columns[i], tried))
        for pair in options:
            size = _gap(pair.failing_scores)
            if best is None or size > best[0]:
                best = (size, pair)
    return best[1] if best else MinimalPair(near, failing, base, worst, "", tried)


def _with(row: Row, i: int, value: object) -> Row:
    return (*row[:i], value, *row[i + 1 :])


def _gap(scores: tuple[float | None, float | None]) -> float:
    a, b = scores
    return float("inf") if a is None or b is None else abs(a - b)
