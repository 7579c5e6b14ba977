"""Whatever is changed in a ledger is found, and the first file that is not as it was written is named."""

import json
import os
import random
import shutil
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rbnb.errors import IntegrityError
from rbnb.ledger import MAX_BYTES, Disk, Ledger, entry_name

NOON = datetime(2026, 11, 19, 12, 0, tzinfo=UTC)
COUNT = 20


def write(folder: Path, count: int = COUNT, word: str = "fraud-v3") -> Path:
    """Write a ledger."""
    ledger = Ledger(folder, clock=lambda: NOON)
    for n in range(1, count + 1):
        ledger.append("run.started", {"n": n, "of": word}, by="ada")
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A ledger of 20 entries that is only read."""
    return write(tmp_path_factory.mktemp("original") / "ledger")


@pytest.fixture
def copy(original, tmp_path) -> Path:
    """A copy of it that may be changed."""
    folder = shutil.copytree(original, tmp_path / "ledger")
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


class Held(Disk):
    """A ledger held in memory, so that many thousand changes are checked in seconds."""

    def __init__(self, folder: Path) -> None:
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()}

    def names(self, folder):  # noqa: ARG002 - there is only one
        """Return the names."""
        return list(self.files)

    def read(self, path):
        """Return the bytes."""
        if path.name not in self.files:
            raise FileNotFoundError(path)
        return self.files[path.name]


def check_flip(held: Held, seq: int, at: int, bit: int, known: tuple[int, str]) -> bool:
    """Flip a bit and assert that the right file is named; return whether the chain alone found it."""
    name = entry_name(seq)
    raw = held.files[name]
    held.files[name] = raw[:at] + bytes([raw[at] ^ (1 << bit)]) + raw[at + 1 :]
    ledger = Ledger(Path("ledger"), disk=held)
    alone = ledger.check()
    if seq < COUNT:
        assert alone.first_bad == name, (name, at, bit)
        assert alone.entries == seq - 1
    else:
        # the last entry: no one after it bears witness, so a changed link may be laid at either end
        assert alone.first_bad in (None, name, entry_name(seq - 1))
        if alone.first_bad == entry_name(seq - 1):
            assert name in alone.why
    if seq >= COUNT - 1 or at % 16 == 0:
        assert ledger.check(expected=known).first_bad == name, (name, at, bit)
    held.files[name] = raw
    return not alone.ok


def test_every_byte_is_guarded(original):
    """A flipped bit at any byte of 20 entries is found and laid at the right file; in the last, by the known head."""
    held = Held(original)
    known = Ledger(original).head()
    dice = random.Random(1)
    missed = tried = 0
    for seq in range(1, COUNT + 1):
        for at in range(len(held.files[entry_name(seq)])):
            found = check_flip(held, seq, at, dice.randrange(8), known)
            missed += not found and seq < COUNT
            tried += 1
    assert missed == 0
    assert tried == sum(map(len, held.files.values())) > 4000


@pytest.mark.parametrize("seq", [1, 7, COUNT])
def test_every_bit_is_guarded(original, seq):
    """All eight bits of every byte of the first, a middle and the last entry are guarded."""
    held = Held(original)
    known = Ledger(original).head()
    for at in range(len(held.files[entry_name(seq)])):
        for bit in range(8):
            check_flip(held, seq, at, bit, known)


def test_the_same_changes_on_real_files(original, copy):
    """On real files, a changed byte raises an error from `entries` that names the file."""
    path = copy / "000005.json"
    raw = path.read_bytes()
    for at in range(0, len(raw), 17):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        with pytest.raises(IntegrityError, match=r"000005\.json"):
            Ledger(copy).entries()
        with pytest.raises(IntegrityError, match=r"000005\.json"):
            Ledger(copy).head()
    path.write_bytes(raw)
    assert Ledger(copy).entries() == Ledger(original).entries()


@pytest.mark.parametrize("seq", range(1, COUNT + 1))
def test_a_deleted_entry_is_found(copy, seq):
    """A deleted entry is named; the last one, by the known number of entries."""
    known = Ledger(copy).head()
    (copy / entry_name(seq)).unlink()
    check = Ledger(copy).check(expected=known)
    assert (check.first_bad, check.entries) == (entry_name(seq), seq - 1)
    assert Ledger(copy).check().ok == (seq == COUNT)


@pytest.mark.parametrize("seq", range(1, COUNT))
def test_a_deleted_entry_with_the_rest_moved_up_is_found(copy, seq):
    """Deleting an entry and moving the rest up does not hide it."""
    for n in range(seq, COUNT):
        (copy / entry_name(n + 1)).replace(copy / entry_name(n))
    assert Ledger(copy).check().first_bad == entry_name(seq)


def test_swapped_entries_are_found(copy):
    """Any two entries that were swapped are found, at the first of them."""
    for one in range(1, COUNT):
        for two in range(one + 1, COUNT + 1):
            first, second, aside = copy / entry_name(one), copy / entry_name(two), copy / ".aside"
            for _ in range(2):
                first.rename(aside)
                second.rename(first)
                aside.rename(second)
                assert Ledger(copy).check().first_bad == (None if _ else entry_name(one))


def test_a_duplicated_entry_is_found(copy):
    """An entry copied to the end, or over another, is found there."""
    shutil.copy(copy / "000004.json", copy / "000021.json")
    assert Ledger(copy).check().first_bad == "000021.json"
    (copy / "000021.json").unlink()
    shutil.copy(copy / "000004.json", copy / "000009.json")
    assert Ledger(copy).check().first_bad == "000009.json"


def renumbered(raw: bytes, seq: int) -> bytes:
    """Give an entry another number, and change nothing else."""
    return raw.replace(b'"seq": %d,' % json.loads(raw)["seq"], b'"seq": %d,' % seq)


@pytest.mark.parametrize("seq", [1, 2, 10, 19])
def test_an_inserted_entry_is_found(copy, seq):
    """An entry pushed in between, with all later ones renumbered, is found."""
    for n in range(COUNT, seq - 1, -1):
        (copy / entry_name(n + 1)).write_bytes(renumbered((copy / entry_name(n)).read_bytes(), n + 1))
    inserted = json.loads((copy / entry_name(seq)).read_bytes()) | {"by": "eve"}
    (copy / entry_name(seq)).write_text(json.dumps(inserted), encoding="utf-8")
    assert Ledger(copy).check().first_bad == entry_name(seq)


@pytest.mark.parametrize("seq", range(1, COUNT + 1))
def test_an_entry_from_another_ledger_is_found(copy, tmp_path, seq):
    """An entry of another ledger with the same number is found."""
    known = Ledger(copy).head()
    other = write(tmp_path / "other", word="fraud-v4")
    (copy / entry_name(seq)).write_bytes((other / entry_name(seq)).read_bytes())
    assert Ledger(copy).check(expected=known).first_bad == entry_name(seq)


@pytest.mark.parametrize("seq", range(2, COUNT + 1))
def test_a_tail_from_another_ledger_is_found(copy, tmp_path, seq):
    """Where the end of another ledger was put on, the seam is found; the known head tells which side is foreign."""
    known = Ledger(copy).head()
    other = write(tmp_path / "other", word="fraud-v4")
    for n in range(seq, COUNT + 1):
        (copy / entry_name(n)).write_bytes((other / entry_name(n)).read_bytes())
    assert Ledger(copy).check().first_bad == entry_name(seq - 1)
    assert entry_name(seq) in Ledger(copy).check().why
    assert Ledger(copy).check(expected=known).first_bad == entry_name(seq)
    assert Ledger(copy).check(expected=Ledger(other).head()).first_bad == entry_name(seq - 1)


@pytest.mark.parametrize("seq", range(1, COUNT + 1))
@pytest.mark.parametrize(
    "write_anew",
    [
        json.dumps,
        lambda fields: json.dumps(fields) + "\n\n",
        lambda fields: json.dumps(fields, indent=1) + "\n",
        lambda fields: json.dumps(fields, separators=(",", ":")) + "\n",
        lambda fields: json.dumps(fields, sort_keys=True) + "\n",
        lambda fields: json.dumps(fields).replace("ada", "\\u0061da") + "\n",
        lambda fields: json.dumps(fields).replace("\n", "\r\n") + "\r\n",
    ],
    ids=["newline", "blank-line", "indent", "compact", "sorted", "escape", "crlf"],
)
def test_the_same_facts_written_anew_are_found(copy, seq, write_anew):
    """Other blanks, another order of keys or other escapes are changes, though the facts are the same."""
    known = Ledger(copy).head()
    path = copy / entry_name(seq)
    fields = json.loads(path.read_bytes())
    path.write_bytes(write_anew(fields).encode())
    assert json.loads(path.read_bytes()) == fields
    assert Ledger(copy).check(expected=known).first_bad == entry_name(seq)
    assert Ledger(copy).check().ok == (seq == COUNT)


def test_a_ledger_written_anew_is_found_by_the_known_head(original, copy):
    """A ledger forged from an entry on, with all digests made right, is whole by itself, and not the known one."""
    known = Ledger(original).head()
    for seq in range(1, COUNT + 1):
        for n in range(seq, COUNT + 1):
            (copy / entry_name(n)).unlink()
        ledger = Ledger(copy, clock=lambda: NOON)
        for n in range(seq, COUNT + 1):
            ledger.append("run.started", {"n": n, "of": "fraud-v3" if n > seq else "forged"}, by="ada")
        assert Ledger(copy).check().ok
        assert not Ledger(copy).check(expected=known).ok
        shutil.copytree(original, copy, dirs_exist_ok=True)


def test_a_known_head_of_some_time_ago(original):
    """A head noted earlier fits a ledger that has grown since; a number that never was does not."""
    entries = Ledger(original).entries()
    for entry in entries:
        assert Ledger(original).check(expected=(entry.seq, entry.digest)).ok
    assert not Ledger(original).check(expected=(7, entries[7].digest)).ok
    assert Ledger(original).check(expected=(COUNT + 3, entries[-1].digest)).first_bad == "000021.json"


def test_a_forged_middle_with_good_ends_is_found(copy):
    """Every link is checked, not only the first and the last."""
    path = copy / "000010.json"
    raw = path.read_bytes()
    for word in (b"fraud-v2", b"fraud-v4"):
        path.write_bytes(raw.replace(b"fraud-v3", word))
        assert Ledger(copy).check().first_bad == "000010.json"


def entry(**changes: object) -> bytes:
    """Return the bytes of a first entry, with changes."""
    fields = {
        "format": 1,
        "seq": 1,
        "kind": "a.b",
        "at": "2026-11-19T12:00:00Z",
        "by": "ada",
        "previous": "0" * 64,
        "body": {},
    }
    return json.dumps(fields | changes).encode()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "is not JSON"),
        (entry()[:-1], "is not JSON"),
        (entry()[:40], "is not JSON"),
        (entry() + b"{}", "is not JSON"),
        (b"\xef\xbb\xbf" + entry(), "is not JSON"),
        (entry().decode().encode("utf-16"), "is not UTF-8"),
        (b"\xff" + entry(), "is not UTF-8"),
        (b"[]", "is not a JSON object"),
        (b"null", "is not a JSON object"),
        (b"[" * 200_000, "is nested too deeply"),
        (b'{"a":' * 200_000, "is nested too deeply"),
        (entry()[:-1] + b', "seq": 1}', "stands there twice"),
        (entry().replace(b"{}}", b'{"a": 1, "a": 2}}'), "stands there twice"),
        (entry().replace(b"{}}", b'{"a": NaN}}'), "NaN"),
        (entry().replace(b"{}}", b'{"a": -Infinity}}'), "-Infinity"),
        (entry().replace(b"{}}", b'{"a": ' + b"1" * 5000 + b"}}"), "4300 digits"),
        (entry(format=2), "has the format 2"),
        (entry(format=True), "has the format True"),
        (entry(format="1"), "has the format '1'"),
        (entry(extra=1), "must have the keys"),
        (entry().replace(b'"by": "ada", ', b""), "must have the keys"),
        (entry(seq=2), "holds the entry with the number 2"),
        (entry(seq="1"), "has a wrong seq"),
        (entry(seq=True), "has a wrong seq"),
        (entry(seq=1.0), "has a wrong seq"),
        (entry(seq=0), "has a wrong seq"),
        (entry(kind="Run"), "has a wrong kind"),
        (entry(at="2026-11-19T12:00:00"), "has a wrong at"),
        (entry(at="2026-13-19T12:00:00Z"), "has a wrong at"),
        (entry(at=1), "has a wrong at"),
        (entry(by=""), "has a wrong by"),
        (entry(by=None), "has a wrong by"),
        (entry(previous="0" * 63), "has a wrong previous"),
        (entry(previous="A" * 64), "has a wrong previous"),
        (entry(previous="1" * 64), "names an entry before it"),
        (entry(body=[]), "has a wrong body"),
        (entry(clock_stepped_back=-1), "has a wrong clock_stepped_back"),
        (b" " * (MAX_BYTES + 1), "is larger than"),
    ],
)
def test_what_is_no_entry_is_named(tmp_path, raw, why):
    """A file that is not exactly an entry is named with what is wrong in it; the check itself never fails."""
    (tmp_path / "000001.json").write_bytes(raw)
    check = Ledger(tmp_path).check()
    assert (check.entries, check.first_bad) == (0, "000001.json")
    assert why in check.why


def test_the_form_is_not_too_strict(tmp_path):
    """An entry in the right form, by whatever hand, is accepted, so the cases above fail for their own reason."""
    (tmp_path / "000001.json").write_bytes(entry(clock_stepped_back=3))
    assert Ledger(tmp_path).check().ok


@pytest.mark.parametrize(
    "name", ["000021.json~", "21.json", "0000021.json", "000000.json", "notes.txt", "a\nb", "٠٠٠٠٢١.json"]
)
def test_a_foreign_file_is_named(copy, name):
    """A file that is no entry is named, on one line; the entries beside it are intact."""
    (copy / name).write_bytes(b"")
    check = Ledger(copy).check()
    assert check.entries == COUNT
    assert check.first_bad == (name if name.isprintable() else "'a\\nb'")
    with pytest.raises(IntegrityError):
        Ledger(copy).entries()


@pytest.mark.parametrize("kind", ["symlink", "dangling", "folder", "pipe", "socket"])
def test_what_is_no_file_is_named(copy, kind, monkeypatch):
    """A link, folder, pipe or socket in the place of an entry is named, and not followed or waited for."""
    path = copy / "000007.json"
    path.rename(copy / ".kept")
    monkeypatch.chdir(copy)  # a socket's path must be short
    if kind in ("symlink", "dangling"):
        path.symlink_to(".kept" if kind == "symlink" else "nowhere")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    check = Ledger(copy).check()
    assert (check.first_bad, check.why) == ("000007.json", "is not a regular file")
    with pytest.raises(IntegrityError):
        Ledger(copy).append("a.b", {}, by="ada")
