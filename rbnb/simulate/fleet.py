"""The whole sample fleet, written to a folder: models/, one folder of logs a model, truth/."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rbnb.simulate import fraud, members

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NAMES", "SEED", "write_fleet"]

#: The seed of the logs that come with the repository.
SEED = 20261119

#: The models of the fleet.
NAMES = (fraud.NAME, *members.MEMBERS)

_MEMBERS = (fraud, members)


def write_fleet(folder: Path, *, seed: int = SEED) -> list[Path]:
    """Write every model of the fleet below `folder`, the same bytes for the same seed.

    Returns
    -------
    list of Path
        The files written: model files in ``models/``, logs in a folder a model, what really happened
        in ``truth/``, where no runbook reads.
    """
    return [path for member in _MEMBERS for path in member.write(folder, seed)]
