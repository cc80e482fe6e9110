"""What people see of a flow's queue and do with it; `tests/e2e/test_queues.py` has deliveries in it."""

from datetime import timedelta

import httpx2
from fastapi import FastAPI

from api.shapes import instant
from domain.definitions.model import Concurrency
from domain.queues import QUEUED_BEHIND, settings_of
from runtime.clock import utcnow
from store.instance_flows import InstanceFlows
from store.tables import ExecutionRow, InstanceRow
from tests import factories
from tests.api.setup import Json, make_instance
from tests.api.test_flows import flow_path
from tests.fakes_gateway import FakeGateway


def owner_of(instance: Json) -> InstanceRow:
    return factories.instance(
        factories.customer(id=instance["customer"]["id"]),
        factories.version(factories.integration(id=instance["integration"]["id"])),
        id=instance["id"],
        deployment_id="dep_1",
    )


async def fill(app: FastAPI, instance: Json, number: int) -> list[str]:
    """Its first flow is sequential, one of it runs, and so many wait."""
    async with app.state.resources.database.transaction() as session:
        flow = (await InstanceFlows(session).of_instance(instance["id"]))[0]
        flow.concurrency = settings_of(Concurrency(mode="sequential"))
        owner = owner_of(instance)
        running = factories.execution(owner, flow, queue_key="", status="running", handed_over_at=factories.NOW)
        rows = [factories.execution(owner, flow, queue_key="", reason=QUEUED_BEHIND) for _ in range(number)]
        await factories.save(session, running, *rows)
    return [row.id for row in rows]


async def test_what_waits_is_counted_and_listed_in_order(client: httpx2.AsyncClient, app: FastAPI) -> None:
    instance = await make_instance(client)
    ids = await fill(app, instance, 3)
    path = flow_path(instance)
    queue = (await client.get(path)).json()["queue"]
    oldest = queue.pop("oldest_waiting_at")
    assert (queue.pop("parked"), queue.pop("parked_until")) == (0, None)
    assert queue == {"mode": "sequential", "limit": 1, "waiting": 3, "running": 1, "paused": False}
    first = (await client.get(f"{path}/queue", params={"limit": 2})).json()
    rest = (await client.get(f"{path}/queue", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [each["execution_id"] for each in first["data"] + rest["data"]] == ids
    assert (first["data"][0]["queued_at"], rest["next_cursor"]) == (oldest, None)


async def test_pausing_is_recorded_once_and_resuming_tells_the_queue(
    client: httpx2.AsyncClient, app: FastAPI, gateway: FakeGateway
) -> None:
    instance = await make_instance(client)
    await fill(app, instance, 1)
    path = flow_path(instance)
    for _ in range(2):
        assert (await client.post(f"{path}/queue/pause")).json()["queue"]["paused"] is True
    assert gateway.nudged == []
    stale = await client.post(f"{path}/queue/resume", headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "version_conflict")
    assert (await client.post(f"{path}/queue/resume")).json()["queue"]["paused"] is False
    assert gateway.nudged == [path.removeprefix("/v1/flows/")]
    events = (await client.get("/v1/audit", params={"object_id": gateway.nudged[0]})).json()["data"]
    assert sorted(event["action"] for event in events) == ["flow.queue_paused", "flow.queue_resumed"]


async def test_what_waits_is_cleared(client: httpx2.AsyncClient, app: FastAPI) -> None:
    instance = await make_instance(client)
    (waiting,) = await fill(app, instance, 1)
    path = flow_path(instance)
    assert (await client.post(f"{path}/queue/clear")).json() == {"canceled": 1}
    async with app.state.resources.database.snapshot() as session:
        row = await session.get_one(ExecutionRow, waiting)
    assert (row.status, row.reason) == ("canceled", "canceled")
    assert (await client.post(f"{path}/queue/clear")).json() == {"canceled": 0}


async def test_a_parallel_flow_has_no_queue_to_pause(client: httpx2.AsyncClient) -> None:
    path = flow_path(await make_instance(client))
    response = await client.post(f"{path}/queue/pause")
    assert (response.status_code, response.json()["code"]) == (409, "no_queue")


async def test_a_parked_execution_is_seen_and_set_free_once(
    client: httpx2.AsyncClient, app: FastAPI, gateway: FakeGateway
) -> None:
    instance = await make_instance(client)
    await fill(app, instance, 1)
    path, until = flow_path(instance), utcnow() + timedelta(hours=1)
    async with app.state.resources.database.transaction() as session:
        flow = (await InstanceFlows(session).of_instance(instance["id"]))[0]
        version = factories.version(factories.integration(), id=instance["version"]["id"])
        await factories.save(session, factories.deployment(owner_of(instance), version, id="dep_1"))
        row = factories.execution(owner_of(instance), flow, queue_key="", status="failed", parked_until=until)
        await factories.save(session, row)
    queue = (await client.get(path)).json()["queue"]
    assert (queue["parked"], queue["parked_until"]) == (1, instant(until))
    [shown] = (await client.get("/v1/executions?parked=true")).json()["data"]
    assert (shown["id"], shown["parked_until"]) == (row.id, instant(until))
    unpark = f"/v1/executions/{row.id}/unpark"
    assert (await client.post(unpark, headers={"If-Match": '"1"'})).status_code == 412
    freed = await client.post(unpark)
    assert (freed.status_code, freed.json()["parked_until"], gateway.nudged) == (200, None, [flow.id])
    again = await client.post(unpark)
    assert (again.status_code, again.json()["code"]) == (409, "not_parked")
    events = (await client.get(f"/v1/instances/{instance['id']}/events")).json()["data"]
    assert events[0]["action"] == "execution.unparked"
