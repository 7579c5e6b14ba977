"""A second opinion on drift: Evidently, on a bounded sample, in a process of its own.

rbnb measures and judges by itself. Where a person asks for it (``evidently_report=true``), the same columns are
also given to Evidently, and what the two say differently is told with the reason. Rules:

- **It can fail, hang or eat memory without harming the run**: it is a process with a deadline and a memory limit,
  ``python -m rbnb.opinion FOLDER``, that gets files and leaves files. One column that it cannot take costs that
  column and no other.
- **It calls nobody**: telemetry is off, and every attempt to reach the network is refused in the process.
- **Its HTML is hostile.** It puts data into scripts; so it is a file beside the notebook that nothing embeds, and
  categories lose their angle brackets before they get there.
- **A reason is an experiment or a count, never a guess.** Why the two differ is decided by asking Evidently again
  under one changed condition, or from what is in the columns; where nothing explains it, that is what is said.

`report` is the one module that knows Evidently; `facts` counts, `reasons` compares; `python -m rbnb.opinion` does all
three. Who starts it is `rbnb.case`.
"""
