"""Data drift: what came in has changed, what came out has changed, or what it means has changed.

`measure` joins the parts: `rows` (which rows are compared), `features` (each input, and together), `outcome`
(performance, known and estimated) and `course` (since when). `hypotheses` tells covariate, label and concept drift
apart; `summary` and `views` say and show it.
"""

from rbnb.diagnoses.drift.measure import DataDrift

__all__ = ["DataDrift"]
