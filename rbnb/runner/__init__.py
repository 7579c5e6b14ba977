"""Execute one template in its own process, and say truthfully how that ended.

Three processes: the **supervisor** (who calls `Runner`), one **runner** process a run, which drives
papermill, and its one **kernel**. The runner and its kernel start at `Runner.start`, so that their
imports overlap with whatever the caller prepares.

Rules:

- papermill is imported in the runner process only; importing this package is light.
- What papermill and nbclient say about success is never believed. A run is completed only when every
  code cell that was to run has run, none left an error, and every record that was asked for was left.
- The notebook is readable at every moment, whoever is killed, and never says more than is true.
- When `Runner.run` returns, no process of the run is left; if the supervisor is killed, the others end.
- No path from a user, no file name and no kernel name reaches papermill.

`docs/execution.md` tells the processes, statuses, files and deadlines.
"""

from __future__ import annotations

from rbnb.runner.process import Runner
from rbnb.runner.words import CellResult, Failure, Job, Outcome, Progress

__all__ = ["CellResult", "Failure", "Job", "Outcome", "Progress", "Runner"]
