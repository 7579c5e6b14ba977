"""Running a runbook: planned, recorded, executed, and concluded with a record and a page.

- **No record, no action.** The ledger is written before a run starts; if it cannot be, nothing runs.
- **The run ends in a record whatever happens**: executed notebook, page, run.json, ledger entry.
- **Waiting is put to use**: the runner process and its kernel start at once and load while the plan is made.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rbnb.config import env_names
from rbnb.errors import RunFailedError
from rbnb.incidents import Incident, open_incident, user
from rbnb.inventory import find_model
from rbnb.model import RunStatus, to_plain
from rbnb.planning import Plan, Request, prepare, resolve
from rbnb.record import build_record, list_products, write_atomically
from rbnb.times import format_time
from rbnb.workspace.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rbnb.errors import RbnbError
    from rbnb.inventory import ModelFile
    from rbnb.runner import Outcome, Progress, Runner

__all__ = ["STAGE_SCRAPS", "RunResult", "Running"]

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


class Running(Pages):
    """What is done with runbooks."""

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

    def _open(self, plan: Plan) -> Incident:
        body = {
            "model": plan.model.name,
            "template": plan.template.name,
            "severity": plan.parameters.get("severity") or None,
            "environment": plan.model.environment,
        }
        return open_incident(self.places.reports, self.clock, body, self.places)

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
        self._write_run_page(case, folder, plan.model, record)
        body = {
            "run": folder.name,
            "status": record["status"],
            "verdict": record["verdict"],
            "severity": record["severity"]["level"],
            "onset": record["onset"],
            "error": failure.message if failure else None,
            "artifacts": list_products(folder),
        }
        kind = "run.finished" if outcome.status is RunStatus.COMPLETED else "run.failed"
        case.ledger.append(kind, body, by=user())
        self.write_incident_page(case.name)
        return RunResult(folder, record)

    def _write_run_page(self, case: Incident, folder: Path, model: ModelFile, record: dict[str, Any]) -> None:
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
