"""Sending: never lost, perhaps twice, bounded, and the address nowhere."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest
from communication_fixture import PEOPLE, incident, receiver, record, waited, workspace

from rbnb.communication import Patience, pending
from rbnb.communication.sending import Message, send
from rbnb.config import Channel
from rbnb.workspace import Workspace

#: One of apprise's modules uses a part of the standard library that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

QUICK = Patience(tries=2, each=5.0, pause=0.005, total=20.0)
CHANNEL = '[communication.stakeholders]\nwebhook = "${RBNB_TEST_HOOK}"\nformat = "FORM"\n'


@pytest.fixture(autouse=True)
def _ada(monkeypatch):
    monkeypatch.setenv("RBNB_USER", "ada")


@pytest.fixture
def hook(monkeypatch):
    """A receiver on loopback whose address the environment holds."""
    with receiver() as kept:
        monkeypatch.setenv("RBNB_TEST_HOOK", kept.address)
        yield kept


def space_with(folder, form="slack"):
    """Make a workspace whose stakeholders have a channel."""
    return workspace(folder, PEOPLE + CHANNEL.replace("FORM", form))


def kinds(opened):
    """Return the kinds of the entries about updates."""
    return [one.kind for one in opened.state().entries if one.kind.startswith("update.")]


def test_a_slack_message_arrives_with_its_key(tmp_path, hook):
    """The receiver gets blocks, a fallback, and the key that is the digest of the entry, in header and context."""
    space = space_with(tmp_path)
    opened = incident(space, record())
    told = space.update(opened.name, "stakeholders", send=True, patience=QUICK)
    headers, body, _ = hook.got[0]
    message = json.loads(body)
    entry = next(one for one in opened.state().entries if one.kind == "update.written")
    assert told.arrived
    assert headers["Idempotency-Key"] == entry.digest == told.written.key
    assert f"key {entry.digest[:12]}" in message["blocks"][-1]["elements"][0]["text"]
    assert message["text"].startswith("RED: not under control yet")
    sent = opened.state().entries[-1]
    assert (sent.kind, sent.body["status"], sent.body["tries"], sent.body["through"]) == (
        "update.sent",
        200,
        1,
        "slack",
    )
    assert sent.body["key"] == entry.digest


def test_a_program_gets_json(tmp_path, hook):
    """The json format holds the text, plain and marked up, with number, colour, severity and key as fields."""
    space = space_with(tmp_path, "json")
    opened = incident(space, record())
    space.update(opened.name, "stakeholders", send=True, patience=QUICK)
    body = json.loads(hook.got[0][1])
    kept = (opened.folder / "updates/01-stakeholders.md").read_text(encoding="utf-8")
    assert (body["number"], body["colour"], body["severity"], body["status"]) == (1, "red", "SEV2", "open")
    assert body["markdown"] == kept
    assert "**" not in body["text"]


def test_other_services_go_through_apprise(tmp_path, monkeypatch):
    """With the extra installed, an address of apprise is used, and what the service answers is believed."""
    with receiver() as kept:
        monkeypatch.setenv("RBNB_TEST_HOOK", kept.address.replace("http://", "json://"))
        space = space_with(tmp_path, "apprise")
        opened = incident(space, record())
        assert space.update(opened.name, "stakeholders", send=True, patience=QUICK).arrived
        body = json.loads(kept.got[0][1])
        assert body["title"].startswith("RED: not under control yet")
        assert "key " in body["message"]
        kept.plan = [500, 500]
        assert not space.update(opened.name, "stakeholders", send=True, patience=QUICK).arrived
        assert kinds(opened)[-1] == "update.failed"


def test_without_the_extra_it_is_said_how_to_install_it(tmp_path):
    """Where apprise is not installed the update is kept, and the failure names the extra."""
    space = space_with(tmp_path, "apprise")
    name = incident(space, record()).name
    code = (
        "import sys; sys.modules['apprise'] = None\n"
        "from pathlib import Path\nfrom rbnb.workspace import Workspace\n"
        f"told = Workspace.open(Path({str(tmp_path)!r})).update({name!r}, 'stakeholders', send=True)\n"
        "print(told.sent[0].delivery.why)"
    )
    env = {**os.environ, "RBNB_TEST_HOOK": "json://127.0.0.1:1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert 'pip install "rbnb[notify]"' in done.stdout


OUTAGES = [
    "refused",
    500,
    "hang",
    "reset",
    (429, {"Retry-After": "0"}),
    503,
    502,
    (429, {"Retry-After": "999"}),
    504,
    404,
]


def test_a_hundred_outages_lose_nothing(tmp_path, hook, monkeypatch):
    """P15: a receiver that is down in every way a hundred times gets every update in the end, with its key."""
    space = space_with(tmp_path)
    out, back = (
        Patience(tries=1, each=0.06, pause=0.001, total=1.0),
        Patience(tries=3, each=3.0, pause=0.001, total=9.0),
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}/hook"
    address, keys = hook.address, []
    for _ in range(10):
        opened = incident(space, record())
        for way in OUTAGES:
            monkeypatch.setenv("RBNB_TEST_HOOK", nobody if way == "refused" else address)
            hook.plan = [] if way == "refused" else [way] * 20
            told = space.update(opened.name, "stakeholders", send=True, patience=out)
            keys.append(told.written.key)
            assert not told.sent[-1].delivery.sent, way
        hook.plan = []
        monkeypatch.setenv("RBNB_TEST_HOOK", address)  # the receiver is there again
        assert all(one.delivery.sent for one in space.resend(opened.name, patience=back))
        assert pending(opened) == []
        assert not opened.check().problems
    assert len(set(keys)) == 100
    assert set(keys) <= set(hook.keys)


def test_what_failed_goes_out_with_the_next_update_and_before_it(tmp_path, hook):
    """The next `rbnb update --send` sends what did not arrive, in order."""
    space = space_with(tmp_path)
    opened = incident(space, record())
    hook.plan = [500, 500]
    first = space.update(opened.name, "stakeholders", send=True, patience=QUICK)
    assert (kinds(opened), first.sent[0].delivery.tries) == (["update.written", "update.failed"], 2)
    assert opened.state().entries[-1].body["why"] == "the receiver answered 500"
    second = space.update(opened.name, "stakeholders", send=True, patience=QUICK)
    assert [one.number for one in second.sent] == [1, 2]
    assert hook.keys == [first.written.key, second.written.key]


def test_what_one_receiver_refuses_for_good_does_not_hold_up_what_is_new(tmp_path, hook):
    """A 4xx is not tried again at once, stays in the outbox, and the next update goes out all the same."""
    space = space_with(tmp_path)
    opened = incident(space, record())
    hook.plan = [404]
    assert space.update(opened.name, "stakeholders", send=True, patience=QUICK).sent[0].delivery.tries == 1
    hook.plan = [400, 500, 500, 500, 500]
    space.update(opened.name, "stakeholders", send=True, patience=QUICK)
    assert [one.about["number"] for one in pending(opened)] == [1, 2]
    hook.plan = [400]
    told = space.update(opened.name, "stakeholders", send=True, patience=QUICK)
    assert [one.delivery.sent for one in told.sent] == [False, True, True]
    assert [one.about["number"] for one in pending(opened)] == [1]


def test_an_update_that_was_only_written_is_not_sent_later(tmp_path, hook):
    """Without --send nothing leaves, now or with a later --resend."""
    space = space_with(tmp_path)
    opened = incident(space, record())
    space.update(opened.name, "stakeholders")
    assert space.resend(opened.name, patience=QUICK) == []
    assert hook.got == []


def test_killed_between_writing_and_sending_it_is_sent_by_the_next(tmp_path, hook):
    """A process that is killed while the receiver hangs leaves the update in the outbox, and --resend sends it."""
    space = space_with(tmp_path)
    opened = incident(space, record())
    hook.plan = ["hang"]
    code = (
        f"from pathlib import Path\nfrom rbnb.workspace import Workspace\n"
        f"Workspace.open(Path({str(tmp_path)!r})).update({opened.name!r}, 'stakeholders', send=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ))
    assert waited(lambda: len(hook.got) == 1, 20)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert kinds(opened) == ["update.written"]
    hook.release.set()
    sent = space.resend(opened.name, patience=QUICK)
    assert [one.delivery.sent for one in sent] == [True]
    assert kinds(opened) == ["update.written", "update.sent"]


def test_a_ledger_that_cannot_be_written_stops_nobody_from_being_told(tmp_path, hook):
    """P15: telling fails open: the update is sent, and it is said that the record lacks it."""
    space = space_with(tmp_path)
    opened = incident(space, record())
    before = len(opened.state().entries)
    (opened.folder / "updates").write_text("a file where the folder should be")
    told = space.update(opened.name, "stakeholders", send=True, patience=QUICK)
    assert told.arrived
    assert len(hook.got) == 1
    assert told.written.unrecorded
    assert told.sent[0].unrecorded
    assert len(opened.state().entries) == before


def test_a_full_disk_stops_nobody_from_being_told(tmp_path, hook):
    """With no room for a byte the update goes out, the command says what the record lacks, the ledger is intact."""
    space = space_with(tmp_path)
    opened = incident(space, record())
    command = f"ulimit -f 0; exec {sys.executable} -m rbnb.cli update {opened.name} --audience stakeholders --send"
    done = subprocess.run(
        ["bash", "-c", f"trap '' XFSZ; {command}"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert len(hook.got) == 1, done.stderr
    assert "the record lacks this update" in done.stderr
    assert done.returncode == 0
    assert not opened.check().problems


def test_a_text_that_was_changed_on_the_disk_is_not_sent(tmp_path, hook):
    """What goes out later is what was recorded, or nothing."""
    space = space_with(tmp_path)
    opened = incident(space, record())
    hook.plan = [500, 500]
    space.update(opened.name, "stakeholders", send=True, patience=QUICK)
    (opened.folder / "updates/01-stakeholders.md").write_text("# All is well\n")
    sent = space.resend(opened.name, patience=QUICK)
    assert "is not what was recorded" in sent[0].delivery.why
    assert len(hook.got) == 2


def test_retry_after_is_kept_where_there_is_time_for_it():
    """A receiver that asks to wait is waited for, within the bound, and otherwise the update is kept for later."""
    waits = []
    with receiver() as kept:
        os.environ["RBNB_TEST_HOOK"] = kept.address
        try:
            channel = Channel(webhook="${RBNB_TEST_HOOK}", format="json")
            patient = Patience(tries=3, each=1.0, pause=0.001, total=20.0, sleep=waits.append)
            kept.plan = [(429, {"Retry-After": "7"})]
            assert send(Message("# T\n", "k"), channel, patient).sent
            assert waits == [7.0]
            kept.plan = [(503, {"Retry-After": "60"})]
            delivery = send(Message("# T\n", "k"), channel, patient)
        finally:
            del os.environ["RBNB_TEST_HOOK"]
    assert (delivery.sent, delivery.tries) == (False, 1)
    assert delivery.why == "the receiver answered 503, and asks to wait 60 s"


@pytest.mark.parametrize("way", ["hang", "drip"])
def test_sending_is_bounded_whatever_the_receiver_does(hook, way):
    """A receiver that never answers, or answers byte by byte, costs no more than the bound."""
    channel = Channel(webhook="${RBNB_TEST_HOOK}", format="slack")
    hook.plan = [way] * 9
    begun = time.monotonic()
    delivery = send(Message("# T\n", "k"), channel, Patience(tries=9, each=0.1, pause=0.01, total=0.5))
    assert time.monotonic() - begun < 5
    assert (delivery.sent, delivery.why) == (False, "no answer in time")


def test_a_redirect_is_not_followed(hook):
    """A message goes where the workspace says, or nowhere."""
    channel = Channel(webhook="${RBNB_TEST_HOOK}", format="slack")
    hook.plan = [(307, {"Location": hook.address + "/elsewhere"})]
    delivery = send(Message("# T\n", "k"), channel, QUICK)
    assert (delivery.sent, delivery.for_good, len(hook.got)) == (False, True, 1)


SECRETS = [
    "http://127.0.0.1:{port}/services/S3CR3T", "http://S3CR3T:S3CR3T@127.0.0.1:{port}/S3CR3T", "http://[S3CR3T",
    "S3CR3T",
    "http://S3CR3T.invalid/S3CR3T", "ftp://S3CR3T", "http://127.0.0.1:99999/S3CR3T", "http://\u2028S3CR3T/",
    "json://S3CR3T.invalid/x",
    "nonsense://S3CR3T",
]  # fmt: skip


@pytest.mark.parametrize("form", ["slack", "json", "apprise"])
@pytest.mark.parametrize("address", SECRETS)
def test_the_address_is_nowhere(tmp_path, hook, monkeypatch, caplog, capfd, form, address):
    """The webhook's address is in no file, log, output, error or result, whether it works or not."""
    port = hook.address.rpartition(":")[2].partition("/")[0]
    monkeypatch.setenv("RBNB_TEST_HOOK", address.format(port=port))
    caplog.set_level(logging.DEBUG)
    hook.plan = [500]
    space = space_with(tmp_path, form)
    opened = incident(space, record())
    told = space.update(opened.name, "stakeholders", send=True, patience=Patience(2, 0.3, 0.001, 1.0))
    result = repr(told.sent) + repr(told.written)
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    printed = "".join(capfd.readouterr())
    for place in (result, files.decode(errors="replace"), caplog.text, printed):
        assert "s3cr3t" not in place.casefold()


def test_an_address_that_is_not_set_is_named_by_its_variable(tmp_path, monkeypatch):
    """The failure says which environment variable to set, and the update waits until it is."""
    monkeypatch.delenv("RBNB_TEST_HOOK", raising=False)
    space = space_with(tmp_path)
    opened = incident(space, record())
    told = space.update(opened.name, "stakeholders", send=True)
    assert told.sent[0].delivery.why == "the environment variable RBNB_TEST_HOOK is not set"
    assert len(pending(opened)) == 1


def _write_many(folder, name, count):
    space = Workspace.open(folder)
    for _ in range(count):
        space.update(name, "stakeholders")


def test_writers_at_once_share_no_number(tmp_path):
    """Four processes that write updates at once get different numbers, files and texts, without a gap."""
    space = space_with(tmp_path)
    opened = incident(space, record())
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(tmp_path, opened.name, 4)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    written = [one for one in opened.state().entries if one.kind == "update.written"]
    assert [one.body["number"] for one in written] == list(range(1, 17))
    for one in written:
        text = (opened.folder / one.body["path"]).read_text(encoding="utf-8")
        assert f"update {one.body['number']} on" in text
    assert len({one.body["path"] for one in written}) == 16
    assert len(list((opened.folder / "updates").iterdir())) == 16
    assert not opened.check().problems


def rbnb(folder, *words):
    """Run the command line."""
    command = [sys.executable, "-m", "rbnb.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


def test_the_command_shows_records_sends_and_says_what_did_not_arrive(tmp_path, hook):
    """`rbnb update` shows the text, leaves with 1 where it did not arrive, and --resend brings it there."""
    space = space_with(tmp_path)
    name = incident(space, record()).name
    shown = rbnb(tmp_path, "update", name, "--audience", "stakeholders", "--note", "We are on it.", "--next", "A call.")
    assert shown.returncode == 0
    assert "RED: not under control yet · update 1 on fraud-v3" in shown.stdout
    assert f"on record: {name}/updates/01-stakeholders.md" in shown.stdout
    assert "next: update 1 for leadership, from the incident commander, by 2026-11-22T16:10:00Z" in shown.stdout
    hook.plan = [404]
    failed = rbnb(tmp_path, "update", name, "--audience", "stakeholders", "--send", "--json")
    assert failed.returncode == 1
    told = json.loads(failed.stdout)
    assert {one["audience"] for one in told["due"]} == {"responders", "stakeholders", "leadership", "regulators"}
    assert (told["number"], told["recorded"], told["sent"][0]["why"]) == (2, True, "the receiver answered 404")
    assert f"rbnb update {name} --resend" in failed.stderr
    again = rbnb(tmp_path, "update", name, "--resend")
    assert (again.returncode, again.stdout) == (0, "update 2 for stakeholders: sent through slack\n")
    assert rbnb(tmp_path, "update", name, "--resend").stdout == f"{name}: nothing waits to be sent\n"
    for wrong in (
        ["update", name],
        ["update", name, "--resend", "--note", "x"],
        ["update", name, "--audience", "shops"],
    ):
        assert rbnb(tmp_path, *wrong).returncode == 2


def test_files_are_as_private_as_the_rest(tmp_path):
    """An update's file is readable by whoever may read the incident, and by nobody else because of us."""
    space = space_with(tmp_path)
    opened = incident(space, record())
    space.update(opened.name, "stakeholders")
    mode = stat.S_IMODE((opened.folder / "updates/01-stakeholders.md").stat().st_mode)
    assert not mode & 0o022
    assert re.fullmatch(r"0o6\d\d", oct(mode))
