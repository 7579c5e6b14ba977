"""Reading YAML and TOML so that a mistake is named by file, key and remedy.

`rbnb.toml` describes a workspace: where models, templates, policies and reports are, and who is on
call. Rules: unknown keys are refused; a key written twice is refused; YAML is read without Python
objects; ``${NAME}`` is replaced from the environment only where a credential may stand.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from rbnb.errors import ConfigError, NotFoundError, UsageError
from rbnb.model import NAME
from rbnb.times import parse_duration, parse_time

__all__ = [
    "Channel",
    "Duration",
    "Moment",
    "Name",
    "Owners",
    "Places",
    "Role",
    "Settings",
    "WorkspaceFile",
    "env_names",
    "expand_env",
    "find_workspace_file",
    "load_workspace_file",
    "open_places",
    "parse_settings",
    "read_yaml",
    "shipped",
]

WORKSPACE_FILE = "rbnb.toml"


class Settings(BaseModel):
    """The base of everything read from a file: strict types, unknown keys refused, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _duration(value: object) -> object:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except UsageError as error:
            raise ValueError(f"{error.message}; {error.hint}") from None
    return value


def _moment(value: object) -> object:
    try:
        if isinstance(value, datetime):
            return parse_time(value.isoformat())
        if isinstance(value, str):
            return parse_time(value)
    except UsageError as error:
        raise ValueError(f"{error.message}; {error.hint}") from None
    return value


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("use letters, digits, '.', '_' and '-', starting with a letter or digit, at most 64")
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Name = Annotated[str, AfterValidator(_name)]

SettingsT = TypeVar("SettingsT", bound=Settings)


class Role(Settings):
    """A role in an incident and who holds it."""

    people: Annotated[list[str], Field(default_factory=list)]


class PersonEntry(Settings):
    """Somebody who takes part in incidents: how else the name is spelled, and whether they still count."""

    name: str = ""
    aliases: list[str] = Field(default_factory=list)
    contact: str = ""
    revoked: bool = False


class Escalation(Settings):
    """To whom it goes up, in order; a severity's own chain comes before the general one."""

    chain: list[str] = Field(default_factory=list)
    by_severity: dict[Literal["SEV1", "SEV2", "SEV3", "SEV4"], list[str]] = Field(default_factory=dict)

    def of(self, severity: str) -> list[str]:
        """Return the chain of a severity."""
        return self.by_severity.get(severity, self.chain)  # type: ignore[call-overload,no-any-return]


class Identity(Settings):
    """How people prove who they are: a file of allowed signers as ssh-keygen reads it, relative to rbnb.toml."""

    allowed_signers: str | None = None


class ActionSettings(Settings):
    """Whether rbnb may execute actions itself; if not, it shows what a person does by hand."""

    execute: bool = False


class Channel(Settings):
    """Where updates for an audience go; the address is a secret, so it stands in the environment."""

    webhook: Annotated[str, Field(pattern=r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$")]
    format: Literal["slack", "json", "apprise"] = "slack"


class Owners(Settings):
    """Who reviews what: by kind, and by the name of a signal or a compliance item."""

    security: str = ""
    privacy: str = ""
    ethics: str = ""
    checks: dict[str, str] = Field(default_factory=dict)


class Paths(Settings):
    """Where things lie, relative to rbnb.toml."""

    models: str = "models"
    reports: str = "reports"
    baselines: str = "baselines"
    templates: str | None = None
    policies: str | None = None


class WorkspaceFile(Settings):
    """`rbnb.toml`: one workspace."""

    workspace: Paths = Field(default_factory=Paths)
    people: dict[Name, PersonEntry] = Field(default_factory=dict)
    roles: dict[str, Role] = Field(default_factory=dict)
    escalation: Escalation = Field(default_factory=Escalation)
    identity: Identity = Field(default_factory=Identity)
    actions: ActionSettings = Field(default_factory=ActionSettings)
    communication: dict[Name, Channel] = Field(default_factory=dict)
    owners: Owners = Field(default_factory=Owners)


#: The parser in C where it was built, the same one in Python where not.
_SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StrictLoader(_SafeLoader):  # type: ignore[misc,valid-type]
    """YAML without Python objects, and without a silent last-one-wins for a repeated key."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[object] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, (list, dict)) or key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} stands here twice or cannot be a key", key_node.start_mark
            )
        seen.add(key)
    mapping: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return mapping


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises
    ------
    ConfigError
        If it cannot be read, is no YAML, repeats a key, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, "", f"cannot be read ({_short(error)})") from None
    try:
        data = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader that refuses repeated keys
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f"line {mark.line + 1}" if mark else ""
        raise ConfigError(path, at, f"is not YAML: {getattr(error, 'problem', None) or error}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(path, "", f"is not YAML: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(path, "", "must hold keys and values, one 'key: value' a line")
    return data


def parse_settings(kind: type[SettingsT], data: dict[str, Any], path: Path) -> SettingsT:
    """Check `data` against a settings class; the first mistake is named with file, key and remedy.

    Raises
    ------
    ConfigError
        Naming the file, the dotted key and what is allowed.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=True)[0]
        more = error.error_count() - 1
        key = ".".join(str(part) for part in first["loc"])
        hint = f"and {more} more mistake{'s' if more > 1 else ''} in this file" if more else ""
        raise ConfigError(path, key, _explain(kind, first), hint=hint) from None


def _explain(kind: type[BaseModel], mistake: Any) -> str:  # noqa: ANN401 - pydantic's own error record
    if mistake["type"] == "extra_forbidden":
        allowed = _allowed_keys(kind, mistake["loc"][:-1])
        return f"is not a known key; allowed here: {', '.join(allowed)}" if allowed else "is not a known key"
    if mistake["type"] == "missing":
        return "is required and missing"
    message = str(mistake["msg"]).removeprefix("Value error, ")
    return f"{message} (it says {mistake['input']!r:.80})"


def _allowed_keys(kind: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    current: Any = kind
    for part in loc:
        annotation = getattr(current, "model_fields", {}).get(part)
        current = _settings_in(annotation.annotation) if annotation else None
        if current is None:
            return []
    return sorted(current.model_fields)


def _settings_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any type annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if found := _settings_in(argument):
            return found
    return None


_ENV = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expand_env(text: str, *, file: Path, key: str) -> str:
    """Replace ``${NAME}`` from the environment.

    Raises
    ------
    ConfigError
        If a variable is not set; the name is said, never a value.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise ConfigError(file, key, f"needs the environment variable {match[1]}, which is not set")
        return os.environ[match[1]]

    return _ENV.sub(value, text)


def env_names(text: str) -> list[str]:
    """Return the environment variables that a text refers to.

    Examples
    --------
    >>> env_names("postgres://${DB_USER}:${DB_PASSWORD}@host/db")
    ['DB_USER', 'DB_PASSWORD']
    """
    return _ENV.findall(text)


def find_workspace_file(start: Path) -> Path | None:
    """Return the nearest rbnb.toml at or above `start`."""
    for folder in (start, *start.parents):
        if (folder / WORKSPACE_FILE).is_file():
            return folder / WORKSPACE_FILE
    return None


def load_workspace_file(path: Path) -> WorkspaceFile:
    """Read rbnb.toml.

    Raises
    ------
    ConfigError
        If it is unreadable or has a wrong key or value.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, "", f"cannot be read ({_short(error)})") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, "", f"is not TOML: {error}") from None
    return parse_settings(WorkspaceFile, data, path)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of a workspace are; folders of templates and policies come in order of precedence."""

    root: Path
    file: WorkspaceFile
    models: Path
    reports: Path
    templates: tuple[Path, ...]
    policies: tuple[Path, ...]

    @property
    def baselines(self) -> Path:
        """Where the thresholds learned from each model's history are."""
        return self.root / self.file.workspace.baselines

    def policy_file(self, name: str) -> Path:
        """Return a policy file by name: the workspace's own, else the one that comes with rbnb.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        for folder in self.policies:
            if (folder / f"{name}.yaml").is_file():
                return folder / f"{name}.yaml"
        known = {path.stem for folder in self.policies for path in folder.glob("*.yaml")}
        raise NotFoundError("policy", name, known)

    def policy_names(self) -> list[str]:
        """Return the names of every file in the policies' folders."""
        return sorted({path.stem for folder in self.policies for path in folder.glob("*.yaml")})

    def policy_files(self, name: str) -> list[Path]:
        """Return every policy file of that name, and the files in a folder of that name.

        Those that come with rbnb are first, the workspace's own last.
        """
        files = [
            file
            for folder in reversed(self.policies)
            for file in (folder / f"{name}.yaml", *sorted((folder / name).glob("*.yaml")))
        ]
        return [file for file in files if file.is_file()]


def open_places(start: Path) -> Places:
    """Find the workspace at or above `start`, or the one that RBNB_WORKSPACE names.

    Raises
    ------
    UsageError
        If there is none.
    ConfigError
        If its rbnb.toml is wrong.
    """
    named = os.environ.get("RBNB_WORKSPACE", "")
    found = find_workspace_file(Path(named).resolve() if named else start.resolve())
    if found is None:
        raise UsageError(
            f"there is no {WORKSPACE_FILE} in {named or start} or above it",
            hint="change into a workspace, or make one with `rbnb init DIR`",
        )
    file, root = load_workspace_file(found), found.parent
    own = file.workspace
    return Places(
        root=root,
        file=file,
        models=root / own.models,
        reports=root / own.reports,
        templates=tuple(
            folder
            for folder in (root / own.templates if own.templates else None, shipped("notebook_templates"))
            if folder
        ),
        policies=tuple(
            folder for folder in (root / own.policies if own.policies else None, shipped("policies")) if folder
        ),
    )


def shipped(folder: str) -> Path:
    """Return a folder that comes with rbnb: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "_shipped" / folder
    return inside if inside.is_dir() else package.parent / folder


def _short(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
