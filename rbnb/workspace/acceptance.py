"""Return to service: acceptance, watching, and releasing a rollout that was held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.workspace.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from rbnb.acceptance.accepting import Measured
    from rbnb.acceptance.watching import Timing, Watch
    from rbnb.ledger import Entry

__all__ = ["Acceptance"]


class Acceptance(Pages):
    """Return to service: acceptance, and watching."""

    def accept(self, name: str, *, window: str = "", at: str = "") -> tuple[Measured, Entry]:
        """Measure whether a model may return to service, and record it; see `rbnb.acceptance.recording.accept`."""
        from rbnb.acceptance.recording import accept

        with self.changing(name) as incident:
            return accept(self.places, incident, window=window, at=at)

    def watch(
        self,
        name: str,
        *,
        timing: Timing | None = None,
        window: str = "",
        on_sample: Callable[[Watch], None] = lambda _: None,
    ) -> Watch:
        """Sample what fired in an incident until it holds the rollout or time is over; see `rbnb.acceptance.watching`.

        Raises
        ------
        RefusedError
            If who asks may not watch now.
        UsageError
            If nothing fired, or the samples are too many.
        """
        from rbnb.acceptance.watching import Timing, Watch

        with self.changing(name) as incident:
            return Watch(self.places, incident, timing or Timing(), window).run(on_sample)

    def release(self, name: str, because: str) -> Entry:
        """Let a held rollout go on; see `rbnb.acceptance.watching.release`."""
        from rbnb.acceptance.watching import release

        with self.changing(name) as incident:
            return release(incident, because)
