from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from activities.targets import TargetSecrets
from api.resources import Resources
from domain.monitors import Place
from runtime.clock import utcnow
from store.tables import DeliveryRow, EventEndpointRow, TargetRow
from tests.api.setup import Json, made, pointers, read
from tests.factories import NOW, delivery, saved
from tests.fakes_gateway import FakeGateway
from tests.fixtures.temporal import eventually

BODY: Json = {"name": "Our CRM", "url": "https://crm.example.com/flowgraft", "events": ["instance.*"]}


async def make_endpoint(client: httpx2.AsyncClient, **fields: Any) -> Json:
    return await made(client, "/v1/event_endpoints", BODY | fields)


async def target_of(app: FastAPI, endpoint: Json) -> TargetRow:
    resources: Resources = app.state.resources
    async with resources.database.snapshot() as session:
        row = (await session.execute(TargetRow.__table__.select())).one()
        return await session.get_one(TargetRow, row.id)


async def sent(app: FastAPI, endpoint: Json, **given: Any) -> DeliveryRow:
    resources: Resources = app.state.resources
    row = delivery(await target_of(app, endpoint), endpoint_id=endpoint["id"], event="instance.paused", **given)
    await saved(resources.database, row)
    return row


async def test_endpoint_is_created_and_read(app: FastAPI, client: httpx2.AsyncClient) -> None:
    endpoint = await make_endpoint(client, headers={"X-Key": "k"}, description="For sales")
    assert endpoint["secret"].startswith("whsec_")
    assert {name: endpoint[name] for name in BODY} == BODY
    assert (endpoint["header_names"], endpoint["enabled"], endpoint["disabled_reason"]) == (["X-Key"], True, None)
    shown = await read(client, f"/v1/event_endpoints/{endpoint['id']}")
    assert shown == endpoint | {"secret": None}
    assert (await read(client, "/v1/event_endpoints"))["data"] == [shown]
    resources: Resources = app.state.resources
    assert resources.outbox.listeners.want("instance.deployed", Place())
    assert not resources.outbox.listeners.want("execution.failed", Place())


async def test_endpoint_hears_of_everything_by_default(client: httpx2.AsyncClient) -> None:
    body = {name: value for name, value in BODY.items() if name != "events"}
    assert (await made(client, "/v1/event_endpoints", body))["events"] == ["*"]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"events": []}, "#/events"),
        ({"events": ["customer.*"]}, "#/events/0"),
        ({"events": ["instance"]}, "#/events/0"),
        ({"events": ["*", "instance.de*"]}, "#/events/1"),
        ({"events": ["log.written"]}, "#/events/0"),
        ({"url": "crm.example.com"}, "#/url"),
        ({"secret": "whsec_c2hvcnQ="}, "#/secret"),
        ({"enabled": None}, "#/enabled"),
    ],
)
async def test_endpoint_that_makes_no_sense_is_refused(client: httpx2.AsyncClient, fields: Json, where: str) -> None:
    assert list(pointers(await client.post("/v1/event_endpoints", json=BODY | fields))) == [where]


async def test_endpoint_is_changed_and_keeps_its_secret(app: FastAPI, client: httpx2.AsyncClient) -> None:
    endpoint = await make_endpoint(client)
    path = f"/v1/event_endpoints/{endpoint['id']}"
    changes = {"url": "https://crm.example.com/2", "events": ["*"], "headers": {"X-Other": "o"}, "description": None}
    changed = await client.patch(path, json=changes, headers={"If-Match": '"1"'})
    assert (changed.json()["url"], changed.json()["header_names"], changed.json()["secret"]) == (
        "https://crm.example.com/2",
        ["X-Other"],
        None,
    )
    assert (await client.patch(path, json={"name": "x"}, headers={"If-Match": '"1"'})).status_code == 412
    resources: Resources = app.state.resources
    async with resources.database.snapshot() as session:
        held = await TargetSecrets(resources.vault).read(session, await target_of(app, endpoint))
    assert held is not None
    assert (held.secret, held.headers) == (endpoint["secret"], {"X-Other": "o"})


async def test_endpoint_that_was_disabled_is_enabled_again(app: FastAPI, client: httpx2.AsyncClient) -> None:
    endpoint = await make_endpoint(client)
    resources: Resources = app.state.resources
    async with resources.database.transaction() as session:
        values = {"disabled_at": NOW, "disabled_reason": "gone", "failing_since": NOW}
        await session.execute(update(TargetRow).values(**values))
        await session.execute(update(EventEndpointRow).values(enabled=False))
    path = f"/v1/event_endpoints/{endpoint['id']}"
    shown = await read(client, path)
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "gone")
    enabled = (await client.patch(path, json={"enabled": True})).json()
    assert (enabled["enabled"], enabled["disabled_reason"], enabled["failing_since"]) == (True, None, None)


async def test_secret_is_rotated_with_an_overlap(app: FastAPI, client: httpx2.AsyncClient) -> None:
    endpoint = await make_endpoint(client)
    path = f"/v1/event_endpoints/{endpoint['id']}/rotate_secret"
    fresh = (await client.post(path)).json()["secret"]
    assert fresh != endpoint["secret"]
    resources: Resources = app.state.resources
    async with resources.database.snapshot() as session:
        held = await TargetSecrets(resources.vault).read(session, await target_of(app, endpoint))
    assert held is not None
    assert held.secrets(utcnow()) == [fresh, endpoint["secret"]]
    last = (await client.post(path, json={"overlap_seconds": 0})).json()["secret"]
    async with resources.database.snapshot() as session:
        held = await TargetSecrets(resources.vault).read(session, await target_of(app, endpoint))
    assert held is not None
    assert held.secrets(utcnow()) == [last]


async def test_endpoint_is_deleted_with_its_target(client: httpx2.AsyncClient) -> None:
    endpoint = await make_endpoint(client)
    path = f"/v1/event_endpoints/{endpoint['id']}"
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert (await client.get(f"{path}/deliveries")).status_code == 404


async def test_test_event_is_on_its_way(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    endpoint = await make_endpoint(client, enabled=False)
    response = await client.post(f"/v1/event_endpoints/{endpoint['id']}/test")
    assert response.status_code == 202
    message = response.json()
    assert (message["event"], message["state"], message["is_test"], message["to"]) == (
        "endpoint.test",
        "pending",
        True,
        BODY["url"],
    )
    assert '"type":"endpoint.test"' in message["body"]
    assert (await read(client, f"/v1/event_endpoints/{endpoint['id']}/deliveries"))["data"] == [message]

    async def told() -> list[str]:
        return gateway.told

    assert await eventually(told) == ["now"]


async def test_messages_are_listed_by_their_state(app: FastAPI, client: httpx2.AsyncClient) -> None:
    endpoint = await make_endpoint(client)
    rows = [await sent(app, endpoint, state=state, ended_at=end) for state, end in (("failed", NOW), ("pending", None))]
    path = f"/v1/event_endpoints/{endpoint['id']}/deliveries"
    assert [each["id"] for each in (await read(client, path))["data"]] == [row.id for row in reversed(rows)]
    [failed] = (await read(client, path, state="failed"))["data"]
    assert (failed["id"], failed["next_attempt_at"]) == (rows[0].id, None)
    first = await read(client, path, limit=1)
    second = await read(client, path, limit=1, cursor=first["next_cursor"])
    assert [each["id"] for each in second["data"]] == [rows[0].id]
    assert (await client.get(path, params={"state": "lost"})).status_code == 422


async def test_message_is_sent_again_under_its_id(app: FastAPI, client: httpx2.AsyncClient) -> None:
    endpoint = await make_endpoint(client)
    values = {"state": "failed", "ended_at": NOW, "attempts": 10, "failed_in_a_row": 10, "handed_over_at": NOW}
    row = await sent(app, endpoint, **values)
    path = f"/v1/event_deliveries/{row.id}/resend"
    response = await client.post(path)
    assert response.status_code == 202
    assert (response.json()["id"], response.json()["state"]) == (row.id, "pending")
    resources: Resources = app.state.resources
    async with resources.database.snapshot() as session:
        held = await session.get_one(DeliveryRow, row.id)
    assert (held.attempts, held.failed_in_a_row, held.handed_over_at, held.ended_at) == (10, 0, None, None)
    again = await client.post(path)
    assert (again.status_code, again.json()["code"]) == (409, "state_conflict")


async def test_message_of_an_alert_is_none_of_an_endpoint(app: FastAPI, client: httpx2.AsyncClient) -> None:
    endpoint = await make_endpoint(client)
    row = await sent(app, endpoint | {"id": None}, state="failed", ended_at=NOW)
    assert (await client.post(f"/v1/event_deliveries/{row.id}/resend")).status_code == 404
    assert (await client.post("/v1/event_deliveries/dlv_1/resend")).status_code == 404
