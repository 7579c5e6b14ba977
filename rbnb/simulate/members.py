"""The members of the sample fleet beside fraud-v3: one for each other runbook, and one that is healthy.

Each ends with its failure and carries everything the other runbooks ask for, in which nothing is wrong:

* churn-v2 drifts: since Monday customers of one region come back much less often, and the model never
  learned such customers.
* pricing-v5 gets broken data: since 14:05 one feed mostly leaves the competitor's price out.
* credit-v4 learns from poisoned data: half of what one source delivered in the last month has its label
  turned round. The scores in its log are those of a sound model: what the wrong lessons did to them is not
  simulated.
* recommend-v7 answers inconsistently: the new version, on the first hosts, numbers the topics in another order.
* triage-v1 is healthy: traffic grows, a deploy goes out, an input without influence drifts.

Rule: what a runbook reads says nothing of this; the truth is written to a folder of its own.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rbnb.simulate.businesses import BUSINESSES
from rbnb.simulate.faults import CategoryOrder, HarmlessDrift, LabelFlips, Nulls, Shift
from rbnb.simulate.log import END
from rbnb.simulate.requests import Rollout
from rbnb.simulate.scene import Scene, scene

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MEMBERS", "member", "write"]

_LINK = "https://example.com/changes/CHG-"
_DAY = timedelta(days=1)

_CAMPAIGN = END - 3 * _DAY
_FEED = END - timedelta(hours=1, minutes=55)
_EXPORT = END - 31 * _DAY
_RELEASE = END - timedelta(hours=10)

#: What makes each member, beside what all have in common.
MEMBERS: dict[str, dict[str, Any]] = {
    "churn-v2": {
        "faults": (
            Shift(onset=_CAMPAIGN, where="region=eu-west", feature="days_since_login", size=1.2, strange=0.6),
            HarmlessDrift(onset=END - 5 * _DAY, size="small"),
        ),
        "changes": (
            (
                _CAMPAIGN,
                "config",
                "campaign for dormant customers starts in eu-west",
                "crm",
                f"{_LINK}3160",
                "region=eu-west",
            ),
        ),
    },
    "pricing-v5": {
        "faults": (Nulls(onset=_FEED, where="source=core", feature="competitor_price", size=0.83),),
        "changes": (
            (
                _FEED - timedelta(minutes=3),
                "schema",
                "price feed core: schema 4",
                "data-platform",
                f"{_LINK}3171",
                "source=core",
            ),
        ),
    },
    "credit-v4": {
        "faults": (LabelFlips(onset=_EXPORT, where="source=partner-a", size=0.05),),
        "rollouts": (Rollout("4.2.0", END - timedelta(days=3, hours=6), timedelta(minutes=20)),),
        "changes": (
            (
                END - 20 * _DAY,
                "feature",
                "partner-b: account age from the new register",
                "credit-risk",
                f"{_LINK}3120",
                "",
            ),
        ),
    },
    "recommend-v7": {
        "faults": (CategoryOrder(onset=_RELEASE, where="version=7.2.0", size=4),),
        "rollouts": (Rollout("7.2.0", _RELEASE, timedelta(hours=24)),),
        "per_hour": 98.0,
    },
    "triage-v1": {"faults": (HarmlessDrift(onset=END - 3 * _DAY),), "trend_per_week": 0.05},
}


def member(name: str, seed: int) -> Scene:
    """Make the scene of one member."""
    business = replace(BUSINESSES[name.partition("-")[0]], name=name)
    given = {"per_hour": 80.0, "trend_per_week": 0.03, "distractors": True, **MEMBERS[name]}
    return scene(business, seed=seed + 10 * sorted(MEMBERS).index(name), **given)


def write(folder: Path, seed: int) -> list[Path]:
    """Write all members below `folder`, compressed well; return what was written."""
    return [path for name in MEMBERS for path in member(name, seed).write(folder, name=name, level=12)]
