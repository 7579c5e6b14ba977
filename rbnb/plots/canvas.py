"""The sheet every chart is drawn on: colours, sizes, text, and the way out as an SVG.

Rules: colours are the ones named here and no others, because each has its counterpart for dark; every
text goes through `Canvas.text`, because that is where data is made harmless; bytes depend on the data
alone (no date, no version, no random ids).
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rbnb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = ["BAND", "BLUE", "GREEN", "GRID", "INK", "MUTED", "PURPLE", "RED", "SERIES", "Canvas", "Figure"]

PAPER, INK, MUTED, GRID, BAND = "#ffffff", "#1f2328", "#59636e", "#dde2e8", "#8b96a3"
BLUE, RED, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#b5598f"
SERIES = (RED, BLUE, GREEN, PURPLE)
WIDTH = 6.6  # inches: 475 SVG units, which a phone shows at about 0.7
FONT = 9.0  # SVG units; 12.5 where the figure is shown narrower than 480 px

_DARK = {
    PAPER: "#161b22",
    INK: "#e6edf3",
    MUTED: "#a3adb8",
    GRID: "#2d343c",
    BAND: "#76818d",
    BLUE: "#56b4e9",
    RED: "#ff9147",
    GREEN: "#2fc79a",
    PURPLE: "#e0a0c6",
}
_HEAD = re.compile(r".*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_FONT_FAMILY = re.compile(r"font-family: [^;\"]*; ?")
_COORDINATES = re.compile(r'(?<= d=")[^"]*|(?<= [xy]=")[-0-9.]+')
_LONG_DECIMALS = re.compile(r"(\.\d\d)\d+")
_TURNED_BY_NOTHING = re.compile(r' transform="rotate\(-0 [^"]*\)"')
_MARKS = re.compile(r'<g( clip-path="[^"]*")?>((?:\s*<use [^>]*/>){2,}\s*)</g>')
_MARK_STYLE = re.compile(r' style="([^"]*)"(?=/>)')
_INDENT = re.compile(r"\n\s*")
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rbnb",
    "text.parse_math": False,
    "text.usetex": False,
    "font.family": "sans-serif",
    "font.size": FONT,
    "axes.unicode_minus": True,
    "path.simplify": True,
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A finished figure.

    Parameters
    ----------
    svg
        The picture, self-contained.
    alt
        What it shows, in words, for who cannot see it.
    caption
        How to read it, for who can.
    """

    svg: str
    alt: str
    caption: str


def _style() -> str:
    """Return the style sheet inside each figure: fonts, dark counterparts, larger text where narrow."""
    dark = "".join(
        f'[style*="fill: {light}"]{{fill:{dark}!important}}[style*="stroke: {light}"]{{stroke:{dark}!important}}'
        for light, dark in _DARK.items()
    )
    return (
        "*{stroke-linejoin:round;stroke-linecap:butt}"
        "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',Arial,sans-serif;"
        "font-variant-numeric:tabular-nums}"
        "@media (max-width:480px){text{font-size:12.5px!important}}"
        f"@media screen and (prefers-color-scheme:dark){{{dark}}}"
    )


def _style_once(marks: re.Match[str]) -> str:
    """Say the style of many marks once, on their group: it is most of their bytes."""
    styles = set(_MARK_STYLE.findall(marks[2]))
    if len(styles) != 1:
        return marks[0]
    return f'<g{marks[1] or ""} style="{styles.pop()}">{_MARK_STYLE.sub("", marks[2])}</g>'


class Canvas:
    """One figure being drawn.

    Parameters
    ----------
    height
        In inches.
    title
        What is drawn and in which unit; stands in the top left corner in place of a turned axis label.
    """

    def __init__(self, height: float, title: str) -> None:
        self.height = height
        self.title = title
        self.sheet: Any = None
        self._settings: Any = None

    def __enter__(self) -> Self:
        import matplotlib as mpl
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure as Sheet

        self._settings = mpl.rc_context(_SETTINGS)
        self._settings.__enter__()
        self.sheet = Sheet(figsize=(WIDTH, self.height), facecolor=PAPER)
        FigureCanvasSVG(self.sheet)
        if self.title:
            self.text(None, 6, 72 * self.height - 13, self.title, color=INK, weight="bold")
        return self

    def __exit__(self, *_: object) -> None:
        self._settings.__exit__(None, None, None)

    def axes(self, left: float, bottom: float, right: float, top: float) -> Any:  # noqa: ANN401 - matplotlib is untyped
        """Return axes without frame or ticks, placed by margins in points."""
        wide, high = 72 * WIDTH, 72 * self.height
        box = (left / wide, bottom / high, (wide - left - right) / wide, (high - bottom - top) / high)
        axes = self.sheet.add_axes(box, facecolor="none")
        axes.set_frame_on(False)
        axes.xaxis.set_visible(False)
        axes.yaxis.set_visible(False)
        return axes

    def text(
        self,
        axes: Any,  # noqa: ANN401 - matplotlib is untyped
        x: float,
        y: float,
        text: object,
        *,
        color: str = MUTED,
        align: str = "left",
        weight: str = "normal",
        shift: tuple[float, float] = (0, 0),
        limit: int = 76,
        across: str = "data",
    ) -> None:
        """Write `text` on its baseline at a place in `axes`, or in points from the sheet's corner without axes.

        `shift` moves it by points; with `across` = "axes" `y` is a share of the axes' height.
        """
        from matplotlib.transforms import ScaledTranslation

        if axes is None:
            place = self.sheet.dpi_scale_trans
            x, y = x / 72, y / 72
        else:
            place = axes.transData if across == "data" else axes.get_xaxis_transform()
        if shift != (0, 0):
            place = place + ScaledTranslation(shift[0] / 72, shift[1] / 72, self.sheet.dpi_scale_trans)
        self.sheet.text(
            x,
            y,
            one_line(text, limit),
            transform=place,
            color=color,
            ha=align,
            va="baseline",
            weight=weight,
            fontsize=FONT,
            parse_math=False,
        )

    def value_axis(self, axes: Any, ticks: Sequence[tuple[float, str]]) -> None:  # noqa: ANN401
        """Draw faint lines across at the values and write them left of the axes."""
        for value, label in ticks:
            axes.axhline(value, color=GRID, lw=0.8, zorder=0)
            self._left_of(axes, value, label)

    def _left_of(self, axes: Any, value: float, label: str) -> None:  # noqa: ANN401
        left = axes.get_xlim()[0]
        self.text(axes, left, value, label, align="right", shift=(-6, -3))

    def finish(self, alt: str, caption: str) -> Figure:
        """Turn the drawing into a `Figure`."""
        out = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        self.sheet.savefig(out, format="svg", metadata=nothing, facecolor=PAPER)
        svg = _METADATA.sub("", _HEAD.sub("", out.getvalue(), count=1))
        svg = re.sub(r"<style[^>]*>.*?</style>", lambda _: f"<style>{_style()}</style>", svg, count=1, flags=re.DOTALL)
        svg = _COORDINATES.sub(lambda found: _LONG_DECIMALS.sub(r"\1", _INDENT.sub(" ", found[0])), svg)
        svg = _MARKS.sub(_style_once, _TURNED_BY_NOTHING.sub("", _FONT_FAMILY.sub("", svg)))
        return Figure(_INDENT.sub("\n", svg).strip() + "\n", one_line(alt, 600), one_line(caption, 400))
