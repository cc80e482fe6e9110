"""What bad input gets: an answer that says where it is wrong, never a crash, never silence."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.e2e.client import Client, Json, fresh
from tests.e2e.conftest import connected
from tests.e2e.definitions import ROAD, call
from tests.e2e.target import Spot
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

MIB = 1024 * 1024
JSON = {"Content-Type": "application/json"}

TYPED = """\
schema: flowgraft/v1
key: KEY
name: Typed KEY
config:
  - page: Options
    fields:
      - {key: endpoint, type: string}
      - {key: big, type: number}
      - {key: region, type: picklist, options: [eu, us]}
      - {key: nightly, type: schedule, default: {cron: "0 3 * * *"}}
      - {key: shop, type: connection, connection: http/bearer}
flows:
  - key: only
    trigger: {type: webhook, security: {api_key: optional}}
    steps: [{key: say, action: log.write, inputs: {message: hi}}]
"""


def _problem(response: httpx2.Response, status: int, code: str) -> Json:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: Json = response.json()
    assert (problem["status"], problem["code"]) == (status, code), problem
    assert problem["request_id"] == response.headers["X-Request-Id"]
    assert problem["type"]
    assert problem["title"]
    assert problem["detail"]
    return problem


@pytest.mark.parametrize(
    ("text", "mistake", "line", "column"),
    [
        ("    trigger: {type: webhook, tags", "    trigger: {typo: 1, type: webhook, tags", 9, 15),
        ("  - key: call\n", "  - key: call\n    key: twice\n", 8, 5),
        ("action: http.post", "action: http.fetch", 14, 17),
        ("{{ config.endpoint }}", "{{ config.endpiont }}", 15, 23),
        ("    steps:\n", "    steps: &anchor\n", 11, 12),
    ],
)
async def test_a_wrong_definition_is_refused_where_it_is_wrong(
    client: Client, text: str, mistake: str, line: int, column: int
) -> None:
    key = fresh("e2e")
    right = call().replace("KEY", key)
    assert text in right
    headers = {"Content-Type": "application/yaml"}
    response = await client.http.post("/v1/integrations", content=right.replace(text, mistake, 1), headers=headers)
    error = _problem(response, 422, "validation_failed")["errors"][0]
    assert (error["line"], error["column"]) == (line, column), error
    assert error["path"]
    assert await client.all_of("/v1/integrations", q=key) == []


async def test_config_of_a_wrong_type_is_named_key_by_key(client: Client) -> None:
    customer, integration = await client.customer(), await client.integration(TYPED.replace("KEY", fresh("e2e")))
    await client.publish(integration["id"])
    instance = await client.instance(customer, integration)
    wrong = {"endpoint": 1, "big": "many", "region": "mars", "nightly": {"cron": "soon"}, "shop": {"key": 1}, "no": 1}
    response = await client.http.patch(f"/v1/instances/{instance['id']}/config", json={"values": wrong})
    pointers = {error["pointer"].split("/")[2] for error in _problem(response, 422, "validation_failed")["errors"]}
    assert pointers == set(wrong)
    shown = await client.call("GET", f"/v1/instances/{instance['id']}/config")
    assert [field["is_set"] for page in shown["pages"] for field in page["fields"]] == [False] * 5

    response = await client.http.post(f"/v1/instances/{instance['id']}/deploy")
    missing = _problem(response, 422, "config_invalid")["errors"]
    assert [error["pointer"] for error in missing] == [
        "#/config/endpoint",
        "#/config/big",
        "#/config/region",
        "#/config/shop",
    ]
    assert (await client.call("GET", f"/v1/instances/{instance['id']}"))["deployed"] is False


@pytest.mark.parametrize(
    ("method", "path", "body", "pointer"),
    [
        ("POST", "/v1/customers", {"name": "A", "colour": "red"}, "#/colour"),
        ("POST", "/v1/customers", {"name": ""}, "#/name"),
        ("POST", "/v1/customers", {}, "#/name"),
        ("POST", "/v1/customers", [], "#"),
        ("GET", "/v1/customers?colour=red", None, "#/query/colour"),
        ("GET", "/v1/executions?status=done", None, "#/query/status/0"),
        ("GET", "/v1/executions?limit=101", None, "#/query/limit"),
        ("GET", "/v1/executions?status=", None, "#/query/status"),
        ("GET", "/v1/executions?started_after=yesterday", None, "#/query/started_after"),
    ],
)
async def test_unknown_and_unfit_fields_are_pointed_at(
    client: Client, method: str, path: str, body: Any, pointer: str
) -> None:
    response = await client.http.request(method, path, json=body)
    problem = _problem(response, 422, "validation_failed")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


UNACCEPTABLE = {
    "not JSON": b"{name: A}",
    "NaN": b'{"name": NaN}',
    "a huge number": b'{"name": 1e999}',
    "a duplicate key": b'{"name": "A", "name": "B"}',
    "too deep": b'{"name": ' + b"[" * 100 + b"]" * 100 + b"}",
    "NUL": b'{"name": "A\\u0000"}',
    "a lone surrogate": b'{"name": "\\ud800"}',
    "not UTF-8": b'{"name": "\xff"}',
}


@pytest.mark.parametrize("body", UNACCEPTABLE.values(), ids=UNACCEPTABLE.keys())
async def test_what_the_api_refuses_as_json_a_webhook_takes(client: Client, spot: Spot, body: bytes) -> None:
    _problem(await client.http.post("/v1/customers", content=body, headers=JSON), 400, "malformed_json")
    made = await client.provision(call(), endpoint=spot.url)
    execution_id = await client.delivered(made.url("call"), content=body, headers=JSON)
    assert (await client.http.get(f"/v1/executions/{execution_id}/payload/raw")).content == body
    await client.wait_for(execution_id, "succeeded")


async def _chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 65_536 + 1):
        yield bytes(65_536)


async def test_bodies_over_six_mebibytes_are_refused(client: Client, spot: Spot) -> None:
    made = await client.provision(call(), endpoint=spot.url)
    for url in (made.url("call"), "/v1/customers"):
        for content in (bytes(6 * MIB + 1), _chunks(6 * MIB)):
            response = await client.http.post(url, content=content, headers=JSON)
            _problem(response, 413, "payload_too_large")
    execution_id = await client.delivered(made.url("call"), content=bytes(6 * MIB))
    assert (await client.execution(execution_id))["status"] in ("queued", "running", "succeeded")
    assert (await client.call("GET", f"/v1/executions/{execution_id}/payload"))["size"] == 6 * MIB
    await client.wait_for(execution_id, "succeeded")
    filters = {"instance_id": made.id, "type": "management", "severity": "warn"}
    messages = [line["message"] for line in await client.all_of("/v1/logs", **filters)]
    assert len(messages) == 1
    assert "payload_too_large" in messages[0]


async def test_keys_of_api_and_webhook(stack: Stack, client: Client) -> None:
    made = await client.provision(
        TYPED, endpoint="x", big=1, region="eu", nightly={"cron": None}, shop={"token": "token-of-the-shop"}
    )
    key = await client.call("POST", f"/v1/flows/{made.flows['only']['id']}/api_keys", expect=201, json={})
    async with connected(stack, None) as http:
        _problem(await http.get("/v1/customers"), 401, "unauthenticated")
        _problem(await http.get("/v1/customers", headers={"Authorization": "Bearer wrong"}), 401, "unauthenticated")
        _problem(await http.post(made.url("only"), headers={"Api-Key": "wrong"}), 401, "unauthenticated")
        for headers in ({}, {"Api-Key": key["key"]}):
            accepted = (await http.post(made.url("only"), headers=headers)).json()
            await client.wait_for(accepted["execution_id"], "succeeded")
            payload = await client.call("GET", f"/v1/executions/{accepted['execution_id']}/payload")
            assert "api-key" not in payload["headers"]
        _problem(await http.post("/hooks/no-such-token"), 404, "not_found")
        _problem(await http.get(made.url("only")), 405, "method_not_allowed")
    reader = await client.call("POST", "/v1/api_keys", expect=201, json={"name": "Reader", "scopes": ["read"]})
    async with connected(stack, reader["key"]) as http:
        assert (await http.get("/v1/customers")).status_code == 200
        _problem(await http.post("/v1/customers", json={"name": fresh("Customer")}), 403, "forbidden")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/nowhere", 404, "not_found"),
        ("GET", "/v1/customers/", 404, "not_found"),
        ("GET", "/v1/executions/exec_none", 404, "not_found"),
        ("GET", "/v1/executions/%00", 404, "not_found"),
        ("PUT", "/v1/customers", 405, "method_not_allowed"),
        ("POST", "/livez", 405, "method_not_allowed"),
        ("OPTIONS", "/v1/customers", 405, "method_not_allowed"),
        ("DELETE", "/v1/instances/inst_none?confirm_name=x", 404, "not_found"),
        ("POST", "/v1/executions/exec_none/replay", 404, "not_found"),
    ],
)
async def test_the_frameworks_own_refusals_are_problems_too(
    client: Client, method: str, path: str, status: int, code: str
) -> None:
    _problem(await client.http.request(method, path), status, code)


async def test_media_types_that_are_not_taken(client: Client) -> None:
    for headers in ({"Content-Type": "text/plain"}, JSON | {"Content-Encoding": "gzip"}):
        response = await client.http.post("/v1/customers", content=b'{"name": "A"}', headers=headers)
        _problem(response, 415, "unsupported_media_type")


async def test_idempotency_key_with_another_body(client: Client) -> None:
    headers = {"Idempotency-Key": fresh("key")}
    body = {"name": fresh("Customer")}
    first = await client.http.post("/v1/customers", json=body, headers=headers)
    again = await client.http.post("/v1/customers", json=body, headers=headers)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await client.http.post("/v1/customers", json={"name": fresh("Customer")}, headers=headers)
    _problem(other, 422, "idempotency_mismatch")


async def test_what_is_no_http_leaves_the_server_well(stack: Stack, client: Client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
    writer.write(b"POST /v1/customers HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n")
    assert b"400" in (await reader.read(64))
    writer.close()
    await writer.wait_closed()
    assert (await client.http.get("/livez")).json() == {"status": "ok"}


async def test_a_schedule_that_never_fires_is_refused(client: Client) -> None:
    text = ROAD.replace("KEY", fresh("e2e")).replace(
        'trigger: {type: webhook, tags: {order_id: "{{ trigger.body.id }}"}}',
        'trigger: {type: schedule, cron: "0 0 30 2 *"}',
    )
    response = await client.http.post("/v1/integrations", content=text, headers={"Content-Type": "application/yaml"})
    error = _problem(response, 422, "validation_failed")["errors"][0]
    assert (error["line"], "never fires" in error["detail"]) == (14, True)
