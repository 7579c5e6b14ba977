"""The workspace: record first, then act; every run ends in a record; the original is never touched."""

import json
import shutil

import pytest

from rbnb.errors import DataError, LedgerError, NotFoundError, UsageError
from rbnb.planning import Request
from rbnb.workspace import STAGE_SCRAPS, Workspace

ASKED = Request("latency_spike", "svc")


@pytest.fixture
def copied(sample_run, tmp_path):
    """A copy of the sample's workspace, open."""
    shutil.copytree(sample_run.root, tmp_path / "copy")
    return Workspace.open(tmp_path / "copy")


def test_a_run_leaves_everything_that_was_promised(sample_run):
    """Notebook, page, record, journal, template and evidence, each on record with its digest; the record last."""
    names = {path.relative_to(sample_run.folder).as_posix() for path in sample_run.folder.rglob("*") if path.is_file()}
    promised = {"notebook.ipynb", "notebook.html", "run.json", "journal.jsonl", "template.ipynb"}
    assert promised < names
    assert any(name.startswith("evidence/") for name in names)
    state = Workspace.open(sample_run.root).incident(sample_run.incident).state()
    assert [entry.kind for entry in state.entries] == ["incident.opened", "run.started", "run.finished"]
    assert {artifact["path"] for artifact in state.entries[-1].body["artifacts"]} == names
    assert state.entries[1].body["parameters"] == sample_run.record["parameters"]
    check = Workspace.open(sample_run.root).verify(sample_run.incident)
    assert (check.problems, check.artifacts) == ((), len(names))


def test_every_stage_is_asked_for():
    """A run without the record of one has not completed."""
    from rbnb.case import STAGES

    assert tuple(f"stage.{stage}" for stage in STAGES) == STAGE_SCRAPS


def test_the_record_is_that_of_the_last_run_or_of_the_one_named(copied, sample_run):
    """A run that is not there, or whose record is damaged, is told as such."""
    assert copied.record(sample_run.incident) == sample_run.record
    assert copied.record(sample_run.incident, "01-latency_spike") == sample_run.record
    for run in ("02-latency_spike", "01-latency_spik"):
        with pytest.raises(NotFoundError):
            copied.record(sample_run.incident, run)
    (copied.run_folder(sample_run.incident) / "run.json").write_text("{")
    with pytest.raises(NotFoundError, match="no record"):
        copied.record(sample_run.incident)


def test_where_the_start_cannot_be_recorded_nothing_is_run(copied, sample_run):
    """A ledger that cannot be written: an error, no entry, and no notebook."""
    incident = copied.places.reports / sample_run.incident
    before = sorted((incident / "ledger").iterdir())
    (incident / "runs" / "02-latency_spike").write_text("in the way")
    shutil.rmtree(incident / "runs")
    (incident / "runs").write_text("in the way")
    with pytest.raises(LedgerError, match="cannot be written"):
        copied.run(Request("latency_spike", "fraud-v3"), incident=sample_run.incident)
    assert sorted((incident / "ledger").iterdir()) == before


def test_what_is_wrong_with_the_data_is_told_before_anything_is_recorded(workspace):
    """No incident is opened for a log that is not there."""
    opened = workspace()
    next(opened.places.root.glob("*.parquet")).unlink()
    with pytest.raises(DataError, match="no file matches"):
        opened.run(ASKED)
    assert opened.incidents() == []
    with pytest.raises(DataError):
        opened.check_model("svc")


def test_a_plan_runs_nothing_and_leaves_nothing(workspace):
    """Parameters, windows, sources, rows; the folder is as it was."""
    opened = workspace()
    before = sorted(opened.places.root.rglob("*"))
    described = opened.described(opened.plan(ASKED))
    assert described["sources"][0]["rows"] > 3000
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert sorted(opened.places.root.rglob("*")) == before


@pytest.mark.parametrize("choice", ["shift_traffic", "none", "observe", "transient"])
def test_a_decision_is_an_action_or_a_verdict_with_a_reason(copied, sample_run, choice):
    """It names the record it was taken on by digest, and whether it follows what was proposed."""
    body = copied.decide(sample_run.incident, choice, " because it helps ").body
    entry = copied.incident(sample_run.incident).state().decisions[-1]
    assert entry.body == body
    assert body["because"] == "because it helps"
    assert body["follows_proposal"] is (choice == "shift_traffic")
    artifacts = copied.incident(sample_run.incident).state().entries[2].body["artifacts"]
    assert body["record"] == f"sha256:{next(a['sha256'] for a in artifacts if a['path'] == 'run.json')}"


@pytest.mark.parametrize(
    ("choice", "because"), [("shift_traffic", ""), ("shift_traffic", " \n"), ("rm -rf /", "x"), ("", "x")]
)
def test_a_decision_without_a_reason_or_an_option_is_refused(copied, sample_run, choice, because):
    """And nothing is recorded."""
    with pytest.raises(UsageError):
        copied.decide(sample_run.incident, choice, because)
    assert copied.incident(sample_run.incident).state().decisions == ()


def test_working_copies_are_numbered_and_the_original_stays(copied, sample_run):
    """Each copy is a file of its own."""
    original = (copied.run_folder(sample_run.incident) / "notebook.ipynb").read_bytes()
    first, second = (copied.working_copy(sample_run.incident) for _ in range(2))
    assert first != second
    first.write_bytes(b"{}")
    assert (copied.run_folder(sample_run.incident) / "notebook.ipynb").read_bytes() == original
    assert copied.verify(sample_run.incident).problems == ()


def test_a_damaged_incident_hides_no_other(copied, sample_run):
    """It is listed as damaged, beside those that are whole."""
    second = copied.places.reports / "INC-20261122-77"
    shutil.copytree(copied.places.reports / sample_run.incident, second)
    (second / "ledger" / "000001.json").write_bytes(b"{}")
    states = {state.incident: state.status for state in copied.incidents()}
    assert states == {sample_run.incident: "open", "INC-20261122-77": "damaged"}


def test_a_new_workspace_overwrites_nothing(tmp_path):
    """What is there stays, and what is a workspace already is refused."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.yaml").write_text("mine")
    Workspace.init(tmp_path, samples=False)
    assert (tmp_path / "models" / "mine.yaml").read_text() == "mine"
    with pytest.raises(UsageError, match="already"):
        Workspace.init(tmp_path)
    assert Workspace.open(tmp_path).incidents() == []
