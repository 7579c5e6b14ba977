"""Signatures with people's SSH keys, made and checked by ``ssh-keygen -Y``, the mechanism git uses as well.

rbnb.toml names a file of allowed signers, one ``person key`` a line as ssh-keygen reads it (``[identity]``). Rules:

- **A key stands for one person**: a line that lends it to somebody else as well, or to everybody, makes it nobody's.
- **The signature must fit now**: it is checked against the file as it is, and against the time of signing for keys
  that are allowed only for a while.
- **Signatures are for rbnb alone** (namespace ``rbnb@v1``): what was signed for git or mail proves nothing here.
- **Nothing hangs.** On a terminal ssh-keygen may ask for a passphrase or a touch; elsewhere it has nobody to ask, no
  terminal, and little time. The key itself is never read by rbnb.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from rbnb.errors import UsageError
from rbnb.incidents.statements import Proof, UnprovableError, nobody_checks
from rbnb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from rbnb.config import Places
    from rbnb.incidents.statements import CheckSignature
    from rbnb.people import Directory, Person

__all__ = ["NAMESPACE", "Signers", "check_of", "key_path", "sign"]

#: What the signatures are for.
NAMESPACE = "rbnb@v1"
#: Names the private key, or the public key of one that an agent holds, where a command does not.
KEY_VARIABLE = "RBNB_SSH_KEY"

#: How long ssh-keygen may take where nobody can be asked, in seconds.
_PATIENCE = 20.0
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_FINGERPRINT = re.compile(r"\bkey (SHA256:[A-Za-z0-9+/]{43})(?![A-Za-z0-9+/])")
_LONGEST = 16_384


def check_of(places: Places | None, directory: Directory) -> CheckSignature:
    """Return what checks signatures in a workspace; where it names no allowed signers, nothing can be checked."""
    named = places.file.identity.allowed_signers if places else None
    return Signers(places.root / named, directory) if places and named else nobody_checks


def key_path(named: str = "") -> Path | None:
    """Return the key to sign with: the one named, else that of RBNB_SSH_KEY, else None.

    Raises
    ------
    UsageError
        If there is no such file.
    """
    text = named or os.environ.get(KEY_VARIABLE, "")
    if not text:
        return None
    path = Path(text).expanduser()
    if not path.is_file():
        where = "--key" if named else KEY_VARIABLE
        raise UsageError(f"{where}: there is no file {path}", hint="name the private key, or the .pub of an agent's")
    return path.resolve()


def sign(statement: str, key: Path) -> str:
    """Return a signature of a statement.

    Parameters
    ----------
    key
        A private key, or the public half of one that an agent holds.

    Raises
    ------
    UsageError
        If there is no ssh-keygen, or it cannot sign with this key.
    """
    tool = shutil.which("ssh-keygen")
    if tool is None:
        raise UsageError("there is no ssh-keygen to sign with", hint="install the OpenSSH client, or leave out --key")
    with tempfile.TemporaryDirectory(prefix="rbnb-") as folder:
        text = Path(folder) / "statement"
        text.write_bytes(statement.encode())
        command = [tool, "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(text)]
        done = _run(command, asks=_somebody_is_there())
        made = text.with_name("statement.sig")
        if done.returncode != 0 or not made.is_file():
            said = (done.stderr or "").strip().splitlines() or ["see what it says above"]
            raise UsageError(
                f"ssh-keygen could not sign with {key.name}: {one_line(said[-1], 200)}",
                hint="a key with a passphrase needs a terminal, or ssh-agent: `ssh-add`, then --key with its .pub",
            )
        return made.read_text("ascii").strip() + "\n"


def _somebody_is_there() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _run(command: list[str], *, asks: bool = False, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run ssh-keygen; where it cannot ask anybody, it has no terminal, no input of ours, and so many seconds."""
    if asks:
        return subprocess.run(command, check=False, text=True, stderr=None, stdout=subprocess.PIPE)  # noqa: S603 - an argument list
    environment = {**os.environ, "SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C", "TZ": "UTC"}
    environment.pop("SSH_ASKPASS", None)
    environment.pop("DISPLAY", None)
    try:
        return subprocess.run(  # noqa: S603 - an argument list
            command,
            check=False,
            text=True,
            errors="replace",
            input=given,
            capture_output=True,
            timeout=_PATIENCE,
            env=environment,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"gave no answer within {_PATIENCE:.0f} s")


class Signers:
    """The keys that are allowed for people.

    Parameters
    ----------
    path
        The file of allowed signers.
    directory
        The people; a principal in the file is a person's id, or an alias.
    """

    def __init__(self, path: Path, directory: Directory) -> None:
        self.path = path
        self.directory = directory
        self._seen: dict[tuple[str, ...], Proof] = {}

    def __call__(self, person: Person, statement: str, signature: str, at: datetime) -> Proof:
        """Return the key with which a person has signed a statement, or why it proves nothing.

        Raises
        ------
        UnprovableError
            If there is no ssh-keygen, or the file of allowed signers cannot be read.
        """
        allowed = self._read()
        asked = (hashlib.sha256(allowed).hexdigest(), person.id, statement, signature, at.isoformat())
        if asked not in self._seen:
            self._seen[asked] = self._checked(allowed, person, statement, signature, at)
        return self._seen[asked]

    def _read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise UnprovableError(
                f"signed approvals cannot be checked: {self.path} cannot be read ({error.strerror})",
                hint="it is what [identity] allowed_signers in rbnb.toml names",
            ) from None

    def _checked(self, allowed: bytes, person: Person, statement: str, signature: str, at: datetime) -> Proof:
        tool = shutil.which("ssh-keygen")
        if tool is None:
            raise UnprovableError(
                "signed approvals cannot be checked: there is no ssh-keygen", hint="install the OpenSSH client"
            )
        blob = _public_key(signature)
        if blob is None:
            return Proof(why_not="is no SSH signature")
        if why := self._lent(allowed, blob, person):
            return Proof(why_not=why)
        with tempfile.TemporaryDirectory(prefix="rbnb-") as folder:
            signers, signed = Path(folder) / "allowed_signers", Path(folder) / "statement.sig"
            signers.write_bytes(allowed)
            signed.write_text(signature, "ascii")
            when = f"verify-time={at:%Y%m%d%H%M%S}"
            command = [tool, "-Y", "verify", "-n", NAMESPACE, "-f", str(signers), "-s", str(signed), "-O", when, "-I"]
            done = [_run([*command, name], given=statement) for name in self._principals(allowed, person)]
        good = next((one for one in done if one.returncode == 0), None)
        found = _FINGERPRINT.search(good.stdout) if good else None
        if found is None:
            return Proof(why_not=f"its signature is not by a key that is allowed for {person.id}")
        return Proof(found[1])

    def _principals(self, allowed: bytes, person: Person) -> list[str]:
        """Return the spellings under which a person's keys stand in the file."""
        spelled = [name for names, _ in _lines(allowed) for name in names if self._is(name, person)]
        return list(dict.fromkeys([person.id, *spelled]))

    def _is(self, name: str, person: Person) -> bool:
        found = self.directory.resolve(name)
        return found is not None and found.id == person.id

    def _lent(self, allowed: bytes, blob: bytes, person: Person) -> str:
        """Say where a key stands for somebody else as well."""
        key = base64.b64encode(blob).decode()
        for names, rest in _lines(allowed):
            if key in rest and (others := [name for name in names if not self._is(name, person)]):
                mine = any(self._is(name, person) or fnmatchcase(person.id, name) for name in names)
                whose = "as well " if mine else ""
                return f"its key is {whose}that of {one_line(others[0])} in the file of allowed signers"
        return ""


def _lines(allowed: bytes) -> Iterator[tuple[list[str], list[str]]]:
    """Return, of each line, for whom it is and the rest of its words."""
    for line in allowed.decode(errors="replace").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            words = shlex.split(line, comments=False)
        except ValueError:
            words = line.split()
        yield words[0].split(","), words[1:]


def _public_key(signature: str) -> bytes | None:
    """Return the public key that a signature carries, as it stands in a file of allowed signers; None if it is none."""
    text = signature.strip()
    if not (text.isascii() and len(text) <= _LONGEST and text.startswith(_BEGIN) and text.endswith(_END)):
        return None
    try:
        raw = base64.b64decode("".join(text[len(_BEGIN) : -len(_END)].split()), validate=True)
    except ValueError:
        return None
    if not raw.startswith(b"SSHSIG") or int.from_bytes(raw[6:10]) != 1:
        return None
    length = int.from_bytes(raw[10:14])
    blob = raw[14 : 14 + length]
    return blob if length and len(blob) == length else None
