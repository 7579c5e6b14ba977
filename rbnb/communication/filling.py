"""An update, filled from the record and the ledger: what is said, in which colour, and until when it holds.

Rules: the text is filled from facts the audience may hear and nothing else (`rbnb.communication.facts`); whatever comes
from data is escaped on its way in; what an author adds in their own words is held against the names that the audience
may not hear, and refused with the word if it holds one; an update says its number, its time with the zone, and when the
next one comes.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rbnb.communication.facts import Source, allowed_facts, may_name
from rbnb.communication.markup import escape
from rbnb.communication.plain import said_time
from rbnb.communication.story import colour_of, read_story, severity_of, sign_of
from rbnb.errors import ConfigError, NotFoundError, UsageError
from rbnb.governance.audiences import load_communication, template_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from jinja2 import Template

    from rbnb.communication.story import Story
    from rbnb.config import Places
    from rbnb.governance.audiences import Audience, Communication
    from rbnb.incidents import Actor, Incident, State
    from rbnb.people import Directory

__all__ = ["Draft", "draft_update"]

_LONGEST = {"note": 1000, "next": 500}
_TEXT = 12_000  # characters of a whole update
#: Logins that are nobody's name.
_NOBODY = {"root", "admin", "unknown", "ubuntu", "runner", "user"}
_ROLES = ("incident_commander", "responder", "scribe", "approver")


@dataclass(frozen=True, slots=True)
class Draft:
    """An update that is ready but for its number.

    Parameters
    ----------
    colour
        red, amber, green or grey.
    next_due
        When the next update is due; None for the last one of a closed incident.
    facts
        What the text is filled from, escaped only when it is put in.
    """

    audience: str
    about: Audience
    colour: str
    severity: str
    status: str
    run: str
    next_due: datetime | None
    facts: Mapping[str, Any]
    template: Path

    def text(self, number: int) -> str:
        """Return the text of the update with its number, in the small Markdown of `rbnb.communication.markup`.

        Raises
        ------
        ConfigError
            If the template is wrong, or asks for what its audience may not hear.
        """
        return _filled(self.template, {**self.facts, "number": number}, self.audience)


def draft_update(
    places: Places,
    incident: Incident,
    state: State,
    audience: str,
    actor: Actor,
    *,
    note: str = "",
    next_step: str = "",
) -> Draft:
    """Put together what an audience is told now.

    Parameters
    ----------
    state
        What the incident's ledger comes to.
    note, next_step
        What the author adds, in their words; "" is nothing.

    Raises
    ------
    NotFoundError
        If there is no such audience.
    UsageError
        If what the author adds is too long, or holds a name that this audience may not hear.
    ConfigError
        If communication.yaml or the text of the audience is wrong.
    """
    table = load_communication(places.policy_file("communication"))
    about = table.audience(audience)
    story = read_story(incident.folder, state)
    note, next_step = _checked(note, "note"), _checked(next_step, "next")
    _refuse_names(f"{note} {next_step}", incident.directory, state, story, table, about, audience)
    now = state.now(incident.clock)
    severity = severity_of(state, story)
    due = None if state.status == "closed" else now + about.cadence(severity)
    colour = colour_of(state, story, table)
    source = Source(state, story, table, _sentences_of(places))
    facts = {
        **_always(state, story, table, audience, actor),
        **allowed_facts(source, about, note, next_step),
        "colour": colour,
        "sign": sign_of(colour, state),
        "written_at": said_time(now),
        "next_due": said_time(due),
    }
    run = str(story.record.get("run", ""))
    return Draft(audience, about, colour, severity, state.status, run, due, facts, template_of(places, audience))


def _always(state: State, story: Story, table: Communication, audience: str, actor: Actor) -> dict[str, Any]:
    """Return what every audience may hear and every text can use."""
    words, severity = table.words, severity_of(state, story)
    status = words.status.get(state.status, state.status)
    if state.status == "open" and story.verdict == "healthy":
        status = "the last check found nothing wrong"
    role = next((role for role in _ROLES if role in actor.roles), "responder")
    return {
        "audience": audience,
        "incident": state.incident,
        "severity": severity,
        "severity_word": words.severity.get(severity, ""),  # type: ignore[call-overload]
        "status": state.status,
        "status_word": status,
        "closed": state.status == "closed",
        "trouble": story.trouble,
        "by_role": role.replace("_", " "),
    }


def _checked(text: str, what: str) -> str:
    text = text.strip()
    if len(text) > _LONGEST[what]:
        raise UsageError(f"--{what} has {len(text):,} characters", hint=f"at most {_LONGEST[what]:,}; link to the rest")
    return text


def _sentences_of(places: Places) -> Any:  # noqa: ANN401 - record -> part -> sentences
    from rbnb.policy import load_policy

    read: dict[str, Any] = {}

    def policy_of(name: str) -> Any:  # noqa: ANN401 - a policy, or None
        if name not in read:
            try:
                read[name] = load_policy(places.policy_file(name))
            except (ConfigError, NotFoundError):
                read[name] = None  # its words cannot be known, so none of them leave
        return read[name]

    def sentences(record: Mapping[str, Any]) -> dict[str, Sequence[str]]:
        branch = record.get("branch")
        took = str(branch[-1].get("took", "")) if isinstance(branch, list) and branch else ""
        policy = policy_of(str((record.get("template") or {}).get("name", "")))
        if policy is None:
            return {}
        leaf = policy.nodes.get(took.rpartition("→ ")[2] or policy.start)
        plain = getattr(leaf, "plain", None) or {}
        return {part: [line.text for line in lines] for part, lines in plain.items()}

    return sentences


def _refuse_names(
    text: str, directory: Directory, state: State, story: Story, table: Communication, about: Audience, audience: str
) -> None:
    if about.level == "restricted" or not text.strip():
        return
    known = {state.model, state.environment, table.called.get(state.model, "")}
    for kind, names in _names(directory, state, story, table, about).items():
        for name in names:
            if len(name) >= 3 and name not in known and _holds(text, name):
                raise UsageError(
                    f"{audience} may not hear {kind}: {name!r}",
                    hint="say the role instead of the person, and what people notice instead of where it is",
                )


def _holds(text: str, name: str) -> bool:
    whole = rf"(?<![\w-]){re.escape(name)}(?![\w-])"
    return re.search(whole, text, re.IGNORECASE) is not None


def _names(
    directory: Directory, state: State, story: Story, table: Communication, about: Audience
) -> dict[str, set[str]]:
    people = {name for one in directory.people() for name in (one.id, one.name, one.contact, *one.aliases)}
    people |= {entry.by for entry in state.entries if entry.by not in _NOBODY}
    people |= {name for names in state.people.values() for name in names}
    machines = {str(entry.body.get("host", "")) for entry in state.entries}
    causes = [one for one in _dicts(story.record.get("causes")) if one.get("kind") not in ("load", "concept")]
    named = {str(one.get("name", "")).partition(": ")[0] for one in causes}
    commands = {str((story.record.get("proposal") or {}).get(key) or "") for key in ("command", "rollback")}
    return {
        "who a person is": people,
        "what a machine is called": machines,
        "what a part or a change is called": named,
        "a command": commands,
        "which part of the requests it is": set(_groups(story, table, may_hear_big="segments" in about.facts)),
    }


def _dicts(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _groups(story: Story, table: Communication, *, may_hear_big: bool) -> Iterable[str]:
    record = story.record
    for one in [*_dicts(record.get("segments")), *_dicts(record.get("findings")), *_dicts(record.get("causes"))]:
        where = str(one.get("where", ""))
        for part in where.split("&"):
            column, _, value = part.strip().partition("=")
            big = may_hear_big and column not in table.machines
            if not (big and may_name(where, one.get("n"), table.smallest_group)):
                yield value or column


def _filled(template: Path, facts: Mapping[str, Any], audience: str) -> str:
    from jinja2 import TemplateError, UndefinedError

    try:
        text = _compiled(template.read_text(encoding="utf-8")).render(facts)
    except UndefinedError as error:
        why = f"{error.message}: {audience} may not hear it by communication.yaml, or there is no such fact"
        raise ConfigError(template, "", why, hint="docs/communication.md lists the facts and their levels") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(template, "", f"cannot be read ({type(error).__name__})") from None
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(template, "", f"is no text that can be filled: {error}") from None
    return _tidy(text, template)


@functools.lru_cache(maxsize=16)
def _compiled(source: str) -> Template:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # no HTML is made here: `finalize` escapes for Markdown
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, finalize=_escaped, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    return environment.from_string(source)


def _escaped(value: object) -> object:
    """Escape what a template puts in; what is missing stays so, so that Jinja can complain of it."""
    from jinja2 import Undefined

    if isinstance(value, Undefined):
        return value
    return escape(value, 1600)


def _tidy(text: str, template: Path) -> str:
    lines = [line.rstrip() for line in text.strip().split("\n")]
    if not lines[0].startswith("# "):
        raise ConfigError(template, "", "must begin with a title: a line that starts with '# '")
    told = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"
    if len(told) > _TEXT:
        raise ConfigError(template, "", f"makes a text of {len(told):,} characters; at most {_TEXT:,} are sent")
    return told
