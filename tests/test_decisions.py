"""Decisions: what they record, what they rest on, and when they are refused; at a terminal and from a notebook."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from template_fixture import run_cells
from typer.testing import CliRunner

from rbnb.case import Case, stages
from rbnb.cli import app
from rbnb.errors import NotFoundError, ParameterError, RefusedError, UsageError
from rbnb.incidents import Incident, open_incident
from rbnb.incidents.decisions import Choice, Rejected, decide, findings_digest
from rbnb.planning import catalog_of

NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)
RECORD = {
    "verdict": "genuine",
    "proposal": {"action": "shift_traffic", "because": "zone b"},
    "findings": [{"signal": "latency_p99", "where": "zone=b", "status": "breach"}],
}
PEOPLE = """
[people.ada]
aliases = ["Ada@Example.com"]
[people.ben]
revoked = true
[roles]
responder = { people = ["ada", "ben"] }
incident_commander = { people = ["cleo"] }
stakeholder = { people = ["eva"] }
"""


class Course:
    """An incident whose runs are put on record by hand, with real records on the disk."""

    def __init__(self, opened, incident=None):
        self.places = opened.places
        self.workspace = opened
        body = {"model": "svc"}
        self.incident = incident or open_incident(opened.places.reports, opened.clock, body, opened.places)
        self.catalog = catalog_of(opened.places)

    def start(self, name="01-latency_spike"):
        """Begin a run of this process, which goes on."""
        body = {"run": name, "template": {"name": "latency_spike"}, "parameters": {}, "host": "elsewhere", "pid": 1}
        self.incident.ledger.append("run.started", body, by="ada")
        return name

    def end(self, name, record=RECORD, status="completed"):
        """End a run; None as record leaves none."""
        artifacts = []
        if record is not None:
            path = self.incident.folder / "runs" / name / "run.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(record), encoding="utf-8")
            artifacts = [{"path": "run.json", "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": 1}]
        kind = "run.finished" if status == "completed" else "run.failed"
        self.incident.ledger.append(kind, {"run": name, "status": status, "artifacts": artifacts}, by="ada")
        return path if record is not None else None

    def decide(self, choice="none", because="we wait", **more):
        """Decide as whoever RBNB_USER is."""
        return decide(self.incident, Choice(choice, because, **more), self.catalog)

    def kinds(self):
        """Return the kinds of all entries."""
        return [entry.kind for entry in self.incident.ledger.entries()]


@pytest.fixture
def course(workspace, monkeypatch):
    """An incident without a run yet, and ada."""
    monkeypatch.setenv("RBNB_USER", "ada")
    return Course(workspace())


@pytest.fixture
def ran(course):
    """An incident with one completed run."""
    course.end(course.start())
    return course


def test_a_decision_names_choice_reason_proposal_and_evidence(ran):
    """Choice, reason, what was turned down and why, proposal, values, run, and the digests of record and findings."""
    entry = ran.decide(
        "shift_traffic",
        "  zone b only ",
        rejected=(Rejected("rollback_version", " no deploy "), Rejected("none", "users wait")),
        values={"namespace": "fraud"},
    )
    record = ran.incident.folder / "runs" / "01-latency_spike" / "run.json"
    assert (entry.kind, entry.by) == ("decision.made", "ada")
    assert entry.body == {
        "choice": "shift_traffic",
        "kind": "action",
        "because": "zone b only",
        "rejected": [
            {"option": "rollback_version", "because": "no deploy"},
            {"option": "none", "because": "users wait"},
        ],
        "proposed": "shift_traffic",
        "follows_proposal": True,
        "values": {"namespace": "fraud"},
        "run": "01-latency_spike",
        "record": f"sha256:{hashlib.sha256(record.read_bytes()).hexdigest()}",
        "findings": findings_digest(RECORD),
        "verdict": "genuine",
        "going_on": [],
        "supersedes": None,
    }


@pytest.mark.parametrize(
    ("choice", "kind", "proposed", "follows"),
    [
        ("observe", "action", "shift_traffic", False),
        ("none", "none", "shift_traffic", False),
        ("genuine", "verdict", "genuine", True),
        ("healthy", "verdict", "genuine", False),
    ],
)
def test_a_decision_follows_or_overrides_what_was_proposed(ran, choice, kind, proposed, follows):
    """An action or none is held against the proposal, a verdict against the run's verdict."""
    body = ran.decide(choice).body
    assert (body["kind"], body["proposed"], body["follows_proposal"]) == (kind, proposed, follows)


def test_to_do_nothing_follows_a_run_that_proposes_nothing(course):
    """Where nothing is proposed, `none` is no override."""
    course.end(course.start(), {**RECORD, "proposal": None})
    assert course.decide().body["follows_proposal"] is True


MISTAKES = [
    ({"choice": "shift_trafic"}, NotFoundError, "no option named 'shift_trafic'"),
    ({"choice": ""}, NotFoundError, "no option named ''"),
    ({"because": " \n"}, UsageError, "needs a reason"),
    ({"because": "x" * 4001}, UsageError, "4,001 characters"),
    ({"rejected": (Rejected("nothing", "x"),)}, NotFoundError, "no option named 'nothing'"),
    ({"rejected": (Rejected("none", "x"),)}, UsageError, "chosen and turned down at once"),
    ({"rejected": (Rejected("observe", "x"), Rejected("observe", "y"))}, UsageError, "turned down twice"),
    ({"rejected": (Rejected("observe", " "),)}, UsageError, "observe is turned down without a reason"),
    ({"values": {"namespace": "x"}}, UsageError, "none takes no values"),
    ({"choice": "shift_traffic", "values": {"namespac": "x"}}, ParameterError, "no value named 'namespac'"),
    ({"choice": "shift_traffic", "values": {"namespace": "No"}}, ParameterError, "namespace cannot be 'No'"),
    ({"choice": "shift_traffic", "values": {"namespace": "a\nb"}}, ParameterError, "namespace cannot be"),
    ({"run": "07-latency_spike"}, NotFoundError, "no run named '07-latency_spike'"),
]


@pytest.mark.parametrize(("wrong", "kind", "said"), MISTAKES, ids=[said for _, _, said in MISTAKES])
def test_a_mistake_is_named_and_nothing_is_recorded(ran, wrong, kind, said):
    """Unknown options and values, missing reasons, the choice turned down, an option twice: a message, no entry."""
    before = ran.kinds()
    with pytest.raises(kind) as refused:
        ran.decide(**{"choice": "none", "because": "we wait", **wrong})
    assert said in refused.value.message
    assert refused.value.hint
    assert ran.kinds() == before


def test_without_any_run_there_is_nothing_to_decide_on(course):
    """An incident that nothing was measured in yet."""
    with pytest.raises(NotFoundError):
        course.decide()
    assert course.kinds() == ["incident.opened"]


def refusal(course, **more):
    """Return the message of a refusal that is on record."""
    with pytest.raises(RefusedError) as refused:
        course.decide(**more)
    assert refused.value.exit_code == 7
    entry = course.incident.ledger.entries()[-1]
    assert (entry.kind, entry.by) == ("decide.refused", "ada")
    assert entry.body["why"] in refused.value.message
    assert entry.body["subject"] == "none"
    return refused.value.message


def test_evidence_that_was_edited_is_refused(course):
    """One blank more in run.json, and it is not what was recorded; the refusal is an entry."""
    path = course.end(course.start())
    path.write_bytes(path.read_bytes() + b"\n")
    assert "evidence has changed since" in refusal(course)
    path.unlink()
    assert "cannot be read" in refusal(course)


def test_evidence_that_is_no_longer_the_newest_is_refused(ran):
    """The newer run is named; without a run named, the last completed one is what a decision rests on."""
    ran.end(ran.start("02-data_drift"))
    assert "02-data_drift completed after it" in refusal(ran, run="01-latency_spike")
    assert ran.decide().body["run"] == "02-data_drift"


def test_a_later_run_that_failed_takes_nothing_away(ran):
    """Only what completed is newer evidence; one that failed can be decided on where it is named."""
    ran.end(ran.start("02-latency_spike"), {"verdict": "inconclusive", "findings": []}, "failed")
    assert ran.decide().body["run"] == "01-latency_spike"
    body = ran.decide(run="02-latency_spike").body
    assert (body["run"], body["verdict"], body["proposed"]) == ("02-latency_spike", "inconclusive", "none")


def test_a_run_that_left_no_record_is_no_evidence(course):
    """An abandoned run cannot be decided on."""
    course.end(course.start(), None, "abandoned")
    assert "left no record: it was abandoned" in refusal(course)


def test_a_run_that_goes_on_is_said_and_cannot_be_decided_on(ran):
    """A decision beside it is recorded with its name; one on it is refused."""
    ran.start("02-latency_spike")
    assert ran.decide().body["going_on"] == ["02-latency_spike"]
    assert "still going on" in refusal(ran, run="02-latency_spike")


def test_findings_that_differ_from_the_record_are_no_evidence(ran):
    """What a notebook shows must be what the run recorded: same signals, places and statuses."""
    same = [("latency_p99", "zone=b", "breach")]
    assert ran.decide(seen=same)
    message = refusal(ran, seen=[("latency_p99", "zone=b", "ok")])
    assert "findings are not those of run 01-latency_spike (latency_p99 at zone=b differs)" in message


def test_a_new_decision_takes_the_place_of_the_one_before(ran):
    """It names the entry it supersedes, and the state says which stands."""
    first = ran.decide()
    second = ran.decide("observe")
    assert second.body["supersedes"] == first.seq
    state = ran.incident.state()
    assert state.decision == second
    assert len(state.decisions) == 2


def test_who_may_not_decide_is_refused_and_it_is_on_record(workspace, monkeypatch):
    """A stakeholder, somebody revoked, and somebody who is not named; an alias of ada is ada."""
    opened = workspace()
    (opened.places.root / "rbnb.toml").write_text(PEOPLE, encoding="utf-8")
    course = Course(type(opened).open(opened.places.root, clock=opened.clock))
    course.end(course.start())
    for name in ("eva", "ben", "dan", "аda"):  # the last begins with a Cyrillic letter
        monkeypatch.setenv("RBNB_USER", name)
        with pytest.raises(RefusedError):
            course.decide()
    assert course.kinds()[-4:] == ["decide.refused"] * 4
    monkeypatch.setenv("RBNB_USER", " ADA@example.com")
    assert course.decide().by == "ada"


def test_nothing_is_decided_in_a_closed_incident(ran):
    """Closed is closed, and the refusal says so."""
    ran.incident.ledger.append("incident.closed", {"resolution": "duplicate"}, by="ada")
    with pytest.raises(RefusedError, match="closed"):
        ran.decide()
    assert ran.kinds()[-1] == "decide.refused"


class Meanwhile(list):
    """Findings that somebody is looking at while something else happens in the incident, once."""

    def __init__(self, seen, happens):
        super().__init__(seen)
        self._happens = [happens]

    def __iter__(self):
        """Let it happen when they are first looked at."""
        while self._happens:
            self._happens.pop()()
        return super().__iter__()


SEEN = [("latency_p99", "zone=b", "breach")]


def test_what_happens_between_check_and_record_is_seen(ran):
    """A run that completes, or the incident's end, while a decision is being recorded: it is refused after all."""
    other = Incident(ran.incident.folder, ran.incident.clock, ran.places)

    def newer():
        twin = Course(ran.workspace, other)
        twin.end(twin.start("02-latency_spike"))

    assert "02-latency_spike completed after it" in refusal(ran, run="01-latency_spike", seen=Meanwhile(SEEN, newer))

    def closed():
        other.ledger.append("incident.closed", {"resolution": "duplicate"}, by="cleo")

    assert "the incident is closed" in refusal(ran, seen=Meanwhile(SEEN, closed))
    assert "decision.made" not in ran.kinds()


def test_decisions_made_at_once_form_one_chain(ran):
    """Six processes decide at the same moment: each decision supersedes exactly the one before it."""
    script = (
        "import sys; from pathlib import Path; from rbnb.workspace import Workspace; "
        "w = Workspace.open(Path(sys.argv[1])); input(); w.decide(sys.argv[2], 'none', 'we wait')"
    )
    command = [sys.executable, "-c", script, str(ran.places.root), ran.incident.name]
    writers = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(6)]
    for writer in writers:
        writer.stdin.write(b"\n")
        writer.stdin.close()
    assert [writer.wait(timeout=60) for writer in writers] == [0] * 6
    made = [entry for entry in ran.incident.ledger.entries() if entry.kind == "decision.made"]
    assert [entry.body["supersedes"] for entry in made] == [None, *(entry.seq for entry in made[:-1])]


@pytest.fixture
def typed(ran, monkeypatch):
    """`rbnb decide` in the workspace, typed; the error it ends in, or the entry it leaves."""
    monkeypatch.chdir(ran.places.root)

    def type_in(*words):
        done = CliRunner().invoke(app, ["decide", ran.incident.name, *words])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return type_in


@pytest.mark.parametrize(
    "words",
    [
        ("--because", "own", "--reject", "observe", "--because", "why", "--reject", "none", "-b", "why none"),
        ("--reject", "observe", "--because", "why", "--reject", "none", "-b", "why none", "--because", "own"),
        ("--reject=observe", "--because=why", "--because=own", "--reject=none", "-b", "why none"),
        ("-b", "own", "--reject", "observe", "-bwhy", "--json", "--reject", "none", "--because", "why none"),
    ],
)
def test_each_reason_belongs_to_the_option_before_it(typed, ran, words):
    """In any order and spelling: the reason after --reject X is X's, the one that follows none is the decision's."""
    assert typed("shift_traffic", *words).exit_code == 0
    body = ran.incident.state().decision.body
    assert body["because"] == "own"
    assert body["rejected"] == [
        {"option": "observe", "because": "why"},
        {"option": "none", "because": "why none"},
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "a decision needs a reason"),
        (("--reject", "observe", "--because", "x"), "a decision needs a reason"),
        (("--because", "x", "--reject", "observe"), "--reject observe has no reason"),
        (("--because", "x", "--reject", "observe", "--reject", "none", "-b", "y"), "--reject observe has no reason"),
        (("--because", "x", "--because", "y"), "2 reasons for the decision itself"),
        (("--because", "x", "--set", "namespace"), "is not NAME=VALUE"),
        (("--because", "x", "--set", "=x"), "is not NAME=VALUE"),
        (("--because", "x", "--set", "namespace=a", "--set", "namespace=b"), "namespace is set twice"),
    ],
)
def test_reasons_and_values_that_do_not_fit_are_named(typed, ran, words, said):
    """A reason too many or too few, or a value that is none: what is wrong, how to write it, and no entry."""
    before = ran.kinds()
    with pytest.raises(UsageError) as wrong:
        typed("shift_traffic", *words)
    assert said in wrong.value.message
    assert wrong.value.hint
    assert ran.kinds() == before


def test_the_command_tells_the_entry_and_what_it_rests_on(typed, ran):
    """Entry, who, run, what was turned down, values, what it supersedes; with --json the same as an object."""
    ran.decide()
    ran.start("02-latency_spike")
    done = typed("shift_traffic", "-b", "own", "--reject", "none", "-b", "users wait", "--set", "namespace=fraud")
    for told in (
        "shift_traffic is on record; it follows the proposal. Nothing was executed.",
        "entry 6, by ada, resting on 01-latency_spike",
        "not none: users wait",
        "with namespace = fraud",
        "takes the place of the decision in entry 4",
        "02-latency_spike is still going on",
    ):
        assert told in " ".join(done.stdout.split())
    told = json.loads(typed("healthy", "-b", "own", "--json").stdout)
    entry = ran.incident.state().decision
    assert told.pop("at")
    assert told == {"entry": entry.seq, "by": "ada", **entry.body}


HOSTILE = "\x1b[2J<script>alert(1)</script>\u202e"


def test_the_record_of_decisions_tells_which_stands_what_was_turned_down_and_refused(ran):
    """A stage's view lists every decision, and nothing in a reason steers a terminal or a page."""
    ran.decide()
    ran.decide("shift_traffic", HOSTILE, rejected=(Rejected("none", HOSTILE),))
    with contextlib.suppress(RefusedError):
        ran.decide(seen=[])
    entry = ran.incident.state().decision
    views = [
        *stages.decision_record(*_judged(), ran.incident.ledger.entries(), []),
        stages.decision_facts(entry),
        stages.pending(ran.incident.name, "shift_traffic", [entry]),
    ]
    shown = [view._repr_mimebundle_() for view in views]
    text = "\n".join(one["text/plain"] for one in shown)
    page = "\n".join(one["text/html"] for one in shown)
    assert "superseded" in text
    assert "stands" in text
    assert "Turned down, and why" in text
    assert "findings are not those of run" in text
    for told in (text, page):
        assert "\x1b" not in told
        assert "\u202e" not in told
    assert "<script>" not in page


def _judged():
    from rbnb.model import Severity, Verdict
    from rbnb.policy import Decision

    names = Decision.__dataclass_fields__
    plain = dict.fromkeys(names, ()) | {"verdict": Verdict("genuine", ("x",)), "proposal": None}
    return Decision(**plain), Severity("SEV2", ("x",))


@pytest.fixture(scope="module")
def bare():
    """The sample's case under nothing but its own cells, outside an incident, with what its last cells showed."""
    case = run_cells("latency_spike", "fraud-v3")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        case.decision_form()
    return case, out.getvalue()


def test_outside_an_incident_it_is_said_that_nothing_can_be_recorded(bare):
    """The form's cell says so and how to start one; a decision in a cell is an error, not a silence."""
    case, shown = bare
    assert case.place is None
    assert case.history == []
    assert "cannot be recorded here" in shown
    assert "rbnb run latency_spike --model fraud-v3" in shown
    with pytest.raises(UsageError, match="belongs to no incident"):
        case.decide("none", because="we wait")


def opened_copy(sample_run, monkeypatch, **changed):
    """Return the case of a notebook of the sample's incident, opened as by hand, without Jupyter's help."""
    monkeypatch.chdir(sample_run.root)
    started = next(e for e in incident_of(sample_run).ledger.entries() if e.kind == "run.started")
    return Case.open("latency_spike", **{**started.body["parameters"], **changed})


def incident_of(sample_run):
    """Return the sample's incident."""
    return Incident(sample_run.root / "reports" / sample_run.incident, lambda: NOW)


def test_a_copy_knows_its_incident_and_its_run(sample_run, monkeypatch):
    """By the parameters of its run, or by the name that Jupyter gives it; the ledger is its history."""
    case = opened_copy(sample_run, monkeypatch)
    assert case.place.folder == incident_of(sample_run).folder
    assert (case.place.run, case.place.in_run) == (sample_run.folder.name, False)
    assert [entry.kind for entry in case.history][:1] == ["incident.opened"]


def test_a_copy_with_other_parameters_decides_nothing(sample_run, monkeypatch):
    """What it shows is no run's evidence; it says how to decide instead."""
    case = opened_copy(sample_run, monkeypatch, window="1h")
    assert case.place.run == ""
    with pytest.raises(UsageError, match="cannot be told") as refused:
        case.decide("none", because="we wait")
    assert f"rbnb decide {sample_run.incident}" in refused.value.hint


def test_before_the_triage_nothing_is_decided(sample_run, monkeypatch):
    """Nobody decides on findings that were not shown to them."""
    case = opened_copy(sample_run, monkeypatch)
    with pytest.raises(UsageError, match="no verdict yet"):
        case.decide("none", because="we wait")


@pytest.mark.parametrize("name", ["INC-20990101-01", "../..", "x/y", "."])
def test_a_parameter_that_names_no_incident_is_no_incident(sample_run, monkeypatch, name):
    """Nor does it lead out of the folder of reports."""
    assert opened_copy(sample_run, monkeypatch, incident=name).place is None
