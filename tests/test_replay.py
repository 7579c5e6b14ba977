"""Replay against real servers on loopback and real model files, and everything that can go wrong there."""

from __future__ import annotations

import json
import math
import pickle
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from rbnb.inventory import Endpoint
from rbnb.replay import ask, minimise
from rbnb.replay.wire import score_of

COLUMNS = {"amount": "numerical", "plan": "categorical"}
ROWS = [(1.0, "a"), (None, "b"), (100.0, None)]


def model(amount, plan):
    """A model small enough to be right by eye."""
    odds = (0.0 if amount is None else amount / 100) + (1.0 if plan == "a" else 0.0)
    return 1 / (1 + math.exp(-odds))


EXPECTED = [model(*row) for row in ROWS]


class Server(BaseHTTPRequestHandler):
    """Speaks both protocols; the path chooses how it misbehaves."""

    def do_POST(self):
        """Answer a scoring request."""
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, said))
        kind = self.path.split("/")[1]
        if kind in TROUBLE:
            return TROUBLE[kind](self)
        if self.path.endswith("/infer"):
            assert all(one["shape"] == [len(one["data"]), 1] for one in said["inputs"])
            values = {one["name"]: one["data"] for one in said["inputs"]}
            scores = [model(a, p or None) for a, p in zip(values["amount"], values["plan"], strict=True)]
            data = [x for s in scores for x in (1 - s, s)]
            outputs = [
                {"name": "label", "datatype": "INT64", "shape": [len(scores)], "data": [int(s > 0.5) for s in scores]},
                {"name": "probabilities", "datatype": "FP64", "shape": [len(scores), 2], "data": data},
            ]
            return self.reply({"model_name": "m", "outputs": outputs})
        table = said["dataframe_split"]
        return self.reply({"predictions": [model(*row) for row in table["data"]]})

    def reply(self, body, status=200, **headers):
        """Send JSON, or bytes as they are."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        """Keep quiet."""


def slow(handler):
    """Answer too late."""
    time.sleep(3)
    handler.close_connection = True


TROUBLE = {
    "broken": lambda h: h.reply(b"<html>"),
    "error": lambda h: h.reply({"error": "no such input"}, 400),
    "huge": lambda h: h.reply(b"1" * 8_100_000),
    "few": lambda h: h.reply({"predictions": [0.5]}),
    "texts": lambda h: h.reply({"predictions": ["yes", "no", "yes"]}),
    "away": lambda h: h.reply(b"", 302, Location="http://127.0.0.1:1/invocations"),
    "silent": lambda h: h.reply({}),
    "slow": slow,
}


@pytest.fixture(scope="module")
def server():
    """Return a server that runs in this process."""
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    running.seen = []
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def url(server, path=""):
    """Return the address of the server."""
    return f"http://127.0.0.1:{server.server_address[1]}{path}"


def endpoint(**parts):
    """Return an endpoint as a model file gives it."""
    return Endpoint.model_validate(parts)


def test_an_open_inference_server_is_asked_and_its_probabilities_read(server, tmp_path):
    """The scores are the server's own, a missing number goes over the wire as null, and the version is in the path."""
    there = endpoint(kind="v2", url=url(server), name="churn", version="7")
    answers = ask(there, COLUMNS, ROWS, folder=tmp_path)
    assert answers.scores == pytest.approx(EXPECTED)
    path, said = server.seen[-1]
    assert path == "/v2/models/churn/versions/7/infer"
    assert [one["datatype"] for one in said["inputs"]] == ["FP64", "BYTES"]
    assert said["inputs"][0]["data"] == [1.0, None, 100.0]


def test_an_mlflow_server_is_asked(server, tmp_path):
    """The same requests to /invocations give the same scores."""
    answers = ask(endpoint(kind="mlflow", url=url(server)), COLUMNS, ROWS, folder=tmp_path)
    assert answers.scores == pytest.approx(EXPECTED)
    assert server.seen[-1][1]["dataframe_split"]["columns"] == ["amount", "plan"]


def test_many_requests_go_in_batches_and_come_back_in_order(server, tmp_path):
    """Twelve hundred requests are answered in their order."""
    rows = [(float(i), "a" if i % 2 else "b") for i in range(1200)]
    answers = ask(endpoint(kind="mlflow", url=url(server)), COLUMNS, rows, folder=tmp_path)
    assert answers.scores == pytest.approx([model(*row) for row in rows])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/broken", "did not answer JSON"),
        ("/error", "answered 400"),
        ("/huge", "more than"),
        ("/few", "3 requests were sent and 1 answers"),
        ("/texts", "no answer holds a number"),
        ("/away", "answered 302"),
        ("/silent", "without predictions"),
    ],
)
def test_whatever_is_no_answer_is_told(server, tmp_path, path, words):
    """A server that errs, redirects, answers too much, too little or something else never counts as agreement."""
    answers = ask(endpoint(kind="mlflow", url=url(server, path)), COLUMNS, ROWS, folder=tmp_path)
    assert not answers.there
    assert words in answers.problem
    assert answers.scores == ()


def test_an_endpoint_that_is_down_or_slow_is_told_in_time(server, tmp_path):
    """Nobody listening, and an answer that does not come, end with a sentence and not with a wait."""
    down = ask(endpoint(kind="mlflow", url="http://127.0.0.1:9"), COLUMNS, ROWS, folder=tmp_path)
    assert "cannot be reached" in down.problem
    late = endpoint(kind="mlflow", url=url(server, "/slow"), timeout="PT1S")
    began = time.monotonic()
    assert not ask(late, COLUMNS, ROWS, folder=tmp_path).there
    assert not ask(late, COLUMNS, ROWS, folder=tmp_path, deadline=0.2).there
    assert time.monotonic() - began < 15


def test_a_v2_endpoint_needs_a_name(server, tmp_path):
    """Without the model's name nothing is sent."""
    answers = ask(endpoint(kind="v2", url=url(server)), COLUMNS, ROWS, folder=tmp_path)
    assert "add name" in answers.problem


def test_no_proxy_and_no_secret_of_the_environment_is_used(server, tmp_path, monkeypatch):
    """A proxy or a token in the environment of the run does not reach the process that asks."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("SECRET_TOKEN", "x")
    assert ask(endpoint(kind="mlflow", url=url(server)), COLUMNS, ROWS, folder=tmp_path).there


@pytest.fixture(scope="module")
def fitted():
    """Return a scikit-learn model on two numbers."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (300, 2))
    return LogisticRegression().fit(x, (x[:, 0] - x[:, 1] + rng.normal(0, 1, 300) > 0).astype(int))


NUMBERS = {"a": "numerical", "b": "numerical"}
POINTS = [(0.5, -1.0), (2.0, 2.0), (-1.0, 0.0)]


def test_a_skops_file_is_asked(fitted, tmp_path):
    """The probabilities of the positive class are scikit-learn's own."""
    from skops.io import dump

    dump(fitted, tmp_path / "model.skops")
    answers = ask(endpoint(kind="skops", path="model.skops"), NUMBERS, POINTS, folder=tmp_path)
    assert answers.problem == ""
    assert answers.scores == pytest.approx(fitted.predict_proba(np.array(POINTS))[:, 1].tolist())


def test_an_onnx_file_is_asked(fitted, tmp_path):
    """The probabilities are scikit-learn's, to 32 bits."""
    from skl2onnx import to_onnx

    made = to_onnx(fitted, np.zeros((1, 2), dtype=np.float32), options={"zipmap": False})
    (tmp_path / "model.onnx").write_bytes(made.SerializeToString())
    answers = ask(endpoint(kind="onnx", path="model.onnx"), NUMBERS, POINTS, folder=tmp_path)
    assert answers.problem == ""
    assert answers.scores == pytest.approx(fitted.predict_proba(np.array(POINTS))[:, 1].tolist(), abs=1e-6)


class Bomb:
    """Something that would run when unpickled."""

    def __reduce__(self):
        """Say what to run."""
        return (open, ("/nonexistent/never", "w"))


def test_a_pickle_is_never_opened(tmp_path):
    """A pickle called .skops or .onnx is refused with a sentence, and what it holds is not run."""
    for kind in ("skops", "onnx"):
        (tmp_path / f"model.{kind}").write_bytes(pickle.dumps(Bomb()))
        answers = ask(endpoint(kind=kind, path=f"model.{kind}"), NUMBERS, POINTS, folder=tmp_path)
        assert not answers.there
        assert "never" in answers.problem or "cannot be run" in answers.problem


def test_a_skops_file_with_unknown_types_is_refused(tmp_path):
    """A type that skops does not trust by itself is named, and the file is not opened."""
    from skops.io import dump

    class_ = type("Strange", (), {"__module__": "strange"})
    import sys
    import types

    sys.modules["strange"] = types.ModuleType("strange")
    sys.modules["strange"].Strange = class_
    dump(class_(), tmp_path / "model.skops")
    answers = ask(endpoint(kind="skops", path="model.skops"), NUMBERS, POINTS, folder=tmp_path)
    assert "not trusted" in answers.problem
    assert "strange.Strange" in answers.problem


def test_a_missing_file_is_told(tmp_path):
    """A path that leads nowhere says where paths start."""
    for kind in ("skops", "onnx"):
        answers = ask(endpoint(kind=kind, path="none.x"), NUMBERS, POINTS, folder=tmp_path)
        assert "no file none.x" in answers.problem


@pytest.mark.parametrize(
    ("said", "score"),
    [(0.5, 0.5), ([0.8, 0.2], 0.2), ({"0": 0.9, "1": 0.1}, 0.1), ({"score": 3}, 3.0), (True, None), ("x", None)],
)
def test_a_score_is_read_from_any_usual_form(said, score):
    """Numbers, pairs of probabilities and mappings are read; anything else is no score."""
    assert score_of(said) == score


def apart(a, b):
    """Whether two scores differ."""
    return abs(a - b) > 1e-6


def test_the_one_input_that_suffices_is_named():
    """Of five inputs that differ, the one that makes two models disagree is found."""

    def both(rows):
        return [(sum(row), sum(row) + (row[2] > 5)) for row in rows]

    pair = minimise(list("abcde"), (1, 2, 9, 4, 5), [(6, 7, 1, 9, 10)], both, apart)
    assert pair.feature == "c"
    assert apart(*pair.failing_scores)
    assert not apart(*pair.passing_scores)
    assert sum(x != y for x, y in zip(pair.passing, pair.failing, strict=True)) == 1


def test_where_every_answer_differs_the_input_that_mends_is_named():
    """With no request answered alike, the single change after which both agree is found."""
    pair = minimise(["a", "b"], (3, 1), [(4, 0)], lambda rows: [(r[0], r[0] + r[1]) for r in rows], apart)
    assert pair.feature == "b"


def test_no_single_input_is_claimed_where_none_suffices():
    """If one change neither breaks nor mends no input is named; if nobody answers, nothing is."""

    def needs_two(rows):
        return [(0.0, float(sum(r) >= 2)) for r in rows]

    pair = minimise(list("abcd"), (1, 1, 1, 1), [(0, 0, 0, 0)], needs_two, apart)
    assert pair.feature == ""
    assert pair.failing == (1, 1, 1, 1)
    assert minimise(["a"], (1,), [(2,)], lambda _: None, apart) is None
    assert minimise(["a"], (1,), [], lambda _: None, apart) is None
