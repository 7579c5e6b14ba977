"""What a simulated model is about: its inputs, how they hang together, and what follows from them.

A `Business` is a specification and draws nothing by itself: numbers and categories with their usual
distribution, their rhythm over day and week, their natural nulls, and their weight in the log odds of
the outcome. The model of a business is the truth: its score is the probability of the outcome given
the inputs it is shown, so it is calibrated as long as nothing is wrong. Rules: every number is a monotone
function of one standard normal value, so that faults can be sized in standard deviations; a null counts as
the average; a category the model does not know counts as nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from rbnb.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from rbnb.simulate.traffic import Floats

    #: The values of one input: numbers with NaN, or text with None.
    Column = NDArray[Any]

__all__ = ["Business", "Category", "Number", "Rule", "probability", "zipf"]

Kind = Literal["lognormal", "normal", "count", "bounded", "flag", "hour"]

#: How many standard deviations the model listens to; beyond, an input counts as this far out.
_REACH = 5.0


@dataclass(frozen=True, slots=True)
class Number:
    """A numerical input.

    Parameters
    ----------
    name, unit
        What it is called and measured in.
    kind
        lognormal, normal, count (whole, from 0), bounded (0 to 1), flag (true or false), hour (of the day).
    centre, spread
        Mean and standard deviation: of the logarithm (lognormal, count), of the value (normal), of the
        log odds (bounded). For a flag `centre` is the quantile of the normal above which it is true;
        for an hour it is the riskiest one.
    weight, curve
        Log odds for each standard deviation, and for each squared one beyond the average.
    shared
        Correlation with what the numbers of a request have in common, -1 to 1.
    daily, weekend
        How many standard deviations it is higher at 19:00 UTC (and lower at 07:00), and at weekends.
    nulls
        Share that is naturally missing.
    decimals
        What the log rounds to.
    over
        Another count this one includes: it is never smaller.
    """

    name: str
    kind: Kind
    centre: float = 0.0
    spread: float = 1.0
    weight: float = 0.0
    curve: float = 0.0
    shared: float = 0.0
    daily: float = 0.0
    weekend: float = 0.0
    nulls: float = 0.0
    decimals: int = 2
    over: str = ""
    unit: str = ""

    def value(self, z: Floats) -> Floats:
        """Return the value of a standard normal `z`, rounded as the log has it."""
        if self.kind == "normal":
            return np.round(self.centre + self.spread * z, self.decimals)
        if self.kind == "flag":
            return (z > self.centre).astype(np.float64)
        if self.kind == "bounded":
            return np.round(1 / (1 + np.exp(-(self.centre + self.spread * z))), self.decimals)
        grown = np.exp(self.centre + self.spread * z)
        return np.floor(grown) if self.kind == "count" else _three_digits(grown, self.decimals)

    def standard(self, values: Floats) -> Floats:
        """Return how far from usual values are, in standard deviations; a null is not far at all."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            far = self._standard(np.asarray(values, dtype=np.float64))
        return np.clip(np.nan_to_num(far, nan=0.0, posinf=_REACH, neginf=-_REACH), -_REACH, _REACH)

    def _standard(self, values: Floats) -> Floats:
        if self.kind == "hour":
            return math.sqrt(2) * np.cos(2 * np.pi * (values - self.centre) / 24)
        if self.kind == "flag":
            share = 0.5 * (1 - math.erf(self.centre / math.sqrt(2)))
            return (values - share) / math.sqrt(share * (1 - share))
        if self.kind == "normal":
            return (values - self.centre) / self.spread
        if self.kind == "bounded":
            inside = np.clip(values, 0.002, 0.998)
            return (np.log(inside / (1 - inside)) - self.centre) / self.spread
        above = np.where(np.isnan(values), np.nan, np.maximum(values, 1e-9))
        return (np.log(above + 0.5 * (self.kind == "count")) - self.centre) / self.spread

    def odds(self, values: Floats) -> Floats:
        """Return what values add to the log odds."""
        z = self.standard(values)
        return self.weight * z + self.curve * (z**2 - 1)


@dataclass(frozen=True, slots=True)
class Category:
    """A categorical input.

    Parameters
    ----------
    name
        What it is called.
    shares
        Usual share of each value.
    effects
        Log odds of a value; one that is not named has none.
    night, weekend
        What a value's share is multiplied by from 22 to 6 UTC, and at weekends, before all are scaled to 1.
    nulls
        Share that is naturally missing.
    """

    name: str
    shares: Mapping[str, float]
    effects: Mapping[str, float] = field(default_factory=dict)
    night: Mapping[str, float] = field(default_factory=dict)
    weekend: Mapping[str, float] = field(default_factory=dict)
    nulls: float = 0.0

    def odds(self, values: Column) -> Floats:
        """Return what values add to the log odds."""
        if not any(self.effects.values()):
            return np.zeros(len(values))
        codes, known = pd.factorize(values)
        each = np.array([self.effects.get(str(value), 0.0) for value in known] + [0.0])
        return np.asarray(each[codes], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that always holds between inputs, such as ``logins_7d <= logins_30d``."""

    name: str
    check: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Business:
    """A model in production and the world it looks at.

    Parameters
    ----------
    name, description, owner
        As in the model file.
    numbers, categories
        The inputs.
    intercept
        Log odds of the outcome for an average request.
    together
        Two numbers and the log odds for each product of their standard deviations: an interaction.
    threshold, positive, negative
        From which score a request is decided one way or the other.
    versions
        In production first, in production now, and trained but not yet in production.
    sources
        Where inputs and training rows come from, with their shares.
    label_delay_hours
        How long until it is known what a request turned out to be.
    rules, monotone, invariant
        What holds between inputs, how the score must move with an input, and which it must ignore.
    repeated
        Share of the requests that are asked again within minutes.
    criticality, frameworks
        As in the model file.
    """

    name: str
    description: str
    owner: str
    numbers: tuple[Number, ...]
    categories: tuple[Category, ...]
    intercept: float
    together: tuple[str, str, float]
    threshold: float = 0.5
    positive: str = "yes"
    negative: str = "no"
    versions: tuple[str, str, str] = ("1.0.0", "1.1.0", "1.2.0")
    sources: Mapping[str, float] = field(
        default_factory=lambda: {"core": 0.46, "partner-a": 0.22, "partner-b": 0.18, "import": 0.14}
    )
    label_delay_hours: float = 48.0
    rules: tuple[Rule, ...] = ()
    monotone: Mapping[str, str] = field(default_factory=dict)
    invariant: tuple[str, ...] = ()
    repeated: float = 0.03
    criticality: str = "medium"
    frameworks: tuple[str, ...] = ("nist-ai-rmf",)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of all inputs, numbers first."""
        return (*(one.name for one in self.numbers), *(one.name for one in self.categories))

    def gaps(self) -> dict[str, float]:
        """Return the share that is naturally missing of each input that is."""
        shares = {one.name: one.nulls for one in self.numbers} | {one.name: one.nulls for one in self.categories}
        return {name: share for name, share in shares.items() if share}

    def number(self, name: str) -> Number:
        """Return the numerical input `name`; an error names those there are."""
        known = {one.name: one for one in self.numbers}
        if name not in known:
            raise NotFoundError("number", name, known)
        return known[name]

    def category(self, name: str) -> Category:
        """Return the categorical input `name`; an error names those there are."""
        known = {one.name: one for one in self.categories}
        if name not in known:
            raise NotFoundError("category", name, known)
        return known[name]

    def importance(self, kind: Kind | None = None) -> list[str]:
        """Return the numerical inputs of one kind, or all but hours and flags, the weightiest first."""
        plain = [one for one in self.numbers if one.kind == kind or (not kind and one.kind not in {"hour", "flag"})]
        return [one.name for one in sorted(plain, key=lambda one: -abs(one.weight))]

    def idle(self) -> str:
        """Return a numerical input without influence on the score."""
        return next(one.name for one in self.numbers if not one.weight and not one.curve)

    def strongest(self) -> str:
        """Return the category with the strongest effects."""
        return max(self.categories, key=lambda one: sum(map(abs, one.effects.values()))).name

    def log_odds(self, inputs: pd.DataFrame) -> Floats:
        """Return the log odds of the outcome for each row of inputs, whatever is in them."""
        seen = {one.name: as_numbers(inputs[one.name]) for one in self.numbers}
        odds = np.full(len(inputs), self.intercept)
        for number in self.numbers:
            if number.weight or number.curve:
                odds += number.odds(seen[number.name])
        for category in self.categories:
            odds += category.odds(inputs[category.name])
        first, second, strength = self.together
        both = self.number(first).standard(seen[first]) * self.number(second).standard(seen[second])
        return odds + strength * np.clip(both, -_REACH, _REACH)


def probability(odds: Floats) -> Floats:
    """Return the probability for log odds."""
    return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float64)


def as_numbers(values: pd.Series) -> Floats:
    """Return values as the model reads them: what is no number is missing.

    Examples
    --------
    >>> as_numbers(pd.Series([1, "2.5", None], dtype=object)).tolist()
    [1.0, nan, nan]
    """
    if values.dtype == object:
        kept = [value if isinstance(value, (int, float)) else math.nan for value in values]
        return np.array(kept, dtype=np.float64)
    return np.asarray(values, dtype=np.float64)


def zipf(prefix: str, n: int) -> dict[str, float]:
    """Return `n` values with the shares of Zipf's law: the second half as frequent as the first, and so on."""
    shares = 1 / np.arange(1, n + 1)
    return dict(zip([f"{prefix}{number:03d}" for number in range(1, n + 1)], shares / shares.sum(), strict=True))


def _three_digits(values: Floats, decimals: int) -> Floats:
    """Round to three significant digits and at most so many decimals."""
    scale = 10.0 ** (2 - np.floor(np.log10(np.maximum(values, 0.01))))
    return np.round(np.round(values * scale) / scale, decimals)
