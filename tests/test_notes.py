"""What a person has seen: recorded with `rbnb note`, shown by the next run, cited by the hypothesis it speaks to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rbnb.case.citing import Observation, citation_table, cite, observation_table, read_observations
from rbnb.errors import NotFoundError, UsageError
from rbnb.incidents import open_incident
from rbnb.model import Cause

RBNB = Path(sys.executable).with_name("rbnb")
NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)

#: Clears a screen, sets a window's title, turns the reading direction, and would run in a browser.
HOSTILE = "\x1b[2J\x1b]0;owned\x07<script>alert(1)</script>\u202e<img src=x onerror=alert(2)> zone=b is dead\nrm -rf"


def rbnb(root, *words):
    """Run the program in a folder, as somebody whose name is known."""
    return subprocess.run(
        [RBNB, *words],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env=os.environ | {"RBNB_USER": "on-call"},
    )


@pytest.fixture(scope="module")
def noted(sample_run, tmp_path_factory):
    """The sample incident after three notes, one of them hostile, and a second run."""
    root = tmp_path_factory.mktemp("noted") / "ws"
    shutil.copytree(sample_run.root, root)
    inc = sample_run.incident
    told = ("note", inc, "checkout hangs", "--by", "shop support", "--seen-at", "2026-11-19T15:20:00+01:00")
    for words in (
        (*told, "--about", "zone=b"),
        ("note", inc, HOSTILE, "--by", "\x1b[31mmallory</td>", "--seen-at", "2026-11-19T14:30:00Z"),
        ("note", inc, "lunch is late", "--about", "zone=bb"),
    ):
        done = rbnb(root, *words)
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout
        assert inc in done.stdout
    done = rbnb(root, "run", "latency_spike", "--model", "fraud-v3", "--incident", inc, "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    return root, inc, root / "reports" / inc / "runs" / record["run"], record


def test_the_record_holds_who_saw_what_when_and_who_is_responsible(noted):
    """A program reads observations from run.json, oldest first, with the time in UTC and the model's owner."""
    record = noted[3]
    first, second, third = record["observations"]
    assert (first["by"], first["text"], first["about"]) == ("shop support", "checkout hangs", "zone=b")
    assert (first["seen_at"], first["recorded_by"]) == ("2026-11-19T14:20:00Z", "on-call")
    assert first["responsible"] == "payments-ml"
    assert second["text"] == HOSTILE
    assert third["by"] == "on-call"


def test_the_hypothesis_about_that_place_cites_it_and_stays_what_it_was(noted, sample_run):
    """A citation is in the evidence of the hypotheses it names, and no status, rank or verdict moves."""
    record = noted[3]
    first = record["causes"][0]
    assert first["where"] == "zone=b"
    assert "also seen by shop support at 2026-11-19T14:20:00Z: “checkout hangs”" in first["evidence"]
    assert first["name"] in record["observations"][0]["cited_by"]
    assert first["name"] in record["observations"][1]["cited_by"], "the text names zone=b"
    assert record["observations"][2]["cited_by"] == [], "zone=bb is another place"
    before = sample_run.record
    keys = ("name", "status", "rank", "score", "where")
    assert [[c[k] for k in keys] for c in record["causes"]] == [[c[k] for k in keys] for c in before["causes"]]
    assert (record["verdict"], record["because"]) == (before["verdict"], before["because"])


def test_the_notebook_shows_it_among_the_detection_signals_and_nothing_in_it_is_active(noted):
    """Every rendering in the notebook holds the words, and no escape sequence, tag or turned text."""
    notebook = json.loads((noted[2] / "notebook.ipynb").read_bytes())
    cells = [c for c in notebook["cells"] if "case.observations()" in "".join(c["source"])]
    (cell,) = cells
    (shown,) = [
        o["data"] for o in cell["outputs"] if "People's observations" in json.dumps(o["data"].get("text/plain", ""))
    ]
    text, html = "".join(shown["text/plain"]), "".join(shown["text/html"])
    assert "shop support" in text
    assert "payments-ml" in text
    for rendering in (text, html):
        assert "\x1b" not in rendering
        assert "\u202e" not in rendering
        assert "‹U+202E›" in rendering
    assert "<script>" not in html
    assert "<img" not in html
    assert "mallory</td>" not in html


def test_the_page_shows_it_and_nothing_in_it_is_active(noted):
    """The page tells what people saw, as text."""
    html = (noted[2] / "notebook.html").read_text(encoding="utf-8")
    assert "What people have seen" in html
    assert "checkout hangs" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script" not in html
    assert "<img src=x" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html


def test_the_terminal_shows_it_and_is_not_steered(noted):
    """`rbnb show` lists observations, one line each, whatever they hold; the chain stays whole."""
    root, inc, _, _ = noted
    done = rbnb(root, "show", inc)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    body = done.stdout.split("\nobservations\n")[1].split("\n\nledger\n")[0]
    assert len(body.splitlines()) == 3
    assert "2026-11-19T14:20:00Z   shop support" in body
    assert "“checkout hangs”" in body
    assert rbnb(root, "verify", inc).returncode == 0


@pytest.fixture
def incident(tmp_path):
    """An incident in an otherwise empty folder, at a time that stands still."""
    return open_incident(tmp_path, lambda: NOW, {"model": "svc"})


@pytest.mark.parametrize(
    ("words", "said", "told"),
    [
        ({"text": " \n "}, "needs words", "say what was seen"),
        ({"text": "x" * 4001}, "4,001 characters", "at most 4,000"),
        ({"text": "x", "by": "y" * 121}, "121 characters", "at most 120"),
        ({"text": "x", "about": "y" * 201}, "201 characters", "at most 200"),
        ({"text": "x", "seen_at": "2026-11-22T15:00:01Z"}, "is in the future", "it is 2026-11-22T15:00:00Z now"),
        ({"text": "x", "seen_at": "2026-11-22T14:00:00"}, "names no zone", "2026-11-22T14:00:00Z if it is UTC"),
        ({"text": "x", "seen_at": "just now"}, "is not a time", "write it as"),
    ],
)
def test_what_cannot_be_right_is_refused_and_not_recorded(incident, words, said, told):
    """No words, too many, a time in the future or one that cannot be read: a message, a hint, and no entry."""
    with pytest.raises(UsageError) as refused:
        incident.note(**words)
    assert said in refused.value.message
    assert told in refused.value.hint
    assert [entry.kind for entry in incident.ledger.entries()] == ["incident.opened"]


def test_an_unknown_incident_is_refused(workspace):
    """A note goes to an incident that exists, and close names are suggested."""
    opened = workspace()
    with pytest.raises(NotFoundError):
        opened.note("INC-20990101-01", "x")
    assert not (opened.places.reports / "INC-20990101-01").exists()


def test_who_and_when_are_filled_in(incident, monkeypatch):
    """Without --by and --seen-at it is the one who records it, now."""
    monkeypatch.setenv("RBNB_USER", "sam")
    body = incident.note("the queue grows")
    assert body == {"text": "the queue grows", "by": "sam", "seen_at": "2026-11-22T15:00:00Z", "about": ""}
    (entry,) = [e for e in incident.ledger.entries() if e.kind == "observation.recorded"]
    assert (entry.by, entry.body) == ("sam", body)


def test_a_time_that_was_seen_earlier_is_listed_earlier(incident):
    """Observations stand in the order of what was seen, not of when it was told."""
    incident.note("second", seen_at="2026-11-22T14:00:00Z")
    incident.note("first", seen_at="2026-11-22T13:00:00Z")
    seen = read_observations(incident.ledger.entries(), "payments")
    assert [one.text for one in seen] == ["first", "second"]
    assert {one.responsible for one in seen} == {"payments"}


def observation(text="x", about=""):
    """Return an observation."""
    return Observation(NOW - timedelta(hours=1), "the shop", text, about, "on-call", NOW, "payments")


PLACE = Cause("host", "feature-store/b: latency_ms 27.5× usual", "zone=b & host=h7", 0.9, "refuted", "too early", 1)


@pytest.mark.parametrize(
    "seen",
    [
        observation(about="zone=b & host=h7"),
        observation(about="host = h7 & zone = B"),
        observation(about="feature-store/b"),
        observation(about="Feature-Store/B: latency_ms 27.5× usual"),
        observation("is it feature-store/b?"),
        observation("look at\nzone=b & host=h7, please"),
    ],
    ids=lambda seen: seen.about or seen.text,
)
def test_an_exact_name_is_cited(seen):
    """Place, name or component, in any order of columns and any case, in --about or in the words."""
    (cause,), (noted,) = cite([PLACE], [seen])
    assert cause.evidence.startswith("too early; also seen by the shop at 2026-11-22T14:00:00Z: “")
    assert replace(cause, evidence="too early") == PLACE
    assert noted.cited_by == (PLACE.name,)
    assert citation_table([noted]).rows[0][-1] == PLACE.name


@pytest.mark.parametrize(
    "seen",
    [
        observation(about="zone=b"),
        observation(about="feature-store"),
        observation("feature-store/bb is slow"),
        observation("my-feature-store/b is slow"),
        observation(""),
    ],
    ids=lambda seen: seen.about or seen.text or "nothing",
)
def test_what_is_only_alike_is_not_cited(seen):
    """Part of a place, or a name within another, is no citation."""
    (cause,), (noted,) = cite([PLACE], [seen])
    assert cause == PLACE
    assert noted.cited_by == ()
    assert citation_table([noted]) is None


def test_a_hypothesis_about_everywhere_is_not_cited_by_everything():
    """An empty place matches no observation."""
    everywhere = Cause("load", "traffic +2%", "", 0.0, "refuted", "", 1)
    (cause,), _ = cite([everywhere], [observation(), observation("it is slow everywhere")])
    assert cause.evidence == ""


def test_no_observation_is_said_to_be_none():
    """A reader can tell that nobody has noted anything from a table that was lost."""
    assert "none on record" in observation_table([]).text
