"""Bodies of answers as data."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.http_body import read_body
from domain.jsontext import dumps


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b'{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        ("application/problem+json; charset=utf-8", b'{"title": "x"}', {"title": "x"}),
        ("Application/JSON", b"7", 7),
        ("application/json", b"\xef\xbb\xbf[1]", [1]),
        ("application/json", b"{broken", "{broken"),
        ("application/json", b'{"a":1,"a":2}', '{"a":1,"a":2}'),
        ("application/json, text/html", b"1", 1),
        ("text/plain", b'{"a": 1}', '{"a": 1}'),
        ("", "grüß".encode(), "grüß"),
        ("text/plain; charset=ISO-8859-1", b"gr\xfc\xdf", "grüß"),
        ('text/plain; charset="windows-1252"', b"\x80", "€"),
        ("text/plain; charset=unicode_escape", b"\\u0041", "\\u0041"),
        ("text/plain; charset=base64", b"QQ==", "QQ=="),
        ("image/png", b"\x89PNG", {"base64": "iVBORw=="}),
        ("text/plain; charset=shift_jis", b"\xff\xff", {"base64": "//8="}),
        ("application/json", b"\xff", {"base64": "/w=="}),
        ("application/json", b"", None),
    ],
)
def test_body_is_read_by_its_media_type(content_type: str, body: bytes, expected: Any) -> None:
    assert read_body({"content-type": content_type}, body) == expected


def test_body_without_content_type_is_text() -> None:
    assert read_body({}, b"1") == "1"


@given(st.binary(), st.text())
def test_body_is_always_json_data(body: bytes, content_type: str) -> None:
    dumps(read_body({"content-type": content_type}, body))
