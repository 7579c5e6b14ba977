"""Before anything runs: which template, which parameters, which window of which data.

Rules: everything that can be wrong is found here, and said with what is allowed; the end of the window is
pinned, so that the same parameters give the same run; stretches in which earlier runs found the model in
trouble are left out of the reference, and stand in the parameters where everybody sees them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rbnb.catalog import load_catalog
from rbnb.config import read_yaml
from rbnb.data import ModelData
from rbnb.errors import ConfigError, NotFoundError, ParameterError
from rbnb.governance import load_compliance, load_response, load_risk
from rbnb.inventory import find_model, load_model_file
from rbnb.policy import effective_thresholds, is_policy, load_policy, load_weights, overrides_for
from rbnb.policy.learned import read_baseline
from rbnb.scope import parse_spans
from rbnb.templates import check_parameters, load_template, parse_assignment
from rbnb.times import format_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from rbnb.catalog import Action
    from rbnb.config import Places
    from rbnb.data import Extent
    from rbnb.inventory import ModelFile
    from rbnb.scope import Scope
from rbnb.templates import Template

__all__ = ["Plan", "Request", "catalog_of", "prepare", "resolve"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for, as text; see `rbnb run --help`."""

    template: str
    model: str
    at: str = ""
    window: str = ""
    severity: str = ""
    assignments: Sequence[str] = ()
    parameter_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A run that is ready to start."""

    template: Template
    model: ModelFile
    model_path: Path
    data: ModelData
    parameters: dict[str, Any]
    extent: Extent
    scope: Scope


def prepare(places: Places, request: Request) -> tuple[Template, dict[str, Any]]:
    """Find the template and check every parameter, without looking at data.

    Raises
    ------
    UsageError
        Naming the unknown template or parameter, or what is allowed.
    """
    template = load_template(request.template, places.templates)
    given = _from_file(request.parameter_file)
    for assignment in request.assignments:
        name, value = parse_assignment(assignment, template)
        given[name] = value
    for name in ("model", "at", "window", "severity"):
        if text := getattr(request, name):
            given[name] = text
    severity = given.get("severity", "")
    if severity and severity not in ("SEV1", "SEV2", "SEV3", "SEV4"):
        raise ParameterError(f"{severity!r} is not a severity", hint="use SEV1, SEV2, SEV3 or SEV4")
    return template, check_parameters(template, given)


def _from_file(path: Path | None) -> dict[str, Any]:
    return dict(read_yaml(path)) if path else {}


def resolve(
    places: Places, template: Template, given: Mapping[str, Any], episodes: Sequence[tuple[datetime, datetime]] = ()
) -> Plan:
    """Read the model file and its logs, and pin the window.

    Parameters
    ----------
    given
        Checked parameters.
    episodes
        Earlier incidents of this model.

    Raises
    ------
    UsageError
        If the model file, the policy or a time is wrong.
    DataError
        If a table or column is missing or of the wrong type, or the log is empty.
    """
    path = find_model(places.models, str(given["model"]))
    model = load_model_file(path)
    _check_policy(places, template.name, model, path)
    data = ModelData(model, path.parent)
    data.check()
    clock = model.clock(str(given.get("clock", "")))
    texts = {name: str(given.get(name, "")) for name in ("at", "as_of", "window", "bucket", "reference", "leave_out")}
    extent, scope = data.scope(clock=clock, **texts)
    pinned = {
        "at": format_time(scope.window.end),
        "as_of": format_time(scope.now),
        "clock": format_time(clock),
    }
    if not texts["leave_out"] and (left_out := _left_out(episodes, scope)):
        pinned["leave_out"] = left_out
        scope = dataclasses.replace(scope, leave_out=parse_spans(left_out))
    declared = {parameter.name for parameter in template.parameters}
    parameters = check_parameters(template, {**given, **{k: v for k, v in pinned.items() if k in declared}})
    return Plan(template, model, path, data, parameters, extent, scope)


def _check_policy(places: Places, template: str, model: ModelFile, path: Path) -> None:
    policy = load_policy(places.policy_file(template))
    files = [places.policy_file(name) for name in places.policy_names()]
    own = overrides_for(
        policy,
        model.thresholds,
        lambda: [load_policy(file) for file in files if is_policy(file)],
        overrides_from=path.name,
    )
    effective_thresholds(policy, own, overrides_from=path.name)
    read_baseline(places.baselines / f"{model.name}.yaml", model.name)
    load_weights(places.policy_file("severity"))
    load_response(places.policy_file("response"))
    load_compliance(places.policy_files("compliance"))
    load_risk(places.policy_file("risk"))
    catalog = catalog_of(places)
    platforms = {variant for action in catalog.values() for variant in action.names}
    for key, kind, names, known in (
        ("actions", "action", model.actions, set(catalog)),
        ("platforms", "platform", model.platforms, platforms),
    ):
        for name in names:
            if name not in known:
                missing = NotFoundError(kind, name, known)
                raise ConfigError(path, key, missing.message, hint=missing.hint)


def catalog_of(places: Places) -> dict[str, Action]:
    """Return the actions by name: those that come with rbnb, and over them the workspace's own."""
    return load_catalog(places.policy_files("actions"))


def _left_out(episodes: Sequence[tuple[datetime, datetime]], scope: Scope) -> str:
    inside = [
        f"{format_time(start)}/{format_time(end)}"
        for start, end in sorted(set(episodes))
        if start < scope.reference.end and end > scope.reference.start
    ]
    return ",".join(inside[-40:])
