"""The form as a widget: it shows what Python tells it, and hands every answer to a function.

Rules: the only thing taken from the browser is the message that its button sends; what the browser may have written
into the widget's state is never read. Importing this module imports anywidget, so only an interactive session does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from rbnb.errors import RbnbError
from rbnb.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DecisionForm"]

_HERE = Path(__file__).parent


class DecisionForm(anywidget.AnyWidget):
    """A form in a notebook.

    Parameters
    ----------
    about
        What it shows.
    submit
        Called with what the browser sent; returns what to tell after it was recorded.
    """

    _esm = _HERE / "form.js"
    _css = _HERE / "form.css"
    about = traitlets.Dict().tag(sync=True)
    outcome = traitlets.Dict().tag(sync=True)

    def __init__(self, about: dict[str, Any], submit: Callable[[object], dict[str, Any]]) -> None:
        super().__init__(about=about)
        self._submit = submit
        self._answers = 0
        self.on_msg(self._answered)

    def __repr__(self) -> str:
        """Return what stands in the notebook as text, the same every time."""
        return "[form] a decision is made here in JupyterLab; the ways to decide without it stand above"

    def _answered(self, _widget: object, content: object, _buffers: object) -> None:
        self._answers += 1
        # Only what is told last stays: an error that is none of ours is shown by the kernel, and said here too.
        outcome = {"error": "something unexpected happened; nothing is known to be recorded", "hint": "see the log"}
        try:
            outcome = self._submit(content)
        except RbnbError as error:
            outcome = {"error": visible(error.message), "hint": visible(error.hint)}
        finally:
            # The number makes every outcome a new one: the same error twice has to be told twice.
            self.outcome = {**outcome, "answer": self._answers}
