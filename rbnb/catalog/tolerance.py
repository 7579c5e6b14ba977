"""Tolerances: what a probe may answer and still be right; and values taken out of an answer.

A tolerance is data, written in the catalog in one of these forms::

    tolerance: 200                                       # the exit code or the HTTP status
    tolerance: [200, 204]                                # one of these
    tolerance: "true"                                    # the whole output, without the space around it
    tolerance: {regex: successfully rolled out}          # somewhere in the output
    tolerance: {range: [0, 5]}                           # the output as a number
    tolerance: {jsonpath: $.spec.suspend, equals: true}  # or one_of, range, regex, exists
    tolerance: [{...}, {...}]                            # each must hold

Rules: a probe that failed (exit code other than 0, status other than 2xx, no answer in time) is never within a
tolerance that names no status; a JSONPath that finds nothing is never within one that says what it must find, and
what it finds must all be within; only ``equals: null`` is also met by nothing, for that is what null means to the
platforms asked. Numbers are compared as numbers, and true is not 1.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from rbnb.catalog.values import Json, Pattern, Text
from rbnb.config import Settings
from rbnb.errors import DataError, UsageError
from rbnb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rbnb.catalog.values import Filling

__all__ = ["Observed", "Take", "Tolerance", "ToleranceField", "check_path", "described", "filled", "holds", "taken"]

_TESTS = ("equals", "one_of", "range", "regex", "exists")
_SAFE = r"[A-Za-z0-9][A-Za-z0-9 ._:/@+-]{0,255}"


@dataclass(frozen=True, slots=True)
class Observed:
    """What a probe answered.

    Parameters
    ----------
    provider
        ``process`` or ``http``.
    code
        The exit code or the HTTP status; None if there was no answer.
    text
        Standard output, or the body.
    """

    provider: Literal["process", "http"]
    code: int | None
    text: str = ""

    @property
    def went_well(self) -> bool:
        """Exit code 0, or a status from 200 to 299."""
        if self.code is None:
            return False
        return self.code == 0 if self.provider == "process" else 200 <= self.code < 300

    @property
    def told(self) -> str:
        """The code as a person reads it."""
        if self.code is None:
            return "no answer"
        return f"exit {self.code}" if self.provider == "process" else f"status {self.code}"


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


class Tolerance(Settings):
    """One tolerance; see the module for how it is written."""

    success: Literal[True] | None = None
    status: Annotated[list[int], BeforeValidator(_listed)] = Field(default_factory=list)
    text: Annotated[list[str], BeforeValidator(_listed)] = Field(default_factory=list)
    jsonpath: Text | None = None
    equals: Json = None
    one_of: list[Json] | None = None
    range: Annotated[list[Annotated[float, Field(strict=False)]], Field(min_length=2, max_length=2)] | None = None
    regex: Pattern | None = None
    exists: bool | None = None
    all: list[ToleranceField] = Field(default_factory=list)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Tolerance:
        tests = [name for name in _TESTS if name in self.model_fields_set]
        if self.jsonpath is not None:
            if len(tests) != 1 or self.model_fields_set - {"jsonpath", *tests}:
                raise ValueError(f"with a jsonpath goes exactly one of {', '.join(_TESTS)}")
        elif len(self.model_fields_set) != 1 or set(tests) & {"equals", "one_of", "exists"}:
            raise ValueError("say one of status, text, regex, range, all, or a jsonpath with what it must find")
        if any(getattr(self, name) == [] for name in self.model_fields_set - {"equals"}):
            raise ValueError("an empty list says nothing")
        if self.range and not self.range[0] <= self.range[1]:
            raise ValueError("a range goes from its lower end to its upper end")
        return self


def _normalised(written: object) -> object:
    if isinstance(written, bool):
        raise ValueError(  # noqa: TRY004 - pydantic makes its own error of it
            'write "true" or "false" in quotes for what a program prints, or use jsonpath with equals'
        )
    if isinstance(written, int):
        return {"status": [written]}
    if isinstance(written, str):
        return {"text": [written]}
    if isinstance(written, list) and written:
        for kind, key in ((int, "status"), (str, "text"), (dict, "all")):
            if all(isinstance(one, kind) and not isinstance(one, bool) for one in written):
                return {key: written}
        raise ValueError("a list holds only statuses, only texts, or only tolerances")
    return written


ToleranceField = Annotated[Tolerance, BeforeValidator(_normalised)]
Tolerance.model_rebuild()


def filled(tolerance: Tolerance, filling: Filling) -> dict[str, Any]:
    """Return a tolerance with its values put in, as plain data."""
    plain = tolerance.model_dump(include=tolerance.model_fields_set - {"all"})
    for key in ("equals", "one_of", "text"):
        if key in plain:
            plain[key] = filling.tree(plain[key])
    if "regex" in plain:
        plain["regex"] = filling.pattern(plain["regex"])
    if "jsonpath" in plain:
        plain["jsonpath"] = filling.path(plain["jsonpath"])
    if tolerance.all:
        plain["all"] = [filled(one, filling) for one in tolerance.all]
    return plain


def described(tolerance: Mapping[str, Any]) -> str:
    """Return in words when a tolerance of a rendered step holds.

    Examples
    --------
    >>> described({"jsonpath": "$.spec.suspend", "equals": True})
    '$.spec.suspend is true'
    >>> described({"all": [{"status": [0, 3]}, {"regex": "^done"}]})
    'the code is 0 or 3, and its answer matches ^done'
    """
    parts = tolerance.get("all", [tolerance])
    return ", and ".join(described(one) if "all" in one else _described(one) for one in parts)


def _described(tolerance: Mapping[str, Any]) -> str:
    subject = tolerance.get("jsonpath", "its answer")
    if "status" in tolerance:
        return f"the code is {_either(tolerance['status'])}"
    if "range" in tolerance:
        return f"{subject} is from {tolerance['range'][0]:g} to {tolerance['range'][1]:g}"
    if "exists" in tolerance:
        return f"{subject} is {'' if tolerance['exists'] else 'not '}there"
    if "regex" in tolerance:
        return f"{subject} matches {tolerance['regex']}"
    wanted = [tolerance["equals"]] if "equals" in tolerance else tolerance.get("one_of", tolerance.get("text"))
    return f"{subject} is {_either(wanted)}" if wanted else "it succeeds"


def _either(values: list[Any]) -> str:
    return " or ".join(one_line(json.dumps(value, ensure_ascii=False), 120) for value in values)


def holds(tolerance: Mapping[str, Any], observed: Observed) -> tuple[bool, str]:
    """Say whether an answer is within a tolerance, and what was seen.

    Parameters
    ----------
    tolerance
        As a rendered step carries it.
    observed
        What the probe answered.

    Returns
    -------
    tuple of bool and str
        Whether it holds, and what was seen in a line.

    Examples
    --------
    >>> holds({"jsonpath": "$.spec.suspend", "equals": True}, Observed("process", 0, '{"spec": {"suspend": false}}'))
    (False, '$.spec.suspend is false')
    >>> holds({"status": [200, 204]}, Observed("http", 503))
    (False, 'status 503')
    """
    return _holds(Tolerance.model_validate(dict(tolerance)), observed)


def _holds(tolerance: Tolerance, observed: Observed) -> tuple[bool, str]:
    if tolerance.status:
        return observed.code in tolerance.status, observed.told
    if tolerance.all:
        each = [_holds(one, observed) for one in tolerance.all]
        return all(held for held, _ in each), "; ".join(dict.fromkeys(seen for _, seen in each))
    if not observed.went_well or tolerance.success:
        why = one_line(observed.text, 200)
        return observed.went_well, observed.told + (f": {why}" if why and not observed.went_well else "")
    if tolerance.jsonpath is not None:
        return _path_holds(tolerance, tolerance.jsonpath, observed)
    text = observed.text.strip()
    return _passes(tolerance, text), f"{observed.told}: {one_line(text, 200) or 'it says nothing'}"


def _path_holds(tolerance: Tolerance, path: str, observed: Observed) -> tuple[bool, str]:
    try:
        found = _find(path, observed.text)
    except ValueError:
        return False, f"{observed.told}, but the answer is not JSON: {one_line(observed.text, 80) or 'it is empty'}"
    shown = " and ".join(one_line(json.dumps(one, ensure_ascii=False), 120) for one in found[:4]) or "not there"
    if tolerance.exists is not None:
        return bool(found) == tolerance.exists, f"{path} is {shown}"
    none_wanted = tolerance.equals is None and "equals" in tolerance.model_fields_set
    return (bool(found) or none_wanted) and all(_passes(tolerance, one) for one in found), f"{path} is {shown}"


def _passes(tolerance: Tolerance, value: object) -> bool:
    """Whether one value, or the output as text, is what the tolerance says."""
    if tolerance.text:
        return value in tolerance.text
    if tolerance.regex is not None:
        text = value if isinstance(value, str) else json.dumps(value)
        return re.search(tolerance.regex, text, re.MULTILINE) is not None
    if tolerance.range is not None:
        return _within(tolerance.range, value)
    if tolerance.one_of is not None:
        return any(_same(value, one) for one in tolerance.one_of)
    return _same(value, tolerance.equals)


def _within(span: list[float], value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    try:
        return span[0] <= float(value) <= span[1]
    except ValueError:
        return False


def _same(one: object, other: object) -> bool:
    """Whether two pieces of JSON are equal; unlike in Python, true is not 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _find(path: str, text: str) -> list[Any]:
    import jsonpath  # it takes a tenth of a second to load, so only where an answer is read

    return list(jsonpath.findall(path, json.loads(text)))


def check_path(path: str) -> None:
    """Check that a text is a JSONPath.

    Raises
    ------
    UsageError
        If it is none, with the place.
    """
    import jsonpath

    try:
        jsonpath.compile(path)
    except jsonpath.JSONPathError as error:
        raise UsageError(f"{path!r} is not a JSONPath: {one_line(error, 120)}", hint="see RFC 9535") from None


def _short_form(written: object) -> object:
    if isinstance(written, str):
        return {"jsonpath" if written.startswith("$") else "regex": written}
    return written


class Take(Settings):
    """A value read out of the snapshot: by JSONPath, or by the first group of a regular expression.

    `kind` is what it must be; ``json`` is anything and can only fill a whole leaf. Text must match `pattern`.
    `absent` is what it is where the snapshot does not have it; without it, that is an error.
    """

    jsonpath: Text | None = None
    regex: Pattern | None = None
    kind: Literal["text", "number", "boolean", "json"] = "text"
    pattern: Pattern = _SAFE
    absent: Json = None

    @model_validator(mode="after")
    def _one_way(self) -> Take:
        if (self.jsonpath is None) == (self.regex is None):
            raise ValueError("say either a jsonpath or a regex")
        if self.regex is not None and re.compile(self.regex).groups != 1:
            raise ValueError("the regular expression needs exactly one group, around what is taken")
        return self

    def found_in(self, text: str) -> list[Any]:
        """Return what is found in an answer, without what is found twice."""
        if self.regex is not None:
            found: Iterable[Any] = (self._typed(one[1]) for one in re.finditer(self.regex, text, re.MULTILINE))
        else:
            found = _find(str(self.jsonpath), text)
        different: list[Any] = []
        for one in found:
            if not any(_same(one, other) for other in different):
                different.append(one)
        return different

    def _typed(self, text: str) -> object:
        if self.kind in {"number", "boolean"}:
            try:
                return json.loads(text)
            except ValueError:
                return text
        return text

    def fits(self, value: object) -> bool:
        """Whether a value is what this takes, and nothing in it could be read as a placeholder."""
        if "${" in json.dumps(value):
            return False
        if "absent" in self.model_fields_set and _same(value, self.absent):
            return True
        if self.kind == "json":
            return True
        if self.kind == "boolean":
            return isinstance(value, bool)
        if self.kind == "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None


TakeField = Annotated[Take, BeforeValidator(_short_form)]


def taken(takes: Mapping[str, Mapping[str, Any]], observed: Observed) -> dict[str, Any]:
    """Read the values of a snapshot out of what its probe answered.

    Parameters
    ----------
    takes
        As a rendered snapshot carries them.

    Raises
    ------
    DataError
        If the probe failed, or a value is not there, is there in several forms, or is not what was declared.

    Examples
    --------
    >>> taken({"weight": {"jsonpath": "$.w", "kind": "number"}}, Observed("process", 0, '{"w": 40}'))
    {'weight': 40}
    """
    if not observed.went_well:
        seen = f"{observed.told} {one_line(observed.text, 160)}".strip()
        raise DataError(f"the state before could not be read: {seen}", hint="nothing was changed; look why it failed")
    return {name: _taken(name, Take.model_validate(dict(take)), observed.text) for name, take in takes.items()}


def _taken(name: str, take: Take, text: str) -> Any:  # noqa: ANN401 - any JSON
    hint = "nothing was changed; a rollback could not return to it"
    try:
        found = take.found_in(text)
    except ValueError:
        raise DataError("the state before is not JSON, so nothing can be taken from it", hint=hint) from None
    if not found and "absent" in take.model_fields_set:
        return take.absent
    if len(found) != 1:
        how = "is not in it" if not found else f"is in it in {len(found)} different forms"
        raise DataError(f"the state before was read, but {name} ({take.jsonpath or take.regex}) {how}", hint=hint)
    if not take.fits(found[0]):
        raise DataError(f"the state before has {name} = {found[0]!r:.80}, which is no {take.kind} it may be", hint=hint)
    return found[0]
