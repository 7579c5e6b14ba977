"""What really happened in a scene, for tests and drills; no runbook reads it.

The verdict is that of the first fault that is not harmless: genuine while it goes on, transient when it
ended before the data does, infrastructure for slowness, healthy if there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rbnb.simulate.faults.base import Fault
from rbnb.times import format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rbnb.simulate.business import Business
    from rbnb.simulate.latency import LatencyFault
    from rbnb.simulate.requests import Rollout

__all__ = ["told"]


def told(
    business: Business,
    faults: Sequence[Fault | LatencyFault],
    poisoned: Sequence[str],
    seed: int,
    rollouts: Sequence[Rollout],
) -> dict[str, Any]:
    """Return the truth of a scene: mode, verdict, onset, cause, features, segments, poisoned rows, every fault."""
    accounts = [fault.told() if isinstance(fault, Fault) else _slow(fault) for fault in faults]
    harmful = [account for account in accounts if not account["harmless"]]
    main = harmful[0] if harmful else {"mode": None, "onset": None, "ended": None, "cause": None}
    return {
        "business": business.name,
        "seed": seed,
        "mode": main["mode"],
        "verdict": _verdict(main),
        "onset": main["onset"],
        "ended": main["ended"],
        "cause": main["cause"],
        "features": _each(harmful, lambda account: account["features"]),
        "segments": _each(harmful, lambda account: [account["cause"]["where"]] if account["cause"]["where"] else []),
        "poisoned": sorted(poisoned),
        "deploys": [{"version": one.version, "time": format_time(one.start)} for one in rollouts],
        "faults": accounts,
    }


def _verdict(main: dict[str, Any]) -> str:
    if main["mode"] is None:
        return "healthy"
    if main["ended"]:
        return "transient"
    return "infrastructure" if main["mode"] == "latency_spike" else "genuine"


def _each(accounts: list[dict[str, Any]], part: Callable[[dict[str, Any]], list[str]]) -> list[str]:
    return list(dict.fromkeys(one for account in accounts for one in part(account)))


def _slow(fault: LatencyFault) -> dict[str, Any]:
    return {
        "fault": "LatencyFault",
        "mode": "latency_spike",
        "harmless": False,
        "onset": format_time(fault.onset),
        "ended": format_time(fault.end) if fault.end else None,
        "size": fault.extra_ms,
        "cause": {"kind": "slow", "name": fault.stage, "where": fault.where},
        "features": [],
    }
