"""One message through one channel: tried a few times within a bound, and what came of it said without the address.

Rules:

- **The address is a secret.** It stands in the environment; it is in no record, log, error or exception that leaves
  here: failures are told in our own words, and the libraries that send are kept from logging meanwhile.
- **A failure is a result, not an exception**: who tells others must not be stopped by who does not listen.
- **Bounded**: a few tries with growing pauses, each within a deadline of its own, all within one. ``Retry-After`` is
  kept where there is time for it. What cannot get better (a 4xx, a redirect) is not tried again.
- **Recognisable**: each try of an update carries the same ``Idempotency-Key``; a receiver may see it twice.
- Redirects are not followed: a message goes where the workspace says, or nowhere.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rbnb.communication.markup import plain_text, slack_blocks, title_of
from rbnb.config import env_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rbnb.config import Channel

__all__ = ["Delivery", "Message", "Patience", "send"]

_SECOND_CHANCE = (408, 425, 429, 500, 502, 503, 504)
_LOGGERS = ("httpx", "httpcore", "apprise", "requests", "urllib3")
_GRACE = 0.5  # seconds in which a library's own deadline may still speak
_TOO_LATE = "no answer in time"
_NOTIFY = 'install it with: pip install "rbnb[notify]"'


@dataclass(frozen=True, slots=True)
class Patience:
    """How long it is tried.

    Parameters
    ----------
    tries
        How often at most.
    each
        Seconds for one try.
    pause
        Seconds before the second try; doubled for each further one, with a random part.
    total
        Seconds for all of it.
    sleep
        What waits.
    """

    tries: int = 4
    each: float = 8.0
    pause: float = 0.5
    total: float = 30.0
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Message:
    """An update on its way.

    Parameters
    ----------
    text
        As `rbnb.communication.filling` made it.
    key
        The same for every try.
    about
        Incident, audience, number, colour, severity and status, for a program that reads it.
    """

    text: str
    key: str
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of sending.

    Parameters
    ----------
    status
        The answer's code, or None where there was none.
    why
        Why it did not arrive, without the address; "" where it did.
    for_good
        Whether trying again as it is would change nothing.
    """

    sent: bool
    through: str
    tries: int = 0
    status: int | None = None
    why: str = ""
    for_good: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    """One try: the code, or why there is none; how long to wait at least; whether a further try could do better."""

    status: int | None = None
    why: str = ""
    wait: float = 0.0
    hopeless: bool = False

    @property
    def for_good(self) -> bool:
        return self.hopeless or (self.status is not None and self.status not in _SECOND_CHANCE)


def send(message: Message, channel: Channel | None, patience: Patience | None = None) -> Delivery:
    """Send a message through a channel.

    Parameters
    ----------
    channel
        From rbnb.toml; None where an audience has none.

    Returns
    -------
    Delivery
        Whether it arrived, and if not, why. This never raises for what a receiver or a network does.
    """
    if channel is None:
        why = 'no channel: name one in rbnb.toml under [communication.AUDIENCE], webhook = "${NAME}"'
        return Delivery(sent=False, through="none", why=why)
    name = env_names(channel.webhook)[0]
    address = os.environ.get(name, "").strip()
    if not address:
        return Delivery(sent=False, through=channel.format, why=f"the environment variable {name} is not set")
    if channel.format != "apprise" and not _is_web(address):
        return Delivery(sent=False, through=channel.format, why=f"{name} holds no http or https address")
    one_try = _through_apprise if channel.format == "apprise" else _through_web
    with _unlogged():
        return _tried(lambda seconds: one_try(address, message, channel.format, seconds), channel.format, patience)


def _tried(one_try: Callable[[float], _Answer], through: str, patience: Patience | None) -> Delivery:
    patience = patience or Patience()
    end, answer, tries = time.monotonic() + patience.total, _Answer(), 0
    while (left := end - time.monotonic()) > 0:
        tries += 1
        answer = one_try(min(patience.each, left))
        if answer.status is not None and 200 <= answer.status < 300:
            return Delivery(sent=True, through=through, tries=tries, status=answer.status)
        if answer.for_good:
            break
        growing = patience.pause * 2 ** (tries - 1) * (1 + random.random() / 4)
        pause = max(answer.wait, growing)
        if tries == patience.tries or time.monotonic() + pause >= end:
            break
        patience.sleep(pause)
    why, for_good = _said(answer), answer.for_good
    return Delivery(sent=False, through=through, tries=tries, status=answer.status, why=why, for_good=for_good)


def _said(answer: _Answer) -> str:
    if answer.status is None:
        return answer.why or "no time was left to try"
    wait = f", and asks to wait {answer.wait:.0f} s" if answer.wait else ""
    redirect = " (a redirect, which is not followed)" if 300 <= answer.status < 400 else ""
    return f"the receiver answered {answer.status}{redirect}{wait}"


def _is_web(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _payload(message: Message, form: str) -> dict[str, Any]:
    about = message.about
    if form == "slack":
        who = f"{about.get('incident', '')}, update {about.get('number', '')} for {about.get('audience', '')}"
        return slack_blocks(message.text, [who, f"key {message.key[:12]}"])
    title, plain = title_of(message.text), plain_text(message.text)
    return {"version": 1, **about, "title": title, "text": plain, "markdown": message.text, "key": message.key}


def _through_web(address: str, message: Message, form: str, seconds: float) -> _Answer:
    import httpx

    secure = urlsplit(address).scheme == "https"  # the certificates take long to load, and plain http has none to check
    with httpx.Client(timeout=seconds, follow_redirects=False, verify=secure) as client:

        def post() -> _Answer:
            headers = {"Idempotency-Key": message.key, "User-Agent": "rbnb"}
            with client.stream("POST", address, json=_payload(message, form), headers=headers) as response:
                return _Answer(response.status_code, "", _wait(response.headers.get("retry-after", "")))

        return _within(seconds, post)


def _within(seconds: float, work: Callable[[], _Answer]) -> _Answer:
    """Do one try in a thread, which is left behind if the receiver only drips."""
    answers: list[_Answer] = []

    def run() -> None:
        try:
            answers.append(work())
        except Exception as error:  # noqa: BLE001 - whatever a service's library raises may hold the address
            answers.append(_Answer(None, _in_words(error)))

    thread = threading.Thread(target=run, daemon=True, name="rbnb-update")
    thread.start()
    thread.join(seconds + _GRACE)
    return answers[0] if answers else _Answer(None, _TOO_LATE)


def _in_words(error: Exception) -> str:
    """Say what kind of failure it was; the exception's own text may hold the address and is never used."""
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return _TOO_LATE
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    if isinstance(error, (httpx.NetworkError, httpx.RemoteProtocolError)):
        return "the connection broke off"
    return f"it could not be sent ({type(error).__name__})"


def _wait(header: str) -> float:
    return float(header) if header.isdecimal() and len(header) <= 6 else 0.0


def _through_apprise(address: str, message: Message, _form: str, seconds: float) -> _Answer:
    try:
        import apprise
    except ImportError:
        return _Answer(None, f"apprise is not installed; {_NOTIFY}", hopeless=True)
    sender = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False))
    try:
        known = sender.add(address)
    except Exception as error:  # noqa: BLE001 - as in `_within`
        return _Answer(None, _in_words(error))
    if not known:
        return _Answer(None, "apprise knows no service of that kind", hopeless=True)

    def notify() -> _Answer:
        body = f"{plain_text(message.text).partition(chr(10))[2].strip()}\n\nkey {message.key[:12]}"
        taken = sender.notify(title=title_of(message.text), body=body, body_format=apprise.NotifyFormat.TEXT)
        return _Answer(200) if taken else _Answer(None, "the service did not take it")

    return _within(seconds, notify)


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the libraries that send from logging addresses; nothing of ours is logged there."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
