"""The model file: one inventory entry a model, from which an incident's header and queries are filled.

Only a name, one table, its timestamp and one measured column are needed; every absent piece is told
to the reader as "not measured", never skipped in silence. Rules: strict types, unknown keys refused,
paths are relative to the file, credentials only as ``${NAME}`` in `connection`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from rbnb.config import Duration, Moment, Name, Settings, parse_settings, read_yaml
from rbnb.errors import ConfigError, NotFoundError
from rbnb.model import NAME, checked_name
from rbnb.times import parse_time, utc_now

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

__all__ = [
    "Acceptance",
    "Columns",
    "Endpoint",
    "Expectation",
    "Log",
    "ModelFile",
    "PredictionLog",
    "RowRule",
    "find_model",
    "find_models",
    "load_model_file",
]

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _days(value: str) -> str:
    first, _, last = value.lower().partition("-")
    if first not in _DAYS or (last and last not in _DAYS):
        raise ValueError("days are written mon-fri, or one day such as sat")
    return value.lower()


def _once(names: list[str]) -> list[str]:
    if len(set(names)) != len(names):
        raise ValueError("names one thing twice")
    return names


class PeakWindow(Settings):
    """When the load is highest, in UTC."""

    days: Annotated[str, AfterValidator(_days)] = "mon-sun"
    start: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    end: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]

    def touches(self, start: datetime, end: datetime) -> bool:
        """Whether the peak falls between two times of one day, or into the day of the second."""
        first, _, last = self.days.partition("-")
        low, high = _DAYS.index(first), _DAYS.index(last or first)
        day = end.weekday()
        on_day = low <= day <= high if low <= high else day >= low or day <= high
        begins = f"{start:%H:%M}" if start.date() == end.date() else "00:00"
        return on_day and begins < self.end and f"{end:%H:%M}" > self.start


class OnCall(Settings):
    """Who is paged, and to whom it goes up."""

    rotation: str
    escalation: list[str] = Field(default_factory=list)


class Columns(Settings):
    """The names this log uses for what rbnb means (Evidently's names are canonical)."""

    timestamp: str
    request_id: str | None = None
    model_version: str | None = None
    prediction: str | None = None
    prediction_proba: str | None = None
    target: str | None = None
    target_timestamp: str | None = None
    latency_ms: str | None = None
    status_code: str | None = None
    payload_size: str | None = None


class Features(Settings):
    """The model's inputs."""

    numerical: list[str] = Field(default_factory=list)
    categorical: list[str] = Field(default_factory=list)


class Log(Settings):
    """A table: `connection` is any ibis.connect() URL, `table` a table's name or files relative to this file."""

    connection: str = "duckdb://"
    table: str
    timezone: Literal["UTC"] | None = None
    columns: dict[str, str] = Field(default_factory=dict)


class PredictionLog(Settings):
    """The request log: one row a request, or one row a measurement."""

    connection: str = "duckdb://"
    table: str
    timezone: Literal["UTC"] | None = None
    columns: Columns
    unit: str = "ms"
    stages: list[str] = Field(default_factory=list)
    segments: list[str] = Field(default_factory=list)
    features: Features = Field(default_factory=Features)
    label_delay: Duration | None = None

    @model_validator(mode="after")
    def _no_column_twice(self) -> PredictionLog:
        for key in ("stages", "segments"):
            names = getattr(self, key)
            if len(set(names)) != len(names):
                raise ValueError(f"{key} names a column twice")
        return self


class Logs(Settings):
    """What is logged about a model.

    `training` holds the rows it is trained on (columns id, time, source, batch, label, weight), `lineage` which
    version was trained on which batch, `trusted` rows whose label somebody checked, `recomputed` the features of
    logged requests as the offline store computes them, by request_id.
    """

    predictions: PredictionLog
    training: Log | None = None
    lineage: Log | None = None
    trusted: Log | None = None
    recomputed: Log | None = None
    changes: Log | None = None
    metrics: Log | None = None
    dependencies: Log | None = None


class Reference(Settings):
    """What is normal: the span before the window, or a fixed one."""

    window: Duration | None = None
    start: Moment | None = None
    end: Moment | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Reference:
        fixed = self.start is not None or self.end is not None
        if fixed and (self.window is not None or self.start is None or self.end is None):
            raise ValueError("give either a window, or both start and end")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError("start must be before end")
        return self


class Slo(Settings):
    """Service level objectives: latency in the log's unit by quantile, availability as a share."""

    latency_ms: dict[Literal["p50", "p90", "p95", "p99"], Annotated[float, Field(gt=0, strict=False)]] = Field(
        default_factory=dict
    )
    availability: Annotated[float, Field(gt=0.5, lt=1)] | None = None


class Governance(Settings):
    """What kind of data it touches and which rules it answers to; what is left out is unknown, never no."""

    role: Literal["provider", "deployer"] | None = None
    high_risk: bool | Literal["unknown"] = "unknown"
    sector: str = ""
    data: list[Literal["personal", "special", "financial", "public"]] = Field(default_factory=list)
    frameworks: list[str] = Field(default_factory=list)
    fairness_segments: list[str] = Field(default_factory=list)


class Expectation(Settings):
    """What a feature may hold, whatever the past held."""

    min: Annotated[float, Field(strict=False)] | None = None
    max: Annotated[float, Field(strict=False)] | None = None
    values: list[str] = Field(default_factory=list)
    unit: str = ""
    nullable: bool = True


class RowRule(Settings):
    """What has to hold between the columns of one row, such as ``used <= limit``."""

    name: Name
    check: Annotated[str, Field(min_length=1)]
    why: str = ""


class DecisionRule(Settings):
    """How a score becomes a decision: at or above the threshold it is `positive`, below it `negative`."""

    threshold: Annotated[float, Field(strict=False)]
    positive: str
    negative: str


class Tolerance(Settings):
    """How far two scores may differ and still be the same: ``|a - b| <= absolute + relative * |b|``.

    The defaults are those of `numpy.isclose`.
    """

    relative: Annotated[float, Field(ge=0, strict=False)] = 1e-5
    absolute: Annotated[float, Field(ge=0, strict=False)] = 1e-8


class Endpoint(Settings):
    """Where a model answers: an HTTP address (Open Inference Protocol v2, or MLflow), or a local file.

    `path` is relative to the model file. A file is never unpickled.
    """

    kind: Literal["v2", "mlflow", "onnx", "skops"]
    url: str | None = None
    path: str | None = None
    name: str = ""
    version: str = ""
    timeout: Duration | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Endpoint:
        local = self.kind in ("onnx", "skops")
        if local and (self.path is None or self.url is not None):
            raise ValueError(f"{self.kind} is a file: give path, and no url")
        if not local and (self.url is None or self.path is not None):
            raise ValueError(f"{self.kind} is an HTTP endpoint: give url, and no path")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError("url must begin with http:// or https://")
        return self


class Serving(Settings):
    """The model as it answers now, and as it answered when it was known to be good."""

    current: Endpoint
    known_good: Endpoint | None = None


class QualityLimit(Settings):
    """What a performance number has to be before an incident counts as over.

    `min` and `max` bound the number itself; `worse_by` bounds how much worse than in the reference it may be: as a
    share of the reference's number, for auc in its own unit.
    """

    min: Annotated[float, Field(strict=False, allow_inf_nan=False)] | None = None
    max: Annotated[float, Field(strict=False, allow_inf_nan=False)] | None = None
    worse_by: Annotated[float, Field(ge=0, strict=False, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> QualityLimit:
        if self.min is None and self.max is None and self.worse_by is None:
            raise ValueError("give min, max or worse_by")
        return self


class FairnessLimit(Settings):
    """How much further apart groups may be than they are in the reference, as a share of their requests.

    `by` names segment columns (without it: governance.fairness_segments), `measures` what is compared: how many get
    the positive decision, how many decisions turn out right. A group of fewer than `fewest` rows says nothing.
    """

    by: list[str] = Field(default_factory=list)
    measures: list[Literal["selection", "accuracy"]] = Field(default=["selection"], min_length=1)
    worse_by: Annotated[float, Field(gt=0, lt=1, strict=False)] = 0.1
    fewest: Annotated[int, Field(ge=20)] = 30


class Acceptance(Settings):
    """What has to be measured before an incident of this model counts as over, beside the checks that fired.

    `windows` fresh ones in a row, each as long as `window` (without it: as the run's own); `scenarios` must have
    data, while those not named are measured where they have some; `latency` and `availability` are the objective's
    unless given here.
    """

    windows: Annotated[int, Field(ge=1, le=24)] = 2
    window: Duration | None = None
    scenarios: list[Literal["peak", "worst_segment", "newest"]] = Field(default_factory=list)
    quality: dict[Literal["accuracy", "auc", "brier", "mean_error"], QualityLimit] = Field(default_factory=dict)
    latency: dict[Literal["p50", "p90", "p95", "p99"], Annotated[float, Field(gt=0, strict=False)]] = Field(
        default_factory=dict
    )
    availability: Annotated[float, Field(gt=0.5, lt=1)] | None = None
    fairness: FairnessLimit = Field(default_factory=FairnessLimit)


class Recording(Settings):
    """The logs are a recording that ends at `until`: for the run, that is now."""

    until: Moment


class ModelFile(Settings):
    """One model in production.

    `positive_label` is the label of what the score is the probability of; `decision` says how a score becomes a
    decision. `rules`, `expect`, `monotone` and `invariant` are what its owner knows must hold.

    `platforms` says, best first, on which platforms it can be acted on; an action is shown and run in the first of
    them that it knows. `action_values` fill the placeholders of an action's commands; `segment_values` those that
    depend on where the trouble is, by segment such as ``zone=b``.
    """

    name: Name
    version: str = ""
    known_good_version: str | None = None
    description: str = ""
    registry: str | None = None
    environment: str = "production"
    task: Literal["binary", "multiclass", "regression", "series"] = "series"
    criticality: Literal["low", "medium", "high", "critical"] = "medium"
    owner: str = ""
    on_call: OnCall | None = None
    peak_window: PeakWindow | None = None
    logs: Logs
    recording: Recording | None = None
    reference: Reference = Field(default_factory=Reference)
    slo: Slo = Field(default_factory=Slo)
    acceptance: Acceptance = Field(default_factory=Acceptance)
    positive_label: str = "1"
    decision: DecisionRule | None = None
    rules: list[RowRule] = Field(default_factory=list)
    expect: dict[str, Expectation] = Field(default_factory=dict)
    monotone: dict[str, Literal["increasing", "decreasing"]] = Field(default_factory=dict)
    invariant: list[str] = Field(default_factory=list)
    tolerance: Tolerance = Field(default_factory=Tolerance)
    serving: Serving | None = None
    thresholds: dict[str, Annotated[float, Field(strict=False)]] = Field(default_factory=dict)
    actions: list[Name] = Field(default_factory=list)
    platforms: Annotated[list[Name], AfterValidator(_once)] = Field(default_factory=list)
    action_values: dict[str, str] = Field(default_factory=dict)
    segment_values: dict[str, dict[str, str]] = Field(default_factory=dict)
    governance: Governance = Field(default_factory=Governance)
    links: dict[str, str] = Field(default_factory=dict)

    def clock(self, given: str) -> datetime:
        """Return what counts as now for a run: the time given, else the end of a recording, else the time it is.

        Raises
        ------
        UsageError
            If the time given cannot be read.
        """
        if given:
            return parse_time(given)
        return self.recording.until if self.recording else utc_now()


def find_models(folder: Path) -> dict[str, Path]:
    """Return the model files of a folder by name."""
    return {path.stem: path for path in sorted(folder.glob("*.yaml")) if NAME.fullmatch(path.stem)}


def find_model(folder: Path, name: str) -> Path:
    """Return the file of one model.

    Raises
    ------
    NameRefusedError
        If the name could be a path.
    NotFoundError
        If there is no such model; close names are suggested.
    """
    known = find_models(folder)
    if checked_name("model", name) not in known:
        raise NotFoundError("model", name, known, where=folder.name)
    return known[name]


def load_model_file(path: Path) -> ModelFile:
    """Read and check one model file.

    Raises
    ------
    ConfigError
        If the file is unreadable, a key is unknown or wrong, or `name` is not the file's name.
    """
    model = parse_settings(ModelFile, read_yaml(path), path)
    if model.name != path.stem:
        raise ConfigError(path, "name", f"says {model.name!r} but the file is called {path.name}; they must agree")
    return model
