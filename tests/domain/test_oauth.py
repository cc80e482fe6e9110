from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.oauth import Token, TokenUnusable, identity, may_return_to, read_token, refresh_at, shown_error
from tests.factories import NOW

VALUES = {"token_url": "https://a.example/token", "client_id": "c", "scopes": "read", "grant": "authorization_code"}


def test_token_of_an_answer() -> None:
    answer = {"access_token": "a", "refresh_token": "r", "token_type": "bearer", "expires_in": 3600, "scope": "read"}
    assert read_token(answer) == Token("a", "r", scope="read", expires_in=timedelta(hours=1))


def test_earlier_refresh_token_is_kept_when_none_is_returned() -> None:
    earlier = Token("old", "kept")
    assert read_token({"access_token": "a"}, earlier).refresh_token == "kept"
    assert read_token({"access_token": "a", "refresh_token": ""}, earlier).refresh_token == "kept"
    assert read_token({"access_token": "a", "refresh_token": "new"}, earlier).refresh_token == "new"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (3600, 3600.0),
        ("3600", 3600.0),
        (0.5, 0.5),
        (10**30, 365 * 86400.0),
        (None, None),
        (0, None),
        (-5, None),
        (True, None),
        ("soon", None),
        ("9" * 40, None),
        ([], None),
    ],
)
def test_life_of_a_token(said: Any, seconds: float | None) -> None:
    found = read_token({"access_token": "a", "expires_in": said}).expires_in
    assert (found.total_seconds() if found else None) == seconds


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"access_token": ""},
        {"access_token": 5},
        {"access_token": "a\r\nX-Evil: 1"},
        {"access_token": "tökèn"},
        {"access_token": "a" * 16385},
        {"access_token": "a", "refresh_token": {"b": 1}},
        {"access_token": "a", "token_type": "MAC"},
    ],
)
def test_answer_without_a_token_that_can_be_sent(answer: dict[str, Any]) -> None:
    with pytest.raises(TokenUnusable):
        read_token(answer)


ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())
NAMES = st.sampled_from(["access_token", "refresh_token", "token_type", "expires_in"])


@given(st.dictionaries(NAMES, ANY))
def test_whatever_an_answer_holds_is_a_token_or_unusable(answer: dict[str, Any]) -> None:
    with suppress(TokenUnusable):
        assert read_token(answer).access_token == answer["access_token"]


@pytest.mark.parametrize(
    ("life", "lead"), [(3600, 360), (600, 60), (60, 30), (10, 5), (86400, 600)], ids=lambda each: f"{each}s"
)
def test_token_is_renewed_ahead_of_its_end(life: int, lead: int) -> None:
    expires_in = timedelta(seconds=life)
    assert NOW + expires_in - refresh_at(NOW, expires_in) == timedelta(seconds=lead)


def test_only_known_errors_are_shown() -> None:
    assert shown_error("access_denied") == "access_denied"
    for odd in ("<script>", "call +49 123", None, 5, ["access_denied"]):
        assert shown_error(odd) == "an error of its own"


def test_identity_follows_whose_tokens_they_are() -> None:
    assert identity(VALUES) == identity(VALUES | {"client_secret": "another", "pkce": "none", "revocation_url": "x"})
    for changed in ({"client_id": "d"}, {"token_url": "https://b.example/"}, {"scopes": "write"}, {"audience": "x"}):
        assert identity(VALUES) != identity(VALUES | changed)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://app.example.com/done?x=1", True),
        ("https://app.example.com", True),
        ("https://app.example.com:443/", True),
        ("HTTPS://APP.example.com/", True),
        ("http://app.example.com/", False),
        ("https://app.example.com:8443/", False),
        ("https://app.example.com.evil.example/", False),
        ("https://evil.example/https://app.example.com/", False),
        ("https://app.example.com@evil.example/", False),
        ("https://evil.example\\@app.example.com/", False),
        ("https://app.example.com\r\nX: y", False),
        ("//app.example.com/", False),
        ("/done", False),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("", False),
    ],
)
def test_browser_returns_to_allowed_origins_only(url: str, allowed: bool) -> None:
    assert may_return_to(url, ["https://app.example.com", "http://127.0.0.1:8700"]) is allowed
