"""The sample fleet's first member: three weeks of a card-fraud model that end in a latency incident.

The story, and nothing else decides it: at 13:42 on the last day version 3.4.1 goes to all hosts and is
harmless. At 14:05 the feature store of zone b slows down. Requests served there wait for their
features, a few give up, their hosts queue a little; zones a and c run the same version and are as fast
as ever. Traffic is 6 % above usual, which changes nothing. Nine days earlier profile-db was slow for
twenty minutes and recovered.

Rule: what the runbook reads says nothing of this; the truth is written to a folder of its own.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from rbnb.simulate.files import TIME, write_daily, write_table
from rbnb.simulate.fraud_training import tables
from rbnb.simulate.latency import STAGES, LatencyFault
from rbnb.simulate.log import END, Scenario, request_log
from rbnb.simulate.metrics import STEP_MINUTES, MetricFault, Series, metric_table
from rbnb.simulate.requests import CATEGORICAL, HOSTS, NUMERICAL, Rollout
from rbnb.simulate.traffic import MINUTE, Surge, Traffic, millis, per_minute
from rbnb.simulate.writing import column_types
from rbnb.times import format_time

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NAME", "changes", "dependencies", "metrics", "scenario", "truth", "write"]

NAME = "fraud-v3"
START = END - timedelta(days=21)
DEPLOY = datetime(2026, 11, 19, 13, 42, tzinfo=UTC)
ONSET = datetime(2026, 11, 19, 14, 5, tzinfo=UTC)
BLIP = datetime(2026, 11, 10, 11, 20, tzinfo=UTC)
BLIP_END = BLIP + timedelta(minutes=20)

_LINK = "https://example.com/changes/"

# Everything that was changed, in order of time.
_CHANGES = (
    ("2026-10-30T09:15Z", "config", "gateway: connection keep-alive 60 s", "platform", "CHG-2101", ""),
    ("2026-11-01T10:05Z", "feature", "add amount_ratio_30d to the monitoring set", "payments-ml", "CHG-2107", ""),
    ("2026-11-03T13:30Z", "deploy", "deploy feature-service 2.8.1", "ci-bot", "CHG-2113", ""),
    ("2026-11-04T08:50Z", "scale", "fraud-v3: one more host in zone a", "platform", "CHG-2118", "zone=a"),
    ("2026-11-05T15:10Z", "schema", "device_os: allow the value linux", "data-platform", "CHG-2124", ""),
    ("2026-11-09T10:40Z", "deploy", "deploy rules-engine 5.12.0", "ci-bot", "CHG-2131", ""),
    ("2026-11-11T14:25Z", "config", "review threshold 0.16 to 0.15", "payments-ml", "CHG-2139", ""),
    ("2026-11-12T09:00Z", "deploy", "deploy feature-service 2.8.2", "ci-bot", "CHG-2144", ""),
    (
        "2026-11-16T12:10Z",
        "feature",
        "merchant_risk: refreshed weekly instead of monthly",
        "payments-ml",
        "CHG-2152",
        "",
    ),
    ("2026-11-18T11:35Z", "scale", "profile-db: read replica added", "platform", "CHG-2160", ""),
    ("2026-11-19T12:20Z", "config", "zone c: log level info", "platform", "CHG-2166", "zone=c"),
    ("2026-11-19T13:42Z", "deploy", "deploy fraud-v3 3.4.1", "ci-bot", "CHG-2168", "version=3.4.1"),
)

_TEXT = pa.string()
PREDICTION_TYPES = {
    "ts": TIME,
    **dict.fromkeys(("id", "host", "zone", "region", "channel", "version"), _TEXT),
    "score": pa.float64(),
    "decision": _TEXT,
    "label": pa.int8(),
    **dict.fromkeys(("latency_ms", *STAGES), pa.float64()),
    "status_code": pa.int16(),
    **dict.fromkeys(NUMERICAL, pa.float64()),
    **dict.fromkeys(("account_age_days", "tx_count_24h", "hour_local", "device_age_days"), pa.int32()),
    **dict.fromkeys(CATEGORICAL, _TEXT),
}
CHANGE_TYPES = {"time": TIME, **dict.fromkeys(("kind", "what", "who", "link", "segment"), _TEXT)}
METRIC_TYPES = {"time": TIME, "component": _TEXT, "metric": _TEXT, "value": pa.float64(), "segment": _TEXT}
DEPENDENCY_TYPES = {"caller": _TEXT, "callee": _TEXT}

MODEL_FILE = """\
# The inventory entry of fraud-v3: incident headers and queries are filled from it.
# Paths are relative to this file; times are UTC.
name: fraud-v3
version: "3.4.1"                 # in production now
known_good_version: "3.3.0"      # where a rollback goes
description: Scores card payments for fraud before they are authorised.
registry: models:/fraud-v3/12
environment: production
task: binary
criticality: high
owner: payments-ml
on_call:
  rotation: payments-ml-primary
  escalation: [payments-ml-lead, platform-oncall, head-of-ml]
peak_window: {days: mon-fri, start: "17:00", end: "21:00"}

logs:
  predictions:                   # one row a request, one file a day; one request in fifty is logged
    table: ../fraud-v3/predictions/*.parquet
    columns:                     # what rbnb means: what this log calls it (payload size is not logged)
      timestamp: ts
      request_id: id
      model_version: version
      prediction: decision
      prediction_proba: score
      target: label
      latency_ms: latency_ms
      status_code: status_code
    stages: [queue_ms, features_ms, inference_ms, post_ms]     # they add up to latency_ms
    segments: [zone, host, region, channel, version]
    features:
      numerical: [amount, merchant_risk, account_age_days, tx_count_24h, amount_ratio_30d,
                  distance_km, hour_local, device_age_days]
      categorical: [mcc_group, card_type, country, device_os]
    label_delay: P2D             # a chargeback is known two days later
  training:                      # what the model learns from; the inputs have the names they have above
    table: ../fraud-v3/training.parquet
    columns: {id: row, time: ingested, source: source, batch: batch, label: label}
  lineage:                       # which version learned which batch, and when
    table: ../fraud-v3/lineage.parquet
    columns: {version: version, batch: batch, time: time}
  trusted:                       # rows whose label was checked by hand
    table: ../fraud-v3/trusted.parquet
    columns: {id: row, time: checked, label: label}
  recomputed:                    # inputs of recent requests as the offline store works them out
    table: ../fraud-v3/recomputed.parquet
    columns: {request_id: request_id}
  changes:                       # deploys, config, feature, schema and scale changes
    table: ../fraud-v3/changes.parquet
    columns: {time: time, kind: kind, what: what, who: who, link: link, segment: segment}
  metrics:                       # hosts and dependencies, every five minutes
    table: ../fraud-v3/metrics.parquet
    columns: {time: time, component: component, metric: metric, value: value, segment: segment}
  dependencies:                  # who calls whom
    table: ../fraud-v3/dependencies.parquet
    columns: {caller: caller, callee: callee}

recording: {until: 2026-11-19T16:00:00Z}     # the logs are a recording; for a run, this is now
reference: {window: P14D}        # what is normal: the two weeks before the window
slo: {latency_ms: {p99: 250}, availability: 0.999}
acceptance:                      # what `rbnb accept` measures before the model counts as well again
  windows: 2                     # fresh windows in a row, each as long as the run's own
  quality: {accuracy: {worse_by: 0.05}}
  availability: 0.99             # what some hundred requests can show; the objective takes thousands
  fairness: {worse_by: 0.1}      # how much further apart groups may be than in the reference
expect:                          # what an input may hold, whatever the past held
  amount: {min: 0, unit: EUR, nullable: false}
  merchant_risk: {min: 0, max: 1, nullable: false}
  account_age_days: {min: 0, unit: days}
  tx_count_24h: {min: 0}
  distance_km: {min: 0, max: 20040, unit: km}
  hour_local: {min: 0, max: 23, unit: h}
  device_age_days: {min: 0, unit: days}
  card_type: {values: [debit, credit, prepaid]}
monotone: {merchant_risk: increasing, tx_count_24h: increasing}
actions: [rollback_version, shift_traffic, throttle, open_circuit_breaker, quarantine_input, reroute_input,
          disable_feature, freeze_training, quarantine_batch, restore_batch, fallback_model, manual_review]
platforms: [istio, kubernetes, feast]   # where it can be acted on, best first
action_values:                   # fill the placeholders of the actions' commands
  namespace: fraud
  virtual_service: fraud-v3
  deployment: fraud-v3
  destination_rule: feature-store
  feature_view: payment_inputs
  input_route: feature-store
  training_job: fraud-v3-training
  exclusions: fraud-v3-training-exclusions
  batch_versions: fraud-v3-batch-versions
segment_values:                  # those that depend on where the trouble is; weights as routed on 2026-11-19
  zone=a: {from_index: "0", from_subset: zone-a, to_index: "1", to_subset: zone-b, to_weight: "79"}
  zone=b: {from_index: "1", from_subset: zone-b, to_index: "0", to_subset: zone-a, to_weight: "79"}
governance:
  data: [personal, financial]
  frameworks: [eu-ai-act, nist-ai-rmf]
  fairness_segments: [region]
links:
  dashboard: https://example.com/dashboards/fraud-v3
  repository: https://example.com/payments-ml/fraud-v3
  change_requests: https://example.com/changes
"""


def scenario() -> Scenario:
    """Return the three weeks: traffic, the blip, the deploy and the incident with its small symptom."""
    return Scenario(
        traffic=Traffic(start=START, end=END, per_hour=230, surges=(Surge(ONSET, END, 1.06),)),
        faults=(
            LatencyFault(BLIP, BLIP_END, extra_ms=160, spread=0.5),
            LatencyFault(ONSET, where="zone=b", extra_ms=250, spread=0.7, errors=0.006),
            LatencyFault(ONSET, where="zone=b", stage="queue_ms", extra_ms=9, spread=0.5),
        ),
        version="3.3.0",
        rollouts=(Rollout("3.4.1", DEPLOY, timedelta(seconds=110)),),
    )


def changes() -> pd.DataFrame:
    """Return the change log: time, kind, what, who, link, segment."""
    table = pd.DataFrame(_CHANGES, columns=list(CHANGE_TYPES))
    return table.assign(time=pd.to_datetime(table["time"], utc=True), link=_LINK + table["link"])


def dependencies() -> pd.DataFrame:
    """Return the call graph: caller, callee."""
    pairs = [("gateway", f"{NAME}/{host}") for host in HOSTS]
    pairs += [(f"{NAME}/{host}", f"feature-service/{host[0]}") for host in HOSTS]
    pairs += [(f"{NAME}/{host}", "rules-engine") for host in HOSTS]
    for zone in _zones():
        pairs += [(f"feature-service/{zone}", f"feature-store/{zone}"), (f"feature-service/{zone}", "profile-db")]
    return pd.DataFrame(pairs, columns=list(DEPENDENCY_TYPES))


def metrics(seed: int) -> pd.DataFrame:
    """Return the infrastructure series: time, component, metric, value, segment."""
    traffic = scenario().traffic
    rate = per_minute(traffic, seed).reshape(-1, STEP_MINUTES).mean(axis=1)
    at = millis(START) + np.arange(len(rate), dtype=np.int64) * STEP_MINUTES * MINUTE
    table = metric_table(_series(), _metric_faults(), at, rate / rate.mean(), seed)
    return table.assign(time=pd.to_datetime(table["time"], unit="ms", utc=True))


def truth(seed: int) -> dict[str, object]:
    """Return what really happened, for tests and drills."""
    return {
        "model": NAME,
        "seed": seed,
        "verdict": "infrastructure",
        "onset": format_time(ONSET),
        "ended": None,
        "cause": "feature-store/b",
        "segment": "zone=b",
        "stage": "features_ms",
        "symptoms": ["feature-service/b", *(f"{NAME}/{host}" for host in HOSTS if host.startswith("b"))],
        "harmless_deploy": format_time(DEPLOY),
        "harmless_traffic_factor": 1.06,
        "earlier_blip": {"onset": format_time(BLIP), "ended": format_time(BLIP_END), "cause": "profile-db"},
    }


def write(folder: Path, seed: int) -> list[Path]:
    """Write the model file, the logs and the truth below `folder`; return what was written."""
    logs = folder / NAME
    log = request_log(scenario(), seed)
    written = write_daily(log, PREDICTION_TYPES, logs / "predictions", by="ts")
    for name, table in tables(log, seed).items():
        written.append(write_table(table, column_types(table), logs / f"{name}.parquet"))
    written += [
        write_table(changes(), CHANGE_TYPES, logs / "changes.parquet"),
        write_table(metrics(seed), METRIC_TYPES, logs / "metrics.parquet"),
        write_table(dependencies(), DEPENDENCY_TYPES, logs / "dependencies.parquet"),
        _write_text(folder / "models" / f"{NAME}.yaml", MODEL_FILE),
        _write_text(folder / "truth" / f"{NAME}.json", json.dumps(truth(seed), indent=2) + "\n"),
    ]
    return written


def _series() -> tuple[Series, ...]:
    # the log keeps one request in fifty, the gateway counts them all
    series = [Series("gateway", "requests_per_s", 3.35, follows_load=1.0, noise=0.03)]
    for host in HOSTS:
        name, place = f"{NAME}/{host}", f"host={host}"
        series += [
            Series(name, "cpu", 0.42, place, follows_load=0.5, noise=0.05, decimals=3),
            Series(name, "memory", 0.61, place, noise=0.01, decimals=3),
            Series(name, "queue_depth", 1.2, place, follows_load=0.6, noise=0.12, decimals=2),
        ]
    for zone in _zones():
        service, store, place = f"feature-service/{zone}", f"feature-store/{zone}", f"zone={zone}"
        series += [
            Series(service, "latency_ms", 38, place, follows_load=0.08, decimals=0),
            Series(service, "error_rate", 0.0005, place, noise=0.3, decimals=5),
            Series(store, "latency_ms", 9, place, follows_load=0.1, noise=0.06, decimals=1),
            Series(store, "error_rate", 0.0003, place, noise=0.3, decimals=5),
            Series(store, "connections", 40, place, follows_load=0.4, decimals=0),
        ]
    series += [
        Series("profile-db", "latency_ms", 6, follows_load=0.1, noise=0.06, decimals=1),
        Series("profile-db", "connections", 85, follows_load=0.4, decimals=0),
        Series("rules-engine", "latency_ms", 3, follows_load=0.05, noise=0.06, decimals=1),
    ]
    return tuple(series)


def _metric_faults() -> tuple[MetricFault, ...]:
    """Return the cause, its symptoms one call up, the hosts behind them, and the earlier blip."""
    hosts = [f"{NAME}/{host}" for host in HOSTS if host.startswith("b")]
    return (
        MetricFault("feature-store/b", "latency_ms", ONSET, 30.0),
        MetricFault("feature-store/b", "connections", ONSET, 4.5),
        MetricFault("feature-store/b", "error_rate", ONSET, 25.0),
        MetricFault("feature-service/b", "latency_ms", ONSET, 8.0),
        MetricFault("feature-service/b", "error_rate", ONSET, 10.0),
        *(MetricFault(host, "queue_depth", ONSET, 1.8) for host in hosts),
        *(MetricFault(host, "cpu", ONSET, 0.94) for host in hosts),
        MetricFault("profile-db", "latency_ms", BLIP, 28.0, BLIP_END),
        MetricFault("profile-db", "connections", BLIP, 1.6, BLIP_END),
    )


def _zones() -> list[str]:
    return sorted({host[0] for host in HOSTS})


def _write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path
