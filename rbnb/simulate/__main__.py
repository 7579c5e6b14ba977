"""``python -m rbnb.simulate FOLDER``: write the sample fleet there."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rbnb.simulate.fleet import SEED, write_fleet


def main(arguments: list[str] | None = None) -> int:
    """Write the fleet to the folder given and say how much it is."""
    parser = argparse.ArgumentParser(prog="python -m rbnb.simulate", description="Write the sample fleet to a folder.")
    parser.add_argument("folder", type=Path, help="where to, such as data_samples")
    parser.add_argument("--seed", type=int, default=SEED, help="the default rebuilds what the repository holds")
    asked = parser.parse_args(arguments)
    try:
        written = write_fleet(asked.folder, seed=asked.seed)
    except OSError as error:
        parser.error(f"cannot write to {asked.folder}: {error.strerror or error}")
    size = sum(path.stat().st_size for path in written)
    sys.stdout.write(f"{len(written)} files, {size / 1e6:.2f} MB in {asked.folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
