"""Sending a request: to the very place that was approved, for so long and no longer.

Rules: **no redirect is followed**, since it leads elsewhere than what was approved; no proxy and no credentials are
taken from the environment or a netrc file; the deadline is for the whole exchange, however slowly the answer drips;
a body is read to a limit. A secret enters only here, for the moment of sending.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from rbnb.actions.processes import Answer, Catch, Limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from rbnb.catalog import RenderedRequest

__all__ = ["send"]

#: Bytes of an answer after which nobody reads on; the size said is what was read until then.
_MOST = 64 * 2**20


def send(request: RenderedRequest, secrets: Mapping[str, str], *, timeout: float, limit: Limit) -> Answer:
    """Send a request and return what was answered.

    Parameters
    ----------
    request
        With its values, and its secrets as references.
    secrets
        Names of environment variables by the secret's name.
    timeout
        Seconds for everything.
    limit
        How much is kept of the body.

    Returns
    -------
    Answer
        Also where nothing was answered: outcome ``failed`` where the request cannot have been received, and
        ``timed_out`` where it may have been.

    Raises
    ------
    UsageError
        If a secret is not set; nothing was sent.
    """
    headers, body = request.opened(secrets, os.environ)
    try:
        trusted = _trusted(request.url)
    except OSError as error:
        why = f"the certificates in SSL_CERT_FILE cannot be read: {error.strerror or error}"
        return Answer("http", "failed", None, 0.0, Catch(limit), why=why)
    # In a thread of its own, because a notebook's thread has an event loop already.
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=1) as thread:
        try:
            return thread.submit(
                lambda: asyncio.run(_exchange(request, headers, body, trusted, timeout, limit))
            ).result()
        except KeyboardInterrupt:
            seconds = time.monotonic() - began
            return Answer("http", "interrupted", None, seconds, Catch(limit), why="Ctrl-C after it was sent")


async def _exchange(
    request: RenderedRequest,
    headers: Mapping[str, str],
    body: bytes | None,
    trusted: ssl.SSLContext | None,
    seconds: float,
    limit: Limit,
) -> Answer:
    import httpx

    began, out = time.monotonic(), Catch(limit)
    code: int | None = None
    try:
        async with asyncio.timeout(seconds), _client(trusted, seconds) as client:
            wanted = client.build_request(request.method, request.url, headers=dict(headers), content=body)
            answer = await client.send(wanted, stream=True, follow_redirects=False)
            code = answer.status_code
            async for chunk in answer.aiter_bytes():
                out.add(chunk)
                if out.total > _MOST:
                    break
            await answer.aclose()
    except (TimeoutError, httpx.TimeoutException):
        why = f"there was no whole answer within {seconds:g} s"
        return Answer("http", "timed_out", None, time.monotonic() - began, out, why=why)
    except (httpx.ConnectError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        why = f"it cannot be reached: {error}"
        return Answer("http", "failed", None, time.monotonic() - began, out, why=why)
    except httpx.HTTPError as error:
        why = f"the connection broke after the request was sent: {error or type(error).__name__}"
        return Answer("http", "timed_out", None, time.monotonic() - began, out, why=why)
    why = f"it redirects to {answer.headers.get('location', 'nowhere')}" if answer.has_redirect_location else ""
    return Answer("http", "done", code, time.monotonic() - began, out, why=why)


def _trusted(url: str) -> ssl.SSLContext | None:
    """Return whose certificates are believed: the system's, or those of SSL_CERT_FILE."""
    return ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE")) if url.startswith("https:") else None


def _client(trusted: ssl.SSLContext | None, seconds: float) -> httpx.AsyncClient:
    import httpx

    return httpx.AsyncClient(trust_env=False, timeout=seconds, verify=trusted or True, headers={"User-Agent": "rbnb"})
