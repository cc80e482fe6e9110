import httpx2
import pytest
from fastapi import FastAPI

from activities.payloads import Payload
from api.flows.testing_service import payload_of
from store.executions import Executions
from store.instance_flows import InstanceFlows
from store.tables import ExecutionRow
from tests.api.setup import Json, deploy, make_instance, make_key, pointers, read
from tests.api.test_flows import flow_path
from tests.fakes_gateway import FakeGateway

CARD = "4111-card-of-the-test"


async def accepted(app: FastAPI, response: httpx2.Response) -> tuple[ExecutionRow, Payload]:
    assert response.status_code == 202, response.text
    resources = app.state.resources
    async with resources.database.snapshot() as session:
        row = await Executions(session).get(response.json()["execution_id"])
        assert row is not None
        assert row.payload_id is not None
        payload = await Executions(session).payload(row.payload_id)
        assert payload is not None
        return row, resources.payloads.open(payload)


async def test_test_is_accepted_and_handed_over(app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    instance = await make_instance(client)
    deployment = await deploy(app, instance)
    body = {"body": {"id": 17}, "headers": {"X-Event-Id": "e1"}, "query": {"page": "2", "tag": ["a", "b"]}}
    response = await client.post(f"{flow_path(instance)}/test", json=body, headers=await make_key(client, "execute"))
    row, payload = await accepted(app, response)
    url = f"http://127.0.0.1:8700/v1/executions/{row.id}"
    assert response.json() == {"execution_id": row.id, "url": url}
    assert response.headers["location"] == url
    assert (row.is_test, row.trigger, row.status, row.dedupe_key) == (True, "webhook", "queued", None)
    assert row.deployment_id == deployment.deployment_id
    assert row.tags == {"order_id": "17", "region": "eu"}
    assert payload == Payload(
        method="POST",
        path="",
        query=[("page", "2"), ("tag", "a"), ("tag", "b")],
        headers=[("x-event-id", "e1"), ("content-type", "application/json")],
        content_type="application/json",
        body=b'{"id":17}',
    )
    assert [handover.execution_id for handover in gateway.handed_over] == [row.id]
    assert gateway.deliveries == []


async def test_test_works_while_paused_and_while_temporal_is_away(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    instance = await make_instance(client)
    await deploy(app, instance)
    await client.post(f"/v1/instances/{instance['id']}/pause")
    gateway.away = True
    row, payload = await accepted(app, await client.post(f"{flow_path(instance)}/test"))
    assert row.handed_over_at is None
    assert (payload.body, payload.content_type) == (b"", None)


async def test_test_of_a_scheduled_flow_has_an_empty_request(app: FastAPI, client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    await deploy(app, instance)
    row, payload = await accepted(app, await client.post(f"{flow_path(instance, 'nightly')}/test"))
    assert (row.trigger, row.is_test, payload.method) == ("schedule", True, "")


async def test_test_before_the_first_deploy_is_refused(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    instance = await make_instance(client)
    response = await client.post(f"{flow_path(instance)}/test")
    assert (response.status_code, response.json()["code"]) == (409, "instance_not_deployed")
    assert gateway.handed_over == []


async def test_test_twice_under_one_idempotency_key_is_one_execution(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    instance = await make_instance(client)
    await deploy(app, instance)
    headers = {"Idempotency-Key": "test-once"}
    first = await client.post(f"{flow_path(instance)}/test", headers=headers)
    second = await client.post(f"{flow_path(instance)}/test", headers=headers)
    assert second.json() == first.json()
    assert len(gateway.handed_over) == 1


@pytest.mark.parametrize(
    ("given", "body", "content_type"),
    [
        ({"body": "text"}, b'"text"', "application/json"),
        ({"body": None}, b"null", "application/json"),
        ({"body": ["ä", 1.5]}, '["ä",1.5]'.encode(), "application/json"),
        ({"body": "<a/>", "content_type": "application/xml"}, b"<a/>", "application/xml"),
        ({"body": "a=1", "headers": {"Content-Type": "text/plain"}}, b"a=1", "text/plain"),
        ({"body": {"a": 1}, "content_type": "application/cloudevents+json; v=1"}, b'{"a":1}', None),
        ({}, b"", ""),
    ],
)
def test_request_is_what_a_caller_would_have_sent(given: Json, body: bytes, content_type: str | None) -> None:
    payload = payload_of(given, "POST")
    assert payload.body == body
    expected = given.get("content_type") if content_type is None else content_type or None
    assert payload.content_type == expected
    assert [value for name, value in payload.headers if name == "content-type"] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"body": {"a": 1}, "content_type": "text/plain"}, "#/body"),
        ({"headers": {"a b": "x"}}, "#/headers"),
        ({"headers": {"a": "x\ny"}}, "#/headers"),
        ({"headers": {"A": "1", "a": "2"}}, "#/headers"),
        ({"content_type": ""}, "#/content_type"),
        ({"mode": "x"}, "#/mode"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "test"), ("PUT", "test_payload")])
async def test_request_that_nobody_could_send_is_refused(
    app: FastAPI, client: httpx2.AsyncClient, method: str, path: str, body: Json, pointer: str
) -> None:
    instance = await make_instance(client)
    await deploy(app, instance)
    response = await client.request(method, f"{flow_path(instance)}/{path}", json=body)
    assert list(pointers(response)) == [pointer]


async def test_stored_payload_is_read_back_and_encrypted(app: FastAPI, client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    path = f"{flow_path(instance)}/test_payload"
    assert await read(client, path) == {"body": None, "headers": {}, "content_type": None, "query": {}}
    body = {"body": {"card": CARD}, "headers": {"x-a": "1"}, "query": {"q": ["1", "2"]}}
    response = await client.put(path, json=body, headers={"If-Match": '"1"'})
    assert (response.status_code, response.headers["etag"]) == (200, '"2"')
    assert response.json() == await read(client, path) == body | {"content_type": None}
    assert (await client.put(path, json={}, headers={"If-Match": '"1"'})).status_code == 412
    assert CARD not in (await client.get(f"/v1/instances/{instance['id']}/events")).text
    database = app.state.resources.database
    async with database.snapshot() as session:
        row = await InstanceFlows(session).get(instance["flows"][0]["id"])
        assert row is not None
        assert row.test_payload is not None
        assert CARD.encode() not in row.test_payload


async def test_test_without_a_body_sends_the_stored_payload(app: FastAPI, client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    await deploy(app, instance)
    path = flow_path(instance)
    await client.put(
        f"{path}/test_payload", json={"body": "<a/>", "content_type": "application/xml", "query": {"a": "1"}}
    )
    _, payload = await accepted(app, await client.post(f"{path}/test"))
    assert (payload.body, payload.content_type, payload.query) == (b"<a/>", "application/xml", [("a", "1")])
    _, payload = await accepted(app, await client.post(f"{path}/test", json={"query": {"a": "2"}}))
    assert (payload.body, payload.query) == (b"<a/>", [("a", "2")])
    _, payload = await accepted(app, await client.post(f"{path}/test", json={"body": 1}))
    assert (payload.body, payload.content_type, payload.query) == (b"1", "application/json", [])
