"""Random numbers that stay put: each part of a simulation draws from a stream of its own.

Rule: a stream is named, never shared. Adding a fault, a host or a series then changes that part alone,
so two simulations with one seed can be compared request by request.
"""

from __future__ import annotations

import zlib

import numpy as np

__all__ = ["stream"]


def stream(seed: int, *names: str) -> np.random.Generator:
    """Return the generator of the part called `names`, the same for the same seed and names.

    Examples
    --------
    >>> bool(stream(1, "traffic").random() == stream(1, "traffic").random())
    True
    >>> bool(stream(1, "traffic").random() == stream(1, "latency").random())
    False
    """
    return np.random.default_rng([seed, zlib.crc32("/".join(names).encode())])
