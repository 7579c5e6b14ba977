"""The page of a run: one HTML file that a stakeholder, a responder and an auditor can each read.

The rules it keeps:

- **Nothing runs and nothing is fetched.** No script, no outside style, font or image; a Content Security
  Policy says so to the browser as well. Figures are data images, so that an SVG can do nothing either.
- **Everything from data is hostile.** Values are escaped by the template engine, markdown is rendered with
  HTML off, only the output types named in `rbnb.report.outputs` are shown, and characters that hide or
  turn text are made visible over the whole page.
- **Never a false all-clear.** Green needs the verdict ``healthy`` of a completed run; an unfinished run
  opens with a banner, and an inconclusive one is grey with its reasons.
- **The page never fails.** A field that is absent is said to be absent; an output that cannot be read is
  said to be unreadable. A broken run still gets its page.
- **Plain words first**, then causes, what was not measured and whom to call; then the stages; last, where
  every number comes from.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Environment

__all__ = ["render_run"]

_HERE = Path(__file__).parent


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_run(notebook: Mapping[str, Any], record: Mapping[str, Any], *, context: Mapping[str, Any]) -> str:
    """Return the page of one run as self-contained HTML.

    Parameters
    ----------
    notebook
        The executed notebook, nbformat 4, as plain dicts; cells may carry ``metadata.rbnb.stage``.
    record
        The run record (run.json). Absent fields are said to be absent.
    context
        What the record does not hold: ``ledger`` {entries, head}; ``model`` {title, environment, owner,
        on_call (a text, or {rotation, escalation})}; ``links`` {label: http(s) address}.

    Returns
    -------
    str
        HTML in which no value from data is active.
    """
    from markupsafe import Markup

    from rbnb.report.stages import read_stages
    from rbnb.report.summary import read_summary
    from rbnb.text import visible

    page = _environment().get_template("page.html.j2")
    # The style sheet is ours and shipped beside this file; it is the one text that is not escaped.
    style = Markup((_HERE / "style.css").read_text(encoding="utf-8"))  # noqa: S704
    html = page.render(style=style, run=read_summary(record, context), stages=read_stages(notebook, record))
    return visible(html, limit=len(html))
