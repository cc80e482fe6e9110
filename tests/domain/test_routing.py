from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.definitions.model import Definition
from domain.errors import NotFound
from domain.routing import LONGEST, customer_named, flow_named, named, no_customer, parse_route
from domain.triggers import trigger_root
from domain.values import PathSyntax


def definition(*flows: str, **endpoint: str) -> Definition:
    """A flow whose key begins with `on` runs on deploy; the others have webhooks."""
    return Definition.model_validate(
        {
            "schema": "flowgraft/v1",
            "key": "a",
            "name": "A",
            "endpoint": endpoint or None,
            "flows": [
                {"key": key, "trigger": {"type": "deploy" if key.startswith("on") else "webhook"}, "steps": []}
                for key in flows
            ],
        }
    )


def request(body: bytes = b"", headers: dict[str, str] | None = None, query: str = "") -> dict[str, Any]:
    pairs = [tuple(each.split("=")) for each in query.split("&")] if query else []
    kind = "application/json" if body.startswith((b"{", b"[")) else "text/plain"
    return trigger_root("POST", "", [(a, b) for a, b in pairs], list((headers or {}).items()), kind, body)


EVENT = request(b'{"data": {"event": "created", "id": 42, "on": true, "no": 1.5, "list": ["created"]}}')


@pytest.mark.parametrize(
    ("route", "root", "expected"),
    [
        ("headers.x-acme-flow", request(headers={"X-Acme-Flow": "created"}), "created"),
        ("headers.X-ACME-FLOW", request(headers={"x-acme-flow": "created"}), "created"),
        ('headers["x-acme-flow"]', request(headers={"x-acme-flow": "created"}), "created"),
        ("headers.x-acme-flow", request(), None),
        ("headers.x-acme-flow", request(headers={"x-acme-flow": ""}), None),
        ("query.flow", request(query="flow=created&x=1"), "created"),
        ("query.flow", request(query="flow=created&flow=deleted"), None),
        ("body.data.event", EVENT, "created"),
        ("body.data.list[0]", EVENT, "created"),
        ("body.data.id", EVENT, "42"),
        ("body.data.on", EVENT, None),
        ("body.data.no", EVENT, None),
        ("body.data.list", EVENT, None),
        ("body.data", EVENT, None),
        ("body.data.event.deeper", EVENT, None),
        ("body[0].id", request(b'[{"id": "created"}]'), "created"),
        ("body.id", request(b"created"), None),
        ("body.id", request(b"\xff\xfe"), None),
        ("body.id", request(b'{"id": ' + b"9" * 4000 + b"}"), None),
        ("body.id", request(b'{"id": "' + b"x" * 201 + b'"}'), None),
        ("query.id", request(query="id=a\x00b"), None),
        ("query.id", request(query="id=a\ud800"), None),
    ],
)
def test_what_a_request_names(route: str, root: dict[str, Any], expected: str | None) -> None:
    assert named(route, root) == expected


@given(body=st.binary(max_size=200))
def test_whatever_the_body_what_it_names_can_be_looked_up(body: bytes) -> None:
    root = trigger_root("POST", "", [], [], "application/json", body)
    for route in ("body.a", "body[0]"):
        value = named(route, root)
        assert value is None or (0 < len(value) <= LONGEST and "\x00" not in value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "missing"),
        ("flow", "begins with headers, query, body"),
        ("trigger.body.flow", "begins with"),
        ("path.flow", "begins with"),
        ("headers", "names a header"),
        ("headers.a.b", "names a header"),
        ("query", "names a parameter"),
        ("query.a[0]", "names a parameter"),
        ("body", "what stands in it"),
        ("{{ body.flow }}", "unexpected"),
        ("body.a b", "unexpected"),
    ],
)
def test_paths_that_lead_nowhere_are_refused(text: str, says: str) -> None:
    with pytest.raises(PathSyntax) as caught:
        parse_route(text)
    assert says in caught.value.message


def test_flow_is_the_one_that_is_named() -> None:
    routed = definition("created", "deleted", "onset", mode="instance_specific", flow="query.flow")
    assert flow_named(routed, request(query="flow=deleted")).key == "deleted"


@pytest.mark.parametrize(
    "query", ["", "flow=", "flow=Created", "flow=onset", "flow=created&flow=created", "other=created"]
)
def test_flow_that_is_not_named_is_not_found(query: str) -> None:
    routed = definition("created", "deleted", "onset", mode="instance_specific", flow="query.flow")
    with pytest.raises(NotFound) as caught:
        flow_named(routed, request(query=query))
    assert caught.value.message == "query.flow of the request names no flow with a webhook"


def test_only_flow_needs_no_name() -> None:
    assert flow_named(definition("created", "onset", mode="instance_specific"), request()).key == "created"
    assert flow_named(definition("created"), request()).key == "created"


def test_only_flow_is_not_taken_for_another() -> None:
    routed = definition("created", mode="instance_specific", flow="query.flow")
    with pytest.raises(NotFound):
        flow_named(routed, request(query="flow=deleted"))


def test_without_a_path_several_flows_are_not_guessed_at() -> None:
    with pytest.raises(NotFound) as caught:
        flow_named(definition("created", "deleted"), request(query="flow=created"))
    assert "does not say" in caught.value.message


def test_customer_is_the_one_that_is_named() -> None:
    assert customer_named("body.data.id", EVENT) == "42"


def test_customer_that_is_not_named_is_like_one_that_is_unknown() -> None:
    with pytest.raises(NotFound) as caught:
        customer_named("body.account", EVENT)
    assert caught.value.message == no_customer("body.account").message
    assert "body.account" in caught.value.message
