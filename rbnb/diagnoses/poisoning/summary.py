"""What poisoned training data comes to in a few words: facts for a policy's sentences, and the headline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.diagnoses.poisoning.hypotheses import hypotheses
from rbnb.times import format_time

if TYPE_CHECKING:
    from rbnb.diagnoses.poisoning.measure import Poisoning
    from rbnb.model import Cause

__all__ = ["course", "facts", "headline", "since"]


def _best(found: Poisoning) -> Cause | None:
    return next((cause for cause in hypotheses(found) if cause.status == "supported"), None)


def facts(found: Poisoning) -> dict[str, object]:
    """Return the values for the placeholders of a policy's texts; a number comes with its unit."""
    best, (first, last) = _best(found), _span(found)
    touched = found.reach["touched"]
    versions = list(touched) if isinstance(touched, dict) else []
    batches = found.suspect_batches
    return {
        "onset": first,
        "ended": last,
        "where": best.where if best else "",
        "suspects": (float(len(found.suspect_rows)), "count"),
        "batches": _listed(batches),
        "versions": _listed(versions),
        "serving": found.serving_version,
        "clean_version": found.reach["clean"],
        "measured_on": "rows whose label was checked" if found.trusted is not None else "rows of other sources",
    }


def _listed(names: list[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(sorted(names[:most])) + more


def _span(found: Poisoning) -> tuple[datetime | None, datetime | None]:
    """Return when the suspect rows were ingested, first and last, but for a stray fiftieth at each end."""
    table = found.table
    if table is None or not found.usable:
        return None, None
    times = table.epoch[(found.evidence.score >= 0.5) & np.isfinite(table.epoch)]
    if not len(times):
        return None, None
    first, last = (datetime.fromtimestamp(int(np.quantile(times, q)), UTC) for q in (0.02, 0.98))
    return first, last


def since(found: Poisoning) -> str:
    """Return in plain words when the suspect rows came in; empty where there are none."""
    first, last = _span(found)
    if first is None or last is None:
        return ""
    return f"The suspect rows came in between {first:%A, %d %B %Y} and {last:%A, %d %B %Y}."


def headline(found: Poisoning) -> list[str]:
    """Return the one or two lines a paged engineer reads first; empty where nothing was found."""
    best, n = _best(found), len(found.suspect_rows) if found.usable else 0
    if best is None or found.table is None:
        return []
    first, _ = _span(found)
    when = f" since {format_time(first)[:10]}" if first else ""
    lines = [f"{n:,} of {len(found.table.labels):,} training rows suspect{when}: {best.name}"]
    if found.reach["serving_touched"]:
        clean = found.reach["clean"]
        lines.append(
            f"version {found.serving_version}, which serves now, was trained on them"
            + (f"; {clean} was not" if clean else "; no version is known that was not")
        )
    return lines


def course(found: Poisoning) -> dict[str, Any]:
    """Return when the suspect rows came in; it goes on for as long as a version that learned them serves.

    The last of them is no end: whether more come cannot be told.
    """
    first, _ = _span(found)
    return {"onset": first, "ended": None, "ongoing": True if found.reach["serving_touched"] else None}
