"""``python -m rbnb.opinion FOLDER``: ask Evidently about the samples in a folder, and leave its answer there.

In: ``columns.json`` (``features``: name to kind, ``unusable``: name to reason, ``ours``: name to status and words),
``reference.parquet``, ``current.parquet`` and, where there is one, ``same_hours.parquet``. Out: ``evidently.json``,
``evidently.html`` (untrusted) and ``opinion.json``, which is written last and whole.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbnb.model import to_plain
from rbnb.opinion.facts import facts_of
from rbnb.opinion.reasons import Column, Ours, Probes, compare, differs
from rbnb.opinion.report import Said, ask, ask_all, inert, tool

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["form_opinion", "main", "refuse_network"]

#: Address space and processor time, so that neither a huge column nor an endless loop takes the machine.
_MEMORY, _SECONDS = 8 * 2**30, 600
#: Columns that experiments are made for; each costs a second or less.
_MOST_PROBED = 25
#: Share cut off at either end of the reference for the experiment without extreme values.
_TRIM = 0.01
#: Rows that the same hours must hold for an experiment to say anything.
_ENOUGH = 50
_REFUSED = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname")


def refuse_network() -> None:
    """Refuse every attempt of this process to reach anything over the network, from here on.

    Source: PEP 578, audit events of the socket module. Code in C that bypasses Python is not seen by it.
    """

    def refuse(event: str, _: tuple[Any, ...]) -> None:
        if event in _REFUSED:
            raise PermissionError(f"a second opinion calls nobody: {event}")

    sys.addaudithook(refuse)


def form_opinion(folder: Path) -> dict[str, Any]:
    """Ask about every column, experiment on those in which the two differ, and return the opinion as plain data."""
    import pandas as pd

    name_of_tool = tool()  # first, since nothing else is worth doing where it does not import
    asked = json.loads((folder / "columns.json").read_bytes())
    kinds: dict[str, str] = asked["features"]
    sides = [
        _prepared(pd.read_parquet(folder / f"{name}.parquet"), kinds) if (folder / f"{name}.parquet").exists() else None
        for name in ("reference", "current", "same_hours")
    ]
    reference, current, same_hours = sides
    if reference is None or current is None:
        raise FileNotFoundError("a sample is missing")
    said = ask_all(reference, current, kinds, folder)
    ours = {name: Ours(**asked["ours"].get(name, {})) for name in [*kinds, *asked["unusable"]]}
    probed = [name for name in kinds if said[name].drifted is not None and differs(ours[name], said[name])]
    columns = [
        compare(
            name,
            ours[name],
            said[name],
            facts_of(kind, reference[name], current[name]),
            _probe(name, kind, said[name], (reference, current, same_hours))
            if name in probed[:_MOST_PROBED]
            else Probes(),
        )
        for name, kind in kinds.items()
    ]
    columns += [compare(name, ours[name], Said(error=why), None, Probes()) for name, why in asked["unusable"].items()]
    return _told(name_of_tool, columns, len(current), len(reference))


def _prepared(frame: pd.DataFrame, kinds: dict[str, str]) -> pd.DataFrame:
    made = {
        name: frame[name].astype("float64") if kind == "numerical" else inert(frame[name])
        for name, kind in kinds.items()
    }
    return frame.assign(**made)[list(made)]


def _probe(name: str, kind: str, said: Said, sides: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None]) -> Probes:
    reference, current, same_hours = sides
    hours = same_hours is not None and same_hours[name].notna().sum() >= _ENOUGH
    trimmed = None
    if kind == "numerical":
        low, high = reference[name].quantile([_TRIM, 1 - _TRIM])
        before, now = (side[side[name].between(low, high)] for side in (reference, current))
        trimmed = ask(before, now, name, kind)
    methods = {"numerical": ("wasserstein", "ks"), "categorical": ("jensenshannon", "chisquare")}[kind]
    return Probes(
        same_hours=ask(same_hours, current, name, kind) if hours and same_hours is not None else None,
        trimmed=trimmed,
        shuffled=ask(*_dealt_again(reference[[name]], current[[name]]), name, kind) if said.drifted else None,
        other_method=ask(reference, current, name, kind, methods[0] if said.is_test else methods[1]),
    )


def _dealt_again(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mix the rows of both sides, the same way every time, and deal two sides of the same sizes."""
    import pandas as pd

    mixed = pd.concat([reference, current], ignore_index=True).sample(frac=1.0, random_state=0, ignore_index=True)
    return mixed.iloc[: len(reference)], mixed.iloc[len(reference) :]


def _told(by: str, columns: list[Column], rows: int, reference_rows: int) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain({"tool": by, "rows": rows, "reference_rows": reference_rows, "columns": columns})
    return plain


def _bound(what: int, most: int) -> None:
    """Lower a limit of this process, which may have been given a lower one."""
    _, hard = resource.getrlimit(what)
    least = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (least, least))


def main(folder: str) -> None:
    """Form an opinion on the samples in `folder`."""
    _bound(resource.RLIMIT_AS, _MEMORY)
    _bound(resource.RLIMIT_CPU, _SECONDS)
    _bound(resource.RLIMIT_CORE, 0)  # a core file would hold the data
    refuse_network()
    place = Path(folder)
    text = json.dumps(form_opinion(place), indent=1, ensure_ascii=False, allow_nan=False)
    unfinished = place / ".opinion.json"
    unfinished.write_text(text + "\n", encoding="utf-8")
    unfinished.replace(place / "opinion.json")


if __name__ == "__main__":
    main(*sys.argv[1:])
