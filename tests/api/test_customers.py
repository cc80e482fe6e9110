from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from store.engine import Database
from store.tables import EventRow
from tests.fakes_gateway import FakeGateway

Json = dict[str, Any]


async def create(client: httpx2.AsyncClient, **fields: Any) -> Json:
    response = await client.post("/v1/customers", json={"name": "Acme"} | fields)
    assert response.status_code == 201, response.text
    answer: Json = response.json()
    return answer


async def names(client: httpx2.AsyncClient, query: str) -> list[str]:
    return [each["name"] for each in (await client.get(f"/v1/customers?{query}")).json()["data"]]


async def actions(database: Database) -> list[str]:
    async with database.snapshot() as session:
        return list(await session.scalars(select(EventRow.action).order_by(EventRow.id)))


async def test_customer_is_created(client: httpx2.AsyncClient) -> None:
    response = await client.post("/v1/customers", json={"name": "Acme", "labels": ["EU", "beta", "eu"]})
    assert response.status_code == 201
    assert response.headers["etag"] == '"1"'
    customer = response.json()
    assert customer["id"].startswith("cust_")
    assert customer["labels"] == ["eu", "beta"]
    assert customer["created_at"] == customer["updated_at"]
    assert customer["created_at"].endswith("Z")
    assert {customer["external_id"], customer["description"]} == {None}
    assert (customer["show_all_instances"], customer["state"]) == (False, "active")
    read = await client.get(f"/v1/customers/{customer['id']}")
    assert (read.json(), read.headers["etag"]) == (customer, '"1"')


async def test_name_keeps_its_spaces_and_letters(client: httpx2.AsyncClient) -> None:
    name = "  Bäckerei „Zur Krume“ 🥐 "
    assert (await create(client, name=name))["name"] == name


@pytest.mark.parametrize(
    ("taken", "pointers"),
    [
        ({"name": "Acme"}, ["#/name"]),
        ({"name": "Other", "external_id": "crm-1"}, ["#/external_id"]),
        ({"name": "Acme", "external_id": "crm-1"}, ["#/name", "#/external_id"]),
    ],
)
async def test_name_and_external_id_are_unique(client: httpx2.AsyncClient, taken: Json, pointers: list[str]) -> None:
    await create(client, external_id="crm-1")
    response = await client.post("/v1/customers", json=taken)
    assert (response.status_code, response.json()["code"]) == (409, "already_exists")
    assert [error["pointer"] for error in response.json()["errors"]] == pointers


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Gamma", "Beta", "Alpha"]),
        ("q=ALPH", ["Alpha"]),
        ("q=crm-b", ["Beta"]),
        ("q=%25", []),
        ("external_id=crm-a&external_id=crm-b", ["Beta", "Alpha"]),
        ("label=EU", ["Gamma", "Alpha"]),
        ("label=eu&label=vip", ["Alpha"]),
        ("label=eu&q=gam", ["Gamma"]),
    ],
)
async def test_customers_are_filtered(client: httpx2.AsyncClient, query: str, found: list[str]) -> None:
    await create(client, name="Alpha", external_id="crm-a", labels=["eu", "vip"])
    await create(client, name="Beta", external_id="crm-b", labels=["us"])
    await create(client, name="Gamma", labels=["EU"])
    assert await names(client, query) == found


async def test_patch_changes_only_what_it_names(client: httpx2.AsyncClient) -> None:
    made = await create(client, external_id="crm-1", description="First", labels=["eu"])
    path = f"/v1/customers/{made['id']}"
    response = await client.patch(path, json={"description": None, "labels": ["US"], "show_all_instances": True})
    assert (response.status_code, response.headers["etag"]) == (200, '"2"')
    changed = response.json()
    assert changed["updated_at"] > made["updated_at"]
    expected = {"description": None, "labels": ["us"], "show_all_instances": True, "updated_at": changed["updated_at"]}
    assert changed == made | expected


async def test_patch_that_changes_nothing_moves_no_etag(client: httpx2.AsyncClient) -> None:
    made = await create(client)
    for body in ({}, {"name": "Acme"}):
        response = await client.patch(f"/v1/customers/{made['id']}", json=body)
        assert (response.status_code, response.headers["etag"]) == (200, '"1"')


@pytest.mark.parametrize("body", [{"name": None}, {"labels": None}, {"id": "x"}, {"show_all_instances": None}])
async def test_patch_refuses(client: httpx2.AsyncClient, body: Json) -> None:
    made = await create(client)
    assert (await client.patch(f"/v1/customers/{made['id']}", json=body)).status_code == 422


async def test_rename_to_a_name_that_is_taken(client: httpx2.AsyncClient) -> None:
    await create(client)
    other = await create(client, name="Other")
    response = await client.patch(f"/v1/customers/{other['id']}", json={"name": "Acme"})
    assert (response.status_code, response.json()["code"]) == (409, "already_exists")


@pytest.mark.parametrize(
    ("if_match", "status"), [('"1"', 200), ("*", 200), ('"7", "1"', 200), ('"2"', 412), ("1", 412), ('W/"1"', 412)]
)
async def test_if_match_guards_the_write(client: httpx2.AsyncClient, if_match: str, status: int) -> None:
    made = await create(client)
    path, headers = f"/v1/customers/{made['id']}", {"If-Match": if_match}
    response = await client.patch(path, json={"name": "Renamed"}, headers=headers)
    assert response.status_code == status
    assert (await client.get(path)).json()["name"] == ("Renamed" if status == 200 else "Acme")
    if status == 412:
        assert response.json()["code"] == "version_conflict"
        assert (await client.delete(f"{path}?confirm_name=Acme", headers=headers)).status_code == 412


async def test_delete_starts_a_job_once(
    client: httpx2.AsyncClient, gateway: FakeGateway, sqlite_database: Database
) -> None:
    made = await create(client)
    path = f"/v1/customers/{made['id']}"
    response = await client.delete(path, params={"confirm_name": "Acme"})
    assert response.status_code == 202
    deletion = response.json()
    assert deletion == {"id": made["id"], "job_id": deletion["job_id"], "state": "deleting"}
    assert gateway.jobs == [deletion["job_id"]]
    job = (await client.get(f"/v1/jobs/{deletion['job_id']}")).json()
    assert (job["kind"], job["state"], job["object_id"]) == ("delete_customer", "running", made["id"])
    assert (await client.get(path)).json()["state"] == "deleting"
    assert (await client.delete(path, params={"confirm_name": "Acme"})).json() == deletion
    assert await actions(sqlite_database) == ["customer.created", "customer.deleted"]


async def test_customer_on_its_way_out_stays_as_it_is(client: httpx2.AsyncClient) -> None:
    path = f"/v1/customers/{(await create(client))['id']}"
    await client.delete(path, params={"confirm_name": "Acme"})
    response = await client.patch(path, json={"name": "Other"})
    assert (response.status_code, response.json()["code"]) == (409, "state_conflict")


@pytest.mark.parametrize("query", ["", "?confirm_name=acme", "?confirm_name=Acme%20"])
async def test_delete_asks_for_the_name(client: httpx2.AsyncClient, gateway: FakeGateway, query: str) -> None:
    made = await create(client)
    response = await client.delete(f"/v1/customers/{made['id']}{query}")
    assert (response.status_code, response.json()["code"]) == (422, "name_mismatch")
    assert response.json()["errors"][0]["pointer"] == "#/query/confirm_name"
    assert gateway.jobs == []


async def test_events_name_keys_and_no_values(client: httpx2.AsyncClient, sqlite_database: Database) -> None:
    made = await create(client)
    await client.patch(f"/v1/customers/{made['id']}", json={"name": "Hidden", "description": "Secret"})
    async with sqlite_database.snapshot() as session:
        rows = (await session.scalars(select(EventRow).order_by(EventRow.id))).all()
    assert [(row.action, row.principal, row.customer_id) for row in rows] == [
        ("customer.created", "bootstrap", made["id"]),
        ("customer.updated", "bootstrap", made["id"]),
    ]
    assert rows[1].details == {"changed": ["description", "name"]}


async def test_how_many_run_at_once_is_bounded(client: httpx2.AsyncClient) -> None:
    customer = await create(client, max_running=5)
    path = f"/v1/customers/{customer['id']}"
    assert customer["max_running"] == 5
    for wrong in (0, -1, 1001, "many", 1.5, True):
        response = await client.patch(path, json={"max_running": wrong})
        assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "#/max_running")
    queue = {"limit": 5, "running": 0, "waiting": 0, "oldest_waiting_at": None}
    assert (await client.get(f"{path}/queue")).json() == queue
    assert (await client.patch(path, json={"max_running": None})).json()["max_running"] is None
    assert (await client.get("/v1/customers/cust_nobody/queue")).status_code == 404
