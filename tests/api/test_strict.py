import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.api.probe import Probe

JSON = {"Content-Type": "application/json"}
LARGE = b'{"name": "' + b"a" * (6 * 1024 * 1024) + b'"}'


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"name": NaN}', 400, "malformed_json"),
        (b'{"name": 1e999}', 400, "malformed_json"),
        (b'{"name": "a", "name": "b"}', 400, "malformed_json"),
        (b'{"more": {"a": 1, "a": 2}}', 400, "malformed_json"),
        (b'{"more": ' + b'{"a":' * 64 + b"1" + b"}" * 64 + b"}", 400, "malformed_json"),
        (b"[" * 100_000, 400, "malformed_json"),
        (b'{"name": "a\\u0000b"}', 400, "malformed_json"),
        (b'{"name": "a\x00b"}', 400, "malformed_json"),
        (b'{"name": "\\ud800"}', 400, "malformed_json"),
        (b'{"\\udfff": 1}', 400, "malformed_json"),
        (json.dumps({"name": "a"}).encode("utf-16"), 400, "malformed_json"),
        (b"\xef\xbb\xbf" + b'{"name": "a"}', 400, "malformed_json"),
        (b'{"name": "a"} x', 400, "malformed_json"),
        (b'{"name": "a"', 400, "malformed_json"),
        (b"\xff\xfe", 400, "malformed_json"),
        (b" ", 400, "malformed_json"),
        (LARGE, 413, "payload_too_large"),
        (b'["name"]', 422, "validation_failed"),
        (b"null", 422, "validation_failed"),
        (b'"name"', 422, "validation_failed"),
        (b'{"name": 7}', 422, "validation_failed"),
        (b'{"name": null}', 422, "validation_failed"),
        (b'{"name": ""}', 422, "validation_failed"),
        (b'{"name": "   "}', 422, "validation_failed"),
        (b'{"name": "a\\nb"}', 422, "validation_failed"),
        (b'{"name": "a\\u009fb"}', 422, "validation_failed"),
        (b'{"name": "' + b"a" * 201 + b'"}', 422, "validation_failed"),
        (b'{"name": "a", "surprise": 1}', 422, "validation_failed"),
        (b'{"more": ' + b'{"a":' * 62 + b"1" + b"}" * 62 + b"}", 201, None),
        (b'{"name": "' + b"a" * 200 + b'"}', 201, None),
        (b"{}", 201, None),
        (b"", 201, None),
    ],
)
async def test_hostile_body(
    client: httpx2.AsyncClient, probe: Probe, body: bytes, status: int, code: str | None
) -> None:
    response = await client.post("/v1/probe/notes", content=body, headers=JSON)
    assert response.status_code == status, response.text
    assert response.json().get("code") == code
    assert probe.calls == (1 if status == 201 else 0)
    if code:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["errors"] or status == 413


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/vnd.api+json"},
        JSON | {"Content-Encoding": "gzip"},
        JSON | {"Content-Encoding": "identity, br"},
    ],
)
async def test_body_of_another_kind(client: httpx2.AsyncClient, probe: Probe, headers: dict[str, str]) -> None:
    response = await client.post("/v1/probe/notes", content=b'{"name": "a"}', headers=headers)
    assert response.status_code == 415
    assert response.json()["code"] == "unsupported_media_type"


async def test_compressed_body(client: httpx2.AsyncClient, probe: Probe) -> None:
    headers = JSON | {"Content-Encoding": "gzip"}
    response = await client.post("/v1/probe/notes", content=gzip.compress(b"{}"), headers=headers)
    assert response.status_code == 415


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=UTF-8", "Application/JSON"])
async def test_json_by_any_of_its_names(client: httpx2.AsyncClient, probe: Probe, content_type: str) -> None:
    headers = {"Content-Type": content_type, "Content-Encoding": "identity"}
    assert (await client.post("/v1/probe/notes", content=b"{}", headers=headers)).status_code == 201


async def test_empty_form_counts_as_no_body(client: httpx2.AsyncClient, probe: Probe) -> None:
    """What `curl -d ''` sends."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await client.post("/v1/probe/notes", content=b"", headers=headers)).status_code == 201


async def test_missing_body_names_what_is_required(client: httpx2.AsyncClient) -> None:
    response = await client.post("/v1/customers")
    assert response.status_code == 422
    assert [(error["pointer"], error["code"]) for error in response.json()["errors"]] == [("#/name", "required")]


async def test_body_of_unknown_length_is_bounded(client: httpx2.AsyncClient, probe: Probe) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(7):
            yield b" " * 1024 * 1024

    response = await client.post("/v1/probe/notes", content=chunks(), headers=JSON)
    assert response.status_code == 413


async def test_pointers_show_each_place(client: httpx2.AsyncClient) -> None:
    body = {"name": 1, "labels": ["ok", 5], "a/b~c": True}
    response = await client.post("/v1/customers", json=body)
    errors = {error["pointer"]: error["code"] for error in response.json()["errors"]}
    assert errors == {"#/name": "string_type", "#/labels/1": "string_type", "#/a~1b~0c": "unknown_field"}
    assert response.json()["status"] == 422


async def test_number_of_errors_is_bounded(client: httpx2.AsyncClient) -> None:
    response = await client.post("/v1/customers", json={f"field-{number}": 1 for number in range(5000)})
    assert len(response.json()["errors"]) == 100


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("limt=5", "#/query/limt", "unknown_parameter"),
        ("label=", "#/query/label", "empty"),
        ("label=a&label=", "#/query/label", "empty"),
        ("external_id", "#/query/external_id", "empty"),
        ("q=a&q=b", "#/query/q", "repeated"),
        ("q=%00", "#/query/q", "invalid_character"),
        ("limit=0", "#/query/limit", "greater_than_equal"),
        ("limit=101", "#/query/limit", "less_than_equal"),
        ("limit=99999999999999999999999", "#/query/limit", "less_than_equal"),
        ("limit=x", "#/query/limit", "int_parsing"),
        ("api_key=k", "#/query/api_key", "unknown_parameter"),
    ],
)
async def test_query_that_is_not_acceptable(client: httpx2.AsyncClient, query: str, pointer: str, code: str) -> None:
    response = await client.get(f"/v1/customers?{query}")
    assert response.status_code == 422, response.text
    assert [(error["pointer"], error["code"]) for error in response.json()["errors"]] == [(pointer, code)]


@pytest.mark.parametrize("query", ["q=", "label=a&label=b", "external_id=a&external_id=b", "q=%ff", "limit=100"])
async def test_query_that_is_acceptable(client: httpx2.AsyncClient, query: str) -> None:
    assert (await client.get(f"/v1/customers?{query}")).status_code == 200


async def test_query_parameters_on_a_write_are_checked_too(client: httpx2.AsyncClient) -> None:
    response = await client.post("/v1/customers?dry_run=true", json={"name": "Acme"})
    assert response.status_code == 422


async def test_nul_in_a_path_finds_nothing(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/v1/customers/a%00b")).status_code == 404


async def test_call_without_fields_takes_nothing_else(client: httpx2.AsyncClient, probe: Probe) -> None:
    assert (await client.post("/v1/probe/empty")).status_code == 200
    assert (await client.post("/v1/probe/empty", json={})).status_code == 200
    bodies: list[Any] = [{"a": 1}, [], 5, None]
    for body in bodies:
        response = await client.post("/v1/probe/empty", content=json.dumps(body), headers=JSON)
        assert response.status_code == 422, body
