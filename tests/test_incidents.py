"""Incidents on disk: numbered by creation, told by their ledger, checked artifact by artifact."""

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from rbnb.errors import IntegrityError, LedgerError, NameRefusedError, NotFoundError
from rbnb.incidents import find_incidents, join_incident, known_episodes, open_incident
from rbnb.record import list_products


def clock():
    """Stand still."""
    return datetime(2026, 11, 22, 14, tzinfo=UTC)


def opened(folder):
    """Open an incident."""
    return open_incident(folder, clock, {"model": "svc", "template": "latency_spike", "severity": None})


def started(incident, pid, host=None):
    """Record that a run was started by a process."""
    folder = incident.take_run_folder("latency_spike")
    body = {"run": folder.name, "pid": pid, "host": host or socket.gethostname()}
    incident.ledger.append("run.started", body, by="ann")
    return folder


def gone():
    """Return the id of a process that has ended."""
    return int(
        subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True).stdout
    )


def test_incidents_opened_at_once_never_share_a_number(tmp_path):
    """Sixteen at once: sixteen names, each with its first entry."""
    with ThreadPoolExecutor(16) as pool:
        names = list(pool.map(lambda _: opened(tmp_path).name, range(16)))
    assert sorted(names) == [f"INC-20261122-{n:02d}" for n in range(1, 17)] == find_incidents(tmp_path)
    assert all(join_incident(tmp_path, name, clock).state().model == "svc" for name in names)


def test_runs_at_once_never_share_a_folder(tmp_path):
    """Nor two runs of one incident."""
    incident = opened(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: incident.take_run_folder("latency_spike").name, range(8)))
    assert len({name[:2] for name in folders}) == 8


def test_a_run_whose_process_is_gone_is_abandoned(tmp_path):
    """It is recorded once, as inconclusive, by whoever looks; one that still runs is left alone."""
    incident = opened(tmp_path)
    started(incident, gone())
    started(incident, os.getpid())
    started(incident, gone(), host="another-host")
    incident.settle()
    incident.settle()
    state = incident.state()
    assert [(run.status, run.verdict) for run in state.runs] == [
        ("abandoned", "inconclusive"),
        ("running", ""),
        ("running", ""),
    ]
    assert len(state.entries) == 5


def finished(incident):
    """Record a run with two artifacts and return its folder."""
    folder = started(incident, os.getpid())
    (folder / "evidence").mkdir()
    (folder / "run.json").write_text("{}")
    (folder / "evidence" / "a.parquet").write_bytes(b"x" * 100)
    body = {"run": folder.name, "status": "completed", "verdict": "genuine", "severity": "SEV2"}
    artifacts = [{"path": p.path, "sha256": p.sha256} for p in list_products(folder)]
    incident.ledger.append("run.finished", {**body, "artifacts": artifacts}, by="ann")
    return folder


def test_verifying_names_what_differs_what_is_missing_and_nothing_else(tmp_path):
    """Any byte of any artifact, and one that is gone."""
    incident = opened(tmp_path)
    folder = finished(incident)
    assert incident.check().problems == ()
    assert incident.check().artifacts == 2
    content = bytearray((folder / "evidence" / "a.parquet").read_bytes())
    for position in range(0, len(content), 9):
        changed = content.copy()
        changed[position] ^= 1
        (folder / "evidence" / "a.parquet").write_bytes(bytes(changed))
        assert incident.check().problems == (
            "runs/01-latency_spike/evidence/a.parquet: differs from what was recorded",
        )
    (folder / "evidence" / "a.parquet").unlink()
    (folder / "run.json").write_text("[]")
    assert incident.check().problems == (
        "runs/01-latency_spike/evidence/a.parquet: is missing",
        "runs/01-latency_spike/run.json: differs from what was recorded",
    )


def test_an_artifact_outside_of_its_folder_is_a_problem_and_is_not_read(tmp_path):
    """An entry that names a path elsewhere is told."""
    incident = opened(tmp_path)
    folder = started(incident, os.getpid())
    artifact = {"path": "../../../../secret", "sha256": "0" * 64}
    incident.ledger.append("run.finished", {"run": folder.name, "artifacts": [artifact]}, by="ann")
    assert incident.check().problems == ("runs/01-latency_spike/../../../../secret: lies outside the run folder",)


def test_a_damaged_ledger_is_never_folded(tmp_path):
    """State is not told from entries that are not what was written; verifying names the first."""
    incident = opened(tmp_path)
    finished(incident)
    entry = incident.folder / "ledger" / "000002.json"
    entry.write_bytes(entry.read_bytes().replace(b"ann", b"bob"))
    with pytest.raises(IntegrityError):
        incident.state()
    assert incident.check().problems[0].startswith("ledger/000002.json")


def test_names_are_held_to_the_rules(tmp_path):
    """No incident, or a name that could be a path."""
    name = opened(tmp_path).name
    with pytest.raises(NotFoundError) as missing:
        join_incident(tmp_path, "INC-20261122-02", clock)
    assert name in missing.value.hint
    with pytest.raises(NameRefusedError):
        join_incident(tmp_path, f"../{tmp_path.name}/{name}", clock)


def test_without_a_folder_nothing_is_opened(tmp_path):
    """A file in its place, and nothing is left behind."""
    (tmp_path / "reports").write_text("")
    for call in (lambda: opened(tmp_path / "reports"), lambda: find_incidents(tmp_path / "reports")):
        with pytest.raises(LedgerError):
            call()
    assert find_incidents(tmp_path / "nowhere") == []


EPISODE = {
    "model": {"name": "svc"},
    "onset": "2026-11-20T10:00:00Z",
    "ended": "2026-11-20T11:00:00Z",
    "verdict": "genuine",
}


@pytest.mark.parametrize(
    ("record", "found"),
    [
        (EPISODE, 1),
        ({**EPISODE, "ended": None, "parameters": {"at": "2026-11-20T12:00:00Z"}}, 1),
        ({**EPISODE, "verdict": "healthy"}, 0),
        ({**EPISODE, "model": {"name": "other"}}, 0),
        ({**EPISODE, "onset": None}, 0),
        ({**EPISODE, "onset": "soon"}, 0),
        ({**EPISODE, "ended": EPISODE["onset"]}, 0),
        ([], 0),
        ("{", 0),
    ],
)
def test_earlier_trouble_is_found_and_what_cannot_be_read_is_passed_over(tmp_path, record, found):
    """Stretches of this model in trouble; a record that is none stops nobody."""
    folder = tmp_path / "INC-20261120-01" / "runs" / "01-latency_spike"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(record if isinstance(record, str) else json.dumps(record))
    assert len(known_episodes(tmp_path, "svc")) == found
