import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from activities.log_streams import MOST_STREAMS
from domain.ids import made_at
from runtime.clock import utcnow
from store.engine import Database
from store.tables import CustomerRow, EventRow, InstanceRow, LogStreamRow
from tests.e2e.target import Answer, Spot, running_target
from tests.factories import Deployed, deployed
from tests.fakes_gateway import FakeGateway

URL = "https://logs.example.com/in?source=flowgraft"
BODY = {"name": "Logs", "url": URL, "headers": {"DD-API-KEY": "key-of-the-target"}}
PATH = "/v1/log_streams"


@pytest.fixture
async def made(sqlite_database: Database) -> Deployed:
    async with sqlite_database.transaction() as session:
        return await deployed(session)


@pytest.fixture
async def spot() -> AsyncIterator[Spot]:
    async with running_target() as target:
        yield target.spot()


async def created(client: httpx2.AsyncClient, **of: Any) -> dict[str, Any]:
    response = await client.post(PATH, json=BODY | of)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_stream_is_created(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    response = await client.post(PATH, json=BODY)
    assert response.status_code == 201
    shown = response.json()
    assert "key-of-the-target" not in response.text
    assert shown["id"].startswith("lstr_")
    assert shown["header_names"] == ["DD-API-KEY"]
    assert (shown["batch_size"], shown["batch_format"], shown["enabled"]) == (100, "array", True)
    assert (shown["severities"], shown["types"], shown["state"]) == ([], [], "sending")
    assert "{{ message }}" in shown["template"]
    assert 0 <= shown["lag_seconds"] < 5
    assert gateway.log_streams == [shown["id"]]
    again = await client.get(f"{PATH}/{shown['id']}")
    assert again.json() | {"lag_seconds": 0} == shown | {"lag_seconds": 0}
    assert again.headers["etag"] == response.headers["etag"]


async def test_stream_is_made_while_temporal_is_away(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    gateway.away = True
    assert (await client.post(PATH, json=BODY)).status_code == 201


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"url": "ftp://logs.example.com"}, "#/url"),
        ({"url": "https://user:password@logs.example.com"}, "#/url"),
        ({"headers": {"a b": "x"}}, "#/headers"),
        ({"headers": {"X-Key": "a\nb"}}, "#/headers"),
        ({"headers": {"Content-Length": "1"}}, "#/headers"),
        ({"template": "{{ mesage }}"}, "#/template"),
        ({"template": "{{ severity }}: {{ message }}"}, "#/template"),
        ({"template": "{{ severity }}:\n{{ message }}", "batch_format": "lines"}, "#/template"),
        ({"severities": ["loud"]}, "#/severities/0"),
        ({"types": ["audit"]}, "#/types/0"),
        ({"batch_size": 0}, "#/batch_size"),
        ({"batch_size": 1001}, "#/batch_size"),
        ({"batch_format": "xml"}, "#/batch_format"),
        ({"customer_id": "cust_none"}, "#/customer_id"),
        ({"instance_id": "inst_none"}, "#/instance_id"),
        ({"cursor": "log_1"}, "#/cursor"),
    ],
)
async def test_stream_that_cannot_be(client: httpx2.AsyncClient, given: dict[str, Any], pointer: str) -> None:
    response = await client.post(PATH, json=BODY | given)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == pointer
    assert "key-of-the-target" not in response.text


async def test_plain_text_needs_no_array(client: httpx2.AsyncClient) -> None:
    assert (await created(client, template="{{ severity }}: {{ message }}", batch_format="lines"))[
        "batch_format"
    ] == "lines"


async def test_names_are_taken_once(client: httpx2.AsyncClient) -> None:
    await created(client)
    other = await created(client, name="Other")
    again = await client.post(PATH, json=BODY)
    renamed = await client.patch(f"{PATH}/{other['id']}", json={"name": "Logs"})
    assert [(each.status_code, each.json()["code"]) for each in (again, renamed)] == [(409, "already_exists")] * 2


async def test_streams_are_limited_in_number(client: httpx2.AsyncClient, sqlite_database: Database) -> None:
    for number in range(MOST_STREAMS):
        await created(client, name=f"Stream {number}")
    refused = await client.post(PATH, json=BODY)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many")


async def test_streams_are_listed(client: httpx2.AsyncClient, made: Deployed, sqlite_database: Database) -> None:
    everything = await created(client, name="All")
    theirs = await created(client, name="Theirs", customer_id=made.customer.id)
    one = await created(client, name="One", instance_id=made.instance.id, enabled=False)
    assert (one["customer_id"], one["state"], one["lag_seconds"]) == (made.customer.id, "disabled", None)
    async with sqlite_database.transaction() as session:
        row = await session.get_one(LogStreamRow, theirs["id"])
        row.failing_since, row.failures = utcnow(), 3
        row.error = {"at": utcnow().isoformat(), "code": "http_403", "message": "The target answered 403"}

    async def ids(query: str) -> list[str]:
        return [each["id"] for each in (await client.get(f"{PATH}?{query}")).json()["data"]]

    assert await ids("") == [one["id"], theirs["id"], everything["id"]]
    assert await ids("enabled=true") == [theirs["id"], everything["id"]]
    assert await ids("failing=true") == [theirs["id"]]
    assert await ids("failing=false&enabled=true") == [everything["id"]]
    assert await ids(f"customer_id={made.customer.id}") == [one["id"], theirs["id"]]
    assert await ids(f"instance_id={made.instance.id}") == [one["id"]]
    shown = (await client.get(f"{PATH}/{theirs['id']}")).json()
    assert (shown["state"], shown["failures"], shown["last_error"]["code"]) == ("failing", 3, "http_403")


async def test_stream_of_another_customers_instance(client: httpx2.AsyncClient, made: Deployed) -> None:
    body = BODY | {"instance_id": made.instance.id, "customer_id": "cust_other"}
    assert (await client.post(PATH, json=body)).status_code == 422


@pytest.mark.parametrize(("kind", "field"), [(InstanceRow, "instance"), (CustomerRow, "customer")])
async def test_stream_of_what_is_being_deleted(
    client: httpx2.AsyncClient, made: Deployed, sqlite_database: Database, kind: Any, field: str
) -> None:
    row_id = getattr(made, field).id
    async with sqlite_database.transaction() as session:
        (await session.get_one(kind, row_id)).deleting = True
    assert (await client.post(PATH, json=BODY | {f"{field}_id": row_id})).status_code == 409


async def test_stream_is_changed(client: httpx2.AsyncClient, gateway: FakeGateway, sqlite_database: Database) -> None:
    stream = await created(client)
    path = f"{PATH}/{stream['id']}"
    async with sqlite_database.transaction() as session:
        row = await session.get_one(LogStreamRow, stream["id"])
        row.failures, held = 7, row.headers
    changes = {"url": "https://other.example.com", "severities": ["fatal", "error"], "batch_size": 5}
    response = await client.patch(path, json=changes, headers={"If-Match": '"1"'})
    shown = response.json()
    assert (shown["url"], shown["severities"], shown["batch_size"]) == (changes["url"], ["error", "fatal"], 5)
    assert (shown["failures"], shown["header_names"]) == (0, ["DD-API-KEY"])
    assert (await client.patch(path, json={"enabled": False}, headers={"If-Match": '"1"'})).status_code == 412
    await client.patch(path, json={"headers": {"X-Key": "another-key"}})
    async with sqlite_database.snapshot() as session:
        row = await session.get_one(LogStreamRow, stream["id"])
        assert row.headers != held
        actions = list(await session.scalars(select(EventRow.details).where(EventRow.action == "log_stream.updated")))
    assert row.header_names == ["X-Key"]
    assert actions[1] == {"name": "Logs", "changed": ["headers"]}
    assert "another-key" not in str(actions)
    assert gateway.log_streams == [stream["id"]] * 3
    await client.patch(path, json={"headers": {}})
    assert (await client.get(path)).json()["header_names"] == []


async def test_array_of_text_is_refused_later_too(client: httpx2.AsyncClient) -> None:
    stream = await created(client, template="{{ severity }}: {{ message }}", batch_format="lines")
    response = await client.patch(f"{PATH}/{stream['id']}", json={"batch_format": "array"})
    assert response.status_code == 422


async def test_what_was_not_sent_can_be_skipped(client: httpx2.AsyncClient, sqlite_database: Database) -> None:
    stream = await created(client)
    async with sqlite_database.transaction() as session:
        (await session.get_one(LogStreamRow, stream["id"])).cursor = f"log_{'0' * 26}"
    path = f"{PATH}/{stream['id']}"
    assert (await client.get(path)).json()["lag_seconds"] > 1_000_000
    shown = (await client.patch(path, json={"skip_to_now": True})).json()
    assert shown["lag_seconds"] < 10
    async with sqlite_database.snapshot() as session:
        row = await session.get_one(LogStreamRow, stream["id"])
    assert utcnow() - made_at(row.cursor) < timedelta(seconds=10)


async def test_stream_is_deleted(client: httpx2.AsyncClient) -> None:
    stream = await created(client)
    path = f"{PATH}/{stream['id']}"
    assert (await client.delete(path, headers={"If-Match": '"9"'})).status_code == 412
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404


async def test_sample_is_sent(client: httpx2.AsyncClient, spot: Spot) -> None:
    spot.script("/in", Answer(202))
    stream = await created(client, url=f"{spot.url}/in", template='{"said": "{{ message }}", "test": {{ is_test }}}')
    response = await client.post(f"{PATH}/{stream['id']}/test")
    assert response.json() == {"ok": True, "status": 202, "error": None}
    [call] = spot.calls
    assert (call.headers["dd-api-key"], call.headers["content-type"]) == ("key-of-the-target", "application/json")
    [line] = json.loads(call.body)
    assert line["test"] is True
    assert line["said"].startswith("A test of the log stream")


async def test_sample_that_is_refused(client: httpx2.AsyncClient, spot: Spot) -> None:
    spot.script("/in", Answer(403, {"wrong": "key-of-the-target"}))
    stream = await created(client, url=f"{spot.url}/in")
    shown = (await client.post(f"{PATH}/{stream['id']}/test")).json()
    assert (shown["ok"], shown["status"], shown["error"]["code"]) == (False, 403, "http_403")
    assert "key-of-the-target" not in shown["error"]["message"]
    assert (await client.get(f"{PATH}/{stream['id']}")).json()["failures"] == 0


async def test_sample_goes_to_no_private_address(client: httpx2.AsyncClient) -> None:
    stream = await created(client, url="http://10.0.0.1/in")
    shown = (await client.post(f"{PATH}/{stream['id']}/test")).json()
    assert (shown["ok"], shown["status"], shown["error"]["code"]) == (False, None, "egress_denied")
    assert (await client.post(f"{PATH}/lstr_none/test")).status_code == 404
