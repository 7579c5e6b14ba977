"""Thresholds learned from history, one a signal and hour of week, and what a change of them would have done.

`rbnb baseline MODEL` walks a model's history in windows such as a run would look at, learns from the healthy ones
how far each signal strays in each hour of the week, and writes limits that a run then uses in place of the policy's
(`rbnb.policy.learned` reads them). Rules:

- **What a run compares is what is learned**: the same signal, over the same window, by the same end of its interval.
- **Known incidents are left out**, and what is not known moves medians little.
- **The policy keeps the last word**: learned limits stay inside its guard rails.
- **One pass over the log, then arithmetic**; no run is executed.

The parts: `windows` (history cut up), `latency` and `columns` (measured), `limits` (learned), `history` (which span),
`learning` (written), `review` (what a change would have done).
"""

from rbnb.baselines.history import Asked, Walked, walk_history
from rbnb.baselines.learning import Written, write_baseline
from rbnb.baselines.review import NO_INCIDENT, review_baseline

__all__ = ["NO_INCIDENT", "Asked", "Walked", "Written", "review_baseline", "walk_history", "write_baseline"]
