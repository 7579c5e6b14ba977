"""The course of an incident: who may move it where, why not, and that of many at once one does."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from lifecycle_fixture import NOON, PEOPLE, after

from rbnb.cli import main
from rbnb.errors import NotFoundError, RefusedError, UsageError
from rbnb.incidents import open_incident
from rbnb.incidents.closing import CLOSE, matter_of_closing
from rbnb.incidents.consenting import Said, approve
from rbnb.workspace import Workspace

RBNB = Path(sys.executable).with_name("rbnb")
MODEL = """\
name: svc
version: "1.2"
owner: shop-ml
on_call: {rotation: shop-primary, escalation: [dan]}
logs: {predictions: {table: svc.parquet, columns: {timestamp: ts, latency_ms: ms}}}
"""
OPENED = {"model": "svc", "template": "latency_spike", "severity": "SEV1", "environment": "production"}
ACT = {"attempt": 1, "action": "shift_traffic", "way": "execute"}
MET = {"met": True, "criteria": []}


class Team:
    """A workspace with people, an incident, and a clock that is held."""

    def __init__(self, root, monkeypatch):
        self.root, self._monkeypatch, self.now = root, monkeypatch, NOON
        (root / "models").mkdir(parents=True)
        (root / "rbnb.toml").write_text(PEOPLE, encoding="utf-8")
        (root / "models" / "svc.yaml").write_text(MODEL, encoding="utf-8")
        self.name = self.open()

    @property
    def workspace(self):
        """The workspace, opened anew."""
        return Workspace.open(self.root, clock=lambda: self.now)

    def open(self, **body):
        """Open an incident and return its name."""
        places = self.workspace.places
        return open_incident(places.reports, lambda: self.now, {**OPENED, **body}, places).name

    def by(self, person, minutes=0):
        """Go on as somebody, so many minutes after noon; return the workspace."""
        self._monkeypatch.setenv("RBNB_USER", person)
        self.now = after(minutes)
        return self.workspace

    def record(self, kind, body, by="ada"):
        """Add an entry as another part of rbnb would."""
        return self.workspace.incident(self.name).ledger.append(kind, body, by=by)

    def contain(self):
        """Have a containment stand."""
        self.record("action.started", ACT)
        self.record("action.finished", {**ACT, "outcome": "done"})
        self.record("action.verified", {**ACT, "held": True})

    def state(self):
        """Return what the ledger comes to."""
        return self.workspace.incident(self.name).state()

    def kinds(self):
        """Return the kinds of all entries."""
        return [entry.kind for entry in self.state().entries]

    def last(self):
        """Return the last entry."""
        return self.state().entries[-1]


@pytest.fixture
def team(tmp_path, monkeypatch):
    """Return a team with an open SEV1; ada commands, ben responds, cleo approves, dan holds a stake."""
    return Team(tmp_path / "ws", monkeypatch)


def refused(team, call):
    """Return the refusal of a call, having seen that it is the one thing that was added."""
    before = team.kinds()
    with pytest.raises(RefusedError) as no:
        call()
    assert team.kinds()[: len(before)] == before
    added = team.state().entries[len(before) :]
    assert [entry.kind.partition(".")[2] for entry in added] == ["refused"]
    assert added[0].body["why"]
    assert no.value.exit_code == 7
    return no.value


def test_acknowledging_says_who_and_when_and_again_adds_nothing(team):
    """Pressing twice is no error; a second person is on record as well."""
    first = team.by("ben", 3).acknowledge(team.name)
    assert (first.new, first.entry.by, team.state().times.acknowledged) == (True, "ben", after(3))
    again = team.by("Ben", 5).acknowledge(team.name)
    assert (again.new, again.entry) == (False, first.entry)
    assert team.by("ada", 6).acknowledge(team.name).new
    assert team.state().acknowledged_by == "ben"


def test_somebody_whom_rbnb_toml_does_not_name_may_do_nothing(team):
    """Nor may somebody who was revoked, nor one whose role it is not; each refusal is on the ledger."""
    for person in ("mallory", "eva", "аda", "dan"):
        refused(team, lambda person=person: team.by(person).acknowledge(team.name))
    refused(team, lambda: team.by("ben").set_status(team.name, "contained", "by hand"))
    refused(team, lambda: team.by("cleo").close(team.name, "false_alarm", "nothing"))


def test_a_role_is_given_to_somebody_who_is_known(team):
    """However spelled; doing it again adds nothing; what is mistyped leaves nothing."""
    step = team.by("ada").assign(team.name, "Incident-Commander", " BEN ")
    assert step.entry.body == {"role": "incident_commander", "person": "ben"}
    assert not team.by("ada").assign(team.name, "incident_commander", "ben").new
    assert team.state().people == {"incident_commander": ("ben",)}
    before = team.kinds()
    with pytest.raises(NotFoundError, match="no person named 'bin'"):
        team.by("ada").assign(team.name, "scribe", "bin")
    with pytest.raises(NotFoundError, match="no role named 'boss'"):
        team.by("ada").assign(team.name, "boss", "ben")
    assert team.kinds() == before


def test_nobody_becomes_an_approver_in_an_incident(team):
    """Only rbnb.toml makes approvers; who holds it there can be assigned. Who was revoked cannot."""
    no = refused(team, lambda: team.by("ada").assign(team.name, "approver", "ben"))
    assert "rbnb.toml" in no.message
    assert team.by("ada").assign(team.name, "approver", "cleo").new
    refused(team, lambda: team.by("ada").assign(team.name, "scribe", "eva"))


def test_only_the_incident_commander_says_that_it_is_milder(team):
    """Fewer people approve what is milder, so a responder may say worse and not milder; the refusal is on record."""
    with pytest.raises(RefusedError, match="only an incident commander may say that it is milder"):
        team.by("ben").set_severity(team.name, "SEV3", "one host only")
    assert team.kinds()[-1] == "severity.refused"
    assert team.by("ada").set_severity(team.name, "SEV3", "one host only").new
    assert team.by("ben").set_severity(team.name, "SEV2", "two hosts").new


def test_a_severity_that_was_changed_moves_what_is_due(team):
    """With its reason and what it was; the chain of the new severity is asked."""
    assert "acknowledge" in {i.what for i in team.by("ada", 6).due().overdue}
    step = team.by("ada", 7).set_severity(team.name, "sev3", "one host only")
    assert step.entry.body == {"level": "SEV3", "because": "one host only", "was": "SEV1"}
    found = team.by("ada", 7).due()
    assert not found.overdue
    assert {item.whom for item in found.items if item.whom} == {"dan"}
    assert not team.by("ada", 8).set_severity(team.name, "SEV3", "still").new
    with pytest.raises(NotFoundError):
        team.by("ada").set_severity(team.name, "SEV9", "x")
    with pytest.raises(UsageError, match="needs a reason"):
        team.by("ada").set_severity(team.name, "SEV2", "  ")


def test_whom_an_escalation_names(team):
    """The chain of the severity in rbnb.toml, else the model's own, else the general one."""

    def names(severity):
        team.name = team.open(severity=severity)
        return [i.whom for i in team.workspace.timers(team.name) if i.whom]

    assert names("SEV1") == ["cleo", "dan"]
    assert names("SEV2") == ["dan"]
    (team.root / "models" / "svc.yaml").write_text("broken: [", encoding="utf-8")
    assert names("SEV2") == ["ben", "cleo"]


def test_a_status_by_hand_needs_a_reason_and_comes_in_its_order(team):
    """Contained needs a reason, no status is passed over, and what is so already is refused."""
    ada = team.by("ada")
    with pytest.raises(UsageError, match="needs a reason"):
        ada.set_status(team.name, "contained", " ")
    with pytest.raises(UsageError, match="closed with its resolution"):
        ada.set_status(team.name, "closed", "x")
    with pytest.raises(NotFoundError):
        ada.set_status(team.name, "contaned", "x")
    no = refused(team, lambda: ada.set_status(team.name, "remediated", "fixed at once"))
    assert "contained comes before remediated" in no.message
    assert f"rbnb status {team.name} contained" in no.hint
    assert "open already" in refused(team, lambda: ada.set_status(team.name, "open", "x")).message
    ada.set_status(team.name, "contained", "moved by hand in the console")
    assert (team.state().status, team.last().body["accepted"]) == ("contained", False)
    ada.set_status(team.name, "remediated", "the host was replaced")
    ada.set_status(team.name, "monitoring", "we look at the dashboard")
    assert team.state().status == "monitoring"
    ada.set_status(team.name, "open", "it is back")
    assert (team.state().status, team.state().times.contained) == ("open", None)


def test_a_status_cannot_be_set_against_what_is_on_record(team):
    """While a containment stands it is not open; the refusal says how to take it back."""
    team.contain()
    no = refused(team, lambda: team.by("ada").set_status(team.name, "open", "looks bad again"))
    assert "shift_traffic stands" in no.message
    assert f"rbnb rollback {team.name} shift_traffic" in no.hint
    assert team.state().status == "contained"


def test_what_met_its_acceptance_can_be_closed(team):
    """By whoever may, with a resolution and a reason; nobody else is needed."""
    team.contain()
    team.record("acceptance.measured", MET)
    with pytest.raises(NotFoundError, match="no resolution named 'fixed'"):
        team.by("ada").close(team.name, "fixed", "x")
    with pytest.raises(UsageError, match="needs a reason"):
        team.by("ada").close(team.name, "genuine_fixed", "")
    step = team.by("ada", 90).close(team.name, "genuine-fixed", "host replaced")
    assert (step.entry.body["accepted"], step.entry.body["exception_by"]) == (True, None)
    state = team.state()
    assert (state.status, state.resolution, state.times.closed) == ("closed", "genuine_fixed", after(90))
    assert "is closed" in refused(team, lambda: team.by("ada").close(team.name, "genuine_fixed", "again")).message


def test_nothing_is_closed_while_an_action_runs_or_is_unexplained(team):
    """The attempt is named; once its end is on record, closing goes on."""
    team.record("acceptance.measured", MET)
    team.record("action.started", ACT)
    no = refused(team, lambda: team.by("ada").close(team.name, "genuine_fixed", "x"))
    assert "of shift_traffic (attempt 1, started 2026-11-22T12:00:00Z) no end is on record" in no.message
    team.record("action.finished", {**ACT, "outcome": "timed_out"})
    no = refused(team, lambda: team.by("ada").close(team.name, "genuine_fixed", "x"))
    assert "nobody has said whether it took effect" in no.message
    assert f"rbnb explain {team.name} 1 --done" in no.hint
    team.record("action.explained", {"attempt": 1, "what": "not_done", "because": "no trace"})
    no = refused(team, lambda: team.by("ada").close(team.name, "genuine_fixed", "x"))
    assert "something was done since acceptance was met" in no.message


def test_nothing_is_closed_while_a_rollout_is_on_hold(team):
    """The reason of the hold is told, and what releases it."""
    team.record("acceptance.measured", MET)
    team.record("rollout.held", {"because": "the tail grows"})
    no = refused(team, lambda: team.by("ada").close(team.name, "genuine_fixed", "x"))
    assert "the tail grows" in no.message
    assert "rbnb release" in no.hint


def test_without_acceptance_closing_says_exactly_what_is_missing(team):
    """Not measured, or measured and not met; which command measures it, and which gives the approval."""
    no = refused(team, lambda: team.by("ada").close(team.name, "false_alarm", "a test"))
    assert "acceptance was not measured" in no.message
    assert "1 more from" in no.message
    assert f"rbnb accept {team.name}" in no.hint
    assert f"rbnb approve {team.name} close" in no.hint
    team.record("acceptance.measured", {"met": False})
    no = refused(team, lambda: team.by("ada").close(team.name, "false_alarm", "a test"))
    assert "not met" in no.message


def approve_closing(team, person, minutes=0):
    """Approve closing without acceptance, as `rbnb approve INC close` does."""
    incident = team.by(person, minutes).incident(team.name)
    return approve(incident, Said(CLOSE, matter_of_closing, "I looked at it"))


def test_without_acceptance_somebody_else_lets_it_pass(team):
    """An approver who is not the closer; who that was is on record with the digest of what was approved."""
    with pytest.raises(RefusedError):
        approve_closing(team, "ben")
    approve_closing(team, "cleo", 5)
    step = team.by("ada", 6).close(team.name, "false_alarm", "a test of the pager")
    assert (step.entry.body["accepted"], step.entry.body["exception_by"]) == (False, "cleo")
    assert step.entry.body["plan"].startswith("sha256:")


def test_who_closes_does_not_count_as_the_one_who_lets_it_pass(team):
    """Commander and approver in one person is one person."""
    approve_closing(team, "ada", 1)
    no = refused(team, lambda: team.by("ada", 2).close(team.name, "false_alarm", "a test"))
    assert "1 more from" in no.message


@pytest.mark.parametrize(
    ("kind", "body", "stands"),
    [
        ("run.finished", {"run": "02-data_drift", "verdict": "genuine"}, False),
        ("decision.made", {"choice": "none"}, False),
        ("acceptance.measured", {"met": False}, False),
        ("observation.recorded", {"text": "all calm"}, True),
        ("update.written", {"audience": "stakeholders"}, True),
    ],
)
def test_an_approval_of_closing_is_of_the_incident_as_it_stood(team, kind, body, stands):
    """What changes the case afterwards voids it; talk about it does not."""
    approve_closing(team, "cleo", 1)
    team.record(kind, body)
    if stands:
        assert team.by("ada", 2).close(team.name, "false_alarm", "a test").new
    else:
        refused(team, lambda: team.by("ada", 2).close(team.name, "false_alarm", "a test"))


def test_an_expired_approval_of_closing_never_revives(team):
    """Also when the clock goes back to before it expired."""
    approve_closing(team, "cleo", 1)
    for minutes in (24 * 60, 2):
        no = refused(team, lambda minutes=minutes: team.by("ada", minutes).close(team.name, "false_alarm", "x"))
        assert "expired" in no.message


def test_a_duplicate_names_the_other_incident(team):
    """Which exists, is another one, and is not itself a duplicate of this."""
    team.record("acceptance.measured", MET)
    ada = team.by("ada")
    with pytest.raises(UsageError, match="names the incident that goes on"):
        ada.close(team.name, "duplicate", "same")
    with pytest.raises(UsageError, match="duplicate of itself"):
        ada.close(team.name, "duplicate", "same", of=team.name)
    with pytest.raises(NotFoundError):
        ada.close(team.name, "duplicate", "same", of="INC-20260101-99")
    with pytest.raises(UsageError, match="belongs to a duplicate"):
        ada.close(team.name, "transient", "same", of=team.name)
    other = team.open()
    step = ada.close(team.name, "duplicate", "same", of=other)
    assert step.entry.body["of"] == other
    first, team.name = team.name, other
    team.record("acceptance.measured", MET)
    no = refused(team, lambda: ada.close(other, "duplicate", "same", of=first))
    assert "closed as a duplicate of this one" in no.message


def test_opened_again_everything_begins_anew(team):
    """Only what is closed is opened again; its acknowledgement is asked for once more."""
    refused(team, lambda: team.by("ada").reopen(team.name, "x"))
    team.by("ada", 1).acknowledge(team.name)
    team.record("acceptance.measured", MET)
    team.by("ada", 60).close(team.name, "transient", "gone")
    team.by("ben", 100).reopen(team.name, "it is back")
    state = team.state()
    assert (state.status, state.resolution, state.times.acknowledged) == ("open", "", None)
    assert team.by("ada", 101).acknowledge(team.name).new
    no = refused(team, lambda: team.by("ada").close(team.name, "transient", "gone"))
    assert "no longer counts" in no.message


def test_of_many_at_once_exactly_one_moves_it(team):
    """Sixteen set the same status at once: one entry, and fifteen refusals that say so."""
    team.by("ada")

    def move(number):
        try:
            return team.workspace.set_status(team.name, "contained", f"by hand {number}").new
        except RefusedError as no:
            return no.message

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(move, range(16)))
    assert outcomes.count(True) == 1
    assert all("contained already" in told for told in outcomes if told is not True)
    kinds = team.kinds()
    assert (kinds.count("status.set"), kinds.count("status.refused")) == (1, 15)


def test_closing_and_moving_at_once_have_one_order(team):
    """Whoever comes second is told what stands; nothing is set on a closed incident."""
    team.contain()
    team.record("acceptance.measured", MET)
    team.by("ada")

    def act(number):
        try:
            if number % 2:
                return team.workspace.close(team.name, "genuine_fixed", "done").entry.seq
            return team.workspace.set_severity(team.name, f"SEV{1 + number % 4}", f"{number}").entry.seq
        except RefusedError:
            return None

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(12)))
    kinds = team.kinds()
    assert kinds.count("incident.closed") == 1
    assert "severity.set" not in kinds[kinds.index("incident.closed") :]


def test_a_clock_that_steps_back_makes_nothing_younger(team):
    """What was overdue stays overdue, and every length is positive."""
    team.by("ada", 20).acknowledge(team.name)
    found = team.by("ada", -60 * 24 * 365).due()
    assert "first update" in {item.what for item in found.overdue}
    assert all(item.as_of == after(20) for item in found.items)


def damage(team, name):
    """Change the first entry of an incident's ledger."""
    entry = team.root / "reports" / name / "ledger" / "000001.json"
    entry.write_bytes(entry.read_bytes().replace(b"latency_spike", b"latency-spike"))


def test_due_lists_all_incidents_soonest_first_and_hides_no_damaged_one(team):
    """Closed ones ask for their review only; a damaged ledger is named."""
    second, third = team.open(severity="SEV3"), team.open(severity="SEV4")
    team.by("ada").acknowledge(third)
    damage(team, third)
    found = team.by("ada", 0).due()
    assert found.damaged == (third,)
    assert {item.incident for item in found.items} == {team.name, second}
    assert [item.due for item in found.items] == sorted(item.due for item in found.items)


def test_the_page_is_written_after_every_step_and_also_after_a_refusal(team):
    """It tells as many entries as the ledger holds."""
    page = team.root / "reports" / team.name / "incident.html"
    team.by("ada").acknowledge(team.name)
    assert "ada acknowledged" in page.read_text(encoding="utf-8")
    refused(team, lambda: team.by("ada").reopen(team.name, "x"))
    assert "was refused" in page.read_text(encoding="utf-8")


def test_the_page_shows_the_rules_with_what_answers_them_and_their_clocks(team):
    """As the model file says which data it handles; a broken model file hides no page."""
    model = team.root / "models" / "svc.yaml"
    model.write_text(f"{MODEL}governance: {{data: [personal]}}\n", encoding="utf-8")
    page = team.root / "reports" / team.name / "incident.html"
    team.by("ada").acknowledge(team.name)
    text = page.read_text(encoding="utf-8")
    assert "GDPR-33" in text
    assert "Not legal advice" in text
    assert any(item.source.startswith("gdpr") for item in team.workspace.timers(team.name))
    model.write_text("broken: [", encoding="utf-8")
    team.by("ben", 1).acknowledge(team.name)
    assert "ben acknowledged" in page.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_fails_no_command(team, caplog):
    """The step is on record; the warning says that the ledger holds it."""
    (team.root / "reports" / team.name / "incident.html").mkdir()
    assert team.by("ada").acknowledge(team.name).new
    assert team.last().kind == "incident.acknowledged"
    assert "could not be written" in caplog.text


def test_the_timeline_tells_each_entry(team):
    """One moment an entry, in order."""
    team.by("ada", 1).acknowledge(team.name)
    team.by("ada", 2).set_severity(team.name, "SEV2", "fewer than thought")
    told = team.workspace.timeline(team.name)
    assert [moment.seq for moment in told] == [1, 2, 3]
    assert told[-1].text == "ada set the severity to SEV2, it was SEV1: fewer than thought."


@pytest.fixture
def type_in(team, monkeypatch, capsys):
    """Return a function that runs the program's entry point in this process, as ada."""

    def typed(*words):
        monkeypatch.setenv("RBNB_USER", "ada")
        monkeypatch.chdir(team.root)
        monkeypatch.setattr(sys, "argv", ["rbnb", *words])
        with pytest.raises(SystemExit) as left:
            main()
        return Typed(int(left.value.code or 0), *capsys.readouterr())

    return typed


class Typed(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


def test_the_commands_end_to_end(team, type_in):
    """Each prints what is on record and what is due next; a refusal leaves with 7 and says why."""
    done = type_in("ack", team.name)
    assert done.returncode == 0, done.stderr
    assert "ada acknowledged the incident" in done.stdout
    assert "OVERDUE" in done.stdout
    told = json.loads(type_in("assign", team.name, "scribe", "dan", "--json").stdout)
    assert (told["kind"], told["new"], told["status"]) == ("incident.assigned", True, "open")
    assert type_in("severity", team.name, "SEV2", "--because", "fewer").returncode == 0
    no = type_in("status", team.name, "remediated", "--because", "done")
    assert (no.returncode, "contained comes before" in no.stderr) == (7, True)
    assert type_in("status", team.name, "contained", "--because", "by hand").returncode == 0
    shown = type_in("status", team.name).stdout
    assert "contained" in shown
    assert "scribe" in shown
    told = json.loads(type_in("status", team.name, "--json").stdout)
    assert (told["status"], told["people"]) == ("contained", {"scribe": ["dan"]})
    assert type_in("reopen", team.name, "--because", "x").returncode == 7
    assert type_in("close", team.name, "--resolution", "transient", "--because", "x").returncode == 7
    story = type_in("show", team.name, "--timeline").stdout.splitlines()
    assert "opened the incident" in story[0]
    assert len(story) == len(team.kinds())
    assert len(json.loads(type_in("show", team.name, "--timeline", "--json").stdout)["timeline"]) == len(team.kinds())


def test_cron_can_page_with_due(team, type_in):
    """Overdue leaves with 3 under --exit-code, and with 0 without; a damaged ledger is listed and leaves with 6."""
    listed = type_in("due", "--exit-code")
    assert listed.returncode == 3, listed.stderr
    assert "OVERDUE" in listed.stdout
    assert "rbnb ack INC-" in listed.stdout
    assert type_in("due").returncode == 0
    told = json.loads(type_in("due", "--json").stdout)
    assert {item["status"] for item in told["due"]} <= {"due", "overdue"}
    team.by("ada").acknowledge(team.name)
    damage(team, team.name)
    broken = type_in("due", "--exit-code")
    assert (broken.returncode, team.name in broken.stdout) == (6, True)


def test_nothing_due_is_said(tmp_path):
    """An empty list is a sentence, not silence; here as the program that cron starts."""
    (tmp_path / "rbnb.toml").write_text("[workspace]\n", encoding="utf-8")
    done = subprocess.run([RBNB, "due", "--exit-code"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "nothing is due")


def test_the_held_clock_is_the_one_that_counts(team):
    """A step carries the workspace's time."""
    assert team.by("ada", 42).acknowledge(team.name).entry.at == NOON + timedelta(minutes=42)
