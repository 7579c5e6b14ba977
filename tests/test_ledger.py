"""The ledger: what is appended is what is read, in order, and what cannot be recorded is refused."""

import hashlib
import json
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rbnb.errors import IntegrityError, LedgerError, UsageError
from rbnb.ledger import GENESIS, MAX_BYTES, Check, Disk, Ledger, entry_name
from rbnb.model import NotMeasured

NOON = datetime(2026, 11, 19, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that says what it is told."""

    def __init__(self, *times: datetime) -> None:
        self.times = list(times)

    def __call__(self) -> datetime:
        """Return the next time; the last one for ever."""
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Where a ledger will be; nothing is there yet."""
    return tmp_path / "INC-20261119-01" / "ledger"


@pytest.fixture
def three(folder) -> Path:
    """A ledger of three entries."""
    ledger = Ledger(folder, clock=Clock(NOON))
    for n in range(1, 4):
        ledger.append("run.started", {"n": n}, by="ada")
    return folder


def test_what_was_appended_is_read_back(folder):
    """An entry that was appended is read back equal, with its time in UTC and its facts as JSON holds them."""
    clock = Clock(NOON.astimezone(datetime.fromisoformat("2026-11-19T00:00+05:30").tzinfo))
    body = {"what": NotMeasured("payload", "no column"), "value": math.nan, "where": ("a", 1), "text": "Größe \n ≤ 1"}
    entry = Ledger(folder, clock=clock).append("run.finished", body, by=" ada ")
    assert Ledger(folder).entries() == [entry]
    assert (entry.seq, entry.kind, entry.at, entry.by) == (1, "run.finished", NOON, "ada")
    assert entry.body == {
        "what": {"what": "payload", "why": "no column"},
        "value": None,
        "where": ["a", 1],
        "text": "Größe \n ≤ 1",
    }
    assert (entry.previous, entry.clock_stepped_back) == (GENESIS, 0)


def test_each_entry_names_the_raw_bytes_before_it(three):
    """Anybody with sha256sum can follow the chain: each file names the digest of the file before it."""
    before = GENESIS
    for path in sorted(three.iterdir()):
        fields = json.loads(path.read_bytes())
        assert list(fields) == ["format", "seq", "kind", "at", "by", "previous", "body"]
        assert fields["previous"] == before
        before = hashlib.sha256(path.read_bytes()).hexdigest()
    assert Ledger(three).head() == (3, before)
    assert Ledger(three).check() == Check(3, before)
    assert [path.name for path in sorted(three.iterdir())] == ["000001.json", "000002.json", "000003.json"]


def test_a_folder_without_entries(folder):
    """A ledger that was not begun has no entries; checking it is not a success."""
    ledger = Ledger(folder)
    assert ledger.entries() == []
    assert ledger.head() == (0, GENESIS)
    assert not ledger.check().ok
    assert ledger.check().first_bad == "000001.json"
    assert not folder.exists()


def test_two_objects_take_turns(three):
    """Two programs that append in turn build one row; neither overwrites the other."""
    one, two = Ledger(three), Ledger(three)
    for n in range(3):
        one.append("a.b", {"n": n}, by="one")
        two.append("a.b", {"n": n}, by="two")
    assert [entry.by for entry in one.entries()] == ["ada"] * 3 + ["one", "two"] * 3
    assert two.check().ok


def test_threads_share_one_ledger(folder):
    """Threads that share one object lose nothing and break nothing."""
    ledger = Ledger(folder)

    def work(name: str) -> None:
        for n in range(10):
            ledger.append("a.b", {"n": n}, by=name)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = ledger.entries()
    for name in "abcd":
        assert [entry.body["n"] for entry in entries if entry.by == name] == list(range(10))


def test_a_clock_that_steps_back(folder):
    """Entries keep their order when the clock steps back, and the step is recorded in seconds."""
    ledger = Ledger(folder, clock=Clock(NOON, NOON - timedelta(hours=1), NOON - timedelta(minutes=59), NOON))
    entries = [ledger.append("a.b", {}, by="ada") for _ in range(4)]
    assert Ledger(folder).entries() == entries
    assert [entry.clock_stepped_back for entry in entries] == [0, 3600, 0, 0]
    assert ledger.check().ok


@pytest.mark.parametrize(
    "kind", ["", "run", "Run.started", "run.", ".run", "run started", "run.started\n", "a.b-c", "ä.b"]
)
def test_a_kind_is_dotted_lower_case(folder, kind):
    """A kind that is not dotted lower case is refused, and nothing is written."""
    with pytest.raises(LedgerError, match="is not a kind of entry"):
        Ledger(folder).append(kind, {}, by="ada")
    assert not folder.exists()


def endless() -> dict:
    """A body that contains itself."""
    body: dict = {}
    body["self"] = body
    return body


@pytest.mark.parametrize(
    ("body", "by"),
    [
        ({"x": object()}, "ada"),
        ({"x": b"bytes"}, "ada"),
        ({"x": "\udc80"}, "ada"),
        ({"x": datetime(2026, 1, 1)}, "ada"),  # noqa: DTZ001 - a time without a zone is the point
        ({"x": 10**5000}, "ada"),
        (endless(), "ada"),
        ({"x": "y" * MAX_BYTES}, "ada"),
        ({}, ""),
        ({}, " \n"),
        ({}, "\udcff"),
        ({}, "y" * MAX_BYTES),
    ],
    ids=[
        "object",
        "bytes",
        "surrogate",
        "naive",
        "huge-int",
        "cycle",
        "too-large",
        "nobody",
        "blank",
        "name",
        "long-name",
    ],
)
def test_what_cannot_be_recorded_is_refused(folder, body, by):
    """Facts that strict JSON cannot hold, and an entry by nobody, are refused with a hint; nothing is written."""
    with pytest.raises(LedgerError) as caught:
        Ledger(folder).append("a.b", body, by=by)
    assert caught.value.exit_code == 7
    assert caught.value.hint
    assert not folder.exists()


def test_a_large_entry(folder):
    """An entry of nearly the largest size is recorded and read."""
    Ledger(folder).append("a.b", {"x": "y" * (MAX_BYTES - 8192)}, by="ada")
    assert Ledger(folder).check().ok


def test_nothing_is_added_to_a_broken_ledger(three):
    """A ledger that is not intact takes no entry; the error names the first bad one."""
    (three / "000002.json").unlink()
    with pytest.raises(IntegrityError, match=r"000002\.json is missing") as caught:
        Ledger(three).append("a.b", {}, by="ada")
    assert caught.value.exit_code == 6
    assert caught.value.hint
    assert not (three / "000004.json").exists()


@pytest.mark.parametrize("change", ["cut", "edit", "replace"])
def test_a_change_under_a_running_program_is_found(three, change):
    """A program that has the ledger open finds its last entry gone or changed, and adds nothing."""
    ledger = Ledger(three)
    ledger.append("a.b", {}, by="ada")
    last = three / "000004.json"
    raw = last.read_bytes()
    last.unlink()
    if change == "edit":
        last.write_bytes(raw.replace(b'"ada"', b'"eve"'))
    elif change == "replace":
        Ledger(three).append("c.d", {}, by="eve")
    with pytest.raises(IntegrityError, match=r"000004\.json is not the entry"):
        ledger.append("a.b", {}, by="ada")
    assert not (three / "000005.json").exists()


def test_another_writer_that_breaks_the_chain_is_found(three):
    """An entry that another program adds without following the chain is found before anything is built on it."""
    ledger = Ledger(three)
    ledger.append("a.b", {}, by="ada")
    fields = json.loads((three / "000004.json").read_bytes()) | {"seq": 5}
    (three / "000005.json").write_text(json.dumps(fields), encoding="utf-8")
    with pytest.raises(IntegrityError, match=r"000005\.json does not follow"):
        ledger.append("a.b", {}, by="ada")
    (three / "000005.json").write_text("{", encoding="utf-8")
    with pytest.raises(IntegrityError, match=r"000005\.json is not JSON"):
        ledger.append("a.b", {}, by="ada")


def test_hidden_left_overs_are_ignored(three):
    """What a killed writer left under a hidden name is no entry and disturbs nobody."""
    (three / ".000004.17-abc.tmp").write_bytes(b'{"half": ')
    assert Ledger(three).append("a.b", {}, by="ada").seq == 4
    assert Ledger(three).check().ok


def test_numbers_grow_beyond_six_digits(folder):
    """Entry 1000000 comes after entry 999999, in its name and in the check."""
    assert [entry_name(n) for n in (1, 999_999, 1_000_000)] == ["000001.json", "999999.json", "1000000.json"]
    ledger = Ledger(folder)
    ledger.append("a.b", {}, by="ada")
    folder.joinpath("1000000.json").write_bytes(b"{}")
    assert ledger.check().why == "is missing, and 1000000.json is there"
    folder.joinpath("1000000.json").rename(folder / "0000002.json")
    assert ledger.check().first_bad == "0000002.json"


def test_appending_at_a_million(folder):
    """A ledger whose last entry is 999999 takes the next two, and they follow each other."""
    ledger = Ledger(folder)
    first = ledger.append("a.b", {}, by="ada")
    raw = (folder / "000001.json").read_bytes().replace(b'"seq": 1,', b'"seq": 999999,')
    (folder / "000001.json").unlink()
    (folder / "999999.json").write_bytes(raw)
    ledger._known = [ledger._read(999_999)]
    entries = [ledger.append("a.b", {}, by="ada") for _ in range(2)]
    assert [entry.seq for entry in entries] == [1_000_000, 1_000_001]
    assert entries[1].previous == entries[0].digest
    assert first.seq == 1
    assert sorted(path.name for path in folder.iterdir()) == ["1000000.json", "1000001.json", "999999.json"]


def test_entries_are_read_only_files(three):
    """No entry can be written by its own permissions, so an editor warns before it changes one."""
    assert {oct(path.stat().st_mode & 0o222) for path in three.iterdir()} == {"0o0"}


def test_a_file_where_the_folder_should_be(tmp_path):
    """A file in the place of the folder is an error with a hint when writing and when reading."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    for folder in (tmp_path / "file", tmp_path / "file" / "ledger"):
        with pytest.raises(LedgerError) as caught:
            Ledger(folder).append("a.b", {}, by="ada")
        assert "a file stands where" in caught.value.hint
        with pytest.raises(LedgerError):
            Ledger(folder).check()


def test_a_short_write_is_continued(folder):
    """A disk that takes a few bytes at a time still gets the whole entry."""

    class Slow(Disk):
        def write(self, fd, data):
            return os.write(fd, data[:7])

    entry = Ledger(folder, disk=Slow()).append("a.b", {"x": "y" * 100}, by="ada")
    assert Ledger(folder).entries() == [entry]


def once(entries):
    """Allow a door to be opened that nobody has opened yet."""
    if any(entry.kind == "door.opened" for entry in entries):
        raise UsageError("the door is open already")
    return "door.opened", {"before": len(entries)}


def test_a_rule_decides_on_what_stands_before(folder):
    """What is recorded under a rule is what the rule made of every entry before it."""
    ledger = Ledger(folder)
    ledger.append("a.b", {}, by="ada")
    assert ledger.append_when(once, by="ben").body == {"before": 1}


def test_a_rule_that_refuses_records_nothing(folder):
    """Where a rule raises, the ledger is as it was, and takes further entries."""
    ledger = Ledger(folder)
    ledger.append_when(once, by="ada")
    with pytest.raises(UsageError):
        ledger.append_when(once, by="ben")
    assert ledger.append("a.b", {}, by="ada").seq == 2


def test_of_many_at_once_one_succeeds(folder):
    """Of 24 writers who try at once to do what may be done once, each with its own ledger object, one succeeds."""
    Ledger(folder).append("a.b", {}, by="ada")
    start = threading.Barrier(24)

    def attempt(number):
        ledger = Ledger(folder)
        ledger.entries()
        start.wait()
        try:
            ledger.append_when(once, by=f"writer-{number}")
        except UsageError:
            return 0
        return 1

    with ThreadPoolExecutor(24) as pool:
        assert sum(pool.map(attempt, range(24))) == 1
    assert [entry.kind for entry in Ledger(folder).entries()] == ["a.b", "door.opened"]
