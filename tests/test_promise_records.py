"""P1, P2 and P6: what was acknowledged is there, what cannot be recorded is an error, and writers do not collide.

- P1: an acknowledged entry survives the death of its writer at any instant and at each system call, and a
  power cut that loses, tears or reorders whatever was not fsynced.
- P2: whatever system call fails, and however, `append` raises and the ledger stays whole.
- P6: 32 processes write at once; every entry is there, without a gap, in each writer's own order.

``RBNB_KILLS`` sets the number of kills (60 unless told), ``RBNB_POWER_CUTS`` that of power cuts (600).
"""

import errno
import itertools
import json
import os
import random
import resource
import select
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rbnb.errors import IntegrityError, LedgerError
from rbnb.ledger import Disk, Entry, Ledger

KILLS = int(os.environ.get("RBNB_KILLS", "60"))
POWER_CUTS = int(os.environ.get("RBNB_POWER_CUTS", "600"))
WRITES = ("make_folder", "create", "write", "fsync", "close", "link", "unlink", "fsync_folder")
READS = ("names", "read")

#: A process that appends entries of given sizes and acknowledges each on its standard output.
WRITER = """
import os, random, sys
from pathlib import Path
from rbnb.ledger import Ledger
folder, name, count, largest = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
dice = random.Random(name)
ledger = Ledger(Path(folder))
os.write(1, b"ready\\n")
sys.stdin.readline()
for n in range(count):
    size = (1, largest)[n] if n < 2 else int(largest ** dice.random())
    entry = ledger.append("test.written", {"n": n, "fill": "x" * size}, by=name)
    os.write(1, f"{entry.seq} {entry.digest}\\n".encode())
"""

#: A process that dies at the k-th system call of one append, before or after it.
DYING = """
import os, sys
from pathlib import Path
from rbnb.ledger import Disk, Ledger
folder, k, after = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "after"
calls = 0
def dying(name):
    def method(self, *args):
        global calls
        calls += 1
        if calls == k and not after:
            os._exit(9)
        result = getattr(Disk, name)(self, *args)
        if calls == k:
            os._exit(9)
        return result
    return method
names = sys.argv[4].split(",")
disk = type("Dying", (Disk,), {name: dying(name) for name in names})()
entry = Ledger(Path(folder), disk=disk).append("test.written", {"n": 4}, by="dying")
os.write(1, f"{entry.seq} {entry.digest}\\n".encode())
"""


def begun(folder: Path, count: int = 3) -> list[Entry]:
    """Begin a ledger with a few entries and return them."""
    ledger = Ledger(folder)
    return [ledger.append("test.written", {"n": n}, by="ada") for n in range(1, count + 1)]


def start(folder: Path, name: str, count: int, largest: int = 64) -> subprocess.Popen:
    """Start a writer; it waits for a line before it writes."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(count), str(largest)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def acknowledged(output: bytes) -> list[tuple[int, str]]:
    """Return the acknowledged (number, digest) in what a writer said; a torn last line is none."""
    lines = [line.split() for line in output.decode().splitlines(keepends=True) if line.endswith("\n")]
    return [(int(line[0]), line[1]) for line in lines if len(line) == 2]


def present(entries: list[Entry]) -> set[tuple[int, str]]:
    """Return what is recorded as (number, digest)."""
    return {(entry.seq, entry.digest) for entry in entries}


@pytest.mark.parametrize("batch", range(max(1, KILLS // 10)))
def test_p1_an_acknowledged_entry_survives_its_writer(tmp_path, batch):
    """P1: whenever a writer is killed, what it acknowledged is there, and at most one entry more."""
    dice = random.Random(batch)
    known: set[tuple[int, str]] = set()
    for kill in range(10):
        with start(tmp_path / "ledger", f"writer-{batch}-{kill}", 100_000) as writer:
            writer.stdout.readline()
            writer.stdin.write(b"go\n")
            writer.stdin.flush()
            # so many acknowledgements first, and then any instant: a busy machine is as good as an idle one
            said = b"".join(writer.stdout.readline() for _ in range(dice.randint(0, 8)))
            time.sleep(dice.uniform(0, 0.004))
            writer.kill()
            known.update(acknowledged(said + writer.stdout.read()))
            with suppress(BrokenPipeError):
                writer.stdin.close()
        entries = Ledger(tmp_path / "ledger").entries()
        assert known <= present(entries)
        assert len(entries) <= len(known) + 1
        known = present(entries)  # a last entry that was not acknowledged is whole, and stays
    assert len(known) > 10


def run_dying(folder: Path, k: int, when: str) -> subprocess.CompletedProcess:
    """Append in a process that dies at its k-th call."""
    command = [sys.executable, "-c", DYING, str(folder), str(k), when, ",".join(WRITES)]
    return subprocess.run(command, capture_output=True, check=False)


def test_p1_death_at_each_system_call(tmp_path):
    """P1: a writer that dies before or after any of its system calls leaves a whole ledger that goes on."""
    for when in ("before", "after"):
        for k in itertools.count(1):
            folder = tmp_path / f"{when}-{k}"
            three = begun(folder)
            done = run_dying(folder, k, when)
            assert done.returncode in (0, 9), done.stderr
            entries = Ledger(folder).entries()
            assert entries[:3] == three
            assert len(entries) in (3, 4)
            assert set(acknowledged(done.stdout)) <= present(entries)
            assert Ledger(folder).append("test.written", {}, by="next").seq == len(entries) + 1
            assert Ledger(folder).check().ok
            if done.returncode == 0:
                break  # it makes fewer than k calls
        assert k > len(WRITES)


class Recorder(Disk):
    """A disk that also writes down, in order, what was done to a ledger folder and what was acknowledged."""

    def __init__(self) -> None:
        self.log: list[tuple] = []
        self.names_of: dict[int, str] = {}
        self.lock = threading.RLock()

    def make_folder(self, folder):
        """Create a folder."""
        with self.lock:
            super().make_folder(folder)
            self.log.append(("make_folder", folder))

    def create(self, path):
        """Create a file."""
        with self.lock:
            fd = super().create(path)
            self.names_of[fd] = path.name
            self.log.append(("create", path.name))
            return fd

    def write(self, fd, data):
        """Write half of it, so that an entry takes several writes."""
        with self.lock:
            written = super().write(fd, data[: len(data) // 2 + 1])
            self.log.append(("write", self.names_of[fd], bytes(data[:written])))
            return written

    def fsync(self, fd):
        """Fsync a file."""
        with self.lock:
            super().fsync(fd)
            self.log.append(("fsync", self.names_of[fd]))

    def link(self, source, target):
        """Link a file."""
        with self.lock:
            super().link(source, target)
            self.log.append(("link", source.name, target.name))

    def unlink(self, path):
        """Unlink a file."""
        with self.lock:
            super().unlink(path)
            self.log.append(("unlink", path.name))

    def fsync_folder(self, folder):
        """Fsync a folder."""
        with self.lock:
            super().fsync_folder(folder)
            self.log.append(("fsync_folder", folder))

    def acknowledge(self, entry: Entry) -> None:
        """Note that `append` returned."""
        with self.lock:
            self.log.append(("ack", entry.seq, entry.digest))


@dataclass
class Image(Disk):
    """What a disk may hold after a power cut: all that was fsynced, and any part of the rest."""

    folder: Path
    dice: random.Random
    contents: dict[str, bytearray] = field(default_factory=dict)  # by the name a file was created under
    synced: Counter = field(default_factory=Counter)
    entries: dict[str, str] = field(default_factory=dict)
    pending: list[tuple[str, str, str]] = field(default_factory=list)
    acks: set[tuple[int, str]] = field(default_factory=set)
    paths_synced: set[Path] = field(default_factory=set)

    def replay(self, log: list[tuple]) -> None:
        """Go through a log up to the power cut."""
        for what, *args in log:
            if what == "create":
                self.contents[args[0]] = bytearray()
                self.pending.append(("add", args[0], args[0]))
            elif what == "write":
                self.contents[args[0]] += args[1]
            elif what == "fsync":
                self.synced[args[0]] = len(self.contents[args[0]])
            elif what == "link":
                self.pending.append(("add", args[1], args[0]))
            elif what == "unlink":
                self.pending.append(("take", args[0], ""))
            elif what == "fsync_folder" and args[0] == self.folder:
                self.settle(1.0)
            elif what == "fsync_folder":
                self.paths_synced.add(args[0])
            elif what == "ack":
                self.acks.add((args[0], args[1]))

    def settle(self, share: float) -> None:
        """Let a share of the pending names reach the disk, in any choice."""
        for what, name, source in self.pending:
            if self.dice.random() < share:
                if what == "add":
                    self.entries[name] = source
                else:
                    self.entries.pop(name, None)
        self.pending.clear()

    def cut(self) -> None:
        """Cut the power: of what was not fsynced, any names are lost and any blocks are lost, zero or torn."""
        self.settle(self.dice.choice((0.0, 0.5, 0.9, 1.0)))
        if not self.paths_synced.issuperset((self.folder.parent, self.folder.parent.parent)):
            self.entries.clear()
        for name, content in self.contents.items():
            for at in range(self.synced[name], len(content), 64):
                if self.dice.random() < 0.5:
                    content[at : at + 64] = bytes(len(content[at : at + 64]))
            if self.dice.random() < 0.5:
                del content[self.dice.randint(self.synced[name], len(content)) :]

    def names(self, folder):  # noqa: ARG002 - there is only one
        """Return the names that are left."""
        return list(self.entries)

    def read(self, path):
        """Return the bytes that are left."""
        if path.name not in self.entries:
            raise FileNotFoundError(errno.ENOENT, "no such entry", str(path))
        return bytes(self.contents[self.entries[path.name]])


def survives_power_cuts(folder: Path, log: list[tuple], cuts: int) -> None:
    """Cut the power at as many points of a log, and hold what is left against what was acknowledged."""
    for cut in range(cuts):
        image = Image(folder, random.Random(cut))
        image.replay(log[: 1 + cut % len(log)])
        image.cut()
        left = Ledger(folder, disk=image).entries()
        assert image.acks <= present(left)


def test_p1_power_cuts_while_one_writes(tmp_path):
    """P1: one writer; at whatever point the power fails, what it acknowledged is there and the chain is whole."""
    disk = Recorder()
    ledger = Ledger(tmp_path / "INC" / "ledger", disk=disk)
    for n in range(12):
        disk.acknowledge(ledger.append("test.written", {"n": n, "fill": "x" * 40 * n}, by="ada"))
    survives_power_cuts(tmp_path / "INC" / "ledger", disk.log, POWER_CUTS)


def test_p1_power_cuts_while_many_write(tmp_path):
    """P1: four writers at once; no power cut loses what was acknowledged, or leaves a gap among the rest."""
    disk = Recorder()

    def work(name: str) -> None:
        ledger = Ledger(tmp_path / "INC" / "ledger", disk=disk)
        for n in range(6):
            disk.acknowledge(ledger.append("test.written", {"n": n, "fill": "x" * 100}, by=name))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    survives_power_cuts(tmp_path / "INC" / "ledger", disk.log, POWER_CUTS)


def test_p1_power_cuts_after_a_writer_died(tmp_path):
    """P1: an entry whose writer died before it was safe is made safe before another is built on it."""
    disk = Recorder()

    class Dies(Recorder):
        def fsync_folder(self, folder):
            if any(what == "link" for what, *_ in disk.log):
                raise OSError(errno.EIO, "died here")
            super().fsync_folder(folder)

    dying = Dies()
    dying.log, dying.lock = disk.log, disk.lock
    with pytest.raises(LedgerError):
        Ledger(tmp_path / "INC" / "ledger", disk=dying).append("test.written", {"n": 1}, by="dying")
    ledger = Ledger(tmp_path / "INC" / "ledger", disk=disk)
    for n in range(2, 5):
        disk.acknowledge(ledger.append("test.written", {"n": n}, by="ada"))
    assert ledger.head()[0] == 4
    survives_power_cuts(tmp_path / "INC" / "ledger", disk.log, POWER_CUTS)


class Faulty(Disk):
    """A disk whose k-th call of the given names fails, once or from then on."""

    def __init__(self, k: int, code: int, *, stays: bool = False, names: tuple[str, ...] = WRITES) -> None:
        self.k, self.code, self.stays, self.counted = k, code, stays, names
        self.calls: list[str] = []

    def __getattribute__(self, name):
        """Return the method, or one that fails."""
        if name not in WRITES + READS:
            return super().__getattribute__(name)

        def call(*args):
            if name in self.counted:
                self.calls.append(name)
                if len(self.calls) == self.k or (self.stays and len(self.calls) > self.k):
                    raise OSError(self.code, os.strerror(self.code))
            return getattr(super(Faulty, self), name)(*args)

        return call


def calls_of_an_append(folder: Path, names: tuple[str, ...]) -> list[str]:
    """Return the calls that appending to a ledger of three entries makes."""
    begun(folder)
    disk = Faulty(0, 0, names=names)
    Ledger(folder, disk=disk).append("test.written", {"n": 4}, by="eve")
    return disk.calls


@pytest.mark.parametrize("stays", [False, True], ids=["once", "stays"])
@pytest.mark.parametrize("code", ["ENOSPC", "EIO", "EDQUOT", "EROFS", "EACCES", "EMFILE"])
def test_p2_whatever_call_fails_append_raises(tmp_path, code, stays):
    """P2: whichever call fails, once or from then on, `append` raises with a hint and the ledger stays whole."""
    calls = calls_of_an_append(tmp_path / "count", WRITES)
    assert set(calls) == set(WRITES)
    for k, name in enumerate(calls, start=1):
        folder = tmp_path / f"{k}"
        three = begun(folder)
        disk = Faulty(k, getattr(errno, code), stays=stays)
        ledger = Ledger(folder, disk=disk)
        with pytest.raises(LedgerError) as caught:
            ledger.append("test.written", {"n": 4}, by="eve")
        assert (caught.value.exit_code, bool(caught.value.hint)) == (7, True)
        entries = Ledger(folder).entries()
        assert entries[:3] == three
        assert len(entries) == (4 if "link" in calls[: k - 1] else 3), name
        assert len(ledger.entries()) == len(entries)
        assert Ledger(folder).append("test.written", {"n": 5}, by="ada").seq == len(entries) + 1
        assert Ledger(folder).check().ok


@pytest.mark.parametrize("code", ["EIO", "EACCES", "EMFILE"])
def test_p2_what_cannot_be_read_is_not_built_on(tmp_path, code):
    """P2: where an entry or the folder cannot be read, nothing is added, and it is not called tampered with."""
    calls = calls_of_an_append(tmp_path / "count", READS)
    assert Counter(calls)["read"] > 4
    for k in range(1, len(calls) + 1):
        folder = tmp_path / f"{k}"
        three = begun(folder)
        ledger = Ledger(folder, disk=Faulty(k, getattr(errno, code), names=READS))
        with pytest.raises(LedgerError) as caught:
            ledger.append("test.written", {"n": 4}, by="eve")
        assert caught.value.hint
        assert Ledger(folder).entries() == three


@pytest.mark.parametrize("call", ["fsync", "fsync_folder"])
def test_p2_after_a_failed_fsync_no_more(tmp_path, call):
    """P2: after an fsync failed, the object makes no further system call; opened anew, it goes on."""
    three = begun(tmp_path)
    disk = Faulty(1, errno.EIO, names=(call,))
    ledger = Ledger(tmp_path, disk=disk)
    with pytest.raises(LedgerError, match="not recorded for certain"):
        ledger.append("test.written", {}, by="eve")
    disk.counted, made = WRITES + READS, len(disk.calls)
    for _ in range(3):
        with pytest.raises(LedgerError, match="takes no further entry"):
            ledger.append("test.written", {}, by="eve")
    assert len(disk.calls) == made
    assert Ledger(tmp_path).entries() == three
    assert Ledger(tmp_path).append("test.written", {}, by="eve").seq == 4


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EROFS"])
def test_p2_a_full_disk_can_be_read_and_written_again_later(tmp_path, code):
    """P2: a full or read-only disk is read and checked, and once there is room the same object goes on."""
    three = begun(tmp_path)
    disk = Faulty(1, getattr(errno, code), stays=True, names=("create", "write", "link", "unlink"))
    ledger = Ledger(tmp_path, disk=disk)
    for _ in range(2):
        with pytest.raises(LedgerError):
            ledger.append("test.written", {}, by="eve")
        assert ledger.entries() == three
        assert ledger.check().ok
    disk.k = 10**9
    assert ledger.append("test.written", {}, by="eve").seq == 4


@contextmanager
def file_size_limit(size: int):
    """Let no file of this process grow beyond a size in bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_p2_a_real_limit_on_file_size(tmp_path):
    """P2: where the system itself refuses to write on, nothing half is seen, and it works again without the limit."""
    three = begun(tmp_path)
    ledger = Ledger(tmp_path)
    for size in (0, 1, 100, 4096, 30_000):
        with file_size_limit(size), pytest.raises(LedgerError, match="File too large"):
            ledger.append("test.written", {"fill": "x" * 40_000}, by="eve")
        assert Ledger(tmp_path).entries() == three
        assert len(list(tmp_path.iterdir())) == 3
    assert ledger.append("test.written", {"fill": "x" * 40_000}, by="eve").seq == 4


def test_p2_a_folder_that_went_away(tmp_path):
    """P2: a ledger whose folder was moved away takes nothing and does not begin anew."""
    begun(tmp_path / "ledger")
    ledger = Ledger(tmp_path / "ledger")
    ledger.append("test.written", {}, by="ada")
    (tmp_path / "ledger").rename(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError):
        ledger.append("test.written", {}, by="ada")
    assert not (tmp_path / "ledger").exists()


def go(writers: list[subprocess.Popen]) -> None:
    """Wait until all writers are ready, then let them go at once."""
    for writer in writers:
        writer.stdout.readline()
    for writer in writers:
        writer.stdin.write(b"go\n")
        writer.stdin.close()


def assert_in_order(entries: list[Entry], counts: dict[str, int]) -> None:
    """Check that each writer's entries are all there, and in the order it wrote them."""
    for name, count in counts.items():
        assert [entry.body["n"] for entry in entries if entry.by == name] == list(range(count))


def test_p6_32_processes_lose_nothing(tmp_path):
    """P6: 32 processes with 100 entries each, 1 byte to 64 KiB, give 3,200 entries without a gap, each in its order."""
    names = [f"writer-{n}" for n in range(32)]
    writers = [start(tmp_path / "INC" / "ledger", name, 100, 65_536) for name in names]
    go(writers)
    acks = []
    for writer in writers:
        with writer:
            acks += acknowledged(writer.stdout.read())
        assert writer.returncode == 0
    entries = Ledger(tmp_path / "INC" / "ledger").entries()
    assert [entry.seq for entry in entries] == list(range(1, 3201))
    assert sorted(acks) == sorted(present(entries))
    assert_in_order(entries, dict.fromkeys(names, 100))
    assert {len(entry.body["fill"]) for entry in entries} >= {1, 65_536}
    assert len(list((tmp_path / "INC" / "ledger").iterdir())) == 3200


def test_p6_writers_that_die_hold_nobody_up(tmp_path):
    """P6: 8 of 16 writers are killed in the middle; the others finish, and all that was acknowledged is there."""
    names = [f"writer-{n}" for n in range(16)]
    writers = [start(tmp_path / "ledger", name, 40, 2048) for name in names]
    go(writers)
    heard = []
    for writer in writers[:8]:
        select.select([writer.stdout], [], [], 60)  # it has written something
        writer.kill()
    for writer in writers:
        with writer:
            heard.append(acknowledged(writer.stdout.read()))
    entries = Ledger(tmp_path / "ledger").entries()
    assert {ack for acks in heard for ack in acks} <= present(entries)
    assert [len(acks) for acks in heard[8:]] == [40] * 8
    assert sum(len(acks) for acks in heard[:8]) < 8 * 40
    found = Counter(entry.by for entry in entries)
    assert_in_order(entries, found)
    for name, acks in zip(names, heard, strict=True):
        assert found[name] - len(acks) in (0, 1)


def test_entries_are_what_json_tools_read(tmp_path):
    """P6: each file of a ledger many wrote is one line of JSON that any tool reads."""
    begun(tmp_path, 5)
    for path in tmp_path.iterdir():
        assert path.read_bytes().count(b"\n") == 1
        assert json.loads(path.read_bytes())["format"] == 1
