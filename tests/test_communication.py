"""Updates: filled from record and ledger, in the right colour, and in words for their audience."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import yaml
from communication_fixture import NOW, Clock, add_run, healthy, incident, inconclusive, record, tried, workspace

from rbnb.communication import load_communication, updates_due
from rbnb.config import shipped
from rbnb.errors import ConfigError, NotFoundError, RefusedError, UsageError
from rbnb.governance.audiences import LEVEL_OF, LEVELS
from rbnb.policy import load_policy

TABLE = shipped("policies") / "communication.yaml"
AUDIENCES = ("responders", "stakeholders", "leadership", "regulators")


@pytest.fixture(autouse=True)
def _ada(monkeypatch):
    monkeypatch.setenv("RBNB_USER", "ada")


def told(space, opened, audience="stakeholders", **more):
    """Return the text of an update."""
    return space.update(opened.name, audience, **more).written.text


def test_a_stakeholder_reads_what_since_when_how_bad_and_what_next(tmp_path):
    """The update for people who know no machine learning answers their questions in full sentences, with the zone."""
    space = workspace(tmp_path)
    text = told(space, incident(space, record()))
    assert text.startswith("# RED: not under control yet · update 1 on fraud-v3\n")
    assert "because something it depends on is in trouble.\n" in text
    assert (
        "**Since when:** Sunday, 22 November 2026, 14:05 UTC; it was still going on when it was last measured." in text
    )
    assert "The slowest one in a hundred takes 1.1 seconds instead of 0.22 seconds. We rate it serious" in text
    assert "- The proposal is to send requests to where it is not slow." in text
    assert "**Next update:** by Sunday, 22 November 2026, 15:30 UTC." in text
    for jargon in ("p99", "latency", "infrastructure", "verdict", "zone", "ms", "shift_traffic", "store-x9"):
        assert jargon not in text


@pytest.mark.parametrize("audience", AUDIENCES)
def test_every_shipped_audience_gets_a_text_in_every_state(tmp_path, audience):
    """Each audience's text is complete whether the incident just began, is held, or is closed."""
    space = workspace(tmp_path)
    opened = incident(space)
    texts = [told(space, opened, audience)]
    add_run(opened, record())
    texts.append(told(space, opened, audience, note="We are on it.", next_step="A call at 15:00 UTC."))
    for kind, body in [
        ("decision.made", {"choice": "shift_traffic", "because": "it can be undone"}),
        *tried(),
        ("rollout.held", {"because": "p99"}),
        ("acceptance.measured", {"met": True, "criteria": [{"name": "a", "met": True}]}),
        ("watch.started", {}),
        ("incident.closed", {"resolution": "genuine_fixed", "accepted": True}),
    ]:
        opened.ledger.append(kind, body, by="ada")
        texts.append(told(space, opened, audience))
    assert [text.count("{") for text in texts] == [0] * len(texts)
    assert all("UTC" in text and opened.name in text for text in texts)
    assert "We are on it." in texts[1]
    assert "A call at 15:00 UTC." in texts[1]
    assert "GREEN: over" in texts[-1]
    assert "this is the last one" in texts[-1]


BY_EXCEPTION = {"resolution": "genuine_fixed", "accepted": True, "exception_by": "ben"}
COLOURS = [
    ([], [], "SEV1", "grey"),
    ([record()], [], "SEV1", "red"),
    ([record(severity={"level": "SEV1"})], [], "", "red"),
    ([record(severity={"level": "SEV3"})], [], "", "amber"),
    ([record(severity={"level": None})], [], "", "red"),
    ([record(verdict="transient")], [], "SEV1", "amber"),
    ([record()], tried(), "", "amber"),
    ([record()], tried(status="not_held"), "", "red"),
    ([record()], [("rollout.held", {"because": "x"})], "", "red"),
    ([healthy()], [], "", "green"),
    ([healthy()], [("severity.set", {"level": "SEV1", "because": "callers complain"})], "", "amber"),
    ([healthy()], tried(), "", "amber"),
    ([healthy()], [("rollout.held", {"because": "x"})], "", "amber"),
    ([inconclusive()], [], "", "grey"),
    ([healthy(), inconclusive()], [], "", "grey"),
    ([inconclusive("latency_spike"), healthy()], [], "", "grey"),
    ([record(), inconclusive()], [], "", "grey"),
    ([record(), healthy()], [], "", "red"),
    ([record(status="failed")], [], "", "grey"),
    ([record(verdict="splendid")], [], "", "grey"),
    ([record()], [("incident.closed", {"resolution": "genuine_fixed", "accepted": True})], "", "green"),
    ([record()], [("incident.closed", {"resolution": "false_alarm", "accepted": False})], "", "green"),
    ([record()], [("incident.closed", {"resolution": "genuine_fixed", "accepted": False})], "", "grey"),
    ([record()], [("incident.closed", BY_EXCEPTION)], "", "grey"),
    ([record()], [("incident.closed", {"resolution": "x", "accepted": True}), ("incident.reopened", {})], "", "red"),
]  # fmt: skip


@pytest.mark.parametrize(("records", "entries", "severity", "colour"), COLOURS)
def test_green_is_only_for_what_is_healthy_or_closed_in_order(tmp_path, records, entries, severity, colour):
    """The colour follows severity and state, doubt is grey, and the colour is said in words as well."""
    space = workspace(tmp_path)
    opened = incident(space, *records, entries=entries, severity=severity)
    written = space.update(opened.name, "stakeholders").written
    assert written.about["colour"] == colour
    words = {"red": "not under control yet", "amber": "not over yet", "green": ("no problem found", "over"),
             "grey": ("we do not know yet", "closed without proof that it is over")}  # fmt: skip
    says = words[colour] if isinstance(words[colour], tuple) else (words[colour],)
    assert written.text.split(" · ")[0] in [f"# {colour.upper()}: {one}" for one in says]


@pytest.mark.parametrize("one", [inconclusive(), record(status="timed_out"), healthy(status="failed")])
@pytest.mark.parametrize("audience", AUDIENCES)
def test_who_does_not_know_says_so(tmp_path, one, audience):
    """A run that could not tell is told as "we do not know yet", never as fine."""
    space = workspace(tmp_path)
    text = told(space, incident(space, one), audience)
    assert "do not know yet" in text
    assert "GREEN" not in text
    assert "no sign" not in text


def test_why_nobody_knows_is_said_in_the_runbooks_words(tmp_path):
    """An inconclusive run's own plain sentence is told, where it is the policy's."""
    space = workspace(tmp_path)
    plain = {"what": "There is too little data to say whether the model answers the same to the same.", "how_bad": ""}
    one = inconclusive("output_inconsistency", plain=plain)
    leaf = next(
        name
        for name, node in load_policy(shipped("policies") / "output_inconsistency.yaml").nodes.items()
        if getattr(node, "plain", None) and node.plain["what"][0].text == plain["what"]
    )
    one["branch"][-1]["took"] = f"no → {leaf}"
    text = told(space, incident(space, one))
    assert f"**What we know:** We do not know yet. {plain['what']} This is not an all-clear.\n" in text


def test_what_was_known_before_is_still_told_when_a_check_could_not_tell(tmp_path):
    """After trouble, an inconclusive run does not make the trouble disappear."""
    space = workspace(tmp_path)
    text = told(space, incident(space, record(), inconclusive()))
    assert "**What was known before:** The model answers slowly since" in text
    assert "This is not an all-clear" in text


def test_a_record_that_was_edited_is_not_told(tmp_path):
    """A run.json that is not the one on the ledger counts as not known, even if it says all is well."""
    space = workspace(tmp_path)
    opened = incident(space, record())
    path = next(opened.folder.glob("runs/*/run.json"))
    path.write_text(json.dumps(healthy("latency_spike")))
    text = told(space, opened)
    assert "is not as it was recorded" in text
    assert text.startswith("# GREY")


def test_what_was_done_is_told_with_what_became_of_it(tmp_path):
    """Measures are told in fixed words with their outcome, the one that failed as well as the one that helped."""
    space = workspace(tmp_path)
    entries = [
        *tried("throttle", "failed", 1),
        *tried("made_up_by_us", "not_held", 2),
        *tried("shift_traffic", "held", 3),
    ]
    text = told(space, incident(space, record(), entries=entries))
    assert "letting in fewer requests for a while: tried without success" in text
    assert "a measure to limit the effect: done, but it has not helped so far" in text
    assert "sending requests to where they are answered properly: done, and checked: it works as intended" in text
    assert "made_up_by_us" not in text


def test_updates_are_numbered_by_audience_and_kept_as_files(tmp_path):
    """Each audience counts its own updates, and each text is a file whose digest `rbnb verify` checks."""
    space = workspace(tmp_path)
    opened = incident(space, record())
    for audience in ("stakeholders", "responders", "stakeholders"):
        told(space, opened, audience)
    names = sorted(path.name for path in (opened.folder / "updates").iterdir())
    assert names == ["01-responders.md", "01-stakeholders.md", "02-stakeholders.md"]
    assert "update 2 on" in (opened.folder / "updates/02-stakeholders.md").read_text(encoding="utf-8")
    assert not opened.check().problems
    (opened.folder / "updates/02-stakeholders.md").write_text("all is well")
    assert opened.check().problems == ("updates/02-stakeholders.md: differs from what was recorded",)


def test_the_next_update_is_due_by_severity_and_never_in_the_past(tmp_path):
    """The text and the list of what is due agree, and a clock that stepped back makes nothing due earlier."""
    clock = Clock()
    space = workspace(tmp_path, clock=clock)
    opened = incident(space, record(severity={"level": "SEV1"}))
    table = load_communication(TABLE)
    first = {one.audience: one for one in updates_due(opened.state(), table)}
    assert f"{first['stakeholders'].at:%H:%M}" == "14:40"
    clock.forward(hours=-5)
    assert "by Sunday, 22 November 2026, 15:00 UTC" in told(space, opened)
    then = {one.audience: one for one in updates_due(opened.state(), table)}["stakeholders"]
    assert then.number == 2
    assert then.by_role == "scribe"


def test_a_closed_incident_owes_one_last_update(tmp_path):
    """Whoever was told of an incident is told that it is over, once."""
    space = workspace(tmp_path)
    opened, table = incident(space, record()), load_communication(TABLE)
    told(space, opened)
    opened.ledger.append("incident.closed", {"resolution": "genuine_fixed", "accepted": True}, by="ada")
    assert [one.audience for one in updates_due(opened.state(), table)] == ["stakeholders"]
    told(space, opened)
    assert updates_due(opened.state(), table) == []


def test_only_who_may_write_updates_does(tmp_path, monkeypatch):
    """Somebody without a role is refused, and the refusal is on record."""
    space = workspace(tmp_path)
    opened = incident(space, record())
    monkeypatch.setenv("RBNB_USER", "eva")
    with pytest.raises(RefusedError):
        told(space, opened)
    assert opened.state().entries[-1].kind == "update.refused"


def test_an_unknown_audience_is_named_with_those_there_are(tmp_path):
    """A wrong audience is a usage error that suggests the right one, and nothing is written."""
    space = workspace(tmp_path)
    opened = incident(space, record())
    with pytest.raises(NotFoundError) as raised:
        told(space, opened, "stakeholder")
    assert "stakeholders" in raised.value.hint
    assert not (opened.folder / "updates").exists()


@pytest.mark.parametrize(
    "note",
    [
        "ada is on it",
        "Ask Ada Adams.",
        "mail ADA@example.com",
        "store-x9 is slow",
        "b-2x is restarted",
        "only tiny is hit",
    ],
)
@pytest.mark.parametrize("audience", ["stakeholders", "leadership", "regulators"])
def test_a_note_that_names_what_its_audience_may_not_hear_is_refused(tmp_path, note, audience):
    """People, machines, components and small groups do not leave in what somebody types in a hurry."""
    space = workspace(tmp_path)
    opened = incident(space, record())
    with pytest.raises(UsageError, match="may not hear"):
        told(space, opened, audience, note=note)
    assert not [one for one in opened.state().entries if one.kind == "update.written"]
    assert told(space, opened, "responders", note=note)


def test_an_ordinary_note_is_told(tmp_path):
    """What names nobody and nothing inside goes out as it was typed."""
    space = workspace(tmp_path)
    opened = incident(space, record())
    assert "**From the incident commander:** Payments take a second longer." in told(
        space, opened, note="Payments take a second longer."
    )
    with pytest.raises(UsageError, match="1,001 characters"):
        told(space, opened, note="x" * 1001)


def test_no_file_can_give_an_audience_a_fact_above_its_level(tmp_path):
    """A policy that hands commands to stakeholders is refused when it is read, with the fact's name."""
    data = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    data["audiences"]["stakeholders"]["facts"].append("command")
    path = tmp_path / "communication.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(ConfigError, match="command is restricted, and this audience may hear what is public"):
        load_communication(path)
    assert set(LEVEL_OF.values()) == set(LEVELS)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"colours": {"SEV4": "green"}}, "colours.SEV4"),
        ({"smallest_group": 3}, "smallest_group"),
        ({"audiences": {}}, "audiences"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_policy_is_named_with_its_key(tmp_path, change, match):
    """No colour of trouble is green, no group below ten is named, no key is unknown."""
    data = yaml.safe_load(TABLE.read_text(encoding="utf-8")) | change
    path = tmp_path / "communication.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(ConfigError, match=match):
        load_communication(path)


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("# {{ about }}\n{{ command }}", "may not hear"),
        ("# {{ about }}\n{{ ''.__class__.__mro__ }}", "cannot|is no text|may not hear"),
        ("# {{ about }\n", "is no text"),
        ("no title", "must begin with a title"),
        ("# {{ about }}\n{{ 'x' * 20000 }}{{ 'y' * 2000 }}" + "{{ 'z' * 1500 }}" * 9, "characters"),
    ],
)
def test_a_text_of_ones_own_gets_no_more_than_its_audience_may_hear(tmp_path, source, match):
    """A workspace's own text is used, and one that reaches for more, or is broken, is refused with its file."""
    space = workspace(tmp_path)
    opened = incident(space, record())
    own = tmp_path / "policies" / "updates"
    own.mkdir(parents=True)
    (own / "stakeholders.md.j2").write_text("# Ours: {{ what }}\n", encoding="utf-8")
    assert told(space, opened).startswith("# Ours: The model answers slowly")
    (own / "stakeholders.md.j2").write_text(source, encoding="utf-8")
    with pytest.raises(ConfigError, match=match):
        told(space, opened)


def test_an_audience_of_ones_own_needs_only_data(tmp_path):
    """A workspace adds an audience with two files and no code."""
    space = workspace(tmp_path)
    opened = incident(space, record())
    own = tmp_path / "policies"
    (own / "updates").mkdir(parents=True)
    shutil.copy(TABLE, own / "communication.yaml")
    data = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    data["audiences"]["shops"] = {**data["audiences"]["stakeholders"], "facts": ["about", "what"]}
    data["called"] = {"fraud-v3": "the check of card payments"}
    (own / "communication.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"shops\.md\.j2: is missing"):
        told(space, opened, "shops")
    (own / "updates" / "shops.md.j2").write_text("# {{ number }}: {{ about }}\n{{ what }}\n", encoding="utf-8")
    assert told(space, opened, "shops").startswith("# 1: the check of card payments\nThe model answers slowly")


def test_segments_are_named_where_they_are_big_enough_and_no_machines(tmp_path):
    """Leadership hears of the zone, of no host, and of no group below ten; stakeholders of none."""
    space = workspace(tmp_path)
    opened = incident(space, record())
    assert "- zone=b: 100% of what is wrong" in told(space, opened, "leadership")
    for audience in AUDIENCES:
        assert "tiny" not in told(space, opened, audience)
    for audience in ("leadership", "regulators", "stakeholders"):
        assert "b-2x" not in told(space, opened, audience)
    assert "zone=b" not in told(space, opened, "regulators") + told(space, opened)


def test_a_small_group_is_hidden_in_free_text_as_well(tmp_path):
    """Responders read what people and runbooks wrote, but for groups that are not known to hold ten."""
    space = workspace(tmp_path)
    cause = {"kind": "source", "name": "rows of clinic=tiny", "where": "", "status": "supported"}
    one = record(headline=["all in zone=b", "and in clinic=tiny."], causes=[cause])
    decided = ("decision.made", {"choice": "throttle", "because": "ward=unheard is hit"})
    text = told(space, incident(space, one, entries=[decided]), "responders")
    assert "all in zone=b" in text
    assert "clinic=… (fewer than 10, or not counted)" in text
    assert not re.search("tiny|unheard", text)


def test_the_time_is_that_of_the_workspace(tmp_path):
    """An update says when it was written, in UTC."""
    space = workspace(tmp_path)
    assert f"written Sunday, 22 November 2026, {NOW:%H:%M} UTC" in told(space, incident(space, record()))
