"""The rules an incident may touch: their ids and times, when they apply, what answers them, and who says so."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from lifecycle_fixture import NOON, ledger, opened

from rbnb.config import Owners, shipped
from rbnb.errors import ConfigError, NotFoundError, RefusedError, UsageError
from rbnb.governance import FACTS, applicability, clocks, evaluate, load_compliance, names_in
from rbnb.governance.clocks import Answers
from rbnb.incidents.checklist import answers_of, facts_of, look_up, read_checklist
from rbnb.inventory import load_model_file
from rbnb.workspace import Workspace

SHIPPED = load_compliance(shipped("policies") / "compliance")
ITEMS = {item.id: item for item in SHIPPED.items}
MODELS = Path(__file__).parent.parent / "data_samples" / "models"
DAY = timedelta(days=1)

#: Every id by framework, as checked one by one against the sources named in the files.
IDS = {
    "eu-ai-act": "12(1) 12(2) 18(1) 19(1) 20(1) 20(2) 26(2) 26(5) 26(6) 72(1) 72(3) 73(2) 73(3) 73(4) 73(5) 73(6)",
    "gdpr": "33(1) 33(2) 33(3) 33(4) 33(5) 34(1)",
    "nist-ai-rmf": "GOVERN 2.1|GOVERN 4.3|GOVERN 6.2|MAP 5.1|MEASURE 2.4|MEASURE 2.7|MANAGE 1.3|MANAGE 2.3|MANAGE 2.4|"
    "MANAGE 4.1|MANAGE 4.3",
    "iso-42001": "8.2 10.2 A.3.3 A.6.2.6 A.6.2.8 A.7.4 A.8.4 A.10.2",
    "nist-800-61r3": "DE.AE-08 RS.MA-01 RS.AN-03 RS.AN-06 RS.AN-07 RS.AN-08 RS.CO-02 RS.MI-01 RS.MI-02 RC.RP-05 "
    "RC.RP-06 ID.IM-03",
    "sr-26-2": "development-use validation-monitoring governance-controls third-party",
    "dora": "initial initial/classified intermediate final",
}
PREFIX = {"eu-ai-act": "AIA-", "gdpr": "GDPR-", "sr-26-2": "SR26-2/", "dora": "DORA-"}

#: Every time that runs: span, and from when.
SPANS = {
    "AIA-73(2)": (15 * DAY, "awareness"),
    "AIA-73(3)": (2 * DAY, "awareness"),
    "AIA-73(4)": (10 * DAY, "awareness"),
    "GDPR-33(1)": (timedelta(hours=72), "awareness"),
    "DORA-initial": (timedelta(hours=24), "awareness"),
    "DORA-initial/classified": (timedelta(hours=4), "answered major_ict_incident"),
    "DORA-intermediate": (timedelta(hours=72), "met DORA-initial"),
    "DORA-final": (28 * DAY, "met DORA-intermediate"),
}


@pytest.mark.parametrize("name", IDS)
def test_a_framework_has_exactly_these_items(name):
    """An id that goes, comes or is renumbered is noticed; the ids of earlier versions stay."""
    told = IDS[name].split("|") if "|" in IDS[name] else IDS[name].split()
    assert [item.id for item in SHIPPED.frameworks[name].items] == [PREFIX.get(name, "") + one for one in told]


def test_every_framework_says_where_it_is_from_and_that_it_is_no_legal_advice():
    """With the day it was checked, and whether a lawyer still has to look at it."""
    assert set(SHIPPED.frameworks) == set(IDS)
    for one in SHIPPED.frameworks.values():
        assert one.source
        assert one.checked_on == date(2026, 11, 22)
        assert "not legal advice" in one.disclaimer.lower()
    law = {"eu-ai-act", "gdpr", "dora", "sr-26-2"}
    assert {one.name for one in SHIPPED.frameworks.values() if one.legal_review} == law


def test_the_times_are_those_of_the_law():
    """72 hours, 15, 10 and 2 days, and those of DORA; no other item has a clock."""
    told = {item.id: (item.deadline.max, item.deadline.after) for item in SHIPPED.items if item.deadline}
    assert told == SPANS
    shorter = {one.when: (one.max, one.ref) for one in ITEMS["AIA-73(2)"].deadline.overrides}
    assert shorter == {
        "death": (10 * DAY, "AIA-73(4)"),
        "critical_infrastructure or widespread": (2 * DAY, "AIA-73(3)"),
    }


def test_the_dates_from_which_the_ai_act_applies():
    """Articles 12 to 26 from the dates of the two annexes, 72 and 73 from the general one."""
    annexes = {"annex_iii": date(2027, 12, 2), "annex_i": date(2028, 8, 2)}
    for item in SHIPPED.frameworks["eu-ai-act"].items:
        late = item.id.startswith(("AIA-7",))
        assert item.applies_from == ({"general": date(2026, 8, 2)} if late else annexes), item.id


CASES = [
    ("death", {}, None),
    ("death and high_risk", {"high_risk": False}, False),
    ("death and high_risk", {"high_risk": True}, None),
    ("death or high_risk", {"high_risk": True}, True),
    ("death or high_risk", {"high_risk": False}, None),
    ("not death", {}, None),
    ("not death", {"death": False}, True),
    ("high_risk or death and widespread", {"high_risk": True, "death": False}, True),
    ("(high_risk or death) and widespread", {"high_risk": True, "widespread": False}, False),
    ("role == provider", {"role": "provider"}, True),
    ("role == provider", {"role": "deployer"}, False),
    ("role == provider", {}, None),
    ("severity == SEV1 or severity == SEV2", {"severity": "SEV2"}, True),
    ("", {}, True),
]


@pytest.mark.parametrize(("condition", "facts", "answer"), CASES)
def test_unknown_stays_unknown(condition, facts, answer):
    """A condition is no only where the facts make it so, whatever nobody has said."""
    assert evaluate(condition, facts) is answer


@pytest.mark.parametrize("condition", ["death and", "(death", "death widespread", "weather", "death > 3", "role =="])
def test_a_condition_that_cannot_be_read_is_refused(tmp_path, condition):
    """When the file is read, with the file and the key."""
    with pytest.raises(ValueError, match=r"."):
        names_in(condition)
    path = framework(tmp_path, applies_when=condition)
    with pytest.raises(ConfigError, match="applies_when"):
        load_compliance([path])


def framework(folder, name="house", **item):
    """Write a framework with one item, and return its file."""
    data = {
        "name": name,
        "title": "House rules",
        "version": "1",
        "source": "the handbook",
        "checked_on": "CHECKED",
        "legal_review": False,
        "disclaimer": "Not legal advice.",
        "items": [{"id": "H-1", "text": "Tell the boss.", **item}],
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(data).replace('"CHECKED"', "2026-11-22"), encoding="utf-8")
    return path


def test_what_nobody_said_is_for_a_person_to_say():
    """An item whose facts are not known is unknown, and names what is open."""
    verdict = applicability(ITEMS["AIA-73(2)"], {}, {}, NOON.date())
    assert verdict.applies == "unknown"
    assert verdict.open == ("high_risk", "serious_incident")


def test_an_answer_comes_before_the_condition():
    """A person's yes or no decides; their unknown stays unknown."""
    item, known = ITEMS["GDPR-33(1)"], {"personal_data": False}
    assert applicability(item, known, {}, NOON.date()).applies == "no"
    for said in ("yes", "no", "unknown"):
        assert applicability(item, known, {item.id: said}, NOON.date()).applies == said


def test_what_is_not_in_force_is_not_yet_due():
    """By the date of the incident; between the two dates a person must say which annex it is."""
    item, known = ITEMS["AIA-12(1)"], {"high_risk": True}
    assert applicability(item, known, {}, date(2026, 11, 22)).applies == "not yet"
    between = date(2028, 1, 1)
    assert applicability(item, known, {}, between).open == ("annex_iii",)
    assert applicability(item, known | {"annex_iii": True}, {}, between).applies == "yes"
    assert applicability(item, known | {"annex_iii": False}, {}, between).applies == "not yet"
    assert applicability(item, known, {}, date(2028, 8, 2)).applies == "yes"


def due_of(facts, said=None, ids=SPANS):
    """Return the clocks by item, counted from noon."""
    found = clocks([ITEMS[one] for one in ids], facts, NOON, said)
    return {one.item: one for one in found}


SERIOUS = {"high_risk": True, "serious_incident": True}


def test_a_worse_case_leaves_less_time():
    """15 days, ten after a death, two for critical infrastructure or where it is widespread."""
    plain = SERIOUS | {"death": False, "critical_infrastructure": False, "widespread": False}
    for more, days in (({}, 15), ({"death": True}, 10), ({"death": True, "widespread": True}, 2)):
        assert due_of(plain | more)["AIA-73(2)"].due_at == NOON + days * DAY
    assert "AIA-73(4)" not in due_of(plain)
    assert "by AIA-73(4)" in due_of(plain | {"death": True})["AIA-73(2)"].source


def test_an_item_nobody_answered_has_a_clock_that_says_so():
    """It is shown as due unless it does not apply, and goes once somebody said no."""
    found = due_of({"personal_data": True})
    assert found["GDPR-33(1)"].due_at == NOON + timedelta(hours=72)
    assert found["GDPR-33(1)"].what.endswith("(unless it does not apply)")
    certain = {"personal_data": True, "personal_data_breach": True, "risk_to_people": True, "processor": False}
    assert "unless" not in due_of(certain)["GDPR-33(1)"].what
    assert "GDPR-33(1)" not in due_of({"personal_data": True, "personal_data_breach": False})


def test_only_a_person_ends_a_clock():
    """By saying that the item was met; and what counts from that begins then."""
    facts = {"major_ict_incident": True}
    assert "DORA-intermediate" not in due_of(facts)
    said = Answers({}, {"DORA-initial": NOON + DAY}, {"major_ict_incident": NOON + timedelta(hours=1)})
    found = due_of(facts, said)
    assert "DORA-initial" not in found
    assert found["DORA-initial/classified"].due_at == NOON + timedelta(hours=5)
    assert found["DORA-intermediate"].due_at == NOON + DAY + timedelta(hours=72)
    assert clocks(ITEMS.values(), {}, None) == [], "nothing can be counted from a time nobody knows"


def test_evidence_preserved_before_containment_is_told_by_the_ledger():
    """Only an entry evidence.taken that stands before the first action answers it."""
    wanted = ITEMS["AIA-73(6)"].evidence[0]
    taken, started = (5, "evidence.taken", {"files": []}), (6, "action.started", {"attempt": 1})
    before = look_up(wanted, ledger(opened(), taken, started), {}, {})
    assert (before.seqs, before.missing) == ((2,), "")
    assert "entry 2" in before.where
    late = look_up(wanted, ledger(opened(), started, taken), {}, {})
    assert not late.where
    assert "before entry 2" in late.missing
    assert look_up(wanted, ledger(opened()), {}, {}).missing


def test_evidence_is_looked_up_and_never_claimed():
    """In an empty incident nothing answers anything, and every item says what is missing."""
    for item in SHIPPED.items:
        for wanted in item.evidence:
            found = look_up(wanted, [], {}, {})
            assert not found.where, item.id
            assert found.missing, item.id


def test_a_sent_update_answers_only_for_its_audience():
    """What stakeholders got is not what an authority got."""
    wanted = ITEMS["GDPR-33(1)"].evidence[1]
    sent = [(m, "update.sent", {"audience": who}) for m, who in ((1, "stakeholders"), (2, "regulators"))]
    assert not look_up(wanted, ledger(opened(), sent[0]), {}, {}).where
    assert look_up(wanted, ledger(opened(), *sent), {}, {}).seqs == (3,)


def test_a_number_the_run_does_not_know_is_no_evidence():
    """A risk whose affected share was not measured does not answer who is affected."""
    wanted = ITEMS["GDPR-33(3)"].evidence[0]
    assert look_up(wanted, [], {"risk": {"affected": None}}, {}).missing
    assert look_up(wanted, [], {"run": "01-x", "risk": {"affected": {"value": 0.3}}}, {}).where.endswith("01-x")


def checklist(model="fraud-v3", entries=(), owners=None, record=None):
    """Return the checklist of a model of the sample fleet."""
    chosen = load_model_file(MODELS / f"{model}.yaml")
    times = {"detected": NOON}
    given = owners or Owners()
    return read_checklist(SHIPPED, chosen, entries, record or {}, times=times, owners=given)


def test_a_reviewer_is_named_or_said_to_be_missing():
    """The person of an item comes before the person of its kind."""
    who = {one.item.id: one.reviewer for one in checklist(owners=Owners(privacy="ben")).items}
    assert who["GDPR-33(1)"] == "ben"
    assert who["AIA-73(6)"] == "nobody is named in rbnb.toml"
    own = Owners(privacy="ben", checks={"GDPR-33(1)": "cleo"})
    assert {one.item.id: one.reviewer for one in checklist(owners=own).items}["GDPR-33(1)"] == "cleo"


def test_answers_on_the_ledger_become_facts():
    """The last answer counts; what was never answered stays unknown."""
    said = [(m, "compliance.answered", {"item": "death", "applies": a}) for m, a in ((1, "yes"), (2, "no"))]
    model = load_model_file(MODELS / "fraud-v3.yaml")
    facts = facts_of(model, ledger(opened(), *said))
    assert facts["death"] is False
    assert facts["personal_data"] is True
    assert facts["serious_incident"] is None
    assert set(facts) == set(FACTS)
    met = (3, "compliance.answered", {"item": "GDPR-33(1)", "applies": "yes", "met": True})
    assert set(answers_of(ledger(opened(), met)).met) == {"GDPR-33(1)"}


def test_saying_it_again_gives_no_more_time_and_taking_it_back_ends_it():
    """A clock counts from the first yes that still stands."""
    said = [(m, "compliance.answered", {"item": "major_ict_incident", "applies": "yes"}) for m in (1, 9)]
    assert answers_of(ledger(opened(), *said)).facts_at == {"major_ict_incident": NOON + timedelta(minutes=1)}
    back = (10, "compliance.answered", {"item": "major_ict_incident", "applies": "no"})
    assert answers_of(ledger(opened(), *said, back)).facts_at == {}
    met = [(m, "compliance.answered", {"item": "DORA-initial", "applies": "yes", "met": True}) for m in (1, 9)]
    assert answers_of(ledger(opened(), *met)).met == {"DORA-initial": NOON + timedelta(minutes=1)}
    gone = (10, "compliance.answered", {"item": "DORA-initial", "applies": "no", "met": False})
    assert answers_of(ledger(opened(), *met, gone)).met == {}


PLACE = """\
[workspace]
models = "{models}"
policies = "policies"
[people.ada]
[people.dan]
[roles]
incident_commander = {{ people = ["ada"] }}
stakeholder = {{ people = ["dan"] }}
[owners]
privacy = "ada"
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a workspace with one incident of the fraud model, opened at noon, as ada."""
    monkeypatch.setenv("RBNB_USER", "ada")
    (tmp_path / "rbnb.toml").write_text(PLACE.format(models=MODELS.as_posix()), encoding="utf-8")
    workspace = Workspace.open(tmp_path, lambda: NOON + timedelta(hours=1))
    from rbnb.incidents import open_incident

    body = {"model": "fraud-v3", "template": "latency_spike", "severity": "SEV2", "environment": "production"}
    incident = open_incident(workspace.places.reports, lambda: NOON, body, workspace.places)
    return workspace, incident.name


def test_due_lists_the_clocks_until_somebody_answers(place):
    """The list of what is due shows 72 h, 15 d, 10 d and 2 d; a no takes one away, and a met one is over."""
    workspace, name = place
    found = {item.what.split(":")[0]: item for item in workspace.due().items}
    spans = {one: found[one].due - NOON for one in ("GDPR-33(1)", "AIA-73(2)", "AIA-73(3)", "AIA-73(4)")}
    assert spans == {one: SPANS[one][0] for one in spans}
    workspace.answer(name, "personal_data_breach", "no", "only slow")
    workspace.answer(name, "AIA-73(2)", "yes", "reported on the portal", met=True)
    left = {item.what.split(":")[0] for item in workspace.timers(name) if item.is_open}
    assert not {"GDPR-33(1)", "AIA-73(2)"} & left
    assert "AIA-73(3)" in left
    entry = workspace.incident(name).ledger.entries()[-1]
    assert (entry.kind, entry.by, entry.body["met"]) == ("compliance.answered", "ada", True)


def test_a_broken_model_file_hides_no_clock_in_silence(place):
    """Where rbnb cannot tell which clocks run it says so, instead of saying that none does."""
    workspace, name = place
    folder = workspace.places.root / "broken"
    folder.mkdir()
    (folder / "fraud-v3.yaml").write_text("name: [", encoding="utf-8")
    toml = PLACE.format(models=folder.as_posix())
    (workspace.places.root / "rbnb.toml").write_text(toml, encoding="utf-8")
    again = Workspace.open(workspace.places.root, workspace.clock)
    assert any("legal clocks" in item.what for item in again.timers(name))


def test_a_false_alarm_has_no_clocks(place):
    """What was no incident, by a person's word, is not to be reported."""
    workspace, name = place
    body = {"resolution": "false_alarm", "because": "a test", "accepted": False, "exception_by": "ada"}
    workspace.incident(name).ledger.append("incident.closed", body, by="ada")
    assert not [item for item in workspace.timers(name) if "AIA" in item.what or "GDPR" in item.what]


def test_an_answer_needs_a_reason_an_item_and_somebody_who_may(place, monkeypatch):
    """Nothing is recorded of a mistake; a refusal is."""
    workspace, name = place
    before = len(workspace.incident(name).ledger.entries())
    with pytest.raises(UsageError, match="reason"):
        workspace.answer(name, "death", "no", " ")
    with pytest.raises(NotFoundError):
        workspace.answer(name, "GDPR-99", "no", "why not")
    with pytest.raises(UsageError, match="no answer"):
        workspace.answer(name, "death", "maybe", "who knows")
    with pytest.raises(UsageError, match="met"):
        workspace.answer(name, "death", "yes", "sad", met=True)
    with pytest.raises(UsageError, match="role"):
        workspace.answer(name, "role", "yes", "we made it")
    assert len(workspace.incident(name).ledger.entries()) == before
    monkeypatch.setenv("RBNB_USER", "dan")
    with pytest.raises(RefusedError):
        workspace.answer(name, "death", "no", "nobody died")
    assert workspace.incident(name).ledger.entries()[-1].kind == "governance.refused"


def test_a_workspace_replaces_a_framework_and_adds_one(place):
    """Its own file of the same name counts whole; others stay as they are."""
    workspace, _ = place
    framework(workspace.places.root / "policies", "x")  # makes the folder
    (workspace.places.root / "policies" / "x.yaml").unlink()
    folder = workspace.places.root / "policies" / "compliance"
    framework(folder, "gdpr")
    framework(folder, "house-2", id="H-2")
    found = Workspace.open(workspace.places.root).compliance().frameworks
    assert [item.id for item in found["gdpr"].items] == ["H-1"]
    assert set(found) == {*IDS, "house-2"}
    framework(folder, "house-3", id="H-2")
    with pytest.raises(ConfigError, match="stands in house-2 and in house-3"):
        Workspace.open(workspace.places.root).compliance()


def test_the_one_file_of_earlier_versions_is_still_read(tmp_path):
    """Its items replace those of the frameworks it names, and its sentences are claimed to be no evidence."""
    old = tmp_path / "compliance.yaml"
    item = '{id: "GDPR-33(1)", framework: gdpr, text: Tell., deadline: 71h, evidence: "this record"}'
    old.write_text(f'name: compliance\nversion: "1"\nchecked_on: 2026-01-01\nitems:\n  - {item}\n', encoding="utf-8")
    found = load_compliance([*sorted((shipped("policies") / "compliance").glob("*.yaml")), old])
    (only,) = found.frameworks["gdpr"].items
    assert only.deadline.max == timedelta(hours=71)
    assert look_up(only.evidence[0], [], {}, {}).missing
    assert len(found.frameworks["eu-ai-act"].items) == 16
    assert due_of({}, None, []) == {}
    assert clocks([only], {}, datetime(2026, 11, 22, tzinfo=UTC))[0].source.startswith("gdpr")


def test_the_rules_of_the_page_can_be_read(tmp_path):
    """The framework shown in docs/governance.md loads, and the page names every fact and every clock."""
    page = (Path(__file__).parent.parent / "docs" / "governance.md").read_text(encoding="utf-8")
    text = page[page.index("name: house\n") :].split("```", 1)[0]
    path = tmp_path / "house.yaml"
    path.write_text(text, encoding="utf-8")
    (item,) = load_compliance([path]).items
    assert item.deadline.max == timedelta(hours=1)
    assert [name for name in FACTS if f"`{name}`" not in page] == []
    assert [name for name in SPANS if name.partition("/")[0] not in page] == []
