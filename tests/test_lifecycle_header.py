"""The notebook's header: where the incident stands and what is due, as its ledger has it."""

from lifecycle_fixture import PEOPLE, ledger, opened

from rbnb.case.stages import standing_views
from rbnb.config import open_places

RUN = {"run": "01-latency_spike"}
STARTED = (0.2, "run.started", RUN)


def shown(tmp_path, *specs):
    """Return the header's views as text."""
    (tmp_path / "rbnb.toml").write_text(PEOPLE, encoding="utf-8")
    views = standing_views(ledger(*specs), open_places(tmp_path))
    return "\n".join(view._repr_mimebundle_()["text/plain"] for view in views)


def test_a_first_run_shows_nothing_that_depends_on_when_it_was_run(tmp_path):
    """So that the same data give the same notebook."""
    text = shown(tmp_path, opened(), STARTED)
    assert "open: nothing has been done yet" in text
    assert "2026" not in text
    assert text == shown(tmp_path, (900, *opened()[1:]), (901, *STARTED[1:]))


def test_outside_an_incident_there_is_nothing_to_tell(tmp_path):
    """No ledger, no status."""
    assert shown(tmp_path) == ""


def test_later_runs_show_status_people_and_what_is_overdue(tmp_path):
    """As of the last entry, which is said."""
    text = shown(
        tmp_path,
        opened(),
        STARTED,
        (1, "run.finished", {**RUN, "status": "completed", "verdict": "genuine", "severity": "SEV1"}),
        (3, "incident.acknowledged", {}, "ben"),
        (4, "incident.assigned", {"role": "scribe", "person": "dan"}),
        (20, "run.started", {"run": "02-latency_spike"}),
    )
    for said in ("Acknowledged by", "ben", "Scribe", "dan", "first update", "overdue by 5 min", "contain", "in 10 min"):
        assert said in text
    assert "acknowledge " not in text
    assert "As of Sun 22 Nov 2026, 12:20 UTC" in text
