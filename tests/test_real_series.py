"""Real series: a server's latency with three known failures, and a healthy one; a name and a value are enough.

The series are of the Numenta Anomaly Benchmark and lie beside the repository; where they are not, this is skipped.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from latency_fixture import Judge

from rbnb.times import format_time

NAB = Path(__file__).parents[2] / "shared" / "data" / "nab"
FAILURE, CONTROL = "ec2_request_latency_system_failure.csv", "art_daily_small_noise.csv"
WINDOW = timedelta(hours=2)
LEARNT = timedelta(days=2)
#: What somebody runs this with: long after the series was recorded.
CLOCK = datetime(2026, 11, 22, 12, tzinfo=UTC)

pytestmark = [
    pytest.mark.skipif(not NAB.is_dir(), reason="the series of the Numenta Anomaly Benchmark are not here"),
    # ibis 12 calls DuckDB by names that DuckDB is about to rename
    pytest.mark.filterwarnings("ignore:fetch_:DeprecationWarning"),
]


def walk(folder, name):
    """Judge a series every two hours from the time on that two days of it are known."""
    logs = {"table": str(NAB / name), "timezone": "UTC", "unit": "ms"}
    logs["columns"] = {"timestamp": "timestamp", "latency_ms": "value"}
    path = folder / "series.yaml"
    path.write_text(yaml.safe_dump({"name": "series", "logs": {"predictions": logs}}))
    judge = Judge(path)
    extent = judge.data.extent(CLOCK)
    at, found = extent.first + LEARNT + WINDOW, []
    while at <= extent.last:
        found.append((at, judge.at(format_time(at), clock=CLOCK)))
        at += WINDOW
    return found


def labels(name):
    """Return the labelled failures as pairs of epoch seconds."""
    known = json.loads((NAB / "windows.json").read_text())
    (spans,) = [value for key, value in known.items() if key.endswith(name)]
    return [tuple(datetime.fromisoformat(t).replace(tzinfo=UTC).timestamp() for t in span) for span in spans]


def hits(at, judged, spans):
    """Return which labelled failures an alarm overlaps; one without an episode covers its whole window."""
    episode = judged.episode
    start = episode.onset if episode else (at - WINDOW).timestamp()
    end = (episode.ended if episode else None) or at.timestamp()
    return [number for number, (low, high) in enumerate(spans) if start < high and end > low]


def test_failures_of_a_real_server_are_found_and_nothing_else(tmp_path):
    """At least two of the three labelled failures raise an alarm, and at most one alarm lies outside them."""
    spans = labels(FAILURE)
    alarms = [(at, judged) for at, judged in walk(tmp_path, FAILURE) if judged.alarm]
    inside = {number for at, judged in alarms for number in hits(at, judged, spans)}
    outside = [format_time(at) for at, judged in alarms if not hits(at, judged, spans)]
    assert len(inside) >= 2
    assert len(outside) <= 1, outside


def test_a_healthy_series_is_healthy_at_every_step(tmp_path):
    """A series with a daily rhythm and noise is never an alarm and never in doubt once two days are known."""
    judged = walk(tmp_path, CONTROL)
    assert len(judged) > 100
    assert {found.verdict for _, found in judged} == {"healthy"}
    missing = {thing.what for thing in judged[0][1].spike.not_measured}
    assert {"segments", "stages of a request", "changes", "error rate", "infrastructure and dependencies"} <= missing
