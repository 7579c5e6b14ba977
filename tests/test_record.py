"""The run record: every field is always there, a run that did not complete concludes nothing, files are whole."""

import json
import os
from datetime import UTC, datetime

import pytest

from rbnb.record import build_record, list_products, write_atomically

TRIAGE = {
    "verdict": "healthy",
    "because": ["all is well"],
    "severity": {"level": "SEV4", "reasons": []},
    "plain": {"what": "w", "how_bad": "h", "next": "n", "colour": "green"},
    "findings": [{"signal": "latency_p99"}],
}


def record(status="completed", error=None, **scraps):
    """Build a record from scraps."""
    moment = datetime(2026, 11, 22, 14, tzinfo=UTC)
    return build_record(
        incident="INC-20261122-01",
        run="01-latency_spike",
        template={"name": "latency_spike"},
        model={"name": "svc"},
        parameters={"severity": ""},
        status=status,
        error=error,
        scraps={f"stage.{name}": data for name, data in scraps.items()},
        started=moment,
        finished=moment,
        products=[],
    )


@pytest.mark.parametrize("status", ["failed", "timed_out", "kernel_died", "cancelled", "abandoned"])
def test_a_run_that_did_not_complete_is_inconclusive_whatever_it_had_found(status):
    """Also if its triage had said healthy; nothing is proposed, and the page says that it is no all-clear."""
    told = record(status, {"message": "the kernel died"}, triage=TRIAGE, containment={"proposal": {"action": "x"}})
    assert told["verdict"] == "inconclusive"
    assert told["because"][0] == f"the run did not complete ({status}): the kernel died"
    assert told["proposal"] is None
    assert "not an all-clear" in told["plain"]["how_bad"]
    assert told["plain"]["colour"] == "grey"
    assert told["findings"] == TRIAGE["findings"]


@pytest.mark.parametrize("scraps", [{}, {"triage": {}}, {"triage": "healthy"}, {"triage": None}])
def test_without_a_verdict_it_is_inconclusive(scraps):
    """A completed run that left no verdict has none."""
    assert record(**scraps)["verdict"] == "inconclusive"


def test_the_fields_are_the_same_however_it_ended():
    """A program finds every field in every record, and strict JSON."""
    whole, empty = record(triage=TRIAGE), record("abandoned")
    assert whole.keys() == empty.keys()
    assert json.loads(json.dumps(whole, allow_nan=False)) == whole


def test_products_are_listed_in_order_with_their_digests(tmp_path):
    """Every file but hidden ones and those left out."""
    (tmp_path / "b").mkdir()
    for name in ("b/z", "a", ".hidden", "run.json"):
        (tmp_path / name).write_text(name)
    found = list_products(tmp_path, leave_out=("run.json",))
    assert [(p.path, p.bytes) for p in found] == [("a", 1), ("b/z", 3)]
    assert all(len(p.sha256) == 64 for p in found)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    """What was there stays if the new text cannot be written; nothing is left beside it."""
    path = tmp_path / "run.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir() if p.name != f".run.json.{os.getpid()}"] == ["run.json"]
