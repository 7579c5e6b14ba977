"""A baseline: thresholds learned from a model's history, read, checked and put in place of the policy's own.

`rbnb baseline` writes the file (`rbnb.baselines`); a run only reads it, here. Rules:

- **A file that is not what was written is refused.** The file holds the digest of its own content, so that a
  number changed by hand is noticed. The digest is no signature: it finds mistakes, not malice.
- **A baseline for something else is not used, and the run says so**: another version of the model, another table or
  mapping, another policy, another length of the window.
- **The model file wins.** A number that stands there is what its owner decided.
- **The policy keeps the last word on what matters.** Every learned limit lies inside guard rails (`rails`): no
  tighter than half the policy's distance from normal and than what it says is worth a warning, no looser than three
  times that distance.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import Field

from rbnb.config import Moment, Settings, parse_settings, read_yaml
from rbnb.errors import ConfigError
from rbnb.model import Material, NotMeasured, Window
from rbnb.policy.judging import judge
from rbnb.policy.texts import show
from rbnb.times import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rbnb.inventory import ModelFile
    from rbnb.model import Finding, Signal
    from rbnb.policy.grammar import Policy, Threshold

__all__ = [
    "DAYS",
    "BaselineFile",
    "InUse",
    "baseline_in_use",
    "digest_of",
    "hour_label",
    "hour_of_week",
    "judge_learned",
    "mapping_digest",
    "numbers_digest",
    "rails",
    "read_baseline",
    "why_not_used",
    "written",
]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOUR, _WEEK = 3_600, 168
#: How many times the policy's distance from normal a learned limit may have.
_LOOSEST = 3.0
#: The part of the policy's distance from normal that a learned limit keeps at least.
_TIGHTEST = 0.5

Hours = Annotated[dict[str, list[Annotated[float, Field(allow_inf_nan=False, strict=False)]]], Field(min_length=7)]


class Span(Settings):
    """A stretch of history, and why it counts or does not."""

    start: Moment
    end: Moment
    why: str = ""


class History(Settings):
    """What a baseline was learned from."""

    start: Moment
    end: Moment
    hours: int
    left_out: list[Span] = Field(default_factory=list)
    false_alarms: float


class Source(Settings):
    """The table behind it: as the model file maps it, and a digest of the counts that were learned from."""

    table: str
    mapping: str
    rows: int
    digest: str


class LearnedSignal(Settings):
    """The limits of one signal, one number an hour of the week by day; hours are those in which a window ends."""

    signal: str
    where: str = ""
    unit: str
    direction: Literal["above", "below"]
    compares: str
    n: int
    usual: Hours
    breach: Hours | None = None
    warning: Hours | None = None
    held_by_rails: int = 0


class LearnedPolicy(Settings):
    """The limits of one runbook, and the policy whose numbers they stand in for."""

    runbook: str
    policy: str
    numbers: str
    window_seconds: int
    signals: list[LearnedSignal]


class Level(Settings):
    """What is usual of one quantity in each hour of the week, without a policy that judges it."""

    name: str
    where: str = ""
    unit: str
    n: int
    low: Hours
    usual: Hours
    high: Hours


class BaselineFile(Settings):
    """A baseline as it is written."""

    format: Literal[1]
    model: str
    model_version: str
    version: Annotated[int, Field(ge=1)]
    created_at: Moment
    created_by: str
    history: History
    data: Source
    thresholds: list[LearnedPolicy]
    levels: list[Level]
    not_learned: dict[str, str] = Field(default_factory=dict)
    digest: str

    def level(self, name: str, where: str, hour: int) -> tuple[float, float, float] | None:
        """Return lower limit, median and upper limit of a quantity in an hour of the week; None if it was not learned.

        The hour is the one in which the stretch that was counted ends, as everywhere in a baseline.
        """
        for one in self.levels:
            if (one.name, one.where) == (name, where):
                day, within = DAYS[hour // 24], hour % 24
                return one.low[day][within], one.usual[day][within], one.high[day][within]
        return None


def hour_of_week(epoch: float) -> int:
    """Return the hour of the week, 0 to 167 from Monday 00:00 UTC, that lies nearest to a time in epoch seconds.

    Examples
    --------
    >>> hour_of_week(0), hour_label(hour_of_week(0))  # 1 January 1970 was a Thursday
    (72, 'Thu 00:00')
    """
    return (round(epoch / _HOUR) + 72) % _WEEK


def hour_label(hour: int) -> str:
    """Write an hour of the week as a person says it, such as ``Thu 14:00``."""
    return f"{DAYS[hour // 24].capitalize()} {hour % 24:02d}:00"


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the digest of a baseline's content, its own ``digest`` left aside."""
    plain = {key: value for key, value in content.items() if key != "digest"}
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def written(content: dict[str, Any]) -> str:
    """Return a baseline as the text of its file, with its digest."""
    whole = {**content, "digest": digest_of(content)}
    head = (
        f"# Thresholds of {content['model']}, learned from its history by `rbnb baseline {content['model']}`.\n"
        "# Not to be edited: a run refuses a file that was. Your own numbers go into the model file (thresholds:).\n"
    )
    return head + yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, default_flow_style=None, width=140)


def mapping_digest(model: ModelFile) -> str:
    """Return a digest of how the model file maps its request log: what else a number depends on than the rows."""
    return "sha256:" + hashlib.sha256(model.logs.predictions.model_dump_json().encode()).hexdigest()


def numbers_digest(policy: Policy) -> str:
    """Return a digest of a policy's thresholds and settings: sentences may change, numbers may not."""
    numbers = {
        "thresholds": {name: t.model_dump(exclude={"why"}) for name, t in policy.thresholds.items()},
        "settings": dict(policy.settings),
    }
    return digest_of(numbers)


def rails(threshold: Threshold, which: Literal["warning", "breach"], unit: str) -> tuple[float, float] | None:
    """Return the tightest and the loosest number that may stand in for one of a policy's; None where it has none.

    Distances are taken from what is normal: 1 for a ratio, 0 for anything else. A ratio below 1 is as far from
    normal as its reciprocal.

    Examples
    --------
    >>> from rbnb.policy.grammar import Threshold
    >>> rails(Threshold(warning=1.2, breach=1.5, why="felt by callers"), "breach", "ratio")
    (1.25, 2.5)
    """
    number = getattr(threshold, which)
    if number is None:
        return None
    if unit == "ratio" and threshold.direction == "below":
        tightest, loosest = (1 + share * (1 / number - 1) for share in (_TIGHTEST, _LOOSEST))
        tightest, loosest = 1 / tightest, 1 / loosest
    else:
        normal = 1.0 if unit == "ratio" else 0.0
        tightest, loosest = (normal + share * (number - normal) for share in (_TIGHTEST, _LOOSEST))
    if which == "breach" and threshold.warning is not None:
        farther = max if threshold.direction == "above" else min
        tightest = farther(tightest, threshold.warning)
    return tightest, min(loosest, 1.0) if unit == "share" else loosest


def read_baseline(path: Path, model: str) -> BaselineFile | None:
    """Read a model's baseline; None where there is none.

    Raises
    ------
    ConfigError
        If the file cannot be read, was changed since it was written, or is another model's.
    """
    if not path.exists():
        return None
    again = f"move it away and learn it again with `rbnb baseline {model}`"
    try:
        data = read_yaml(path)
        found = parse_settings(BaselineFile, data, path)
    except ConfigError as error:
        raise ConfigError(path, error.key, _problem(error), hint=again) from None
    if found.model != model:
        raise ConfigError(path, "model", f"is the baseline of {found.model!r}, not of {model!r}", hint=again)
    try:
        same = digest_of(data) == found.digest
    except (TypeError, ValueError):  # something that was never written, such as a bare date
        same = False
    if not same:
        hint = f"{again}; numbers of your own go into the model file, under thresholds"
        raise ConfigError(path, "digest", "the file was changed after it was written, so it is not used", hint=hint)
    return found


def _problem(error: ConfigError) -> str:
    start = f"{error.file}: {error.key}: " if error.key else f"{error.file}: "
    return error.message.removeprefix(start)


@dataclass(frozen=True, slots=True)
class InUse:
    """What a run makes of the baseline: its limits at the hour in which the window ends, or why it uses none.

    Parameters
    ----------
    version, digest
        Of the baseline; 0 and "" where there is none.
    label
        How a finding names it, such as ``baseline v3, Thu 14:00``.
    limits
        By signal and place, the numbers that stand in for the policy's.
    why_not
        Why a baseline that is there is not used.
    material
        What it was learned from, for the record; None where it is not used.
    """

    version: int = 0
    digest: str = ""
    label: str = ""
    limits: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    why_not: str = ""
    material: Material | None = None

    @property
    def not_measured(self) -> list[NotMeasured]:
        """The baseline among what a run did not use, if there is one that does not fit."""
        return [NotMeasured("thresholds of the baseline", self.why_not)] if self.why_not else []


def baseline_in_use(path: Path, model: ModelFile, policy: Policy, window: Window) -> InUse:
    """Return the limits that hold for a run.

    Parameters
    ----------
    path
        The baseline's file; it need not exist.
    model, policy, window
        What the run looks at, and by which rules.

    Raises
    ------
    ConfigError
        As `read_baseline`.
    """
    found = read_baseline(path, model.name)
    if found is None:
        return InUse()
    learned = next((one for one in found.thresholds if one.runbook == policy.name), None)
    if learned is None:
        return InUse(found.version, found.digest)
    if why := why_not_used(found, learned, model, policy, window):
        return InUse(found.version, found.digest, why_not=f"baseline v{found.version} is not used: {why}")
    hour = hour_of_week(window.end.timestamp())
    limits = {(signal.signal, signal.where): _numbers(signal, hour) for signal in learned.signals}
    material = Material(
        "baseline",
        f"{path.parent.name}/{path.name} version {found.version}",
        Window(found.history.start, found.history.end),
        found.data.rows,
        found.digest,
    )
    return InUse(
        found.version, found.digest, f"baseline v{found.version}, {hour_label(hour)}", limits, material=material
    )


def why_not_used(found: BaselineFile, learned: LearnedPolicy, model: ModelFile, policy: Policy, window: Window) -> str:
    """Return why the limits of one runbook do not hold for a run, or an empty string."""
    again = f"learn it again with `rbnb baseline {model.name}`"
    if found.model_version != model.version:
        return f"it was learned for version {found.model_version or '–'}, and this is {model.version or '–'}; {again}"
    if found.data.mapping != mapping_digest(model):
        return f"the model file maps its request log differently now; {again}"
    if learned.numbers != numbers_digest(policy):
        return f"the numbers of policy {policy.name} were changed since; {again}"
    if window.length != timedelta(seconds=learned.window_seconds):
        own = format_duration(timedelta(seconds=learned.window_seconds))
        return f"it holds for windows of {own}, and this one is {format_duration(window.length)} long"
    return ""


def _numbers(signal: LearnedSignal, hour: int) -> dict[str, float]:
    day, within = DAYS[hour // 24], hour % 24
    both = {"warning": signal.warning, "breach": signal.breach}
    return {which: hours[day][within] for which, hours in both.items() if hours is not None}


def judge_learned(
    signals: Sequence[Signal],
    policy: Policy,
    overrides: Mapping[str, float],
    learned: InUse,
    *,
    overrides_from: str = "the model file",
) -> list[Finding]:
    """Judge signals as `judge` does, with learned limits in place of the policy's where there are any.

    A number in the model file wins over a learned one. The finding's threshold says where its numbers are from.
    """
    findings = judge(signals, policy, overrides, overrides_from=overrides_from)
    if not learned.limits:
        return findings
    own = {f"{key}.breach" if "." not in key else key for key in overrides}
    for index, signal in enumerate(signals):
        numbers = {
            which: number
            for which, number in learned.limits.get((signal.name, signal.where), {}).items()
            if f"{signal.name}.{which}" not in own
        }
        written_one = policy.thresholds.get(signal.name)
        if not numbers or written_one is None:
            continue
        threshold = _in_order(written_one.model_copy(update=numbers))
        moved = replace(policy, thresholds={**policy.thresholds, signal.name: threshold})
        (found,) = judge([signal], moved, overrides, overrides_from=overrides_from)
        findings[index] = replace(found, threshold=f"{found.threshold}; {learned.label}{_instead(written_one, signal)}")
    return findings


def _in_order(threshold: Threshold) -> Threshold:
    if threshold.out_of_order():
        return threshold.model_copy(update={"warning": threshold.breach})
    return threshold


def _instead(threshold: Threshold, signal: Signal) -> str:
    number = threshold.breach if threshold.breach is not None else threshold.warning
    return f" (the policy says {show(number, signal.unit)})"
