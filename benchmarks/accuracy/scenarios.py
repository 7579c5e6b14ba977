"""What is tried: mode × fault × size × rows × season × trend × distractors × seed.

A full grid would be tens of thousands; this one goes through every family in every size, and deals the other factors
out like cards: each value as often as its share says, in a shuffled order that is the same every time. Only the seeds
differ between developing and the final figures.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from benchmarks.accuracy.faults import ELSEWHERE, FAMILIES, HARMLESS, MIXED, Family
from rbnb.simulate.businesses import BUSINESSES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MODES", "SEEDS", "Scenario", "family_of", "grid"]

MODES = tuple(FAMILIES)

#: The first seed of each range; a range is wide enough never to reach another.
SEEDS = {"develop": 10_000, "final": 600_000, "test": 900_000}

#: What is dealt out. Rows are those in the window, or of the training table for data_poisoning.
_FACTORS: dict[str, tuple[Any, ...]] = {
    "rows": (200, 1_000, 1_000, 2_000, 5_000, 5_000, 20_000),
    "seasonal": (1.0, 1.0, 0.5, 0.0),
    "trend": (0.0, 0.03, 0.1),
    "distractors": (False, True),
    "labels": (True, False),
    "business": tuple(BUSINESSES),
}
_LARGEST = 1_000_000
_SIZES = ("medium", "large", "medium", "large", "small")

#: Scenarios of each kind for each mode.
_FAULTS, _HEALTHY, _HARMLESS, _ELSEWHERE, _MIXED = 50, 20, 6, 4, 4
_LARGE_ROWS = (("fault", "medium"), ("healthy", ""))


@dataclass(frozen=True)
class Scenario:
    """One thing that is tried.

    Parameters
    ----------
    mode
        The runbook that is run.
    kind
        fault, healthy, harmless, elsewhere (a fault of another mode) or mixed.
    family, size
        What goes wrong and how much; empty where nothing does.
    rows
        About how many rows the window holds; for data_poisoning, how many the training table has.
    seasonal, trend, distractors
        As `rbnb.simulate.scene` takes them.
    labels
        Whether outcomes are known within the hour, rather than a day or more later.
    business
        Whose model.
    seed
        Everything random follows from it.
    """

    mode: str
    kind: str
    family: str
    size: str
    rows: int
    seasonal: float
    trend: float
    distractors: bool
    labels: bool
    business: str
    seed: int

    @property
    def key(self) -> str:
        """All of it in one text."""
        return "/".join(str(value) for value in asdict(self).values())


def family_of(scenario: Scenario) -> Family | None:
    """Return what goes wrong in a scenario, or None."""
    tables: dict[str, dict[str, tuple[Family, ...]]] = {
        "fault": FAMILIES,
        "harmless": HARMLESS,
        "elsewhere": ELSEWHERE,
        "mixed": MIXED,
    }
    if scenario.kind not in tables:
        return None
    return next(family for family in tables[scenario.kind][scenario.mode] if family.name == scenario.family)


def grid(seeds: str = "develop", modes: tuple[str, ...] = MODES) -> list[Scenario]:
    """Return every scenario of some modes, the same list every time.

    Parameters
    ----------
    seeds
        A name of `SEEDS`.
    modes
        Failure modes; the others' scenarios keep their seeds.
    """
    found = []
    for place, mode in enumerate(MODES):
        if mode in modes:
            start = SEEDS[seeds] + place * 1_000
            found += [Scenario(seed=start + n, **one) for n, one in enumerate(_of(mode))]
    return found


def _of(mode: str) -> Iterator[dict[str, Any]]:
    told = list(_told(mode))
    dealt = {name: _dealt(values, len(told), f"{mode} {name}") for name, values in _FACTORS.items()}
    for number, (kind, family, size, rows) in enumerate(told):
        drawn = {name: values[number] for name, values in dealt.items()}
        yield {**drawn, "mode": mode, "kind": kind, "family": family, "size": size, "rows": rows or drawn["rows"]}


def _dealt(values: tuple[Any, ...], n: int, name: str) -> list[Any]:
    """Return `n` cards, the values over and over, in an order that depends on the name alone."""
    cards = list(islice(cycle(values), n))
    random.Random(name).shuffle(cards)
    return cards


def _told(mode: str) -> Iterator[tuple[str, str, str, int]]:
    """Go through kind, family, size and, for the largest, the rows."""
    for kind, size in _LARGE_ROWS:
        yield kind, FAMILIES[mode][0].name if kind == "fault" else "", size, _LARGEST
    pairs = [(family.name, size) for size in _SIZES for family in FAMILIES[mode]]
    for family, size in islice(cycle(pairs), _FAULTS):
        yield "fault", family, size, 0
    for _ in range(_HEALTHY):
        yield "healthy", "", "", 0
    for kind, families, n, sizes in (
        ("harmless", HARMLESS, _HARMLESS, ("large", "medium")),
        ("elsewhere", ELSEWHERE, _ELSEWHERE, ("medium",)),
        ("mixed", MIXED, _MIXED, ("medium", "large")),
    ):
        known = [(family.name, size) for size in sizes for family in families.get(mode, ())]
        for family, size in islice(cycle(known), n if known else 0):
            yield kind, family, size, 0
