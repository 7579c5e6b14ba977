"""The words of rbnb as types: what is measured, what is judged, what is proposed, what is recorded.

They are plain frozen dataclasses that know nothing of disks, kernels or screens. Rules:

- **A signal is a number with its uncertainty, and never a judgement.** Where a number has no meaning
  it is ``None`` and `Signal.reason` says why; it is never 0 in its stead.
- **Times are aware and in UTC.** `to_plain` writes them as ISO 8601 with a Z.
- **Everything turns into strict JSON** (`to_plain`): no NaN, no infinity, no numpy scalar survives.
- **Run status and verdict are two things**: did it execute, and what did it find.

A place in the data, a *segment*, is written ``column=value``, two columns ``a=x & b=y``, everywhere
``""``. The same grammar is used for signals, causes, changes and metrics, so that they can be compared.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, Literal

from rbnb.errors import NameRefusedError
from rbnb.times import format_time

__all__ = [
    "NAME",
    "RECORD_VERSION",
    "Branch",
    "Cause",
    "Finding",
    "FindingStatus",
    "HypothesisStatus",
    "Material",
    "NotMeasured",
    "Product",
    "Proposal",
    "Referral",
    "RunStatus",
    "SegmentShare",
    "Severity",
    "Signal",
    "Verdict",
    "VerdictName",
    "Window",
    "checked_name",
    "to_plain",
]

#: Version of run.json; the first number changes when a field changes its meaning or goes.
RECORD_VERSION = "1.2"

#: What a model, template, incident or action may be called.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

FindingStatus = Literal["ok", "warning", "breach", "undefined"]
HypothesisStatus = Literal["supported", "refuted", "open"]
VerdictName = Literal["healthy", "genuine", "transient", "infrastructure", "inconclusive"]


class RunStatus(StrEnum):
    """How an execution ended; says nothing of what it found."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    KERNEL_DIED = "kernel_died"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"


def checked_name(kind: str, name: str) -> str:
    """Return `name` if it is safe as a file name, and refuse it otherwise.

    Raises
    ------
    NameRefusedError
        If it is not matched in full by `NAME`.
    """
    if not NAME.fullmatch(name):
        raise NameRefusedError(
            f"{name!r} cannot be the name of {'an' if kind[0] in 'aeiou' else 'a'} {kind}",
            hint="use letters, digits, '.', '_' and '-', starting with a letter or digit, at most 64",
        )
    return name


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of time, ``start <= t < end``."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Signal:
    """One measured number with its uncertainty.

    Parameters
    ----------
    name
        What was measured, such as ``latency_p99``.
    value
        The number in `unit`, or None where it has no meaning.
    unit
        ``ms``, ``share`` (0 to 1), ``ratio``, ``count``, ``per minute``, ``burn rate``, ``robust z`` …
    n
        How many observations it rests on.
    method
        How it was computed, in a few words, with its settings.
    interval
        95 % confidence interval in `unit`, where one exists.
    where
        The segment it was measured in; ``""`` is everywhere.
    reference
        The same quantity in the reference, in `unit`.
    reason
        Why it is undefined, or what to mind when reading it.
    """

    name: str
    value: float | None
    unit: str
    n: int
    method: str
    interval: tuple[float, float] | None = None
    where: str = ""
    reference: float | None = None
    reason: str = ""

    @property
    def defined(self) -> bool:
        """Whether there is a number at all."""
        return self.value is not None and math.isfinite(self.value)


@dataclass(frozen=True, slots=True)
class Finding:
    """A signal held against a threshold."""

    signal: str
    where: str
    value: float | None
    unit: str
    interval: tuple[float, float] | None
    n: int
    threshold: str
    status: FindingStatus
    reason: str = ""
    reference: float | None = None
    method: str = ""


@dataclass(frozen=True, slots=True)
class SegmentShare:
    """How much of the excess one segment explains (0 to 1) and its share of all requests."""

    where: str
    explains: float
    interval: tuple[float, float] | None
    n: int
    traffic: float = 0.0
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Cause:
    """One hypothesis about what did it, with where it stands."""

    kind: str
    name: str
    where: str
    score: float
    status: HypothesisStatus
    evidence: str
    rank: int = 0
    at: datetime | None = None
    explains: float | None = None


@dataclass(frozen=True, slots=True)
class Severity:
    """How bad it is, SEV1 (worst) to SEV4, and why."""

    level: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the run concludes, and the reasons in order of weight."""

    name: VerdictName
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """One step through the decision tree: the node, its question, the values it saw, the way it took."""

    node: str
    question: str
    saw: dict[str, Any]
    took: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What policy suggests, and why; a person decides."""

    action: str
    because: str
    values: dict[str, str] = field(default_factory=dict)
    approvals: int = 0
    where: str = ""
    escalate_to: str = ""


@dataclass(frozen=True, slots=True)
class Referral:
    """Another runbook that the evidence points to, and why: "this looks like `runbook`"."""

    runbook: str
    because: str


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """Something the template would have measured, and why it could not."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Material:
    """A source that was read: which window of it, how many rows, and a digest of what was there."""

    source: str
    table: str
    window: Window | None
    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Product:
    """A file a run left behind; `path` is relative to the run folder."""

    path: str
    sha256: str
    bytes: int


def to_plain(thing: Any) -> Any:  # noqa: ANN401, C901, PLR0911 - the one door through which any value becomes JSON
    """Turn dataclasses, times, paths and numpy scalars into what strict JSON can hold.

    Numbers that are not finite become None: an undefined number is explained by the reason beside it.

    Examples
    --------
    >>> to_plain(NotMeasured("payload size", "no column mapped"))
    {'what': 'payload size', 'why': 'no column mapped'}
    >>> to_plain([float("nan"), (1, 2)])
    [None, [1, 2]]
    """
    if thing is None or isinstance(thing, (bool, str)):
        return thing.value if isinstance(thing, Enum) else thing
    if isinstance(thing, Enum):
        return thing.value
    if isinstance(thing, int):
        return int(thing)
    if isinstance(thing, float):
        return float(thing) if math.isfinite(thing) else None
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        return {f.name: to_plain(getattr(thing, f.name)) for f in dataclasses.fields(thing)}
    if isinstance(thing, datetime):
        return format_time(thing)
    if isinstance(thing, date):
        return thing.isoformat()
    if isinstance(thing, Path):
        return thing.as_posix()
    if isinstance(thing, dict):
        return {str(key): to_plain(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple, set, frozenset)):
        return [to_plain(item) for item in thing]
    if hasattr(thing, "item"):
        return to_plain(thing.item())
    raise TypeError(f"{type(thing).__name__} cannot be recorded")
