from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from api.resources import Resources
from api.shapes import instant
from domain.monitors import Place
from runtime.clock import utcnow
from store.tables import MonitorRow, OutboxRow, TargetRow
from tests.api.setup import Json, deploy, made, make_instance, make_key, pointers, read
from tests.fakes_gateway import FakeGateway
from tests.fixtures.temporal import eventually

HOOK = "https://alerts.example.com/hook"
FAILED: Json = {"type": "execution_failed"}
BODY: Json = {"name": "Orders fail", "triggers": [FAILED]}


async def make_monitor(client: httpx2.AsyncClient, **fields: Any) -> Json:
    return await made(client, "/v1/monitors", BODY | fields)


async def test_monitor_is_created_and_read(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    triggers = [FAILED, {"type": "execution_slow", "seconds": 60}, {"type": "log_severity", "severity": "error"}]
    notify = [{"webhook": HOOK, "headers": {"X-Key": "k"}, "template": '{"t": "$NAME"}'}, {"email": "ops@example.com"}]
    monitor = await make_monitor(client, instance_id=instance["id"], triggers=triggers, notify=notify)
    assert monitor["id"].startswith("mon_")
    assert [{k: v for k, v in each.items() if v is not None} for each in monitor["triggers"]] == triggers
    webhook, email = monitor["notify"]
    assert (webhook["webhook"], webhook["header_names"], webhook["template"]) == (HOOK, ["X-Key"], '{"t": "$NAME"}')
    assert webhook["secret"].startswith("whsec_")
    assert (email["email"], email["secret"], email["webhook"]) == ("ops@example.com", None, None)
    assert (monitor["triggered"], monitor["enabled"], monitor["maintenance"]) == (False, True, None)
    shown = await read(client, f"/v1/monitors/{monitor['id']}")
    assert shown["notify"][0]["secret"] is None
    assert shown == monitor | {"notify": [webhook | {"secret": None}, email]}
    assert (await read(client, "/v1/monitors"))["data"] == [shown]


async def test_monitor_of_a_flow_is_one_of_its_instance(app: FastAPI, client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    await deploy(app, instance)
    flow = (await read(client, f"/v1/instances/{instance['id']}/flows"))["data"][0]
    monitor = await make_monitor(client, flow_id=flow["id"])
    assert (monitor["instance_id"], monitor["flow_id"]) == (instance["id"], flow["id"])
    twice = await client.post(
        "/v1/monitors", json=BODY | {"flow_id": flow["id"], "customer_id": instance["customer"]["id"]}
    )
    assert pointers(twice) == {"#/flow_id": "too_many"}


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"name": ""}, "#/name"),
        ({"triggers": []}, "#/triggers"),
        ({"triggers": [FAILED, FAILED]}, "#/triggers"),
        ({"triggers": [{"type": "execution_lost"}]}, "#/triggers/0/type"),
        ({"triggers": [{"type": "execution_slow"}]}, "#/triggers/0"),
        ({"triggers": [{"type": "execution_slow", "seconds": 0}]}, "#/triggers/0/seconds"),
        ({"triggers": [FAILED | {"seconds": 60}]}, "#/triggers/0"),
        ({"triggers": [{"type": "queue_backlog", "waiting": "many"}]}, "#/triggers/0/waiting"),
        ({"triggers": [{"type": "log_severity", "severity": "loud"}]}, "#/triggers/0/severity"),
        ({"notify": [{}]}, "#/notify/0"),
        ({"notify": [{"webhook": HOOK, "email": "a@b.c"}]}, "#/notify/0"),
        ({"notify": [{"email": "a@b.c", "template": "$NAME"}]}, "#/notify/0"),
        ({"notify": [{"email": "no address"}]}, "#/notify/0/email"),
        ({"notify": [{"email": "a@b.c\r\nBcc: x@y.z"}]}, "#/notify/0/email"),
        ({"notify": [{"webhook": "ftp://a.example"}]}, "#/notify/0/webhook"),
        ({"notify": [{"webhook": "https://user:pass@a.example"}]}, "#/notify/0/webhook"),
        ({"notify": [{"webhook": "https://a.example\n"}]}, "#/notify/0/webhook"),
        ({"notify": [{"webhook": HOOK, "template": "$NOBODY"}]}, "#/notify/0/template"),
        ({"notify": [{"webhook": HOOK, "template": '{"x": $NAME}'}]}, "#/notify/0/template"),
        ({"notify": [{"webhook": HOOK, "secret": "short"}]}, "#/notify/0/secret"),
        ({"notify": [{"webhook": HOOK, "headers": {"Host": "x"}}]}, "#/notify/0/headers"),
        ({"notify": [{"webhook": HOOK, "headers": {"webhook-id": "x"}}]}, "#/notify/0/headers"),
        ({"notify": [{"webhook": HOOK, "headers": {"X-A": "b\r\nX-C: d"}}]}, "#/notify/0/headers"),
        ({"notify": [{"webhook": HOOK}, {"webhook": HOOK}]}, "#/notify/1"),
        ({"notify": [{"group_id": "grp_1"}]}, "#/notify/0/group_id"),
        ({"customer_id": "cust_1"}, "#/customer_id"),
        ({"integration_id": "intg_1"}, "#/integration_id"),
        ({"instance_id": "inst_1"}, "#/instance_id"),
        ({"flow_id": "flow_1"}, "#/flow_id"),
        ({"customer_id": "cust_1", "instance_id": "inst_1"}, "#/instance_id"),
        ({"maintenance": {"from": "2026-03-01T12:00:00Z", "to": "2026-03-01T12:00:00Z"}}, "#/maintenance"),
        ({"maintenance": {"from": "2026-03-01T12:00:00Z"}}, "#/maintenance/to"),
        ({"colour": "red"}, "#/colour"),
    ],
)
async def test_monitor_that_makes_no_sense_is_refused(client: httpx2.AsyncClient, fields: Json, where: str) -> None:
    response = await client.post("/v1/monitors", json=BODY | fields)
    assert list(pointers(response)) == [where]
    assert (await read(client, "/v1/monitors"))["data"] == []


async def test_monitor_is_changed(client: httpx2.AsyncClient) -> None:
    monitor = await make_monitor(client, notify=[{"webhook": HOOK}])
    path = f"/v1/monitors/{monitor['id']}"
    window = {"from": "2026-03-01T12:00:00.000000Z", "to": "2026-03-01T13:00:00.000000Z"}
    changes = {"name": "Nights", "triggers": [{"type": "queue_backlog", "waiting": 5}], "maintenance": window}
    response = await client.patch(path, json=changes, headers={"If-Match": '"1"'})
    changed = response.json()
    assert (response.headers["ETag"], changed["name"], changed["maintenance"]) == ('"2"', "Nights", window)
    assert changed["triggers"][0]["waiting"] == 5
    assert [each["id"] for each in changed["notify"]] == [monitor["notify"][0]["id"]]
    assert (await client.patch(path, json={"name": "x"}, headers={"If-Match": '"1"'})).status_code == 412
    notify = [{"email": "ops@example.com"}, {"webhook": HOOK}]
    again = (await client.patch(path, json={"notify": notify, "maintenance": None})).json()
    assert [each["secret"] for each in again["notify"]] == [None, None]
    assert again["notify"][1]["id"] == monitor["notify"][0]["id"]
    assert again["maintenance"] is None
    unchanged = await client.patch(path, json={"name": "Nights"})
    assert unchanged.headers["ETag"] == '"3"'


async def test_change_arms_a_monitor_anew(app: FastAPI, client: httpx2.AsyncClient) -> None:
    monitor = await make_monitor(client, enabled=False)
    resources: Resources = app.state.resources
    assert not resources.outbox.listeners.want("execution.failed", Place())
    before = await armed_at(resources, monitor["id"])
    await client.patch(f"/v1/monitors/{monitor['id']}", json={"name": "Same"})
    assert await armed_at(resources, monitor["id"]) == before
    await client.patch(f"/v1/monitors/{monitor['id']}", json={"enabled": True})
    assert await armed_at(resources, monitor["id"]) > before
    assert resources.outbox.listeners.want("execution.failed", Place())


async def armed_at(resources: Resources, monitor_id: str) -> Any:
    async with resources.database.snapshot() as session:
        return (await session.get_one(MonitorRow, monitor_id)).armed_at


async def test_monitor_is_deleted(app: FastAPI, client: httpx2.AsyncClient) -> None:
    monitor = await make_monitor(client, notify=[{"webhook": HOOK}])
    path = f"/v1/monitors/{monitor['id']}"
    assert (await client.delete(path, headers={"If-Match": '"7"'})).status_code == 412
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    resources: Resources = app.state.resources
    async with resources.database.snapshot() as session:
        assert await session.get(TargetRow, monitor["notify"][0]["id"]) is None
    assert not resources.outbox.listeners.want("execution.failed", Place())


async def test_triggered_stays_until_it_is_cleared(app: FastAPI, client: httpx2.AsyncClient) -> None:
    monitor = await make_monitor(client)
    resources: Resources = app.state.resources
    async with resources.database.transaction() as session:
        await session.execute(update(MonitorRow).values(triggered_at=utcnow(), last_alert_id="alert_1"))
    assert (await read(client, "/v1/monitors", triggered=True))["data"][0]["triggered"] is True
    for _ in range(2):
        cleared = (await client.post(f"/v1/monitors/{monitor['id']}/clear")).json()
        assert (cleared["triggered"], cleared["triggered_at"], cleared["last_alert_id"]) == (False, None, "alert_1")
    actions = [event["action"] for event in (await read(client, "/v1/audit", object_id=monitor["id"]))["data"]]
    assert actions == ["monitor.cleared", "monitor.created"]


async def test_test_is_on_its_way_to_every_target(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    group = await made(client, "/v1/alert_groups", {"name": "On call", "emails": ["a@example.com"]})
    monitor = await make_monitor(client, notify=[{"webhook": HOOK}, {"group_id": group["id"]}])
    response = await client.post(f"/v1/monitors/{monitor['id']}/test")
    assert response.status_code == 202
    test = response.json()
    assert sorted((each["to"], each["state"], each["is_test"]) for each in test["deliveries"]) == [
        ("a@example.com", "pending", True),
        (HOOK, "pending", True),
    ]
    alert = await read(client, f"/v1/alerts/{test['alert_id']}")
    assert (alert["is_test"], alert["trigger"]["type"], alert["deliveries"]) == (True, "test", test["deliveries"])
    assert (await read(client, f"/v1/monitors/{monitor['id']}"))["triggered"] is False

    async def told() -> list[str]:
        return gateway.told

    assert await eventually(told) == ["now"]


async def test_what_somebody_does_is_announced_with_it(app: FastAPI, client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    await make_monitor(client, triggers=[{"type": "instance_disabled"}], instance_id=instance["id"])
    await client.post(f"/v1/instances/{instance['id']}/pause")
    await client.post(f"/v1/instances/{instance['id']}/unpause")
    await client.delete(f"/v1/instances/{instance['id']}", params={"confirm_name": instance["name"]})
    resources: Resources = app.state.resources
    async with resources.database.snapshot() as session:
        facts = list(await session.scalars(OutboxRow.__table__.select()))
    assert len(facts) == 1


async def test_removal_is_announced_with_names(app: FastAPI, client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    await make_monitor(client, triggers=[{"type": "instance_removed"}])
    await client.delete(f"/v1/instances/{instance['id']}", params={"confirm_name": instance["name"]})
    resources: Resources = app.state.resources
    async with resources.database.snapshot() as session:
        [fact] = (await session.execute(OutboxRow.__table__.select())).all()
    assert fact.kind == "instance.deleted"
    assert fact.fact["details"]["names"]["instance"]["name"] == instance["name"]


@pytest.mark.parametrize(
    ("query", "found"),
    [("q=FAIL", 1), ("q=zz", 0), ("name=Orders fail", 1), ("triggered=true", 0), ("enabled=true", 1), ("flow_id=f", 0)],
)
async def test_monitors_are_found(client: httpx2.AsyncClient, query: str, found: int) -> None:
    await make_monitor(client)
    assert len((await client.get(f"/v1/monitors?{query}")).json()["data"]) == found


async def test_scopes_are_asked_for(client: httpx2.AsyncClient) -> None:
    reading, executing = await make_key(client, "read"), await make_key(client, "execute")
    monitor = await make_monitor(client)
    path = f"/v1/monitors/{monitor['id']}"
    assert (await client.get(path, headers=reading)).status_code == 200
    for method, url in (
        ("POST", "/v1/monitors"),
        ("POST", f"{path}/clear"),
        ("POST", f"{path}/test"),
        ("DELETE", path),
    ):
        json = BODY if url == "/v1/monitors" else None
        assert (await client.request(method, url, json=json, headers=executing)).status_code == 403


async def test_secrets_of_webhooks_are_nowhere_to_be_read(app: FastAPI, client: httpx2.AsyncClient) -> None:
    given = "whsec_" + "A" * 32
    monitor = await make_monitor(client, notify=[{"webhook": HOOK, "secret": given, "headers": {"X-Key": "pa55word"}}])
    assert monitor["notify"][0]["secret"] == given
    read_back = [
        (await client.get(path)).text
        for path in (f"/v1/monitors/{monitor['id']}", "/v1/monitors", "/v1/audit", "/v1/logs")
    ]
    assert not any(given in text or "pa55word" in text for text in read_back)
    await client.patch(f"/v1/monitors/{monitor['id']}", json={"notify": [{"webhook": HOOK, "secret": "x" * 30}]})
    assert "x" * 30 not in (await client.get("/v1/audit")).text


# Maintenance windows


async def test_maintenance_window_is_announced_listed_and_called_off(client: httpx2.AsyncClient) -> None:
    begin = utcnow()
    body = {"from": instant(begin), "to": instant(begin + timedelta(hours=2)), "note": "The ERP moves"}
    window = await made(client, "/v1/maintenance_windows", body)
    assert {name: window[name] for name in body} == body
    assert (window["customer_id"], window["instance_id"]) == (None, None)
    assert await read(client, f"/v1/maintenance_windows/{window['id']}") == window
    assert (await read(client, "/v1/maintenance_windows"))["data"] == [window]
    assert (await client.delete(f"/v1/maintenance_windows/{window['id']}")).status_code == 204
    assert (await client.delete(f"/v1/maintenance_windows/{window['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"to": "2026-03-01T11:00:00Z"}, "#"),
        ({"customer_id": "cust_1"}, "#/customer_id"),
        ({"instance_id": "inst_1"}, "#/instance_id"),
        ({"customer_id": "cust_1", "instance_id": "inst_1"}, "#"),
        ({"from": "yesterday"}, "#/from"),
    ],
)
async def test_maintenance_window_that_makes_no_sense_is_refused(
    client: httpx2.AsyncClient, fields: Json, where: str
) -> None:
    body = {"from": "2026-03-01T12:00:00Z", "to": "2026-03-01T13:00:00Z"} | fields
    assert list(pointers(await client.post("/v1/maintenance_windows", json=body))) == [where]
