"""Results that leave the notebook, in scrapbook's own format, written without importing scrapbook.

That import alone costs more than the rest of a run. Rules: strict JSON, no NaN; a name is written once;
what is large goes to a file and leaves its digest here.
"""

from __future__ import annotations

import json
from typing import Any

from rbnb.errors import UsageError
from rbnb.model import to_plain

__all__ = ["LARGEST", "glue"]

_MIME = "application/scrapbook.scrap.json+json"
LARGEST = 512 * 1024


def glue(name: str, data: Any) -> None:  # noqa: ANN401 - anything that can be recorded
    """Leave `data` in the notebook under `name`, readable with ``scrapbook.read_notebook``.

    Parameters
    ----------
    name
        A scrap's name; written once a run.
    data
        Dataclasses, times, numbers, texts, lists, dicts; numbers that are not finite become null.

    Raises
    ------
    UsageError
        If it is larger than 512 KiB as JSON.
    """
    from IPython.display import display

    plain = to_plain(data)
    size = len(json.dumps(plain, allow_nan=False))
    if size > LARGEST:
        raise UsageError(f"the scrap {name!r} holds {size:,} bytes", hint="write a file with case.keep(...) instead")
    payload = {"name": name, "data": plain, "encoder": "json", "version": 1}
    about = {"scrapbook": {"name": name, "data": True, "display": False}}
    display({_MIME: payload}, metadata=about, raw=True)
