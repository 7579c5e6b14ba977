"""A latency spike: measure it, weigh what may have done it, and say it in words, tables and figures."""

from rbnb.diagnoses.latency import summary, views
from rbnb.diagnoses.latency.hypotheses import hypotheses
from rbnb.diagnoses.latency.measure import LatencySettings, LatencySpike

__all__ = ["LatencySettings", "LatencySpike", "hypotheses", "summary", "views"]
