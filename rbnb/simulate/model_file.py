"""The model file of a scene: what a runbook knows of the model, and nothing of what went wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rbnb.simulate.latency import STAGES
from rbnb.times import format_time

if TYPE_CHECKING:
    from rbnb.simulate.business import Business
    from rbnb.simulate.scene import Scene

__all__ = ["model_file"]

# Words that YAML reads as something else than text.
_MEANT_OTHERWISE = {"on", "off", "yes", "no", "true", "false", "null"}

_TEMPLATE = """\
# The inventory entry of {name}: incident headers and queries are filled from it.
# Paths are relative to this file; times are UTC.
name: {name}
version: "{current}"                 # in production now
known_good_version: "{before}"      # where a rollback goes
description: {description}
environment: production
task: binary
criticality: {criticality}
owner: {owner}
on_call:
  rotation: {owner}-primary
  escalation: [{owner}-lead, platform-oncall, head-of-ml]
peak_window: {{days: mon-fri, start: "17:00", end: "21:00"}}

logs:
  predictions:                   # one row a request, one file a day
    table: ../{name}/predictions/*.parquet
    columns:                     # what rbnb means: what this log calls it
      timestamp: ts
      request_id: id
      model_version: version
      prediction: decision
      prediction_proba: score
      target: label
      latency_ms: latency_ms
      status_code: status_code
    stages: {stages}
    segments: [zone, host, region, channel, source, version]
    features:
      numerical: {numerical}
      categorical: {categorical}
    label_delay: {delay}         # how long until it is known what a request turned out to be
  training:                      # what the model learns from; the inputs have the names they have above
    table: ../{name}/training.parquet
    columns: {{id: row, time: ingested, source: source, batch: batch, label: label}}
  lineage:                       # which version learned which batch, and when
    table: ../{name}/lineage.parquet
    columns: {{version: version, batch: batch, time: time}}
  trusted:                       # rows whose label was checked by hand
    table: ../{name}/trusted.parquet
    columns: {{id: row, time: checked, label: label}}
  recomputed:                    # inputs of recent requests as the offline store works them out
    table: ../{name}/recomputed.parquet
    columns: {{request_id: request_id}}
  changes:
    table: ../{name}/changes.parquet
    columns: {{time: time, kind: kind, what: what, who: who, link: link, segment: segment}}
  metrics:
    table: ../{name}/metrics.parquet
    columns: {{time: time, component: component, metric: metric, value: value, segment: segment}}
  dependencies:
    table: ../{name}/dependencies.parquet
    columns: {{caller: caller, callee: callee}}

recording: {{until: {until}}}     # the logs are a recording; for a run, this is now
reference: {{window: {reference}}}
slo: {{latency_ms: {{p99: 250}}, availability: 0.999}}
acceptance:                      # what `rbnb accept` measures before the model counts as well again
  windows: 2                     # fresh windows in a row, each as long as the run's own
  quality: {{accuracy: {{worse_by: 0.05}}}}
  availability: 0.99             # what some hundred requests can show; the objective takes thousands
  fairness: {{worse_by: 0.1}}      # how much further apart groups may be than in the reference
decision: {{threshold: {threshold}, positive: {positive}, negative: {negative}}}
rules:                           # what always holds between inputs
{rules}
expect:                          # what an input may hold, whatever the past held
{expect}
monotone: {monotone}
invariant: {invariant}           # the score must not depend on these
actions: [rollback_version, shift_traffic, throttle, open_circuit_breaker, quarantine_input, reroute_input,
          disable_feature, freeze_training, quarantine_batch, restore_batch, fallback_model, manual_review]
platforms: [istio, kubernetes, feast]   # where it can be acted on, best first
action_values:                   # fill the placeholders of the actions' commands
  namespace: {short}
  virtual_service: {name}
  deployment: {name}
  destination_rule: feature-store
  feature_view: {short}_inputs
  input_route: feature-store
  training_job: {name}-training
  exclusions: {name}-training-exclusions
  batch_versions: {name}-batch-versions
governance:
  data: [personal]
  frameworks: {frameworks}
  fairness_segments: [region]
links:
  dashboard: https://example.com/dashboards/{name}
  repository: https://example.com/{owner}/{name}
  change_requests: https://example.com/changes
"""


def model_file(scene: Scene, name: str) -> str:
    """Return the text of the model file of `scene` under the name `name`."""
    business = scene.business
    hours = round(scene.label_delay.total_seconds() / 3600)
    days = min(14, max(1, round((scene.end - scene.start).total_seconds() / 86400) - 1))
    return _TEMPLATE.format(
        name=name,
        short=name.partition("-v")[0],
        before=business.versions[0],
        current=business.versions[1],
        description=business.description,
        owner=business.owner,
        criticality=business.criticality,
        stages=_flow(list(STAGES)),
        numerical=_flow([one.name for one in business.numbers if one.kind != "flag"]),
        categorical=_flow(
            [one.name for one in business.categories] + [one.name for one in business.numbers if one.kind == "flag"]
        ),
        delay=f"PT{hours}H" if hours % 24 else f"P{hours // 24}D",
        until=format_time(scene.end),
        reference=f"P{days}D",
        threshold=business.threshold,
        positive=business.positive,
        negative=business.negative,
        rules="\n".join(
            f"  - {_flow({'name': one.name, 'check': one.check, 'why': one.why})}" for one in business.rules
        ),
        expect="\n".join(f"  {name}: {_flow(held)}" for name, held in _expected(business).items()),
        monotone=_flow(dict(business.monotone)),
        invariant=_flow(list(business.invariant)),
        frameworks=_flow(list(business.frameworks)),
    )


def _flow(value: object) -> str:
    """Return a value as YAML in one line: JSON, with names left bare where they may be."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(held)}" for key, held in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and value.replace("_", "").replace("-", "").isalnum() and not value[0].isdigit():
        return json.dumps(value) if value in _MEANT_OTHERWISE else value
    return json.dumps(value)


def _expected(business: Business) -> dict[str, dict[str, Any]]:
    """Return the bounds its owner would know: units, lower ends, the values of small categories."""
    held: dict[str, dict[str, Any]] = {}
    for one in business.numbers:
        limits = {
            "lognormal": {"min": 0},
            "count": {"min": 0},
            "bounded": {"min": 0, "max": 1},
            "hour": {"min": 0, "max": 23},
        }
        held[one.name] = {**limits.get(one.kind, {}), **({"unit": one.unit} if one.unit else {})}
        held[one.name] |= {} if one.nulls else {"nullable": False}
    for category in business.categories:
        if len(category.shares) <= 20:
            held[category.name] = {"values": list(category.shares)}
    return {name: bounds for name, bounds in held.items() if bounds}
