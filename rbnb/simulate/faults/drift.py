"""Drift: the world changes, and the log says truly what came.

What an input is sized in: standard deviations of the standard normal value behind it. Harm: after a
covariate fault the model is still right about each request, unless `strange` says that it never learned such
requests; what changes is how many requests are decided one way or the other, as far as the input has
weight. After a concept fault it is wrong while its inputs look as ever, after a label fault its rate is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from rbnb.simulate.faults.base import Fault
from rbnb.simulate.traffic import hour_of_week
from rbnb.simulate.world import pick

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rbnb.simulate.business import Business
    from rbnb.simulate.traffic import Floats
    from rbnb.simulate.world import World

__all__ = [
    "CategoryShare",
    "ConceptDrift",
    "Correlation",
    "Drift",
    "HarmlessDrift",
    "NewMix",
    "PriorShift",
    "Scale",
    "Shape",
    "Shift",
    "WeeklyPattern",
]


@dataclass(frozen=True, kw_only=True)
class Drift(Fault):
    """What all drift has in common.

    Parameters
    ----------
    feature
        The input; empty takes the numerical input with the largest weight.
    strange
        How far the log odds of the requests hit go back to the average of all, 0 to 1: the model never
        learned such requests. At 1 its score is worth nothing for them.
    """

    feature: str = ""
    strange: float = 0.0

    mode: ClassVar[str] = "data_drift"
    kind: ClassVar[str] = "covariate"

    def concept(self, world: World) -> None:
        """Let the outcome follow the inputs less, where they are strange."""
        if self.strange:
            hit = self.hits(world)
            world.odds[hit] += self.strange * (np.mean(world.odds) - world.odds[hit])

    def settled(self, business: Business) -> Self:
        """Return the fault with its inputs named."""
        return replace(self, feature=self.feature or self.usual(business))

    def usual(self, business: Business) -> str:
        """Return the input that is taken when none is named."""
        return business.importance()[0]


@dataclass(frozen=True, kw_only=True)
class Shift(Drift):
    """An input moves by 0.25, 0.6 or 1.2 standard deviations.

    Harmful where the input has weight: scores and decisions move with it, and with `strange` the model is
    also wrong.
    """

    sizes: ClassVar[tuple[float, float, float]] = (0.25, 0.6, 1.2)

    def arrive(self, world: World) -> None:
        """Add to the input."""
        world.z[self.feature][self.hits(world)] += self.amount


@dataclass(frozen=True, kw_only=True)
class HarmlessDrift(Shift):
    """An input without influence on the score moves by 0.25, 0.6 or 1.2 standard deviations: certain, and harmless."""

    harmless: ClassVar[bool] = True

    def usual(self, business: Business) -> str:
        """Return the input without weight."""
        return business.idle()


@dataclass(frozen=True, kw_only=True)
class WeeklyPattern(Drift):
    """An input moves by 0.3, 0.6 or 1 standard deviations every week at the hours from `onset` on, for `hours`.

    It is in the reference too, on the same weekday, at the same hours: a calendar, not a drift. Harmless.
    """

    hours: float = 6.0

    harmless: ClassVar[bool] = True
    sizes: ClassVar[tuple[float, float, float]] = (0.3, 0.6, 1.0)

    def hits(self, world: World) -> NDArray[np.bool_]:
        """Return the requests of those hours of any week."""
        monday = self.onset - timedelta(days=self.onset.weekday())
        start = (self.onset - monday.replace(hour=0, minute=0, second=0, microsecond=0)) / timedelta(hours=1)
        of_week = (hour_of_week(world.at) - start) % 168
        return np.asarray((of_week < self.hours) & world.within(self.where), dtype=np.bool_)

    def arrive(self, world: World) -> None:
        """Add to the input in those hours."""
        world.z[self.feature][self.hits(world)] += self.amount


@dataclass(frozen=True, kw_only=True)
class Scale(Drift):
    """The standard deviation of an input is multiplied by 1.3, 1.7 or 2.5 while its middle stays.

    Harmful where the input has weight: more requests are far out on both sides.
    """

    sizes: ClassVar[tuple[float, float, float]] = (1.3, 1.7, 2.5)

    def arrive(self, world: World) -> None:
        """Stretch the input about its usual middle."""
        world.z[self.feature][self.hits(world)] *= self.amount


@dataclass(frozen=True, kw_only=True)
class Shape(Drift):
    """An input gets two humps at plus and minus 0.7, 0.85 or 0.97 standard deviations; mean and deviation stay.

    The order of the values stays too, so the correlations nearly do. Mean and deviation are those of the
    standard normal value: for a normal input also its own. Hardly harmful: about as many
    requests are decided either way.
    """

    sizes: ClassVar[tuple[float, float, float]] = (0.7, 0.85, 0.97)

    def arrive(self, world: World) -> None:
        """Map the normal distribution to the mixture of two, value by value."""
        name, hit = self.feature, self.hits(world)
        world.z[name][hit] = _two_humps(world.z[name][hit], self.amount)


def _two_humps(z: Floats, apart: float) -> Floats:
    """Map standard normal values to a half-and-half mixture of normals at -apart and +apart with deviation 1."""
    grid = np.linspace(-6, 6, 2401)
    normal = np.cumsum(np.exp(-(grid**2) / 2))
    spread = np.sqrt(1 - apart**2)
    mixed = np.cumsum(np.exp(-(((grid - apart) / spread) ** 2) / 2) + np.exp(-(((grid + apart) / spread) ** 2) / 2))
    return np.asarray(np.interp(np.interp(z, grid, normal / normal[-1]), mixed / mixed[-1], grid), dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Correlation(Drift):
    """Two inputs are tied to each other, with correlation 0.3, 0.6 or 0.9, while each alone looks as before.

    Without names: the two with the largest weights. The first keeps its values; the second follows it.
    Harmful as far as both have weight: more requests are far out on both sides, or fewer.
    """

    other: str = ""

    kind: ClassVar[str] = "correlation"
    sizes: ClassVar[tuple[float, float, float]] = (0.3, 0.6, 0.9)

    def settled(self, business: Business) -> Self:
        """Return the fault with both inputs named."""
        first, second, *_ = business.importance()
        return replace(self, feature=self.feature or first, other=self.other or second)

    def arrive(self, world: World) -> None:
        """Put the second input's own values into an order that follows the first."""
        first, second = self.feature, self.other
        hit = self.hits(world)
        noise = self.stream(world.seed).normal(0, 1, int(hit.sum()))
        order = self.amount * world.z[first][hit] + np.sqrt(1 - self.amount**2) * noise
        values = np.sort(world.z[second][hit])
        world.z[second][hit] = values[np.argsort(np.argsort(order))]


@dataclass(frozen=True, kw_only=True)
class CategoryShare(Drift):
    """One value of a category keeps 0.75, 0.5 or 0.1 of its share; the others get the rest.

    Without names: the category with the strongest effects, and in it the value with the largest effect.
    """

    value: str = ""

    sizes: ClassVar[tuple[float, float, float]] = (0.75, 0.5, 0.1)

    def usual(self, business: Business) -> str:
        """Return the category with the strongest effects."""
        return business.strongest()

    def settled(self, business: Business) -> Self:
        """Return the fault with category and value named."""
        category = business.category(self.feature or business.strongest())
        value = self.value or max(category.shares, key=lambda one: abs(category.effects.get(one, 0.0)))
        return replace(self, feature=category.name, value=value)

    def arrive(self, world: World) -> None:
        """Draw another value for some of the requests that have this one."""
        category, value = world.business.category(self.feature), self.value
        column = world.inputs[category.name]
        lost = self.chance(world, 1 - self.amount) & (column == value)
        others = {name: share for name, share in category.shares.items() if name != value}
        column[lost] = pick(self.stream(world.seed, "others"), others, int(lost.sum()))


@dataclass(frozen=True, kw_only=True)
class NewMix(Drift):
    """In 0.2, 0.45 or 0.9 of the requests a category is drawn from its usual shares in reverse order."""

    sizes: ClassVar[tuple[float, float, float]] = (0.2, 0.45, 0.9)

    def usual(self, business: Business) -> str:
        """Return the category with the strongest effects."""
        return business.strongest()

    def arrive(self, world: World) -> None:
        """Draw from the reversed shares."""
        category = world.business.category(self.feature)
        hit = self.chance(world, self.amount)
        mix = dict(zip(category.shares, sorted(category.shares.values()), strict=True))
        world.inputs[category.name][hit] = pick(self.stream(world.seed, "mix"), mix, int(hit.sum()))


@dataclass(frozen=True, kw_only=True)
class PriorShift(Drift):
    """The rate of the outcome is multiplied by 1.3, 1.8 or 3 (at most to 0.9): each class looks as before.

    Label shift. The inputs of the requests hit are those of other requests of the outcome they now have, so the
    model, made for the old rate, says too little.
    """

    kind: ClassVar[str] = "label"
    sizes: ClassVar[tuple[float, float, float]] = (1.3, 1.8, 3.0)

    def settled(self, business: Business) -> Self:  # noqa: ARG002 - others need it
        """Return the fault as it is: it is about no single input."""
        return self

    def cause(self) -> dict[str, str]:
        """Return what is to be found: the outcome."""
        return {"kind": self.kind, "name": "label", "where": self.where}

    def settle(self, world: World) -> None:
        """Draw the outcome first, then the inputs from requests with that outcome."""
        hit = np.flatnonzero(self.hits(world))
        rng = self.stream(world.seed)
        rate = min(0.9, self.amount * float(world.label.mean()))
        now = rng.random(len(hit)) < rate
        pools = [np.flatnonzero(world.label == outcome) for outcome in (0, 1)]
        take = np.where(now, *(rng.choice(pool, len(hit)) for pool in pools[::-1]))
        world.label[hit] = now
        hours = {one.name for one in world.business.numbers if one.kind == "hour"}
        for name in [name for name in world.business.features if name not in hours]:
            column = world.inputs[name].copy()
            column[hit] = world.inputs[name][take]
            world.inputs[name] = column


@dataclass(frozen=True, kw_only=True)
class ConceptDrift(Drift):
    """What follows from an input changes while all inputs stay: it has 0.5, 1 or 2 of its weight less.

    At 1 the input has no influence any more, at 2 it works the other way round. Without a name: the
    numerical input with the largest weight. With `where`, in one segment only.
    """

    kind: ClassVar[str] = "concept"
    sizes: ClassVar[tuple[float, float, float]] = (0.5, 1.0, 2.0)

    def concept(self, world: World) -> None:
        """Take the input's part out of the log odds."""
        number = world.business.number(self.feature)
        hit = self.hits(world)
        world.odds[hit] -= self.amount * number.odds(world.inputs[number.name][hit])
