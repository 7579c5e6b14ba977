"""A template's prose as HTML: CommonMark and tables, and nothing that is active.

Rules: raw HTML is text; links go to http, https or a place on the page; images are switched off; the
first heading names the stage and is taken out, deeper ones follow the page's own order without a jump.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from rbnb.report.words import safe_link
from rbnb.text import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from markupsafe import Markup

__all__ = ["render_prose"]

_LONGEST = 50_000


@functools.cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False, "linkify": False, "typographer": False})
    markdown.enable("table").disable("image")
    markdown.validateLink = _link_allowed  # type: ignore[method-assign,assignment] # the documented way
    markdown.add_render_rule("link_open", _link_open)
    markdown.add_render_rule("table_open", lambda *_: '<div class="scroll" tabindex="0"><table>\n')
    markdown.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return markdown


def _link_allowed(address: str) -> bool:
    return address.startswith("#") or bool(safe_link(address))


def _link_open(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:  # noqa: ANN401
    tokens[index].attrSet("rel", "noopener noreferrer")
    return str(renderer.renderToken(tokens, index, options, env))


def _is_stage_heading(tokens: list[Token]) -> bool:
    return bool(tokens) and tokens[0].type == "heading_open" and tokens[0].tag in ("h1", "h2")


def _put_in_order(tokens: list[Token]) -> None:
    """Let headings go on from the stage's own (level 2) without a jump."""
    above = 2
    for token in tokens:
        if token.type == "heading_open":
            above = min(max(int(token.tag[1]), 3), above + 1, 6)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{above}"


def render_prose(source: str) -> tuple[str, Markup]:
    """Return the title a markdown cell opens with ("" if it has none) and the rest as safe HTML."""
    from markupsafe import Markup

    markdown = _markdown()
    tokens = markdown.parse(visible(source, _LONGEST))
    title = ""
    if _is_stage_heading(tokens):
        children = tokens[1].children or []
        title = one_line("".join(child.content or " " for child in children), 90)
        tokens = tokens[3:]
    _put_in_order(tokens)
    html = markdown.renderer.render(tokens, markdown.options, {})
    # markdown-it with HTML off has escaped every text; entities may still have named a hidden character.
    return title, Markup(visible(html, len(html)))  # noqa: S704
