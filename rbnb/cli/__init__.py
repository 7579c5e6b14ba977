"""The command line: each command opens the workspace, makes one call, and prints.

One module a part of an incident; importing them here is what adds their commands. A traceback is shown only with
``--debug``. Exit codes are the error tree's (`rbnb.errors`), and with ``--exit-code`` a command also tells what it
found: 3 something to act on, 8 inconclusive. Heavy imports happen inside the command that needs them.
"""

from __future__ import annotations

import os
import sys
import traceback

# In the order in which `rbnb --help` lists them: an incident from the page to its end.
# isort: off
from rbnb.cli import running as running
from rbnb.cli import looking as looking
from rbnb.cli import noting as noting
from rbnb.cli import lifecycle as lifecycle
from rbnb.cli import deciding as deciding
from rbnb.cli import approving as approving
from rbnb.cli import acting as acting
from rbnb.cli import telling as telling
from rbnb.cli import returning as returning
from rbnb.cli import governing as governing
from rbnb.cli import catalog as catalog
from rbnb.cli import setting_up as setting_up

# isort: on
from rbnb.cli.app import CANCELLED, app, complain, out_json

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; every error on purpose ends in a message, a hint and its exit code."""
    from rbnb.errors import RbnbError

    debug = "--debug" in sys.argv[1:]
    try:
        app()
    except RbnbError as error:
        if debug:
            traceback.print_exc()
        if "--json" in sys.argv[1:]:
            out_json({"error": {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}})
        complain(error.message, error.hint)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        complain("cancelled")
        sys.exit(CANCELLED)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - the reader has gone
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        complain(
            f"unexpected {type(error).__name__}: {error}", "run it again with `rbnb --debug …` and report what it shows"
        )
        sys.exit(1)
