"""Inconsistent answers: measure them, weigh what may have done it, and say it in words, tables and figures."""

from rbnb.diagnoses.consistency import summary, views
from rbnb.diagnoses.consistency.hypotheses import hypotheses
from rbnb.diagnoses.consistency.measure import ConsistencySettings, OutputInconsistency

__all__ = ["ConsistencySettings", "OutputInconsistency", "hypotheses", "summary", "views"]
