"""One package a failure mode: it joins the logs and the statistics into measurements and hypotheses.

A diagnosis measures step by step, each step once and only when asked; it judges nothing but hypotheses,
whose rules stand in one place (`hypotheses`), and leaves findings and verdict to policy. Each package has the
same parts: `measure` (the numbers), `hypotheses` (what may have done it), `summary` (headline, since, facts) and
`views` (tables and figures).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from rbnb.data import Extent, ModelData
    from rbnb.scope import Scope

__all__ = ["Diagnosis"]


class Diagnosis(Protocol):
    """The measurements of one failure mode.

    `Settings` is a frozen dataclass of the numbers that define what is measured; policy may set each of them.
    """

    Settings: ClassVar[type[Any]]

    def __init__(self, data: ModelData, scope: Scope, extent: Extent, settings: Any, seed: int) -> None: ...  # noqa: ANN401
