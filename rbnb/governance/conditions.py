"""The small language in which an item says when it applies: facts, `and`, `or`, `not`, brackets, `fact == word`.

Rule: three answers, not two (Kleene's strong logic, 1938). A fact nobody has stated is unknown; `unknown and no` is no,
`unknown or yes` is yes, and everything else that rests on it stays unknown. There is no arithmetic and no call: a
condition is read by this module and never executed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FACTS", "Answer", "Fact", "evaluate", "names_in"]

#: Yes, no, or None where nobody can say.
Answer: TypeAlias = bool | None

#: What is known of an incident under one name: an answer, or a word such as ``provider``.
Fact: TypeAlias = bool | str | None

#: Every fact a condition may rest on, as a question to a person.
FACTS = {
    "high_risk": "Is the model (part of) a high-risk AI system under the EU AI Act?",
    "annex_iii": "Is it high-risk by Annex III (rather than as a safety component under Annex I)?",
    "role": "Is this organisation the provider or the deployer of the system?",
    "sector": "In which sector is it used?",
    "personal_data": "Does it handle personal data?",
    "severity": "How bad is the incident (SEV1 to SEV4)?",
    "serious_incident": "Is it a serious incident: death or serious harm to health, serious and irreversible "
    "disruption of critical infrastructure, infringement of fundamental-rights obligations, serious harm to property "
    "or the environment (AI Act, Article 3(49))?",
    "death": "Did, or may, a person have died of it?",
    "critical_infrastructure": "Was critical infrastructure disrupted, seriously and irreversibly?",
    "widespread": "Is it a widespread infringement?",
    "personal_data_breach": "Were personal data lost, destroyed, altered, disclosed or accessed without right?",
    "risk_to_people": "Is a risk to the rights and freedoms of people likely?",
    "high_risk_to_people": "Is a high risk to the rights and freedoms of people likely?",
    "processor": "Does this organisation process the data on behalf of somebody else?",
    "major_ict_incident": "Was it classified as a major ICT-related incident under DORA?",
}

_TOKEN = re.compile(r"\s*(\(|\)|==|[A-Za-z0-9_][A-Za-z0-9_.-]*)")


def evaluate(condition: str, facts: Mapping[str, Fact]) -> Answer:
    """Return whether a condition holds, or None where the facts do not say.

    Parameters
    ----------
    condition
        Such as ``high_risk and (death or widespread)`` or ``role == provider``; "" always holds.
    facts
        What is known; what is missing is unknown.

    Raises
    ------
    ValueError
        If the condition cannot be read, or names a fact that does not exist.

    Examples
    --------
    >>> evaluate("high_risk and death", {"high_risk": True}) is None
    True
    >>> evaluate("high_risk and death", {"high_risk": False})
    False
    >>> evaluate("role == provider", {"role": "deployer"})
    False
    """
    return _Reader(condition, facts).whole() if condition.strip() else True


def names_in(condition: str) -> list[str]:
    """Return the facts a condition rests on, each once, in order.

    Raises
    ------
    ValueError
        If the condition cannot be read.

    Examples
    --------
    >>> names_in("role == provider and not (death or widespread)")
    ['role', 'death', 'widespread']
    """
    reader = _Reader(condition, {})
    if condition.strip():
        reader.whole()
    return list(dict.fromkeys(reader.seen))


class _Reader:
    """A condition, read from left to right; `or` binds less than `and`, `and` less than `not`."""

    def __init__(self, condition: str, facts: Mapping[str, Fact]) -> None:
        self._facts = facts
        self._tokens = _tokens(condition)
        self.seen: list[str] = []

    def whole(self) -> Answer:
        answer = self._either()
        if self._tokens:
            raise ValueError(f"{self._tokens[0]!r} stands where the condition should end")
        return answer

    def _next(self) -> str:
        if not self._tokens:
            raise ValueError("the condition ends too early")
        return self._tokens.pop(0)

    def _ahead(self, word: str) -> bool:
        if self._tokens and self._tokens[0] == word:
            self._tokens.pop(0)
            return True
        return False

    def _either(self) -> Answer:
        answer = self._both()
        while self._ahead("or"):
            answer = _or(answer, self._both())
        return answer

    def _both(self) -> Answer:
        answer = self._one()
        while self._ahead("and"):
            answer = _and(answer, self._one())
        return answer

    def _one(self) -> Answer:
        if self._ahead("not"):
            answer = self._one()
            return None if answer is None else not answer
        if self._ahead("("):
            answer = self._either()
            if not self._ahead(")"):
                raise ValueError("a bracket is not closed")
            return answer
        return self._fact(self._next())

    def _fact(self, name: str) -> Answer:
        if name not in FACTS:
            raise ValueError(f"{name!r} is no fact; known are {', '.join(FACTS)}")
        self.seen.append(name)
        value = self._facts.get(name)
        if self._ahead("=="):
            wanted = self._next()
            return None if value is None else value == wanted
        return value if isinstance(value, bool) else None


def _tokens(condition: str) -> list[str]:
    tokens, at = [], 0
    text = condition.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"{text[at:].strip()[:20]!r} cannot be read; use facts, and, or, not, == and brackets")
        tokens.append(match[1])
        at = match.end()
    return tokens


def _and(one: Answer, other: Answer) -> Answer:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _or(one: Answer, other: Answer) -> Answer:
    if one is True or other is True:
        return True
    return None if one is None or other is None else False
