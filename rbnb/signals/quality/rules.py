"""Rules between the columns of one row, written by the model's owner: read, checked, and held against rows.

A rule is one line such as ``used <= limit``, ``net + tax == gross``, ``status == 'open' implies closed is null``.
Rules this module keeps:

- **Nothing is executed.** The text is cut into tokens and read by a grammar of a few lines; a name can only ever
  be a column. There is no function, no attribute, no index.
- **Unknown is not broken.** A comparison with a missing value decides nothing, as in SQL: such rows are counted
  apart and never as violations. ``is null`` and ``is not null`` always decide.
- **Sums are compared with a tolerance** of one part in a million, as they come from floating point.

The grammar, from loosest to tightest::

    rule       = either [ "implies" rule ]
    either     = both { "or" both }
    both       = negated { "and" negated }
    negated    = [ "not" ] comparison
    comparison = sum ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) sum
               | sum "is" [ "not" ] "null" | sum [ "not" ] "in" "[" literal { "," literal } "]" | "(" rule ")"
    sum        = product { ( "+" | "-" ) product }
    product    = value { ( "*" | "/" ) value }
    value      = number | 'text' | column | `column with blanks` | "-" value | "(" sum ")"
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rbnb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Rule", "RuleOutcome", "parse_rule"]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|(?P<text>'[^']*'|\"[^\"]*\")|`(?P<quoted>[^`]+)`"
    r"|(?P<word>[^\W\d]\w*)|(?P<sign><=|>=|==|!=|[<>()\[\],+\-*/]))"
)
_WORDS = frozenset({"implies", "or", "and", "not", "is", "null", "in"})
_COMPARED = ("<=", ">=", "==", "!=", "<", ">")
_TOLERANCE = 1e-6
#: How deep parentheses and signs may nest; a rule for people needs far less, and a stack has an end.
_DEEPEST = 40
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """Row by row: which broke the rule, and which could be decided at all."""

    broken: NDArray[np.bool_]
    decided: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Node:
    """One step of a parsed rule: what it does, and to what."""

    kind: str
    parts: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that was read, with the columns it speaks of."""

    text: str
    columns: tuple[str, ...]
    root: _Node

    def check(self, columns: Mapping[str, Any], rows: int) -> RuleOutcome:
        """Hold the rule against rows.

        Parameters
        ----------
        columns
            Column to values: numbers with NaN for none, or objects with None for none.
        rows
            How many there are.

        Raises
        ------
        UsageError
            If a column it names is not there.

        Examples
        --------
        >>> outcome = parse_rule("used <= limit").check({"used": [1.0, 9.0, 2.0], "limit": [5.0, 5.0, None]}, 3)
        >>> outcome.broken.tolist(), outcome.decided.tolist()
        ([False, True, False], [True, True, False])
        """
        missing = [name for name in self.columns if name not in columns]
        if missing:
            raise UsageError(f"the rule {self.text!r} names {missing[0]!r}, which is no column", hint="mend the rule")
        holds, known = _truth(self.root, columns, rows)
        return RuleOutcome(known & ~holds, known)


def parse_rule(text: str) -> Rule:
    """Read a rule.

    Raises
    ------
    UsageError
        Naming the place where it cannot be read.

    Examples
    --------
    >>> parse_rule("net + tax == gross").columns
    ('net', 'tax', 'gross')
    """
    reader = _Reader(text)
    root = reader.rule(0)
    if reader.at < len(reader.tokens):
        raise reader.wrong("nothing more")
    if root.kind not in _TRUTHS:
        raise UsageError(f"the rule {text!r} says nothing that can be true or false", hint="compare two things")
    return Rule(text, tuple(dict.fromkeys(reader.names)), root)


class _Reader:
    """Tokens of one rule, read from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.at = 0
        self.names: list[str] = []

    def wrong(self, wanted: str) -> UsageError:
        """Return the error that says where and what was wanted."""
        found = repr(self.tokens[self.at][1]) if self.at < len(self.tokens) else "its end"
        return UsageError(
            f"the rule {self.text!r} cannot be read at {found}: wanted {wanted}",
            hint="see docs/data-quality.md for what a rule may say",
        )

    def next_is(self, *texts: str) -> str:
        """Return and pass over the next token if it is one of `texts`, else return nothing."""
        if self.at < len(self.tokens):
            kind, text = self.tokens[self.at]
            if kind == "sign" and text in texts:
                self.at += 1
                return text
        return ""

    def rule(self, depth: int) -> _Node:
        if depth > _DEEPEST:
            raise UsageError(f"the rule {self.text!r} nests too deep", hint="write it as several rules")
        left = self._either(depth)
        return _Node("implies", (left, self.rule(depth + 1))) if self.next_is("implies") else left

    def _either(self, depth: int) -> _Node:
        left = self._both(depth)
        while self.next_is("or"):
            left = _Node("or", (left, self._both(depth)))
        return left

    def _both(self, depth: int) -> _Node:
        left = self._negated(depth)
        while self.next_is("and"):
            left = _Node("and", (left, self._negated(depth)))
        return left

    def _negated(self, depth: int) -> _Node:
        return _Node("not", (self._comparison(depth),)) if self.next_is("not") else self._comparison(depth)

    def _comparison(self, depth: int) -> _Node:
        left = self._sum(depth)
        if left.kind in _TRUTHS:
            return left
        if sign := self.next_is(*_COMPARED):
            return _Node("compare", (sign, left, self._number_or_text(depth)))
        if self.next_is("is"):
            negated = bool(self.next_is("not"))
            if not self.next_is("null"):
                raise self.wrong("null")
            return _Node("null", (left, negated))
        negated = bool(self.next_is("not"))
        if self.next_is("in"):
            return _Node("in", (left, self._literals(), negated))
        if negated:
            raise self.wrong("in")
        return left

    def _number_or_text(self, depth: int) -> _Node:
        right = self._sum(depth)
        if right.kind in _TRUTHS:
            raise self.wrong("a value to compare with")
        return right

    def _literals(self) -> tuple[float | str, ...]:
        if not self.next_is("["):
            raise self.wrong("a list such as ['a', 'b']")
        found: list[float | str] = []
        while True:
            minus = bool(self.next_is("-"))
            kind, text = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
            if kind not in ("number", "text") or (minus and kind == "text"):
                raise self.wrong("a number or a quoted text")
            self.at += 1
            found.append(text[1:-1] if kind == "text" else -float(text) if minus else float(text))
            if not self.next_is(","):
                break
        if not self.next_is("]"):
            raise self.wrong("]")
        return tuple(found)

    def _sum(self, depth: int) -> _Node:
        left = self._product(depth)
        while left.kind not in _TRUTHS and (sign := self.next_is("+", "-")):
            left = _Node("arithmetic", (sign, left, self._value_only(self._product(depth))))
        return left

    def _product(self, depth: int) -> _Node:
        left = self._value(depth)
        while left.kind not in _TRUTHS and (sign := self.next_is("*", "/")):
            left = _Node("arithmetic", (sign, left, self._value_only(self._value(depth))))
        return left

    def _value_only(self, node: _Node) -> _Node:
        if node.kind in _TRUTHS:
            raise self.wrong("a number")
        return node

    def _value(self, depth: int) -> _Node:
        if depth > _DEEPEST:
            raise UsageError(f"the rule {self.text!r} nests too deep", hint="write it as several rules")
        if self.next_is("-"):
            return _Node("arithmetic", ("-", _Node("literal", (0.0,)), self._value_only(self._value(depth + 1))))
        if self.next_is("("):
            inner = self.rule(depth + 1)
            if not self.next_is(")"):
                raise self.wrong(")")
            return inner
        kind, text = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        if kind not in ("number", "text", "name"):
            raise self.wrong("a column, a number or a quoted text")
        self.at += 1
        if kind == "name":
            self.names.append(text)
            return _Node("column", (text,))
        return _Node("literal", (float(text) if kind == "number" else text[1:-1],))


#: Steps that are true or false; the others are values.
_TRUTHS = frozenset({"implies", "or", "and", "not", "compare", "null", "in"})


def _tokens(text: str) -> list[tuple[str, str]]:
    """Cut a rule into (kind, text); kinds are number, text, name and sign (which the words of the grammar are)."""
    if len(text) > _LONGEST:
        raise UsageError(f"a rule of {len(text):,} characters is too long", hint=f"at most {_LONGEST:,}")
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise UsageError(f"the rule {text!r} cannot be read at {text[at:].strip()[:10]!r}", hint="see the docs")
        at = match.end()
        kind, token = str(match.lastgroup), str(match[str(match.lastgroup)])
        if kind == "word":
            kind = "sign" if token in _WORDS else "name"
        found.append(("name" if kind == "quoted" else kind, token))
    return found


_Truth = tuple["NDArray[np.bool_]", "NDArray[np.bool_]"]


def _truth(node: _Node, columns: Mapping[str, Any], rows: int) -> _Truth:
    """Return which rows fulfil a step, and for which that is known (Kleene's strong logic)."""
    if node.kind == "compare":
        return _compared(node.parts[0], *(_value_of(part, columns, rows) for part in node.parts[1:]))
    if node.kind == "null":
        missing = _missing(_value_of(node.parts[0], columns, rows))
        return (~missing if node.parts[1] else missing), np.ones(rows, dtype=bool)
    if node.kind == "in":
        values = _value_of(node.parts[0], columns, rows)
        inside = np.zeros(rows, dtype=bool)
        for literal in node.parts[1]:
            inside |= _compared("==", values, np.full(rows, literal, dtype=object))[0]
        return (~inside if node.parts[2] else inside), ~_missing(values)
    truths = [_truth(part, columns, rows) for part in node.parts]
    if node.kind == "not":
        return ~truths[0][0], truths[0][1]
    (one, one_known), (two, two_known) = truths
    if node.kind == "implies":
        one, node = ~one, _Node("or")
    if node.kind == "or":
        sure = (one & one_known) | (two & two_known)
        return sure, sure | (one_known & two_known)
    refuted = (~one & one_known) | (~two & two_known)
    return ~refuted, refuted | (one_known & two_known)


def _value_of(node: _Node, columns: Mapping[str, Any], rows: int) -> NDArray[Any]:
    if node.kind == "literal":
        return np.full(rows, node.parts[0], dtype=object if isinstance(node.parts[0], str) else float)
    if node.kind == "column":
        values = np.asarray(columns[node.parts[0]])
        return values if values.dtype.kind == "f" else _floats_or_objects(values)
    sign, left, right = node.parts
    one, two = (_as_numbers(_value_of(part, columns, rows)) for part in (left, right))
    with np.errstate(all="ignore"):
        if sign == "+":
            return np.asarray(one + two)
        if sign == "-":
            return np.asarray(one - two)
        return np.asarray(one * two if sign == "*" else np.where(two == 0, np.nan, one / np.where(two == 0, 1, two)))


def _floats_or_objects(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind in "iub":
        return values.astype(np.float64)
    kept = [value for value in values.tolist() if not _is_missing(value)]
    numbers = all(isinstance(value, (int, float)) for value in kept)
    return _as_numbers(values) if numbers else values.astype(object)


def _as_numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return numbers, with NaN for what is none."""
    if values.dtype.kind == "f":
        return values
    return np.array([_number(value) for value in values.tolist()], dtype=np.float64)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")


def _is_missing(value: object) -> bool:
    # pandas' NA answers no comparison, so it is known by how it is written; NaN is what differs from itself
    return value is None or str(value) == "<NA>" or value != value  # noqa: PLR0124


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values), dtype=bool)
    return np.array([_is_missing(value) for value in values.tolist()], dtype=bool)


def _compared(sign: str, one: NDArray[Any], two: NDArray[Any]) -> _Truth:
    known = ~_missing(one) & ~_missing(two)
    if one.dtype.kind == "O" and two.dtype.kind == "O":
        return _texts_compared(sign, one, two, known), known
    left, right = _as_numbers(one), _as_numbers(two)
    if sign not in ("==", "!="):
        known = known & ~np.isnan(left) & ~np.isnan(right)
    with np.errstate(all="ignore"):
        near = np.isclose(left, right, rtol=_TOLERANCE, atol=1e-9)
        found = {
            "==": near,
            "!=": ~near,
            "<": (left < right) & ~near,
            ">": (left > right) & ~near,
            "<=": (left < right) | near,
            ">=": (left > right) | near,
        }
    return np.asarray(found[sign], dtype=bool), known


def _texts_compared(sign: str, one: NDArray[Any], two: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pairs = zip(one.tolist(), two.tolist(), known.tolist(), strict=True)
    if sign in ("==", "!="):
        same = np.array([k and (a == b or _number(a) == _number(b)) for a, b, k in pairs], dtype=bool)
        return same if sign == "==" else ~same
    below = np.array([(str(a) > str(b)) - (str(a) < str(b)) if k else 0 for a, b, k in pairs])
    found = {"<": below < 0, "<=": below <= 0, ">": below > 0, ">=": below >= 0}
    return np.asarray(found[sign], dtype=bool)
