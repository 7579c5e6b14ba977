"""P9, the worst case: data that stopped arriving. With the real command, which pins its times for the kernel."""

import json
import subprocess

import pytest
from conftest import LOG_END, RBNB, quiet_log


def ask(root, *arguments):
    """Run the command and return its record."""
    command = [str(RBNB), "run", "latency_spike", "--model", "svc", "--json", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_quiet_log_that_ended_a_week_ago_is_inconclusive(workspace):
    """P9: when nobody asks for a time, old data says nothing about now, however quiet it was."""
    week_later = LOG_END.replace(day=9).isoformat()
    record = ask(workspace(model={"recording": {"until": week_later}}).places.root)
    assert record["verdict"] == "inconclusive"
    assert "7 d" in record["because"][0]
    age = next(finding for finding in record["findings"] if finding["signal"] == "data_age")
    assert age["status"] == "breach"
    assert age["value"] == pytest.approx(7 * 24 * 60, abs=10)


def test_a_time_in_the_past_is_judged_as_it_was_then(workspace):
    """A window that a person asks for is judged as of its end, though the log goes on after it."""
    root = workspace(quiet_log(days=18)).places.root
    record = ask(root, "--at", "2026-10-31T12:00:00Z")
    assert record["verdict"] == "healthy"
    future = next(finding for finding in record["findings"] if finding["signal"] == "future_share")
    assert future["value"] == 0
    assert record["parameters"]["as_of"] == "2026-10-31T12:00:00Z"
