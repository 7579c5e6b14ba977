"""The one module that knows Evidently: columns in, what it says of each out.

Written against 0.7: `DataDefinition` says which column is what, since its own guesses fail on nullable and Arrow
types; `include_tests` is on, since only a test's status says whether a column counts as drifted, and in which
direction its number is to be read; columns that break a report are found one by one and left out.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rbnb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

__all__ = ["Said", "ask", "ask_all", "inert", "tool"]


@dataclass(frozen=True, slots=True)
class Said:
    """What Evidently says of one column.

    Parameters
    ----------
    method
        The method it chose or was given.
    value
        A p-value (small is drift) or a distance (large is drift), depending on the method.
    threshold
        What it holds the value against.
    drifted
        The status of its test; None where it failed.
    error
        Why it could not take the column.
    """

    method: str = ""
    value: float | None = None
    threshold: float | None = None
    drifted: bool | None = None
    error: str = ""

    @property
    def is_test(self) -> bool:
        """Whether the value is a p-value."""
        return "p_value" in self.method


def tool() -> str:
    """Return the tool and its version.

    Raises
    ------
    ImportError
        If it is not installed, or does not import on what is.
    """
    import evidently  # type: ignore[import-untyped]

    return f"Evidently {evidently.__version__}"


def inert(values: pd.Series) -> pd.Series:
    """Return categories without angle brackets, each still distinct from the others.

    Evidently writes them into a script without escaping ``</``; a category could end it and begin its own.
    """
    marks = str.maketrans({"<": "‹", ">": "›", "\u2028": " ", "\u2029": " "})
    names: dict[Any, str] = {}
    taken: set[str] = set()
    for value in values.dropna().unique():
        name = plain = str(value).translate(marks)
        number = 1
        while name in taken:
            number += 1
            name = f"{plain} ({number})"
        taken.add(name)
        names[value] = name
    return values.map(names, na_action="ignore").astype(object)


def ask_all(reference: pd.DataFrame, current: pd.DataFrame, kinds: Mapping[str, str], folder: Path) -> dict[str, Said]:
    """Ask about every column, and leave the report as ``evidently.json`` and ``evidently.html`` in `folder`.

    One column that cannot be taken is said to have failed; the others stay.
    """
    names = list(kinds)
    said = {name: Said(error="no value at all on one of the two sides") for name in names}
    asked = [name for name in names if reference[name].notna().any() and current[name].notna().any()]
    snapshot, failed = _run_without_the_broken(reference, current, {name: kinds[name] for name in asked})
    said |= failed
    if snapshot is not None:
        said |= _read(snapshot)
        plain = json.loads(snapshot.json(), parse_constant=lambda _: None)
        (folder / "evidently.json").write_text(json.dumps(plain, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        snapshot.save_html(str(folder / "evidently.html"))
    return {name: said[name] for name in names}


def _run_without_the_broken(
    reference: pd.DataFrame, current: pd.DataFrame, kinds: Mapping[str, str]
) -> tuple[Any, dict[str, Said]]:
    """Run one report; where it breaks, ask column by column which of them did it."""
    try:
        return (_run(reference, current, kinds) if kinds else None), {}
    except Exception:  # noqa: BLE001 - a column that breaks it may raise anything, and is looked for below
        alone = {name: ask(reference, current, name, kind) for name, kind in kinds.items()}
    failed = {name: said for name, said in alone.items() if said.error}
    whole = {name: kind for name, kind in kinds.items() if name not in failed}
    return (_run(reference, current, whole) if whole else None), failed


def ask(reference: pd.DataFrame, current: pd.DataFrame, name: str, kind: str, method: str | None = None) -> Said:
    """Ask about one column alone, by Evidently's own choice of method or by one that is named."""
    try:
        said: Said = _read(_run(reference, current, {name: kind}, method))[name]
    except Exception as error:  # noqa: BLE001 - whatever it raises is what it says of this column
        return Said(error=one_line(f"{type(error).__name__}: {error}", 200))
    return said


def _run(reference: pd.DataFrame, current: pd.DataFrame, kinds: Mapping[str, str], method: str | None = None) -> Any:  # noqa: ANN401 - Evidently's snapshot
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift  # type: ignore[import-untyped]

    names = list(kinds)
    definition = DataDefinition(
        numerical_columns=_of(kinds, "numerical"), categorical_columns=_of(kinds, "categorical")
    )
    metrics = [ValueDrift(column=name, method=method) for name in names]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its divisions by zero are its own business; a result says what it is
        sides = [Dataset.from_pandas(side[names], data_definition=definition) for side in (current, reference)]
        return Report(metrics, include_tests=True).run(*sides)


def _of(kinds: Mapping[str, str], kind: str) -> list[str]:
    return [name for name, own in kinds.items() if own == kind]


def _read(snapshot: Any) -> dict[str, Said]:  # noqa: ANN401 - Evidently's snapshot
    plain = json.loads(snapshot.json(), parse_constant=lambda _: None)
    statuses = {test["metric_config"]["metric_id"]: test["status"] for test in plain["tests"]}
    return {metric["config"]["column"]: _said(metric, statuses) for metric in plain["metrics"]}


def _said(metric: Mapping[str, Any], statuses: Mapping[str, str]) -> Said:
    config, status = metric["config"], statuses.get(metric["id"])
    value = metric["value"] if isinstance(metric["value"], (int, float)) else None
    if status not in ("SUCCESS", "FAIL") or value is None:
        return Said(str(config["method"]), error=f"its test ended as {status} with the value {value}")
    return Said(str(config["method"]), float(value), float(config["threshold"]), status == "FAIL")
