"""Replays of many executions as a client asks for them, and the preview of one."""

from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, update

from api.resources import Resources
from domain.executions import Status, StepStatus
from runtime.clock import utcnow
from store.tables import Base, ExecutionRow, InstanceRow, PayloadRow, StepRow
from tests.api.hooks.kit import Made, definition, deliver, make
from tests.api.setup import Json, make_customer, make_key, pointers, read
from tests.fakes_gateway import FakeGateway

FLOW = """\
  - key: created
    trigger: {type: webhook, tags: {order: "{{ trigger.body.id }}"}}
    retry: {retries: 3, delay: 60s, unique_by: "{{ trigger.body.id }}"}
    steps:
      - {key: say, action: log.write, inputs: {message: Hello}}
      - {key: order, name: Fetch it, action: http.get, inputs: {url: "https://shop.example.com"}}
      - key: lines
        loop: {times: 2}
        steps:
          - key: size
            branch: [{name: Any, else: true, steps: [{key: ship, action: http.post, inputs: {url: "https://a.b"}}]}]
      - {key: done, action: http.post, inputs: {url: "https://shop.example.com"}}
"""
ALL: Json = {"filter": {"status": "failed"}}


@dataclass(frozen=True)
class Shop:
    app: FastAPI
    client: httpx2.AsyncClient
    made: Made

    async def delivered(self, **options: Any) -> str:
        response = await deliver(self.client, await self.made.url(), **options)
        assert response.status_code == 202, response.text
        return str(response.json()["execution_id"])

    async def failed(self, **of_execution: Any) -> str:
        execution_id = await self.delivered()
        values = {"status": Status.FAILED, "ended_at": utcnow(), "error": {"code": "http_status", "message": "500"}}
        await self.change(ExecutionRow, execution_id, **values | of_execution)
        return execution_id

    async def change(self, table: Any, row_id: str, **values: Any) -> None:
        resources: Resources = self.app.state.resources
        async with resources.database.transaction() as session:
            await session.execute(update(table).where(table.id == row_id).values(**values))

    async def forget(self, table: type[Base]) -> None:
        resources: Resources = self.app.state.resources
        async with resources.database.transaction() as session:
            await session.execute(delete(table))

    async def steps(self, execution_id: str, *paths: str) -> None:
        resources: Resources = self.app.state.resources
        async with resources.database.transaction() as session:
            for position, path in enumerate(paths):
                key = path.rpartition(".")[2]
                names = {"key": key, "name": key, "component": "http", "action": "get", "iteration": []}
                times = {"started_at": utcnow(), "position": position, "status": StepStatus.SUCCEEDED}
                session.add(StepRow(execution_id=execution_id, attempt=1, path=path, **names, **times))
            await session.flush()


@pytest.fixture
async def shop(app: FastAPI, client: httpx2.AsyncClient) -> Shop:
    return Shop(app, client, await make(app, client, definition(flows=FLOW)))


async def ask(client: httpx2.AsyncClient, key: str = "k1", **body: Any) -> Json:
    response = await client.post("/v1/replays", json=ALL | body, headers={"Idempotency-Key": key})
    assert response.status_code == 202, response.text
    assert response.headers["location"] == f"/v1/replays/{response.json()['id']}"
    found: Json = response.json()
    return found


async def test_replay_is_a_job_over_a_frozen_filter(
    client: httpx2.AsyncClient, gateway: FakeGateway, shop: Shop
) -> None:
    failed = [await shop.failed() for _ in range(2)]
    started = await ask(client, rate_per_second=5, stop_at_failure_percent=50, **{"from": "failed_step"})
    await shop.failed()
    wanted = {
        "kind": "replay",
        "state": "running",
        "stage": "queued",
        "matched": 2,
        "total": 2,
        "done": 0,
        "started": 0,
        "running": 0,
        "succeeded": 0,
        "failed": 0,
        "skipped": 0,
        "filter": {"status": ["failed"]},
        "version": "current",
        "from": "failed_step",
        "order": "oldest_first",
        "rate_per_second": 5.0,
        "stop_at_failure_percent": 50.0,
        "min_ended": 5,
        "items_url": f"/v1/replays/{started['id']}/items",
        "error": None,
    }
    assert started["id"].startswith("rply_")
    assert started == started | wanted
    assert await read(client, f"/v1/replays/{started['id']}") == started
    assert started == started | await read(client, f"/v1/jobs/{started['id']}")
    assert gateway.jobs == [started["id"]]
    items = (await read(client, f"/v1/replays/{started['id']}/items"))["data"]
    assert [(item["position"], item["execution_id"], item["status"]) for item in items] == [
        (1, failed[0], "pending"),
        (2, failed[1], "pending"),
    ]
    assert items[0] == items[0] | {"reason": None, "replayed_as": None, "error": None}
    page = await read(client, f"/v1/replays/{started['id']}/items", limit=1)
    rest = await read(client, f"/v1/replays/{started['id']}/items", limit=1, cursor=page["next_cursor"])
    assert ([page["has_more"], rest["has_more"]], rest["data"]) == ([True, False], items[1:])
    assert (await read(client, f"/v1/replays/{started['id']}/items", status="succeeded"))["data"] == []
    [event] = (await read(client, "/v1/audit", action="replay.started"))["data"]
    assert event["details"] == {"matched": 2, "filter": {"status": ["failed"]}}


async def test_replay_needs_an_idempotency_key(client: httpx2.AsyncClient, gateway: FakeGateway, shop: Shop) -> None:
    response = await client.post("/v1/replays", json=ALL)
    assert (response.status_code, response.json()["code"]) == (400, "idempotency_key_required")
    first, again = await ask(client), await ask(client)
    assert (first["id"], gateway.jobs) == (again["id"], [first["id"]])


async def test_dry_run_counts_and_shows_the_first_turns(
    client: httpx2.AsyncClient, gateway: FakeGateway, shop: Shop
) -> None:
    failed = [await shop.failed() for _ in range(12)]
    response = await client.post("/v1/replays", json=ALL | {"dry_run": True})
    assert response.status_code == 200
    told = response.json()
    assert (told["matched"], [each["id"] for each in told["sample"]]) == (12, failed[:10])
    assert told["sample"][0] == (await read(client, "/v1/executions", q=failed[0]))["data"][0]
    assert (gateway.jobs, (await read(client, "/v1/replays"))["data"]) == ([], [])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/filter"),
        ({"filter": {}}, "#/filter"),
        ({"filter": {"state": "failed"}}, "#/filter/state"),
        ({"filter": {"status": "odd"}}, "#/filter/status/0"),
        ({"filter": {"customer_id": ""}}, "#/filter"),
        ({"filter": {"tag": ["odd"]}}, "#/filter/tag/0"),
        (ALL | {"rate_per_second": 0}, "#/rate_per_second"),
        (ALL | {"order": "newest_first"}, "#/order"),
        (ALL | {"from": "middle"}, "#/from"),
        (ALL | {"stop_at_failure_percent": 101}, "#/stop_at_failure_percent"),
    ],
)
async def test_replay_that_means_nothing_is_refused(client: httpx2.AsyncClient, body: Json, pointer: str) -> None:
    assert pointer in pointers(await client.post("/v1/replays", json=body, headers={"Idempotency-Key": "k"}))


async def test_filters_are_those_of_the_list(client: httpx2.AsyncClient, shop: Shop) -> None:
    first = await shop.failed()
    await shop.failed(is_test=True)
    for wanted in (
        {"unresolved": True, "is_test": False},
        {"tag": "order:1", "status": ["failed"], "is_test": False},
        {"customer_id": [(await read(client, f"/v1/executions/{first}"))["customer"]["id"]], "is_test": False},
        {"started_before": "2000-01-01T00:00:00Z"},
    ):
        response = await client.post("/v1/replays", json={"filter": wanted, "dry_run": True})
        listed = (await read(client, "/v1/executions", **wanted))["data"]
        assert [each["id"] for each in response.json()["sample"]] == [each["id"] for each in listed[::-1]]


async def test_replay_is_paused_resumed_and_aborted(
    client: httpx2.AsyncClient, gateway: FakeGateway, shop: Shop
) -> None:
    await shop.failed()
    path = f"/v1/replays/{(await ask(client))['id']}"
    for verb, state, stage in (("pause", "paused", "queued"), ("resume", "running", "queued")):
        for _ in range(2):
            response = await client.post(f"{path}/{verb}")
            assert (response.status_code, response.json()["state"], response.json()["stage"]) == (200, state, stage)
    assert (await client.post(f"{path}/abort")).json()["stage"] == "aborting"
    assert (await client.post(f"{path}/resume")).status_code == 409
    assert len(gateway.jobs) == 6
    actions = [
        event["action"] for event in (await read(client, "/v1/audit", object_id=path.rpartition("/")[2]))["data"]
    ]
    assert actions == ["replay.aborted", "replay.resumed", "replay.paused", "replay.started"]
    assert [each["stage"] for each in (await read(client, "/v1/replays", state="running"))["data"]] == ["aborting"]
    assert (await client.post("/v1/replays/rply_none/pause")).status_code == 404


async def test_replaying_is_for_those_who_may_execute(client: httpx2.AsyncClient) -> None:
    reader = await make_key(client, "read")
    body = ALL | {"dry_run": True}
    assert (await client.post("/v1/replays", json=body, headers=reader)).status_code == 403
    executor = await make_key(client, "execute")
    assert (await client.post("/v1/replays", json=body, headers=executor)).status_code == 200


# One


def told(preview: Json) -> dict[str, tuple[str, bool, bool, int]]:
    return {
        step["path"]: (step["runs"], step["outside"], step["conditional"], step["succeeded"])
        for step in preview["steps"]
    }


async def test_preview_says_what_would_run_again(client: httpx2.AsyncClient, shop: Shop) -> None:
    execution_id = await shop.failed()
    await shop.steps(execution_id, "say", "order", "lines[0].size.ship")
    path = f"/v1/executions/{execution_id}/replay_preview"
    whole = await read(client, path)
    assert (whole["version"]["number"], whole["from"], whole["execution_id"]) == (1, "start", execution_id)
    assert told(whole) == {
        "say": ("again", False, False, 1),
        "order": ("again", True, False, 1),
        "lines.size.ship": ("again", True, True, 1),
        "done": ("again", True, False, 0),
    }
    resumed = await read(client, path, **{"from": "failed_step", "version": "original"})
    assert told(resumed) == {
        "say": ("kept", False, False, 1),
        "order": ("kept", True, False, 1),
        "lines.size.ship": ("partly", True, True, 1),
        "done": ("again", True, False, 0),
    }


async def test_what_cannot_be_replayed_says_so_before_and_when_it_is_tried(
    client: httpx2.AsyncClient, shop: Shop
) -> None:
    execution_id = await shop.failed()

    async def refusal(**how: str) -> str:
        before = await client.get(f"/v1/executions/{execution_id}/replay_preview", params=how)
        tried = await client.post(f"/v1/executions/{execution_id}/replay", json=how)
        assert (before.status_code, tried.status_code) == (409, 409)
        assert before.json()["code"] == tried.json()["code"]
        return str(tried.json()["code"])

    await shop.change(ExecutionRow, execution_id, step_values_removed_at=utcnow())
    assert await refusal(**{"from": "failed_step"}) == "payload_expired"
    assert (await client.get(f"/v1/executions/{execution_id}/replay_preview")).status_code == 200
    await shop.change(ExecutionRow, execution_id, status=Status.SUCCEEDED)
    assert await refusal(**{"from": "failed_step"}) == "not_replayable"
    await shop.change(InstanceRow, shop.made.id, suspended_at=utcnow())
    assert await refusal() == "instance_suspended"
    await shop.change(InstanceRow, shop.made.id, suspended_at=None)
    await shop.forget(PayloadRow)
    assert await refusal() == "payload_expired"


async def test_lineage_goes_both_ways(client: httpx2.AsyncClient, shop: Shop) -> None:
    execution_id = await shop.failed()
    replay = (await client.post(f"/v1/executions/{execution_id}/replay")).json()["execution_id"]
    assert (await read(client, f"/v1/executions/{replay}"))["replay_of"] == execution_id
    assert [each["id"] for each in (await read(client, f"/v1/executions/{execution_id}"))["replays"]] == [replay]
    assert (await client.post("/v1/executions/exec_none/replay")).status_code == 404
    assert (await client.get("/v1/executions/exec_none/replay_preview")).status_code == 404


# Retries that a newer delivery makes needless


async def waiting(shop: Shop, status: Status = Status.RETRYING, **options: Any) -> str:
    execution_id = await shop.delivered(**options)
    await shop.change(ExecutionRow, execution_id, status=status, next_attempt_at=utcnow(), attempt=1)
    return execution_id


@pytest.mark.parametrize("status", [Status.RETRYING, Status.QUEUED])  # the latter in its flow's queue
async def test_newer_delivery_cancels_the_pending_retry(
    client: httpx2.AsyncClient, gateway: FakeGateway, shop: Shop, status: Status
) -> None:
    older, other = await waiting(shop, status), await waiting(shop, json={"id": 2})
    running = await shop.delivered(json={"id": 3})
    newer = await shop.delivered()
    superseded = await read(client, f"/v1/executions/{older}")
    assert (superseded["status"], superseded["reason"]) == ("canceled", "superseded")
    assert (superseded["superseded_by"], superseded["next_attempt_at"]) == (newer, None)
    assert superseded["ended_at"] is not None
    detail = await read(client, f"/v1/executions/{newer}")
    assert (detail["supersedes"], detail["superseded_by"]) == ([older], None)
    assert gateway.deliveries[-1].supersedes == (older,)
    assert (await read(client, f"/v1/executions/{other}"))["status"] == "retrying"
    await shop.delivered(json={"id": 3})
    assert (await read(client, f"/v1/executions/{running}"))["status"] == "queued"


@pytest.mark.parametrize("body", [{}, {"id": None}, {"id": ""}])
async def test_delivery_about_nothing_makes_nothing_needless(
    client: httpx2.AsyncClient, shop: Shop, body: Json
) -> None:
    older = await waiting(shop, json=body)
    await shop.delivered(json=body)
    assert (await read(client, f"/v1/executions/{older}"))["status"] == "retrying"


async def test_other_customers_and_replays_are_not_concerned(
    app: FastAPI, client: httpx2.AsyncClient, shop: Shop
) -> None:
    older = await waiting(shop)
    others = await make(app, client, customer=await make_customer(client, "Other"), version=shop.made.version)
    await deliver(client, await others.url())
    await client.post(f"/v1/executions/{older}/replay")
    await client.post(f"/v1/flows/{(await shop.made.flow())['id']}/test", json={"body": {"id": 1}})
    assert (await read(client, f"/v1/executions/{older}"))["status"] == "retrying"
