"""How a person decides from a notebook: `case.decide(…)` and the form.

Rules:

- **A notebook decides on its own run.** A run's notebook knows its folder; a working copy knows its incident by the
  parameter, and its run by its file's name, or by the one run that had its parameters.
- **Where findings were measured again and differ from that run's record, nothing is decided**: what somebody saw
  would not be what the ledger says they saw.
- **A run decides nothing.** While it is executed, the cell says that a decision is pending, and how to make it.
- **Text is always in the output**, so that a notebook that was saved, printed or diffed tells what was decided.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbnb.case import stages
from rbnb.catalog import load_catalog
from rbnb.errors import UsageError
from rbnb.ledger import Ledger
from rbnb.model import NAME, to_plain
from rbnb.text import visible
from rbnb.times import format_time, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rbnb.case.core import Case
    from rbnb.incidents import Incident
    from rbnb.ledger import Entry

__all__ = ["Place", "decide", "find_place", "read_history", "show_form"]

#: A working copy's name: its number, then the run it was taken from.
_COPY = re.compile(r"\d{2,}-(\d{2,}-.+)\.ipynb")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a case belongs.

    Parameters
    ----------
    folder
        The incident's.
    run
        The run whose evidence it shows; "" if that cannot be told.
    in_run
        Whether this is that run being executed.
    """

    folder: Path
    run: str
    in_run: bool


def find_place(case: Case) -> Place | None:
    """Return the incident and run that a case belongs to; None outside an incident."""
    if case.run_folder is not None:
        return Place(case.run_folder.parent.parent, case.run_folder.name, in_run=True)
    name = str(case.parameters.get("incident", ""))
    folder = case.places.reports / name
    if not NAME.fullmatch(name) or not (folder / "ledger").is_dir():
        return None
    return Place(folder, _copied_from(folder) or _run_of_parameters(case, folder), in_run=False)


def read_history(place: Place | None) -> list[Entry]:
    """Return the ledger of a place as it is now; nothing outside an incident."""
    return Ledger(place.folder / "ledger").entries() if place else []


def _copied_from(folder: Path) -> str:
    """Return the run that the open notebook was copied from, as Jupyter names the notebook to its kernel."""
    name = Path(os.environ.get("JPY_SESSION_NAME", "")).name
    found = _COPY.fullmatch(name)
    if not found or not (folder / "analyses" / name).is_file() or not (folder / "runs" / found[1]).is_dir():
        return ""
    return found[1]


def _run_of_parameters(case: Case, folder: Path) -> str:
    wanted = to_plain(case.parameters)
    started = [entry.body for entry in Ledger(folder / "ledger").entries() if entry.kind == "run.started"]
    fitting = [
        str(body["run"])
        for body in started
        if body["template"]["name"] == case.template and wanted.items() <= body["parameters"].items()
    ]
    return fitting[0] if len(fitting) == 1 else ""


def decide(
    case: Case,
    choice: str,
    because: str,
    reject: Mapping[str, str] | None = None,
    values: Mapping[str, Any] | None = None,
) -> Entry:
    """Put a decision on record, on the evidence of the case's own run.

    Raises
    ------
    UsageError
        If there is no incident or run to decide on, before the triage, or if something about the decision is wrong.
    RefusedError
        If this person may not decide, or the evidence has changed since.
    """
    from rbnb.incidents.decisions import Choice, Rejected
    from rbnb.incidents.decisions import decide as put_on_record

    place = case.place
    if place is None:
        raise UsageError(
            "this notebook belongs to no incident, so no decision can be recorded",
            hint=f"start one: rbnb run {case.template} --model {case.model.name}; then rbnb decide, or rbnb lab",
        )
    if not place.run:
        raise UsageError(
            "the run that this notebook shows cannot be told, so no decision can be recorded from it",
            hint=f"open a copy with rbnb lab {place.folder.name}, or use rbnb decide {place.folder.name}",
        )
    _ = case.decision
    seen = None if place.in_run else [(found.signal, found.where, found.status) for found in case.findings]
    rejected = tuple(Rejected(option, why) for option, why in (reject or {}).items())
    given = {name: _plain(value) for name, value in (values or {}).items()}
    wanted = Choice(choice, because, rejected, given, place.run, seen)
    return put_on_record(_incident(case, place), wanted, load_catalog(case.places.policy_files("actions")))


def _plain(value: Any) -> Any:  # noqa: ANN401 - what a cell holds
    """Return a number as the text it is in a command; anything else is judged by the action's pattern."""
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _incident(case: Case, place: Place) -> Incident:
    from rbnb.incidents import Incident

    incident = Incident(place.folder, utc_now, case.places)
    incident.settle()
    return incident


def show_form(case: Case) -> None:
    """Show what is pending and how to decide; in an interactive session also the form."""
    place = case.place
    proposal = case.decision.proposal
    proposed = proposal.action if proposal else "none"
    if place is None:
        case.show(stages.nothing_to_record(case.template, case.model.name))
        return
    case.history = read_history(place)  # what was decided since an earlier cell asked
    pending = stages.pending(place.folder.name, proposed, case.history)
    if not place.in_run and place.run and _has_kernel():
        update = _show_updatable(pending)
        case.show(stages.ways_to_decide(place.folder.name, proposed))
        _show_widget(case, place, update)
        return
    case.show(pending, stages.ways_to_decide(place.folder.name, proposed))


def _has_kernel() -> bool:
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def _show_updatable(view: Any) -> Callable[[Any], None]:  # noqa: ANN401 - any view
    from IPython.display import display

    handle = display(view._repr_mimebundle_(), raw=True, display_id=True)
    return lambda other: handle.update(other._repr_mimebundle_(), raw=True)


def _show_widget(case: Case, place: Place, update: Callable[[Any], None]) -> None:
    from IPython.display import display

    from rbnb.case.form import read_answer
    from rbnb.case.form.widget import DecisionForm

    def submit(content: object) -> dict[str, Any]:
        answer = read_answer(content)
        entry = decide(case, answer.choice, answer.because, answer.reject, answer.values)
        update(stages.decision_facts(entry))
        return _outcome(place, entry)

    display(DecisionForm(_about(case, place), submit))


def _outcome(place: Place, entry: Entry) -> dict[str, Any]:
    """Return what the form tells of a decision that was put on record."""
    body = entry.body
    return {
        "entry": entry.seq,
        "at": format_time(entry.at),
        "by": visible(entry.by),
        "incident": place.folder.name,
        "run": body["run"],
        "choice": body["choice"],
        "because": visible(body["because"], limit=4000),
        "rejected": [{"option": r["option"], "because": visible(r["because"], limit=4000)} for r in body["rejected"]],
        "how": stages.how_it_stands(entry),
    }


def _about(case: Case, place: Place) -> dict[str, Any]:
    from rbnb.case.form import option_of, proposal_of
    from rbnb.incidents.sentences import VERDICTS

    proposal = case.decision.proposal
    proposed = proposal.action if proposal else ""
    options = [option_of(name, action, proposed=name == proposed) for name, action in case.options.items()]
    nothing = {"name": "none", "title": "do nothing now", "proposed": not proposed}
    incident = _incident(case, place)
    return {
        "incident": place.folder.name,
        "run": place.run,
        "verdict": case.decision.verdict.name,
        "severity": case.severity.level,
        "proposal": proposal_of(case.decision),
        "standing": stages.standing_line(case.history),
        "user": incident.actor().id,
        "options": [*options, nothing],
        "verdicts": [{"name": name, "title": words} for name, words in VERDICTS.items()],
    }
