"""State by the API: of each kind of owner, beside the steps that write it too."""

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from activities.records import Owner
from activities.state import TransactionState
from api.resources import Resources
from components.base import Scope
from store.engine import Database
from store.state import LARGEST
from store.tables import ExecutionRow, InstanceRow, StateRow
from tests.api.setup import make_key
from tests.factories import Deployed, deployed, execution, saved

NOUNS = ("executions", "flows", "instances", "integrations")
SCOPES: dict[str, Scope] = {
    "executions": "execution",
    "flows": "flow",
    "instances": "instance",
    "integrations": "integration",
}


@pytest.fixture
async def made(client: httpx2.AsyncClient, sqlite_database: Database) -> Deployed:
    async with sqlite_database.transaction() as session:
        return await deployed(session)


@pytest.fixture
async def row(made: Deployed, sqlite_database: Database) -> ExecutionRow:
    found = execution(made.instance, made.flow)
    await saved(sqlite_database, found)
    return found


@pytest.fixture
def paths(made: Deployed, row: ExecutionRow) -> dict[str, str]:
    ids = (row.id, made.flow.id, made.instance.id, made.integration.id)
    return {noun: f"/v1/{noun}/{owner_id}/state" for noun, owner_id in zip(NOUNS, ids, strict=True)}


async def put(client: httpx2.AsyncClient, path: str, value: Any, **headers: str) -> httpx2.Response:
    return await client.put(path, json={"value": value}, headers=headers)


@pytest.mark.parametrize("noun", NOUNS)
async def test_values_are_set_read_listed_and_forgotten(
    client: httpx2.AsyncClient, paths: dict[str, str], noun: str
) -> None:
    path = paths[noun]
    for key, value in (("b/c.d", [1, {"x": None}]), ("a", "ä"), ("n", None)):
        answer = await put(client, f"{path}/{key}", value)
        assert (answer.status_code, answer.json()["value"], answer.json()["scope"]) == (200, value, SCOPES[noun])
    listed = (await client.get(path)).json()
    assert [(each["key"], each["value"]) for each in listed["data"]] == [
        ("a", "ä"),
        ("b/c.d", [1, {"x": None}]),
        ("n", None),
    ]
    first = (await client.get(path, params={"limit": 1})).json()
    assert (first["has_more"], first["data"][0]["key"]) == (True, "a")
    rest = (await client.get(path, params={"limit": 5, "cursor": first["next_cursor"]})).json()
    assert [each["key"] for each in rest["data"]] == ["b/c.d", "n"]
    assert (await client.get(f"{path}/b/c.d")).json()["value"] == [1, {"x": None}]
    assert (await client.delete(f"{path}/a")).status_code == 204
    assert (await client.get(f"{path}/a")).status_code == 404
    assert (await client.delete(f"{path}/a")).status_code == 404
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).json()["data"] == []


async def test_what_steps_write_and_what_people_write_is_one(
    client: httpx2.AsyncClient, app: FastAPI, paths: dict[str, str], row: ExecutionRow, sqlite_database: Database
) -> None:
    resources: Resources = app.state.resources
    owner = Owner(row.id, row.instance_flow_id, row.instance_id, row.customer_id)
    for noun in NOUNS:
        await put(client, f"{paths[noun]}/n", 1)
    async with sqlite_database.transaction() as session:
        held = TransactionState(session, resources.keyring, owner)
        for scope in SCOPES.values():
            assert await held.get(scope, "n") == 1
            await held.put(scope, "n", scope)
    assert [(await client.get(f"{paths[noun]}/n")).json()["value"] for noun in NOUNS] == list(SCOPES.values())


async def test_write_of_a_step_makes_an_etag_stale(
    client: httpx2.AsyncClient, app: FastAPI, paths: dict[str, str], row: ExecutionRow, sqlite_database: Database
) -> None:
    path = f"{paths['flows']}/n"
    tag = (await put(client, path, 1)).headers["etag"]
    assert (await client.get(path)).headers["etag"] == tag
    fresh = (await put(client, path, 2, **{"If-Match": tag})).headers["etag"]
    owner = Owner(row.id, row.instance_flow_id, row.instance_id, row.customer_id)
    async with sqlite_database.transaction() as session:
        await TransactionState(session, app.state.resources.keyring, owner).put("flow", "n", 3)
    stale = await put(client, path, 4, **{"If-Match": fresh})
    assert (stale.status_code, stale.json()["code"]) == (412, "version_conflict")
    assert (await client.delete(path, headers={"If-Match": fresh})).status_code == 412
    assert (await client.get(path)).json()["value"] == 3


async def test_large_values_are_fetched_by_themselves(client: httpx2.AsyncClient, paths: dict[str, str]) -> None:
    path, value = paths["instances"], "x" * 70_000
    await put(client, f"{path}/large", value)
    [listed] = (await client.get(path)).json()["data"]
    assert (listed["value"], listed["truncated"]) == (None, True)
    assert listed["size"] > 70_000
    whole = (await client.get(f"{path}/large")).json()
    assert (whole["value"], whole["truncated"]) == (value, False)


async def test_there_is_a_limit(client: httpx2.AsyncClient, paths: dict[str, str], sqlite_database: Database) -> None:
    await put(client, f"{paths['flows']}/n", 1)
    async with sqlite_database.transaction() as session:
        await session.execute(update(StateRow).values(size=LARGEST))  # as if it were that large
    refused = await put(client, f"{paths['instances']}/m", 1)
    assert (refused.status_code, refused.json()["code"]) == (413, "state_full")
    assert (await client.get(paths["instances"])).json()["data"] == []


async def test_who_changed_it_is_on_record_and_what_it_was_is_not(
    client: httpx2.AsyncClient, paths: dict[str, str], made: Deployed
) -> None:
    await put(client, f"{paths['instances']}/n", "nobody-may-see")
    await client.delete(f"{paths['instances']}/n")
    await client.delete(paths["integrations"])
    events = (await client.get("/v1/audit", params={"limit": 3})).json()
    assert [(each["action"], each["object_id"], each["details"]) for each in events["data"]] == [
        ("state.cleared", made.integration.id, {"scope": "integration", "removed": 0}),
        ("state.deleted", made.instance.id, {"scope": "instance", "key": "n"}),
        ("state.changed", made.instance.id, {"scope": "instance", "key": "n"}),
    ]
    assert "nobody-may-see" not in str(events)


@pytest.mark.parametrize("noun", NOUNS)
async def test_state_of_nothing(client: httpx2.AsyncClient, noun: str) -> None:
    for answer in (
        await client.get(f"/v1/{noun}/gone_1/state"),
        await client.get(f"/v1/{noun}/gone_1/state/n"),
        await put(client, f"/v1/{noun}/gone_1/state/n", 1),
        await client.delete(f"/v1/{noun}/gone_1/state"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_bad_input_is_refused(client: httpx2.AsyncClient, paths: dict[str, str]) -> None:
    path = paths["flows"]
    assert (await put(client, f"{path}/{'k' * 201}", 1)).status_code == 422
    assert (await client.put(f"{path}/n", json={})).status_code == 422
    assert (await client.put(f"{path}/n", json={"value": 1, "scope": "flow"})).status_code == 422
    assert (await client.get(path, params={"q": "n"})).status_code == 422


async def test_instance_on_its_way_out_is_not_written(
    client: httpx2.AsyncClient, paths: dict[str, str], made: Deployed, sqlite_database: Database
) -> None:
    async with sqlite_database.transaction() as session:
        await session.execute(update(InstanceRow).where(InstanceRow.id == made.instance.id).values(deleting=True))
    for noun in ("executions", "flows", "instances"):
        assert (await put(client, f"{paths[noun]}/n", 1)).status_code == 409
        assert (await client.delete(paths[noun])).status_code == 409
    assert (await put(client, f"{paths['integrations']}/n", 1)).status_code == 200


async def test_reading_and_writing_want_their_scopes(client: httpx2.AsyncClient, paths: dict[str, str]) -> None:
    reader = await make_key(client, "execute")
    assert (await client.get(paths["flows"], headers=reader)).status_code == 200
    assert (await client.put(f"{paths['flows']}/n", json={"value": 1}, headers=reader)).status_code == 403
    assert (await client.delete(paths["flows"], headers=reader)).status_code == 403
