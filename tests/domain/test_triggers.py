"""How a request becomes the `trigger` root."""

import base64
import json
from typing import Any

import pytest

from domain.triggers import trigger_root
from domain.values import evaluate


def root_of(body: bytes, content_type: str | None = "application/json") -> dict[str, Any]:
    return trigger_root("POST", "/orders", [], [], content_type, body)


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b'{"id": 7}', {"id": 7}),
        ("Application/JSON; charset=utf-8", b"[1]", [1]),
        ("application/vnd.shop+json", b'"x"', "x"),
        ("application/json", b"null", None),
        ("application/json", b'{"id": 7, "id": 8}', '{"id": 7, "id": 8}'),
        ("application/json", b"{", "{"),
        ("text/plain", b'{"id": 7}', '{"id": 7}'),
        (None, "grüße".encode(), "grüße"),
        ("application/x-www-form-urlencoded", b"a=1&b=x+y&a=2&c=", {"a": ["1", "2"], "b": "x y", "c": ""}),
        ("application/x-www-form-urlencoded", b"a=%C3%A9", {"a": "é"}),
        ("application/x-www-form-urlencoded", b"a=%FF", "a=%FF"),
        ("application/json", b"", None),
        ("application/x-www-form-urlencoded", b"", None),
    ],
)
def test_trigger_body_by_media_type(content_type: str | None, body: bytes, expected: Any) -> None:
    trigger = root_of(body, content_type)
    assert trigger["body"] == expected
    assert trigger["raw"] is None
    assert trigger["content_type"] == content_type


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "image/png", None])
def test_trigger_body_of_bytes_is_raw(content_type: str | None) -> None:
    trigger = root_of(b"\x89PNG\xff\x00", content_type)
    assert trigger["body"] is None
    assert base64.b64decode(trigger["raw"]) == b"\x89PNG\xff\x00"


def test_trigger_query_and_headers_keep_repetitions() -> None:
    trigger = trigger_root(
        "PUT",
        "/a/b",
        [("tag", "x"), ("page", "2"), ("tag", "y")],
        [("X-Event-Id", "e1"), ("Accept", "a"), ("accept", "b")],
        None,
        b"",
    )
    assert (trigger["method"], trigger["path"]) == ("PUT", "/a/b")
    assert trigger["query"] == {"tag": ["x", "y"], "page": "2"}
    assert dict(trigger["headers"]) == {"x-event-id": "e1", "accept": "a, b"}


def test_trigger_headers_stay_caseless_after_json() -> None:
    trigger = trigger_root("POST", "/", [], [("X-Event-ID", "e1")], None, b"")
    for root in (trigger, json.loads(json.dumps(trigger))):
        assert evaluate("{{ trigger.headers.X-Event-Id }}", {"trigger": root}) == "e1"
        assert evaluate('{{ trigger.headers["x-event-id"] }}', {"trigger": root}) == "e1"
