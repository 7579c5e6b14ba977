"""The kernel's own process, ``python -m rbnb.runner.kernel``: an IPython kernel that nobody can swap.

It is started by the interpreter's absolute path, so no kernelspec is looked up and none that was
planted can take its place. It reads no IPython profile of the user's. Between binding its sockets and
serving them it imports what templates need, while the runner is still busy with its own imports.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys

from rbnb.runner.reap import die_with_parent

__all__ = ["main", "prepare"]


def prepare(settings: str) -> None:
    """Apply what only the job knows, before the first cell: folder, environment, memory limit."""
    given = json.loads(settings)
    os.chdir(given["folder"])
    os.environ.update(given["environment"])
    if given["memory_limit"] is not None:
        resource.setrlimit(resource.RLIMIT_AS, (given["memory_limit"], given["memory_limit"]))


def _preload(names: tuple[str, ...]) -> None:
    """Import modules that may be absent themselves, but must not fail."""
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise


def main(connection_file: str, parent: str, *preload: str) -> None:
    """Serve one runner until killed."""
    die_with_parent(int(parent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # until the kernel is up it has nothing to interrupt
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the data
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance()
    app.initialize(
        [
            f"--IPKernelApp.connection_file={connection_file}",
            "--HistoryManager.enabled=False",
            "--InteractiveShellApp.ignore_cwd=True",
        ]
    )
    _preload(preload)
    app.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
