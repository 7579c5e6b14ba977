"""Who is who: one person, however the name is spelled.

rbnb.toml declares people under ``[people.…]`` with their aliases, and names them under ``[roles]``. Rules:

- **A name that is not declared is nobody.** Who is nobody holds no role.
- **One person counts once.** A spelling is brought to one form (Unicode NFKC, small letters, no blanks around) and
  looked up whole; what is not plain ASCII then is nobody, so that a letter from another alphabet that looks alike
  can never be taken for somebody.
- **What could be two people is refused** when rbnb.toml is read: an alias given twice, two names that differ in
  capitals only.
- **Who was revoked is known and holds no role.**
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rbnb.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rbnb.config import WorkspaceFile

__all__ = ["APPROVER", "COMMANDER", "ROLES", "Directory", "Person", "one_form"]

#: The roles in an incident; `anyone` stands for whoever is there.
ROLES = ("incident_commander", "responder", "approver", "scribe", "stakeholder")

#: The role that leads.
COMMANDER = "incident_commander"

#: The role that comes from rbnb.toml only: nobody becomes an approver by being assigned in an incident.
APPROVER = "approver"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who was declared.

    Parameters
    ----------
    id
        The name that entries carry.
    roles
        Held by rbnb.toml, in the order of `ROLES`; none for who was revoked.
    """

    id: str
    name: str = ""
    aliases: tuple[str, ...] = ()
    contact: str = ""
    revoked: bool = False
    roles: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The full name where there is one, else the id."""
        return self.name or self.id


def one_form(spelling: str) -> str:
    """Bring a spelling of a name to the form in which it is compared; "" if it cannot be anybody's.

    Examples
    --------
    >>> one_form(" Ada@Example.com "), one_form("ＡＤＡ"), one_form("аda")
    ('ada@example.com', 'ada', '')
    """
    form = unicodedata.normalize("NFKC", spelling).casefold().strip()
    return form if form.isascii() and form.isprintable() and " " not in form else ""


class Directory:
    """The people of a workspace.

    Parameters
    ----------
    file
        rbnb.toml.

    Raises
    ------
    ConfigError
        If a spelling stands for two people, or cannot be anybody's.
    """

    def __init__(self, file: WorkspaceFile) -> None:
        self._ids: dict[str, str] = {}
        self._people: dict[str, Person] = {}
        declared = {name: (entry.name, tuple(entry.aliases), entry) for name, entry in file.people.items()}
        for name, (_, aliases, _entry) in declared.items():
            for spelling in (name, *aliases):
                self._claim(spelling, name, f"people.{name}")
        held = {role: self._members(role, entry.people) for role, entry in file.roles.items()}
        for name in dict.fromkeys(self._ids.values()):
            full, aliases, entry = declared.get(name, ("", (), None))
            revoked = entry is not None and entry.revoked
            roles = () if revoked else tuple(role for role in _in_order(held) if name in held[role])
            contact = entry.contact if entry else ""
            self._people[name] = Person(name, full, aliases, contact, revoked, roles)

    def _claim(self, spelling: str, name: str, key: str) -> None:
        form = one_form(spelling)
        if not form:
            raise ConfigError("rbnb.toml", key, f"{spelling!r} cannot be a person's name: use plain letters, no blanks")
        if self._ids.setdefault(form, name) != name:
            raise ConfigError("rbnb.toml", key, f"{spelling!r} already stands for {self._ids[form]}")

    def _members(self, role: str, spellings: Iterable[str]) -> list[str]:
        members = []
        for spelling in spellings:
            form = one_form(spelling)
            if form not in self._ids:
                self._claim(spelling, form, f"roles.{role}.people")
            members.append(self._ids[form])
        return members

    def __bool__(self) -> bool:
        """Whether anybody is declared at all."""
        return bool(self._people)

    def resolve(self, spelling: str) -> Person | None:
        """Return who is meant, or None if that is nobody who was declared."""
        name = self._ids.get(one_form(spelling))
        return self._people[name] if name else None

    def roles_of(self, person: str) -> tuple[str, ...]:
        """Return the roles that rbnb.toml gives somebody; none to nobody."""
        found = self.resolve(person)
        return found.roles if found else ()

    def holding(self, role: str) -> list[Person]:
        """Return who holds a role by rbnb.toml."""
        return [person for person in self._people.values() if role in person.roles]

    def people(self) -> list[Person]:
        """Return everybody who was declared."""
        return list(self._people.values())


def _in_order(held: Iterable[str]) -> list[str]:
    return sorted(held, key=lambda role: (ROLES.index(role) if role in ROLES else len(ROLES), role))
