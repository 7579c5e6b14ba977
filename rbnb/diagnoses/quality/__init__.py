"""Broken data: measure it, weigh what may have done it, and say it in words, tables and figures."""

from rbnb.diagnoses.quality import summary, views
from rbnb.diagnoses.quality.hypotheses import hypotheses
from rbnb.diagnoses.quality.measure import DataQuality, QualitySettings

__all__ = ["DataQuality", "QualitySettings", "hypotheses", "summary", "views"]
