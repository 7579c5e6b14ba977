"""How a team must respond, what an incident may mean for people, and which rules it may touch, with their clocks.

Rules: nothing here decides whether a law applies, and everything that is shown says so; what nobody has said is
unknown, never "no"; a number that was not measured is not known, never 0.
"""

from rbnb.governance.audiences import Audience, Communication, load_communication
from rbnb.governance.clocks import DueItem, clocks
from rbnb.governance.compliance import (
    NOT_LEGAL_ADVICE,
    Compliance,
    ComplianceItem,
    Evidence,
    Verdict,
    applicability,
    load_compliance,
    questions,
)
from rbnb.governance.conditions import FACTS, evaluate, names_in
from rbnb.governance.response import Level, Response, due, load_response
from rbnb.governance.risk import RiskGrid, assess, load_risk, reviewer_name

__all__ = [
    "FACTS",
    "NOT_LEGAL_ADVICE",
    "Audience",
    "Communication",
    "Compliance",
    "ComplianceItem",
    "DueItem",
    "Evidence",
    "Level",
    "Response",
    "RiskGrid",
    "Verdict",
    "applicability",
    "assess",
    "clocks",
    "due",
    "evaluate",
    "load_communication",
    "load_compliance",
    "load_response",
    "load_risk",
    "names_in",
    "questions",
    "reviewer_name",
]
