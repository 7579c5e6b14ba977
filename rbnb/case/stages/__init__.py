"""What the stages of a runbook show: one function a view, from facts to tables, with nothing measured or judged."""

from rbnb.case.stages.containment import containment, proposal_record
from rbnb.case.stages.deciding import (
    decision_facts,
    decision_record,
    how_it_stands,
    nothing_to_record,
    pending,
    standing_line,
    ways_to_decide,
)
from rbnb.case.stages.findings import branch_table, finding_table, for_and_against, referral_notes, verdict_facts
from rbnb.case.stages.governance import governance, risk_of
from rbnb.case.stages.header import header_facts, links, responsibility_facts, standing_views
from rbnb.case.stages.learning import learning
from rbnb.case.stages.remediation import monitoring, remediation
from rbnb.case.stages.reproducing import material_table, rerun_commands, window_facts

__all__ = [
    "branch_table",
    "containment",
    "decision_facts",
    "decision_record",
    "finding_table",
    "for_and_against",
    "governance",
    "header_facts",
    "how_it_stands",
    "learning",
    "links",
    "material_table",
    "monitoring",
    "nothing_to_record",
    "pending",
    "proposal_record",
    "referral_notes",
    "remediation",
    "rerun_commands",
    "responsibility_facts",
    "risk_of",
    "standing_line",
    "standing_views",
    "verdict_facts",
    "ways_to_decide",
    "window_facts",
]
