"""Models as local files: ONNX through onnxruntime, scikit-learn through skops; never a pickle.

Rules: the runtime is an optional extra (``pip install 'rbnb[replay]'``) and its absence is told; a skops file that
holds any type skops does not trust by itself is refused, with the types named.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

from rbnb.replay.wire import ProblemError, score_of

__all__ = ["ask_onnx", "ask_skops"]

_EXTRA = "install it with: pip install 'rbnb[replay]'"


def _file(task: dict[str, Any]) -> Path:
    path = Path(task["path"])
    if not path.is_file():
        raise ProblemError(f"there is no file {path.name}; paths are relative to the model file's folder")
    return path


def _numbers(task: dict[str, Any], i: int) -> list[float]:
    return [math.nan if row[i] is None else float(row[i]) for row in task["rows"]]


def _texts(task: dict[str, Any], i: int) -> list[str]:
    return ["" if row[i] is None else str(row[i]) for row in task["rows"]]


def ask_onnx(task: dict[str, Any]) -> list[float | None]:
    """Ask an ONNX model: one input for each feature, or one matrix of all of them."""
    try:
        import onnxruntime  # type: ignore[import-untyped]
    except ImportError:
        raise ProblemError(f"onnxruntime is not installed; {_EXTRA}") from None
    path = _file(task)
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        outputs = session.run(None, _feed(task, session.get_inputs()))
    except ProblemError:
        raise
    except Exception as error:  # noqa: BLE001 - onnxruntime raises types of its own, which are no part of its interface
        first = str(error).strip().splitlines()[0][:200]
        raise ProblemError(f"{path.name} cannot be run: {first}; check that it takes these inputs") from None
    names = [out.name.lower() for out in session.get_outputs()]
    best = next((i for i, name in enumerate(names) if "prob" in name or "score" in name), len(outputs) - 1)
    return _scores(outputs[best], task["positive"])


def _feed(task: dict[str, Any], inputs: list[Any]) -> dict[str, Any]:
    import numpy as np

    types = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}
    if len(inputs) == 1 and inputs[0].name not in task["columns"]:
        if "categorical" in task["kinds"]:
            raise ProblemError("the model takes one matrix of numbers, and some inputs are categories")
        table = np.array([_numbers(task, i) for i in range(len(task["columns"]))]).T
        return {inputs[0].name: table.astype(types.get(inputs[0].type, np.float32))}
    feed = {}
    for one in inputs:
        if one.name not in task["columns"]:
            raise ProblemError(f"the model wants an input {one.name!r} that is no logged feature")
        i = task["columns"].index(one.name)
        values = (
            np.array(_texts(task, i), dtype=object)
            if one.type == "tensor(string)"
            else np.array(_numbers(task, i)).astype(types.get(one.type, np.float32))
        )
        feed[one.name] = values.reshape(-1, 1)
    return feed


def _scores(out: Any, positive: str) -> list[float | None]:  # noqa: ANN401 - an array, or a list of mappings
    rows = out.tolist() if hasattr(out, "tolist") else list(out)
    return [score_of(row, positive) for row in rows]


def ask_skops(task: dict[str, Any]) -> list[float | None]:
    """Ask a scikit-learn model kept by skops; refuse whatever skops does not trust by itself."""
    try:
        from skops import io  # type: ignore[import-untyped]
    except ImportError:
        raise ProblemError(f"skops is not installed; {_EXTRA}") from None
    path = _file(task)
    if not zipfile.is_zipfile(path):
        raise ProblemError(f"{path.name} is no skops file; a pickle is never opened, save it with skops.io.dump")
    try:
        unknown = io.get_untrusted_types(file=path)
        model = io.load(path, trusted=[]) if not unknown else None
        scores = [] if model is None else _predicted(model, _table(task), task["positive"])
    except Exception as error:  # noqa: BLE001 - a model raises what it likes
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ProblemError(f"{path.name} cannot be run: {first}; check that it takes these inputs") from None
    if unknown:
        raise ProblemError(
            f"{path.name} holds types that are not trusted, so it is not opened: {', '.join(unknown[:5])}"
        )
    return scores


def _table(task: dict[str, Any]) -> Any:  # noqa: ANN401 - a DataFrame
    import pandas as pd

    values = {
        name: _numbers(task, i) if kind == "numerical" else [row[i] for row in task["rows"]]
        for i, (name, kind) in enumerate(zip(task["columns"], task["kinds"], strict=True))
    }
    return pd.DataFrame(values)


def _predicted(model: Any, table: Any, positive: str) -> list[float | None]:  # noqa: ANN401 - any scikit-learn model
    if not hasattr(model, "predict_proba"):
        return _scores(model.predict(table), positive)
    classes = [str(one) for one in model.classes_]
    column = classes.index(positive) if positive in classes else len(classes) - 1
    return [float(row[column]) for row in model.predict_proba(table)]
