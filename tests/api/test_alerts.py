from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from api.resources import Resources
from store.tables import AlertRow, DeliveryAttemptRow
from tests.api.setup import Json, made, pointers, read
from tests.factories import NOW, alert, delivery, monitor, saved, target

ACME = {"id": "cust_1", "name": "Acme", "external_id": "4711"}


async def raised(app: FastAPI, **given: Any) -> AlertRow:
    """With a message that has been tried once."""
    owner = monitor(name="Orders fail")
    to = target(owner)
    row = alert(owner, **given)
    sent = delivery(to, alert_id=row.id, attempts=1, status_code=500, error="the target answered 500")
    tried = DeliveryAttemptRow(
        delivery_id=sent.id, number=1, at=NOW, seconds=0.25, status_code=500, error="the target answered 500"
    )
    resources: Resources = app.state.resources
    await saved(resources.database, owner, to, row, sent, tried)
    return row


async def test_alert_tells_what_happened_and_what_has_arrived(app: FastAPI, client: httpx2.AsyncClient) -> None:
    error = {"code": "http_status", "message": "500", "step": "tell"}
    row = await raised(app, customer_id="cust_1", names={"customer": ACME}, error=error, step="tell")
    shown = await read(client, f"/v1/alerts/{row.id}")
    assert (shown["monitor"], shown["customer"], shown["instance"]) == (
        {"id": row.monitor_id, "name": "Orders fail"},
        {"id": "cust_1", "name": "Acme"},
        None,
    )
    assert (shown["error"], shown["step"], shown["trigger"]["type"]) == (error, "tell", "execution_failed")
    [sent] = shown["deliveries"]
    assert (sent["state"], sent["status_code"], sent["next_attempt_at"]) == (
        "pending",
        500,
        "2026-01-02T03:04:05.000000Z",
    )
    [attempt] = sent["attempts"]
    assert (attempt["number"], attempt["seconds"], attempt["error"]) == (1, 0.25, "the target answered 500")
    [listed] = (await read(client, "/v1/alerts"))["data"]
    assert listed == {name: value for name, value in shown.items() if name != "deliveries"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, 1),
        ({"q": "ORDERS"}, 1),
        ({"customer_id": "cust_1"}, 1),
        ({"customer_id": "cust_2"}, 0),
        ({"instance_id": "inst_1"}, 0),
        ({"suppressed": True}, 0),
        ({"after": "2026-01-02T03:04:05Z"}, 1),
        ({"before": "2026-01-02T03:04:05Z"}, 0),
        ({"monitor_id": "mon_1"}, 0),
    ],
)
async def test_alerts_are_found(app: FastAPI, client: httpx2.AsyncClient, query: Json, found: int) -> None:
    await raised(app, customer_id="cust_1")
    assert len((await read(client, "/v1/alerts", **query))["data"]) == found


async def test_alert_that_is_not_there(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/v1/alerts/alert_1")).status_code == 404
    assert (await client.get("/v1/alerts?colour=red")).status_code == 422


# Groups

GROUP: Json = {
    "name": "On call",
    "emails": ["ops@example.com"],
    "webhooks": [{"url": "https://alerts.example.com/hook", "headers": {"X-Key": "k"}}],
}


async def test_group_is_created_changed_and_read(client: httpx2.AsyncClient) -> None:
    group = await made(client, "/v1/alert_groups", GROUP)
    [webhook] = group["webhooks"]
    assert (group["emails"], webhook["webhook"], webhook["header_names"]) == (
        ["ops@example.com"],
        GROUP["webhooks"][0]["url"],
        ["X-Key"],
    )
    assert webhook["secret"].startswith("whsec_")
    path = f"/v1/alert_groups/{group['id']}"
    changed = await client.patch(path, json={"emails": ["a@example.com", "b@example.com"]})
    assert changed.json()["emails"] == ["a@example.com", "b@example.com"]
    assert changed.json()["webhooks"] == [webhook | {"secret": None}]
    assert changed.headers["ETag"] == '"2"'
    assert (await client.patch(path, json={"name": "x"}, headers={"If-Match": '"1"'})).status_code == 412
    assert (await client.patch(path, json={"webhooks": []})).json()["webhooks"] == []
    assert (await read(client, "/v1/alert_groups", name="On call"))["data"] == [await read(client, path)]
    assert (await read(client, "/v1/alert_groups", name="Off call"))["data"] == []


async def test_name_of_a_group_is_its_own(client: httpx2.AsyncClient) -> None:
    await made(client, "/v1/alert_groups", GROUP)
    other = await made(client, "/v1/alert_groups", {"name": "Others"})
    taken = {"#/name": "already_exists"}
    assert pointers(await client.post("/v1/alert_groups", json=GROUP), 409) == taken
    assert pointers(await client.patch(f"/v1/alert_groups/{other['id']}", json={"name": "On call"}), 409) == taken


async def test_group_that_is_deleted_is_told_no_more(client: httpx2.AsyncClient) -> None:
    group = await made(client, "/v1/alert_groups", GROUP)
    body = {"name": "Orders fail", "triggers": [{"type": "execution_failed"}], "notify": [{"group_id": group["id"]}]}
    watching = await made(client, "/v1/monitors", body)
    assert watching["notify"][0]["group_id"] == group["id"]
    assert (await client.delete(f"/v1/alert_groups/{group['id']}")).status_code == 204
    assert (await client.get(f"/v1/alert_groups/{group['id']}")).status_code == 404
    assert (await read(client, f"/v1/monitors/{watching['id']}"))["notify"] == []
