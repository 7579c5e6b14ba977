"""From a walked history to the file that runs read, and the picture beside it.

Rules: a version is never overwritten: the one before is kept in ``earlier/``; a file that was changed by hand is
never learned over, since it may hold somebody's decision; what could not be learned is in the file, with its
reason; the same history gives the same numbers.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rbnb.baselines.columns import Band, learn_columns
from rbnb.baselines.limits import ENOUGH, Learned, learn
from rbnb.baselines.windows import HOUR
from rbnb.errors import DataError, UsageError
from rbnb.plots.baseline import Panel, baseline_week
from rbnb.policy.learned import DAYS, digest_of, mapping_digest, numbers_digest, rails, read_baseline, written
from rbnb.times import format_time

if TYPE_CHECKING:
    from pathlib import Path

    from rbnb.baselines.history import Walked
    from rbnb.baselines.windows import Floats, Measured, Walk
    from rbnb.policy import Threshold

__all__ = ["WARN_TIMES", "Limits", "Written", "learned_limits", "write_baseline"]

#: How many times as often as a breach a healthy window may reach a warning.
WARN_TIMES = 5.0
_SIDES = ("warning", "breach")
#: The signals that stand first in the picture: the tail, the stretch, the traffic.
_SHOWN = ("latency_p95", "latency_anomaly", "throughput")


@dataclass(frozen=True, slots=True)
class Limits:
    """What was learned of one signal.

    Parameters
    ----------
    measured, threshold
        The signal, and the policy's threshold.
    usual
        The median an hour of the week.
    numbers
        ``warning`` and ``breach`` where the policy has them: one limit an hour, inside the guard rails.
    n
        Healthy windows behind it.
    held
        Hours whose breach (or warning, without one) the guard rails hold.
    """

    measured: Measured
    threshold: Threshold
    usual: Floats
    numbers: dict[str, Floats]
    n: int
    held: int


@dataclass(frozen=True, slots=True)
class Written:
    """A baseline on disk."""

    path: Path
    plot: Path
    content: dict[str, Any]


def learned_limits(walked: Walked, rate: float) -> tuple[list[Limits], dict[str, str]]:
    """Learn the limits of every signal of a walked history, and say of which there are none and why."""
    walk = walked.walk
    if walk is None:
        return [], {"latency_spike": "no measured column is mapped (columns.latency_ms)"}
    found, missing = [], dict(walk.missing)
    for measured in walk.measured:
        threshold = walked.policy.thresholds.get(measured.signal)
        if threshold is None:
            missing[measured.signal] = f"policy {walked.policy.name} has no threshold of that name"
            continue
        healthy = np.where(walk.counts, measured.compared(threshold), np.nan)
        if (seen := int(np.isfinite(healthy).sum())) < ENOUGH:
            missing[measured.signal] = f"defined in {seen} healthy windows, and {ENOUGH} are needed"
            continue
        rates = (rate, min(WARN_TIMES * rate, 0.5))
        learned = learn(walk.end, walk.hour, healthy, unit=measured.unit, direction=threshold.direction, rates=rates)
        found.append(_held(measured, threshold, learned, rates))
    return found, missing


def _held(measured: Measured, threshold: Threshold, learned: Learned, rates: tuple[float, float]) -> Limits:
    """Hold learned limits inside the guard rails."""
    numbers, held = {}, 0
    for which, rate in (("breach", rates[0]), ("warning", rates[1])):
        between = rails(threshold, which, measured.unit)  # type: ignore[arg-type]
        if between is None:
            continue
        free = learned.limits[rate]
        numbers[which] = np.clip(free, min(between), max(between))
        if which == "breach" or "breach" not in numbers:
            held = int((numbers[which] != free).sum())
    if len(numbers) == 2:
        nearer = np.minimum if threshold.direction == "above" else np.maximum
        numbers["warning"] = nearer(numbers["warning"], numbers["breach"])
    return Limits(measured, threshold, learned.usual, numbers, learned.n, held)


def write_baseline(walked: Walked, folder: Path, *, rate: float, now: datetime, by: str) -> Written:
    """Learn, and write the next version of a model's baseline with its plot.

    Raises
    ------
    ConfigError
        If the file that is there was changed by hand, or cannot be read.
    DataError
        If nothing could be learned.
    UsageError
        If the folder cannot be written.
    """
    path = folder / f"{walked.model.name}.yaml"
    before = read_baseline(path, walked.model.name)
    limits, missing = learned_limits(walked, rate)
    bands, unlearned = _bands(walked, rate)
    if not limits and not bands:
        why = "; ".join(f"{name}: {reason}" for name, reason in (missing | unlearned).items())
        raise DataError(f"{walked.model.name}: nothing could be learned ({why})", hint="map more of the request log")
    version = max([before.version if before else 0, *_earlier(folder, walked.model.name)]) + 1
    content = _content(walked, limits, bands, missing | unlearned, rate)
    head = {"format": 1, "model": walked.model.name, "model_version": walked.model.version, "version": version}
    content = {**head, "created_at": format_time(now), "created_by": by, **content}
    content["digest"] = digest_of(content)
    figure = baseline_week(f"{walked.model.name}, baseline v{version}", _panels(walked.walk, limits, bands))
    try:
        _write(folder, path, written(content), figure.svg, before.version if before else 0)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written: {error.strerror}", hint="mend it, or workspace.baselines in rbnb.toml"
        ) from None
    return Written(path, path.with_suffix(".svg"), content)


def _bands(walked: Walked, rate: float) -> tuple[list[Band], dict[str, str]]:
    try:
        return learn_columns(walked.data, walked.span, leave_out=walked.spans, rate=rate)
    except DataError as error:  # a score or a label that is missing takes no latency threshold down
        return [], {"columns": error.message}


def _earlier(folder: Path, model: str) -> list[int]:
    pattern = re.compile(rf"{re.escape(model)}\.v(\d+)\.yaml")
    return [int(found[1]) for path in folder.glob("earlier/*.yaml") if (found := pattern.fullmatch(path.name))]


def _write(folder: Path, path: Path, text: str, svg: str, before: int) -> None:
    """Keep the version before, then put the picture and the file in place, each whole or not at all."""
    (folder / "earlier").mkdir(parents=True, exist_ok=True)
    plot = path.with_suffix(".svg")
    for old in (path, plot):
        if before and old.exists():
            kept = folder / "earlier" / f"{path.stem}.v{before}{old.suffix}"
            _put(kept, old.read_text(encoding="utf-8"))
    _put(plot, svg)
    _put(path, text)


def _put(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _content(
    walked: Walked, limits: list[Limits], bands: list[Band], missing: dict[str, str], rate: float
) -> dict[str, Any]:
    walk, model = walked.walk, walked.model
    start, end = walked.span
    rows = walked.data.integrity(start, end)["rows"]
    thresholds = []
    if walk is not None and limits:
        thresholds = [
            {
                "runbook": walk.runbook,
                "policy": walked.policy.version,
                "numbers": numbers_digest(walked.policy),
                "window_seconds": walk.length,
                "signals": [_signal(one) for one in limits],
            }
        ]
    return {
        "history": {
            "start": _time(start),
            "end": _time(end),
            "hours": (end - start) // HOUR,
            "left_out": [{"start": _time(o.start), "end": _time(o.end), "why": o.why} for o in walked.left_out],
            "false_alarms": float(rate),
        },
        "data": {
            "table": model.logs.predictions.table,
            "mapping": mapping_digest(model),
            "rows": rows,
            "digest": _data_digest(walked, bands),
        },
        "thresholds": thresholds,
        "levels": [_level(band) for band in bands],
        "not_learned": dict(sorted(missing.items())),
    }


def _data_digest(walked: Walked, bands: list[Band]) -> str:
    """Return a digest of the numbers that were learned from, to nine digits."""
    whole = hashlib.sha256()
    for one in walked.walk.measured if walked.walk else ():
        whole.update(f"{one.signal}|{one.where}|".encode())
        whole.update(",".join(f"{value:.9g}" for value in np.concatenate([one.value, one.low, one.high])).encode())
    for band in bands:
        whole.update(f"{band.name}|{band.where}|{band.n}|".encode())
        whole.update(",".join(f"{value:.9g}" for value in band.usual).encode())
    return "sha256:" + whole.hexdigest()


def _signal(one: Limits) -> dict[str, Any]:
    threshold, measured = one.threshold, one.measured
    end = "lower" if threshold.direction == "above" else "upper"
    compares = "the value" if threshold.compare == "value" else f"the {end} end of the interval"
    numbers = {which: _by_day(one.numbers[which]) for which in _SIDES if which in one.numbers}
    return {
        "signal": measured.signal,
        "where": measured.where,
        "unit": measured.unit,
        "direction": threshold.direction,
        "compares": compares,
        "n": one.n,
        "held_by_rails": one.held,
        "usual": _by_day(one.usual),
        **numbers,
    }


def _level(band: Band) -> dict[str, Any]:
    about = {"name": band.name, "where": band.where, "unit": band.unit, "n": band.n}
    return {**about, **{key: _by_day(getattr(band, key)) for key in ("low", "usual", "high")}}


def _by_day(values: Floats) -> dict[str, list[float]]:
    rounded = [float(f"{value:.5g}") for value in values]
    return {day: rounded[24 * index : 24 * index + 24] for index, day in enumerate(DAYS)}


def _panels(walk: Walk | None, limits: list[Limits], bands: list[Band]) -> list[Panel]:
    panels = []
    for one in limits if walk is not None else ():
        side: Literal["breach", "warning"] = "breach" if "breach" in one.numbers else "warning"
        if walk is None or one.measured.signal == "throughput_drop":
            continue  # the same series as throughput, from its other side
        compared = one.measured.compared(one.threshold)
        hours, out = walk.hour, ~walk.counts
        above = one.threshold.direction == "above"
        limit = one.numbers[side]
        panels.append(
            Panel(
                f"{one.measured.signal}, {one.measured.unit}: {side}",
                one.usual,
                None if above else limit,
                limit if above else None,
                (hours[~out].tolist(), compared[~out].tolist()),
                (hours[out].tolist(), compared[out].tolist()),
                getattr(one.threshold, side),
            )
        )
    panels.sort(key=lambda panel: panel.label.partition(",")[0] not in _SHOWN)
    none: tuple[list[int], list[float]] = ([], [])
    panels += [
        Panel(f"{b.name} {b.where}".strip() + ", an hour", b.usual, b.low, b.high, none, none, None) for b in bands
    ]
    return panels


def _time(epoch: int) -> str:
    return format_time(datetime.fromtimestamp(epoch, UTC))
