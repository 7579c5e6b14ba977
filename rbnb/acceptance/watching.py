"""Watching a model after it was let back: samples of what fired, and a hold when it comes back.

What is sampled: every check that fired, the signal that each runbook's policy names for this, and the components that
were a supported cause. Rules:

- **A threshold that is reached holds the rollout**, and so does a sample that cannot be judged twice in a row: nobody
  looking is not the same as nothing there.
- **Only fresh rows count.** Until there are as many as the runbook looks at, too few of them is "waiting", which is
  neither good nor a reason to hold.
- Every sample is a small entry before the next is taken, so that whatever ends the watch loses none.
- Beats are counted on a clock that cannot be set back, and never more of them than were asked for.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from rbnb.acceptance.bench import Bench
from rbnb.acceptance.fired import described
from rbnb.errors import DataError, ParameterError, UsageError
from rbnb.model import Window, to_plain
from rbnb.policy import show
from rbnb.times import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rbnb.acceptance.measuring import Again, Checks
    from rbnb.config import Places
    from rbnb.incidents import Incident
    from rbnb.ledger import Entry

__all__ = ["Item", "Reading", "Sample", "Timing", "Watch", "items_of", "release", "sparkline"]

Status = Literal["ok", "warning", "breach", "undefined", "waiting"]

#: At most so many samples a watch; each is an entry.
MOST_SAMPLES = 500
_SHORTEST = timedelta(seconds=1)
#: At most so many items in an entry, the worst first.
_MOST_VALUES = 20
#: A sample that cannot be judged so many times in a row holds the rollout.
_IN_A_ROW = 2
#: Kinds of causes that have readings of their own.
_MEASURED = ("dependency", "host", "infrastructure")
_BARS = "▁▂▃▄▅▆▇█"
_ORDER: tuple[Status, ...] = ("breach", "undefined", "warning", "waiting", "ok")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is watched, and why."""

    template: str
    signal: str
    where: str
    because: str

    @property
    def name(self) -> str:
        """How it is called."""
        return f"{self.signal} in {self.where}" if self.where else self.signal


@dataclass(frozen=True, slots=True)
class Reading:
    """What one item was in a sample."""

    item: Item
    status: Status
    value: float | None = None
    unit: str = ""
    interval: tuple[float, float] | None = None
    limit: str = ""
    n: int = 0
    why: str = ""

    @property
    def told(self) -> str:
        """The item, its value and its status in a few words."""
        return f"{self.item.name} {show(self.value, self.unit) if self.value is not None else '–'} {self.status}"


@dataclass(frozen=True, slots=True)
class Sample:
    """All readings of one moment."""

    number: int
    of: int
    at: datetime
    readings: tuple[Reading, ...]

    @property
    def status(self) -> Status:
        """The worst of its readings; undefined if it has none."""
        found = [one.status for one in self.readings]
        return min(found, key=_ORDER.index, default="undefined")


@dataclass(frozen=True, slots=True)
class Timing:
    """How often and for how long, and the clocks that are used.

    Parameters
    ----------
    every, lasts
        Between two samples, and from the first to the last.
    once
        Take one sample only.
    monotonic, sleep
        A clock in seconds that cannot be set back, and waiting; arguments so that a test need not wait.
    """

    every: timedelta = timedelta(minutes=5)
    lasts: timedelta = timedelta(hours=2)
    once: bool = False
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        if self.every < _SHORTEST:
            raise UsageError("samples less than a second apart say nothing new", hint="use --every 5m")
        if self.samples > MOST_SAMPLES:
            told = f"every {format_duration(self.every)} for {format_duration(self.lasts)} is {self.samples:,} samples"
            raise UsageError(f"{told}, and each is an entry", hint=f"at most {MOST_SAMPLES}: use a longer --every")

    @property
    def samples(self) -> int:
        """How many there are."""
        return 1 if self.once else int(self.lasts / self.every) + 1

    def beats(self) -> Iterator[int]:
        """Yield the number of each sample when its time has come; beats that were missed are passed over."""
        start, beat, every = self.monotonic(), 0, self.every.total_seconds()
        while beat < self.samples:
            self.sleep(min(max(start + beat * every - self.monotonic(), 0.0), every))
            yield beat + 1
            beat = max(beat + 1, math.ceil((self.monotonic() - start) / every))


@dataclass
class Watch:
    """Watching one incident.

    Parameters
    ----------
    places, incident
        Which.
    timing
        How often, how long.
    window
        How far back each sample looks; "" is as far as the run did.

    Raises
    ------
    RefusedError
        When started, if who asks may not watch.
    """

    places: Places
    incident: Incident
    timing: Timing = field(default_factory=Timing)
    window: str = ""
    samples: list[Sample] = field(default_factory=list)
    held: str = ""

    def run(self, on_sample: Callable[[Watch], None] = lambda _: None) -> Watch:
        """Take all samples, or as many as there are until the rollout is held.

        Parameters
        ----------
        on_sample
            Called after each sample, when it is on record.
        """
        actor = self.incident.allow("watch")
        items = items_of(Bench(self.places, self.incident))
        if not items:
            raise UsageError(
                "nothing fired in this incident, so there is nothing to watch", hint="run its runbook first"
            )
        body = {
            "every": format_duration(self.timing.every),
            "for": "once" if self.timing.once else format_duration(self.timing.lasts),
            "items": [to_plain(one) for one in items[:_MOST_VALUES]],
            "window": self.window,
        }
        self.incident.ledger.append("watch.started", body, by=actor.id)
        for number in self.timing.beats():
            self._sample(number, items, actor.id)
            on_sample(self)
            if self.held:
                break
        return self

    def _sample(self, number: int, items: Sequence[Item], by: str) -> None:
        bench = Bench(self.places, self.incident, self.window)
        sample = Sample(number, self.timing.samples, self.incident.clock(), tuple(_readings(bench, items)))
        self.samples.append(sample)
        self.incident.ledger.append("watch.sampled", _small(sample), by=by)
        reason = self._reason_to_hold()
        if reason is None:
            return
        reading, because = reason
        self.held = because
        body = {"because": because, "item": reading.item.name, "value": reading.value, "limit": reading.limit}
        self.incident.ledger.append("rollout.held", {**body, "runbook": reading.item.template, "n": reading.n}, by=by)

    def _reason_to_hold(self) -> tuple[Reading, str] | None:
        for one in self.samples[-1].readings:
            if one.status == "breach":
                return one, f"{one.item.name} is {show(one.value, one.unit)}, and the limit is {one.limit}"
        last = self.samples[-_IN_A_ROW:]
        if len(last) < _IN_A_ROW:
            return None
        for one in last[-1].readings:
            before = [r.status for s in last for r in s.readings if r.item == one.item]
            if before == ["undefined"] * _IN_A_ROW:
                return one, f"{one.item.name} could not be judged twice in a row: {one.why}"
        return None

    @property
    def outcome(self) -> Literal["held", "ok", "undefined"]:
        """What came of it: held, all that was watched is as it should be, or nobody can tell."""
        if self.held:
            return "held"
        if not self.samples or any(one.status in ("undefined", "waiting") for one in self.samples[-1].readings):
            return "undefined"
        return "ok"

    def course(self, item: Item) -> list[float | None]:
        """Return the values of an item, sample by sample."""
        return [one.value for sample in self.samples for one in sample.readings if one.item == item]


def items_of(bench: Bench) -> list[Item]:
    """Return what to watch in an incident, each once."""
    found: dict[tuple[str, str, str], Item] = {}

    def take(template: str, signal: str, where: str, because: str) -> None:
        found.setdefault((template, signal, where), Item(template, signal, where, because))

    for fired in bench.fired:
        take(*fired.key, f"it was in {fired.status}")
    for template, checks in bench.checks.items():
        if checks.known and checks.policy.watch:
            take(template, checks.policy.watch, "", "the policy watches it")
    for run in bench.runs:
        for cause in run.record.get("causes") or []:
            component, colon, _ = str(cause.get("name", "")).partition(":")
            if cause.get("status") == "supported" and cause.get("kind") in _MEASURED and colon:
                take(run.template, "component_anomaly", component, "it was a supported cause")
    return list(found.values())


def _readings(bench: Bench, items: Sequence[Item]) -> list[Reading]:
    """Return what each item is now."""
    found: list[Reading] = []
    for template in dict.fromkeys(item.template for item in items):
        mine = [item for item in items if item.template == template]
        checks = bench.checks[template]
        if not checks.known:
            why = "its runbook is not one that rbnb can measure by itself"
            found += [Reading(item, "undefined", why=why) for item in mine]
            continue
        found += _of_runbook(bench, checks, mine)
    return found


def _of_runbook(bench: Bench, checks: Checks, items: Sequence[Item]) -> list[Reading]:
    components = [one.where for one in items if one.signal == "component_anomaly" and one.where]
    try:
        window, short, why = _window(bench, checks.template)
        again = checks.again(bench.stretch(window, bench.data()), components) if window else None
    except (DataError, ParameterError) as error:
        return [Reading(item, "undefined", why=error.message) for item in items]
    if again is None:
        return [Reading(item, "waiting" if short else "undefined", why=why) for item in items]
    if again.why:
        waiting = short and "data_age" not in again.unfit
        return [Reading(item, "waiting" if waiting else "undefined", why=again.why) for item in items]
    return [_reading(item, again, short=short) for item in items]


def _window(bench: Bench, template: str) -> tuple[Window | None, bool, str]:
    """Return the fresh rows to look at, whether they are fewer than the runbook wants, and why if there are none."""
    end, bucket = bench.newest(template)
    length, since = bench.length(template), bench.fresh.since
    seconds = -(-int(since.timestamp()) // bucket) * bucket
    start = max(end - length, datetime.fromtimestamp(seconds, UTC))
    if (end - start).total_seconds() >= 2 * bucket:
        return Window(start, end), start > end - length, ""
    patience = timedelta(seconds=3 * bucket)
    soon = bench.model.recording is None and bench.now - max(since, end) <= patience
    return None, soon, f"no data since the containment: rows count from {described(bench.fresh)}"


def _reading(item: Item, again: Again, *, short: bool) -> Reading:
    pairs = again.of(item.signal, item.where)
    if not pairs:
        return Reading(item, "undefined", n=again.n, why="this check gives no result on these rows")
    finding = min((one for one, _ in pairs), key=lambda one: _ORDER.index(one.status))
    status: Status = "undefined" if finding.value is None else finding.status
    why = finding.reason if status == "undefined" else ""
    if status == "undefined" and short:
        status = "waiting"
    return Reading(
        item,
        status,
        finding.value,
        finding.unit,
        finding.interval,
        finding.threshold,
        finding.n,
        why,
    )


def _small(sample: Sample) -> dict[str, Any]:
    """Return a sample as an entry holds it: the worst readings first, and no more than a screen of them."""
    worst_first = sorted(sample.readings, key=lambda one: _ORDER.index(one.status))[:_MOST_VALUES]
    values = {one.item.name: {"value": one.value, "status": one.status, "n": one.n} for one in worst_first}
    body: dict[str, Any] = to_plain({"sample": sample.number, "status": sample.status, "values": values})
    return body


def sparkline(values: Sequence[float | None], most: int = 24) -> str:
    """Draw a few numbers as bars between the smallest and the largest; a dot where there was none.

    Examples
    --------
    >>> sparkline([1.0, 2.0, None, 8.0])
    '▁▂·█'
    """
    shown = list(values)[-most:]
    known = [value for value in shown if value is not None and math.isfinite(value)]
    if not known:
        return "·" * len(shown)
    low, high = min(known), max(known)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join("·" if v is None or not math.isfinite(v) else _BARS[round((v - low) * scale)] for v in shown)


def release(incident: Incident, because: str) -> Entry:
    """Let a held rollout go on, with a reason.

    Raises
    ------
    RefusedError
        If who asks may not.
    UsageError
        If there is no reason, or nothing is held.
    """
    if not because.strip():
        raise UsageError("letting a rollout go on needs a reason", hint='say it with --because "…"')
    actor = incident.allow("release")

    def rule(entries: Sequence[Entry]) -> tuple[str, dict[str, Any]]:
        last = next((one for one in reversed(entries) if one.kind in ("rollout.held", "rollout.released")), None)
        if last is None or last.kind != "rollout.held":
            raise UsageError(f"{incident.name}: no rollout is on hold", hint="there is nothing to release")
        return "rollout.released", {"because": because.strip(), "held_by": last.seq, "item": last.body.get("item")}

    return incident.ledger.append_when(rule, by=actor.id)
