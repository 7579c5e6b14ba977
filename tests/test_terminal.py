"""The summary at a terminal: at most 25 lines, no wider than the screen, true to the record, steered by nobody."""

import copy
import json

import pytest

from rbnb.terminal import columns_of, paint, summary

PAGE = ("reports/x/notebook.html", "reports/x/notebook.ipynb")


@pytest.fixture
def record(sample_run):
    """A record to change."""
    return copy.deepcopy(json.loads((sample_run.folder / "run.json").read_bytes()))


@pytest.mark.parametrize("wide", [20, 60, 80, 100, 160, 400])
def test_it_fits_the_screen(record, monkeypatch, wide):
    """At any width that is one, in at most 25 lines, with the verdict first and the files last."""
    monkeypatch.setenv("COLUMNS", str(wide))
    lines = summary(record, *PAGE)
    assert len(lines) <= 25
    assert "INFRASTRUCTURE" in lines[0]
    assert lines[-1].startswith("notebook")
    body = [line for line in lines[1:-2] if "rbnb decide" not in line]
    assert max(map(len, body)) <= max(wide, 110 if wide < 60 else 100)


def test_many_causes_and_absences_still_leave_room_for_the_files(record):
    """However much was found, where to read on is never cut."""
    record["causes"] = record["causes"] * 9
    record["not_measured"] = [{"what": f"thing {n}", "why": "because"} for n in range(90)]
    record["headline"] = ["a long sentence " * 40] * 9
    lines = summary(record, *PAGE)
    assert len(lines) <= 25
    assert [line.split()[0] for line in lines[-2:]] == ["page", "notebook"]


@pytest.mark.parametrize("status", ["failed", "abandoned", "cancelled"])
def test_a_run_that_did_not_complete_shows_no_verdict_and_how_to_run_it_again(record, status):
    """No cause, no proposal, no colour of health."""
    record |= {"status": status, "verdict": "inconclusive", "because": ["the run did not complete"]}
    lines = summary(record, *PAGE)
    assert f"{status} (no verdict)".upper() in lines[0]
    assert not any("proposed" in line or "supported" in line for line in lines)
    assert lines[-1].startswith("again      rbnb run latency_spike --model fraud-v3 --incident")


def test_what_comes_from_data_cannot_steer_the_terminal(record):
    """Control characters, colours and direction marks are shown, not obeyed."""
    evil = "\x1b[2J\x1b]0;owned\x07\u202egood\r\nnext"
    record["headline"] = [evil]
    record["causes"][0] |= {"name": evil, "evidence": evil}
    record["model"]["name"] = evil
    text = "\n".join(summary(record, *PAGE))
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\u202e" not in text


def test_without_a_terminal_there_is_no_colour():
    """Nothing but the text, where nobody looks."""
    assert paint("x", "red", "bold") == "x"


def test_columns_line_up():
    """Each as wide as its widest cell; no row, no line."""
    assert columns_of([]) == []
    assert columns_of([["a", "b"], ["ccc", "d"]]) == ["a     b", "ccc   d"]
