"""Text from data, made safe to show: on a page, in a figure, on a terminal.

A category value, a host name or an exception may hold anything. Escaping is the business of whoever
writes HTML or SVG; what escaping does not reach is done here. Rules:

- **Nothing hides and nothing steers.** Control characters, direction overrides, invisible characters
  and lone surrogates become visible marks such as ``‹U+202E›``; line feed and tab stay.
- **Nothing floods.** What is longer than `limit` is cut, and the cut is said.
"""

from __future__ import annotations

import re

__all__ = ["one_line", "visible"]

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")

#: C0 but tab and line feed, DEL, C1, soft hyphen, Arabic mark, zero width (not the joiners that scripts need),
#: line and paragraph separators, direction marks, invisible operators, surrogates, BOM, specials, tags.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff0-\uffff\U000e0000-\U000e007f]"
)

_SPACE = re.compile(r"[ \t\n]+")


def visible(text: object, limit: int = 2000) -> str:
    r"""Return `text` with terminal colours removed, hidden characters made visible, and cut at `limit`.

    Parameters
    ----------
    text
        Anything; what is no string is turned into one.
    limit
        How many characters are shown.

    Examples
    --------
    >>> visible("zone\u202eb"), visible("\x1b[31mred\x1b[0m"), visible("abcdef", limit=3)
    ('zone‹U+202E›b', 'red', 'abc … (3 more characters)')
    """
    clean = _ANSI.sub("", str(text).replace("\r\n", "\n"))
    cut = len(clean) - limit
    shown = _HIDDEN.sub(lambda found: f"‹U+{ord(found[0]):04X}›", clean[:limit])
    return f"{shown} … ({cut} more characters)" if cut > 0 else shown


def one_line(text: object, limit: int = 60) -> str:
    r"""Return `text` as `visible` does, on one line and cut with an ellipsis: for labels and headings.

    Examples
    --------
    >>> one_line("feature store\n slow", limit=14)
    'feature store…'
    """
    flat = _SPACE.sub(" ", visible(text, limit=4 * limit + 100)).strip(" ")
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"
