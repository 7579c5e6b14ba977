"""Inconsistent answers on logs with a known story: verdict, place, onset, cause, and what is healthy."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rbnb.data import ModelData
from rbnb.diagnoses.consistency import OutputInconsistency, hypotheses, summary, views
from rbnb.inventory import load_model_file
from rbnb.policy import decide, judge, load_policy
from rbnb.simulate.businesses import BUSINESSES
from rbnb.simulate.faults import drift
from rbnb.simulate.faults import inconsistency as faults
from rbnb.simulate.log import END
from rbnb.simulate.scene import scene

POLICY = Path(__file__).parent.parent.parent / "policies" / "output_inconsistency.yaml"
ONSET = END - timedelta(hours=8)
SPAN = {"as_of": "", "at": "", "window": "24h", "bucket": "auto", "reference": "", "leave_out": ""}


@dataclass(frozen=True)
class Judged:
    """What a run comes to."""

    found: OutputInconsistency
    causes: list
    findings: dict
    decision: object

    @property
    def verdict(self):
        """The verdict's name."""
        return self.decision.verdict.name

    @property
    def onset_error(self):
        """Buckets between the onset that is told and the true one."""
        return (self.found.lead.stretch.onset - ONSET.timestamp()) / self.found.scope.bucket


def judged(folder, name="recommend", change=lambda text: text, replay=0):
    """Judge the logs of a folder as a run does, without a kernel."""
    path = folder / "models" / f"{name}.yaml"
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    model = load_model_file(path)
    data = ModelData(model, path.parent)
    extent, span = data.scope(clock=model.clock(""), **SPAN)
    policy = load_policy(POLICY)
    settings = OutputInconsistency.Settings(**policy.settings)
    found = OutputInconsistency(data, span, extent, settings, 7).ask(replay)
    causes = hypotheses(found)
    findings = judge(found.signals, policy, model.thresholds)
    decision = decide(policy, findings, causes, summary.facts(found))
    return Judged(found, causes, {(f.signal, f.where): f for f in findings}, decision)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return what makes a scene with one fault, once, and judges it."""

    @cache
    def make(kind="", where="", size="medium", name="recommend", **parts):
        folder = tmp_path_factory.mktemp("world")
        module = drift if kind and hasattr(drift, kind) else faults
        fault = [getattr(module, kind)(onset=ONSET, where=where, size=size, **parts)] if kind else []
        scene(name, seed=11, days=8, per_hour=110, faults=fault, distractors=True).write(folder)
        return judged(folder, name)

    return make


def test_a_healthy_model_with_a_harmless_deploy_is_healthy(world):
    """A new version with the same outputs, daily and weekly rhythm and late labels page nobody."""
    one = world()
    assert one.verdict == "healthy"
    assert one.causes == []
    assert one.findings["comparisons", ""].value == 3
    assert summary.headline(one.found) == []


@pytest.mark.parametrize("kind", ["FloatCast", "FloatNoise"])
def test_a_difference_within_the_tolerance_is_healthy(world, kind):
    """Scores computed in 32 bit or in another order are the same scores."""
    assert world(kind, "host=b-2").verdict == "healthy"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("OtherUnit", "10 times the value"),
        ("CategoryOrder", "categories exchanged"),
        ("OtherThreshold", "another threshold"),
        ("BadScores", "impossible scores"),
    ],
)
def test_a_host_that_answers_otherwise_is_found_with_what_it_does(world, kind, words):
    """The zone, the onset within a few buckets and the mechanism are told, and it is the machines' fault."""
    one = world(kind, "zone=b")
    assert one.verdict == "infrastructure"
    assert one.causes[0].where == "zone=b"
    assert words in one.causes[0].name
    assert abs(one.onset_error) <= 6
    assert one.decision.proposal.action == "shift_traffic"
    assert "zone=b" in summary.headline(one.found)[0]


def test_noise_is_found(world):
    """A model that answers differently each time is found, everywhere and since its onset."""
    one = world("NonDeterminism")
    assert one.verdict == "genuine"
    assert one.causes[0].where == ""
    assert one.causes[0].kind == "determinism"


def test_skew_is_found_by_joining_with_what_was_recomputed(world):
    """The input that is served otherwise than the offline store has it is named, and no other."""
    feature = next(one.name for one in BUSINESSES["recommend"].numbers if one.kind == "lognormal")
    one = world("Skew", feature=feature)
    assert one.verdict == "genuine"
    assert one.causes[0].kind == "skew"
    assert one.causes[0].name.startswith(feature)
    assert one.findings["skew_share", f"feature={feature}"].status == "breach"


def test_drifted_inputs_are_no_inconsistency(world):
    """Scores that move because their inputs do are answered consistently, and the report points to data_drift."""
    feature = BUSINESSES["recommend"].importance()[0]
    one = world("Shift", size="large", feature=feature)
    assert one.verdict == "healthy"
    if one.findings["score_shift", ""].status == "breach":
        assert [r.runbook for r in one.decision.referrals] == ["data_drift"]


def test_what_is_shown_and_kept_holds_together(world):
    """Every table and figure is made for a fault and for a healthy model."""
    for one in (world("OtherUnit", "zone=b"), world()):
        found = one.found
        tables = [
            views.segment_table(found),
            views.threshold_table(found),
            views.skew_table(found),
            views.encoding_table(found),
            views.reliability_table(found),
            views.replay_table(found),
            views.change_table(found, one.causes),
            views.hypothesis_table(one.causes),
        ]
        assert all(table._repr_mimebundle_() for table in tables)
        assert (views.wrong_figure(found) is None) == (found.lead is None)
        assert "threshold" in views.distance_figure(found).svg
        assert len(views.example_frame(found)) <= 500


@pytest.fixture
def plain(tmp_path):
    """Return the folder of a small healthy scene."""
    scene("recommend", seed=3, days=4, per_hour=60).write(tmp_path)
    return tmp_path


def without(*keys):
    """Return a change of a model file that leaves out sections of its logs and columns."""
    import yaml

    def change(text):
        model = yaml.safe_load(text)
        for key in keys:
            place, *path = key.split(".")
            inner = model if not path else model[place]
            for step in path[:-1]:
                inner = inner[step]
            inner.pop(path[-1] if path else place, None)
        return yaml.safe_dump(model)

    return change


def test_with_nothing_to_compare_it_is_inconclusive(plain):
    """Without features and recomputed inputs nothing was compared, and that is said, not called healthy."""
    one = judged(
        plain,
        change=without("logs.predictions.features", "logs.recomputed", "rules", "expect", "monotone", "invariant"),
    )
    assert one.verdict == "inconclusive"
    assert one.decision.leaf == "not_comparable"
    assert {"training–serving skew", "repeats and expected scores"} <= {n.what for n in one.found.not_measured}


def test_without_scores_it_is_inconclusive(plain):
    """A log without a score cannot be judged."""
    one = judged(plain, change=without("logs.predictions.columns.prediction_proba"))
    assert one.verdict == "inconclusive"


def test_a_feature_the_log_lacks_does_not_take_the_others_down(plain):
    """A feature that is mapped and missing is told, and the rest is compared."""
    one = judged(plain, change=lambda text: text.replace("numerical: [", "numerical: [no_such_column, "))
    assert one.verdict == "healthy"
    assert "feature no_such_column" in {n.what for n in one.found.not_measured}
    assert [r.runbook for r in one.decision.referrals] == ["data_quality"]


class Answering(BaseHTTPRequestHandler):
    """Two MLflow servers in one: the current one reads one input in another unit."""

    def do_POST(self):
        """Answer from the features alone."""
        table = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["dataframe_split"]
        place = table["columns"].index(self.server.feature)
        factor = 100.0 if self.path.startswith("/current") else 1.0
        values = [row[place] for row in table["data"]]
        body = json.dumps({"predictions": [None if v is None else (v * factor % 97) / 97 for v in values]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep quiet."""


def test_replay_finds_the_smallest_pair(plain):
    """Asked the same requests, two endpoints differ, and the one input that suffices is named; off, nothing is sent."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.feature = BUSINESSES["recommend"].importance()[0]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    at = f"http://127.0.0.1:{server.server_address[1]}"
    serving = (
        f'serving: {{current: {{kind: mlflow, url: "{at}/current"}}, known_good: {{kind: mlflow, url: "{at}/good"}}}}\n'
    )
    try:
        one = judged(plain, change=lambda text: without("monotone", "invariant")(text) + serving, replay=40)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert one.findings["replay_mismatch", ""].status == "breach"
    assert one.verdict == "genuine"
    assert one.found.replayed.minimal.feature == server.feature
    assert "alone makes the two models disagree" in views.replay_table(one.found).note
    gone = judged(plain, replay=5)
    assert gone.found.replayed.compared == 0
    assert any("cannot be reached" in n.why for n in gone.found.replayed.not_measured)
    assert gone.verdict == "healthy"
    off = judged(plain)
    assert any("it sends logged requests" in n.why for n in off.found.not_measured)


def test_times_are_told_in_utc(world):
    """Since when, and whether it goes on, is said in words and for the record."""
    one = world("OtherThreshold", "zone=b")
    assert "It is still going on." in summary.since(one.found)
    course = summary.course(one.found)
    assert course["ongoing"] is True
    assert course["onset"].tzinfo is UTC
    assert abs(course["onset"] - ONSET) < timedelta(hours=1)
    assert isinstance(course["onset"], datetime)
