import pytest

from domain.connections import KINDS, check_connection, complete, merged, public_fields, secret_texts

OAUTH = {
    "authorize_url": "https://a.example/authorize?access_type=offline",
    "token_url": "https://a.example/token",
    "client_id": "c",
}
MACHINE = {
    "grant": "client_credentials",
    "token_url": "https://a.example/token",
    "client_id": "c",
    "client_secret": "s3cret",
}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("http/bearer", {"token": "abc.def-ghi"}),
        ("http/basic", {"username": "ann", "password": "pässword: 1"}),
        ("http/basic", {"username": "ann", "password": ""}),
        ("http/api_key", {"name": "X-Key", "value": "k"}),
        ("http/api_key", {"name": "api key", "value": "k", "in": "query"}),
        ("http/bearer", {"connection_id": "conn_1"}),
        ("http/oauth2", OAUTH),
        ("http/oauth2", OAUTH | {"client_secret": "s", "scopes": ["read", "write"], "pkce": True}),
        ("http/oauth2", OAUTH | {"scopes": "", "pkce": "none", "client_auth": "post", "audience": "https://a b"}),
        ("http/oauth2", MACHINE),
    ],
)
def test_connection_that_fits(kind: str, value: object) -> None:
    assert check_connection(kind, value, "#/values/shop") == []


@pytest.mark.parametrize(
    ("kind", "value", "pointer", "code"),
    [
        ("http/bearer", "abc", "", "wrong_type"),
        ("http/bearer", {}, "/token", "missing"),
        ("http/bearer", {"token": None}, "/token", "missing"),
        ("http/bearer", {"token": ""}, "/token", "invalid_value"),
        ("http/bearer", {"token": 5}, "/token", "wrong_type"),
        ("http/bearer", {"token": "a\r\nX-Evil: 1"}, "/token", "invalid_value"),
        ("http/bearer", {"token": " a"}, "/token", "invalid_value"),
        ("http/bearer", {"token": "é"}, "/token", "invalid_value"),
        ("http/bearer", {"token": "x" * 16385}, "/token", "invalid_value"),
        ("http/bearer", {"token": "a", "tokken/": "b"}, "/tokken~1", "unknown_key"),
        ("http/bearer", {"connection_id": ""}, "/connection_id", "wrong_type"),
        ("http/bearer", {"connection_id": 5}, "/connection_id", "wrong_type"),
        ("http/bearer", {"connection_id": "conn_1", "token": "a"}, "/token", "unknown_key"),
        ("http/basic", {"username": "a:b", "password": "c"}, "/username", "invalid_value"),
        ("http/basic", {"username": "a", "password": "\ud800"}, "/password", "invalid_value"),
        ("http/api_key", {"name": "X Key", "value": "k"}, "/name", "invalid_value"),
        ("http/api_key", {"name": "k", "value": "k", "in": "cookie"}, "/in", "invalid_value"),
        ("acme/token", {"token": "x"}, "", "not_supported_yet"),
        ("http/oauth2", {"authorize_url": "https://a.example/", "client_id": "c"}, "/token_url", "missing"),
        ("http/oauth2", OAUTH | {"token_url": "ftp://a.example/"}, "/token_url", "invalid_value"),
        ("http/oauth2", OAUTH | {"token_url": "https://user@a.example/"}, "/token_url", "invalid_value"),
        ("http/oauth2", OAUTH | {"token_url": "https://a.example\\@b.example/"}, "/token_url", "invalid_value"),
        ("http/oauth2", OAUTH | {"token_url": "https://a.example:99999/"}, "/token_url", "invalid_value"),
        ("http/oauth2", OAUTH | {"authorize_url": "https://a.example/#x"}, "/authorize_url", "invalid_value"),
        ("http/oauth2", OAUTH | {"authorize_url": "javascript:alert(1)"}, "/authorize_url", "invalid_value"),
        ("http/oauth2", OAUTH | {"authorize_url": None}, "/authorize_url", "missing"),
        ("http/oauth2", OAUTH | {"client_id": "a:b"}, "/client_id", "invalid_value"),
        ("http/oauth2", OAUTH | {"scopes": ["a", 1]}, "/scopes", "wrong_type"),
        ("http/oauth2", OAUTH | {"grant": "password"}, "/grant", "invalid_value"),
        ("http/oauth2", OAUTH | {"pkce": "plain"}, "/pkce", "invalid_value"),
        ("http/oauth2", MACHINE | {"client_secret": None}, "/client_secret", "missing"),
        ("http/oauth2", MACHINE | {"access_token": "t"}, "/access_token", "unknown_key"),
    ],
)
def test_connection_that_does_not_fit(kind: str, value: object, pointer: str, code: str) -> None:
    found = check_connection(kind, value, "#/values/shop")
    assert [(each.pointer, each.code) for each in found] == [(f"#/values/shop{pointer}", code)]


def test_connection_problems_come_together_and_quote_nothing() -> None:
    found = check_connection("http/basic", {"username": "s3cret:s3cret", "s3cret": 1}, "#")
    assert [each.code for each in found] == ["unknown_key", "invalid_value", "missing"]
    assert not any("s3cret" in each.detail for each in found)


def test_connection_input_nearest() -> None:
    found = check_connection("http/bearer", {"tokn": "a"}, "#")
    assert found[0].detail == "unknown input; did you mean token?"


def test_public_fields_are_those_that_are_not_secret() -> None:
    assert public_fields("http/bearer", {"token": "a"}) == {}
    assert public_fields("http/basic", {"username": "ann", "password": "b"}) == {"username": "ann"}
    assert public_fields("http/api_key", {"name": "X", "value": "b"}) == {"name": "X", "in": "header"}


def test_complete_fills_in_defaults() -> None:
    assert complete("http/api_key", {"name": "X", "value": "b", "in": None}) == {
        "name": "X",
        "value": "b",
        "in": "header",
    }


def test_complete_has_each_input_in_its_plain_form() -> None:
    whole = complete("http/oauth2", OAUTH | {"scopes": ["read", "write"], "pkce": False, "audience": None})
    assert whole == OAUTH | {"scopes": "read write", "pkce": "none", "grant": "authorization_code"}
    assert complete("http/oauth2", OAUTH | {"pkce": True})["pkce"] == "S256"


@pytest.mark.parametrize(
    ("default", "value", "expected"),
    [
        (None, {"token": "a"}, {"token": "a"}),
        ({"token": "a"}, None, {"token": "a"}),
        ({"token_url": "t", "client_id": "d"}, {"client_id": "c"}, {"token_url": "t", "client_id": "c"}),
        ({"token_url": "t"}, {"token_url": None}, {"token_url": "t"}),
        ({"token_url": "t"}, {"connection_id": "conn_1"}, {"connection_id": "conn_1"}),
        ({"token_url": "t"}, "text", "text"),
    ],
)
def test_value_is_completed_by_the_definitions_default(default: object, value: object, expected: object) -> None:
    assert merged(default, value) == expected


def test_value_fits_when_the_default_completes_it() -> None:
    default = {"authorize_url": OAUTH["authorize_url"], "token_url": OAUTH["token_url"]}
    assert check_connection("http/oauth2", {"client_id": "c"}, "#", default) == []
    assert [each.pointer for each in check_connection("http/oauth2", {}, "#", default)] == ["#/client_id"]


def test_public_fields_of_a_reference_are_the_reference() -> None:
    assert public_fields("http/bearer", {"connection_id": "conn_1"}) == {"connection_id": "conn_1"}
    assert "client_secret" not in public_fields("http/oauth2", MACHINE)


def test_secret_texts_hold_what_is_sent() -> None:
    tokens = {"access_token": "at", "refresh_token": "rt"}
    assert secret_texts("http/oauth2", MACHINE | tokens) == ["s3cret", "at", "rt"]
    assert secret_texts("http/bearer", {"token": "abc"}) == ["abc"]
    assert secret_texts("http/api_key", {"name": "X", "value": "v"}) == ["v"]
    assert secret_texts("http/basic", {"username": "Aladdin", "password": "open sesame"}) == [
        "open sesame",
        "QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    ]


def test_every_kind_has_a_secret() -> None:
    assert all(any(each.secret for each in kind.inputs) for kind in KINDS.values())
