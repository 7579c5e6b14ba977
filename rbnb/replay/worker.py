"""The process that asks: a task as JSON on standard input, scores or a problem as JSON on standard output.

Started by `rbnb.replay.asking`. It imports nothing of rbnb beside its neighbours, and a runtime (onnxruntime, skops)
only if the task needs it.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rbnb.replay.local import ask_onnx, ask_skops
from rbnb.replay.wire import ProblemError, ask_mlflow, ask_v2

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["answer", "main"]

_ASKING: dict[str, Callable[[dict[str, Any]], list[float | None]]] = {
    "v2": ask_v2,
    "mlflow": ask_mlflow,
    "onnx": ask_onnx,
    "skops": ask_skops,
}


def answer(task: dict[str, Any]) -> dict[str, Any]:
    """Return ``{"scores": …}`` or ``{"problem": …}`` for a task."""
    try:
        return {"scores": _ASKING[task["kind"]](task)}
    except ProblemError as error:
        return {"problem": str(error)}


def main() -> None:
    """Read a task, write the answer."""
    json.dump(answer(json.load(sys.stdin)), sys.stdout, allow_nan=False)


if __name__ == "__main__":
    main()
