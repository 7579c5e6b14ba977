"""Taking one step of an action: run or send it, judge its answer, and keep what it said without its secrets.

Rules: an answer is judged as it came and told as it may be shown; a probe whose answer is too long to be read whole
is never taken for a good one; what is kept is scrubbed before it touches the disk.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rbnb.actions.keeping import keep
from rbnb.actions.processes import MARK, PASSED_ON, Answer, Limit, environment, run_program
from rbnb.actions.scrubbing import SHORTEST, Scrubber, looks_secret, password_in
from rbnb.catalog import Observed, holds
from rbnb.errors import RefusedError, UsageError
from rbnb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from rbnb.catalog import RenderedStep
    from rbnb.incidents import Incident

__all__ = ["KEPT", "PROBE", "Seen", "Steps", "missing_program", "steps_for"]

#: Of what an action prints the beginning and the end are kept; an answer that is judged must be whole.
KEPT = Limit(32 * 2**10, 32 * 2**10)
PROBE = Limit(4 * 2**20)


@dataclass(frozen=True, slots=True)
class Seen:
    """A step that was taken.

    Parameters
    ----------
    answer
        How it ended.
    observed
        What it answered, as it came: not to be shown or kept.
    held
        Whether that is within the step's tolerance.
    told
        What was seen, in a line that may be shown and kept.
    """

    answer: Answer
    observed: Observed
    held: bool
    told: str


class Steps:
    """Takes the steps of one attempt.

    Parameters
    ----------
    folder
        Where programs are started.
    secrets
        Names of environment variables by the name they have in the action.
    mark
        Names the attempt in every process it starts.

    Raises
    ------
    UsageError
        If a secret is not set, or is too short to be kept out of what is recorded.
    """

    def __init__(self, folder: Path, secrets: Mapping[str, str], mark: str) -> None:
        self._folder, self._secrets, self.mark = folder, dict(secrets), mark
        for name in secrets.values():
            if not os.environ.get(name):
                raise UsageError(
                    f"the environment variable {name} is not set", hint="the action needs the secret in it; set it"
                )
        self.scrubber = Scrubber(_known_secrets(secrets.values()))

    def take(self, step: RenderedStep, limit: Limit = PROBE, *, timeout: float | None = None) -> Seen:
        """Run or send a step, and judge what it answered."""
        seconds = step.timeout if timeout is None else min(timeout, step.timeout)
        answer = self._answer(step, limit, seconds)
        observed = _observed(answer, limit)
        held, _ = _judged(step, observed)
        shown = Observed(observed.provider, observed.code, self.scrubber.clean(observed.text))
        _, told = _judged(step, shown)
        if not held:
            told += self._complaint(answer)
        told = self.scrubber.clean(f"{told} ({answer.why})" if answer.why else told)
        return Seen(answer, observed, held and answer.outcome == "done", one_line(told, 400))

    def _complaint(self, answer: Answer) -> str:
        """Return the last line of standard error, where a program says what it did not like."""
        text = self.scrubber.clean(
            b"".join(answer.err.parts).decode(errors="replace"), cut="start" if answer.err.cut else ""
        )
        return f": {one_line(text.strip().splitlines()[-1], 200)}" if text.strip() else ""

    def _answer(self, step: RenderedStep, limit: Limit, seconds: float) -> Answer:
        if step.request is not None:
            from rbnb.actions.requesting import send

            return send(step.request, self._secrets, timeout=seconds, limit=limit)
        environ = {**environment(), MARK: self.mark}
        return run_program(step.argv, timeout=seconds, limit=limit, environ=environ, folder=self._folder)

    def keep(self, incident: Incident, path: str, step: RenderedStep, seen: Seen) -> dict[str, Any]:
        """Keep what a step said, as text, and return what is recorded of the file.

        Raises
        ------
        LedgerError
            If it cannot be written.
        """
        answer = seen.answer
        lines = [f"$ {step.display}", f"{answer.outcome}: {seen.told}", f"after {answer.seconds:.3f} s"]
        for name, catch in (("standard output" if step.argv else "body", answer.out), ("standard error", answer.err)):
            if catch.total:
                lines += ["", f"--- {name}: {catch.total:,} bytes", self._text(catch)]
        file = keep(incident, path, ("\n".join(lines) + "\n").encode(errors="replace"))
        return {**file, "cut": answer.out.cut or answer.err.cut, "printed": answer.out.total + answer.err.total}

    def _text(self, catch: Any) -> str:  # noqa: ANN401 - a Catch
        head, tail = (part.decode(errors="replace") for part in catch.parts)
        if not catch.cut:
            return self.scrubber.clean(head + tail)
        left_out = catch.total - len(catch.parts[0]) - len(catch.parts[1])
        begin = self.scrubber.clean(head, cut="end")
        return f"{begin}\n… {left_out:,} bytes are not kept …\n{self.scrubber.clean(tail, cut='start')}"


def _judged(step: RenderedStep, observed: Observed) -> tuple[bool, str]:
    try:
        return holds(step.tolerance or {"success": True}, observed)
    except RecursionError:
        return False, f"{observed.told}, but the answer is nested too deeply to be read"


def steps_for(incident: Incident, secrets: Mapping[str, str], mark: str) -> Steps:
    """Return what takes the steps of an attempt in an incident; programs start in the workspace's folder.

    Raises
    ------
    RefusedError
        If a secret is not set, or is too short to be kept out of what is recorded.
    """
    try:
        return Steps(incident.places.root if incident.places else incident.folder, secrets, mark)
    except UsageError as error:
        raise RefusedError(error.message, hint=error.hint) from None


def _observed(answer: Answer, limit: Limit) -> Observed:
    if answer.out.cut and not limit.tail:  # a probe
        return Observed(answer.provider, None, f"its answer of {answer.out.total:,} bytes is too long to be judged")
    return Observed(answer.provider, answer.code, b"".join(answer.out.parts).decode(errors="replace"))


def _known_secrets(named: Iterable[str]) -> dict[str, str]:
    """Return the secrets that may be printed: those the action names, and those a program inherits."""
    known = {name: os.environ.get(name, "") for name in named}
    for name in PASSED_ON:
        value = os.environ.get(name, "")
        secret = value if looks_secret(name) else password_in(value)
        if len(secret) >= SHORTEST:
            known.setdefault(name, secret)
    return known


def missing_program(step: RenderedStep) -> str:
    """Return why the program of a step cannot be run, or ""."""
    if not step.argv or shutil.which(step.argv[0], path=environment().get("PATH")):
        return ""
    return f"{step.argv[0]} is not there, or may not be executed"
