"""Rendering: an action with the values of the case at hand, as a person reads it and a program runs it.

A rendered action is plain data: dataclasses of texts, numbers and trees of JSON, so that it can be shown, hashed and
kept. Rules: the values from the snapshot are put in by `RenderedAction.resolved` once they are known, and checked
again there; a secret is never in a rendered action, only ``${secret.name}`` and the environment variable it stands
for, and `RenderedRequest.opened` puts it in for the moment of sending.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from rbnb.catalog.grammar import APPROVALS, Precondition, Snapshot, Verify
from rbnb.catalog.tolerance import filled
from rbnb.catalog.values import PLACEHOLDER, Filling, checked
from rbnb.errors import NotFoundError, ParameterError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rbnb.catalog.grammar import Action, Step, Variant

__all__ = ["RenderedAction", "RenderedRequest", "RenderedStep", "render"]

_LINES = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class RenderedRequest:
    """A request with its values put in; secrets stand in it as ``${secret.name}``.

    Parameters
    ----------
    body
        A tree of JSON, sent as JSON; None sends no body.
    """

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None

    def opened(self, secrets: Mapping[str, str], environ: Mapping[str, str]) -> tuple[dict[str, str], bytes | None]:
        """Return the headers and the body with the secrets in them, to be sent and never kept.

        Parameters
        ----------
        secrets
            Names of environment variables by the secret's name, as the action declares them.
        environ
            The environment.

        Raises
        ------
        UsageError
            If a variable is not set, or would be more than one line; its name is said, never its value.
        """

        def put(found: re.Match[str]) -> str:
            return _secret(secrets[found[2]], environ) if found[1] == "secret" else found[0]

        def inside(node: Any) -> Any:  # noqa: ANN401 - any JSON
            if isinstance(node, str):
                return PLACEHOLDER.sub(put, node)
            if isinstance(node, dict):
                return {key: inside(part) for key, part in node.items()}
            return [inside(part) for part in node] if isinstance(node, list) else node

        headers = {name: PLACEHOLDER.sub(put, value) for name, value in self.headers.items()}
        return headers, None if self.body is None else _json(inside(self.body)).encode()


def _secret(variable: str, environ: Mapping[str, str]) -> str:
    value = environ.get(variable, "")
    if not value or _LINES.search(value):
        why = "holds more than one line" if value else "is not set"
        raise UsageError(
            f"the environment variable {variable} {why}", hint="the action needs the secret in it; set it and try again"
        )
    return value


@dataclass(frozen=True, slots=True)
class RenderedStep:
    """One step with its values put in.

    Parameters
    ----------
    text
        What must hold (a precondition) or what is seen when it went well (a step).
    argv
        The arguments, exactly as a program would get them; empty where it is a request or a person has to look.
    display
        The same as a line that can be pasted into a POSIX shell; a secret is ``"$VARIABLE"`` in it.
    provider
        ``process``, ``http``, or empty where a person has to look.
    request
        What is sent, for http.
    tolerance
        What the answer must be, for `rbnb.catalog.holds`; of a step that says none, that it went well.
    timeout
        After how many seconds it is given up.
    patience, every
        For how many seconds a probe is asked again, and how often; 0 means once.
    take
        What a snapshot takes, for `rbnb.catalog.taken`.
    only_shows
        Whether a dry run is none, and only shows what would be changed.
    """

    text: str
    argv: tuple[str, ...] = ()
    display: str = ""
    provider: str = ""
    request: RenderedRequest | None = None
    tolerance: dict[str, Any] = field(default_factory=dict)
    timeout: float = 60.0
    patience: float = 0.0
    every: float = 0.0
    take: dict[str, dict[str, Any]] = field(default_factory=dict)
    only_shows: bool = False


@dataclass(frozen=True)
class RenderedAction:
    """An action for the case at hand, ready to be read and decided on.

    `missing` names the values nobody gave; they stand in the steps as ``<name>``, and `help` says what each of them
    is. `values` are the ones that were used, `taken` those of the snapshot once they are known. `secrets` are
    environment variables by the name they have here. `digest` is of the action as its file says it.
    """

    name: str
    variant: str
    title: str
    objective: str
    phase: str
    risk: str
    approvals: int
    blast_radius: str
    target: str
    preconditions: tuple[RenderedStep, ...]
    snapshot: RenderedStep | None
    dry_run: RenderedStep | None
    execute: RenderedStep | None
    verify: RenderedStep | None
    rollback: RenderedStep | None
    rollback_verify: RenderedStep | None
    expected_outcome: str
    safety_check: str
    manual: str
    digest: str
    values: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    help: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    taken: dict[str, Any] = field(default_factory=dict)

    @property
    def demanded(self) -> int:
        """How many approvals it demands whatever the rules say: those beyond what is usual for its risk, else 0."""
        return self.approvals if self.approvals > APPROVALS.get(self.risk, 0) else 0

    @property
    def paths(self) -> list[str]:
        """Every JSONPath in it, for `rbnb.catalog.check_path` before anything runs."""
        steps = (*self.preconditions, self.snapshot, self.dry_run, self.execute, self.verify, self.rollback_verify)
        found = [path for step in steps if step for path in _paths([step.tolerance, list(step.take.values())])]
        return list(dict.fromkeys(found))

    def resolved(self, snapshot_values: Mapping[str, Any]) -> RenderedAction:
        """Return it with the values from the snapshot put in and checked.

        Parameters
        ----------
        snapshot_values
            What `rbnb.catalog.taken` read, by name.

        Raises
        ------
        ParameterError
            If one is missing, or is not what the action says it takes.
        """
        source = vars(self).get("_source")
        if source is None:
            raise UsageError("a copy of a rendered action cannot be resolved", hint="render the action again")
        return _rendered_action(cast("Action", source), self.variant, self.values, snapshot_values)


def render(action: Action, values: Mapping[str, str], variant: str = "") -> RenderedAction:
    """Put values into an action's steps.

    Parameters
    ----------
    action
        From the catalog.
    values
        By name; a name the action does not declare is left alone, for one set serves many actions.
    variant
        The platform; empty for the action's first.

    Raises
    ------
    NotFoundError
        If the action has no such variant.
    ParameterError
        If a value does not match its pattern, or would be more than part of one argument.
    """
    if variant and variant not in action.names:
        raise NotFoundError("variant", variant, action.names, where=action.name or action.title)
    return _rendered_action(action, variant or action.names[0], values, None)


def _rendered_action(
    action: Action, name: str, values: Mapping[str, str], taken: Mapping[str, Any] | None
) -> RenderedAction:
    way = action.variant(name)
    needed = [value for value in way.values if ("", value) in way.used]
    used = {value: checked(value, way.values[value], values) for value in needed}
    known = {value: text for value, text in used.items() if text is not None}
    kinds = {value: spec.kind for value, spec in way.values.items()}
    filling = Filling(known, kinds, None if taken is None else _checked_taken(way, taken))
    found = RenderedAction(
        name=action.name,
        variant=name,
        title=action.title,
        objective=action.objective,
        phase=action.phase,
        risk=action.risk,
        approvals=action.approvals,
        blast_radius=way.blast_radius or action.blast_radius,
        target=filling.text(way.target) or ", ".join(f"{key}={text}" for key, text in known.items()),
        preconditions=tuple(_step(one, filling, way) for one in way.preconditions),
        **{step: _step_of(way, step, filling) for step in ("snapshot", "dry_run", "execute", "verify")},
        **{step: _step_of(way, step, filling) for step in ("rollback", "rollback_verify")},
        expected_outcome=action.expected_outcome,
        safety_check=action.safety_check,
        manual=way.manual or action.manual,
        digest=action.digest,
        values=known,
        missing=tuple(value for value in needed if value not in known),
        help={value: way.values[value].help for value in needed},
        secrets=dict(way.secrets),
        taken=dict(filling.taken or {}),
    )
    vars(found)["_source"] = action  # beside the fields: what is recorded and compared is the rendered action alone
    return found


def _checked_taken(way: Variant, taken: Mapping[str, Any]) -> dict[str, Any]:
    takes = way.snapshot.take if way.snapshot else {}
    for name, take in takes.items():
        if name not in taken:
            raise ParameterError(f"the snapshot has no {name}", hint="take the snapshot again")
        if not take.fits(taken[name]):
            raise ParameterError(f"{name} from the snapshot cannot be {taken[name]!r:.80}", hint=f"it is a {take.kind}")
    return {name: taken[name] for name in takes}


def _step_of(way: Variant, name: str, filling: Filling) -> Any:  # noqa: ANN401 - a step, or None
    step: Step | None = getattr(way, name)
    return None if step is None else _step(step, filling, way)


def _step(step: Step, filling: Filling, way: Variant) -> RenderedStep:
    text = step.text if isinstance(step, Precondition) else step.expect
    if not step.provider:
        return RenderedStep(text=text)
    argv = tuple(_argument(one, filling) for one in step.command or [])
    request = _request(step, filling)
    default = {"success": True}
    return RenderedStep(
        text=text,
        argv=argv,
        display=shlex.join(argv) if argv else _curl(cast("RenderedRequest", request), way.secrets),
        provider=step.provider,
        request=request,
        tolerance=filled(step.tolerance, filling) if step.tolerance else default,
        timeout=step.timeout.total_seconds(),
        patience=step.within.total_seconds() if isinstance(step, Verify) and step.within else 0.0,
        every=step.every.total_seconds() if isinstance(step, Verify) else 0.0,
        take=_takes(step, filling) if isinstance(step, Snapshot) else {},
        only_shows=bool(getattr(step, "only_shows", False)),
    )


def _argument(written: str | dict[str, Any], filling: Filling) -> str:
    """Put values into one argument; a mapping is an option whose value is a JSON document."""
    if isinstance(written, str):
        return filling.argument(written)
    ((option, tree),) = written.items()
    document = _json(filling.tree(tree))
    return document if option == "json" else f"{option}={document}"


def _request(step: Step, filling: Filling) -> RenderedRequest | None:
    if step.http is None:
        return None
    headers = {name: filling.text(value) for name, value in step.http.headers.items()}
    body = filling.tree(step.http.body)
    if body is not None and not any(name.lower() == "content-type" for name in headers):
        headers = {"Content-Type": "application/json", **headers}
    return RenderedRequest(step.http.method, filling.url(step.http.url), headers, body)


def _takes(step: Snapshot, filling: Filling) -> dict[str, dict[str, Any]]:
    takes = {}
    for name, take in step.take.items():
        plain = take.model_dump(include=set(take.model_fields_set))
        for key, fill in (("jsonpath", filling.path), ("regex", filling.pattern)):
            if plain.get(key) is not None:
                plain[key] = fill(plain[key])
        takes[name] = plain
    return takes


def _paths(node: Any) -> list[str]:  # noqa: ANN401 - any JSON
    if isinstance(node, list):
        return [path for part in node for path in _paths(part)]
    if not isinstance(node, dict):
        return []
    own = [node["jsonpath"]] if isinstance(node.get("jsonpath"), str) else []
    return own + _paths(node.get("all", []))


def _json(tree: Any) -> str:  # noqa: ANN401 - any JSON
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _curl(request: RenderedRequest, secrets: Mapping[str, str]) -> str:
    """Return the line that sends the request with curl; a secret is read from the environment there."""
    parts = ["curl", "--fail-with-body", "--silent", "--show-error", "--request", request.method]
    for name, value in request.headers.items():
        parts += ["--header", f"{name}: {value}"]
    if request.body is not None:
        parts += ["--data", _json(request.body)]
    return " ".join(_quoted(part, secrets) for part in [*parts, request.url])


def _quoted(text: str, secrets: Mapping[str, str]) -> str:
    pieces, at = [], 0
    for found in PLACEHOLDER.finditer(text):
        if found[1] == "secret":
            pieces += [text[at : found.start()], None, secrets[found[2]]]
            at = found.end()
    pieces.append(text[at:])
    if len(pieces) == 1:
        return shlex.quote(text)
    return _joined(pieces)


def _joined(pieces: list[str | None]) -> str:
    line, variable = "", False
    for piece in pieces:
        if piece is None:
            variable = True
        elif variable:
            line, variable = f'{line}"${piece}"', False
        else:
            line += shlex.quote(piece) if piece else ""
    return line
