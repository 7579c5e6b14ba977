"""The case: a model's logs, the window, the policy, and what has been found so far."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rbnb.case import deciding, second_opinion, stages
from rbnb.case.citing import citation_table, cite, observation_table, read_observations, responsible_for
from rbnb.case.scraps import glue
from rbnb.catalog import load_catalog, render
from rbnb.config import Places, open_places
from rbnb.data import ModelData
from rbnb.errors import ConfigError, UsageError
from rbnb.governance import load_communication, load_response
from rbnb.incidents.approval_rules import load_approval_rules, rule_for
from rbnb.inventory import ModelFile, find_model, load_model_file
from rbnb.model import NotMeasured
from rbnb.plots import Figure
from rbnb.policy import (
    Circumstances,
    Decision,
    decide,
    grade,
    is_policy,
    load_policy,
    load_weights,
    overrides_for,
)
from rbnb.policy.learned import InUse, baseline_in_use, judge_learned
from rbnb.templates import load_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd

    from rbnb.case.citing import Observation
    from rbnb.case.deciding import Place
    from rbnb.case.second_opinion import SecondOpinion
    from rbnb.catalog import RenderedAction
    from rbnb.data import Extent
    from rbnb.diagnoses import Diagnosis
    from rbnb.ledger import Entry
    from rbnb.model import Cause, Finding, SegmentShare, Severity, Signal
    from rbnb.policy import Policy
    from rbnb.scope import Scope
    from rbnb.view import View

__all__ = ["STAGES", "Case"]

DiagnosisT = TypeVar("DiagnosisT", bound="Diagnosis")

#: The stages of every runbook, in their order; each leaves a scrap ``stage.<name>``.
STAGES = (
    "header",
    "detection",
    "triage",
    "reproduce",
    "root_cause",
    "containment",
    "remediation",
    "monitoring",
    "governance",
    "decision_record",
    "learning",
)


class Case:
    """One run of a runbook, seen from its cells.

    Parameters
    ----------
    template
        Name of the runbook; its policy has the same name.
    places
        The workspace.
    model
        The model file.
    data
        Its logs.
    extent, scope
        What the request log holds, and what this run looks at.
    parameters
        As the cells were given them.
    """

    def __init__(
        self,
        template: str,
        places: Places,
        model: ModelFile,
        data: ModelData,
        extent: Extent,
        scope: Scope,
        parameters: Mapping[str, Any],
    ) -> None:
        self.template = template
        self.places = places
        self.model = model
        self.data = data
        self.extent = extent
        self.scope = scope
        self.parameters = dict(parameters)
        self.findings: list[Finding] = []
        self.causes: list[Cause] = []
        self.segments: list[SegmentShare] = []
        self.not_measured: list[NotMeasured] = []
        self._decision: Decision | None = None
        self._severity: Severity | None = None
        self._opinion: SecondOpinion | None = None
        self._finished: set[str] = set()
        self.ongoing: bool | None = None  # as the detection found it

    @classmethod
    def open(cls, template: str, *, model: str, **parameters: Any) -> Case:  # noqa: ANN401 - template parameters
        """Open the workspace, the model and its logs.

        Parameters
        ----------
        template
            Name of the runbook.
        model
            Name of the model file.
        **parameters
            The template's other parameters: incident, at, as_of, clock, window, bucket, reference, leave_out,
            severity, seed.

        Raises
        ------
        UsageError
            If there is no workspace, no such model, or a parameter cannot be read.
        DataError
            If a table is missing, unreadable or not as the model file says.
        """
        places = open_places(Path.cwd())
        path = find_model(places.models, model)
        chosen = load_model_file(path)
        data = ModelData(chosen, path.parent)
        given = {"at": "", "as_of": "", "clock": "", "window": "2h", "bucket": "auto", "reference": "", "leave_out": ""}
        given |= {key: str(value) for key, value in parameters.items() if key in given}
        clock = chosen.clock(given.pop("clock"))
        extent, scope = data.scope(clock=clock, **given)
        return cls(template, places, chosen, data, extent, scope, {"model": model, **parameters})

    @cached_property
    def policy(self) -> Policy:
        """The policy that judges this run."""
        return load_policy(self.places.policy_file(self.template))

    @cached_property
    def baseline(self) -> InUse:
        """What was learned from the model's history for the hour in which the window ends, if anything was."""
        path = self.places.baselines / f"{self.model.name}.yaml"
        return baseline_in_use(path, self.model, self.policy, self.scope.window)

    @cached_property
    def run_folder(self) -> Path | None:
        """Where evidence goes; None outside a run."""
        named = os.environ.get("RBNB_RUN_FOLDER", "")
        return Path(named) if named else None

    @cached_property
    def place(self) -> Place | None:
        """The incident and run this belongs to, in a run and in a working copy of one; None outside an incident."""
        return deciding.find_place(self)

    @cached_property
    def history(self) -> list[Entry]:
        """The incident's ledger so far; empty outside an incident."""
        return deciding.read_history(self.place)

    def diagnose(self, kind: type[DiagnosisT]) -> DiagnosisT:
        """Return the measurements of one failure mode, each computed when it is first asked for.

        Parameters
        ----------
        kind
            A class of `rbnb.diagnoses`, such as ``LatencySpike``.

        Raises
        ------
        ConfigError
            If the policy has a setting that this kind does not know.
        """
        known = {field.name for field in dataclasses.fields(kind.Settings)}
        for name in self.policy.settings:
            if name not in known:
                file = self.places.policy_file(self.template)
                raise ConfigError(file, f"settings.{name}", f"is no setting; known are {', '.join(sorted(known))}")
        settings = kind.Settings(**self.policy.settings)
        return kind(self.data, self.scope, self.extent, settings, int(self.parameters.get("seed", 0)))

    def show(self, *views: View | Figure | None) -> None:
        """Show tables, facts, notes, commands and figures, in this order; None is passed over."""
        from IPython.display import display

        for view in views:
            if view is None:
                continue
            if isinstance(view, Figure):
                about = {"alt": view.alt, "caption": view.caption}
                bundle = {"image/svg+xml": view.svg, "text/plain": f"[figure] {view.alt}"}
                display(bundle, metadata=about, raw=True)
            else:
                display(view._repr_mimebundle_(), raw=True)

    def judge(self, signals: Sequence[Signal]) -> list[Finding]:
        """Hold signals against the policy's thresholds, with the model file's own numbers."""
        name = f"{self.model.name}.yaml"
        return judge_learned(signals, self.policy, self._overrides, self.baseline, overrides_from=name)

    @cached_property
    def _overrides(self) -> dict[str, float]:
        def others() -> list[Policy]:
            files = [self.places.policy_file(name) for name in self.places.policy_names()]
            return [load_policy(file) for file in files if is_policy(file)]

        return overrides_for(self.policy, self.model.thresholds, others, overrides_from=f"{self.model.name}.yaml")

    def show_signals(self, title: str, signals: Sequence[Signal], note: str = "") -> None:
        """Show signals with their thresholds and status."""
        self.show(stages.finding_table(title, self.judge(signals), note))

    def header(self) -> None:
        """Show what this is about, who is responsible, and by when something is due."""
        template = load_template(self.template, self.places.templates)
        given = str(self.parameters.get("severity", ""))
        self.show(
            stages.header_facts(self.model, self.scope, template, self.parameters),
            *stages.standing_views(self.history, self.places),
            stages.responsibility_facts(self.model, self.places.file, given),
            stages.links(self.model),
        )

    @cached_property
    def seen(self) -> list[Observation]:
        """What people have seen and put on record in this incident."""
        return read_observations(self.history, responsible_for(self.model))

    def observations(self) -> None:
        """Show what people have seen, when, and who is responsible for it."""
        self.show(observation_table(self.seen))

    def triage(
        self,
        signals: Sequence[Signal],
        causes: Sequence[Cause],
        facts: Mapping[str, object],
        segments: Sequence[SegmentShare] = (),
        not_measured: Sequence[NotMeasured] = (),
    ) -> Decision:
        """Judge everything that was measured, and show the verdict with what speaks for and against each.

        Parameters
        ----------
        signals, causes, facts
            What was measured, the ranked hypotheses, and the values for the policy's sentences.
        segments, not_measured
            Kept for the record.

        Returns
        -------
        Decision
            Verdict, branch of the tree, proposal.
        """
        self.findings = self.judge(signals)
        self.causes, self.seen = cite(causes, self.seen)  # shown and recorded; what decides is what was measured
        self.segments, self.not_measured = list(segments), [*not_measured, *self.baseline.not_measured]
        given = str(self.parameters.get("severity", "")) or None
        weights = load_weights(self.places.policy_file("severity"))
        self._severity = grade(self.policy, self.findings, list(causes), given, weights, self._circumstances)
        self._decision = decide(self.policy, self.findings, list(causes), facts)
        self.show(
            stages.verdict_facts(self._decision, self._severity),
            *stages.referral_notes(self._decision, self.model.name),
            stages.for_and_against(self.findings, self.causes),
            citation_table(self.seen),
        )
        return self._decision

    @property
    def _circumstances(self) -> Circumstances:
        lasted = next((f.value for f in self.findings if f.signal == "duration" and f.value is not None), None)
        end, peak = self.scope.window.end, self.model.peak_window
        recent = max(self.scope.window.start, end - timedelta(hours=2))
        return Circumstances(
            self.model.criticality,
            None if lasted is None else timedelta(minutes=lasted),
            at_peak=peak is not None and peak.touches(recent, end),
        )

    @property
    def decision(self) -> Decision:
        """The verdict and what led to it.

        Raises
        ------
        UsageError
            Before the triage.
        """
        if self._decision is None:
            raise UsageError("there is no verdict yet", hint="run the triage cell first")
        return self._decision

    @property
    def severity(self) -> Severity:
        """How bad it is, and why.

        Raises
        ------
        UsageError
            Before the triage.
        """
        if self._severity is None:
            raise UsageError("there is no severity yet", hint="run the triage cell first")
        return self._severity

    def reproduce(self, query: str) -> None:
        """Show the windows, the sources with their digests, and the commands that run this again."""
        learned = self.baseline.material
        self.materials = self.data.materials(self.scope.window, self.scope.reference) + ([learned] if learned else [])
        self.show(
            stages.window_facts(self.scope),
            stages.material_table(self.materials),
            stages.rerun_commands(self.template, self.parameters, self.scope, query),
        )

    def tree(self) -> None:
        """Show the way through the decision tree."""
        self.show(stages.branch_table(self.decision))

    @cached_property
    def options(self) -> dict[str, RenderedAction]:
        """The actions of this model with their commands, the proposed one first."""
        catalog = load_catalog(self.places.policy_files("actions"))
        proposal = self.decision.proposal
        names = dict.fromkeys(([proposal.action] if proposal else []) + list(self.model.actions))
        values = {"template": self.template, "model": self.model.name, **self.model.action_values}
        values |= self.model.segment_values.get(proposal.where, {}) if proposal else {}
        found = {name: catalog[name] for name in names if name in catalog}
        return {name: render(a, values, a.variant_for(self.model.platforms)) for name, a in found.items()}

    @cached_property
    def needed(self) -> dict[str, int]:
        """By action, how many people have to approve it at this severity, as rbnb asks when it is to be done."""
        rules = load_approval_rules(self.places.policy_file("approvals"))
        asked = (rules, self.model.environment, self.severity.level)
        return {
            name: rule_for(*asked, action.risk, at_least=action.demanded).people
            for name, action in self.options.items()
        }

    def containment(self) -> None:
        """Show the proposal with its commands and rollback, the alternatives, and who is told what."""
        communication = load_communication(self.places.policy_file("communication"))
        self.show(*stages.containment(self.decision, self.severity, self.options, self.needed, communication))

    def remediation(self, *criteria: tuple[str, str]) -> None:
        """Show the known-good state and what must be measured before this counts as over.

        Parameters
        ----------
        *criteria
            What else must hold beside the checks that fired: a name, and its limit in words.
        """
        self.show(*stages.remediation(self.model, self.findings, criteria))

    def monitoring(self, watch: Sequence[str] = ()) -> None:
        """Show what to watch from here on, how often, and what puts a rollout on hold."""
        response = load_response(self.places.policy_file("response"))
        otherwise = self.policy.watch
        self.show(*stages.monitoring(self.findings, self.causes, self.severity, response, watch, otherwise))

    @cached_property
    def risk(self) -> dict[str, Any]:
        """The risk as this run can tell it; after the triage."""
        return stages.risk_of(self)

    def governance(self) -> None:
        """Show the risk, the approvals needed, and the rules this may touch with their clocks."""
        self.show(*stages.governance(self))

    def second_opinion(self, wanted: bool = True, looked_at: Iterable[str] = ()) -> None:  # noqa: FBT001, FBT002 - a run parameter
        """Show what Evidently says of the same features, and where and why it differs; after the triage.

        It is asked in a process of its own on a bounded sample, and leaves its files in
        ``evidence/second_opinion``; outside a run they are thrown away. Where there is none, the run goes on.

        Parameters
        ----------
        wanted
            The run parameter ``evidently_report``; without it nothing is asked or shown.
        looked_at
            Features that the runbook looked at even where no finding names them: they count as found to be ok.

        Raises
        ------
        UsageError
            Before the triage.
        """
        if not wanted:
            return
        _ = self.decision
        with tempfile.TemporaryDirectory() as elsewhere:
            folder = (self.run_folder / "evidence" if self.run_folder else Path(elsewhere)) / "second_opinion"
            ours = second_opinion.findings_by_feature(self.findings, self.causes, looked_at)
            self._opinion = second_opinion.ask(self.data, self.scope, ours, folder)
        if not self._opinion.available:
            self.not_measured.append(NotMeasured("second opinion by Evidently", self._opinion.why))
        self.show(*second_opinion.opinion_views(self._opinion))

    def decision_record(self) -> None:
        """Show the proposal, what people have decided, what is open, and what was not measured."""
        self.show(*stages.decision_record(self.decision, self.severity, self.history, self.not_measured))

    def decision_form(self) -> None:
        """Show what is pending and how to decide; on a working copy in JupyterLab also the form for it."""
        deciding.show_form(self)

    def decide(self, choice: str, *, because: str, reject: Mapping[str, str] | None = None, **values: object) -> None:
        """Put on record what a person chose, on the evidence of this run, and show the entry; nothing is executed.

        Parameters
        ----------
        choice
            An action, a verdict, or ``none``.
        because
            The reason, in a sentence.
        reject
            Options that were turned down, each with its reason.
        **values
            Values for the action.

        Raises
        ------
        UsageError
            Outside an incident, before the triage, or if something about the decision is wrong; nothing is recorded.
        RefusedError
            If this person may not decide, or the evidence has changed since; the refusal is on record.
        """
        entry = deciding.decide(self, choice, because, reject, values)
        self.history = [*self.history, entry]
        self.show(stages.decision_facts(entry))

    def learning(self) -> None:
        """Show the questions that a review should answer."""
        self.show(*stages.learning(self.model, self.findings, self.decision))

    def keep(self, name: str, frame: pd.DataFrame) -> None:
        """Write a table as evidence beside the notebook; outside a run nothing is written.

        Parameters
        ----------
        name
            File name without its ending.
        frame
            Aggregates or a small sample.
        """
        if self.run_folder is None:
            return
        folder = self.run_folder / "evidence"
        folder.mkdir(exist_ok=True)
        frame.to_parquet(folder / f"{name}.parquet", compression="zstd", index=False)

    def finish(self, stage: str, **found: Any) -> None:  # noqa: ANN401 - anything that can be recorded
        """Leave the stage's record; what triage and later stages found is added.

        Raises
        ------
        UsageError
            If there is no such stage.
        """
        if stage not in STAGES:
            raise UsageError(f"there is no stage {stage!r}", hint=f"the stages are {', '.join(STAGES)}")
        if stage in self._finished:
            return
        self._finished.add(stage)
        self.ongoing = found.get("ongoing", self.ongoing)
        glue(f"stage.{stage}", {"stage": stage, **self._record(stage), **found})

    def _record(self, stage: str) -> dict[str, Any]:
        of: dict[str, Callable[[], dict[str, Any]]] = {
            "header": lambda: {"model": self.model.name, "version": self.model.version},
            "detection": lambda: {"observations": self.seen},
            "triage": self._judged,
            "reproduce": lambda: {"materials": self.materials},
            "containment": lambda: {"proposal": stages.proposal_record(self.decision, self.options, self.needed)},
            "governance": lambda: {"risk": self.risk},
            "decision_record": lambda: {
                "not_measured": self.not_measured,
                "second_opinion": self._opinion.record() if self._opinion else None,
            },
        }
        return of[stage]() if stage in of else {}

    def _judged(self) -> dict[str, Any]:
        decision = self.decision
        return {
            "observations": self.seen,
            "verdict": decision.verdict.name,
            "because": decision.verdict.because,
            "severity": self.severity,
            "findings": self.findings,
            "causes": self.causes,
            "segments": self.segments[:20],
            "branch": decision.branch,
            "referrals": decision.referrals,
            "plain": {**decision.plain, "colour": decision.colour},
            "policy": {"name": self.policy.name, "version": self.policy.version},
        }
