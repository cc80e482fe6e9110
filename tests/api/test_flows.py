from datetime import UTC, datetime, timedelta
from itertools import pairwise

import httpx2
import pytest
from fastapi import FastAPI

from runtime.crypto import hash_secret
from store.instance_flows import InstanceFlows
from tests import factories
from tests.api.setup import NEXT_VERSION, Json, deploy, make_instance, make_version, read


def flow_path(instance: Json, key: str = "order-created") -> str:
    return next(f"/v1/flows/{flow['id']}" for flow in instance["flows"] if flow["key"] == key)


async def save_executions(app: FastAPI, instance: Json, *statuses: str) -> list[str]:
    """Of its first flow, the last one noted as the flow's latest."""
    database = app.state.resources.database
    async with database.transaction() as session:
        flow = (await InstanceFlows(session).of_instance(instance["id"]))[0]
        owner = factories.instance(
            factories.customer(id=instance["customer"]["id"]),
            factories.version(factories.integration(id=instance["integration"]["id"])),
            id=instance["id"],
            deployment_id="dep_1",
        )
        rows = [factories.execution(owner, flow, status=status) for status in statuses]
        await factories.save(session, *rows)
        await InstanceFlows(session).note_ended(rows[-1], failed=statuses[-1] == "failed", at=factories.NOW)
    return [row.id for row in rows]


async def test_flow_before_the_first_deploy(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    response = await client.get(flow_path(instance))
    assert response.headers["etag"] == '"1"'
    flow = response.json()
    assert flow["webhook_url"].startswith("http://127.0.0.1:8700/hooks/")
    expected = {
        "key": "order-created",
        "name": "Order created",
        "instance_id": instance["id"],
        "trigger": "webhook",
        "previous_url_until": None,
        "security": {"api_key": "optional", "hmac": None},
        "schedule": None,
        "next_runs": [],
        "queue": {
            "mode": "parallel",
            "limit": None,
            "waiting": 0,
            "running": 0,
            "oldest_waiting_at": None,
            "paused": False,
            "parked": 0,
            "parked_until": None,
        },
        "last_execution": None,
        "in_failed_state": False,
        "active": True,
    }
    assert {name: flow[name] for name in expected} == expected
    assert flow == instance["flows"][0]


async def test_flows_come_in_definition_order_in_pages(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    path = f"/v1/instances/{instance['id']}/flows"
    whole = await read(client, path)
    assert [flow["key"] for flow in whole["data"]] == ["order-created", "nightly", "setup"]
    assert [flow["webhook_url"] is None for flow in whole["data"]] == [False, True, True]
    assert (whole["has_more"], whole["next_cursor"]) == (False, None)
    first = await read(client, path, limit=2)
    assert [flow["key"] for flow in first["data"]] == ["order-created", "nightly"]
    last = await read(client, path, limit=2, cursor=first["next_cursor"])
    assert ([flow["key"] for flow in last["data"]], last["has_more"]) == (["setup"], False)


async def test_schedule_is_shown_once_deployed_and_stops_with_a_pause(app: FastAPI, client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client, config={"shop": {"token": "t"}, "nightly": {"cron": "30 4 * * *"}})
    path = flow_path(instance, "nightly")
    assert (await read(client, path))["schedule"] is None
    await deploy(app, instance)
    flow = await read(client, path)
    assert flow["schedule"] == {"cron": "30 4 * * *", "time_zone": "UTC"}
    runs = [datetime.fromisoformat(run) for run in flow["next_runs"]]
    assert [run.strftime("%H:%M") for run in runs] == ["04:30"] * 3
    assert runs[0] > datetime.now(UTC) >= runs[0] - timedelta(days=1)
    assert [later - run for run, later in pairwise(runs)] == [timedelta(days=1)] * 2
    await client.post(f"/v1/instances/{instance['id']}/pause")
    paused = await read(client, path)
    assert (paused["schedule"], paused["next_runs"]) == (flow["schedule"], [])
    await client.post(f"/v1/instances/{instance['id']}/unpause")
    assert len((await read(client, path))["next_runs"]) == 3


async def test_flow_counts_what_has_not_ended_and_knows_the_last(app: FastAPI, client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    await deploy(app, instance)
    ids = await save_executions(app, instance, "succeeded", "running", "queued", "retrying", "failed")
    flow = await read(client, flow_path(instance))
    assert flow["queue"]["running"] == 3
    last = flow["last_execution"]
    assert (last["id"], last["status"], last["started_at"]) == (ids[-1], "failed", None)
    assert last["ended_at"] is not None
    assert flow["in_failed_state"]
    shown = await read(client, f"/v1/instances/{instance['id']}")
    assert shown["in_failed_state"]
    assert shown["last_execution_at"] is not None
    assert shown["flows"][0] == flow
    assert shown["flows"][1]["queue"]["running"] == 0


async def test_flow_that_the_deployed_version_lacks_is_inactive(app: FastAPI, client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client, config={"shop": {"token": "t"}})
    await deploy(app, instance)
    second = await make_version(client, NEXT_VERSION)
    await client.patch(f"/v1/instances/{instance['id']}", json={"version_id": second["id"]})
    await client.patch(f"/v1/instances/{instance['id']}/config", json={"values": {"api_version": "2"}})
    await deploy(app, instance)
    flows = (await read(client, f"/v1/instances/{instance['id']}/flows"))["data"]
    assert [flow["key"] for flow in flows] == ["order-created", "returned"]
    assert flows[0]["webhook_url"] == instance["flows"][0]["webhook_url"]
    assert flows[0]["security"] == {"api_key": None, "hmac": None}
    gone = await read(client, flow_path(instance, "nightly"))
    assert (gone["active"], gone["next_runs"]) == (False, [])


async def test_rotated_url_leaves_a_tombstone(app: FastAPI, client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    path, old = flow_path(instance), instance["flows"][0]["webhook_url"]
    response = await client.post(f"{path}/rotate_url", headers={"If-Match": '"1"'})
    assert (response.status_code, response.headers["etag"]) == (200, '"2"')
    new = response.json()["webhook_url"]
    assert new != old
    assert (await read(client, path))["webhook_url"] == new
    assert (await client.post(f"{path}/rotate_url", headers={"If-Match": '"1"'})).status_code == 412
    async with app.state.resources.database.snapshot() as session:
        flows = InstanceFlows(session)
        assert await flows.tombstone(old.rpartition("/")[2]) is not None
        assert await flows.tombstone(new.rpartition("/")[2]) is None
    events = await client.get(f"/v1/instances/{instance['id']}/events")
    assert events.json()["data"][0]["action"] == "flow.url_rotated"
    assert new.rpartition("/")[2] not in events.text


async def test_flow_without_a_webhook_has_no_url_to_rotate(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    response = await client.post(f"{flow_path(instance, 'nightly')}/rotate_url")
    assert (response.status_code, response.json()["code"]) == (409, "state_conflict")


async def test_api_key_is_shown_once_and_stored_as_a_hash(app: FastAPI, client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    path = f"{flow_path(instance)}/api_keys"
    response = await client.post(path, json={"name": "The shop"})
    assert response.status_code == 201
    created = response.json()
    assert created["id"].startswith("key_")
    assert created["name"] == "The shop"
    assert (await client.post(path)).json()["name"] is None
    listed = await client.get(path)
    assert [key["name"] for key in listed.json()["data"]] == [None, "The shop"]
    assert created["key"] not in listed.text
    async with app.state.resources.database.snapshot() as session:
        rows = await InstanceFlows(session).api_keys(instance["flows"][0]["id"])
    assert rows[0].hash == hash_secret(created["key"])
    events = await client.get(f"/v1/instances/{instance['id']}/events")
    assert events.json()["data"][1]["details"] == {"flow": "order-created", "key_id": created["id"]}
    assert created["key"] not in events.text


async def test_api_key_is_made_once_under_one_idempotency_key(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    path = f"{flow_path(instance)}/api_keys"
    headers = {"Idempotency-Key": "one-key"}
    first = await client.post(path, headers=headers)
    assert (await client.post(path, headers=headers)).json() == first.json()
    assert len((await read(client, path))["data"]) == 1


async def test_api_keys_are_listed_in_pages_and_deleted(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    path = f"{flow_path(instance)}/api_keys"
    for name in ("A", "B", "C"):
        await client.post(path, json={"name": name})
    first = await read(client, path, limit=2)
    assert [key["name"] for key in first["data"]] == ["C", "B"]
    assert [key["name"] for key in (await read(client, path, cursor=first["next_cursor"]))["data"]] == ["A"]
    other = f"{flow_path(instance, 'nightly')}/api_keys/{first['data'][0]['id']}"
    assert (await client.delete(other)).status_code == 404
    deleted = f"{path}/{first['data'][0]['id']}"
    assert (await client.delete(deleted)).status_code == 204
    assert (await client.delete(deleted)).status_code == 404
    assert [key["name"] for key in (await read(client, path))["data"]] == ["B", "A"]


@pytest.mark.parametrize("body", [{"name": ""}, {"name": 5}, {"names": "x"}])
async def test_api_key_refuses_another_shape(client: httpx2.AsyncClient, body: Json) -> None:
    instance = await make_instance(client)
    assert (await client.post(f"{flow_path(instance)}/api_keys", json=body)).status_code == 422


@pytest.mark.parametrize("path", ["", "/api_keys", "/test_payload"])
async def test_absent_flow_is_not_found(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.get(f"/v1/flows/flow_absent{path}")).status_code == 404
