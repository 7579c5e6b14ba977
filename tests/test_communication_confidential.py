"""Nothing above an audience's level leaves: canaries in every field of the record and of the ledger."""

from __future__ import annotations

import base64
import itertools
import json
import re

import pytest
from communication_fixture import incident, record, tried, workspace

from rbnb.communication import load_communication
from rbnb.communication.markup import escape, plain_text, slack_blocks
from rbnb.communication.plain import outside
from rbnb.config import shipped
from rbnb.governance.audiences import Words
from rbnb.policy import is_policy, load_policy

AUDIENCES = ("responders", "stakeholders", "leadership", "regulators")
CANARY = re.compile(r"cnry\d+x")

#: What steers, and is no text: kept as it is where canaries are planted.
STEERS = {
    "status", "verdict", "level", "took", "onset", "ended", "at", "finished", "started", "detected_at", "kind", "way",
    "phase", "outcome", "path", "sha256", "severity",
}  # fmt: skip

#: Which fields may leave, by audience, as the places where canaries were planted.
INSIDE = {"environment", "model.environment"}
MAY_LEAVE = {
    "stakeholders": set(),
    "leadership": INSIDE | {"segments.0.where"},
    "regulators": INSIDE | {"model.version"},
    "responders": INSIDE
    | {
        "segments.0.where", "segments.1.where", "headline.0", "headline.1", "findings.0.signal", "findings.0.threshold",
        "causes.0.name", "proposal.action", "proposal.because", "proposal.command", "not_measured.0.what",
        "decision.made.choice", "decision.made.because", "action.started.action", "rollout.held.because",
        "incident.assigned.person", "incident.assigned.role",
    },
}  # fmt: skip


class Canaries:
    """Strings that occur nowhere else, and where each was planted."""

    def __init__(self):
        self.planted = {}

    def one(self, place):
        """Plant one."""
        name = f"cnry{len(self.planted)}x"
        self.planted[name] = place
        return name

    def into(self, value, place=""):
        """Return a value with a canary for each text in it but those that steer."""
        if isinstance(value, dict):
            return {key: self._kept(key, one, f"{place}.{key}".lstrip(".")) for key, one in value.items()}
        if isinstance(value, list):
            return [self.into(one, f"{place}.{number}") for number, one in enumerate(value)]
        return self.one(place) if isinstance(value, str) else value

    def _kept(self, key, value, place):
        steers = (key in STEERS and not isinstance(value, dict)) or place in ("template.name", "findings.0.unit")
        if steers and place != "causes.0.kind":
            return value
        if key == "where" and value:
            return " & ".join(f"{part.partition('=')[0]}={self.one(place)}" for part in value.split(" & "))
        return self.into(value, place)

    def found(self, text):
        """Return where the canaries of a text were planted."""
        return {self.planted[name] for name in CANARY.findall(text)}


def whole_record():
    """Return a record in which every field has something."""
    cause = {"kind": "dependency", "name": "n", "where": "zone=b", "evidence": "e", "status": "supported", "at": None}
    finding = {
        "signal": "s",
        "where": "clinic=x",
        "value": 3.0,
        "unit": "ratio",
        "n": 4,
        "threshold": "t",
        "status": "breach",
    }
    more = {"reason": "r", "reference": 1.0, "method": "m", "interval": None}
    return record(
        error={"kind": "error", "message": "m", "stage": "s", "traceback": "t", "cell": 1},
        headline=["a", "b"],
        because=["a", "b"],
        observations=[{"by": "eva", "text": "seen", "about": "zone=b", "recorded_by": "dan", "cited_by": ["x"]}],
        causes=[cause],
        findings=[{**finding, **more}],
        referrals=[{"runbook": "x", "because": "y"}],
        proposal={"action": "a", "because": "b", "where": "zone=b", "values": {"k": "v"}, "missing": ["m"],
                  "escalate_to": "e", "command": "c", "rollback": "r"},
        not_measured=[{"what": "w", "why": "y"}],
        materials=[{"source": "predictions", "table": "t", "digest": "d"}],
        products=[{"path": "p", "sha256": "d"}],
        policy={"name": "latency_spike", "version": "1"},
        second_opinion={"tool": "t", "why": "w", "differ": [{"column": "c", "because": "b"}]},
    )  # fmt: skip


def whole_ledger():
    """Return entries of every kind, with texts in every field."""
    values = {"argv": ["kubectl", "x"], "host": "h", "plan": "p", "snapshot": {"values": {"a": "b"}}}
    attempt = tried("shift_traffic", "held", 1, **values, run="r")
    return [
        ("incident.acknowledged", {"note": "n"}),
        ("incident.assigned", {"role": "scribe", "person": "eva"}),
        ("severity.set", {"level": "SEV1", "because": "b"}),
        ("observation.recorded", {"text": "t", "by": "eva", "about": "zone=b"}),
        (
            "decision.made",
            {"choice": "c", "because": "b", "rejected": [{"option": "o", "because": "b"}], "values": {"k": "v"}},
        ),
        ("approval.given", {"subject": "s", "key": "k", "signature": "s", "statement": "t", "because": "b"}),
        ("approval.rejected", {"subject": "s", "because": "b"}),
        ("evidence.taken", {"because": "b"}),
        *attempt,
        (
            "acceptance.measured",
            {"met": False, "criteria": [{"name": "n", "where": "zone=b", "met": False, "source": "s"}]},
        ),
        ("rollout.held", {"because": "b", "item": "i"}),
        ("compliance.answered", {"item": "i", "applies": "yes", "because": "b"}),
        ("risk.assessed", {"harm": "h", "who": "w", "mitigations": ["m"]}),
        ("note.refused", {"operation": "note", "why": "w", "spelled": "mallory"}),
        ("status.set", {"status": "open", "because": "b"}),
    ]


def sentence(name):
    """Return the plain words of a slow model with a canary where the component stands."""
    why = f"because something it depends on is in trouble: {name}"
    following = "The proposal is to send requests to where it is not slow. A person decides that, and it can be undone."
    return {
        "what": f"The model answers slowly since 2026-11-22 14:05 UTC, {why}.",
        "how_bad": f"{name} of requests are slower than they should be. {name} 1 ms instead of {name}.",
        "next": following,
    }


@pytest.mark.parametrize("plain", ["fits", "does not fit", "other runbook"])
@pytest.mark.parametrize("audience", AUDIENCES)
@pytest.mark.parametrize("ending", ["open", "closed"])
def test_no_canary_leaves_above_its_level(tmp_path, monkeypatch, audience, plain, ending):
    """Every text of record and ledger is planted with a canary; an update holds only those its audience may hear."""
    monkeypatch.setenv("RBNB_USER", "ada")
    canaries = Canaries()
    planted = canaries.into(whole_record())
    planted["branch"][-1]["took"] = "yes → infrastructure_dependency"
    if plain == "fits":
        planted["plain"] = sentence(canaries.one("plain.gap"))
    if plain == "other runbook":
        planted["template"]["name"] = "made_up"
    entries = [(kind, canaries.into(body, kind)) for kind, body in whole_ledger()]
    entries += [("incident.closed", {"resolution": canaries.one("resolution"), "because": canaries.one("because"),
                                     "accepted": True})] * (ending == "closed")  # fmt: skip
    space = workspace(tmp_path)
    opened = incident(space, planted, entries=entries, environment=canaries.one("environment"))
    space.update(opened.name, audience)
    kept = next((opened.folder / "updates").iterdir()).read_text(encoding="utf-8")
    sent = json.dumps(slack_blocks(kept, []))
    assert canaries.found(kept) <= MAY_LEAVE[audience]
    assert canaries.found(sent) <= MAY_LEAVE[audience]
    assert canaries.found(base64.b64encode(kept.encode()).decode()) == set()
    if audience in ("leadership", "responders"):
        assert "segments.0.where" in canaries.found(kept), "the canaries are where they can be found"


@pytest.mark.parametrize("audience", ["stakeholders", "leadership", "regulators"])
def test_no_person_is_named_outside_of_the_responders(tmp_path, monkeypatch, audience):
    """Whoever wrote, decided or acted is told by role only."""
    monkeypatch.setenv("RBNB_USER", "ada")
    space = workspace(tmp_path)
    assigned = ("incident.assigned", {"role": "scribe", "person": "eva"})
    opened = incident(space, record(), entries=[assigned, *tried(), ("decision.made", {"choice": "throttle"})])
    text = space.update(opened.name, audience, note="All is being done.").written.text.casefold()
    assert not re.search(r"\b(ada|adams|eva|ben)\b", text)
    assert "incident commander" in text


NASTY = [
    "<!here> <!channel> <@U123> <#C1> <https://evil.example|click>", "@here @channel @everyone @ here",
    "*b* _i_ ~s~ `c`",
    "# head", "- item", "1. item", "> quote", "| a | b |", "[x](javascript:alert(1))", "![i](http://evil.example/x)",
    "<script>alert(1)</script>", "&lt;b&gt;", "a\u202eb\u200bc\u2066d", "x\ny\r\n# z", "\x1b[31mred\x1b[0m",
    "{{ 7 * 7 }}",
    "{% raw %}", "\\", "\\*", "**bold**", "---", "===", "\ue000x\ue000", "+ plus", "$x^2$", "a" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("nasty", NASTY)
def test_data_is_text_and_nothing_else_wherever_it_ends_up(tmp_path, monkeypatch, nasty):
    """Whatever stands in the record or in a note makes no markup, calls nobody, hides nothing."""
    monkeypatch.setenv("RBNB_USER", "ada")
    space = workspace(tmp_path)
    opened = incident(space, record(headline=[nasty], segments=[], causes=[]))
    text = space.update(opened.name, "responders", note=nasty[:900]).written.text
    blocks = slack_blocks(text, [nasty])
    assert not re.search(r"(?<!\\)<|(?<!\\)\{\{|[\u202e\u200b\u2066\x1b]", text)
    assert sum(line.startswith("# ") for line in text.split("\n")) == 1
    for shown in [block["text"]["text"] for block in blocks["blocks"][1:-1]] + [blocks["text"]]:
        assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", shown)
    for form in (text, json.dumps(blocks), plain_text(text)):
        assert not re.search(r"@\s?(here|channel|everyone)|\\u202e", form, re.IGNORECASE)
    assert nasty[:20] in plain_text(text) or not nasty.isprintable() or "@" in nasty or " " * 2 in nasty


@pytest.mark.parametrize("nasty", NASTY)
def test_what_is_escaped_reads_as_it_was(nasty):
    """Escaping is undone exactly where a text is shown plainly."""
    shown = escape(nasty)
    assert plain_text(shown).count("**") == escape(nasty).count(r"\*\*")
    assert "\n" not in shown


@pytest.mark.parametrize("lines", [1, 60, 400])
def test_a_slack_message_keeps_slacks_limits(lines):
    """Sections, header, context and the number of blocks stay within what Slack takes, and a cut is said."""
    paragraphs = [f"**{number}** {escape('&<' * 700, 3000)}\n" for number in range(lines)]
    message = slack_blocks("# " + "t" * 500 + "\n\n" + "\n".join(paragraphs), ["key " + "k" * 5000])
    blocks = message["blocks"]
    assert len(blocks) <= 50
    assert [blocks[0]["type"], blocks[-1]["type"]] == ["header", "context"]
    assert len(blocks[0]["text"]["text"]) <= 150
    assert all(0 < len(block["text"]["text"]) <= 3000 for block in blocks[1:-1])
    assert not [b for b in blocks[1:-1] if re.search(r"&(?!amp;|lt;|gt;)", b["text"]["text"])]
    assert len(blocks[-1]["elements"][0]["text"]) <= 1500
    assert message["text"]
    if lines == 400:
        assert "more sections" in blocks[-2]["text"]["text"]


WORDS = Words(severity={}, status={}, instead={"column": "an input"}, said={"way": ["# of # are right", "it takes"]})
SENTENCES = ["Wrong since {onset}: {column}.", "It {way} {level_to} or {x.value}.", "In {where}, too."]


def test_only_words_of_the_policy_numbers_and_times_leave_a_sentence():
    """A name in a gap is left out or said vaguely; a text that is not the policy's is not said at all."""
    whole = "Wrong since 2026-11-22 14:05 UTC: card_no. It it takes 1\u202f200 ms or 4 %. In eu-west, too."
    first = "Wrong since Sunday, 22 November 2026, 14:05 UTC."
    rest = "It it takes 1.2 seconds or 4 %."
    assert outside(whole, SENTENCES, WORDS) == f"{first} {rest}"
    assert outside("It 3 of 4 are right 5 or 6.", SENTENCES, WORDS) == "It 3 of 4 are right 5 or 6."
    assert outside("ada did it.", SENTENCES, WORDS) == ""
    assert outside("", SENTENCES, WORDS) == ""
    assert outside("anything", [], WORDS) == ""


def leaves():
    """Return every leaf of the shipped policies with its plain sentences."""
    found = []
    for file in sorted(shipped("policies").glob("*.yaml")):
        if is_policy(file):
            policy = load_policy(file)
            for name, node in policy.nodes.items():
                plain = getattr(node, "plain", None) or {}
                found += [
                    pytest.param([line.text for line in lines], policy.facts, id=f"{policy.name}-{name}-{part}")
                    for part, lines in plain.items()
                ]
    return found


@pytest.mark.parametrize(("sentences", "units"), leaves())
def test_every_sentence_of_the_shipped_runbooks_reads_well_without_names(sentences, units):
    """Whatever a runbook concludes, what those outside read of its plain words is whole sentences without names."""
    words = load_communication(shipped("policies") / "communication.yaml").words

    def value(found):
        name = found[1]
        number = "32 %" if name.endswith(".value") else "cnry1x"
        return "2026-11-22 14:05 UTC" if units.get(name) == "time" else number

    filled = " ".join(re.sub(r"\{([a-z0-9_.]+)\}", value, sentence) for sentence in sentences)
    told = outside(filled, sentences, words)
    assert "cnry1x" not in told
    assert not re.search(r"[{}\ue000]|  | [.,:;]|[,:;]\.|^[a-z]", told)
    assert not told or told.endswith(".")
    if "cnry1x" not in filled and "UTC" not in filled:
        assert told == filled


def test_no_arrangement_of_names_leaves_a_sentence():
    """Whatever fills the gaps, and however they run together, no name comes through."""
    names = ["host-17", "2026", "14:05 UTC: ada", ". It it takes ", "5 ms or ada", "ada. In b, too", "4 % ada"]
    for first, second, third in itertools.product(names, repeat=3):
        text = f"Wrong since {first}: {second}. It {third} {first} or {second}. In {third}, too."
        told = outside(text, SENTENCES, WORDS)
        assert not re.search(r"ada|host|17", told)
