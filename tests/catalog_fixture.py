"""Stand-ins that the shipped actions are rehearsed on: real servers on loopback, and kubectl on a file.

Each keeps one state that an action can look at and change. The control API and the flag services answer over HTTP as
their documentation says; a cluster is one document that kubectl itself patches, without an API server.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from rbnb.catalog import Observed

#: One value for each name that any shipped action declares.
VALUES = {
    "namespace": "fraud", "deployment": "fraud-v3", "good_revision": "6", "rollout": "fraud-v3",
    "inference_service": "fraud", "endpoint": "fraud", "good_config": "fraud-3-3-0",
    "registered_model": "fraud model", "good_version": "3", "fallback_version": "2", "virtual_service": "fraud-v3",
    "http_route": "fraud-v3", "from_index": "1", "from_subset": "zone-b", "to_index": "0", "to_subset": "zone-a",
    "filter": "fraud-limit", "limit": "40", "ingress": "fraud", "destination_rule": "feature-store",
    "dependency": "feature-store", "project": "payments", "flag": "ask-feature-store", "feature": "merchant_risk",
    "feature_view": "merchant_risk", "input": "merchant_risk", "input_service": "feature-store",
    "input_route": "feature-store", "other_host": "replica.example.com", "other_source": "replica",
    "training_job": "train", "exclusions": "left-out", "batch": "b-17", "batch_versions": "copies",
    "good_copy": "/data/good", "batch_link": "/data/current", "serving_link": "/models/current",
    "good_path": "/models/3.3.0", "review_threshold": "0.6", "model": "fraud-v3",
    "control": "http://127.0.0.1:9/models/fraud-v3", "mlflow": "http://127.0.0.1:9",
    "launchdarkly": "http://127.0.0.1:9", "unleash": "http://127.0.0.1:9",
}  # fmt: skip

#: What the secrets of the shipped actions are called in the environment.
SECRETS = dict.fromkeys(("MLFLOW_TRACKING_TOKEN", "LAUNCHDARKLY_ACCESS_TOKEN", "UNLEASH_API_TOKEN"), "s3cret")


def _env(name, value):
    return {
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "fraud-v3", "generation": 4},
        "spec": {"template": {"spec": {"containers": [{"name": "m", "env": [{"name": name, "value": value}]}]}}},
        "status": {"observedGeneration": 4,
                   "conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]},
    }  # fmt: skip


def _istio(kind, spec):
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}


def _map(data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data}


_BUCKET = {"max_tokens": 100, "tokens_per_fill": 90, "fill_interval": "1s"}

#: The state before, for each variant that changes a document with kubectl.
DOCUMENTS = {
    ("shift_traffic", "istio"): _istio("VirtualService", {"http": [{"route": [
        {"destination": {"host": "f", "subset": "zone-a"}, "weight": 59},
        {"destination": {"host": "f", "subset": "zone-b"}, "weight": 41}]}]}),
    ("shift_traffic", "kubernetes"): {
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "x"},
        "spec": {"rules": [{"backendRefs": [{"name": "zone-a", "weight": 3}, {"name": "zone-b", "weight": 7}]}]}},
    ("throttle", "istio"): _istio("EnvoyFilter", {"configPatches": [
        {"patch": {"value": {"typed_config": {"value": {"token_bucket": _BUCKET}}}}}]}),
    ("throttle", "kubernetes"): {
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": "x", "annotations": {"other": "y"}}, "spec": {}},
    ("open_circuit_breaker", "istio"): _istio("DestinationRule", {"host": "feature-store", "trafficPolicy": {
        "connectionPool": {"http": {"http2MaxRequests": 9}}}}),
    ("reroute_input", "kubernetes"): {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"},
        "spec": {"type": "ExternalName", "externalName": "feature-store.example.com"}},
    ("reroute_input", "istio"): _istio("VirtualService", {"http": [{"route": [
        {"destination": {"host": "a"}, "weight": 70}, {"destination": {"host": "b"}, "weight": 30}]}]}),
    ("freeze_training", "kubernetes"): {
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "x"}, "spec": {"suspend": False}},
    ("quarantine_batch", "kubernetes"): _map({"b-16": "quarantined"}),
    ("restore_batch", "kubernetes"): _map({"b-17": "/data/damaged"}),
    ("fallback_model", "kubernetes"): _env("MODEL_MODE", "model"),
    ("manual_review", "kubernetes"): _env("REVIEW_THRESHOLD", "0.8"),
}  # fmt: skip


class Cluster:
    """One document that kubectl changes as it would on a server, with `kubectl … --local`."""

    def __init__(self, folder, document):
        self.file = folder / "document.json"
        self.file.write_text(json.dumps(document), encoding="utf-8")

    @property
    def document(self):
        """The document as it is now."""
        return json.loads(self.file.read_text(encoding="utf-8"))

    def __call__(self, step):
        """Run one step's arguments on the document."""
        assert step.argv[0] == "kubectl"
        words = [word for word in step.argv[1:] if not word.startswith("--namespace=")]
        if words[0] == "get":
            return Observed("process", 0, self.file.read_text(encoding="utf-8"))
        trial = "--dry-run=server" in words
        local = [
            word for word in words if "/" not in word.split("=")[0] and not word.startswith(("--dry-run", "--output"))
        ]
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.file.parent)}
        done = subprocess.run(
            ["kubectl", *local, "--local", f"--filename={self.file}", "--output=json"],
            capture_output=True, text=True, check=False, env=environ,
        )  # fmt: skip
        if done.returncode == 0 and not trial:
            self.file.write_text(json.dumps(self._reconciled(json.loads(done.stdout))), encoding="utf-8")
        return Observed("process", done.returncode, done.stdout or done.stderr)

    @staticmethod
    def _reconciled(document):
        if "generation" in document["metadata"]:
            document["metadata"]["generation"] += 1
            document["status"]["observedGeneration"] = document["metadata"]["generation"]
        return document


#: What the control API answers before anything was set.
BEFORE = {"version": "4", "traffic": {"zone-a": 59, "zone-b": 41}, "limit": 100, "training": "scheduled",
          "mode": "model", "review-threshold": 0.8}  # fmt: skip


class Control(BaseHTTPRequestHandler):
    """The control API of docs/actions.md: GET answers {"value": …}, PUT sets it."""

    def _answer(self, status, body=None):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"" if body is None else json.dumps(body).encode())

    def _asked(self):
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return json.loads(text) if text else None

    def _key(self):
        assert self.path.startswith("/models/fraud-v3/")
        return unquote(self.path.removeprefix("/models/fraud-v3/"))

    def do_GET(self):
        """Answer the state of what is asked for."""
        self._answer(200, {"value": self.server.state.get(self._key(), BEFORE.get(self._key(), "normal"))})

    def do_PUT(self):
        """Set it."""
        self.server.state[self._key()] = self._asked()["value"]
        self._answer(204)

    def log_message(self, *_):
        """Say nothing."""


class Services(Control):
    """MLflow's registry, LaunchDarkly and Unleash, as far as the shipped actions ask them."""

    def _state(self):
        return self.server.state

    def do_GET(self):
        """Answer a flag, an alias or a version."""
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if path.endswith("/model-versions/get"):
            answer = {"model_version": {"version": query["version"][0], "status": "READY"}}
        elif path.endswith("/registered-models/alias"):
            assert (query["name"], query["alias"]) == (["fraud model"], ["champion"])
            answer = {"model_version": {"version": self._state().get("alias", "4")}}
        elif path == "/api/v2/flags/payments/ask-feature-store":
            answer = {"environments": {"production": {"on": self._state().get("on", True)}}}
        else:
            assert path == "/api/admin/projects/payments/features/ask-feature-store/environments/production"
            answer = {"name": "production", "enabled": self._state().get("on", True)}
        self._answer(200 if "s3cret" in self.headers["Authorization"] else 401, answer)

    def do_POST(self):
        """Set an alias, or switch an Unleash flag."""
        if self.path.endswith("/alias"):
            body = self._asked()
            assert (body["name"], body["alias"]) == ("fraud model", "champion")
            self._state()["alias"] = body["version"]
        else:
            self._state()["on"] = {"on": True, "off": False}[self.path.rsplit("/", 1)[1]]
        self._answer(200, {})

    def do_PATCH(self):
        """Switch a LaunchDarkly flag by semantic patch; a dry run changes nothing."""
        body = self._asked()
        assert self.headers["Content-Type"] == "application/json; domain-model=launchdarkly.semanticpatch"
        assert body["environmentKey"] == "production"
        if "dryRun=true" not in self.path:
            self._state()["on"] = body["instructions"][0]["kind"] == "turnFlagOn"
        self._answer(200, {})


class SageMaker(Control):
    """The three operations of SageMaker that the shipped actions call, as the AWS command line sends them."""

    def do_POST(self):
        """Describe or update an endpoint."""
        operation, body, state = self.headers["X-Amz-Target"], self._asked(), self.server.state
        arn = {"EndpointArn": "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/fraud"}
        weights = state.setdefault("weights", {"zone-a": 1.0, "zone-b": 3.0})
        if operation == "SageMaker.UpdateEndpoint":
            state["config"] = body["EndpointConfigName"]
        elif operation == "SageMaker.UpdateEndpointWeightsAndCapacities":
            weights |= {one["VariantName"]: one["DesiredWeight"] for one in body["DesiredWeightsAndCapacities"]}
        elif operation == "SageMaker.DescribeEndpointConfig":
            arn = {"EndpointConfigName": body["EndpointConfigName"], "ProductionVariants": []}
        else:
            assert (operation, body) == ("SageMaker.DescribeEndpoint", {"EndpointName": "fraud"})
            arn |= {"EndpointName": "fraud", "EndpointStatus": "InService"}
            arn["EndpointConfigName"] = state.get("config", "fraud-3-4-1")
            arn["ProductionVariants"] = [{"VariantName": n, "CurrentWeight": w} for n, w in weights.items()]
        self._answer(200, arn)


@contextlib.contextmanager
def serving(handler):
    """Serve on a free port of loopback; yields the address and the state."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.state = {}
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _sent(method, url, headers, body):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, parts._replace(scheme="", netloc="").geturl(), body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def sent(secrets):
    """Return what sends a step's request and tells what was answered."""

    def run(step):
        request = step.request
        headers, body = request.opened(secrets, SECRETS)
        return Observed("http", *_sent(request.method, request.url, headers, body))

    return run


def started(step, **environ):
    """Run a step's program for real."""
    environ = {"PATH": os.environ["PATH"], **environ}
    done = subprocess.run(step.argv, capture_output=True, text=True, check=False, timeout=step.timeout, env=environ)
    return Observed("process", done.returncode, done.stdout or done.stderr)


def amazon(address, home):
    """Return what runs a step with the AWS command line; what only looks is asked directly, which is faster."""
    environ = {
        "AWS_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": "eu-west-1", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "HOME": str(home),
    }  # fmt: skip
    asked = {
        "describe-endpoint": ("DescribeEndpoint", {"EndpointName": "fraud"}),
        "describe-endpoint-config": ("DescribeEndpointConfig", {"EndpointConfigName": "fraud-3-3-0"}),
    }

    def run(step):
        assert step.argv[:2] == ("aws", "sagemaker")
        if step.argv[2] not in asked:
            return started(step, **environ)
        operation, body = asked[step.argv[2]]
        _, text = _sent("POST", address, {"X-Amz-Target": f"SageMaker.{operation}"}, json.dumps(body))
        return Observed("process", 0, text)

    return run
