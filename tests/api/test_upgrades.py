"""Bulk upgrades: what is frozen, what a dry run says, and how people steer one."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from api.app import create_app
from runtime.clock import utcnow
from store.engine import Database
from store.jobs import Jobs
from tests.api.conftest import serving, settings_for
from tests.api.setup import (
    CONFIG,
    NEXT_VERSION,
    Json,
    deploy,
    made,
    make_customer,
    make_key,
    make_version,
    pointers,
    read,
)
from tests.fakes_gateway import FakeGateway

ALL = {"percent": 100}


@dataclass(frozen=True)
class Fleet:
    """Instances of one integration, all on its first version; a second one is published."""

    integration: str
    first: Json
    second: Json
    instances: list[Json]

    @property
    def path(self) -> str:
        return f"/v1/integrations/{self.integration}/upgrade"

    @property
    def ids(self) -> list[str]:
        return [instance["id"] for instance in self.instances]


async def make_fleet(client: httpx2.AsyncClient, size: int) -> Fleet:
    first, customer = await make_version(client), await make_customer(client)
    instances = [
        await made(
            client,
            "/v1/instances",
            {
                "customer_id": customer["id"],
                "integration_id": first["integration_id"],
                "name": f"Instance {number}",
                "config": CONFIG,
            },
        )
        for number in range(size)
    ]
    return Fleet(first["integration_id"], first, await make_version(client, NEXT_VERSION), instances)


async def upgrade(client: httpx2.AsyncClient, fleet: Fleet, **body: Any) -> Json:
    response = await client.post(fleet.path, json=body)
    assert response.status_code == 202, response.text
    assert response.headers["location"] == f"/v1/upgrades/{response.json()['id']}"
    found: Json = response.json()
    return found


async def items_of(client: httpx2.AsyncClient, upgrade_id: str, **query: Any) -> list[Json]:
    found: list[Json] = (await read(client, f"/v1/upgrades/{upgrade_id}/items", **query))["data"]
    return found


async def test_upgrade_is_a_job_to_the_latest_version(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    fleet = await make_fleet(client, 2)
    started = await upgrade(client, fleet)
    assert started["id"].startswith("upg_")
    wanted = {
        "kind": "upgrade",
        "state": "running",
        "stage": "queued",
        "integration_id": fleet.integration,
        "version": {"id": fleet.second["id"], "number": 2},
        "matched": 2,
        "total": 2,
        "done": 0,
        "failed": 0,
        "succeeded": 0,
        "skipped": 0,
        "rolled_back": 0,
        "ring": 1,
        "rings": [{"number": 1, "up_to": 2}],
        "redeploy": True,
        "stop_at_failure_percent": None,
        "observed": None,
        "items_url": f"/v1/upgrades/{started['id']}/items",
        "error": None,
    }
    assert started == started | wanted
    assert await read(client, f"/v1/upgrades/{started['id']}") == started
    job = await read(client, f"/v1/jobs/{started['id']}")
    assert started == started | job
    assert gateway.jobs == [started["id"]]
    events = await read(client, "/v1/audit", action="integration.upgrade_started")
    assert events["data"][0]["details"] == {"upgrade_id": started["id"], "version": 2, "matched": 2}


async def test_items_are_frozen_in_the_order_of_the_rings(client: httpx2.AsyncClient) -> None:
    fleet = await make_fleet(client, 4)
    await client.patch(f"/v1/instances/{fleet.ids[0]}", json={"version_id": fleet.second["id"]})
    started = await upgrade(client, fleet, rings=[{"count": 1}, ALL])
    assert (started["done"], started["skipped"], started["stop_at_failure_percent"]) == (1, 1, 20.0)
    items = await items_of(client, started["id"])
    assert [
        (each["position"], each["instance_id"], each["ring"], each["status"], each["reason"]) for each in items
    ] == [
        (1, fleet.ids[1], 1, "pending", None),
        (2, fleet.ids[2], 2, "pending", None),
        (3, fleet.ids[3], 2, "pending", None),
        (4, fleet.ids[0], 0, "skipped", "already_there"),
    ]
    assert (items[0]["from"]["number"], items[0]["to"]["number"]) == (1, 2)
    page = await read(client, f"/v1/upgrades/{started['id']}/items", limit=3)
    rest = await read(client, f"/v1/upgrades/{started['id']}/items", limit=3, cursor=page["next_cursor"])
    assert [each["position"] for each in page["data"] + rest["data"]] == [1, 2, 3, 4]
    assert [each["position"] for each in await items_of(client, started["id"], status="skipped")] == [4]


async def test_named_instances_go_in_the_order_given(client: httpx2.AsyncClient) -> None:
    fleet = await make_fleet(client, 3)
    wanted = [fleet.ids[2], fleet.ids[0], fleet.ids[2]]
    started = await upgrade(client, fleet, instance_ids=wanted, version_id=fleet.second["id"])
    assert [each["instance_id"] for each in await items_of(client, started["id"])] == [fleet.ids[2], fleet.ids[0]]


async def test_what_cannot_be_upgraded_is_skipped_with_a_reason(
    client: httpx2.AsyncClient, sqlite_database: Database
) -> None:
    fleet = await make_fleet(client, 3)
    await client.delete(f"/v1/instances/{fleet.ids[0]}", params={"confirm_name": "Instance 0"})
    await client.post(f"/v1/instances/{fleet.ids[1]}/suspend")
    started = await upgrade(client, fleet)
    reasons = {each["instance_id"]: each["reason"] for each in await items_of(client, started["id"])}
    assert reasons == {fleet.ids[0]: "deleting", fleet.ids[1]: "suspended", fleet.ids[2]: None}


async def test_dry_run_says_what_would_change_and_fail(app: FastAPI, client: httpx2.AsyncClient) -> None:
    fleet = await make_fleet(client, 3)
    for instance in fleet.instances[:2]:
        await deploy(app, instance)
    values = {"values": {"api_version": "v1"}}
    await client.patch(f"/v1/instances/{fleet.ids[0]}", json={"version_id": fleet.second["id"]})
    await client.patch(f"/v1/instances/{fleet.ids[0]}/config", json=values)
    response = await client.post(fleet.path, json={"dry_run": True})
    assert response.status_code == 200, response.text
    preview = response.json()
    assert (preview["matched"], preview["has_more"], preview["version"]["number"]) == (3, False, 2)
    first, second, third = preview["items"]
    assert (first["ok"], first["problems"], first["deploys"], first["from"]["number"]) == (True, [], True, 2)
    assert (first["flows_added"], first["flows_removed"]) == (["returned"], ["nightly", "setup"])
    assert first["unused_values"] == ["hook_secret", "shop"]
    assert (second["ok"], second["skipped"], second["from"]["number"], second["to"]["number"]) == (False, None, 1, 2)
    assert [(each["pointer"], each["code"]) for each in second["problems"]] == [("#/config/api_version", "missing")]
    assert (third["ok"], third["deploys"], len(third["problems"])) == (True, False, 1)
    assert (await read(client, f"/v1/instances/{fleet.ids[1]}"))["version"]["number"] == 1
    assert (await upgrade(client, fleet))["matched"] == 3  # the dry run is no upgrade under way


async def test_one_upgrade_of_an_integration_at_a_time(client: httpx2.AsyncClient) -> None:
    fleet = await make_fleet(client, 1)
    await upgrade(client, fleet)
    refused = await client.post(fleet.path, json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "upgrade_in_progress")


async def test_one_idempotency_key_is_one_upgrade(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    fleet = await make_fleet(client, 1)
    headers = {"Idempotency-Key": "upgrade-1"}
    first, again = [await client.post(fleet.path, headers=headers) for _ in range(2)]
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
    assert len(gateway.jobs) == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"rings": [{"count": 1}]}, "#/rings"),
        ({"rings": [{"count": 1, "percent": 5}, ALL]}, "#/rings/0"),
        ({"rings": [{}, ALL]}, "#/rings/0"),
        ({"rings": [{"percent": 101}]}, "#/rings/0/percent"),
        ({"rings": [{"count": 0}, ALL]}, "#/rings/0/count"),
        ({"rate_per_second": 0}, "#/rate_per_second"),
        ({"stop_at_failure_percent": 101}, "#/stop_at_failure_percent"),
        ({"watch_seconds": -1}, "#/watch_seconds"),
        ({"instance_ids": []}, "#/instance_ids"),
        ({"instance_ids": ["inst_gone"]}, "#/instance_ids/0"),
        ({"version_id": "ver_gone"}, "#/version_id"),
        ({"canary": 1}, "#/canary"),
    ],
)
async def test_upgrade_that_means_nothing_is_refused(client: httpx2.AsyncClient, body: Json, pointer: str) -> None:
    fleet = await make_fleet(client, 1)
    for dry_run in (False, True):
        assert list(pointers(await client.post(fleet.path, json=body | {"dry_run": dry_run}))) == [pointer]


async def test_unavailable_version_is_no_target(client: httpx2.AsyncClient) -> None:
    fleet = await make_fleet(client, 1)
    await client.patch(f"/v1/versions/{fleet.second['id']}", json={"available": False})
    refused = await client.post(fleet.path, json={"version_id": fleet.second["id"]})
    assert pointers(refused) == {"#/version_id": "version_unavailable"}
    assert (await upgrade(client, fleet))["version"]["number"] == 1


async def test_upgrade_is_paused_resumed_and_aborted(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    fleet = await make_fleet(client, 1)
    path = f"/v1/upgrades/{(await upgrade(client, fleet))['id']}"
    states = []
    for verb in ("pause", "pause", "resume", "abort", "abort"):
        shown = (await client.post(f"{path}/{verb}")).json()
        states.append((shown["state"], shown["stage"]))
    assert states == [
        ("paused", "queued"),
        ("paused", "queued"),
        ("running", "queued"),
        ("running", "aborting"),
        ("running", "aborting"),
    ]
    refused = await client.post(f"{path}/pause")
    assert (refused.status_code, refused.json()["code"]) == (409, "state_conflict")
    assert len(gateway.jobs) == 6  # told each time; the workflow asks the ledger
    told = [event["action"] for event in (await read(client, "/v1/audit", limit=3))["data"]]
    assert told == ["upgrade.aborted", "upgrade.resumed", "upgrade.paused"]


async def test_wish_that_temporal_did_not_hear_waits_for_upkeep(
    client: httpx2.AsyncClient, gateway: FakeGateway, sqlite_database: Database
) -> None:
    started = await upgrade(client, await make_fleet(client, 1))
    async with sqlite_database.transaction() as session:
        await Jobs(session).mark_handed_over(started["id"], utcnow())
    gateway.away = True
    assert (await client.post(f"/v1/upgrades/{started['id']}/pause")).json()["state"] == "paused"
    async with sqlite_database.snapshot() as session:
        waiting = await Jobs(session).pending_handover(utcnow() + timedelta(seconds=1), 10)
    assert [job.id for job in waiting] == [started["id"]]


async def test_upgrades_are_listed_and_filtered(client: httpx2.AsyncClient) -> None:
    fleet = await make_fleet(client, 2)
    first = await upgrade(client, fleet)
    await client.post(f"/v1/upgrades/{first['id']}/pause")
    shown = (await read(client, "/v1/upgrades"))["data"]
    assert shown == [await read(client, f"/v1/upgrades/{first['id']}")]
    for query, found in (
        ({"integration_id": fleet.integration, "state": "paused"}, 1),
        ({"integration_id": "intg_gone"}, 0),
        ({"state": ["running", "failed"]}, 0),
    ):
        assert len((await read(client, "/v1/upgrades", **query))["data"]) == found
    assert (await client.get("/v1/upgrades", params={"state": "done"})).status_code == 422


@pytest.mark.parametrize("path", ["", "/items"])
async def test_absent_upgrade_is_not_found(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.get(f"/v1/upgrades/upg_gone{path}")).status_code == 404


@pytest.mark.parametrize("verb", ["pause", "resume", "abort"])
async def test_absent_upgrade_cannot_be_steered(client: httpx2.AsyncClient, verb: str) -> None:
    assert (await client.post(f"/v1/upgrades/upg_gone/{verb}")).status_code == 404


async def test_items_refuse_a_made_up_cursor_and_filter(client: httpx2.AsyncClient) -> None:
    started = await upgrade(client, await make_fleet(client, 1))
    path = f"/v1/upgrades/{started['id']}/items"
    assert (await client.get(path, params={"cursor": "abc"})).status_code == 400
    assert (await client.get(path, params={"status": "done"})).status_code == 422


async def test_upgrades_want_their_scope(client: httpx2.AsyncClient) -> None:
    fleet = await make_fleet(client, 1)
    reader = await make_key(client, "execute")
    assert (await client.post(fleet.path, json={"dry_run": True}, headers=reader)).status_code == 403
    started = await upgrade(client, fleet)
    assert (await client.post(f"/v1/upgrades/{started['id']}/pause", headers=reader)).status_code == 403
    assert (await client.get(f"/v1/upgrades/{started['id']}", headers=reader)).status_code == 200


async def test_upgrade_is_asked_for_on_postgres_too(postgres_url: str) -> None:
    gateway = FakeGateway()
    async with serving(create_app(settings_for(postgres_url), gateway=gateway)) as client:
        fleet = await make_fleet(client, 2)
        assert (await client.post(fleet.path, json={"dry_run": True})).status_code == 200
        started = await upgrade(client, fleet, rings=[{"count": 1}, ALL])
        assert (await client.post(f"/v1/upgrades/{started['id']}/pause")).json()["state"] == "paused"
        assert [each["ring"] for each in await items_of(client, started["id"], limit=100)] == [1, 2]
