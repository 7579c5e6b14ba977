"""The action catalog: what may be done about an incident, written down before there is one.

An action says what it is for, what it risks, what must hold first, and the exact commands or requests to look at the
state before, to try it, do it, check it and undo it, for each platform it knows. This package reads catalogs, renders
an action for a case at hand so that a person sees the very commands that would be run, and says whether an answer is
what was expected; it runs none of them. The rules stand where they are kept:

- `grammar`: how an action is written down, and what is refused when it is read.
- `values`: a value is never more than a value.
- `tolerance`: what a probe may answer, and what a snapshot takes out of it.
- `rendering`: an action with its values put in; secrets are never in it.
- `loading`: files and folders, and which replaces which.
"""

from __future__ import annotations

from rbnb.catalog.grammar import APPROVALS, Action, Precondition, Snapshot, Step, Variant, Verify
from rbnb.catalog.loading import load_catalog
from rbnb.catalog.rendering import RenderedAction, RenderedRequest, RenderedStep, render
from rbnb.catalog.tolerance import Observed, Take, Tolerance, check_path, described, holds, taken
from rbnb.catalog.values import Value

__all__ = [
    "APPROVALS",
    "Action",
    "Observed",
    "Precondition",
    "RenderedAction",
    "RenderedRequest",
    "RenderedStep",
    "Snapshot",
    "Step",
    "Take",
    "Tolerance",
    "Value",
    "Variant",
    "Verify",
    "check_path",
    "described",
    "holds",
    "load_catalog",
    "render",
    "taken",
]
