"""The rows that are compared, cut into time buckets and slices once, so that every suspicion is counted alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from rbnb.signals.quality.scan import Stretch, expected_rates, overdispersion, scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Marks = NDArray[np.bool_]

__all__ = ["LEARN", "Compared", "Slices", "numbers", "texts"]

#: Rows of the reference from which anything is learned.
LEARN = 200
_MOST_BUCKETS = 288
#: Slices of one column that are looked at, the largest first, and the rows each needs.
_MOST_SLICES, _FEWEST = 40, 10
_MOST_GROUPS = 50
#: Marked rows below which nothing can be certain.
_MARKED = 3
#: How much surer a slice must be than everything to be told, in log likelihood: twenty to one.
_SURER = 3.0
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Slices:
    """One segment column as codes: which slice each row lies in, -1 for one that is not looked at."""

    column: str
    values: tuple[str, ...]
    now: NDArray[np.int64]
    then: NDArray[np.int64]

    def where(self, code: int) -> str:
        """Return the slice as ``column=value``."""
        return f"{self.column}={self.values[code]}"


class Compared:
    """Rows of the window and of the reference, side by side.

    Parameters
    ----------
    now, then
        As `Profiles.raw_rows` returns them.
    start, end, bucket
        Of the window, in seconds.
    segments
        The columns whose slices are looked at.
    """

    def __init__(
        self, now: pd.DataFrame, then: pd.DataFrame, start: int, end: int, bucket: int, segments: Sequence[str]
    ) -> None:
        self.now, self.then = now, then
        self.start, self.end = start, end
        self.bucket = bucket * max(-(-(end - start) // (bucket * _MOST_BUCKETS)), 1)
        self.segments = [name for name in segments if f"segment_{name}" in now]
        self._held_of: dict[str, NDArray[np.float64]] = {}
        self._texts: dict[tuple[str, bool], NDArray[np.object_]] = {}

    @property
    def learns(self) -> bool:
        """Whether the reference holds enough rows to learn anything from."""
        return len(self.then) >= LEARN

    @cached_property
    def buckets(self) -> int:
        """How many buckets of time the window has."""
        return -(-(self.end - self.start) // self.bucket)

    @cached_property
    def place(self) -> NDArray[np.int64]:
        """The bucket of each row of the window."""
        epochs: NDArray[np.int64] = self.now["epoch"].to_numpy(np.int64)
        return (epochs - self.start) // self.bucket

    @cached_property
    def slices(self) -> list[Slices]:
        """Every segment column as codes."""
        return [found for name in self.segments if (found := self._sliced(name)) is not None]

    def volume(self, by: str = "") -> pd.DataFrame | None:
        """Count requests by bucket, and by slice, as `Profiles.volume` does; None where rows were thinned."""
        import pandas as pd

        if any(len(frame) < frame.attrs.get("of", 0) for frame in (self.now, self.then)):
            return None
        both = [frame[["epoch", *([f"segment_{by}"] if by else [])]] for frame in (self.then, self.now)]
        held = pd.concat(both, ignore_index=True)
        bucket = held["epoch"] // self.bucket * self.bucket
        value = held[f"segment_{by}"].astype(object) if by else ""
        counted = pd.DataFrame({"bucket": bucket, "value": value}).value_counts(sort=False)
        return counted.rename("n").reset_index()

    def _sliced(self, name: str) -> Slices | None:
        import pandas as pd

        column = f"segment_{name}"
        codes, kinds = pd.factorize(self.text(column))
        held = np.bincount(codes, minlength=len(kinds))
        chosen = [int(i) for i in np.argsort(-held, kind="stable")[:_MOST_SLICES] if held[i] >= _FEWEST]
        if not chosen:
            return None
        new = np.full(len(kinds) + 1, -1, dtype=np.int64)
        new[chosen] = np.arange(len(chosen))
        values = tuple(str(kinds[i]) for i in chosen)
        place = {value: i for i, value in enumerate(values)}
        codes_then, kinds_then = pd.factorize(self.text(column, then=True))
        old = np.array([place.get(str(kind), -1) for kind in kinds_then] + [-1], dtype=np.int64)
        return Slices(name, values, new[codes], old[codes_then])

    @cached_property
    def groups(self) -> list[Marks]:
        """Rows to look at apart: the last quarter and eighth of the window, and each slice of some size, also late."""
        late = [self.place >= self.buckets - max(self.buckets // part, 1) for part in (2, 4, 8)]
        found = list(late)
        for slices in self.slices:
            for code in range(min(len(slices.values), 8)):
                inside = slices.now == code
                found += [inside, inside & late[1]]
        return [rows for rows in found if int(rows.sum()) >= 12][:_MOST_GROUPS]

    @cached_property
    def _all(self) -> NDArray[np.float64]:
        return np.bincount(self.place, minlength=self.buckets).astype(float)

    @cached_property
    def _of_slices(self) -> list[NDArray[np.float64]]:
        return [self._table(slices, np.arange(len(self.now))) for slices in self.slices]

    def _table(self, slices: Slices, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        codes, size = slices.now[rows], len(slices.values)
        inside = codes >= 0
        flat = np.bincount(codes[inside] * self.buckets + self.place[rows][inside], minlength=size * self.buckets)
        return flat.reshape(size, self.buckets).astype(float)

    def scatter(self, then: Marks) -> float:
        """Return how much a rate scatters from hour to hour in the reference."""
        if not then.any() or not self.learns:
            return 1.0
        hour = self.then["epoch"].to_numpy(np.int64) // _HOUR
        hour = hour - hour.min()
        size = int(hour.max()) + 1
        return overdispersion(np.bincount(hour[then], minlength=size).astype(float), np.bincount(hour).astype(float))

    def surest(self, now: Marks, then: Marks) -> tuple[Stretch, str] | None:
        """Return the stretch and slice in which a suspicion is surest, or None where there is no excess anywhere.

        Everywhere is preferred to a slice unless the slice is clearly surer.
        """
        marked = np.flatnonzero(now)
        if len(marked) < _MARKED:
            return None
        scatter = self.scatter(then)
        whole = (float(then.sum()), float(len(then)))
        bad = np.bincount(self.place[marked], minlength=self.buckets).astype(float)
        mixed = expected_rates(np.array([whole[0]]), np.array([whole[1]]), whole)[0] * self._all
        tables, every, wheres = [bad[None, :]], [], [""]
        for slices, n in zip(self.slices, self._of_slices, strict=True):
            rates = self._rates(slices, then, whole)
            # what a changed mix of slices brings by itself is no excess
            rest = np.maximum(self._all - n.sum(axis=0), 0.0) * (whole[0] / max(whole[1], 1.0))
            mixed = np.maximum(mixed, (n * rates[:, None]).sum(axis=0) + rest)
            tables.append(self._table(slices, marked))
            every.append(np.broadcast_to(rates[:, None], n.shape))
            wheres += [slices.where(code) for code in range(len(slices.values))]
        whole_rates = np.divide(mixed, self._all, out=np.full(self.buckets, 1e-6), where=self._all > 0)
        usual = np.concatenate([whole_rates[None, :], *every])
        found = scan(np.concatenate(tables), self._stacked, usual, scatter=scatter)
        everywhere = next((one for one in found if one.slice == 0), None)
        if everywhere is not None and everywhere.ratio >= found[0].ratio - _SURER:
            return everywhere, ""
        return (found[0], wheres[found[0].slice]) if found else None

    @cached_property
    def _stacked(self) -> NDArray[np.float64]:
        """Rows by bucket: all of them, and below each other those of every slice."""
        return np.concatenate([self._all[None, :], *self._of_slices])

    def _rates(self, slices: Slices, then: Marks, whole: tuple[float, float]) -> NDArray[np.float64]:
        size = len(slices.values)
        known = slices.then >= 0
        wrong = np.bincount(slices.then[then & known], minlength=size).astype(float)
        return expected_rates(wrong, self._held(slices.column), whole)

    def _held(self, column: str) -> NDArray[np.float64]:
        if column not in self._held_of:
            slices = next(one for one in self.slices if one.column == column)
            codes = slices.then[slices.then >= 0]
            self._held_of[column] = np.bincount(codes, minlength=len(slices.values)).astype(float)
        return self._held_of[column]

    def within(self, where: str, *, then: bool = False) -> Marks:
        """Return which rows of the window, or of the reference, lie in a segment."""
        frame = self.then if then else self.now
        inside = np.ones(len(frame), bool)
        for part in where.split(" & ") if where else []:
            column, _, value = part.partition("=")
            inside &= self.text(f"segment_{column}", then=then) == value
        return inside

    def text(self, column: str, *, then: bool = False) -> NDArray[np.object_]:
        """Return a column of texts of the window, or of the reference, with None where there is none."""
        key = (column, then)
        if key not in self._texts:
            self._texts[key] = texts(self.then if then else self.now, column)
        return self._texts[key]

    def course(self, now: Marks, then: Marks, where: str) -> Stretch | None:
        """Return the likeliest stretch within one segment."""
        inside, past = self.within(where), self.within(where, then=True)
        whole = (float(then.sum()), float(len(then)))
        rates = expected_rates(np.array([float((then & past).sum())]), np.array([float(past.sum())]), whole)
        bad = np.bincount(self.place[now & inside], minlength=self.buckets).astype(float)
        n = np.bincount(self.place[inside], minlength=self.buckets).astype(float)
        found = scan(bad[None, :], n[None, :], rates, scatter=self.scatter(then & past))
        return found[0] if found else None

    def during(self, first: int, last: int) -> Marks:
        """Return which rows of the window lie in buckets `first` to `last`, both included."""
        return np.asarray((self.place >= first) & (self.place <= last), dtype=bool)

    def cells(self, now: Marks, then: Marks, during: Marks) -> pd.DataFrame:
        """Return one row a period and combination of segments with rows and marked rows, for `rank_segments`."""
        import pandas as pd

        names = [f"segment_{name}" for name in self.segments]
        parts = []
        for period, frame, marks in (("current", self.now[during], now[during]), ("reference", self.then, then)):
            held = frame[names].set_axis(self.segments, axis=1).assign(total=marks.astype(float), n=1)
            summed = held.groupby(self.segments, observed=True, sort=True)[["n", "total"]].sum().reset_index()
            parts.append(summed.assign(period=period))
        cells = pd.concat(parts, ignore_index=True)
        return cells.assign(squares=cells["total"])


def numbers(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Return a numerical feature as floats."""
    return np.asarray(frame[f"number_{name}"].to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def texts(frame: pd.DataFrame, column: str) -> NDArray[np.object_]:
    """Return a column of texts as objects with None where there is none."""
    values = frame[column].astype(object)
    return np.asarray(values.where(values.notna(), None).to_numpy(object))
