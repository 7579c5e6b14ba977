"""A baseline and its review as a person reads them on a terminal: rows of text, and nothing computed.

Rules: a range is told from its lowest to its highest hour; numbers are written with their unit, as in a finding;
what could not be learned is told with its reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rbnb.baselines.review import NO_INCIDENT
from rbnb.policy import show
from rbnb.policy.learned import DAYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rbnb.baselines.learning import Written

__all__ = ["learned_rows", "review_rows", "summary_of"]


def summary_of(written: Written) -> dict[str, Any]:
    """Return what was written as one plain object, without the 168 numbers of each signal."""
    content = written.content
    signals = [_signal(one) for runbook in content["thresholds"] for one in runbook["signals"]]
    return {
        "model": content["model"],
        "version": content["version"],
        "digest": content["digest"],
        "file": written.path.as_posix(),
        "plot": written.plot.as_posix(),
        "history": content["history"],
        "data": content["data"],
        "used_by": [
            {"runbook": one["runbook"], "window_seconds": one["window_seconds"]} for one in content["thresholds"]
        ],
        "signals": signals,
        "levels": [{key: one[key] for key in ("name", "where", "unit", "n")} for one in content["levels"]],
        "not_learned": content["not_learned"],
    }


def _signal(one: Mapping[str, Any]) -> dict[str, Any]:
    about = {key: one[key] for key in ("signal", "where", "unit", "direction", "n", "held_by_rails")}
    return about | {which: _ends(one[which]) if which in one else None for which in ("warning", "breach")}


def _ends(hours: Mapping[str, list[float]]) -> dict[str, float]:
    every = [number for day in DAYS for number in hours[day]]
    return {"lowest": min(every), "highest": max(every)}


def learned_rows(summary: Mapping[str, Any]) -> tuple[list[str], list[list[str]], list[str]]:
    """Return what stands above the table, the table, and what stands below it."""
    history = summary["history"]
    span = f"{history['start']} to {history['end']}"
    above = [f"baseline v{summary['version']} of {summary['model']}, learned from {span}"]
    above += [f"left out: {one['start']} to {one['end']} ({one['why']})" for one in history["left_out"]]
    rows = [["signal", "windows", "breach", "warning", "hours at a rail"]]
    for one in summary["signals"]:
        limits = [_between(one, one[which]) for which in ("breach", "warning")]
        rows.append([f"{one['signal']} {one['where']}".strip(), str(one["n"]), *limits, str(one["held_by_rails"])])
    below = [f"not learned: {name} ({why})" for name, why in summary["not_learned"].items()]
    levels = ", ".join(dict.fromkeys(one["name"] for one in summary["levels"]))
    below += [f"usual range an hour: {levels}"] if levels else []
    return above, rows, below


def _between(one: Mapping[str, Any], ends: Mapping[str, float] | None) -> str:
    if ends is None:
        return "–"
    sign = "≥" if one["direction"] == "above" else "≤"
    low, high = (show(ends[key], one["unit"]) for key in ("lowest", "highest"))
    return f"{sign} {low}" if low == high else f"{sign} {low} to {high}"


def review_rows(review: Mapping[str, Any]) -> tuple[list[str], list[list[str]], list[str]]:
    """Return what stands above the table of changes, the table, and what stands below it."""
    history, known = review["history"], review["misses"] != NO_INCIDENT
    windows = f"{history['healthy']} healthy windows of {history['windows']}, one ending at each full hour"
    above = [f"{review['model']}, {history['start']} to {history['end']}: {windows}", f"misses: {review['misses']}"]
    rows = [["signal", "", "now", "from", "to", "false alarms", "→", "missed", "→"]]
    for one in review["changes"]:
        before, after = one["from"], one["to"]
        name = f"{one['signal']} {one['where']}".strip()
        numbers = [_between(one, before), _between(one, after)]
        rows.append([name, one["which"], before["source"], *numbers, *_counted(before, after, known=known)])
    together = _counted(review["any"]["from"], review["any"]["to"], known=known)
    rows.append(["any of them", "breach", "", "", "", *together])
    below = [f"{one['signal']}: {one['note']}" for one in review["changes"] if one["note"]]
    below += [f"not reviewed: {name} ({why})" for name, why in review["not_reviewed"].items()]
    return above, rows, [*below, "nothing was written"]


def _counted(before: Mapping[str, Any], after: Mapping[str, Any], *, known: bool) -> list[str]:
    alarms = [str(before["false_alarms"]), str(after["false_alarms"])]
    return alarms + ([str(before["missed"]), str(after["missed"])] if known else ["not known", "not known"])
