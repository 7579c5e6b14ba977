"""The form in which a person decides in JupyterLab: what it shows, and what it does with an answer.

The form itself (`rbnb.case.form.widget`, `form.js`, `form.css`) shows and asks; it checks nothing and records nothing.
Rules:

- **What a browser sends is checked here by type, and then as any decision is**: an answer is words, no evidence.
- **What the form shows is text**, with whatever hides or steers made visible; it is put in as text over there too.
- **anywidget is imported when a form is shown to somebody**, never in a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rbnb.errors import UsageError
from rbnb.text import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rbnb.catalog import RenderedAction
    from rbnb.policy import Decision

__all__ = ["Answer", "option_of", "proposal_of", "read_answer"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody entered; texts only, not checked any further."""

    choice: str
    because: str
    reject: dict[str, str]
    values: dict[str, str]


def read_answer(content: object) -> Answer:
    """Read what a form sent.

    Raises
    ------
    UsageError
        If it is not what a form sends, or nothing was chosen.
    """
    if not isinstance(content, dict) or content.get("kind") != "decide":
        raise UsageError("this is no answer of the form", hint="run the cell again")
    texts = [content.get("choice"), content.get("because")]
    tables = [content.get("reject"), content.get("values")]
    if not all(isinstance(text, str) for text in texts) or not all(_is_table(table) for table in tables):
        raise UsageError("the form's answer holds something that is no text", hint="run the cell again")
    if not content["choice"]:
        raise UsageError("nothing is chosen yet", hint="choose one of the options")
    return Answer(content["choice"], content["because"], content["reject"], content["values"])


def _is_table(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(part, str) for pair in value.items() for part in pair)


def proposal_of(decision: Decision) -> dict[str, str]:
    """Return what is proposed, and why, as the form shows it."""
    proposal = decision.proposal
    if proposal is None:
        return {"action": "nothing", "because": visible("; ".join(decision.verdict.because))}
    return {"action": visible(proposal.action), "because": visible(proposal.because)}


def option_of(name: str, action: RenderedAction, *, proposed: bool) -> dict[str, Any]:
    """Return an action as the form shows it: what it is for, its risk, and the values that are missing."""
    return {
        "name": name,
        "title": visible(action.title),
        "objective": visible(action.objective),
        "risk": action.risk,
        "blast_radius": visible(action.blast_radius),
        "proposed": proposed,
        "missing": _missing(action.missing, action.help),
    }


def _missing(names: tuple[str, ...], helps: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "help": visible(helps.get(name, ""))} for name in names]
