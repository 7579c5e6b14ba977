"""The action catalog: what may be done to contain an incident, written down before there is one.

An action says what it is for, what it risks, what must hold first, and the exact commands to try it, do
it, check it and undo it. This module reads catalogs and renders an action for a case at hand, so that
a person sees the very commands that would be run; it runs none of them. Rules:

- **A command is a list of arguments**, never a line for a shell, and no shell may be its program: what
  a value holds can never become a second argument or a second command.
- **Every value is declared** with a pattern and a help text, and is matched in full before it is used.
  Beyond its pattern, a value may not hold control characters, may not begin an argument with "-" (it
  would be an option), and inside a JSON argument must need no escaping (it would change the document).
- **A missing value stays visible** as ``<name>``, and the rendered action lists it.
- **What changes anything can be tried, checked and undone**: an action that executes has a dry run, a
  verification and a rollback, or the file is refused.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from rbnb.config import Name, Settings, parse_settings, read_yaml
from rbnb.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Action", "RenderedAction", "RenderedStep", "Step", "Value", "load_catalog", "render"]

_PLACEHOLDER = re.compile(r"\$\{([a-z][a-z0-9_]*)\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SHELLS = frozenset({"ash", "bash", "busybox", "cmd", "csh", "dash", "fish", "ksh", "powershell", "pwsh", "sh", "zsh"})
_STEPS = ("dry_run", "execute", "verify", "rollback")

Text = Annotated[str, Field(min_length=1)]


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return text


def _is_shell(argument: str) -> bool:
    return PurePath(argument).stem.lower() in _SHELLS


def _command(command: list[str]) -> list[str]:
    program = command[0]
    if "$" in program:
        raise ValueError("the program, its first argument, must be written out; a value may not choose it")
    if _is_shell(program) or any(_is_shell(a) and b.startswith(("-", "/")) for a, b in pairwise(command)):
        raise ValueError("a shell would read its argument as commands; list the program and its arguments instead")
    for argument in command:
        if "${" in _PLACEHOLDER.sub("", argument):
            raise ValueError(f"a value is written ${{name}}, in small letters, digits and '_', not as in {argument!r}")
    return command


Command = Annotated[list[Text], Field(min_length=1), AfterValidator(_command)]


class Value(Settings):
    """What an action needs to be told, and what it may look like; the pattern is matched in full."""

    pattern: Annotated[Text, AfterValidator(_pattern)]
    help: Text
    default: str | None = None

    @model_validator(mode="after")
    def _default_fits(self) -> Value:
        if self.default is not None and not re.fullmatch(self.pattern, self.default):
            raise ValueError(f"the default {self.default!r} does not match the pattern")
        return self


class Step(Settings):
    """One command, and what is seen when it went well."""

    command: Command
    expect: Text


class Precondition(Settings):
    """What must hold first, with the command that shows it."""

    text: Text
    command: Command | None = None


class Action(Settings):
    """One way to contain an incident; it knows its name from the catalog it stands in."""

    title: Text
    objective: Text
    phase: Literal["containment"]
    risk: Literal["low", "medium", "high"]
    approvals: Annotated[int, Field(ge=0, le=9)]
    blast_radius: Text
    values: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")], Value] = Field(default_factory=dict)
    preconditions: list[Precondition] = Field(default_factory=list)
    dry_run: Step | None = None
    execute: Step | None = None
    verify: Step | None = None
    rollback: Step | None = None
    expected_outcome: Text
    safety_check: Text
    manual: Text

    @property
    def changes_something(self) -> bool:
        """Whether there is anything to execute."""
        return self.execute is not None

    @model_validator(mode="after")
    def _can_be_undone(self) -> Action:
        missing = [name for name in ("dry_run", "verify", "rollback") if getattr(self, name) is None]
        if self.execute is not None and missing:
            raise ValueError(f"it executes something, so it needs {', '.join(missing)} too")
        if self.execute is None and self.rollback is not None:
            raise ValueError("it has a rollback but nothing to execute")
        return self

    @model_validator(mode="after")
    def _values_are_declared(self) -> Action:
        used = {name for argument in self._arguments() for name in _PLACEHOLDER.findall(argument)}
        if undeclared := sorted(used - set(self.values)):
            raise ValueError(f"a command uses ${{{undeclared[0]}}}, which is not declared under values")
        if unused := sorted(set(self.values) - used):
            raise ValueError(f"no command uses the value {unused[0]}")
        return self

    def _arguments(self) -> list[str]:
        steps = [getattr(self, name) for name in _STEPS]
        commands = [thing.command for thing in (*self.preconditions, *steps) if thing and thing.command]
        return [argument for command in commands for argument in command]


class _CatalogFile(Settings):
    actions: Annotated[dict[Name, Action], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class RenderedStep:
    """A command with its values put in.

    Parameters
    ----------
    text
        What must hold (a precondition) or what is seen when it went well (a step).
    argv
        The arguments, exactly as a program would get them; empty where a person has to look.
    display
        The same as a line that can be pasted into a POSIX shell.
    """

    text: str
    argv: tuple[str, ...] = ()
    display: str = ""


@dataclass(frozen=True, slots=True)
class RenderedAction:
    """An action for the case at hand, ready to be read and decided on.

    `missing` names the values nobody gave; they stand in the commands as ``<name>``, and `help` says
    what each of them is. `values` are the ones that were used.
    """

    title: str
    objective: str
    phase: str
    risk: str
    approvals: int
    blast_radius: str
    preconditions: tuple[RenderedStep, ...]
    dry_run: RenderedStep | None
    execute: RenderedStep | None
    verify: RenderedStep | None
    rollback: RenderedStep | None
    expected_outcome: str
    safety_check: str
    manual: str
    values: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    help: dict[str, str] = field(default_factory=dict)


def load_catalog(paths: list[Path]) -> dict[str, Action]:
    """Read catalogs; an action in a later file replaces the one of that name whole.

    Raises
    ------
    ConfigError
        Naming the file, the key and what is allowed.
    """
    catalog: dict[str, Action] = {}
    for path in paths:
        catalog.update(parse_settings(_CatalogFile, read_yaml(path), path).actions)
    return catalog


def render(action: Action, values: Mapping[str, str]) -> RenderedAction:
    """Put values into an action's commands.

    Parameters
    ----------
    action
        From the catalog.
    values
        By name; a name the action does not declare is left alone, for one set serves many actions.

    Raises
    ------
    ParameterError
        If a value does not match its pattern, or would be more than part of one argument.

    Examples
    --------
    >>> step = Step(command=["kubectl", "get", "pods", "--namespace=${namespace}"], expect="all ready")
    >>> _rendered(step.command, {"namespace": "fraud"}, "all ready").display
    'kubectl get pods --namespace=fraud'
    >>> _rendered(step.command, {}, "all ready").display
    "kubectl get pods '--namespace=<namespace>'"
    """
    used = {name: _checked(name, spec, values) for name, spec in action.values.items()}
    known = {name: value for name, value in used.items() if value is not None}
    missing = tuple(name for name in action.values if name not in known)

    def step(name: str) -> RenderedStep | None:
        found: Step | None = getattr(action, name)
        return None if found is None else _rendered(found.command, known, found.expect)

    return RenderedAction(
        title=action.title,
        objective=action.objective,
        phase=action.phase,
        risk=action.risk,
        approvals=action.approvals,
        blast_radius=action.blast_radius,
        preconditions=tuple(_rendered(p.command or [], known, p.text) for p in action.preconditions),
        dry_run=step("dry_run"),
        execute=step("execute"),
        verify=step("verify"),
        rollback=step("rollback"),
        expected_outcome=action.expected_outcome,
        safety_check=action.safety_check,
        manual=action.manual,
        values=known,
        missing=missing,
        help={name: spec.help for name, spec in action.values.items()},
    )


def _checked(name: str, spec: Value, values: Mapping[str, str]) -> str | None:
    value = values.get(name, spec.default)
    if value is None:
        return None
    # asked for first: everything after it may then rely on a plain string
    if not isinstance(value, str) or _CONTROL.search(value) or not re.fullmatch(spec.pattern, value):
        raise ParameterError(f"{name} cannot be {value!r:.80}", hint=f"{spec.help}; it must match {spec.pattern}")
    return value


def _rendered(command: list[str], values: Mapping[str, str], text: str) -> RenderedStep:
    argv = tuple(_argument(written, values) for written in command)
    return RenderedStep(text=text, argv=argv, display=shlex.join(argv))


def _argument(written: str, values: Mapping[str, str]) -> str:
    """Put values into one argument, in one pass: what a value holds is never looked into again."""
    quotes = '"' in written  # a value stands inside a JSON document, or inside quotes of some kind

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in values:
            return f"<{name}>"
        if quotes and json.dumps(values[name], ensure_ascii=False)[1:-1] != values[name]:
            raise ParameterError(
                f"{name} cannot be {values[name]!r:.80}", hint="quotes and backslashes would change the document"
            )
        return values[name]

    argument = _PLACEHOLDER.sub(value, written)
    if argument.startswith("-") and not written.startswith("-"):
        raise ParameterError(f"{argument!r:.80} would be read as an option", hint=f"it is {written} with its values")
    return argument
