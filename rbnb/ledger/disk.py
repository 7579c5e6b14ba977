"""The system calls a ledger makes, in one place, so that a test can let each of them fail."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from rbnb.ledger.entry import MAX_BYTES

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Disk"]


class Disk:
    """The disk as it is; a test passes a `rbnb.ledger.Ledger` one that fails."""

    def make_folder(self, folder: Path) -> None:
        """Create a folder; one that is already there will do."""
        with suppress(FileExistsError):
            folder.mkdir()

    def names(self, folder: Path) -> list[str]:
        """Return the names in a folder."""
        return [path.name for path in folder.iterdir()]

    def read(self, path: Path) -> bytes:
        """Return the bytes of a regular file; a link is not followed, a pipe not waited for.

        Raises
        ------
        ValueError
            If it is no regular file or larger than `MAX_BYTES`.
        """
        with open(path, "rb", buffering=0, opener=_open_to_read) as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise ValueError("is not a regular file")
            if info.st_size > MAX_BYTES:
                raise ValueError(f"is larger than {MAX_BYTES} bytes")
            return file.read()

    def create(self, path: Path) -> int:
        """Create a file that must not be there yet, and return its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o444)

    def write(self, fd: int, data: memoryview) -> int:
        """Write, and return how many bytes were taken."""
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        """Wait until the file is on the disk."""
        os.fsync(fd)

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name, which must be free."""
        os.link(source, target)

    def unlink(self, path: Path) -> None:
        """Take a name away."""
        path.unlink()

    def fsync_folder(self, folder: Path) -> None:
        """Wait until the names in a folder are on the disk."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _open_to_read(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
