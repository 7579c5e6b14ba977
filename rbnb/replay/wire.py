"""Two protocols over HTTP, with the standard library: Open Inference Protocol v2, and MLflow's scoring server.

Rules: only http and https, straight to the address; a redirect is an error, as it could lead anywhere; a reply is read
up to `LARGEST` bytes; a missing number is sent as null; every failure is a `ProblemError` that says what to do.
Sources: the Open Inference Protocol (kserve/open-inference-protocol, REST), MLflow's documentation of
``/invocations`` (``dataframe_split``).
"""

from __future__ import annotations

import http.client
import json
import math
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

__all__ = ["LARGEST", "ProblemError", "ask_mlflow", "ask_v2", "score_of"]

#: Bytes of a reply that are read; more is refused.
LARGEST = 8_000_000
_BATCH = 500


class ProblemError(Exception):
    """Why there is no answer, in a sentence that says what to do."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 - the base class's protocol
        return None


def _post(url: str, body: dict[str, Any], timeout: float) -> Any:  # noqa: ANN401 - any JSON
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ProblemError(f"{url} is not http or https; correct url in the model file")
    data = json.dumps(body, allow_nan=False).encode()
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        url, data=data, headers={"Content-Type": "application/json", "Accept": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    try:
        with opener.open(request, timeout=timeout) as reply:
            raw = reply.read(LARGEST + 1)
    except urllib.error.HTTPError as error:
        said = error.read(300).decode("utf-8", "replace").strip()
        raise ProblemError(
            f"{url} answered {error.code}: {said or error.reason}; check name, version and inputs"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise ProblemError(
            f"{url} cannot be reached ({reason}); check that it runs and that this machine may ask"
        ) from None
    if len(raw) > LARGEST:
        raise ProblemError(f"{url} answered more than {LARGEST:,} bytes; replay fewer requests")
    try:
        return json.loads(raw)
    except ValueError:
        raise ProblemError(f"{url} did not answer JSON; check that it is the model's own address") from None


def _batches(rows: list[list[Any]]) -> list[list[list[Any]]]:
    return [rows[i : i + _BATCH] for i in range(0, len(rows), _BATCH)]


def ask_v2(task: dict[str, Any]) -> list[float | None]:
    """Ask an Open Inference Protocol v2 server: one input tensor of shape (n, 1) for each feature."""
    if not task["name"]:
        raise ProblemError("a v2 endpoint needs the model's name; add name under serving in the model file")
    place = f"/v2/models/{urllib.parse.quote(task['name'])}"
    place += f"/versions/{urllib.parse.quote(task['version'])}" if task["version"] else ""
    url = f"{str(task['url']).rstrip('/')}{place}/infer"
    scores: list[float | None] = []
    for rows in _batches(task["rows"]):
        inputs = [
            {
                "name": name,
                "shape": [len(rows), 1],
                "datatype": "FP64" if kind == "numerical" else "BYTES",
                "data": [row[i] if kind == "numerical" else _text(row[i]) for row in rows],
            }
            for i, (name, kind) in enumerate(zip(task["columns"], task["kinds"], strict=True))
        ]
        scores += _v2_scores(_post(url, {"inputs": inputs}, task["timeout"]), len(rows), url)
    return scores


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _v2_scores(said: Any, n: int, url: str) -> list[float | None]:  # noqa: ANN401 - any JSON
    outputs = said.get("outputs") if isinstance(said, dict) else None
    if not outputs:
        raise ProblemError(f"{url} answered without outputs; check that it speaks the Open Inference Protocol v2")
    floats = [out for out in outputs if str(out.get("datatype", "")).startswith("FP")]
    named = [out for out in floats if any(word in str(out.get("name", "")).lower() for word in ("prob", "score"))]
    data = _flat((named or floats or outputs)[0].get("data"))
    wide = len(data) // n if n and len(data) % n == 0 else 0
    if not wide:
        raise ProblemError(f"{url} answered {len(data)} numbers to {n} requests; check the model's output shape")
    return [score_of(data[i * wide : (i + 1) * wide]) for i in range(n)]


def _flat(data: Any) -> list[Any]:  # noqa: ANN401 - any JSON
    if not isinstance(data, list):
        return [data]
    return [item for part in data for item in (_flat(part) if isinstance(part, list) else [part])]


def score_of(said: Any, positive: str = "1") -> float | None:  # noqa: ANN401 - a number, a list or a mapping
    """Return the score in one answer: the number, the last of a list, or the positive class of a mapping.

    Examples
    --------
    >>> score_of(0.5), score_of([0.8, 0.2]), score_of({"0": 0.9, "1": 0.1}), score_of("yes")
    (0.5, 0.2, 0.1, None)
    """
    if isinstance(said, dict):
        named = {str(key): value for key, value in said.items()}
        keys = [positive, "score", "probability", "predict_proba", "prediction"]
        return next((score_of(named[key], positive) for key in keys if key in named), None)
    if isinstance(said, list):
        return score_of(said[-1], positive) if said else None
    if isinstance(said, bool) or not isinstance(said, (int, float)) or not math.isfinite(said):
        return None
    return float(said)


def ask_mlflow(task: dict[str, Any]) -> list[float | None]:
    """Ask an MLflow scoring server with ``dataframe_split``."""
    url = str(task["url"]).rstrip("/")
    url += "" if url.endswith("/invocations") else "/invocations"
    scores: list[float | None] = []
    for rows in _batches(task["rows"]):
        said = _post(url, {"dataframe_split": {"columns": task["columns"], "data": rows}}, task["timeout"])
        answers = said.get("predictions") if isinstance(said, dict) else said
        if not isinstance(answers, list):
            raise ProblemError(f"{url} answered without predictions; check that it is an MLflow scoring server")
        scores += [score_of(one, task["positive"]) for one in answers]
    return scores
