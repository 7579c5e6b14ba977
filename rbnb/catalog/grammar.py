"""How an action is written down: its steps, its variants for different platforms, and what is refused.

One file an action. Its steps stand in the file itself, or under ``variants`` where platforms differ; values,
secrets and preconditions of the file belong to every variant. A step runs a program (``command``, a list of
arguments) or sends a request (``http``). Rules, kept when the file is read:

- **A command is a list of arguments**, never a line for a shell, and no shell may be its program.
- **A URL's host is written out**, or comes from a value of kind ``address``; it holds no user and no password.
- **What changes anything can be tried, checked and undone**: with execute come snapshot, dry_run, verify (with a
  tolerance) and rollback. A dry run that only shows the present state says so with ``only_shows``.
- **A rollback uses only values that are declared or that the snapshot takes**; the snapshot's values stand nowhere
  before it, so that what is approved is exactly what is executed.
- **A secret is the name of an environment variable**, and stands only in a header or a body.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta
from itertools import pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from rbnb.catalog.tolerance import TakeField, ToleranceField
from rbnb.catalog.values import PLACEHOLDER, Json, Text, Value, placeholders
from rbnb.config import Duration, Name, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["APPROVALS", "Action", "Http", "Precondition", "Snapshot", "Step", "Variant", "Verify"]

#: How many people must agree, by risk, where the action does not say.
APPROVALS = {"low": 0, "medium": 1, "high": 2}

_SHELLS = frozenset({"ash", "bash", "busybox", "cmd", "csh", "dash", "fish", "ksh", "powershell", "pwsh", "sh", "zsh"})
_URL = re.compile(
    r"(?:https?://(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?|\$\{[a-z][a-z0-9_]*\})(?:[/?][^\s#\\@]*)?"
)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: The steps in the order in which they are taken.
STEPS = ("snapshot", "dry_run", "execute", "verify", "rollback", "rollback_verify")
#: Where a value from the snapshot may stand: after it was taken, and not in what is approved as it stands.
_AFTERWARDS = ("verify", "rollback", "rollback_verify")


def _is_shell(argument: object) -> bool:
    return isinstance(argument, str) and PurePath(argument).stem.lower() in _SHELLS


def _well_written(node: object) -> None:
    """Refuse what looks like a placeholder and is none."""
    for text in _texts(node):
        if "${" in PLACEHOLDER.sub("", text):
            raise ValueError(f"a value is written ${{name}}, in small letters, digits and '_', not as in {text!r}")
    for source, name in placeholders(node):
        if source != "secret" and name != name.lower():
            raise ValueError(f"a value is written ${{name}}, in small letters, digits and '_', not as in '${{{name}}}'")


def _texts(node: object) -> list[str]:
    if isinstance(node, str):
        return [node]
    if isinstance(node, dict):
        return [text for pair in node.items() for part in pair for text in _texts(part)]
    if isinstance(node, list):
        return [text for part in node for text in _texts(part)]
    return []


def _command(command: list[str | dict[str, Any]]) -> list[str | dict[str, Any]]:
    program = command[0]
    if not isinstance(program, str) or "$" in program:
        raise ValueError("the program, its first argument, must be written out; a value may not choose it")
    if _is_shell(program) or any(_is_shell(a) and str(b).startswith(("-", "/")) for a, b in pairwise(command)):
        raise ValueError("a shell would read its argument as commands; list the program and its arguments instead")
    for argument in command:
        if isinstance(argument, dict) and not (
            len(argument) == 1 and re.fullmatch(r"json|--[a-z][a-z0-9-]*", next(iter(argument)))
        ):
            raise ValueError(
                "a JSON argument is written {--option: document}, or {json: document} where it stands alone"
            )
    _well_written(command)
    return command


Command = Annotated[list[Text | dict[str, Json]], Field(min_length=1), AfterValidator(_command)]


class Http(Settings):
    """A request; `body` is sent as JSON."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
    url: Text
    headers: dict[str, str] = Field(default_factory=dict)
    body: Json = None

    @model_validator(mode="after")
    def _is_plain(self) -> Http:
        if not _URL.fullmatch(self.url):
            raise ValueError(
                "url must begin with http:// or https:// and a host written out, or with one ${value} of kind address, "
                "and hold no user, password, fragment or space"
            )
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name) or _CONTROL.search(value):
                raise ValueError(f"the header {name!r:.40} is not one line of text under a plain name")
        if self.body is not None and self.method in {"GET", "HEAD"}:
            raise ValueError(f"a {self.method} request has no body")
        if any(source == "secret" for source, _ in placeholders(self.url)):
            raise ValueError("a secret may stand in a header or the body, never in a URL, which is logged")
        _well_written([self.url, self.headers, self.body])
        return self


class Step(Settings):
    """A program or a request, what is seen when it went well, and what that is to a program."""

    command: Command | None = None
    http: Http | None = None
    expect: Text
    tolerance: ToleranceField | None = None
    timeout: Duration = timedelta(seconds=60)

    @property
    def provider(self) -> str:
        """``process`` or ``http``; empty where a person has to look."""
        return "process" if self.command else "http" if self.http else ""

    @property
    def does(self) -> dict[str, Any]:
        """What it runs or sends, as plain data."""
        return self.model_dump(include={"command", "http"}, exclude_none=True)

    @property
    def written(self) -> Any:  # noqa: ANN401 - any JSON
        """Every text in which a value may stand."""
        return [self.does, self.tolerance.model_dump(exclude_unset=True) if self.tolerance else None]

    @model_validator(mode="after")
    def _one_provider(self) -> Step:
        if (self.command is None) == (self.http is None) and not isinstance(self, Precondition):
            raise ValueError("say either a command or an http request")
        if any(source == "secret" for source, _ in placeholders(self.command)):
            raise ValueError("a secret in a command is seen by everybody on the machine; use a header or a body")
        return self


class Precondition(Step):
    """What must hold first: `text` for people and, where a program can look, a probe with its tolerance."""

    expect: str = ""
    text: Text

    @model_validator(mode="after")
    def _is_a_probe(self) -> Precondition:
        if self.command is not None and self.http is not None:
            raise ValueError("say either a command or an http request")
        if self.tolerance is not None and not self.provider:
            raise ValueError("a tolerance needs a command or an http request whose answer it is about")
        return self


class Snapshot(Step):
    """A read-only probe of the state before, kept as evidence, and the values that the rollback returns to."""

    expect: str = "The state before; it is kept, and the rollback returns to it."
    take: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")], TakeField] = Field(default_factory=dict)

    @property
    def written(self) -> Any:  # noqa: ANN401 - any JSON
        """Every text in which a value may stand."""
        return [super().written, [[take.jsonpath, take.regex] for take in self.take.values()]]


class DryRun(Step):
    """A rehearsal; `only_shows` where the platform has none and this only shows what would be changed."""

    only_shows: bool = False


class Verify(Step):
    """A probe that is asked every `every` until its tolerance holds, for `within` at the longest."""

    within: Duration | None = None
    every: Duration = timedelta(seconds=5)


class _Steps(Settings):
    target: str = ""
    values: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")], Value] = Field(default_factory=dict)
    secrets: dict[
        Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")],
        Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")],
    ] = Field(default_factory=dict)
    preconditions: list[Precondition] = Field(default_factory=list)
    snapshot: Snapshot | None = None
    dry_run: DryRun | None = None
    execute: Step | None = None
    verify: Verify | None = None
    rollback: Step | None = None
    rollback_verify: Verify | None = None

    @property
    def steps(self) -> dict[str, Step]:
        """The steps there are, by name."""
        return {name: step for name in STEPS if (step := getattr(self, name)) is not None}

    @property
    def used(self) -> set[tuple[str, str]]:
        """Every placeholder in it."""
        return placeholders(
            [self.target, *(p.written for p in self.preconditions), *(s.written for s in self.steps.values())]
        )


class Variant(_Steps):
    """One action on one platform; what it does not say is the action's."""

    blast_radius: Text | None = None
    manual: Text | None = None

    def problem(self) -> str:
        """Return the first thing that is wrong with it, or nothing."""
        return self._undoable() or self._undeclared() or self._misplaced()

    def _undoable(self) -> str:
        if self.execute is None:
            return "it has a rollback but nothing to execute" if self.rollback else ""
        if missing := [name for name in ("snapshot", "dry_run", "verify", "rollback") if name not in self.steps]:
            return f"it executes something, so it needs {', '.join(missing)} too"
        if any(probe and probe.tolerance is None for probe in (self.verify, self.rollback_verify)):
            return "verify needs a tolerance: what the answer must be when the action has worked"
        if self.dry_run and self.dry_run.does == self.execute.does:
            return "its dry run is the very command it executes"
        return ""

    def _undeclared(self) -> str:
        declared = {("", name) for name in self.values} | {("secret", name) for name in self.secrets}
        declared |= {("snapshot", name) for name in (self.snapshot.take if self.snapshot else ())}
        where = {"": "under values", "secret": "under secrets", "snapshot": "taken by the snapshot"}
        for source, name in sorted(self.used - declared):
            how = f"{source}.{name}" if source else name
            state = "taken by the snapshot" if source == "snapshot" else f"declared {where[source]}"
            return f"a step uses ${{{how}}}, which is not {state}"
        return ""

    def _misplaced(self) -> str:
        early = [step.written for name, step in self.steps.items() if name not in _AFTERWARDS]
        if any(source == "snapshot" for source, _ in placeholders([self.target, *early, *self._probes()])):
            return f"a value from the snapshot may stand only in {', '.join(_AFTERWARDS)}"
        for http in [step.http for step in (*self.preconditions, *self.steps.values()) if step.http]:
            head = PLACEHOLDER.match(http.url)
            if head and self.values[head[2]].kind != "address":
                return f"the value {head[2]} stands where a URL begins, so it must be of kind address"
        return ""

    def _probes(self) -> list[Any]:
        return [precondition.written for precondition in self.preconditions]


class Action(_Steps):
    """One way to contain an incident or to remedy it; it knows its name from the file it stands in."""

    title: Text
    objective: Text
    phase: Literal["containment", "remediation"]
    risk: Literal["low", "medium", "high"]
    approvals: Annotated[int, Field(ge=0, le=9)] = 0
    blast_radius: Text
    expected_outcome: Text
    safety_check: Text
    manual: Text
    variants: dict[Name, Variant] = Field(default_factory=dict)

    _name: str = PrivateAttr(default="")
    _file: str = PrivateAttr(default="")

    @model_validator(mode="before")
    @classmethod
    def _approvals_follow_risk(cls, data: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        if isinstance(data, dict) and "approvals" not in data and isinstance(data.get("risk"), str):
            return {**data, "approvals": APPROVALS.get(data["risk"], 0)}
        return data

    @model_validator(mode="after")
    def _is_in_order(self) -> Action:
        if self.variants and self.steps:
            raise ValueError(f"{next(iter(self.steps))} must stand in each variant, where there are variants")
        for name in self.names:
            if problem := self.variant(name).problem():
                raise ValueError(f"{f'variant {name}: ' if self.variants else ''}{problem}")
        self._refuse_unused()
        return self

    def _refuse_unused(self) -> None:
        ways = [self.variant(name) for name in self.names]
        everywhere = {found for way in ways for found in way.used}
        for source, declared, own in (
            ("", self.values, [(w.used, w.values) for w in self.variants.values()]),
            ("secret", self.secrets, [(w.used, w.secrets) for w in self.variants.values()]),
        ):
            unused = [name for name in declared if (source, name) not in everywhere]
            unused += [name for used, names in own for name in names if (source, name) not in used]
            if unused:
                raise ValueError(f"no step uses the {source or 'value'} {unused[0]}")

    @property
    def name(self) -> str:
        """What it is called in the catalog."""
        return self._name

    @property
    def file(self) -> str:
        """The file it was read from."""
        return self._file

    @property
    def digest(self) -> str:
        """SHA-256 over what it says, whatever its file looks like: `sha256:…`."""
        said = {self._name: self.model_dump(mode="json", exclude_unset=True)}
        line = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return f"sha256:{hashlib.sha256(line.encode()).hexdigest()}"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its variants; one that stands in the file itself is called after its provider."""
        if self.variants:
            return tuple(self.variants)
        main = self.execute or self.verify
        return (main.provider if main else "manual",)

    @property
    def changes_something(self) -> bool:
        """Whether there is anything to execute."""
        return any(self.variant(name).execute is not None for name in self.names)

    def variant_for(self, platforms: Sequence[str]) -> str:
        """Return the first of `platforms` that it has a variant for, else its first variant."""
        return next((name for name in platforms if name in self.names), self.names[0])

    def variant(self, name: str = "") -> Variant:
        """Return one variant with everything it shares with the others; the first where no name is given.

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        shared = {key: getattr(self, key) for key in _Steps.model_fields}
        if not self.variants:
            if name and name not in self.names:
                raise KeyError(name)
            return Variant.model_construct(**shared, blast_radius=self.blast_radius, manual=self.manual)
        own = self.variants[name or self.names[0]]
        return own.model_copy(
            update={
                "target": own.target or self.target,
                "values": {**self.values, **own.values},
                "secrets": {**self.secrets, **own.secrets},
                "preconditions": [*self.preconditions, *own.preconditions],
                "blast_radius": own.blast_radius or self.blast_radius,
                "manual": own.manual or self.manual,
            }
        )

    def placed(self, name: str, path: Path) -> Action:
        """Return it with the name and the file it was found under."""
        found = self.model_copy()
        found._name, found._file = name, f"{path.parent.name}/{path.name}"  # noqa: SLF001 - a copy of itself
        return found
