"""Where the two differ, and why: pure comparison of what rbnb found with what Evidently says.

A reason is taken from what was counted (`rbnb.opinion.facts`) or from an experiment: Evidently asked again with one
condition changed (`Probes`). The first that holds is *the* reason, in the order of `_REASONS`; a second one is told
beside it. Where none holds, the reason is ``not_explained``, in so many words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rbnb.opinion.facts import CERTAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rbnb.opinion.facts import Facts
    from rbnb.opinion.report import Said

__all__ = ["NOT_COMPARED", "REASONS", "Column", "Ours", "Probes", "compare", "differs"]

#: The reasons for which there is nothing to compare, because one of the two has no answer.
NOT_COMPARED = ("unusable", "not_judged")
#: How a category's share has to change to be worth telling: half as much again, or a third less.
_MOVED = 1.5
#: From this share of its limit on a distance is told as being near it.
_NEAR = 0.5


@dataclass(frozen=True, slots=True)
class Ours:
    """What rbnb found for one column: its status, the numbers behind it, and a hypothesis that was turned down."""

    status: str = ""
    told: str = ""
    examined: str = ""

    @property
    def flagged(self) -> bool | None:
        """Whether rbnb flags it; None where it did not judge."""
        return {"breach": True, "warning": True, "supported": True, "ok": False}.get(self.status)


@dataclass(frozen=True, slots=True)
class Probes:
    """What Evidently says of the column with one condition changed; None where that was not asked.

    Parameters
    ----------
    same_hours
        Against the same hours of the reference only, which is what rbnb compares with.
    trimmed
        With the outermost hundredth on either end of the reference cut off.
    other_method
        By a distance where it chose a test, and by a test where it chose a distance.
    shuffled
        With the rows of both sides mixed and dealt again, so that whatever it says is chance.
    """

    same_hours: Said | None = None
    trimmed: Said | None = None
    other_method: Said | None = None
    shuffled: Said | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One column as both see it: whether they agree, who flags it, and why they differ."""

    column: str
    ours: Ours
    said: Said
    agree: bool
    flagged_by: str = ""
    reason: str = ""
    because: str = ""
    more: tuple[str, ...] = field(default_factory=tuple)


def differs(ours: Ours, said: Said) -> bool:
    """Whether the two say different things of a column, or one of them nothing."""
    return ours.flagged is None or said.drifted is None or ours.flagged != said.drifted


def compare(name: str, ours: Ours, said: Said, facts: Facts | None, probes: Probes) -> Column:
    """Say whether the two agree on a column, and where not, why.

    Parameters
    ----------
    facts
        What is in the column; None where it could not be read at all.
    probes
        The experiments that were made.
    """
    if not differs(ours, said):
        return Column(name, ours, said, agree=True, flagged_by="both" if said.drifted else "nobody")
    found = [(code, told) for code, of in _REASONS.items() if (told := of(ours, said, facts, probes))]
    code, told = found[0] if found else ("not_explained", "nothing that was counted or tried explains it")
    by = "rbnb" if ours.flagged else "evidently" if said.drifted else "nobody"
    beside = [text for other, text in found[1:] if other != "limits"]  # which says little beside another reason
    more = () if code in NOT_COMPARED else tuple(beside[:1])
    return Column(name, ours, said, agree=False, flagged_by=by, reason=code, because=told, more=more)


def _unusable(_: Ours, said: Said, _facts: Facts | None, _probes: Probes) -> str:
    return f"Evidently could not take the column: {said.error}" if said.drifted is None else ""


def _not_judged(ours: Ours, said: Said, _facts: Facts | None, _probes: Probes) -> str:
    if ours.flagged is not None:
        return ""
    why = f"rbnb did not judge it: {ours.told}" if ours.told else "rbnb has no finding for this column in this run"
    return f"{why}; Evidently {'flags' if said.drifted else 'does not flag'} it"


def _chance(_: Ours, said: Said, _facts: Facts | None, probes: Probes) -> str:
    if not said.drifted or probes.shuffled is None or not probes.shuffled.drifted:
        return ""
    return (
        f"Evidently flags the column as well when the rows of both sides are mixed and dealt again "
        f"({_number(probes.shuffled)}; as it is {_number(said)}): so many values in so few rows differ by chance"
    )


def _examined(ours: Ours, said: Said, _facts: Facts | None, _probes: Probes) -> str:
    if not said.drifted or not ours.examined:
        return ""
    return f"rbnb examined it as a hypothesis too, and turned it down: {ours.examined}"


def _nulls(ours: Ours, _: Said, facts: Facts | None, _probes: Probes) -> str:
    if not ours.flagged or facts is None or abs(facts.null_certainty) < CERTAIN:
        return ""
    before, now = facts.nulls
    return f"nulls went from {before:.1%} to {now:.1%}, and Evidently drops nulls before it compares"


def _infinite(_: Ours, _said: Said, facts: Facts | None, _probes: Probes) -> str:
    if facts is None or not any(facts.infinite):
        return ""
    before, now = facts.infinite
    return f"infinite values ({before:.2%} before, {now:.2%} now) are counted by rbnb and not by Evidently's distances"


def _hours(_: Ours, said: Said, _facts: Facts | None, probes: Probes) -> str:
    if not _turned(probes.same_hours, said):
        return ""
    does = "flags it too" if not said.drifted else "does not flag it either"
    return (
        f"Evidently was given the whole reference; against the same hours, as rbnb compares, it {does} "
        f"({_number(probes.same_hours)})"
    )


def _outliers(_: Ours, said: Said, _facts: Facts | None, probes: Probes) -> str:
    if not _turned(probes.trimmed, said):
        return ""
    if said.drifted:
        return f"a few extreme values make the distance: without them it is {_number(probes.trimmed)}"
    return f"extreme values widen the scale it divides by: without them it is {_number(probes.trimmed)}"


def _category(ours: Ours, _: Said, facts: Facts | None, _probes: Probes) -> str:
    if not ours.flagged or facts is None or facts.category is None:
        return ""
    before, now = facts.category_shares
    if before and now and 1 / _MOVED < now / before < _MOVED:
        return ""
    return (
        f"the category {facts.category!r:.60} went from {before:.1%} to {now:.1%}; Evidently's distance is over all "
        "categories together, in which that is lost"
    )


def _method(_: Ours, said: Said, _facts: Facts | None, probes: Probes) -> str:
    if not _turned(probes.other_method, said):
        return ""
    if said.is_test:
        small = "certain, but small" if said.drifted else "not certain on so few rows, but not small"
        return (
            f"up to 1,000 rows of reference Evidently tests for certainty (p = {said.value:.2g}); by the size of the "
            f"change it says the opposite: {small} ({_number(probes.other_method)})"
        )
    small = "large, but no more than chance" if said.drifted else "certain, but below the limit for its size"
    return (
        f"above 1,000 rows of reference Evidently judges by size ({_number(said)}); a test on the same rows says the "
        f"opposite: {small} ({_number(probes.other_method)})"
    )


def _near(ours: Ours, said: Said, _facts: Facts | None, _probes: Probes) -> str:
    if said.is_test or said.value is None or not said.threshold or ours.flagged is None:
        return ""
    ratio = said.value / said.threshold
    if not _NEAR <= ratio <= 1 / _NEAR:
        return ""
    return f"the limits differ: Evidently's {_number(said)}; rbnb: {ours.told}"


def _turned(probe: Said | None, said: Said) -> bool:
    """Whether the changed condition changed the answer."""
    return (
        probe is not None and probe.drifted is not None and said.drifted is not None and probe.drifted != said.drifted
    )


def _number(said: Said | None) -> str:
    if said is None or said.value is None or said.threshold is None:
        return "no number"
    return f"{said.method} {said.value:.3g}, limit {said.threshold:.3g}"


#: Which reason is looked for, in this order.
_REASONS: Mapping[str, Callable[[Ours, Said, Facts | None, Probes], str]] = {
    "unusable": _unusable,
    "not_judged": _not_judged,
    "examined": _examined,
    "chance": _chance,
    "nulls_dropped": _nulls,
    "infinite": _infinite,
    "same_hours": _hours,
    "outliers": _outliers,
    "one_category": _category,
    "certainty_or_size": _method,
    "limits": _near,
}
REASONS = (*_REASONS, "not_explained")
