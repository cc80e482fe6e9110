import pytest

from domain.connections import KINDS, check_connection, complete, public_fields, secret_texts


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("http/bearer", {"token": "abc.def-ghi"}),
        ("http/basic", {"username": "ann", "password": "pässword: 1"}),
        ("http/basic", {"username": "ann", "password": ""}),
        ("http/api_key", {"name": "X-Key", "value": "k"}),
        ("http/api_key", {"name": "api key", "value": "k", "in": "query"}),
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
        ("http/bearer", {"connection_id": "conn_1"}, "/connection_id", "not_supported_yet"),
        ("http/basic", {"username": "a:b", "password": "c"}, "/username", "invalid_value"),
        ("http/basic", {"username": "a", "password": "\ud800"}, "/password", "invalid_value"),
        ("http/api_key", {"name": "X Key", "value": "k"}, "/name", "invalid_value"),
        ("http/api_key", {"name": "k", "value": "k", "in": "cookie"}, "/in", "invalid_value"),
        ("http/oauth2", {"client_id": "x"}, "", "not_supported_yet"),
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


def test_secret_texts_hold_what_is_sent() -> None:
    assert secret_texts("http/bearer", {"token": "abc"}) == ["abc"]
    assert secret_texts("http/api_key", {"name": "X", "value": "v"}) == ["v"]
    assert secret_texts("http/basic", {"username": "Aladdin", "password": "open sesame"}) == [
        "open sesame",
        "QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    ]


def test_every_kind_has_a_secret() -> None:
    assert all(any(each.secret for each in kind.inputs) for kind in KINDS.values())
