"""What a program or a service printed, without the secrets in it.

Rules:

- **Every secret that an action was given is taken out**, as it is and in the forms in which it travels: escaped for
  JSON or HTML, percent-encoded, in hexadecimal, and in base64 at every offset, so also inside ``user:password``.
- **What looks like a token is taken out as well**, whoever it belongs to: a program may print one that it read itself.
- **A cut hides nothing**: where output was cut, the end of what was kept is searched for the beginning of a secret.
- A secret too short to be told from ordinary text cannot be taken out, so it is refused before anything runs.
"""

from __future__ import annotations

import base64
import html
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote, urlsplit

from rbnb.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["SHORTEST", "Scrubber", "looks_secret", "password_in"]

#: How many characters a secret must have, at the least.
SHORTEST = 6
#: How much of a secret must stand at a cut to be taken for its beginning or its end.
_LEAST = 3

_NAMES = re.compile(r"(?i)(?:token|secret|passw|credential|api_?key|access_?key|private_?key|auth)")
#: Names of variables that only say where a secret lies.
_PLACES = re.compile(r"(?i)_(?:file|path|dir|url|arn)$")

_WORDS = "password|passwd|secret|token|api[_-]?key|access[_-]?key"
#: What a token looks like; the group, where there is one, is what is taken out.
_TOKENS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
        r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
        r"\bgh[pousr]_[A-Za-z0-9]{20,}\b",
        r"\bgithub_pat_[A-Za-z0-9_]{20,}\b",
        r"\bglpat-[A-Za-z0-9_-]{16,}\b",
        r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
        r"\b(?:sk|rk|pk)[-_](?:live|test|proj|ant)?[-_]?[A-Za-z0-9_-]{20,}\b",
        r"\b(?:sdk|api|mob)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
        r"\bAIza[0-9A-Za-z_-]{35}\b",
        r"(?i)\b(?:bearer|basic)\s+([A-Za-z0-9._~+/=-]{8,})",
        rf"(?i)\"?\b[a-z0-9_.-]*(?:{_WORDS})\"?\s*[:=]\s*\"?([^\s\"',;&]{{6,}})",
        r"\b[a-z][a-z0-9+.-]*://[^\s/:@]*:([^\s/@]+)@",
    )
)
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)


def looks_secret(variable: str) -> bool:
    """Whether the name of an environment variable says that a secret stands in it.

    Examples
    --------
    >>> looks_secret("AWS_SECRET_ACCESS_KEY"), looks_secret("AWS_WEB_IDENTITY_TOKEN_FILE"), looks_secret("KUBECONFIG")
    (True, False, False)
    """
    return bool(_NAMES.search(variable)) and not _PLACES.search(variable)


class Scrubber:
    """Takes secrets out of text.

    Parameters
    ----------
    secrets
        The values by the name of the variable they stand in.

    Raises
    ------
    UsageError
        If a secret is too short to be taken out of text; its name is said, never its value.

    Examples
    --------
    >>> Scrubber({"FLAG_KEY": "s3cr3t/value"}).clean("sent s3cr3t%2Fvalue")
    'sent [secret FLAG_KEY]'
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        for name, value in secrets.items():
            if 0 < len(value) < SHORTEST:
                raise UsageError(
                    f"the secret in {name} has fewer than {SHORTEST} characters",
                    hint="it could not be kept out of what is recorded; use a longer one",
                )
        forms = {form: name for name, value in secrets.items() if value for form in _forms(value)}
        self._names = dict(sorted(forms.items(), key=lambda form: -len(form[0])))
        self._known = re.compile("|".join(map(re.escape, self._names))) if self._names else None

    def clean(self, text: str, *, cut: str = "") -> str:
        """Return a text without secrets.

        Parameters
        ----------
        cut
            ``end`` where the text was cut at its end, ``start`` where it was cut at its beginning.
        """
        if self._known is not None:
            text = self._known.sub(lambda found: f"[secret {self._names[found[0]]}]", text)
        text = _KEY_BLOCK.sub("[a private key]", text)
        for pattern in _TOKENS:
            text = pattern.sub(_masked, text)
        return self._without_rest(text, cut)

    def _without_rest(self, text: str, cut: str) -> str:
        """Take away the longest part of a secret that a cut left at the end, or at the beginning."""
        longest = 0
        for form in self._names:
            for size in range(min(len(form) - 1, len(text)), max(longest, _LEAST - 1), -1):
                if (cut == "end" and text.endswith(form[:size])) or (cut == "start" and text.startswith(form[-size:])):
                    longest = size
                    break
        if not longest:
            return text
        return f"{text[:-longest]}[part of a secret]" if cut == "end" else f"[part of a secret]{text[longest:]}"


def _masked(found: re.Match[str]) -> str:
    if not found.re.groups:
        return "[a token]"
    if found[1].startswith("[secret"):
        return found[0]
    start, end = found.start(1) - found.start(), found.end(1) - found.start()
    return f"{found[0][:start]}[a token]{found[0][end:]}"


def _forms(value: str) -> Iterable[str]:
    raw = value.encode()
    quoted = {quote(value, safe=""), quote(value), quote_plus(value)}
    quoted |= {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), text) for text in quoted}
    escaped = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], html.escape(value)}
    escaped.add(json.dumps(value)[1:-1].replace("/", "\\/"))
    lines = {line for line in value.splitlines() if len(line) >= SHORTEST}
    return {value, value.strip(), *quoted, *escaped, raw.hex(), raw.hex().upper(), *lines, *_base64(raw)}


def _base64(raw: bytes) -> set[str]:
    """Return what base64 makes of these bytes wherever they stand, without what depends on their neighbours."""
    found = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    for before in range(3):
        whole = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
        first = -(-before * 4 // 3)
        last = len(whole) - (1 if (len(raw) + before) % 3 else 0)
        inner = whole[first:last]
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {text for text in found if len(text) >= SHORTEST}


def password_in(url: str) -> str:
    """Return the password that stands in a URL, such as a proxy's; "" if there is none."""
    try:
        return unquote(urlsplit(url).password or "")
    except ValueError:
        return ""
