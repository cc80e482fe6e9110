from collections.abc import Sequence
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import event, update

from api.app import create_app
from api.instances import service
from store.engine import Database
from store.instances import InstanceFilter
from store.paging import Page
from store.tables import InstanceFlowRow
from tests.api.conftest import serving, settings_for
from tests.api.setup import (
    CONFIG,
    NEXT_VERSION,
    ORDER_SYNC,
    SECRET,
    TOKEN,
    Json,
    deploy,
    make_customer,
    make_instance,
    make_key,
    make_version,
    pointers,
    read,
)
from tests.fakes_gateway import FakeGateway

ROUTES = [
    ("GET", "/v1/instances", None),
    ("GET", "/v1/instances/inst_x", None),
    ("GET", "/v1/instances/inst_x/config", None),
    ("GET", "/v1/instances/inst_x/events", None),
    ("GET", "/v1/instances/inst_x/flows", None),
    ("GET", "/v1/flows/flow_x", None),
    ("GET", "/v1/flows/flow_x/test_payload", None),
    ("GET", "/v1/flows/flow_x/api_keys", None),
    ("POST", "/v1/flows/flow_x/test", "read"),
    ("POST", "/v1/instances", "execute"),
    ("PATCH", "/v1/instances/inst_x", "execute"),
    ("DELETE", "/v1/instances/inst_x", "execute"),
    ("PATCH", "/v1/instances/inst_x/config", "execute"),
    ("PUT", "/v1/instances/inst_x/config", "execute"),
    ("POST", "/v1/instances/inst_x/deploy", "execute"),
    ("POST", "/v1/instances/inst_x/pause", "execute"),
    ("POST", "/v1/instances/inst_x/unpause", "execute"),
    ("PUT", "/v1/flows/flow_x/test_payload", "execute"),
    ("POST", "/v1/flows/flow_x/api_keys", "execute"),
    ("DELETE", "/v1/flows/flow_x/api_keys/key_x", "execute"),
    ("POST", "/v1/flows/flow_x/rotate_url", "execute"),
]


async def test_instance_is_created_with_defaults(client: httpx2.AsyncClient) -> None:
    customer, version = await make_customer(client), await make_version(client)
    body = {"customer_id": customer["id"], "integration_id": version["integration_id"], "name": "Orders"}
    response = await client.post("/v1/instances", json=body)
    assert response.status_code == 201
    assert response.headers["etag"] == '"1"'
    instance = response.json()
    assert instance["id"].startswith("inst_")
    assert instance["labels"] == ["erp", "orders"]
    assert instance["customer"] == {"id": customer["id"], "name": "Acme"}
    assert instance["integration"] == {"id": version["integration_id"], "name": "Order sync"}
    assert instance["version"] == instance["latest_version"] == {"id": version["id"], "number": 1}
    expected = {
        "description": None,
        "new_version_available": False,
        "config_state": "needs_configuration",
        "deployed": False,
        "deployed_version": None,
        "deployed_at": None,
        "enabled": True,
        "pause_note": None,
        "needs_deploy": True,
        "in_failed_state": False,
        "connection_error": None,
        "last_execution_at": None,
        "state": "active",
    }
    assert {name: instance[name] for name in expected} == expected
    assert [flow["key"] for flow in instance["flows"]] == ["order-created", "nightly", "setup"]
    assert (await client.get(f"/v1/instances/{instance['id']}")).json() == instance


async def test_instance_with_its_configuration_is_configured_and_shows_no_secret(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client, labels=["EU", "eu"], description="Ours")
    assert instance["config_state"] == "configured"
    assert instance["labels"] == ["eu"]
    for path in ("", "/config", "/events", "/flows"):
        text = (await client.get(f"/v1/instances/{instance['id']}{path}")).text
        assert TOKEN not in text
        assert SECRET not in text


async def test_instance_events_name_keys_and_no_values(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client, config=CONFIG | {"region": "us", "big_order": None})
    events = (await read(client, f"/v1/instances/{instance['id']}/events"))["data"]
    assert [event["action"] for event in events] == ["instance.configured", "instance.created"]
    assert events[0]["details"] == {"keys": ["hook_secret", "region", "shop"]}
    assert {event["principal"] for event in events} == {"bootstrap"}
    assert {event["object_id"] for event in events} == {instance["id"]}


@pytest.mark.parametrize("field", ["customer_id", "integration_id"])
async def test_instance_of_something_absent_is_refused(client: httpx2.AsyncClient, field: str) -> None:
    instance = await make_instance(client)
    body = {
        "customer_id": instance["customer"]["id"],
        "integration_id": instance["integration"]["id"],
        "name": "Another",
    }
    response = await client.post("/v1/instances", json=body | {field: "xxxx_absent"})
    assert pointers(response) == {f"#/{field}": "not_found"}
    assert response.json()["code"] == "validation_failed"


async def test_instance_of_an_unpublished_integration_is_refused(client: httpx2.AsyncClient) -> None:
    customer = await make_customer(client)
    draft = await client.post("/v1/integrations", json={"definition": ORDER_SYNC})
    body = {"customer_id": customer["id"], "integration_id": draft.json()["id"], "name": "Orders"}
    response = await client.post("/v1/instances", json=body)
    assert (response.status_code, response.json()["code"]) == (409, "no_version")


async def test_instance_takes_the_latest_available_version(client: httpx2.AsyncClient) -> None:
    first, second = await make_version(client), await make_version(client, NEXT_VERSION)
    await client.patch(f"/v1/versions/{second['id']}", json={"available": False})
    fields = {"customer_id": (await make_customer(client))["id"], "integration_id": first["integration_id"]}
    assert (await make_instance(client, **fields))["version"] == {"id": first["id"], "number": 1}
    refused = await client.post("/v1/instances", json={"name": "Second", "version_id": second["id"]} | fields)
    assert pointers(refused) == {"#/version_id": "version_unavailable"}
    absent = await client.post("/v1/instances", json={"name": "Third", "version_id": "ver_absent"} | fields)
    assert pointers(absent) == {"#/version_id": "not_found"}


async def test_instance_refuses_the_version_of_another_integration(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    other = await make_version(client, ORDER_SYNC.replace("key: order-sync", "key: another"))
    body = {
        "customer_id": instance["customer"]["id"],
        "integration_id": instance["integration"]["id"],
        "version_id": other["id"],
        "name": "Mixed",
    }
    assert pointers(await client.post("/v1/instances", json=body)) == {"#/version_id": "wrong_integration"}
    patch = await client.patch(f"/v1/instances/{instance['id']}", json={"version_id": other["id"]})
    assert pointers(patch) == {"#/version_id": "wrong_integration"}


async def test_instance_values_are_checked_and_nothing_is_stored_when_one_is_wrong(client: httpx2.AsyncClient) -> None:
    customer, version = await make_customer(client), await make_version(client)
    config = {"region": "mars", "big_order": "many", "endpont": "x", "shop": {"token": 5}, "hook_secret": ["a-secret"]}
    body = {"customer_id": customer["id"], "integration_id": version["integration_id"], "name": "Orders"}
    response = await client.post("/v1/instances", json=body | {"config": config})
    assert pointers(response) == {
        "#/config/region": "not_an_option",
        "#/config/big_order": "wrong_type",
        "#/config/endpont": "unknown_key",
        "#/config/shop/token": "wrong_type",
        "#/config/hook_secret": "wrong_type",
    }
    assert "a-secret" not in response.text
    assert (await read(client, "/v1/instances"))["data"] == []


async def test_instance_of_a_customer_on_its_way_out_is_refused(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    customer = instance["customer"]["id"]
    assert (await client.delete(f"/v1/customers/{customer}?confirm_name=Acme")).status_code == 202
    body = {"customer_id": customer, "integration_id": instance["integration"]["id"], "name": "Late"}
    response = await client.post("/v1/instances", json=body)
    assert (response.status_code, response.json()["code"]) == (409, "state_conflict")


async def test_creating_twice_under_one_idempotency_key_makes_one_instance(client: httpx2.AsyncClient) -> None:
    customer, version = await make_customer(client), await make_version(client)
    body = {"customer_id": customer["id"], "integration_id": version["integration_id"], "name": "Orders"}
    headers = {"Idempotency-Key": "make-it-once"}
    first = await client.post("/v1/instances", json=body, headers=headers)
    second = await client.post("/v1/instances", json=body, headers=headers)
    assert second.headers["idempotent-replayed"] == "true"
    assert (second.status_code, second.json()) == (201, first.json())
    assert len((await read(client, "/v1/instances"))["data"]) == 1


@pytest.fixture
async def three(app: FastAPI, client: httpx2.AsyncClient) -> list[Json]:
    """One plain and unconfigured; one paused and labelled; one deployed and failed, of another integration."""
    plain = await make_instance(client, name="Plain", config={})
    shared = {"customer_id": plain["customer"]["id"], "integration_id": plain["integration"]["id"]}
    paused = await make_instance(client, name="Paused", labels=["eu", "beta"], description="Moves 50% soon", **shared)
    await client.post(f"/v1/instances/{paused['id']}/pause")
    other = await make_customer(client, "Zeta")
    version = await make_version(client, NEXT_VERSION.replace("key: order-sync", "key: another"))
    failed = await make_instance(
        client,
        name="Failed",
        config={"api_version": "2"},
        customer_id=other["id"],
        integration_id=version["integration_id"],
    )
    await deploy(app, failed)
    async with app.state.resources.database.transaction() as session:
        failing = update(InstanceFlowRow).where(InstanceFlowRow.instance_id == failed["id"])
        await session.execute(failing.values(failed=True))
    return [plain, paused, failed]


async def names(client: httpx2.AsyncClient, query: dict[str, Any]) -> list[str]:
    return [instance["name"] for instance in (await read(client, "/v1/instances", **query))["data"]]


async def test_instances_are_listed_by_every_filter(client: httpx2.AsyncClient, three: list[Json]) -> None:
    plain, _, failed = three
    expected: Sequence[tuple[dict[str, Any], list[str]]] = [
        ({}, ["Failed", "Paused", "Plain"]),
        ({"q": "PA"}, ["Paused"]),
        ({"q": ""}, ["Failed", "Paused", "Plain"]),
        ({"description": "50%"}, ["Paused"]),
        ({"customer_id": failed["customer"]["id"]}, ["Failed"]),
        ({"customer_id": [plain["customer"]["id"], failed["customer"]["id"]]}, ["Failed", "Paused", "Plain"]),
        ({"integration_id": plain["integration"]["id"]}, ["Paused", "Plain"]),
        ({"version_id": failed["version"]["id"]}, ["Failed"]),
        ({"label": ["EU", "beta"]}, ["Paused"]),
        ({"label": ["eu", "none"]}, []),
        ({"enabled": "false"}, ["Paused"]),
        ({"enabled": ["false", "true"]}, ["Failed", "Paused", "Plain"]),
        ({"config_state": "needs_configuration"}, ["Plain"]),
        ({"config_state": ["configured"], "enabled": "true"}, ["Failed"]),
        ({"needs_deploy": "false"}, ["Failed"]),
        ({"in_failed_state": "true"}, ["Failed"]),
        ({"in_failed_state": "false"}, ["Paused", "Plain"]),
        ({"customer_id": "cust_absent"}, []),
    ]
    for query, found in expected:
        assert await names(client, query) == found, query
    assert (await read(client, "/v1/instances"))["data"][0] == await read(client, f"/v1/instances/{failed['id']}")


@pytest.mark.parametrize("query", ["state=x", "config_state=maybe", "enabled=perhaps", "label=", "description="])
async def test_instances_refuse_a_filter_that_means_nothing(client: httpx2.AsyncClient, query: str) -> None:
    assert (await client.get(f"/v1/instances?{query}")).status_code == 422


async def test_instances_are_listed_in_pages(client: httpx2.AsyncClient, three: list[Json]) -> None:
    first = await read(client, "/v1/instances", limit=2)
    assert [each["name"] for each in first["data"]] == ["Failed", "Paused"]
    assert first["has_more"]
    last = await read(client, "/v1/instances", limit=2, cursor=first["next_cursor"])
    assert ([each["name"] for each in last["data"]], last["has_more"]) == (["Plain"], False)


async def test_more_instances_take_no_more_queries(app: FastAPI, client: httpx2.AsyncClient, three: list[Json]) -> None:
    database: Database = app.state.resources.database

    async def queries(limit: int) -> int:
        statements: list[str] = []
        async with database.snapshot() as session:
            engine = session.get_bind()
            event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
            await service.find(session, InstanceFilter(), Page(limit))
        return len([statement for statement in statements if statement.startswith("SELECT")])

    assert await queries(0) == await queries(2) == 11


async def test_instance_changes_the_fields_given(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    path = f"/v1/instances/{instance['id']}"
    response = await client.patch(path, json={"name": "Renamed", "labels": ["A"], "description": "x"})
    assert (response.status_code, response.headers["etag"]) == (200, '"2"')
    changed = response.json()
    assert (changed["name"], changed["labels"], changed["description"]) == ("Renamed", ["a"], "x")
    assert changed["updated_at"] > instance["updated_at"]
    again = await client.patch(path, json={"name": "Renamed"})
    assert (again.headers["etag"], again.json()) == ('"2"', changed)
    events = (await read(client, f"{path}/events"))["data"]
    assert (events[0]["action"], events[0]["details"]) == (
        "instance.updated",
        {"changed": ["description", "labels", "name"]},
    )


async def test_instance_honours_if_match(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    path = f"/v1/instances/{instance['id']}"
    assert (await client.patch(path, json={"name": "A"}, headers={"If-Match": '"1"'})).status_code == 200
    stale = await client.patch(path, json={"name": "B"}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "version_conflict")
    for action in ("pause", "unpause", "deploy"):
        assert (await client.post(f"{path}/{action}", headers={"If-Match": '"1"'})).status_code == 412
    assert (await client.delete(f"{path}?confirm_name=A", headers={"If-Match": '"1"'})).status_code == 412
    assert (await read(client, path))["name"] == "A"


@pytest.mark.parametrize("body", [{"name": None}, {"labels": None}, {"version_id": None}, {"enabled": False}])
async def test_instance_refuses_a_change_that_means_nothing(client: httpx2.AsyncClient, body: Json) -> None:
    instance = await make_instance(client)
    response = await client.patch(f"/v1/instances/{instance['id']}", json=body)
    assert list(pointers(response)) == [f"#/{next(iter(body))}"]


async def test_another_version_before_the_first_deploy_brings_its_flows(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    url = instance["flows"][0]["webhook_url"]
    second = await make_version(client, NEXT_VERSION)
    path = f"/v1/instances/{instance['id']}"
    before = await read(client, path)
    assert before["new_version_available"]
    assert before["latest_version"] == {"id": second["id"], "number": 2}
    moved = (await client.patch(path, json={"version_id": second["id"]})).json()
    assert moved["version"]["number"] == 2
    assert not moved["new_version_available"]
    assert moved["config_state"] == "needs_configuration"
    assert [flow["key"] for flow in moved["flows"]] == ["order-created", "returned"]
    assert moved["flows"][0]["webhook_url"] == url


async def test_another_version_of_a_deployed_instance_waits_for_the_deploy(
    app: FastAPI, client: httpx2.AsyncClient
) -> None:
    instance = await make_instance(client)
    await deploy(app, instance)
    path = f"/v1/instances/{instance['id']}"
    deployed = await read(client, path)
    assert (deployed["deployed"], deployed["deployed_version"], deployed["needs_deploy"]) == (True, 1, False)
    assert deployed["deployed_at"].endswith("Z")
    second = await make_version(client, NEXT_VERSION)
    moved = (await client.patch(path, json={"version_id": second["id"]})).json()
    assert (moved["version"]["number"], moved["deployed_version"], moved["needs_deploy"]) == (2, 1, True)
    assert [flow["key"] for flow in moved["flows"]] == ["order-created", "nightly", "setup"]
    assert moved["flows"][0]["security"] == {"api_key": "optional", "hmac": None}
    back = (await client.patch(path, json={"version_id": instance["version"]["id"]})).json()
    assert (back["config_state"], back["needs_deploy"]) == ("configured", True)


@pytest.mark.parametrize("path", ["", "/config", "/events", "/flows"])
async def test_absent_instance_is_not_found(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.get(f"/v1/instances/inst_absent{path}")).status_code == 404


async def test_routes_want_their_scope(client: httpx2.AsyncClient) -> None:
    keys = {scope: await make_key(client, scope) for scope in ("read", "execute")}
    for method, path, too_little in ROUTES:
        headers = keys[too_little or "read"]
        status = (await client.request(method, path, headers=headers)).status_code
        assert (status == 403) == (too_little is not None), (method, path, status)
        nobody = await client.request(method, path, headers={"Authorization": ""})
        assert nobody.status_code == 401, (method, path)


async def test_instance_lives_on_postgres_too(postgres_url: str) -> None:
    gateway = FakeGateway()
    app = create_app(settings_for(postgres_url), gateway=gateway)
    async with serving(app) as client:
        instance = await make_instance(client, labels=["eu"])
        path = f"/v1/instances/{instance['id']}"
        assert (await client.patch(f"{path}/config", json={"values": {"region": "us"}})).status_code == 200
        assert (await client.patch(f"{path}/config", json={"values": {"region": "us"}})).headers["etag"] == '"2"'
        await deploy(app, instance)
        assert (await client.post(f"{path}/pause")).json()["enabled"] is False
        assert await names(client, {"label": "eu", "enabled": "false", "needs_deploy": "false"}) == [instance["name"]]
        flow = (await read(client, f"{path}/flows"))["data"][0]
        assert (await client.post(f"/v1/flows/{flow['id']}/test", json={"body": {"id": 1}})).status_code == 202
        assert (await read(client, f"/v1/flows/{flow['id']}"))["queue"]["running"] == 1
        assert (await client.post(f"/v1/flows/{flow['id']}/rotate_url")).status_code == 200
        deleted = await client.delete(f"{path}?confirm_name={instance['name']}")
        assert deleted.status_code == 202
        assert gateway.jobs == [deleted.json()["job_id"]]
