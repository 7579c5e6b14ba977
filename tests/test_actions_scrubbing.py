"""What was printed, without its secrets: in every form in which they travel, and at every cut."""

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest

from rbnb.actions.scrubbing import Scrubber, looks_secret
from rbnb.errors import UsageError

SECRET = 'pa$$ w/"ord+é=&1'  # noqa: S105 - nobody's
HORSE = "correct-horse-battery"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote(SECRET, safe="").lower(),
        html.escape(SECRET),
        SECRET.encode().hex(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_every_form(form):
    """A secret is taken out in each form in which programs print it."""
    told = Scrubber({"KEY": SECRET}).clean(f"sent {form} and more")
    assert "[secret KEY]" in told
    assert form.strip('"') not in told


@pytest.mark.parametrize("user", ["", "a", "ab", "abc", "user"])
def test_inside_base64(user):
    """A secret after a user's name in base64 is taken out, wherever it begins."""
    sent = base64.b64encode(f"{user}:{HORSE}:tail".encode()).decode()
    told = Scrubber({"KEY": HORSE}).clean(f"header {sent}")
    assert "[secret KEY]" in told
    longest = max(len(part) for part in told.replace("[secret KEY]", " ").split())
    assert longest < len(sent) - 20


@pytest.mark.parametrize(
    "token",
    [
        "Authorization: Bearer abcdefghijklmnop",
        "ghp_" + "a1" * 18,
        "AKIA" + "ABCD1234" * 2,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
        "https://user:opensesame@example.com/",
        "password=opensesame",
        '{"api_key": "opensesame"}',
        "xoxb-1234567890-abcdefghij",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0\n-----END PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_token(token):
    """A token that a program read by itself is taken out as well."""
    told = Scrubber({}).clean(f"before {token} after")
    assert told.startswith("before ")
    assert told.endswith(" after")
    for part in (
        "abcdefghijklmnop",
        "opensesame",
        "a1a1a1a1",
        "ABCD1234ABCD1234",
        "eyJzdWIi",
        "kqhkiG9w0",
        "1234567890",
    ):
        assert part not in told


def test_ordinary_text_stays():
    """What is no secret stays as it is, so that what was kept still tells something."""
    text = "deployment.apps/fraud-v3 rolled back\nREVISION 12 -> 11, tokens/s: 40, http://127.0.0.1:8080/state"
    assert Scrubber({"KEY": "correct-horse"}).clean(text) == text


@pytest.mark.parametrize("size", range(3, 13))
def test_a_cut_hides_nothing(size):
    """The beginning of a secret that a cut has left, and its end, are taken out."""
    scrubber = Scrubber({"KEY": HORSE})
    assert scrubber.clean(f"text {HORSE[:size]}", cut="end") == "text [part of a secret]"
    assert scrubber.clean(f"{HORSE[-size:]} text", cut="start") == "[part of a secret] text"


def test_too_short():
    """A secret that could not be told from ordinary text is refused, without being shown."""
    with pytest.raises(UsageError, match="KEY has fewer than 6") as caught:
        Scrubber({"KEY": "abc"})
    assert "abc" not in str(caught.value)


def test_names():
    """The secrets that a program inherits are known by the names of their variables."""
    assert [
        name for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "MLFLOW_TRACKING_TOKEN") if looks_secret(name)
    ]
    assert not [name for name in ("PATH", "KUBECONFIG", "AWS_WEB_IDENTITY_TOKEN_FILE", "HOME") if looks_secret(name)]
