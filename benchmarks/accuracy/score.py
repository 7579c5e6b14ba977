"""Count: shares with Wilson intervals, medians, and the targets they are held against.

Definitions (the report repeats them): *found* is a verdict that raises an alarm (genuine, transient or
infrastructure) on a fault of the runbook's own mode; a *false alarm* is such a verdict where nothing harmful happened;
*inconclusive* is counted apart and is never right nor a false alarm; an error counts as wrong everywhere.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.accuracy.run import ALARMS
from rbnb.signals.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.accuracy.run import Outcome

__all__ = ["ENOUGH", "Promise", "Share", "alarmed", "correct", "measures", "median", "promises", "share", "where"]

#: From how many rows in the window on a verdict is owed.
ENOUGH = 1_000


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        """The share, or None of nothing."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval."""
        return wilson(self.hits, self.n)

    def __str__(self) -> str:
        if not self.n:
            return "–"
        low, high = self.interval
        return f"{self.hits}/{self.n} = {100 * self.hits / self.n:.1f} % ({100 * low:.0f}–{100 * high:.0f})"


@dataclass(frozen=True)
class Promise:
    """Something the project means to reach, and what was measured."""

    what: str
    target: str
    measured: str
    kept: bool | None


def where(
    outcomes: Iterable[Outcome],
    *,
    mode: str = "",
    kinds: Sequence[str] = (),
    sizes: Sequence[str] = (),
    least: int = 0,
    family: str = "",
) -> list[Outcome]:
    """Return the outcomes of a mode, of some kinds and sizes, with at least so many rows."""
    return [
        one
        for one in outcomes
        if (not mode or one.scenario["mode"] == mode)
        and (not kinds or one.kind in kinds)
        and (not sizes or one.scenario["size"] in sizes)
        and (not family or one.scenario["family"] == family)
        and one.scenario["rows"] >= least
    ]


def alarmed(one: Outcome) -> bool:
    """Whether somebody would be told that something is, or was, wrong."""
    return one.verdict in ALARMS


def correct(one: Outcome) -> bool:
    """Whether the verdict is right for the kind of scenario."""
    kind = one.kind
    if one.error:
        return False
    if kind == "slight":
        return one.verdict != "inconclusive"
    if kind in ("healthy", "harmless"):
        return one.verdict == "healthy"
    if kind == "elsewhere":
        return one.verdict == "healthy" or bool(one.referrals)
    if kind == "mixed":
        return one.verdict != "healthy" and (bool(one.top_3) or bool(one.referrals))
    return alarmed(one)


def share(outcomes: Sequence[Outcome], holds: Callable[[Outcome], bool]) -> Share:
    """Return of how many outcomes something holds."""
    return Share(sum(map(holds, outcomes)), len(outcomes))


def _known(outcomes: Sequence[Outcome], name: str) -> list[float]:
    return [float(value) for one in outcomes if (value := getattr(one, name)) is not None]


def median(outcomes: Sequence[Outcome], name: str) -> float | None:
    """Return the median of what is known of an outcome."""
    values = _known(outcomes, name)
    return statistics.median(values) if values else None


def _said(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _named(outcomes: Sequence[Outcome], name: str) -> Share:
    values = _known(outcomes, name)
    return Share(int(sum(values)), len(values))


def measures(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Return every measure of some outcomes of one mode, as text."""
    faults = where(outcomes, kinds=["fault"])
    well = where(outcomes, kinds=["healthy", "harmless"])
    own = [*faults, *well]
    big = ["medium", "large"]
    plain = where(faults, sizes=big)
    return {
        "verdict right": str(share(own, correct)),
        "false alarms": str(share(well, alarmed)),
        "small found": str(share(where(faults, sizes=["small"]), alarmed)),
        "medium found": str(share(where(faults, sizes=["medium"]), alarmed)),
        f"medium found, n ≥ {ENOUGH:,}": str(share(where(faults, sizes=["medium"], least=ENOUGH), alarmed)),
        "large found": str(share(where(faults, sizes=["large"]), alarmed)),
        f"large found, n ≥ {ENOUGH:,}": str(share(where(faults, sizes=["large"], least=ENOUGH), alarmed)),
        "top-1 cause, medium and large": str(_named(plain, "top_1")),
        "top-3 cause, medium and large": str(_named(plain, "top_3")),
        "onset error, median buckets": _said(median(plain, "onset_error")),
        "onset within 1 bucket": str(share([o for o in plain if o.onset_error is not None], _near)),
        "affected segment recalled": _said(_mean(plain, "segment")),
        "poisoned rows: median precision": _said(median(plain, "precision")),
        "poisoned rows: median recall": _said(median(plain, "recall")),
        f"inconclusive, n ≥ {ENOUGH:,}": str(share(where(own, least=ENOUGH), _open)),
        f"inconclusive, n < {ENOUGH:,}": str(share([o for o in own if o.scenario["rows"] < ENOUGH], _open)),
        "drift without much effect: paged": str(share(where(outcomes, kinds=["slight"]), alarmed)),
        "other modes' faults: healthy or referred": str(share(where(outcomes, kinds=["elsewhere"]), correct)),
        "two faults at once: one named or referred": str(share(where(outcomes, kinds=["mixed"]), correct)),
        "errors": str(share(outcomes, lambda one: bool(one.error))),
    }


def _near(one: Outcome) -> bool:
    return one.onset_error is not None and one.onset_error <= 1


def _open(one: Outcome) -> bool:
    return one.verdict == "inconclusive"


def _mean(outcomes: Sequence[Outcome], name: str) -> float | None:
    values = _known(outcomes, name)
    return statistics.fmean(values) if values else None


def promises(outcomes: Sequence[Outcome]) -> list[Promise]:
    """Hold some outcomes against every target; none where nothing was measured."""
    faults, well = where(outcomes, kinds=["fault"]), where(outcomes, kinds=["healthy", "harmless"])
    medium, large = where(faults, sizes=["medium"]), where(faults, sizes=["large"])
    plain = [*medium, *large]
    onset, flips = median(plain, "onset_error"), where(medium, mode="data_poisoning", family="label flips")
    precision, recall = median(flips, "precision"), median(flips, "recall")
    shares = (
        ("false alarms among healthy and harmless", "≤ 1 %", share(well, alarmed), 0.01, -1),
        ("medium faults found", "≥ 95 %", share(medium, alarmed), 0.95, 1),
        (f"medium faults found, n ≥ {ENOUGH:,}", "≥ 95 %", share(where(medium, least=ENOUGH), alarmed), 0.95, 1),
        ("large faults found", "100 %", share(large, alarmed), 1.0, 1),
        (f"large faults found, n ≥ {ENOUGH:,}", "100 %", share(where(large, least=ENOUGH), alarmed), 1.0, 1),
        ("cause named first, medium and large", "≥ 90 %", _named(plain, "top_1"), 0.9, 1),
        (f"inconclusive, n ≥ {ENOUGH:,}", "≤ 5 %", share(where([*faults, *well], least=ENOUGH), _open), 0.05, -1),
    )
    found = [
        Promise(what, target, str(got), _kept(got.value, limit, side)) for what, target, got, limit, side in shares
    ]
    found += [
        Promise("onset error, median", "≤ 1 bucket", _said(onset), _kept(onset, 1.0, -1)),
        Promise("poisoned rows at 5 % flips: median precision", "≥ 0.8", _said(precision), _kept(precision, 0.8, 1)),
        Promise("poisoned rows at 5 % flips: median recall", "≥ 0.8", _said(recall), _kept(recall, 0.8, 1)),
    ]
    return found


def _kept(value: float | None, limit: float, side: int) -> bool | None:
    return None if value is None else side * (value - limit) >= 0
