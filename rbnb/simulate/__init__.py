"""The sample fleet and its faults: logs of models in production that never ran, made from a seed.

Tests and drills need incidents whose cause is known. This package makes them: traffic (when requests
arrive), requests (what they are), latency (how long they take, and `LatencyFault`), metrics (what
monitoring saw), and for everything beside latency `scene`: a whole model in production for any seed, with
the faults of `rbnb.simulate.faults`; and from these the sample fleet as parquet. Rules: the same seed gives the same
bytes; numpy, pandas and pyarrow only; what really happened is written apart from what a runbook reads.

``python -m rbnb.simulate FOLDER`` writes the fleet to a folder.
"""

from rbnb.simulate.business import Business, Category, Number, Rule
from rbnb.simulate.businesses import BUSINESSES
from rbnb.simulate.fleet import NAMES, SEED, write_fleet
from rbnb.simulate.latency import LatencyFault
from rbnb.simulate.log import END, Scenario, latency_log, request_log
from rbnb.simulate.metrics import MetricFault, Series, metric_table
from rbnb.simulate.requests import Rollout
from rbnb.simulate.scene import Scene, scene
from rbnb.simulate.traffic import Surge, Traffic

__all__ = [
    "BUSINESSES",
    "END",
    "NAMES",
    "SEED",
    "Business",
    "Category",
    "LatencyFault",
    "MetricFault",
    "Number",
    "Rollout",
    "Rule",
    "Scenario",
    "Scene",
    "Series",
    "Surge",
    "Traffic",
    "latency_log",
    "metric_table",
    "request_log",
    "scene",
    "write_fleet",
]
