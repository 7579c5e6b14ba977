"""Poisoned training data: measure it, weigh what may have done it, and say it in words, tables and figures."""

from rbnb.diagnoses.poisoning import summary, views
from rbnb.diagnoses.poisoning.hypotheses import hypotheses
from rbnb.diagnoses.poisoning.measure import Poisoning, PoisoningSettings

__all__ = ["Poisoning", "PoisoningSettings", "hypotheses", "summary", "views"]
