"""Values and how they are put into what an action does, so that a value is never more than a value.

A placeholder is ``${name}`` (a value somebody gives), ``${snapshot.name}`` (a value read from the system before
the action) or ``${secret.name}`` (an environment variable, filled in only when the action runs). Rules:

- **Every value is matched in full** against its declared pattern. Control characters, direction overrides and
  ``${`` are refused whatever the pattern says.
- **Put in once.** What a value holds is never looked into again.
- **Structure is the author's.** In JSON a value fills one leaf or part of one text; in a URL it is percent-encoded
  into one segment; in a regular expression it is escaped; as a whole argument it cannot begin with ``-``.
- **What is missing stays visible**, as ``<name>`` or ``<name, from the snapshot>``.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field, model_validator

from rbnb.config import Settings
from rbnb.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "PLACEHOLDER",
    "Filling",
    "Json",
    "Kind",
    "Pattern",
    "Text",
    "Value",
    "checked",
    "placeholders",
    "scalar_text",
]

#: The groups are the source (empty, snapshot or secret) and the name.
PLACEHOLDER = re.compile(r"\$\{(?:(snapshot|secret)\.)?([A-Za-z][A-Za-z0-9_]*)\}")
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_ADDRESS = re.compile(
    r"https?://(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]+)*/?"
)
_ADDRESS_HELP = "an address is http:// or https://, a host, perhaps a port and a path; no user, password or query"
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")


def _is_json(node: object) -> bool:
    if isinstance(node, dict):
        return all(isinstance(key, str) and _is_json(part) for key, part in node.items())
    if isinstance(node, list):
        return all(map(_is_json, node))
    return node is None or isinstance(node, (str, bool, int)) or (isinstance(node, float) and math.isfinite(node))


def _json(node: Any) -> Any:  # noqa: ANN401 - any JSON
    if not _is_json(node):
        raise ValueError("must be JSON: texts, numbers, true, false, null, lists, and objects with texts as keys")
    return node


Json = Annotated[Any, AfterValidator(_json)]
Text = Annotated[str, Field(min_length=1)]
Kind = Literal["text", "number", "boolean", "address"]


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return text


Pattern = Annotated[Text, AfterValidator(_pattern)]


class Value(Settings):
    """What an action needs to be told, and what it may look like; the pattern is matched in full.

    `kind` says what it becomes where it fills a whole leaf of a JSON document: text, a number, a boolean. An
    ``address`` is where a URL begins: a scheme, a host, perhaps a port and a path, and needs no pattern.
    """

    pattern: Pattern | None = None
    help: Text
    default: str | None = None
    kind: Kind = "text"

    @model_validator(mode="after")
    def _makes_sense(self) -> Value:
        if self.kind == "text" and self.pattern is None:
            raise ValueError("it needs a pattern: a regular expression that a value must match in full")
        if self.default is not None and not self.allows(self.default):
            raise ValueError(f"the default {self.default!r} does not match the pattern")
        return self

    def allows(self, value: str) -> bool:
        """Whether a value may be used."""
        hidden = _HIDDEN.search(value) or "${" in value
        fits = self.pattern is None or re.fullmatch(self.pattern, value)
        return not hidden and bool(fits) and _is_of(self.kind, value)

    @property
    def allowed(self) -> str:
        """What may be given, for the person who gave something else."""
        shape = f"; it must match {self.pattern}" if self.pattern else ""
        return f"{self.help}{shape}{'; ' + _ADDRESS_HELP if self.kind == 'address' else ''}"


def _is_of(kind: Kind, value: str) -> bool:
    if kind == "number":
        return _number(value) is not None
    if kind == "boolean":
        return value in {"true", "false"}
    if kind == "address":
        return bool(_ADDRESS.fullmatch(value)) and not {".", ".."} & set(value.split("/"))
    return True


def _number(text: str) -> int | float | None:
    if _INTEGER.fullmatch(text):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def checked(name: str, spec: Value, values: Mapping[str, Any]) -> str | None:
    """Return the value given under `name`, else its default, else None.

    Raises
    ------
    ParameterError
        If it may not be used, with what is allowed.
    """
    value = values.get(name, spec.default)
    if value is None:
        return None
    if not isinstance(value, str) or not spec.allows(value):
        raise ParameterError(f"{name} cannot be {value!r:.80}", hint=spec.allowed)
    return value


def placeholders(node: object) -> set[tuple[str, str]]:
    """Return the (source, name) of each placeholder in a text or a tree of texts; the source of a value is empty.

    Examples
    --------
    >>> sorted(placeholders({"a": ["${x}", {"${snapshot.y}": 1}]}))
    [('', 'x'), ('snapshot', 'y')]
    """
    if isinstance(node, str):
        return set(PLACEHOLDER.findall(node))
    if isinstance(node, dict):
        return {found for pair in node.items() for part in pair for found in placeholders(part)}
    if isinstance(node, (list, tuple)):
        return {found for part in node for found in placeholders(part)}
    return set()


def scalar_text(value: object) -> str:
    """Return a JSON scalar as text: what is text as it is, the rest as JSON writes it.

    Raises
    ------
    ParameterError
        If it is a list or an object, which cannot be part of a text.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, list)):
        raise ParameterError("a list or an object cannot be put into a text", hint="let it fill a whole leaf of JSON")
    return json.dumps(value)


@dataclass(frozen=True, slots=True)
class Filling:
    """The values at hand, and how each place takes them.

    Parameters
    ----------
    values
        Checked values by name.
    kinds
        The kind of each declared value.
    taken
        What the snapshot read, by name; None before there is a snapshot.
    """

    values: Mapping[str, str]
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    taken: Mapping[str, Any] | None = None

    def text(self, written: str, encode: Callable[[str], str] = str) -> str:
        """Fill a text in one pass; `encode` makes each value fit its surroundings."""

        def put(found: re.Match[str]) -> str:
            source, name = found[1] or "", found[2]
            if source == "secret":
                return found[0]
            if source == "snapshot":
                if self.taken is None:
                    return f"<{name}, from the snapshot>"
                return encode(_one_line(scalar_text(self.taken[name])))
            return encode(self.values[name]) if name in self.values else f"<{name}>"

        return PLACEHOLDER.sub(put, written)

    def argument(self, written: str) -> str:
        """Fill one argument of a program.

        Raises
        ------
        ParameterError
            If it would be read as an option, or a value would change the JSON document it stands in.
        """
        argument = self.text(written, _needs_no_escape if '"' in written else str)
        if argument.startswith("-") and not written.startswith("-"):
            raise ParameterError(
                f"{argument!r:.80} would be read as an option", hint=f"it is {written} with its values"
            )
        return argument

    def tree(self, node: Any) -> Any:  # noqa: ANN401 - any JSON
        """Fill a tree of JSON: a placeholder that is a whole leaf becomes its value with its type.

        Raises
        ------
        ParameterError
            If two keys of an object become the same.
        """
        if isinstance(node, str):
            return self._leaf(node)
        if isinstance(node, list):
            return [self.tree(part) for part in node]
        if isinstance(node, dict):
            filled = {self.text(key): self.tree(part) for key, part in node.items()}
            if len(filled) != len(node):
                raise ParameterError("two keys of one object become the same", hint="choose another value")
            return filled
        return node

    def _leaf(self, written: str) -> Any:  # noqa: ANN401 - any JSON
        whole = PLACEHOLDER.fullmatch(written)
        if whole is None:
            return self.text(written)
        source, name = whole[1] or "", whole[2]
        if source == "snapshot" and self.taken is not None:
            return self.taken[name]
        if source or name not in self.values:
            return self.text(written)
        value, kind = self.values[name], self.kinds.get(name, "text")
        if kind == "number":
            return _number(value)
        return value == "true" if kind == "boolean" else value

    def url(self, written: str) -> str:
        """Fill a URL: an address where it begins, everything else percent-encoded into its segment.

        Raises
        ------
        ParameterError
            If a segment becomes ``.`` or ``..``, or empty.
        """
        head = PLACEHOLDER.match(written)
        rest = written[head.end() :] if head else written
        start = self.text(head[0]).rstrip("/") if head else ""
        return start + self.text(rest, _segment)

    def pattern(self, written: str) -> str:
        """Fill a regular expression; values are escaped."""
        return self.text(written, re.escape)

    def path(self, written: str) -> str:
        """Fill a JSONPath.

        Raises
        ------
        ParameterError
            If a value would be more than a name or an index there.
        """
        return self.text(written, _path_name)


def _one_line(text: str) -> str:
    if _HIDDEN.search(text):
        raise ParameterError(f"{text!r:.80} from the snapshot cannot be part of a text", hint="it hides characters")
    return text


def _needs_no_escape(value: str) -> str:
    if json.dumps(value, ensure_ascii=False)[1:-1] != value:
        raise ParameterError(f"{value!r:.80} cannot be used", hint="quotes and backslashes would change the document")
    return value


def _segment(value: str) -> str:
    if value in {"", ".", ".."}:
        raise ParameterError(f"{value!r} cannot be a part of a URL", hint="it would lead somewhere else")
    return quote(value, safe="")


def _path_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9 ._:/-]*", value):
        raise ParameterError(f"{value!r:.80} cannot be a part of a JSONPath", hint="use letters, digits and . _ : / -")
    return value
