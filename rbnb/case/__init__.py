"""What a template's cells call: one `Case` that is opened with the run's parameters and passed through the stages.

A cell is a few lines over it: measure, show, finish. Rules:

- **Nothing is judged here**: signals go to the policy, which gives findings, verdict and proposal.
- **Each stage says that it is finished**, with what it found, as a scrap that scrapbook reads; a stage that
  never says so makes the run fail, so that an error that was swallowed cannot end in a green verdict.
- **It works without rbnb around it**: under bare papermill or in JupyterLab there is no incident and no
  run folder, and everything but the record is the same.
"""

from rbnb.case.core import STAGES, Case

__all__ = ["STAGES", "Case"]
