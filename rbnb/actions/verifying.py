"""Verification: a probe is asked until its tolerance holds, for as long as the action has patience.

Rules: what is seen is said in each case, also when it never becomes true; a probe that fails or is late is asked
again, because what it asks is just being changed; time is measured by a clock that never steps back; the probe's
own time is cut where patience ends.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rbnb.actions.stepping import Steps
    from rbnb.catalog import RenderedStep

__all__ = ["Verification", "verify"]

#: Between two questions there are at least so many seconds.
_LEAST = 0.05


@dataclass(frozen=True, slots=True)
class Verification:
    """What the probe has come to.

    Parameters
    ----------
    held
        Whether it holds.
    seen
        The last that was seen.
    expected
        What is seen when it went well, in words.
    tries, seconds
        How often it was asked, and for how long.
    """

    held: bool
    seen: str
    expected: str
    tries: int
    seconds: float


def verify(
    steps: Steps,
    probe: RenderedStep,
    *,
    patient: bool = True,
    on_try: Callable[[int, str], None] = lambda _tries, _seen: None,
) -> Verification:
    """Ask a probe until it holds or patience ends; a probe without patience is asked once.

    Parameters
    ----------
    patient
        Whether to ask more than once.
    on_try
        Called with the number and what was seen each time it does not hold yet.
    """
    began = time.monotonic()
    patience = probe.patience if patient else 0.0
    tries = 0
    while True:
        left = began + patience - time.monotonic()
        seen = steps.take(probe, timeout=max(left, min(probe.timeout, 5.0)) if tries else None)
        tries += 1
        spent = time.monotonic() - began
        if seen.held or spent + max(probe.every, _LEAST) > patience:
            return Verification(seen.held, seen.told, probe.text, tries, round(spent, 3))
        on_try(tries, seen.told)
        time.sleep(max(probe.every, _LEAST))
