"""The workspace: the one deep object behind every door.

A command opens it and makes one call. Rules:

- **No record, no action.** The ledger is written before a run starts; if it cannot be, nothing runs.
- **The run ends in a record whatever happens**: executed notebook, page, run.json, ledger entry.
- **Waiting is put to use**: the runner process and its kernel start at once and load while the plan is made.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbnb.config import Places, env_names, open_places
from rbnb.errors import IntegrityError, LedgerError, NotFoundError, RbnbError, RunFailedError, UsageError
from rbnb.incidents import Incident, damaged_state, find_incidents, join_incident, known_episodes, open_incident, user
from rbnb.inventory import find_model, find_models, load_model_file
from rbnb.model import RunStatus, checked_name, to_plain
from rbnb.planning import Plan, Request, catalog_of, prepare, resolve
from rbnb.record import build_record, list_products, write_atomically
from rbnb.templates import Template, find_templates, load_template
from rbnb.times import format_time, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rbnb.baselines import Asked
    from rbnb.incidents import Check, State
    from rbnb.inventory import ModelFile
    from rbnb.runner import Outcome, Progress, Runner

__all__ = ["RunResult", "Workspace"]

STAGE_SCRAPS = (
    "stage.header", "stage.detection", "stage.triage", "stage.reproduce", "stage.root_cause", "stage.containment",
    "stage.remediation", "stage.monitoring", "stage.governance", "stage.decision_record", "stage.learning",
)  # fmt: skip
CELL_TIMEOUT, RUN_TIMEOUT = 600.0, 3600.0


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run: its folder and its record."""

    folder: Path
    record: dict[str, Any]

    @property
    def completed(self) -> bool:
        """Whether it executed to the end."""
        return bool(self.record["status"] == RunStatus.COMPLETED.value)


class Workspace:
    """A folder with an rbnb.toml, and everything that can be done in it.

    Parameters
    ----------
    places
        Where its parts are.
    clock
        The time now; an argument so that a test can hold it.
    """

    def __init__(self, places: Places, clock: Callable[[], datetime] = utc_now) -> None:
        self.places = places
        self.clock = clock

    @classmethod
    def open(cls, start: Path | None = None, clock: Callable[[], datetime] = utc_now) -> Workspace:
        """Open the workspace at or above a folder.

        Raises
        ------
        UsageError
            If there is none.
        """
        return cls(open_places(start or Path.cwd()), clock)

    def templates(self) -> dict[str, Path]:
        """Return the templates by name."""
        return find_templates(self.places.templates)

    def template(self, name: str) -> Template:
        """Return one template."""
        return load_template(name, self.places.templates)

    def models(self) -> dict[str, Path]:
        """Return the model files by name."""
        return find_models(self.places.models)

    def model(self, name: str) -> ModelFile:
        """Return one model file."""
        return load_model_file(find_model(self.places.models, name))

    def check_model(self, name: str) -> dict[str, list[str]]:
        """Open every table of a model, and return the columns used of each.

        Raises
        ------
        DataError
            Naming what is missing or of the wrong type.
        """
        from rbnb.data import ModelData

        path = find_model(self.places.models, name)
        data = ModelData(load_model_file(path), path.parent)
        columns = data.check()
        data.extent(self.clock())
        return columns

    def incidents(self) -> list[State]:
        """Return every incident's state, newest first; one whose ledger is damaged hides no other.

        Raises
        ------
        LedgerError
            If the folder of reports cannot be read.
        """
        names = reversed(find_incidents(self.places.reports))
        return [self._told(Incident(self.places.reports / name, self.clock)) for name in names]

    @staticmethod
    def _told(incident: Incident) -> State:
        try:
            with contextlib.suppress(LedgerError):  # what cannot be recorded now can still be read
                incident.settle()
            return incident.state()
        except IntegrityError:
            return damaged_state(incident.name)

    def incident(self, name: str) -> Incident:
        """Return one incident.

        Raises
        ------
        NotFoundError
            If there is none of that name.
        """
        return join_incident(self.places.reports, name, self.clock)

    def verify(self, name: str) -> Check:
        """Check an incident's ledger and every artifact it names."""
        return self.incident(name).check()

    def record(self, name: str, run: str = "") -> dict[str, Any]:
        """Return the record of an incident's last run, or of the one named.

        Raises
        ------
        NotFoundError
            If there is no such run with a record.
        """
        folder = self.run_folder(name, run)
        try:
            record: dict[str, Any] = json.loads((folder / "run.json").read_bytes())
        except (OSError, ValueError):
            raise NotFoundError("record", folder.name, [], where=f"{name}/runs") from None
        return record

    def run_folder(self, name: str, run: str = "") -> Path:
        """Return the folder of an incident's last run, or of the one named."""
        runs = self.incident(name).folder / "runs"
        known = sorted(p.name for p in runs.iterdir() if p.is_dir()) if runs.is_dir() else []
        if run and checked_name("run", run) not in known:
            raise NotFoundError("run", run, known, where=name)
        if not known:
            raise NotFoundError("run", "any", [], where=name)
        return runs / (run or known[-1])

    def plan(self, request: Request) -> Plan:
        """Work out what a run would do, and run nothing.

        Raises
        ------
        UsageError
            If a name or a parameter is wrong.
        DataError
            If the data is missing or not as the model file says.
        """
        template, given = prepare(self.places, request)
        return resolve(self.places, template, given, self._episodes(given))

    def run(
        self,
        request: Request,
        *,
        incident: str = "",
        on_plan: Callable[[Plan], None] = lambda _: None,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> RunResult:
        """Run a template against an incident, opening one unless one is named.

        Parameters
        ----------
        request
            What was asked for.
        incident
            An incident to join, or "".
        on_plan, on_progress
            Called when the plan is made, and as stages start and finish.

        Returns
        -------
        RunResult
            Also when the run failed: its status says so.

        Raises
        ------
        UsageError, DataError
            Before anything was started or recorded.
        LedgerError
            If the start or the end cannot be recorded.
        """
        from rbnb.runner import Runner

        template, given = prepare(self.places, request)
        joined = self.incident(incident) if incident else None
        find_model(self.places.models, str(given["model"]))
        with Runner.start() as runner:
            plan = resolve(self.places, template, given, self._episodes(given))
            on_plan(plan)
            case = joined or self._open(plan)
            case.settle()
            folder = case.take_run_folder(template.name)
            plan.parameters["incident"] = case.name
            return self._execute(runner, case, folder, plan, on_progress)

    def _episodes(self, given: dict[str, Any]) -> list[tuple[datetime, datetime]]:
        return known_episodes(self.places.reports, str(given["model"]))

    def _open(self, plan: Plan) -> Incident:
        body = {
            "model": plan.model.name,
            "template": plan.template.name,
            "severity": plan.parameters.get("severity") or None,
        }
        return open_incident(self.places.reports, self.clock, body)

    def _execute(
        self, runner: Runner, case: Incident, folder: Path, plan: Plan, on_progress: Callable[[Progress], None]
    ) -> RunResult:
        from rbnb.runner import Job

        started = {
            "run": folder.name,
            "template": {"name": plan.template.name, "version": plan.template.version, "digest": plan.template.digest},
            "model": plan.model.name,
            "parameters": plan.parameters,
            "pid": os.getpid(),
            "host": socket.gethostname(),
        }
        case.ledger.append("run.started", started, by=user())
        job = Job(
            template=plan.template.path,
            folder=folder,
            parameters=plan.parameters,
            environment={
                **_credentials(plan.model),
                "RBNB_WORKSPACE": str(self.places.root),
                "RBNB_RUN_FOLDER": str(folder),
            },
            cell_timeout=CELL_TIMEOUT,
            run_timeout=RUN_TIMEOUT,
            required_scraps=STAGE_SCRAPS,
            template_digest=plan.template.digest,
        )
        outcome = runner.run(job, on_progress)
        return self._conclude(case, folder, plan, outcome)

    def _conclude(self, case: Incident, folder: Path, plan: Plan, outcome: Outcome) -> RunResult:
        failure = outcome.failure
        record = build_record(
            incident=case.name,
            run=folder.name,
            template={
                "name": plan.template.name,
                "version": plan.template.version,
                "digest": f"sha256:{plan.template.digest.removeprefix('sha256:')}",
            },
            model={"name": plan.model.name, "version": plan.model.version, "environment": plan.model.environment},
            parameters=plan.parameters,
            status=outcome.status.value,
            error=to_plain(failure) if failure else None,
            scraps=outcome.scraps,
            started=outcome.started,
            finished=outcome.finished,
            products=list_products(folder, leave_out=("run.json", "notebook.html")),
        )
        write_atomically(folder / "run.json", json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        self._write_page(case, folder, plan.model, record)
        body = {
            "run": folder.name,
            "status": record["status"],
            "verdict": record["verdict"],
            "severity": record["severity"]["level"],
            "error": failure.message if failure else None,
            "artifacts": list_products(folder),
        }
        kind = "run.finished" if outcome.status is RunStatus.COMPLETED else "run.failed"
        case.ledger.append(kind, body, by=user())
        return RunResult(folder, record)

    def _write_page(self, case: Incident, folder: Path, model: ModelFile, record: dict[str, Any]) -> None:
        from rbnb.report import render_run

        entries, head = case.ledger.head()
        context = {
            "ledger": {"entries": entries, "head": head},
            "model": {
                "title": model.description or model.name,
                "environment": model.environment,
                "owner": model.owner,
                "on_call": model.on_call.model_dump() if model.on_call else None,
            },
            "links": model.links,
        }
        try:
            notebook = json.loads((folder / "notebook.ipynb").read_bytes())
        except (OSError, ValueError):
            notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        write_atomically(folder / "notebook.html", render_run(notebook, record, context=context))

    def decide(self, name: str, choice: str, because: str) -> dict[str, Any]:
        """Record what a person chose on an incident's last run: an action of the model, or a verdict.

        Parameters
        ----------
        choice
            An action of the catalog, ``none``, or a verdict.
        because
            The reason, in a sentence.

        Returns
        -------
        dict
            The entry's body.

        Raises
        ------
        UsageError
            If the choice is not one of the options, or there is no reason.
        """
        if not because.strip():
            raise UsageError("a decision needs a reason", hint='say it with --because "…"')
        folder, record = self.run_folder(name), self.record(name)
        options = [*catalog_of(self.places), "none"]
        verdicts = ["healthy", "genuine", "transient", "infrastructure", "inconclusive"]
        if choice not in options + verdicts:
            raise NotFoundError("option", choice, options + verdicts, where=name)
        proposed = (record.get("proposal") or {}).get("action", "none")
        digest = next(p for p in list_products(folder) if p.path == "run.json").sha256
        body = {
            "choice": choice,
            "because": because.strip(),
            "run": folder.name,
            "record": f"sha256:{digest}",
            "proposed": proposed,
            "follows_proposal": choice == proposed,
        }
        self.incident(name).ledger.append("decision.made", body, by=user())
        return body

    def note(self, name: str, text: str, *, by: str = "", seen_at: str = "", about: str = "") -> dict[str, Any]:
        """Record in an incident what a person has seen; see `Incident.note`.

        Raises
        ------
        NotFoundError
            If there is no such incident.
        UsageError
            If there is no text, or the time cannot be read or lies in the future.
        """
        return self.incident(name).note(text, by=by, seen_at=seen_at, about=about)

    def baseline(self, asked: Asked) -> dict[str, Any]:
        """Learn thresholds from a model's history and write them, known incidents left out; return what was learned.

        Raises
        ------
        UsageError
            If a name or a time is wrong, or the baseline that is there was changed by hand.
        DataError
            If history is too short, or nothing can be learned from it.
        """
        from rbnb.baselines import walk_history, write_baseline
        from rbnb.baselines.telling import summary_of

        walked = walk_history(self.places, asked, self._episodes({"model": asked.model}))
        written = write_baseline(walked, self.places.baselines, rate=asked.rate, now=self.clock(), by=user())
        return {**summary_of(written), "file": self.shown(written.path), "plot": self.shown(written.plot)}

    def review_baseline(self, asked: Asked) -> dict[str, Any]:
        """Return what learned thresholds would have done in a model's history, and write nothing."""
        from rbnb.baselines import review_baseline, walk_history

        walked = walk_history(self.places, asked, self._episodes({"model": asked.model}))
        return review_baseline(walked, self.places, asked.rate)

    @staticmethod
    def init(folder: Path, *, samples: bool = True) -> list[Path]:
        """Make a workspace, with the sample fleet unless told otherwise; nothing that exists is overwritten.

        Raises
        ------
        UsageError
            If the folder already is a workspace, or cannot be written.
        """
        if (folder / "rbnb.toml").exists():
            raise UsageError(f"{folder} is a workspace already", hint="choose another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            taken = [name for name in _taken_by_samples() if (folder / name).exists()] if samples else []
            if taken:
                raise UsageError(
                    f"{folder / taken[0]} exists already", hint="choose another folder, or leave out --samples"
                )
            (folder / "reports").mkdir(exist_ok=True)
            (folder / "models").mkdir(exist_ok=True)
            written = [folder / "rbnb.toml", folder / "models", folder / "reports"]
            if samples:
                from rbnb.simulate import write_fleet

                written += write_fleet(folder)
            (folder / "rbnb.toml").write_text(_WORKSPACE_FILE, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{folder} cannot be written: {error.strerror}", hint="choose another folder") from None
        return written

    def failure(self, result: RunResult) -> RbnbError | None:
        """Return the error that a failed run amounts to, or None."""
        if result.completed:
            return None
        error = result.record["error"] or {}
        stage = f" in stage {error['stage']}" if error.get("stage") else ""
        why = error.get("message", "no reason is known")
        return RunFailedError(
            f"the run did not complete ({result.record['status']}){stage}: {why}",
            hint=f"what was done so far is in {self.shown(result.folder)}",
        )

    def shown(self, path: Path) -> str:
        """Return a path as a person in this folder would type it."""
        here = Path.cwd()
        return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)

    def working_copy(self, name: str, run: str = "") -> Path:
        """Copy a run's notebook for an analyst to go on with, and return the copy; the original stays as it is."""
        folder = self.run_folder(name, run)
        analyses = self.incident(name).folder / "analyses"
        analyses.mkdir(exist_ok=True)
        content = (folder / "notebook.ipynb").read_bytes()
        number = len(list(analyses.glob("*.ipynb")))
        while True:
            number += 1
            copy = analyses / f"{number:02d}-{folder.name}.ipynb"
            try:
                with copy.open("xb") as file:
                    file.write(content)
            except FileExistsError:
                continue
            break
        return copy

    def described(self, plan: Plan) -> dict[str, Any]:
        """Return a plan as plain data: parameters, windows, sources with their rows."""
        materials = plan.data.materials(plan.scope.window, plan.scope.reference)
        plain: dict[str, Any] = to_plain(
            {
                "template": {
                    "name": plan.template.name,
                    "version": plan.template.version,
                    "digest": plan.template.digest,
                },
                "model": {"name": plan.model.name, "version": plan.model.version},
                "parameters": plan.parameters,
                "window": plan.scope.window,
                "reference": plan.scope.reference,
                "bucket_seconds": plan.scope.bucket,
                "newest_row": format_time(plan.extent.last) if plan.extent.last else None,
                "sources": materials,
            }
        )
        return plain


def _credentials(model: ModelFile) -> dict[str, str]:
    """Return the variables that the model's connections name; the kernel gets no others, and no record holds them."""
    logs = model.logs
    sources = (logs.predictions, logs.training, logs.changes, logs.metrics, logs.dependencies)
    names = [name for source in sources if source is not None for name in env_names(source.connection)]
    return {name: os.environ[name] for name in names if name in os.environ}


def _taken_by_samples() -> list[str]:
    from rbnb.simulate import NAMES

    return ["truth", *NAMES, *(f"models/{name}.yaml" for name in NAMES)]


_WORKSPACE_FILE = """\
# An rbnb workspace. Paths are relative to this file.
[workspace]
models = "models"
reports = "reports"
# templates = "notebook_templates"   # your own runbooks, found before those that come with rbnb
# policies = "policies"              # your own thresholds, response times and actions, likewise
# baselines = "baselines"            # thresholds that `rbnb baseline` has learned

# Who holds which role in an incident.
[roles]
incident_commander = { people = [] }
responder = { people = [] }
approver = { people = [] }
scribe = { people = [] }
stakeholder = { people = [] }
"""
