r"""The small Markdown that updates are written in, and what is made of it for those who read elsewhere.

An update is lines: ``# title``, ``## heading``, ``- item``, or a sentence; ``**bold**`` is the only mark inside a line.
Whatever comes from data is put in with `escape`, and then is text and nothing else, wherever it ends up. Rules:

- **Data makes no markup**: every sign that Markdown could read gets a backslash.
- **Data calls nobody**: ``@here``, ``@channel``, ``@everyone`` and ``<!…>`` lose their effect in every form.
- **Nothing hides**: characters that turn or hide text become visible marks (`rbnb.text`).
- **Slack's limits hold**: a section is at most 3000 characters, a header 150, a message 50 blocks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rbnb.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["escape", "plain_text", "slack_blocks", "title_of"]

_MARKS = re.compile(r"([\\`*_{}\[\]<>&#|~!$])")
_LEADS = re.compile(r"[-+](?:\s|$)|--|==|::")
_NUMBERED = re.compile(r"(\d{1,9})([.)])(?=\s|$)")
_CALLS = re.compile(r"@(?=\s*(?:here|channel|everyone|all|group|team|room)\b)", re.IGNORECASE)
_TOKEN = re.compile(r"\\([!-/:-@\[-`{-~])|(\*\*)|([^\\*]+|.)", re.DOTALL)

SECTION, HEADER, CONTEXT, BLOCKS, FALLBACK = 3000, 150, 1500, 50, 1000


def escape(value: object, limit: int = 600) -> str:
    r"""Return anything from data as one line of text in which nothing is markup.

    Examples
    --------
    >>> escape("*a* <!here> [x](y)"), escape("- item"), escape("@channel")
    ('\\*a\\* \\<\\!here\\> \\[x\\](y)', '\\- item', '(at)channel')
    """
    text = _CALLS.sub("(at)", one_line(value, limit))
    marked = _MARKS.sub(r"\\\1", text)
    if found := _NUMBERED.match(marked):
        return f"{found[1]}\\{marked[found.end(1) :]}"
    return f"\\{marked}" if _LEADS.match(marked) else marked


def _pieces(line: str) -> Iterator[tuple[str, str]]:
    """Yield ("text", …) and ("bold", "**") in order."""
    for found in _TOKEN.finditer(line):
        if found[2]:
            yield "bold", found[2]
        else:
            yield "text", found[1] or found[3]


def _bare(line: str) -> str:
    return "".join(text for kind, text in _pieces(line) if kind == "text")


def _slack(line: str) -> str:
    return "".join("*" if kind == "bold" else _slack_text(text) for kind, text in _pieces(line))


def _slack_text(text: str) -> str:
    return _CALLS.sub("(at)", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def title_of(text: str) -> str:
    """Return the first line of an update without its mark."""
    return _bare(text.split("\n", 1)[0].removeprefix("# "))


def plain_text(text: str) -> str:
    r"""Return an update as plain text, for a terminal or a service that knows no markup.

    Examples
    --------
    >>> plain_text("# Title\n\n**Since:** a\\*b")
    'Title\n\nSince: a*b'
    """
    return "\n".join(_bare(line.removeprefix("## ").removeprefix("# ")) for line in text.split("\n"))


def slack_blocks(text: str, context: Iterable[str]) -> dict[str, Any]:
    """Return an update as a Slack message: header, sections, context, and a fallback.

    Parameters
    ----------
    text
        As `rbnb.communication.filling` made it.
    context
        What stands small below it, plain text.
    """
    lines = text.split("\n")
    sections = _sections(_mrkdwn(line) for line in lines[1:])
    header = {
        "type": "header",
        "text": {"type": "plain_text", "text": one_line(title_of(text), HEADER), "emoji": False},
    }
    shown = sections if len(sections) <= BLOCKS - 2 else [*sections[: BLOCKS - 3], _cut(len(sections) - BLOCKS + 3)]
    body = [{"type": "section", "text": {"type": "mrkdwn", "text": one, "verbatim": True}} for one in shown]
    foot = " · ".join(_slack_text(one_line(piece, 300)) for piece in context)[:CONTEXT]
    below = {"type": "context", "elements": [{"type": "mrkdwn", "text": foot, "verbatim": True}]}
    return {"text": _slack_text(one_line(title_of(text), FALLBACK)), "blocks": [header, *body, below]}


def _cut(left: int) -> str:
    return f"… {left} more sections stand in the incident's record."


def _mrkdwn(line: str) -> str:
    if line.startswith("## "):
        return f"*{_slack(line[3:])}*"
    if line.startswith("- "):
        return f"• {_slack(line[2:])}"
    return _slack(line)


def _sections(lines: Iterable[str]) -> list[str]:
    """Return paragraphs, each with the heading above it, none longer than a section may be."""
    found: list[str] = []
    current = ""
    for line in lines:
        starts = line.startswith("*") and line.endswith("*")
        if current and (starts or len(current) + 1 + len(line) > SECTION):
            found.append(current.strip("\n"))
            current = ""
        for piece in _folded(line):
            if len(current) + 1 + len(piece) > SECTION:
                found.append(current.strip("\n"))
                current = ""
            current = f"{current}\n{piece}" if current else piece
    return [section for section in [*found, current.strip("\n")] if section.strip()]


def _folded(line: str) -> list[str]:
    """Cut a line that is too long for one section, never inside an escaped sign."""
    pieces = [""]
    for part in re.findall(r"&(?:amp|lt|gt);|.", line):
        if len(pieces[-1]) + len(part) > SECTION - 2:
            pieces.append("")
        pieces[-1] += part
    return pieces
