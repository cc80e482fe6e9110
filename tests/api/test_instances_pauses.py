import asyncio
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from store.engine import Database
from store.instance_flows import InstanceFlows
from store.tables import ExecutionRow, JobRow
from tests.api.setup import Json, deploy, make_instance, read
from tests.fakes_gateway import FakeGateway

DEFINITIONS = [("pause", {"mode": "lose"}), ("pause", {"note": 5}), ("pause", {"notes": "x"})]
RATES = [0, -1, 0.001, 1001, "NaN", "fast"]


@pytest.fixture
async def shop(app: FastAPI, client: httpx2.AsyncClient) -> Json:
    """A deployed instance whose schedules Temporal knows."""
    instance = await make_instance(client)
    await deploy(app, instance)
    await synced(app, instance)
    return await read(client, f"/v1/instances/{instance['id']}")


async def dirty(app: FastAPI, instance: Json) -> list[str]:
    async with app.state.resources.database.snapshot() as session:
        flows = await InstanceFlows(session).of_instance(instance["id"])
    return [flow.key for flow in flows if flow.schedule_dirty]


async def synced(app: FastAPI, instance: Json) -> None:
    """As the worker leaves it once Temporal is in line."""
    async with app.state.resources.database.transaction() as session:
        for flow in await InstanceFlows(session).of_instance(instance["id"]):
            flow.schedule_dirty = False


async def act(client: httpx2.AsyncClient, instance: Json, verb: str, body: Json | None = None) -> Json:
    response = await client.post(f"/v1/instances/{instance['id']}/{verb}", json=body or {})
    assert response.status_code == 200, response.text
    shown: Json = response.json()
    return shown


async def deliver(client: httpx2.AsyncClient, instance: Json) -> httpx2.Response:
    [url] = [flow["webhook_url"] for flow in instance["flows"] if flow["key"] == "order-created"]
    return await client.post(httpx2.URL(url).path, json={"id": 7})


async def rows(app: FastAPI) -> list[ExecutionRow]:
    database: Database = app.state.resources.database
    async with database.snapshot() as session:
        found = await session.scalars(ExecutionRow.__table__.select().with_only_columns(ExecutionRow.id))
        return [await session.get_one(ExecutionRow, each) for each in sorted(found)]


async def actions(client: httpx2.AsyncClient, instance: Json) -> list[str]:
    events = await read(client, f"/v1/instances/{instance['id']}/events")
    return [event["action"] for event in events["data"]]


async def test_pause_and_unpause_switch_the_instance_and_its_schedules(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway, shop: Json
) -> None:
    path = f"/v1/instances/{shop['id']}"
    paused = await client.post(f"{path}/pause", json={"mode": "drop", "note": "The shop is moving"})
    assert (paused.status_code, paused.headers["etag"]) == (200, '"2"')
    shown = paused.json()
    assert (shown["enabled"], shown["pause_mode"], shown["pause_note"]) == (False, "drop", "The shop is moving")
    assert await dirty(app, shop) == ["nightly"]
    assert gateway.synced == [shop["id"]]
    assert {flow["key"]: flow["next_runs"] for flow in shown["flows"]}["nightly"] == []
    await synced(app, shop)
    going = await act(client, shop, "unpause", {"drain": {"keep": "all"}})
    assert (going["enabled"], going["pause_mode"], going["pause_note"]) == (True, None, None)
    assert (going["held_count"], going["drain_job_id"]) == (0, None)
    assert await dirty(app, shop) == ["nightly"]
    assert (await actions(client, shop))[:2] == ["instance.unpaused", "instance.paused"]
    assert "moving" not in str(await read(client, f"{path}/events"))
    assert gateway.jobs == []


async def test_pausing_twice_is_one_pause(client: httpx2.AsyncClient, shop: Json) -> None:
    path = f"/v1/instances/{shop['id']}"
    first = await client.post(f"{path}/pause", json={"mode": "hold"})
    second = await client.post(f"{path}/pause", json={"note": "Later"})
    assert (second.status_code, second.json(), second.headers["etag"]) == (200, first.json(), '"2"')
    await client.post(f"{path}/unpause")
    again = await client.post(f"{path}/unpause")
    assert (again.status_code, again.headers["etag"]) == (200, '"3"')
    found = await actions(client, shop)
    assert (found.count("instance.paused"), found.count("instance.unpaused")) == (1, 1)


async def test_mode_of_a_pause_is_changed_and_back(client: httpx2.AsyncClient, shop: Json) -> None:
    assert (await act(client, shop, "pause", {"note": "Stocktaking"}))["pause_mode"] == "drop"
    assert (await deliver(client, shop)).json()["code"] == "instance_paused"
    held = await act(client, shop, "pause", {"mode": "hold"})
    assert (held["pause_mode"], held["pause_note"]) == ("hold", "Stocktaking")
    assert (await deliver(client, shop)).status_code == 202
    back = await act(client, shop, "pause", {"mode": "drop", "note": "For good"})
    assert (back["pause_mode"], back["pause_note"], back["held_count"]) == ("drop", "For good", 1)
    assert (await deliver(client, shop)).json()["code"] == "instance_paused"


async def test_pause_holds_while_temporal_is_away(client: httpx2.AsyncClient, gateway: FakeGateway, shop: Json) -> None:
    gateway.away = True
    assert (await act(client, shop, "pause"))["enabled"] is False


async def test_held_delivery_is_accepted_visible_and_not_handed_over(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway, shop: Json
) -> None:
    await act(client, shop, "pause", {"mode": "hold"})
    accepted = await deliver(client, shop)
    assert (accepted.status_code, accepted.json()["duplicate"]) == (202, False)
    assert gateway.deliveries == []
    shown = await read(client, f"/v1/executions/{accepted.json()['execution_id']}")
    assert (shown["status"], shown["reason"], shown["attempt"]) == ("queued", "held", 0)
    [listed] = (await read(client, "/v1/executions", instance_id=shop["id"], status="queued", trigger="webhook"))[
        "data"
    ]
    assert listed["reason"] == "held"
    assert (await read(client, f"/v1/instances/{shop['id']}"))["held_count"] == 1
    assert (await read(client, "/v1/instances", q=shop["name"]))["data"][0]["held_count"] == 1
    flow = next(flow for flow in shop["flows"] if flow["key"] == "order-created")
    queue = (await read(client, f"/v1/flows/{flow['id']}"))["queue"]
    assert (queue["waiting"], queue["running"]) == (1, 0)


async def test_tests_and_replays_run_at_once_while_paused(
    client: httpx2.AsyncClient, gateway: FakeGateway, shop: Json
) -> None:
    await act(client, shop, "pause", {"mode": "hold"})
    original = (await deliver(client, shop)).json()["execution_id"]
    flow = next(flow for flow in shop["flows"] if flow["key"] == "order-created")
    assert (await client.post(f"/v1/flows/{flow['id']}/test", json={"body": {}})).status_code == 202
    assert (await client.post(f"/v1/executions/{original}/replay", json={})).status_code == 202
    assert len(gateway.handed_over) == 2


async def test_unpause_drains_what_was_held(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway, shop: Json
) -> None:
    await act(client, shop, "pause", {"mode": "hold"})
    for _ in range(2):
        await deliver(client, shop)
    shown = await act(client, shop, "unpause", {"drain": {"rate_per_second": 5, "keep": "latest"}})
    assert (shown["enabled"], shown["held_count"]) == (True, 2)
    assert gateway.jobs == [shown["drain_job_id"]]
    job = await read(client, f"/v1/jobs/{shown['drain_job_id']}")
    assert (job["kind"], job["object_id"], job["state"], job["total"]) == ("drain", shop["id"], "running", 2)
    async with app.state.resources.database.snapshot() as session:
        row = await session.get_one(JobRow, job["id"])
        assert row.input == {"rate_per_second": 5.0, "keep": "latest", "up_to": 0}
    event = (await read(client, f"/v1/instances/{shop['id']}/events"))["data"][0]
    assert event["details"] == {"rate_per_second": 5.0, "keep": "latest"}


async def test_delivery_during_a_drain_queues_behind_it(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway, shop: Json
) -> None:
    await act(client, shop, "pause", {"mode": "hold"})
    await deliver(client, shop)
    await act(client, shop, "unpause")
    assert (await deliver(client, shop)).status_code == 202
    assert gateway.deliveries == []
    assert [row.held for row in await rows(app) if row.held is not None] == [0, 1]
    again = await act(client, shop, "unpause", {"drain": {"keep": "none"}})
    assert (again["held_count"], gateway.jobs) == (2, [again["drain_job_id"]])


async def test_pause_during_a_drain_stops_it(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway, shop: Json
) -> None:
    await act(client, shop, "pause", {"mode": "hold"})
    await deliver(client, shop)
    first = (await act(client, shop, "unpause"))["drain_job_id"]
    shown = await act(client, shop, "pause")
    assert (shown["held_count"], shown["drain_job_id"], shown["pause_mode"]) == (1, None, "drop")
    assert (await read(client, f"/v1/jobs/{first}"))["state"] == "aborted"
    second = (await act(client, shop, "unpause"))["drain_job_id"]
    assert second not in (None, first)


async def test_held_execution_is_canceled_at_once(app: FastAPI, client: httpx2.AsyncClient, shop: Json) -> None:
    await act(client, shop, "pause", {"mode": "hold"})
    execution_id = (await deliver(client, shop)).json()["execution_id"]
    assert (await client.post(f"/v1/executions/{execution_id}/cancel")).json()["status"] == "canceled"
    assert (await act(client, shop, "unpause"))["drain_job_id"] is None


async def test_deliveries_beside_an_unpause_are_never_stuck(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway, shop: Json
) -> None:
    """Each is handed over, or held for the drain that is under way."""
    await act(client, shop, "pause", {"mode": "hold"})
    unpausing = asyncio.create_task(act(client, shop, "unpause"))
    answers = await asyncio.gather(*(deliver(client, shop) for _ in range(10)))
    shown = await unpausing
    assert {answer.status_code for answer in answers} == {202}
    held = [row for row in await rows(app) if row.held is not None]
    assert len(gateway.deliveries) + len(held) == 10
    assert not held or shown["drain_job_id"] is not None


@pytest.mark.parametrize("rate", RATES)
async def test_rate_that_is_none_is_refused(client: httpx2.AsyncClient, shop: Json, rate: Any) -> None:
    body = {"drain": {"rate_per_second": rate}}
    refused = await client.post(f"/v1/instances/{shop['id']}/unpause", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "#/drain/rate_per_second")


@pytest.mark.parametrize(
    ("verb", "body"), [*DEFINITIONS, ("unpause", {"drain": {"keep": "some"}}), ("suspend", {"x": 1})]
)
async def test_another_shape_is_refused(client: httpx2.AsyncClient, shop: Json, verb: str, body: Json) -> None:
    assert (await client.post(f"/v1/instances/{shop['id']}/{verb}", json=body)).status_code == 422


async def test_suspended_instance_begins_nothing(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway, shop: Json
) -> None:
    original = (await deliver(client, shop)).json()["execution_id"]
    flow = next(flow for flow in shop["flows"] if flow["key"] == "order-created")
    await synced(app, shop)
    shown = await act(client, shop, "suspend", {"note": "Floods its target"})
    assert (shown["suspended"], shown["suspension_note"], shown["enabled"]) == (True, "Floods its target", True)
    assert [each["next_runs"] for each in shown["flows"] if each["key"] == "nightly"] == [[]]
    assert await dirty(app, shop) == ["nightly"]
    refused = [
        await deliver(client, shop),
        await client.post(f"/v1/flows/{flow['id']}/test", json={"body": {}}),
        await client.post(f"/v1/executions/{original}/replay", json={}),
        await client.post(f"/v1/instances/{shop['id']}/deploy"),
    ]
    assert [(each.status_code, each.json()["code"]) for each in refused] == [(409, "instance_suspended")] * 4
    assert (await read(client, "/v1/instances", suspended=True))["data"][0]["id"] == shop["id"]
    assert (await read(client, "/v1/instances", suspended=False))["data"] == []
    assert (await read(client, "/v1/instances", state="suspended"))["data"][0]["id"] == shop["id"]

    await act(client, shop, "suspend", {"note": "Again"})
    going = await act(client, shop, "resume")
    assert (going["suspended"], going["suspension_note"], going["enabled"]) == (False, None, True)
    assert (await deliver(client, shop)).status_code == 202
    await act(client, shop, "resume")
    found = await actions(client, shop)
    assert (found.count("instance.suspended"), found.count("instance.resumed")) == (1, 1)


async def test_suspension_leaves_a_pause_as_it_is(client: httpx2.AsyncClient, shop: Json) -> None:
    await act(client, shop, "suspend")
    assert (await act(client, shop, "pause", {"mode": "hold"}))["enabled"] is False
    refused = await client.post(f"/v1/instances/{shop['id']}/unpause")
    assert (refused.status_code, refused.json()["code"]) == (409, "instance_suspended")
    shown = await act(client, shop, "resume")
    assert (shown["enabled"], shown["pause_mode"]) == (False, "hold")


async def test_drain_that_a_suspension_stops_goes_on_when_it_ends(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway, shop: Json
) -> None:
    await act(client, shop, "pause", {"mode": "hold"})
    await deliver(client, shop)
    first = (await act(client, shop, "unpause", {"drain": {"rate_per_second": 3, "keep": "latest"}}))["drain_job_id"]
    assert (await act(client, shop, "suspend"))["drain_job_id"] is None
    assert (await read(client, f"/v1/jobs/{first}"))["state"] == "aborted"
    second = (await act(client, shop, "resume"))["drain_job_id"]
    assert gateway.jobs == [first, second]
    async with app.state.resources.database.snapshot() as session:
        jobs = [await session.get_one(JobRow, job_id) for job_id in (first, second)]
    assert jobs[0].input == jobs[1].input


async def test_suspending_wants_an_admin(client: httpx2.AsyncClient, shop: Json) -> None:
    key = (await client.post("/v1/api_keys", json={"name": "Writer", "scopes": ["write"]})).json()["key"]
    headers = {"Authorization": f"Bearer {key}"}
    for verb in ("suspend", "resume"):
        refused = await client.post(f"/v1/instances/{shop['id']}/{verb}", headers=headers)
        assert refused.status_code == 403


async def test_stale_etag_is_refused(client: httpx2.AsyncClient, shop: Json) -> None:
    for verb in ("pause", "unpause", "suspend", "resume"):
        refused = await client.post(f"/v1/instances/{shop['id']}/{verb}", headers={"If-Match": '"99"'})
        assert refused.status_code == 412
