"""`/v1/keys`: what is in use, and beginning a rotation."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from activities.state import state_context
from activities.vault import KEYED_HASH, data_key_row
from api.resources import Resources
from runtime.clock import utcnow
from runtime.crypto import DataKey, Keyring
from store.engine import Database
from store.tables import DataKeyRow, EventRow, JobRow, StateRow
from tests.api.setup import make_instance, make_key, pointers, read
from tests.factories import NOW, job, saved
from tests.fakes_gateway import FakeGateway

FOREIGN = Keyring([("foreign", b"3" * 32)])


@pytest.fixture
def rotated(app: FastAPI, client: httpx2.AsyncClient) -> Keyring:
    """The ring of an API that was restarted with a new key in front."""
    resources: Resources = app.state.resources
    keyring = Keyring([("k2", b"2" * 32), ("k1", bytes(32))], resources.keyring.hash_key)
    app.state.resources = replace(resources, keyring=keyring)
    return keyring


async def keys(client: httpx2.AsyncClient) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in (await read(client, "/v1/keys"))["data"]}


async def rotate(client: httpx2.AsyncClient, **body: Any) -> httpx2.Response:
    return await client.post("/v1/keys/rotate", json=body)


async def test_fresh_server_has_its_key_in_use(client: httpx2.AsyncClient) -> None:
    answer = await read(client, "/v1/keys")
    assert (answer["next_cursor"], answer["has_more"]) == (None, False)
    [key] = answer["data"]
    assert key == {
        "id": "k1",
        "primary": True,
        "on_ring": True,
        "data_keys": 1,
        "values": {},
        "histories": True,
        "removable": False,
    }


async def test_values_are_counted_under_their_keys(
    client: httpx2.AsyncClient, rotated: Keyring, sqlite_database: Database
) -> None:
    instance = await make_instance(client)
    for number, ring in enumerate([Keyring([("k1", bytes(32))]), FOREIGN, FOREIGN]):
        value = ring.encrypt_json(number, state_context("instance", instance["id"], f"n{number}"))
        where = {"scope": "instance", "owner_id": instance["id"], "instance_id": instance["id"]}
        await saved(sqlite_database, StateRow(key=f"n{number}", value=value, updated_at=NOW, **where))
    found = await keys(client)
    assert list(found) == ["k2", "k1", "foreign"]
    assert [found[key_id]["values"].get("state.value", 0) for key_id in found] == [0, 1, 2]
    assert [found[key_id]["on_ring"] for key_id in found] == [True, True, False]
    assert [found[key_id]["primary"] for key_id in found] == [True, False, False]
    assert [found[key_id]["removable"] for key_id in found] == [False, False, False]


async def test_key_that_data_keys_are_under_is_listed_without_being_on_the_ring(
    client: httpx2.AsyncClient, sqlite_database: Database
) -> None:
    await saved(sqlite_database, data_key_row(FOREIGN, DataKey.fresh("dk_1", "cust_1"), 1))
    assert (await keys(client))["foreign"]["data_keys"] == 1


async def test_key_is_removable_when_histories_are_gone_too(
    client: httpx2.AsyncClient, rotated: Keyring, sqlite_database: Database
) -> None:
    async with sqlite_database.transaction() as session:
        row = await session.scalar(select(DataKeyRow).where(DataKeyRow.owner == KEYED_HASH))
        assert row is not None
        row.wrapped_by = "k2"
    assert (await keys(client))["k1"]["removable"] is False
    ended = job(kind="rotate_keys", object_id="keys", state="succeeded", input={"primary": "k2"})
    ended.created_at = utcnow() - timedelta(days=13)
    await saved(sqlite_database, ended)
    assert (await keys(client))["k1"]["removable"] is False
    async with sqlite_database.transaction() as session:
        (await session.get_one(JobRow, ended.id)).created_at = utcnow() - timedelta(days=15)
    assert (await keys(client))["k1"]["removable"] is True
    await saved(sqlite_database, job(kind="upgrade", state="paused"))
    assert (await keys(client))["k1"]["histories"] is True


async def test_rotation_is_a_job(
    client: httpx2.AsyncClient, gateway: FakeGateway, sqlite_database: Database, rotated: Keyring
) -> None:
    response = await rotate(client, data_keys=True)
    assert response.status_code == 202, response.text
    begun = response.json()
    assert response.headers["Location"] == f"/v1/jobs/{begun['id']}"
    assert (begun["kind"], begun["state"], begun["object_id"]) == ("rotate_keys", "running", "keys")
    assert gateway.jobs == [begun["id"]]
    async with sqlite_database.snapshot() as session:
        row = await session.get_one(JobRow, begun["id"])
        event = (await session.scalars(select(EventRow))).one()
    assert row.input is not None
    assert (row.input["primary"], row.input["data_keys"], row.input["customer_id"]) == ("k2", True, None)
    assert (event.action, event.details["job_id"]) == ("keys.rotation_begun", begun["id"])


async def test_rotation_under_way_keeps_another_off_while_it_moves(
    client: httpx2.AsyncClient, sqlite_database: Database
) -> None:
    first = (await rotate(client)).json()["id"]
    refused = await rotate(client)
    assert (refused.status_code, refused.json()["code"]) == (409, "rotation_under_way")
    assert first in refused.json()["detail"]
    async with sqlite_database.transaction() as session:
        (await session.get_one(JobRow, first)).updated_at = utcnow() - timedelta(minutes=11)
    assert (await rotate(client)).status_code == 202


async def test_rotation_of_a_customer(client: httpx2.AsyncClient) -> None:
    customer_id = (await make_instance(client))["customer"]["id"]
    assert pointers(await rotate(client, customer_id=customer_id)) == {"#/customer_id": "needs_data_keys"}
    absent = await rotate(client, customer_id="cust_absent", data_keys=True)
    assert pointers(absent) == {"#/customer_id": "not_found"}
    begun = (await rotate(client, customer_id=customer_id, data_keys=True)).json()
    assert begun["object_id"] == customer_id


async def test_dry_run_says_how_much_there_is_to_do(
    client: httpx2.AsyncClient, gateway: FakeGateway, rotated: Keyring
) -> None:
    instance = await make_instance(client)
    plan = await rotate(client, dry_run=True)
    assert plan.status_code == 200
    assert plan.json()["stages"]["data_keys"] == 2
    assert plan.json()["stages"]["config_values.secret"] == 0
    assert plan.json()["total"] == sum(plan.json()["stages"].values())
    fresh = (await rotate(client, dry_run=True, data_keys=True)).json()
    assert fresh["stages"]["config_values.secret"] == 2
    mine = (await rotate(client, dry_run=True, data_keys=True, customer_id=instance["customer"]["id"])).json()
    assert (mine["total"], "data_keys" in mine["stages"]) == (2, False)
    assert gateway.jobs == []


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/keys"), ("POST", "/v1/keys/rotate")])
async def test_keys_are_for_admins(client: httpx2.AsyncClient, method: str, path: str) -> None:
    headers = await make_key(client, "write")
    body = b"{}" if method == "POST" else None
    assert (await client.request(method, path, content=body, headers=headers)).status_code == 403
