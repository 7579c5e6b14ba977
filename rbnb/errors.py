"""Every error rbnb raises on purpose, with what to do about it.

The tree, and the exit code each branch leaves behind::

    RbnbError                      1   something unexpected, said plainly
    ├── UsageError                 2   the command or a file it reads is wrong
    │   ├── NotFoundError              no such model, template or incident: did you mean …
    │   ├── NameRefusedError           a name that could be a path or a command
    │   ├── ParameterError             a run parameter: unknown, wrong type, out of range
    │   └── ConfigError                rbnb.toml, a model file or a policy: file, key, what is allowed
    ├── RunFailedError             4   a cell or the kernel failed; the record is kept
    ├── DataError                  5   a table is missing, unreadable or not what the model file says
    ├── IntegrityError             6   a ledger entry or an artifact is not what was recorded
    ├── LedgerError                7   the record cannot be written, so nothing was done
    └── RefusedError               7   somebody may not do this, or not now; nothing was done, and it is on record

Rules: the message says what is wrong and where; the hint says what to do next; a traceback is never
the message. Errors carry facts (file, key, table, column) in the text, never a secret's value.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "DataError",
    "IntegrityError",
    "LedgerError",
    "NameRefusedError",
    "NotFoundError",
    "ParameterError",
    "RbnbError",
    "RefusedError",
    "RunFailedError",
    "UsageError",
]


class RbnbError(Exception):
    """The root: a message for the person reading it, a hint, and an exit code.

    Parameters
    ----------
    message
        What is wrong and where, in one or two sentences.
    hint
        What to do next; empty where nothing sensible can be said.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(RbnbError):
    """The command line, or a file it reads, is wrong; nothing was started."""

    exit_code = 2


class NotFoundError(UsageError):
    """No such model, template or incident; close names are suggested."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, where: str = "") -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        place = f" in {where}" if where else ""
        if close:
            hint = f"did you mean {' or '.join(close)}?"
        elif names:
            hint = f"known: {', '.join(names[:12])}{' …' if len(names) > 12 else ''}"
        else:
            hint = f"there is no {kind} yet"
        super().__init__(f"no {kind} named {name!r}{place}", hint=hint)


class NameRefusedError(UsageError):
    """A name that is not letters, digits, '.', '_' or '-', or is too long."""


class ParameterError(UsageError):
    """A run parameter is unknown, of the wrong type, or out of range."""


class ConfigError(UsageError):
    """A file of settings is unreadable or says something that is not allowed.

    Parameters
    ----------
    file
        The file, as the user knows it.
    key
        The key in dotted form, or empty when the file as a whole is wrong.
    problem
        What is wrong and what is allowed.
    """

    def __init__(self, file: object, key: str, problem: str, *, hint: str = "") -> None:
        at = f"{file}: {key}: " if key else f"{file}: "
        super().__init__(f"{at}{problem}", hint=hint)
        self.file = str(file)
        self.key = key


class RunFailedError(RbnbError):
    """A cell or the kernel failed; what was done so far is in the run folder."""

    exit_code = 4


class DataError(RbnbError):
    """A table is missing, unreadable, or lacks what the model file says it has."""

    exit_code = 5


class IntegrityError(RbnbError):
    """A ledger entry or an artifact differs from what was recorded."""

    exit_code = 6


class LedgerError(RbnbError):
    """The ledger cannot be written or read, so nothing that needs a record was done."""

    exit_code = 7


class RefusedError(RbnbError):
    """Somebody may not do this, or not in this state, or not without what it demands; the refusal is on the ledger."""

    exit_code = 7
