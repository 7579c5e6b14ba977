"""The plan of an action: exactly what would happen, and the digest by which people approve it.

Rules:

- **The digest is over everything that would happen**: every step with its values, the platform, where, in which
  incident, on which record of which run, by which decision, and for the how-manieth time. A byte that changes makes
  another plan, for which no approval stands.
- **A plan is for one execution.** The number of the attempt is part of it, so that an approval that was used is good
  for nothing more.
- **Secrets are never part of it**, only the names of the environment variables they stand in; nor are the values that
  the snapshot will take: it says how they are taken, and where they go.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rbnb.actions.basis import decided_basis, newest_basis
from rbnb.catalog import load_catalog, render
from rbnb.catalog.loading import FOLDER
from rbnb.errors import NotFoundError, ParameterError
from rbnb.inventory import find_model, load_model_file
from rbnb.model import to_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rbnb.actions.basis import Basis
    from rbnb.catalog import Action, RenderedAction
    from rbnb.config import Places
    from rbnb.incidents import Attempt, Incident, State
    from rbnb.inventory import ModelFile

__all__ = ["ActionPlan", "attempts_of", "canonical_digest", "plan_action"]

#: Changes when what is digested changes its meaning; approvals of an older format do not stand for a newer one.
FORMAT = 1


@dataclass(frozen=True)
class ActionPlan:
    """What would happen, exactly.

    Parameters
    ----------
    incident, action, variant
        Where, what, and on which platform.
    rendered
        Every step with its values.
    model, environment, target
        What it is done to.
    run, record
        The run it rests on, and the digest of its run.json, ``sha256:…``.
    decision_seq
        The entry that chose it; 0 for a dry run before anybody has decided.
    attempt
        For the how-manieth time in this incident, from 1.
    risk, severity
        What the rule of approvals goes by.
    requester
        Who decided; "" before anybody has.
    way
        ``execute`` or ``rollback``.
    """

    incident: str
    action: str
    variant: str
    rendered: RenderedAction
    model: str
    environment: str
    target: str
    run: str
    record: str
    decision_seq: int
    attempt: int
    risk: str
    severity: str
    requester: str
    way: str = "execute"

    @cached_property
    def content(self) -> dict[str, Any]:
        """Everything the digest is over, as strict JSON."""
        plain = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "rendered"
        }
        plain = {"format": FORMAT, **plain, "steps": dataclasses.asdict(self.rendered)}
        content: dict[str, Any] = to_plain(plain)
        return content

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` over the canonical JSON of the content."""
        return canonical_digest(self.content)

    @property
    def missing(self) -> tuple[str, ...]:
        """The values nobody gave."""
        return self.rendered.missing


def canonical_digest(content: Any) -> str:  # noqa: ANN401 - any JSON
    """Return ``sha256:…`` over JSON with its keys sorted and without blanks.

    Examples
    --------
    >>> canonical_digest({"b": 1, "a": 2}) == canonical_digest({"a": 2, "b": 1})
    True
    """
    line = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return f"sha256:{hashlib.sha256(line.encode()).hexdigest()}"


def plan_action(
    places: Places,
    incident: Incident,
    state: State,
    name: str,
    values: Mapping[str, str] | None = None,
    *,
    variant: str = "",
    decided: bool = True,
) -> ActionPlan:
    """Work out exactly what an action would do now; nothing is done and nothing recorded.

    Parameters
    ----------
    places
        The workspace: its catalog and model files.
    incident, state
        Where, and what its ledger comes to.
    name
        The action.
    values
        Values by name, over those of the decision, the proposal and the model file.
    variant
        The platform; "" is what the decision says, else what fits the model.
    decided
        Whether a decision must have chosen it; a dry run may come before one.

    Raises
    ------
    NotFoundError
        If there is no such action.
    ParameterError
        If a value may not be used, or the action declares none of that name.
    RefusedError
        If no decision chooses it, or what was decided on has changed. The caller puts that on record.
    """
    action = _action(places, name)
    basis = decided_basis(incident, state, name) if decided else newest_basis(incident, state)
    model = load_model_file(find_model(places.models, state.model))
    way = variant or _chosen(basis, "variant") or action.variant_for(model.platforms)
    rendered = render(action, _values(action, state, model, basis, values or {}), way)
    return ActionPlan(
        incident=incident.name,
        action=name,
        variant=rendered.variant,
        rendered=rendered,
        model=state.model,
        environment=state.environment or model.environment,
        target=rendered.target,
        run=basis.run,
        record=basis.digest,
        decision_seq=basis.decision.seq if basis.decision else 0,
        attempt=len(attempts_of(state.attempts, name)) + 1,
        risk=rendered.risk,
        severity=state.severity,
        requester=basis.decision.by if basis.decision else "",
    )


def attempts_of(attempts: Iterable[Attempt], action: str) -> list[Attempt]:
    """Return the times an action was executed, or done by hand; without those it was undone."""
    return [attempt for attempt in attempts if attempt.action == action and attempt.way != "rollback"]


def _action(places: Places, name: str) -> Action:
    """Return an action; the files of others are not read, so that a mistake in one of them stops nothing here."""
    files = places.policy_files("actions")
    found = load_catalog([file for file in files if file.stem == name or file.parent.name != FOLDER]).get(name)
    if found is None:
        raise NotFoundError("action", name, load_catalog(files))
    return found


def _chosen(basis: Basis, key: str) -> str:
    return str(basis.decision.body.get(key) or "") if basis.decision else ""


def _values(action: Action, state: State, model: ModelFile, basis: Basis, given: Mapping[str, str]) -> dict[str, str]:
    """Return the values for an action: what is nearer to this case comes over what is more general."""
    declared = {name for way in action.names for name in action.variant(way).values}
    for name in given:
        if name not in declared:
            missing = NotFoundError("value", name, declared, where=action.name)
            raise ParameterError(missing.message, hint=missing.hint)
    proposal = basis.record.get("proposal") or {}
    proposed = proposal.get("values", {}) if proposal.get("action") == action.name else {}
    decided = basis.decision.body.get("values", {}) if basis.decision else {}
    return {
        "template": str(basis.record.get("template", {}).get("name", "")) or state.template,
        "model": model.name,
        **model.action_values,
        **model.segment_values.get(str(proposal.get("where", "")), {}),
        **proposed,
        **decided,
        **given,
    }
