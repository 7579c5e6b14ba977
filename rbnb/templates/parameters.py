"""The parameters of a template: how they are declared in its notebook, and what may be given for them.

The cell tagged ``parameters`` declares each one as a typed literal with its help::

    model: str = "fraud-v3"                # which model
    window_minutes: int = 120              # how far back to look [5..1440]
    share: float = 0.05                    # smallest share worth naming [0..1]
    severity: str = "auto"                 # how bad it is {auto|SEV1|SEV2|SEV3|SEV4}
    region: str | None = None              # one region only

The grammar of a line is ``name: type = literal  # help [low..high]`` or ``# help {one|other}``, where
the type is str, int, float or bool, with ``| None`` where nothing is a value too. A range holds its
ends, and either may be left out (``[0..]``). A value of several lines has its comment on the last one.

Rules: the cell is read with `ast` and never run; what is not declared is refused; types are checked
and never guessed; a default keeps its own rule.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import io
import keyword
import math
import re
import tokenize
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from rbnb.errors import ConfigError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["LONGEST_TEXT", "Parameter", "check_values", "declared_parameters", "parse_value"]

#: A longer text is data and belongs in a file, not in a cell.
LONGEST_TEXT = 4096
#: Whole numbers beyond 64 bits are not read back by other JSON readers.
_INT_LIMIT = 2**63
_LARGEST_FILE = 8 * 2**20

_TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
_CALLED = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"\[\s*({_NUMBER})?\s*\.\.\s*({_NUMBER})?\s*\]\s*$")
_CHOICES = re.compile(r"\{([^{}|]+(?:\|[^{}|]+)+)\}\s*$")
_HEADING = re.compile(r"\s*##\s+(?:\d+\.?\s+)?(?P<title>.*?)\s*#*\s*(?:\n|$)")
_PARAMETER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter.

    Parameters
    ----------
    name, type, default, help
        As declared; `type` is ``str``, ``int``, ``float`` or ``bool``.
    optional
        Whether None is a value too.
    low, high
        The range, ends included; None where it is open.
    choices
        The only values allowed; empty where any is.
    """

    name: str
    type: str
    default: str | float | bool | None
    help: str = ""
    optional: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """What may be given, in words.

        Examples
        --------
        >>> Parameter("share", "float", 0.1, low=0, high=1).allowed
        'a number, 0 to 1'
        """
        words = "one of " + ", ".join(self.choices) if self.choices else _CALLED[self.type]
        if self.low is not None and self.high is not None:
            words += f", {self.low:g} to {self.high:g}"
        elif self.low is not None:
            words += f", at least {self.low:g}"
        elif self.high is not None:
            words += f", at most {self.high:g}"
        return words + (" or none" if self.optional else "")


def declared_parameters(path: Path, source: str) -> tuple[Parameter, ...]:
    """Read the declarations in the text of a parameters cell; `path` is named in errors.

    Raises
    ------
    ConfigError
        If a line is no declaration, or declares something that cannot be.
    """
    try:
        statements = ast.parse(source).body
        comments = _comments(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise ConfigError(path, "parameters", f"cannot be read: {error}") from None
    declared: dict[str, Parameter] = {}
    for statement in statements:
        parameter = _parameter(path, statement, comments)
        if parameter.name in declared:
            raise ConfigError(path, f"parameters.{parameter.name}", "is declared twice")
        declared[parameter.name] = parameter
    return tuple(declared.values())


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("#").strip() for token in tokens if token.type == tokenize.COMMENT}


def _parameter(path: Path, statement: ast.stmt, comments: dict[int, str]) -> Parameter:
    if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name) or not statement.value:
        raise ConfigError(
            path, f"parameters, line {statement.lineno}", "must be name: type = literal, and nothing else stands here"
        )
    name = statement.target.id
    key = f"parameters.{name}"
    if not _PARAMETER_NAME.fullmatch(name) or keyword.issoftkeyword(name) or hasattr(builtins, name):
        raise ConfigError(path, key, "is no name for a parameter: letters, digits and _, and no name Python uses")
    kind, optional = _annotation(path, key, statement.annotation)
    try:
        default = ast.literal_eval(statement.value)
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise ConfigError(path, key, "must have a literal as its default") from None
    plain = Parameter(name, kind, default, optional=optional)
    parameter = _with_rule(path, plain, comments.get(statement.end_lineno or 0, ""))
    try:
        return replace(parameter, default=_checked(parameter, default))
    except ParameterError as error:
        raise ConfigError(path, key, f"breaks its own rule: {error.message}") from None


def _annotation(path: Path, key: str, annotation: ast.expr) -> tuple[str, bool]:
    written = ast.unparse(annotation)
    kind, _, rest = (part.strip() for part in written.partition("|"))
    if kind not in _TYPES or rest not in ("", "None"):
        raise ConfigError(path, key, f"has the type {written!r}; allowed are str, int, float, bool, and these | None")
    return kind, rest == "None"


def _with_rule(path: Path, parameter: Parameter, comment: str) -> Parameter:
    """Split a comment into its help and the rule at its end."""
    ranged, chosen = _RANGE.search(comment), _CHOICES.search(comment)
    low = high = None
    choices: tuple[str, ...] = ()
    if ranged:
        low, high = (float(end) if end is not None else None for end in ranged.groups())
        comment = comment[: ranged.start()]
        if parameter.type not in ("int", "float") or (low is not None and high is not None and low > high):
            raise ConfigError(path, f"parameters.{parameter.name}", "has a range that it cannot have")
    elif chosen:
        choices = tuple(choice.strip() for choice in chosen[1].split("|"))
        comment = comment[: chosen.start()]
        if parameter.type != "str":
            raise ConfigError(path, f"parameters.{parameter.name}", "has choices, which only a str can have")
    return replace(parameter, help=comment.strip(), low=low, high=high, choices=choices)


def check_values(template: str, parameters: Sequence[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every parameter with its value; see `rbnb.templates.check_parameters`."""
    for name in given:
        _declared(template, parameters, name)
    return {one.name: _checked(one, given.get(one.name, one.default)) for one in parameters}


def parse_value(template: str, parameters: Sequence[Parameter], assignment: str) -> tuple[str, Any]:
    """Read ``name=value``; see `rbnb.templates.parse_assignment`."""
    name, equals, text = assignment.partition("=")
    if not equals:
        raise ParameterError(f"{_shown(assignment)} is no parameter", hint="write it as -p name=value")
    parameter = _declared(template, parameters, name)
    return name, _checked(parameter, _from_text(parameter, text))


def _declared(template: str, parameters: Sequence[Parameter], name: object) -> Parameter:
    for parameter in parameters:
        if parameter.name == name:
            return parameter
    known = [parameter.name for parameter in parameters]
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"its parameters: {', '.join(known) or 'none'}"
    raise ParameterError(f"the template {template} has no parameter {_shown(name)}", hint=hint)


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write a whole number of thousands of digits
        text = f"a very large {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def _refused(parameter: Parameter, value: object, why: str = "") -> ParameterError:
    return ParameterError(
        f"{parameter.name} = {_shown(value)}: {why or 'is not allowed'}",
        hint=f"{parameter.name} is {parameter.allowed}",
    )


def _from_text(parameter: Parameter, text: str) -> str | float | bool | None:
    if parameter.type == "str":
        return text
    word = text.strip()
    if parameter.optional and word.lower() == "none":
        return None
    if parameter.type == "bool" and word.lower() in ("true", "false"):
        return word.lower() == "true"
    if parameter.type == "int" and re.fullmatch(r"[+-]?[0-9]{1,20}", word):
        return int(word)
    if parameter.type == "float" and word.isascii() and re.fullmatch(_NUMBER, word):
        return float(word)
    raise _refused(parameter, text, f"is not {_CALLED[parameter.type]}")


def _plain(value: object) -> object:
    """Turn a numpy scalar into Python's own, without importing numpy."""
    return value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value


def _checked(parameter: Parameter, given: object) -> str | float | bool | None:
    value = _plain(given)
    if value is None and parameter.optional:
        return None
    if parameter.type == "float" and type(value) is int and abs(value) < _INT_LIMIT:
        value = float(value)
    # the exact type, because True is an int to Python, and a subclass may print as anything
    if type(value) is not _TYPES[parameter.type]:
        raise _refused(parameter, given, f"is not {_CALLED[parameter.type]}")
    if isinstance(value, str):
        return _checked_text(parameter, value)
    return _checked_number(parameter, cast("float", value))


def _checked_text(parameter: Parameter, value: str) -> str:
    if len(value) > LONGEST_TEXT:
        raise _refused(parameter, value, f"is longer than {LONGEST_TEXT} characters")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise _refused(parameter, value, "is not valid Unicode")
    if parameter.choices and value not in parameter.choices:
        raise _refused(parameter, value)
    return value


def _checked_number(parameter: Parameter, value: float) -> float:
    if isinstance(value, int) and abs(value) >= _INT_LIMIT:
        raise _refused(parameter, value, "is larger than 64 bits hold")
    if not math.isfinite(value):
        raise _refused(parameter, value, "is not finite")
    below = parameter.low is not None and value < parameter.low
    above = parameter.high is not None and value > parameter.high
    if below or above:
        raise _refused(parameter, value, "is out of range")
    return value
