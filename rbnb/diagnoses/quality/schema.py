"""What the columns are: missing, new, renamed, of another type than they should be or than they were."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rbnb.signals.quality.shares import distance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from rbnb.data.profile import FileSchema

__all__ = ["SchemaBreak", "schema_breaks"]

#: How alike names must be, and how near distributions, for a column to be called renamed.
_NAMES, _NEAR = 0.5, 0.25
_NUMERIC = ("int", "uint", "float", "decimal", "bool")


@dataclass(frozen=True, slots=True)
class SchemaBreak:
    """Something about a column that is not as it should be.

    `kind` is missing, renamed, type or extra; `onset` is the epoch second of the first file that has it so, None
    where it is so in all files; `broken` tells whether a mapped feature cannot be used as it is.
    """

    kind: str
    feature: str
    what: str
    onset: int | None = None
    files: tuple[str, ...] = ()
    other: str = ""
    broken: bool = True


def schema_breaks(
    kinds: Mapping[str, str],
    types: Mapping[str, str],
    extra: Sequence[str],
    files: Sequence[FileSchema],
    rows: tuple[pd.DataFrame, pd.DataFrame],
    span: tuple[int, int],
) -> list[SchemaBreak]:
    """Return what is wrong with the columns.

    Parameters
    ----------
    kinds
        Declared features, numerical or categorical.
    types
        Every column of the log with its type.
    extra
        Columns that are not mapped.
    files
        The files with what each holds.
    rows
        Rows of the window and of the reference.
    span
        Start of the reference and end of the window, in epoch seconds.
    """
    inside = [f for f in files if f.rows and (f.last is None or f.first is None or _overlaps(f, span))]
    found = []
    for name, kind in kinds.items():
        broken = _missing(name, kind, types, extra, inside, rows) or _typed(name, kind, types, inside)
        if broken is not None:
            found.append(broken)
    return found


def _overlaps(file: FileSchema, span: tuple[int, int]) -> bool:
    return (file.last or 0) >= span[0] and (file.first or 0) < span[1]


def _missing(
    name: str,
    kind: str,
    types: Mapping[str, str],
    extra: Sequence[str],
    files: Sequence[FileSchema],
    rows: tuple[pd.DataFrame, pd.DataFrame],
) -> SchemaBreak | None:
    without = [file for file in files if name not in file.kinds]
    if name in types and not without:
        return None
    other = _renamed(name, kind, extra, rows)
    everywhere = name not in types or len(without) == len(files)
    onset = None if everywhere else without[0].first
    if without and not everywhere and files and name not in files[0].kinds and name in files[-1].kinds:
        # it was not there at first and is now: the column was added, and nothing is missing any more
        return None
    names = tuple(file.name for file in without[:3])
    if other:
        return SchemaBreak("renamed", name, f"is now called {other}", onset, names, other)
    return SchemaBreak("missing", name, "is a column that is not there", onset, names)


def _renamed(name: str, kind: str, extra: Sequence[str], rows: tuple[pd.DataFrame, pd.DataFrame]) -> str:
    """Return the unmapped column that is closest in name among those that hold the same, if any."""
    now, then = rows
    best: tuple[float, str] = (0.0, "")
    for other in extra:
        alike = _alike(name, other)
        column = f"extra_{other}"
        if column not in now or alike < _NAMES:
            continue
        near = _same_content(now[column], then, f"number_{name}" if kind == "numerical" else f"text_{name}")
        if near is not False:
            best = max(best, (alike + (0.5 if near else 0.0), other))
    return best[1]


def _alike(one: str, other: str) -> float:
    """Return how alike two names are, 0 to 1; one that begins the other is very alike."""
    plain = [name.casefold().replace("_", "").replace("-", "") for name in (one, other)]
    shorter, longer = sorted(plain, key=len)
    if len(shorter) >= 3 and (longer.startswith(shorter) or longer.endswith(shorter)):
        return 0.9
    return float(difflib.SequenceMatcher(None, plain[0], plain[1]).ratio())


def _same_content(values: pd.Series, then: pd.DataFrame, column: str) -> bool | None:
    """Whether values look like those a column held; None where it never held any."""
    if column not in then or then[column].notna().sum() < 100:
        return None
    held = values.dropna()
    if len(held) < 50:
        return None
    if column.startswith("number_"):
        if held.dtype.kind not in "iuf":
            return False
        apart = distance("", held.to_numpy(float), then[column].dropna().to_numpy(float)).value
        return apart is not None and apart <= _NEAR
    known = set(then[column].dropna().astype(str).unique())
    return float(held.astype(str).isin(known).mean()) >= 0.9


def _typed(name: str, kind: str, types: Mapping[str, str], files: Sequence[FileSchema]) -> SchemaBreak | None:
    held = [(file, file.kinds[name]) for file in files if file.kinds.get(name, "null") != "null"]
    ways = list(dict.fromkeys(way for _, way in held))
    if kind == "numerical" and len(ways) > 1 and any(way == "text" for way in ways):
        odd = [file for file, way in held if way == "text"]
        if held[0][1] == "text" and held[-1][1] != "text":
            return None
        names = tuple(file.name for file in odd[:3])
        return SchemaBreak("type", name, f"is text in {len(odd)} of {len(held)} files", odd[0].first, names)
    if len(ways) > 1 and {*ways} != {"a number", "bool"}:
        changed = next(file for file, way in held if way != held[0][1])
        text = f"is {changed.kinds[name]} where it was {held[0][1]}"
        return SchemaBreak("type", name, text, changed.first, (changed.name,), broken=False)
    dtype = types.get(name, "")
    if kind == "numerical" and dtype and not dtype.lstrip("!").startswith((*_NUMERIC, "timestamp")):
        return SchemaBreak("type", name, f"is {dtype.lstrip('!')} throughout, not a number", None, ())
    return None
