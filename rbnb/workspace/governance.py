"""Risk, and the rules an incident may touch."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rbnb.errors import NotFoundError, RbnbError, UsageError
from rbnb.workspace.pages import Pages

if TYPE_CHECKING:
    from datetime import datetime

    from rbnb.governance import Compliance
    from rbnb.incidents import State
    from rbnb.incidents.checklist import Checklist
    from rbnb.incidents.timers import Due, Timetable
    from rbnb.ledger import Entry

__all__ = ["Governance"]


class Governance(Pages):
    """Risk, and the rules an incident may touch."""

    def compliance(self) -> Compliance:
        """Return every framework: those that come with rbnb, and over them the workspace's own."""
        from rbnb.governance import load_compliance

        return load_compliance(self.places.policy_files("compliance"))

    def checklist(self, name: str) -> Checklist:
        """Return the compliance checklist of an incident.

        Raises
        ------
        ConfigError
            If the model file or a framework's file is wrong.
        """
        return self._checklist(self.incident(name).state())

    def _checklist(self, state: State) -> Checklist:
        from rbnb.incidents.checklist import read_checklist

        return read_checklist(
            self.compliance(),
            self.model(state.model),
            state.entries,
            self._last_record(state),
            times=dataclasses.asdict(state.times),
            owners=self.places.file.owners,
            severity=state.severity,
        )

    def _last_record(self, state: State) -> dict[str, Any]:
        try:
            return self.record(state.incident)
        except NotFoundError:
            return {}

    def answer(self, name: str, item: str, applies: str, because: str, *, met: bool = False) -> Entry:
        """Put on record whether an item applies, or what is so of a fact; see `rbnb.incidents.checklist.answer`."""
        from rbnb.incidents.checklist import answer

        with self.changing(name) as incident:
            return answer(incident, self.compliance(), item, applies, because, met=met)

    def risk(self, name: str) -> dict[str, Any]:
        """Return the risk of an incident: as the last run tells it, and as a person last assessed it."""
        state = self.incident(name).state()
        last = next((one for one in reversed(state.entries) if one.kind == "risk.assessed"), None)
        person = {"seq": last.seq, "at": last.at, "by": last.by, **last.body} if last else None
        record = self._last_record(state)
        return {"incident": name, "run": record.get("run"), "from_run": record.get("risk"), "assessed": person}

    def assess_risk(self, name: str, *, likelihood: str, residual: str, mitigations: list[str], because: str) -> Entry:
        """Put a person's assessment of an incident's risk on record.

        Raises
        ------
        UsageError
            If the likelihood is none of the grid's, or there is no reason.
        RefusedError
            If this person may not; the refusal is on record.
        """
        from rbnb.governance import load_risk
        from rbnb.governance.risk import LIKELIHOODS
        from rbnb.incidents.checklist import assess_risk

        if likelihood and likelihood not in LIKELIHOODS:
            raise UsageError(f"{likelihood!r} is no likelihood", hint=f"use {', '.join(LIKELIHOODS)}")
        state = self.incident(name).state()
        told = self._last_record(state).get("risk") or {}
        chosen = likelihood or told.get("likelihood")
        level = load_risk(self.places.policy_file("risk")).level(chosen, state.severity or None)
        assessed = {
            "harm": told.get("harm", ""),
            "likelihood": chosen,
            "severity": state.severity or None,
            "level": level,
            "mitigations": mitigations or told.get("mitigations", []),
            "residual": residual,
        }
        with self.changing(name) as incident:
            return assess_risk(incident, state, assessed, because)

    def _timers(self, state: State, timetable: Timetable | None = None) -> list[Due]:
        """Return what is or was due, with the clocks of the law."""
        from rbnb.incidents.timers import Timetable

        timed = timetable or Timetable(self.places)
        return timed.of(state, state.now(self.clock), extra=self._clocks(state))

    @cached_property
    def _frameworks(self) -> Compliance:
        return self.compliance()

    def _clocks(self, state: State) -> list[tuple[str, datetime, str]]:
        """Return the clocks of the law; none where there was no incident, or another one carries them.

        What a broken model file or framework hides is said as an item of its own, due at once.
        """
        from rbnb.governance import clocks
        from rbnb.incidents.checklist import answers_of, facts_of, items_of
        from rbnb.incidents.timers import is_quiet

        detected = state.times.detected
        if detected is None or is_quiet(state) or state.resolution in ("false_alarm", "duplicate"):
            return []
        try:
            model, frameworks = self.model(state.model), self._frameworks
        except RbnbError as error:
            return [(f"see which legal clocks run: rbnb cannot tell ({error.message})", detected, "compliance")]
        facts = facts_of(model, state.entries, state.severity)
        found = clocks(items_of(frameworks, model, facts), facts, detected, answers_of(state.entries))
        return [(one.what, one.due_at, one.source) for one in found]
