"""Secrets of connections: where they go, and that they are never shown."""

import pytest

from components.base import Connection
from components.http_auth import Credentials, credentials
from domain.errors import StepFailed


def test_bearer_is_an_authorization_header() -> None:
    assert credentials(Connection("shop", "http/bearer", {"token": "abc"})) == Credentials(
        headers=(("Authorization", "Bearer abc"),)
    )


def test_oauth_token_is_sent_as_bearer() -> None:
    made = credentials(Connection("crm", "http/oauth2", {"access_token": "abc", "token_type": "Bearer"}))
    assert made == Credentials(headers=(("Authorization", "Bearer abc"),))


def test_basic_encodes_utf8() -> None:
    made = credentials(Connection("shop", "http/basic", {"username": "Aladdin", "password": "öpen"}))
    assert made.headers == (("Authorization", "Basic QWxhZGRpbjrDtnBlbg=="),)


def test_api_key_is_a_header_by_default() -> None:
    made = credentials(Connection("shop", "http/api_key", {"name": "X-Key", "value": "abc"}))
    assert made == Credentials(headers=(("X-Key", "abc"),))


def test_api_key_goes_into_the_query() -> None:
    made = credentials(Connection("shop", "http/api_key", {"name": "key", "value": "ä c", "in": "query"}))
    assert made == Credentials(query=(("key", "ä c"),))


def test_hosts_are_lower_case() -> None:
    assert credentials(Connection("shop", "http/bearer", {"token": "a"}, hosts=("A.example",))).hosts == frozenset(
        {"a.example"}
    )
    assert credentials(Connection("shop", "http/bearer", {"token": "a"}, hosts=())).hosts == frozenset()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("http/bearer", {}),
        ("http/basic", {"username": "s3cret"}),
        ("http/api_key", {"name": "X-Key"}),
        ("http/api_key", {"name": "X Key", "value": "s3cret"}),
        ("http/api_key", {"name": "Host", "value": "s3cret"}),
        ("http/bearer", {"token": "s3cret\r\nX: y"}),
        ("http/bearer", {"token": "s3cretö"}),
        ("ftp/login", {"token": "s3cret"}),
    ],
)
def test_unusable_connection_is_named_without_its_secret(kind: str, values: dict[str, str]) -> None:
    with pytest.raises(StepFailed, match="the connection shop") as failed:
        credentials(Connection("shop", kind, values))
    assert (failed.value.code, failed.value.permanent) == ("invalid_connection", True)
    assert "s3cret" not in failed.value.message
