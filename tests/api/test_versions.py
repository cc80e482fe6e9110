"""Versions: what is told of one, how two differ, and what follows an instance from one to another."""

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from api.resources import Resources
from store.tables import ConfigValueRow
from tests.api.setup import (
    CONFIG,
    NEXT_VERSION,
    ORDER_SYNC,
    SECRET,
    TOKEN,
    Json,
    deploy,
    made,
    make_instance,
    make_version,
    pointers,
    read,
)

ATTRIBUTES = {"external_version": "1.4.0", "commit_hash": "9f2c1e7", "build": 17, "signed": True}
TYPED_ANEW = ORDER_SYNC.replace("{key: big_order, type: number, default: 1000}", "{key: big_order, type: string}")


async def test_version_keeps_what_was_told_of_it(client: httpx2.AsyncClient) -> None:
    response = await client.post("/v1/integrations", content=ORDER_SYNC, headers={"Content-Type": "application/yaml"})
    path = f"/v1/integrations/{response.json()['id']}/versions"
    version = await made(client, path, {"comment": "First", "attributes": ATTRIBUTES})
    assert (version["comment"], version["attributes"]) == ("First", ATTRIBUTES)
    assert version["published_by"] == "bootstrap"
    assert await read(client, f"/v1/versions/{version['id']}") == version
    assert (await read(client, path))["data"] == [version]


async def test_version_without_attributes_has_none(client: httpx2.AsyncClient) -> None:
    assert (await make_version(client))["attributes"] == {}


@pytest.mark.parametrize(
    ("attributes", "pointer"),
    [
        ([], "#/attributes"),
        ({"commit": {"hash": "1"}}, "#/attributes/commit"),
        ({"commit": None}, "#/attributes/commit"),
        ({"commit": "x" * 2001}, "#/attributes/commit"),
        ({"commit": "a\nb"}, "#/attributes/commit"),
        ({"commit": 2**53}, "#/attributes/commit"),
        ({f"key{number}": 1 for number in range(51)}, "#/attributes"),
    ],
)
async def test_attributes_are_bounded(client: httpx2.AsyncClient, attributes: Any, pointer: str) -> None:
    response = await client.post("/v1/integrations", content=ORDER_SYNC, headers={"Content-Type": "application/yaml"})
    path = f"/v1/integrations/{response.json()['id']}/versions"
    assert list(pointers(await client.post(path, json={"attributes": attributes}))) == [pointer]
    assert (await read(client, path))["data"] == []


async def test_diff_is_with_the_version_before(client: httpx2.AsyncClient) -> None:
    first, second = await make_version(client), await make_version(client, NEXT_VERSION)
    found = await read(client, f"/v1/versions/{second['id']}/diff")
    assert (found["version"], found["against"]) == (
        {"id": second["id"], "number": 2},
        {"id": first["id"], "number": 1},
    )
    assert found["identical"] is False
    assert [part["key"] for part in found["flows"]["added"]] == ["returned"]
    assert [part["key"] for part in found["flows"]["removed"]] == ["nightly", "setup"]
    [changed] = found["flows"]["changed"]
    assert (changed["key"], {"path": "name", "from": "Order created", "to": "Order created, again"}) == (
        "order-created",
        changed["fields"][0],
    )
    [said] = changed["steps"]["changed"]
    assert said["fields"] == [{"path": "inputs.message", "from": "Order {{ trigger.body.id }}", "to": "Order"}]
    assert [part["key"] for part in found["config"]["added"]] == ["api_version"]
    assert found["integration"] == [{"path": "labels", "from": ["ERP", "orders"], "to": []}]


async def test_diff_against_any_version_and_none(client: httpx2.AsyncClient) -> None:
    first, second = await make_version(client), await make_version(client, NEXT_VERSION)
    backwards = await read(client, f"/v1/versions/{first['id']}/diff", against=second["id"])
    assert [part["key"] for part in backwards["flows"]["removed"]] == ["returned"]
    same = await read(client, f"/v1/versions/{first['id']}/diff", against=first["id"])
    assert same["identical"] is True
    alone = await read(client, f"/v1/versions/{first['id']}/diff")
    assert (alone["against"], [part["key"] for part in alone["flows"]["added"]]) == (
        None,
        ["order-created", "nightly", "setup"],
    )


async def test_diff_against_what_cannot_be_compared(client: httpx2.AsyncClient) -> None:
    version = await make_version(client)
    other = await make_version(client, ORDER_SYNC.replace("key: order-sync", "key: other"))
    path = f"/v1/versions/{version['id']}/diff"
    for against, code in (("ver_gone", "not_found"), (other["id"], "wrong_integration")):
        assert pointers(await client.get(path, params={"against": against})) == {"#/query/against": code}
    assert (await client.get("/v1/versions/ver_gone/diff")).status_code == 404


async def test_unavailable_version_stays_with_those_that_have_it(app: FastAPI, client: httpx2.AsyncClient) -> None:
    version = await make_version(client)
    instance = await make_instance(client, integration_id=version["integration_id"])
    await client.patch(f"/v1/versions/{version['id']}", json={"available": False})
    assert (await deploy(app, instance)).version == 1
    shown = await read(client, f"/v1/instances/{instance['id']}")
    assert (shown["version"]["number"], shown["latest_version"], shown["new_version_available"]) == (1, None, False)
    await make_version(client, NEXT_VERSION)
    await client.patch(f"/v1/instances/{instance['id']}", json={"version_id": (await _latest(client, version))["id"]})
    back = await client.patch(f"/v1/instances/{instance['id']}", json={"version_id": version["id"]})
    assert pointers(back) == {"#/version_id": "version_unavailable"}


async def test_values_and_urls_follow_their_keys_up_and_down(app: FastAPI, client: httpx2.AsyncClient) -> None:
    first = await make_version(client)
    instance = await make_instance(client, integration_id=first["integration_id"], config=CONFIG | {"region": "us"})
    before = await deploy(app, instance)
    flow = (await _flows(client, instance))["order-created"]
    key = await made(client, f"/v1/flows/{flow['id']}/api_keys", {"name": "Shop"})

    second = await make_version(client, NEXT_VERSION)
    await _move(app, client, instance, second, {"api_version": "v1"})
    moved = (await _flows(client, instance))["order-created"]
    assert (moved["id"], moved["webhook_url"]) == (flow["id"], flow["webhook_url"])  # its state is kept under the id

    after = await _move(app, client, instance, first)
    assert after.webhook_urls == before.webhook_urls
    assert await _resolved(app, after.deployment_id) == await _resolved(app, before.deployment_id)
    assert await _stored(app, instance["id"]) == {"shop", "hook_secret", "region", "api_version"}
    keys = await read(client, f"/v1/flows/{flow['id']}/api_keys")
    assert [each["id"] for each in keys["data"]] == [key["id"]]


async def test_value_that_no_longer_fits_is_reported_and_kept(app: FastAPI, client: httpx2.AsyncClient) -> None:
    first = await make_version(client)
    instance = await make_instance(client, integration_id=first["integration_id"], config=CONFIG | {"big_order": 5})
    await deploy(app, instance)
    second = await make_version(client, TYPED_ANEW)
    moved = await client.patch(f"/v1/instances/{instance['id']}", json={"version_id": second["id"]})
    assert moved.json()["config_state"] == "needs_configuration"
    refused = await client.post(f"/v1/instances/{instance['id']}/deploy")
    assert (refused.json()["code"], pointers(refused)) == ("config_invalid", {"#/config/big_order": "wrong_type"})
    assert "big_order" in await _stored(app, instance["id"])
    shown = await read(client, f"/v1/instances/{instance['id']}")
    assert (shown["deployed_version"], shown["version"]["number"]) == (1, 2)

    after = await _move(app, client, instance, first)
    assert (await _resolved(app, after.deployment_id))["big_order"] == 5


async def test_two_instances_stand_on_two_versions(app: FastAPI, client: httpx2.AsyncClient) -> None:
    first = await make_version(client)
    old = await make_instance(client, integration_id=first["integration_id"])
    second = await make_version(client, NEXT_VERSION)
    new = await make_instance(
        client,
        customer_id=old["customer"]["id"],
        integration_id=first["integration_id"],
        config={"api_version": "v1"},
        name="New",
    )
    assert ((await deploy(app, old)).version, (await deploy(app, new)).version) == (1, 2)
    flows = [set(await _flows(client, instance)) for instance in (old, new)]
    assert flows == [{"order-created", "nightly", "setup"}, {"order-created", "returned"}]
    counts = {
        each["number"]: each["instance_count"]
        for each in (await read(client, f"/v1/integrations/{first['integration_id']}/versions"))["data"]
    }
    assert counts == {1: 1, 2: 1}
    shown = [await read(client, f"/v1/instances/{instance['id']}") for instance in (old, new)]
    assert [each["new_version_available"] for each in shown] == [True, False]
    assert {each["latest_version"]["id"] for each in shown} == {second["id"]}


async def _move(
    app: FastAPI, client: httpx2.AsyncClient, instance: Json, version: Json, values: Json | None = None
) -> Any:
    """To the version, with these values besides, and deployed."""
    path = f"/v1/instances/{instance['id']}"
    assert (await client.patch(path, json={"version_id": version["id"]})).status_code == 200
    if values:
        assert (await client.patch(f"{path}/config", json={"values": values})).status_code == 200
    return await deploy(app, instance)


async def _flows(client: httpx2.AsyncClient, instance: Json) -> dict[str, Json]:
    return {flow["key"]: flow for flow in (await read(client, f"/v1/instances/{instance['id']}/flows"))["data"]}


async def _latest(client: httpx2.AsyncClient, version: Json) -> Json:
    latest: Json = (await read(client, f"/v1/integrations/{version['integration_id']}"))["latest_version"]
    return latest


async def _resolved(app: FastAPI, deployment_id: str) -> Json:
    resources: Resources = app.state.resources
    deployment = await resources.deployments.get(deployment_id)
    public = {key: value for key, value in deployment.config.items() if key not in deployment.secrets}
    return public | deployment.secrets | {"connections": deployment.connections}


async def _stored(app: FastAPI, instance_id: str) -> set[str]:
    resources: Resources = app.state.resources
    async with resources.database.snapshot() as session:
        query = select(ConfigValueRow.key).where(ConfigValueRow.instance_id == instance_id)
        return set(await session.scalars(query))


@pytest.mark.parametrize(
    ("field", "turned"),
    [
        ("{key: hook_secret, type: string, secret: true, required: false}", "{key: hook_secret, type: string}"),
        ("{key: shop, type: connection, connection: http/bearer, label: Shop API}", "{key: shop, type: json_form}"),
        ("{key: shop, type: connection, connection: http/bearer, label: Shop API}", "{key: shop, type: string}"),
    ],
)
async def test_what_was_a_secret_is_never_shown_by_a_version_that_forgets_it(
    app: FastAPI, client: httpx2.AsyncClient, field: str, turned: str
) -> None:
    turned = turned.replace("type: json_form", "type: json_form, schema: {type: object}")
    first = await make_version(client)
    instance = await make_instance(client, integration_id=first["integration_id"])
    assert field in ORDER_SYNC
    second = await make_version(client, ORDER_SYNC.replace(field, turned))
    path = f"/v1/instances/{instance['id']}"
    assert (await client.patch(path, json={"version_id": second["id"]})).status_code == 200
    shown = await client.get(f"{path}/config")
    assert not {secret for secret in (TOKEN, SECRET) if secret in shown.text}
    refused = await client.post(f"{path}/deploy")
    key = turned.partition("key: ")[2].partition(",")[0]
    assert pointers(refused) == {f"#/config/{key}": "was_secret"}
    assert not {secret for secret in (TOKEN, SECRET) if secret in refused.text}

    value: Any = {"a": 1} if "json_form" in turned else SECRET
    anew = await client.patch(f"{path}/config", json={"values": {key: value}})
    shown_again = {each["key"]: each["value"] for page in anew.json()["pages"] for each in page["fields"]}
    assert shown_again[key] == value
    await deploy(app, instance)


async def test_what_becomes_a_secret_is_hidden_at_once(app: FastAPI, client: httpx2.AsyncClient) -> None:
    first = await make_version(client)
    config = CONFIG | {"endpoint": "https://not-secret-yet.test"}
    instance = await make_instance(client, integration_id=first["integration_id"], config=config)
    field = '{key: endpoint, type: string, default: "https://shop.example.com"}'
    assert field in ORDER_SYNC
    second = await make_version(client, ORDER_SYNC.replace(field, "{key: endpoint, type: string, secret: true}"))
    path = f"/v1/instances/{instance['id']}"
    await client.patch(path, json={"version_id": second["id"]})
    assert "not-secret-yet" not in (await client.get(f"{path}/config")).text
    resources: Resources = app.state.resources
    async with resources.database.snapshot() as session:
        row = await session.get_one(ConfigValueRow, (instance["id"], "endpoint"))
    assert (row.value, row.secret is None) == (None, False)
    resolved = await _resolved(app, (await deploy(app, instance)).deployment_id)
    assert resolved["endpoint"] == "https://not-secret-yet.test"
